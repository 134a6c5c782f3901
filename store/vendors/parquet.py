"""Parquet with columns in our names: bars of dated contracts, or a table that was exported from a store.

1. Bars have a date or a moment (`day`, `date`; `time`, `timestamp`, `datetime`), a contract (`contract` as YYYYMM,
   YYYYMM00 or a code such as ESH24; else a code in `symbol` or in the file's name), `close` or `settle`, and whatever
   else `contract_bars` has. The market is in the column `root` (`market`, `symbol`), or the code, or the file's name.
2. Nothing goes through text: numbers stay what they are. A column of text is parsed, and what fails is the row's fault.
3. A moment is the end of the bar, in UTC where its column names no zone. With one row a contract and date the file is a
   daily one: `day`, or else the moment's date, is the trade date.
4. Rows of a file with a column `source`, as an export of a store has it, come back under that source: names and prices
   are the master's already, and what that vendor calls a market or counts it in does not matter. With the columns
   `root`, `contract`, `time` and `day` they come back as they were.
"""

from pathlib import PurePath

import polars as pl

from store import bars, columnar, raw, row_rules
from store.naming import WITHIN_DAY
from store.reading import About, Reading, daily, on_session
from store.tables import TABLES

NAME = "parquet"
ABOUT = About(
    title="Parquet with our column names",
    files="any .parquet of one market or many, with root, contract, day or time, and prices",
    gives="whatever it has of open, high, low, close, settle, volume, open interest; tables of a store too",
    export="contract as YYYYMM or as a code such as ESH24; time is the end of the bar",
    lacks="prices have to be in the master's units; without a column root the file's name is the market",
)
EXPORTED = ("vendor_chains", "contracts", "margins", "fx", "rates", "roll_calendars")
VALUES = ("open", "high", "low", "close", "settle", "volume", "open_interest")
DAYS = ("day", "date")
MOMENTS = ("time", "timestamp", "datetime")
ROOTS = ("root", "market", "symbol")
SPELLED = {"open interest": "open_interest", "openinterest": "open_interest", "settlement": "settle"}
_PATTERNS = ("%Y-%m-%d", "%Y%m%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_HOURS = 3  # times of day that stamps of daily bars may have: summer, winter and a short session's


def recognises(file):
    """Whether every part is Parquet with the columns of a table."""
    return all(_table(columnar.schema(part)) for part in file.parts)


def in_pieces(file):
    """Whether it may be read in pieces (`pieces`): bars, whose rows can be judged one by one."""
    return all(_table(columnar.schema(part)) == "contract_bars" for part in file.parts)


def read(file):
    """The rows of `file` as a `Reading` a market."""
    return [reading for part in file.parts for reading in _readings(part)]


def _readings(part):
    found = columnar.schema(part)
    kind = _table(found)
    if kind is None:
        raise raw.Unreadable(
            f"{part.place}: no Parquet with a date and with close or settle; its columns are "
            f"{raw.plain(', '.join(found), 200) or '(none)'}"
        )
    wanted = (
        (*VALUES, *DAYS, *MOMENTS, *ROOTS, "contract", "source", "source_time", "filled_from")
        if kind == "contract_bars"
        else [column for column in TABLES[kind].columns if column != "known"]
    )
    theirs = {name: ours for name, ours in _ours(found).items() if ours in wanted}
    twice = [name for name, ours in theirs.items() if list(theirs.values()).count(ours) > 1]
    if twice:
        raise raw.Unreadable(f"{part.place}: the columns {raw.plain(' and '.join(twice), 80)} are one in our names")
    frame = columnar.table(part, list(theirs), kind == "contract_bars").rename(theirs)
    headings = {ours: name for name, ours in theirs.items()}
    return _bars(part, frame, headings) if kind == "contract_bars" else _exported(part, kind, frame, headings)


def _ours(columns):
    names = {name: name.strip().lower() for name in columns}
    return {name: SPELLED.get(lower, lower) for name, lower in names.items()}


def _told(table):
    """Columns of a table that an export must have to be taken for it."""
    return [column for column in TABLES[table].columns if column not in ("known", "version")]


def _table(columns):
    """The table whose columns these are, or None."""
    names = set(_ours(columns).values())
    exported = [table for table in EXPORTED if names.issuperset(_told(table))]
    if exported:
        return max(exported, key=lambda table: len(TABLES[table].columns))
    dated = names & {*DAYS, *MOMENTS} and not names & {"rank", "n"}
    return "contract_bars" if dated and names & {"close", "settle"} else None


def _exported(part, table, frame, headings):
    """A table of ours: a Reading for each source and market."""
    axis = "root" if "root" in frame.columns else "currency"
    schema = {name: dtype for name, dtype in TABLES[table].schema.items() if name in frame.columns}
    wrong = [name for name, dtype in schema.items() if dtype.is_temporal() and not frame.schema[name].is_temporal()]
    if wrong:
        raise raw.Unreadable(f"{part.place}: column {wrong[0]} holds {frame.schema[wrong[0]]}, no {schema[wrong[0]]}")
    frame = frame.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in schema.items())
    groups = frame.partition_by("source", axis, as_dict=True, maintain_order=True)
    return [
        Reading(table, source or NAME, name or "", group.drop("source", axis), headings,
                partial=table == "vendor_chains", ours=True)
        for (source, name), group in groups.items()
    ]  # fmt: skip


