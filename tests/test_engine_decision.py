"""What is decided at the end of a bar against accounts worked by hand: sizes, sleeves, cash, margin, limits."""

import numpy as np
import pytest

from engine.book import (
    FEE,
    FRACTIONAL,
    INTEREST,
    LARGEST_LOSER,
    LARGEST_REQUIREMENT,
    LIMIT,
    NEAREST_RISK,
    PRO_RATA,
    TRANSFER,
)
from engine.strategy import program
from tests.hand import Risk, account, called, events, exits, fills, held, trade

nan = np.nan


def quiet(bars, target, **changes):
    """A market that stays at 100."""
    return account(fill=[100.0] * bars, mark=[100.0] * bars, target=target, **changes)


# Sizes


def test_within_the_buffer_nothing_is_traded_and_beyond_it_only_to_its_edge():
    """Usual position 10, buffer a tenth of it: 1. From 0 to 10: to 9. 10.9 is 10, within 1 of 9. 12.5: to 11.5, 11.
    11.9 is within 1 of 11. -12: to -11. To nothing it always goes."""
    ledger = quiet(7, [10.0, 10.9, 12.5, 11.9, -12.0, 0.0, 0.0], buffer=0.1, usual=10.0)
    assert held(ledger) == [0.0, 9.0, 9.0, 11.0, 11.0, -11.0, 0.0]


def test_the_edge_of_the_buffer_is_rounded_so_that_one_contract_is_held():
    """1 wanted, usual 1: the edge of 0.9 is 1. 2.7 wanted, usual 2.5: from 9 to 2.95, 3; from 0 to 2.45, 2, for 3 is
    beyond 2.7; so is -3 beyond -2.7."""
    assert held(quiet(2, 1.0, buffer=0.1, usual=1.0)) == [0.0, 1.0]
    assert held(quiet(3, [9.25, 2.7, 2.7], buffer=0.1, usual=2.5)) == [0.0, 9.0, 3.0]
    assert held(quiet(2, 2.7, buffer=0.1, usual=2.5)) == [0.0, 2.0]
    assert held(quiet(2, -2.7, buffer=0.1, usual=2.5)) == [0.0, -2.0]


def test_contracts_that_a_strategy_asks_for_have_no_buffer():
    told = {"buffer": 0.5, "usual": 10.0, "contracts": True}
    assert held(quiet(4, [10.0, 11.0, 9.0, 9.0], **told)) == [0.0, 10.0, 11.0, 9.0]


def test_t26_contracts_become_whole_toward_zero_or_stay_fractions():
    assert held(quiet(2, 3.99))[1] == 3.0
    assert held(quiet(2, -3.99))[1] == -3.0
    fractions = quiet(2, -3.99, rounding=FRACTIONAL, commission=2.0)
    assert held(fractions)[1] == -3.99
    assert fractions.equity[1] == pytest.approx(20000.0 - 3.99 * 2.0, abs=1e-9)


@pytest.mark.parametrize(("cost", "got"), [(30.0, 1.0), (10.0, 2.0)])
def test_the_nearest_whole_contracts_in_risk_weigh_what_trading_them_costs(cost, got):
    """1.6 wanted, a contract's risk is 100 a day. At a cost of 30: none is 160 away, one 60 + 30 = 90, two 40 + 60 =
    100: one. At 10: one 60 + 10 = 70, two 40 + 20 = 60: two."""
    risk = Risk(np.full((1, 1, 1), 10000.0), np.zeros(2, np.int64), np.full((2, 1), cost))
    assert held(quiet(2, 1.6, rounding=NEAREST_RISK, risk=risk))[1] == got


def test_contracts_that_a_strategy_asks_for_are_not_chosen_by_risk():
    """To trade one costs more than it is worth to be near; the other market is the one that gives way."""
    risk = Risk(np.full((1, 2, 2), 10000.0), np.zeros(3, np.int64), np.full((3, 2), 1e6))
    ledger = quiet(3, np.array([[10.0, 0.5], [11.0, 0.5], [11.0, 0.5]]), markets=2, rounding=NEAREST_RISK, risk=risk,
                   contracts=[True, False])  # fmt: skip
    assert ledger.position.tolist() == [[0.0, 0.0], [10.0, 0.0], [11.0, 0.0]]


