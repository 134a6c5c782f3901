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
    LIMIT,
    LOCKED,
    NONE,
    PARTIAL,
    STOP_LIMIT,
)  # fmt: skip
from engine.fills import ENTERED, TAKEN, cap, gapped, limit_level, stop_level, walk
from engine.kernel import inner

NOT_YET = np.int64(0)  # a stop-limit order is not triggered


@inner
def opens_beyond(line, member):
    """Whether the bar opens beyond the protective stop or the target of a line, which then leaves at the open."""
    side = np.sign(line.position)
    if side == 0.0 or not whole_bar(line.bar):
        return False
    stop, goal, _ = protection(line, member, side)
    return gapped(line.bar.open, line.terms.tick, side, stop, goal)


@inner
def whole_bar(bar):
    """Whether open, high, low and close are known."""
    return np.isfinite(bar.open + bar.high + bar.low + bar.close)


@inner
def tighter(a, b, side):
    """The level that a position of `side` reaches first as the price goes against it; nan only if both are."""
    if np.isnan(a):
        return b
    if np.isnan(b):
        return a
    return max(a, b) if side > 0.0 else min(a, b)


@inner
def protection(line, member, side):
    """(stop, target, whether the stop is the trailing one) in force, in points of the contract of the bar."""
    stop, trailing = tighter(member.stop, member.stop_at, side), False
    if not np.isnan(member.trail):
        follows = member.best - side * member.trail
        if np.isnan(stop) or side * (follows - stop) > 0.0:
            stop, trailing = follows, True
    offset, tick = line.fact.offset, line.terms.tick
    goal = tighter(member.goal, member.goal_at, -side)
    return stop_level(stop, offset, -side, tick), limit_level(goal, offset, -side, tick), trailing


@inner
def entered(t, line, member, price, asked):
    """The levels of a position just entered, as the row `asked` of its orders says."""
    side, filled = np.sign(line.position), price + line.fact.offset
    member.stop, member.goal = filled - side * asked.stop, filled + side * asked.target
    member.trail, member.best = asked.trail, filled
    member.hold, member.episode = asked.hold, asked.episode
    member.entered, member.days, member.closing = t, 0, 0
    first = tighter(tighter(member.stop, member.stop_at, side), filled - side * member.trail, side)
    risk = side * (filled - first) * abs(line.position) * line.fact.multiplier * line.fact.fx
    line.whole.risk = line.leg.risk = risk


@inner
def trail(t, line, member):
    """The best price since the entry; on the bar of the entry only the fill and the close are known to follow it."""
    side, extreme = np.sign(line.position), line.bar.close
    if member.entered != t:
        extreme = line.bar.high if side > 0.0 else line.bar.low
    told = extreme + line.fact.offset
    if not np.isnan(extreme) and side * (told - member.best) > 0.0:
        member.best = told


@inner
def inside(t, line, member, extras, rules, books):
    """Protective stop and target of what is held, then an entry that waits; returns local cash."""
    if not whole_bar(line.bar):
        return 0.0
    cash = 0.0
    if line.position != 0.0:
        cash += protect(t, line, member, extras, rules, books)
    if member.pending >= 0 and line.out != t:
        cash += await_entry(t, line, member, extras, rules, books)
    return cash


@inner
def walked(t, line, side, kind, want, price, limit, triggered, levels, rules, extras):
    """`fills.walk` of the bar, or of the finer bars that it is made of."""
    first, last, bar, finer = 0, 0, line.bar, extras.finer
    if finer.first.shape[0] > 0:
        first, last = finer.first[t, line.instrument], finer.last[t, line.instrument]
    return walk(
        bar.open, bar.high, bar.low, bar.close, line.terms.tick, side, kind, want, price, limit, triggered, levels[0],
        levels[1], levels[2], levels[3], rules.through, rules.policy, finer.bars, first, last,
        extras.path,
    )  # fmt: skip


@inner
def protect(t, line, member, extras, rules, books):
    """The protective orders of what is held; returns local cash."""
    side = np.sign(line.position)
    stop, goal, trailing = protection(line, member, side)
    levels = (stop, np.nan, goal, np.nan)
    found, ambiguous, _ = walked(t, line, side, NONE, 0.0, np.nan, np.nan, NOT_YET, levels, rules, extras)
    if ambiguous:
        mark_ambiguous(line)
    if found == 0:
        return 0.0
    return leave(t, line, member, int(extras.path[0, 0]), trailing, extras.path[0, 1], rules, books)


