"""Trading days: calendars against their seed and against real trading, and the trade date of a moment."""

import csv
import gzip
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from store import days
from store.contracts import Master
from tests.conftest import REPO

MASTER = Master.load()
CALENDARS = sorted({MASTER.spec(root).calendar for root in MASTER.roots} | {"NYMEX_EXPIRY"})
# Markets whose bars judge a calendar; volume is known from 2001 on. Nikkei's rows are CME's, not OSE's.
JUDGES = {
    "CME_EQUITY": ("SP500_micro", "NASDAQ_micro"),
    "CME_RATES": ("US10", "US5"),
    "CME_FX": ("EUR_micro", "GBP_micro", "AUD_micro"),
    "CBOT_GRAINS": ("CORN", "WHEAT"),
    "CME_LIVESTOCK": ("LIVECOW",),
    "NYMEX": ("SILVER", "GOLD_micro"),
    "EUREX": ("BUND", "DAX"),
    "CFE": ("VIX_mini",),
    "ICE_US": ("COFFEE",),
}


def utc(local, zone):
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_t39_the_sunday_evening_bar_is_mondays():
    moment = utc("2026-11-22T17:05", "America/Chicago")
    assert moment == datetime(2026, 11, 22, 23, 5, tzinfo=UTC)
    assert days.trade_date(moment, "America/Chicago", "17:00") == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("local", "zone", "start", "day"),
    [
        ("2026-11-23T16:00", "America/Chicago", "17:00", "2026-11-23"),
        ("2026-11-23T17:00", "America/Chicago", "17:00", "2026-11-23"),  # a bar is stamped by its end
        ("2026-11-23T17:01", "America/Chicago", "17:00", "2026-11-24"),
        ("2026-11-20T18:00", "America/Chicago", "17:00", "2026-11-23"),
        ("2026-07-05T17:30", "America/Chicago", "17:00", "2026-07-06"),  # summer time
        ("2026-11-23T09:00", "Europe/Berlin", "01:10", "2026-11-23"),
        ("2026-11-20T17:30", "Asia/Tokyo", "17:00", "2026-11-23"),  # Friday's night session
        ("2026-11-21T05:30", "Asia/Tokyo", "17:00", "2026-11-23"),  # and its end on Saturday
        ("2026-11-22T20:30", "America/New_York", "20:00", "2026-11-23"),
    ],
)
def test_t39_sessions_of_every_kind(local, zone, start, day):
    assert days.trade_date(utc(local, zone), zone, start) == date.fromisoformat(day)


def test_t39_arrays_give_what_single_moments_give():
    moments = np.arange("2026-03-06T00", "2026-03-11T00", 37, dtype="datetime64[m]")  # the clocks change on the 8th
    found = days.trade_date(moments, "America/Chicago", "17:00")
    single = [days.trade_date(moment.item().replace(tzinfo=UTC), "America/Chicago", "17:00") for moment in moments]
    assert found.dtype == np.dtype("datetime64[D]") and found.tolist() == single


def test_a_moment_without_a_zone_is_utc_and_one_with_a_zone_is_moved():
    naive = datetime(2026, 11, 22, 23, 5)
    assert days.trade_date(naive, "America/Chicago", "17:00") == date(2026, 11, 23)
    tokyo = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert days.trade_date(tokyo, "America/Chicago", "17:00") == date(2026, 11, 23)


