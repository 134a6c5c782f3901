"""What is durable before what, and what a power cut leaves at any moment.

kill -9 keeps what the kernel has, so it cannot show a flush that is missing. Here the system calls of a command are
written down: their order is asserted, and a disk that keeps only what was flushed (see `powercut`) is judged after
each of them.
"""

import re
import shutil
from pathlib import Path

import pytest

from store.archive import ArchiveMissing, open_archive
from tests import faults, grounds
from tests.forks import Forks
from tests.killing import finished_work, problems, seeded
from tests.powercut import Disk, write_tree

pytestmark = pytest.mark.service
PROVES = (1, 2)
ALL = (*faults.CHANGING, *faults.WRITING)
FLUSH = ("fsync", "fdatasync")
OPEN = ("open", "openat")
LINK = ("link", "linkat")
UNLINK = ("unlink", "unlinkat")
RENAME = ("rename", "renameat", "renameat2")


@pytest.fixture(scope="module")
def forks():
    with Forks() as server:
        yield server


class Log:
    """System calls of a command that did its work, by what they did to which file."""

    def __init__(self, forks, ground):
        command = forks.start(ground.folder, ground.work())
        self.ended, self.calls = faults.traced(command, ground.folder / "strace", calls=ALL)
        assert self.ended.code == 0, self.ended.err
        self.acknowledged = self.at("write", lambda path: path.suffix == ".out")

    def at(self, names, wanted):
        """Number of the last such call (names) whose last path is the wanted one, or is wanted by a function."""
        names = (names,) if isinstance(names, str) else names
        wanted = wanted if callable(wanted) else Path(wanted).__eq__
        found = [k for k, c in enumerate(self.calls) if c.name in names and c.paths and wanted(c.paths[-1])]
        done = [k for k in found if self.calls[k].result is not None and self.calls[k].result >= 0]
        assert done, f"there is no {' or '.join(names)} of such a file"
        return done[-1]

    def all(self, names, folder):
        """Numbers of all such calls that gave a name below a folder."""
        found = [k for k, c in enumerate(self.calls) if c.name in names and c.paths[-1].is_relative_to(folder)]
        return [k for k in found if self.calls[k].result == 0]

    def flushed(self, path):
        """Number of the last flush of a file or folder."""
        return self.at(FLUSH, path)

    def made(self, under):
        """Files below a folder that were written and not taken away again."""
        new = {c.paths[-1] for c in self.calls if c.name in OPEN and "O_CREAT" in c.text}
        return sorted(path for path in new if path.is_relative_to(under) and path.exists())


@pytest.mark.parametrize("verb", [grounds.Import, grounds.Undo, grounds.Compact], ids=["import", "undo", "compact"])
def test_data_are_durable_before_the_manifest_is_and_that_before_its_name_and_that_before_the_report(
    verb, forks, tmp_path, record_property
):
    ground = verb(tmp_path)
    ground.judge(finished_work(forks, ground))
    log, snapshots = Log(forks, ground), ground.store / "snapshots"
    linked = log.at(LINK, lambda path: path.parent == snapshots)
    temporary, manifest = log.calls[linked].paths
    data = log.made(ground.store / "data")
    assert manifest == snapshots / f"{ground.opened().head().number:010d}.json"
    assert data or verb is grounds.Undo  # which writes no data
    for path in data:
        assert log.at("write", path) < log.flushed(path) < log.flushed(path.parent) < log.flushed(temporary)
    assert log.at("write", temporary) < log.flushed(temporary) < linked < log.flushed(snapshots) < log.acknowledged
    record_property("files", len(data))


def test_a_run_is_durable_before_it_gets_its_name_and_that_before_the_report(forks, tmp_path, record_property):
    ground = grounds.Run(tmp_path)
    runs = ground.store / "runs"
    log = Log(forks, ground)
    [run] = open_archive(ground.store).run_ids()
    renamed = log.at(RENAME, runs / run)
    staged = log.calls[renamed].paths[0]
    for path in (runs / run).iterdir():
        assert log.at("write", staged / path.name) < log.flushed(staged / path.name) < log.flushed(staged) < renamed
    assert renamed < log.flushed(runs) < log.acknowledged
    record_property("files", len(list((runs / run).iterdir())))


def test_in_a_backup_data_are_durable_before_the_manifest_that_names_them(forks, tmp_path, record_property):
    ground = grounds.Backup(tmp_path)
    log = Log(forks, ground)
    data, manifests = (log.all(LINK, ground.target / kind) for kind in ("data", "snapshots"))
    assert data and manifests
    for number in data:
        temporary, path = log.calls[number].paths
        assert log.flushed(temporary) < number < log.flushed(path.parent) < manifests[0], path
    for number in manifests:
        temporary, path = log.calls[number].paths
        assert log.flushed(temporary) < number < log.flushed(path.parent) < log.acknowledged
    record_property("files", len(data) + len(manifests))


def test_a_restored_store_is_durable_before_it_gets_its_name_and_that_before_the_report(
    forks, tmp_path, record_property
):
    ground = grounds.Restore(tmp_path)
    log = Log(forks, ground)
    renamed = log.at(RENAME, ground.store)
    staged, files = log.calls[renamed].paths[0], [path for path in ground.store.rglob("*") if path.is_file()]
    for path in files:
        inside = staged / path.relative_to(ground.store)
        assert log.flushed(inside) < renamed and log.flushed(inside.parent) < renamed, path
    assert files and renamed < log.flushed(ground.store.parent) < log.acknowledged
    record_property("files", len(files))


