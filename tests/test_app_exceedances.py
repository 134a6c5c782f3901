"""The picture of exceedances: a dot for each day that lost more than was told; words as the tests say."""

import doctest
import re
from datetime import date, timedelta

import polars as pl
import pytest

from app import exceedances
from engine.analysis import forecasts

RETURNS = [0.01, -0.011, -0.03, 0.02, -0.019, 0.0]  # against 1 % and 2 %: the second, third and fifth day; the third


def told(returns, risks):
    """Forecasts of a method at levels, each with one value at risk for all days but the first."""
    days = [date(2023, 12, 28) + timedelta(days=k) for k in range(len(returns))]
    rows = [
        (day, value, "history", level, risk if k else None, -value > risk if k else None)
        for level, risk in risks.items()
        for k, (day, value) in enumerate(zip(days, returns, strict=True))
    ]
    return pl.DataFrame(rows, schema=forecasts.FORECASTS, orient="row")


def test_examples_run():
    assert doctest.testmod(exceedances).failed == 0


def test_a_dot_is_a_day_that_lost_more_and_the_words_count_them():
    found = told(RETURNS, {0.95: 0.01, 0.99: 0.02})
    drawn = exceedances.picture(found, forecasts.backtested(found), "Losses <beyond>", "by hand")
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+" fill="(#\w+)"/>', drawn)
    blue, orange = exceedances.COLOURS
    assert [colour for *_, colour in dots] == [blue, blue, blue, orange]
    # five days from the second one on, over 766 pixels: the second day stands at the left end, the fifth at 3/4
    assert [float(x) for x, *_ in dots] == pytest.approx([70.0, 261.5, 644.5, 261.5])
    # 110 pixels from 2 % down to -3 %; the panel begins at 96
    assert [float(y) for _, y, _ in dots] == pytest.approx([96 + 22 * 3.1, 96 + 110, 96 + 22 * 3.9, 96 + 110], abs=0.06)
    assert "beyond 95 %: 3 of 5 days, expected 0.2" in drawn and "beyond 99 %: 1 of 5 days, expected 0.1" in drawn
    assert "Losses &lt;beyond&gt;" in drawn and ">2024</text>" in drawn


def test_where_nothing_was_told_nothing_is_drawn():
    found = told(RETURNS[:1], {0.95: 0.01, 0.99: 0.02})
    assert exceedances.picture(found, forecasts.backtested(found), "none") == ""
