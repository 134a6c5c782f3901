"""Norgate's Python package as a source: contracts, their dates and unadjusted series, as its text export has them.

The package asks the Norgate Data Updater on the same (Windows) machine. Stock adjustments and padding are switched off:
a padded row is a day without a session. Its functions are named in its readme (version 1.0.77); the module is imported
only when it is asked for, as it may not be installed.
"""

import hashlib
import importlib
from datetime import date

import numpy as np
import polars as pl

from store import raw
from store.codes import BadCode, parse_code
from store.reading import Reading, daily
from store.vendors.norgate import ADJUSTED, COLUMNS, NAME, ORDER

FIELDS = dict(zip(ORDER[1:], COLUMNS.values(), strict=True))
_DATES = {"first_trade": "first_quoted_date", "last_trade": "last_quoted_date", "first_notice": "first_notice_date"}
_TODAY = date(2000, 1, 1)  # the codes have years of four digits


def read(symbols, package=None):
    """(readings, name of the source, sha256 of the rows); see `norgate.read_api`."""
    package = package or _package()
    if not package.status():
        raise raw.Unreadable("the Norgate Data Updater does not run: start it, then import again")
    readings = [reading for symbol in symbols for reading in _readings(symbol, package)]
    digest = hashlib.sha256()
    for reading in readings:
        digest.update("\n".join([reading.table, reading.name, *reading.frame["raw"]]).encode())
    return readings, f"norgate:{','.join(symbols)}", digest.hexdigest()


def _package():
    try:
        return importlib.import_module("norgatedata")
    except ImportError:
        raise raw.Unreadable(
            "the package norgatedata is not installed; it needs Windows and the Norgate Data Updater: "
            "pip install norgatedata, or export the contracts to text"
        ) from None


def _readings(symbol, package):
    if symbol.startswith("&"):
        return [_chain(symbol, package)]
    codes = [symbol] if "-" in symbol else _asked(package.futures_market_session_contracts, symbol)
    if not codes:
        raise raw.Unreadable(f"norgate:{raw.plain(symbol, 40)}: no such market, or no contract of it in your database")
    market, _ = _code(codes[0])
    frames = [_bars(code, package) for code in codes]
    dates = pl.concat([_dates(code, package) for code in codes])
    headings = {ours: theirs for theirs, ours in FIELDS.items()} | {"time": "Date", "day": "Date"}
    return [
        Reading("contract_bars", NAME, market, pl.concat(frames, how="diagonal"), headings),
        Reading("contracts", NAME, market, dates),
    ]


def _asked(function, symbol, **words):
    """What a function of the package answers; it raises ValueError for a symbol that it does not know."""
    try:
        return function(symbol, **words)
    except ValueError as error:
        raise raw.Unreadable(f"norgate:{raw.plain(symbol, 40)}: {raw.plain(error, 120)}") from error


def _code(symbol):
    try:
        return parse_code(symbol, _TODAY, NAME)
    except BadCode as error:
        raise raw.Unreadable(f"norgate:{raw.plain(symbol, 40)}: {error}") from error


def _series(symbol, package):
    """Rows of a symbol, with numbers, days, and what stands for file, line and text."""
    rows = _asked(
        package.price_timeseries,
        symbol,
        stock_price_adjustment_setting=package.StockPriceAdjustmentType.NONE,
        padding_setting=package.PaddingType.NONE,
        timeseriesformat="numpy-recarray",
        interval="D",
    )
    taken = {ours: theirs for theirs, ours in FIELDS.items() if theirs in rows.dtype.names}
    numbers = [pl.Series(ours, np.asarray(rows[theirs], np.float64)).fill_nan(None) for ours, theirs in taken.items()]
    frame = pl.DataFrame([pl.Series("day", np.asarray(rows["Date"], "datetime64[D]")), *numbers])
    if "Delivery Month" in rows.dtype.names:
        month = pl.Series("price_contract", np.asarray(rows["Delivery Month"], np.float64))
        frame = frame.with_columns(month.fill_nan(None).cast(pl.Int32))
    shown = [pl.lit(symbol), *(pl.col(name).cast(pl.String).fill_null("") for name in frame.columns)]
    return frame.with_columns(
        pl.concat_str(shown, separator=",").alias("raw"),
        pl.lit(f"norgate:{symbol}").alias("file"),
        pl.int_range(1, pl.len() + 1).alias("line"),
        pl.col("day").cast(pl.String).alias("source_time"),
        pl.lit(None, pl.String).alias("column"),
        pl.lit(None, pl.String).alias("fault"),
    )


def _bars(code, package):
    return daily(_series(code, package)).with_columns(pl.lit(_code(code)[1], pl.Int32).alias("contract"))


def _dates(code, package):
    told = {ours: _asked(getattr(package, theirs), code, datetimeformat="iso") for ours, theirs in _DATES.items()}
    days = [pl.Series(ours, [value], pl.String).str.to_date("%Y-%m-%d", strict=False) for ours, value in told.items()]
    text = ",".join([code, *(value or "" for value in told.values())])
    facts = {"contract": _code(code)[1], "file": f"norgate:{code}", "line": 1, "raw": text}
    schema = {"contract": pl.Int32, "line": pl.Int64}
    return pl.DataFrame([facts], schema_overrides=schema).with_columns(
        *days, pl.lit(None, pl.String).alias("column"), pl.lit(None, pl.String).alias("fault")
    )


def _chain(symbol, package):
    if "_" in symbol:
        raise raw.Unreadable(f"norgate:{raw.plain(symbol, 40)}: {ADJUSTED.format(symbol.partition('_')[0])}")
    frame = daily(_series(symbol, package)).rename({"settle": "price"})
    frame = frame.with_columns(pl.lit(1, pl.Int32).alias("rank"))
    headings = {"price": "Close", "price_contract": "Delivery Month", "day": "Date", "time": "Date"}
    return Reading("vendor_chains", NAME, symbol.removeprefix("&"), frame, headings)
