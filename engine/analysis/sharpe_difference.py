r"""Whether one Sharpe ratio is better than another: the studentised circular block bootstrap of Ledoit and Wolf.

Returns follow themselves and have fat tails, so that the usual test of Jobson and Korkie finds differences where there
are none. Here, with a, b the means and c, d the mean squares of the excess returns of the same days:

* the difference :math:`\Delta = a / \sqrt{c - a^2} - b / \sqrt{d - b^2}` of one return (a day);
* its standard error by the delta method from what each day adds to the four, :math:`y_t = (r_{1t} - a, r_{2t} - b,
  r_{1t}^2 - c, r_{2t}^2 - d)`, whose long-run variance is that of Parzen's kernel with Andrews's bandwidth after
  prewhitening (Andrews and Monahan), times :math:`\nabla \Delta` on both sides;
* in a resample of l blocks of b days: :math:`\Psi^* = \frac{1}{l} \sum_j \zeta_j \zeta_j'`, with :math:`\zeta_j` the
  sum of a block's y over the root of b, and the statistic :math:`|\Delta^* - \Delta| / s(\Delta^*)`;
* the p-value is the share of resamples whose statistic is at least :math:`|\Delta| / s(\Delta)`, one added to both.

Both series are brought to a standard deviation of 1 first: the limit on A and the bandwidth depend on the unit of the
returns, which the ratio does not. The paper takes percent: docs/accuracy.md has both numbers of its two hedge funds.

Blocks are as long as Politis and White find for :math:`\nabla' y_t`, times the cube root of 1.5 that a circular block
needs; the paper calibrates the length by simulation instead. Days beyond the last whole block are in no resample.

Source: O. Ledoit, M. Wolf, Robust performance hypothesis testing with the Sharpe ratio, Journal of Empirical Finance 15
(2008), section 3; D. Andrews, Econometrica 59 (1991), eq. 5.3 and 6.4; D. Andrews, J. Monahan, Econometrica 60 (1992).
"""

from typing import NamedTuple

import numpy as np

from engine.analysis.resampling import block_length
from engine.ratios import YEAR

RESAMPLES, SEED, LEVEL = 4999, 20_080_101, 0.95
PIECE = 2_000_000  # blocks that are drawn at a time
LEAST = 10  # days below which nothing is told
MOST = 0.97  # of a day on the one before; more would be a series that never comes back


class Difference(NamedTuple):
    """How much larger the first ratio is, and how sure that is; ratios of a year."""

    difference: float  # [ratio]
    error: float  # standard error [ratio]
    low: float  # ends of the studentised interval [ratio]
    high: float
    p_value: float  # of both sides: chance of a difference like that between equals [1]
    block: int  # [days]


NONE = Difference(np.nan, np.nan, np.nan, np.nan, np.nan, 0)


def difference(first, second, block=None, resamples=RESAMPLES, seed=SEED, level=LEVEL, periods=YEAR):
    """Sharpe ratio of the first series less that of the second, tested.

    Parameters
    ----------
    first, second : array (time,)
        Excess returns of the same days. [fraction]
    block : int, optional
        Length of a block; by `block_of`, if not given. [days]
    resamples, seed : int
    level : float
        Of the interval. [1]
    periods : int
        Returns a year.

    Returns
    -------
    Difference
        All nan for fewer than 10 days, where one does not move, and where both are the same but for their size.

    Source: see above.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(0.0, 0.01, (500, 2))
    >>> found = difference(noise[:, 0] + 0.002, noise[:, 1] - 0.002, resamples=999)
    >>> found.p_value, found.low > 0.0
    (0.001, True)
    """
    if len(first) < LEAST or not _moves(first, second):
        return NONE
    moments = _moments(first / np.std(first), second / np.std(second))
    centre = moments.mean(axis=0)
    apart, slope = moments - centre, gradient(centre)
    if not np.ptp(apart @ slope) > 1e-12:
        return NONE
    error = standard_error(apart, slope)
    block = block_of(apart @ slope) if block is None else int(block)
    found, scale = delta(centre), np.sqrt(periods)
    statistics = np.sort(_resampled(moments, block, resamples, seed))
    p_value = (np.sum(statistics >= abs(found) / error) + 1) / (resamples + 1)
    reach = np.quantile(statistics, level) * error
    told = (found, error, found - reach, found + reach)
    return Difference(*(float(value * scale) for value in told), float(p_value), block)


