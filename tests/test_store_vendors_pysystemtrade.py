"""pysystemtrade's files: currencies in dollars, and chains of held, carry and forward contract; London time."""

from datetime import UTC, date, datetime

import pytest

from store import raw
from store.raw import Part, RawFile
from store.vendors import pysystemtrade
from tests.conftest import REPO

SAMPLES = REPO / "tests" / "samples" / "pysystemtrade"
CHAIN = ",".join(pysystemtrade.CHAIN).encode()


def file(name, data):
    return RawFile(SAMPLES, "", (Part(name, name, data),))


def read(name, data):
    [reading] = pysystemtrade.read(file(name, data))
    return reading


def test_a_currency_is_named_by_its_file_and_sunday_belongs_to_monday():
    opened = raw.open_file(SAMPLES / "EURUSD.csv")
    assert pysystemtrade.recognises(opened)
    [reading] = pysystemtrade.read(opened)
    assert (reading.table, reading.name) == ("fx", "EUR")
    assert reading.frame.select("day", "rate", "source_time").rows()[1:4] == [
        (date(2024, 3, 8), 1.0922, "2024-03-08 23:00:00"),
        (date(2024, 3, 11), 1.0925, "2024-03-10 22:30:00"),
        (date(2024, 3, 11), 1.0919, "2024-03-11 23:00:00"),
    ]


def test_the_old_peso_s_code_holds_the_new_peso_s_rates():
    assert read("MXPUSD.csv", b"DATETIME,PRICE\n2024-03-08 23:00:00,0.0595\n").name == "MXN"


def test_a_chain_keeps_its_legs_and_what_they_lack():
    opened = raw.open_file(SAMPLES / "CORN.csv")
    assert pysystemtrade.recognises(opened)
    [reading] = pysystemtrade.read(opened)
    assert (reading.table, reading.name) == ("vendor_chains", "CORN")
    frame = reading.frame.select("price", "price_contract", "carry", "carry_contract", "forward_contract")
    assert frame.row(2) == (690.25, 202212, None, 202303, 202303)
    assert frame.row(5) == (None, 202303, 681.0, 202305, 202305)
    assert reading.frame["fault"].null_count() == 6


def test_stamps_are_london_s_in_winter_and_in_summer():
    rows = b"\n2024-01-10 23:00:00,,,1,20240300,,\n2024-07-10 23:00:00,,,1,20240900,,"
    assert read("X.csv", CHAIN + rows).frame["time"].to_list() == [
        datetime(2024, 1, 10, 23, tzinfo=UTC), datetime(2024, 7, 10, 22, tzinfo=UTC),
    ]  # fmt: skip


def test_a_moment_that_london_skipped_has_no_time():
    frame = read("X.csv", CHAIN + b"\n2024-03-31 01:30:00,,,1,20240300,,").frame
    assert frame["time"].to_list() == [None]  # the rule `no_time` keeps it apart


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (b"2024-01-10 23:00:00,,,1,20241300,,", "PRICE_CONTRACT", "not a contract YYYYMM00: 20241300"),
        (b"2024-01-10 23:00:00,,inf,1,20240300,,", "CARRY_CONTRACT", "not a contract YYYYMM00: inf"),
        (b"2024-01-10 23:00:00,x,,1,20240300,,", "CARRY", "not a number: x"),
        (b"10/01/2024,,,1,20240300,,", "DATETIME", "not a date: 10/01/2024"),
    ],
)
def test_a_fault_names_the_file_s_column(row, column, fault):
    assert read("X.csv", CHAIN + b"\n" + row).frame.select("column", "fault").row(0) == (column, fault)


@pytest.mark.parametrize(
    ("name", "header", "known"),
    [
        ("EURUSD.csv", b"DATETIME,PRICE", True),
        ("X.csv", b"DATETIME,PRICE", False),
        ("X.csv", CHAIN, True),
        ("X.csv", b"DATETIME,price", False),
    ],
)
def test_files_are_known_by_header_and_name(name, header, known):
    assert bool(pysystemtrade.recognises(file(name, header + b"\n"))) is known


def test_rates_in_a_file_that_names_no_currency_are_refused():
    with pytest.raises(raw.Unreadable, match=r"X\.csv: not named after a currency"):
        read("X.csv", b"DATETIME,PRICE\n2024-03-08 23:00:00,1\n")
