"""Series made by other processes: one that dies, or talks rubbish, leaves its jobs undone, and nobody waits for it."""

import io
import queue
from types import SimpleNamespace

import pytest

from store import derived, workers
from tests import small_store
from tests.test_store_derived import anew, counted, same, wanted


@pytest.fixture
def archive(tmp_path):
    return small_store.build(tmp_path / "store")


@pytest.mark.service
@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(3)",
        "import sys; sys.stdin.close(); sys.stdout.close()",
        "import os; os.write(1, b'\\xff\\xfe no text \\n' * 99); input()",
        "import os; os.write(1, b'\\xff\\xfe no line at all')",
        "print('Warning: an old processor', flush=True); from store.workers import main; main()",
    ],
)
def test_a_process_that_dies_or_talks_rubbish_leaves_its_jobs_and_nobody_waits(archive, monkeypatch, code):
    monkeypatch.setattr(workers, "_COMMAND", code)
    requests = [wanted(archive, root) for root in ("MES", "FGBL")]
    assert list(workers.make([request.job for request in requests], 10, processes=2)) == []
    with counted() as made:
        found = derived.series(requests, processes=2)
    assert sorted(made) == ["FGBL", "MES"] and all(same(one, anew(r)) for one, r in zip(found, requests, strict=True))


def test_a_pipe_that_is_closed_already_ends_the_feeding():
    waiting, answers = queue.SimpleQueue(), queue.SimpleQueue()
    waiting.put((0, "{}"))
    stream = io.StringIO()
    stream.close()
    workers._feed(SimpleNamespace(stdin=stream, stdout=stream), waiting, answers)
    assert answers.get_nowait() is None and answers.empty()
