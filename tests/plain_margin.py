"""Slow twin of `engine.netting`, `engine.margin` and `engine.limits`: dicts, one contract at a time, from their words.

And random books to compare them on. Money is made of whole numbers, so that sums are exact in any order.
"""

import itertools
import math
from collections import defaultdict

import numpy as np

from engine import book
from engine.netting import Holdings

CLOSE, OVER, ROUNDS = 1e-12, 1e-9, 50


def whole_part(x):
    near = round(x)
    return near if abs(x - near) <= min(1e-6, CLOSE * max(1, near)) else math.floor(x)


class Account:
    """What is held, line by line, and what a contract requires."""

    def __init__(self, held, lines, per_contract, fx, credit):
        self.position, self.left = list(held.position), list(held.left)
        self.contract, self.left_contract = list(held.held), list(held.left_contract)
        self.root, self.ratio = list(lines.root), list(lines.ratio)
        self.each = [per_contract[m] * fx[m] for m in lines.instrument]
        self.credit = credit
        self.legs = defaultdict(list)
        for i, j in enumerate(lines.member):
            self.legs[j].append(i)

    def required(self, position, left):
        """Margin of positions with parts left behind."""
        net, price = defaultdict(float), defaultdict(float)
        for i, root in enumerate(self.root):
            for size, contract in ((position[i] - left[i], self.contract[i]), (left[i], self.left_contract[i])):
                if size:
                    net[root, contract] += size
                    price[root, contract] = max(price[root, contract], self.each[i])
        total = 0.0
        for root in dict.fromkeys(self.root):
            mine = {key: size for key, size in net.items() if key[0] == root and size}
            cost = sum(abs(size) * price[key] for key, size in mine.items())
            long = sum(size for size in mine.values() if size > 0)
            short = -sum(size for size in mine.values() if size < 0)
            if cost:
                total += cost * (1 - self.credit * (2 * min(long, short) / (long + short)))
        return total

    def after(self, target):
        """Margin once the targets are traded."""
        left = []
        for wanted, had, behind in zip(target, self.position, self.left, strict=True):
            stays = max(0.0, abs(behind) - max(0.0, abs(had) - abs(wanted))) if wanted * had > 0 else 0.0
            left.append(math.copysign(stays, had))
        return self.required(target, left)

    def units(self, values, j):
        return max(abs(values[i] / self.ratio[i]) for i in self.legs[j])

    def put(self, source, out, j, units):
        for i in self.legs[j]:
            out[i] = math.copysign(min(abs(source[i]), units * abs(self.ratio[i])), source[i])

    def fewer(self, units, share, whole):
        if whole:
            return max(0, min(whole_part(units * share), math.ceil(units) - 1))
        return units * share * (1 - CLOSE)

    def pro_rata(self, out, allowed, whole):
        while (asked := self.after(out)) > allowed:
            for j in self.legs:
                if units := self.units(out, j):
                    self.put(list(out), out, j, self.fewer(units, allowed / asked, whole))
        return out

    def call(self, profit, equity, rule, whole):
        """One unit after the other."""
        out, allowed = list(self.position), max(equity, 0.0)
        if rule != book.PRO_RATA and allowed > 0:
            order = [j for j in self.legs if self.units(out, j)]
            if rule == book.LARGEST_LOSER:
                order.sort(key=lambda j: sum(profit[i] for i in self.legs[j] if out[i]))
            else:
                order.sort(key=lambda j: -sum(abs(self.position[i]) * self.each[i] for i in self.legs[j]))
            for _ in range(50):
                if not any([self.cut(j, out, allowed, whole) for j in order]):  # a list: each has its turn
                    break
        return self.pro_rata(out, allowed, whole)

    def cut(self, j, out, allowed, whole):
        cut = False
        while (asked := self.after(out)) > allowed and (units := self.units(out, j)):
            step = units - (math.ceil(units) - 1) if whole else min(1.0, units)
            self.put(self.position, out, j, units - step)
            lower = self.after(out)
            if asked - lower <= CLOSE * asked:
                self.put(self.position, out, j, units)
                return cut
            cut = True
            if lower < allowed and not whole:
                part = (asked - allowed) / (asked - lower) * (1 + CLOSE)
                self.put(self.position, out, j, units - step * part)
                return True
        return cut

    def affordable(self, target, equity, whole):
        """Increases scaled down to what equity covers."""
        asked = self.after(target)
        if asked <= equity:
            return list(target)
        wanted, had, kept = {}, {}, list(target)
        for j, legs in self.legs.items():
            wanted[j] = min(abs(target[i] / self.ratio[i]) for i in legs)
            on_side = all(self.position[i] * target[i] > 0 for i in legs)
            had[j] = min(abs(self.position[i] / self.ratio[i]) for i in legs) if on_side else 0.0
            if wanted[j] > had[j]:
                self.put(target, kept, j, had[j])
        base = self.after(kept)
        share = max(0.0, (equity - base) / (asked - base)) if asked > base else 0.0
        for _ in range(20):
            out = list(kept)
            for j in self.legs:
                if wanted[j] > had[j]:
                    more = (wanted[j] - had[j]) * share
                    self.put(target, out, j, had[j] + (whole_part(more) if whole else more * (1 - CLOSE)))
            if share == 0 or self.after(out) <= equity:
                return out
            share *= 0.9
        return kept


