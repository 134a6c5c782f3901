"""Paths: exact on a constant series, as a plain Python twin has them, the same bytes in any number of threads."""

import time

import numpy as np
import pytest

from engine import backtest
from engine.analysis.paths import LEVELS, OF_A_PATH, PATHS, Pool, days_of, maintenance_share, paths, trades_of
from engine.analysis.resampling import indices
from tests import analysed, small_runs
from tests.small_runs import Wants


def rows_of(seed=1, count=250, compounding=True, capital=1e6):
    rng = np.random.default_rng(seed)
    return Pool(rng.normal(0.0002, 0.02, count), rng.uniform(0.0, 0.4, count), capital, compounding, "days")


def twin(rows, block, seed, number, ruin):
    """One path, step by step, of the same rows."""
    capital, equity = rows.capital, rows.capital
    peak = lowest = equity
    cumulated = needed = deepest = 0.0
    ruined = 0
    for step, i in enumerate(indices(len(rows.returns), block, seed, number).tolist(), 1):
        profit = rows.returns[i] * capital
        cumulated += profit
        needed = max(needed, rows.margin[i] * capital - cumulated)  # C + cumulated >= margin
        if equity > 0.0:
            equity = equity * (1.0 + rows.returns[i]) if rows.compounding else capital + cumulated
            equity = max(equity, 0.0)
        peak, lowest = max(peak, equity), min(lowest, equity)
        deepest = min(deepest, equity / peak - 1.0)
        if not ruined and equity <= ruin * capital:
            ruined = step
    return equity / capital, deepest, lowest / capital, needed / capital, ruined


@pytest.mark.parametrize("compounding", [True, False])
@pytest.mark.parametrize(("block", "ruin"), [(1.0, 0.8), (7.5, 0.5)])
def test_paths_are_those_of_the_plain_twin_of_the_same_rows(compounding, block, ruin):
    rows = rows_of(compounding=compounding)
    drawn = paths(rows, count=60, seed=9, block=block, ruin=ruin)
    expected = np.array([twin(rows, block, 9, number, ruin) for number in range(60)])
    assert drawn.drawn == pytest.approx(expected, abs=1e-12)
    ends = expected[:, OF_A_PATH.index("ruined")]
    assert 0 < (ends > 0).sum() < 60
    told = drawn.summary(sure=0.95)
    assert told["ruin_probability"] == np.mean(ends > 0)
    assert told["loss_probability"] == np.mean(expected[:, 0] < 1.0)
    assert told["capital_needed"] == pytest.approx(np.sort(expected[:, 3])[56] * 1e6)  # 57 of 60 are 95 %
    assert told["call_probability"] == np.mean(expected[:, 3] > 1.0)


def test_a_constant_series_is_exact():
    steady = Pool(np.full(100, 0.01), np.full(100, 0.3), 1000.0, True, "days")
    drawn = paths(steady, count=20)
    assert (drawn.drawn == drawn.drawn[0]).all()
    assert drawn.drawn[0].tolist() == pytest.approx([1.01**100, 0.0, 1.0, 0.29, 0.0])
    falling = Pool(np.full(100, -0.01), np.full(100, 0.3), 1000.0, False, "days")
    told = paths(falling, count=20, ruin=0.5)
    # 1,000 less 10 a day: nothing is left, half is gone on the 50th day; 1,000 + 300 would have lasted
    assert told.drawn[0].tolist() == pytest.approx([0.0, -1.0, 0.0, 1.3, 50.0])
    summary = told.summary()
    assert (summary["ruin_probability"], summary["loss_probability"], summary["call_probability"]) == (1.0, 1.0, 1.0)
    assert summary["capital_needed"] == pytest.approx(1300.0)


def test_with_the_capital_that_is_needed_so_many_paths_have_no_call():
    rows, count = rows_of(3, compounding=False), 400
    drawn = paths(rows, count=count, seed=5, block=4.0)
    capital = drawn.summary(sure=0.99)["capital_needed"]
    calls = 0
    for number in range(count):
        order = indices(len(rows.returns), 4.0, 5, number)
        equity = capital + np.cumsum(rows.returns[order]) * rows.capital
        calls += bool((equity < rows.margin[order] * rows.capital - 1e-6).any())
    assert calls == 4  # one in a hundred; with a cent less there is one more
    below = [bool((capital - 0.01 + np.cumsum(rows.returns[o]) * 1e6 < rows.margin[o] * 1e6).any())
             for o in (indices(len(rows.returns), 4.0, 5, number) for number in range(count))]  # fmt: skip
    assert sum(below) == 5


