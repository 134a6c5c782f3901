"""Large files in pieces: the store is as if they were read whole, and the memory that of one piece."""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from store import columnar, open_archive, pieces, raw
from store.ingest import import_paths
from store.tables import TABLES
from tests.conftest import REPO

WORDS = {"check": True, "capture_output": True, "text": True}

SECTION = """
[mine]
file = '(?P<root>[A-Z]+)[.]csv'
date = "%Y-%m-%d %H:%M"
timezone = "UTC"
symbol = "symbol"
last_is = "close"
bar_minutes = 7
columns = { time = "date", open = "open", high = "high", low = "low", last = "close", volume = "volume" }
"""
START = datetime(2023, 12, 28, 15, 0, tzinfo=UTC)
CODES = {202403: "ESH24", 202406: "ESM24", 202409: "ESU24"}


def made(seed, order):
    """Minutes of three contracts over New Year, in an order, some of them twice, alike or not, and some at fault."""
    chance, rows = random.Random(seed), []
    for k in range(1500):
        for contract in CODES:
            if chance.random() < 0.4:
                price = 4800.0 + k % 50
                rows.append([contract, START + timedelta(minutes=7 * k), price, price + 1, price - 1, price, 1.0 + k])
    rows.sort(key=lambda row: (row[1], row[0]) if order in ("time", "falling") else (row[0], row[1]))
    if order == "falling":
        rows.reverse()
    for _ in range(40):  # the same row again, elsewhere, and with another price
        again = list(chance.choice(rows))
        rows.insert(chance.randrange(len(rows)), again)
        other = list(chance.choice(rows))
        other[5] += 0.5
        rows.insert(chance.randrange(len(rows)), other)
        chance.choice(rows)[6] = -1.0
    if order == "none":
        chance.shuffle(rows)
    columns = ("contract", "time", "open", "high", "low", "close", "volume")
    return pl.DataFrame(rows, columns, orient="row").with_columns(pl.col("contract").cast(pl.Int32), root=pl.lit("ES"))


def written(folder, frame, layout):
    folder.mkdir()
    if layout == "parquet":
        frame.write_parquet(folder / "all.parquet", row_group_size=100)
        return folder / "all.parquet"
    codes = pl.col("contract").replace_strict(CODES, return_dtype=pl.String).alias("symbol")
    stamp = pl.col("time").dt.strftime("%Y-%m-%d %H:%M").alias("date")
    frame.select(codes, stamp, "open", "high", "low", "close", "volume").write_csv(folder / "ES.csv")
    return folder / "ES.csv"


def store_of(folder, path):
    """Everything that an import of a file leaves, but for the moments and ids of the import."""
    archive = open_archive(folder, create=True)
    (archive.path / "vendors.toml").write_text(SECTION)
    [report] = import_paths(archive, [path])
    assert not report.error
    rows = archive.read("contract_bars").drop("known").sort(TABLES["contract_bars"].key)
    bad = archive.read("quarantine").drop("import_id").sort("line", "rule")
    if path.suffix == ".parquet":  # which shows the values of a row that comes again only where it sees both
        bad = bad.drop("raw", "id")
    told = (report.rows_read, report.accepted, report.warned, report.quarantined, report.reasons)
    return rows, bad, archive.read("revisions").height, told


@pytest.mark.parametrize("layout", ["parquet", "csv"])
@pytest.mark.parametrize("order", ["time", "contract", "falling", "none"])
def test_a_file_in_pieces_leaves_what_it_leaves_when_it_is_read_whole(tmp_path, monkeypatch, layout, order):
    path = written(tmp_path / "in", made(7, order), layout)
    rows, bad, revisions, told = store_of(tmp_path / "whole", path)
    assert rows.height > 1000 and bad.height > 40 and told[3] == bad.height and "repeated" in told[4]
    monkeypatch.setattr(pieces, "ROWS", 250)
    monkeypatch.setattr(pieces, "LARGE", 4096)
    monkeypatch.setattr(pieces, "PIECE", 10_000)
    assert len(list(pieces.opened(path).pieces())) > 1
    found = store_of(tmp_path / "pieces", path)
    if order == "none":  # of a few rows at random the length of the bars, and so the source, cannot be told
        (rows, bad), found = _nameless(rows, bad), (*_nameless(*found[:2]), *found[2:])
    assert found[0].equals(rows) and found[1].equals(bad)
    assert found[2:] == (revisions, told)


def _nameless(rows, bad):
    return rows.drop("source"), bad.drop("vendor")


def test_rows_that_wait_on_disk_are_found_again(tmp_path, monkeypatch):
    path = written(tmp_path / "in", made(3, "none"), "parquet")
    whole = store_of(tmp_path / "whole", path)
    monkeypatch.setattr(pieces, "ROWS", 900)
    monkeypatch.setattr("store.intake.HELD", 500)
    found = store_of(tmp_path / "pieces", path)
    for one, other in zip(_nameless(*found[:2]), _nameless(*whole[:2]), strict=True):
        assert one.equals(other)
    assert found[3] == whole[3]


