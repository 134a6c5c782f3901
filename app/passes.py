"""The passes over a run's owners and cells behind `app.crossfilter`; `crossfilter.js` adds up in the same order.

Rules:

1. The filters of trades that an owner (app/cells.py) fails are bits of its mask: with none it is in all pictures, with
   one in the picture of that filter alone, with more in none.
2. What passes is added up by day over all days, once for all brushes over days.
3. For the days picked an owner that lies within them is the sum of its cells; of one that reaches beyond them, those of
   its cells are added up that are within.
"""

from typing import NamedTuple

import numpy as np

from app.cells import COST, GROSS
from engine.kernel import kernel

ROOT, SECTOR, STRATEGY, SIDE, ENTRY, EXIT, HOLDING, RESULT = (1 << k for k in range(8))  # bits of a mask


class Body(NamedTuple):
    """What filters of trades leave of all days; margin and notional too."""

    mask: np.ndarray  # (owner,) uint8: bits of the filters that it fails
    profit: np.ndarray  # (T + 1,)
    interest: np.ndarray  # (T + 1,)
    margin: np.ndarray  # (T + 1, S)
    notional: np.ndarray  # (T + 1, 2) long, short
    line_picked: np.ndarray  # (L,) bool


class Sums(NamedTuple):
    """What is left of the days picked, each picture under all filters but its own."""

    by: dict  # kind -> (name,)
    line_gross: np.ndarray  # (L + 1,)
    cost: float  # of all, negative
    by_result: np.ndarray  # (bin,) numbers of trades
    by_holding: np.ndarray  # (bin,)
    trades: np.ndarray  # rows


def left(columns, picked, chosen):
    """The `Body` of filters of trades: `picked` by kind, and the ranges of `chosen`."""
    of_line = (columns.line_root, columns.line_sector, columns.line_strategy)
    bits = zip(("root", "sector", "strategy"), of_line, (ROOT, SECTOR, STRATEGY), strict=True)
    line = sum((np.where(picked[kind][code], 0, bit) for kind, code, bit in bits), np.zeros(len(of_line[0]), int))
    side, entry, exit_ = (
        np.where(picked[kind], 0, bit) for kind, bit in (("side", SIDE), ("entry", ENTRY), ("exit", EXIT))
    )
    kind = (side[:, None, None] | entry[:, None] | exit_).ravel()
    owner, trade, cell, held = columns.owner, columns.trade, columns.cell, columns.held
    ranges = [_bounds(chosen[name]) for name in ("holding", "results")]
    mask = _mask(owner["line"], owner["kind"], line.astype(np.uint8), kind.astype(np.uint8),
                 trade["holding"], trade["net"], *ranges)  # fmt: skip
    time = len(columns.days)
    profit, interest = np.zeros(time), np.zeros(time)
    _add_days(mask, owner["start"], len(trade["net"]), cell["day"], cell["part"], cell["amount"], profit, interest)
    margin, notional = np.zeros((time, len(columns.sectors) + 1)), np.zeros((time, 2))
    _hold(mask, held["owner"], held["day"], held["line"], held["side"], held["notional"], held["margin"],
          columns.line_sector, margin, notional)  # fmt: skip
    return Body(mask, profit, interest, np.ascontiguousarray(margin[:, :-1]), notional, line[:-1] == 0)


def counted(columns, mask, first, last, day):
    """The `Sums` of the days from row `first` to row `last` that are picked by `day`, (T + 1,) bool."""
    owner, trade, cell = columns.owner, columns.trade, columns.cell
    kinds = ("root", "sector", "strategy", "side", "entry", "exit")
    by = {kind: np.zeros(len(columns.names(kind))) for kind in kinds}
    lines = len(columns.line_root)
    gross, cost = np.zeros(lines), np.zeros(1)
    bins = [np.zeros(len(edges) - 1, np.int64) for edges in (columns.result_bins, columns.holding_bins)]
    rows, count = np.empty(len(trade["net"]), np.int64), 0
    if first <= last:
        gone = np.concatenate([[0], np.cumsum(~day)])  # days before a row that are not picked
        span = (first, last, day, gone)
        _add_owners(mask, owner["start"], owner["first"], owner["last"], owner["gross"], owner["cost"],
                    owner["interest"], owner["line"], owner["side"], owner["entry_reason"], owner["exit_reason"],
                    columns.line_root, columns.line_sector, columns.line_strategy, cell["day"], cell["part"],
                    cell["amount"], span, tuple(by.values()), gross, cost)  # fmt: skip
        count = _add_trades(mask, trade["exit"], trade["result_bin"], trade["holding_bin"], span, *bins, rows)
    return Sums(by, gross, float(cost[0]), *bins, rows[:count].copy())


