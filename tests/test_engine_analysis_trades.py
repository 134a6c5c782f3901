"""What trades were worth, what they went through, and what trading cost."""

import time
from datetime import date, timedelta
from itertools import groupby, product

import numpy as np
import polars as pl
import pytest

from engine import backtest, trade_metrics
from engine.analysis import activity, excursions, trade_stats
from engine.signals import Signals
from engine.strategy import Strategy
from tests import analysed, small_runs
from tests.small_runs import Buys, Wants

R = np.array([2, -1, -1, 3, -1, 1.5, -1, -1, 2.5, -1])  # DOMAIN 2.8


def trades(net, **told):
    """A table of trades that end day by day."""
    first = date(2024, 1, 1)
    usual = {
        "trade": range(1, len(net) + 1), "strategy": "one", "market": "A", "sector": "metals", "direction": "long",
        "entry_reason": "market", "exit_reason": "signal", "net": np.asarray(net, float), "costs": -0.5, "risk": None,
        "bars": 3, "rolls": 1, "open": False, "entry_day": [first + timedelta(k) for k in range(len(net))],
        "exit_day": [first + timedelta(k + 5) for k in range(len(net))],
    }  # fmt: skip
    return pl.DataFrame(usual | told)


def test_the_vector_of_the_trade_numbers():
    """DOMAIN 2.8, money of a risk of 100 each: 0.30 R, 40 % won, factor 1.5, system quality number 0.551825."""
    (row,) = trade_stats.statistics(trades(100.0 * R, risk=100.0)).to_dicts()
    assert (row["group"], row["trades"], row["open"]) == ("all", 10, 0)
    assert row["expectancy_r"] == pytest.approx(0.3, abs=1e-12) and row["expectancy"] == pytest.approx(30.0, abs=1e-9)
    assert (row["win_rate"], row["profit_factor"]) == (0.4, pytest.approx(1.5, abs=1e-12))
    assert row["payoff"] == pytest.approx(2.25, abs=1e-12) and row["sqn"] == pytest.approx(0.551825, abs=1e-6)
    assert (row["best"], row["worst"], row["net"], row["costs"]) == (300.0, -100.0, 300.0, -5.0)
    assert (row["won_in_a_row"], row["lost_in_a_row"]) == (1, 2)
    assert (row["bars"], row["bars_median"], row["days"], row["rolls"]) == (3.0, 3.0, 5.0, 1.0)


@pytest.mark.parametrize("by", [(), *trade_stats.GROUPS, ("market", "direction")])
def test_the_numbers_of_a_group_are_those_of_its_trades_alone(by):
    run, _ = analysed.made(3, sleeves=2)
    found, every = (
        trade_stats.statistics(run.trades(), by),
        run.trades().with_columns(year=pl.col("exit_day").dt.year()),
    )
    assert found.schema == trade_stats.STATISTICS and found["net"].is_sorted(descending=True)
    assert found["trades"].sum() == len(every) and found["net"].sum() == pytest.approx(every["net"].sum(), abs=0.005)
    names = [by] if isinstance(by, str) else list(by)
    groups = every.with_columns(group=pl.concat_str([pl.col(k).cast(pl.String) for k in names], separator=" / ")
                                if names else pl.lit("all"))  # fmt: skip
    for row in found.to_dicts():
        mine = groups.filter(pl.col("group") == row["group"]).sort("exit_day", "trade")
        net = mine["net"].to_numpy()
        for name in ("win_rate", "payoff", "profit_factor", "expectancy", "sqn"):
            value = getattr(trade_metrics, name)(net)
            assert row[name] == (None if np.isnan(value) else pytest.approx(value, rel=1e-12)), (row["group"], name)
        assert (row["won_in_a_row"], row["lost_in_a_row"]) == (streak(net > 0), streak(net < 0))
        assert row["open"] == mine["open"].sum() and row["bars"] == pytest.approx(mine["bars"].mean())
        assert row["bars_median"] == mine["bars"].median() and row["rolls"] == pytest.approx(mine["rolls"].mean())
        assert row["days"] == pytest.approx((mine["exit_day"] - mine["entry_day"]).dt.total_days().mean())
        assert trade_stats.statistics(trade_stats.Ended.of(run.trades()), by).equals(found)