def limited(account, target, price, lines, t, facts, limits, share, equity, whole):
    """Targets within all limits, and the cuts [(line, kind, wanted, allowed)] in their order."""
    rules = table(account, price, lines, t, facts, limits, max(equity, 0.0))
    target, cuts = list(target), {}
    for gone in itertools.count():
        before = list(target)
        for kind, rule in rules:
            was = list(target)
            if kind == book.LIMIT_MARGIN:
                allowed = rule / share * (1 + OVER)
                account.pro_rata(target, 0 if gone >= ROUNDS and account.after(target) > allowed else allowed, whole)
            else:
                enforce(account, target, whole, gone, *rule)
            for i, (one, other) in enumerate(zip(was, target, strict=True)):
                if one != other:
                    cuts[i, kind] = (cuts.get((i, kind), (one,))[0], other)
        if target == before:
            return target, [(i, kind, *cut) for (i, kind), cut in cuts.items()]


def table(account, price, lines, t, facts, limits, equity):
    """The limits that there are: net of a line, its weight, the sum of a net, the most of a sum by its first net."""
    lot = range(len(account.root))
    contract = [(account.root[i], account.contract[i]) for i in lot]
    market = list(lines.instrument)
    worth = [facts.multiplier[t, m] * facts.fx[t, m] for m in market]
    value = [0 if math.isnan(price[m]) else abs(price[m]) * worth[i] for i, m in enumerate(market)]
    sigma = [facts.sigma[t, m] * worth[i] * 252**0.5 for i, m in enumerate(market)]
    sigma = [0 if math.isnan(x) else x for x in sigma]
    group = [None if g < 0 else int(g) for g in lines.group]
    one = [1.0] * len(market)
    most = {"volume": facts.liquidity[t], "interest": facts.open_interest[t]}

    def of(field, figure):
        return lambda i, net: math.inf if math.isnan(most[field][market[i]]) else figure * most[field][market[i]]

    rules = [
        (book.LIMIT_CONTRACTS, (account.root, one, lambda i, net: account.root[i], lambda i, net: limits.contracts[i])),
        (book.LIMIT_SECTOR, (contract, one, lambda i, net: int(lines.sector[i]), lambda i, net: limits.sector)),
        (book.LIMIT_SIDE, (contract, one, lambda i, net: net > 0, lambda i, net: limits.side)),
        (book.LIMIT_VOLUME, (contract, one, lambda i, net: contract[i], of("volume", limits.volume))),
        (book.LIMIT_OPEN_INTEREST, (contract, one, lambda i, net: contract[i], of("interest", limits.open_interest))),
        (book.LIMIT_GROUP, (group, sigma, lambda i, net: group[i], lambda i, net: limits.group[group[i]] * equity)),
        (book.LIMIT_GROSS, (contract, value, lambda i, net: 0, lambda i, net: limits.gross * equity)),
        (book.LIMIT_NET, ([0] * len(market), value, lambda i, net: 0, lambda i, net: limits.net * equity)),
        (book.LIMIT_MARGIN, limits.margin * equity),
    ]
    figures = [min(limits.contracts), *limits[2:6], min(limits.group, default=math.inf), *limits[7:]]
    return [rule for rule, figure in zip(rules, figures, strict=True) if figure < math.inf]


