"""Which snapshots are kept, and how the others go, with all that is no part of the store.

Kept are the newest; those that have a tag, or that a run was made of; those of the last days; the first of each month
(UTC); and those that some process holds (`tags.hold`). A stored roll calendar holds its rolls itself: it tells the
snapshot that it was made from, and does not need it.

Steps of `gc`. After each of them a process may be killed: the store is whole, and the next call goes on.

1. The ledgers are listed, then the whole chain is read with them. Nothing is removed from a damaged store.
2. A ledger is written that names what nothing needs, and what was dropped before. Now these snapshots are dropped.
3. Tags, holds and runs are looked at again. If one has come to need such a snapshot, the ledger is taken back and
   written without it; so it is with what a killed call had dropped but not removed. Then the ledgers of step 1 are
   removed, no others: what one says that came since was not taken over.
   Who tags or holds looks into the ledger afterwards (`tags`), so that one of the two sees the other.
4. The manifests of dropped snapshots are removed, and that is flushed: none comes back after its data have gone.
5. Files of data that no manifest names are removed, if they are old enough not to be some writer's work. The newest
   manifests are read after the files were listed: what was committed in between is named there. No commit is between
   its look at its files and its name meanwhile (`locks`), whatever their age.
6. Leftovers are removed: temporary files, folders of runs that never were, files of the cache that are of no use.

One process does this at a time (`locks`). Of a bucket that is one of this machine; of two machines neither takes away
what the other wrote: ledgers are joined as above; what was dropped today is not taken back, as its manifest may be
going right now; and no file of data goes that is younger than `FLOOR`. A backup that goes on reads the ledger.
"""

import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta

from store import durable, locks, recorded, tags
from store import kept as cached
from store.durable import DiskFull, NotWritten
from store.ledger import Dropped
from store.manifest import Conflict, NotKept, Snapshot
from store.places import Folder
from store.sealed import Damaged, Problem

DAYS = 30  # of which all snapshots are kept
KINDS = ("head", "tags", "runs", "recent", "monthly", "held")  # reasons; of several the first is told
TRIES = 10  # ledgers that are taken back in one call
FLOOR = timedelta(hours=1)  # younger data in a bucket stay: a commit of another machine may be about to name them
HABIT = timedelta(
    days=30
)  # what the cache holds without telling of what, as qualities of markets, is made anew so often


def gc(archive, older_than=timedelta(hours=24), keep_days=DAYS, dry_run=True, now=None):
    """Drop the snapshots that nothing needs, and remove what no snapshot names.

    Parameters
    ----------
    archive : Archive
    older_than : timedelta
        Files that are younger stay: some writer may be about to commit them.
    keep_days : float
        Snapshots that are younger stay. [days]
    dry_run : bool
        Only tell.
    now : datetime, optional
        The moment that ages are counted from; the place's own clock, if not given.

    Returns
    -------
    dict
        `snapshots` (numbers that are dropped), `files` (names of what is removed), `bytes` (of these), `later` (`files`
        and `bytes` in `data` that no snapshot names and that are too young: a later call removes them, but for those
        that some writer is about to commit), `dry_run`, and `kept`: how many snapshots stay because of what (`KINDS`).

    Raises
    ------
    Damaged
        Nothing was removed.
    Busy
        Another process removes files.
    NotWritten
        A file could not be removed; the store is whole.
    """
    moment = _moment(archive, now)
    work = _Clearance(archive, moment, older_than, keep_days, dry_run)
    with contextlib.ExitStack() as held:
        try:
            if not dry_run:
                try:
                    held.enter_context(locks.hold(archive, "gc", "gc"))
                except DiskFull:  # no room for a lock or a ledger: make some first
                    work.free()
                    held.enter_context(locks.hold(archive, "gc", "gc"))
            return work.document()
        except OSError as error:
            raise NotWritten(
                f"{error.filename or archive.place} could not be removed ({error.strerror}); the store is whole"
            ) from error


