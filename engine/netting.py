"""What is held of each contract, all lines together: the netting of positions, and the margin that it requires.

The kernels here, in `engine.margin` and in `engine.limits` take `held`: any named tuple with the arrays (line,)
`position`, `left` (the part of it in a contract rolled out of), `held` (int, contract of the other part) and
`left_contract` (int), such as the simulation's own state; `lines`, of `engine.book`; and `room`, made once a run by
`netting`. They allocate nothing.
"""

from typing import NamedTuple

import numpy as np

from engine.kernel import inlined, inner

CLOSE = 1e-12  # relatively, what rounding may have changed


class Holdings(NamedTuple):
    """Arrays (line,): what is held. The kernels read these four fields of whatever tuple they are given."""

    position: np.ndarray  # [contracts, signed]
    left: np.ndarray  # the part of it still in the contract rolled out of [contracts, signed]
    held: np.ndarray  # int: contract of the other part
    left_contract: np.ndarray  # int: contract of the part left


class Room(NamedTuple):
    """Who nets with whom, and arrays to compute in."""

    alone: bool  # each root has one line: nothing nets
    earlier: np.ndarray  # int (line,) the line before it of the same root, or -1
    first: np.ndarray  # int (line,) the first line of the same root
    sector: np.ndarray  # int (line,) the first line of the same sector
    group: np.ndarray  # int (line,) the first line of the same group, or -1
    begin: np.ndarray  # int (member,) its first line
    end: np.ndarray  # int (member,) the line after its last
    owner: np.ndarray  # int (2 line,) part that stands for all of the same contract; parts 2i: new, 2i + 1: left
    contract: np.ndarray  # int (line,) the first line of the same contract on the bar
    part: np.ndarray  # float (2, 2 line): of the owners, net size, then requirement of one contract
    root: np.ndarray  # float (3, line): of the first lines, contracts long, short, requirement
    line: np.ndarray  # float (6, line): rows LEFT_OF, ...
    total: np.ndarray  # float (line + 1,): sums that a limit bounds
    member: np.ndarray  # float (2, member)


LEFT_OF, KEPT, WAS, WEIGHT, NET, SIDE = range(6)  # rows of `Room.line`


def netting(lines):
    """The `Room` of a run's lines.

    >>> from engine.book import Lines
    >>> zero = np.zeros(3, np.int64)
    >>> room = netting(Lines(zero, np.array([0, 1, 1]), np.ones(3), zero, np.array([0, 1, 0]), zero, zero - 1))
    >>> room.alone, room.earlier, room.group, room.begin, room.end
    (False, array([-1, -1,  0]), array([-1, -1, -1]), array([0, 1]), array([1, 3]))
    """
    root, member, group = np.asarray(lines.root), np.asarray(lines.member), np.asarray(lines.group)
    count, members = len(root), int(member.max()) + 1 if len(member) else 0
    same = [np.flatnonzero(root[: i + 1] == root[i]) for i in range(count)]
    return Room(
        alone=len(np.unique(root)) == count,
        earlier=np.array([rows[-2] if len(rows) > 1 else -1 for rows in same], np.int64),
        first=_firsts(root),
        sector=_firsts(np.asarray(lines.sector)),
        group=np.where(group < 0, -1, _firsts(group)),
        begin=np.searchsorted(member, np.arange(members)).astype(np.int64),
        end=np.searchsorted(member, np.arange(members), side="right").astype(np.int64),
        owner=np.zeros(2 * count, np.int64),
        contract=np.zeros(count, np.int64),
        part=np.zeros((2, 2 * count)),
        root=np.zeros((3, count)),
        line=np.zeros((6, count)),
        total=np.zeros(count + 1),
        member=np.zeros((2, members)),
    )


def _firsts(numbers):
    """The first line of the same number, of each line."""
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    return first[which].astype(np.int64)


