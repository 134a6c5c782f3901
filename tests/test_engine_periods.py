"""Returns of months and years: cases worked by hand, laws, and what is undefined."""

import numpy as np
import pytest
from hypothesis import given
from test_engine_ratios import BACON, RETURNS, growth

from engine import periods, ratios


def days(*texts):
    return np.array(texts, "datetime64[D]")


YEAR_END = days("2022-12-30", "2023-01-02", "2023-01-31", "2023-02-01", "2023-02-28", "2024-01-15")
EQUITY = np.array([100.0, 101.0, 110.0, 105.0, 99.0, 198.0])


def test_a_month_s_return_is_from_the_last_row_before_it():
    months, returns = periods.by_period(EQUITY, YEAR_END)
    assert [str(month) for month in months] == ["2023-01", "2023-02", "2024-01"]  # one without a day is none
    np.testing.assert_allclose(returns, [0.1, -0.1, 1.0], rtol=1e-14)
    years, returns = periods.by_period(EQUITY, YEAR_END, "Y")
    assert [str(year) for year in years] == ["2023", "2024"]
    np.testing.assert_allclose(returns, [-0.01, 1.0], rtol=1e-14)


def test_t36_with_fixed_capital_months_are_shares_of_it_and_add_up():
    _, returns = periods.by_period(EQUITY, YEAR_END, compounding=False)
    np.testing.assert_allclose(returns, [0.10, -0.11, 0.99], rtol=1e-14)
    assert returns.sum() == pytest.approx(ratios.total_return(EQUITY), rel=1e-14)


@pytest.mark.parametrize("unit", ["M", "Y"])
@given(RETURNS)
def test_periods_multiply_to_the_whole(unit, returns):
    equity = growth(returns)
    dates = np.datetime64("2023-11-20") + 3 * np.arange(len(equity))
    found = periods.by_period(equity, dates, unit)[1]
    assert np.prod(1.0 + found) - 1.0 == pytest.approx(ratios.total_return(equity), abs=1e-9)
    fixed = 1.0 + np.concatenate([[0.0], np.cumsum(returns)])
    assert periods.by_period(fixed, dates, unit, False)[1].sum() == pytest.approx(fixed[-1] - 1.0, abs=1e-9)


def test_best_worst_and_share_of_gains():
    returns = np.array([0.02, -0.01, 0.0, 0.03])
    assert (periods.best(returns), periods.worst(returns), periods.positive_share(returns)) == (0.03, -0.01, 0.5)


def test_gain_to_pain_of_bacons_months_worked_by_hand():
    """The gains add up to 0.493, the losses to 0.277: (0.493 - 0.277) / 0.277, which is Omega less 1."""
    assert BACON[BACON > 0].sum() == pytest.approx(0.493) and BACON[BACON < 0].sum() == pytest.approx(-0.277)
    assert periods.gain_to_pain(BACON) == pytest.approx(0.216 / 0.277, rel=1e-12)
    assert periods.gain_to_pain(BACON) == pytest.approx(ratios.omega(BACON) - 1.0, rel=1e-12)


def test_the_calmar_ratio_of_36_months_forgets_what_was_before():
    """A fall of half in the first year; in the last three 10 % a year with a fall of a tenth."""
    when = days("2019-12-31", "2020-06-30", "2020-12-31", "2021-12-31", "2022-06-30", "2023-12-31")
    equity = np.array([200.0, 100.0, 100.0, 120.0, 108.0, 133.1])
    annual = 1.331 ** (365.25 / 1095) - 1.0
    assert periods.recent_calmar(equity, when) == pytest.approx(annual / 0.1, rel=1e-12)
    whole = ratios.annual_return(133.1 / 200.0 - 1.0, ratios.years(when))
    assert ratios.calmar(whole, -0.5) < 0.0


def test_a_run_of_less_than_36_months_has_no_such_ratio():
    assert np.isnan(
        periods.recent_calmar(np.array([100.0, 90.0, 110.0]), days("2021-01-01", "2022-01-01", "2023-06-30"))
    )


def test_of_nothing_and_of_the_unknown_nothing_is_known():
    none, unknown = np.array([]), np.array([0.01, np.nan])
    for number in (periods.best, periods.worst, periods.positive_share, periods.gain_to_pain):
        assert np.isnan(number(none)) and np.isnan(number(unknown))
    assert np.isnan(periods.gain_to_pain(np.array([0.01, 0.02])))
    months, returns = periods.by_period(np.array([100.0]), days("2024-01-01"))
    assert len(months) == len(returns) == 0
    ruined = periods.by_period(np.array([100.0, -5.0, 10.0]), days("2024-01-01", "2024-01-31", "2024-02-29"))[1]
    assert ruined[0] == -1.05 and np.isnan(ruined[1])
