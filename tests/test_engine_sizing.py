"""Sizes: the published number of contracts, what stays zero, and who shares the risk."""

import dated_market
import naive
import numpy as np
import param
import pytest
import synthetic_market

from engine.indicators import change, volatility
from engine.sizing import SIZERS, FixedContracts, VolatilityTarget, available_markets, smallest_account
from engine.sizing.fixed import FixedNotional
from engine.sizing.percent import PercentRisk

ONE = np.array([0])
WHOLE = np.array([1.0])


def weights(sizer, market, forecast=None, strategy_weight=None, risk_points=None):
    """One line in each market, all of one strategy, usual long."""
    shape = market.mark.shape
    forecast = np.ones(shape) if forecast is None else forecast
    strategy_weight = np.ones(shape[1]) if strategy_weight is None else strategy_weight
    return sizer.weights(market, forecast, np.arange(shape[1]), strategy_weight, risk_points=risk_points)


def opinions(market, seed=4):
    """Random forecasts that keep their side for weeks, so that some rules earn and others lose."""
    random = np.random.default_rng(seed)
    return np.repeat(random.normal(0, 1, (len(market.mark) // 20 + 1, market.mark.shape[1])), 20, 0)[: len(market.mark)]


def swinging(points, bars=40, level=4500.0, **facts):
    """A market that moves up and down by `points` every day, so that this is its volatility."""
    return dated_market.of(level + points * (np.arange(bars) % 2)[:, None], **facts)


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
    market = dated_market.market(bars=120, markets=3)
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
    market = dated_market.market(markets=5)
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


@pytest.mark.parametrize("rule", SIZERS)
def test_no_opinion_is_no_position(rule):
    market = dated_market.market()
    assert not weights(SIZERS[rule](), market, np.full(market.mark.shape, np.nan)).any()
    assert not weights(SIZERS[rule](), market, np.zeros(market.mark.shape)).any()


@pytest.mark.parametrize("rule", SIZERS)
def test_every_rule_holds_something_and_nothing_where_a_market_is_not_available(rule):
    market = dated_market.together(np.eye(3), bars=700)
    market.available[:200, 1] = False
    market.available[650:, 2] = False
    trend = np.sign(np.roll(change(market.mark), -2, axis=0))  # it knows tomorrow, so that Kelly bets
    size = weights(SIZERS[rule](), market, np.nan_to_num(trend, nan=1.0))
    assert not size[:200, 1].any() and not size[650:, 2].any()
    assert size[620:640].any(axis=0).all()


@pytest.mark.parametrize("rule", sorted(set(SIZERS) - {"kelly", "kelly_portfolio"}))
def test_shorts_mirror_longs(rule):
    market = dated_market.market()
    forecast = opinions(market)
    np.testing.assert_array_equal(
        weights(SIZERS[rule](), market, -forecast), -weights(SIZERS[rule](), market, forecast)
    )


@pytest.mark.parametrize("rule", SIZERS)
def test_the_usual_size_times_the_forecast_is_the_size(rule):
    market = dated_market.market(bars=700)
    forecast = opinions(market)
    lines = np.arange(3), np.full(3, 0.5)
    usual = SIZERS[rule](**({"cap": 5.0} if rule == "kelly" else {})).usual(market, forecast, *lines)
    size = SIZERS[rule](**({"cap": 5.0} if rule == "kelly" else {})).weights(market, forecast, *lines)
    assert np.isfinite(usual).all() and (usual >= 0).all() and usual.any()
    np.testing.assert_allclose(size, usual * forecast, rtol=1e-12, atol=0)


def test_fixed_contracts_are_contracts_times_forecast_whatever_the_weight():
    market = dated_market.market(markets=1)
    forecast = np.linspace(-2, 2, 400)[:, None]
    size = weights(FixedContracts(contracts=3), market, forecast, np.array([0.1]))
    np.testing.assert_array_equal(size, 3 * forecast)
    assert not FixedContracts.per_capital and VolatilityTarget.per_capital


def test_risk_is_shared_among_the_markets_available_on_the_day():
    market = dated_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(4))
    market.available[:50, 1:] = False
    size = weights(VolatilityTarget(span=5), market)
    assert not size[:50, 1:].any()
    np.testing.assert_allclose(size[50:], size[49, 0] / 4, rtol=1e-12)


def test_each_strategy_shares_among_its_own_markets_and_two_lines_in_one_count_once():
    available = np.array([[True, True, False], [True, True, True]])
    instrument, strategy = np.array([0, 1, 2, 0, 0]), np.array([0, 0, 0, 1, 1])
    np.testing.assert_array_equal(available_markets(available, instrument, strategy), [[2, 1], [3, 1]])
    market = dated_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(3))
    size = VolatilityTarget(span=5).weights(market, np.ones((60, 5)), instrument, np.full(5, 0.5), strategy)
    np.testing.assert_allclose(size[-1, 3:], 3 * size[-1, 0], rtol=1e-12)
    np.testing.assert_allclose(size[-1, :3], size[-1, 0], rtol=1e-12)


@pytest.mark.parametrize("rule", SIZERS)
def test_no_lines_have_no_sizes(rule):
    market, none = dated_market.market(), np.empty(0, dtype=np.int64)
    assert SIZERS[rule]().weights(market, np.empty((400, 0)), none, np.empty(0)).shape == (400, 0)


@pytest.mark.parametrize("rule", SIZERS)
def test_inputs_are_not_changed(rule):
    market = dated_market.market()
    forecast = opinions(market)
    kept = {k: v.copy() for k, v in vars(market).items() if isinstance(v, np.ndarray)} | {"forecast": forecast.copy()}
    weights(SIZERS[rule](), market, forecast)
    for name, values in kept.items():
        np.testing.assert_array_equal(forecast if name == "forecast" else getattr(market, name), values)


@pytest.mark.parametrize("rule", SIZERS)
def test_t14_sizes_do_not_know_the_level_of_the_adjusted_price(rule):
    market = dated_market.market()
    forecast = opinions(market)
    shifted = dated_market.of(market.mark, offset=market.offset + 1024.0, available=market.available)
    whole = weights(SIZERS[rule](), market, forecast)
    np.testing.assert_array_equal(weights(SIZERS[rule](), shifted, forecast), whole)


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
    size = weights(VolatilityTarget(span=5), dated_market.of(mark))
    assert size[30, 0] == size[29, 0] > 0
    sigma = volatility(change(mark), 5.0)
    assert sigma[30, 0] == sigma[29, 0]


@pytest.mark.parametrize("rule", SIZERS)
def test_t45_the_future_does_not_reach_back(rule):
    market = dated_market.market()
    forecast = opinions(market)
    whole = weights(SIZERS[rule](), market, forecast)
    for t in (1, 33, 34, 150, 298, 299, 300, 301, 302, 399):  # every day of a week among them
        np.testing.assert_array_equal(
            weights(SIZERS[rule](), synthetic_market.prefix(market, t), forecast[:t]), whole[:t]
        )
        future = dated_market.other_future(market, t)
        np.testing.assert_array_equal(weights(SIZERS[rule](), future, forecast)[:t], whole[:t])


def test_rules_have_docs_and_bounds():
    free = param.Selector | param.Boolean | param.Dict
    for rule in SIZERS.values():
        for key in set(rule.param) - {"name"}:
            assert rule.param[key].doc and (isinstance(rule.param[key], free) or rule.param[key].bounds), key
        assert {"rounding", "buffer"} < set(rule.param)
    with pytest.raises(ValueError, match="target"):
        VolatilityTarget(target=-0.1)


# Money of a position


def test_a_fixed_notional_is_money_over_the_worth_of_a_contract():
    # 100,000 in contracts of 50 · 4,000 = 200,000; in euros of 1.25 they cost 250,000
    market = dated_market.of(np.full((3, 1), 4000.0), multiplier=50.0)
    assert weights(FixedNotional(amount=100_000), market)[-1, 0] == 0.5
    euros = dated_market.of(np.full((3, 1), 4000.0), multiplier=50.0, fx=1.25)
    assert weights(FixedNotional(amount=100_000), euros, -2.0 * np.ones((3, 1)))[-1, 0] == -0.8


def test_a_notional_as_a_share_follows_the_capital_and_the_weight_of_the_strategy():
    market = dated_market.of(np.full((3, 1), 4000.0), multiplier=50.0)
    sizer = FixedNotional(share=2.0)
    assert sizer.per_capital and not FixedNotional().per_capital
    assert 1_000_000 * weights(sizer, market, strategy_weight=np.array([0.25]))[-1, 0] == pytest.approx(2.5, rel=1e-12)


def test_t29_a_notional_is_of_the_price_of_the_contract_not_of_the_adjusted_one():
    market = dated_market.of(np.full((3, 1), 100.0), offset=np.full((3, 1), 900.0))
    assert weights(FixedNotional(amount=1000), market)[-1, 0] == 10.0


def test_t2_a_price_that_is_not_above_zero_has_no_notional():
    market = dated_market.of(np.array([[18.27], [-37.63], [0.0]]), multiplier=1000.0)
    assert weights(FixedNotional(), market)[:, 0].tolist() == [100_000 / 18_270, 0.0, 0.0]


def test_t42_a_notional_keeps_the_last_price_on_a_holiday():
    market = dated_market.of(np.array([[100.0], [np.nan], [50.0]]))
    assert weights(FixedNotional(amount=1000), market)[:, 0].tolist() == [10.0, 10.0, 20.0]


# Percent risk


def test_t26_one_percent_to_a_stop_of_sixty_points_is_three_contracts_and_a_third():
    # DOMAIN T26: 1 % of 1,000,000 over a stop 2 · 30 points away, 50 a point
    market = dated_market.of(np.full((3, 1), 4000.0), multiplier=50.0)
    size = 1_000_000 * weights(PercentRisk(risk=0.01), market, risk_points=np.full((3, 1), 60.0))
    assert size[-1, 0] == pytest.approx(10 / 3, rel=1e-12) and np.trunc(size[-1, 0]) == 3


def test_the_loss_at_the_stop_is_the_budget_whatever_the_market():
    market = dated_market.together(np.eye(3), bars=60)
    market.multiplier[:] = [5.0, 1000.0, 12.5]
    market.fx[:] = [1.0, 1.1, 0.007]
    stop = np.abs(np.random.default_rng(3).normal(20.0, 5.0, market.mark.shape))
    size = weights(PercentRisk(risk=0.02), market, -np.ones(stop.shape), np.full(3, 0.5), stop)
    np.testing.assert_allclose(-size * stop * market.multiplier * market.fx, 0.01, rtol=1e-12)


def test_without_a_stop_some_daily_volatilities_stand_for_it():
    market = swinging(2.0)
    size = weights(PercentRisk(risk=0.01, multiple=3.0), market)
    assert size[-1, 0] == pytest.approx(0.01 / 6.0, rel=1e-12)
    assert not size[:32].any()  # and before they are known nothing is held
    mixed = weights(
        PercentRisk(risk=0.01, multiple=3.0), market, risk_points=np.where(np.arange(40) < 39, 8.0, np.nan)[:, None]
    )
    assert mixed[-2:, 0].tolist() == pytest.approx([0.01 / 8.0, 0.01 / 6.0], rel=1e-12)


def test_a_stop_next_to_the_price_does_not_buy_the_exchange():
    market, close = swinging(2.0), np.full((40, 1), 1e-9)
    assert weights(PercentRisk(risk=0.01, closest=0.5), market, risk_points=close)[-1, 0] == pytest.approx(0.01)
    assert weights(PercentRisk(risk=0.01, closest=0.0), market, risk_points=close)[-1, 0] == pytest.approx(1e7)
    assert weights(PercentRisk(), market, risk_points=-close)[-1, 0] == weights(PercentRisk(), market)[-1, 0]


# Weights of instruments


def test_instrument_weights_share_the_risk_among_the_available():
    market = dated_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(3))
    market.available[:50, 2] = False
    even = weights(VolatilityTarget(span=5), market)[-1, 0] * 3
    size = weights(VolatilityTarget(span=5, instrument_weights={"M0": 2, "M2": 5}), market) / even
    np.testing.assert_allclose(size[40], [2 / 3, 1 / 3, 0.0], rtol=1e-12)
    np.testing.assert_allclose(size[-1], [2 / 8, 1 / 8, 5 / 8], rtol=1e-12)


