"""Continuous series made by processes of their own, side by side; they write the cache of the store and nothing else.

A job is a line of JSON on the standard input of a process; an answer says that it was worked on. Processes, not
threads: a series is hundreds of short calls of numpy and polars, between which Python holds its lock. They are started
as commands and get no object of ours: nothing is pickled, and a script needs no guard. One that dies leaves its jobs
undone.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from store import system
from store.durable import StoreError

LEAST = 8  # series below which no process is started
ROWS = 1_500_000  # of them together, the same: two processes take half a second to start
DONE = "done\n"
_COMMAND = "from store.workers import main; main()"


def make(jobs, rows, processes=None):
    """Make series in other processes, if that pays.

    Parameters
    ----------
    jobs : list of dict
        As `derived.Request.job` gives them.
    rows : int
        Bars that they are made of.
    processes : int, optional
        How many; if not given, one a processor, and none for little work.

    Yields
    ------
    int
        Number of a job that was worked on; the cache tells whether it was done.
    """
    several = processes or (system.processors() if len(jobs) > LEAST and rows > ROWS else 1)
    if several < 2 or not jobs:
        return
    waiting, answers = queue.SimpleQueue(), queue.SimpleQueue()
    longest_first = sorted(range(len(jobs)), key=lambda number: -jobs[number]["rows"])  # so that all end at one time
    for number in longest_first:
        waiting.put((number, json.dumps(jobs[number])))
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "PYTHONPATH": _path()}
    running = [_start(environment) for _ in range(min(several, len(jobs)))]
    threads = [threading.Thread(target=_feed, args=(one, waiting, answers), daemon=True) for one in running]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            answer = answers.get()
            left -= answer is None
            if answer is not None:
                yield answer
    finally:
        for one in running:
            one.kill()
            one.communicate()


def main():
    """Make the series that the standard input asks for, one a line."""
    from store import derived, history, kept
    from store.archive import open_archive

    kept.memory.most = 0  # nothing is read twice here
    archive = None
    for line in sys.stdin:
        job = json.loads(line)
        archive = archive or open_archive(job["store"])
        snapshot = archive.snapshot(job["snapshot"])
        with contextlib.suppress(ValueError, LookupError, StoreError):  # who asked will meet it again, and tell it
            plan = history.bars(archive, job["root"], source=job["source"], snapshot=snapshot)
            derived.series([history.request(plan, job["rule"], job["rank"])], processes=1)
        sys.stdout.write(DONE)
        sys.stdout.flush()


def _feed(process, waiting, answers):
    """Give a process one job after the other, until there is none, or it has died or says what it should not."""
    try:
        with contextlib.suppress(OSError, ValueError, queue.Empty):  # ValueError: a pipe that is closed already
            while True:
                number, line = waiting.get_nowait()
                process.stdin.write(line + "\n")
                process.stdin.flush()
                if process.stdout.readline() != DONE:
                    break
                answers.put(number)
    finally:
        answers.put(None)  # whatever happened: somebody waits for it


def _start(environment):
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", _COMMAND]  # -P: what lies in the folder of the caller is not ours
    text = {"text": True, "encoding": "utf-8", "errors": "replace"}  # what it writes may be no text at all
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, **text)


def _path():
    """Where the other process finds this package."""
    own = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
