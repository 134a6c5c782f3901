"""From rows that wait to one commit: each market is merged into the newest snapshot, with its revisions and findings.

A market's segment is written before the commit, and nobody sees it until then. When another writer was quicker, only
the markets that he changed are merged again.

Where an import leaves a market's stored rows as they are and brings later days, as each night's does, only these are
written, as one more segment. So that a market stays quick to read it is written anew, whole and in the order of its
key, when it would have more than `SEGMENTS` of them, or when all but the largest would hold more than `SMALL` of its
rows. Rows therefore come in the order of the segments, and who needs another order sorts.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import polars as pl

from store import checks, decisions, row_rules
from store.archive import Conflict
from store.intake import COUNTS
from store.merge import merged
from store.naming import axis
from store.tables import TABLES

TRIES = 10  # merges when others keep committing to the same markets
GROWING = ("contract_bars", "vendor_chains", "fx", "rates")  # tables that a day is added to
SEGMENTS = 32  # of one market and source
SMALL = 0.25  # share of its rows
KEPT = (checks.RESTATED.name,)  # findings that tell of an import that was, not of the rows as they are now


def under(report):
    """What a content was imported as: file, vendor, roots."""
    return Path(report.file).name, report.vendor, ",".join(report.roots)


def commit(archive, intake, known, history, dry_run=False):
    """Merge what waits into the head and commit; when another writer was quicker, merge again into the new head.

    Parameters
    ----------
    archive : Archive
    intake : Intake
    known : datetime or None
        Since when new rows are known.
    history : History
        What was imported when the files were read: what another process imported since is skipped.
    dry_run : bool
        All but the writing.
    """
    intake.tell()
    work = _Work(archive, intake, known, dry_run)
    for left in reversed(range(TRIES)):
        head = archive.head()
        for ticket, report in intake.live():
            if history.taken_since(head, report, under(report)):
                report.skip()
                intake.void.add(ticket)
        live = [report for _, report in intake.live()]
        if not live:
            return
        add, remove = work.written(head, live)
        if dry_run:
            return
        try:
            archive.commit(add, remove, f"import {work.import_id}: {len(live)} files", base=head)
            return
        except Conflict:
            if not left:
                raise


class _Work:
    """The segments of one import; those of a market are made again only where the market has changed."""

    def __init__(self, archive, intake, known, dry_run):
        self.archive, self.intake, self.known, self.dry_run = archive, intake, known, dry_run
        self.import_id = uuid4().hex[:12]
        self._made = {}

    def written(self, head, live):
        """Segments to add and to remove: each market that changes, its revisions and findings, bad rows, the log."""
        add, remove, found = [], [], {}
        for group in self.intake.groups():
            table, source, name = group
            old = self.archive.files(table, head, **{"source": source, axis(table): name})
            state = group, tuple(segment.path for segment in old), len(self.intake.void)
            if state not in self._made:
                self._made[state] = self._market(group, head, old)
            new, replaces, refusals = self._made[state]
            add += new
            remove += old if replaces else []
            if refusals is not None:
                found.setdefault(name, []).append((source, refusals))
        for root, told in found.items():
            self._findings(head, root, told, live, add, remove)
        bad = self._quarantine(head, live)
        if bad.height:
            add.append(self._write("quarantine", bad, import_id=self.import_id))
        self._came_in(head, add, remove)
        log = _log(live, self.import_id, self.known, self.intake.root or "")
        add.append(self._write("imports", log, import_id=self.import_id))
        return add, remove

    def _write(self, table, frame, **labels):
        return None if self.dry_run else self.archive.write(table, frame, **labels)

    def _market(self, group, head, old):
        """Segments of one market, whether they replace the stored ones, `old`, and the reasons not to run it (None: as
        they were)."""
        table, source, name = group
        labels = {"source": source, axis(table): name}
        stored = self.archive.read(table, head, **labels)
        if len(old) > 1:
            stored = stored.sort(TABLES[table].key)
        new = self.intake.rows(group, self.known, stored)
        if new.is_empty():
            return [], False, None
        rows, revisions, restated = merged(stored, new, TABLES[table], self.import_id)
        add = [self._write("revisions", revisions, source=source, root=name)] if revisions.height else []
        if rows.equals(stored):
            return add, False, None
        refusals = None
        if table == "contract_bars":
            refusals = checks.refusals(rows, self.intake.spec(name), restated)
        own = table in GROWING and old and all(segment.labels == labels for segment in old)
        later = _later(rows, stored) if own else None
        if later is not None and _room(old, later.height):
            return [*add, self._write(table, later, **labels)], False, refusals
        return [*add, self._write(table, rows, **labels)], True, refusals

    def _findings(self, head, root, told, live, add, remove):
        """Replace the market's reasons not to run it, of these sources, by new ones; others stay."""
        sources = [source for source, _ in told]
        stored = self.archive.read("findings", head, root=root)
        gone = (pl.col("severity") == "refuse") & pl.col("source").is_in(sources) & ~pl.col("rule").is_in(KEPT)
        new = pl.concat([refusals for _, refusals in told])
        if new.is_empty() and not stored.height:
            return
        rows = pl.concat([stored.filter(~gone), new]).unique("id", keep="last", maintain_order=True)
        rows = decisions.settled(rows, self.archive, head)
        if rows.equals(stored):
            return
        files = [segment for segment in self.archive.files("findings", head, root=root) if "root" in segment.labels]
        labels = {"root": root} | {label: value for segment in files for label, value in segment.labels.items()}
        add.append(self._write("findings", rows, **labels))
        remove += files
        open_ = (pl.col("severity") == "refuse") & (pl.col("done") == decisions.OPEN)
        mine = rows.filter(open_ & pl.col("id").is_in(new["id"].to_list()))
        for note in [_refusal(row) for row in mine.head(1).iter_rows(named=True)]:
            for report in live:
                report.notes += [note] if root in report.roots and note not in report.notes else []

    def _quarantine(self, head, live):
        """The rows that were kept apart; of a file that came again for a released row, those not there yet."""
        bad = self.intake.refused()
        again = [report.sha256 for report in live if report.again]
        if again and bad.height:
            known = self.archive.read("quarantine", head, ["id"])["id"].drop_nulls()
            tickets = [ticket for ticket, report in self.intake.live() if report.again]
            bad = bad.filter(~(pl.col("ticket").is_in(tickets) & pl.col("id").is_in(known.to_list())))
        told = {"import_id": pl.lit(self.import_id), "severity": pl.lit(row_rules.QUARANTINE)}
        return TABLES["quarantine"].conform(bad.with_columns(**told)) if bad.height else bad

    def _came_in(self, head, add, remove):
        """Rows that were released and came in are in quarantine no longer."""
        ids = pl.col("id").is_in(list(self.intake.came_in()))
        if not self.intake.let_in:
            return
        held = self.archive.read("quarantine", head, ["id", "import_id"]).filter(ids)
        for import_id in held["import_id"].drop_nulls().unique(maintain_order=True):
            rows = self.archive.read("quarantine", head, import_id=import_id).filter(~ids)
            files = self.archive.files("quarantine", head, import_id=import_id)
            remove += [segment for segment in files if "import_id" in segment.labels]
            add += [self._write("quarantine", rows, import_id=import_id)] if rows.height else []


