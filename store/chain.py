"""Chain: the bars of one market's contracts, as arrays sorted by contract and time.

A contract's rows are a slice, so a question about one contract, or about two, costs as many rows as they have; a matrix
(day, contract) of a long chain would be empty for nine cells in ten.

Days are numbered 0..T-1: the trade dates on which any contract of the chain has a bar. A day's volume is the sum of its
bars, its open interest that of its last bar.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import polars as pl

MONTHS = tuple(range(1, 13))
BEFORE = -1  # number of a day before day 0, of which a position that goes on tells
VALUES = ("settle", "close", "volume", "open_interest")
_MERGED = (
    pl.col("time", "source_time", "day", "contract").last(),
    pl.col("open").drop_nulls().first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close", "settle", "open_interest").drop_nulls().last(),
    pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume"),
)


@dataclass(frozen=True)
class Chain:
    """Arrays (row), sorted by contract and time, and the same by (contract, day) for activity."""

    root: str  # market
    bars: pl.DataFrame  # where the rows come from
    rows: np.ndarray | None  # (row,) the bar that it is; None where row and bar are the same
    months: tuple  # delivery months, those that were asked for
    contracts: np.ndarray  # (contract,) YYYYMM, ascending
    starts: np.ndarray  # (contract + 1,) first row of each contract
    first: np.ndarray  # (contract,) number of the day of its first bar
    days: np.ndarray  # (day,) datetime64[D], ascending
    day: np.ndarray  # (row,) number of the row's day
    time: np.ndarray  # (row,) end of the bar, microseconds UTC
    prices: dict  # settle, close: (row,) nan where missing
    cuts: np.ndarray  # (contract + 1,) first entry of each contract in `dates` and `activity`
    dates: np.ndarray  # (entry,) number of the day, one entry a contract and day
    activity: dict  # volume, oi: (entry,) nan where missing
    known: dict  # volume, oi: the first day on which any contract showed some; T if none ever did

    @cached_property
    def frame(self):
        """The bars, in the order of the rows."""
        return self.bars if self.rows is None else self.bars[self.rows]

    def gather(self, rows, names=None):
        """The bars of these rows, with these columns, or all: the same as of `frame`, which is not made for it."""
        rows = np.asarray(rows)
        return taken(self.bars, rows if self.rows is None else self.rows[rows], names or self.bars.columns)

    @cached_property
    def bounds(self):
        """`starts` as plain numbers, which are quicker to reckon with one by one."""
        return self.starts.tolist()

    @cached_property
    def listed(self):
        """`first` as plain numbers."""
        return self.first.tolist()

    @cached_property
    def last(self):
        """(contract,) number of the day of its last bar, `BEFORE` where it has none."""
        last = np.full(len(self.contracts), BEFORE)
        full = self.starts[1:] > self.starts[:-1]
        last[full] = self.day[self.starts[1:][full] - 1]
        return last

    @cached_property
    def row_owner(self):
        """(row,) number of the contract of each row."""
        return np.repeat(np.arange(len(self.contracts)), np.diff(self.starts))

    @cached_property
    def entry_owner(self):
        """(entry,) number of the contract of each entry."""
        return np.repeat(np.arange(len(self.contracts)), np.diff(self.cuts))

    def rows_on(self, k, t):
        """First and one past the last row of contract `k` on day `t`."""
        start, stop = self.bounds[k], self.bounds[k + 1]
        first = start + int(self.day[start:stop].searchsorted(t))
        if first == stop or self.day[first] != t:
            return first, first
        if first + 1 == stop or self.day[first + 1] != t:  # a bar a day, as nearly always
            return first, first + 1
        return first, first + int(self.day[first:stop].searchsorted(t + 1))

    def matched(self, a, b, t):
        """The last moment of day `t` at which contracts `a` and `b` have a price of the same field: settle, else close.

        Returns (price of a, price of b, time) or None.
        """
        rows_a, rows_b = self.rows_on(a, t), self.rows_on(b, t)
        if rows_a[1] - rows_a[0] == rows_b[1] - rows_b[0] == 1:  # a bar a day, as nearly always
            return self._pair(rows_a[0], rows_b[0])
        for field in ("settle", "close"):
            price = self.prices[field]
            other = {self.time[j]: price[j] for j in range(*rows_b) if price[j] == price[j]}
            for i in range(rows_a[1] - 1, rows_a[0] - 1, -1):
                if price[i] == price[i] and self.time[i] in other:
                    return float(price[i]), float(other[self.time[i]]), int(self.time[i])
        return None

    def _pair(self, i, j):
        """(price, price, time) of two rows of one moment, by the first field of which both have one; else None."""
        if self.time[i] != self.time[j]:
            return None
        for field in ("settle", "close"):
            price = self.prices[field]
            if price[i] == price[i] and price[j] == price[j]:
                return float(price[i]), float(price[j]), int(self.time[i])
        return None

    def matched_before(self, a, b, low, high):
        """As `matched`, on the last of the days low..high on which there is such a moment."""
        days = [self.day[self.starts[k] : self.starts[k + 1]] for k in (a, b)]
        days = np.intersect1d(*(day[slice(*day.searchsorted((low, high + 1)))] for day in days))
        return next((pair for t in days[::-1].tolist() if (pair := self.matched(a, b, t))), None)

    def number(self, name, k, t):
        """Volume or open interest (`volume`, `oi`) of contract `k` on day `t`; None where it is not known."""
        low, high = self.cuts[k], self.cuts[k + 1]
        entry = low + int(self.dates[low:high].searchsorted(t))
        found = self.activity[name][entry] if entry < high and self.dates[entry] == t else np.nan
        return None if np.isnan(found) else float(found)

    @cached_property
    def mark(self):
        """(row,) settle, else close; nan where both are missing."""
        settle = self.prices["settle"]
        return np.where(np.isnan(settle), self.prices["close"], settle)

    def candidates(self, k, low, high):
        """Which contract follows `k` on the days low..high: the nearest later one that has had a bar by then.

        Returns [(contract, first day, last day)] in the order of time; empty while no later one is listed.
        """
        out, listed = [], self.listed
        for j in range(k + 1, len(listed)):
            if listed[j] <= high:
                out.append((j, max(listed[j], low), high))
                high = listed[j] - 1
            if high < low:
                break
        return out[::-1]


def load(bars, months=MONTHS, listed=(), known=()):
    """The chain of `bars` (`contract_bars` rows of one root and source), of these delivery months only.

    Several rows of one contract and day are one bar where they are a daily series (a Sunday row and its Monday);
    intraday rows stay apart. Bars that are in order by contract and time, as the archive writes them, are not copied.

    Parameters
    ----------
    bars : polars.DataFrame or Chain
        A chain of the same months is given back as it is.
    months : tuple of int
    listed, known
        What is known of the days before the first bar, as a `rolls.Position` tells it.
    """
    if isinstance(bars, Chain):
        if tuple(months) != bars.months:
            raise ValueError(f"the chain holds the months {bars.months}, wanted are {tuple(months)}")
        return bars
    root = bars["root"][0] if len(bars) else ""
    bars, rows = _in_order(*_held(bars, months))
    take = partial(_array, bars, rows=rows)
    contract, time = take("contract"), take("time")
    days, day = _numbered(take("day"))
    heads = _changes(contract)
    entries = _changes(contract, day)
    contracts, starts, first = _with_listed(contract[heads], np.append(heads, len(contract)), day[heads], days, listed)
    activity = {"volume": _sums(take("volume"), entries), "oi": _lasts(take("open_interest"), entries)}
    dates = day if len(entries) == len(day) else day[entries]
    shown = {name: _first_shown(x, dates, len(days)) for name, x in activity.items()}
    told = {name: _number(days, date) for name, date in known if date is not None}
    return Chain(
        root=root,
        bars=bars,
        rows=rows,
        months=tuple(months),
        contracts=contracts,
        starts=starts,
        first=first,
        days=days,
        day=day,
        time=time,
        prices={name: take(name) for name in ("settle", "close")},
        cuts=starts if len(entries) == len(day) else np.searchsorted(entries, starts),
        dates=dates,
        activity=activity,
        known={name: min(shown[name], told.get(name, len(days))) for name in activity},
    )


def in_months(months):
    """(100,) whether a number is one of these delivery months; `np.isin` loads masked arrays when it is first called.

    >>> np.flatnonzero(in_months((3, 12)))
    array([ 3, 12])
    """
    found = np.zeros(100, bool)
    found[list(months)] = True
    return found


def _held(bars, months):
    """(bars, numbers of those in these months that say something, or None for all)."""
    contract = _array(bars, "contract")
    known = in_months(months)
    if known[contract[_changes(contract)] % 100].all() and not all(bars[name].null_count() for name in VALUES):
        return bars, None
    wanted = known[contract % 100]
    if all(bars[name].null_count() for name in VALUES):
        wanted = wanted & bars.select(pl.any_horizontal(pl.col(VALUES).is_not_null())).to_series().to_numpy()
    return bars, None if wanted.all() else np.flatnonzero(wanted)


def _in_order(bars, rows):
    """(bars, their numbers by contract and time, or None where they are in this order), one bar a day."""
    contract, time, day = (_array(bars, name, rows) for name in ("contract", "time", "day"))
    if not _ascending(contract, time):
        order = np.argsort(contract, kind="stable")  # days that were added later stand behind: all else is in order
        if not _ascending(contract[order], time[order]):
            order = np.lexsort((time, contract))
        rows = order if rows is None else rows[order]
        contract, time, day = contract[order], time[order], day[order]
    again = (contract[1:] == contract[:-1]) & (day[1:] == day[:-1])  # as the row before
    if not again.any():
        return bars, rows
    same = again & (time[1:] == time[:-1])
    within = again & (time[1:] // 86_400_000_000 == time[:-1] // 86_400_000_000) & ~same
    if not (again & ~np.isin(day[1:], day[1:][within])).any():
        return bars, rows
    return _one_bar_a_day(bars if rows is None else bars[rows], np.unique(day[1:][within])), None


def _one_bar_a_day(frame, intraday):
    """One bar of the rows of a contract and day; the days `intraday` stay as they are."""
    frame = frame.sort("contract", "time", "source_time")  # a Sunday row before its Monday, where both end on Monday
    contract, day = _array(frame, "contract"), _array(frame, "day")
    merged = (contract[1:] == contract[:-1]) & (day[1:] == day[:-1]) & ~np.isin(day[1:], intraday)
    bar = np.cumsum(np.append(True, ~merged))
    return frame.with_columns(pl.Series("bar", bar)).group_by("bar", maintain_order=True).agg(*_MERGED).drop("bar")


def _with_listed(contracts, starts, first, days, listed):
    """The contracts with those that have no bar here but had one before, each with the day of its first."""
    if not listed:
        return contracts, starts, first.astype(np.int64)
    first = dict(zip(contracts.tolist(), first.tolist(), strict=True))
    first |= {contract: BEFORE for contract, date in listed if not len(days) or np.datetime64(date) < days[0]}
    everyone = np.array(sorted(first), contracts.dtype)
    place = np.searchsorted(contracts, everyone)
    return everyone, np.append(starts[place], starts[-1]), np.array([first[int(x)] for x in everyone], np.int64)


def _numbered(dates):
    """(the dates there are, ascending, number of each row's date); `dates` are days since 1970."""
    if not len(dates):
        return np.array([], "datetime64[D]"), np.array([], np.int64)
    begin = int(dates.min())
    seen = np.zeros(int(dates.max()) - begin + 1, bool)
    seen[dates - begin] = True
    days = np.flatnonzero(seen)
    return (days + begin).astype("datetime64[D]"), (np.cumsum(seen) - 1)[dates - begin]


def _number(days, date):
    """Number of the first of `days` on or after `date`; `BEFORE` where `date` is before them all."""
    date = np.datetime64(date, "D")
    return BEFORE if len(days) and date < days[0] else int(np.searchsorted(days, date))


def _changes(*columns):
    """Rows on which any of the columns differs from the row before, row 0 included."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _ascending(contract, time):
    after = (contract[1:] > contract[:-1]) | ((contract[1:] == contract[:-1]) & (time[1:] >= time[:-1]))
    return bool(after.all())


def _sums(values, entries):
    return values if len(entries) in (0, len(values)) else np.add.reduceat(values, entries)


def _lasts(values, entries):
    return values if len(entries) == len(values) else values[np.append(entries[1:], len(values)) - 1]


def _first_shown(values, dates, none):
    return int(np.min(dates[values > 0], initial=none))


def taken(bars, rows, names):
    """Some rows of a frame, with these columns; nan is null.

    Column by column, not by a question to polars, which would call its threads for each of many small markets.
    """
    return pl.DataFrame([_taken(bars[name], rows) for name in names])


def _taken(column, rows):
    """Some rows of a column, nan as null."""
    if column.dtype.is_float() and column.null_count():  # of a few rows nulls are quicker to turn into nan
        return pl.Series(column.name, column[rows].to_numpy(), nan_to_null=True)
    if column.dtype.is_float() or (not column.null_count() and column.dtype.is_numeric()):
        return pl.Series(column.name, column.to_numpy()[rows], nan_to_null=True)
    if column.dtype in (pl.Date, pl.Datetime) and not column.null_count():
        physical = column.cast(pl.Int32 if column.dtype == pl.Date else pl.Int64).to_numpy()
        return pl.Series(column.name, physical[rows]).cast(column.dtype)
    return column[rows]


def _array(bars, name, rows=None):
    """A column, or these rows of it, as numpy has it: days and moments as numbers, nan for null; no needless copy."""
    column = bars[name]
    if column.dtype == pl.Datetime:
        column = column.cast(pl.Datetime("us", column.dtype.time_zone)).cast(pl.Int64)
    elif column.dtype == pl.Date:
        column = column.cast(pl.Int32)
    elif name != "contract":
        column = column.cast(pl.Float64)
    return column.to_numpy() if rows is None else column.to_numpy()[rows]
