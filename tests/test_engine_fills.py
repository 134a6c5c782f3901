"""Fills: the traps of orders inside a bar, by hand."""

import re

import numpy as np
import pytest

from engine.book import FINER, LIMIT, NEARER, STOP, STOP_LIMIT, WORST
from engine.fills import ENTERED, STOPPED, TAKEN, cap, gapped, limit_level, shown, stop_level, tick_down, tick_up, walk
from tests.conftest import REPO

NONE = float("nan")
PAGE = REPO / "docs" / "fills.md"


def fills(bar, policy=WORST, finer=(), **changes):
    """[(what, price)], ambiguous, triggered: a bar of open, high, low, close; the orders by name."""
    orders = {
        "tick": 0.25, "side": 0, "kind": -1, "order_side": 0, "price": NONE, "limit": NONE, "triggered": False,
        "stop": NONE, "stop_distance": NONE, "target": NONE, "target_distance": NONE, "through": True,
    }  # fmt: skip
    assert set(changes) <= set(orders)
    out = np.full((2, 2), NONE)
    rows = np.array(finer, float).reshape(-1, 4)
    count, ambiguous, triggered = walk(*bar, *(orders | changes).values(), policy, rows, 0, len(rows), out)
    return [(int(what), float(price)) for what, price in out[:count]], ambiguous, triggered


def long(bar, **orders):
    return fills(bar, side=1, **orders)


def short(bar, **orders):
    return fills(bar, side=-1, **orders)


def buy(bar, kind, price, **orders):
    return fills(bar, kind=kind, order_side=1, price=price, **orders)


def sell(bar, kind, price, **orders):
    return fills(bar, kind=kind, order_side=-1, price=price, **orders)


# ticks


def test_ticks_round_down_and_up_and_keep_what_is_on_a_tick_to_a_millionth():
    assert [tick_down(x, 0.25) for x in (99.99, 100.0, 99.9999999, 100.0000001, -0.1)] == [99.75, 100, 100, 100, -0.25]
    assert [tick_up(x, 0.25) for x in (100.01, 100.0, 100.0000001, 99.9999999, -0.1)] == [100.25, 100, 100, 100, 0.0]
    assert tick_down(18.27 + 1024.0 - 1024.0, 0.01) == tick_down(18.27, 0.01) == pytest.approx(18.27, abs=1e-12)


def test_rounding_twice_is_rounding_once():
    for tick in (0.25, 0.01, 0.1, 1 / 64, 0.00005, 5.0):
        for x in np.random.default_rng(1).normal(0.0, 500.0, 300):
            assert tick_down(tick_down(x, tick), tick) == tick_down(x, tick) == tick_up(tick_down(x, tick), tick)
            assert tick_up(x, tick) == -tick_down(-x, tick)


def test_without_a_tick_nothing_is_rounded():
    assert tick_down(99.87, 0.0) == tick_up(99.87, float("nan")) == 99.87
    assert long((100, 101, 98, 99), tick=0.0, stop=98.6)[0] == [(STOPPED, 98.6)]


def test_t17_an_order_given_in_adjusted_prices_moves_with_the_roll():
    on_h, on_m = (stop_level(4090.0, offset, -1, 0.25) for offset in (25.0, 0.0))
    assert (on_h, on_m) == (4065.0, 4090.0)
    assert long((4080, 4085, 4070, 4075), stop=on_h)[0] == []  # the adjusted level would have sold here
    assert long((4080, 4085, 4060, 4075), stop=on_h)[0] == [(STOPPED, 4065.0)]
    assert long((4100, 4110, 4085, 4095), stop=on_m)[0] == [(STOPPED, 4090.0)]


