"""Calm and wild: a Markov switching model of a market's moves, of which a day is told what was known at its close.

Rules:

1. A move is normal with a mean and a variance of its state; the state of a bar depends on that of the bar before alone.
2. The model is fitted again on the first bar of each calendar year, on all bars before that day, and is left alone
   until the next year. Nothing is told before `least` bars were seen.
3. Told are *filtered* probabilities: what the bars up to t say about bar t. Smoothed ones, which read the bars after t
   as well, occur in the fit alone, where all bars that they read lie before the day of the fit (DOMAIN T47).
4. States are numbered by their variance, from the lowest: a refit cannot swap their names.
5. A fit counts only if the bars are better told by several states than by one, for the parameters it takes (BIC), and
   if every state lasts `LASTING` bars or more on average. Else nothing is told for the year: white noise has no
   regimes, and a market with fat tails has outliers, which are no regimes either.

Why not a Gaussian mixture: it knows no yesterday, so that it leaves its state after every quiet day of a wild month.
docs/regimes.md has both, measured on planted states.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from engine.kernel import kernel

LEAST = 504  # bars before the first fit: two years
LASTING = 5.0  # a state that lasts less on average is an outlier [bars]
ROUNDS, GAIN = 500, 1e-3  # of a fit at most; it ends when a round makes the log-likelihood gain less
FLOOR = 1e-3  # least variance of a state, of that of all bars: bars without a move have none
STAYS = 0.97  # chance to stay from which a fit begins


class Fits(NamedTuple):
    """The models of a series, one a refit."""

    mean: np.ndarray  # (refit, state), in the unit of the moves
    variance: np.ndarray  # (refit, state), rising within a row
    transition: np.ndarray  # (refit, state, state): chance to go from the first to the second [1]
    told: np.ndarray  # (refit,) bool: whether it counts, see rule 5


def states(moves, days, count=2, least=LEAST):
    """Filtered probability of each state, for each column by itself.

    Parameters
    ----------
    moves : array (time, market)
        nan where there is no bar.
    days : array (time,) of datetime64[D]
        Trade dates.
    count : int
        States, 2 or more.
    least : int
        [bars]

    Returns
    -------
    array (time, market, state)
        From the calmest to the wildest [1]; row t reads rows 0..t; nan where nothing is told; a holiday keeps the last.

    Source: J. Hamilton, "A New Approach to the Economic Analysis of Nonstationary Time Series and the Business Cycle",
    Econometrica 57 (1989).
    """
    return told(moves, days, fits(moves, days, count, least))


def fits(moves, days, count=2, least=LEAST):
    """The `Fits` of each column, a list; see `states`, whose costly part this is."""

    def fit(column):
        rows, x = column
        return Fits(*fitted_yearly(x, _bars_before(rows, days), count, least))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(fit, _columns(moves)))


def told(moves, days, models):
    """Filtered probabilities (time, market, state) by models that are known; see `states`."""
    out = np.full((*moves.shape, models[0].mean.shape[1] if models else 2), np.nan)
    for m, ((rows, x), model) in enumerate(zip(_columns(moves), models, strict=True)):
        if len(rows):
            chances = filtered_yearly(x, _bars_before(rows, days), *model)
            newest = np.searchsorted(rows, np.arange(len(days)), "right") - 1
            out[rows[0] :, m] = chances[newest[rows[0] :]]
    return out


def _columns(moves):
    """(rows with a bar, their moves) of each column."""
    for column in moves.T:
        rows = np.flatnonzero(~np.isnan(column))
        yield rows, np.ascontiguousarray(column[rows])


def _bars_before(rows, days):
    """How many bars lie before each refit: before the first row of each calendar year but the first."""
    years = days.astype("datetime64[Y]")
    return np.searchsorted(rows, np.flatnonzero(years[1:] != years[:-1]) + 1)


@kernel
def hamilton(log_density, transition, start):
    r"""Hamilton's filter: the chance of each state at t, by the bars 0..t.

    .. math:: p_{t|t} \propto f_t \circ p_{t|t-1}, \quad p_{t+1|t} = P^\top p_{t|t}, \quad
              \ln L = \sum_t \ln \sum_k f_{t,k} \, p_{t|t-1,k}

    Parameters
    ----------
    log_density : array (time, state)
        ln f: logarithm of the density of bar t if the state is k.
    transition : array (state, state)
        P: chance to go from the first to the second. [1]
    start : array (state,)
        Chance of each state at the first bar, before it is seen. [1]

    Returns
    -------
    (array (time, state), float)
        The chances [1], and the log-likelihood of all bars.

    Source: J. Hamilton, Time Series Analysis, 1994, eq. 22.4.5 and 22.4.6.

    A bar three times as likely in the second of two states that are equally likely before it:

    >>> hamilton(np.log(np.array([[0.1, 0.3]])), np.eye(2), np.array([0.5, 0.5]))[0]
    array([[0.25, 0.75]])
    """
    bars, count = log_density.shape
    seen, ahead = np.empty((bars, count)), np.empty((bars, count))
    return seen, _passed(log_density, transition, start, seen, ahead)


@kernel
def _passed(log_density, transition, start, seen, ahead):
    """Chances after and before each bar, into `seen` and `ahead`; returns the log-likelihood.

    Densities are taken by the largest of their bar, so that none is lost in underflow.
    """
    bars, count = log_density.shape
    likelihood = 0.0
    for t in range(bars):
        top, total = log_density[t, 0], 0.0
        for k in range(count):
            top = max(top, log_density[t, k])
            chance = start[k] if t == 0 else 0.0
            if t > 0:
                for j in range(count):
                    chance += seen[t - 1, j] * transition[j, k]
            ahead[t, k] = chance
        for k in range(count):
            less = log_density[t, k] - top
            seen[t, k] = ahead[t, k] * (np.exp(less) if less < 0.0 else 1.0)
            total += seen[t, k]
        for k in range(count):
            seen[t, k] /= total
        likelihood += top + np.log(total)
    return likelihood


@kernel
def log_normal(x, mean, variance):
    """Logarithm of the normal density of each bar in each state, array (time, state).

    >>> log_normal(np.array([3.0]), np.array([1.0]), np.array([1.0 / (2.0 * np.pi)])) / np.pi
    array([[-4.]])
    """
    out = np.empty((len(x), len(mean)))
    level, half = -0.5 * np.log(2.0 * np.pi * variance), 0.5 / variance
    for t in range(len(x)):
        for k in range(len(mean)):
            out[t, k] = level[k] - half[k] * (x[t] - mean[k]) ** 2
    return out


def begun(x, count):
    """Where a fit begins that has none before it: means, variances and transition, by mean and variance of all bars."""
    variance = np.var(x) * np.geomspace(0.5, 2.0, count)
    transition = np.full((count, count), (1.0 - STAYS) / (count - 1))
    np.fill_diagonal(transition, STAYS)
    return np.full(count, np.mean(x)), variance, transition


def fitted(x, mean, variance, transition, rounds=ROUNDS, gain=GAIN):
    r"""Model of greatest likelihood, by expectation and maximisation.

    Parameters
    ----------
    x : array (bar,)
        Moves.
    mean, variance : array (state,)
        Where it begins.
    transition : array (state, state)
        Likewise. [1]
    rounds : int
        At most.
    gain : float
        It ends when a round makes the log-likelihood gain less.

    Returns
    -------
    (array (state,), array (state,), array (state, state), float)
        Means, variances from the lowest, transition, log-likelihood. Of the first bar all states are equally likely.

    Source: J. Hamilton, Time Series Analysis, 1994, eq. 22.3.8 and 22.4.14 to 22.4.16.
    """
    mean, variance, transition = mean.copy(), variance.copy(), transition.copy()
    likelihood = _climbed(x, mean, variance, transition, rounds, gain, FLOOR * np.var(x))
    order = np.argsort(variance)
    return mean[order], variance[order], transition[np.ix_(order, order)], likelihood


@kernel
def _climbed(x, mean, variance, transition, rounds, gain, floor):
    """The rounds of a fit, in place; returns the log-likelihood of the last."""
    count = len(mean)
    seen, ahead, start = np.empty((len(x), count)), np.empty((len(x), count)), np.full(count, 1.0 / count)
    last = likelihood = -np.inf
    for _ in range(rounds):
        likelihood = _passed(log_normal(x, mean, variance), transition, start, seen, ahead)
        if likelihood - last < gain:
            break
        last = likelihood
        _maximised(x, mean, variance, transition, seen, ahead, floor)
    return likelihood


@kernel
def _maximised(x, mean, variance, transition, seen, ahead, floor):
    """Means, variances and transition, in place, of chances that were smoothed backwards over the bars of the fit."""
    count = len(mean)
    smooth, later = seen[-1].copy(), np.empty(count)
    weight, first, second = smooth.copy(), smooth * x[-1], smooth * x[-1] ** 2
    joint = np.zeros((count, count))
    for t in range(len(x) - 2, -1, -1):
        for j in range(count):
            later[j] = smooth[j] / ahead[t + 1, j] if ahead[t + 1, j] > 0.0 else 0.0
        for k in range(count):
            smooth[k] = 0.0
            for j in range(count):
                both = seen[t, k] * transition[k, j] * later[j]
                joint[k, j] += both
                smooth[k] += both
            weight[k] += smooth[k]
            first[k] += smooth[k] * x[t]
            second[k] += smooth[k] * x[t] ** 2
    for k in range(count):
        mean[k] = first[k] / weight[k]
        variance[k] = max(second[k] / weight[k] - mean[k] ** 2, floor)
        transition[k] = joint[k] / joint[k].sum()


def counts(x, variance, transition, likelihood):
    r"""Whether a model of several states counts, see rule 5: by BIC against one state, and by how long states last.

    .. math:: 2 (\ln L - \ln L_1) > (K^2 + K - 2) \ln n, \quad 1 / (1 - P_{kk}) \ge 5

    Source: Z. Psaradakis, N. Spagnolo, "On the Determination of the Number of Regimes in Markov-Switching
    Autoregressive Models", Journal of Time Series Analysis 24 (2003), for BIC; the least length is ours.
    """
    bars, count = len(x), len(variance)
    one = -0.5 * bars * (np.log(2.0 * np.pi * np.var(x)) + 1.0)
    better = 2.0 * (likelihood - one) > (count * count + count - 2) * np.log(bars)
    return better and np.diag(transition).min() >= 1.0 - 1.0 / LASTING


def fitted_yearly(x, before, count, least):
    """The fields of `Fits` of a series whose n-th refit reads its first `before[n]` bars."""
    mean, variance = np.full((len(before), count), np.nan), np.full((len(before), count), np.nan)
    transition, good = np.full((len(before), count, count), np.nan), np.zeros(len(before), bool)
    for n in range(len(before)):
        past = x[: before[n]]
        if len(past) >= least and np.var(past) > 0.0:
            known = n > 0 and good[n - 1]  # then last year's model is near: a third of the rounds
            begin = (mean[n - 1], variance[n - 1], transition[n - 1]) if known else begun(past, count)
            mean[n], variance[n], transition[n], likelihood = fitted(past, *begin)
            good[n] = counts(past, variance[n], transition[n], likelihood)
    return mean, variance, transition, good


def filtered_yearly(x, before, mean, variance, transition, good):
    """Filtered chances (bar, state), each year by its own fit and from the first bar on; nan where none counts."""
    bars, count = len(x), mean.shape[1]
    out = np.full((bars, count), np.nan)
    start = np.full(count, 1.0 / count)
    for n in range(len(before)):
        end = before[n + 1] if n + 1 < len(before) else bars
        if good[n] and end > before[n]:
            density = log_normal(x[:end], mean[n], variance[n])
            out[before[n] : end] = hamilton(density, transition[n], start)[0][before[n] :]
    return out
