"""Trading days and hours: which days are trade dates, when a market is open, and to which trade date a moment belongs.

Days. A calendar is a name in `config/holidays.csv` (calendar, day, name, source): Monday to Friday without the days
listed there. Only days without a trade date are listed; a shortened session is a session. `EUREX+DAX` is a calendar
without the days of either. A user's own `holidays.csv` beside a store adds days; a row of his named `open` takes one of
ours back.

Hours. `config/sessions.csv` (market, open, close, valid_from, source) holds the parts of a trade date in local time:
those of a root, else those of its calendar. Rules of reading:

1. `17:00` is on the trade date, `-1d 17:00` on the calendar day before it, `-1s 17:00` on the trading day before it (a
   night session that begins on Friday and belongs to Monday). A close that is not after its open is a day later.
2. `config/halfdays.csv` (market, day, close, name, source) is read the same way: on `day` trading stops at `close`. On
   a trade date that makes a short session. On a holiday it means that the electronic session of the eve goes on until
   `close` and belongs to the next trade date (DOMAIN T40); a holiday that is not listed there has no session at all.
3. A user's own files beside a store win: his rows of a market replace ours, his half days come on top.

A file that is edited is read again at once, by a process that runs on as well.

Libraries do not agree on half days (T41): the rows are ours, each with its source, and libraries were only a seed.
"""

import contextlib
import csv
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from store.timetable import Timetable

CONFIG = Path(__file__).resolve().parent.parent / "config"
WEEK = "1111100"
DAY = np.timedelta64(1, "D")
ONE = timedelta(days=1)
EPOCH = date(1970, 1, 1).toordinal()
FAR = 10 * ONE  # a night session begins no longer than a week of holidays before its trade date
BASES = {"": 0, "-1d": 1, "-1s": None}


class UnknownCalendar(LookupError):
    """A calendar that no row of holidays.csv names."""


class UnknownHours(LookupError):
    """A market whose sessions no row of sessions.csv names."""


def calendar(name, extra=None):
    """Trading days of the exchange `name`, as numpy counts them; `extra` is the folder of a user's own rows.

    The same object while no file changes.
    """
    return _calendar(name, _editions("holidays.csv", extra))


@cache
def _calendar(name, editions):
    files = [_closures(*edition) for edition in editions]
    closed = set()
    for part in name.split("+"):
        listed = set().union(*(file[0].get(part, ()) for file in files))
        if not listed:
            known = ", ".join(sorted(set().union(*(file[0] for file in files))))
            raise UnknownCalendar(f"no calendar {part!r} in holidays.csv; there are {known}")
        closed |= listed.difference(*(file[1].get(part, ()) for file in files))
    return np.busdaycalendar(WEEK, np.array(sorted(closed), np.int64).astype("datetime64[D]"))


def calendars(names, extra=None):
    """What `calendar` gives of several names; whether files have changed is looked up once."""
    editions = _editions("holidays.csv", extra)
    return tuple(_calendar(name, editions) for name in names)


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


def is_open(spec, moment):
    """True while the market trades; a break within the session is no trading.

    `moment` is a datetime; one without a zone is UTC.

    >>> from store.contracts import Master
    >>> es = Master.load().spec("ES")
    >>> is_open(es, datetime(2025, 11, 27, 16)), is_open(es, datetime(2025, 11, 27, 19))
    (True, False)
    """
    moment, day = _utc(moment), session_day(spec, moment)
    return day is not None and any(start <= moment < end for start, end in parts(spec, day))


def session_day(spec, moment):
    """The trade date whose session runs at `moment`, its breaks and its last moment included; None between sessions.

    >>> from store.contracts import Master
    >>> session_day(Master.load().spec("ES"), datetime(2025, 11, 27, 16))
    datetime.date(2025, 11, 28)
    """
    moment = _utc(moment)
    first = moment.astimezone(ZoneInfo(spec.timezone)).date()
    day = shift(spec.calendar, first - ONE, 0, spec.extra)
    while day <= first + FAR:
        found = session(spec, day)
        if found and found[0] <= moment <= found[1]:
            return day
        day = shift(spec.calendar, day, 1, spec.extra)
    return None


def session(spec, day):
    """(first open, last close) of a trade date in UTC; None on a day that is none."""
    found = parts(spec, day)
    return (found[0][0], found[-1][1]) if found else None


def parts(spec, day):
    """[(open, close)] of a trade date in UTC, oldest first, without the breaks; empty on a day that is none."""
    if not is_session(spec.calendar, day, spec.extra):
        return []
    before, zone = shift(spec.calendar, day, -1, spec.extra), ZoneInfo(spec.timezone)
    holidays = [before + n * ONE for n in range(1, (day - before).days)]
    eves = [_short(spec, held, before) for held in holidays if half_day(spec, held)]
    local = [part for eve in eves for part in eve] + _short(spec, day, before)
    return [tuple(moment.replace(tzinfo=zone).astimezone(UTC) for moment in part) for part in local]


def half_day(spec, day):
    """Local time at which trading stops early on `day`; None on a full one.

    >>> from store.contracts import Master
    >>> half_day(Master.load().spec("ES"), date(2025, 11, 28))
    datetime.time(12, 15)
    """
    for edition in reversed(_editions("halfdays.csv", spec.extra)):
        close = _narrowest(_half_days(*edition), _markets(spec)).get(day)
        if close:
            return close
    return None


