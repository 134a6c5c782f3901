"""Cboe's files of VX: old and new names, the disclaimer, zeros, weekly contracts, the old scale."""

import csv
from datetime import date

import polars as pl
import pytest

from store import ingest, open_archive, raw
from store.vendors import cfe
from tests.vendor_parts import SAMPLES, made, only, opened, sample

HEADER = b"Trade Date,Futures,Open,High,Low,Close,Settle,Change,Total Volume,EFP,Open Interest\n"
ROW = b"01/03/2008,K (May 08),25.1,25.6,24.9,25.2,25.25,0.1,100,0,1000\n"


def test_an_old_file_is_read_and_zero_is_no_price():
    reading = only(cfe, sample(cfe, "CFE_K08_VX.csv"))
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "cfe", "VX")
    assert reading.frame.select("contract", "day", "open", "close", "settle", "volume", "open_interest").rows() == [
        (200805, date(2006, 9, 25), None, None, None, 0.0, 0.0),
        (200805, date(2007, 3, 23), 158.1, 158.5, 158.6, 35.0, 1210.0),
        (200805, date(2007, 3, 26), 15.9, 15.85, 15.84, 41.0, 1232.0),
        (200805, date(2007, 3, 27), None, None, 15.91, 0.0, 1232.0),  # a date and zeros written short
    ]
    assert reading.frame["fault"].null_count() == 4


def test_a_disclaimer_before_the_header_is_passed_and_quotes_are_no_trades():
    reading = only(cfe, sample(cfe, "CFE_N14_VX.csv"))
    assert reading.notes == (("CFE_N14_VX.csv", "rows of days without a trade, whose quotes were taken as missing: 1"),)
    assert reading.frame.select("line", "contract", "high", "low", "close", "settle").rows() == [
        (3, 201407, None, None, None, 19.1),  # the bid of 18.90 and the ask of 19.30
        (4, 201407, 19.2, 18.95, 19.15, 19.2),
    ]


def test_a_new_file_is_named_after_its_settlement():
    reading = only(cfe, sample(cfe, "VX_2018-06-20.csv"))
    assert reading.frame.select("contract", "day", "settle", "open_interest").rows() == [
        (201806, date(2018, 3, 1), 18.375, 55210.0),
        (201806, date(2018, 3, 2), 17.275, 56020.0),
    ]


@pytest.mark.parametrize("day", ["2018-06-20", "2014-03-18", "2019-12-18", "2021-01-20", "2024-12-18"])
def test_monthly_contracts_settle_thirty_days_before_a_third_friday(day):  # 2014-03-18: Good Friday moved it
    file = made((f"VX_{day}.csv", HEADER))
    assert only(cfe, file).frame.height == 0


@pytest.mark.parametrize("day", ["2018-06-13", "2018-06-27", "2022-06-01"])
def test_weekly_contracts_are_refused(day):
    with pytest.raises(raw.Unreadable, match=rf"VX_{day}\.csv: settles on {day}, a weekly contract"):
        cfe.read(made((f"VX_{day}.csv", HEADER)))


def test_a_row_of_another_contract_is_a_fault():
    other = ROW.replace(b"K (May 08)", b"M (Jun 08)") + ROW.replace(b"K (May 08)", b"VX23")
    reading = only(cfe, made(("CFE_K08_VX.csv", HEADER + ROW + other)))
    assert reading.frame.select("column", "fault").rows() == [
        (None, None),
        ("Futures", "not the contract that the file is named after: M (Jun 08)"),
        ("Futures", "not the contract that the file is named after: VX23"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("CFE_K08_VX.csv", HEADER, True),
        ("CFE_K08_VX.csv", b"CFE data is compiled for\n" + HEADER, True),
        ("VXM_2021-01-20.csv", HEADER, True),
        ("CFE_K08_VX.csv", b"Date,Close\n", False),
        ("CFE_A08_VX.csv", HEADER, False),
        ("VX_20180620.csv", HEADER, False),
    ],
)
def test_files_are_known_by_names_and_beginnings(name, data, known):
    assert cfe.recognises(made((name, data))) is known


def test_a_wrong_name_or_an_error_page_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not named CFE_K08_VX\.csv or VX_2018-06-20\.csv"):
        cfe.read(made(("x.csv", HEADER)))
    with pytest.raises(raw.Unreadable, match=r"VX_2018-13-25\.csv: 2018-13-25 in the name is no date"):
        cfe.read(made(("VX_2018-13-25.csv", HEADER)))
    with pytest.raises(raw.Unreadable, match="column Trade Date is not in the header, which has <html>"):
        cfe.read(made(("CFE_K08_VX.csv", b"<html>\n<p>busy\n")))


def test_the_real_files_have_the_rows_and_zeros_that_were_counted(shared):
    file = opened(shared / "cfe_vx")
    assert cfe.recognises(file) and len(file.parts) == 62
    frame = only(cfe, file).frame
    assert (frame.height, frame["fault"].null_count(), frame["contract"].n_unique()) == (11_700, 11_700, 62)
    assert frame["settle"].null_count() == 269
    assert frame["close"].null_count() == 1_232  # 1,230 of Close 0, and 2 on days without volume
    assert frame.filter(pl.col("day") < date(2007, 3, 26)).height == 257
    assert frame.filter(pl.col("high") < pl.col("low")).is_empty()  # 2 in the files, both quotes
    told = {place: int(note.rpartition(" ")[2]) for place, note in only(cfe, file).notes}
    assert told == quoted(shared / "cfe_vx")


def quoted(folder):
    """{file: its rows with a price and without volume}, by csv."""
    found = {}
    for path in sorted(folder.iterdir()):
        lines = path.read_text().splitlines()
        start = next(n for n, line in enumerate(lines) if line.startswith("Trade Date"))
        rows = csv.DictReader(lines[start:])
        names = ("Open", "High", "Low", "Close")
        count = sum(float(row["Total Volume"]) == 0 and any(float(row[name]) for name in names) for row in rows)
        found |= {path.name: count} if count else {}
    return found


def test_the_old_scale_ends_in_the_store_and_listing_days_are_kept_apart(shared, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    reports = ingest.import_paths(archive, [shared / "cfe_vx"])
    assert not [report.error for report in reports if report.error]
    assert sum(report.rows_read for report in reports) == 11_700
    assert sum(report.reasons.get("no_price", 0) for report in reports) == 269
    bars = archive.read("contract_bars", root="VX")
    old = bars.filter(pl.col("day") < date(2007, 3, 26))["settle"].drop_nulls()
    assert old.len() > 200 and old.max() < 30  # the VIX stood between 10 and 20 then
    before, after = (
        bars.filter(contract=200805, day=day)["settle"][0] for day in (date(2007, 3, 23), date(2007, 3, 26))
    )
    assert after == pytest.approx(before, rel=0.05)
    [wrong] = archive.read("quarantine").filter(rule="settle_far")["raw"]
    assert wrong.startswith("04/21/2008,G (Feb 09),22.67,22.67,22.67,22.67,1.00")  # the exchange's own slip


def test_the_samples_are_all_of_this_vendor():
    assert all(cfe.recognises(raw.open_file(path)) for path in (SAMPLES / "cfe").iterdir())
