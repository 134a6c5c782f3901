"""Repair: what is missing or damaged comes from the backup, nothing else is touched, and what it lacks is told."""

import os
import random
import shutil

import pytest

from store import open_archive, tags
from store.backup import backup
from store.restore import repair
from store.sealed import Damaged
from store.segments import Refused
from store.verify import verify
from tests.backups import drop, files, flip, made, put, rewrite, run, same
from tests.s3_server import cloud, service

pytestmark = pytest.mark.folder
__all__ = ["cloud", "service"]  # fixtures


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """The disk is not waited for: no power is cut here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def store(tmp_path):
    """A store; its backup is in `tmp_path / "copy"`, a copy that nobody touches in `tmp_path / "before"`."""
    archive = made(tmp_path)
    drop(archive, 5)
    backup(archive, tmp_path / "copy")
    shutil.copytree(archive.path, tmp_path / "before")
    return archive


def name_of(store, path):
    return path.relative_to(store.path).as_posix()


def content(store):
    """Name -> (bytes, inode) of all files but those that were set aside."""
    found = [path for path in files(store.path) if not path.name.startswith(".tmp-")]
    return {name_of(store, path): (path.read_bytes(), path.stat().st_ino) for path in found}


def test_a_whole_store_is_not_touched(store, tmp_path):
    before = content(store)
    assert repair(tmp_path / "copy", store.path) == {"store": str(store.path), "snapshot": 6, "mended": [], "left": []}
    assert content(store) == before


def test_whatever_is_damaged_cut_or_lost_is_as_it_was_and_nothing_else_is_touched(
    store, tmp_path, flips, record_property
):
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance = random.Random(seed)
    parts = [path for part in ("data", "snapshots", "runs", "tags") for path in files(store.path / part)]
    for trial in range(flips):
        before, damaged = content(store), chance.sample(parts, 1 + trial % 4)
        for path in damaged:
            kind = chance.randrange(2 if path.parent.name == "tags" or "dropped-" in path.name else 3)
            if path.name == "head":  # a hint: one that cannot be read is none
                rewrite(path, b"6 " + b"0" * 64 + b"\n")
            elif kind == 2:
                path.unlink()
            else:
                flip(path, chance) if kind else rewrite(path, path.read_bytes()[:-1])
        hurt = {name_of(store, path) for path in damaged}
        if {"snapshots/head", "snapshots/0000000006.json"} <= hurt:
            assert repair(tmp_path / "copy", store.path)["left"][0].endswith("; the backup lacks it as it was")
            rewrite(store.path / "snapshots" / "head", before["snapshots/head"][0])  # one of the two has to tell
            repair(tmp_path / "copy", store.path)
            continue
        bad = content(store)
        found = repair(tmp_path / "copy", store.path)
        after = content(store)
        ledgers = {name for name in hurt if "dropped-" in name}
        assert found["left"] == [] and set(found["mended"]) == hurt, (seed, trial)
        assert verify(store)["problems"] == [], (seed, trial)
        assert {name: before[name][0] for name in before.keys() - ledgers} == {
            name: after[name][0] for name in before.keys() - ledgers
        }, (seed, trial)
        assert {name: one for name, one in after.items() if name in bad.keys() - hurt} == {
            name: one for name, one in bad.items() if name not in hurt
        }
        parts = [path for path in parts if path.exists()] + [p for p in files(store.path / "snapshots") if
                 p not in parts and not p.name.startswith(".tmp-")]  # fmt: skip
    assert open_archive(store.path).history() == open_archive(tmp_path / "before").history()


def test_what_was_damaged_is_set_aside_and_not_lost(store, tmp_path):
    path = files(store.path / "data")[0]
    flip(path, random.Random(1))
    bad = path.read_bytes()
    assert repair(tmp_path / "copy", store.path)["mended"] == [name_of(store, path)]
    aside = [one for one in files(store.path / "data") if one.name.startswith(".tmp-")]
    assert [one.read_bytes() for one in aside] == [bad]


def test_a_lost_ledger_is_written_anew(store, tmp_path):
    [ledger] = (store.path / "snapshots").glob("dropped-*.json")
    ledger.unlink()
    assert any("0000000005.json is missing" in problem for problem in verify(store)["problems"])
    [anew] = repair(tmp_path / "copy", store.path)["mended"]
    assert anew.startswith("snapshots/dropped-") and same(tmp_path / "before", store.path)
    assert verify(store)["problems"] == []


def test_what_the_backup_lacks_or_holds_damaged_is_told_and_left_as_it_is(store, tmp_path):
    new = store.path / put(store, 7).files[-1].path
    old = files(store.path / "data")[0]
    old = old if old != new else files(store.path / "data")[1]
    run(store, "cc33", 7)
    table = store.path / "runs" / "cc33" / "equity.parquet"
    for path in (new, old, table):
        flip(path, random.Random(2))
    flip(tmp_path / "copy" / name_of(store, old), random.Random(3))
    before = content(store)
    found = repair(tmp_path / "copy", store.path)
    assert content(store) == before and found["mended"] == [] and found["snapshot"] == 7
    told = {problem.split()[0]: problem for problem in found["left"]}
    assert told.keys() == {name_of(store, path) for path in (new, old, table)}
    assert told[name_of(store, new)].endswith("is missing") and "in the backup" in told[name_of(store, old)]
    assert told[name_of(store, table)].endswith("; the backup lacks it")
    assert not any("restore it from a backup" in problem for problem in found["left"])


def test_lost_newest_snapshots_come_back_and_what_was_committed_since_stays(store, tmp_path):
    (store.path / "snapshots" / "0000000006.json").unlink()
    with pytest.raises(Damaged, match="is missing, though snapshots/head names it"):
        open_archive(store.path).head()
    assert repair(tmp_path / "copy", store.path)["mended"] == ["snapshots/0000000006.json"]
    assert same(tmp_path / "before", store.path)
    put(store, 7)
    rewrite(store.path / "snapshots" / "0000000003.json", b"")
    assert repair(tmp_path / "copy", store.path)["snapshot"] == 7
    assert verify(store)["problems"] == []


def test_a_backup_of_another_store_or_of_another_past_gives_nothing(store, tmp_path):
    other = open_archive(tmp_path / "other", create=True)
    put(other, 1)
    backup(other, tmp_path / "others")
    flip(store.path / "snapshots" / "0000000001.json", random.Random(1))
    with pytest.raises(Refused, match=r"is not known to be the backup of .*: they share no snapshot"):
        repair(tmp_path / "others", store.path)
    repair(tmp_path / "copy", store.path)
    fork = open_archive(shutil.copytree(tmp_path / "before", tmp_path / "fork"))
    for archive, numbers in ((store, (7, 8)), (fork, (17, 18))):
        for number in numbers:
            put(archive, number)
    backup(store, tmp_path / "copy")
    (fork.path / "snapshots" / "0000000008.json").unlink()
    found = repair(tmp_path / "copy", fork.path)
    assert found["mended"] == [] and found["left"] == [
        "snapshots/0000000008.json is missing, though snapshots/head names it; the backup lacks it as it was",
        *found["left"][1:],
    ]
    with pytest.raises(Refused, match="there is no store in"):
        repair(tmp_path / "copy", tmp_path / "none")
    with pytest.raises(Refused, match="there is no backup in"):
        repair(tmp_path / "none", store.path)
    with pytest.raises(Refused, match="are one place"):
        repair(store.path, store.path)


@pytest.mark.service
def test_a_store_in_a_bucket_is_mended_too(cloud, tmp_path):
    folder = made(tmp_path)
    backup(folder, tmp_path / "copy")
    there = f"{cloud}/store"
    from store.restore import restore

    restore(tmp_path / "copy", there)
    archive = open_archive(there)
    for name in (archive.head().files[0].path, "snapshots/0000000002.json", "tags/paper.json"):
        content = archive.place.read(name)
        archive.place.hint(name, content[:-1] + b"x")
    found = repair(tmp_path / "copy", there)
    assert len(found["mended"]) == 3 and found["left"] == []
    assert verify(open_archive(there))["problems"] == [] and tags.number_of(open_archive(there), "paper") == 3
