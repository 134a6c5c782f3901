"""The rolls of a calendar with the opening prices of both legs, for a run that rolls at the open."""

import numpy as np
import polars as pl

from store import rolls

LEGS = rolls.SCHEMA | {"open_from": pl.Float64, "open_to": pl.Float64}
WIDE = np.int64(1_000_000)  # above any number of a day


def opened(frame, bars):
    """The rolls with `open_from` and `open_to`: of the day on which the roll is acted on, null where there is none.

    Parameters
    ----------
    frame : polars.DataFrame
        Of a `RollCalendar`.
    bars : polars.DataFrame
        Rows of `contract_bars` that it was made of.

    A roll is acted on on its day; a position that is closed without a roll, on the day on which that is decided:

    >>> from datetime import UTC, date, datetime
    >>> day, moment = date(2024, 3, 8), datetime(2024, 3, 8, 21, tzinfo=UTC)
    >>> roll = (day, moment, 202403, 202406, 4100.0, 4125.0, day, "volume")
    >>> kinds = {"contract": pl.Int32, "day": pl.Date, "time": rolls.SCHEMA["time"], "open": pl.Float64}
    >>> bars = pl.DataFrame([(202403, day, moment, 4090.0), (202406, day, moment, None)], kinds, orient="row")
    >>> opened(pl.DataFrame([roll], rolls.SCHEMA, orient="row"), bars).select("open_from", "open_to").row(0)
    (4090.0, None)
    """
    day, decided = _days(frame["day"]), _days(frame["decided"])  # nan where it is not told
    acted = np.where(rolls.closed(frame["reason"]) & (decided == decided), decided, day).astype(np.int32)
    keys, opens = _opens(bars, acted)
    found = []
    for leg in ("from", "to"):
        wanted = frame[f"{leg}_contract"].to_numpy() * WIDE + acted
        place = np.searchsorted(keys, wanted)
        price = np.where(keys[place] == wanted, opens[place], np.nan)
        found.append(pl.Series(f"open_{leg}", price, nan_to_null=True))
    return pl.DataFrame([*frame.get_columns(), *found])


def _opens(bars, days):
    """(a number for each bar's contract and day, ascending; opening prices) of some days, a day's first bar first."""
    day = _days(bars["day"])
    wanted = np.zeros(day.max() + 2 - day.min(), bool)
    wanted[np.clip(days - day.min(), 0, len(wanted) - 1)] = True  # the last one stands for all that are beyond
    rows = np.flatnonzero(wanted[day - day.min()])
    keys = bars["contract"].to_numpy()[rows] * WIDE + day[rows]
    order = np.lexsort((bars["time"].cast(pl.Int64).to_numpy()[rows], keys))
    return np.append(keys[order], np.iinfo(np.int64).max), np.append(bars["open"].to_numpy()[rows[order]], np.nan)


def _days(column):
    """Days since 1970."""
    return column.cast(pl.Int32).to_numpy()