def test_stops_round_away_from_the_market_and_limits_to_where_they_are_harder_to_fill():
    assert (stop_level(100.1, 0.0, -1, 0.25), stop_level(100.1, 0.0, 1, 0.25)) == (100.0, 100.25)
    assert (limit_level(100.1, 0.0, 1, 0.25), limit_level(100.1, 0.0, -1, 0.25)) == (100.0, 100.25)
    assert long((102, 103, 98, 99), stop=100.1)[0] == [(STOPPED, 100.0)]
    assert short((98, 102, 97, 101), stop=100.1)[0] == [(STOPPED, 100.25)]
    assert long((98, 102, 97, 101), target=100.1)[0] == [(TAKEN, 100.25)]
    assert short((102, 103, 98, 99), target=100.1)[0] == [(TAKEN, 100.0)]
    assert buy((102, 103, 98, 99), LIMIT, 100.1)[0] == [(ENTERED, 100.0)]
    assert sell((98, 102, 97, 101), LIMIT, 100.1)[0] == [(ENTERED, 100.25)]
    assert buy((98, 102, 97, 101), STOP, 100.1)[0] == [(ENTERED, 100.25)]
    assert sell((102, 103, 98, 99), STOP, 100.1)[0] == [(ENTERED, 100.0)]


def test_a_price_that_is_off_by_its_last_bits_is_still_touched():
    assert 1503 * 0.01 > 15.03  # the level is made of ticks, the high was read from a file
    assert buy((15.0, 15.03, 14.9, 14.95), STOP, 15.03, tick=0.01)[0] == [(ENTERED, pytest.approx(15.03))]
    assert 1602 * 0.01 - 0.01 < 16.01
    assert buy((16.5, 16.6, 16.01, 16.4), LIMIT, 16.02, tick=0.01)[0] == [(ENTERED, pytest.approx(16.02))]


# gaps


def test_t18_a_stop_that_the_open_has_passed_fills_at_the_open():
    bar = (49, 49.5, 48, 48.5)
    assert long(bar, stop=50, tick=0.5)[0] == [(STOPPED, 49.0)]
    assert short((51, 52, 50.5, 51.5), stop=50, tick=0.5)[0] == [(STOPPED, 51.0)]
    assert sell(bar, STOP, 50, tick=0.5)[0] == [(ENTERED, 49.0)]
    assert buy((51, 52, 50.5, 51.5), STOP, 50, tick=0.5)[0] == [(ENTERED, 51.0)]


def test_a_stop_is_met_when_touched():
    assert long((100, 101, 98, 99), stop=98)[0] == [(STOPPED, 98.0)]
    assert long((100, 101, 98.25, 99), stop=98)[0] == []
    assert buy((100, 102, 99, 100), STOP, 102)[0] == [(ENTERED, 102.0)]


def test_whether_the_open_has_reached_a_level():
    assert gapped(97.0, 0.25, 1, 98.0, NONE) and gapped(98.0, 0.25, 1, 98.0, NONE)
    assert not gapped(98.25, 0.25, 1, 98.0, 103.0)
    assert gapped(103.0, 0.25, 1, 98.0, 103.0)
    assert gapped(103.0, 0.25, -1, 103.0, NONE) and not gapped(102.75, 0.25, -1, 103.0, 98.0)
    assert not gapped(0.0, 0.25, 1, NONE, NONE)


# ties


def test_t19_stop_and_target_in_one_bar_are_worst_first_and_counted():
    levels = {"stop": 98, "target": 103}
    assert long((100, 104, 97, 101), **levels) == ([(STOPPED, 98.0)], 1, 0)
    assert long((100, 104, 97, 101), policy=NEARER, **levels) == ([(STOPPED, 98.0)], 1, 0)  # low nearer: 3 < 4
    assert long((100, 103.25, 96, 101), **levels) == ([(STOPPED, 98.0)], 1, 0)
    assert long((100, 103.25, 96, 101), policy=NEARER, **levels) == ([(TAKEN, 103.0)], 1, 0)
    assert long((100, 103, 96, 101), policy=NEARER, **levels) == ([(STOPPED, 98.0)], 0, 0)  # 103 is not gone through
    assert short((100, 104, 97, 101), stop=103, target=98) == ([(STOPPED, 103.0)], 1, 0)


def test_t19_extremes_equally_near_are_told_the_worse_way():
    assert long((100, 104, 96, 101), policy=NEARER, stop=98, target=103) == ([(STOPPED, 98.0)], 1, 0)
    assert short((100, 104, 96, 101), policy=NEARER, stop=103, target=98) == ([(STOPPED, 103.0)], 1, 0)


