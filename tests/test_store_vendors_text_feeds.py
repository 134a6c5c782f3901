"""Small layouts of feeds: ddfplus, IQFeed, FirstRate's daily bars."""

from datetime import date

import pytest

from store import ingest, open_archive, raw
from store.vendors import ddfplus, firstrate_daily, iqfeed
from tests.vendor_parts import SAMPLES, made, only, sample


def test_ddfplus_prices_are_of_their_day_and_activity_of_the_day_before():
    prices, activity, other = ddfplus.read(sample(ddfplus, "20031111.txt"))
    assert (prices.name, prices.partial, activity.name, activity.partial, other.name) == ("NQ", False, "NQ", True, "ES")
    assert prices.frame.select("line", "contract", "day", "open", "settle", "fault").rows() == [
        (1, None, date(2003, 11, 11), 1401.5, 1399.75, "a cash price, no contract: Y"),
        (2, 200312, date(2003, 11, 11), 1403.5, 1400.5, None),
        (4, 200403, date(2003, 11, 11), 1405.5, 1402.5, None),
    ]
    assert activity.frame.select("line", "contract", "day", "volume", "open_interest", "fault").rows() == [
        (3, 200312, date(2003, 11, 10), 211400.0, 251300.0, None),
        (5, 200403, date(2003, 11, 10), 61.0, 1204.0, None),
        (6, None, date(2003, 11, 10), 211461.0, 252504.0, "sum over all contracts: dvl"),
    ]
    assert activity.frame["raw"][0] == "NQ,z2003,11/10/2003,211400,251300,219800"  # as it came


def test_ddfplus_takes_a_row_of_its_own_shape_only():
    line = b"NQ,Z2003,11/11/2003,1,2,0.5,1.5\n"
    assert ddfplus.recognises(made(("a.txt", line)))
    assert not ddfplus.recognises(made(("a.txt", b"SP,Z2003,1100P,11/10/2003,1,2,0.5,1.5\n")))  # an option
    assert not ddfplus.recognises(made(("a.txt", b"NQ,A2003,11/11/2003,1,2,0.5,1.5\n")))
    [reading] = ddfplus.read(
        made(("a.txt", line + b"N?,Z2003,11/11/2003,1,2,0.5,1.5\r\nNQ,Z03,11/11/2003,1,2,0.5,x\n"))
    )
    assert reading.frame.select("column", "fault").rows()[1:] == [
        ("root", "no market: N?"), ("month", "not a month such as Z2003: Z03"),
    ]  # fmt: skip
    with pytest.raises(raw.Unreadable, match="no row is one of a contract"):
        list(ddfplus.read(made(("a.txt", b"NQ,dvl,11/11/2003,1,2,3\n"))))


def test_ddfplus_activity_completes_the_price_of_its_day_in_the_store(tmp_path):
    (tmp_path / "10.txt").write_text("NQ,Z2003,11/10/2003,1400,1412,1398,1404.5\n")
    (tmp_path / "11.txt").write_bytes((SAMPLES / "ddfplus" / "20031111.txt").read_bytes())
    archive = open_archive(tmp_path / "store", create=True)
    ingest.import_paths(archive, [tmp_path / "10.txt", tmp_path / "11.txt"])
    rows = archive.read("contract_bars", root="NQ").filter(contract=200312).sort("day")
    assert rows.select("day", "settle", "volume", "open_interest").rows() == [
        (date(2003, 11, 10), 1404.5, 211400.0, 251300.0),
        (date(2003, 11, 11), 1400.5, None, None),
    ]


def test_iqfeed_without_a_header_is_high_low_open_close():
    reading = only(iqfeed, sample(iqfeed, "@ESZ15.csv"))
    assert (reading.table, reading.name) == ("contract_bars", "@ES")
    columns = ("contract", "day", "open", "high", "low", "close", "volume", "open_interest")
    assert reading.frame.select(columns).row(0) == (
        201512, date(2015, 12, 16), 2033.25, 2061.75, 2024.5, 2059.5, 1402000.0, 1150300.0,
    )  # fmt: skip
    assert "settle" not in reading.frame.columns


def test_iqfeed_s_front_month_is_a_chain_and_the_adjusted_one_is_refused():
    reading = only(iqfeed, sample(iqfeed, "@ES#.csv"))
    assert (reading.table, reading.frame.select("rank", "price", "open").row(0)) == (
        "vendor_chains",
        (1, 2059.5, 2033.25),
    )
    data = b"2015-12-16,2,1,1.5,1.7,10,20\n"
    with pytest.raises(raw.Unreadable, match=r"@ES#C\.csv: a back-adjusted series.*or @ES#"):
        iqfeed.read(made(("@ES#C.csv", data)))
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not a file named after a symbol"):
        iqfeed.read(made(("x.csv", data)))
    assert not iqfeed.recognises(made(("QCLF16.csv", data)))  # may be anybody's
    assert only(iqfeed, made(("QCLF16.csv", data))).name == "QCL"


def test_firstrate_s_daily_bars_have_open_interest_and_are_stored_as_the_vendor_s():
    reading = only(firstrate_daily, sample(firstrate_daily, "NQZ08.txt"))
    assert (reading.vendor, reading.name) == ("firstrate", "NQ")
    assert reading.frame.select("contract", "day", "close", "volume", "open_interest").row(1) == (
        200812, date(2008, 9, 16), 1750.5, 498800.0, 301450.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("ES_H24_1day.txt", b"2024-01-02,1,2,0.5,1.5,10\n", True),
        ("ES_H24.txt", b"2024-01-02 09:30:00,1,2,0.5,1.5,10\n", False),
        ("ES_H24.txt", b"20240102,1,2,0.5,1.5,10\n", False),
        ("ES.txt", b"2024-01-02,1,2,0.5,1.5,10\n", False),
    ],
)
def test_firstrate_s_daily_files_are_known_by_name_and_first_line(name, data, known):
    assert firstrate_daily.recognises(made((name, data))) is known


def test_firstrate_s_continuous_files_and_others_are_refused():
    row = b"2024-01-02,1,2,0.5,1.5,10\n"
    with pytest.raises(raw.Unreadable, match="a continuous series; import the files of single contracts"):
        firstrate_daily.read(made(("ES_full_1day_continuous_unadjusted.txt", row)))
    with pytest.raises(raw.Unreadable, match=r"x\.txt: not FirstRate's"):
        firstrate_daily.read(made(("x.txt", row)))
