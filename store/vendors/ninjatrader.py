"""NinjaTrader's historical data of a contract: `ES 03-24.Last.txt`, semicolons, no header.

`20240102 080000;4790.25;4791;4790;4790.5;812` a minute, `20240102;…` a day; also tables of it with a header
`timestamp_utc,open,high,low,close,volume` (`;` too, and a column `pricetype`), such as `6EH4.XCME_1min.csv`.

1. Stamps are UTC and the end of the bar, as NinjaTrader 8 exports them.
2. Only trades are taken: files of bids and asks are refused, rows of them kept apart.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily

NAME = "ninjatrader"
ABOUT = About(
    title="NinjaTrader, minute or daily bars of a contract",
    files="one text file a contract, ES 03-24.Last.txt, or a CSV with a header such as 6EH4.XCME_1min.csv",
    gives="open, high, low, last trade and volume of each bar",
    export="Tools, Historical Data, Export: Last, minute or day, time zone UTC; semicolons as they come",
    lacks="no settlement and no open interest; files of bid or ask are refused; NinjaTrader 7 wrote local time",
)
FIELDS = ("stamp", "open", "high", "low", "close", "volume")
HEADER = ("timestamp_utc", *FIELDS[1:])
_FILE = re.compile(r"(?P<code>[A-Z0-9]+ \d\d-\d\d|[A-Z0-9]{1,3}[FGHJKMNQUVXZ]\d{1,2})(?:[. _](?P<rest>.*))?\.(txt|csv)")
_LINE = re.compile(r"\d{8}( \d{6})?(;[-+0-9.eE]+){5}")
_PATTERNS = {("stamp", True): "%Y%m%d %H%M%S", ("stamp", False): "%Y%m%d"}
_QUOTES = re.compile(r"(Bid|Ask)", re.IGNORECASE)


def recognises(file):
    """Whether each part is named after a contract and begins as such a file does."""
    return all(_FILE.fullmatch(part.name) and _layout(part) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market and length of bar."""
    layouts = bars.grouped((_layout(part), part) for part in file.parts)
    return [reading for layout, parts in layouts.items() for reading in _read(layout, parts)]


def _layout(part):
    """(separator, column of the stamp, whether there is an hour, whether there is a price type), or None."""
    first = part.header()
    if _LINE.fullmatch(first):
        return ";", "stamp", " " in first, False
    separator = ";" if ";" in first else ","
    fields = tuple(first.split(separator))
    if fields[:6] != HEADER or fields[6:] not in ((), ("pricetype",)):
        return None
    return separator, HEADER[0], True, fields[6:] != ()


def _read(layout, parts):
    names = [_FILE.fullmatch(part.name) for part in parts]
    for part, match in zip(parts, names, strict=True):
        if layout is None or match is None:
            raise raw.Unreadable(
                f"{part.place}: not NinjaTrader's: ES 03-24.Last.txt with lines 20240102 080000;open;high;low;close;"
                "volume is wanted"
            )
        if _QUOTES.search(match["rest"] or ""):
            raise raw.Unreadable(f"{part.place}: bids or asks, no trades; export Last")
    separator, stamp, hours, typed = layout
    fields = (stamp, *FIELDS[1:], *(("pricetype",) if typed else ()))
    frame = raw.table(parts, fields, separator, header=list(fields) if stamp == "stamp" else None)
    if typed:
        frame = raw.blame(frame, "pricetype", pl.col("pricetype") != "Last", "no trade")
    return _bars(frame, parts, [match["code"] for match in names], stamp, hours)


def _bars(frame, parts, written, stamp, hours):
    text = stamp if stamp != "stamp" else "written"
    frame = bars.numbers(frame.rename({stamp: text}), {name: name for name in FIELDS[1:]})
    frame = raw.stamp(frame, text, _PATTERNS.get((stamp, hours), "%Y-%m-%d %H:%M:%S"))
    frame = frame.with_columns(pl.col(text).alias("source_time"), pl.col("stamp").dt.date().alias("day"))
    frame = bars.by_name(frame, parts, written)
    frame = bars.moment(frame, text, "UTC").drop("day") if hours else daily(frame)
    headings = {"time": text, "day": text, "contract": "file name"}
    groups = frame.partition_by("name", as_dict=True, maintain_order=True)
    return [
        Reading("contract_bars", bars.source(NAME, bars.minutes(rows)) if hours else NAME, name, rows, headings)
        for (name,), rows in groups.items()
    ]
