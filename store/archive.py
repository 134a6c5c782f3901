"""The store: immutable Parquet files under one chain of snapshots; all tables change together or not at all.

    data/<table>/<uuid>.parquet   written once, flushed, read-only
    snapshots/<number>.json       what is live at that commit (see `manifest`)
    runs/<id>/                    results, one folder each, put there whole
    cache/                        derived; may be deleted at any time

A reader pins a snapshot and reads its files; writers never wait for it and never touch what it reads. Every file is
checked against the manifest's sha256 when a process first uses it. What no snapshot names is not part of the store.
A power cut loses nothing that was reported done, if the disk honours a flush.
"""

import os
import time
from bisect import bisect_left
from datetime import date, timedelta
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import polars as pl

from store import durable, kept
from store.durable import DiskFull, NotWritten, StateUnknown, StoreError
from store.manifest import EMPTY, Conflict, Damaged, Manifests, Problem, Segment, Snapshot, problem
from store.segments import (
    NAME,
    Refused,
    bounds,
    checked_labels,
    choose,
    compare_groups,
    conform,
    day_range,
    group,
    may_hold,
    overlaps,
    table_named,
    wanted_labels,
    within,
)

__all__ = [
    "EMPTY",
    "Archive",
    "ArchiveMissing",
    "Conflict",
    "Damaged",
    "DiskFull",
    "NotWritten",
    "Problem",
    "Refused",
    "Segment",
    "Snapshot",
    "StateUnknown",
    "StoreError",
    "open_archive",
]

_STAGED = ".staged-"
_checked = set()  # files whose sha256 this process has seen to be right, with size, times and inode


class ArchiveMissing(StoreError):
    """There is no store in that folder."""


def open_archive(path, create=False):
    """The store in the folder `path`.

    Parameters
    ----------
    path : path
    create : bool
        Make an empty store where there is none.

    Returns
    -------
    Archive

    Raises
    ------
    ArchiveMissing
        There is none, and none was to be made.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import date
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     rate = pl.DataFrame({"currency": ["EUR"], "day": [date(2024, 3, 1)], "rate": [1.08]})
    ...     segment = archive.write("fx", rate, source="ecb", currency="EUR")
    ...     snapshot = archive.commit([segment], note="first")
    ...     (snapshot.number, archive.read("fx", currency="EUR")["rate"].to_list(), archive.read("rates").height)
    (1, [1.08], 0)
    """
    path = Path(path).resolve()
    has_data = (path / "data").is_dir()  # asked first: another process may be making the store right now
    if not (path / "snapshots").is_dir():
        if has_data:
            raise Damaged(f"{path} has a folder data but none named snapshots: no store, or one that lost them")
        if not create:
            raise ArchiveMissing(f"there is no store in {path}: `frontmonth import` or `frontmonth demo` makes one")
        for name in ("snapshots", "data", "runs"):  # in this order: data without snapshots is damage
            durable.make_folder(path / name)
    return Archive(path)


