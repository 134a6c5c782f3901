"""ddfplus (Barchart): daily text files of all futures, one line a contract and day, no header.

`NQ,Z2003,11/11/2003,open,high,low,close`; the same with the month in lower case, `NQ,z2003,11/10/2003,volume,open
interest,volume today`, carries the activity of the trading day before and is dated so. `Y` is cash, `dvl` the sum over
all contracts: neither is a contract, both are put into quarantine. The preliminary volume of the day is left alone.

Source: ddfplus, "Format of Futures Files".
"""

import re

import polars as pl

from store import bars, layout, raw
from store.codes import MONTHS
from store.reading import About, Reading

NAME = "ddfplus"
ABOUT = About(
    title="ddfplus (Barchart), daily text files of futures",
    files="lines ROOT,Z2003,MM/DD/YYYY,open,high,low,close and, with z2003, volume and open interest; any file name",
    gives="open, high, low, the settlement as close, volume and open interest of the day they belong to",
    export="the files as they are sent, one day or many days in one",
    lacks="cash prices (Y) and volume over all contracts (dvl) go into quarantine; prices in fractions are not read",
)
FIELDS = ("root", "month", "date", "first", "second", "third", "fourth")
PRICES = {"first": "open", "second": "high", "third": "low", "fourth": "settle"}
ACTIVITY = {"first": "volume", "second": "open_interest"}
_PATTERN = "%m/%d/%Y"
_LINE = re.compile(rf"[A-Z0-9]+,(?:Y|dvl|(?i:[{MONTHS}])\d{{4}}),\d\d/\d\d/\d{{4}}(?:,[-+.\d]*){{3,4}}")
_SHORT = re.compile(rb"(?m)^([^,\n]*,(?:dvl|[a-z]\d{4}),(?:[^,\n]*,){3}[^,\n]*)$")  # six fields where prices have seven
_NAME = r"^[A-Z0-9]+$"


def recognises(file):
    """Whether the first line of every part is such a line."""
    return all(_LINE.fullmatch(part.header()) for part in file.parts)


def read(file):
    """The rows of `file`: prices and activity of each market."""
    parts = [raw.Part(part.place, part.name, _SHORT.sub(rb"\1,", _unix(part.data))) for part in file.parts]
    frame = bars.placed(raw.table(parts, list(FIELDS), header=list(FIELDS)), parts)
    active = pl.col("month").str.contains("^(?:dvl|[a-z])").fill_null(False)
    frame = frame.with_columns(active.alias("active"))
    frame = frame.with_columns(
        pl.when("active").then(pl.col("raw").str.strip_suffix(",")).otherwise("raw").alias("raw")
    )
    frame = layout.days(_contracts(frame), "date", _PATTERN)
    if not frame["contract"].drop_nulls().len():
        raise raw.Unreadable(f"{file.parts[0].place}: no row is one of a contract, such as NQ,Z2003,11/11/2003,1,1,1,1")
    for (root, activity), rows in frame.partition_by("market", "active", as_dict=True, maintain_order=True).items():
        columns = ACTIVITY if activity else PRICES
        headings = {"time": "date", "day": "date", "contract": "month"} | {ours: text for text, ours in columns.items()}
        yield Reading("contract_bars", NAME, root, layout.numbers(rows, columns), headings, partial=activity)


def _unix(data):
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _contracts(frame):
    """The frame with `market` and `contract`; what is no contract is a fault."""
    letter = pl.col("month").str.slice(0, 1).str.to_uppercase()
    month = letter.replace_strict({name: k + 1 for k, name in enumerate(MONTHS)}, default=None, return_dtype=pl.Int32)
    year = pl.col("month").str.extract(r"^[A-Za-z]((?:19|20)\d\d)$").cast(pl.Int32)
    named = pl.when(pl.col("root").str.contains(_NAME)).then("root")
    frame = frame.with_columns((year * 100 + month).alias("contract"), named.alias("market"))
    frame = raw.blame(frame, "root", pl.col("market").is_null(), "no market")
    frame = raw.blame(frame, "month", pl.col("month") == "Y", "a cash price, no contract")
    frame = raw.blame(frame, "month", pl.col("month") == "dvl", "sum over all contracts")
    frame = raw.blame(frame, "month", pl.col("contract").is_null(), "not a month such as Z2003")
    nearest = pl.col("market").fill_null(strategy="forward").fill_null(strategy="backward")  # whose line it is
    return frame.with_columns(nearest)
