"""The loop against accounts worked by hand (DOMAIN part 1); each trap's number is the page's."""

import numpy as np
import pytest

from engine.book import (
    CAUSES,
    COMMISSION,
    EVENTS,
    EXITS,
    FX,
    INTEREST,
    PRICE,
    ROLL_COMMISSION,
    ROLL_GAP,
    ROLL_SLIPPAGE,
    TRADE_FIELDS,
)
from tests.hand import account

nan = np.nan

# T3: bought H at 4000; on the roll day H settles 4100 and M 4125; M ends at 4150.
ROLL = {
    "fill": [nan, 4000.0, 4100.0, 4130.0],
    "mark": [3990.0, 4050.0, 4100.0, 4150.0],
    "target": 1.0,
    "multiplier": 50.0,
    "contract": [202403, 202403, 202403, 202406],
    "roll": [False, False, True, False],
    "roll_contract": [0, 0, 202406, 0],
    "roll_from": [nan, nan, 4100.0, nan],
    "roll_to": [nan, nan, 4125.0, nan],
    "offset": [0.0, 0.0, 0.0, -25.0],
}


def trade(rows, field):
    return rows[:, TRADE_FIELDS.index(field)]


def test_t03_the_splice_gap_is_no_profit():
    ledger = account(**ROLL)
    assert ledger.equity[-1] - 20000.0 == (100 + 25) * 50 == 6250.0
    assert ledger.amount[:, 0, PRICE].sum() == 6250.0


def test_t04_contract_profit_is_adjusted_profit():
    ledger = account(**ROLL)
    adjusted = np.array(ROLL["mark"]) + np.array(ROLL["offset"])
    assert 50 * (adjusted[-1] - 4000.0) == 6250.0
    assert ledger.residual[0] == 0.0
    assert ledger.fills[0, 5] == 4000.0  # the fill is in contract prices


def test_t04_a_wrong_offset_is_noticed():
    ledger = account(**(ROLL | {"offset": [0.0, 0.0, 0.0, 0.0]}))
    assert ledger.residual[0] == pytest.approx(-25.0 * 50)


def test_t05_a_roll_costs_two_legs_and_not_the_gap():
    ledger = account(**ROLL, slippage=0.25, commission=2.10)
    rolled = ledger.amount[2, 0]
    assert rolled[ROLL_SLIPPAGE] + rolled[ROLL_COMMISSION] == pytest.approx(-29.20, abs=1e-12)
    entry = 0.25 * 50 + 2.10
    assert ledger.equity[-1] - 20000.0 == pytest.approx(6250.0 - 29.20 - entry, abs=1e-9)


def test_t06_roll_yield_is_inside_the_profit():
    ledger = account(**ROLL)
    spot = 4150.0 - 4125.0 + 4100.0 - 4000.0  # what each contract moved while held: nothing is added for the roll
    assert ledger.amount.sum() == spot * 50


def test_t07_a_roll_filled_off_the_series_gap_is_told_apart():
    filled = {"roll_from_fill": [nan, nan, 4100.0, nan], "roll_to_fill": [nan, nan, 4125.5, nan]}
    ledger = account(**ROLL, **filled)
    assert ledger.amount[2, 0, ROLL_GAP] == -25.0
    assert ledger.amount[:, 0, PRICE].sum() == 6250.0
    assert ledger.residual[0] == 0.0


def test_t25_a_signal_at_the_close_fills_at_the_next_open():
    ledger = account(fill=[100.0, 103.0], mark=[102.0, 104.0], target=1.0)
    assert ledger.position[:, 0].tolist() == [0.0, 1.0]
    assert ledger.fills[0, [0, 5]].tolist() == [1.0, 103.0]


def test_t26_contracts_are_cut_toward_zero():
    for wish, got in ((3.33, 3.0), (-3.99, -3.0), (0.99, 0.0)):
        assert account(fill=[1.0, 1.0], mark=[1.0, 1.0], target=wish).position[1, 0] == got
    assert pytest.approx(3.3333, abs=1e-4) == 0.01 * 1_000_000 / (2 * 30 * 50)


