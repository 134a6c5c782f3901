"""Sizer: what every rule of sizes is, and what the rules share.

Row t of a size is made of rows 0..t and filled at the next bar. Sizes are signed, not yet whole (the simulation makes
them whole after all limits) and always finite: whatever cannot be known (no price yet, no exchange rate, a market that
does not move) has size 0. Prices of the adjusted frame are read as differences alone (DOMAIN T14).

A line is here what a forecast is for: a market, or a spread, held by one strategy.
"""

import numpy as np
import param

from engine.indicators import change, seen, volatility
from engine.kernel import kernel

YEAR = 252.0  # trading days a year, of every annual figure of the engine
ROUNDINGS = ["toward_zero", "fractional", "nearest_risk"]


class Sizer(param.Parameterized):
    """What every sizing rule is: params, `weights`, and whether the weights are multiplied by the capital."""

    per_capital = False
    across = False  # whether the size of one market is made of the others: then all are sized at one moment (T43)
    of_each = False  # whether it has a `quotient`

    rounding = param.Selector(
        default="toward_zero",
        objects=ROUNDINGS,
        doc="Whole contracts toward zero, fractions of contracts, or the whole book nearest to the ideal in risk.",
    )
    buffer = param.Number(
        default=0.0, bounds=(0, 1), doc="Share of the usual position by which one may differ before it is traded. [1]"
    )

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size of every line and bar, array (time, line) float64.

        Parameters
        ----------
        market : Market
            A spread is one more column: its price in account currency, multiplier and exchange rate 1, mark = gross
            notional of a unit.
        forecast : array (time, line)
            1 is the usual long; nan is no opinion and is held as 0.
        instrument : array (line,) of int
            Column of the market that the line trades.
        strategy_weight : array (line,)
            Share of the strategy that holds the line.
        strategy : array (line,) of int
            Which strategy holds the line; None where one holds all.
        risk_points : array (time, line)
            Distance from an entry to its protective stop, nan where there is none; None: nowhere. [points]
        """
        raise NotImplementedError(f"{type(self).__name__} has no weights(market, forecast, ...)")

    def quotient(self, market, instrument, strategy_weight):
        """Numerator and denominator, arrays (time, line) or numbers, of a rule of one strategy by which

            size = numerator * forecast / denominator

        to the bit, where the market is available; the denominator is never 0 and never nan.
        """
        raise NotImplementedError(f"{type(self).__name__} has no quotient: its sizes are not made line by line")

    def usual(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size that each line would have at a forecast of 1, array (time, line); a buffer is a share of it.

        What a rule learns from the forecasts themselves (their profit, the risk of the book that they make) it learns
        from those given.
        """
        ones = np.ones(np.shape(forecast))
        return self.weights(market, ones, instrument, strategy_weight, strategy, risk_points)


def smallest_account(sizer, market, forecast, instrument, strategy_weight, strategy=None) -> np.ndarray:
    """Capital at which one contract of each market is held at a forecast of 1, on the last row.

    Parameters
    ----------
    sizer, market, forecast, instrument, strategy_weight, strategy
        As in `Sizer.weights`.

    Returns
    -------
    array (market,)
        [account currency]; of several lines in one market the smallest; infinite where nothing is held on that row;
        nan where no line trades the market, and everywhere if sizes do not follow the capital.

    Source: definition; R. Carver, Leveraged Trading, 2019, ch. 6 (minimum capital).

    Two contracts for every million:

    >>> class Two(Sizer):
    ...     per_capital = True
    ...     def weights(self, market, forecast, *rest):
    ...         return 2e-6 * forecast
    >>> from types import SimpleNamespace
    >>> float(smallest_account(Two(), SimpleNamespace(mark=np.ones((1, 1))), np.ones((1, 1)), [0], [1.0])[0])
    500000.0
    """
    out = np.full(market.mark.shape[1], np.nan)
    if sizer.per_capital and len(forecast):
        size = np.abs(sizer.usual(market, forecast, np.asarray(instrument), np.asarray(strategy_weight), strategy)[-1])
        capital = np.divide(1.0, size, out=np.full(len(size), np.inf), where=size > 0.0)
        np.fmin.at(out, np.asarray(instrument), capital)
    return out


def told(forecast, market, instrument) -> np.ndarray:
    """The forecast where it is a number and its market is available, else 0; array (time, line)."""
    known = np.isfinite(forecast) & market.available[:, instrument]
    return np.where(known, forecast, 0.0)


def strategies(strategy, instrument) -> np.ndarray:
    """Number of the strategy of each line, array (line,) of int64; all zeros where one holds all."""
    return np.zeros(len(instrument), dtype=np.int64) if strategy is None else np.asarray(strategy, dtype=np.int64)


def deviation(market, span) -> np.ndarray:
    """Daily volatility of each market's adjusted price; nan until it has seen `span` changes. [points/√day]"""
    moves = change(market.adjusted)
    return np.where(seen(moves) >= span, volatility(moves, span), np.nan)


def point_risk(market, instrument, span) -> np.ndarray:
    """Daily volatility of one contract of each line, array (time, line); nan where unknown. [account currency/√day]"""
    return np.ascontiguousarray((market.multiplier * market.fx * deviation(market, span))[:, instrument])


def carrying(forecast, risk, market, instrument, point_risk) -> np.ndarray:
    """`per_unit` of arrays as they come: risk and forecast of any memory order, availability by market."""
    return per_unit(
        np.ascontiguousarray(forecast, dtype=np.float64),
        np.ascontiguousarray(np.broadcast_to(risk, np.shape(forecast)), dtype=np.float64),
        point_risk,
        np.ascontiguousarray(market.available[:, instrument]),
    )


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
