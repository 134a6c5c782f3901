"""A run by days: equity, returns and the profit of each market, as arrays that the other analyses read.

Row t of an array (time, ...) is the day `days[t + 1]`: row 0 of `days` and `equity` is the starting capital.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from engine.book import CAUSES, COSTS_OF, INTEREST, TRANSFER
from engine.metrics import Account
from engine.ratios import period_returns, unpaid

ACCOUNT = "account"  # how what belongs to no market is called beside markets: interest, fees
UNKNOWN = "other"  # sector of a market that was held and never traded
COSTS = tuple(CAUSES[k] for k in COSTS_OF)  # causes that are costs
PAID = CAUSES[TRANSFER]  # money paid in or out, which is no profit


@dataclass(frozen=True)
class Daily:
    """What a run had and earned by day."""

    days: np.ndarray  # (time + 1,) datetime64[D]
    equity: np.ndarray  # (time + 1,) [account currency]
    paid: np.ndarray  # (time,) paid in, out negative, before the day's trades [account currency]
    profit: np.ndarray  # (time, market + 1) after costs; the last column is the account's own [account currency]
    interest: np.ndarray  # (time,) credited [account currency]
    names: tuple  # one a market
    sectors: tuple  # one a market
    compounding: bool

    @classmethod
    def of(cls, run):
        """The days of a run; made once."""
        return once(run, "daily", lambda: cls._of(run))

    @classmethod
    def _of(cls, run):
        equity = run.equity()
        days, ledger = equity["day"].to_numpy().astype("datetime64[D]"), by_market(run.ledger())
        sectors = sectors_of(run)
        names = tuple(sorted(set(sectors) | (set(ledger["market"].unique().cast(pl.String)) - {""})))
        time, count = len(days) - 1, len(names) + 1
        rows, amount = rows_of(days, ledger["day"]) - 1, ledger["amount"].to_numpy()
        column = codes(ledger["market"], (*names, ""))
        cause = codes(ledger["cause"], CAUSES)
        paid, credited = (np.flatnonzero(cause == one) for one in (TRANSFER, INTEREST))
        own = np.delete(np.arange(len(amount)), paid) if len(paid) else slice(None)
        flat = rows * count + column
        profit = np.bincount(flat[own], amount[own], minlength=time * count).reshape(time, count)
        of_days = (np.bincount(rows[one], amount[one], minlength=time) for one in (paid, credited))
        told = tuple(sectors.get(name, UNKNOWN) for name in names)
        compounding = getattr(run.portfolio, "compounding", True)
        return cls(days, equity["equity"].to_numpy(), next(of_days), profit, next(of_days), names, told, compounding)

    @cached_property
    def base(self):
        """Capital that a day's profit is a share of, (time,); nan where it is not positive. [account currency]"""
        base = self.equity[:-1] + self.paid if self.compounding else np.full(len(self.paid), self.equity[0])
        return np.where(base > 0.0, base, np.nan)

    @cached_property
    def begun(self):
        """Row of the first day on which a market earned or paid anything, the first of a position; 0 where none did."""
        return int(np.argmax(self.profit[:, :-1].any(axis=1))) if len(self.profit) else 0

    @property
    def capital(self):
        """Capital after the last day, which the next day's profit will be a share of. [account currency]"""
        return float(self.equity[-1] if self.compounding else self.equity[0])

    @cached_property
    def returns(self):
        """Return of each day, (time,). [fraction]"""
        return period_returns(self.equity, self.compounding, self.paid)

    @cached_property
    def shares(self):
        """Profit of each market as a share of the capital, (time, market + 1); a row sums to its return. [fraction]"""
        return self.profit / self.base[:, None]

    @cached_property
    def alone(self):
        """Equity as it would have gone with the starting capital alone, (time + 1,). [account currency]"""
        return unpaid(self.equity, self.paid, self.compounding)


def account(run, daily=None):
    """What the numbers of `engine.metrics` read of a run; what only its simulation knows (notional) is nan."""
    daily = daily or Daily.of(run)
    ledger, trades = run.ledger(), run.trades()
    line, lines = line_of(ledger)
    amount, cost = ledger["amount"].to_numpy(), among(ledger["cause"], COSTS)
    own = np.flatnonzero(~cost & (line < lines))
    there = np.bincount(line[own], minlength=lines) > 0
    held = np.isin(daily.days[1:], run.positions()["day"].unique().to_numpy().astype("datetime64[D]"))
    return Account(
        daily.returns,
        daily.days,
        daily.alone,
        trades["net"].to_numpy(),
        costs=-float(amount[cost].sum()),
        line_gross=np.bincount(line[own], amount[own], lines)[there],
        contracts=held.astype(float),
        interest=daily.interest / daily.base,
        compounding=daily.compounding,
    )


def once(run, name, make):
    """What `make` gives of a run, made when first asked for and then kept with the run as long as that is in memory."""
    kept = vars(run).setdefault("_analysed", {})
    if name not in kept:
        kept[name] = make()
    return kept[name]


