"""Bars within the day lie by year: one file a market, source and year, so that an import touches the years it brings.

The year is that of `time`, the end of the bar in UTC: of a part of the key, so that a row that comes again finds the
one before in the same file. A session over New Year may therefore lie in two files; readers pick by days, not by files.
Files without the label, as older programs wrote them, are read like the others, and are parted by the first import that
changes their market.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from store.naming import WITHIN_DAY

LABEL = "year"
DAILY = "-daily"  # follows the name of a source of bars within the day in that of the daily bars made of them
LOOKED_AT = ("contract", "time", "day", "open", "close", "settle")  # columns of `thinned`
SECOND = timedelta(seconds=1)  # a bar that ends on the hour is of the hour before
WIDE = np.int64(10_000_000)  # above any day since 1970


def by_year(table, source):
    """Whether rows of a table and source lie by year.

    >>> by_year("contract_bars", "firstrate-minute"), by_year("contract_bars", "firstrate"), by_year("fx", "ecb")
    (True, False, False)
    """
    return table == "contract_bars" and source.endswith(WITHIN_DAY)


def daily_of(source):
    """Name of the daily source that is made of a source of bars within the day; see `aggregate`.

    >>> daily_of("firstrate-minute")
    'firstrate-minute-daily'
    """
    return f"{source}{DAILY}"


def made_from(source):
    """The source of bars within the day that a daily source is made of; None of one that a vendor gave.

    >>> made_from("firstrate-minute-daily"), made_from("firstrate-daily")
    ('firstrate-minute', None)
    """
    found = source.removesuffix(DAILY)
    return found if found != source and found.endswith(WITHIN_DAY) else None


def parted(frame):
    """{year as text: its rows, in the order in which they stand}; rows have a `time`."""
    if frame.is_empty():  # then it may lack the column
        return {}
    year = frame["time"].dt.year()
    first, last = year.min(), year.max()
    if first == last:
        return {str(first): frame}
    years = year.unique().sort().to_list()
    return {str(one): frame.filter(year == one) for one in years}


def span(year):
    """Whether a `time` is of a year, as an expression that prunes row groups."""
    first, after = (datetime(int(year) + k, 1, 1, tzinfo=UTC) for k in (0, 1))
    return (pl.col("time") >= first) & (pl.col("time") < after)


def years_of(segments):
    """Years that the rows of files may be of: a trade date may begin in the year before, and end in the year after."""
    days = [day for s in segments for day in (s.first_day, s.last_day) if day]
    return [str(year) for year in range(min(days).year - 1, max(days).year + 2)] if days else []


def thinned(rows, timezone=None):
    """The few of a market's bars within the day that the import's checks need: with them alone they find the same.

    These are the first with an opening price and the last with a close, and with a settlement, of each contract and
    day, and the first of each hour of the exchange's clock. Rows are in the order of contract and time, of one source
    and market; `timezone` is the exchange's, where it is known. Columns `LOOKED_AT`.
    """
    rows = rows.select(LOOKED_AT)
    if rows.is_empty():
        return rows
    day = rows["day"].cast(pl.Int32).fill_null(0).to_numpy().astype(np.int64)
    own = rows["contract"].to_numpy() * WIDE + day
    wanted = np.zeros(len(rows), bool)
    for name, last in (("open", False), ("close", True), ("settle", True)):
        there = np.flatnonzero(rows[name].is_not_null().to_numpy())
        new = np.ones(len(there) + 1, bool)
        new[1:-1] = own[there[1:]] != own[there[:-1]]
        wanted[there[new[1:] if last else new[:-1]]] = True
    if timezone is not None:
        hour = (rows["time"] - SECOND).dt.convert_time_zone(timezone).dt.hour().to_numpy()
        wanted[pl.Series(hour * WIDE + day).is_first_distinct().to_numpy()] = True
    return rows.filter(pl.Series(wanted))
