"""The parts of the slow twin, each against the kernel that it is the twin of, on inputs made at random."""

import numpy as np
import pytest

from engine import book, fills, limits, margin, netting
from engine.kernel import opened
from engine.sizing.whole import nearest
from tests import naive_fills, naive_limits, naive_margin, naive_whole
from tests.test_engine_limits import applied

NAMES = {fills.ENTERED: "entry", fills.STOPPED: "stop", fills.TAKEN: "target"}
REQUIRED, CALL, AFFORDABLE = (opened(f) for f in (netting.required, margin.call, margin.affordable))
FINE = dict(rtol=1e-9, atol=1e-9)


def bar(rng, tick):
    """Open, high, low, close a few ticks around 100; now and then a settlement outside the range."""
    open_, close = rng.integers(-8, 9, 2)
    high, low = max(open_, close) + rng.integers(0, 5), min(open_, close) - rng.integers(0, 5)
    close += rng.integers(-8, 9) if rng.random() < 0.05 else 0
    return [100.0 + tick * x for x in (open_, high, low, close)]


def inside(rng):
    """Arguments of a walk: (bar, finer bars, tick, side, order, stop, target, through, policy)."""
    tick = float(rng.choice([0.25, 0.5, 1.0, 0.01]))

    def level(none=0.3):
        price = 100.0 + tick * (rng.integers(-8, 9) + (0.3 if rng.random() < 0.2 else 0.0))
        return np.nan if rng.random() < none else price

    side, kind = int(rng.integers(-1, 2)), int(rng.integers(1, 4))
    triggered = kind == book.STOP_LIMIT and bool(rng.random() < 0.3)
    distances = [np.nan if rng.random() < 0.3 else tick * rng.uniform(0.0, 8.0) for _ in range(2)]
    order = None if side else (kind, int(rng.choice([-1, 1])), level(0.0), level(0.0), triggered, *distances)
    finer = [bar(rng, tick) for _ in range(int(rng.integers(0, 4)))]
    return bar(rng, tick), finer, tick, side, order, level(), level(), bool(rng.random() < 0.5), int(rng.integers(0, 3))


def test_the_inside_of_bars_made_at_random_is_told_alike():
    rng, out = np.random.default_rng(1), np.empty((2, 2))
    for _ in range(4000):
        one, finer, tick, side, order, stop, target, through, policy = inside(rng)
        kind, order_side, price, limit, triggered, *distances = order or (-1, 0, np.nan, np.nan, False, np.nan, np.nan)
        rows = np.array(finer, dtype=float).reshape(-1, 4)
        count, ambiguous, met = fills.walk(
            *one, tick, side, kind, order_side, price, limit, triggered, stop, distances[0], target, distances[1],
            through, policy, rows, 0, len(rows), out,
        )  # fmt: skip
        bars = finer if policy == book.FINER and finer else [one]
        told, unsure, waits = naive_fills.walk(bars, tick, side, order, stop, target, through, policy)
        assert [NAMES[int(what)] for what in out[:count, 0]] == [what for what, _ in told]
        assert np.allclose(out[:count, 1], [price for _, price in told], **FINE)
        assert (bool(ambiguous), bool(met)) == (unsure, waits)


