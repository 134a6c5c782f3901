"""How sure a difference between regimes is: p-values of a difference of means, and how many episodes there were.

Two tests of the same difference, which ask different things:

| | asks | holds where |
| --- | --- | --- |
| `drawn` | do the days of the regime earn as much as others? | the days of one swing more than those of others, too |
| `rotated` | have regimes and days to do with each other? | there are few episodes; days are alike but for the mean |

Of a rare regime whose days swing three times as wide as the others and earn as much, `rotated` is below 0.05 in a third
of all worlds, for it asks of the swings as well: of regimes of volatility `drawn` is the one to read. With few episodes
`drawn` is a little too low: below 0.05 in up to ten of a hundred worlds with four of them.
"""

import numpy as np

from engine.analysis import resampling
from engine.analysis.regimes import UNKNOWN

APART = 21  # of two episodes [days]
RESAMPLES, SEED = 1_999, 20_020_701  # with the run itself 2,000, of which whole numbers are 0.05 and 0.01
NEARLY = 1.0 - 1e-9  # what rounding can hide


def drawn(code, values, weights, count, resamples=RESAMPLES, seed=SEED, threads=None):
    r"""For each regime, how often chance makes a difference of means as large where there is none.

    .. math:: d = \frac{\sum_t 1_t x_t}{\sum_t 1_t w_t} - \frac{\sum_t 0_t x_t}{\sum_t 0_t w_t}, \quad
              p = \frac{1 + \#\{b: |d_b - d| \ge |d|\}}{1 + B}

    with 1 the days of the regime, 0 those of the others, and :math:`d_b` that of days drawn anew in blocks, each with
    its regime. To take d off is to take the mean of its own days off each value: a world with the swings, the memory
    and the regimes of this one, in which both means are the same. Blocks are as long as the days ask for, each told by
    its distance from the mean of its regime in deviations of that: else the few days of a rare, wild one would decide.

    Parameters
    ----------
    code : array (time, series)
        -1 is not known.
    values : array (time, series)
        nan counts nothing. Series are drawn together.
    weights : array (time, series)
        How many a value is the sum of.
    count : int
        Regimes.
    resamples, seed : int
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    array (count,)
        p from 1 / (1 + resamples) to 1; nan where the regime, or no other, occurs. Resamples without one are left out.

    Source: D. Politis, J. Romano, The Stationary Bootstrap, Journal of the American Statistical Association 89 (1994);
    centred at what was found, not at zero: P. Hall, S. Wilson, Two Guidelines for Bootstrap Hypothesis Testing,
    Biometrics 47 (1991); the run itself counted: A. Davison, D. Hinkley, Bootstrap Methods and Their Application, 1997,
    ch. 4.

    >>> code, earned = np.array([[0], [0], [1], [1]]), np.array([[1.0], [1.0], [1.0], [1.0]])
    >>> drawn(code, earned, np.ones((4, 1)), 2, 99).tolist()
    [1.0, 1.0]
    """
    p, seen = np.full(count, np.nan), np.flatnonzero((code != UNKNOWN).any(axis=1))
    if not len(seen):
        return p
    part = slice(seen[0], None)
    number = np.where(np.isnan(values[part]), 0.0, weights[part])
    value = np.where(number > 0.0, np.nan_to_num(values[part]), 0.0)
    inside = [code[part] == k for k in range(count)]
    days = np.stack([np.stack([(value * one).sum(axis=1), (number * one).sum(axis=1)]) for one in inside])
    whole = days.sum(axis=2)  # (count, 2): sum and number
    compared = [k for k in range(count) if whole[k, 1] > 0.5 and whole[:, 1].sum() - whole[k, 1] > 0.5]
    if not compared:
        return p
    block = resampling.block_length(_apart_from_own(days, whole))
    sums = resampling.sums(days.reshape(2 * count, -1).T, block, seed, resamples, threads)
    sums = sums.reshape(resamples, count, 2).transpose(1, 2, 0)
    for k in compared:
        there = (sums[k, 1] > 0.5) & (sums[:, 1].sum(axis=0) - sums[k, 1] > 0.5)
        found, made = _apart(whole, k), _apart(sums[:, :, there], k)
        p[k] = (1 + np.count_nonzero(np.abs(made - found) >= abs(found) * NEARLY)) / (1 + np.count_nonzero(there))
    return p


