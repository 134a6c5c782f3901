"""Margin in dollars a contract, by date: what is required, what a call cuts, what is refused.

Requirements net the lines that hold the same contract (`engine.netting`, where `held`, `lines` and `room` are told). A
margin that nobody knows is never zero: it is estimated from volatility and flagged, or the run is refused.

What the kernels below cut, they cut by units of a member: all legs of a spread, by their ratios. Where only a share of
the requirement is asked (within the day), pass equity / share.
"""

import numpy as np

from engine.book import LARGEST_LOSER, PRO_RATA
from engine.kernel import inner
from engine.netting import (
    CLOSE,
    KEPT,
    Holdings,
    differing,
    fewer,
    most_units,
    netting,
    part_of,
    required,
    required_after,
    shrink,
)

__all__ = ["Holdings", "MarginUnknown", "affordable", "call", "estimated", "netting", "pro_rata", "required"]

TRIES = 20  # of `affordable`, each with nine tenths of the increase of the one before
TURNS = 50  # of all members in a call, of which one or two are usual
ROUNDS = 1000  # of a cut pro rata, of which two are usual


class MarginUnknown(ValueError):
    """A market has no margin for some days and the portfolio asks for an error rather than an estimate."""


def estimated(volatility, multiplier, k):
    """Margin a contract where the exchange's figure is not known.

    .. math:: margin = k \\cdot \\sigma \\cdot M

    Parameters
    ----------
    volatility : array (time, market)
        Standard deviation of a day's price change. [points]
    multiplier : array (time, market)
        [local currency / point]
    k : float
        Days' standard deviations that the margin covers; exchanges aim at the loss of a day or two at 99 %.

    Returns
    -------
    array (time, market)
        [local currency / contract]; nan before the first volatility.

    >>> float(estimated(np.array([[30.0]]), np.array([[50.0]]), 4.0)[0, 0])
    6000.0
    """
    return k * volatility * multiplier


@inner
def call(held, profit, lines, room, per_contract, fx, credit, equity, rule, whole, out):
    """Positions to which a margin call cuts: toward zero, until initial margin is at most equity (or 0).

    With E = max(equity, 0), R = `required` of what is left in `out` (a reduction takes `left` first, `left_of`), u_j =
    units of member j in `out` = max over its legs of |out / ratio|, and out = sign(q) min(|q|, u_j |ratio|) for each of
    its legs, q the position (R and out as in `required`, `engine.netting`):

    * PRO_RATA: `pro_rata` of the positions.
    * LARGEST_REQUIREMENT: members one after the other, the largest sum of |q| x per_contract x fx of its legs (nothing
      netted) first, of equal ones the one of the lower number. u_j falls step by step (to ceil(u_j) - 1; not whole: by
      min(1, u_j)) as long as R > E and the step lowers R by more than 1e-12 of it. (Not whole: of a step that would
      lower R from R1 > E to R2 < E only the part (R1 - E) / (R1 - R2) x (1 + 1e-12) is taken, and the member is done.)
      When all were gone through and R > E still: once more, in the same order, if anything was cut (50 times at most);
      at last `pro_rata` of what is left.
    * LARGEST_LOSER: the same, the smallest sum of `profit` of its legs first; members of no position are none.

    Parameters
    ----------
    held : tuple
        See the top of this file.
    profit : array (line,)
        Of the trades now open. [account currency]
    per_contract, fx, credit
        Initial margin, as in `required`.
    equity : float
        [account currency]
    rule : int
        PRO_RATA, LARGEST_REQUIREMENT or LARGEST_LOSER.
    whole : bool
        Units are whole numbers.
    out : array (line,)
        Where the positions go. [contracts, signed]

    Returns
    -------
    float
        R of `out`. [account currency]

    Source: the order of a liquidation is the broker's; the loser first is the rule of QuantConnect LEAN
    (DefaultMarginCallModel), margin freed first that of Interactive Brokers.

    Equity of 6,000 bears six contracts of 1,000. Pro rata 5 and -5 are 3 and -3; the loser alone pays with four:

    >>> from engine.book import LARGEST_LOSER, Lines
    >>> from engine.kernel import opened
    >>> row, q, out = np.arange(2), np.array([5.0, -5.0]), np.empty(2)
    >>> lines = Lines(row, row, np.ones(2), 0 * row, row, row, row)
    >>> held, room, each = Holdings(q, 0 * q, row, row), netting(lines), np.array([1000.0, 1000.0])
    >>> for rule in (PRO_RATA, LARGEST_LOSER):
    ...     rest = (lines, room, each, np.ones(2), 0.0, 6000.0, rule, True, out)
    ...     left = opened(call)(held, np.array([9.0, -9.0]), *rest)
    ...     print(out, left)
    [ 3. -3.] 6000.0
    [ 5. -1.] 6000.0
    """
    position = held.position
    for i in range(position.shape[0]):
        out[i] = position[i]
    allowed = max(equity, 0.0)
    if rule != PRO_RATA and allowed > 0.0:
        _rank(position, profit, lines, room, per_contract, fx, rule)
        cut, leaps = True, _convex(held.left, lines, room, per_contract, fx, credit)
        for _ in range(TURNS):
            if not cut:
                break
            cut = False
            j = _next(room, -1)
            while j >= 0:
                if _cut(j, out, held, lines, room, per_contract, fx, credit, allowed, whole, leaps):
                    cut = True
                j = _next(room, j)
    return pro_rata(out, held, lines, room, per_contract, fx, credit, allowed, whole)


