"""store/roll_checks.py: what `test_store_roll_files` does not look at: the calendar that rows make, and its months."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from test_store_rolls import flat, make_bars, weekdays

from store import chain as chains
from store.contracts import Master
from store.roll_checks import as_written, judged
from store.roll_files import Row

DAYS = weekdays(20)
BARS = make_bars(DAYS, {c: flat(20, settle=float(c % 100)) for c in (202402, 202403, 202404, 202412)})
SPEC = replace(Master.load().spec("ES"), held_months="GJZ")


def row(line, day, old, new, **more):
    read = {"day": day, "from": old, "to": new} | more
    return Row(line, {name: str(value) for name, value in read.items()}, {name: name for name in read}, read)


def judge(*rows, spec=SPEC, rule=None):
    return judged("XX", list(rows), chains.load(BARS), spec, rule)


def test_rows_that_fit_make_a_calendar_with_the_prices_of_the_store():
    made, faults = judge(row(2, DAYS[3], 202402, 202403), row(3, DAYS[9], 202403, 202404))
    assert not faults and (made.root, made.rule, made.first, made.rank) == ("XX", "file", 202402, 0)
    assert made.frame.select("day", "from_price", "to_price", "decided").rows() == [
        (DAYS[3], 2.0, 3.0, None), (DAYS[9], 3.0, 4.0, None),
    ]  # fmt: skip


def test_months_are_those_of_the_rows_and_the_markets_own_where_less_than_a_year_is_seen():
    assert judge(row(2, DAYS[3], 202402, 202403))[0].months == (2, 3, 4, 12)
    assert judge(row(2, DAYS[3], 202402, 202403), spec=None)[0].months == (2, 3)
    year = make_bars(DAYS, {c: flat(20) for c in (202403, 202503)})
    made, _ = judged("XX", [row(2, DAYS[3], 202403, 202503)], chains.load(year), SPEC, None)
    assert made.months == (3,)


def test_a_row_of_which_nothing_can_be_read_is_no_fault_here_and_makes_no_calendar():
    made, faults = judge(row(2, DAYS[3], 202402, 202403), Row(3, {}, {}), row(4, DAYS[9], 202404, 202412))
    assert made is None and faults == []  # that the contract is another is not blamed on the row after it


@pytest.mark.parametrize("lacking", ["day", "time", "from", "to"])
def test_what_a_file_says_by_itself_needs_day_moment_and_contracts(lacking):
    one = row(2, DAYS[3], 202402, 202403, time=None)
    one.read["time"] = BARS["time"][3]
    told = as_written("XX", [one], "mine")
    assert told == as_written("XX", [one], "mine") != as_written("XX", [one], "other")
    del one.read[lacking]
    assert as_written("XX", [one], "mine") is None


def test_the_nearest_days_of_a_store_are_told_with_a_day_that_it_lacks():
    _, [fault] = judge(row(2, DAYS[4] + timedelta(days=1), 202402, 202403))
    assert (fault.column, fault.remedy) == ("day", f"take {DAYS[4]} or {DAYS[5]}")
    _, [fault] = judge(row(2, date(2030, 1, 1), 202402, 202412), spec=None)
    assert fault.reason == f"is after {DAYS[-1]}, with which the store ends"
