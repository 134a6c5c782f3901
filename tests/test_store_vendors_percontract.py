"""Tables with all contracts of a market, their open interest and expiry."""

from datetime import date

import polars as pl
import pytest

from store import ingest, open_archive, raw
from store.vendors import percontract
from tests.vendor_parts import made, sample

HEADER = (
    b"symbol,contract_month,expire_Year,expire_Month,expire_Day,tradingYear,tradingMonth,tradingDay_Day,days_to_expire,"
    b"open,high,low,close,volume,openInterest\n"
)
ROW = b"PAH77,1977Mar,1977.0,3.0,28.0,1977.0,1.0,3.0,84.0,51.2,51.3,51.1,51.25,7.0,9.0\n"


def read(data):
    return list(percontract.read(made(("PA_master.csv", data))))


def test_rows_and_expiries_are_read_and_a_blank_row_is_kept_as_a_fault():
    bars, contracts = percontract.read(sample(percontract, "PA_master.csv"))
    assert (bars.table, bars.vendor, bars.name) == ("contract_bars", "percontract", "PA")
    assert bars.frame.select("line", "contract", "day", "settle", "volume", "open_interest", "fault").rows() == [
        (2, None, None, None, None, None, "no contract: "),
        (3, 197703, date(1977, 1, 3), 51.2, 0.0, 0.0, None),
        (4, 197703, date(1977, 1, 4), 51.85, 0.0, 0.0, None),
        (5, 201406, date(2014, 3, 10), 776.4, 3120.0, 28150.0, None),
        (6, 201406, date(2014, 3, 11), 764.55, 2875.0, 28410.0, None),
    ]
    assert (contracts.table, contracts.name, contracts.derived, bars.derived) == ("contracts", "PA", True, False)
    assert contracts.frame.select("contract", "last_trade", "line").rows() == [
        (197703, date(1977, 3, 28), 3),
        (201406, date(2014, 6, 26), 5),
    ]


@pytest.mark.parametrize(
    ("old", "new", "column", "fault"),
    [
        (b"PAH77", b"PA77", "symbol", "no contract: PA77"),
        (b"1977Mar", b"Mar77", "contract_month", "not a month such as 1977Mar: Mar77"),
        (b"1977Mar", b"1978Mar", "contract_month", "not the month of the symbol: 1978Mar"),
        (b"1977Mar", b"1977Apr", "contract_month", "not the month of the symbol: 1977Apr"),
        (b"1.0,3.0,84.0", b"2.0,30.0,84.0", "tradingDay_Day", "not a date: 30.0"),
        (b"1.0,3.0,84.0", b"1.0,3.5,84.0", "tradingDay_Day", "not a date: 3.5"),
        (b"28.0", b"", "expire_Day", "not a date: "),
        (b"51.25", b"dear", "close", "not a number: dear"),
    ],
)
def test_a_fault_names_the_column(old, new, column, fault):
    bars, *_ = read(HEADER + ROW + ROW.replace(old, new))
    assert bars.frame.select("column", "fault").row(1) == (column, fault)


def test_several_markets_in_one_table_are_parted():
    readings = read(HEADER + ROW + ROW.replace(b"PAH77", b"PLH77"))
    assert [(reading.table, reading.name) for reading in readings] == [
        ("contract_bars", "PA"), ("contracts", "PA"), ("contract_bars", "PL"), ("contracts", "PL"),
    ]  # fmt: skip


def test_a_table_without_a_contract_is_refused_and_another_table_is_not_claimed():
    with pytest.raises(raw.Unreadable, match=r"PA_master\.csv: column symbol: no row has a contract"):
        read(HEADER + b",NaT,,,,,,,,,,,,,\n")
    assert not percontract.recognises(made(("PA_master.csv", HEADER.replace(b"expire_Day", b"expire"))))


@pytest.mark.parametrize(
    ("name", "root", "rows", "blank", "contracts"), [("PA", "PA", 48_437, 122, 295), ("AL", "ALI", 10_898, 0, 90)]
)
def test_the_real_tables_are_stored_with_all_their_rows(shared, tmp_path, name, root, rows, blank, contracts):
    archive = open_archive(tmp_path / "store", create=True)
    path = shared / "percontract_oi" / f"{name}_master.csv.gz"
    bars, dates = percontract.read(raw.open_file(path))
    assert (bars.frame.height, bars.frame["fault"].null_count(), dates.frame.height) == (rows + blank, rows, contracts)
    [report] = ingest.import_paths(archive, [path])
    assert (report.error, report.roots, report.reasons.get("unparsed", 0)) == ("", [root], blank)
    assert report.rows_read == rows + blank == report.accepted + report.warned + report.quarantined
    stored = archive.read("contract_bars", root=root)
    assert stored["contract"].n_unique() == contracts
    assert stored.height + report.quarantined == rows + blank
    told = archive.read("contracts", root=root)
    assert told.height == contracts and told["last_trade"].null_count() == 0
    after = stored.join(told, on="contract").filter(pl.col("day") > pl.col("last_trade"))
    assert after.is_empty()