def streak(hits):
    """Most in a row, counted one by one."""
    most = now = 0
    for hit in hits:
        now = now + 1 if hit else 0
        most = max(most, now)
    return most


def test_what_is_undefined_is_null_and_a_wrong_group_names_those_there_are():
    (won,) = trade_stats.statistics(trades([5.0])).to_dicts()
    assert [won[name] for name in ("payoff", "profit_factor", "expectancy_r", "sqn")] == [None] * 4
    (alike,) = trade_stats.statistics(trades([-1.0, -1.0])).to_dicts()
    assert alike["sqn"] is None and alike["profit_factor"] == 0.0 and alike["lost_in_a_row"] == 2
    assert trade_stats.statistics(trades([3.0, 0.0, 3.0]))["won_in_a_row"].item() == 1
    run, _ = analysed.empty()
    assert trade_stats.statistics(run.trades(), "market").schema == trade_stats.STATISTICS
    assert trade_stats.statistics(run.trades()).is_empty()
    with pytest.raises(ValueError, match="trades by 'weekday': allowed are strategy, market"):
        trade_stats.statistics(trades([1.0]), "weekday")


def test_the_distribution_is_of_quantiles_interpolated_linearly():
    found = trade_stats.distribution(trades(R, risk=2.0), (0.25, 0.5))
    assert found.schema == trade_stats.DISTRIBUTION
    assert found["net"].to_list() == pytest.approx(np.quantile(R, [0.25, 0.5])) and found["r"][1] == found["net"][1] / 2


def test_a_million_trades_take_less_than_three_seconds():
    rng = np.random.default_rng(1)
    count = 1_000_000
    day = np.datetime64("2000-01-03") + np.sort(rng.integers(0, 9000, count))
    many = pl.DataFrame(
        {
            "trade": np.arange(count), "market": rng.integers(0, 40, count).astype(str), "sector": "metals",
            "strategy": "one", "direction": rng.choice(["long", "short"], count), "entry_reason": "market",
            "exit_reason": rng.choice(["signal", "stop"], count), "net": rng.normal(size=count), "costs": -0.1,
            "risk": rng.random(count), "bars": 3, "rolls": 0, "open": False, "entry_day": day, "exit_day": day,
        }
    )  # fmt: skip
    began = time.process_time()
    found = [trade_stats.statistics(many, by) for by in ((), *trade_stats.GROUPS)]
    assert time.process_time() - began < 10.0  # of all cores; docs/speed.md tells the time of the clock
    assert all(one["trades"].sum() == count for one in found)


# Excursions


def run_of(strategy, market, settings=()):
    return backtest(market, small_runs.portfolio((strategy, {}), settings=settings))


def test_the_excursions_of_sweeney_s_case():
    """DOMAIN 2.8: long at 100, bars H 101 103 104 102, L 98 99 100 97, out at the next open of 101: +4, -3 points."""
    high, low = [101, 101, 103, 104, 102, 107], [99, 98, 99, 100, 97, 90]
    market = small_runs.market(
        np.full(6, 101.0), open=[100, 100, 100, 101, 101, 101], high=high, low=low, multiplier=50.0
    )
    run = run_of(Wants.of([2, 2, 2, 2, 0, 0]), market)
    (trade,) = run.trades().to_dicts()
    assert (trade["entry_price"], trade["exit_price"]) == (100.0, 101.0)
    (row,) = excursions.excursions(run, market).to_dicts()
    assert (row["adverse"], row["favourable"]) == (-3.0, 4.0)  # not the bar on whose open it was sold: -10, +7
    assert (row["adverse_money"], row["favourable_money"]) == (-300.0, 400.0)
    assert row["adverse_r"] is None
    short = run_of(Wants.of([-2, -2, -2, -2, 0, 0]), market)
    assert excursions.excursions(short, market).select("adverse", "favourable").row(0) == (-4.0, 3.0)