def by_market(frame):
    """The rows with the name of their market, which is the root in a run of before 0.5.

    >>> by_market(pl.DataFrame({"root": ["ES"], "contracts": [2.0]})).columns
    ['root', 'contracts', 'market']
    """
    return frame if "market" in frame.columns else frame.with_columns(market=pl.col("root"))


def codes(column, names):
    """Number in `names` of each text of a column, which may be stored as numbers itself; array (row,) of int.

    >>> codes(pl.Series(["b", "a", "b"], dtype=pl.Enum(["a", "b"])), ("b", "a")).tolist()
    [0, 1, 0]
    """
    place = {name: k for k, name in enumerate(names)}
    if isinstance(column.dtype, pl.Enum):
        known = np.array([place.get(name, -1) for name in column.dtype.categories], np.int64)
        return known[column.to_physical().to_numpy()]
    if not len(column):
        return np.zeros(0, np.int64)
    return column.replace_strict(place, return_dtype=pl.Int64).to_numpy()


def among(column, names):
    """Whether each text of a column, which may be stored as numbers itself, is one of some; array (row,) of bool.

    >>> among(pl.Series(["stop", "target", None], dtype=pl.Enum(["stop", "target"])), ("stop", "signal")).tolist()
    [True, False, False]
    """
    if not isinstance(column.dtype, pl.Enum):
        return column.cast(pl.String).is_in(list(names)).fill_null(False).to_numpy()
    known = np.array([*(text in names for text in column.dtype.categories), False])
    return known[numbers(column)]


def labelled(column, absent):
    """(number of each row's text, the texts that occur in their order); a null is `absent`.

    >>> code, texts = labelled(pl.Series(["b", None, "a"]), "unknown")
    >>> code.tolist(), texts
    ([1, 2, 0], ['a', 'b', 'unknown'])
    """
    if not isinstance(column.dtype, pl.Enum):
        column = column.cast(pl.String)
        column = column.cast(pl.Enum(column.unique().drop_nulls()))
    names = [*column.dtype.categories, absent]
    number = numbers(column)
    there = np.flatnonzero(np.bincount(number, minlength=len(names)))
    texts = sorted({names[k] for k in there})
    place = np.zeros(len(names), np.int64)
    place[there] = [texts.index(names[k]) for k in there]
    return place[number], texts


def numbers(column):
    """Number of each text of a column that is stored as numbers, a null the one after the last; array (row,) of int.

    >>> numbers(pl.Series(["b", None, "a"], dtype=pl.Enum(["a", "b"]))).tolist()
    [1, 2, 0]
    """
    number = column.to_physical()
    if number.null_count():
        number = number.cast(pl.Int64).fill_null(len(column.dtype.categories))
    return number.to_numpy().astype(np.int64, copy=False)


def line_of(ledger):
    """(number of each row's line, that is strategy and market; how many there may be, which is the account's number).

    >>> line_of(pl.DataFrame({"strategy": ["", "b", "a", "b"], "market": ["", "CL", "CL", "ES"]}))
    (array([9, 7, 4, 8]), 9)
    """
    strategy, strategies = labelled(ledger["strategy"], "")
    market, markets = labelled(by_market(ledger)["market"], "")
    lines = len(strategies) * len(markets)
    account = np.array([not name for name in markets], bool)[market]
    return np.where(account, lines, strategy * len(markets) + market), lines


def by_line(line):
    """Order of rows by line, those of a line as they were; array (row,).

    >>> by_line(np.array([1, 0, 1, 0])).tolist()
    [1, 3, 0, 2]
    """
    small = np.int16 if line.max(initial=0) < 2**15 else np.int64  # of which numpy sorts in the time of a copy
    return np.argsort(line.astype(small), kind="stable")


def sectors_of(run):
    """{market: its sector} of the markets that a run traded; made once."""
    return once(run, "sectors", lambda: _sectors_of(by_market(run.trades())))


def _sectors_of(trades):
    pairs = trades.select("market", "sector").unique().cast(pl.String)
    return {market: sector or UNKNOWN for market, sector in pairs.rows()}


def rows_of(days, column):
    """Row of the sorted `days` at which each date of a column stands, or at which it would have to be put in.

    Looked up in a table of all days from the first to the last, which takes a tenth of a search.

    >>> from datetime import date
    >>> rows_of(np.array(["2024-01-01", "2024-01-03"], "datetime64[D]"), pl.Series([date(2024, 1, 3)])).tolist()
    [1]
    """
    if not len(days) or column.null_count():
        return np.searchsorted(days, column.to_numpy().astype("datetime64[D]"))
    number = days.astype("datetime64[D]").astype(np.int64)
    table = np.searchsorted(number, np.arange(number[0], number[-1] + 2))
    return table.take(column.to_physical().to_numpy().astype(np.int64) - number[0], mode="clip")
