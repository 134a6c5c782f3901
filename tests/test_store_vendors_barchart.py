"""Barchart's files: names, stamps, settlement."""

from datetime import UTC, date, datetime

import pytest

from store import raw
from store.contracts import Master
from store.raw import Part, RawFile
from store.vendors import barchart
from tests.conftest import REPO

SAMPLES = REPO / "tests" / "samples" / "barchart"
HEADER = b"Time,Open,High,Low,Close,Volume\n"


def file(**parts):
    return RawFile(SAMPLES, "", tuple(Part(name, name, data) for name, data in parts.items()))


def one(name="Day_SILVER_20240300.csv", rows=b"", header=HEADER):
    return file(**{name: header + rows})


def test_a_sample_is_recognised_and_read():
    opened = raw.open_file(SAMPLES / "Day_SP500_micro_20240600.csv")
    assert barchart.recognises(opened)
    [reading] = barchart.read(opened)
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "barchart", "SP500_micro")
    first = reading.frame.row(0, named=True)
    assert (first["contract"], first["day"], first["line"]) == (202406, date(2024, 3, 6), 2)
    assert [first[c] for c in ("open", "high", "low", "settle", "volume")] == [5058.5, 5088.5, 5057.25, 5085.0, 3310.0]
    assert first["source_time"] == "2024-03-06T06:00:00+0000"
    assert reading.frame["fault"].null_count() == reading.frame.height


def test_midnight_in_chicago_names_the_day_in_winter_and_in_summer():
    [reading] = barchart.read(raw.open_file(SAMPLES / "Day_SP500_micro_20240600.csv"))
    assert reading.frame["day"].to_list()[2:4] == [date(2024, 3, 8), date(2024, 3, 11)]  # clocks changed between


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Day_WHEAT_20240300.csv", True),
        ("Day_WHEAT_mini_20240300.csv", True),
        ("Day_JGB-SGX-mini_20240300.csv", True),
        ("Hour_WHEAT_20240300.csv", True),
        ("Week_WHEAT_20240300.csv", False),
        ("Day_WHEAT_20241300.csv", False),  # no such month
        ("Day_WHEAT_202403.csv", False),
        ("WHEAT_20240300.csv", False),
    ],
)
def test_files_are_known_by_their_names(name, known):
    assert barchart.recognises(one(name)) is known


def test_a_market_s_name_is_read_from_the_right():
    both = file(**{"Day_WHEAT_20240300.csv": HEADER, "Day_WHEAT_mini_20240300.csv": HEADER})
    assert [reading.name for reading in barchart.read(both)] == ["WHEAT", "WHEAT_mini"]


def test_a_file_by_another_name_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not named Day_<MARKET>_<YYYYMM00>\.csv"):
        barchart.read(one("x.csv"))


def test_a_market_of_several_contracts_is_one_reading_with_each_row_s_file():
    row = b"2024-03-01T06:00:00+0000,1,1,1,1,0\n"
    names = ("Day_SILVER_20240300.csv", "Day_SILVER_20240500.csv")
    [reading] = barchart.read(file(**{name: HEADER + row for name in names}))
    assert reading.frame.select("file", "line", "contract").rows() == [(names[0], 2, 202403), (names[1], 2, 202405)]


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (b"2024-03-01T06:00:00+0000,1,1,1,x,0", "Close", "not a number: x"),
        (b"2024-03-01T06:00:00+0000,1,1,1,1", "Volume", "5 fields instead of 6"),
        (b"2024-03-01,1,1,1,1,0", "Time", "not a date: 2024-03-01"),
        (
            b"2024-03-01T15:00:00+0000,1,1,1,1,0",
            "Time",
            "not midnight in Chicago, so no daily bar: 2024-03-01T15:00:00+0000",
        ),
    ],
)
def test_a_fault_names_barchart_s_column(row, column, fault):
    [reading] = barchart.read(one(rows=row))
    assert reading.frame.select("column", "fault").row(0) == (column, fault)


