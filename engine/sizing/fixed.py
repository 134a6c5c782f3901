"""Sizes that no volatility enters: a number of contracts, an amount of money."""

import numpy as np
import param

from engine.indicators import latest
from engine.sizing.sizer import Sizer, told


class FixedContracts(Sizer):
    """The same number of contracts everywhere: contracts × forecast, whatever the strategy's weight."""

    of_each = True

    contracts = param.Number(default=1.0, bounds=(0, 1e6), doc="Contracts held at a forecast of 1. [contracts]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts]; 0 where the market is not available."""
        size = self.contracts * forecast
        return np.where(np.isfinite(size) & market.available[:, instrument], size, 0.0)

    def quotient(self, market, instrument, strategy_weight):
        """Contracts over 1."""
        return self.contracts, 1.0


class FixedNotional(Sizer):
    r"""The same notional everywhere: an amount of money a position, or a share of the strategy's capital.

    .. math:: N = A f / (p M X) \quad \text{or} \quad N = C s w f / (p M X)

    with p the price of the contract held (not the adjusted one, DOMAIN T29), M multiplier, X exchange rate, C capital,
    s `share`, w the strategy's weight, f the forecast. Nothing is held at a price that is not above zero: it has no
    notional (DOMAIN T2). A price close to zero makes many contracts: set limits beside it.

    Source: definition.
    """

    of_each = True

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
        wanted = self.share * strategy_weight if self.per_capital else self.amount
        worth = (latest(market.mark) * market.multiplier * market.fx)[:, instrument]
        wanted = wanted * told(forecast, market, instrument)
        size = np.divide(wanted, worth, out=np.zeros(worth.shape), where=worth > 1e-300)
        return np.where(np.isfinite(size), size, 0.0)

    def quotient(self, market, instrument, strategy_weight):
        """The amount, or share, over what a contract is worth."""
        wanted = self.share * strategy_weight if self.per_capital else self.amount
        worth = (latest(market.mark) * market.multiplier * market.fx)[:, instrument]
        return wanted, np.where(worth > 1e-300, worth, np.inf)
