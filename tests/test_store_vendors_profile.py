"""Layouts described in TOML: columns, dates, contracts, units, time zones; a wrong description is refused in words."""

from datetime import UTC, date, datetime

import pytest

from store import raw
from store.raw import Part, RawFile
from store.vendors import VENDORS, profile
from store.vendors.profile import Profile
from tests.conftest import REPO

SAMPLE = REPO / "tests" / "samples" / "contract-csv" / "ES-2024H.csv"
COLUMNS = {"time": "Date", "last": "Close"}


def file(data, *names):
    names = names or ("ES_H24.csv",)
    return RawFile(SAMPLE, "", tuple(Part(name, name, data) for name in names))


def one(data, name="ES_H24.csv", **words):
    [reading] = Profile(NAME="mine", **({"columns": COLUMNS} | words)).read(file(data, name))
    return reading


def test_the_shipped_layout_reads_its_sample():
    layout, opened = VENDORS["contract-csv"], raw.open_file(SAMPLE)
    assert layout.recognises(opened)
    [reading] = layout.read(opened)
    assert (reading.name, reading.vendor, reading.table) == ("ES", "contract-csv", "contract_bars")
    row = reading.frame.row(3, named=True)
    assert (row["contract"], row["day"], row["settle"], row["volume"], row["open_interest"]) == (
        202403, date(2024, 3, 6), 5030.0, 1953100.0, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "contract"),
    [("ES-2024H.csv", 202403), ("ES_202403.csv", 202403), ("6E-2024M.csv", 202406)],
)
def test_the_shipped_layout_reads_contracts_from_names(name, contract):
    [reading] = VENDORS["contract-csv"].read(file(SAMPLE.read_bytes(), name))
    assert (reading.name, reading.frame["contract"][0]) == (name[:2], contract)


def test_a_short_year_is_read_as_of_the_file_s_own_days():  # DOMAIN T31
    [in_2010] = profile.Profile(NAME="x", columns=COLUMNS).read(file(b"Date,Close\n2010-06-01,20\n", "VX_Z0.csv"))
    [in_2020] = profile.Profile(NAME="x", columns=COLUMNS).read(file(b"Date,Close\n2020-06-01,20\n", "VX_Z0.csv"))
    assert (in_2010.frame["contract"][0], in_2020.frame["contract"][0]) == (201012, 202012)


def test_a_column_of_codes_is_read_row_by_row():
    data = b"Date,Sym,Close\n2010-01-04,ESH0,1\n2010-01-04,NQH0,2\n2020-01-06,ESH0,3\n2020-01-06,what,4\n"
    readings = Profile(NAME="x", columns=COLUMNS, symbol="Sym").read(file(data, "all.csv"))
    found = {reading.name: reading.frame.select("line", "contract", "column", "fault").rows() for reading in readings}
    assert found == {
        "ES": [(2, 201003, None, None), (4, 202003, None, None), (5, None, "Sym", "not a contract code: what")],
        "NQ": [(3, 201003, None, None)],
    }


def test_a_file_without_any_code_is_refused():
    with pytest.raises(raw.Unreadable, match=r"all\.csv: line 2: column Sym: no row has a contract code and a date"):
        Profile(NAME="x", columns=COLUMNS, symbol="Sym").read(file(b"Date,Sym,Close\n2010-01-04,what,1\n", "all.csv"))


def test_a_name_that_holds_no_contract_is_refused():
    with pytest.raises(raw.Unreadable, match=r"ES_xyz\.csv: 'xyz' in the name is no contract"):
        one(b"Date,Close\n2024-01-02,1\n", "ES_xyz.csv")
    with pytest.raises(raw.Unreadable, match=r"ES\.csv: the name does not fit \[mine\] file = "):
        one(b"Date,Close\n2024-01-02,1\n", "ES.csv")


def test_factors_bring_prices_into_the_master_s_unit_and_leave_volume():
    columns = COLUMNS | {"high": "High", "volume": "Volume"}
    reading = one(
        b"Date,High,Close,Volume\n2024-01-02,2400,2350,7\n", "SI_H24.csv", columns=columns, factors={"SI": 0.01}
    )
    assert reading.frame.select("high", "settle", "volume").row(0) == (24.0, 23.5, 7.0)


def test_separator_date_and_last_are_as_described():
    reading = one(b"Date;Close\n02/01/2024;1\n", separator=";", date="%d/%m/%Y", last_is="close")
    assert reading.frame.select("day", "close").row(0) == (date(2024, 1, 2), 1.0)
    assert "settle" not in reading.frame.columns


def test_missing_values_may_be_blank_a_dash_or_n_a():
    columns = COLUMNS | {"open": "Open", "volume": "Volume"}
    reading = one(b"Date,Open,Close,Volume\n2024-01-02,-,1,N/A\n2024-01-03,,1,0\n", columns=columns)
    assert reading.frame.select("open", "volume", "fault").rows() == [(None, None, None), (None, 0.0, None)]


