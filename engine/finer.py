"""Bars within the day: what happened inside the bars of a daily market.

Two uses. `load` gives the finer bars of each daily bar, which tell the order in which prices came where a stop and a
target lie in one bar. `execution` makes a market whose rows are the bars within the day, so that what was decided by
daily bars is traded within the next day.

1. Bars are those of the contract that the daily market holds on the day, by its own rolls.
2. They serve on days on which they tell the daily bar's open, high and low; elsewhere an hour is missing, or the daily
   bar is of other hours, and the daily bar stays alone.
3. Rows of `execution` go by trade date, then by the end of the bar. A night session that begins while another market's
   trade date still runs comes after that date's end: a day is settled at once for all markets, as in a daily run.
4. Its rows of a day hold that day's contract, offset, multiplier and tick, which were known before. What the end of the
   day before knew (exchange rates, margins, interest, availability, liquidity, open interest) holds until the day's
   last row. What the day's end tells (settlement, rolls, the price of the next contract) stands on the market's own
   last bar of the day, which is marked as the daily bar is.
5. A market without bars that serve on a day has its daily bar on the day's last row.
"""

import hashlib
import re
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.book import Finer

PRICES = ("open", "high", "low", "close", "volume")
LENGTH = re.compile(r"(?:-(?P<number>\d+))?-(?P<unit>minute|hour)$")  # ends of the sources of bars within the day
DAILY = "-daily"  # follows the name of such a source in that of the daily bars made of it
CONTRACTS = 1_000_000  # above any contract, YYYYMM
OF_THE_DAY = ("contract", "offset", "multiplier", "tick", "own_margin", "proxy", "left_contract")
OF_THE_DAY_BEFORE = (
    "fx", "fx_age", "initial_margin", "maintenance_margin", "available", "liquidity", "open_interest", "rate",
)  # fmt: skip


class Within(NamedTuple):
    """A market on bars within the day, and how its rows belong to those of the daily market."""

    market: object  # Market; `days` are trade dates and repeat
    time: np.ndarray  # (row,) datetime64[us], UTC, end of the bar; ascends within a day
    day_row: np.ndarray  # (row,) int64: row of the daily market
    day_end: np.ndarray  # (row,) bool: the last row of its day
    served: np.ndarray  # (daily row, market) bool: told by bars within the day, else by the daily bar alone

    def known(self, values, nothing=0.0):
        """Daily values (time, ...) as each row may use them: those of the day before, on the day's last row its own.

        `nothing` is what the first day's rows have before its end.
        """
        row = self.day_row - ~self.day_end
        out = np.asarray(values)[row.clip(0)]
        out[row < 0] = nothing
        return out


class _Bars(NamedTuple):
    """Bars within the day of one market that serve, by the daily row and the end of the bar."""

    row: np.ndarray  # (bar,) int64, ascending
    time: np.ndarray  # (bar,) int64, microseconds UTC
    prices: np.ndarray  # (bar, PRICES)


def load(archive, market, source=None, snapshot=None):
    """The bars within each daily bar, for the policy "finer".

    Parameters
    ----------
    archive : Archive
    market : Market
        Of daily bars.
    source : str or {root: str}, optional
        Whose bars; of each market the first of `sources`, if not given. A market without them has none.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.

    Returns
    -------
    book.Finer
        Of no rows where there are none at all.
    """
    first, last = np.zeros((2, *market.mark.shape), np.int64)
    parts, begin = [], 0
    for m, bars in enumerate(_all_bars(archive, market, source, snapshot)):
        rows = np.arange(len(market.days))
        first[:, m] = begin + np.searchsorted(bars.row, rows, side="left")
        last[:, m] = begin + np.searchsorted(bars.row, rows, side="right")
        parts.append(bars.prices[:, :4])
        begin += len(bars.row)
    if not begin:
        return Finer(first[:0], last[:0], np.empty((0, 4)))
    return Finer(first, last, np.ascontiguousarray(np.concatenate(parts)))


