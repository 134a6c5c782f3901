"""Carry: strategies that are paid for waiting, by what a contract gains on the next one as it comes nearer.

All of them measure it in the contract's own points: the price held less that of the contract that follows, by the year,
over the volatility of a year. So a price at or below zero is no special case (DOMAIN T2), and markets compare.
"""

import numpy as np
import param

from engine.indicators import change, seen, volatility
from engine.measures import YEAR, past_change, ranked, side_of, smoothed
from engine.strategies.trend import CAP
from engine.strategy import Strategy

SCALAR = 3.0  # Carver's fixed forecast scalar of carry, 30, where 10 is the usual position


def carry(market, span, smooth) -> np.ndarray:
    r"""What a long earns a year from the roll if the curve stays as it is, in volatilities of a year.

    .. math:: c_t = \frac{365 (p_t - p^{next}_t) / d_t}{\sigma_t \sqrt{252}}

    with p the contract held, p next the one that follows, d the days between their last trades, sigma the daily
    volatility of the adjusted price in points.

    Parameters
    ----------
    market : Market
    span : float
        Memory of the volatility. [bars]
    smooth : float
        Memory of the carry itself, which jumps with the seasons and at rolls. [bars]

    Returns
    -------
    array (time, market)
        [√year]; nan before the first, and until the volatility has seen `span` changes; kept where a price is missing.

    Source: R. Koijen, T. Moskowitz, L. Pedersen, E. Vrugt, "Carry", Journal of Financial Economics 127 (2018), sec. 1;
    the scaling by volatility: R. Carver, Systematic Trading, 2015, ch. 7 and appendix B.
    """
    moves = change(np.ascontiguousarray(market.adjusted))
    sigma = volatility(moves, span)
    sigma = np.where((seen(moves) >= span) & (sigma > 0.0), sigma, np.nan)
    days = np.where(market.next_days > 0.0, market.next_days, np.nan)
    earned = (market.mark - market.next_mark) * 365.0 / days
    return smoothed(earned / (sigma * np.sqrt(YEAR)), smooth)


class Carry(Strategy):
    """Long where the roll pays, short where it costs, by how much it pays for the risk.

    Source: R. Carver, Systematic Trading, 2015, ch. 7 and appendix B (scalar 30, cap 20, where 10 is our 1); smoothed
    as in his Advanced Futures Trading Strategies, 2023, strategy ten.
    """

    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    smooth = param.Number(default=90.0, bounds=(1, 5000), doc="Memory of the carry. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 until there is a next contract and a volatility."""
        return np.nan_to_num(np.clip(SCALAR * carry(market, self.span, self.smooth), -CAP, CAP))

    def warm_up(self) -> int:
        """That of the volatility; the smoothing only makes it steadier. [bars]"""
        return int(np.ceil(self.span)) + 1


class CarryRank(Strategy):
    """Long the markets whose roll pays most, short those whose roll pays least, by their place among them all.

    As much risk is long as is short, whatever the level of carry. Markets of which there is no carry take no part, and
    none trades while there are fewer than two.

    Source: R. Koijen, T. Moskowitz, L. Pedersen, E. Vrugt, "Carry", Journal of Financial Economics 127 (2018), eq. 18
    (weights by rank); G. Gorton, K. G. Rouwenhorst, "Facts and Fantasies about Commodity Futures", Financial Analysts
    Journal 62 (2006), for the sort on the basis. Over volatility, for markets of all kinds are ranked together.
    """

    across = True

    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    smooth = param.Number(default=90.0, bounds=(1, 5000), doc="Memory of the carry. [bars]")
    by_sector = param.Boolean(default=False, doc="Rank within each sector, not over all markets. [true or false]")

    def forecast(self, market) -> np.ndarray:
        """Sums to 0 over the markets that take part; the mean of its absolute values is 1."""
        own = np.where(market.available, carry(market, self.span, self.smooth), np.nan)
        return ranked(own, groups(market, self.by_sector))

    def warm_up(self) -> int:
        """That of the volatility. [bars]"""
        return int(np.ceil(self.span)) + 1


class CarryTrend(Strategy):
    """Carry, only where the trend of the last year has the same sign; nothing where they disagree.

    Source: A.-M. Fuertes, J. Miffre, G. Rallis, "Tactical Allocation in Commodity Futures Markets: Combining Momentum
    and Term Structure Signals", Journal of Banking & Finance 34 (2010).
    """

    span = param.Number(default=36.0, bounds=(2, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    smooth = param.Number(default=90.0, bounds=(1, 5000), doc="Memory of the carry. [bars]")
    lookback = param.Integer(default=252, bounds=(1, 5000), doc="How far back the trend is measured. [bars]")

    def forecast(self, market) -> np.ndarray:
        """-2 to 2; 0 where carry and trend disagree or one of them is not known yet."""
        wanted = np.nan_to_num(np.clip(SCALAR * carry(market, self.span, self.smooth), -CAP, CAP))
        trend = side_of(past_change(np.ascontiguousarray(market.adjusted), self.lookback), market)
        return np.where(np.sign(wanted) == trend, wanted, 0.0)

    def warm_up(self) -> int:
        """The longer of the trend's and the volatility's. [bars]"""
        return max(self.lookback, int(np.ceil(self.span))) + 1


def groups(market, by_sector) -> np.ndarray:
    """Number of the group of each market, array (market,) of int: its sector, or one for all."""
    names = sorted(set(market.sectors)) if by_sector else []
    return np.array([names.index(s) if by_sector else 0 for s in market.sectors], dtype=np.int64)
