"""Percent risk: what is lost at the protective stop is a fixed share of the capital."""

import numpy as np
import param

from engine.sizing.sizer import Sizer, deviation, told


class PercentRisk(Sizer):
    r"""Contracts such that the way to the protective stop costs `risk` of the strategy's capital.

    .. math:: N = C r w f / (d M X), \quad d = \max(d_{stop}, b \sigma)

    with C capital, r `risk`, w the strategy's weight, f the forecast, d the distance to the stop in points, M
    multiplier, X exchange rate. A position without a stop is sized as if one stood `multiple` daily volatilities away.
    What a gap loses beyond the stop is not in the budget; so a stop closer than b = `closest` volatilities counts as
    that far.

    Source: V. Tharp, Trade Your Way to Financial Freedom, 2nd ed., 2007, ch. 14 (percent risk model).
    """

    per_capital = True
    of_each = True

    risk = param.Number(default=0.01, bounds=(0, 1), doc="Of capital, lost by a position at its stop. [1]")
    multiple = param.Number(
        default=2.0,
        bounds=(0, 100),
        inclusive_bounds=(False, True),
        doc="Distance taken where a position has no stop, in daily volatilities. [√day]",
    )
    closest = param.Number(
        default=0.1, bounds=(0, 100), doc="A closer stop counts as this many daily volatilities away. [√day]"
    )
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of the volatility, see `volatility`. [bars]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; without a stop 0 until the volatility has seen `span` changes."""
        sigma = deviation(market, self.span)[:, instrument]
        stop = np.full(sigma.shape, np.nan) if risk_points is None else np.asarray(risk_points, dtype=np.float64)
        stopped = np.isfinite(stop) & (stop > 0.0)
        away = np.fmax(np.where(stopped, stop, self.multiple * sigma), self.closest * sigma)
        lost = away * (market.multiplier * market.fx)[:, instrument]
        budget = self.risk * strategy_weight * told(forecast, market, instrument)
        size = np.divide(budget, lost, out=np.zeros(lost.shape), where=lost > 1e-300)
        return np.where(np.isfinite(size), size, 0.0)

    def quotient(self, market, instrument, strategy_weight):
        """The budget over what is lost where no stop stands."""
        sigma = deviation(market, self.span)[:, instrument]
        lost = np.fmax(self.multiple * sigma, self.closest * sigma) * (market.multiplier * market.fx)[:, instrument]
        return self.risk * strategy_weight, np.where(lost > 1e-300, lost, np.inf)
