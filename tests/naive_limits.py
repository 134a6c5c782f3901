"""Slow twin of the limits: nets are dicts, and each limit says of which nets it bounds the sum, and by how much.

A limit that is broken asks every net of its sum to shrink by one factor; the lines on a net's own side give it.
"""

import math
from collections import defaultdict

from tests.naive_margin import fewer, pro_rata

OVER = 1e-9
LIMITS = ("contracts", "sector", "side", "volume", "open_interest", "group", "gross", "net", "margin")
EVENTS = (
    "limit contracts", "limit sector contracts", "limit side contracts", "limit volume", "limit open interest",
    "limit group risk", "limit gross notional", "limit net notional", "limit margin",
)  # fmt: skip


def apply(asked, sizes, known, limits, equity, share):
    """Targets within all limits, and what was cut: [(line, event, wanted, allowed)].

    `known`: lists (line,) of sector, group, liquidity, open_interest, risk (a year, of one contract) and notional (of
    one contract), in account currency.
    """
    sizes, cuts = list(sizes), {}
    if not limits.any:
        return sizes, []
    for _ in range(50):
        before_all = list(sizes)
        for name, event in zip(LIMITS, EVENTS, strict=True):
            before = list(sizes)
            if name == "margin":
                sizes = within_margin(asked, sizes, limits, equity, share)
            else:
                sizes = within(asked, sizes, rule(name, asked, known, limits, max(equity, 0.0)))
            for i, (was, now) in enumerate(zip(before, sizes, strict=True)):
                if was != now:
                    cuts[i, event] = (cuts.get((i, event), (was, now))[0], now)
        if sizes == before_all:
            break
    return sizes, [(i, event, wanted, allowed) for (i, event), (wanted, allowed) in cuts.items()]


def within_margin(asked, sizes, limits, equity, share):
    """The initial margin of the targets against the equity."""
    if math.isinf(limits.margin):
        return sizes
    return pro_rata(asked, sizes, limits.margin * max(equity, 0.0) / share * (1.0 + OVER))


def rule(name, asked, known, limits, capital):
    """Of each line: its net, what one contract counts, and of each net: its sum and the most of that sum."""
    lines = range(len(asked.held))
    contract = [(asked.root[i], asked.contract[i]) for i in lines]
    first = {net: i for i, net in reversed(list(enumerate(contract)))}
    one = [1.0 for _ in lines]
    if name == "contracts":
        of_root = {root: i for i, root in reversed(list(enumerate(asked.root)))}
        return asked.root, one, lambda root, net: (root, limits.contracts[of_root[root]])
    if name == "sector":
        return contract, one, lambda key, net: (known["sector"][first[key]], limits.sector)
    if name == "side":
        return contract, one, lambda key, net: (net > 0, limits.side)
    if name == "group":
        nets = [group if group >= 0 else None for group in known["group"]]
        return nets, known["risk"], lambda group, net: (group, times(limits.group[group], capital))
    if name == "gross":
        return contract, known["notional"], lambda key, net: ("all", times(limits.gross, capital))
    if name == "net":
        return ["all" for _ in lines], known["notional"], lambda key, net: ("all", times(limits.net, capital))
    share, volume = (
        (limits.volume, known["liquidity"]) if name == "volume" else (limits.open_interest, known["open_interest"])
    )
    return contract, one, lambda key, net: (key, times(share, volume[first[key]]))


def times(most, by):
    """A bound; infinite where it is none, or not known."""
    return math.inf if math.isinf(most) or math.isnan(by) else most * by


def within(asked, sizes, terms):
    """One limit, round after round, until it cuts nothing."""
    nets_of, weight, bound = terms
    weight = [0.0 if math.isnan(w) else w for w in weight]
    sizes, n = list(sizes), 0
    while factors := broken(sizes, nets_of, weight, bound):
        cut = False
        for legs in asked.members:
            share = min(factors.get(i, 1.0) for i in legs)
            if share < 1.0:
                units = fewer(asked.units(sizes, legs), share if n < 50 else 0.0, asked.whole)
                for i, size in list(asked.shrunk(sizes, legs, units)):
                    sizes[i] = size
                cut = True
        if not cut:
            break
        n += 1
    return sizes


def broken(sizes, nets_of, weight, bound):
    """{line: factor} of the lines that have to give, none where the limit is kept.

    Lines that offset each other net to nothing, and not to the rounding of their sum (`engine.limits.apply`: 1e-12).
    """
    net, on_side, total, factors = defaultdict(float), defaultdict(float), defaultdict(float), {}
    whole = defaultdict(float)
    for i, key in enumerate(nets_of):
        net[key] += weight[i] * sizes[i]
        whole[key] += abs(weight[i] * sizes[i])
    for key, size in whole.items():
        net[key] = net[key] if abs(net[key]) > 1e-12 * size else 0.0
    for i, key in enumerate(nets_of):
        if weight[i] * sizes[i] * net[key] > 0:
            on_side[key] += abs(weight[i] * sizes[i])
    for key, size in net.items():
        if size and key is not None:
            total[bound(key, size)[0]] += abs(size)
    for i, key in enumerate(nets_of):
        if key is None or not weight[i] * sizes[i] * net[key] > 0:
            continue
        place, most = bound(key, net[key])
        if total[place] > most * (1.0 + OVER):
            factors[i] = 1.0 - abs(net[key]) * (1.0 - most / total[place]) / on_side[key]
    return factors
