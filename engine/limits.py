"""Limits: most that may be held, as cuts of the targets, each with its cause.

A limit bounds a sum of nets. A net is the sum of `weight x target` over lines that hold the same thing: a root, a
contract, a group or all; what offsets inside a net does not count. If the sum is too large each net has to shrink by
the same factor, and only the lines on the net's own side are cut for it: a cut never makes another position larger.

| limit | net of | weight | sum over | most |
| --- | --- | --- | --- | --- |
| contracts | root | 1 | itself | `contracts` of its first line |
| sector contracts | contract | 1 | contracts of the sector | `sector` |
| side contracts | contract | 1 | the long ones; the short ones | `side` |
| volume | contract | 1 | itself | `volume` x liquidity of its first line's market |
| open interest | contract | 1 | itself | `open_interest` x open_interest of the same |
| group risk | group | sigma x multiplier x fx x sqrt(252) | itself | `group` of it x equity |
| gross notional | contract | abs(price) x multiplier x fx | all | `gross` x equity |
| net notional | all | abs(price) x multiplier x fx | itself | `net` x equity |
| margin | | | initial margin, see `engine.margin` | `margin` x equity |

A weight that is nan counts nothing, a `most` that is nan bounds nothing. Contract: that of `held`, for all of a target
(during a roll of several days too, but for the margin). Lines of group -1 are in no group.
"""

import numpy as np

from engine import book
from engine.kernel import inlined, inner
from engine.margin import pro_rata
from engine.netting import CLOSE, NET, SIDE, WAS, WEIGHT, differing, fewer, most_units, required_after, shrink
from engine.state import INITIAL, LIQUIDITY, MULTIPLIER, OPEN_INTEREST, RATE, SIGMA

KINDS = book.LIMIT_MARGIN - book.LIMIT_CONTRACTS + 1  # of limits; `cuts` needs as many rows for each line
YEAR = 252.0  # trading days a year, of every annual figure of the engine
OVER = 1e-9  # relatively, what a sum may be over its bound: targets are often made to meet it, and sums round
ROUNDS = 50  # of a limit, and passes through all of them, of which two are usual; then what is too large goes to zero


