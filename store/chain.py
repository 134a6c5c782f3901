"""Chain: the bars of one market's contracts, as arrays sorted by contract and time.

A contract's rows are a slice, so a question about one contract, or about two, costs as many rows as they have; a matrix
(day, contract) of a long chain would be empty for nine cells in ten.

Days are numbered 0..T-1: the trade dates on which any contract of the chain has a bar. A day's volume is the sum of its
bars, its open interest that of its last bar.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

MONTHS = tuple(range(1, 13))
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

    frame: pl.DataFrame  # the bars, in this order
    contracts: np.ndarray  # (contract,) YYYYMM, ascending
    starts: np.ndarray  # (contract + 1,) first row of each contract
    days: np.ndarray  # (day,) datetime64[D], ascending
    day: np.ndarray  # (row,) number of the row's day
    time: np.ndarray  # (row,) end of the bar, microseconds UTC
    prices: dict  # settle, close: (row,) nan where missing
    cuts: np.ndarray  # (contract + 1,) first entry of each contract in `dates` and `activity`
    dates: np.ndarray  # (entry,) number of the day, one entry a contract and day
    activity: dict  # volume, oi: (entry,) nan where missing
    known: dict  # volume, oi: the first day on which any contract showed some; T if none ever did

    @property
    def first(self):
        """(contract,) number of the day of its first bar."""
        return self.day[self.starts[:-1]]

    @property
    def last(self):
        """(contract,) number of the day of its last bar."""
        return self.day[self.starts[1:] - 1]

    def activity_of(self, k, name, low, high):
        """Volume or open interest of contract `k` on the days low..high, nan where it has none."""
        entries = slice(self.cuts[k], self.cuts[k + 1])
        dates = self.dates[entries]
        a, b = np.searchsorted(dates, (low, high + 1))
        out = np.full(high + 1 - low, np.nan)
        out[dates[a:b] - low] = self.activity[name][entries][a:b]
        return out

    def rows_on(self, k, t):
        """First and one past the last row of contract `k` on day `t`."""
        start, end = self.starts[k], self.starts[k + 1]
        a, b = np.searchsorted(self.day[start:end], (t, t + 1))
        return start + a, start + b

    def matched(self, a, b, t):
        """The last moment of day `t` at which contracts `a` and `b` have a price of the same field: settle, else close.

        Returns (price of a, price of b, time) or None.
        """
        rows_a, rows_b = self.rows_on(a, t), self.rows_on(b, t)
        for field in ("settle", "close"):
            price = self.prices[field]
            other = {self.time[j]: price[j] for j in range(*rows_b) if price[j] == price[j]}
            for i in range(rows_a[1] - 1, rows_a[0] - 1, -1):
                if price[i] == price[i] and self.time[i] in other:
                    return float(price[i]), float(other[self.time[i]]), int(self.time[i])
        return None

    def mark(self, rows):
        """Settle, else close, of these rows."""
        settle = self.prices["settle"][rows]
        return np.where(np.isnan(settle), self.prices["close"][rows], settle)

    def candidates(self, k, low, high):
        """Which contract follows `k` on the days low..high: the nearest later one that has had a bar by then.

        Returns [(contract, first day, last day)] in the order of time; empty while no later one is listed.
        """
        out, listed = [], self.first
        for j in range(k + 1, len(self.contracts)):
            if listed[j] <= high:
                out.append((j, max(int(listed[j]), low), high))
                high = int(listed[j]) - 1
            if high < low:
                break
        return out[::-1]


def load(bars, months=MONTHS):
    """The chain of `bars` (`contract_bars` rows of one root and source), of these delivery months only.

    Several rows of one contract and day are one bar where they are a daily series (a Sunday row and its Monday);
    intraday rows stay apart.
    """
    held = bars.filter((pl.col("contract") % 100).is_in(list(months)))
    held = held.filter(pl.any_horizontal(pl.col("settle", "close", "volume", "open_interest").is_not_null()))
    frame = _one_bar_a_day(held.sort("contract", "time"))
    contract = frame["contract"].to_numpy()
    dates = frame["day"].to_numpy()
    contracts, starts = np.unique(contract, return_index=True)
    starts = np.append(starts, len(contract))
    days, day = np.unique(dates, return_inverse=True)
    entries = _changes(contract, day)
    volume = frame["volume"].cast(pl.Float64).to_numpy()
    interest = frame["open_interest"].cast(pl.Float64).to_numpy()
    ends = np.append(entries[1:], len(contract))[: len(entries)] - 1
    activity = {"volume": np.add.reduceat(volume, entries) if len(entries) else volume, "oi": interest[ends]}
    return Chain(
        frame=frame,
        contracts=contracts,
        starts=starts,
        days=days,
        day=day,
        time=frame["time"].dt.epoch("us").to_numpy(),
        prices={name: frame[name].cast(pl.Float64).to_numpy() for name in ("settle", "close")},
        cuts=np.searchsorted(entries, starts),
        dates=day[entries],
        activity=activity,
        known={name: int(np.min(day[entries][x > 0], initial=len(days))) for name, x in activity.items()},
    )


def _changes(*columns):
    """Rows on which any of the columns differs from the row before, row 0 included."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _one_bar_a_day(frame):
    contract, day = frame["contract"].to_numpy(), frame["day"].to_numpy()
    again = (contract[1:] == contract[:-1]) & (day[1:] == day[:-1])  # as the row before
    if not again.any():
        return frame
    frame = frame.sort("contract", "time", "source_time")  # a Sunday row before its Monday, where both end on Monday
    time = frame["time"].to_numpy()
    date = time.astype("datetime64[D]")
    intraday = np.unique(day[1:][again & (date[1:] == date[:-1]) & (time[1:] != time[:-1])])
    merged = again & ~np.isin(day[1:], intraday)
    bar = np.cumsum(np.append(True, ~merged)) if len(frame) else day
    grouped = frame.with_columns(pl.Series("bar", bar)).group_by("bar", maintain_order=True)
    return grouped.agg(*_MERGED).drop("bar")
