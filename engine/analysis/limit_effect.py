"""What the limits of a portfolio did in times of stress: the run beside the same one without its section [limits].

The other run is computed by the engine, from the same data. What a day's return was better by is a loss avoided on the
days on which the run without limits lost, and what it was worse by a profit forgone on all others; each return is of
its own capital of that day, so that what happened before a window does not count in it. The two make the difference
exactly: with limits less without = avoided - forgone.
"""

import numpy as np
import polars as pl

from engine.analysis.daily import Daily
from engine.analysis.windows import WINDOWS, rows_of
from engine.risk import drawdown
from engine.sections import Limits

WHOLE = "whole run"
UNLIMITING = ("name", "groups")  # params of the section that limit nothing by themselves
EFFECT = {
    "window": pl.String,
    "first": pl.Date,  # days of the window that the run has
    "last": pl.Date,
    "limited": pl.Float64,  # sum of the daily returns of the run [fraction]
    "unlimited": pl.Float64,  # without limits [fraction]
    "avoided": pl.Float64,  # loss avoided; negative: limits lost more [fraction]
    "forgone": pl.Float64,  # profit forgone; negative: limits earned more [fraction]
    "fall_limited": pl.Float64,  # deepest drawdown within the window [fraction]
    "fall_unlimited": pl.Float64,
    "trades_added": pl.Int32,  # trades that were entered in the window, with limits less without
    "fills_added": pl.Int32,  # fills, those of rolls too
}


def has_limits(run):
    """Whether the portfolio of a run names any limit in its section [limits]."""
    own = getattr(run.portfolio, "limits", None)  # an imported run has none
    return own is not None and any(getattr(own, key) is not None for key in Limits.param if key not in UNLIMITING)


def without_limits(archive, run):
    """The run that the same portfolio makes of the same data without its limits; it is not stored.

    Raises
    ------
    NotRunHere, SourceChanged
        As `engine.analysis.source.market_of_run`.
    """
    from engine.analysis.source import market_of_run
    from engine.backtest import backtest, within_the_day

    market = market_of_run(archive, run)
    snapshot = archive.snapshot(run.summary["snapshot"]["number"])
    market, bars, within = within_the_day(archive, market, run.portfolio, snapshot)
    return backtest(market, unlimited(run.portfolio), bars, within)


def unlimited(portfolio):
    """A copy of a portfolio without limits."""
    made = type(portfolio).from_toml(portfolio.to_toml())
    made.limits = Limits()
    return made


def effect(limited, free, windows=WINDOWS):
    """What limits avoided and cost in each window that the runs have, and over all of them.

    Parameters
    ----------
    limited, free : RunResult
        The run, and `without_limits`.
    windows : sequence of Window

    Returns
    -------
    DataFrame
        Columns EFFECT, a row a window of which the run has a day, the whole run first.
    """
    daily = [Daily.of(run) for run in (limited, free)]
    days, rows = daily[0].days[1:], []
    spans = [(WHOLE, 0, len(days)), *((window.name, *rows_of(days, window)) for window in windows)]
    counts = [_entered_and_filled(run) for run in (limited, free)]
    for name, first, after in spans:
        if after <= first:
            continue
        on, off = (np.nan_to_num(one.returns[first:after]) for one in daily)
        avoided, forgone = np.sum((on - off)[off < 0.0]), np.sum((off - on)[off >= 0.0])
        falls = (float(drawdown(one.alone[first : after + 1]).min()) for one in daily)
        ends = days[first], days[after - 1]
        added = (sum(_inside(table, ends) * sign for table, sign in zip(pair, (1, -1), strict=True)) for pair in
                 zip(*counts, strict=True))  # fmt: skip
        rows.append((name, *(end.item() for end in ends), on.sum(), off.sum(), avoided, forgone, *falls, *added))
    return pl.DataFrame(rows, schema=EFFECT, orient="row", strict=False)


def nothing():
    """The table of a run without limits: no row."""
    return pl.DataFrame(schema=EFFECT)


def _entered_and_filled(run):
    """Days of the entries of the trades, and of the fills of a run."""
    found = run.trades()["entry_day"], run.fills()["day"]
    return [column.to_numpy().astype("datetime64[D]") for column in found]


def _inside(days, ends):
    return int(np.sum((days >= ends[0]) & (days <= ends[1])))