def _bars(part, frame, headings):
    texts = {name: name for name in VALUES if frame.schema.get(name) == pl.String}
    rest = [name for name in VALUES if name in frame.columns and name not in texts]
    frame = bars.numbers(frame.with_columns(pl.col(rest).cast(pl.Float64).fill_nan(None)), texts)  # nan: missing
    stored = _as_stored(frame)
    frame, within = (_timed(frame), False) if stored else _dated(part, frame)
    frame = _named(part, frame)
    columns = [*(name for name in VALUES if name in frame.columns), "contract", "time", "file", "line", "raw"]
    columns += ["column", "fault", *(["source_time"] if "source_time" in frame.columns else [])]
    columns += [] if within else ["day"]
    columns += ["filled_from"] if stored and "filled_from" in frame.columns else []
    by = [name for name in ("name", "source") if name in frame.columns]
    groups = frame.partition_by(*by, as_dict=True, maintain_order=True)
    return [_reading(*key, group.select(columns), within, stored, headings) for key, group in groups.items()]


def _as_stored(frame):
    """Whether these are rows of `contract_bars` as a store has them: source, trade date and end of each."""
    schema = frame.schema
    told = {"source", "root", "contract", "time", "day"} <= schema.keys()
    return told and schema["day"] == pl.Date and isinstance(schema["time"], pl.Datetime)


def _timed(frame):
    """Rows as a store has them with `time` in UTC."""
    end = pl.col("time")
    end = end.dt.convert_time_zone("UTC") if frame.schema["time"].time_zone else end.dt.replace_time_zone("UTC")
    return frame.with_columns(end.dt.cast_time_unit("us").alias("time"))


def _reading(name, *rest):
    *source, frame, within, stored, headings = rest
    vendor, ours = (source[0], True) if source and source[0] else (NAME, False)
    if within and not vendor.endswith(WITHIN_DAY):
        vendor = bars.source(vendor, bars.minutes(frame.sort("contract", "time")))
    shown = ["contract", "time" if within else "day", *(column for column in VALUES if column in frame.columns)]
    frame = columnar.told(frame, _doubtful(frame), shown)
    headings = headings | {"code": headings.get("contract", "symbol")}
    return Reading("contract_bars", vendor, name, frame, headings, partial=stored, ours=ours)


def _doubtful(frame):
    """The rows that may be kept apart when they are judged, so that their values have to be shown."""
    lacking = [name for name in (*VALUES, "day") if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, TABLES["contract_bars"].schema[name]).alias(name) for name in lacking)
    broken = [rule.bad for rule in row_rules.bar_rules(False) if rule.severity == row_rules.QUARANTINE]
    contract, time = pl.col("contract"), pl.col("time")
    sorted_ = (contract > contract.shift()) | ((contract == contract.shift()) & (time > time.shift()))
    again = pl.lit(False) if frame.select(sorted_.all()).item() else pl.struct("contract", "time").is_duplicated()
    return frame.select(pl.any_horizontal(pl.col("fault").is_not_null(), again, *broken).alias("bad"))["bad"]


