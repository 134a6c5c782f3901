"""Parquet as rows: numbers of rows, values of doubtful ones, what is refused."""

import io

import polars as pl
import pytest

from store import columnar, raw
from store.raw import Part


def part(**columns):
    data = io.BytesIO()
    pl.DataFrame(columns).write_parquet(data)
    return Part("x.parquet", "x.parquet", data.getvalue())


def test_rows_are_numbered_from_one_and_shown_as_their_values():
    frame = columnar.table(part(a=[1.5, None], b=["x", "y"]))
    assert frame.select("line", "raw", "file", "fault").rows() == [
        (1, "1.5,x", "x.parquet", None), (2, ",y", "x.parquet", None),
    ]  # fmt: skip


def test_only_doubtful_rows_are_written_out_where_that_would_take_long():
    frame = columnar.table(part(a=[1.5, 2.5, 3.5]), brief=True)
    assert frame["raw"].to_list() == ["row 1", "row 2", "row 3"]
    doubtful = pl.Series([True, False, True])
    assert columnar.told(frame, doubtful, ["a"])["raw"].to_list() == ["1.5", "row 2", "3.5"]
    assert columnar.told(frame, ~(doubtful | True), ["a"])["raw"].to_list() == ["row 1", "row 2", "row 3"]


def test_columns_that_are_not_wanted_are_left_alone():
    assert "b" not in columnar.table(part(a=[1], b=[[1]]), ["a"]).columns


def test_what_is_no_parquet_has_no_schema():
    assert columnar.schema(Part("x", "x", b"Date,Open\n")) == {}
    assert columnar.schema(Part("x", "x", b"PAR1")) == {}
    assert columnar.schema(part(a=[1.0])) == {"a": pl.Float64}


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"a": [[1]]}, "column a holds List"), ({"a": [b"x"]}, "column a holds Binary"), ({"a": []}, "no row")],
)
def test_what_cannot_be_rows_is_refused_in_words(columns, message):
    with pytest.raises(raw.Unreadable, match=rf"x\.parquet: .*{message}"):
        columnar.table(part(**columns))


def test_damage_is_refused_or_unseen_and_never_crashes():  # pages carry no checksum
    whole = part(a=list(range(200)), b=[f"code {k}" for k in range(200)]).data
    for place in range(4, len(whole), 5):
        torn = bytearray(whole)
        torn[place] ^= 0xFF
        try:
            assert columnar.table(Part("x.parquet", "x.parquet", bytes(torn))).height
        except raw.Unreadable as error:
            assert str(error).startswith("x.parquet: ")
