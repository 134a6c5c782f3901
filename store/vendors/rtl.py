"""Settlements of all nearbys in one long table, as the R package RTL keeps them: `date,root,n,value`, Parquet or CSV.

`n` is the rank: 1 the next contract to expire. The series are not adjusted; which contract is meant is not told.
"""

import polars as pl

from store import bars, columnar, raw
from store.reading import About, Reading, daily

NAME = "rtl"
ABOUT = About(
    title="Long tables of nearby settlements, as of the R package RTL",
    files="one Parquet or CSV with the columns date, root, n and value",
    gives="settlement of each nearby, the term structure of a market",
    export="date as a date, n a whole number from 1, value in the market's quote",
    lacks="does not say which contract a row belongs to, so it is for comparing and not for stitching; no volume",
)
COLUMNS = ("date", "root", "n", "value")


def recognises(file):
    """Whether every part has just these columns."""
    return all(_columns(part) == COLUMNS for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market."""
    return [reading for part in file.parts for reading in _readings(part)]


def _columns(part):
    return tuple(columnar.schema(part)) or tuple(part.header().split(","))


def _readings(part):
    if _columns(part) != COLUMNS:
        raise raw.Unreadable(f"{part.place}: no long table of nearbys, whose columns are {','.join(COLUMNS)}")
    if part.data[:4] == columnar.MARK:
        frame = columnar.table(part, COLUMNS).with_columns(pl.col(COLUMNS).cast(pl.String))
    else:
        frame = bars.placed(raw.table([part], COLUMNS), [part])
    frame = raw.stamp(frame, "date", "%Y-%m-%d")
    frame = bars.numbers(frame, {"value": "price"})
    rank = pl.col("n").cast(pl.Int32, strict=False)
    frame = raw.blame(frame, "n", rank.is_null() | (rank < 1), "no rank 1, 2, …")
    frame = raw.blame(frame, "root", pl.col("root").fill_null("") == "", "no market")
    whose = pl.col("root").forward_fill().backward_fill().fill_null(part.name.split(".")[0])
    frame = daily(frame.with_columns(pl.col("stamp").dt.date().alias("day"), rank.alias("rank"), whose.alias("name")))
    frame = frame.with_columns(pl.col("date").alias("source_time"))
    headings = {"time": "date", "day": "date", "price": "value", "rank": "n"}
    return [
        Reading("vendor_chains", NAME, name, group, headings)
        for (name,), group in frame.partition_by("name", as_dict=True, maintain_order=True).items()
    ]
