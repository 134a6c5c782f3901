"""Fills once more: random bars walked half a tick after the other in plain Python, and what must hold on every bar."""

import numpy as np
import pytest

from engine.book import FINER, LIMIT, NEARER, STOP, STOP_LIMIT, WORST
from engine.fills import ENTERED, STOPPED, TAKEN
from tests.test_engine_fills import NONE, fills


def away(x, side):
    """A stop's level in half ticks, on a tick, away from the market."""
    return None if x is None else -(-x // 2) * 2 if side > 0 else x // 2 * 2


def strolled(points, book):
    """One way to tell a bar, half a tick after the other: fills as [(what, half ticks)], triggered."""
    side, through = book["side"], book["through"]
    steps = [points[0]]
    for to in points[1:]:
        steps += range(steps[-1] + 1, to + 1) if to > steps[-1] else range(steps[-1] - 1, to - 1, -1)
    order, triggered, done = book["order_side"], book["triggered"], []
    price, limit = away(book["price"], order), away(book["limit"], -order)
    stop, target = book["stop"], book["target"]
    held = side != 0
    if held:
        stop, target = away(stop, -side), away(target, side)
    for n, x in enumerate(steps):
        new = n == 0
        if not held and book["kind"] in (STOP, STOP_LIMIT) and not triggered and order * (x - price) >= 0:
            triggered = new = True
            if book["kind"] == STOP:
                held, entry = True, x
        if not held and (book["kind"] == LIMIT or (book["kind"] == STOP_LIMIT and triggered)):
            better = order * (limit - x)
            if new and (better > 0 or (better == 0 and not through)):
                held, entry, new = True, x, True
            elif better >= (2 if through else 0):
                held, entry, new = True, limit, True
        if held and side == 0:
            side = order
            done.append((ENTERED, entry))
            stops = [stop, None if book["stop_distance"] is None else entry - side * book["stop_distance"]]
            targets = [target, None if book["target_distance"] is None else entry + side * book["target_distance"]]
            stop = max((side * away(s, -side) for s in stops if s is not None), default=None)
            target = min((side * away(s, side) for s in targets if s is not None), default=None)
            stop, target = (None if level is None else side * level for level in (stop, target))
        if held:
            beyond = None if target is None else side * (x - target)
            if stop is not None and side * (stop - x) >= 0:
                return [*done, (STOPPED, x)], triggered
            if beyond is not None and new and (beyond > 0 or (beyond == 0 and not through)):
                return [*done, (TAKEN, x)], triggered
            if beyond is not None and beyond >= (2 if through else 0):
                return [*done, (TAKEN, target)], triggered
    return done, triggered


def profit(done, side, close, before):
    """Of a way to tell a bar, marked at the close [half ticks]."""
    cash = -side * close if before else 0
    position = side if before else 0
    for what, price in done:
        cash += -side * price if what == ENTERED else side * price
        position += side if what == ENTERED else -side
    return cash + position * close


def told(bar, book, policy):
    """What a bar does by the slow way: fills, whether both ways differ, triggered."""
    start, high, low, close = bar
    high, low = max(high, start), min(low, start)
    end = min(max(close, low), high)
    ways = [(start, low, high, end), (start, high, low, end)]
    side = book["side"] or book["order_side"]
    against = ways if side > 0 else ways[::-1]
    results = [strolled(way, book) for way in against]
    value = [profit(done, side, close, book["side"] != 0) for done, _ in results]
    take = results[1] if value[1] < value[0] else results[0]
    if policy == NEARER and start - low != high - start:
        take = strolled(ways[0] if start - low < high - start else ways[1], book)
    return take[0], int(results[0][0] != results[1][0]), take[1]


def drawn(random):
    """A bar and the orders on it, in half ticks."""
    fine = random.random() < 0.2  # a bar off the ticks
    unit = 1 if fine else 2

    def near(spread):
        return int(random.integers(-spread, spread + 1)) * unit

    def bar(start):
        close = start + near(5)
        high, low = max(start, close) + abs(near(4)), min(start, close) - abs(near(4))
        return start, high, low, close if random.random() < 0.9 else close + near(10)

    def level(spread, chance):
        return None if random.random() > chance else 200 + int(random.integers(-spread, spread + 1))

    held = random.random() < 0.4
    side = int(random.choice([-1, 1]))
    book = {
        "side": side if held else 0, "kind": -1 if held else int(random.choice([LIMIT, STOP, STOP_LIMIT])),
        "order_side": 0 if held else side, "price": 200 + int(random.integers(-10, 11)),
        "limit": 200 + int(random.integers(-12, 13)), "triggered": False,
        "stop": level(14, 0.6), "stop_distance": None if random.random() < 0.5 else int(random.integers(1, 12)),
        "target": level(14, 0.6), "target_distance": None if random.random() < 0.5 else int(random.integers(1, 12)),
        "through": bool(random.random() < 0.5),
    }  # fmt: skip
    if book["kind"] == LIMIT:
        book["limit"] = book["price"]
    book["triggered"] = book["kind"] == STOP_LIMIT and bool(random.random() < 0.3)
    start = 200 + near(5)
    hours = [bar(start)]
    while len(hours) < 3:
        hours.append(bar(hours[-1][3] + near(1)))
    return bar(start), hours, book


def in_points(book, tick):
    """Orders in half ticks as `fills` takes them."""
    keep = ("side", "kind", "order_side", "triggered", "through")
    points = {k: v if k in keep else NONE if v is None else v * tick / 2 for k, v in book.items()}
    return {"tick": tick} | points


def by_finer(hours, book):
    """The finer bars one after the other; what was entered goes on with the levels that its fill gave it."""
    done, ambiguous = [], 0
    for hour in hours:
        got, differs, triggered = told(hour, book, WORST)
        done, ambiguous = done + got, ambiguous | differs
        book = book | {"triggered": triggered}
        if got and got[-1][0] != ENTERED:
            break
        if got:
            side, entry = book["order_side"], got[0][1]
            stops = [book["stop"]] + [entry - side * d for d in [book["stop_distance"]] if d is not None]
            targets = [book["target"]] + [entry + side * d for d in [book["target_distance"]] if d is not None]
            stop = [side * away(level, -side) for level in stops if level is not None]
            target = [side * away(level, side) for level in targets if level is not None]
            book = book | {
                "side": side, "kind": -1, "stop": side * max(stop) if stop else None,
                "target": side * min(target) if target else None,
            }  # fmt: skip
    return done, ambiguous, book["triggered"]


def assert_same(found, slow, kind, tick):
    (got, ambiguous, triggered), (done, differs, was) = found, slow
    assert [what for what, _ in got] == [what for what, _ in done]
    assert [price for _, price in got] == pytest.approx([price * tick / 2 for _, price in done], abs=1e-9)
    assert (ambiguous, triggered) == (differs, int(kind == STOP_LIMIT and was))


@pytest.mark.parametrize("tick", [0.25, 0.01])
def test_bars_walked_tick_by_tick_fill_the_same(tick):
    random, seen = np.random.default_rng(7), {}
    for _ in range(4000):
        bar, hours, book = drawn(random)
        bars = [tuple(x * tick / 2 for x in one) for one in (bar, *hours)]
        orders = in_points(book, tick)
        for policy in (WORST, NEARER):
            slow = told(bar, book, policy)
            assert_same(fills(bars[0], policy=policy, **orders), slow, book["kind"], tick)
            key = (book["kind"], tuple(what for what, _ in slow[0]), slow[1])
            seen[key] = seen.get(key, 0) + 1
        found = fills(bars[0], policy=FINER, finer=bars[1:], **orders)
        assert_same(found, by_finer(hours, book), book["kind"], tick)
    for kind in (LIMIT, STOP, STOP_LIMIT):  # all that can happen did happen
        for done in ((), (ENTERED,), (ENTERED, STOPPED), (ENTERED, TAKEN)):
            assert sum(count for key, count in seen.items() if key[:2] == (kind, done)) > 5
    assert min(seen[-1, (STOPPED,), 1], seen[-1, (TAKEN,), 0], seen[STOP, (ENTERED, STOPPED), 1]) > 5


def test_a_seller_is_a_buyer_with_all_signs_changed():
    random = np.random.default_rng(8)
    for _ in range(1000):
        bar, _, book = drawn(random)
        orders = in_points(book, 0.25)
        start, high, low, close = (x * 0.125 for x in bar)
        for policy in (WORST, NEARER):
            got, ambiguous, triggered = fills((start, high, low, close), policy=policy, **orders)
            turned = {k: -orders[k] for k in ("side", "order_side", "price", "limit", "stop", "target")}
            other = fills((-start, -low, -high, -close), policy=policy, **orders | turned)
            assert other == ([(what, -price) for what, price in got], ambiguous, triggered)


def test_the_worst_way_is_never_better_than_another_and_no_fill_lies_outside_the_bar():
    random = np.random.default_rng(9)
    for _ in range(1000):
        bar, _, book = drawn(random)
        start, high, low, close = (x * 0.125 for x in bar)
        high, low, side = max(start, high), min(start, low), book["side"] or book["order_side"]
        worst, nearer = (
            fills((start, high, low, close), policy=policy, **in_points(book, 0.25)) for policy in (WORST, NEARER)
        )
        values = [profit(got, side, close, book["side"] != 0) for got, _, _ in (worst, nearer)]
        assert values[0] <= values[1] and (worst == nearer or worst[1] == nearer[1] == 1)
        assert all(low <= price <= high for _, price in worst[0] + nearer[0])
