"""Copies of what lies in a bucket: what is read once serves again, damage never does, and the oldest give way."""

import contextlib
import os
import threading
import time
from hashlib import sha256

import pytest

from store import bucket, fetched
from store.archive import Damaged, StoreError, open_archive
from store.bucket import Bucket
from tests.buckets import another_machine, stored

pytest_plugins = ("tests.s3_server",)
pytestmark = [pytest.mark.service, pytest.mark.usefixtures("quick")]


@pytest.fixture
def archive(cloud):
    return open_archive(cloud, create=True)


def test_what_was_read_once_is_read_again_without_the_service(archive, cloud, between):
    for source in "abcdef":
        stored(archive, source)
    through = open_archive(cloud)
    assert through.read("fx").height == 18
    del between.seen[:]
    assert through.sql("select count(*) as rows from fx").item() == 18
    assert not [path for _, path in between.seen if "/data/" in path]
    assert [path for _, path in between.seen if "/snapshots/" in path]


@pytest.mark.parametrize(("threads", "wait", "met"), [(16, 30.0, True), (1, 0.2, False)])
def test_many_files_are_fetched_side_by_side(archive, cloud, between, monkeypatch, threads, wait, met):
    for source in "abcd":
        stored(archive, source)
    meeting = threading.Barrier(4, timeout=wait)  # nobody goes on before four have come

    def rule(request, number):
        if "/data/fx/" in request.path:
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait()

    between.rule = rule
    monkeypatch.setattr(bucket, "THREADS", threads)
    assert open_archive(cloud).read("fx").height == 12
    assert meeting.broken is not met


def test_a_damaged_copy_is_fetched_anew(archive):
    [segment] = stored(archive).files
    assert archive.read("fx").height == 3
    copy = fetched.folder() / "objects" / segment.sha256
    whole = copy.read_bytes()
    for spoiled in (b"", whole[:-1], whole[:50] + b"?" + whole[51:]):
        copy.chmod(0o644)
        copy.write_bytes(spoiled)
        assert archive.read("fx").equals(open_archive(str(archive.place)).read("fx"))
        assert copy.read_bytes() == whole
    copy.unlink()
    assert archive.read("fx").height == 3


def test_a_damaged_object_is_never_served(archive, monkeypatch, tmp_path):
    stored(archive, "a")
    first, second = stored(archive, "b").files
    place, whole = archive.place, archive.place.read(first.path)
    for number, spoiled in enumerate((b"", whole[:-1], whole[:50] + b"?" + whole[51:], place.read(second.path))):
        place.hint(first.path, spoiled)
        another_machine(monkeypatch, tmp_path / str(number))
        fresh = open_archive(str(place))
        for read in (fresh.read, lambda table, fresh=fresh: fresh.sql("select * from fx")):
            with pytest.raises(Damaged, match=f"{first.path} is damaged"):
                read("fx")
        assert [problem.path for problem in fresh.verify()] == [first.path]
        assert not (tmp_path / str(number) / "objects" / first.sha256).exists()
    place.remove(first.path)
    with pytest.raises(Damaged, match=f"{first.path} is missing"):
        fresh.read("fx")


def test_copies_used_longest_ago_give_way_but_none_that_is_used(cloud, monkeypatch):
    place, day = Bucket(cloud), 86400
    for number in range(4):
        place.write_new(f"data/fx/{number}", bytes([number]) * 1000)
    shas = [sha256(bytes([number]) * 1000).hexdigest() for number in range(5)]
    paths = [place.local(f"data/fx/{number}", shas[number]) for number in range(4)]
    for age, path in zip((9, 7, 8, 6), paths, strict=True):
        os.utime(path, (time.time() - age * day,) * 2)
    monkeypatch.setenv("FRONTMONTH_CACHE_BYTES", "3500")
    fresh = Bucket(cloud)  # as another process, that has used nothing yet
    assert fresh.local("data/fx/0", shas[0]) == paths[0]
    fresh.write_new("data/fx/4", bytes([4]) * 1000)
    fresh.local("data/fx/4", shas[4])
    assert [path.exists() for path in paths] == [True, False, False, True]
    monkeypatch.setenv("FRONTMONTH_CACHE_BYTES", "lots")
    with pytest.raises(StoreError, match="FRONTMONTH_CACHE_BYTES"):
        fresh._copies.sweep()
