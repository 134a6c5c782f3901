"""Volatility-regime overlays and blends: cases worked by hand and slow twins. Their laws: test_engine_strategies_b."""

import math

import numpy as np
import pytest
import strategy_market

from engine.indicators import change, volatility
from engine.inner import Overlay
from engine.settings import ConfigError
from engine.strategies import STRATEGIES
from engine.strategies.blend import Blend, Vote, diversification
from engine.strategies.regime import (
    DrawdownBrake,
    QuietOnly,
    TrendFilter,
    VolatilityManaged,
    VolatilityRegime,
    drawdown,
    place,
    settling,
)
from engine.strategies.reversion import BollingerReversal
from engine.strategies.trend import Ewmac, MovingAverageCross
from engine.strategy import StrategyError

EWMAC = {"name": "ewmac", "params": {"fast": 4, "speeds": 1}}
CROSS = {"name": "moving_average_cross", "params": {"fast": 5, "slow": 20}}
ENTERS = {"name": "bollinger_reversal", "params": {"width": 1.0}}


@pytest.fixture(autouse=True)
def list_as_it_was():
    before = dict(STRATEGIES)
    STRATEGIES.update(trend_filter=TrendFilter)
    yield
    STRATEGIES.clear()
    STRATEGIES.update(before)


def lines(price):
    """A market whose bars are one price each."""
    return strategy_market.of(np.asarray(price, dtype=np.float64)[:, None])


def walk(bars=400, seed=3, markets=1):
    return strategy_market.of(100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 1.0, (bars, markets)), axis=0))


# Regime


def test_places_are_those_of_the_past_alone():
    values = np.random.default_rng(4).integers(0, 40, (500, 2)).astype(float)
    values[np.random.default_rng(5).random(values.shape) < 0.1] = np.nan
    ours = place(values, 20)
    for m in range(2):
        past, last = [], math.nan
        for t, value in enumerate(values[:, m]):
            if not math.isnan(value):
                if len(past) >= 20:
                    last = sum(1.0 if old < value else 0.5 if old == value else 0.0 for old in past) / len(past)
                past.append(value)
            assert ours[t, m] == last or (math.isnan(ours[t, m]) and math.isnan(last))


def test_the_wildest_market_of_all_time_is_scaled_to_the_least_and_the_quietest_to_the_most():
    moves = np.concatenate([np.tile([1.0, -1.0], 200), np.tile([9.0, -9.0], 40), np.tile([0.1, -0.1], 200)])
    market = lines(1000.0 + np.cumsum(moves))
    strategy = VolatilityRegime(span=5.0, least=100, smooth=1.0)
    scale = strategy.scale(market, np.ones(market.mark.shape))[:, 0]
    assert (scale[:100] == 1.0).all()
    assert scale[401] == 0.5  # a new high
    assert scale[480:].max() == 2.0  # a new low
    assert ((scale >= 0.5) & (scale <= 2.0)).all()


def test_the_scale_of_a_regime_is_carvers():
    """Strategy thirteen: 2 - 1.5 Q, smoothed by an exponential average of span 10."""
    market = walk(700)
    sigma = volatility(change(market.adjusted), 36.0)[:, 0]
    ratios, scales = [], []
    for t in range(36, 700):
        ratios.append(sigma[t] / np.mean(sigma[36 : t + 1]))
        below = sum(1.0 if old < ratios[-1] else 0.5 if old == ratios[-1] else 0.0 for old in ratios[:-1])
        if len(ratios) > 252:
            multiplier = 2.0 - 1.5 * below / (len(ratios) - 1)
            scales.append(multiplier if not scales else scales[-1] + 2 / 11 * (multiplier - scales[-1]))
    ours = VolatilityRegime().scale(market, np.ones(market.mark.shape))[:, 0]
    np.testing.assert_allclose(ours[-len(scales) :], scales, rtol=1e-9)
    assert (ours[: -len(scales)] == 1.0).all()


def test_twice_the_volatility_leaves_a_quarter_of_a_managed_forecast():
    """Variance 1 for a year and then 4: 1/4 at once, if the usual variance is slow."""
    moves = np.concatenate([np.tile([1.0, -1.0], 126), np.tile([2.0, -2.0], 126)])
    market = lines(1000.0 + np.cumsum(moves))
    ones = np.ones(market.mark.shape)
    quick_one = VolatilityManaged(span=2.0, slow=20000)
    assert quick_one.scale(market, ones)[200, 0] == pytest.approx(1.0)
    assert quick_one.scale(market, ones)[258, 0] == pytest.approx(0.25, rel=0.1)
    assert VolatilityManaged(span=2.0, slow=20000, power=1.0).scale(market, ones)[258, 0] == pytest.approx(0.5, rel=0.1)
    back = lines(1000.0 + np.cumsum(moves[::-1]))
    assert VolatilityManaged(span=2.0, slow=20000, most=1.5).scale(back, ones)[-1, 0] == 1.5


