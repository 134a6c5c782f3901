"""What a kill test needs: a writer to kill, a way to kill it, and the oracle that looks at what is left.

`python -m tests.killing STORE SEED` commits in a loop and prints each commit that was reported done. Any other command
that prints one JSON line with `number` and `hash` for each of its commits can be killed and judged in the same way.
"""

import argparse
import errno
import json
import os
import random
import subprocess
import sys

import polars as pl

from store.archive import Conflict, open_archive
from tests.conftest import REPO

ROWS = 40  # rows of one batch, in each of two tables


def killed(command, seconds):
    """Run a command, kill it so long after its first line, and return the lines it had printed, as JSON."""
    process = subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    rest, errors = process.communicate()
    assert errors == ""
    return [json.loads(line) for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def finished(commands):
    """Run commands side by side to their end and return the lines of each, as JSON."""
    started = [subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) for command in commands]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return [[json.loads(line) for line in text.splitlines()] for text in printed]


def judge(path, acknowledged):
    """Assert that nothing is torn and that every acknowledged commit is a snapshot; the archive."""
    archive = open_archive(path)
    assert archive.verify() == []
    known = {snapshot.number: snapshot.hash for snapshot in archive.history()}
    lost = [line for line in acknowledged if known.get(line["number"]) != line["hash"]]
    assert lost == []
    return archive


def judge_batches(archive, acknowledged, unknown):
    """Assert that batches are in both tables or in none, whole, all that were acknowledged and few others."""
    counts = [archive.read(table).group_by("source").len() for table in ("fx", "rates")]
    batches, others = ({source: rows for source, rows in count.rows()} for count in counts)
    assert batches == others
    assert set(batches.values()) <= {ROWS}
    told = {line["batch"] for line in acknowledged if line["batch"]}
    assert told <= batches.keys()
    assert len(batches.keys() - told) <= unknown


def writer(path, seed, commits=None, links=True):
    """The command that commits batches into a store, for ever or so many."""
    command = [sys.executable, "-m", "tests.killing", str(path), str(seed)]
    command += [] if commits is None else ["--commits", str(commits)]
    return command + ([] if links else ["--no-links"])


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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("seed", type=int)
    parser.add_argument("--commits", type=int, default=10**9)
    parser.add_argument("--no-links", action="store_true")
    options = parser.parse_args()
    if options.no_links:
        os.link = without_links
    archive, chance = open_archive(options.path, create=True), random.Random(options.seed)
    for number in range(options.commits):
        batch = "" if chance.random() < 0.2 else f"{options.seed}-{number}"
        try:
            done = _append(archive, batch) if batch else _merge(archive)
        except Conflict:
            continue
        sys.stdout.write(json.dumps({"batch": batch, "number": done.number, "hash": done.hash}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
