"""Rolls against accounts worked by hand: at once and over days, in parts, netted, capped, and ends of contracts."""

import numpy as np
import pytest

from engine.book import (
    CAUSES,
    COMMISSION,
    COSTS_OF,
    FX,
    PRICE,
    ROLL_COMMISSION,
    ROLL_GAP,
    ROLL_IMPACT,
    ROLL_SLIPPAGE,
    STOP,
)
from tests.hand import account, events, exits, fills, held, trade

nan = np.nan
H, M, U = 202403, 202406, 202409

# Bought at 100 on bar 1; H settles at 100 and M at 102 on bar 2, the day of the roll. From there on the marks are those
# of M; H, where a part of it is still held, settles at `left_mark`. COSTS: a side of a roll costs a tick of 0.25 x 10
# and a commission of 2.
MARK = [100.0, 100.0, 100.0, 104.0, 105.0, 103.0]
LATER = {
    "fill": [nan, 100.0, 100.0, 103.0, 104.0, 105.0],
    "mark": MARK,
    "contract": [H, H, H, M, M, M],
    "roll": [False, False, True, False, False, False],
    "roll_contract": [0, 0, M, 0, 0, 0],
    "roll_from": 100.0,
    "roll_to": 102.0,
    "offset": [0.0, 0.0, 0.0, -2.0, -2.0, -2.0],
    "left_contract": [0, 0, 0, H, H, H],
    "left_open": [nan, nan, nan, 100.0, 101.0, 102.0],
    "left_mark": [nan, nan, nan, 101.0, 103.0, 101.0],
    "multiplier": 10.0,
}
COSTS = {"roll_slippage": 0.25, "roll_commission": 2.0}


def rolled(target, **changes):
    """Held from bar 1, as many contracts as `target` says."""
    return account(**(LATER | {"target": target} | changes))


def left(ledger, line=0):
    return ledger.left[:, line].tolist()


def dated(ledger):
    """(kind, contracts, price, contract) of each fill."""
    return [(*row[2:], int(month)) for row, month in zip(fills(ledger), ledger.fills[:, 2], strict=True)]


def test_a_roll_at_once_sells_the_one_contract_and_buys_the_next():
    """5 contracts: sold at 100, bought at 102, 4 x (104 - 102) and so on in M. Costs 2 sides x 5 x (2.50 + 2) = 45."""
    ledger = rolled(5.0, **COSTS)
    assert fills(ledger)[1:] == [(2, 0, "roll out", -5.0, 100.0), (2, 0, "roll in", 5.0, 102.0)]
    assert ledger.amount[2, 0, [ROLL_SLIPPAGE, ROLL_COMMISSION]].tolist() == [-25.0, -20.0]
    assert ledger.amount[3, 0, PRICE] == 5 * (104 - 102) * 10
    assert left(ledger) == [0.0] * 6
    assert ledger.notional[2] == 5 * (100 + 102) * 10


def test_t05_a_roll_costs_two_sides_and_the_gap_between_the_contracts_is_no_cost():
    """A tick of 0.25 a leg at 50 a point and 2.10 a side: 2 x 12.50 + 2 x 2.10 = 29.20; 6,250 - 29.20 = 6,220.80."""
    told = {"fill": [nan, 4000.0, nan, nan], "mark": [4000.0, 4050.0, 4100.0, 4150.0], "multiplier": 50.0}
    roll = {"roll": [False, False, True, False], "roll_contract": M, "roll_from": 4100.0, "roll_to": 4125.0}
    ledger = account(**told, **roll, contract=[H, H, H, M], offset=[0.0, 0.0, 0.0, -25.0], target=1.0,
                     roll_slippage=0.25, roll_commission=2.10)  # fmt: skip
    assert ledger.amount[2, 0, [ROLL_SLIPPAGE, ROLL_COMMISSION]].sum() == pytest.approx(-29.20, abs=1e-9)
    assert ledger.equity[-1] - 20000.0 == pytest.approx(6220.80, abs=1e-9)


