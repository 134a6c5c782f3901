"""How much a run may lose in a day: value at risk, the mean loss beyond it, and the shape of the returns.

A value at risk is told as a positive loss (a negative one means that even that bad a day was a gain). Undefined is nan,
and nan in gives nan out.
"""

from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist

import numpy as np

from engine.risk import ROUNDING, deviation, ratio

NORMAL = NormalDist()
DECAY = 0.94  # of the volatility of days, RiskMetrics 1996
WARM_UP = 60  # days after which less than 3 % of that volatility is of its first day
CALM = 0.1  # of the usual volatility: below it nothing was held, and a move says nothing of the next


def var(returns, level=0.95):
    r"""Historical value at risk: the loss that a share `level` of the days stayed within.

    .. math:: VaR = -Q_{1 - level}(r), \quad Q \text{ interpolated linearly between the ordered returns}

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    level : float
        Between 0.5 and 1.

    Returns
    -------
    float
        [fraction], positive for a loss; nan without returns.

    Source: P. Jorion, Value at Risk, 3rd ed., 2007; quantile 7 of R. Hyndman, Y. Fan, The American Statistician 1996.

    >>> var(np.array([-0.02, 0.0, 0.02, 0.04, 0.06]), 0.75)
    -0.0
    """
    return -float(np.quantile(returns, beyond(level))) if len(returns) else np.nan


def cvar(returns, level=0.95):
    r"""Mean loss of the days that were at least as bad as the historical value at risk.

    .. math:: CVaR = -\overline{r \mid r \le -VaR}

    Returns and level as for `var`. [fraction], positive for a loss, never below `var`; nan without returns.

    Source: P. Artzner et al., Coherent Measures of Risk, Mathematical Finance 1999 (tail conditional expectation).

    >>> cvar(np.array([-0.04, -0.02, 0.02, 0.04, 0.06]), 0.75)
    0.03
    """
    if len(returns) == 0 or np.isnan(returns).any():
        return np.nan
    bound = np.quantile(returns, beyond(level)) + ROUNDING  # the day at the very edge belongs to the tail
    return -float(np.mean(returns[returns <= bound]))


def expected_shortfall(returns, level=0.95):
    r"""Mean of the worst share 1 - level of the days, the last of them counted in part.

    .. math:: ES = -\frac{1}{n a} \left( \sum_{i \le \lfloor n a \rfloor} r_{(i)}
              + (n a - \lfloor n a \rfloor) r_{(\lfloor n a \rfloor + 1)} \right), \quad a = 1 - level

    Returns and level as for `var`. [fraction], positive for a loss; nan without returns.

    Source: R. Rockafellar, S. Uryasev, Conditional Value-at-Risk for General Loss Distributions, 2002.

    The worst day and half of the next:

    >>> round(expected_shortfall(np.array([-0.04, -0.01, 0.02, 0.03, 0.04, 0.06]), 0.75), 12)
    0.03
    """
    if len(returns) == 0 or np.isnan(returns).any():
        return np.nan
    share = len(returns) * beyond(level)
    weight = np.clip(share - np.arange(len(returns)), 0.0, 1.0)
    return -float(np.sum(np.sort(returns) * weight) / share)


def gaussian_var(returns, level=0.95, ddof=0):
    r"""Value at risk of a normal distribution with the returns' mean and standard deviation.

    .. math:: VaR = -(\mu + z \sigma), \quad z = \Phi^{-1}(1 - level)

    Returns and level as for `var`; ddof 0 as in PerformanceAnalytics (1 moves the number by up to a percent).
    [fraction]; nan with no more than ddof returns.

    Source: J.P. Morgan, RiskMetrics Technical Document, 4th ed., 1996.

    >>> round(gaussian_var(np.array([-0.01, 0.01]), 0.95), 6)
    0.016449
    """
    if len(returns) == 0:
        return np.nan
    return -float(np.mean(returns) + NORMAL.inv_cdf(beyond(level)) * deviation(returns, ddof))


