"""Measures: each equals a slow version in plain Python, and none knows the level of the price or the future."""

from itertools import pairwise

import numpy as np
import pytest
import strategy_market

from engine.measures import (
    average_range,
    deviation,
    exponential_gap,
    extremes,
    highest,
    lowest,
    past_change,
    ranked,
    relative_strength,
    smoothed,
    wilder,
)

NAN = float("nan")
OF_A_PRICE = {
    "highest less price": lambda m: highest(m.adjusted, 20) - m.adjusted,
    "lowest less price": lambda m: lowest(m.adjusted, 20) - m.adjusted,
    "exponential gap": lambda m: exponential_gap(m.adjusted, 30.0),
    "past change": lambda m: past_change(m.adjusted, 21),
    "deviation": lambda m: deviation(m.adjusted, 20),
    "average range": lambda m: average_range(m, 20),
    "relative strength": lambda m: relative_strength(m.adjusted, 3),
}


def walk(bars=300):
    """One market of numbers that a float does not hold exactly, and the bars that exist."""
    random = np.random.default_rng(8)
    price = 50.0 + np.cumsum(random.normal(0.0, 1.0, bars))
    price[random.random(bars) < 0.1] = np.nan
    return price[:, None], [(t, p) for t, p in enumerate(price.tolist()) if p == p]


def over_windows(known, bars, length, value):
    """Apply a function to the last `length` prices of each bar; a holiday keeps the last."""
    out, seen, last = [], [], NAN
    prices = dict(known)
    for t in range(bars):
        if t in prices:
            seen.append(prices[t])
            last = value(seen[-length:]) if len(seen) >= length else NAN
        out.append(last)
    return np.array(out)[:, None]


@pytest.mark.parametrize("length", [1, 2, 7, 50])
def test_windows_equal_those_of_plain_python(length):
    price, known = walk()
    np.testing.assert_array_equal(highest(price, length), over_windows(known, 300, length, max))
    np.testing.assert_array_equal(lowest(price, length), over_windows(known, 300, length, min))
    np.testing.assert_allclose(deviation(price, length), over_windows(known, 300, length, np.std), atol=1e-12)
    changes = over_windows(known, 300, length + 1, lambda w: w[-1] - w[0])
    np.testing.assert_array_equal(past_change(price, length), changes)


def test_an_exponential_gap_is_the_average_less_the_price():
    price, known = walk()
    gap, average, out = exponential_gap(price, 9.0), known[0][1], {}
    for t, p in known:
        average += 0.2 * (p - average)
        out[t] = average - p
    for t, wanted in out.items():
        assert gap[t, 0] == pytest.approx(wanted, abs=1e-12)


def plain_wilder(values, length):
    out, mean = [], None
    for k, x in enumerate(values):
        if k + 1 == length:
            mean = sum(values[:length]) / length
        elif mean is not None:
            mean = (mean * (length - 1) + x) / length
        out.append(NAN if mean is None else mean)
    return out


def test_wilders_average_and_the_relative_strength_equal_those_of_plain_python():
    price, known = walk()
    prices = [p for _, p in known]
    moves = [b - a for a, b in pairwise(prices)]
    up, down = plain_wilder([max(x, 0.0) for x in moves], 5), plain_wilder([max(-x, 0.0) for x in moves], 5)
    ours = relative_strength(price, 5)[[t for t, _ in known]][1:, 0]
    np.testing.assert_allclose(ours, [100.0 * u / (u + d) for u, d in zip(up, down, strict=True)], atol=1e-9)
    np.testing.assert_allclose(wilder(np.array([prices]).T, 7)[:, 0], plain_wilder(prices, 7), atol=1e-9)


def test_the_common_worked_example_of_the_relative_strength():
    """Fifteen closes (14 changes: gains 3.34, losses 1.40 in all): 3.34 / 4.74."""
    closes = [44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89, 46.03, 45.61, 46.28, 46.28]
    assert relative_strength(np.array([closes]).T, 14)[-1, 0] == pytest.approx(100 * 3.34 / 4.74, abs=1e-9)


def test_a_market_that_does_not_move_has_a_strength_of_50():
    assert relative_strength(np.full((5, 1), 7.0), 2)[2:].ravel().tolist() == [50.0, 50.0, 50.0]


def test_t15_a_roll_gap_is_no_range():
    mark = np.full((60, 1), 100.0)
    offset = np.zeros_like(mark)
    mark[30:], offset[30:] = 75.0, 25.0  # the next contract trades 25 lower
    market = strategy_market.of(mark, offset, high=mark + 1.0, low=mark - 1.0)
    np.testing.assert_array_equal(average_range(market, 5)[5:], 2.0)


def test_a_bar_without_high_and_low_reaches_from_close_to_close():
    mark = np.array([[10.0], [14.0], [12.0]])
    unknown = np.full_like(mark, NAN)
    market = strategy_market.of(mark, high=unknown, low=unknown)
    assert average_range(market, 1).ravel().tolist()[1:] == [4.0, 2.0]
    np.testing.assert_array_equal(extremes(market)[0], mark)


def test_t24_a_settlement_outside_the_bar_is_used_as_it_is():
    mark = np.array([[100.0], [102.25]])  # the second settled above its high
    market = strategy_market.of(mark, high=np.array([[101.0], [102.0]]), low=np.array([[99.0], [100.0]]))
    assert average_range(market, 1)[1, 0] == 2.0


def test_smoothing_keeps_the_last_over_what_is_missing():
    assert smoothed(np.array([[NAN], [2.0], [NAN], [4.0]]), 3.0).ravel().tolist()[1:] == [2.0, 2.0, 3.0]


def test_places_are_centred_and_of_mean_size_one_within_each_group():
    values = np.random.default_rng(1).normal(size=(50, 7))
    values[np.random.default_rng(2).random(values.shape) < 0.2] = NAN
    group = np.array([0, 1, 0, 1, 0, 1, 1])
    out = ranked(values, group)
    for t in range(50):
        for g in (0, 1):
            known = [m for m in range(7) if group[m] == g and not np.isnan(values[t, m])]
            if len(known) < 2:
                assert not out[t, known].any()
                continue
            order = sorted(known, key=lambda m: values[t, m])
            assert [out[t, m] for m in order] == sorted(out[t, known])
            assert sum(out[t, known]) == pytest.approx(0.0, abs=1e-12)
            assert np.mean(np.abs(out[t, known])) == pytest.approx(1.0)
    assert not out[np.isnan(values)].any()


def test_equal_values_share_a_place():
    out = ranked(np.array([[1.0, 1.0, 3.0, 3.0]]), np.zeros(4, np.int64))
    assert out.ravel().tolist() == [-1.0, -1.0, 1.0, 1.0]
    assert not ranked(np.full((1, 3), 5.0), np.zeros(3, np.int64)).any()


@pytest.mark.parametrize("measure", OF_A_PRICE.values(), ids=OF_A_PRICE)
def test_t14_t45_no_measure_knows_the_level_of_the_price_or_the_future(measure):
    market = strategy_market.market(bars=400)
    whole = measure(market)
    np.testing.assert_array_equal(measure(strategy_market.lifted(market)), whole)
    for t in (1, 133, 399):
        np.testing.assert_array_equal(measure(strategy_market.prefix(market, t)), whole[:t])
        np.testing.assert_array_equal(measure(strategy_market.other_future(market, t))[:t], whole[:t])
