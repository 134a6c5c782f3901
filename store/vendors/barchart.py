"""Barchart, as bc-utils saves it: one CSV a contract, `Day_<MARKET>_<YYYYMM00>.csv` or `Hour_…`, loose or in a zip.

`Time,Open,High,Low,Close,Volume`; older files call the last price `Latest`.

1. The stamp of a daily row is midnight in Chicago, written in UTC, and names the trade date. `Close` is the exchange's
   settlement.
2. The stamp of an hourly row is the start of the hour in UTC. `Close` is its last trade.
3. A name that ends in a real day, as 20241215, is a weekly contract's: the store has one contract a month, and such a
   file is refused.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily

NAME = "barchart"
ABOUT = About(
    title="Barchart, daily and hourly, as bc-utils downloads it",
    files="one CSV a contract, Day_SP500_micro_20240300.csv or Hour_SP500_micro_20240300.csv, loose or zipped",
    gives="open, high, low and volume; daily rows the settlement, hourly rows the last trade",
    export="files as bc-utils saves them; those that call the close Latest as well",
    lacks="no open interest and no expiry dates; volume is 0, not missing, in rows before the vendor had it; weekly "
    "contracts are refused",
)
COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Volume": "volume"}
_FILE = re.compile(  # from the right: WHEAT_mini is not WHEAT
    r"(?P<kind>Day|Hour)_(?P<market>.+)_(?P<contract>\d{4}(?:0[1-9]|1[0-2]))(?P<day>\d\d)\.csv"
)
_STAMP = "%Y-%m-%dT%H:%M:%S%z"


def recognises(file):
    """Whether every part is named as bc-utils names a contract's file."""
    return all(_FILE.fullmatch(part.name) for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market and length of bar."""
    markets = bars.grouped(_named(part) for part in file.parts)
    return [_market(*key, *zip(*parts, strict=True)) for key, parts in markets.items()]


def _named(part):
    """(length of bar, market, name of the close), (part, contract)."""
    match = _FILE.fullmatch(part.name)
    if match is None:
        raise raw.Unreadable(f"{part.place}: not named Day_<MARKET>_<YYYYMM00>.csv, as bc-utils names a contract")
    no_weekly(part, match["day"])
    header = part.header().split(",")
    last = "Latest" if "Latest" in header and "Close" not in header else "Close"
    return (match["kind"], match["market"], last), (part, int(match["contract"]))


def no_weekly(part, day):
    """Refuse a contract that is named by a day of its month, not by 00."""
    if day != "00":
        raise raw.Unreadable(
            f"{part.place}: a weekly contract, named by the day {day}; the store has one contract a month, named "
            "YYYYMM00"
        )


def _market(kind, market, last, parts, contracts):
    columns = COLUMNS | {last: "settle" if kind == "Day" else "close"}
    frame = bars.numbers(raw.table(parts, ["Time", *columns]), columns, ("",))
    frame = bars.placed(raw.stamp(frame, "Time", _STAMP), parts, contract=contracts)
    frame = frame.with_columns(pl.col("Time").alias("source_time"))
    headings = {"time": "Time", "day": "Time"} | {name: text for text, name in columns.items()}
    if kind == "Hour":
        frame = frame.with_columns((pl.col("stamp") + pl.duration(hours=1)).alias("time"))
        return Reading("contract_bars", bars.source(NAME, 60), market, frame, headings)
    return Reading("contract_bars", NAME, market, trade_dates(frame), headings)


def trade_dates(frame):
    """Daily rows whose `stamp` is midnight in Chicago, with `time` and `day`; another hour is a fault."""
    local = pl.col("stamp").dt.convert_time_zone("America/Chicago")
    frame = raw.blame(frame, "Time", local.dt.time() != pl.time(0), "not midnight in Chicago, so no daily bar")
    return daily(frame.with_columns(local.dt.date().alias("day")))