def enforce(account, target, whole, gone, net_of, weight, sum_of, most_of):
    """Cut to one limit; every round looks at all nets first."""
    for n in itertools.count(gone):
        nets = nets_of(target, net_of, weight)
        sums = sums_of(nets, net_of, sum_of)
        cuts = {}
        for j, legs in account.legs.items():
            for i in legs:
                k = net_of[i]
                if k is None or weight[i] * target[i] * nets[k] <= 0:
                    continue
                first = net_of.index(k)
                total, most = sums[sum_of(first, nets[k])], most_of(first, nets[k])
                if total > most * (1 + OVER):
                    side = sum(
                        weight[n] * abs(x)
                        for n, x in enumerate(target)
                        if net_of[n] == k and weight[n] * x * nets[k] > 0
                    )
                    factor = 1 - abs(nets[k]) * (1 - most / total) / side if n < ROUNDS else 0.0
                    cuts[j] = min(cuts.get(j, 1.0), factor)
        for j, share in cuts.items():
            account.put(list(target), target, j, account.fewer(account.units(target, j), share, whole))
        if not cuts:
            return


def nets_of(target, net_of, weight):
    nets, gross = defaultdict(float), defaultdict(float)
    for i, k in enumerate(net_of):
        if k is not None:
            nets[k] += weight[i] * target[i]
            gross[k] += weight[i] * abs(target[i])
    return {k: net if abs(net) > CLOSE * gross[k] else 0.0 for k, net in nets.items()}


def sums_of(nets, net_of, sum_of):
    sums = defaultdict(float)
    for k, net in nets.items():
        if net:
            sums[sum_of(net_of.index(k), net)] += abs(net)
    return sums


def random_book(seed, whole=True):
    """A random account: (held, lines, per_contract, fx, credit) and a target with legs in their ratio."""
    rng = np.random.default_rng(seed)
    members = int(rng.integers(1, 7))
    legs = [int(rng.choice([1, 1, 1, 2, 3])) for _ in range(members)]
    member = np.repeat(np.arange(members), legs)
    count, markets, roots = len(member), 5, np.array([0, 0, 0, 1, 2])
    instrument = rng.integers(0, markets, count)
    if rng.random() < 0.3:  # each root once
        instrument = np.array([0, 3, 4] * count)[:count]
        roots = np.arange(markets)
    ratio = np.where(np.repeat(np.array(legs) > 1, legs), rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], count), 1.0)
    root = roots[instrument] if len(set(roots)) < markets else np.arange(count)
    sector = rng.integers(0, 3, 50)[root]
    lines = book.Lines(instrument, member, ratio, 0 * member, root, sector, sector - (rng.random(count) < 0.2))
    largest = int(rng.choice([4, 40, 300]))

    def units():
        drawn = rng.integers(-largest, largest + 1, members).astype(float)
        return (drawn if whole else drawn + rng.random(members).round(3))[member] * ratio + 0.0

    position = units()
    left = np.where(rng.random(count) < 0.4, np.trunc(position * rng.random(count)), 0.0) + 0.0
    contract = 202400 + rng.integers(1, 4, count)
    held = Holdings(position, left, contract, contract - rng.integers(1, 3, count))
    per_contract = rng.integers(1, 30, markets) * 100.0
    if rng.random() < 0.7:
        per_contract[1:3] = per_contract[0]
    fx = np.where(rng.random(markets) < 0.3, 0.5, 1.0)
    return held, lines, per_contract, fx, float(rng.choice([0.0, 0.0, 0.5, 0.75])), units()
