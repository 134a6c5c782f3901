"""SQL of the page and of the command, answered by a process of its own, so that whatever a question does can be ended.

The process answers one question after the other, as it has then seen that the files are right. A job is a line of JSON
on its standard input; it says `ready` once the question itself begins, `found` before an answer is written to a file,
then the answer or why there is none. It is ended when it is told to stop, takes too long or too much memory, and the
next question starts another; it ends itself with the process that asked. Nothing that it sends is more than text: no
object, no markup. A large answer is a file that it writes.
"""

import contextlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from store import system

SECONDS = 30.0  # for a question
GRACE = 3.0  # after which a process that did not stop by itself is killed [s]
PREPARING = 900.0  # for starting, and for checking files that were not read yet [s]
WRITING = 900.0  # for an answer that goes to a file [s]
TIDYING = 0.5  # for a process that is to end, to remove what it keeps on the disk [s]
MEMORY = 4 * 2**30  # of the process [bytes]
KEPT = 2**30  # that a process may hold while there is no question [bytes]
ROWS = 10_000  # shown
TEXT = 8_000_000  # of all cells together [characters]
CELL = 10_000  # of one [characters]
ENDED = {"refused": "the process that answers ended before it did, perhaps for want of memory: ask for less"}
log = logging.getLogger(__name__)
_COMMAND = "from app.question import main; main()"


@dataclass(frozen=True)
class Limits:
    """What a question may take."""

    seconds: float = SECONDS
    rows: int | None = ROWS  # None: as many as a query may have
    memory: int = MEMORY


class Question:
    """The process that answers, and the question that it is at.

    `poll` is to be called again and again: it gives the answer, and is what ends a process that takes too much.
    """

    def __init__(self, store, limits=None):
        self.store, self.limits = str(store), limits or Limits()
        self.began = None  # when the question was asked; None: there is none
        self.ready = False  # whether its files were found to be right
        self._process, self._said, self._deadline = None, queue.SimpleQueue(), 0.0

    @property
    def seconds(self):
        """How long the question has been running. [s]"""
        return 0.0 if self.began is None else time.monotonic() - self.began

    def ask(self, text, snapshot="head", file=None, name=None):
        """Begin to answer a text; the one before it is given up.

        Parameters
        ----------
        text : str
        snapshot : str
            A number, a tag, `head`, or a day.
        file : path, optional
            Where the rows are to be written; it must not exist, and what is there is whole only if there is an answer,
            which then tells how many rows it has.
        name : path, optional
            What the file is called in the end: its suffix, `.csv` or `.parquet`, tells the format.
        """
        if self.began is not None:
            self.cancel()
        if self._process is None or self._process.poll() is not None:
            self._start()
        self.began, self.ready = time.monotonic(), False
        self._deadline = self.began + PREPARING
        limits = {"seconds": self.limits.seconds, "limit": self.limits.rows}
        job = {"store": self.store, "text": text, "snapshot": snapshot, **limits}
        job |= {"file": file and str(file), "name": file and str(name or file)}
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it died meanwhile: a pipe that is broken, or closed
            self._said.put(ENDED)

    def poll(self, wait=0.0):
        """What came of the question: None as long as it runs; {"answer": …} or {"refused": sentence} once.

        `wait`: for how long something may be waited for. [s]
        """
        if self.began is None:
            return None
        with contextlib.suppress(queue.Empty):
            while True:
                said = self._said.get(timeout=wait) if wait else self._said.get_nowait()
                if not (said.get("ready") or said.get("found")):
                    self.began = None
                    if said is ENDED or self._held() > KEPT:
                        self.close()  # a process that has just closed its pipes may not have ended yet
                    return said
                left = WRITING if said.get("found") else self.limits.seconds + GRACE
                self.ready, self._deadline = True, time.monotonic() + left
        if time.monotonic() > self._deadline:
            return self._end(f"the query was stopped after {self.seconds:.0f} seconds: ask for less")
        if self._held() > self.limits.memory:
            told = f"the query was stopped as it took more than {self.limits.memory / 2**30:g} GB of memory"
            return self._end(told, patience=0.0)
        return None

    def wait(self):
        """What comes of the question; its process is ended, also where the wait is interrupted."""
        try:
            while (found := self.poll(wait=0.2)) is None:
                pass
            return found
        finally:
            self.close()

    def cancel(self):
        """Give the question up, by ending its process."""
        self._end("")

    close = cancel

    def _start(self):
        pipe = subprocess.PIPE
        command = [sys.executable, "-P", "-c", _COMMAND]  # -P: what lies in the folder of the caller is not ours
        environment = os.environ | {"POLARS_MAX_THREADS": "1", "PYTHONPATH": _path()}
        streams = {"stdin": pipe, "stdout": pipe, "text": True, "encoding": "utf-8", "errors": "replace"}
        own = {"start_new_session": True, "env": environment}  # a Ctrl-C is for the server, which then closes the pipes
        self._process = subprocess.Popen(command, **streams, **own)
        self._said = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process, self._said), daemon=True).start()

    def _held(self):
        try:
            return system.memory(self._process.pid)
        except OSError:  # it has just ended: what it said last is waiting
            return 0

    def _end(self, reason, patience=TIDYING):
        self.began = None
        if self._process is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._process.stdin.close()
                self._process.wait(patience)
            self._process.kill()
            self._process.wait()
            self._process = None
        return {"refused": reason}