def test_half_a_contract_each_of_two_markets_that_move_as_one_is_one_contract():
    risk = Risk(np.full((1, 2, 2), 10000.0), np.zeros(2, np.int64), np.zeros((2, 2)))
    ledger = quiet(2, 0.5, markets=2, rounding=NEAREST_RISK, risk=risk)
    assert ledger.position[1].tolist() == [1.0, 0.0]


def test_t36_sizes_follow_the_equity_or_stay_at_the_capital_of_the_start():
    """One contract for each 10,000 of 20,000, 100 a point: 2. Bar 1 gains 2 x 50 x 100 = 10,000: 3 of 30,000, or 2."""
    told = {"fill": [100.0, 100.0, 150.0], "mark": [100.0, 150.0, 150.0], "target": 1e-4, "multiplier": 100.0}
    assert held(account(**told, per_capital=True)) == [0.0, 2.0, 3.0]
    assert held(account(**told, per_capital=True, compounding=False)) == [0.0, 2.0, 2.0]


def test_what_is_no_longer_available_is_sold():
    assert held(quiet(4, 1.0, available=[[True], [True], [False], [True]])) == [0.0, 1.0, 1.0, 0.0]


def test_a_spread_is_cut_to_whole_units_with_both_its_legs():
    """Five units of +1 -2 are -10 of the second market, where 5 are allowed: 2.5 units, 2 whole: +2 -4."""
    ledger = quiet(2, 5.0, markets=2, lines={"member": [0, 0], "ratio": [1.0, -2.0]}, limit_contracts=5.0)
    assert ledger.position[1].tolist() == [2.0, -4.0]


# Functions called bar by bar


@program
def follow(t, columns, adjusted, mark, position, equity, params, memory, forecast):
    """Goes with the last change, `params[0]` times the usual size, while the equity is above `params[1]`."""
    for j in range(len(columns)):
        memory[j, 0] += 1.0
        change = mark[t, columns[j]] - mark[t - 1, columns[j]] if t > 0 else 0.0
        forecast[j] = params[0] * np.sign(change) if equity > params[1] else 0.0


def test_a_function_called_bar_by_bar_is_asked_once_a_bar_and_filled_on_the_next():
    """Marks 100, 101, 99, 102: rows ask for 0, +, -, +; 1.5 times the usual 2 is 3."""
    mark = [100.0, 101.0, 99.0, 102.0]
    asked = called(follow, 1, mark, (1.5, 0.0))
    ledger = account(fill=mark, mark=mark, target=0.0, usual=2.0, programs=asked, program=0)
    assert held(ledger) == [0.0, 0.0, 3.0, -3.0]
    assert asked.memory[0, 0] == 0.0  # what is given stays as it was: the same again gives the same


@program
def count(t, columns, adjusted, mark, position, equity, params, memory, forecast):
    """Asks for as many as it has been asked."""
    memory[0, 0] += 1.0
    forecast[0] = memory[0, 0]


def test_a_function_called_bar_by_bar_keeps_its_memory_within_a_run_and_not_beyond():
    flat_ = [100.0] * 4
    asked = called(count, 1, flat_, ())
    for _ in range(2):
        ledger = account(fill=flat_, mark=flat_, target=0.0, usual=1.0, programs=asked, program=0)
        assert held(ledger) == [0.0, 1.0, 2.0, 3.0]


def test_a_function_called_bar_by_bar_knows_the_equity_of_its_own_sleeve():
    """The first sleeve has 6,000 of 10,000: below 7,000 nothing is asked for, below 5,000 it would be."""
    mark = [[100.0, 100.0], [101.0, 100.0], [102.0, 100.0]]
    told = {"fill": mark, "mark": mark, "target": 0.0, "usual": 1.0, "markets": 2, "capital": 10000.0}
    told |= {"share": [0.6, 0.4], "lines": {"sleeve": [0, 1]}, "program": [0, -1]}
    for least, got in ((7000.0, 0.0), (5000.0, 1.0)):
        assert held(account(**told, programs=called(follow, 1, np.array(mark)[:, :1], (1.0, least))))[2] == got


# Sleeves


