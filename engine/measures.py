"""Measures of a price that strategies decide by: ranges, channels, exponential averages, spread about a mean, ranks.

The rules of `engine.indicators` hold here too: row t reads rows 0..t, a market's holiday (nan) is no bar and keeps the
last value, and a price comes in only as a difference, so that the level of an adjusted series moves nothing (T14).
Windows are made of their own bars alone; what says "memory" has one that fades, and depends on where history begins
(T44).
"""

import numpy as np

from engine.indicators import change, latest
from engine.kernel import kernel

YEAR = 252.0  # trading days
TIE = 1e-9  # share of the price within which two values are the same; see `engine.strategies.trend.cross`


def extremes(market):
    """Adjusted high and low, arrays (time, market); the adjusted price where a bar tells none. [points]

    The bar of a roll belongs to the contract that is left, and so does its offset: a roll gap is no range (T15).
    """
    adjusted = market.adjusted
    high, low = market.high + market.offset, market.low + market.offset
    return np.where(np.isnan(high), adjusted, high), np.where(np.isnan(low), adjusted, low)


def average_range(market, length):
    r"""Average true range: how far a bar reaches, with the gap before it.

    .. math:: R_t = \max(h_t, a_{t-1}) - \min(l_t, a_{t-1}), \quad A_t = A_{t-1} + (R_t - A_{t-1}) / n

    Parameters
    ----------
    market : Market
    length : int
        n; the first value is the simple mean of the first n ranges. [bars]

    Returns
    -------
    array (time, market)
        [points]; nan until `length` ranges were seen.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; on adjusted prices (DOMAIN T15).

    The second bar reaches from the close before, 10, to 13:

    >>> from types import SimpleNamespace
    >>> mark, zero = np.array([[10.0], [12.0]]), np.zeros((2, 1))
    >>> high, low = np.array([[11.0], [13.0]]), np.array([[9.0], [11.0]])
    >>> bars = SimpleNamespace(mark=mark, adjusted=mark, offset=zero, high=high, low=low)
    >>> average_range(bars, 1).ravel()
    array([nan,  3.])
    """
    high, low = extremes(market)
    return wilder(true_range(high, low, np.ascontiguousarray(market.adjusted)), length)


def relative_strength(price, length):
    r"""Relative strength index of a price, from its changes.

    .. math:: RSI = 100 U / (U + D)

    with U, D the averages of rises and of falls, each by `wilder`.

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]
    length : int
        [bars]

    Returns
    -------
    array (time, market)
        0 to 100 [%]; nan until `length` changes were seen; 50 where nothing moved. A share of changes, not of prices:
        the level of the price has no say (DOMAIN T1).

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978.

    >>> relative_strength(np.array([[10.0], [13.0], [12.0]]), 2).ravel().tolist()
    [nan, nan, 75.0]
    """
    moves = change(np.ascontiguousarray(price))
    rises, falls = wilder(np.maximum(moves, 0.0), length), wilder(np.maximum(-moves, 0.0), length)
    total = rises + falls
    return np.where(total > 0.0, 100.0 * rises / np.where(total > 0.0, total, 1.0), np.where(total == 0.0, 50.0, total))


@kernel
def true_range(high, low, price):
    """Reach of each bar with the gap before it, see `average_range`; nan on a holiday and on the first bar. [points]

    >>> true_range(np.array([[11.0], [13.0]]), np.array([[9.0], [11.0]]), np.array([[10.0], [12.0]])).ravel()
    array([nan,  3.])
    """
    out = np.full(price.shape, np.nan)
    last = np.full(price.shape[1], np.nan)
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            if np.isnan(price[t, m]):
                continue
            if not np.isnan(last[m]):
                out[t, m] = max(high[t, m], last[m]) - min(low[t, m], last[m])
            last[m] = price[t, m]
    return out


