"""Files of a store are altered, removed, cut and exchanged: each is named by `verify`, and what it held is not served.

`pytest tests/test_battery_damage.py --flips 300` is the long form: so many bits, and a fifth as many of the others.
"""

import os
from collections import Counter

import pytest

from engine import result
from store import tags
from store.archive import StoreError, open_archive
from tests import command, grounds
from tests.killing import problems, seeded

pytestmark = pytest.mark.service
PROVES = (7,)
REFUSED = (StoreError, ValueError)  # of the store, and of its runs
KINDS = ("data", "manifest", "head", "ledger", "run", "tag")


class Kept:
    """A store with something of everything in it, and what each of its files serves while it is sound."""

    def __init__(self, folder):
        self.path, self.run = command.ran(folder)
        archive = open_archive(self.path)
        for night in range(3):
            archive.commit(grounds.night(archive, night), note="night")
            if night == 1:  # it is replaced, so that one snapshot alone needs it
                archive.commit(grounds.night(archive, 9), remove=archive.files("rates"))
        tags.tag(archive, "before", 1)
        tags.tag(archive, "after", 3)
        grounds.collect(archive, keep_days=0)
        self.used = {s.path: (s.table, snap.number) for snap in archive.history() for s in snap.files}
        names = [path.relative_to(self.path).as_posix() for path in sorted(self.path.rglob("*")) if path.is_file()]
        folders = {"data": "data", "manifest": "snapshots", "run": "runs", "tag": "tags"}
        self.names = {kind: [n for n in names if n.startswith(f"{under}/")] for kind, under in folders.items()}
        self.names |= {"head": ["snapshots/head"], "ledger": [n for n in names if n.startswith("snapshots/dropped-")]}
        self.names["manifest"] = [n for n in names if n.startswith("snapshots/0")]
        assert all(self.names.values())
        assert sorted(self.used) == self.names["data"]
        self.bytes = {name: (self.path / name).read_bytes() for kind in KINDS for name in self.names[kind]}
        self.truth = {name: self.served(name) for name in self.bytes}
        assert problems(archive) == []

    def served(self, name):
        """What a reader gets that needs this file."""
        archive, parts = open_archive(self.path), name.split("/")
        if name in self.used:
            table, number = self.used[name]
            return archive.read(table, number).rows()
        if name == "snapshots/head":
            return archive.head()
        if name in self.names["ledger"]:
            return archive.history()
        if parts[0] == "snapshots":
            return archive.snapshot(int(parts[1].removesuffix(".json")))
        if parts[0] == "tags":
            return tags.number_of(archive, parts[1].removesuffix(".json"))
        found = result.load(archive, self.run)
        return found.summary if parts[2] == "run.json" else getattr(found, parts[2].removesuffix(".parquet"))().rows()

    def pick(self, chance, kinds=KINDS):
        """A file: first what kind of, then which."""
        return chance.choice(self.names[chance.choice(kinds)])

    def write(self, name, content):
        """Put other bytes into a file, or take it away; its time of change stays, as that of a disk that rots."""
        path = self.path / name
        times = path.stat().st_mtime_ns if path.exists() else None
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
            path.chmod(0o444)
        if content is not None and times:
            os.utime(path, ns=(times, times))

    def damaged(self, names, contents):
        """Assert that damaged files are named and not served; whether each was named."""
        for name, content in zip(names, contents, strict=True):
            self.write(name, content)
        try:
            told = problems(open_archive(self.path))
            return [self._judged(name, told, names) for name in names]
        finally:
            for name in names:
                self.write(name, self.bytes[name])

    def _judged(self, name, told, names):
        named = any(name in str(problem) for problem in told)
        if name == "snapshots/head" and not named:  # it is a hint: one that cannot be read does no harm
            assert self.served(name) == self.truth[name]
            return False
        assert named, f"{name} is damaged and not named: {told}"
        with pytest.raises(REFUSED) as caught:
            self.served(name)
        wanted = [*names, self.run] if name.endswith("run.json") else names  # without it there is no such run
        assert name == "snapshots/head" or any(one in str(caught.value) for one in wanted), caught.value
        return True


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return Kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def chance(record_property):
    return seeded(record_property)


@pytest.fixture
def fewer(flips):
    """Deletions, truncations and exchanges."""
    return max(flips // 5, 6)


def test_every_flipped_bit_is_named_and_what_it_is_in_is_not_served(kept, chance, flips, record_property):
    count = Counter()
    for _ in range(flips):
        name = kept.pick(chance)
        content = bytearray(kept.bytes[name])
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        [named] = kept.damaged([name], [bytes(content)])
        count["named" if named else "harmless"] += 1
    assert problems(open_archive(kept.path)) == []
    for what, number in count.items():
        record_property(what, number)
    assert count["named"] > 0.7 * flips


def test_every_file_that_is_gone_is_named_and_nothing_is_served_in_its_place(kept, chance, fewer, record_property):
    for _ in range(fewer):
        name = kept.pick(chance, ("data", "manifest", "run"))  # a tag that is gone is a tag that was removed
        assert kept.damaged([name], [None]) == [True]
    record_property("named", fewer)


def test_every_file_that_is_cut_is_named_and_not_served(kept, chance, fewer, record_property):
    for _ in range(fewer):
        name = kept.pick(chance, ("data", "manifest", "ledger", "run", "tag"))
        content = kept.bytes[name]
        cut = chance.choice((0, len(content) - 1, chance.randrange(len(content))))
        assert kept.damaged([name], [content[:cut]]) == [True]
    record_property("named", fewer)


def test_files_that_are_exchanged_are_named_and_not_served(kept, chance, fewer, record_property):
    for _ in range(fewer):
        names = kept.names[chance.choice(("data", "manifest", "run", "tag"))]
        pair = chance.sample([name for name in names if not name.endswith("run.json")], 2)
        assert kept.bytes[pair[0]] != kept.bytes[pair[1]]
        assert kept.damaged(pair, [kept.bytes[pair[1]], kept.bytes[pair[0]]]) == [True, True]
    record_property("named", 2 * fewer)
