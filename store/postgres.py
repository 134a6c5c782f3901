"""PostgreSQL: tables of a database as readings, judged like any vendor's file; and the way back, `export`.

1. A table is read in one transaction, as of one moment; one that was imported before is skipped unread, by a hash that
   the server makes of its content.
2. Tables of ours come back as they were: sources, names and prices as exported, but for `known`, which is the moment
   at which a row came into this store. `continuous` is made from bars and is not taken back.
3. Findings are no prices: they replace stored ones of the same id, and are not counted as an import.
"""

from contextlib import closing

import polars as pl

from store import ingest, postgres_rows, raw
from store.postgres_export import export
from store.postgres_link import DatabaseError, connected, find
from store.postgres_map import exported, plan
from store.reading import About

__all__ = ["ABOUT", "VENDOR", "DatabaseError", "export", "import_table", "read", "readings"]

ABOUT = About(
    title="A PostgreSQL database",
    files="tables and views: frontmonth import postgresql://me@localhost/futures --table bars --map root=symbol,...",
    gives="whatever columns the map names; tables of frontmonth export come back equal",
    export="frontmonth export --to postgresql://me@localhost/futures writes keyed, typed tables",
    lacks="a password in the address is refused: PGPASSWORD or ~/.pgpass",
)
VENDOR = "postgres"  # source of the rows of a table that is not ours and has no column of sources


def import_table(archive, url, table, mapping=None, root=None, dry_run=False, progress=None, vendor=VENDOR):
    """Import a table or view of a PostgreSQL database in one commit.

    Parameters
    ----------
    archive : Archive
    url : str
        `postgresql://USER@HOST/DATABASE`, without a password.
    table : str
        Its name; `schema.name` where it is not found by its name alone.
    mapping : dict, optional
        {our column: the table's}, see `postgres_map`; tables that `export` made need none.
    root : str, optional
        The market of all rows.
    dry_run : bool
        Tell what would happen, store nothing.
    progress : callable(done, total, name), optional
        Rows read, rows of the table, its name.
    vendor : str
        Source of the rows, and whose names of markets they have, if no column `source` tells it.

    Returns
    -------
    list of FileReport
        One, its `file` being the table.

    Raises
    ------
    DatabaseError
        No connection, table, permission or usable map; nothing was imported.
    Unreadable
        The rows belong to several markets and `root` names one, or a market has no usable name.
    """
    with connected(url, reads=True) as connection:
        found = find(connection, table)
        how = plan(found, mapping, root)
        if how.table == "continuous":
            raise DatabaseError(f"{found}: a continuous series is made from contract_bars: import that table")
        rows, sha256 = postgres_rows.fingerprint(connection, found, how, vendor, root)
        if not rows:
            raise DatabaseError(f"{found}: the table has no row to import")
        if how.table == "findings":
            return [_findings(archive, connection, found, how, dry_run)]
        within = postgres_rows.within_day(connection, found, how)
        tell = progress and (lambda done: progress(done, rows, str(found)))
        parsed = postgres_rows.readings(connection, found, how, vendor, root, within, tell)
        with closing(parsed):
            report = ingest.import_readings(archive, parsed, str(found), sha256, root, dry_run)
        if report.error and not report.error.startswith(str(found)):
            report.error = f"{found}: {report.error}"
        if not how.ours and how.table == "contract_bars" and not report.skipped:
            report.notes.append(_told(found, how, within))
        return [report]


def _told(found, how, within):
    """How the moments of somebody else's table were taken."""
    if within:
        return (
            f"{found}: bars within the day, as a contract has several on one; {how.columns['time']} is their end, UTC"
        )
    day = how.columns.get("day") or how.columns["time"]
    return f"{found}: daily bars, as a contract has one a day; {day} is the trade date"


def readings(url, table, mapping=None, root=None, vendor=VENDOR):
    """The rows of a table as `Reading`s and the hash of its content; parameters as of `import_table`."""
    with connected(url, reads=True) as connection:
        found = find(connection, table)
        how = plan(found, mapping, root)
        within = postgres_rows.within_day(connection, found, how)
        _, sha256 = postgres_rows.fingerprint(connection, found, how, vendor, root)
        return list(postgres_rows.readings(connection, found, how, vendor, root, within)), sha256


def read(url, table, columns=None):
    """A table as a frame, as it is.

    Parameters
    ----------
    url, table : str
    columns : list of str, optional
        All, if not given.

    Returns
    -------
    DataFrame
        A table of ours with the types of the store, in the order of its key; of any other dates, numbers and truths
        with their types, all else as text.
    """
    with connected(url, reads=True) as connection:
        found = find(connection, table)
        for column in columns or ():
            if column not in found.columns:
                told = raw.plain(f"{column!r}; it has {', '.join(found.columns)}", 300)
                raise DatabaseError(f"{found} has no column {told}")
        return postgres_rows.whole(connection, found, list(columns or found.columns), exported(found))


def _findings(archive, connection, found, how, dry_run):
    """Put findings that were exported beside the stored ones, in place of those of the same id."""
    new = postgres_rows.whole(connection, found, list(how.columns), "findings", how)
    report = ingest.FileReport(
        str(found), roots=sorted(new["root"].unique()), rows_read=new.height, accepted=new.height
    )
    head, add, remove = archive.head(), [], []
    for root in report.roots:
        stored, rows = archive.read("findings", head, root=root), new.filter(pl.col("root") == root)
        kept = stored.filter(~pl.col("id").is_in(rows["id"].to_list()))
        merged = pl.concat([kept, rows]).sort("rule", "day", "contract", "id")
        if not merged.equals(stored):
            add.append(archive.write("findings", merged, root=root))
            remove += archive.files("findings", head, root=root)
    report.skipped = not add
    if report.skipped:
        report.skip()
    if not dry_run:
        archive.commit(add, remove, f"findings of {len(add)} markets from {found}", base=head)
    return report
