"""The tables of a run, made from the arrays that a simulation leaves, when somebody asks for them."""

import hashlib
from dataclasses import replace

import numpy as np
import polars as pl

from engine import book
from engine.book import CAUSES, EVENTS, EXITS, FILL_FIELDS, KINDS, OF_TRADES, PRICE, TRADE_FIELDS, TRANSFER
from engine.fills import shown
from engine.ratios import unpaid
from engine.rows import carried

TOLERANCE, RELATIVE = 1e-6, 1e-12  # of the identity [account currency], [1]
ACCOUNT = ""  # strategy and root of what belongs to the account and no line: interest, fees
TOLD = 200  # events of one kind that `run.json` lists


def result_hash(ledger):
    """sha256 over the numbers of a simulation: equity, ledger, positions and fills, array by array, byte by byte."""
    digest = hashlib.sha256()
    names = (
        "equity",
        "price",
        "interest",
        "entries",
        "position",
        "left",
        "fills",
        "trades",
        "legs",
        "sleeve",
        "events",
    )
    for array in (getattr(ledger, name) for name in names):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array + 0.0))  # + 0.0: a negative zero is a zero
    return digest.hexdigest()


def by_days(ledger, clock):
    """The ledger and the clock of bars within the day, told by days: sums of money, the last of what is held."""
    begin = np.flatnonzero(np.append(True, clock.day_end[:-1]))
    day = np.cumsum(np.append(0, clock.day_end[:-1]))
    fills, events, entries = ledger.fills.copy(), ledger.events.copy(), ledger.entries.copy()
    trades, legs = ledger.trades.copy(), ledger.legs.copy()
    for rows in (fills, events, entries):
        rows[:, 0] = day[rows[:, 0].astype(np.int64)]
    for rows in (trades, legs):
        for field in (book.ENTRY, book.EXIT):
            rows[:, field] = day[rows[:, field].astype(np.int64)]
        rows[:, book.BARS] = rows[:, book.EXIT] - rows[:, book.ENTRY]
    last = {name: getattr(ledger, name)[clock.day_end] for name in ("position", "left", "equity", "sleeve", "margin")}
    sums = {n: np.add.reduceat(getattr(ledger, n), begin, axis=0) for n in ("price", "interest", "notional")}
    told = replace(ledger, **last, **sums, fills=fills, events=events, trades=trades, legs=legs, entries=entries)
    return told, clock._replace(transfer=np.add.reduceat(clock.transfer, begin))


def identity_holds(ledger, trades=None):
    """Whether contract and adjusted profit agree, and trades and ledger: line by line, to 1e-6 of account currency, or
    1e-12 of all daily profit moved. `trades` is what `trades_apart` says, where that is known already."""
    moved = np.abs(ledger.amount[:, :-1, PRICE]).sum(axis=0)
    apart = np.maximum(np.abs(ledger.residual), trades_apart(ledger) if trades is None else trades)
    return bool(np.all(apart <= np.maximum(TOLERANCE, RELATIVE * moved)))


def trades_apart(ledger, sums=None):
    """By how much each line's trades, as they are told worse, miss its ledger; (line,). [account currency]

    The ledger is that of the causes `OF_TRADES`: foreign money that is kept goes on changing its value when the trade
    that earned it is over, so that its `fx` is of no trade. `sums` are those of the ledger over all days, where they
    are known already.
    """
    sums = ledger.amount.sum(axis=0) if sums is None else sums
    booked = sums[:-1, : len(OF_TRADES)].sum(axis=1)
    return np.maximum(*(np.abs(_nets(rows, len(booked)) - booked) for rows in (ledger.trades, ledger.legs)))


def _nets(rows, lines):
    """What trades earned less what they cost, line by line."""
    return np.bincount(rows[:, book.LINE].astype(np.int64), rows[:, book.GROSS] + rows[:, book.COSTS], lines)


def tables(ledger, market, layout, capital, sleeves, compounding=True):
    """The tables of a run, made when they are asked for: name -> function without arguments."""
    return {
        "equity": lambda: _equity(ledger, market, capital, compounding),
        "trades": lambda: _trades(ledger.trades, market, layout),
        "contract_trades": lambda: _contract_trades(ledger.legs, market, layout),
        "positions": lambda: _positions(ledger, market, layout),
        "ledger": lambda: _ledger(ledger, market, layout),
        "fills": lambda: _fills(ledger, market, layout),
        "sleeves": lambda: _sleeves(ledger, market, sleeves),
        "events": lambda: _events(ledger, market, layout),
    }


