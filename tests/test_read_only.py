"""A store on a disk that nobody may write to: what only looks does its work, and says nothing."""

import json
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from store import open_archive
from store.backup import restore

pytestmark = pytest.mark.service


@contextmanager
def read_only(folder, at):
    """A folder seen read-only at another name; the test is skipped where that cannot be."""
    at.mkdir()
    mounts = (["--bind", str(folder), str(at)], ["-o", "remount,ro,bind", str(at)])
    done = None
    for words in mounts if shutil.which("mount") else ():
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if done.returncode:
            break
    if done is None or done.returncode:
        subprocess.run(["umount", "-l", str(at)], capture_output=True)
        pytest.skip(f"no read-only file system: {done.stderr.strip() if done else 'there is no mount'}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def test_what_only_looks_works_on_a_read_only_disk(call, store, tmp_path):
    head = open_archive(store).head()
    shutil.rmtree(store / "cache", ignore_errors=True)
    shutil.rmtree(store / "locks", ignore_errors=True)
    with read_only(store, tmp_path / "disk") as disk:
        for words in (
            ["markets"],
            ["snapshots"],
            ["gc", "--dry-run"],
            ["verify"],
            ["sql", "select count(*) as n from contract_bars"],
            ["export", "--to", tmp_path / "tables"],
            ["backup", tmp_path / "copy"],
        ):
            found = call(*words, "--json", "--store", disk)
            assert json.loads(found.out) and found.err == "", words
    restore(tmp_path / "copy", tmp_path / "again")
    assert open_archive(tmp_path / "again").head().hash == head.hash


def test_a_backup_goes_on_where_no_lock_can_be_made(document, store, tmp_path):
    shutil.rmtree(store / "locks", ignore_errors=True)
    (store / "locks").write_text("a file, in which none can be made")
    assert document("backup", tmp_path / "copy", "--store", store)["snapshot"] == open_archive(store).head().number
