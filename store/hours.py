"""Trading hours: is a market open at a moment, and to which trade date does the moment belong?

`config/sessions.csv` (market, open, close, valid_from, source) holds the parts of a trade date in local time: those of
a root, else those of its calendar. Rules of reading:

1. `17:00` is on the trade date, `-1d 17:00` on the calendar day before it, `-1s 17:00` on the trading day before it (a
   night session that begins on Friday and belongs to Monday). A close that is not after its open is a day later.
2. `config/halfdays.csv` (market, day, close, name, source) is read the same way: on `day` trading stops at `close`. On
   a trade date that makes a short session. On a holiday it means that the electronic session of the eve goes on until
   `close` and belongs to the next trade date (DOMAIN T40); a holiday that is not listed there has no session at all.
3. A user's own files beside a store win: his rows of a market replace ours, his half days come on top.

Libraries do not agree on half days (T41): the rows are ours, each with its source, and libraries were only a seed.
"""

import csv
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from store import days

ONE = timedelta(days=1)
FAR = 10 * ONE  # a night session begins no longer than a week of holidays before its trade date
BASES = {"": 0, "-1d": 1, "-1s": None}


class UnknownHours(LookupError):
    """A market whose sessions no row of sessions.csv names."""


def is_open(spec, moment):
    """True while the market trades; a break within the session is no trading.

    `moment` is a datetime; one without a zone is UTC.

    >>> from store.contracts import Master
    >>> es = Master.load().spec("ES")
    >>> is_open(es, datetime(2025, 11, 27, 16)), is_open(es, datetime(2025, 11, 27, 19))
    (True, False)
    """
    moment, day = _utc(moment), trade_date(spec, moment)
    return day is not None and any(start <= moment < end for start, end in parts(spec, day))


def trade_date(spec, moment):
    """The trade date whose session runs at `moment`, its breaks and its last moment included; None between sessions.

    >>> from store.contracts import Master
    >>> trade_date(Master.load().spec("ES"), datetime(2025, 11, 27, 16))
    datetime.date(2025, 11, 28)
    """
    moment = _utc(moment)
    first = moment.astimezone(ZoneInfo(spec.timezone)).date()
    day = days.shift(spec.calendar, first - ONE, 0, spec.extra)
    while day <= first + FAR:
        found = session(spec, day)
        if found and found[0] <= moment <= found[1]:
            return day
        day = days.shift(spec.calendar, day, 1, spec.extra)
    return None


def session(spec, day):
    """(first open, last close) of a trade date in UTC; None on a day that is none."""
    found = parts(spec, day)
    return (found[0][0], found[-1][1]) if found else None


def parts(spec, day):
    """[(open, close)] of a trade date in UTC, oldest first, without the breaks; empty on a day that is none."""
    if not days.is_session(spec.calendar, day, spec.extra):
        return []
    before, zone = days.shift(spec.calendar, day, -1, spec.extra), ZoneInfo(spec.timezone)
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
    for path in reversed(days.sources("halfdays.csv", spec.extra)):
        found = _half_days(path)
        close = found.get(spec.root, found.get(spec.calendar, {})).get(day)
        if close:
            return close
    return None


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
    for path in reversed(days.sources("sessions.csv", spec.extra)):
        for market in (spec.root, spec.calendar):
            versions = _sessions(path).get(market)
            if versions:
                known = [first for first in versions if first <= day]
                return versions[max(known) if known else min(versions)]
    raise UnknownHours(f"no hours of {spec.root}: add rows of {spec.root} or {spec.calendar} to sessions.csv")


@cache
def _sessions(path):
    """{market: {valid from: [(base, open, close), ...]}} of one file."""
    found = {}
    for number, row in _csv(path, ("market", "open", "close", "valid_from")):
        market, opens, closes, valid_from = row[:4]
        try:
            base, _, clock = opens.rpartition(" ")
            first = date.fromisoformat(valid_from) if valid_from else date.min
            part = (BASES[base], time.fromisoformat(clock), time.fromisoformat(closes))
        except (KeyError, ValueError):
            raise ValueError(
                f"{path.name} line {number}: {', '.join(row)!r} is no session, write -1d 17:00,16:00"
            ) from None
        found.setdefault(market, {}).setdefault(first, []).append(part)
    return found


@cache
def _half_days(path):
    """{market: {day: close}} of one file."""
    found = {}
    for number, row in _csv(path, ("market", "day", "close")):
        try:
            found.setdefault(row[0], {})[date.fromisoformat(row[1])] = time.fromisoformat(row[2])
        except ValueError:
            raise ValueError(
                f"{path.name} line {number}: {', '.join(row)!r} is no half day, write 2025-11-28,12:15"
            ) from None
    return found


def _csv(path, wanted):
    """(line number, cells) of a CSV file; one whose columns are others is refused."""
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if tuple(header[: len(wanted)]) != wanted:
            raise ValueError(f"{path.name} has the columns {', '.join(header) or 'none'}; wanted: {', '.join(wanted)}")
        return [(reader.line_num, row) for row in reader if len(row) >= len(wanted)]


def _utc(moment):
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