@kernel
def wilder(values, length):
    r"""Wilder's average: the mean of the first n values, from then on a memory of which each bar takes 1/n.

    .. math:: A_t = A_{t-1} + (x_t - A_{t-1}) / n

    Parameters
    ----------
    values : array (time, market)
        nan is no bar.
    length : int
        n. [bars]

    Returns
    -------
    array (time, market)
        nan until `length` values were seen.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978.

    >>> wilder(np.array([[1.0], [3.0], [np.nan], [4.0]]), 2).ravel()
    array([nan, 2., 2., 3.])
    """
    out = np.full(values.shape, np.nan)
    mean = np.zeros(values.shape[1])
    count = np.zeros(values.shape[1])
    for t in range(values.shape[0]):
        for m in range(values.shape[1]):
            if not np.isnan(values[t, m]):
                count[m] += 1.0
                if count[m] <= length:
                    mean[m] += values[t, m]
                    if count[m] == length:
                        mean[m] /= length
                else:
                    mean[m] += (values[t, m] - mean[m]) / length
            if count[m] >= length:
                out[t, m] = mean[m]
    return out


@kernel
def highest(price, length):
    """Highest of the last `length` bars that exist; nan until so many were seen. [points]

    >>> highest(np.array([[3.0], [1.0], [np.nan], [2.0]]), 2).ravel()
    array([nan,  3.,  3.,  2.])
    """
    out = np.full(price.shape, np.nan)
    bars = np.empty(price.shape[0])
    for m in range(price.shape[1]):
        count, top = 0, 0
        for t in range(price.shape[0]):
            if not np.isnan(price[t, m]):
                bars[count] = price[t, m]
                if bars[count] >= bars[top]:
                    top = count
                count += 1
                if top < count - length:  # it has left the window: look through what is left
                    top = count - length
                    for k in range(top + 1, count):
                        if bars[k] >= bars[top]:
                            top = k
            if count >= length:
                out[t, m] = bars[top]
    return out


def lowest(price, length):
    """Lowest of the last `length` bars that exist; nan until so many were seen. [points]

    >>> lowest(np.array([[1.0], [3.0], [np.nan], [2.0]]), 2).ravel()
    array([nan,  1.,  1.,  2.])
    """
    return -highest(-price, length)


@kernel
def exponential_gap(price, span):
    r"""Exponential average of a price less the newest price: where the average lies, seen from the market.

    .. math:: E_t = E_{t-1} + a (p_t - E_{t-1}), \quad G_t = E_t - p_t = (1 - a) (G_{t-1} - (p_t - p_{t-1}))

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]
    span : float
        a = 2 / (span + 1), a memory; the average begins at the first price. [bars]

    Returns
    -------
    array (time, market)
        [points]; a holiday keeps the last; nan before the first bar.

    Source: definition. The difference of two of them is that of the two averages, whatever the level of the price.

    >>> exponential_gap(np.array([[8.0], [np.nan], [12.0]]), 3.0).ravel()
    array([ 0.,  0., -2.])
    """
    out = np.full(price.shape, np.nan)
    keep = 1.0 - 2.0 / (span + 1.0)
    gap = np.full(price.shape[1], np.nan)
    last = np.full(price.shape[1], np.nan)
    for t in range(price.shape[0]):
        for m in range(price.shape[1]):
            if not np.isnan(price[t, m]):
                gap[m] = 0.0 if np.isnan(last[m]) else keep * (gap[m] - (price[t, m] - last[m]))
                last[m] = price[t, m]
            out[t, m] = gap[m]
    return out


@kernel
def smoothed(values, span):
    """Exponential average of values that are no prices, a memory; nan is no value and keeps the last.

    >>> smoothed(np.array([[1.0], [np.nan], [3.0]]), 3.0).ravel()
    array([1., 1., 2.])
    """
    out = np.full(values.shape, np.nan)
    weight = 2.0 / (span + 1.0)
    mean = np.full(values.shape[1], np.nan)
    for t in range(values.shape[0]):
        for m in range(values.shape[1]):
            if np.isnan(mean[m]):
                mean[m] = values[t, m]
            elif not np.isnan(values[t, m]):
                mean[m] += weight * (values[t, m] - mean[m])
            out[t, m] = mean[m]
    return out


@kernel
def past_change(price, length):
    """Change of a price over the last `length` bars that exist; nan until so many changes were seen. [points]

    >>> past_change(np.array([[1.0], [np.nan], [2.0], [5.0]]), 2).ravel()
    array([nan, nan, nan,  4.])
    """
    out = np.full(price.shape, np.nan)
    bars = np.empty(price.shape[0])
    for m in range(price.shape[1]):
        count = 0
        for t in range(price.shape[0]):
            if not np.isnan(price[t, m]):
                bars[count] = price[t, m]
                count += 1
            if count > length:
                out[t, m] = bars[count - 1] - bars[count - 1 - length]
    return out


