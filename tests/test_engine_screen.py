"""Screening tells the numbers of a run in full, or that the account would have had a say in it."""

import numpy as np
import param
import pytest
import screened_markets
import strategy_market
import synthetic_market

from config import FOLDER
from engine import Portfolio, load
from engine.backtest import backtest
from engine.book import CAUSES, COSTS_OF
from engine.indicators import average_gap, average_gaps
from engine.screen import STATISTICS, CannotScreen, planned, screened
from engine.settings import ConfigError
from engine.strategies import STRATEGIES
from engine.strategies.trend import Ewmac, MovingAverageCross, TimeSeriesMomentum
from tests import small_runs, small_store

SEEDS = range(33)
SAY = {"margin call", "margin refused", "capital floor", "ruined"}  # events of the account


def in_full(market, portfolio, values, c):
    """The same numbers by `backtest`, and its run."""
    run = backtest(market, varied(portfolio, values, c))
    ledger, metrics = run.summary["ledger"], run.summary["metrics"]
    told = {name: metrics[name] for name in STATISTICS[:6]}
    told |= {"costs": -sum(ledger[CAUSES[k]] for k in COSTS_OF), "fills": len(run.fills())}
    return {name: np.nan if value is None else value for name, value in told.items()}, run


def varied(portfolio, values, c):
    return portfolio.with_settings([f"strategies.0.{name}={each[c]}" for name, each in values.items()])


def assert_same(told, found, c):
    for name, value in told.items():
        assert found[name][c] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), (name, c)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_those_of_a_run_in_full(seed):
    market, (portfolio, values) = screened_markets.market(seed), screened_markets.portfolio(seed)
    found = screened(market, portfolio, values)
    assert not found["intervened"].any()
    for c in range(len(found["fills"])):
        assert_same(in_full(market, portfolio, values, c)[0], found, c)


@pytest.mark.parametrize("fill", ["settle", "open"])
def test_numbers_of_a_stored_market_are_those_of_a_run_in_full(tmp_path, fill):
    portfolio = Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")
    portfolio = portfolio.with_settings(["start=none", "compounding=false", f"rolls.fill={fill}", "capital=1e9"])
    market = load(small_store.build(tmp_path / "store"), roll_fill=fill)
    values = {"fast": np.array([5, 10, 20, 60]), "slow": np.array([30, 60, 40, 100])}
    found = screened(market, portfolio, values)
    assert not found["intervened"].any() and found["fills"].max() > 50
    for c in range(4):
        told, run = in_full(market, portfolio, values, c)
        assert_same(told, found, c)
        assert "roll in" in set(run.fills()["kind"])


def test_the_random_markets_hold_everything_that_a_bar_can_be():
    kinds, low, unknown = set(), 0, 0
    for seed in SEEDS:
        market, (portfolio, values) = screened_markets.market(seed), screened_markets.portfolio(seed)
        _, run = in_full(market, portfolio, values, 0)
        kinds |= set(run.fills()["kind"]) | set(run.summary["events"])
        low += (market.mark < 0).any()
        unknown += np.isnan(market.mark).all(axis=1).any() and np.isnan(market.initial_margin).any()
    assert {"market", "roll out", "roll in", "closed", "limit locked", "closed: no matched price"} <= kinds
    assert low > 5 and unknown > 5


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_where_the_account_has_a_say_the_numbers_are_left_to_a_run_in_full(seed):
    market, (portfolio, values) = screened_markets.market(seed), screened_markets.portfolio(seed, capital=60_000.0)
    found = screened(market, portfolio, values)
    for c in range(len(found["fills"])):
        told, run = in_full(market, portfolio, values, c)
        if found["intervened"][c]:
            assert all(np.isnan(found[name][c]) for name in STATISTICS)
        else:
            assert not SAY & set(run.summary["events"])
            assert_same(told, found, c)


