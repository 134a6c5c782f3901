"""A store in a bucket of an S3 service: the same files by the same names as in a folder, and the same promises.

    s3://bucket/prefix/data/...       as in a folder
    s3://bucket/prefix/snapshots/.begun   says that a store was begun here, and shows that conditional puts work
    <cache>/objects/<sha256>          copies of what was read (see `fetched`)
    <cache>/s3/<hash of the address>/ the working copy: the user's own files, derived files, locks, runs being written

A name is taken by a conditional put, which one writer gets; an object is durable when the service has confirmed it, and
visible only whole. A run is there when its `run.json` is, which is put last and taken away first; what lies in `runs`
without one is an upload that was killed, or is under way.

The user's own files beside a store (`contracts.csv`, `vendors.toml`, `strategies/*.py`, ...) are brought into the
working copy when the store is opened. Strategies are code that this program runs: whoever may write into the bucket can
run programs here, so it must be the user's own.
"""

import contextlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256 as hasher
from pathlib import Path, PurePosixPath
from shutil import rmtree
from threading import Lock
from uuid import uuid4

from store import durable, fetched
from store.durable import NotWritten, StateUnknown, StoreError
from store.objects import Objects, Unreachable
from store.places import STAGED, Facts

THREADS = 16  # requests side by side
ABANDONED = 900.0  # a file of a run that another upload left is nobody's after so long [s]
_BEGUN, _CLOCK, _LAST = "snapshots/.begun", "clock", "run.json"
_MARK = b"A store of frontmonth was begun here.\n"
_ADDRESS = re.compile(r"s3:/{1,2}([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=+@-]{1,128})*)/*")
_OWN = re.compile(r"(?:(?:[A-Za-z0-9_][\w .-]*\.(?:csv|toml))|strategies/[A-Za-z0-9_][\w .-]*\.py"
                  r"|portfolios/[A-Za-z0-9_][\w .-]*\.toml)")  # fmt: skip


