"""Sizes: the published number of contracts, what stays zero, and who shares the risk."""

import naive
import numpy as np
import pytest
import synthetic_market

from engine.indicators import change, volatility
from engine.sizing import SIZERS, FixedContracts, VolatilityTarget, available_markets

ONE = np.array([0])
WHOLE = np.array([1.0])


def weights(sizer, market, forecast=None, strategy_weight=None):
    """One line in each market, all of one strategy, usual long."""
    shape = market.mark.shape
    forecast = np.ones(shape) if forecast is None else forecast
    strategy_weight = np.ones(shape[1]) if strategy_weight is None else strategy_weight
    return sizer.weights(market, forecast, np.arange(shape[1]), strategy_weight)


def swinging(points, bars=40, level=4500.0, **facts):
    """A market that moves up and down by `points` every day, so that this is its volatility."""
    return synthetic_market.of(level + points * (np.arange(bars) % 2)[:, None], **facts)


def test_the_published_number_of_contracts():
    # DOMAIN 2.9: 100,000 at 20 % in a micro S&P of 5 dollars a point at 4,500 that swings by 16 % a year
    daily = 0.16 * 4500.0 / np.sqrt(252.0)
    size = weights(VolatilityTarget(target=0.20), swinging(daily, multiplier=5.0))
    assert 100_000 * size[-1, 0] == pytest.approx(100_000 * 0.20 / (5 * 4500 * 0.16), rel=1e-12)
    assert round(100_000 * size[-1, 0], 4) == 5.5556


def test_the_published_number_of_contracts_in_a_foreign_market():
    # DOMAIN 2.9: 1,000,000 · 20 % · weight 5 % / (1,000 · 132 · 6 % · 1.08) = 1.16910
    market = swinging(0.06 * 132.0 / np.sqrt(252.0), level=132.0, multiplier=1000.0, fx=1.08)
    size = weights(VolatilityTarget(target=0.20), market, strategy_weight=np.array([0.05]))
    assert round(1_000_000 * size[-1, 0], 5) == 1.16910


def test_sizes_equal_those_of_plain_python():
    market = synthetic_market.market(bars=120, markets=3)
    market.multiplier[:] = [5.0, 50.0, 1000.0]
    market.fx[:] = [1.0, 1.08, 0.0067]
    forecast = np.random.default_rng(4).normal(0, 1, market.mark.shape)
    forecast[::7] = np.nan
    ours = weights(VolatilityTarget(target=0.25, span=10, diversification=1.5), market, forecast, np.full(3, 0.5))
    for m in range(3):
        sigma = naive.volatility(naive.change(market.adjusted[:, m].tolist()), 10.0)
        known = np.cumsum(~np.isnan(change(market.adjusted)[:, m])) >= 10
        for t in np.flatnonzero(known & market.available[:, m]):
            risk = 0.25 * 1.5 * 0.5 / market.available[t].sum()
            facts = market.multiplier[t, m], market.fx[t, m]
            twin = naive.contracts_per_capital(forecast[t, m], risk, sigma[t], *facts)
            assert ours[t, m] == pytest.approx(twin, rel=1e-12, abs=0)


def test_no_size_before_the_volatility_has_seen_span_changes():
    size = weights(VolatilityTarget(span=10), swinging(2.0))
    np.testing.assert_array_equal(size[:10], 0.0)  # bar 0 has no change; bar 10 has the tenth
    assert (size[10:] > 0).all()


@pytest.mark.parametrize("rule", SIZERS)
def test_sizes_are_always_finite(rule):
    market = synthetic_market.market(markets=5)
    market.fx[:, 0] = np.nan
    market.fx[50:60, 1] = 0.0
    market.mark[:, 2] = market.adjusted[:, 2] = 100.0  # never moves
    market.multiplier[:, 3] = np.nan
    market.adjusted[100:, 4] = 100.0 + 1e-300 * np.arange(300)
    forecast = np.random.default_rng(4).normal(0, 1, market.mark.shape)
    forecast[3], forecast[90], forecast[91] = np.nan, np.inf, -np.inf
    size = weights(SIZERS[rule](), market, forecast)
    assert np.isfinite(size).all() and size.dtype == np.float64 and size.flags.c_contiguous
    assert not size[[3, 90, 91]].any()


def test_a_market_that_does_not_move_or_has_no_rate_is_not_traded():
    assert not weights(VolatilityTarget(), swinging(0.0)).any()
    assert not weights(VolatilityTarget(), swinging(2.0, fx=np.nan)).any()


