"""The stationary bootstrap: a series drawn anew from itself in blocks, and what each drawn series amounts to.

Rules:

* Blocks begin anywhere, their lengths are geometric with the mean `block`, and the series is a circle.
* Each resample has its own stream of random numbers, made of the seed and of its number: resample k is the same
  whatever the others are, in how many threads, and however many.
* A drawn series is never kept: one pass makes its sums. Order statistics come from counting how often each of the
  sorted values was drawn, not from sorting.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from engine.kernel import kernel

DAILY = (
    "mean", "square", "cube", "fourth",  # of the returns about the centre, sums of powers
    "excess", "excess_square",  # of the excess returns about their centre
    "below", "excess_below",  # sums of squares of what lies below 0
    "gains", "losses",  # sums, both positive
    "total",  # growth of one unit, less one
    "deepest", "deepest_days", "longest_days", "depth", "depth_square",  # of the drawdown; the last two are sums
    "least", "most", "excess_least", "excess_most",  # that was drawn
    "rises", "under", "upper",  # days that rose; days below the peak; the quantile 0.95
    "var_95", "cvar_95", "shortfall_95", "var_99", "cvar_99", "shortfall_99",
)  # fmt: skip
TRADES = (
    "won", "lost", "wins", "losses",  # counts and sums, all positive
    "sum", "square",  # about the centre
    "least", "most",  # that was drawn
)  # fmt: skip
TAILS = np.array([0.05, 0.01])
EDGE = 1e-14  # a day this close to the value at risk belongs to the tail, as in `tails.cvar`
PIECE = 50  # resamples that a thread takes at a time


def block_length(values):
    r"""Mean length of a block that the stationary bootstrap of a mean should have.

    .. math:: b = \left( 2 g^2 n / d \right)^{1/3}, \quad g = \sum_{|k| \le m} h(k / m) |k| \gamma_k, \quad
              d = 2 \left( \sum_{|k| \le m} h(k / m) \gamma_k \right)^2, \quad h(x) = \min(1, 2 (1 - |x|))

    with m twice the first lag from which on max(5, log10 n) serial correlations in a row are within 2 √(log10 n / n).

    Parameters
    ----------
    values : array (time,)
        [any one unit]

    Returns
    -------
    float
        [rows], from 1 to min(3 √n, n / 3) or 1; 1 where there is nothing to tell it by.

    Source: D. Politis, H. White, Automatic Block-Length Selection for the Dependent Bootstrap, Econometric Reviews 23
    (2004), corrected by A. Patton, D. Politis, H. White, ibid. 28 (2009); its tuning as in Patton's program.

    >>> block_length(np.array([1.0, -1.0, 1.0, 1.0]))
    1.0
    """
    count = len(values)
    if count < 8 or not np.ptp(values) > 0.0:
        return 1.0
    apart = values - values.mean()
    row = max(5, int(np.log10(count)))
    most = min(int(np.ceil(np.sqrt(count))) + row, count - 2)
    covariance = np.array([apart[k:] @ apart[: count - k] for k in range(most + 1)]) / count
    lag = 2 * max(_fades(apart, covariance * count, row, most), 1)
    lag = min(lag, most)
    k = np.arange(1, lag + 1)
    taper = np.where(2 * k <= lag, 1.0, 2.0 * (1.0 - k / lag)) * covariance[1 : lag + 1]
    slope, level = 2.0 * np.sum(k * taper), covariance[0] + 2.0 * np.sum(taper)
    longest = np.ceil(min(3.0 * np.sqrt(count), count / 3.0))
    if not level**2 > 0.0:
        return float(longest)
    return float(np.clip((slope**2 / level**2 * count) ** (1.0 / 3.0), 1.0, longest))


def indices(count, block, seed, number):
    """Rows of a series of `count` that resample `number` is made of, in their order; array (count,).

    >>> sorted(set(indices(5, 1e9, 7, 0).tolist()))  # one block, around the circle
    [0, 1, 2, 3, 4]
    """
    return _indices(int(count), float(block), np.uint64(seed), int(number))


def daily(returns, excess, days, compounding, block, seed, resamples, threads=None):
    """The sums DAILY of resamples of days.

    Parameters
    ----------
    returns, excess : array (time,)
        Known, in time order; drawn as pairs. [fraction]
    days : array (time + 1,) of datetime64[D]
        Of the run; what is drawn takes its own days, row by row.
    compounding : bool
        Whether growth multiplies or adds up.
    block : float
        Mean length of a block. [rows]
    seed, resamples : int
    threads : int, optional
        As many as there are processors; the result does not depend on it.

    Returns
    -------
    array (resample, DAILY)
    """
    order = np.argsort(returns, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    calendar = np.ascontiguousarray((days - days[0]).astype(np.int64).astype(np.float64))
    out = np.empty((resamples, len(DAILY)))
    ready = np.ascontiguousarray(returns, float), np.ascontiguousarray(excess, float), rank, np.sort(returns), calendar
    centres = float(np.mean(returns)), float(np.mean(excess))

    def work(first, last):
        part = out[first:last]
        _daily(*ready, *centres, bool(compounding), TAILS, float(block), np.uint64(seed), first, part)

    spread(work, resamples, threads)
    return out


def trades(net, block, seed, resamples, threads=None):
    """The sums TRADES of resamples of trades: array (resample, TRADES). Arguments as for `daily`.

    >>> trades(np.array([2.0, 2.0]), 1.0, 7, 1).tolist()
    [[2.0, 0.0, 4.0, 0.0, 0.0, 0.0, 2.0, 2.0]]
    """
    out, ready = np.empty((resamples, len(TRADES))), np.ascontiguousarray(net, float)

    def work(first, last):
        _trades(ready, float(np.mean(net)), float(block), np.uint64(seed), first, out[first:last])

    spread(work, resamples, threads)
    return out


def sums(columns, block, seed, resamples, threads=None):
    """Sums of columns over the rows that each resample draws, whole rows together.

    The draws of a seed and a block are those of `daily` for as many rows. A block's sum is the difference of two sums
    from the first row on, so that long blocks cost no more than short ones.

    Parameters
    ----------
    columns : array (time, column)
        Known. [any units]
    block, seed, resamples, threads
        As for `daily`.

    Returns
    -------
    array (resample, column)

    >>> sums(np.array([[1.0], [2.0], [3.0]]), 1e9, 7, 2).tolist()  # one block, around the circle
    [[6.0], [6.0]]
    """
    ready = np.zeros((columns.shape[0] + 1, columns.shape[1]))
    np.cumsum(columns, axis=0, out=ready[1:])
    out = np.empty((resamples, columns.shape[1]))

    def work(first, last):
        _sums(ready, float(block), np.uint64(seed), first, out[first:last])

    spread(work, resamples, threads)
    return out


def grown(returns, paid, capital, compounding, block, seed, resamples, threads=None):
    """Where an account ends that earns drawn returns and is paid into on its own days, array (resample,).

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    paid : array (time,)
        Before each day's first bar, out negative; not drawn. [account currency]
    capital : float
        [account currency]
    compounding, block, seed, resamples, threads
        As for `daily`.

    >>> grown(np.array([0.5, 0.5]), np.array([0.0, 10.0]), 100.0, True, 1.0, 7, 1).tolist()
    [240.0]
    """
    out = np.empty(resamples)
    ready = np.ascontiguousarray(returns, float), np.ascontiguousarray(paid, float)

    def work(first, last):
        _grown(*ready, float(capital), bool(compounding), float(block), np.uint64(seed), first, out[first:last])

    spread(work, resamples, threads)
    return out


def spread(work, resamples, threads=None):
    """Pieces of work side by side, as `work(first, last)`: the kernels hold no lock, and no piece reads another."""
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(lambda first: work(first, min(first + PIECE, resamples)), range(0, resamples, PIECE)))


def _fades(apart, products, row, most):
    """The first lag from which on `row` serial correlations are within the band; the longest where there is none."""
    count, squares = len(apart), apart**2
    band = 2.0 * np.sqrt(np.log10(count) / count)
    forward, backward = np.cumsum(squares), np.cumsum(squares[::-1])
    lags = np.arange(1, most)
    scale = np.sqrt(backward[count - 2 - lags] * forward[count - 2 - lags])  # of the rows that both series have
    within = np.abs(products[1:most]) < band * np.where(scale > 0.0, scale, np.inf)
    for lag in range(len(within) - row + 1):
        if within[lag : lag + row].all():
            return lag + 1
    return most


# Kernels. Random numbers are SplitMix64 (G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators,
# 2014): a state of one word, which a kernel carries in an array of one row.


@kernel
def _word(state):
    """The next random word."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def chance(state):
    """A random number between 0 and 1, neither of them."""
    return (np.float64(_word(state) >> np.uint64(11)) + 0.5) / 9007199254740992.0


