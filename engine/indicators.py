"""Averages, changes and volatility of a market's prices, for strategies and sizes.

Rules, kept by every function here:

- Row t reads rows 0..t. A market's holiday (nan) is no bar: it is skipped, and the last value is kept.
- An adjusted price has no level: it is anchored at the first contract, so another history moves all of it by a constant
  (DOMAIN T14). What a strategy decides must not move with it, not even by a rounding error. So nothing here adds up
  prices: it adds up *differences* of prices, which that constant leaves as they are, to the bit.
- A windowed value is made of its window alone, added in an order that the window's length fixes. A running sum (add the
  newest, take off the oldest) would be quicker to write, but its rounding remembers every bar there ever was: a longer
  history then flips signals at near-ties.
"""

import numpy as np

from engine.kernel import inner, kernel

TOGETHER = 8  # averages that are put into a table at once: as many as a cache line holds


def relative_change(adjusted, mark) -> np.ndarray:
    r"""Change of the adjusted price over the price of the contract that was held: the excess return of a bar.

    .. math:: r_t = (a_t - a_{t-1}) / p_{t-1}

    Parameters
    ----------
    adjusted, mark : array (time, market)
        Adjusted price, and price of the contract held; nan on a market's holiday. [points]

    Returns
    -------
    array (time, market)
        [fraction]; nan on a holiday and on the first bar. A price of the contract that is not above zero is an error,
        for a share of it means nothing (DOMAIN T2): use `change`.

    Source: R. Carver, Leveraged Trading, 2019, appendix C. The adjusted price over itself would be 1.887 %, not 2 %:

    >>> relative_change(np.array([[106.0], [108.0]]), np.array([[100.0], [102.0]])).ravel().tolist()
    [nan, 0.02]
    """
    low = np.argwhere(mark <= 0)
    if len(low):
        t, m = low[0]
        raise ValueError(f"relative_change: price {mark[t, m]} at bar {t} of market {m}; allowed: above 0; use change")
    return change(adjusted) / before(mark)


def moving_average(price, length) -> np.ndarray:
    r"""Simple average of the last `length` bars.

    .. math:: A_t = \frac{1}{n} \sum_{i<n} p_{t-i} = p_t + G_t

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]
    length : int
        Bars of the window, of those that exist. [bars]

    Returns
    -------
    array (time, market)
        [points]; row t reads rows 0..t; a holiday keeps the last value; nan until `length` bars were seen.

    Source: definition. Two averages are compared by `average_gap`, which does not know the level of the price.

    >>> moving_average(np.array([[1.0], [2.0], [np.nan], [6.0]]), 3).ravel().tolist()
    [nan, nan, nan, 3.0]
    """
    return latest(price) + average_gap(price, length)


@kernel
def change(price):
    r"""Change of a price from the last bar that exists.

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]

    Returns
    -------
    array (time, market)
        [points]; nan on a holiday and on the first bar: a holiday is no calm day (DOMAIN T42).

    Source: definition.

    >>> change(np.array([[1.0], [np.nan], [3.0]])).ravel()
    array([nan, nan, 2.])
    """
    out = np.full(price.shape, np.nan)
    last = np.full(price.shape[1], np.nan)
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            out[t, m] = price[t, m] - last[m]
            if not np.isnan(price[t, m]):
                last[m] = price[t, m]
    return out


@kernel
def latest(price):
    """Last price that exists, rows 0..t; nan before the first.

    >>> latest(np.array([[np.nan], [1.0], [np.nan]])).ravel()
    array([nan,  1.,  1.])
    """
    out = np.full(price.shape, np.nan)
    last = np.full(price.shape[1], np.nan)
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            if not np.isnan(price[t, m]):
                last[m] = price[t, m]
            out[t, m] = last[m]
    return out


@kernel
def before(price):
    """Last price that exists of the rows before, 0..t-1; nan before the first.

    >>> before(np.array([[1.0], [np.nan], [3.0]])).ravel()
    array([nan,  1.,  1.])
    """
    out = np.full(price.shape, np.nan)
    last = np.full(price.shape[1], np.nan)
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            out[t, m] = last[m]
            if not np.isnan(price[t, m]):
                last[m] = price[t, m]
    return out


def seen(change):
    """How many changes of a market rows 0..t hold. [bars]

    >>> seen(np.array([[np.nan], [1.0], [np.nan], [2.0]])).ravel()
    array([0., 1., 1., 2.])
    """
    return np.cumsum(~np.isnan(change), axis=0, dtype=np.float64)


