"""Strategies that hold others: what their tables may say, and that a portfolio file keeps it."""

import numpy as np
import pytest
import strategy_market

from config import FOLDER
from engine.inner import Combination, Overlay, built, completed, kinds_of
from engine.portfolio import Portfolio, Sleeve
from engine.settings import ConfigError
from engine.strategies import STRATEGIES
from engine.strategies.blend import Blend
from engine.strategies.calendar_spread import RollYieldSpread, SpreadReversion, SpreadTrend
from engine.strategies.regime import TrendFilter, VolatilityRegime
from engine.strategies.seasonal import SameMonth, TurnOfMonth
from engine.strategies.trend import Ewmac, MovingAverageCross
from engine.strategy import load_user, snake_name

LISTED = (RollYieldSpread, SpreadReversion, SpreadTrend, VolatilityRegime, SameMonth, TurnOfMonth)
TEXT = """
[[strategies]]
name = "trend_filter"
params = { length = 100, inner = { name = "ewmac", params = { fast = 8 } } }

[[strategies]]
name = "blend"

[strategies.params]
diversification = 1.1

[[strategies.params.parts]]
name = "ewmac"
weight = 2

[[strategies.params.parts]]
name = "trend_filter"
params = { inner = { name = "carry" } }
"""
FADED = '''
import numpy as np
from engine.strategy import Strategy


class Faded(Strategy):
    """Short everywhere."""

    def forecast(self, market):
        return -np.ones(market.mark.shape)
'''


@pytest.fixture(autouse=True)
def list_as_it_was():
    before = dict(STRATEGIES)
    STRATEGIES.update(blend=Blend, trend_filter=TrendFilter)
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


def test_a_portfolio_file_says_what_is_held():
    made = Portfolio.from_toml(TEXT)
    one, other = (sleeve.strategy for sleeve in made.strategies)
    assert one.held()[0].fast == 8 and isinstance(one.held()[0], Ewmac)
    assert other.weights().tolist() == [2 / 3, 1 / 3]
    assert [kind.__name__ for kind in kinds_of(other)] == ["Blend", "Ewmac", "TrendFilter", "Carry"]
    assert made.labels() == ["trend_filter", "blend"]


def test_what_is_held_is_written_with_all_its_params_and_read_back():
    made = Portfolio.from_toml(TEXT)
    text = made.to_toml()
    assert Portfolio.from_toml(text) == made and Portfolio.from_toml(text).to_toml() == text
    table = made.document()["strategies"][0]["params"]["inner"]
    assert table == {"name": "ewmac", "params": {"fast": 8, "speeds": 3, "span": 36.0, "diversification": 1.08}}


def test_equal_settings_are_equal_texts_however_they_were_written():
    short = Overlay(inner={"name": "ewmac"})
    full = Overlay(inner={"params": {"span": 36, "fast": 16, "speeds": 3, "diversification": 1.08}, "name": "ewmac"})
    texts = [Portfolio(strategies=[Sleeve(strategy=TrendFilter(inner=one.inner))]).to_toml() for one in (short, full)]
    assert texts[0] == texts[1]


def test_what_is_held_can_be_changed_on_the_command_line():
    made = Portfolio.from_toml(TEXT).with_settings(['strategies.0.inner={ name = "moving_average_cross" }'])
    assert isinstance(made.strategies[0].strategy.held()[0], MovingAverageCross)


@pytest.mark.parametrize(
    "table, complaint",
    [
        ({"name": "ewmacc"}, 'inner strategy "ewmacc" is unknown; allowed: moving_average_cross, .*; nearest: ewmac'),
        ({}, "inner strategy null is unknown"),
        ({"name": "ewmac", "parms": {}}, "parms: unknown key; allowed: name, params; nearest: params"),
        ({"name": "ewmac", "params": {"fsat": 8}}, "inner strategy ewmac: fsat: unknown key; .*; nearest: fast"),
        ({"name": "ewmac", "params": {"fast": 0}}, "fast = 0 is not allowed; allowed: a whole number from 2 to 500"),
        ({"name": "ewmac", "params": {"fast": 8.5}}, "fast = 8.5 is not allowed"),
        ({"name": "turtle_units"}, "turtle_units returns no forecast or signals or targets"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_allowed(table, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Overlay(inner=table)


@pytest.mark.parametrize(
    "parts, complaint",
    [
        ([], "no strategy; allowed: tables of name, weight and params, at least one"),
        ([{"name": "ewmac", "weight": -1}], "weight = -1 is not allowed; allowed: a number from 0 to 100"),
        ([{"name": "ewmac", "weight": True}], "weight = true is not allowed"),
        ([{"name": "ewmac", "weight": 0}], "weights sum to 0; allowed: at least one above 0"),
        (["ewmac"], '"ewmac" is not a table'),
    ],
)
def test_wrong_parts_are_refused_with_what_is_allowed(parts, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Blend(parts=parts)


WRONG_INNER = (
    r"^portfolio text: \[\[strategies\]\] 0: params: inner: inner strategy ewmac: fast = 0 is not allowed; allowed: a "
    r"whole number from 2 to 500$"
)


def test_a_portfolio_file_with_a_wrong_table_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=WRONG_INNER) as fault:
        Portfolio.from_toml(TEXT.replace('"ewmac", params = { fast = 8 }', '"ewmac", params = { fast = 0 }'))
    assert "\n" not in str(fault.value)


def test_instances_do_not_share_what_they_hold():
    one, other = Overlay(), Overlay()
    one.inner = {"name": "ewmac"}
    assert other.inner["name"] == "moving_average_cross" and Overlay.inner == {"name": "moving_average_cross"}
    assert completed(one.inner) == one.inner
    assert Combination().parts[0]["weight"] == 1.0


def test_a_base_overlay_changes_nothing():
    market = strategy_market.market(bars=300)
    plain, held = Ewmac().decision(market), Overlay(inner={"name": "ewmac"}).decision(market)
    np.testing.assert_array_equal(held.forecast, plain.forecast)
    np.testing.assert_array_equal(held.episode, plain.episode)
    assert Overlay(inner={"name": "ewmac"}).warm_up() == Ewmac().warm_up() and Overlay.kind() == "forecast"


def test_a_strategy_of_the_user_can_be_held(tmp_path):
    (tmp_path / "mine.py").write_text(FADED)
    load_user(tmp_path)
    market = strategy_market.market(bars=300)
    assert (Overlay(inner={"name": "faded"}).forecast(market) == -1.0).all()
    assert kinds_of(Overlay(inner={"name": "faded"}))[1] is STRATEGIES["faded"]
    assert built({"name": "faded"}).warm_up() == 0


@pytest.mark.parametrize("name", ["blend", "calendar_spreads", "seasonal"])
def test_shipped_portfolios_hold_what_they_say(name):
    STRATEGIES.update({snake_name(kind): kind for kind in LISTED})
    made = Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml")
    assert made.name == name and Portfolio.from_toml(made.to_toml()).to_toml() == made.to_toml()
    if name == "blend":
        assert [kind.__name__ for kind in kinds_of(made.strategies[0].strategy)] == [
            "VolatilityRegime", "Blend", "Ewmac", "Carry",
        ]  # fmt: skip
        assert made.strategies[0].strategy.held()[0].causal
    for spread in made.spreads.values():
        assert len(spread.legs) >= 2
