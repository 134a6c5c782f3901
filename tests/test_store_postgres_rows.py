"""Rows from text: where a stream is cut, and how a contract is written."""

import polars as pl
import pytest

from store import postgres_rows
from store.postgres_rows import series


def pieces(*lengths, names="aabbbcccc"):
    """A stream of frames of these lengths over a column of names, with the number of each row."""
    rows = pl.DataFrame({"contract": list(names), "row": range(len(names))})
    begins = [sum(lengths[:k]) for k in range(len(lengths))]
    return [rows[begin : begin + length] for begin, length in zip(begins, lengths, strict=True)]


@pytest.mark.parametrize("lengths", [(9,), (3, 6), (4, 1, 1, 3), (1,) * 9, (2, 3, 4), (8, 1, 0)])
def test_a_contract_is_never_cut_and_no_row_is_lost(lengths):
    frames = list(series(pieces(*lengths), ["contract"]))
    assert pl.concat(frames)["row"].to_list() == list(range(9))
    seen = [set(frame["contract"]) for frame in frames]
    assert sum(map(len, seen)) == 3  # each contract in one piece only


def test_nothing_comes_of_an_empty_stream():
    assert list(series(pieces(0, names=""), ["contract"])) == []


def test_a_contract_that_is_too_long_to_be_held_is_cut(monkeypatch):
    monkeypatch.setattr(postgres_rows, "LONG", 2)
    frames = list(series(pieces(3, 3, 3, names="aaaaaaaaa"), ["contract"]))
    assert [frame.height for frame in frames] == [3, 3, 3]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("202403", (None, 202403)),
        ("20240300", (None, 202403)),
        ("2024-03-01", (None, 202403)),
        ("202403.0", (None, 202403)),
        (" ESH4 ", ("ES", 202403)),
        ("ES 03-24", ("ES", 202403)),
        ("2024-03-15", (None, None)),  # an expiry says nothing of the delivery month
        ("202413", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_a_contract_is_a_month_or_a_code_as_of_its_row(text, meant):
    assert postgres_rows._contract(text, 2023, 11) == meant
