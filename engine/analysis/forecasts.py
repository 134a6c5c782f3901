"""Values at risk as they would have been told the evening before, and whether the losses kept to them.

The forecast of a day reads the returns of the days before it alone, the last `window` of them (all, if none is told),
and none is told until `LEAST` days are known. Days of a run before its first position are none of them: what an account
loses that holds nothing says nothing of one that does. A day whose loss is larger is an exceedance
(`engine.exceedances`).
"""

from functools import cached_property

import numpy as np
import polars as pl

from engine import exceedances, tails
from engine.analysis.daily import Daily
from engine.analysis.value_at_risk import LEVELS, METHODS

WINDOW = 500  # days that a forecast looks back
LEAST = 250  # days that have to be known first: of 1 in 100, two or three
FORECASTS = {
    "day": pl.Date,
    "return": pl.Float64,  # [fraction]
    "method": pl.String,  # of `engine.analysis.value_at_risk.METHODS`
    "level": pl.Float64,  # [fraction]
    "var": pl.Float64,  # as told the evening before; null: too little was known [fraction of capital]
    "exceeded": pl.Boolean,  # whether the loss was larger; null with it
}
TESTS = {
    "method": pl.String,
    "level": pl.Float64,  # [fraction]
    "days": pl.Int32,  # on which a value at risk was told
    "exceedances": pl.Int32,  # days that lost more
    "expected": pl.Float64,  # exceedances at a share of 1 - level [days]
    "kupiec": pl.Float64,  # likelihood ratio: are there as many as there should be
    "kupiec_p": pl.Float64,  # chance of a ratio at least as large if so; a small one refutes the method [fraction]
    "independence": pl.Float64,  # likelihood ratio: do they follow each other
    "independence_p": pl.Float64,  # [fraction]
    "coverage": pl.Float64,  # likelihood ratio of both together (Christoffersen)
    "coverage_p": pl.Float64,  # [fraction]
    "worst": pl.Float64,  # largest loss over the value at risk of its day [ratio]
}


def forecast(returns, method="history", level=0.95, window=WINDOW, least=LEAST):
    """Value at risk of each day from the days before it.

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    method : str
        Of `METHODS`.
    level : float
        Between 0.5 and 1.
    window : int, optional
        Days looked back; all if None. Of `filtered`, days that could be standardised.
    least : int
        Days that have to be known.

    Returns
    -------
    array (time,)
        [fraction], positive for a loss; nan before `least` days are known, and after an unknown return.

    Source: that of the method, see `engine.tails`; `cornish-fisher` outside its domain is history, day by day.

    >>> forecast(np.array([-0.01, 0.01, -0.04, 0.02]), "history", 0.5, None, 2)
    array([ nan,  nan, -0.  ,  0.01])
    """
    return _forecasts(_Past(returns, window, least), method, (level,))[0]


def forecasts(run, levels=LEVELS, methods=tuple(METHODS), window=WINDOW, least=LEAST):
    """Every day of a run with the values at risk that were told of it; DataFrame with columns FORECASTS.

    Methods and levels follow each other, each with all days: what a picture of exceedances draws.
    """
    daily = run if isinstance(run, Daily) else Daily.of(run)
    past = _Past(daily.returns[daily.begun :], window, least)
    none = [np.full(daily.begun, np.nan)] * len(levels)
    told = [np.hstack([none, _forecasts(past, method, levels)]) for method in methods]
    count, days = len(methods) * len(levels), len(daily.returns)
    found = pl.DataFrame(
        {
            "day": np.tile(daily.days[1:], count),
            "return": np.tile(daily.returns, count),
            "method": pl.Series(methods, dtype=pl.String).gather(
                np.repeat(np.arange(len(methods)), len(levels) * days)
            ),
            "level": np.tile(np.repeat(np.array(levels, float), days), len(methods)),
            "var": np.array(told, float).reshape(-1),
        }
    ).with_columns(pl.col("var", "return").fill_nan(None))
    return found.with_columns(exceeded=-pl.col("return") > pl.col("var")).cast(FORECASTS)


def backtested(told):
    """How often the losses went beyond each method and level, and what the tests of coverage say of it.

    Parameters
    ----------
    told : DataFrame
        Of `forecasts`.

    Returns
    -------
    DataFrame
        Columns TESTS, in the order of `told`.

    Source: Kupiec 1995, Christoffersen 1998, see `engine.exceedances`.
    """
    rows = []
    for (method, level), days in told.group_by("method", "level", maintain_order=True):
        exceeded, returns, var = (days[name].cast(pl.Float64).to_numpy() for name in ("exceeded", "return", "var"))
        known = ~np.isnan(exceeded)
        exceeded, count = exceeded[known] == 1.0, int(known.sum())
        kupiec = exceedances.kupiec(int(exceeded.sum()), count, level)
        apart, both = exceedances.independence(exceeded), exceedances.conditional(exceeded, level)
        losses = -returns[known][exceeded] / var[known][exceeded]
        beyond = float(losses.max()) if len(losses) else None
        p = [exceedances.p_value(ratio, freedom) for ratio, freedom in ((kupiec, 1), (apart, 1), (both, 2))]
        ratios = (kupiec, p[0], apart, p[1], both, p[2])
        rows.append((method, level, count, int(exceeded.sum()), count * tails.beyond(level), *ratios, beyond))
    return pl.DataFrame(rows, schema=TESTS, orient="row").fill_nan(None)


