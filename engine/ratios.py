"""Returns of a run and their ratios: growth, volatility, Sharpe and its kin.

Rules of the numbers:

* A year is 252 returns, or 365.25 calendar days. Equity begins with a row for the starting capital.
* With compounding a return is the change of equity over the equity of the day before. With fixed capital it is the
  change over the starting capital: such returns are added up and never multiplied (+10 % and -10 % make 0).
* Futures returns are in excess of the riskless rate already, but for the interest that was credited on cash.
* What is undefined is nan, and nan in gives nan out. After ruin there are no compounded returns.
"""

import numpy as np

from engine.risk import deviation, ratio, whole_days

YEAR = 252  # daily returns
YEAR_DAYS = 365.25  # calendar days


def period_returns(equity, compounding=True, paid=0.0):
    r"""Return of each row of equity after the first, time-weighted: money paid in or out is no return.

    .. math:: r_t = \frac{E_t - E_{t-1} - F_t}{E_{t-1} + F_t} \quad \text{or, with fixed capital, divided by } E_0

    Parameters
    ----------
    equity : array (time + 1,)
        First row: the starting capital. [account currency]
    compounding : bool
    paid : float or array (time,)
        Money paid in (out, negative) before the row's trades, F. [account currency]

    Returns
    -------
    array (time,)
        [fraction]; nan where the equity that it is a share of is not positive (ruin).

    Source: C. Bacon, Practical Portfolio Performance Measurement and Attribution, 2nd ed., 2008, ch. 2.

    >>> period_returns(np.array([100.0, 110.0, 99.0])), period_returns(np.array([100.0, 110.0, 99.0]), False)
    (array([ 0.1, -0.1]), array([ 0.1 , -0.11]))
    """
    base = equity[:-1] + paid if compounding else np.repeat(equity[:1], max(len(equity) - 1, 0))
    return (np.diff(equity) - paid) / np.where(base > 0.0, base, np.nan)


def unpaid(equity, paid, compounding=True):
    r"""Equity as it would have gone with the starting capital alone.

    .. math:: U_0 = E_0, \quad U_t = U_{t-1} (1 + r_t) \quad \text{or, with fixed capital,} \quad E_t - \sum F

    Parameters
    ----------
    equity : array (time + 1,)
        [account currency]
    paid : array (time,)
        As in `period_returns`; nothing paid leaves equity as it is.
    compounding : bool

    Returns
    -------
    array (time + 1,)
        [account currency]; from a ruin on nan.

    Source: Global Investment Performance Standards (GIPS), 2020, time-weighted return.

    A hundred grow by a tenth, a hundred more are paid in, and both grow by a tenth:

    >>> unpaid(np.array([100.0, 110.0, 231.0]), np.array([0.0, 100.0]))
    array([100., 110., 121.])
    """
    if not np.any(paid):
        return equity
    if not compounding:
        return equity - np.concatenate([[0.0], np.cumsum(paid)])
    return equity[0] * np.cumprod(np.concatenate([[1.0], 1.0 + period_returns(equity, True, paid)]))


def total_return(equity):
    r"""Return from the starting capital to the end; with fixed capital it equals the sum of the returns.

    .. math:: E_n / E_0 - 1

    Equity as for `period_returns`. [fraction], below -1 if more than all was lost; 0 before the first bar, nan without
    equity or a positive start.

    Source: as `period_returns`.

    >>> total_return(np.array([100.0, 120.0, 150.0]))
    0.5
    """
    return float((equity[-1] - equity[0]) / equity[0]) if len(equity) and equity[0] > 0.0 else np.nan


def years(days):
    """Length of a run: calendar days from the row of the starting capital to the last, over 365.25.

    >>> years(np.array(["2020-01-01", "2024-01-01"], "datetime64[D]"))
    4.0
    """
    return whole_days(days[-1] - days[0]) / YEAR_DAYS if len(days) else 0.0


def annual_return(total, years, compounding=True):
    r"""Return a year that leads to the total return.

    .. math:: (1 + R)^{1 / years} - 1 \quad \text{or, with fixed capital,} \quad R / years

    Parameters
    ----------
    total : float
        Total return. [fraction]
    years : float
        By the calendar.
    compounding : bool

    Returns
    -------
    float
        [fraction a year]; nan for a run of no length, after ruin (R <= -1, compounding) and where no float can hold it.

    Source: CFA Institute, Global Investment Performance Standards 2020 (annualised return).

    >>> round(annual_return(0.21, 2.0), 12), round(annual_return(0.21, 2.0, compounding=False), 12)
    (0.1, 0.105)
    """
    if not years > 0.0:
        return np.nan
    if not compounding:
        return float(total / years)
    if not total > -1.0:
        return np.nan
    growth = np.log1p(total) / years
    return float(np.expm1(growth)) if growth < 700.0 else np.nan


def volatility(returns, periods=YEAR):
    r"""Standard deviation of the returns, a year.

    .. math:: s_1 \sqrt{P}

    Returns [fraction] of the days on which any market traded; `periods` P of them a year. [fraction a year]; 0 if all
    are alike, nan for fewer than two.

    Source: as `sharpe` (sample standard deviation, ddof 1).

    >>> round(volatility(np.array([0.01, -0.01, 0.01, -0.01]), 252), 12)
    0.183303027798
    """
    return float(deviation(returns) * np.sqrt(periods))