def test_small_accounts_are_told_apart_from_those_that_nobody_calls():
    market, (portfolio, values) = screened_markets.market(15), screened_markets.portfolio(15)
    shares = [
        screened(market, portfolio.with_settings([f"capital={capital}"]), values)["intervened"].mean()
        for capital in (100, 30_000, 1e9)
    ]
    assert shares[0] == 1.0 and shares[2] == 0.0


class Told(small_runs.Wants):
    """What a test says, whatever its number."""

    number = param.Number(default=0.0, doc="Of no meaning. [1]")


def test_an_account_worked_by_hand():
    """3 at 101 from the second bar, a tick of 0.25 and 2.00 a side, 50 a point: -37.50 - 6 + 150; +300; sold at 104."""
    market = small_runs.market([100, 102, 104, 103, 103], open=[100, 101, 102, 104, 103], multiplier=50.0)
    want = Told.of([1, 1, 0, 0, 0])
    costs = ["costs.commission_per_side=2", "costs.slippage_ticks=1"]
    portfolio = small_runs.portfolio((want, {}), settings=["capital=10000", "sizing.contracts=3", *costs])
    found = screened(market, portfolio, {"number": [0.0, 1.0]})
    equity = [10_000.0, 10_106.5, 10_406.5, 10_363.0, 10_363.0]
    returns = np.diff([10_000.0, *equity]) / np.array([10_000.0, *equity[:-1]])
    assert found["final_equity"].tolist() == [10_363.0] * 2
    assert found["costs"].tolist() == [87.0] * 2 and found["fills"].tolist() == [2.0] * 2
    assert found["total_return"] == pytest.approx([0.0363] * 2)
    assert found["max_drawdown"] == pytest.approx([10_363.0 / 10_406.5 - 1.0] * 2)
    assert found["volatility"] == pytest.approx([returns.std(ddof=1) * np.sqrt(252)] * 2)
    assert found["sharpe"] == pytest.approx([returns.mean() / returns.std(ddof=1) * np.sqrt(252)] * 2)


@pytest.mark.parametrize(("floor", "below"), [(9_849.0, False), (9_851.0, True)])
def test_an_account_below_its_floor_is_left_to_a_run_in_full(floor, below):
    """3 at 100, 50 a point: a point lost is 150."""
    settings = ["capital=10000", "sizing.contracts=3", f"floor={floor}"]
    portfolio = small_runs.portfolio((Told.of([1, 1, 1]), {}), settings=settings)
    market = small_runs.market([100, 99, 101], open=[100, 100, 99], multiplier=50.0)
    assert screened(market, portfolio, {"number": [0.0]})["intervened"].tolist() == [below]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_numbers_depend_neither_on_threads_nor_on_who_stands_beside(count):
    market, (portfolio, _) = screened_markets.market(6), screened_markets.portfolio(6)
    rng = np.random.default_rng(count)
    values = {"fast": rng.integers(1, 40, count), "slow": rng.integers(2, 90, count)}
    one, order = screened(market, portfolio, values, threads=1), rng.permutation(count)
    other = screened(market, portfolio, {name: each[order] for name, each in values.items()}, threads=3)
    for name in one:
        np.testing.assert_array_equal(one[name][order], other[name])


@pytest.mark.parametrize("seed", [0, 6])
def test_the_portfolio_stays_as_it_is(seed):
    market, (portfolio, values) = screened_markets.market(seed), screened_markets.portfolio(seed)
    before = portfolio.to_toml()
    screened(market, portfolio, values, threads=3)
    assert portfolio.to_toml() == before


def test_progress_is_told_until_all_is_done():
    market, (portfolio, _) = screened_markets.market(6), screened_markets.portfolio(6)
    told = []
    screened(market, portfolio, {"fast": np.arange(1, 301)}, 2, lambda done, total: told.append((done, total)))
    assert told[-1] == (300, 300) and [done for done, _ in told] == sorted(done for done, _ in told)


