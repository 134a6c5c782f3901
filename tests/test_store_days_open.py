"""Trading hours: sessions, half days and the trade date of a moment, against the exchanges' published hours."""

import csv
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from store import days
from store.contracts import Master
from tests.conftest import REPO

MASTER = Master.load()


def spec(root):
    return MASTER.spec(root)


def local(root, text):
    """A moment given in the market's own time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(spec(root).timezone))


def clock(root, day):
    """Parts of a trade date in the market's own time."""
    zone = ZoneInfo(spec(root).timezone)
    return [tuple(f"{moment.astimezone(zone):%m-%d %H:%M}" for moment in part) for part in days.parts(spec(root), day)]


def test_t39_the_sunday_evening_belongs_to_monday():
    moment = local("ES", "2026-11-22 17:05")
    assert moment.astimezone(UTC) == datetime(2026, 11, 22, 23, 5, tzinfo=UTC)
    assert days.session_day(spec("ES"), moment) == date(2026, 11, 23)
    assert days.is_open(spec("ES"), moment)


def test_t40_thanksgiving_has_a_session_to_noon_and_no_trade_date():
    assert days.session(spec("ES"), date(2025, 11, 27)) is None
    morning, afternoon = local("ES", "2025-11-27 10:00"), local("ES", "2025-11-27 12:00")
    assert days.is_open(spec("ES"), morning) and not days.is_open(spec("ES"), afternoon)
    assert days.session_day(spec("ES"), morning) == days.session_day(spec("ES"), afternoon) == date(2025, 11, 28)
    assert clock("ES", date(2025, 11, 28)) == [("11-26 17:00", "11-27 12:00"), ("11-27 17:00", "11-28 12:15")]


def test_t40_grains_have_no_session_on_thanksgiving():
    assert clock("ZC", date(2025, 11, 28)) == [("11-27 19:00", "11-28 07:45"), ("11-28 08:30", "11-28 12:05")]
    assert not days.is_open(spec("ZC"), local("ZC", "2025-11-27 10:00"))


@pytest.mark.parametrize(
    ("root", "close"),
    [("ES", time(12, 15)), ("MES", time(12, 15)), ("ZN", time(12, 15)), ("ZC", time(12, 5)), ("XK", time(12, 5)),
     ("LE", time(12, 5)), ("VX", time(12, 15)), ("FDAX", None), ("NK225", None)],
)  # fmt: skip
def test_t41_the_day_after_thanksgiving_ends_at_each_markets_own_time(root, close):
    assert days.half_day(spec(root), date(2025, 11, 28)) == close


def test_good_friday_is_closed_but_for_the_years_of_the_jobs_report():
    assert days.session_day(spec("ES"), local("ES", "2025-04-18 07:00")) is None
    assert days.is_open(spec("ES"), local("ES", "2023-04-07 07:00"))  # a trade date of its own, to 8:15
    assert not days.is_open(spec("ES"), local("ES", "2023-04-07 09:00"))


def test_christmas_evening_belongs_to_the_next_day():
    assert not days.is_open(spec("ES"), local("ES", "2025-12-25 10:00"))
    assert days.session_day(spec("ES"), local("ES", "2025-12-25 18:00")) == date(2025, 12, 26)
    assert clock("ES", date(2025, 12, 24))[-1] == ("12-23 17:00", "12-24 12:15")


@pytest.mark.parametrize(
    ("root", "moment", "day", "is_open"),
    [
        ("ES", "2026-11-23 16:00", "2026-11-23", False),  # the last moment of the day
        ("ES", "2026-11-23 16:30", None, False),
        ("ES", "2026-11-23 17:00", "2026-11-24", True),
        ("ES", "2020-11-23 15:20", "2020-11-23", False),  # the pause that ended in June 2021
        ("ES", "2026-11-20 18:00", None, False),  # Friday evening
        ("ES", "2026-11-21 12:00", None, False),
        ("ZC", "2026-11-23 08:00", "2026-11-23", False),  # between night and day
        ("ZC", "2026-11-23 13:20", "2026-11-23", False),
        ("LE", "2026-11-23 09:00", "2026-11-23", True),
        ("FDAX", "2026-11-23 01:30", "2026-11-23", True),
        ("FDAX", "2018-11-23 01:30", None, False),  # before the Asian hours
        ("NK225", "2026-11-20 17:30", "2026-11-24", True),  # Friday's night; Monday is a holiday
        ("NK225", "2026-11-21 05:30", "2026-11-24", True),
        ("HSI", "2026-11-23 12:30", "2026-11-23", False),
        ("HSI", "2026-11-24 02:00", "2026-11-24", True),
        ("AP", "2026-11-24 03:00", "2026-11-24", True),
        ("CGB", "2026-11-22 21:00", "2026-11-23", True),
        ("K200", "2026-11-23 08:50", "2026-11-23", True),
        ("BRN", "2026-11-23 00:30", None, False),
        ("DX", "2026-11-22 20:30", "2026-11-23", True),
    ],
)
def test_sessions_of_every_kind(root, moment, day, is_open):
    found = days.session_day(spec(root), local(root, moment))
    assert found == (date.fromisoformat(day) if day else None)
    assert days.is_open(spec(root), local(root, moment)) == is_open


