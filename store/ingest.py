"""Bring files into the store: recognise, read, check, write; nothing is lost and all of it or none is committed.

1. Every row that was read ends up accepted, warned about (stored too) or quarantined (kept apart with its text and
   reason); the three add up to the rows read, file by file.
2. A file is taken whole or not at all: one that cannot be read, or gives no usable row, leaves nothing in the store.
3. What was imported before is skipped (`imported`). Files that overlap are merged: the row of the later file counts,
   column by column, and each value it changed is kept in `revisions`. A row equal to the stored one is accepted.
4. One commit for all files of a call. Another writer who was quicker in one of the markets makes it merge again.
5. Small files of one folder and vendor are read together, as one file of many parts; what fails then is read in halves.
   Large ones are read in pieces (`pieces`).
6. What is known and of no use here, such as quotes, is left out: an error only where that file itself was asked for.
7. Exchange rates through the dollar are read before crosses, which need them.
"""

import contextlib
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from store import decisions, pieces, raw
from store.commit import commit, under
from store.contracts import Master
from store.imported import AGAIN, HELD, NEW, REPLACED, History
from store.intake import COUNTS, FileReport, Intake
from store.naming import root_named
from store.vendors import VENDORS, plain, profile

__all__ = ["COUNTS", "FileReport", "accept", "import_paths", "import_readings"]

SMALL = 1 << 20  # a file up to this size is read together with others [bytes]
PILE = 1 << 24  # so much is read together [bytes]


def import_paths(
    archive, paths, vendor=None, root=None, progress=None, kind=None, dry_run=False, ask=None, asked_for=True
):
    """Import files and folders in one commit.

    Parameters
    ----------
    archive : Archive
    paths : list of path
        Files, or folders whose files (csv, txt, dat, parquet, dbn, zip, gz, zst) are taken.
    vendor : str, optional
        Read with this vendor's reader; without it each vendor is asked whether it recognises the file.
    root : str, optional
        Store what is read under this root (or alias) of the master, or under this name, whatever the vendor calls it.
    progress : callable(done, total, name), optional
    kind : {"margins", "fx", "rates"}, optional
        What the files hold: other tables are refused, and a plain CSV of that kind is read without a vendor.
    dry_run : bool
        Tell what would happen; the store stays as it is.
    ask : callable(name, near, file), optional
        Which root is meant by a market's name that the master does not know but that is near the root `near`; None
        keeps the name. Without it such a market is stored under its name, and told.
    asked_for : bool
        Whether somebody named these `paths`. What was found, in a folder or by a watch, may be left out on purpose;
        a file that was asked for and is not imported is an error.

    Returns
    -------
    list of FileReport
        In the order of the names. A file that cannot be read has an `error`; the others are committed.
    """
    master, head = Master.load(archive.path), archive.head()
    root, named = root and root_named(root, master), set(map(Path, paths)) if asked_for else set()
    reports = [FileReport(raw.plain(path), error=wrong or "", path=path) for path, wrong in raw.files(paths)]
    with Intake(archive, master, root, ask and _answers(ask, master), decisions.releases(archive, head)) as intake:
        pile = _Pile(intake, History(archive, head), _readers(archive, vendor, kind, intake), vendor, kind)
        for done, report in enumerate(sorted(reports, key=lambda one: plain.is_cross(one.path.name))):
            if progress:
                progress(done, len(reports), report.path.name)
            if not report.error:
                pile.add(report.path, report, report.path in named)
        pile.bring_back()
        if progress:
            progress(len(reports), len(reports), "commit")
        commit(archive, intake, _now(), pile.history, dry_run)
    return reports


def import_readings(archive, readings, file, sha256, root=None, dry_run=False):
    """Import the `Reading`s of what is no file, such as a database's table; its FileReport.

    `sha256` stands for the content: what was stored under it, the name `file`, vendor and root is skipped.
    """
    master, head, report = Master.load(archive.path), archive.head(), FileReport(file=file, sha256=sha256)
    root, history = root and root_named(root, master), History(archive, head)
    state, _ = history.state(report, None, root or "")
    if state == HELD:
        report.skip()
        return report
    report.again = state == AGAIN
    with Intake(archive, master, root, None, decisions.releases(archive, head)) as intake:
        ticket = intake.ticket(report)
        try:
            intake.take(readings, ticket)
            _usable(report)
        except raw.Unreadable as error:
            intake.void.add(ticket)
            report.error = raw.plain(error)
        commit(archive, intake, _now(), history, dry_run)
    return report


