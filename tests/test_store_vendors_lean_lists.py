"""LEAN's margins, universes, map files and rate; expected values by hand or from the files by csv."""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from store import open_archive, raw
from store.contracts import Master, last_trade
from store.raw import Part, RawFile
from store.vendors import lean, lean_lists
from tests.conftest import REPO
from tests.sample_files import counts
from tests.sample_files import one as imported

SAMPLES = REPO / "tests" / "samples" / "lean"


def sample(name):
    opened = raw.open_file(SAMPLES / name)
    assert lean.recognises(opened)
    [reading] = lean.read(opened)
    return reading


def read(name, text, path=None):
    [reading] = lean.read(RawFile(Path(path or name), "", (Part(name, name, text.encode()),)))
    return reading


def test_margins_are_of_the_market_that_names_the_file():
    reading = sample("GC.csv")
    assert (reading.table, reading.vendor, reading.name) == ("margins", "lean", "GC")
    assert reading.frame.select("day", "initial", "maintenance", "line", "fault").rows() == [
        (date(2023, 1, 5), 8800.0, 8000.0, 2, None),
        (date(2023, 6, 16), 9130.0, 8300.0, 4, None),  # line 3 is a comment
        (date(2024, 1, 12), 9020.0, 8200.0, 5, None),
    ]


def test_a_placeholder_is_left_out_and_rows_beside_it_are_at_fault():
    with pytest.raises(raw.LeftOut, match=r"^VX\.csv: margins of today alone, as the file's comment says: no history$"):
        sample("VX.csv")
    text = (SAMPLES / "VX.csv").read_text()
    told = "a placeholder, as the file's comment says, not a history: "
    assert read("VX.csv", f"{text.rstrip()}\n20200102,9,8\n").frame.select("line", "column", "fault").rows() == [
        (3, "date", f"{told}19900101"), (4, "date", f"{told}20200102"),
    ]  # fmt: skip


def test_a_universe_is_of_the_session_after_its_day():
    reading = sample("es/20240307.csv")
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "lean-universe", "ES")
    assert reading.frame.select("contract", "day", "close", "volume", "open_interest", "source_time").rows() == [
        (202403, date(2024, 3, 8), 5128.5, 2011840.0, 2100700.0, "20240307"),
        (202406, date(2024, 3, 8), 5190.25, 140600.0, 310250.0, "20240307"),
        (202409, date(2024, 3, 8), 5262.5, None, 410.0, "20240307"),
    ]


def test_a_row_of_zeros_in_a_universe_is_at_fault():
    text = "#expiry,open,high,low,close,volume,open_interest\n202412,0,0,0,0,0,\n202503,0,0,0,0,0,12\n"
    frame = read("20240307.csv", text, "universes/es/20240307.csv").frame
    assert frame["fault"].to_list() == ["a contract without a bar, for which LEAN writes zeros: 202412", None]


@pytest.mark.parametrize(
    ("root", "day", "session"),
    [
        ("es", "20240308", date(2024, 3, 11)),  # a Friday
        ("es", "20241127", date(2024, 11, 29)),  # Thanksgiving
        ("xyz", "20241127", date(2024, 11, 28)),  # of a market that the master does not know, weekdays are
        ("xyz", "20240308", date(2024, 3, 11)),
    ],
)
def test_the_session_after_is_the_market_s(root, day, session):
    text = "#expiry,open,high,low,close,volume,open_interest\n202412,1,1,1,1,1,1\n"
    assert read(f"{day}.csv", text, f"universes/{root}/{day}.csv").frame["day"][0] == session
    assert read(f"{day}.csv", text, f"universes/{root}").frame["day"][0] == session  # read as one of its folder


