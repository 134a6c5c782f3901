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

# The account of a block, rows (lane,) that follow each other in one array: a loop over one array, at places that are
# known beforehand, need not ask whether two of them overlap.
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
ROWS = (
    "equity", "margin", "total", "first", "least", "asked", "costs", "fills", "flagged", "interest", "before", "unpaid",
    "peak", "depth", "from_peak", "mean", "square", "excess_mean", "excess_square",
)  # fmt: skip
(
    EQUITY, MARGIN, TOTAL, FIRST, LEAST, ASKED, COSTS, FILLS, FLAGGED, INTEREST, BEFORE, UNPAID, PEAK, DEPTH, FROM_PEAK,
    MEAN, SQUARE, EXCESS_MEAN, EXCESS_SQUARE,
) = range(0, len(ROWS) * WIDTH, WIDTH)  # fmt: skip
# The same of each market: what is held and wanted, what a forecast is made of, and what rolls at the prices as traded
OF_MARKET = ("held", "wanted", "value", "opened")
HELD, WANTED, VALUE, OPENED = range(0, len(OF_MARKET) * WIDTH, WIDTH)

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
    """Accounts (block, lanes of ROWS) and their markets (block, market, lanes of OF_MARKET) before the first bar."""
    accounts = np.zeros((blocks, len(ROWS) * WIDTH))
    for row in (EQUITY, BEFORE, UNPAID, PEAK, FROM_PEAK):
        accounts[:, row : row + WIDTH] = capital
    return accounts, np.zeros((blocks, markets, len(OF_MARKET) * WIDTH))


