"""Columns: a run as arrays of codes and amounts, which a brush can go through in a millisecond.

Every cent of the ledger is part of a cell (app/cells.py) of an *owner*: a trade, or a line with what belongs to no
trade. What a filter of trades asks for is known of each owner; what one of days asks for is the day and its regime.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import RLock
from typing import NamedTuple

import numpy as np
import polars as pl

from app import cells
from app.bins import of_holding, of_results, placed
from app.cells import COST, GROSS, INTEREST
from app.selection import SIDES
from engine.analysis.daily import codes, labelled, rows_of
from engine.book import CAUSES, COSTS_OF, OF_TRADES, TRANSFER

TRADED = tuple(CAUSES.index(name) for name in OF_TRADES)
COSTS = tuple(CAUSES[k] for k in COSTS_OF)  # what `costs` of a trade adds up
LONG, SHORT, NEITHER = range(3)  # sides; NEITHER: interest, fees and what else belongs to no trade
ACCOUNT = "account"  # how the account's own cents are called beside markets, sectors and strategies
NEITHER_SIDE, NONE, UNKNOWN = (
    "neither",
    "none",
    "unknown",
)  # what belongs to no trade; a reason that was not written down
_ONE = RLock()
NOT_NOW = "The regimes are being worked out."


class Regimes(NamedTuple):
    """The portfolio's regime of each day, as it was known at the close of the day before."""

    names: tuple  # of the codes, the last one for days on which none was known; () where the market cannot be had
    code: np.ndarray  # (T + 1,) int32; row 0 is known of nothing
    missing: str  # why there are no names, in words; "" where there are


