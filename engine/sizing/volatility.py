"""Volatility target: every market swings by its share of what the account is to swing."""

import math

import numpy as np
import param
from param.parameterized import instance_descriptor

from engine.sizing.covariance import book_volatility, correlations
from engine.sizing.shares import InstrumentWeights, shares
from engine.sizing.sizer import YEAR, Sizer, carrying, point_risk, strategies

CAUSAL = "causal"


class Diversification(param.Parameter):
    """A number from 0 to 10, or "causal"."""

    bounds = (0.0, 10.0)

    def _validate(self, val):
        low, high = self.bounds
        number = isinstance(val, int | float) and not isinstance(val, bool) and math.isfinite(val)
        if val != CAUSAL and not (number and low <= val <= high):
            raise ValueError(f'diversification {val!r}; allowed: a number from 0 to 10 or "causal"')

    @instance_descriptor
    def __set__(self, obj, val):
        self._validate(val)
        super().__set__(obj, val if val == CAUSAL else float(val))


class VolatilityTarget(Sizer):
    r"""Contracts such that each strategy would swing by `target` a year if all its markets moved as one.

    .. math:: N = C \tau D s f / (M X \sigma \sqrt{252}), \quad s = W w / \sum_k w_k

    with C capital and X exchange rate in account currency, M multiplier, sigma the daily volatility of the adjusted
    price in points, f the forecast, W the weight of the strategy, w that of the market (1 unless told) among the
    strategy's markets that are available that day, D the diversification multiplier. Money per point and not per
    cent: an adjusted price has no percentages (DOMAIN T1).

    Source: R. Carver, Systematic Trading, 2015, ch. 9-11, whose forecast of 10 is our 1; Moskowitz, Ooi and Pedersen,
    "Time Series Momentum", Journal of Financial Economics 104 (2012).
    """

    per_capital = True
    of_each = True

    target = param.Number(default=0.20, bounds=(0, 5), doc="Volatility aimed at, as a fraction of capital. [1/√year]")
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of the volatility, see `volatility`. [bars]")
    diversification = Diversification(
        default=1.0,
        doc="Multiplier for what the markets do not move as one (Carver's IDM), a number from 0 to 10; or "
        '"causal": from the correlations of past weeks. [1]',
    )
    instrument_weights = InstrumentWeights(
        default={}, doc="Weights of markets against each other, {name or root: weight}; the others weigh 1. [1]"
    )
    weeks = param.Number(default=104.0, bounds=(2, 5000), doc="Memory of the correlations. [weeks]")
    most = param.Number(default=2.5, bounds=(1, 10), doc="A causal multiplier is at most this. [1]")

    @property
    def across(self):
        """Whether the size of one market is made of the others: by causal diversification."""
        return self.diversification == CAUSAL

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until the volatility has seen `span` changes."""
        strategy = strategies(strategy, instrument)
        share = shares(market, instrument, strategy_weight, strategy, self.instrument_weights)
        if self.diversification == CAUSAL:
            risk = self.target * self._multiplier(market, instrument, strategy)[:, strategy] * share
        else:
            risk = self.target * self.diversification * share
        return carrying(forecast, risk, market, instrument, point_risk(market, instrument, self.span))

    def quotient(self, market, instrument, strategy_weight):
        """The volatility wanted over that of a contract; of a diversification that is a number."""
        one = strategies(None, instrument)
        risk = (
            self.target
            * self.diversification
            * shares(market, instrument, strategy_weight, one, self.instrument_weights)
        )
        swing = point_risk(market, instrument, self.span)
        return risk, np.where(swing > 0.0, swing * np.sqrt(YEAR), np.inf)

    def _multiplier(self, market, instrument, strategy) -> np.ndarray:
        """Causal multiplier of each strategy, array (time, strategy)."""
        columns, place = np.unique(instrument, return_inverse=True)
        row, matrices = correlations(market, columns, self.weeks)
        out = np.ones((len(row), int(np.max(strategy, initial=-1)) + 1))
        for s in range(out.shape[1]):
            mine = np.unique(place[strategy == s])
            one = np.zeros(len(mine), dtype=np.int64)
            share = shares(market, columns[mine], np.ones(len(mine)), one, self.instrument_weights)
            share = np.where(market.available[:, columns[mine]], share, 0.0)
            part = np.ascontiguousarray(matrices[:, mine][:, :, mine])
            out[:, s] = multiplier(book_volatility(share, row, part, 0.0), self.most)
        return out


def multiplier(volatility, most) -> np.ndarray:
    r"""Diversification multiplier of positions whose volatilities sum to 1, array (time,).

    .. math:: D = \min(1 / \sqrt{w' \rho w}, D_{most})

    with negative correlations counted as 0 and unknown ones as 1; 1 where nothing is held.

    Source: R. Carver, Systematic Trading, 2015, ch. 11 and appendix D: negative correlations are floored at zero, and
    the multiplier is capped at 2.5.

    Four markets that have nothing to do with each other, then ten:

    >>> multiplier(np.sqrt([1 / 4, 1 / 10]), 2.5)
    array([2. , 2.5])
    """
    return np.minimum(np.divide(1.0, volatility, out=np.ones(len(volatility)), where=volatility > 0.0), most)