def events(ledger, market, layout):
    """The first events of each kind as records: day, root (name of the market), kind, contracts wanted and allowed."""
    out, count = [], {}
    for t, line, what, wanted, allowed in ledger.events.tolist():
        kind = EVENTS[int(what)]
        count[kind] = count.get(kind, 0) + 1
        if count[kind] <= TOLD:
            root = layout.labels[int(line)][1] if line >= 0 else ACCOUNT
            sizes = {"wanted": wanted, "allowed": allowed}
            told = {name: None if np.isnan(value) else value for name, value in sizes.items()}
            out.append({"day": str(market.days[int(t)]), "root": root, "kind": kind} | told)
    return out


def counted(ledger):
    """Kind of event -> how many."""
    kinds, counts = np.unique(ledger.events[:, 2].astype(np.int64), return_counts=True)
    return {EVENTS[kind]: int(n) for kind, n in zip(kinds.tolist(), counts.tolist(), strict=True)}


def _named(codes, names):
    """Text column that picks `names` by number, each distinct text stored once."""
    return pl.Series(list(names), dtype=pl.Enum(list(dict.fromkeys(names)))).gather(codes)


def _line_columns(rows, market, layout):
    """strategy, root and market of each row's line; the number after the last line is the account's.

    A market that is not its root alone has a name of its own: CL.c.3.
    """
    roots = [market.roots[m] for m in layout.lines.instrument]
    return {
        "strategy": _named(rows, [*(strategy for strategy, _ in layout.labels), ACCOUNT]),
        "root": _named(rows, [*roots, ACCOUNT]),
        "market": _named(rows, [*(name for _, name in layout.labels), ACCOUNT]),
    }


def _number(rows, layout):
    """Number of each row's line; -1 of the account."""
    return np.where(rows < len(layout.labels), rows, -1).astype(np.int32)


def _equity(ledger, market, capital, compounding):
    """Money paid in or out is no gain and no loss: the drawdown is that of the starting capital alone."""
    equity = np.concatenate([[capital], ledger.equity])
    alone = unpaid(equity, ledger.amount[:, -1, TRANSFER], compounding)
    peak = np.maximum.accumulate(alone)
    before = market.days[:1] - np.timedelta64(1, "D")
    return pl.DataFrame(
        {
            "day": np.concatenate([before, market.days]),
            "equity": equity,
            "cash": equity,  # every position is settled every day, so what is owned is cash
            "margin": np.concatenate([[0.0], ledger.margin]),
            "drawdown": alone / peak - 1.0,
        }
    )


def _trade_frame(rows, market, layout):
    f = {name: rows[:, k] for k, name in enumerate(TRADE_FIELDS)}
    line = f["line"].astype(np.int64)
    entry, exit_ = f["entry"].astype(np.int64), f["exit"].astype(np.int64)
    sectors = np.array([*market.sectors, ""])[layout.lines.instrument[line]] if len(line) else np.array([], str)
    return pl.DataFrame(
        {
            "trade": np.arange(1, len(rows) + 1),
            **_line_columns(line, market, layout),
            "sector": pl.Series(sectors.tolist(), dtype=pl.String),
            "direction": np.where(f["direction"] > 0, "long", "short"),
            "contracts": f["contracts"],
            "entry_day": market.days[entry],
            "exit_day": market.days[exit_],
            "entry_contract": f["entry_contract"].astype(np.int32),
            "exit_contract": f["exit_contract"].astype(np.int32),
            "entry_price": f["entry_price"],
            "exit_price": f["exit_price"],
            "rolls": f["rolls"].astype(np.int32),
            "bars": f["bars"].astype(np.int32),
            "gross": f["gross"],
            "costs": f["costs"],
            "net": f["gross"] + f["costs"],
            "entry_reason": np.array(KINDS)[f["entry_kind"].astype(np.int64)],
            "exit_reason": np.array(EXITS)[f["exit_reason"].astype(np.int64)],
            "risk": pl.Series(f["risk"]).fill_nan(None),
            "ambiguous": f["ambiguous"].astype(np.int32),
            "open": f["exit_reason"] == EXITS.index("open"),
            "line": _number(line, layout),
        },
    )


