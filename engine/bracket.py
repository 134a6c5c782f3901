"""Orders inside the bar: entries that wait, protective stops and targets.

Their levels are kept in the adjusted frame and read in that of the contract held, so that a roll re-bases them (T17).
What the bar does to them is `engine.fills.walk`; docs/fills.md and docs/positions.md tell the rules.
"""

import numpy as np

from engine.blotter import event, impact_by, mark_ambiguous, move, trade, trade_left
from engine.book import (
    BY_MARKET,
    BY_PROTECTION,
    BY_TARGET,
    BY_TRAIL,
    EXIT_SIGNAL,
    EXIT_STOP,
    EXIT_TARGET,
    EXIT_TRAIL,
    EXPIRED,
    FRACTIONAL,
    LEG,
    LIMIT,
    LOCKED,
    PARTIAL,
    RISK,
    STOP_LIMIT,
    WHOLE,
)  # fmt: skip
from engine.fills import ENTERED, TAKEN, cap, gapped, limit_level, stop_level, walk
from engine.kernel import bare


@bare
def opens_beyond(t, i, bars, state):
    """Whether the bar opens beyond the protective stop or the target of a line, which then leaves at the open."""
    j, m, side = state.line[i].member, state.line[i].instrument, np.sign(state.line[i].position)
    if side == 0.0 or not traded(t, m, bars):
        return False
    stop, goal, _ = protection(t, j, m, side, bars, state)
    return gapped(bars[t, m].open, bars[t, m].tick, side, stop, goal)


@bare
def traded(t, m, bars):
    """Whether open, high, low and close are known."""
    return np.isfinite(bars[t, m].open + bars[t, m].high + bars[t, m].low + bars[t, m].close)


@bare
def tighter(a, b, side):
    """The level that a position of `side` reaches first as the price goes against it; nan only if both are."""
    if np.isnan(a):
        return b
    if np.isnan(b):
        return a
    return max(a, b) if side > 0.0 else min(a, b)


@bare
def protection(t, j, m, side, bars, state):
    """(stop, target, whether the stop is the trailing one) in force, in points of the contract of the bar."""
    mine = state.member[j]
    stop, trailing = tighter(mine.stop, mine.stop_at, side), False
    if not np.isnan(mine.trail):
        follows = mine.best - side * mine.trail
        if np.isnan(stop) or side * (follows - stop) > 0.0:
            stop, trailing = follows, True
    offset, tick = bars[t, m].offset, bars[t, m].tick
    goal = tighter(mine.goal, mine.goal_at, -side)
    return stop_level(stop, offset, -side, tick), limit_level(goal, offset, -side, tick), trailing


@bare
def entered(t, i, price, row, quote, orders, state):
    """The levels of a position just entered, as row `row` of its orders asks for."""
    j, side = state.line[i].member, np.sign(state.line[i].position)
    mine = state.member[j]
    filled = price + quote.offset
    mine.stop, mine.goal = (
        filled - side * orders[row, j].stop,
        filled + side * orders[row, j].target,
    )
    mine.trail, mine.best = orders[row, j].trail, filled
    mine.hold, mine.episode = orders[row, j].hold, orders[row, j].episode
    mine.entered, mine.days, mine.closing = t, 0, 0
    first = tighter(tighter(mine.stop, mine.stop_at, side), filled - side * mine.trail, side)
    risk = side * (filled - first) * abs(state.line[i].position) * quote.worth * quote.fx
    state.open[WHOLE, i, RISK], state.open[LEG, i, RISK] = risk, risk


@bare
def trail(t, i, m, j, bars, state):
    """The best price since the entry; on the bar of the entry only the fill and the close are known to follow it."""
    mine = state.member[j]
    side, offset = np.sign(state.line[i].position), bars[t, m].offset
    extreme = bars[t, m].close
    if mine.entered != t:
        extreme = bars[t, m].high if side > 0.0 else bars[t, m].low
    if not np.isnan(extreme) and side * (extreme + offset - mine.best) > 0.0:
        mine.best = extreme + offset


@bare
def inside(t, i, quote, bars, orders, account, finer, state, books):
    """Protective stop and target of what is held, then an entry that waits; returns local cash."""
    j = state.line[i].member
    mine = state.member[j]
    if not traded(t, state.line[i].instrument, bars):
        return 0.0
    cash = 0.0
    if state.line[i].position != 0.0:
        cash += protect(t, i, j, quote, bars, orders, account, finer, state, books)
    if mine.pending >= 0 and state.line[i].out != t:
        cash += await_entry(t, i, j, quote, bars, orders, account, finer, state, books)
    return cash


@bare
def walked(t, m, side, kind, want, price, limit, triggered, levels, bars, account, finer, state):
    """`fills.walk` of the bar, or of the finer bars that it is made of."""
    first, last = 0, 0
    if finer.first.shape[0] > 0:
        first, last = finer.first[t, m], finer.last[t, m]
    return walk(
        bars[t, m].open, bars[t, m].high, bars[t, m].low, bars[t, m].close, bars[t, m].tick, side, kind, want,
        price, limit, triggered, levels[0], levels[1], levels[2], levels[3], account.through, account.policy,
        finer.bars, first, last, state.path,
    )  # fmt: skip


@bare
def protect(t, i, j, quote, bars, orders, account, finer, state, books):
    """The protective orders of what is held; returns local cash."""
    m, side = state.line[i].instrument, np.sign(state.line[i].position)
    stop, goal, trailing = protection(t, j, m, side, bars, state)
    levels = (stop, np.nan, goal, np.nan)
    found, ambiguous, _ = walked(t, m, side, -1, 0.0, np.nan, np.nan, 0, levels, bars, account, finer, state)
    if ambiguous:
        mark_ambiguous(i, state, books)
    if found == 0:
        return 0.0
    return leave(t, i, j, int(state.path[0, 0]), trailing, state.path[0, 1], quote, bars, account, state,
                 books)  # fmt: skip


