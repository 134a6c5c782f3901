"""Volatility regime: overlays, which hold another strategy and scale it by the state of its market.

All of them judge each market by itself and by its own past. A state that is not known yet leaves the strategy as it is.
"""

import numpy as np
import param

from engine.indicators import average_gap, change, seen, volatility
from engine.inner import Overlay
from engine.kernel import kernel
from engine.measures import YEAR, side_of, smoothed
from engine.strategy import StrategyError


class VolatilityRegime(Overlay):
    r"""Less in wild markets, more in quiet ones, by the place of today's volatility in the market's own past.

    .. math:: scale = E_{10}(quiet - (quiet - wild) \cdot Q), \quad Q = \text{place of } \sigma_t / \bar\sigma_t

    Source: R. Carver, Advanced Futures Trading Strategies, 2023, strategy thirteen: 2 - 1.5 Q, smoothed over 10 bars,
    of volatility over its mean of ten years.
    """

    quiet = param.Number(default=2.0, bounds=(0, 10), doc="Scale when it was never quieter. [1]")
    wild = param.Number(default=0.5, bounds=(0, 10), doc="Scale when it was never wilder. [1]")
    smooth = param.Number(default=10.0, bounds=(1, 500), doc="Memory of the scale. [bars]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    slow = param.Integer(default=2520, bounds=(2, 20000), doc="Length of its usual value, see `settling`. [bars]")
    least = param.Integer(default=252, bounds=(1, 20000), doc="Bars of which the past is made at least. [bars]")

    def scale(self, market, forecast) -> np.ndarray:
        """Between `wild` and `quiet`; 1 while the past is too short."""
        place = regime(market, self.span, self.slow, self.least)
        return np.nan_to_num(smoothed(self.quiet - (self.quiet - self.wild) * place, self.smooth), nan=1.0)

    def own_warm_up(self) -> int:
        """The volatility, and its least past. [bars]"""
        return int(np.ceil(self.span)) + self.least + 1


class VolatilityManaged(Overlay):
    r"""Scaled by the inverse of recent variance, to as much as the market's usual variance.

    .. math:: scale = \min(most, (\bar v_t / v_t)^{power / 2})

    It comes on top of the sizing rule: with one that aims at a volatility, sizes go with the inverse of its cube.

    Source: A. Moreira, T. Muir, "Volatility-Managed Portfolios", Journal of Finance 72 (2017): c over the variance of
    the last month; their c, which makes the whole sample's variance the same, is here the usual variance so far.
    """

    span = param.Number(default=21.0, bounds=(2, 5000), doc="Memory of the recent variance. [bars]")
    slow = param.Integer(default=1260, bounds=(2, 20000), doc="Length of the usual variance, see `settling`. [bars]")
    power = param.Number(default=2.0, bounds=(0, 4), doc="2: over the variance; 1: over the volatility. [1]")
    most = param.Number(default=2.0, bounds=(0.1, 20), doc="Largest scale. [1]")

    def scale(self, market, forecast) -> np.ndarray:
        """0 to `most`; 1 until there is a variance."""
        variance = known_volatility(market, self.span) ** 2
        usual = settling(variance, self.slow)
        return np.nan_to_num(np.minimum((usual / variance) ** (self.power / 2.0), self.most), nan=1.0)

    def own_warm_up(self) -> int:
        """The recent variance. [bars]"""
        return int(np.ceil(self.span)) + 1


class QuietOnly(Overlay):
    """The strategy while its market is not wild, nothing while it is.

    Wild begins when volatility comes above `leave` of its own past, and ends when it falls below `back`.

    Source: K. Wang, J. Xu, "Market Volatility and Momentum", Journal of Empirical Finance 30 (2015): momentum earns
    after low volatility and loses after high; the two thresholds, so that it does not flicker, are ours.
    """

    leave = param.Number(default=0.8, bounds=(0, 1), doc="Share of its past above which volatility is wild. [1]")
    back = param.Number(default=0.7, bounds=(0, 1), doc="Share below which it is quiet again; at most `leave`. [1]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    slow = param.Integer(default=2520, bounds=(2, 20000), doc="Length of its usual value, see `settling`. [bars]")
    least = param.Integer(default=252, bounds=(1, 20000), doc="Bars of which the past is made at least. [bars]")

    def scale(self, market, forecast) -> np.ndarray:
        """0 or 1; 1 while the past is too short."""
        if self.back > self.leave:
            raise StrategyError(f"quiet_only: back = {self.back}; allowed: at most leave = {self.leave}")
        return calm(regime(market, self.span, self.slow, self.least), self.leave, self.back)

    def own_warm_up(self) -> int:
        """The volatility, and its least past. [bars]"""
        return int(np.ceil(self.span)) + self.least + 1


class TrendFilter(Overlay):
    """The strategy where it goes with the market's trend, part of it or nothing where it goes against.

    The trend is up while the price is above its average of `length` bars, down while it is below.

    Source: M. Faber, "A Quantitative Approach to Tactical Asset Allocation", Journal of Wealth Management 9 (2007): ten
    months' average, for both sides.
    """

    length = param.Integer(default=200, bounds=(2, 5000), doc="Length of the average. [bars]")
    against = param.Number(default=0.0, bounds=(0, 1), doc="Scale of what goes against the trend. [1]")

    def scale(self, market, forecast) -> np.ndarray:
        """1, or `against`; 1 while there is no average, and on a tie."""
        trend = side_of(-average_gap(np.ascontiguousarray(market.adjusted), self.length), market)
        return np.where(trend * forecast < 0.0, self.against, 1.0)

    def own_warm_up(self) -> int:
        """The length. [bars]"""
        return self.length


class DrawdownBrake(Overlay):
    r"""Less the more the strategy has lost in a market since its best, nothing once it has lost `most`.

    .. math:: scale = \max(0, 1 - D / most), \quad D = \frac{\max_{s \le t} E_s - E_t}{\sqrt{252}}, \quad
              E_t = E_{t-1} + f_{t-1} (a_t - a_{t-1}) / \sigma_{t-1}

    E is what its own forecasts would have earned unscaled, in daily volatilities, so it comes back when they do.

    Source: S. Grossman, Z. Zhou, "Optimal Investment Strategies for Controlling Drawdowns", Mathematical Finance 3
    (1993): exposure in proportion to what is left above the floor. They measure the account; here each market is its
    own, at its closes, before costs.
    """

    most = param.Number(default=1.5, bounds=(0.01, 50), doc="Loss at which nothing is left, in volatilities. [√year]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")

    def scale(self, market, forecast) -> np.ndarray:
        """0 to 1; 1 while nothing was lost."""
        moves = change(np.ascontiguousarray(market.adjusted))
        lost = drawdown(forecast, moves, known_volatility(market, self.span))
        return np.maximum(0.0, 1.0 - lost / (self.most * np.sqrt(YEAR)))

    def own_warm_up(self) -> int:
        """That of the volatility. [bars]"""
        return int(np.ceil(self.span)) + 1


def regime(market, span, slow, least) -> np.ndarray:
    """Place of each market's volatility, over its usual value, in its own past: 0 the lowest, 1 the highest. [1]

    nan until `least` bars of it were seen; a holiday keeps the last.
    """
    sigma = known_volatility(market, span)
    sigma[np.isnan(market.adjusted)] = np.nan  # a holiday is no bar of the past
    return place(sigma / settling(sigma, slow), least)


def known_volatility(market, span) -> np.ndarray:
    """Daily volatility, nan until it has seen `span` changes and where nothing moves. [points]"""
    moves = change(np.ascontiguousarray(market.adjusted))
    sigma = volatility(moves, span)
    return np.where((seen(moves) >= span) & (sigma > 0.0), sigma, np.nan)


@kernel
def settling(values, length):
    """Mean of all values so far; once `length` were seen a memory of which each new one takes 1/`length`.

    Parameters
    ----------
    values : array (time, market)
        nan is no value.
    length : int
        [bars]

    Returns
    -------
    array (time, market)
        In the unit of the values; nan before the first.

    Source: definition; as Wilder's average, but that its start is not waited for.

    >>> settling(np.array([[2.0], [np.nan], [4.0], [9.0]]), 2).ravel()
    array([2., 2., 3., 6.])
    """
    out = np.full(values.shape, np.nan)
    mean = np.zeros(values.shape[1])
    count = np.zeros(values.shape[1])
    for t in range(values.shape[0]):
        for m in range(values.shape[1]):
            if not np.isnan(values[t, m]):
                count[m] = min(count[m] + 1.0, float(length))
                mean[m] += (values[t, m] - mean[m]) / count[m]
            if count[m] > 0.0:
                out[t, m] = mean[m]
    return out


def place(values, least, window=0):
    """Share of a market's earlier values that lie below the newest, equal ones half.

    Parameters
    ----------
    values : array (time, market)
        nan is no value and keeps the last place.
    least : int
        Earlier values that there must be. [bars]
    window : int
        Earlier values that are looked at, the newest of them; all, if 0. [bars]

    Returns
    -------
    array (time, market)
        0 to 1; nan until `least` earlier values were seen.

    Source: R. Carver, Advanced Futures Trading Strategies, 2023, strategy thirteen: quantile of all that was so far.

    >>> place(np.array([[3.0], [1.0], [2.0], [np.nan], [3.0]]), 2).ravel()
    array([       nan,        nan, 0.5       , 0.5       , 0.83333333])
    >>> place(np.array([[3.0], [1.0], [2.0], [2.5]]), 2, 2).ravel()
    array([nan, nan, 0.5, 1. ])
    """
    by_market = np.ascontiguousarray(values.T, dtype=np.float64)
    order = np.argsort(np.where(np.isnan(by_market), np.inf, by_market), axis=1)  # of nan, numpy sorts slowly
    return np.ascontiguousarray(_places(by_market, order, least, window).T)


@kernel
def _places(values, order, least, window):
    """`place` of arrays (market, time), `order` being that of a market's values, the lowest first.

    A value's rank is how many of all are lower. Later values move the ranks, but not their order, and only that is
    counted in: so no later row is read.
    """
    rows = values.shape[1]
    out, rank, past = np.full(values.shape, np.nan), np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    for m in range(len(values)):
        first = 0  # of those that are alike
        for k in range(rows):
            if values[m, order[m, k]] > values[m, order[m, first]]:
                first = k
            rank[order[m, k]] = first
        alike, tree = np.zeros(rows, dtype=np.int64), np.zeros(rows + 1, dtype=np.int64)
        count, value = 0, np.nan
        for t in range(rows):
            if not np.isnan(values[m, t]):
                own = rank[t]
                if window and count > window:
                    gone = past[count - window - 1]
                    alike[gone] -= 1
                    _put(tree, gone + 1, -1)
                if count >= least:
                    value = (_counted(tree, own) + 0.5 * alike[own]) / (min(count, window) if window else count)
                alike[own] += 1
                _put(tree, own + 1, 1)
                past[count] = own
                count += 1
            out[m, t] = value
    return out


@kernel
def _put(tree, place, amount):
    """Put a value into the tree, or take it out; places are counted from 1 on."""
    while place < len(tree):
        tree[place] += amount
        place += place & -place


@kernel
def _counted(tree, place):
    """How many of those put into the tree are at this place or before.

    Source: P. Fenwick, "A New Data Structure for Cumulative Frequency Tables", Software: Practice and Experience 24
    (1994): log2(n) steps each, where keeping the past sorted took four times as long (12,361 bars of 28 markets).
    """
    total = 0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@kernel
def calm(values, leave, back):
    """1 until a value comes above `leave`, then 0 until one comes below `back`; nan changes nothing.

    >>> calm(np.array([[np.nan], [0.75], [0.9], [0.75], [0.6]]), 0.8, 0.7).ravel()
    array([1., 1., 0., 0., 1.])
    """
    out = np.ones(values.shape)
    for m in range(values.shape[1]):
        state = 1.0
        for t in range(values.shape[0]):
            if values[t, m] > leave:
                state = 0.0
            elif values[t, m] < back:
                state = 1.0
            out[t, m] = state
    return out


@kernel
def drawdown(forecast, moves, sigma):
    """What forecasts have lost since their best, were each held from its close to the next, in daily volatilities.

    Parameters
    ----------
    forecast : array (time, market)
        [1]
    moves : array (time, market)
        Change of the adjusted price; nan on a market's holiday. [points]
    sigma : array (time, market)
        Daily volatility; nan before its time, when nothing is earned. [points]

    Returns
    -------
    array (time, market)
        0 or more [1].

    Source: definition.

    >>> one = np.ones((4, 1))
    >>> drawdown(one, np.array([[np.nan], [2.0], [-3.0], [1.0]]), one).ravel()
    array([0., 0., 3., 2.])
    """
    out = np.zeros(forecast.shape)
    earned, best = np.zeros(forecast.shape[1]), np.zeros(forecast.shape[1])
    for t in range(1, forecast.shape[0]):
        for m in range(forecast.shape[1]):
            move = forecast[t - 1, m] * moves[t, m] / sigma[t - 1, m]
            if not np.isnan(move):
                earned[m] += move
                best[m] = max(best[m], earned[m])
            out[t, m] = best[m] - earned[m]
    return out
