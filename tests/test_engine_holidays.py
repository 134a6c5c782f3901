"""Holidays of the exchanges by their rule, against the lists that the exchange printed."""

import numpy as np
import pytest

from engine.holidays import closed_days, easter, following, holidays, months

# NYSE Group, "Holiday and Early Closings Calendar", press releases for 2022 to 2026.
PRINTED = {
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2023: "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2025: "01-01 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
}
UNFORESEEN = (  # strikes of the rule by a president's death, an attack, a storm; and election days to 1980
    "1972-11-07 1972-12-28 1973-01-25 1976-11-02 1977-07-14 1980-11-04 1985-09-27 1994-04-27 2001-09-11 2001-09-12 "
    "2001-09-13 2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30 2018-12-05 2025-01-09"
)


@pytest.mark.parametrize("year", PRINTED)
def test_holidays_are_those_that_the_exchange_printed(year):
    assert holidays(year, year).astype(str).tolist() == [f"{year}-{day}" for day in PRINTED[year].split()]


def test_of_sixty_years_of_closings_only_the_unforeseen_are_no_holidays_by_rule():
    calendars = pytest.importorskip("pandas_market_calendars")
    valid = calendars.get_calendar("NYSE").valid_days("1971-01-01", "2030-12-31").strftime("%Y-%m-%d")
    days = np.arange(np.datetime64("1971-01-01"), np.datetime64("2031-01-01"))
    closed = set(days[np.is_busday(days)].astype(str)) - set(valid)
    ours = set(holidays(1971, 2030).astype(str))
    assert not ours - closed
    assert {str(day) for day in closed - ours} == set(UNFORESEEN.split())


def test_easter_is_that_of_the_tables():
    """Its earliest (1818-03-22) and latest (1943-04-25) days, and three between."""
    days = {1818: "03-22", 1943: "04-25", 2000: "04-23", 2008: "03-23", 2019: "04-21"}
    assert {year: str(easter(year))[5:] for year in days} == days


def test_the_next_trading_date_passes_over_weekends_and_holidays():
    days = np.array(["2024-07-03", "2024-07-05", "2024-07-06", "2024-12-31"], "datetime64[D]")
    told = following(days, closed_days(days, "us")).astype(str).tolist()
    assert told == ["2024-07-05", "2024-07-08", "2024-07-08", "2025-01-02"]
    assert following(days, closed_days(days, "weekdays")).astype(str).tolist()[0] == "2024-07-04"


def test_no_day_has_no_holiday_around_it():
    assert len(closed_days(np.array([], "datetime64[D]"), "us")) == 0


def test_months_are_counted_through_the_years():
    days = np.array(["1969-12-31", "1970-01-01", "2024-12-31", "2025-01-01"], "datetime64[D]")
    numbers = months(days)
    assert (numbers % 12).tolist() == [11, 0, 11, 0] and np.diff(numbers).tolist() == [1, 659, 1]
