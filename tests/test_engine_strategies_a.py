"""Trend, carry and mean reversion: signals worked by hand, and the laws that each strategy keeps."""

import numpy as np
import pytest
import strategy_market

from engine.book import STOP
from engine.indicators import change, latest, volatility
from engine.strategies.carry import Carry, CarryRank, CarryTrend, carry
from engine.strategies.reversion import BollingerReversal, RsiReversal, ShortTermReversal, crossed
from engine.strategies.trend import Breakout, Ewmac, TimeSeriesMomentum, TurtleUnits

NAN = float("nan")


def lines(*columns):
    """A market whose bars are one price each, column by column."""
    return strategy_market.of(np.array(columns, dtype=np.float64).T)


# Trend


def test_scalars_of_the_crossovers_are_those_of_the_book():
    """Systematic Trading, appendix B: 10.6, 7.5, 5.3, 3.75, 2.65, 1.87 for spans of 2 to 64, where 10 is the usual."""
    market = strategy_market.of(100.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 1.0, (400, 1)), axis=0))
    price = market.adjusted[:, 0]
    for span, scalar in ((2, 10.6), (4, 7.5), (8, 5.3), (16, 3.75), (32, 2.65), (64, 1.87)):
        quick, slow = (float(plain_average(price, n)) for n in (span, 4 * span))
        sigma = volatility(change(market.adjusted), 36.0)[-1, 0]
        wanted = max(-2.0, min(2.0, scalar / 10.0 * (quick - slow) / sigma))
        ours = Ewmac(fast=span, speeds=1, diversification=1.0).forecast(market)[-1, 0]
        assert ours == pytest.approx(wanted, rel=3e-3)


def plain_average(price, span):
    average = price[0]
    for p in price[1:]:
        average += 2.0 / (span + 1.0) * (p - average)
    return average


def test_crossovers_are_capped_one_by_one_and_together():
    market = lines(100.0 + np.arange(400.0), 400.0 - np.arange(400.0))
    assert Ewmac(diversification=5.0).forecast(market)[-1].tolist() == [2.0, -2.0]
    assert Ewmac(diversification=0.5).forecast(market)[-1].tolist() == [1.0, -1.0]  # each stands at its cap of 2
    assert not Ewmac().forecast(market)[:255].any()


def test_a_market_that_does_not_move_has_no_forecast():
    market = lines(np.full(400, 100.0), np.full(400, 0.0))
    for kind in (Ewmac, TimeSeriesMomentum, Carry, TurtleUnits, BollingerReversal, RsiReversal, ShortTermReversal):
        assert not kind().forecast(market).any(), kind


def test_momentum_is_the_mean_of_the_last_days_signs():
    market = lines([0.0, 1.0, 2.0, 3.0, 1.0, 0.0, -1.0])
    assert TimeSeriesMomentum(lookback=2, hold=1).forecast(market).ravel().tolist() == [0, 0, 1, 1, -1, -1, -1]
    assert TimeSeriesMomentum(lookback=2, hold=2).forecast(market).ravel().tolist() == [0, 0, 0.5, 1, 0, -1, -1]


def test_t2_momentum_of_a_price_below_zero_is_a_gain_when_it_rises():
    assert TimeSeriesMomentum(lookback=1, hold=1).forecast(lines([-4.0, -2.0])).ravel().tolist() == [0.0, 1.0]


def breakout():
    return Breakout(entry=4, exit=2, stop=2.0, range=2, fast=2.0, slow=6.0)


def test_a_breakout_rests_a_tick_above_the_channel_and_is_protected_at_once():
    rise = 100.0 + np.arange(12.0)
    market = strategy_market.of(rise[:, None], high=rise[:, None] + 0.5, low=rise[:, None] - 0.5)
    made = breakout().signals(market)
    assert made.kind[9, 0] == STOP and made.entry[9, 0] == 1.0
    assert made.price[9, 0] == 109.5 + 0.25  # the highest of four bars, and a tick
    assert made.stop_at[9, 0] == 107.5 - 0.25  # the lowest of two bars, less a tick
    assert made.stop[9, 0] == 2 * 1.5  # a bar reaches from the close before to its high
    assert made.renew.all() and not made.day.any()
    assert not made.entry[:6].any()  # six bars, and that on which the trend is first known


def test_on_the_bar_on_which_the_trend_turns_a_breakout_leaves_and_rests_no_order():
    price = np.concatenate([100.0 + np.arange(12.0), 111.0 - 3.0 * np.arange(12.0)])
    made = breakout().signals(lines(price))
    turn = int(np.flatnonzero(made.entry[:, 0] == -1.0)[0]) - 1
    assert made.exit[turn, 0] and made.entry[turn, 0] == 0.0 and np.isnan(made.stop_at[turn, 0])
    side, episode = made.latched()
    assert side[turn - 1 : turn + 2, 0].tolist() == [1.0, 0.0, -1.0]
    assert (np.diff(episode[turn + 1 :, 0]) == 1).all()  # each day's order is a new one