@pytest.mark.parametrize("root", MASTER.roots)
def test_every_market_has_hours_that_begin_as_its_facts_say_and_do_not_overlap(root):
    facts, last = spec(root), None
    for day in days.shift(facts.calendar, date(2025, 11, 20), 0), date(2025, 11, 25), date(2025, 11, 28):
        found = days.parts(facts, day)
        if not days.is_session(facts.calendar, day):
            assert found == []
            continue
        assert all(start < end for start, end in found)
        assert all(a[1] < b[0] for a, b in pairwise(found))
        assert last is None or last <= found[0][0]
        last = found[-1][1]
        middle = found[0][0] + (found[0][1] - found[0][0]) / 2
        assert days.is_open(facts, middle) and days.session_day(facts, middle) == day
    start = days.session(facts, days.shift(facts.calendar, date(2025, 11, 24), 1))[0]
    assert start.astimezone(ZoneInfo(facts.timezone)).strftime("%H:%M") == facts.session_start


def test_bars_within_the_day_lie_within_the_sessions(shared):
    """Real bars of an hour, stamped by their start: each begins while the market is open."""
    with ZipFile(next((shared / "barchart" / "hourly").glob("*SP500_micro*.zip"))) as archive:
        lines = [line for name in archive.namelist() for line in archive.read(name).decode().splitlines()[1:]]
    moments = [datetime.strptime(line[:24], "%Y-%m-%dT%H:%M:%S%z") for line in lines[::71]]
    closed = [moment for moment in moments if not days.is_open(spec("MES"), moment)]
    assert len(moments) > 1000 and closed == []


def test_half_days_agree_with_the_library_where_it_is_right():
    pmc = pytest.importorskip("pandas_market_calendars")
    schedule = pmc.get_calendar("CME Globex Equity").schedule("2015-01-01", "2025-12-31", tz="America/Chicago")
    early = {day.date(): stamp.time() for day, stamp in schedule["market_close"].items() if stamp.time() < time(16)}
    ours = {day: days.half_day(spec("ES"), day) for day in early}
    differ = {day for day in early if ours[day] != early[day]}
    good_fridays = {day for day in early if early[day] == time(8, 15)}
    assert differ <= good_fridays  # the library opens the market on every one of them
    assert len(early) > 90 and len(differ) < 10


def test_rows_of_half_days_have_a_source_and_are_in_order():
    with open(REPO / "config" / "halfdays.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    keys = [(row["market"], row["day"]) for row in rows]
    assert keys == sorted(set(keys)) and all(row["name"] and row["source"] for row in rows)
    known = {spec(root).calendar for root in MASTER.roots} | set(MASTER.roots)
    assert {row["market"] for row in rows} <= known


def test_a_users_hours_and_half_days_go_before_ours(tmp_path):
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from,source\nMES,09:00,10:00,,me\n")
    (tmp_path / "halfdays.csv").write_text("market,day,close,name,source\nCME_EQUITY,2026-11-24,09:30,a test,me\n")
    own = Master.load(tmp_path).spec("MES")
    zone = ZoneInfo("America/Chicago")
    assert days.session(own, date(2026, 11, 24)) == (
        datetime(2026, 11, 24, 9, tzinfo=zone),
        datetime(2026, 11, 24, 9, 30, tzinfo=zone),
    )
    assert days.session(spec("MES"), date(2026, 11, 24))[1].astimezone(zone).time() == time(16)


def test_hours_and_days_that_are_edited_are_read_again(tmp_path):
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from\nMES,09:00,10:00,\n")
    own, day, zone = Master.load(tmp_path).spec("MES"), date(2026, 11, 24), ZoneInfo("America/Chicago")
    ends = lambda: days.session(own, day)[1].astimezone(zone).time()  # noqa: E731
    assert ends() == time(10)
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from\nMES,09:00,11:30,\nES,09:00,11:30,\n")
    assert ends() == time(11, 30)
    (tmp_path / "halfdays.csv").write_text("market,day,close\nMES,2026-11-24,09:30\n")
    assert ends() == time(9, 30)
    (tmp_path / "halfdays.csv").unlink()
    assert ends() == time(11, 30)
    (tmp_path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2026-11-24,a feast\n")
    assert days.session(own, day) is None


def test_a_market_without_hours_and_broken_files_are_named(tmp_path):
    (tmp_path / "holidays.csv").write_text("calendar,day,name,source\nMINE,2026-11-24,a feast,me\n")
    like = {field: getattr(spec("MES"), field) for field in ("name", "sector", "exchange", "currency", "multiplier")}
    like |= {field: getattr(spec("MES"), field) for field in ("tick", "price_unit", "listed_months", "held_months")}
    like |= {"settlement": "cash", "last_trade": "third_friday", "calendar": "MINE", "timezone": "UTC"}
    rows = "".join(f"MINE,{field},{value},,me\n" for field, value in (like | {"session_start": "09:00"}).items())
    (tmp_path / "contracts.csv").write_text("root,field,value,valid_from,source\n" + rows)
    mine = Master.load(tmp_path).spec("MINE")
    with pytest.raises(days.UnknownHours, match=r"no hours of MINE: add rows of MINE or MINE to sessions.csv"):
        days.session(mine, date(2026, 11, 23))
    (tmp_path / "sessions.csv").write_text("market,open,close,valid_from,source\nMINE,-2d 09:00,10:00,,me\n")
    with pytest.raises(ValueError, match=r"sessions.csv line 2: .*-2d 09:00"):
        days.session(mine, date(2026, 11, 23))


def test_a_broken_half_day_is_named(tmp_path):
    (tmp_path / "halfdays.csv").write_text("market,day,close\nCME_EQUITY,2026-11-24,noon\n")
    with pytest.raises(ValueError, match=r"halfdays.csv line 2: .*noon"):
        days.half_day(Master.load(tmp_path).spec("MES"), date(2026, 11, 24))


def test_asking_is_quick():
    moments = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=37 * n) for n in range(500)]
    assert sum(days.is_open(spec("ES"), moment) for moment in moments) > 300
