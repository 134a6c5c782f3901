"""Rows of a PostgreSQL table as text, streamed in an order of their content, and parsed into readings.

1. The server sends text, and nothing is left out by it: what does not parse here is the row's fault. `line` is the
   number of the row in the order of market, contract and moment, from 1; `raw` its values.
2. Some 32 MB are held at a time; a cut lies between two contracts, so that a contract is judged as a whole.
3. A contract is read as a delivery month or as a code, a code as of the day of its row (see `codes`).
4. More than one moment of a contract on one date (UTC) makes bars within the day, which end at it; else the date is the
   trade date of daily bars.
"""

import hashlib
import json
import re
from datetime import date

import polars as pl

from store import bars, raw
from store.codes import BadCode, parse_code
from store.naming import WITHIN_DAY
from store.postgres_export import LAYOUTS, TYPES
from store.postgres_link import DatabaseError
from store.postgres_map import VALUES
from store.reading import Reading, daily, on_session
from store.tables import CONTRACT, TEXT, TIME

CHUNK = 32 << 20  # of text that is parsed at once [bytes]
LONG = 2_000_000  # rows of one contract that are held together at most
DATE, MOMENT = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f"
PATTERNS = (DATE, "%Y%m%d", MOMENT, "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f%#z",
            "%Y-%m-%d %H:%M:%S%.f%#z")  # fmt: skip
MONTH = re.compile(r"((?:18|19|20|21)\d\d)-?(0[1-9]|1[0-2])(?:00|-01)?(?:\.0)?")
TOLD = {f"vendor_{name}": name for name in ("first_trade", "last_trade", "first_notice")}
AXES = ("source", "root", "currency", "id")  # texts of a key that are never null
MARKS = ("file", "line", "raw", "column", "fault")


# ---- out of the server


def fingerprint(connection, found, how, *told):
    """How many rows there are, and a hash of them and of how they are read; their order does not matter."""
    from psycopg import sql

    names = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(theirs)) for theirs in how.columns.values())
    text = sql.SQL("SELECT count(*), sum(hashtextextended(ROW({})::text, 0)) FROM {} AS r{}")
    place = sql.Identifier(found.schema, found.name)
    count, total = connection.execute(text.format(names, place, _where(how))).fetchone()
    content = [str(found), how.table, how.ours, list(how.columns.items()), *told, count, str(total)]
    return count, hashlib.sha256(json.dumps(content).encode()).hexdigest()


def within_day(connection, found, how):
    """Whether a contract has more than one moment on a date."""
    from psycopg import sql

    if how.ours or how.table != "contract_bars" or "time" not in how.columns or how.types["time"] == "date":
        return False
    names = [sql.Identifier(how.columns[name]) for name in how.together]
    text = sql.SQL(
        "SELECT EXISTS (SELECT 1 FROM {} AS r GROUP BY {}, left({m}, 10) HAVING min({m}) < max({m}))"
    ).format(
        sql.Identifier(found.schema, found.name),
        sql.SQL(", ").join(sql.SQL("r.{}").format(name) for name in names),
        m=sql.SQL("r.{}::text").format(sql.Identifier(how.columns["time"])),
    )
    return connection.execute(text).fetchone()[0]


def texts(connection, found, columns, order=(), how=None):
    """Columns {name: the table's} as text, by the names of `order`, in frames of some `CHUNK` bytes, one at least."""
    from psycopg import sql

    by = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(columns[name])) for name in order)
    query = sql.SQL("COPY (SELECT {} FROM {} AS r{}{}) TO STDOUT (FORMAT csv)").format(
        _expressions(columns), sql.Identifier(found.schema, found.name), _where(how),
        sql.SQL(" ORDER BY {}").format(by) if order else sql.SQL(""),
    )  # fmt: skip
    rows, size = [], 0
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for row in copy:
            rows.append(row)
            size += len(row)
            if size > CHUNK:
                yield _split(rows, columns)
                rows, size = [], 0
        yield _split(rows, columns)


