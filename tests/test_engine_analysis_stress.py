"""Stress windows and shocks: worked by hand, as held and from flat; what the data do not have is told."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from engine.analysis.scene import Scene
from engine.analysis.stress import LEAD, OF_MARKETS, SHOCK, STRESS, WINDOWS, betas, played, shocked, stress, window_of
from engine.analysis.whatif import ACCOUNT
from engine.settings import ConfigError
from tests import analysed, small_runs
from tests.small_runs import Wants

MARK = np.array([[100.0, 50], [101, 50], [104, 51], [98, 49], [96, 52], [99, 52], [103, 50], [102, 51]])
# of long 1 of A and short 1 of B, bought at the second mark, at 10 a point, with 1,000:
#   day          2024-01-02    03    04    05    08    09    10
#   A                     0   +30   -60   -20   +30   +40   -10
#   B                     0   -10   +20   -30     0   +20   -10
#   equity             1000  1020   980   930   960  1020  1000
DAYS = ("2024-01-04", "2024-01-08")


def scene_of(mark=MARK, wanted=((1.0, -1.0),), settings=(), capital=1000.0, **fields):
    """(scene, run) of some contracts of each market, at 10 a point."""
    market = small_runs.market(mark, **({"multiplier": 10.0} | fields))
    portfolio = small_runs.portfolio((Wants.of(np.array(wanted)), {}), settings=settings, capital=capital)
    scene = Scene(market, portfolio)
    return scene, scene.played()


def test_a_window_worked_by_hand():
    _, run = scene_of()
    told, markets = stress(run, [":".join(DAYS)])
    assert dict(told.schema) == STRESS and dict(markets.schema) == OF_MARKETS
    (row,) = told.to_dicts()
    assert (row["days"], row["covered"], row["calls"]) == (3, "whole", 0)
    assert row["profit"] == -40 - 50 + 30
    assert row["earned"] == pytest.approx(960 / 1020 - 1)
    assert (row["worst_day"], row["worst_return"]) == (date(2024, 1, 5), pytest.approx(-50 / 980))
    assert row["deepest"] == pytest.approx(930 / 1020 - 1)  # from the evening before the window on
    told = [(r["market"], r["profit"], r["worst_day"], r["worst_money"]) for r in markets.to_dicts()]
    assert told == [("A", -50.0, date(2024, 1, 4), -60.0), ("B", -10.0, date(2024, 1, 5), -30.0)]


def test_without_compounding_a_window_earns_the_sum_of_its_shares_of_the_capital():
    _, run = scene_of(settings=["portfolio.compounding=false"])
    told, _ = stress(run, [":".join(DAYS)])
    assert told["earned"].item() == pytest.approx(-0.06)


def test_what_the_data_do_not_have_is_told():
    _, run = scene_of()
    told, markets = stress(run, ["credit-2008", "2023-12-01:2024-01-03", "2024-01-05:2024-01-31"])
    assert told["covered"].to_list() == ["none", "part", "part"]
    assert told["days"].to_list() == [0, 3, 4]
    assert told.row(0)[5:] == (None,) * 6
    assert "credit-2008" not in markets["window"].to_list()


def test_the_calls_of_a_window_are_its_days_with_one():
    # bought at 100 with 200 and a maintenance of 80: equity is 70 on the fourth day; sold at 85 on the fifth
    mark, margins = [100.0, 100, 92, 87, 85, 90], {"initial_margin": 100.0, "maintenance_margin": 80.0}
    _, run = scene_of(mark, ((1.0,),), capital=200.0, **margins)
    told, _ = stress(run, ["2024-01-02:2024-01-03", "2024-01-04:2024-01-05"])
    assert told["calls"].to_list() == [0, 1]


def test_played_from_flat_it_begins_some_bars_before_with_all_capital():
    # a rise of a point a day, contracts held from the first: 1,000 becomes 1,000 + 10 a day; from flat the window of
    # ten days earns 100 again, on 1,000 and what the LEAD bars before it earned, of which the first is not held
    mark = 100.0 + np.arange(60.0)
    scene, run = scene_of(mark, ((1.0,),))
    days = scene.market.days
    window = f"{days[40]}:{days[49]}"
    held, again = stress(run, [window])[0].row(0, named=True), played(scene, [window])[0].row(0, named=True)
    assert (held["profit"], again["profit"], again["days"]) == (100.0, 100.0, 10)
    assert held["earned"] == pytest.approx(100 / 1380)
    assert again["earned"] == pytest.approx(100 / (1000 + 10 * (LEAD - 1 - 1)))
    early = f"{days[2]}:{days[3]}"
    assert played(scene, [early, "credit-2008"])[0]["covered"].to_list() == ["whole", "none"]


@pytest.mark.parametrize("seed", range(3))
def test_markets_sum_to_the_profit_of_a_window_and_windows_to_that_of_the_run(seed):
    run, market = analysed.made(seed, sleeves=2)
    days = market.days
    told, markets = stress(run, [f"{days[0]}:{days[299]}", f"{days[300]}:{days[-1]}"])
    sums = markets.group_by("window", maintain_order=True).agg(pl.col("profit").sum())["profit"]
    assert sums.to_list() == pytest.approx(told["profit"].to_list())
    equity = run.equity()["equity"]
    assert told["profit"].sum() == pytest.approx(equity[-1] - equity[0])


def test_the_windows_are_those_of_the_field():
    assert WINDOWS["credit-2008"] == (date(2008, 9, 1), date(2008, 12, 31))
    assert WINDOWS["flash-2010"] == (date(2010, 5, 6), date(2010, 5, 6))
    months = {name: (first.strftime("%Y-%m"), last.strftime("%Y-%m")) for name, (first, last) in WINDOWS.items()}
    assert months["taper-2013"] == ("2013-05", "2013-06") and months["pandemic-2020"] == ("2020-02", "2020-04")
    assert months["debt-2011"] == ("2011-08",) * 2 and months["yuan-2015"] == ("2015-08",) * 2
    assert months["volatility-2018"] == ("2018-02",) * 2 and months["rates-2022"] == ("2022-01", "2022-12")


@pytest.mark.parametrize("text", ["2008", "2008-09-15", "2008-09-15:soon"])
def test_a_window_that_is_none_is_told_the_names(text):
    with pytest.raises(ConfigError, match=f"window {text}: allowed: credit-2008, .*or two days as"):
        window_of(text)
    with pytest.raises(ConfigError, match="its last day is before its first"):
        window_of("2008-10-10:2008-09-15")


# Shocks


def test_a_shock_of_one_market_by_hand():
    # 1 A long from 101 at 10: a fifth of the 98 of the evening before is 19.6 points, 196 that day and nothing later
    scene, before = scene_of()
    told = shocked(scene, before, ["A=-20%@2024-01-05"])
    assert told.day == date(2024, 1, 5)
    rows = {row["market"]: row for row in told.moves.to_dicts()}
    assert set(rows) == {"A", ACCOUNT}
    a = rows["A"]
    assert (a["held"], a["price"]) == (1.0, 98.0)
    assert (a["jump"], a["on_day"], a["later"], a["change"]) == pytest.approx((-19.6, -196.0, 0.0, -196.0))
    assert told.moves["change"].sum() == pytest.approx(told.changed.numbers["change"][0])
    assert dict(told.moves.schema) == SHOCK


def test_without_a_day_it_is_the_last_one_of_the_run():
    scene, before = scene_of()
    told = shocked(scene, before, ["all=+10%"])
    assert told.day == date(2024, 1, 10)
    moves = dict(told.moves.select("market", "on_day").rows())
    assert moves == pytest.approx({"A": 103 * 0.1 * 10, "B": -50 * 0.1 * 10, ACCOUNT: 0.0})


def test_what_the_rules_make_of_a_shock_comes_later():
    # long 1 with 200 and margins of 100 and 80; a tenth of 100 off leaves 100 - and the next day 100 - 3 points of 10
    # are below 80: sold the day after at 90, where without the shock it would have gone to 110
    mark = [100.0, 100, 100, 97, 99, 110]
    margins = {"initial_margin": 100.0, "maintenance_margin": 80.0}
    scene, before = scene_of(mark, ((1.0,),), capital=200.0, **margins)
    told = shocked(scene, before, ["A=-10%@2024-01-03"])
    a = told.moves.row(0, named=True)
    assert a["on_day"] == pytest.approx(-100.0)
    # without: 200 + 100 at the end; with: sold at 99 - 10, which is 90 left, and no margin for another one
    assert told.changed.run.equity()["equity"][-1] == pytest.approx(200 + (99 - 10 - 100) * 10)
    assert a["later"] == pytest.approx(-110.0)
    assert dict(told.changed.numbers.select("metric", "after").rows())["margin_calls"] == 1.0


def test_correlation_to_one_moves_each_market_against_what_is_held():
    # moves of a point up and down have a volatility of one point; three of them against 2 long and 1 short at 10
    mark = np.array([[100.0 + t % 2, 50.0 + (t + 1) % 2] for t in range(30)])
    scene, before = scene_of(mark, ((2.0, -1.0),), capital=100_000.0)
    day = scene.market.days[20]
    moves = {row["market"]: row for row in shocked(scene, before, [f"against=3sd@{day}"]).moves.to_dicts()}
    assert (moves["A"]["jump"], moves["B"]["jump"]) == pytest.approx((-3.0, 3.0))
    assert (moves["A"]["on_day"], moves["B"]["on_day"]) == pytest.approx((-60.0, -30.0))
    same = shocked(scene, before, [f"against=-3sd@{day}"]).moves
    assert same.sort("market")["on_day"].to_list() == pytest.approx([-60.0, -30.0, 0.0])


def test_a_market_that_is_not_held_is_not_moved_against():
    mark = np.array([[100.0 + t % 2, 50.0 + (t + 1) % 2] for t in range(30)])
    scene, before = scene_of(mark, ((2.0, 0.0),), capital=100_000.0)
    moves = shocked(scene, before, [f"against=3sd@{scene.market.days[20]}"]).moves
    assert moves["market"].to_list() == ["A", ACCOUNT]


def test_a_sector_and_a_factor():
    rng = np.random.default_rng(1)
    a = 400.0 + np.cumsum(rng.normal(size=400))
    mark = np.column_stack([a, 900.0 - 2.0 * (a - 400.0), 50.0 + np.cumsum(rng.normal(size=400))])
    scene, before = scene_of(mark, ((1.0, 1.0, 1.0),), capital=1e6, sectors=("equity", "bonds", "equity"))
    day = scene.market.days[350]
    of = shocked(scene, before, [f"equity=-10%@{day}"]).moves
    assert of.filter(pl.col("jump") != 0.0)["market"].to_list() == ["A", "C"]
    moves = {row["market"]: row for row in shocked(scene, before, [f"beta:A=-10%@{day}"]).moves.to_dicts()}
    assert moves["A"]["jump"] == pytest.approx(-0.1 * mark[349, 0])
    assert moves["B"]["jump"] == pytest.approx(0.2 * mark[349, 0])  # minus two points a point
    both = shocked(scene, before, [f"A=-10%@{day}", f"all=+1%@{day}"]).moves
    assert both["jump"][0] == pytest.approx(-0.09 * mark[349, 0])


def test_betas_are_those_of_a_least_squares_fit_and_nothing_where_too_little_is_known():
    rng = np.random.default_rng(2)
    mark = 400.0 + np.cumsum(rng.normal(size=(400, 3)), axis=0)
    mark[:300, 2] = np.nan
    market = small_runs.market(mark)
    found = betas(market, 400, "A")
    steps = mark[399 - 5 * np.arange(53)][::-1]
    steps = np.diff(steps, axis=0)
    assert found[1] == pytest.approx(np.polyfit(steps[:, 0], steps[:, 1], 1)[0])
    assert found.tolist()[::2] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("shocks", "reason"),
    [
        (["A"], "allowed: a name and a move in % or sd, as ES=-20%"),
        (["A=-20"], "allowed: a name and a move in % or sd"),
        (["AA=-20%"], "shock AA: not known; allowed: A, B, metals, all, against, beta:ROOT; nearest: A"),
        (["beta:Z=-20%"], "shock beta:Z: Z is no market of this run; allowed: A, B"),
        (["A=-20%@2030-01-01"], "nothing is known on or after 2030-01-01; allowed: a day up to 2024-01-10"),
        (["A=-20%@2023-01-01"], "no price before"),
        (["A=-20%@2024-01-05", "B=1%"], "of several days: .*; allowed: one day for all"),
    ],
)
def test_a_shock_that_is_none_is_told_what_is_allowed(shocks, reason):
    scene, before = scene_of()
    with pytest.raises(ConfigError, match=reason):
        shocked(scene, before, shocks)


def test_prices_within_the_day_are_not_shocked():
    scene, before = scene_of()
    portfolio = small_runs.portfolio((Wants.of(1.0), {}), settings=["execution.ties=finer"])
    with pytest.raises(ConfigError, match="this run reads bars within the day; run its portfolio with --set"):
        shocked(scene._replace(portfolio=portfolio), before, ["A=-20%"])