def _dated(part, frame):
    """The frame with `time` and `day`, and whether its bars are shorter than a day."""
    day, moment = (next((name for name in names if name in frame.columns), None) for names in (DAYS, MOMENTS))
    told = _stamped(part, frame, day or moment)
    told = told.with_columns(pl.col("stamp").dt.date().alias("day"))
    if moment is None:
        return daily(told), False
    frame = _stamped(part, told, moment) if day else told
    stamp = pl.col("stamp")
    here = stamp.dt.convert_time_zone("UTC") if frame.schema["stamp"].time_zone else stamp.dt.replace_time_zone("UTC")
    end = here.dt.cast_time_unit("us").alias("time")
    if _within(frame):
        return frame.with_columns(end), True
    if day is None:
        return daily(frame), False
    return frame.with_columns(end, on_session(pl.col("day")).alias("day")), False


def _within(frame):
    """Whether bars are shorter than a day: they end at many times of day, or two of a contract on one date."""
    if frame["stamp"].dt.time().n_unique() > _HOURS:
        return True
    apart = [name for name in (*ROOTS, "contract", "source") if name in frame.columns]
    dates, stamps = pl.struct(*apart, pl.col("stamp").dt.date()), pl.struct(*apart, "stamp")
    return frame.select(dates.n_unique() < stamps.n_unique()).item()


def _stamped(part, frame, name):
    """The frame with `stamp`, a datetime, from a column of dates, moments, text or whole numbers YYYYMMDD."""
    dtype = frame.schema[name]
    if dtype == pl.Date:
        return frame.with_columns(pl.col(name).cast(pl.Datetime("us")).alias("stamp"))
    if isinstance(dtype, pl.Datetime):
        return frame.with_columns(pl.col(name).alias("stamp"))
    if dtype != pl.String and not dtype.is_integer():
        raise raw.Unreadable(f"{part.place}: column {name} holds {dtype}, no dates")
    frame = frame.with_columns(pl.col(name).cast(pl.String), pl.col(name).cast(pl.String).alias("source_time"))
    first = frame[name].drop_nulls().head(1)
    fits = [pattern for pattern in _PATTERNS if first.str.to_datetime(pattern, strict=False).count()]
    return raw.stamp(frame, name, fits[0] if fits else _PATTERNS[0])


def _named(part, frame):
    """The frame with `contract` and `name`, the market."""
    stem = PurePath(part.name).stem
    market = next((name for name in ROOTS if name in frame.columns), None)
    if "contract" not in frame.columns and market == "symbol":
        frame, market = bars.coded(frame.rename({"symbol": "code"}), "code"), None
    elif "contract" not in frame.columns:
        frame = _by_name(part, frame, stem)
    elif frame.schema["contract"] == pl.String:
        frame = bars.coded(frame.rename({"contract": "code"}), "code")
    else:
        number = pl.col("contract").cast(pl.Int64, strict=False)
        whole = pl.when(number > 9_999_999).then(number // 100).otherwise(number)
        frame = frame.with_columns(whole.cast(pl.Int32, strict=False).alias("contract"))
    names = [pl.col(market).cast(pl.String)] if market else []
    names += [pl.col("coded").forward_fill().backward_fill()] if "coded" in frame.columns else []
    return frame.with_columns(pl.coalesce(*names, pl.lit(stem)).alias("name"))


def _by_name(part, frame, stem):
    days = frame["day"].drop_nulls()
    market, contract = bars.contract_of(stem, days.max()) if len(days) else (None, None)
    if contract is None:
        raise raw.Unreadable(f"{part.place}: no column contract, and no contract such as ESH24 is the file's name")
    return frame.with_columns(pl.lit(contract, pl.Int32).alias("contract"), pl.lit(market or stem).alias("coded"))