@kernel
def begin(state, seed, number):
    """The stream of one resample."""
    state[0] = seed
    state[0] = _word(state) ^ (np.uint64(number) * np.uint64(0xD1342543DE82EF95))
    state[0] = _word(state)


@kernel
def length_of(state, block, most):
    """Length of a block: geometric with a mean of `block`, cut at `most`."""
    if block <= 1.0:
        return 1
    length = 1.0 + np.floor(np.log(chance(state)) / np.log(1.0 - 1.0 / block))
    return int(min(length, float(most)))


@kernel
def _indices(count, block, seed, number):
    out, state, t = np.empty(count, np.int64), np.empty(1, np.uint64), 0
    begin(state, seed, number)
    while t < count:
        i, end = int(chance(state) * count), t + length_of(state, block, count - t)
        while t < end:
            out[t] = i
            i = i + 1 if i + 1 < count else 0
            t += 1
    return out


@kernel
def _daily(returns, excess, rank, ordered, days, centre, middle, compounding, tails, block, seed, first, out):
    """Rows of DAILY for the resamples from `first` on."""
    count = len(returns)
    times, state = np.empty(count, np.int32), np.empty(1, np.uint64)
    for number in range(out.shape[0]):
        begin(state, seed, first + number)
        times[:] = 0
        s1 = s2 = s3 = s4 = e1 = e2 = below = excess_below = gains = losses = rises = under = 0.0
        least, most, low, high = np.inf, -np.inf, np.inf, -np.inf
        equity = peak = 1.0
        deepest = deepest_days = longest = depths = depths2 = 0.0
        top, ours, t = 0, False, 0  # row of the last peak; whether the deepest drawdown is the one that is open
        while t < count:
            i, end = int(chance(state) * count), t + length_of(state, block, count - t)
            while t < end:
                value, over = returns[i], excess[i]
                times[rank[i]] += 1
                x = value - centre
                y = over - middle
                xx = x * x
                s1 += x
                s2 += xx
                s3 += xx * x
                s4 += xx * xx
                e1 += y
                e2 += y * y
                excess_below += min(over, 0.0) ** 2
                below += min(value, 0.0) ** 2
                losses -= min(value, 0.0)
                gains += max(value, 0.0)
                rises += value > 0.0
                least, most = min(least, value), max(most, value)
                low, high = min(low, over), max(high, over)
                equity = equity * (1.0 + value) if compounding else equity + value
                t += 1
                if equity >= peak:
                    if t - top > 1:
                        span = days[t] - days[top]
                        longest = max(longest, span)
                        if ours:
                            deepest_days, ours = span, False
                    top, peak = t, equity
                else:
                    depth = (equity - peak) / peak
                    depths -= depth
                    depths2 += depth * depth
                    under += 1.0
                    if depth < deepest:
                        deepest, ours = depth, True
                i = i + 1 if i + 1 < count else 0
        if top < count:
            longest = max(longest, days[count] - days[top])
            if ours:
                deepest_days = days[count] - days[top]
        row = out[number]
        row[0], row[1], row[2], row[3], row[4], row[5] = s1, s2, s3, s4, e1, e2
        row[6], row[7], row[8], row[9], row[10] = below, excess_below, gains, losses, equity - 1.0
        row[11], row[12], row[13], row[14], row[15] = deepest, deepest_days, longest, depths, depths2
        row[16], row[17], row[18], row[19], row[20], row[21] = least, most, low, high, rises, under
        row[22] = _upper(times, ordered, 1.0 - tails[0])
        for level in range(len(tails)):
            _tail(times, ordered, tails[level], row, 23 + 3 * level)


