"""A market's rolled history as rows of numbers, and the rows of several markets as arrays (time, market).

A row is a day's bar of the contract held into that day, or a day on which a position only closes. What is not there is
nan. Bars within the day are made one; those after the moment of a roll are of the contract rolled into, which is held
from the next day on, and belong to no row. Volumes of zero before the first other one are unknown: vendors write 0 for
years in which they had none (`store.rolls`, rule 3).

What is rolled out of over several days, or as fast as a cap on participation allows, is followed a while longer
(`left`): from the bar after the roll to the end, which is the first of

1. the bar on which the last part goes, `roll_days - 1` bars of the market later, or the first after it on which both
   contracts have a price; with a cap on participation there is no such bar;
2. the contract's last allowed day, or the first row after it; known beforehand;
3. the next roll, or the day on which the market's chain breaks off.
"""

from typing import NamedTuple

import numpy as np

TAKEN = (
    "open", "high", "low", "close", "settle", "volume", "open_interest", "offset", "filled", "next_price", "next_days",
    "roll_yield",
)  # of the series  # fmt: skip
DAILY = ("day", "contract", *TAKEN, "liquidity")
LEGS = {  # ours -> the calendar's
    "roll_contract": "to_contract",
    "roll_from": "from_price",
    "roll_to": "to_price",
    "open_from": "open_from",
    "open_to": "open_to",
}
PLACE = {name: k for k, name in enumerate(DAILY)}
MONTHS = 1_000_000  # above any contract, YYYYMM
LIQUID = 20  # bars over which the mean volume is taken
LEFT = ("left_open", "left_mark", "left_volume", "roll_volume")  # of `left`, those that are nan where there is none


class Rows(NamedTuple):
    """The rolled history of one market."""

    values: np.ndarray  # (DAILY, row)
    acts: np.ndarray  # (act,) numbers of the rows on which the contract is left, ascending
    closed: np.ndarray  # bool (act,): it ended without a price to roll at; else it rolls
    legs: np.ndarray  # (LEGS, act)

    @property
    def days(self):
        """(row,) days since 1970."""
        return self.values[0].astype(np.int64)

    def __len__(self):
        return self.values.shape[1]

    def until(self, day):
        """The rows up to a day."""
        rows = int(np.searchsorted(self.values[0], day, side="right"))
        acts = int(np.searchsorted(self.acts, rows))
        return Rows(self.values[:, :rows], self.acts[:acts], self.closed[:acts], self.legs[:, :acts])


def rows_of(series, frame):
    """The rolled history of one market as `Rows`: of a `store.derived.Series` and its rows."""
    if frame.is_empty():
        return Rows(np.empty((len(DAILY), 0)), np.empty(0, np.int64), np.empty(0, bool), np.empty((len(LEGS), 0)))
    keys, closed, legs = _legs(series.legs)
    own = _keys(_days(frame["day"]), frame["contract"])
    if (own[1:] < own[:-1]).any():
        order = np.argsort(own, kind="stable")
        frame, own = frame[order], own[order]
    values = np.full((len(DAILY), len(own)), np.nan)
    for name in TAKEN:
        values[PLACE[name]] = frame[name].to_numpy()
    absent = keys[_found(own, keys)[1] < 0]
    if len(absent):  # the contract has no bar on the day on which it is closed
        values, own = _with_closes(values, own, absent)
    values, own = _one_a_day(values, own)
    values[PLACE["day"]], values[PLACE["contract"]] = own // MONTHS, own % MONTHS
    volume = values[PLACE["volume"]]
    volume[: _shown(volume)] = np.nan
    values[PLACE["liquidity"]] = mean_volume(volume)
    there, acts = _found(own, keys)
    return Rows(values, acts[there], closed[there], legs[:, there])


def mean_volume(volume, bars=LIQUID):
    """Mean of the known volumes of the last bars, this one included; nan where none of them is known.

    Every window is added up in the same order: no sum remembers what came before it.

    >>> mean_volume(np.array([np.nan, 8.0, np.nan, 4.0, 3.0]), 3).tolist()
    [nan, 8.0, 8.0, 6.0, 3.5]
    """
    known, known_volume = ~np.isnan(volume), np.nan_to_num(volume)
    total, count = np.zeros(len(volume)), np.cumsum(known)
    for lag in range(min(bars, len(volume))):
        total[lag:] += known_volume[: len(volume) - lag]
    count[bars:] -= count[:-bars].copy()
    return np.divide(total, count, out=np.full(len(volume), np.nan), where=count > 0)


def _shown(volume):
    """Number of the first bar whose volume is above zero; of all bars, if none is."""
    above = np.flatnonzero(volume > 0)
    return int(above[0]) if len(above) else len(volume)


