"""From rows that wait to one commit: each market is merged into the newest snapshot, with its revisions and findings.

A market's segment is written before the commit, and nobody sees it until then. When another writer was quicker, only
the markets that he changed are merged again.

Where an import leaves a market's stored rows as they are and brings later days, as each night's does, only these are
written, as one more segment. So that a market stays quick to read it is written anew, whole and in the order of its
key, when it would have more than `SEGMENTS` of them, or when all but the largest would hold more than `SMALL` of its
rows. Rows therefore come in the order of the segments, and who needs another order sorts.

Bars within the day are merged year by year (`years`): what is said of a market above then holds of each of its years,
and the checks, which look at the whole market, are given the few rows of each year that they need.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import chain, groupby
from pathlib import Path
from uuid import uuid4

import polars as pl

from store import checks, decisions, row_rules, years
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
            for report in live:
                report.import_id = work.import_id
            return
        except Conflict:
            if not left:
                raise


@dataclass(frozen=True)
class _Merged:
    """What became of rows of one market: segments, the rows where they changed, and what was restated."""

    add: list
    remove: list
    rows: pl.DataFrame | None
    restated: dict | None


class _Work:
    """The segments of one import; those of a market, or of its year, are made again only where it has changed."""

    def __init__(self, archive, intake, known, dry_run):
        self.archive, self.intake, self.known, self.dry_run = archive, intake, known, dry_run
        self.import_id = uuid4().hex[:12]
        self._made, self._thin = {}, {}

    def written(self, head, live):
        """Segments to add and to remove: each market that changes, its revisions and findings, bad rows, the log."""
        add, remove, found = [], [], {}
        for market, groups in groupby(self.intake.groups(), lambda group: group[:3]):
            table, source, name = market
            old = self.archive.files(table, head, **{"source": source, axis(table): name})
            new, gone, refusals = self._once(self._market, (market, *groups), head, old)
            add += new
            remove += gone
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

    def _once(self, make, what, head, old, *others):
        """`make(what, head, old)`, made again only where these files are others, or a file of the import is void."""
        state = make.__name__, what, tuple(segment.path for segment in (*old, *chain(*others))), len(self.intake.void)
        if state not in self._made:
            self._made[state] = make(what, head, old, *others)
        return self._made[state]

    def _write(self, table, frame, **labels):
        return None if self.dry_run else self.archive.write(table, frame, **labels)

    def _market(self, what, head, old):
        """Segments of one market to add and to remove, and the reasons not to run it (None: as they were)."""
        (table, source, name), *groups = what
        if years.by_year(table, source):
            return self._by_year(what, head, old)
        stored = self.archive.read(table, head, **{"source": source, axis(table): name})
        made = self._merged(groups[0], stored, old)
        if made.rows is None:
            return made.add, made.remove, None
        refusals = None
        if table == "contract_bars":
            refusals = checks.refusals(made.rows, self.intake.spec(name), made.restated)
        return made.add, made.remove, refusals

    def _merged(self, group, stored, old, move=()):
        """One group of rows, which `stored` in the segments `old`, and those new; `move` are segments of which other
        groups have rows too, so that those of this one have to be written whatever comes."""
        table, source, name = group[:3]
        labels = {"source": source, axis(table): name} | ({years.LABEL: group[3]} if len(group) > 3 else {})
        if len(old) + len(move) > 1:
            stored = stored.sort(TABLES[table].key)
        new = self.intake.rows(group, self.known, stored)
        if new.is_empty():
            return _Merged([], [], None, None)
        rows, revisions, restated = merged(stored, new, TABLES[table], self.import_id)
        add = [self._write("revisions", revisions, source=source, root=name)] if revisions.height else []
        if rows.equals(stored):
            return _Merged(add, [], None, None)
        own = table in GROWING and old and not move and all(segment.labels == labels for segment in old)
        later = later_rows(rows, stored) if own else None
        if later is not None and has_room(old, later.height):
            return _Merged([*add, self._write(table, later, **labels)], [], rows, restated)
        return _Merged([*add, self._write(table, rows, **labels)], old, rows, restated)

    def _by_year(self, what, head, old):
        """As `_market`, of bars within the day: year by year. Files that are of no year are parted on this occasion."""
        market, *groups = what
        whole = [segment for segment in old if years.LABEL not in segment.labels]
        held = {}
        for segment in old:
            held.setdefault(segment.labels.get(years.LABEL), []).append(segment)
        made = {group[3]: self._once(self._year, group, head, held.get(group[3], []), whole) for group in groups}
        add, gone = ([s for one in made.values() for s in getattr(one, name)] for name in ("add", "remove"))
        if all(one.rows is None for one in made.values()):
            return add, gone, None
        if whole:
            left = [year for year in years.years_of(whole) if year not in made or made[year].rows is None]
            for year in left:
                moved = self._once(self._moved, (*market, year), head, held.get(year, []), whole)
                made[year] = moved
                add, gone = add + moved.add, gone + moved.remove
            gone += whole
        thin = [one.rows for one in made.values() if one.rows is not None]
        for year, segments in held.items():
            if year is not None and (year not in made or made[year].rows is None):
                thin += [self._thinned(head, segment, self._zone(market[2])) for segment in segments]
        told = {"source": pl.lit(market[1]), "root": pl.lit(market[2])}
        bars = TABLES[market[0]].conform(pl.concat(thin).sort("contract", "time").with_columns(**told))
        restated = _together([one.restated for one in made.values() if one.restated], sum(s.rows for s in old))
        return add, gone, checks.refusals(bars, self.intake.spec(market[2]), restated)

    def _year(self, group, head, old, whole):
        """A year of a market merged; of the rows only those that the checks need."""
        made = self._merged(group, self._stored(group, head, old, whole), old, whole)
        return made if made.rows is None else replace(made, rows=years.thinned(made.rows, self._zone(group[2])))

    def _moved(self, group, head, old, whole):
        """A year, to which nothing came, out of files that are of no year."""
        table, source, name, year = group
        rows = self._stored(group, head, old, whole)
        if rows.is_empty():
            return _Merged([], [], None, None)
        rows = rows.sort(TABLES[table].key)
        labels = {"source": source, axis(table): name, years.LABEL: year}
        return _Merged([self._write(table, rows, **labels)], old, years.thinned(rows, self._zone(name)), None)

    def _stored(self, group, head, old, whole):
        """The stored rows of a year: of its own files, and of those that are of no year."""
        scan = self.archive.scan(group[0], replace(head, files=(*old, *whole)))
        return scan.filter(years.span(group[3])).collect(engine="in-memory")

    def _thinned(self, head, segment, timezone):
        """The rows of a stored file that the checks need."""
        if segment.path not in self._thin:
            rows = self.archive.scan(segment.table, replace(head, files=(segment,))).select(years.LOOKED_AT)
            self._thin[segment.path] = years.thinned(rows.collect(engine="in-memory"), timezone)
        return self._thin[segment.path]

    def _zone(self, root):
        """Time zone of a market; None where nobody knows it."""
        spec = self.intake.spec(root)
        return spec and spec.timezone

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
        """Rows that were released and came in are in quarantine no longer; a file holds rows of one or many imports."""
        if not self.intake.let_in:
            return
        ids = pl.col("id").is_in(list(self.intake.came_in())).fill_null(False)
        for segment in self.archive.files("quarantine", head):
            rows = self.archive.read("quarantine", replace(head, files=(segment,)))
            left = rows.filter(~ids)
            if left.height < rows.height:
                remove.append(segment)
                add += [self._write("quarantine", left, **segment.labels)] if left.height else []


def _together(told, of):
    """What was restated in the years of a market, of so many stored rows, as one; None where nothing was."""
    if not told:
        return None
    first = min((one["first"] for one in told), key=lambda first: (first[0], first[1] or date.min))
    return {"rows": sum(one["rows"] for one in told), "of": of, "first": first}


def later_rows(rows, stored):
    """Those of a market's rows that are of later days than all stored ones, if these are as they were; else None."""
    later = (rows["day"] > stored["day"].max()).fill_null(False)  # no day is no later one
    return rows.filter(later) if rows.filter(~later).equals(stored) else None


def has_room(old, more):
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
