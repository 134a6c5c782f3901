"""A market's rolled history as rows of numbers, and the rows of several markets as arrays (time, market).

A row is a day's bar of the contract held into that day, or a day on which a position only closes. What is not there is
nan. Bars within the day are made one; those after the moment of a roll are of the contract rolled into, which is held
from the next day on, and belong to no row.
"""

import numpy as np

TAKEN = ("open", "high", "low", "close", "settle", "volume", "open_interest", "offset", "filled")  # of the series
LEGS = {  # ours -> the calendar's
    "roll_contract": "to_contract",
    "roll_from": "from_price",
    "roll_to": "to_price",
    "open_from": "open_from",
    "open_to": "open_to",
}
COLUMNS = (
    "day",
    "open",
    "high",
    "low",
    "close",
    "settle",
    "volume",
    "open_interest",
    "contract",
    "offset",
    "roll",
    "roll_contract",
    "roll_from",
    "roll_to",
    "open_from",
    "open_to",
    "closed",
    "filled",
)
PLACE = {name: k for k, name in enumerate(COLUMNS)}
ROLLS = [PLACE[name] for name in ("day", "contract", "roll", "roll_contract", "roll_from", "roll_to")]
MONTHS = 1_000_000  # above any contract, YYYYMM


def rows_of(series):
    """The rolled history of one market, a `store.derived.Series`, as an array (day, COLUMNS)."""
    frame = series.frame  # read once: of bars within the day it is large, and nobody keeps it
    if frame.is_empty():
        return np.empty((0, len(COLUMNS)))
    acts, legs = _legs(series.legs)
    own = _keys(_days(frame["day"]), frame["contract"])
    if (own[1:] < own[:-1]).any():
        order = np.argsort(own, kind="stable")
        frame, own = frame[order], own[order]
    low, high = (np.searchsorted(own, acts, side=side) for side in ("left", "right"))
    out = np.full((len(own), len(COLUMNS)), np.nan)
    for name in TAKEN:
        out[:, PLACE[name]] = frame[name].to_numpy()
    if (low == high).any():  # the contract has no bar on the day on which it is closed
        out, own = _with_closes(out, own, acts[low == high])
        low, high = (np.searchsorted(own, acts, side=side) for side in ("left", "right"))
    out[:, PLACE["day"]], out[:, PLACE["contract"]] = own // MONTHS, own % MONTHS
    count = high - low
    rows, leg = _ranges(low, count), np.repeat(np.arange(len(acts)), count)
    for name, values in legs.items():
        out[:, PLACE[name]] = 0.0 if name in ("roll", "roll_contract", "closed") else np.nan
        out[rows, PLACE[name]] = values[leg]
    return _one_a_day(out, own)


def _one_a_day(out, own):
    """One bar a day of the contract held into it, the nearest: rows ascend by `own`, their days and contracts."""
    day = own // MONTHS
    held = own == own[np.searchsorted(day, day)]
    if not held.all():
        out, own = out[held], own[held]
    first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    if len(first) == len(own):
        return out
    made = out[np.append(first[1:], len(own)) - 1]  # the last bar's, but for what follows
    made[:, PLACE["open"]] = out[first, PLACE["open"]]
    for name, of in (("high", np.fmax), ("low", np.fmin), ("filled", np.fmax)):
        made[:, PLACE[name]] = of.reduceat(out[:, PLACE[name]], first)
    volume = out[:, PLACE["volume"]]
    unknown = np.logical_and.reduceat(np.isnan(volume), first)
    made[:, PLACE["volume"]] = np.where(unknown, np.nan, np.add.reduceat(np.nan_to_num(volume), first))
    return made


def _legs(legs):
    """(keys of the day on which a roll is acted on and the contract left, ascending; {column: values})."""
    closing = legs["reason"].str.starts_with("closed").fill_null(False).to_numpy()
    acted = np.where(closing, *(_days(legs[name]) for name in ("decided", "day")))  # a close is acted on when decided
    keys, first = np.unique(_keys(acted, legs["from_contract"]), return_index=True)
    values = {name: legs[source].to_numpy()[first] for name, source in LEGS.items()}
    for name, nothing in (("roll_contract", 0), ("roll_from", np.nan), ("roll_to", np.nan)):
        values[name] = np.where(closing[first], nothing, values[name])  # what follows is not known on that day
    return keys, values | {"closed": closing[first], "roll": ~closing[first]}


def _with_closes(out, own, added):
    """The rows with those on which a position only closes; they keep the offset of the row before."""
    keys = np.append(own, added)
    order = np.argsort(keys, kind="stable")
    out = np.vstack([out, np.full((len(added), len(COLUMNS)), np.nan)])[order]
    offset = PLACE["offset"]
    out[:, [offset]] = carried(out[:, [offset]])
    out[np.isnan(out[:, PLACE["filled"]]), PLACE["filled"]] = 0.0
    return out, keys[order]


def _ranges(low, count):
    """All numbers of the ranges that begin at `low` and have `count` numbers.

    >>> _ranges(np.array([3, 8]), np.array([2, 1]))
    array([3, 4, 8])
    """
    return np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())


def _days(column):
    """Days since 1970."""
    return column.to_physical().to_numpy()


def _keys(days, contracts):
    """A number for each day and contract, in their order."""
    return days.astype(np.int64) * MONTHS + contracts.to_numpy()


def aligned(days, series):
    """One array (time, market, COLUMNS) from rows of several markets; nan where a market has no row."""
    table = np.full((len(days), len(series), len(COLUMNS)), np.nan)
    for m, rows in enumerate(series):
        table[np.searchsorted(days, rows[:, 0].astype(np.int64)), m] = rows
    return table


def prices(table, roll_fill):
    """{field of `Market`: array (time, market)} of those that come from the rows; legs as they trade at `roll_fill`."""
    columns = {name: np.ascontiguousarray(table[:, :, k]) for k, name in enumerate(COLUMNS)}
    del columns["day"], columns["filled"]
    flags = {name: columns.pop(name) == 1.0 for name in ("roll", "closed")}
    open_from, open_to = columns.pop("open_from"), columns.pop("open_to")
    legs = np.where(flags["roll"], columns["roll_from"], np.nan)
    settled = np.where(np.isnan(columns["settle"]), columns["close"], columns["settle"])
    columns["mark"] = np.where(np.isnan(legs), settled, legs)
    columns["offset"] = carried(columns["offset"])
    left = np.where(flags["roll"], columns["roll_contract"], columns["contract"])  # what is held after the bar
    contract = np.where(np.isnan(columns["contract"]), carried(left), columns["contract"])
    columns["contract"] = np.nan_to_num(contract).astype(np.int32)
    columns["roll_contract"] = np.nan_to_num(columns["roll_contract"]).astype(np.int32)
    at_open = (roll_fill == "open") & ~np.isnan(open_from) & ~np.isnan(open_to)
    columns["roll_from_fill"] = np.where(at_open, open_from, columns["roll_from"])
    columns["roll_to_fill"] = np.where(at_open, open_to, columns["roll_to"])
    return columns | flags


def carried(values):
    """Last value that is not nan, column by column."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)
