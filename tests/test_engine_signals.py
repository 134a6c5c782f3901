"""Signals: entries and exits become sides and episodes; orders are checked, filled in and gathered for the members."""

from types import SimpleNamespace

import numpy as np
import pytest
import strategy_market

from engine.book import LIMIT, MARKET, STOP, STOP_LIMIT
from engine.signals import Signals, episodes, in_percent, latched, nothing, orders

NAN = float("nan")


def column(values, dtype=np.float64):
    return np.array([values], dtype=dtype).T


def flags(count, *places):
    return column([k in places for k in range(count)], bool)


def plain_latched(entry, exit, renew):
    """The rules of one market again, in plain Python."""
    side, strength, asked_before, number, out = 0, 0.0, 0, 0, []
    for wish, leaves, anew in zip(entry, exit, renew, strict=True):
        just_left = 0
        if leaves:
            just_left, side, strength = side, 0, 0.0
        if wish == wish:
            asked = (wish > 0) - (wish < 0)
            fresh = anew or asked != asked_before
            if asked and asked != just_left and fresh:
                number, side, strength = number + 1, asked, wish
            asked_before = asked
        out.append((strength, number))
    return out


def test_sides_and_episodes_equal_those_of_plain_python():
    random = np.random.default_rng(3)
    entry = random.choice([-1.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0, np.nan], (400, 6))
    exit, renew = random.random((400, 6)) < 0.15, random.random((400, 6)) < 0.3
    side, episode = latched(entry, exit, renew)
    for m in range(6):
        wanted = plain_latched(entry[:, m].tolist(), exit[:, m].tolist(), renew[:, m].tolist())
        assert list(zip(side[:, m].tolist(), episode[:, m].tolist(), strict=True)) == wanted


def test_an_entry_holds_until_its_exit():
    side, episode = latched(column([0, 1, 0, 0, 0]), flags(5, 3), flags(5))
    assert side.ravel().tolist() == [0, 1, 1, 0, 0] and episode.ravel().tolist() == [0, 1, 1, 1, 1]


def test_an_entry_of_the_other_side_turns_the_position():
    side, episode = latched(column([1, 0, -1, 0]), flags(4), flags(4))
    assert side.ravel().tolist() == [1, 1, -1, -1] and episode.ravel().tolist() == [1, 1, 2, 2]


def test_an_exit_and_an_entry_of_the_side_just_left_is_an_exit_and_no_new_wish_while_it_goes_on():
    side, episode = latched(column([1, 1, 1, 0, 1]), flags(5, 1), flags(5))
    assert side.ravel().tolist() == [1, 0, 0, 0, 1] and episode.ravel().tolist() == [1, 1, 1, 1, 2]


def test_an_exit_and_an_entry_of_the_other_side_is_a_turn():
    side, _ = latched(column([1, -1]), flags(2, 1), flags(2))
    assert side.ravel().tolist() == [1, -1]


def test_an_exit_from_flat_does_not_keep_an_entry_of_the_same_bar_out():
    side, _ = latched(column([0, 1]), flags(2, 1), flags(2))
    assert side.ravel().tolist() == [0, 1]


def test_a_run_of_bars_that_ask_is_one_episode_and_with_renew_each_is_its_own():
    asked = column([1, 1, 0, 1, 1])
    assert latched(asked, flags(5), flags(5))[1].ravel().tolist() == [1, 1, 1, 2, 2]
    assert latched(asked, flags(5), flags(5, *range(5)))[1].ravel().tolist() == [1, 2, 2, 3, 4]


def test_t42_a_holiday_does_not_end_a_run():
    market = SimpleNamespace(mark=column([10.0, 11.0, NAN, 12.0]))
    signals = Signals.build(market, column([0, 1, 0, 1]))
    side, episode = signals.latched()
    assert side.ravel().tolist() == [0, 1, 1, 1] and episode.ravel().tolist() == [0, 1, 1, 1]


def test_t45_sides_of_earlier_bars_do_not_know_later_ones():
    random = np.random.default_rng(4)
    entry, exit = random.choice([-1.0, 0.0, 0.0, 1.0], (200, 3)), random.random((200, 3)) < 0.1
    renew = np.zeros(entry.shape, bool)
    whole = latched(entry, exit, renew)
    for t in (1, 77, 150):
        for part, all_ in zip(latched(entry[:t], exit[:t], renew[:t]), whole, strict=True):
            np.testing.assert_array_equal(part, all_[:t])


def test_episodes_of_forecasts_change_with_the_side_alone():
    assert episodes(column([NAN, 0.5, 2.0, NAN, -1.0, -0.1])).ravel().tolist() == [0, 1, 1, 2, 3, 3]


def test_what_is_left_out_is_filled_in_with_nothing():
    market = strategy_market.market(bars=50)
    made = Signals.build(market, np.ones(market.mark.shape))
    for name in ("price", "limit", "stop", "stop_at", "target", "target_at", "trail"):
        assert np.isnan(getattr(made, name)).all()
    assert not made.exit.any() and not made.day.any() and not made.hold.any() and (made.kind == MARKET).all()
    assert {array.shape for array in made} == {market.mark.shape} and all(a.flags.c_contiguous for a in made)
    assert not made.ordered().any()