def snapshots(archive, keep_days=DAYS, now=None):
    """All snapshots, newest first, those dropped too.

    Returns
    -------
    list of dict
        number, hash, time, note, `rows`, `files` and `bytes` of all tables (None of one that was dropped), `tags`
        (names), `runs` (how many), `dropped`, and `kept`: the reason, None for one that `gc` would drop.

    What a manifest says is read once and then taken from the cache, as far as the chain of hashes confirms it.
    """
    rows = listed(archive)
    moment, times = _moment(archive, now), {row["number"]: row["time"] for row in rows if not row["dropped"]}
    named, runs = tags.needed(archive)[0], recorded.needed(archive, strict=False)
    reasons = _reasons(archive, times, keep_days, moment, strict=False)
    for row in rows:
        number = row["number"]
        row |= {"tags": sorted(named.get(number, ())), "runs": len(runs.get(number, ()))}
        row["kept"] = reasons.get(number, (None, None))[1]
        row.pop("parent")
    return rows


class _Clearance:
    """One call of `gc`."""

    def __init__(self, archive, moment, older_than, keep_days, dry_run):
        self.archive, self.place, self.manifests = archive, archive.place, archive.manifests
        self.moment, self.keep_days, self.dry_run = moment, keep_days, dry_run
        self.limit = moment - older_than.total_seconds()
        shared = not isinstance(self.place, Folder)  # with machines that see no lock of this one
        self.floor = min(self.limit, moment - FLOOR.total_seconds()) if shared else self.limit
        self.settled = _stamp(moment - tags.HELD.total_seconds()) if shared else "9999"
        self.names, self.bytes, self.files = [], 0, {}
        self.later = {"files": 0, "bytes": 0}

    def document(self):
        """Do it all; what `gc` returns."""
        old = self.manifests.ledger.names()
        known, dropped = self._chain()
        gone, reasons = self._drop(known, dropped, old)
        self._manifests_of(gone)
        shas = self._unnamed(known.keys() | dropped.keys(), gone)
        self._leftovers()
        self._local(shas)
        counts = Counter(kind for kind, _ in reasons.values())
        told = {"snapshots": sorted(gone), "files": sorted(self.names), "bytes": self.bytes, "dry_run": self.dry_run}
        return told | {"later": self.later, "kept": {kind: counts[kind] for kind in KINDS}}

    def free(self):
        """Remove what no snapshot names; that needs no ledger, and may be done by two at once."""
        self._leftovers()
        known, dropped = self._chain()
        self._local(self._unnamed(known.keys() | dropped.keys(), set()))
        self.files = {}

    def _chain(self):
        """What stands, {number: Dropped, as it would be}, and what was dropped before, {number: Dropped}."""
        known, dropped, stamp, same = {}, {}, _stamp(self.moment), {}
        for step in self.manifests.chain():
            if isinstance(_whole(step), Snapshot):
                known[step.number] = Dropped(step.number, step.hash, step.parent, step.note, step.time, stamp)
                self.files[step.number] = [same.setdefault(pair, pair) for pair in _files(step)]
            else:
                dropped[step.number] = step
        return known, dropped

    def _drop(self, known, dropped, old):
        """Write the ledger; numbers that are dropped now though their manifests stand, and why the others are kept."""
        ledger, standing = self.manifests.ledger, set(self.manifests.numbers())
        open_ = {number: one for number, one in dropped.items() if number in standing}  # of a call that was killed
        all_ = known | open_
        times = {number: one.time for number, one in all_.items()}
        for _ in range(TRIES):
            reasons = self._reasons(times, known)
            gone = all_.keys() - reasons.keys()
            if self.dry_run or (gone == open_.keys() and len(old) < 2):
                return gone, reasons
            going = {number for number in open_.keys() - gone if open_[number].dropped > self.settled}
            rest = {number: one for number, one in dropped.items() if number not in standing or number in going}
            name = ledger.write([one for _, one in sorted((rest | {n: all_[n] for n in gone}).items())])
            if self._confirmed(name, gone, times, known):
                for one in old:
                    ledger.take_back(one)
                return gone, reasons
        raise Conflict(f"tags and runs kept coming in for {TRIES} tries; nothing was removed")

    def _confirmed(self, name, gone, times, known):
        """Whether nothing has come to need what a ledger drops; else it is taken back."""
        confirmed = False
        try:
            confirmed = self._reasons(times, known).keys().isdisjoint(gone)
        finally:
            if not confirmed:
                self.manifests.ledger.take_back(name)
        return confirmed

    def _reasons(self, times, known):
        """Why snapshots are kept; of those that a killed call dropped only tags, holds and runs count."""
        found = _reasons(self.archive, times, self.keep_days, self.moment, strict=True)
        return {number: one for number, one in found.items() if number in known or one[0] in ("tags", "runs", "held")}

    def _manifests_of(self, numbers):
        """Remove the manifests of dropped snapshots."""
        for number in sorted(numbers):
            self._remove(f"snapshots/{number:010d}.json")
        if numbers and not self.dry_run:
            self.place.settle([f"snapshots/{self.manifests.head().number:010d}.json"])

    def _unnamed(self, read, gone):
        """Remove files of data that nothing names, of which the manifests `read` were read; sha256 of those that
        something does."""
        with contextlib.nullcontext() if self.dry_run else locks.sweeping(self.archive):
            found = [name for name in self.place.tree("data") if _is_data(name)]
            named, shas = self._named(read, gone)
            young = []
            for name in found:
                if name not in named:
                    if self._changed(name) < self.floor:
                        self._remove(name)
                    else:
                        young.append(name)
        sizes = [size for size in self.place.sizes(young) if size is not None]
        self.later = {"files": len(sizes), "bytes": sum(sizes)}
        return shas

    def _named(self, read, gone):
        """Paths and sha256 of what the kept snapshots hold: those read before as they were then, newer ones anew."""
        newest = self.manifests.head().number
        wanted = {*range(max(read, default=0) + 1, newest + 1), *read} - gone
        pairs = {pair for number in wanted & self.files.keys() for pair in self.files[number]}
        standing = set(self.manifests.numbers())
        for number in sorted(wanted - self.files.keys()):  # new, or dropped and maybe taken back
            if number in standing or number not in read:
                pairs.update(_files(_whole(self.manifests.step(number))))
        return {path for path, _ in pairs}, {sha256 for _, sha256 in pairs}

    def _leftovers(self):
        """Remove what is no part of the store from its place."""
        found = [name for name in self.place.names("snapshots") if name.startswith(f"snapshots/{durable.TEMPORARY}")]
        found += [*self.manifests.ledger.torn(), *tags.leftovers(self.place), *self.place.unfinished()]
        for name in found:
            if self._changed(name) < self.limit:
                self._remove(name)

    def _local(self, shas):
        """Remove what is of no use to anybody from this machine: folders of runs that never were, and parts of the
        cache."""
        path, cache = self.archive.path, self.archive.cache
        found = [*path.glob(f"{durable.TEMPORARY}*"), *(path / "locks").glob(f"{durable.TEMPORARY}*")]
        found += [*recorded.staged(self.archive), *cached.loose(cache), *_useless(cache, shas), *cache.glob("sql/*")]
        old = [*cache.glob("quality/*.json"), *cache.glob("markets/*.arrays"), *path.glob("sweeps/.*")]
        found += [one for one in old if _age(one, self.moment) > HABIT.total_seconds()]
        for one in dict.fromkeys(found):
            if self.moment - _age(one, self.moment) < self.limit:
                inside = [file for file in one.rglob("*") if file.is_file()] if one.is_dir() else [one]
                self._remove(one.relative_to(path).as_posix(), sum(map(_size, inside)), durable.remove_tree, one)

    def _changed(self, name):
        """When a file was changed; now, if it has just gone. [s since 1970]"""
        try:
            return self.place.facts(name).changed
        except FileNotFoundError:
            return self.moment

    def _remove(self, name, size=None, remove=None, what=None):
        """Count a file of the place, or `what` is of this machine, and remove it unless this is a rehearsal."""
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            self.bytes += self.place.facts(name).bytes if size is None else size
            self.names.append(name)
            if not self.dry_run:
                (remove or self.place.remove)(what or name)


