"""Drawdowns against published vectors, slow twins and laws."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_engine_ratios import BACON, MIXED, RETURNS, growth

from engine import risk


def day(*texts):
    return np.array(texts, "datetime64[D]")


def test_drawdown_of_the_mixed_series_and_of_bacons_months():
    assert risk.max_drawdown(growth(MIXED)) == pytest.approx(-0.10, abs=1e-9)
    assert risk.max_drawdown(growth(BACON)) == pytest.approx(-0.144672955739218, abs=1e-9)


def test_the_starting_capital_is_a_peak():
    assert risk.max_drawdown(np.array([100.0, 90.0, 95.0])) == -0.1


def test_ulcer_and_pain_index():
    assert risk.ulcer(growth(BACON)) == pytest.approx(0.06118428726, abs=1e-9)
    assert risk.ulcer(growth(MIXED)) == pytest.approx(0.03878247027, abs=1e-9)
    assert risk.ulcer(growth(MIXED)) * np.sqrt(8 / 7) == pytest.approx(0.04146020467, abs=1e-9)  # others' n - 1
    assert risk.pain(growth(BACON)) == pytest.approx(0.03998969, abs=1e-8)


def test_length_is_of_the_deepest_drawdown_and_the_longest_may_be_another():
    days = day("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-08", "2024-01-09", "2024-02-09", "2024-02-12")
    equity = np.array([100.0, 120.0, 60.0, 120.0, 119.0, 118.0, 121.0])
    assert risk.max_drawdown(equity) == -0.5
    assert risk.max_drawdown_days(equity, days) == 6  # Jan 2 to Jan 8
    assert risk.longest_drawdown_days(equity, days) == 35  # Jan 8 to Feb 12


def test_an_open_drawdown_lasts_until_the_last_day():
    days = day("2024-01-01", "2024-01-02", "2024-01-05")
    equity = np.array([100.0, 120.0, 60.0])
    assert risk.max_drawdown_days(equity, days) == risk.longest_drawdown_days(equity, days) == 3


def test_a_drawdown_begins_on_the_last_day_at_its_peak():
    days = day("2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06")
    assert risk.max_drawdown_days(np.array([100.0, 100.0, 50.0, 100.0]), days) == 4


def test_more_than_all_can_be_lost():
    assert risk.max_drawdown(np.array([100.0, 200.0, -50.0])) == -1.25


def test_drawdown_of_nothing_of_the_start_alone_and_of_the_unknown():
    empty, start, none = np.array([]), np.array([100.0]), day()
    for number in (risk.max_drawdown, risk.ulcer, risk.pain):
        assert np.isnan(number(empty)) and np.isnan(number(np.array([100.0, np.nan, 90.0])))
        assert np.isnan(number(np.array([0.0, 100.0])))
    assert risk.max_drawdown(start) == 0.0 and np.isnan(risk.ulcer(start)) and np.isnan(risk.pain(start))
    for number in (risk.max_drawdown_days, risk.longest_drawdown_days):
        assert np.isnan(number(empty, none)) and number(start, day("2024-01-01")) == 0.0
        assert np.isnan(number(np.array([100.0, np.nan]), day("2024-01-01", "2024-01-02")))


@given(RETURNS)
def test_drawdowns_equal_their_slow_twins(returns):
    equity = growth(returns)
    days = np.cumsum(1 + np.arange(len(equity)) % 3)
    dates = np.datetime64("2024-01-01") + days.astype("timedelta64[D]")
    twin = naive.drawdowns(equity.tolist())
    np.testing.assert_allclose(risk.drawdown(equity), twin, atol=1e-12)
    assert risk.ulcer(equity) == pytest.approx(np.sqrt(naive.mean([d * d for d in twin[1:]])), abs=1e-12)
    assert risk.pain(equity) == pytest.approx(-naive.mean(twin[1:]), abs=1e-12)
    assert risk.max_drawdown_days(equity, dates) == naive.drawdown_length(equity.tolist(), days.tolist())
    assert risk.longest_drawdown_days(equity, dates) == naive.longest_drawdown(equity.tolist(), days.tolist())


@given(RETURNS, st.floats(0.0, 0.05))
def test_a_little_more_every_day_never_deepens_a_drawdown(returns, more):
    assert risk.max_drawdown(growth(returns + more)) >= risk.max_drawdown(growth(returns)) - 1e-12


@given(RETURNS, st.floats(0.01, 1000.0))
def test_drawdowns_are_bounded_and_do_not_know_the_unit_of_money(returns, unit):
    equity = growth(returns)
    depth = risk.drawdown(equity)
    assert depth.max() == 0.0 and depth.min() > -1.0
    assert risk.max_drawdown(equity * unit) == pytest.approx(risk.max_drawdown(equity), abs=1e-12)
    assert 0.0 <= risk.pain(equity) <= risk.ulcer(equity) + 1e-15
    assert risk.ulcer(equity) <= -risk.max_drawdown(equity) + 1e-15


@given(RETURNS, RETURNS)
def test_more_days_never_make_the_deepest_drawdown_shallower(returns, later):
    longer = growth(np.concatenate([returns, later]))
    assert risk.max_drawdown(longer) <= risk.max_drawdown(growth(returns))


def test_time_underwater_counts_the_days_below_the_peak():
    """Of five days two are at a new peak and one is back at the old one."""
    assert risk.underwater(np.array([100.0, 110.0, 105.0, 110.0, 109.0, 120.0])) == 2 / 5
    assert risk.underwater(np.array([100.0, 100.0])) == 0.0
    assert np.isnan(risk.underwater(np.array([100.0]))) and np.isnan(risk.underwater(np.array([100.0, np.nan])))
