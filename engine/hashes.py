"""Hashes of what a market was made of: what a run names as its inputs."""

import hashlib
import json
import threading

import numpy as np

from engine.rows import PLACE


class Digest:
    """Hash of what was read, whatever files held it: the same prices give the same hash in any store.

    A thread takes it while other work goes on; hashing does not hold the interpreter.
    """

    def __init__(self, names, arrays):
        self.digest, self.error = hashlib.sha256(json.dumps(names).encode()), None
        self.thread = threading.Thread(target=self._begin, args=(arrays,))
        self.thread.start()

    def of(self, arrays):
        """The hash of them and of more arrays, in hex."""
        self.thread.join()
        if self.error:
            raise self.error
        self._take(arrays)
        return self.digest.hexdigest()

    def _begin(self, arrays):
        try:
            self._take(arrays)
        except Exception as error:  # noqa: BLE001  raised by `of`, where somebody hears it
            self.error = error

    def _take(self, arrays):
        for values in arrays:
            self.digest.update(str(values.shape).encode())
            self.digest.update(np.ascontiguousarray(values).reshape(-1).data)


def hashes(read, digest, arrays, master):
    """What a run names as its inputs; `digest` is that of the rows, `arrays` are read beside them."""
    names = [one.name for one in read]
    rules = {one.name: one.request.rule for one in read}
    told = [*set(rules.values()), *names] if len(set(rules.values())) == 1 else list(rules.items())
    return {
        "data": digest.of(arrays),
        "rolls": Digest(told, [values for one in read for values in _rolls(one.rows)]).of(()),
        "contracts": master.hash,
    }


def _rolls(rows):
    """What tells which contract was held when: days, contracts and legs of the rows on which it changes."""
    changes = np.append(0, rows.acts) if len(rows) else rows.acts
    return rows.values[: PLACE["contract"] + 1, changes], rows.closed, rows.legs[:3]
