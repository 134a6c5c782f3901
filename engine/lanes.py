"""Lanes: many combinations of a strategy's params traded side by side, 64 at a time.

The innermost loop of every kernel here runs over the 64 combinations of a block, without a branch, so that the
processor takes several at once. What is the same for all of them stands outside: the bar, its rolls, its costs. That
goes only where positions do not depend on the account (`engine.screen` refuses the rest), and then a bar is, lane by
lane:

    profit = held (mark - last) + (wanted - held) (mark - fill) - |wanted - held| side

with money per point left out. A division in these kernels is `np.divide`: `/` asks whether it divides by zero, and a
loop with such a question is taken one lane at a time.
"""

from typing import NamedTuple

import numpy as np

from engine.blotter import CRUMB
from engine.kernel import bare, inner

WIDTH = 64  # lanes of a block
TILE = 2**18  # of the tables that all blocks go through before the next bars [bytes]

# Rows (lane,) of a block; two more for each market follow: what is held, and what is wanted of the next bar.
#   equity, margin   of the account; initial margin of the bar before
#   total            of the bar: profit less costs
#   first, least, asked   of the bar: initial and maintenance margin of what is held, initial margin of what is wanted
#   costs, fills     since the start
#   flagged          bars on which the account would have had a say
#   interest         of the bar
#   before           equity of the last bar on which any market traded
#   unpaid, peak     equity without payments, and its peak
#   depth, from_peak   of the deepest drawdown: what was lost, and from which peak
#   mean, square, excess_mean, excess_square   of returns, and of those in excess of interest: mean, squares about it
#   opened           of a market: position that rolls at the prices as traded
#   value            of a market: forecast, or what it is made of
ROWS = (
    "equity", "margin", "total", "first", "least", "asked", "costs", "fills", "flagged", "interest", "before", "unpaid",
    "peak", "depth", "from_peak", "mean", "square", "excess_mean", "excess_square", "opened", "value",
)  # fmt: skip
(
    EQUITY, MARGIN, TOTAL, FIRST, LEAST, ASKED, COSTS, FILLS, FLAGGED, INTEREST, BEFORE, UNPAID, PEAK, DEPTH,
    FROM_PEAK, MEAN, SQUARE, EXCESS_MEAN, EXCESS_SQUARE, OPENED, VALUE,
) = range(len(ROWS))  # fmt: skip
OWN = len(ROWS)

# Columns of a bar of a market [account currency a contract, unless said]
#   hold, fresh      mark less last mark, mark less fill
#   side, rolled, gap   costs of a side, of a roll, and what a roll's legs earn beside the series
#   initial, maintenance
#   buys, sells      1 where an order can fill, 0 where it cannot [1]
#   usual            contracts at a forecast of 1: numerator / denominator x capital
#   tie              difference of two averages that counts as none
#   seen             changes of the price so far [bars]
BAR = (
    "hold", "fresh", "side", "rolled", "gap", "initial", "maintenance", "buys", "sells", "usual", "numerator",
    "denominator", "capital", "tie", "seen",
)  # fmt: skip
(
    HOLD, FRESH, SIDE, ROLLED, GAP, INITIAL, MAINTENANCE, BUYS, SELLS, USUAL, NUMERATOR, DENOMINATOR, CAPITAL, TIE,
    SEEN,
) = range(len(BAR))  # fmt: skip
ODD, ROLL, LEGS, CLOSED = 1, 2, 4, 8  # of a bar: not all orders fill; it rolls, at other prices; its contract ends

# Columns of a bar of the account
#   span             calendar days / 360 of the interest; credit, debit: rates on what is free or missing
#   transfer, fee    money paid in; 1 where the fees of a month fall due
#   observed         1 / number of the return, 0 where no market traded
#   flow, paid       payments since the last return, and since the start
TIME = ("days", "credit", "debit", "transfer", "fee", "observed", "flow", "paid")
DAYS, CREDIT, DEBIT, TRANSFER, FEE, OBSERVED, FLOW, PAID = range(len(TIME))