def test_t19_finer_bars_say_what_came_first():
    day, hours = (100, 104, 97, 101), [(100, 101, 99, 101), (101, 104, 101, 103), (103, 103, 97, 101)]
    assert long(day, policy=FINER, finer=hours, stop=98, target=103) == ([(TAKEN, 103.0)], 0, 0)
    assert long(day, policy=FINER, finer=hours[::-1], stop=98, target=103) == ([(STOPPED, 98.0)], 0, 0)
    assert long(day, policy=FINER, stop=98, target=103) == ([(STOPPED, 98.0)], 1, 0)  # none: the worse
    assert long(day, policy=FINER, finer=[day], stop=98, target=103) == ([(STOPPED, 98.0)], 1, 0)  # as ambiguous


def test_finer_bars_carry_on_what_the_bar_before_left():
    hours = [(100, 101, 100, 101), (101, 103, 101, 103), (97, 98, 96, 98), (98, 104, 98, 104)]
    day = (100, 104, 96, 104)
    found = buy(day, STOP, 102, policy=FINER, finer=hours, stop_distance=2.0)
    assert found == ([(ENTERED, 102.0), (STOPPED, 97.0)], 0, 0)  # through the stop at 100 between the bars; no re-entry
    missing = [hours[0], (NONE,) * 4, *hours[1:]]
    assert buy(day, STOP, 102, policy=FINER, finer=missing, stop_distance=2.0) == found


def test_a_bar_on_which_both_ways_tell_the_same_is_not_ambiguous():
    assert long((100, 104, 99, 101), stop=98, target=103) == ([(TAKEN, 103.0)], 0, 0)
    assert long((97, 104, 96, 101), stop=98, target=103) == ([(STOPPED, 97.0)], 0, 0)  # the open decides
    assert long((100, 102, 99, 101), stop=98, target=103) == ([], 0, 0)


# limits


def test_t20_a_limit_fills_when_gone_through_by_a_tick_and_at_a_better_open():
    assert buy((100, 101, 99.75, 100), LIMIT, 99.75)[0] == []
    assert buy((100, 101, 99.50, 100), LIMIT, 99.75)[0] == [(ENTERED, 99.75)]
    assert buy((99, 101, 98.75, 100), LIMIT, 99.75)[0] == [(ENTERED, 99.0)]
    assert sell((100, 100.25, 99, 100), LIMIT, 100.25)[0] == []
    assert sell((101, 101.5, 99, 100), LIMIT, 100.25)[0] == [(ENTERED, 101.0)]


def test_t20_touched_is_filled_only_where_it_is_asked_for():
    assert buy((100, 101, 99.75, 100), LIMIT, 99.75, through=False)[0] == [(ENTERED, 99.75)]
    assert buy((99.75, 101, 99.75, 100), LIMIT, 99.75)[0] == []  # open at the limit: not gone through
    assert buy((99.75, 101, 99.75, 100), LIMIT, 99.75, through=False)[0] == [(ENTERED, 99.75)]


def test_t20_a_target_is_a_limit():
    assert long((100, 103, 99, 101), target=103)[0] == []
    assert long((100, 103, 99, 101), target=103, through=False)[0] == [(TAKEN, 103.0)]
    assert long((104, 105, 99, 101), target=103)[0] == [(TAKEN, 104.0)]


# stop limits


def test_a_stop_limit_is_triggered_as_a_stop_and_filled_as_a_limit():
    order = {"kind": STOP_LIMIT, "price": 102, "limit": 103}
    assert buy((100, 102, 99, 101), **order) == ([(ENTERED, 102.0)], 0, 1)  # the market at the trigger is better
    assert buy((102.5, 104, 102, 103), **order) == ([(ENTERED, 102.5)], 0, 1)
    assert buy((104, 105, 103.5, 104), **order) == ([], 0, 1)  # open beyond the limit: it waits
    assert buy((104, 105, 102.75, 104), **order) == ([(ENTERED, 103.0)], 0, 1)
    assert buy((100, 101.75, 99, 101), **order) == ([], 0, 0)


