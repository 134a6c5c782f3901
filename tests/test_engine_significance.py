"""How sure a Sharpe ratio is: the vectors of the papers, closed forms, and laws.

The vectors of Bailey and López de Prado are those of DOMAIN 2.4; Lo's are his formulae worked by hand.
"""

import numpy as np
import pytest
from test_engine_ratios import BACON, MIXED

from engine import significance as s
from engine.ratios import sharpe
from engine.tails import kurtosis, skew


def test_the_probabilistic_sharpe_of_the_paper():
    """SR 0.458 a month, 24 months: normal 0.982 (0.981675), as it was 0.913 (0.913361)."""
    assert s.probability(0.458, 24) == pytest.approx(0.981675, abs=5e-7)
    assert s.probability(0.458, 24, -2.448, 10.164) == pytest.approx(0.913361, abs=5e-7)
    assert s.probability(1.585 / 12**0.5, 24, -2.448, 10.164) == pytest.approx(0.913234307, abs=5e-10)


@pytest.mark.parametrize(("skewness", "kurt", "luck", "expected"), [(-3.0, 10.0, 0.113172, 0.900396834)])
def test_deflated_by_what_the_best_of_a_hundred_is_worth(skewness, kurt, luck, expected):
    """SR 2.5 a year of 250 days, 1,250 of them; the target is the expected best of 100 trials, SR0."""
    found = s.probability(2.5 / 250**0.5, 1250, skewness, kurt, luck)
    assert found == pytest.approx(expected, abs=2e-6)  # SR0 is printed with six digits


def test_a_track_record_is_as_long_as_the_probability_asks_for():
    """By hand: (1 + 0.1²/2) (1.6448536/0.1)² + 1 = 272.91; and PSR at that length is the level."""
    length = s.track_record(0.1)
    assert length == pytest.approx(1.0 + 1.005 * (1.6448536269514722 / 0.1) ** 2, rel=1e-12)
    for ratio, target, skewness, kurt in [(0.1, 0.0, 0.0, 3.0), (0.2, 0.05, -1.5, 8.0)]:
        length = s.track_record(ratio, skewness, kurt, target, 0.99)
        assert s.probability(ratio, length, skewness, kurt, target) == pytest.approx(0.99, abs=1e-12)


