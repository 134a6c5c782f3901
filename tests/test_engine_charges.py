"""Dated rows: checked once, kept in order, and in force from their day on."""

import datetime

import numpy as np
import param
import pytest

from engine import settings
from engine.charges import DAY, TEXT, Rows, figures, tidied

COLUMNS = {"since": DAY, "root": TEXT, "fee": (0, 100)}
DAYS = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")


class Plan(param.Parameterized):
    rows = Rows(columns=COLUMNS, needed=("fee",), doc="Tables with since, root and fee.")


def day(number):
    return datetime.date(2020, 1, number)


def test_a_figure_holds_from_its_day_until_the_next_row_and_is_never_carried_back():
    rows = [{"since": day(8), "fee": 1.0}, {"since": day(3), "fee": 2.0}]
    slow = [next((r["fee"] for r in rows if np.datetime64(r["since"]) <= d), np.nan) for d in DAYS]
    np.testing.assert_array_equal(figures(rows, "fee", DAYS), slow)
    np.testing.assert_array_equal(figures(rows, "fee", DAYS), [np.nan] * 2 + [2.0] * 5 + [1.0] * 3)


def test_rows_without_the_figure_do_not_end_the_one_before():
    rows = [{"since": day(2), "fee": 2.0}, {"since": day(5), "root": "ES"}]
    assert figures(rows, "fee", DAYS)[-1] == 2.0


def test_equal_lists_are_equal_whatever_their_order_and_kind_of_number():
    one = Plan(rows=[{"fee": 2, "since": "2020-01-05"}, {"root": "ES", "since": day(2), "fee": 1}])
    other = Plan(rows=[{"since": day(2), "fee": 1.0, "root": "ES"}, {"since": day(5), "fee": 2.0}])
    assert settings.to_toml(settings.table_of(one)) == settings.to_toml(settings.table_of(other))
    assert [list(row) for row in one.rows] == [["since", "root", "fee"], ["since", "fee"]]


def test_rows_go_through_toml_and_back():
    text = "[[rows]]\nsince = 2020-01-05\nroot = 'ES'\nfee = 2\n"
    made = settings.read(Plan, settings.tomllib.loads(text), "text:")
    again = settings.read(Plan, settings.tomllib.loads(settings.to_toml(settings.table_of(made))), "text:")
    assert made.rows == again.rows == [{"since": day(5), "root": "ES", "fee": 2.0}]
    assert settings.parsed("[{since = 2020-01-05, fee = 3}]", Plan.param["rows"]) == [{"since": day(5), "fee": 3}]


def test_the_bounds_of_a_number_are_allowed():
    assert [row["fee"] for row in Plan(rows=[{"since": day(2), "fee": 0}, {"since": day(3), "fee": 100}]).rows] == [
        0,
        100,
    ]


def test_two_plans_do_not_share_their_rows():
    one, other = Plan(), Plan()
    one.rows = [{"since": day(2), "fee": 1.0}]
    assert other.rows == [] and Plan.rows == []


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"fee": 1.0}, "row 1: has no since; allowed: a date such as 2001-01-31"),
        ({"since": day(2)}, "row 1: has no fee; allowed: a number from 0 to 100"),
        ({"since": day(2), "fee": -1.0}, "fee = -1.0 is not a number from 0 to 100"),
        ({"since": day(2), "fee": True}, "fee = True is not a number"),
        ({"since": day(2), "fee": float("nan")}, "fee = nan is not a number"),
        ({"since": day(2), "fee": "much"}, "fee = 'much' is not a number"),
        ({"since": day(2), "fee": 1.0, "rot": "ES"}, "row 1: rot is unknown; allowed: since, root, fee; nearest: root"),
        ({"since": day(2), "fee": 1.0, "root": 3}, "root = 3 is not text"),
        ({"since": 2020, "fee": 1.0}, "since = 2020 is not a date"),
        ({"since": datetime.datetime(2020, 1, 1), "fee": 1.0}, "is not a date"),
        ({"since": "2020-13-01", "fee": 1.0}, "since = '2020-13-01' is not a date such as 2001-01-31: month"),
        ("2020-01-01", "is not a table"),
    ],
)
def test_a_bad_row_says_what_is_wrong(row, wrong):
    with pytest.raises(ValueError, match=wrong):
        tidied([row], COLUMNS, ("fee",))
    with pytest.raises(ValueError, match=wrong):
        Plan(rows=[row])


def test_a_bad_row_in_a_file_says_where_it_stands_and_what_is_allowed():
    with pytest.raises(
        settings.ConfigError,
        match=r"^f.toml: \[cash\] rows: row 2: fe is unknown; allowed: since, root, fee; nearest: fee$",
    ):
        settings.read(Plan, {"rows": [{"since": day(2), "fee": 1}, {"since": day(3), "fe": 1}]}, "f.toml: [cash]")
    with pytest.raises(settings.ConfigError, match="allowed: Tables"):
        settings.read(Plan, {"rows": 3}, "f.toml: [cash]")