def test_entry_orders_of_a_breakout_never_lie_on_the_wrong_side_of_the_market():
    market = strategy_market.market(bars=900)
    made = Breakout().signals(market)
    asked = np.nan_to_num(made.entry) != 0.0
    side, price = made.entry[asked], latest(market.adjusted)[asked]
    assert asked.sum() > 500
    assert (side * (made.price[asked] - price) > 0).all() and (side * (price - made.stop_at[asked]) > 0).all()


def test_a_turtle_adds_a_unit_each_time_the_price_has_gone_a_step_further():
    """Steps of one point, a volatility of one: with a step of 1.5 a unit is added on every second bar."""
    strategy = TurtleUnits(fast=2.0, slow=4.0, units=4, step=1.5)
    forecast = strategy.forecast(lines(100.0 + np.arange(12.0)))
    assert forecast.ravel().tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1]


def ask(strategy, market, position, equity):
    """Call a program bar by bar with given positions and equity."""
    out, memory, forecast = [], np.zeros((1, 16)), np.zeros(1)
    for t, value in enumerate(equity):
        strategy.decide(
            t, np.array([0]), market.adjusted, market.mark, np.array([position]), value, strategy.numbers(), memory,
            forecast,
        )  # fmt: skip
        out.append(forecast[0])
    return out


def test_a_unit_of_a_turtle_that_was_not_filled_is_followed_by_no_other():
    market, strategy = lines(100.0 + np.arange(12.0)), TurtleUnits(fast=2.0, slow=4.0, step=1.5)
    assert ask(strategy, market, 0.0, [1.0] * 12)[3:] == [0.25] * 9
    assert ask(strategy, market, 3.0, [1.0] * 12)[-1] == 1.0


def test_a_turtle_holds_a_fifth_less_for_each_tenth_lost():
    market, strategy = lines(100.0 + np.arange(6.0)), TurtleUnits(fast=2.0, slow=2.0001, units=1)
    held = ask(strategy, market, 1.0, [100.0, 100.0, 100.0, 90.0, 80.0, 100.0])
    assert held[2:] == pytest.approx([1.0, 0.8, 0.64, 1.0])


# Carry


def test_carry_is_what_the_roll_pays_a_year_over_the_volatility_of_a_year():
    """100 against 98.75, 91.25 days apart: 5 points a year; moves of one point a day are 15.87 a year."""
    mark = 100.0 + (np.arange(60.0) % 2.0)[:, None]
    market = strategy_market.of(mark, next_mark=mark - 1.25, next_days=91.25)
    assert carry(market, 10.0, 1.0)[-1, 0] == pytest.approx(5.0 / np.sqrt(252.0))
    assert Carry(span=10.0, smooth=1.0).forecast(market)[-1, 0] == pytest.approx(3.0 * 5.0 / np.sqrt(252.0))
    assert np.isnan(carry(market, 10.0, 1.0)[:10]).all() and not Carry(span=10.0).forecast(market)[:10].any()


def test_t2_carry_of_a_price_below_zero_has_the_right_sign():
    """CL at -37.63, the next month at 20.43: the roll costs a long, whatever the sign of a ratio."""
    mark = -37.63 + (np.arange(60.0) % 2.0)[:, None]
    market = strategy_market.of(mark, next_mark=mark + 58.06, next_days=30.0)
    assert Carry().forecast(market)[-1, 0] == -2.0


def test_carry_waits_over_bars_on_which_a_price_is_missing():
    mark = 100.0 + (np.arange(60.0) % 2.0)[:, None]
    ahead = mark - 1.25
    ahead[40:] = NAN
    forecast = Carry(span=10.0, smooth=1.0).forecast(strategy_market.of(mark, next_mark=ahead))
    assert (forecast[40:] == forecast[39]).all() and forecast[39, 0] > 0.0


def test_ranks_of_carry_sum_to_nothing_over_the_markets_that_can_be_traded():
    market = strategy_market.market(bars=400)
    forecast = CarryRank().forecast(market)
    np.testing.assert_allclose(forecast.sum(axis=1), 0.0, atol=1e-12)
    assert not forecast[:100, 1].any()  # it has not begun
    np.testing.assert_allclose(np.abs(forecast[200:]).mean(axis=1), 1.0)
    best = np.argmax(carry(market, 36.0, 90.0)[-1])
    assert forecast[-1, best] == 1.5


def test_ranks_within_sectors_sum_to_nothing_in_each():
    market = strategy_market.market(bars=400)  # sectors A, B, A, B
    forecast = CarryRank(by_sector=True).forecast(market)[-1]
    assert sorted(forecast[[0, 2]]) == [-1.0, 1.0] and sorted(forecast[[1, 3]]) == [-1.0, 1.0]