def gaussian_cvar(returns, level=0.95, ddof=0):
    r"""Mean loss beyond `gaussian_var`.

    .. math:: CVaR = -(\mu - \sigma \varphi(z) / (1 - level))

    Arguments as for `gaussian_var`. [fraction]; nan with no more than ddof returns.

    Source: A. McNeil, R. Frey, P. Embrechts, Quantitative Risk Management, 2005, ex. 2.18.

    >>> round(gaussian_cvar(np.array([-0.01, 0.01]), 0.95), 6)
    0.020627
    """
    if len(returns) == 0:
        return np.nan
    tail = beyond(level)
    return -float(np.mean(returns) - deviation(returns, ddof) * NORMAL.pdf(NORMAL.inv_cdf(tail)) / tail)


def skew(returns):
    r"""Lopsidedness of the returns; negative when the large moves are losses.

    .. math:: S = \overline{(r - \mu)^3} / \sigma_0^3

    [number]; nan for fewer than two returns or without spread. Source: population form, as PerformanceAnalytics.

    >>> round(skew(np.array([-0.03, 0.01, 0.01, 0.01])), 12)
    -1.154700538379
    """
    return standard_moment(returns, 3)


def kurtosis(returns):
    r"""Weight of the tails, 3 for a normal distribution.

    .. math:: K + 3 = \overline{(r - \mu)^4} / \sigma_0^4

    [number], not in excess of 3; nan as for `skew`. Source: as `skew`.

    >>> round(kurtosis(np.array([-0.01, 0.01])), 12)
    1.0
    """
    return standard_moment(returns, 4)


def cornish_fisher_var(returns, level=0.95):
    r"""Gaussian value at risk with its quantile bent by skew and tails; mind `cornish_fisher_caution`.

    .. math:: VaR = -(\mu + z_{cf} \sigma_0), \quad z_{cf} = z + (z^2 - 1) \frac{S}{6} + (z^3 - 3 z) \frac{K}{24}
              - (2 z^3 - 5 z) \frac{S^2}{36}, \quad K \text{ in excess of 3}

    Returns and level as for `var`. [fraction]; nan where `skew` is.

    Source: P. Zangari, RiskMetrics Monitor 1996 (2); L. Favre, J. Galeano, Journal of Alternative Investments 2002.

    Thin tails bend the quantile outward at 95 % (further out they bend it inward):

    >>> round(cornish_fisher_var(np.array([-0.01, 0.01]), 0.95), 6)
    0.016852
    """
    s, k = skew(returns), kurtosis(returns) - 3.0
    if np.isnan(s):
        return np.nan
    return -float(np.mean(returns) + bent_quantile(level, s, k) * deviation(returns, 0))


def bent_quantile(level, skew, excess):
    """Quantile 1 - level of a standard normal number, bent by skew and excess kurtosis as `cornish_fisher_var` says.

    Skew and excess kurtosis are numbers, or arrays of one shape.

    >>> round(bent_quantile(0.95, -0.0825624552, -0.5675462059), 6)
    -1.679648
    """
    z = NORMAL.inv_cdf(beyond(level))
    return z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36


def in_domain(skew, excess):
    """Whether the bent quantile rises with the plain one, see `cornish_fisher_caution`; of nan it does not.

    >>> in_domain(0.1, 0.5), in_domain(-2.68, 16.2)
    (True, False)
    """
    square, constant = excess / 8 - skew**2 / 6, 1 - excess / 8 + 5 * skew**2 / 36
    return (square >= 0.0) & (skew**2 / 9 <= 4 * square * constant)