def test_t40_thanksgiving_is_no_trade_date():
    thanksgiving = date(2025, 11, 27)
    for name in ("CME_EQUITY", "CME_RATES", "CME_FX", "NYMEX", "CBOT_GRAINS", "CME_LIVESTOCK"):
        assert not days.is_session(name, thanksgiving)
        assert days.is_session(name, date(2025, 11, 28))  # a short session is a session
    session = utc("2025-11-27T10:00", "America/Chicago")
    assert days.trade_date(session, "America/Chicago", "17:00", "CME_EQUITY") == date(2025, 11, 28)


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("CME_EQUITY", ["2001-09-12", "2001-09-13", "2001-09-14", "2004-06-11", "1994-04-27"]),
        ("CME_RATES", ["2001-09-12", "2004-06-11", "2003-11-11"]),
        ("CME_RATES", ["1996-10-14", "1996-11-11", "1997-01-20", "1999-10-11", "2003-10-13", "2004-11-11"]),
        ("CBOT_GRAINS", ["2001-09-11", "2001-09-12", "2004-06-11", "1992-04-13"]),
        ("NYMEX", ["1990-08-13"]),
        ("NYMEX", ["2001-09-11", "2001-09-12", "2001-09-13", "2004-11-26"]),
        ("ICE_US", ["2001-09-11", "2001-09-14", "1985-09-27"]),
        ("CFE", ["2012-10-29", "2012-10-30", "2007-01-02"]),
        ("EUREX", ["2024-12-24", "2024-12-31", "2024-05-01", "2007-05-28"]),
        ("OSE", ["2024-05-03", "2024-01-02"]),
        ("ICE_UK", ["2026-08-31", "2022-09-19"]),
        (
            "EUREX+DAX",
            ["2000-10-03", "2014-10-03", "2016-05-16", "2016-10-03", "2017-06-05", "2017-10-31", "2018-05-21"],
        ),
        ("EUREX+DAX", ["2024-12-24", "2024-05-01"]),
        ("CME_FX+RF", ["2013-11-11", "2014-10-13", "2014-11-11", "2013-10-14", "2014-12-25"]),
        ("SGX", ["2000-12-25", "2001-12-25", "2002-12-25"]),
    ],
)
def test_one_off_closures_are_closed(name, closed):
    assert not days.is_session(name, np.array(closed, dtype="datetime64[D]")).any()


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("CME_EQUITY", ["2018-12-05", "2025-01-09", "2023-04-07", "2012-10-29"]),
        ("CME_RATES", ["2007-01-02", "2025-01-09", "2010-04-02", "2012-04-06", "2015-04-03"]),
        ("EUREX", ["2010-12-27", "2021-12-28", "2016-05-16", "2018-10-03"]),  # the Bund trades when the DAX does not
        ("EUREX+DAX", ["2015-10-02", "2019-06-10", "2020-06-01", "2022-10-03"]),
        ("CME_FX", ["2013-11-11", "2014-10-13", "2014-11-11"]),
        ("CFE", ["2022-01-17", "2024-06-19"]),
    ],
)
def test_days_on_which_real_contracts_traded_are_open(name, opened):
    assert days.is_session(name, np.array(opened, dtype="datetime64[D]")).all()


def traded(shared, names):
    """{day: (contracts with a bar, contracts with volume)} of real files, weekdays only."""
    bars, busy = Counter(), Counter()
    for name in names:
        with zipfile.ZipFile(shared / "barchart" / "daily" / f"Day_{name}.zip") as archive:
            for part in archive.namelist():
                for line in archive.read(part).decode().splitlines()[1:]:
                    day = line[:10]
                    bars[day] += 1
                    busy[day] += float(line.rsplit(",", 1)[1] or 0) > 0
    return {day: (bars[day], busy[day]) for day in bars if date.fromisoformat(day).weekday() < 5}


@pytest.mark.parametrize("name", JUDGES)
def test_no_day_is_closed_on_which_most_contracts_traded_and_none_open_without_a_bar(shared, name):
    seen = {day: counts for day, counts in traded(shared, JUDGES[name]).items() if day > "2001-09-14"}
    closed_but_busy = [d for d, (bars, busy) in seen.items() if busy > bars / 2 and not days.is_session(name, d)]
    every = np.arange(min(seen), max(seen), dtype="datetime64[D]")
    silent = [str(d) for d in every[days.is_session(name, every)] if str(d) not in seen]
    assert closed_but_busy == []
    assert silent == []


# Days on which every one of these series of other collections is silent: pysystemtrade's prices and Quantiacs' bars.
SILENT = {
    "CME_RATES": (("US10", "US20", "US5", "US2"), ("F_TY", "F_FV", "F_US")),
    "NYMEX": (("GOLD", "SILVER", "PLAT", "CRUDE_W", "GAS_US", "COPPER"), ("F_GC", "F_SI", "F_CL", "F_HG")),
    "CME_FX": (("GBP", "JPY", "CHF", "AUD"), ("F_BP", "F_JY")),
    "EUREX+DAX": (("DAX",), ("F_AX",)),
    "CBOT_GRAINS": (("CORN", "WHEAT", "SOYBEAN"), ("F_C", "F_W", "F_S")),
}


def days_of(path):
    with gzip.open(path, "rt") as lines:
        next(lines)
        found = {line.split(",")[0][:10] for line in lines}
    return {day if "-" in day else f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in found}


@pytest.mark.parametrize("name", SILENT)
def test_no_day_is_open_on_which_two_other_collections_are_silent(shared, name):
    prices, bars = SILENT[name]
    held = [days_of(shared / "pysystemtrade" / "adjusted_prices_csv" / f"{market}.csv.gz") for market in prices]
    held += [days_of(shared / "quantiacs" / f"{market}.txt.gz") for market in bars]
    every = np.arange(max(min(days) for days in held), "2014-01-01", dtype="datetime64[D]")
    open_ = [str(day) for day in every[days.is_session(name, every)]]
    assert len(open_) > 3000 and [day for day in open_ if not any(day in found for found in held)] == []


