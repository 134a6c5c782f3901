"""Nearby series as Quandl's CHRIS had them: a CSV for the n-th contract to expire, `CME_CL1.csv`, `CL2.csv`.

`Date,Settle`, or the full header of CHRIS: `Date,Open,High,Low,Last,Change,Settle,Volume,Previous Day Open Interest`.

1. The price is the settlement, or the last trade where the file has none. The series is not adjusted and goes to the
   next contract at expiry; which one it is at is not told.
2. `Previous Day Open Interest` belongs to the day before: it is moved to that day's row, and the last row has none.
3. Markets of the CME group go by their symbol, those of others by exchange and symbol (`ICE_SB`).
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily

NAME = "nearby"
ABOUT = About(
    title="Nearby series in the layout of Quandl's CHRIS",
    files="one CSV for each market and rank, CME_CL1.csv or CL1.csv, beginning with Date",
    gives="settlement of the n-th contract to expire, and open, high, low, volume, open interest where they are there",
    export="Date,Settle or the full columns; the lagged open interest is moved to its own day",
    lacks="does not say which contract a row belongs to, so it is for comparing and not for stitching",
)
DATES = ("Date", "Trade Date")
PRICES = ("Settle", "Last", "Close")  # the first that is there
LAGGED = ("Previous Day Open Interest", "Prev. Day Open Interest")
COLUMNS = {
    "Open": "open", "High": "high", "Low": "low", "Volume": "volume", "Total Volume": "volume",
    "Open Interest": "open_interest",
} | dict.fromkeys(LAGGED, "open_interest")  # fmt: skip
_FILE = re.compile(r"(?:CHRIS[-_/])?(?:(?P<exchange>[A-Z]{2,8})_)?(?P<symbol>[A-Z0-9]*[A-Z])(?P<rank>[1-9]\d?)\.csv")
OUR_EXCHANGES = ("CME", None)  # CHRIS files CBOT, NYMEX and COMEX under CME


def recognises(file):
    """Whether every part is named after a market and a rank and has a date and a settlement."""
    return all(_FILE.fullmatch(part.name) and _usable(_header(part)) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a nearby."""
    return [_nearby(part) for part in file.parts]


def _header(part):
    return [name.strip(' "') for name in part.header().split(",")]


def _usable(header):
    """Whether it is CHRIS's: a settlement, or the full columns with a change or the open interest of the day before."""
    marks = {"Settle", "Change", *LAGGED}
    return header[0] in DATES and any(name in header for name in PRICES) and bool(marks & set(header))


def _nearby(part):
    match, header = _FILE.fullmatch(part.name), _header(part)
    if match is None or not _usable(header):
        raise raw.Unreadable(f"{part.place}: no nearby series: a file such as CME_CL1.csv with Date,Settle is wanted")
    date, price = header[0], next(name for name in PRICES if name in header)
    columns = {price: "price"} | {name: ours for name, ours in COLUMNS.items() if name in header}
    frame = bars.numbers(raw.table([part], [date, *columns]), columns)
    frame = raw.stamp(frame, date, "%Y-%m-%d")
    if any(name in header for name in LAGGED):
        frame = _on_its_day(frame)
    frame = frame.with_columns(
        pl.col("stamp").dt.date().alias("day"),
        pl.col(date).alias("source_time"),
        pl.lit(int(match["rank"]), pl.Int32).alias("rank"),
    )
    headings = {"time": date, "day": date} | {ours: name for name, ours in columns.items()}
    return Reading("vendor_chains", NAME, _market(match), bars.placed(daily(frame), [part]), headings)


def _on_its_day(frame):
    """Open interest of the day before, moved there, whichever way the rows are sorted; none for the last day."""
    dated = frame.filter(pl.col("stamp").is_not_null()).sort("stamp")
    moved = dated.select("line", pl.col("open_interest").shift(-1))
    return frame.drop("open_interest").join(moved, on="line", how="left", maintain_order="left")


def _market(match):
    known = match["exchange"] in OUR_EXCHANGES
    return match["symbol"] if known else f"{match['exchange']}_{match['symbol']}"
