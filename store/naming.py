"""Whose rows they are: a vendor's name of a market into the master's, and his units into ours; nothing is guessed.

A market that the master does not know keeps its vendor's name and units (DESIGN 8). Rows that a store exported have the
master's already.
"""

import re
from datetime import date
from difflib import get_close_matches

import polars as pl

from store import raw, row_rules
from store.contracts import Alias, UnknownRoot
from store.days import to_session, trade_date
from store.segments import NAME
from store.tables import TABLES

SESSION = ("America/Chicago", "17:00")  # of a market that the master does not know: most futures' one
WITHIN_DAY = ("-minute", "-hour")  # ends of the sources whose bars are shorter than a day
LISTED = 40  # names of markets in one sentence
LONG = 6  # letters from which on a name of another vendor's is near by its spelling and not by chance
UNKNOWN = Alias("", 1.0, "")
LENGTH = re.compile(r"(?:-\d+)?(?:-minute|-hour)$")  # with the number of minutes or hours, as `-5-minute`
PRICES = ("open", "high", "low", "close", "settle", "price", "carry", "forward")


def root_named(name, master):
    """A root of the master, or a name that can be one."""
    try:
        return master.resolve(name)
    except UnknownRoot as error:
        if not NAME.fullmatch(name) or "more than one" in str(error):
            raise
        return name


def axis(table):
    """What the rows of a table are grouped by."""
    return "root" if "root" in TABLES[table].columns else "currency"


def of_one_market(readings, root, several=False):
    """The readings, if all that they hold can be stored under one `root`; of `several` files at once their names are
    for the caller to compare."""
    readings = list(readings)
    names = sorted({reading.name for reading in readings})
    if any(axis(reading.table) != "root" for reading in readings):
        raise raw.Unreadable(f"--root {root}: this file holds no market but {', '.join(names)}")
    if len(names) > 1 and not several:
        raise raw.Unreadable(f"--root {root}: this file holds {len(names)} markets, {raw.plain(', '.join(names), 80)}")
    return readings


def vendor_of(source):
    """The vendor whose bars within the day go by another name, as `barchart-hour`.

    >>> vendor_of("barchart-hour"), vendor_of("firstrate-5-minute"), vendor_of("barchart")
    ('barchart', 'firstrate', 'barchart')
    """
    return LENGTH.sub("", source)


def translated(reading, root, master, notes, strangers, ask=None):
    """The rows by market, in the master's units.

    Parameters
    ----------
    reading : Reading
    root : str or None
        Goes before the vendor's name.
    master : Master
    notes : list
        Gets a sentence on each unknown market whose name is near a known one.
    strangers : list
        Gets the names of the other unknown markets. All of them keep name and units.
    ask : callable(name, near), optional
        The root that a user means by a name which the master does not know but which is near that of the root `near`,
        or one that the name once meant; None keeps the name.

    Returns
    -------
    list of (str, DataFrame, list of Rule)
        Name in the store, rows and their rules: one, but where a name came to mean another market on some day.
    """
    if axis(reading.table) == "currency":
        return [(reading.name, reading.frame, _rules(reading.table))]
    vendor, found = vendor_of(reading.vendor), []
    parts = [(reading.name, reading.frame)]
    if not reading.ours:
        parts = _by_meaning(reading.frame, vendor, reading.name, master)
    if root is not None and [name for name, _ in parts] != [root]:
        parts = [(root, reading.frame)]
    for name, rows in parts:
        name = name or _own(reading.name, vendor, master, ask)
        if name not in master.roots and not reading.ours:
            near = _near(name, vendor, master)
            (notes if near else strangers).append(_hint(name, *near) if near else name)
        found.append((name, _dated(rows, reading, name, master), _rules(reading.table, name, master)))
    return found


