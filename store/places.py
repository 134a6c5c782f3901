"""Where the files of a store lie: names with `/`, relative to the store, and what can be done with them.

A `Folder` is a folder of this machine, a `bucket.Bucket` one of an S3 service; both have the same methods, and what is
above them (`manifest`, `archive`, `retention`, `backup`) knows no other way to a file. A name is written once: nothing
is changed in place but hints, which may be lost.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

from store import durable

STAGED = ".staged-"  # begins the names of folders in `runs` that are no runs: on their way in, or out


@dataclass(frozen=True)
class Facts:
    """Of a file: its size, and when it was last changed, by the clock of its place [s since 1970]."""

    bytes: int
    changed: float


def place_of(address):
    """The place that an address means: a folder, or s3://bucket/prefix.

    >>> str(place_of("/tmp/prices"))
    '/tmp/prices'
    """
    if str(address).startswith("s3:/"):
        from store.bucket import Bucket

        return Bucket(address)
    return Folder(address)


class Folder:
    """A folder of this machine; `path` is absolute."""

    def __init__(self, path):
        self.path = Path(path).resolve()

    def __str__(self):
        return str(self.path)

    def __eq__(self, other):
        return isinstance(other, Folder) and self.path == other.path

    def __hash__(self):
        return hash(self.path)

    # ---- looking

    def exists(self):
        """Whether a store was begun here."""
        return (self.path / "snapshots").is_dir()

    def names(self, under, after=""):
        """Names of the files directly below `under`, sorted; only those that come after the name `after`."""
        found = (f"{under}/{entry.name}" for entry in _entries(self.path / under) if entry.is_file())
        return sorted(name for name in found if name > after)

    def tree(self, under):
        """Names of all files below `under`, sorted; links are told, not followed."""
        found = (Path(folder, file) for folder, _, files in os.walk(self.path / under, onerror=_told) for file in files)
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def folders(self, under, holding=""):
        """Names of the folders directly below `under`, sorted; only those that hold a file of the name `holding`."""
        found = sorted(f"{under}/{entry.name}" for entry in _entries(self.path / under) if entry.is_dir())
        return [name for name in found if not holding or self.has(f"{name}/{holding}")]

    def has(self, name):
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def read(self, name):
        """The bytes of a file; FileNotFoundError if there is none."""
        return (self.path / name).read_bytes()

    def local(self, name, sha256=None):
        """A file of this machine with the bytes of `name`; `sha256`, if known, lets a copy of a remote one serve."""
        return self.path / name

    def digest(self, name):
        """Sha256 of a file's bytes as they lie there now, in hex."""
        with open(self.path / name, "rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def facts(self, name):
        """Size and time of change; FileNotFoundError if there is no such file."""
        found = (self.path / name).stat()
        return Facts(found.st_size, found.st_mtime)

    def sizes(self, names):
        """Size of each file [bytes]; None where there is none."""
        return [self.facts(name).bytes if self.has(name) else None for name in names]

    def bring(self, wanted):
        """Make files quick to read: pairs of name and sha256; here they are."""

    def bring_own(self):
        """Bring the user's own files, which lie beside the store, into `path`; here they are."""

    def now(self):
        """The time by the place's own clock [s since 1970]."""
        probe = durable.temporary_name(self.path)
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:  # nothing can be written: nothing depends on the age of a file then
            return time.time()
        finally:
            with contextlib.suppress(OSError):  # of a read-only disk, on which there is no probe either
                durable.remove(probe)

    # ---- writing

    def begin(self):
        """Make the folders of a store; in this order, as data without snapshots is damage."""
        for name in ("snapshots", "data", "runs"):
            durable.make_folder(self.path / name)

    def write_new(self, name, data):
        """Write a file whose name must be free; it is flushed, and its name lasts after `settle`. See `durable`."""
        durable.make_folder((self.path / name).parent)
        durable.write_new(self.path / name, data)

    def write_once(self, name, data):
        """Write a file whose name only one writer can take; true where nobody can see it half written."""
        durable.make_folder((self.path / name).parent)
        return durable.write_once(self.path / name, data)

    def atomic(self, under):
        """Whether `write_once` shows files only when they are whole."""
        return durable.links_work(self.path / under)

    def settle(self, names):
        """Make names durable; OSError if the disk does not confirm."""
        folders = {parent for name in names for parent in Path(name).parents if parent != Path(".")}
        for folder in sorted(folders, reverse=True):  # what is inside before what names it
            durable.sync_folder(self.path / folder)

    def hint(self, name, data):
        """Replace a file; it is not flushed and may be lost."""
        durable.make_folder((self.path / name).parent)
        durable.replace_hint(self.path / name, data)

    def put_beside(self, name, data):
        """Replace one of the user's own files beside the store; durable when this returns."""
        path = self.path / name
        durable.make_folder(path.parent)
        with durable.replaced(path) as temporary:
            durable.write_new(temporary, data)
            temporary.chmod(0o644)
        durable.sync_folder(path.parent)

    def set_aside(self, name, suffix):
        """Give a torn file a name that readers pass over."""
        path = self.path / name
        path.rename(durable.temporary_name(path.parent).with_suffix(suffix))

    def remove(self, name):
        """Remove a file; one that is gone already is no error."""
        durable.remove(self.path / name)

    # ---- whole folders

    def stage(self):
        """A fresh folder of this machine to be filled and given to `publish`."""
        durable.make_folder(self.path / "runs")
        folder = self.path / "runs" / f"{STAGED}{uuid4().hex}"
        folder.mkdir()
        return folder

    def publish(self, folder, name, replace=False):
        """A staged folder gets its name, whole or not at all; FileExistsError if that is taken.

        With `replace` it takes the place of what has the name, which stays if that fails.
        """
        (durable.replace_folder if replace else durable.move_folder)(folder, self.path / name)

    def unfinished(self):
        """Names of files of runs that are under way, or were killed on it; here such a run has another name."""
        return []

    def remove_tree(self, name):
        """Remove a folder or file; a run goes at once, so that none is left by half."""
        path = self.path / name
        if path.parent.name == "runs" and path.is_dir() and not path.name.startswith(STAGED):
            gone = path.parent / f"{STAGED}{uuid4().hex}"
            os.rename(path, gone)
            durable.remove_tree(gone)
        elif path.exists() or path.is_symlink():
            durable.remove_tree(path)


def _told(error):
    """What `os.walk` does with a folder that cannot be read: one that has gone is no error, others are."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _entries(folder):
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
