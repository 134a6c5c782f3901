"""LEAN's zips of bars and open interest; expected values by hand or from the files by csv and zipfile."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from store import open_archive, raw
from store.raw import Part, RawFile
from store.vendors import lean
from tests.conftest import REPO
from tests.sample_files import counts, zipped
from tests.sample_files import one as imported

SAMPLES = REPO / "tests" / "samples" / "lean"
MINUTE = "20240310_es_minute_trade_202403.csv"


def file(path="x.zip", **entries):
    """A zip of entries: name without .csv -> text."""
    return RawFile(
        Path(path), "", tuple(Part(f"{Path(path).name}/{n}.csv", f"{n}.csv", t.encode()) for n, t in entries.items())
    )


def one(name, text, path="x.zip"):
    [reading] = lean.read(file(path, **{name: text}))
    return reading


def sample(name):
    opened = raw.open_file(SAMPLES / name)
    assert lean.recognises(opened)
    return lean.read(opened)


def test_daily_bars_are_last_trades_and_sunday_s_is_monday_s():
    [reading] = sample("es_trade.zip")
    assert (reading.table, reading.vendor, reading.name, reading.partial) == ("contract_bars", "lean", "ES", False)
    assert reading.frame.select("contract", "day", "open", "high", "low", "close", "volume").rows()[1:4] == [
        (202403, date(2024, 3, 8), 5160.0, 5189.25, 5117.5, 5128.5, 2011840.0),
        (202403, date(2024, 3, 11), 5128.0, 5131.5, 5126.25, 5127.0, 4100.0),
        (202406, date(2024, 3, 7), 5182.0, 5226.75, 5180.0, 5219.5, 91200.0),
    ]
    assert reading.frame.row(3, named=True)["file"] == "es_trade.zip/es_trade_202406.csv"
    assert reading.frame["line"].to_list() == [1, 2, 3, 1, 2]  # there is no header


def test_daily_open_interest_completes_the_bars():
    [reading] = sample("es_openinterest.zip")
    assert (reading.vendor, reading.partial) == ("lean", True)
    assert reading.frame.select("contract", "day", "open_interest").rows() == [
        (202403, date(2024, 3, 7), 2098100.0), (202403, date(2024, 3, 8), 2100700.0),
        (202406, date(2024, 3, 8), 310250.0),
    ]  # fmt: skip


def test_a_zip_with_a_stamp_within_the_day_is_of_hours():
    [reading] = sample("gc_trade.zip")
    assert (reading.vendor, reading.name, "day" in reading.frame.columns) == ("lean-hour", "GC", False)
    assert reading.frame["time"].to_list() == [
        datetime(2024, 3, 7, 23, tzinfo=UTC), datetime(2024, 3, 8, tzinfo=UTC), datetime(2024, 3, 8, 1, tzinfo=UTC),
    ]  # fmt: skip


def test_an_entry_of_midnights_is_of_hours_if_its_zip_or_its_folder_is():
    midnight, later = "20240308 00:00,1,1,1,1,1", "20240308 05:00,1,1,1,1,1"
    [reading] = lean.read(file(es_trade_202403=midnight, es_trade_202406=later))
    assert reading.vendor == "lean-hour"
    assert one("es_trade_202403", midnight, "cme/hour/es_trade.zip").vendor == "lean-hour"
    assert one("es_trade_202403", midnight, "cme/daily/es_trade.zip").vendor == "lean"


def test_minutes_are_milliseconds_of_a_utc_day_and_end_a_minute_later():
    [reading] = sample("20240310_trade.zip")
    assert reading.vendor == "lean-minute"
    assert reading.frame["time"].to_list() == [
        datetime(2024, 3, 10, 22, 1, tzinfo=UTC), datetime(2024, 3, 10, 22, 2, tzinfo=UTC),
        datetime(2024, 3, 11, tzinfo=UTC),
    ]  # fmt: skip
    assert reading.frame["source_time"][0] == "20240310 79200000"


def test_open_interest_within_the_day_is_the_day_s_last():
    [interest] = sample("20240310_openinterest.zip")
    assert (interest.vendor, interest.partial) == ("lean", True)
    assert interest.frame.select("day", "time", "open_interest").row(0) == (
        date(2024, 3, 11), datetime(2024, 3, 10, 23, tzinfo=UTC), 2100700.0,
    )  # fmt: skip
    hours = one("es_openinterest_202403", "20240308 06:00,1\n20240308 13:00,2\n20240308 x,3\n20240309 06:00,4").frame
    assert hours.select("open_interest", "idle", "fault").rows() == [
        (1.0, "superseded", None), (2.0, None, None), (3.0, None, "not a date: 20240308 x"), (4.0, None, None),
    ]  # fmt: skip


def test_a_damaged_row_takes_no_other_s_place():
    frame = one("es_openinterest_202403", "20240308 06:00,1\n20240308 13:00,x").frame
    assert frame.select("idle", "fault").rows() == [(None, None), (None, "not a number: x")]


def test_every_line_of_open_interest_is_counted_and_those_that_gave_way_are_told(tmp_path):
    entries = {"gc_openinterest_202404.csv": "20240308 06:00,1\n20240308 13:00,2\n20240308 14:00,2\n"}
    path = zipped(
        tmp_path / "in", "gc_openinterest.zip", entries | {"gc_openinterest_202406.csv": "20240308 06:00,5\n"}
    )
    archive = open_archive(tmp_path / "store", create=True)
    report = imported(archive, path)
    assert (counts(report), report.reasons) == ((4, 2, 2, 0), {"superseded": 2})
    told = "open interest that was published again on the same day, of which the last is kept; rows left: 2"
    assert report.notes == [told]
    assert archive.read("contract_bars").select("contract", "open_interest").rows() == [(202404, 2.0), (202406, 5.0)]


def test_the_real_hours_of_open_interest_are_all_counted(tmp_path, shared):
    archive = open_archive(tmp_path / "store", create=True)
    report = imported(archive, shared / "lean" / "future" / "cme" / "hour" / "es_openinterest.zip")
    assert counts(report) == (85, 35, 50, 0)


def test_exchanges_that_keep_their_own_time_are_told_apart():
    reading = one("20240308_hsi_minute_trade_202403", "33300000,1,1,1,1,1")  # 09:15 in Hong Kong
    assert reading.frame["time"][0] == datetime(2024, 3, 8, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("20240310_es_minute_quote_202403", "quotes (bid and ask) are not imported; trade and openinterest zips are"),
        ("20240310_es_tick_trade_202403", "ticks are not imported"),
        ("20240310_es_second_trade_202403", "bars of a second are not imported"),
        ("ES_trade_2024", "not named as an entry of LEAN's zips is"),
    ],
)
def test_what_is_not_imported_is_refused_with_the_reason(name, told):
    kind = raw.Unreadable if name.startswith("ES") else raw.LeftOut
    with pytest.raises(kind) as error:
        lean.read(file(**{name: "1,1,1,1,1,1"}))
    assert type(error.value) is kind
    assert f"x.zip/{name}.csv: {told}" in str(error.value)


def test_a_quote_zip_is_known_as_lean_s():
    assert lean.recognises(raw.open_file(SAMPLES / "20240310_quote.zip"))


@pytest.mark.parametrize(
    ("name", "row", "column", "fault"),
    [
        ("20240310_es_minute_trade_202403", "x,1,1,1,1,1", "Time", "not a number: x"),
        ("20240310_es_minute_trade_202403", "86400000,1,1,1,1,1", "Time", "no millisecond of a day: 86400000"),
        ("20240310_es_minute_trade_202403", "0.5,1,1,1,1,1", "Time", "no millisecond of a day: 0.5"),
        ("20241310_es_minute_trade_202403", "0,1,1,1,1,1", "Time", "no such day in the entry's name: 0"),
        ("es_trade_202403", "20240308 00:00,1,1,1,x,1", "Close", "not a number: x"),
        ("es_trade_202403", "20240308 00:00,1,1,1", "Close", "4 fields instead of 6"),
        ("es_trade_202403", "20241308 00:00,1,1,1,1,1", "Time", "not a date: 20241308 00:00"),
    ],
)
def test_a_fault_names_the_column(name, row, column, fault):
    assert one(name, row).frame.select("column", "fault").row(0) == (column, fault)


def test_an_empty_entry_holds_no_row_and_all_empty_ones_are_refused():
    [reading] = lean.read(file(es_trade_202403="", es_trade_202406="20240308 00:00,1,1,1,1,1"))
    assert reading.frame["contract"].to_list() == [202406]
    with pytest.raises(raw.Unreadable, match="ES: its daily entries are empty"):
        lean.read(file(es_trade_202403=""))


def test_an_entry_s_name_may_tell_the_expiry_after_the_month():
    assert one("es_trade_202403_20240315", "20240308 00:00,1,1,1,1,1").frame["contract"][0] == 202403


def real(folder, shared):
    """(kind, contract, day, row) of each line of the real zips in a folder, by csv and zipfile."""
    for path in sorted((shared / "lean" / "future").rglob(f"{folder}/**/*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                for row in csv.reader(io.StringIO(archive.read(name).decode())):
                    day = name[:8] if folder == "minute" else row[0][:8]
                    root = name.split("_")[folder == "minute"]
                    yield path.stem.split("_")[1], (root.upper(), int(name[-10:-4]), day), row


def _kept(frame):
    return frame.filter(frame["idle"].is_null()) if "idle" in frame.columns else frame


@pytest.mark.parametrize(("folder", "vendor"), [("minute", "lean-minute"), ("hour", "lean-hour"), ("daily", "lean")])
def test_every_line_of_the_real_zips_arrives(folder, vendor, shared):
    trades, interest, rows, held, refused, lines, published = 0, {}, 0, {}, 0, 0, 0
    for kind, key, row in real(folder, shared):
        trades += kind == "trade"
        lines += kind == "openinterest"
        if kind == "openinterest":
            interest[key] = float(row[1])  # the last of the day
    for path in sorted((shared / "lean" / "future").rglob(f"{folder}/**/*.zip")):
        opened = raw.open_file(path)
        assert lean.recognises(opened)
        try:
            readings = lean.read(opened)
        except raw.Unreadable:
            refused += 1
            continue
        for reading in readings:
            assert reading.frame["fault"].null_count() == reading.frame.height
            published += reading.frame.height if reading.partial else 0
            assert reading.vendor == ("lean" if reading.partial else vendor)
            rows += 0 if reading.partial else reading.frame.height
            for contract, time, count in (
                _kept(reading.frame).select("contract", "time", "open_interest").rows() if reading.partial else ()
            ):
                held[reading.name, contract, f"{time:%Y%m%d}"] = count
    assert (rows, held, published) == (trades, interest, lines)
    assert refused == {"minute": 8, "hour": 2, "daily": 2}[folder]


def test_the_last_open_interest_of_a_real_day_is_that_of_the_daily_zip(shared):
    by_day = {key: row[1] for kind, key, row in real("daily", shared) if kind == "openinterest"}
    for folder in ("minute", "hour"):
        last = {key: row[1] for kind, key, row in real(folder, shared) if kind == "openinterest"}
        assert len(last.keys() & by_day.keys()) > 130
        assert all(last[key] == by_day[key] for key in last.keys() & by_day.keys())


def test_real_minutes_and_hours_are_of_the_same_clock(shared):
    """The hour that ends at 23:00 UTC on 2013-10-06 is made of minutes that end from 22:01 to 23:00."""
    folder = shared / "lean" / "future" / "cme"
    hours = lean.read(raw.open_file(folder / "hour" / "es_trade.zip"))[0].frame
    minutes = lean.read(raw.open_file(folder / "minute" / "es" / "20131006_trade.zip"))[0].frame
    first, end = datetime(2013, 10, 6, 22, tzinfo=UTC), datetime(2013, 10, 6, 23, tzinfo=UTC)
    hour = hours.filter(time=end, contract=201312).row(0, named=True)
    inside = minutes.filter((minutes["contract"] == 201312) & (minutes["time"] > first) & (minutes["time"] <= end))
    assert (hour["high"], hour["low"]) == (inside["high"].max(), inside["low"].min()) == (1678.25, 1673.25)
    assert hour["volume"] == inside["volume"].sum() == 8725