def _by_meaning(frame, vendor, name, master):
    """(market, rows in the master's units): what the vendor means by a name may change on a day, and so may his unit
    (DOMAIN T37). A market that the master does not know is ''."""
    now = master.alias(vendor, name)
    days = frame["day"].drop_nulls() if "day" in frame.columns else pl.Series([], dtype=pl.Date)
    meant = {day: master.alias(vendor, name, day) or now for day in (days.min(), days.max()) if day}
    if all(alias is now for alias in meant.values()):
        return [(now.root if now else "", _times(frame, now.factor) if now and now.factor != 1.0 else frame)]
    meant = {day: master.alias(vendor, name, day) or now or UNKNOWN for day in days.unique()}
    day = pl.col("day")
    frame = _times(frame, day.replace_strict({d: a.factor for d, a in meant.items()}, default=1.0))
    root = day.replace_strict(
        {d: a.root for d, a in meant.items()}, default=meant[days.max()].root, return_dtype=pl.String
    )
    parts = frame.with_columns(root.alias("meant")).partition_by("meant", as_dict=True, include_key=False)
    return [(root, rows) for (root,), rows in parts.items()]


def _times(frame, factor):
    return frame.with_columns(pl.col([c for c in PRICES if c in frame.columns]) * factor)


def _dated(frame, reading, name, master):
    """The frame with `day`, the trade date, of bars within the day: those on a holiday are the next session's."""
    dated = "day" in frame.columns
    if "time" not in frame.columns or (dated and (reading.ours or vendor_of(reading.vendor) == reading.vendor)):
        return frame
    spec = master.spec(name) if name in master.roots else None
    if dated:  # by a layout's own session, which knows no holiday
        days = frame["day"].drop_nulls().unique()
        dates = to_session(days.to_numpy(), spec.calendar, spec.extra) if spec else days
        return frame.with_columns(pl.col("day").replace(days, pl.Series(dates, dtype=pl.Date)))
    moments = frame["time"].drop_nulls().unique().sort()
    place = (spec.timezone, spec.session_start, spec.calendar, spec.extra) if spec else SESSION
    dates = trade_date(moments.dt.replace_time_zone(None).to_numpy(), *place)
    known = pl.DataFrame({"time": moments, "day": pl.Series(dates, dtype=pl.Date)})
    return frame.join(known, on="time", how="left", maintain_order="left")


def _rules(table, name=None, master=None):
    if table not in ("contract_bars", "vendor_chains"):
        return row_rules.RULES_OF.get(table, list)()
    rules = row_rules.bar_rules if table == "contract_bars" else row_rules.RULES_OF[table]
    if name not in master.roots:
        return rules(True)
    facts = master.facts(name, "negative_prices")
    return rules(tuple((fact.valid_from, fact.value) for fact in facts) or False)


def _near(name, vendor, master):
    """(name that the master knows, its root): what this one once meant, what another vendor means by it, or the
    nearest of this vendor's and, long enough, of others; None where none is near."""
    once = master.alias(vendor, name, date.min)
    if once:
        return f"{name} of earlier days", once.root
    named = [(v, n, root) for root in master.roots for v, n in master.aliases(root)]
    same = {root: f"{v}'s {n}" for v, n, root in named if n == name}
    if len(same) == 1:
        return next((told, root) for root, told in same.items())
    known = {n: (f"{v}'s {n}", root) for v, n, root in named if len(n) >= LONG}
    known |= {n: (n, root) for v, n, root in named if v == vendor} | {root: (root, root) for root in master.roots}
    near = get_close_matches(name, known, 1, 0.8)
    return known[near[0]] if near else None


def _own(name, vendor, master, ask):
    """The root meant by a name that is none of the vendor's known ones: what somebody answers, or the name itself."""
    near = _near(name, vendor, master) if ask and name not in master.roots else None
    return (near and ask(name, near[1])) or name


def told(strangers):
    """A sentence on markets that the master does not know.

    >>> told(["AW", "BWF"])
    "2 markets are unknown to the master, stored under their own names and in the vendor's units: AW, BWF"
    """
    if len(strangers) == 1:
        return f"{strangers[0]} is no market of the master: stored under that name, in the vendor's units"
    names = ", ".join(strangers[:LISTED]) + (", ..." if len(strangers) > LISTED else "")
    return (
        f"{len(strangers)} markets are unknown to the master, stored under their own names and in the vendor's units: "
        f"{names}"
    )


def _hint(name, near, root):
    """A sentence on an unknown market: what it may be, never guessed."""
    return f"{told([name])}; near it is {near} ({root}): --root, or a row of symbols.csv, if that is meant"
