"""The rolled history of a stored market: its calendar by a rule, and its continuous table, read from one snapshot.

Both are kept in the store's cache and made once (`derived`); what a market's bars are, `held` tells.
"""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from store import continuous, derived, roll_versions, rolls
from store.held import SAMPLE, Bars, bars, desk, sources, spec
from store.roll_rules import UnknownRule, parse_rule
from store.roll_versions import plan

__all__ = [
    "DEFAULT", "OUT", "SAMPLE", "Bars", "NotStored",
    "as_made", "bars", "calendar", "plan", "request", "sources", "spec", "table", "tables",
]  # fmt: skip

DEFAULT = "volume:1"
OUT = (
    "time", "day", "source_time", "contract", "open", "high", "low", "close", "settle", "volume", "open_interest",
    "offset", "factor", "adjusted", "next_contract", "next_price", "roll", "next_days", "roll_yield",
)  # fmt: skip


class NotStored(LookupError):
    """Nothing is stored of a market, or not what the rule needs."""


def calendar(archive, root, rule=None, snapshot=None, rank=0, source=None):
    """The roll calendar of a stored market.

    Parameters
    ----------
    archive : Archive
    root : str
    rule : str, optional
        See `roll_rules`; the name of a vendor whose chain is stored gives the rolls that came with it, that of a stored
        calendar its own. Without one: by volume, or the chain's own where only a chain is stored.
    snapshot : Snapshot or int, optional
        Version of the data; the newest, if not given.
    rank : int
        0: the contract held; n: the n-th listed after it (`ranks`).
    source : str, optional
        Whose bars, or chain, are read; the first of `sources`, if not given.

    Returns
    -------
    RollCalendar, str
        And the source of the prices.

    Raises
    ------
    NotStored
        Nothing is stored of the market, or a rule is asked of which only a chain is stored.
    UnknownRule
        The nearest is told.
    """
    wanted = _wanted(desk(archive, snapshot), root, rule, rank, source)
    if isinstance(wanted, derived.Request):
        return _made([wanted])[0].calendar, wanted.plan.source
    return rolls.chain_calendar(_chain_rows(archive, wanted)), wanted["source"]


def table(archive, root, rule=None, adjust="difference", snapshot=None, rank=0, source=None):
    """The continuous table of a stored market, the newest contract at its market price.

    Parameters
    ----------
    archive, root, rule, snapshot, rank, source
        As of `calendar`.
    adjust : str
        What `adjusted` holds: difference, ratio, forward or none; see `continuous.adjusted`.

    Returns
    -------
    polars.DataFrame
        Columns `OUT`, as `continuous --out` has them; what the source lacks is null.
    """
    return tables(archive, [root], rule, adjust, snapshot=snapshot, rank=rank, source=source).drop("root")


def tables(
    archive,
    roots,
    rule=None,
    adjust="difference",
    start=None,
    end=None,
    snapshot=None,
    rank=0,
    progress=None,
    source=None,
):
    """The continuous tables of several stored markets in one frame.

    Parameters
    ----------
    archive, snapshot, rank, source
        As of `calendar`.
    roots : list of str
    rule : str or dict, optional
        For all of them; or {root: rule}, the rule of all others under "".
    adjust : str
        As of `table`.
    start, end : date or str, optional
        First and last day that is told; the series is adjusted as a whole.
    progress : callable, optional
        Called as `progress(done, total, root)`: making many for the first time takes a while.

    Returns
    -------
    polars.DataFrame
        `root`, then columns `OUT`; market by market in the order of `roots`.
    """
    if adjust not in continuous.METHODS:
        raise ValueError(f"adjustment {adjust!r} is not known; allowed are {', '.join(continuous.METHODS)}")
    known = desk(archive, snapshot)
    rules = rule if isinstance(rule, dict) else {"": rule}
    wanted = [_wanted(known, root, rules.get(root, rules.get("")), rank, source) for root in roots]
    dated = [one for one in wanted if isinstance(one, derived.Request)]
    made = iter(_made(dated, progress))
    first, last = (date.fromisoformat(day) if isinstance(day, str) else day for day in (start, end))
    found = []
    for root, one in zip(roots, wanted, strict=True):
        if isinstance(one, derived.Request):
            frame = next(made).frame
        else:
            frame = continuous.stitch_chain(_chain_rows(archive, one), known.spec(root))
        found.append(_told(frame, adjust, first, last))
    if not found:
        return pl.DataFrame(schema=_SCHEMA)
    places = np.repeat(np.arange(len(roots)), [len(frame) for frame in found])
    return pl.concat(found).insert_column(0, pl.Series("root", list(roots), pl.String)[places])


