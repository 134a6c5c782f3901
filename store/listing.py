"""What a backup consists of, and how it is read by somebody who does not trust it.

    data/<table>/<uuid>.parquet, snapshots/<number>.json   as in the store, byte for byte
    files/<sha256>            contents of runs, tags and the user's own files, each once
    backups/<number>.json     a Listing, sealed, written once: head of the chain, dropped snapshots, names of `files`
    backups/head              number and checksum of the newest listing: tells a lost one from one that never was

A backup is what its newest listing says; all else in the folder is of an earlier one, or of one that was stopped.
Listing 0 is empty: it makes the folder a backup before anything is in it.

Nothing here is believed because it lies there: (1) names are checked by `allowed` whoever wrote them; (2) only regular
files are read, no link is followed and no pipe waited for; (3) no more is read than the listed size; (4) bytes count
only with the listed sha256.
"""

import os
import re
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from store import system
from store.durable import StateUnknown, StoreError
from store.ledger import Dropped
from store.manifest import NOTHING
from store.places import Folder, place_of
from store.sealed import Damaged, Problem, checksum, sealed, unsealed
from store.segments import NAME, Refused

FOLDERS = ("strategies", "portfolios", "downloads")  # of the user, beside the store
SUFFIXES = (".csv", ".toml")  # of the user's files beside the store
PARTS = ("data", "snapshots", "runs", "sweeps", "tags", "cache", "locks")  # of the store itself
_HEAD = "backups/head"
_NUMBER = re.compile(r"backups/(\d{10})\.json")
_TAG = re.compile(rf"{NAME.pattern}(~[1-9][0-9]{{0,8}})?\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r'[^\x00-\x1f\x7f/\\:*?"<>|]{1,200}')  # what every file system takes as a name
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # what is no file on Windows
_MOST = 1 << 30  # a manifest or listing is at most so long [bytes]


@dataclass(frozen=True)
class Listing:
    """What one backup holds: `files` is {name in the store: (sha256, bytes)}, `dropped` {number: Dropped}."""

    number: int
    head: int
    hash: str
    time: str
    files: dict
    dropped: dict
    checksum: str = ""


def allowed(name):
    """Whether a name may stand in a listing: of a run, a tag or a user's file, with nothing in it that leads elsewhere.

    >>> [name for name in ("runs/7/run.json", "strategies/x.py", "../x.csv", "/a.csv", "C:x.csv") if allowed(name)]
    ['runs/7/run.json', 'strategies/x.py']
    """
    parts = name.split("/")
    if len(name) > 1000 or not all(_plain(part) for part in parts):
        return False
    if len(parts) == 1:
        return name.endswith(SUFFIXES)
    if parts[0] == "tags":
        return len(parts) == 2 and bool(_TAG.fullmatch(parts[1]))
    if parts[0] == "runs":
        return len(parts) > 2 and bool(NAME.fullmatch(parts[1]))
    return parts[0] in FOLDERS


def own_files(folder):
    """The user's own files beside a store.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of str
        Names to be kept.
    list of str
        What is left out: links, files that no listing may name, and what is none of `FOLDERS` and `SUFFIXES`.
    """
    names, left_out, rest = [], [], [""]
    while rest:
        under = rest.pop()
        with os.scandir(folder / under) as entries:
            for entry in entries:
                name = under + entry.name
                if name in PARTS or entry.name.startswith((".tmp-", "__pycache__")):
                    continue
                if entry.is_dir(follow_symlinks=False) and name.partition("/")[0] in FOLDERS and _plain(entry.name):
                    rest.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False) and allowed(name):
                    names.append(name)
                else:
                    left_out.append(name)
    return sorted(names), sorted(left_out)


class Untrusted:
    """A backup's place, of which nothing but regular files inside it is read."""

    def __init__(self, place):
        self.place = place

    def __str__(self):
        return str(self.place)

    def names(self, under, after=""):
        """As of a place."""
        return self.place.names(under, after)

    def atomic(self, under):
        """As of a place; a torn file is damage here."""
        return True

    def read(self, name, most=_MOST):
        """The bytes of a file; FileNotFoundError, or Damaged if it is no plain file or longer than `most`."""
        if isinstance(self.place, Folder):
            return _contents(self.place.path, name, most)
        if self.place.facts(name).bytes > most:
            raise Damaged(f"{name} is longer than the {most} bytes that it may have")
        return self.place.read(name)

    def checked(self, name, digest, size, path=None):
        """The bytes of what the store calls `name`, in the backup maybe `path`; Damaged unless they are those."""
        path = path or name
        told = name if path == name else f"{path} (the content of {name})"
        if type(size) is not int:
            raise Damaged(f"{told} has {size!r} as its size")
        try:
            content = self.read(path, size)
        except FileNotFoundError:
            raise Damaged(f"{told} is missing") from None
        except OSError as error:
            raise Damaged(f"{told} cannot be read ({error.strerror})") from error
        if len(content) != size or sha256(content).hexdigest() != digest:
            raise Damaged(f"{told} is damaged: its size or sha256 is not the listed one")
        return content


