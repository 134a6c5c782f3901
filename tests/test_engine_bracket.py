"""Orders inside the bar against accounts worked by hand: protective stops, targets, entries that wait."""

import numpy as np
import pytest

from engine.book import COMMISSION, FINER, LIMIT, NEARER, PRICE, ROLL_GAP, SLIPPAGE, STOP, STOP_LIMIT, WORST
from tests.hand import Finer, account, bars, events, exits, fills, flat, held, trade

nan = np.nan

# Protective stops and targets. Row 0 asks, bar 1 opens at 100 and enters.

QUIET = (100.0, 101.0, 99.5, 100.0)
NONE = (nan,) * 4


def protected(*later, **asked):
    """Long one contract (or as `target` says) from bar 1, 10 a point, protected as asked; the bars from bar 2 on."""
    told = {"target": 1.0, "order_episode": 1, "multiplier": 10.0} | asked
    return account(**bars(flat(100.0), QUIET, *later), **told)


def test_t18_a_stop_that_the_open_has_passed_is_filled_at_the_open():
    """Stop 98, open 95: sold at 95, not at 98; and the account had given no second order for that bar."""
    ledger = protected((95.0, 96.0, 94.0, 95.5), order_stop=2.0)
    assert fills(ledger)[1:] == [(2, 0, "protective stop", -1.0, 95.0)]
    assert ledger.equity[-1] == 20000.0 - 5 * 10
    assert exits(ledger.trades) == ["stop"]


def test_t18_a_wish_to_turn_is_not_traded_on_a_bar_that_opens_beyond_the_stop():
    """Row 1 wants to be short (episode 2). Bar 2 opens at 95, the stop of 98 is met there; bar 3 begins the short."""
    ledger = protected((95.0, 96.0, 94.0, 95.5), (96.0, 97.0, 95.0, 96.0), (96.0, 97.0, 95.0, 96.0), order_stop=2.0,
                       target=[1.0, -1.0, -1.0, -1.0, -1.0], order_episode=[1, 2, 2, 2, 2])  # fmt: skip
    assert fills(ledger)[1:] == [(2, 0, "protective stop", -1.0, 95.0), (3, 0, "market", -1.0, 96.0)]
    assert held(ledger) == [0.0, 1.0, 0.0, -1.0, -1.0]


def test_a_stop_pays_slippage_and_a_target_pays_commission_only():
    """Stop 98 of a bar 100/100/97: sold at 98 with a tick of 0.25 x 10. Target 103 of a bar 100/103.25/99.5: 103."""
    told = {"order_stop": 2.0, "order_target": 3.0, "slippage": 0.25, "commission": 2.0}
    stopped = protected((100.0, 100.0, 97.0, 97.5), **told)
    assert fills(stopped)[1:] == [(2, 0, "protective stop", -1.0, 98.0)]
    assert stopped.amount[2, 0, [PRICE, SLIPPAGE, COMMISSION]].tolist() == [-20.0, -2.5, -2.0]
    taken = protected((100.0, 103.25, 99.5, 103.0), **told)
    assert fills(taken)[1:] == [(2, 0, "target", -1.0, 103.0)]
    assert taken.amount[2, 0, [PRICE, SLIPPAGE, COMMISSION]].tolist() == [30.0, 0.0, -2.0]
    assert exits(taken.trades) == ["target"]


def test_a_position_entered_at_the_open_is_protected_on_that_bar():
    ledger = account(**bars(flat(100.0), (100.0, 101.0, 97.0, 99.0)), target=1.0, order_stop=2.0, order_episode=1)
    assert fills(ledger) == [(1, 0, "market", 1.0, 100.0), (1, 0, "protective stop", -1.0, 98.0)]


