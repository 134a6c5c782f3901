"""A run by days, and its drawdowns: their numbers by hand, by slow twins, and their causes to the cent."""

from datetime import date
from types import SimpleNamespace

import naive
import numpy as np
import polars as pl
import pytest

from engine import risk
from engine.analysis import daily, drawdowns
from engine.analysis.daily import Daily
from engine.metrics import METRICS
from tests import analysed

PAID = ['cash.payments=[{day="2024-03-01", amount=20000}, {day="2024-09-02", amount=-5000}]']


def hand(profit, days, capital=100.0, paid=None, compounding=True):
    """Daily of two markets and the account, from their profits."""
    profit = np.array(profit, float)
    paid = np.zeros(len(profit)) if paid is None else np.array(paid, float)
    equity = capital + np.concatenate([[0.0], np.cumsum(profit.sum(axis=1) + paid)])
    when = np.array(days, "datetime64[D]")
    return Daily(when, equity, paid, profit, profit[:, -1], ("A", "B"), ("metals", "energy"), compounding)


DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-08", "2024-01-09", "2024-02-09", "2024-02-12", "2024-02-13")
PROFIT = ((20, 0, 0), (-30, -7, 1), (-8, 10, 0), (20, 4, 0), (15, 0, 0), (-5, 4, -1.5), (0, -1, -0.5))


def test_drawdowns_worked_by_hand():
    """100 120 84 86 110 125 122.5 121: a fall of 36 from 120, then one of 4 from 125, still open."""
    found = drawdowns.drawdowns(hand(PROFIT, DAYS))
    assert found.columns == list(drawdowns.DRAWDOWNS) and found.schema == drawdowns.DRAWDOWNS
    first, second = found.rows()
    assert first[:3] == (1, -36 / 120, -36.0)
    assert first[3:6] == (date(2024, 1, 2), date(2024, 1, 3), date(2024, 2, 9)) and first[6:] == (1, 37, 38)
    assert second[:3] == (2, -4 / 125, -4.0)
    assert second[3:6] == (date(2024, 2, 9), date(2024, 2, 13), None) and second[6:] == (4, None, 4)


def test_who_made_a_fall_is_told_from_its_peak_to_its_trough():
    found = drawdowns.causes(hand(PROFIT, DAYS))
    assert found.schema == drawdowns.CAUSES
    deepest = found.filter(drawdown=1).drop("drawdown").rows()
    assert deepest == [
        ("A", "metals", -30.0, 30 / 36),
        ("B", "energy", -7.0, 7 / 36),
        ("account", "account", 1.0, -1 / 36),
    ]
    assert found.filter(drawdown=2).select("market", "profit").rows() == [("A", -5.0), ("account", -2.0), ("B", 3.0)]


def test_money_paid_in_is_no_recovery_and_none_paid_out_a_fall():
    """100 to 90, then 100 paid in: 190, to 209 at 10 %: equity alone went 100, 90, 99 and never came back."""
    told = hand(((-10, 0, 0), (19, 0, 0), (0, -11, 0)), DAYS[:4], paid=(0, 100, 0))
    (row,) = drawdowns.drawdowns(told).to_dicts()
    assert row["recovery"] is None and row["depth"] == pytest.approx(-0.1) and row["fall"] == -10.0
    out = hand(((10, 0, 0), (0, 0, 0), (11, 0, 0)), DAYS[:4], paid=(0, -55, 0))
    assert drawdowns.drawdowns(out).is_empty()


def test_of_equity_that_never_fell_there_is_no_drawdown():
    for made in (hand(((1, 0, 0), (0, 2, 0)), DAYS[:3]), hand(np.zeros((0, 3)), DAYS[:1])):
        assert drawdowns.drawdowns(made).schema == drawdowns.DRAWDOWNS and drawdowns.drawdowns(made).is_empty()
        assert drawdowns.causes(made).schema == drawdowns.CAUSES and drawdowns.causes(made).is_empty()
        assert (drawdowns.underwater(made)["depth"] == 0.0).all()


