"""A store made of a backup; and a look whether a backup is whole.

1. Nothing stands under the store's name before all was checked and is durable: a folder is filled beside it and renamed
   last. Where that cannot be, at the root of a disk, `snapshots` is renamed last; in a bucket `snapshots/head` is put
   first and the snapshot that it names last. What is left when that is killed is refused as damaged.
2. One bad file refuses it as a whole, and is named.
3. Snapshots that the store had dropped when the backup was made stay dropped, though the backup may still have them;
   `as_of` brings one back.
"""

import contextlib
import json
import os
import re
import shutil
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from store import durable, listing, system
from store.durable import NotWritten
from store.ledger import Ledger
from store.listing import AsOf, Chain, Untrusted, holds_something, refuse_inside, refuse_nested
from store.manifest import Manifests
from store.places import Folder, place_of
from store.repair import repair
from store.sealed import Damaged, Problem, unsealed
from store.segments import Refused
from store.verify import side_by_side

__all__ = ["check", "repair", "restore"]

HEALED = "remove it, and the next `frontmonth backup` copies it again"
_ADVICE = ": restore it from a backup"
_HEAD = "snapshots/head"


def restore(target, store, as_of=None, progress=None):
    """Make a store of a backup.

    Parameters
    ----------
    target : path or str
        The backup: a folder, or s3://bucket/prefix.
    store : path or str
        A folder that does not exist or is empty, or s3://bucket/prefix with nothing in it.
    as_of : int or str, optional
        Number of a snapshot, a tag of the last backup, or a day such as 2024-03-01 (UTC; as the store was known then):
        the store as it was then, with the runs, tags and own files of the last backup before the next snapshot; if
        there was none, of the first one after it, without runs and tags of later snapshots.
    progress : callable(done, total, name), optional

    Returns
    -------
    dict
        store; snapshot, hash : its newest; files, bytes : what was copied; runs.

    Raises
    ------
    Refused
        There is no backup or no such snapshot in it, or something is where the store is to be.
    Damaged
        A file of the backup is not as it was written, or has a name that leads out of a store; there is no store then.
    NotWritten, DiskFull
        There is no store then.
    """
    source, goal = Untrusted(place_of(target)), place_of(store)
    refuse_nested(goal, source.place)
    refuse_inside(goal)
    _sweep(goal)
    if holds_something(goal):
        raise Refused(f"{goal} is not empty: a backup is restored into a new folder, nothing is overwritten")
    try:
        view, files = _chosen(source, as_of)
        chain = Chain.read(Manifests(view))
        if chain.number != view.head:
            raise Damaged(f"{_manifest(view.head)} is missing")
        with _staged(goal) as stage:
            made = _Making(source, view, chain, files, stage, progress).work()
        if stage is goal:
            goal.bring_own()
        return {"store": str(goal)} | made
    except Damaged as error:
        raise Damaged(f"{of_backup(error)}; nothing was restored from {source}") from error
    except OSError as error:
        raise NotWritten(f"{goal} could not be restored ({error.strerror or error}); nothing was changed") from error


def check(target, progress=None):
    """Read all of a backup, of earlier ones too: a list of str, each the name of a file, what is wrong, what to do.

    `restore` refuses only what it needs itself.
    """
    source, wanted = Untrusted(place_of(target)), {}
    last, problems = _listings(source, wanted)
    if last:
        problems += _snapshots(source, last, wanted)

    def wrong(path):
        try:
            source.checked(*wanted[path], path)
        except Damaged as error:
            return f"{error}; {HEALED}"
        return None

    for done, (path, told) in enumerate(side_by_side(wrong, sorted(wanted)), 1):
        problems += [told] if told else []
        if progress:
            progress(done, len(wanted), path)
    return list(dict.fromkeys(problems))


def of_backup(error):
    """The text of a Damaged that was raised over a backup: there is no other to restore the file from."""
    return str(error).replace(_ADVICE, "")


# ---- looking


def _listings(source, wanted):
    """The newest listing and what is wrong with any; `wanted` gets {path: (name, sha256, bytes)} of what they name."""
    last, problems = None, []
    try:
        last = listing.ended(source)
    except Damaged as error:
        problems.append(f"{error}; remove it and backups/head: the backup is then the one before")
    for number in listing.numbers(source):
        try:
            files = listing.load(source, number).files
        except Damaged as error:
            problems.append(f"{error}; remove it and backups/head: only this one backup is lost")
        else:
            wanted |= {f"files/{digest}": (name, digest, size) for name, (digest, size) in files.items()}
    return last, problems


