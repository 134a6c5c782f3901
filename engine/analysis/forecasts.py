"""Values at risk as they would have been told the evening before, and whether the losses kept to them.

The forecast of a day reads the returns of the days before it alone, the last `window` of them (all, if none is told),
and none is told until `LEAST` days are known. Days of a run before its first position are none of them: what an account
loses that holds nothing says nothing of one that does. A day whose loss is larger is an exceedance
(`engine.exceedances`).
"""

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
    return _forecasts(returns, method, (level,), window, least)[0]


def forecasts(run, levels=LEVELS, methods=tuple(METHODS), window=WINDOW, least=LEAST):
    """Every day of a run with the values at risk that were told of it; DataFrame with columns FORECASTS.

    Methods and levels follow each other, each with all days: what a picture of exceedances draws.
    """
    daily = run if isinstance(run, Daily) else Daily.of(run)
    frames, returns, none = [], daily.returns[daily.begun :], np.full(daily.begun, np.nan)
    for method in methods:
        for level, told in zip(levels, _forecasts(returns, method, levels, window, least), strict=True):
            frame = {"day": daily.days[1:], "return": daily.returns, "method": method, "level": level}
            frames.append(pl.DataFrame(frame | {"var": np.append(none, told)}))
    found = pl.concat(frames).with_columns(pl.col("var", "return").fill_nan(None))
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
        days = days.drop_nulls("exceeded")
        exceeded, count = days["exceeded"].to_numpy(), len(days)
        kupiec = exceedances.kupiec(int(exceeded.sum()), count, level)
        apart, both = exceedances.independence(exceeded), exceedances.conditional(exceeded, level)
        beyond = days.filter("exceeded").select((-pl.col("return") / pl.col("var")).max()).item()
        p = [exceedances.p_value(ratio, freedom) for ratio, freedom in ((kupiec, 1), (apart, 1), (both, 2))]
        ratios = (kupiec, p[0], apart, p[1], both, p[2])
        rows.append((method, level, count, int(exceeded.sum()), count * tails.beyond(level), *ratios, beyond))
    return pl.DataFrame(rows, schema=TESTS, orient="row").fill_nan(None)


def _forecasts(returns, method, levels, window, least):
    """`forecast` of several levels."""
    if method not in METHODS:
        raise ValueError(f"method {method!r} of a value at risk: allowed are {', '.join(METHODS)}")
    unknown = np.flatnonzero(np.isnan(returns))
    known = returns[: unknown[0]] if len(unknown) else returns
    at = _METHODS[method](known, window or max(len(known), 1), least)
    later = np.full(len(returns) - len(known), np.nan)
    return [-np.concatenate([[np.nan], at(level), later])[: len(returns)] for level in levels]


# What is known of the quantile at the end of each row, as a function of the level


def _history(returns, window, least):
    return lambda level: _quantile(returns, level, window, least)


def _gaussian(returns, window, least):
    mean, spread, _, _ = _moments(returns, window, least, 2)
    return lambda level: mean + tails.NORMAL.inv_cdf(tails.beyond(level)) * spread


def _bent(returns, window, least):
    """Cornish-Fisher inside its domain, history outside it; as `tails.modified_var`, row by row."""
    mean, spread, s, k = _moments(returns, window, least, 4)

    def at(level):
        bent = mean + tails.bent_quantile(level, s, k) * spread
        return np.where(tails.in_domain(s, k), bent, _quantile(returns, level, window, least))

    return at


def _filtered(returns, window, least):
    surprises, volatility = tails.standardised(returns), tails.ewma(returns)
    able = ~np.isnan(surprises)
    return lambda level: (
        volatility * np.append(np.nan, _quantile(surprises[able], level, window, least))[np.cumsum(able)]
    )


_METHODS = {"history": _history, "gaussian": _gaussian, "cornish-fisher": _bent, "filtered": _filtered}


def _quantile(values, level, window, least):
    """Quantile 1 - level of the last values at each row, interpolated linearly; nan before `least` of them."""
    found = pl.Series(values).rolling_quantile(
        tails.beyond(level), "linear", window_size=window, min_samples=min(least, window)
    )
    return found.fill_null(float("nan")).to_numpy()


def _moments(values, window, least, highest):
    """Mean, deviation (ddof 0), skew and excess kurtosis of the last values at each row; nan before `least` of them.

    Windows that are not whole yet grow value by value; whole ones are gone through place by place, all at once, first
    for the mean and then for the powers about it up to the `highest`: no row reads, or rounds by, what comes later.
    """
    count = max(len(values) - window, 0)
    places = [values[place + 1 : place + 1 + count] for place in range(window if count else 0)]
    mean = sum(places, np.zeros(count)) / window
    sums = np.zeros((3, count))
    for place in places:
        apart = place - mean
        power = apart
        for k in range(highest - 1):
            power = power * apart
            sums[k] += power
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