def _expressions(columns):
    from psycopg import sql

    return sql.SQL(", ").join(sql.SQL("r.{}::text").format(sql.Identifier(theirs)) for theirs in columns.values())


def _where(how):
    """Of the contracts, those of which a vendor told something: dates by the exchanges' rules are made here again."""
    from psycopg import sql

    if how is None or not how.ours or how.table != "contracts":
        return sql.SQL("")
    return sql.SQL(" WHERE num_nonnulls({}) > 0").format(sql.SQL(", ").join(map(sql.Identifier, TOLD)))


def _split(rows, columns):
    """Rows of CSV as a frame of text."""
    frame = pl.read_csv(
        b"".join(rows),
        has_header=False,
        schema=dict.fromkeys(columns, TEXT),
        encoding="utf8-lossy",
        raise_if_empty=False,
    )
    if frame.height != len(rows):
        raise DatabaseError(f"{len(rows)} rows were sent, {frame.height} could be read; nothing was imported")
    return frame


# ---- with their types


def whole(connection, found, columns, name=None, how=None):
    """A table as one frame with its types; a value that none of them can hold is an error."""
    layout = LAYOUTS.get(name)
    places = {f"c{k}": column for k, column in enumerate(columns)}  # the table's own names may be anything
    back = {column: place for place, column in places.items()}
    order = [back[c] for c in (how.order if how else layout.key if layout else ()) if c in back]
    frame = pl.concat(list(texts(connection, found, places, order, how)))
    schema = {place: layout.schema[c] if layout else dtype_of(found.columns[c]) for place, c in places.items()}
    frame = typed(_placed(frame, found, 1), schema)
    for line, place, fault in frame.drop_nulls("fault").select("line", "column", "fault").head(1).iter_rows():
        raise DatabaseError(f"{found}: row {line}: column {raw.plain(places[place])}: {raw.plain(fault)}")
    return _nulls(frame.select(*places).rename(places), layout)


def dtype_of(kind):
    """Our type for a column of PostgreSQL's type `kind`; text for those that we have none for.

    >>> dtype_of("numeric(12,4)"), dtype_of("timestamp(3) without time zone"), dtype_of("money")
    (Float64, Datetime(time_unit='us', time_zone=None), String)
    """
    known = {name: TIME if dtype == pl.Datetime else dtype for dtype, name in TYPES.items()}
    known |= {"smallint": pl.Int32, "real": pl.Float64, "numeric": pl.Float64}
    known["timestamp without time zone"] = pl.Datetime("us")
    return known.get(re.sub(r"\(.*?\)", "", kind), TEXT)


def typed(frame, schema):
    """Columns of text with these types; a value that is none is the row's fault."""
    for name, dtype in schema.items():
        if dtype == pl.Float64:
            frame = raw.number(frame, name, name)
        elif dtype in (pl.Date, TIME, pl.Datetime("us")):
            frame = _stamp(frame, name, DATE if dtype == pl.Date else MOMENT, dtype == TIME)
            value = pl.col("stamp").dt.replace_time_zone("UTC") if dtype == TIME else pl.col("stamp").cast(dtype)
            frame = frame.with_columns(value.alias(name)).drop("stamp")
        elif dtype == pl.Boolean:
            frame = frame.with_columns(pl.col(name) == "true")
        elif dtype != TEXT:
            value = frame[name].cast(dtype, strict=False)
            wrong = pl.lit(value.is_null()) & pl.col(name).is_not_null()
            frame = raw.blame(frame, name, wrong, "not a whole number").with_columns(value)
    return frame