def _one_a_day(values, own):
    """One bar a day of the contract held into it, the nearest, and their keys: rows ascend by `own`."""
    day = own // MONTHS
    held = own == own[np.searchsorted(day, day)]
    if not held.all():
        values, own = values[:, held], own[held]
    first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    if len(first) == len(own):
        return values, own
    made = values[:, np.append(first[1:], len(own)) - 1]  # the last bar's, but for what follows
    made[PLACE["open"]] = values[PLACE["open"], first]
    for name, of in (("high", np.fmax), ("low", np.fmin), ("filled", np.fmax)):
        made[PLACE[name]] = of.reduceat(values[PLACE[name]], first)
    volume = values[PLACE["volume"]]
    unknown = np.logical_and.reduceat(np.isnan(volume), first)
    made[PLACE["volume"]] = np.where(unknown, np.nan, np.add.reduceat(np.nan_to_num(volume), first))
    return made, own[first]


def _legs(legs):
    """(keys of the day on which a roll is acted on and the contract left, ascending; whether it only closes; LEGS)."""
    closing = np.array([(reason or "").startswith("closed") for reason in legs["reason"].to_list()], bool)
    acted = np.where(closing, *(_days(legs[name]) for name in ("decided", "day")))  # a close is acted on when decided
    keys = _keys(acted, legs["from_contract"])
    order = np.argsort(keys, kind="stable")
    first = order[np.append(True, keys[order][1:] != keys[order][:-1])[: len(order)]]
    keys = keys[first]
    values, closed = {name: legs[source].to_numpy()[first] for name, source in LEGS.items()}, closing[first]
    for name, nothing in (("roll_contract", 0), ("roll_from", np.nan), ("roll_to", np.nan)):
        values[name] = np.where(closed, nothing, values[name])  # what follows is not known on that day
    return keys, closed, np.array(list(values.values()), np.float64)


def _with_closes(values, own, added):
    """The rows with those on which a position only closes; they keep the offset of the row before."""
    keys = np.append(own, added)
    order = np.argsort(keys, kind="stable")
    values = np.hstack([values, np.full((len(values), len(added)), np.nan)])[:, order]
    offset, filled = values[PLACE["offset"]], values[PLACE["filled"]]
    offset[:] = carried(offset[:, None])[:, 0]
    filled[np.isnan(filled)] = 0.0
    return values, keys[order]


def _days(column):
    """Days since 1970."""
    return column.to_numpy().astype("datetime64[D]").astype(np.int64)


def _keys(days, contracts):
    """A number for each day and contract, in their order."""
    return days.astype(np.int64) * MONTHS + contracts.to_numpy()


def _found(keys, wanted):
    """Whether each wanted number is one of the ascending keys, and its place there; -1 where it is none."""
    place = np.searchsorted(keys, wanted)
    there = np.append(keys, -1)[place] == wanted
    return there, np.where(there, place, -1)


def union(days):
    """All days of several arrays (row,) of days since 1970, ascending, each once.

    Counted, not sorted: `np.unique` loads masked arrays when it is first called, which takes as long as ten markets.

    >>> union([np.array([3, 9]), np.array([-1, 3])])
    array([-1,  3,  9])
    """
    every = np.concatenate(days)
    return np.flatnonzero(np.bincount(every - every.min())) + every.min()


def aligned(days, rows):
    """{column: array (time, market)} of several markets' rows; where a market has none nan, 0 or false."""
    names = [name for name in DAILY if name not in ("day", "filled")]
    taken, shape = [PLACE[name] for name in names], (len(rows), len(days))
    daily = np.full((len(names), *shape), np.nan)  # (column, market, time): written in the order of memory
    legs, flags = np.full((len(LEGS), *shape), np.nan), np.zeros((2, *shape), bool)
    for m, one in enumerate(rows):
        place = np.searchsorted(days, one.days)
        daily[:, m, place] = one.values[taken]
        legs[:, m, place[one.acts]] = one.legs
        flags[:, m, place[one.acts]] = one.closed, ~one.closed
    return {
        name: values for block, of in ((daily, names), (legs, LEGS), (flags, ("closed", "roll")))
        for name, values in zip(of, _turned(block), strict=True)
    }  # fmt: skip


def _turned(block):
    """Arrays (time, market) of a block (column, market, time), each in C order.

    They are parts of one block: the system gives large blocks in large pages, and many small ones at thrice the price.
    """
    turned = np.empty((block.shape[0], block.shape[2], block.shape[1]), block.dtype)
    np.copyto(turned, block.transpose(0, 2, 1))
    return turned