@inner
def pro_rata(out, held, lines, room, per_contract, fx, credit, allowed, whole):
    """Scale what is in `out` toward zero, all members by one factor, until it requires at most `allowed`.

    Rounds: R = `required` of `out` (with `left_of`); done unless R > allowed; else each member's units u (max over its
    legs of |out / ratio|) become min(whole_part(u x allowed / R), ceil(u) - 1), at least 0 (not whole: u x allowed / R
    x (1 - 1e-12)), and each leg sign(out) min(|out|, u |ratio|). What nets can take more than one round; after 1000
    all go to zero.

    Returns
    -------
    float
        R of `out`. [account currency]
    """
    for n in range(ROUNDS + 1):
        asked = required_after(out, held, lines, room, per_contract, fx, credit)
        if not asked > allowed:
            return asked
        share = allowed / asked if n < ROUNDS else 0.0
        for j in range(room.begin.shape[0]):
            units = most_units(out, lines.ratio, room, j)
            if units > 0.0:
                shrink(out, out, lines.ratio, room, j, fewer(units, share, whole))
    return 0.0


@inner
def affordable(target, held, lines, room, per_contract, fx, credit, equity, whole, out):
    """Targets after the check of initial margin: decreases pass, increases are scaled down to what equity covers.

    R is `required` (with `left_of`). If R(target) <= equity, out = target. Else, member by member: U units wanted =
    min over its legs of |target / ratio|; H units held = min over its legs of |q / ratio|, 0 for a leg that is not
    held on the side wanted; K = min(U, H) needs no increase, kept = target where U <= H, else K units. Then
    share = (equity - R(kept)) / (R(target) - R(kept)), at least 0 (0 if R(target) <= R(kept)); up to 20 times: where
    U > H, out is K + whole_part((U - K) x share) units (not whole: (U - K) x share x (1 - 1e-12)); done if
    R(out) <= equity (1 + 1e-12) or share is 0, else share x 0.9. After the 20, out = kept. A leg's size is
    sign(target) x units x |ratio|.

    Parameters
    ----------
    target, out : array (line,)
        Legs of a spread in their ratio; two arrays. [contracts, signed]
    held, per_contract, fx, credit, equity, whole
        As in `call`.

    Returns
    -------
    int
        Lines of which `out` is not `target`.

    T29: with equity 20,000 and 13,200 a contract a wish for two is one.

    >>> from engine.book import Lines
    >>> from engine.kernel import opened
    >>> row, q, out = np.arange(1), np.zeros(1), np.empty(1)
    >>> lines = Lines(row, row, np.ones(1), row, row, row, row)
    >>> room, each = netting(lines), np.array([13200.0])
    >>> refused = opened(affordable)(
    ...     np.array([2.0]), Holdings(q, q, row, row), lines, room, each, np.ones(1), 0.0, 20000.0, True, out
    ... )
    >>> refused, out
    (1, array([1.]))
    """
    for i in range(target.shape[0]):
        out[i] = target[i]
    asked = required_after(target, held, lines, room, per_contract, fx, credit)
    if asked <= equity:
        return 0
    kept = room.line[KEPT]
    _keep(target, held.position, lines.ratio, room, kept)
    base = required_after(kept, held, lines, room, per_contract, fx, credit)
    share = max(0.0, (equity - base) / (asked - base)) if asked > base else 0.0
    for _ in range(TRIES):  # lines that offset each other can raise the net: take less until it fits
        for j in range(room.begin.shape[0]):
            wanted, had = room.member[0, j], room.member[1, j]
            if wanted > had:
                shrink(target, out, lines.ratio, room, j, had + part_of(wanted - had, share, whole))
        fits = required_after(out, held, lines, room, per_contract, fx, credit) <= equity + CLOSE * abs(equity)
        if share == 0.0 or fits:
            return differing(out, target)
        share *= 0.9
    for i in range(target.shape[0]):
        out[i] = kept[i]
    return differing(out, target)


