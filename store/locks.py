"""Who works on a store: one writer, one backup and one clean-up at a time, each named for those that wait for it.

    locks/writing-<host>-<pid>-<start>.json     verb, user, host and since when, for messages; its name alone counts

Commits need no lock against each other: they are checked (see `manifest`). Locks save two imports from doing their work
twice, and tell people what they wait for. One is needed: a commit that has seen its files, and has not named them yet,
and a clean-up that removes files without a name keep out of each other's way. Any number of commits go on at once.

Rules. (1) Whoever wants to hold makes a file of his own, then looks for files of others; if a living one has one, he
takes his own away, waits and tries again. Of two that try at once, the one that looks last sees the other, so that at
most one holds. (2) A process that is gone holds nothing: the name tells it by number and start, so that another process
under the same number is not taken for it. (3) A name is never used by another process, so that anybody may remove that
of one that is gone, any number of times and at any moment. (4) Of a process of another machine, or of another
container, whose numbers are its own, nothing is known: it holds until it takes its file away, or somebody does.
"""

import contextlib
import json
import os
import random
import re
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from store import durable, system
from store.durable import DiskFull, NotWritten, StoreError

KINDS = {"writing": "writing to the store", "backup": "making a backup", "gc": "removing files"}
KINDS |= {"commit": "committing", "sweep": "removing files that no snapshot names", "trials": "sweeping a portfolio"}
_AGAINST = {"commit": "sweep", "sweep": "commit"}  # what a kind waits for; the others wait for their like
_NAME = re.compile(
    r"(?P<what>[a-z]+)-(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]{1,10})-(?P<start>[0-9a-f]{16})(-[0-9a-f]{8})?\.json"
)
_MOMENT = 0.2  # two that try at once see each other for less; who waits longer waits for somebody [s]
_PAUSE = (0.02, 0.1)  # between two tries, by chance, so that two do not try in step [s]


class Busy(StoreError):
    """Another process holds what was asked for; nothing was begun."""


@contextlib.contextmanager
def hold(archive, what="writing", verb="import", wait=600.0, tell=None):
    """Hold a store for one kind of work while the block runs.

    Parameters
    ----------
    archive : Archive
    what : str
        "writing", "backup", "gc" or "trials": each kind is held by one process at a time, those of different kinds are
        not in each other's way; "commit" by any number, but while none holds "sweep".
    verb : str
        What this process does, for the messages of those that wait.
    wait : float
        How long to wait for another one; 0 refuses at once. [s]
    tell : function, optional
        Gets one line that says for whom this process waits, once, if it waits.

    Raises
    ------
    Busy
        Another process still holds it, or this one does already.
    NotWritten
        The store is read-only, or its disk is full.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     with hold(archive, verb="import"):
    ...         [(held["what"], held["verb"]) for held in holders(archive)]
    [('writing', 'import')]
    """
    if what not in KINDS:
        raise ValueError(f"{what!r} is no kind of lock; allowed are {', '.join(KINDS)}")
    claim = _Claim(_folder(archive), what, verb)
    try:
        claim.wait(wait, tell)
        yield
    finally:
        claim.give_up()


def committing(archive):
    """Hold a store while a commit looks at its files and names them: `sweeping` waits, other commits do not."""
    return hold(archive, "commit", "the commit")


