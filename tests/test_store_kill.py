"""Writers are killed at random; what was reported done is there, nothing is torn, the next command works.

`pytest tests/test_store_kill.py --kills 200` is the long form.
"""

import os
import random
import sys

import pytest

from store import manifest
from tests.killing import finished, judge, judge_batches, killed, without_links, writer

pytestmark = pytest.mark.service


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_killed_writer_loses_nothing_and_tears_nothing(tmp_path, kills, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", without_links)
        kills = max(2, kills // 5)
    path, acknowledged = tmp_path / "store", []
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    chance = random.Random(seed)
    for kill in range(1, kills + 1):
        lines = killed(writer(path, seed + kill, links=links), chance.uniform(0.0, 0.2))
        assert lines, "the writer died before its first commit"
        acknowledged += lines
        archive = judge(path, acknowledged)
        judge_batches(archive, acknowledged, unknown=kill)
    before = archive.head().number
    [lines] = finished([writer(path, seed, commits=1, links=links)])
    assert [line["number"] for line in lines] == [before + 1]


def test_two_writers_at_once_both_commit_or_one_is_told(tmp_path):
    path = tmp_path / "store"
    first, second = finished([writer(path, seed, commits=25) for seed in (1, 2)])
    archive = judge(path, first + second)
    judge_batches(archive, first + second, unknown=0)
    assert archive.head().number == len(first + second)


def test_the_judge_sees_a_commit_that_is_lost(tmp_path):
    path = tmp_path / "store"
    [lines] = finished([writer(path, 1, commits=3)])
    manifest.durable.remove(path / "snapshots/head")
    manifest.durable.remove(path / f"snapshots/{lines[-1]['number']:010d}.json")
    with pytest.raises(AssertionError):
        judge(path, lines)
