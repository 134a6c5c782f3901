"""What if: worked by hand on a few bars; as a run of one's own would have it, on a store; sums to the cent."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio
from engine.analysis.scene import Scene, base_of, moved, without
from engine.analysis.source import SourceChanged
from engine.analysis.whatif import (
    ACCOUNT,
    CAPITAL,
    CENT,
    CHANGES,
    EXAMPLES,
    MARKETS,
    NUMBERS,
    changed,
    compared,
    what_if,
)
from engine.backtest import run as run_and_save
from engine.settings import ConfigError
from tests import analysed, small_runs
from tests.small_runs import Wants
from tests.small_store import build
from tests.test_engine_finer import hours, put

PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
"""


def scene_of(mark, wanted, settings=(), **fields):
    """(scene, run): contracts wanted by bar; of each market a point is worth 10."""
    market = small_runs.market(mark, **({"multiplier": 10.0} | fields))
    portfolio = small_runs.portfolio((Wants.of(wanted), {}), settings=settings, capital=10_000.0)
    scene = Scene(market, portfolio)
    return scene, scene.played()


def asked(scene, before, change):
    return compared(change, before, changed(scene, [change], before).played())


def profit(told, market="A", column="change"):
    return told.markets.filter(pl.col("market") == market)[column].item()


def test_slippage_costs_contracts_times_ticks_exactly():
    # +1, then -2, then flat: 1 + 3 + 2 sides of one contract, 2 ticks of 0.25 points at 10
    scene, before = scene_of([100.0, 101, 103, 102, 99, 100, 104], [1.0, 1, -2, -2, 0, 0, 0])
    told = asked(scene, before, "slippage=+2")
    assert profit(told) == -6 * 2 * 0.25 * 10
    assert before.fills()["contracts"].abs().sum() == 6
    numbers = dict(told.numbers.select("metric", "change").rows())
    assert numbers["costs"] == 30.0
    assert numbers["final_equity"] == -30.0


def test_slippage_is_paid_on_both_sides_of_a_roll():
    fields = {
        "roll": [0, 0, 1, 0, 0], "contract": [202406, 202406, 202406, 202409, 202409],
        "roll_contract": [0, 0, 202409, 0, 0], "offset": [0.0, 0, 0, -5, -5],
    }  # fmt: skip
    legs = {"roll_from": 102.0, "roll_to": 107.0, "roll_from_fill": 102.0, "roll_to_fill": 107.0}
    scene, before = scene_of([100.0, 101, 102, 108, 109], [1.0] * 5, **fields, **legs)
    assert profit(asked(scene, before, "slippage=1")) == -3 * 1 * 0.25 * 10  # entry, and both legs


def test_twice_the_margin_calls_on_the_day_worked_out_by_hand():
    # bought at 100 with 200: equity 200, 180, 160, 140, ...; twice the maintenance of 80 is 160, equal is no call,
    # so the call comes at 140 on the fifth bar, and the contract is sold at 93 on the sixth: 200 - 70 are left
    mark = [100.0, 100, 98, 96, 94, 93, 110, 120]
    margins = {"initial_margin": 100.0, "maintenance_margin": 80.0}
    scene, _ = scene_of(mark, 1.0, **margins)
    portfolio = small_runs.portfolio((Wants.of(1.0), {}), capital=200.0)
    scene = scene._replace(portfolio=portfolio)
    before = scene.played()
    told = asked(scene, before, "margin=2")
    calls = told.run.events().filter(pl.col("kind").cast(pl.String) == "margin call")
    assert calls["day"].unique().to_list() == [scene.market.days[4].item()]
    assert before.equity()["equity"][-1] == 200 + 20 * 10
    assert told.run.equity()["equity"][-1] == 200 - 7 * 10
    assert profit(told) == -70.0 - 200.0
    numbers = dict(told.numbers.select("metric", "after").rows())
    assert (numbers["margin_calls"], numbers["margin_peak"]) == (1.0, 200.0)


def test_the_broker_s_own_factor_stays_and_one_s_own_margins_are_multiplied_too():
    margins = {"initial_margin": 100.0, "maintenance_margin": 80.0}
    for settings, own, most in ((["margin.house=1.5"], False, 450.0), (["margin.house=1.5"], True, 300.0)):
        scene, before = scene_of([100.0] * 4, 1.0, settings, own_margin=own, **margins)
        assert asked(scene, before, "margin=3").run.equity()["margin"].max() == most