def _stamp(frame, name, pattern, zoned=False):
    """The frame with `stamp`, UTC without a zone."""
    if zoned:  # the session's zone is UTC
        frame = frame.with_columns(pl.col(name).str.strip_suffix("+00"))
    frame = raw.stamp(frame, name, pattern)
    if frame.schema["stamp"].time_zone:
        frame = frame.with_columns(pl.col("stamp").dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    return frame.with_columns(pl.col("stamp").dt.cast_time_unit("us"))


def _nulls(frame, layout):
    """Texts of a key that are '' in PostgreSQL and null in the store, see `postgres_export`."""
    held = [] if layout is None else [c for c in layout.key if layout.schema[c] == TEXT and c not in AXES]
    return frame.with_columns(pl.col(c).replace("", None) for c in held if c in frame.columns)


# ---- as readings


def series(frames, together):
    """The rows again, cut where the values of these columns change, so that equal ones come in one frame."""
    rest = None
    for frame in frames:
        rows = frame if rest is None else pl.concat([rest, frame])
        same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).last()) for c in together)
        last = rows.select(same.reverse().cast(pl.UInt32).cum_min().sum()).item() or 0
        begin = rows.height if last > LONG else rows.height - last
        if begin:
            yield rows[:begin]
        rest = rows[begin:]
    if rest is not None and rest.height:
        yield rest


def readings(connection, found, how, vendor, root=None, within=False, progress=None):
    """The `Reading`s of a table, as they come; parameters as of `postgres.import_table`.

    `within` tells that its bars are shorter than a day; `progress` is called with the number of rows read.
    """
    done, lengths = 0, {}
    for frame in series(texts(connection, found, how.columns, how.order, how), how.together):
        if progress:
            progress(done)
        frame = _placed(frame, found, done + 1)
        done += frame.height
        if how.ours:
            yield from _ours(frame, how.table)
        elif how.table == "fx":
            yield from _rates(frame, how, vendor)
        else:
            yield from _bars(frame, how, vendor, root, within, lengths)


def _placed(frame, found, first):
    """The frame of text with where its rows stand and what they were."""
    return frame.with_columns(
        pl.concat_str(pl.all().fill_null(""), separator=",").alias("raw"),
        pl.int_range(first, first + pl.len()).alias("line"),
        pl.lit(str(found)).alias("file"),
        pl.lit(None, TEXT).alias("column"),
        pl.lit(None, TEXT).alias("fault"),
    )


def _ours(frame, table):
    """Rows of a table that was exported: they complete each other, as a row without a price was stored, too."""
    layout, axis = LAYOUTS[table], "root" if "root" in LAYOUTS[table].columns else "currency"
    frame = _nulls(typed(frame, {c: layout.schema[c] for c in frame.columns if c in layout.schema}), layout)
    if table == "contracts":
        frame = frame.select("source", "root", "contract", *TOLD, *MARKS).rename(TOLD)
    parts = frame.partition_by("source", axis, as_dict=True, maintain_order=True, include_key=False)
    partial = table in ("contract_bars", "vendor_chains")
    return [Reading(table, source, name, rows, partial=partial, ours=True) for (source, name), rows in parts.items()]


def _rates(frame, how, vendor):
    """Exchange rates of somebody else's table."""
    frame = _by_type(frame, "day", how).with_columns(pl.col("stamp").dt.date().alias("day"))
    frame = raw.number(frame, "rate", "rate").with_columns(
        pl.col("currency").str.strip_chars().str.to_uppercase().alias("name"), _sender(frame, vendor)
    )
    frame = raw.blame(frame, "currency", pl.col("name").is_null(), "no currency")
    return _parted(frame, "fx", how, ["day", "rate", "source_time"])


def _bars(frame, how, vendor, root, within, lengths):
    """Bars of somebody else's table."""
    frame = _dated(frame, how, within)
    frame = _contracts(frame, told=root is not None or "root" in how.columns)
    frame = bars.numbers(frame, {name: name for name in VALUES if name in how.columns})
    market = pl.col("root").str.strip_chars().replace("", None) if "root" in how.columns else pl.col("coded")
    name = market if root is None else pl.lit(root)
    frame = frame.with_columns(name.alias("name"), _sender(frame, vendor))
    if root is None and "root" in how.columns:
        frame = raw.blame(frame, "root", pl.col("name").is_null(), "no market")
    if within:
        frame = _by_length(frame, vendor, lengths)
    kept = ["contract", "time", *([] if within else ["day"]), "source_time", *(c for c in VALUES if c in how.columns)]
    return _parted(frame, "contract_bars", how, kept, partial=not {"close", "settle"} & how.columns.keys())