@pytest.mark.parametrize("seed", range(6))
def test_drawdowns_are_those_of_a_slow_twin_and_their_causes_sum_to_the_cent(seed):
    settings = PAID if seed % 2 else ()
    run, _ = analysed.made(seed, sleeves=1 + seed % 3, settings=settings)
    told = Daily.of(run)
    found, causes = drawdowns.drawdowns(run), drawdowns.causes(run)
    depth = naive.drawdowns(told.alone.tolist())
    episodes, t = [], 0
    while t < len(depth):
        if depth[t] < 0.0:
            first = t
            while t < len(depth) and depth[t] < 0.0:
                t += 1
            worst = min(range(first, t), key=depth.__getitem__)
            episodes.append((depth[worst], first - 1, worst, t if t < len(depth) else None))
        t += 1
    episodes.sort(key=lambda row: row[0])
    assert len(found) == len(episodes) > 3
    for row, (deep, peak, trough, recovery) in zip(found.to_dicts(), episodes, strict=True):
        assert row["depth"] == pytest.approx(deep, abs=1e-12)
        assert (row["peak"], row["trough"]) == (told.days[peak].item(), told.days[trough].item())
        assert row["recovery"] == (None if recovery is None else told.days[recovery].item())
        paid = told.paid[peak:trough].sum()
        assert row["fall"] == pytest.approx(told.equity[trough] - told.equity[peak] - paid, abs=0.005)
        by_market = causes.filter(drawdown=row["drawdown"])
        assert by_market["profit"].sum() == pytest.approx(row["fall"], abs=0.005)
        assert by_market["share"].sum() == pytest.approx(1.0)
        ledger = run.ledger().filter(
            (pl.col("day") > row["peak"]) & (pl.col("day") <= row["trough"]) & (pl.col("cause") != "transfer")
        )
        own = dict(ledger.group_by(pl.col("market").cast(pl.String)).agg(pl.col("amount").sum()).rows())
        for market, _, profit, _ in by_market.drop("drawdown").rows():
            assert profit == pytest.approx(own["" if market == "account" else market], abs=0.005)


def test_the_deepest_and_longest_are_those_of_the_numbers(run=None):
    run, _ = analysed.made(3)
    found, told = drawdowns.drawdowns(run), Daily.of(run)
    assert found["depth"][0] == run.metrics()["max_drawdown"] and found["days"][0] == run.metrics()["max_drawdown_days"]
    assert found["days"].max() == risk.longest_drawdown_days(told.alone, told.days)
    assert drawdowns.drawdowns(run, 2).equals(found.head(2))
    under = drawdowns.underwater(run)
    assert under["depth"].to_list() == risk.drawdown(told.alone).tolist()
    assert under["days"].max() >= found["days_down"].max()
    assert (under["depth"][1:] < 0.0).mean() == risk.underwater(told.alone)


# The days themselves


@pytest.mark.parametrize("settings", [(), PAID, ["portfolio.compounding=false"], ["execution.fx=hold", *PAID]])
def test_the_profits_of_a_day_sum_to_its_return_and_the_numbers_are_those_of_the_run(settings):
    run, market = analysed.made(4, sleeves=2, settings=settings)
    told = Daily.of(run)
    change = np.diff(told.equity) - told.paid
    np.testing.assert_allclose(told.profit.sum(axis=1), change, atol=0.005)
    np.testing.assert_allclose(told.shares.sum(axis=1), told.returns, atol=1e-12)
    assert told.names == market.names and told.sectors == analysed.SECTORS
    read = daily.account(run, told)
    for name, value in run.metrics().items():
        if name not in ("turnover", "final_equity"):  # what only the simulation knows; and money paid in is no gain
            assert METRICS[name](read) == pytest.approx(value, rel=1e-9), name
    assert told.capital == (100_000.0 if "portfolio.compounding=false" in settings else told.equity[-1])


def test_a_run_in_which_nothing_was_held_has_days_and_no_markets():
    run, _ = analysed.empty()
    told = Daily.of(run)
    assert told.names == () and told.profit.shape == (30, 1)
    assert told.profit.sum() == pytest.approx(told.equity[-1] - told.equity[0])


def test_a_run_of_before_markets_had_names_tells_its_roots():
    run, _ = analysed.made(2)
    old = {name: getattr(run, name)().drop("market") for name in ("ledger", "trades", "positions")}
    bare = SimpleNamespace(equity=run.equity, portfolio=run.portfolio, **{k: lambda v=v: v for k, v in old.items()})
    assert Daily.of(bare).names == ("A", "B", "C")
    np.testing.assert_array_equal(Daily.of(bare).profit, Daily.of(run).profit)
