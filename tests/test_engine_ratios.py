"""Returns and ratios against published vectors, slow twins and laws.

MIXED is the series of empyrical's own tests, BACON the 24 months of Bacon's book (PerformanceAnalytics tests them).
"""

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine import ratios, risk

MIXED = np.array([1, 10, -4, 2, 3, 2, 1, -10]) / 100
BACON = np.array(
    [3, 26, 11, -10, 15, 25, 16, 67, -14, 40, -5, 81, 40, -37, -61, 17, -49, -22, 70, 58, -65, 24, -5, -9]
) / 1000  # fmt: skip
RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60).map(np.array)


def growth(returns):
    """Equity of one unit, with its starting row."""
    return np.concatenate([[1.0], np.cumprod(1.0 + returns)])


def test_sharpe_of_the_mixed_series_as_published():
    assert ratios.sharpe(MIXED) == pytest.approx(1.7238613961706866, abs=1e-9)


def test_sortino_and_downside_risk_of_the_mixed_series_as_published():
    assert ratios.sortino(MIXED) == pytest.approx(2.605531251673693, abs=1e-9)
    assert ratios.downside_deviation(MIXED) == pytest.approx(0.60448325038829653, abs=1e-9)


def test_downside_of_bacons_months_as_published():
    assert ratios.downside_deviation(BACON, 0.005, periods=1) == pytest.approx(0.025536738, abs=1e-9)
    assert ratios.downside_potential(BACON, 0.005) == pytest.approx(0.013708333, abs=1e-9)


@pytest.mark.parametrize(("periods", "expected"), [(9, 19.135925373194233), (8, 23.3029279730044)])
def test_calmar_of_the_mixed_series_counts_the_time_that_passed(periods, expected):
    """empyrical's 19.1 counts a leading empty day; here time is the calendar's, and an empty day is no return."""
    equity = growth(MIXED)
    annual = ratios.annual_return(ratios.total_return(equity), periods / 252)
    assert ratios.calmar(annual, risk.max_drawdown(equity)) == pytest.approx(expected, abs=1e-9)


def test_omega_of_the_mixed_series_is_19_to_14():
    assert ratios.omega(MIXED) == pytest.approx(19 / 14, abs=1e-9)


def test_moments_of_bacons_months():
    assert BACON.mean() == pytest.approx(0.009, abs=1e-9)
    assert ratios.volatility(BACON, periods=1) == pytest.approx(0.0395485392, abs=1e-9)
    assert ratios.total_return(growth(BACON)) == pytest.approx(0.218105767220917, abs=1e-9)


def test_kelly_growth_of_thorps_stock():
    """Mean 11 %, riskless 6 %, volatility 15 % a year: 2.2222 times the capital, growing 11.55556 % a year."""
    two_years = 0.11 + np.array([0.15, -0.15]) / np.sqrt(2.0)
    multiple = ratios.kelly_growth(two_years, 0.06)
    assert multiple == pytest.approx(0.05 / 0.0225, abs=1e-9)
    assert 0.06 + 0.05 * multiple - (0.15 * multiple) ** 2 / 2 == pytest.approx(0.1155555556, abs=1e-9)


def test_t35_interest_does_not_change_the_sharpe_ratio_if_it_is_taken_out_again():
    credited = np.full(len(MIXED), 0.05 / 360)
    assert ratios.sharpe(MIXED + credited, credited) == pytest.approx(ratios.sharpe(MIXED), rel=1e-12)
    assert ratios.sortino(MIXED + credited, credited) == pytest.approx(ratios.sortino(MIXED), rel=1e-12)
    assert ratios.sharpe(MIXED + credited) > ratios.sharpe(MIXED)


def test_t36_with_fixed_capital_a_gain_and_an_equal_loss_make_nothing():
    equity = np.array([100_000.0, 110_000.0, 100_000.0])
    fixed = ratios.period_returns(equity, compounding=False)
    assert fixed.tolist() == [0.1, -0.1]
    assert fixed.sum() == ratios.total_return(equity) == 0.0
    assert np.prod(1.0 + fixed) - 1.0 == pytest.approx(-0.01)  # the wrong way to join them
    compounded = ratios.period_returns(equity)
    assert compounded.tolist() == [0.1, -10_000 / 110_000]
    assert np.prod(1.0 + compounded) - 1.0 == pytest.approx(0.0, abs=1e-15)


