"""Each trade is in one category, the first whose rule fits."""

from functools import cache

import numpy as np
import polars as pl
import pytest

from engine import backtest
from engine.analysis.attribution import attribution
from engine.analysis.categories import CATEGORIES, RULES, categories, category
from engine.analysis.source import curve
from tests import random_runs
from tests.small_runs import Buys, market, portfolio

SEEDS = range(30)
BARS = 40


@cache
def random(seed):
    """(run, its attribution) of a random book."""
    run, curved, _ = random_runs.run_of(seed)
    return run, attribution(run, curved)


def six_trades():
    """Six markets at 100, one trade each, 1 a point, bought at bar 1; a tick of 0.25 a side in F.

    A goes up a point a bar for 25 bars; B falls a point a bar for 5, C for 25; D goes up a point a bar and is never
    sold; E rises by 0.10 in 5 bars while its curve pays 0.05 a bar, 0.25; F rises by 0.40, which its two ticks eat.
    """
    steps = np.arange(BARS)
    held = {"A": 25, "B": 5, "C": 25, "D": BARS, "E": 5, "F": 5}
    slope = {"A": 1.0, "B": -1.0, "C": -1.0, "D": 1.0, "E": 0.02, "F": 0.08}
    mark = np.column_stack([100.0 + slope[name] * np.maximum(steps - 1, 0) for name in held])
    wants = np.column_stack([(steps < held[name]).astype(float) for name in held])
    next_mark = mark.copy()
    next_mark[:, 4] -= 30 * 0.05
    tick = np.broadcast_to([1e-9] * 5 + [0.25], mark.shape)
    days = np.datetime64("2024-01-01") + steps
    made = market(mark, next_mark=next_mark, next_days=30.0, tick=tick, days=days)
    settings = ["costs.slippage_ticks=1", "portfolio.capital=100000"]
    return attribution(backtest(made, portfolio((Buys.of(wants), {}), settings=settings)), curve(made))


def test_six_trades_worked_by_hand():
    told = six_trades()
    named = category(told).join(told.parts.trades.select("trade", "market"), on="trade")
    assert dict(named.select(pl.col("market").cast(pl.String), "category").rows()) == {
        "A": "trend winner", "B": "whipsaw", "C": "slow loser", "D": "open", "E": "roll-only", "F": "cost-eaten",
    }  # fmt: skip


def test_categories_are_counted_and_sum_to_all_trades():
    told = six_trades()
    found = categories(told)
    assert found.schema == pl.Schema(CATEGORIES)
    assert found["category"].to_list() == [name for name in RULES if name in set(found["category"])]
    assert found["trades"].sum() == 6
    assert found["share"].sum() == pytest.approx(1.0)
    assert found["net"].sum() == pytest.approx(told.parts.trades["net"].sum())
    paid = found.filter(pl.col("category") == "roll-only").row(0, named=True)
    assert (paid["net"], paid["roll_yield"], paid["bars"]) == pytest.approx((0.1, 0.25, 5.0), abs=1e-6)


def test_without_a_curve_nothing_is_roll_only_and_no_roll_yield_is_told():
    run, curved, _ = random_runs.run_of(2)
    found = categories(attribution(run))
    assert "roll-only" not in found["category"].to_list()
    assert found["roll_yield"].null_count() == len(found)
    assert found["trades"].sum() == categories(attribution(run, curved))["trades"].sum() == len(run.trades())


def plainly(trade, roll_yield, kinds):
    """The rules of the page, one `if` each."""
    net, bars, why = round(trade["net"], 2), trade["bars"], trade["exit_reason"]
    if trade["open"]:
        return "open"
    if kinds & {"margin call", "capital floor"}:
        return "margin-cut"
    if why in ("closed", "spread broken"):
        return "contract ended"
    if why in ("stop", "trailing stop") and net < 0:
        return "stopped"
    if why == "target":
        return "target"
    if round(trade["gross"], 2) > 0 and net <= 0:
        return "cost-eaten"
    if net > 0:
        return (
            "roll-only" if round(trade["net"] - roll_yield, 2) <= 0 else "trend winner" if bars > 20 else "quick winner"
        )
    if net < 0 and bars > 20:
        return "slow loser"
    return "whipsaw" if net < 0 and why == "signal" else "other"


@pytest.mark.parametrize("seed", SEEDS)
def test_categories_of_random_books_are_those_of_the_rules_told_one_by_one(seed):
    run, told = random(seed)
    found = dict(category(told).rows())
    yields = told.by_trade()[:, told.parts.causes.index("roll_yield")]
    fills = run.fills().with_columns(pl.col("kind").cast(pl.String))
    for trade, paid in zip(told.parts.trades.iter_rows(named=True), yields, strict=True):
        inside = (pl.col("line") == trade["line"]) & pl.col("day").is_between(trade["entry_day"], trade["exit_day"])
        kinds = set(
            fills.filter(inside, pl.col("contracts").sign() != (1 if trade["direction"] == "long" else -1))["kind"]
        )
        if kinds & {"margin call", "capital floor"} and found[trade["trade"]] != "margin-cut":
            continue  # of another trade of the same day; the next test looks at it from the other side
        assert found[trade["trade"]] == plainly(trade, paid, kinds), trade


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trade_that_a_margin_call_ended_was_cut(seed):
    run, told = random(seed)
    found = category(told).join(run.trades().select("trade", "exit_reason", "open"), on="trade")
    ended = found.filter(pl.col("exit_reason").is_in(["margin call", "capital floor"]))
    assert set(ended["category"]) <= {"margin-cut"}


def test_the_random_books_have_every_category_but_those_of_long_trades():
    found = {name for seed in SEEDS for name in category(random(seed)[1])["category"]}
    assert found >= set(RULES) - {"trend winner", "slow loser"}
