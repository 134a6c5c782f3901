"""The smallest trade back within a limit: by hand, and against every trade that there is."""

from itertools import product

import numpy as np
import pytest

from engine.analysis import cuts, risk_limits
from engine.analysis.cuts import NO_CUT, ONE, SEVERAL, Sides, smallest
from engine.analysis.standing import Standing
from tests import analysed
from tests.test_engine_analysis_standing import hand

COSTLY = ["costs.commission_per_side=1", "costs.slippage_ticks=2"]  # 1 and 2 x 0.25 a contract


def found(text, settings=(), wants=(2.0, -3.0)):
    """(rows of the table of cuts, run) of the run that is worked by hand."""
    run, held = hand(settings=settings, wants=wants)
    one = Standing.of(run, risk_limits.read(text + "\n"), held)
    frame = cuts.cuts(one, Sides.of(run, held, one.daily.names))
    assert frame.schema == cuts.CUTS
    return frame.rows(named=True), run


def test_the_fewest_contracts_and_what_they_cost_by_hand():
    """Margin 50 of about 980: one contract less is 4.08 %, two are 3.06 % and within 4 %."""
    (row,), run = found("[margin_to_equity]\namber=0.04", COSTLY)
    equity = run.equity()["equity"][-1]
    assert equity == 1000 - 5 * 1.5 - 16  # five contracts bought and sold, and what they lost
    assert (row["state"], row["back_to"], row["market"], row["contracts"], row["held"]) == (
        "amber", "green", "A", -2.0, 2.0,
    )  # fmt: skip
    assert (row["commission"], row["slippage"], row["cost"]) == (2.0, 1.0, 3.0)
    assert row["value"] == pytest.approx(50 / equity)
    assert row["after"] == pytest.approx(30 / (equity - 3.0))  # what the trade costs is gone from equity
    assert row["method"] == ONE


def test_of_as_many_contracts_the_cheapest_are_cut():
    (row,), _ = found("[margin_to_equity]\namber=0.04", [*COSTLY, "costs.roots.B.slippage_ticks=1"])
    assert (row["market"], row["contracts"], row["cost"]) == ("B", 2.0, 2.5)


def test_a_red_limit_is_brought_back_to_amber_and_to_green():
    rows, _ = found("[margin_to_equity]\namber=0.015\nred=0.045")
    assert [(row["back_to"], row["market"], row["contracts"], row["method"]) for row in rows] == [
        ("amber", "A", -1.0, ONE),
        ("green", "A", -2.0, SEVERAL),
        ("green", "B", 2.0, SEVERAL),
    ]
    assert rows[1]["after"] == rows[2]["after"] == pytest.approx(10 / 984)


def test_concentration_is_brought_back_by_cutting_the_largest():
    (row,), _ = found("[concentration]\namber=0.51")  # 2 : 3 is 0.52, 2 : 2 is 0.5
    assert (row["market"], row["contracts"], row["after"]) == ("B", 1.0, 0.5)
    (row,), _ = found("[concentration]\namber=0.4")
    assert row["method"] == NO_CUT and row["market"] is None  # two markets have 0.5 at best


@pytest.mark.parametrize("limit", ["loss_week", "loss_month", "max_drawdown"])
def test_a_loss_is_not_undone_by_a_trade(limit):
    (row,), _ = found(f"[{limit}]\namber=0.01")
    assert row["method"] == "none: a trade does not undo a loss" and row["contracts"] is None


def test_nothing_is_traded_where_all_is_green():
    assert found("[margin_to_equity]\namber=0.1\n[loss_day]\nred=0.5")[0] == []


def test_value_at_risk_after_the_trade_is_measured_anew():
    run, held = analysed.made(5)
    text = "[value_at_risk]\namber={:.9f}\ndays=250\n"
    value = Standing.of(run, risk_limits.read(text.format(0.5)), held).values["value_at_risk"][-1]
    one = Standing.of(run, risk_limits.read(text.format(0.7 * value)), held)
    sides = Sides.of(run, held, one.daily.names)
    rows = cuts.cuts(one, sides).rows(named=True)
    names, left = list(one.daily.names), one.contracts[-1].copy()
    for row in rows:
        left[names.index(row["market"])] += row["contracts"]
    cost = sum(row["cost"] for row in rows)
    earned = one.past(599, 250) @ left / (one.capital[-1] - cost)
    assert rows[0]["after"] == pytest.approx(-np.quantile(earned, 0.05))
    assert rows[0]["after"] <= 0.7 * value
    assert cost == pytest.approx(sides.cost(left - one.contracts[-1]))