def test_of_a_distance_and_a_price_the_tighter_stop_holds_and_a_later_row_moves_the_price():
    """Distance 2 is 98; a price of 97 is behind it; from row 2 on 99 is before it, and bar 3 sells there."""
    ledger = protected(QUIET, (100.0, 100.5, 98.75, 99.0), order_stop=2.0, order_stop_at=[97.0, 97.0, 99.0, nan])
    assert fills(ledger)[1:] == [(3, 0, "protective stop", -1.0, 99.0)]
    loose = protected((100.0, 100.5, 97.5, 99.0), order_stop=2.0, order_stop_at=97.0)
    assert fills(loose)[1:] == [(2, 0, "protective stop", -1.0, 98.0)]


def test_a_row_of_the_other_side_does_not_move_the_stop_of_what_is_held():
    """Row 1 wants to be short with a stop at 105: the long held until bar 2 keeps its 98 and is turned at 100."""
    ledger = protected(QUIET, QUIET, order_stop_at=[98.0, 105.0, 105.0, 105.0], target=[1.0, -1.0, -1.0, -1.0],
                       order_episode=[1, 2, 2, 2])  # fmt: skip
    assert fills(ledger)[1:] == [(2, 0, "market", -2.0, 100.0)]


def test_what_a_stop_ended_is_not_entered_again_before_a_new_episode():
    """Out at 98 on bar 2; rows 2 and 3 still wish for 1 in episode 1, row 4 in episode 2: bought on bar 5."""
    ledger = protected((100.0, 100.0, 97.0, 97.5), *[(97.0, 98.0, 96.5, 97.0)] * 4, order_stop=2.0,
                       order_episode=[1, 1, 1, 1, 2, 2, 2])  # fmt: skip
    assert held(ledger) == [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]


def test_t22_a_stop_waits_in_a_market_that_is_locked_against_it():
    """Locked at 95: the stop of 98 cannot be sold. The next bar opens at 93 and it is sold there."""
    ledger = protected(flat(95.0), (93.0, 94.0, 92.0, 93.0), order_stop=2.0, locked=[0, 0, -1, 0])
    assert fills(ledger)[1:] == [(3, 0, "protective stop", -1.0, 93.0)]
    assert events(ledger) == [(2, 0, "limit locked", -1.0, 0.0)]


def test_t22_a_lock_that_does_not_reach_the_stop_is_no_event():
    assert events(protected(flat(99.0), order_stop=2.0, locked=[0, 0, -1])) == []


def test_a_trailing_stop_follows_the_best_price_from_the_next_bar_on():
    """Bought at 100, trail 2. Entry bar 100/110/98.25/101: of it only the fill and the close count, best 101, stop 99.
    Bar 2: low 99.25 holds, high 104: stop 102. Bar 3: low 101.50, sold at 102: 2 points won."""
    told = bars(flat(100.0), (100.0, 110.0, 98.25, 101.0), (101.0, 104.0, 99.25, 103.0), (103.0, 103.5, 101.5, 102.5))
    ledger = account(**told, target=1.0, order_trail=2.0, order_episode=1, multiplier=10.0)
    assert fills(ledger)[1:] == [(3, 0, "trailing stop", -1.0, 102.0)]
    assert exits(ledger.trades) == ["trailing stop"]
    assert ledger.equity[-1] == 20000.0 + 2 * 10


def test_a_trailing_stop_holds_on_the_entry_bar_from_the_fill():
    """Bought at 100, trail 2: the bar's low of 97.50 is below 98, and it is sold there."""
    ledger = account(**bars(flat(100.0), (100.0, 101.0, 97.5, 99.0)), target=1.0, order_trail=2.0, order_episode=1)
    assert fills(ledger) == [(1, 0, "market", 1.0, 100.0), (1, 0, "trailing stop", -1.0, 98.0)]


def test_a_short_position_is_protected_the_other_way_round():
    """Sold at 100, stop 2 above is 102, target 3 below is 97: the bar goes to 102.50."""
    ledger = protected((100.0, 102.5, 99.0, 101.0), target=-1.0, order_stop=2.0, order_target=3.0)
    assert fills(ledger)[1:] == [(2, 0, "protective stop", 1.0, 102.0)]