def rotated(code, values, weights, count):
    r"""For each regime, how often a difference of means as large comes about when regimes are moved against the days.

    .. math:: d_s = \frac{\sum_t 1_{t} x_{t+s}}{\sum_t 1_t w_{t+s}} - \frac{\sum_t 0_{t} x_{t+s}}{\sum_t 0_t w_{t+s}},
              \quad p = \frac{1}{T} \#\{s: |d_s| \ge |d_0|\}

    with 1 the days of the regime and 0 those of the others, days counted around the end. All sums of a regime are one
    product of Fourier transforms; where every value counts once, as many days are counted of any rotation.

    Parameters
    ----------
    code : array (time, series)
        -1 is not known.
    values : array (time, series)
        nan counts nothing.
    weights : array (time, series)
        How many a value is the sum of.
    count : int
        Regimes.

    Returns
    -------
    (array (count,), array (count,))
        p from 1/T to 1, and the difference in the unit of the values; nan where the regime, or no other, occurs.

    Source: rotations are a group of rearrangements, so the test is exact where days are alike: E. Lehmann, J. Romano,
    Testing Statistical Hypotheses, 3rd ed., 2005, th. 15.2.1.

    Four days in two regimes, 3 earned in the first and 1 in the second; half of the rotations do as well:

    >>> code, earned = np.array([[0], [0], [1], [1]]), np.array([[3.0], [3.0], [1.0], [1.0]])
    >>> p, difference = rotated(code, earned, np.ones((4, 1)), 2)
    >>> p.tolist(), difference.tolist()
    ([0.5, 0.5], [2.0, -2.0])
    """
    seen = np.flatnonzero((code != UNKNOWN).any(axis=1))
    p, difference = np.full(count, np.nan), np.full(count, np.nan)
    if not len(seen):
        return p, difference
    part = slice(seen[0], None)
    code, time = code[part], len(code) - seen[0]
    number = np.where(np.isnan(values[part]), 0.0, weights[part])
    value = np.fft.rfft(np.where(number > 0.0, np.nan_to_num(values[part]), 0.0), axis=0)
    weight = None if (number == 1.0).all() else np.fft.rfft(number, axis=0)
    sums = [_moved(code == k, value, weight, time) for k in range(count)]
    all_sum, all_number = (sum(of) for of in zip(*sums, strict=True))
    for k, (own_sum, own_number) in enumerate(sums):
        rest = all_number - own_number
        there = (own_number > 0.5) & (rest > 0.5)  # they are whole, but for the rounding of the transform
        if there[0]:
            apart = own_sum[there] / own_number[there] - (all_sum - own_sum)[there] / rest[there]
            difference[k], p[k] = apart[0], np.mean(np.abs(apart) >= abs(apart[0]) * NEARLY)
    return p, difference


def episodes(code, k, apart=APART):
    """Stretches of a regime that lie `apart` days or more from each other; of several series the mean, rounded down.

    >>> episodes(np.array([[0], [1], [0], [1], [1], [1], [0]]), 0, apart=3)
    2
    """
    count = [1 + int((np.diff(at) > apart).sum()) for at in map(np.flatnonzero, (code == k).T) if len(at)]
    return int(np.mean(count)) if count else 0


def _apart(sums, k):
    """Mean of a regime less that of all others, of (count, 2, ...) sums and numbers."""
    rest = sums.sum(axis=0) - sums[k]
    return sums[k, 0] / sums[k, 1] - rest[0] / rest[1]


def _apart_from_own(days, whole):
    """How far each day is from the mean of its regime, in deviations of that, array (time,)."""
    out = np.zeros(days.shape[2])
    for (value, number), (total, count) in zip(days, whole, strict=True):
        if count > 0.5:
            apart = value - total / count * number
            spread = np.sqrt(np.mean(apart[number > 0.0] ** 2))
            out += apart / spread if spread > 0.0 else 0.0
    return out


def _moved(inside, value, weight, time):
    """Sums of values and of weights, None: of ones, over the days inside, for each number of days by which they are
    moved."""
    fixed = np.conj(np.fft.rfft(inside.astype(np.float64), axis=0))
    total = np.fft.irfft((fixed * value).sum(axis=1), time)
    if weight is None:
        return total, np.full(time, float(np.count_nonzero(inside)))
    return total, np.fft.irfft((fixed * weight).sum(axis=1), time)
