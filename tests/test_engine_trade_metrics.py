"""Trade statistics against cases solved by hand (R multiples, Kelly, Sweeney) and laws that any trade list obeys."""

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine import trade_metrics as metrics

R = np.array([2, -1, -1, 3, -1, 1.5, -1, -1, 2.5, -1])
NETS = st.lists(st.integers(-1000, 1000).map(lambda x: x / 4.0), min_size=1, max_size=40).map(np.array)


def test_r_multiples_give_the_numbers_worked_by_hand():
    assert metrics.trades(R) == 10
    assert metrics.expectancy(R) == pytest.approx(0.30, abs=1e-9)
    assert metrics.win_rate(R) == pytest.approx(0.40, abs=1e-9)
    assert metrics.profit_factor(R) == pytest.approx(1.5, abs=1e-9)
    assert metrics.payoff(R) == pytest.approx(2.25, abs=1e-9)
    assert metrics.kelly_trades(R) == pytest.approx(0.4 - 0.6 / 2.25, abs=1e-9)  # 0.13333
    assert metrics.sqn(R) == pytest.approx(0.551825, abs=5e-7)


def test_sqn_with_the_population_deviation_would_be_another_number():
    assert np.sqrt(10) * R.mean() / R.std() == pytest.approx(0.581675, abs=5e-7)
    assert metrics.sqn(R) == pytest.approx(0.581675 * np.sqrt(0.9), rel=1e-6)


def test_sqn_can_stop_counting_trades():
    many = np.tile(R, 40)
    assert metrics.sqn(many, cap=100) == pytest.approx(metrics.sqn(many) / 2.0, rel=1e-12)
    assert metrics.sqn(R, cap=100) == metrics.sqn(R)


def test_kelly_of_an_even_bet_grows_as_kelly_and_thorp_print():
    share = metrics.kelly(0.6, 1.0)
    assert share == pytest.approx(0.2, abs=1e-9)
    assert 0.6 * np.log1p(share) + 0.4 * np.log1p(-share) == pytest.approx(0.0201355136, abs=1e-10)


def test_kelly_of_win_rate_and_payoff():
    assert metrics.kelly(0.55, 1.5) == pytest.approx(0.25, abs=1e-9)


@given(st.floats(0.05, 0.95), st.floats(0.1, 10.0))
def test_no_other_share_grows_faster_than_kelly(chance, odds):
    share = metrics.kelly(chance, odds)
    assume(0.0 < share < 0.99)

    def growth(f):
        return chance * np.log1p(odds * f) + (1.0 - chance) * np.log1p(-f)

    assert growth(share) >= max(growth(share * 0.9), growth(min(share * 1.1, 0.999))) - 1e-15


def test_excursions_of_a_long_trade():
    high, low = np.array([101.0, 103.0, 104.0, 102.0]), np.array([98.0, 99.0, 100.0, 97.0])
    assert metrics.excursions(100.0, 1, high, low) == (-3.0, 4.0)
    assert metrics.excursions(100.0, -1, high, low) == (-4.0, 3.0)


def test_excursions_skip_holidays_and_are_never_on_the_wrong_side():
    high, low = np.array([np.nan, 104.0]), np.array([np.nan, 101.0])
    assert metrics.excursions(100.0, 1, high, low) == (0.0, 4.0)
    assert np.isnan(metrics.excursions(100.0, 1, high[:1], low[:1])).all()


@pytest.mark.parametrize("name", ["win_rate", "profit_factor", "expectancy", "payoff", "sqn", "kelly_trades"])
def test_without_a_trade_nothing_is_made_up(name):
    assert np.isnan(getattr(metrics, name)(np.array([])))
    assert np.isnan(getattr(metrics, name)(np.array([1.0, np.nan, -2.0])))


def test_without_a_losing_trade_there_is_no_profit_factor_payoff_or_kelly():
    net = np.array([3.0, 0.0])
    assert np.isnan([metrics.profit_factor(net), metrics.payoff(net), metrics.kelly_trades(net)]).all()
    assert metrics.win_rate(net) == 0.5


def test_a_loss_that_is_only_rounding_gives_no_profit_factor_of_a_billion():
    assert np.isnan(metrics.profit_factor(np.array([100_000.0, -1e-10])))


def test_losers_alone_have_a_profit_factor_of_zero():
    net = np.array([-3.0, -1.0])
    assert metrics.profit_factor(net) == 0.0
    assert metrics.win_rate(net) == 0.0
    assert np.isnan(metrics.payoff(net))


def test_trades_that_are_all_alike_have_no_sqn():
    assert np.isnan(metrics.sqn(np.full(3, 0.1)))
    assert np.isnan(metrics.sqn(np.array([5.0])))


@given(NETS)
def test_trade_numbers_equal_their_slow_twins(net):
    assert metrics.expectancy(net) == pytest.approx(naive.mean(net), abs=1e-9)
    if (net < 0).any():
        assert metrics.profit_factor(net) == pytest.approx(naive.profit_factor(net), rel=1e-12)
    if len(set(net)) > 1:
        twin = np.sqrt(len(net)) * naive.mean(net) / naive.deviation(net, 1)
        assert metrics.sqn(net) == pytest.approx(twin, rel=1e-9, abs=1e-12)


@given(NETS, st.floats(0.01, 100.0))
def test_the_unit_of_money_changes_no_ratio(net, factor):
    for name in ("win_rate", "profit_factor", "payoff", "sqn", "kelly_trades"):
        number = getattr(metrics, name)
        assert number(net * factor) == pytest.approx(number(net), rel=1e-9, abs=1e-9, nan_ok=True)


@given(NETS)
def test_expectancy_is_positive_exactly_when_the_profit_factor_is_above_one(net):
    assume((net < 0).any())
    assert (metrics.expectancy(net) > 0) == (metrics.profit_factor(net) > 1)


@given(NETS)
def test_expectancy_times_trades_adds_up_to_the_result(net):
    assert metrics.expectancy(net) * metrics.trades(net) == pytest.approx(net.sum(), abs=1e-6)


def test_turnover_counts_sides_over_the_mean_equity_and_years():
    assert metrics.turnover(3000.0, np.array([100.0, 200.0]), 2.0) == 10.0
    assert np.isnan(metrics.turnover(3000.0, np.array([100.0, 200.0]), 0.0))
    assert np.isnan(metrics.turnover(3000.0, np.array([100.0, -200.0]), 2.0))
    assert np.isnan(metrics.turnover(3000.0, np.array([]), 2.0))


def test_cost_share_measures_costs_by_what_winning_lines_made():
    assert metrics.cost_share(10.0, np.array([60.0, -30.0, 40.0])) == pytest.approx(0.1, abs=1e-12)
    assert np.isnan(metrics.cost_share(10.0, np.array([-30.0])))
    assert np.isnan(metrics.cost_share(10.0, np.array([])))


def test_time_in_market_counts_bars_not_lines_and_a_hedged_pair_is_in_it():
    assert metrics.time_in_market(np.array([[1.0, -1.0], [0.0, 0.0], [0.0, -2.0], [0.0, 0.0]])) == 0.5
    assert metrics.time_in_market(np.array([0.0, 3.0, -1.0, 0.0])) == 0.5
    assert np.isnan(metrics.time_in_market(np.array([])))