def holdings(rng, whole):
    """Lines of a few roots in members of one to three legs, with what they hold: (lines, held, question)."""
    members = [int(rng.choice([1, 1, 1, 2, 3])) for _ in range(int(rng.integers(1, 5)))]
    member = np.repeat(np.arange(len(members)), members)
    count = len(member)
    ratio = np.where(np.repeat(members, members) == 1, 1.0, rng.choice([1.0, -1.0, 2.0, -2.0], count))
    instrument, root = np.arange(count), rng.integers(0, 3, count)
    lines = book.Lines(instrument, member, ratio, 0 * member, root, root // 2, np.where(root == 1, -1, root))
    units = rng.integers(-9, 10, len(members))[member] if whole else rng.normal(size=len(members))[member] * 5.0
    position = units * ratio
    left = np.trunc(position * rng.random(count)) * (rng.random(count) < 0.3)
    contract = (202401 + rng.integers(0, 3, count)).astype(np.int64)
    held = netting.Holdings(position, left, contract, contract - 1)
    each = rng.uniform(500.0, 3000.0, 3)[root] * rng.uniform(0.9, 1.0, count)  # equal ones make ties
    legs = [np.flatnonzero(member == j).tolist() for j in range(len(members))]
    question = naive_margin.Question(
        root.tolist(), ratio.tolist(), legs, position.tolist(), left.tolist(), contract.tolist(),
        (contract - 1).tolist(), each.tolist(), float(rng.choice([0.0, 0.5, 0.8])), whole,
    )  # fmt: skip
    return lines, held, question


def cases(count):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        whole = seed % 3 > 0
        yield rng, whole, *holdings(rng, whole)


@pytest.mark.parametrize("rule", [book.PRO_RATA, book.LARGEST_REQUIREMENT, book.LARGEST_LOSER])
def test_a_margin_call_cuts_books_made_at_random_alike(rule):
    for rng, whole, lines, held, asked in cases(300):
        profit = rng.normal(size=len(asked.held)) * 1000.0
        equity = float(rng.uniform(-0.2, 1.1)) * asked.required(asked.held)
        out, each = np.empty(len(profit)), np.array(asked.each)
        room = netting.netting(lines)
        need = REQUIRED(held.position, held.left, held, lines, room, each, np.ones(len(each)), asked.credit)
        assert need == pytest.approx(asked.required(asked.held), rel=1e-9)
        CALL(held, profit, lines, room, each, np.ones(len(each)), asked.credit, equity, rule, whole, out)
        assert np.allclose(out, naive_margin.call(asked, profit.tolist(), equity, rule), rtol=1e-9, atol=1e-7)


def test_what_equity_does_not_cover_is_refused_alike():
    for rng, whole, lines, held, asked in cases(400):
        units = rng.integers(-9, 10, lines.member[-1] + 1) if whole else rng.normal(size=lines.member[-1] + 1) * 5.0
        wanted = units[lines.member] * lines.ratio
        equity = float(rng.uniform(-0.2, 1.2)) * asked.required(wanted.tolist())
        out, each = np.empty(len(wanted)), np.array(asked.each)
        room = netting.netting(lines)
        AFFORDABLE(wanted, held, lines, room, each, np.ones(len(each)), asked.credit, equity, whole, out)
        assert np.allclose(out, naive_margin.affordable(asked, wanted.tolist(), equity), **FINE)


def some(rng, low, high):
    return float(rng.uniform(low, high)) if rng.random() < 0.4 else np.inf


def test_limits_cut_targets_made_at_random_alike():
    for rng, whole, lines, held, asked in cases(500):
        count, equity = len(asked.held), float(rng.uniform(-1e3, 3e5))
        wanted = (rng.integers(-9, 10, lines.member[-1] + 1) * 1.0)[lines.member] * lines.ratio
        made = book.Limits(
            True, np.array([some(rng, 2.0, 15.0) for _ in range(3)])[lines.root], some(rng, 3.0, 20.0),
            some(rng, 3.0, 20.0), some(rng, 0.01, 0.1), some(rng, 0.001, 0.01),
            np.array([some(rng, 0.05, 0.5) for _ in range(3)]), some(rng, 0.3, 3.0), some(rng, 0.3, 2.0),
            some(rng, 0.05, 0.6),
        )  # fmt: skip
        row = {name: rng.uniform(0.5, 2.0, (1, count)) for name in book.Facts._fields}
        row |= {"initial": np.array([asked.each]), "fx": np.ones((1, count))}
        row |= {name: rng.uniform(50.0, 900.0, (1, count)) for name in ("liquidity", "open_interest")}
        row["liquidity"][rng.random((1, count)) < 0.1] = np.nan
        price, share = rng.uniform(-50.0, 5000.0, count), float(rng.choice([0.5, 1.0]))
        target, cuts = wanted.copy(), np.empty((limits.KINDS * count, 4))
        facts = book.Facts(**row)
        rows = applied(
            target, held, price, lines, netting.netting(lines), facts, made, asked.credit, share, equity, whole, cuts
        )
        known = {"sector": lines.sector.tolist(), "group": lines.group.tolist()}
        known["risk"] = (facts.sigma[0] * facts.multiplier[0] * np.sqrt(252.0)).tolist()
        known["notional"] = (np.abs(price) * facts.multiplier[0]).tolist()
        known |= {name: row[name][0].tolist() for name in ("liquidity", "open_interest")}
        sizes, told = naive_limits.apply(asked, wanted.tolist(), known, made, equity, share)
        assert np.allclose(target, sizes, **FINE)
        ours = sorted((int(i), book.EVENTS[int(kind)], a, b) for i, kind, a, b in cuts[:rows])
        assert [cut[:2] for cut in ours] == [cut[:2] for cut in sorted(told)]
        assert np.allclose([cut[2:] for cut in ours], [cut[2:] for cut in sorted(told)], **FINE)


def test_whole_contracts_near_the_ideal_are_chosen_alike():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 6))
        loading = rng.normal(size=(count, 3))
        covariance = loading @ loading.T + 0.1 * np.eye(count)
        ideal, held = rng.normal(size=count) * 6.0, np.trunc(rng.normal(size=count) * 4.0)
        lowest, highest = np.full(count, -np.inf), np.full(count, np.inf)
        fixed = rng.random(count) < 0.2
        lowest[fixed], highest[fixed] = -2.0, 2.0
        cost, out = rng.uniform(0.0, 0.3, count), np.empty(count)
        arrays = (ideal, held, lowest, highest, covariance, cost)
        told = naive_whole.nearest(*(array.tolist() for array in arrays))
        nearest(*arrays, out)
        assert out.tolist() == told
