"""Rows that a source lacks, taken from a second one: by rule, row by row, marked, and never silently.

1. Filled are daily rows, on sessions between two own rows of a contract, where the other source has a row of the same
   contract. What was itself filled is neither taken nor leant on.
2. On the own rows next to the gap, before and after, the two sources must be within `ticks` ticks of each other; a gap
   longer than `limit` sessions stays. Each gap that stays is told with the reason.
3. A filled row has `filled_from` and `known`, and the call is a decision in the log. A later row of the source itself
   replaces it (store/merge.py); `unfill` takes all of them out.

Findings are not made anew: the next check no longer has those of a gap that was filled.
"""

import numpy as np
import polars as pl

from store import decisions, history, segments
from store.contracts import Master
from store.coverage import busdays
from store.days import DAY
from store.naming import WITHIN_DAY
from store.tables import TABLES

TICKS = 2.0  # how far two sources of one settlement may stand apart: each may round it
LIMIT = 20  # sessions: a month; a longer hole is another history, not a gap
PRICED = pl.coalesce("settle", "close").is_not_null()


def fill(archive, root, source, other, reason, ticks=TICKS, limit=LIMIT, author=None, dry_run=False):
    """Fill rows that `source` lacks from `other`, in one commit.

    Parameters
    ----------
    archive : Archive
    root : str
    source : str or None
        None: the one that a run reads first.
    other : str
        Another source of dated contracts of the same market.
    reason : str
        Kept in the log.
    ticks : float
        How far the two may stand apart beside a gap.
    limit : int
        Longest gap to be filled. [sessions]
    author : str, optional
    dry_run : bool
        Only tell.

    Returns
    -------
    dict
        root, source, other, `filled` (rows), `contracts`, `first_day`, `last_day`, `decision` (id; None where nothing
        was filled, or only told) and `refused`, a sentence for each gap that stays.

    Raises
    ------
    Refused
        No such source, bars within the day, a market without a known tick, or no reason.
    Conflict
        Another writer changed the market meanwhile; nothing was changed.
    """
    head, spec = archive.head(), _spec(archive, root)
    source, other = _source(archive, head, root, source), _source(archive, head, root, other)
    if source == other:
        raise segments.Refused(f"{root}: {source} cannot be filled from itself; name another source")
    rule = f"{_rule_of(source)}gaps to {limit} sessions, within {ticks:g} ticks"
    made = decisions.entry("fill", reason, author, rule=rule, root=root, source=other)
    own, theirs = (archive.read("contract_bars", head, root=root, source=name) for name in (source, other))
    keys, stay = _gaps(own, theirs, spec, ticks, limit)
    rows = _rows(theirs, keys, own, made, source)
    done = rows.height and not dry_run
    if done:
        decisions.record(archive, head, [made], *_replaced(archive, head, pl.concat([own, rows]), root, source))
    return {
        "root": root,
        "source": source,
        "other": other,
        "filled": rows.height,
        "contracts": rows["contract"].n_unique(),
        "first_day": rows["day"].min(),
        "last_day": rows["day"].max(),
        "decision": made["id"] if done else None,
        "refused": stay,
    }


def unfill(archive, root, source, reason, author=None):
    """Take all filled rows of a source out again and revoke the decisions that filled them, in one commit.

    Returns
    -------
    dict
        root, source, `removed` (rows) and `revoked` (ids of decisions).
    """
    head = archive.head()
    source = _source(archive, head, root, source)
    own = archive.read("contract_bars", head, root=root, source=source)
    kept = own.filter(pl.col("filled_from").is_null())
    fills = decisions.in_force(archive, head).filter(
        (pl.col("action") == "fill") & (pl.col("root") == root) & pl.col("rule").str.starts_with(_rule_of(source))
    )["id"].to_list()  # fmt: skip
    removed = own.height - kept.height
    about = fills or ([None] if removed else [])  # filled rows may come from another store, without its log
    entries = [decisions.entry("revoke", reason, author, finding=one, root=root) for one in about]
    decisions.record(archive, head, entries, *(_replaced(archive, head, kept, root, source) if removed else ()))
    return {"root": root, "source": source, "removed": removed, "revoked": fills}


def _rule_of(source):
    """How the rule of a fill begins: with the source that is filled."""
    return f"{source}: "


