"""Backup: a copy of a store, in which only what is new is copied again.

What lies in a backup is told in `listing`; `restore` makes a store of it. Rules of making one:
1. Whatever is copied is compared with its checksum on the way. A damaged file of the store stops the backup: what is in
   it is never replaced by something worse.
2. Runs, tags and the user's files go first; then the newest snapshot is pinned, so that they name none that is newer.
   Then segments, then manifests from the oldest on, each durable before the next, then the listing, which makes it a
   backup. Stopped before that it is the one that it was, and the next one goes on.
3. A backup belongs to one store: its newest snapshot must be one of the store's chain.
4. What `gc` drops meanwhile is missing for a reason: then the ledger names it, and the chain is read again. What it
   dropped after it was copied stays in the backup, which then is the store as it was when the chain was read.
5. What is held already is not believed for ever: of a folder's files each call reads a seventh anew, another one each
   day, and copies again what is damaged; the damaged file goes when the good one has been read.
6. Files that no listing vouches for, of a backup that was stopped, are read before they count as copied; one that is
   shorter or longer than it should be is copied again.
7. Nothing is durable because it lies there: a backup that was stopped may not have flushed the names that it gave. All
   that a listing names is flushed before it is written, copied or held.
"""

import contextlib
import time
from datetime import UTC, date, datetime
from hashlib import sha256

from store import durable, listing
from store.durable import NotWritten
from store.listing import Chain, Listing, Untrusted, holds_something, refuse_nested
from store.manifest import NOTHING, Conflict, Manifests
from store.places import Folder, place_of
from store.restore import HEALED, check, of_backup, repair, restore
from store.sealed import Damaged, unsealed
from store.segments import Refused
from store.verify import run_files, side_by_side

__all__ = ["backup", "check", "repair", "restore"]

_DAY = 86400.0
NIGHTS = 7  # in so many days each file that is held is read anew
_HARMLESS = ("lost+found", ".DS_Store", "System Volume Information", "backups")  # an empty disk; begun, and stopped
_STANDS = "the backup is what it was before"


def backup(archive, target, progress=None, check_all=False):
    """Copy what a backup lacks, and what is damaged in it of this store as it is now.

    Of files that are held already the size is looked at, and of a seventh of them, another one each day of a week, the
    sha256: of segments, snapshots, runs, tags and the user's files. In a bucket neither is, but for `check_all`: the
    service vouches for its objects, and reading them costs. What only earlier backups or dropped snapshots need is left
    to `check`.

    Parameters
    ----------
    archive : Archive
    target : path or str
        A folder, or s3://bucket/prefix: empty, or this store's backup.
    progress : callable(done, total, name), optional
    check_all : bool
        Read all files that are held, not a seventh.

    Returns
    -------
    dict
        target; snapshot, hash : the newest one in it; files_copied, bytes_copied; files_held : what was there;
        checked : how many of these were read; mended : names of those that were damaged, in the backup, and copied
        again; runs; seconds; left_out : names of what lies in the store's folder and is neither part of the store nor
        of what belongs beside one, of links, which are not followed, and of tags that no other system could name.

    Raises
    ------
    Refused
        The target is the store itself, something else, or another store's backup.
    Damaged
        A file of the store is not as it was written; the backup is what it was.
    NotWritten, DiskFull
        The target cannot be written, or is full; the backup is what it was, and the next one goes on.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder + "/store", create=True)
    ...     segment = archive.write("fx", archive.read("fx"), source="ecb")
    ...     head = archive.commit([segment])
    ...     first, second = (backup(archive, folder + "/copy") for _ in range(2))
    ...     made = restore(folder + "/copy", folder + "/again")
    ...     (first["files_copied"], second["files_copied"], made["hash"] == head.hash)
    (2, 0, True)
    """
    began, copy = time.perf_counter(), _Copy(archive, place_of(target), progress, check_all)
    try:
        head = copy.work()
    except Damaged as error:
        raise Damaged(f"{error}; {_STANDS}") from error
    except OSError as error:
        raise NotWritten(
            f"the backup in {copy.target} could not go on ({error.strerror or error}); {_STANDS}"
        ) from error
    return {
        "target": str(copy.target),
        "snapshot": head.number,
        "hash": head.hash,
        "files_copied": len(copy.copied),
        "bytes_copied": sum(copy.copied.values()),
        "files_held": max(0, copy.wanted - len(copy.copied)),
        "checked": len(copy.checked),
        "mended": sorted(copy.mended),
        "runs": copy.runs,
        "seconds": round(time.perf_counter() - began, 3),
        "left_out": copy.left_out,
    }