# Look-ahead


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6, 8])
def test_what_comes_after_a_day_changes_no_fill_of_the_bar_after_it(seed):
    whole, (portfolio, values) = screened_markets.market(seed), screened_markets.portfolio(seed)
    portfolio = portfolio.with_settings(["locked=off", "execution.fill=open"])
    powers = 0
    for t in np.random.default_rng(seed).choice(np.arange(120, 320), 6, replace=False).tolist():
        changed = screened_markets.other_future(whole, t)
        now, then = (screened(one.rows(0, t + 2), portfolio, values) for one in (whole, changed))
        for name in ("fills", "costs"):
            np.testing.assert_array_equal(now[name], then[name])
        later = [screened(one.rows(0, t + 40), portfolio, values)["costs"] for one in (whole, changed)]
        powers += not np.array_equal(*later)
    assert powers > 3


# Forecasts of many combinations


def combinations(strategy, rng, count=25):
    draws = {
        MovingAverageCross: {"fast": (1, 60), "slow": (1, 300)},
        Ewmac: {"fast": (2, 20), "speeds": (1, 5), "span": (5, 50), "diversification": (1, 3)},
        TimeSeriesMomentum: {"lookback": (1, 300), "hold": (1, 400)},
    }
    return {name: rng.integers(low, high + 1, count) for name, (low, high) in draws[strategy].items()}


@pytest.mark.parametrize("strategy", [MovingAverageCross, Ewmac, TimeSeriesMomentum])
@pytest.mark.parametrize("made", [strategy_market.market(400, 3, 5), synthetic_market.market(250, 3, 2, 0.3)])
def test_forecasts_of_many_are_those_of_each_to_the_bit(strategy, made):
    values = combinations(strategy, np.random.default_rng(4))
    found = strategy().forecasts(made, values)
    assert found.flags.c_contiguous and found.shape == (25, *made.mark.shape)
    for c in range(25):
        one = strategy(**{name: each[c].item() for name, each in values.items()})
        np.testing.assert_array_equal(found[c], one.forecast(made))


def test_a_param_that_is_not_named_stays_as_it_is():
    made = strategy_market.market(300, 2)
    found = MovingAverageCross(slow=30).forecasts(made, {"fast": np.array([5, 10])})
    np.testing.assert_array_equal(found[1], MovingAverageCross(fast=10, slow=30).forecast(made))


@pytest.mark.parametrize("seed", range(4))
def test_averages_of_many_lengths_are_those_of_each_to_the_bit(seed):
    rng = np.random.default_rng(seed)
    price = 1.08 + 0.00005 * np.cumsum(rng.integers(-9, 10, (300, 3)), axis=0)
    price[rng.random(price.shape) < 0.2] = np.nan
    lengths = np.unique(np.concatenate([rng.integers(1, 290, 20), [1, 2, 63, 64, 65, 299, 300, 301, 4000]]))
    found = average_gaps(price, lengths)
    for k, length in enumerate(lengths):
        np.testing.assert_array_equal(found[:, :, k], average_gap(price, length))


class Against(MovingAverageCross):
    """The other side of the cross."""

    def forecast(self, market):
        return -MovingAverageCross.forecast(self, market)


def test_a_strategy_that_says_its_forecast_anew_is_screened_by_it():
    market, (portfolio, values) = screened_markets.market(6), screened_markets.portfolio(6)
    cross = screened(market, portfolio, values)
    portfolio.strategies[0].strategy = Against()
    found = screened(market, portfolio, values)
    run = []
    for fast, slow in zip(*values.values(), strict=True):
        portfolio.strategies[0].strategy = Against(fast=int(fast), slow=int(slow))
        run.append(backtest(market, portfolio).summary["metrics"]["total_return"])
    assert found["total_return"] == pytest.approx(run, rel=1e-9)
    assert not np.array_equal(found["total_return"], cross["total_return"])


