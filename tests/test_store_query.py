"""SQL: one SELECT over the pinned files, and nothing else can be reached."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from store.archive import StoreError, open_archive
from store.query import BadQuery
from store.tables import TABLES


@pytest.fixture
def archive(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    rows = pl.DataFrame({"currency": ["EUR", "USD"], "day": [date(2024, 1, 1)] * 2, "rate": [1.1, 1.0]})
    archive.commit([archive.write("fx", rows, source="ecb")])
    return archive


def test_values_come_by_parameter(archive):
    assert archive.sql("select rate from fx where currency = ?", ["EUR"]).rows() == [(1.1,)]
    assert archive.sql("select rate from FX where currency = $name", {"name": "x' or 1 = 1 --"}).rows() == []


def test_a_pinned_snapshot_is_asked(archive):
    archive.commit([], remove=archive.head().files)
    assert archive.sql("select count(*) from fx").item() == 0
    assert archive.sql("select count(*) from fx", snapshot=1).item() == 2


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_there_with_the_types_it_is_read_with(archive, name):
    table = TABLES[name]
    assert archive.sql(f"select * from {name}").schema == table.schema
    row = {table.empty().columns[0]: ["x"]}
    if "time" in table.schema:
        row["time"] = [datetime(2024, 7, 1, 21, tzinfo=UTC)]
    archive.commit([archive.write(name, pl.DataFrame(row))], remove=archive.files(name))
    assert archive.sql(f"select * from {name}").equals(archive.read(name))


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "selec 1",
        "select 1; select 2",
        "select * from no_such",
        "select no_such from fx",
        "copy fx to 'out.csv'",
        "explain analyze copy fx to 'out.csv'",
        "create table x as select * from fx",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "set enable_external_access = true",
        "pragma database_list",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_csv('https://example.com/x.csv')",
        "select * from glob('/*')",
        "select * from sql",
        "select getenv('HOME')",
        "select * from fx where rate = ?",
    ],
)
def test_anything_but_a_select_over_the_tables_is_refused_in_one_sentence(archive, sql, tmp_path):
    with pytest.raises(StoreError) as caught:
        archive.sql(sql)
    assert isinstance(caught.value, BadQuery)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in archive.path.iterdir()) == ["data", "runs", "snapshots"]