class Lanes(NamedTuple):
    """Forecasts of many combinations, made of a table that they share.

    `side`: a forecast is 1 where the first part is above the second by more than `tie`, -1 where it is below, else 0.
    Else it is scale × sum of the parts / divisor, between -cap and cap; 0 where that is nan, and before `least` changes
    of the market were seen.
    """

    side: bool
    table: np.ndarray  # (time, market, row)
    rows: np.ndarray  # uint32 (part, combination): which rows of the table
    tie: np.ndarray | None = None  # (time, market)
    seen: np.ndarray | None = None  # (time, market), changes of the price so far [bars]
    scale: np.ndarray | None = None  # (combination,); none: 1
    divisor: np.ndarray | None = None  # (combination,); none: 1
    least: np.ndarray | None = None  # (combination,) [bars]; none: 0
    cap: float = np.inf


class Rules(NamedTuple):
    """What is the same on all bars."""

    side: bool  # of forecasts, see `Lanes`
    whole: bool  # whole contracts, toward zero
    at_open: bool  # market orders fill before the legs of a roll at the open
    compounding: bool  # returns are shares of the equity before, else of the capital
    paid: bool  # money is paid in or out
    earning: bool  # cash earns or costs interest
    cap: float
    start: float  # capital at the start [account currency]
    floor: float  # below which the account sells all [account currency]
    fee: float  # of equity, a month [1]
    fixed_fee: float  # a month [account currency]


def begin(blocks, markets, capital):
    """State (block, row, lane) before the first bar."""
    state = np.zeros((blocks, OWN + 2 * markets, WIDTH))
    for row in (EQUITY, BEFORE, UNPAID, PEAK, FROM_PEAK):
        state[:, row] = capital
    return state


@bare
def run(state, times, bars, kinds, table, rows, numbers, rules, tile):
    """Trade all blocks over all bars, `tile` bars at a time, so that the table is read from the cache.

    Parameters
    ----------
    state : array (block, row, lane)
        As `begin` makes it; changed.
    times : array (time, len(TIME))
    bars : array (time, market, len(BAR))
    kinds : array (time, market) of int8
        Sum of ODD, ROLL, LEGS, CLOSED.
    table : array (time, market, row)
    rows : array (block, part, lane) of uint32
    numbers : array (block, 3, lane)
        scale, divisor and least of `Lanes`.
    rules : Rules
    tile : int
    """
    first = 0
    while first < len(bars):
        last = min(first + tile, len(bars))
        for b in range(len(state)):
            for t in range(first, last):
                _bar(state[b], times[t], bars[t], kinds[t], table[t], rows[b], numbers[b], rules)
        first = last


@inner
def _bar(s, time, bars, kinds, table, rows, numbers, rules):
    """One bar of a block."""
    if time[FEE] != 0.0 or time[TRANSFER] != 0.0:
        _pay(s[EQUITY], s[TOTAL], time[TRANSFER], time[FEE] * rules.fee, time[FEE] * rules.fixed_fee)
    for m in range(len(bars)):
        bar, kind, held, wanted = bars[m], kinds[m], s[OWN + 2 * m], s[OWN + 2 * m + 1]
        if kind == 0 and rules.whole:
            _trade(s[TOTAL], s[COSTS], s[FILLS], s[FIRST], s[LEAST], held, wanted, bar)
        else:
            _trade_some(s[TOTAL], s[COSTS], s[FILLS], s[OPENED], held, wanted, bar, rules.at_open)
            if kind & ROLL:
                _roll(s[TOTAL], s[COSTS], s[FILLS], s[OPENED], held, bar[ROLLED], bar[GAP], kind & LEGS != 0)
            elif kind & CLOSED:
                _close(s[TOTAL], s[COSTS], s[FILLS], held, bar[SIDE])
            _held(s[FIRST], s[LEAST], held, bar[INITIAL], bar[MAINTENANCE])
        if rules.side:
            _difference(s[VALUE], table[m], rows[0], rows[1])
            _sides(s[VALUE], wanted, s[ASKED], bar[TIE], bar[USUAL], bar[INITIAL])
        else:
            _sum(s[VALUE], table[m], rows)
            _sizes(s[VALUE], wanted, s[ASKED], numbers[0], numbers[1], numbers[2], rules.cap, bar, rules.whole)
    _settle(
        s[EQUITY], s[MARGIN], s[TOTAL], s[FIRST], s[LEAST], s[ASKED], s[FLAGGED], s[INTEREST], time[DAYS], time[CREDIT],
        time[DEBIT], rules.floor,
    )  # fmt: skip
    if time[OBSERVED] != 0.0:
        if rules.earning:
            _exceed(
                s[EQUITY],
                s[BEFORE],
                s[EXCESS_MEAN],
                s[EXCESS_SQUARE],
                s[INTEREST],
                time,
                rules.compounding,
                rules.start,
            )
        _observe(
            s[EQUITY], s[BEFORE], s[UNPAID], s[PEAK], s[DEPTH], s[FROM_PEAK], s[MEAN], s[SQUARE], time,
            rules.compounding, rules.paid, rules.start,
        )  # fmt: skip


