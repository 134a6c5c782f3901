"""The rolled history of a stored market: its calendar by a rule, and its continuous table, read from one snapshot."""

import polars as pl

from store import continuous, rolls
from store.contracts import Master
from store.tables import TABLES

DEFAULT = "volume:1"
OUT = (
    "time", "day", "source_time", "contract", "open", "high", "low", "close", "settle", "volume", "open_interest",
    "offset", "factor", "adjusted", "next_contract", "next_price", "roll",
)  # fmt: skip


class NotStored(LookupError):
    """Nothing is stored of a market, or not of that source."""


def sources(archive, root, snapshot=None):
    """Sources that hold `root`: of dated contracts first, in the order of the vendors, the sample last; then of chains."""
    from store.vendors import VENDORS

    order = {name: k for k, name in enumerate(VENDORS)}
    found = []
    for table in ("contract_bars", "vendor_chains"):
        names = {s.labels["source"] for s in archive.files(table, snapshot, root=root)}
        found += [(table, name) for name in sorted(names, key=lambda n: (n == "sample", order.get(n, len(order)), n))]
    return found


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
    """
    snapshot = snapshot or archive.head()
    table, source = _choose(archive, root, rule, snapshot)
    rows = archive.read(table, snapshot, root=root, source=source)
    if table == "vendor_chains":
        return rolls.chain_calendar(rows), source
    master = Master.load(archive.path)
    spec = master.spec(root) if root in master.roots else None
    return rolls.calendar(rows, spec, rule or DEFAULT), source


def table(archive, root, rule=None, adjust="difference", snapshot=None):
    """The continuous table of a stored market, newest contract at its market price; columns as `continuous --out` has them."""
    snapshot = snapshot or archive.head()
    if adjust not in ("difference", "ratio", "none"):
        raise ValueError(f"--adjust {adjust}: allowed are difference, ratio, none")
    kind, source = _choose(archive, root, rule, snapshot)
    rows = archive.read(kind, snapshot, root=root, source=source)
    if kind == "vendor_chains":
        frame = continuous.stitch_chain(rows)
    else:
        frame = continuous.stitch(rows, calendar(archive, root, rule, snapshot)[0])
    return frame.with_columns(continuous.adjusted(frame, adjust).alias("adjusted")).select(OUT)


def save(archive, made):
    """Store roll calendars, each in place of the one of the same market, source and rule."""
    add, remove = [], []
    for found, source in made:
        labels = {"source": source, "root": found.root}
        columns = [
            pl.lit(value).alias(name)
            for name, value in (labels | {"rule": found.rule, "version": found.version}).items()
        ]
        rows = TABLES["roll_calendars"].conform(found.frame.with_columns(columns))
        old = archive.files("roll_calendars", **labels)
        kept = archive.read("roll_calendars", **labels).filter(pl.col("rule") != found.rule)
        remove += old
        add.append(archive.write("roll_calendars", pl.concat([kept, rows]), **labels))
    archive.commit(add, remove, note=f"roll calendars of {len(add)} markets")


def _choose(archive, root, rule, snapshot):
    found = sources(archive, root, snapshot)
    if not found:
        raise NotStored(f"{root}: nothing is stored; `frontmonth markets` lists what is")
    named = [pair for pair in found if pair == ("vendor_chains", rule)]
    if named:
        return named[0]
    dated = [pair for pair in found if pair[0] == "contract_bars"]
    if rule is not None and not dated:
        raise NotStored(f"{root}: rule {rule!r} needs dated contracts; only the chain of {found[0][1]} is stored")
    return (dated or found)[0]
