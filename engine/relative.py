"""A run beside a benchmark: what of its return the benchmark explains, and how far they part.

Both series are daily returns of the same days. Without money lent or borrowed, futures earn in excess of the riskless
rate; interest that was credited is taken out of both where alpha, beta and correlation are asked for. What is undefined
is nan, and nan in gives nan out.
"""

import numpy as np

from engine.ratios import YEAR
from engine.risk import deviation, ratio


def beta(excess, other):
    r"""How much of each move of the benchmark the run made, in the mean.

    .. math:: \beta = cov(r, b) / var(b)

    Parameters
    ----------
    excess, other : array (time,)
        Excess returns of the run and of the benchmark. [fraction]

    Returns
    -------
    float
        [ratio]; nan for fewer than two returns or where the benchmark does not move.

    Source: W. Sharpe, Capital Asset Prices, Journal of Finance 19 (1964).

    >>> beta(np.array([0.02, -0.04, 0.02]), np.array([0.01, -0.02, 0.01]))
    2.0
    """
    if len(other) < 2 or not deviation(other) > 0.0:
        return np.nan
    apart = other - np.mean(other)
    return float(np.sum((excess - np.mean(excess)) * apart) / np.sum(apart**2))


def alpha(excess, other, periods=YEAR):
    r"""What the run earned a year that the benchmark does not explain.

    .. math:: \alpha = (\bar r - \beta \bar b) P

    Arguments as for `beta`. [fraction a year, not compounded]; nan as `beta`.

    Source: M. Jensen, The Performance of Mutual Funds in the Period 1945-1964, Journal of Finance 23 (1968).

    >>> round(alpha(np.array([0.03, -0.03, 0.03]), np.array([0.01, -0.02, 0.01]), periods=1), 12)
    0.01
    """
    return float((np.mean(excess) - beta(excess, other) * np.mean(other)) * periods) if len(excess) else np.nan


def correlation(excess, other):
    r"""Correlation of the run with the benchmark.

    .. math:: \rho = cov(r, b) / (s(r) \, s(b))

    Arguments as for `beta`. [1]; nan as `beta`, and where the run does not move.

    Source: K. Pearson, Proceedings of the Royal Society of London 58 (1895).

    >>> round(correlation(np.array([0.02, -0.04, 0.02]), np.array([-0.01, 0.02, -0.01])), 12)
    -1.0
    """
    if not deviation(excess) > 0.0:
        return np.nan
    return float(beta(excess, other) * deviation(other) / deviation(excess))


def tracking_error(returns, other, periods=YEAR):
    r"""Volatility of the difference between run and benchmark.

    .. math:: s_1(r - b) \sqrt{P}

    Returns as they are, interest in them. [fraction a year]; nan for fewer than two.

    Source: C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, ch. 4.

    >>> round(tracking_error(np.array([0.03, 0.0]), np.array([0.01, 0.02]), periods=1), 12)
    0.028284271247
    """
    return float(deviation(returns - other) * np.sqrt(periods))


def information_ratio(returns, other, periods=YEAR):
    r"""Mean difference between run and benchmark for each unit of its standard deviation, a year.

    .. math:: \overline{r - b} / s_1(r - b) \cdot \sqrt{P}

    Arguments as for `tracking_error`. [ratio]; nan for fewer than two returns, or where the difference does not move.

    Source: T. Goodwin, The Information Ratio, Financial Analysts Journal 54 (1998), arithmetic form.

    >>> round(information_ratio(np.array([0.03, 0.02]), np.array([0.02, 0.0]), periods=1), 12)
    2.12132034356
    """
    apart = returns - other
    spread = deviation(apart)
    return float(np.mean(apart) / spread * np.sqrt(periods)) if spread > 0.0 else np.nan


def up_capture(returns, other):
    r"""What the run earned on days on which the benchmark rose, for each unit that the benchmark earned.

    .. math:: \sum_{b > 0} r / \sum_{b > 0} b

    Arguments as for `tracking_error`. [ratio]; nan without such a day.

    Source: as `tracking_error`; arithmetic, as `UpDownRatios` of PerformanceAnalytics.

    >>> up_capture(np.array([0.02, 0.01, -0.03]), np.array([0.01, 0.01, -0.02]))
    1.5
    """
    up = other > 0.0
    return _captured(returns[up], other[up], returns, other)


def down_capture(returns, other):
    r"""What the run lost on days on which the benchmark fell, for each unit that the benchmark lost.

    .. math:: \sum_{b < 0} r / \sum_{b < 0} b

    Arguments as for `tracking_error`. [ratio], negative where the run earned; nan without such a day.

    Source: as `up_capture`.

    >>> down_capture(np.array([0.02, 0.01, -0.03]), np.array([0.01, 0.01, -0.02]))
    1.5
    """
    down = other < 0.0
    return _captured(returns[down], other[down], returns, other)


def _captured(some, theirs, returns, other):
    """Sum over sum; nan where any return of either is not known, on whatever day."""
    if np.isnan(returns).any() or np.isnan(other).any():
        return np.nan
    total = float(np.sum(theirs))
    return ratio(np.sum(some) * np.sign(total), abs(total))
