"""Market orders on a bar against accounts worked by hand: costs, locks, volume, netting, spreads."""

import numpy as np
import pytest

from engine.book import COMMISSION, FRACTIONAL, IMPACT, PRICE, SLIPPAGE
from tests.hand import account, bars, events, fills, flat, held

nan = np.nan
COSTS = {"slippage": 0.25, "commission": 2.0, "multiplier": 50.0}


# Orders at the market


def test_a_market_order_fills_at_the_next_open_and_pays_slippage_impact_and_commission():
    """Bought 4 at 100, marked at 101, 50 a point: 4 x 1 x 50 = 200. A tick of 0.25: 4 x 0.25 x 50 = 50. Impact 0.5
    points for the whole volume of 100: 0.5 x 4 / 100 = 0.02 points, x 4 x 50 = 4. Commission 4 x 2 = 8."""
    ledger = account(fill=[nan, 100.0], mark=[99.0, 101.0], target=4.0, impact=0.5, volume=100.0, **COSTS)
    assert fills(ledger) == [(1, 0, "market", 4.0, 100.0)]
    assert ledger.amount[1, 0, [PRICE, SLIPPAGE, IMPACT, COMMISSION]].tolist() == [200.0, -50.0, -4.0, -8.0]
    assert ledger.equity.tolist() == [20000.0, 20138.0]
    assert ledger.notional[1] == 4 * 100 * 50


def test_the_impact_goes_by_the_usual_volume_where_that_of_the_bar_is_not_known():
    """Usual volume on the row before 200: 0.5 x 4 / 200 = 0.01 points, x 4 x 50 = 2; nothing known: none."""
    told = {"fill": [nan, 100.0], "mark": [99.0, 101.0], "target": 4.0, "impact": 0.5, "multiplier": 50.0}
    assert account(**told, liquidity=[200.0, 999.0]).amount[1, 0, IMPACT] == -2.0
    assert account(**told).amount[1, 0, IMPACT] == 0.0


def test_impact_can_go_by_a_power_of_the_share_of_volume():
    """A quarter of the volume to the power of one half: 0.5 x 0.5 = 0.25 points, x 25 contracts."""
    told = {"fill": [nan, 100.0], "mark": [99.0, 100.0], "target": 25.0, "impact": 0.5, "volume": 100.0}
    assert account(**told, power=0.5).amount[1, 0, IMPACT] == -6.25


def test_t21_what_slips_is_a_cost_of_its_own_and_stays_whole_at_the_edge_of_the_bar():
    """Bought at the high of 101.00 with a tick of 0.25: the fill is told at 101.00, the cost is 0.25 x 50 = 12.50."""
    ledger = account(**bars(flat(100.0), (101.0, 101.0, 99.0, 100.0)), target=1.0, slippage=0.25, multiplier=50.0)
    assert fills(ledger) == [(1, 0, "market", 1.0, 101.0)]
    assert ledger.amount[1, 0, SLIPPAGE] == -12.5
    assert ledger.equity[1] == 20000.0 - 50.0 - 12.5


def test_t22_nothing_is_bought_at_a_locked_upper_limit_and_the_order_is_tried_again():
    told = bars(flat(100.0), flat(105.0), (103.0, 104.0, 102.0, 103.5))
    ledger = account(**told, locked=[0, 1, 0], target=[2.0, 2.0, 2.0])
    assert held(ledger) == [0.0, 0.0, 2.0]
    assert events(ledger) == [(1, 0, "limit locked", 2.0, 0.0)]
    assert fills(ledger) == [(2, 0, "market", 2.0, 103.0)]


def test_t22_what_is_sold_at_a_locked_upper_limit_is_sold():
    ledger = account(**bars(flat(100.0), flat(105.0)), locked=[0, 1], target=-2.0)
    assert fills(ledger) == [(1, 0, "market", -2.0, 105.0)]
    assert events(ledger) == []


def test_t22_an_order_that_a_lock_held_back_is_given_up_with_the_wish():
    told = bars(flat(100.0), flat(105.0), (103.0, 104.0, 102.0, 103.5))
    assert held(account(**told, locked=[0, 1, 0], target=[2.0, 0.0, 0.0])) == [0.0, 0.0, 0.0]


def test_an_order_waits_for_a_bar_with_an_open():
    """The mark is known, the open is not: nothing fills, and the order is tried on the next bar."""
    ledger = account(fill=[nan, nan, 103.0], mark=[100.0, 101.0, 104.0], target=1.0)
    assert fills(ledger) == [(2, 0, "market", 1.0, 103.0)]


# Volume


def test_t23_a_tenth_of_the_volume_is_four_of_ten_contracts_and_the_rest_is_tried_on_the_next_bars():
    ledger = account(fill=[nan, 100.0, 101.0, 102.0], mark=100.0 + np.arange(4), target=10.0, volume=40.0,
                     participation=0.1)  # fmt: skip
    assert held(ledger) == [0.0, 4.0, 8.0, 10.0]
    assert events(ledger) == [(1, 0, "partial fill", 10.0, 4.0), (2, 0, "partial fill", 6.0, 4.0)]
    assert [row[3:] for row in fills(ledger)] == [(4.0, 100.0), (4.0, 101.0), (2.0, 102.0)]


def test_t23_a_volume_that_is_not_known_holds_nothing_back_and_one_of_zero_everything():
    told = {"fill": [nan, 100.0], "mark": [100.0, 100.0], "target": 10.0, "participation": 0.1}
    assert held(account(**told)) == [0.0, 10.0]
    assert held(account(**told, volume=0.0)) == [0.0, 0.0]