@inner
def apply(target, held, price, lines, room, each, limits, credit, share, equity, whole, cuts):
    r"""Cut targets to the limits, in the order of the table above, in place; returns the rows written to `cuts`.

    One limit, in rounds: with N_k the nets, S the sum of abs(N) that it bounds and B the most (equity is E =
    max(equity, 0)), nothing is cut if S <= B (1 + 1e-9). Else, for a line i of net k on the net's side (weight x target
    x N_k > 0),

    .. math:: f_i = 1 - \frac{|N_k| (1 - B / S)}{P_k}, \quad P_k = \sum_{i \in k,\ on\ its\ side} |w_i x_i|

    (a net of at most 1e-12 of the sum of abs(w x) over all its lines is 0) and f = the smallest f_i of the legs of a
    member (a line that is cut by nothing has 1). All members are looked at with the nets of the round's begin; those
    with f < 1 go from u = max over legs of abs(target / ratio) units to min(whole_part(u f), ceil(u) - 1), at least 0
    (not whole: u f (1 - 1e-12)), each leg to sign(target) x min(abs(target), units x abs(ratio)): `netting.fewer`,
    `netting.shrink`. Rounds go on until nothing is cut (truncation and the other legs of spreads can change a net
    again). Margin: `margin.pro_rata` of the targets with `margin` x E / share x (1 + 1e-9).

    After the last limit all are gone through once more, until a pass cuts nothing. Where the passes and rounds before
    are 50 or more f_i is 0; and so is, after 50 passes, the margin allowed, if it is exceeded.

    Parameters
    ----------
    target : array (line,)
        Legs of a spread in their ratio; changed. [contracts, signed]
    held : tuple
        See `engine.netting`.
    price : array (market,)
        Last known of the contract held. [points]
    lines, limits : Lines, Limits
    each : array (len(state.EACH), market)
        What the bar says of one contract: `state.EACH`.
    room : Room
        Of `netting.netting(lines)`.
    credit : float
        As in `netting.required`.
    share : float
        Of the requirement that is asked on the bar; of none no margin is limited. [1]
    equity : float
        [account currency]
    whole : bool
        Units are whole numbers.
    cuts : array (rows, 4)
        At least KINDS rows a line: line, kind (of `book.EVENTS`), wanted (before the limit's first cut), allowed
        (after its last). [contracts, signed]

    Two lines of one root want 8 and -2 where four net are allowed; the long one is cut by two:

    >>> from engine import book, netting, state
    >>> from engine.kernel import opened
    >>> row, out, one = np.arange(2), np.empty((18, 4)), np.ones(2)
    >>> lines = book.Lines(row, row, np.ones(2), 0 * row, 0 * row, row, row)
    >>> held = netting.Holdings(np.zeros(2), np.zeros(2), row, row)
    >>> most = book.Limits(True, np.full(2, 4.0), *[np.inf] * 4, np.full(2, np.inf), *[np.inf] * 3)
    >>> target, room = np.array([8.0, -2.0]), netting.netting(lines)
    >>> each = np.ones((len(state.EACH), 2))
    >>> count = opened(apply)(target, held, one, lines, room, each, most, 0.0, 1.0, 1e6, True, out)
    >>> target, [(int(line), book.EVENTS[int(kind)], wanted, got) for line, kind, wanted, got in out[:count].tolist()]
    (array([ 6., -2.]), [(0, 'limit contracts', 8.0, 6.0)])
    """
    count = 0
    if not limits.any:
        return count
    _contracts(held.held, room)
    capital = max(equity, 0.0)
    cut, n = True, 0
    while cut:
        cut = False
        for kind in range(book.LIMIT_CONTRACTS, book.LIMIT_MARGIN + 1):
            if _unbounded(kind, limits):
                continue
            for i in range(target.shape[0]):
                room.line[WAS, i] = target[i]
            if kind == book.LIMIT_MARGIN:
                asked = required_after(target, held, lines, room, each[INITIAL], each[RATE], credit)
                allowed = limits.margin * capital / share * (1.0 + OVER) if share > 0.0 else np.inf
                if asked > allowed:
                    allowed = allowed if n < ROUNDS else 0.0
                    pro_rata(target, held, lines, room, each[INITIAL], each[RATE], credit, allowed, whole)
            else:
                _enforce(kind, target, price, lines, room, each, limits, capital, whole, n)
            if differing(target, room.line[WAS]) > 0:
                cut = True
                count = _note(kind, target, room.line[WAS], cuts, count)
        n += 1
    return count


@inner
def _contracts(contract, room):
    """The first line of the contract that each line holds on the bar."""
    for i in range(contract.shape[0]):
        j = room.earlier[i]
        while j >= 0 and contract[j] != contract[i]:
            j = room.earlier[j]
        room.contract[i] = i if j < 0 else room.contract[j]


@inner
def _unbounded(kind, limits):
    """Whether a limit is none."""
    if kind in (book.LIMIT_CONTRACTS, book.LIMIT_GROUP):
        most = limits.contracts if kind == book.LIMIT_CONTRACTS else limits.group
        least = np.inf
        for k in range(most.shape[0]):
            least = min(least, most[k])
        return least == np.inf
    return not _figure(kind, limits) < np.inf


@inlined
def _figure(kind, limits):
    """The number of a limit that has one number."""
    if kind == book.LIMIT_SECTOR:
        return limits.sector
    if kind == book.LIMIT_SIDE:
        return limits.side
    if kind == book.LIMIT_VOLUME:
        return limits.volume
    if kind == book.LIMIT_OPEN_INTEREST:
        return limits.open_interest
    if kind == book.LIMIT_GROSS:
        return limits.gross
    return limits.net if kind == book.LIMIT_NET else limits.margin


@inlined
def _net(kind, i, room):
    """The first line of the net to which a line belongs; -1 none."""
    if kind == book.LIMIT_CONTRACTS:
        return room.first[i]
    if kind == book.LIMIT_GROUP:
        return room.group[i]
    return 0 if kind == book.LIMIT_NET else room.contract[i]


