"""Calendar spread: strategies for members that are spreads, of two months of a market or of several markets.

To them a spread is one column of the market whose price is what a unit has earned (`engine.members`). A plain market is
a spread of one leg, so they run on those too; but none of them was found there.
"""

import numpy as np
import param

from engine.indicators import average_gap, change, seen, volatility
from engine.kernel import kernel
from engine.measures import YEAR, deviation, past_change, side_of, smoothed
from engine.strategies.carry import SCALAR
from engine.strategies.trend import CAP
from engine.strategy import Strategy, StrategyError


class RollYieldSpread(Strategy):
    r"""Long the spread whose legs' roll yields differ in its favour, by how much it pays for the risk.

    .. math:: f = c(3 \cdot \frac{\sum_i r_i M_i x_i \cdot 365 (p_i - p^{next}_i) / d_i}{\sigma \sqrt{252}})

    over the legs i, with r their ratio, M the multiplier, x the exchange rate, d the days between the last trades of
    the contract held and of the next, and sigma the daily volatility of what a unit earns.

    Source: R. Koijen, T. Moskowitz, L. Pedersen, E. Vrugt, "Carry", Journal of Financial Economics 127 (2018), whose
    carry of a position is what it earns if nothing moves, and who trade slopes too; scalar and cap as in `carry`.
    """

    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    smooth = param.Number(default=20.0, bounds=(1, 5000), doc="Memory of the carry. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 until every leg has had a next contract, and the spread a volatility."""
        return np.nan_to_num(np.clip(SCALAR * spread_carry(market, self.span, self.smooth), -CAP, CAP))

    def warm_up(self) -> int:
        """That of the volatility. [bars]"""
        return int(np.ceil(self.span)) + 1


class SpreadReversion(Strategy):
    """Sells a spread that is dear by its own last bars, buys one that is cheap, and leaves at the mean.

    Dear is more than `enter` standard deviations above the mean of `length` bars. What goes on beyond `give_up`, or is
    still open after `hold` bars, is left, and nothing enters before the spread has been near its mean again.

    Source: P. Girma, A. Paulson, "Risk Arbitrage Opportunities in Petroleum Futures Spreads", Journal of Futures
    Markets 19 (1999), and D. Simon, "The Soybean Crush Spread", in the same volume: bands of standard deviations about
    a moving average. Giving up is ours.
    """

    length = param.Integer(default=60, bounds=(2, 1000), doc="Bars of the mean and of the deviation. [bars]")
    enter = param.Number(default=2.0, bounds=(0.1, 20), doc="Distance at which it enters, in deviations. [1]")
    leave = param.Number(default=0.5, bounds=(0, 20), doc="Distance at which it leaves; below `enter`. [1]")
    give_up = param.Number(default=4.0, bounds=(0.1, 100), doc="Distance at which it gives up; above `enter`. [1]")
    hold = param.Integer(default=60, bounds=(0, 5000), doc="Bars after which it gives up; 0 never. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-1, 0 or 1; 0 until `length` bars were seen."""
        if not self.leave < self.enter < self.give_up:
            raise StrategyError(
                f"spread_reversion: leave, enter, give_up = {self.leave}, {self.enter}, {self.give_up}; "
                "allowed: each above the one before"
            )
        price = np.ascontiguousarray(market.adjusted)
        wide = deviation(price, self.length)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(wide > 0.0, -average_gap(price, self.length) / wide, np.nan)
        return reverting(distance, price, self.enter, self.leave, self.give_up, self.hold)

    def warm_up(self) -> int:
        """The length. [bars]"""
        return self.length


class SpreadTrend(Strategy):
    r"""Long the spread that has earned over the last year, short the one that has lost, by how sure that is.

    .. math:: f = c(\sqrt{\pi / 2} \cdot (a_t - a_{t-n}) / (\sigma \sqrt n))

    Of a near contract against a far one this is basis-momentum.

    Source: M. Boons, M. Porras Prado, "Basis-Momentum", Journal of Finance 74 (2019): the year's return of the first
    nearby less that of the second predicts their spread. The square root makes the mean size of a random walk's 1.
    """

    lookback = param.Integer(default=252, bounds=(1, 5000), doc="How far back the change is measured. [bars]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 until `lookback` changes were seen, and where nothing moves."""
        price = np.ascontiguousarray(market.adjusted)
        usual = _volatility(price, self.span) * np.sqrt(self.lookback * 2.0 / np.pi)
        earned = past_change(price, self.lookback)
        return np.nan_to_num(np.where(side_of(earned, market) == 0.0, 0.0, np.clip(earned / usual, -CAP, CAP)))

    def warm_up(self) -> int:
        """The longer of its memories. [bars]"""
        return max(self.lookback, int(np.ceil(self.span))) + 1


def spread_carry(market, span, smooth) -> np.ndarray:
    """What a unit earns a year if all curves stay as they are, in volatilities of a year; see `RollYieldSpread`.

    Parameters
    ----------
    market : Market
        With `legs`, {name of a spread: {market: contracts of a unit}}, where it has spreads.
    span, smooth : float
        Memories of the volatility and of the carry. [bars]

    Returns
    -------
    array (time, market)
        [√year]; nan before the first, kept where a leg has no price.
    """
    worth = market.multiplier * market.fx
    days = np.where(market.next_days > 0.0, market.next_days, np.nan)
    earned = (market.mark - market.next_mark) * 365.0 / days * worth
    for name, legs in getattr(market, "legs", {}).items():
        earned[:, market.names.index(name)] = sum(
            ratio * earned[:, market.names.index(leg)] for leg, ratio in legs.items()
        )
    risk = _volatility(np.ascontiguousarray(market.adjusted), span) * worth * np.sqrt(YEAR)
    return smoothed(earned / risk, smooth)


def _volatility(price, span):
    """Daily volatility, nan until it has seen `span` changes and where nothing moves. [points]"""
    moves = change(price)
    sigma = volatility(moves, span)
    return np.where((seen(moves) >= span) & (sigma > 0.0), sigma, np.nan)


@kernel
def reverting(distance, price, enter, leave, give_up, hold):
    """Side that is held against a distance from the mean.

    Parameters
    ----------
    distance : array (time, market)
        From the mean, in deviations; nan before its time. [1]
    price : array (time, market)
        nan on a holiday, which changes nothing. [points]
    enter, leave, give_up : float
        Distances, see `SpreadReversion`. [1]
    hold : int
        Most bars of a side; 0 without end. [bars]

    Returns
    -------
    array (time, market)
        -1, 0 or 1.

    Sold at 2.5 and given up at 4.5, it is not sold again at 3 before it has been at 0:

    >>> distance = np.array([[2.5], [4.5], [3.0], [0.0], [-2.5], [-0.4]])
    >>> reverting(distance, distance, 2.0, 0.5, 4.0, 0).ravel()
    array([-1.,  0.,  0.,  0.,  1.,  0.])
    """
    out = np.zeros(distance.shape)
    for m in range(distance.shape[1]):
        side, bars, barred = 0.0, 0, False
        for t in range(distance.shape[0]):
            away = distance[t, m]
            if not np.isnan(price[t, m]) and not np.isnan(away):
                bars += 1
                if side != 0.0 and side * away >= -leave:
                    side = 0.0
                elif side != 0.0 and (abs(away) > give_up or (hold > 0 and bars >= hold)):
                    side, barred = 0.0, True
                barred = barred and abs(away) > leave
                if side == 0.0 and not barred and enter < abs(away) <= give_up:
                    side, bars = -np.sign(away), 0
            out[t, m] = side
    return out