def test_a_stop_limit_that_was_triggered_is_a_limit_on_later_bars():
    order = {"kind": STOP_LIMIT, "price": 102, "limit": 101, "triggered": True}
    assert buy((101.5, 101.75, 100.75, 101), **order) == ([(ENTERED, 101.0)], 0, 1)  # 102 need not be seen again
    assert buy((101.5, 103, 101, 102), **order) == ([], 0, 1)
    assert buy((100, 101, 99, 100), **order) == ([(ENTERED, 100.0)], 0, 1)


def test_a_stop_limit_below_its_trigger_fills_only_if_the_price_comes_back():
    order = {"kind": STOP_LIMIT, "price": 102, "limit": 101}
    assert buy((101.5, 103, 100, 100.5), **order) == ([(ENTERED, 101.0)], 0, 1)  # it came down at the end
    assert buy((101.5, 103, 100, 102.5), **order) == ([], 1, 1)  # the low may have been first; bought is better
    assert buy((101.5, 103, 100, 102.5), policy=NEARER, **order) == ([], 1, 1)
    assert buy((101.5, 102.25, 100, 102), policy=NEARER, **order) == ([(ENTERED, 101.0)], 1, 1)
    assert sell((98.5, 100, 97, 97.5), STOP_LIMIT, 98, limit=99) == ([], 1, 1)


# entry and exit in one bar


def test_what_is_entered_inside_a_bar_can_be_stopped_inside_it():
    bar = (100, 103, 98, 102)
    assert buy(bar, STOP, 101, stop_distance=2.0) == ([(ENTERED, 101.0), (STOPPED, 99.0)], 1, 0)
    assert buy(bar, STOP, 101, stop_distance=2.0, policy=NEARER) == ([(ENTERED, 101.0)], 1, 0)  # the low came first
    assert buy((100, 103, 98, 98.5), STOP, 101, stop_distance=2.0) == ([(ENTERED, 101.0), (STOPPED, 99.0)], 0, 0)
    assert sell((100, 102, 97, 98), STOP, 99, stop_distance=2.0) == ([(ENTERED, 99.0), (STOPPED, 101.0)], 1, 0)


def test_entry_and_stop_on_one_stretch_are_met_in_the_order_of_their_distance():
    found = buy((100, 101, 96, 97), LIMIT, 99, stop_distance=2.0)
    assert found == ([(ENTERED, 99.0), (STOPPED, 97.0)], 0, 0)
    assert buy((100, 105, 99, 104), STOP, 101, target_distance=2.0) == ([(ENTERED, 101.0), (TAKEN, 103.0)], 0, 0)


def test_a_target_that_was_only_seen_before_the_entry_is_not_taken():
    bar = (100, 104, 97, 98.5)
    assert buy(bar, LIMIT, 98, target_distance=2.0) == ([(ENTERED, 98.0)], 1, 0)  # +0.5; low first would be +2
    assert buy(bar, LIMIT, 98, target_distance=2.0, policy=NEARER) == ([(ENTERED, 98.0), (TAKEN, 100.0)], 1, 0)


def test_of_a_level_and_a_distance_the_tighter_holds():
    bar = (100, 101, 90, 91)
    assert buy(bar, STOP, 101, stop=97, stop_distance=2.0)[0] == [(ENTERED, 101.0), (STOPPED, 99.0)]
    assert buy(bar, STOP, 101, stop=99.5, stop_distance=2.0)[0] == [(ENTERED, 101.0), (STOPPED, 99.5)]
    assert sell(bar, STOP, 99, target=93, target_distance=4.0)[0] == [(ENTERED, 99.0), (TAKEN, 95.0)]
    assert sell(bar, STOP, 99, target=96, target_distance=4.0)[0] == [(ENTERED, 99.0), (TAKEN, 96.0)]


def test_a_distance_counts_from_the_fill_and_the_level_lies_on_a_tick():
    gap = buy((102.5, 103, 99, 100), STOP, 101, stop_distance=2.1)[0]
    assert gap == [(ENTERED, 102.5), (STOPPED, 100.25)]  # 100.40, rounded away


def test_a_distance_is_not_looked_at_where_a_position_is_held():
    assert long((100, 105, 95, 100), stop_distance=1.0, target_distance=1.0) == ([], 0, 0)


