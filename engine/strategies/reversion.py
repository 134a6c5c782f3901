"""Mean reversion: strategies that sell what has risen too fast and buy what has fallen too fast."""

import numpy as np
import param

from engine.indicators import average_gap, change, seen, volatility
from engine.measures import average_range, deviation, past_change, ranked, relative_strength, side_of
from engine.signals import Signals
from engine.strategies.carry import groups
from engine.strategies.trend import held_for
from engine.strategy import Strategy


class BollingerReversal(Strategy):
    """Buys below the lower band and sells above the upper one; leaves at the mean, at a stop, or when time is up.

    The bands lie `width` standard deviations of the last `length` prices around their mean. A run of bars outside a
    band is one wish to enter: after a stop nothing is entered before the price has been inside again.

    Source: J. Bollinger, Bollinger on Bollinger Bands, 2001 (20 bars, 2 deviations), traded against the band; the stop
    and the time exit are ours.
    """

    length = param.Integer(default=20, bounds=(2, 1000), doc="Bars of the mean and of the deviation. [bars]")
    width = param.Number(default=2.0, bounds=(0.1, 20), doc="Distance of the bands, in standard deviations. [1]")
    stop = param.Number(default=3.0, bounds=(0.1, 50), doc="Protective stop, in average true ranges. [1]")
    range = param.Integer(default=20, bounds=(1, 1000), doc="Length of the average true range. [bars]")
    hold = param.Integer(default=20, bounds=(0, 1000), doc="Bars after which it is left; 0 never. [bars]")

    def signals(self, market) -> Signals:
        """Entries at the market; an exit on the bar on which the price has crossed its mean."""
        price = np.ascontiguousarray(market.adjusted)
        above = -average_gap(price, self.length)
        band = self.width * deviation(price, self.length)
        side = np.where(above > band, -1.0, np.where(above < -band, 1.0, 0.0))
        return Signals.build(
            market,
            entry=np.where(band > 0.0, side, 0.0),
            exit=crossed(side_of(above, market)),
            stop=self.stop * average_range(market, self.range),
            hold=self.hold,
        )

    def warm_up(self) -> int:
        """The longer of both lengths. [bars]"""
        return max(self.length, self.range + 1)


class RsiReversal(Strategy):
    """Buys a sharp fall in a rising market, sells a sharp rise in a falling one; leaves at the short average.

    Sharp is a relative strength index of `length` changes below `low`, or above 100 - `low`; rising is a price above
    the average of `trend` bars.

    Source: L. Connors, C. Alvarez, Short Term Trading Strategies That Work, 2009, ch. 9 (2-period RSI, 200- and 5-day
    averages), for both sides. They use no stop; `stop` adds one.
    """

    length = param.Integer(default=2, bounds=(1, 200), doc="Changes of the relative strength index. [bars]")
    low = param.Number(default=10.0, bounds=(0, 50), doc="Index below which a fall is sharp. [%]")
    trend = param.Integer(default=200, bounds=(2, 5000), doc="Length of the average that tells the trend. [bars]")
    leave = param.Integer(default=5, bounds=(2, 1000), doc="Length of the average at which it is left. [bars]")
    stop = param.Number(default=0.0, bounds=(0, 50), doc="Stop, in average true ranges of 20 bars; 0 none. [1]")
    hold = param.Integer(default=0, bounds=(0, 1000), doc="Bars after which it is left; 0 never. [bars]")

    def signals(self, market) -> Signals:
        """Entries at the market; an exit on the bar on which the price has crossed its short average."""
        price = np.ascontiguousarray(market.adjusted)
        index = relative_strength(price, self.length)
        trend = side_of(-average_gap(price, self.trend), market)
        short = side_of(-average_gap(price, self.leave), market)
        buys, sells = (index < self.low) & (trend > 0.0), (index > 100.0 - self.low) & (trend < 0.0)
        return Signals.build(
            market,
            entry=np.where(buys, 1.0, np.where(sells, -1.0, 0.0)),
            exit=crossed(short),
            stop=self.stop * average_range(market, 20) if self.stop else np.nan,
            hold=self.hold,
        )

    def warm_up(self) -> int:
        """The longest of its memories. [bars]"""
        return max(self.length + 1, self.trend, self.leave, 21 if self.stop else 0)


class ShortTermReversal(Strategy):
    """Sells the markets that rose most in the last week, for their risk, and buys those that fell most.

    Source: B. Lehmann, "Fads, Martingales, and Market Efficiency", Quarterly Journal of Economics 105 (1990), for
    weekly reversal and its weights; C. Wang, M. Yu, "Trading Activity and Price Reversals in Futures Markets", Journal
    of Banking & Finance 28 (2004), for futures. Places instead of returns, over volatility, as in `carry_rank`.
    """

    across = True

    lookback = param.Integer(default=5, bounds=(1, 250), doc="Over how many bars the change is measured. [bars]")
    hold = param.Integer(default=5, bounds=(1, 250), doc="Over how many bars the places are averaged. [bars]")
    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    by_sector = param.Boolean(default=False, doc="Rank within each sector, not over all markets. [true or false]")

    def forecast(self, market) -> np.ndarray:
        """Long and short alike but for holidays; 0 while fewer than two markets have a volatility."""
        price = np.ascontiguousarray(market.adjusted)
        moves = change(price)
        sigma = volatility(moves, self.span)
        known = market.available & (seen(moves) >= self.span) & (sigma > 0.0)
        risen = past_change(price, self.lookback) / np.where(known, sigma, np.nan)
        return held_for(-ranked(risen, groups(market, self.by_sector)), price, self.hold)

    def warm_up(self) -> int:
        """The longer of volatility and change, and the mean. [bars]"""
        return max(int(np.ceil(self.span)), self.lookback) + self.hold


def crossed(side) -> np.ndarray:
    """Where a side is not that of the row before, and was one: array (time, market) of bool.

    >>> crossed(np.array([[0.0], [1.0], [1.0], [-1.0], [0.0]])).ravel()
    array([False, False, False,  True,  True])
    """
    before = np.vstack([np.zeros((1, side.shape[1])), side[:-1]])
    return (side != before) & (before != 0.0)
