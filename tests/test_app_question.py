"""Questions in a process of their own: it answers, and whatever it does it is got rid of."""

import os
import signal
import time
from datetime import date

import polars as pl
import pytest

from app import question
from app.question import Limits, Question, document
from store.answer import Answer
from store.archive import open_archive
from store.tags import tag

pytestmark = pytest.mark.service
LONG = "select count(*) from range(100000000) a, range(1000000) b"
DEAF = "select sum(levenshtein(repeat('a', 200000), repeat('b', 200000 + range))) from range(9)"  # hears no interrupt


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two snapshots: the first has two rates and the tag `paper`, the second none."""
    archive = open_archive(tmp_path_factory.mktemp("asked") / "store", create=True)
    rows = pl.DataFrame({"currency": ["EUR", "USD"], "day": [date(2024, 1, 1)] * 2, "rate": [1.1, None]})
    archive.commit([archive.write("fx", rows, source="ecb")])
    tag(archive, "paper")
    archive.commit([], remove=archive.head().files)
    return archive.path


@pytest.fixture
def asked(store):
    """Makes questions; their processes are ended."""
    made = []

    def ask(**limits):
        made.append(Question(store, Limits(**limits)))
        return made[-1]

    yield ask
    for one in made:
        one.close()


def outcome(one):
    """What comes of a question."""
    while (found := one.poll(wait=0.05)) is None:
        assert one.seconds < 60
    return found


def test_one_process_answers_question_after_question(asked):
    one = asked()
    one.ask("select currency, rate from fx order by rate", "paper")
    found = outcome(one)["answer"]
    assert found.pop("seconds") < 30
    kinds = [{"name": "currency", "kind": "text"}, {"name": "rate", "kind": "real"}]
    assert found == {"columns": kinds, "rows": [["EUR", "1.1"], ["USD", None]], "cut": False, "snapshot": 1}
    first = one._process.pid
    one.ask("select count(*) from fx")
    assert outcome(one)["answer"]["rows"] == [["0"]]
    one.ask("select no_such from fx", "1")
    assert '"no_such" not found' in outcome(one)["refused"]
    one.ask("select 1", "no-tag")
    assert "no-tag" in outcome(one)["refused"]
    assert one._process.pid == first
    assert one.poll() is None


def test_a_question_that_takes_too_long_is_stopped_by_the_process_itself(asked):
    one = asked(seconds=0.3)
    one.ask(LONG)
    assert "stopped after 0.3 seconds" in outcome(one)["refused"]
    one.ask("select 7")
    assert outcome(one)["answer"]["rows"] == [["7"]]


def test_a_question_that_cannot_be_interrupted_is_killed(asked, monkeypatch):
    monkeypatch.setattr(question, "GRACE", 0.3)
    one = asked(seconds=0.3)
    one.ask(DEAF)
    pid = one._process.pid
    assert "the query was stopped after" in outcome(one)["refused"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    one.ask("select 7")
    assert outcome(one)["answer"]["rows"] == [["7"]]


def test_a_question_that_takes_too_much_memory_is_killed(asked):
    one = asked(memory=400 * 2**20)
    one.ask("select len(range(400000000))")  # one value, which no limit of DuckDB counts
    assert "took more than 0.390625 GB of memory" in outcome(one)["refused"]


def test_a_question_can_be_cancelled_and_another_asked_instead(asked):
    one = asked()
    one.ask(LONG)
    pid = one._process.pid
    one.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert one.poll() is None
    one.ask(LONG)
    one.ask("select 7")
    assert outcome(one)["answer"]["rows"] == [["7"]]


def test_a_process_that_dies_is_told_and_replaced(asked):
    one = asked()
    one.ask(LONG)
    os.kill(one._process.pid, signal.SIGKILL)
    assert "ended before it did" in outcome(one)["refused"]
    one.ask("select 7")
    assert outcome(one)["answer"]["rows"] == [["7"]]


def test_an_answer_is_cut_by_rows_by_text_and_by_cell():
    rows = document(Answer(pl.DataFrame({"a": ["x" * 20_000, None]}), True, 1))["rows"]
    assert rows == [["x" * question.CELL + "…"], [None]]
    long = document(Answer(pl.DataFrame({"a": ["x" * 9_999] * 1000}), False, 1))
    assert long["cut"] and len(long["rows"]) == question.TEXT // 9_999


def test_rows_are_cut_at_the_limit(asked):
    one = asked(rows=5)
    one.ask("select range from range(9)")
    found = outcome(one)["answer"]
    assert found["cut"] and found["rows"] == [[str(k)] for k in range(5)]


def test_an_answer_can_be_a_file_and_is_told_in_numbers_only(asked, tmp_path):
    one = asked(rows=None)
    one.ask("select range as n from range(20000)", file=tmp_path / "staged", name="a.parquet")
    found = outcome(one)["answer"]
    assert found.pop("seconds") < 30 and found == {"rows": 20_000, "cut": False, "snapshot": 2}
    assert one._deadline > time.monotonic() + question.WRITING - 30  # it said when it began to write
    assert pl.read_parquet(tmp_path / "staged")["n"].to_list() == list(range(20_000))
    one.ask("select 7 as x", file=tmp_path / "nowhere" / "staged", name="b.csv")
    assert outcome(one)["refused"] == "b.csv could not be written (No such file or directory); nothing was changed"


def test_the_time_that_a_large_answer_takes_to_be_written_is_not_the_questions(asked, monkeypatch):
    one = asked(seconds=5.0)
    monkeypatch.setattr(question, "GRACE", 0.0)
    one.ask("select 7")
    assert "answer" in outcome(one)
    one.began, said = time.monotonic(), one._said
    said.put({"ready": True})
    assert one.poll() is None and one._deadline < time.monotonic() + 5.1
    said.put({"found": True})
    assert one.poll() is None and one._deadline > time.monotonic() + question.WRITING - 1
    said.put({"answer": {}})
    assert one.poll() == {"answer": {}}


def begun(one, sql, store):
    """Ask; the folder of what is large, once the question runs."""
    folder = store / "cache" / "sql"
    before = set(folder.iterdir()) if folder.exists() else set()
    one.ask(sql)
    while not (one.ready and set(folder.iterdir()) - before):
        assert one.poll(wait=0.05) is None
    return (set(folder.iterdir()) - before).pop()


@pytest.mark.parametrize("sql", [LONG, DEAF])
def test_nothing_is_left_of_a_question_whose_asker_is_gone(asked, store, sql):
    one = asked()
    spill, process = begun(one, sql, store), one._process
    process.stdin.close()  # as the end of this process would
    assert process.wait(20) == 0 and not spill.exists()


def test_a_cancelled_question_leaves_no_files(asked, store):
    one = asked()
    spill = begun(one, LONG, store)
    one.cancel()
    assert not spill.exists()


def test_what_lies_in_the_folder_of_the_caller_is_not_run(asked, tmp_path, monkeypatch):
    for name in ("json", "polars", "queue", "app"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    one = asked()
    one.ask("select 7")
    assert outcome(one)["answer"]["rows"] == [["7"]] and not (tmp_path / "ran").exists()
