"""An answer as text and as a file: nothing in it is a formula, and numbers stay numbers."""

import csv
import errno
import resource
from datetime import UTC, date, datetime

import polars as pl
import pytest

from store import answer

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0")


def test_a_spreadsheet_finds_no_formula_in_cells_or_headings(tmp_path):
    frame = pl.DataFrame({"=x": list(FORMULAS), "@y": [-1.5] * len(FORMULAS), "z": [-7] * len(FORMULAS)})
    answer.write(frame, tmp_path / "a.csv", ".csv")
    with open(tmp_path / "a.csv", encoding="utf-8", newline="") as text:
        head, *rows = csv.reader(text)
    assert head == ["'=x", "'@y", "z"]
    assert [row[0] for row in rows] == [f"'{formula}" for formula in FORMULAS]
    assert {tuple(row[1:]) for row in rows} == {("-1.5", "-7")}


def test_values_are_told_in_full_and_missing_ones_are_empty():
    frame = pl.DataFrame(
        {
            "real": [0.1 + 0.2, None],
            "time": [datetime(2024, 7, 1, 21, 0, 0, 5, tzinfo=UTC), None],
            "day": [date(2024, 7, 1), None],
            "flag": [True, None],
            "list": [["a", None], None],
            "bytes": [b"\x01\xff", None],
        }
    )
    assert answer.texts(frame).rows() == [
        ("0.30000000000000004", "2024-07-01 21:00:00.000005Z", "2024-07-01", "true", "['a', None]", "01ff"),
        (None,) * 6,
    ]
    assert answer.csv(frame).splitlines()[2] == ",,,,,"


def test_parquet_keeps_the_types(tmp_path):
    frame = pl.DataFrame({"a": [1, None], "b": ["=1", "x"], "day": [date(2024, 7, 1), None], "list": [[1.5], []]})
    answer.write(frame, tmp_path / "a", ".parquet")
    assert pl.read_parquet(tmp_path / "a").equals(frame)


@pytest.mark.parametrize("kind", answer.KINDS)
def test_a_disk_that_takes_no_more_is_an_error_of_the_system_whatever_the_kind(tmp_path, kind):
    frame = pl.DataFrame({"a": pl.Series(range(20_000)).shuffle(seed=1)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            answer.write(frame, tmp_path / "a", kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