def _trades(rows, market, layout):
    return _trade_frame(rows, market, layout).sort("entry_day", "root", "trade", maintain_order=True)


def _contract_trades(rows, market, layout):
    frame = _trade_frame(rows, market, layout)
    frame = frame.rename({"entry_contract": "contract"}).drop("exit_contract", "rolls", "open", "risk")
    return frame.sort("entry_day", "root", "trade", maintain_order=True)


def _positions(ledger, market, layout):
    """One row a day, line and contract held; during a roll of several days a line holds two."""
    instrument = layout.lines.instrument
    mark = carried(np.where(market.roll, market.roll_to, market.mark))
    held = np.where(market.roll, market.roll_contract, market.contract)
    parts = [(ledger.position - ledger.left, held, mark)]
    if np.any(ledger.left):
        parts.append((ledger.left, _left_contract(market), carried(_left_mark(market))))
    frames = []
    for size, contract, price in parts:
        t, line = np.nonzero(size)
        m, q = instrument[line], size[t, line]
        worth = market.multiplier[t, m] * market.fx[t, m]
        columns = {
            "contract": contract[t, m].astype(np.int32), "contracts": q, "mark": price[t, m],
            "notional": q * price[t, m] * worth,
            "margin": np.abs(q) * market.initial_margin[t, m] * market.fx[t, m],
            "line": _number(line, layout),
        }  # fmt: skip
        frames.append(pl.DataFrame({"day": market.days[t], **_line_columns(line, market, layout), **columns}))
    return pl.concat(frames).sort("day", maintain_order=True) if len(frames) > 1 else frames[0]


def _left_contract(market):
    """The contract rolled out of: on the day of the roll it is still that of the bar."""
    return np.where(market.roll, market.contract, market.left_contract)


def _left_mark(market):
    return np.where(market.roll, market.roll_from, market.left_mark)


def _ledger(ledger, market, layout):
    t, line, cause = np.nonzero(ledger.amount)
    return pl.DataFrame(
        {
            "day": market.days[t],
            **_line_columns(line, market, layout),
            "cause": _named(cause, CAUSES),
            "amount": ledger.amount[t, line, cause],
            "line": _number(line, layout),
        }
    )


def _fills(ledger, market, layout):
    """`price` is the order's, `shown` that of a broker's statement: with slippage, inside the bar's range (T21)."""
    f = {name: ledger.fills[:, k] for k, name in enumerate(FILL_FIELDS)}
    t, line = f["t"].astype(np.int64), f["line"].astype(np.int64)
    m, kind = layout.lines.instrument[line], f["kind"].astype(np.int64)
    worth = market.multiplier[t, m] * market.fx[t, m] * np.abs(f["contracts"])
    points = np.divide(-(f["slippage"] + f["impact"]), worth, out=np.zeros(len(t)), where=worth > 0)
    high, low = market.high[t, m].copy(), market.low[t, m].copy()
    other = f["contract"] != market.contract[t, m]  # the range of the bar is that of its own contract
    high[other], low[other] = np.nan, np.nan
    sides = np.sign(f["contracts"])
    return pl.DataFrame(
        {
            "day": market.days[t],
            **_line_columns(line, market, layout),
            "contract": f["contract"].astype(np.int32),
            "kind": _named(kind, KINDS),
            "contracts": f["contracts"],
            "price": f["price"],
            "shown": shown(f["price"], points, sides, high, low),
            "slippage": f["slippage"],
            "impact": f["impact"],
            "commission": f["commission"],
            "line": _number(line, layout),
        }
    )


def _sleeves(ledger, market, names):
    rows, count = ledger.sleeve.shape
    return pl.DataFrame(
        {
            "day": np.repeat(market.days, count),
            "sleeve": _named(np.tile(np.arange(count), rows), names),
            "equity": ledger.sleeve.ravel(),
        }
    )


def _events(ledger, market, layout):
    f = {name: ledger.events[:, k] for k, name in enumerate(book.EVENT_FIELDS)}
    line = f["line"].astype(np.int64)
    line = np.where(line < 0, len(layout.labels), line)
    return pl.DataFrame(
        {
            "day": market.days[f["t"].astype(np.int64)],
            **_line_columns(line, market, layout),
            "kind": _named(f["kind"].astype(np.int64), EVENTS),
            "wanted": f["wanted"],
            "allowed": f["allowed"],
            "line": _number(line, layout),
        }
    )