def test_a_stop_beyond_the_entry_leaves_at_once():
    assert buy((100, 102, 99, 101), STOP, 101, stop=101.5)[0] == [(ENTERED, 101.0), (STOPPED, 101.0)]


def test_nothing_is_entered_after_an_exit_and_no_entry_is_looked_at_where_a_position_is_held():
    order = {"kind": LIMIT, "order_side": 1, "price": 97}
    assert long((100, 101, 95, 100), stop=98, **order)[0] == [(STOPPED, 98.0)]
    assert long((100, 101, 95, 100), **order) == ([], 0, 0)


# what a bar says and does not say


def test_a_bar_with_a_price_missing_fills_nothing():
    for k in range(4):
        bar = [97.0, 98.0, 96.0, 97.0]
        bar[k] = NONE
        assert long(bar, stop=98) == ([], 0, 0)
    assert long((97, 98, 96, float("inf")), stop=98) == ([], 0, 0)


def test_without_an_order_nothing_happens():
    assert fills((100, 104, 97, 101)) == ([], 0, 0)
    assert long((100, 104, 97, 101)) == ([], 0, 0)
    assert buy((100, 104, 97, 101), LIMIT, NONE) == buy((100, 104, 97, 101), STOP, NONE) == ([], 0, 0)


def test_negative_prices_are_prices():
    assert long((-30, -29, -40, -37.5), stop=-35)[0] == [(STOPPED, -35.0)]
    assert sell((2, 3, -1, -0.5), STOP, 0)[0] == [(ENTERED, 0.0)]
    assert str(sell((2, 3, -1, -0.5), STOP, 0)[0][0][1]) == "0.0"


def test_t24_a_settlement_outside_the_range_is_no_price_at_which_orders_fill():
    assert long((101, 102, 100, 102.25), target=102)[0] == []  # high 102, settlement 102.25
    assert long((101, 102, 100, 99.5), stop=99.75)[0] == []
    assert long((101, 102, 100, 99.5), stop=100)[0] == [(STOPPED, 100.0)]


# size, and the price that is shown


def test_t23_at_most_a_share_of_the_contracts_volume_trades():
    assert cap(10.0, 40.0, 0.1, True) == 4.0
    assert cap(-10.0, 40.0, 0.1, True) == -4.0
    assert cap(10.0, 49.0, 0.1, True) == 4.0  # toward zero
    assert cap(3.0, 40.0, 0.1, True) == 3.0
    assert cap(2.5, 40.0, 0.1, False) == 2.5 and cap(2.5, 40.0, 0.1, True) == 2.0
    assert cap(10.0, 0.0, 0.1, True) == 0.0
    assert cap(100.0, 100.0, 0.29, True) == 29.0  # 0.29 x 100 is less than 29 in floating point


def test_t23_an_unknown_volume_and_no_share_hold_nothing_back():
    assert cap(10.0, NONE, 0.1, True) == cap(10.0, 0.0, float("inf"), True) == 10.0


def test_t21_a_slipped_price_is_shown_inside_the_range():
    assert shown(101.0, 0.25, 1, 101.0, 98.0) == 101.0
    assert shown(100.0, 0.25, 1, 101.0, 98.0) == 100.25
    assert shown(98.1, 0.25, -1, 101.0, 98.0) == 98.0
    assert shown(102.25, 0.25, 1, 102.0, 100.0) == 102.25  # filled at a settlement outside
    assert shown(100.0, 0.25, -1, NONE, NONE) == 99.75


# the page


def test_every_rule_of_the_page_names_tests_that_there_are():
    here = "".join(path.read_text(encoding="utf-8") for path in (REPO / "tests").glob("test_engine_fills*.py"))
    rules = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert len(rules) > 8
    for rule in rules:
        named = re.findall(r"`(test_\w+)`", rule)
        assert named, rule.splitlines()[0]
        assert [name for name in named if f"\ndef {name}(" not in here] == []


def test_every_trap_that_is_tested_here_is_on_the_page():
    here = (REPO / "tests" / "test_engine_fills.py").read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in re.findall(r"^def (test_t\d+\w+)\(", here, flags=re.M) if name not in page] == []
