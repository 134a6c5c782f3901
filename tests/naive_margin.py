"""Slow twin of the margin: requirements of dated contracts, what a call cuts, what is refused; plain lists and dicts.

A `Question` is what all of these ask about: the lines, what they hold, and what one contract of each line requires.
Sizes are lists (line,); units are of members, of which a line is a leg by its ratio.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

PRO_RATA, LARGEST_REQUIREMENT, LARGEST_LOSER = 0, 1, 2
CLOSE = 1e-12


@dataclass
class Question:
    """Lists (line,) of one moment; `each` in account currency."""

    root: list
    ratio: list
    members: list  # of each member its lines
    held: list  # contracts, signed
    left: list  # the part in the contract rolled out of
    contract: list  # of the other part
    left_contract: list
    each: list  # requirement of one contract
    credit: float
    whole: bool

    def parts(self, sizes):
        """{root: {contract: [net size, requirement of one]}} of what lines hold, or would hold."""
        books = defaultdict(dict)
        for i, size in enumerate(sizes):
            left = self.left_of(i, size)
            for contract, part in ((self.contract[i], size - left), (self.left_contract[i], left)):
                if part:
                    entry = books[self.root[i]].setdefault(contract, [0.0, 0.0])
                    entry[0] += part
                    entry[1] = max(entry[1], self.each[i])
        return books

    def left_of(self, i, size):
        """A reduction takes the contract that is being rolled out of first."""
        if self.left[i] == 0 or size * self.held[i] <= 0:
            return 0.0
        gone = max(0.0, abs(self.held[i]) - abs(size))
        return math.copysign(max(0.0, abs(self.left[i]) - gone), self.left[i])

    def required(self, sizes):
        """Margin in account currency: contracts net, and what hedges within a root may be credited."""
        total = []
        for book in self.parts(sizes).values():
            long = math.fsum(net for net, _ in book.values() if net > 0)
            short = -math.fsum(net for net, _ in book.values() if net < 0)
            asked = math.fsum(abs(net) * each for net, each in book.values())
            if asked:
                total.append(asked * (1.0 - self.credit * 2.0 * min(long, short) / (long + short)))
        return math.fsum(total)

    def units(self, sizes, legs, of=max):
        """Units of a member, of the leg that has most or least of them."""
        return of(abs(sizes[i] / self.ratio[i]) for i in legs)

    def shrunk(self, sizes, legs, units):
        """Legs of no more than so many units."""
        for i in legs:
            yield i, math.copysign(min(abs(sizes[i]), units * abs(self.ratio[i])), sizes[i])


def width(x):
    """How far from a whole number a number may be and still be it."""
    return min(1e-6, CLOSE * max(1.0, x))


def whole_part(x):
    """Toward zero, but what is as good as a whole number is that number."""
    near = float(math.floor(x + 0.5))
    return near if abs(x - near) <= width(x) else float(math.floor(x))


def most_below(units):
    """The greatest whole number below, at least 0."""
    return max(0.0, math.ceil(units - width(units)) - 1.0)


def call(asked, profit, equity, rule):
    """Sizes to which a margin call cuts until the initial margin is at most the equity."""
    sizes, allowed = list(asked.held), max(equity, 0.0)
    if rule != PRO_RATA and allowed > 0:
        order = ranked(asked, profit, rule)
        while any([cut(asked, sizes, legs, allowed) for legs in order]):
            pass
    return pro_rata(asked, sizes, allowed)


def ranked(asked, profit, rule):
    """Members with a position, whom to cut first."""
    keys = []
    for j, legs in enumerate(asked.members):
        if any(asked.held[i] for i in legs):
            loss = sum(profit[i] for i in legs if asked.held[i])
            most = -sum(abs(asked.held[i]) * asked.each[i] for i in legs)
            keys.append((loss if rule == LARGEST_LOSER else most, j))
    return [asked.members[j] for _, j in sorted(keys)]


def cut(asked, sizes, legs, allowed):
    """One unit after the other, as long as it helps; whether any went."""
    any_cut = False
    while (before := asked.required(sizes)) > allowed:
        units = asked.units(sizes, legs)
        if not units:
            break
        step = units - most_below(units) if asked.whole else min(1.0, units)
        kept = list(sizes)
        put(asked, sizes, legs, units - step)
        after = asked.required(sizes)
        if not after < before * (1.0 - CLOSE):  # a sum that is the same but for its last bits is not lower
            sizes[:] = kept
            break
        any_cut = True
        if not asked.whole and after < allowed:  # only the part of a step that is needed
            sizes[:] = kept
            put(asked, sizes, legs, units - step * (before - allowed) / (before - after) * (1.0 + CLOSE))
            break
    return any_cut


def put(asked, sizes, legs, units):
    """Legs of a member of so many units."""
    for i, size in asked.shrunk(asked.held, legs, max(units, 0.0)):
        sizes[i] = size


def pro_rata(asked, sizes, allowed):
    """All members by one factor, again and again where they net."""
    sizes = list(sizes)
    for _ in range(1000):
        need = asked.required(sizes)
        if need <= allowed:
            return sizes
        for legs in asked.members:
            units = asked.units(sizes, legs)
            if units > 0:
                for i, size in list(asked.shrunk(sizes, legs, fewer(units, allowed / need, asked.whole))):
                    sizes[i] = size
    return [0.0] * len(sizes)


def fewer(units, share, whole):
    """A share of some units; at least one less where they are whole."""
    if not whole:
        return units * share * (1.0 - CLOSE)
    return min(whole_part(units * share), most_below(units))


def affordable(asked, wanted, equity):
    """Wishes after the check of initial margin: decreases pass, increases are scaled to what equity covers."""
    most = asked.required(wanted)
    if most <= equity:
        return list(wanted)
    had, kept = [], list(wanted)
    for legs in asked.members:
        there = [abs(asked.held[i] / asked.ratio[i]) if asked.held[i] * wanted[i] > 0 else 0.0 for i in legs]
        had.append((asked.units(wanted, legs, min), min(there)))
        if had[-1][0] > had[-1][1]:
            for i, size in asked.shrunk(wanted, legs, had[-1][1]):
                kept[i] = size
    least = asked.required(kept)
    share = max(0.0, (equity - least) / (most - least)) if most > least else 0.0
    for _ in range(20):
        sizes = list(wanted)
        for legs, (units, base) in zip(asked.members, had, strict=True):
            if units > base:
                more = (units - base) * share
                more = whole_part(more) if asked.whole else more * (1.0 - CLOSE)
                for i, size in asked.shrunk(wanted, legs, base + more):
                    sizes[i] = size
        if share == 0 or asked.required(sizes) <= equity + CLOSE * abs(equity):  # what rounding may have changed
            return sizes
        share *= 0.9
    return kept
