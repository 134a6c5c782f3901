"""Days of daily bars: the weekend belongs to Monday."""

from datetime import UTC, date, datetime

import polars as pl

from store.reading import Reading, daily


def test_a_sunday_row_belongs_to_monday_and_does_not_take_its_place():
    days = [date(2024, 3, 8), date(2024, 3, 9), date(2024, 3, 10), date(2024, 3, 11)]  # Friday to Monday
    found = daily(pl.DataFrame({"day": days}))
    assert found["day"].to_list() == [date(2024, 3, 8), *[date(2024, 3, 11)] * 3]
    assert found["time"].to_list() == [datetime(d.year, d.month, d.day, 23, tzinfo=UTC) for d in days]


def test_a_row_without_a_day_has_no_time():
    assert daily(pl.DataFrame({"day": [None]}, {"day": pl.Date})).row(0) == (None, None)


def test_a_reading_names_its_columns_as_we_do_unless_told():
    assert Reading("fx", "x", "EUR", pl.DataFrame()).headings == {}
