"""Rows between a vendor's reader and the commit: judged, counted by file, kept by market, and put on disk when many.

1. A ticket is one attempt at one file. Rows carry its number, so that a file which fails leaves nothing, whatever was
   read together with it.
2. What waits is held in memory up to `HELD` rows; more goes to a folder that no snapshot names, market by market; bars
   within the day year by year, as they are stored (`years`).
"""

import contextlib
import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from store import durable, raw, row_rules, years
from store.merge import behind
from store.naming import axis, of_one_market, told, translated, vendor_of
from store.pieces import Seen, alone
from store.segments import NAME, Refused
from store.tables import TABLES, TIME

COUNTS = ("rows_read", "accepted", "warned", "quarantined")
HELD = 3_000_000  # rows; 150 bytes each, and merging needs them several times over
QUARANTINED = ("file", "line", "column", "rule", "reason", "raw", "vendor", "id", "ticket")
RELEASED = "released"  # warning of a row that broke a rule and that somebody let in
REOPENED = "read again for rows that were released; other rows stay as they are stored"


@dataclass
class FileReport:
    """What became of one file; `first` tells the first quarantined row, `notes` what the user should look at.

    A file that was found in a folder and is not imported on purpose is `left_out`, with the reason, and has no `error`.
    """

    file: str
    vendor: str = ""
    roots: list = field(default_factory=list)
    rows_read: int = 0
    accepted: int = 0
    warned: int = 0
    quarantined: int = 0
    reasons: dict = field(default_factory=dict)
    skipped: bool = False
    error: str = ""
    left_out: str = ""
    sha256: str = ""
    first: str = ""
    notes: list = field(default_factory=list)
    guess: bool = False  # no vendor recognises it, but it may be a table of a new layout
    again: bool = False  # imported before, and read again as a row of it was released
    tables: list = field(default_factory=list)
    path: Path | None = None  # `file` is for messages
    import_id: str = ""  # of the import that it was stored with

    def clear(self):
        """As if nothing had been read."""
        self.roots, self.tables, self.reasons, self.first, self.notes = [], [], {}, "", []
        for count in COUNTS:
            setattr(self, count, 0)

    def skip(self):
        """Nothing was taken: its rows are in the store already."""
        self.skipped, self.reasons, self.first, self.guess = True, {}, "", False
        for count in COUNTS:
            setattr(self, count, 0)


