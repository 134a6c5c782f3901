"""pysystemtrade's CSV folders: spot FX (`EURUSD.csv`) and multiple prices (held, carry and forward contract).

`DATETIME,PRICE` and `DATETIME,CARRY,CARRY_CONTRACT,PRICE,PRICE_CONTRACT,FORWARD,FORWARD_CONTRACT`; stamps are naive
London time, contracts `YYYYMM00`; plain or gzipped.
"""

import re

import polars as pl

from store import raw
from store.reading import Reading, on_session

NAME = "pysystemtrade"
FX = ("DATETIME", "PRICE")
CHAIN = ("DATETIME", "CARRY", "CARRY_CONTRACT", "PRICE", "PRICE_CONTRACT", "FORWARD", "FORWARD_CONTRACT")
_STAMP = "%Y-%m-%d %H:%M:%S"
_MISSING = ("", "nan", "NaN")
_CURRENCIES = {"MXP": "MXN"}  # the code of the old peso in the file's name; the rates are the new one's


def recognises(file):
    """Whether the header is that of multiple prices, or that of FX in a file named after a currency pair with USD."""
    header = tuple(file.first_line().split(","))
    return header == CHAIN or (header == FX and bool(re.match(r"^[A-Z]{3}USD\b", file.name)))


def read(file):
    """The rows of `file` as one `Reading`."""
    ((name, data),) = file.parts
    header, rows = raw.rows(name, data)
    if "PRICE_CONTRACT" in header:
        return [_chain(name, raw.columns(name, header, rows, CHAIN))]
    return [_fx(name, raw.columns(name, header, rows, FX))]


def _fx(name, frame):
    currency = name[:3]
    frame = raw.number(raw.stamp(frame, "DATETIME", _STAMP), "PRICE", "rate")
    frame = frame.with_columns(
        pl.lit(name).alias("file"),
        pl.lit(_CURRENCIES.get(currency, currency)).alias("currency"),
        on_session(pl.col("stamp").dt.date()).alias("day"),
        pl.col("DATETIME").alias("source_time"),
    )
    return Reading("fx", NAME, currency, frame)


def _chain(name, frame):
    frame = raw.stamp(frame, "DATETIME", _STAMP)
    for column in ("CARRY", "PRICE", "FORWARD"):
        frame = raw.number(frame, column, column.lower(), _MISSING)
        frame = raw.number(frame, f"{column}_CONTRACT", f"{column.lower()}_contract", _MISSING)
    london = pl.col("stamp").dt.replace_time_zone("Europe/London", ambiguous="earliest", non_existent="null")
    frame = frame.with_columns(
        pl.lit(name).alias("file"),
        london.dt.convert_time_zone("UTC").alias("time"),
        on_session(pl.col("stamp").dt.date()).alias("day"),
        pl.col("DATETIME").alias("source_time"),
        *(
            (pl.col(f"{column}_contract") // 100).cast(pl.Int32).alias(f"{column}_contract")
            for column in ("carry", "price", "forward")
        ),
    )
    return Reading("vendor_chains", NAME, name.split(".")[0], frame)
