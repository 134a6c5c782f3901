"""Slow twin of the end of a bar: what members want of the next one, and how much of it they may.

Step 10 of the specification: wishes, whole contracts, pending entries, limits, margin call, initial margin, spreads.
"""

import math
from dataclasses import dataclass

import numpy as np

from tests import naive_limits, naive_margin
from tests.naive_whole import nearest

NEAREST_RISK = 2
MARKET = 0


@dataclass
class Order:
    """A row of the orders of one member; pending if it is an entry that waits. Adjusted points; nan none."""

    kind: int
    price: float
    limit: float
    day: bool
    stop: float
    stop_at: float
    target: float
    target_at: float
    trail: float
    hold: int
    episode: int
    size: float = 0.0
    triggered: bool = False
    filled: bool = False
    tried: bool = False  # has met a bar of its market


def order_of(book, t, j, size=0.0):
    """What the row says of a member."""
    names = ("kind", "price", "limit", "day", "stop", "stop_at", "target", "target_at", "trail", "hold", "episode")
    return Order(*(book.orders[name][t][j] for name in names), size=size)


def decide(book, t):
    """Targets for the next bar, and what is written down of why they are not what was wished."""
    if book.clock["day_end"][t]:
        day_ends(book, t)
    wished = [wish(book, t, member) for member in book.members]
    units = whole(book, t, wished)
    wanted = [0.0] * len(book.lines)
    for member, size in zip(book.members, units, strict=True):
        at_market = target(book, t, member, size)
        for i in member.legs:
            wanted[i] = at_market * book.lines[i].ratio
            reason = "spread broken" if member.broken else "market"
            book.lines[i].reason = "capital floor" if book.halted else reason
    pending = [pending_of(book.members[line.member]) for line in book.lines]
    allowed_ = allowed(book, t, [a + b for a, b in zip(wanted, pending, strict=True)])
    for member in book.members:
        sizes = together(book, member, allowed_)
        for i, size in sizes.items():
            settle(book, member, i, wanted[i], size)


def day_ends(book, t):
    """One more day of what is held, and the end of day orders, where the market had a bar on that day."""
    for member in book.members:
        i, levels, pending = member.legs[0], member.levels, member.pending
        if levels is not None and book.held(i):
            levels.days += levels.seen
            levels.seen = False
        if pending is not None and pending.day and pending.tried:
            member.pending = None
            if not pending.filled:
                book.books.event(t, i, "order expired")
                member.blocked = pending.episode


def settle(book, member, i, wanted, size):
    """Divide what is allowed of a line into a target and the entry that waits."""
    line, pending = book.lines[i], member.pending
    if pending is None:
        line.wanted = size
        return
    line.wanted = math.copysign(min(abs(wanted), abs(size)), wanted) if wanted * size > 0 else 0.0
    pending.size = size - line.wanted
    if not pending.size:
        member.pending = None


def pending_of(member):
    return member.pending.size if member.pending else 0.0


# Wishes


def base(book, t, member):
    """Capital of one unit of weight."""
    sleeve = book.lines[member.legs[0]].sleeve
    if not book.account.per_capital or book.wishes["contracts"][member.j]:
        return 1.0
    return max(book.sleeve[t][sleeve], 0.0) if book.account.compounding else book.capital[sleeve]


def units_held(book, member):
    """Units of a member: of the leg that has least of them, none unless all legs lie on the side of the unit."""
    legs = [book.held(i) / book.lines[i].ratio for i in member.legs]
    if all(x > 0 for x in legs):
        return min(legs)
    return max(legs) if all(x < 0 for x in legs) else 0.0


