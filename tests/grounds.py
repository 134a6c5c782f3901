"""What the battery does to a store and how it judges what is left: a `Ground` a verb.

A ground makes its folder with a store in it; `work()` is what a process shall do next (see `forks`), and `judge(ended)`
looks at the store after that process ended, was killed, or met a fault: it asserts that the store opens and verifies,
that all that was ever reported done is there, and that the work is wholly there or not at all, and it says which. What
a ground expects it works out from what it asked for, not from the store.
"""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from engine import result
from store import durable
from store.archive import ArchiveMissing, open_archive
from store.backup import backup, check, restore
from store.retention import gc
from store.tags import tag, tags
from tests import command
from tests.killing import problems

MARKETS = ("SP500_micro", "SILVER", "CORN")
ROOTS = ("MES", "SI", "ZC")
DAYS = [f"2024-01-{day:02d}" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12, 16, 17, 18, 19, 22, 23, 24, 25, 26)]
MONTHS = (3, 6)
DAYS_KEPT = 30


class Ground:
    """A store in a folder, and what is known of it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = self.folder / "store"
        self.told = {}  # number -> hash of every snapshot that was ever seen to be there
        self.prepare()

    def prepare(self):
        """Make what the work needs."""

    def words(self, *words):
        """The work of a command."""
        return {"words": [*map(str, words), "--store", str(self.store), "--json"]}

    @property
    def places(self):
        """Folders whose files are the store's, not a vendor's."""
        return [self.store]

    @property
    def written(self):
        """Folders in which a change says that the work has come to its writing."""
        return [self.store / name for name in ("data", "snapshots", "runs")]

    def opened(self):
        """The archive, after the part of the oracle that holds for every verb."""
        archive = open_archive(self.store)
        assert problems(archive) == []
        known = {snapshot.number: snapshot.hash for snapshot in archive.history()}
        assert self.told.items() <= known.items(), "a snapshot that was there is lost"
        self.told = known
        return archive

    def swept(self):
        """Assert that gc takes all that the killed left behind and nothing else; how many files that were."""
        archive, before = self.opened(), self._files()
        expected = {name for name in before if self._loose(name)}
        expected -= {segment.path for snapshot in archive.history() for segment in snapshot.files}
        collect(archive)
        assert before - self._files() == expected
        self.opened()
        return len(expected)

    def _files(self):
        found = (path.relative_to(self.store).as_posix() for path in self.store.rglob("*") if path.is_file())
        return {name for name in found if name.partition("/")[0] not in ("cache", "locks")}

    def _loose(self, name):
        return name.startswith("data/") or "/.tmp-" in f"/{name}" or name.startswith("runs/.staged-")


def collect(archive, keep_days=DAYS_KEPT):
    """Garbage collection an hour from now, that leaves nothing to age."""
    now = datetime.now(UTC) + timedelta(hours=1)
    return gc(archive, older_than=timedelta(0), keep_days=keep_days, dry_run=False, now=now)


def night(archive, number):
    """What a night brings, as small files of several tables, one of them a log; not yet committed."""
    day = date(2024, 1, 1) + timedelta(days=number)
    change = {"day": [day]}
    add = [
        archive.write("fx", pl.DataFrame(change | {"rate": [1.0 + number / 8]}), source="ecb", currency=currency)
        for currency in ("EUR", "GBP")
    ]
    add.append(archive.write("rates", pl.DataFrame(change | {"rate": [number / 4]}), source="ecb", currency="USD"))
    log = pl.DataFrame({"file": [f"{day}.csv"], "sha256": [f"{number:064x}"]})
    return [*add, archive.write("imports", log, import_id=f"{number:012x}")]


def content(archive, snapshot=None):
    """Table -> its rows in one order, for comparison."""
    tables = sorted({segment.table for segment in archive.pin(snapshot).files})
    return {table: (rows := archive.read(table, snapshot)).sort(rows.columns) for table in tables}


def same(one, other):
    """Whether two contents hold the same rows."""
    return one.keys() == other.keys() and all(one[table].equals(other[table]) for table in one)


def delivery(folder, number):
    """A folder as a vendor sends it one evening: six contracts; after ten folders the contracts come again, revised."""
    folder.mkdir(exist_ok=True)
    for k, market in enumerate(MARKETS):
        for contract in contracts(number):
            price = 1000 + 10 * number + k
            rows = [f"{day}T06:00:00+0000,{price},{price + 2},{price - 2},{price + 1},{100 + number}" for day in DAYS]
            lines = "\n".join(["Time,Open,High,Low,Close,Volume", *rows, ""])
            (folder / f"Day_{market}_{contract}00.csv").write_text(lines)
    return folder


def contracts(number):
    """Contracts of a delivery."""
    return [(2024 + number % 10) * 100 + month for month in MONTHS]


class Import(Ground):
    """Deliveries are imported one after the other, into a store that the first makes."""

    number, done = 0, 0

    def work(self):
        return self.words("import", delivery(self.folder / str(self.number), self.number))

    def judge(self, ended):
        try:
            archive = self.opened()
        except ArchiveMissing:
            assert ended.code != 0 and not self.told
            return False
        known = archive.read("imports")["sha256"].to_list()
        there = [n for n in range(self.number + 1) if self._whole(n, known)]
        assert set(range(self.done)) <= set(there), "an import that was reported is not there"
        expected = {
            (root, contract): 1000.0 + 10 * n + k
            for n in there
            for contract in contracts(n)
            for k, root in enumerate(ROOTS)
        }
        rows = archive.read("contract_bars", columns=["root", "contract", "time", "open"])
        assert rows.height == len(expected) * len(DAYS)
        assert rows.n_unique(["root", "contract", "time"]) == rows.height
        assert {(root, contract): price for root, contract, _, price in rows.rows()} == expected
        came = self.number in there
        assert came or ended.code != 0
        if came:
            self.done = self.number = self.number + 1
        return came

    def _whole(self, number, known):
        """Whether all files of a delivery are in the log of imports, or none; anything in between is torn."""
        files = sorted((self.folder / str(number)).iterdir())
        held = [hashlib.sha256(path.read_bytes()).hexdigest() in known for path in files]
        assert all(held) or not any(held), "an import is torn"
        return all(held)


class Run(Ground):
    """A portfolio is run; once the run is there it is compared with what it must be, and deleted."""

    def prepare(self):
        store, self.run = command.ran(self.folder)
        self.expected = self._tables(open_archive(store))
        self.again(self.opened())

    def work(self):
        return self.words("run", "cross")

    def judge(self, ended):
        archive = self.opened()
        ids = archive.run_ids()
        assert len(ids) <= 1
        assert ids or ended.code != 0, "a run that was reported is not there"
        if ids:
            [self.run] = ids
            found = self._tables(archive)
            assert all(found[name].equals(self.expected[name]) for name in result.TABLES)
            self.again(archive)
        return bool(ids)

    def again(self, archive):
        """Make it possible to run it once more."""
        archive.drop_run(self.run)

    def _tables(self, archive):
        found = result.load(archive, self.run)
        return {name: getattr(found, name)() for name in result.TABLES}


class RunAgain(Run):
    """A stored run that was damaged is computed again by force: it stays until the new one takes its place."""

    damaged = b"damaged"  # is in its table each time

    def work(self):
        return self.words("run", "cross", "--force")

    @property
    def table(self):
        return self.store / "runs" / self.run / "equity.parquet"

    def opened(self):
        assert self.table.exists(), "a run that was there is lost"
        if self.table.read_bytes() == self.damaged:
            self._written(self.whole)
        return super().opened()

    def judge(self, ended):
        assert self.table.exists(), "a run that was there is lost"
        replaced = self.table.read_bytes() != self.damaged
        assert replaced or ended.code != 0, "a run that was reported as made again is as it was"
        assert super().judge(ended)
        return replaced

    def again(self, archive):
        self.whole = self.table.read_bytes()
        self._written(self.damaged)

    def _written(self, content):
        durable.remove(self.table)
        self.table.write_bytes(content)


class Nights(Ground):
    """A store that grew night by night, made without a command."""

    nights = 0

    def prepare(self):
        archive = open_archive(self.store, create=True)
        for _ in range(5):
            self.grow(archive)

    def grow(self, archive, nights=1):
        """One commit more, of so many nights, and what the store holds then."""
        self.nights += nights
        add = [night(archive, number) for number in range(self.nights - nights, self.nights)]
        self.head = archive.commit([segment for one in add for segment in one], note="grown")
        self.told[self.head.number] = self.head.hash
        self.expected = content(archive)


class Compact(Nights):
    """Small files are joined; the rows stay as they were."""

    def work(self):
        return self.words("compact")

    def judge(self, ended):
        archive = self.opened()
        assert same(content(archive), self.expected)
        fewer = len(archive.head().files) < len(self.head.files)
        assert fewer or ended.code != 0, "joined files that were reported are not there"
        assert fewer or archive.head().number == self.head.number
        if fewer:
            self.grow(archive, 2)
        return fewer


class Undo(Nights):
    """The store is made as it was, here and there in its past."""

    def work(self):
        return self.words("undo", self.target())

    def target(self):
        """A snapshot that is not as the newest: the one three before it."""
        return self.head.number - 3

    def judge(self, ended):
        archive = self.opened()
        head = archive.head()
        done = head.number == self.head.number + 1
        equal = archive.snapshot(self.target()) if done else self.head
        assert {segment.path for segment in head.files} == {segment.path for segment in equal.files}
        assert done or (head == self.head and ended.code != 0), "an undo that was reported is not there"
        if done:
            self.grow(archive)
        return done


class Tag(Nights):
    """Snapshots get names."""

    number = 0

    def work(self):
        return self.words("tag", f"name{self.number}", self.number % 5 + 1)

    def judge(self, ended):
        found = {row["name"]: row["number"] for row in tags(self.opened())}
        wanted = {f"name{n}": n % 5 + 1 for n in range(self.number + 1)}
        there = f"name{self.number}" in found
        assert found.items() <= wanted.items()
        assert len(found) == self.number + there, "a tag that was reported is not there"
        assert there or ended.code != 0
        self.number += there
        return there


class Collect(Nights):
    """What nothing keeps is removed; the newest snapshot and one with a name stay."""

    def prepare(self):
        super().prepare()
        archive = open_archive(self.store)
        tag(archive, "kept", 3)
        self.kept = content(archive, 3)
        self.litter(archive)

    def litter(self, archive):
        """Leave what killed commands leave, and a snapshot that nothing keeps."""
        self.told = {}
        self.grow(archive)
        archive.write("fx", pl.DataFrame({"day": [date(2024, 1, 1)], "rate": [9.0]}), source="ecb", currency="EUR")
        (archive.stage() / "equity.parquet").write_bytes(b"half")

    def work(self):
        return {"function": "tests.grounds:collect", "store": str(self.store), "keep_days": 0}

    def opened(self):
        archive = open_archive(self.store)
        assert problems(archive) == []
        assert archive.head() == self.head
        return archive

    def judge(self, ended):
        archive = self.opened()
        assert same(content(archive), self.expected)
        assert same(content(archive, 3), self.kept)
        named = self._named()
        left = {name for name in self._files() if self._loose(name)} - named
        done = ended.code == 0
        assert not left or not done, "what was reported as removed is there"
        if done:
            self.swept()
            self.litter(archive)
        return done

    def _named(self):
        """Data that the manifests name that are there, whatever the ledger says."""
        bodies = [json.loads(path.read_bytes().partition(b"\n")[2]) for path in self.store.glob("snapshots/0*.json")]
        return {segment["path"] for body in bodies for segment in body["files"]}

    def swept(self):
        numbers = [int(path.stem) for path in self.store.glob("snapshots/0*.json")]
        assert sorted(numbers) == [1, 3, self.head.number]  # the first of its month, one with a name, the newest
        return 0


class Backup(Nights):
    """A growing store is backed up; what was reported can be restored."""

    judged = 0

    def prepare(self):
        super().prepare()
        self.target, self.safe = self.folder / "backup", 0

    @property
    def places(self):
        return [self.store, self.target]

    @property
    def written(self):
        return [self.target]

    def work(self):
        return self.words("backup", self.target)

    def judge(self, ended):
        assert self.opened().head() == self.head
        told = ended.code == 0
        if not (self.safe or told):
            return False
        assert check(self.target) == []
        self.safe = self.head.number if told else self.safe
        self.judged += 1
        done = self._restored() == self.head.number if self.judged % 4 == 0 else told  # a copy of it all takes long
        assert done or not told
        if done:
            self.safe = self.head.number
            self.grow(self.opened())
        return done

    def _restored(self):
        """Number of the newest snapshot in the backup, by making a store of it that is as the store was then."""
        shutil.rmtree(self.folder / "copy", ignore_errors=True)
        restore(self.target, self.folder / "copy")
        copy = open_archive(self.folder / "copy")
        head = copy.head()
        assert head.number >= self.safe, "a backup that was reported is lost"
        assert head == self.opened().snapshot(head.number)
        assert same(content(copy), content(self.opened(), head.number))
        return head.number


class Restore(Nights):
    """A backup is restored again and again, each time into a folder that is not there yet."""

    def prepare(self):
        super().prepare()
        self.target, self.number = self.folder / "backup", 0
        backup(open_archive(self.store), self.target)
        self.store = self.folder / "restored0"

    @property
    def places(self):
        return [self.folder]

    @property
    def written(self):
        return [self.store]

    def work(self):
        return self.words("restore", self.target)

    def judge(self, ended):
        assert check(self.target) == []
        try:
            archive = open_archive(self.store)
        except ArchiveMissing:
            assert ended.code != 0, "a store that was reported is not there"
            return False
        assert problems(archive) == []
        assert archive.head() == self.head
        assert same(content(archive), self.expected)
        self.number += 1
        self.store = self.folder / f"restored{self.number}"
        return True

    def swept(self):
        return len([path for path in self.folder.iterdir() if path.name.startswith(".restored")])