def execution(archive, market, source=None, snapshot=None):
    """The market on bars within the day: signals of the daily market, traded inside the next day.

    Parameters
    ----------
    archive, market, source, snapshot
        As of `load`.

    Returns
    -------
    Within
        Its market has the daily one's columns, `sources` tells {"within": source, "within_days": days told by them},
        and the data hash covers the bars.
    """
    snapshot = snapshot or archive.head()
    names = _named(archive, market, source, snapshot)
    bars = _all_bars(archive, market, source, snapshot)
    keys, day_row, time = _axis(market.days, bars)
    day_end = np.append(day_row[1:] != day_row[:-1], True)
    served, told = np.zeros(market.mark.shape, bool), dict(market.sources)
    for m, (root, name, of) in enumerate(zip(market.roots, names, bars, strict=True)):
        served[of.row, m] = True
        days = max(int(served[:, m].sum()), told.get(root, {}).get("within_days", 0))  # of several columns the most
        told[root] = told.get(root, {}) | {"within": name or "", "within_days": days}
    hashes = market.hashes | {"data": digest(str(market.hashes.get("data")), *(x for of in bars for x in of))}
    arrays = _arrays(market, bars, keys, day_row, day_end)
    made = type(market)(**(vars(market) | arrays | {"sources": told, "hashes": hashes}))
    return Within(made, time, day_row, day_end, served)


def digest(*parts):
    """sha256 of texts and arrays: what a result's data hash takes in of bars within the day.

    >>> digest("data", np.arange(3))[:8] == digest("data", np.arange(4))[:8]
    False
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else str(part.shape).encode() + part.tobytes())
    return found.hexdigest()


def files(archive, market, snapshot=None):
    """sha256 of all stored files with bars within the day of the markets, and of those that stand in; sorted."""
    roots = {*market.roots, *(told["proxy"] for told in market.sources.values() if told.get("proxy"))}
    held = archive.files("contract_bars", snapshot or archive.head(), root=sorted(roots))
    return sorted(segment.sha256 for segment in held if LENGTH.search(segment.labels["source"]))


def sources(archive, root, daily="", snapshot=None):
    """Names under which bars within the day of a market are stored, the one to be read first: those that its `daily`
    source is made of, those of the same vendor, then the shortest."""
    names = {segment.labels["source"] for segment in archive.files("contract_bars", snapshot, root=root)}
    return sorted((name for name in names if LENGTH.search(name)), key=lambda name: _order(name, daily))


def minutes(source):
    """Length of a source's bars; None of one whose bars are days.

    >>> minutes("barchart-hour"), minutes("firstrate-5-minute"), minutes("barchart")
    (60, 5, None)
    """
    found = LENGTH.search(source)
    return found and int(found["number"] or 1) * (60 if found["unit"] == "hour" else 1)


def _order(name, daily):
    made_of = daily.removesuffix(DAILY)
    return name != made_of, LENGTH.sub("", name) != LENGTH.sub("", made_of), minutes(name), name


def _named(archive, market, source, snapshot):
    """The source of each column; None where there is none."""
    if source is not None:
        return [source.get(root) if isinstance(source, dict) else source for root in market.roots]
    daily = {root: market.sources.get(root, {}).get("source", "") for root in market.roots}
    first = {root: next(iter(sources(archive, root, name, snapshot)), None) for root, name in daily.items()}
    return [first[root] for root in market.roots]


# ---- the bars


def _all_bars(archive, market, source, snapshot):
    """`_Bars` of each column."""
    if (np.diff(market.days) <= np.timedelta64(0)).any():
        raise ValueError("bars within the day belong to daily bars; this market's rows are shorter than a day")
    snapshot = snapshot or archive.head()
    names = _named(archive, market, source, snapshot)
    return [_bars(archive, market, m, name, snapshot) for m, name in enumerate(names)]


def _bars(archive, market, m, name, snapshot):
    """`_Bars` of a column; where another contract stands in, its bars of days on which there are none of the own."""
    root = market.roots[m]
    held = (market.contract[:, m] > 0) & ~np.isnan(market.mark[:, m])
    own = _NONE if name is None else _serving(market, m, *_read(archive, market, m, held, root, name, snapshot))
    told = market.sources.get(root, {})
    lent = held & market.proxy[:, m]
    lent[own.row] = False
    if not (lent.any() and told.get("proxy")):
        return own
    other = next(iter(sources(archive, told["proxy"], told["source"], snapshot)), None)
    if other is None:
        return own
    before = _serving(market, m, *_read(archive, market, m, lent, told["proxy"], other, snapshot))
    row, time, prices = (np.concatenate(parts) for parts in zip(before, own, strict=True))
    order = np.lexsort((time, row))
    return _Bars(row[order], time[order], prices[order])


_NONE = _Bars(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, len(PRICES))))


def _read(archive, market, m, held, root, name, snapshot):
    """(daily row, end, prices) of all stored bars of the contracts held on the days `held`, in this order."""
    rows = np.flatnonzero(held)
    if not len(rows):
        return _NONE
    days = market.days[rows]
    frame = archive.scan("contract_bars", snapshot, (days[0].item(), days[-1].item()), root=root, source=name)
    frame = frame.filter(pl.col("contract").is_in(np.unique(market.contract[rows, m]).tolist()))
    frame = frame.select("contract", "day", pl.col("time").dt.epoch("us"), *PRICES)
    frame = frame.drop_nulls(PRICES[:4]).collect(engine="in-memory")
    key = frame["day"].to_physical().to_numpy().astype(np.int64) * CONTRACTS + frame["contract"].to_numpy()
    own = days.astype(np.int64) * CONTRACTS + market.contract[rows, m]  # ascends with the days
    place = np.searchsorted(own, key).clip(0, len(own) - 1)
    there = np.flatnonzero(own[place] == key)
    time = frame["time"].to_numpy()[there]
    order = np.lexsort((time, place[there]))
    there = there[order]
    prices = frame.select(pl.col(PRICES).cast(pl.Float64).fill_null(np.nan)).to_numpy()[there]
    return rows[place[there]], time[order], prices


def _serving(market, m, row, time, prices):
    """The bars of the days on which they tell the daily bar's open, high and low (rule 2)."""
    if not len(row):
        return _NONE
    first = np.flatnonzero(np.append(True, row[1:] != row[:-1]))
    high, low = np.maximum.reduceat(prices[:, 1], first), np.minimum.reduceat(prices[:, 2], first)
    days, other = row[first], np.zeros(len(first), bool)
    for name, told in (("open", prices[first, 0]), ("high", high), ("low", low)):
        apart = np.abs(told - getattr(market, name)[days, m])
        other |= apart > 0.5 * market.tick[days, m]  # what the daily bar lacks contradicts nothing
    serve = np.repeat(~other, np.diff(np.append(first, len(row))))
    return _Bars(row[serve].astype(np.int64), time[serve].astype(np.int64), prices[serve])


