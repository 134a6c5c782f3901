"""Tests of coverage: the regions that Kupiec and Jorion print, cases worked by hand, another library's chi-squared."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine import exceedances

# Exceedances N at which a model is not rejected at 95 %, for 255, 510 and 1000 days: P. Kupiec 1995, printed again in
# P. Jorion, Value at Risk, 3rd ed., table 6-2: the next too few and too many. None: it prints no lower end, though none
# in 255 days at 99 % has a ratio of -510 ln 0.99 = 5.13, which is more than 3.84.
REGIONS = {
    0.99: ((None, 7), (1, 11), (4, 17)),
    0.975: ((2, 12), (6, 21), (15, 36)),
    0.95: ((6, 21), (16, 36), (37, 65)),
    0.925: ((11, 28), (27, 51), (59, 92)),
    0.90: ((16, 36), (38, 65), (81, 120)),
}


@pytest.mark.parametrize("level", REGIONS)
def test_the_regions_in_which_a_model_is_not_rejected_are_those_that_kupiec_prints(level):
    for days, (low, high) in zip((255, 510, 1000), REGIONS[level], strict=True):
        kept = [x for x in range(days // 2) if exceedances.p_value(exceedances.kupiec(x, days, level), 1) > 0.05]
        assert kept[-1] + 1 == high and (low is None or kept[0] - 1 == low), (level, days)


def test_none_in_255_days_at_99_percent_is_just_too_few():
    assert exceedances.kupiec(0, 255, 0.99) == pytest.approx(5.1257, abs=1e-4)


def test_kupiec_worked_by_hand():
    """Eight of a hundred where five were told: 2 (8 ln(8/5) + 92 ln(92/95)) = 1.6157."""
    by_hand = 2.0 * (8 * log(8 / 5) + 92 * log(92 / 95))
    assert exceedances.kupiec(8, 100, 0.95) == pytest.approx(by_hand, rel=1e-12)
    assert exceedances.kupiec(0, 100, 0.95) == pytest.approx(-200 * log(0.95), rel=1e-12)
    assert exceedances.kupiec(100, 100, 0.95) == pytest.approx(-200 * log(0.05), rel=1e-12)
    assert exceedances.kupiec(5, 100, 0.95) == 0.0 and np.isnan(exceedances.kupiec(0, 0))


def marked(*pairs):
    """Days of (how many, whether exceeded)."""
    return np.concatenate([np.full(count, value, bool) for count, value in pairs])


def test_independence_worked_by_hand():
    """Twenty days, the 11th to the 14th beyond: of 15 ordinary ones followed 14 and 1, of 4 beyond 1 and 3."""
    days = marked((10, False), (4, True), (6, False))
    assert exceedances.transitions(days).tolist() == [[14, 1], [1, 3]]
    alike = 15 * log(15 / 19) + 4 * log(4 / 19)
    apart = 14 * log(14 / 15) + log(1 / 15) + log(1 / 4) + 3 * log(3 / 4)
    assert exceedances.independence(days) == pytest.approx(-2.0 * (alike - apart), rel=1e-12)
    both = exceedances.kupiec(4, 20, 0.95) + exceedances.independence(days)
    assert exceedances.conditional(days, 0.95) == pytest.approx(both, rel=1e-12)


def test_the_same_days_beyond_are_refuted_in_a_row_and_not_apart():
    scattered = np.zeros(1000, bool)
    scattered[10::20] = True
    row = marked((475, False), (50, True), (475, False))
    assert scattered.sum() == row.sum() == 50
    assert exceedances.kupiec(50, 1000, 0.95) == 0.0
    assert exceedances.p_value(exceedances.independence(row), 1) < 1e-10
    assert exceedances.p_value(exceedances.conditional(row), 2) < 1e-10
    assert exceedances.p_value(exceedances.independence(scattered), 1) > 0.01


def test_without_an_exceedance_or_with_nothing_else_there_is_no_cluster():
    for days in (np.zeros(30, bool), np.ones(30, bool)):
        assert exceedances.independence(days) == 0.0
    assert np.isnan(exceedances.independence(np.zeros(1, bool)))


@given(st.floats(0.0, 60.0))
def test_the_chances_are_those_of_another_library(ratio):
    for freedom in (1, 2):
        assert exceedances.p_value(ratio, freedom) == pytest.approx(stats.chi2.sf(ratio, freedom), rel=1e-10)


def test_under_the_hypothesis_a_twentieth_is_refuted():
    """2,000 years of 500 independent days: the share of small p-values is about what it says."""
    rng = np.random.default_rng(11)
    p = []
    for _ in range(2000):
        days = rng.random(500) < 0.05
        p.append(exceedances.p_value(exceedances.conditional(days, 0.95), 2))
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09
