"""A snapshot as files for other programs: equal by value, equal byte by byte, whole or not there, and safe to open."""

import csv
import hashlib
import json
import os
import shutil
import sys
import tomllib
from datetime import UTC, date, datetime
from importlib.util import find_spec

import duckdb
import polars as pl
import pytest

from store import delta, durable, ingest, open_archive
from store import export as module
from store.archive import Refused
from store.compact import compact
from store.durable import DiskFull
from store.export import LAYOUT, NotExported, export
from store.tables import TABLES
from tests import postgres_store

HARD = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'quoted", "a,b", 'say "hi"', "two\nlines", "", None, "ä€𝄞", "5"]
STAMP = datetime(2024, 3, 11, 23, tzinfo=UTC)
DELTA = pytest.mark.skipif(find_spec("deltalake") is None, reason="no deltalake: pip install 'frontmonth[delta]'")
FORMATS = pytest.mark.parametrize("format", ["parquet", "csv", pytest.param("delta", marks=DELTA)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Rows in every table, odd ones among them; not to be changed."""
    archive = postgres_store.build(tmp_path_factory.mktemp("filled") / "store")
    bad = pl.DataFrame({"raw": HARD, "line": range(len(HARD)), "file": "x.csv", "id": [f"{k:03}" for k in range(14)]})
    log = pl.DataFrame({"file": ["a.csv", "b.csv"], "rows_read": [3, 4], "time": STAMP, "reasons": "{}"})
    changed = pl.DataFrame({"column": ["close", "settle"], "old": [1.0, -37.63], "new": [2.0, None], "time": STAMP})
    made = [
        archive.write("quarantine", bad, import_id="one"),
        archive.write("imports", log, import_id="one"),
        archive.write("revisions", changed, source="csi", root="MES"),
        archive.write("decisions", pl.DataFrame({"id": ["d1"], "time": STAMP, "reason": "=because"})),
    ]
    archive.commit(made, note="logs")
    assert {segment.table for segment in archive.head().files} == set(TABLES)
    return archive


def sorted_rows(frame):
    return frame.sort(pl.all(), nulls_last=True)


def files(folder):
    """{name: bytes} of all files below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read(folder, format, table):
    """A table of an export, read by a program that is not ours."""
    schema = TABLES[table].schema
    if format == "delta":
        frame = pl.read_delta(str(folder / table))
    elif format == "parquet":
        frame = pl.read_parquet([*(folder / table).glob("*.parquet")])
    else:
        rows = []
        for path in (folder / table).glob("*.csv"):
            with open(path, newline="", encoding="utf-8") as file:
                head, *more = csv.reader(file, strict=True)
            assert head == list(schema)
            rows += more
        frame = typed(pl.DataFrame(rows, dict.fromkeys(schema, pl.String), orient="row"), schema)
    return frame.select(list(schema))


def typed(frame, schema):
    for name, dtype in schema.items():
        if dtype == pl.Date:
            frame = frame.with_columns(pl.col(name).replace("", None).str.to_date("%Y-%m-%d"))
        elif isinstance(dtype, pl.Datetime):
            moment = pl.col(name).replace("", None).str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_zone="UTC")
            frame = frame.with_columns(moment.dt.cast_time_unit("us"))
        elif dtype != pl.String:
            frame = frame.with_columns(pl.col(name).replace("", None).cast(dtype))
    return frame


@FORMATS
def test_every_table_is_read_back_equal_by_value(archive, tmp_path, format):
    done = export(archive, tmp_path / "out", format)
    assert {one["table"]: one["rows"] for one in done["tables"]} == {n: archive.read(n).height for n in TABLES}
    for name in TABLES:
        mine, theirs = archive.read(name), read(tmp_path / "out", format, name)
        if format == "csv":  # nothing and an empty text are told apart in the file, which these readers do not
            texts = pl.col(pl.String)
            guard = pl.when(texts.str.contains(r"^[=+\-@\t\r]")).then(pl.lit("'") + texts).otherwise(texts)
            mine = mine.with_columns(guard.fill_null("").name.keep())
        assert sorted_rows(mine).equals(sorted_rows(theirs)), name


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_the_same_snapshot_gives_the_same_bytes_however_its_rows_lie(archive, tmp_path, format):
    export(archive, tmp_path / "one", format)
    export(archive, tmp_path / "two", format)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    copy = open_archive(shutil.copytree(archive.path, tmp_path / "store"))
    bars = copy.read("contract_bars", root="MES", source="barchart")
    pieces = [bars.filter(pl.col("day").dt.month() == month) for month in range(12, 0, -1)]
    copy.commit([copy.write("contract_bars", piece, source="barchart", root="MES") for piece in pieces],
                copy.files("contract_bars", root="MES", source="barchart"))  # fmt: skip
    export(copy, tmp_path / "parted", format)
    compact(copy)
    export(copy, tmp_path / "compacted", format)
    tables = [{n: b for n, b in files(tmp_path / name).items() if "/" in n} for name in ("one", "parted", "compacted")]
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_rows_of_a_market_are_in_the_order_of_the_key_and_those_of_a_log_as_they_came(archive, tmp_path, format):
    export(archive, tmp_path / "out", format)
    reader = pl.read_parquet if format == "parquet" else pl.read_csv
    bars = reader(tmp_path / "out" / "contract_bars" / f"MES.barchart.{format}")
    assert bars.select("contract", "time").equals(bars.select("contract", "time").sort("contract", "time"))
    held = reader(tmp_path / "out" / "quarantine" / f"quarantine.{format}")
    assert held["line"].to_list() == list(range(len(HARD)))


def test_the_document_and_the_two_tables_of_contents_tell_each_file(archive, tmp_path):
    done = export(archive, tmp_path / "out", "parquet", ["fx", "contract_bars"])
    assert done["snapshot"] == archive.head().number and done["format"] == "parquet"
    assert done["folder"] == str(tmp_path / "out")
    contents = json.loads((tmp_path / "out" / "tables.json").read_text())
    assert contents["snapshot"]["hash"] == archive.head().hash
    assert [one["table"] for one in contents["tables"]] == ["fx", "contract_bars"]
    there = files(tmp_path / "out")
    assert there.keys() == {"README.md", "tables.json"} | {f["file"] for t in contents["tables"] for f in t["files"]}
    for one, told in zip(contents["tables"], done["tables"], strict=True):
        assert (told["files"], told["bytes"]) == (len(one["files"]), sum(f["bytes"] for f in one["files"]))
        assert told["rows"] == one["rows"] == sum(f["rows"] for f in one["files"])
        for file in one["files"]:
            assert file["sha256"] == hashlib.sha256(there[file["file"]]).hexdigest()
        assert [c["name"] for c in one["columns"]] == list(TABLES[one["table"]].columns)
    bars = {file["file"]: file["rows"] for file in contents["tables"][1]["files"]}
    assert bars["contract_bars/FGBL.barchart.parquet"] == archive.read("contract_bars", root="FGBL").height
    text = there["README.md"].decode()
    assert archive.head().hash in text and "| `rate` | float64 | [USD per unit] |" in text and "report" in text


def test_an_older_snapshot_is_exported_as_it_was(archive, tmp_path):
    done = export(archive, tmp_path / "out", "parquet", snapshot=1)
    assert done["snapshot"] == 1 and [one["table"] for one in done["tables"]] == ["contract_bars", "fx"]
    assert {p.stem for p in (tmp_path / "out" / "contract_bars").iterdir()} == {"MES.barchart", "FGBL.barchart"}


@DELTA
def test_an_empty_store_gives_an_empty_export_and_a_table_without_rows_its_folder(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    assert export(archive, tmp_path / "all", "csv")["tables"] == []
    assert export(archive, tmp_path / "fx", "delta", ["fx"])["tables"][0]["rows"] == 0
    assert pl.read_delta(str(tmp_path / "fx" / "fx")).schema == TABLES["fx"].schema


# ---- what other programs do with it


def test_bars_come_back_into_another_store_as_they_were(archive, tmp_path):
    export(archive, tmp_path / "out", "parquet")
    other = open_archive(tmp_path / "other", create=True)
    reports = ingest.import_paths(other, [tmp_path / "out" / name for name in ("contract_bars", "fx", "rates")])
    assert not [report.error for report in reports if report.error]
    for name in ("contract_bars", "fx", "rates"):
        mine, theirs = (sorted_rows(one.read(name).drop("known")) for one in (archive, other))
        assert theirs.equals(mine), name


def test_csv_is_read_by_the_layout_that_its_readme_gives(archive, tmp_path):
    export(archive, tmp_path / "out", "csv", ["contract_bars"])
    text = (tmp_path / "out" / "README.md").read_text()
    assert LAYOUT in text and tomllib.loads(LAYOUT)["exported"]["symbol"] == "contract"
    other = open_archive(tmp_path / "other", create=True)
    (other.path / "vendors.toml").write_text(LAYOUT)
    names = [tmp_path / "out" / "contract_bars" / f"{root}.barchart.csv" for root in ("MES", "FGBL")]
    assert not [report.error for report in ingest.import_paths(other, names) if report.error]
    columns = ["root", "contract", "day", "open", "high", "low", "settle", "volume", "open_interest"]
    mine, theirs = (sorted_rows(one.read("contract_bars", columns=columns)) for one in (archive, other))
    assert theirs.equals(mine.filter(pl.col("root") != "ODD"))


def test_a_text_that_a_spreadsheet_would_run_is_quoted_and_a_number_is_not(archive, tmp_path):
    export(archive, tmp_path / "out", "csv", ["quarantine", "revisions"])
    with open(tmp_path / "out" / "quarantine" / "quarantine.csv", newline="", encoding="utf-8") as file:
        raw = [row["raw"] for row in csv.DictReader(file)]
    guarded = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "'quoted", "a,b", 'say "hi"', "two\nlines", "", ""]
    assert raw == [*guarded, "ä€𝄞", "5"]
    lines = (tmp_path / "out" / "revisions" / "revisions.csv").read_text().splitlines()
    assert lines[2] == "csi,,MES,,2024-03-11T23:00:00.000000Z,settle,-37.63,,"


def test_nothing_and_an_empty_text_are_told_apart_and_times_are_iso(archive, tmp_path):
    export(archive, tmp_path / "out", "csv", ["contract_bars"])
    lines = (tmp_path / "out" / "contract_bars" / "ODD.odd.csv").read_text(encoding="utf-8").split("\n")
    assert lines[1].startswith("odd,ODD,202406,2024-03-11T23:00:00.123456Z,2024-03-11,,,,0.30000000000000004,,,,,")
    assert lines[1].endswith(',"",') and lines[2].endswith(",,")  # source_time and known


@DELTA
def test_delta_is_parted_by_source_and_read_by_duckdb(archive, tmp_path):
    import deltalake

    export(archive, tmp_path / "out", "delta", ["contract_bars", "fx"])
    table = deltalake.DeltaTable(tmp_path / "out" / "contract_bars")
    assert table.metadata().partition_columns == ["source"] and len(table.file_uris()) == 2
    paths = ", ".join(f"'{path}'" for path in table.file_uris())
    found = duckdb.sql(f"SELECT source, count(*), max(high) FROM read_parquet([{paths}], hive_partitioning = true) "
                       "GROUP BY source ORDER BY source").fetchall()  # fmt: skip
    bars = archive.read("contract_bars")
    assert found == bars.group_by("source").agg(pl.len(), pl.col("high").max()).sort("source").rows()


def test_without_the_library_delta_names_the_extra_and_writes_nothing(archive, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(delta.NoDelta, match=r"frontmonth\[delta\]"):
        export(archive, tmp_path / "out", "delta")
    assert list(tmp_path.iterdir()) == []


# ---- large markets


@DELTA
def test_a_large_market_is_a_file_a_year_and_delta_gets_portions(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1000)
    monkeypatch.setattr(module, "PORTION", 1000)
    export(archive, tmp_path / "out", "parquet", ["contract_bars"])
    names = sorted(path.name for path in (tmp_path / "out" / "contract_bars").iterdir())
    years = [f"{root}.barchart.{year}.parquet" for root in ("FGBL", "MES") for year in (2021, 2022)]
    assert names == sorted([*years, "ODD.odd.parquet"])
    frame = pl.read_parquet(tmp_path / "out" / "contract_bars" / years[-1])
    assert set(frame["day"].dt.year()) == {2022}
    assert sorted_rows(read(tmp_path / "out", "parquet", "contract_bars")).equals(
        sorted_rows(archive.read("contract_bars"))
    )
    export(archive, tmp_path / "parts", "delta", ["contract_bars"])
    assert sorted_rows(read(tmp_path / "parts", "delta", "contract_bars")).equals(
        sorted_rows(archive.read("contract_bars"))
    )


# ---- names, folders, accidents


@pytest.mark.folder
def test_names_from_data_never_leave_the_folder_nor_fall_together(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    names = ["../../evil", "a/b", "a_b", "A_B", "nul", "x" * 300, "", None, "\x00", "CON"]
    rows = pl.DataFrame({"currency": names, "rate": [float(k) for k in range(len(names))], "day": date(2024, 3, 1)})
    archive.commit([archive.write("fx", rows, source="x")])
    done = export(archive, tmp_path / "out", "parquet")
    there = files(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]
    assert done["tables"][0]["files"] == len(names) == len({name.casefold() for name in there}) - 2
    assert {"fx/nul_.x.parquet", "fx/CON_.x.parquet", "fx/______evil.x.parquet"} <= there.keys()
    assert sorted(read(tmp_path / "out", "parquet", "fx")["rate"]) == sorted(rows["rate"])


@FORMATS
def test_a_folder_that_holds_something_is_refused_and_an_empty_one_is_taken(archive, tmp_path, format):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(NotExported, match="not empty"):
        export(archive, tmp_path / "full", format)
    with pytest.raises(NotExported, match="not empty"):
        export(archive, tmp_path / "full" / "mine.txt", format)
    (tmp_path / "empty").mkdir()
    export(archive, tmp_path / "empty", format, ["fx"])
    assert (tmp_path / "empty" / "fx").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_folder_in_the_store_an_unknown_format_and_table_are_refused(archive, tmp_path):
    for inside in (archive.path, archive.path / "data", archive.path / "runs" / "x"):
        with pytest.raises(NotExported, match="lies in the store"):
            export(archive, inside)
    with pytest.raises(Refused, match="no format 'parket': did you mean parquet"):
        export(archive, tmp_path / "out", "parket")
    with pytest.raises(Refused, match="no table 'bars'"):
        export(archive, tmp_path / "out", tables=["bars"])
    assert list(tmp_path.iterdir()) == []


@FORMATS
def test_a_full_disk_or_a_break_leaves_nothing(archive, tmp_path, monkeypatch, format):
    def full(folder, *others):
        folder.mkdir(exist_ok=True)
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as broken:
        broken.setattr(*((delta, "write") if format == "delta" else (module, "_files")), full)
        with pytest.raises(DiskFull, match="disk is full"):
            export(archive, tmp_path / "out", format)
    assert list(tmp_path.iterdir()) == []

    def stop(done, total, name):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(archive, tmp_path / "out", format, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_fills_meanwhile_stays_his(archive, tmp_path):
    def fill(done, total, name):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(NotExported, match="not empty"):
        export(archive, tmp_path / "out", progress=fill)
    assert {p.name for p in tmp_path.rglob("*")} == {"out", "mine.txt"}


def test_all_is_flushed_before_the_folder_gets_its_name(archive, tmp_path, monkeypatch):
    steps, move, rename = [], durable._sync_tree, os.rename
    monkeypatch.setattr(durable, "_sync_tree", lambda folder: (steps.append("flush"), move(folder)))
    monkeypatch.setattr(os, "rename", lambda *names: (steps.append("rename"), rename(*names)))
    export(archive, tmp_path / "out", tables=["fx"])
    folders = [path for path in (tmp_path / "out").rglob("*") if path.is_dir()]
    assert steps == ["flush"] * (1 + len(folders)) + ["rename"]  # the folder with all in it, and then its name


def test_progress_is_told_a_table_and_market(archive, tmp_path):
    steps = []
    export(archive, tmp_path / "out", tables=["contract_bars", "imports"], progress=lambda *step: steps.append(step))
    names = ["contract_bars FGBL.barchart", "contract_bars MES.barchart", "contract_bars ODD.odd", "imports"]
    assert steps == [(k, 4, name) for k, name in enumerate(names)]