def test_t07_legs_that_trade_at_another_spread_than_the_series_has_are_roll_gap():
    """Legs at 100.00 and 102.50 where the series has 100 and 102: 0.50 less, x 2 x 10 = -10. The rest is as before."""
    ledger = rolled(2.0, roll_from_fill=100.0, roll_to_fill=102.5)
    assert ledger.amount[:, 0, ROLL_GAP].tolist() == [0.0, 0.0, -10.0, 0.0, 0.0, 0.0]
    assert ledger.equity[-1] == 20000.0 + 2 * (103 - 102) * 10 - 10.0
    assert ledger.residual[0] == 0.0


def test_only_what_was_held_after_the_open_rolls_at_the_open():
    """Legs at the open of 99 and 101.50: 0.50 a contract less than the series. Bought at the open, all 3 roll there:
    -15. Bought at the close of the day (of which `opened` knows nothing), the third one rolls at 100 and 102: -10."""
    told = {"target": [2.0, 3.0, 3.0, 3.0, 3.0, 3.0], "roll_from_fill": 99.0, "roll_to_fill": 101.5}
    assert rolled(**told).amount[2, 0, ROLL_GAP] == -15.0
    ledger = rolled(**told, at_open=False)
    assert ledger.amount[2, 0, ROLL_GAP] == -10.0
    assert fills(ledger)[2:] == [
        (2, 0, "roll out", -2.0, 99.0), (2, 0, "roll in", 2.0, 101.5),
        (2, 0, "roll out", -1.0, 100.0), (2, 0, "roll in", 1.0, 102.0),
    ]  # fmt: skip
    assert trade(ledger.legs, "gross") == [-10.0 * 2, 10.0 * (103 - 101.5) * 2 + 10.0 * (103 - 102)]
    assert ledger.residual[0] == 0.0


def test_what_was_entered_inside_the_bar_does_not_roll_at_the_open():
    """A stop to buy at 100.50 on the day of the roll: out at 100 into 102, and nothing is earned between."""
    day = {"open": 99.0, "high": 101.0, "low": 99.0, "fill": 99.0, "order_kind": STOP, "order_price": 100.5}
    ledger = rolled([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], **day, order_episode=1, roll_from_fill=99.0, roll_to_fill=101.5)
    assert fills(ledger) == [
        (2, 0, "stop", 1.0, 100.5), (2, 0, "roll out", -1.0, 100.0), (2, 0, "roll in", 1.0, 102.0),
    ]  # fmt: skip
    assert not ledger.amount[:, 0, ROLL_GAP].any()


