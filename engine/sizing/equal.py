"""Equal risk contribution: no market of a strategy adds more to its volatility than another."""

import numpy as np
import param

from engine.kernel import bare, kernel
from engine.sizing.covariance import correlations, gathered, variance
from engine.sizing.sizer import Sizer, carrying, point_risk, strategies, told

SWEEPS = 500  # of cyclical coordinate descent; some ten are usual
CLOSE = 1e-10  # contributions differ by less than this share of their mean when it stops
FAR = 1e6  # times where it began: it runs away


class EqualRisk(Sizer):
    r"""Contracts such that each position adds the same to a volatility of `target` a year.

    .. math:: N_j = C \tau W x_j f_j / (M_j X_j \sigma_j \sqrt{252}), \quad x_j (R x)_j = x' R x / n = 1 / n, \quad
        R_{ij} = \rho_{ij} \, sign f_i \, sign f_j, \quad x \ge 0

    with rho the correlations of the weekly changes of past weeks (an unknown one is taken as the worse, 1 in R), over
    the n markets of a strategy that are available and have a forecast. x is never negative: sign and size come from the
    forecast f. Where `signed` is off all signs are taken as those of longs: sizes then do not move when another market
    turns, but contributions are equal, and the target is met, by a book of longs alone. Every strategy with weight W
    shares among its own markets. Where the descent does not settle (correlations of different pasts that do not fit
    together) all x are equal.

    Source: S. Maillard, T. Roncalli and J. Teïletche, "The Properties of Equally Weighted Risk Contribution
    Portfolios", Journal of Portfolio Management 36 (2010); T. Griveau-Billion, J.-C. Richard and T. Roncalli, "A Fast
    Algorithm for Computing High-dimensional Risk Parity Portfolios", 2013 (cyclical coordinate descent).
    """

    per_capital = True
    across = True

    target = param.Number(default=0.20, bounds=(0, 5), doc="Volatility aimed at, as a fraction of capital. [1/√year]")
    span = param.Number(default=32.0, bounds=(1, 5000), doc="Memory of each market's volatility. [bars]")
    signed = param.Boolean(
        default=True, doc="Correlations are those of the positions held, longs and shorts; else as if all were long."
    )
    weeks = param.Number(default=104.0, bounds=(2, 5000), doc="Memory of the correlations. [weeks]")
    most = param.Number(
        default=5.0, bounds=(1, 100), doc="Sum of the markets' own volatilities, in targets, is at most this. [1]"
    )

    def weights(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """[contracts per unit of account currency]; 0 until the volatility has seen `span` changes."""
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, told(forecast, market, instrument))

    def usual(self, market, forecast, instrument, strategy_weight, strategy=None, risk_points=None) -> np.ndarray:
        """Size of each line at a forecast of 1 while the signs of the book are those of the forecasts given."""
        ones = np.ones(np.shape(forecast))
        return self._sizes(market, forecast, instrument, strategy_weight, strategy, ones)

    def _sizes(self, market, forecast, instrument, strategy_weight, strategy, held) -> np.ndarray:
        strategy = strategies(strategy, instrument)
        columns, place = np.unique(instrument, return_inverse=True)
        row, matrices = correlations(market, columns, self.weeks)
        swing = point_risk(market, instrument, self.span)
        usable = market.available[:, instrument] & (swing > 0.0)
        told_of = told(forecast, market, instrument) if self.signed else np.ones(swing.shape)
        asked = np.where(usable, told_of, 0.0)
        share = np.zeros(swing.shape)
        for s in np.unique(strategy):
            lines = np.flatnonzero(strategy == s)
            mine, within = np.unique(place[lines], return_inverse=True)
            side = np.sign(gathered(np.ascontiguousarray(asked[:, lines]), within, len(mine)))
            part = np.ascontiguousarray(matrices[:, mine][:, :, mine])
            share[:, lines] = equal_shares(side, row, part, float(self.most))[:, within]
        return carrying(held, self.target * strategy_weight * share, market, instrument, swing)


@kernel
def equal_shares(side, row, matrices, most):
    """Volatility of each market such that all contribute the same to a book of volatility 1, array (time, market).

    Never negative. `side` (time, market) is 1 for a long, -1 for a short and 0 for what is not held and has no share.
    Solved anew where a week has passed or a side has changed; all together are at most `most`.
    """
    bars, n = side.shape
    out = np.zeros((bars, n))
    for t in range(bars):
        if t > 0 and row[t] == row[t - 1] and np.array_equal(side[t], side[t - 1]):
            out[t] = out[t - 1]
            continue
        mine = np.flatnonzero(side[t])
        matrix = np.ones((len(mine), len(mine)))
        for i in range(len(mine)):
            for j in range(i):
                rho = matrices[row[t], mine[i], mine[j]] * side[t, mine[i]] * side[t, mine[j]]
                matrix[i, j] = matrix[j, i] = 1.0 if np.isnan(rho) else rho
        part = np.zeros(len(mine))
        equal_risk(matrix, part)
        scale = min(1.0, most / max(part.sum(), 1e-300))
        for i in range(len(mine)):
            out[t, mine[i]] = part[i] * scale
    return out


@bare
def equal_risk(covariance, out):
    r"""Positions of equal risk contribution and a volatility of 1, by cyclical coordinate descent.

    .. math:: x_i \leftarrow \frac{-b + \sqrt{b^2 + 4 C_{ii} / n}}{2 C_{ii}}, \quad b = \sum_{j \ne i} C_{ij} x_j

    Parameters
    ----------
    covariance : array (market, market)
        Positive on the diagonal.
    out : array (market,)
        Gets the positions, all above zero.

    Returns
    -------
    int
        Sweeps that it took; 500 if it did not settle, and then every market has the same volatility of its own.

    Source: T. Griveau-Billion, J.-C. Richard and T. Roncalli, 2013, algorithm 1.

    Two markets share by the inverse of their volatilities, whatever their correlation:

    >>> x = np.zeros(2)
    >>> settled = equal_risk(np.array([[0.04, 0.01], [0.01, 0.01]]), x)
    >>> round(float(x[1] / x[0]), 9)
    2.0
    """
    n = len(out)
    began = _single(covariance, out)
    for sweep in range(SWEEPS):
        worst, total = 0.0, 0.0
        for i in range(n):
            other = 0.0
            for j in range(n):
                if j != i:
                    other += covariance[i, j] * out[j]
            worst = max(worst, abs(n * out[i] * (covariance[i, i] * out[i] + other) - 1.0))
            own = covariance[i, i]
            out[i] = (np.sqrt(other * other + 4.0 * own / n) - other) / (2.0 * own)
            total += out[i]
        if worst < CLOSE:
            _to_one(covariance, out)
            return sweep
        if not total <= FAR * began:
            break
    _single(covariance, out)
    _to_one(covariance, out)
    return SWEEPS


@bare
def _single(covariance, out):
    """Positions of equal volatility, each on its own; returns their sum."""
    total = 0.0
    for i in range(len(out)):
        out[i] = 1.0 / np.sqrt(len(out) * covariance[i, i])
        total += out[i]
    return total


@bare
def _to_one(covariance, out):
    """Scale positions so that their volatility is 1."""
    total = variance(out, covariance, -np.inf)
    for i in range(len(out)):
        out[i] /= np.sqrt(total) if total > 0.0 else 1.0