def _sender(frame, vendor):
    return (pl.col("source").fill_null(vendor) if "source" in frame.columns else pl.lit(vendor)).alias("sender")


def _by_type(frame, name, how):
    """The frame with `stamp` and `source_time` of a column of dates, moments, numbers or text."""
    kind = re.sub(r"\(.*?\)", "", how.types[name])
    frame = frame.with_columns(pl.col(name).alias("source_time"))
    if kind.startswith("timestamp"):
        return _stamp(frame, name, MOMENT, kind.endswith("with time zone"))
    first = frame[name].drop_nulls().head(1)
    fits = [p for p in PATTERNS if first.len() and first.str.to_datetime(p, strict=False).null_count() == 0]
    return _stamp(frame, name, fits[0] if fits else DATE)


def _dated(frame, how, within):
    """The frame with `time` and, for daily bars, `day`."""
    if "time" in how.columns:
        frame = _by_type(frame, "time", how)
        frame = frame.with_columns(pl.col("stamp").dt.replace_time_zone("UTC").alias("time"))
    if within:
        return frame
    if "day" in how.columns:
        frame = _by_type(frame, "day", how)
    frame = frame.with_columns(pl.col("stamp").dt.date().alias("day"))
    if "day" in how.columns and "time" in how.columns:  # both are told
        return frame.with_columns(on_session(pl.col("day")).alias("day"))
    return daily(frame)


def _contracts(frame, told):
    """The frame with `contract`, and `coded`, the market in its code; `told`: the market stands elsewhere."""
    moment = pl.col("day" if "day" in frame.columns else "time")
    key = [pl.col("contract"), moment.dt.year().alias("year"), moment.dt.month().alias("month")]
    found = frame.select(key).unique()
    meant = [_contract(*row) for row in found.iter_rows()]
    found = found.with_columns(
        pl.Series("coded", [root or None for root, _ in meant], TEXT),
        pl.Series("meant", [contract for _, contract in meant], CONTRACT),
    )
    frame = frame.with_columns(key).join(
        found, on=["contract", "year", "month"], how="left", nulls_equal=True, maintain_order="left"
    )
    frame = raw.blame(frame, "contract", pl.col("meant").is_null(), "no contract: write 202403 or ESH24")
    if not told:
        frame = raw.blame(frame, "contract", pl.col("coded").is_null(), "no market in this code")
    return frame.with_columns(pl.col("meant").alias("contract"))


def _contract(text, year, month):
    """Market and contract of a text in a row of that month; None for what is not in it."""
    written = (text or "").strip()
    digits = MONTH.fullmatch(written)
    if digits:
        return None, int(digits[1] + digits[2])
    try:
        return parse_code(written, date(year or 2000, month or 1, 1))  # a row without a day is at fault anyway
    except BadCode:
        return None, None


def _by_length(frame, vendor, lengths):
    """The frame with the senders named after the length of their bars, as the first rows show it."""
    for (sender,) in frame.select("sender").unique().iter_rows():
        if sender not in lengths:
            rows = frame.filter(pl.col("sender") == sender).sort("name", "contract", "time")
            named = sender.endswith(WITHIN_DAY)
            lengths[sender] = sender if named else bars.source(sender, bars.minutes(rows))
    return frame.with_columns(pl.col("sender").replace(lengths))


def _parted(frame, table, how, kept, partial=False):
    """A Reading a source and market; a row at fault for want of a market goes with the one before."""
    frame = frame.with_columns(pl.col("name").forward_fill().backward_fill().fill_null("unknown"))
    headings = {"time": how.columns.get("day"), "day": how.columns.get("time")} | how.columns
    headings = {ours: theirs for ours, theirs in headings.items() if theirs}
    parts = frame.select("sender", "name", *kept, *MARKS).partition_by(
        "sender", "name", as_dict=True, maintain_order=True, include_key=False
    )
    return [Reading(table, sender, name, rows, headings, partial) for (sender, name), rows in parts.items()]