def test_calendars_are_the_seeds_but_for_the_listed_corrections():
    pmc = pytest.importorskip("pandas_market_calendars")
    seeds = {
        "CME_EQUITY": "CME_TradeDate",
        "CBOT_GRAINS": "CBOT_Agriculture",
        "OSE": "JPX",
        "HKEX": "HKEX",
        "ICE_UK": "LSE",
    }
    for name, seed in seeds.items():
        with open(REPO / "config" / "holidays.csv", newline="") as lines:
            own = {
                row["day"]
                for row in csv.DictReader(lines)
                if row["calendar"] == name and not row["source"].startswith("pmc")
            }
        first = "1990-01-01"
        open_days = {str(day.date()) for day in pmc.get_calendar(seed).valid_days(first, "2035-12-31")}
        ours = np.arange(first, "2036-01-01", dtype="datetime64[D]")
        differ = {
            str(day)
            for day in ours
            if (str(day) in open_days) != bool(days.is_session(name, day)) and np.is_busday(day)
        }
        assert differ <= own


def test_corrections_against_the_seed_are_rows_with_a_reason():
    with open(REPO / "config" / "holidays.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) < 11000 and all(row["name"] and row["source"] for row in rows)
    keys = [(row["calendar"], row["day"]) for row in rows]
    assert keys == sorted(set(keys))
    opened = defaultdict(set)
    for row in rows:
        if row["name"] == "open":
            opened[row["calendar"]].add(row["day"])
    assert {"2023-04-07", "2025-01-09"} <= opened["CME_EQUITY"] and "2015-04-03" in opened["CME_RATES"]


@pytest.mark.parametrize("name", CALENDARS)
def test_every_calendar_has_between_a_few_and_twenty_closures_a_year(name):
    year = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")
    assert 240 <= days.is_session(name, year).sum() <= 261
    assert days.calendar(name) is days.calendar(name)  # built once


def test_a_calendar_of_two_names_lacks_the_days_of_either_and_an_unknown_part_is_named(tmp_path):
    bund, dax = days.calendar("EUREX"), days.calendar("EUREX+DAX")
    more = set(dax.holidays.tolist()) - set(bund.holidays.tolist())
    assert set(bund.holidays.tolist()) < set(dax.holidays.tolist())
    assert len(more) == 11 and date(2017, 10, 31) in more
    with pytest.raises(days.UnknownCalendar, match="no calendar 'DAXX'"):
        days.calendar("EUREX+DAXX")
    (tmp_path / "holidays.csv").write_text(
        "calendar,day,name,source\nEUREX,2026-11-24,a strike,me\nDAX,2017-10-31,open,me\n"
    )
    assert not days.is_session("EUREX+DAX", date(2026, 11, 24), tmp_path)
    assert days.is_session("EUREX+DAX", date(2017, 10, 31), tmp_path)


def test_shift_counts_sessions_from_any_day():
    assert days.shift("CME_EQUITY", date(2025, 11, 26), 1) == date(2025, 11, 28)
    assert days.shift("CME_EQUITY", date(2025, 11, 29), 1) == date(2025, 12, 1)  # from a Saturday
    assert days.shift("CME_EQUITY", date(2025, 11, 29), -1) == date(2025, 11, 28)
    assert days.shift("CME_EQUITY", date(2025, 11, 27), 0) == date(2025, 11, 28)
    assert days.shift("CME_EQUITY", date(2025, 11, 28), -2) == date(2025, 11, 25)
    two = days.shift("CME_EQUITY", np.array(["2025-11-26", "2025-11-28"], dtype="datetime64[D]"), 1)
    assert two.tolist() == [date(2025, 11, 28), date(2025, 12, 1)]


def test_weekend_rows_go_to_monday():
    saturday, sunday = date(2026, 11, 21), date(2026, 11, 22)
    assert days.to_session(saturday) == days.to_session(sunday) == date(2026, 11, 23)
    assert days.to_session(date(2026, 11, 24)) == date(2026, 11, 24)
    assert days.to_session(date(2025, 8, 30), "CME_EQUITY") == date(2025, 9, 2)  # Monday is Labor Day


def test_a_user_closes_and_reopens_days(tmp_path):
    (tmp_path / "holidays.csv").write_text(
        "calendar,day,name,source\nEUREX,2026-11-24,a strike,me\nEUREX,2026-12-24,open,me\nMINE,2026-11-24,a feast,me\n"
    )
    assert not days.is_session("EUREX", date(2026, 11, 24), tmp_path)
    assert days.is_session("EUREX", date(2026, 12, 24), tmp_path)
    assert not days.is_session("MINE", date(2026, 11, 24), tmp_path)
    assert days.is_session("EUREX", date(2026, 11, 24))


def test_an_unknown_calendar_and_a_broken_file_are_named(tmp_path):
    with pytest.raises(days.UnknownCalendar, match=r"no calendar 'CMEE'.*CME_EQUITY"):
        days.calendar("CMEE")
    (tmp_path / "holidays.csv").write_text("calendar,day,name\nEUREX,24.11.2026,a strike\n")
    with pytest.raises(ValueError, match=r"holidays.csv line 2: .*24.11.2026"):
        days.is_session("EUREX", date(2026, 11, 24), tmp_path)
