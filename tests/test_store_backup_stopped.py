"""Backup that is stopped, by a full disk or a kill at any call, or made while others commit and drop snapshots (T7)."""

import contextlib
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import durable, open_archive, retention
from store.backup import _Copy, backup, check, restore
from store.durable import DiskFull
from store.places import Folder
from store.segments import Refused
from tests.backups import drop, ended, made, put
from tests.conftest import REPO
from tests.killing import without_links

PROVES = (9, 10)  # guarantees

pytestmark = pytest.mark.folder


@pytest.fixture
def store(tmp_path):
    """A store of its own; `tmp_path / "copy"` is free."""
    return made(tmp_path)


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """The disk is not waited for: no power is cut here, the order of flushes is a test of its own (T4)."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


# ---- stopped


def test_a_full_disk_is_one_sentence_and_the_next_backup_goes_on(store, tmp_path, monkeypatch):
    write, left = os.write, [0]

    def full(handle, data):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    for stage in range(0, 17, 4):
        left[0] = stage
        target = tmp_path / f"copy{stage}"
        with pytest.raises(DiskFull, match=r"^the disk is full: [^\n]*$"):
            backup(store, target)
        left[0] = 1000
        with pytest.raises(Refused, match=r"never ended: repeat|there is no backup"):
            restore(target, tmp_path / "again")
        backup(store, target)
        left[0] = stage
        with pytest.raises(DiskFull, match=r"^the disk is full: [^\n]*$"):
            restore(target, tmp_path / "again")
        left[0] = 1000
        assert ended(target, tmp_path / "again", store.path) == ""


class Killed(BaseException):
    """Stands for the end of the process."""


CALLS = ("open", "write", "fsync", "link", "unlink", "replace")


def killed(work, call, nth, links, monkeypatch):
    """Do the work, in which the process ends at the nth call; whether it did. From then on no call does anything."""
    count = dict.fromkeys(CALLS, 0)

    def at(name, original):
        def made(*args, **named):
            if name == "link" and not links:
                raise PermissionError(errno.EPERM, "no hard links here")
            count[name] += 1
            if count[call] >= nth:
                if name == "write" == call and count[call] == nth:
                    original(args[0], bytes(args[1])[:7])
                raise Killed
            return original(*args, **named)

        return made

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, at(name, getattr(os, name)))
        try:
            work()
        except Killed:
            return True
    return False


@pytest.mark.parametrize(
    ("call", "links"), [*((call, True) for call in CALLS), *((call, False) for call in ("open", "write", "fsync"))]
)
def test_killed_at_any_call_it_is_the_earlier_backup_and_the_next_one_goes_on(
    store, tmp_path, monkeypatch, call, links
):
    target = tmp_path / "copy"
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    shutil.copytree(store.path, tmp_path / "before")
    backup(store, target)
    put(store, 7)
    shutil.copytree(target, tmp_path / "aside")
    nth = 1
    while killed(lambda: backup(store, target), call, nth, links, monkeypatch):
        assert ended(target, tmp_path / "again", tmp_path / "before", store.path) == ""
        backup(store, target)
        assert ended(target, tmp_path / "again", store.path) == ""
        shutil.rmtree(target)
        shutil.copytree(tmp_path / "aside", target)
        nth += 1
    assert nth > 1


def test_a_first_backup_that_was_killed_goes_on_too(store, tmp_path, monkeypatch):
    nth, target = 1, tmp_path / "copy"
    while killed(lambda: backup(store, target), "open", nth, True, monkeypatch):
        said = ended(target, tmp_path / "again", store.path)
        assert not said or "there is no backup" in said or "never ended" in said
        backup(store, target)
        assert check(target) == [] and ended(target, tmp_path / "again", store.path) == ""
        shutil.rmtree(target)
        nth += 5
    assert nth > 20


def steps(target, monkeypatch):
    """A list that gets, from now on, each folder of the backup that is flushed, and each name that is given there."""
    found, sync, write = [], durable.sync_folder, Folder.write_once

    def flushed(folder):
        found.append(f"flush {Path(folder).relative_to(target).as_posix()}")
        sync(folder)

    def given(place, name, data):
        found.append(name)
        return write(place, name, data)

    monkeypatch.setattr(durable, "sync_folder", flushed)
    monkeypatch.setattr(Folder, "write_once", given)
    return found


def killed_before_it_flushes(store, target, nth, monkeypatch):
    """Make a backup that is ended at its nth flush; whether it was."""
    count = [0]

    def settle(place, names):
        count[0] += 1
        if count[0] >= nth:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "settle", settle)
        with contextlib.suppress(Killed):
            backup(store, target)
    return count[0] >= nth


@pytest.mark.parametrize("known", [False, True])
def test_a_backup_that_goes_on_flushes_what_the_one_before_may_not_have_flushed(store, tmp_path, monkeypatch, known):
    nth = 1
    while True:
        target = tmp_path / f"copy{nth}"
        if known:
            backup(store, target)
            put(store, 6 + nth)
        if not killed_before_it_flushes(store, target, nth, monkeypatch):
            break
        with monkeypatch.context() as patch:
            made = steps(target, patch)
            backup(store, target)
        assert {"flush files", "flush data/fx", "flush data", "flush snapshots"} <= set(made[: listed(made)])
        assert made[-1] == "flush backups"
        manifests = [k for k, step in enumerate(made) if step.startswith("snapshots/")]
        assert not manifests or {"flush data/fx", "flush data"} <= set(made[: manifests[0]])
        steps_of_each = itertools.pairwise([*manifests, listed(made)])
        assert all("flush snapshots" in made[this:next_] for this, next_ in steps_of_each)
        nth += 1
    assert nth > 4


def listed(made):
    """Where a listing was written that is not empty; else where the one that was there was flushed."""
    written = [k for k, step in enumerate(made) if step.startswith("backups/") and step != "backups/0000000000.json"]
    return written[0] if written else len(made) - 1


# ---- while others work


@pytest.mark.parametrize("moment", [1, 3, 9])
def test_gc_in_the_middle_of_a_backup_does_no_harm(store, tmp_path, moment):
    steps = [0]

    def progress(done, total, name):
        steps[0] += 1
        if steps[0] == moment:
            for number in (1, 2, 5):
                drop(store, number)

    backup(store, tmp_path / "copy", progress)
    assert check(tmp_path / "copy") == []
    assert ended(tmp_path / "copy", tmp_path / "again", store.path) == ""


@pytest.mark.parametrize("moment", [1, 4, 8])
def test_commands_that_drop_snapshots_and_commit_meanwhile_do_no_harm(store, tmp_path, moment):
    steps, known, later = [0], {}, datetime.now(UTC) + timedelta(days=90)

    def progress(done, total, name):
        steps[0] += 1
        if steps[0] == moment:
            put(store, 7, remove=store.head().files)
            gone = retention.gc(store, timedelta(0), keep_days=0, dry_run=False, now=later)
            known.update(gone=gone["snapshots"], kept=gone["kept"])

    found = backup(store, tmp_path / "copy", progress)
    assert known["gone"], known
    assert check(tmp_path / "copy") == [] and found["snapshot"] in (6, 7)
    restore(tmp_path / "copy", tmp_path / "again")
    again = open_archive(tmp_path / "again")
    assert again.verify() == [] and again.head() == store.snapshot(found["snapshot"])
    assert again.read("fx").equals(store.read("fx", found["snapshot"]))


def test_what_is_dropped_once_it_was_copied_is_in_the_backup_which_is_whole(store, tmp_path, monkeypatch):
    shutil.copytree(store.path, tmp_path / "before")
    listed = _Copy._list

    def late(copy, chain, files):
        for number in (1, 2, 5):
            drop(store, number)
        listed(copy, chain, files)

    monkeypatch.setattr(_Copy, "_list", late)
    backup(store, tmp_path / "copy")
    assert check(tmp_path / "copy") == []
    assert ended(tmp_path / "copy", tmp_path / "again", tmp_path / "before") == ""
    monkeypatch.undo()
    backup(store, tmp_path / "copy")
    assert ended(tmp_path / "copy", tmp_path / "again", store.path) == ""


def test_what_gc_dropped_stays_in_the_backup_and_comes_back_as_of_then(store, tmp_path):
    backup(store, tmp_path / "copy")
    old = store.read("fx", 3)
    for number in (1, 2, 3, 5):
        drop(store, number)
    put(store, 7)
    found = backup(store, tmp_path / "copy")
    assert found["files_copied"] == 2
    assert check(tmp_path / "copy") == []
    assert ended(tmp_path / "copy", tmp_path / "again", store.path) == ""
    restore(tmp_path / "copy", tmp_path / "then", as_of=3)
    assert open_archive(tmp_path / "then").read("fx").equals(old) and open_archive(tmp_path / "then").verify() == []
    drop(store, 6)  # the newest one that the backup had
    assert backup(store, tmp_path / "copy")["snapshot"] == 7


@pytest.mark.service
def test_a_backup_while_two_writers_commit_is_a_valid_snapshot(tmp_path, record_property):
    path = tmp_path / "store"
    archive = open_archive(path, create=True)
    command = [sys.executable, "-m", "tests.killing", str(path)]
    writers = [
        subprocess.Popen([*command, str(seed), "1000000"], cwd=REPO, stdout=subprocess.PIPE, text=True)
        for seed in (1, 2)
    ]
    try:
        heads = [json.loads(writer.stdout.readline()) for writer in writers]
        for _ in range(4):
            heads.append(json.loads(writers[0].stdout.readline()))
            found = backup(archive, tmp_path / "copy")
            assert found["snapshot"] >= heads[-1]["number"]  # what was reported before it began is in it
            shutil.rmtree(tmp_path / "again", ignore_errors=True)
            restore(tmp_path / "copy", tmp_path / "again")
            again = open_archive(tmp_path / "again")
            assert again.verify() == [] and again.head() == archive.snapshot(found["snapshot"])
            for table in ("fx", "rates"):
                assert again.read(table).equals(archive.read(table, found["snapshot"]))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    record_property("snapshots", found["snapshot"])
    assert check(tmp_path / "copy") == []
