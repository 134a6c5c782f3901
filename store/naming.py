"""Whose rows they are: a vendor's name of a market into the master's, and his units into ours; nothing is guessed.

A market that the master does not know keeps its vendor's name and units (DESIGN 8).
"""

from difflib import get_close_matches

import polars as pl

from store import raw, row_rules
from store.contracts import UnknownRoot
from store.segments import NAME
from store.tables import TABLES

BELOW_ZERO = ("energy",)  # sectors that may trade at or below zero: CME Group advisory 20-152 of 2020-04-03
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


def of_one_market(readings, root):
    """The readings, if all that they hold can be stored under one `root`."""
    readings = list(readings)
    names = sorted({reading.name for reading in readings})
    if any(axis(reading.table) != "root" for reading in readings):
        raise raw.Unreadable(f"--root {root}: this file holds no market but {', '.join(names)}")
    if len(names) > 1:
        raise raw.Unreadable(f"--root {root}: this file holds {len(names)} markets, {raw.plain(', '.join(names), 80)}")
    return readings


def translated(reading, root, master, notes):
    """The name in the store, the rows in the master's units, and their rules; an unknown market keeps name and units.

    `root` (or None) goes before the vendor's name; what the user should look at is added to `notes`.
    """
    frame = reading.frame
    if axis(reading.table) == "currency":
        return reading.name, frame, row_rules.RULES_OF[reading.table]()
    alias = master.alias(reading.vendor, reading.name)
    name = root or (alias.root if alias else reading.name)
    if alias and alias.root == name:
        frame = _in_our_units(frame, reading, alias, master)
    if name not in master.roots:
        notes.append(_stranger(name, reading, master))
    if reading.table != "contract_bars":
        return name, frame, row_rules.RULES_OF[reading.table]()
    negative = name not in master.roots or master.spec(name).sector in BELOW_ZERO
    return name, frame, row_rules.bar_rules(negative)


def _in_our_units(frame, reading, alias, master):
    """Prices times the vendor's factor, which may have changed on a day (DOMAIN T37)."""
    prices, days = pl.col([c for c in PRICES if c in frame.columns]), frame["day"].drop_nulls()
    if days.is_empty() or master.alias(reading.vendor, reading.name, days.min()) is alias:  # one factor for all days
        return frame if alias.factor == 1.0 else frame.with_columns(prices * alias.factor)
    found = {day: master.alias(reading.vendor, reading.name, day) or alias for day in days.unique()}
    factor = pl.col("day").replace_strict({day: a.factor for day, a in found.items()}, default=1.0)
    return frame.with_columns(prices * factor)


def _stranger(name, reading, master):
    """A note on a market that the master does not know: what it may be, never guessed."""
    known = {root: root for root in master.roots}
    known |= {n: root for root in master.roots for vendor, n in master.aliases(root) if vendor == reading.vendor}
    near = get_close_matches(name, known, 1, 0.8)
    hint = (
        f"; near it is {near[0]} ({known[near[0]]}): --root, or a row of symbols.csv, if that is meant" if near else ""
    )
    return f"{name} is no market of the master: stored under that name, in the vendor's units{hint}"
