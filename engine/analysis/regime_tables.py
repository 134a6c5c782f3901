"""The tables of a run's regimes, as `frontmonth show RUN --section regimes` prints them."""

import numpy as np
import polars as pl

from engine import keeping
from engine.analysis import conditions
from engine.analysis.chances import RESAMPLES
from engine.analysis.daily import Daily
from engine.analysis.regimes import NAMES, UNKNOWN, labels, models, with_basket
from engine.analysis.source import market_of_run
from engine.analysis.states import Fits

OVERVIEW = {"kind": pl.String} | conditions.PERFORMANCE  # what the account earned in each regime of each kind
LATEST = {  # the newest regimes of each market; "" not known
    "market": pl.String,
    "day": pl.Date,  # of the newest; null if there is none
} | {f"{kind}_regime": pl.String for kind in NAMES}
ALL = "all together"  # in LATEST: the markets as one, see `engine.analysis.regimes`
HOW = (
    "A day counts to the regime known at the close before it. p: by drawing days with their regimes, where means are "
    "alike; moved: by moving regimes against the days. Of twenty p-values one is below 0.05 by chance."
)


class RegimeUnknown(ValueError):
    """A kind of regime that there is not."""


def regimes_of_run(archive, run, kinds=tuple(NAMES)):
    """The regimes of a run's market: {kind: Labels}, and the names of its columns.

    The models of `states` are kept with the run; all else is made again.
    """
    market = market_of_run(archive, run)
    fitted = models_of_run(archive, run, market) if "states" in kinds else None
    adjusted = with_basket(market)
    return {kind: labels(market, kind, fitted, adjusted) for kind in kinds}, market.names


def models_of_run(archive, run, market):
    """What `engine.analysis.regimes.models` makes of a run's market, from the store's cache if it is there."""

    def make():
        return [[part.tolist() for part in one] for one in models(market)]

    found = keeping.of_run(archive, run.id, ["states"], make)
    return [_fits(*parts) for parts in found]


def section(run, archive, regime=None):
    """The tables of one kind of regime, or of all kinds the overview.

    Parameters
    ----------
    run : RunResult
    archive : Archive
    regime : str, optional
        One of `engine.analysis.regimes.NAMES`.

    Returns
    -------
    list of (str, DataFrame, str)
        Title, frame and a note, which may be empty.

    Raises
    ------
    RegimeUnknown
        Not one of the kinds.
    """
    if regime is not None and regime not in NAMES:
        raise RegimeUnknown(f"--regime {regime}: there is no such kind; allowed: {', '.join(NAMES)}")
    made, columns = regimes_of_run(archive, run, tuple(NAMES) if regime is None else (regime,))
    daily = Daily.of(run)
    if regime is None:
        return [
            ("By regime of all markets together", overview(made, columns, daily), HOW),
            ("Newest regimes", latest(made, columns), "Those of a market that has ended are of its last day."),
        ]
    return tables(run, daily, conditions.known_before(made[regime], columns, daily), regime)


def tables(run, daily, known, regime):
    """All tables of one kind of regime: title, frame, note."""
    code, names = known.together, known.names
    return [
        (f"By {regime} of all markets together", conditions.performance(known, daily), HOW),
        (f"By {regime} of each market", conditions.by_market(known, daily), "Episodes are those of a market."),
        (f"Trades by {regime} of their market", conditions.trades(run, known, daily), "As it was before the entry."),
        ("Exposure", conditions.exposure(run, known, daily), "Means of the days of each."),
        ("From day to day", conditions.transitions(code[:, None], names), "Of all markets together."),
        ("From day to day of a market", conditions.transitions(known.market, names), "Of each market by itself."),
        ("Drawdowns", conditions.drawdowns(known, daily), "Deepest: of the days of the regime one after the other."),
    ]


def overview(made, columns, daily, resamples=RESAMPLES):
    """What the account earned in each regime of each kind: columns OVERVIEW; without `resamples` no `p_value`."""
    frames = []
    for kind, found in made.items():
        known = conditions.known_before(found, columns, daily)
        told = conditions.performance(known, daily, resamples)
        frames.append(told.select(pl.lit(kind).alias("kind"), *conditions.PERFORMANCE))
    return pl.concat(frames)


def latest(made, columns):
    """The newest regimes of each market: columns LATEST, the markets as one in the last row."""
    codes = {kind: np.column_stack([one.market, one.together]) for kind, one in made.items()}
    days, rows = next(iter(made.values())).days, []
    for m, name in enumerate((*columns, ALL)):
        seen = np.flatnonzero(np.any([code[:, m] != UNKNOWN for code in codes.values()], axis=0))
        now = {kind: code[seen[-1], m] if len(seen) else UNKNOWN for kind, code in codes.items()}
        told = {f"{kind}_regime": made[kind].names[code] if code != UNKNOWN else "" for kind, code in now.items()}
        rows.append({"market": name, "day": days[seen[-1]].astype(object) if len(seen) else None} | told)
    return pl.DataFrame(rows, schema=LATEST, orient="row")


def _fits(mean, variance, transition, told):
    """The `Fits` of a document; one without any refit has no states to tell the number of."""
    count = len(mean[0]) if mean else 2
    shape = len(mean), count
    return Fits(
        np.array(mean, float).reshape(shape),
        np.array(variance, float).reshape(shape),
        np.array(transition, float).reshape(*shape, count),
        np.array(told, bool),
    )