@dataclass(frozen=True)
class Columns:
    """Axes: day T, line L (the account is line L), trade N, owner N + L + 1 (trades, then lines), cell, held row.

    Money is in account currency.
    """

    run: object  # the RunResult itself
    currency: str
    compounding: bool  # False: returns are shares of the starting capital
    days: np.ndarray  # (T + 1,) datetime64[D]; row 0 is the starting capital, before the first bar
    equity: np.ndarray  # (T + 1,)
    paid: np.ndarray  # (T + 1,) money paid in (out, negative) before the day's trades; no profit
    roots: tuple  # names of the markets traded: CL, or CL.c.3
    sectors: tuple
    strategies: tuple
    entry_reasons: tuple  # what began the trades of the run, and what ended them
    exit_reasons: tuple
    line_root: np.ndarray  # (L + 1,) index into roots; len(roots) for the account
    line_sector: np.ndarray  # (L + 1,)
    line_strategy: np.ndarray  # (L + 1,)
    cell: dict  # day (row of `days`), part; amount; sorted by owner, then day
    owner: (
        dict  # line, side, entry_reason, exit_reason: codes, `kind` all three of these; start: (N + L + 2,) its first
    )
    # cell; first, last: rows of the days on which it may have cells; gross, cost, interest: sums of its cells
    held: dict  # day, line, side, owner; contract, contracts (signed), mark; notional, margin: positive
    trade: (
        dict  # line, side, entry, exit (rows of `days`), entry_reason, exit_reason; net, gross, costs, holding [bars];
    )
    # result_bin, holding_bin: numbers of bins
    result_bins: np.ndarray  # edges of the bins of `net`; those at the ends hold what lies beyond them, too
    holding_bins: np.ndarray  # edges of the bins of `holding` [bars]
    table: pl.DataFrame  # the trades as `RunResult.trades` gives them, newest exit first, in the order of `trade`
    slices: OrderedDict = field(default_factory=OrderedDict)  # the last selections of it, by their key
    bodies: OrderedDict = field(default_factory=OrderedDict)  # what they leave of all days, by the filters of trades
    market: object = None  # makes the Market of the run when first asked; None: there is no way to it
    made: dict = field(default_factory=dict)  # what was worked out when first asked

    @classmethod
    def of(cls, run, archive=None, market=None):
        """The columns of a run; `archive` that it is stored in, or its `market`, is what regimes are made of."""
        equity = run.equity()
        days = equity["day"].to_numpy().astype("datetime64[D]")
        trades = (
            _by_market(run.trades())
            .with_columns(pl.col("exit_day").fill_null(days[-1].astype(object)))
            .sort("exit_day", "entry_day", "trade", descending=True)
        )
        ledger, positions = _by_market(run.ledger()), _by_market(run.positions())
        cause = codes(ledger["cause"], CAUSES)
        lines, of_lines = _lines(trades, ledger, positions)
        sectors = _sectors(trades, lines)
        roots = tuple(sorted({root for _, root in lines}))
        strategies = tuple(sorted({strategy for strategy, _ in lines}))
        names = tuple(sorted(set(sectors.values())))
        trade, reasons = _trade_arrays(trades, of_lines[0], days)
        bins = of_results(trade["net"]), of_holding(trade["holding"])
        trade |= {"result_bin": placed(trade["net"], bins[0]), "holding_bin": placed(trade["holding"], bins[1])}
        cell, owner, paid = _dealt(ledger, cause, of_lines[1], trade, (len(days), len(lines) + 1), days)
        owner |= _owners(trade, reasons, len(lines) + 1)
        return cls(
            run=run,
            currency=run.portfolio.currency,
            compounding=getattr(run.portfolio, "compounding", True),
            days=days,
            equity=equity["equity"].to_numpy(),
            paid=paid,
            roots=roots,
            sectors=names,
            strategies=strategies,
            entry_reasons=reasons[0],
            exit_reasons=reasons[1],
            line_root=_codes([root for _, root in lines], roots),
            line_sector=_codes([sectors[root] for _, root in lines], names),
            line_strategy=_codes([strategy for strategy, _ in lines], strategies),
            cell=cell,
            owner=owner,
            held=_held(positions, of_lines[2], days, trade, len(lines) + 1),
            trade=trade,
            result_bins=bins[0],
            holding_bins=bins[1],
            table=trades,
            market=_source(run, archive, market),
        )

    @property
    def turnover(self):
        """Turnover of the whole run a year, which fills alone can tell; nan where it is undefined."""
        value = self.run.metrics().get("turnover")
        return float("nan") if value is None else float(value)

    @property
    def capital(self):
        """Equity before the first bar."""
        return float(self.equity[0])

    def names(self, kind):
        """Names of the rows of `Slice.by_...`; the last one is of what belongs to no market, or to no trade."""
        return {
            "root": (*self.roots, ACCOUNT),
            "sector": (*self.sectors, ACCOUNT),
            "strategy": (*self.strategies, ACCOUNT),
            "side": (*SIDES, NEITHER_SIDE),
            "entry": (*self.entry_reasons, NONE),
            "exit": (*self.exit_reasons, NONE),
        }[kind]

    def regimes(self, kind):
        """The `Regimes` of a kind of `engine.analysis.regimes`, made when first asked, which may take seconds.

        Where the market of the run cannot be had, `missing` says why.
        """
        key = f"regimes {kind}"
        if key not in self.made:
            with _ONE:  # several views ask at once
                self.made[key] = self.made.get(key) or self._regimes(kind)
        return self.made[key]

    def regimes_now(self, kind):
        """The same without waiting: no names as long as nobody has asked for `regimes`."""
        if self.market is None:
            return self.regimes(kind)
        return self.made.get(f"regimes {kind}") or Regimes((), np.zeros(len(self.days), np.int32), NOT_NOW)

    def _regimes(self, kind):
        from engine.analysis.conditions import NOT_KNOWN, known_before
        from engine.analysis.regimes import labels

        none = np.zeros(len(self.days), np.int32)
        if self.market is None:
            return Regimes((), none, "Regimes need the market of the run, which is read from its store: open one.")
        try:
            market = self.made.get("market")  # of a page that keeps it; else it is let go again, with its file
            told = labels(self.market() if market is None else market, kind)
        except (ValueError, OSError) as error:  # not run here, or the data are not there any more as it used them
            return Regimes((), none, f"Regimes need the market of the run: {error}")
        known = known_before(told, (), Days(self.days, ()))
        code = np.concatenate([[-1], known.together]).astype(np.int32)
        return Regimes((*known.names, NOT_KNOWN), np.where(code < 0, len(known.names), code).astype(np.int32), "")


class Days(NamedTuple):
    """What `known_before` reads of a `Daily`: days, and markets, of which none is asked."""

    days: np.ndarray
    names: tuple


def _source(run, archive, market):
    """What makes the run's Market, or None."""
    if market is not None:
        return lambda: market
    if archive is None:
        return None

    def load():
        from engine.analysis.source import market_of_run

        return market_of_run(archive, run)

    return load


def _by_market(frame):
    """The rows with the name of their market, which is the root in a run of before 0.5."""
    return frame if "market" in frame.columns else frame.with_columns(pl.col("root").alias("market"))


def _lines(*frames):
    """Lines (strategy, market) in the order of their names, and the number of the line of each row of the frames.

    A strategy may have two lines in one market, as a leg of a spread beside the market itself; before 0.7 these had no
    numbers. The number after the last line is the account's, which has no market.
    """
    numbered, told = all("line" in frame.columns for frame in frames), []
    for frame in frames:
        (strategy, strategies), (market, markets) = (labelled(frame[name], "") for name in ("strategy", "market"))
        number = frame["line"].to_numpy().astype(np.int64) + 1 if numbered else np.zeros(len(frame), np.int64)
        shape = (int(number.max(initial=0)) + 1, len(strategies), len(markets))
        key = (number * shape[1] + strategy) * shape[2] + market
        there = np.flatnonzero(np.bincount(key, minlength=np.prod(shape)))
        found = zip(there, *np.unravel_index(there, shape), strict=True)
        told.append((key, np.prod(shape), [(k, (strategies[s], markets[m], int(n))) for k, n, s, m in found]))
    lines = sorted({line for _, _, keys in told for _, line in keys if line[1]})
    place, rows = {line: k for k, line in enumerate(lines)}, []
    for key, count, keys in told:
        code = np.zeros(count, np.int32)
        for k, line in keys:
            code[k] = place.get(line, len(lines))
        rows.append(code[key])
    return [line[:2] for line in lines], rows


