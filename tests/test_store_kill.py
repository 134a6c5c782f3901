"""Writers are killed at random; what was reported done is there, nothing is torn, the next command works.

`pytest tests/test_store_kill.py --kills 200` is the long form.
"""

import os

import pytest

from store import durable
from tests.forks import Forks
from tests.killing import finished, judge, judge_batches, lines_of, seeded, without_links, writer

pytestmark = pytest.mark.service
PROVES = (1, 2, 4)
LONGEST = 0.15  # until a kill [s]


@pytest.fixture(scope="module")
def forks():
    with Forks() as server:
        yield server


@pytest.mark.folder
@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_killed_writer_loses_nothing_and_tears_nothing(tmp_path, forks, kills, links, monkeypatch, record_property):
    if not links:
        monkeypatch.setattr(os, "link", without_links)
        kills = max(2, kills // 5)
    path, acknowledged, chance = tmp_path / "store", [], seeded(record_property)
    work = {"function": "tests.killing:commit_often", "path": str(path), "links": links}
    for kill in range(1, kills + 1):
        command = forks.start(tmp_path, work | {"seed": chance.randrange(10**9)})
        ended = command.end(kill_after=chance.uniform(0.0, LONGEST), spoken=kill == 1)
        assert ended.killed and ended.err == ""
        acknowledged += lines_of(ended.out)
        if (path / "snapshots").exists():
            judge_batches(judge(path, acknowledged), acknowledged, unknown=kill)
    assert acknowledged, "no writer came to its first commit"
    before = judge(path, acknowledged).head().number
    ended = forks.run(tmp_path, work | {"seed": 0, "commits": 1})
    assert [line["number"] for line in lines_of(ended.out)] == [before + 1]
    record_property("kills", kills)
    record_property("acknowledged", len(acknowledged))


@pytest.mark.folder
def test_the_clock_of_a_kill_may_begin_with_the_first_line_that_a_writer_tells(tmp_path, forks):
    work = {"function": "tests.killing:commit_often", "path": str(tmp_path / "store"), "seed": 7}
    ended = forks.start(tmp_path, work).end(kill_after=0.0, spoken=True)
    assert ended.killed and len(lines_of(ended.out)) >= 1


def test_two_writers_at_once_both_commit_or_one_is_told(tmp_path):
    path = tmp_path / "store"
    first, second = finished([writer(path, seed, commits=25) for seed in (1, 2)])
    archive = judge(path, first + second)
    judge_batches(archive, first + second, unknown=0)
    assert archive.head().number == len(first + second)


@pytest.mark.folder
def test_the_judge_sees_a_commit_that_is_lost(tmp_path):
    path = tmp_path / "store"
    [lines] = finished([writer(path, 1, commits=3)])
    durable.remove(path / "snapshots/head")
    durable.remove(path / f"snapshots/{lines[-1]['number']:010d}.json")
    with pytest.raises(AssertionError):
        judge(path, lines)