def test_t23_lines_of_one_contract_share_what_may_trade():
    """They want 8 and -2 of one contract, 6 net; 40 x 0.1 = 4 may trade: 8 x 4/6 = 5.33 is 5, -2 x 4/6 is -1."""
    ledger = account(fill=[[nan], [100.0]], mark=[100.0, 100.0], target=[[8.0, -2.0]] * 2, volume=40.0,
                     participation=0.1, lines={"instrument": [0, 0], "root": [0, 0]})  # fmt: skip
    assert ledger.position[1].tolist() == [5.0, -1.0]


def test_t23_a_spread_trades_whole_units_of_what_its_thinnest_leg_allows():
    """Five units of +1 -2: 10 of the second leg; 60 x 0.1 = 6 may trade: 5 x 6/10 = 3 units, +3 and -6."""
    ledger = account(fill=[nan, 100.0], mark=[100.0, 100.0], target=5.0, markets=2, volume=[[999.0, 60.0]] * 2,
                     participation=0.1, lines={"member": [0, 0], "ratio": [1.0, -2.0]})  # fmt: skip
    assert ledger.position[1].tolist() == [3.0, -6.0]
    assert events(ledger) == [(1, 0, "partial fill", 5.0, 3.0), (1, 1, "partial fill", -10.0, -6.0)]


# Netting


def test_t23_of_fractions_of_contracts_fractions_trade():
    """0.5 and 0.9 wanted where a tenth of 8 may trade: 0.5 at once; 0.8, and 0.1 on the next bar."""
    told = {"fill": [100.0] * 3, "mark": [100.0] * 3, "volume": 8.0, "participation": 0.1, "rounding": FRACTIONAL}
    assert held(account(target=0.5, **told)) == [0.0, 0.5, 0.5]
    assert held(account(target=0.9, **told)) == pytest.approx([0.0, 0.8, 0.9], abs=1e-12)


def test_two_lines_in_one_contract_trade_their_net_and_share_its_costs():
    """+3 and -1 are 2 bought outside: a share of 2/4. At 2.00 a side the first pays 3 x 1/2 x 2 = 3, the second 1; a
    tick of 12.50 likewise 18.75 and 6.25. Outside 2 x 100 x 50 were traded."""
    ledger = account(fill=[nan, 100.0], mark=[100.0, 101.0], target=[[3.0, -1.0]] * 2,
                     lines={"instrument": [0, 0], "root": [0, 0]}, **COSTS)  # fmt: skip
    assert ledger.amount[1, :2, COMMISSION].tolist() == [-3.0, -1.0]
    assert ledger.amount[1, :2, SLIPPAGE].tolist() == [-18.75, -6.25]
    assert ledger.amount[1, :2, PRICE].tolist() == [150.0, -50.0]
    assert ledger.notional[1] == 2 * 100 * 50
    assert fills(ledger) == [(1, 0, "market", 3.0, 100.0), (1, 1, "market", -1.0, 100.0)]


def test_the_impact_is_that_of_the_net():
    """Net 2 of 100: 0.5 x 2 / 100 = 0.01 points of each contract traded outside: 2 x 0.01 x 50 = 1, 0.75 and 0.25."""
    ledger = account(fill=[nan, 100.0], mark=[100.0, 100.0], target=[[3.0, -1.0]] * 2, impact=0.5, volume=100.0,
                     multiplier=50.0, lines={"instrument": [0, 0], "root": [0, 0]})  # fmt: skip
    assert ledger.amount[1, :2, IMPACT].tolist() == [-0.75, -0.25]


def test_two_lines_that_offset_each_other_cost_nothing():
    ledger = account(fill=[nan, 100.0], mark=[100.0, 101.0], target=[[1.0, -1.0]] * 2,
                     lines={"instrument": [0, 0], "root": [0, 0]}, **COSTS)  # fmt: skip
    assert ledger.equity[1] == 20000.0
    assert ledger.amount[1, 0, PRICE] == 50.0


def test_two_columns_of_one_root_net_only_in_the_same_contract():
    told = {"fill": [nan, 100.0], "mark": [100.0, 100.0], "target": [[1.0, -1.0]] * 2, "markets": 2, "commission": 2.0}
    told |= {"lines": {"root": [0, 0]}}
    assert account(**told, contract=[[202403, 202403]] * 2).amount[1, :2, COMMISSION].tolist() == [0.0, 0.0]
    assert account(**told, contract=[[202403, 202406]] * 2).amount[1, :2, COMMISSION].tolist() == [-2.0, -2.0]


# Spreads


@pytest.mark.parametrize("why", ["no price", "locked"])
def test_of_a_spread_both_legs_trade_or_none(why):
    """The second leg cannot be sold on the first day: neither trades; on the second both do."""
    fill = [[nan, nan], [100.0, nan if why == "no price" else 50.0], [101.0, 51.0]]
    locked = [[0, 0], [0, -1 if why == "locked" else 0], [0, 0]]
    mark = [[100.0, 50.0], [101.0, 50.0], [101.0, 51.0]]
    ledger = account(fill=fill, mark=mark, target=2.0, markets=2, locked=locked,
                     lines={"member": [0, 0], "ratio": [1.0, -1.0]})  # fmt: skip
    assert ledger.position.tolist() == [[0.0, 0.0], [0.0, 0.0], [2.0, -2.0]]
    told = [(1, 1, "limit locked", -2.0, 0.0)] if why == "locked" else []
    assert events(ledger) == [*told, (1, 0, "spread waits", 2.0, 0.0)]
