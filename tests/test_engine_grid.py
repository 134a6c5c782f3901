"""engine/grid.py: keys, ranges, the order of combinations, what is refused beforehand."""

import itertools

import numpy as np
import pytest

from engine import Portfolio
from engine.grid import Grid, evenly, parsed
from engine.settings import ConfigError

ONE = Portfolio.from_toml('[[strategies]]\nname = "moving_average_cross"')
TWO = Portfolio.from_toml('[[strategies]]\nname = "moving_average_cross"\n[[strategies]]\nname = "ewmac"')


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fast=5:50:5", [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]),
        ("fast=5:52:20", [5, 25, 45]),  # the end is no value where the step misses it
        ("fast=3:5", [3, 4, 5]),
        ("fast=7:7:2", [7]),
        ("x=0.1:0.3:0.1", [0.1, 0.2, 0.3]),  # in decimals: 0.1 + 0.1 + 0.1 is not 0.3 for a float
        ("x=-1:1:0.5", [-1.0, -0.5, 0.0, 0.5, 1.0]),
        ("x=1e2:3e2:1e2", [100, 200, 300]),
        ("fast=2,3:5,10", [2, 3, 4, 5, 10]),
        ("sizing.rule=fixed, volatility", ["fixed", "volatility"]),
        ("floor=none,5e5", [None, 5e5]),
        ("compounding=true,false", [True, False]),
    ],
)
def test_ranges_have_their_ends_and_lists_their_values(text, values):
    key, found = parsed(text)
    assert key == text.partition("=")[0] and found == values
    assert [type(a) for a in found] == [type(b) for b in values]


@pytest.mark.parametrize(
    "text",
    ["fast", "=5", "fast=", "fast=5:1:1", "fast=1:5:0", "fast=1:5:-1", "fast=1:2:3:4", "fast=a:b", "fast=1,,2",
     "fast=nan:5:1", "fast=1:inf:1", "fast=0:1:1e-12"],
)  # fmt: skip
def test_what_is_no_range_and_no_list_is_told(text):
    with pytest.raises(ConfigError, match="--grid"):
        parsed(text)


def test_combinations_count_with_settings_first_and_the_last_key_fastest():
    grid = Grid.of(ONE, {"fast": [1, 2], "sizing.target": [0.1, 0.2], "slow": [10, 20, 30]})
    assert grid.names == ("sizing.target", "fast", "slow") and grid.inner == 6
    assert [grid.values(n) for n in range(12)] == list(itertools.product([0.1, 0.2], [1, 2], [10, 20, 30]))
    assert grid.places(np.array([0, 7])).tolist() == [[0, 0, 0], [1, 0, 1]]
    assert grid.changes(7, inner=False) == ["sizing.target=0.2"]


def test_every_combination_is_the_portfolio_with_its_settings():
    grid = Grid.of(TWO, {"slow": (50, 60), "strategies.1.fast": (8,), "capital": (1e6,), "rounding": ("fractional",)})
    made = TWO.with_settings(grid.changes(1))
    assert (made.strategies[0].strategy.slow, made.strategies[1].strategy.fast) == (60, 8)
    assert (made.capital, made.sizing.rounding) == (1e6, "fractional")


def test_a_param_of_two_strategies_must_say_of_which():
    with pytest.raises(ConfigError, match=r"fast: several strategies have it; allowed: strategies\.0\.params\.fast, "):
        Grid.of(TWO, {"fast": [1, 2]})
    assert Grid.of(TWO, {"slow": [1, 2]}).axes[0].path == ("strategies", "0", "params", "slow")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("fats", "neither a param of a strategy .fast, slow. nor a setting.*nearest: fast"),
        ("sizing.targets", "unknown setting; allowed: sizing.rule.*nearest: sizing.target"),
        ("slippage_tick", "nearest: slippage_ticks"),
        ("portfolio.start", "changes what is read or told of the market"),
        ("currency", "changes what is read or told of the market"),
        ("rolls.rule", "several sweeps, each with --set rolls.rule"),
        ("execution.bars", "changes what is read"),
        ("strategies.0.name", "changes what is read"),
    ],
)
def test_a_key_that_is_unknown_or_cannot_be_swept_is_told_with_what_is_allowed(key, reason):
    with pytest.raises(ConfigError, match=reason):
        Grid.of(ONE, {"slow": [100], key: [1, 2]})


def test_nothing_to_sweep_is_told_and_values_count_once():
    for wanted in ({}, {"fast": []}):
        with pytest.raises(ConfigError, match="allowed: at least one"):
            Grid.of(ONE, wanted)
    with pytest.raises(ConfigError, match="stands there twice"):
        Grid.of(ONE, {"fast": [1], "strategies.0.fast": [2]})
    with pytest.raises(ConfigError, match="at most 100,000,000"):
        Grid.of(ONE, {"fast": range(1, 5000), "slow": range(1, 5000), "capital": range(1, 100)})
    assert Grid.of(ONE, {"fast": [1, 1, np.int64(2), 2.0], "compounding": [True, 1]}).axes[1].values == (1, 2)
    assert len(Grid.of(ONE, {"fast": 5})) == 1


def test_units_are_those_of_the_settings():
    grid = Grid.of(ONE, {"fast": [1], "sizing.target": [0.1], "compounding": [True]})
    assert grid.units == {"fast": "bars", "sizing.target": "1/√year", "compounding": ""}


@pytest.mark.parametrize(("count", "most"), [(1, 5), (5, 5), (100, 7), (4001, 2000), (10**8, 3)])
def test_an_even_choice_is_sorted_different_and_leaves_no_large_hole(count, most):
    found = evenly(count, most)
    assert len(found) == min(count, most) and found.tolist() == sorted(set(found.tolist()))
    edges = np.concatenate([[-0.5], found, [count - 0.5]])
    assert np.diff(edges).max() <= count / min(count, most) + 1.0
