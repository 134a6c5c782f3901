"""The rolled history of a stored market: its calendar by a rule, and its continuous table, read from one snapshot.

A market's bars are those of one source; before a micro contract was listed, those of its full-size contract stand in
(`history_from` in the contract master), as proxies: the same prices, which the market itself never traded.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from store import continuous, rolls
from store.contracts import Master, with_dates
from store.naming import WITHIN_DAY, vendor_of
from store.tables import TABLES
from store.vendors import VENDORS

DEFAULT = "volume:1"
SAMPLE = "sample"
ADJUSTMENTS = ("difference", "ratio", "none")
OUT = (
    "time", "day", "source_time", "contract", "open", "high", "low", "close", "settle", "volume", "open_interest",
    "offset", "factor", "adjusted", "next_contract", "next_price", "roll",
)  # fmt: skip


class NotStored(LookupError):
    """Nothing is stored of a market, or not what the rule needs."""


@dataclass(frozen=True)
class Bars:
    """Where a market's bars come from: its own files, and those of the full-size contract that stands in before.

    Rows before `until` are proxies: those of `proxy`, or rows of its own source that really are another market's.
    """

    archive: object
    root: str
    source: str
    snapshot: object
    proxy: str = ""
    proxy_source: str = ""
    until: date | None = None

    def files(self):
        """The segments that are read."""
        own = self.archive.files("contract_bars", self.snapshot, root=self.root, source=self.source)
        if not self.proxy_source:
            return own
        return own + self.archive.files("contract_bars", self.snapshot, root=self.proxy, source=self.proxy_source)

    def read(self):
        """The rows with a price, all under `root` and `source`."""
        own = self._priced(self.root, self.source)
        if not self.proxy_source:
            return own
        begin = own["day"].min() or self.until
        before = self._priced(self.proxy, self.proxy_source).filter(pl.col("day") < begin)
        return pl.concat([before.with_columns(root=pl.lit(self.root), source=pl.lit(self.source)), own])

    def _priced(self, root, source):
        frame = self.archive.scan("contract_bars", self.snapshot, root=root, source=source)
        return frame.filter(pl.coalesce("settle", "close").is_not_null()).collect(engine="in-memory")


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
    master, snapshot = master or Master.load(archive.path), snapshot or archive.head()
    source = source or _first_dated(archive, root, snapshot)
    full, until = _full_size(master, root)
    if source is None:
        stand_in = full and _first_dated(archive, full, snapshot)
        return Bars(archive, root, stand_in, snapshot, full, stand_in, date.max) if stand_in else None
    stand_in = full and _first_dated(archive, full, snapshot)
    if stand_in and (stand_in == SAMPLE) == (source == SAMPLE):  # never simulated prices before real ones
        own = archive.files("contract_bars", snapshot, root=root, source=source)
        begin = min((segment.first_day for segment in own if segment.first_day), default=until)
        return Bars(archive, root, source, snapshot, full, stand_in, max(until, begin))  # until its own rows begin
    other = next((a.history_from for a in _names(master, root, source) if a.history_from), "")
    if other:
        return Bars(archive, root, source, snapshot, other, "", until or date.max)
    return Bars(archive, root, source, snapshot, full or "", "", until)


def _full_size(master, root):
    """The contract that stands in, and the first day of the market's own history; (None, None) where there is none."""
    facts = master.facts(root, "history_from") if root in master.roots else []
    return (facts[-1].value, facts[-1].valid_from) if facts else (None, None)


def _names(master, root, source):
    """What the source of stored rows calls the market."""
    if root not in master.roots:
        return []
    return [master.alias(vendor, name) for vendor, name in master.aliases(root) if vendor == vendor_of(source)]


def _first_dated(archive, root, snapshot):
    return next((source for table, source in sources(archive, root, snapshot) if table == "contract_bars"), None)


def sources(archive, root, snapshot=None):
    """(table, source) pairs that hold `root`, the one to be read first: dated contracts before chains; real prices
    before simulated ones, daily bars before shorter ones; then in the order of `VENDORS`."""
    order = {name: k for k, name in enumerate(VENDORS)}
    first = lambda name: (name == SAMPLE, name.endswith(WITHIN_DAY), order.get(name, len(order)), name)  # noqa: E731
    snapshot = snapshot or archive.head()
    found = []
    for table in ("contract_bars", "vendor_chains"):
        names = {segment.labels["source"] for segment in archive.files(table, snapshot, root=root)}
        found += [(table, name) for name in sorted(names, key=first)]
    return found


def spec(archive, root, master=None, snapshot=None):
    """Facts of a market with the dates of single contracts that vendors gave; None for one the master does not know."""
    master = master or Master.load(archive.path)
    if root not in master.roots:
        return None
    return with_dates(master.spec(root), archive.read("contracts", snapshot, root=root))


