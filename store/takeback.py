"""What one import did to the whole store, taken back: its rows, revisions, findings, quarantined rows and its log.

1. An import owns what it brought into a market for as long as the log has a file of it that did. A market that was
   dropped, and came again with another import, is that one's (`drop_root` takes the files out of the log).
2. A row that was filled in, and that the import replaced, comes back unless its fill was revoked since.
3. What a later import brought in the same values cannot be told from what it did not bring. So many rows at most were:
   those that it read less those that it brought or changed, which are known since its moment. They are told, and its
   files can be imported again (`imported`).
"""

import json
from collections import Counter
from dataclasses import replace

import polars as pl

from store import checks, decisions, retention, years
from store.change import forget
from store.commit import KEPT
from store.contracts import Master
from store.manifest import EMPTY
from store.naming import axis, vendor_of
from store.revert import apart, reverted
from store.segments import Refused
from store.series_rules import RESTATED
from store.tables import TABLES

_OTHERS = ("findings", "decisions", "revisions")
_ROWS = {name for name, table in TABLES.items() if {"root", "currency"} & table.columns.keys() and name not in _OTHERS}
_MADE = "import {}:"  # how the note of an import's snapshot begins
NOT_STORED = ("repeated", "superseded", "no_value")  # reasons of rows that are read and not stored
LISTED = 3  # imports or files in one sentence


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
    forget(change, mine, work.tell())
    work.quarantine()