@pytest.mark.parametrize(
    ("verb", "first"),
    [(grounds.Import, True), (grounds.Import, False), (grounds.Undo, False), (grounds.Compact, False)],
    ids=["import into a new store", "import", "undo", "compact"],
)
def test_a_power_cut_at_any_moment_leaves_the_store_before_or_after(verb, first, forks, tmp_path, record_property):
    chance, ground = seeded(record_property), verb(tmp_path / "ground")
    if not first:
        ground.judge(finished_work(forks, ground))
    before = dict(ground.told)
    disk = Disk(ground.store)
    log = Log(forks, ground)
    after = {snapshot.number: snapshot.hash for snapshot in open_archive(ground.store).history()}
    cuts = 0
    for k, call in enumerate(log.calls):
        disk.apply(call)
        reads = call.name in OPEN and "O_CREAT" not in call.text
        if k == log.acknowledged or (not reads and any(path.is_relative_to(ground.store) for path in call.paths)):
            for tree in (disk.cut(), disk.cut(chance)):
                judged(tree, tmp_path / "left", before, after, k >= log.acknowledged)
                cuts += 1
    assert disk.tree() == whole(ground.store), "the disk did not follow the command"
    assert cuts > 20 and after.items() > before.items()
    record_property("cuts", cuts)


def test_gc_flushes_the_ledger_before_a_manifest_goes_and_the_manifests_before_data_go(
    forks, tmp_path, record_property
):
    ground = grounds.Collect(tmp_path)
    log, snapshots = Log(forks, ground), ground.store / "snapshots"
    ledger = log.at(LINK, lambda path: path.name.startswith("dropped-"))
    gone = [k for k in log.all(UNLINK, snapshots) if re.fullmatch(r"\d{10}\.json", log.calls[k].paths[-1].name)]
    data = [k for k in log.all(UNLINK, ground.store / "data") if log.calls[k].paths[-1].suffix == ".parquet"]
    flushes = [k for k, c in enumerate(log.calls) if c.name in FLUSH and c.paths == (snapshots,) and c.result == 0]
    assert gone and data
    assert any(ledger < k < gone[0] for k in flushes) and any(gone[-1] < k < data[0] for k in flushes)
    record_property("files", len(gone) + len(data))


def test_a_power_cut_in_gc_leaves_a_store_that_is_whole_and_gc_goes_on(forks, tmp_path, record_property):
    chance, ground = seeded(record_property), grounds.Collect(tmp_path / "ground")
    disk, cuts = Disk(ground.store), 0
    log = Log(forks, ground)
    for call in log.calls:
        disk.apply(call)
        if call.name in (*UNLINK, *LINK, *FLUSH) and any(path.is_relative_to(ground.store) for path in call.paths):
            for tree in (disk.cut(), disk.cut(chance)):
                archive = left(tree, tmp_path / "left")
                assert problems(archive) == [] and archive.head() == ground.head
                grounds.collect(archive, keep_days=0)
                assert problems(archive) == []
                assert grounds.same(grounds.content(archive), ground.expected)
                assert grounds.same(grounds.content(archive, 3), ground.kept)
                cuts += 1
    assert cuts > 20
    record_property("cuts", cuts)


def left(tree, folder):
    """The store that a cut left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_tree(tree, folder)
    return open_archive(folder / "store")


def test_the_judge_of_a_cut_sees_a_flush_that_is_missing(forks, tmp_path):
    ground = grounds.Import(tmp_path / "ground")
    ground.judge(finished_work(forks, ground))
    before, disk = dict(ground.told), Disk(ground.store)
    log, snapshots = Log(forks, ground), ground.store / "snapshots"
    after = {snapshot.number: snapshot.hash for snapshot in open_archive(ground.store).history()}
    for call in log.calls:
        if call.name not in FLUSH or call.paths != (snapshots,):
            disk.apply(call)
    with pytest.raises(AssertionError):
        judged(disk.cut(), tmp_path / "left", before, after, acknowledged=True)


def judged(tree, folder, before, after, acknowledged):
    """Assert that what a cut left is the store as it was before or as it is after, this one if that was reported."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_tree(tree, folder)
    try:
        archive = open_archive(folder / "store")
    except ArchiveMissing:
        assert not before and not acknowledged
        return
    assert problems(archive) == []
    found = {snapshot.number: snapshot.hash for snapshot in archive.history()}
    assert found == after or (found == before and not acknowledged)
    grounds.content(archive)


def whole(path):
    """A folder as `Disk.tree` tells it."""
    found = [path, *path.rglob("*")]
    return {one.relative_to(path.parent).parts: None if one.is_dir() else one.read_bytes() for one in found}


def test_the_disk_loses_what_was_not_flushed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "old").write_bytes(b"old")
    disk, name = Disk(tmp_path / "store"), str(tmp_path / "store" / "new").encode().hex(" ").replace(" ", "\\x")
    log = tmp_path / "log"
    store, new = str(tmp_path / "store").encode().hex(" ").replace(" ", "\\x"), f"\\x{name}"
    log.write_text(
        f'7 openat(AT_FDCWD<\\x2f>, "{new}", O_WRONLY|O_CREAT|O_EXCL, 0444) = 3<{new}>\n'
        f'7 write(3<{new}>, "\\x68\\x69", 2) = 2\n'
        f"7 fsync(3<{new}>) = 0\n"
        f"7 fsync(4<\\x{store}>) = 0\n"
    )
    left = []
    for call in faults.read_log(log):
        disk.apply(call)
        left.append(disk.cut().get(("store", "new")))
    assert left == [None, None, None, b"hi"]
    assert disk.cut()[("store", "old")] == b"old"
