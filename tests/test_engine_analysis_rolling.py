"""Rolling numbers against those of each window alone, and months beside their years."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_engine_ratios import RETURNS, growth

from engine import ratios, risk
from engine.analysis import rolling
from engine.analysis.daily import Daily
from tests import analysed

WINDOWS = st.integers(2, 30)


def each(returns, window, number):
    """A number of every window, one at a time."""
    out = np.full(len(returns), np.nan)
    for t in range(window - 1, len(returns)):
        out[t] = number(returns[t - window + 1 : t + 1])
    return out


@given(RETURNS, WINDOWS)
def test_every_number_is_that_of_the_window_alone(returns, window):
    told = {
        rolling.volatility: ratios.volatility,
        rolling.sharpe: ratios.sharpe,
        rolling.sortino: ratios.sortino,
        rolling.drawdown: lambda part: risk.max_drawdown(growth(part)),
    }
    for function, number in told.items():
        np.testing.assert_allclose(function(returns, window), each(returns, window, number), rtol=1e-9, atol=1e-12)


@given(RETURNS, WINDOWS)
def test_with_fixed_capital_the_returns_of_a_window_add_up(returns, window):
    fixed = each(returns, window, lambda part: risk.max_drawdown(1.0 + np.append(0.0, np.cumsum(part))))
    np.testing.assert_allclose(rolling.drawdown(returns, window, False), fixed, rtol=1e-9, atol=1e-12)


def test_beta_is_the_slope_of_another_library_s_line():
    rng = np.random.default_rng(3)
    other = rng.normal(size=200)
    returns = 0.7 * other + rng.normal(size=200)
    found = rolling.beta(returns, other, 50)
    for t in range(49, 200):
        part = slice(t - 49, t + 1)
        assert found[t] == pytest.approx(np.polyfit(other[part], returns[part], 1)[0], rel=1e-9)
    assert np.isnan(found[:49]).all() and np.isnan(rolling.beta(returns, np.zeros(200), 50)).all()


def test_a_calm_window_has_no_ratio_and_an_unknown_return_makes_its_windows_unknown():
    returns = np.concatenate([np.full(300, 1e-4), [0.01, -0.01]])
    assert np.isnan(rolling.sharpe(returns, 100)[:300]).all() and rolling.volatility(returns, 100)[299] == 0.0
    unknown = np.array([0.01, -0.01, np.nan, 0.02, -0.03, 0.01])
    assert np.isnan(rolling.volatility(unknown, 2)).tolist() == [True, False, True, True, False, False]
    assert np.isnan(rolling.drawdown(unknown, 2)).tolist() == [True, False, True, True, False, False]


def test_too_short_a_run_has_no_window_and_a_window_of_a_day_is_none():
    assert np.isnan(rolling.sharpe(np.ones(3), 4)).all() and len(rolling.beta(np.zeros(0), np.zeros(0), 4)) == 0
    for window in (1, 2.5):
        with pytest.raises(ValueError, match=f"window {window}: allowed is a whole number of days from 2 on"):
            rolling.volatility(np.ones(5), window)


def test_the_table_of_a_run_takes_interest_out_of_its_ratios_alone():
    run, _ = analysed.made(5)
    told, found = Daily.of(run), rolling.rolling(run, 100)
    assert found.schema == rolling.ROLLING and len(found) == 600
    interest = told.interest / told.base
    assert found["sharpe"][-1] == pytest.approx(ratios.sharpe(told.returns[-100:], interest[-100:]))
    assert found["sortino"][-1] == pytest.approx(ratios.sortino(told.returns[-100:], interest[-100:]))
    assert found["volatility"][-1] == pytest.approx(ratios.volatility(told.returns[-100:]))
    assert found["sharpe"].null_count() == 99 and found["beta"].null_count() == 600
    itself = rolling.rolling(run, 100, told.returns)["beta"].drop_nulls().to_numpy()
    np.testing.assert_allclose(itself, 1.0)


@pytest.mark.parametrize("compounding", [True, False])
def test_the_months_of_a_year_make_its_return_and_the_years_the_whole(compounding):
    settings = () if compounding else ["portfolio.compounding=false"]
    run, _ = analysed.made(6, settings=settings)
    found = rolling.months(run)
    assert found.schema == rolling.MONTHS and found["year"].to_list() == [2026, 2025, 2024]
    for row in found.iter_rows():
        months = np.array([value for value in row[1:13] if value is not None])
        whole = np.prod(1.0 + months) - 1.0 if compounding else months.sum()
        assert row[13] == pytest.approx(whole, abs=1e-12)
    years = found["whole"].to_numpy()
    total = np.prod(1.0 + years) - 1.0 if compounding else years.sum()
    assert total == pytest.approx(run.metrics()["total_return"], abs=1e-12)
    assert found["jan"].null_count() == 0 and found["dec"].null_count() == 1  # it ends in April 2026


def test_a_run_of_no_day_has_no_month():
    told = Daily(np.array(["2024-01-01"], "datetime64[D]"), np.array([1.0]), np.zeros(0), np.zeros((0, 1)), np.zeros(0),
                 (), (), True)  # fmt: skip
    assert rolling.months(told).schema == rolling.MONTHS and rolling.months(told).is_empty()
    assert rolling.rolling(told).is_empty()


def test_the_last_days_of_years_are_those_of_all_days():
    random = np.random.default_rng(5)
    days = np.busday_offset("2019-12-30", np.arange(1001), roll="forward")
    equity = 1e6 * np.cumprod(np.append(1.0, 1.0 + random.normal(0.0, 0.01, 1000)))
    equity[700:] = -1.0  # a ruin: no return after it is known
    nothing = np.zeros(1000)
    run = Daily(days, equity, nothing, np.zeros((1000, 1)), nothing, (), (), True)
    every = rolling.rolling(run, 60).drop_nulls("volatility")
    lasts = every.group_by(every["day"].dt.year().alias("year"), maintain_order=True).last().drop("year")
    assert rolling.year_ends(run, 60).equals(lasts) and len(lasts) == 3
    assert len(rolling.year_ends(run, 2000)) == 0
