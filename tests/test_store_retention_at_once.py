"""Two that drop at once, and a commit while files are removed: neither loses anything; the chain is read once."""

import contextlib
import threading

import pytest

from store import locks, open_archive
from tests.store_days import rates
from tests.test_store_retention import KEPT, at_call, clear, copies, readable, seven, values, whole

PROVES = (6,)  # guarantees


@pytest.fixture
def archive(tmp_path):
    return seven(tmp_path)


@pytest.mark.folder
def test_of_two_that_drop_at_once_and_see_no_lock_neither_breaks_the_chain(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "hold", lambda *args: contextlib.nullcontext())
    for nth, store in enumerate(copies(archive, tmp_path), 1):
        with monkeypatch.context() as patch:
            count = at_call(patch, store, nth, lambda store=store: clear(open_archive(store.path), keep_days=0))
            clear(store)
        again = open_archive(store.path)
        assert whole(again) and set(readable(again)) <= set(KEPT)
        if len(count) < nth:
            assert readable(again) == sorted(KEPT) and nth > 20
            return
        clear(again, keep_days=0)
        assert readable(again) == [1, 3, 5, 7] and whole(again)  # by hand: the first of each month and the newest
    pytest.fail("gc never ended")


@pytest.mark.folder
def test_gc_waits_for_a_commit_that_has_seen_its_files_and_a_commit_for_gc(archive, monkeypatch):
    segment, removed = archive.write("fx", rates(8), source="ecb"), []
    thread = threading.Thread(target=lambda: removed.append(clear(open_archive(archive.path), keep_days=1000)["files"]))
    append = archive.manifests.append

    def slowly(change, note):
        thread.start()
        thread.join(0.5)  # it would be done by then
        assert thread.is_alive()
        return append(change, note)

    monkeypatch.setattr(archive.manifests, "append", slowly)
    archive.commit([segment])
    thread.join(30)
    assert removed == [[]] and values(archive) == [7, 8]
    with locks.sweeping(archive), pytest.raises(locks.Busy), locks.hold(archive, "commit", "test", wait=0):
        pass


def test_the_chain_is_read_once(archive, monkeypatch):
    read, step = [], archive.manifests.step
    monkeypatch.setattr(archive.manifests, "step", lambda number: read.append(number) or step(number))
    clear(archive, dry_run=True)
    assert read == [1, 2, 3, 4, 5, 6, 7]