def test_t36_the_annual_return_of_fixed_capital_is_arithmetic():
    assert ratios.annual_return(0.44, 2.0, compounding=False) == pytest.approx(0.22, abs=1e-12)
    assert ratios.annual_return(0.44, 2.0) == pytest.approx(0.2, abs=1e-12)


def test_after_ruin_there_are_no_compounded_returns_but_fixed_ones_go_on():
    equity = np.array([100.0, 50.0, -20.0, 30.0])
    assert np.isnan(ratios.period_returns(equity)).tolist() == [False, False, True]
    assert ratios.period_returns(equity, compounding=False).tolist() == [-0.5, -0.7, 0.5]
    assert ratios.total_return(np.array([100.0, -20.0])) == -1.2
    assert np.isnan(ratios.annual_return(-1.2, 2.0)) and np.isnan(ratios.annual_return(-1.0, 2.0))
    assert ratios.annual_return(-1.2, 2.0, compounding=False) == -0.6


def test_a_return_that_is_not_known_makes_every_ratio_unknown():
    unknown = np.append(MIXED, np.nan)
    for ratio in (ratios.volatility, ratios.sharpe, ratios.sortino, ratios.omega, ratios.kelly_growth):
        assert np.isnan(ratio(unknown))
    assert np.isnan([ratios.downside_deviation(unknown), ratios.downside_potential(unknown)]).all()


def test_a_run_too_short_or_too_wild_has_no_annual_return():
    assert np.isnan(ratios.annual_return(0.1, 0.0))
    assert np.isnan(ratios.annual_return(9.0, 1 / 365.25))
    assert ratios.annual_return(0.0, 1 / 365.25) == 0.0


@pytest.mark.parametrize("returns", [np.array([]), np.array([0.01]), np.full(5, 0.01), np.zeros(5)])
def test_without_volatility_there_is_no_sharpe_and_no_kelly(returns):
    assert np.isnan(ratios.sharpe(returns)) and np.isnan(ratios.kelly_growth(returns))


def test_interest_alone_is_no_volatility():
    """Equity that only earns interest differs from it by rounding; that must not become a ratio of 10**12."""
    rate = 0.05 / 360
    equity = 1e7 * np.cumprod(np.full(500, 1.0 + rate))
    assert np.isnan(ratios.sharpe(ratios.period_returns(equity), rate))


def test_without_a_losing_day_there_is_no_sortino_no_omega_no_calmar():
    gains = np.array([0.01, 0.02, 0.0])
    assert np.isnan([ratios.sortino(gains), ratios.omega(gains), ratios.calmar(0.1, 0.0)]).all()
    assert ratios.downside_deviation(gains) == 0.0


def test_empty_and_one_row_inputs():
    empty, start = np.array([]), np.array([100.0])
    assert len(ratios.period_returns(empty)) == len(ratios.period_returns(start)) == 0
    assert len(ratios.period_returns(empty, False)) == len(ratios.period_returns(start, False)) == 0
    assert np.isnan(ratios.total_return(empty)) and ratios.total_return(start) == 0.0
    assert np.isnan(ratios.final_equity(empty)) and ratios.final_equity(start) == 100.0
    for ratio in (ratios.volatility, ratios.sortino, ratios.omega, ratios.downside_deviation):
        assert np.isnan(ratio(empty))
    assert np.isnan(ratios.volatility(np.array([0.01])))
    assert ratios.years(np.array([], "datetime64[D]")) == 0.0


def moves(returns):
    """Not all alike, by more than rounding."""
    return np.ptp(returns) > 1e-6


