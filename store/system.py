"""What depends on the platform: flushing, hard links, removing, and what the system tells of processes and of itself.

No other file of the project asks which system it runs on. Linux is tested; the branches for macOS and Windows follow
the documentation of those systems and were not run. On Linux all comes from the kernel's own files; elsewhere psutil
tells of processes.
"""

import contextlib
import ctypes
import errno
import getpass
import os
import platform
import re
import stat
import sys
import time
from hashlib import sha256
from pathlib import Path

WINDOWS, MACOS = os.name == "nt", sys.platform == "darwin"
FOLDERS_FLUSH = not WINDOWS  # NTFS logs its names, and a folder cannot be opened there
FRESH = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)  # how a file is made that must not exist
PLAIN = (  # how a file is read that must be one: no link is followed, no pipe waited for
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_TO_FLUSH = os.O_RDWR if WINDOWS else os.O_RDONLY  # Windows flushes only what may be written
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EMLINK}
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of renameat2(2), RENAME_SWAP of renamex_np(2)
_MAXRSS = 1 if MACOS else 1024  # unit of getrusage [bytes]
_PROCESSES = Path("/proc")
_DEAD = {"Z", "X", "x"}  # states of a process that has ended and is only waited for, proc(5)


# ---- files


def flush(handle):
    """Return once the disk says that it holds the bytes of an open file; raises OSError if it does not."""
    if MACOS:
        import fcntl

        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # fsync(2) of macOS stops at the disk's own memory
    else:
        os.fsync(handle)


def to_flush(path):
    """A handle of a file or folder that is to be flushed."""
    return os.open(path, _TO_FLUSH)


def link(source, target):
    """Give a file a second name.

    Returns
    -------
    bool
        False where the file system has no hard links (FAT, some network folders).

    Raises
    ------
    FileExistsError
        The name is taken.
    OSError
        Anything else that went wrong.
    """
    if not hasattr(os, "link"):
        return False
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def exchange(one, other):
    """Let two files or folders have each other's names, at once.

    Returns
    -------
    bool
        False where system or file system cannot do that; nothing was changed.
    """
    libc = None if WINDOWS else ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        done = libc.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        done = libc.renamex_np(*names, _EXCHANGE)
    else:
        return False
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_LINKS:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def remove(path):
    """Remove a file, read-only or not; one that is gone already is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except PermissionError:
        if not WINDOWS:  # there the folder decides, not the file
            raise
        os.chmod(path, stat.S_IWRITE | stat.S_IREAD)
        os.unlink(path)


# ---- processes


def process_started(pid):
    """What tells a process from any other that had or will have its number; None where none runs under it.

    Returns
    -------
    str or None
        A few letters and digits. On Linux of the boot and the ticks since it, which no change of the clock moves.

    >>> process_started(os.getpid()) == process_started(os.getpid()), process_started(2**22 + 1)
    (True, None)
    """
    text = _started_linux(pid) if _PROCESSES.joinpath("self", "stat").exists() else _started(pid)
    return text and sha256(text.encode()).hexdigest()[:16]


def processes():
    """What tells the processes whose numbers this one shares from those of another container; "" where nothing does."""
    try:
        return os.readlink(_PROCESSES / "self" / "ns" / "pid")
    except OSError:
        return ""


def memory(pid=None):
    """Bytes of memory that a process holds now, this one if none is named."""
    pid = pid or os.getpid()
    try:
        return int((_PROCESSES / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        import psutil

        return psutil.Process(pid).memory_info().rss


def spent(pid):
    """Seconds of processors that a process has had, its own and the system's for it."""
    import psutil

    told = psutil.Process(pid).cpu_times()
    return told.user + told.system


def peak_memory():
    """Most bytes of memory that this process ever held."""
    if WINDOWS:
        import psutil

        return psutil.Process().memory_info().peak_wset
    with contextlib.suppress(OSError):  # Linux: what `getrusage` tells is the parent's, until it is passed
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
        if found:
            return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS


def forget_peak():
    """Let `peak_memory` begin anew, where the system can do that (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def age():
    """How long this process has been running; on Linux to a hundredth of a second. [s]"""
    with contextlib.suppress(FileNotFoundError):
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    import psutil

    return time.time() - psutil.Process().create_time()


def children():
    """Most bytes that any process held that this one started and that has ended, and seconds of processor of all."""
    import resource  # not on Windows

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_maxrss * _MAXRSS, used.ru_utime + used.ru_stime


def open_files(pid=None):
    """How many files, pipes and connections a process holds open, this one if none is named."""
    pid = pid or os.getpid()
    try:
        return sum(1 for _ in (_PROCESSES / str(pid) / "fd").iterdir())
    except FileNotFoundError:
        import psutil

        process = psutil.Process(pid)
        return process.num_handles() if WINDOWS else process.num_fds()


def _started_linux(pid):
    try:
        fields = (_PROCESSES / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()  # the name may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0].decode() in _DEAD and int(fields[17]) <= 1:  # else its other threads are still ending
        return None
    boot = (_PROCESSES / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[19].decode()}"


def _started(pid):
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None


# ---- this machine


def host():
    """Name of this machine."""
    return platform.node() or "this machine"


def user():
    """Who runs this process, as far as the system tells."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "unknown"


def description():
    """System and version, in a line."""
    return platform.platform()


def processors():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor():
    """The processor's name."""
    try:
        lines = (_PROCESSES / "cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def load():
    """Processes that wanted a processor in the last 1, 5 and 15 minutes; None where the system does not tell."""
    return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None
