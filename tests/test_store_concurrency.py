"""Two writers, a reader, a notebook, one that compacts and one that cleans up share a store: nobody is in the way.

`pytest tests/test_store_concurrency.py --seconds 60` is the long form.
"""

import statistics
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from store import open_archive
from store.places import Folder
from tests.sharing import ROWS, Timed, faults, read, share

pytestmark = pytest.mark.service
PROVES = (1, 3, 4)
ROLES = {"first": "write", "second": "write", "reader": "read", "notebook": "ask", "compact": "join", "gc": "clean"}
ROLES |= {"other": "ask"}  # two notebooks


def test_all_that_work_on_a_store_at_once_find_it_whole(tmp_path, seconds, record_property):
    path = tmp_path / "store"
    open_archive(path, create=True)
    logs, errors = share(path, tmp_path, seconds, ROLES)
    looked = logs["reader"] + logs["notebook"]
    took = sorted(line["seconds"] - line.get("judged", 0.0) for line in looked)
    numbers = {
        "commits": len(logs["first"] + logs["second"]),
        "reads": len(logs["reader"]),
        "queries": len(logs["notebook"]),
        "files_joined": sum(line["joined"] for line in logs["compact"]),
        "files_removed": sum(line["removed"] for line in logs["gc"]),
        "errors": len(errors),
        "median_read_ms": round(1000 * statistics.median(took), 1),
        "slowest_read_ms": round(1000 * took[-1], 1),
        "longest_wait_ms": round(1000 * max(line["waited"] for line in looked), 1),
    }
    for name, value in numbers.items():
        record_property(name, value)
    assert errors == {}
    assert faults(path, logs, ROLES) == []
    archive = open_archive(path)
    aged = ("files_removed",) if isinstance(archive.place, Folder) else ()  # no file of a bucket can be aged
    assert all(numbers[name] > 0 for name in ("commits", "reads", "queries", "files_joined", *aged))
    archive.gc(timedelta(minutes=1), dry_run=False)
    assert archive.gc(timedelta(minutes=1)) == []
    assert read(archive, "", 0)["faults"] == []


def test_readers_see_what_is_torn_between_two_commits(tmp_path):
    path = tmp_path / "store"
    roles = {"first": "write_apart", "reader": "read", "notebook": "ask"}
    logs, errors = share(path, tmp_path, 1, roles)
    assert errors == {}
    found = faults(path, logs, roles)
    assert [fault for fault in found if fault.startswith("reader: torn")]
    assert [fault for fault in found if fault.startswith("notebook: torn")]


def test_the_judge_sees_what_is_lost_late_or_older_than_before(tmp_path):
    path, roles = tmp_path / "store", {"first": "write", "reader": "read"}
    open_archive(path, create=True)
    logs, errors = share(path, tmp_path, 1, roles)
    assert errors == {} and faults(path, logs, roles) == []

    logs["reader"].reverse()
    assert any("went backwards" in fault for fault in faults(path, logs, roles))
    logs["reader"].reverse()

    late = logs["reader"][0] | {"began": logs["first"][-1]["began"] + 60.0}
    assert [
        fault for fault in faults(path, logs | {"reader": [late]}, roles) if "when" in fault and "was done" in fault
    ]

    archive = open_archive(path)
    newest = archive.head()
    [batch] = [s for s in newest.files if s.path not in {one.path for one in archive.snapshot(newest.number - 1).files}
               and s.table == "fx"]  # fmt: skip
    archive.commit([], remove=[batch])
    found = faults(path, logs, roles)
    assert [fault for fault in found if fault.startswith(("lost", "torn"))]
    assert batch.rows == ROWS

    never = {"number": 10**6, "hash": "", "began": 0.0, "seconds": 0.0}
    with pytest.raises(AssertionError):
        faults(path, logs | {"first": [*logs["first"], never]}, roles)


def test_waiting_is_told_from_working_and_from_waiting_for_a_processor():
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("the kernel does not tell how long a thread ran")
    lock, table = threading.Lock(), pl.DataFrame({"x": np.random.default_rng(1).random(5_000_000)})
    lock.acquire()
    with Timed() as waiting:
        lock.acquire(timeout=0.5)
    with Timed() as working:
        while time.monotonic() < working.began + 0.5:
            pass
    with Timed() as helped:
        table.sort("x")
    assert 0.45 < waiting.waited <= waiting.seconds
    assert working.waited < 0.2 * working.seconds
    assert helped.waited < 0.5 * helped.seconds