def test_a_time_exit_leaves_after_its_bars_at_the_market():
    """Held on bars 1 and 2, which are two; sold at the open of bar 3, and not bought again in the episode."""
    ledger = protected(QUIET, (102.0, 103.0, 101.0, 102.0), QUIET, order_hold=2)
    assert held(ledger) == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert fills(ledger)[1:] == [(3, 0, "time exit", -1.0, 102.0)]
    assert exits(ledger.trades) == ["time"]


def test_days_are_counted_where_other_markets_trade_longer_and_not_on_a_holiday():
    """Two bars a day, on the second of which this market has none: two days end with rows 2 and 4, out on bar 5. Where
    each bar is a day and row 2 is a holiday, rows 1 and 3 are the two: out on bar 4."""
    later = (NONE, QUIET, NONE, QUIET)
    told = protected(*later, order_hold=2, daily=True, day_end=[True, False, True, False, True, False])
    assert held(told) == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert fills(told)[1:] == [(5, 0, "time exit", -1.0, 100.0)]
    assert held(protected(NONE, QUIET, QUIET, order_hold=2)) == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_time_exit_does_not_stand_in_the_way_of_a_turn():
    """Row 2 wants to be short, in a new episode, on the day on which the time is up: bar 3 turns."""
    ledger = protected(QUIET, QUIET, QUIET, order_hold=2, target=[1.0, 1.0, -1.0, -1.0, -1.0],
                       order_episode=[1, 1, 2, 2, 2])  # fmt: skip
    assert held(ledger) == [0.0, 1.0, 1.0, -1.0, -1.0]


def test_an_entered_position_keeps_its_size():
    assert held(protected(QUIET, QUIET, order_stop=2.0, target=[1.0, 5.0, 3.0, 0.0])) == [0.0, 1.0, 1.0, 1.0]


def test_t17_a_stop_given_in_adjusted_prices_moves_with_the_roll():
    """Bought H at 4100, stop 35 below: 4065. H rolls at 4100 into M at 4125, the offset goes from 0 to -25: in M the
    same stop lies at 4090. H had traded at 4066, M trades at 4089: sold at 4090, (4100 - 4100) + (4090 - 4125) = -35.
    """
    told = bars(flat(4100.0), (4100.0, 4110.0, 4066.0, 4100.0), (4120.0, 4130.0, 4089.0, 4100.0))
    roll = {"roll": [False, True, False], "roll_contract": 202406, "roll_from": 4100.0, "roll_to": 4125.0}
    roll |= {"contract": [202403, 202403, 202406], "offset": [0.0, 0.0, -25.0]}
    ledger = account(**told, **roll, target=1.0, order_stop=35.0, order_episode=1, multiplier=50.0)
    assert fills(ledger)[-1] == (2, 0, "protective stop", -1.0, 4090.0)
    assert ledger.equity[-1] == 20000.0 - 35 * 50
    assert ledger.residual[0] == 0.0


def test_t23_what_volume_leaves_of_an_exit_follows_at_the_market_whatever_is_wished_then():
    """10 held, a tenth of 40: the stop sells 4 at 98, the bars after it 4 and 2 at the open, though row 2 opens a new
    episode that wants 10 again; that is bought when all is out, on bar 5."""
    ledger = protected((100.0, 100.0, 97.0, 97.5), *[(99.0, 99.5, 98.5, 99.0)] * 3, order_stop=2.0, target=10.0,
                       order_episode=[1, 1, 2, 2, 2, 2], volume=[nan, nan, 40.0, 40.0, 40.0, nan],
                       participation=0.1)  # fmt: skip
    assert held(ledger) == [0.0, 10.0, 6.0, 2.0, 0.0, 10.0]
    assert [row[2:] for row in fills(ledger)[1:4]] == [
        ("protective stop", -4.0, 98.0), ("market", -4.0, 99.0), ("market", -2.0, 99.0),
    ]  # fmt: skip
    assert exits(ledger.trades)[0] == "stop"


# Entries that wait

LATER = (101.0, 102.0, 100.5, 101.0)