@inner
def await_entry(t, line, member, extras, rules, books):
    """An entry that waits, and what may end it on the same bar; returns local cash."""
    asked, path = extras.orders[member.asked, line.member], extras.path
    kind, want, offset = member.pending, np.sign(member.amount), line.fact.offset
    levels = (np.nan, np.nan, np.nan, np.nan)  # of what is held already they have been asked
    if line.position == 0.0:
        near = tighter(asked.stop, asked.trail, -1.0)
        levels = (member.stop_at - offset, near, member.goal_at - offset, asked.target)
    price, limit, triggered = asked.price - offset, asked.limit - offset, member.triggered
    found, ambiguous, triggered = walked(
        t, line, 0.0, kind, want, price, limit, triggered, levels, rules, extras
    )  # fmt: skip
    member.triggered, member.tried = triggered, 1
    cash = 0.0
    for k in range(found):
        what, at = int(path[k, 0]), path[k, 1]
        if what != ENTERED:
            _, _, trailing = protection(line, member, want)
            cash += leave(t, line, member, what, trailing, at, rules, books)
            continue
        got = allowed(t, line, member.amount, rules, books)
        if got == 0.0:
            break
        cash += enter(t, line, member, kind, got, at, asked, rules, books)
        if ambiguous:
            mark_ambiguous(line)
            ambiguous = 0
    if ambiguous:
        line.ambiguous += 1.0
    return cash


@inner
def day_ends(t, orders, state, books):
    """The end of a day: what is held has been held for one more, day orders lapse; nothing on a market's holiday.

    The last bar of the day need not be one of the market's: others may trade longer.
    """
    for j in range(state.members.shape[0]):
        member = state.members[j]
        if not member.ordered:
            continue
        if member.seen and state.lines[member.first].position != 0.0:
            member.days += 1
        member.seen = 0
        if member.pending >= 0 and member.tried and orders[member.asked, j].day:
            member.pending, member.triggered = -1, 0
            if not member.filled:
                event(t, member.first, EXPIRED, member.amount, 0.0, books)
                member.blocked = orders[member.asked, j].episode


@inner
def allowed(t, line, size, rules, books):
    """What of an order inside the bar can trade: nothing at a limit, and no more than a share of the volume."""
    if line.bar.locked * size > 0.0:
        event(t, line.number, LOCKED, size, 0.0, books)
        return 0.0
    got = cap(size, line.bar.volume, rules.participation, rules.rounding != FRACTIONAL)
    if got != size:
        event(t, line.number, PARTIAL, size, got, books)
    return got


@inner
def enter(t, line, member, kind, got, at, asked, rules, books):
    """An entry that waited fills, or a part of it; returns local cash."""
    flat = line.position == 0.0
    cash = move(line, at, line.fact)
    slips = 0.0 if kind in (LIMIT, STOP_LIMIT) else 1.0
    impact = impact_by(abs(got), line.bar.volume, line, rules.power)
    cash += trade(t, line, got, at, kind, EXIT_SIGNAL, 1.0, impact, slips, books)
    if flat:
        entered(t, line, member, at, asked)
    line.target = line.position
    member.amount -= got
    member.filled = 1
    if member.amount == 0.0:
        member.pending, member.triggered = -1, 0
    return cash


@inner
def leave(t, line, member, what, trailing, at, rules, books):
    """A protective stop or a target closes the position; what volume does not allow follows at the market."""
    wanted = -line.position
    if line.bar.locked * wanted > 0.0:
        event(t, line.number, LOCKED, wanted, 0.0, books)
        return 0.0
    slips, kind, why = 1.0, BY_PROTECTION, EXIT_STOP
    if what == TAKEN:
        slips, kind, why = 0.0, BY_TARGET, EXIT_TARGET
    elif trailing:
        kind, why = BY_TRAIL, EXIT_TRAIL
    member.closing, member.blocked, member.pending = 1, member.episode, -1
    line.out, line.why, line.kind, line.target = t, why, BY_MARKET, 0.0
    bar, left, whole = line.bar, line.left, rules.rounding != FRACTIONAL
    part = cap(-left, bar.left_volume, rules.participation, whole)
    own = cap(wanted + left, bar.volume, rules.participation, whole)
    if part != -left or own != wanted + left:
        event(t, line.number, PARTIAL, wanted, part + own, books)
    if part == 0.0 and own == 0.0:
        return 0.0
    cash = move(line, at, line.fact)
    if part != 0.0:  # nobody knows the price of the contract rolled out of at that moment
        impact = impact_by(abs(part), bar.left_volume, line, rules.power)
        cash += trade_left(t, line, part, at + line.spread, at, kind, why, impact, books)
    if own != 0.0:
        impact = impact_by(abs(own), bar.volume, line, rules.power)
        cash += trade(t, line, own, at, kind, why, 1.0, impact, slips, books)
    return cash
