"""The chain of snapshots: what a commit does in which order, what it refuses, and damage told by name."""

import errno
import json
import os
import random
from hashlib import sha256

import pytest

from store import durable, manifest
from store.archive import Conflict, Damaged, NotWritten, StateUnknown, StoreError, open_archive
from tests.killing import without_links


@pytest.fixture
def chain(tmp_path):
    """An archive's chain of snapshots with nothing in it."""
    return manifest.Manifests(open_archive(tmp_path / "store", create=True).place)


def grow(chain, times=1):
    for _ in range(times):
        snapshot = chain.append(lambda head: list(head.files), note="grown")
    return snapshot


def snapshot_file(chain, number):
    return (chain.place.path / "snapshots") / f"{number:010d}.json"


def overwrite(path, content):
    durable.remove(path)
    path.write_bytes(content)


@pytest.mark.folder
def test_line_one_is_the_checksum_of_the_rest_and_the_rest_names_its_parent(chain):
    assert chain.head() == manifest.EMPTY
    first, second = grow(chain), grow(chain)
    checksum, body = snapshot_file(chain, 2).read_bytes().split(b"\n", 1)
    assert checksum.decode() == sha256(body).hexdigest() == second.hash
    assert json.loads(body)["parent"] == first.hash
    assert (first.parent, first.number, second.number) == (manifest.NOTHING, 1, 2)
    assert chain.head() == second
    assert chain.snapshot(1) == first


def test_a_snapshot_that_never_was_is_no_damage(chain):
    grow(chain)
    with pytest.raises(StoreError, match="there is no snapshot 2: the store has 0 to 1") as caught:
        chain.snapshot(2)
    assert not isinstance(caught.value, Damaged)


@pytest.mark.folder
def test_flush_of_the_manifest_then_its_name_then_the_folder_then_the_report(chain, monkeypatch):
    calls, flush, link, folder = [], os.fsync, os.link, durable.sync_folder
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("flush"), flush(handle)))
    monkeypatch.setattr(os, "link", lambda a, b: (calls.append("link"), link(a, b)))
    monkeypatch.setattr(durable, "sync_folder", lambda path: (calls.append("folder"), folder(path)))
    replace = durable.replace_hint
    monkeypatch.setattr(durable, "replace_hint", lambda *args: (calls.append("head"), replace(*args)))
    grow(chain)
    assert calls == ["flush", "link", "folder", "flush", "head"]


def test_a_writer_that_was_late_looks_again_and_repeats(chain):
    seen = []

    def change(head):
        if not seen:
            manifest.Manifests(chain.place).append(lambda head: [], "the other's")
        seen.append(head.number)
        return []

    assert chain.append(change, "mine").number == 2
    assert seen == [0, 1]


def test_a_writer_that_never_gets_a_turn_is_told(chain, monkeypatch):
    monkeypatch.setattr(manifest, "_PATIENCE", 0.0)

    def change(head):
        manifest.Manifests(chain.place).append(lambda head: [], "the other's")
        return []

    with pytest.raises(Conflict, match="nothing was changed"):
        chain.append(change, "mine")