@inner
def _pay(equity, total, transfer, share, fixed):
    """Money paid in or out, and the fees of a new month."""
    for i in range(WIDTH):
        total[i] += transfer - (share * max(equity[i] + transfer, 0.0) + fixed)


@inner
def _trade(total, costs, fills, first, least, position, target, bar):
    """A bar on which all orders fill, and the margin of what is then held."""
    hold, fresh, side, initial, maintenance = bar[HOLD], bar[FRESH], bar[SIDE], bar[INITIAL], bar[MAINTENANCE]
    for i in range(WIDTH):
        held, wanted = position[i], target[i]
        delta = wanted - held
        size, after = abs(delta), abs(wanted)
        cost = size * side
        total[i] += held * hold + delta * fresh - cost
        costs[i] += cost
        fills[i] += 1.0 if size > 0.0 else 0.0
        first[i] += after * initial
        least[i] += after * maintenance
        position[i] = wanted


@inner
def _trade_some(total, costs, fills, opened, position, target, bar, at_open):
    """A bar on which some orders do not fill, or fractions of contracts trade, which leave no crumbs."""
    hold, fresh, side, buys, sells = bar[HOLD], bar[FRESH], bar[SIDE], bar[BUYS], bar[SELLS]
    for i in range(WIDTH):
        held, wanted = position[i], target[i]
        delta = wanted - held
        delta = delta if abs(delta) > CRUMB * max(abs(wanted), abs(held)) else 0.0
        delta = delta * buys if delta > 0.0 else delta * sells
        size, after = abs(delta), held + delta
        after = after if abs(after) > CRUMB * size else 0.0
        cost = size * side
        total[i] += held * hold + delta * fresh - cost
        costs[i] += cost
        fills[i] += 1.0 if size > 0.0 else 0.0
        opened[i] = after if at_open else held
        position[i] = after


@inner
def _roll(total, costs, fills, opened, position, rolled, gap, legs):
    """All that is held goes into the next contract; where legs trade beside the series, what was held at the open."""
    for i in range(WIDTH):
        held, there = position[i], opened[i]
        size = abs(held)
        part = min(size, abs(there)) if there * held > 0.0 else 0.0
        part = part if legs else size
        cost = size * rolled
        total[i] += (part if held > 0.0 else -part) * gap - cost
        costs[i] += cost
        fills[i] += (4.0 if part > 0.0 and part < size else 2.0) if size > 0.0 else 0.0


@inner
def _close(total, costs, fills, position, side):
    """The contract has ended."""
    for i in range(WIDTH):
        size = abs(position[i])
        cost = size * side
        total[i] -= cost
        costs[i] += cost
        fills[i] += 1.0 if size > 0.0 else 0.0
        position[i] = 0.0