def delta(moments):
    """Difference of two Sharpe ratios of (..., 4) means and mean squares: a, b, c, d.

    >>> round(float(delta(np.array([0.3, 0.4, 0.25, 0.41]))), 12)  # 0.3 / 0.4 - 0.4 / 0.5
    -0.05
    """
    a, b, c, d = np.moveaxis(np.asarray(moments), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return a / np.sqrt(c - a**2) - b / np.sqrt(d - b**2)


def gradient(moments):
    """What `delta` changes by when a, b, c, d do; (..., 4)."""
    a, b, c, d = np.moveaxis(np.asarray(moments), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (c - a**2) ** -1.5, (d - b**2) ** -1.5
        return np.stack([c * one, -d * two, -a * one / 2.0, b * two / 2.0], axis=-1)


def standard_error(apart, slope, whiten=True):
    r"""Standard error of a smooth function of means whose days follow each other.

    .. math:: \sqrt{\nabla' \Psi \nabla / T}, \quad \Psi = D \Psi_e D', \quad D = (I - A)^{-1}, \quad
              e_t = y_t - A y_{t-1}

    with A by least squares, its singular values at most 0.97, and the long-run variance of e by `long_run`.

    Parameters
    ----------
    apart : array (time, any)
        What each day adds to the means, less the means: y.
    slope : array (any,)
        How the function changes with each mean.
    whiten : bool
        Whether A is taken out first; if not, it is 0.

    Returns
    -------
    float
        [unit of the function]

    Source: Andrews and Monahan, see above.
    """
    if not whiten:
        return float(np.sqrt(slope @ long_run(apart) @ slope / len(apart)))
    after = np.linalg.lstsq(apart[:-1], apart[1:], rcond=None)[0]  # transposed: rows are days
    left, sizes, right = np.linalg.svd(after)
    after = left @ np.diag(np.minimum(sizes, MOST)) @ right
    back = np.linalg.solve(np.eye(len(slope)) - after, slope)
    return float(np.sqrt(back @ long_run(apart[1:] - apart[:-1] @ after) @ back / len(apart)))


def long_run(apart):
    r"""Long-run variance of the mean of series that are 0 in the mean, times their length.

    .. math:: \frac{T}{T - 4} \left( \Gamma_0 + \sum_{k < S} h(k / S) (\Gamma_k + \Gamma_k') \right), \quad
              S = 2.6614 \left( T \sum_i \frac{4 \rho_i^2 \sigma_i^4}{(1 - \rho_i)^8} \Big/
              \sum_i \frac{\sigma_i^4}{(1 - \rho_i)^4} \right)^{1/5}

    with h Parzen's kernel, rho and sigma those of an autoregression of each series on the day before, with a constant.

    Parameters
    ----------
    apart : array (time, any)

    Returns
    -------
    array (any, any)

    Source: Andrews, see above; the 4 are the means that were estimated (Ledoit and Wolf, section 3.1).

    Without any serial correlation the variance, here 1, over T - 4 is all there is:

    >>> long_run(np.array([[1.0], [1.0], [-1.0], [-1.0]] * 10 + [[1.0]])).round(6).tolist(), round(41 / 37, 6)
    ([[1.108108]], 1.108108)
    """
    count = len(apart)
    before, after = (part - part.mean(axis=0) for part in (apart[:-1], apart[1:]))
    rho = np.clip((before * after).sum(axis=0) / (before**2).sum(axis=0), -MOST, MOST)
    fourth = np.square(((after - rho * before) ** 2).sum(axis=0))
    share = np.sum(4.0 * rho**2 * fourth / (1.0 - rho) ** 8) / np.sum(fourth / (1.0 - rho) ** 4)
    width = 2.6614 * (share * count) ** 0.2
    total = apart.T @ apart / count
    for k in range(1, min(int(np.ceil(width)), count)):
        one = apart[k:].T @ apart[:-k] / count
        total = total + parzen(k / width) * (one + one.T)
    return total * count / (count - 4)


def parzen(x):
    """Parzen's kernel of a share of the bandwidth, number or array.

    >>> parzen(np.array([0.0, 0.5, 0.75, 1.0])).tolist()
    [1.0, 0.25, 0.03125, 0.0]
    """
    x = np.abs(x)
    return np.where(x <= 0.5, 1.0 - 6.0 * x**2 + 6.0 * x**3, 2.0 * np.maximum(1.0 - x, 0.0) ** 3)


def block_of(influence):
    """Length of a block that keeps how the days of `influence` follow each other. [days]"""
    longest = block_length(influence)
    return int(min(np.ceil(longest * 1.5 ** (1.0 / 3.0) if longest > 1.0 else 1.0), len(influence) // 4))


def starts(count, block, resamples, seed):
    """First days of the blocks of each resample, array (resample, block); all resamples of one seed are one stream."""
    return np.random.default_rng(seed).integers(count, size=(resamples, count // block), dtype=np.int32)


def _resampled(moments, block, resamples, seed):
    """|D* - D| / s(D*) of each resample. The sums of all blocks are made once: a resample adds up those it draws."""
    count, found = len(moments), delta(moments.mean(axis=0))
    around = np.vstack([np.zeros((1, 4)), np.cumsum(np.vstack([moments, moments[: block - 1]]), axis=0)])
    sums = around[block:] - around[:-block]  # (time, 4) of the block that begins there
    drawn, out = starts(count, block, resamples, seed), np.empty(resamples)
    step, rows = max(PIECE // drawn.shape[1], 1), drawn.shape[1] * block
    for k in range(0, resamples, step):
        blocks = sums[drawn[k : k + step]]  # (resample, block, 4)
        centre = blocks.sum(axis=1) / rows
        slope = gradient(centre)
        zeta = np.einsum("rbk,rk->rb", blocks - block * centre[:, None], slope) / np.sqrt(block)
        error = np.sqrt(np.mean(zeta**2, axis=1) / rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[k : k + step] = np.abs(delta(centre) - found) / error
    return np.where(np.isnan(out), np.inf, out)  # a resample without spread tells nothing against equality


def _moments(first, second):
    return np.column_stack([first, second, first**2, second**2])


def _moves(first, second):
    known = not (np.isnan(first).any() or np.isnan(second).any())
    return known and np.ptp(first) > 1e-12 and np.ptp(second) > 1e-12
