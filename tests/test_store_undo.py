"""The store as it was, all of it, again and again; and nothing where that cannot be."""

import contextlib
from datetime import timedelta

import pytest

from store import durable, locks, open_archive, retention, tags
from store.archive import Conflict, Damaged, NotKept, Refused
from store.tables import TABLES
from store.undo import undo
from tests.store_days import Clock, rates


@pytest.fixture
def archive(tmp_path):
    """1: EUR 1. 2: EUR 2 in place of it. 3: JPY, and an interest rate."""
    archive = open_archive(tmp_path / "store", create=True)
    add(archive, 1)
    archive.commit([archive.write("fx", rates(2), source="ecb", currency="EUR")], archive.head().files)
    archive.commit(
        [
            archive.write("fx", rates(3), source="ecb", currency="JPY"),
            archive.write("rates", rates(4, 5), source="ecb", currency="JPY"),
        ]
    )
    return archive


def add(archive, value):
    return archive.commit([archive.write("fx", rates(value), source="ecb", currency="EUR")])


def put(archive, value):
    """Commit a rate in place of all that the store holds."""
    segment = archive.write("fx", rates(value), source="ecb", currency="EUR")
    return archive.commit([segment], archive.head().files)


def content(archive, snapshot=None):
    return {name: archive.read(name, snapshot) for name in TABLES}


def equal(archive, one, other):
    return all(frame.equals(content(archive, other)[name]) for name, frame in content(archive, one).items())


def test_the_new_snapshot_is_the_old_one_in_all_tables_and_an_undo_can_be_undone(archive):
    tags.tag(archive, "paper", 2)
    told = undo(archive, 1, dry_run=True)
    assert told == {
        "snapshot": None, "equal_to": 1, "dry_run": True, "tables": [
            {"table": "fx", "rows_before": 2, "rows_after": 1, "appear": [], "vanish": ["JPY"]},
            {"table": "rates", "rows_before": 2, "rows_after": 0, "appear": [], "vanish": ["JPY"]},
        ],
    }  # fmt: skip
    assert archive.head().number == 3
    assert undo(archive, 1) == told | {"snapshot": 4, "dry_run": False}
    assert archive.head().files == archive.snapshot(1).files and archive.head().note == "undo: as snapshot 1"
    assert archive.read("fx")["rate"].to_list() == [1]
    back = undo(archive, "head~1", note="was  right")
    assert back["equal_to"] == 3 and equal(archive, 5, 3) and archive.head().note == "was right"
    assert [table["appear"] for table in back["tables"]] == [["JPY"], ["JPY"]]
    assert undo(archive, "paper")["snapshot"] == 6 and equal(archive, 6, 2)
    assert undo(archive, 0)["tables"][0]["rows_after"] == 0 and equal(archive, 7, 0)
    assert archive.verify() == [] and [one["number"] for one in tags.tags(archive)] == [2]
    assert not [name for name in archive.place.names("tags") if "hold" in name]


def test_what_the_store_is_already_is_refused(archive):
    for number in (3, "head"):
        with pytest.raises(Refused, match="the store is as snapshot 3 already"):
            undo(archive, number)
    with pytest.raises(Refused, match="did you mean head"):
        undo(archive, "heat")
    assert archive.head().number == 3


def test_a_dropped_snapshot_cannot_come_back(archive):
    with Clock() as clock:
        clock.at("2031-01-01")
        add(archive, 9)
        retention.gc(archive, timedelta(0), dry_run=False, now=clock.moment + timedelta(days=40))
    with pytest.raises(NotKept, match=r"snapshot 2 of .* was dropped"):
        undo(archive, 2)
    assert undo(archive, 1)["equal_to"] == 1  # the first of its month


@pytest.mark.folder
@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_a_file_that_is_not_there_is_told_before_anything_is_changed(archive, fault):
    [segment] = archive.snapshot(1).files
    path = archive.path / segment.path
    content = path.read_bytes()
    durable.remove(path)
    if fault == "cut":
        path.write_bytes(content[:-1])
    with pytest.raises(Damaged, match=segment.path):
        undo(archive, 1)
    assert archive.head().number == 3 and not [name for name in archive.place.names("tags") if "hold" in name]


def test_a_commit_meanwhile_is_not_undone_unseen(archive, monkeypatch):
    append = archive.manifests.append

    def late(change, note):
        monkeypatch.undo()
        add(open_archive(archive.path), 7)
        return append(change, note)

    monkeypatch.setattr(archive.manifests, "append", late)
    with pytest.raises(Conflict, match="another writer committed meanwhile; nothing was changed"):
        undo(archive, 1)
    assert archive.head().number == 4 and 7.0 in archive.read("fx")["rate"].to_list()


def test_a_clean_up_meanwhile_leaves_what_comes_back_or_undo_is_told(archive, monkeypatch):
    monkeypatch.setattr(locks, "sweeping", lambda archive: contextlib.nullcontext())  # as on a machine that is not seen
    for call in ("write_once", "settle", "names", "sizes", "remove"):
        for nth in range(1, 6):
            with Clock() as clock:
                clock.at("2031-01-01")
                put(archive, 9)
                old = put(archive, nth).number  # alone names its file, which goes where it is dropped
                put(archive, 10)
                original, count = getattr(archive.place, call), []

                def step(*args, original=original, count=count, nth=nth, now=clock.moment):
                    count.append(1)
                    if len(count) == nth:
                        other = open_archive(archive.path)
                        retention.gc(other, timedelta(0), dry_run=False, now=now + timedelta(days=40))
                    return original(*args)

                with monkeypatch.context() as patch:
                    patch.setattr(archive.place, call, step)
                    try:
                        undo(archive, old)
                        assert archive.read("fx")["rate"].to_list()[-1] == nth
                    except NotKept:
                        assert archive.head().number == old + 1
            assert archive.verify() == []
