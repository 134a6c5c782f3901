"""Sizing: from forecasts to contracts, or to contracts per unit of capital.

Row t of a size is made of rows 0..t and filled at the next bar. Sizes are signed, not yet whole (the simulation cuts
them toward zero after all limits) and always finite: whatever cannot be known (no price yet, no exchange rate, a market
that does not move) has size 0.
"""

import numpy as np
import param

from engine.indicators import change, seen, volatility
from engine.kernel import kernel

YEAR = 252.0  # trading days a year, of every annual figure of the engine


class Sizer(param.Parameterized):
    """What every sizing rule is: params, `weights`, and whether the weights are multiplied by the capital."""

    per_capital = False

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None) -> np.ndarray:
        """Size of every line and bar, array (time, line) float64.

        Parameters
        ----------
        market : Market
        forecast : array (time, line)
            1 is the usual long; nan is no opinion and is held as 0.
        instrument : array (line,) of int
            Column of the market that the line trades.
        strategy_weight : array (line,)
            Share of the strategy that holds the line.
        strategy : array (line,) of int
            Which strategy holds the line; None where one holds all.
        """
        raise NotImplementedError(f"{type(self).__name__} has no weights(market, forecast, ...)")


class FixedContracts(Sizer):
    """The same number of contracts everywhere: contracts × forecast, whatever the strategy's weight."""

    contracts = param.Number(default=1.0, bounds=(0, 1e6), doc="Contracts held at a forecast of 1. [contracts]")

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None) -> np.ndarray:
        """[contracts]; 0 where the market is not available."""
        size = self.contracts * forecast
        return np.where(np.isfinite(size) & market.available[:, instrument], size, 0.0)


class VolatilityTarget(Sizer):
    r"""Contracts such that each strategy would swing by `target` a year if all its markets moved as one.

    .. math:: N = C \tau D w f / (M X \sigma \sqrt{252}), \quad w = \text{weight of the strategy} / n_t

    with C capital and X exchange rate in account currency, M multiplier, sigma the daily volatility of the adjusted
    price in points, f the forecast, n the strategy's markets that are available that day. Money per point and not per
    cent: an adjusted price has no percentages (DOMAIN T1).

    Source: R. Carver, Systematic Trading, 2015, ch. 9-10, whose forecast of 10 is our 1; Moskowitz, Ooi and Pedersen,
    "Time Series Momentum", Journal of Financial Economics 104 (2012).
    """

    per_capital = True

    target = param.Number(default=0.20, bounds=(0, 5), doc="Volatility aimed at, as a fraction of capital. [1/√year]")
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    diversification = param.Number(
        default=1.0, bounds=(0, 10), doc="Multiplier for what the markets do not move as one (Carver's IDM). [1]"
    )

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until the volatility has seen `span` changes."""
        moves = change(market.adjusted)
        sigma = volatility(moves, self.span)
        sigma = np.where(seen(moves) >= self.span, sigma, np.nan)
        strategy = (
            np.zeros(len(instrument), dtype=np.int64) if strategy is None else np.asarray(strategy, dtype=np.int64)
        )
        share = strategy_weight / available_markets(market.available, instrument, strategy)[:, strategy].clip(1)
        risk = self.target * self.diversification * share
        return per_unit(
            np.ascontiguousarray(forecast, dtype=np.float64),
            risk,
            np.ascontiguousarray((market.multiplier * market.fx * sigma)[:, instrument]),
            np.ascontiguousarray(market.available[:, instrument]),
        )


SIZERS = {"fixed": FixedContracts, "volatility": VolatilityTarget}


def available_markets(available, instrument, strategy) -> np.ndarray:
    """How many different markets of each strategy are available on each bar, array (time, strategy) of int.

    Two lines in one market (two ranks of its chain) count it once:

    >>> available_markets(np.array([[True, False], [True, True]]), np.array([0, 0, 1]), np.array([0, 0, 0])).ravel()
    array([1, 2])
    """
    member = np.zeros((available.shape[1], int(np.max(strategy, initial=-1)) + 1), dtype=np.int64)
    member[instrument, strategy] = 1
    return available.astype(np.int64) @ member


@kernel
def per_unit(forecast, risk, point_risk, available):
    r"""Contracts per unit of capital that carry a given risk.

    .. math:: n = r f / (v \sqrt{252})

    Parameters
    ----------
    forecast : array (time, line)
        1 is the usual long; nan is held as 0.
    risk : array (time, line)
        Volatility wanted at a forecast of 1, as a fraction of capital. [1/√year]
    point_risk : array (time, line)
        Volatility of one contract; nan where unknown. [account currency/√day]
    available : array (time, line) of bool
        Whether the market can be traded.

    Returns
    -------
    array (time, line)
        [contracts per unit of account currency], finite: 0 where anything is missing.

    Source: R. Carver, Systematic Trading, 2015, ch. 9-10.

    A contract that swings by 3,600 a year where 20 % of 100,000 are wanted:

    >>> one = np.ones((1, 1))
    >>> round(100_000 * float(per_unit(one, 0.20 * one, 3600.0 / np.sqrt(252.0) * one, one > 0)[0, 0]), 4)
    5.5556
    """
    out = np.zeros(forecast.shape)
    root = np.sqrt(YEAR)
    for t in range(forecast.shape[0]):
        for k in range(forecast.shape[1]):
            if available[t, k] and point_risk[t, k] > 0.0:
                size = risk[t, k] * forecast[t, k] / (point_risk[t, k] * root)
                if np.isfinite(size):
                    out[t, k] = size
    return out
