"""Returns of months and years, and what the best, the worst and the usual of them say.

A period's return is that of equity from the last row before it to its last row; the first and the last may be cut short
by the run's own beginning and end. Undefined is nan, and nan in gives nan out.
"""

import numpy as np

from engine.ratios import annual_return, calmar, total_return, years
from engine.risk import max_drawdown, ratio

LATELY = 3  # years that Young's Calmar ratio looks back


def by_period(equity, days, unit="M", compounding=True):
    r"""Return of each month or year that a run has days in.

    .. math:: r_p = E_{end(p)} / E_{end(p - 1)} - 1 \quad \text{or, with fixed capital, the change over } E_0

    Parameters
    ----------
    equity : array (time + 1,)
        First row: the starting capital. [account currency]
    days : array (time + 1,) of datetime64[D]
    unit : {"M", "Y"}
    compounding : bool

    Returns
    -------
    (array (period,) of datetime64[unit], array (period,))
        The periods, and their returns [fraction]; nan where the equity before is not positive.

    Source: CFA Institute, Global Investment Performance Standards 2020 (linked periodic returns).

    >>> days = np.array(["2023-12-31", "2024-01-02", "2024-01-31", "2024-02-01"], "datetime64[D]")
    >>> by_period(np.array([100.0, 90.0, 110.0, 99.0]), days)
    (array(['2024-01', '2024-02'], dtype='datetime64[M]'), array([ 0.1, -0.1]))
    """
    periods = days[1:].astype(f"datetime64[{unit}]")
    last = np.flatnonzero(np.append(periods[1:] != periods[:-1], True)) + 1 if len(periods) else np.zeros(0, int)
    ends = equity[np.concatenate([[0], last])] if len(last) else equity[:1]
    base = ends[:-1] if compounding else np.repeat(equity[:1], max(len(ends) - 1, 0))
    return periods[last - 1], np.diff(ends) / np.where(base > 0.0, base, np.nan)


def best(returns):
    """Highest return of a period. [fraction]; nan without one.

    >>> best(np.array([0.02, -0.01]))
    0.02
    """
    return float(np.max(returns)) if len(returns) else np.nan


def worst(returns):
    """Lowest return of a period. [fraction]; nan without one.

    >>> worst(np.array([0.02, -0.01]))
    -0.01
    """
    return float(np.min(returns)) if len(returns) else np.nan


def positive_share(returns):
    r"""Share of the periods that earned money.

    .. math:: \#\{r > 0\} / n

    [fraction]; a period that earned nothing counts, but not as a gain; nan without a period.

    >>> positive_share(np.array([0.02, -0.01, 0.0, 0.01]))
    0.5
    """
    return float(np.mean(returns > 0.0)) if len(returns) and not np.isnan(returns).any() else np.nan


def gain_to_pain(returns):
    r"""Sum of the monthly returns for each unit of the losing ones.

    .. math:: \sum r / \left| \sum \min(r, 0) \right|

    Returns, array (month,). [ratio]; nan without a losing month. Of any returns it is their Omega ratio less 1.

    Source: J. Schwager, Hedge Fund Market Wizards, 2012, app. A.

    >>> gain_to_pain(np.array([0.5, -0.25, 0.25]))
    2.0
    """
    return ratio(np.sum(returns), -np.sum(np.minimum(returns, 0.0)))


def recent_calmar(equity, days, compounding=True):
    r"""Calmar ratio of the last 36 months, as its author told it.

    .. math:: R_{annual} / |D_{max}| \quad \text{of the rows of the last three years}

    Equity and days as for `by_period`. [ratio]; nan for a shorter run and without a drawdown in that time.

    Source: T. Young, Calmar Ratio: A Smoother Tool, Futures 1991.

    >>> days = np.datetime64("2020-01-01") + 366 * np.arange(5)
    >>> round(recent_calmar(np.array([50.0, 100.0, 80.0, 100.0, 133.1]), days), 2)
    0.5
    """
    if years(days) < LATELY:
        return np.nan
    whole = days[-1].astype("datetime64[M]")
    within = days[-1] - whole.astype("datetime64[D]")
    first = np.searchsorted(days, (whole - 12 * LATELY).astype("datetime64[D]") + within, "right") - 1
    part, span = equity[max(first, 0) :], years(days[max(first, 0) :])
    return calmar(annual_return(total_return(part), span, compounding), max_drawdown(part))
