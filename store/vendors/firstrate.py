"""FirstRate Data's bars within the day of a contract: `NQZ08.txt`, `ES_H24_1min.txt`; commas, no header.

`2008-09-15 09:30:00,open,high,low,close,volume`: clock of New York, start of the bar. A minute without a trade has no
row. Its daily files (a date without an hour, open interest at the end) are another reader's.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading

NAME = "firstrate"
ABOUT = About(
    title="FirstRate Data, bars within the day of single contracts",
    files="one text file a contract, NQZ08.txt or ES_H24_1min.txt, no header",
    gives="open, high, low, last trade and volume of each minute, five minutes, half hour or hour",
    export="files as delivered, one for each contract; New York time is brought to UTC and to the end of the bar",
    lacks="no settlement; minutes without a trade have no row; continuous files are refused, adjusted or not",
)
FIELDS = ("stamp", "open", "high", "low", "close", "volume")
LENGTHS = {"1min": 1, "5min": 5, "30min": 30, "1hour": 60}
_FILE = re.compile(rf"(?P<code>[A-Z0-9]+_?[FGHJKMNQUVXZ]\d{{2,4}})(?:_(?P<length>{'|'.join(LENGTHS)}))?\.(txt|csv)")
_CONTINUOUS = re.compile(r"[A-Z0-9]+_.*(continuous|full).*\.(txt|csv)", re.IGNORECASE)
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,[-+0-9.eE]+){5}")
ZONE = "America/New_York"


def recognises(file):
    """Whether each part begins with a bar and is named after a contract, or is a continuous file of the vendor's."""
    return all(
        (_FILE.fullmatch(part.name) or _CONTINUOUS.fullmatch(part.name)) and _LINE.fullmatch(part.header())
        for part in file.parts
    )


def read(file):
    """The rows of `file` as a `Reading` a market and length of bar."""
    lengths = bars.grouped(_named(part) for part in file.parts)
    return [reading for length, parts in lengths.items() for reading in _read(length, *zip(*parts, strict=True))]


def _named(part):
    if _CONTINUOUS.fullmatch(part.name):
        raise raw.Unreadable(f"{part.place}: a continuous series; import the files of single contracts")
    match = _FILE.fullmatch(part.name)
    if match is None or not _LINE.fullmatch(part.header()):
        raise raw.Unreadable(
            f"{part.place}: not FirstRate's: NQZ08.txt with lines 2008-09-15 09:30:00,open,high,low,close,volume and "
            "no header is wanted"
        )
    return match["length"], (part, match["code"].replace("_", ""))


def _read(length, parts, written):
    frame = raw.table(parts, FIELDS, header=list(FIELDS)).rename({"stamp": "start"})
    frame = bars.numbers(frame, {name: name for name in FIELDS[1:]})
    frame = raw.stamp(frame, "start", "%Y-%m-%d %H:%M:%S")
    frame = frame.with_columns(pl.col("start").alias("source_time"), pl.col("stamp").dt.date().alias("day"))
    frame = bars.moment(bars.by_name(frame, parts, written), "start", ZONE).drop("day")
    groups = frame.partition_by("name", as_dict=True, maintain_order=True)
    return [_reading(name, rows, LENGTHS.get(length) or bars.minutes(rows)) for (name,), rows in groups.items()]


def _reading(name, rows, length):
    rows = rows.with_columns(pl.col("time") + pl.duration(minutes=length))
    return Reading("contract_bars", bars.source(NAME, length), name, rows, {"time": "start", "contract": "file name"})