class _TakeBack:
    """One import that is taken back, market by market."""

    def __init__(self, change, log, import_id):
        self.change, self.archive, self.head = change, change.archive, change.head
        self.import_id, self.log = import_id, log
        self.listed = retention.listed(self.archive)[::-1]
        self.before, self.after, self.exact = _around(self.archive, self.listed, import_id, change.notes)
        mine = pl.col("import_id") == import_id
        last = log.with_row_index().filter(mine)["index"].max()
        self.later = log[last + 1 :].filter(~mine)
        self.moment = log.filter(mine)["time"].max()
        then = self.archive.read("imports", self.after).filter(mine)
        self.own = then, log.filter(mine)
        self.gone = self._gone()
        self.revisions = self.archive.read("revisions", self.head).with_row_index("place")
        self.since = self._since()
        self.revoked = self._revoked()
        self.new = {}  # place of a revision -> its old value now, None where it goes
        self.left, self.whole, self.part = 0, Counter(), Counter()  # the latter two: rows of a market
        self.bars = {}  # (root, source) -> bars as they are now

    def _gone(self):
        """Moments of imports before it that were taken back since."""
        told = {
            row["note"].removeprefix("drop import ") for row in self.listed if row["note"].startswith("drop import ")
        }
        before = self.archive.read("imports", self.before)
        gone = pl.col("import_id").is_in(list(told - set(self.log["import_id"])))
        return before.filter(gone)["time"].unique().to_list()

    def _since(self):
        """Ids of the imports after it that revisions tell of: also those that the log has no more, as a market that
        they held was dropped."""
        then = {*self.archive.read("imports", self.after)["import_id"]}
        then |= {*self.archive.read("revisions", self.after)["import_id"], *self.log["import_id"]}
        return [*self.later["import_id"].unique(), *({*self.revisions["import_id"]} - then - {None})]

    def _revoked(self):
        """Moments of fills that were revoked."""
        fills = decisions.log(self.archive, self.head).filter(pl.col("action") == "fill")
        force = decisions.in_force(self.archive, self.head)
        return fills.filter(~pl.col("id").is_in(force["id"].to_list()))["time"].to_list()

    def _owns(self, source, market):
        """Whether rows of a market that the import brought are still its own: rule 1."""
        then, now = (log.filter(pl.col("roots").str.split(",").list.contains(market)) for log in self.own)
        same = pl.col("vendor").map_elements(vendor_of, pl.String) == vendor_of(source)
        if then.filter(same).height:  # else a file of several sources, which goes by the name of its first
            then, now = then.filter(same), now.filter(same)
        return then.is_empty() or now.height > 0

    def markets(self):
        """(table, source, market) of all rows that the import may have brought or changed."""
        then = {segment.path for segment in self.before.files}
        new = [s for s in self.after.files if s.path not in then and s.table in _ROWS]
        found = {(s.table, s.labels["source"], s.labels[axis(s.table)]) for s in new if "source" in s.labels
                 and axis(s.table) in s.labels}  # fmt: skip
        return sorted(one for one in found if years.made_from(one[1]) is None and self._owns(*one[1:]))

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
        if "filled_from" in before.columns and self.revoked:
            filled = pl.col("filled_from").is_not_null() & pl.col("known").is_in(self.revoked)
            before = before.filter(~filled.fill_null(False))
        later = about.filter(pl.col("import_id").is_in(self.since))
        rows, revised, counts = reverted(now, after, before, TABLES[table], mine, later, gone)
        self.left += counts.left
        self.whole[name] += counts.whole
        self.part[name] += counts.part
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

    def tell(self):
        """Notes on what the user should know; {(import_id, file): rows} of later files that may have held rows that
        went (rule 3)."""
        if self.left:
            self.change.notes.append(f"{self.left} values that a later import changed again were left")
        again, rows = {}, 0
        for market in sorted(self.whole | self.part):
            alike = self._alike(market)
            rows += min(self.whole[market], sum(alike.values())) + (self.part[market] if alike else 0)
            for import_id, count in alike.items():
                for file in _files(self.later, import_id, market)["file"] if count or self.part[market] else ():
                    again[import_id, file] = again.get((import_id, file), 0) + count + self.part[market]
        if rows and again:
            ids, files = (_listed(list(dict.fromkeys(part))) for part in zip(*again, strict=True))
            self.change.notes.append(
                f"{rows} rows at most that went, or a part of them, were in files of later imports ({ids}) too, in the "
                f"same values: import these files again to have them back ({files}); they are not skipped"
            )
        self._tell_daily()
        return again

    def _tell_daily(self):
        """Daily bars that were made of bars that went stay as they are."""
        stored = {(s.labels.get("root"), s.labels.get("source")) for s in self.head.files if s.table == "contract_bars"}
        for root, source in sorted(self.bars):
            if (made := years.daily_of(source)) and (root, made) in stored:
                self.change.notes.append(f"{root} of {made}, made of {source}, stays: drop it too, or aggregate again")

    def _alike(self, market):
        """{later import into a market: rows of its files, at most, that were stored already as it brought them}."""
        tables, found = set(",".join(self.own[1]["tables"].fill_null("")).split(",")), {}
        for import_id in self.later["import_id"].unique(maintain_order=True):
            files = _files(self.later, import_id, market)
            told = set(",".join(files["tables"].fill_null("")).split(",")) - {""}
            if told & tables or (files.height and files["tables"].null_count()):
                roots = set(",".join(files["roots"]).split(","))
                read = sum(map(_stored, files.iter_rows(named=True)))
                moment, alike = files["time"].max(), read - self._known(self.head, roots, files["time"].max())
                if alike > 0 and (snapshot := self._made_by(import_id)):
                    alike = read - self._known(snapshot, roots, moment)
                found[import_id] = max(0, alike)
        return found

    def _known(self, snapshot, roots, moment):
        """Rows of markets that are known since a moment."""
        count = 0
        for name in sorted(one for one in _ROWS if "known" in TABLES[one].columns):
            if files := self.archive.files(name, snapshot, **{axis(name): sorted(roots)}):
                own = (pl.col("known") == moment) & pl.col(axis(name)).is_in(sorted(roots))
                scan = self.archive.scan(name, replace(snapshot, files=tuple(files)))
                count += scan.filter(own).select(pl.len()).collect(engine="in-memory").item()
        return count

    def _made_by(self, import_id):
        """The snapshot that an import made; None where it is not kept."""
        for row in self.listed:
            if row["note"].startswith(_MADE.format(import_id)) and not row["dropped"]:
                return self.archive.snapshot(row["number"])
        return None


def _files(log, import_id, market):
    """The log of an import's files that hold a market, and of those that share another one with them."""
    own = log.filter((pl.col("import_id") == import_id) & (pl.col("tables").ne_missing("")))
    roots, before = {market}, None
    while roots != before:
        before, found = (
            roots,
            own.filter(pl.col("roots").str.split(",").list.eval(pl.element().is_in(list(roots))).list.any()),
        )
        roots = roots | set(",".join(found["roots"]).split(",")) - {""}
    return found


def _stored(file):
    """Rows of a file that went into the store, or were there."""
    reasons = json.loads(file["reasons"] or "{}")
    return (file["accepted"] or 0) + (file["warned"] or 0) - sum(reasons.get(reason, 0) for reason in NOT_STORED)


def _listed(names):
    """A few names as part of a sentence."""
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} others" if len(names) > LISTED else "")


def _around(archive, rows, import_id, notes):
    """The snapshots just before and just after an import, or the nearest that are kept; whether they are the former."""
    kept = [row["number"] for row in rows if not row["dropped"]]
    number = next((row["number"] for row in rows if row["note"].startswith(_MADE.format(import_id))), None)
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
