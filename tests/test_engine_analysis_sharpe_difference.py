"""The test of two Sharpe ratios against a slow twin, closed forms, and how often it is wrong between equals."""

import numpy as np
import pytest

from engine.analysis import sharpe_difference as tested
from engine.ratios import sharpe


def slow(first, second, block, resamples, seed):
    """(difference, error, p-value, end of the interval in errors) by the paper, resample by resample, with matrices."""
    count, blocks = len(first), len(first) // block
    first, second = first / first.std(), second / second.std()

    def moments(one, two):
        return np.array([one.mean(), two.mean(), (one**2).mean(), (two**2).mean()])

    def ratio(v):
        return v[0] / (v[2] - v[0] ** 2) ** 0.5 - v[1] / (v[3] - v[1] ** 2) ** 0.5

    def slope(v):
        one, two = (v[2] - v[0] ** 2) ** 1.5, (v[3] - v[1] ** 2) ** 1.5
        return np.array([v[2] / one, -v[3] / two, -v[0] / (2 * one), v[1] / (2 * two)])

    whole = moments(first, second)
    y = np.column_stack([first, second, first**2, second**2]) - whole
    error = hac(y, slope(whole))
    statistics = []
    for begins in tested.starts(count, block, resamples, seed):
        rows = [(begin + k) % count for begin in begins for k in range(block)]
        one, two = first[rows], second[rows]
        v = moments(one, two)
        apart = np.column_stack([one, two, one**2, two**2]) - v
        psi = np.zeros((4, 4))
        for j in range(blocks):
            zeta = apart[j * block : (j + 1) * block].sum(axis=0) / block**0.5
            psi += np.outer(zeta, zeta) / blocks
        spread = (slope(v) @ psi @ slope(v) / (blocks * block)) ** 0.5
        statistics.append(abs(ratio(v) - ratio(whole)) / spread)
    p_value = (sum(s >= abs(ratio(whole)) / error for s in statistics) + 1) / (resamples + 1)
    return ratio(whole), error, p_value, np.quantile(statistics, 0.95)


def hac(y, slope):
    """Prewhitened standard error: every pair of days weighed by Parzen's kernel, every regression by its equations."""
    count, size = y.shape
    now, day_before = y[1:], y[:-1]
    a = now.T @ day_before @ np.linalg.inv(day_before.T @ day_before)
    u, sizes, v = np.linalg.svd(a)
    a = u @ np.diag([min(size, 0.97) for size in sizes]) @ v
    e = now - day_before @ a.T
    top = bottom = 0.0
    for series in e.T:
        one = np.column_stack([np.ones(count - 2), series[:-1]])
        constant, rho = np.linalg.solve(one.T @ one, one.T @ series[1:])
        variance = np.mean((series[1:] - constant - rho * series[:-1]) ** 2)
        top += 4 * rho**2 * variance**2 / (1 - rho) ** 8
        bottom += variance**2 / (1 - rho) ** 4
    days = count - 1
    width = 2.6614 * (top / bottom * days) ** 0.2
    total = np.zeros((size, size))
    for s in range(days):
        for t in range(days):
            x = abs(s - t) / width
            weight = 1 - 6 * x**2 + 6 * x**3 if x <= 0.5 else 2 * (1 - x) ** 3 if x <= 1.0 else 0.0
            total += weight * np.outer(e[s], e[t]) / days
    back = np.linalg.inv(np.eye(size) - a)
    return (slope @ back @ total @ back.T @ slope * days / (days - 4) / count) ** 0.5


