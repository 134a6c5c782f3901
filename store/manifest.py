"""Snapshots: one complete listing of all files of all tables, each holding the hash of the one before it.

    snapshots/0000000012.json   line 1: sha256 of the rest; the rest: number, parent's hash, note, time, files
    snapshots/head              number and hash of a snapshot that is durable: at least so far the chain must go
    snapshots/dropped-*.json    what is left of snapshots that were dropped (see `ledger`)

Rules of a commit: (1) segments are flushed before it begins; (2) the newest snapshot N is read and the change is
checked against it; (3) snapshot N + 1 gets its name by the place's `write_once`, which only one writer can do; the
other reads again, checks again and repeats, which is safe as nothing of it was visible; (4) the folder is flushed, and
only then is the commit reported. If that last flush fails the snapshot is visible but may not last: `StateUnknown`.

`head` tells a lost or edited newest snapshot from one that never was. It is written after the commit and may lag, never
lead. A newest snapshot with a wrong checksum is damage, except where hard links do not exist and `head` does not know
it: there it is the torn work of a killed writer, read past, and moved aside by the next commit.

A dropped snapshot leaves its hash and its parent's in the ledger, so that the chain is checked over it.
"""

import contextlib
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime

from store.durable import StateUnknown, StoreError
from store.ledger import Ledger
from store.sealed import Damaged, Problem, checksum, problem, sealed, unsealed

NOTHING = "0" * 64  # the hash of the store before its first commit
_FOLDER, _HEAD = "snapshots", "snapshots/head"
_NAME = re.compile(r"snapshots/\d{10}\.json")
_NEWEST = re.compile(r"(\d{1,10}) ([0-9a-f]{64})\n")
_PATH = re.compile(r"data/[a-z_]{1,64}/[0-9a-f]{32}\.parquet")
_PATIENCE = 60.0  # how long a commit tries against others [s]
made = []  # numbers of the snapshots that this process made: who is interrupted tells them
_TORN = 5.0  # a torn snapshot that has been left alone for so long is nobody's work any more [s]


class Conflict(StoreError):
    """Another writer was first; nothing was changed, read again and repeat."""


class NotKept(StoreError):
    """The snapshot was dropped, as nothing needed it; the text tells when, and which near ones are kept."""


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


EMPTY = Snapshot(0, NOTHING, "", "", "", ())