def waiting(kind, price, *later, **asked):
    """Row 0 asks for one contract by an order; rows of bars from bar 1 on."""
    told = {"target": 1.0, "order_episode": 1, "order_kind": kind, "order_price": price, "multiplier": 10.0} | asked
    return account(**bars(flat(101.0), *later), **told)


def test_t20_a_limit_to_buy_waits_until_the_price_goes_through_it():
    """99.75: a low of 99.75 is not enough, one of 99.50 fills at 99.75; commission 2, and no slippage."""
    ledger = waiting(LIMIT, 99.75, (101.0, 102.0, 99.75, 101.0), (100.0, 101.0, 99.5, 100.75), slippage=0.25,
                     commission=2.0)  # fmt: skip
    assert fills(ledger) == [(2, 0, "limit", 1.0, 99.75)]
    assert ledger.equity[-1] == 20000.0 + 1.0 * 10 - 2.0


def test_a_stop_to_buy_fills_when_touched_and_pays_slippage():
    ledger = waiting(STOP, 102.0, LATER, slippage=0.25)
    assert fills(ledger) == [(1, 0, "stop", 1.0, 102.0)]
    assert ledger.equity[-1] == 20000.0 - 1.0 * 10 - 0.25 * 10


def test_a_stop_limit_that_was_triggered_waits_as_a_limit():
    """To buy at 102, limit 103. Bar 1 opens at 104: triggered, too dear. Bar 2 goes down to 102.50: bought at 103."""
    ledger = waiting(STOP_LIMIT, 102.0, (104.0, 105.0, 103.5, 104.0), (104.0, 104.5, 102.5, 103.0), order_limit=103.0)
    assert fills(ledger) == [(2, 0, "stop limit", 1.0, 103.0)]


def test_a_day_order_lapses_after_its_bar_and_is_not_given_again_in_its_episode():
    told = (LIMIT, 99.75, LATER, (100.0, 101.0, 99.0, 100.0), (100.0, 101.0, 99.0, 100.0))
    assert fills(waiting(*told)) == [(2, 0, "limit", 1.0, 99.75)]
    day = waiting(*told, order_day=True)
    assert fills(day) == []
    assert events(day) == [(1, 0, "order expired", 1.0, 0.0)]
    again = waiting(*told, order_day=True, order_episode=[1, 1, 2, 2])
    assert fills(again) == [(3, 0, "limit", 1.0, 99.75)]


def test_a_day_order_lapses_where_other_markets_trade_longer_and_not_on_a_holiday():
    """Two bars a day, on the second of which this market has none: gone with row 2, although bar 3 is low enough. Where
    each bar is a day and bar 1 a holiday, bar 2 is the day of the order."""
    low = (100.0, 101.0, 99.0, 100.0)
    day = waiting(LIMIT, 99.75, LATER, NONE, low, order_day=True, daily=True, day_end=[True, False, True, False])
    assert fills(day) == []
    assert events(day) == [(2, 0, "order expired", 1.0, 0.0)]
    assert fills(waiting(LIMIT, 99.75, NONE, low, order_day=True)) == [(2, 0, "limit", 1.0, 99.75)]
    late = waiting(LIMIT, 99.75, NONE, LATER, low, order_day=True)
    assert fills(late) == [] and events(late) == [(2, 0, "order expired", 1.0, 0.0)]


def test_an_entry_that_is_no_longer_wanted_is_taken_back():
    assert fills(waiting(LIMIT, 99.75, LATER, (100.0, 101.0, 99.0, 100.0), target=[1.0, 0.0, 0.0])) == []


def test_t17_an_entry_that_waits_moves_with_the_roll():
    """A limit to buy at 4065 in H (offset 0) is 4090 in M (offset -25): M goes through it, H never did."""
    told = bars(flat(4100.0), (4100.0, 4110.0, 4066.0, 4100.0), (4120.0, 4130.0, 4089.0, 4100.0))
    roll = {"roll": [False, True, False], "roll_contract": 202406, "roll_from": 4100.0, "roll_to": 4125.0}
    ledger = account(**told, **roll, contract=[202403, 202403, 202406], offset=[0.0, 0.0, -25.0], target=1.0,
                     order_kind=LIMIT, order_price=4065.0, order_episode=1)  # fmt: skip
    assert fills(ledger) == [(2, 0, "limit", 1.0, 4090.0)]