def test_sleeves_earn_what_their_lines_earn_and_size_by_their_own_equity():
    """6,000 and 4,000, one contract for each 1,000, 10 a point: 6 and 4. +10 x 6 x 10 = 600, -5 x 4 x 10 = -200: 6,600
    and 3,800, of which 6 and 3 contracts. Bar 2 moves nothing and brings them back to 60 and 40 of 10,400."""
    ledger = account(
        fill=[[nan, nan], [100.0, 100.0], [110.0, 95.0]], mark=[[100.0, 100.0], [110.0, 95.0], [110.0, 95.0]],
        target=1e-3, markets=2, capital=10000.0, share=[0.6, 0.4], per_capital=True, multiplier=10.0,
        lines={"sleeve": [0, 1]}, rebalance=[False, False, True],
    )  # fmt: skip
    assert ledger.position.tolist() == [[0.0, 0.0], [6.0, 4.0], [6.0, 3.0]]
    assert np.allclose(ledger.sleeve, [[6000, 4000], [6600, 3800], [6240, 4160]], rtol=0.0, atol=1e-9)
    assert np.array_equal(ledger.sleeve.sum(axis=1), ledger.equity)


def test_money_of_the_account_is_shared_out_by_the_equity_of_the_sleeves():
    """1,000 paid in: 600 and 400 of 6,000 and 4,000."""
    ledger = quiet(2, 0.0, capital=10000.0, share=[0.6, 0.4], transfer=[0.0, 1000.0])
    assert np.allclose(ledger.sleeve[1], [6600.0, 4400.0], rtol=0.0, atol=1e-9)


# Cash


def test_money_is_paid_in_before_the_fee_of_the_month_is_taken():
    """10,000 + 2,000; 1.2 % a year are 0.1 % a month of 12,000, and 10 fixed: 22."""
    ledger = quiet(
        2, 0.0, capital=10000.0, transfer=[0.0, 2000.0], month_begin=[False, True], fee=0.012, fixed_fee=10.0
    )
    assert ledger.amount[1, -1, [TRANSFER, FEE]].tolist() == [2000.0, -22.0]
    assert ledger.equity[1] == 11978.0


def test_an_equity_below_zero_pays_the_fixed_fee_only():
    ledger = quiet(
        2, 0.0, capital=10000.0, transfer=[0.0, -15000.0], month_begin=[False, True], fee=0.012, fixed_fee=10.0
    )
    assert ledger.equity[1] == -5010.0


@pytest.mark.parametrize(("rate", "paid"), [(0.05, 33.3333), (0.005, 0.0), (-0.005, -12.5)])
def test_free_cash_earns_the_rate_less_the_brokers_spread_and_not_less_than_nothing(rate, paid):
    """100,000 over a weekend: 5 % - 1 % = 4 %, x 3 / 360. 0.5 % - 1 % is nothing; -0.5 % - 1 % = -1.5 % is paid."""
    ledger = quiet(2, 0.0, capital=100000.0, rate=rate, credit_spread=0.01, days=[0, 3])
    assert ledger.amount[1, -1, INTEREST] == pytest.approx(paid, abs=1e-4)


def test_what_margin_asks_beyond_the_equity_is_borrowed():
    """Margin 12,000, equity 10,000: 2,000 at 5 % + 2 % for 36 days, -2,000 x 0.07 x 36 / 360 = -14."""
    ledger = quiet(3, 1.0, capital=10000.0, initial=[0.0, 12000.0, 0.0], rate=0.05, debit_spread=0.02, days=[0, 0, 36])
    assert ledger.amount[2, -1, INTEREST] == pytest.approx(-14.0, abs=1e-9)


def test_there_is_no_interest_between_the_bars_of_a_day():
    assert quiet(3, 0.0, rate=0.05, days=[0, 0, 0]).equity[-1] == 20000.0


# Margin


def test_t33_the_margin_of_a_foreign_contract_is_converted():
    """10,000 euros at 1.20."""
    assert quiet(2, 1.0, initial=10000.0, fx=1.2).margin.tolist() == [0.0, 12000.0]