def request(bars, rule=None, rank=0):
    """The series of `bars` (see `held.bars`) by a rule, as `derived` makes it."""
    rule, given = rule or DEFAULT, None
    try:
        parsed = parse_rule(rule)
    except UnknownRule:  # then the name of a stored calendar, or none at all
        given = plan(bars.archive, bars.root, rule, bars.snapshot)
        parsed = roll_versions.parsed(bars.root, rule, [rule.partition(",")[0].strip()])
        parsed = as_made(parsed, rule, given)
    return derived.Request(bars, str(parsed), rank, given)


def as_made(parsed, text, given):
    """The rule of a stored calendar: contracts are left as by the rule that made it, unless `text` says `exit=`."""
    if "exit=" in text or given is None or "months" not in given.columns:  # a vendor's plan says nothing of that
        return parsed
    own = given["rule"][0]
    return replace(parsed, exit=parse_rule(own, [own.partition(",")[0]]).exit)


def _wanted(found, root, rule, rank, source=None):
    """The request of a series of dated contracts, or {root, source, ...} of a vendor's chain; `found` is a desk."""
    stored = found.sources(root)
    stand_in = not stored and found.bars(root)
    if stand_in:
        stored = [("contract_bars", stand_in.source)]
    if source is not None and stored:
        known, stored = stored, [pair for pair in stored if pair[1] == source]
        if not stored:
            names = ", ".join(name for _, name in known)
            raise NotStored(f"{root}: no rows of source {source!r} are stored; there are {names}")
    if not stored:
        raise NotStored(f"{root}: nothing is stored; `frontmonth markets` lists what is")
    dated = [pair for pair in stored if pair[0] == "contract_bars"]
    own = [pair for pair in stored if pair == ("vendor_chains", rule)]
    if _of_vendor(rule) and not own and rule not in roll_versions.named(found.archive, root, found.snapshot):
        raise NotStored(f"{root}: no chain of {rule} is stored; its contracts can be rolled by volume or by date")
    if rule is not None and not own and not dated:
        chains = " and ".join(source for _, source in stored)
        raise NotStored(f"{root}: rule {rule!r} needs dated contracts; only the chain of {chains} is stored")
    kind, source = (own or dated or [_named(found, root, stored)])[0]
    if kind == "contract_bars":
        return request(stand_in or found.bars(root, source), rule, rank)
    return {"root": root, "source": source, "snapshot": found.snapshot, "rank": rank}


def _named(found, root, stored):
    """Of several chains the first that says which contracts it holds; the first where none does."""
    for kind, source in stored if len(stored) > 1 else ():
        rows = found.archive.read(kind, found.snapshot, columns=["price_contract"], root=root, source=source)
        if rows["price_contract"].null_count() < len(rows):
            return kind, source
    return stored[0]


def _made(requests, progress=None):
    """Their series; NotStored where no bar has a price."""
    made = derived.series(requests, progress)
    for one, found in zip(requests, made, strict=True):
        if not found.calendar.first:
            raise NotStored(f"{one.plan.root}: no stored row has a price, only volume or open interest")
    return made


def _chain_rows(archive, wanted):
    """Rows of a vendor's chain, of the rank that is asked for."""
    root, source = wanted["root"], wanted["source"]
    rows = archive.read("vendor_chains", wanted["snapshot"], root=root, source=source)
    found = rows.filter(pl.col("rank").fill_null(1) == wanted["rank"] + 1)
    if found.is_empty():
        raise NotStored(f"{root}: the chain of {source} has no rank {wanted['rank']}, the n-th after what it holds")
    return found


def _told(frame, adjust, first, last):
    """The columns `OUT` of the rows of these days; in few steps, as there are many markets."""
    adjusted = continuous.adjusted(frame, adjust)
    frame = pl.DataFrame([adjusted if name == "adjusted" else frame[name] for name in OUT])
    if first is None and last is None:
        return frame
    days = frame["day"].to_numpy()
    if (days[1:] < days[:-1]).any():
        return frame.filter(pl.col("day").is_between(first or date.min, last or date.max))
    low = 0 if first is None else days.searchsorted(np.datetime64(first))
    return frame[low : len(days) if last is None else days.searchsorted(np.datetime64(last), side="right")]


_SCHEMA = {"root": pl.String} | {name: continuous.SCHEMA[name] for name in OUT}


def _of_vendor(rule):
    from store.vendors import VENDORS  # here, for a run that reads kept arrays needs none of the readers

    return rule in VENDORS
