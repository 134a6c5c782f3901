"""Frames kept in the store's cache under the hash of their content, and small documents that name them.

    <owner>-<sha256>.arrow   frames, each an uncompressed Arrow stream after its length, named by the hash of its bytes
    <owner>.json             sha256 of the rest, a line end, and the rest, which is JSON; replaced as a whole

Frames that are read together are one file: opening and naming one costs more than a small frame. Equal frames of two
owners are two files, so that one may drop its own. A length is 8 bytes, little-endian.

Nothing is flushed: what a power cut tore, or somebody changed, has another hash and is as if it were absent. A file is
hashed when a process first reads it; its frames then stay in memory, up to `MOST` of them together. Streams, not files:
polars 2 copies both, and takes twice as long over a file (0.75 against 0.37 ms for 10,000 rows of 19 columns).
"""

import contextlib
import json
import os
from collections import OrderedDict
from hashlib import sha256
from io import SEEK_CUR, BytesIO
from pathlib import Path
from threading import Lock

import polars as pl

from store import durable

MOST = 256 << 20  # of frames in memory [bytes]
LENGTH = 8  # of what tells the length of a frame [bytes]


class Memory:
    """Frames by their names; those used longest ago give way."""

    def __init__(self, most=MOST):
        self.most, self.held, self.bytes, self.lock = most, OrderedDict(), 0, Lock()

    def find(self, name):
        """The frames, or None."""
        with self.lock:
            if name not in self.held:
                return None
            self.held.move_to_end(name)
            return self.held[name][0]

    def keep(self, name, frames, size):
        """Hold frames of so many bytes."""
        with self.lock:
            self.bytes += size - self.held.pop(name, (None, 0))[1]
            self.held[name] = frames, size
            while self.bytes > self.most and self.held:
                self.bytes -= self.held.popitem(last=False)[1][1]

    def clear(self):
        """Forget all."""
        with self.lock:
            self.held.clear()
            self.bytes = 0


memory = Memory()


def put(folder, owner, *frames):
    """Write frames as one file; its name.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = put(Path(folder), "mine", pl.DataFrame({"day": [1, 2]}), pl.DataFrame({"root": ["ES"]}))
    ...     found = [frame.rows() for frame in get(Path(folder), name)]
    ...     (Path(folder) / f"{name}.arrow").write_bytes(b"torn")
    ...     memory.clear()
    ...     (len(name), found, get(Path(folder), name))
    4
    (69, [[(1,), (2,)], [('ES',)]], None)
    """
    buffer = BytesIO()
    for frame in frames:
        begin = buffer.seek(LENGTH, SEEK_CUR)
        frame.write_ipc_stream(buffer)
        end = buffer.tell()
        buffer.seek(begin - LENGTH)
        buffer.write((end - begin).to_bytes(LENGTH, "little"))
        buffer.seek(end)
    content = buffer.getbuffer()
    name = f"{owner}-{sha256(content).hexdigest()}"
    if memory.find(name) is None or not _path(folder, name).exists():
        _replace(_path(folder, name), content)
        memory.keep(name, list(frames), len(content))
    return name


def get(folder, name, count=None):
    """The frames of that name, or the first so many of them; None where they are absent, torn or altered."""
    frames = memory.find(name)
    if frames is None:
        try:
            content = _path(folder, name).read_bytes()
        except OSError:
            return None
        if not _named(name, content):
            return None
        frames = list(_parts(content))  # a stream becomes a frame when it is first asked for
        memory.keep(name, frames, len(content))
    try:
        for place, part in enumerate(frames[:count]):
            if isinstance(part, bytes):
                frames[place] = pl.read_ipc_stream(part)
    except pl.exceptions.PolarsError:  # written by another version
        return None
    return frames[:count]


def _parts(content):
    """The streams of a file."""
    begin = 0
    while begin < len(content):
        length = int.from_bytes(content[begin : begin + LENGTH], "little")
        begin += LENGTH + length
        yield content[begin - length : begin]


def sound(path):
    """Whether a frame's file has the name of its bytes; OSError if it cannot be read."""
    return _named(path.stem, path.read_bytes())


def _named(name, content):
    return sha256(content).hexdigest() == name.rpartition("-")[2]


def write(folder, owner, document):
    """Put an owner's document in place of the one that he had."""
    text = json.dumps(document, separators=(",", ":"), default=str).encode()
    _replace(folder / f"{owner}.json", sha256(text).hexdigest().encode() + b"\n" + text)


def read(folder, owner):
    """The document of an owner; None where it is absent, torn or altered."""
    try:
        checksum, _, text = (folder / f"{owner}.json").read_bytes().partition(b"\n")
    except OSError:
        return None
    return json.loads(text) if sha256(text).hexdigest().encode() == checksum else None


def drop(folder, names):
    """Remove frames that nothing names any more; another process that still wants one makes it again."""
    for name in names:
        with contextlib.suppress(OSError):  # Windows keeps what is open
            durable.remove(_path(folder, name))


def loose(cache):
    """What lies in the folders of a cache and is of no use: temporary files, and frames that no document names.

    Of files that are young some may be a writer's work in progress.
    """
    frames = sorted(cache.glob("*/*.arrow"))  # listed before the documents are read: what is named meanwhile stays
    owners = {path: (path.parent, path.stem.rpartition("-")[0]) for path in frames}
    told = {owner: json.dumps(read(*owner)) for owner in set(owners.values())}
    unnamed = [path for path in frames if f'"{path.stem}"' not in told[owners[path]]]
    walked = os.walk(
        cache
    )  # which passes over a folder that has just gone, as those of queries do; `rglob` fails there
    found = [Path(folder, name) for folder, folders, files in walked for name in (*folders, *files)]
    return [*(path for path in found if path.name.startswith(durable.TEMPORARY)), *unnamed]


def _path(folder, name):
    return folder / f"{name}.arrow"


def _replace(path, data):
    try:
        durable.replace_hint(path, data)
    except FileNotFoundError:  # the first of the folder
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.replace_hint(path, data)
