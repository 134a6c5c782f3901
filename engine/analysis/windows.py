"""Named stress windows: spans of days in which markets moved together, fast, or against their habit."""

from datetime import date
from typing import NamedTuple


class Window(NamedTuple):
    """A span of days."""

    name: str
    first: date
    last: date
    what: str  # what happened


WINDOWS = tuple(
    Window(name, date.fromisoformat(first), date.fromisoformat(last), what)
    for name, first, last, what in (
        ("credit-2008", "2008-09-01", "2008-12-31", "banks fail; equities and commodities fall, bonds rise"),
        ("flash-2010", "2010-05-06", "2010-05-06", "equities fall and recover within an hour"),
        ("debt-2011", "2011-08-01", "2011-08-31", "the rating of US debt is cut"),
        ("taper-2013", "2013-05-01", "2013-06-30", "bonds fall with equities and metals"),
        ("yuan-2015", "2015-08-01", "2015-08-31", "the yuan is devalued"),
        ("volatility-2018", "2018-02-01", "2018-02-28", "short volatility is bought back"),
        ("pandemic-2020", "2020-02-01", "2020-04-30", "equities crash, oil settles below zero"),
        ("rates-2022", "2022-01-01", "2022-12-31", "rates rise; bonds and equities fall together"),
    )
)


def rows_of(days, window):
    """First row of the sorted `days`, array (time,) of datetime64[D], inside a window, and the row after its last.

    >>> import numpy as np
    >>> days = np.array(["2010-05-05", "2010-05-06", "2010-05-07"], "datetime64[D]")
    >>> rows_of(days, WINDOWS[1])
    (1, 2)
    """
    first, after = days.searchsorted(window.first, "left"), days.searchsorted(window.last, "right")
    return int(first), int(after)
