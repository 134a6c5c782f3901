"""The verb sql: a question can always be ended, an answer may be large, and a file is whole or not there."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial

import polars as pl
import pytest

from app import question
from tests.conftest import REPO
from tests.faults import fill, small_disk

pytestmark = pytest.mark.service
DEAF = "select sum(levenshtein(repeat('a', 200000), repeat('b', 200000 + range))) from range(9)"  # hears no interrupt


@pytest.fixture
def at(built):
    """Words that name the store."""
    return ("--store", built)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_answer_is_a_table_a_document_or_a_file(call, document, at, tmp_path):
    sql = "select root, count(*) as n from contract_bars where root = 'ZC' group by root"
    [row] = document("sql", sql, *at)
    assert row["root"] == "ZC" and row["n"] > 100
    assert call("sql", sql, *at).out.split()[:2] == ["root", "n"]
    assert document("sql", sql, "--out", tmp_path / "a.csv", *at) == {"rows": 1, "file": str(tmp_path / "a.csv")}
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == [["root", "n"], ["ZC", str(row["n"])]]
    assert left(tmp_path) == ["a.csv"]


def test_values_of_every_kind_come_through_as_they_are(document, at):
    sql = "select 1.50::decimal(5, 2) a, time '10:00' b, null c, [date '2024-01-01', null] d, 'nan'::double e, 7"
    assert document("sql", sql, *at) == [
        {"a": 1.5, "b": "10:00:00", "c": None, "d": ["2024-01-01", None], "e": None, "7": 7}
    ]


def test_sums_are_numbers_and_a_long_cell_is_cut_on_a_terminal_only(call, document, at):
    sql = "select sum(accepted) as n, sum(accepted) + 0.5 as half, repeat('x', 100000) as long from imports"
    [row] = document("sql", sql, *at)
    assert isinstance(row["n"], int) and row["half"] == row["n"] + 0.5 and len(row["long"]) == 100_000
    shown = call("sql", sql, *at).out
    assert f"{'x' * 50}" in shown and shown.count("x") == 200


def test_a_file_among_those_of_the_store_is_never_written(call, store):
    facts = store / "contracts.csv"
    facts.write_text("mine")
    for file in (facts, next((store / "data" / "fx").glob("*.parquet")), store / "new.csv"):
        before = file.read_bytes() if file.exists() else None
        told = call("sql", "select 1", "--out", file, "--store", store, code=2).err
        assert "lies inside the store" in told
        assert (file.read_bytes() if file.exists() else None) == before


def test_rows_are_cut_on_a_terminal_only(call, document, at, tmp_path):
    sql = "select range as n from range(10001)"
    assert f"The first 50 of more than {question.ROWS:,} rows; --out FILE has all." in call("sql", sql, *at).out
    assert "The first 50 of 51 rows" in call("sql", "select * from range(51)", *at).out
    assert [row["n"] for row in document("sql", sql, *at)] == list(range(10001))
    file = tmp_path / "a.parquet"
    file.write_bytes(b"what is there is replaced")
    assert "10,001 rows written to" in call("sql", sql, "--out", file, *at).out
    assert pl.read_parquet(file)["n"].to_list() == list(range(10001))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["select no_such from fx"], 1, '"no_such" not found'),
        (["select 1", "--snapshot", "no-tag"], 1, "no-tag"),
        (["select 1", "--out", "a.xlsx"], 2, "must end in .csv or .parquet"),
        (["select 1", "--out", "nowhere/a.csv"], 2, "there is no folder"),
        (["select 1", "--store", "nowhere"], 1, "there is no store in"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence_and_leaves_nothing(call, at, tmp_path, monkeypatch, words, code, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = call("sql", *([] if "--store" in words else at), *words, code=code)
    assert told in found.err and found.err.count("\n") == 1 and found.out == ""
    assert left(tmp_path) == []


def test_a_question_that_hears_no_interrupt_ends_at_its_time(call, at, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "Limits", partial(question.Limits, seconds=0.3))
    monkeypatch.setattr(question, "GRACE", 0.3)
    began = time.monotonic()
    found = call("sql", DEAF, "--out", tmp_path / "a.csv", *at, code=1)
    assert "the query was stopped after" in found.err and time.monotonic() - began < 30
    assert left(tmp_path) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_ends_with_its_process_whatever_it_is_at(at, tmp_path, number, code):
    command = [sys.executable, "-m", "app.cli", "sql", DEAF, "--out", tmp_path / "a.csv", *map(str, at)]
    process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True)
    [child] = until(lambda: children(process.pid))
    until(lambda: busy(child) > 2.0)  # past its start, at the function
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == code and said.count("\n") == (code == 130)
    until(lambda: not os.path.exists(f"/proc/{child}"))
    assert left(tmp_path) == []


def until(found, seconds=60):
    """What a function finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < end
        os.sched_yield()
    return what


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def busy(pid):
    """Seconds that a process has run."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_is_one_sentence_and_what_was_there_stays(call, at, tmp_path, kind):
    with small_disk(tmp_path / "disk") as disk:
        file = disk / f"a.{kind}"
        file.write_text("before")
        fill(disk, 100_000)
        found = call("sql", "select md5(range::varchar) from range(100000)", "--out", file, *at, code=1)
        assert found.err == f"frontmonth: the disk is full: {file} could not be written; nothing was changed\n"
        assert left(disk) == [file.name, "filler"] and file.read_text() == "before"