def pair(seed, count=63, tail=5.0):
    """Returns that follow each other a little, have fat tails and move together."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(tail, (count + 1, 3)) / 100.0
    noise = noise[1:] + 0.2 * noise[:-1]
    return noise[:, 0] + noise[:, 2] + 0.001, noise[:, 1] + noise[:, 2]


@pytest.mark.parametrize(("seed", "block"), [(1, 1), (2, 4), (3, 10)])
def test_it_is_what_the_paper_says_resample_by_resample(seed, block):
    first, second = pair(seed)
    found = tested.difference(first, second, block, resamples=99, seed=seed, periods=1)
    told, error, p_value, reach = slow(first, second, block, 99, seed)
    assert found.difference == pytest.approx(told, abs=1e-12)
    assert found.error == pytest.approx(error, rel=1e-9)
    assert found.p_value == pytest.approx(p_value)
    assert found.high - told == pytest.approx(reach * error, rel=1e-9)
    assert found.low + found.high == pytest.approx(2.0 * told, abs=1e-12)


def test_the_difference_is_that_of_the_two_ratios():
    first, second = pair(4)
    ours = [sharpe(one) * (len(one) / (len(one) - 1)) ** 0.5 for one in (first, second)]  # there ddof 1, here 0
    assert tested.difference(first, second, 1, 9).difference == pytest.approx(ours[0] - ours[1])


def test_of_normal_returns_the_error_is_that_of_jobson_korkie_and_memmel():
    """Memmel, Finance Letters 1 (2003): 2 - 2 rho + (a^2 + b^2 - 2 a b rho^2) / 2, over T."""
    rng, count, rho, a, b = np.random.default_rng(5), 400_000, 0.6, 0.5, 0.2
    one = rng.normal(size=count)
    other = rho * one + (1 - rho**2) ** 0.5 * rng.normal(size=count)
    found = tested.difference(one + a, other + b, 1, 3, periods=1)
    variance = (2 - 2 * rho + (a**2 + b**2 - 2 * a * b * rho**2) / 2) / count
    assert found.error**2 == pytest.approx(variance, rel=0.02)


def test_between_equals_it_finds_a_difference_about_as_often_as_it_says():
    """Fat tails and days that follow each other, a true difference of 0: 5 in 100 fall below 0.05."""
    made = [pair(seed, 250) for seed in range(300)]
    values = np.array([tested.difference(one - 0.001, two, None, 299, seed=7).p_value for one, two in made])
    assert 0.02 <= np.mean(values < 0.05) <= 0.09
    assert 0.40 <= np.mean(values < 0.5) <= 0.60


def test_neither_run_nor_its_size_is_preferred():
    first, second = pair(6)
    there, back = tested.difference(first, second), tested.difference(second, first)
    assert there.difference == pytest.approx(-back.difference) and there.low == pytest.approx(-back.high)
    assert there.p_value == back.p_value and there.block == back.block
    larger = tested.difference(3.0 * first, 0.5 * second)
    assert tuple(larger) == pytest.approx(tuple(there))


def test_without_bringing_returns_to_one_unit_the_error_is_another_one_in_percent():
    """docs/accuracy.md: the paper's limit on A and its bandwidth see the unit, which a Sharpe ratio does not have."""
    first, second = pair(3, 120)

    def error(times):
        y = np.column_stack([times * first, times * second, (times * first) ** 2, (times * second) ** 2])
        return tested.standard_error(y - y.mean(axis=0), tested.gradient(y.mean(axis=0)))

    told = np.array([error(1.0), error(100.0), error(1.0 / first.std())])
    assert np.ptp(told) > 0.01 * told.mean()
    ours = [tested.difference(k * first, k * second, 1, 9, periods=1).error for k in (1.0, 100.0)]
    assert ours[0] == pytest.approx(ours[1], rel=1e-9)
    assert ours[0] == pytest.approx(slow(first, second, 1, 1, 1)[1], rel=1e-9)


def test_the_same_seed_is_the_same_result_however_many_are_drawn_at_a_time(monkeypatch):
    first, second = pair(7, 300)
    whole = tested.difference(first, second, 5, 999)
    monkeypatch.setattr(tested, "PIECE", 777)
    assert tested.difference(first, second, 5, 999) == whole
    assert tested.difference(first, second, 5, 999, seed=1).high != whole.high


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.arange(9.0), np.arange(9.0)[::-1]),
        (np.zeros(50), np.sin(np.arange(50.0))),
        (np.sin(np.arange(50.0)), 3.0 * np.sin(np.arange(50.0))),
        (np.append(np.sin(np.arange(50.0)), np.nan), np.cos(np.arange(51.0))),
    ],
    ids=["nine days", "one does not move", "the same but for its size", "unknown"],
)
def test_where_there_is_nothing_to_tell_nothing_is_told(first, second):
    assert np.isnan(tested.difference(first, second)[:5]).all()


def test_days_that_follow_each_other_are_drawn_in_longer_blocks():
    rng = np.random.default_rng(8)
    noise = rng.normal(size=2001)
    follows = np.convolve(noise, np.ones(10), "valid")
    assert tested.block_of(noise) <= 4 < tested.block_of(follows)
