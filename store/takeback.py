"""What one import did to the whole store, taken back: its rows, revisions, findings, quarantined rows and its log."""

from dataclasses import replace

import polars as pl

from store import checks, decisions, retention, years
from store.change import forget
from store.commit import KEPT
from store.contracts import Master
from store.manifest import EMPTY
from store.naming import axis
from store.revert import apart, reverted
from store.segments import Refused
from store.series_rules import RESTATED
from store.tables import TABLES

_OTHERS = ("findings", "decisions", "revisions")
_ROWS = {name for name, table in TABLES.items() if {"root", "currency"} & table.columns.keys() and name not in _OTHERS}
LISTED = 3  # imports in one sentence


def without_import(change, import_id):
    """Take back what an import did; see `drop.drop_import`."""
    log = change.archive.read("imports", change.head)
    mine = log.filter(pl.col("import_id") == import_id)
    if mine.is_empty():
        raise Refused(f"import {import_id} was dropped by another process meanwhile")
    work = _TakeBack(change, log, import_id)
    for market in work.markets():
        work.take_back(market)
    work.revise()
    work.find()
    forget(change, mine)
    work.quarantine()
    work.tell(mine)


class _TakeBack:
    """One import that is taken back, market by market."""

    def __init__(self, change, log, import_id):
        self.change, self.archive, self.head = change, change.archive, change.head
        self.import_id, self.log = import_id, log
        self.before, self.after, self.exact = _around(self.archive, import_id, change.notes)
        last = log.with_row_index().filter(pl.col("import_id") == import_id)["index"].max()
        self.later = set(log["import_id"][last + 1 :]) - {import_id}
        self.moment = log.filter(pl.col("import_id") == import_id)["time"].max()
        before = self.archive.read("imports", self.before).filter(
            ~pl.col("import_id").is_in(log["import_id"].to_list())
        )
        self.gone = before["time"].unique().to_list()  # moments of imports that were dropped since
        self.revisions = self.archive.read("revisions", self.head).with_row_index("place")
        self.new = {}  # place of a revision -> its old value now, None where it goes
        self.again, self.bars = 0, {}  # values changed again; (root, source) -> bars as they are now

    def markets(self):
        """(table, source, market) of all rows that the import may have brought or changed."""
        then = {segment.path for segment in self.before.files}
        new = [s for s in self.after.files if s.path not in then and s.table in _ROWS]
        return sorted({(s.table, s.labels["source"], s.labels[axis(s.table)]) for s in new if "source" in s.labels
                       and axis(s.table) in s.labels})  # fmt: skip

    def take_back(self, market):
        """Take back what it did to the rows of a market."""
        table, source, name = market
        labels = {"source": source, axis(table): name}
        files = self.change.files(table, **labels)
        if not files:
            return
        by_year = years.by_year(table, source)
        if by_year and all(
            labels.items() | {(years.LABEL, s.labels.get(years.LABEL))} <= s.labels.items() for s in files
        ):
            self._by_year(market, files, labels)
            return
        now = self._rows(self.head, market)
        rows = self._without(market, now, *(self._rows(one, market) for one in (self.after, self.before)))
        if rows.equals(now):
            return
        parts = years.parted(rows) if by_year else {None: rows}
        frames = [(part, labels | ({} if year is None else {years.LABEL: year})) for year, part in parts.items()]
        for segment in files:
            if not labels.items() <= segment.labels.items():  # rows of other markets in it stay
                own = pl.all_horizontal(pl.col(name) == value for name, value in labels.items())
                frames.append((self.change.read([segment]).filter(~own), segment.labels))
        self.change.swap(files, frames)
        if table == "contract_bars":
            self.bars[name, source] = rows

    def _by_year(self, market, files, labels):
        held, parts, changed = {}, [], False
        for segment in files:
            held.setdefault(segment.labels[years.LABEL], []).append(segment)
        for year, own in held.items():
            now = self._rows(self.head, market, year)
            rows = self._without(market, now, *(self._rows(one, market, year) for one in (self.after, self.before)))
            parts.append(years.thinned(rows.sort("contract", "time")))
            if not rows.equals(now):
                self.change.swap(own, [(rows, labels | {years.LABEL: year})])
                changed = True
        if changed:
            told = {"source": pl.lit(market[1]), "root": pl.lit(market[2])}
            bars = pl.concat(parts).sort("contract", "time").with_columns(**told)
            self.bars[market[2], market[1]] = TABLES[market[0]].conform(bars)

    def _rows(self, snapshot, market, year=None):
        """A market's rows in a snapshot, of one year or all."""
        table, source, name = market
        scan = self.archive.scan(table, snapshot, **{"source": source, axis(table): name})
        if year is not None:
            files = tuple(s for s in snapshot.files if s.labels.get(years.LABEL, year) == year)
            scan = self.archive.scan(table, replace(snapshot, files=files), **{"source": source, axis(table): name})
            scan = scan.filter(years.span(year))
        return scan.collect(engine="in-memory")

    def _without(self, market, now, after, before):
        """The rows of a market without the import; what becomes of later revisions is remembered."""
        table, source, name = market
        about = (pl.col("of_table") == table) & (pl.col("source") == source) & (pl.col("root") == name)
        about = self.revisions.filter(about)
        own = pl.col("import_id") == self.import_id
        mine, others, gone = about.filter(own), about.filter(~own), self.gone
        if not self.exact:
            after, before = apart(now, after, before, TABLES[table], self.moment, mine, others)
            gone = ()
        later = about.filter(pl.col("import_id").is_in(list(self.later)))
        rows, revised, again = reverted(now, after, before, TABLES[table], mine, later, gone)
        self.again += again
        left = dict(revised.select("place", "old").iter_rows())
        for place, old in later.select("place", "old").iter_rows():
            if left.get(place) != old:
                self.new[place] = left.get(place)
        return rows

    def revise(self):
        """Take the import's revisions out, and put those of later imports right."""
        start = 0
        for segment in self.change.files("revisions"):
            rows = self.revisions[start : start + segment.rows]
            start += segment.rows
            old = [self.new.get(place, was) for place, was in rows.select("place", "old").iter_rows()]
            goes = [place in self.new and self.new[place] is None for place in rows["place"]]
            kept = rows.with_columns(pl.Series("old", old, pl.Float64)).filter(
                ~pl.Series(goes, dtype=pl.Boolean) & (pl.col("import_id") != self.import_id).fill_null(True)
            )
            if not kept.equals(rows):
                self.change.swap([segment], [(kept.drop("place"), segment.labels)])

    def find(self):
        """Make the reasons not to run the markets anew, as an import does; those that told of this import go."""
        master, restated = Master.load(self.archive.path), self._restated()
        for root in sorted({root for root, _ in self.bars} | set(restated["root"])):
            bars = {source: rows for (of, source), rows in self.bars.items() if of == root}
            spec = master.spec(root) if root in master.roots else None
            stored = self.archive.read("findings", self.head, root=root)
            made = (pl.col("severity") == "refuse") & pl.col("source").is_in(list(bars)) & ~pl.col("rule").is_in(KEPT)
            empty = pl.col("source").is_in([source for source, rows in bars.items() if rows.is_empty()])
            gone = made | empty | pl.col("id").is_in(restated["id"].to_list())
            found = [checks.refusals(rows.sort("contract", "time"), spec) for rows in bars.values()]
            rows = pl.concat([stored.filter(~gone), *found]).unique("id", keep="last", maintain_order=True)
            rows = decisions.settled(rows, self.archive, self.head)
            if not rows.equals(stored):
                self._put_findings(root, rows)

    def _restated(self):
        """Findings that told how much the import restated."""
        told = [self.archive.read("findings", one) for one in (self.after, self.before)]
        told = [rows.filter(pl.col("rule") == RESTATED.name) for rows in told]
        return told[0].join(told[1], on="id", how="anti") if self.exact else told[0].clear()

    def _put_findings(self, root, rows):
        files = [segment for segment in self.change.files("findings", root=root) if "root" in segment.labels]
        labels = {"root": root} | {label: value for segment in files for label, value in segment.labels.items()}
        if files:
            self.change.swap(files, [(rows, labels)])
        else:
            self.change.add("findings", rows, **labels)

    def quarantine(self):
        """Rows that were released, and that this import let in, are in quarantine again."""
        if not self.exact:
            return
        then, since, now = (self.archive.read("quarantine", one) for one in (self.before, self.after, self.head))
        back = then.join(since, on=["id", "import_id"], how="anti").join(now, on=["id", "import_id"], how="anti")
        back = back.filter(pl.col("import_id").is_in(set(self.log["import_id"]) - {self.import_id}))
        for (import_id,), rows in back.partition_by("import_id", as_dict=True, maintain_order=True).items():
            self.change.add("quarantine", rows, import_id=import_id)

    def tell(self, mine):
        """What the user should know."""
        if self.again:
            self.change.notes.append(f"{self.again} values that a later import changed again were left")
        roots = set(",".join(mine["roots"]).split(","))
        log = self.log.filter(pl.col("import_id").is_in(list(self.later))).select("import_id", "roots").iter_rows()
        same = list(dict.fromkeys(one for one, into in log if roots & set(into.split(","))))
        if same:
            told = ", ".join(same[:LISTED]) + (f" and {len(same) - LISTED} others" if len(same) > LISTED else "")
            self.change.notes.append(
                f"what later imports into the same markets ({told}) brought in the same values went too: where that "
                "matters drop these as well, and import their files again"
            )


def _around(archive, import_id, notes):
    """The snapshots just before and just after an import, or the nearest that are kept; whether they are the former."""
    rows = retention.listed(archive)[::-1]
    kept = [row["number"] for row in rows if not row["dropped"]]
    number = next((row["number"] for row in rows if row["note"].startswith(f"import {import_id}:")), None)
    if number is None:  # made by another program: the first log that has it
        number = next(one for one in kept if import_id in set(archive.read("imports", one, ["import_id"])["import_id"]))
    before = max((one for one in kept if one < number), default=0)
    after = min(one for one in kept if one >= number)
    exact = (before, after) == (number - 1, number)
    if not exact:
        notes.append(
            f"snapshots {number - 1} and {number}, just before and after the import, are not both kept: {before} and "
            f"{after} stand in for them; what it brought where there was nothing stays in rows that another import "
            "changed since"
        )
    return (archive.snapshot(before) if before else EMPTY), archive.snapshot(after), exact
