"""What a portfolio's own limits avoided and cost: by hand, and against a run that never had them."""

from datetime import date

import numpy as np
import pytest

from engine import backtest, result
from engine.analysis import limit_effect
from engine.analysis.windows import WINDOWS, Window, rows_of
from store import open_archive
from tests import analysed
from tests.command import copied
from tests.small_runs import Buys, market, portfolio

MARKS = np.array([[100.0], [100.0], [110.0], [90.0], [95.0]])


def made(settings=()):
    """Two contracts wanted of one market: up 10, down 20, up 5, with a capital of 1,000."""
    held = market(MARKS, open=np.vstack([MARKS[:1], MARKS[:-1]]))
    settings = ["portfolio.capital=1000", *settings]
    return backtest(held, portfolio((Buys.of(2.0), {}), settings=settings))


def test_losses_avoided_and_profits_forgone_by_hand():
    """With one contract 1,000, 1,010, 990, 995; with two 1,000, 1,020, 980, 990."""
    wednesday = Window("one day", date(2024, 1, 4), date(2024, 1, 4), "down")
    never = Window("never", date(2008, 9, 1), date(2008, 12, 31), "before the run")
    found = limit_effect.effect(made(["limits.max_contracts=1"]), made(), [wednesday, never])
    assert found.schema == limit_effect.EFFECT
    whole, day = found.rows(named=True)
    one, two = np.array([10 / 1000, -20 / 1010, 5 / 990]), np.array([20 / 1000, -40 / 1020, 10 / 980])
    assert (whole["window"], whole["limited"], whole["unlimited"]) == (
        "whole run", pytest.approx(one.sum()), pytest.approx(two.sum()),
    )  # fmt: skip
    assert whole["avoided"] == pytest.approx(one[1] - two[1])
    assert whole["forgone"] == pytest.approx(two[0] - one[0] + two[2] - one[2])
    assert (whole["fall_limited"], whole["fall_unlimited"]) == (pytest.approx(-20 / 1010), pytest.approx(-40 / 1020))
    assert (whole["trades_added"], whole["fills_added"]) == (0, 0)
    assert (day["window"], day["avoided"], day["forgone"]) == ("one day", pytest.approx(one[1] - two[1]), 0.0)


def test_the_two_make_the_difference_exactly():
    limited, free = (analysed.made(6, settings=settings)[0] for settings in (["limits.max_contracts=1"], []))
    windows = [
        Window("spring", date(2024, 3, 1), date(2024, 5, 31), ""),
        Window("2025", date(2025, 1, 1), date(2025, 12, 31), ""),
    ]
    found = limit_effect.effect(limited, free, windows)
    assert found["window"].to_list() == ["whole run", "spring", "2025"]
    for row in found.to_dicts():
        assert row["limited"] - row["unlimited"] == pytest.approx(row["avoided"] - row["forgone"], abs=1e-12)
    fills, trades = (len(limited.fills()) - len(free.fills()), len(limited.trades()) - len(free.trades()))
    assert (found["trades_added"][0], found["fills_added"][0]) == (trades, fills)


def test_the_windows_follow_each_other_and_have_days_of_every_kind():
    assert len({window.name for window in WINDOWS}) == len(WINDOWS) == 8
    assert all(window.first <= window.last for window in WINDOWS)
    assert [window.first for window in WINDOWS] == sorted(window.first for window in WINDOWS)
    days = np.array(["2020-01-31", "2020-02-03", "2020-04-30", "2020-05-01"], "datetime64[D]")
    (pandemic,) = [window for window in WINDOWS if window.name == "pandemic-2020"]
    assert rows_of(days, pandemic) == (1, 3)


def test_without_limits_a_run_is_the_one_that_never_had_them(ran, call, tmp_path):
    store = copied(ran[0], tmp_path)
    call("run", "cross", "--set", "limits.gross_notional=0.3", "--store", store)
    archive = open_archive(store)
    limited, free = result.load(archive, "last"), result.load(archive, ran[1])
    assert limit_effect.has_limits(limited) and not limit_effect.has_limits(free)
    again = limit_effect.without_limits(archive, limited)
    assert again.summary["hashes"]["result"] == free.summary["hashes"]["result"]
    assert limited.summary["hashes"]["result"] != free.summary["hashes"]["result"]
    assert len(archive.run_ids()) == 2  # it is not stored