def test_t27_cash_moves_by_variation_margin_only():
    ledger = account(fill=[nan, 4005.0, nan, nan], mark=[4000.0, 4010.0, 3990.0, 4050.0], target=1.0, multiplier=50.0)
    assert ledger.amount[:, 0, PRICE].tolist() == [0.0, 250.0, -1000.0, 3000.0]
    assert ledger.equity[-1] == 20000.0 + (4050 - 4005) * 50


def test_t28_settled_profit_is_not_counted_twice():
    ledger = account(fill=[nan, 4005.0, nan], mark=[4000.0, 4010.0, 3990.0], target=1.0, multiplier=50.0)
    assert ledger.equity[2] - 20000.0 == -750.0


@pytest.mark.parametrize(("loss", "called"), [(160.0, False), (160.25, True)])
def test_t29_margin_is_called_below_maintenance_and_not_at_it(loss, called):
    facts = {"multiplier": 50.0, "initial": 13200.0, "maintenance": 12000.0}
    ledger = account(
        fill=[nan, 4000.0, nan, 4000.0], mark=[4000.0, 4000.0, 4000.0 - loss, 4000.0 - loss], target=1.0, **facts
    )
    assert (EVENTS.index("margin call") in ledger.events[ledger.events[:, 0] == 2][:, 2]) == called
    assert ledger.position[3, 0] == (0.0 if called else 1.0)


def test_t29_a_second_contract_that_equity_does_not_cover_is_refused():
    ledger = account(
        fill=[nan, 4000.0], mark=[4000.0, 4000.0], target=2.0, multiplier=50.0, initial=13200.0, maintenance=12000.0
    )
    assert ledger.position[1, 0] == 1.0
    assert ledger.events[0].tolist() == [0, 0, EVENTS.index("margin refused"), 2.0, 1.0]


@pytest.mark.parametrize(("sweep", "profit"), [(True, -3250.0), (False, -3000.0)])
def test_t32_foreign_profit_is_swept_or_held_and_the_notional_is_not_exposed(sweep, profit):
    ledger = account(
        fill=[nan, 18000.0, nan],
        mark=[18000.0, 18100.0, 17900.0],
        target=1.0,
        multiplier=25.0,
        fx=[1.1, 1.1, 1.2],
        sweep=sweep,
    )
    assert ledger.equity[-1] - 20000.0 == pytest.approx(profit, abs=1e-9)
    assert (ledger.amount[:, 0, FX].sum() != 0.0) == (not sweep)


def test_t34_interest_is_paid_on_free_cash_by_calendar_days():
    flat = account(fill=[1.0] * 3, mark=[1.0] * 3, target=0.0, capital=100000.0, rate=[0.05] * 3, days=[0, 1, 3])
    assert flat.amount[1:, -1, INTEREST] == pytest.approx([13.8889, 41.6725], abs=1e-3)
    held = account(
        fill=[1.0] * 3,
        mark=[1.0] * 3,
        target=1.0,
        initial=12000.0,
        maintenance=1.0,
        capital=100000.0,
        rate=[0.0, 0.05, 0.0],
        days=[0, 1, 1],
    )
    assert held.amount[2, -1, INTEREST] == pytest.approx(12.2222, abs=1e-3)


def test_t42_a_holiday_has_no_profit_and_no_fill():
    ledger = account(fill=[nan, 100.0, nan, 103.0], mark=[99.0, 101.0, nan, 104.0], target=[1.0, 2.0, 2.0, 2.0])
    assert ledger.amount[2].sum() == 0.0
    assert ledger.position[:, 0].tolist() == [0.0, 1.0, 1.0, 2.0]  # the order waits for the market's next bar
    assert ledger.amount[3, 0, PRICE] == (103 - 101) + 2 * (104 - 103)


def test_t51_one_strategy_trade_two_contract_trades():
    ledger = account(**ROLL)
    assert trade(ledger.trades, "gross").tolist() == [6250.0]
    assert trade(ledger.legs, "gross").tolist() == [5000.0, 1250.0]
    assert trade(ledger.legs, "entry_contract").tolist() == [202403.0, 202406.0]
    assert [EXITS[int(why)] for why in trade(ledger.legs, "exit_reason")] == ["roll", "open"]
    assert trade(ledger.trades, "rolls").tolist() == [1.0]


