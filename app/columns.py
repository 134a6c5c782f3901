"""Columns: a run as arrays of codes and amounts, which a brush can go through in a millisecond.

Every cent of the ledger becomes part of a *cell* (day, line, side, part): `side` is the direction of the trade to which
the cent belongs, so that trades, bars and equity add up under any filter. On a day on which one trade ends and the next
begins the trade's own result says how that day is split.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from engine.book import CAUSES, COSTS_OF

COSTS = tuple(CAUSES[k] for k in COSTS_OF)  # what `costs` of a trade adds up
GROSS, COST, INTEREST = range(3)  # parts of a cell
LONG, SHORT, NEITHER = range(3)  # sides; NEITHER: interest, fees and what else belongs to the account
ROUNDING = 1e-9  # less than this is no cent [account currency]
ACCOUNT = "account"  # how the account's own cents are called beside markets and sectors


@dataclass(frozen=True)
class Columns:
    """Axes: day T, line L (the account is line L), cell, held row, trade. Money in account currency."""

    run: object  # the RunResult itself
    currency: str
    compounding: bool  # False: returns are shares of the starting capital
    days: np.ndarray  # (T + 1,) datetime64[D]; row 0 is the starting capital, before the first bar
    equity: np.ndarray  # (T + 1,)
    paid: np.ndarray  # (T + 1,) money paid in (out, negative) before the day's trades; no profit
    roots: tuple  # names of the markets traded: CL, or CL.c.3
    sectors: tuple
    strategies: tuple
    line_root: np.ndarray  # (L + 1,) index into roots; len(roots) for the account
    line_sector: np.ndarray  # (L + 1,)
    line_strategy: np.ndarray  # (L + 1,)
    cell: dict  # day (row of `days`), line, side, part: uint; amount
    held: dict  # day, line, side; contract, contracts (signed), mark; notional, margin: positive
    trade: dict  # line, side, entry, exit (rows of `days`); net, gross, costs
    table: pl.DataFrame  # the trades as `RunResult.trades` gives them, newest exit first, in the order of `trade`
    slices: OrderedDict = field(default_factory=OrderedDict)  # the last selections of it, by their key

    @classmethod
    def of(cls, run):
        """The columns of a run."""
        equity = run.equity()
        days = equity["day"].to_numpy().astype("datetime64[D]")
        trades = (
            _by_market(run.trades())
            .with_columns(pl.col("exit_day").fill_null(days[-1].astype(object)))
            .sort("exit_day", "entry_day", "trade", descending=True)
        )
        every, positions = _by_market(run.ledger()), _by_market(run.positions())
        payment = pl.col("cause").cast(pl.String) == "transfer"
        payments, ledger = every.filter(payment), every.filter(~payment)
        lines, sectors = _lines(trades, ledger, positions)
        roots = tuple(sorted({root for _, root in lines}))
        strategies = tuple(sorted({strategy for strategy, _ in lines}))
        names = tuple(sorted(set(sectors.values())))
        trade = _trade_arrays(trades, lines, days)
        return cls(
            run=run,
            currency=run.portfolio.currency,
            compounding=getattr(run.portfolio, "compounding", True),
            days=days,
            equity=equity["equity"].to_numpy(),
            paid=np.bincount(_rows(days, payments["day"]), payments["amount"].to_numpy(), minlength=len(days)),
            roots=roots,
            sectors=names,
            strategies=strategies,
            line_root=_codes([root for _, root in lines], roots),
            line_sector=_codes([sectors[root] for _, root in lines], names),
            line_strategy=_codes([strategy for strategy, _ in lines], strategies),
            cell=_cells(ledger, lines, days, trade),
            held=_held(positions, lines, days),
            trade=trade,
            table=trades,
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


def _by_market(frame):
    """The rows with the name of their market, which is the root in a run of before 0.5."""
    return frame if "market" in frame.columns else frame.with_columns(pl.col("root").alias("market"))


def _lines(trades, ledger, positions):
    """Lines (strategy, market) in the order of their names, and the sector of each market."""
    pairs = pl.concat(
        [frame.select(pl.col("strategy", "market").cast(pl.String)).unique() for frame in (trades, ledger, positions)]
    ).unique()
    lines = sorted(pair for pair in pairs.rows() if pair[1])
    known = dict(trades.select(pl.col("market").cast(pl.String), "sector").unique().rows())
    return lines, {root: known.get(root) or "other" for _, root in lines}


def _codes(values, names):
    """Index of each value in names, and one more row for the account."""
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[value] for value in values] + [len(names)], np.int32)


def _line_codes(frame, lines):
    """Number of the line of each row; len(lines) for the account."""
    place = {(strategy, root): k for k, (strategy, root) in enumerate(lines)}
    pairs = frame.select(pl.col("strategy", "market").cast(pl.String))
    table = pairs.unique().with_columns(
        pl.struct("strategy", "market")
        .map_elements(lambda row: place.get((row["strategy"], row["market"]), len(lines)), return_dtype=pl.Int32)
        .alias("line")
    )
    return pairs.join(table, on=["strategy", "market"], how="left", maintain_order="left")["line"].to_numpy()


def _rows(days, column):
    """Row of `days` at which each date of a column stands."""
    return np.searchsorted(days, column.to_numpy().astype("datetime64[D]")).astype(np.int32)


def _trade_arrays(trades, lines, days):
    return {
        "line": _line_codes(trades, lines).astype(np.int32),
        "side": np.where((trades["direction"].cast(pl.String) == "long").to_numpy(), LONG, SHORT).astype(np.int32),
        "entry": _rows(days, trades["entry_day"]),
        "exit": _rows(days, trades["exit_day"]),
        **{name: trades[name].to_numpy().astype(float) for name in ("gross", "costs", "net")},
    }


def _cells(ledger, lines, days, trade):
    """Cells of the ledger, by day: dense sums a day, line and part, dealt out to the sides, zeros left out."""
    line = _line_codes(ledger, lines)
    cause = ledger["cause"].cast(pl.String)
    part = np.where(cause.is_in(COSTS).to_numpy(), COST, np.where((cause == "interest").to_numpy(), INTEREST, GROSS))
    shape = (len(days), len(lines) + 1, 3)
    flat = np.ravel_multi_index((_rows(days, ledger["day"]), line, part), shape)
    dense = np.bincount(flat, ledger["amount"].to_numpy(), minlength=np.prod(shape)).reshape(shape)
    sides = np.zeros((3, *shape))
    for name, k in (("gross", GROSS), ("costs", COST)):
        _deal(dense[:, :, k], trade, trade[name], sides[:, :, :, k])
    sides[NEITHER] += dense  # what no trade claimed, down to rounding, so that the sum stays the ledger's
    place = np.nonzero(np.abs(sides.transpose(1, 2, 0, 3)) > ROUNDING)  # ordered by day, line, side, part
    codes = dict(zip(("day", "line", "side", "part"), (axis.astype(np.int32) for axis in place), strict=True))
    return codes | {"amount": sides.transpose(1, 2, 0, 3)[place]}


def _deal(left, trade, result, out):
    """Give each trade the cents of its days in `left` (day, line), which is used up; `out` is (side, day, line)."""
    order = np.lexsort((np.arange(len(result))[::-1], trade["exit"], trade["entry"], trade["line"]))
    line, entry, end, side = (trade[name][order].tolist() for name in ("line", "entry", "exit", "side"))
    result = result[order].tolist()
    for k, (row, first, last) in enumerate(zip(line, entry, end, strict=True)):
        shared = k + 1 < len(line) and line[k + 1] == row and entry[k + 1] == last
        stop = last if shared else last + 1
        taken = left[first:stop, row]
        out[side[k], first:stop, row] += taken
        rest = result[k] - taken.sum() if shared else 0.0
        left[first:stop, row] = 0.0
        if shared:  # its share of the day it leaves to the next trade
            out[side[k], last, row] += rest
            left[last, row] -= rest


def _held(positions, lines, days):
    """Positions by day and line: absolute notional and margin; contracts of a line are of one side."""
    short = (positions["contracts"] < 0.0).to_numpy()
    return {
        "day": _rows(days, positions["day"]),
        "line": _line_codes(positions, lines).astype(np.int32),
        "side": np.where(short, SHORT, LONG).astype(np.int32),
        "contract": positions["contract"].fill_null(0).to_numpy().astype(np.int32),  # 0: another program's run
        "contracts": positions["contracts"].to_numpy().astype(float),
        "mark": positions["mark"].to_numpy().astype(float),
        "notional": np.abs(positions["notional"].fill_null(0.0).fill_nan(0.0).to_numpy()),
        "margin": np.abs(positions["margin"].fill_null(0.0).fill_nan(0.0).to_numpy()),
    }