@pytest.mark.folder
def test_a_flush_that_fails_after_the_name_was_given_is_state_unknown(chain, monkeypatch):
    grow(chain)

    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(StateUnknown, match="snapshot 2 is written but"):
        patch.setattr(durable, "sync_folder", fail)
        grow(chain)
    assert chain.head().number == 2
    assert grow(chain).number == 3


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "unlink", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_the_chain_stays_whole_and_goes_on(chain, monkeypatch, call, code):
    before, original = grow(chain), getattr(os, call)
    for nth in range(1, 20):
        count = [0]

        def fail(*args, count=count, nth=nth, **named):
            count[0] += 1
            if count[0] == nth:
                raise OSError(code, os.strerror(code))
            return original(*args, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            try:
                after = grow(chain)
            except StateUnknown:
                after = chain.head()
                assert after.number == before.number + 1
            except NotWritten as error:
                assert "\n" not in str(error)
                after = before
        assert chain.head() == after
        assert chain.walk()[1] == []
        before = grow(chain)
        if count[0] < nth:
            return
    pytest.fail("the call never stopped being made")


@pytest.mark.folder
def test_every_flipped_bit_of_a_snapshot_is_reported_by_name(chain):
    grow(chain, 3)
    chance = random.Random(7)
    for _ in range(60):
        path = snapshot_file(chain, chance.choice((1, 2, 3)))
        content = path.read_bytes()
        altered = bytearray(content)
        altered[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        overwrite(path, bytes(altered))
        with pytest.raises(Damaged, match=path.name):
            manifest.Manifests(chain.place).snapshot(int(path.stem))
        assert path.name in {problem.path.removeprefix("snapshots/") for problem in chain.walk()[1]}
        overwrite(path, content)
    assert chain.walk()[1] == []


@pytest.mark.folder
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("fault", ["gone", "cut", "empty", "swapped", "forged"])
def test_a_snapshot_that_is_gone_cut_swapped_or_forged_is_reported_by_name(chain, number, fault):
    grow(chain, 3)
    path = snapshot_file(chain, number)
    content = path.read_bytes()
    if fault == "gone":
        durable.remove(path)
    elif fault in ("cut", "empty"):
        overwrite(path, content[: len(content) // 2] if fault == "cut" else b"")
    elif fault == "swapped":
        overwrite(path, snapshot_file(chain, number % 3 + 1).read_bytes())
    else:
        body = content.split(b"\n", 1)[1].replace(b"grown", b"mowed")
        overwrite(path, sha256(body).hexdigest().encode() + b"\n" + body)
    assert path.name in " ".join(problem.path for problem in chain.walk()[1])
    if fault != "forged" or number == 3:  # only the next link of the chain tells that a forged one is not the old one
        with pytest.raises(Damaged, match=path.name):
            manifest.Manifests(chain.place).snapshot(number)


@pytest.mark.folder
def test_a_manifest_cannot_name_a_file_outside_the_tables(chain):
    grow(chain)
    fields = json.loads(snapshot_file(chain, 1).read_bytes().split(b"\n", 1)[1])
    fields["files"] = [{"path": "data/../../secret.parquet"}]
    body = json.dumps(fields).encode()
    overwrite(snapshot_file(chain, 1), sha256(body).hexdigest().encode() + b"\n" + body)
    durable.remove((chain.place.path / "snapshots") / "head")
    with pytest.raises(Damaged, match="no file of a table"):
        chain.head()


@pytest.mark.folder
@pytest.mark.parametrize("content", [None, b"", b"2 abc\n", b"\xff\xfe"])
def test_a_lost_or_cut_note_of_the_head_does_no_harm(chain, content):
    newest = grow(chain, 2)
    overwrite((chain.place.path / "snapshots") / "head", content) if content is not None else durable.remove(
        (chain.place.path / "snapshots") / "head"
    )
    assert chain.head() == newest
    assert grow(chain).number == 3


@pytest.mark.folder
def test_torn_work_is_read_past_and_moved_aside_only_where_there_are_no_hard_links(chain, monkeypatch):
    grow(chain, 2)
    torn = snapshot_file(chain, 3)
    torn.write_bytes(snapshot_file(chain, 2).read_bytes()[:100])
    with pytest.raises(Damaged, match=torn.name):
        chain.head()
    monkeypatch.setattr(os, "link", without_links)
    assert chain.head().number == 2
    monkeypatch.setattr(manifest, "_PATIENCE", 0.0)
    with pytest.raises(Conflict):  # it may still be somebody's work
        grow(chain)
    os.utime(torn, (1e9, 1e9))
    monkeypatch.setattr(manifest, "_PATIENCE", 60.0)
    assert grow(chain).number == 3
    assert [path.read_bytes()[:10] for path in (chain.place.path / "snapshots").glob("*.torn-3")] == [
        snapshot_file(chain, 2).read_bytes()[:10]
    ]
    assert chain.walk()[1] == []


@pytest.mark.folder
def test_a_confirmed_snapshot_that_is_cut_is_damage_even_without_hard_links(chain, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    grow(chain, 2)
    overwrite(snapshot_file(chain, 2), b"")
    with pytest.raises(Damaged, match=snapshot_file(chain, 2).name):
        chain.head()
