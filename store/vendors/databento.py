"""Databento's files in its binary encoding (DBN), plain or zstd: bars, statistics and definitions of futures.

1. `ohlcv-1d`, `-1h` and `-1m` are bars of trades: `close` is the last trade. A daily bar is a UTC day, not a trade
   date: what was traded on Sunday evening has a row of its own, which is Monday's.
2. `statistics` complete the daily rows: settlement and open interest, under the trade date that Databento names
   (`ts_ref`). Of several of a day the final one counts before a preliminary, then the latest; what a delete took back
   does not count, and a settlement within the day is not the day's. Cleared volume is left alone: it would replace the
   bars' volume, or they it, by the order in which files come.
3. `definition` gives the first and last day of trading of each contract; the last definition counts.
4. Records of symbols that are no single contract (spreads, options, `ES.c.0`) are left out, and told by their number.
"""

import re
from itertools import chain

import polars as pl

from store import raw
from store.reading import About, Reading, daily
from store.vendors.dbn import MAGIC, ZSTD, moment, records, symbols

NAME = "databento"
ABOUT = About(
    title="Databento, binary files (DBN) or its historical API",
    files="*.dbn and *.dbn.zst of the schemas ohlcv-1d, ohlcv-1h, ohlcv-1m, statistics and definition, of any name",
    gives="open, high, low, last trade and volume by day, hour and minute; settlement and open interest from "
    "statistics; first and last trading days from definition",
    export="encoding DBN, compression zstd or none, symbols raw (ESH1) or parent (ES.FUT), split in any way",
    lacks="daily bars are UTC days of trades: without the statistics there is no settlement; no first notice days; "
    "continuous symbols (ES.c.0), spreads, options and the CSV and JSON encodings are not read",
)
BARS = ("open", "high", "low", "close", "volume")
PERIODS = {"ohlcv-1h": ("-hour", pl.duration(hours=1)), "ohlcv-1m": ("-minute", pl.duration(minutes=1))}
STATISTICS = {3: ("settle", "price"), 9: ("open_interest", "quantity")}  # stat_type: our column, Databento's field
FINAL, INTRADAY, NO_FLAGS = 1, 8, 128  # CME's SettlPriceType (FIX tag 731), which stat_flags holds
DELETE = 2  # update_action
_CONTINUOUS = re.compile(r".+\.[cvn]\.\d+")
_HEADINGS = {"time": "ts_event", "day": "ts_event", "contract": "symbol"}


def recognises(file):
    """Whether each part begins as DBN does, or as zstd does and is named *.dbn.zst."""
    return all(
        part.data[:3] == MAGIC or (part.data[:4] == ZSTD and part.name.lower().endswith(".dbn.zst"))
        for part in file.parts
    )


def read(file):
    """The rows of `file` as a `Reading` a market and schema, of statistics one a column."""
    frames, notes = {}, []
    for part in file.parts:
        found, others = _part(part)
        notes += [(part.place, others)] if others else []
        for key, frame in found:
            frames.setdefault(key, []).append(frame)
    made = (_markets(key, pl.concat(found, how="diagonal"), notes) for key, found in frames.items())
    return list(chain.from_iterable(made))


def _markets(key, frame, notes):
    table, vendor, column = key
    headings = _HEADINGS | {name: field for name, field in STATISTICS.values() if name == column}
    if column:
        headings["day"] = "ts_ref"
    for (root,), rows in frame.partition_by("name", as_dict=True, maintain_order=True).items():
        places = set(rows["file"].unique()) if notes else set()
        told = tuple((place, note) for place, note in notes if place in places)
        yield Reading(table, vendor, root, rows.drop("name"), headings, partial=column is not None, notes=told)


def _part(part):
    """[((table, vendor, column of a partial row), frame)] of one file, and a sentence on what is left out."""
    schema, metadata, frame = records(part)
    frame = frame.with_columns(
        pl.lit(part.place).alias("file"),
        moment("ts_event").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").alias("source_time"),
        *(pl.lit(None, pl.String).alias(name) for name in ("column", "fault")),
    )
    if schema == "definition":
        frame, others = _definitions(frame, part)
        return [(("contracts", NAME, None), frame)], others
    frame, others = _named(frame, symbols(metadata), part)
    return _statistics(frame, part) if schema == "statistics" else [_bars(frame, schema)], others


def _named(frame, known, part):
    """The frame with `symbol`, `name` (the root) and `contract`, and a sentence on records of what is no contract."""
    stamp = "ts_recv" if "ts_recv" in frame.columns else "ts_event"
    frame = frame.with_columns(moment(stamp).dt.date().alias("at")).sort("at", "line")
    frame = frame.join_asof(known, left_on="at", right_on="start", by="instrument_id", check_sortedness=False)
    within = pl.col("at") < pl.col("end")
    frame = frame.with_columns(pl.when(within).then(c).alias(c) for c in ("symbol", "name", "contract")).sort("line")
    other = pl.col("symbol").is_not_null() & pl.col("contract").is_null()
    others, frame = frame.filter(other), frame.filter(~other)
    if frame["name"].null_count() == frame.height:
        raise _no_contract(part, others, "symbol")
    nameless = pl.col("symbol").is_null()
    told = pl.format("no symbol for instrument {} on that day", "instrument_id")
    frame = frame.with_columns(
        pl.when(nameless).then(pl.lit("symbol")).otherwise("column").alias("column"),
        pl.when(nameless).then(told).otherwise("fault").alias("fault"),
        pl.col("name").fill_null(strategy="forward").fill_null(strategy="backward"),
    )
    return frame, _counted(others, "symbol")


