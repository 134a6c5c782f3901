"""What a snapshot holds of each market: its sources, where its bars come from, its facts. Found once in a process.

A market's bars are those of one source; before a micro contract was listed, those of its full-size contract stand in
(`history_from` in the contract master), as proxies: the same prices, which the market itself never traded.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from store import days, tables
from store.contracts import Master, with_dates
from store.naming import WITHIN_DAY, vendor_of
from store.rules import BESIDE
from store.years import made_from

SAMPLE = "sample"
TABLES = ("contract_bars", "vendor_chains")
BARS = tables.TABLES["contract_bars"]
PRICED = pl.coalesce("settle", "close").is_not_null()
_SNAPSHOTS = 4  # of which what was found is kept
_desks = OrderedDict()


@dataclass(frozen=True)
class Bars:
    """Where a market's bars come from: its own files, and those of the full-size contract that stands in before.

    Rows before `until` are proxies: those of `proxy`, or rows of its own source that really are another market's.
    """

    desk: object
    root: str
    source: str
    proxy: str = ""
    proxy_source: str = ""
    until: date | None = None

    @property
    def archive(self):
        """The store."""
        return self.desk.archive

    @property
    def snapshot(self):
        """The version of the data."""
        return self.desk.snapshot

    def own(self):
        """The segments of the market itself."""
        return self.desk.segments("contract_bars", self.root, self.source)

    def lent(self):
        """The segments of the contract that stands in."""
        return self.desk.segments("contract_bars", self.proxy, self.proxy_source)

    def files(self):
        """The segments that are read."""
        return self.own() + self.lent()

    def read(self, columns=None):
        """The rows with a price, all under `root` and `source`; with these columns, `day` among them."""
        return self.parts(columns)[0]

    def parts(self, columns=None):
        """What `read` gives, and the first day of the market's own rows, None where it has none."""
        columns = tuple(BARS.columns) if columns is None else tuple(columns)
        others = [name for name in columns if name not in ("root", "source")]  # what the labels say needs no reading
        found = {(self.root, self.source): priced(self.archive, self.snapshot, self.own(), others)}
        if self.proxy_source:
            found[self.proxy, self.proxy_source] = priced(self.archive, self.snapshot, self.lent(), others)
        return self.joined(found, columns)

    def joined(self, found, columns):
        """The same of rows that were read: {(root, source): those of its files that have a price}."""
        own = self._named(found[self.root, self.source], columns)
        days = self.desk.read(self.root, self.source, own["day"])
        begin = days[0].item() if len(days) else None
        if not self.proxy_source:
            return own, begin
        lent = found[self.proxy, self.proxy_source]
        before = lent.filter(pl.col("day") < (begin or self.until))
        return pl.concat([self._named(before, columns), own]), begin

    def _named(self, frame, columns):
        """The rows under this root and source, with these columns."""
        told = {
            name: pl.Series(name, [getattr(self, name)]).new_from_index(0, len(frame)) for name in ("root", "source")
        }
        return pl.DataFrame([told[name] if name in told else frame[name] for name in columns])


class Desk:
    """What one snapshot of a store holds, by market."""

    def __init__(self, archive, snapshot, master):
        self.archive, self.snapshot, self.master = archive, snapshot, master
        self._segments, self._plans, self._specs, self._digests, self._days = {}, {}, {}, {}, {}
        for segment in snapshot.files:
            if segment.table in TABLES:
                market = self._segments.setdefault((segment.table, segment.labels["root"]), {})
                market.setdefault(segment.labels["source"], []).append(segment)

    def segments(self, table, root, source):
        """The files of one market and source, in order of their commits."""
        return list(self._segments.get((table, root), {}).get(source, ()))

    def roots(self, table="contract_bars"):
        """The markets of a table, sorted."""
        return sorted(root for of, root in self._segments if of == table)

    def sources(self, root):
        """See `sources`."""
        return [(t, name) for t in TABLES for name in _ordered(self._segments.get((t, root), ()))]

    def dated(self, root):
        """The source of its dated contracts that is read first; None where none are stored."""
        return next((source for table, source in self.sources(root) if table == "contract_bars"), None)

    def bars(self, root, source=None):
        """See `bars`."""
        if (root, source) not in self._plans:
            self._plans[root, source] = self._plan(root, source or self.dated(root))
        return self._plans[root, source]

    def spec(self, root):
        """See `spec`."""
        if root not in self._specs:
            found, dates = self.master.spec(root) if root in self.master.roots else None, self._dates.get((root,))
            self._specs[root] = found if found is None or dates is None else with_dates(found, dates)
        return self._specs[root]

    def read(self, root, source, days):
        """The days on which a market and source has a price, told by all its rows: datetime64[D], ascending."""
        numbers = days.cast(pl.Int32).to_numpy()
        first = numbers.min() if len(numbers) else 0
        found = np.flatnonzero(np.bincount(numbers - first)) + first
        self._days[root, source] = found.astype("datetime64[D]")
        return self._days[root, source]

    def days_read(self, root, source):
        """What `read` found of a market and source; None where nobody has read all its rows."""
        return self._days.get((root, source))

    def digest(self, root):
        """Hash of the facts of a market and of the holidays in use; a store that moves keeps it."""
        spec = self.spec(root)
        used = () if spec is None else days.calendars([spec.calendar], spec.extra) + days.calendars(BESIDE)
        if (root, used) not in self._digests:
            facts = b"" if spec is None else repr(replace(spec, extra=None)).encode()
            found = hashlib.sha256(facts + b"".join(b"\0" + one.holidays.tobytes() for one in used))
            self._digests[root, used] = found.hexdigest()
        return self._digests[root, used]

    def _plan(self, root, source):
        full, until = _full_size(self.master, root)
        stand_in = full and self.dated(full)
        if source is None:
            return Bars(self, root, stand_in, full, stand_in, date.max) if stand_in else None
        if stand_in and (stand_in == SAMPLE) == (source == SAMPLE):  # never simulated prices before real ones
            own = self.segments("contract_bars", root, source)
            begin = min((segment.first_day for segment in own if segment.first_day), default=until)
            begin = max(until, begin)  # until its own rows begin
            return Bars(self, root, source, full, stand_in, begin)
        other = next((a.history_from for a in _names(self.master, root, source) if a.history_from), "")
        if other:
            return Bars(self, root, source, other, "", until or date.max)
        return Bars(self, root, source, full or "", "", until)

    @cached_property
    def _dates(self):
        """{(root,): its rows of the table `contracts`}."""
        return self.archive.read("contracts", self.snapshot).partition_by("root", as_dict=True)