@contextlib.contextmanager
def sweeping(archive):
    """Hold a store while files go that no snapshot names: no commit is between its look at them and its name."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(DiskFull):  # none is there, and none can begin: it has to make a file first, too
            held.enter_context(hold(archive, "sweep", "gc"))
        yield


def holders(archive):
    """Who holds what, now.

    Returns
    -------
    list of dict
        what, verb, pid, host, user, since (ISO 8601, UTC) and file, in order of the file's name. What is not known of
        one, because its file was damaged, is "unknown".
    """
    return _living(_folder(archive))


class _Claim:
    """A file of this process that says that it holds, or wants to."""

    def __init__(self, folder, what, verb):
        self.folder, self.what, self.verb, self.pid = folder, what, verb, os.getpid()
        name = f"{what}-{_here()}-{self.pid}-{system.process_started(self.pid)}"
        self.path = folder / f"{name}{f'-{uuid4().hex[:8]}' if what == 'commit' else ''}.json"
        self.made = False

    def wait(self, seconds, tell):
        """Return when this process holds; Busy if another one still does after so many seconds."""
        began, told = time.monotonic(), False
        while others := self._living() or self._claimed():
            waited = time.monotonic() - began
            if waited > max(seconds, _MOMENT):
                raise Busy(_refusal(others[0], self.verb, waited))
            if tell and waited > _MOMENT and not told:
                told = True
                tell(f"waiting for {_name(others[0])}")
            time.sleep(random.uniform(*_PAUSE))

    def give_up(self):
        """Take the file away, if it is ours."""
        if self.made and os.getpid() == self.pid:  # a fork of the holder holds nothing
            with contextlib.suppress(OSError):  # the work is done; the file counts only while this process lives
                durable.remove(self.path)
            self.made = False

    def _claimed(self):
        """Make the file, then look again: those that were in the way, if any, and then it is gone again."""
        content = {"verb": self.verb, "pid": self.pid, "host": system.host(), "user": system.user(), "since": _now()}
        try:
            durable.make_folder(self.folder)
            self.made = True
            told = b"" if self.what in _AGAINST else json.dumps(content).encode()  # held for moments, on full disks too
            durable.write_new(self.path, told, flushed=False)  # after a power cut nobody holds
        except FileExistsError:
            self.made = False
            raise Busy(f"this process is {KINDS[self.what]} already: {self.verb} must wait until that ends") from None
        except DiskFull:
            raise
        except NotWritten as error:
            raise NotWritten(f"{self.verb} needs a store that it may write to: {error}") from error
        others = self._living()
        if others:
            self.give_up()
        return others

    def _living(self):
        try:
            return _living(self.folder, _AGAINST.get(self.what, self.what), besides=self.path.name, clean=True)
        except OSError as error:
            raise NotWritten(
                f"{self.verb} needs a store that it may write to: {error.filename or self.folder} ({error.strerror}); "
                "nothing was changed"
            ) from error


def _folder(archive):
    """Where the locks of a store lie: on this machine, also of a store that is elsewhere."""
    return Path(getattr(archive, "place", archive).path) / "locks"


def _living(folder, what=None, besides=None, clean=False):
    """What is known of each holder whose process runs, or may run; `clean` removes the files of the others."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        named = _NAME.fullmatch(path.name)
        if not named or path.name == besides or what not in (None, named["what"]):
            continue
        if _gone(named):
            if clean:
                durable.remove(path)
        elif known := _known(path, named):
            found.append(known)
    return found


def _gone(named):
    """Whether a process of this machine is known not to run any more."""
    return named["host"] == _here() and system.process_started(int(named["pid"])) != named["start"]


def _known(path, named):
    """What a file tells of its holder, as far as it can be read; None if it was just taken away."""
    host = system.host() if named["host"] == _here() else "unknown"
    try:
        since = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        told = _told(path.read_bytes())
    except FileNotFoundError:
        return None
    known = {"verb": "unknown", "host": host, "user": "unknown", "since": since} | told
    return {"what": named["what"], "pid": int(named["pid"])} | known | {"file": str(path)}


def _told(text):
    """The words of a lock's file; none where it is torn or altered: that it is there is enough."""
    try:
        fields = json.loads(text)
        told = {key: " ".join(fields[key].split())[:64] for key in ("verb", "host", "user")}
        since = datetime.fromisoformat(fields["since"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}
    return told | {"since": since.isoformat(timespec="seconds").replace("+00:00", "Z")}


def _name(known):
    """A holder in a few words: import (process 123 on host, since 08:12)."""
    since = datetime.fromisoformat(known["since"]).astimezone()
    today = since.date() == datetime.now(since.tzinfo).date()
    verb = "a command" if known["verb"] == "unknown" else known["verb"]
    return f"{verb} (process {known['pid']} on {known['host']}, since {since:{'%H:%M' if today else '%Y-%m-%d %H:%M'}})"


def _refusal(known, verb, waited):
    """One sentence: who holds it, how long this process waited, what to do."""
    here = _NAME.fullmatch(Path(known["file"]).name)["host"] == _here()
    end = "wait until it ends, or end that process" if here else f"if it runs no more, remove {known['file']}"
    return (
        f"{verb} cannot begin: {_name(known)} of user {known['user']} is {KINDS.get(known['what'], known['what'])}; "
        f"waited {waited:.0f} s, nothing was changed; {end}, then repeat the command"
    )


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds")


def _here():
    """What tells this machine, and on it the container whose processes this one can see."""
    return sha256(f"{system.host()} {system.processes()}".encode()).hexdigest()[:8]