@given(RETURNS)
def test_ratios_equal_their_slow_twins(returns):
    assume(moves(returns))
    plain = returns.tolist()
    assert ratios.sharpe(returns) == pytest.approx(naive.sharpe(plain, [0.0] * len(plain), 252), rel=1e-6, abs=1e-9)
    assert ratios.volatility(returns, 1) == pytest.approx(naive.deviation(plain, 1), rel=1e-9)
    if returns.min() < -1e-6:
        assert ratios.sortino(returns) == pytest.approx(naive.sortino(plain, 0.0, 252), rel=1e-6, abs=1e-9)


@given(RETURNS, st.floats(0.01, 100.0))
def test_leverage_changes_no_ratio(returns, leverage):
    assume(moves(returns) and returns.min() < -1e-6)
    for ratio in (ratios.sharpe, ratios.sortino, ratios.omega):
        assert ratio(returns * leverage) == pytest.approx(ratio(returns), rel=1e-6, abs=1e-6)
    assert ratios.volatility(returns * leverage) == pytest.approx(leverage * ratios.volatility(returns), rel=1e-9)


@given(RETURNS, st.floats(0.0, 0.01))
def test_a_little_more_every_day_never_lowers_a_ratio(returns, more):
    assume(moves(returns))
    assert ratios.sharpe(returns + more) >= ratios.sharpe(returns) - 1e-6
    assert ratios.volatility(returns + more) == pytest.approx(ratios.volatility(returns), rel=1e-6, abs=1e-12)
    assert ratios.downside_deviation(returns + more) <= ratios.downside_deviation(returns) + 1e-12


@given(RETURNS)
def test_the_other_side_of_the_trade_has_the_opposite_sharpe(returns):
    assume(moves(returns))
    assert ratios.sharpe(-returns) == -ratios.sharpe(returns)


@given(RETURNS)
def test_returns_of_equity_give_the_equity_back(returns):
    equity = 1e6 * growth(returns)
    np.testing.assert_allclose(ratios.period_returns(equity), returns, atol=1e-12)
    fixed = ratios.period_returns(equity, compounding=False)
    assert fixed.sum() == pytest.approx(ratios.total_return(equity), abs=1e-9)


@given(st.floats(-0.5, 5.0), st.floats(0.5, 40.0))
def test_the_annual_return_compounds_to_the_total(total, years):
    assert (1.0 + ratios.annual_return(total, years)) ** years - 1.0 == pytest.approx(total, rel=1e-9, abs=1e-9)


def test_inputs_are_not_changed():
    returns, equity = MIXED.copy(), growth(MIXED)
    returns.setflags(write=False), equity.setflags(write=False)  # writing to them would raise
    for ratio in (ratios.volatility, ratios.sharpe, ratios.sortino, ratios.omega, ratios.kelly_growth):
        ratio(returns)
    ratios.period_returns(equity), ratios.total_return(equity)


def test_mar_is_the_annual_return_over_the_deepest_fall_since_the_beginning():
    """Doubled in four years by the calendar, a fifth lost on the way: 18.92 % over 20 %."""
    annual = ratios.annual_return(1.0, 4.0)
    assert ratios.mar(annual, -0.2) == pytest.approx((2.0**0.25 - 1.0) / 0.2, rel=1e-12)
    assert np.isnan(ratios.mar(annual, 0.0)) and np.isnan(ratios.mar(np.nan, -0.2))


def test_autocorrelation_worked_by_hand():
    """1 3 2 6: mean 3, apart -2 0 -1 3, squares 14; neighbours -2x0 + 0x-1 + -1x3 = -3, two apart 2 + 0."""
    values = np.array([1.0, 3.0, 2.0, 6.0])
    assert ratios.autocorrelation(values) == pytest.approx(-3 / 14, abs=1e-15)
    assert ratios.autocorrelation(values, 2) == pytest.approx(2 / 14, abs=1e-15)
    assert ratios.autocorrelation(values, 3) == pytest.approx(-6 / 14, abs=1e-15)


@pytest.mark.parametrize("returns", [np.array([]), np.array([0.01]), np.full(9, 0.1), np.append(MIXED, np.nan)])
def test_autocorrelation_of_too_little_or_of_the_unknown_is_unknown(returns):
    assert np.isnan(ratios.autocorrelation(returns))
