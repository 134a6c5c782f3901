"""Barchart, as bc-utils saves it: one CSV a contract, `Day_<MARKET>_<YYYYMM00>.csv`, loose or in a zip.

`Time,Open,High,Low,Close,Volume`; the stamp of a daily row is midnight in Chicago, written in UTC, and names the trade
date. `Close` is the exchange's settlement. There is no open interest.
"""

import re

import polars as pl

from store import raw
from store.reading import Reading, daily

NAME = "barchart"
COLUMNS = ("Time", "Open", "High", "Low", "Close", "Volume")
_FILE = re.compile(r"^Day_(?P<market>.+)_(?P<contract>\d{6})\d{2}\.csv$")  # from the right: WHEAT_mini is not WHEAT


def recognises(file):
    """Whether every part is named as bc-utils names a daily contract file."""
    return bool(file.parts) and all(_FILE.match(name) for name, _ in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market."""
    markets = {}
    for name, data in file.parts:
        match = _FILE.match(name)
        markets.setdefault(match["market"], []).append((name, data, int(match["contract"])))
    return [_market(market, parts) for market, parts in markets.items()]


def _market(market, parts):
    frames = []
    for name, data, contract in parts:
        header, rows = raw.rows(name, data)
        frame = raw.columns(name, header, rows, COLUMNS)
        frames.append(frame.with_columns(pl.lit(name).alias("file"), pl.lit(contract, pl.Int32).alias("contract")))
    frame = pl.concat(frames)
    for column in COLUMNS[1:]:
        frame = raw.number(frame, column, "settle" if column == "Close" else column.lower())
    frame = raw.stamp(frame, "Time", "%Y-%m-%dT%H:%M:%S%z")
    day = pl.col("stamp").dt.convert_time_zone("America/Chicago").dt.date()
    frame = daily(frame.with_columns(day.alias("day"), pl.col("Time").alias("source_time")))
    return Reading("contract_bars", NAME, market, frame, settles=True)