def test_settling_is_the_mean_until_it_is_a_memory():
    values = np.random.default_rng(1).normal(5.0, 1.0, (50, 1))
    ours, mean = settling(values, 20), None
    np.testing.assert_allclose(ours[:20, 0], [values[: t + 1].mean() for t in range(20)])
    mean = ours[19, 0]
    for t in range(20, 50):
        mean += (values[t, 0] - mean) / 20
        assert ours[t, 0] == pytest.approx(mean)


def test_only_quiet_markets_are_traded_and_a_small_step_back_is_not_quiet():
    moves = np.concatenate([np.tile([1.0, -1.0], 100) * (1 + np.arange(200) % 7), np.tile([30.0, -30.0], 20)])
    moves = np.concatenate([moves, np.tile([0.1, -0.1], 60)])
    market = lines(1000.0 + np.cumsum(moves))
    scale = QuietOnly(span=5.0, least=50).scale(market, np.ones(market.mark.shape))[:, 0]
    assert (scale[:55] == 1.0).all() and not scale[202:240].any() and (scale[-60:] == 1.0).all()
    with pytest.raises(StrategyError, match=r"quiet_only: back = 0\.9; allowed: at most leave = 0\.8"):
        QuietOnly(back=0.9).forecast(market)


def test_what_goes_against_the_long_trend_is_left_out_or_cut():
    rise = np.concatenate([100.0 + np.arange(300.0), 400.0 - 3.0 * np.arange(20.0)])  # falls, still above its average
    inner = {"name": "moving_average_cross", "params": {"fast": 2, "slow": 10}}
    plain = MovingAverageCross(fast=2, slow=10).forecast(lines(rise))
    assert plain[-1, 0] == -1.0
    assert TrendFilter(inner=inner).forecast(lines(rise))[-1, 0] == 0.0
    assert TrendFilter(inner=inner, against=0.25).forecast(lines(rise))[-1, 0] == -0.25
    np.testing.assert_array_equal(TrendFilter(inner=inner).forecast(lines(rise))[:280], plain[:280])


def test_half_the_loss_leaves_half_of_the_forecast():
    """A long in daily moves of one volatility: down by 6 of the 12 at which nothing is left."""
    forecast, moves, sigma = np.ones((9, 1)), np.array([[np.nan], *[[2.0]] * 2, *[[-4.0]] * 3, *[[4.0]] * 3]), 2.0
    lost = drawdown(forecast, moves, np.full((9, 1), sigma))
    assert lost.ravel().tolist() == [0, 0, 0, 2, 4, 6, 4, 2, 0]
    walk_ = walk(300, seed=9)
    strategy = DrawdownBrake(inner=CROSS, most=12.0 / math.sqrt(252.0))
    held = MovingAverageCross(fast=5, slow=20).forecast(walk_)
    earned = best = 0.0
    volatilities = volatility(change(walk_.adjusted), 36.0)
    for t in range(37, 300):
        earned += held[t - 1, 0] * (walk_.adjusted[t, 0] - walk_.adjusted[t - 1, 0]) / volatilities[t - 1, 0]
        best = max(best, earned)
        wanted = held[t, 0] * max(0.0, 1.0 - (best - earned) / 12.0)
        assert strategy.forecast(walk_)[t, 0] == pytest.approx(wanted, abs=1e-12) if t % 20 == 0 else True


def test_an_overlay_keeps_the_orders_of_what_it_holds():
    market = strategy_market.market(bars=600)
    made = QuietOnly(inner=ENTERS, span=10.0, least=50).decision(market)
    plain = BollingerReversal(width=1.0).decision(market)
    scale = QuietOnly(span=10.0, least=50).scale(market, plain.forecast)
    np.testing.assert_array_equal(made.signals.stop, plain.signals.stop)
    np.testing.assert_array_equal(made.signals.hold, plain.signals.hold)
    assert not made.resize and not made.contracts
    assert not made.signals.entry[(scale == 0.0) & ~np.isnan(made.signals.entry)].any()
    assert made.signals.exit[scale == 0.0].all() and not made.forecast[scale == 0.0].any()
    assert plain.forecast[scale == 0.0].any() and made.forecast.any()