def test_bytes_are_the_same_in_any_number_of_threads_and_whatever_the_others_are():
    rows = rows_of()
    whole = paths(rows, count=333, threads=1).drawn
    for threads in (2, 5):
        assert paths(rows, count=333, threads=threads).drawn.tobytes() == whole.tobytes()
    assert paths(rows, count=40).drawn.tobytes() == whole[:40].tobytes()
    assert paths(rows, count=40, seed=1).drawn.tobytes() != whole[:40].tobytes()


def test_ten_thousand_paths_of_twenty_years_take_less_than_two_seconds():
    rows = rows_of(count=5040)
    paths(rows, count=10)
    began = time.perf_counter()
    paths(rows)
    assert time.perf_counter() - began < 2.0  # 0.1 s on a quiet machine of two processors


def test_the_table_is_made_of_values_of_paths():
    rows = rows_of()
    drawn = paths(rows, count=1000)
    table = drawn.table()
    assert dict(table.schema) == PATHS and table["quantile"].to_list() == list(LEVELS)
    finals = np.sort(drawn.drawn[:, 0]) * 1e6
    assert table["final_equity"].to_list() == finals[[9, 49, 249, 499, 749, 949, 989]].tolist()
    assert table["needed"][-1] == drawn.summary()["capital_needed"]


def test_days_of_a_run_are_its_returns_and_margins_over_the_capital_before():
    # 1 contract bought at 100 with 1,000: 1,000, 1,020, 980; its margin of 200 (maintenance 160) stands from then on
    mark = [100.0, 100, 102, 98]
    market = small_runs.market(mark, multiplier=10.0, initial_margin=200.0, maintenance_margin=160.0)
    for compounding in (True, False):
        portfolio = small_runs.portfolio((Wants.of(1.0), {}), capital=1000.0, compounding=compounding)
        run = backtest(market, portfolio)
        share = maintenance_share(run, market)
        assert share.tolist() == pytest.approx([1.0, 0.8, 0.8, 0.8])
        rows = days_of(run, share)
        base = 1020.0 if compounding else 1000.0
        assert rows.returns.tolist() == pytest.approx([0.0, 0.0, 0.02, -40 / base])
        assert rows.margin.tolist() == pytest.approx([0.0, 0.16, 0.16, 160 / base])
        assert days_of(run).margin.tolist() == pytest.approx([0.0, 0.2, 0.2, 200 / base])
        assert (rows.capital, rows.compounding, rows.of) == (1000.0, compounding, "days")


def test_trades_are_shares_of_the_equity_before_their_entry():
    # flat to flat: 101 to 104 and, short, 103 to 99, of 1 contract at 10, decided on the bar before
    mark = [100.0, 101, 104, 103, 99, 99]
    market = small_runs.market(mark, multiplier=10.0)
    portfolio = small_runs.portfolio((Wants.of([1.0, 0, -1, 0, 0, 0]), {}), capital=1000.0, compounding=True)
    rows = trades_of(backtest(market, portfolio))
    assert rows.returns.tolist() == pytest.approx([30 / 1000, 40 / 1030])
    assert rows.margin.tolist() == [0.0, 0.0] and rows.of == "trades"


def test_too_few_rows_and_wrong_arguments_are_told():
    run, _ = analysed.empty()
    with pytest.raises(ValueError, match="paths of 0 trades: there is nothing to draw; allowed: two or more"):
        paths(trades_of(run))
    for wrong, told in (({"count": 0}, "1 or more"), ({"ruin": 1.0}, "from 0 to below 1")):
        with pytest.raises(ValueError, match=told):
            paths(rows_of(), **wrong)


def test_a_ruined_run_is_drawn_up_to_its_end():
    run, _ = analysed.made(2, settings=["portfolio.capital=3000"])
    assert np.isfinite(days_of(run).returns).all()
