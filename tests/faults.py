"""System calls of a command: written down, counted, and made to fail or to kill at the one that is wanted.

strace attaches to a process that waits to begin (see `forks`), so what is counted and what fails is the work, no
import of Python. Its `-P folder` would match that path only and not the files in it: calls are chosen by the paths
that a first run shows. Errors injected into `write` hit the runtimes' own pipes and hang them: a full disk is a small
tmpfs instead.
"""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

CHANGING = (
    *("fsync", "fdatasync", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("mkdir", "mkdirat", "open", "openat", "chmod", "fchmod", "fchmodat", "ftruncate"),
)
WRITING = ("write", "pwrite64", "writev")
ERRORS = ("ENOSPC", "EIO")
KILL = "SIGKILL"
_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. )?(?P<name>\w+)(?: resumed>|\()(?P<rest>.*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HANDLE = re.compile(r"(?:\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})+)>")
_RESULT = re.compile(r"= (-?\d+)[^=]*$")


@dataclass
class Call:
    """A system call: its paths as they are on disk, the bytes that it wrote, and which of its name in its thread."""

    pid: int
    name: str
    text: str
    nth: int
    result: int | None = None
    injected: bool = False
    paths: tuple = field(default=())

    @property
    def data(self):
        """What a write wrote."""
        return b"".join(map(_bytes, _TEXT.findall(self.text)))[: self.result]

    @property
    def number(self):
        """The last argument."""
        return int(self.text.rpartition(",")[2].rpartition(")")[0])

    def __str__(self):
        return f"{self.name} {' '.join(map(str, self.paths))}"


@cache
def reason():
    """Why nothing can be traced here; None where it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    done = subprocess.run(["strace", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def traced(command, log, calls=CHANGING, inject=None, kill_after=None):
    """Run a waiting command under strace: (Ended, list of Call in the order in which they began)."""
    if reason():
        pytest.skip(f"no system call can be watched: {reason()}")
    strace = ["strace", "-f", "-xx", "-y", "-s", "4000000", "-o", str(log), "-p", str(command.pid)]
    strace += ["-e", "trace=" + ",".join(f"?{name}" for name in calls), "-e", "signal=none"]
    watcher = subprocess.Popen(
        strace + (["-e", f"inject={inject}"] if inject else []), stderr=subprocess.PIPE, text=True
    )
    told = watcher.stderr.readline()
    if "attached" not in told:
        command.end(kill_after=0.0)
        watcher.communicate()
        pytest.skip(f"no system call can be watched: {told.strip()}")
    ended = command.end(kill_after)
    watcher.communicate()
    return ended, read_log(log)


def read_log(log):
    """The calls of a log."""
    calls, open_, count = [], {}, Counter()
    for line in Path(log).read_text().splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        pid, name, rest = int(found["pid"]), found["name"], found["rest"]
        if "resumed>" in line[: found.start("rest")]:
            call = open_.pop((pid, name))
            call.text = call.text.removesuffix("<unfinished ...>") + rest
        else:
            count[pid, name] += 1
            call = Call(pid, name, rest, count[pid, name])
            calls.append(call)
        if call.text.endswith("<unfinished ...>"):
            open_[pid, name] = call
            continue
        result = _RESULT.search(call.text)
        call.result = int(result[1]) if result else None
        call.injected = "(INJECTED)" in call.text
    for call in calls:
        call.paths = _paths(call)
    return calls


def _paths(call):
    """Absolute paths of a call's arguments; what it returned is none of them."""
    arguments = call.text.rpartition(" = ")[0] or call.text
    folders = [_bytes(text) for text in _HANDLE.findall(arguments)]
    if call.name in WRITING or not _TEXT.search(arguments):
        return tuple(Path(os.fsdecode(folder)) for folder in folders[:1])
    texts, here = [_bytes(text) for text in _TEXT.findall(arguments)], [*folders, *folders]
    return tuple(Path(os.fsdecode(os.path.join(here[k] if k < len(here) else b"/", t))) for k, t in enumerate(texts))


def _bytes(text):
    return bytes.fromhex(text.replace("\\x", ""))


def points(calls, places):
    """Calls on files of these folders: where a command can be made to fail."""
    return [call for call in calls if any(path.is_relative_to(place) for path in call.paths for place in places)]


def injection(call, kind):
    """What strace is told so that this call is the one."""
    how = f"signal={kind}" if kind == KILL else f"error={kind}"
    return f"{call.name}:{how}:when={call.nth}"


def fired(call, kind, ended, calls):
    """The call that the fault hit, by what the log says of it; None where it hit none."""
    if kind != KILL:
        return next((c for c in calls if c.injected), None)
    hit = [c for c in calls if c.name == call.name and c.nth == call.nth]
    return hit[-1] if hit and ended.code == -signal.SIGKILL else None


@contextmanager
def small_disk(folder, size="6m"):
    """A file system of that size on a folder, for the time of a `with`; the test is skipped where none can be made."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"no small file system: {done.stderr.strip() if done else 'there is no mount'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def free(folder):
    """Bytes that can be written to a file system."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(folder, leave):
    """Fill a file system but for so many bytes; returns the file that does it."""
    filler = Path(folder) / "filler"
    with open(filler, "wb") as file:
        file.write(b"\0" * max(free(folder) - leave, 0))
    return filler