def _bounds(ends):
    """(whether there are any, least, most)."""
    least, most = ends or (None, None)
    return (ends is not None, -np.inf if least is None else float(least), np.inf if most is None else float(most))


@kernel
def _mask(line, kind, of_line, of_kind, holding, net, bars, results):
    """Bits of the filters that each owner fails; owners beyond the trades have no holding time and no result."""
    out = np.empty(len(line), np.uint8)
    for k in range(len(line)):
        out[k] = of_line[line[k]] | of_kind[kind[k]]
    for values, ends, bit in ((holding, bars, HOLDING), (net, results, RESULT)):
        if ends[0]:
            for k in range(len(line)):
                if k >= len(values) or not ends[1] <= values[k] <= ends[2]:
                    out[k] |= np.uint8(bit)
    return out


@kernel
def _add_days(mask, start, trades, day, part, amount, profit, interest):
    """Profit and interest by day of what fails no filter; trades earn no interest."""
    for k in range(len(mask)):
        if mask[k] == 0:
            for c in range(start[k], start[k + 1]):
                profit[day[c]] += amount[c]
                if k >= trades and part[c] > COST:
                    interest[day[c]] += amount[c]


@kernel
def _hold(mask, owner, day, line, side, notional, margin, sector, used, held):
    """Margin by sector and notional by side of each day, under all filters but the days."""
    for k in range(len(day)):
        if mask[owner[k]] == 0:
            used[day[k], sector[line[k]]] += margin[k]
            held[day[k], side[k]] += notional[k]


@kernel
def _add_owners(mask, start, opens, ends, gross, cost, interest, line, side, entry, exit_, root, sector, strategy,
                day, part, amount, span, by, of_line, costs):  # fmt: skip
    """Add what each owner has on the days picked to the pictures that it is in."""
    first, last, picked, gone = span
    for k in range(len(mask)):
        bits = mask[k]
        if bits & (bits - np.uint8(1)) or ends[k] < first or opens[k] > last:
            continue
        if first <= opens[k] and ends[k] <= last and gone[ends[k] + 1] == gone[opens[k]]:
            x, y, z = gross[k], cost[k], interest[k]
        else:
            x, y, z = _within(start[k], start[k + 1], day, part, amount, first, last, picked)
        total = x + y + z
        m = line[k]
        if bits == 0:
            of_line[m] += x
            costs[0] += y
        if bits == 0 or bits == ROOT:
            by[0][root[m]] += total
        if bits == 0 or bits == SECTOR:
            by[1][sector[m]] += total
        if bits == 0 or bits == STRATEGY:
            by[2][strategy[m]] += total
        if bits == 0 or bits == SIDE:
            by[3][side[k]] += total
        if bits == 0 or bits == ENTRY:
            by[4][entry[k]] += total
        if bits == 0 or bits == EXIT:
            by[5][exit_[k]] += total


@kernel
def _within(low, end, day, part, amount, first, last, picked):
    """Sums of the parts of an owner's cells on the days picked; its cells are sorted by day."""
    high = end
    while low < high:  # the first cell that is not before the days
        middle = (low + high) // 2
        if day[middle] < first:
            low = middle + 1
        else:
            high = middle
    x, y, z = 0.0, 0.0, 0.0
    for c in range(low, end):
        if day[c] > last:
            break
        if picked[day[c]]:
            if part[c] == GROSS:
                x += amount[c]
            elif part[c] == COST:
                y += amount[c]
            else:
                z += amount[c]
    return x, y, z


@kernel
def _add_trades(mask, exit_, result, holding, span, by_result, by_holding, rows):
    """Count the trades that ended on the days picked by result and by holding time; how many fail no filter."""
    first, last, picked, _ = span
    count = 0
    for k in range(len(exit_)):
        bits = mask[k]
        if not (bits == 0 or bits in (HOLDING, RESULT)):
            continue
        if not (first <= exit_[k] <= last and picked[exit_[k]]):
            continue
        if bits == 0:
            rows[count] = k
            count += 1
        if bits == 0 or bits == RESULT:
            by_result[result[k]] += 1
        if bits == 0 or bits == HOLDING:
            by_holding[holding[k]] += 1
    return count
