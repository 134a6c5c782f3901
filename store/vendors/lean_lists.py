"""The lists of a LEAN data folder: margins, universes, map files and the interest rate; and those that are left out.

1. Margins (`margins/ES.csv`: date, initial, maintenance). A file that says in a comment that it has no history holds
   one figure of today, dated 1990: it is left out. If it has more rows than one, they are at fault.
2. Universes (`universes/es/20200102.csv`: a row a contract) hold the session after the day in their name, and the open
   interest that was published after it: all of the repository's that can be compared with its daily bars do. Their
   rows are given to that session, by the master's calendar. Their bars are of all hours, other than those of the daily
   zips, so they are a source of their own.
3. Map files (`map_files/es.csv`) name the contract held up to a day, for four rules of mapping; a roll is the last day
   of a contract that has a next one in the file. A contract is named by its expiry in an identifier of base 36.
4. The rate (`interest-rate/usa/interest-rate.csv`) is the primary credit rate, in percent, from its day on.
"""

import re
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl

from store import days, raw
from store.contracts import Master, last_trade
from store.reading import Reading, daily

NAME, UNIVERSE = "lean", "lean-universe"
RULES = {"0": "lean:last-trade", "1": "lean:first-of-month", "2": "lean:oi", "3": "lean:oi-annual"}
MARGINS = {"initial": "initial", "maintenance": "maintenance"}
BARS = ("open", "high", "low", "close", "volume", "open_interest")
MAP = ["day", "identifier", "exchange", "mode"]
FUTURE = 5  # SecurityType, the last two digits of an identifier; its days since 1899-12-30 stand before 14 digits
OPEN_END = 2050  # year of the line that says: and so on
NEAR = 7  # days by which our last trade may differ from the identifier's expiry: holidays
_KINDS = {
    "margins": (r"\w{1,6}\.csv", rb"(?:#[^\n]*\n)*date,initial,maintenance\s+(?:#[^\n]*\n)*\d{8},"),
    "universe": (r"\d{8}\.csv", rb"#expiry,open,high,low,close,volume,open_interest\s"),
    "map": (r"\w{1,6}\.csv", rb"\d{8},([a-z0-9]+),\w+\s+\d{8},[a-z0-9]+ [a-z0-9]{10,14},\w+,[0-3]\s"),
    "rate": (r"interest-rate\.csv", rb"DATE,\w+\s"),
    "factor file": (r"\w{1,6}\.csv", rb'\{"Date":'),
    "symbol properties": (r"symbol-properties-database\.csv", rb"market,symbol,type,"),
    "security identifiers": (r"security-database\.csv", rb"(?:#[^\n]*\n)*\w+ [A-Z0-9]{8,14},"),
    "market hours": (r"market-hours-database\.json", rb"\s*\{"),
}
_LEFT_OUT = {
    "factor file": "scales of LEAN's continuous series; series are joined here from the contracts",
    "symbol properties": "multipliers and ticks come from the contract master (config/contracts.csv)",
    "security identifiers": "they are of shares",
    "market hours": "sessions come from the contract master",
}
_COMPILED = {kind: (re.compile(name), re.compile(start)) for kind, (name, start) in _KINDS.items()}


def kind(part):
    """Which of the lists a part is; None if it is none."""
    for found, (name, start) in _COMPILED.items():
        if name.fullmatch(part.name) and start.match(part.data):
            return found
    return None


def read(file, parts):
    """The rows of lists as a `Reading` a part."""
    readers = {"margins": _margins, "map": _rolls, "rate": _rate, "universe": lambda part: _universe(part, file)}
    for part in parts:
        if kind(part) in _LEFT_OUT:
            raise raw.LeftOut(part.place, f"LEAN's {kind(part)}, not imported: {_LEFT_OUT[kind(part)]}")
    return [readers[kind(part)](part) for part in parts]


def _root(part):
    return part.name.split(".")[0].upper()


def _without_comments(frame):
    return frame.filter(~pl.col("raw").str.starts_with("#"))


def _comments(lines):
    """How many lines stand before the header."""
    return next(n for n, line in enumerate(lines) if not line.startswith("#"))


def _margins(part):
    frame = _without_comments(raw.table([part], ["date", *MARGINS], skip=_comments))
    for text, name in MARGINS.items():
        frame = raw.number(frame.rename({text: f"{text} text"}), f"{text} text", name)
    frame = raw.stamp(frame, "date", "%Y%m%d")
    if b"historical" in part.data.split(b"date,")[0]:
        if frame.height == 1:
            raise raw.LeftOut(part.place, "margins of today alone, as the file's comment says: no history")
        frame = raw.blame(frame, "date", pl.lit(True), "a placeholder, as the file's comment says, not a history")
    frame = frame.with_columns(pl.col("stamp").dt.date().alias("day"), pl.lit(part.place).alias("file"))
    return Reading("margins", NAME, _root(part), frame, {"day": "date"})