@bare
def await_entry(t, i, j, quote, bars, orders, account, finer, state, books):
    """An entry that waits, and what may end it on the same bar; returns local cash."""
    mine = state.member[j]
    m, row, kind, want = (
        state.line[i].instrument,
        mine.asked,
        mine.pending,
        np.sign(mine.amount),
    )
    offset, more = bars[t, m].offset, state.line[i].position != 0.0
    levels = (np.nan, np.nan, np.nan, np.nan)  # of what is held already they have been asked
    if not more:
        near = tighter(orders[row, j].stop, orders[row, j].trail, -1.0)
        levels = (mine.stop_at - offset, near, mine.goal_at - offset, orders[row, j].target)
    price, limit = orders[row, j].price - offset, orders[row, j].limit - offset
    found, ambiguous, triggered = walked(
        t, m, 0.0, kind, want, price, limit, mine.triggered, levels, bars, account, finer, state
    )
    mine.triggered, mine.tried = triggered, 1
    cash = 0.0
    for k in range(found):
        what, at = int(state.path[k, 0]), state.path[k, 1]
        if what != ENTERED:
            _, _, trailing = protection(t, j, m, want, bars, state)
            cash += leave(t, i, j, what, trailing, at, quote, bars, account, state, books)
            continue
        got = allowed(t, i, m, mine.amount, bars, account, state, books)
        if got == 0.0:
            break
        cash += enter(t, i, j, kind, got, at, quote, orders, account, state, books)
        if ambiguous:
            mark_ambiguous(i, state, books)
            ambiguous = 0
    if ambiguous:
        state.line[i].ambiguous += 1.0
    return cash


@bare
def day_ends(t, orders, state, books):
    """The end of a day: what is held has been held for one more, day orders lapse; nothing on a market's holiday.

    The last bar of the day need not be one of the market's: others may trade longer.
    """
    for j in range(state.member.shape[0]):
        mine = state.member[j]
        if not mine.ordered:
            continue
        i = mine.first
        if mine.seen and state.line[i].position != 0.0:
            mine.days += 1
        mine.seen = 0
        if mine.pending >= 0 and mine.tried and orders[mine.asked, j].day:
            mine.pending, mine.triggered = -1, 0
            if not mine.filled:
                event(t, i, EXPIRED, mine.amount, 0.0, state, books)
                mine.blocked = orders[mine.asked, j].episode


@bare
def allowed(t, i, m, size, bars, account, state, books):
    """What of an order inside the bar can trade: nothing at a limit, and no more than a share of the volume."""
    if bars[t, m].locked * size > 0.0:
        event(t, i, LOCKED, size, 0.0, state, books)
        return 0.0
    got = cap(size, bars[t, m].volume, account.participation, account.rounding != FRACTIONAL)
    if got != size:
        event(t, i, PARTIAL, size, got, state, books)
    return got


@bare
def enter(t, i, j, kind, got, at, quote, orders, account, state, books):
    """An entry that waited fills, or a part of it; returns local cash."""
    mine = state.member[j]
    flat = state.line[i].position == 0.0
    cash = move(t, i, at, quote, state, books)
    slips = 0.0 if kind in (LIMIT, STOP_LIMIT) else 1.0
    impact = impact_by(abs(got), quote.volume, quote, account.power)
    cash += trade(t, i, got, at, kind, EXIT_SIGNAL, 1.0, impact, slips, quote, state, books)
    if flat:
        entered(t, i, at, mine.asked, quote, orders, state)
    state.line[i].target = state.line[i].position
    mine.amount -= got
    mine.filled = 1
    if mine.amount == 0.0:
        mine.pending, mine.triggered = -1, 0
    return cash


@bare
def leave(t, i, j, what, trailing, at, quote, bars, account, state, books):
    """A protective stop or a target closes the position; what volume does not allow follows at the market."""
    mine = state.member[j]
    wanted = -state.line[i].position
    if bars[t, state.line[i].instrument].locked * wanted > 0.0:
        event(t, i, LOCKED, wanted, 0.0, state, books)
        return 0.0
    slips, kind, why = 1.0, BY_PROTECTION, EXIT_STOP
    if what == TAKEN:
        slips, kind, why = 0.0, BY_TARGET, EXIT_TARGET
    elif trailing:
        kind, why = BY_TRAIL, EXIT_TRAIL
    state.line[i].out, mine.closing, mine.blocked, mine.pending = (
        t,
        1,
        mine.episode,
        -1,
    )
    state.line[i].why, state.line[i].kind, state.line[i].target = why, BY_MARKET, 0.0
    left, whole = state.line[i].left, account.rounding != FRACTIONAL
    part = cap(-left, quote.left_volume, account.participation, whole)
    own = cap(wanted + left, quote.volume, account.participation, whole)
    if part != -left or own != wanted + left:
        event(t, i, PARTIAL, wanted, part + own, state, books)
    if part == 0.0 and own == 0.0:
        return 0.0
    cash = move(t, i, at, quote, state, books)
    if part != 0.0:  # nobody knows the price of the contract rolled out of at that moment
        old = at + state.line[i].spread
        impact = impact_by(abs(part), quote.left_volume, quote, account.power)
        cash += trade_left(t, i, part, old, at, kind, why, impact, quote, state, books)
    if own != 0.0:
        impact = impact_by(abs(own), quote.volume, quote, account.power)
        cash += trade(t, i, own, at, kind, why, 1.0, impact, slips, quote, state, books)
    return cash
