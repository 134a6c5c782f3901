"""Cash: when fees, payments and rebalancing fall due, and what the account is told of them."""

import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from engine.book import Account, Clock
from engine.cash import Cash, begins, clock, transfers, unbooked

DAYS = np.array(["2019-12-30", "2019-12-31", "2020-01-02", "2020-01-03", "2020-01-06", "2020-02-03"], "datetime64[D]")


def market(days=DAYS, rate=0.05):
    return SimpleNamespace(days=days, rate=np.full(len(days), rate))


def pay(*rows):
    return Cash(payments=[{"day": day, "amount": amount} for day, amount in rows])


def test_t34_the_clock_counts_calendar_days_so_that_a_weekend_earns_three():
    told = clock(market(), Cash())
    np.testing.assert_array_equal(told.days, [0, 1, 2, 1, 3, 28])
    friday, monday = 3, 4
    assert 100_000 * told.rate[friday] * told.days[monday] / 360 == pytest.approx(41.67, abs=0.005)
    assert 100_000 * told.rate[2] * told.days[friday] / 360 == pytest.approx(13.89, abs=0.005)
    assert (100_000 - 12_000) * told.rate[2] * told.days[friday] / 360 == pytest.approx(12.22, abs=0.005)


def test_months_begin_at_their_first_bar_but_the_runs_first_is_none():
    np.testing.assert_array_equal(clock(market(), Cash()).month_begin, [False, False, True, False, False, True])
    whole = np.arange("2018-05-17", "2021-03-02", dtype="datetime64[D]")
    for every, starts in {
        "month": lambda d: d.day == 1,
        "quarter": lambda d: d.day == 1 and d.month in (1, 4, 7, 10),
        "year": lambda d: (d.month, d.day) == (1, 1),
    }.items():
        np.testing.assert_array_equal(begins(whole, every), [starts(d) for d in whole.tolist()])


def test_bars_within_a_day_have_one_end_and_no_days_between_them():
    days = np.repeat(DAYS[1:3], 3)
    told = clock(market(days), pay(("2020-01-01", 100.0)))
    np.testing.assert_array_equal(told.days, [0, 0, 0, 2, 0, 0])
    np.testing.assert_array_equal(told.day_end, [False, False, True, False, False, True])
    np.testing.assert_array_equal(told.month_begin, [False, False, False, True, False, False])
    np.testing.assert_array_equal(told.transfer, [0, 0, 0, 100, 0, 0])


def test_each_day_of_daily_bars_ends():
    assert clock(market(), Cash()).day_end.all()


def test_a_payment_is_booked_before_the_first_bar_on_or_after_its_day_and_payments_add_up():
    cash = pay(("2020-01-01", 1000.0), ("2020-01-02", -300.0), ("2020-01-04", 50.0), ("2020-02-03", 7.0))
    np.testing.assert_array_equal(clock(market(), cash).transfer, [0, 0, 700, 0, 50, 7])


def test_payments_from_before_the_start_or_after_the_end_are_left_out_and_told():
    cash = pay(("2019-12-29", 1.0), ("2019-12-30", 2.0), ("2020-02-04", 4.0))
    np.testing.assert_array_equal(clock(market(), cash).transfer, [2, 0, 0, 0, 0, 0])
    assert [row["amount"] for row in unbooked(DAYS, cash.payments)] == [1.0, 4.0]
    early = datetime.date(2019, 12, 29)  # a Sunday on which the portfolio starts: paid in before Monday's bar
    np.testing.assert_array_equal(clock(market(), cash, start=early).transfer, [3, 0, 0, 0, 0, 0])
    assert [row["amount"] for row in unbooked(DAYS, cash.payments, early)] == [4.0]


def test_every_payment_is_booked_once_or_told():
    random = np.random.default_rng(4)
    whole = np.arange("2020-01-01", "2020-06-30", dtype="datetime64[D]")
    days = np.sort(random.choice(whole[10:-10], 60, replace=False))
    cash = pay(*((str(day), float(random.integers(-900, 900))) for day in random.choice(whole, 40)))
    booked = transfers(days, cash.payments)
    left = sum(row["amount"] for row in unbooked(days, cash.payments))
    assert booked.sum() + left == sum(row["amount"] for row in cash.payments)


def test_a_longer_run_leaves_the_earlier_rows_of_the_clock_as_they_were():
    cash = pay(("2020-01-01", 1000.0), ("2020-01-04", 50.0))
    whole = clock(market(), cash)
    for rows in (1, 3, 5):
        part = clock(market(DAYS[:rows]), cash)
        for name in ("days", "month_begin", "rebalance", "rate", "transfer"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:rows], name)


def test_the_clock_has_arrays_as_the_book_says():
    told = clock(market(), Cash(), rebalance=begins(DAYS, "year"))
    assert isinstance(told, Clock)
    assert [told.rebalance.sum(), told.rebalance[2]] == [1, True]
    kinds = {"days": float, "day_end": bool, "month_begin": bool, "rebalance": bool, "rate": float, "transfer": float}
    for name, kind in kinds.items():
        values = getattr(told, name)
        assert values.shape == DAYS.shape and values.dtype == kind and values.flags.c_contiguous, name
    assert clock(market(DAYS[:0]), Cash()).days.shape == (0,)


def test_the_account_is_told_every_number_of_the_section_by_its_own_name():
    told = Cash(credit_spread=0.005, debit_spread=0.01, fee=0.02, fixed_fee=100.0, floor=5e5).numbers()
    assert told == {"credit_spread": 0.005, "debit_spread": 0.01, "fee": 0.02, "fixed_fee": 100.0, "floor": 5e5}
    assert set(told) <= set(Account._fields)
    assert Cash().numbers()["floor"] == -np.inf
    assert Cash(floor=0).numbers()["floor"] == 0.0


def test_what_a_broker_takes_has_bounds():
    for wrong in ({"fee": -0.1}, {"credit_spread": 2.0}, {"debit_spread": -1e-9}, {"fixed_fee": -1}, {"floor": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Cash(**wrong)
    with pytest.raises(ValueError, match="has no amount"):
        Cash(payments=[{"day": "2020-01-01"}])
