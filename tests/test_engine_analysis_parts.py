"""Every cent of a run belongs to a cause, a line, a trade and a day: by hand, by the slow twin, over random books."""

from functools import cache

import numpy as np
import pytest

from engine import backtest
from engine.analysis.parts import CAUSES, Torn, parts
from engine.analysis.source import curve
from engine.result import RunResult
from tests import naive_parts, random_runs
from tests.small_runs import Buys, market, portfolio

SEEDS = range(60)


@cache
def random(seed):
    """(run, curve, ledger) of a random book."""
    return random_runs.run_of(seed)


def told(found):
    """{(cause, trade's number or None, line, day): amount} of parts that have some."""
    number = [*found.trades["trade"].to_list(), None]
    cells, out = found.cells, {}
    for amount, cause, cell in zip(found.amount, found.cause, found.cell, strict=True):
        line = int(cells.line[cell])
        line = -1 if line == len(found.lines) else line
        key = CAUSES[cause], number[cells.trade[cell]], line, found.days[cells.day[cell]].item()
        out[key] = out.get(key, 0.0) + float(amount)
    return {key: amount for key, amount in out.items() if abs(amount) > 1e-7}


def of(found, cause):
    """(trade, day, amount) of a cause."""
    return [(key[1], str(key[3]), round(amount, 9)) for key, amount in told(found).items() if key[0] == cause]


# ---- by hand


def turned():
    """Long 1 at 100, marked at 102; turned at 103 and marked at 101; bought back at 99.

    50 a point; each side slips a tick of 0.25 and pays 2. The next contract is 0.60 dearer and ends 30 days later.
    """
    mark = [100.0, 102.0, 101.0, 98.0]
    held = market(mark, open=[100.0, 100.0, 103.0, 99.0], multiplier=50.0, next_mark=np.add(mark, 0.6), next_days=30.0)
    settings = ["costs.slippage_ticks=1", "costs.commission_per_side=2", "portfolio.capital=20000"]
    run = backtest(held, portfolio((Buys.of([1.0, -1.0, 0.0, 0.0]), {}), settings=settings))
    return run, curve(held)


def test_a_day_on_which_a_trade_ends_and_another_begins_is_shared_at_the_fill():
    run, _ = turned()
    found = parts(run)
    assert of(found, "price") == [
        (1, "2024-01-02", 100.0), (1, "2024-01-03", 50.0),  # (102 - 100) x 50, (103 - 102) x 50
        (2, "2024-01-03", 100.0), (2, "2024-01-04", 100.0),  # (103 - 101) x 50, (101 - 99) x 50
    ]  # fmt: skip
    assert of(found, "spot") == of(found, "roll_yield") == []


def test_the_slippage_of_a_fill_through_zero_is_half_an_exit_and_half_an_entry():
    found = parts(turned()[0])
    assert of(found, "entry_slippage") == [(1, "2024-01-02", -12.5), (2, "2024-01-03", -12.5)]
    assert of(found, "exit_slippage") == [(1, "2024-01-03", -12.5), (2, "2024-01-04", -12.5)]
    assert sorted(of(found, "commission")) == [
        (1, "2024-01-02", -2.0), (1, "2024-01-03", -2.0), (2, "2024-01-03", -2.0), (2, "2024-01-04", -2.0),
    ]  # fmt: skip


def test_the_roll_yield_of_a_day_is_that_of_what_was_carried_into_it():
    found = parts(*turned())
    # 0.60 / 30 = 0.02 points a day, 50 a point: what is long pays 1.00 a day, what is short gets it
    assert of(found, "roll_yield") == [(1, "2024-01-03", -1.0), (2, "2024-01-04", 1.0)]
    assert of(found, "spot") == [
        (1, "2024-01-02", 100.0), (1, "2024-01-03", 51.0), (2, "2024-01-03", 100.0), (2, "2024-01-04", 99.0),
    ]  # fmt: skip
    assert found.carried.tolist() == [2]
    assert found.unknown.tolist() == [0]


def crude(next_mark=(50.6, 50.6, 50.8, 50.8), **changes):
    """Long 1 of 1000 barrels over a weekend: Friday 50.00, Monday 50.05, Tuesday 50.20."""
    days = np.array(["2024-02-29", "2024-03-01", "2024-03-04", "2024-03-05"], "datetime64[D]")
    mark = [50.0, 50.0, 50.05, 50.2]
    given = {"next_mark": list(next_mark), "next_days": 30.0, "multiplier": 1000.0, "days": days} | changes
    held = market(mark, **given)
    return backtest(held, portfolio((Buys.of([1.0] * 4), {}), settings=["portfolio.capital=100000"])), curve(held)


def test_the_example_of_the_page_a_weekend_in_contango_costs_three_days_of_the_curve():
    found = parts(*crude())
    # (50.60 - 50.00) / 30 = 0.02 a day: Friday to Monday 3 x 20 = 60; (50.80 - 50.05) / 30 = 0.025: 25 to Tuesday
    assert of(found, "roll_yield") == [(1, "2024-03-04", -60.0), (1, "2024-03-05", -25.0)]
    assert of(found, "spot") == [(1, "2024-03-04", 110.0), (1, "2024-03-05", 175.0)]  # +50 and +150 in price


def test_without_a_next_contract_the_roll_yield_is_nothing_and_the_day_is_counted():
    found = parts(*crude([50.6, np.nan, 50.8, 50.8]))
    assert of(found, "roll_yield") == [(1, "2024-03-05", -25.0)]
    assert of(found, "spot") == [(1, "2024-03-04", 50.0), (1, "2024-03-05", 175.0)]
    assert (found.unknown.tolist(), found.carried.tolist()) == ([1], [2])


