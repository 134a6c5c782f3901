"""Whether losses went beyond a value at risk as often, and as far apart, as its level says.

An exceedance is a day whose loss was larger than the value at risk that was told of it beforehand. Each test compares
two likelihoods; under the hypothesis twice the log of their ratio is chi-squared, and its p-value is how often chance
alone would do as badly or worse. Undefined is nan.
"""

from math import erfc, exp, log, nan, sqrt

import numpy as np


def kupiec(count, days, level=0.95):
    r"""Likelihood ratio of the share of exceedances: proportion of failures, one degree of freedom.

    .. math:: LR_{pof} = -2 \ln \frac{(1 - p)^{n - x} p^x}{(1 - x / n)^{n - x} (x / n)^x}, \quad p = 1 - level

    Parameters
    ----------
    count : int
        Exceedances x.
    days : int
        Days n on which a value at risk was told.
    level : float
        Of the value at risk, between 0.5 and 1.

    Returns
    -------
    float
        [number], 0 where the share is just 1 - level; nan without a day.

    Source: P. Kupiec, Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of Derivatives 1995.

    >>> round(kupiec(7, 100, 0.95), 6), kupiec(5, 100, 0.95)
    (0.753015, 0.0)
    """
    if not days:
        return nan
    p = round(1.0 - level, 12)
    return max(0.0, -2.0 * (_log(p, count, days) - _log(count / days, count, days)))


def transitions(exceeded):
    """How often an ordinary day or an exceedance was followed by an ordinary day or an exceedance.

    Exceeded, bool (time,). Array (2, 2): row the day before, column the day; 1 an exceedance.

    >>> transitions(np.array([False, True, True, False, False]))
    array([[1, 1],
           [1, 1]])
    """
    code = 2 * exceeded[:-1].astype(np.int64) + exceeded[1:]
    return np.bincount(code, minlength=4).reshape(2, 2)


def independence(exceeded):
    r"""Likelihood ratio of exceedances that follow each other, one degree of freedom.

    .. math:: LR_{ind} = -2 \ln \frac{(1 - \pi)^{n_{00} + n_{10}} \pi^{n_{01} + n_{11}}}
              {(1 - \pi_{01})^{n_{00}} \pi_{01}^{n_{01}} (1 - \pi_{11})^{n_{10}} \pi_{11}^{n_{11}}}

    with n_ij the transitions, pi_i1 = n_i1 / (n_i0 + n_i1) and pi the share of exceedances of all days but the first.
    Exceeded, bool (time,). [number]; nan without two days. It sees only what happens from one day to the next.

    Source: P. Christoffersen, Evaluating Interval Forecasts, International Economic Review 1998.

    >>> round(independence(np.array([False, True, True, False, False])), 12) + 0.0
    0.0
    """
    if len(exceeded) < 2:
        return nan
    (n00, n01), (n10, n11) = transitions(exceeded).tolist()
    ordinary, after = n00 + n01, n10 + n11
    alike = _log((n01 + n11) / (ordinary + after), n01 + n11, ordinary + after)
    apart = sum(_log(count / days, count, days) for count, days in ((n01, ordinary), (n11, after)) if days)
    return max(0.0, -2.0 * (alike - apart))


def conditional(exceeded, level=0.95):
    r"""Likelihood ratio of the right share and of no clusters together: conditional coverage, two degrees of freedom.

    .. math:: LR_{cc} = LR_{pof} + LR_{ind}

    Exceeded as for `independence`, level as for `kupiec`. [number]; nan without two days. Source: as `independence`.

    >>> never = np.zeros(100, bool)
    >>> conditional(never) == kupiec(0, 100)
    True
    """
    return kupiec(int(np.sum(exceeded)), len(exceeded), level) + independence(exceeded)


def p_value(ratio, freedom):
    r"""Chance that a chi-squared number is at least as large.

    .. math:: \mathrm{erfc} \sqrt{x / 2} \;\; (1), \quad e^{-x / 2} \;\; (2 \text{ degrees of freedom})

    [fraction]; nan of nan. Source: M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, 1964, sec. 26.4.

    >>> round(p_value(3.841459, 1), 6), round(p_value(5.991465, 2), 6)
    (0.05, 0.05)
    """
    return erfc(sqrt(ratio / 2.0)) if freedom == 1 else exp(-ratio / 2.0)


def _log(share, count, days):
    """Log likelihood of `count` of `days` at a share; 0 log 0 is 0."""
    return (count * log(share) if count else 0.0) + ((days - count) * log(1.0 - share) if days > count else 0.0)
