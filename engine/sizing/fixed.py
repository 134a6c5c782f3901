"""Sizes that no volatility enters: a number of contracts, an amount of money."""

import numpy as np
import param

from engine.indicators import latest
from engine.sizing.sizer import Sizer, told


class FixedContracts(Sizer):
    """The same number of contracts everywhere: contracts × forecast, whatever the strategy's weight."""

    contracts = param.Number(default=1.0, bounds=(0, 1e6), doc="Contracts held at a forecast of 1. [contracts]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts]; 0 where the market is not available."""
        size = self.contracts * forecast
        return np.where(np.isfinite(size) & market.available[:, instrument], size, 0.0)

    def prepared(self, market, instrument, strategy_weight, strategy=None):
        """As `Sizer.prepared`: `weights` takes all combinations at once."""
        usual = self.weights(market, np.ones((len(market.mark), len(instrument))), instrument, strategy_weight)
        return lambda forecasts: (self.weights(market, forecasts, instrument, strategy_weight), usual)


class FixedNotional(Sizer):
    r"""The same notional everywhere: an amount of money a position, or a share of the strategy's capital.

    .. math:: N = A f / (p M X) \quad \text{or} \quad N = C s w f / (p M X)

    with p the price of the contract held (not the adjusted one, DOMAIN T29), M multiplier, X exchange rate, C capital,
    s `share`, w the strategy's weight, f the forecast. Nothing is held at a price that is not above zero: it has no
    notional (DOMAIN T2). A price close to zero makes many contracts: set limits beside it.

    Source: definition.
    """

    amount = param.Number(
        default=100_000.0, bounds=(0, 1e12), doc="Notional of a position at a forecast of 1. [account currency]"
    )
    share = param.Number(
        default=0.0, bounds=(0, 100), doc="Notional as a share of capital; above 0 it stands in place of `amount`. [1]"
    )

    @property
    def per_capital(self):
        """Whether sizes follow the capital: where a share of it is set."""
        return self.share > 0

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts], or of a share [contracts per unit of account currency]; a holiday keeps the last price."""
        return self.prepared(market, instrument, strategy_weight)(np.asarray(forecast)[None])[0][0]

    def prepared(self, market, instrument, strategy_weight, strategy=None):
        """As `Sizer.prepared`: what a contract is worth is the same for all combinations."""
        wanted = self.share * strategy_weight if self.per_capital else self.amount
        worth = (latest(market.mark) * market.multiplier * market.fx)[:, instrument]

        def sizes(forecasts):
            held = wanted * told(forecasts, market, instrument)
            size = np.divide(held, worth, out=np.zeros(held.shape), where=worth > 1e-300)
            return np.where(np.isfinite(size), size, 0.0)

        usual = sizes(np.ones((1, len(market.mark), len(instrument))))[0]
        return lambda forecasts: (sizes(forecasts), usual)