def test_t29_the_initial_margin_of_an_increase_has_to_be_covered():
    """13,200 a contract and 20,000: one of two. What is held already needs no cover: 1 stays when 25,000 are asked."""
    ledger = quiet(3, 2.0, initial=[13200.0, 25000.0, 25000.0], maintenance=12000.0)
    assert held(ledger) == [0.0, 1.0, 1.0]
    assert events(ledger)[:2] == [(0, 0, "margin refused", 2.0, 1.0), (1, 0, "margin refused", 2.0, 1.0)]


@pytest.mark.parametrize(
    ("rule", "initial", "capital", "after"),
    [
        (PRO_RATA, [1000.0, 1000.0], 10000.0, [3.0, -3.0]),
        (LARGEST_LOSER, [1000.0, 1000.0], 10000.0, [1.0, -5.0]),
        (LARGEST_REQUIREMENT, [1000.0, 1200.0], 11000.0, [5.0, 0.0]),
    ],
)
def test_a_margin_call_cuts_by_the_rule_of_the_portfolio(rule, initial, capital, after):
    """5 and -5, 100 a point; the first falls by so much that 6,000 are left. Pro rata: 5 x 6 / 10 = 3 each. The loser
    alone: 4 of its 5. The largest requirement, 6,000: 11,000 - 4 x 1,200 = 6,200 is too much, so all 5 of them."""
    fall = (capital - 6000.0) / 500.0
    ledger = account(
        fill=[[100.0, 100.0], [100.0, 100.0], [nan, nan], [100.0 - fall, 100.0]],
        mark=[[100.0, 100.0], [100.0, 100.0], [100.0 - fall, 100.0], [100.0 - fall, 100.0]], target=[[5.0, -5.0]] * 4,
        markets=2, multiplier=100.0, capital=capital, initial=[initial] * 4, maintenance=900.0, call=rule,
    )  # fmt: skip
    cut = [(2, i, "margin call", has, after[i]) for i, has in enumerate([5.0, -5.0]) if after[i] != has]
    assert events(ledger)[: 1 + len(cut)] == [(2, -1, "margin call", 9000.0, 6000.0), *cut]
    assert ledger.position[3].tolist() == after
    assert {kind for t, _, kind, *_ in fills(ledger) if t == 3} == {"margin call"}
    assert ledger.margin[3] <= ledger.equity[3]


def test_a_margin_call_does_not_stand_in_the_way_of_who_wants_less_or_to_turn():
    """5 held where 3 are covered; 2 wanted: 2. -2 wanted: -2. -9 wanted: as many as are left, on the other side: -3."""
    for wanted, got in ((2.0, 2.0), (-2.0, -2.0), (-9.0, -3.0)):
        ledger = quiet(3, [5.0, wanted, wanted], capital=30000.0, initial=[0.0, 1e4, 1e4], maintenance=[0.0, 1e4, 1e4])
        assert held(ledger)[2] == got


def test_a_margin_call_says_whom_it_cut_and_none_is_told_where_nothing_can_be_cut():
    """5 held where 3 are covered: 5 and 3, though only 2 are wanted. 3 and -3 of one contract ask for nothing: nobody
    is cut, though 10,000 are missing."""
    ledger = quiet(3, [5.0, 2.0, 2.0], capital=30000.0, initial=[0.0, 1e4, 1e4], maintenance=[0.0, 1e4, 1e4])
    assert events(ledger) == [(1, -1, "margin call", 5e4, 3e4), (1, 0, "margin call", 5.0, 3.0)]
    ledger = quiet(4, [[3.0, -3.0]] * 4, lines={"instrument": [0, 0], "root": [0, 0]}, initial=1000.0,
                   maintenance=900.0, transfer=[0.0, 0.0, -30000.0, 0.0])  # fmt: skip
    assert events(ledger) == [] and ledger.position[3].tolist() == [3.0, -3.0]


def test_of_two_contracts_of_one_root_part_of_the_margin_is_waived():
    """Long March, short June: 2 x 1,000, of which three quarters are waived: 500."""
    told = {"markets": 2, "contract": [[202403, 202406]] * 2, "initial": 1000.0, "lines": {"root": [0, 0]}}
    assert quiet(2, [[1.0, -1.0]] * 2, **told, spread_credit=0.75).margin[1] == 500.0
    assert quiet(2, [[1.0, -1.0]] * 2, **told).margin[1] == 2000.0
    assert quiet(2, [[1.0, 1.0]] * 2, **told, spread_credit=0.75).margin[1] == 2000.0


