"""Verify: whatever is altered is named, each of n parts is read once, and what gc removes meanwhile is no damage."""

import hashlib
import json
import os
import random
import tracemalloc
from datetime import date

import polars as pl
import pytest

from store import open_archive, tags
from store.verify import verify
from tests.backups import drop, files, flip, made, put, rewrite, run

pytestmark = pytest.mark.folder


@pytest.fixture
def store(tmp_path):
    """A store of six snapshots, two runs and a tag."""
    return made(tmp_path)


def test_all_is_counted_and_nothing_is_wrong(store):
    told = []
    found = verify(store, progress=lambda done, total, name: told.append((done, total, name)))
    of = 6 + 6 + 2 * 2 + 1  # segments, manifests, two runs of two files, a tag
    tables = sum(path.stat().st_size for path in files(store.path / "runs") if path.suffix == ".parquet")
    segments = sum(path.stat().st_size for path in files(store.path / "data"))
    assert found == {
        "snapshot": 6, "hash": store.head().hash, "checked": of, "of": of, "bytes": segments + tables, "stray": 0,
        "problems": [],
    }  # fmt: skip
    assert [done for done, _, _ in told] == list(range(1, 9)) and {total for _, total, _ in told} == {8}
    assert {name for _, _, name in told} == {
        path.relative_to(store.path).as_posix() for path in files(store.path) if path.suffix == ".parquet"
    }


def test_every_file_altered_cut_or_lost_is_named_with_what_to_do(store, flips, record_property):
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance = random.Random(seed)
    parts = [path for part in ("data", "snapshots", "runs", "tags") for path in files(store.path / part)]
    for trial in range(flips):
        path = chance.choice([path for path in parts if path.name != "head"])
        name, content = path.relative_to(store.path).as_posix(), path.read_bytes()
        if trial % 3 == 0:
            flip(path, chance)
        elif trial % 3 == 1:
            rewrite(path, content[: chance.randrange(len(content))])
        else:
            path.unlink()
        problems = verify(store)["problems"]
        gone = trial % 3 == 2 and (path.name == "run.json" or name.startswith("tags/"))  # a run or a tag less
        assert gone or name in {problem.split()[0] for problem in problems}, (seed, trial, name)
        assert all("restore it from a backup" in problem for problem in problems), problems
        path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert verify(store)["problems"] == []


def test_of_a_bad_segment_it_is_told_what_it_holds(store):
    frame = pl.DataFrame({"contract": [202403, 202512], "day": [date(2023, 5, 1), date(2025, 6, 2)]})
    bars = store.write("contract_bars", frame, source="mine", root="ZC")
    margins = store.write("margins", pl.DataFrame({"root": ["ZC"]}), source="mine")
    store.commit([bars, margins])
    for segment in (bars, margins, store.head().files[-3]):
        flip(store.path / segment.path, random.Random(1))
    told = [problem.partition("; it holds ")[2] for problem in verify(store)["problems"]]
    assert sorted(told) == ["contract_bars of ZC from mine, 2023 to 2025", "fx from s6, 2024", "margins from mine"]


def test_a_tag_of_a_snapshot_that_is_not_there_is_told(store):
    path = store.path / "tags" / "paper.json"
    other = open_archive(store.path.parent / "other", create=True)
    put(other, 1)
    tags.tag(other, "paper")
    rewrite(path, (other.path / "tags" / "paper.json").read_bytes())
    [problem] = verify(store)["problems"]
    assert problem.startswith("tags/paper.json names snapshot 1, which the store does not hold as it was then")


def test_a_run_whose_snapshot_was_dropped_is_told(store):
    run(store, "cc33", 5)
    assert verify(store)["problems"] == []
    drop(store, 5)
    [problem] = verify(store)["problems"]
    assert problem.startswith("runs/cc33/run.json was made of snapshot 5, which was dropped: it cannot be made again")


def test_a_run_of_an_older_program_passes_unless_it_is_no_record(store):
    run(store, "old1", 1, old=True)
    assert verify(store)["problems"] == []
    rewrite(store.path / "runs" / "old1" / "run.json", b"[1, 2]")
    [problem] = verify(store)["problems"]
    assert problem.startswith("runs/old1/run.json is damaged: it is no record of a run; restore it from a backup, or")


def test_seven_nights_read_every_file_once(store):
    for number in range(7, 40):
        put(store, number)
    read, whole = [], verify(store)
    for night in range(1, 8):
        names = []
        found = verify(store, (night, 7), lambda done, total, name, names=names: names.append(name))
        assert found["of"] == whole["of"] and found["checked"] == whole["of"] - 41 + len(names)
        read += names
    tables = [path for path in files(store.path) if path.suffix == ".parquet"]
    assert sorted(read) == sorted(path.relative_to(store.path).as_posix() for path in tables)
    damaged = files(store.path / "data")[5]
    flip(damaged, random.Random(1))
    nights = [night for night in range(1, 8) if verify(store, (night, 7))["problems"]]
    assert len(nights) == 1


@pytest.mark.parametrize("part", [(0, 7), (8, 7), (1, 0)])
def test_a_part_that_is_none_is_refused(store, part):
    with pytest.raises(ValueError, match=f"part {part[0]} of {part[1]}: the first number"):
        verify(store, part)


def test_the_chain_is_read_in_every_part(store):
    path = store.path / "snapshots" / "0000000002.json"
    flip(path, random.Random(1))
    for night in range(1, 8):
        assert any("snapshots/0000000002.json" in problem for problem in verify(store, (night, 7))["problems"])


def test_files_that_no_snapshot_names_are_counted_and_are_no_problem(store):
    store.write("fx", store.read("fx"))
    (store.path / "data" / "fx" / ".tmp-1").write_bytes(b"x")
    found = verify(store)
    assert (found["stray"], found["problems"]) == (2, [])


def test_what_gc_removes_meanwhile_is_no_damage(store):
    def progress(done, total, name):
        if done == 1:
            drop(store, 1)
            drop(store, 2)
            store.drop_run("aa11")

    assert verify(store, progress=progress)["problems"] == []


def test_a_pipe_in_place_of_a_file_is_named_and_not_waited_for(store):
    path = files(store.path / "data")[0]
    path.unlink()
    os.mkfifo(path)
    [problem] = verify(store)["problems"]
    assert problem.startswith(path.relative_to(store.path).as_posix())


def test_memory_does_not_grow_with_the_bytes(store):
    folder = store.path / "runs" / "bb22"
    with open(folder / "equity.parquet", "wb") as file:
        file.truncate(100 << 20)
    digest = hashlib.sha256(bytes(100 << 20)).hexdigest()
    record = {"summary": {}, "files": {"equity.parquet": digest}}
    record["checksum"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    rewrite(folder / "run.json", json.dumps(record).encode())
    tracemalloc.start()
    found = verify(store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["problems"] == [] and found["bytes"] > 100 << 20 > 10 * peak
