"""A layout proposed for an unknown CSV: separators, headers or none, contracts, doubts; and kept beside a store."""

from datetime import date

import pytest

from store import guess, open_archive, raw
from store.raw import Part, RawFile
from store.vendors import profile
from tests.sample_files import one, put

OHLC = b"Date,Open,High,Low,Close,Volume\n01/16/2024,1,2,0.5,1.5,10\n01/17/2024,1.5,3,1,2,11\n"


def guessed(name, data):
    return guess.guess(Part(name, name, data), "mine")


def test_a_header_and_a_name_tell_all():
    found = guessed("ESH24.csv", OHLC)
    assert found.section["columns"] == {
        "time": "Date", "open": "Open", "high": "High", "low": "Low", "volume": "Volume", "last": "Close",
    }  # fmt: skip
    assert (found.section["separator"], found.section["date"], found.section["last_is"]) == (",", "%m/%d/%Y", "close")
    assert found.rows[1] == {
        "root": "ES", "contract": 202403, "day": date(2024, 1, 17), "open": 1.5, "high": 3.0, "low": 1.0, "close": 2.0,
        "volume": 11.0,
    }  # fmt: skip
    assert found.doubts == [
        "the file's name is taken for market ES, contract H24",
        'Close is taken for the last trade; if it is the settlement, last_is has to be "settle"',
    ]


@pytest.mark.parametrize(
    ("name", "root"), [("prices_ESH24.csv", "ES"), ("SP500_micro_202403_day.csv", "SP500_micro"), ("6EH24.csv", "6E")]
)
def test_a_market_in_a_longer_name(name, root):
    found = guessed(name, OHLC)
    assert found.rows[0]["root"] == root
    assert profile.Profile(NAME="x", **found.section).recognises(RawFile(name, "", (Part(name, name, OHLC),)))


def test_a_german_file_with_decimal_commas_and_a_disclaimer():
    rows = "Kurse ohne Gewähr\n\nDatum;Eröffnung;Hoch;Tief;Abrechnungspreis;Volumen\n" + (
        "16.01.2024;16.800,5;16.900,0;16.700,0;16.850,5;1000\n" * 2
    )
    found = guessed("FDAX_202403.csv", rows.encode())
    assert (found.section["separator"], found.section["decimal"], found.section["skip"]) == (";", ",", 2)
    assert (found.section["last_is"], found.rows[0]["settle"], found.rows[0]["root"]) == ("settle", 16850.5, "FDAX")


def test_without_a_header_values_tell_open_high_low_close_and_volume():
    found = guessed("ES 03-24.txt", b"20240102;2;3;0.5;1.5;10;77\n20240103;1;2;0.5;1.5;11;78\n")
    assert found.section["header"] == [f"column{k}" for k in range(1, 8)]
    row = found.rows[0]
    assert [row[c] for c in ("open", "high", "low", "close", "volume", "open_interest")] == [
        2.0,
        3.0,
        0.5,
        1.5,
        10.0,
        77.0,
    ]
    assert "no header word names the price: columns are told apart by their values" in found.doubts


def test_a_column_of_contracts_beside_one_of_markets():
    rows = b"symbol,expiry,date,settle,oi,note\nES,202403,2024-01-02,1.5,4,x\nNQ,202406,2024-01-02,2.5,4,x\n"
    found = guessed("all.csv", rows)
    assert (found.section["symbol"], found.section["market"]) == ("expiry", "symbol")
    assert [(row["root"], row["contract"], row["settle"]) for row in found.rows] == [
        ("ES", 202403, 1.5),
        ("NQ", 202406, 2.5),
    ]
    assert found.doubts == ["left out: note"]


def test_a_column_of_codes_without_a_header():
    found = guessed("all.csv", b"ESH24,2024-01-02,1,2,1,1.5,3\nNQH24,2024-01-02,1,2,1,1.5,3\n")
    assert [(row["root"], row["contract"]) for row in found.rows] == [("ES", 202403), ("NQ", 202403)]


def test_a_time_before_or_after_the_date_is_read_with_it():
    rows = b"Time,Date,Close\n09:30,2024-01-02,1\n09:31,2024-01-02,1\n"
    found = guessed("ESH24.csv", rows)
    assert (found.section["columns"]["time"], found.section["columns"]["clock"]) == ("Date", "Time")
    assert (found.section["date"], found.section["timezone"]) == ("%Y-%m-%d %H:%M", "UTC")