def test_across_a_roll_excursions_are_those_of_the_adjusted_frame():
    """Ten points dearer, the next contract is no profit: long from 100, bars of 99 to 101, then of 109 to 111."""
    mark = [100.0, 100.0, 100.0, 110.0, 110.0, 110.0]
    offset = [0.0, 0.0, 0.0, -10.0, -10.0, -10.0]
    roll = [False, False, True, False, False, False]
    contract = [202403] * 3 + [202406] * 3
    market = small_runs.market(
        mark, offset=offset, high=np.array(mark) + 1.0, low=np.array(mark) - 1.0, roll=roll, contract=contract,
        roll_contract=[0, 0, 202406, 0, 0, 0], roll_from=100.0, roll_to=110.0, roll_from_fill=100.0, roll_to_fill=110.0,
    )  # fmt: skip
    run = run_of(Wants.of([1, 1, 1, 1, 0, 0]), market)
    assert run.trades()["rolls"].to_list() == [1] and run.trades()["net"].to_list() == [0.0]
    assert excursions.excursions(run, market).select("adverse", "favourable").row(0) == (-1.0, 1.0)


class Bracket(Strategy):
    """Long from the second bar, with a stop of two points and a target of three."""

    def signals(self, market):
        return Signals.build(market, np.ones(market.mark.shape), stop=2.0, target=3.0)


def test_of_the_bar_on_which_an_order_ended_a_trade_only_its_price_counts_and_r_is_of_the_risk():
    """In at 100 on the second bar, 98.5 to 101 on it; on the third the target of 103, where the bar went to 110."""
    market = small_runs.market(
        [100.0, 100.0, 105.0, 105.0], open=[100, 100, 100, 105], high=[100, 101, 110, 105], low=[100, 98.5, 99.5, 105],
        close=[100, 100, 105, 105], multiplier=10.0,
    )  # fmt: skip
    run = run_of(Bracket(), market)
    first = run.trades().to_dicts()[0]
    assert (first["exit_reason"], first["exit_price"], first["risk"]) == ("target", 103.0, 20.0)
    row = excursions.excursions(run, market).to_dicts()[0]
    assert (row["adverse"], row["favourable"], row["adverse_r"], row["favourable_r"]) == (-1.5, 3.0, -0.75, 1.5)


def test_filled_at_the_close_the_bar_of_entry_is_over_and_the_bar_of_exit_was_held():
    market = small_runs.market(
        np.full(5, 100.0), high=[100, 109, 103, 104, 120], low=[100, 90, 99, 98, 80], close=np.full(5, 100.0)
    )
    run = run_of(Wants.of([1, 1, 0, 0, 0]), market, ["execution.fill=close"])
    (trade,) = run.trades().to_dicts()
    assert [str(trade[k]) for k in ("entry_day", "exit_day")] == [str(market.days[k]) for k in (1, 3)]
    assert excursions.excursions(run, market).select("adverse", "favourable").row(0) == (-2.0, 4.0)


@pytest.mark.parametrize("seed", range(4))
def test_excursions_are_those_of_bars_looked_at_one_by_one(seed):
    run, market = analysed.made(seed, sleeves=1 + seed % 2)
    found = excursions.excursions(run, market)
    assert found.schema == excursions.EXCURSIONS
    for trade, row in zip(run.trades().to_dicts(), found.to_dicts(), strict=True):
        m = market.names.index(trade["market"])
        first, last = (int(np.searchsorted(market.days, np.datetime64(trade[k]))) for k in ("entry_day", "exit_day"))
        side = 1 if trade["direction"] == "long" else -1
        entry = trade["entry_price"] + market.offset[first, m]
        ends = last + 1 if trade["open"] else last
        high, low = (values[first:ends, m] + market.offset[first:ends, m] for values in (market.high, market.low))
        out = trade["exit_price"] + market.offset[last, m]
        worst, best = trade_metrics.excursions(entry, side, np.append(high, out), np.append(low, out))
        assert (row["trade"], row["adverse"], row["favourable"]) == (trade["trade"], worst, best)
        assert row["adverse_money"] == pytest.approx(worst * market.multiplier[first, m] * trade["contracts"])