def test_a_fault_names_the_file_s_column():
    reading = one(b"Date,Close\n2024-01-02,dear\n")
    assert reading.frame.select("column", "fault").row(0) == ("Close", "not a number: dear")
    assert reading.headings["settle"] == "Close"


HOURS = {"date": "%Y-%m-%d %H:%M", "timezone": "America/Chicago"}


def test_an_evening_bar_belongs_to_the_next_trade_date():  # DOMAIN T39
    data = b"Date,Close\n2026-11-20 15:00,1\n2026-11-22 17:05,1\n2026-11-23 16:00,1\n2026-11-23 18:00,1\n"
    frame = one(data, "ES_H27.csv", session_start="17:00", **HOURS).frame
    assert frame["day"].to_list() == [date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 23), date(2026, 11, 24)]
    assert frame["time"][1] == datetime(2026, 11, 22, 23, 5, tzinfo=UTC)


def test_an_hour_that_the_clocks_skipped_is_a_fault_and_one_that_came_twice_is_the_earlier():
    frame = one(b"Date,Close\n2024-03-10 02:30,1\n2024-11-03 01:30,1\n", "ES_Z24.csv", **HOURS).frame
    assert frame["fault"].to_list() == ["no such moment in America/Chicago: 2024-03-10 02:30", None]
    assert frame["time"].to_list() == [None, datetime(2024, 11, 3, 6, 30, tzinfo=UTC)]
    assert frame["day"].to_list() == [None, date(2024, 11, 4)]  # a Sunday


def test_a_file_whose_dates_all_fail_keeps_its_rows_as_faults():
    for words in ({}, HOURS):
        frame = one(b"Date,Close\nsoon,1\n", **words).frame
        assert frame.select("column", "fault").rows() == [("Date", "not a date: soon")]


@pytest.mark.parametrize(
    ("names", "data", "known"),
    [
        (("ES_H24.csv",), b'"Date","Close"\n', True),
        (("ES_H24.csv",), b"Date,Last\n", False),
        (("ES.csv",), b"Date,Close\n", False),
        (("ES_H24.csv", "readme.csv"), b"Date,Close\n", False),
    ],
)
def test_files_are_known_by_names_and_headers(names, data, known):
    assert Profile(NAME="x", columns=COLUMNS).recognises(file(data, *names)) is known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nfile = 'x'", "[a] needs [a.columns]"),
        ("a = 1", "'a' stands outside a section"),
        ("[a]\ncolums = {}", "'colums' is not known, allowed are columns, file"),
        ("[a]\ncolums = {}", "did you mean 'columns'?"),
        ("[a.columns]\ntime = 'd'", "[a] columns: 'last' is needed"),
        ("[a.columns]\ntime = 'd'\nlast = 'c'\nclose = 'c'", "[a] columns: 'close' is not known"),
        ("[a.columns]\ntime = 'd'\nlast = 'raw'", "cannot be called 'raw'"),
        ("[a]\nlast_is = 'mid'\ncolumns = {time='d', last='c'}", "'mid' is not known, allowed are settle, close"),
        ("[a]\nfile = '('\ncolumns = {time='d', last='c'}", "no regular expression"),
        ("[a]\nfile = 'x'\ncolumns = {time='d', last='c'}", "the groups (?P<root>…) and (?P<contract>…) are wanted"),
        ("[a]\nseparator = ''\ncolumns = {time='d', last='c'}", "one character is wanted"),
        ("[a]\ntimezone = 'Chicago'\ncolumns = {time='d', last='c'}", "not a time zone such as America/Chicago"),
        ("[a", "vendors.toml: "),
    ],
)
def test_a_wrong_description_is_refused_in_words(tmp_path, text, message):
    path = tmp_path / "vendors.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        profile.load(path)
    assert message in str(error.value)


def test_a_file_without_a_header_is_read_by_the_names_that_the_layout_gives():
    words = {"header": ("d", "c", "v"), "columns": {"time": "d", "last": "c", "volume": "v"}, "date": "%Y%m%d"}
    layout = Profile(NAME="x", **words)
    opened = file(b"20240102,1.5,7\n20240103,1.6,8\n")
    assert layout.recognises(opened)
    [reading] = layout.read(opened)
    assert reading.frame.select("line", "day", "settle", "volume").rows() == [
        (1, date(2024, 1, 2), 1.5, 7.0), (2, date(2024, 1, 3), 1.6, 8.0),
    ]  # fmt: skip
    assert not layout.recognises(file(b"20240102,1.5\n"))
    assert not layout.recognises(file(b"2024-01-02,1.5,7\n"))


def test_lines_before_the_table_are_skipped_and_counted():
    layout = Profile(NAME="x", columns=COLUMNS, skip=2)
    opened = file(b"All rights reserved\n\nDate,Close\n2024-01-02,1\n")
    assert layout.recognises(opened) and not Profile(NAME="x", columns=COLUMNS).recognises(opened)
    assert layout.read(opened)[0].frame["line"].to_list() == [4]


