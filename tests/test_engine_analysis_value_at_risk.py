"""Values at risk of a run, their parts, their forecasts and the tests of these."""

import naive
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_engine_ratios import BACON

from engine import exceedances, tails
from engine.analysis import forecasts, value_at_risk
from engine.analysis.daily import Daily
from engine.analysis.exposure import Held
from tests import analysed

LEVELS = (0.95, 0.99)


def shares(seed, days=400, markets=4):
    """Profits of markets that move together, with heavy tails, as shares of the capital."""
    rng = np.random.default_rng(seed)
    return (rng.standard_t(4, (days, 1)) + rng.standard_t(4, (days, markets))) / 500.0


def test_all_methods_at_both_levels_are_the_numbers_of_their_names():
    found = value_at_risk.values(BACON, 1000.0)
    assert found.schema == value_at_risk.VALUES and len(found) == 8
    told = {(row["method"], row["level"]): row for row in found.to_dicts()}
    assert told["history", 0.95]["var"] == pytest.approx(0.0592, abs=1e-9)  # DOMAIN 2.2
    assert told["gaussian", 0.95]["var"] == pytest.approx(-(0.009 - 1.6448536270 * BACON.std()), abs=1e-9)
    assert told["history", 0.95]["cvar_money"] == pytest.approx(63.0, abs=1e-9)
    assert told["gaussian", 0.99]["var"] == tails.gaussian_var(BACON, 0.99)
    calm = np.random.default_rng(3).standard_t(12, 4000) / 100
    told = {(row["method"], row["level"]): row for row in value_at_risk.values(calm).to_dicts()}
    assert told["cornish-fisher", 0.95]["var"] == tails.cornish_fisher_var(calm)
    assert [row["caution"] for row in told.values()] == [""] * 8


def test_outside_its_domain_cornish_fisher_gives_way_to_history_and_says_why():
    crash = np.array([0.01] * 97 + [0.0, -0.05, -0.3])
    told = {(row["method"], row["level"]): row for row in value_at_risk.values(crash).to_dicts()}
    for level in LEVELS:
        assert told["cornish-fisher", level]["var"] == told["history", level]["var"]
        assert "outside the domain" in told["cornish-fisher", level]["caution"]


# Parts


@pytest.mark.parametrize("level", LEVELS)
@given(st.integers(0, 1000))
def test_the_parts_of_each_kind_sum_to_the_number_of_the_whole(level, seed):
    parts, total = shares(seed), shares(seed).sum(axis=1)
    assert value_at_risk.gaussian_components(parts, level).sum() == pytest.approx(tails.gaussian_var(total, level))
    assert value_at_risk.historical_components(parts, level).sum() == pytest.approx(tails.var(total, level))
    assert value_at_risk.tail_components(parts, level).sum() == pytest.approx(tails.cvar(total, level))


def test_a_gaussian_part_is_what_a_little_more_of_the_market_adds():
    """Euler: the slope of the value at risk by the size of the market, seen by making it a little larger."""
    parts, step = shares(5), 1e-6
    found = value_at_risk.gaussian_components(parts, 0.99)
    for m in range(parts.shape[1]):
        size = np.ones(parts.shape[1])
        size[m] += step
        more = tails.gaussian_var(parts @ size, 0.99)
        size[m] -= 2 * step
        less = tails.gaussian_var(parts @ size, 0.99)
        assert found[m] == pytest.approx((more - less) / (2 * step), rel=1e-6)


def test_a_historical_part_is_what_a_little_more_of_the_market_adds():
    parts, step = shares(6), 1e-9
    found = value_at_risk.historical_components(parts, 0.95)
    for m in range(parts.shape[1]):
        size = np.ones(parts.shape[1])
        size[m] += step
        more = tails.var(parts @ size, 0.95)
        assert found[m] == pytest.approx((more - tails.var(parts.sum(axis=1), 0.95)) / step, rel=1e-3, abs=1e-6)


