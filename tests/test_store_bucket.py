"""A store in a bucket: runs are there whole, own files come along, and of four writers none loses anything."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from store.archive import Conflict, NotWritten, StoreError, open_archive
from store.bucket import Bucket
from tests import killing
from tests.buckets import always, another_machine
from tests.conftest import REPO

PROVES = (1,)  # guarantees

pytest_plugins = ("tests.s3_server",)
pytestmark = [pytest.mark.service, pytest.mark.usefixtures("quick")]


@pytest.fixture
def archive(cloud):
    return open_archive(cloud, create=True)


# ---- addresses


def test_an_address_is_a_bucket_and_a_prefix(cloud):
    same = [Bucket(text) for text in ("s3://prices/a/b", "s3:/prices/a/b", "s3://prices/a/b/")]
    assert len(set(same)) == 1 and str(same[1]) == "s3://prices/a/b" and len({place.path for place in same}) == 1
    assert Bucket("s3://prices").path != Bucket("s3://prices/a").path
    for text in (
        "s3://",
        "s3://P/x",
        "s3://ab",
        "s3://prices/../x",
        "s3://prices/a b",
        "s3://k:s@host/x",
        "s3://prices/a?b",
    ):
        with pytest.raises(StoreError, match="has the form s3://bucket/prefix"):
            Bucket(text)


# ---- runs


def test_an_upload_that_was_killed_is_no_run_and_gc_takes_it(archive, between, cloud):
    def staged(text):
        folder = archive.stage()
        (folder / "equity.parquet").write_bytes(text)
        (folder / "run.json").write_text('{"summary": {}}')
        return folder

    through = open_archive(cloud)
    between.rule = always("PUT", "/run.json", (403, "AccessDenied", ""))
    with pytest.raises(NotWritten):
        through.publish(staged(b"1"), "abc")
    assert archive.run_ids() == [] and archive.place.unfinished() == ["runs/abc/equity.parquet"]
    with pytest.raises(NotWritten, match="is saving that run, or was killed"):
        archive.publish(staged(b"2"), "abc")
    archive.publish(staged(b"1"), "abc")  # the same run again goes on where it was killed
    assert archive.run_ids() == ["abc"] and archive.gc(timedelta(seconds=-10)) != []  # the folders that were staged
    archive.place.write_new("runs/def/equity.parquet", b"1")
    assert "runs/def/equity.parquet" not in archive.gc()  # too young
    assert "runs/def/equity.parquet" in archive.gc(timedelta(seconds=-10), dry_run=False)
    assert archive.place.tree("runs") == ["runs/abc/equity.parquet", "runs/abc/run.json"]
    with pytest.raises(Conflict, match="abc exists already"):
        archive.publish(staged(b"1"), "abc")


def test_a_run_that_was_replaced_elsewhere_is_read_anew(archive, monkeypatch, tmp_path):
    for text in ("1", "2", "2", "3"):
        archive.place.remove_tree("runs/abc")
        folder = archive.stage()
        (folder / "run.json").write_text(text)
        archive.publish(folder, "abc")
        for name in ("one", "two"):
            another_machine(monkeypatch, tmp_path / name)
            assert open_archive(str(archive.place)).run_file("abc", "run.json").read_text() == text


def _run(archive, text):
    """A staged run of one table."""
    folder = archive.stage()
    (folder / "equity.parquet").write_bytes(text)
    (folder / "run.json").write_text(json.dumps({"files": {"equity.parquet": hashlib.sha256(text).hexdigest()}}))
    return folder


def _whole(archive, text):
    """Whether the run is there with its table, or not at all."""
    names = archive.place.tree("runs/abc")
    if "runs/abc/run.json" in names:
        assert archive.place.read("runs/abc/equity.parquet") == text
    return "runs/abc/run.json" in names


@pytest.mark.parametrize("first", ["drop", "publish"])
def test_a_run_that_is_dropped_here_and_saved_there_is_whole_or_not_there(archive, monkeypatch, first):
    other, objects = open_archive(str(archive.place)), archive.place._objects
    for nth in range(1, 50):
        with contextlib.suppress(Conflict):
            archive.publish(_run(archive, b"1"), "abc") if first == "drop" else archive.place.remove_tree("runs/abc")
        count = []

        def act():
            with contextlib.suppress(Conflict, FileNotFoundError):
                other.publish(_run(other, b"1"), "abc") if first == "drop" else other.drop_run("abc")

        with monkeypatch.context() as patch:
            for call in ("read", "head", "list", "create", "update", "delete"):
                original = getattr(objects, call)

                def step(*args, original=original, count=count, nth=nth, **words):
                    count.append(1)
                    if len(count) == nth:
                        act()
                    return original(*args, **words)

                patch.setattr(objects, call, step)
            archive.drop_run("abc") if first == "drop" else archive.publish(_run(archive, b"1"), "abc")
        _whole(archive, b"1")
        if len(count) < nth:
            assert nth > 4
            return
    pytest.fail("it never ended")


def test_a_run_is_replaced_and_is_never_away(archive, between, cloud):
    archive.publish(_run(archive, b"1"), "abc")
    through = open_archive(cloud)
    between.rule = always("PUT", "/run.json", (403, "AccessDenied", ""))
    with pytest.raises(NotWritten):
        through.publish(_run(archive, b"2"), "abc", replace=True)
    assert archive.run_ids() == ["abc"]
    archive.publish(_run(archive, b"2"), "abc", replace=True)
    assert _whole(archive, b"2")


# ---- the user's own files


def test_own_files_are_brought_changed_and_removed_and_no_others(archive, monkeypatch, tmp_path):
    place = archive.place
    own = {"holidays.csv": b"h", "strategies/mine.py": b"x = 1\n", "portfolios/p.toml": b"name = 'p'\n"}
    strange = ["strategies/sub/deep.py", "notes.txt", ".hidden.csv", "strategies/.x.py", "data/fx/a.csv"]
    for name, text in (own | dict.fromkeys(strange, b"?")).items():
        place.hint(name, text)
    another_machine(monkeypatch, tmp_path / "other")
    path = open_archive(str(place)).path
    assert {name: (path / name).read_bytes() for name in own} == own
    assert not any((path / name).exists() for name in strange)
    (path / "holidays.csv").write_text("edited here by mistake")
    place.hint("strategies/mine.py", b"x = 2\n")
    place.remove("portfolios/p.toml")
    open_archive(str(place))
    assert (path / "holidays.csv").read_bytes() == b"h"
    assert (path / "strategies/mine.py").read_bytes() == b"x = 2\n"
    assert not (path / "portfolios/p.toml").exists()


def test_two_machines_do_not_undo_each_other_s_changes_beside_the_store(archive, monkeypatch, tmp_path):
    another_machine(monkeypatch, tmp_path / "one")
    one = open_archive(str(archive.place))
    another_machine(monkeypatch, tmp_path / "two")
    two = open_archive(str(archive.place))
    one.place.put_beside("contracts.csv", b"of one\n")
    with pytest.raises(NotWritten, match=r"contracts\.csv was changed from elsewhere"):
        two.place.put_beside("contracts.csv", b"of two\n")
    two = open_archive(str(archive.place))
    two.place.put_beside("contracts.csv", b"of one\nof two\n")
    assert one.place.read("contracts.csv") == b"of one\nof two\n"
    for name in ("../x.csv", "data/x.csv", "strategies/../../x.py", "snapshots/head"):
        with pytest.raises(StoreError, match="no file beside a store"):
            two.place.put_beside(name, b"")


# ---- processes


def frontmonth(*words, **environment):
    """The command in a process of its own: (exit code, all that it wrote)."""
    command = [sys.executable, "-c", "from app.cli import main; main()", *map(str, words)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, env=os.environ | environment)
    return done.returncode, done.stdout + done.stderr


def test_the_command_keeps_a_store_in_a_bucket_and_tells_no_secret(cloud, secrets, tmp_path):
    lines = ["Time,Open,High,Low,Close,Volume", *(f"2024-01-0{day}T06:00:00+0000,9,11,8,10,5" for day in (2, 3, 4))]
    (tmp_path / "Day_CORN_20240300.csv").write_text("\n".join([*lines, ""]))
    code, out = frontmonth("--store", cloud, "--debug", "import", tmp_path / "Day_CORN_20240300.csv")
    assert code == 0, out
    archive = open_archive(cloud)
    assert archive.read("contract_bars").height == 3
    code, failed = frontmonth("--store", f"{cloud}/none", "--debug", "markets")
    assert code == 1 and "there is no store in" in failed
    held = [archive.place.read(name) for name in archive.place.tree("snapshots")]
    held += [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    everything = "\n".join([out, failed, repr(archive), repr(archive.place)]).encode() + b"".join(held)
    assert not any(secret.encode() in everything for secret in secrets)


def test_four_writers_one_of_them_killed_lose_nothing_and_tear_nothing(cloud, kills, record_property):
    chance, acknowledged, pipe = killing.seeded(record_property), [], subprocess.PIPE
    for turn in range(1, max(2, kills // 10) + 1):
        commands = [killing.writer(cloud, 10 * turn + number, commits=8) for number in range(3)]
        commands.append(killing.writer(cloud, 10 * turn + 3, commits=10**6))
        running = [subprocess.Popen(words, cwd=REPO, stdout=pipe, stderr=pipe, text=True) for words in commands]
        first = running[3].stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running[3].wait(chance.uniform(0.0, 0.3))
        running[3].kill()
        printed = [process.communicate() for process in running]
        assert [errors for _, errors in printed] == [""] * 4
        assert [process.returncode for process in running] == [0, 0, 0, -signal.SIGKILL]
        acknowledged += [line for out, _ in printed[:3] for line in killing.lines_of(out)]
        acknowledged += killing.lines_of(first + printed[3][0])
        archive = killing.judge(cloud, acknowledged)
        killing.judge_batches(archive, acknowledged, unknown=turn)
        assert len({line["number"] for line in acknowledged}) == len(acknowledged) > 8 * turn
    record_property("acknowledged", len(acknowledged))