def test_arrays_of_markets_and_numbers_reach_over_time_and_inputs_stay():
    market = strategy_market.of(np.full((3, 2), 10.0))
    entry = np.ones((3, 2))
    made = Signals.build(market, entry, stop=np.array([1.0, 2.0]), hold=5, kind=LIMIT, price=np.full((3, 2), NAN))
    assert made.stop.tolist() == [[1.0, 2.0]] * 3 and (made.hold == 5).all()
    assert entry.all() and not made.entry.any()  # a limit order without a price is no order


def test_a_stop_limit_needs_both_prices_and_a_distance_of_nothing_protects_nothing():
    market = strategy_market.of(np.full((2, 1), 10.0))
    known = {"kind": STOP_LIMIT, "price": 11.0}
    assert not Signals.build(market, 1.0, **known).entry.any()
    assert Signals.build(market, 1.0, limit=11.5, **known).entry.all()
    flat = Signals.build(market, 1.0, stop=0.0)
    assert not flat.entry.any() and np.isnan(flat.stop).all()


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"stop": -1.0}, r"stop = -1\.0 of M0 on 2010-01-04 .column 0, bar 0.; allowed: a distance above 0"),
        ({"trail": np.array([1.0, -2.0])}, r"trail = -2\.0 of M1 on 2010-01-04"),
        ({"price": np.inf}, "price = inf .* a finite number"),
        ({"hold": -3}, "hold = -3 .* 0 or more whole bars"),
        ({"hold": 2.5}, r"hold = 2\.5; allowed: 0 or more whole bars"),
        ({"hold": np.array([3.0, np.nan])}, "hold = nan; allowed: 0 or more whole bars"),
        ({"exit": np.array([0.0, np.nan])}, "exit = nan; allowed: true or false"),
        ({"kind": 7}, "kind = 7 .* 2 stop"),
        ({"stop": np.ones(3)}, r"stop has shape \(3,\) .* \(4, 2\)"),
    ],
)
def test_what_no_market_can_cause_is_an_error(wrong, told):
    with pytest.raises(ValueError, match=told):
        Signals.build(strategy_market.of(np.full((4, 2), 10.0)), 1.0, **wrong)


def test_t1_per_cent_are_of_the_contracts_own_price():
    market = strategy_market.of(column([200.0, NAN, -50.0]), offset=np.full((3, 1), 1e4))
    assert in_percent(market, 10.0).ravel().tolist() == [20.0, 20.0, 5.0]


def test_risk_is_the_distance_to_the_tightest_stop_from_where_the_entry_is():
    market = strategy_market.of(np.full((1, 5), 100.0))
    entry = np.array([[1.0, -1.0, 1.0, 1.0, 1.0]])
    kind = np.array([MARKET, MARKET, STOP, MARKET, MARKET], np.int8)
    stop_at = np.array([97.0, 104.0, 99.0, 103.0, NAN])  # the fourth is already through
    stop = np.array([5.0, 3.0, NAN, NAN, NAN])
    made = Signals.build(market, entry, kind=kind, price=np.array([NAN, NAN, 105.0, NAN, NAN]), stop=stop,
                         stop_at=stop_at, trail=np.array([NAN, NAN, NAN, NAN, 8.0]))  # fmt: skip
    np.testing.assert_array_equal(made.risk_points(market.adjusted), [[3.0, 3.0, 6.0, NAN, 8.0]])


def decided(market, signals):
    if signals is None:
        return SimpleNamespace(signals=None, episode=np.full(market.mark.shape, 9, np.int32))
    return SimpleNamespace(signals=signals, episode=signals.latched()[1])


def test_orders_of_members_stand_in_the_order_of_the_strategies_columns():
    market = strategy_market.market(bars=40, markets=3)
    own = Signals.build(market, 1.0, kind=STOP, price=market.mark + 1.0, stop=np.array([1.0, 2.0, 3.0]), hold=4)
    made, ordered = orders([decided(market, None), decided(market, own)], [np.array([0, 2]), np.array([2, 1])])
    assert ordered.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(made.stop[0], [NAN, NAN, 3.0, 2.0])
    np.testing.assert_array_equal(made.price[:, 2], market.mark[:, 2] + 1.0)
    assert made.kind[0].tolist() == [MARKET, MARKET, STOP, STOP] and made.episode[0, :2].tolist() == [9, 9]
    assert made.hold.dtype == np.int32 and made.kind.dtype == np.int8 and made.episode.dtype == np.int32
    assert all(a.shape == (40, 4) and a.flags.c_contiguous for a in made)


def test_where_all_trade_at_the_market_there_are_no_rows_of_orders():
    market = strategy_market.market(bars=40, markets=3)
    made, ordered = orders([decided(market, Signals.build(market, 1.0))], [np.arange(3)])
    assert not ordered.any() and all(a.shape == (0, 3) for a in made)
    assert nothing(4, 2).episode.shape == (4, 2)
    assert orders([], [])[1].shape == (0,)