def test_fills_one_bar_later_by_hand():
    mark = [100.0, 101, 103, 106, 110, 115, 121]
    scene, before = scene_of(mark, [1.0, 1, 1, 0, 0, 0, 0])
    assert profit(asked(scene, before, "delay=1"), column="before") == (110 - 101) * 10
    assert profit(asked(scene, before, "delay=1"), column="after") == (115 - 103) * 10
    assert profit(asked(scene, before, "delay=2"), column="after") == (121 - 106) * 10


def test_a_holiday_is_no_bar_of_delay():
    # decided on the first bar; the market is closed on the second, so it fills on the third, and a bar later on the
    # fourth, not on the third
    scene, before = scene_of([100.0, np.nan, 103, 106, 110], 1.0)
    told = asked(scene, before, "delay=1")
    assert (profit(told, column="before"), profit(told, column="after")) == ((110 - 103) * 10, (110 - 106) * 10)


def test_without_a_market_its_profit_is_gone_and_the_others_are_as_they_were():
    mark = np.array([[100.0, 50], [101, 51], [102, 49], [104, 48], [107, 53]])
    scene, before = scene_of(mark, 1.0)
    told = asked(scene, before, "missing=B")
    assert profit(told) == 0.0
    assert profit(told, "B", "before") == (53 - 51) * 10 and profit(told, "B", "after") == 0.0
    assert told.run.summary["markets"] == ["A"]


def test_a_dearer_currency_changes_what_is_earned_from_the_day_on():
    # one contract bought at 101: +2 and +3 points of 10 euro at 1.20, then +4 and +5 at 1.20 less a quarter
    mark = [100.0, 101, 103, 106, 110, 115]
    scene, before = scene_of(mark, 1.0, fx=1.2, currencies=("EUR",))
    told = asked(scene, before, f"fx=EUR:-25%@{scene.market.days[4]}")
    assert profit(told, column="before") == pytest.approx(14 * 10 * 1.2)
    assert profit(told, column="after") == pytest.approx(5 * 10 * 1.2 + 9 * 10 * 0.9)


def test_a_locked_market_is_left_when_it_opens_again():
    # sold at 106 on the fourth bar; locked for two of its bars from there on (the fifth is a holiday), it is 115
    mark = [100.0, 101, 103, 106, np.nan, 110, 115, 121]
    scene, before = scene_of(mark, [1.0, 1, 0, 0, 0, 0, 0, 0])
    day = scene.market.days[3]
    told = asked(scene, before, f"locked=2@{day}")
    assert profit(told, column="before") == (106 - 101) * 10
    assert profit(told, column="after") == (115 - 101) * 10
    assert profit(asked(scene, before, f"locked=A:1@{day}"), column="after") == (110 - 101) * 10
    short, before = scene_of(mark, [-1.0, -1, 0, 0, 0, 0, 0, 0])
    assert profit(asked(short, before, f"locked=2@{day}"), column="after") == -(115 - 101) * 10


def test_more_capital_with_the_same_contracts_earns_the_same():
    scene, before = scene_of([100.0, 101, 103], 1.0)
    told = asked(scene, before, "capital=3")
    assert profit(told) == 0.0
    assert profit(told, CAPITAL) == 20_000.0 == told.numbers["change"][0]


def test_twice_the_moves_earn_twice_as_much_and_rolls_stay_no_moves():
    fields = {
        "roll": [0, 0, 1, 0, 0], "contract": [202406, 202406, 202406, 202409, 202409],
        "roll_contract": [0, 0, 202409, 0, 0], "offset": [0.0, 0, 0, -5, -5],
    }  # fmt: skip
    legs = {"roll_from": 102.0, "roll_to": 107.0, "roll_from_fill": 102.0, "roll_to_fill": 107.0}
    scene, before = scene_of([100.0, 101, 102, 108, 109], 1.0, **fields, **legs)
    assert profit(asked(scene, before, "volatility=2"), column="before") == (1 + 1 + 1) * 10
    told = asked(scene, before, "volatility=2")
    assert profit(told, column="after") == 2 * 30
    assert told.run.summary["identity_holds"]
    # from the fourth bar on, about the evening before it: 1 + 2 x (1 + 1)
    assert profit(asked(scene, before, f"volatility=2@{scene.market.days[3]}"), column="after") == 50


