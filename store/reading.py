"""What a vendor's reader hands over: rows in our column names, each with its file, line, text and, if any, fault."""

from dataclasses import dataclass

import polars as pl

DAY_ENDS = pl.duration(hours=23)  # end of a daily bar whose source names no hour: after the last session of its day


@dataclass(frozen=True)
class Reading:
    """Rows of one market (or currency) of one file, as parsed, good and bad alike.

    `frame` has the columns of `table` that the vendor gives, in the vendor's units, and `file`, `line`, `raw`,
    `column`, `fault` (null where nothing failed to parse). `name` is the vendor's name of the market.
    `settles`: the last price is the exchange's settlement.
    """

    table: str
    vendor: str
    name: str
    frame: pl.DataFrame
    settles: bool = False


def on_session(day):
    """Saturday and Sunday belong to Monday: the session that starts on Sunday evening is Monday's."""
    weekday = day.dt.weekday()
    return day + pl.duration(days=pl.when(weekday >= 6).then(8 - weekday).otherwise(0))


def daily(frame):
    """Frame of daily bars with `day` moved off the weekend and `time`, the end of the bar, set from it."""
    end = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + DAY_ENDS  # of the date as stamped, so that
    return frame.with_columns(on_session(pl.col("day")).alias("day"), end.alias("time"))  # Sunday's row keeps its own key