def test_highs_of_any_span_are_the_highest_known_ones():
    values = np.random.default_rng(3).normal(size=(300, 1))
    values[::7] = np.nan
    table = excursions._doubled(values)
    assert len(table) == excursions.LEVELS
    for first, last in [(0, 299), (0, 0), (7, 7), (5, 68), (5, 69), (1, 64), (1, 65), (33, 290), (9, 8)]:
        some = values[first : last + 1, 0]
        highest = np.nanmax(some) if (~np.isnan(some)).any() else np.nan
        np.testing.assert_equal(excursions._highest(table, first, last, 0), highest)


def test_the_edge_ratio_is_mean_favourable_over_mean_adverse_in_ranges():
    run, market = analysed.made(2)
    found = excursions.edge(run, market, (3,))
    assert found.schema == excursions.EDGE
    each = excursions.excursions(run, market)
    means = each.select(pl.col("^.*_ranges$").drop_nulls().mean()).row(0)
    assert found["edge_ratio"][0] == pytest.approx(-means[1] / means[0]) and found["bars"].to_list() == [None, 3]
    # of three bars after entry, by hand: whatever became of the trade
    from engine.measures import average_range

    ranges, sums = average_range(market, 20), np.zeros(2)
    for trade in run.trades().to_dicts():
        m, first = (
            market.names.index(trade["market"]),
            int(np.searchsorted(market.days, np.datetime64(trade["entry_day"]))),
        )
        known = ranges[first - 1, m]
        if np.isnan(known) or first + 3 > len(market.days):
            continue
        side, entry = 1 if trade["direction"] == "long" else -1, trade["entry_price"] + market.offset[first, m]
        rows = slice(first, first + 3)
        high, low = (values[rows, m] + market.offset[rows, m] for values in (market.high, market.low))
        worst, best = trade_metrics.excursions(entry, side, high, low)
        sums += [-worst / known, best / known]
    assert found["edge_ratio"][1] == pytest.approx(sums[1] / sums[0], rel=1e-12)


def test_of_no_trade_there_are_no_excursions():
    run, market = analysed.empty()
    assert excursions.excursions(run, market).schema == excursions.EXCURSIONS
    assert excursions.excursions(run, market).is_empty() and excursions.edge(run, market)["trades"].sum() == 0


# Activity


@pytest.mark.parametrize("sleeves", [1, 2, 3])
def test_what_the_years_traded_is_what_the_simulation_counted(sleeves):
    run, market = analysed.made(4, sleeves=sleeves)
    found, equity = activity.by_year(run, market), run.equity()
    assert found.schema == activity.YEARS
    years = (equity["day"][-1] - equity["day"][0]).days / 365.25
    counted = run.metrics()["turnover"] * equity["equity"].mean() * years
    assert found["traded"].sum() == pytest.approx(counted, rel=1e-12)
    np.testing.assert_allclose(found["turnover"] * found["equity"], found["traded"])


