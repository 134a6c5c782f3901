"""Norgate's files: names, separators, headers, orders of dates, continuous series; and its Python package."""

from datetime import date, datetime
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest

from store import ingest, norgate_api, open_archive, raw
from store.vendors import norgate
from tests.vendor_parts import SAMPLES, made, only, opened, sample

HEADER = b"Date,Open,High,Low,Close,Volume,Open Interest\n"
ROW = b"20230103,1,2,0.5,1.5,10,20\n"


def test_a_contract_with_a_header_is_read():
    reading = only(norgate, sample(norgate, "ES-2023H.csv"))
    assert (reading.table, reading.vendor, reading.name, reading.partial) == ("contract_bars", "norgate", "ES", False)
    row = reading.frame.row(1, named=True)
    assert (row["contract"], row["day"], row["line"]) == (202303, date(2023, 1, 4), 3)
    assert row["source_time"] == "20230104"
    values = ("open", "high", "low", "settle", "volume", "open_interest")
    assert [row[c] for c in values] == [3844.0, 3893.25, 3836.0, 3872.5, 1604100.0, 2049800.0]
    assert "close" not in reading.frame.columns
    assert reading.headings["settle"] == "Close"


def test_semicolons_no_header_a_symbol_and_days_first_are_told_from_the_file():
    reading = only(norgate, sample(norgate, "ES-2023M.txt"))
    assert reading.frame.select("contract", "day", "settle", "line").rows() == [
        (202306, date(2023, 1, 3), 3877.0, 1),
        (202306, date(2023, 1, 4), 3905.75, 2),
        (202306, date(2023, 1, 13), 4032.25, 3),
    ]


def test_a_file_of_many_contracts_is_parted_by_its_column_of_symbols_in_any_order_of_columns():
    dax, euro = norgate.read(sample(norgate, "selection.txt"))
    assert (dax.name, euro.name) == ("FDAX9", "6E")  # a session is a market of its own, a root may hold digits
    assert dax.frame.select("contract", "day", "open", "settle").rows() == [
        (202303, date(2023, 1, 5), 14510.5, 14481.0)
    ]
    assert euro.frame["contract"].to_list() == [202003, 202003]
    assert "open_interest" not in euro.frame.columns


def test_a_continuous_series_as_traded_is_a_chain_with_its_contracts():
    reading = only(norgate, sample(norgate, "&ES.csv"))
    assert (reading.table, reading.name) == ("vendor_chains", "ES")
    assert reading.frame.select("rank", "day", "price", "price_contract", "high", "open_interest").rows() == [
        (1, date(2023, 3, 15), 3917.0, 202303, 3950.25, 1102000.0),
        (1, date(2023, 3, 16), 3996.25, 202306, 3998.5, 2105000.0),
    ]


def test_a_back_adjusted_series_is_recognised_and_refused():
    file = made(("&ES_CCB.csv", HEADER + ROW))
    assert norgate.recognises(file)
    with pytest.raises(raw.Unreadable, match=r"&ES_CCB\.csv: a back-adjusted series.*or &ES as traded"):
        norgate.read(file)


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        ("ES-2023H.csv", HEADER, True),
        ("6E-2020H.txt", b"Date;Open;High;Low;Close\n", True),
        ("YAP10-2020H.csv", b"2020-01-02,1,2,0.5,1.5,10\n", True),
        ("ES-2023H.csv", b"date,open,high,low,settle,volume,open_interest\n", False),  # our own layout
        ("ES-2023H.csv", b"20230103,1,2\n", False),
        ("ES-2023A.csv", HEADER, False),  # no such month
        ("ES_2023H.csv", HEADER, False),
        ("all.csv", b"Symbol,Date,Open,High,Low,Close\nES-2023H,20230103,1,2,1,1\n", True),
        ("all.csv", b"Symbol,Date,Open,High,Low,Close\nESH23,20230103,1,2,1,1\n", False),
        ("all.csv", HEADER, False),
    ],
)
def test_files_are_known_by_name_and_first_lines(name, data, known):
    assert norgate.recognises(made((name, data))) is known


