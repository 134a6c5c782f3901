"""Where the time and the memory of a run go: seconds and the most memory of each stage, and what was compiled."""

import time

from engine import compiled


class Stages:
    """A clock that is told when a stage ends: `stages("load")`. Stages follow each other without a gap, so that their
    seconds add up to those from `began` on.

    Parameters
    ----------
    system : `store.system`, or what tells `peak_memory()` and lets it begin anew by `forget_peak()`
    began : float, optional
        `time.perf_counter()` of when the first stage began; now, if not given.
    """

    def __init__(self, system, began=None):
        self._system = system
        self.seconds, self.memory = {}, {}
        self._began = self._last = time.perf_counter() if began is None else began
        self._clock = compiled.Clock()
        self._before = len(compiled.found), len(compiled.made)
        self._system.forget_peak()

    def __call__(self, stage):
        """The stage is over."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self.memory[stage] = max(self.memory.get(stage, 0), self._system.peak_memory())
        self._last = now
        self._system.forget_peak()

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


def nothing(stage):
    """For a run whose stages nobody wants to know."""