class AsOf:
    """A backup seen as the store was when its chain ended at `head`: what `Manifests` reads of a place.

    `hash_` is None where nothing but the snapshot itself tells its hash.
    """

    def __init__(self, untrusted, head, hash_, dropped):
        self._untrusted, self.head, self.hash, self.dropped = untrusted, head, hash_, dropped
        self._ledger = f"snapshots/dropped-{'0' * 32}.json"

    def names(self, under, after=""):
        """Of the folder `snapshots`."""
        found = [name for name in self._untrusted.names(under, after) if name <= f"snapshots/{self.head:010d}.json"]
        return found + [self._ledger] * (self._ledger > after and bool(self.dropped))

    def atomic(self, under):
        """As of a place."""
        return True

    def read(self, name):
        """As of a place."""
        if name == "snapshots/head":
            if self.hash is None:
                raise FileNotFoundError(name)
            return f"{self.head} {self.hash}\n".encode()
        if name == self._ledger:
            return sealed({"dropped": [asdict(entry) for entry in self.dropped.values()]})
        return self._untrusted.read(name)


def numbers(place):
    """Numbers of the listings, in order."""
    return [int(found[1]) for found in map(_NUMBER.fullmatch, place.names("backups")) if found]


def newest(place):
    """The newest listing, None where there is none; Damaged if it is not the one that was written last."""
    floor, known = _floor(place)
    try:
        found = max(numbers(place), default=-1)
    except NotADirectoryError:
        raise Refused(f"{place} is a file: name a folder") from None
    if found < floor:
        raise Damaged(f"{_name(floor)} is missing, though {_HEAD} names it")
    if found < 0:
        return None
    try:
        listing = load(place, found)
    except Damaged:
        if found <= floor or place.place.atomic("backups"):
            raise
        return load(place, found - 1) if found else None  # the torn work of a killed backup, where links do not exist
    if found == floor and listing.checksum != known:
        raise Damaged(f"{_name(found)} is not the one that {_HEAD} names: one of the two was altered")
    return listing


def ended(place):
    """The newest listing of a backup that was ever finished; Refused where there is none."""
    last = newest(place)
    if last is None:
        raise Refused(f"there is no backup in {place}")
    if last.number == 0:
        raise Refused(f"the backup in {place} was begun but never ended: repeat `frontmonth backup`")
    return last


def load(place, number):
    """The listing of that number; Damaged if it was altered, or names what no listing may name."""
    name = _name(number)
    try:
        text = place.read(name)
    except FileNotFoundError:
        raise Damaged(f"{name} is missing") from None
    except OSError as error:
        raise Damaged(f"{name} cannot be read ({error.strerror})") from error
    try:
        fields = unsealed(text, name)
        listing = Listing(
            **{key: fields[key] for key in ("number", "head", "hash", "time")},
            files={file: (digest, size) for file, (digest, size) in fields["files"].items()},
            dropped={entry["number"]: Dropped(**entry) for entry in fields["dropped"]},
            checksum=checksum(text),
        )
        wrong = None if listing.number == number else f"it is listing {listing.number} under another name"
        wrong = wrong or _wrong(listing)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        wrong = f"it is no listing ({error})"
    if wrong:
        raise Damaged(f"{name} is damaged: {wrong}")
    return listing


def write(place, listing):
    """Write a listing for good; what is in it must be durable. FileExistsError if its number is taken."""
    fields = {key: getattr(listing, key) for key in ("number", "head", "hash", "time", "files")}
    text = sealed(fields | {"dropped": [asdict(entry) for entry in listing.dropped.values()]})
    place.write_once(_name(listing.number), text)
    settle(place, listing.number)
    with suppress(OSError, StoreError):  # the backup stands; the hint may lag
        place.hint(_HEAD, f"{listing.number} {checksum(text)}\n".encode())


def settle(place, number):
    """Make a listing that is written durable."""
    name = _name(number)
    try:
        place.settle([name])
    except OSError as error:
        raise StateUnknown(
            f"{name} is written but the disk of {place} did not confirm it ({error.strerror}): make the backup again"
        ) from error


