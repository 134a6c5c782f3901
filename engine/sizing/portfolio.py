"""Volatility of the whole book: sizes of all markets rise and fall together so that the account swings as wanted."""

import numpy as np
import param

from engine.sizing.covariance import book_volatility, correlations, gathered
from engine.sizing.shares import InstrumentWeights, shares
from engine.sizing.sizer import Sizer, carrying, point_risk, strategies, told


class PortfolioVolatility(Sizer):
    r"""Contracts such that the book of all current forecasts together would swing by `target` a year.

    .. math:: N = C \tau k_t s f / (M X \sigma \sqrt{252}), \quad k_t = \min(1 / \sqrt{u' \rho u}, k_{most}), \quad
        u_j = s_j f_j

    with s the shares of `VolatilityTarget` and rho the correlations of the weekly changes of past weeks. Longs and
    shorts that hedge each other make room for more of both; unknown correlations are taken as the worse, and k is
    capped, for a hedge that history shows may not hold tomorrow. All lines are one book on one capital, whatever
    strategy holds them: `strategy_weight` is the strategy's share of it.

    Source: R. Carver, Systematic Trading, 2015, ch. 10-11; C. Harvey et al., "The Impact of Volatility Targeting",
    Journal of Portfolio Management 45 (2018), who scale by the book's own volatility.
    """

    per_capital = True
    across = True

    target = param.Number(default=0.20, bounds=(0, 5), doc="Volatility aimed at, as a fraction of capital. [1/√year]")
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of each market's volatility. [bars]")
    instrument_weights = InstrumentWeights(
        default={}, doc="Weights of markets against each other, {name or root: weight}; the others weigh 1. [1]"
    )
    weeks = param.Number(default=52.0, bounds=(2, 5000), doc="Memory of the correlations. [weeks]")
    most = param.Number(
        default=5.0,
        bounds=(1, 100),
        doc="Sizes are raised at most to this times those of markets that move as one. [1]",
    )

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until the volatility has seen `span` changes."""
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, told(forecast, market, instrument))

    def usual(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size of each line at a forecast of 1 while the book is that of the forecasts given."""
        ones = np.ones(np.shape(forecast))
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, ones)

    def _sizes(self, market, forecast, instrument, strategy_weight, strategy, held) -> np.ndarray:
        strategy = strategies(strategy, instrument)
        share = shares(market, instrument, strategy_weight, strategy, self.instrument_weights)
        swing = point_risk(market, instrument, self.span)
        part = np.where(swing > 0.0, share * told(forecast, market, instrument), 0.0)
        scale = book_scale(market, part, instrument, self.weeks, self.most)
        return carrying(held, self.target * scale[:, None] * share, market, instrument, swing)


def book_scale(market, risk, instrument, weeks, most) -> np.ndarray:
    """What all positions are multiplied by so that their book has a volatility of 1, array (time,), at most `most`.

    `risk` (time, line) holds signed volatilities, in units of that wanted; lines in one market are netted.
    """
    columns, place = np.unique(instrument, return_inverse=True)
    row, matrices = correlations(market, columns, weeks)
    swing = book_volatility(gathered(np.ascontiguousarray(risk), place, len(columns)), row, matrices, -1.0)
    return np.minimum(np.divide(1.0, swing, out=np.full(len(swing), float(most)), where=swing > 1e-300), most)
