"""Which column of a PostgreSQL table is which of ours: told by the user, or known, because the table is one of ours.

A table that `postgres_export` made is recognised by its columns and their types, whatever its name. Of any other table
nothing is guessed: the user maps our names to its columns, and gets a likely map to correct.

================  ==============================================================================================
ours              the table's column
================  ==============================================================================================
contract, code    delivery month: 202403, 20240300, 2024-03, a date on the first of it, or a code (ESH24, ES 03-24)
root, symbol      market; not needed where the code has it, or where one market is told for the whole table
day               trade date of a daily bar: a date, or text or a number like 2024-03-15, 20240315
time              end of a bar: a timestamp, UTC if it has no zone; of daily bars its date is the trade date
open, high, ...   low, close, settle, volume, open_interest: any numeric type, or text
source            where a row comes from, if there are several sources in one table
currency, rate    with day: exchange rates, USD per unit of the currency, in place of bars
================  ==============================================================================================
"""

from dataclasses import dataclass, field
from difflib import get_close_matches

from store import raw
from store.postgres_export import LAYOUTS, columns_of
from store.postgres_link import DatabaseError
from store.tables import TABLES

VALUES = ("open", "high", "low", "close", "settle", "volume", "open_interest")
SAME = {"symbol": "root", "code": "contract"}  # another name of ours
FIELDS = ("root", "contract", "day", "time", *VALUES, "source", "currency", "rate")
KNOWN = "known"  # belongs to the store that a row is in
LIKELY = {  # words in the columns of other people's tables, the likeliest first
    "root": ("root", "symbol", "market", "product", "instrument", "underlying"),
    "contract": ("contract", "code", "ticker", "contract_code", "delivery", "delivery_month", "expiry", "expiration"),
    "day": ("day", "date", "trade_date", "trading_day", "tradedate", "dt"),
    "time": ("time", "ts", "timestamp", "datetime", "bar_time"),
    "open": ("open", "o", "open_price", "px_open"),
    "high": ("high", "h", "high_price", "px_high"),
    "low": ("low", "l", "low_price", "px_low"),
    "close": ("close", "c", "last", "close_price", "px_last", "price", "px"),
    "settle": ("settle", "settlement", "settlement_price", "settle_price", "px_settle"),
    "volume": ("volume", "vol", "v", "qty"),
    "open_interest": ("open_interest", "openinterest", "oi", "open_int"),
    "currency": ("currency", "ccy"),
    "rate": ("rate", "fx", "fx_rate"),
}


@dataclass(frozen=True)
class Plan:
    """How a table is read: `columns` maps our names to its own, in the order in which they are read."""

    table: str  # of the store, or `continuous`
    columns: dict
    order: tuple  # our names by which rows are put in order
    ours: bool = False  # names and prices are the master's already
    types: dict = field(default_factory=dict)  # our names -> PostgreSQL's types

    @property
    def together(self):
        """The columns whose equal values make rows one series."""
        return [name for name in ("source", "root", "currency", "rank", "contract") if name in self.order]


def plan(found, mapping, root=None):
    """How to read a table that was found.

    Parameters
    ----------
    found : Found
    mapping : dict or None
        {ours: theirs}; None or empty for a table of ours.
    root : str, optional
        The market of the whole table.

    Raises
    ------
    DatabaseError
        The map lacks something or names what is not there; or there is none, and the table is not ours.
    """
    if mapping:
        return _mapped(found, mapping, root)
    name = exported(found)
    if name is None:
        guess = ",".join(f"{ours}={theirs}" for ours, theirs in likely(found).items())
        hint = f"a likely map: --map '{guess}'" if guess else "--map OURS=THEIRS,..."
        raise DatabaseError(f"{found}: say which column is which; it has {_listed(found)}; {raw.plain(hint)}")
    wanted = [column for column in LAYOUTS[name].columns if column != KNOWN]
    order = ("source", "root", "day", "rule", "version") if name == "roll_calendars" else LAYOUTS[name].key
    return Plan(name, {column: column for column in wanted}, order, True, found.columns)


def exported(found):
    """Name of the exported table that has exactly these columns; None where it is none of ours."""
    return next((name for name, layout in LAYOUTS.items() if columns_of(layout) == found.columns), None)


def likely(found):
    """The map that a table's columns suggest, {ours: theirs}; each column once."""
    left, guess = dict(found.columns), {}
    for ours, words in LIKELY.items():
        folded = {name.lower().replace(" ", "_"): name for name in reversed(left)}
        theirs = next((folded[word] for word in words if word in folded), None)
        if theirs is not None:
            guess[ours] = theirs
            del left[theirs]
    if "day" not in guess and "time" not in guess:
        dated = [name for name, kind in left.items() if kind.startswith(("date", "timestamp"))]
        guess |= {"day" if left[name] == "date" else "time": name for name in dated[:1]}
    return guess


def _listed(found):
    listed = ", ".join(f"{name} {kind}" for name, kind in found.columns.items())
    return raw.plain(listed, 400) or "no columns"


def _mapped(found, mapping, root):
    columns = {}
    for told, theirs in mapping.items():
        ours = SAME.get(told, told)
        if ours not in FIELDS:
            near = get_close_matches(told, [*FIELDS, *SAME], 1)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join([*FIELDS, *SAME])}"
            raise DatabaseError(f"--map: there is no column {raw.plain(told, 40)!r} of ours: {hint}")
        if ours in columns:
            raise DatabaseError(f"--map: {raw.plain(told, 40)} is told twice")
        columns[ours] = _theirs(found, theirs)
    table = "fx" if "rate" in columns else "contract_bars"
    _complete(found, table, columns, root)
    names = ("source", *(TABLES[table].key[1:] if table == "fx" else ("root", "contract")), "time", "day")
    order = tuple(name for name in dict.fromkeys((*names, *columns)) if name in columns)
    types = {ours: found.columns[theirs] for ours, theirs in columns.items()}
    return Plan(table, {name: columns[name] for name in FIELDS if name in columns}, order, False, types)


def _theirs(found, name):
    """The table's column of that name, upper and lower case alike where only one fits."""
    if name in found.columns:
        return name
    folded = [column for column in found.columns if column.lower() == name.lower()]
    if len(folded) == 1:
        return folded[0]
    near = get_close_matches(name, found.columns, 1)
    hint = f"did you mean {raw.plain(near[0])}?" if near else f"it has {_listed(found)}"
    raise DatabaseError(f"--map: {found} has no column {raw.plain(name, 40)!r}: {hint}")


def _complete(found, table, columns, root):
    """Refuse a map that lacks what each row needs."""
    dated, lacking = {"day", "time"} & columns.keys(), []
    if table == "fx":
        lacking += [] if "currency" in columns else ["currency"]
        lacking += [] if "day" in columns else ["day"]
        other = columns.keys() - {"currency", "day", "rate", "source"}
    else:
        lacking += [] if "contract" in columns else ["contract or code"]
        lacking += [] if dated else ["day or time"]
        lacking += [] if columns.keys() & {*VALUES} else ["settle or close"]
        other = columns.keys() & {"currency"}
    if lacking:
        raise DatabaseError(
            f"--map: which column of {found} is {' and which is '.join(lacking)}? It has {_listed(found)}"
        )
    if other:
        raise DatabaseError(f"--map: {', '.join(sorted(other))} is no column of {table.replace('_', ' ')}")
    if table == "fx" and root is not None:
        raise DatabaseError(f"--root {root}: exchange rates belong to no market")
