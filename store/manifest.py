"""Snapshots: one complete listing of all files of all tables, each holding the hash of the one before it.

    snapshots/0000000012.json   line 1: sha256 of the rest; the rest: number, parent's hash, note, time, files
    snapshots/head              number and hash of a snapshot that is durable: at least so far the chain must go

Rules of a commit: (1) segments are flushed before it begins; (2) the newest snapshot N is read and the change is
checked against it; (3) snapshot N + 1 gets its name by `durable.write_once`, which only one writer can do; the other
reads again, checks again and repeats, which is safe as nothing of it was visible; (4) the folder is flushed, and only
then is the commit reported. If that last flush fails the snapshot is visible but may not last: `StateUnknown`.

`head` tells a lost or edited newest snapshot from one that never was. It is written after the commit and may lag, never
lead. A newest snapshot with a wrong checksum is damage, except where hard links do not exist and `head` does not know
it: there it is the torn work of a killed writer, read past, and moved aside by the next commit.
"""

import contextlib
import json
import random
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from store import durable
from store.durable import StateUnknown, StoreError

NOTHING = "0" * 64  # the hash of the store before its first commit
_FORMAT = 1
_NAME = re.compile(r"\d{10}\.json")
_PATH = re.compile(r"data/[a-z_]{1,64}/[0-9a-f]{32}\.parquet")
_PATIENCE = 60.0  # how long a commit tries against others [s]
_TORN = 5.0  # a torn snapshot that has been left alone for so long is nobody's work any more [s]


class Damaged(StoreError):
    """A file of the store is missing, cut or altered; the text begins with its name."""


class Conflict(StoreError):
    """Another writer was first; nothing was changed, read again and repeat."""


@dataclass(frozen=True)
class Segment:
    """A Parquet file of one table, written once: `labels` hold for all its rows, days are of its first and last row."""

    path: str
    table: str
    rows: int
    bytes: int
    sha256: str
    first_day: date | None
    last_day: date | None
    labels: dict


@dataclass(frozen=True)
class Snapshot:
    """The store at one commit; number and hash together are a data version."""

    number: int
    hash: str
    parent: str
    note: str
    time: str
    files: tuple


@dataclass(frozen=True)
class Problem:
    """A damaged file and what is wrong with it."""

    path: str
    reason: str

    def __str__(self):
        return f"{self.path} {self.reason}"


EMPTY = Snapshot(0, NOTHING, "", "", "", ())