def accept(archive, readings, file, sha256):
    """Store the `Reading`s of a generator such as the sample, not of a file on disk; their FileReport.

    `sha256` stands for the content: what was stored under it before is skipped. Rows that nobody had to wait for have
    no moment from which they are known.
    """
    report, history = FileReport(file=file, sha256=sha256), History(archive, archive.head())
    if history.holds(sha256):
        report.skip()
        return report
    with Intake(archive, Master.load(archive.path)) as intake:
        intake.take(readings, intake.ticket(report))
        commit(archive, intake, None, history)
    return report


class _Pile:
    """Files that wait to be read together: loose ones of one folder that one vendor recognises."""

    def __init__(self, intake, history, readers, vendor, kind):
        self.intake, self.history, self.readers, self.forced, self.kind = intake, history, readers, vendor, kind
        self.files, self.names, self.reader, self.size = [], set(), None, 0
        self.named = set()  # files that somebody asked for
        self.replaced = []  # (path, report, contents that replaced it)
        self.contents, self.fresh = set(), set()  # of this call: sha256 of all files, names of the new ones

    def add(self, path, report, named=False):
        """Take a file to the others; these are read first where it does not go with them."""
        self.named |= {path} if named else set()
        try:
            file = self._opened(path, report)
            report.sha256 = file.sha256
            self.contents.add(file.sha256)
            if raw.plain(path.name) in self.names:
                self.read()
            reader, state, later = self._known(file, report)
        except raw.Unreadable as error:
            self._failed(path, report, error)
            return
        if state == HELD:
            report.skip()
        elif state == REPLACED:
            self.replaced.append((path, report, later))
        else:
            self.fresh |= {path.name} if state == NEW else set()
            self._put(file, report, reader, state == AGAIN)

    def bring_back(self):
        """Read what waits, and then what was replaced since it came, unless a file of this call replaces it."""
        self.read()
        for path, report, later in self.replaced:
            if later & self.contents or path.name in self.fresh:
                report.skip()
                continue
            try:
                file = self._opened(path, report)
                reader, state, _ = self._known(file, report)
            except raw.Unreadable as error:
                self._failed(path, report, error)
                continue
            if state == HELD:  # a copy of it was read just now
                report.skip()
            else:
                self._put(file, report, reader)
                self.read()

    def _opened(self, path, report):
        """The file; one to be read in pieces, if it is large and its reader can do that."""
        file = None if self.kind else pieces.opened(path)
        if file is not None:
            with contextlib.suppress(raw.Unreadable):  # then it is read whole, and the same told of it
                able = getattr(self._reader(file, report), "in_pieces", None)
                if able and able(file):
                    return file
        return raw.open_file(path)

    def _put(self, file, report, reader, again=False):
        report.again, path = again, file.path
        size = sum(len(part.data) for part in file.parts)
        large = isinstance(file, pieces.LargeFile)
        alone = large or file.packed or size > SMALL or self.kind or plain.is_cross(path.name)
        if alone or (self.files and (reader is not self.reader or self.files[0][0].path.parent != path.parent)):
            self.read()
        self.reader = reader
        self.files.append((file, report))
        self.names.add(raw.plain(path.name))
        self.size += size
        if alone or self.size > PILE:
            self.read()

    def read(self):
        """Read what waits."""
        files, self.files, self.names, self.size = self.files, [], set(), 0
        if files:
            self._read(files)

    def _known(self, file, report):
        """The reader of a file, and what is known of its content; what only a reader that was named has read is known
        without."""
        reader = wrong = None
        try:
            reader = self._reader(file, report)
        except raw.Unreadable as error:
            wrong = error
        vendor = self.forced or (reader.NAME if reader and not self.kind else None)
        state, later = self.history.state(report, vendor, self.intake.root or "", self.kind, file.packed)
        if wrong and state != HELD:
            raise wrong
        return reader, state, later

    def _reader(self, file, report):
        name = file.path.name
        if name.lower().endswith(raw.NO_DATA):
            raise raw.LeftOut(raw.plain(name), "CSI's description of a file, no prices")
        if self.forced or self.kind:
            return self.readers[0]
        for reader in self.readers:
            if reader.recognises(file):
                return reader
        if raw.is_text(name):
            raise raw.LeftOut(raw.plain(name), "a text for people to read, no prices")
        report.guess = not file.packed and file.path.suffix.lower() in (*raw.TABLES, ".gz")
        raise raw.Unreadable(f"no vendor recognises this file; its first line is {_start(file)}; "
                             f"name one with --vendor ({', '.join(r.NAME for r in self.readers)})")  # fmt: skip

    def _read(self, files):
        tickets = [self.intake.ticket(report) for _, report in files]
        try:
            self._take(files, tickets)
        except raw.Unreadable as error:
            self.intake.void.update(tickets)
            if len(files) == 1:
                [(file, report)] = files
                self._failed(file.path, report, error)
                return
            half = len(files) // 2
            self._read(files[:half])
            self._read(files[half:])

    def _failed(self, path, report, error):
        if isinstance(error, raw.LeftOut) and path not in self.named:
            report.clear()
            report.left_out = raw.plain(error.reason)
        else:
            report.error = _placed(path, str(error))

    def _take(self, files, tickets):
        places = tickets[0]
        if len(files) > 1:
            places = {p.place: ticket for ticket, (file, _) in zip(tickets, files, strict=True) for p in file.parts}
        if isinstance(files[0][0], pieces.LargeFile):
            self._take_pieces(*files[0], places)
        else:
            self.intake.take(self._readings(files), places)
        for ticket, (file, report) in zip(tickets, files, strict=True):
            if file.left_out:
                report.notes.append(f"left out, as no csv: {', '.join(file.left_out[:5])}")
            try:
                _usable(report)
                self.history.took(report, under(report), self.intake.root or "")
            except raw.Unreadable as error:
                self.intake.void.add(ticket)
                report.error = _placed(file.path, str(error))

    def _take_pieces(self, file, report, ticket):
        report.vendor = self.reader.NAME
        with self.intake.in_pieces():
            for piece in file.pieces():
                self.intake.take(self.reader.read(piece), ticket)

    def _readings(self, files):
        if self.kind:
            return self._of_kind(*files[0])
        for _, report in files:
            report.vendor = self.reader.NAME
        return self.reader.read(raw.joined([file for file, _ in files]))

    def _of_kind(self, file, report):
        """What the first reader that knows the file makes of it, if it is of the kind that is wanted."""
        tables = []
        for reader in self.readers:
            unknown = reader is self.readers[-1] and not tables
            if self.forced or unknown or reader.recognises(file):
                readings = list(reader.read(file))
                tables = sorted({reading.table for reading in readings})
                if tables == [self.kind]:
                    report.vendor = reader.NAME
                    return readings
        raise raw.Unreadable(f"{file.path.name}: holds {', '.join(tables) or 'nothing'}, not {self.kind}")


