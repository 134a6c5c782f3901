"""How the risk of a strategy is shared among its markets."""

import math

import numpy as np
import param
from param.parameterized import instance_descriptor


class InstrumentWeights(param.Dict):
    """{market: weight} by the name of a column or of its root; sorted, so that equal tables are equal texts."""

    def _validate_value(self, val, allow_None):
        if not isinstance(val, dict):
            raise ValueError(f"weights {val!r}; allowed: a table of numbers by market")
        for name, weight in val.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not (isinstance(name, str) and name and number and 0.0 <= weight <= 1e6 and math.isfinite(weight)):
                raise ValueError(f"weight {weight!r} of {name!r}; allowed: numbers from 0 to 1_000_000 by market")

    @instance_descriptor
    def __set__(self, obj, val):
        self._validate(val)
        super().__set__(obj, {name: float(val[name]) for name in sorted(val)})


def available_markets(available, instrument, strategy) -> np.ndarray:
    """How many different markets of each strategy are available on each bar, array (time, strategy) of int.

    Two lines in one market (of two strategies, or of one) count it once:

    >>> available_markets(np.array([[True, False], [True, True]]), np.array([0, 0, 1]), np.array([0, 0, 0])).ravel()
    array([1, 2])
    """
    member = np.zeros((available.shape[1], int(np.max(strategy, initial=-1)) + 1), dtype=np.int64)
    member[instrument, strategy] = 1
    return available.astype(np.int64) @ member


def shares(market, instrument, strategy_weight, strategy, weights) -> np.ndarray:
    r"""Share of each line in the risk of the account, array (time, line).

    .. math:: s_{tj} = W_j w_j / \sum_k w_k

    with W the weight of the strategy, w that of the market (1 where the table `weights` names neither it nor its
    root), summed over the strategy's markets that are available on the bar, two lines in one market once.

    Source: R. Carver, Systematic Trading, 2015, ch. 11 (instrument weights), brought to a sum of 1 bar by bar.
    """
    if not weights:
        return strategy_weight / available_markets(market.available, instrument, strategy)[:, strategy].clip(1)
    own = named(market, weights)
    total = np.zeros((market.available.shape[0], int(np.max(strategy, initial=-1)) + 1))
    for m, s in sorted(set(zip(instrument.tolist(), strategy.tolist(), strict=True))):
        total[:, s] += np.where(market.available[:, m], own[m], 0.0)
    part, whole = own[instrument], total[:, strategy]
    return strategy_weight * np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0.0)


def named(market, weights) -> np.ndarray:
    """Weight of each column of the market, by its name, else by its root, else 1; array (market,)."""
    names = getattr(market, "names", market.roots)
    pairs = zip(names, market.roots, strict=True)
    return np.array([weights.get(name, weights.get(root, 1.0)) for name, root in pairs], dtype=np.float64)
