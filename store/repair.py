"""Files of a store that are missing or damaged, taken from its backup; nothing else is touched.

1. The backup must be the store's: a snapshot that both can read must be the same one. From the first on that differs,
   as the store went another way since, no snapshot is taken.
2. The chain first, as it tells what else there should be; then segments, tables and records of runs, tags, as `verify`
   finds them. A file counts with the sha256 that the store expects; where it cannot tell, of `run.json` and tags, with
   that of the newest listing that names it.
3. The good bytes are read and compared before the damaged file is set aside, under a name that readers pass over and
   `gc` takes when it is old. Stopped at any point, the next call goes on.
"""

import contextlib
from hashlib import sha256

from store import listing, verify
from store.durable import NotWritten
from store.ledger import Ledger
from store.listing import AsOf, Untrusted, refuse_nested
from store.manifest import Manifests
from store.places import place_of
from store.sealed import Damaged, Problem
from store.segments import Refused

_LOST = "restore it from a backup"
_ADVICE = {f"{_LOST}, or ": "", f", or {_LOST}": "", f"; {_LOST}": "", f": {_LOST}": ""}  # what this module does itself
_BROKEN = ("is damaged", "is missing", "cannot be read", "is the tag")  # how reasons begin that another file mends
_HEAD = "snapshots/head"


def repair(target, store, progress=None):
    """Take from a backup what a store lacks, and what is damaged in it.

    Nobody may write to the store meanwhile.

    Parameters
    ----------
    target : path or str
        The backup: a folder, or s3://bucket/prefix.
    store : path or str
        A folder, or s3://bucket/prefix.
    progress : callable(done, total, name), optional
        Of the reading of the store.

    Returns
    -------
    dict
        store; snapshot : its newest now; mended : names of files; left : a sentence on each problem that stays, with
        what the backup lacks.

    Raises
    ------
    Refused
        There is no store, no backup, or it is another store's.
    NotWritten, DiskFull
        What was mended before stays mended.
    """
    source, place = Untrusted(place_of(target)), place_of(store)
    refuse_nested(place, source.place)
    if not place.exists():
        raise Refused(f"there is no store in {place}: `frontmonth restore` makes one of the backup")
    try:
        work = _Repair(source, place)
        work.chain()
        work.files(progress)
    except OSError as error:
        raise NotWritten(f"{place} could not be mended ({error.strerror or error}): repeat the command") from error
    numbers = Manifests(place).numbers()
    told = {"store": str(place), "snapshot": max(numbers, default=0)}
    return told | {"mended": sorted(work.mended), "left": sorted(dict.fromkeys(work.left))}


