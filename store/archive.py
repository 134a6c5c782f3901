"""The store: immutable Parquet files under one chain of snapshots; all tables change together or not at all.

    data/<table>/<uuid>.parquet   written once, flushed, read-only
    snapshots/<number>.json       what is live at that commit (see `manifest`)
    runs/<id>/                    results, one folder each, put there whole
    cache/                        derived; may be deleted at any time

A reader pins a snapshot and reads its files; writers never wait for it and never touch what it reads. Every file is
checked against the manifest's sha256 when a process first uses it. What no snapshot names is not part of the store.
A power cut loses nothing that was reported done, if the disk honours a flush.
"""

import contextlib
from bisect import bisect_left
from datetime import date, timedelta
from hashlib import sha256
from io import BytesIO
from uuid import uuid4

import polars as pl

from store import locks
from store.durable import DiskFull, NotWritten, StateUnknown, StoreError
from store.fetched import is_sound
from store.manifest import EMPTY, Conflict, Damaged, Manifests, NotKept, Problem, Segment, Snapshot
from store.places import place_of
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
    "NotKept",
    "NotWritten",
    "Problem",
    "Refused",
    "Segment",
    "Snapshot",
    "StateUnknown",
    "StoreError",
    "open_archive",
]


class ArchiveMissing(StoreError):
    """There is no store in that folder."""