class Manifests:
    """The chain of snapshots of a store."""

    def __init__(self, path):
        self.folder = Path(path) / "snapshots"
        self._last = (None, EMPTY)

    def head(self):
        """The newest snapshot that was committed; `EMPTY` before the first."""
        floor, known = self._floor()
        newest = max(self.numbers(), default=0)
        if newest < floor:
            raise Damaged(f"{_name(floor)} is missing, though snapshots/head names it: restore it from a backup")
        if newest == 0:
            return EMPTY
        try:
            snapshot = self._load(newest)
        except Damaged:
            if newest <= floor or durable.links_work(self.folder):
                raise
            return self._load(newest - 1) if newest > 1 else EMPTY
        if newest == floor and snapshot.hash != known:
            raise Damaged(f"{_name(newest)} is not the snapshot that snapshots/head names: one of the two was altered")
        return snapshot

    def snapshot(self, number):
        """The snapshot of that number.

        Raises
        ------
        StoreError
            There never was one.
        Damaged
            There was.
        """
        head = self.head()
        if number == head.number:
            return head
        if not 0 <= number < head.number:
            raise StoreError(f"there is no snapshot {number}: the store has 0 to {head.number}")
        return self._load(number) if number else EMPTY

    def history(self):
        """All snapshots, oldest first."""
        return [self._load(number) for number in range(1, self.head().number + 1)]

    def append(self, change, note):
        """Commit `change(head) -> files`, which raises Conflict if it cannot be done on that head."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            head = self.head()
            number = head.number + 1
            stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            text = _encode(number, head.hash, note, stamp, change(head))
            target = self.folder / f"{number:010d}.json"
            try:
                linked = durable.write_once(target, text)
                break
            except FileExistsError:
                self._move_torn(number)
            if time.monotonic() > deadline:
                raise Conflict(f"other writers kept committing for {_PATIENCE:.0f} s; nothing was changed")
            time.sleep(random.uniform(0.001, 0.02))
        self._confirm(number, text, linked)
        return _decode(text, number)

    def numbers(self):
        """Numbers of the snapshots that stand in the folder, in order."""
        return sorted(int(entry.stem) for entry in self.folder.iterdir() if _NAME.fullmatch(entry.name))

    def walk(self):
        """Every snapshot that can be read, oldest first, and what is wrong with the chain: (snapshots, problems)."""
        try:
            newest, problems = self.head().number, []
        except Damaged as error:
            newest, problems = max([*self.numbers(), self._floor()[0]]), [problem(error)]
        snapshots, before = [], EMPTY
        for number in range(1, newest + 1):
            try:
                snapshot = self._load(number)
            except Damaged as error:
                problems.append(problem(error))
                before = None
                continue
            if before is not None and snapshot.parent != before.hash:
                problems.append(Problem(_name(before.number), f"is not the one that snapshot {number} was made on"))
            snapshots.append(snapshot)
            before = snapshot
        return snapshots, list(dict.fromkeys(problems))

    def _confirm(self, number, text, linked):
        """Make the new name durable, then let `head` know it."""
        try:
            durable.sync_folder(self.folder)
        except OSError as error:
            raise StateUnknown(
                f"snapshot {number} is written but the disk did not confirm it ({error.strerror}): "
                "look at the newest snapshot before repeating the command"
            ) from error
        if not linked and self._text(number, b"") != text:  # this process was held up while it wrote
            raise Conflict(f"snapshot {number} was taken for torn and moved aside; nothing was changed")
        with contextlib.suppress(OSError):  # the commit stands; `head` may lag
            durable.replace_hint(self.folder / "head", f"{number} {_checksum(text)}\n".encode())

    def _move_torn(self, number):
        """Move the torn work of a killed writer aside; what may still be written stays."""
        path = self.folder / f"{number:010d}.json"
        if not path.exists() or durable.links_work(self.folder):
            return
        with contextlib.suppress(Damaged):
            self._load(number)
            return
        probe = durable.temporary_name(self.folder)
        durable.write_new(probe, b"")  # the file system's own clock
        age = probe.stat().st_mtime - path.stat().st_mtime
        durable.remove(probe)
        if age > _TORN:
            path.rename(durable.temporary_name(self.folder).with_suffix(f".torn-{number}"))

    def _floor(self):
        """Number and hash that `head` holds; (0, NOTHING) where it is absent or cut."""
        try:
            text = (self.folder / "head").read_text("ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return 0, NOTHING
        found = re.fullmatch(r"(\d{1,10}) ([0-9a-f]{64})\n", text)
        return (int(found[1]), found[2]) if found else (0, NOTHING)

    def _text(self, number, absent=None):
        try:
            return (self.folder / f"{number:010d}.json").read_bytes()
        except FileNotFoundError:
            if absent is not None:
                return absent
            raise Damaged(f"{_name(number)} is missing: restore it from a backup") from None
        except OSError as error:
            raise Damaged(f"{_name(number)} cannot be read ({error.strerror})") from error

    def _load(self, number):
        text = self._text(number)
        key, snapshot = self._last
        if key != (number, text):
            snapshot = _decode(text, number)
            self._last = ((number, text), snapshot)
        return snapshot


def problem(error):
    """A Damaged error as a Problem."""
    path, _, reason = str(error).partition(" ")
    return Problem(path, reason)


def _name(number):
    return f"snapshots/{number:010d}.json"


def _checksum(text):
    return text[:64].decode("ascii")


def _encode(number, parent, note, stamp, files):
    body = {
        "format": _FORMAT,
        "number": number,
        "parent": parent,
        "note": note,
        "time": stamp,
        "files": [asdict(segment) for segment in files],
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=date.isoformat).encode("ascii")
    return sha256(text).hexdigest().encode("ascii") + b"\n" + text


def _decode(text, number):
    """The snapshot in a manifest's text; Damaged unless checksum, number and paths are right."""
    checksum, _, body = text.partition(b"\n")
    if sha256(body).hexdigest().encode("ascii") != checksum:
        raise Damaged(f"{_name(number)} is damaged: its checksum is wrong")
    try:
        fields = json.loads(body)
        if fields["format"] != _FORMAT:
            raise StoreError(f"{_name(number)} has format {fields['format']}; this program reads format {_FORMAT}")
        if fields["number"] != number:
            raise Damaged(f"{_name(number)} is damaged: it is snapshot {fields['number']} under another name")
        files = tuple(_segment(entry, number) for entry in fields["files"])
        return Snapshot(number, checksum.decode("ascii"), fields["parent"], fields["note"], fields["time"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{_name(number)} is damaged: it is no list of files ({error})") from error


def _segment(entry, number):
    if not _PATH.fullmatch(entry["path"]):
        raise Damaged(f"{_name(number)} is damaged: it names {entry['path']!r}, which is no file of a table")
    for name in ("first_day", "last_day"):
        entry[name] = entry[name] and date.fromisoformat(entry[name])
    return Segment(**entry)
