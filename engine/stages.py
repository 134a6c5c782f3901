"""Where the time and the memory of a run go: seconds and the most memory of each stage, and what was compiled."""

import os
import time
from contextlib import suppress
from pathlib import Path

from engine import compiled

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Stages:
    """A clock that is told when a stage ends: `stages("load")`. Stages follow each other without a gap, so that their
    seconds add up to those from `began` on.

    Parameters
    ----------
    began : float, optional
        `time.perf_counter()` of when the first stage began; now, if not given.
    """

    def __init__(self, began=None):
        self.seconds, self.memory = {}, {}
        self._began = self._last = time.perf_counter() if began is None else began
        self._clock = compiled.Clock()
        self._before = len(compiled.found), len(compiled.made)
        _forget_peak()

    def __call__(self, stage):
        """The stage is over."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self.memory[stage] = max(self.memory.get(stage, 0), peak())
        self._last = now
        _forget_peak()

    def told(self):
        """What `frontmonth run --profile --json` prints as `profile`."""
        found, made = self._before
        return {
            "seconds": self.seconds | {"total": self._last - self._began},
            "memory": self.memory | {"total": max(self.memory.values(), default=0)},
            "kernels": {
                "from_cache": len(compiled.found) - found,
                "compiled": len(compiled.made) - made,
                "seconds": self._clock.stop(),
            },
        }


def age():
    """How long this process has been running; on Linux to a hundredth of a second. [s]"""
    stat = Path("/proc/self/stat")
    if stat.is_file():
        ticks = int(stat.read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    import psutil

    return time.time() - psutil.Process().create_time()


def nothing(stage):
    """For a run whose stages nobody wants to know."""


def peak():
    """The most memory of the process since `_forget_peak`, or where that can do nothing, since it began. [bytes]"""
    if STATUS.is_file():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if os.name == "nt":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def _forget_peak():
    """Let the peak begin anew, where the system can do that (Linux)."""
    with suppress(OSError):
        CLEAR.write_text("5")