def open_archive(path, create=False):
    """The store in the folder `path`.

    Parameters
    ----------
    path : path or str
        Or s3://bucket/prefix.
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
    place = place_of(path)
    has_data = bool(place.folders("data"))  # asked first: another process may be making the store right now
    if not place.exists():
        if has_data:
            raise Damaged(f"{place} has a folder data but none named snapshots: no store, or one that lost them")
        if not create:
            raise ArchiveMissing(f"there is no store in {place}: `frontmonth import` or `frontmonth demo` makes one")
        place.begin()
    elif place.names("backups"):
        raise Refused(f"{place} is a backup: `frontmonth restore {place} --store NEW` makes a store of it")
    place.bring_own()
    return Archive(place)


class Archive:
    """A store that is open; it holds no file open and no lock, so any number of processes may have one."""

    def __init__(self, place):
        self.place = place
        self.manifests = Manifests(place)

    def __repr__(self):
        return f"Archive({str(self.place)!r})"

    @property
    def path(self):
        """The local folder where the user's own files lie: the store itself, or the working copy of a bucket."""
        return self.place.path

    @property
    def cache(self):
        """The folder of derived files; it may be absent."""
        return self.path / "cache"

    def head(self):
        """The newest snapshot."""
        return self.manifests.head()

    def snapshot(self, number):
        """The snapshot of that number; NotKept if it was dropped."""
        return self.manifests.snapshot(number)

    def as_known(self, day):
        """The newest snapshot of that day (UTC) or before: the store as it was when the day ended.

        Raises
        ------
        Refused
            The store was made later.
        NotKept
            That snapshot was dropped; the nearest that are kept are told.
        """
        end = (date.fromisoformat(day) if isinstance(day, str) else day).isoformat() + "T24"
        numbers = range(1, self.head().number + 1)
        if not numbers:
            return EMPTY
        found = bisect_left(numbers, True, key=lambda number: self.manifests.time(number) > end)
        if not found:
            first = self.manifests.time(1)[:10]
            raise Refused(f"the store knew nothing on {day}: its first snapshot is of {first}")
        try:
            return self.snapshot(numbers[found - 1])
        except NotKept as error:
            raise NotKept(f"the store as known on {day}: {error}") from None

    def history(self):
        """All snapshots that are kept, oldest first."""
        return self.manifests.history()

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
        self.place.write_new(path, content)
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

        return self.replace(add, change, note)

    def replace(self, add, change, note):
        """Commit `change(head) -> all files of the new snapshot`, of which `add` were written for it; see `commit`.

        `change` is asked again for each head that another writer made meanwhile; it raises Conflict to give up.
        """
        with locks.committing(self):
            self._settle(add)
            return self.manifests.append(change, note)

    # ---- runs

    def run_ids(self):
        """Ids of the stored runs, sorted."""
        found = (name.removeprefix("runs/") for name in self.place.folders("runs", holding="run.json"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def run_file(self, run_id, name):
        """A file of a run as a path; FileNotFoundError if there is none."""
        if not NAME.fullmatch(run_id):
            raise Refused(f"{run_id!r} is no name of a run: letters, digits, dot, dash and underscore only")
        return self.place.local(f"runs/{run_id}/{name}")

    def stage(self):
        """A fresh folder to write a run in, to be given to `publish`."""
        return self.place.stage()

    def publish(self, staged, run_id, replace=False):
        """Make a staged folder a run, so that it is there whole or not at all; Conflict if there is one, unless it may
        be replaced."""
        if not NAME.fullmatch(run_id):
            raise Refused(f"{run_id!r} is no name of a run: letters, digits, dot, dash and underscore only")
        try:
            self.place.publish(staged, f"runs/{run_id}", replace)
        except FileExistsError:
            raise Conflict(f"{run_id} exists already; nothing was changed") from None

    def drop_run(self, run_id):
        """Take a run out of the store, at once."""
        self.run_file(run_id, "run.json")
        self.place.remove_tree(f"runs/{run_id}")

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
            self.paths(segments),
            schema=schema,
            glob=False,
            missing_columns="insert",
            extra_columns="ignore",
        )
        for label, values in wanted_labels(labels).items():
            if any(label not in segment.labels for segment in segments):
                frame = frame.filter(pl.col(label).is_in(sorted(values)))
        return frame if days is None else frame.filter(within(schema, *bounds(days, schema)))

    def bring(self, segments):
        """Have files at hand that are about to be read one by one: those of a bucket are fetched side by side."""
        self.place.bring([(segment.path, segment.sha256) for segment in segments])

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

    def sql(self, text, params=None, snapshot=None, seconds=30.0, limit=None):
        """The answer of one SELECT over the tables of a snapshot; only for looking: its sums are not repeatable.

        Parameters
        ----------
        text : str
            One SELECT of DuckDB's; tables go by their names.
        params : list or dict, optional
            For `?` or `$name` in the text.
        snapshot : Snapshot or int, optional
        seconds : float
            After which it is stopped, where DuckDB hears it: between the rows that it works on. Not while it plans (a
            text of thousands of UNIONs), nor inside one call of a function on one value (`levenshtein` of very long
            texts), nor by Ctrl-C: there only the end of the process helps. `frontmonth sql` asks in one of its own. [s]
        limit : int, optional
            Rows at most; `query.ask` tells whether there were more.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     open_archive(folder, create=True).sql("select count(*) as rows from contract_bars").item()
        0
        """
        from store import query

        return query.ask(self, text, params, snapshot, seconds, limit).frame

    # ---- keeping

    def verify(self):
        """Read every file and compare it with what was written; a list of Problem. See `verify.verify`."""
        from store.verify import examined

        return examined(self.place)[1]

    def gc(self, older_than=timedelta(hours=24), dry_run=True):
        """Drop what nothing needs; names of the files and folders. See `retention.gc`, which tells more."""
        from store import retention

        return retention.gc(self, older_than, dry_run=dry_run)["files"]

    # ---- inside

    def paths(self, segments):
        """Paths of segments whose content this process knows to be right."""
        self.bring(segments)
        return [self._checked_path(segment) for segment in segments]

    def _checked_path(self, segment):
        with self._damage_told(segment):
            path = self.place.local(segment.path, segment.sha256)
            if is_sound(path, segment.sha256):
                return str(path)
        raise Damaged(f"{segment.path} is damaged: its sha256 is not the one that was committed")

    def _settle(self, segments):
        """Make the names of new files durable, and see that they are still there."""
        for segment in segments:
            checked_labels(segment.labels)
        sizes = self.place.sizes([segment.path for segment in segments])
        for segment, size in zip(segments, sizes, strict=True):
            if size != segment.bytes:
                raise Damaged(f"{segment.path} is not as it was written; nothing was changed")
        try:
            self.place.settle([segment.path for segment in segments])
        except OSError as error:
            raise NotWritten(f"{self.place} could not be flushed ({error.strerror}); nothing was changed") from error

    @contextlib.contextmanager
    def _damage_told(self, segment):
        """A file that cannot be read is damage, unless it went with the snapshots that held it."""
        try:
            yield
        except FileNotFoundError:
            if self.manifests.let_go(segment.path):
                raise NotKept(
                    f"{segment.path} went with the snapshots that held it, which were dropped since: read the newest"
                ) from None
            raise Damaged(f"{segment.path} is missing: restore it from a backup") from None
        except OSError as error:
            raise Damaged(f"{segment.path} cannot be read ({error.strerror}): restore it from a backup") from error
