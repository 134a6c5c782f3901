"""Long tables of nearbys, as Parquet and as CSV."""

from datetime import date

import pytest

from store import raw
from store.vendors import rtl
from tests.vendor_files import file, real, sample

HEADER = b"date,root,n,value\n"


@pytest.mark.parametrize(("name", "first"), [("nearbys.csv", 2), ("nearbys.parquet", 1)])
def test_a_sample_is_a_chain_a_market(name, first):
    oil, gas = sample(rtl, name)
    assert (oil.table, oil.vendor, oil.name, gas.name) == ("vendor_chains", "rtl", "CL", "NG")
    assert oil.frame.select("day", "rank", "price", "line").rows() == [
        (date(2024, 3, 18), 1, 82.71, first), (date(2024, 3, 18), 2, 82.16, first + 1),
        (date(2024, 3, 19), 1, 83.46, first + 3), (date(2024, 3, 19), 2, 82.72, first + 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (b"2024-03-18,CL,0,1", "n", "no rank 1, 2, …: 0"),
        (b"2024-03-18,CL,front,1", "n", "no rank 1, 2, …: front"),
        (b"2024-03-18,,1,1", "root", "no market: "),
        (b"18/3/2024,CL,1,1", "date", "not a date: 18/3/2024"),
        (b"2024-03-18,CL,1,x", "value", "not a number: x"),
    ],
)
def test_a_fault_names_the_file_s_column(row, column, fault):
    reading = rtl.read(file(**{"x.csv": HEADER + row}))[0]
    assert reading.frame.select("column", "fault").row(0) == (column, fault)


def test_a_table_of_other_columns_is_not_taken():
    assert not rtl.recognises(file(**{"x.csv": b"date,root,rank,value\n"}))
    with pytest.raises(raw.Unreadable, match="no long table of nearbys"):
        rtl.read(file(**{"x.csv": b"a,b\n"}))


def test_the_real_table_has_the_rows_and_the_one_negative_price_that_its_list_says(shared):
    oil, gas = real(rtl, shared / "rtl" / "nearby_settlements_CL_NG.parquet")
    assert oil.frame.height + gas.frame.height == 339_198
    assert oil.frame["rank"].max() == 36
    below = oil.frame.filter(oil.frame["price"] <= 0).select("day", "rank", "price").rows()
    assert below == [(date(2020, 4, 20), 1, -37.63)]