@kernel
def _upper(times, ordered, share):
    """A high quantile of values drawn so many times, interpolated linearly; walked from the top."""
    count = len(ordered)
    reach = (count - 1) * share
    lower = int(np.floor(reach))
    upper = min(lower + 1, count - 1)
    seen, high, j = count, ordered[count - 1], count - 1  # how many values are at or below ordered[j]
    while True:
        if times[j] > 0:
            if seen - times[j] <= upper < seen:
                high = ordered[j]
            if seen - times[j] <= lower < seen:
                return ordered[j] + (high - ordered[j]) * (reach - lower)
            seen -= times[j]
        j -= 1


@kernel
def _tail(times, ordered, share, row, place):
    """Value at risk, mean loss beyond it and expected shortfall of values drawn so many times, into row[place:]."""
    count = len(ordered)
    reach = (count - 1) * share
    lower = int(np.floor(reach))
    upper = min(lower + 1, count - 1)
    seen, low, high, j = 0, 0.0, 0.0, 0
    while seen <= upper:
        if times[j] > 0:
            if seen <= lower < seen + times[j]:
                low = ordered[j]
            if seen <= upper < seen + times[j]:
                high = ordered[j]
            seen += times[j]
        j += 1
    bound = low + (high - low) * (reach - lower)
    met, total, worst, left, j = 0, 0.0, 0.0, count * share, 0
    while j < count and (ordered[j] <= bound + EDGE or left > 0.0):
        if times[j] > 0:
            if ordered[j] <= bound + EDGE:
                met += times[j]
                total += times[j] * ordered[j]
            part = min(left, float(times[j]))
            worst += part * ordered[j]
            left -= part
        j += 1
    row[place], row[place + 1], row[place + 2] = -bound, -total / met, -worst / (count * share)