def test_a_market_that_goes_against_the_others_has_a_negative_part():
    rng = np.random.default_rng(1)
    moves = rng.normal(size=500) / 100
    parts = np.column_stack([2.0 * moves, -moves])
    found = value_at_risk.gaussian_components(parts - parts.mean(axis=0), 0.95)
    whole = tails.gaussian_var(moves - moves.mean(), 0.95)
    np.testing.assert_allclose(found, [2.0 * whole, -whole], rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_of_a_run_are_of_its_markets_and_sum_to_its_own(seed):
    run, _ = analysed.made(seed, sleeves=1 + seed % 2)
    found, told = value_at_risk.parts(run), Daily.of(run)
    assert found.schema == value_at_risk.PARTS
    for level in LEVELS:
        of_level = found.filter(level=level)
        assert sorted(of_level["market"]) == ["A", "B", "C", "account"]
        sums = of_level.sum().to_dicts()[0]
        assert sums["component_gaussian"] == pytest.approx(tails.gaussian_var(told.returns, level), rel=1e-9)
        assert sums["component_history"] == pytest.approx(tails.var(told.returns, level), rel=1e-9)
        assert sums["component_cvar"] == pytest.approx(tails.cvar(told.returns, level), rel=1e-9)
        assert sums["share"] == pytest.approx(1.0)
        for row in of_level.to_dicts():
            k = (*told.names, "account").index(row["market"])
            assert row["var"] == pytest.approx(tails.var(told.shares[:, k], level), abs=1e-12)
            rest = np.delete(told.shares, k, axis=1).sum(axis=1)
            assert row["without"] == pytest.approx(tails.var(rest, level) - tails.var(told.returns, level), abs=1e-12)
            if row["market"] == "account":
                assert row["marginal"] is None
            else:
                held = Held.of(run)
                exposure = (held.gross[:, held.names.index(row["market"])] / told.base).mean()
                assert row["marginal"] * exposure == pytest.approx(row["component_gaussian"], rel=1e-9)


def test_what_is_held_on_the_last_day_is_told_over_the_past_of_its_markets():
    """Two of A, worth 10 a point, and minus one of B, worth 20: over two days +3 and -1, -2 and 0.5 points."""
    run, market = analysed.made(1)
    positions = run.positions().filter(pl.col("day") == run.equity()["day"][-1])
    found, names, sectors = value_at_risk.held(run, market, days=50)
    assert found.shape == (50, len(positions) + 1) and (found[:, -1] == 0.0).all()
    moves, capital = np.diff(market.adjusted, axis=0)[-50:], run.equity()["equity"][-1]
    for k, name in enumerate(names):
        m = market.names.index(name)
        size = positions.filter(pl.col("market").cast(pl.String) == name)["contracts"].item()
        np.testing.assert_allclose(found[:, k], moves[:, m] * market.multiplier[-1, m] * size / capital, atol=1e-15)
    assert sectors == tuple(analysed.SECTORS[market.names.index(name)] for name in names)
    assert value_at_risk.of_held(run, market).schema == value_at_risk.VALUES


# Forecasts


def told_by_hand(method, past, level):
    """The number of a method from the days before, one function at a time."""
    if method == "filtered":
        return tails.filtered_var(past, level)
    var, _ = value_at_risk.METHODS[method]
    return var(past, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", value_at_risk.METHODS)
@pytest.mark.parametrize("window", [None, 120])
def test_a_forecast_is_the_number_of_the_days_before_it_alone(method, level, window):
    moves = np.random.default_rng(8).standard_t(5, 320) / 100 + 0.0003
    found = forecasts.forecast(moves, method, level, window, 100)
    for t in range(len(moves)):
        if t < 100 + (60 if method == "filtered" else 0):
            assert np.isnan(found[t])
        elif window is None:
            assert found[t] == pytest.approx(told_by_hand(method, moves[:t], level), rel=1e-9)
        elif method != "filtered":
            assert found[t] == pytest.approx(told_by_hand(method, moves[max(0, t - window) : t], level), rel=1e-9)
        else:
            surprises = tails.standardised(moves[:t])[60:][-window:].tolist()
            assert found[t] == pytest.approx(
                -tails.ewma(moves[:t])[-1] * naive.quantile(surprises, round(1 - level, 12)), rel=1e-9
            )


def test_day_by_day_cornish_fisher_gives_way_to_history_where_it_has_to():
    moves = np.random.default_rng(9).standard_t(3, 600) / 100
    found = forecasts.forecast(moves, "cornish-fisher", 0.99, 150, 100)
    cautions = [tails.cornish_fisher_caution(moves[max(0, t - 150) : t]) for t in range(100, 600)]
    assert 20 < sum(map(bool, cautions)) < 480
    for t, caution in zip(range(100, 600), cautions, strict=True):
        number = tails.var if caution else tails.cornish_fisher_var
        assert found[t] == pytest.approx(number(moves[max(0, t - 150) : t], 0.99), rel=1e-9)


@pytest.mark.parametrize("method", value_at_risk.METHODS)
def test_what_comes_later_changes_no_forecast(method):
    moves = np.random.default_rng(10).standard_t(4, 700) / 100
    whole = forecasts.forecast(moves, method)
    for end in (300, 501, 650, 699):
        noise = np.concatenate([moves[:end], 5.0 + np.arange(700.0 - end)])
        np.testing.assert_array_equal(forecasts.forecast(moves[:end], method), whole[:end])
        np.testing.assert_array_equal(forecasts.forecast(noise, method)[: end + 1], whole[: end + 1])


def test_too_little_known_is_no_forecast_and_after_the_unknown_there_is_none():
    moves = np.random.default_rng(12).normal(size=400) / 100
    for method in value_at_risk.METHODS:
        assert np.isnan(forecasts.forecast(moves[:200], method)).all()
        assert len(forecasts.forecast(np.zeros(0), method)) == 0
        broken = np.append(moves, [np.nan, 0.01])
        np.testing.assert_array_equal(np.isnan(forecasts.forecast(broken, method)[-2:]), [False, True])
    with pytest.raises(ValueError, match="'historic' of a value at risk: allowed are history, gaussian"):
        forecasts.forecast(moves, "historic")


def test_exceedances_and_their_tests_are_counted_from_the_forecasts():
    run, _ = analysed.made(2)
    told = Daily.of(run)
    found = forecasts.forecasts(run, least=100)
    assert found.schema == forecasts.FORECASTS and len(found) == 8 * len(told.returns)
    returns = told.returns[told.begun :]
    tested = forecasts.backtested(found)
    assert tested.schema == forecasts.TESTS and len(tested) == 8
    for row in tested.to_dicts():
        var = forecasts.forecast(returns, row["method"], row["level"], least=100)
        known = ~np.isnan(var)
        beyond = -returns[known] > var[known]
        assert (row["days"], row["exceedances"]) == (known.sum(), beyond.sum())
        assert row["expected"] == pytest.approx(known.sum() * (1.0 - row["level"]))
        kupiec = exceedances.kupiec(int(beyond.sum()), int(known.sum()), row["level"])
        assert row["kupiec"] == kupiec and row["kupiec_p"] == exceedances.p_value(kupiec, 1)
        assert row["coverage"] == pytest.approx(kupiec + row["independence"])
        if beyond.any():
            assert row["worst"] == pytest.approx((-returns[known] / var[known])[beyond].max())


def test_days_before_the_first_position_are_in_no_forecast():
    """Two hundred days of interest alone, then normal returns: of both a value at risk is half of what it is."""
    rng = np.random.default_rng(8)
    returns = np.append(np.full(200, 1e-4), rng.normal(0.0, 0.01, 800))
    own = np.where(np.arange(1000)[:, None] < 200, [[0.0, 1.0]], [[1.0, 0.0]])
    days, equity = np.datetime64("2000-01-03") + np.arange(1001), 100.0 + 100.0 * np.append(0.0, np.cumsum(returns))
    profit = 100.0 * returns[:, None] * own
    told = Daily(days, equity, np.zeros(1000), profit, profit[:, 1], ("A",), ("metals",), False)
    assert told.begun == 200
    found = forecasts.forecasts(told, (0.99,), ("history",), least=50)
    assert len(found) == 1000 and found["var"].null_count() == found["exceeded"].null_count() == 250
    later = forecasts.forecast(told.returns[200:], "history", 0.99, least=50)
    np.testing.assert_array_equal(found["var"][250:].to_numpy(), later[50:])
    assert forecasts.backtested(found)["exceedances"][0] < 20
    both, own = (forecasts.forecast(some, "gaussian", 0.99, least=50) for some in (returns, returns[200:]))
    assert both[250] < 0.6 * own[50]


def test_of_a_run_too_short_every_test_is_null():
    tested = forecasts.backtested(forecasts.forecasts(analysed.empty()[0]))
    assert tested["days"].to_list() == [0] * 8 and tested["kupiec"].null_count() == 8


def test_a_gaussian_world_keeps_to_gaussian_forecasts_and_one_of_changing_volatility_does_not():
    """4,000 days whose volatility trebles every hundred: filtered history keeps up with it, the others cluster."""
    rng = np.random.default_rng(21)
    calm = rng.normal(size=4000) / 100
    changing = calm * np.where(np.arange(4000) // 100 % 2, 3.0, 1.0)
    days = np.datetime64("2000-01-03") + np.arange(4001)

    def found_of(returns):
        profit = returns[:, None] * [[100.0, 0.0]]
        equity = np.full(len(returns) + 1, 100.0) + np.append(0.0, np.cumsum(profit.sum(axis=1)))
        told = Daily(days, equity, np.zeros(len(returns)), profit, profit[:, 1], ("A",), ("metals",), False)
        return {row["method"]: row for row in forecasts.backtested(forecasts.forecasts(told, (0.95,))).to_dicts()}

    assert min(row["coverage_p"] for row in found_of(calm).values()) > 0.01
    found = found_of(changing)
    assert found["gaussian"]["independence_p"] < 1e-4 and found["history"]["independence_p"] < 1e-4
    assert found["filtered"]["coverage_p"] > 0.01