def _listen(process, said):
    """Hand on what a process says, a line each, until it has ended."""
    with process.stdout:
        for line in process.stdout:
            try:
                said.put(json.loads(line))
            except ValueError:
                break
    with contextlib.suppress(OSError):  # what was still to be sent has nobody to read it
        process.stdin.close()
    said.put(ENDED)


def main():
    """Answer the questions of the standard input, one a line; the other side of `Question`."""
    from store.archive import open_archive
    from store.durable import StoreError

    archive, jobs = None, queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs,), daemon=True).start()
    while True:
        job = jobs.get()
        try:
            archive = archive or open_archive(job["store"])
            found = {"answer": _answer(archive, job)}
        except Exception as error:
            if not isinstance(error, StoreError):
                log.exception("question")
            found = {"refused": _sentence(error)}
        _say(found)


def _receive(jobs):
    """Hand on questions; where nobody is left to ask, end the process whatever it is at."""
    from store import query

    for line in sys.stdin:
        jobs.put(json.loads(line))
    for folder in tuple(query.spills):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _answer(archive, job):
    from store.query import ask
    from store.tags import number_of

    began, number = [time.monotonic()], number_of(archive, job["snapshot"])

    def ready():
        began[0] = time.monotonic()
        _say({"ready": True})

    snapshot = archive.snapshot(number)
    found = ask(archive, job["text"], snapshot=snapshot, seconds=job["seconds"], limit=job["limit"], ready=ready)
    made = _filed(found, Path(job["file"]), Path(job["name"])) if job["file"] else document(found)
    return made | {"seconds": time.monotonic() - began[0]}


def _filed(found, file, name):
    """Write an answer to a file; what is told of it."""
    from store import answer, durable

    _say({"found": True})
    try:
        answer.write(found.frame, file, name.suffix)
    except OSError as error:
        raise durable.not_written(name, error) from error
    return {"rows": found.frame.height, "cut": found.cut, "snapshot": found.snapshot}


def document(found):
    """An answer as JSON has it.

    Parameters
    ----------
    found : store.answer.Answer

    Returns
    -------
    dict
        columns: name and `kind` (whole, real, day, time, flag or text) of each; rows: lists of texts, None where a
        value is missing; cut: whether there are more; snapshot: the number.

    >>> import polars as pl
    >>> from store.answer import Answer
    >>> document(Answer(pl.DataFrame({"settle": [72.5, None]}), False, 3))["rows"]
    [['72.5'], [None]]
    """
    from store.answer import texts

    frame = texts(found.frame)
    rows, room, cut = [], TEXT, found.cut
    for row in frame.iter_rows():
        cells = [None if cell is None else cell if len(cell) <= CELL else f"{cell[:CELL]}…" for cell in row]
        room -= sum(len(cell or "") for cell in cells)
        if room < 0:
            cut = True
            break
        rows.append(cells)
    kinds = [{"name": name, "kind": _kind(dtype)} for name, dtype in found.frame.schema.items()]
    return {"columns": kinds, "rows": rows, "cut": cut, "snapshot": found.snapshot}


def _kind(dtype):
    import polars as pl

    if dtype.is_integer() or (dtype == pl.Decimal and dtype.scale == 0):
        return "whole"
    if dtype.is_numeric():
        return "real"
    return {pl.Date: "day", pl.Datetime: "time", pl.Boolean: "flag"}.get(dtype.base_type(), "text")


def _sentence(error):
    from store.durable import StoreError

    told = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
    return " ".join(told.split())


def _say(document):
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _path():
    """Where the other process finds this package."""
    own = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
