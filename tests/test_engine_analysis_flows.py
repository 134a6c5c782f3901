"""Money paid in and out: returns by time and by money, by hand, as a spreadsheet has them, and through the engine."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.analysis.flows import FLOWS, flows, money_weighted, rates
from engine.result import load
from store import open_archive


def days(*texts):
    return np.array(texts, "datetime64[D]")


def test_the_rate_that_spreadsheets_document():
    """XIRR's published example: 10,000 out, four payments back, 37.3362535 %."""
    when = days("2008-01-01", "2008-03-01", "2008-10-30", "2009-02-15", "2009-04-01")
    amounts = np.array([10_000.0, -2750.0, -4250.0, -3250.0, -2750.0])
    assert money_weighted(when, amounts, 365.0) == pytest.approx(0.373362535, abs=5e-9)
    assert money_weighted(when, amounts) - 0.373362535 == pytest.approx(0.0003, abs=2e-5)  # by years of 365.25 days


def test_paid_in_at_the_wrong_moment_by_hand():
    """100 double in a year; 200 more come in, and the 400 lose half: by time nothing was earned, by money
    100 g² + 200 g = 200, so g = √3 - 1."""
    when = days("2021-01-01", "2022-01-01", "2023-01-01")
    found = money_weighted(when, np.array([100.0, 200.0, -200.0]), 365.0)
    assert found == pytest.approx(3**0.5 - 2, rel=1e-12)


@pytest.mark.parametrize(
    "amounts", [[], [100.0], [100.0, 100.0], [-100.0, -5.0], [0.0, 0.0], [100.0, np.nan], [100.0, -230.0, 132.0]]
)
def test_no_rate_where_none_or_several_solve_it(amounts):
    """The last one has two: 10 % and 20 %."""
    when = days("2021-01-01", "2022-01-01", "2023-01-01")[: len(amounts)]
    assert np.isnan(money_weighted(when, np.array(amounts), 365.0))


def test_all_lost_has_no_rate():
    assert np.isnan(money_weighted(days("2021-01-01", "2022-01-01"), np.array([100.0, 0.0])))


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.floats(1.0, 1e6)), min_size=1, max_size=8),
    st.floats(-0.9, 2.0),
    st.integers(1, 400),
)
def test_what_grows_at_one_rate_has_that_rate_whenever_it_was_paid(paid, rate, later):
    when = np.array([day for day, _ in paid])
    end = when.max() + later
    worth = sum(amount * (1 + rate) ** ((end - day) / 365.25) for day, amount in paid)
    assume(worth < 1e15)
    start = np.datetime64("2000-01-01")
    found = money_weighted(start + np.append(when, end), np.array([*(amount for _, amount in paid), -worth]))
    assert found == pytest.approx(rate, rel=1e-7, abs=1e-9)


PAYING = """
[portfolio]
name = "paying"
capital = 1_000_000
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
[cash]
payments = [{ day = 2021-06-05, amount = 500_000 }, { day = 2022-03-01, amount = -200_000 }]
"""


@pytest.fixture(scope="module")
def paying(tmp_path_factory):
    """A run with a payment in and one out."""
    from engine.backtest import run
    from engine.portfolio import Portfolio
    from tests import command

    _, store = command.built(tmp_path_factory.mktemp("paying"))
    return run(open_archive(store), Portfolio.from_toml(PAYING))[0]


def test_the_payments_of_a_run(paying):
    found = flows(paying)
    assert found.columns == list(FLOWS)
    assert found["paid"].to_list() == [500_000.0, -200_000.0]
    equity = paying.equity()
    for row in found.rows(named=True):
        at = equity["day"].to_list().index(row["booked"])
        assert row["equity_before"] == equity["equity"][at - 1] and row["day"] == equity["day"][at - 1] < row["booked"]


def test_the_returns_of_a_run_with_payments(paying):
    """By time: the number of the summary. By money: the rate at which all payments are worth nothing, by hand."""
    told = rates(paying)
    assert told["time_weighted"] == pytest.approx(paying.metrics()["annual_return"], rel=1e-9)
    assert (told["paid_in"], told["paid_out"]) == (500_000.0, 200_000.0)
    equity, rows = paying.equity(), flows(paying).rows(named=True)
    start, end = equity["day"][0], equity["day"][-1]
    assert told["profit"] == pytest.approx(equity["equity"][-1] - 1_000_000 - 300_000)
    paid = [(start, 1_000_000.0), *((row["day"], row["paid"]) for row in rows), (end, -equity["equity"][-1])]
    worth = sum(amount * (1 + told["money_weighted"]) ** (-(day - start).days / 365.25) for day, amount in paid)
    assert abs(worth) < 1e-3
    since = [*flows(paying)["since"].to_list()]
    growth = (1 + since[0]) * (1 + since[1])
    last = equity["equity"][-1] / (rows[1]["equity_before"] + rows[1]["paid"])
    assert growth * last - 1 == pytest.approx(paying.metrics()["total_return"], rel=1e-9)


def test_without_payments_both_are_the_same(ran):
    store, name = ran
    run = load(open_archive(store), name)
    told = rates(run)
    assert told["money_weighted"] == pytest.approx(told["time_weighted"], rel=1e-9)
    assert flows(run).is_empty() and (told["paid_in"], told["paid_out"]) == (0.0, 0.0)