# ---- the market on them


def _keys(days, row, time):
    """A number for each daily row and moment, in their order."""
    return row * _WIDE + (time - _begins(days)[row] + _WIDE // 2)


def _begins(days):
    return days.astype("datetime64[us]").astype(np.int64)


def _axis(days, bars):
    """(keys, daily row, end) of the rows: all ends of bars, and the end of each day that has none."""
    bare = np.setdiff1d(np.arange(len(days)), np.concatenate([_NONE.row, *(of.row for of in bars)]))
    keys = [_keys(days, bare, _begins(days)[bare] + _DAY), *(_keys(days, of.row, of.time) for of in bars)]
    keys = np.unique(np.concatenate(keys))
    row = keys // _WIDE
    return keys, row, (keys % _WIDE - _WIDE // 2 + _begins(days)[row]).astype("datetime64[us]")


def _arrays(market, bars, keys, day_row, day_end):
    """{field: array} of the rows, by rules 4 and 5."""
    last = np.flatnonzero(day_end)  # of each daily row
    ends = np.repeat(last[:, None], len(bars), axis=1)  # row of each market's own last bar
    told = {name: np.full((len(day_row), len(bars)), np.nan) for name in (*PRICES, "mark")}
    for name in PRICES:
        told[name][last] = getattr(market, name)
    for m, of in enumerate(bars):
        rows = np.searchsorted(keys, _keys(market.days, of.row, of.time))
        ends[of.row, m] = rows  # ascending: the last one stays
        for k, name in enumerate(PRICES):
            told[name][last[of.row], m] = np.nan
            told[name][rows, m] = of.prices[:, k]
    told["mark"] = told["close"].copy()
    np.put_along_axis(told["mark"], ends, market.mark, axis=0)
    before = (day_row - ~day_end).clip(0)
    for name, values in vars(market).items():
        if not isinstance(values, np.ndarray) or name in told:
            continue
        if name == "days" or name in OF_THE_DAY:
            told[name] = values[day_row]
        elif name in OF_THE_DAY_BEFORE or values.ndim == 1:
            told[name] = values[before]
        else:
            told[name] = np.full(day_row.shape + values.shape[1:], _nothing(values.dtype), values.dtype)
            np.put_along_axis(told[name], ends, values, axis=0)
    told["available"][day_row - ~day_end < 0] = False  # on the first day nothing is known before its end
    return told


def _nothing(kind):
    return np.nan if np.issubdtype(kind, np.floating) else np.zeros((), kind)


_DAY = np.int64(24 * 3600 * 1_000_000)  # microseconds
_WIDE = 60 * _DAY  # a bar ends within a month of its trade date
