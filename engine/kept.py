"""Kept: what many combinations of a sweep need of a market, such as the averages of a length, made once for all."""

import copy
from collections import OrderedDict
from threading import Lock, local

import numpy as np

BYTES = 200_000_000  # of what is kept of a market; then those used longest ago go


def keeping(market):
    """The same market, of which `kept` keeps what it makes. Nobody may write into its arrays."""
    made = copy.copy(market)
    object.__setattr__(made, "kept", _Kept())
    return made


def kept(market, key, make):
    """`make()`, an array, or what that gave for this market and key before; of any other market it is always made.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> market = keeping(SimpleNamespace())
    >>> kept(market, ("average", 5), lambda: np.zeros(1)) is kept(market, ("average", 5), lambda: np.ones(1))
    True
    """
    there = getattr(market, "kept", None)
    return make() if there is None else there.get(key, make)


def scratch(market, name, shape):
    """An array to be filled; of a market that keeps, the same again when its thread asks for name and shape again.

    New memory costs more than what is computed in it: the system clears each page when it is first written to.
    """
    there = getattr(market, "kept", None)
    return np.empty(shape) if there is None else there.scratch(name, shape)


class _Kept:
    """Arrays by key. Two threads that ask at once may both make one: it is the same."""

    def __init__(self):
        self._arrays, self._bytes, self._lock, self._own = OrderedDict(), 0, Lock(), local()

    def scratch(self, name, shape):
        """The thread's own array of a name."""
        mine = vars(self._own)
        if name not in mine or mine[name].shape != shape:
            mine[name] = np.empty(shape)
        return mine[name]

    def get(self, key, make):
        """The array of a key."""
        with self._lock:
            found = self._arrays.get(key)
            if found is not None:
                self._arrays.move_to_end(key)
                return found
        made = make()
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = made
                self._bytes += made.nbytes
            while self._bytes > BYTES and len(self._arrays) > 1:
                self._bytes -= self._arrays.popitem(last=False)[1].nbytes
        return made