@inner
def required(position, left, held, lines, room, per_contract, fx, credit):
    r"""Margin of all positions on one bar; lines of the same contract net first.

    .. math:: R = \sum_{roots} \Big(1 - c \frac{2 \min(L, S)}{L + S}\Big) \sum_k |n_k| p_k

    The part `left` of a line is in `left_contract`, the rest in `held`. n_k: sum of all parts of contract k of the
    root; p_k: requirement of one contract, `per_contract x fx` of the market of the line, the largest where the lines
    of contract k differ (parts of no size do not count). L, S: sums of |n_k| of the positive and of the negative n_k of
    the root. A root of which all n_k are 0 requires nothing.

    Parameters
    ----------
    position, left : array (line,)
        Of the same sign, left the smaller. [contracts, signed]
    held : tuple
        Of which `held` and `left_contract` are read.
    per_contract : array (market,)
        [local currency / contract]
    fx : array (market,)
        [account currency / local]
    credit : float
        Part c of the margin of two contracts of one root that is waived where one hedges the other. [1]

    Returns
    -------
    float
        [account currency]; a market without position costs nothing whatever its margin.

    Source: CME Group, SPAN methodology: inter-month (calendar) spread charges within a combined commodity.

    Three long and one short of the same contract are two; of two contracts, with a credit of half, three:

    >>> from engine.book import Lines
    >>> from engine.kernel import opened
    >>> zero, q = np.zeros(2, np.int64), np.array([3.0, -1.0])
    >>> lines = Lines(zero, np.arange(2), np.ones(2), zero, zero, zero, zero)
    >>> one, other = np.array([202403, 202403]), np.array([202403, 202406])
    >>> for contract in (one, other):
    ...     held = Holdings(q, 0 * q, contract, zero)
    ...     print(opened(required)(q, 0 * q, held, lines, netting(lines), np.array([10000.0]), np.array([1.2]), 0.5))
    24000.0
    36000.0
    """
    instrument = lines.instrument
    total = 0.0
    if room.alone:  # both parts of a line have one sign: the contracts do not matter
        for i in range(position.shape[0]):
            if position[i] != 0.0:
                m = instrument[i]
                total += abs(position[i]) * per_contract[m] * fx[m]
        return total
    net_parts(position, left, held.held, held.left_contract, instrument, room, per_contract, fx)
    first, sums = room.first, room.root
    for i in range(position.shape[0]):
        if first[i] == i:
            sums[0, i] = sums[1, i] = sums[2, i] = 0.0
        for s in range(2 * i, 2 * i + 2):
            if room.owner[s] == s:
                net = room.part[0, s]
                sums[0 if net > 0.0 else 1, first[i]] += abs(net)
                sums[2, first[i]] += abs(net) * room.part[1, s]
    for i in range(position.shape[0]):
        if first[i] == i and sums[2, i] != 0.0:
            matched = 2.0 * min(sums[0, i], sums[1, i]) / (sums[0, i] + sums[1, i])
            total += sums[2, i] * (1.0 - credit * matched)
    return total


@inner
def required_after(target, held, lines, room, per_contract, fx, credit):
    """`required` once the targets are traded: a reduction takes the part `left` first, see `left_of`."""
    left = room.line[LEFT_OF]
    if not room.alone:
        for i in range(target.shape[0]):
            left[i] = left_of(target[i], held.position[i], held.left[i])
    return required(target, left, held, lines, room, per_contract, fx, credit)


@inlined
def left_of(target, position, left):
    """What is in the contract rolled out of when a line goes from `position` to `target`: a reduction takes it first.

    >>> left_of(4.0, 5.0, 2.0), left_of(6.0, 5.0, 2.0), left_of(-1.0, 5.0, 2.0), left_of(-4.0, -5.0, -2.0)
    (1.0, 2.0, 0.0, -1.0)
    """
    if left == 0.0 or target * position <= 0.0:
        return 0.0
    gone = max(0.0, abs(position) - abs(target))
    return np.sign(left) * max(0.0, abs(left) - gone) + 0.0


@inlined
def _width(x):
    return min(1e-6, CLOSE * max(1.0, x))


@inlined
def whole_part(x):
    """Whole units of x >= 0: toward zero, but what is within 1e-12 x max(1, x) (at most 1e-6) of a whole number is it.

    >>> whole_part(2.9999), whole_part(0.3 / 0.1)
    (2.0, 3.0)
    """
    near = np.floor(x + 0.5)
    return near if abs(x - near) <= _width(x) else np.floor(x)


@inlined
def part_of(units, share, whole):
    """A share of some units, whole if they have to be."""
    return whole_part(units * share) if whole else units * share * (1.0 - CLOSE)


@inlined
def fewer(units, share, whole):
    """The same, and at least one less where they are whole."""
    if whole:
        return max(0.0, min(whole_part(units * share), np.ceil(units - _width(units)) - 1.0))
    return units * share * (1.0 - CLOSE)


@inlined
def most_units(values, ratio, room, j):
    """Units of the leg of a member that has most of them."""
    units = 0.0
    for i in range(room.begin[j], room.end[j]):
        units = max(units, abs(values[i] / ratio[i]))
    return units


@inlined
def shrink(source, out, ratio, room, j, units):
    """Put so many units of a member into `out`, but no leg larger than in `source`; never a negative zero."""
    for i in range(room.begin[j], room.end[j]):
        out[i] = np.sign(source[i]) * min(abs(source[i]), units * abs(ratio[i])) + 0.0


@inlined
def differing(one, other):
    """In how many places two arrays differ."""
    count = 0
    for i in range(one.shape[0]):
        if one[i] != other[i]:
            count += 1
    return count


@inner
def net_parts(position, left, contract, left_contract, instrument, room, per_contract, fx):
    """Fill `room.owner` and `room.part`: parts of one contract are summed at the first of them; -1 are of no size."""
    owner, part, earlier = room.owner, room.part, room.earlier
    for i in range(position.shape[0]):
        each = per_contract[instrument[i]] * fx[instrument[i]]
        for s in range(2 * i, 2 * i + 2):
            size = position[i] - left[i] if s == 2 * i else left[i]
            owner[s] = -1
            if size == 0.0:
                continue
            key = contract[i] if s == 2 * i else left_contract[i]
            j = i if s > 2 * i else earlier[i]
            found = -1
            while j >= 0 and found < 0:
                if owner[2 * j] >= 0 and contract[j] == key:
                    found = owner[2 * j]
                elif j < i and owner[2 * j + 1] >= 0 and left_contract[j] == key:
                    found = owner[2 * j + 1]
                j = earlier[j]
            if found < 0:
                owner[s], part[0, s], part[1, s] = s, size, each
            else:
                owner[s] = found
                part[0, found] += size
                part[1, found] = max(part[1, found], each)