class Manifests:
    """The chain of snapshots of a store, in the `places` place where it lies."""

    def __init__(self, place):
        self.place = place
        self.ledger = Ledger(place)
        self._last = (None, EMPTY)

    def head(self):
        """The newest snapshot that was committed; `EMPTY` before the first."""
        floor, known = self._floor()
        newest = max(self.numbers(after=floor - 1), default=0)
        if newest < floor:
            raise Damaged(f"{_name(floor)} is missing, though snapshots/head names it: restore it from a backup")
        if newest == 0:
            return EMPTY
        try:
            snapshot = self._load(newest)
        except Damaged:
            if newest <= floor or self.place.atomic(_FOLDER):
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
        NotKept
            It was dropped.
        Damaged
            It is there, or should be.
        """
        head = self.head()
        if number == head.number:
            return head
        if not 0 <= number < head.number:
            raise StoreError(f"there is no snapshot {number}: the store has 0 to {head.number}")
        if number == 0:
            return EMPTY
        try:
            return self._load(number)
        finally:  # asked last: it may have been dropped while it was read
            self._refuse_dropped(number)

    def history(self):
        """All snapshots that are kept, oldest first."""
        found = list(self.chain())
        for step in found:
            if isinstance(step, Problem):
                raise Damaged(str(step))
        return [step for step in found if isinstance(step, Snapshot)]

    def time(self, number):
        """When a snapshot was made, one that was dropped too."""
        dropped = self.ledger.dropped()
        return (dropped[number] if number in dropped else self.snapshot(number)).time

    def append(self, change, note):
        """Commit `change(head) -> files`, which raises Conflict if it cannot be done on that head."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            head = self.head()
            number = head.number + 1
            stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            text = _encode(number, head.hash, note, stamp, change(head))
            try:
                linked = self.place.write_once(_name(number), text)
                break
            except FileExistsError:
                self._move_torn(number)
            if time.monotonic() > deadline:
                raise Conflict(f"other writers kept committing for {_PATIENCE:.0f} s; nothing was changed")
            time.sleep(random.uniform(0.001, 0.02))
        self._confirm(number, text, linked)
        made.append(number)
        return _decode(text, number)

    def numbers(self, after=0):
        """Numbers of the snapshots that stand in the folder, in order; only those above `after`."""
        return [int(name[-15:-5]) for name in self.place.names(_FOLDER, _name(max(after, 0))) if _NAME.fullmatch(name)]

    def walk(self):
        """Every snapshot that can be read, oldest first, and what is wrong with the chain: (snapshots, problems)."""
        found = list(self.chain())
        problems = dict.fromkeys(step for step in found if isinstance(step, Problem))
        return [step for step in found if isinstance(step, Snapshot)], list(problems)

    def chain(self):
        """The snapshots one by one, oldest first: each a Snapshot or a Dropped, and a Problem wherever there is one."""
        try:
            newest = self.head().number
        except Damaged as error:
            newest = max([*self.numbers(), self._floor()[0]])
            yield problem(error)
        before, (dropped, problems) = EMPTY, self.ledger.read()
        yield from problems
        for number in range(1, newest + 1):
            step = dropped.get(number) or self.step(number)
            if not isinstance(step, Problem) and before is not None and step.parent != before.hash:
                yield Problem(_name(before.number), f"is not the one that snapshot {number} was made on")
            yield step
            before = None if isinstance(step, Problem) else step

    def let_go(self, path):
        """Whether a file is in no snapshot any more because those that held it were dropped; else it is missed."""
        if not self.ledger.dropped() or any(segment.path == path for segment in self.head().files):
            return False
        for step in self.chain():
            if isinstance(step, Problem) or any(segment.path == path for segment in getattr(step, "files", ())):
                return False
        return True

    def step(self, number):
        """A snapshot as its manifest stands there; else a Dropped, or a Problem."""
        try:
            return self._load(number)
        except Damaged as error:
            return self.ledger.read()[0].get(number) or problem(error)

    def _refuse_dropped(self, number):
        dropped = self.ledger.dropped()
        if number not in dropped:
            return
        kept = [one for one in self.numbers() if one not in dropped]
        near = [*[one for one in kept if one < number][-1:], *[one for one in kept if one > number][:1]]
        told = " and ".join(f"{one} of {self._load(one).time[:10]}" for one in near)
        then, since = dropped[number].time[:10], dropped[number].dropped[:10]
        raise NotKept(f"snapshot {number} of {then} was dropped on {since}, as nothing needed it; kept near it: {told}")

    def _confirm(self, number, text, linked):
        """Make the new name durable, then let `head` know it."""
        try:
            self.place.settle([_name(number)])
        except OSError as error:
            raise StateUnknown(
                f"snapshot {number} is written but the disk did not confirm it ({error.strerror}): "
                "look at the newest snapshot before repeating the command"
            ) from error
        if not linked and self._text(number, b"") != text:  # this process was held up while it wrote
            raise Conflict(f"snapshot {number} was taken for torn and moved aside; nothing was changed")
        with contextlib.suppress(OSError):  # the commit stands; `head` may lag
            self.place.hint(_HEAD, f"{number} {checksum(text)}\n".encode())

    def _move_torn(self, number):
        """Move the torn work of a killed writer aside; what may still be written stays."""
        if self.place.atomic(_FOLDER):
            return
        with contextlib.suppress(Damaged):
            self._load(number)
            return
        try:
            age = self.place.now() - self.place.facts(_name(number)).changed
        except FileNotFoundError:
            return
        if age > _TORN:
            self.place.set_aside(_name(number), f".torn-{number}")

    def _floor(self):
        """Number and hash that `head` holds; (0, NOTHING) where it is absent or cut."""
        try:
            text = self.place.read(_HEAD).decode("ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return 0, NOTHING
        found = _NEWEST.fullmatch(text)
        return (int(found[1]), found[2]) if found else (0, NOTHING)

    def _text(self, number, absent=None):
        try:
            return self.place.read(_name(number))
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


def _name(number):
    return f"snapshots/{number:010d}.json"


def _encode(number, parent, note, stamp, files):
    body = {"number": number, "parent": parent, "note": note, "time": stamp}
    return sealed(body | {"files": [vars(segment) for segment in files]})


def _decode(text, number):
    """The snapshot in a manifest's text; Damaged unless checksum, number and paths are right."""
    fields = unsealed(text, _name(number))
    try:
        if fields["number"] != number:
            raise Damaged(f"{_name(number)} is damaged: it is snapshot {fields['number']} under another name")
        files = tuple(_segment(entry, number) for entry in fields["files"])
        return Snapshot(number, checksum(text), fields["parent"], fields["note"], fields["time"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{_name(number)} is damaged: it is no list of files ({error})") from error


def _segment(entry, number):
    if not _PATH.fullmatch(entry["path"]):
        raise Damaged(f"{_name(number)} is damaged: it names {entry['path']!r}, which is no file of a table")
    for name in ("first_day", "last_day"):
        entry[name] = entry[name] and date.fromisoformat(entry[name])
    return Segment(**entry)
