"""Holidays of the United States' exchanges by their rule, and trading dates told from dates alone, years ahead.

A strategy that trades before a holiday or at a month's end has to know tomorrow today. The days on which a market has
no bars cannot tell it, for they are known only when they are over; the exchange's rule can. Closings that no rule
foretold (2001-09-11, funerals, storms) are trading days here.

Source: NYSE Rule 7.2 and its predecessor, Rule 51. A holiday on a Sunday is kept on Monday, one on a Saturday on the
Friday before, but New Year's Day on a Saturday is not kept.
"""

import numpy as np

CALENDARS = ("us", "weekdays")
NEW_YEAR, JULY, CHRISTMAS = (1, 1), (7, 4), (12, 25)
KING_SINCE, JUNETEENTH_SINCE, MONDAYS_SINCE = 1998, 2022, 1971  # Uniform Monday Holiday Act: from 1971 on


def easter(year) -> np.datetime64:
    """Easter Sunday of the Gregorian calendar.

    Source: J. Meeus, Astronomical Algorithms, 2nd ed., 1998, ch. 8.

    >>> easter(2024), easter(1961)
    (np.datetime64('2024-03-31'), np.datetime64('1961-04-02'))
    """
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * j) // 433
    month = (h + j - 7 * m + 90) // 25
    return _day(year, month, (h + j - 7 * m + 33 * month + 19) % 32)


def holidays(first, last) -> np.ndarray:
    """Weekdays of the years `first` to `last` on which the exchanges are closed, in order.

    >>> holidays(2026, 2026).astype(str).tolist()[:4]
    ['2026-01-01', '2026-01-19', '2026-02-16', '2026-04-03']
    """
    found = [day for year in range(first, last + 1) for day in _of_year(year)]
    return np.unique(np.array(found, dtype="datetime64[D]"))


def closed_days(days, calendar) -> np.ndarray:
    """Holidays of one of CALENDARS around `days`, with a year to spare on both sides."""
    if calendar == "weekdays" or not len(days):
        return np.array([], dtype="datetime64[D]")
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return holidays(int(years.min()) - 1, int(years.max()) + 1)


def following(days, closed) -> np.ndarray:
    """The first trading date after each of `days`.

    >>> following(np.array(["2024-03-28", "2024-03-30"], "datetime64[D]"), holidays(2024, 2024)).astype(str).tolist()
    ['2024-04-01', '2024-04-01']
    """
    return np.busday_offset(days, 1, roll="backward", holidays=closed)


def months(days) -> np.ndarray:
    """Number of the month of each day, counted from January of the year 0: 12 years + month - 1.

    >>> months(np.array(["2024-03-28"], "datetime64[D]")) % 12
    array([2])
    """
    return days.astype("datetime64[M]").astype(np.int64) + 12 * 1970


def _of_year(year):
    good_friday, labor, thanksgiving = easter(year) - 2, _weekday(year, 9, 0, 1), _weekday(year, 11, 3, 4)
    fixed = [_kept(_day(year, *day)) for day in (NEW_YEAR, JULY, CHRISTMAS)]
    in_year = [day for day in fixed if day.astype("datetime64[Y]").astype(np.int64) + 1970 == year]
    return [*in_year, good_friday, labor, thanksgiving, *_birthdays(year)]


def _birthdays(year):
    """Washington and the fallen, on Mondays since 1971; King; Juneteenth."""
    if year >= MONDAYS_SINCE:
        found = [_weekday(year, 2, 0, 3), _weekday(year, 6, 0, 1) - 7]
    else:
        found = [_kept(_day(year, 2, 22)), _kept(_day(year, 5, 30))]
    if year >= KING_SINCE:
        found.append(_weekday(year, 1, 0, 3))
    if year >= JUNETEENTH_SINCE:
        found.append(_kept(_day(year, 6, 19)))
    return found


def _day(year, month, day):
    return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "D")


def _weekday(year, month, weekday, count):
    """The `count`-th Monday (0) to Sunday (6) of a month; one before the first of June is the last of May's."""
    mask = "".join("1" if day == weekday else "0" for day in range(7))
    return np.busday_offset(_day(year, month, 1), count - 1, roll="forward", weekmask=mask)


def _kept(day):
    """Saturday's on Friday, Sunday's on Monday."""
    weekday = (day.astype(np.int64) + 3) % 7
    return day + {5: -1, 6: 1}.get(int(weekday), 0)