def test_what_is_entered_inside_a_bar_is_protected_from_there_on():
    """Bought by stop at 102, protective stop 1.50 below: 100.50. Bar 101/102.5/100/100.25: out at 100.50, -1.5 x 10."""
    ledger = waiting(STOP, 102.0, (101.0, 102.5, 100.0, 100.25), order_stop=1.5)
    assert fills(ledger) == [(1, 0, "stop", 1.0, 102.0), (1, 0, "protective stop", -1.0, 100.5)]
    assert ledger.equity[-1] == 20000.0 - 15.0
    trailed = waiting(STOP, 102.0, (101.0, 102.5, 100.0, 100.25), order_trail=1.5)
    assert fills(trailed)[1] == (1, 0, "trailing stop", -1.0, 100.5)


def test_t22_an_entry_waits_in_a_market_that_is_locked_against_it():
    """A stop to buy at 102 in a market locked at 105; the next bar opens at 104 and it is bought there."""
    ledger = waiting(STOP, 102.0, flat(105.0), (104.0, 106.0, 103.0, 105.0), locked=[0, 1, 0])
    assert events(ledger) == [(1, 0, "limit locked", 1.0, 0.0)]
    assert fills(ledger) == [(2, 0, "stop", 1.0, 104.0)]
    day = waiting(STOP, 102.0, flat(105.0), (104.0, 106.0, 103.0, 105.0), locked=[0, 1, 0], order_day=True)
    assert [what for _, _, what, *_ in events(day)] == ["limit locked", "order expired"]
    assert fills(day) == []


def test_t23_what_volume_leaves_of_an_entry_waits_on_and_of_a_day_order_is_dropped():
    """10 by limit 99.75, a tenth of 40 a bar: 4 on bar 1, 4 on bar 2, 2 on bar 3. A day order has its 4 and no more."""
    through = (100.0, 101.0, 99.0, 100.0)
    told = (LIMIT, 99.75, through, through, through)
    asked = {"target": 10.0, "volume": 40.0, "participation": 0.1}
    assert held(waiting(*told, **asked)) == [0.0, 4.0, 8.0, 10.0]
    assert held(waiting(*told, **asked, order_day=True)) == [0.0, 4.0, 4.0, 4.0]


def test_t23_a_position_that_keeps_its_size_is_entered_over_several_bars():
    """5 at the market, a tenth of 20: 2; the rest on the next bar, whose volume nobody knows; then it stays."""
    ledger = account(**bars(*[flat(100.0)] * 4), target=5.0, order_stop=2.0, order_episode=1, participation=0.1,
                     volume=[nan, 20.0, nan, nan])  # fmt: skip
    assert held(ledger) == [0.0, 2.0, 5.0, 5.0]


def test_what_waits_of_an_entry_is_gone_when_the_position_is_left():
    """4 of 10 are bought on bar 1; row 1 wants none: bar 2 sells the 4 at its open and buys nothing at the limit."""
    through = (100.0, 101.0, 99.0, 100.0)
    ledger = waiting(LIMIT, 99.75, through, through, through, target=[10.0, 0.0, 0.0, 0.0], volume=40.0,
                     participation=0.1)  # fmt: skip
    assert held(ledger) == [0.0, 4.0, 0.0, 0.0]


# Bars that can be told in two ways


