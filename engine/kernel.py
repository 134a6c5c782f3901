"""The one compiler setting of the house.

Cached on disk, so that only the first run ever waits; free of the interpreter lock, so that many runs go side by side
as threads; no fast-math and no `parallel`, so that the order of every sum is fixed and runs repeat bit for bit.
"""

import hashlib
import os
import shutil
import time
from pathlib import Path

import numba

from engine import parts

UNUSED = 7 * 86_400.0  # age at which machine code of other versions goes [s]


def _stamp():
    """What all code of the engine is, told by the sizes and times of its files.

    Numba looks at the file of the outermost kernel alone, and would go on with old machine code of what that one calls.
    """
    folder = Path(__file__).parent
    told = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(folder.rglob("*.py"))]
    text = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in told)
    return hashlib.sha256(f"{numba.__version__}\n{text}".encode()).hexdigest()[:16]


def _folder():
    """Where compiled kernels are kept: with the code, or where that cannot be written to, with the user's files."""
    beside = Path(__file__).parent / "__pycache__"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frontmonth"
    kept = beside if os.access(Path(__file__).parent, os.W_OK) else home
    folder = kept / f"kernels-{_stamp()}"
    if not folder.exists():  # the code is new: what older code left goes, but what another version may be using
        for old in kept.glob("kernels-*"):
            if time.time() - old.stat().st_mtime > UNUSED:
                shutil.rmtree(old, ignore_errors=True)
    return folder


if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(_folder())

# Division by zero gives what IEEE 754 says, as in numpy: to raise instead, each division asks first, and no loop that
# divides goes eight at a time.
USUAL = {"nogil": True, "fastmath": False, "error_model": "numpy"}
KEPT = USUAL | {"cache": True, "no_cfunc_wrapper": True}  # none is called from C
kernel = numba.njit(**KEPT)
inlined = numba.njit(inline="always", **USUAL)  # in a kernel's hot path a call is too dear

# A kernel that counts no references. Else each array taken out of a tuple, and each row of one, is counted up and down
# with a locked instruction: two thirds of the loop over bars (24 markets x 20 years: 31 ms with, 11 without, the same
# bit for bit). It must not make an array, nor call what returns one: that would never be freed. `_nrt` is a private
# option of numba; without it all works as before, but slower.
bare = numba.njit(_nrt=False, **KEPT)

# One that only other kernels call: without what Python needs to call it, which takes longer to compile than most of
# what it does; and not kept, for those who call it are.
PART = USUAL | {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True} | parts.SETTINGS
inner = numba.njit(**PART)

# An inner kernel that becomes a part of whoever calls it. A call hands over each array of a named tuple word by word:
# a hundred words and more, dearer than what most functions of the loop do. For those called on every bar or fill, from
# one place or two.
fused = numba.njit(forceinline=True, **PART)


def opened(closed):
    """An inner kernel as Python can call it, for examples and tests."""

    @numba.njit(**USUAL)
    def call(*given):
        return closed(*given)

    return call
