"""What a segment says about its rows without being opened: table, labels and days; and rows brought into that form.

Labels such as `source` and `root` hold for every row of a file. A file that does not carry a label that its table has
as a column may hold any value of it, and the rows decide.
"""

import re
from datetime import date
from difflib import get_close_matches

import polars as pl

from store.durable import StoreError
from store.manifest import Conflict
from store.tables import TABLES

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Refused(StoreError):
    """The caller's mistake: an unknown table or column, or a label that is none."""


def choose(name, known, what):
    """Refuse a name that is not one of the known, telling the nearest."""
    if name not in known:
        near = get_close_matches(str(name), list(known), 1)
        raise Refused(f"there is no {what} {name!r}" + (f": did you mean {near[0]}?" if near else ""))
    return name


def table_named(name):
    """The table of that name."""
    return TABLES[choose(name, TABLES, "table")]


def checked_labels(labels):
    """The labels, if each name and value is one."""
    for label, value in labels.items():
        if not _LABEL.fullmatch(label):
            raise Refused(f"label {label!r} must be lower-case letters, digits and underscores")
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise Refused(
                f"label {label} = {value!r} must be 1 to 64 letters, digits, dots, dashes and underscores, no dot first"
            )
    return labels


def wanted_labels(labels):
    """Label -> set of the values asked for."""
    wanted = {label: {value} if isinstance(value, str) else set(value) for label, value in labels.items()}
    for label, values in wanted.items():
        for value in values:
            checked_labels({label: value})
    return wanted


def may_hold(segment, columns, label, values):
    """Whether rows with the label may be in the file: it says so, or it does not say and the rows tell."""
    return segment.labels[label] in values if label in segment.labels else label in columns


def conform(table, frame, labels):
    """The frame as the table has it, every row as the labels say."""
    for name in frame.columns:
        choose(name, table.schema, f"column of {table.name}")
    told = {label: value for label, value in labels.items() if label in table.schema}
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in told.items() if name not in frame.columns)
    try:
        frame = table.conform(frame)
    except pl.exceptions.PolarsError as error:
        raise Refused(f"rows do not fit table {table.name}: {str(error).splitlines()[0]}") from error
    for name, value in told.items():
        if not frame.select(pl.col(name).eq_missing(pl.lit(value)).all()).item():
            raise Refused(f"label {name} = {value!r} does not hold for all rows")
    return frame


def group(segment):
    """Table and labels: what is replaced together."""
    return segment.table, tuple(sorted(segment.labels.items()))


def compare_groups(groups, base, head):
    """Conflict if the files of these groups differ between two snapshots."""
    then, now = ({s.path for s in snapshot.files if group(s) in groups} for snapshot in (base, head))
    if then != now:
        raise Conflict(f"{min(then ^ now)} was changed by another writer meanwhile; nothing was changed")


def _day(schema):
    """The day of a row, as an expression; None for a table without one."""
    if "day" in schema:
        return pl.col("day")
    return pl.col("time").dt.date() if "time" in schema else None


def day_range(frame):
    """First and last day of the rows; None where they have none."""
    day = _day(frame.schema)
    return (None, None) if day is None else frame.select(day.min().alias("a"), day.max().alias("b")).row(0)


def bounds(days, schema):
    """First and last day as dates, each open where it is None."""
    if days is not None and _day(schema) is None:
        raise Refused("rows of this table have no day to pick by")
    first, last = (date.fromisoformat(day) if isinstance(day, str) else day for day in days or (None, None))
    return first, last


def overlaps(segment, first, last):
    """Whether rows of such days may be in the file."""
    if segment.first_day is None:
        return False
    return (last is None or segment.first_day <= last) and (first is None or first <= segment.last_day)


def within(schema, first, last):
    """Whether a row is of such days, as an expression."""
    return _day(schema).is_between(first or date.min, last or date.max)
