"""Trading days: which days are trade dates of an exchange, and to which of them a moment belongs.

A calendar is a name in `config/holidays.csv` (calendar, day, name, source): Monday to Friday without the days listed
there. Only days without a trade date are listed; a shortened session is a session. A user's own `holidays.csv` beside
a store adds days; a row of his named `open` takes one of ours back.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

CONFIG = Path(__file__).resolve().parent.parent / "config"
WEEK = "1111100"
DAY = np.timedelta64(1, "D")


class UnknownCalendar(LookupError):
    """A calendar that no row of holidays.csv names."""


@cache
def calendar(name, extra=None):
    """Trading days of the exchange `name`, as numpy counts them; `extra` is the folder of a user's own rows."""
    closed, opened = set(), set()
    for path in sources("holidays.csv", extra):
        days = _closures(path)
        closed |= days[0].get(name, set())
        opened |= days[1].get(name, set())
    if not closed:
        known = ", ".join(sorted({key for path in sources("holidays.csv", extra) for key in _closures(path)[0]}))
        raise UnknownCalendar(f"no calendar {name!r} in holidays.csv; there are {known}")
    return np.busdaycalendar(WEEK, sorted(closed - opened))


def is_session(name, day, extra=None):
    """True on trade dates.

    >>> is_session("CME_EQUITY", "2025-11-27"), is_session("CME_EQUITY", "2025-11-28")
    (False, True)
    """
    return _plain(np.is_busday(_days(day), busdaycal=calendar(name, extra)))


def shift(name, day, n, extra=None):
    """The `n`-th trading day after `day` (before it, if `n` is negative); 0 gives `day` itself, or the next one.

    >>> shift("CME_EQUITY", "2026-02-26", -1), shift("CME_EQUITY", "2025-11-29", 1)
    (datetime.date(2026, 2, 25), datetime.date(2025, 12, 1))
    """
    roll = "backward" if n > 0 else "forward"  # from a Saturday, the first session after it is Monday, not Tuesday
    return _plain(np.busday_offset(_days(day), n, roll=roll, busdaycal=calendar(name, extra)))


def to_session(day, name=None, extra=None):
    """Saturday and Sunday go to Monday; with a calendar, its holidays to the next trading day as well.

    >>> to_session("2026-11-22")
    datetime.date(2026, 11, 23)
    """
    if name is not None:
        return shift(name, day, 0, extra)
    return _plain(np.busday_offset(_days(day), 0, roll="forward", weekmask=WEEK))


def trade_date(moment, timezone, session_start, name=None, extra=None):
    """Trade date of a bar that ends at `moment` (UTC; a datetime without a zone is UTC), DOMAIN T39.

    A session that starts in the afternoon is the next day's: what ends after `session_start` ("17:00", local) has the
    next date, and Saturday and Sunday belong to Monday. With a calendar `name` its holidays go on as well (T40).

    >>> trade_date(datetime(2026, 11, 22, 23, 5), "America/Chicago", "17:00")
    datetime.date(2026, 11, 23)
    """
    local = _local(moment, timezone)
    day = local.astype("datetime64[D]")
    start = time.fromisoformat(session_start)
    if start.hour >= 12:
        opening = np.timedelta64(start.hour * 60 + start.minute, "m")
        day = day + (local - day > opening).astype("timedelta64[D]")
    return to_session(_plain(day), name, extra)


@dataclass(frozen=True)
class Month:
    """A delivery month on a calendar. Sessions are counted from its ends: `session(-1)` is its last trading day."""

    first: np.datetime64
    calendar: np.busdaycalendar

    @property
    def number(self):
        """Month of the year, 1 to 12."""
        return int(self.first.astype("datetime64[M]").astype(int)) % 12 + 1

    def on(self, name):
        """The same month on another calendar."""
        return Month(self.first, calendar(name))

    def later(self, months):
        """The month so many months away."""
        month = self.first.astype("datetime64[M]") + np.timedelta64(months, "M")
        return Month(month.astype("datetime64[D]"), self.calendar)

    def session(self, n):
        """The n-th trading day of the month (1 the first), from its end if negative (-1 the last)."""
        if n > 0:
            return self.shift(self.first - DAY, n, "backward")
        return self.shift(self.later(1).first, n, "forward")

    def day(self, number):
        """Calendar day of the month."""
        return self.first + DAY * (number - 1)

    def weekday(self, mask, n):
        """The n-th such weekday of the month, from its end if negative; a holiday counts."""
        start, roll = (self.first, "backward") if n > 0 else (self.later(1).first, "forward")
        return np.busday_offset(start - DAY * (n > 0), n, roll=roll, weekmask=mask)

    def shift(self, day, n, roll="forward"):
        """`n` trading days from `day`, which is first rolled to a trading day."""
        return np.busday_offset(day, n, roll=roll, busdaycal=self.calendar)

    def before(self, day, n=1):
        """The n-th trading day strictly before `day`."""
        return self.shift(day, -n)

    def on_or_before(self, day):
        """`day`, or the last trading day before it."""
        return self.shift(day, 0, "backward")

    def on_or_after(self, day):
        """`day`, or the first trading day after it."""
        return self.shift(day, 0)


def sources(file, extra):
    """Where the rows of a config file stand: ours, then a user's own, if there are any."""
    own = Path(extra) / file if extra is not None else None
    return [CONFIG / file] + ([own] if own is not None and own.is_file() else [])


@cache
def _closures(path):
    """Closed days and taken-back days of one file, each by calendar."""
    closed, opened = {}, {}
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if header[:3] != ["calendar", "day", "name"]:
            raise ValueError(f"{path.name} has the columns {', '.join(header)}; wanted: calendar, day, name, source")
        for number, row in enumerate(reader, 2):
            try:
                day = np.datetime64(row[1], "D")
            except (IndexError, ValueError):
                raise ValueError(
                    f"{path.name} line {number}: {', '.join(row)!r} holds no day, write 2024-03-15"
                ) from None
            (opened if row[2] == "open" else closed).setdefault(row[0], set()).add(day)
    return closed, opened


def _local(moment, zone):
    """Wall-clock time at the exchange, microseconds; offsets are looked up once an hour, as they change on the hour."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    utc = np.asarray(moment, dtype="datetime64[us]")
    hours, back = np.unique(utc.astype("datetime64[h]"), return_inverse=True)
    place = ZoneInfo(zone)
    shifts = [hour.replace(tzinfo=UTC).astimezone(place).utcoffset() for hour in hours.astype(object)]
    return utc + np.asarray(shifts, dtype="timedelta64[us]")[back].reshape(utc.shape)


def _days(day):
    return np.asarray(day, dtype="datetime64[D]")


def _plain(found):
    """Python values for one day, arrays for many."""
    return found.item() if np.ndim(found) == 0 else found