def test_a_roll_over_two_days_moves_half_and_then_the_rest():
    """Five by two days: trunc(5 / 2) = 2 on bar 2 at 100 and 102; the other 3 on bar 3 at the settlements, 101 and 104.
    Costs by the part: 2 sides x 2 x 4.50 = 18, then 2 x 3 x 4.50 = 27."""
    ledger = rolled(5.0, roll_days=2, **COSTS)
    assert left(ledger) == [0.0, 0.0, 3.0, 0.0, 0.0, 0.0]
    assert held(ledger) == [0.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert [(row[0], *row[2:]) for row in fills(ledger)[1:]] == [
        (2, "roll out", -2.0, 100.0), (2, "roll in", 2.0, 102.0),
        (3, "roll out", -3.0, 101.0), (3, "roll in", 3.0, 104.0),
    ]  # fmt: skip
    assert ledger.amount[:, 0, list(COSTS_OF)].sum(axis=1).tolist() == [0.0, 0.0, -18.0, -27.0, 0.0, 0.0]
    assert events(ledger) == [(2, 0, "roll over several days", 5.0, 2.0)]


def test_what_the_contract_rolled_out_of_earns_differently_is_roll_gap():
    """From the roll on all five are marked in M: 5 x (104 - 102) x 10 = 100. But 3 of them were in H, which went from
    100 to 101, not by 2 but by 1: 3 x ((101 - 104) - (100 - 102)) x 10 = -30. What really was earned: 2 x 2 + 3 x 1 = 7
    points, x 10 = 70."""
    ledger = rolled(5.0, roll_days=2)
    assert ledger.amount[3, 0, [PRICE, ROLL_GAP]].tolist() == [100.0, -30.0]
    assert ledger.equity[3] - ledger.equity[2] == 70.0
    assert ledger.residual[0] == 0.0


def test_a_roll_over_three_days_goes_by_thirds_of_what_is_left():
    """Seven: trunc(7 / 3) = 2, then trunc(5 / 2) = 2, then 3."""
    assert left(rolled(7.0, roll_days=3)) == [0.0, 0.0, 5.0, 3.0, 0.0, 0.0]


def test_fractional_contracts_roll_in_equal_parts():
    assert left(rolled(1.5, roll_days=3, rounding=1)) == [0.0, 0.0, 1.0, 0.5, 0.0, 0.0]


def test_a_reduction_takes_the_contract_rolled_out_of_first():
    """Five by two days, 3 left. Row 2 wants 1: of the 4 sold on bar 3 three are H at its open of 100, one is M at 103.
    To the open: 5 x (103 - 102) = 5 as the series has it; of H 3 x ((100 - 103) - (100 - 102)) = -3 on top; then 1 M
    from 103 to 104: (5 - 3 + 1) x 10 = 30, really 3 x 0 in H and 2 x 1 + 1 x 1 in M."""
    ledger = rolled([5.0, 5.0, 1.0, 1.0, 1.0, 1.0], roll_days=2)
    assert left(ledger)[3:] == [0.0, 0.0, 0.0]
    assert dated(ledger)[-2:] == [("market", -3.0, 100.0, H), ("market", -1.0, 103.0, M)]
    assert ledger.amount[3, 0, [PRICE, ROLL_GAP]].tolist() == [60.0, -30.0]
    assert ledger.equity[3] - ledger.equity[2] == 30.0


def test_a_reduction_at_the_close_takes_the_contract_rolled_out_of_at_its_settlement():
    ledger = rolled([5.0, 5.0, 1.0, 1.0, 1.0, 1.0], roll_days=2, at_open=False, fill=MARK)
    assert fills(ledger)[-2:] == [(3, 0, "market", -3.0, 101.0), (3, 0, "market", -1.0, 104.0)]


def test_what_is_left_stays_where_it_has_no_price_and_the_contract_of_the_bar_is_reduced():
    """Row 2 wants 1 of 5, 3 of them in H, which does not open: the 2 in M are sold, two of H on the next bar."""
    told = {"left_open": [nan, nan, nan, nan, 101.0, 102.0], "left_mark": [nan, nan, nan, nan, 103.0, 101.0]}
    ledger = rolled([5.0, 5.0, 1.0, 1.0, 1.0, 1.0], roll_days=2, **told)
    assert dated(ledger)[3:5] == [("market", -2.0, 103.0, M), ("market", -2.0, 101.0, H)]
    assert held(ledger)[2:] == [5.0, 3.0, 1.0, 1.0]


def test_t23_a_reduction_takes_no_more_of_the_contract_rolled_out_of_than_its_volume_allows():
    """Five of ten are left in H, of which a tenth of 20 may trade. None wanted: 2 of H and the 5 of M are sold on bar
    3, and 2 roll; the last one of H and the 2 of M on bar 4. With 6 wanted on bar 3 the 4 are 2 of H and 2 of M."""
    told = {"roll_days": 2, "participation": 0.1, "left_volume": 20.0}
    ledger = rolled([10.0, 10.0, 0.0, 0.0, 0.0, 0.0], **told)
    assert dated(ledger)[3:] == [
        ("market", -2.0, 100.0, H), ("market", -5.0, 103.0, M), ("roll out", -2.0, 101.0, H),
        ("roll in", 2.0, 104.0, M), ("market", -1.0, 101.0, H), ("market", -2.0, 104.0, M),
    ]  # fmt: skip
    assert events(ledger)[1:] == [(3, 0, "partial fill", -10.0, -7.0)]
    ledger = rolled([10.0, 10.0, 6.0, 6.0, 6.0, 6.0], **told)
    assert dated(ledger)[3:5] == [("market", -2.0, 100.0, H), ("market", -2.0, 103.0, M)]
    assert [row[2] for row in events(ledger)] == ["roll over several days"]


def test_t23_a_stop_takes_no_more_of_the_contract_rolled_out_of_than_its_volume_allows():
    """Stop 97 of H, 99 of M, where bar 3 goes to 98: 2 of the 5 left in H (99 - 2 = 97) and the 5 in M are sold."""
    told = {"low": [100.0, 100.0, 100.0, 98.0, 100.0, 100.0], "open": LATER["fill"], "high": 105.0, "order_stop": 3.0}
    ledger = rolled(10.0, roll_days=2, participation=0.1, left_volume=20.0, order_episode=1, **told)
    assert dated(ledger)[3:5] == [("protective stop", -2.0, 97.0, H), ("protective stop", -5.0, 99.0, M)]
    assert events(ledger)[1] == (3, 0, "partial fill", -10.0, -7.0)


def test_an_increase_is_bought_in_the_contract_of_the_bar():
    ledger = rolled([5.0, 5.0, 7.0, 7.0, 7.0, 7.0], roll_days=3)
    assert dated(ledger)[3] == ("market", 2.0, 103.0, M)
    assert left(ledger)[2:4] == [4.0, 2.0]


def test_t23_a_roll_trades_at_most_a_share_of_the_volume_of_its_thinner_leg():
    """Ten, a tenth of 40: 4 on the day of the roll, 4 on the day after it, the last 2 on the third."""
    volume = {"roll_volume": 40.0, "left_volume": 40.0, "participation": 0.1}
    ledger = rolled(10.0, **volume)
    assert left(ledger) == [0.0, 0.0, 6.0, 2.0, 0.0, 0.0]
    assert events(ledger) == [(2, 0, "roll over several days", 10.0, 4.0)]


def test_t23_on_the_last_day_all_of_it_goes_whatever_the_volume():
    """A tenth of 10 is one contract a day; bar 4 is the last on which H may be held: 8 at once."""
    volume = {"roll_volume": 10.0, "left_volume": 10.0, "participation": 0.1}
    ledger = rolled(10.0, left_end=[False] * 4 + [True, False], **volume)
    assert left(ledger) == [0.0, 0.0, 9.0, 8.0, 0.0, 0.0]


def test_a_roll_on_the_last_allowed_day_leaves_nothing():
    assert left(rolled(5.0, roll_days=3, left_end=[False, False, True, False, False, False])) == [0.0] * 6


def test_a_roll_waits_while_the_contract_rolled_out_of_has_no_price_but_not_beyond_its_last_day():
    """No settlement of H on bars 3 and 4; on its last day it goes at the last known spread: 105 + (100 - 102) = 103."""
    told = {"left_mark": nan, "left_end": [False] * 4 + [True, False]}
    ledger = rolled(4.0, roll_days=2, **told)
    assert left(ledger) == [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]
    assert fills(ledger)[-2:] == [(4, 0, "roll out", -2.0, 103.0), (4, 0, "roll in", 2.0, 105.0)]


def test_a_new_roll_first_ends_the_one_before():
    """By thirds from bar 2, and on bar 3 M rolls into U: the 4 still in H go to M at its settlements, 101 and 104; then
    trunc(6 / 3) = 2 go on to U."""
    roll = {"roll": [False, False, True, True, False, False], "roll_contract": [0, 0, M, U, 0, 0]}
    roll |= {"roll_from": [nan, nan, 100.0, 104.0, nan, nan], "roll_to": [nan, nan, 102.0, 107.0, nan, nan]}
    told = {"contract": [H, H, H, M, U, U], "mark": [100.0, 100.0, 100.0, 104.0, 108.0, 108.0]}
    told |= {"left_contract": [0, 0, 0, H, M, M], "left_mark": [nan, nan, nan, 101.0, 105.0, 105.0]}
    ledger = rolled(6.0, roll_days=3, **roll, **told)
    assert dated(ledger)[3:7] == [
        ("roll out", -4.0, 101.0, H),
        ("roll in", 4.0, 104.0, M),
        ("roll out", -2.0, 104.0, M),
        ("roll in", 2.0, 107.0, U),
    ]
    assert left(ledger)[2:] == [4.0, 4.0, 2.0, 0.0]
    assert trade(ledger.trades, "rolls") == [2.0]


def test_lines_of_one_market_roll_together_and_pay_for_the_net():
    """+3 and -1 are 2 to roll outside: a share of 2/4. 2 sides x 3 x 1/2 x 2 = 6 of commission, and 2 of the other."""
    lines = {"instrument": [0, 0], "root": [0, 0]}
    ledger = account(**(LATER | {"target": [[3.0, -1.0]] * 6, "lines": lines}), **COSTS)
    assert ledger.amount[2, :2, ROLL_COMMISSION].tolist() == [-6.0, -2.0]
    assert ledger.amount[2, :2, ROLL_SLIPPAGE].tolist() == [-7.5, -2.5]
    assert ledger.notional[2] == 2 * (100 + 102) * 10


def test_over_several_days_lines_net_what_rolls_on_each_of_them():
    """+5 and -1 by half: trunc(5 / 2) = 2 and trunc(1 / 2) = 0 on bar 2, all of it outside: 2 sides x 2 x 2 = 8. On
    bar 3 the +3 and -1 that are left, half of it outside: 2 x 3 x 1/2 x 2 = 6 and 2 x 1 x 1/2 x 2 = 2."""
    lines = {"instrument": [0, 0], "root": [0, 0]}
    ledger = account(**(LATER | {"target": [[5.0, -1.0]] * 6, "lines": lines, "roll_days": 2}), roll_commission=2.0)
    assert ledger.amount[2:4, :2, ROLL_COMMISSION].tolist() == [[-8.0, 0.0], [-6.0, -2.0]]


def test_the_contract_rolled_out_of_nets_with_nobody():
    """Five by half, 3 left. Row 2 wants 4 less of the first line and 1 of a second: the 3 of H pay 3 x 2.00, the one of
    M meets the one that is bought, and neither pays."""
    lines = {"instrument": [0, 0], "root": [0, 0]}
    target = [[5.0, 0.0]] * 2 + [[1.0, 1.0]] * 4
    ledger = account(**(LATER | {"target": target, "lines": lines, "roll_days": 2}), commission=2.0)
    assert ledger.amount[3, :2, COMMISSION].tolist() == [-6.0, 0.0]


def test_lines_that_offset_each_other_roll_for_nothing():
    lines = {"instrument": [0, 0], "root": [0, 0]}
    ledger = account(**(LATER | {"target": [[1.0, -1.0]] * 6, "lines": lines}), **COSTS)
    assert ledger.amount[2].sum() == 0.0
    assert trade(ledger.trades, "rolls") == [1.0, 1.0]


def test_the_impact_of_a_roll_is_a_cause_of_its_own_and_goes_by_the_thinner_leg():
    """0.5 points for all of a volume of 50, 5 contracts: 0.5 x 5 / 50 = 0.05 points, x 5 x 10 a side: 2 x 2.50."""
    ledger = rolled(5.0, impact=0.5, roll_volume=50.0)
    assert ledger.amount[2, 0, ROLL_IMPACT] == -5.0


def test_a_contract_that_ends_without_a_price_to_roll_at_is_closed_at_its_last():
    """Bought at 100, last marked 104, 2.00 a side: + 4 x 10 - 2 x 2.00, the event and the trade say why."""
    ledger = account(fill=[nan, 100.0, nan], mark=[100.0, 104.0, nan], target=1.0, closed=[False, False, True],
                     commission=2.0, multiplier=10.0, available=[[True], [True], [False]])  # fmt: skip
    assert held(ledger) == [0.0, 1.0, 0.0]
    assert ledger.equity[-1] == 20000.0 + 40.0 - 4.0
    assert events(ledger) == [(2, 0, "closed: no matched price", 1.0, 0.0)]
    assert fills(ledger)[-1] == (2, 0, "closed", -1.0, 104.0)
    assert exits(ledger.trades) == ["closed"]


def test_a_contract_that_ends_during_a_roll_is_closed_in_both_contracts():
    """Four by thirds: 1 rolls on bar 2, none on bar 3 for want of volume. M ends on bar 4 without a price: 3 H are
    closed at the 101 and 1 M at the 104 of bar 3."""
    told = {"mark": [100.0, 100.0, 100.0, 104.0, nan, nan], "closed": [False] * 4 + [True, False]}
    told |= {"left_mark": [nan, nan, nan, 101.0, nan, nan], "available": [[True]] * 4 + [[False]] * 2}
    ledger = rolled(4.0, roll_days=3, left_volume=0.0, participation=1.0, **told)
    assert dated(ledger)[-2:] == [("closed", -3.0, 101.0, H), ("closed", -1.0, 104.0, M)]
    assert events(ledger)[-1] == (4, 0, "closed: no matched price", 4.0, 0.0)
    assert held(ledger)[3:] == [4.0, 0.0, 0.0]
    assert left(ledger)[3:] == [3.0, 0.0, 0.0]


def test_strategy_trades_and_contract_trades_sum_to_the_ledger():
    """Five over two days, legs off the series' spread, a reduction on the way, turned at the end; foreign currency."""
    ledger = rolled([5.0, 5.0, 4.0, 4.0, -2.0, -2.0], roll_days=2, roll_from_fill=99.5, roll_to_fill=102.25,
                    slippage=0.25, commission=2.0, fx=[1.1, 1.1, 1.12, 1.15, 1.2, 1.18], **COSTS)  # fmt: skip
    gross = ledger.amount[:, 0, [PRICE, ROLL_GAP]].sum()
    costs = ledger.amount[:, 0, list(COSTS_OF)].sum()
    for rows in (ledger.trades, ledger.legs):
        assert sum(trade(rows, "gross")) == pytest.approx(gross, abs=1e-9)
        assert sum(trade(rows, "costs")) == pytest.approx(costs, abs=1e-9)
    assert exits(ledger.trades) == ["signal", "open"]
    assert trade(ledger.legs, "entry_contract") == [H, M, M]
    assert ledger.equity[-1] - 20000.0 == pytest.approx(gross + costs, abs=1e-9)
    assert costs == pytest.approx(sum(ledger.fills[:, 6:].sum(axis=1)), abs=1e-9)


@pytest.mark.parametrize(("sweep", "fx"), [(True, [0.0] * 5), (False, [0.0, 0.0, 250.0, 0.0, -125.0])])
def test_what_a_kept_balance_earns_is_of_no_trade_and_trades_tell_the_same_swept_or_held(sweep, fx):
    """Euros: 100 points x 25 at 1.10, -200 x 25 at 1.20: -3,250. 2,500 kept: 0.10 on them are 250; -2,500 kept: 0.05 on
    them, when the trade is long over, -125."""
    ledger = account(fill=[nan, 18000.0, nan, 17900.0, nan], mark=[18000.0, 18100.0, 17900.0, 17900.0, 17900.0],
                     target=[1.0, 1.0, 0.0, 0.0, 0.0], multiplier=25.0, fx=[1.1, 1.1, 1.2, 1.2, 1.25],
                     sweep=sweep)  # fmt: skip
    for rows in (ledger.trades, ledger.legs):
        assert trade(rows, "gross") == pytest.approx([-3250.0], abs=1e-9) and trade(rows, "costs") == [0.0]
    assert ledger.amount[:, 0, FX].tolist() == pytest.approx(fx, abs=1e-9)
    assert ledger.equity[-1] - 20000.0 == pytest.approx(-3250.0 + sum(fx), abs=1e-9)


def test_the_position_is_the_same_before_and_after_a_roll():
    for days in (1, 2, 3):
        assert held(rolled(5.0, roll_days=days))[1:] == [5.0] * 5


def test_a_foreign_balance_gets_the_local_cash_of_a_roll():
    """Costs of 2 x 2 x 2 = 8 euros on bar 2 are owed from then on: 0.02 on the euro the day after are -0.16 more."""
    told = {"sweep": False, "fx": [1.1, 1.1, 1.1, 1.12, 1.12, 1.12], "mark": 100.0 + np.zeros(6), "roll_to": 100.0}
    ledger = rolled(2.0, roll_commission=2.0, left_mark=100.0, **told)
    assert ledger.amount[3, 0, CAUSES.index("fx")] == pytest.approx(-0.16, abs=1e-12)


def test_commission_of_trades_and_of_rolls_are_told_apart():
    ledger = rolled(1.0, commission=1.0, roll_commission=2.0)
    assert ledger.amount[:, 0, COMMISSION].tolist() == [0.0, -1.0, 0.0, 0.0, 0.0, 0.0]
    assert ledger.amount[:, 0, ROLL_COMMISSION].tolist() == [0.0, 0.0, -4.0, 0.0, 0.0, 0.0]