@dataclass
class Chain:
    """A chain of snapshots, read once: what a copy of it needs."""

    number: int = 0
    hash: str = NOTHING
    hashes: dict = field(default_factory=dict)  # number -> hash of the snapshots that are kept
    dropped: dict = field(default_factory=dict)  # number -> Dropped
    segments: dict = field(default_factory=dict)  # path -> (sha256, bytes)
    since: dict = field(default_factory=dict)  # path -> the first of these snapshots that names it

    @classmethod
    def read(cls, manifests):
        """Damaged if anything is wrong with it."""
        chain = cls()
        for step in manifests.chain():
            if isinstance(step, Problem):
                raise Damaged(str(step))
            if isinstance(step, Dropped):
                chain.dropped[step.number] = step
                continue
            chain.number, chain.hash = step.number, step.hash
            chain.hashes[step.number] = step.hash
            for segment in step.files:
                if segment.path not in chain.segments:
                    chain.segments[segment.path] = segment.sha256, segment.bytes
                    chain.since[segment.path] = step.number
        return chain


def refuse_nested(store, target):
    """A store and its backup may not lie one in the other."""
    if store == target:
        raise Refused(f"store and backup are one place, {target}: name another folder")
    for inner, outer in ((store, target), (target, store)):
        if isinstance(inner, Folder) is isinstance(outer, Folder) and str(outer) in _above(inner):
            raise Refused(f"{inner} lies in {outer}: store and backup must lie apart")


def refuse_inside(place):
    """Nothing is made in the folder of a store or of a backup."""
    for above in map(place_of, _above(place)):
        if _taken(above):
            raise Refused(f"{place} lies in {above}, which is a store or a backup: name a folder outside of it")


def holds_something(place, besides=()):
    """Whether there is anything at all in a place, but for such names."""
    if not isinstance(place, Folder):
        return any(place.tree(part) for part in ("backups", "files", *PARTS))
    try:
        return bool(set(os.listdir(place.path)) - set(besides))
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise Refused(f"{place} is a file: name a folder") from None


def _above(place):
    """Addresses of the places in which a place lies."""
    if isinstance(place, Folder):
        return [str(path) for path in place.path.parents]
    bucket, *parts = str(place).removeprefix("s3://").split("/")
    return ["/".join(["s3:/", bucket, *parts[:k]]) for k in range(len(parts))]


def _taken(place):
    """Whether a place is a store or a backup."""
    try:
        here = place.exists() and (not isinstance(place, Folder) or (place.path / "data").is_dir())
        return here or bool(numbers(place))
    except (StoreError, OSError):  # who may not look there keeps no store of his there
        return False


def _wrong(listing):
    """What no backup would have written, None if there is nothing."""
    folders = {parent for name in listing.files for parent in _parents(name)}
    for name, (digest, size) in listing.files.items():
        if not allowed(name):
            return f"it names {name!r}, which is no file of a store or beside one"
        if name in folders:
            return f"it names {name!r} as a file and as a folder"
        if not _HASH.fullmatch(digest) or type(size) is not int or size < 0:
            return f"what it says of {name} is no sha256 and size"
    counts = [listing.head, *listing.dropped]
    if any(type(one) is not int or one < 0 for one in counts) or not _HASH.fullmatch(listing.hash):
        return "its numbers are none"
    return None


def _parents(name):
    parts = name.split("/")
    return ["/".join(parts[:k]) for k in range(1, len(parts))]


def _plain(part):
    """Whether a part of a name is one on every system, and hides nothing."""
    return bool(
        _PART.fullmatch(part)
        and part.isprintable()
        and part[0] != "."
        and part[-1] not in ". "
        and not DEVICE.fullmatch(part)
    )


def _contents(folder, name, most):
    """The bytes of a regular file that lies in a folder and is reached through no link."""
    path = folder
    for part in name.split("/")[:-1]:
        path /= part
        if path.is_symlink():
            raise Damaged(f"{name} lies behind a link, {path}, which is not followed")
    path = folder / name
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Damaged(f"{name} is a link, a pipe or a device, no file")
    with open(os.open(path, system.PLAIN), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise Damaged(f"{name} is longer than the {most} bytes that it may have")
        return file.read(size + 1)


def _floor(place):
    """Number and checksum that the hint holds; (-1, "") where it is absent or cut."""
    try:
        text = place.read(_HEAD, 100).decode("ascii")
    except (OSError, StoreError, UnicodeDecodeError):
        return -1, ""
    found = re.fullmatch(r"(\d{1,10}) ([0-9a-f]{64})\n", text)
    return (int(found[1]), found[2]) if found else (-1, "")


def _name(number):
    return f"backups/{number:010d}.json"
