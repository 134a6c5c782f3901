"""pysystemtrade's CSV folders: spot FX (`EURUSD.csv`) and multiple prices (held, carry and forward contract).

`DATETIME,PRICE` and `DATETIME,CARRY,CARRY_CONTRACT,PRICE,PRICE_CONTRACT,FORWARD,FORWARD_CONTRACT`; stamps are naive
London time, contracts `YYYYMM00`; plain, gzipped or zipped.
"""

import re

import polars as pl

from store import raw
from store.reading import Reading, on_session

NAME = "pysystemtrade"
FX = ("DATETIME", "PRICE")
LEGS = ("CARRY", "PRICE", "FORWARD")
CHAIN = ("DATETIME", *(column for leg in LEGS for column in (leg, f"{leg}_CONTRACT")))
_STAMP = "%Y-%m-%d %H:%M:%S"
_MISSING = ("", "nan", "NaN")
_PAIR = re.compile(r"([A-Z]{3})USD\.(csv|txt)")
_CURRENCIES = {"MXP": "MXN"}  # the code of the old peso in the file's name; the rates are the new one's


def recognises(file):
    """Whether each header is that of multiple prices, or that of FX in a file named after a currency pair with USD."""
    headers = [(part, tuple(part.header().split(","))) for part in file.parts]
    return all(header == CHAIN or (header == FX and _PAIR.fullmatch(part.name)) for part, header in headers)


def read(file):
    """The rows of `file` as a `Reading` a market or currency."""
    return [_fx(part) if "PRICE_CONTRACT" not in part.header() else _chain(part) for part in file.parts]


def _fx(part):
    pair = _PAIR.fullmatch(part.name)
    if pair is None:
        raise raw.Unreadable(f"{part.place}: not named after a currency in USD, as EURUSD.csv is")
    currency = _CURRENCIES.get(pair[1], pair[1])
    frame = raw.table([part], FX)
    frame = raw.number(raw.stamp(frame, "DATETIME", _STAMP), "PRICE", "rate")
    frame = frame.with_columns(pl.lit(currency).alias("currency"), *_places(part))
    return Reading("fx", NAME, currency, frame, {"day": "DATETIME", "rate": "PRICE"})


def _chain(part):
    frame = raw.stamp(raw.table([part], CHAIN), "DATETIME", _STAMP)
    for leg in LEGS:
        frame = raw.number(frame, leg, leg.lower(), _MISSING)
        frame = raw.month(frame, f"{leg}_CONTRACT", f"{leg.lower()}_contract", _MISSING)
    london = pl.col("stamp").dt.replace_time_zone("Europe/London", ambiguous="earliest", non_existent="null")
    frame = frame.with_columns(
        london.dt.convert_time_zone("UTC").alias("time"), pl.lit(1, pl.Int32).alias("rank"), *_places(part)
    )
    headings = {"time": "DATETIME", "day": "DATETIME"} | {column.lower(): column for column in CHAIN[1:]}
    return Reading("vendor_chains", NAME, part.name.split(".")[0], frame, headings)


def _places(part):
    day = on_session(pl.col("stamp").dt.date()).alias("day")
    return pl.lit(part.place).alias("file"), day, pl.col("DATETIME").alias("source_time")
