"""METRICS: every number is in the list, the summary has the names that scripts rely on, and nothing is made up."""

import inspect
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from test_engine_ratios import RETURNS, growth

from engine import exceedances, periods, ratios, risk, significance, tails, trade_metrics
from engine.metrics import METRICS, SUMMARY, summary

NAMES = [
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_days",
    "var_95", "var_99", "cvar_95", "cvar_99", "win_rate", "profit_factor", "expectancy", "trades", "turnover",
    "cost_share", "time_in_market", "final_equity",
]  # fmt: skip


def run(equity, net=(), compounding=True, names=tuple(METRICS), **rest):
    """All numbers of an equity curve of one row a day."""
    equity = np.asarray(equity, float)
    days = np.datetime64("2023-12-29") + np.arange(len(equity)).astype("timedelta64[D]")
    returns = ratios.period_returns(equity, compounding)
    return summary(returns, days, equity, np.asarray(net, float), compounding=compounding, names=names, **rest)


def test_the_summary_has_the_names_that_scripts_rely_on_in_their_order():
    assert list(SUMMARY) == NAMES
    assert list(run([100.0, 101.0], names=SUMMARY)) == NAMES


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_says_what_it_is(metric):
    assert METRICS[metric.name] is metric
    assert metric.label and metric.doc.endswith((".", ")"))
    assert metric.format in ("percent", "ratio", "money", "days", "count")
    taken = list(inspect.signature(metric.function).parameters)
    assert len(metric.reads) <= len(taken) and set(metric.fixed) <= set(taken)


@pytest.mark.parametrize("module", [exceedances, periods, ratios, risk, significance, tails, trade_metrics])
def test_every_formula_carries_its_unit_and_an_example(module):
    for name, function in inspect.getmembers(module, inspect.isfunction):
        doc = inspect.getdoc(function)
        assert doc, name
        if function.__module__ == module.__name__ and ".. math::" in doc:
            assert "[" in doc and ">>>" in doc and "nan" in doc, name


def test_a_small_run_worked_by_hand():
    """1 000 to 1 210 in two years and half a day, one drawdown of 10 %."""
    days = np.array(["2022-01-01", "2022-06-01", "2023-01-01", "2024-01-02"], "datetime64[D]")
    equity = np.array([1000.0, 1200.0, 1080.0, 1210.0])
    found = summary(
        ratios.period_returns(equity), days, equity, np.array([200.0, -120.0, 130.0]),
        notional=4490.0, costs=30.0, line_gross=np.array([300.0, -60.0]), contracts=np.array([1.0, 0.0, -2.0]),
    )  # fmt: skip
    years = 731 / 365.25
    returns = [0.2, -0.1, 130 / 1080]
    middle = sum(returns) / 3
    spread = math.sqrt(sum((r - middle) ** 2 for r in returns) / 2)
    below = math.sqrt(0.01 / 3)
    annual = 1.21 ** (1 / years) - 1
    expected = {
        "total_return": 0.21, "annual_return": annual, "volatility": spread * math.sqrt(252),
        "sharpe": middle / spread * math.sqrt(252), "sortino": middle / below * math.sqrt(252),
        "calmar": annual / 0.1, "max_drawdown": -0.1, "max_drawdown_days": 580,
        "var_95": 0.1 - 0.1 * (130 / 1080 + 0.1), "var_99": 0.1 - 0.02 * (130 / 1080 + 0.1),
        "cvar_95": 0.1, "cvar_99": 0.1, "win_rate": 2 / 3, "profit_factor": 330 / 120, "expectancy": 70.0,
        "trades": 3, "turnover": 4490 / 1122.5 / years, "cost_share": 0.1, "time_in_market": 2 / 3,
        "final_equity": 1210.0,
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-9)
    assert type(found["trades"]) is int and type(found["max_drawdown_days"]) is int


def test_t35_the_same_book_with_and_without_interest_has_the_same_sharpe():
    """Excess Sharpe of fixed capital: profits of the book are equal, interest comes on top and is taken out."""
    profit = np.array([1000.0, -400.0, 700.0, -900.0, 1500.0])
    interest = np.array([13.89, 13.89, 41.67, 13.89, 13.89])
    without = 100_000.0 + np.concatenate([[0.0], np.cumsum(profit)])
    credited = 100_000.0 + np.concatenate([[0.0], np.cumsum(profit + interest)])
    plain = run(without, compounding=False)
    earned = run(credited, compounding=False, interest=interest / 100_000.0)
    assert earned["sharpe"] == pytest.approx(plain["sharpe"], rel=1e-9)
    assert earned["sortino"] == pytest.approx(plain["sortino"], rel=1e-9)
    assert earned["total_return"] > plain["total_return"]


