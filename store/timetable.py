"""Timetable: when the sessions of a market begin and end, all at once as arrays.

What `store.days.session` tells of a day one by one, by the same rules (see there), for the many days of a backtest.
"""

from datetime import timedelta
from typing import NamedTuple

import numpy as np

DAY = np.timedelta64(1, "D")


class Timetable(NamedTuple):
    """All that the hours of a market are made of; those of markets with the same hours are equal."""

    calendar: np.busdaycalendar
    timezone: str
    versions: tuple  # (valid from, ((base, open, close), ...)), oldest first; base: days before, None a trading day
    half_days: tuple  # (day, close), in order

    def sessions(self, first, last):
        """The sessions of all trade dates from one day to another.

        Parameters
        ----------
        first, last : datetime64[D]
            Both included.

        Returns
        -------
        days : array (session,) of datetime64[D]
            Trade dates; one on which trading would stop before it begins is left out.
        opens, closes : array (session,) of datetime64[us]
            First open and last close on the clock of the exchange.

        A session of five hours, and one that a half day cuts:

        >>> from datetime import date, time
        >>> hours = ((date.min, ((0, time(9), time(14)),)),)
        >>> half_days = ((date(2026, 11, 24), time(12)),)
        >>> table = Timetable(np.busdaycalendar(), "UTC", hours, half_days)
        >>> days, opens, closes = table.sessions(np.datetime64("2026-11-21"), np.datetime64("2026-11-24"))
        >>> days.tolist() == [date(2026, 11, 23), date(2026, 11, 24)]
        True
        >>> closes.astype("datetime64[m]")
        array(['2026-11-23T14:00', '2026-11-24T12:00'], dtype='datetime64[m]')
        """
        days = np.arange(first, last + DAY, dtype="datetime64[D]")
        days = days[np.is_busday(days, busdaycal=self.calendar)]
        ends, eves, stops, belong = self._ends(days, first, last)
        of, held = np.concatenate([belong, days]), np.concatenate([eves, days])
        opens, closes = self._cut(held, np.concatenate([stops, ends]))
        rows = np.argsort(of, kind="stable")  # of one session the eves come first
        rows = rows[~np.isnat(opens[rows])]
        of = of[rows]
        changes = of[1:] != of[:-1]
        begins, finishes = np.append(True, changes)[: len(of)], np.append(changes, True)[: len(of)]
        return of[begins], opens[rows[begins]], closes[rows[finishes]]

    def _ends(self, days, first, last):
        """When trading stops early on each of all trade dates of a time, NaT where it does not; and holidays with a
        session to an early end: (day, end, trade date that it belongs to)."""
        ends = np.full(len(days), "NaT", "datetime64[us]")
        short = np.array([day for day, _ in self.half_days], "datetime64[D]")
        stops = short + np.array([_clock(close) for _, close in self.half_days], "timedelta64[us]")
        belong = np.busday_offset(short, 0, roll="forward", busdaycal=self.calendar)
        inside = (belong >= first) & (belong <= last)
        short, stops, belong = short[inside], stops[inside], belong[inside]
        eve = short != belong
        ends[np.searchsorted(days, short[~eve])] = stops[~eve]
        return ends, short[eve], stops[eve], belong[eve]

    def _cut(self, days, ends):
        """First opens and last closes of days that stop at `ends`; NaT where nothing is left."""
        before = np.busday_offset(days - DAY, 0, roll="backward", busdaycal=self.calendar)
        begins = np.array([first for first, _ in self.versions], "datetime64[D]")
        version = np.searchsorted(begins, days, side="right").clip(1) - 1
        found = np.full((2, len(days)), "NaT", "datetime64[us]")
        for number, (_, parts) in enumerate(self.versions):
            rows = version == number
            opens, closes = found[:, rows]
            for base, begin, end in parts:
                day = before[rows] if base is None else days[rows] - base * DAY
                start, stop = day + _clock(begin), day + _clock(end) + DAY * (end <= begin)
                trades = ~(start >= ends[rows])  # true of a day without an end as well
                opens = np.where(trades & np.isnat(opens), start, opens)
                closes = np.where(trades, np.fmin(stop, ends[rows]), closes)
            found[:, rows] = opens, closes
        return found


def _clock(time):
    """Time of day since midnight."""
    since = timedelta(hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond)
    return np.timedelta64(since)