def cornish_fisher_cvar(returns, level=0.95):
    r"""Mean of `cornish_fisher_var` over all levels beyond this one.

    .. math:: CVaR = -\mu + \sigma_0 \frac{\varphi(z)}{1 - level} \left( 1 + z \frac{S}{6} + (z^2 - 1) \frac{K}{24}
              - (2 z^2 - 1) \frac{S^2}{36} \right)

    Returns and level as for `var`. [fraction]; nan where `skew` is.

    Source: D. Maillard, A User's Guide to the Cornish Fisher Expansion, 2012.

    >>> round(cornish_fisher_cvar(np.array([-0.01, 0.01]), 0.95), 6)
    0.017695
    """
    tail = beyond(level)
    z, s, k = NORMAL.inv_cdf(tail), skew(returns), kurtosis(returns) - 3.0
    if np.isnan(s):
        return np.nan
    bent = 1.0 + z * s / 6 + (z**2 - 1) * k / 24 - (2 * z**2 - 1) * s**2 / 36
    return float(-np.mean(returns) + deviation(returns, 0) * NORMAL.pdf(z) / tail * bent)


def cornish_fisher_caution(returns):
    r"""Why the Cornish-Fisher numbers of these returns must not be used, or ''.

    Inside the domain the bent quantile rises with the plain one:

    .. math:: \frac{S^2}{9} \le 4 \left( \frac{K}{8} - \frac{S^2}{6} \right)
              \left( 1 - \frac{K}{8} + \frac{5 S^2}{36} \right), \quad K \ge \frac{4}{3} S^2

    Skew S and excess kurtosis K [numbers] that are nan are outside it.

    Source: Maillard (see `cornish_fisher_cvar`).

    >>> cornish_fisher_caution(np.array([-0.03, 0.01, 0.01, 0.01]))[:52]
    'skew -1.15 and excess kurtosis -0.67 are outside the'
    """
    s, k = skew(returns), kurtosis(returns) - 3.0
    if np.isnan(s):
        return "skew and kurtosis are undefined (too few returns, or all alike); the historical number is shown"
    if in_domain(s, k):
        return ""
    return (
        f"skew {s:.2f} and excess kurtosis {k:.2f} are outside the domain of the Cornish-Fisher expansion; "
        "the historical number is shown"
    )


def modified_var(returns, level=0.95):
    """Cornish-Fisher value at risk inside the expansion's domain, the historical one outside it.

    `cornish_fisher_caution` says which it is. Returns and level as for `var`. [fraction]; nan as `var`.

    >>> modified_var(np.array([-0.03, 0.01, 0.01, 0.01]), 0.75) == var(np.array([-0.03, 0.01, 0.01, 0.01]), 0.75)
    True
    """
    return var(returns, level) if cornish_fisher_caution(returns) else cornish_fisher_var(returns, level)


def modified_cvar(returns, level=0.95):
    """Cornish-Fisher mean loss of the tail inside the expansion's domain, the historical one outside it.

    `cornish_fisher_caution` says which it is. Returns and level as for `var`. [fraction]; nan as `cvar`.

    >>> modified_cvar(np.array([-0.03, 0.01, 0.01, 0.01]), 0.75)
    0.03
    """
    return cvar(returns, level) if cornish_fisher_caution(returns) else cornish_fisher_cvar(returns, level)


def tail_ratio(returns, level=0.95):
    r"""How far the best days reach for each unit that the worst do.

    .. math:: |Q_{level}(r)| / |Q_{1 - level}(r)|

    Returns and level as for `var`. [ratio]; nan without returns, or if the lower quantile is 0.

    Source: definition of the library empyrical; quantiles as for `var`.

    >>> round(tail_ratio(np.array([-0.02, 0.0, 0.02, 0.04, 0.06]), 0.75), 12)
    nan
    >>> round(tail_ratio(np.array([-0.04, -0.02, 0.02, 0.04, 0.06]), 0.75), 12)
    2.0
    """
    if len(returns) == 0:
        return np.nan
    low, high = np.quantile(returns, [beyond(level), 1.0 - beyond(level)])
    return ratio(abs(high), abs(low))


