"""Columns that several readers make of a vendor's rows in the same way: where a row stands, numbers, moments, sizes.

Bars within the day end at `time`, UTC. Their source is named after their length, so that they never mix with the daily
rows of the same vendor: `firstrate-minute`, `firstrate-5-minute`, `firstrate-hour`.
"""

from datetime import date

import polars as pl

from store import codes, raw

MISSING = ("", "nan", "NaN", "null", "N/A")
NO_DAY = date(2000, 1, 1)  # of a part in which no date can be read: its rows are all at fault


def placed(frame, parts, **each):
    """The frame with `file`, and a column for each list of `each`, which has one value a part."""
    columns = {"file": [part.place for part in parts]} | each
    return frame.with_columns(
        pl.lit(pl.Series(values, dtype=pl.Int32 if isinstance(values[0], int) else pl.String))
        .gather("part")
        .alias(name)
        for name, values in columns.items()
    )


def numbers(frame, columns, missing=MISSING):
    """The frame with a number of ours for each text column of the vendor's: `columns` is {theirs: ours}."""
    for text, name in columns.items():
        frame = raw.number(frame, text, name, missing)
    return frame


def moment(frame, text, timezone):
    """The frame with `time`, UTC, from `stamp`, the clock of `timezone`; an hour that its clocks skipped is a fault.

    Of an hour that came twice the earlier is meant.
    """
    local = pl.col("stamp").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    absent = pl.col("stamp").is_not_null() & local.is_null()
    frame = raw.blame(frame, text, absent, f"no such moment in {timezone}")
    return frame.with_columns(local.dt.convert_time_zone("UTC").dt.cast_time_unit("us").alias("time"))


def minutes(frame, moments="time"):
    """Length of the bars: the commonest step between two rows of a contract. [minutes]

    >>> from datetime import datetime
    >>> stamps = [datetime(2024, 1, 2, 9, m) for m in (0, 5, 10, 25)]
    >>> minutes(pl.DataFrame({"contract": 202403, "time": stamps}))
    5
    """
    steps = frame.select(pl.col(moments).diff().over("contract").dt.total_minutes().alias("step"))
    common = steps.filter(pl.col("step") > 0)["step"].mode()
    return int(common.min()) if common.len() else 1


def source(vendor, length):
    """Name of the source of a vendor's bars of a `length` in minutes, less than a day.

    >>> source("firstrate", 1), source("firstrate", 5), source("firstrate", 60), source("firstrate", 240)
    ('firstrate-minute', 'firstrate-5-minute', 'firstrate-hour', 'firstrate-4-hour')
    """
    count, unit = (length // 60, "hour") if length % 60 == 0 else (length, "minute")
    return f"{vendor}-{unit}" if count == 1 else f"{vendor}-{count}-{unit}"


def contract_of(text, day):
    """Root and contract of a code, read as of a day; (None, None) of what is none."""
    try:
        return codes.parse_code(text, day)
    except codes.BadCode:
        return None, None


def grouped(pairs):
    """{key: [value, ...]} of (key, value) pairs, in the order in which the keys came."""
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def coded(frame, text):
    """The frame with `contract` and `coded`, the root, from a column of codes; what is none is the row's fault.

    A code is read as of its row's year (`day`), since ESH1 comes again after ten years. Of a code without a root, such
    as 202403, `coded` is null; of one that fails too.
    """
    year = pl.col("day").dt.year().alias("year")
    written = frame.group_by(text, year).agg(pl.col("day").min()).drop_nulls().sort(text, "year")
    rows = [(code, when, *contract_of(code, day)) for code, when, day in written.iter_rows()]
    schema = {text: pl.String, "year": pl.Int32, "coded": pl.String, "month": pl.Int32}  # `text` may be `contract`
    known = pl.DataFrame(rows, schema, orient="row").with_columns(pl.col("coded").replace("", None))
    frame = frame.with_columns(year).join(known, on=[text, "year"], how="left", maintain_order="left").drop("year")
    frame = raw.blame(frame, text, pl.col("month").is_null(), "not a contract code")
    return frame.with_columns(contract=pl.col("month")).drop("month")


def by_name(frame, parts, written):
    """The frame with `file`, `name` (the market) and `contract`, of the code that is written in each part's name.

    Codes are read as of the part's last `day`; they may lack the root (2024H, H24, 03-24), of which `name` then says
    nothing. A part whose code is none is Unreadable.
    """
    latest = dict(frame.group_by("part").agg(pl.col("day").max()).iter_rows())
    found = [_written(text, latest.get(number) or NO_DAY) for number, text in enumerate(written)]
    for part, text, (_, contract) in zip(parts, written, found, strict=True):
        if contract is None:
            raise raw.Unreadable(f"{part.place}: {raw.plain(text, 40)!r} in the name is no contract")
    names, contracts = zip(*found, strict=True)
    return placed(frame, parts, name=names, contract=contracts)


def _written(text, day):
    tried = (contract_of(f"{root}{text}", day) for root in ("", "X_", "X "))
    return next((found for found in tried if found[1]), (None, None))
