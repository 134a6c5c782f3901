"""Slow twin of one bar's trading: orders at the market, orders inside the bar, rolls and ends of contracts.

All functions take the `Book` of `tests.naive_account`; the rules are those of the specification, in its order.
"""

import math
from collections import defaultdict

from tests.naive_fills import FINER, LIMIT, STOP, STOP_LIMIT, gapped, rounded, walk
from tests.naive_margin import whole_part

KIND = {LIMIT: "limit", STOP: "stop", STOP_LIMIT: "stop limit"}
PAYS_ONLY_COMMISSION = ("limit", "stop limit", "target")
COSTS = ("slippage", "impact", "commission")


def nan(x):
    return math.isnan(x)


def market_orders(book, t, exited):
    """Step 1: everything from what is held to what is wanted."""
    deltas = {}
    for line in book.lines:
        held = book.held(line.i)
        delta = line.wanted - held
        if abs(delta) > 1e-12 * max(abs(held), abs(line.wanted)) and line.i not in exited:
            deltas[line.i] = delta
    asked = dict(deltas)
    stuck = {i for i in deltas if not can_trade(book, t, i, deltas[i])}
    short = {i for i in deltas if i not in stuck and abs(sum(split(book, t, i, deltas[i])) - deltas[i]) > 1e-9}
    for member in book.members:
        if together(member) and (stuck | short) & set(member.legs):
            book.books.event(t, member.legs[0], "spread waits")
            stuck |= set(member.legs)
    deltas = {i: delta for i, delta in deltas.items() if i not in stuck}
    thick = {i: sum(split(book, t, i, delta, False)) for i, delta in deltas.items()}  # if volume held nothing back
    deltas = participated(book, t, {i: sum(split(book, t, i, delta)) for i, delta in deltas.items()})
    for i, delta in deltas.items():
        if delta != thick[i]:
            book.books.event(t, i, "partial fill", asked[i], delta)
    for i, (share, impact) in shares(book, t, deltas).items():
        if deltas[i]:
            order(book, t, i, deltas[i], book.price("fill", t, i), book.lines[i].reason, share, impact)


def together(member):
    """Whether the legs trade all or none: not those of a spread that is broken."""
    return len(member.legs) > 1 and not member.broken


def can_trade(book, t, i, delta):
    """A price on the bar, no locked limit in the way, no protective order that the open has met."""
    price = book.price("fill", t, i)
    if nan(price) or nan(book.price("mark", t, i)):
        return False
    if book.price("locked", t, i) * delta > 0:
        book.books.event(t, i, "limit locked", delta, 0.0)
        return False
    return not (book.account.at_open and met_at_open(book, t, i))


def met_at_open(book, t, i):
    """Whether stop or target of an ordered line is gapped; then what happens inside the bar ends it."""
    member = book.members[book.lines[i].member]
    start, held = book.price("open", t, i), book.held(i)
    if member.levels is None or not held or not has_bar(book, t, i):
        return False
    side, tick = int(math.copysign(1, held)), book.price("tick", t, i)
    stop, _, target = levels_now(book, t, member, side)
    return gapped(start, tick, side, rounded(stop, tick, side < 0), rounded(target, tick, side > 0))


def has_bar(book, t, i):
    return all(math.isfinite(book.price(name, t, i)) for name in ("open", "high", "low", "close"))


def split(book, t, i, delta, thin=True):
    """(part of an order in the contract that is being left, part in the contract of the bar); the first goes first.

    Where the contract being left has no price it stays, and of a reduction only the other part trades; where it is too
    thin for all of its part, the other part trades too but is not turned.
    """
    left, held = book.left(i), book.held(i)
    if not left or delta * held >= 0:
        return 0.0, delta
    if nan(left_price(book, t, i)):
        return 0.0, math.copysign(min(abs(delta), abs(held - left)), delta)
    due = min(abs(delta), abs(left))
    part = min(due, allowed(book, book.price("left_volume", t, i))) if thin else due
    rest = abs(delta) - due if part == due else min(abs(delta) - part, abs(held - left))
    return math.copysign(part, delta), math.copysign(rest, delta) if rest else 0.0


def left_price(book, t, i):
    return book.price("left_open" if book.account.at_open else "left_mark", t, i)


def groups(book, t, deltas):
    """Lines that trade the same contract of the bar: [{line: size}]."""
    found = defaultdict(dict)
    for i, delta in deltas.items():
        found[book.lines[i].root, book.price("contract", t, i)][i] = split(book, t, i, delta)[1]
    return list(found.values())


