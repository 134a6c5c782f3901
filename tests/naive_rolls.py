"""Slow twin of the rolls: from one dated contract into the next, at once or over several days; and ends without one.

Lines of one column of the market roll together: what offsets between them trades with nobody and costs nothing.
"""

import math

from tests.naive_margin import whole_part
from tests.naive_trading import allowed, impact, nan, order


def roll(book, t):
    """Step 3: what was left of an earlier roll, then the roll of the day."""
    for m in sorted({line.m for line in book.lines}):
        lines = [line for line in book.lines if line.m == m and book.held(line.i)]
        leave_old(book, t, [line for line in lines if book.left(line.i) and line.rolled < t])
        if lines and book.prices["roll"][t][m]:
            begin(book, t, lines)


def leave_old(book, t, lines):
    """A later day of a roll: the part that is left goes on at the marks of both contracts."""
    if not lines:
        return
    i = lines[0].i
    known = not nan(book.price("left_mark", t, i)) and not nan(book.price("mark", t, i))
    must = bool(book.price("left_end", t, i) or book.price("roll", t, i) or not book.price("left_contract", t, i))
    if not (known or must):
        return
    most = math.inf if must else allowed(book, book.price("left_volume", t, i))
    sizes = {}
    for line in lines:
        left = book.left(line.i)
        days = book.account.roll_days - (t - line.rolled)
        part = abs(left) if must or days <= 1 else portion(book, abs(left), days)
        sizes[line.i] = math.copysign(min(part, most), left)
    share = share_of(list(sizes.values()))
    points = roll_impact(book, t, i, sizes, "left_volume")
    for line in lines:
        if sizes[line.i]:
            prices = line.old_price, line.last
            move_on(book, t, line, line.old, book.price("contract", t, i), sizes[line.i], prices, prices, share, points)
        if not book.left(line.i):
            line.old = None


def begin(book, t, lines):
    """The day of a roll: what is due goes at the prices of both legs, the rest is left in the old contract."""
    i = lines[0].i
    must = bool(book.price("left_end", t, i))  # nothing of it may stay
    most, sizes = math.inf if must else allowed(book, book.price("roll_volume", t, i)), {}
    for line in lines:
        held = book.held(line.i)
        gradual = book.account.roll_days > 1 and not must
        part = portion(book, abs(held), book.account.roll_days) if gradual else abs(held)
        sizes[line.i] = math.copysign(min(part, most), held)
    share = share_of(list(sizes.values()))
    points = roll_impact(book, t, i, sizes, "roll_volume")
    series = book.price("roll_from", t, i), book.price("roll_to", t, i)
    traded = book.price("roll_from_fill", t, i), book.price("roll_to_fill", t, i)
    old, new = book.price("contract", t, i), book.price("roll_contract", t, i)
    for line in lines:
        held, size = book.held(line.i), sizes[line.i]
        line.last, line.old, line.old_price, line.rolled = series[1], old, series[0], t
        book.books.trade[line.i]["rolls"] += 1
        if size:
            for part, prices in parts(book, line.i, size, series, traded):
                move_on(book, t, line, old, new, part, series, prices, share, points)
        if size != held:
            book.books.event(t, line.i, "roll over several days", abs(held), abs(size))
        else:
            line.old = None


def parts(book, i, size, series, traded):
    """What rolls at the prices at the open, if those are others: what was held then; and the rest, at the series'."""
    early = min(abs(size), max(0.0, math.copysign(1.0, size) * book.opened[i])) if series != traded else abs(size)
    told = ((math.copysign(early, size), traded), (size - math.copysign(early, size), series))
    return [(part, prices) for part, prices in told if part]


def portion(book, size, days):
    """What is due of a size that is spread evenly over so many days."""
    return whole_part(size / days) if book.whole else size / days


def share_of(sizes):
    """Part of the costs that lines pay which roll together."""
    gross = math.fsum(map(abs, sizes))
    return abs(math.fsum(sizes)) / gross if gross else 1.0


def roll_impact(book, t, i, sizes, volume):
    return impact(book, t, i, abs(math.fsum(sizes.values())), book.price(volume, t, i))


def move_on(book, t, line, old, new, size, series, traded, share, points):
    """Sell in one contract and buy in the other; what they traded at against what the series says is the roll's gap."""
    i, books = line.i, book.books
    value = abs(size) * share * book.fact("multiplier", t, i)
    costs = (
        ("roll_slippage", value * book.fact("roll_slippage", t, i)),
        ("roll_impact", value * points),
        ("roll_commission", abs(size) * share * book.fact("roll_commission", t, i)),
    )
    sides = (
        (old, -size, traded[0], traded[0] - series[0], "roll out"),
        (new, size, traded[1], series[1] - traded[1], "roll in"),
    )
    for contract, part, price, gap, kind in sides:
        books.change(t, i, contract, price, part, kind)
        book.cash(t, i, "roll_gap", size * gap * book.fact("multiplier", t, i), contract)
        paid = [book.cash(t, i, cause, -cost, contract) for cause, cost in costs]
        books.fills.append((t, i, contract, kind, part, price, *paid))
    books.over(t, i, old, traded[0], "roll")


def end(book, t):
    """Step 4: contracts that ended without a price to roll at; the lines that held them."""
    ended = set()
    for line in book.lines:
        held = book.held(line.i)
        if held and book.price("closed", t, line.i):
            book.books.event(t, line.i, "closed: no matched price", held, 0.0)
            order(book, t, line.i, -held, line.last, "closed", old=-book.left(line.i))
            line.old = None
            ended.add(line.i)
    return ended
