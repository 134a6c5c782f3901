"""Files in place of others, worked out on one snapshot and committed all at once.

A new file stands in the list of files where the one stood whose place it takes: rows come in the order of the files,
and of a log that order tells what came later.
"""

import json
from dataclasses import dataclass, field, replace

import polars as pl

from store.imported import TAKEN_BACK
from store.manifest import Conflict
from store.tables import TABLES


@dataclass
class Change:
    """Files in place of others, worked out on one snapshot."""

    archive: object
    head: object
    dry_run: bool
    notes: list = field(default_factory=list)
    swapped: dict = field(default_factory=dict)  # path of a file -> those in its place
    added: list = field(default_factory=list)  # files that take no place
    rows: dict = field(default_factory=dict)  # table -> by how many rows it changes

    def swap(self, files, frames):
        """Put (rows, labels) in the place of the files of one table; of no rows no file is made."""
        table = files[0].table
        new = [segment for rows, labels in frames for segment in self._written(table, rows, labels)]
        self.swapped |= {segment.path: [] for segment in files} | {files[0].path: new}
        self.rows[table] = self.rows.get(table, 0) - sum(segment.rows for segment in files)

    def add(self, table, rows, **labels):
        """Put rows behind those of a table."""
        self.added += self._written(table, rows, labels)

    def files(self, table, **labels):
        """Files that may hold such rows."""
        return self.archive.files(table, self.head, **labels)

    def read(self, files):
        """The rows of some files of one table."""
        snapshot = replace(self.head, files=tuple(files))
        return self.archive.read(files[0].table, snapshot)

    def filter(self, table, gone, implied=None, **labels):
        """Take rows out of a table: those for which the expression `gone` holds, in files that may have the labels.

        Files that carry all labels `implied` hold no other rows and are not read.
        """
        for segment in self.files(table, **labels):
            if implied and implied.items() <= segment.labels.items():
                self.swap([segment], [])
                continue
            rows = self.read([segment])
            kept = rows.filter(~gone.fill_null(False))
            if len(kept) < len(rows):
                self.swap([segment], [(kept, segment.labels)])

    def _written(self, table, rows, labels):
        """The rows as a file; none of no rows, or where this is a rehearsal."""
        self.rows[table] = self.rows.get(table, 0) + len(rows)
        return [] if self.dry_run or rows.is_empty() else [self.archive.write(table, rows, **labels)]

    def tables(self):
        """Rows of the tables that change, before and after."""
        before = {name: sum(s.rows for s in self.head.files if s.table == name) for name in self.rows}
        changed = [name for name in TABLES if name in self.rows]
        return [{"table": n, "rows_before": before[n], "rows_after": before[n] + self.rows[n]} for n in changed]

    def commit(self, note):
        """Number of the new snapshot; Conflict if there is one already."""
        add = [*self.added, *(segment for new in self.swapped.values() for segment in new)]

        def change(newest):
            if newest.number != self.head.number:
                raise Conflict("another writer committed meanwhile; nothing was changed")
            return [*(new for old in newest.files for new in self.swapped.get(old.path, [old])), *self.added]

        return self.archive.replace(add, change, note[:200]).number


def forget(change, log, again=None):
    """Take files of the log out of it, and their quarantined rows, so that they can be imported again.

    `again` is {(import_id, file): rows} of files that stay in it and can be imported again too (`imported`).
    """
    if log.is_empty():
        return
    here = change.archive.read("imports", change.head).filter(pl.col("import_id").is_in(log["import_id"].to_list()))
    left = here.join(log, on=["import_id", "file"], how="anti")
    whole = set(here["import_id"]) - set(left["import_id"])
    files = [f"{import_id}/{file}" for import_id, file in log.select("import_id", "file").unique().iter_rows()]
    mine = pl.format("{}/{}", "import_id", pl.col("file").str.split("/").list.first()).is_in(files)
    gone, ids = pl.col("import_id").is_in(list(whole)) | mine, log["import_id"].unique().to_list()
    change.filter("quarantine", gone, import_id=ids)
    for segment in change.files("imports", import_id=[*ids, *{import_id for import_id, _ in again or ()}]):
        rows = change.read([segment])
        kept = _marked(rows.filter(~gone.fill_null(False)), again or {})
        if not kept.equals(rows):
            change.swap([segment], [(kept, segment.labels)])


def _marked(log, again):
    """A log with how many rows of some files were taken back."""
    told = [json.loads(text or "{}") for text in log["reasons"]]
    for reasons, place in zip(told, log.select("import_id", "file").iter_rows(), strict=True):
        if place in again:
            reasons[TAKEN_BACK] = reasons.get(TAKEN_BACK, 0) + again[place]
    texts = [json.dumps(one, sort_keys=True) for one in told]
    here = [place in again for place in log.select("import_id", "file").iter_rows()]
    new = pl.when(pl.Series(here, dtype=pl.Boolean)).then(pl.Series(texts, dtype=pl.String)).otherwise("reasons")
    return log.with_columns(new.alias("reasons"))