def test_no_opinion_is_no_position():
    market = synthetic_market.market()
    for sizer in (VolatilityTarget(), FixedContracts(contracts=3)):
        assert not weights(sizer, market, np.full(market.mark.shape, np.nan)).any()
        assert not weights(sizer, market, np.zeros(market.mark.shape)).any()


def test_shorts_mirror_longs():
    market = synthetic_market.market()
    forecast = np.random.default_rng(4).normal(0, 1, market.mark.shape)
    for sizer in (VolatilityTarget(), FixedContracts(contracts=3)):
        np.testing.assert_array_equal(weights(sizer, market, -forecast), -weights(sizer, market, forecast))


def test_fixed_contracts_are_contracts_times_forecast_whatever_the_weight():
    market = synthetic_market.market(markets=1)
    forecast = np.linspace(-2, 2, 400)[:, None]
    size = weights(FixedContracts(contracts=3), market, forecast, np.array([0.1]))
    np.testing.assert_array_equal(size, 3 * forecast)
    assert not FixedContracts.per_capital and VolatilityTarget.per_capital


def test_risk_is_shared_among_the_markets_available_on_the_day():
    market = synthetic_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(4))
    market.available[:50, 1:] = False
    size = weights(VolatilityTarget(span=5), market)
    assert not size[:50, 1:].any()
    np.testing.assert_allclose(size[50:], size[49, 0] / 4, rtol=1e-12)


def test_each_strategy_shares_among_its_own_markets_and_two_lines_in_one_count_once():
    available = np.array([[True, True, False], [True, True, True]])
    instrument, strategy = np.array([0, 1, 2, 0, 0]), np.array([0, 0, 0, 1, 1])
    np.testing.assert_array_equal(available_markets(available, instrument, strategy), [[2, 1], [3, 1]])
    market = synthetic_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(3))
    size = VolatilityTarget(span=5).weights(market, np.ones((60, 5)), instrument, np.full(5, 0.5), strategy)
    np.testing.assert_allclose(size[-1, 3:], 3 * size[-1, 0], rtol=1e-12)
    np.testing.assert_allclose(size[-1, :3], size[-1, 0], rtol=1e-12)


def test_no_lines_have_no_sizes():
    market, none = synthetic_market.market(), np.empty(0, dtype=np.int64)
    for sizer in (VolatilityTarget(), FixedContracts()):
        assert sizer.weights(market, np.empty((400, 0)), none, np.empty(0)).shape == (400, 0)


def test_t14_sizes_do_not_know_the_level_of_the_adjusted_price():
    market = synthetic_market.market()
    shifted = synthetic_market.of(market.mark, market.offset + 1024.0, market.available)
    np.testing.assert_array_equal(weights(VolatilityTarget(), shifted), weights(VolatilityTarget(), market))


def test_t26_a_share_of_a_contract_is_cut_toward_zero():
    # 1 % of 1,000,000 at risk, 2 · 30 points of 50 dollars: 3.33 contracts are 3, short as long
    size = 0.01 * 1_000_000 / (2 * 30 * 50)
    assert round(size, 2) == 3.33
    assert np.trunc(size) == 3 and np.trunc(-size) == -3
    # A size is left uncut by the rule: limits come first, and the simulation cuts once, after them.
    market = swinging(2.0)
    assert weights(FixedContracts(contracts=1), market, np.full(market.mark.shape, 0.7))[-1, 0] == 0.7


def test_t42_a_holiday_keeps_the_size():
    mark = 4500.0 + 2.0 * (np.arange(60) % 2)[:, None]
    mark[30] = np.nan
    size = weights(VolatilityTarget(span=5), synthetic_market.of(mark))
    assert size[30, 0] == size[29, 0] > 0
    sigma = volatility(change(mark), 5.0)
    assert sigma[30, 0] == sigma[29, 0]


@pytest.mark.parametrize("rule", SIZERS)
def test_t45_the_future_does_not_reach_back(rule):
    market = synthetic_market.market()
    forecast = np.random.default_rng(4).normal(0, 1, market.mark.shape)
    whole = weights(SIZERS[rule](), market, forecast)
    for t in (1, 33, 34, 150, 399):
        np.testing.assert_array_equal(
            weights(SIZERS[rule](), synthetic_market.prefix(market, t), forecast[:t]), whole[:t]
        )
        future = synthetic_market.other_future(market, t)
        np.testing.assert_array_equal(weights(SIZERS[rule](), future, forecast)[:t], whole[:t])


def test_rules_have_docs_and_bounds():
    for rule in SIZERS.values():
        for key in set(rule.param) - {"name"}:
            assert rule.param[key].doc and rule.param[key].bounds, key
    with pytest.raises(ValueError, match="target"):
        VolatilityTarget(target=-0.1)
