"""Values at risk and what lies beyond them, against published vectors, slow twins and laws."""

from statistics import NormalDist

import naive
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_engine_ratios import BACON, MIXED, RETURNS

from engine import tails

LEVELS = st.sampled_from([0.75, 0.9, 0.95, 0.99])
FLAT = np.full(5, 0.01)


@pytest.fixture(scope="module")
def edhec(shared):
    """EDHEC convertible arbitrage, first 100 months, with which PerformanceAnalytics tests its tails."""
    return np.loadtxt(shared / "oracles" / "edhec_convertible_arbitrage.csv", delimiter=",", skiprows=1, usecols=1)


def test_edhec_tails_as_performanceanalytics_prints_them(edhec):
    assert tails.gaussian_var(edhec) == pytest.approx(0.012133, abs=5e-7)
    assert tails.cornish_fisher_var(edhec) == pytest.approx(0.014674, abs=5e-7)
    assert tails.var(edhec) == pytest.approx(0.014095, abs=1e-9)
    assert tails.gaussian_cvar(edhec) == pytest.approx(0.017133, abs=5e-7)
    assert tails.cvar(edhec) == pytest.approx(0.024080, abs=1e-9)


@pytest.mark.parametrize("count", [21, 41, 101, 141, 181, 301, 2901])
def test_a_day_exactly_at_the_value_at_risk_belongs_to_the_tail(count):
    """With n - 1 a multiple of 20 the 5 % quantile is a return itself; floats must not push it out."""
    returns = np.random.default_rng(count).permutation(np.arange(count)) / 1000.0 - 0.07
    worst = np.sort(returns)[: (count - 1) // 20 + 1]
    assert tails.var(returns) == pytest.approx(-worst[-1], abs=1e-12)
    assert tails.cvar(returns) == pytest.approx(-worst.mean(), abs=1e-12)
    assert tails.cvar(returns) == pytest.approx(-returns[returns <= -tails.var(returns)].mean(), abs=1e-12)


def test_edhec_with_the_sample_deviation_is_nearly_a_percent_off(edhec):
    assert tails.gaussian_var(edhec, ddof=1) == pytest.approx(0.012232, abs=5e-7)


def test_tails_of_bacons_months_worked_by_hand():
    assert tails.var(BACON) == pytest.approx(0.0592, abs=1e-9)  # 0.061 - 0.15 (0.061 - 0.049)
    assert tails.cvar(BACON) == pytest.approx(0.063, abs=1e-9)  # (0.065 + 0.061) / 2
    assert tails.expected_shortfall(BACON) == pytest.approx((0.065 + 0.2 * 0.061) / 1.2, abs=1e-9)
    assert tails.gaussian_var(BACON, ddof=1) == pytest.approx(0.056051558, abs=1e-9)
    assert tails.cornish_fisher_var(BACON) == pytest.approx(0.056028995, abs=1e-9)
    assert tails.skew(BACON) == pytest.approx(-0.0825624552, abs=1e-9)
    assert tails.kurtosis(BACON) == pytest.approx(2.4324537941, abs=1e-9)


def test_tails_of_the_mixed_series():
    assert tails.var(MIXED) == pytest.approx(0.079, abs=1e-9)
    assert tails.cvar(MIXED) == pytest.approx(0.10, abs=1e-9)
    assert tails.gaussian_var(MIXED, ddof=1) == pytest.approx(0.0884, rel=1e-3)
    assert tails.gaussian_cvar(MIXED, ddof=1) == pytest.approx(0.1125, rel=1e-3)


def test_bent_quantile_of_the_whole_edhec_series():
    """Skew -2.68 and excess kurtosis 16.2 bend the 1 % quantile to about -5.37: outside the domain."""
    assert naive.cornish_fisher_quantile(0.01, -2.68, 16.2) == pytest.approx(-5.37, abs=0.02)
    assert naive.cornish_fisher_quantile(0.05, -0.0825624552, 2.4324537941 - 3) == pytest.approx(-1.679648, abs=1e-6)


def crash():
    """A series with rare, very large losses: skew and kurtosis far outside the Cornish-Fisher domain."""
    return np.array([0.01] * 97 + [0.0, -0.05, -0.3])


def test_outside_its_domain_cornish_fisher_gives_way_to_history_and_says_so():
    returns = crash()
    assert "outside the domain" in tails.cornish_fisher_caution(returns)
    assert tails.modified_var(returns) == tails.var(returns) != tails.cornish_fisher_var(returns)
    assert tails.modified_cvar(returns) == tails.cvar(returns)
    assert "undefined" in tails.cornish_fisher_caution(FLAT)
    assert tails.modified_var(FLAT) == tails.var(FLAT)


def test_inside_its_domain_cornish_fisher_is_used(edhec):
    returns = np.random.default_rng(3).standard_t(12, 4000) / 100
    assert tails.cornish_fisher_caution(returns) == ""
    assert tails.modified_var(returns) == tails.cornish_fisher_var(returns)
    assert tails.modified_cvar(returns) == tails.cornish_fisher_cvar(returns)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_cornish_fisher_cvar_is_the_mean_of_its_var_over_the_tail(level):
    count = 40_000
    s, k = tails.skew(BACON), tails.kurtosis(BACON) - 3.0
    tail = [naive.cornish_fisher_quantile((i + 0.5) / count * (1.0 - level), s, k) for i in range(count)]
    expected = -(BACON.mean() + naive.mean(tail) * BACON.std())
    assert tails.cornish_fisher_cvar(BACON, level) == pytest.approx(expected, rel=1e-4)


def test_gaussian_cvar_is_the_mean_of_gaussian_var_over_the_tail():
    count = 40_000
    tail = [NormalDist().inv_cdf((i + 0.5) / count * 0.05) for i in range(count)]
    assert tails.gaussian_cvar(BACON) == pytest.approx(-(BACON.mean() + naive.mean(tail) * BACON.std()), rel=1e-4)


TAILS = (
    tails.var, tails.cvar, tails.expected_shortfall, tails.gaussian_var, tails.gaussian_cvar,
    tails.cornish_fisher_var, tails.cornish_fisher_cvar, tails.modified_var, tails.modified_cvar,
    tails.skew, tails.kurtosis,
)  # fmt: skip


@pytest.mark.parametrize("number", TAILS)
def test_tails_of_nothing_or_of_the_unknown_are_nan(number):
    assert np.isnan(number(np.array([])))
    assert np.isnan(number(np.append(MIXED, np.nan)))


def test_one_day_is_its_own_tail():
    one = np.array([-0.02])
    assert tails.var(one) == tails.cvar(one) == pytest.approx(0.02, abs=1e-15)
    assert tails.expected_shortfall(one) == pytest.approx(0.02, abs=1e-15)
    assert np.isnan([tails.skew(one), tails.kurtosis(one), tails.cornish_fisher_var(one)]).all()


@given(RETURNS, LEVELS)
def test_tails_equal_their_slow_twins(returns, level):
    plain = returns.tolist()
    assert tails.var(returns, level) == pytest.approx(-naive.quantile(plain, 1.0 - level), abs=1e-12)
    assert tails.expected_shortfall(returns, level) == pytest.approx(naive.expected_shortfall(plain, level), abs=1e-12)
    assert tails.cvar(returns, level) == pytest.approx(naive.cvar(plain, level), abs=1e-12)
    assume(np.ptp(returns) > 1e-6)
    s, k = naive.moment(plain, 3), naive.moment(plain, 4) - 3.0
    assert tails.skew(returns) == pytest.approx(s, rel=1e-6, abs=1e-6)
    bent = naive.mean(plain) + naive.cornish_fisher_quantile(1.0 - level, s, k) * naive.deviation(plain, 0)
    assert tails.cornish_fisher_var(returns, level) == pytest.approx(-bent, rel=1e-6, abs=1e-6)


@given(RETURNS, LEVELS)
def test_the_tail_is_never_milder_than_its_edge_nor_worse_than_the_worst_day(returns, level):
    assert tails.var(returns, level) <= tails.cvar(returns, level) + 1e-13
    assert tails.cvar(returns, level) <= -returns.min() + 1e-13
    assert tails.expected_shortfall(returns, level) <= -returns.min() + 1e-13
    assert tails.var(returns, 0.95) <= tails.var(returns, 0.99) + 1e-13
    assert tails.gaussian_var(returns, level) <= tails.gaussian_cvar(returns, level) + 1e-13


@given(RETURNS, st.floats(0.0, 0.05))
def test_a_sure_gain_moves_every_tail_by_itself(returns, more):
    assume(np.ptp(returns) > 1e-6)
    for tail in (tails.var, tails.expected_shortfall, tails.gaussian_var, tails.gaussian_cvar):
        assert tail(returns + more) == pytest.approx(tail(returns) - more, abs=1e-9)


@given(RETURNS, LEVELS, st.floats(0.01, 10.0))
def test_leverage_scales_every_tail(returns, level, leverage):
    assume(np.ptp(returns) > 1e-6)
    for tail in (tails.var, tails.expected_shortfall, tails.gaussian_var, tails.cornish_fisher_cvar):
        assert tail(returns * leverage, level) == pytest.approx(leverage * tail(returns, level), rel=1e-6, abs=1e-9)


def test_tail_ratio_as_empyrical_s_tests_print_it():
    """Their mixed series begins with an empty day, which they count as 0: 7.2 % over 7.6 %."""
    assert tails.tail_ratio(np.append(0.0, MIXED)) == pytest.approx(0.9473684210526313, abs=1e-12)
    assert tails.tail_ratio(MIXED) == pytest.approx(0.0755 / 0.079, abs=1e-12)
    assert np.isnan(tails.tail_ratio(np.array([]))) and np.isnan(tails.tail_ratio(np.append(MIXED, np.nan)))


def test_the_volatility_of_riskmetrics_begun_with_the_first_square():
    """DOMAIN 2.9: 1, -2, 1.5, -0.5, 2 % at 0.94 end at 1.16338950 % a day."""
    found = tails.ewma(np.array([0.01, -0.02, 0.015, -0.005, 0.02]))
    assert found[-1] == pytest.approx(0.0116338950, abs=1e-10)
    assert found[-1] * np.sqrt(252) == pytest.approx(0.1846823571, abs=1e-9)
    np.testing.assert_allclose(found[:2] ** 2, [0.0001, 0.94 * 0.0001 + 0.06 * 0.0004], rtol=1e-14)


def test_the_moving_deviation_of_frames_is_another_number():
    """DOMAIN 2.9: `ewm(span=32).std()` of pandas, as of polars, takes a mean off and makes good for few days."""
    moves = np.array([0.01, -0.02, 0.015, -0.005, 0.02])
    theirs = pl.Series(moves).ewm_std(span=32, bias=False)[-1]
    assert theirs == pytest.approx(0.0163328147, abs=1e-10)
    kept = (1.0 - 2.0 / 33.0) ** np.arange(4, -1, -1)
    weights = kept / kept.sum()
    variance = np.sum(weights * (moves - np.sum(weights * moves)) ** 2) / (1.0 - np.sum(weights**2))
    assert theirs == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert tails.ewma(moves)[-1] < 0.75 * theirs


def test_a_surprise_is_a_return_over_the_volatility_of_the_day_before():
    moves = np.random.default_rng(5).standard_t(5, 400) / 100
    found = tails.standardised(moves)
    variance = moves[0] ** 2
    for t in range(1, len(moves)):  # one step at a time
        if t >= 60:
            assert found[t] == pytest.approx(moves[t] / np.sqrt(variance), rel=1e-12)
        variance = 0.94 * variance + 0.06 * moves[t] ** 2
    assert np.isnan(found[:60]).all()
    known = found[60:]
    assert tails.filtered_var(moves) == pytest.approx(-np.sqrt(variance) * naive.quantile(known, 0.05), rel=1e-12)
    assert tails.filtered_cvar(moves) == pytest.approx(np.sqrt(variance) * naive.cvar(known, 0.95), rel=1e-12)


def test_twice_the_moves_of_now_are_twice_the_filtered_value_at_risk():
    moves = np.tile([0.01, -0.01], 100)
    assert tails.filtered_var(moves) == pytest.approx(0.01, rel=1e-12)
    # after the change some moves are up to two deviations of the day before: they lie just beyond the quantile
    assert 0.02 <= tails.filtered_var(np.concatenate([moves, 2 * moves])) < 0.0215
    assert tails.var(np.concatenate([moves, 2 * moves])) == pytest.approx(0.02, rel=1e-3)
    assert tails.filtered_var(np.concatenate([2 * moves, moves])) == pytest.approx(0.01, rel=1e-3)
    assert tails.var(np.concatenate([2 * moves, moves])) == pytest.approx(0.02, rel=1e-3)  # history remembers


def test_days_on_which_nothing_was_held_are_no_measure_of_the_next():
    """Interest of 0.0001 % a day for a year, then trades: the first trade is no surprise of 10,000 deviations."""
    rng = np.random.default_rng(3)
    moves = np.concatenate([rng.normal(size=300), np.full(250, 1e-6), rng.normal(size=300)]) / 100
    found = tails.standardised(moves)
    assert np.nanmax(np.abs(found)) < 50.0 and np.isnan(found[550])
    assert np.isnan(tails.filtered_var(np.zeros(300)))
    assert np.isnan(tails.filtered_var(np.append(moves, np.nan))) and np.isnan(tails.filtered_var(moves[:60]))


def test_surprises_and_their_volatility_read_the_past_alone():
    moves = np.random.default_rng(6).standard_t(4, 300) / 100
    whole = tails.standardised(moves), tails.ewma(moves)
    for end in (61, 150, 299):
        part = tails.standardised(moves[:end]), tails.ewma(moves[:end])
        np.testing.assert_array_equal(part[0], whole[0][:end])
        np.testing.assert_array_equal(part[1], whole[1][:end])
