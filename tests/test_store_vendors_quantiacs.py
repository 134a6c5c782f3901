"""Quantiacs' front contracts: prices, the contract behind each row, and labels that contradict each other."""

from datetime import date

import polars as pl
import pytest

from store import ingest, open_archive, raw
from store.vendors import nearby, quantiacs
from tests.vendor_files import file, real, sample

HEADER = b"DATE, OPEN, HIGH, LOW, CLOSE, VOL, OI, P, R, RINFO\n"


def contracts(*flags):
    """Contract of each row of a file whose rows have these flags R."""
    rows = b"".join(b"202401%02d,1,1,1,1,1,1,%d,%d,0\n" % (day, flag, flag) for day, flag in enumerate(flags, 1))
    [reading] = quantiacs.read(file(**{"F_X.txt": HEADER + rows}))
    return reading.frame["price_contract"].to_list()


def test_a_sample_is_a_chain_of_rank_one_in_money_per_contract():
    [reading] = sample(quantiacs, "F_ES.txt")
    assert (reading.table, reading.vendor, reading.name) == ("vendor_chains", "quantiacs", "F_ES")
    row = reading.frame.row(2, named=True)
    assert (row["day"], row["rank"], row["price"], row["open"]) == (date(2024, 3, 8), 1, 259000.0, 260000.0)
    assert (row["volume"], row["open_interest"], row["source_time"]) == (1502300.0, 1205600.0, "20240308")
    assert reading.frame["price_contract"].to_list() == [None, None, 202406, 202406, 202406, 202409]


def test_the_flag_stands_on_the_last_day_of_the_old_contract():
    assert contracts(0, 202403, 0, 202406, 0) == [None, None, 202403, 202403, 202406]


def test_the_roll_gap_makes_the_contract_before_the_carry_of_the_first_day():
    rows = b"20240101,9,9,9,10,1,1,0,202403,0\n20240102,9,9,9,10,1,1,0,202406,0\n20240103,12,9,9,14,1,1,0,0,3\n"
    [reading] = quantiacs.read(file(**{"F_X.txt": HEADER + rows}))
    assert reading.frame.select("price_contract", "carry_contract", "carry").rows() == [
        (None, None, None), (202403, None, None), (202406, 202403, 11.0),
    ]  # fmt: skip


def test_a_label_that_comes_twice_was_wrong_the_first_time():
    assert contracts(202304, 0, 202306, 0, 202306, 0) == [None, 202304, 202304, None, None, 202306]


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (b"2024-01-02,1,1,1,1,1,1,0,0,0", "DATE", "not a date: 2024-01-02"),
        (b"20240102,1,1,1,x,1,1,0,0,0", "CLOSE", "not a number: x"),
        (b"20240102,1,1,1,1,1,1,0,202413,0", "R", "not a contract YYYYMM00: 202413"),
    ],
)
def test_a_fault_names_the_file_s_column(row, column, fault):
    [reading] = quantiacs.read(file(**{"F_X.txt": HEADER + row}))
    assert reading.frame.select("column", "fault").row(0) == (column, fault)


def test_a_flag_that_cannot_be_read_leaves_the_contract_unknown():
    [reading] = quantiacs.read(
        file(**{"F_X.txt": HEADER + b"20240102,1,1,1,1,1,1,0,x,0\n20240103,1,1,1,1,1,1,0,0,0\n"})
    )
    assert reading.frame["price_contract"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("name", "header", "known"),
    [("F_ES.txt", HEADER, True), ("ES.txt", HEADER, False), ("F_ES.txt", b"DATE,OPEN\n", False)],
)
def test_files_are_known_by_name_and_header(name, header, known):
    assert bool(quantiacs.recognises(file(**{name: header}))) is known


def test_another_file_is_refused_when_the_vendor_is_forced():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: not named F_<MARKET>\.txt"):
        quantiacs.read(file(**{"x.csv": HEADER}))


def test_the_real_files_have_as_many_rows_as_their_list_says(shared):
    [es] = real(quantiacs, shared / "quantiacs" / "F_ES.txt")
    [cattle] = real(quantiacs, shared / "quantiacs" / "F_LC.txt.gz")
    assert (es.frame.height, cattle.frame.height) == (7864 - 1, 7847 - 1)  # MANIFEST.csv counts the header
    known = {row["day"]: row["price_contract"] for row in cattle.frame.select("day", "price_contract").to_dicts()}
    assert known[date(1992, 11, 27)] == 199212  # its flag says 199304, and so does that of 1993-01-26
    assert (known[date(1992, 11, 30)], known[date(1993, 1, 27)]) == (None, 199304)


def test_factors_bring_money_per_contract_back_to_quotes(tmp_path, shared):
    archive = open_archive(tmp_path / "store", create=True)
    reports = ingest.import_paths(archive, sorted((shared / "quantiacs").iterdir()))
    counted = pl.read_csv(shared / "MANIFEST.csv").filter(pl.col("path").str.starts_with("quantiacs/"))
    assert sum(report.rows_read for report in reports) == counted["lines_or_rows"].sum() - len(
        reports
    )  # it counts headers
    assert all(report.accepted == report.rows_read for report in reports)
    oil = archive.read("vendor_chains", source="quantiacs", root="CL").select("day", "price")
    [settled] = real(nearby, shared / "quandl_chris" / "CME_CL1.csv")
    both = oil.join(settled.frame.select("day", other="price"), on="day").filter(pl.col("day").dt.year() < 2012)
    same = (both["price"] - both["other"]).abs() < 1e-6  # another vendor's; he goes on later, at expiry
    assert same.mean() > 0.6
