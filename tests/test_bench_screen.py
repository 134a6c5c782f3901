"""What `python -m bench.screen` times is what a run in full tells, and its table tells it."""

import numpy as np
import pytest

from bench import screen
from engine import Portfolio, backtest
from engine.screen import screened


def test_what_is_timed_is_a_cross_that_trades_all_markets():
    market, portfolio, values = screen.noise(700, 3), Portfolio.from_toml(screen.TEXT), screen.windows(5)
    found = screened(market, portfolio, values)
    assert not found["intervened"].any() and (found["fills"] > 10).all()
    for c in range(5):
        run = backtest(market, portfolio.with_settings([f"{name}={each[c]}" for name, each in values.items()]))
        assert found["final_equity"][c] == pytest.approx(run.summary["metrics"]["final_equity"], rel=1e-9)


def test_no_two_combinations_are_the_same_until_all_pairs_were_there():
    values = screen.windows(10_000)
    assert len(set(zip(*(each.tolist() for each in values.values()), strict=True))) == 10_000
    assert len(np.unique(values["fast"])) == len(np.unique(values["slow"])) == 100


def test_each_number_of_combinations_is_timed_with_each_number_of_threads():
    rows = screen.measured(2, 300, [70, 130], [1, 2], 2)
    assert [(r["combinations"], r["threads"]) for r in rows] == [(70, 1), (70, 2), (130, 1), (130, 2)]
    assert all(0 < r["best"] <= r["seconds"] and r["rate"] > 0 for r in rows)
    told = screen.table(rows, 2, 300).splitlines()
    assert "2 markets x 300 days" in told[0] and len(told) == 8 and told[-1].startswith("| 130 | 2 |")
