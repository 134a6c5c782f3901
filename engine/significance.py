"""How sure a Sharpe ratio is: serial correlation, standard errors, its probability, the track record that it needs.

Ratios are those of one return (a day) where `periods` is 1, and of a year by default. All of them read excess returns:
the interest that was credited is taken out, as in `ratios.sharpe`. What is undefined is nan, and nan in gives nan out.

A standard error comes in three kinds, of which the last is the one to believe:

* returns independent and normal: (1 + SR² / 2) / n (Lo, eq. 8)
* independent, with the skew and the tails that they have: (1 - S SR + (K - 1) SR² / 4) / n (Mertens, Opdyke)
* stationary: the same with the serial correlation of what makes the ratio up, by Newey and West (Lo, eq. 14)
"""

from statistics import NormalDist

import numpy as np

from engine.ratios import YEAR, sharpe
from engine.risk import deviation
from engine.tails import kurtosis, skew

NORMAL = NormalDist()


def autocorrelations(values, lags):
    r"""Correlation of a series with itself, 1 to `lags` rows later.

    .. math:: \rho_k = \sum_{t > k} (x_t - \bar x)(x_{t-k} - \bar x) / \sum_t (x_t - \bar x)^2

    Parameters
    ----------
    values : array (time,)
        [any one unit]
    lags : int

    Returns
    -------
    array (lags,)
        [1]; nan without spread, 0 from lag n on.

    Source: G. Box, G. Jenkins, Time Series Analysis, 1970, ch. 2.1.

    >>> autocorrelations(np.array([1.0, -1.0, 1.0, -1.0]), 2)
    array([-0.75,  0.5 ])
    """
    apart = values - np.mean(values) if len(values) else values
    if not deviation(values) > 0.0:
        return np.full(lags, np.nan)
    products = [apart[k:] @ apart[: len(apart) - k] if k < len(apart) else 0.0 for k in range(1, lags + 1)]
    return np.array(products) / (apart @ apart)


def usual_lags(count):
    r"""How many serial correlations are looked at in so many returns.

    .. math:: m = \lfloor 4 (n / 100)^{2/9} \rfloor

    Count [returns], at least 1; there is no nan among counts. [lags]

    Source: W. Newey, K. West, Automatic Lag Selection in Covariance Matrix Estimation, Review of Economic Studies 1994.

    >>> usual_lags(100), usual_lags(5000)
    (4, 9)
    """
    return int(4.0 * (count / 100.0) ** (2.0 / 9.0))


def annualiser(correlations, periods=YEAR):
    r"""What the Sharpe ratio of one return is multiplied by for that of a year, serial correlation counted.

    .. math:: \eta(q) = q / \sqrt{q + 2 \sum_{k=1}^{q-1} (q - k) \rho_k}

    Parameters
    ----------
    correlations : array (lag,)
        Serial correlations from lag 1 on; those of longer lags are taken as 0. [1]
    periods : int
        Returns a year, q.

    Returns
    -------
    float
        [√(1/year)]; the root of `periods` without serial correlation, less where returns follow each other; nan where
        the correlations leave a year no variance.

    Source: A. Lo, The Statistics of Sharpe Ratios, Financial Analysts Journal 58 (2002), eq. 20.

    >>> float(annualiser(np.zeros(5), 144)), round(float(annualiser(np.array([0.2]), 12)), 6)
    (12.0, 2.963189)
    """
    known = np.asarray(correlations, float)[: max(int(periods) - 1, 0)]
    variance = periods + 2.0 * np.sum((periods - np.arange(1, len(known) + 1)) * known)
    return float(periods / np.sqrt(variance)) if variance > 0.0 else np.nan


def lo_sharpe(returns, interest=0.0, periods=YEAR, lags=None):
    r"""Sharpe ratio of a year that counts serial correlation: smooth returns look better than they are.

    .. math:: SR \cdot \eta(q) \quad \text{instead of} \quad SR \cdot \sqrt{q}

    Parameters
    ----------
    returns, interest, periods
        As in `ratios.sharpe`.
    lags : int, optional
        Serial correlations that are counted; by `usual_lags`, if not given. All 251 of a year would add more noise than
        they tell.

    Returns
    -------
    float
        [ratio]; nan as `ratios.sharpe`, and as `annualiser`.

    Source: as `annualiser`.

    Returns that follow each other swing more over a year than their days promise:

    >>> smooth = np.array([0.02, 0.01, 0.0, -0.01, 0.0, 0.01, 0.02, 0.01])
    >>> lo_sharpe(smooth, lags=1) < sharpe(smooth)
    True
    """
    excess = returns - interest
    lags = usual_lags(len(excess)) if lags is None else lags
    return float(sharpe(excess, periods=1) * annualiser(autocorrelations(excess, lags), periods))