@inner
def _held(first, least, position, initial, maintenance):
    """Margin of what is held."""
    for i in range(WIDTH):
        held = abs(position[i])
        first[i] += held * initial
        least[i] += held * maintenance


@inner
def _difference(value, row, one, other):
    """One row of the table less another."""
    for i in range(WIDTH):
        value[i] = row[one[i]] - row[other[i]]


@inner
def _sides(value, target, asked, tie, usual, initial):
    """Targets of forecasts that are a sign, and their margin."""
    for i in range(WIDTH):
        gap = value[i]
        wanted = usual if gap > tie else (-usual if gap < -tie else 0.0)
        asked[i] += abs(wanted) * initial
        target[i] = wanted


@inner
def _sum(value, row, rows):
    """Sum of the parts."""
    part = rows[0]
    for i in range(WIDTH):
        value[i] = row[part[i]]
    for j in range(1, len(rows)):
        part = rows[j]
        for i in range(WIDTH):
            value[i] += row[part[i]]


@inner
def _sizes(value, target, asked, scale, divisor, least, cap, bar, whole):
    """Targets of forecasts of any size, in the order in which sizing rules compute, and their margin."""
    numerator, denominator, capital, seen = bar[NUMERATOR], bar[DENOMINATOR], bar[CAPITAL], bar[SEEN]
    initial = bar[INITIAL]
    for i in range(WIDTH):
        forecast = np.divide(scale[i] * value[i], divisor[i])
        forecast = cap if forecast > cap else (-cap if forecast < -cap else forecast)
        forecast = forecast if forecast == forecast and seen >= least[i] else 0.0
        wanted = np.divide(numerator * forecast, denominator) * capital
        wanted = np.trunc(wanted) if whole else wanted
        asked[i] += abs(wanted) * initial
        target[i] = wanted


@inner
def _settle(equity, margin, total, first, least, asked, flagged, interest, days, credit, debit, floor):
    """Interest and equity, and whether the account would have had a say."""
    for i in range(WIDTH):
        free = equity[i] - margin[i]
        earned = free * (credit if free >= 0.0 else debit) * days * (1.0 / 360.0)
        now = equity[i] + (total[i] + earned)
        fine = (now >= least[i]) & (asked[i] <= now) & (now > 0.0) & (now >= floor)
        flagged[i] += 0.0 if fine else 1.0
        interest[i], equity[i], margin[i] = earned, now, first[i]
        total[i] = first[i] = least[i] = asked[i] = 0.0


@inner
def _observe(
    equity, before, unpaid, peak, depth, from_peak, mean, square, time, compounding, paid, start
):  # fmt: skip
    """A return: its mean and squares as B. Welford adds them up (Technometrics 4, 1962), and the drawdown."""
    part, flow, since = time[OBSERVED], time[FLOW], time[PAID]
    for i in range(WIDTH):
        now = equity[i]
        base = before[i] + flow if compounding else start
        change = np.divide(now - before[i] - flow, base if base > 0.0 else np.nan)
        away = change - mean[i]
        middle = mean[i] + away * part
        square[i] += away * (change - middle)
        mean[i] = middle
        own = (unpaid[i] * (1.0 + change) if compounding else now - since) if paid else now
        top = max(peak[i], own)
        loss = own - top
        deeper = loss * from_peak[i] < depth[i] * top
        depth[i] = loss if deeper else depth[i]
        from_peak[i] = top if deeper else from_peak[i]
        unpaid[i], peak[i], before[i] = own, top, now


@inner
def _exceed(equity, before, mean, square, interest, time, compounding, start):
    """A return in excess of interest, as `_observe`."""
    part, flow = time[OBSERVED], time[FLOW]
    for i in range(WIDTH):
        base = before[i] + flow if compounding else start
        change = np.divide(equity[i] - before[i] - flow - interest[i], base if base > 0.0 else np.nan)
        away = change - mean[i]
        middle = mean[i] + away * part
        square[i] += away * (change - middle)
        mean[i] = middle
