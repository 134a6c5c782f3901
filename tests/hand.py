"""Small accounts worked by hand: a few markets, a few bars, everything else zero unless said.

A value is a number, a list by bar (the same for all markets), or an array (time, market).
"""

import numpy as np

from engine.book import (
    EVENTS,
    EXITS,
    KINDS,
    MEMORY,
    PARAMS,
    PROGRAMS,
    TRADE_FIELDS,
    Account,
    Clock,
    Facts,
    Finer,
    Limits,
    Lines,
    Orders,
    Prices,
    Programs,
    Risk,
    Sleeves,
    Wishes,
)  # fmt: skip
from engine.simulate import idle, simulate

PLAIN = Account(
    per_capital=False, compounding=True, sweep=True, rounding=0, buffer=0.0, at_open=True, through=True, policy=0,
    participation=np.inf, power=1.0, stale_leg_days=5, roll_days=1, intraday_margin=1.0, spread_credit=0.0, call=0,
    floor=-np.inf, credit_spread=0.0, debit_spread=0.0, fee=0.0, fixed_fee=0.0,
)  # fmt: skip
FLAGS = {"roll": bool, "closed": bool, "left_end": bool}
WHOLE = {"contract": np.int32, "roll_contract": np.int32, "left_contract": np.int32, "locked": np.int8}
ASKED = {"kind": np.int8, "day": bool, "hold": np.int32, "episode": np.int32}


def account(fill, mark, target, capital=20000.0, lines=None, markets=1, **changes):
    """Ledger of an account that trades to `target` (of the members) at `fill`, marked at `mark`.

    `lines` tells the columns of `Lines` that are not one line a market; `open`, `high`, `low`, `close`, all other
    fields of `engine.book`, those of `Orders` as `order_<field>` and of `Limits` as `limit_<field>`, go by name; so do
    `finer`, `risk`, `programs`, `program` and `contracts` (of each member). A side of a roll costs what a side costs,
    unless `roll_slippage`, `roll_commission` say else.
    """
    time = len(mark)
    shape = (time, markets)
    if "roll" in changes and "roll_from_fill" not in changes:
        changes |= {"roll_from_fill": changes["roll_from"], "roll_to_fill": changes["roll_to"]}
    usual = {"multiplier": 1.0, "fx": 1.0, "contract": 202403, "tick": 0.25, "fill": fill, "mark": mark}
    usual |= {name: changes.get("close", mark) for name in ("open", "high", "low", "close")}
    usual |= dict.fromkeys(("volume", "roll_volume", "left_open", "left_mark", "left_volume", "liquidity"), np.nan)
    usual |= dict.fromkeys(("roll_from", "roll_to", "roll_from_fill", "roll_to_fill", "open_interest", "sigma"), np.nan)
    usual |= {f"roll_{name}": changes.get(name, 0.0) for name in ("slippage", "commission")}
    usual |= changes
    prices, facts = (
        kind(**{n: spread(usual.get(n, 0.0), shape, FLAGS.get(n) or WHOLE.get(n, float)) for n in kind._fields})
        for kind in (Prices, Facts)
    )
    placed = lines_of(markets, lines or {})
    members = int(placed.member.max()) + 1
    wanted = spread(target, (time, members))
    ordered = any(name.startswith("order_") for name in changes)
    orders = Orders(
        **{
            n: spread(usual.get(f"order_{n}", 0 if n in ASKED else np.nan), (time, members), ASKED.get(n, float))
            for n in Orders._fields
        }
    )
    wishes = Wishes(
        weight=wanted, usual=spread(usual.get("usual", 0.0), (time, members)),
        resize=np.full(members, usual.get("resize", not ordered)), ordered=np.full(members, ordered),
        program=np.broadcast_to(usual.get("program", -1), members).astype(np.int64),
        contracts=np.full(members, usual.get("contracts", False)),
    )  # fmt: skip
    clock = Clock(
        days=row(usual.get("days", 1.0), time), day_end=row(usual.get("day_end", True), time, bool),
        month_begin=row(usual.get("month_begin", False), time, bool),
        rebalance=row(usual.get("rebalance", False), time, bool), rate=row(usual.get("rate", 0.0), time),
        transfer=row(usual.get("transfer", 0.0), time),
    )  # fmt: skip
    share = np.asarray(usual.get("share", [1.0]), float)
    available = spread(usual.get("available", True), shape, bool)
    money = PLAIN._replace(**{k: v for k, v in changes.items() if k in Account._fields})
    return simulate(
        prices, facts, placed, wishes, orders if ordered else None, money, limits_of(len(placed.member), changes),
        clock, Sleeves(capital * share, share), usual.get("finer"), available, usual.get("programs"), usual.get("risk"),
    )  # fmt: skip