def test_a_roll_is_the_last_day_of_a_contract_that_has_a_next():
    reading = sample("es.csv")
    assert (reading.table, reading.vendor, reading.name) == ("roll_calendars", "lean", "ES")
    kept = reading.frame.filter(reading.frame["idle"].is_null())
    rows = kept.select("rule", "day", "from_contract", "to_contract", "line", "fault").sort("rule", "day")
    assert rows.rows() == [
        ("lean:first-of-month", date(2023, 11, 30), 202312, 202403, 2, None),
        ("lean:first-of-month", date(2024, 2, 29), 202403, 202406, 5, None),
        ("lean:first-of-month", date(2024, 5, 31), 202406, None, 8,
         "the file's last: the next is not told: es yjhoampykqgx"),
        ("lean:last-trade", date(2023, 12, 14), 202312, 202403, 4, None),
        ("lean:last-trade", date(2024, 3, 14), 202403, 202406, 7, None),
        ("lean:last-trade", date(2024, 6, 20), 202406, None, 10,
         "the file's last: the next is not told: es yjhoampykqgx"),
        ("lean:oi", date(2023, 12, 11), 202312, 202403, 3, None),
        ("lean:oi", date(2024, 3, 11), 202403, 202406, 6, None),
    ]  # fmt: skip
    assert reading.frame.filter(line=9).select("day", "idle").rows() == [(date(2050, 12, 31), "no_value")]
    assert reading.notes == (("es.csv", "lines that say that a contract is held on, which are no rolls: 1"),)


def test_every_line_of_a_map_file_is_counted(tmp_path):
    report = imported(open_archive(tmp_path / "store", create=True), SAMPLES / "es.csv")
    assert (counts(report), report.reasons) == ((9, 6, 1, 2), {"no_value": 1, "unparsed": 2})


def test_a_map_file_without_a_roll_is_refused():
    with pytest.raises(raw.Unreadable, match=r"^es\.csv: no roll: each mode names one contract that is held on$"):
        read("es.csv", f"18991230,es,CME\n20501231,es {identifier(date(2024, 3, 15))},CME,0\n")


def identifier(expiry, kind=5):
    """As LEAN writes one: base 36 of the days since 1899-12-30, then strike, market 23 and type."""
    number, text = (expiry - date(1899, 12, 30)).days * 10**14 + 2300 + kind, ""
    while number:
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text


@pytest.mark.parametrize(
    ("root", "expiry", "contract"),
    [
        ("ES", date(2024, 3, 15), 202403),
        ("CL", date(2024, 3, 20), 202404),  # crude oil ends in the month before its delivery
        ("NG", date(2024, 3, 26), 202404),
        ("GC", date(2024, 4, 26), 202404),
        ("XYZ", date(2024, 3, 20), 202403),
        ("ES", date(2024, 4, 1), None),  # a fortnight from any expiry
    ],
)
def test_an_identifier_s_expiry_tells_the_delivery_month(root, expiry, contract):
    assert lean_lists.contract(identifier(expiry), root) == contract


def test_what_is_no_future_s_identifier_is_at_fault():
    assert lean_lists.contract(identifier(date(2024, 3, 15), kind=1), "ES") is None  # an equity
    frame = read("es.csv", f"18991230,es,CME\n20240314,es {identifier(date(2024, 3, 15))},CME,0\n"
                           "20240614,es abcdefghijk-,CME,0\n20240914,es yjhoampykqgx,CME,4\n").frame  # fmt: skip
    assert frame["fault"].to_list()[1:] == ["no future's identifier: es abcdefghijk-", "no mode 0 to 3: 4"]


def test_the_rate_is_a_fraction_of_a_dollar_a_year():
    reading = sample("interest-rate.csv")
    assert (reading.table, reading.name) == ("rates", "USD")
    assert reading.frame.select("day", "rate", "fault").rows() == [
        (date(2023, 5, 4), 0.0525, None), (date(2023, 7, 27), 0.055, None), (date(2023, 7, 28), None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("es.csv", '{"Date":"2009-11-30T00:00:00"}', "LEAN's factor file, not imported"),
        ("symbol-properties-database.csv", "market,symbol,type,x", "LEAN's symbol properties, not imported"),
        ("market-hours-database.json", "{", "LEAN's market hours, not imported"),
        ("security-database.csv", "# shares\nXYZ R735QTJ8XC9X,1,2,3\n", "LEAN's security identifiers, not imported"),
    ],
)
def test_other_lists_are_left_out_with_the_reason(name, text, told):
    with pytest.raises(raw.LeftOut, match=rf"^{name}: {told}"):
        read(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ES.csv", "date,initial,maintenance\n2024-01-01,1,1\n"),  # any table of margins
        ("ES.csv", "Date,Open,High,Low,Close\n20240101,1,1,1,1\n"),
        ("20240101.csv", "expiry,open\n"),
        ("es.csv", "20240101,1,2,3,4,5\n20240102,1,2,3,4,5\n"),
        ("rates.csv", "DATE,DFF\n2024-01-01,5.33\n"),
    ],
)
def test_alike_files_of_others_are_not_claimed(name, text):
    assert not lean.recognises(RawFile(Path(name), "", (Part(name, name, text.encode()),)))