def _source(archive, head, root, name):
    """A source of dated daily contracts of a market; the first one for None."""
    found = [source for table, source in history.sources(archive, root, head) if table == "contract_bars"]
    if not found:
        raise history.NotStored(f"{root}: no dated contracts are stored")
    name = segments.choose(name or found[0], found, f"source of {root} with dated contracts")
    if name.endswith(WITHIN_DAY):
        raise segments.Refused(f"{root}: {name} has bars within the day; only daily rows are filled")
    return name


def _spec(archive, root):
    master = Master.load(archive.path)
    if root not in master.roots:
        raise segments.Refused(f"{root}: no tick is known to compare prices by; add its facts to contracts.csv")
    return master.spec(root)


def _gaps(own, theirs, spec, ticks, limit):
    """(contract, day) of the rows to be filled, and a sentence on each gap that stays."""
    real = pl.col("filled_from").is_null()
    mine, other = (_marks(frame.filter(real & PRICED)) for frame in (own, theirs))
    filled = set(own.filter(~real).select("contract", "day").iter_rows())
    bare = set(own.filter(real & ~PRICED).select("contract", "day").iter_rows())
    found, stay = [], []
    for contract in sorted(mine.keys() & other.keys()):
        for before, hole, after in _holes(mine[contract], busdays(spec)):
            days = [day for day in hole if day in other[contract] and (contract, day) not in filled]
            beside = [(day, mine[contract][day], other[contract].get(day)) for day in (before, after)]
            wrong = _wrong(beside, spec.tick, ticks)
            if len(hole) > limit:
                wrong = f"longer than {limit} sessions"
            elif any((contract, day) in bare for day in days):
                wrong = "it has rows without a price"
            if wrong and days:
                stay.append(f"{contract}, gap of {len(hole)} after {before}: {wrong}")
            elif days:
                found += [(contract, day) for day in days]
    return found, stay


def _marks(frame):
    """{contract: {day: (settle, close)}}, the last row of a day, days ascending."""
    out = {}
    for contract, day, *mark in frame.sort("time").select("contract", "day", "settle", "close").iter_rows():
        out.setdefault(contract, {})[day] = mark
    return out


def _holes(marks, calendar):
    """(own day before, sessions without a row, own day after) of each gap of a contract."""
    days = np.array(sorted(marks), "datetime64[D]")
    lacking = np.busday_count(days[:-1] + DAY, days[1:], busdaycal=calendar)
    for place in np.flatnonzero(lacking > 0):
        between = np.arange(days[place] + DAY, days[place + 1])
        hole = between[np.is_busday(between, busdaycal=calendar)]
        yield days[place].item(), hole.tolist(), days[place + 1].item()


def _wrong(beside, tick, ticks):
    """Why the sources cannot be trusted to be of one price, '' if they can; `beside` are (day, ours, theirs)."""
    for day, ours, theirs in beside:
        if theirs is None:
            return f"the other has no row on {day} to compare with"
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
        a, b = pairs[0] if pairs else (next(x for x in mark if x is not None) for mark in (ours, theirs))
        if abs(a - b) > (ticks + 1e-9) * tick:
            return f"on {day} it has {a:g}, the other {b:g}"
    return ""


def _rows(theirs, keys, own, made, source):
    """The rows of the other source for these contracts and days, as rows of `source`."""
    wanted = pl.DataFrame(keys, {"contract": pl.Int32, "day": pl.Date}, orient="row")
    last = theirs.filter(pl.col("filled_from").is_null() & PRICED).sort("time").group_by("contract", "day").last()
    end = (own["time"] - own["day"].cast(pl.Datetime("us")).dt.replace_time_zone("UTC")).mode().min()
    rows = last.join(wanted, on=["contract", "day"], how="semi").with_columns(
        source=pl.lit(source),
        time=pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.lit(end),
        filled_from=pl.lit(made["source"]),
        known=pl.lit(made["time"]),
    )
    return TABLES["contract_bars"].conform(rows.select(*TABLES["contract_bars"].columns))


def _replaced(archive, head, rows, root, source):
    """Files to add and to remove so that `rows` are all of a market and source."""
    labels = {"source": source, "root": root}
    rows = rows.sort(TABLES["contract_bars"].key)
    return [archive.write("contract_bars", rows, **labels)], archive.files("contract_bars", head, **labels)
