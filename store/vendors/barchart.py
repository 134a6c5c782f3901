"""Barchart, as bc-utils saves it: one CSV a contract, `Day_<MARKET>_<YYYYMM00>.csv`, loose or in a zip.

`Time,Open,High,Low,Close,Volume`; the stamp of a daily row is midnight in Chicago, written in UTC, and names the trade
date. `Close` is the exchange's settlement. There is no open interest.
"""

import re

import polars as pl

from store import raw
from store.reading import Reading, daily

NAME = "barchart"
COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "settle", "Volume": "volume"}
_FILE = re.compile(r"Day_(?P<market>.+)_(?P<contract>\d{4}(?:0[1-9]|1[0-2]))\d\d\.csv")  # from the right: WHEAT_mini is
# not WHEAT


def recognises(file):
    """Whether every part is named as bc-utils names a daily contract file."""
    return all(_FILE.fullmatch(part.name) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market."""
    markets = {}
    for part in file.parts:
        match = _FILE.fullmatch(part.name)
        if match is None:
            raise raw.Unreadable(f"{part.place}: not named Day_<MARKET>_<YYYYMM00>.csv, as bc-utils names a contract")
        markets.setdefault(match["market"], []).append((part, int(match["contract"])))
    return [_market(market, *zip(*parts, strict=True)) for market, parts in markets.items()]


def _market(market, parts, contracts):
    frame = raw.table(parts, ["Time", *COLUMNS])
    for text, name in COLUMNS.items():
        frame = raw.number(frame, text, name)
    frame = raw.stamp(frame, "Time", "%Y-%m-%dT%H:%M:%S%z")
    local = pl.col("stamp").dt.convert_time_zone("America/Chicago")
    frame = raw.blame(frame, "Time", local.dt.time() != pl.time(0), "not midnight in Chicago, so no daily bar")
    frame = frame.with_columns(
        pl.lit(pl.Series([part.place for part in parts])).gather("part").alias("file"),
        pl.lit(pl.Series(contracts, dtype=pl.Int32)).gather("part").alias("contract"),
        local.dt.date().alias("day"),
        pl.col("Time").alias("source_time"),
    )
    headings = {"time": "Time", "day": "Time"} | {name: text for text, name in COLUMNS.items()}
    return Reading("contract_bars", NAME, market, daily(frame), headings)