@kernel
def _trades(net, centre, block, seed, first, out):
    """Rows of TRADES for the resamples from `first` on."""
    count, state = len(net), np.empty(1, np.uint64)
    for number in range(out.shape[0]):
        begin(state, seed, first + number)
        won = lost = wins = losses = s1 = s2 = 0.0
        least, most = np.inf, -np.inf
        t = 0
        while t < count:
            i, end = int(chance(state) * count), t + length_of(state, block, count - t)
            while t < end:
                value = net[i]
                x = value - centre
                s1 += x
                s2 += x * x
                won += value > 0.0  # no branches here: which way they go cannot be guessed
                lost += value < 0.0
                wins += max(value, 0.0)
                losses -= min(value, 0.0)
                least, most = min(least, value), max(most, value)
                i = i + 1 if i + 1 < count else 0
                t += 1
        row = out[number]
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = won, lost, wins, losses, s1, s2, least, most


@kernel
def _sums(upto, block, seed, first, out):
    """Sums of columns over drawn rows; `upto` (time + 1, column) are those from the first row on."""
    count, columns, state = upto.shape[0] - 1, upto.shape[1], np.empty(1, np.uint64)
    for number in range(out.shape[0]):
        begin(state, seed, first + number)
        row, t = out[number], 0
        row[:] = 0.0
        while t < count:
            i, length = int(chance(state) * count), length_of(state, block, count - t)
            end, t = i + length, t + length
            if end > count:  # around the circle
                for j in range(columns):
                    row[j] += upto[count, j] - upto[i, j] + upto[end - count, j]
            else:
                for j in range(columns):
                    row[j] += upto[end, j] - upto[i, j]


@kernel
def _grown(returns, paid, capital, compounding, block, seed, first, out):
    """Worth after each resample of the returns, of an account that is paid into."""
    count, state = len(returns), np.empty(1, np.uint64)
    for number in range(out.shape[0]):
        begin(state, seed, first + number)
        worth, t = capital, 0
        while t < count:
            i, end = int(chance(state) * count), t + length_of(state, block, count - t)
            while t < end:
                worth += paid[t]
                worth += returns[i] * (worth if compounding else capital)
                i = i + 1 if i + 1 < count else 0
                t += 1
        out[number] = worth
