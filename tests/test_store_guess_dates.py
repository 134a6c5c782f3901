"""How dates are written: patterns, what is ambiguous, hours."""

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
