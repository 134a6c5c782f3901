"""How sure a difference between regimes is: both p-values against plain Python, uniform where there is nothing."""

import numpy as np
import pytest
from scipy.stats import kstest

from engine.analysis import resampling
from engine.analysis.chances import APART, drawn, episodes, rotated
from engine.analysis.regimes import UNKNOWN
from tests.regime_worlds import chain, rare


def worlds(code_of, size_of=lambda code: 1.0, days=1500, count=300, resamples=399):
    """p-values by drawing and by moving of the regime 1 in worlds in which all days earn nothing in the mean."""
    found = []
    for seed in range(count):
        code = code_of(days, seed)
        if 0 < code.sum() < days:
            noise = np.random.default_rng([seed, 1]).normal(size=(days, 1)) * size_of(code)
            one = np.ones((days, 1))
            found.append((drawn(code, noise, one, 2, resamples)[1], rotated(code, noise, one, 2)[0][1]))
    return np.array(found).T


# Days drawn anew


@pytest.mark.parametrize("series", [1, 3])
def test_drawn_days_are_those_of_plain_python(series, monkeypatch):
    """Each value less the mean of its regime or of all others, rows of a resample one by one, differences counted."""
    random = np.random.default_rng(8)
    code, values = chain(80, series, 1, 0.8) + chain(80, series, 2, 0.8), random.normal(0.1, 1.0, (80, series))
    code[10:14], values[::9] = UNKNOWN, np.nan
    code[:3] = UNKNOWN  # before anything is known: not drawn
    weights = random.integers(0, 3, (80, series)).astype(float)
    monkeypatch.setattr(resampling, "block_length", lambda part: 4.0)
    p = drawn(code, values, weights, 3, 50, seed=5)
    own = np.where(np.isnan(values), 0.0, weights)[3:]
    gains, code = np.where(own > 0.0, np.nan_to_num(values[3:]), 0.0), code[3:]
    for k in range(3):
        inside, others = code == k, (code != k) & (code != UNKNOWN)
        means = [gains[one].sum() / own[one].sum() for one in (inside, others)]
        centred = gains - own * np.where(inside, means[0], means[1])
        larger = 1
        for number in range(50):
            rows = resampling.indices(77, 4.0, 5, number)
            one, two = (centred[rows][part[rows]].sum() / own[rows][part[rows]].sum() for part in (inside, others))
            larger += abs(one - two) >= abs(means[0] - means[1])
        assert p[k] == larger / 51


@pytest.mark.parametrize("kind", ["as common", "as common, wild and calm", "rare", "rare and wild"])
def test_where_there_is_nothing_p_is_uniform(kind):
    """300 worlds each; their p-values are those of a uniform number, by the test of Kolmogorov and Smirnov."""
    code_of = rare if kind.startswith("rare") else lambda days, seed: chain(days, 1, seed, 0.97)
    sizes = {"as common": None, "rare": None, "rare and wild": lambda code: np.where(code > 0, 3.0, 1.0)}
    other = np.where(chain(1500, 1, 99, 0.99) > 0, 3.0, 1.0)
    size_of = sizes.get(kind, lambda code: other) or (lambda code: 1.0)
    by_drawing, _ = worlds(code_of, size_of)
    assert kstest(by_drawing, "uniform").pvalue > 0.01
    assert abs(np.mean(by_drawing <= 0.05) - 0.05) < 0.038  # three standard errors


def test_moving_regimes_finds_swings_where_means_are_alike_and_drawing_does_not():
    """A tenth of the days three times as wide: why the p-value of the tables is that of days drawn anew."""
    by_drawing, by_moving = worlds(rare, lambda code: np.where(code > 0, 3.0, 1.0), days=2500)
    assert np.mean(by_moving <= 0.05) > 0.25 and np.mean(by_drawing <= 0.05) < 0.09


def test_both_find_what_is_planted_as_often():
    """A tenth of the daily deviation more in one of two regimes that are as common, ten years: z of 2.5, which is found
    by 70 of 100 tests of two sides at 0.05; ± 12, three standard errors of 130 worlds."""
    found = []
    for seed in range(130):
        code = chain(2500, 1, seed, 0.97)
        earned = np.random.default_rng([seed, 2]).normal(size=(2500, 1)) + 0.1 * code
        one = np.ones((2500, 1))
        found.append((drawn(code, earned, one, 2, 399)[1], rotated(code, earned, one, 2)[0][1]))
    for p in np.array(found).T:
        assert abs(np.mean(p <= 0.05) - 0.705) < 0.12


