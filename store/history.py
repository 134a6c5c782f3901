"""The rolled history of a stored market: its calendar by a rule, and its continuous table, read from one snapshot."""

import polars as pl

from store import continuous, rolls
from store.contracts import Master
from store.tables import TABLES
from store.vendors import VENDORS

DEFAULT = "volume:1"
WITHIN_DAY = ("-minute", "-hour")  # ends of the names of sources whose bars are shorter than a day
SAMPLE = "sample"
ADJUSTMENTS = ("difference", "ratio", "none")
OUT = (
    "time", "day", "source_time", "contract", "open", "high", "low", "close", "settle", "volume", "open_interest",
    "offset", "factor", "adjusted", "next_contract", "next_price", "roll",
)  # fmt: skip


class NotStored(LookupError):
    """Nothing is stored of a market, or not what the rule needs."""


def sources(archive, root, snapshot=None):
    """(table, source) pairs that hold `root`, the one to be read first: dated contracts before chains; real prices
    before simulated ones; then in the order of `VENDORS`."""
    order = {name: k for k, name in enumerate(VENDORS)}
    snapshot = snapshot or archive.head()
    found = []
    for table in ("contract_bars", "vendor_chains"):
        names = {segment.labels["source"] for segment in archive.files(table, snapshot, root=root)}
        found += [(table, name) for name in sorted(names, key=lambda n: (n == SAMPLE, order.get(n, len(order)), n))]
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

    Raises
    ------
    NotStored
        Nothing is stored of the market, or a rule is asked of which only a chain is stored.
    """
    kind, source, rows = _load(archive, root, rule, snapshot)
    return _calendar(archive, root, rule, kind, rows), source


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
        frame = continuous.stitch(rows, _calendar(archive, root, rule, kind, rows))
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
    if not found:
        raise NotStored(f"{root}: nothing is stored; `frontmonth markets` lists what is")
    dated = [pair for pair in found if pair[0] == "contract_bars"]
    own = [pair for pair in found if pair == ("vendor_chains", rule)]
    if rule in VENDORS and not own:
        raise NotStored(f"{root}: no chain of {rule} is stored; its contracts can be rolled by volume or by date")
    if rule is not None and not own and not dated:
        raise NotStored(f"{root}: rule {rule!r} needs dated contracts; only the chain of {found[0][1]} is stored")
    table_, source = (own or dated or found)[0]
    return table_, source, archive.read(table_, snapshot, root=root, source=source)


def _calendar(archive, root, rule, kind, rows):
    if kind == "vendor_chains":
        return rolls.chain_calendar(rows)
    master = Master.load(archive.path)
    return rolls.calendar(rows, master.spec(root) if root in master.roots else None, rule or DEFAULT)
