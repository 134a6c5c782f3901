"""CSI's exports: five layouts, contracts from names, sessions; adjusted, cash and distribution files are refused."""

import csv
from datetime import date

import pytest

from store import raw
from store.contracts import Master
from store.vendors import csi
from tests.vendor_parts import SAMPLES, made, only, opened, sample

HEADER = b"Date,Open,High,Low,Close,Volume\n"
ROW = b"20130102,1,2,0.5,1.5,10\n"
HISTORY = b"20130102,1,2,0.5,1.5,10,20,30,40\n"


def test_a_file_with_header_is_named_by_number_symbol_year_and_month():
    reading = only(csi, sample(csi, "849_PA2/849_PA2_2013_H.csv"))
    assert (reading.table, reading.vendor, reading.name) == ("contract_bars", "csi", "PA2")
    row = reading.frame.row(1, named=True)
    assert (row["contract"], row["day"], row["line"], row["source_time"]) == (201303, date(2013, 1, 3), 3, "20130103")
    assert [row[c] for c in ("open", "high", "low", "settle", "volume")] == [709.0, 711.4, 690.2, 692.15, 2410.0]


def test_history_format_2_has_no_header_and_the_contract_s_own_activity():
    reading = only(csi, sample(csi, "PA2_2013M.csv"))
    assert reading.frame.select("contract", "line", "settle", "volume", "open_interest").row(0) == (
        201306, 1, 710.75, 412.0, 9100.0,
    )  # fmt: skip


def test_dashed_dates_and_six_fields_are_read():
    reading = only(csi, sample(csi, "ES_202812.csv"))
    assert reading.frame.select("contract", "day", "settle", "volume").rows() == [
        (202812, date(2027, 10, 25), 6828.75, 2.0),
        (202812, date(2027, 10, 26), 6808.5, 5.0),
    ]


def test_of_a_back_adjusted_series_only_the_real_close_and_its_contract_are_kept():
    reading = only(csi, sample(csi, "ES____B.CSV"))
    assert (reading.table, reading.name) == ("vendor_chains", "ES")
    assert reading.frame.select("rank", "day", "price", "price_contract", "volume").rows() == [
        (1, date(2013, 3, 14), 1560.5, 201303, 11200.0),
        (1, date(2013, 3, 15), 1552.0, 201306, 240100.0),
    ]
    assert not {"open", "settle"} & set(reading.frame.columns)  # those are of no contract
    assert csi.recognises(made(("ES_B.csv", b"20130314,1612.5,1622.25,1610.5,1620.75,1,2,201303,1560.5\n")))


@pytest.mark.parametrize(
    ("name", "market", "contract"),
    [
        ("849_PA2_2013_H.csv", "PA2", 201303),
        ("PA2_2013H.csv", "PA2", 201303),
        ("PA2_13H.csv", "PA2", 201303),
        ("PA2_1303.csv", "PA2", 201303),
        ("PA2_201303.csv", "PA2", 201303),
        ("ES2013H.csv", "ES", 201303),
        ("C2_14Z.txt", "C2", 201412),
    ],
)
def test_contracts_are_read_from_names(name, market, contract):
    file = made((name, HISTORY))
    assert csi.recognises(file)
    reading = only(csi, file)
    assert (reading.name, reading.frame["contract"][0]) == (market, contract)


def test_a_year_of_two_digits_is_read_as_of_the_file_s_first_day():
    for row, contract in ((b"19781002", 197903), (b"20781003", 207903)):
        assert only(csi, made(("PA2_79H.csv", row + b",1,2,0.5,1.5\n"))).frame["contract"][0] == contract


def test_the_month_of_a_contract_s_own_rows_is_told_from_a_total_that_looks_like_one():
    row = b"20130102,1,2,0.5,1.5,10,20,201306,1.5\n"
    blox = only(csi, made(("ES2013M.csv", row)))
    history = only(csi, made(("ES2013H.csv", row)))  # volume of all contracts: 201,306
    assert blox.frame.select("contract", "settle", "open_interest").row(0) == (201306, 1.5, 20.0)
    assert history.frame.select("contract", "settle", "open_interest").row(0) == (201303, 1.5, 20.0)


def test_the_close_of_an_electronic_session_is_the_last_trade():
    reading = only(csi, made(("CL1_2013H.csv", HISTORY)))
    assert (reading.frame["close"][0], "settle" in reading.frame.columns) == (1.5, False)