@kernel
def deviation(price, length):
    r"""Standard deviation of the last `length` prices about their own mean.

    .. math:: s_t = \sqrt{\frac{1}{n} \sum_{i<n} (d_i - \bar d)^2}, \quad d_i = p_{t-i} - p_t

    Parameters
    ----------
    price : array (time, market)
        nan on a market's holiday. [points]
    length : int
        n. [bars]

    Returns
    -------
    array (time, market)
        [points]; a holiday keeps the last; nan until `length` bars were seen.

    Source: J. Bollinger, Bollinger on Bollinger Bands, 2001: over n, not n - 1.

    >>> deviation(np.array([[2.0], [4.0], [6.0], [4.0]]), 2).ravel()
    array([nan,  1.,  1.,  1.])
    """
    out = np.full(price.shape, np.nan)
    bars = np.empty(price.shape[0])
    for m in range(price.shape[1]):
        count = 0
        value = np.nan
        for t in range(price.shape[0]):
            if not np.isnan(price[t, m]):
                bars[count] = price[t, m]
                count += 1
                if count >= length:
                    value = _spread(bars[count - length : count])
            out[t, m] = value
    return out


@kernel
def _spread(window):
    """Standard deviation of a window, from the differences to its newest price, in two passes."""
    newest = window[-1]
    mean = 0.0
    for k in range(len(window)):
        mean += window[k] - newest
    mean /= len(window)
    square = 0.0
    for k in range(len(window)):
        square += (window[k] - newest - mean) ** 2
    return np.sqrt(square / len(window))


@kernel
def ranked(values, group):
    r"""Place of each market among those of its group, from the lowest to the highest, on each bar.

    .. math:: f_i = n (r_i - \frac{n + 1}{2}) / \sum_j |r_j - \frac{n + 1}{2}|

    Parameters
    ----------
    values : array (time, market)
        nan takes no part.
    group : array (market,) of int
        Markets of one number are ranked among each other.

    Returns
    -------
    array (time, market)
        Sums to 0 in each group, its mean absolute value is 1; equal values share their mean rank; 0 for nan and for a
        group of fewer than two. [1]

    Source: R. Koijen, T. Moskowitz, L. Pedersen, E. Vrugt, "Carry", Journal of Financial Economics 127 (2018), eq. 18;
    there long and short sum to one each.

    >>> ranked(np.array([[0.1, -2.0, 5.0, np.nan]]), np.zeros(4, dtype=np.int64))
    array([[ 0. , -1.5,  1.5,  0. ]])
    """
    out = np.zeros(values.shape)
    place = np.zeros(values.shape[1])
    for t in range(values.shape[0]):
        for m in range(values.shape[1]):
            place[m] = _beaten(values[t], group, m)
        for m in range(values.shape[1]):
            count, reach = 0.0, 0.0
            for k in range(values.shape[1]):
                if group[k] == group[m] and not np.isnan(values[t, k]):
                    count += 1.0
                    reach += abs(place[k])
            if reach > 0.0 and not np.isnan(values[t, m]):
                out[t, m] = count * place[m] / reach
    return out


@kernel
def _beaten(row, group, m):
    """Rank of a market in its group less the mean rank: half of the markets below it, less half of those above it."""
    out = 0.0
    for k in range(len(row)):
        if group[k] == group[m]:
            if row[m] > row[k]:
                out += 0.5
            elif row[m] < row[k]:
                out -= 0.5
    return out


def side_of(values, market):
    """Sign of values in points, 0 within a billionth of the contract's price, and for nan; array (time, market).

    >>> from types import SimpleNamespace
    >>> side_of(np.array([[2.0, -1e-8, -3.0, np.nan]]), SimpleNamespace(mark=np.full((1, 4), 100.0)))
    array([[ 1.,  0., -1.,  0.]])
    """
    width = TIE * np.abs(latest(np.ascontiguousarray(market.mark)))
    return np.where(values > width, 1.0, np.where(values < -width, -1.0, 0.0))