def test_contracts_of_one_market_are_one_reading_with_each_row_s_file():
    reading = only(norgate, made(("ES-2023H.csv", HEADER + ROW), ("ES-2023M.csv", HEADER + ROW)))
    assert reading.frame.select("file", "line", "contract").rows() == [
        ("ES-2023H.csv", 2, 202303), ("ES-2023M.csv", 2, 202306),
    ]  # fmt: skip


def test_a_small_header_does_not_leave_a_close_beside_the_settlement():
    reading = only(norgate, made(("ES-2023H.csv", b"date,open,high,low,close\n20230103,1,2,0.5,1.5\n")))
    assert "close" not in reading.frame.columns
    assert reading.frame["settle"].to_list() == [1.5]


def test_a_bad_cell_and_a_strange_symbol_are_faults_with_their_column():
    reading = only(norgate, made(("ES-2023H.csv", HEADER + b"20230103,1,2,0.5,n/a,10,20\n" + ROW)))
    assert reading.frame.select("column", "fault").row(0) == ("Close", "not a number: n/a")
    data = b"Symbol,Date,Open,High,Low,Close\nES-2023H,20230103,1,2,1,1\nES-2023M,20230104,1,2,1,1\n"
    data += b"what,20230104,1,2,1,1\n"
    reading = only(norgate, made(("ES-2023H.csv", data)))
    assert reading.frame.select("line", "column", "fault").rows() == [
        (2, None, None),
        (3, "Symbol", "not the contract that the file is named after: ES-2023M"),
        (4, "Symbol", "not a contract code: what"),
    ]


def test_other_files_are_refused_in_words():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not named SYMBOL-YYYYM\.csv"):
        norgate.read(made(("x.csv", HEADER + ROW)))
    with pytest.raises(raw.Unreadable, match=r"ES-2023H\.csv: line 1: neither a header with Date"):
        norgate.read(made(("ES-2023H.csv", b"<html>\n")))


def test_the_real_prices_in_norgate_s_layout_are_all_read(shared):
    reading = only(norgate, opened(shared / "vendor_layout_fixtures" / "norgate_ndu_export"))
    assert (reading.name, reading.frame["contract"].n_unique()) == ("PA", 9)
    assert reading.frame["fault"].null_count() == reading.frame.height == 2825  # 2,834 lines, 9 of them headers
    first = reading.frame.filter(contract=201206).row(0, named=True)
    assert (first["day"], first["settle"], first["open_interest"]) == (date(2011, 3, 30), 760.85, 0.0)


def test_a_refused_series_does_not_take_its_neighbours_with_it(tmp_path):
    for name in ("&ES_CCB.csv", "ES-2023H.csv", "SI-2023H.csv"):
        (tmp_path / name).write_bytes(HEADER + ROW)
    archive = open_archive(tmp_path / "store", create=True)
    reports = ingest.import_paths(archive, sorted(tmp_path.glob("*.csv")))
    assert [bool(report.error) for report in reports] == [True, False, False]
    settled = archive.read("contract_bars").select("root", "settle").sort("root").rows()
    assert settled == [("ES", 1.5), ("SI", 0.015)]  # silver is in cents there


# --- the package


class Adjustment(Enum):
    NONE = 0
    TOTALRETURN = 3


class Padding(Enum):
    NONE = 0


COLUMNS = [("Date", "<M8[D]"), *((name, "<f8") for name in ("Open", "High", "Low", "Close", "Volume", "Open Interest"))]
SERIES = {
    "ES-2023H": np.array([("2023-01-03", 3861.25, 3905, 3814.5, 3843.25, 1532000, 2051200)], COLUMNS),
    "ES-2023M": np.array([("2023-01-03", 3895.5, 3938.25, 3848.5, 3877, 2100, np.nan)], COLUMNS),
    "&ES": np.array([("2023-01-03", 3861.25, 3905, 3814.5, 3843.25, 1532000, 2051200, 202303)],
                    [*COLUMNS, ("Delivery Month", "<f8")]),
}  # fmt: skip
NOTICE = {"ES-2023H": None, "ES-2023M": "2023-05-31"}


