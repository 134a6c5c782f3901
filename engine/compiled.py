"""Machine code of kernels: taken from the disk without what only a compiler needs, counted, and announced.

Before numba looks for machine code on the disk, it reads in all that it knows about types and functions: a quarter of a
second in each process, and of use only if nothing is found; then its compiler reads that in itself. It also makes sure
of the folder of each kernel when the kernel is defined, by a file that it writes there; here on the first call. Both
are done through names that numba does not promise: where they are lacking, all works as without this file, slower.
"""

import sys
from contextlib import contextmanager
from functools import cached_property

import numba.core.dispatcher
from llvmlite import binding
from numba.core import environment, event, types
from numba.core.caching import FunctionCache

OURS, USERS = "engine.", "frontmonth_user_strategies."
SIMULATION = "engine.simulate"  # where the kernel is that holds nearly all others
SECONDS = 8  # that all kernels of a usual portfolio take, see README.md, Speed [s]
CUT, WHOLE = 15, 30  # those of one whose targets limits or a margin call cut; of orders, spreads, own capital [s]
LONG = {"engine.analysis.states": 8, "engine.lanes": 4}  # module -> what its kernels take, of others than those [s]
ALL = 70  # what all take that `frontmonth warm` compiles, on two cores [s]

found, made = [], []  # kernels that this process took from the disk; that it compiled, as they were not there
listeners = []  # functions of seconds: each is called before something is compiled that takes so long
_announced = set()  # (module, seconds) that this process has told of


class Kept:
    """Numba's cache of one kernel, as it is asked by the kernel's dispatcher."""

    def __init__(self, function):
        self._function = function
        if not function.__module__.startswith(OURS):
            self._cache  # a user's file may be edited before the first call: it is looked at now  # noqa: B018

    @cached_property
    def _cache(self):
        return FunctionCache(self._function)

    def load_overload(self, sig, target_context):
        """The machine code of a signature, None where it is not there."""
        _begin()
        with self._cache._guard_against_spurious_io_errors(), _without_modules():
            there = self._cache._load_overload(sig, target_context)
            (made if there is None else found).append(f"{self._function.__module__}.{self._function.__qualname__}")
            if there is None:
                _announce(self._function.__module__, sig)
            return there

    def save_overload(self, sig, data):
        """Keep the machine code of a signature."""
        self._cache.save_overload(sig, data)

    def __getattr__(self, name):
        return getattr(self._cache, name)


class Clock(event.TimingListener):
    """Seconds that numba compiles, from when it is made on until it is stopped."""

    def __init__(self):
        super().__init__()
        event.register("numba:compile", self)

    def stop(self):
        """The seconds."""
        event.unregister("numba:compile", self)
        return self.duration if self.done else 0.0


def seconds(module, signature):
    """How long the kernels of a module take to be compiled, where that is long; else 0. [s]

    >>> seconds("engine.risk", ()), seconds(SIMULATION, (types.int64, types.none, types.none, types.none, types.none))
    (0, 8)
    """
    if module != SIMULATION:
        return LONG.get(module, 0)
    extras, work = signature[2], signature[4]  # of `simulate.go_through`
    return WHOLE if extras is not types.none else CUT if work is not types.none else SECONDS


def _announce(module, signature):
    wait = seconds(module, signature)
    if wait and (module, wait) not in _announced:
        _announced.add((module, wait))
        for listener in listeners.copy():
            listener(wait)


def _begin():
    """Tell the linker where the functions of numba's runtime lie; numba compiles some more, for its compiler."""
    if _helpers:
        for name, address in _helpers.items():
            binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
        _helpers.clear()


@contextmanager
def _without_modules():
    """Machine code names the modules that it was made of, for code that falls back to Python, which ours never does:
    those of numba, which are its compiler, need not be loaded for that (30 ms)."""
    usual = environment._rebuild_env

    def rebuilt(module, constants, name):
        if not module.startswith("numba.") or module in sys.modules or name in environment.Environment._memo:
            return usual(module, constants, name)
        made = environment.Environment({"__name__": module})  # whose name is kept if it is kept again
        made.consts[:], made.env_name = constants, name
        environment.Environment._memo[name] = made
        return made

    environment._rebuild_env = rebuilt
    try:
        yield
    finally:
        environment._rebuild_env = usual


def _kept(function):
    ours = function.__module__.startswith((OURS, USERS))
    return Kept(function) if ours else FunctionCache(function)


_helpers = {}
try:
    from numba.core.runtime import _nrt_python

    FunctionCache._load_overload, FunctionCache._guard_against_spurious_io_errors  # noqa: B018  they are there
    environment._rebuild_env, environment.Environment._memo  # noqa: B018
    _helpers.update(_nrt_python.c_helpers)
    numba.core.dispatcher.FunctionCache = _kept
except (ImportError, AttributeError):
    pass