def ewma(returns, decay=DECAY):
    r"""Volatility of a day with recent days weighing most, as known at the end of each day.

    .. math:: v_1 = r_1^2, \quad v_t = \lambda v_{t-1} + (1 - \lambda) r_t^2, \quad \sigma_t = \sqrt{v_t}

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    decay : float
        lambda, between 0 and 1.

    Returns
    -------
    array (time,)
        [fraction a day]; from an unknown return on nan.

    Source: J.P. Morgan, RiskMetrics Technical Document, 4th ed., 1996, ch. 5 (mean taken as zero).

    >>> ewma(np.array([0.02, -0.02, 0.0]), 0.25)
    array([0.02, 0.02, 0.01])
    """
    return np.frombuffer(_ewma(np.asarray(returns, np.float64).tobytes(), decay)).copy()


@lru_cache(maxsize=4)  # every filtered number of a run asks for the same
def _ewma(returns, decay):
    values = np.frombuffer(returns)
    squares = (values * values).tolist()
    variance = accumulate(squares, lambda before, square: decay * before + (1.0 - decay) * square)
    return np.sqrt(np.fromiter(variance, float, len(squares))).tobytes()


def standardised(returns, decay=DECAY):
    r"""Returns for each unit of the volatility that was known the day before.

    .. math:: z_t = r_t / \sigma_{t-1}

    Arguments as for `ewma`. Array (time,) [number]; nan on the first `WARM_UP` days, which remember where the
    volatility began, and after days so calm (less than `CALM` of the usual of all days before) that nothing can have
    been held. Row t reads rows 0..t.

    Source: G. Barone-Adesi, K. Giannopoulos, L. Vosper, VaR without Correlations for Portfolios of Derivative
    Securities, Journal of Futures Markets 1999.

    >>> moves = np.append(np.tile([0.01, -0.01], 30), 0.03)
    >>> float(standardised(moves)[-1].round(12)), int(np.isnan(standardised(moves)).sum())
    (3.0, 60)
    """
    if len(returns) == 0:
        return np.zeros(0)
    before = np.append(np.nan, ewma(returns, decay)[:-1])
    usual = np.append(np.nan, np.sqrt(np.cumsum(returns**2)[:-1] / np.arange(1, len(returns))))
    known = (before > CALM * usual) & (np.arange(len(returns)) >= WARM_UP)
    return np.divide(returns, before, out=np.full(len(returns), np.nan), where=known)


def filtered_var(returns, level=0.95, decay=DECAY):
    r"""Filtered historical value at risk of the next day: past surprises at the volatility of now.

    .. math:: VaR_{n+1} = -\sigma_n Q_{1 - level}(z)

    Returns and level as for `var`, decay as for `ewma`. [fraction], positive for a loss; nan where no day can be
    standardised (`standardised`).

    Source: as `standardised`.

    >>> moves = np.tile([0.01, -0.01], 40)
    >>> round(filtered_var(moves), 12), round(filtered_var(np.append(moves, 0.04)), 6)
    (0.01, 0.013784)
    """
    return _filtered(returns, level, decay, var)


def filtered_cvar(returns, level=0.95, decay=DECAY):
    """Mean loss beyond `filtered_var`.

    Arguments as for `filtered_var`. [fraction]; nan as `filtered_var`. Source: as `standardised`.

    >>> round(filtered_cvar(np.tile([0.01, -0.01], 40)), 12)
    0.01
    """
    return _filtered(returns, level, decay, cvar)


def _filtered(returns, level, decay, number):
    """A number of all surprises, at the volatility of now."""
    surprises = standardised(returns, decay)
    known = surprises[~np.isnan(surprises)]
    if np.isnan(returns).any() or len(known) == 0:
        return np.nan
    return float(ewma(returns, decay)[-1] * number(known, level))


def beyond(level):
    """Share of the days beyond a level, without the rounding of 1 - 0.95 that would move a day out of the tail.

    >>> beyond(0.95), beyond(0.99)
    (0.05, 0.01)
    """
    return round(1.0 - level, 12)


def standard_moment(values, power):
    """Mean of the standardised values to a power (population form); nan without spread."""
    spread = deviation(values, 0)
    if len(values) < 2 or not spread > 0.0:
        return np.nan
    return float(np.mean(((values - np.mean(values)) / spread) ** power))