def test_a_piece_with_few_rows_of_a_market_does_not_make_a_source_of_its_own(tmp_path, monkeypatch):
    minutes = [START + timedelta(minutes=k) for k in range(400)]
    few = pl.DataFrame({"root": "CL", "contract": 202402, "time": [START, START + timedelta(minutes=9)], "close": 70.0})
    many = pl.DataFrame({"root": "CL", "contract": 202403, "time": minutes, "close": 71.0})
    first = pl.DataFrame({"root": "ES", "contract": 202403, "time": minutes[:398], "close": 4800.0})
    path = tmp_path / "all.parquet"
    pl.concat([first, few, many]).write_parquet(path)
    monkeypatch.setattr(pieces, "ROWS", 400)
    archive = open_archive(tmp_path / "store", create=True)
    [report] = import_paths(archive, [path])
    assert report.accepted == 800
    assert {s.labels["source"] for s in archive.files("contract_bars")} == {"parquet-minute"}
    assert archive.read("contract_bars", root="CL").height == 402


def test_a_text_is_cut_at_line_ends_and_keeps_its_line_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 100)
    monkeypatch.setattr(pieces, "PIECE", 100)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\r\n" + b"".join(b"%d,7\r\n" % k for k in range(100)))
    parts = [piece.parts[0] for piece in pieces.opened(path).pieces()]
    assert b"".join(part.data for part in parts) == path.read_bytes()
    rows = pl.concat([raw.table([part], ["a"]) for part in parts])
    assert rows["line"].to_list() == list(range(2, 102)) and rows["a"].to_list() == [str(k) for k in range(100)]


def test_a_text_of_one_endless_line_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 100)
    monkeypatch.setattr(pieces, "PIECE", 100)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n" + b"1" * 1000)
    with pytest.raises(raw.Unreadable, match=r"x\.csv: line 1: no line end"):
        list(pieces.opened(path).pieces())


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 100)
    monkeypatch.setattr(pieces, "PIECE", 100)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n" * 100)
    each = pieces.opened(path).pieces()
    with path.open("ab") as file:
        file.write(b"1,2\n")
    with pytest.raises(raw.Unreadable, match="changed while it was read"):
        list(each)


def test_small_packed_and_missing_files_and_those_that_are_no_table_have_no_pieces(tmp_path, monkeypatch):
    (tmp_path / "small.csv").write_bytes(b"a,b\n")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "small.parquet")
    (tmp_path / "torn.parquet").write_bytes(columnar.MARK + b"x" * 1000)
    monkeypatch.setattr(pieces, "LARGE", 10)
    (tmp_path / "x.gz").write_bytes(raw.GZIP + b"\n" * 100)
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04" + b"\n" * 100)
    os.mkfifo(tmp_path / "pipe.csv")
    names = ("small.csv", "small.parquet", "torn.parquet", "x.gz", "x.csv", "none.csv", ".", "pipe.csv")
    assert [pieces.opened(tmp_path / name) for name in names] == [None] * len(names)


def test_a_large_file_of_a_reader_that_cannot_read_pieces_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 100)
    path = tmp_path / "NQZ08.txt"
    path.write_text("".join(f"2008-09-15 09:{k:02}:00,1700,1701,1699,1700,5\n" for k in range(60)))
    archive = open_archive(tmp_path / "store", create=True)
    [report] = import_paths(archive, [path])
    assert (report.vendor, report.accepted) == ("firstrate", 60)


def test_the_source_of_the_most_rows_counts_for_a_market():
    seen = pieces.Seen()
    seen.counts = {("v-minute", "ES"): 9, ("v", "ES"): 1, ("v-5-minute", "ES"): 2, ("v-hour", "CL"): 3, ("w", "ES"): 1}
    assert seen.alike() == {("v", "ES"): "v-minute", ("v-5-minute", "ES"): "v-minute"}


KEEP = """
import sys, polars as pl
from store import pieces, system
text = "a line of text that is too long to stand in a view of its own"
rows = pl.DataFrame({"raw": [f"{k} {text}" for k in range(200_000)]})
take = pieces.alone if sys.argv[1] == "alone" else lambda frame: frame
kept = [take(rows.select(pl.col("raw") + str(k)).tail(2)) for k in range(40)]
assert kept[-1]["raw"].to_list() == [f"{k} {text}39" for k in (199_998, 199_999)]
print(system.peak_memory())
"""


@pytest.mark.service
def test_a_few_rows_taken_out_do_not_keep_the_text_of_all():
    """Of 40 pieces of 16 MB each; in a process of its own, whose peak is its own."""
    run = lambda how: int(subprocess.run([sys.executable, "-c", KEEP, how], cwd=REPO, **WORDS).stdout)  # noqa: E731
    assert run("alone") + 300e6 < run("views")
