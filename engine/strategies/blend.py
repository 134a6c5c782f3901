"""Blend: strategies that combine others, named in a list of tables with their weights.

A portfolio may also list several strategies, each with a weight: then each is sized and traded by itself, and their
trades net. A blend is one strategy with one opinion: its parts are added up before they are capped and sized.
"""

import numpy as np
import param

from engine.indicators import change, seen
from engine.inner import Combination
from engine.kernel import kernel
from engine.strategies.trend import CAP


class Blend(Combination):
    r"""Weighted mean of the forecasts of its parts, brought back to the usual size, and capped.

    .. math:: f = c(D \sum_k w_k f_k), \quad \sum_k w_k = 1

    Source: R. Carver, Systematic Trading, 2015, ch. 8 and appendix D: forecast weights, diversification multiplier D,
    and a cap at twice the usual forecast.
    """

    diversification = param.Number(
        default=1.0, bounds=(0, 5), doc="Multiplier D for what the parts do not say as one (Carver's FDM). [1]"
    )
    causal = param.Boolean(default=False, doc="Estimate D from the parts' own past instead. [true or false]")
    least = param.Integer(default=500, bounds=(2, 100000), doc="Bars of all markets before an estimate is used. [bars]")
    most = param.Number(default=2.5, bounds=(1, 5), doc="Largest estimate. [1]")
    cap = param.Number(default=CAP, bounds=(0.1, 20), doc="Largest forecast. [1]")

    def forecast(self, market) -> np.ndarray:
        """Within the cap; a part without an opinion counts as 0."""
        opinions, weights = self.opinions(market), self.weights()
        scale = self.diversification
        if self.causal:
            moves = change(np.ascontiguousarray(market.adjusted))
            spoken = (seen(moves) >= self.warm_up()) & ~np.isnan(moves)
            scale = diversification(opinions, spoken, weights, self.least, self.most)[:, None]
        return np.clip(scale * np.tensordot(weights, opinions, axes=1), -self.cap, self.cap)


class Vote(Combination):
    """Long when enough of its parts are long, short when enough are short, whatever the strength of each.

    Source: D. Rapach, J. Strauss, G. Zhou, "Out-of-Sample Equity Premium Prediction", Review of Financial Studies 23
    (2010), for the mean of many poor forecasts; sides instead of sizes, so that no part outshouts the others.
    """

    share = param.Number(default=0.5, bounds=(0, 1), doc="Balance of the weights needed, long less short. [1]")

    def forecast(self, market) -> np.ndarray:
        """-1, 0 or 1."""
        balance = np.tensordot(self.weights(), np.sign(self.opinions(market)), axes=1)
        return np.where(np.abs(balance) >= max(self.share, 1e-9) - 1e-9, np.sign(balance), 0.0)


@kernel
def diversification(opinions, spoken, weights, least, most):
    r"""Forecast diversification multiplier, from the forecasts of earlier bars.

    .. math:: D = 1 / \sqrt{w' R w}, \quad R_{jk} = \max(0, \frac{\sum f_j f_k}{\sqrt{\sum f_j^2 \sum f_k^2}})

    Parameters
    ----------
    opinions : array (part, time, market)
        Forecasts. [1]
    spoken : array (time, market) of bool
        Bars that count: the market has one, and all parts are past their warm-up.
    weights : array (part,)
        Summing to 1. [1]
    least : int
        Bars that must have been seen; before, D is 1. [bars]
    most : float
        Largest D. [1]

    Returns
    -------
    array (time,)
        Row t reads rows 0..t-1, so that no market of the same day is read before its close. [1]

    Source: R. Carver, Systematic Trading, 2015, ch. 8 and appendix D: correlations of forecasts, pooled over markets,
    negative ones taken as 0. About 0 and not about their mean, for it is the size of the sum that is brought back.

    Two parts that never agree but by chance, a half each: √2.

    >>> opinions = np.array([[[1.0], [1.0], [1.0]], [[1.0], [-1.0], [1.0]]])
    >>> diversification(opinions, np.ones((3, 1), dtype=np.bool_), np.array([0.5, 0.5]), 2, 2.5)
    array([1.        , 1.        , 1.41421356])
    """
    parts = len(weights)
    out = np.ones(opinions.shape[1])
    products = np.zeros((parts, parts))
    count = 0
    for t in range(opinions.shape[1]):
        if count >= least:
            out[t] = min(_multiplier(products, weights), most)
        for m in range(opinions.shape[2]):
            if spoken[t, m]:
                count += 1
                for j in range(parts):
                    for k in range(parts):
                        products[j, k] += opinions[j, t, m] * opinions[k, t, m]
    return out


@kernel
def _multiplier(products, weights):
    """Of sums of products of forecasts; a part that never spoke is as like the others as can be."""
    total = 0.0
    for j in range(len(weights)):
        for k in range(len(weights)):
            size = np.sqrt(products[j, j] * products[k, k])
            like = max(0.0, products[j, k] / size) if size > 0.0 else 1.0
            total += weights[j] * weights[k] * like
    return 1.0 / np.sqrt(total)