def _sectors(trades, lines):
    """Sector of each market."""
    known = dict(trades.select(pl.col("market").cast(pl.String), "sector").unique().rows())
    return {root: known.get(root) or "other" for _, root in lines}


def _codes(values, names):
    """Index of each value in names, and one more row for the account."""
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[value] for value in values] + [len(names)], np.int32)


def _rows(days, column):
    """Row of `days` at which each date of a column stands; a day that is not one of the run's counts to the next."""
    rows = rows_of(days, column).astype(np.int32)
    if rows.max(initial=0) >= len(days):
        raise ValueError(f"{column.name} {column.max()} lies after {days[-1]}, the last day of the run's equity")
    return rows


def _trade_arrays(trades, line, days):
    """Arrays of the trades, and the names of what began and what ended them."""
    unknown = pl.Series([None] * len(trades), dtype=pl.String)
    told = [labelled(trades.get_column(name, default=unknown), UNKNOWN) for name in ("entry_reason", "exit_reason")]
    arrays = {
        "line": line,
        "side": (codes(trades["direction"], SIDES) if len(trades) else np.zeros(0)).astype(np.int32),
        "entry": _rows(days, trades["entry_day"]),
        "exit": _rows(days, trades["exit_day"]),
        "entry_reason": told[0][0].astype(np.int32),
        "exit_reason": told[1][0].astype(np.int32),
        **{name: trades[name].to_numpy().astype(float) for name in ("gross", "costs", "net")},
        "holding": trades["bars"].to_numpy().astype(float),
    }
    return arrays, tuple(tuple(texts) for _, texts in told)


def _dealt(ledger, cause, line, trade, shape, days):
    """Cells of the ledger without payments; their owners' first cells, days and sums; and the payments by day."""
    day, amount = _rows(days, ledger["day"]), ledger["amount"].to_numpy()
    part_of = np.full(len(CAUSES), GROSS, np.uint8)
    part_of[list(COSTS_OF)], part_of[CAUSES.index("interest")] = COST, INTEREST
    paid = cause == TRANSFER
    payments = np.bincount(day[paid], amount[paid], minlength=len(days)).astype(float)  # of no row: int
    rows = (day, line, part_of[cause], amount)
    own = ~np.isin(cause, TRADED)
    kept = ~paid
    made = cells.dealt(*(values[kept] for values in rows), trade, shape, own[kept])
    own, count = made.start[len(trade["line"]) :], len(made.day)
    first, last = (np.append(made.day, 0)[np.minimum(at, count)] for at in (own[:-1], own[1:] - 1))
    sums = cells.totals(made)
    owner = {
        "start": made.start,
        "first": np.concatenate([trade["entry"], first]),
        "last": np.concatenate([trade["exit"], last]),
        **{name: sums[:, part].copy() for part, name in ((GROSS, "gross"), (COST, "cost"), (INTEREST, "interest"))},
    }
    return {"day": made.day, "part": made.part, "amount": made.amount}, owner, payments


def _owners(trade, reasons, lines):
    """Codes of trades, then of what the lines have beside them: of no side, and begun and ended by nothing."""
    own = {"line": np.arange(lines), "side": NEITHER}
    own |= {"entry_reason": len(reasons[0]), "exit_reason": len(reasons[1])}
    told = {
        name: np.concatenate([trade[name], np.broadcast_to(value, lines)]).astype(np.int32)
        for name, value in own.items()
    }
    shape = (NEITHER + 1, len(reasons[0]) + 1, len(reasons[1]) + 1)
    kind = np.ravel_multi_index([told[name] for name in ("side", "entry_reason", "exit_reason")], shape)
    return told | {"kind": kind.astype(np.int32)}


def _held(positions, line, days, trade, lines):
    """Positions by day and line: absolute notional and margin; contracts of a line are of one side."""
    short = (positions["contracts"] < 0.0).to_numpy()
    held = {"day": _rows(days, positions["day"]), "line": line}
    return held | {
        "side": np.where(short, SHORT, LONG).astype(np.int32),
        "owner": cells.held_by(held, trade, (len(days), lines)),
        "contract": positions["contract"].fill_null(0).to_numpy().astype(np.int32),  # 0: another program's run
        "contracts": positions["contracts"].to_numpy().astype(float),
        "mark": positions["mark"].to_numpy().astype(float),
        "notional": np.abs(positions["notional"].fill_null(0.0).fill_nan(0.0).to_numpy()),
        "margin": np.abs(positions["margin"].fill_null(0.0).fill_nan(0.0).to_numpy()),
    }
