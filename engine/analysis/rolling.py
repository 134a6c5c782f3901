"""Numbers of the last days, day by day, and the returns of months beside their years.

A row reads the `window` returns that end with it; rows before the first whole window are nan, and so is a window that
holds an unknown return. Each number is that of `engine.ratios` or `engine.risk` of the window's returns alone.
"""

import numpy as np
import polars as pl

from engine.analysis.daily import Daily
from engine.periods import by_period
from engine.ratios import YEAR
from engine.risk import ROUNDING

ROLLING = {
    "day": pl.Date,
    "volatility": pl.Float64,  # [fraction a year]
    "sharpe": pl.Float64,  # [ratio]
    "sortino": pl.Float64,  # [ratio]
    "drawdown": pl.Float64,  # deepest inside the window, negative [fraction]
    "beta": pl.Float64,  # to another series; null where none is given [1]
}
NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {"year": pl.Int32} | dict.fromkeys((*NAMES, "whole"), pl.Float64)  # returns; `whole`: of the year [fraction]


def rolling(run, window=YEAR, other=None, rows=None):
    """Volatility, Sharpe, Sortino, drawdown and beta of the last `window` days of a run, as interest is taken out.

    Parameters
    ----------
    run : RunResult or Daily
    window : int
        [days]
    other : array (time,), optional
        Returns of another series on the days of the run, of which beta is told. [fraction]
    rows : array of int, optional
        Days to be told, from the `window`-th after the first on; all if not given.

    Returns
    -------
    DataFrame
        Columns ROLLING, a row a day after the first; null before the first whole window.
    """
    daily = run if isinstance(run, Daily) else Daily.of(run)
    excess = daily.returns - daily.interest / daily.base
    days = daily.days[1:] if rows is None else daily.days[1:][rows]
    frame = pl.DataFrame(
        {
            "day": days,
            "volatility": volatility(daily.returns, window, rows=rows),
            "sharpe": sharpe(excess, window, rows=rows),
            "sortino": sortino(excess, window, rows=rows),
            "drawdown": drawdown(daily.returns, window, daily.compounding, rows),
            "beta": np.full(len(days), np.nan) if other is None else beta(daily.returns, other, window, rows),
        }
    )
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None)).cast(ROLLING)


def year_ends(run, window=YEAR):
    """`rolling` of the last day of each year whose window has no unknown return; no row where a year has none."""
    daily = run if isinstance(run, Daily) else Daily.of(run)
    unknown = np.concatenate([[0], np.cumsum(np.isnan(daily.returns))])
    rows = np.flatnonzero(unknown[window:] == unknown[:-window]) + window - 1
    year = daily.days[1:][rows].astype("datetime64[Y]")
    return rolling(daily, window, rows=rows[np.append(year[1:] != year[:-1], True)[: len(rows)]])


def volatility(returns, window=YEAR, periods=YEAR, rows=None):
    """`engine.ratios.volatility` of the last `window` returns, array (time,). [fraction a year]

    >>> volatility(np.array([0.0, 0.02, 0.0, 0.0]), 2, 1).round(6)
    array([     nan, 0.014142, 0.014142, 0.      ])
    """
    return _whole(window, lambda values: _spread(values) * np.sqrt(periods), returns, rows=rows)


def sharpe(returns, window=YEAR, periods=YEAR, rows=None):
    """`engine.ratios.sharpe` of the last `window` returns in excess of interest, array (time,). [ratio]

    >>> sharpe(np.array([0.0, 0.02, 0.02, 0.0]), 2, 1).round(6)
    array([     nan, 0.707107,      nan, 0.707107])
    """

    def number(values):
        return _mean(values) / _positive(_spread(values)) * np.sqrt(periods)

    return _whole(window, number, returns, rows=rows)


def sortino(returns, window=YEAR, target=0.0, periods=YEAR, rows=None):
    """`engine.ratios.sortino` of the last `window` returns in excess of interest, array (time,). [ratio]

    >>> sortino(np.array([0.0, 0.02, -0.01, 0.0]), 2, 0.0, 1).round(6)
    array([      nan,       nan,  0.707107, -0.707107])
    """

    def number(values):
        below = np.sqrt(_mean([np.minimum(one - target, 0.0) ** 2 for one in values]))
        return (_mean(values) - target) / _positive(below) * np.sqrt(periods)

    return _whole(window, number, returns, rows=rows)