def wish(book, t, member):
    """(units wished, whether they are those held), not yet whole: points a to c."""
    j, held = member.j, units_held(book, member)
    capital = base(book, t, member)
    usual = book.wishes["usual"][t][j] * capital
    units = forecast(book, t, member) * usual if book.wishes["program"][j] >= 0 else None
    units = book.wishes["weight"][t][j] * capital if units is None else units
    if book.halted or member.broken or not all(book.available[t][book.lines[i].m] for i in member.legs):
        units = 0.0
    if member.ordered:
        units = ordered(book, t, member, units)
    if not units:
        return 0.0, False
    if not book.wishes["resize"][j]:
        first = book.lines[member.legs[0]]
        was = first.wanted / first.ratio  # of which the volume may have let only a part in
        entering = was if was * held > 0 and abs(was) > abs(held) else held
        return (entering, True) if units * held > 0 else (units, False)
    if book.wishes["contracts"][j]:  # what a strategy asks for in contracts is what it gets
        return units, False
    near = book.account.buffer * abs(usual)
    if abs(units - held) <= near:
        return held, True
    if near and book.whole and not by_risk(book, t):
        return edge(units, held, near), False
    return units - math.copysign(near, units - held), False


def edge(units, held, near):
    """Whole contracts: those held, if what is wanted is near; else where the buffer begins, but not past that.

    Of two as near to where it begins the one nearer to those held.
    """
    wanted = math.trunc(units)
    if abs(wanted - held) <= near:
        return held
    if wanted > held:
        return float(min(n for n in range(math.trunc(held), wanted + 1) if n == wanted or n >= units - near - 0.5))
    return float(max(n for n in range(wanted, math.trunc(held) + 1) if n == wanted or n <= units + near + 0.5))


def forecast(book, t, member):
    """What a function that is called bar by bar asks for."""
    told, p = book.programs, int(book.wishes["program"][member.j])
    first, last = int(told.first[p]), int(told.last[p])
    if member.j == first:  # its members follow each other; it is called once for all
        if not hasattr(book, "memory"):
            book.memory, book.forecast = told.memory.copy(), np.zeros(len(book.members))
        position = np.array([units_held(book, other) for other in book.members[first:last]])
        sleeve = book.lines[member.legs[0]].sleeve
        told.functions[p](
            t, told.column[first:last], told.adjusted, told.mark, position, book.sleeve[t][sleeve], told.params[p],
            book.memory[first:last], book.forecast[first:last],
        )  # fmt: skip
    asked = float(book.forecast[member.j])
    return 0.0 if math.isnan(asked) else asked


def ordered(book, t, member, units):
    """What orders make of a wish: levels move, what was left waits for a new episode, time runs out."""
    i, row = member.legs[0], order_of(book, t, member.j)
    held = book.held(i)
    if not held:
        member.levels, member.closing = None, False
    for levels in (member.levels, member.pending):
        if levels is not None and units * (held or member.pending.size) > 0:
            levels.stop_at = levels.stop_at if math.isnan(row.stop_at) else row.stop_at
            levels.target_at = levels.target_at if math.isnan(row.target_at) else row.target_at
            if levels is member.levels and not member.closing:
                levels.episode = row.episode
    if member.closing or row.episode == member.blocked:
        return 0.0
    if member.levels and units * held > 0 and 0 < member.levels.hold <= member.levels.days:
        member.blocked = row.episode
        return 0.0
    return units


def by_risk(book, t):
    """Whether whole contracts are chosen by risk, and what that takes is known."""
    return book.account.rounding == NEAREST_RISK and book.risk is not None and book.risk.period[t] >= 0


def whole(book, t, wished):
    """Point d: contracts become whole toward zero, or nearest in risk, or not at all."""
    units = [size for size, _ in wished]
    if not book.whole:
        return units
    cut = [float(math.trunc(size)) for size in units]
    if not by_risk(book, t):
        return cut
    held = [units_held(book, member) for member in book.members]
    stays = [kept or not size or asked for (size, kept), asked in zip(wished, book.wishes["contracts"], strict=True)]
    fixed = [(size, size) if stay else (-math.inf, math.inf) for size, stay in zip(cut, stays, strict=True)]
    covariance = book.risk.covariance[int(book.risk.period[t])].tolist()
    return nearest(units, held, [a for a, _ in fixed], [b for _, b in fixed], covariance, book.risk.cost[t].tolist())