def test_a_decimal_comma_makes_points_separators_of_thousands():
    reading = one(b"Date;Close\n2024-01-02;16.850,5\n2024-01-03;1,2,3\n", separator=";", decimal=",")
    assert reading.frame.select("settle", "fault").rows() == [(16850.5, None), (None, "not a number: 1.2,3")]


def test_a_clock_of_its_own_column_is_read_with_the_date():
    words = {"columns": COLUMNS | {"clock": "Time"}, "date": "%Y-%m-%d %H:%M", "timezone": "UTC"}
    reading = one(b"Date,Time,Close\n2024-01-02,15:30,1\n", **words)
    assert reading.frame["time"].to_list() == [datetime(2024, 1, 2, 15, 30, tzinfo=UTC)]


def test_bars_within_the_day_have_a_source_of_their_own_and_end_where_they_end():
    rows = b"Date,Close\n2024-01-02 09:30,1\n2024-01-02 09:31,1\n"
    assert one(rows, **HOURS).vendor == "mine-minute"
    reading = one(rows, bar_minutes=1, **HOURS)
    assert reading.frame["time"][0] == datetime(2024, 1, 2, 15, 31, tzinfo=UTC)
    daily = b"Date,Close\n2024-01-02 15:15,1\n2024-01-03 15:15,1\n"
    assert one(daily, **HOURS).vendor == "mine"


def test_a_column_of_contracts_may_leave_the_market_to_another_or_to_the_file_s_name():
    data = b"Date,M,K,Close\n2024-01-02,ES,202403,1\n2024-01-02,,202406,2\n"
    words = {"columns": COLUMNS, "symbol": "K"}
    names = [r.name for r in Profile(NAME="x", market="M", **words).read(file(data, "all.csv"))]
    assert names == ["ES", "all"]
    [reading] = Profile(NAME="x", **words).read(file(data, "NQ.csv"))
    assert (reading.name, reading.frame["contract"].to_list()) == ("NQ", [202403, 202406])


def test_every_layout_says_what_it_reads():
    about = Profile(NAME="mine", columns=COLUMNS | {"volume": "Vol"}).ABOUT
    assert about.title == "mine: a layout of vendors.toml"
    assert about.gives == "volume, the settlement"
    assert about.files == "CSV with Date, Close, Vol, market and contract in the name"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"decimal": "'"}, "'\\'' is not known|is not known"),
        ({"separator": ",", "decimal": ","}, "one character is wanted, other than the decimal's"),
        ({"header": ("a", "b")}, "header: 'Date' is not among its names"),
        ({"skip": -1}, "skip = -1: a whole number from 0 is wanted"),
        ({"bar_minutes": "one"}, "bar_minutes = 'one': a whole number from 0 is wanted"),
    ],
)
def test_a_wrong_word_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        Profile(NAME="x", columns=COLUMNS, **words)


DAYS_FIRST = {"columns": COLUMNS, "date": "%d/%m/%Y"}


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        ("03/04/2024,1\n15/04/2024,1\n", True),
        ("03/04/2024,1\nsoon,1\n", True),  # a damaged row
        ("03/04/2024,1\n03/15/2024,1\n", False),
        ("2024-04-03,1\n", False),
        ('"03/04/2024",1\n"03/15/2024",1\n', False),
        ("".join(f"03/{day:02d}/{year},1\n" for year in range(1990, 2024) for day in range(1, 32)), False),
        ("03/04/2024,1\n" * 5000 + "03/15/2024,1\n", False),  # the last line is in every sample
        ("", True),
    ],
)
def test_a_file_is_known_only_if_its_dates_are_written_so(rows, known):
    assert Profile(NAME="x", **DAYS_FIRST).recognises(file(f"Date,Close\n{rows}".encode())) is known


def test_dates_of_the_other_order_are_refused_where_the_layout_is_named():
    with pytest.raises(raw.Unreadable) as error:
        one(b"Date,Close\n03/04/2024,1\n03/15/2024,1\n", **DAYS_FIRST)
    assert str(error.value) == (
        "ES_H24.csv: its dates are written %m/%d/%Y, not %d/%m/%Y as [mine] of vendors.toml says; it needs a layout of "
        "its own"
    )


def test_only_the_part_of_the_other_order_is_named():
    parts = (Part("ES_H24.csv", "ES_H24.csv", b"Date,Close\n15/03/2024,1\n"),
             Part("ES_M24.csv", "ES_M24.csv", b"Date,Close\n03/15/2024,1\n"))  # fmt: skip
    with pytest.raises(raw.Unreadable, match=r"^ES_M24\.csv: its dates are written %m/%d/%Y"):
        Profile(NAME="mine", **DAYS_FIRST).read(RawFile(SAMPLE, "", parts))