def calendar(archive, root, rule=None, snapshot=None):
    """The roll calendar of a stored market.

    Parameters
    ----------
    archive : Archive
    root : str
    rule : str, optional
        See `roll_rules`; the name of a vendor whose chain is stored gives the rolls that came with it. Without one:
        by volume, or the chain's own where only a chain is stored.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.

    Returns
    -------
    RollCalendar, str
        And the source of the prices.

    Raises
    ------
    NotStored
        Nothing is stored of the market, or a rule is asked of which only a chain is stored.
    """
    kind, source, rows = _load(archive, root, rule, snapshot)
    return _calendar(archive, root, rule, kind, rows, snapshot), source


def table(archive, root, rule=None, adjust="difference", snapshot=None):
    """The continuous table of a stored market, the newest contract at its market price.

    Parameters
    ----------
    archive, root, rule, snapshot
        As of `calendar`.
    adjust : str
        difference, ratio or none: what `adjusted` holds.

    Returns
    -------
    polars.DataFrame
        Columns `OUT`, as `continuous --out` has them; what the source lacks is null.
    """
    if adjust not in ADJUSTMENTS:
        raise ValueError(f"adjustment {adjust!r} is not known; allowed are {', '.join(ADJUSTMENTS)}")
    kind, _, rows = _load(archive, root, rule, snapshot)
    if kind == "vendor_chains":
        frame = continuous.stitch_chain(rows)
    else:
        frame = continuous.stitch(rows, _calendar(archive, root, rule, kind, rows, snapshot))
    return frame.with_columns(continuous.adjusted(frame, adjust).alias("adjusted")).select(OUT)


def save(archive, made):
    """Store roll calendars, `made` as `calendar` gives them, each in place of that of the same market, source and rule.

    Raises
    ------
    Conflict
        Another writer stored calendars of one of these markets meanwhile; nothing was changed.
    """
    head, markets = archive.head(), {}
    for found, source in made:
        same = {"source": source, "root": found.root, "rule": found.rule, "version": found.version}
        rows = found.frame.with_columns(pl.lit(value).alias(name) for name, value in same.items())
        markets.setdefault((source, found.root), {})[found.rule] = TABLES["roll_calendars"].conform(rows)
    add, remove = [], []
    for (source, root), by_rule in markets.items():
        labels = {"source": source, "root": root}
        kept = archive.read("roll_calendars", head, **labels).filter(~pl.col("rule").is_in(list(by_rule)))
        add.append(archive.write("roll_calendars", pl.concat([kept, *by_rule.values()]), **labels))
        remove += archive.files("roll_calendars", head, **labels)
    archive.commit(add, remove, f"roll calendars of {len(add)} markets", base=head)


def _load(archive, root, rule, snapshot):
    """Table, source and rows to be read for a rule."""
    snapshot = snapshot or archive.head()
    found = sources(archive, root, snapshot)
    stand_in = not found and bars(archive, root, snapshot=snapshot)
    if stand_in:
        found = [("contract_bars", stand_in.source)]
    if not found:
        raise NotStored(f"{root}: nothing is stored; `frontmonth markets` lists what is")
    dated = [pair for pair in found if pair[0] == "contract_bars"]
    own = [pair for pair in found if pair == ("vendor_chains", rule)]
    if rule in VENDORS and not own and rule not in _planned(archive, root, snapshot):
        raise NotStored(f"{root}: no chain of {rule} is stored; its contracts can be rolled by volume or by date")
    if rule is not None and not own and not dated:
        raise NotStored(f"{root}: rule {rule!r} needs dated contracts; only the chain of {found[0][1]} is stored")
    table_, source = (own or dated or found)[0]
    if table_ == "contract_bars":
        plan = stand_in or bars(archive, root, source=source, snapshot=snapshot)
        rows = plan.read()
        if rows.is_empty():
            raise NotStored(f"{root}: no stored row has a price, only volume or open interest")
        return table_, source, rows
    rows = archive.read(table_, snapshot, root=root, source=source)
    return table_, source, rows.filter(pl.col("rank").fill_null(1) == 1)


def _calendar(archive, root, rule, kind, rows, snapshot):
    if kind == "vendor_chains":
        return rolls.chain_calendar(rows)
    facts = spec(archive, root, snapshot=snapshot)
    return rolls.calendar(rows, facts, rule or DEFAULT, plan(archive, root, rule, snapshot))


def _planned(archive, root, snapshot):
    """Names of the roll calendars that came with vendors' data, sorted."""
    stored = archive.read("roll_calendars", snapshot, columns=["source", "rule"], root=root)
    return sorted({rule for source, rule in stored.iter_rows() if rule.partition(":")[0] == source})


def plan(archive, root, rule, snapshot=None):
    """The rolls that came with a vendor's data under the name of `rule`, as `lean:oi`; None where there are none."""
    if rule is None or rule.partition(":")[0] not in VENDORS:
        return None
    rows = archive.read("roll_calendars", snapshot, root=root).filter(pl.col("rule") == rule)
    if rows.is_empty():
        known = _planned(archive, root, snapshot)
        raise NotStored(
            f"{root}: no roll calendar {rule!r} is stored" + (f"; there are {', '.join(known)}" if known else "")
        )
    return rows
