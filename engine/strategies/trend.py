"""Trend following: strategies that hold what has risen and sell what has fallen."""

import numpy as np
import param

from engine.indicators import average_gap
from engine.kernel import kernel
from engine.strategy import Strategy


class MovingAverageCross(Strategy):
    """Long while the average of the last `fast` bars is above that of the last `slow`, short while it is below.

    Source: the dual moving average crossover, Donchian's 5- and 20-day method (Commodity Year Book 1960), in the form
    of Brock, Lakonishok and LeBaron, "Simple Technical Trading Rules", Journal of Finance 47 (1992), without a band.
    """

    fast = param.Integer(default=50, bounds=(1, 5000), doc="Length of the quick average. [bars]")
    slow = param.Integer(default=200, bounds=(1, 5000), doc="Length of the slow average. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-1, 0 or 1: sign of fast average less slow average; 0 until `slow` bars were seen and on a tie."""
        fast, slow = average_gap(market.adjusted, self.fast), average_gap(market.adjusted, self.slow)
        return cross(fast, slow, market.mark)

    def warm_up(self) -> int:
        """The longer of both lengths. [bars]"""
        return max(self.fast, self.slow)


@kernel
def cross(fast, slow, price):
    r"""Side of one average from another.

    .. math:: f_t = sign(F_t - S_t) \text{ where } |F_t - S_t| > 10^{-9} |p_t|, \text{ else } 0

    Parameters
    ----------
    fast, slow : array (time, market)
        Averages, or averages less the same number; nan before their time. [points]
    price : array (time, market)
        Price of the contract held, which sets the width of a tie; nan on a holiday, which keeps the last. [points]

    Returns
    -------
    array (time, market)
        -1, 0 or 1; never nan.

    Source: tie band of 1e-9 of the price: without it two ways of adding the same numbers trade differently at exact
    ties (2 of 100,800 signals in a comparison of engines). It is a share of the contract's own price, not of the
    adjusted one, for the level of an adjusted series is an accident of its history.

    >>> cross(np.array([[1.5], [2.0], [1.0]]), np.array([[1.0], [2.0], [2.0]]), np.array([[2.0], [2.0], [1.0]])).ravel()
    array([ 1.,  0., -1.])
    """
    out = np.zeros(fast.shape)
    last = np.zeros(fast.shape[1])
    for t in range(fast.shape[0]):
        for m in range(fast.shape[1]):
            if not np.isnan(price[t, m]):
                last[m] = abs(price[t, m])
            gap = fast[t, m] - slow[t, m]
            if gap > 1e-9 * last[m]:
                out[t, m] = 1.0
            elif gap < -1e-9 * last[m]:
                out[t, m] = -1.0
    return out
