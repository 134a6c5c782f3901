"""Cells: every cent of a ledger has one place (owner, day, part), so that all sums add up under any filter.

Rules:

1. An *owner* is a trade, or what a line has beside its trades; the last line is the account, whose interest and fees
   belong to no market. Owners are numbered: trades first, then one a line.
2. A trade has what its line earned and paid on the days on which it was open, but for what is of no trade, as the
   exchange of foreign money that is kept (`engine.book.OF_TRADES`). On a day on which one trade ends and the next
   begins, the trade's own result says how that day is split.
3. Sums a day, line and part are those of the ledger. Cells are sorted by owner, day and part.
"""

from typing import NamedTuple

import numpy as np

from engine.kernel import kernel

GROSS, COST, INTEREST = range(3)  # parts of a cell
ROUNDING = 1e-9  # less than this is no cent [account currency]


class Cells(NamedTuple):
    """Cells by owner; those of owner k are the rows start[k] to start[k + 1], excluded."""

    start: np.ndarray  # (owner + 1,) int64
    day: np.ndarray  # (cell,) int32, row of the run's days
    part: np.ndarray  # (cell,) uint8
    amount: np.ndarray  # (cell,) [account currency]


def dealt(day, line, part, amount, trade, shape, own=None):
    """The cells of a ledger.

    Parameters
    ----------
    day, line, part, amount : array (row,)
        Of the ledger.
    trade : dict of arrays (trade,)
        `line`, `entry` and `exit` (rows of the days), `gross`, `costs`; the newest exit first.
    shape : (int, int)
        Number of days and of lines, the account's with them.
    own : array (row,) of bool, optional
        Rows of the ledger that are of no trade, whatever trade is open.

    Returns
    -------
    Cells
        Of the trades in their order, then of the lines.

    One line; a trade of the days 1 to 3 earned 16 in all, another one of the days 3 and 4 earned 1:

    >>> trade = {"line": [0, 0], "entry": [3, 1], "exit": [4, 3], "gross": [1.0, 16.0], "costs": [0.0, 0.0]}
    >>> trade = {name: np.array(values) for name, values in trade.items()}
    >>> cells = dealt(np.arange(1, 5), np.zeros(4, int), np.zeros(4, int), [10.0, 5.0, -2.0, 4.0], trade, (5, 1))
    >>> cells.start.tolist(), cells.day.tolist(), cells.amount.tolist()
    ([0, 2, 5, 5], [3, 4, 1, 2, 3], [-3.0, 4.0, 10.0, 5.0, 1.0])
    """
    time, lines = shape
    place = (np.asarray(line, np.int64) * time + day) * 3 + part
    amount, alone = np.asarray(amount), np.zeros(len(place), bool) if own is None else own
    left, beside = (
        np.bincount(place[rows], amount[rows], minlength=lines * time * 3).astype(float, copy=False)
        for rows in (~alone, alone)
    )
    left, beside = (values.reshape(lines, time, 3) for values in (left, beside))
    count = len(trade["line"])
    room = np.count_nonzero(left) + 4 * count  # a sum goes to one trade; that of a shared day to two, both parts of it
    made = np.empty(room, np.int32), np.empty(room, np.uint8), np.empty(room)
    first, size = np.zeros(count, np.int64), np.zeros(count + lines, np.int64)
    taken = tuple(trade[name] for name in ("line", "entry", "exit", "gross", "costs"))
    _deal(left, in_turn(trade, shape), *taken, first, size, *made)
    left += beside
    rest = np.nonzero(np.abs(left) > ROUNDING)
    size[count:] = np.bincount(rest[0], minlength=lines)
    start = np.concatenate([[0], np.cumsum(size)])
    cells = Cells(start, *(np.empty(start[-1], values.dtype) for values in made))
    _gather(first, start, *made, *cells[1:])
    own = slice(start[count], None)
    cells.day[own], cells.part[own], cells.amount[own] = rest[1], rest[2], left[rest]
    return cells