def test_t36_fixed_capital_adds_and_compounding_multiplies():
    equity = [100_000.0, 110_000.0, 100_000.0]
    assert run(equity, compounding=False)["total_return"] == run(equity)["total_return"] == 0.0
    assert run(equity, compounding=False)["annual_return"] == 0.0
    assert run(equity, compounding=False)["sharpe"] == 0.0  # +10 % and -10 % of the same capital
    assert run(equity)["sharpe"] > 0.0


def test_without_equity_all_is_undefined_but_the_count_of_trades():
    found = run([])
    assert found.pop("trades") == 0
    assert all(math.isnan(value) for value in found.values())


def test_before_the_first_bar_only_what_is_true_is_told():
    found = run([1e7])
    known = {name: value for name, value in found.items() if not math.isnan(value)}
    assert known == {
        "total_return": 0.0, "max_drawdown": 0.0, "max_drawdown_days": 0, "trades": 0, "final_equity": 1e7,
        "longest_drawdown_days": 0,
    }  # fmt: skip


def test_a_run_of_one_day_has_no_volatility_and_no_ratio():
    found = run([100.0, 99.0], [-1.0])
    for name in ("volatility", "sharpe", "payoff", "sqn", "cost_share", "skew", "kelly_growth"):
        assert math.isnan(found[name]), name
    assert found["var_95"] == found["cvar_95"] == pytest.approx(0.01, abs=1e-12)
    assert found["profit_factor"] == 0.0 and found["win_rate"] == 0.0


def test_a_run_that_never_trades_has_no_made_up_number():
    found = run([100.0] * 10, contracts=np.zeros((9, 2)), line_gross=np.zeros(2), notional=0.0, costs=0.0)
    for name in ("sharpe", "sortino", "calmar", "win_rate", "profit_factor", "expectancy", "cost_share", "omega"):
        assert math.isnan(found[name]), name
    for name in ("total_return", "volatility", "max_drawdown", "turnover", "time_in_market", "var_95", "trades"):
        assert found[name] == 0.0, name


def test_a_ruined_run_keeps_what_is_true_and_has_no_ratio():
    found = run([100.0, 50.0, -20.0, -30.0])
    assert found["total_return"] == -1.3 and found["max_drawdown"] == -1.3 and found["final_equity"] == -30.0
    for name in ("annual_return", "volatility", "sharpe", "sortino", "calmar", "var_95", "cvar_99"):
        assert math.isnan(found[name]), name


def test_what_is_not_told_is_not_taken_for_zero():
    found = run([100.0, 90.0, 95.0], line_gross=np.array([10.0]))
    assert all(math.isnan(found[name]) for name in ("turnover", "cost_share", "time_in_market"))


def test_only_numbers_of_the_list_are_computed_on_request():
    assert run([100.0, 90.0, 95.0], names=("ulcer", "pain")) == pytest.approx(
        {"ulcer": math.sqrt(0.0125 / 2), "pain": 0.075}, rel=1e-9
    )


def test_a_caution_goes_with_the_numbers_it_is_about():
    assert [name for name, metric in METRICS.items() if metric.caution] == [
        "modified_var_95", "modified_var_99", "modified_cvar_95", "modified_cvar_99",
    ]  # fmt: skip
    assert METRICS["modified_var_95"].caution(np.full(5, 0.01))


@given(RETURNS)
def test_any_curve_gives_all_numbers_and_the_same_ones_again(returns):
    equity = 1e6 * growth(returns)
    found, again = run(equity), run(equity)
    assert set(found) == set(METRICS)
    assert np.array_equal(list(found.values()), list(again.values()), equal_nan=True)
    assert not any(math.isinf(value) for value in found.values())


def test_metrics_load_no_statistics_or_frame_library():
    code = "import sys, engine.metrics; print([m for m in ('scipy.stats', 'pandas', 'panel') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