def _forecasts(past, method, levels):
    """`forecast` of several levels."""
    if method not in METHODS:
        raise ValueError(f"method {method!r} of a value at risk: allowed are {', '.join(METHODS)}")
    later = np.full(past.count - len(past.returns), np.nan)
    return [-np.concatenate([[np.nan], _METHODS[method](past, level), later])[: past.count] for level in levels]


class _Past:
    """The returns before the first unknown one, and what several methods read of them at the end of each row."""

    def __init__(self, returns, window, least):
        unknown = np.flatnonzero(np.isnan(returns))
        self.count, self.returns = len(returns), returns[: unknown[0]] if len(unknown) else returns
        self.window, self.least = window or max(len(self.returns), 1), least
        self._quantiles = {}

    @cached_property
    def moments(self):
        """See `_moments`."""
        return _moments(self.returns, self.window, self.least)

    @cached_property
    def surprises(self):
        """Returns that could be standardised, volatility of each row, number of the last surprise known at each row."""
        surprises = tails.standardised(self.returns)
        able = ~np.isnan(surprises)
        return surprises[able], tails.ewma(self.returns), np.cumsum(able)

    def history(self, level):
        """See `_quantile`; kept."""
        if level not in self._quantiles:
            self._quantiles[level] = _quantile(self.returns, level, self.window, self.least)
        return self._quantiles[level]


# What is known of the quantile at the end of each row


def _gaussian(past, level):
    mean, spread, _, _ = past.moments
    return mean + tails.NORMAL.inv_cdf(tails.beyond(level)) * spread


def _bent(past, level):
    """Cornish-Fisher inside its domain, history outside it; as `tails.modified_var`, row by row."""
    mean, spread, s, k = past.moments
    bent = mean + tails.bent_quantile(level, s, k) * spread
    return np.where(tails.in_domain(s, k), bent, past.history(level))


def _filtered(past, level):
    surprises, volatility, known = past.surprises
    return volatility * np.append(np.nan, _quantile(surprises, level, past.window, past.least))[known]


_METHODS = {"history": _Past.history, "gaussian": _gaussian, "cornish-fisher": _bent, "filtered": _filtered}


def _quantile(values, level, window, least):
    """Quantile 1 - level of the last values at each row, interpolated linearly; nan before `least` of them."""
    found = pl.Series(values).rolling_quantile(
        tails.beyond(level), "linear", window_size=window, min_samples=min(least, window)
    )
    return found.fill_null(float("nan")).to_numpy()


def _moments(values, window, least):
    """Mean, deviation (ddof 0), skew and excess kurtosis of the last values at each row; nan before `least` of them.

    Windows that are not whole yet grow value by value; whole ones are gone through place by place, all at once, first
    for the mean and then for the powers about it: no row reads, or rounds by, what comes later.
    """
    count = max(len(values) - window, 0)
    places = [values[place + 1 : place + 1 + count] for place in range(window if count else 0)]
    mean = sum(places, np.zeros(count)) / window
    sums, apart, power = np.zeros((3, count)), np.empty(count), np.empty(count)
    for place in places:
        np.subtract(place, mean, out=apart)
        power[:] = apart
        for total in sums:
            power *= apart
            total += power
    first = _growing(values[:window].tolist())
    mean, *sums = np.hstack([first, np.vstack([mean, sums / window])])
    spread = np.sqrt(sums[0])
    spread[spread <= tails.ROUNDING * np.maximum(1.0, np.abs(mean))] = 0.0  # only rounding moves it
    some = np.where(spread > 0.0, spread, np.nan)
    found = np.array([mean, spread, sums[1] / some**3, sums[2] / some**4 - 3.0])
    found[:, : max(least - 1, 0)] = np.nan
    return found


def _growing(values):
    """Mean and central moments two to four of the first 1, 2, 3... values, (4, count).

    Source: P. Pebay, Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
    Moments, Sandia Report 2008, eq. 1.1 to 1.6 for one more value.
    """
    out, mean, m2, m3, m4 = np.empty((4, len(values))), 0.0, 0.0, 0.0, 0.0
    for t, value in enumerate(values):
        n = t + 1
        apart = value - mean
        step = apart / n
        part = apart * step * t
        mean += step
        m4 += part * step * step * (n * n - 3 * n + 3) + 6.0 * step * step * m2 - 4.0 * step * m3
        m3 += part * step * (n - 2) - 3.0 * step * m2
        m2 += part
        out[:, t] = mean, m2 / n, m3 / n, m4 / n
    return out