def test_impact_grows_with_the_share_of_the_volume():
    one = Sides(np.array([1.0]), np.array([2.0]), np.array([10.0]), np.array([100.0]), 0.5)
    commission, slippage = one.parts(np.array([-25.0]))
    assert (commission[0], slippage[0]) == (25.0, 25.0 * (2.0 + 10.0 * 0.5))
    unknown = Sides(np.array([1.0]), np.array([2.0]), np.array([10.0]), np.array([np.nan]), 0.5)
    assert unknown.cost(np.array([4.0])) == 12.0


# Against every trade that there is


def cost(trades):
    """Of as many, those of the last markets are the cheapest."""
    return np.abs(trades) @ np.array([3.0, 2.0, 1.0])[-trades.shape[-1] :]


def every(held):
    """All trades between nothing and all of what is held, (any, market)."""
    return np.array(list(product(*(-np.sign(q) * np.arange(abs(q) + 1) for q in held))))


@pytest.mark.parametrize("seed", range(40))
def test_no_trade_in_one_market_is_smaller_and_none_is_overlooked(seed):
    rng = np.random.default_rng(seed)
    held = rng.integers(-6, 7, 3).astype(float)
    past = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3))

    def measure(trades):
        return -np.quantile(past @ (held + trades).T, 0.05, axis=0)

    most = rng.uniform(0.2, 0.95) * float(measure(np.zeros((1, 3)))[0])
    trade, method = smallest(held, measure, most, cost)
    trades = every(held)
    within = trades[measure(trades) <= most]
    alone = within[np.count_nonzero(within, axis=1) == 1]
    if not held.any() or most <= 0.0:
        return
    if len(alone):
        best = min(alone, key=lambda one: (np.abs(one).sum(), cost(one)))
        if method == ONE:
            assert np.abs(trade).sum() == np.abs(best).sum() and cost(trade) == cost(best)
            return
        assert (np.abs(trade).sum(), cost(trade)) < (np.abs(best).sum(), cost(best))
    assert len(within) and method == SEVERAL  # to hold nothing is within
    assert measure(trade[None])[0] <= most
    assert np.abs(trade).sum() >= np.abs(within).sum(axis=1).min()


@pytest.mark.parametrize("seed", range(40))
def test_of_margin_no_trade_in_any_markets_is_smaller(seed):
    rng = np.random.default_rng(seed)
    held, each = rng.integers(-9, 10, 3).astype(float), rng.uniform(1.0, 20.0, 3).round(1)

    def margin(trades):
        return np.abs(held + trades) @ each

    most = rng.uniform(0.05, 0.95) * float(margin(np.zeros((1, 3)))[0])
    trades = every(held)
    fewest = np.abs(trades[margin(trades) <= most]).sum(axis=1).min()
    if held.any():
        trade, _ = smallest(held, margin, most, cost)
        assert margin(trade[None])[0] <= most and np.abs(trade).sum() == fewest


def test_a_few_large_contracts_are_cut_before_many_small_ones():
    """Margin 20 and 400 of small contracts: 390 is reached by both large ones and 10 small, not by 30 small ones."""

    def margin(trades):
        return np.abs(np.array([2.0, -400.0]) + trades) @ np.array([10.0, 1.0])

    trade, method = smallest(np.array([2.0, -400.0]), margin, 390.0, lambda trades: np.abs(trades).sum(axis=-1))
    assert trade.tolist() == [-2.0, 10.0] and method == SEVERAL


def test_part_of_a_contract_is_closed_whole():
    def measure(trades):
        return np.abs(np.array([2.5]) + trades) @ np.array([1.0])

    assert smallest(np.array([2.5]), measure, 1.0, lambda t: np.abs(t).sum(axis=-1))[0].tolist() == [-2.0]
    assert smallest(np.array([2.5]), measure, 0.1, lambda t: np.abs(t).sum(axis=-1))[0].tolist() == [-2.5]


def test_of_large_positions_the_search_is_as_exact():
    held = np.array([25_000.0, -40_000.0])

    def measure(trades):
        return np.abs(held + trades) @ np.array([2.0, 1.0])

    assert smallest(held, measure, 89_999.0, lambda t: np.abs(t).sum(axis=-1))[0].tolist() == [-1.0, 0.0]
    assert smallest(held, measure, 60_001.0, lambda t: np.abs(t).sum(axis=-1))[0].tolist() == [-15_000.0, 0.0]
    trade, method = smallest(held, measure, 20_000.0, lambda t: np.abs(t).sum(axis=-1))
    assert method == SEVERAL and measure(trade[None])[0] == 20_000.0
