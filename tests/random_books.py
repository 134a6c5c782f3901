"""Random inputs of a simulation, made from a seed: everything that its rules speak of, in small and often at once.

Dated contracts of a few roots walk on their ticks; a column of the market is a way to hold them one after the other, so
that two columns of a root may hold the same contract on one day and different ones on another.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine import book
from engine.strategy import program

CURRENCIES = (1.0, 1.2, 0.008)  # of the account, a euro, a yen
BARS = ("open", "high", "low", "close", "settle", "volume", "locked")  # of `Root.bars`


@dataclass
class Root:
    """Contracts of one root: arrays (time, contract), and facts that all of its columns share."""

    bars: dict
    holiday: np.ndarray
    no_open: np.ndarray
    tick: float
    begin: int
    fx: np.ndarray


def book_of(seed, time=90, capital=None):
    """All arguments of a simulation, in its order."""
    rng = np.random.default_rng(seed)
    capital = capital or (50_000.0 if seed % 3 == 1 else 500_000.0)
    rules = account_of(rng, seed, capital)
    made = [root_of(rng, time, k, k > 0 and seed % 3 == 0) for k in range(int(rng.integers(1, 4)))]
    fall_silent(seed, made, time)
    of = np.arange(max(2, min(6, len(made) + int(rng.integers(0, 4))))) % len(made)
    plans = [schedule(rng, made[k], time) for k in of]
    columns = [column_of(rng, made[k], rules, *plan, seed % 2 == 0) for k, plan in zip(of, plans, strict=True)]
    prices = book.Prices(*(np.stack([column[name] for column in columns], 1) for name in book.Prices._fields))
    facts = facts_of(rng, made, of, time)
    lines, legs = lines_of(rng, of, seed)
    begun = np.array([np.arange(time) >= made[k].begin for k in of]).T
    available = (rng.random(prices.mark.shape) < 0.985) & begun
    sleeves = sleeves_of(rng, int(lines.sleeve.max()) + 1, capital)
    wishes, orders = wishes_of(rng, prices, lines, legs, rules, sleeves, seed)
    finer = finer_of(rng, prices) if rules.policy == book.FINER else None
    programs = programs_of(prices, legs, wishes) if (wishes.program >= 0).any() else None
    risk = risk_of(rng, time, len(legs)) if rules.rounding == book.NEAREST_RISK else None
    limits, clock = limits_of(rng, lines, seed), clock_of(rng, time, seed)
    return (
        prices, facts, lines, wishes, orders, rules, limits, clock, sleeves, finer, available, programs, risk,
    )  # fmt: skip


# Rules


def account_of(rng, seed, capital):
    """The rules of the account: each seed another mixture."""
    participation = np.inf if rng.random() < 0.5 else float(rng.choice([0.05, 0.1, 0.25]))
    rounding = book.FRACTIONAL if seed % 7 == 3 else book.NEAREST_RISK if seed % 7 == 5 else book.TOWARD_ZERO
    return book.Account(
        per_capital=bool(seed % 2), compounding=bool(rng.random() < 0.6), sweep=bool(rng.random() < 0.6),
        rounding=rounding, buffer=float(rng.choice([0.0, 0.0, 0.1, 0.4])), at_open=bool(rng.random() < 0.7),
        through=bool(rng.random() < 0.6), policy=int(rng.integers(0, 3)), participation=participation,
        power=float(rng.choice([0.5, 1.0, 2.0])), stale_leg_days=1 + seed // 2 % 4,
        roll_days=int(rng.choice([1, 1, 2, 3, 5])), intraday_margin=float(rng.choice([0.5, 1.0])),
        spread_credit=float(rng.choice([0.0, 0.5, 0.8])), call=int(rng.integers(0, 3)),
        floor=float(rng.choice([-np.inf, -np.inf, 0.8])) * capital,
        credit_spread=0.005, debit_spread=0.02, fee=float(rng.choice([0.0, 0.02])),
        fixed_fee=float(rng.choice([0.0, 50.0])),
    )  # fmt: skip


def limits_of(rng, lines, seed):
    """Limits of every kind: of each kind one seed in four, of all one seed in three none at all."""

    def some(low, high):
        return float(rng.uniform(low, high)) if rng.random() < 0.25 else np.inf

    count = len(lines.root)
    by_root = {int(root): float(rng.integers(3, 12)) if rng.random() < 0.3 else np.inf for root in set(lines.root)}
    group = np.array([some(0.05, 0.6) for _ in range(3)])
    contracts = np.array([by_root[int(root)] for root in lines.root])
    made = book.Limits(
        True, contracts, some(4.0, 12.0), some(5.0, 15.0), some(0.02, 0.1), some(0.005, 0.02), group, some(0.2, 1.5),
        some(0.1, 0.8), some(0.03, 0.2),
    )  # fmt: skip
    none = book.Limits(False, np.full(count, np.inf), *[np.inf] * 4, np.full(3, np.inf), *[np.inf] * 3)
    return none if seed % 3 == 1 else made


def clock_of(rng, time, seed):
    """Days, or bars within them; months, payments, rebalancing, rates below zero too."""
    at = np.arange(time)
    within = seed % 5 == 4
    day_end = at % 3 == 2 if within else np.ones(time, bool)
    begins = np.concatenate([[True], day_end[:-1]])
    days = np.where(begins & (at > 0), np.where(rng.random(time) < 0.2, 3.0, 1.0), 0.0)
    transfer = np.where(rng.random(time) < 0.03, rng.choice([20_000.0, -15_000.0], time), 0.0)
    rate = np.where(at < time // 3, 0.03, np.where(at < 2 * time // 3, -0.005, 0.002))
    return book.Clock(days, day_end, (at % 20 == 19), (at % 25 == 24) & (rng.random() < 0.5), rate, transfer)


def sleeves_of(rng, count, capital):
    """Starting capital and shares of the sleeves."""
    share = rng.uniform(0.5, 1.5, count)
    share /= share.sum()
    return book.Sleeves(share[::-1] * capital, share)


# Prices


def root_of(rng, time, k, late):
    """Contracts whose prices walk together, with spreads that walk a little; numbers of ticks, so all is exact."""
    tick = float(rng.choice([0.25, 0.5, 0.03125, 1.0]))
    chain = 40
    level = 400 + np.cumsum(rng.integers(-6, 7, time))[:, None]
    spread = np.cumsum(rng.integers(-4, 5, chain))[None, :] + np.cumsum(rng.integers(-1, 2, (time, chain)), 0)
    settle = level + spread
    before = np.vstack([settle[:1], settle[:-1]])
    first = before + rng.integers(-4, 5, settle.shape)
    last = np.where(rng.random(settle.shape) < 0.8, settle, settle + rng.integers(-3, 4, settle.shape))
    high = np.maximum(first, last) + rng.integers(0, 6, settle.shape)
    low = np.minimum(first, last) - rng.integers(0, 6, settle.shape)
    locked = np.where(rng.random(settle.shape) < 0.05, np.sign(settle - before), 0).astype(np.int8)
    for one in (first, high, low, last):
        one[locked != 0] = settle[locked != 0]
    volume = rng.integers(0, 300, settle.shape).astype(float)
    volume[rng.random(settle.shape) < 0.1] = np.nan
    prices = [one * tick for one in (first, high, low, last, settle)]
    bars = dict(zip(BARS, (*prices, volume, locked), strict=True))
    fx = np.exp(np.cumsum(rng.normal(size=time) * 0.01)) * CURRENCIES[k] if k else np.ones(time)
    begin = time // 6 if late else 0
    holiday = (rng.random(time) < 0.06) | (np.arange(time) < begin)
    return Root(bars, holiday, rng.random(time) < 0.03, tick, begin, fx)


def fall_silent(seed, made, time):
    """In one book of two a root has no price for some bars, where there are others that have."""
    rng = np.random.default_rng([seed, 1])  # of its own: the books without are as they were
    if len(made) > 1 and seed % 2:
        root = made[int(rng.integers(0, len(made)))]
        begin = int(rng.integers(root.begin + 5, time - 20))
        root.holiday[begin : begin + int(rng.integers(3, 25))] = True


def schedule(rng, root, time):
    """When one column changes its contract, and how: what it holds on each bar, its rolls and its ends."""
    held, rolls, closed = np.zeros(time, np.int64), np.zeros(time, bool), np.zeros(time, bool)
    t, k = 0, int(rng.integers(0, 4))
    while t < time:
        last = min(max(t, root.begin) + int(rng.integers(5, 25)), time - 1)
        held[t : last + 1] = k
        if last < time - 1:
            ends = rng.random() < 0.1
            closed[last], rolls[last] = ends, not ends
            root.holiday[last] &= ends  # a roll needs both prices
        t, k = last + 1, k + 1
    return held, rolls, closed


def column_of(rng, root, rules, held, rolls, closed, exact):
    """One way to hold the contracts of a root: arrays (time,) of `book.Prices`."""
    row = np.arange(len(held))
    out = {name: root.bars[name][row, held].copy() for name in BARS}
    settle = out.pop("settle")
    for name in ("open", "high", "low", "close"):
        out[name][root.holiday] = np.nan
    out["open"][root.no_open & ~root.holiday] = np.nan
    out["mark"] = np.where(root.holiday, np.nan, settle)
    out["fill"] = out["open"] if rules.at_open else out["mark"] if exact else out["close"]
    out["volume"][root.holiday], out["locked"][root.holiday] = np.nan, 0
    following = root.bars["settle"][row, held + 1]
    legs = {"roll_from": settle, "roll_to": following}
    for name, leg in legs.items():
        out[name] = np.where(rolls, leg, np.nan)
        out[f"{name}_fill"] = out[name] + (0.0 if exact else root.tick * rng.integers(-3, 4, len(row)))
    step = np.where(rolls, settle - following, 0.0)
    out["offset"] = np.cumsum(np.concatenate([[0.0], step[:-1]]))
    out["roll_volume"] = np.where(rng.random(len(row)) < 0.1, np.nan, rng.integers(5, 200, len(row)).astype(float))
    out["contract"], out["roll_contract"] = coded(held), np.where(rolls, coded(held + 1), 0).astype(np.int32)
    out |= {"roll": rolls, "closed": closed, "tick": np.full(len(row), root.tick)}
    return out | left_of(rng, root, rules, held, rolls)


def coded(k):
    """YYYYMM of the k-th contract of a chain of months."""
    return (202401 + 100 * (np.asarray(k) // 12) + np.asarray(k) % 12).astype(np.int32)


def left_of(rng, root, rules, held, rolls):
    """What is known of the contract rolled out of, as long as it may be held."""
    time = len(held)
    out = {name: np.full(time, np.nan) for name in ("left_open", "left_mark", "left_volume")}
    out |= {"left_contract": np.zeros(time, np.int32), "left_end": np.zeros(time, bool)}
    for begin in np.flatnonzero(rolls):
        days = rules.roll_days - 1 + (int(rng.integers(1, 4)) if np.isfinite(rules.participation) else 0)
        later = np.flatnonzero(rolls[begin + 1 :])
        last = min(begin + days, begin + 1 + int(later[0]) if len(later) else time - 1, time - 1)
        span, k = slice(begin + 1, last + 1), held[begin]
        out["left_contract"][span] = coded(k)
        for name, of in (("left_open", "open"), ("left_mark", "settle"), ("left_volume", "volume")):
            known = (rng.random(last - begin) > 0.15) & ~root.holiday[span]
            out[name][span] = np.where(known, root.bars[of][span, k], np.nan)
        if last > begin:
            out["left_end"][last] = True
    return out


def facts_of(rng, made, of, time):
    """What contracts are worth and cost: the same for all columns of a root, nothing before it begins."""
    roots = []
    for k, root in enumerate(made):
        size = float(rng.choice([50.0, 100.0, 400.0])) / (CURRENCIES[k] * root.tick * 4.0)
        multiplier = np.where(np.arange(time) < time // 2, size, size * (2.0 if k == 0 else 1.0))
        initial = rng.uniform(800.0, 4000.0) / CURRENCIES[k] * np.where(np.arange(time) < time // 2, 1.0, 1.5)
        local = 1.0 / CURRENCIES[k]
        figures = [
            multiplier, root.fx, initial, initial * 0.9, root.tick * rng.uniform(0.2, 1.0, time),
            local * rng.uniform(0.5, 3.0, time), root.tick * rng.uniform(0.1, 0.6, time),
            local * rng.uniform(0.5, 2.0, time), root.tick * rng.uniform(0.0, 20.0, time),
            np.where(rng.random(time) < 0.1, np.nan, rng.uniform(50.0, 300.0, time)),
            np.where(rng.random(time) < 0.1, np.nan, rng.uniform(500.0, 2000.0, time)),
            np.where(rng.random(time) < 0.1, np.nan, root.tick * rng.uniform(2.0, 6.0, time)),
        ]  # fmt: skip
        for figure in figures:
            figure[: root.begin] = 0.0
        roots.append(figures)
    facts = book.Facts(*(np.stack([roots[k][n] for k in of], 1) for n in range(len(book.Facts._fields))))
    facts.initial[:] *= (house := rng.uniform(0.9, 1.1, len(of)))  # of each column: what is equal makes ties
    facts.maintenance[:] *= house
    return facts


# Wishes


def lines_of(rng, of, seed):
    """Members of one line and spreads of several, in sleeves; (lines, lines of each member)."""
    columns = len(of)
    legs = [([int(m)], [1.0]) for m in rng.integers(0, columns, int(rng.integers(2, 5)))]
    for _ in range(int(rng.integers(0, 3))):
        count = min(int(rng.integers(2, 4)), columns)
        ratio = ([1.0, -1.0], [2.0, -1.0], [1.0, -2.0], [1.0, -2.0, 1.0], [3.0, -2.0, -1.0])[int(rng.integers(0, 5))]
        ratio = ratio if len(ratio) == count else [1.0, -1.0, 2.0][:count]
        legs.insert(int(rng.integers(0, len(legs) + 1)), (rng.permutation(columns)[:count].tolist(), ratio))
    sleeves = int(rng.integers(1, 4))
    member = [j for j, (ids, _) in enumerate(legs) for _ in ids]
    instrument = np.array([m for ids, _ in legs for m in ids], np.int64)
    of_member = np.concatenate([np.arange(sleeves), rng.integers(0, sleeves, len(legs))])[: len(legs)]
    root = of[instrument]
    lines = book.Lines(
        instrument, np.array(member, np.int64), np.array([r for _, ratio in legs for r in ratio]),
        np.sort(of_member)[member].astype(np.int64), root.astype(np.int64), (root // 2).astype(np.int64),
        np.where(root == 1, -1, root).astype(np.int64),
    )  # fmt: skip
    return lines, legs


def wishes_of(rng, prices, lines, legs, rules, sleeves, seed):
    """Weights that change every few bars, and orders for some of the members of one line."""
    time, members = len(prices.mark), len(legs)
    sides = np.repeat(rng.normal(size=(time // 4 + 1, members)) * 6.0, 4, axis=0)[:time]
    sides *= np.repeat(rng.random((time // 4 + 1, members)) < 0.85, 4, axis=0)[:time]
    sides *= np.where(rng.random((time, members)) < 0.3, rng.uniform(0.5, 1.5, (time, members)), 1.0)
    alone = np.array([len(ids) == 1 for ids, _ in legs])
    ordered = alone & (rng.random(members) < 0.6)
    resize = np.where(ordered, rng.random(members) < 0.2, rng.random(members) < 0.8)
    usual = np.repeat(rng.uniform(2.0, 6.0, (1, members)), time, axis=0)
    called = np.full(members, -1)
    if seed % 6 == 2:
        called[:2] = 0
        ordered[:2] = False
    scale = 1.0 / sleeves.capital[lines.sleeve[np.searchsorted(lines.member, np.arange(members))]]
    contracts = rng.random(members) < 0.2
    scale = np.where(contracts | (not rules.per_capital), 1.0, scale)
    wishes = book.Wishes(sides * scale, usual * scale, resize, ordered, called.astype(np.int64), contracts)
    return wishes, orders_of(rng, prices, legs, sides) if ordered.any() else None


def orders_of(rng, prices, legs, sides):
    """Entries and protective orders a few ticks from the last price, now and then off the tick."""
    time, members = sides.shape
    columns = [ids[0] for ids, _ in legs]
    adjusted = forward(prices.mark + prices.offset)[:, columns]
    tick = prices.tick[:, columns]
    sign = np.sign(sides)

    def away(low, high, share):
        ticks = rng.integers(low, high, sides.shape) + np.where(rng.random(sides.shape) < 0.2, 0.25, 0.0)
        return np.where(rng.random(sides.shape) < share, ticks * tick, np.nan)

    kind = np.repeat(rng.integers(0, 4, (time // 4 + 1, members)), 4, axis=0)[:time].astype(np.int8)
    toward = np.where(kind == book.LIMIT, -sign, sign)
    price = adjusted + toward * away(-2, 8, 1.1)
    change = np.vstack([np.ones((1, members), bool), sign[1:] != sign[:-1]]) | (rng.random(sides.shape) < 0.1)
    return book.Orders(
        kind, price, price + sign * away(-3, 4, 1.1), rng.random(sides.shape) < 0.4, away(2, 12, 0.6),
        adjusted - sign * away(2, 14, 0.3), away(3, 14, 0.5), adjusted + sign * away(3, 16, 0.2), away(4, 14, 0.4),
        np.where(rng.random(sides.shape) < 0.3, rng.integers(1, 8, sides.shape), 0).astype(np.int32),
        np.cumsum(change, axis=0).astype(np.int32),
    )  # fmt: skip


def forward(x):
    """The last known value of each column; its first where there is none yet."""
    known = np.where(np.isnan(x), 0, np.arange(len(x))[:, None])
    out = np.take_along_axis(x, np.maximum.accumulate(known, axis=0), axis=0)
    first = np.array([column[np.isfinite(column)][0] for column in x.T])
    return np.where(np.isnan(out), first, out)


def finer_of(rng, prices):
    """Bars within two thirds of the bars, from open to close between high and low."""
    shape = prices.mark.shape
    first, last, rows = np.zeros(shape, np.int64), np.zeros(shape, np.int64), []
    for t, m in np.ndindex(shape):
        tick, bar = prices.tick[t, m], [x[t, m] for x in (prices.open, prices.high, prices.low, prices.close)]
        first[t, m] = last[t, m] = len(rows)
        if not np.isfinite(bar).all() or rng.random() < 0.3:
            continue
        high, low = (round(x / tick) for x in bar[1:3])
        turns = [bar[0], *(tick * rng.integers(low, high + 1, int(rng.integers(1, 4)))), bar[3]]
        for one, other in pairwise(turns):
            rows.append((one, min(max(one, other) + tick, bar[1]), max(min(one, other) - tick, bar[2]), other))
        last[t, m] = len(rows)
    return book.Finer(first, last, np.array(rows, float).reshape(-1, 4))


@program
def follow(t, columns, adjusted, mark, position, equity, params, memory, forecast):
    """Long after a rise, short after a fall, less of it while it holds much or has little money."""
    for j in range(columns.shape[0]):
        now = adjusted[t, columns[j]]
        if now == now:
            change = now - memory[j, 0]
            forecast[j] = (1.0 if change > 0.0 else -1.0) if change != 0.0 else forecast[j]
            if abs(position[j]) > params[0] or equity < params[1]:
                forecast[j] *= 0.5
            memory[j, 0] = now


def programs_of(prices, legs, wishes):
    """One function for the first members."""
    from engine.simulate import idle

    none = np.zeros(book.PROGRAMS, np.int64)
    first, last = none.copy(), none.copy()
    last[0] = int((wishes.program == 0).sum())
    params = np.zeros((book.PROGRAMS, book.PARAMS))
    params[0, :2] = 6.0, 30_000.0
    column = np.array([ids[0] for ids, _ in legs], np.int64)
    adjusted = np.ascontiguousarray(prices.mark + prices.offset)
    return book.Programs(
        (follow.compiled,) + (idle.compiled,) * (book.PROGRAMS - 1), first, last, column, adjusted,
        np.ascontiguousarray(prices.mark), params, np.zeros((len(legs), book.MEMORY)),
    )  # fmt: skip


def risk_of(rng, time, members):
    """Covariances of two periods, none before the first, and what a trade is taken to cost."""
    loading = rng.normal(size=(2, members, 3)) * 200.0
    covariance = loading @ loading.transpose(0, 2, 1) + 50.0**2 * np.eye(members)
    period = np.minimum(np.arange(time) // (time // 3) - 1, 1).astype(np.int64)
    return book.Risk(covariance, period, rng.uniform(0.0, 40.0, (time, members)))