def timetable(spec):
    """The hours of a market by the files as they are now.

    >>> from store.contracts import Master
    >>> timetable(Master.load().spec("ES")) == timetable(Master.load().spec("MNQ"))
    True
    """
    files = _editions("sessions.csv", spec.extra), _editions("halfdays.csv", spec.extra)
    return _timetable(_markets(spec), *files, calendar(spec.calendar, spec.extra), spec.timezone)


@cache
def _timetable(markets, files, halves, calendar, timezone):
    versions = tuple((first, tuple(parts)) for first, parts in sorted(_versions(markets, files).items()))
    half_days = {}
    for edition in halves:  # a user's on top
        half_days |= _narrowest(_half_days(*edition), markets)
    return Timetable(calendar, timezone, versions, tuple(sorted(half_days.items())))


@dataclass(frozen=True)
class Month:
    """A delivery month on a calendar, or an array of months. Sessions are counted from its ends: `session(-1)` is its
    last trading day."""

    first: np.datetime64
    calendar: np.busdaycalendar

    @property
    def number(self):
        """Month of the year, 1 to 12."""
        return self.first.astype("datetime64[M]").astype(int) % 12 + 1

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


def _editions(file, extra):
    """((path, when it was last changed and its size), ...) of `sources`; as texts: asked for at every step of a search,
    and a path takes three times as long."""
    found = [_edition(f"{CONFIG}{os.sep}{file}")]
    if extra is not None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found.append(_edition(f"{extra}{os.sep}{file}"))
    return tuple(found)


def _edition(path):
    facts = os.stat(path)
    return path, (facts.st_mtime_ns, facts.st_size)


def _short(spec, day, before):
    """Parts of a day in local time, cut at its early close if it has one."""
    close = half_day(spec, day)
    regular = [_placed(row, day, before) for row in _rows_of(spec, day)]
    if close is None:
        return regular
    end = datetime.combine(day, close)
    return [(start, min(stop, end)) for start, stop in regular if start < end]


def _placed(row, day, before):
    base, opens, closes = row
    first = before if base is None else day - base * ONE
    start, stop = datetime.combine(first, opens), datetime.combine(first, closes)
    return start, stop if stop > start else stop + ONE


def _rows_of(spec, day):
    """[(base, open, close)] in force on a day: of the root, else of its calendar; a user's before ours."""
    versions = _versions(_markets(spec), _editions("sessions.csv", spec.extra))
    known = [first for first in versions if first <= day]
    return versions[max(known) if known else min(versions)]


def _versions(markets, editions):
    """{valid from: [(base, open, close)]} of the narrowest name; a user's before ours."""
    found = (_narrowest(_sessions(*edition), markets) for edition in reversed(editions))
    versions = next(filter(None, found), None)
    if versions is None:
        raise UnknownHours(f"no hours of {markets[0]}: add rows of {' or '.join(markets)} to sessions.csv")
    return versions


def _narrowest(rows, markets):
    """Of {market: rows} those of the first name that has any."""
    return next((rows[market] for market in markets if market in rows), {})


def _markets(spec):
    """Names under which rows of hours are looked for, the narrowest first."""
    return (spec.root, *spec.calendar.split("+"))


@cache
def _sessions(path, _edited):
    """{market: {valid from: [(base, open, close), ...]}} of one file."""
    found = {}
    for number, row in _csv(path, ("market", "open", "close", "valid_from")):
        try:
            market, opens, closes, valid_from = row[:4]
            base, _, clock = opens.rpartition(" ")
            first = date.fromisoformat(valid_from) if valid_from else date.min
            part = (BASES[base], time.fromisoformat(clock), time.fromisoformat(closes))
        except (KeyError, ValueError):
            raise ValueError(
                f"{Path(path).name} line {number}: {', '.join(row)!r} is no session, write -1d 17:00,16:00"
            ) from None
        found.setdefault(market, {}).setdefault(first, []).append(part)
    return found


@cache
def _half_days(path, _edited):
    """{market: {day: close}} of one file."""
    found = {}
    for number, row in _csv(path, ("market", "day", "close")):
        try:
            found.setdefault(row[0], {})[date.fromisoformat(row[1])] = time.fromisoformat(row[2])
        except (IndexError, ValueError):
            raise ValueError(
                f"{Path(path).name} line {number}: {', '.join(row)!r} is no half day, write 2025-11-28,12:15"
            ) from None
    return found


@cache
def _closures(path, _edited):
    """Closed days and taken-back days of one file, each by calendar, as days since 1970."""
    closed, opened, known = {}, {}, {}
    for number, row in _csv(path, ("calendar", "day", "name")):
        try:
            name, text, what, *_ = row
            if text not in known:  # most are days of many calendars
                known[text] = date.fromisoformat(text).toordinal() - EPOCH
            found = opened if what == "open" else closed
            if name not in found:
                found[name] = set()
            found[name].add(known[text])
        except (IndexError, ValueError):
            raise ValueError(
                f"{Path(path).name} line {number}: {', '.join(row)!r} holds no day, write 2024-03-15"
            ) from None
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


def _csv(path, wanted):
    """(line number, cells) of a CSV file; one whose columns are others is refused."""
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if tuple(header[: len(wanted)]) != wanted:
            raise ValueError(
                f"{Path(path).name} has the columns {', '.join(header) or 'none'}; wanted: {', '.join(wanted)}"
            )
        yield from ((reader.line_num, row) for row in reader if row)


def _utc(moment):
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