@kernel
def volatility(change, span):
    r"""Standard deviation of a bar's price change, recent bars weighing most.

    .. math:: v_t = v_{t-1} + a (x_t^2 - v_{t-1}), \quad a = 2 / (span + 1), \quad \sigma_t = \sqrt{v_t}

    Parameters
    ----------
    change : array (time, market)
        Change of the adjusted price; nan on a market's holiday. [points]
    span : float
        Length of the memory; its mean age is `(span - 1) / 2`. [bars]

    Returns
    -------
    array (time, market)
        [points]; row t reads rows 0..t; a holiday keeps the last value; nan before the first change.

    Source: J.P. Morgan, RiskMetrics Technical Document, 4th ed., 1996, ch. 5 (mean taken as zero).

    Moves of one point, up or down, have a volatility of one point:

    >>> volatility(np.array([[1.0], [-1.0], [np.nan], [1.0]]), 10.0).ravel()
    array([1., 1., 1., 1.])
    """
    out = np.full(change.shape, np.nan)
    weight = 2.0 / (span + 1.0)
    variance = np.full(change.shape[1], np.nan)
    for t in range(change.shape[0]):  # time outside, markets inside: memory is read in its order
        for m in range(change.shape[1]):
            square = change[t, m] ** 2
            if np.isnan(variance[m]):
                variance[m] = square
            elif not np.isnan(square):  # a holiday is no calm day and must not pull the number down
                variance[m] += weight * (square - variance[m])
            out[t, m] = np.sqrt(variance[m])
    return out


@kernel
def average_gap(price, length):
    r"""Simple average of the last `length` bars less the newest price: where the average lies, seen from the market.

    .. math:: G_t = \frac{1}{n} \sum_{i<n} (p_{t-i} - p_t)

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]
    length : int
        Bars of the window, of those that exist. [bars]

    Returns
    -------
    array (time, market)
        [points]; row t reads rows 0..t; a holiday keeps the last value; nan until `length` bars were seen.

    Source: definition. The difference of two of them is that of the two averages, whatever the level of the price:

    >>> average_gap(np.array([[1.0], [2.0], [6.0]]), 3).ravel()
    array([nan, nan, -3.])
    """
    out = np.full(price.shape, np.nan)
    room = np.empty((4, price.shape[0]))
    bars, total, part, double = room[0], room[1], room[2], room[3]
    for m in range(price.shape[1]):
        count = 0
        for t in range(price.shape[0]):
            if not np.isnan(price[t, m]):
                bars[count] = price[t, m]
                count += 1
        _window_gaps(bars[:count], length, total, part, double)
        k = -1
        for t in range(price.shape[0]):
            if not np.isnan(price[t, m]):
                k += 1
            if k >= length - 1:
                out[t, m] = total[k] / length
    return out


@kernel
def average_gaps(price, lengths):
    """`average_gap` of several lengths, to the bit, array (time, market, length); halves of windows are shared.

    >>> average_gaps(np.array([[1.0], [2.0], [6.0]]), np.array([1, 3]))[:, 0]
    array([[ 0., nan],
           [ 0., nan],
           [ 0., -3.]])
    """
    times, markets = price.shape
    out = np.full((times, markets, len(lengths)), np.nan)
    bars, at = np.empty(times), np.empty(times, np.int64)
    steps = 1
    while 2**steps <= min(lengths.max(), times):
        steps += 1
    parts, totals = np.zeros((steps, times)), np.zeros((TOGETHER, times))
    for m in range(markets):
        count = 0
        for t in range(times):
            if not np.isnan(price[t, m]):
                bars[count] = price[t, m]
                count += 1
            at[t] = count - 1
        for j in range(1, steps):
            half, whole, width = parts[j - 1], parts[j], 2 ** (j - 1)
            for t in range(2 * width - 1, count):
                whole[t] = half[t] + half[t - width] + width * (bars[t - width] - bars[t])
        for first in range(0, len(lengths), TOGETHER):  # some at once: rows of `out` lie far from each other
            some = lengths[first : first + TOGETHER]
            for k in range(len(some)):
                _put_together(bars[:count], parts, some[k], totals[k])
            for t in range(times):
                for k in range(len(some)):
                    if at[t] >= some[k] - 1:
                        out[t, m, first + k] = totals[k, at[t]] / some[k]
    return out


@kernel
def _put_together(price, parts, length, total):
    """Sums of `_window_gaps` of one length, from windows of 1, 2, 4... bars, in the order of additions there."""
    for t in range(len(price)):
        total[t] = 0.0
    done = 0
    for j in range(len(parts)):
        width, part = 2**j, parts[j]
        if length & width and length <= len(price):
            for t in range(done + width - 1, len(price)):
                total[t] += part[t - done] + width * (price[t - done] - price[t])
            done += width


@inner
def _window_gaps(price, length, total, part, double):
    """Put into `total` the sum of (price - newest price) over each window of `length` bars, 1-d; rows before
    `length - 1` mean nothing. What `part` and `double` hold is lost.

    Windows of 1, 2, 4, 8... bars are each made of two halves,

        sum over 2k at t = sum over k at t + sum over k at t-k + k (p[t-k] - p[t]),

    where the last term moves the older half's reference to the newest price; `length` is put together from them by its
    binary digits. So the order of additions depends on the length alone, a value reads its own window alone, only
    differences of prices occur, and a bar costs 2 log2(length) steps: 250 bars take 14 instead of 250.
    """
    for t in range(len(price)):
        total[t] = part[t] = 0.0
    width, done = 1, 0  # `part` holds windows of `width`; `total` holds windows of `done`
    while width <= length:
        if length & width:
            for t in range(done + width - 1, len(price)):
                total[t] += part[t - done] + width * (price[t - done] - price[t])
            done += width
        for t in range(2 * width - 1, len(price)):
            double[t] = part[t] + part[t - width] + width * (price[t - width] - price[t])
        part, double = double, part
        width *= 2