def _snapshots(source, last, wanted):
    """What is wrong with the snapshots, also with dropped ones that are still here; `wanted` gets what they name."""
    problems, found = [], []
    for step in Manifests(AsOf(source, last.head, last.hash, last.dropped)).chain():
        if isinstance(step, Problem):
            problems.append(f"{of_backup(step)}; {HEALED}")
        else:
            found.append(step)
            wanted |= _named(step)
    for number in last.dropped.keys() & set(Manifests(source).numbers()):
        try:
            wanted |= _named(Manifests(AsOf(source, number, last.dropped[number].hash, {})).head())
        except Damaged as error:
            problems.append(f"{of_backup(error)}; remove it: the store has dropped that snapshot")
    return problems


def _named(step):
    return {file.path: (file.path, file.sha256, file.bytes) for file in getattr(step, "files", ())}


def _chosen(source, as_of):
    """The chain as of a snapshot as a place, and {name: (sha256, bytes)} of the other files."""
    last = listing.ended(source)
    as_of = None if as_of is None else _number_of(source, last, str(as_of).strip())
    if as_of is None or as_of == last.head:
        return AsOf(source, last.head, last.hash, last.dropped), last.files
    if not 0 < as_of < last.head:
        raise Refused(f"the backup in {source} has no snapshot {as_of}: it has 1 to {last.head}")
    there = set(Manifests(source).numbers())
    if as_of in last.dropped and as_of not in there:
        near = max((number for number in there if number < as_of), default=min(there))
        raise Refused(f"snapshot {as_of} was dropped before a backup had it; near it the backup has {near}")
    then = _last_before(source, as_of, last)
    dropped = {n: one for n, one in last.dropped.items() if n < as_of and (n in then.dropped or n not in there)}
    hash_ = then.hash if then.head == as_of else _hash(source, as_of, last)
    return AsOf(source, as_of, hash_, dropped), then.files if then.head <= as_of else _not_newer(source, then, as_of)


def _number_of(source, last, text):
    """Number of the snapshot that a text means in a backup."""
    if re.fullmatch(r"-?[0-9]{1,10}", text):
        return int(text)
    if text == "head":
        return last.head
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return _known_on(source, last, text)
    found = {}  # name of a tag -> (generation, name of its file): the newest counts
    for name in filter(lambda name: name.startswith("tags/"), last.files):
        tag, _, generation = name.removeprefix("tags/").removesuffix(".json").partition("~")
        found[tag] = max(found.get(tag, (0, "")), (int(generation or 1), name))
    if text not in found:
        near = get_close_matches(text, found, 1)
        raise Refused(
            f"the backup in {source} has no snapshot or tag {text!r}{f': did you mean {near[0]}?' if near else ''}; "
            "a snapshot goes by its number, a tag, or a day such as 2024-03-01"
        )
    name = found[text][1]
    digest, size = last.files[name]
    return unsealed(source.checked(name, digest, size, f"files/{digest}"), name)["number"]


def _known_on(source, last, text):
    """The last snapshot that was made on a day (UTC) or before."""
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        raise Refused(f"{text} is no day; a day goes as 2024-03-01") from None
    there = Manifests(AsOf(source, last.head, last.hash, last.dropped)).chain()
    times = [(step.number, step.time[:10]) for step in there if not isinstance(step, Problem)]
    then = [number for number, made in times if made <= day]
    if not then:
        raise Refused(f"the store knew nothing on {day}: its first snapshot is of {times[0][1] if times else 'no day'}")
    return max(then)


def _last_before(source, as_of, last):
    """The last listing whose head is not newer; the first one, if none is."""
    found = last
    for number in reversed(listing.numbers(source)):
        with contextlib.suppress(Damaged):  # an older one than is needed, or one less to choose from
            one = listing.load(source, number)
            found = one if one.number else found
        if found.head <= as_of:
            break
    return found


def _hash(source, number, last):
    """Hash of a snapshot as the ledger or the next snapshot tells it; None if neither does."""
    if number in last.dropped:
        return last.dropped[number].hash
    if number + 1 in last.dropped:
        return last.dropped[number + 1].parent
    with contextlib.suppress(Damaged):
        after = Manifests(AsOf(source, number + 1, None, {})).head()
        return after.parent if after.number == number + 1 else None
    return None


