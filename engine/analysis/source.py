"""What an analysis needs beside a run's tables: the market that the run was made of, and the curve that it held.

The market is loaded again from the snapshot of the run and must be the same, number by number: its hashes are compared
with those that the run wrote down.
"""

from typing import NamedTuple

import numpy as np

from engine import inputs
from engine.backtest import market_of, within_the_day
from engine.market import ahead
from engine.members import seen
from engine.rows import carried
from engine.sizing.sizer import point_risk
from engine.wishes import decided


class SourceChanged(ValueError):
    """The data of a run are not there any more as it used them; the message says what differs and what to do."""


class Given(NamedTuple):
    """What a run was given, made again; arrays begin with the first row of the run."""

    inputs: object  # engine.inputs.Inputs, of days
    forecast: np.ndarray  # (time, member) as each market can still trade it; 1 is the usual long
    risk: np.ndarray  # (time, line) daily volatility of one contract by the sizing rule's memory, nan where it has none
    # [account currency]


class Curve(NamedTuple):
    """The market of a run's days, and how steep the curve was; arrays (time, market)."""

    market: object  # Market of the rows of the run
    slope: np.ndarray  # at the end of the row, of what is held after it: (next - held) / next_days, nan where there is
    # no next contract or no price of it; held through holidays [points / calendar day]
    gap: np.ndarray  # calendar days since the market's row before; nan on its holidays and on its first row


def market_of_run(archive, run):
    """The `Market` that a run was made of, with all history before its start.

    Parameters
    ----------
    archive : Archive
    run : RunResult

    Returns
    -------
    Market
        As `engine.backtest.market_of` loads it: margins as they are stored, the portfolio's rules not applied.

    Raises
    ------
    NotRunHere
        The run was imported from another program.
    SourceChanged
        The run does not name its snapshot, the snapshot is gone, or it gives other data than the run had.
    """
    run.ours("the market that it was made of")
    told = run.summary.get("snapshot")
    if told is None:
        raise SourceChanged(f"run {run.id} was made of no stored snapshot: its market cannot be loaded again")
    snapshot = archive.snapshot(told["number"])
    market = market_of(archive, run.portfolio, run.summary["markets"], snapshot)
    whole, _, _ = within_the_day(archive, market, run.portfolio, snapshot)
    was, now = run.summary["hashes"], whole.hashes
    if different := [name for name in ("data", "rolls") if was[name] != now[name]]:
        raise SourceChanged(
            f"run {run.id} was made of other {' and other '.join(different)} than snapshot {told['number']} gives now "
            f"(data {was['data'][:12]}, now {now['data'][:12]}): facts of contracts, holidays or the code have changed "
            "since; run its portfolio again (frontmonth run) and ask of that run"
        )
    return market


def curve_of_run(archive, run):
    """The `Curve` of a run: `market_of_run`, of its days alone, and what followed each contract that was held.

    After a roll the contract rolled into is the one held, and what follows that is read from the contracts' own bars.
    """
    market = market_of_run(archive, run)
    known = after_rolls(archive, run, market)
    first = int(np.searchsorted(market.days, np.datetime64(run.summary["start"], "D")))
    return curve(market, known, first)


def given_of_run(archive, run):
    """What a run was given (`Given`): its market, forecasts, sizes and costs; of bars within the day those of days."""
    return given(market_of_run(archive, run), run)


def given(market, run):
    """The `Given` of a run and its market, which has all history."""
    portfolio = run.portfolio
    first = int(np.searchsorted(market.days, np.datetime64(run.summary["start"], "D")))
    known, _ = inputs.with_margins(market, portfolio, first)
    made = inputs.made(known, portfolio, first)
    placed = made.layout
    wanted, columns, _ = decided(known, seen(known, _spreads(known, portfolio)), portfolio, placed)
    forecast = [one.decision.forecast[:, mine] for one, mine in zip(wanted, columns, strict=True)]
    forecast = np.concatenate(forecast, axis=1)[first:]
    called = np.array([wanted[s].decision.program is not None for s in placed.strategy])
    span = getattr(portfolio.sizing, "span", None)
    risk = np.full((len(forecast), len(placed.lines.member)), np.nan)
    if span is not None:
        risk = point_risk(known, placed.lines.instrument, span)[first:]
    return Given(made, np.where(called, np.nan, forecast), risk)


def _spreads(market, portfolio):
    traded = {name for _, name in portfolio.members(market.names)}
    return {name: spread.legs for name, spread in sorted(portfolio.spreads.items()) if name in traded}


def curve(market, after=None, first=0):
    """The `Curve` of a market from row `first` on.

    Parameters
    ----------
    market : Market
        With its history.
    after : array (time, market), optional
        On the rows of rolls the slope of the curve beyond the contract rolled into, see `after_rolls`; not known, if
        not given.
    first : int

    Returns
    -------
    Curve

    A contract at 50.00, the next one, which ends 30 days later, at 50.60:

    >>> from types import SimpleNamespace
    >>> days = np.array(["2024-03-01", "2024-03-04"], "datetime64[D]")
    >>> told = {"mark": [[50.0], [50.2]], "next_mark": [[50.6], [np.nan]], "next_days": [[30.0], [30.0]]}
    >>> told = {name: np.array(values) for name, values in told.items()} | {"roll": np.zeros((2, 1), bool)}
    >>> made = curve(SimpleNamespace(days=days, rows=lambda first: None, **told))
    >>> made.slope.ravel().round(3), made.gap.ravel()
    (array([0.02,  nan]), array([nan,  3.]))
    """
    priced = ~np.isnan(market.mark)
    days = np.where(market.next_days > 0.0, market.next_days, np.nan)
    slope = (market.next_mark - market.mark) / days
    slope = np.where(market.roll, np.nan if after is None else after, slope)
    last = carried(np.where(priced, np.arange(len(priced))[:, None], np.nan))  # the newest row with a price
    held = np.take_along_axis(slope, np.nan_to_num(last).astype(np.int64), axis=0)
    when = market.days.astype("datetime64[D]").astype(np.float64)[:, None]
    before = np.vstack([np.full((1, priced.shape[1]), np.nan), carried(np.where(priced, when, np.nan))[:-1]])
    gap = np.where(priced, when - before, np.nan)
    return Curve(market.rows(first), np.where(np.isnan(last), np.nan, held)[first:], gap[first:])


def after_rolls(archive, run, market):
    """Slope of the curve beyond the contract rolled into, on the rows of rolls; nan elsewhere and where it is unknown.

    Returns
    -------
    array (time, market)
        [points / calendar day]
    """
    snapshot = archive.snapshot(run.summary["snapshot"]["number"])
    out = np.full(market.mark.shape, np.nan)
    for name, frame in ahead(archive, list(market.names), run.portfolio.rolls.rules(), snapshot).items():
        m = market.names.index(name)
        rows = np.searchsorted(market.days, frame["day"].to_numpy().astype("datetime64[D]"))
        rows, there = np.minimum(rows, len(market.days) - 1), rows < len(market.days)
        there &= market.roll[rows, m] & (market.roll_contract[rows, m] == frame["contract"].to_numpy())
        mark, after, days = (frame[one].to_numpy() for one in ("mark", "next_mark", "next_days"))
        slope = (after - mark) / np.where(days > 0.0, days, np.nan)
        out[rows[there], m] = slope[there]
    return out
