"""Stores made of a few rows: bars of contracts and chains by day, and findings on them."""

from datetime import date, timedelta

import polars as pl

from store.tables import TABLES


def days(first, last, without=()):
    """Weekdays from `first` to `last` (ISO) but those in `without`."""
    first, last = date.fromisoformat(first), date.fromisoformat(last)
    every = (first + timedelta(days=k) for k in range((last - first).days + 1))
    return [day for day in every if day.weekday() < 5 and day.isoformat() not in without]


def bars(contract, when, settle=100.0, **columns):
    """Rows of one contract, a day each; a value may be a list."""
    frame = _filled(pl.DataFrame({"day": when}, {"day": pl.Date}), {"settle": settle} | columns)
    return TABLES["contract_bars"].conform(_timed(frame.with_columns(contract=pl.lit(contract, pl.Int32))))


def chain(when, price, rank=1, **columns):
    """Rows of a chain or a nearby series, a day each."""
    frame = _filled(pl.DataFrame({"day": when}, {"day": pl.Date}), {"price": price} | columns)
    return TABLES["vendor_chains"].conform(_timed(frame.with_columns(rank=pl.lit(rank, pl.Int32))))


def store(archive, *frames, source="barchart", root="MES"):
    """Put rows of one market and source into the store, in place of those that it has."""
    frame = pl.concat(frames)
    table = "contract_bars" if "filled_from" in frame.columns else "vendor_chains"
    frame = frame.with_columns(source=pl.lit(source), root=pl.lit(root))
    old = archive.files(table, source=source, root=root)
    return archive.commit([archive.write(table, frame, source=source, root=root)], old)


def find(archive, *rows, root="MES", source="barchart"):
    """Store findings of a market in place of those that it has; `rows` are dicts."""
    same = {"severity": "warn", "rule": "spike", "source": source, "root": root, "contract": 202403, "field": "settle"}
    told = [same | {"id": f"{number:012x}", "done": "kept; decide"} | row for number, row in enumerate(rows)]
    frame = TABLES["findings"].conform(pl.DataFrame(told)) if told else TABLES["findings"].empty()
    return archive.commit([archive.write("findings", frame, root=root)], archive.files("findings", root=root))


def _filled(frame, columns):
    """The frame with columns of one value, or of a list with one a row."""
    made = (pl.lit(pl.Series(x) if isinstance(x, list) else x).alias(name) for name, x in columns.items())
    return frame.with_columns(made)


def _timed(frame):
    end = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=23)
    return frame.with_columns(end.alias("time"))
