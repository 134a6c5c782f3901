"""Quantiacs' history of a futures market: `F_ES.txt`, one front contract after the other, prices not adjusted.

`DATE, OPEN, HIGH, LOW, CLOSE, VOL, OI, P, R, RINFO`; prices are money per contract (symbols.csv has the factors).

1. `R` and `P` stand on the last day of a contract and name the one that is rolled into: it is the contract of the rows
   after that day. Before the first such day the contract is not known.
2. A label that comes twice in a row was wrong the first time (live cattle's 1992-11-27 says April and the roll of
   1993-01-26 says April again): the contract between the two is taken for unknown, and its rows are in no series.
3. `VOL` and `OI` are the held contract's.
4. `RINFO` stands on the first day of a contract: its open less that of the contract before. `carry` of that row is the
   price less it: what the contract before would have settled at, so that the series keeps the day's profit.
"""

import re

import polars as pl

from store import bars, raw
from store.reading import About, Reading, daily

NAME = "quantiacs"
ABOUT = About(
    title="Quantiacs, continuous front contracts, not adjusted",
    files="one text file a market, F_ES.txt, as its toolbox kept them in tickerData",
    gives="open, high, low, close, volume and open interest of the front contract, and which contract it was",
    export="nothing to set; prices are in money per contract and are brought back to quotes",
    lacks="no single contracts: for comparing, not for stitching; in later years close is mostly not the settlement",
)
HEADER = ("DATE", "OPEN", "HIGH", "LOW", "CLOSE", "VOL", "OI", "P", "R", "RINFO")
COLUMNS = {"OPEN": "open", "HIGH": "high", "LOW": "low", "CLOSE": "price", "VOL": "volume", "OI": "open_interest"}
_FILE = re.compile(r"(?P<market>F_[A-Z0-9]+)\.(txt|csv)")
_NONE = ("", "0")


def recognises(file):
    """Whether names and headers are those of Quantiacs' futures."""
    return all(_FILE.fullmatch(part.name) and _header(part) == HEADER for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market."""
    return [_market(part) for part in file.parts]


def _header(part):
    return tuple(name.strip() for name in part.header().split(","))


def _market(part):
    match = _FILE.fullmatch(part.name)
    if match is None:
        raise raw.Unreadable(f"{part.place}: not named F_<MARKET>.txt, as Quantiacs names a future")
    frame = raw.stamp(raw.table([part], HEADER), "DATE", "%Y%m%d")
    frame = bars.numbers(frame, COLUMNS | {"RINFO": "gap"})
    for label in ("P", "R"):
        frame = raw.month(frame, label, f"to_{label}", _NONE)
    frame = frame.with_columns(
        pl.col("stamp").dt.date().alias("day"),
        pl.col("DATE").alias("source_time"),
        pl.lit(1, pl.Int32).alias("rank"),
        _held(frame).alias("price_contract"),
    )
    first = (pl.col("price_contract") != pl.col("price_contract").shift()) & (pl.col("gap") != 0)  # 0: not told
    frame = frame.with_columns(
        pl.when(first).then(pl.col("price") - pl.col("gap")).alias("carry"),
        pl.when(first).then(pl.col("price_contract").shift()).alias("carry_contract"),
    ).drop("gap")
    headings = {"time": "DATE", "day": "DATE"} | {name: text for text, name in COLUMNS.items()}
    return Reading("vendor_chains", NAME, match["market"], bars.placed(daily(frame), [part]), headings)


def _held(frame):
    """The contract of each row: what the last flag before it names, null where nobody knows."""
    flagged = ~frame["R"].is_in(_NONE) | ~frame["P"].is_in(_NONE)
    into = frame.select(pl.coalesce("to_R", "to_P").fill_null(0).alias("into")).filter(flagged)["into"]
    sure = into.set(into.shift(-1) == into, 0)  # 0: unknown
    places = flagged.arg_true()
    labels = pl.Series("label", [None] * frame.height, dtype=pl.Int32)
    if len(places):
        labels = labels.scatter(places, sure)
    return labels.shift().forward_fill().replace(0, None)