def abouts():
    """Name -> About of all that can be imported: the vendors' files, and a database."""
    from store import postgres  # it stands on this module

    return {name: vendor.ABOUT for name, vendor in VENDORS.items()} | {"postgresql": postgres.ABOUT}


def _readers(archive, vendor, kind, intake):
    own = archive.path / "vendors.toml"
    stored = lambda: intake.known("fx")  # crosses go through the dollar  # noqa: E731
    known = VENDORS | {plain.NAME: plain.OfKind(None, stored)} | (profile.load(own) if own.is_file() else {})
    if kind is not None and kind not in plain.KINDS:
        raise raw.Unreadable(f"kind {kind!r} is not known; allowed are {', '.join(plain.KINDS)}")
    if vendor is None:
        return [*known.values(), *([plain.OfKind(kind, stored)] if kind else [])]
    if vendor not in known:
        near = get_close_matches(vendor, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise raw.Unreadable(f"unknown vendor {vendor!r}: allowed are {', '.join(known)}{hint}")
    return [plain.OfKind(kind, stored) if vendor == plain.NAME else known[vendor]]


def _answers(ask, master):
    """Asks about each name of a vendor once, and takes an alias for an answer."""
    given = {}

    def answer(name, near, file):
        if name not in given:
            told = ask(name, near, file)
            given[name] = told and root_named(told, master)
        return given[name]

    return answer


def _usable(report):
    if not report.accepted + report.warned:
        raise raw.Unreadable(f"no usable row among {report.rows_read}" + (f": {report.first}" if report.first else ""))


def _start(file):
    return repr(raw.plain(file.parts[0].header(), 80))


def _placed(path, message):
    """The message, beginning with the path."""
    told, name = raw.plain(path), raw.plain(path.name)
    if message.startswith(told):
        return message
    return f"{told.removesuffix(name)}{message}" if message.startswith(name) else f"{told}: {message}"


def _now():
    return datetime.now(UTC)