def test_instrument_weights_of_a_column_go_before_those_of_its_root():
    market = dated_market.of(4500.0 + 2.0 * (np.arange(60) % 2)[:, None] * np.ones(3))
    market.roots, market.names = ("CL", "CL", "ZN"), ("CL", "CL.c.3", "ZN")
    size = weights(VolatilityTarget(span=5, instrument_weights={"CL": 2.0, "CL.c.3": 1.0}), market)[-1]
    np.testing.assert_allclose(size / size.sum(), [0.5, 0.25, 0.25], rtol=1e-12)
    none = weights(VolatilityTarget(span=5, instrument_weights={"CL": 0, "ZN": 0}), market)
    assert not none.any()


def test_instrument_weights_that_cannot_be_are_refused_and_equal_ones_are_equal_texts():
    for wrong in ({"ES": -1}, {"ES": float("nan")}, {"ES": "1"}, {"": 1}, {"ES": True}, [1]):
        with pytest.raises(ValueError, match="weight"):
            VolatilityTarget(instrument_weights=wrong)
    made = VolatilityTarget(instrument_weights={"ZN": 1, "ES": 2})
    assert repr(made.instrument_weights) == "{'ES': 2.0, 'ZN': 1.0}"


# The smallest account


def test_the_smallest_account_holds_one_contract():
    # DOMAIN 2.9 backwards: 5 · 4,500 · 16 % = 3,600 a year at 20 % takes 18,000
    market = swinging(0.16 * 4500.0 / np.sqrt(252.0), multiplier=5.0)
    needed = smallest_account(VolatilityTarget(target=0.20), market, np.ones((40, 1)), ONE, WHOLE)
    assert needed == pytest.approx([18_000.0], rel=1e-12)


def test_the_smallest_account_is_told_by_market_and_unknown_where_sizes_are_not_of_capital():
    market = swinging(2.0, bars=60)
    market = dated_market.of(np.column_stack([market.mark[:, 0]] * 3))
    market.available[-1, 1] = False
    lines = np.ones((60, 3)), np.array([0, 1, 0]), np.array([0.5, 0.5, 0.25]), np.array([0, 0, 1])
    needed = smallest_account(VolatilityTarget(), market, *lines)
    assert (
        needed[0] == pytest.approx(2.0 * np.sqrt(252.0) / (0.20 * 0.5)) and needed[1] == np.inf and np.isnan(needed[2])
    )
    assert np.isnan(smallest_account(FixedContracts(), market, *lines)).all()
