"""engine/state.py: what the loop reads, as records; and what it leaves, by days."""

import numpy as np
import pytest

from engine import book, ready, state
from engine.simulate import simulated
from tests.hand import PLAIN, account, limits_of, lines_of, spread

DAY_END = np.array([False, False, True, False, False, True])


def told(**changes):
    """Six bars of two days of a market, as `simulate` is given them; a value is one for all bars, or of each."""
    values = {name: spread(changes.get(name, 1.0), (6, 1)) for name in (*book.Prices._fields, *book.Facts._fields)}
    kinds = {"contract": np.int32, "roll_contract": np.int32, "left_contract": np.int32, "locked": np.int8}
    kinds |= dict.fromkeys(("roll", "closed", "left_end"), bool)
    values |= {name: (0 * values[name]).astype(kind) for name, kind in kinds.items()}
    prices = book.Prices(*(values[name] for name in book.Prices._fields))
    facts = book.Facts(*(values[name] for name in book.Facts._fields))
    clock = book.Clock(
        days=np.array([1.0, 0, 0, 1, 0, 0]), day_end=DAY_END, month_begin=np.zeros(6, bool),
        rebalance=np.zeros(6, bool), rate=np.zeros(6), transfer=np.zeros(6),
    )  # fmt: skip
    return prices, facts, clock, np.ones((6, 1), bool)


def test_bars_of_a_day_that_differ_in_prices_alone_share_a_row():
    prices, facts, clock, available = told(mark=np.arange(6.0), open=np.arange(6.0), volume=np.arange(6.0))
    row, first = ready.rows_of(prices, facts, clock._replace(days=np.zeros(6)), available)
    assert row.tolist() == [0, 0, 1, 2, 2, 3] and first.tolist() == [0, 2, 3, 5]  # the last bar ends the day
    assert ready.rows_of(prices, facts, clock, available)[0].tolist() == list(range(6))  # the first counts its days


def test_a_fact_that_changes_within_a_day_begins_a_row_and_one_that_is_not_known_does_not():
    clock = told()[2]._replace(days=np.zeros(6))
    prices, facts, _, available = told(initial=[1.0, 1, 1, 1, 2, 2], sigma=np.nan)
    assert ready.rows_of(prices, facts, clock, available)[0].tolist() == [0, 0, 1, 2, 3, 4]


def test_daily_bars_have_a_row_each():
    prices, facts, clock, available = told()
    row, first = ready.rows_of(prices, facts, clock._replace(day_end=np.ones(6, bool)), available)
    assert row.tolist() == first.tolist() == list(range(6))


@pytest.mark.parametrize("name", ["fill", "resize", "any", "max"])
def test_a_field_is_not_named_as_numpy_names_its_own(name):
    with pytest.raises(ValueError, match=f"use for themselves: {name}"):
        state.record_of("price", name)


def test_what_is_told_by_days_is_the_last_of_each_day_and_the_sum_of_its_bars():
    """A long contract of 10 a point: +10, +20, -30 on the first day, +40, 0, +5 on the second."""
    marks = [100.0, 101.0, 103.0, 100.0, 104.0, 104.0, 104.5]
    case = {"fill": 100.0, "mark": marks, "multiplier": 10.0, "target": 1.0}
    end = np.array([True, False, False, True, False, False, True])
    bars = account(**case, day_end=end, initial=50.0)
    prices, facts, lines, wishes, limits, clock, sleeves, available = parts(marks, end)
    days = simulated(
        ready.ready_of(prices, facts, lines, wishes, None, PLAIN, limits, clock, sleeves, None, available, by_days=True)
    )
    assert days.price[:, 0].tolist() == [0.0, 0.0, 45.0] == np.add.reduceat(bars.price[:, 0], [0, 1, 4]).tolist()
    for name in ("equity", "position", "margin", "sleeve"):
        assert np.array_equal(getattr(days, name), getattr(bars, name)[end])
    assert np.array_equal(days.fills, bars.fills) and np.array_equal(days.trades, bars.trades, equal_nan=True)
    assert days.notional.tolist() == [0.0, 1000.0, 0.0]


def parts(marks, end):
    """What `account` gives `simulate` for the case above."""
    time = len(marks)
    values = {name: np.full((time, 1), np.nan) for name in book.Prices._fields}
    values |= {name: np.zeros((time, 1)) for name in book.Facts._fields}
    values |= {"fill": np.full((time, 1), 100.0), "mark": spread(marks, (time, 1)), "offset": np.zeros((time, 1))}
    values |= {"multiplier": np.full((time, 1), 10.0), "fx": np.ones((time, 1)), "initial": np.full((time, 1), 50.0)}
    values |= {name: values["mark"] for name in ("open", "high", "low", "close")}
    kinds = {"contract": np.int32, "roll_contract": np.int32, "left_contract": np.int32, "locked": np.int8}
    kinds |= dict.fromkeys(("roll", "closed", "left_end"), bool)
    values |= {name: np.full((time, 1), 202403 * (name == "contract"), kind) for name, kind in kinds.items()}
    one = np.ones(1, bool)
    return (
        book.Prices(*(values[name] for name in book.Prices._fields)),
        book.Facts(*(values[name] for name in book.Facts._fields)),
        lines_of(1, {}),
        book.Wishes(np.ones((time, 1)), np.zeros((time, 1)), one, ~one, np.full(1, -1), ~one),
        limits_of(1, {}),
        book.Clock(np.ones(time), end, *np.zeros((2, time), bool), *np.zeros((2, time))),
        book.Sleeves(np.array([20000.0]), np.ones(1)),
        np.ones((time, 1), bool),
    )