def _not_newer(source, then, as_of):
    """The files of a listing without runs and tags of snapshots after `as_of`."""
    newer = []
    for name, (digest, size) in then.files.items():
        if name.startswith("tags/") or (name.startswith("runs/") and name.endswith("/run.json")):
            content = source.checked(name, digest, size, f"files/{digest}")
            tag = name.startswith("tags/")
            fields = unsealed(content, name) if tag else json.loads(content).get("summary", {}).get("snapshot", {})
            number = fields.get("number", 0)
            if number > as_of:
                newer.append(name.removesuffix("run.json"))
    return {name: held for name, held in then.files.items() if not name.startswith(tuple(newer))}


# ---- making


class _Making:
    """One store that is being made of a backup."""

    def __init__(self, source, view, chain, files, stage, progress):
        self.source, self.view, self.chain, self.stage, self.progress = source, view, chain, stage, progress
        wanted = [(path, digest, size, path) for path, (digest, size) in chain.segments.items()]
        wanted += [(name, digest, size, f"files/{digest}") for name, (digest, size) in files.items()]
        self.wanted = sorted(wanted)
        self.written = []

    def work(self):
        """Make it; what it is, as a dict."""
        try:
            self._bring_all()
        except BaseException:
            if not isinstance(self.stage, Folder):
                for name in reversed(self.written):
                    with contextlib.suppress(Exception):  # the first error is the one to be told
                        self.stage.remove(name)
            raise
        return {
            "snapshot": self.chain.number,
            "hash": self.chain.hash,
            "files": len(self.written),
            "bytes": sum(size for _, _, size, _ in self.wanted),
            "runs": sum(name.startswith("runs/") and name.endswith("/run.json") for name, *_ in self.wanted),
        }

    def _bring_all(self):
        local, head = isinstance(self.stage, Folder), f"{self.chain.number} {self.chain.hash}\n".encode()
        self.stage.begin()
        if not local and self.chain.number:
            self._write(_HEAD, head)
        for done, (item, _) in enumerate(side_by_side(self._bring, self.wanted), 1):
            if self.progress:
                self.progress(done, len(self.wanted), item[0])
        if self.chain.dropped:
            self.written.append(Ledger(self.stage).write(self.chain.dropped.values()))
        for number, hash_ in self.chain.hashes.items():
            text = self.view.read(_manifest(number))
            if text[:64] != hash_.encode():
                raise Damaged(f"{_manifest(number)} was altered while it was read")
            self._write(_manifest(number), text)
        if local and self.chain.number:
            self._write(_HEAD, head)

    def _bring(self, item):
        name, digest, size, path = item
        self._write(name, self.source.checked(name, digest, size, path))

    def _write(self, name, content):
        local = isinstance(self.stage, Folder)
        if name.split("/")[0] in listing.PARTS or not (local or name.startswith("downloads/")):
            self.stage.write_new(name, content)
        else:  # the user's own: to be edited, and of a bucket's store beside its working copy
            path = self.stage.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.written.append(name)


@contextlib.contextmanager
def _staged(goal):
    """Where to make the store; it gets its name when the block ends well."""
    if not isinstance(goal, Folder):
        yield goal
        return
    root = goal.path.is_mount()
    stage = Folder(_stages(goal) / f"{_stage(goal)}{os.getpid()}-{system.process_started(os.getpid())}")
    durable.make_folder(stage.path)
    try:
        yield stage
        if root:
            for part in sorted(stage.path.iterdir(), key=lambda part: part.name == "snapshots"):
                durable.move_folder(part, goal.path / part.name)
            stage.path.rmdir()
            return
        if goal.path.exists():
            goal.path.rmdir()
        durable.move_folder(stage.path, goal.path)
    except FileExistsError:
        raise Refused(f"{goal} was made by somebody else meanwhile; nothing was changed") from None
    finally:
        shutil.rmtree(stage.path, ignore_errors=True)


def _sweep(goal):
    """Remove what restores that were killed left."""
    if not isinstance(goal, Folder) or not _stages(goal).is_dir():
        return
    pattern = re.compile(rf"{re.escape(_stage(goal))}(\d+)-([0-9a-f]+)")
    for path in _stages(goal).iterdir():
        found = pattern.fullmatch(path.name)
        if found and system.process_started(int(found[1])) != found[2]:
            shutil.rmtree(path, ignore_errors=True)


def _stages(goal):
    """The folder in which a store is made: of the same disk."""
    return Path(goal.path) if goal.path.is_mount() else goal.path.parent


def _stage(goal):
    return f".{goal.path.name}.restoring-"


def _manifest(number):
    return f"snapshots/{number:010d}.json"
