"""Restore: into what, as of when, and what a killed one leaves."""

import hashlib
import os
import random
import subprocess
import sys

import pytest

from store import open_archive, system, tags
from store.backup import backup, check, restore
from store.manifest import Damaged
from store.segments import Refused
from tests.backups import ended, files, flip, made, put, rewrite, run, same
from tests.conftest import REPO
from tests.store_days import Clock

pytestmark = pytest.mark.folder


@pytest.fixture
def store(tmp_path):
    """A store and its backup in `tmp_path / "copy"`, made when it had 6 snapshots and when it had 9."""
    archive = made(tmp_path)
    backup(archive, tmp_path / "copy")
    for number in (7, 8, 9):
        put(archive, number)
    run(archive, "cc33", 8)
    tags.tag(archive, "later", 9)
    backup(archive, tmp_path / "copy")
    return archive


# ---- into what


@pytest.mark.parametrize("what", ["file", "hidden file", "folder", "store"])
def test_nothing_is_overwritten(store, tmp_path, what):
    goal = tmp_path / "goal"
    if what == "store":
        put(open_archive(goal, create=True), 1)
    else:
        goal.mkdir()
        (goal / "x").mkdir() if what == "folder" else (goal / (".x" if "hidden" in what else "x")).write_text("mine")
    before = files(goal)
    with pytest.raises(Refused, match="goal is not empty: a backup is restored into a new folder"):
        restore(tmp_path / "copy", goal)
    assert files(goal) == before


def test_an_empty_folder_is_filled_and_folders_above_are_made(store, tmp_path):
    (tmp_path / "goal").mkdir()
    for goal in ("goal", "some/where/new"):
        restore(tmp_path / "copy", tmp_path / goal)
        assert same(store.path, tmp_path / goal)


def test_store_and_backup_lie_apart_and_a_folder_without_a_backup_is_told(store, tmp_path):
    for target, goal, said in [
        ("copy", "copy/again", "must lie apart"),
        ("none", "again", "there is no backup in .*none"),
        ("store", "again", "there is no backup in .*store"),
    ]:
        with pytest.raises(Refused, match=said):
            restore(tmp_path / target, tmp_path / goal)
        assert not (tmp_path / goal).exists()


@pytest.mark.parametrize("where", ["store/again", "store/data/again", "other/some/again", "others/again"])
def test_nothing_is_made_inside_a_store_or_a_backup(store, tmp_path, where):
    other = open_archive(tmp_path / "other", create=True)
    backup(other, tmp_path / "others")
    before = files(tmp_path)
    with pytest.raises(Refused, match="which is a store or a backup: name a folder outside of it"):
        restore(tmp_path / "copy", tmp_path / where)
    assert files(tmp_path) == before


def test_where_the_store_is_the_root_of_a_disk_its_snapshots_come_last(store, tmp_path, monkeypatch):
    goal = tmp_path / "goal"
    goal.mkdir()
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == goal)
    renamed, rename = [], os.rename
    monkeypatch.setattr(os, "rename", lambda a, b: (renamed.append(os.path.basename(b)), rename(a, b)))
    restore(tmp_path / "copy", goal)
    assert same(store.path, goal) and renamed[-1] == "snapshots"
    assert sorted(path.name for path in goal.iterdir()) == [
        "contracts.csv", "data", "runs", "snapshots", "strategies", "tags"]  # fmt: skip


def test_the_user_can_edit_what_is_his_and_nobody_a_segment(store, tmp_path):
    restore(tmp_path / "copy", tmp_path / "again")
    assert (tmp_path / "again" / "contracts.csv").stat().st_mode & 0o200
    assert not files(tmp_path / "again" / "data")[0].stat().st_mode & 0o222


@pytest.mark.service
def test_what_a_killed_restore_left_is_removed_by_the_next_one_and_that_of_a_living_one_stays(store, tmp_path):
    code = f"""if True:
        import os
        from store import restore
        restore.Ledger = None
        write = restore._Making._write

        def killed(self, name, content):
            write(self, name, content)
            if name == "snapshots/0000000003.json":
                os.kill(os.getpid(), 9)

        restore._Making._write = killed
        restore.restore({str(tmp_path / "copy")!r}, {str(tmp_path / "again")!r})
    """
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == -9
    [left] = tmp_path.glob(".again.restoring-*")
    assert not (tmp_path / "again").exists() and files(left)
    living = tmp_path / f".again.restoring-{os.getppid()}-{system.process_started(os.getppid())}"
    living.mkdir()
    restore(tmp_path / "copy", tmp_path / "again")
    assert same(store.path, tmp_path / "again")
    assert not left.exists() and living.exists()


# ---- as of when


