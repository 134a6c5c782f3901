"""The moving average cross: its signals, and the laws that no strategy may break."""

import naive
import numpy as np
import pytest
import synthetic_market

from engine.strategies.trend import MovingAverageCross, cross


@pytest.mark.parametrize("fast, slow", [(5, 20), (1, 50), (50, 200), (30, 30), (40, 10)])
def test_forecasts_equal_those_of_plain_python(fast, slow):
    market = synthetic_market.market(bars=330, markets=2)
    ours = MovingAverageCross(fast=fast, slow=slow).forecast(market)
    for m in range(2):
        np.testing.assert_array_equal(ours[:, m], naive.cross(market.adjusted[:, m].tolist(), fast, slow))


def test_a_rising_market_is_bought_and_a_falling_one_sold():
    line = np.arange(30.0)[:, None]
    market = synthetic_market.of(np.hstack([100.0 + line, 100.0 - line]))
    forecast = MovingAverageCross(fast=2, slow=10).forecast(market)
    np.testing.assert_array_equal(forecast[:9], 0.0)  # nine bars are not ten
    np.testing.assert_array_equal(forecast[9:], [[1.0, -1.0]] * 21)


def test_warm_up_is_the_longer_length():
    assert MovingAverageCross(fast=10, slow=40).warm_up() == 40
    assert MovingAverageCross(fast=40, slow=10).warm_up() == 40


def test_a_flat_market_is_a_tie():
    assert not MovingAverageCross(fast=3, slow=7).forecast(synthetic_market.of(np.full((50, 1), 0.1))).any()


def test_a_difference_within_a_billionth_of_the_price_is_a_tie():
    gap, zero, price = np.array([[0.9e-7, 1.1e-7, -1.1e-7]]), np.zeros((1, 3)), np.full((1, 3), 100.0)
    np.testing.assert_array_equal(cross(gap, zero, price), [[0.0, 1.0, -1.0]])


def test_t2_a_negative_price_has_a_tie_of_the_same_width():
    gap, zero, price = np.array([[0.9e-7, 1.1e-7]]), np.zeros((1, 2)), np.full((1, 2), -100.0)
    np.testing.assert_array_equal(cross(gap, zero, price), [[0.0, 1.0]])


def test_t14_adding_1024_to_the_whole_adjusted_history_leaves_every_signal():
    market = synthetic_market.market(bars=600, markets=4)
    shifted = synthetic_market.of(market.mark, market.offset + 1024.0, market.available)
    strategy = MovingAverageCross(fast=10, slow=50)
    np.testing.assert_array_equal(strategy.forecast(shifted), strategy.forecast(market))
    assert set(np.unique(strategy.forecast(market))) == {-1.0, 0.0, 1.0}


def test_t14_signals_hold_on_prices_that_no_float_holds_exactly():
    mark = 1.08 + 0.00005 * np.cumsum(np.random.default_rng(5).integers(-9, 10, (600, 4)), axis=0)
    market, shifted = synthetic_market.of(mark), synthetic_market.of(mark, np.full(mark.shape, 1024.0))
    strategy = MovingAverageCross(fast=10, slow=50)
    np.testing.assert_array_equal(strategy.forecast(shifted), strategy.forecast(market))


def test_t15_a_roll_gap_makes_no_signal():
    mark = 100.0 + np.arange(60.0)[:, None]
    offset = np.zeros_like(mark)
    mark[30:] -= 500.0  # the next contract trades 500 lower
    offset[30:] = 500.0
    forecast = MovingAverageCross(fast=2, slow=10).forecast(synthetic_market.of(mark, offset))
    np.testing.assert_array_equal(forecast[9:], 1.0)


def test_t42_a_holiday_keeps_the_forecast():
    mark = 100.0 + np.arange(30.0)[:, None]
    mark[20] = np.nan
    forecast = MovingAverageCross(fast=2, slow=10).forecast(synthetic_market.of(mark))
    np.testing.assert_array_equal(forecast[9:], 1.0)


def test_t45_the_future_does_not_reach_back():
    market = synthetic_market.market(bars=400)
    strategy = MovingAverageCross(fast=10, slow=50)
    whole = strategy.forecast(market)
    for t in np.random.default_rng(2).integers(1, 400, 12):
        np.testing.assert_array_equal(strategy.forecast(synthetic_market.prefix(market, t)), whole[:t])
        np.testing.assert_array_equal(strategy.forecast(synthetic_market.other_future(market, t))[:t], whole[:t])


def test_t45_a_longer_past_leaves_the_signals_of_full_windows():
    market = synthetic_market.market(bars=500, holidays=0.0, markets=1)
    strategy = MovingAverageCross(fast=10, slow=50)
    late = synthetic_market.of(market.mark[123:])
    np.testing.assert_array_equal(strategy.forecast(late)[49:], strategy.forecast(market)[123 + 49 :])


def test_forecasts_are_whole_numbers_in_c_order_and_inputs_stay():
    market = synthetic_market.market()
    kept = market.adjusted.copy()
    forecast = MovingAverageCross().forecast(market)
    assert forecast.dtype == np.float64 and forecast.flags.c_contiguous and forecast.shape == market.mark.shape
    np.testing.assert_array_equal(market.adjusted, kept)


def test_lengths_are_whole_bars_within_bounds():
    with pytest.raises(ValueError, match="fast"):
        MovingAverageCross(fast=0)
    with pytest.raises(ValueError, match="slow"):
        MovingAverageCross(slow=10.5)