def test_carry_is_held_only_where_the_trend_agrees():
    rise = 100.0 + np.arange(300.0) + (np.arange(300.0) % 2.0)
    market = strategy_market.of(np.column_stack([rise, rise]), next_mark=np.column_stack([rise - 9.0, rise + 9.0]))
    forecast = CarryTrend(lookback=100).forecast(market)
    assert forecast[-1, 0] > 0.0 and forecast[-1, 1] == 0.0
    assert not forecast[:100].any()
    np.testing.assert_array_equal(forecast[100:, 0], Carry().forecast(market)[100:, 0])


# Mean reversion


def test_a_fall_below_the_band_is_bought_and_left_at_the_mean():
    price = np.array([100.0, 101.0] * 10 + [90.0, 89.0, 95.0, 100.0, 101.0, 101.0])
    made = BollingerReversal(length=20, width=2.0, stop=3.0, range=2, hold=7).signals(lines(price))
    side, episode = made.latched()
    assert side[18:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert episode[-1, 0] == 1 and (made.hold == 7).all()
    assert made.stop[20, 0] == 3.0 * (1.0 + 11.0) / 2.0  # ranges of 1 until then, and the fall from 101 to 90


def test_after_a_stop_a_band_is_not_entered_again_before_the_price_was_inside():
    price = np.array([100.0, 101.0] * 10 + [80.0, 60.0, 40.0])  # outside on three bars: one wish
    _, episode = BollingerReversal(length=20, width=1.5).signals(lines(price)).latched()
    assert episode[-3:, 0].tolist() == [1, 1, 1]


def test_a_sharp_fall_is_bought_in_a_rising_market_only():
    rise = 100.0 + np.arange(60.0)
    rise[50:] -= 4.0 * np.array([1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    falling = 400.0 - rise
    made = RsiReversal(trend=30).signals(lines(rise, falling))
    held = made.latched()[0]  # the index of falls of 3, 3, 3: 25, 10, 4.5
    assert held[51].tolist() == [0.0, 0.0] and held[52].tolist() == [1.0, -1.0] and held[-1].tolist() == [0.0, 0.0]
    assert not made.ordered().any() and RsiReversal(stop=2.0).signals(lines(rise)).ordered().all()


def test_last_weeks_losers_are_bought_and_its_winners_sold():
    flat = 100.0 + (np.arange(80.0) % 2.0)
    up, down = flat.copy(), flat.copy()
    up[-1], down[-1] = 104.0, 96.0
    strategy = ShortTermReversal(hold=1)
    assert strategy.forecast(lines(up, flat, down))[-1].tolist() == [-1.5, 0.0, 1.5]
    later = ShortTermReversal(hold=5).forecast(lines(up, flat, down))[-1]
    assert later.tolist() == pytest.approx([-0.3, 0.0, 0.3])  # one day of five


def test_a_side_is_crossed_on_the_bar_of_its_change_alone():
    assert crossed(np.array([[0.0], [1.0], [1.0], [0.0], [-1.0]])).ravel().tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("kind", [Breakout, BollingerReversal, RsiReversal])
def test_t14_t45_orders_know_neither_the_level_of_the_price_nor_the_future(kind):
    market, strategy = strategy_market.market(), kind(**({"slow": 100.0} if kind is Breakout else {}))
    whole, higher = strategy.signals(market), strategy.signals(strategy_market.lifted(market))
    for name, values in whole._asdict().items():
        level = 1024.0 if name in ("price", "limit", "stop_at", "target_at") else 0.0
        np.testing.assert_array_equal(getattr(higher, name), values + level if level else values, err_msg=name)
    for t in (1, 250, 699):
        for other in (strategy_market.prefix(market, t), strategy_market.other_future(market, t)):
            for part, all_ in zip(strategy.signals(other), whole, strict=True):
                np.testing.assert_array_equal(part[:t], all_[:t])


def test_t44_a_later_start_ends_at_the_same_forecast():
    market = strategy_market.market(bars=1500, markets=1, holidays=0.0)
    late = strategy_market.prefix(market, 1500)
    for name, values in vars(late).items():
        if isinstance(values, np.ndarray):
            setattr(late, name, values[200:])
    for strategy in (Ewmac(), TimeSeriesMomentum(), TurtleUnits(), Carry(), RsiReversal(), ShortTermReversal()):
        assert strategy.forecast(late)[-1, 0] == pytest.approx(strategy.forecast(market)[-1, 0], abs=1e-6)


def test_t43_strategies_that_compare_markets_say_so():
    """They decide for all markets at one moment, before the first of them trades again."""
    assert CarryRank.across and ShortTermReversal.across
    assert not any(kind.across for kind in (Carry, CarryTrend, Breakout, Ewmac, RsiReversal, TurtleUnits))