def sharpe_error(returns, interest=0.0, periods=YEAR, lags=None):
    r"""Standard error of the Sharpe ratio of a year, with skew, tails and serial correlation.

    .. math:: u_t = z_t - \frac{SR}{2} (z_t^2 - 1), \quad
              V = \overline{u^2} + 2 \sum_{k=1}^{m} \left(1 - \frac{k}{m+1}\right) \overline{u_t u_{t-k}}, \quad
              \sqrt{V q / n}

    with z the returns less their mean over their standard deviation (population form).

    Parameters
    ----------
    returns, interest, periods
        As in `ratios.sharpe`.
    lags : int, optional
        m; by `usual_lags`, if not given. 0: as if returns were independent, and V is that of `sharpe_variance`.

    Returns
    -------
    float
        [ratio]; nan for fewer than two returns or without volatility.

    Source: Lo (see `annualiser`), eq. 13 and appendix A; W. Newey, K. West, Econometrica 55 (1987).

    >>> round(sharpe_error(np.array([0.03, -0.01, 0.03, -0.01]), periods=1, lags=0), 12)
    0.5
    """
    excess = returns - interest
    spread = deviation(excess, 0)
    if len(excess) < 2 or not spread > 0.0:
        return np.nan
    lags = usual_lags(len(excess)) if lags is None else lags
    ratio = np.mean(excess) / spread
    standard = (excess - np.mean(excess)) / spread
    pull = standard - ratio / 2.0 * (standard**2 - 1.0)
    count = len(pull)
    variance = pull @ pull
    for k in range(1, min(lags, count - 1) + 1):
        variance += 2.0 * (1.0 - k / (lags + 1.0)) * (pull[k:] @ pull[:-k])
    return float(np.sqrt(variance / count * periods / count))


def sharpe_variance(ratio, skewness=0.0, kurt=3.0):
    r"""Variance of an estimated Sharpe ratio times the number of independent returns.

    .. math:: 1 - S \, SR + \frac{K - 1}{4} SR^2

    Parameters
    ----------
    ratio : float
        Sharpe ratio of one return, not of a year. [ratio]
    skewness, kurt : float
        Of the returns, 0 and 3 if they are normal (kurtosis not in excess). [1]

    Returns
    -------
    float
        [ratio²]; never negative for the moments of real returns, nan where one of them is.

    Source: E. Mertens, Comments on variance of the IID estimator in Lo (2002), 2002; J. Opdyke, Comparing Sharpe
    Ratios: So Where Are the p-Values?, Journal of Asset Management 8 (2007); normal: Lo, eq. 8.

    >>> sharpe_variance(1.0), sharpe_variance(0.5, -1.0, 5.0)
    (1.5, 1.75)
    """
    return 1.0 - skewness * ratio + (kurt - 1.0) / 4.0 * ratio**2


def probability(ratio, count, skewness=0.0, kurt=3.0, target=0.0):
    r"""Probability that the true Sharpe ratio is above a target, told by so many returns.

    .. math:: PSR = \Phi \left( (SR - SR^*) \sqrt{n - 1} / \sqrt{1 - S \, SR + \frac{K - 1}{4} SR^2} \right)

    Parameters
    ----------
    ratio, target : float
        Sharpe ratios of one return, not of a year. [ratio]
    count : int
        Returns, n.
    skewness, kurt : float
        As in `sharpe_variance`.

    Returns
    -------
    float
        [fraction]; nan for fewer than two returns, without a ratio, and for moments that no returns have.

    Source: D. Bailey, M. López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2012).

    The paper's manager, with 24 months at 0.458, normal and as it was:

    >>> round(probability(0.458, 24), 3), round(probability(0.458, 24, -2.448, 10.164), 3)
    (0.982, 0.913)
    """
    variance = sharpe_variance(ratio, skewness, kurt)
    if count < 2 or not variance > 0.0:
        return np.nan
    return NORMAL.cdf(float((ratio - target) * np.sqrt((count - 1) / variance)))