def target(book, t, member, size):
    """Point e: units at the market; an entry of another kind waits instead."""
    if not member.ordered:
        return size
    row, held, pending = order_of(book, t, member.j, size), book.held(member.legs[0]), member.pending
    resized = held and book.wishes["resize"][member.j]
    turned = size * (held or (pending.size if pending else 0.0)) <= 0
    if pending is not None and (resized or turned or (not held and pending.episode != row.episode)):
        pending = member.pending = None
    if held:
        return size if row.kind == MARKET or size * held > 0 else 0.0
    if pending is not None:
        return 0.0
    if row.kind == MARKET:
        return size
    member.pending = row if size else None
    return 0.0


# What is allowed


def allowed(book, t, wanted):
    """Points f to h: limits, the margin call, the initial margin of what grows."""
    share, equity, lines = book.asked_share(t), book.equity[t], book.lines
    initial = book.question(t, "initial")
    sizes, cuts = naive_limits.apply(initial, wanted, known(book, t), book.limits, equity, share)
    for cut in cuts:
        book.books.event(t, *cut)
    need = book.question(t, "maintenance").required(initial.held) * share
    if equity < need:
        profit = [book.books.profit_of(line.i) for line in lines]
        caps = naive_margin.call(initial, profit, over(equity, share), book.account.call)
        tell_call(book, t, need, equity, list(zip(initial.held, caps, strict=True)))
        for i, cap in enumerate(caps):
            if abs(sizes[i]) > abs(cap):
                sizes[i], lines[i].reason = math.copysign(abs(cap), sizes[i]), "margin call"
    if equity <= 0 and not any(initial.held) and "ruined" not in {kind for _, _, kind, *_ in book.books.events}:
        book.books.event(t, -1, "ruined", 0.0, equity)
    if equity < book.account.floor and not book.halted:
        book.books.event(t, -1, "capital floor", book.account.floor, equity)
        book.halted = True
        for member in book.members:
            member.pending = None
        for line in lines:
            line.reason = "capital floor"
        return [0.0] * len(lines)
    got = naive_margin.affordable(initial, sizes, over(equity, share))
    for i, (before, after) in enumerate(zip(sizes, got, strict=True)):
        if abs(before - after) > 1e-12 * abs(before):
            book.books.event(t, i, "margin refused", before, after)
    return got


def tell_call(book, t, need, equity, sizes):
    """A margin call that cuts nobody is none; else the account's, and what each line that is cut has and keeps."""
    cut = {i: (has, keeps) for i, (has, keeps) in enumerate(sizes) if abs(has - keeps) > 1e-12 * abs(has)}
    if cut:
        book.books.event(t, -1, "margin call", need, equity)
    for i, (has, keeps) in cut.items():
        book.books.event(t, i, "margin call", has, keeps)


def over(equity, share):
    """Equity against the whole requirement where only a share of it is asked."""
    return equity / share if share else math.copysign(math.inf, equity)


def known(book, t):
    """What limits look at, by line."""
    out = {"sector": book.sector, "group": book.group}
    worth = [book.fact("multiplier", t, i) * book.fact("fx", t, i) for i in range(len(book.lines))]
    out["risk"] = [book.fact("sigma", t, i) * w * math.sqrt(252.0) for i, w in enumerate(worth)]
    out["notional"] = [abs(book.known.get(book.lines[i].m, math.nan)) * w for i, w in enumerate(worth)]
    for name in ("liquidity", "open_interest"):
        out[name] = [book.fact(name, t, i) for i in range(len(book.lines))]
    return out


def together(book, member, sizes):
    """Point i: legs of a spread are as many units as the one that has least."""
    if len(member.legs) == 1:
        return {member.legs[0]: sizes[member.legs[0]]}
    legs = [sizes[i] / book.lines[i].ratio for i in member.legs]
    least = min(map(abs, legs))
    least = naive_margin.whole_part(least) if book.whole else least
    units = math.copysign(least, legs[0])
    return {i: units * book.lines[i].ratio for i in member.legs}
