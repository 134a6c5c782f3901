"""Costs: the figures of the file, who goes before whom, and cost in units of Sharpe ratio."""

import datetime

import numpy as np
import pytest

from engine.costs import Cost, Costs, SideCost, annual_sr_cost, side_cost, sr_cost, table
from store.contracts import Master


def test_t5_a_roll_costs_two_sides_and_not_the_gap():
    # 1 tick of 0.25 a leg at 50 dollars and 2.10 a side: 29.20; the 25 points between the contracts are no cost
    commission, ticks = Costs(commission_per_side=2.10, slippage_ticks=1.0).arrays(["ES"])
    roll = 2 * side_cost(commission, ticks, 0.25, 50.0)
    assert roll[0] == pytest.approx(29.20, abs=1e-12)
    assert 6250.0 - roll[0] == pytest.approx(6220.80, abs=1e-12)


def test_t55_a_cost_is_one_way_and_a_roll_is_two_sides():
    assert annual_sr_cost(0.001, sides=10, rolls=4) == pytest.approx(0.018, abs=1e-15)
    assert annual_sr_cost(2 * 0.001, sides=10, rolls=4) == pytest.approx(0.036, abs=1e-15)  # a round trip taken for one


def test_cost_in_sharpe_ratio_is_cost_over_a_years_swing():
    # half a spread of 0.125 · 50 + 2.25 over 45 · 50 · √252: DOMAIN 2.12, where the rate stands above and below
    assert sr_cost(0.125 * 50 + 2.25, 45.0, 50.0) == pytest.approx(8.5 / 35_717.6427, rel=1e-6)
    fx = 1.08
    assert sr_cost(8.5, 45.0, 50.0) == pytest.approx((8.5 * fx) / (45.0 * 50.0 * fx * np.sqrt(252.0)), rel=1e-15)


def test_every_row_of_the_file_has_figures_a_date_and_a_source():
    known = table()
    assert set(known) == {"default", "currency", "roots"}
    for name, row in {"default": known["default"], **known["currency"], **known["roots"]}.items():
        assert 0.0 < row.get("commission_per_side", 1.0) <= 5000.0, name
        assert 1.0 <= row.get("slippage_ticks", 1.0) <= 20.0, name
        assert isinstance(row["date"], datetime.date) and row["source"].startswith("assumption"), name
        assert "commission_per_side" in row or "slippage_ticks" in row, name


def test_every_currency_of_the_master_has_a_commission_of_its_size():
    master = Master.load()
    for root in master.roots:
        spec = master.spec(root)
        worth = {"JPY": 1 / 150, "HKD": 1 / 7.8, "KRW": 1 / 1350}.get(spec.currency, 1.0)
        assert 0.3 < Costs().of(root, spec.currency).commission_per_side * worth < 5.0, root


def test_figures_of_the_portfolio_go_before_those_of_the_file():
    assert Costs().of("ES") == Cost(2.5, 1.0, "assumption: a full-size contract in dollars")
    assert Costs(slippage_ticks=2.0).of("ES")[:2] == (2.5, 2.0)
    costs = Costs(commission_per_side=5.0, roots={"ES": SideCost(slippage_ticks=3.0)})
    assert costs.of("ES")[:2] == (5.0, 3.0)
    assert costs.of("LE")[:2] == (5.0, 1.5)


def test_a_figure_of_zero_is_a_figure():
    assert Costs(commission_per_side=0.0, slippage_ticks=0.0).of("ES") == Cost(0.0, 0.0, "portfolio")


def test_an_unknown_root_has_the_default_of_its_currency():
    assert Costs().of("NONE")[:2] == (2.5, 1.0)
    assert Costs().of("NONE", "JPY")[:2] == (400.0, 1.0)


def test_arrays_have_one_figure_a_market():
    commission, ticks = Costs().arrays(["ES", "LE", "NONE"], ["USD", "USD", "HKD"])
    np.testing.assert_array_equal(commission, [2.5, 2.5, 30.0])
    np.testing.assert_array_equal(ticks, [1.0, 1.5, 1.0])
    assert commission.dtype == ticks.dtype == np.float64
    with pytest.raises(ValueError):
        Costs().arrays(["ES", "NQ"], ["USD"])


def test_costs_are_not_negative():
    with pytest.raises(ValueError, match="commission_per_side"):
        Costs(commission_per_side=-1.0)