def prices(table, roll_fill):
    """{field of `Market`: array (time, market)} of those that come from the rows; legs as they trade at `roll_fill`."""
    table = table | {"next_mark": table["next_price"]}
    open_from, open_to = table.pop("open_from"), table.pop("open_to")
    table.pop("next_price")
    held, into, rolls = table["contract"], table["roll_contract"], np.nonzero(table["roll"])
    mark = np.where(np.isnan(table["settle"]), table["close"], table["settle"])
    mark[rolls] = np.where(np.isnan(table["roll_from"][rolls]), mark[rolls], table["roll_from"][rolls])
    after = held.copy()
    after[rolls] = into[rolls]  # what is held after the bar
    table |= {name: carried(table[name]) for name in ("offset", "liquidity")}
    table["mark"] = mark
    table["contract"] = np.nan_to_num(np.where(np.isnan(held), carried(after), held)).astype(np.int32)
    table["roll_contract"] = np.nan_to_num(into).astype(np.int32)
    table |= {"roll_from_fill": table["roll_from"], "roll_to_fill": table["roll_to"]}
    if roll_fill == "open":
        at_open = ~np.isnan(open_from) & ~np.isnan(open_to)
        table["roll_from_fill"] = np.where(at_open, open_from, table["roll_from"])
        table["roll_to_fill"] = np.where(at_open, open_to, table["roll_to"])
    return table


def nothing_left(shape):
    """The fields of `left` where every position rolls at once."""
    nothing = np.full(shape, np.nan)
    return dict.fromkeys(LEFT, nothing) | {
        "left_contract": np.zeros(shape, np.int32),
        "left_end": np.zeros(shape, bool),
    }


def left(arrays, days, bars, limits, roll_days, capped=False):
    """What is rolled out of and may still be held, bar by bar: {field of `Market`: array (time, market)}.

    Parameters
    ----------
    arrays : dict
        Fields of `Market`: mark, settle, volume, contract, roll, roll_contract, closed.
    days : array (time,) of int
    bars : list of (array, array)
        One a market, as `engine.columns.left_bars` gives it.
    limits : list of array of int
        One a market: last allowed day of the contract that each of its rolls leaves.
    roll_days : int
        Over which a position rolls, the day of the roll included.
    capped : bool
        Whether a cap on participation may leave more of it.

    Returns
    -------
    dict
        `left_contract`, `left_open`, `left_mark`, `left_volume`, `left_end`: of the rows after a roll, up to the end
        (see above), holidays included. `left_end` is true on the end; not where that is the next roll, before which all
        of it goes anyway; and on a roll itself where nothing of it may stay after that day. `roll_volume`: of a roll.
    """
    out = nothing_left(arrays["mark"].shape)
    out |= {name: out[name].copy() for name in LEFT}
    for m, (mine_bars, limit) in enumerate(zip(bars, limits, strict=True)):
        mine = {name: values[:, m] for name, values in (arrays | out).items()}
        mine |= {"days": days, "count": np.cumsum(~np.isnan(mine["mark"]))}
        rolls, stops = np.flatnonzero(mine["roll"]), np.flatnonzero(mine["roll"] | mine["closed"])
        volumes = (_bars(mine_bars, days[rolls], mine[leg][rolls])[:, 3] for leg in ("contract", "roll_contract"))
        shown = np.nancumsum(mine["volume"])[rolls] > 0
        mine["roll_volume"][rolls] = np.where(shown, np.minimum(*volumes), np.nan)
        for t, by_date in zip(rolls.tolist(), np.searchsorted(days, limit).tolist(), strict=True):
            later = stops[stops.searchsorted(t, side="right") :]
            end = min(by_date, int(later[0]) if len(later) else len(days))
            if roll_days > 1 or capped or end <= t:
                _follow(mine, mine_bars, t, end, np.inf if capped else mine["count"][t] + roll_days - 1)
    return out


def _follow(mine, bars, t, end, last):
    """Write the bars after the roll on bar `t` into the arrays of one market, up to row `end`, or to the first from bar
    number `last` on that has both prices."""
    rows = np.arange(t + 1, min(end + 1, len(mine["days"])))
    values = _bars(bars, mine["days"][rows], mine["contract"][t])
    mark = np.where(np.isnan(mine["settle"][rows]), values[:, 2], values[:, 1])  # of the field of the mark
    mark[np.isnan(mine["mark"][rows])] = np.nan
    done = np.flatnonzero(~np.isnan(mark) & (mine["count"][rows] >= last))
    if len(done):
        end, rows, values, mark = (t + 1 + int(done[0]), *(part[: done[0] + 1] for part in (rows, values, mark)))
    mine["left_contract"][rows] = mine["contract"][t]
    mine["left_open"][rows], mine["left_mark"][rows] = values[:, 0], mark
    mine["left_volume"][rows] = np.minimum(values[:, 3], mine["volume"][rows])
    if end <= t:
        mine["left_end"][t] = True
    elif end < len(mine["days"]) and not mine["roll"][end]:  # by the next roll it is gone whatever is said
        mine["left_end"][end] = True


def _bars(bars, days, contracts):
    """The bars (row, 4) of contracts on days; nan where there is none."""
    there, place = _found(bars[0], days * MONTHS + contracts)
    return np.where(there[:, None], np.vstack([bars[1], np.full((1, 4), np.nan)])[place], np.nan)


def carried(values):
    """Last value that is not nan, column by column."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)
