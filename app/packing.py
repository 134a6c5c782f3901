"""The arrays of a run in few bytes, for a report; `columns.js` makes of them what the twin works with.

Rules:

1. What follows from other numbers is left out: who held a position, what a trade earned, what a price made of it.
2. A *quote* is a market's contract, mark, and what one contract is worth and needs, on a day on which any line held it.
   Quotes are told once for all lines, by market and day; a mark as ticks from the one before.
3. A cell is told in ticks that all its contracts made, or by its cost for a contract's worth, which seldom changes; a
   price in ticks from the mark of its day. A result is told by how many last places it misses the sum of its cells.
4. A number that such a rule does not give back to 12 digits is told as it is, beside the others: `odd` is its row.
"""

import numpy as np

from app.cells import COST, GROSS, Cells, totals
from app.selection import KINDS
from app.views.equity import benchmark_of

STEP = 1e9  # prices are told in so many parts of a point, which holds every tick there is
FINEST = 16  # a tick of prices is at least this part of the tick of marks
CLOSE = 1e-12  # what may be lost of a number that is not odd [share]
FEW = 65536  # costs that differ
NEAR = 2**15  # last places
HEAD = ("day", "equity", "paid", "benchmark", *(f"regime_{kind}" for kind in KINDS))  # what the first curve needs
TRADE = ("line", "side", "entry", "exit", "entry_reason", "exit_reason", "holding")
TABLE = ("trade", "contracts", "rolls", "entry_contract", "exit_contract")


def packed(columns):
    """{name: array} of the smallest whole numbers that hold them, or float64."""
    trade, table, owners = columns.trade, columns.table, columns.owner["start"]
    arrays = {"day": columns.days.astype(np.int64), "equity": columns.equity, "paid": columns.paid}
    arrays |= {"benchmark": benchmark_of(columns), "owner_cells": np.diff(owners)}
    arrays |= {f"regime_{kind}": told.code for kind, told in regimes(columns).items() if told.names}
    arrays |= {f"trade_{name}": trade[name] for name in TRADE}
    arrays |= {f"table_{name}": table[name].fill_null(0).to_numpy() for name in TABLE if name in table.columns}
    prices = {name: _price(table, name) for name in ("entry", "exit") if f"{name}_price" in table.columns}
    quotes, told = _quotes(columns)
    quotes |= _ticks(columns, quotes, prices)
    arrays |= told | {f"quote_{name}": values for name, values in _told_quotes(quotes).items()}
    for name, price in prices.items():
        arrays |= _told_prices(columns, quotes, name, price)
    amounts, cells = _told_cells(columns, quotes)
    arrays |= cells | _told_results(columns, amounts)
    return {name: small(np.asarray(values)) for name, values in arrays.items()}


def regimes(columns):
    """The regimes that were worked out or cannot be, by their kind."""
    return {kind: columns.regimes_now(kind) for kind in KINDS}


def small(values):
    """Whole numbers in few bytes; amounts as they are, so that the twin computes the same."""
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and np.all(values == np.floor(values))):
        return values.astype(np.float64)
    if not len(values):
        return values.astype(np.uint8)
    low, high = int(values.min()), int(values.max())
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.float64)


# ----------------------------------------------------------------------------------------------------------- quotes


def _quotes(columns):
    """Quotes (market, day, contract, mark [parts], worth, margin; `at`), and what tells the rows held by them.

    `at` is the number of a market's last quote by day, (market + 1, T + 1), -1 before the first; the last row is the
    account's.
    """
    held = columns.held
    order = np.argsort(held["line"], kind="stable")
    day, line, contract, contracts, mark, notional, margin = (
        held[name][order] for name in ("day", "line", "contract", "contracts", "mark", "notional", "margin")
    )
    size = np.abs(contracts)
    parts = np.rint(mark * STEP)
    with np.errstate(divide="ignore", invalid="ignore"):
        worth, needed = _plainly(notional * STEP / (size * np.abs(parts))), _plainly(margin / size)
        again = size * np.abs(parts / STEP) * worth, size * needed
    known = np.isfinite(parts) & (np.abs(parts) < 2.0**53) & _close(parts / STEP, mark)
    known &= _close(again[0], notional) & _close(again[1], margin)
    rows = np.flatnonzero(known)
    fields = [values[rows] for values in (columns.line_root[line], day, contract, parts, worth, needed)]
    turn = np.lexsort(fields[::-1])
    fields = [values[turn] for values in fields]
    new = np.zeros(len(rows), bool)
    for values in fields:
        new |= np.diff(values, prepend=values[:1] - 1) != 0
    number = np.zeros(len(day), np.int64)
    number[rows[turn]] = np.cumsum(new) - 1
    quotes = dict(zip(("market", "day", "contract", "mark", "worth", "margin"), [f[new] for f in fields], strict=True))
    at = np.full((len(columns.roots) + 1, len(columns.days)), -1)
    at[quotes["market"], quotes["day"]] = np.arange(len(quotes["day"]))
    quotes["at"] = np.maximum.accumulate(at, axis=1)
    odd = np.flatnonzero(~known)
    told = {"line": np.bincount(line, minlength=len(columns.line_root)), "day": _steps(day, line)}
    told |= {
        "contracts": contracts,
        "quote": np.diff(number, prepend=-1) - 1,
        "odd": odd,
        "odd_contract": contract[odd],
    }
    told |= {f"odd_{name}": held[name][order][odd] for name in ("mark", "notional", "margin")}
    return quotes, {f"held_{name}": values for name, values in told.items()}