class Bucket:
    """A store at s3://bucket/prefix; `path` is its working copy on this machine.

    >>> str(Bucket("s3://prices/futures/"))
    's3://prices/futures'
    """

    def __init__(self, address):
        found = _ADDRESS.fullmatch(str(address))
        if found is None or re.search(r"/\.{1,2}(/|$)", found[2]):
            raise StoreError(
                f"{str(address)!r} is no address of a store: it has the form s3://bucket/prefix, the prefix of "
                "letters, digits, dot, dash, underscore and slash"
            )
        self._name = f"s3://{found[1]}{found[2]}"
        self._objects = Objects(found[1], found[2].strip("/"), self._name)
        cache = fetched.folder()
        self._key = self._name, self._objects.endpoint
        self.path = cache / "s3" / hasher("\n".join(self._key).encode()).hexdigest()[:24]
        self._copies = fetched.Copies(cache)
        self._texts, self._proven, self._lock = {}, False, Lock()

    def __str__(self):
        return self._name

    def __repr__(self):
        return f"Bucket({self._name!r})"

    def __eq__(self, other):
        return isinstance(other, Bucket) and self._key == other._key

    def __hash__(self):
        return hash(self._key)

    # ---- looking

    def exists(self):
        """Whether a store was begun here."""
        return bool(self._objects.list("snapshots", most=1))

    def names(self, under, after=""):
        """Names of the files directly below `under`, sorted; only those that come after the name `after`."""
        found = (facts["path"] for facts in self._objects.list(under, after=after))
        return [name for name in found if "/" not in name[len(under) + 1 :] and name != _BEGUN]

    def tree(self, under):
        """Names of all files below `under`, sorted."""
        return [facts["path"] for facts in self._objects.list(under) if facts["path"] != _BEGUN]

    def folders(self, under, holding=""):
        """Names of the folders directly below `under`, sorted; only those that hold a file of the name `holding`."""
        if not holding:
            return self._objects.level(under)[0]
        found = (name.removeprefix(f"{under}/").split("/") for name in self.tree(under))
        return [f"{under}/{parts[0]}" for parts in found if parts[1:] == [holding]]

    def has(self, name):
        """Whether there is such a file."""
        try:
            self._objects.head(name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name):
        """The bytes of a file; FileNotFoundError if there is none. What is held from before is asked for by its tag."""
        with self._lock:
            tag, content = self._texts.get(name, (None, None))
        found = self._objects.read(name, tag)
        if found is None:
            return content
        with self._lock:
            self._texts.pop(name, None)
            self._texts[name] = found[1], found[0]
            if len(self._texts) > 4:  # the newest snapshot and its like
                del self._texts[next(iter(self._texts))]
        return found[0]

    def local(self, name, sha256=None):
        """A file of this machine with the bytes of `name`, from the cache where it has them.

        Parameters
        ----------
        name : str
        sha256 : str, optional
            Of its bytes, if known: then a copy serves without a question to the service, and no other bytes do.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        Damaged
            Its bytes have another sha256.
        """
        if sha256 is None:
            return self._current(name)
        held = self._copies.find(sha256)
        if held is None:
            self._copies.keep(self._objects.stream(name)[0], sha256, name)
            self._copies.sweep()
            held = self._copies.find(sha256)
        return held or self._gone(name)

    def bring(self, wanted):
        """Fetch many files side by side into the cache: pairs of name and sha256. What fails, fails when it is read."""
        lacking = [(name, sha256) for name, sha256 in wanted if self._copies.find(sha256) is None]
        if len(lacking) < 2:
            return

        def fetch(pair):
            with contextlib.suppress(StoreError, FileNotFoundError):
                self._copies.keep(self._objects.stream(pair[0])[0], pair[1], pair[0])

        _side_by_side(fetch, lacking)
        self._copies.sweep()

    def bring_own(self):
        """Bring the user's own files into the working copy, as they are in the bucket; those gone there go here too."""
        durable.make_folder(self.path)
        if not (self.path / "address.txt").is_file():  # for whoever wonders what the folder is
            durable.replace_hint(self.path / "address.txt", f"{self._name}\n".encode())
        known, found = self._own(), {facts["path"]: facts["e_tag"] for facts in self._own_objects()}
        for name in known.keys() - found.keys():
            durable.remove(self.path / name)
        now = {name: known.get(name) for name in found}
        stale = [name for name, tag in found.items() if not self._as_known(name, known.get(name), tag)]

        def fetch(name):
            content, tag, _ = self._objects.read(name)
            now[name] = self._put_own(name, content, tag)

        _side_by_side(fetch, stale)
        if now != known:
            durable.replace_hint(self.path / ".own.json", json.dumps(now).encode())

    def digest(self, name):
        """Sha256 of a file's bytes as they lie there now, in hex."""
        digest = hasher()
        for chunk in self._objects.stream(name)[0]:
            digest.update(chunk)
        return digest.hexdigest()

    def facts(self, name):
        """Size and time of change; FileNotFoundError if there is no such file."""
        found = self._objects.head(name)
        return Facts(found["size"], found["last_modified"].timestamp())

    def sizes(self, names):
        """Size of each file [bytes]; None where there is none."""

        def size(name):
            try:
                return self.facts(name).bytes
            except FileNotFoundError:
                return None

        return _side_by_side(size, list(names))

    def now(self):
        """The time by the service's clock [s since 1970]; it tells whole seconds."""
        try:
            self.hint(_CLOCK, b"")
            return self.facts(_CLOCK).changed
        except (StoreError, OSError):  # nothing can be written: nothing depends on the age of a file then
            return time.time()

    # ---- writing

    def begin(self):
        """Put the mark of a store; refuse a service that does not know conditional puts, which two writers need."""
        with contextlib.suppress(FileExistsError):
            self._objects.create(_BEGUN, _MARK)
        self._prove()

    def write_new(self, name, data):
        """Write a file whose name must be free; it is durable when this returns."""
        try:
            self._objects.create(name, data)
        except StateUnknown:  # nobody was told the name: `gc` takes what may stay
            raise NotWritten(
                f"{self._name}: the service did not say that it holds {name}; nothing was changed"
            ) from None

    def write_once(self, name, data):
        """Write a file whose name only one writer can take; true, as nobody can see it half written."""
        self._prove()
        self._objects.create(name, data)
        return True

    def atomic(self, under):
        """Whether `write_once` shows files only when they are whole."""
        return True

    def settle(self, names):
        """Nothing is left to do: what was written is durable."""

    def hint(self, name, data):
        """Replace a file."""
        self._objects.put(name, data)

    def put_beside(self, name, data):
        """Put one of the user's own files into the bucket and the working copy.

        Raises
        ------
        NotWritten
            It could not be written, or another machine has changed it since this one opened the store.
        """
        if not _OWN.fullmatch(name):
            raise StoreError(f"{name!r} is no file beside a store")
        known = self._own()
        try:
            tag = (
                self._objects.update(name, data, known[name][0]) if name in known else self._objects.create(name, data)
            )
        except FileExistsError:
            raise NotWritten(f"{self._name}/{name} was changed from elsewhere meanwhile: repeat the command") from None
        known[name] = self._put_own(name, data, tag)
        durable.replace_hint(self.path / ".own.json", json.dumps(known).encode())

    def set_aside(self, name, suffix):
        """Give a torn file a name that readers pass over."""
        folder = name.rpartition("/")[0]
        self._objects.create(f"{folder}/{durable.TEMPORARY}{uuid4().hex}{suffix}", self.read(name))
        self.remove(name)

    def remove(self, name):
        """Remove a file; one that is gone already is no error."""
        self._objects.delete(name)

    # ---- whole folders

    def stage(self):
        """A fresh folder of this machine to be filled and given to `publish`."""
        folder = self.path / "runs" / f"{STAGED}{uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def publish(self, folder, name, replace=False):
        """Upload a staged folder, `run.json` last and by one writer only: it is there whole, or not at all.

        With `replace` it takes the place of the run of that name; if that is stopped midway, the run is one that is
        told to be damaged, and can be replaced again.

        Raises
        ------
        FileExistsError
            The name is taken.
        NotWritten, StateUnknown
        """
        self._prove()
        folder = Path(folder)
        files = {f"{name}/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
        last = f"{name}/{_LAST}"
        tag = self._tag(last)
        if tag and not replace:
            raise FileExistsError(f"{name} is taken in {self._name}")
        rest = {name: path for name, path in files.items() if name != last}
        _side_by_side(lambda item: self._upload(*item, replace=bool(tag)), list(rest.items()))
        text = files[last].read_bytes() if last in files else b"{}"
        if tag:
            self._objects.update(last, text, tag)
        else:
            self._objects.create(last, text)
        there = set(self.tree(name))
        lost = [item for item in rest.items() if item[0] not in there]
        _side_by_side(lambda item: self._upload(*item), lost)  # a run of that name was removed meanwhile
        rmtree(folder)

    def remove_tree(self, name):
        """Remove a folder or file; of a run its `run.json` first, so that none is left by half.

        A run that another machine saves under the name meanwhile may take tables for its own that go now: then it
        goes, too, as if it had been saved before.
        """
        while True:
            found = [facts["path"] for facts in self._objects.list(name)]
            if f"{name}/{_LAST}" in found:
                self.remove(f"{name}/{_LAST}")
            _side_by_side(self.remove, found or [name])
            if not self._torn(name):
                return

    def unfinished(self):
        """Names of files in `runs` that belong to no run: an upload is under way, or was killed."""
        found = self.tree("runs")
        whole = {name.removesuffix(_LAST) for name in found if name.endswith(f"/{_LAST}")}
        return [name for name in found if not any(f"{up}/" in whole for up in map(str, PurePosixPath(name).parents))]

    # ---- inside

    def _prove(self):
        """Once a process: the service refuses to put an object again whose name is taken."""
        if self._proven:
            return
        try:
            self._objects.create(_BEGUN, _MARK)
        except FileExistsError:
            self._proven = True
            return
        with contextlib.suppress(FileExistsError):
            self._objects.create(_BEGUN, _MARK)  # the first may have been missing: the second tells
            raise StoreError(
                f"{self._name}: {self._objects.place} puts an object whose name is taken, so two writers could destroy "
                "each other's work: frontmonth needs a service that honours If-None-Match"
            )
        self._proven = True

    def _current(self, name):
        """A copy of what a file is now; it is asked for by the tag that the copy had."""
        pointer = self.path / "held" / name
        tag, held = None, None
        with contextlib.suppress(OSError, ValueError):
            known, sha256 = json.loads(pointer.read_bytes())
            tag, held = known, self._copies.find(sha256)
        found = self._objects.stream(name, tag if held else None)
        if found is None:
            return held
        sha256 = self._copies.keep(found[0], name=name)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        durable.replace_hint(pointer, json.dumps([found[1], sha256]).encode())
        return self._copies.find(sha256) or self._gone(name)

    def _gone(self, name):
        raise Unreachable(f"the copy of {self._name}/{name} in {self._copies.folder} went as it was made: try again")

    def _tag(self, name):
        """Tag of an object; None where there is none."""
        try:
            return self._objects.head(name)["e_tag"]
        except FileNotFoundError:
            return None

    def _torn(self, name):
        """Whether a run lacks tables that its `run.json` names."""
        there = self.tree(name)
        if f"{name}/{_LAST}" not in there:
            return False
        try:
            files = json.loads(self._objects.read(f"{name}/{_LAST}")[0]).get("files") or ()
        except (FileNotFoundError, ValueError, AttributeError):
            return False
        return any(f"{name}/{file}" not in there for file in files)

    def _upload(self, name, path, replace=False):
        """Put a file of a run; what an upload that was killed left under its name gives way."""
        data = path.read_bytes()
        try:
            self._objects.create(name, data)
        except FileExistsError:
            content, tag, _ = self._objects.read(name)
            if content == data:
                return
            if not replace and self.now() - self.facts(name).changed < ABANDONED:
                raise NotWritten(
                    f"{self._name}/{name} belongs to no run yet: another process is saving that run, or was killed "
                    f"less than {ABANDONED / 60:.0f} minutes ago; repeat the command then"
                ) from None
            self._objects.update(name, data, tag)

    def _own_objects(self):
        folders, found = self._objects.level()
        for folder in ("strategies", "portfolios"):
            found += self._objects.level(folder)[1] if folder in folders else []
        return [facts for facts in found if _OWN.fullmatch(facts["path"])]

    def _own(self):
        """Name -> (tag, sha256) of the user's own files that were brought here."""
        try:
            return json.loads((self.path / ".own.json").read_bytes())
        except (OSError, ValueError):
            return {}

    def _as_known(self, name, known, tag):
        if known is None or tag is None or known[0] != tag:
            return False
        try:
            return hasher((self.path / name).read_bytes()).hexdigest() == known[1]
        except OSError:
            return False

    def _put_own(self, name, content, tag):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        durable.replace_hint(self.path / name, content)
        return [tag, hasher(content).hexdigest()]


def _side_by_side(work, items):
    """What the work gives for each item, done some at a time; the first failure is raised when all have ended."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(THREADS, len(items))) as pool:
        return list(pool.map(work, items))