def test_a_gap_of_prices_keeps_the_slope_of_the_curve_and_changes_the_yield():
    market = small_runs.market([100.0, 101.0], next_mark=[100.5, 101.5], next_days=30.0)
    other = moved(market, 1, add=-21.0)
    assert other.mark.ravel().tolist() == [100.0, 80.0] and other.next_mark.ravel().tolist() == [100.5, 80.5]
    assert other.roll_yield[1, 0] == pytest.approx((80.0 / 80.5 - 1) * 365 / 30)
    assert market.mark.ravel().tolist() == [100.0, 101.0]


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_sum_to_the_difference_of_the_final_equities_to_the_cent(seed):
    run, market = analysed.made(seed, sleeves=2)
    scene = Scene(market, run.portfolio)
    before = scene.played()
    assert before.summary["hashes"]["result"] == run.summary["hashes"]["result"]
    day = market.days[200]
    for change in ("slippage=2", "delay=1", "margin=20", "capital=2", f"volatility=3@{day}", f"locked=5@{day}"):
        told = asked(scene, before, change)
        ends = [one.equity()["equity"][-1] for one in (before, told.run)]
        for column, whole in (("before", ends[0]), ("after", ends[1]), ("change", ends[1] - ends[0])):
            assert abs(told.markets[column].sum() - whole) < CENT, change
        assert told.numbers["change"][0] == ends[1] - ends[0]
        assert told.run.summary["identity_holds"], change
        assert dict(told.markets.schema) == MARKETS and dict(told.numbers.schema) == NUMBERS
        assert {ACCOUNT, CAPITAL, *market.names} == set(told.markets["market"])


@pytest.mark.parametrize("change", ["slippage=0", "volatility=1", "margin=1", "capital=1"])
def test_no_change_changes_nothing(change):
    run, market = analysed.made(3)
    scene = Scene(market, run.portfolio)
    assert asked(scene, run, change).run.summary["hashes"]["result"] == run.summary["hashes"]["result"]


# On a store


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """(archive, run, portfolio)."""
    archive = build(tmp_path_factory.mktemp("whatif") / "store")
    portfolio = Portfolio.from_toml(PORTFOLIO)
    return archive, run_and_save(archive, portfolio)[0], portfolio


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        ("capital=2", ["portfolio.capital=2000000"]),
        ("rolls=oi:2", ["rolls.rule=oi:2"]),
        ("missing=FGBL", ["portfolio.markets=MES"]),
        ("margin=2", ["margin.house=2"]),
    ],
)
def test_a_change_that_a_portfolio_can_say_is_what_its_run_gives(stored, change, settings):
    archive, run, portfolio = stored
    if change.startswith("missing"):
        other = Portfolio.from_toml(PORTFOLIO.replace("start =", 'markets = ["MES"]\nstart ='))
    else:
        other = portfolio.with_settings(settings)
    told, ids = what_if(archive, run, change), archive.run_ids()
    theirs, _ = run_and_save(archive, other)
    assert told.run.summary["ledger"] == theirs.summary["ledger"]
    assert told.run.equity().equals(theirs.equity())
    assert not told.run.equity().equals(run.equity())
    assert theirs.id not in ids  # nothing was saved


def test_a_tick_more_is_what_a_portfolio_with_a_tick_more_pays(stored):
    archive, _, portfolio = stored
    one, two = (run_and_save(archive, portfolio.with_settings([f"costs.slippage_ticks={k}"]))[0] for k in (1, 2))
    told = what_if(archive, one, "slippage=+1")
    assert told.run.equity()["equity"].to_list() == pytest.approx(two.equity()["equity"].to_list())


def test_several_changes_at_once_are_one_run_whatever_their_order(stored):
    archive, run, portfolio = stored
    other = portfolio.with_settings(["portfolio.capital=2000000", "rolls.rule=oi:2", "margin.house=2"])
    theirs, _ = run_and_save(archive, other)
    for changes in (("capital=2", "rolls=oi:2", "margin=2"), ("margin=2", "capital=2", "rolls=oi:2")):
        assert what_if(archive, run, *changes).run.equity().equals(theirs.equity())


def test_a_run_that_comes_out_otherwise_now_is_refused(stored):
    archive, run, _ = stored
    hashes = run.summary["hashes"]
    run.summary["hashes"] = hashes | {"result": "other"}
    try:
        with pytest.raises(SourceChanged, match="computed again gives another result"):
            base_of(archive, run)
    finally:
        run.summary["hashes"] = hashes