# What cannot be screened


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["sizing.rule=volatility"], "compounding = true, so that sizes follow equity; set compounding = false"),
        (["buffer=0.1"], "buffer = 0.1; set buffer = 0"),
        (["rounding=nearest_risk"], "rounding = 'nearest_risk'; set rounding = 'toward_zero'"),
        (["sizing.rule=kelly", "compounding=false"], "rule = 'kelly' sizes one market by the others"),
        (["sizing.rule=volatility", "diversification=causal", "compounding=false"], "diversification that is a number"),
        (["max_contracts=5"], "max_contracts; take the limits off"),
        (["rolls.days=3"], "days = 3; set days = 1"),
        (["impact=volume"], "impact = 'volume'; set impact = 'none'"),
        (["participation=0.1"], "participation = 0.1; leave participation out"),
        (["fx=hold"], "fx = 'hold'; set fx = 'sweep'"),
        (["execution.bars=within"], "bars = 'within'; set bars = 'day'"),
        (["decision=16:00 America/New_York"], "decision = '16:00 America/New_York'; set decision = 'own'"),
        (["strategies.0.name=breakout"], "breakout enters and leaves by orders; screen a strategy of forecasts"),
        (["strategies.0.name=turtle_units"], "turtle_units is called bar by bar"),
        (["strategies.0.name=carry_rank"], "carry_rank reads several markets at once"),
    ],
)
def test_what_cannot_be_screened_is_named_with_what_to_do(settings, told):
    portfolio = small_runs.portfolio((MovingAverageCross(), {})).with_settings(settings)
    name = next(iter(portfolio.strategies[0].strategy.param.values()))
    keys = [key for key in portfolio.strategies[0].strategy.param if key != "name"]
    values = {keys[0]: np.array([getattr(portfolio.strategies[0].strategy, keys[0])])} if keys else {name: [1]}
    with pytest.raises(CannotScreen) as refused:
        screened(small_runs.market([[1.0], [2.0]]), portfolio, values)
    assert told in str(refused.value) and str(refused.value).endswith("or run these combinations in full")


def test_a_strategy_that_holds_one_with_orders_cannot_be_screened():
    market = screened_markets.market(6)
    portfolio = small_runs.portfolio((STRATEGIES["quiet_only"](inner={"name": "breakout"}), {}))
    name, value = next((key, value) for key, value in portfolio.strategies[0].strategy.param.values().items()
                       if isinstance(value, float))  # fmt: skip
    with pytest.raises(CannotScreen, match="quiet_only holds one that enters and leaves by orders"):
        screened(market, portfolio, {name: [value]})


def test_two_strategies_and_two_columns_of_a_root_cannot_be_screened():
    market = small_runs.market([[1.0, 1.0], [2.0, 2.0]], roots=("CL", "CL"))
    cross = (MovingAverageCross(), {})
    with pytest.raises(CannotScreen, match="2 of them; screen one strategy alone"):
        screened(market, small_runs.portfolio(cross, cross), {"fast": [1]})
    with pytest.raises(CannotScreen, match="CL stands there more than once; name each root once"):
        screened(market, small_runs.portfolio(cross), {"fast": [1]})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fast": [1, 0]}, "fast = 0 is not allowed; allowed: a whole number from 1 to 5000"),
        ({"quick": [1]}, "quick: unknown key; allowed: fast, slow"),
        ({"fast": [1, 2], "slow": [3]}, "allowed: arrays (combination,) of one length"),
        ({}, "allowed: arrays (combination,) of one length"),
    ],
)
def test_values_that_cannot_be_are_told(values, told):
    with pytest.raises(ConfigError) as wrong:
        screened(small_runs.market([[1.0], [2.0]]), small_runs.portfolio((MovingAverageCross(), {})), values)
    assert told in str(wrong.value)


def test_a_plan_that_was_made_before_gives_the_same_numbers():
    market, (portfolio, values) = screened_markets.market(6), screened_markets.portfolio(6)
    plan, once = planned(market, portfolio), screened(market, portfolio, values)
    for _ in range(2):
        again = screened(market, portfolio, values, plan=plan)
        assert all(np.array_equal(once[name], again[name], equal_nan=True) for name in once)