@inner
def _keep(target, position, ratio, room, kept):
    """The part of each target that needs no increase; units wanted and kept go to `room.member`."""
    for j in range(room.begin.shape[0]):
        wanted = had = np.inf
        for i in range(room.begin[j], room.end[j]):
            wanted = min(wanted, abs(target[i] / ratio[i]))
            had = min(had, abs(position[i] / ratio[i]) if position[i] * target[i] > 0.0 else 0.0)
        room.member[0, j], room.member[1, j] = wanted, min(wanted, had)
        for i in range(room.begin[j], room.end[j]):
            kept[i] = target[i]
        if wanted > had:
            shrink(target, kept, ratio, room, j, had)


@inner
def _rank(position, profit, lines, room, per_contract, fx, rule):
    """The keys by which a call goes through the members, smallest first; nan without position."""
    for j in range(room.begin.shape[0]):
        key, size = 0.0, 0.0
        for i in range(room.begin[j], room.end[j]):
            m = lines.instrument[i]
            if position[i] != 0.0:
                size += 1.0
                key += profit[i] if rule == LARGEST_LOSER else -abs(position[i]) * per_contract[m] * fx[m]
        room.member[0, j] = key if size > 0.0 else np.nan


@inner
def _next(room, before):
    """The member that follows `before` (-1: the first) in the order of the keys, then of the members; -1 none."""
    keys, found = room.member[0], -1
    for j in range(keys.shape[0]):
        after = before < 0 or keys[j] > keys[before] or (keys[j] == keys[before] and j > before)
        if after and keys[j] == keys[j] and (found < 0 or keys[j] < keys[found]):
            found = j
    return found


@inner
def _convex(left, lines, room, per_contract, fx, credit):
    """Whether the requirement is convex in the units of a member: then many steps can be made at once.

    Of a root with one figure p it is p ((1 - c) sum |n_k| + c |sum n_k|); a part that goes first is not convex.
    """
    for i in range(left.shape[0]):
        k, m = room.earlier[i], lines.instrument[i]
        if not room.alone and left[i] != 0.0:
            return False
        if k >= 0 and credit != 0.0:
            n = lines.instrument[k]
            if per_contract[m] * fx[m] != per_contract[n] * fx[n]:
                return False
    return True


@inner
def _cut(j, out, held, lines, room, per_contract, fx, credit, allowed, whole, leaps):
    """Cut one member as `call` says; whether anything was cut."""
    position, ratio, cut = held.position, lines.ratio, False
    asked = required_after(out, held, lines, room, per_contract, fx, credit)
    while asked > allowed:
        units = most_units(out, ratio, room, j)
        if units == 0.0:
            return cut
        step = units - fewer(units, 1.0, True) if whole else min(1.0, units)
        shrink(position, out, ratio, room, j, units - step)
        lower = required_after(out, held, lines, room, per_contract, fx, credit)
        if not asked - lower > CLOSE * asked:
            shrink(position, out, ratio, room, j, units)
            return cut
        cut, steps = True, (asked - allowed) / (asked - lower)
        if steps < 1.0 and not whole:
            shrink(position, out, ratio, room, j, units - step * min(1.0, steps * (1.0 + CLOSE)))
            return cut
        if steps > 1.0 and step == 1.0 and leaps:
            most = np.ceil(steps * (1.0 - CLOSE)) if whole else np.floor(steps)
            most = min(most, np.floor(units))
            _leap(j, out, held, lines, room, per_contract, fx, credit, units, most)
        asked = required_after(out, held, lines, room, per_contract, fx, credit)
    return cut


@inner
def _leap(j, out, held, lines, room, per_contract, fx, credit, units, most):
    """Many of the steps of `_cut` at once, where R is convex in the units.

    As many as the slope of the first asks for are never too many; or halves of that, until the last lowers R too.
    """
    while most >= 1.0:
        shrink(held.position, out, lines.ratio, room, j, units - most + 1.0)
        before = required_after(out, held, lines, room, per_contract, fx, credit)
        shrink(held.position, out, lines.ratio, room, j, units - most)
        after = required_after(out, held, lines, room, per_contract, fx, credit)
        if most == 1.0 or before - after > CLOSE * before:
            return
        most = np.floor(most / 2.0)
