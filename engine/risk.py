"""How much a run lost: its drawdowns, how deep and how long.

Equity arrays begin with the starting capital, so n returns have n + 1 rows of equity. Undefined is nan, and nan in
gives nan out: a day that is not known must not make a risk look known.
"""

import numpy as np

ROUNDING = 1e-14  # a spread below this share of the largest value (at least 1) is rounding, not movement


def drawdown(equity):
    r"""Loss since the highest equity so far.

    .. math:: D_t = E_t / \max_{s \le t} E_s - 1

    Parameters
    ----------
    equity : array (time + 1,)
        First row: the starting capital, which counts as a peak. [account currency]

    Returns
    -------
    array (time + 1,)
        [fraction], 0 or negative; below -1 where more than everything was lost; nan if the start is not positive.

    Source: C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, ch. 4.

    >>> drawdown(np.array([100.0, 125.0, 100.0, 150.0]))
    array([ 0. ,  0. , -0.2,  0. ])
    """
    if len(equity) == 0 or not equity[0] > 0.0:
        return np.full(len(equity), np.nan)
    peak = np.maximum.accumulate(equity)
    return (equity - peak) / peak


def max_drawdown(equity):
    r"""Deepest loss since a peak.

    .. math:: \min_t D_t

    Equity as for `drawdown`. [fraction], 0 or negative; nan without equity.

    Source: as `drawdown`.

    >>> max_drawdown(np.array([100.0, 125.0, 100.0, 150.0]))
    -0.2
    """
    depth = drawdown(equity)
    return float(depth.min()) if len(depth) else np.nan


def max_drawdown_days(equity, days):
    r"""Length of the deepest drawdown, from the last day at its peak to the day that regained it.

    A drawdown that is still open lasts until the last day; of two equally deep ones the first counts.

    Parameters
    ----------
    equity : array (time + 1,)
        [account currency]
    days : array (time + 1,) of datetime64[D]
        Day of each row of equity.

    Returns
    -------
    float
        [calendar days]; 0 without a drawdown, nan without equity.

    Source: as `drawdown` (drawdown duration, peak to recovery).

    >>> days = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-09"], "datetime64[D]")
    >>> max_drawdown_days(np.array([100.0, 125.0, 100.0, 150.0]), days)
    7.0
    """
    depth = drawdown(equity)
    if len(depth) == 0 or np.isnan(depth).any():
        return np.nan
    trough = int(depth.argmin())
    peaks = np.flatnonzero(depth == 0.0)
    first = peaks[peaks <= trough][-1]
    after = peaks[peaks > trough]
    last = after[0] if len(after) else len(depth) - 1
    return whole_days(days[last] - days[first]) if depth[trough] < 0.0 else 0.0


def longest_drawdown_days(equity, days):
    r"""Longest time without a new peak, however shallow.

    Equity and days as for `max_drawdown_days`. [calendar days]; 0 without a drawdown, nan without equity.

    Source: as `drawdown`.

    >>> days = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-09"], "datetime64[D]")
    >>> longest_drawdown_days(np.array([100.0, 90.0, 99.0, 98.0]), days)
    8.0
    """
    depth = drawdown(equity)
    if len(depth) == 0 or np.isnan(depth).any():
        return np.nan
    peaks = np.flatnonzero(depth == 0.0)
    ends = np.append(peaks[1:], len(depth) - 1)
    under = (ends - peaks > 1) | (depth[ends] < 0.0)
    return whole_days((days[ends] - days[peaks])[under].max()) if under.any() else 0.0


def ulcer(equity):
    r"""Ulcer index: root mean square of the drawdown, so that long and deep ones weigh most.

    .. math:: \sqrt{\frac{1}{n} \sum_{t=1}^{n} D_t^2}

    Equity as for `drawdown`; the starting row is a peak but no observation. [fraction]; nan without a day.

    Source: P. Martin, B. McCann, The Investor's Guide to Fidelity Funds, 1989 (index of 1987). Some libraries divide
    by n - 1.

    >>> ulcer(np.array([100.0, 80.0, 100.0, 100.0, 100.0]))
    0.1
    """
    depth = drawdown(equity)[1:]
    return float(np.sqrt(np.mean(depth**2))) if len(depth) else np.nan


def pain(equity):
    r"""Pain index: mean depth of the drawdown.

    .. math:: \frac{1}{n} \sum_{t=1}^{n} |D_t|

    Equity as for `ulcer`. [fraction]; nan without a day.

    Source: Zephyr Associates' pain index, in Bacon (see `drawdown`).

    >>> pain(np.array([100.0, 80.0, 100.0, 100.0, 100.0]))
    0.05
    """
    depth = drawdown(equity)[1:]
    return float(np.mean(np.abs(depth))) if len(depth) else np.nan


def underwater(equity):
    r"""Share of the days that ended below the highest equity so far.

    .. math:: \#\{D_t < 0\} / n

    Equity as for `ulcer`. [fraction]; nan without a day.

    Source: as `drawdown`.

    >>> underwater(np.array([100.0, 80.0, 100.0, 110.0, 90.0]))
    0.5
    """
    depth = drawdown(equity)[1:]
    return float(np.mean(depth < 0.0)) if len(depth) and not np.isnan(depth).any() else np.nan


def ratio(top, bottom):
    """Quotient; nan where the bottom is not positive, or so small that it is only rounding.

    >>> ratio(1.0, 4.0), ratio(1.0, 0.0), ratio(0.05, 1e-17)
    (0.25, nan, nan)
    """
    return float(top / bottom) if bottom > ROUNDING * max(1.0, abs(top)) else np.nan


def deviation(values, ddof=1):
    """Standard deviation; exactly 0 where only rounding moves the values, nan with no more than ddof of them.

    >>> deviation(np.array([0.1, 0.1, 0.1])), deviation(np.array([0.1]))
    (0.0, nan)
    """
    if len(values) <= ddof:
        return np.nan
    spread = float(np.std(values, ddof=ddof))
    return 0.0 if spread <= ROUNDING * max(1.0, np.abs(values).max()) else spread


def whole_days(span):
    """A span of dates as a number of calendar days."""
    return float(span / np.timedelta64(1, "D"))
