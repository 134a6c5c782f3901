"""What is kept and why, what goes, and that neither a kill nor anybody at work meanwhile costs more than it may."""

import contextlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from store import durable, kept, locks, open_archive, retention, tags
from store.archive import Damaged, DiskFull, NotKept, NotWritten, Refused
from store.ledger import Ledger
from tests.faults import fill, small_disk
from tests.killing import without_links
from tests.store_days import Clock, rates

PROVES = (6,)  # guarantees

NOW = datetime(2031, 6, 15, 12, tzinfo=UTC)
AT_ONCE = timedelta(0)
DAYS = ("2031-01-10", "2031-01-20", "2031-02-05", "2031-02-06", "2031-05-01", "2031-05-30", "2031-06-14")
# Of these, by hand: the first of each month are 1, 3, 5, 7; younger than 30 days on 15 June 12:00 are 6 and 7; the
# newest is 7. So nothing needs 2 and 4.
KEPT = {1: "first of 2031-01", 3: "first of 2031-02", 5: "first of 2031-05", 6: "recent", 7: "newest"}


@pytest.fixture
def archive(tmp_path):
    return seven(tmp_path)


def seven(folder):
    """A store whose snapshot n holds the one file that says n, and was made on day n of `DAYS`."""
    archive = open_archive(folder / "store", create=True)
    with Clock() as clock:
        for number, day in enumerate(DAYS, 1):
            clock.at(f"{day}T12:00:00")
            replace(archive, number)
    return archive


def replace(archive, number):
    return archive.commit(
        [archive.write("fx", rates(number), source="ecb")], archive.head().files, note=f"day {number}"
    )


def values(archive, snapshot=None):
    return archive.read("fx", snapshot)["rate"].to_list()


def clear(archive, **words):
    return retention.gc(archive, AT_ONCE, now=words.pop("now", NOW), dry_run=words.pop("dry_run", False), **words)


def run(archive, run_id, number, sealed=True):
    """A run that says that it was made of a snapshot."""
    staged = archive.stage()
    record = {"summary": {"snapshot": {"number": number, "hash": archive.snapshot(number).hash}}}
    if sealed:
        record["checksum"] = sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    (staged / "run.json").write_text(json.dumps(record))
    archive.publish(staged, run_id)


def readable(archive):
    """Numbers of the snapshots whose rows are those that were committed; others must say that they were dropped."""
    found = []
    for number in range(1, archive.head().number + 1):
        try:
            assert values(archive, number) == [number]
            found.append(number)
        except NotKept as error:
            assert f"snapshot {number} of " in str(error)
    return found


def whole(archive):
    """Nothing that the store needs is lost: the chain and every file that a kept snapshot names."""
    snapshots, problems = archive.manifests.walk()
    assert problems == []
    for snapshot in snapshots:
        assert values(archive, snapshot) == [snapshot.number]
    return True


def kept_now(archive, **words):
    """{number: reason} of the snapshots that `gc` would keep."""
    return {row["number"]: row["kept"] for row in retention.snapshots(archive, **words) if row["kept"]}


# ---- what is kept


def test_the_newest_the_last_days_the_first_of_each_month_and_what_is_named_are_kept(archive):
    assert kept_now(archive, now=NOW) == KEPT
    assert kept_now(archive, keep_days=12, now=NOW) == {n: text for n, text in KEPT.items() if n != 6}
    tags.tag(archive, "paper", 2)
    tags.tag(archive, "b", 7)
    run(archive, "one", 4)
    assert kept_now(archive, now=NOW) == KEPT | {2: "tag paper", 4: "run one"}
    run(archive, "two", 4, sealed=False)
    assert kept_now(archive, now=NOW)[4] == "2 runs"
    assert clear(archive)["snapshots"] == []
    tags.untag(archive, "paper")
    archive.drop_run("one")
    archive.drop_run("two")
    assert clear(archive)["snapshots"] == [2, 4]


