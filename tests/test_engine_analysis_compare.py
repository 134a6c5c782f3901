"""Runs on the days that all have and at one volatility, by hand and against the runs' own numbers."""

from datetime import date

import numpy as np
import pytest

from engine import backtest
from engine.analysis import compare
from engine.analysis.compare import NotComparable, aligned
from engine.analysis.drawdowns import drawdowns
from tests import analysed
from tests.small_runs import Buys, market, portfolio


def made(contracts, marks, days=None, name="run", **settings):
    """A run of one market with a capital of 1,000, held from the open of the second bar, which is the first mark."""
    marks = np.array(marks, float)[:, None]
    told = {} if days is None else {"days": np.array(days, "datetime64[D]")}
    held = market(marks, open=np.vstack([marks[:1], marks[:-1]]), **told)
    asked = ["portfolio.capital=1000", *(f"{key}={value}" for key, value in settings.items())]
    run = backtest(held, portfolio((Buys.of(float(contracts)), {}), settings=asked))
    run.summary["run"] = name
    return run


WHOLE = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]


def test_a_day_that_one_run_lacks_loses_nothing():
    """1,000, then 10 a day; the second run has no third day, on which the first earned 10 of its 20."""
    first = made(1, [100, 110, 120, 130, 140], WHOLE, "all")
    second = made(1, [100, 110, 130, 140], WHOLE[:2] + WHOLE[3:], "without")
    found = aligned([first, second])
    assert [str(day) for day in found.days] == ["2023-12-31", *WHOLE[:2], *WHOLE[3:]]
    returns = [0.0, 10 / 1000, 20 / 1010, 10 / 1030]
    assert found.returns == pytest.approx(np.column_stack([returns, returns]))
    assert found.equity[-1] == pytest.approx([1.04, 1.04])
    fixed = [made(1, [100, 110, 120, 130, 140], WHOLE, name, **{"portfolio.compounding": "false"}) for name in "ab"]
    assert aligned(fixed).returns[:, 0] == pytest.approx([0.0, 0.01, 0.01, 0.01, 0.01])


def test_at_one_volatility_a_run_of_twice_the_size_is_the_same_run():
    marks = [100, 110, 90, 95, 120, 100, 104]
    plain = {"portfolio.compounding": "false"}
    found = aligned([made(1, marks, name="one", **plain), made(2, marks, name="two", **plain)])
    assert found.scale == pytest.approx([1.0, 0.5])
    told = {row["run"]: row for row in compare.numbers(found).to_dicts()}
    assert told["two"]["total_return"] == pytest.approx(0.008) and told["one"]["total_return"] == pytest.approx(0.004)
    for key in ("annual_scaled", "drawdown_scaled"):
        assert told["two"][key] == pytest.approx(told["one"][key])
    assert told["one"]["drawdown_scaled"] == pytest.approx(-20 / 1010)  # 1010 to 990
    assert told["one"]["sharpe"] == pytest.approx(told["two"]["sharpe"])


def test_on_its_own_days_a_run_has_its_own_numbers():
    runs = [analysed.made(seed)[0] for seed in (1, 2)]
    for number, run in enumerate(runs):
        run.summary["run"] = f"run {number}"
    found = compare.numbers(aligned(runs)).to_dicts()
    for row, run in zip(found, runs, strict=True):
        for key in ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown"):
            assert row[key] == pytest.approx(run.metrics()[key]), key
    assert found[0]["annual_scaled"] == pytest.approx(found[0]["annual_return"])
    scaled = aligned(runs).scaled
    both = np.diff(scaled, axis=0) / scaled[:-1] - aligned(runs).interest
    assert both.std(axis=0)[1] == pytest.approx(both.std(axis=0)[0])


def test_every_two_runs_are_a_pair_with_their_correlation():
    runs = [analysed.made(seed)[0] for seed in (1, 2, 3)]
    for number, run in enumerate(runs):
        run.summary["run"] = str(number)
    found = compare.pairs(aligned(runs), resamples=99)
    assert found.schema == compare.PAIRS
    assert [row[:2] for row in found.rows()] == [("0", "1"), ("0", "2"), ("1", "2")]
    one, two = (np.diff(level) / level[:-1] for level in (run.equity()["equity"].to_numpy() for run in runs[:2]))
    assert found["correlation"][0] == pytest.approx(np.corrcoef(one, two)[0, 1])
    five = [one[:600].reshape(120, 5).sum(axis=1) for one in (one, two)]
    assert found["weekly"][0] == pytest.approx(np.corrcoef(*five)[0, 1])
    assert found["difference"][0] == pytest.approx(found["difference"][1] - found["difference"][2])


def test_of_a_fall_the_other_runs_tell_what_they_earned_meanwhile():
    """Up 10, down 20, up 5: the long falls from 1,010 to 990, while the short earns 20 of the 990 that it had."""
    found = aligned([made(1, [100, 110, 90, 95], name="long"), made(-1, [100, 110, 90, 95], name="short")])
    rows = compare.falls(found).rows(named=True)
    long = rows[0]
    assert (long["run"], long["peak"], long["trough"]) == ("long", date(2024, 1, 2), date(2024, 1, 3))
    assert long["depth"] == pytest.approx(-20 / 1010)
    assert (long["other"], long["meanwhile"]) == ("short", pytest.approx(20 / 990))
    assert long["other_depth"] == 0.0
    short = [row for row in rows if row["run"] == "short"]
    assert [row["depth"] for row in short] == pytest.approx([-10 / 1000, -5 / 1010])
    assert [row["meanwhile"] for row in short] == pytest.approx([10 / 1000, 5 / 990])


def test_both_accounts_lie_over_each_other_day_by_day():
    runs = [analysed.made(seed)[0] for seed in (1, 2)]
    for number, run in enumerate(runs):
        run.summary["run"] = str(number)
    found = compare.overlaid(aligned(runs))
    assert found.schema == compare.OVERLAID and len(found) == 2 * 601
    for name, run in zip("01", runs, strict=True):
        mine = found.filter(run=name)
        assert mine["drawdown"].min() == pytest.approx(run.metrics()["max_drawdown"])
        assert mine["drawdown"].min() == pytest.approx(drawdowns(run, 1)["depth"][0])
        assert mine["equity"][-1] * 100_000 == pytest.approx(run.equity()["equity"][-1])
    assert (mine["drawdown"] <= 0.0).all()


def test_what_cannot_be_compared_is_refused_and_says_why():
    one = made(1, [100, 110, 120], name="one")
    with pytest.raises(NotComparable, match="1 run named; allowed: two or more different ones"):
        aligned([one])
    with pytest.raises(NotComparable, match="run one is named twice"):
        aligned([one, one])
    later = made(1, [100, 110, 120], ["2025-01-01", "2025-01-02", "2025-01-03"], "later")
    with pytest.raises(NotComparable, match="0 days in common, at least 3 are needed: one 2023-12-31 to 2024-01-03"):
        aligned([one, later])