def test_symbols_that_mean_other_markets_than_the_exchange_s_do_not_become_those():
    assert only(csi, made(("R_2010H.csv", HISTORY))).name == "CSI-R"  # Russell 1000; R is the gilt


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("849_PA2_B.csv", HEADER + ROW, "a back-adjusted series, whose prices no contract ever had"),
        ("PA2_B.csv", HISTORY, "a back-adjusted series"),
        ("PA2_0000.csv", HISTORY, "a cash series, no contract"),
        ("PA2_2013_54.csv", HISTORY, "a cash series"),
        ("PA2_1361.csv", HISTORY, "a cash series"),
        ("20130102.csv", b"00,20130102,1204\n01,C2,1\n", "CSI's daily distribution file"),
    ],
)
def test_what_holds_no_contract_is_recognised_and_refused(name, data, message):
    file = made((name, data))
    assert csi.recognises(file)
    with pytest.raises(raw.Unreadable) as error:
        csi.read(file)
    assert str(error.value).startswith(f"{name}: {message}")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ES_202812.csv", HEADER + ROW),  # the header is anybody's
        ("ES_202812.csv", b"2027-10-25 09:30:00,1,2,0.5,1.5,10\n"),
        ("ES_202812.csv", b"20271025,1,2,0.5\n"),
        ("ES_202812.csv", b"20271025,1,2,0.5,x,10\n"),
        ("ES-2028Z.csv", HISTORY),
        ("F_ES.txt", b"DATE, OPEN, HIGH, LOW, CLOSE, VOL, OI, P, R, RINFO\n"),
        ("ES_202812.Specs.txt", b"Symbol: ES\n"),
    ],
)
def test_other_files_are_not_claimed(name, data):
    assert not csi.recognises(made((name, data)))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.csv", HISTORY, "x.csv: not named after a contract"),
        ("PA2_2013H.csv", b"<html>\n", "PA2_2013H.csv: line 1: neither a header with Date"),
        ("ES_202812.Specs.txt", b"Symbol: ES\n", "ES_202812.Specs.txt: CSI's description of a file"),
        ("PA2_13H.csv", b"Date,Open,High,Low,Close\n", "PA2_13H.csv: no date in its first lines"),
    ],
)
def test_a_wrong_file_is_refused_when_the_vendor_is_forced(name, data, message):
    with pytest.raises(raw.Unreadable) as error:
        csi.read(made((name, data)))
    assert str(error.value).startswith(message)


def test_a_generic_header_is_read_when_the_vendor_is_forced():
    assert only(csi, made(("ES_202812.csv", HEADER + b"20271025,1,2,0.5,1.5,10\n"))).frame["contract"][0] == 202812


def test_a_fault_names_the_field():
    reading = only(csi, made(("PA2_2013H.csv", HISTORY + b"20130103,1,2,0.5,dear,1,1,1,1\n20130104,1,2\n")))
    assert reading.frame.select("line", "column", "fault").rows()[1:] == [
        (2, "Close", "not a number: dear"),
        (3, "Low", "3 fields instead of 9"),
    ]


@pytest.mark.parametrize(("folder", "with_interest"), [("csi_history_format2", True), ("csi_ua_ascii_header", False)])
def test_the_real_prices_in_csi_s_layouts_are_all_read(shared, folder, with_interest):
    file = opened(shared / "vendor_layout_fixtures" / folder)
    assert csi.recognises(file)
    reading = only(csi, file)
    assert (reading.name, reading.frame["contract"].n_unique()) == ("PA2", 9)
    assert reading.frame["fault"].null_count() == reading.frame.height == 2825
    assert ("open_interest" in reading.frame.columns) is with_interest
    [first] = reading.frame.filter(contract=201303, day=date(2011, 12, 28)).rows(named=True)
    assert (first["settle"], first["volume"]) == (650.15, 0.0)


@pytest.mark.parametrize("vendor", ["csi", "norgate"])
def test_units_follow_from_what_a_point_is_worth(shared, vendor):
    """A vendor's price times his value of a point is money, as ours times the multiplier is: so is the factor."""
    master, checked = Master.load(), 0
    for name, worth in WORTH[vendor](shared / "vendor_metadata"):
        alias = master.alias(vendor, name)
        if alias is not None:
            assert alias.factor == pytest.approx(worth / master.spec(alias.root).multiplier, rel=1e-4), name
            checked += 1
    assert checked >= 70


def _sheets(folder):
    for path in sorted((folder / "csi_factsheets").glob("*.csv")):
        for row in _rows(path) if "COT" not in path.name else ():
            if row["FullPointValue"]:
                yield row["SymbolUA"], float(row["FullPointValue"])


def _list(folder):
    return [
        (row["NorgateInstrument"], float(row["PointValue"])) for row in _rows(folder / "norgate_futures_markets.csv")
    ]


def _rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


WORTH = {"csi": _sheets, "norgate": _list}


def test_sessions_whose_close_is_the_last_trade_are_those_of_the_fact_sheets(shared):
    told = [row for path in (shared / "vendor_metadata" / "csi_factsheets").glob("*.csv") for row in _rows(path)]
    electronic = {row["SymbolUA"] for row in told if row["CloseField"] == "Last"}
    master = Master.load()
    for row in told:
        group = (row["SessionGroup"] or row["SymbolUA"]).split(",")
        if any(master.alias("csi", symbol) for symbol in group) and "COT" not in row["Exchange"]:
            known = bool(csi.ELECTRONIC.fullmatch(row["SymbolUA"]))
            assert known == (row["SymbolUA"] in electronic), row["SymbolUA"]


def test_the_samples_are_all_of_this_vendor():
    paths = [path for path in (SAMPLES / "csi").rglob("*") if path.is_file()]
    assert len(paths) == 4 and all(csi.recognises(raw.open_file(path)) for path in paths)