def test_lines_in_one_contract_ask_for_the_margin_of_their_net():
    told = {"initial": 1000.0, "lines": {"instrument": [0, 0], "root": [0, 0]}}
    assert quiet(2, [[3.0, -1.0]] * 2, **told).margin[1] == 2000.0


def test_within_the_day_a_part_of_the_margin_is_asked():
    """1,000 a contract, a half within the day: 2,000 of equity bear 4 on bar 1; at its end 2 of them have to go."""
    ledger = quiet(4, 4.0, capital=2000.0, initial=1000.0, maintenance=1000.0, intraday_margin=0.5,
                   day_end=[False, False, True, True])  # fmt: skip
    assert ledger.margin.tolist() == [0.0, 2000.0, 4000.0, 2000.0]
    assert events(ledger)[0] == (2, -1, "margin call", 4000.0, 2000.0)
    assert held(ledger) == [0.0, 4.0, 4.0, 2.0]


def test_below_the_capital_floor_all_is_sold_and_nothing_is_bought_again():
    """10 contracts at 10 a point lose 51 points, 5,100: 14,900 is below 15,000. Sold at 50; after
    that nothing is wanted, and so nothing refused, though 15,000 cover no ten of 1,900."""
    ledger = account(fill=[100.0, 100.0, nan, 50.0, 60.0, 70.0], mark=[100.0, 100.0, 49.0, 50.0, 60.0, 70.0],
                     target=10.0, multiplier=10.0, floor=15000.0, initial=1900.0)  # fmt: skip
    assert held(ledger) == [0.0, 10.0, 10.0, 0.0, 0.0, 0.0]
    assert events(ledger) == [(2, -1, "capital floor", 15000.0, 14900.0)]
    assert fills(ledger)[1] == (3, 0, "capital floor", -10.0, 50.0)
    assert exits(ledger.trades) == ["capital floor"]
    assert ledger.equity[-1] == 20000.0 - 50 * 100


def test_a_run_goes_on_when_the_money_is_gone():
    """10 contracts at 100 a point lose 30 points: 20,000 - 30,000 = -10,000. Called, sold at 72 (+2,000). 8,000 are
    missing: all is told once, nothing is bought, and what is missing is borrowed."""
    ledger = account(fill=[100.0, 100.0, nan, 72.0, 80.0, 80.0], mark=[100.0, 100.0, 70.0, 75.0, 80.0, 80.0],
                     target=10.0, multiplier=100.0, initial=1000.0, maintenance=900.0, rate=[0, 0, 0, 0, 0.05, 0],
                     debit_spread=0.0, days=[0, 1, 1, 1, 1, 36])  # fmt: skip
    assert held(ledger) == [0.0, 10.0, 10.0, 0.0, 0.0, 0.0]
    called = [(2, -1, "margin call", 9000.0, -10000.0), (2, 0, "margin call", 10.0, 0.0)]
    assert events(ledger) == [*called, (3, -1, "ruined", 0.0, -8000.0)]
    assert ledger.equity[2:].tolist() == pytest.approx([-10000.0, -8000.0, -8000.0, -8000.0 - 8000 * 0.05 / 10])
    assert exits(ledger.trades) == ["margin call"]


def test_an_account_is_ruined_once_and_not_while_it_holds_something():
    """All is paid out, then 5,000 in and 9,000 out: told the first time. 10 contracts of no margin lose 30 points at
    100 a point and win back 25: nothing asks to sell them, and nothing is told."""
    gone = quiet(5, 0.0, transfer=[0.0, -20000.0, 0.0, 5000.0, -9000.0])
    assert events(gone) == [(1, -1, "ruined", 0.0, 0.0)]
    ledger = account(fill=[100.0, 100.0, nan, nan], mark=[100.0, 100.0, 70.0, 95.0], target=10.0, multiplier=100.0)
    assert ledger.equity.tolist() == [20000.0, 20000.0, -10000.0, 15000.0]
    assert events(ledger) == [] and held(ledger) == [0.0, 10.0, 10.0, 10.0]


# Limits. 20,000 of equity, a price of 100, 10 a point: a contract is 1,000 of notional. Ten are wanted.


