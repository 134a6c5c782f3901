"""NinjaTrader's bars: names, minutes and days, prices that are no trades."""

from datetime import UTC, date, datetime

import pytest

from store import raw
from store.vendors import ninjatrader
from tests.vendor_files import file, real, sample

LINE = b"20240102 230100;1;2;1;1.5;7\n"
HEADER = b"timestamp_utc;open;high;low;close;volume;pricetype\n"


def test_a_sample_of_minutes_ends_its_bars_at_the_stamp():
    [reading] = sample(ninjatrader, "ES 03-24.Last.txt")
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "ninjatrader-minute", "ES")
    row = reading.frame.row(1, named=True)
    assert (row["time"], row["contract"], row["line"]) == (datetime(2024, 1, 2, 23, 2, tzinfo=UTC), 202403, 2)
    assert [row[c] for c in ("open", "high", "low", "close", "volume")] == [4790.5, 4791.25, 4790.25, 4791.0, 305.0]
    assert "day" not in reading.frame.columns


def test_a_sample_with_a_header():
    [reading] = sample(ninjatrader, "6EH4.XCME_1min.csv")
    assert (reading.vendor, reading.name) == ("ninjatrader-minute", "6E")
    assert reading.frame.select("contract", "time", "close", "source_time").row(0) == (
        202403, datetime(2024, 1, 2, 23, 1, tzinfo=UTC), 1.0982, "2024-01-02 23:01:00",
    )  # fmt: skip


def test_lines_without_an_hour_are_days():
    [reading] = ninjatrader.read(file(**{"CL 02-24.Last.txt": b"20240102;70;72;69;71;9\n"}))
    assert (reading.vendor, reading.frame["day"][0], reading.frame["close"][0]) == (
        "ninjatrader",
        date(2024, 1, 2),
        71.0,
    )


def test_several_contracts_are_one_reading_a_market():
    both = file(**{"ES 03-24.Last.txt": LINE, "ES 06-24.Last.txt": LINE, "NQ 03-24.Last.txt": LINE})
    es, nq = ninjatrader.read(both)
    assert es.frame.select("file", "contract").rows() == [("ES 03-24.Last.txt", 202403), ("ES 06-24.Last.txt", 202406)]
    assert nq.name == "NQ"


def test_bids_are_no_trades():
    with pytest.raises(raw.Unreadable, match=r"ES 03-24\.Bid\.txt: bids or asks, no trades"):
        ninjatrader.read(file(**{"ES 03-24.Bid.txt": LINE}))
    rows = HEADER + b"2024-01-02 23:01:00;1;2;1;1.5;7;Ask\n"
    [reading] = ninjatrader.read(file(**{"6EH4.csv": rows}))
    assert reading.frame.select("column", "fault").row(0) == ("pricetype", "no trade: Ask")


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("ES 03-24.Last.txt", LINE, True),
        ("6EH4.csv", HEADER, True),
        ("6EH4.XCME_1min.csv", HEADER.replace(b";", b",").replace(b",pricetype", b""), True),
        ("ES.txt", LINE, False),
        ("ES 03-24.Last.txt", b"20240102 230100,1,2,1,1.5,7\n", False),
        ("ESH24.csv", b"Date,Open,High,Low,Close,Volume\n", False),
    ],
)
def test_files_are_known_by_name_and_first_line(name, data, known):
    assert bool(ninjatrader.recognises(file(**{name: data}))) is known


def test_another_file_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not NinjaTrader's"):
        ninjatrader.read(file(**{"x.csv": b"a,b\n"}))


def test_a_fault_names_its_line():
    [reading] = ninjatrader.read(file(**{"ES 03-24.txt": LINE + b"20240102 230200;1;2;1;x;7\n20240102;1;2;1;1;7\n"}))
    assert reading.frame.select("line", "column", "fault").rows()[1:] == [
        (2, "close", "not a number: x"), (3, "written", "not a date: 20240102"),
    ]  # fmt: skip


def test_the_real_files_have_as_many_rows_as_their_list_says(shared):
    folder = shared / "ninjatrader_style"
    [minutes] = real(ninjatrader, folder / "6EH4.XCME_1min_bars_20240101_20240131.csv.gz")
    [few] = real(ninjatrader, folder / "6EH4.XCME_1min_bars_semicolon.csv")
    assert (minutes.frame.height, few.frame.height) == (29_996, 9)  # the list counts few's header with its rows
    assert minutes.frame["time"][0] == datetime(2024, 1, 1, 23, 1, tzinfo=UTC)
