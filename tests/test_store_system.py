"""The platform: what it can promise, and that one file alone asks it."""

import errno
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from store import system
from tests.conftest import REPO
from tests.killing import without_links

FILES = sorted(path for package in ("app", "engine", "store", "bench") for path in (REPO / package).rglob("*.py"))
ASKED = re.compile(
    r"\bos\.name\b|\bsys\.platform\b|\bfcntl\b|\bmsvcrt\b|\bos\.link\b|\bimport (resource|platform|psutil)\b|"
    r"\bF_FULLFSYNC\b|hasattr\(os\b|getattr\(os\b|[\"']/proc\b|\bgetuser\b|\bsched_|\bgetloadavg\b|\bfrom platform\b"
)


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "system.py"], ids=lambda p: str(p.relative_to(REPO)))
def test_one_file_alone_asks_for_the_platform(path):
    assert not ASKED.findall(path.read_text(encoding="utf-8"))


def test_that_search_finds_what_the_one_file_says():
    assert len(ASKED.findall((REPO / "store/system.py").read_text(encoding="utf-8"))) > 10


def test_hard_links_are_told_by_what_the_file_system_answers(tmp_path, monkeypatch):
    (tmp_path / "first").write_bytes(b"text")
    assert system.link(tmp_path / "first", tmp_path / "second")
    with pytest.raises(FileExistsError):
        system.link(tmp_path / "first", tmp_path / "second")
    with pytest.raises(FileNotFoundError):
        system.link(tmp_path / "none", tmp_path / "third")
    monkeypatch.setattr(os, "link", without_links)
    assert not system.link(tmp_path / "first", tmp_path / "fourth")
    monkeypatch.delattr(os, "link")
    assert not system.link(tmp_path / "first", tmp_path / "fourth")


def test_macos_is_asked_for_a_flush_that_reaches_the_disk(monkeypatch):
    calls = []
    stand_in = SimpleNamespace(F_FULLFSYNC=51, fcntl=lambda handle, code: calls.append((handle, code)))
    monkeypatch.setitem(sys.modules, "fcntl", stand_in)
    monkeypatch.setattr(system, "MACOS", True)
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("fsync stops at the disk's own memory"))
    system.flush(7)
    assert calls == [(7, 51)]


def test_windows_removes_what_is_read_only(tmp_path, monkeypatch):
    path, unlink = tmp_path / "file", os.unlink
    path.touch(0o444)

    def refuse_read_only(name):
        if not os.stat(name).st_mode & 0o200:
            raise PermissionError(errno.EACCES, "Access is denied")
        unlink(name)

    monkeypatch.setattr(os, "unlink", refuse_read_only)
    with pytest.raises(PermissionError):
        system.remove(path)
    monkeypatch.setattr(system, "WINDOWS", True)
    system.remove(path)
    assert not path.exists()
    system.remove(path)


@pytest.mark.service
@pytest.mark.parametrize("kernel", [True, False], ids=["by the kernel's files", "by psutil"])
def test_a_process_is_known_until_it_ends_though_nobody_has_waited_for_it(kernel, monkeypatch):
    if not kernel:
        pytest.importorskip("psutil")
        monkeypatch.setattr(system, "_PROCESSES", REPO / "no such folder")
    elif not system._PROCESSES.is_dir():
        pytest.skip("no /proc on this system")
    first, second = (subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2))
    try:
        known = system.process_started(first.pid)
        assert known == system.process_started(first.pid) != system.process_started(os.getpid())
        assert system.process_started(os.getpid()) is not None
        assert re.fullmatch("[0-9a-f]{16}", known)
        first.kill()
        limit = time.monotonic() + 20
        while system.process_started(first.pid) is not None:  # a zombie from here on: it was not waited for
            assert time.monotonic() < limit
        assert first.poll() is not None
        assert system.process_started(first.pid) is None
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_a_start_is_not_moved_by_the_clock(monkeypatch):
    before = system.process_started(os.getpid())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert system.process_started(os.getpid()) == before


@pytest.mark.parametrize("kernel", [True, False], ids=["by the kernel's files", "by psutil"])
def test_memory_and_open_files_are_counted(kernel, tmp_path, monkeypatch):
    if not kernel:
        pytest.importorskip("psutil")
        monkeypatch.setattr(system, "_PROCESSES", REPO / "no such folder")
    memory, files = system.memory(), system.open_files()
    held = [open(tmp_path / str(n), "w") for n in range(10)]  # noqa: SIM115
    content = b"x" * 50_000_000
    assert 40e6 < system.memory() - memory < 100e6
    assert system.open_files() - files == len(held)
    assert system.peak_memory() >= len(content)
    for file in held:
        file.close()


@pytest.mark.service
def test_memory_of_processes_that_have_ended_is_counted():
    code = "from store import system; held = b'x' * 300_000_000; print(system.peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    peak, seconds = system.children()
    assert peak >= 0.99 * int(done.stdout) >= 300_000_000 and seconds > 0.0


def test_what_must_be_a_file_is_not_read_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    os.close(os.open(tmp_path / "file", system.PLAIN))
    with pytest.raises(OSError):
        os.open(tmp_path / "link", system.PLAIN)


def test_the_machine_tells_its_name_and_user(monkeypatch):
    monkeypatch.setattr(system.platform, "node", lambda: "")
    assert system.host() == "this machine"

    def nameless():
        raise OSError("No username set in the environment")

    monkeypatch.setattr(system.getpass, "getuser", nameless)
    assert system.user() == "unknown"
    assert 1 <= system.processors() <= os.cpu_count()
    assert system.processor() and system.description()
    assert len(system.load() or [1, 2, 3]) == 3