class Archive:
    """A store that is open; it holds no file open and no lock, so any number of processes may have one."""

    def __init__(self, path):
        self.path = Path(path)
        self._manifests = Manifests(path)

    def __repr__(self):
        return f"Archive({str(self.path)!r})"

    @property
    def runs(self):
        """The folder of results."""
        return self.path / "runs"

    @property
    def cache(self):
        """The folder of derived files; it may be absent."""
        return self.path / "cache"

    def head(self):
        """The newest snapshot."""
        return self._manifests.head()

    def snapshot(self, number):
        """The snapshot of that number."""
        return self._manifests.snapshot(number)

    def as_known(self, day):
        """The newest snapshot of that day (UTC) or before: the store as it was when the day ended.

        Raises
        ------
        Refused
            The store was made later.
        """
        end = (date.fromisoformat(day) if isinstance(day, str) else day).isoformat() + "T24"
        numbers = range(1, self.head().number + 1)
        if not numbers:
            return EMPTY
        found = bisect_left(numbers, True, key=lambda number: self.snapshot(number).time > end)
        if not found:
            raise Refused(f"the store knew nothing on {day}: its first snapshot is of {self.snapshot(1).time[:10]}")
        return self.snapshot(numbers[found - 1])

    def history(self):
        """All snapshots, oldest first."""
        return self._manifests.history()

    # ---- writing

    def write(self, table, frame, **labels):
        """Write rows as a file that is flushed but not yet visible.

        Parameters
        ----------
        table : str
        frame : DataFrame
            With columns of the table; those that it lacks are null, or the label's value where one is given.
        **labels : str
            What holds for all rows, such as `source` and `root`: files are found by it.

        Returns
        -------
        Segment
            To be given to `commit`; without one the file stays unseen until `gc` takes it.
        """
        frame = conform(table_named(table), frame, checked_labels(labels))
        buffer = BytesIO()
        frame.write_parquet(buffer, compression="zstd", statistics=True)
        content = buffer.getvalue()
        path = f"data/{table}/{uuid4().hex}.parquet"
        durable.make_folder((self.path / path).parent)
        durable.write_new(self.path / path, content)
        first, last = day_range(frame)
        return Segment(path, table, frame.height, len(content), sha256(content).hexdigest(), first, last, labels)

    def commit(self, add, remove=(), note="", base=None):
        """Make files visible and others not, all at once; durable when this returns.

        Parameters
        ----------
        add : list of Segment
        remove : list of Segment or str
            Segments, or their paths.
        note : str
        base : Snapshot, optional
            What the change was worked out on: refused if since then any file changed in a group (same table and
            labels) that this change touches. Without it, only the files to be removed must still be live.

        Returns
        -------
        Snapshot

        Raises
        ------
        Conflict
            Another writer was first; nothing was changed.
        StateUnknown
            The snapshot is visible but the disk did not confirm it.
        """
        add, gone = list(add), {getattr(segment, "path", segment) for segment in remove}
        if not add and not gone:
            return self.head()
        self._settle(add)
        new = {segment.path for segment in add}
        if len(new) < len(add):
            raise Refused("a file is to be added twice")

        def change(head):
            live = {segment.path: segment for segment in head.files}
            if not gone <= live.keys():
                raise Conflict(f"{min(gone - live.keys())} was already replaced by another writer; nothing was changed")
            if twice := live.keys() & new:
                raise Refused(f"{min(twice)} is in the store already")
            if base is not None:
                compare_groups({group(s) for s in (*add, *(live[path] for path in gone))}, base, head)
            return [segment for segment in head.files if segment.path not in gone] + add

        return self._manifests.append(change, note)

    def stage(self):
        """A fresh folder to write a result in, to be given to `publish`."""
        durable.make_folder(self.runs)
        folder = self.runs / f"{_STAGED}{uuid4().hex}"
        folder.mkdir()
        return folder

    def publish(self, staged, target):
        """Flush a folder and rename it to `target`, inside the store, so that it is there whole or not at all."""
        target = Path(target)
        if not target.resolve().is_relative_to(self.path.resolve()) or not NAME.fullmatch(target.name):
            raise Refused(f"{target} is no name inside the store: letters, digits, dot, dash and underscore only")
        try:
            durable.move_folder(staged, target)
        except FileExistsError:
            raise Conflict(f"{target.name} exists already; nothing was changed") from None
        return target

    # ---- reading

    def pin(self, snapshot=None):
        """A snapshot, that of a number, or the newest: what a reader that reads more than once holds on to."""
        if snapshot is None:
            return self.head()
        return snapshot if isinstance(snapshot, Snapshot) else self.snapshot(snapshot)

    def files(self, table, snapshot=None, days=None, **labels):
        """The files that may hold such rows, in order of their commits.

        Parameters
        ----------
        table : str
        snapshot : Snapshot or int, optional
            Pins the version; else the newest.
        days : (date, date), optional
            First and last day wanted, each may be None.
        **labels : str or list of str
            Equal to, or any of.

        Returns
        -------
        list of Segment
        """
        wanted, columns = wanted_labels(labels), table_named(table).schema
        first, last = bounds(days, columns)
        return [
            segment
            for segment in self.pin(snapshot).files
            if segment.table == table
            and all(may_hold(segment, columns, label, values) for label, values in wanted.items())
            and (days is None or overlaps(segment, first, last))
        ]

    def scan(self, table, snapshot=None, days=None, **labels):
        """The rows as a LazyFrame with the table's columns; parameters as of `files`, here they pick rows.

        Collect it with the in-memory engine: sums of the streaming engine differ from run to run.
        """
        segments = self.files(table, snapshot, days, **labels)
        schema = table_named(table).schema
        if not segments:
            return table_named(table).empty().lazy()
        frame = pl.scan_parquet(
            [self._checked_path(segment) for segment in segments],
            schema=schema,
            glob=False,
            missing_columns="insert",
            extra_columns="ignore",
        )
        for label, values in wanted_labels(labels).items():
            if any(label not in segment.labels for segment in segments):
                frame = frame.filter(pl.col(label).is_in(sorted(values)))
        return frame if days is None else frame.filter(within(schema, *bounds(days, schema)))

    def read(self, table, snapshot=None, columns=None, days=None, **labels):
        """The rows as a DataFrame, in order of their commits; no rows where nothing is stored."""
        frame = self.scan(table, snapshot, days, **labels)
        if columns is not None:
            for name in columns:
                choose(name, table_named(table).schema, f"column of {table}")
            frame = frame.select(columns)
        return frame.collect(engine="in-memory")

    # ---- doors for a notebook: store/doors.py has their parameters, errors and examples

    def bars(self, root, contract=None, days=None, source=None, snapshot=None):
        """The stored rows of a market's contracts: `archive.bars("ES", "2020H")`; see `doors.bars`."""
        from store import doors

        return doors.bars(self, root, contract, days, source, self.pin(snapshot))

    def chain(self, root, day, **words):
        """The contracts of a market at the close of a day: `archive.chain("ES", "2020-02-03")`; see `doors.chain`."""
        from store import doors

        return doors.chain(self, root, day, **words | {"snapshot": self.pin(words.get("snapshot"))})

    def continuous(self, names, adjust="difference", rule=None, start=None, end=None, snapshot=None):
        """The continuous table of one name or several: `archive.continuous("ES.v.0")`; see `doors.continuous`."""
        from store import doors

        return doors.continuous(self, names, adjust, rule, start, end, self.pin(snapshot))

    def sql(self, text, params=None, snapshot=None):
        """The answer of one SELECT over the tables of a snapshot; only for looking: its sums are not repeatable.

        Parameters
        ----------
        text : str
            One SELECT of DuckDB's; tables go by their names.
        params : list or dict, optional
            For `?` or `$name` in the text.
        snapshot : Snapshot or int, optional

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     open_archive(folder, create=True).sql("select count(*) as rows from contract_bars").item()
        0
        """
        from store.query import named, select

        files, tables = self.pin(snapshot).files, named(text)
        paths = [(table, [self._checked_path(s) for s in files if s.table == table.name]) for table in tables]
        return select(text, params, paths, self.cache)

    # ---- keeping

    def verify(self):
        """Read every file of every snapshot and compare it with what was written; a list of Problem."""
        snapshots, problems = self._manifests.walk()
        for segment in {segment.path: segment for snapshot in snapshots for segment in snapshot.files}.values():
            try:
                _check(self.path / segment.path, segment)
            except Damaged as error:
                problems.append(problem(error))
        return problems

    def gc(self, older_than=timedelta(hours=24), dry_run=True):
        """Remove what no snapshot names and no series of the cache, if it is old enough not to be some writer's work.

        Parameters
        ----------
        older_than : timedelta
        dry_run : bool
            Only tell.

        Returns
        -------
        list of str
            The files and folders, as paths inside the store.
        """
        found = [*(self.path / "data").glob("*/*.parquet"), *(self.path / "snapshots").glob(f"{durable.TEMPORARY}*")]
        found += [*self.runs.glob(f"{_STAGED}*"), *kept.loose(self.cache)]
        limit = time.time() - older_than.total_seconds()
        old = [path for path in found if _changed(path) < limit]
        snapshots, problems = self._manifests.walk()  # after the listing: what was committed in between is named here
        if problems:
            raise Damaged(f"{problems[0]}; nothing is removed from a damaged store")
        named = {segment.path for snapshot in snapshots for segment in snapshot.files}
        loose = sorted(name for name in (path.relative_to(self.path).as_posix() for path in old) if name not in named)
        if not dry_run:
            for name in loose:
                durable.remove_tree(self.path / name)
        return loose

    # ---- inside

    def _checked_path(self, segment):
        """Path of a segment whose content this process knows to be right."""
        path = self.path / segment.path
        try:
            facts = os.stat(path)
        except OSError:
            raise Damaged(f"{segment.path} is missing: restore it from a backup") from None
        key = (str(path), segment.sha256, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
        if key not in _checked:
            _check(path, segment)
            _checked.add(key)
        return str(path)

    def _settle(self, segments):
        """Make the names of new files durable, and see that they are still there."""
        for segment in segments:
            checked_labels(segment.labels)
            path = self.path / segment.path
            if not path.exists() or path.stat().st_size != segment.bytes:
                raise Damaged(f"{segment.path} is not as it was written; nothing was changed")
        try:
            folders = {(self.path / segment.path).parent for segment in segments}
            for folder in sorted(folders | {folder.parent for folder in folders}):
                durable.sync_folder(folder)
        except OSError as error:
            raise NotWritten(f"{self.path} could not be flushed ({error.strerror}); nothing was changed") from error


def _changed(path):
    """When a file was last changed; now, if it has just gone. [s since 1970]"""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _check(path, segment):
    """Damaged unless the file is what the manifest says."""
    try:
        with open(path, "rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise Damaged(f"{segment.path} is missing: restore it from a backup") from None
    except OSError as error:
        raise Damaged(f"{segment.path} cannot be read ({error.strerror}): restore it from a backup") from error
    if found != segment.sha256:
        raise Damaged(f"{segment.path} is damaged: its sha256 is not the one that was committed")
