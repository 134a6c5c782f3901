"""What `python -m bench.loop` times is the whole engine, and its table tells it."""

import numpy as np
import pytest

from bench import loop
from engine import Portfolio, load
from engine.simulate import simulated
from tests.small_store import build


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return load(build(tmp_path_factory.mktemp("bench") / "store"))


def test_markets_are_repeated_under_names_of_their_own_and_earn_the_same(market):
    portfolio = Portfolio.from_toml(loop.PORTFOLIO).with_settings(["start=none"])
    arguments = loop.arguments_of(loop.stretched(market, 2, 400), portfolio)
    few, many = (simulated(loop.prepared(loop.widened(arguments, count), "held")) for count in (2, 6))
    assert len(few.fills) > 10 and not len(few.events) and not len(many.events)
    assert np.array_equal(many.price, np.tile(few.price, 3)) and np.array_equal(many.position, np.tile(few.position, 3))
    assert np.any(few.margin > 0) and np.any(few.fills[:, -1] < 0) and np.any(few.fills[:, 3] == 8)  # rolls, costs


def test_both_portfolios_are_timed_for_each_number_of_markets(market):
    rows = loop.measured(market, [1, 3], 300, 2)
    assert [(r["markets"], r["kind"]) for r in rows] == [(1, "held"), (1, "sized"), (3, "held"), (3, "sized")]
    assert all(0 < r["best"] <= r["seconds"] and r["floor"] > 0 and r["fills"] > 0 for r in rows)
    told = loop.table(rows).splitlines()
    assert len(told) == 8 and "| 3 x 300 days | a volatility target" in told[-1]
