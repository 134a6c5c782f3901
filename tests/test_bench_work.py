"""What `make bench` tells of the work that is asked for, in small; and bars within the day."""

import numpy as np
import pytest

from bench import work
from bench.loop import prepared, widened
from bench.run import PORTFOLIO, arguments_of, stretched
from bench.within import measured, minutes, table
from engine import Portfolio, load
from engine.simulate import simulated
from tests.small_store import build


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return load(build(tmp_path_factory.mktemp("bench") / "store"))


def days_of(market, count, days):
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["start=none"])
    return prepared(widened(arguments_of(stretched(market, count, days), portfolio), count), "held")


def test_bars_within_the_day_end_where_the_day_does_and_roll_with_it(market):
    ready = days_of(market, 2, 800)
    inside = minutes(ready, 5)
    assert np.array_equal(inside.given.quotes.mark[4::5], ready.given.quotes.mark, equal_nan=True)
    days, told = simulated(ready), simulated(inside)
    assert len(told.equity) == 800 and not len(told.events)
    rolls = [ledger.fills[ledger.fills[:, 3] == 8] for ledger in (days, told)]
    assert len(rolls[0]) == len(rolls[1]) > 2 and np.array_equal(rolls[1][:, 0] // 5, rolls[0][:, 0])
    assert np.array_equal(told.position, days.position)  # decided at the end of the day, filled on the next bar
    assert told.interest.sum() == pytest.approx(days.interest.sum(), rel=0.05)


def test_sizes_are_timed_each(market):
    [row] = measured(market, ["2000x2"], 2)
    assert (row["bars"], row["markets"], row["days"]) == (2340, 2, 6) and 0 < row["best"] <= row["seconds"]
    assert "| 2,340 x 2 |" in table([row])


def test_work_is_told_with_what_was_asked_of_it(market):
    grid = {"fast": [5, 10, 15], "slow": [40, 50]}
    changed = work._changed(stretched(market, 2, 300), 1, (2, 1))
    rows = [changed, *work._swept(stretched(market, 2, 600), 1, grid, grid)]
    assert changed["work"] == "one param changed, 2 markets x 1 years"
    assert [row["asked"] for row in rows] == [0.015, 10_000, 10_000, None, 60_000] and all(
        row["best"] > 0 for row in rows
    )
    told = work.lines([*rows, {"work": "loop", "seconds": 0.002, "best": 0.001, "asked": 0.004, "floor": 2.5}])
    assert (
        len(told) == 7 and "/s" in told[2] and told[-1].split() == "loop 2.00 ms 1.00 ms 4.00 ms 2.5".split()  # noqa: SIM905
    )
