"""FirstRate's bars: New York's clock, start of the bar, lengths, continuous files refused."""

from datetime import UTC, datetime

import pytest

from store import raw
from store.vendors import firstrate
from tests.vendor_files import file, sample

LINE = b"2024-01-16 09:30:00,1,2,1,1.5,7\n"


def test_a_sample_ends_its_bars_a_minute_after_the_stamp_in_summer_and_in_winter():
    [reading] = sample(firstrate, "NQZ08.txt")
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "firstrate-minute", "NQ")
    assert reading.frame["time"].to_list()[::3] == [
        datetime(2008, 9, 15, 13, 31, tzinfo=UTC), datetime(2008, 11, 3, 14, 31, tzinfo=UTC),
    ]  # fmt: skip
    row = reading.frame.row(0, named=True)
    assert (row["contract"], row["close"], row["volume"], row["line"]) == (200812, 1747.0, 2210.0, 1)
    assert row["source_time"] == "2008-09-15 09:30:00"


@pytest.mark.parametrize(
    ("name", "vendor", "minute"),
    [
        ("ES_H24_1min.txt", "firstrate-minute", 31),
        ("ES_H24_5min.txt", "firstrate-5-minute", 35),
        ("ESH2024_1hour.txt", "firstrate-hour", 30),
    ],
)
def test_the_length_of_the_bars_is_in_the_name(name, vendor, minute):
    [reading] = firstrate.read(file(**{name: LINE}))
    assert (reading.vendor, reading.name, reading.frame["contract"][0]) == (vendor, "ES", 202403)
    assert reading.frame["time"][0].minute == minute


def test_without_a_length_in_the_name_the_rows_tell_it():
    rows = b"".join(b"2024-01-16 %02d:00:00,1,2,1,1.5,7\n" % hour for hour in (9, 10, 11))
    [reading] = firstrate.read(file(**{"CLH24.txt": rows}))
    assert (reading.vendor, reading.frame["time"][0]) == ("firstrate-hour", datetime(2024, 1, 16, 15, tzinfo=UTC))


@pytest.mark.parametrize("name", ["ES_full_1min_continuous_UNadjusted.txt", "ES_1min_continuous_ratio_adjusted.txt"])
def test_continuous_files_are_recognised_and_refused(name):
    opened = file(**{name: LINE})
    assert firstrate.recognises(opened)
    with pytest.raises(raw.Unreadable, match="a continuous series; import the files of single contracts"):
        firstrate.read(opened)


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("NQZ08.txt", LINE, True),
        ("NQZ08.txt", b"2024-01-16,1,2,1,1.5,7,9\n", False),  # a daily file
        ("NQ.txt", LINE, False),
        ("NQZ08.txt", b"Date,Open\n", False),
    ],
)
def test_files_are_known_by_name_and_first_line(name, data, known):
    assert bool(firstrate.recognises(file(**{name: data}))) is known


def test_another_file_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not FirstRate's"):
        firstrate.read(file(**{"x.csv": LINE}))


def test_a_fault_names_its_line():
    [reading] = firstrate.read(file(**{"NQH24.txt": LINE + b"2024-01-16,1,2,1,1,7\n2024-01-16 09:32:00,1,2\n"}))
    assert reading.frame.select("line", "column", "fault").rows()[1:] == [
        (2, "start", "not a date: 2024-01-16"), (3, "low", "3 fields instead of 6"),
    ]  # fmt: skip
