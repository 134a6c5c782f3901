"""Work done behind: in its order, all of it by the end of the block, never much of it waiting, no error lost."""

import threading

import polars as pl
import pytest

from store import behind, derived, history, kept
from store.behind import Behind
from tests.small_store import build

ROOTS = ("MES", "FDAX", "FGBL", "ZC", "SI")


def requests(archive):
    held = [(root, history.bars(archive, root)) for root in ROOTS]
    return [history.request(plan, "volume:1") for root, plan in held if plan]


def test_all_is_done_in_its_order_when_the_block_ends():
    done = []
    with Behind() as work:
        for number in range(100):
            work.do(lambda number=number: done.append((number, threading.get_ident())))
    assert [number for number, _ in done] == list(range(100))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()}) and len({t for _, t in done}) == 1


def test_who_gives_more_than_may_wait_waits(monkeypatch):
    monkeypatch.setattr(behind, "WAITING", 2)
    go, given = threading.Event(), []

    def give():
        with Behind() as work:
            for number in range(6):
                work.do(go.wait)
                given.append(number)

    giver = threading.Thread(target=give)
    giver.start()
    giver.join(0.2)
    assert giver.is_alive() and len(given) <= 3  # one at work, two that wait
    go.set()
    giver.join()
    assert len(given) == 6


def test_an_error_is_raised_at_the_end_and_what_follows_it_is_not_done():
    done = []
    with pytest.raises(ZeroDivisionError), Behind() as work:
        work.do(lambda: done.append("before"))
        work.do(lambda: 1 / 0)
        work.do(lambda: done.append("after"))
    assert done == ["before"]


def test_the_error_of_the_block_itself_is_told_first():
    with pytest.raises(KeyError), Behind() as work:
        work.do(lambda: 1 / 0)
        raise KeyError("the block's own")


def test_without_work_no_thread_is_started():
    with Behind() as work:
        assert work.thread is None


def test_series_written_behind_are_all_kept_when_they_are_given(tmp_path, monkeypatch):
    archive, others = build(tmp_path / "store"), threading.active_count()
    made = derived.series(requests(archive))
    assert len(made) > 1 and threading.active_count() == others
    monkeypatch.setattr(derived, "_whole", None)  # nothing can be made any more
    kept.memory.clear()
    found = derived.series(requests(archive))
    assert all(a.frame.equals(b.frame) and a.calendar.frame.equals(b.calendar.frame)
               for a, b in zip(made, found, strict=True))  # fmt: skip


def test_what_cannot_be_written_is_given_all_the_same_and_other_errors_are_heard(tmp_path, monkeypatch):
    archive, wanted = build(tmp_path / "store"), derived.series(requests(build(tmp_path / "other")))

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(kept, "put", full)
    found = derived.series(requests(archive))
    assert all(isinstance(a.frame, pl.DataFrame) and a.frame.equals(b.frame)
               for a, b in zip(found, wanted, strict=True))  # fmt: skip
    assert not list((archive.cache / "series").glob("*"))

    def wrong(*_):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(kept, "put", wrong)
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        derived.series(requests(archive))
