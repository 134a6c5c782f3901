"""Whole contracts nearest in risk: hand cases, a slow twin, every combination of a small book, and what it promises."""

import itertools

import numpy as np
import pytest

from engine.sizing.whole import nearest
from tests import naive_whole


def whole(ideal, covariance, held=0.0, lowest=-np.inf, highest=np.inf, cost=0.0):
    """Positions for one book; single numbers hold for every market."""
    ideal = np.asarray(ideal, dtype=np.float64)
    rest = [np.array(np.broadcast_to(x, ideal.shape), dtype=np.float64) for x in (held, lowest, highest, cost)]
    out = np.full(len(ideal), np.nan)
    nearest(ideal, *rest[:3], np.array(covariance, dtype=np.float64), rest[3], out)
    return out.tolist()


def covariance(random, markets, factors=2):
    """A random covariance of markets that share some factors."""
    loads = random.normal(0, 1, (markets, factors))
    return loads @ loads.T + np.diag(random.uniform(0.2, 2.0, markets))


def test_one_market_is_rounded_to_the_nearest_contract():
    for ideal, expected in ((0.4, 0), (0.6, 1), (2.3, 2), (2.7, 3), (-0.4, 0), (-0.6, -1), (-2.7, -3), (0.0, 0)):
        assert whole([ideal], [[4.0]]) == [expected]


def test_a_half_is_left_alone():
    assert whole([0.5], [[4.0]]) == [0.0] and whole([-0.5], [[4.0]]) == [0.0]  # one contract would be as far away


def test_markets_that_move_apart_are_rounded_one_by_one():
    assert whole([0.4, 0.6, -1.7], np.diag([1.0, 9.0, 0.1])) == [0.0, 1.0, -2.0]


def test_one_contract_stands_for_three_neighbours_of_a_third_each():
    # cut toward zero nothing would be held; one contract of any carries all of the common risk: the first is taken
    assert whole([1 / 3, 1 / 3, 1 / 3], np.full((3, 3), 4.0)) == [1.0, 0.0, 0.0]


def test_a_short_neighbour_is_already_hedged_by_the_long_one():
    # 0.6 long and 0.6 short of the same risk: both rounded, or none, have no error at all, but not one alone
    assert whole([0.6, -0.6], np.ones((2, 2))) == [1.0, -1.0]
    assert whole([0.6, -0.4], np.ones((2, 2))) == [0.0, 0.0]


def test_the_larger_contract_gives_way_to_the_smaller():
    # 0.3 of a contract of risk 10 is 3 of risk 1, in markets that move as one
    assert whole([0.3, 0.1], [[100.0, 10.0], [10.0, 1.0]]) == [0.0, 3.0]


def test_of_equal_markets_the_first_is_changed():
    # both rounded are 0.6 too many, one of them alone 0.4 too few
    assert whole([0.7, 0.7], np.full((2, 2), 2.0)) == [0.0, 1.0]


def test_a_market_that_is_not_wanted_is_not_held_even_where_it_would_hedge():
    assert whole([1.4, 0.0], [[1.0, -0.9], [-0.9, 1.0]]) == [1.0, 0.0]


def test_dear_trades_are_not_made():
    # from 0 to 1 the tracking error falls from 0.6 to 0.4: worth 0.2 and no more
    assert whole([0.6], [[1.0]], cost=0.19) == [1.0] and whole([0.6], [[1.0]], cost=0.21) == [0.0]
    assert whole([0.4], [[1.0]], held=1.0, cost=0.21) == [1.0] and whole([0.4], [[1.0]], held=1.0, cost=0.19) == [0.0]


def test_bounds_hold():
    assert whole([2.7, 2.7], np.eye(2), highest=[1.0, np.inf]) == [1.0, 3.0]
    assert whole([-2.7], [[1.0]], lowest=-2.5) == [-2.0]
    assert whole([0.2], [[1.0]], lowest=3.0, highest=3.0) == [3.0]
    assert whole([0.2], [[1.0]], lowest=-3.0, highest=-3.0) == [-3.0]


def test_a_large_book_takes_few_steps_and_ends_as_near():
    assert whole([100_000.3, -99_999.6], np.eye(2)) == [100_000.0, -100_000.0]


def test_no_market_and_no_risk_end():
    assert whole([], np.empty((0, 0))) == []
    assert whole([2.7], [[0.0]]) == [3.0]  # a market of no known risk is rounded for itself


@pytest.mark.parametrize("seed", range(40))
def test_random_books_equal_their_twin(seed):
    random = np.random.default_rng(seed)
    markets = int(random.integers(1, 9))
    ideal = random.normal(0, random.choice([0.3, 1.0, 20.0]), markets)
    ideal[random.random(markets) < 0.1] = 0.0
    held = random.integers(-2, 3, markets).astype(float)
    lowest = np.where(random.random(markets) < 0.7, -np.inf, -random.integers(0, 4, markets).astype(float))
    highest = np.where(random.random(markets) < 0.7, np.inf, random.integers(0, 4, markets).astype(float))
    risk, cost = covariance(random, markets), random.choice([0.0, 0.1]) * random.random(markets)
    ours = whole(ideal, risk, held, lowest, highest, cost)
    assert ours == naive_whole.nearest(*(x.tolist() for x in (ideal, held, lowest, highest, risk, cost)))
    assert all(low <= w <= high and w == round(w) for w, low, high in zip(ours, lowest, highest, strict=True))


def test_it_is_nearer_than_cutting_toward_zero_and_close_to_the_best_there_is():
    random = np.random.default_rng(8)
    ours, cut, best = [], [], []
    for _ in range(100):
        ideal, risk, zero = random.normal(0, 0.6, 5), covariance(random, 5), np.zeros(5)

        def error(book, ideal=ideal, risk=risk):
            return float(np.sqrt((book - ideal) @ risk @ (book - ideal)))

        ours.append(error(np.array(whole(ideal, risk))))
        cut.append(error(np.trunc(ideal)))
        choices = [sorted({0.0, *np.arange(1, 4) * np.sign(x)}) for x in ideal]
        best.append(min(error(np.array(book)) for book in itertools.product(*choices)))
        assert ours[-1] <= error(zero) + 1e-12
    assert np.mean(ours) < 0.75 * np.mean(cut)
    assert np.mean(ours) < 1.15 * np.mean(best)