def participated(book, t, deltas):
    """Deltas that a share of the bar's volume allows."""
    factor = {}
    for group in groups(book, t, deltas):
        net, most = abs(math.fsum(group.values())), allowed(book, book.price("volume", t, next(iter(group))))
        for i in group:
            factor[i] = most / net if net > most else 1.0
    out = {}
    for member in book.members:
        legs = [i for i in member.legs if i in deltas]
        least = min((factor[i] for i in legs), default=1.0)
        for i in legs:
            least = least if together(member) else factor[i]
            if least >= 1.0:
                out[i] = deltas[i]
            elif together(member):
                out[i] = scaled(book, deltas[i] / book.lines[i].ratio, least) * book.lines[i].ratio
            else:
                left, rest = split(book, t, i, deltas[i])
                out[i] = left + scaled(book, rest, least)
    return out


def scaled(book, size, factor):
    part = abs(size) * factor
    return math.copysign(whole_part(part) if book.whole else part, size)


def allowed(book, volume):
    """Contracts that participation lets trade of a volume; fractions of them where those are traded."""
    share = book.account.participation
    if math.isinf(share) or nan(volume):
        return math.inf
    most = max(0.0, share * volume)
    return float(math.floor(most + 1e-9)) if book.whole else most


def shares(book, t, deltas):
    """{line: (share of the costs, impact in points of one contract)}."""
    out = {}
    for group in groups(book, t, deltas):
        net, gross = abs(math.fsum(group.values())), math.fsum(map(abs, group.values()))
        for i in group:
            out[i] = (net / gross if gross else 0.0, impact(book, t, i, net, book.price("volume", t, i)))
    return {i: out[i] for i in deltas}


def impact(book, t, i, size, volume):
    """Points a contract; by the bar's volume, else by the usual one of the bar before."""
    if (nan(volume) or volume <= 0) and t > 0:
        volume = book.fact("liquidity", t - 1, i)
    if nan(volume) or volume <= 0 or not size:
        return 0.0
    return book.fact("impact", t, i) * min(size / volume, 1.0) ** book.account.power


def order(book, t, i, delta, price, kind, share=1.0, points=0.0, old=None):
    """Trade at a price of the contract of the bar; a reduction takes the contract that is being left first.

    `old` is the part of it in that contract, where that is not left to the market order's rule.
    """
    book.move(t, i, price)
    contract, left = book.lines[i].old, left_price(book, t, i)
    if old is None:
        old, rest = split(book, t, i, delta)
    else:
        rest, left = delta - old, book.lines[i].old_price  # nobody knows its price at that moment
    if old:
        gap = -old * (left - book.lines[i].old_price) * book.fact("multiplier", t, i)
        book.cash(t, i, "roll_gap", gap, contract)
        size = impact(book, t, i, abs(old), book.price("left_volume", t, i)) if kind != "closed" else 0.0
        traded(book, t, i, contract, left, old, kind, 1.0, size)
    now = book.price("contract", t, i)
    held = book.books.at(i, now)
    leaving = math.copysign(min(abs(rest), abs(held)), rest) if held * rest < 0 else 0.0
    if rest:
        first = len(book.books.fills)
        for part in (leaving, rest - leaving):
            if abs(part) > 1e-12 * abs(rest):
                traded(book, t, i, now, price, part, kind, share, points)
        if len(book.books.fills) == first + 2:  # through zero is one fill
            one, two = book.books.fills[first:]
            book.books.fills[first:] = [
                (*one[:4], rest, price, *(a + b for a, b in zip(one[6:], two[6:], strict=True)))
            ]


def traded(book, t, i, contract, price, size, kind, share, points):
    """A fill of one contract with its costs."""
    books = book.books
    books.change(t, i, contract, price, size, kind)
    if kind in PAYS_ONLY_COMMISSION and contract == book.price("contract", t, i):  # the other one trades at the market
        costs = (0.0, 0.0, abs(size) * share * book.fact("commission", t, i))
    else:
        value = abs(size) * share * book.fact("multiplier", t, i)
        costs = (value * book.fact("slippage", t, i), value * points, abs(size) * share * book.fact("commission", t, i))
    paid = [book.cash(t, i, cause, -cost, contract) for cause, cost in zip(COSTS, costs, strict=True)]
    books.fills.append((t, i, contract, kind, size, price, *paid))
    closing = book.members[book.lines[i].member].closing  # what the volume did not let go at once
    books.over(t, i, contract, price, closing if kind == "market" and closing else kind)


# Step 2


def levels_now(book, t, member, side):
    """(protective stop, whether it is the trailing one, target) in contract points, not yet on ticks; nan none."""
    levels, offset = member.levels, book.price("offset", t, member.legs[0])
    fixed = [x for x in (levels.stop, levels.stop_at) if not nan(x)]
    trail = levels.best - side * levels.trail  # on the bar of the entry the best is the fill
    stops = fixed + ([] if nan(trail) else [trail])
    targets = [x for x in (levels.target, levels.target_at) if not nan(x)]
    tightest, nearest = (max, min) if side > 0 else (min, max)
    stop = tightest(stops, default=math.nan)
    trailing = not nan(trail) and all(side * x < side * trail for x in fixed)
    return stop - offset, trailing, nearest(targets, default=math.nan) - offset


