"""Processes of their own that begin at once: a server that has imported everything, and a fork of it for each command.

A test that kills a command two hundred times would spend its time in imports of Python, and most kills would land
there. `Forks` starts one process that imports the packages and computes nothing (so that no thread of polars exists
that a fork could lose); each command then runs in a fork of it, which is an ordinary process: it has its own memory
and files, and SIGKILL ends it as it would end the command that a user typed.
"""

import contextlib
import ctypes
import importlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parent.parent
LONG = 120.0  # a command that takes longer hangs [s]
LATE = ("duckdb", "numpy.ma", "polars._utils.parquet", "rich.progress", "rich.table")  # what commands import at work
_PR_SET_PTRACER = 0x59616D61  # prctl(2)


class Forks:
    """The server, for a `with`; `start` gives a command that may be killed, `run` its end."""

    def __enter__(self):
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "tests.forks"]
        environment = {name: value for name, value in os.environ.items() if name != "FRONTMONTH_STORE"}
        self._server = subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, text=True, env=environment)
        self._count = 0
        assert self._asked({"do": "hello"}) == {"ready": True}
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        self._server.wait(LONG)
        self._server.stdout.close()

    def start(self, folder, work):
        """A command that waits for its `go`; its output goes to files in `folder`."""
        self._count += 1
        files = [str(Path(folder) / f".{self._count}.{name}") for name in ("out", "err")]
        for file in files:
            Path(file).touch()  # it may be killed before it has made them
        found = self._asked({"do": "start", "work": work, "files": files})
        return Command(self, found["pid"], files)

    def run(self, folder, work):
        """Run a command to its end: an `Ended`."""
        return self.start(folder, work).end()

    def _asked(self, request):
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


class Command:
    """A command that was started; `pid` is its process, which stays until `end`."""

    def __init__(self, forks, pid, files):
        self._forks, self.pid, self._files = forks, pid, files

    def end(self, kill_after=None, spoken=False):
        """Let it go, kill it after so many seconds, if it still runs then, and wait for its end.

        With `spoken` the seconds begin when it has written its first whole line, however long that takes.
        """
        wait = self._files[0] if spoken else None
        found = self._forks._asked({"do": "end", "pid": self.pid, "after": kill_after, "wait": wait})
        out, err = (Path(file).read_text() for file in self._files)
        for file in self._files:
            os.unlink(file)
        assert found["status"] != "hangs", (out, err)
        return Ended(found["status"], found["seconds"], out, err)


class Interpreters:
    """In place of `Forks`: the command as a user starts it, in an interpreter of its own."""

    def start(self, folder, work):
        """A command that begins when its `end` is asked for."""
        self._command = [sys.executable, "-c", "from app.cli import main; main()", *work["words"]]
        return self

    def run(self, folder, work):
        """Run a command to its end: an `Ended`."""
        return self.start(folder, work).end()

    def end(self, kill_after=None):
        """As `Command.end`."""
        pipe, start = subprocess.PIPE, time.monotonic()
        process = subprocess.Popen(self._command, cwd=REPO, stdout=pipe, stderr=pipe, text=True)
        try:
            out, err = process.communicate(timeout=kill_after or LONG)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            assert kill_after, (out, err)
        return Ended(process.returncode, time.monotonic() - start, out, err)


class Ended:
    """How a command ended: `code` (-9 where it was killed), `seconds` that it ran, `out` and `err` that it wrote."""

    def __init__(self, code, seconds, out, err):
        self.code, self.seconds, self.out, self.err = code, seconds, out, err

    @property
    def killed(self):
        return self.code == -signal.SIGKILL

    @property
    def document(self):
        """What it printed, if that is whole; None where nothing was reported."""
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(self.out)


# ---- the server


def main():
    """Answer requests on the standard input until it ends."""
    _import_all()
    running = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"ready": True}
        if request["do"] == "start":
            answer = _start(request, running)
        elif request["do"] == "end":
            answer = _end(request, *running.pop(request["pid"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _import_all():
    for package in ("store", "store/vendors", "engine", "engine/strategies"):
        for path in sorted((REPO / package).glob("*.py")):
            importlib.import_module(f"{package.replace('/', '.')}.{path.stem}".removesuffix(".__init__"))
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from app.cli import main as command
    from engine.indicators import change

    change(np.zeros((4, 2)))  # numba starts its compiler at the first kernel, and no thread
    with contextlib.redirect_stderr(io.TextIOWrapper(io.BytesIO())), contextlib.suppress(SystemExit):
        command(["verify", "--store", os.devnull])  # the parser loads what it needs when it first runs


def _start(request, running):
    go, ended = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go[1])
        _work(request, go[0])
    os.close(go[0])
    os.close(ended[1])
    running[pid] = go[1], ended[0]
    return {"pid": pid}


def _work(request, go):
    """The forked process: waits, works, ends."""
    code = 1
    try:
        for file, number in zip(request["files"], (1, 2), strict=True):
            os.dup2(os.open(file, os.O_WRONLY), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _let_trace()
        os.read(go, 1)
        code = _done(**request["work"])
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _done(words=None, function=None, store=None, **named):
    """The exit code of a command, or of a function that is called as a command would; it prints one document."""
    from app import cli

    try:
        if words is not None:
            cli.main(words)
        from store import open_archive

        module, _, name = function.partition(":")
        given = [open_archive(store)] if store else []
        found = getattr(importlib.import_module(module), name)(*given, **named)
        if found is not None:
            sys.stdout.write(json.dumps(found, default=lambda value: getattr(value, "__dict__", str(value))) + "\n")
        return 0
    except SystemExit as end:
        return end.code or 0
    except Exception as error:  # noqa: BLE001  as the command does
        sys.stderr.write(f"frontmonth: {cli.reason(error)}\n")
        return 1


def _let_trace():
    """Let any process of this user trace this one; some systems allow that to parents only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)


def _end(request, go, ended):
    start = time.monotonic()
    os.write(go, b".")
    os.close(go)
    if request["wait"]:
        _wait_for_line(request["wait"], ended)
    after = LONG if request["after"] is None else request["after"]
    known, _, _ = select.select([ended], [], [], after)
    os.close(ended)
    if not known:
        os.kill(request["pid"], signal.SIGKILL)
    seconds = time.monotonic() - start
    status = os.waitstatus_to_exitcode(os.waitpid(request["pid"], 0)[1])
    return {"status": "hangs" if not known and request["after"] is None else status, "seconds": seconds}


def _wait_for_line(file, ended):
    """Until a command has written a whole line, or has ended."""
    latest = time.monotonic() + LONG
    while b"\n" not in Path(file).read_bytes() and time.monotonic() < latest:
        if select.select([ended], [], [], 0.001)[0]:
            return


if __name__ == "__main__":
    main()