def test_as_of_a_backup_it_is_what_that_backup_was(store, tmp_path):
    (store.path / "contracts.csv").write_text("changed since\n")
    backup(store, tmp_path / "copy")
    found = restore(tmp_path / "copy", tmp_path / "six", as_of=6)
    six = open_archive(tmp_path / "six")
    assert (found["snapshot"], found["hash"]) == (6, store.snapshot(6).hash)
    assert six.history() == store.history()[:6] and six.verify() == []
    assert six.run_ids() == ["aa11", "bb22"] and [one["name"] for one in tags.tags(six)] == ["paper"]
    assert (six.path / "contracts.csv").read_text().startswith("root,")
    assert put(six, 10).number == 7


def test_as_of_a_snapshot_between_or_before_backups_nothing_is_newer_than_it(store, tmp_path):
    for number, ids, names in [(8, ["aa11", "bb22"], ["paper"]), (4, ["aa11"], ["paper"]), (1, [], [])]:
        restore(tmp_path / "copy", tmp_path / str(number), as_of=number)
        then = open_archive(tmp_path / str(number))
        assert then.head() == store.snapshot(number) and then.verify() == []
        assert then.read("fx").equals(store.read("fx", number))
        assert (then.run_ids(), [one["name"] for one in tags.tags(then)]) == (ids, names)
    for number in (0, 10, -1):
        with pytest.raises(Refused, match=f"has no snapshot {number}: it has 1 to 9"):
            restore(tmp_path / "copy", tmp_path / "none", as_of=number)


def test_as_of_a_tag_or_a_day_is_as_of_its_snapshot(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    with Clock() as clock:
        for number in (1, 2, 3, 4):
            clock.at(f"2024-03-0{2 * number}T12:00:00")
            put(archive, number)
        tags.tag(archive, "paper", 1)
        tags.tag(archive, "paper", 3, move=True)
        backup(archive, tmp_path / "copy")
    means = {"paper": 3, "2024-03-04": 2, "2024-03-05": 2, "2030-01-01": 4, "1": 1, "head": 4}
    for text, number in means.items():
        assert restore(tmp_path / "copy", tmp_path / text, as_of=text)["hash"] == archive.snapshot(number).hash
    for text, said in [
        ("papers", "has no snapshot or tag 'papers': did you mean paper"),
        ("2024-03-01", "the store knew nothing on 2024-03-01: its first snapshot is of 2024-03-02"),
        ("2024-02-30", "is no day"),
        ("", "has no snapshot or tag ''"),
    ]:
        with pytest.raises(Refused, match=said):
            restore(tmp_path / "copy", tmp_path / "none", as_of=text)


@pytest.mark.parametrize("number", [4, 6, 7])
def test_as_of_an_older_snapshot_damage_of_newer_ones_does_not_matter_but_its_own_does(store, tmp_path, number):
    flip(tmp_path / "copy" / "snapshots" / "0000000009.json", random.Random(1))
    restore(tmp_path / "copy", tmp_path / "then", as_of=number)
    assert open_archive(tmp_path / "then").history() == store.history()[:number]
    manifest = tmp_path / "copy" / "snapshots" / f"{number:010d}.json"
    content = manifest.read_bytes()
    for change in (lambda: flip(manifest, random.Random(2)), manifest.unlink):
        change()
        with pytest.raises(Damaged, match=manifest.name):
            restore(tmp_path / "copy", tmp_path / "again", as_of=number)
        manifest.unlink(missing_ok=True)
        manifest.write_bytes(content)


# ---- check


def test_check_names_each_bad_file_of_every_backup_and_what_to_do(store, tmp_path):
    assert check(tmp_path / "copy") == []
    (store.path / "contracts.csv").write_text("changed since\n")
    backup(store, tmp_path / "copy")
    bad = [files(tmp_path / "copy" / "data")[0], tmp_path / "copy" / "snapshots" / "0000000002.json"]
    first = hashlib.sha256(b"root,field,value,valid_from,source\n").hexdigest()  # only of the earlier backups
    bad += [tmp_path / "copy" / "files" / first, tmp_path / "copy" / "backups" / "0000000001.json"]
    for path in bad[:2]:
        flip(path, random.Random(3))
    bad[2].unlink()
    assert {problem.split()[0] for problem in check(tmp_path / "copy")} == {
        str(path.relative_to(tmp_path / "copy")) for path in bad[:3]
    }
    flip(bad[3], random.Random(4))
    found = check(tmp_path / "copy")
    assert {str(path.relative_to(tmp_path / "copy")) for path in (bad[0], bad[1], bad[3])} <= {
        problem.split()[0] for problem in found
    }
    assert all("remove it" in problem for problem in found)


def test_doing_what_check_says_mends_the_backup(store, tmp_path):
    bad = [files(tmp_path / "copy" / part)[-1] for part in ("data", "files", "snapshots")]
    for path in bad:
        rewrite(path, path.read_bytes()[:-1] + b"x")
    for problem in check(tmp_path / "copy"):
        (tmp_path / "copy" / problem.split()[0]).unlink()
    backup(store, tmp_path / "copy")
    assert check(tmp_path / "copy") == [] and ended(tmp_path / "copy", tmp_path / "again", store.path) == ""
