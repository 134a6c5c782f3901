"""The snapshots that were dropped: what the chain needs of each, in files that are written once.

    snapshots/dropped-<32 hex>.json     of each: number, hash, parent, note, time, and when it was dropped

A snapshot is dropped as soon as one of the files names it, whether or not its manifest still stands: what that named
may be gone. Several files name what all of them name together, so that they may be joined at leisure.
"""

import re
from dataclasses import asdict, dataclass
from uuid import uuid4

from store.durable import StateUnknown
from store.sealed import Damaged, Problem, problem, sealed, unsealed

_FOLDER = "snapshots"
_NAME = re.compile(r"snapshots/dropped-[0-9a-f]{32}\.json")


@dataclass(frozen=True)
class Dropped:
    """What is left of a snapshot, and when it was dropped."""

    number: int
    hash: str
    parent: str
    note: str
    time: str
    dropped: str


class Ledger:
    """All such files of a place."""

    def __init__(self, place):
        self.place = place
        self._known = {}  # name of a file -> what it holds

    def names(self):
        """The files, sorted."""
        return [name for name in self.place.names(_FOLDER, f"{_FOLDER}/dropped-") if _NAME.fullmatch(name)]

    def dropped(self):
        """{number: Dropped}; Damaged if a file cannot be read."""
        found, problems = self.read()
        for one in problems:
            raise Damaged(str(one))
        return found

    def read(self):
        """{number: Dropped} of all files that can be read, and a list of Problem."""
        while True:
            names, found, problems = self.names(), {}, []
            try:
                for name in names:
                    self._add(name, found, problems)
            except FileNotFoundError:  # joined to another, or taken back, since the names were listed
                continue
            self._known = {name: self._known[name] for name in names if name in self._known}
            return found, problems

    def entries(self, name):
        """{number: Dropped} of one file."""
        if name not in self._known:
            fields = unsealed(self.place.read(name), name)
            try:
                self._known[name] = {entry["number"]: Dropped(**entry) for entry in fields["dropped"]}
            except (KeyError, TypeError) as error:
                raise Damaged(f"{name} is damaged: it is no list of dropped snapshots ({error})") from error
        return self._known[name]

    def write(self, entries):
        """Drop snapshots, durably when this returns; the name of the file.

        Raises
        ------
        StateUnknown
            They are dropped, but the disk did not confirm it.
        """
        name = f"{_FOLDER}/dropped-{uuid4().hex}.json"
        self.place.write_once(name, sealed({"dropped": [asdict(entry) for entry in entries]}))
        try:
            self.place.settle([name])
        except OSError as error:
            raise StateUnknown(
                f"{name} is written but the disk did not confirm it ({error.strerror}); nothing was removed"
            ) from error
        return name

    def take_back(self, name):
        """Remove a file: its snapshots are kept again, if no other names them and nothing of theirs was removed."""
        self.place.remove(name)
        self.place.settle([name])

    def torn(self):
        """Files that a killed writer left cut, where the place cannot prevent that; nothing followed from them."""
        names = [name for name in self.names() if not self._whole(name)]
        return [] if not names or self.place.atomic(_FOLDER) else names

    def _whole(self, name):
        try:
            self.entries(name)
        except Damaged:
            return False
        except FileNotFoundError:
            return True
        return True

    def _add(self, name, found, problems):
        try:
            entries = self.entries(name)
        except Damaged as error:
            if self.place.atomic(_FOLDER):  # else maybe torn by a kill: if not, the snapshots it named are missed
                problems.append(problem(error))
            return
        for number, entry in entries.items():
            if found.setdefault(number, entry).hash != entry.hash:
                problems.append(Problem(name, f"has another hash of snapshot {number} than another such file has"))