def priced(archive, snapshot, segments, columns=None):
    """The rows of these files of bars that have a price."""
    frame = archive.scan("contract_bars", replace(snapshot, files=tuple(segments))).filter(PRICED)
    return (frame if columns is None else frame.select(columns)).collect(engine="in-memory")


def desk(archive, snapshot=None, master=None):
    """What is known of a store's markets at a snapshot (the newest, if not given), found once.

    Parameters
    ----------
    archive : Archive
    snapshot : Snapshot or int, optional
    master : Master, optional
        That of the store, if not given.
    """
    snapshot = archive.head() if snapshot is None else snapshot
    snapshot = archive.snapshot(snapshot) if isinstance(snapshot, int) else snapshot
    master = master or Master.load(archive.path)
    key = archive.path, snapshot.hash, len(snapshot.files)
    found = _desks.get(key)
    if found is None or found.master is not master:
        found = _desks[key] = Desk(archive, snapshot, master)
        while len(_desks) > _SNAPSHOTS:
            _desks.popitem(last=False)
    return found


def bars(archive, root, master=None, source=None, snapshot=None):
    """Where the bars of `root` come from; None where no dated contracts are stored, of it or of what stands in for it.

    Parameters
    ----------
    archive : Archive
    root : str
    master : Master, optional
    source : str, optional
        The first of `sources`, if not given.
    snapshot : Snapshot, optional

    Returns
    -------
    Bars or None
    """
    return desk(archive, snapshot, master).bars(root, source)


def sources(archive, root, snapshot=None):
    """(table, source) pairs that hold `root`, the one to be read first: dated contracts before chains; real prices
    before simulated ones, daily bars before shorter ones, those of a vendor before those made of his shorter ones
    (`aggregate`); then in the order of `VENDORS`."""
    return desk(archive, snapshot).sources(root)


def spec(archive, root, master=None, snapshot=None):
    """Facts of a market with the dates of single contracts that vendors gave; None for one the master does not know."""
    return desk(archive, snapshot, master).spec(root)


def _ordered(names):
    """Where there is a choice, readers are loaded, whose order decides; a run of kept arrays needs none of them."""
    return sorted(names, key=_order) if len(names) > 1 else list(names)


def _order(name):
    from store.vendors import VENDORS

    source = made_from(name)
    vendor = name if source is None else vendor_of(source)
    place = {vendor: k for k, vendor in enumerate(VENDORS)}.get(vendor, len(VENDORS))
    return name == SAMPLE, name.endswith(WITHIN_DAY), source is not None, place, name


def _full_size(master, root):
    """The contract that stands in, and the first day of the market's own history; (None, None) where there is none."""
    facts = master.facts(root, "history_from") if root in master.roots else []
    return (facts[-1].value, facts[-1].valid_from) if facts else (None, None)


def _names(master, root, source):
    """What the source of stored rows calls the market."""
    if root not in master.roots:
        return []
    return [
        master.alias(vendor, name)
        for vendor, name in master.aliases(root)
        if vendor == vendor_of(made_from(source) or source)
    ]