def test_series_that_earn_the_same_are_drawn_as_one():
    """Ten markets of one noise and one regime: counted as ten they would be found in every third account."""
    found = []
    for seed in range(200):
        noise = np.random.default_rng(20_000 + seed).normal(0.0, 1.0, (500, 1)) * np.ones((1, 10))
        found.append(drawn(chain(500, 1, seed) * np.ones((1, 10), np.int8), noise, np.ones((500, 10)), 2, 199)[0])
    assert abs(np.mean(np.array(found) <= 0.05) - 0.05) < 0.047


def test_the_same_p_in_any_number_of_threads():
    code, noise, one = chain(300, 1, 1), np.random.default_rng(1).normal(size=(300, 1)), np.ones((300, 1))
    assert drawn(code, noise, one, 2, 200, threads=1).tolist() == drawn(code, noise, one, 2, 200, threads=3).tolist()
    assert drawn(code, noise, one, 2, 200, seed=2).tolist() != drawn(code, noise, one, 2, 200).tolist()


# Regimes moved


@pytest.mark.parametrize("series", [1, 3])
def test_rotations_are_those_of_plain_python(series):
    random = np.random.default_rng(8)
    code, values = chain(60, series, 1, 0.8), random.normal(0.0, 1.0, (60, series))
    code[10:14], values[::9] = UNKNOWN, np.nan
    weights = random.integers(0, 3, (60, series)).astype(float)
    p, difference = rotated(code, values, weights, 2)
    own = np.where(np.isnan(values), 0.0, weights)
    gains = np.where(own > 0.0, np.nan_to_num(values), 0.0)
    for k in range(2):
        apart = []
        for shift in range(60):
            one = np.roll(code, shift, axis=0)
            inside, others = one == k, (one != k) & (one != UNKNOWN)
            apart.append(gains[inside].sum() / own[inside].sum() - gains[others].sum() / own[others].sum())
        assert difference[k] == pytest.approx(apart[0])
        assert p[k] == pytest.approx(np.mean(np.abs(apart) >= abs(apart[0]) - 1e-12))


def test_of_twenty_findings_in_noise_one_is_below_a_twentieth():
    """500 accounts of noise that comes in calm and wild times, and regimes that last and have nothing to do with it."""
    random, found = np.random.default_rng(9), []
    for seed in range(500):
        noise = random.normal(0.0, 1.0, (1000, 1)) * np.where(chain(1000, 1, 10_000 + seed, 0.98) > 0, 3.0, 1.0)
        found.append(rotated(chain(1000, 1, seed), noise, np.ones((1000, 1)), 2)[0][0])
    for level in (0.01, 0.05, 0.2):
        assert abs(np.mean(np.array(found) <= level) - level) < 3.0 * np.sqrt(level * (1.0 - level) / 500)


def test_markets_that_move_together_are_no_more_than_one():
    """Ten markets of the same noise and the same regimes: counted as ten they would be found in every third account."""
    found = []
    for seed in range(300):
        noise = np.random.default_rng(20_000 + seed).normal(0.0, 1.0, (500, 1)) * np.ones((1, 10))
        found.append(rotated(chain(500, 1, seed) * np.ones((1, 10), np.int8), noise, np.ones((500, 10)), 2)[0][0])
    assert np.mean(np.array(found) <= 0.05) < 0.09


def test_a_regime_that_never_ends_is_compared_with_nothing():
    p, difference = rotated(np.zeros((30, 1), np.int8), np.ones((30, 1)), np.ones((30, 1)), 2)
    assert np.isnan(p).all() and np.isnan(difference).all()
    p, _ = rotated(np.full((30, 1), UNKNOWN, np.int8), np.ones((30, 1)), np.ones((30, 1)), 2)
    assert np.isnan(p).all()
    for code in (np.zeros((30, 1), np.int8), np.full((30, 1), UNKNOWN, np.int8)):
        assert np.isnan(drawn(code, np.ones((30, 1)), np.ones((30, 1)), 2, 50)).all()


# Episodes


def test_stretches_that_are_near_are_one_episode():
    code = np.full((100, 1), 0)
    code[[10, 11, 20, 60, 99]] = 1
    assert APART == 21 and episodes(code, 1) == 3 and episodes(code, 1, apart=5) == 4 and episodes(code, 7) == 0
