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
        ("X.csv", b"DATETIME,price", True),  # recognised to be refused
        ("X.csv", b"DATETIME,PRICE_CONTRACT,FORWARD_CONTRACT,CARRY_CONTRACT,PRICE,FORWARD,CARRY", True),
        ("X.csv", b"DATE_TIME,current_contract,next_contract,carry_contract", True),
        ("X_20240300.csv", b"DATETIME,OPEN,HIGH,LOW,FINAL,VOLUME", True),
        ("X_20240300.csv", b"Time,Open,High,Low,Close,Volume", True),
        ("Day_X_20240300.csv", b"Time,Open,High,Low,Close,Volume", False),  # bc-utils'
        ("X.csv", b"DATETIME,OPEN,HIGH,LOW,FINAL,VOLUME", False),
    ],
)
def test_files_are_known_by_header_and_name(name, header, known):
    assert bool(pysystemtrade.recognises(file(name, header + b"\n"))) is known


def test_a_contract_s_row_at_23_is_a_day_s_and_any_other_an_hour_s():
    opened = raw.open_file(SAMPLES / "AUD_20240300.csv")
    assert pysystemtrade.recognises(opened)
    days, hours = pysystemtrade.read(opened)
    assert (days.table, days.vendor, hours.vendor, days.name) == (
        "contract_bars", "pysystemtrade", "pysystemtrade-hour", "AUD",
    )  # fmt: skip
    assert days.frame.select("line", "contract", "day", "open", "close", "volume").rows() == [
        (2, 202403, date(2024, 1, 9), 0.6728, 0.6704, 81250.0),
        (4, 202403, date(2024, 1, 10), 0.6704, 0.6731, 79340.0),
    ]
    assert hours.frame.select("line", "time", "close").rows() == [(3, datetime(2024, 1, 10, 16, tzinfo=UTC), 0.6709)]


def test_contracts_in_barchart_s_layout_are_days_that_settle():
    [reading] = pysystemtrade.read(raw.open_file(SAMPLES / "EUR_20240300.csv"))
    assert (reading.vendor, reading.name) == ("pysystemtrade", "EUR")
    assert reading.frame.select("contract", "day", "settle").rows() == [
        (202403, date(2024, 3, 7), 1.0959), (202403, date(2024, 3, 11), 1.0940),
    ]  # fmt: skip


def test_a_roll_calendar_names_the_last_day_of_the_old_contract():
    opened = raw.open_file(SAMPLES / "COFFEE.csv")
    assert pysystemtrade.recognises(opened)
    [reading] = pysystemtrade.read(opened)
    assert (reading.table, reading.name) == ("roll_calendars", "COFFEE")
    assert reading.frame.select("day", "from_contract", "to_contract", "rule").rows() == [
        (date(2023, 11, 14), 202312, 202403, "pysystemtrade"), (date(2024, 2, 15), 202403, 202405, "pysystemtrade"),
    ]  # fmt: skip


def test_back_adjusted_prices_are_refused_in_words():
    with pytest.raises(raw.Unreadable, match=r"CORN\.csv: back-adjusted prices, which were never traded"):
        pysystemtrade.read(file("CORN.csv", b"DATETIME,price\n1972-10-18 23:00:00,659.75\n"))


def test_the_columns_of_a_chain_may_be_in_another_order():
    header = b"DATETIME,PRICE_CONTRACT,FORWARD_CONTRACT,CARRY_CONTRACT,PRICE,FORWARD,CARRY\n"
    frame = read("X.csv", header + b"2020-01-02 23:00:00,20200300,20200600,20200600,170,169,\n").frame
    assert frame.select("price_contract", "price", "forward", "carry").row(0) == (202003, 170.0, 169.0, None)


def test_contract_prices_in_a_file_that_names_no_contract_are_refused():
    with pytest.raises(raw.Unreadable, match=r"X\.csv: contract prices, but not named <MARKET>_<YYYYMM00>\.csv"):
        read("X.csv", b"DATETIME,OPEN,HIGH,LOW,FINAL,VOLUME\n")


@pytest.mark.parametrize("header", ["DATETIME,OPEN,HIGH,LOW,FINAL,VOLUME", "Time,Open,High,Low,Close,Volume"])
def test_contract_prices_of_a_weekly_contract_are_refused(header):
    told = r"^CORN_20241215\.csv: a weekly contract, named by the day 15; the store has one contract a month"
    with pytest.raises(raw.Unreadable, match=told):
        read("CORN_20241215.csv", f"{header}\n".encode())


def test_the_real_contracts_and_calendars_have_as_many_rows_as_their_list_says(shared):
    paths = sorted((shared / "pysystemtrade_contract_prices" / "price").iterdir())
    pile = RawFile(paths[0], "", tuple(raw.open_file(path).parts[0] for path in paths))
    [reading] = pysystemtrade.read(pile)
    assert (reading.frame.height, reading.frame["contract"].n_unique()) == (8 * (181 - 1), 8)  # with headers 181
    assert reading.frame["fault"].null_count() == reading.frame.height
    for folder, name, lines in (("", "SP500", 161), ("", "AUD", 135), ("_2021", "EDOLLAR", 155)):
        path = shared / f"pysystemtrade{folder}" / "roll_calendars_csv" / f"{name}.csv"
        [rolls] = pysystemtrade.read(raw.open_file(path))
        assert rolls.frame.height == lines - 1


def test_the_real_chains_of_2020_are_taken_in_their_own_order_of_columns(shared):
    opened = raw.open_file(shared / "pysystemtrade_2020" / "multiple_prices_csv" / "BUND.csv.gz")
    assert pysystemtrade.recognises(opened)
    [reading] = pysystemtrade.read(opened)
    assert reading.frame["fault"].null_count() == reading.frame.height > 1000


def test_rates_in_a_file_that_names_no_currency_are_refused():
    with pytest.raises(raw.Unreadable, match=r"X\.csv: not named after a currency"):
        read("X.csv", b"DATETIME,PRICE\n2024-03-08 23:00:00,1\n")