def test_an_empty_store_has_nothing_to_drop(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    assert (kept_now(archive), retention.snapshots(archive)) == ({}, [])
    assert clear(archive)["files"] == []


@pytest.mark.folder
def test_gc_tells_first_and_drops_then_and_the_rest_reads_as_before(archive):
    names = [archive.snapshot(n).files[0].path for n in (2, 4)] + [f"snapshots/000000000{n}.json" for n in (2, 4)]
    size = sum((archive.path / name).stat().st_size for name in names)
    told = clear(archive, dry_run=True)
    counts = {"head": 1, "tags": 0, "runs": 0, "recent": 1, "monthly": 3, "held": 0}
    assert told.pop("later")["files"] == 0
    assert told == {"snapshots": [2, 4], "files": sorted(names), "bytes": size, "dry_run": True, "kept": counts}
    assert readable(archive) == [1, 2, 3, 4, 5, 6, 7]
    assert clear(archive).items() >= (told | {"dry_run": False}).items()
    assert readable(archive) == sorted(KEPT) and whole(open_archive(archive.path))
    assert not any((archive.path / name).exists() for name in names)
    assert clear(archive)["files"] == [] and len(archive.manifests.ledger.names()) == 1
    assert [snapshot.number for snapshot in archive.history()] == sorted(KEPT)


def test_data_of_dropped_snapshots_that_may_be_some_writers_work_stay_for_a_day(archive):
    young = retention.gc(archive, timedelta(days=36500), keep_days=0, dry_run=False, now=NOW)
    assert [name for name in young["files"] if name.startswith("data/")] == []
    assert young["snapshots"] == [2, 4, 6] and readable(archive) == [1, 3, 5, 7]
    again, last = retention.gc(archive, timedelta(days=36500), keep_days=0, now=NOW), clear(archive)
    assert young["later"] == again["later"] == {"files": 3, "bytes": last["bytes"]} and len(last["files"]) == 3


def test_a_dropped_snapshot_is_told_with_its_neighbours_and_a_day_of_it_too(archive):
    clear(archive)
    said = "snapshot 4 of 2031-02-06 was dropped on 2031-06-15, as nothing needed it; kept near it: "
    said += "3 of 2031-02-05 and 5 of 2031-05-01"
    for ask in (lambda: archive.snapshot(4), lambda: values(archive, 4), lambda: tags.number_of(archive, "4")):
        with pytest.raises(NotKept) as caught:
            ask()
        assert str(caught.value) == said
    with pytest.raises(NotKept) as caught:
        archive.as_known("2031-03-31")
    assert str(caught.value) == f"the store as known on 2031-03-31: {said}"
    then = {"2031-01-19": 1, "2031-02-05": 3, "2031-05-29": 5, "2032-01-01": 7}
    assert {day: archive.as_known(day).number for day in then} == then
    with pytest.raises(Refused, match="its first snapshot is of 2031-01-10"):
        archive.as_known("2031-01-01")
    with pytest.raises(NotKept):
        tags.tag(archive, "late", 4)
    assert tags.tags(archive) == []


@pytest.mark.folder
def test_the_chain_is_checked_over_what_was_dropped(archive):
    clear(archive)
    [name] = archive.manifests.ledger.names()
    content = (archive.path / name).read_bytes()
    for damage in (None, content[:-1], content.replace(b'"number":4', b'"number":9')):
        durable.remove(archive.path / name)
        if damage is not None:
            (archive.path / name).write_bytes(damage)
        told = " ".join(map(str, open_archive(archive.path).manifests.walk()[1]))
        assert "snapshots/0000000002.json is missing" in told and "snapshots/0000000004.json is missing" in told
        assert damage is None or f"{name} is damaged" in told
        with pytest.raises(Damaged):
            clear(archive)
        (archive.path / name).unlink(missing_ok=True)
        (archive.path / name).write_bytes(content)
    forged = archive.manifests.ledger.entries(name)
    Ledger(archive.place).write(
        [type(one)(**vars(one) | {"hash": "0" * 64}) for one in forged.values() if one.number == 4]
    )
    durable.remove(archive.path / name)
    Ledger(archive.place).write([one for one in forged.values() if one.number == 2])
    told = " ".join(map(str, open_archive(archive.path).manifests.walk()[1]))
    assert "snapshots/0000000004.json is not the one that snapshot 5 was made on" in told


def test_commits_go_on_over_dropped_snapshots_and_ledgers_become_one(archive):
    with Clock() as clock:
        for turn in range(4):
            clear(archive, now=NOW + timedelta(days=60 * turn))
            clock.at(NOW + timedelta(days=60 * turn + 1))
            for _ in range(3):
                replace(archive, archive.head().number + 1)
                clock.on(hours=1)
            assert len(archive.manifests.ledger.names()) == 1 and whole(archive)
    assert readable(archive) == [1, 3, 5, 7, 11, 14, 16, 17, 18, 19]


def test_the_list_tells_rows_names_and_why_a_snapshot_stays(archive):
    tags.tag(archive, "paper", 3)
    run(archive, "one", 3)
    clear(archive)
    rows = retention.snapshots(open_archive(archive.path), now=NOW)
    assert [row["number"] for row in rows] == [7, 6, 5, 4, 3, 2, 1]
    third, fourth = rows[4], rows[3]
    size = archive.snapshot(3).files[0].bytes
    assert third == {
        "number": 3, "hash": archive.snapshot(3).hash, "time": "2031-02-05T12:00:00Z", "note": "day 3", "rows": 1,
        "files": 1, "bytes": size, "tags": ["paper"], "runs": 1, "dropped": False, "kept": "tag paper",
    }  # fmt: skip
    assert (fourth["dropped"], fourth["rows"], fourth["kept"], fourth["note"]) == (True, None, None, "day 4")
    assert retention.snapshots(archive, now=NOW) == rows  # now out of the cache
    document = kept.read(archive.cache, "snapshots")
    document["6"]["hash"] = "0" * 64
    kept.write(archive.cache, "snapshots", document | {"5": document["3"]})
    assert retention.snapshots(archive, now=NOW) == rows
    replace(archive, 8)
    assert [row["number"] for row in retention.snapshots(archive, now=NOW)][:2] == [8, 7]


# ---- what is removed besides


@pytest.mark.folder
def test_leftovers_go_when_they_are_old_and_what_is_the_users_stays(archive):
    place, path = archive.place, archive.path
    loose = archive.write("fx", rates(3), source="ecb").path
    tags.tag(archive, "paper", 1)
    temporary = ["snapshots/.tmp-1", "tags/.tmp-2", "locks/.tmp-3", ".tmp-4"]
    for name in (*temporary, "cache/quality/old.json", "cache/own.json"):
        place.write_new(name, b"left")
    old = "tags/.hold-" + "a" * 32 + ".json"
    place.write_new(old, b"left")
    staged = archive.stage()
    (staged / "run.json").write_text('{"summary": ')
    (path / "notes.txt").write_text("mine")
    (path / "data" / "notes.txt").write_text("mine")
    names = [loose, *temporary, staged.relative_to(path).as_posix()]
    with tags.hold(archive, [2], "test"):
        assert 2 not in clear(archive, dry_run=True)["snapshots"]  # though another hold is torn
        os.utime(path / old, (1, 1))
        os.utime(path / "cache/quality/old.json", (1, 1))
        assert retention.gc(archive, keep_days=10**4)["files"] == [old, "cache/quality/old.json"][::-1]
        told = retention.gc(archive, timedelta(seconds=-10), keep_days=10**4)
        assert told["files"] == sorted([*names, old, "cache/quality/old.json"])
        assert retention.gc(archive, timedelta(seconds=-10), keep_days=10**4, dry_run=False)["files"] == told["files"]
        assert retention.gc(archive, timedelta(seconds=-10), keep_days=10**4)["files"] == []
    assert (path / "notes.txt").exists() and (path / "cache/own.json").exists() and whole(archive)
    assert [one["name"] for one in tags.tags(archive)] == ["paper"]


def test_kept_series_of_files_that_no_snapshot_has_any_more_go_from_the_cache(archive):
    folder = archive.cache / "series"
    live, dead = archive.head().files[0].sha256, archive.snapshot(2).files[0].sha256
    for owner, sha in (("live", live), ("dead", dead)):
        name = kept.put(folder, owner, rates(1))
        kept.write(folder, owner, {"states": [{"files": [sha], "base": name}]})
    assert not [name for name in clear(archive, now=NOW, keep_days=1000)["files"] if "series" in name]
    told = [name for name in clear(archive)["files"] if "series" in name]
    assert [name[:18] for name in told] == ["cache/series/dead-", "cache/series/dead."]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.folder
def test_a_damaged_run_or_tag_is_told_and_nothing_is_removed(archive):
    run(archive, "one", 4)
    path = archive.path / "runs" / "one" / "run.json"
    path.write_text(path.read_text().replace('"number": 4', '"number": 5'))
    with pytest.raises(Damaged, match=r"^runs/one/run\.json is damaged"):
        clear(archive)
    assert readable(archive) == [1, 2, 3, 4, 5, 6, 7]
    archive.drop_run("one")
    tags.tag(archive, "paper", 2)
    durable.remove(archive.path / "tags" / "paper.json")
    (archive.path / "tags" / "paper.json").write_bytes(b"torn")
    with pytest.raises(Damaged, match=r"^tags/paper\.json is damaged"):
        clear(archive)
    assert readable(archive) == [1, 2, 3, 4, 5, 6, 7]


def test_one_process_at_a_time_removes_files(archive):
    with locks.hold(archive, "gc", "test"), pytest.raises(locks.Busy):
        clear(archive)
    assert clear(archive)["snapshots"] == [2, 4]


# ---- killed, or at once with others


class Killed(BaseException):
    """As if the process ended here."""


CALLS = ("write_once", "settle", "remove", "names", "tree")


def at_call(monkeypatch, archive, nth, act):
    """Let `act` happen just before the n-th thing that gc does with the place; a list that counts."""
    count = []
    for call in CALLS:
        original = getattr(archive.place, call)

        def step(*args, original=original, **words):
            count.append(1)
            if len(count) == nth:
                act()
            return original(*args, **words)

        monkeypatch.setattr(archive.place, call, step)
    return count


def stop():
    raise Killed


def copies(archive, tmp_path):
    """The store again and again, each as it was."""
    for number in range(200):
        folder = tmp_path / f"copy{number}"
        shutil.copytree(archive.path, folder)
        yield open_archive(folder)


@pytest.mark.folder
def test_killed_anywhere_the_store_is_whole_and_the_next_call_goes_on(archive, tmp_path, monkeypatch):
    tags.tag(archive, "paper", 3)
    for nth, store in enumerate(copies(archive, tmp_path), 1):
        with monkeypatch.context() as patch:
            count = at_call(patch, store, nth, stop)
            with contextlib.suppress(Killed):
                clear(store)
        again = open_archive(store.path)
        assert whole(again) and set(KEPT) <= set(readable(again))
        replace(again, 8)
        clear(again)
        assert readable(again) == [*sorted(KEPT), 8] and clear(again)["files"] == []
        assert sorted(path.name for path in (store.path / "data" / "fx").iterdir()) == sorted(
            segment.path[8:] for snapshot in again.history() for segment in snapshot.files
        )
        if len(count) < nth:
            assert nth > 20
            return
    pytest.fail("gc never ended")


@pytest.mark.parametrize("who", ["tag", "hold", "run", "killed tag"])
def test_who_comes_to_need_a_snapshot_meanwhile_has_it_or_is_told(archive, tmp_path, monkeypatch, who):
    seen = set()
    for nth, store in enumerate(copies(archive, tmp_path), 1):
        done, held = [], contextlib.ExitStack()

        def act(store=store, done=done, held=held):
            other = open_archive(store.path)
            try:
                if who == "run":
                    run(other, "one", 4)
                elif who == "hold":
                    held.enter_context(tags.hold(other, [4], "test"))
                else:
                    tags.tag(other, "paper", 4)
                done.append(True)
            except NotKept:
                done.append(False)
            if who == "killed tag":
                raise Killed

        with monkeypatch.context() as patch:
            count = at_call(patch, store, nth, act)
            try:
                clear(store)
            except Killed:
                clear(open_archive(store.path), now=NOW + timedelta(days=2))  # in a bucket it may be going for a day
        again = open_archive(store.path)
        assert whole(again)
        if len(count) < nth:
            assert seen == {True, False} and nth > 20
            return
        seen.add(done[-1])
        if done[-1] and who != "run":
            assert values(again, 4) == [4]
        elif who != "run":
            assert 4 not in readable(again) or who == "killed tag"
            assert tags.tags(again) == []
        held.close()
    pytest.fail("gc never ended")


def late(store):
    """A commit whose file is younger than what gc takes."""
    archive = open_archive(store.path)
    segment = archive.write("fx", rates(8), source="ecb")
    os.utime(archive.path / segment.path, (NOW.timestamp() + 1,) * 2)
    archive.commit([segment], archive.head().files)


@pytest.mark.folder
def test_a_commit_meanwhile_is_not_touched(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "sweeping", lambda archive: contextlib.nullcontext())  # as of a machine that is not seen
    for nth, store in enumerate(copies(archive, tmp_path), 1):
        with monkeypatch.context() as patch:
            count = at_call(patch, store, nth, lambda store=store: late(store))
            clear(store)
        again = open_archive(store.path)
        assert whole(again)
        if len(count) < nth:
            return
        assert values(again) == [8] and readable(again) == [*sorted(KEPT), 8]
    pytest.fail("gc never ended")


@pytest.mark.folder
def test_without_hard_links_a_torn_ledger_is_no_damage_and_goes(archive, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    torn = archive.path / f"snapshots/dropped-{'a' * 32}.json"
    torn.write_bytes(b"torn")
    assert readable(archive) == [1, 2, 3, 4, 5, 6, 7]
    clear(archive, now=datetime.now(UTC) + timedelta(days=1), keep_days=10**4)
    assert not torn.exists() and readable(archive) == [1, 2, 3, 4, 5, 6, 7]
    clear(archive)
    assert readable(archive) == sorted(KEPT)


def test_a_file_that_cannot_be_removed_is_told_in_one_sentence(archive, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as patch, pytest.raises(NotWritten, match="could not be removed") as caught:
        patch.setattr(archive.place, "remove", fail)
        clear(archive)
    assert "\n" not in str(caught.value)
    assert whole(archive)
    clear(archive)
    assert readable(archive) == sorted(KEPT)


@pytest.mark.folder
def test_gc_makes_room_on_a_disk_that_is_full_to_the_last_byte(tmp_path):
    with small_disk(tmp_path / "disk", "2m") as disk:
        archive = open_archive(disk / "store", create=True)
        archive.commit([archive.write("fx", rates(1.1))])
        abandoned = archive.write("fx", rates(*range(5000)))
        fill(disk, 0)
        with pytest.raises(DiskFull):
            archive.commit([archive.write("fx", rates(1.2))])
        assert retention.gc(archive, timedelta(seconds=-10), dry_run=False)["files"] == [abandoned.path]
        archive.commit([archive.write("fx", rates(1.2))])
        assert archive.read("fx")["rate"].to_list() == [1.1, 1.2]
