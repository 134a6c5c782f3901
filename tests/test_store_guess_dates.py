"""How dates are written: patterns, what is ambiguous, hours."""

import polars as pl
import pytest

from store import guess_dates, raw
from store.raw import Part

PART = Part("x.csv", "x.csv", b"")


def words(*cells, clock=None):
    doubts = []
    columns = [cells] + ([clock] if clock else [])
    roles = {"time": 0} | ({"clock": 1} if clock else {})
    return guess_dates.words(PART, roles, columns, doubts), doubts


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        (("2024-01-02", "2024-01-03"), "%Y-%m-%d"),
        (("20240102", "20240103"), "%Y%m%d"),
        (("01/16/2024", "01/17/2024"), "%m/%d/%Y"),
        (("16/01/2024", "17/01/2024"), "%d/%m/%Y"),
        (("16.01.2024", "17.01.2024"), "%d.%m.%Y"),
        (("16-Jan-2024", "17-Jan-2024"), "%d-%b-%Y"),
        (("01/16/24", "01/17/24"), "%m/%d/%y"),
    ],
)
def test_a_pattern_that_all_cells_fit(cells, pattern):
    assert words(*cells) == ({"date": pattern, "timezone": ""}, [])


def test_of_two_patterns_the_one_that_gives_working_days_in_a_row_is_taken_and_the_other_told():
    found, doubts = words("03/04/2024", "03/05/2024", "03/06/2024")
    assert found["date"] == "%m/%d/%Y"
    assert doubts == ["dates are read as %m/%d/%Y; %d/%m/%Y fits as well and gives other days: look at the rows"]


def test_hours_are_told_and_one_hour_for_all_is_a_daily_stamp():
    found, doubts = words("2024-01-02 09:30", "2024-01-02 09:31")
    assert (found, len(doubts)) == ({"date": "%Y-%m-%d %H:%M", "timezone": "UTC"}, 1)
    assert words("2024-01-02 00:00:00", "2024-01-03 00:00:00") == ({"date": "%Y-%m-%d %H:%M:%S", "timezone": ""}, [])


def test_a_clock_in_its_own_column_is_part_of_the_pattern():
    found, _ = words("20240102", "20240102", clock=("0930", "0931"))
    assert found == {"date": "%Y%m%d %H%M", "timezone": "UTC"}


def test_one_damaged_row_does_not_hide_the_dates_of_the_others():
    assert words(*["2024-01-02"] * 19, "soon")[0]["date"] == "%Y-%m-%d"


def test_what_is_no_date_is_refused():
    with pytest.raises(raw.Unreadable, match=r"x\.csv: no date: 'soon' is written in no way that is known here"):
        words("soon", "later")
    with pytest.raises(raw.Unreadable, match=r"x\.csv: no date: no column"):
        guess_dates.column(PART, [("1.5", "2.5"), ("a", "b")])


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        (("03/04/2024", "03/05/2024", "03/06/2024"), "%m/%d/%Y"),
        (("04/03/2024", "05/03/2024", "06/03/2024"), "%d/%m/%Y"),
        (("08.03.24", "11.03.24", "12.03.24"), "%d.%m.%y"),
        (("03/06/2024", "03/05/2024", "03/04/2024"), "%m/%d/%Y"),  # the newest first
        (("02/01/2024", "05/01/2024", "09/01/2024"), "%d/%m/%Y"),  # over a weekend, and over a longer one
    ],
)
def test_days_of_work_that_follow_one_another_tell_the_order(cells, pattern):
    assert words(*cells)[0]["date"] == pattern


def test_a_day_that_is_its_month_tells_nothing_of_the_order():
    assert words("03/03/2024", "04/04/2024")[1] == [
        "dates are read as %m/%d/%Y; %d/%m/%Y fits as well: no row tells day and month apart"
    ]


@pytest.mark.parametrize(
    ("cells", "pattern", "other"),
    [
        (("03/04/2024", "03/15/2024"), "%d/%m/%Y", "%m/%d/%Y"),
        (("03/04/2024", "15/03/2024"), "%m/%d/%Y", "%d/%m/%Y"),
        (("03/15/2024", "soon", None), "%d/%m/%Y", "%m/%d/%Y"),
        (("03/15/2024 09:30", "03/04/2024 09:31"), "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
        (("03/04/2024", "03/05/2024", "03/06/2024"), "%d/%m/%Y", "%m/%d/%Y"),  # all fit: the days follow one another
        (("03/04/2024", "04/04/2024", "05/04/2024"), "%d/%m/%Y", None),
        (("03/04/2024", "03/05/2024"), "%d/%m/%Y", None),
        (("15/03/2024", "03/15/2024"), "%d/%m/%Y", None),  # a slip in a row of days that fit
        (("2024-03-15", "2024-04-03"), "%Y-%m-%d", None),
        ((), "%d/%m/%Y", None),
    ],
)
def test_dates_of_the_other_order_are_told(cells, pattern, other):
    assert guess_dates.other_order(pl.Series(cells, dtype=pl.String), pattern) == other
