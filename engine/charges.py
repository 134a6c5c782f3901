"""Dated rows of a portfolio or of a file: what holds from a day on, and the param that takes such rows.

A row is a table with a day, such as `{since = 2019-07-01, root = "ES", commission_per_side = 2.10}`. It holds from its
day until the next row that has the same figure; before the first there is nothing.
"""

import datetime
import math

import numpy as np
import param
from param.parameterized import instance_descriptor

from engine.settings import ConfigError, figure, nearest

DAY, TEXT = "day", "text"


class Rows(param.List):
    """A list of tables, each with a day; kept by day, with numbers as floats, so that equal lists read the same.

    `columns` says what each key holds: DAY, TEXT or the bounds of a number (the lower, the upper). The first is a DAY
    and needed; `needed` are the others that are.

    >>> class Plan(param.Parameterized):
    ...     payments = Rows(columns={"day": DAY, "amount": (-1e6, 1e6)}, needed=("amount",))
    >>> Plan(payments=[{"day": "2020-02-03", "amount": 5}]).payments
    [{'day': datetime.date(2020, 2, 3), 'amount': 5.0}]
    """

    __slots__ = ["columns", "needed"]

    def __init__(self, default=None, *, columns=None, needed=(), **params):
        object.__setattr__(self, "columns", columns or {})
        object.__setattr__(self, "needed", tuple(needed))
        super().__init__(default=[] if default is None else default, item_type=dict, **params)

    @instance_descriptor
    def __set__(self, obj, val):
        super().__set__(obj, tidied(val, self.columns, self.needed) if isinstance(val, list | tuple) else val)


def tidied(rows, columns, needed=()):
    """The rows in the order of their days, checked; a ConfigError says what is wrong with the first bad one.

    >>> tidied([{"day": "2020-02-03", "amount": math.nan}], {"day": DAY, "amount": (0, 1e6)})
    Traceback (most recent call last):
    ...
    engine.settings.ConfigError: row 1: amount = nan is not a number from 0 to 1_000_000
    """
    made = [_row(row, columns, needed, f"row {number}:") for number, row in enumerate(rows, 1)]
    return sorted(made, key=lambda row: [(key in row, str(row.get(key, ""))) for key in columns])


def figures(rows, key, days):
    """A figure as dated rows have it, array (time,): that of the last row on or before the day; nan before the first.

    >>> rows = [{"since": datetime.date(2020, 1, 3), "fee": 2.0}, {"since": datetime.date(2020, 1, 6), "fee": 1.5}]
    >>> figures(rows, "fee", np.arange("2020-01-02", "2020-01-08", dtype="datetime64[D]"))
    array([nan, 2. , 2. , 2. , 1.5, 1.5])
    """
    out = np.full(len(days), np.nan)
    for row in sorted((row for row in rows if key in row), key=lambda row: row["since"]):
        out[days >= np.datetime64(row["since"], "D")] = row[key]
    return out


def _row(row, columns, needed, place):
    """One row, checked; `place` begins each complaint."""
    if not isinstance(row, dict):
        raise ConfigError(f"{place} {row!r} is not a table; allowed: a table of {', '.join(columns)}")
    for key in row:
        if key not in columns:
            raise ConfigError(f"{place} {key} is unknown; allowed: {', '.join(columns)}{nearest(key, columns)}")
    for key in (next(iter(columns)), *needed):
        if key not in row:
            raise ConfigError(f"{place} has no {key}; allowed: {_words(columns[key])}")
    return {key: _value(f"{place} {key} =", row[key], kind) for key, kind in columns.items() if key in row}


def _value(place, value, kind):
    if kind == DAY:
        return _day(place, value)
    if kind == TEXT:
        if not isinstance(value, str):
            raise ConfigError(f"{place} {value!r} is not text")
        return value
    low, high = kind
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):
        raise ConfigError(f"{place} {value!r} is not {_words(kind)}")
    return float(value)


def _day(place, value):
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError as fault:
            raise ConfigError(f"{place} {value!r} is not {_words(DAY)}: {fault}") from fault
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise ConfigError(f"{place} {value!r} is not {_words(DAY)}")
    return value


def _words(kind):
    """What a key holds.

    >>> _words(DAY), _words((-1e15, 1e15))
    ('a date such as 2001-01-31', 'a number from -1e15 to 1e15')
    """
    if kind in (DAY, TEXT):
        return "a date such as 2001-01-31" if kind == DAY else "text"
    return f"a number from {figure(kind[0])} to {figure(kind[1])}"