def track_record(ratio, skewness=0.0, kurt=3.0, target=0.0, level=0.95):
    r"""How many returns such a Sharpe ratio needs before one may be so sure that the true one is above a target.

    .. math:: n^* = 1 + \left( 1 - S \, SR + \frac{K - 1}{4} SR^2 \right)
              \left( \frac{\Phi^{-1}(level)}{SR - SR^*} \right)^2

    Parameters
    ----------
    ratio, skewness, kurt, target
        As in `probability`.
    level : float
        Between 0.5 and 1.

    Returns
    -------
    float
        [returns]; nan where the ratio is not above its target.

    Source: as `probability`.

    >>> round(track_record(0.1), 1), track_record(-0.1)
    (272.9, nan)
    """
    if not ratio > target:
        return np.nan
    return float(1.0 + sharpe_variance(ratio, skewness, kurt) * (NORMAL.inv_cdf(level) / (ratio - target)) ** 2)


def probabilistic_sharpe(returns, interest=0.0, target=0.0, periods=YEAR):
    r"""Probability that the true Sharpe ratio is above a target, by `probability`; returns are taken as independent.

    .. math:: PSR(SR, n, S, K)

    Arguments as for `ratios.sharpe`; target [ratio of a year]. [fraction]; nan as `ratios.sharpe`.

    Source: as `probability`.

    >>> probabilistic_sharpe(np.array([0.01, -0.01]))
    0.5
    """
    excess = returns - interest
    ratio = sharpe(excess, periods=1)
    return float(probability(ratio, len(excess), skew(excess), kurtosis(excess), target / np.sqrt(periods)))


def track_record_years(returns, interest=0.0, target=0.0, level=0.95, periods=YEAR):
    r"""Years that these returns would have to go on before their Sharpe ratio is surely above a target.

    .. math:: n^* / P

    Arguments as for `probabilistic_sharpe` and `track_record`. [years, from the beginning]; nan where the ratio is not
    above its target.

    Source: as `probability` (minimum track record length).

    >>> round(track_record_years(np.array([0.03, -0.01]), periods=1), 3)
    22.644
    """
    excess = returns - interest
    ratio = sharpe(excess, periods=1)
    return track_record(ratio, skew(excess), kurtosis(excess), target / np.sqrt(periods), level) / periods


def interval(value, error, level=0.95):
    r"""Where the true value lies with a probability, by the normal distribution.

    .. math:: x \pm z \, s, \quad z = \Phi^{-1}((1 + level) / 2)

    Value and standard error in one unit, level between 0 and 1. (low, high); nan where either is.

    Source: Lo (see `annualiser`), eq. 9.

    >>> [round(end, 3) for end in interval(1.0, 0.5)]
    [0.02, 1.98]
    """
    reach = NORMAL.inv_cdf((1.0 + level) / 2.0) * error
    return float(value - reach), float(value + reach)


def estimates(returns, interest=0.0, level=0.95, periods=YEAR):
    """The Sharpe ratio with its error and interval under each way to see the returns.

    Arguments as for `ratios.sharpe`; level as in `interval`.

    Returns
    -------
    dict
        Name of the way -> (ratio, standard error, low, high), of a year.

    >>> told = estimates(np.array([0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10]))
    >>> [name for name in told]
    ['independent, normal', 'independent, as they are', 'serially correlated']
    """
    excess = returns - interest
    plain, one = sharpe(excess, periods=periods), sharpe(excess, periods=1)
    count, lags = len(excess), usual_lags(len(excess))
    normal = float(np.sqrt(sharpe_variance(one) / count * periods)) if count > 1 else np.nan
    factor = annualiser(autocorrelations(excess, lags), periods)
    told = {
        "independent, normal": (plain, normal),
        "independent, as they are": (plain, sharpe_error(excess, periods=periods, lags=0)),
        "serially correlated": (one * factor, sharpe_error(excess, periods=1) * factor),
    }
    return {name: (float(ratio), error, *interval(ratio, error, level)) for name, (ratio, error) in told.items()}