WITHIN = """
[portfolio]
name = "within"
capital = 10_000_000
start = 2021-02-01
end = 2021-05-31
[[strategies]]
name = "breakout"
params = {{ entry = 5, exit = 3, range = 5, fast = 2, slow = 10 }}
[sizing]
rule = "fixed"
contracts = 3
[execution]
{}
"""


@pytest.mark.parametrize("way", ['ties = "finer"', 'bars = "within"'])
def test_runs_on_bars_within_the_day_are_changed_too_but_for_their_prices(way, tmp_path):
    archive = build(tmp_path / "store")
    put(archive, hours(archive.read("contract_bars", root="MES")))
    portfolio = Portfolio.from_toml(WITHIN.format(way))
    run, _ = run_and_save(archive, portfolio)
    scene, before = base_of(archive, run)
    held = run.positions()["day"].unique().sort()
    day = held[len(held) // 2] + timedelta(days=1)
    found = {}
    for change in ("slippage=1", "delay=1", "margin=2", "missing=FGBL", "capital=2", "fx=EUR:-10%", f"locked=2@{day}"):
        told = found[change.partition("=")[0]] = asked(scene, before, change)
        ends = [one.equity()["equity"][-1] for one in (before, told.run)]
        assert abs(told.markets["change"].sum() - (ends[1] - ends[0])) < CENT, change
        assert told.run.summary["identity_holds"], change
    alone = Portfolio.from_toml(WITHIN.format(way).replace("start", 'markets = ["MES"]\nstart', 1))
    theirs, _ = run_and_save(archive, alone)
    assert found["missing"].run.summary["ledger"] == pytest.approx(theirs.summary["ledger"])
    house, _ = run_and_save(archive, portfolio.with_settings(["margin.house=2"]))
    assert found["margin"].run.equity().equals(house.equity())
    with pytest.raises(ConfigError, match="this run reads bars within the day"):
        changed(scene, ["volatility=2"], before)


# What is asked wrongly


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("slipage=1", "unknown change 'slipage'; allowed: slippage, delay"),
        ("slippage", "no value; write it as slippage=\\+1"),
        ("slippage=much", "slippage=much: allowed: a number"),
        ("delay=0.5", "delay=0.5: allowed: whole bars from 1 on"),
        ("margin=0", "margin=0: allowed: a number above 0"),
        ("capital=-1", "capital=-1: allowed: a number above 0"),
        ("missing=ZZ", "missing=ZZ: no market of this run; allowed: A"),
        ("missing=A", "missing=A: nothing is left to trade"),
        ("fx=EUR:-10%", "no market of this run is in EUR; allowed: none, all markets are in USD"),
        ("volatility=-1", "volatility=-1: allowed: 0 or more"),
        ("volatility=2@soon", "'soon' is no day; write it as @2020-03-16"),
        ("volatility=2@2030-01-01", "nothing is known on or after 2030-01-01; allowed: a day up to 2024-01-04"),
        ("locked=3", "no day; write it as locked=3@2020-03-16"),
        ("locked=3@2024-01-01", "nothing was held into 2024-01-01"),
        ("locked=B:3@2024-01-03", "B is no market of this run; allowed: A"),
        ("rolls=oi:2", "made of no store"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(change, reason):
    scene, before = scene_of([100.0, 101, 102, 103], 1.0)
    with pytest.raises(ConfigError, match=reason):
        changed(scene, [change], before)


def test_every_change_has_an_example_and_is_told_at_the_top():
    from engine.analysis import whatif

    assert set(EXAMPLES) == set(CHANGES)
    assert [name for name in CHANGES if f"| {name}=" not in whatif.__doc__] == []


def test_a_spread_goes_with_its_leg():
    market = small_runs.market(np.ones((4, 3)))
    portfolio = small_runs.portfolio((Wants.of(1.0), {"markets": ["A", "S"]}))
    from engine.members import Spread

    portfolio.spreads = {"S": Spread(legs={"B": 1, "C": -1})}
    left = without(Scene(market, portfolio), ["B"])
    assert (left.market.names, left.portfolio.spreads) == (("A", "C"), {})
    assert left.portfolio.strategies[0].markets == ["A"]
    assert portfolio.strategies[0].markets == ["A", "S"]
