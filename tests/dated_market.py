"""Markets of `synthetic_market` with business days, for what counts in weeks."""

import numpy as np
import synthetic_market

MONDAY = np.datetime64("2001-01-01")


def of(mark, **facts):
    """A market of given marks, on business days from a Monday."""
    return dated(synthetic_market.of(mark, **facts))


def market(bars=400, markets=3, seed=1, **facts):
    """Random walks on the tick grid, with holidays; the second market begins late."""
    return dated(synthetic_market.market(bars, markets, seed, **facts))


def together(correlation, bars=1500, seed=5, deviation=1.0):
    """Markets whose changes have given correlations and a daily deviation of 8 ticks, or `deviation` times that."""
    random = np.random.default_rng(seed)
    changes = random.standard_normal((bars, len(correlation))) @ np.linalg.cholesky(np.asarray(correlation)).T
    return of(4000.0 + 0.25 * np.cumsum(np.round(8.0 * deviation * changes), axis=0))


def other_future(whole, length):
    """The same market with noise in place of all that came after `length` bars."""
    return dated(synthetic_market.other_future(whole, length))


def dated(made):
    """The market with its days."""
    made.days = np.busday_offset(MONDAY, np.arange(len(made.mark)), roll="forward")
    return made
