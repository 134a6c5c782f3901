"""Arrays kept as one raw file, which is mapped into memory instead of being read.

    8 bytes      FMARRAYS
    8 bytes      length of the header [bytes], little-endian
    32 bytes     sha256 of the header
    header       JSON: the key, a document, name, dtype, shape and place of each array, size of the file, digest
    arrays       back to back, each from the next multiple of 4096 on, C order; an array of two names lies there once

Rules: (1) a file is written beside its name and then renamed, so that readers see all of it or none, and of two writers
the last one stays; (2) nothing is flushed; size, header and key are checked whenever a file is opened, its digest when
a process first opens it, and again when its size, times or inode have changed: what a power cut tore, or somebody
altered, is as if it were absent; (3) arrays are mapped as private copies: who writes into one changes his own only.

The digest is the sha256 of the sum and the exclusive or of the words of each page: it sees every flipped bit, and pages
that are torn or at the place of others, at the speed of the memory (25 MB: 2 ms; sha256 of all bytes takes 15).

Of a folder the files used longest ago are removed when a new one is written and all of them are larger than `MOST`; one
that would be larger than half of that is not kept at all.
"""

import contextlib
import json
import math
import mmap
import os
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from store import durable

MAGIC, ENDING = b"FMARRAYS", ".arrays"
PAGE = 4096  # [bytes]
STEP, MANY = 256, 1024  # pages that are summed at once, as many as a processor has room for; pages that two threads sum
MOST = 2_000_000_000  # of all files of a folder together [bytes]
_NOTED = 600.0  # a use is noted once in so long: noting it changes the file's times, and then its digest is checked [s]
_HEAD = len(MAGIC) + 8 + 32
_sound = set()  # files whose digest this process has seen to be right: path, size, times, inode


def write(folder, name, key, arrays, document):
    """Keep arrays and a document under a name, in place of what stands there.

    Parameters
    ----------
    folder : Path
    name : str
    key : str
        What the content depends on.
    arrays : dict
        {name: array}, C-contiguous.
    document : dict
        For JSON.

    Returns
    -------
    bool
        False where they are too large to be kept.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = write(Path(folder), "mine", "of today", {"mark": np.array([[1.5, np.nan]])}, {"names": ["CL", "ES"]})
    ...     found = read(Path(folder), "mine", "of today")
    ...     (kept, found, read(Path(folder), "mine", "of tomorrow"))
    (True, ({'mark': array([[1.5, nan]])}, {'names': ['CL', 'ES']}), None)
    """
    blocks, told, place = {}, [], 0  # places count from the first page of the arrays
    for label, array in arrays.items():
        if id(array) not in blocks:
            blocks[id(array)] = place, np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            place += _pages(array.nbytes) * PAGE
        told.append([label, array.dtype.str, array.shape, blocks[id(array)][0]])
    if place > MOST // 2:
        return False
    parts = [part for _, block in blocks.values() for part in _paged(block)]
    fields = {"key": key, "document": document, "arrays": told, "size": place, "digest": _digest(parts)}
    header = json.dumps(fields, separators=(",", ":")).encode()
    header += b" " * (-(_HEAD + len(header)) % PAGE)
    Path(folder).mkdir(parents=True, exist_ok=True)
    _make_room(folder, place)
    with durable.replaced(_path(folder, name)) as temporary, open(temporary, "xb") as file:
        file.write(MAGIC + len(header).to_bytes(8, "little") + sha256(header).digest() + header)
        for part in parts:
            file.write(part)
    return True


def read(folder, name, key):
    """The arrays and the document of that name and key; None where they are absent, torn or altered."""
    path = _path(folder, name)
    try:
        with contextlib.suppress(OSError):  # a folder that cannot be written: there is nothing to be removed either
            if time.time() - path.stat().st_mtime > _NOTED:
                os.utime(path)
        found = _opened(path)
    except OSError:
        return None
    if found is None or found[0]["key"] != key:
        return None
    fields, start, whole, facts = found
    seen = str(path), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino
    if seen not in _sound:
        if not _as_written(found):
            return None
        _sound.add(seen)
    return {label: _array(whole, start + place, *kind) for label, *kind, place in fields["arrays"]}, fields["document"]


def sound(path):
    """Whether a file is as it was written, by all of its bytes as they lie there now; OSError if it cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = write(Path(folder), "mine", "of today", {"mark": np.zeros(600)}, {})
    ...     path = Path(folder) / "mine.arrays"
    ...     before, cut = sound(path), path.write_bytes(path.read_bytes()[:-1])
    ...     (before, sound(path))
    (True, False)
    """
    found = _opened(path)
    return found is not None and _as_written(found)


def _opened(path):
    """(header, place of the arrays, all bytes, facts) of a file; None where header or size are not as written."""
    with open(path, "rb") as file:
        facts = os.fstat(file.fileno())
        head = file.read(_HEAD)
        header = file.read(min(int.from_bytes(head[8:16], "little"), facts.st_size))
        if head[:8] != MAGIC or head[16:] != sha256(header).digest():
            return None
        fields, start = json.loads(header), _HEAD + len(header)
        if facts.st_size != start + fields["size"]:
            return None
        return fields, start, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), facts


def _as_written(found):
    """Whether the arrays of an opened file have the digest that its header tells."""
    fields, start, whole, _ = found
    return _digest([np.frombuffer(whole, np.uint8, offset=start)]) == fields["digest"]


def _array(whole, place, dtype, shape):
    """An array of a mapped file."""
    dtype, count = np.dtype(dtype), math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(whole, dtype, count, place).reshape(shape)


def _pages(size):
    return -(-size // PAGE)


def _paged(block):
    """Bytes as whole pages: all but the last page as they lie there, and the last one filled up with zeros."""
    full = len(block) // PAGE * PAGE
    yield block[:full]
    if full < len(block):
        last = np.zeros(PAGE, np.uint8)
        last[: len(block) - full] = block[full:]
        yield last


def _digest(parts):
    """Digest of bytes in parts of whole pages; see above. Many are summed by two threads: numpy lets others go on."""
    words = [part.view(np.uint64).reshape(-1, PAGE // 8) for part in parts]
    pieces = [part[low : low + STEP] for part in words for low in range(0, len(part), STEP)]
    ends = np.cumsum([0, *(len(piece) for piece in pieces)]).tolist()
    found = np.empty((2, ends[-1]), np.uint64)  # exclusive or, sum; of each page

    def reduce(which):
        for k in which:
            np.bitwise_xor.reduce(pieces[k], axis=1, out=found[0, ends[k] : ends[k + 1]])
            np.add.reduce(pieces[k], axis=1, out=found[1, ends[k] : ends[k + 1]])

    half = len(pieces) // 2 if ends[-1] > MANY else 0
    other = threading.Thread(target=reduce, args=(range(half),))
    if half:
        other.start()
    reduce(range(half, len(pieces)))
    if half:
        other.join()
    return sha256(found).hexdigest()


def _make_room(folder, size):
    """Remove the files used longest ago until one of so many bytes has room."""
    held = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another process makes room too
                held.append((entry.stat().st_mtime, entry.stat().st_size, entry.name, entry.path))
    total = size + sum(length for _, length, *_ in held)
    for _, length, name, path in sorted(held):
        if total <= MOST:
            return
        if name.endswith(ENDING):
            with contextlib.suppress(OSError):  # Windows keeps what is open
                durable.remove(path)
                total -= length


def _path(folder, name):
    return Path(folder) / f"{name}{ENDING}"
