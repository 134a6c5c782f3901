"""The drawdowns of a run: how deep, how long, and which markets made them."""

import numpy as np
import polars as pl

from engine.analysis.daily import ACCOUNT, Daily
from engine.risk import drawdown

DRAWDOWNS = {
    "drawdown": pl.Int32,  # its number, 1 the deepest
    "depth": pl.Float64,  # loss since the peak, negative, money paid in or out left out [fraction]
    "fall": pl.Float64,  # change of equity from peak to trough less what was paid in [account currency]
    "peak": pl.Date,  # last day at the peak
    "trough": pl.Date,  # first day of the lowest equity
    "recovery": pl.Date,  # first day at the peak again; null: not yet
    "days_down": pl.Int32,  # peak to trough [calendar days]
    "days_up": pl.Int32,  # trough to recovery, null: not yet [calendar days]
    "days": pl.Int32,  # peak to recovery, or to the last day [calendar days]
}
CAUSES = {
    "drawdown": pl.Int32,  # as in DRAWDOWNS
    "market": pl.String,  # "account": interest and fees
    "sector": pl.String,
    "profit": pl.Float64,  # from peak to trough; the markets of a drawdown sum to its fall [account currency]
    "share": pl.Float64,  # of the fall; negative where the market earned meanwhile [fraction]
}
UNDERWATER = {
    "day": pl.Date,
    "depth": pl.Float64,  # loss since the highest equity so far, 0 or negative [fraction]
    "days": pl.Int32,  # since the last day at the peak [calendar days]
}


def drawdowns(run, most=None):
    """Every drawdown of a run, the deepest first.

    Parameters
    ----------
    run : RunResult or Daily
    most : int, optional
        How many; all if not given.

    Returns
    -------
    DataFrame
        Columns DRAWDOWNS; no row where equity never fell.

    Source: C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, ch. 4.
    """
    daily = _daily(run)
    rows = episodes(daily.alone)[:most]
    peak, trough, last, over = rows.T
    days, fallen = daily.days, _earned(daily, peak, trough).sum(axis=1)
    depth = drawdown(daily.alone)[trough]
    frame = pl.DataFrame(
        {
            "drawdown": np.arange(1, len(rows) + 1),
            "depth": depth,
            "fall": fallen,
            "peak": days[peak],
            "trough": days[trough],
            "recovery": days[last],
            "days_down": (days[trough] - days[peak]).astype(int),
            "days_up": (days[last] - days[trough]).astype(int),
            "days": (days[last] - days[peak]).astype(int),
        }
    )
    open_ = pl.Series(over == 0, dtype=pl.Boolean)
    told = [pl.when(~open_).then(name).alias(name) for name in ("recovery", "days_up")]
    return frame.with_columns(told).cast(DRAWDOWNS)


def causes(run, most=None):
    """What each market earned while a run fell from its peak to its trough; the largest loss of each drawdown first.

    Run and most as for `drawdowns`. DataFrame with columns CAUSES; a drawdown's rows sum to its `fall`, to the cent.
    """
    daily = _daily(run)
    rows = episodes(daily.alone)[:most]
    earned = _earned(daily, rows[:, 0], rows[:, 1])
    names, sectors = (*daily.names, ACCOUNT), (*daily.sectors, ACCOUNT)
    number, column = np.nonzero(earned)
    frame = pl.DataFrame(
        {
            "drawdown": number + 1,
            "market": [names[k] for k in column],
            "sector": [sectors[k] for k in column],
            "profit": earned[number, column],
            "share": (earned / _divisor(earned.sum(axis=1, keepdims=True)))[number, column],
        },
        schema=CAUSES,
        strict=False,
    )
    return frame.sort("drawdown", "profit", "market")


def underwater(run):
    """How far and how long equity has been below its peak, day by day; DataFrame with columns UNDERWATER."""
    daily = _daily(run)
    depth = drawdown(daily.alone)
    row = np.arange(len(depth))
    peak = np.maximum.accumulate(np.where(depth == 0.0, row, 0))
    since = (daily.days - daily.days[peak]).astype(int)
    return pl.DataFrame({"day": daily.days, "depth": depth, "days": since}).cast(UNDERWATER)


def _daily(run):
    return run if isinstance(run, Daily) else Daily.of(run)


def _divisor(values):
    return np.where(values != 0.0, values, np.nan)


def _earned(daily, first, last):
    """Profit of each market after row `first` of the days up to row `last`, (span, market + 1). [account currency]"""
    sums = np.vstack([np.zeros(daily.profit.shape[1]), np.cumsum(daily.profit, axis=0)])
    return sums[last] - sums[first]


def episodes(equity):
    """(drawdown, 4) rows of equity, the deepest first: peak, trough, end, and whether it is over."""
    depth = drawdown(equity)
    below = depth < 0.0
    begins = np.flatnonzero(below & ~np.append(False, below[:-1]))
    if len(begins) == 0:
        return np.zeros((0, 4), int)
    rows = np.flatnonzero(below)
    number = np.searchsorted(begins, rows, "right") - 1
    deepest = np.minimum.reduceat(np.where(below, depth, 0.0), begins)
    at = rows[depth[rows] == deepest[number]]
    _, first = np.unique(np.searchsorted(begins, at, "right"), return_index=True)
    last = rows[np.append(np.flatnonzero(np.diff(number)), len(rows) - 1)]
    over = depth[np.minimum(last + 1, len(depth) - 1)] == 0.0
    found = np.column_stack([begins - 1, at[first], np.where(over, last + 1, last), over])
    return found[np.argsort(deepest, kind="stable")]
