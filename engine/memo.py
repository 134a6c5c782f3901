"""Memo: what many combinations of a sweep need of a market, such as the averages of a length, made once for all."""

import copy
from collections import OrderedDict
from threading import Lock, local

import numpy as np

BYTES = 200_000_000  # of what is remembered of a market; then those used longest ago go


def remembering(market):
    """The same market, of which `remembered` keeps what it makes. Nobody may write into its arrays."""
    made = copy.copy(market)
    object.__setattr__(made, "memo", _Memo())
    return made


def remembered(market, key, make):
    """`make()`, an array, or what that gave for this market and key before; of any other market it is always made.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> market = remembering(SimpleNamespace())
    >>> first, again = (remembered(market, ("average", 5), make) for make in (lambda: np.zeros(1), lambda: np.ones(1)))
    >>> first is again
    True
    """
    there = getattr(market, "memo", None)
    return make() if there is None else there.get(key, make)


def scratch(market, whose, shape):
    """An array to be filled; of a market that remembers, the same again when its thread asks for it again.

    New memory costs more than what is computed in it: the system clears each page when it is first written to.
    """
    there = getattr(market, "memo", None)
    return np.empty(shape) if there is None else there.scratch(whose, shape)


def spare(market, array):
    """Whether an array is the thread's own to be filled, of `scratch`: whoever reads it last may write into it."""
    there = getattr(market, "memo", None)
    return there is not None and there.spare(array)


class _Memo:
    """Arrays by key. Two threads that ask at once may both make one: it is the same."""

    def __init__(self):
        self._arrays, self._bytes, self._lock, self._own = OrderedDict(), 0, Lock(), local()

    def scratch(self, whose, shape):
        """The thread's own array of `whose`, a name or an object."""
        mine = vars(self._own).setdefault("arrays", {})
        key = whose if isinstance(whose, str) else id(whose)
        if key not in mine or mine[key][1].shape != shape:
            mine[key] = whose, np.empty(shape)  # who is remembered lives on, and no other gets his id
        return mine[key][1]

    def spare(self, array):
        """Whether `scratch` has handed out the array in this thread."""
        return any(array is made for _, made in vars(self._own).get("arrays", {}).values())

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
