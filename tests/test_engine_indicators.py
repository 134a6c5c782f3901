"""Averages, changes and volatility, against slow twins, published vectors and the traps of the trade."""

import naive
import numpy as np
import pytest
import synthetic_market
from hypothesis import given, settings
from hypothesis import strategies as some

from engine import indicators
from engine.indicators import (
    average_gap,
    average_gaps,
    before,
    change,
    latest,
    moving_average,
    relative_change,
    seen,
    volatility,
)

WINDOWED = {
    "moving_average": lambda price: moving_average(price, 37),
    "average_gap": lambda price: average_gap(price, 37),
    "average_gaps": lambda price: np.ascontiguousarray(average_gaps(price, np.array([5, 37]))[:, :, 1]),
    "change": change,
    "latest": latest,
    "before": before,
    "seen": lambda price: seen(change(price)),
    "volatility": lambda price: volatility(change(price), 32.0),
}


def column(*values):
    """One market's values."""
    return np.array(values, dtype=np.float64)[:, None]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 50, 200, 255, 256])
def test_moving_averages_equal_windows_added_up_one_by_one(length):
    price = synthetic_market.market(bars=330, markets=2).adjusted
    ours = moving_average(price, length)
    for m in range(price.shape[1]):
        np.testing.assert_allclose(ours[:, m], naive.moving_average(price[:, m].tolist(), length), rtol=1e-13, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    some.lists(some.one_of(some.just(np.nan), some.floats(-1e4, 1e4)), min_size=1, max_size=40), some.integers(1, 12)
)
def test_moving_averages_of_any_prices_equal_their_twin(prices, length):
    twin = np.array(naive.moving_average(prices, length))
    np.testing.assert_allclose(moving_average(column(*prices), length).ravel(), twin, rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize("length", [1, 2, 37, 64, 200])
def test_a_window_forgets_all_that_came_before_it(length):
    price = 100.0 * np.random.default_rng(3).random((500, 2))  # not on a grid: every sum rounds
    whole = average_gap(price, length)
    for cut in (1, 17, 250):
        np.testing.assert_array_equal(average_gap(price[cut:].copy(), length)[length - 1 :], whole[cut + length - 1 :])


def test_t14_adding_1024_to_the_adjusted_history_leaves_differences_bit_equal():
    price = synthetic_market.market().adjusted
    for name in ("average_gap", "change", "volatility", "seen"):
        np.testing.assert_array_equal(WINDOWED[name](price + 1024.0), WINDOWED[name](price), err_msg=name)


@pytest.mark.parametrize("name", WINDOWED)
def test_t45_the_future_does_not_reach_back(name):
    price = synthetic_market.market().adjusted
    whole = WINDOWED[name](price)
    for t in (1, 2, 36, 37, 150, 399):
        np.testing.assert_array_equal(WINDOWED[name](price[:t].copy()), whole[:t])
        noise = price.copy()
        noise[t:] = np.random.default_rng(t).normal(0, 1e6, noise[t:].shape)
        np.testing.assert_array_equal(WINDOWED[name](noise)[:t], whole[:t])


@pytest.mark.parametrize("name", WINDOWED)
def test_inputs_are_not_changed(name):
    price = synthetic_market.market().adjusted
    kept = price.copy()
    WINDOWED[name](price)
    np.testing.assert_array_equal(price, kept)


@pytest.mark.parametrize("name", WINDOWED)
def test_a_market_does_not_depend_on_the_others_beside_it(name):
    price = synthetic_market.market().adjusted
    for m in range(price.shape[1]):
        alone = WINDOWED[name](price[:, m : m + 1].copy())
        np.testing.assert_array_equal(alone[:, 0], WINDOWED[name](price)[:, m])


def test_t42_a_markets_holiday_is_no_calm_day():
    # Bund closed while ES trades: its change is not 0 but unknown, and its volatility stays what it was.
    bund = column(130.0, 131.0, np.nan, 130.0)
    np.testing.assert_array_equal(change(bund).ravel(), [np.nan, 1.0, np.nan, -1.0])
    np.testing.assert_array_equal(volatility(change(bund), 10.0).ravel(), [np.nan, 1.0, 1.0, 1.0])
    filled = column(130.0, 131.0, 131.0, 130.0)  # what forward-filling would make of it
    assert volatility(change(filled), 10.0)[-1, 0] < 1.0
    np.testing.assert_array_equal(seen(change(bund)).ravel(), [0.0, 1.0, 1.0, 2.0])


def test_t42_holidays_leave_averages_as_if_the_days_were_not_there():
    price = synthetic_market.market(markets=1).adjusted
    there = ~np.isnan(price[:, 0])
    for name in ("moving_average", "average_gap", "change", "volatility", "seen"):
        squeezed = WINDOWED[name](price[there].copy())
        np.testing.assert_array_equal(WINDOWED[name](price)[there], squeezed, err_msg=name)


def test_t1_percentages_are_of_the_contract_held_not_of_the_adjusted_price():
    adjusted, contract = column(106.0, 108.0, 110.0), column(100.0, 102.0, 104.0)
    assert relative_change(adjusted, contract)[1, 0] == pytest.approx(0.02, abs=1e-15)
    assert pytest.approx(0.01887, abs=5e-6) == 108.0 / 106.0 - 1.0  # the wrong one


def test_t2_a_rise_from_minus_four_to_minus_two_is_a_gain():
    assert change(column(-4.0, -2.0))[1, 0] == 2.0
    assert change(column(18.27, -37.63))[1, 0] * 1000 == pytest.approx(-55_900.0)  # CL of May 2020, 2020-04-20


def test_t2_a_share_of_a_price_that_is_not_above_zero_is_an_error():
    with pytest.raises(ValueError, match=r"price -4.0 at bar 1 of market 0; allowed: above 0"):
        relative_change(column(3.0, -2.0), column(1.0, -4.0))


def test_volatility_equals_its_weights_written_out():
    moves = change(synthetic_market.market(bars=150, markets=2).adjusted)
    for m in range(moves.shape[1]):
        np.testing.assert_allclose(
            volatility(moves, 32.0)[:, m], naive.volatility(moves[:, m].tolist(), 32.0), rtol=1e-12
        )


def test_volatility_of_the_riskmetrics_vector():
    # DOMAIN 2.9: lambda 0.94, seeded with the first square; a = 2 / (span + 1) = 0.06
    sigma = volatility(column(0.01, -0.02, 0.015, -0.005, 0.02), 2.0 / 0.06 - 1.0)[-1, 0]
    assert sigma == pytest.approx(0.0116338950, abs=5e-11)
    assert sigma * np.sqrt(252.0) == pytest.approx(0.1846823571, abs=5e-10)


def test_t44_volatility_forgets_its_start():
    moves = change(synthetic_market.market(bars=900, markets=1).adjusted)
    whole, late = volatility(moves, 20.0), volatility(moves[200:].copy(), 20.0)
    assert abs(late[-1, 0] / whole[-1, 0] - 1.0) < 1e-6


def test_the_naive_change_agrees():
    price = synthetic_market.market(bars=120, markets=2).adjusted
    for m in range(2):
        np.testing.assert_array_equal(change(price)[:, m], naive.change(price[:, m].tolist()))


def test_an_empty_market_has_empty_indicators():
    for name, made in WINDOWED.items():
        assert made(np.empty((0, 2))).shape == (0, 2), name
        assert made(np.empty((5, 0))).shape == (5, 0), name


def test_every_windowed_function_is_put_through_the_laws():
    public = {name for name, value in vars(indicators).items() if hasattr(value, "py_func") and name[0] != "_"}
    assert public <= set(WINDOWED)