def test_a_position_that_was_entered_by_half_stays_half():
    """An entry is sized when it enters: what the scale does later is for the next one."""

    class Halves(Overlay):
        def scale(self, market, forecast):
            return np.where(np.arange(len(forecast)) < 100, 0.5, 1.0)[:, None] * np.ones(forecast.shape)

    market = strategy_market.market(bars=200, markets=1)
    sizes = np.abs(Halves(inner=ENTERS).decision(market).forecast)[:, 0]
    assert set(sizes[:100]) == {0.0, 0.5} and set(sizes) == {0.0, 0.5, 1.0}


def test_overlays_of_overlays_multiply():
    market = walk(500)
    nested = {"name": "moving_average_cross", "params": {"fast": 5, "slow": 20}}
    inner = TrendFilter(inner=nested, against=0.5)
    outer = DrawdownBrake(inner={"name": "trend_filter", "params": {"inner": nested, "against": 0.5}})
    scale = outer.scale(market, inner.forecast(market))
    np.testing.assert_array_equal(outer.forecast(market), inner.forecast(market) * scale)


# Blend


def test_a_blend_is_the_weighted_mean_of_its_parts_capped():
    market = walk(500, markets=2)
    blend = Blend(parts=[EWMAC | {"weight": 3.0}, CROSS | {"weight": 1.0}], diversification=1.2, cap=1.5)
    one = Ewmac(fast=4, speeds=1).forecast(market)
    other = MovingAverageCross(fast=5, slow=20).forecast(market)
    wanted = np.clip(1.2 * (0.75 * one + 0.25 * other), -1.5, 1.5)
    np.testing.assert_allclose(blend.forecast(market), wanted, rtol=1e-12)
    assert blend.weights().tolist() == [0.75, 0.25]
    np.testing.assert_array_equal(Blend(parts=[CROSS]).forecast(market), other)


def test_causal_diversification_is_that_of_plain_python_and_lags_a_bar():
    random = np.random.default_rng(6)
    opinions = random.normal(0.0, 1.0, (3, 200, 2))
    opinions[2] = -opinions[0] + 0.1 * opinions[2]  # against each other: counted as 0, not as less
    spoken, weights = random.random((200, 2)) < 0.9, np.array([0.5, 0.3, 0.2])
    ours = diversification(opinions, spoken, weights, 50, 2.5)
    for t in range(200):
        flat = [opinions[k, :t][spoken[:t]] for k in range(3)]
        if len(flat[0]) < 50:
            assert ours[t] == 1.0
            continue
        total = sum(
            weights[j] * weights[k] * max(0.0, flat[j] @ flat[k] / math.sqrt((flat[j] @ flat[j]) * (flat[k] @ flat[k])))
            for j in range(3) for k in range(3)
        )  # fmt: skip
        assert ours[t] == pytest.approx(min(2.5, 1.0 / math.sqrt(total)), rel=1e-12)


def test_twice_the_same_part_needs_no_multiplier():
    market = walk(900)
    twice = Blend(parts=[EWMAC, EWMAC], causal=True, least=100)
    np.testing.assert_allclose(twice.forecast(market), Ewmac(fast=4, speeds=1).forecast(market), rtol=1e-12)
    assert np.isfinite(Blend(parts=[EWMAC, {"name": "carry"}], causal=True, least=100).forecast(market)).all()


def test_a_vote_needs_its_share_of_the_weights():
    market = walk(500)
    sides = [np.sign(MovingAverageCross(fast=fast, slow=40).forecast(market)) for fast in (5, 10, 20)]
    parts = [{"name": "moving_average_cross", "params": {"fast": fast, "slow": 40}} for fast in (5, 10, 20)]
    most, every = Vote(parts=parts, share=0.3).forecast(market), Vote(parts=parts, share=1.0).forecast(market)
    total = sides[0] + sides[1] + sides[2]
    np.testing.assert_array_equal(every, np.where(np.abs(total) == 3.0, np.sign(total), 0.0))
    np.testing.assert_array_equal(most, np.where(np.abs(total) >= 1.0, np.sign(total), 0.0))
    assert (every != most).any()


def test_a_part_with_stops_is_refused_where_it_would_lose_them():
    with pytest.raises(StrategyError, match="blend: bollinger_reversal asks for contracts, or for stops and limits"):
        Blend(parts=[EWMAC, ENTERS]).forecast(walk())
    fine = {"name": "rsi_reversal"}  # enters and leaves at the market
    assert Blend(parts=[EWMAC, fine]).forecast(walk()).any()


def test_what_is_called_bar_by_bar_cannot_be_held():
    for made in (lambda: TrendFilter(inner={"name": "turtle_units"}), lambda: Blend(parts=[{"name": "turtle_units"}])):
        with pytest.raises(ConfigError, match=r"inner strategy turtle_units returns no forecast or signals"):
            made()
