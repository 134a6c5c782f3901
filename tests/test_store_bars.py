"""What readers make of rows in the same way: lengths of bars, sources, codes read as of their day, clocks."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from store import bars, raw
from store.raw import Part

NO_FAULT = {"column": [None], "fault": [None]}
TEXT = {"column": pl.String, "fault": pl.String}


def frame(**columns):
    height = len(next(iter(columns.values())))
    return pl.DataFrame(columns | {name: values * height for name, values in NO_FAULT.items()}, schema_overrides=TEXT)


def test_the_commonest_step_of_a_contract_is_the_length_of_its_bars():
    start = datetime(2024, 1, 2, 9)
    steps = [start + timedelta(minutes=m) for m in (0, 5, 10, 40, 45)]
    two = pl.DataFrame({"contract": [202403] * 5 + [202406] * 5, "time": steps + steps})
    assert bars.minutes(two) == 5
    assert bars.minutes(two.head(1)) == 1  # nothing tells


def test_an_hour_that_the_clocks_skipped_is_a_fault_and_one_that_came_twice_is_the_earlier():
    stamps = [datetime(2024, 3, 10, 2, 30), datetime(2024, 11, 3, 1, 30)]
    read = bars.moment(frame(stamp=stamps, text=["a", "b"]), "text", "America/New_York")
    assert read["fault"].to_list() == ["no such moment in America/New_York: a", None]
    assert read["time"].to_list() == [None, datetime(2024, 11, 3, 5, 30, tzinfo=UTC)]


def test_a_code_is_read_as_of_its_row_s_year():
    days = [date(2010, 1, 4), date(2020, 1, 6), date(2020, 1, 6), date(2020, 1, 6)]
    read = bars.coded(frame(code=["ESH0", "ESH0", "202003", "what"], day=days), "code")
    assert read.select("contract", "coded").rows() == [(201003, "ES"), (202003, "ES"), (202003, None), (None, None)]
    assert read["fault"].to_list() == [None, None, None, "not a contract code: what"]


@pytest.mark.parametrize("written", ["ESH24", "ES 03-24", "2024H", "H24", "03-24", "202403"])
def test_a_code_in_a_name_may_lack_the_root(written):
    part = Part("x.csv", "x.csv", b"")
    read = bars.by_name(frame(part=[0], day=[date(2024, 1, 2)]), [part], [written])
    assert read.select("contract", "file").row(0) == (202403, "x.csv")


def test_a_name_without_a_code_is_refused():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: 'what' in the name is no contract"):
        bars.by_name(frame(part=[0], day=[None]), [Part("x.csv", "x.csv", b"")], ["what"])
