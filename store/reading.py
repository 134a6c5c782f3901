"""What a vendor's reader hands over: rows in our column names, each with its file, line, text and, if any, fault."""

from dataclasses import dataclass, field

import polars as pl

DAY_ENDS = pl.duration(hours=23)  # end of a daily bar whose source names no hour: after the last session of its day


@dataclass(frozen=True)
class About:
    """What `import --help` and the empty store's page say of a vendor; each a short sentence without a full stop."""

    title: str  # the vendor and the kind of file
    files: str  # how the files are named and what is in them
    gives: str  # settle or last trade, volume, open interest, expiries, bar sizes
    export: str  # which settings of the vendor's export work
    lacks: str  # what a user should know is not in it, or is odd


@dataclass(frozen=True)
class Reading:
    """Rows of one market (or currency) of one file, as parsed, good and bad alike.

    `frame` has the columns of `table` that the vendor gives, in the vendor's units, and `file`, `line`, `raw`,
    `column`, `fault` (null where nothing failed to parse). `name` is the vendor's name of the market. `headings` are
    the vendor's names of our columns, where they differ: reasons name those. Bars within the day carry `time` (end of
    the bar, UTC) and no `day`: the market's session gives it. `partial` rows, such as open interest alone, complete the
    rows of the same key. `ours` are rows that a store exported: names and prices are the master's, and stay. `derived`
    rows are made from lines that another reading accounts for: they are counted only where they are bad. `notes` are
    sentences for the file's report, what was left out and what the user should know; of one part of several a pair of
    its place and the sentence. One that counts ends in `: 17`.

    A column `idle`, where `frame` has it, tells of a row why it was read and is not stored: `superseded` by a later one
    of the file, or `no_value` in it. Such rows are counted as warned.
    """

    table: str
    vendor: str
    name: str
    frame: pl.DataFrame
    headings: dict = field(default_factory=dict)
    partial: bool = False
    ours: bool = False
    derived: bool = False
    notes: tuple = ()


def on_session(day):
    """Saturday and Sunday belong to Monday: the session that starts on Sunday evening is Monday's.

    >>> from datetime import date
    >>> pl.Series([date(2026, 11, 20), date(2026, 11, 22)]).to_frame("d").select(on_session(pl.col("d")))["d"].to_list()
    [datetime.date(2026, 11, 20), datetime.date(2026, 11, 23)]
    """
    weekday = day.dt.weekday()
    return day + pl.duration(days=pl.when(weekday >= 6).then(8 - weekday).otherwise(0))


def daily(frame):
    """Frame of daily bars with `time`, the end of the bar, from `day`, and `day` then moved off the weekend.

    A Sunday row keeps its own time, so that its Monday's row stands beside it; the two are one bar from `chain` on.
    """
    end = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + DAY_ENDS
    return frame.with_columns(end.alias("time"), on_session(pl.col("day")).alias("day"))