@pytest.mark.parametrize(
    ("name", "limits", "allowed"),
    [
        ("contracts", {"limit_contracts": 4.0}, 4.0),
        ("sector contracts", {"limit_sector": 4.0}, 4.0),
        ("side contracts", {"limit_side": 4.0}, 4.0),
        ("volume", {"limit_volume": 0.1, "liquidity": 45.0}, 4.0),  # 4.5
        ("open interest", {"limit_open_interest": 0.01, "open_interest": 450.0}, 4.0),  # 4.5
        ("group risk", {"limit_group": 0.03, "sigma": 1.0}, 3.0),  # 600 / (1 x 10 x sqrt(252) = 158.75) = 3.78
        ("gross notional", {"limit_gross": 0.23}, 4.0),  # 4,600
        ("net notional", {"limit_net": 0.23}, 4.0),
        ("margin", {"limit_margin": 0.23, "initial": 1000.0}, 4.0),
    ],
)
def test_what_a_limit_cuts_is_an_event_of_its_name(name, limits, allowed):
    ledger = quiet(2, 10.0, multiplier=10.0, lines={"group": [0]}, **limits)
    assert events(ledger)[0] == (0, 0, f"limit {name}", 10.0, allowed)
    assert held(ledger) == [0.0, allowed]


def test_limits_cut_one_after_the_other_and_each_says_what_it_cut():
    """At most 8 contracts; then a margin of 0.2 x 20,000 = 4,000, 1,000 each: 4; equity covers them."""
    ledger = quiet(2, 10.0, limit_contracts=8.0, limit_margin=0.2, initial=1000.0)
    assert [event for event in events(ledger) if event[0] == 0] == [
        (0, 0, "limit contracts", 10.0, 8.0),
        (0, 0, "limit margin", 8.0, 4.0),
    ]


def test_a_limit_of_the_net_lets_lines_that_offset_each_other_pass():
    """8 and -2 of one root, 4 allowed net: 6 and -2."""
    ledger = quiet(2, [[8.0, -2.0]] * 2, lines={"instrument": [0, 0], "root": [0, 0]}, limit_contracts=4.0)
    assert ledger.position[1].tolist() == [6.0, -2.0]


def test_a_limit_looks_at_the_price_of_the_contract_rolled_into():
    """Rolled out of 100 into 200: a contract is 200 x 10 = 2,000 of notional, and half of 20,000 are 5 of the 10."""
    ledger = account(fill=[100.0, 100.0, 200.0], mark=[100.0, 100.0, 200.0], target=[0.0, 10.0, 10.0], multiplier=10.0,
                     roll=[False, True, False], roll_contract=202406, roll_from=100.0, roll_to=200.0, limit_gross=0.5,
                     contract=[202403, 202403, 202406])  # fmt: skip
    assert events(ledger)[0] == (1, 0, "limit gross notional", 10.0, 5.0)
    assert held(ledger) == [0.0, 0.0, 5.0]


def test_an_entry_that_waits_counts_as_if_it_were_filled():
    """Ten by a limit order at 99, 4 allowed: 4 wait, and 4 are bought. The same where the margin of 4 is covered."""
    told = {"fill": [100.0, 100.0], "mark": [100.0, 99.0], "low": [100.0, 98.0], "target": 10.0, "order_kind": LIMIT}
    told |= {"order_price": 99.0, "order_episode": 1}
    assert fills(account(**told, limit_contracts=4.0)) == [(1, 0, "limit", 4.0, 99.0)]
    ledger = account(**told, initial=5000.0)
    assert fills(ledger) == [(1, 0, "limit", 4.0, 99.0)]
    assert events(ledger)[0] == (0, 0, "margin refused", 10.0, 4.0)


def test_the_risk_of_a_trade_is_told_in_money_from_its_entry_to_its_first_stop():
    """2 contracts, stop 3 points below the fill, 10 a point: 60; with a trail of 2 points 40."""
    told = {"target": 2.0, "multiplier": 10.0, "order_episode": 1}
    assert trade(quiet(2, **told, order_stop=3.0).trades, "risk") == [60.0]
    assert trade(quiet(2, **told, order_stop=3.0, order_trail=2.0).trades, "risk") == [40.0]