def test_a_reversal_splits_its_profit_and_its_costs():
    ledger = account(
        fill=[nan, 100.0, 110.0], mark=[100.0, 105.0, 108.0], target=[2.0, -1.0, -1.0], commission=3.0, multiplier=10.0
    )
    assert trade(ledger.trades, "gross").tolist() == [200.0, 20.0]  # 2 × 10 points, then short from 110 to 108
    assert trade(ledger.trades, "costs").tolist() == [-12.0, -3.0]
    assert trade(ledger.trades, "direction").tolist() == [1.0, -1.0]
    assert ledger.amount[:, 0, COMMISSION].sum() == -15.0


def test_a_contract_that_ends_without_a_roll_closes_at_its_last_price():
    ledger = account(
        fill=[nan, 100.0, nan, 50.0],
        mark=[100.0, 104.0, nan, 50.0],
        target=[1.0, 1.0, 0.0, 0.0],
        closed=[False, False, True, False],
        commission=1.0,
    )
    assert ledger.position[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert ledger.equity[-1] - 20000.0 == 4.0 - 2.0
    assert [EVENTS[int(e)] for e in ledger.events[:, 2]] == ["closed: no matched price"]
    assert EXITS[int(trade(ledger.trades, "exit_reason")[0])] == "closed"


def random_case(seed, bars=300):
    rng = np.random.default_rng(seed)
    mark = 100 + np.cumsum(rng.normal(size=bars))
    roll = rng.random(bars) < 0.05
    roll[-1] = False
    gap = np.where(roll, rng.normal(size=bars), 0.0)
    offset = -np.concatenate([[0.0], np.cumsum(gap)[:-1]])
    mark[rng.random(bars) < 0.05] = nan
    roll &= ~np.isnan(mark)
    gap = np.where(roll, gap, 0.0)
    offset = -np.concatenate([[0.0], np.cumsum(gap)[:-1]])
    return {
        "fill": mark + rng.normal(size=bars),
        "mark": mark,
        "target": np.round(rng.normal(size=bars) * 2),
        "offset": offset,
        "roll": roll,
        "roll_from": np.where(roll, mark, nan),
        "roll_to": np.where(roll, mark + gap, nan),
        "roll_contract": np.where(roll, 202406, 0),
        "slippage": 0.01,
        "commission": 0.5,
        "multiplier": 20.0,
        "fx": np.exp(np.cumsum(rng.normal(size=bars) * 0.01)),
        "initial": 300.0,
        "maintenance": 250.0,
        "capital": 50000.0,
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sweep", [True, False])
def test_parts_add_up_on_random_accounts(seed, sweep):
    ledger = account(**random_case(seed), sweep=sweep)
    assert ledger.equity[-1] - 50000.0 == pytest.approx(ledger.amount.sum(), abs=1e-6)
    assert abs(ledger.residual[0]) < 1e-8
    told = [trade(rows, "gross").sum() + trade(rows, "costs").sum() for rows in (ledger.trades, ledger.legs)]
    assert told[0] == pytest.approx(told[1], abs=1e-6)
    assert told[0] == pytest.approx(ledger.amount.sum() - ledger.amount[:, :, [FX, INTEREST]].sum(), abs=1e-6)
    assert set(CAUSES) >= {"price", "roll_gap"}


@pytest.mark.parametrize("seed", range(3))
def test_t45_what_comes_later_changes_nothing_before(seed):
    case = random_case(seed)
    whole = account(**case)
    cut = 150
    short = account(**{k: v[:cut] if isinstance(v, np.ndarray) else v for k, v in case.items()})
    assert np.array_equal(short.position, whole.position[:cut])
    assert np.array_equal(short.equity, whole.equity[:cut])


def test_t50_the_same_inputs_give_the_same_bytes():
    case = random_case(1)
    first, second = account(**case), account(**case)
    for name, one in vars(first).items():
        assert one.tobytes() == getattr(second, name).tobytes()