def test_a_day_without_a_change_of_price_has_a_roll_yield_and_the_spot_makes_up_for_it():
    held = market([50.0] * 3, next_mark=[50.6] * 3, next_days=30.0, multiplier=1000.0)
    run = backtest(held, portfolio((Buys.of([1.0] * 3), {}), settings=["portfolio.capital=100000"]))
    assert run.ledger().is_empty()
    found = parts(run, curve(held))
    assert of(found, "roll_yield") == [(1, "2024-01-03", -20.0)]
    assert of(found, "spot") == [(1, "2024-01-03", 20.0)]


def test_a_holiday_has_no_roll_yield_and_the_day_after_it_that_of_both():
    held = market([50.0, 50.0, np.nan, 50.3], next_mark=[50.6] * 4, next_days=30.0, multiplier=1000.0)
    run = backtest(held, portfolio((Buys.of([1.0] * 4), {}), settings=["portfolio.capital=100000"]))
    assert of(parts(run, curve(held)), "roll_yield") == [(1, "2024-01-04", -40.0)]


def test_after_a_roll_the_curve_is_that_beyond_the_contract_rolled_into():
    mark, after = [50.0, 50.0, 50.7], np.array([[np.nan], [0.01], [np.nan]])
    rolls = {"roll": [False, True, False], "roll_from": 50.0, "roll_to": 50.6, "roll_contract": 202407}
    legs = {"roll_from_fill": 50.0, "roll_to_fill": 50.6, "offset": [0.0, 0.0, -0.6]}
    held = market(
        mark, **rolls, **legs, contract=[202406, 202406, 202407], next_mark=[50.6, 50.6, 51.0], next_days=30.0,
        multiplier=1000.0,
    )  # fmt: skip
    run = backtest(held, portfolio((Buys.of([1.0] * 3), {}), settings=["portfolio.capital=100000"]))
    assert of(parts(run, curve(held, after)), "roll_yield") == [(1, "2024-01-03", -10.0)]
    assert parts(run, curve(held)).unknown.tolist() == [1]


def test_what_is_of_the_account_is_of_no_trade():
    held = market([100.0] * 3, rate=np.full(3, 0.036))
    run = backtest(held, portfolio((Buys.of([0.0] * 3), {}), settings=["portfolio.capital=100000"]))
    found = parts(run)
    # 100,000 x 3.6 % / 360 = 10.00 a day, and interest of that
    assert of(found, "interest") == [(None, "2024-01-02", 10.0), (None, "2024-01-03", 10.001)]
    assert found.cells.line.tolist() == [len(found.lines)] * 2


def test_tables_that_do_not_fit_each_other_are_refused():
    run, _ = turned()
    doors = ("equity", "trades", "ledger", "fills", "positions")
    tables = {name: getattr(run, name)() for name in doors}
    with pytest.raises(Torn, match=r"fills of line 0 \(.*\) make 2 trades, the table of trades has 1"):
        parts(RunResult(run.summary, None, [], tables | {"trades": run.trades()[:1]}))
    with pytest.raises(Torn, match=r"its parts sum to .*, its equity changed by"):
        parts(RunResult(run.summary, None, [], tables | {"equity": run.equity()[:-1].vstack(run.equity()[:1])}))


def test_a_run_of_before_lines_had_numbers_is_told_by_strategy_and_market():
    run, curved = turned()
    doors = ("equity", "trades", "ledger", "fills", "positions")
    old = {name: getattr(run, name)() for name in doors}
    old = {name: frame.drop("line", strict=False) for name, frame in old.items()}
    assert told(parts(RunResult(run.summary, None, [], old), curved)) == told(parts(run, curved))


# ---- random books


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_are_those_of_the_slow_twin(seed):
    run, curved, _ = random(seed)
    found, twin = told(parts(run, curved)), naive_parts.parts(run, curved)
    for key in set(found) | {key for key, amount in twin.items() if abs(amount) > 1e-6}:
        assert found.get(key, 0.0) == pytest.approx(twin.get(key, 0.0), abs=1e-5), key


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_are_the_change_of_equity_and_those_of_a_trade_its_gross_and_costs(seed):
    run, curved, ledger = random(seed)
    equity = run.equity()["equity"]
    for found in (parts(run, curved), parts(run)):
        assert found.amount.sum() == pytest.approx(equity[-1] - equity[0], abs=0.005)
        mine = found.cells.trade[found.cell]
        gross = np.isin(found.cause, [CAUSES.index(name) for name in ("spot", "roll_yield", "price", "roll_gap")])
        for field, some in (("gross", gross), ("costs", ~gross)):
            some = some & (mine >= 0)
            by_trade = np.bincount(mine[some], found.amount[some], len(found.trades))
            assert by_trade == pytest.approx(found.trades[field].to_numpy(), abs=1e-5)
        booked = ledger.amount.sum(axis=(0, 1))
        price = sum(found.amount[found.cause == CAUSES.index(name)].sum() for name in ("spot", "roll_yield", "price"))
        assert price == pytest.approx(booked[0], abs=1e-5)


def test_the_random_books_have_what_is_hard():
    """Else the tests above prove little: days that trades share, several lines of one name, gaps of rolls."""
    shared = same = gaps = 0
    for seed in SEEDS:
        run, _, _ = random(seed)
        trades = run.trades().sort("line", "trade")
        shared += int(((trades["line"].diff() == 0) & (trades["entry_day"] == trades["exit_day"].shift())).sum())
        same += int(
            trades.select("line", "strategy", "market").unique().select("strategy", "market").is_duplicated().any()
        )
        gaps += int((run.ledger()["cause"] == "roll_gap").sum())
    assert shared > 500
    assert same > 3
    assert gaps > 100
