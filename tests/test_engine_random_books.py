"""The slow twin of the simulation holds together, and tells the cases that were worked by hand."""

import math
from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest

from engine import book
from tests import random_books, small_books
from tests.naive_account import account
from tests.naive_trades import CAUSES
from tests.small_books import NONE, inputs, limit_buy, long_es, rolled, slow_roll, spread_of_two, stopped, two_days

SEEDS = range(42)
OF_A_LINE = CAUSES[:8]  # all that trades are made of


@cache
def told(seed):
    """(inputs, all that the twin leaves)."""
    given = random_books.book_of(seed)
    return given, account(*given)


def amounts(left, cause, i=0):
    """What a line earned of one cause, bar by bar."""
    return [left["ledger"].get((t, i, cause), 0.0) for t in range(len(left["equity"]))]


def events(left):
    return [(t, i, kind) for t, i, kind, *_ in left["events"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_sums_to_the_equity_and_to_the_sleeves(seed):
    given, left = told(seed)
    capital = math.fsum(given[8].capital)
    assert left["equity"][-1] - capital == pytest.approx(math.fsum(left["ledger"].values()), abs=1e-6)
    assert np.allclose(np.sum(left["sleeve"], axis=1), left["equity"], rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_trades_and_contract_trades_sum_to_the_ledger_of_each_line(seed):
    _, left = told(seed)
    for i in range(len(left["positions"][0])):
        whole = math.fsum(v for (_, line, cause), v in left["ledger"].items() if line == i and cause in OF_A_LINE)
        for kind in ("trades", "legs"):
            nets = [trade["gross"] + trade["costs"] for trade in left[kind] if trade["line"] == i]
            assert math.fsum(nets) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fills_of_dated_contracts_leave_what_is_held_and_earn_what_is_told(seed):
    """A contract that was left again has earned what it was sold for less what it was bought for."""
    given, left = told(seed)
    size, paid, last = defaultdict(float), defaultdict(float), {}
    for t, i, contract, _, contracts, price, *_ in left["fills"]:
        size[i, contract] += contracts
        paid[i, contract] += contracts * price
        last[i, contract] = t
    held = {key: contracts for key, contracts in size.items() if abs(contracts) > 1e-9}
    assert held == pytest.approx(left["contracts"])
    gross = defaultdict(float)
    for leg in left["legs"]:
        gross[leg["line"], leg["entry_contract"]] += leg["gross"]
    facts, instrument = given[1], given[2].instrument
    worth = facts.multiplier * facts.fx
    for (i, contract), t in last.items():
        if (i, contract) not in held and (worth[: t + 1, instrument[i]] == worth[0, instrument[i]]).all():
            earned = -paid[i, contract] * worth[0, instrument[i]]
            assert gross[i, contract] == pytest.approx(earned, abs=1e-6)


def broken_by(given, left):
    """Why spreads broke: how many since a leg was closed with its contract, and how many since one was silent."""
    told = events(left)
    member = given[2].member
    spreads = {(t, member[i]) for t, i, kind in told if kind == "spread broken"}
    ends = {(t, member[i]) for t, i, kind in told if kind == "closed: no matched price"}
    return {"leg ended": len(spreads & ends), "leg silent": len(spreads - ends)}


def test_books_made_at_random_hold_everything_that_the_rules_speak_of():
    seen, kinds, rules = Counter(), Counter(), Counter()
    for seed in SEEDS:
        given, left = told(seed)
        seen.update(kind for _, _, kind in events(left))
        kinds.update(fill[3] for fill in left["fills"])
        kinds.update(leg["why"] for leg in left["legs"])
        rules.update(broken_by(given, left))
        rules.update({"left": sum(any(row) for row in left["left"]), "ambiguous": len(left["ambiguous"])})
        rules.update({"spreads": len(set(given[2].member)) < len(given[2].member), "held": not given[5].sweep})
        rules.update({("call", given[5].call): 1, ("rounding", given[5].rounding): 1, ("policy", given[5].policy): 1})
        rules.update(
            {"programs": given[11] is not None, "risk": given[12] is not None, "sleeves": len(given[8].share) > 1}
        )
    assert all(seen[kind] for kind in book.EVENTS)
    assert min(kinds[kind] for kind in book.KINDS if kind not in ("margin call", "time exit", "capital floor")) > 20
    assert kinds["closed"] and kinds["roll"]
    assert min(rules.values()) >= 4
    assert len(rules) == 18


def test_the_same_seed_makes_the_same_book():
    for one, other in zip(random_books.book_of(7), random_books.book_of(7), strict=True):
        assert repr(one) == repr(other)


def test_t27_t28_variation_margin_is_paid_from_settlement_to_settlement():
    left = account(*long_es(facts={"multiplier": 50.0}))
    assert amounts(left, "price") == [0.0, 250.0, -1000.0, 3000.0]
    assert left["equity"] == [1e6, 1e6 + 250.0, 1e6 - 750.0, 1e6 + 2250.0]


def test_t3_t7_t51_a_roll_earns_by_contract_and_its_gap_is_told_apart():
    left = account(*rolled())
    assert math.fsum(amounts(left, "price")) == 6250.0
    assert amounts(left, "roll_gap") == [0.0, -25.0, 0.0]
    assert [leg["gross"] for leg in left["legs"]] == [5000.0, 1225.0]
    assert [trade["rolls"] for trade in left["trades"]] == [1]


def test_t5_t55_a_roll_costs_two_sides():
    facts = {"multiplier": 50.0, "roll_slippage": 0.25, "roll_commission": 2.1}
    left = account(*rolled(facts=facts))
    costs = sum(amounts(left, "roll_slippage")) + sum(amounts(left, "roll_commission"))
    assert costs == pytest.approx(-29.2)


def test_t17_a_stop_given_in_adjusted_prices_is_moved_by_the_roll():
    given = list(rolled(orders={"stop_at": [NONE, 4065.0, 4065.0]}, resize=False))
    low = given[0].low.copy()
    low[2] = 4090.25
    assert not [fill for fill in account(given[0]._replace(low=low), *given[1:])["fills"] if "stop" in fill[3]]
    low[2] = 4080.0
    fills = account(given[0]._replace(low=low), *given[1:])["fills"]
    assert [fill[2:6] for fill in fills][-1] == (6, "protective stop", -1.0, 4090.0)


def test_t18_a_gap_through_a_stop_fills_at_the_open():
    fills = account(*stopped(49, 49.5, 48, 49, stop_at=50.0))["fills"]
    assert fills[-1][3:6] == ("protective stop", -1.0, 49.0)


@pytest.mark.parametrize(
    ("bar", "policy", "price"),
    [
        ((100, 104, 97, 101), book.WORST, 98.0),
        ((100, 104, 97, 101), book.NEARER, 98.0),
        ((100, 103.25, 96, 101), book.NEARER, 103.0),
    ],
)
def test_t19_a_bar_that_meets_stop_and_target_is_told_by_the_policy_and_counted(bar, policy, price):
    left = account(*stopped(*bar, policy=policy, stop=2.0, target=3.0))
    assert left["fills"][-1][5] == price
    assert left["ambiguous"] == {(2, 0)}


@pytest.mark.parametrize(
    ("open_", "low", "through", "price"),
    [(100, 99.75, True, None), (100, 99.75, False, 99.75), (100, 99.5, True, 99.75), (99, 98.5, True, 99.0)],
)
def test_t20_a_limit_is_traded_through_and_never_better_than_the_open(open_, low, through, price):
    fills = account(*limit_buy(open_, low, through))["fills"]
    assert [fill[5] for fill in fills] == ([] if price is None else [price])


@pytest.mark.parametrize(("wanted", "fills"), [(1, 0), (-1, 1)])
def test_t22_nothing_is_bought_at_the_upper_limit(wanted, fills):
    left = account(*inputs({"close": [100, 105], "locked": [0, 1]}, [wanted, wanted]))
    assert len(left["fills"]) == fills
    assert events(left) == ([] if fills else [(1, 0, "limit locked")])


def test_t23_a_share_of_the_volume_is_filled_and_the_rest_on_the_next_day():
    left = account(*two_days())
    assert [row[0] for row in left["positions"]] == [0.0, 4.0, 8.0, 10.0]
    assert events(left) == [(1, 0, "partial fill"), (2, 0, "partial fill")]


def test_t26_contracts_are_cut_toward_zero():
    left = account(*inputs({"close": [100, 100, 100]}, [3.33, -3.99, 0.5]))
    assert [row[0] for row in left["positions"]] == [0.0, 3.0, -3.0]


def test_t29_a_margin_call_comes_below_maintenance_and_a_second_lot_is_refused():
    """20,000, 12,000 maintenance, 50 a point: 160 points leave 12,000 and no call, one tick more is one."""
    facts = {"multiplier": 50.0, "initial": 13_200.0, "maintenance": 12_000.0}
    told = {"close": [4000, 4000, 3840, 3839.75, 3839.75]}
    left = account(*inputs(told, [2] * 5, facts=facts, capital=(20_000.0,)))
    assert [row[0] for row in left["positions"]] == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert [(t, i) for t, i, kind in events(left) if kind == "margin call"] == [(3, -1), (3, 0)]
    assert events(left)[0] == (0, 0, "margin refused")


@pytest.mark.parametrize(("sweep", "profit"), [(True, -3250.0), (False, -3000.0)])
def test_t32_foreign_profit_is_swept_or_kept(sweep, profit):
    """Bought at 18,000 on a bar that settles there; then 18,100 at 1.10 and 17,900 at 1.20."""
    told = {"close": [18_000, 18_000, 18_100, 17_900]}
    facts = {"multiplier": 25.0, "fx": [1.1, 1.1, 1.1, 1.2]}
    left = account(*inputs(told, [1] * 4, facts=facts, account={"sweep": sweep}))
    assert left["equity"][-1] - 1e6 == pytest.approx(profit)


def test_t34_interest_is_paid_on_what_margin_leaves_free():
    facts = {"initial": 12_000.0}
    clock = {"rate": 0.05, "days": [1, 1, 3]}
    left = account(*inputs({"close": [100] * 3}, [1, 1, 1], facts=facts, clock=clock, capital=(1e5,)))
    assert amounts(left, "interest", 1) == pytest.approx([0.0, 1e5 * 0.05 / 360, (88_000 + 13.8889) * 0.15 / 360])


def test_both_legs_of_a_spread_trade_or_none():
    left = account(*spread_of_two())
    assert left["positions"] == [[0.0, 0.0], [0.0, 0.0], [2.0, -2.0], [2.0, -2.0]]
    assert events(left) == [(1, 1, "limit locked"), (1, 0, "spread waits")]


def test_a_roll_over_several_days_earns_what_each_contract_earned():
    """Two a day: at 100 into 110, at 99 into 110, at 97 into 110; the six earned 2 x 0 + 2 x -1 + 2 x -3."""
    left = account(*slow_roll())
    assert [row[0] for row in left["left"]] == [0.0, 4.0, 2.0, 0.0, 0.0]
    assert amounts(left, "roll_gap") == [0.0, 0.0, -4.0, -4.0, 0.0]
    assert [leg["gross"] for leg in left["legs"]] == [-8.0, 0.0]


def test_lines_that_hold_the_same_contract_pay_for_their_net():
    """Three bought and one sold is a trade of two: each pays half."""
    legs = (([0], [1.0]), ([0], [1.0]))
    weight = [[3.0, -1.0]] * 2
    left = account(*inputs({"close": [100, 100]}, weight, legs=legs, facts={"commission": 2.0}))
    assert (amounts(left, "commission", 0)[1], amounts(left, "commission", 1)[1]) == (-3.0, -1.0)


def test_a_trailing_stop_follows_the_best_price_from_the_next_bar():
    told = {"open": [100, 100, 104, 106], "high": [100, 105, 108, 106], "low": [100, 99, 103, 101]}
    told["close"] = [100, 104, 106, 102]
    left = account(*inputs(told, [1] * 4, orders={"trail": 4.0}, resize=False))
    assert [fill[3:6] for fill in left["fills"]] == [("market", 1.0, 100.0), ("trailing stop", -1.0, 104.0)]


def test_a_position_is_left_after_its_time_and_waits_for_a_new_episode():
    orders = {"hold": 2, "episode": [1, 1, 1, 1, 2, 2]}
    left = account(*inputs({"close": [100] * 6}, [1] * 6, orders=orders, resize=False))
    assert [row[0] for row in left["positions"]] == [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]


def test_payments_and_fees_are_the_accounts_and_are_split_over_the_sleeves():
    legs = (([0], [1.0]), ([0], [1.0]))
    clock = {"transfer": [0, 4000, 0], "month_begin": [False, False, True], "rebalance": [False, False, True]}
    given = {"close": [100, 100, 110], "open": [100, 100, 100]}
    account_ = {"fee": 0.12, "fixed_fee": 60.0}
    left = account(
        *inputs(
            given, [[1.0, 0.0]] * 3, legs=legs, clock=clock, account=account_, capital=(3000.0, 1000.0), sleeve=[0, 1]
        )
    )
    assert left["sleeve"][1] == [6000.0, 2000.0]
    assert amounts(left, "fee", 2) == [0.0, 0.0, -140.0]
    assert left["equity"][2] == 8000.0 + 10.0 - 140.0
    assert left["sleeve"][2] == [7870.0 * 0.75, 7870.0 * 0.25]


def test_below_the_capital_floor_all_is_sold_and_nothing_is_bought_again():
    left = account(*inputs({"close": [100, 100, 40, 90, 90]}, [1] * 5, capital=(100.0,), account={"floor": 50.0}))
    assert [row[0] for row in left["positions"]] == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert events(left) == [(2, -1, "capital floor")]


def test_a_contract_that_ends_without_a_price_is_closed_at_its_last_mark():
    told = {"close": [100, 102, NONE, 50], "closed": [0, 0, 1, 0], "contract": [3, 3, 3, 6]}
    left = account(*inputs(told, [1, 1, 0, 0]))
    assert left["fills"][-1][:6] == (2, 0, 3, "closed", -1.0, 102.0)
    assert left["equity"][-1] == 1e6


def test_small_books_are_what_they_say():
    given = small_books.inputs({"close": [1.0, 2.0]}, [1, 1])
    assert given[0].fill.tolist() == [[1.0], [2.0]]
    assert given[4] is None