@bare
def run(accounts, markets, times, bars, kinds, table, rows, numbers, rules, tile):
    """Trade all blocks over all bars, `tile` bars at a time, so that the table is read from the cache.

    Parameters
    ----------
    accounts, markets : array
        As `begin` makes them; changed.
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
        for b in range(len(accounts)):
            for t in range(first, last):
                _bar(accounts[b], markets[b], times[t], bars[t], kinds[t], table[t], rows[b], numbers[b], rules)
        first = last


@inner
def _bar(account, markets, time, bars, kinds, table, rows, numbers, rules):
    """One bar of a block."""
    if time[FEE] != 0.0 or time[TRANSFER] != 0.0:
        _pay(account, time[TRANSFER], time[FEE] * rules.fee, time[FEE] * rules.fixed_fee)
    for m in range(len(bars)):
        own, bar, kind = markets[m], bars[m], kinds[m]
        if rules.side:
            _difference(own, table[m], rows[0], rows[1])
        else:
            _sum(own, table[m], rows)
        if kind == 0 and rules.side and rules.whole:
            _quick(account, own, bar)
            continue
        _trade(account, own, bar, rules.at_open)
        if kind & ROLL:
            _roll(account, own, bar[ROLLED], bar[GAP], kind & LEGS != 0)
        elif kind & CLOSED:
            _close(account, own, bar[SIDE])
        if rules.side:
            _sides(own, bar[TIE], bar[USUAL])
        else:
            _sizes(own, numbers[0], numbers[1], numbers[2], rules.cap, bar, rules.whole)
        _margin(account, own, bar[INITIAL], bar[MAINTENANCE])
    _settle(account, time[DAYS], time[CREDIT], time[DEBIT], rules.floor)
    if time[OBSERVED] != 0.0:
        if rules.earning:
            _exceed(account, time, rules.compounding, rules.start)
        _observe(account, time, rules.compounding, rules.paid, rules.start)


@inner
def _pay(account, transfer, share, fixed):
    """Money paid in or out, and the fees of a new month."""
    for i in range(WIDTH):
        there = account[EQUITY + i] + transfer
        account[TOTAL + i] += transfer - (share * (there if there > 0.0 else 0.0) + fixed)


@inner
def _quick(account, own, bar):
    """A bar on which all orders fill and nothing rolls, of whole contracts and forecasts that are a sign: at once."""
    hold, fresh, side, initial, maintenance = bar[HOLD], bar[FRESH], bar[SIDE], bar[INITIAL], bar[MAINTENANCE]
    tie, usual = bar[TIE], bar[USUAL]
    for i in range(WIDTH):
        held, wanted, gap = own[HELD + i], own[WANTED + i], own[VALUE + i]
        delta = wanted - held
        size, after = abs(delta), abs(wanted)
        cost = size * side
        account[TOTAL + i] += held * hold + delta * fresh - cost
        account[COSTS + i] += cost
        account[FILLS + i] += 1.0 if size > 0.0 else 0.0
        account[FIRST + i] += after * initial
        account[LEAST + i] += after * maintenance
        own[HELD + i] = wanted
        wanted = usual if gap > tie else (-usual if gap < -tie else 0.0)
        account[ASKED + i] += abs(wanted) * initial
        own[WANTED + i] = wanted


@inner
def _trade(account, own, bar, at_open):
    """Any bar: orders that cannot fill do not; of fractions of contracts no crumbs are left."""
    hold, fresh, side, buys, sells = bar[HOLD], bar[FRESH], bar[SIDE], bar[BUYS], bar[SELLS]
    for i in range(WIDTH):
        held, wanted = own[HELD + i], own[WANTED + i]
        delta, widest = wanted - held, abs(wanted) if abs(wanted) > abs(held) else abs(held)
        delta = delta if abs(delta) > CRUMB * widest else 0.0
        delta = delta * buys if delta > 0.0 else delta * sells
        size, after = abs(delta), held + delta
        after = after if abs(after) > CRUMB * size else 0.0
        cost = size * side
        account[TOTAL + i] += held * hold + delta * fresh - cost
        account[COSTS + i] += cost
        account[FILLS + i] += 1.0 if size > 0.0 else 0.0
        own[OPENED + i] = after if at_open else held
        own[HELD + i] = after


@inner
def _roll(account, own, rolled, gap, legs):
    """All that is held goes into the next contract; where legs trade beside the series, what was held at the open."""
    for i in range(WIDTH):
        held, there = own[HELD + i], own[OPENED + i]
        size, before = abs(held), abs(there)
        part = (before if before < size else size) if there * held > 0.0 else 0.0
        part = part if legs else size
        cost = size * rolled
        account[TOTAL + i] += (part if held > 0.0 else -part) * gap - cost
        account[COSTS + i] += cost
        account[FILLS + i] += (4.0 if part > 0.0 and part < size else 2.0) if size > 0.0 else 0.0


@inner
def _close(account, own, side):
    """The contract has ended."""
    for i in range(WIDTH):
        size = abs(own[HELD + i])
        cost = size * side
        account[TOTAL + i] -= cost
        account[COSTS + i] += cost
        account[FILLS + i] += 1.0 if size > 0.0 else 0.0
        own[HELD + i] = 0.0


@inner
def _difference(own, row, one, other):
    """One row of the table less another."""
    for i in range(WIDTH):
        own[VALUE + i] = row[one[i]] - row[other[i]]


@inner
def _sum(own, row, rows):
    """Sum of the parts."""
    part = rows[0]
    for i in range(WIDTH):
        own[VALUE + i] = row[part[i]]
    for j in range(1, len(rows)):
        part = rows[j]
        for i in range(WIDTH):
            own[VALUE + i] += row[part[i]]


@inner
def _sides(own, tie, usual):
    """Targets of forecasts that are a sign."""
    for i in range(WIDTH):
        gap = own[VALUE + i]
        own[WANTED + i] = usual if gap > tie else (-usual if gap < -tie else 0.0)


@inner
def _sizes(own, scale, divisor, least, cap, bar, whole):
    """Targets of forecasts of any size, in the order in which sizing rules compute: to the bit."""
    numerator, denominator, capital, seen = bar[NUMERATOR], bar[DENOMINATOR], bar[CAPITAL], bar[SEEN]
    for i in range(WIDTH):
        forecast = np.divide(scale[i] * own[VALUE + i], divisor[i])
        forecast = cap if forecast > cap else (-cap if forecast < -cap else forecast)
        forecast = forecast if forecast == forecast and seen >= least[i] else 0.0
        wanted = np.divide(numerator * forecast, denominator) * capital
        own[WANTED + i] = np.trunc(wanted) if whole else wanted


@inner
def _margin(account, own, initial, maintenance):
    """Margin of what is held and of what is wanted."""
    for i in range(WIDTH):
        held = abs(own[HELD + i])
        account[FIRST + i] += held * initial
        account[LEAST + i] += held * maintenance
        account[ASKED + i] += abs(own[WANTED + i]) * initial


@inner
def _settle(account, days, credit, debit, floor):
    """Interest and equity, and whether the account would have had a say."""
    for i in range(WIDTH):
        before = account[EQUITY + i]
        free = before - account[MARGIN + i]
        earned = free * (credit if free >= 0.0 else debit) * days * (1.0 / 360.0)
        now = before + (account[TOTAL + i] + earned)
        fine = (now >= account[LEAST + i]) & (account[ASKED + i] <= now) & (now > 0.0) & (now >= floor)
        account[FLAGGED + i] += 0.0 if fine else 1.0
        account[INTEREST + i] = earned
        account[EQUITY + i] = now
        account[MARGIN + i] = account[FIRST + i]
        account[TOTAL + i] = account[FIRST + i] = account[LEAST + i] = account[ASKED + i] = 0.0


@inner
def _observe(account, time, compounding, paid, start):
    """A return: its mean and squares as B. Welford adds them up (Technometrics 4, 1962), and the drawdown."""
    part, flow, since = time[OBSERVED], time[FLOW], time[PAID]
    for i in range(WIDTH):
        now, before, mean = account[EQUITY + i], account[BEFORE + i], account[MEAN + i]
        base = before + flow if compounding else start
        change = np.divide(now - before - flow, base if base > 0.0 else np.nan)
        away = change - mean
        middle = mean + away * part
        account[MEAN + i] = middle
        account[SQUARE + i] += away * (change - middle)
        own = (account[UNPAID + i] * (1.0 + change) if compounding else now - since) if paid else now
        peak = account[PEAK + i]
        peak = own if own > peak else peak
        loss, depth, height = own - peak, account[DEPTH + i], account[FROM_PEAK + i]
        deeper = loss * height < depth * peak  # loss / peak < depth / height
        account[DEPTH + i] = loss if deeper else depth
        account[FROM_PEAK + i] = peak if deeper else height
        account[UNPAID + i] = own
        account[PEAK + i] = peak
        account[BEFORE + i] = now


@inner
def _exceed(account, time, compounding, start):
    """A return in excess of interest, as `_observe`."""
    part, flow = time[OBSERVED], time[FLOW]
    for i in range(WIDTH):
        before, mean = account[BEFORE + i], account[EXCESS_MEAN + i]
        base = before + flow if compounding else start
        change = np.divide(account[EQUITY + i] - before - flow - account[INTEREST + i], base if base > 0.0 else np.nan)
        away = change - mean
        middle = mean + away * part
        account[EXCESS_MEAN + i] = middle
        account[EXCESS_SQUARE + i] += away * (change - middle)
