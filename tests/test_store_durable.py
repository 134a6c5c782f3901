"""Durable files: order of the flushes, names taken once, and what is left when a call fails."""

import errno
import itertools
import os
import shutil
import subprocess
import sys

import pytest

from store import durable
from store.locks import hold, holders
from tests.conftest import REPO
from tests.killing import judge, judge_batches, lines_of, without_links


def test_bytes_are_flushed_before_the_name_is_given_and_the_file_is_read_only(tmp_path, monkeypatch):
    calls = []
    flush, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("flush"), flush(handle)))
    monkeypatch.setattr(os, "link", lambda a, b: (calls.append("link"), link(a, b)))
    assert durable.write_once(tmp_path / "name", b"text")
    assert calls == ["flush", "link"]
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert os.stat(tmp_path / "name").st_mode & 0o222 == 0


@pytest.mark.parametrize("links", [True, False])
def test_a_name_is_taken_once(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    assert durable.links_work(tmp_path) == links
    assert durable.write_once(tmp_path / "name", b"first") == links
    with pytest.raises(FileExistsError):
        durable.write_once(tmp_path / "name", b"second")
    assert (tmp_path / "name").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize(
    ("code", "kind", "said"), [(errno.ENOSPC, durable.DiskFull, "disk is full"), (errno.EIO, durable.NotWritten, "I/O")]
)
def test_a_write_that_fails_leaves_no_file_and_says_so_in_one_sentence(tmp_path, monkeypatch, code, kind, said):
    def fail(handle, data):
        raise OSError(code, "I/O error")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(kind, match=said) as caught:
        durable.write_new(tmp_path / "name", b"text")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_file_that_others_may_have_seen_is_not_taken_back(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(durable.StateUnknown):
        durable.write_new(tmp_path / "name", b"text", awaited=True)
    assert (tmp_path / "name").read_bytes() == b"text"


def test_a_folder_is_moved_whole_and_never_onto_another(tmp_path):
    for text in ("one", "two"):
        staged = tmp_path / "staged"
        (staged / "deep").mkdir(parents=True)
        (staged / "deep" / "file").write_text(text)
        if text == "one":
            durable.move_folder(staged, tmp_path / "run")
        else:
            with pytest.raises(FileExistsError):
                durable.move_folder(staged, tmp_path / "run")
    assert (tmp_path / "run/deep/file").read_text() == "one"


def test_a_tree_is_removed_with_its_read_only_files_but_links_are_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone/deep").mkdir(parents=True)
    durable.write_new(tmp_path / "gone/deep/file", b"")
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    durable.remove_tree(tmp_path / "gone")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]


# ---- file systems without hard links


@pytest.fixture(params=["refused", "vfat"])
def no_links(request, tmp_path, monkeypatch):
    """A folder without hard links: a call that the system refuses, or a file system that has none."""
    if request.param == "refused":
        monkeypatch.setattr(os, "link", without_links)
        yield tmp_path
        return
    if not (shutil.which("mkfs.vfat") and shutil.which("mount")):
        pytest.skip("no mkfs.vfat to make a file system without hard links")
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 64 * 2**20)
    subprocess.run(["mkfs.vfat", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True).returncode:
        pytest.skip("may not mount, or the kernel has no vfat")
    yield folder
    subprocess.run(["umount", folder], check=True)


def writing(path, seed, commits):
    """A process that commits so many batches where there are no hard links."""
    code = f"from tests.killing import commit_often; commit_often({str(path)!r}, {seed}, {commits}, links=False)"
    return subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE, text=True)


def told(process, kill=False):
    """What a process committed, as JSON; killed after its first commit, or at its end."""
    first = process.stdout.readline()
    if kill:
        process.kill()
    rest = process.communicate()[0]
    assert process.returncode == (-9 if kill else 0)
    return lines_of(first + rest)


@pytest.mark.folder
@pytest.mark.service
def test_a_store_lives_on_without_hard_links(no_links):
    path, done = no_links / "store", []
    assert not durable.links_work(no_links)
    done += told(writing(path, 1, 3))
    done += itertools.chain(*map(told, [writing(path, seed, 8) for seed in (2, 3)]))  # two at once
    for seed in (4, 5):
        done += told(writing(path, seed, 10**9), kill=True)
    archive = judge(path, done)

    newest = archive.head()
    torn = path / f"snapshots/{newest.number + 1:010d}.json"
    torn.write_bytes(b"0" * 64 + b"\n{")  # as a writer leaves it that is killed between the name and the bytes
    assert archive.head() == newest
    os.utime(torn, (1e9, 1e9))  # long ago
    last = told(writing(path, 6, 2))
    assert [line["number"] for line in last] == [newest.number + 1, newest.number + 2]
    assert len(list((path / "snapshots").glob("*.torn-*"))) >= 1
    judge_batches(judge(path, done + last), done + last, unknown=2)

    staged = archive.stage()
    (staged / "run.json").write_text("{}")
    archive.publish(staged, "aaaa")
    assert (path / "runs/aaaa/run.json").read_text() == "{}"
    with hold(archive, wait=0):
        assert [one["pid"] for one in holders(archive)] == [os.getpid()]
    assert holders(archive) == []


def test_every_file_of_a_store_can_be_written_where_its_name_appears_before_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    seen, write = [], os.write

    def look(handle, data):
        seen.append((tmp_path / "name").exists() and (tmp_path / "name").stat().st_size)
        return write(handle, data[:3])

    monkeypatch.setattr(os, "write", look)
    assert durable.write_once(tmp_path / "name", b"abcdefgh") is False
    assert (tmp_path / "name").read_bytes() == b"abcdefgh"
    assert seen == [False, False, False, 0, 3, 6]  # the temporary file, then the name itself, in short writes


def test_what_is_written_beside_takes_the_place_at_the_end_or_leaves_nothing(tmp_path):
    file = tmp_path / "name"
    for text in (b"first", b"second"):
        with durable.replaced(file) as beside:
            assert beside.parent == tmp_path and not beside.exists()
            beside.write_bytes(text)
            assert not file.exists() or file.read_bytes() == b"first"
        assert file.read_bytes() == text
    for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt()):
        with pytest.raises(type(error)), durable.replaced(file) as beside:
            beside.write_bytes(b"half")
            raise error
        assert file.read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
