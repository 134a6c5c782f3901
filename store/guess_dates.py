"""How the dates of an unknown CSV are written: the pattern that all of them fit, and what else they could mean."""

import re
from datetime import datetime
from functools import cache
from itertools import pairwise

import polars as pl

from store import raw

DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y",
         "%d-%b-%Y", "%d %b %Y", "%b %d %Y", "%d-%b-%y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%y%m%d")  # fmt: skip
CLOCKS = ("%H:%M:%S", "%H:%M", "%H%M%S", "%H%M")
MOMENTS = (
    *DATES,
    *(f"{date}{between}{clock}" for date in DATES for between in " T" for clock in CLOCKS),
)
EARLIEST, LATEST = 1900, 2100  # years that a date may be of
IN_A_ROW = 3  # days that follow one another before their order is told by it
GAP = 4  # days from one working day to the next at most, over a long weekend
LEAST = 0.9  # share of the rows that a pattern must fit: a damaged row does not hide the dates of the others


def column(part, columns):
    """Number of the first column whose cells are dates."""
    for k, cells in enumerate(columns):
        if _fitting(cells, MOMENTS):
            return k
    raise raw.Unreadable(f"{part.place}: no date: no column is called date or time, and none holds dates as 2024-03-15")


def words(part, roles, columns, doubts):
    """Words of a section that say how its dates are read; `roles` loses a clock that is none."""
    cells = columns[roles["time"]]
    if "clock" in roles:
        cells = [f"{date} {clock}" for date, clock in zip(cells, columns[roles["clock"]], strict=True)]
    fits = _fitting(cells, MOMENTS)
    if not fits:
        shown = raw.plain(next((cell for cell in cells if cell), ""), 40)
        raise raw.Unreadable(f"{part.place}: no date: {shown!r} is written in no way that is known here")
    best = _likeliest(cells, fits)
    others = [pattern for pattern in fits if _read(cells, pattern) != _read(cells, best)]
    if others:
        doubts.append(f"dates are read as {best}; {others[0]} fits as well and gives other days: look at the rows")
    elif swapped(best) in fits:
        doubts.append(f"dates are read as {best}; {swapped(best)} fits as well: no row tells day and month apart")
    stamps = [stamp for stamp in _read(cells, best) if stamp]
    if "%H" not in best or len({stamp.time() for stamp in stamps}) == 1:
        return {"date": best, "timezone": ""}
    doubts.append("stamps carry hours: they are taken for the end of the bar in UTC; timezone and bar_minutes say else")
    return {"date": best, "timezone": "UTC"}


def swapped(pattern):
    """The pattern with day and month the other way round; None of one that begins with neither.

    >>> swapped("%d/%m/%Y %H:%M"), swapped("%Y-%m-%d")
    ('%m/%d/%Y %H:%M', None)
    """
    if not re.match(r"%[dm]\W?%[dm]", pattern):
        return None
    return re.sub("%[dm]", lambda word: "%d" if word[0] == "%m" else "%m", pattern)


def other_order(cells, pattern):
    """The pattern with day and month the other way round, if the cells are written so; None if they may be as `pattern`
    says.

    They are if some date fits that way alone and none fits `pattern` alone, or if days of work follow one another that
    way alone.

    Parameters
    ----------
    cells : Series of text
    pattern : str

    >>> other_order(pl.Series(["03/01/2024", "03/15/2024"]), "%d/%m/%Y")
    '%m/%d/%Y'
    """
    other = swapped(pattern)
    if other is None:
        return None
    ours, theirs = (_dates(cells, written) for written in (pattern, other))
    if (ours.is_not_null() & theirs.is_null()).any():
        return None
    told = (theirs.is_not_null() & ours.is_null()).any() or (_follow(theirs) and not _follow(ours))
    return other if told else None


def any_fits(cells, pattern):
    """Whether some cell is a date as `pattern` says, or there is none at all."""
    return not len(cells) or _dates(cells, pattern).count() > 0


def _dates(cells, pattern):
    stamps = cells.str.to_datetime(pattern, strict=False)
    return stamps.set(stamps.dt.year() < raw.FIRST_YEAR, None).dt.date()


def _follow(dates):
    """Whether dates are days of work that follow one another, up or down."""
    days = dates.drop_nulls().rle().struct.field("value")
    steps = days.diff().drop_nulls().dt.total_days()
    if len(days) < IN_A_ROW or (days.dt.weekday() > 5).any():
        return False
    return steps.is_between(1, GAP).all() or steps.is_between(-GAP, -1).all()


def _fitting(cells, patterns):
    """The patterns that nearly all cells fit."""
    told = [cell for cell in cells if cell]
    near = [pattern for pattern in patterns if any(_moment(cell, pattern) for cell in told[:1] + told[-1:])]
    return [p for p in near if sum(_moment(cell, p) is not None for cell in told) >= LEAST * len(told)]


def _read(cells, pattern):
    return [_moment(cell, pattern) for cell in cells]


def _moment(cell, pattern):
    if not _shape(pattern).fullmatch(cell):
        return None
    try:
        found = datetime.strptime(cell, pattern)
    except ValueError:
        return None
    return found if EARLIEST <= found.year <= LATEST else None


@cache
def _shape(pattern):
    """What fits a pattern by its widths: 0930 is no %H%M%S, 4-2-1 no date."""
    widths = dict.fromkeys(("%m", "%d", "%H", "%M", "%S"), r"\d{1,2}") | {"%b": "[A-Za-z]{3}", "%y": r"\d\d"}
    widths |= {"%Y%m%d": r"\d{8}", "%y%m%d": r"\d{6}", "%H%M%S": r"\d{6}", "%H%M": r"\d{4}", "%Y": r"\d{4}"}
    parts = re.split(f"({'|'.join(sorted(widths, key=len, reverse=True))})", pattern)
    return re.compile("".join(widths.get(part, re.escape(part)) for part in parts))


def _likeliest(cells, fits):
    """The pattern by which days of work follow one another; else the one that puts the rows in order, and of several
    the one with the fewest jumps."""

    def disorder(pattern):
        stamps = [stamp for stamp in _read(cells, pattern) if stamp]
        steps = [(later - before).days for before, later in pairwise(stamps)]
        down = min(sum(step < 0 for step in steps), sum(step > 0 for step in steps))
        weekend = sum(stamp.weekday() >= 5 for stamp in stamps)
        follow = _follow(pl.Series([stamp.date() for stamp in stamps], dtype=pl.Date))
        return not follow, down, weekend, sum(abs(step) for step in steps)

    return min(fits, key=disorder)
