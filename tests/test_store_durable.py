"""Durable files: order of the flushes, names taken once, and what is left when a call fails."""

import errno
import os

import pytest

from store import durable
from tests.killing import without_links


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