def test_all_real_margins_arrive(shared):
    rows, expected, placeholders = 0, 0, 0
    for path in sorted((shared / "lean" / "future").rglob("margins/*.csv")):
        with open(path, newline="", encoding="utf-8") as lines:
            held = [row for row in csv.reader(lines) if row and row[0].isdigit()]
        try:
            [reading] = lean.read(raw.open_file(path))
        except raw.LeftOut:
            assert [row[0] for row in held] == ["19900101"]
            placeholders += 1
            continue
        assert reading.name == path.stem.upper() and reading.frame["fault"].null_count() == reading.frame.height
        assert [
            (f"{d:%Y%m%d}", i, m) for d, i, m in reading.frame.select("day", "initial", "maintenance").rows()
        ] == [(d, float(i), float(m)) for d, i, m in held]  # fmt: skip
        rows, expected = rows + reading.frame.height, expected + len(held)
    assert (rows, placeholders) == (expected, 9)


def test_real_universes_of_2013_have_the_volumes_of_the_next_daily_bar(shared):
    future = shared / "lean" / "future" / "cme"
    [daily] = lean.read(raw.open_file(future / "daily" / "es_trade.zip"))
    volumes = {(c, d): v for c, d, v in daily.frame.select("contract", "day", "volume").rows()}
    paths = sorted((future / "universes" / "es").glob("201310*.csv"))
    found = [row for path in paths for row in lean.read(raw.open_file(path))[0].frame.iter_rows(named=True)]
    both = [(volumes[row["contract"], row["day"]], row["volume"]) for row in found
            if row["contract"] == 201312 and (row["contract"], row["day"]) in volumes]  # fmt: skip
    assert len(both) == 9 and all(ours == theirs for ours, theirs in both)


def test_the_real_map_files_roll_as_often_as_they_name_contracts(shared):
    master = Master.load()
    for path, root in ((shared / "lean" / "future" / "cme" / "map_files" / "es.csv", "ES"),
                       (shared / "lean" / "future" / "comex" / "map_files" / "gc.csv", "GC")):  # fmt: skip
        with open(path, newline="", encoding="utf-8") as lines:
            held = [row for row in csv.reader(lines) if len(row) == 4 and row[0] < "2050"]
        [reading] = lean.read(raw.open_file(path))
        frame = reading.frame.filter(reading.frame["to_contract"].is_not_null())
        told = Counter(lean_lists.RULES[row[3]] for row in held)
        assert Counter(reading.frame.filter(reading.frame["idle"].is_null())["rule"]) == told
        assert reading.frame.height == len(path.read_text().splitlines()) - 1  # the first names the market
        spec = master.spec(root)
        months = {int(c) for c in frame["from_contract"]}
        assert all(abs((last_trade(spec, c) - lean_lists._expiry(i.split(" ")[1])).days) <= 1
                   for c, i in frame.select("from_contract", "identifier").rows())  # fmt: skip
        if root == "ES":
            assert told == {
                "lean:last-trade": 55, "lean:first-of-month": 55, "lean:oi": 51, "lean:oi-annual": 50,
            }  # fmt: skip
            assert {month % 100 for month in months} == {3, 6, 9, 12}
            assert all((last_trade(spec, c) - d).days == 1 for c, d in
                       frame.filter(rule="lean:last-trade").select("from_contract", "day").rows())  # fmt: skip


def test_the_real_rate_is_in_fractions(shared):
    path = shared / "lean" / "alternative" / "interest-rate" / "usa" / "interest-rate.csv"
    with open(path, newline="", encoding="utf-8") as lines:
        held = [(day, float(rate) / 100) for day, rate in list(csv.reader(lines))[1:]]
    [reading] = lean.read(raw.open_file(path))
    assert [(f"{day}", rate) for day, rate in reading.frame.select("day", "rate").rows()] == held