def beta(returns, other, window=YEAR, rows=None):
    r"""Slope of the last `window` returns on those of another series.

    .. math:: \beta = \mathrm{cov}(r, b) / \mathrm{var}(b)

    Both are arrays (time,) [fraction]. Array (time,) [1]; nan where the other does not move.

    Source: W. Sharpe, Capital Asset Prices, Journal of Finance 1964.

    >>> beta(np.array([0.0, 0.02, -0.04]), np.array([0.0, 0.01, -0.01]), 2)
    array([nan,  2.,  3.])
    """

    def number(values, others):
        middle, spread = _mean(others), _positive(_spread(others))
        together = sum(one * (another - middle) for one, another in zip(values, others, strict=True))
        return together / (window - 1) / spread**2

    return _whole(window, number, returns, other, rows=rows)


def drawdown(returns, window=YEAR, compounding=True, rows=None):
    """`engine.risk.max_drawdown` of the last `window` returns, begun at 1, array (time,). [fraction]

    >>> drawdown(np.array([0.5, -0.5, 0.0, 0.5]), 2)
    array([ nan, -0.5, -0.5,  0. ])
    """

    def number(values):
        grown = np.ones(len(values[0]))
        peak, deepest = grown, np.zeros(len(values[0]))
        for one in values:
            grown = grown * (1.0 + one) if compounding else grown + one
            peak = np.maximum(peak, grown)
            deepest = np.minimum(deepest, (grown - peak) / peak)
        return deepest

    return _whole(window, number, returns, rows=rows)


def months(run):
    """Return of each month, a row a year, the newest first; DataFrame with columns MONTHS.

    `whole` is the return of the calendar year; its months multiply to it, or with fixed capital add up to it. Null
    where the run has no day.
    """
    daily = run if isinstance(run, Daily) else Daily.of(run)
    month, returns = by_period(daily.alone, daily.days, "M", daily.compounding)
    year, whole = by_period(daily.alone, daily.days, "Y", daily.compounding)
    row = month.astype("datetime64[Y]").astype(int) - (year[0].astype(int) if len(year) else 0)
    grid = np.full((len(row) and int(row[-1]) + 1, 13), np.nan)
    grid[row, month.astype(int) % 12] = returns
    grid[year.astype(int) - (year[0].astype(int) if len(year) else 0), 12] = whole
    first = int(year[0].astype(int)) + 1970 if len(year) else 0
    frame = pl.DataFrame(grid, schema=[*NAMES, "whole"]).with_columns(pl.all().fill_nan(None))
    frame = frame.with_columns(year=first + pl.int_range(pl.len()))
    return frame.select(*MONTHS).cast(MONTHS).sort("year", descending=True)


def _whole(window, number, *series, rows=None):
    """A number of each whole window, nan before the first; of the windows that end with `rows` if they are given.

    `number` is given the windows by place: the first value of every window, the second of every window ...; so that a
    loop over them works on all windows at once, in the order in which one window would be gone through.
    """
    if not isinstance(window, (int, np.integer)) or window < 2:
        raise ValueError(f"window {window!r}: allowed is a whole number of days from 2 on")
    if rows is not None:
        return number(*([values[rows - window + 1 + place] for place in range(window)] for values in series))
    count = len(series[0]) - window + 1
    if count < 1:
        return np.full(len(series[0]), np.nan)
    placed = ([values[place : place + count] for place in range(window)] for values in series)
    return np.append(np.full(window - 1, np.nan), number(*placed))


def _mean(values):
    return sum(values) / len(values)


def _spread(values):
    """Standard deviation (ddof 1) of each window; exactly 0 where only rounding moves it."""
    middle = _mean(values)
    spread, largest = np.zeros(len(middle)), np.ones(len(middle))
    for one in values:
        spread += (one - middle) ** 2
        np.maximum(largest, np.abs(one), out=largest)
    spread = np.sqrt(spread / (len(values) - 1))
    return np.where(spread <= ROUNDING * largest, 0.0, spread)


def _positive(values):
    return np.where(values > ROUNDING, values, np.nan)
