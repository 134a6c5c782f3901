"""A store with all that a backup holds, and the oracle over what was restored of one, for the tests of both."""

import hashlib
import json
import random
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from store import open_archive, tags
from store.backup import restore
from store.durable import StoreError
from store.ledger import Dropped, Ledger

NOT_COPIED = ("data", "snapshots", "cache", "locks")  # what is compared in another way, or derived


def put(archive, number, remove=()):
    """Commit a segment of rates that are made from the number; the snapshot."""
    chance = random.Random(number)
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(60)]
    frame = pl.DataFrame({"currency": ["EUR"] * 60, "day": days, "rate": [chance.random() for _ in days]})
    return archive.commit([archive.write("fx", frame, source=f"s{number}")], remove=remove, note=f"number {number}")


def run(archive, run_id, number, old=False):
    """A run's folder as `engine.result` writes it, or as programs before 0.4 did; its snapshot has that number."""
    staged = archive.stage()
    (staged / "equity.parquet").write_bytes(random.Random(run_id).randbytes(2000))
    record = {"summary": {"run": run_id, "snapshot": {"number": number}}, "events": []}
    if not old:
        record["files"] = {"equity.parquet": hashlib.sha256((staged / "equity.parquet").read_bytes()).hexdigest()}
        record["checksum"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    (staged / "run.json").write_text(json.dumps(record, indent=1, sort_keys=True))
    archive.publish(staged, run_id)


def made(folder):
    """A store of six snapshots with two runs, a tag and files of the user's; snapshot 4 is the first without `s1`."""
    archive = open_archive(folder / "store", create=True)
    for number in range(1, 7):
        put(archive, number, remove=archive.head().files[:1] if number == 4 else ())
    run(archive, "aa11", 2)
    run(archive, "bb22", 6)
    tags.tag(archive, "paper", 3)
    (archive.path / "contracts.csv").write_text("root,field,value,valid_from,source\n")
    (archive.path / "strategies").mkdir()
    (archive.path / "strategies" / "mine.py").write_text("# mine\n")
    (archive.path / "cache").mkdir()
    (archive.path / "cache" / "big").write_bytes(bytes(1000))
    return archive


def drop(archive, number):
    """What `gc` does to a snapshot: ledger, manifest, then the segments that nothing else names."""
    gone, *rest = [archive.snapshot(number), *(s for s in archive.history() if s.number != number)]
    when = "2024-05-01T00:00:00Z"
    Ledger(archive.place).write([Dropped(number, gone.hash, gone.parent, gone.note, gone.time, when)])
    archive.place.remove(f"snapshots/{number:010d}.json")
    named = {segment.path for snapshot in rest for segment in snapshot.files}
    for segment in gone.files:
        if segment.path not in named:
            archive.place.remove(segment.path)


def files(folder):
    """All files below a folder."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def rewrite(path, content):
    """Put other bytes in place of a file, which may be read-only."""
    path.unlink()
    path.write_bytes(content)


def flip(path, chance):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    rewrite(path, bytes(content))


def beside(store):
    """Name -> bytes of all that is no table, no snapshot and not derived."""
    named = {path.relative_to(store).as_posix(): path for path in files(store)}
    return {name: path.read_bytes() for name, path in named.items() if name.split("/")[0] not in NOT_COPIED}


def same(one, other):
    """Whether two stores are equal: by the hash of every snapshot, by value of every table, and in all else."""
    one, other = open_archive(one), open_archive(other)
    if one.history() != other.history() or beside(one.path) != beside(other.path):
        return False
    return all(one.read("fx", s.number).equals(other.read("fx", s.number)) for s in one.history())


def ended(source, target, *originals):
    """What a restore came to: the text of its refusal, "" where the store equals one of these; anything else fails."""
    try:
        restore(source, target)
    except StoreError as error:
        assert not Path(target).exists() and "\n" not in str(error)
        return str(error)
    assert any(same(original, target) for original in originals)
    shutil.rmtree(target)
    return ""