class _Copy:
    """One backup that is being made."""

    def __init__(self, archive, target, progress, check_all):
        self.archive, self.source, self.target, self.progress = archive, archive.place, target, progress
        self.manifests, self.there = Manifests(archive.place), Untrusted(target)
        self.copied, self.left_out = {}, []  # name -> bytes; names
        self.part = None if check_all else date.today().toordinal() % NIGHTS
        self.look = check_all or isinstance(target, Folder)
        self.checked, self.bad, self.mended = set(), set(), set()  # names
        self.wanted = self.runs = 0

    def work(self):
        """Make it; the chain that is in it."""
        refuse_nested(self.source, self.target)
        self.last = self._begun()
        self._refuse_another_store()
        self.held = {name for under in ("data", "files", "snapshots") for name in self.target.tree(under)}
        self.vouched = {digest for digest, _ in self.last.files.values()}
        self._sweep()
        files = self._files()
        while True:
            chain = Chain.read(self.manifests)
            try:
                self._copy_chain(chain)
                break
            except Damaged:
                if self.manifests.ledger.dropped().keys() == chain.dropped.keys():
                    raise
        self.wanted += len(chain.segments) + len(chain.hashes)
        self._list(chain, files)
        return chain

    # ---- what the target is

    def _begun(self):
        """The last listing; an empty one is written where nothing is."""
        last = listing.newest(self.there)
        if last is None:
            if holds_something(self.target, _HARMLESS):
                raise Refused(f"{self.target} is neither empty nor a backup: name another folder")
            last = Listing(0, 0, NOTHING, _now(), {}, {})
            with contextlib.suppress(FileExistsError):  # another backup has just begun it
                listing.write(self.target, last)
        return last

    def _refuse_another_store(self):
        """The newest snapshot in the target must be one of the store's."""
        chain = Manifests(self.there)
        newest = self._newest(chain)
        if newest is None or self._hash(newest.number) == newest.hash:
            return
        head = self.manifests.head().number
        if newest.number > head and self._hash(head) == _hash_in(chain, head):
            raise Refused(
                f"{self.source} ends at snapshot {head}, its backup in {self.target} at {newest.number}: it is an "
                "older state of the store; restore the newer one, or back this one up to another folder"
            )
        same = next((n for n in reversed(chain.numbers()) if self._hash(n) == _hash_in(chain, n)), 0)
        whose = f"a store that was this one up to snapshot {same} and went another way" if same else "another store"
        raise Refused(f"{self.target} is the backup of {whose}: back this one up to another folder")

    def _newest(self, chain):
        """The newest snapshot in the target; one that was cut when a backup was stopped is removed."""
        while numbers := chain.numbers():
            try:
                return chain.head()
            except Damaged as error:
                if numbers[-1] <= self.last.head:
                    raise Damaged(f"{of_backup(error)} in the backup {self.target}; {HEALED}") from error
                self.target.remove(f"snapshots/{numbers[-1]:010d}.json")
        return None

    def _hash(self, number):
        """Hash of a snapshot of the store, dropped or not; None if there is none."""
        dropped = self.manifests.ledger.dropped()
        if number in dropped:
            return dropped[number].hash
        return self.manifests.snapshot(number).hash if number <= self.manifests.head().number else None

    def _sweep(self):
        """Remove what a backup that was killed left half written, more than a day ago."""
        for name in (*self.held, *self.target.names("backups")):
            if f"/{durable.TEMPORARY}" in name:
                with contextlib.suppress(FileNotFoundError):
                    if self.target.facts(name).changed < self.target.now() - _DAY:
                        self.target.remove(name)

    # ---- runs, tags, the user's files

    def _files(self):
        """{name: (sha256, bytes)} of all that is no segment and no manifest."""
        before, files = {}, {}
        for name in self.last.files:
            if name.startswith("runs/"):
                before.setdefault(name.split("/")[1], []).append(name)
        ids = self.archive.run_ids()
        for done, (run_id, held) in enumerate(side_by_side(lambda one: self._run(one, before.get(one, [])), ids), 1):
            files |= held
            self.runs += bool(held)
            self._tell(done, len(ids), f"runs/{run_id}")
        found = self.source.names("tags")
        for name in filter(listing.allowed, found):
            with contextlib.suppress(FileNotFoundError):  # it was moved or taken away
                content = self.source.read(name)
                unsealed(content, name)
                files[name] = self._put(content)
        own, left_out = listing.own_files(self.archive.path)
        here = isinstance(self.source, Folder)  # else a working copy, in which other things lie too
        self.left_out = [name for name in left_out if here or "/" in name]
        self.left_out += [name for name in found if "/." not in name and not listing.allowed(name)]
        for name in own:
            with contextlib.suppress(FileNotFoundError):
                files[name] = self._put((self.archive.path / name).read_bytes())
        wanted = {f"files/{digest}" for digest, _ in files.values()}
        self.wanted = len(wanted)
        self.target.settle(sorted(wanted))
        return files

    def _run(self, run_id, before):
        """The files of a run, none if it was deleted meanwhile; `before` are their names in the last listing."""
        first, content = f"runs/{run_id}/run.json", None
        while True:
            try:
                content, tables = run_files(self.source, run_id)
                held = {name: self.last.files[name] for name in before}
                if tables and held.get(first, ("",))[0] == sha256(content).hexdigest() and self._holds(held):
                    return held
                digests = {table.name: table.sha256 for table in tables}
                names = digests or [name for name in self.source.tree(f"runs/{run_id}") if "/." not in name]
                names = [name for name in names if name != first]
                held = {name: self._put(self._table(name, digests.get(name))) for name in names}
                return held | {first: self._put(content)}
            except (Damaged, FileNotFoundError):
                if not self.source.has(first):
                    return {}
                if content is None or self.source.read(first) == content:  # else it was made again meanwhile
                    raise

    def _table(self, name, digest):
        """The bytes of a table of a run."""
        if not listing.allowed(name):
            raise Damaged(f"{name!r} is no name of a run's file: delete the run, or make it again")
        try:
            content = self.source.read(name)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing: delete the run, or make it again") from None
        if digest and sha256(content).hexdigest() != digest:
            raise Damaged(f"{name} is damaged: its sha256 is not the one of run.json; delete the run, or make it again")
        return content

    def _holds(self, files):
        return not any(self._lacks(f"files/{digest}", digest, size, True) for digest, size in files.values())

    def _put(self, content):
        """Keep a content under its hash."""
        digest = sha256(content).hexdigest()
        if self._lacks(f"files/{digest}", digest, len(content), digest in self.vouched):
            self._write(f"files/{digest}", content)
        return digest, len(content)

    # ---- the chain

    def _copy_chain(self, chain):
        """Segments side by side, then manifests one by one."""

        def segment(path):
            digest, size = chain.segments[path]
            if self._lacks(path, digest, size, chain.since[path] <= self.last.head):
                self._write(path, self._original(path, digest))

        for done, (path, _) in enumerate(side_by_side(segment, sorted(chain.segments)), 1):
            self._tell(done, len(chain.segments), path)
        self.target.settle(list(chain.segments))
        names = {number: f"snapshots/{number:010d}.json" for number in chain.hashes}
        self.target.settle(sorted(self.held.intersection(names.values())))
        for number, hash_ in chain.hashes.items():
            name = names[number]
            if number <= self.last.head and not self._lacks_manifest(name, hash_):
                continue
            text = self._original(name)
            if text[:64] != hash_.encode():
                raise Damaged(f"{name} was altered while it was copied")
            if name in self.bad or self._lacks(name, sha256(text).hexdigest(), len(text), False):
                self._write(name, text)
                self.target.settle([name])

    def _original(self, name, digest=None):
        """The bytes of a file of the store."""
        try:
            content = self.source.read(name)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing: restore it from a backup") from None
        except OSError as error:
            raise Damaged(f"{name} cannot be read ({error.strerror}): restore it from a backup") from error
        if digest and sha256(content).hexdigest() != digest:
            raise Damaged(f"{name} is damaged: its sha256 is not the one that was committed; restore it from a backup")
        return content

    def _list(self, chain, files):
        """Write the listing, unless the last one says the same."""
        last = self.last
        same = last.number and (last.head, last.hash, last.files) == (chain.number, chain.hash, files)
        if same and last.dropped.keys() == chain.dropped.keys():
            listing.settle(self.target, last.number)
            return
        number = max(listing.numbers(self.there)) + 1
        try:
            listing.write(self.target, Listing(number, chain.number, chain.hash, _now(), files, chain.dropped))
        except FileExistsError:
            raise Conflict(f"another backup to {self.target} ended at this moment: repeat the command") from None

    # ---- one file

    def _lacks(self, name, digest, size, vouched):
        """Whether the target must get a file, as it is not there, or not as it should be."""
        if name not in self.held:
            return True
        read = not vouched or self._due(digest)
        if read and vouched:
            self.checked.add(name)
        with contextlib.suppress(Damaged, FileNotFoundError):
            if read:
                self.there.checked(name, digest, size)
                return False
            if not isinstance(self.target, Folder) or self.target.facts(name).bytes == size:
                return False
        self.bad.add(name)
        return True

    def _lacks_manifest(self, name, hash_):
        """The same of a manifest that a listing vouches for, and whose hash the chain tells."""
        if name not in self.held:
            return True
        if not self._due(hash_):
            return False
        self.checked.add(name)
        with contextlib.suppress(Damaged, FileNotFoundError, OSError):
            if sha256((text := self.there.read(name))[65:]).hexdigest() == hash_ and text[:65] == f"{hash_}\n".encode():
                return False
        self.bad.add(name)
        return True

    def _due(self, digest):
        """Whether a file is to be read today."""
        return self.look and (self.part is None or int(digest[:15], 16) % NIGHTS == self.part)

    def _write(self, name, content):
        if name in self.bad:
            self.target.remove(name)
            self.bad.discard(name)
            self.mended.add(name)
        with contextlib.suppress(FileExistsError):  # of another run, or by another backup; it is there whole
            self.target.write_once(name, content)
            self.copied[name] = len(content)
        self.held.add(name)

    def _tell(self, done, total, name):
        if self.progress:
            self.progress(done, total, name)


def _hash_in(chain, number):
    """Hash of a snapshot that stands in the backup, None if it does not."""
    return chain.snapshot(number).hash if number in chain.numbers() else None


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