class Intake:
    """What waits for a commit."""

    def __init__(self, archive, master, root=None, ask=None, released=None):
        self.archive, self.master, self.root, self.ask = archive, master, root, ask
        self.released = released or {}  # id of a quarantined row -> when it was released
        self.let_in = []  # (ticket, id) of those that came in
        self._names = {}  # vendor -> names of markets, where all are to be one
        self.reports = []  # one a ticket
        self.void = set()  # tickets that count no more
        self.quarantine = []
        self._strangers = {}  # names of unknown markets that are near no known one -> tickets
        self._frames = {}  # (table, source, market), of bars within the day and year -> frames, or paths of such
        self._seen = None  # of a file that comes in pieces
        self._held = self._files = 0
        self._folder = None

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self._folder is not None:
            durable.remove_tree(self._folder)

    def ticket(self, report):
        """A new attempt at a file."""
        report.clear()
        self.reports.append(report)
        return len(self.reports) - 1

    def take(self, readings, tickets):
        """Judge the rows of readings, and keep and count them.

        Parameters
        ----------
        readings : iterable of Reading
        tickets : int, or dict of str to int
            Of all rows, or by the place of the part that a row comes from.

        Raises
        ------
        Unreadable
            The name of a market is none for the store; what was kept has to be made void.
        Refused
            Files of several markets are to be one market.
        """
        together = isinstance(tickets, dict)
        if self.root is not None:
            readings = of_one_market(readings, self.root, several=together)
            self._of_one_name(readings)
        touched = lambda frame: frame["ticket"].unique() if together else [tickets]  # noqa: E731
        for reading in _joined(readings) if together else readings:
            notes, strangers = [note for note in reading.notes if isinstance(note, str)], []
            reading = replace(reading, frame=_ticketed(reading.frame, tickets))
            ask = self.ask and partial(self._asked, reading.frame)
            for name, frame, rules in translated(reading, self.root, self.master, notes, strangers, ask):
                self._judge(reading, name, frame, rules, ["ticket"] if together else [])
                for ticket in touched(frame):
                    report = self.reports[ticket]
                    report.vendor = report.vendor or reading.vendor
                    report.roots += [] if name in report.roots else [name]
                    report.tables += [] if reading.table in report.tables else [reading.table]
            for name in strangers:
                self._strangers.setdefault(name, set()).update(touched(reading.frame))
            for ticket in touched(reading.frame) if notes else ():
                self._tell(ticket, notes)
            for place, note in (note for note in reading.notes if not isinstance(note, str)):
                self._tell(tickets[place] if together else tickets, [note])

    @contextlib.contextmanager
    def in_pieces(self):
        """What is taken meanwhile is of one file, which comes piece by piece and is judged as if it came at once."""
        before, self._frames, self._seen = self._frames, {}, Seen()
        try:
            yield
        finally:
            taken, alike = self._frames, self._seen.alike()
            self._frames, self._seen = before, None
            for group, frames in sorted(taken.items()):
                source = alike.get(group[1:3])
                for rows in map(_read, frames) if source else frames:
                    self._add((group[0], source, group[2]) if source else group, rows)

    def tell(self):
        """One note on all markets that the master does not know, for the files that hold one; and what became of files
        that were read again."""
        for ticket, _ in self._again():
            self._tell(ticket, [REOPENED])
        names = {name: tickets - self.void for name, tickets in self._strangers.items()}
        names = {name: tickets for name, tickets in names.items() if tickets}
        note = told(sorted(names)) if names else ""
        for ticket in set().union(*names.values()):
            self._tell(ticket, [note])

    def live(self):
        """(ticket, report) of the attempts that count."""
        return [(ticket, report) for ticket, report in enumerate(self.reports) if ticket not in self.void]

    def spec(self, root):
        """The facts of a market; None where the master does not know it."""
        return self.master.spec(root) if root in self.master.roots else None

    def groups(self):
        """(table, source, market) of all rows, in order; of bars within the day (table, source, market, year)."""
        return sorted(self._frames)

    def known(self, table):
        """The stored rows of a table and those that wait."""
        waiting = [self.rows(group, None) for group in self.groups() if group[0] == table]
        return pl.concat([self.archive.read(table), *waiting])

    def came_in(self):
        """Ids of the released rows of files that count."""
        return {id_ for ticket, id_ in self.let_in if ticket not in self.void}

    def rows(self, group, known, stored=None):
        """The rows of a group that count, as its table has them, in the order in which they came.

        Of files that were read again for released rows, those that the group has not `stored` yet, and the released.
        """
        table, source, name = group[:3]
        rows = pl.concat(map(_read, self._frames[group]), how="diagonal")
        if self.void:
            rows = rows.filter(~pl.col("ticket").is_in(list(self.void)))
        again = [ticket for ticket, _ in self._again()] if stored is not None else []
        if again:
            late = pl.col("ticket").is_in(again)
            rows = pl.concat([behind(rows.filter(late), rows.filter(~late), stored, TABLES[table]), rows.filter(~late)],
                             how="diagonal")  # fmt: skip
        told = {"source": source, axis(table): name, "known": known}
        told = [pl.lit(value).alias(c) for c, value in told.items() if c in TABLES[table].schema]
        return TABLES[table].conform(rows.with_columns(told))

    def refused(self):
        """The quarantined rows of all files that count."""
        rows = pl.concat(self.quarantine) if self.quarantine else pl.DataFrame(schema={"ticket": pl.Int32})
        return rows.filter(~pl.col("ticket").is_in(list(self.void)))

    def _again(self):
        return [(ticket, report) for ticket, report in self.live() if report.again] if self.released else []

    def _of_one_name(self, readings):
        """Refuse to make one market of a vendor's several."""
        for reading in readings:
            names = self._names.setdefault(vendor_of(reading.vendor), set())
            names.add(raw.plain(reading.name))
            if len(names) > 1:
                raise Refused(
                    f"--root {self.root}: the files hold several markets of {reading.vendor}, "
                    f"{', '.join(sorted(names)[:10])}: import them one by one; nothing was imported"
                )

    def _tell(self, ticket, notes):
        held = self.reports[ticket].notes
        held += [note for note in notes if note not in held]

    def _asked(self, frame, name, near):
        file = self.reports[frame["ticket"][0]].file if frame.height else ""
        return self.ask(name, near, Path(file).name)

    def _judge(self, reading, name, frame, rules, apart):
        for what, text, hint in (("market", name, "; give it one with --root"), ("source", reading.vendor, "")):
            if not NAME.fullmatch(text):
                raise raw.Unreadable(
                    f"{what} {raw.plain(text, 80)!r} is no name for the store: 1 to 64 letters, digits, dots, dashes "
                    f"and underscores, no dot first{hint}"
                )
        table = TABLES[reading.table]
        frame, idle = _parted(frame)
        good, bad = self._split(reading, name, frame, table, rules, apart)
        if bad.height:
            bad = _identified(bad, reading.vendor)
            good, bad = self._let_in(good, bad, table)
        counted = pl.concat([good.select(idle.columns), idle])
        self._count(counted.clear() if reading.derived else counted, bad)
        if bad.height:
            bad = bad.with_columns(pl.col("column").replace(reading.headings))
            self.quarantine.append(alone(bad.select(QUARANTINED)))
            for row in bad.unique("ticket", keep="first", maintain_order=True).iter_rows(named=True):
                report = self.reports[row["ticket"]]
                report.first = report.first or _sentence(row)
        self._keep((reading.table, reading.vendor, name), good.filter(pl.col("warning").ne_missing("repeated")))

    def _split(self, reading, name, frame, table, rules, apart):
        """Good and bad rows; of a piece as they are beside those of the pieces before."""
        whose = str if reading.ours else vendor_of  # how long its bars are may be told differently piece by piece
        group = whose(reading.vendor), name
        taken = partial(self._taken, reading.table, whose, group)
        before = self._seen.before(group, frame, taken) if self._seen else None
        if before is None:
            good, bad = row_rules.split(frame, table, rules, apart, reading.partial)
        else:
            both = [before.with_columns(earlier=True), frame.with_columns(earlier=False)]
            both = pl.concat(both, how="diagonal_relaxed")
            good, bad = row_rules.split(both, table, rules, apart, reading.partial)
            good, bad = (rows.filter(~pl.col("earlier")).drop("earlier") for rows in (good, bad))
        if self._seen:
            self._seen.took(group, good.select(frame.columns), None if reading.ours else reading.vendor)
        return good, bad

    def _taken(self, table, whose, group):
        """Frames of the rows of a market that wait."""
        for (of, source, name, *_), frames in sorted(self._frames.items()):
            if of == table and (whose(source), name) == group:
                yield from map(_read, frames)

    def _let_in(self, good, bad, table):
        """Rows that broke a rule and were released are good, if they were read and have a key."""
        if not self.released:
            return good, bad
        key = [name for name in table.key if name not in ("source", axis(table.name))]
        open_ = pl.col("id").is_in(list(self.released)) & (pl.col("rule") != "unparsed")
        open_ = bad.select(open_ & pl.all_horizontal(pl.col(key).is_not_null())).to_series()
        if not open_.any():
            return good, bad
        finite = pl.when(pl.selectors.float().is_finite()).then(pl.selectors.float())
        let_in = bad.filter(open_).with_columns(finite).with_columns(pl.lit(RELEASED).alias("warning"))
        self.let_in += let_in.select("ticket", "id").rows()
        since = pl.Series("since", [self.released[id_] for id_ in let_in["id"]], TIME)
        let_in = let_in.select(good.columns).with_columns(since)
        return pl.concat([good, let_in], how="diagonal"), bad.filter(~open_)

    def _count(self, good, bad):
        """Add the rows to the reports of their files."""
        kept = good.group_by("ticket").agg(pl.len(), pl.col("warning").count())
        for ticket, rows, warned in kept.iter_rows():
            report = self.reports[ticket]
            report.rows_read, report.accepted = report.rows_read + rows, report.accepted + rows - warned
            report.warned += warned
        reasons = [good.select("ticket", rule="warning").drop_nulls(), bad.select("ticket", "rule")]
        for ticket, rule, rows in pl.concat(reasons).group_by("ticket", "rule").len().sort("rule").iter_rows():
            report = self.reports[ticket]
            report.reasons = dict(sorted((Counter(report.reasons) + Counter({rule: rows})).items()))
        for ticket, rows in bad.group_by("ticket").len().iter_rows():
            report = self.reports[ticket]
            report.rows_read, report.quarantined = report.rows_read + rows, report.quarantined + rows

    def _keep(self, group, good):
        table = TABLES[group[0]]
        held = [
            pl.col(name).cast(dtype)
            for name, dtype in table.schema.items()
            if name not in ("source", axis(table.name), "known") and good[name].null_count() < good.height
        ]
        held += ["since"] if "since" in good.columns else []
        self._add(group, good.select("ticket", *held))
        self._held += good.height
        if self._held > HELD:
            self._put_on_disk()

    def _add(self, group, rows):
        """Keep rows of a market, a frame or the path of one, with those that wait; bars within the day by year."""
        parts = years.parted(rows) if len(group) == 3 and years.by_year(*group[:2]) else {None: rows}
        for year, part in parts.items():
            self._frames.setdefault(group if year is None else (*group, year), []).append(part)

    def _put_on_disk(self):
        if self._folder is None:
            self._folder = self.archive.stage()
        for frames in self._frames.values():
            held = [frame for frame in frames if isinstance(frame, pl.DataFrame)]
            if held:
                self._files += 1
                path = self._folder / f"{self._files}.arrow"
                pl.concat(held, how="diagonal").write_ipc(path, compression="lz4")
                frames[:] = [frame for frame in frames if not isinstance(frame, pl.DataFrame)] + [path]
        self._held = 0