# ---- why a snapshot is kept


def _reasons(archive, times, keep_days, moment, strict):
    """{number: (kind, text)} of the snapshots that are needed, of those in `times`."""
    named, held = tags.needed(archive)
    since = datetime.fromtimestamp(max(moment - keep_days * 86400, 0), UTC).isoformat()[:19]
    firsts = {}
    for number in sorted(times):
        firsts.setdefault(times[number][:7], number)
    runs = recorded.needed(archive, strict)
    found = {
        "head": {max(times): "newest"} if times else {},
        "tags": {number: f"tag {', '.join(sorted(names))}" for number, names in named.items()},
        "runs": {n: f"run {ids[0]}" if len(ids) == 1 else f"{len(ids)} runs" for n, ids in runs.items()},
        "recent": {number: "recent" for number, time in times.items() if time >= since},
        "monthly": {number: f"first of {month}" for month, number in firsts.items()},
        "held": dict.fromkeys(held, "held by a process"),
    }
    out = {}
    for kind in reversed(KINDS):
        out |= {number: (kind, text) for number, text in found[kind].items() if number in times}
    return out


# ---- what is of no use


def _age(path, moment):
    """How old a file of this machine is; 0 if it has just gone. [s]"""
    try:
        return moment - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _stamp(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _whole(step):
    """A step of the chain; Damaged if it is a Problem."""
    if isinstance(step, Problem):
        raise Damaged(f"{step}; nothing is removed from a damaged store")
    return step


def _files(step):
    """(path, sha256) of what a step holds; nothing of one that was dropped."""
    return [(segment.path, segment.sha256) for segment in getattr(step, "files", ())]


def _is_data(name):
    return name.count("/") == 2 and (name.endswith(".parquet") or f"/{durable.TEMPORARY}" in name)


def _useless(cache, shas):
    """Documents of kept series, and their frames, whose files no snapshot has any more (see `derived`)."""
    found = []
    for path in sorted(cache.glob("series/*.json")):
        document = cached.read(path.parent, path.stem)
        states = (document or {}).get("states", [])
        if states and not any(shas.issuperset(state.get("files", ())) for state in states):
            found += [path, *path.parent.glob(f"{path.stem}-*.arrow")]
    return found


# ---- the list


def listed(archive):
    """What all manifests and the ledgers say, newest first: number, hash, parent, time, note, rows, files, bytes,
    dropped."""
    manifests = archive.manifests
    head, dropped = manifests.head(), manifests.ledger.dropped()
    known = cached.read(archive.cache, "snapshots") or {}
    standing, rows, wanted, new = set(manifests.numbers()), [], head.hash, False
    for number in range(head.number, 0, -1):
        row = known.get(str(number))
        if number in dropped:
            one = dropped[number]
            row = {"hash": one.hash, "parent": one.parent, "time": one.time, "note": one.note}
            row |= {"rows": None, "files": None, "bytes": None}
        elif row is None or row["hash"] != wanted or number not in standing:
            row, new = _summary(manifests.step(number)), True
        rows.append({"number": number} | row | {"dropped": number in dropped})
        wanted = row["parent"]
    if new:
        told = {row["number"]: {k: row[k] for k in row if k not in ("number", "dropped")} for row in rows}
        with contextlib.suppress(OSError):  # then it only costs time
            cached.write(archive.cache, "snapshots", {k: v for k, v in told.items() if k not in dropped})
    return rows


def _summary(snapshot):
    if isinstance(snapshot, Problem):
        raise Damaged(str(snapshot))
    if isinstance(snapshot, Dropped):
        raise NotKept(f"snapshot {snapshot.number} was dropped while the list was made; repeat the command")
    found = {name: getattr(snapshot, name) for name in ("hash", "parent", "time", "note")}
    found |= {"rows": sum(segment.rows for segment in snapshot.files), "files": len(snapshot.files)}
    return found | {"bytes": sum(segment.bytes for segment in snapshot.files)}


def _moment(archive, now):
    """The moment that ages are counted from [s since 1970]."""
    return archive.place.now() if now is None else now.timestamp()