@pytest.mark.parametrize(
    ("policy", "bar", "at"),
    [
        (WORST, (100.0, 104.0, 97.0, 101.0), 98.0),
        (NEARER, (100.0, 104.0, 97.0, 101.0), 98.0),
        (NEARER, (100.0, 103.25, 96.0, 101.0), 103.0),
        (FINER, (100.0, 104.0, 97.0, 101.0), 103.0),
    ],
)
def test_t19_a_bar_that_meets_stop_and_target_is_counted_and_told_as_the_portfolio_says(policy, bar, at):
    """Long 100, stop 98, target 103: -2 x 10 or +3 x 10. The finer bars go up to 104 first."""
    rows = np.array([[100.0, 104.0, 100.0, 103.0], [103.0, 103.0, 97.0, 101.0]])
    within = np.array([[0], [0], [0]]), np.array([[0], [0], [2]])
    ledger = protected(bar, order_stop=2.0, order_target=3.0, policy=policy, finer=Finer(*within, rows))
    assert fills(ledger)[1][4] == at
    assert ledger.equity[-1] == 20000.0 + (at - 100.0) * 10
    assert ledger.ambiguous[0] == (policy != FINER)
    assert trade(ledger.trades, "ambiguous") == [float(policy != FINER)]


def test_a_clear_bar_is_not_counted():
    ledger = protected((100.0, 102.0, 97.0, 101.0), order_stop=2.0, order_target=3.0)
    assert ledger.ambiguous[0] == 0.0


# Fills at the close or the settlement


def test_at_the_close_what_happened_inside_the_bar_comes_first():
    """Entered at the close of bar 1 (100), which had been at 97: its stop of 98 is not asked. Bar 2 goes to 97: out at
    98. Bar 3's close enters again only in a new episode."""
    told = bars(flat(100.0), (100.0, 101.0, 97.0, 100.0), (100.0, 100.0, 97.0, 97.5), flat(97.0))
    ledger = account(**(told | {"fill": told["close"]}), at_open=False, target=1.0, order_stop=2.0, order_episode=1)
    assert fills(ledger) == [(1, 0, "market", 1.0, 100.0), (2, 0, "protective stop", -1.0, 98.0)]


def test_at_the_close_a_line_that_left_inside_the_bar_trades_no_more_on_it():
    """Row 1 wants to be short, in episode 2. Bar 2 meets the stop of 98; the short is sold at the close of bar 3."""
    told = bars(flat(100.0), QUIET, (100.0, 100.0, 97.0, 97.5), flat(97.0))
    ledger = account(**(told | {"fill": told["close"]}), at_open=False, target=[1.0, -1.0, -1.0, -1.0], order_stop=2.0,
                     order_episode=[1, 2, 2, 2])  # fmt: skip
    assert fills(ledger)[1:] == [(2, 0, "protective stop", -1.0, 98.0), (3, 0, "market", -1.0, 97.0)]


def test_of_a_position_in_two_contracts_a_stop_sells_both():
    """4 rolled by half: 2 in H, 2 in M. M's stop at 4090 is met; the 2 in H are sold at 4090 - 25, the spread at which
    they were last valued. Won: 4 x (4090 - 4125) = -140 as the series has it, and nothing beside it."""
    told = bars(flat(4100.0), (4100.0, 4110.0, 4066.0, 4100.0), (4120.0, 4130.0, 4089.0, 4100.0))
    roll = {"roll": [False, True, False], "roll_contract": 202406, "roll_from": 4100.0, "roll_to": 4125.0}
    roll |= {"contract": [202403, 202403, 202406], "offset": [0.0, 0.0, -25.0], "roll_days": 2}
    roll |= {"left_contract": [0, 0, 202403], "left_open": 4095.0, "left_mark": 4075.0}
    ledger = account(**told, **roll, target=4.0, order_stop=35.0, order_episode=1)
    assert [row[2:] for row in fills(ledger)[-2:]] == [("protective stop", -2.0, 4065.0),
                                                       ("protective stop", -2.0, 4090.0)]  # fmt: skip
    assert ledger.fills[-2:, 2].tolist() == [202403.0, 202406.0]
    assert ledger.amount[2, 0, [PRICE, ROLL_GAP]].tolist() == [-140.0, 0.0]
    assert ledger.equity[-1] == 20000.0 - 140.0
