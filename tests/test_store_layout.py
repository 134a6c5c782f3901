"""What a first line tells of a table: separator, header or row, order of day and month."""

import polars as pl
import pytest

from store import layout, raw


@pytest.mark.parametrize(
    ("line", "separator", "fields"),
    [
        ("Date,Close", ",", ("Date", "Close")),
        ("Date;Close", ";", ("Date", "Close")),
        ("Date\tClose", "\t", ("Date", "Close")),
        ('"Date";"Open Interest"', ";", ("Date", "Open Interest")),
        ("20240102;1,5;2", ";", ("20240102", "1,5", "2")),
    ],
)
def test_a_line_is_cut_at_the_mark_that_is_most_often_in_it(line, separator, fields):
    assert layout.cells(line) == (separator, fields)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("20240131", "%Y%m%d"),
        ("2024-01-31", "%Y-%m-%d"),
        ("2024/1/31", "%Y/%m/%d"),
        ("31.01.2024", "%d.%m.%Y"),
        ("31-Jan-2024", "%d-%b-%Y"),
        ("soon", "%Y%m%d"),
    ],
)
def test_a_date_s_shape_names_its_pattern(text, pattern):
    assert layout.date_pattern(pl.Series([text]), "x.csv") == pattern


def test_one_day_after_the_twelfth_settles_the_order_for_the_whole_file():
    assert layout.date_pattern(pl.Series(["01/02/2024", "02/02/2024", "13/02/2024"]), "x.csv") == "%d/%m/%Y"
    assert layout.date_pattern(pl.Series(["02/01/2024", "02/02/2024", "02/13/2024"]), "x.csv") == "%m/%d/%Y"


def test_dates_of_two_meanings_are_refused():
    with pytest.raises(
        raw.Unreadable, match=r"x\.csv: dates such as 01/02/2024 may begin with the day or with the month"
    ):
        layout.date_pattern(pl.Series(["01/02/2024", "03/02/2024"]), "x.csv")


def test_dates_that_mean_the_same_both_ways_are_read():
    assert layout.date_pattern(pl.Series(["02/02/2024"]), "x.csv") in ("%d/%m/%Y", "%m/%d/%Y")


def test_a_row_is_a_date_and_numbers_or_blanks():
    assert layout.is_row(("20240102", "1", "-2.5", "", "3e5"), 4)
    assert not layout.is_row(("20240102", "1", "x", "2", "3"), 4)
    assert not layout.is_row(("20240102", "1"), 4)
    assert not layout.is_row(("Date", "1", "2", "3", "4"), 4)


def test_a_text_column_called_close_does_not_stay_when_it_is_our_settlement():
    frame = pl.DataFrame({"close": ["1.5", "x"], "column": [None, None], "fault": [None, None]}, schema_overrides={
        "column": pl.String, "fault": pl.String})  # fmt: skip
    numbers = layout.numbers(frame, {"close": "settle"})
    assert numbers.rows(named=True) == [
        {"column": None, "fault": None, "settle": 1.5},
        {"column": "close", "fault": "not a number: x", "settle": None},
    ]