def test_costs_of_the_years_are_those_of_the_ledger_to_the_cent():
    run, market = analysed.made(5, settings=['cash.payments=[{day="2024-03-01", amount=20000}]'])
    found, ledger = activity.by_year(run, market), run.summary["ledger"]
    assert found["year"].to_list() == [2026, 2025, 2024]
    assert found["commission"].sum() == pytest.approx(ledger["commission"], abs=0.005)
    assert found["slippage"].sum() == pytest.approx(ledger["slippage"] + ledger["impact"], abs=0.005)
    rolls = sum(ledger[name] for name in activity.ROLL_COSTS)
    assert found["rolls"].sum() == pytest.approx(rolls, abs=0.005) and rolls < 0.0
    parts = found["commission"] + found["slippage"] + found["rolls"]
    np.testing.assert_allclose(found["costs"], parts, atol=0.005)
    change = run.equity()["equity"][-1] - run.equity()["equity"][0]
    assert found["profit"].sum() == pytest.approx(change - 20_000.0, abs=0.005)
    np.testing.assert_allclose(found["drag"] * found["equity"], -found["costs"])
    assert found["fills"].sum() == len(run.fills()) and found["roll_fills"].sum() > 0
    assert activity.by_year(run)["turnover"].null_count() == 3


def test_what_one_strategy_sells_to_another_reaches_no_market():
    """One buys three and the other sells one of the same at the same price: two are traded, not four."""
    market = small_runs.market(np.full(6, 100.0))
    run = backtest(market, small_runs.portfolio((Wants.of(3.0), {}), (Wants.of(-1.0), {})))
    assert activity.netted(run)["contracts"].to_list() == [2.0]
    years = (run.equity()["day"][-1] - run.equity()["day"][0]).days / 365.25
    counted = run.metrics()["turnover"] * run.equity()["equity"].mean() * years
    assert activity.by_year(run, market)["traded"].item() == pytest.approx(counted) == pytest.approx(200.0)


def test_time_in_market_worked_by_hand():
    wanted = [[1, 0], [1, 0], [-1, 0], [0, 2], [0, 0], [0, 0], [0, 0], [0, 0]]
    run = run_of(Buys.of(wanted), small_runs.market(np.full((8, 2), 100.0)))
    found = activity.held(run)
    assert found.schema == activity.HELD
    assert found.rows() == [("A", 3, 3 / 8, 2 / 8, 1 / 8), ("B", 1, 1 / 8, 1 / 8, 0.0)]
    assert activity.held(run, "strategy").rows() == [("buys", 4, 0.5, 3 / 8, 1 / 8)]
    assert run.metrics()["time_in_market"] == 0.5


def by_enumeration(signs, count):
    """{(sign, length): mean number of streaks} of all sequences of so many trades, each with the shares of `signs`."""
    share = {kind: np.mean(np.asarray(signs) == kind) for kind in (1, 0, -1)}
    found = {}
    for sequence in product((1, 0, -1), repeat=count):
        weight = np.prod([share[kind] for kind in sequence])
        for kind, members in groupby(sequence):
            key = kind, len(list(members))
            found[key] = found.get(key, 0.0) + weight
    return found


@pytest.mark.parametrize("net", [[1, 2, -1, 3, -2], [1, 1, 1, 1], [0, 1, -1, -3, -2, 4], [-1], [0, 0]])
def test_streaks_and_how_many_there_would_be_by_chance(net):
    signs = np.sign(net)
    own = {}
    for kind, members in groupby(signs.tolist()):
        key = kind, len(list(members))
        own[key] = own.get(key, 0) + 1
    chance = by_enumeration(signs, len(net))
    found = trade_stats.streaks(np.array(net, float))
    assert found.schema == pl.Schema(trade_stats.STREAKS)
    for won, length, count, expected in found.rows():
        kind = 1 if won else -1
        assert count == own.get((kind, length), 0)
        assert expected == pytest.approx(chance.get((kind, length), 0.0), abs=1e-12)
    told = trade_stats.statistics(trades(net)).row(0, named=True)
    for name, won in (("won_in_a_row", True), ("lost_in_a_row", False)):
        assert told[name] == (found.filter(pl.col("won") == won)["length"].max() or 0)


def test_no_trade_has_no_streak():
    assert len(trade_stats.streaks(np.zeros(0))) == 0