def sharpe(returns, interest=0.0, periods=YEAR):
    r"""Mean excess return for each unit of its standard deviation, a year.

    .. math:: \overline{r - i} / s_1(r - i) \cdot \sqrt{P}

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    interest : float or array (time,)
        Return of the interest that was credited to the account and so is in `returns`; 0 if there was none: what
        futures earn is in excess of the riskless rate already. [fraction]
    periods : float
        Returns a year.

    Returns
    -------
    float
        [ratio]; nan for fewer than two returns or without volatility.

    Source: W. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 1994.

    >>> round(sharpe(np.array([0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10])), 12)
    1.723861396171
    """
    excess = returns - interest
    spread = deviation(excess)
    return float(np.mean(excess) / spread * np.sqrt(periods)) if spread > 0.0 else np.nan


def downside_deviation(returns, target=0.0, periods=YEAR):
    r"""Root mean square of what the returns lack to a target, all days counted.

    .. math:: \sqrt{\frac{P}{n} \sum \min(r - target, 0)^2}

    Returns as for `volatility`, target in the same unit a period. [fraction a year]; nan without returns.

    Source: F. Sortino, L. Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 1994.

    >>> downside_deviation(np.array([0.02, -0.02, 0.04, 0.01]), periods=1)
    0.01
    """
    below = np.minimum(returns - target, 0.0)
    return float(np.sqrt(np.mean(below**2) * periods)) if len(returns) else np.nan


def downside_potential(returns, target=0.0):
    r"""Mean of what the returns lack to a target, all days counted.

    .. math:: \frac{1}{n} \sum \max(target - r, 0)

    Arguments as for `downside_deviation`. [fraction a period]; nan without returns.

    Source: Bacon (see `period_returns`), ch. 4.

    >>> downside_potential(np.array([0.02, -0.02, 0.04, 0.01]))
    0.005
    """
    return float(np.mean(np.maximum(target - returns, 0.0))) if len(returns) else np.nan


def sortino(returns, interest=0.0, target=0.0, periods=YEAR):
    r"""Mean excess return for each unit of downside deviation, a year.

    .. math:: \overline{r - i - target} \; P / \left( \sqrt{P} \, DD_1 \right)

    Arguments as for `sharpe` and `downside_deviation`. [ratio]; nan without a return below the target.

    Source: as `downside_deviation`.

    >>> round(sortino(np.array([0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10])), 12)
    2.605531251674
    """
    excess = returns - interest
    below = downside_deviation(excess, target, 1)
    return float(ratio(np.mean(excess) - target, below) * np.sqrt(periods)) if len(excess) else np.nan


def calmar(annual, deepest):
    r"""Annual return for each unit of the deepest drawdown.

    .. math:: R_{annual} / |D_{max}|

    [ratio]; nan without a drawdown, or where the annual return is.

    Source: T. Young, Calmar Ratio: A Smoother Tool, Futures 1991 (here over the whole run, not 36 months).

    >>> calmar(0.1, -0.2)
    0.5
    """
    return ratio(annual, -deepest)


def mar(annual, deepest):
    r"""Annual return since the beginning for each unit of the deepest drawdown since then.

    .. math:: R_{annual} / |D_{max}|

    [ratio]; nan as `calmar`. It is what `calmar` is here, over the whole run; of the last 36 months is
    `engine.periods.recent_calmar`.

    Source: L. Rose, Managed Account Reports, 1978.

    >>> mar(0.1, -0.2)
    0.5
    """
    return ratio(annual, -deepest)


def autocorrelation(returns, lag=1):
    r"""How much a day's return says of that of `lag` days later.

    .. math:: \rho_k = \sum_{t > k} (r_t - \mu)(r_{t-k} - \mu) / \sum_t (r_t - \mu)^2

    Returns [fraction]. [number], -1 to 1; nan with no more than `lag` returns, or if all are alike.

    Source: G. Box, G. Jenkins, G. Reinsel, Time Series Analysis, 4th ed., 2008, eq. 2.1.13.

    >>> autocorrelation(np.array([0.01, -0.01, 0.01, -0.01]))
    -0.75
    """
    if len(returns) <= lag or not deviation(returns, 0) > 0.0:
        return np.nan
    apart = returns - np.mean(returns)
    return float(apart[lag:] @ apart[: len(apart) - lag] / (apart @ apart))


def omega(returns, threshold=0.0):
    r"""What the returns above a threshold add up to, for each unit of those below.

    .. math:: \sum \max(r - threshold, 0) / \sum \max(threshold - r, 0)

    [ratio]; nan without a return below the threshold.

    Source: C. Keating, W. Shadwick, A Universal Performance Measure, Journal of Performance Measurement 2002.

    >>> omega(np.array([0.5, -0.25, 0.25]))
    3.0
    """
    return ratio(np.sum(np.maximum(returns - threshold, 0.0)), np.sum(np.maximum(threshold - returns, 0.0)))


def kelly_growth(returns, interest=0.0):
    r"""Multiple of the run's size at which its capital would have grown fastest; an upper bound, never a size to trade.

    .. math:: f = \overline{r - i} / s_1^2(r - i)

    Arguments as for `sharpe`. [multiple]; nan as `sharpe`. Half of it keeps three quarters of the growth.

    Source: E. Thorp, The Kelly Criterion in Blackjack, Sports Betting and the Stock Market, 2006, sec. 7.

    >>> round(kelly_growth(np.array([0.03, -0.01])), 12)
    12.5
    """
    spread = deviation(returns - interest)
    return float(np.mean(returns - interest) / spread**2) if spread > 0.0 else np.nan


def final_equity(equity):
    """Equity at the end. [account currency]; nan without equity.

    >>> final_equity(np.array([100.0, 120.0]))
    120.0
    """
    return float(equity[-1]) if len(equity) else np.nan
