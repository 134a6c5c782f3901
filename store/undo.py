"""The store as it was: a new snapshot with the files of an old one, all tables at once.

Nothing is lost by it: what was the newest stays a snapshot, and to undo an undo is to name that one. Runs and tags
stay. The old snapshot is held while this goes on (`tags.hold`), so that none of its files is removed meanwhile.
"""

from store import tags
from store.manifest import Conflict
from store.naming import axis
from store.sealed import Damaged
from store.segments import Refused
from store.tables import TABLES


def undo(archive, number, note=None, dry_run=False):
    """Make the store equal to an old snapshot, in one commit.

    Parameters
    ----------
    archive : Archive
    number : int or str
        What `tags.number_of` takes: 12, a tag, head~1, a day. 0 is the empty store.
    note : str, optional
        Of the new snapshot; else `undo: as snapshot 12`.
    dry_run : bool
        Only tell.

    Returns
    -------
    dict
        `snapshot` (number of the new one; None if only told), `equal_to`, `tables` that change: table, rows_before,
        rows_after, and the markets (of `fx` and `rates` the currencies) that `appear` and `vanish`; `dry_run`.

    Raises
    ------
    Refused
        The store is as that snapshot already.
    NotKept, Damaged
        That snapshot was dropped, or a file of it is missing.
    Conflict
        Another writer committed meanwhile; nothing was changed.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     for rate in (1.08, 1.09):
    ...         segment = archive.write("fx", pl.DataFrame({"rate": [rate]}), source="ecb", currency="EUR")
    ...         snapshot = archive.commit([segment])
    ...     done = undo(archive, 1)
    ...     (done["snapshot"], done["tables"][0]["rows_after"], archive.read("fx")["rate"].to_list())
    (3, 1, [1.08])
    """
    head, number = archive.head(), tags.number_of(archive, number)
    with tags.hold(archive, [] if dry_run else [number], "undo"):
        old = archive.snapshot(number)
        if old.files == head.files:
            raise Refused(f"the store is as snapshot {number} already: nothing was changed")
        _see(archive, old)
        told = {"snapshot": None, "equal_to": number, "tables": _changes(head, old), "dry_run": dry_run}
        if dry_run:
            return told

        def change(newest):
            if newest != head:
                raise Conflict("another writer committed meanwhile; nothing was changed, look and repeat the command")
            return old.files

        note = " ".join(str(note or f"undo: as snapshot {number}").split())
        return told | {"snapshot": archive.replace([], change, note).number}


def _see(archive, old):
    """Damaged unless every file of a snapshot is there, as large as it was."""
    for segment, size in zip(old.files, archive.place.sizes(s.path for s in old.files), strict=True):
        if size is None:
            raise Damaged(f"{segment.path} is missing: restore it from a backup; nothing was changed")
        if size != segment.bytes:
            raise Damaged(f"{segment.path} is damaged: it has not the size that was committed; nothing was changed")


def _changes(head, old):
    """What changes in each table that does."""
    found = []
    for table in TABLES:
        now, then = ([s for s in snapshot.files if s.table == table] for snapshot in (head, old))
        if now != then:
            here, there = _named(table, now), _named(table, then)
            rows = {"rows_before": sum(s.rows for s in now), "rows_after": sum(s.rows for s in then)}
            found.append({"table": table} | rows | {"appear": sorted(there - here), "vanish": sorted(here - there)})
    return found


def _named(table, files):
    """Markets or currencies of the files that tell theirs."""
    label = axis(table) if {"root", "currency"} & TABLES[table].columns.keys() else None
    return {segment.labels[label] for segment in files if label in segment.labels}
