"""The whole contracts that are nearest, in risk, to a book that is not whole: for accounts of any size.

A small account cannot hold a third of a contract in each of forty markets. Cutting each toward zero leaves nothing;
holding one contract of a market that stands for others (its neighbours that move with it) leaves most of the risk that
was wanted.
"""

import numpy as np

from engine.kernel import bare

REACH = 10.0  # contracts of a market, toward its ideal, that are decided one by one; what lies before is held anyway
LESS = 1e-9  # of the ideal's own risk: a smaller gain is a rounding error


@bare
def nearest(ideal, held, lowest, highest, covariance, cost, out):
    r"""Whole positions close to the ideal ones, found greedily from zero, one contract at a time.

    .. math:: \min_w \; \sqrt{(w - w^*)' C (w - w^*)} + \sum_j c_j |w_j - h_j|

    Start: each position is zero; where the ideal is more than ten contracts it is the whole part of the ideal less ten,
    of the ideal's sign; in any case within its bounds. Step: of every market with an ideal other than zero, one more
    contract in the ideal's direction is tried, as far as its bound allows; the market whose contract gives the lowest
    objective gets it, if that is lower than before by more than 1e-9 of sqrt(w*'Cw*); a later market goes before an
    earlier one only if it is better by as much. This is repeated until no contract helps.

    Parameters
    ----------
    ideal : array (member,)
        w*, wanted, not whole. [contracts]
    held : array (member,)
        h, held now. [contracts]
    lowest, highest : array (member,)
        Bounds, infinite for none; of bounds that are not whole the whole contracts within them are allowed. Both are
        overwritten. [contracts]
    covariance : array (member, member)
        C, of one contract of each. [money²]
    cost : array (member,)
        c, of trading one contract, in what it is worth to avoid it: 0 looks at risk alone. [money / contract]
    out : array (member,)
        Gets w. [contracts]

    Source: R. Carver, Advanced Futures Trading Strategies, 2023, strategy 25 (dynamic optimisation), there from zero at
    any size; the start nearer to the ideal of large books is ours, for a step a contract of thousands takes too long.

    Half a contract each of two markets that move as one is one contract of the first:

    >>> w, one = np.zeros(2), np.ones(2)
    >>> nearest(0.5 * one, 0 * one, -9 * one, 9 * one, np.ones((2, 2)), 0 * one, w)
    >>> w
    array([1., 0.])
    """
    square, paid, least = _start(ideal, held, lowest, highest, covariance, cost, out)
    value = np.sqrt(max(square, 0.0)) + paid
    while True:
        best, chosen = value - least, -1
        for i in range(len(ideal)):
            side = np.sign(ideal[i])
            bound, slope = (highest[i], lowest[i]) if side > 0.0 else (lowest[i], highest[i])
            if side != 0.0 and side * (out[i] + side) <= side * bound:
                extra = cost[i] * (abs(out[i] + side - held[i]) - abs(out[i] - held[i]))
                there = square + 2.0 * side * slope + covariance[i, i]
                tried = np.sqrt(max(there, 0.0)) + paid + extra
                if tried < (best if chosen < 0 else best - least):
                    best, chosen = tried, i
        if chosen < 0:
            return
        side = np.sign(ideal[chosen])
        slope = lowest[chosen] if side > 0.0 else highest[chosen]
        square += 2.0 * side * slope + covariance[chosen, chosen]
        paid += cost[chosen] * (abs(out[chosen] + side - held[chosen]) - abs(out[chosen] - held[chosen]))
        out[chosen] += side
        value = np.sqrt(max(square, 0.0)) + paid
        _tilt(side, chosen, ideal, lowest, highest, covariance)


@bare
def _start(ideal, held, lowest, highest, covariance, cost, out):
    """First positions into `out`; returns tracking variance, cost of the trades, and the least gain that counts.

    Markets only move toward their ideal, so that one bound of each has done its work after this. The slope of the
    tracking variance, C (w - w*), takes its place: there is no other memory here to keep it in.
    """
    for i in range(len(ideal)):
        start = np.sign(ideal[i]) * max(np.floor(abs(ideal[i])) - REACH, 0.0)
        out[i] = min(max(start, np.ceil(lowest[i])), np.floor(highest[i])) + 0.0
    square, scale, paid = 0.0, 0.0, 0.0
    for i in range(len(ideal)):
        slope, wanted = 0.0, 0.0
        for j in range(len(ideal)):
            slope += covariance[i, j] * (out[j] - ideal[j])
            wanted += covariance[i, j] * ideal[j]
        square += (out[i] - ideal[i]) * slope
        scale += ideal[i] * wanted
        paid += cost[i] * abs(out[i] - held[i])
        if ideal[i] > 0.0:
            lowest[i] = slope
        else:
            highest[i] = slope
    return square, paid, LESS * np.sqrt(max(scale, 0.0))


@bare
def _tilt(side, chosen, ideal, lowest, highest, covariance):
    """Slopes after one contract of the chosen market."""
    for i in range(len(ideal)):
        if ideal[i] > 0.0:
            lowest[i] += side * covariance[i, chosen]
        else:
            highest[i] += side * covariance[i, chosen]
