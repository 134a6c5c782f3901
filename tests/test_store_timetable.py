"""Sessions as arrays, against those that are looked up one by one and hours written by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from store import days
from store.contracts import Master
from store.timetable import Timetable

MASTER = Master.load()
FIRST, LAST = np.datetime64("2005-01-03"), np.datetime64("2025-12-31")
ALWAYS = date.min
NIGHT = ((None, time(17), time(6)), (0, time(8, 45), time(15, 45)))  # begins on the trading day before, then a pause


def table(parts=((0, time(9), time(14)),), half_days=(), holidays=(), versions=None):
    """A timetable of Monday to Friday."""
    calendar = np.busdaycalendar(holidays=holidays)
    return Timetable(calendar, "UTC", versions or ((ALWAYS, tuple(parts)),), tuple(half_days))


def told(made, first, last):
    """{trade date: (open, close)} between two days."""
    dates, opens, closes = made.sessions(np.datetime64(first), np.datetime64(last))
    clock = [[f"{moment:%m-%d %H:%M}" for moment in moments.tolist()] for moments in (opens, closes)]
    return {f"{day:%m-%d}": pair for day, *pair in zip(dates.tolist(), *clock, strict=True)}


def some_days(made, dates):
    """Numbers of 40 dates by chance, of the half days, of changed hours, and of the sessions after all of these."""
    known = [day for day, _ in made.half_days] + [first for first, _ in made.versions[1:]]
    rows = np.searchsorted(dates, np.array(known, "datetime64[D]"))
    rows = np.concatenate([rows, rows + 1, np.random.default_rng(4).integers(0, len(dates), 40)])
    return np.unique(rows[rows < len(dates)]).tolist()


@pytest.mark.parametrize("root", MASTER.roots)
def test_sessions_are_those_that_are_looked_up_one_by_one(root):
    spec = MASTER.spec(root)
    made, zone = days.timetable(spec), ZoneInfo(spec.timezone)
    dates, opens, closes = made.sessions(FIRST, LAST)
    assert dates.tolist() == [day for day in np.arange(FIRST, LAST + 1) if days.is_session(spec.calendar, day)]
    for row in some_days(made, dates):
        ours = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in (opens[row].item(), closes[row].item()))
        assert tuple(ours) == days.session(spec, dates[row].item())


def test_a_night_session_begins_on_the_trading_day_before():
    found = told(table(NIGHT, holidays=["2026-11-23"]), "2026-11-20", "2026-11-25")
    assert found == {
        "11-20": ["11-19 17:00", "11-20 15:45"],
        "11-24": ["11-20 17:00", "11-24 15:45"],  # Friday's night, for Monday is a holiday
        "11-25": ["11-24 17:00", "11-25 15:45"],
    }


def test_a_half_day_cuts_what_comes_after_it_and_drops_what_would_begin_later():
    half_days = (date(2026, 11, 24), time(12)), (date(2026, 11, 25), time(8, 45)), (date(2026, 11, 26), time(5))
    found = told(table(NIGHT, half_days), "2026-11-24", "2026-11-27")
    assert found == {
        "11-24": ["11-23 17:00", "11-24 12:00"],
        "11-25": ["11-24 17:00", "11-25 06:00"],  # the day would begin when it ends
        "11-26": ["11-25 17:00", "11-26 05:00"],
        "11-27": ["11-26 17:00", "11-27 15:45"],
    }


def test_t40_a_holiday_with_an_early_end_opens_the_session_of_the_next_trade_date():
    parts, holidays = ((1, time(17), time(16)),), ["2026-11-26", "2026-12-24", "2026-12-25"]
    ends = (date(2026, 11, 26), time(12)), (date(2026, 11, 27), time(12, 15)), (date(2026, 12, 25), time(9))
    made = table(parts, ends, holidays)
    assert told(made, "2026-11-26", "2026-11-30") == {
        "11-27": ["11-25 17:00", "11-27 12:15"],
        "11-30": ["11-29 17:00", "11-30 16:00"],
    }
    assert told(made, "2026-12-24", "2026-12-28") == {"12-28": ["12-24 17:00", "12-28 16:00"]}  # Christmas alone opened


def test_a_trade_date_on_which_trading_stops_before_it_begins_has_no_session():
    made = table(half_days=[(date(2026, 11, 24), time(9))])
    assert list(told(made, "2026-11-23", "2026-11-25")) == ["11-23", "11-25"]


def test_hours_hold_from_their_day_on_and_the_first_ones_before_it_too():
    versions = (
        (date(2026, 1, 1), ((0, time(9), time(14)),)),
        (date(2026, 11, 24), ((0, time(9), time(15, 30)), (0, time(16), time(0, 30)))),
    )
    assert told(table(versions=versions), "2026-11-23", "2026-11-24") == {
        "11-23": ["11-23 09:00", "11-23 14:00"],
        "11-24": ["11-24 09:00", "11-25 00:30"],  # a close that is not after its open is a day later
    }
    assert told(table(versions=versions), "2025-12-31", "2025-12-31") == {"12-31": ["12-31 09:00", "12-31 14:00"]}


def test_seconds_are_kept_and_no_day_is_no_session():
    made = table(((0, time(9, 0, 30), time(14)),))
    assert made.sessions(LAST, LAST)[1].tolist() == [datetime(2025, 12, 31, 9, 0, 30)]
    assert [len(found) for found in made.sessions(np.datetime64("2026-11-21"), np.datetime64("2026-11-22"))] == [0] * 3


def test_markets_of_the_same_hours_have_the_same_timetable():
    found = {root: days.timetable(MASTER.spec(root)) for root in ("ES", "MES", "ZN", "BTC", "FDAX", "FGBL")}
    assert found["ES"] == found["MES"] and hash(found["ES"]) == hash(found["MES"])
    assert len(set(found.values())) == 5


def test_a_users_hours_half_days_and_holidays_are_in_the_timetable_and_read_again(tmp_path):
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from\nMES,09:00,10:00,\n")
    own, ours = Master.load(tmp_path).spec("MES"), days.timetable(MASTER.spec("MES"))
    first = days.timetable(own)
    assert first.versions == ((ALWAYS, ((0, time(9), time(10)),)),) and first.half_days == ours.half_days
    (tmp_path / "halfdays.csv").write_text("market,day,close\nMES,2026-11-24,09:30\n")
    assert dict(days.timetable(own).half_days) == dict(ours.half_days) | {date(2026, 11, 24): time(9, 30)}
    (tmp_path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2026-11-24,a feast\n")
    assert not np.is_busday("2026-11-24", busdaycal=days.timetable(own).calendar)
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from\nMES,09:00,11:30:00,\n")
    assert days.timetable(own).versions == ((ALWAYS, ((0, time(9), time(11, 30)),)),)


def test_a_market_without_hours_is_named():
    stranger = replace(MASTER.spec("SB"), root="NN")  # hours of this exchange are told by market
    with pytest.raises(days.UnknownHours, match=r"no hours of NN: add rows of NN or ICE_US\w* to sessions.csv"):
        days.timetable(stranger)
