"""What a kill test needs: a writer to kill, a way to kill it, moments to do so, and the oracle over what is left.

`python -m tests.killing STORE SEED COMMITS` commits in a loop and prints each commit that was reported done.
"""

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from store.archive import Conflict, open_archive
from store.verify import verify
from tests.conftest import REPO

ROWS = 40  # rows of one batch, in each of two tables


def finished(commands):
    """Run commands side by side to their end and return the lines of each, as JSON."""
    started = [subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) for command in commands]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return [[json.loads(line) for line in text.splitlines()] for text in printed]


def problems(archive):
    """What is damaged in a store."""
    return verify(archive)["problems"]


def seeded(record_property):
    """A source of chance, whose seed the report of the test has; FRONTMONTH_SEED repeats one."""
    seed = int(os.environ.get("FRONTMONTH_SEED") or random.randrange(10**6))
    record_property("seed", seed)
    sys.stdout.write(f"FRONTMONTH_SEED={seed}\n")  # shown when the test fails
    return random.Random(seed)


def lines_of(text):
    """JSON of the lines that are whole."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def judge(path, acknowledged):
    """Assert that nothing is torn and that every acknowledged commit is a snapshot; the archive."""
    archive = open_archive(path)
    assert problems(archive) == []
    known = {snapshot.number: snapshot.hash for snapshot in archive.history()}
    lost = [line for line in acknowledged if known.get(line["number"]) != line["hash"]]
    assert lost == []
    return archive


class Moments:
    """Random moments inside the work of a command, measured where nobody killed it.

    Half of them fall anywhere in it, half into the part in which it writes, however short that is.
    """

    def __init__(self, chance, total, writing):
        self.chance, self.total, self.writing = chance, total, min(writing / total, 1.0)

    def draw(self):
        """Seconds after the begin."""
        first = 0.0 if self.chance.random() < 0.5 else 0.95 * self.writing
        return self.total * self.chance.uniform(first, 1.02)

    def took(self, ended):
        """Learn from a command that came to its end: other work on the machine makes all of it faster or slower."""
        self.total = (self.total + ended.seconds) / 2


def first_change(folders, since):
    """Seconds from `since` [s since 1970] to the first file or folder that was made or changed in these folders."""
    times = [path.lstat().st_mtime for folder in folders for path in Path(folder).rglob("*")]
    return min((time - since for time in times if time >= since), default=0.0)


def kill_often(forks, ground, kills, chance):
    """Kill a ground's work at so many random moments, judging after each; what happened, as numbers."""
    ground.judge(finished_work(forks, ground))
    command, began = forks.start(ground.folder, ground.work()), time.time()
    ended = command.end()
    moments = Moments(chance, ended.seconds, first_change(ground.written, began))
    ground.judge(ended)
    counts = {"kills": 0, "whole": 0, "finished": 1}
    for _ in range(6 * kills):
        if counts["kills"] == kills:
            break
        ended = forks.start(ground.folder, ground.work()).end(kill_after=moments.draw())
        assert ended.killed or ended.code == 0, ended.err
        there = ground.judge(ended)
        counts["kills"] += ended.killed
        counts["whole"] += bool(ended.killed and there)
        if chance.random() < 0.25:  # the next command works; else the next kill falls on what this one left
            ended = finished_work(forks, ground)
            ground.judge(ended)
            counts["finished"] += 1
        if not ended.killed:
            moments.took(ended)
    assert counts["kills"] == kills, "the work ends before it can be killed"
    assert ground.judge(finished_work(forks, ground))
    counts["orphans"] = ground.swept()
    return counts


def finished_work(forks, ground):
    """The work of a ground, done by a process that nobody kills."""
    ended = forks.run(ground.folder, ground.work())
    assert ended.code == 0 and ended.err == "", ended.err
    return ended


def judge_batches(archive, acknowledged, unknown):
    """Assert that batches are in both tables or in none, whole, all that were acknowledged and few others."""
    counts = [archive.read(table).group_by("source").len() for table in ("fx", "rates")]
    batches, others = ({source: rows for source, rows in count.rows()} for count in counts)
    assert batches == others
    assert set(batches.values()) <= {ROWS}
    told = {line["batch"] for line in acknowledged if line["batch"]}
    assert told <= batches.keys()
    assert len(batches.keys() - told) <= unknown


def writer(path, seed, commits):
    """The command that commits so many batches into a store."""
    return [sys.executable, "-m", "tests.killing", str(path), str(seed), str(commits)]


def without_links(source, target):
    """Takes the place of `os.link` on a file system that has none."""
    raise OSError(errno.EPERM, "Operation not permitted")


def _append(archive, batch):
    rows = pl.DataFrame({"currency": ["EUR"] * ROWS, "rate": [float(i) for i in range(ROWS)]})
    add = [archive.write(table, rows, source=batch) for table in ("fx", "rates")]
    return archive.commit(add, note=batch)


def _merge(archive):
    head = archive.head()
    add = [archive.write(table, archive.read(table, head)) for table in ("fx", "rates")]
    return archive.commit(add, remove=head.files, note="merge")


def commit_often(path, seed, commits=10**9, links=True):
    """Commit batches, and now and then merge all; each commit is told on a line once it was reported done."""
    if not links:
        os.link = without_links
    archive, chance = open_archive(path, create=True), random.Random(seed)
    for number in range(commits):
        batch = "" if chance.random() < 0.2 else f"{seed}-{number}"
        try:
            done = _append(archive, batch) if batch else _merge(archive)
        except Conflict:
            continue
        sys.stdout.write(json.dumps({"batch": batch, "number": done.number, "hash": done.hash}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    commit_often(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
