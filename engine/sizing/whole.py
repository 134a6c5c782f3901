"""The whole contracts that are nearest, in risk, to a book that is not whole: for accounts of any size.

A small account cannot hold a third of a contract in each of forty markets. Cutting each toward zero leaves nothing;
holding one contract of a market that stands for others (its neighbours that move with it) leaves most of the risk that
was wanted.
"""

import numpy as np

from engine.kernel import bare, inlined

LESS = 1e-9  # of the ideal's own risk: a smaller gain is a rounding error


@bare
def nearest(ideal, held, lowest, highest, covariance, cost, out):
    r"""Whole positions close to the ideal ones: the nearest of each, then one contract at a time.

    .. math:: \min_w \; \sqrt{(w - w^*)' C (w - w^*)} + \sum_j c_j |w_j - h_j|

    Start: each position is the whole number nearest to its ideal (of two, the one nearer to zero), within its bounds.
    Step: of every market with an ideal other than zero, one contract more and one less is tried, on the ideal's side of
    zero and within its bounds; the one that gives the lowest objective is taken, if that is lower than before by more
    than 1e-9 of sqrt(w*'Cw*); a later try goes before an earlier one (markets in their order, more before less) only if
    it is better by as much. This is repeated until no contract helps. So the book is never farther from the ideal, by C
    and the costs, than one that rounds each market alone.

    Parameters
    ----------
    ideal : array (member,)
        w*, wanted, not whole. [contracts]
    held : array (member,)
        h, held now. [contracts]
    lowest, highest : array (member,)
        Bounds, infinite for none; of bounds that are not whole the whole contracts within them are allowed. [contracts]
    covariance : array (member, member)
        C, of one contract of each. [money²]
    cost : array (member,)
        c, of trading one contract, in what it is worth to avoid it: 0 looks at risk alone. [money / contract]
    out : array (member,)
        Gets w. [contracts]

    Source: R. Carver, Advanced Futures Trading Strategies, 2023, strategy 25 (dynamic optimisation), whose search
    begins with nothing; the start at the rounded book is ours: on 23 markets the search from zero ends farther from the
    ideal than rounding does.

    Half a contract each of two markets that move as one is one contract of the first:

    >>> w, one = np.zeros(2), np.ones(2)
    >>> nearest(0.5 * one, 0 * one, -9 * one, 9 * one, np.ones((2, 2)), 0 * one, w)
    >>> w
    array([1., 0.])
    """
    scale, paid = 0.0, 0.0
    for i in range(len(ideal)):
        start = np.sign(ideal[i]) * np.ceil(abs(ideal[i]) - 0.5)
        out[i] = min(max(start, np.ceil(lowest[i])), np.floor(highest[i])) + 0.0
        paid += cost[i] * abs(out[i] - held[i])
        for j in range(len(ideal)):
            scale += ideal[i] * covariance[i, j] * ideal[j]
    least = LESS * np.sqrt(max(scale, 0.0))
    while True:
        square = 0.0
        for i in range(len(ideal)):
            square += (out[i] - ideal[i]) * _slope(i, ideal, covariance, out)
        value = np.sqrt(max(square, 0.0)) + paid
        best, chosen, step = value - least, -1, 0.0
        for i in range(len(ideal)):
            if ideal[i] == 0.0:
                continue
            slope = _slope(i, ideal, covariance, out)
            for k in range(2):
                side = np.sign(ideal[i]) * (1.0 - 2.0 * k)
                there = out[i] + side
                if there * ideal[i] < 0.0 or not lowest[i] <= there <= highest[i]:
                    continue
                extra = cost[i] * (abs(there - held[i]) - abs(out[i] - held[i]))
                tried = np.sqrt(max(square + 2.0 * side * slope + covariance[i, i], 0.0)) + paid + extra
                if tried < (best if chosen < 0 else best - least):
                    best, chosen, step = tried, i, side
        if chosen < 0:
            return
        paid += cost[chosen] * (abs(out[chosen] + step - held[chosen]) - abs(out[chosen] - held[chosen]))
        out[chosen] += step


@inlined
def _slope(i, ideal, covariance, out):
    """How the tracking variance grows with a contract of one market, halved."""
    total = 0.0
    for j in range(len(ideal)):
        total += covariance[i, j] * (out[j] - ideal[j])
    return total
