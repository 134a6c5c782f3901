"""What all analyses read: rows of days, labels, and what is made once of a run."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from engine.analysis.daily import Daily, by_line, labelled, once, rows_of
from tests import analysed


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_days_are_those_that_a_search_finds_before_between_and_after_them_too(seed):
    rng = np.random.default_rng(seed)
    days = np.datetime64("2019-12-30") + np.unique(rng.integers(0, 400, 150))
    asked = np.datetime64("2019-12-30") + rng.integers(-9, 420, 1000)
    assert np.array_equal(rows_of(days, pl.Series(asked)), np.searchsorted(days, asked))
    assert np.array_equal(rows_of(days[:1], pl.Series(asked)), np.searchsorted(days[:1], asked))
    assert rows_of(days[:0], pl.Series(asked)).tolist() == [0] * 1000
    assert rows_of(days, pl.Series([days[3], None], dtype=pl.Date)).tolist() == [3, len(days)]


def test_the_days_of_a_run_are_made_once():
    run, _ = analysed.made(1, 100, 2)
    other, _ = analysed.made(2, 100, 2)
    assert Daily.of(run) is Daily.of(run)
    assert Daily.of(run) is not Daily.of(other)
    made = iter("ab")
    holder = SimpleNamespace()
    assert [once(holder, "x", lambda: next(made)) for _ in range(2)] == ["a", "a"]


@pytest.mark.parametrize("kind", [pl.String, pl.Enum(["unused", "stop", "market"]), pl.Categorical])
def test_labels_are_those_that_occur_in_order(kind):
    code, texts = labelled(pl.Series(["stop", None, "market", "stop"], dtype=kind), "unknown")
    assert (code.tolist(), texts) == ([1, 2, 0, 1], ["market", "stop", "unknown"])
    code, texts = labelled(pl.Series([], dtype=kind), "unknown")
    assert (len(code), texts) == (0, [])


def test_rows_of_a_line_keep_their_order_however_large_its_number():
    line = np.array([70_000, 2, 70_000, 0, 2])
    assert by_line(line).tolist() == [3, 1, 4, 0, 2]
    assert by_line(line[:0]).tolist() == []
