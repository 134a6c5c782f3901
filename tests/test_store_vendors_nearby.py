"""Nearby series of Quandl's CHRIS: ranks from names, open interest moved to its day, exchanges."""

from datetime import date

import pytest

from store import raw
from store.contracts import Master
from store.vendors import nearby
from tests.vendor_files import file, real, sample

FULL = b"Date,Open,High,Low,Last,Change,Settle,Volume,Previous Day Open Interest\n"


def test_a_sample_of_settlements():
    [reading] = sample(nearby, "CME_CL1.csv")
    assert (reading.table, reading.vendor, reading.name) == ("vendor_chains", "nearby", "CL")
    assert reading.frame.select("day", "rank", "price", "source_time").row(1) == (
        date(2024, 3, 19), 1, 83.46, "2024-03-19",
    )  # fmt: skip


def test_open_interest_of_the_day_before_is_moved_there():
    [reading] = sample(nearby, "CME_ES2.csv")
    assert reading.frame.select("day", "rank", "price", "volume", "open_interest").rows() == [
        (date(2024, 3, 6), 2, 5154.5, 71260.0, 287900.0),
        (date(2024, 3, 7), 2, 5190.0, 98410.0, 310200.0),
        (date(2024, 3, 8), 2, 5180.75, 120310.0, None),
    ]


def test_open_interest_finds_its_day_in_falling_order_and_past_a_row_without_a_date():
    header = b"Date,Settle,Previous Day Open Interest\n"
    rows = b"2024-01-04,1,30\nsoon,1,99\n2024-01-03,1,20\n2024-01-02,1,10\n"
    [reading] = nearby.read(file(**{"CL1.csv": header + rows}))
    assert reading.frame.filter(reading.frame["fault"].is_null()).select("day", "open_interest").rows() == [
        (date(2024, 1, 4), None), (date(2024, 1, 3), 30.0), (date(2024, 1, 2), 20.0),
    ]  # fmt: skip


def test_open_interest_of_the_day_itself_stays():
    rows = b"Trade Date,Close,Settle,Total Volume,Open Interest\n2024-01-02,13,13.1,5,70\n2024-01-03,13,13.2,6,80\n"
    [reading] = nearby.read(file(**{"CBOE_VX1.csv": rows}))
    assert reading.frame.select("price", "open_interest").rows() == [(13.1, 70.0), (13.2, 80.0)]


def test_the_last_trade_stands_in_where_there_is_no_settlement():
    rows = b"Date,Open,High,Low,Last,Change,Volume,Prev. Day Open Interest\n2024-01-02,1,2,1,1.5,0,7,9\n"
    [reading] = nearby.read(file(**{"CL1.csv": rows}))
    assert reading.frame.select("price", "open", "open_interest").row(0) == (1.5, 1.0, None)


@pytest.mark.parametrize(
    ("name", "market", "rank"),
    [
        ("CME_ES1.csv", "ES", 1),
        ("CL12.csv", "CL", 12),
        ("CHRIS-CME_6E2.csv", "6E", 2),
        ("ICE_SB1.csv", "ICE_SB", 1),
    ],
)
def test_market_and_rank_are_in_the_name(name, market, rank):
    [reading] = nearby.read(file(**{name: b"Date,Settle\n2024-01-02,1\n"}))
    assert (reading.name, reading.frame["rank"][0]) == (market, rank)


@pytest.mark.parametrize(
    ("name", "header", "known"),
    [
        ("CL1.csv", b"Date,Settle\n", True),
        ("CL1.csv", FULL, True),
        ("CL1.csv", b"Date,Open,High,Low,Close,Volume\n", False),
        ("CL.csv", b"Date,Settle\n", False),
        ("CL1.csv", b"DATE,SETTLE\n", False),
    ],
)
def test_files_are_known_by_name_and_header(name, header, known):
    assert bool(nearby.recognises(file(**{name: header}))) is known


def test_a_fault_names_the_file_s_column():
    [reading] = nearby.read(file(**{"CL1.csv": b"Date,Settle\n2024-01-02,dear\n1/3/2024,1\n"}))
    assert reading.frame.select("column", "fault").rows() == [
        ("Settle", "not a number: dear"), ("Date", "not a date: 1/3/2024"),
    ]  # fmt: skip


def test_another_file_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: no nearby series"):
        nearby.read(file(**{"x.csv": b"a,b\n"}))


@pytest.mark.parametrize(("name", "root"), [("C", "ZC"), ("TY", "ZN"), ("ICE_SB", "SB"), ("EUREX_FGBL", "FGBL")])
def test_quandl_s_symbols_are_known_to_the_master(name, root):
    assert Master.load().alias("nearby", name).root == root


def test_the_real_files_have_as_many_rows_as_their_list_says_and_the_negative_price(shared):
    counts = {"CL1": 9410, "CL2": 9410, "CL3": 9409, "CL4": 9409, "ES1": 5873, "ES2": 5853}  # with the header
    for name, lines in counts.items():
        [reading] = real(nearby, shared / "quandl_chris" / f"CME_{name}.csv")
        assert reading.frame.height == lines - 1
        if name == "CL1":
            days = dict(reading.frame.select("day", "price").iter_rows())
            assert days[date(2020, 4, 20)] == -37.63