def _read(rows):
    """Rows that wait, a frame or the path of one."""
    return rows if isinstance(rows, pl.DataFrame) else pl.read_ipc(rows)


def _parted(frame):
    """The rows that may be stored, and `ticket` and `warning` of those that are idle."""
    if "idle" not in frame.columns:
        return frame, pl.DataFrame(schema={"ticket": pl.Int32, "warning": pl.String})
    idle = pl.col("idle").is_not_null()
    return frame.filter(~idle).drop("idle"), frame.filter(idle).select("ticket", pl.col("idle").alias("warning"))


def _joined(readings):
    """Readings of one market out of several files as one."""
    groups = {}
    for reading in readings:
        same = (reading.table, reading.vendor, reading.name, reading.partial, reading.ours, reading.derived)
        same += (tuple(sorted(reading.headings.items())),)
        if any(isinstance(note, str) for note in reading.notes):  # what is told of a file is not told of its neighbours
            same += (id(reading),)
        groups.setdefault(same, []).append(reading)
    for group in groups.values():
        frames, notes = [reading.frame for reading in group], sum((reading.notes for reading in group), ())
        yield group[0] if len(group) == 1 else replace(group[0], frame=pl.concat(frames, how="diagonal"), notes=notes)


def _ticketed(frame, tickets):
    """The frame with the ticket of each row."""
    if not isinstance(tickets, dict):
        return frame.with_columns(pl.lit(tickets, pl.Int32).alias("ticket"))
    runs = frame["file"].rle().struct
    found = [tickets.get(place) for place in runs.field("value")]
    if None in found:
        raise raw.Unreadable(f"rows of {frame['file'][0]} name another file")
    numbers = np.repeat(np.array(found, np.int32), runs.field("len").to_numpy())
    return frame.with_columns(pl.Series("ticket", numbers, dtype=pl.Int32))


def _identified(bad, vendor):
    """Bad rows with their `vendor` and `id`."""
    names = bad.select("file", "raw", "rule").iter_rows()
    ids = [hashlib.sha256("|".join((vendor, *map(str, name))).encode()).hexdigest()[:12] for name in names]
    return bad.with_columns(pl.lit(vendor).alias("vendor"), pl.Series("id", ids, dtype=pl.String))


def _sentence(row):
    return raw.plain(f"{row['file']}: line {row['line']}: column {row['column']}: {row['reason']}")