def _universe(part, file):
    folder = file.path.parent if file.path.suffix else file.path
    root = folder.name.upper()
    frame = raw.month(raw.table([part], ["#expiry", *BARS]), "#expiry", "contract")
    for name in BARS:
        frame = raw.number(frame.rename({name: f"{name} text"}), f"{name} text", name)
    none = pl.all_horizontal(pl.col("open", "high", "low", "close", "volume") == 0) & (
        pl.col("open_interest text") == ""
    )
    frame = raw.blame(frame, "#expiry", none, "a contract without a bar, for which LEAN writes zeros")
    try:
        written = date.fromisoformat(f"{part.name[:4]}-{part.name[4:6]}-{part.name[6:8]}")
    except ValueError:
        raise raw.Unreadable(f"{part.place}: its name is no day YYYYMMDD.csv") from None
    frame = frame.with_columns(
        pl.lit(_session_after(written, root)).alias("day"),
        pl.lit(part.name[:8]).alias("source_time"),
        pl.lit(part.place).alias("file"),
    )
    return Reading("contract_bars", UNIVERSE, root, daily(frame), {"contract": "#expiry"}, partial=True)


def _session_after(day, root):
    spec = _spec(root)
    return days.shift(spec.calendar, day, 1) if spec else days.to_session(day + timedelta(days=1))


@cache
def _spec(root):
    """The master's facts of what LEAN calls `root`; None where it has none."""
    master = Master.load()
    alias = master.alias(NAME, root)
    root = alias.root if alias else root
    return master.spec(root) if root in master.roots else None


def _rolls(part):
    root = _root(part)
    frame = raw.stamp(raw.table([part], MAP, header=MAP, skip=lambda lines: 1), "day", "%Y%m%d")
    found = {text: contract(text.split(" ")[-1], root) for text in frame["identifier"].drop_nulls().unique()}
    frame = frame.with_columns(
        pl.col("stamp").dt.date().alias("day"),
        pl.col("mode").replace_strict(RULES, default=None).alias("rule"),
        pl.col("identifier").replace_strict(found, default=None, return_dtype=pl.Int32).alias("from_contract"),
        pl.lit(part.place).alias("file"),
    )
    frame = raw.blame(frame, "mode", pl.col("rule").is_null() & pl.col("mode").is_not_null(), "no mode 0 to 3")
    unread = pl.col("from_contract").is_null() & pl.col("identifier").is_not_null()
    frame = raw.blame(frame, "identifier", unread, "no future's identifier")
    fine = pl.col("fault").is_null()
    good = frame.filter(fine).sort("rule", "day", maintain_order=True)
    good = good.with_columns(pl.col("from_contract").shift(-1).over("rule").alias("to_contract"))
    last = pl.col("to_contract").is_null()
    open_end = last & (pl.col("day").dt.year() >= OPEN_END)
    good = good.with_columns(pl.when(open_end).then(pl.lit("no_value")).alias("idle"))
    good = raw.blame(good, "identifier", last & ~open_end, "the file's last: the next is not told")
    frame = pl.concat([good, frame.filter(~fine)], how="diagonal").sort("line")
    if frame.height == (idle := frame["idle"].count()):
        raise raw.Unreadable(f"{part.place}: no roll: each mode names one contract that is held on")
    notes = ((part.place, f"lines that say that a contract is held on, which are no rolls: {idle}"),) if idle else ()
    heads = dict.fromkeys(("from_contract", "to_contract"), "identifier")
    return Reading("roll_calendars", NAME, root, frame, heads, notes=notes)


def contract(identifier, root):
    """Contract of a symbol identifier of base 36: days since 1899-12-30, then 14 digits, the last two the type.

    The expiry is the last day of trading; which delivery month that ends is the master's rule, for crude oil the next.
    A market that the master does not know is taken to end in its delivery month.

    >>> contract("uik2f7cj4v0h", "ES")
    200912
    """
    expiry = _expiry(identifier)
    if expiry is None:
        return None
    here, spec = expiry.year * 12 + expiry.month - 1, _spec(root)
    months = [n // 12 * 100 + n % 12 + 1 for n in range(here - 1, here + 4)]
    if spec is None:
        return months[1]
    apart = {month: abs((last_trade(spec, month) - expiry).days) for month in months}
    nearest = min(apart, key=apart.get)
    return nearest if apart[nearest] <= NEAR else None


def _expiry(identifier):
    try:
        number = int(identifier, 36)
    except ValueError:
        return None
    return date(1899, 12, 30) + timedelta(days=number // 10**14 % 10**5) if number % 100 == FUTURE else None


def _rate(part):
    column = part.header().split(",")[1]
    frame = raw.number(raw.table([part], ["DATE", column]), column, "percent", ("", "."))
    frame = raw.stamp(frame, "DATE", "%Y-%m-%d")
    fractions = pl.Series("rate", frame["percent"].cast(pl.Float64).to_numpy() / np.float64(100)).fill_nan(None)
    frame = frame.with_columns(pl.col("stamp").dt.date().alias("day"), fractions, pl.lit(part.place).alias("file"))
    return Reading("rates", NAME, "USD", frame, {"day": "DATE", "rate": column})