@inlined
def _sum(kind, k, net, room):
    """The place in `room.total` of the sum to which a net belongs."""
    if kind == book.LIMIT_SECTOR:
        return room.sector[k]
    if kind == book.LIMIT_SIDE:
        return 0 if net > 0.0 else 1
    return 0 if kind == book.LIMIT_GROSS else k


@inlined
def _weight(kind, m, price, each):
    """What one contract of a market counts; 0 where that is not known."""
    if kind <= book.LIMIT_OPEN_INTEREST:
        return 1.0
    worth = each[MULTIPLIER, m] * each[RATE, m]
    weight = each[SIGMA, m] * worth * np.sqrt(YEAR) if kind == book.LIMIT_GROUP else abs(price[m]) * worth
    return weight if weight == weight else 0.0


@inlined
def _most(kind, k, lines, each, limits, capital):
    """The bound of the sum of net k; infinite where it is not known."""
    if kind == book.LIMIT_CONTRACTS:
        return limits.contracts[k]
    if kind == book.LIMIT_GROUP:
        most = limits.group[lines.group[k]]
        return most * capital if most < np.inf else np.inf
    most, m = _figure(kind, limits), lines.instrument[k]
    if kind == book.LIMIT_VOLUME:
        most *= each[LIQUIDITY, m]
    elif kind == book.LIMIT_OPEN_INTEREST:
        most *= each[OPEN_INTEREST, m]
    elif kind in (book.LIMIT_GROSS, book.LIMIT_NET):
        most *= capital
    return most if most == most else np.inf


@inner
def _enforce(kind, target, price, lines, room, each, limits, capital, whole, n):
    """Cut the targets to one limit other than margin, after n passes."""
    weight = room.line[WEIGHT]
    for i in range(target.shape[0]):
        weight[i] = _weight(kind, lines.instrument[i], price, each)
    while True:
        _measure(kind, target, room)
        cut = False
        for j in range(room.begin.shape[0]):
            share = 1.0
            for i in range(room.begin[j], room.end[j]):
                k = _net(kind, i, room)
                if k >= 0 and weight[i] * target[i] * room.line[NET, k] > 0.0:
                    most = _most(kind, k, lines, each, limits, capital)
                    factor = _factor(most, room.total[_sum(kind, k, room.line[NET, k], room)], k, room)
                    share = min(share, factor if n < ROUNDS or factor == 1.0 else 0.0)
            if share < 1.0:
                units = fewer(most_units(target, lines.ratio, room, j), share, whole)
                shrink(target, target, lines.ratio, room, j, units)
                cut = True
        if not cut:
            return
        n += 1


@inner
def _measure(kind, target, room):
    """Nets, what lies on their side, and the sums that are bounded, at the first line of each."""
    weight, nets, sides, totals = room.line[WEIGHT], room.line[NET], room.line[SIDE], room.total
    for i in range(target.shape[0]):
        nets[i] = sides[i] = 0.0
    for k in range(totals.shape[0]):
        totals[k] = 0.0
    for i in range(target.shape[0]):
        k = _net(kind, i, room)
        if k >= 0:
            nets[k] += weight[i] * target[i]
            sides[k] += weight[i] * abs(target[i])
    for k in range(target.shape[0]):
        if abs(nets[k]) <= CLOSE * sides[k]:
            nets[k] = 0.0  # what is left of it is rounding
        sides[k] = 0.5 * (sides[k] + abs(nets[k]))
        if nets[k] != 0.0:
            totals[_sum(kind, k, nets[k], room)] += abs(nets[k])


@inlined
def _factor(most, total, k, room):
    """What the lines on the side of net k are multiplied by."""
    if not total > most * (1.0 + OVER):
        return 1.0
    return 1.0 - abs(room.line[NET, k]) * (1.0 - most / total) / room.line[SIDE, k]


@inner
def _note(kind, target, was, cuts, count):
    """Write down what one limit cut; what it had cut of a line before is one cut with it."""
    for i in range(target.shape[0]):
        if target[i] != was[i]:
            row = 0
            while row < count and not (cuts[row, 0] == i and cuts[row, 1] == kind):
                row += 1
            if row == count:
                cuts[row, 0], cuts[row, 1], cuts[row, 2] = i, kind, was[i]
                count += 1
            cuts[row, 3] = target[i]
    return count