def inside(book, t):
    """Step 2: pending entries and protective orders; returns the lines that were left."""
    exited = set()
    for member in book.members:
        if not member.ordered or not has_bar(book, t, member.legs[0]):
            continue
        i = member.legs[0]
        if book.held(i) and member.levels is not None:
            protect(book, t, member, exited)
        if member.pending and i not in exited:
            enter(book, t, member, exited)
    return exited


def bars_of(book, t, i):
    """The finer bars of a bar where the policy asks for them and there are any, else the bar."""
    finer, m = book.finer, book.lines[i].m
    if book.account.policy == FINER and finer is not None and len(finer.first) and finer.last[t, m] > finer.first[t, m]:
        return finer.bars[int(finer.first[t, m]) : int(finer.last[t, m])].tolist()
    return [tuple(book.price(name, t, i) for name in ("open", "high", "low", "close"))]


def run_walk(book, t, i, side, entry, stop, target):
    fills, ambiguous, triggered = walk(
        bars_of(book, t, i), book.price("tick", t, i), side, entry, stop, target, book.account.through,
        book.account.policy,
    )  # fmt: skip
    if ambiguous:
        book.ambiguous.add((t, i))
    return fills, triggered


def protect(book, t, member, exited):
    """Protective stop and target of what is held."""
    i = member.legs[0]
    side = int(math.copysign(1, book.held(i)))
    stop, trailing, target = levels_now(book, t, member, side)
    for what, price in run_walk(book, t, i, side, None, stop, target)[0]:
        leave(book, t, member, "trailing stop" if what == "stop" and trailing else what, price, exited)


def leave(book, t, member, what, price, exited):
    """A protective order is met: all goes that the bar lets go, the rest at the market on the next bar."""
    i = member.legs[0]
    wanted = -book.held(i)
    if book.price("locked", t, i) * wanted > 0:
        book.books.event(t, i, "limit locked", wanted, 0.0)
        return
    exited.add(i)
    kind = {"stop": "protective stop"}.get(what, what)
    member.blocked, member.pending, member.closing = member.levels.episode, None, kind
    old, own = -book.left(i), wanted + book.left(i)
    sold = [
        math.copysign(min(abs(part), allowed(book, book.price(name, t, i))), part) if part else 0.0
        for part, name in ((old, "left_volume"), (own, "volume"))
    ]
    if sold != [old, own]:
        book.books.event(t, i, "partial fill", wanted, sum(sold))
    if any(sold):
        points = impact(book, t, i, abs(sold[1]), book.price("volume", t, i))
        order(book, t, i, sum(sold), price, kind, 1.0, points, sold[0])
    if not book.held(i):
        member.levels, member.closing = None, False


def filled(book, t, i, wanted):
    """What participation leaves of one fill."""
    got = math.copysign(min(abs(wanted), allowed(book, book.price("volume", t, i))), wanted)
    got = float(math.trunc(got)) if book.whole else got
    if got != wanted:
        book.books.event(t, i, "partial fill", wanted, got)
    return got


def enter(book, t, member, exited):
    """A pending entry, and what may end it on the same bar."""
    i, pending = member.legs[0], member.pending
    side, offset = int(math.copysign(1, pending.size)), book.price("offset", t, i)
    nearest = min((x for x in (pending.stop, pending.trail) if not nan(x)), default=math.nan)
    entry = (
        pending.kind, side, pending.price - offset, pending.limit - offset, pending.triggered, nearest, pending.target,
    )  # fmt: skip
    more = bool(book.held(i))  # the rest of an entry that was filled in part: its levels have been asked already
    if more:
        entry = (*entry[:5], math.nan, math.nan)
    fixed = (math.nan, math.nan) if more else (pending.stop_at - offset, pending.target_at - offset)
    pending.tried = True
    fills, pending.triggered = run_walk(book, t, i, 0, entry, *fixed)
    for what, price in fills:
        if what == "entry":
            if not filled_entry(book, t, member, side, price):
                break
        else:
            trailing = what == "stop" and levels_now(book, t, member, side)[1]
            leave(book, t, member, "trailing stop" if trailing else what, price, exited)


def filled_entry(book, t, member, side, price):
    """Fill what may be filled of a pending entry; whether anything was."""
    i, pending = member.legs[0], member.pending
    if book.price("locked", t, i) * side > 0:
        book.books.event(t, i, "limit locked", pending.size, 0.0)
        return False
    got = filled(book, t, i, pending.size)
    if not got:
        return False
    flat = not book.held(i)
    kind = KIND[pending.kind]
    points = impact(book, t, i, abs(got), book.price("volume", t, i))
    order(book, t, i, got, price, kind, 1.0, points)
    book.lines[i].wanted = book.held(i)
    if flat:
        member.protect(t, price + book.price("offset", t, i), side, pending)
    pending.size -= got
    pending.filled = True
    if not pending.size:
        member.pending = None
    return True
