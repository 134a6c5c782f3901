"""Rows taken out of the store: those of a market, or what one import did; in one commit each.

1. `drop_root` takes all rows of a market, and the log of the files that brought them, so that these can be imported
   again. A file that held other markets too is read again as a whole then; its quarantined rows go with its log.
2. `drop_import` compares the snapshots just before the import, just after it, and the newest (`revert`). Where one of
   the former was dropped, the nearest that are kept stand in for it, which is told: what other imports between them did
   is kept apart as far as the moments from which rows are known, and `revisions`, tell.
3. Decisions stay in the log, runs and tags stay, and old snapshots keep the rows: `undo` brings them back.
"""

import polars as pl

from store import decisions, years
from store.change import Change, forget
from store.commit import TRIES
from store.manifest import Conflict
from store.naming import vendor_of
from store.segments import choose
from store.tables import TABLES
from store.takeback import without_import


def drop_root(archive, root, source=None, dry_run=False):
    """Take all rows of a market out of the store.

    Parameters
    ----------
    archive : Archive
    root : str
    source : str, optional
        Only its rows.
    dry_run : bool
        Only tell.

    Returns
    -------
    dict
        `snapshot` (number of the new one; None if only told), `dropped` ({"root", "source"}), `tables` that change
        (table, rows_before, rows_after), `dry_run`, `notes` (sentences).

    Raises
    ------
    Refused
        No such market is stored, or none of that source; the nearest name is told.
    Conflict
        Others kept writing; nothing was changed.

    Examples
    --------
    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive = open_archive(folder, create=True)
    ...     day = pl.DataFrame({"source": ["mine"], "root": ["ES"], "contract": [202406], "settle": [5000.0]})
    ...     snapshot = archive.commit([archive.write("contract_bars", day, source="mine", root="ES")])
    ...     done = drop_root(archive, "ES")
    ...     (done["tables"], archive.read("contract_bars").height)
    ([{'table': 'contract_bars', 'rows_before': 1, 'rows_after': 0}], 0)
    """
    told = {"root": root, "source": source}
    return _tried(
        archive, told, f"drop {root}{f' of {source}' if source else ''}", dry_run, _without_root, root, source
    )


def drop_import(archive, import_id, dry_run=False):
    """Take back what one import did: rows that it brought go, values that it changed are as they were before.

    What a later import changed again stays; the log of the import and its quarantined rows go, so that its files can be
    imported again.

    Parameters
    ----------
    archive : Archive
    import_id : str
        Of the table `imports`.
    dry_run : bool
        Only tell.

    Returns
    -------
    dict
        As `drop_root` returns it; `dropped` is {"import", "time", "files"}.

    Raises
    ------
    Refused
        No such import; the nearest id is told.
    Conflict
        Others kept writing; nothing was changed.
    """
    log = archive.read("imports")
    choose(import_id, log["import_id"].unique().to_list(), "import")
    mine = log.filter(pl.col("import_id") == import_id)
    told = {
        "import": import_id,
        "time": mine["time"].min().isoformat(timespec="seconds"),
        "files": mine["file"].to_list(),
    }
    return _tried(archive, told, f"drop import {import_id}", dry_run, without_import, import_id)


def _tried(archive, told, note, dry_run, work, *words):
    """Work out a change and commit it; anew when another writer was quicker."""
    for left in reversed(range(TRIES)):
        change = Change(archive, archive.head(), dry_run)
        work(change, *words)
        try:
            number = None if dry_run else change.commit(note)
        except Conflict:
            if not left:
                raise
            continue
        return {
            "snapshot": number,
            "dropped": told,
            "tables": change.tables(),
            "dry_run": dry_run,
            "notes": change.notes,
        }


# ---- a market


def _without_root(change, root, source):
    archive, head = change.archive, change.head
    stored = {s.labels["root"] for s in head.files if "root" in s.labels}
    choose(root, stored, "stored market")
    held = {s.labels["source"] for s in head.files if s.labels.get("root") == root and "source" in s.labels}
    if source is not None:
        choose(source, held, f"source of {root}")
    mine, labels = pl.col("root") == root, {"root": root}
    if source is not None:
        mine, labels = mine & (pl.col("source") == source), labels | {"source": source}
    for table in (name for name in TABLES if {"root", "source"} <= TABLES[name].columns.keys() and name != "decisions"):
        change.filter(table, mine, labels, root=root)
    log = archive.read("imports", head).filter(pl.col("roots").str.split(",").list.contains(root))
    if source is not None:
        log = log.filter(pl.col("vendor").map_elements(vendor_of, pl.String) == vendor_of(source))
    forget(change, log)
    others = sorted(set(",".join(log["roots"]).split(",")) - {root, ""})
    if others:
        change.notes.append(
            f"files that held {', '.join(others[:5])}{' and others' if len(others) > 5 else ''} too can be imported "
            "again as a whole, and with them the rows that were quarantined"
        )
    made = [one for one in sorted(held) if source and years.made_from(one) == source]
    change.notes += [f"{root} of {one}, made of {source}, stays: drop it too, or aggregate again" for one in made]
    decided = decisions.in_force(archive, head).filter(pl.col("root") == root)
    if len(decided):
        change.notes.append(f"{len(decided)} decisions about {root} stay in force: `frontmonth check --log` lists them")