def test_an_error_page_in_place_of_a_file_is_refused():
    with pytest.raises(raw.Unreadable, match=r"line 1: column Time is not in the header, which has <html>"):
        barchart.read(one(header=b"<html>\n<body>busy</body>\n"))


def test_a_sample_of_hours_ends_them_an_hour_after_the_stamp():
    opened = raw.open_file(SAMPLES / "Hour_SP500_micro_20240600.csv")
    assert barchart.recognises(opened)
    [reading] = barchart.read(opened)
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "barchart-hour", "SP500_micro")
    row = reading.frame.row(1, named=True)
    assert (row["time"], row["source_time"]) == (datetime(2024, 3, 10, 23, tzinfo=UTC), "2024-03-10T22:00:00+0000")
    assert (row["contract"], row["close"], row["volume"]) == (202406, 5116.0, 77.0)
    assert not {"day", "settle"} & set(reading.frame.columns)


def test_days_and_hours_of_a_market_are_readings_apart():
    hour = b"2024-03-01T15:00:00+0000,1,1,1,1,0\n"
    both = file(**{"Hour_SILVER_20240300.csv": HEADER + hour, "Day_SILVER_20240300.csv": HEADER})
    assert [reading.vendor for reading in barchart.read(both)] == ["barchart-hour", "barchart"]


def test_older_files_call_the_close_latest():
    row = b"2024-03-01T06:00:00+0000,1,3,1,2,0\n"
    [reading] = barchart.read(one(rows=row, header=HEADER.replace(b"Close", b"Latest")))
    assert (reading.frame["settle"].to_list(), reading.headings["settle"]) == ([2.0], "Latest")


def test_the_real_hours_are_as_many_as_their_list_says(shared):
    readings = [r for path in (shared / "barchart" / "hourly").iterdir() for r in barchart.read(raw.open_file(path))]
    assert sum(reading.frame.height for reading in readings) == 199_540
    assert sum(reading.frame["contract"].n_unique() for reading in readings) == 66
    assert {reading.vendor for reading in readings} == {"barchart-hour"}


def test_the_real_files_have_as_many_rows_as_their_list_says(shared):
    file_ = raw.open_file(shared / "barchart" / "daily" / "Day_LIVECOW.zip")
    [reading] = barchart.read(file_)
    assert (reading.frame.height, reading.frame["contract"].n_unique()) == (76_362, len(file_.parts))
    assert reading.frame["fault"].null_count() == 76_362


@pytest.mark.parametrize("name", ["Day_CORN_20241215.csv", "Hour_CORN_20241206.csv"])
def test_a_weekly_contract_is_known_and_refused(name):
    assert barchart.recognises(one(name))
    told = rf"^{name}: a weekly contract, named by the day {name[-6:-4]}; the store has one contract a month"
    with pytest.raises(raw.Unreadable, match=told):
        barchart.read(one(name))


def test_the_real_sample_of_a_full_contract_is_quoted_as_at_the_exchange(shared):
    opened = raw.open_file(shared / "barchart" / "sample_upstream" / "Day_AUD_20240300.csv")
    [reading] = barchart.read(opened)
    alias = Master.load().alias("barchart", reading.name)
    assert (alias.root, alias.factor) == ("6A", 1.0)
    assert reading.frame["settle"].is_between(0.6, 0.7).all()  # US dollars per Australian dollar


@pytest.mark.parametrize("name", ["SP500", "GOLD", "EUR", "US20", "BOBL", "PLAT"])
def test_a_full_contract_has_the_market_that_the_same_name_has_elsewhere(name):
    master = Master.load()  # bc-utils took its names from pysystemtrade
    ours, theirs = (master.alias(vendor, name) for vendor in ("barchart", "pysystemtrade"))
    assert (ours.root, ours.factor) == (theirs.root, 1.0)