@pytest.mark.parametrize(
    ("ratio", "count", "expected"),
    [(0.5, 12, 0.306), (0.5, 24, 0.217), (0.5, 60, 0.137), (1.0, 12, 0.354), (1.0, 60, 0.158), (3.0, 12, 0.677)],
)
def test_the_standard_errors_of_independent_normal_returns(ratio, count, expected):
    """√((1 + SR²/2) / n), by hand to three digits."""
    assert (s.sharpe_variance(ratio) / count) ** 0.5 == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("rho", [-0.2, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("periods", [3, 12, 252])
def test_the_year_of_an_autoregression_is_lo_s_closed_form(rho, periods):
    r"""η(q) = √q (1 + 2ρ/(1-ρ) (1 - (1-ρ^q)/(q(1-ρ))))^(-1/2)."""
    closed = periods**0.5 / (1 + 2 * rho / (1 - rho) * (1 - (1 - rho**periods) / (periods * (1 - rho)))) ** 0.5
    assert s.annualiser(rho ** np.arange(1, periods), periods) == pytest.approx(closed, rel=1e-12)


def test_a_year_is_as_wild_as_the_sums_of_its_days():
    """η(q) by its meaning: q times the mean, over the standard deviation of a sum of q days, in closed form for q = 3:
    Var = 3 + 2 (2 ρ1 + ρ2)."""
    assert s.annualiser(np.array([0.4, 0.1]), 3) == pytest.approx(3 / (3 + 2 * (2 * 0.4 + 0.1)) ** 0.5, rel=1e-12)


def test_four_returns_by_hand():
    """3, -1, 3, -1 %: mean 1, σ 2, SR 0.5; z = ±1, so z² - 1 = 0 and V = 1 at no lag; at one lag, its correlation is
    -3/4 and weighs 1/2: V = 1 + 2 · 1/2 · (-3/4) = 1/4."""
    returns = np.array([0.03, -0.01, 0.03, -0.01])
    assert s.sharpe_error(returns, periods=1, lags=0) == pytest.approx(0.5, rel=1e-12)
    assert s.sharpe_error(returns, periods=1, lags=1) == pytest.approx(0.25, rel=1e-12)
    assert s.autocorrelations(returns, 2) == pytest.approx([-0.75, 0.5])


@pytest.mark.parametrize("returns", [MIXED, BACON])
def test_without_lags_the_error_is_that_of_mertens(returns):
    """The variance by moments, with the standard deviation in population form on both sides."""
    ratio = returns.mean() / returns.std()
    expected = s.sharpe_variance(ratio, skew(returns), kurtosis(returns)) / len(returns)
    assert s.sharpe_error(returns, periods=1, lags=0) == pytest.approx(expected**0.5, rel=1e-12)


def test_the_error_is_what_many_histories_spread_by():
    """An autoregression (0.3) with fat tails: 2,000 histories of 1,500 returns."""
    random = np.random.default_rng(4)
    shocks = random.standard_t(6, (1500, 2000))
    for t in range(1, 1500):
        shocks[t] += 0.3 * shocks[t - 1]
    ratios = np.array([sharpe(0.05 + history, periods=1) for history in shocks.T])
    errors = np.array([s.sharpe_error(0.05 + history, periods=1) for history in shocks.T[:300]])
    independent = np.array([s.sharpe_error(0.05 + history, periods=1, lags=0) for history in shocks.T[:300]])
    assert errors.mean() == pytest.approx(ratios.std(), rel=0.06)
    assert independent.mean() < 0.8 * ratios.std()  # as if they were independent: a quarter too small


def test_the_ways_to_see_one_run():
    returns = np.random.default_rng(8).normal(0.0005, 0.01, 2520)
    told = s.estimates(returns)
    assert list(told) == ["independent, normal", "independent, as they are", "serially correlated"]
    for ratio, error, low, high in told.values():
        assert ratio == pytest.approx(sharpe(returns), rel=0.15)
        assert error == pytest.approx(10**-0.5, rel=0.1)  # ten years: one over their root
        assert (low + high) / 2 == pytest.approx(ratio) and high - low == pytest.approx(2 * 1.959964 * error, rel=1e-6)
    assert told["serially correlated"][0] == s.lo_sharpe(returns)


@pytest.mark.parametrize("seed", range(5))
def test_interest_that_is_taken_out_changes_nothing(seed):
    returns = np.random.default_rng(seed).normal(0.002, 0.01, 300)
    credited = np.random.default_rng(seed + 9).uniform(0.0, 2e-4, 300)
    for function in (s.sharpe_error, s.lo_sharpe, s.probabilistic_sharpe, s.track_record_years):
        assert function(returns + credited, credited) == pytest.approx(function(returns), rel=1e-9)
        assert function(returns + credited) != pytest.approx(function(returns), rel=1e-9)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01, 0.01], [0.01, np.nan, 0.02]])
def test_what_is_undefined_is_nan(returns):
    returns = np.array(returns, float)
    for function in (s.sharpe_error, s.lo_sharpe, s.probabilistic_sharpe, s.track_record_years):
        assert np.isnan(function(returns)), function.__name__
    assert all(np.isnan(value) for one in s.estimates(returns).values() for value in one)


def test_the_error_is_that_of_statsmodels():
    """Newey-West of the same pulls, by another library."""
    regression = pytest.importorskip("statsmodels.api", reason="no statsmodels: requirements-peers.lock")
    returns = np.random.default_rng(3).standard_t(5, 900) * 0.01 + 0.0004
    ratio, z = returns.mean() / returns.std(), (returns - returns.mean()) / returns.std()
    pull = z - ratio / 2 * (z**2 - 1)
    fitted = regression.OLS(pull, np.ones((900, 1))).fit(cov_type="HAC", cov_kwds={"maxlags": 6})
    assert s.sharpe_error(returns, periods=1, lags=6) == pytest.approx(float(fitted.bse[0]), rel=1e-9)
