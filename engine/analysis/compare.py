"""Runs beside each other: on the days that all have, at one volatility, and which of their trades and inputs differ.

* **Aligned by dates**: equity is read on the days that all runs have; the return between two such days is the whole of
  what happened between them, so that a day that one run lacks loses nothing.
* **Aligned by volatility**: excess returns (those without the interest credited) are multiplied until a run swings as
  the first one does; interest stays as it was, as it does when futures are held in another size.
* **Trades** match that have the same market, strategy and entry day; of several of one day the first with the first.
* **Inputs**: a run is the hash of its data, rolls, facts, portfolio and code; of the portfolio every setting is told.

Trades and inputs are in `engine.analysis.differing`.
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import polars as pl

from engine.analysis import sharpe_difference
from engine.analysis.daily import Daily
from engine.analysis.difference import NotComparable
from engine.analysis.drawdowns import episodes
from engine.ratios import annual_return, sharpe, total_return, volatility, years
from engine.risk import drawdown

WEEK = 5  # days that are added up for a correlation: markets close at different hours (DOMAIN T43)
NUMBERS = {
    "run": pl.String,  # its id
    "portfolio": pl.String,
    "start": pl.Date,  # first and last day that all have
    "end": pl.Date,
    "total_return": pl.Float64,  # on these days [fraction]
    "annual_return": pl.Float64,  # [fraction/year]
    "volatility": pl.Float64,  # [1/√year]
    "sharpe": pl.Float64,  # [ratio]
    "max_drawdown": pl.Float64,  # [fraction]
    "scale": pl.Float64,  # by which the excess returns are multiplied for the volatility of the first run [1]
    "annual_scaled": pl.Float64,  # annual return at that volatility [fraction/year]
    "drawdown_scaled": pl.Float64,  # deepest drawdown at that volatility [fraction]
}
PAIRS = {
    "first": pl.String,
    "second": pl.String,  # their ids
    "correlation": pl.Float64,  # of daily returns [1]
    "weekly": pl.Float64,  # of returns of five days [1]
    "difference": pl.Float64,  # Sharpe ratio of the first less that of the second [ratio]
    "error": pl.Float64,  # its standard error [ratio]
    "low": pl.Float64,  # of the studentised interval of 95 in 100 [ratio]
    "high": pl.Float64,
    "p_value": pl.Float64,  # chance of a difference like that between equals [1]
    "block": pl.Int32,  # of the bootstrap [days]
}
ALIKE = {
    "first": pl.String,
    "second": pl.String,  # their ids
    "correlation": pl.Float64,  # of daily returns [1]
    "weekly": pl.Float64,  # of returns of five days [1]
}
OVERLAID = {
    "day": pl.Date,
    "run": pl.String,
    "equity": pl.Float64,  # of one unit on the first day, money paid in or out left out [1]
    "drawdown": pl.Float64,  # [fraction]
    "equity_scaled": pl.Float64,  # at the volatility of the first run [1]
    "drawdown_scaled": pl.Float64,  # [fraction]
}
FALLS = {
    "run": pl.String,
    "depth": pl.Float64,  # of its drawdown [fraction]
    "peak": pl.Date,
    "trough": pl.Date,
    "other": pl.String,  # another run
    "meanwhile": pl.Float64,  # return of that between the same days [fraction]
    "other_depth": pl.Float64,  # how far below its own peak that was on the day of the trough [fraction]
}


@dataclass(frozen=True)
class Aligned:
    """Runs on the days that all have; row t of (time, run) is the return up to `days[t + 1]`."""

    runs: tuple
    names: tuple  # ids
    days: np.ndarray  # (time + 1,) datetime64[D]
    equity: np.ndarray  # (time + 1, run) of one unit, with the starting capital alone [1]
    returns: np.ndarray  # (time, run) [fraction]
    interest: np.ndarray  # (time, run) of it [fraction]
    compounding: tuple  # whether a run's sizes follow its equity

    @property
    def excess(self):
        """Returns less interest, (time, run). [fraction]"""
        return self.returns - self.interest

    @property
    def scale(self):
        """By which the excess returns of each run are multiplied to swing as those of the first, (run,). [1]"""
        spread = self.excess.std(axis=0)
        return np.divide(spread[0], spread, out=np.full(len(spread), np.nan), where=spread > 0.0)

    def within(self, first, last):
        """The same from the close of the last common day before `first` to `last`, again of one unit.

        >>> days = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], "datetime64[D]")
        >>> equity = np.array([[1.0, 1.0], [1.1, 1.2], [1.21, 1.1]])
        >>> none = np.zeros((2, 2))
        >>> both = Aligned((), ("a", "b"), days, equity, none, none, (True, False))
        >>> both.within(days[2], days[2]).equity.round(9).tolist()
        [[1.0, 1.0], [1.1, 0.9]]
        """
        begin = max(int(np.searchsorted(self.days, np.datetime64(first, "D"))) - 1, 0)
        end = max(int(np.searchsorted(self.days, np.datetime64(last, "D"), "right")), begin + 1)
        level = self.equity[begin:end]
        level = np.where(self.compounding, level / level[0], 1.0 + level - level[0])
        rows = slice(begin, end - 1)
        return replace(
            self, days=self.days[begin:end], equity=level, returns=self.returns[rows], interest=self.interest[rows]
        )

    @property
    def scaled(self):
        """Equity of one unit at the volatility of the first run, (time + 1, run). [1]"""
        returns = self.excess * self.scale + self.interest
        grown = np.where(self.compounding, np.cumprod(1.0 + returns, axis=0), 1.0 + np.cumsum(returns, axis=0))
        return np.vstack([np.ones((1, len(self.runs))), grown])


def aligned(runs):
    """The runs on the days that all have.

    Parameters
    ----------
    runs : sequence of RunResult
        Two or more, different ones.

    Returns
    -------
    Aligned

    Raises
    ------
    NotComparable
        Fewer than two runs, one twice, or no three days that all have.
    """
    ids = [run.id for run in runs]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if len(ids) < 2 or twice:
        why = f"run {twice[0]} is named twice" if twice else f"{len(ids)} run named"
        raise NotComparable(f"{why}; allowed: two or more different ones, see `frontmonth runs`")
    daily = [Daily.of(run) for run in runs]
    common = daily[0].days
    for one in daily[1:]:
        common = np.intersect1d(common, one.days)
    if len(common) < 3:
        spans = "; ".join(f"{run.id} {one.days[0]} to {one.days[-1]}" for run, one in zip(runs, daily, strict=True))
        raise NotComparable(f"the runs have {len(common)} days in common, at least 3 are needed: {spans}")
    equity, returns, interest = zip(*(_between(one, common) for one in daily), strict=True)
    how = tuple(one.compounding for one in daily)
    columns = (np.column_stack(parts) for parts in (equity, returns, interest))
    return Aligned(tuple(runs), tuple(ids), common, *columns, how)


def numbers(found):
    """What each run came to on the common days, as it was and at the volatility of the first; columns NUMBERS."""
    span, rows, scaled = years(found.days), [], found.scaled
    for k, run in enumerate(found.runs):
        total, level = total_return(found.equity[:, k]), scaled[:, k]
        known = not np.isnan(level).any()
        told = (
            total,
            annual_return(total, span, found.compounding[k]),
            volatility(found.returns[:, k]),
            sharpe(found.returns[:, k], found.interest[:, k]),
            float(drawdown(found.equity[:, k]).min()),
            float(found.scale[k]),
            annual_return(total_return(level), span, found.compounding[k]) if known else np.nan,
            float(drawdown(level).min()) if known else np.nan,
        )
        rows.append((run.id, run.name, found.days[0].item(), found.days[-1].item(), *told))
    return pl.DataFrame(rows, schema=NUMBERS, orient="row").fill_nan(None)


def pairs(found, resamples=sharpe_difference.RESAMPLES, seed=sharpe_difference.SEED):
    """Correlation of every two runs, and the test of the difference of their Sharpe ratios; columns PAIRS."""
    excess, name = found.excess, found.names.index
    rows = [
        (
            *row,
            *sharpe_difference.difference(*(excess[:, name(one)] for one in row[:2]), resamples=resamples, seed=seed),
        )
        for row in alike(found).rows()
    ]
    return pl.DataFrame(rows, schema=PAIRS, orient="row").fill_nan(None)


def alike(found):
    """Correlation of every two runs, without the test that `pairs` makes of them; columns ALIKE."""
    rows = [
        (
            *(found.names[k] for k in pair),
            *(_correlation(*(_spans(found.returns[:, k], span) for k in pair)) for span in (1, WEEK)),
        )
        for pair in combinations(range(len(found.names)), 2)
    ]
    return pl.DataFrame(rows, schema=ALIKE, orient="row").fill_nan(None)


def overlaid(found):
    """Equity and drawdown of each run, day by day, as they were and at one volatility; columns OVERLAID."""
    scaled = found.scaled
    frames = [
        pl.DataFrame(
            {
                "day": found.days,
                "run": [name] * len(found.days),
                "equity": found.equity[:, k],
                "drawdown": drawdown(found.equity[:, k]),
                "equity_scaled": scaled[:, k],
                "drawdown_scaled": drawdown(scaled[:, k]),
            }
        ).cast(OVERLAID)
        for k, name in enumerate(found.names)
    ]
    return pl.concat(frames).fill_nan(None)


def falls(found, most=3):
    """The deepest drawdowns of each run, and what the others earned from its peak to its trough; columns FALLS."""
    depth = np.column_stack([drawdown(one) for one in found.equity.T])
    rows = []
    for k, name in enumerate(found.names):
        for peak, trough, *_ in episodes(found.equity[:, k])[:most]:
            own = (name, depth[trough, k], found.days[peak].item(), found.days[trough].item())
            for j, other in enumerate(found.names):
                if j != k:
                    earned = found.equity[trough, j] - found.equity[peak, j]
                    base = found.equity[peak, j] if found.compounding[j] else 1.0
                    rows.append((*own, other, earned / base, depth[trough, j]))
    return pl.DataFrame(rows, schema=FALLS, orient="row")


def _between(daily, common):
    """(equity of one unit, returns, interest) of a run on the common days."""
    row = np.searchsorted(daily.days, common)
    level = daily.alone[row] / daily.alone[row[0]]
    if not daily.compounding:
        level = 1.0 + (daily.alone[row] - daily.alone[row[0]]) / daily.equity[0]
    base = level[:-1] if daily.compounding else np.ones(len(level) - 1)
    credited = np.append(0.0, np.cumsum(np.nan_to_num(daily.interest / daily.base)))
    return level, np.diff(level) / np.where(base > 0.0, base, np.nan), np.diff(credited[row])


def _spans(returns, span):
    """Returns of so many days added up; what is left at the end is left out."""
    whole = len(returns) // span * span
    return returns[:whole].reshape(-1, span).sum(axis=1)


def _correlation(first, second):
    if len(first) < 3 or not (np.ptp(first) > 0.0 and np.ptp(second) > 0.0):
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])
