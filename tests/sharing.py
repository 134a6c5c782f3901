"""Processes that share a store: two writers, a reader, two notebooks with SQL, one that compacts, one that cleans up.

`python -m tests.sharing STORE ROLE NAME LOG` prints `ready`, reads the moment at which to stop from its standard input
[s, time.monotonic, which all processes share], works until then and writes a line of JSON into LOG for each thing done.

Batch k of a writer is ROWS days from day k * ROWS on, in fx and in rates, in one commit; a rate is the number of its
day. Whoever reads can thus tell what is torn, lost, doubled or altered from what it sees alone.

A call is timed as the caller feels it. Of these seconds those are `waited` in which neither the main thread of the
process that did the work nor the busiest of its helping threads, which it waits for, ran on a processor or stood in the
queue for one: the time spent on locks, on the disk and on other processes.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from store import compact, open_archive
from tests.conftest import REPO
from tests.killing import judge

ROWS = 40
FIRST = date(1900, 1, 1)
TABLES = ("fx", "rates")
EACH = "(select source {0}, count(*) n_{0}, count(distinct day) d_{0}, max(rate) m_{0} from {0} group by source) {0}"
SQL = f"select * from {EACH.format('fx')} full join {EACH.format('rates')} on fx.fx = rates.rates"


# ---- timing


class Timed:
    """Seconds of a block as the caller feels them, and how many of them the process that worked only waited."""

    def __init__(self, pid=None):
        self.pid = pid or os.getpid()

    def __enter__(self):
        self.began, self.before = time.monotonic(), busy(self.pid)
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began
        spent = {thread: after - self.before.get(thread, 0.0) for thread, after in busy(self.pid).items()}
        own = spent.pop(str(self.pid), 0.0)
        self.waited = max(0.0, self.seconds - own - max(spent.values(), default=0.0))

    def line(self):
        """As a log tells it."""
        return {"began": self.began, "seconds": self.seconds, "waited": self.waited}


def busy(pid):
    """Seconds that each thread of a process ever ran or was ready to run; empty where the kernel does not tell."""
    found = {}
    for file in Path("/proc", str(pid), "task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            ran, queued, _ = file.read_text().split()
            found[file.parent.name] = (int(ran) + int(queued)) / 1e9
    return found


# ---- what each does, once


def write(archive, name, batch):
    """Commit a batch; before some, leave a file as a killed writer of an hour ago left it."""
    if batch % 5 == 0:
        left = archive.place.local(archive.write("fx", rows(batch), source=name, currency="EUR").path)
        os.utime(left, (time.time() - 3600,) * 2)
    add = [archive.write(table, rows(batch), source=name, currency="EUR") for table in TABLES]
    done = archive.commit(add, note=f"{name} {batch}")
    return {"number": done.number, "hash": done.hash}


def write_apart(archive, name, batch):
    """What a writer must not do: the tables of a batch in two commits."""
    for table in TABLES:
        done = archive.commit([archive.write(table, rows(batch), source=name, currency="EUR")])
    return {"number": done.number, "hash": done.hash}


def read(archive, name, batch):
    """Pin the newest snapshot and read both tables."""
    snapshot = archive.pin()
    frames = [archive.read(table, snapshot, ["source", "day", "rate"]) for table in TABLES]
    began = time.monotonic()
    found = [{source: part for (source,), part in frame.partition_by("source", as_dict=True).items()}
             for frame in frames]  # fmt: skip
    faults = [fault for parts in found for source, part in parts.items() for fault in faults_of(source, part)]
    counts = [{source: part.height for source, part in parts.items()} for parts in found]
    faults += [] if counts[0] == counts[1] else [f"torn: the tables hold {counts}"]
    return {"number": snapshot.number, "counts": counts[0], "faults": faults, "judged": time.monotonic() - began}


def ask(archive, name, batch):
    """The same by SQL, in one statement."""
    snapshot = archive.pin()
    answer = archive.sql(SQL, snapshot=snapshot)
    faults = [
        f"torn: {row}" for row in answer.rows()
        if row[:4] != row[4:] or row[1] % ROWS or row[1] != row[2] or row[3] != row[1] - 1
    ]  # fmt: skip
    return {"number": snapshot.number, "counts": {row[0]: row[1] for row in answer.rows()}, "faults": faults}


def join(archive, name, batch):
    """Make few files of many."""
    return {"joined": sum(one["files"] for one in compact.compact(archive)["groups"])}


def clean(archive, name, batch):
    """Remove what killed writers left."""
    return {"removed": len(archive.gc(timedelta(minutes=1), dry_run=False))}


ROLES = {role.__name__: role for role in (write, write_apart, read, ask, join, clean)}


def rows(batch):
    """The rows of a batch."""
    number = np.arange(batch * ROWS, (batch + 1) * ROWS)
    return pl.DataFrame({"day": np.datetime64(FIRST) + number, "rate": number.astype(float)})


def faults_of(source, frame):
    """What is wrong with the rows of a writer: whole batches, from the first on, each day once, none altered."""
    number = (frame["day"] - FIRST).dt.total_days().to_numpy()
    faults = [] if frame.height % ROWS == 0 else [f"torn: {source} has {frame.height} rows"]
    if not np.array_equal(np.sort(number), np.arange(len(number))):
        faults.append(f"lost or doubled: {source} has {len(np.unique(number))} days of {number.max() + 1}")
    return faults + ([] if np.array_equal(number, frame["rate"].to_numpy()) else [f"altered: {source}"])


# ---- together


def share(path, folder, seconds, roles):
    """Let processes share a store for so long; {name: lines of its log}. What one writes to stderr is an error."""
    running = {name: _start(path, role, name, folder) for name, role in roles.items()}
    for process in running.values():
        assert process.stdout.readline() == "ready\n"
    until = time.monotonic() + seconds
    for process in running.values():
        process.stdin.write(f"{until}\n")
        process.stdin.flush()
    errors = {name: process.communicate()[1] for name, process in running.items()}
    logs = {name: [json.loads(line) for line in (folder / name).read_text().splitlines()] for name in roles}
    return logs, {name: text for name, text in errors.items() if text}


def faults(path, logs, roles):
    """What the logs of those that shared a store, and what is left of it, tell of things that must not be."""
    made = [line for name, role in roles.items() if role.startswith("write") for line in logs[name]]
    archive = judge(path, made)
    found = []
    for name in (name for name, role in roles.items() if role in ("read", "ask")):
        found += [f"{name}: {fault}" for line in logs[name] for fault in line["faults"]]
        found += list(_backward(name, logs[name])) + list(_behind(name, logs[name], made))
    last = read(archive, "", 0)
    wanted = {name: ROWS * len(logs[name]) for name, role in roles.items() if role == "write"}
    if any(last["counts"].get(name) != count for name, count in wanted.items()):
        found.append(f"lost: {last['counts']} rows of {wanted}")
    return found + last["faults"]


def _backward(name, lines):
    """Reads that saw less than the one before."""
    for before, after in itertools.pairwise(lines):
        less = [s for s, count in before["counts"].items() if after["counts"].get(s, 0) < count]
        if after["number"] < before["number"] or less:
            yield f"{name} went backwards from {before} to {after}"


def _behind(name, lines, made):
    """Reads that began after a commit was reported done, and did not see it."""
    for line in lines:
        newest = max((one["number"] for one in made if one["began"] + one["seconds"] < line["began"]), default=0)
        if line["number"] < newest:
            yield f"{name} saw snapshot {line['number']} when {newest} was done"


def _start(path, role, name, folder):
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.sharing", str(path), role, name, str(folder / name)]
    return subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def main():
    """One of the processes."""
    path, role, name, log = sys.argv[1:]
    archive = open_archive(path, create=True)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    until = float(sys.stdin.readline())
    with open(log, "w", encoding="utf-8") as file:
        for batch in itertools.count():
            if time.monotonic() > until:
                return
            with Timed() as working:
                done = ROLES[role](archive, name, batch)
            file.write(json.dumps(done | working.line()) + "\n")


if __name__ == "__main__":
    main()