def test_rows_that_cannot_be_read_are_a_doubt():
    found = guessed("ESH24.csv", OHLC + b"01/18/2024,1,2,0.5,dear,10\n")
    assert found.doubts[-1] == "1 of 3 rows cannot be read; the first is line 4, column Close: not a number: dear"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("ESH24.csv", b"hello\nworld\n", "no table"),
        ("ESH24.csv", b"Date,Close\n", "a header and no row"),
        ("all.csv", OHLC, "no contract: no column of codes is called symbol or contract"),
        ("ESH24.csv", b"When,Close\nsoon,1\n", "no date"),
        ("ESH24.csv", b"Date,Note\n2024-01-02,x\n", "no price"),
        ("ESH24.csv", b"Date,Close,Close\n2024-01-02,1,2\n", "two columns have one name"),
        ("ESH24.csv", "Date,Close\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_cannot_be_guessed_is_refused_in_words(name, data, message):
    with pytest.raises(raw.Unreadable, match=message):
        guessed(name, data)


@pytest.mark.parametrize("name", ["barchart", "../x", ""])
def test_a_name_that_is_taken_or_none_is_refused(name):
    with pytest.raises(raw.Unreadable, match="is no free name for a layout"):
        guess.guess(Part("ESH24.csv", "ESH24.csv", OHLC), name)


def test_a_kept_layout_reads_the_next_file(tmp_path):
    path = guess.save(tmp_path, guessed("ESH24.csv", OHLC))
    layout = profile.load(path)["mine"]
    other = RawFile(path, "", (Part("NQZ25.csv", "NQZ25.csv", OHLC),))
    assert layout.recognises(other)
    assert [reading.name for reading in layout.read(other)] == ["NQ"]


def test_a_layout_joins_those_that_are_there(tmp_path):
    own = tmp_path / "vendors.toml"
    own.write_text("# my notes\n[old.columns]\ntime = 'd'\nlast = 'c'\n")
    guess.save(tmp_path, guessed("ESH24.csv", OHLC))
    assert list(profile.load(own)) == ["old", "mine"]
    assert own.read_text().startswith("# my notes\n")


def test_a_layout_that_is_there_is_not_added_again(tmp_path):
    before = guess.save(tmp_path, guessed("ESH24.csv", OHLC)).read_text()
    assert guess.save(tmp_path, guessed("NQM24.csv", OHLC)).read_text() == before


EUROPE = b"Date,Close\n03/04/2024,1\n04/04/2024,2\n05/04/2024,3\n"  # April
AMERICA = b"Date,Close\n03/14/2024,4\n03/15/2024,5\n03/18/2024,6\n04/01/2024,7\n04/02/2024,8\n"
ISO = b"Date,Close\n2024-03-14,4\n2024-03-15,5\n"


def test_a_kept_layout_does_not_take_files_whose_dates_are_written_otherwise(tmp_path):  # they share their header
    archive = open_archive(tmp_path / "store", create=True)
    own = archive.path / "vendors.toml"
    for number, (data, name) in enumerate([(EUROPE, "mine"), (AMERICA, "mine-2"), (ISO, "mine-3")]):
        part = Part("ESH24.csv", "ESH24.csv", data)
        layouts = profile.load(own) if number else {}
        assert not any(layout.recognises(RawFile(own, "", (part,))) for layout in layouts.values())
        layouts = profile.load(guess.save(archive.path, guessed("ESH24.csv", data)))
        assert [n for n, layout in layouts.items() if layout.recognises(RawFile(own, "", (part,)))] == [name]
    reports = [one(archive, put(tmp_path / f"in{k}", "ESH24.csv", data=d)) for k, d in enumerate((EUROPE, AMERICA))]
    assert [(report.vendor, report.accepted, report.quarantined) for report in reports] == [
        ("mine", 3, 0), ("mine-2", 5, 0),
    ]  # fmt: skip
    days = archive.read("contract_bars").sort("source", "day")["day"].to_list()
    assert days[2:5] == [date(2024, 4, 5), date(2024, 3, 14), date(2024, 3, 15)]


def test_a_guess_of_dates_that_fit_both_orders_tells_so():
    doubt = "dates are read as %d/%m/%Y; %m/%d/%Y fits as well and gives other days: look at the rows"
    assert doubt in guessed("ESH24.csv", EUROPE).doubts


def test_a_file_that_is_wrong_already_is_left_as_it_was(tmp_path):
    own = tmp_path / "vendors.toml"
    own.write_text("[old]\n")  # lacks its columns
    with pytest.raises(ValueError, match=r"\[old\] needs"):
        guess.save(tmp_path, guessed("ESH24.csv", OHLC))
    assert (own.read_text(), [path.name for path in tmp_path.iterdir()]) == ("[old]\n", ["vendors.toml"])


def test_odd_names_of_columns_survive_the_file(tmp_path):
    data = 'Date,"Close ""x"" \\ é",Volume\n2024-01-02,1,2\n2024-01-03,1,2\n'.replace("Close", "Price")
    found = guessed("ESH24.csv", data.encode())
    layout = profile.load(guess.save(tmp_path, found))["mine"]
    assert layout.columns == found.section["columns"]