def _later(rows, stored):
    """Those of a market's rows that are of later days than all stored ones, if these are as they were; else None."""
    later = (rows["day"] > stored["day"].max()).fill_null(False)  # no day is no later one
    return rows.filter(later) if rows.filter(~later).equals(stored) else None


def _room(old, more):
    """Whether one more segment of so many rows leaves the market quick to read."""
    held = [segment.rows for segment in old]
    return len(held) < SEGMENTS and sum(held) - max(held) + more <= SMALL * (sum(held) + more)


def _refusal(row):
    place = " ".join(str(row[name]) for name in ("contract", "day", "field", "value") if row[name] not in (None, ""))
    return (
        f"{row['root']} is not run until somebody decides: {row['rule']} {place}: {row['reason']}; "
        f"frontmonth check --release {row['id']} --reason TEXT"
    )


def _log(reports, import_id, known, asked):
    same = ("sha256", "vendor", *COUNTS)
    rows = [
        {"import_id": import_id, "time": known or datetime.now(UTC), "file": Path(r.file).name}
        | {"roots": ",".join(r.roots), "reasons": json.dumps(r.reasons, sort_keys=True), "asked": asked}
        | {"tables": "" if r.again else ",".join(r.tables)}
        | {name: getattr(r, name) for name in same}
        for r in reports
    ]
    return TABLES["imports"].conform(pl.DataFrame(rows))
