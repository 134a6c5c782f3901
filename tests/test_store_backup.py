"""Backup: what is restored is equal, only what is new is copied, and what was altered is refused or harmless (T7)."""

import os
import random
import shutil
from datetime import date
from pathlib import Path

import pytest

from store import open_archive, tags
from store.backup import backup, check, restore
from store.manifest import Damaged
from store.places import place_of
from store.segments import Refused
from tests.backups import ended, files, flip, made, put, rewrite, run, same
from tests.s3_server import cloud, service

PROVES = (5, 9)  # guarantees

pytestmark = pytest.mark.folder
__all__ = ["cloud", "service"]  # fixtures


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """(store, backup), not to be changed; the store grew between two backups."""
    folder = tmp_path_factory.mktemp("ready")
    archive = made(folder)
    backup(archive, folder / "copy")
    put(archive, 7)
    run(archive, "cc33", 7)
    backup(archive, folder / "copy")
    return folder / "store", folder / "copy"


@pytest.fixture
def store(tmp_path):
    """A store of its own; `tmp_path / "copy"` is free."""
    return made(tmp_path)


@pytest.fixture
def copy(ready, tmp_path):
    """A backup to be altered."""
    return Path(shutil.copytree(ready[1], tmp_path / "copy"))


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """The disk is not waited for: no power is cut here, the order of flushes is a test of its own (T4)."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


# ---- equal


def test_a_restored_store_is_equal_by_hash_and_by_value_and_verifies(ready, tmp_path):
    found = restore(ready[1], tmp_path / "again")
    assert same(ready[0], tmp_path / "again")
    archive, head = open_archive(tmp_path / "again"), open_archive(ready[0]).head()
    assert (found["snapshot"], found["hash"], found["runs"]) == (7, head.hash, 3)
    assert archive.verify() == [] and tags.number_of(archive, "paper") == 3
    assert not (archive.path / "cache").exists()
    assert put(archive, 8).parent == head.hash


def test_runs_load_and_replay_and_the_next_import_goes_on(ran, tmp_path, document):
    store, run_id = ran
    target, again = tmp_path / "copy", tmp_path / "again"
    assert document("backup", target, "--store", store)["runs"] == 1
    document("restore", target, "--store", again)
    one, other = open_archive(store), open_archive(again)
    assert one.head() == other.head()
    for table in {segment.table for segment in one.head().files}:
        assert one.read(table).equals(other.read(table))
    assert (again / "portfolios" / "cross.toml").read_bytes() == (store / "portfolios" / "cross.toml").read_bytes()
    assert document("show", run_id, "--store", again) == document("show", run_id, "--store", store)
    document("replay", run_id, "--store", again)  # its exit code is 1 where a number differs
    document("import", store.parent / "files" / "prices", "--store", again)
    assert other.verify() == []


def test_a_store_of_an_older_program_is_backed_up_too(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    put(archive, 1)
    run(archive, "old1", 1, old=True)
    assert not (archive.path / "tags").exists()
    for _ in range(2):
        backup(archive, tmp_path / "copy")
    assert ended(tmp_path / "copy", tmp_path / "again", archive.path) == ""


def test_an_empty_store_has_a_backup_too(tmp_path):
    backup(open_archive(tmp_path / "store", create=True), tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "again")["snapshot"] == 0
    assert put(open_archive(tmp_path / "again"), 1).number == 1


# ---- only what is new


def test_the_second_backup_copies_only_what_is_new(store, tmp_path):
    target = tmp_path / "copy"
    first = backup(store, target)
    assert first["files_copied"] == 6 + 6 + 2 * 2 + 1 + 2  # segments, manifests, two runs, a tag, the user's
    assert first["bytes_copied"] == sum(path.stat().st_size for path in files(target) if path.parent.name != "backups")
    before = files(target)
    second = backup(store, target)
    assert (second["files_copied"], second["bytes_copied"], second["files_held"]) == (0, 0, 19)
    assert files(target) == before
    new = put(store, 7)
    (store.path / "contracts.csv").write_text("other\n")
    third = backup(store, target)
    manifest = (store.path / "snapshots" / "0000000007.json").stat().st_size
    assert third["bytes_copied"] == new.files[-1].bytes + manifest + len("other\n")
    assert len(set(files(target)) - set(before)) == third["files_copied"] + 1  # and the listing


def test_a_run_that_was_made_again_and_one_that_was_deleted_are_so_in_the_backup(store, tmp_path):
    backup(store, tmp_path / "copy")
    store.drop_run("aa11")
    store.drop_run("bb22")
    run(store, "bb22", 5)
    backup(store, tmp_path / "copy")
    assert ended(tmp_path / "copy", tmp_path / "again", store.path) == ""


def test_what_is_not_the_stores_is_told_and_links_are_not_followed(store, tmp_path):
    (tmp_path / "passwd").write_bytes(b"root:x:0:0")
    (store.path / "strategies" / "link.py").symlink_to(tmp_path / "passwd")
    (store.path / "portfolios").symlink_to(tmp_path)
    (store.path / "notes.docx").write_bytes(b"x")
    os.mkfifo(store.path / "strategies" / "pipe.py")
    found = backup(store, tmp_path / "copy")
    assert found["left_out"] == ["notes.docx", "portfolios", "strategies/link.py", "strategies/pipe.py"]
    assert all(b"root:x:0:0" not in path.read_bytes() for path in files(tmp_path / "copy"))


def test_a_file_of_the_backup_that_was_cut_or_lost_is_copied_again(ready, copy, tmp_path):
    lost, cut = files(copy / "data")[:2]
    lost.unlink()
    rewrite(cut, cut.read_bytes()[:-1])
    assert [problem.split()[0] for problem in check(copy)] == [str(path.relative_to(copy)) for path in (lost, cut)]
    assert backup(open_archive(ready[0]), copy)["files_copied"] == 2
    assert check(copy) == [] and ended(copy, tmp_path / "again", ready[0]) == ""


def rot(copy):
    """Change a byte of one file of each kind, at the same size, that a later backup vouches for; their names."""
    found = [files(copy / part)[1] for part in ("data", "files", "snapshots")]
    for path in found:
        rewrite(path, path.read_bytes()[:-1] + b"?")
    return sorted(path.relative_to(copy).as_posix() for path in found)


def test_held_files_of_the_right_size_and_other_bytes_are_mended_where_all_are_read(ready, copy, tmp_path):
    bad = rot(copy)
    found = backup(open_archive(ready[0]), copy, check_all=True)
    assert found["mended"] == bad and found["files_copied"] == 3
    assert found["checked"] == found["files_held"] + 3
    assert check(copy) == [] and ended(copy, tmp_path / "again", ready[0]) == ""


def test_in_seven_days_each_held_file_is_read_once(ready, copy, tmp_path, monkeypatch):
    bad, mended, read = rot(copy), [], 0
    for day in range(1, 8):
        today = type("Today", (), {"today": staticmethod(lambda day=day: date(2024, 3, day))})
        monkeypatch.setattr("store.backup.date", today)
        found = backup(open_archive(ready[0]), copy)
        mended += found["mended"]
        read += found["checked"]
        again = backup(open_archive(ready[0]), copy)
        assert again["mended"] == [] and again["checked"] == found["checked"] < found["files_held"]
    assert sorted(mended) == bad and read == found["files_held"] + found["files_copied"]
    assert check(copy) == []


def test_a_damaged_file_of_the_backup_stays_where_the_store_has_nothing_better(store, tmp_path):
    backup(store, tmp_path / "copy")
    name = store.head().files[-1].path
    for folder in (store.path, tmp_path / "copy"):
        flip(folder / name, random.Random(1))
    before = files(tmp_path / "copy"), (tmp_path / "copy" / name).read_bytes()
    with pytest.raises(Damaged, match=name):
        backup(store, tmp_path / "copy", check_all=True)
    assert (files(tmp_path / "copy"), (tmp_path / "copy" / name).read_bytes()) == before


def test_a_tag_that_no_other_system_could_name_is_told_as_left_out(store, tmp_path):
    shutil.copy(store.path / "tags" / "paper.json", store.path / "tags" / "con.json")
    assert backup(store, tmp_path / "copy")["left_out"] == ["tags/con.json"]


# ---- what stops it


@pytest.mark.parametrize("what", ["data", "runs", "snapshots", "tags"])
def test_a_damaged_file_of_the_store_stops_the_backup_and_leaves_it_as_it_was(store, tmp_path, what):
    shutil.copytree(store.path, tmp_path / "before")
    backup(store, tmp_path / "copy")
    known = files(store.path)
    put(store, 7)
    run(store, "cc33", 7)
    tags.tag(store, "new")
    damaged = next(path for path in files(store.path / what) if path not in known)
    flip(damaged, random.Random(1))
    with pytest.raises(Damaged, match=damaged.relative_to(store.path).as_posix()) as caught:
        backup(store, tmp_path / "copy")
    assert "the backup is what it was before" in str(caught.value)
    assert check(tmp_path / "copy") == []
    assert ended(tmp_path / "copy", tmp_path / "again", tmp_path / "before") == ""


# ---- whose it is


def test_a_backup_belongs_to_one_store(store, tmp_path):
    backup(store, tmp_path / "copy")
    other = open_archive(tmp_path / "other", create=True)
    put(other, 1)
    with pytest.raises(Refused, match="is the backup of another store: back this one up to another folder"):
        backup(other, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "older", as_of=4)
    older = open_archive(tmp_path / "older")
    with pytest.raises(Refused, match=r"older ends at snapshot 4, its backup .* at 6: .* restore the newer one, or"):
        backup(older, tmp_path / "copy")
    for number in range(20, 24):
        put(older, number)
    with pytest.raises(Refused, match="of a store that was this one up to snapshot 4 and went another way"):
        backup(older, tmp_path / "copy")
    assert check(tmp_path / "copy") == [] and ended(tmp_path / "copy", tmp_path / "again", store.path) == ""


def test_a_target_that_is_something_else_is_refused_and_left_alone(store, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    open_archive(tmp_path / "new", create=True)
    for target, said in [
        ("photos", "neither empty nor a backup"),
        ("new", "neither empty nor a backup"),
        ("file", "is a file"),
        ("store", "are one place"),
        ("store/copy", "must lie apart"),
        (".", "must lie apart"),
    ]:
        with pytest.raises(Refused, match=said):
            backup(store, tmp_path / target)
    assert [path.name for path in files(tmp_path / "photos")] == ["a.jpg"] and not files(tmp_path / "new")


# ---- in a bucket


@pytest.mark.service
def test_from_a_folder_into_a_bucket_and_back_and_the_other_way_round(cloud, tmp_path):
    store = made(tmp_path)
    assert backup(store, f"{cloud}/backup")["files_copied"] == 19
    put(store, 7)
    found = backup(store, f"{cloud}/backup")
    assert (found["files_copied"], found["files_held"], found["target"]) == (2, 19, f"{cloud}/backup")
    assert check(f"{cloud}/backup") == [] and ended(f"{cloud}/backup", tmp_path / "again", store.path) == ""
    with pytest.raises(Refused, match="are one place"):
        restore(f"{cloud}/backup", f"{cloud}/backup")
    restore(f"{cloud}/backup", f"{cloud}/store")
    for target in ("store/bk", "store/some/where", ""):
        with pytest.raises(Refused, match="must lie apart"):
            backup(open_archive(f"{cloud}/store"), f"{cloud}/{target}".rstrip("/"))
    with pytest.raises(Refused, match=r"/again lies in .*/store, which is a store or a backup"):
        restore(f"{cloud}/backup", f"{cloud}/store/again")
    with pytest.raises(Refused, match="is not empty"):
        restore(f"{cloud}/backup", f"{cloud}/store")
    there = open_archive(f"{cloud}/store")
    assert there.history() == store.history() and there.verify() == [] and there.run_ids() == store.run_ids()
    assert (there.path / "strategies" / "mine.py").read_text() == "# mine\n"
    assert put(there, 8).number == 8
    assert backup(there, tmp_path / "copy")["left_out"] == []
    put(store, 8)
    restore(tmp_path / "copy", tmp_path / "again")
    again = open_archive(tmp_path / "again")
    assert again.head() == there.head() and again.read("fx").equals(store.read("fx"))
    assert (again.path / "contracts.csv").read_bytes() == (store.path / "contracts.csv").read_bytes()


@pytest.mark.service
def test_a_restore_into_a_bucket_that_fails_leaves_nothing(cloud, store, tmp_path):
    backup(store, tmp_path / "copy")
    flip(files(tmp_path / "copy" / "data")[-1], random.Random(1))
    with pytest.raises(Damaged, match=r"data/fx/.* is damaged"):
        restore(tmp_path / "copy", f"{cloud}/store")
    assert place_of(f"{cloud}/store").tree("") == []


# ---- T7: what was altered


def test_a_flipped_bit_anywhere_is_named_or_harmless(ready, copy, tmp_path, tampers, record_property):
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance, refused = random.Random(seed), 0
    for _ in range(tampers):
        path = chance.choice(files(copy))
        content = path.read_bytes()
        flip(path, chance)
        said = ended(copy, tmp_path / "again", ready[0])
        assert not said or path.relative_to(copy).as_posix() in said, (seed, path)
        refused += bool(said)
        rewrite(path, content)
    record_property("refused", refused)
    assert ended(copy, tmp_path / "again", ready[0]) == "" and refused > tampers // 3


def test_a_cut_lost_or_swapped_file_is_named_or_harmless(ready, copy, tmp_path, tampers, record_property):
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance, refused = random.Random(seed), 0
    for trial in range(3 * max(4, tampers // 4)):
        path, other = chance.sample(files(copy), 2)
        one, two = path.read_bytes(), other.read_bytes()
        if trial % 3 == 0:
            rewrite(path, one[: chance.randrange(len(one))])
        elif trial % 3 == 1:
            path.unlink()
        else:
            rewrite(path, two)
            rewrite(other, one)
        said = ended(copy, tmp_path / "again", ready[0])
        named = [p.relative_to(copy).as_posix() for p in (path, other)[: 1 + (trial % 3 == 2)]]
        assert not said or any(name in said for name in named), (seed, trial, said, named)
        refused += bool(said)
        path.unlink(missing_ok=True)
        path.write_bytes(one)
        rewrite(other, two)
    record_property("refused", refused)
    assert refused > tampers // 3


@pytest.mark.parametrize("kind", ["link", "same link", "folder", "pipe", "hard link", "sparse"])
@pytest.mark.parametrize("where", ["data/fx", "snapshots", "files", "backups"])
def test_a_link_a_pipe_or_a_sea_of_zeros_is_not_read(ready, copy, tmp_path, kind, where):
    path = files(copy / where)[-2 if where == "backups" else -1]
    if where == "backups":
        path = copy / "backups" / "0000000002.json"
    outside = tmp_path / "outside"
    outside.write_bytes(path.read_bytes() if kind == "same link" else b"root:x:0:0")
    if kind == "folder":
        (copy / where).rename(tmp_path / "moved")
        (copy / where).symlink_to(tmp_path / "moved")
    else:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "hard link":
            os.link(outside, path)
        elif kind == "sparse":
            path.touch()
            os.truncate(path, 1 << 42)
        else:
            path.symlink_to(outside)
    said = ended(copy, tmp_path / "again", ready[0])
    assert path.relative_to(copy).as_posix() in said or f"{where}/" in said
