"""Copies on this machine of files that lie elsewhere, under the sha256 of their bytes.

    <cache>/objects/<sha256>    read-only; may be deleted at any time

A copy is checked against its name when it is fetched, before it gets that name, and again when a process first uses it:
what was torn, cut or altered is fetched anew. All stores of a user share the folder. Above `FRONTMONTH_CACHE_BYTES`
(20 GB) the copies used longest ago are removed; never those that this process used, nor any used in the last hour: a
query may be about to open them.
"""

import contextlib
import os
import time
from hashlib import file_digest
from hashlib import sha256 as hasher
from pathlib import Path

from store import durable
from store.manifest import Damaged

MOST = 20_000_000_000  # of all copies together [bytes]
RECENT = 3600.0  # a copy used so short ago is some process's [s]
_NOTED = 600.0  # a use is noted once in so long: noting it changes the file's times, and then it is hashed again [s]
checked = set()  # files whose sha256 this process has seen to be right, with size, times and inode


def folder():
    """Where the user's caches lie: FRONTMONTH_CACHE, else `frontmonth` in XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("FRONTMONTH_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "frontmonth"


def most():
    """How many bytes of copies are kept: FRONTMONTH_CACHE_BYTES, else `MOST`."""
    text = os.environ.get("FRONTMONTH_CACHE_BYTES", "").strip()
    if not text:
        return MOST
    if not text.isdecimal():
        raise durable.StoreError(f"FRONTMONTH_CACHE_BYTES is {text!r}: allowed is a whole number of bytes, as {MOST}")
    return int(text)


def is_sound(path, sha256):
    """Whether a file's bytes have that sha256; hashed once a process, while size, times and inode stay as they are.

    Raises
    ------
    OSError
        There is no such file, or it cannot be read.
    """
    key = _key(path, sha256)
    if key in checked:
        return True
    with open(path, "rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found == sha256:
        checked.add(key)
    return found == sha256


def _key(path, sha256):
    facts = os.stat(path)
    return str(path), sha256, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


class Copies:
    """The copies in a cache folder."""

    def __init__(self, cache):
        self.folder = Path(cache) / "objects"
        self._used = set()  # by this process

    def find(self, sha256):
        """The copy of that sha256; None where there is none that is sound."""
        path = self.folder / sha256
        try:
            if sha256 not in self._used and time.time() - path.stat().st_mtime > _NOTED:
                os.utime(path)  # its time is that of its last use
            if not is_sound(path, sha256):
                return None
        except OSError:
            return None
        self._used.add(sha256)
        return path

    def keep(self, chunks, sha256=None, name=""):
        """Write a copy as it comes in; its sha256.

        Parameters
        ----------
        chunks : iterable of bytes
        sha256 : str, optional
            What it must be.
        name : str
            Of the file that is copied, for the message.

        Raises
        ------
        Damaged
            It is another; nothing is kept.
        NotWritten
            The cache has no room.
        """
        durable.make_folder(self.folder)
        temporary, digest = durable.temporary_name(self.folder), hasher()
        try:
            with _told(temporary), open(temporary, "xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            found = digest.hexdigest()
            if sha256 not in (None, found):
                raise Damaged(f"{name} is damaged: its sha256 is not the one that was committed")
            with _told(temporary):
                os.chmod(temporary, 0o444)
                os.replace(temporary, self.folder / found)
                checked.add(_key(self.folder / found, found))
        finally:
            with contextlib.suppress(OSError):  # the next sweep takes it
                durable.remove(temporary)
        self._used.add(found)
        return found

    def sweep(self):
        """Remove the copies used longest ago, until the rest has room; the number of bytes that are left."""
        limit, now, held = most(), time.time(), []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                    facts = entry.stat()
                    held.append((facts.st_mtime, facts.st_size, entry.name))
        total = sum(size for _, size, _ in held)
        for used, size, name in sorted(held):
            if total <= limit:
                break
            if name not in self._used and now - used > RECENT:
                with contextlib.suppress(OSError):  # Windows keeps what is open
                    durable.remove(self.folder / name)
                    total -= size
        return total


@contextlib.contextmanager
def _told(path):
    """An OSError of this disk as a sentence."""
    try:
        yield
    except OSError as error:
        raise durable.NotWritten(
            f"the cache {path.parent} could not be written ({error.strerror}): make room there, or name another folder "
            "in FRONTMONTH_CACHE"
        ) from error