def bars(*rows):
    """Open, high, low, close of each bar; the open is the fill, the close the mark."""
    told = dict(zip(("open", "high", "low", "close"), (list(one) for one in zip(*rows, strict=True)), strict=True))
    return told | {"fill": told["open"], "mark": told["close"]}


def flat(price):
    return (price,) * 4


def lines_of(markets, given):
    """One line a market, or as `given`."""
    count = len(given.get("instrument", range(markets)))
    usual = {"instrument": np.arange(count), "member": np.arange(count), "ratio": np.ones(count)}
    usual |= {"sleeve": np.zeros(count), "root": np.arange(count), "sector": np.zeros(count), "group": -np.ones(count)}
    usual |= given
    return Lines(**{n: np.asarray(usual[n], float if n == "ratio" else np.int64) for n in Lines._fields})


def limits_of(lines, changes):
    """No limits but those of `changes`, told as `limit_<field>`."""
    most = {n.removeprefix("limit_"): v for n, v in changes.items() if n.startswith("limit_")}
    usual = dict.fromkeys(Limits._fields, np.inf) | {"contracts": np.full(lines, np.inf), "group": np.full(1, np.inf)}
    usual |= {n: np.full(len(usual[n]), float(v)) if n in ("contracts", "group") else v for n, v in most.items()}
    return Limits(**(usual | {"any": bool(most)}))


def spread(values, shape, dtype=float):
    """A number, a list by bar, or an array (time, market), as an array of a shape."""
    values = np.asarray(values, dtype)
    values = values.reshape(-1, 1) if values.ndim == 1 else values
    return np.array(np.broadcast_to(values, shape), order="C")  # a copy: a view is read-only, and compiled for anew


def row(values, time, dtype=float):
    """The same for what belongs to the bars alone."""
    return np.array(np.broadcast_to(np.asarray(values, dtype), (time,)), order="C")


def called(function, members, mark, params=()):
    """`Programs` of one function that decides for all members, one a market."""
    first, last, given = np.zeros(PROGRAMS, np.int64), np.zeros(PROGRAMS, np.int64), np.zeros((PROGRAMS, PARAMS))
    last[0], given[0, : len(params)] = members, params
    prices = spread(mark, (len(mark), members))
    functions = (function.compiled,) + (idle.compiled,) * (PROGRAMS - 1)
    return Programs(functions, first, last, np.arange(members), prices, prices, given, np.zeros((members, MEMORY)))


# Reading what an account leaves


def fills(ledger):
    """(bar, line, kind, contracts, price) of each fill."""
    return [(int(row[0]), int(row[1]), KINDS[int(row[3])], row[4], row[5]) for row in ledger.fills.tolist()]


def events(ledger):
    """(bar, line, what, wanted, allowed) of each event."""
    return [(int(row[0]), int(row[1]), EVENTS[int(row[2])], row[3], row[4]) for row in ledger.events.tolist()]


def trade(rows, field):
    """One field of trades."""
    return rows[:, TRADE_FIELDS.index(field)].tolist()


def exits(rows):
    """Why trades ended."""
    return [EXITS[int(why)] for why in trade(rows, "exit_reason")]


def held(ledger, line=0):
    """Position of a line, bar by bar."""
    return ledger.position[:, line].tolist()


__all__ = [
    "PLAIN", "Finer", "Risk", "account", "bars", "called", "events", "exits", "fills", "flat", "held", "trade",
]  # fmt: skip