def in_turn(trade, shape):
    """Order of the trades by line, entry and exit, the older one first; array (trade,).

    >>> in_turn({"line": np.array([0, 1, 0]), "entry": np.array([5, 1, 2]), "exit": np.array([9, 8, 5])}, (10, 2))
    array([2, 0, 1])
    """
    order = np.arange(len(trade["line"]))[::-1].copy()  # by exit, the older first: the newest exit stands first
    for name, count in (("entry", shape[0]), ("line", shape[1])):
        order = _stable(order, trade[name], count)
    return order


def held_by(held, trade, shape):
    """Owner of each position held at the close of a day: the last trade of its line that had begun.

    Parameters
    ----------
    held : dict of arrays (row,)
        `day` and `line`.
    trade, shape
        As for `dealt`.

    Returns
    -------
    array (row,) of int32
        The line's own where it had no open trade.

    >>> trade = {"line": np.array([0]), "entry": np.array([1]), "exit": np.array([3])}
    >>> held_by({"line": np.array([0, 0]), "day": np.array([2, 4])}, trade, (5, 1)).tolist()
    [0, 1]
    """
    order = in_turn(trade, shape)
    last = np.cumsum(np.bincount(trade["line"], minlength=shape[1]))
    return _held_by(held["line"], held["day"], order, np.concatenate([[0], last]), trade["entry"], trade["exit"])


def totals(cells):
    """Sum of each part of each owner, added up cell by cell; array (owner, 3). [account currency]"""
    return _totals(cells.start, cells.part, cells.amount)


@kernel
def _stable(order, code, count):
    """Numbers in the order of their codes, those of one code as they were: a counting sort."""
    place = np.zeros(count + 1, np.int64)
    for k in order:
        place[code[k] + 1] += 1
    for c in range(count):
        place[c + 1] += place[c]
    out = np.empty_like(order)
    for k in order:
        out[place[code[k]]] = k
        place[code[k]] += 1
    return out


@kernel
def _deal(left, order, line, entry, end, gross, costs, first, size, day, part, amount):
    """Give each trade the cents of its days in `left` (line, day, part), which is used up."""
    at = 0
    for i in range(len(order)):
        k = order[i]
        m, last = line[k], end[k]
        shared = i + 1 < len(order) and line[order[i + 1]] == m and entry[order[i + 1]] == last
        first[k] = at
        rest = (gross[k], costs[k])
        for t in range(entry[k], last if shared else last + 1):
            x, y = left[m, t, GROSS], left[m, t, COST]
            rest = (rest[0] - x, rest[1] - y)
            left[m, t, GROSS] = 0.0
            left[m, t, COST] = 0.0
            at = _write(at, t, x, y, day, part, amount)
        if shared:  # its share of the day it leaves to the next trade
            left[m, last, GROSS] -= rest[0]
            left[m, last, COST] -= rest[1]
            at = _write(at, last, rest[0], rest[1], day, part, amount)
        size[k] = at - first[k]


@kernel
def _write(at, t, x, y, day, part, amount):
    """Both parts of a day, zeros left out."""
    if abs(x) > ROUNDING:
        day[at], part[at], amount[at] = t, GROSS, x
        at += 1
    if abs(y) > ROUNDING:
        day[at], part[at], amount[at] = t, COST, y
        at += 1
    return at


@kernel
def _gather(first, start, day, part, amount, to_day, to_part, to_amount):
    """Copy the cells of each trade to where they belong."""
    for k in range(len(first)):
        for i in range(start[k + 1] - start[k]):
            to_day[start[k] + i] = day[first[k] + i]
            to_part[start[k] + i] = part[first[k] + i]
            to_amount[start[k] + i] = amount[first[k] + i]


@kernel
def _totals(start, part, amount):
    out = np.zeros((len(start) - 1, 3))
    for k in range(len(out)):
        for c in range(start[k], start[k + 1]):
            out[k, part[c]] += amount[c]
    return out


@kernel
def _held_by(line, day, order, start, entry, end):
    out = np.empty(len(line), np.int32)
    for k in range(len(line)):
        m = line[k]
        low, high = start[m], start[m + 1]
        while low < high:  # the first of the line's trades that had not begun
            middle = (low + high) // 2
            if entry[order[middle]] <= day[k]:
                low = middle + 1
            else:
                high = middle
        open_ = low > start[m] and end[order[low - 1]] >= day[k]
        out[k] = order[low - 1] if open_ else len(order) + m
    return out