def package(running=True, contracts=("ES-2023H", "ES-2023M")):
    """What the readme of norgatedata promises, for two contracts and a series."""

    def price_timeseries(symbol, stock_price_adjustment_setting, padding_setting, timeseriesformat, interval):
        assert (stock_price_adjustment_setting, padding_setting) == (Adjustment.NONE, Padding.NONE)
        assert (timeseriesformat, interval) == ("numpy-recarray", "D")
        if symbol not in SERIES:
            raise ValueError(f"symbol {symbol} not found")
        return SERIES[symbol].view(np.recarray)

    return SimpleNamespace(
        status=lambda: running,
        StockPriceAdjustmentType=Adjustment,
        PaddingType=Padding,
        price_timeseries=price_timeseries,
        futures_market_session_contracts=lambda market: list(contracts) if market == "ES" else [],
        first_quoted_date=lambda symbol, datetimeformat: "2021-12-17",
        last_quoted_date=lambda symbol, datetimeformat: "2023-03-17" if symbol == "ES-2023H" else None,
        first_notice_date=lambda symbol, datetimeformat: NOTICE[symbol],
    )


def test_a_market_of_the_package_is_all_its_contracts_and_their_dates():
    (bars, contracts), file, sha256 = norgate.read_api(["ES"], package())
    assert (bars.table, bars.name, file, len(sha256)) == ("contract_bars", "ES", "norgate:ES", 64)
    assert bars.frame.select("contract", "day", "settle", "open_interest", "file", "line").rows() == [
        (202303, date(2023, 1, 3), 3843.25, 2051200.0, "norgate:ES-2023H", 1),
        (202306, date(2023, 1, 3), 3877.0, None, "norgate:ES-2023M", 1),
    ]
    assert bars.frame["time"][0].replace(tzinfo=None) == datetime(2023, 1, 3, 23)
    assert contracts.frame.select("contract", "first_trade", "last_trade", "first_notice").rows() == [
        (202303, date(2021, 12, 17), date(2023, 3, 17), None),
        (202306, date(2021, 12, 17), None, date(2023, 5, 31)),
    ]


def test_the_package_says_the_same_of_the_same_rows_and_something_else_of_others():
    assert norgate.read_api(["ES"], package())[2] == norgate.read_api(["ES"], package())[2]
    assert norgate.read_api(["ES"], package())[2] != norgate.read_api(["ES-2023H"], package())[2]


def test_a_series_of_the_package_names_its_contracts():
    [reading], _, _ = norgate.read_api(["&ES"], package())
    assert reading.table == "vendor_chains"
    assert reading.frame.select("rank", "price", "price_contract").row(0) == (1, 3843.25, 202303)


@pytest.mark.parametrize(
    ("symbol", "words", "message"),
    [
        ("ES", {"running": False}, "the Norgate Data Updater does not run"),
        ("XX", {}, "norgate:XX: no such market"),
        ("ES-2030H", {}, "norgate:ES-2030H: symbol ES-2030H not found"),
        ("ES-what", {}, "norgate:ES-what: 'ES-what' of norgate is no contract code"),
        ("&ES_CCB", {}, "norgate:&ES_CCB: a back-adjusted series"),
    ],
)
def test_what_the_package_cannot_give_is_told_in_a_sentence(symbol, words, message):
    with pytest.raises(raw.Unreadable) as error:
        norgate.read_api([symbol], package(**words))
    assert message in str(error.value)


def test_without_the_package_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "norgatedata", None)
    with pytest.raises(raw.Unreadable, match="the package norgatedata is not installed; it needs Windows"):
        norgate_api.read(["ES"])


def test_the_samples_are_all_of_this_vendor():
    for path in (SAMPLES / "norgate").iterdir():
        assert norgate.recognises(raw.open_file(path))