def _no_contract(part, others, column):
    """What to say of a file without a contract."""
    names = others[column].unique(maintain_order=True).to_list()
    if not names:
        return raw.Unreadable(f"{part.place}: its header names no symbol for any of its records")
    first = raw.plain(names[0], 30)
    if all(map(_CONTINUOUS.fullmatch, names)):
        told = f"{first} is a continuous symbol, which names no contract: use the parent, as ES.FUT"
        return raw.Unreadable(f"{part.place}: {told}")
    listed = raw.plain(", ".join(names[:3]), 80) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return raw.LeftOut(part.place, f"no single futures contract in it: {listed}")


def _counted(others, column):
    """A sentence on the records that were left out; '' if none were."""
    if others.is_empty():
        return ""
    name = raw.plain(others[column][0], 30)
    return f"records left out, of symbols that are no single futures contract, as {name}: {others.height}"


def _bars(frame, schema):
    start = moment("ts_event")
    frame = frame.with_columns(_raw(*(pl.format(f"{c} {{}}", pl.col(c).cast(pl.String)) for c in BARS)))
    if schema in PERIODS:
        suffix, period = PERIODS[schema]
        frame = frame.with_columns((start + period).cast(pl.Datetime("us", "UTC")).alias("time"))
        return ("contract_bars", NAME + suffix, None), _kept(frame, *BARS, "time")
    frame = frame.with_columns(start.dt.date().alias("day"))
    frame = raw.blame(frame, "source_time", start.dt.time() != pl.time(0), "not midnight, so no UTC day")
    return ("contract_bars", NAME, None), _kept(daily(frame), *BARS, "time", "day")


def _raw(*shown):
    return pl.concat_str("symbol", "source_time", *shown, separator=" ", ignore_nulls=True).alias("raw")


def _kept(frame, *columns):
    return frame.select("name", "contract", *columns, "source_time", "file", "line", "raw", "column", "fault")


def _statistics(frame, part):
    """A partial frame for each statistic that is taken, a row a contract and trade date."""
    failed = frame.filter(pl.col("fault").is_not_null()).with_columns(
        _raw(), time=pl.lit(None, pl.Datetime("us", "UTC")), day=pl.lit(None, pl.Date)
    )
    found = []
    for number, (name, field) in STATISTICS.items():
        rows = frame.filter((pl.col("stat_type") == number) & pl.col("fault").is_null())
        if rows.height:
            rows = _last_word(rows, number).with_columns(pl.col(field).alias(name))
            rows = daily(rows).with_columns(_raw(pl.format(f"{field} {{}}", pl.col(field).cast(pl.String))))
            failures = failed.with_columns(pl.lit(None, pl.Float64).alias(name)) if not found else failed.clear()
            rows = pl.concat([rows, failures], how="diagonal")
            found.append((("contract_bars", NAME, name), _kept(rows, name, "time", "day")))
    if not found:
        raise raw.LeftOut(part.place, f"no settlement and no open interest among its {frame.height} statistics")
    return found


def _last_word(rows, number):
    """Of each contract and trade date the final record, else the latest; none of what was taken back."""
    flags = pl.when(pl.col("stat_flags") < NO_FLAGS).then(pl.col("stat_flags")).otherwise(0)
    if number == 3:
        rows = rows.filter(flags & INTRADAY == 0)
    rows = rows.with_columns(moment("ts_ref").dt.date().alias("day"), (flags & FINAL).alias("final"))
    rows = _blamed(rows, pl.col("day").is_null(), "ts_ref", "no trade date")
    key = ["contract", "name", "day"]
    rows = rows.sort("ts_recv", "sequence", maintain_order=True)
    taken_back = (pl.col("update_action") == DELETE).cast(pl.Int8).cum_max(reverse=True).over(key)
    dated = rows.filter((taken_back == 0) & pl.col("fault").is_null()).sort("final", maintain_order=True)
    dated = dated.unique(key, keep="last")
    return pl.concat([dated, rows.filter(pl.col("fault").is_not_null())]).sort("line")


def _blamed(frame, wrong, column, reason):
    return frame.with_columns(
        pl.when(wrong).then(pl.lit(column)).otherwise("column").alias("column"),
        pl.when(wrong).then(pl.lit(reason)).otherwise("fault").alias("fault"),
    )


def _definitions(frame, part):
    """First and last days of trading of single futures, and a sentence on what else there is."""
    future = pl.col("instrument_class") == "F"
    others, frame = frame.filter(~future), frame.filter(future)
    if frame.is_empty():
        raise _no_contract(part, others, "raw_symbol")
    named = pl.col("maturity_year").is_between(1900, 2199) & pl.col("maturity_month").is_between(1, 12)
    contract = pl.col("maturity_year").cast(pl.Int32) * 100 + pl.col("maturity_month").cast(pl.Int32)
    frame = _blamed(frame, ~named, "raw_symbol", "no delivery month in its definition").with_columns(
        pl.col("raw_symbol").alias("symbol"), pl.col("asset").alias("name"),
        pl.when(named).then(contract).alias("contract"),
        _local("activation").alias("first_trade"), _local("expiration").alias("last_trade"),
    )  # fmt: skip
    frame = frame.sort("ts_recv", maintain_order=True).unique(["name", "symbol", "contract"], keep="last").sort("line")
    frame = frame.with_columns(_raw(pl.format("expiration {}", pl.col("last_trade").cast(pl.String))))
    frame = frame.select("name", "contract", "first_trade", "last_trade", "file", "line", "raw", "column", "fault")
    return frame, _counted(others, "raw_symbol")


def _local(name):
    """Day of a moment in Chicago, whose exchanges tell the hour; one at midnight UTC is a bare date."""
    at = moment(name)
    local = at.dt.convert_time_zone("America/Chicago").dt.date()
    return pl.when(at.dt.time() == pl.time(0)).then(at.dt.date()).otherwise(local)