class _Repair:
    """One store that is being mended."""

    def __init__(self, source, place):
        self.source, self.place, self.last = source, place, listing.ended(source)
        self.hashes = self._hashes()
        self.held, self.sizes = self._listed()
        self.mended, self.left = set(), []

    def _hashes(self):
        """{number: hash} of the snapshots in the backup that are the store's; Refused if none is."""
        last, there = self.last, {}
        for step in Manifests(AsOf(self.source, last.head, last.hash, last.dropped)).chain():
            if isinstance(step, Problem):
                there.pop(_number(step.path), None)
            else:
                there[step.number] = step.hash
        floor, known = self._hint()
        here = {floor: known} | {s.number: s.hash for s in Manifests(self.place).chain() if not isinstance(s, Problem)}
        both = sorted(here.keys() & there.keys())
        same = [number for number in both if here[number] == there[number]]
        if not same:
            raise Refused(f"{self.source} is not known to be the backup of {self.place}: they share no snapshot")
        other = min((number for number in both if number > same[0] and number not in same), default=last.head + 1)
        return {number: hash_ for number, hash_ in there.items() if number < other}

    def _hint(self):
        try:
            number, hash_ = self.place.read(_HEAD).decode("ascii").split()
            return int(number), hash_
        except (OSError, ValueError):
            return 0, ""

    def _listed(self):
        """{name: (sha256, bytes)} of runs and tags, as the newest listing has them that does; {sha256: bytes}."""
        held, sizes = {}, {}
        for number in listing.numbers(self.source):
            try:
                files = listing.load(self.source, number).files
            except Damaged:
                continue  # `check` tells it; one less to choose from
            held |= files
            sizes |= dict(files.values())
        return held, sizes

    # ---- the chain

    def chain(self):
        """Mend ledgers, manifests and the hint."""
        tried = {}  # Problem -> what is said of it if it stays
        while True:
            steps = list(Manifests(self.place).chain())
            wrong = [step for step in steps if isinstance(step, Problem)]
            new = {one.path: one for one in reversed(wrong) if one not in tried}  # of one file the first
            if not new:
                break
            ledgers = [one for path, one in new.items() if path.startswith("snapshots/dropped-")]
            for one in ledgers or new.values():  # what a ledger does not say is missing otherwise
                tried[one] = self._tried(one, self._manifest if _number(one.path) else self._ledger)
        self.left = [tried[one] or str(one) for one in wrong]
        self.segments = {s.path: (s.sha256, s.bytes) for step in steps for s in getattr(step, "files", ())}

    def _manifest(self, name):
        number = _number(name)
        if number in self.hashes and number in self.last.dropped:  # the ledger that said so was lost
            self.mended.add(Ledger(self.place).write([self.last.dropped[number]]))
            return
        try:
            text = self.source.read(name)
        except FileNotFoundError:
            raise Damaged("the backup lacks it") from None
        if self.hashes.get(number) != sha256(text[65:]).hexdigest() or text[:65] != f"{self.hashes[number]}\n".encode():
            raise Damaged("the backup lacks it as it was")
        if self._lies(name) != text:
            self._put(name, text)
        elif self._hint()[0] == number and self._hint()[1] != self.hashes[number]:
            self.place.hint(_HEAD, f"{number} {self.hashes[number]}\n".encode())
            self.mended.add(_HEAD)

    def _ledger(self, name):
        """What the backup knows to be dropped stands in for a ledger that cannot be read."""
        if not name.startswith("snapshots/dropped-"):
            raise Damaged("the backup lacks it")
        if self.last.dropped:
            Ledger(self.place).write(self.last.dropped.values())
        self.place.set_aside(name, ".damaged")
        self.mended.add(name)

    # ---- all else

    def files(self, progress):
        """Mend segments, runs and tags."""
        found = [
            one for one in verify.examined(self.place, progress=progress)[1] if not one.path.startswith("snapshots/")
        ]
        said = [self._tried(one, self._file) for one in found]
        for run_id in sorted({name.split("/")[1] for name in self.mended if name.endswith("/run.json")}):
            wrong = [verify.compared(self.place, table)[0] for table in verify.run_files(self.place, run_id)[1]]
            said += [self._tried(one, self._file) for one in wrong if one]
        self.left += filter(None, said)

    def _file(self, name):
        if name in self.segments:
            digest, size = self.segments[name]
            return self._put(name, self.source.checked(name, digest, size))
        if name.startswith("runs/") and not name.endswith("/run.json"):
            digest = {table.name: table.sha256 for table in verify.run_files(self.place, name.split("/")[1])[1]}[name]
            size = self.sizes.get(digest)
        else:
            digest, size = self.held.get(name, (None, None))
        if size is None:
            raise Damaged("the backup lacks it")
        return self._put(name, self.source.checked(name, digest, size, f"files/{digest}"))

    # ---- one file

    def _tried(self, one, mend):
        """Mend a file; if it cannot be, a sentence on it and why."""
        text = str(one)
        for advice, other in _ADVICE.items():
            text = text.replace(advice, other)
        if not one.reason.startswith(_BROKEN) and not one.path.startswith("snapshots/"):
            return text
        try:
            mend(one.path)
        except (Damaged, FileNotFoundError, KeyError) as error:
            why = str(error) if isinstance(error, Damaged) else "the backup lacks it"
            return f"{text}; {why if why.startswith('the backup') else f'in the backup {why}'}"
        return None

    def _lies(self, name):
        try:
            return self.place.read(name)
        except OSError:
            return None

    def _put(self, name, content):
        """Write a file anew, durably; what has its name is set aside."""
        with contextlib.suppress(FileNotFoundError):
            self.place.set_aside(name, ".damaged")
        self.place.write_once(name, content)
        self.place.settle([name])
        self.mended.add(name)


def _number(path):
    """Number of the snapshot whose manifest has this name; 0 of another name."""
    text = path.removeprefix("snapshots/").removesuffix(".json")
    return int(text) if path == f"snapshots/{text}.json" and len(text) == 10 and text.isdigit() else 0