def _ticks(columns, quotes, prices):
    """Tick of each market [parts], and what one is worth at each quote [account currency]."""
    steps = _steps(quotes["mark"], quotes["market"])
    inside = np.diff(quotes["market"], prepend=-1) == 0
    tick = np.zeros(len(columns.roots), np.int64)
    np.gcd.at(tick, quotes["market"][inside], np.abs(steps[inside]).astype(np.int64))
    for name, price in prices.items():
        market, _, away = _away(columns, quotes, name, price)
        share = np.gcd(tick[market], np.abs(away).astype(np.int64))
        fine = share * FINEST >= tick[market]
        np.gcd.at(tick, market[fine], share[fine])
    tick = np.maximum(tick, 1).astype(float)
    return {"tick": tick, "unit": quotes["worth"] * tick[quotes["market"]] / STEP}


def _told_quotes(quotes):
    """Quotes as their report has them."""
    tick, market = quotes["tick"], quotes["market"]
    first = np.diff(market, prepend=-1) != 0
    begin = np.zeros(len(tick))
    begin[market[first]] = quotes["mark"][first]
    step = np.where(first, 0.0, _steps(quotes["mark"], market) / tick[market] if len(market) else 0.0)
    told = {"count": np.bincount(market, minlength=len(tick)), "day": _steps(quotes["day"], market)}
    return told | {name: quotes[name] for name in ("contract", "worth", "margin", "tick")} | {
        "begin": begin, "step": np.rint(step)
    }  # fmt: skip


def _price(table, name):
    return table[f"{name}_price"].fill_null(0).to_numpy().astype(float)


def _away(columns, quotes, name, price):
    """Market of each trade, the quote of its day, and how far the price is from its mark [parts]; 0 where unknown."""
    trade = columns.trade
    market = columns.line_root[trade["line"]]
    at = quotes["at"][market, trade[name]]
    mark = np.append(quotes["mark"], 0.0)[at]
    parts = np.rint(price * STEP)
    known = np.isfinite(parts) & (np.abs(parts) < 2.0**53) & _close(parts / STEP, price)
    return market, mark, np.where(known, parts - mark, 0.0)


def _told_prices(columns, quotes, name, price):
    """Entries or exits in ticks from the mark of the day."""
    market, mark, away = _away(columns, quotes, name, price)
    tick = quotes["tick"][market]
    steps = np.rint(away / tick)
    steps[np.abs(steps) >= 2.0**31] = 0.0
    odd = np.flatnonzero(~_close((mark + steps * tick) / STEP, price))
    steps[odd] = 0.0
    return {f"price_{name}": steps, f"price_{name}_odd": odd, f"price_{name}_odd_value": price[odd]}


# ------------------------------------------------------------------------------------------------- cells and results


def _told_cells(columns, quotes):
    """Amounts as `columns.js` will have them, and what tells them."""
    cell, starts = columns.cell, columns.owner["start"]
    day, part, amount = cell["day"].astype(np.int64), cell["part"], cell["amount"]
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    at = quotes["at"][columns.line_root[columns.owner["line"][owner]], day]
    unit, worth = (np.append(quotes[name], 0.0)[at] for name in ("unit", "worth"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ticks, rate = np.rint(amount / unit), _plainly(amount / worth)
    ticks[~(np.abs(ticks) < 2.0**31)] = 0.0
    cost = np.flatnonzero((part == COST) & np.isfinite(rate))
    rates, code = np.unique(rate[cost], return_inverse=True)
    if len(rates) > min(FEW, len(cost) // 2):
        rates, code = np.zeros(1), np.zeros(len(cost), np.int64)
    codes = np.zeros(len(part), np.int64)
    codes[cost] = code
    again = np.where(part == GROSS, ticks * unit, np.where(part == COST, np.append(rates, 0.0)[codes] * worth, 0.0))
    odd = np.flatnonzero(~_close(again, amount))
    again[odd] = amount[odd]
    ticks[odd], codes[odd] = 0.0, 0
    begun = np.concatenate([columns.trade["entry"], np.zeros(len(columns.line_root), np.int64)])
    steps = _steps(day, owner)
    first = starts[:-1][np.diff(starts) > 0]
    steps[first] -= begun[owner[first]]
    told = {"day": steps, "part": part, "ticks": ticks[part == GROSS], "code": codes[part == COST], "rates": rates}
    return again, {f"cell_{name}": values for name, values in (told | {"odd": odd, "odd_amount": amount[odd]}).items()}


def _told_results(columns, amounts):
    """Gross, costs and net of the trades by what they miss of sums of cells."""
    trade, count = columns.trade, len(columns.trade["net"])
    sums = totals(Cells(columns.owner["start"], columns.cell["day"], columns.cell["part"], amounts))[:count]
    expected = {"gross": sums[:, GROSS], "costs": sums[:, COST], "net": trade["gross"] + trade["costs"]}
    told = {}
    for name, sum_ in expected.items():
        places = trade[name].view(np.int64) - sum_.copy().view(np.int64)
        odd = np.flatnonzero((places <= -NEAR) | (places >= NEAR))
        places[odd] = 0
        told |= {name: places, f"{name}_odd": odd, f"{name}_odd_value": trade[name][odd]}
    return {f"result_{name}": values for name, values in told.items()}


def _close(told, values):
    """Whether numbers are given back, nan by nan."""
    return (np.abs(told - values) <= CLOSE * np.abs(values)) | (np.isnan(told) & np.isnan(values))


def _plainly(values):
    """Numbers to 13 significant digits."""
    size = np.abs(values)
    power = 10.0 ** (12.0 - np.floor(np.log10(np.where(size > 0.0, size, 1.0))))
    return np.round(values * power) / power


def _steps(values, group):
    """Steps from the row before; the first row of each group as it is."""
    return values - np.where(np.diff(group, prepend=-1) == 0, np.concatenate([values[:1] * 0, values[:-1]]), 0)
