"""engine/headline.py: the numbers of `engine.metrics`, to the bit, whatever the curve."""

import numpy as np
import pytest

from engine import metrics, ratios
from engine.headline import STATISTICS, Curve, added, statistics, term
from engine.ratios import period_returns, unpaid
from tests import small_runs

KINDS = "walk", "flat", "ruin", "paid", "interest", "idle", "one bar", "no bar traded", "every bar", "alike", "lost"
NAMES = [name for name in STATISTICS if name in metrics.METRICS]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 127, 128, 129, 136, 255, 1000, 2520, 10_007])
def test_sums_go_in_the_order_of_numpy(count):
    values = np.random.default_rng(count).normal(size=count) * 10.0 ** np.random.default_rng(1).integers(-9, 9, count)
    assert added(values, 0, count) == np.sum(values)


def told(equity, interest, market, transfer, capital, compounding):
    """The same by `engine.metrics`, as `backtest` hands it over."""
    traded = ~np.isnan(market.mark).all(axis=1)
    held = np.concatenate([[True], traded])
    whole = np.concatenate([[capital], equity])[held]
    flows = np.diff(np.cumsum(np.concatenate([[0.0], transfer]))[held])
    days = np.concatenate([market.days[:1] - 1, market.days])[held]
    base = whole[:-1] + flows if compounding else np.full(len(flows), capital)
    rate = np.divide(interest[traded], base, out=np.full(len(base), np.nan), where=base > 0)
    found = metrics.summary(
        period_returns(whole, compounding, flows), days, unpaid(whole, flows, compounding), np.zeros(3),
        notional=5e6, interest=rate, compounding=compounding,
    )  # fmt: skip
    return {name: found[name] for name in NAMES} | {"final_equity": equity[-1], "trades": 3}


@pytest.mark.parametrize("compounding", [True, False])
@pytest.mark.parametrize(
    "kind",
    ["walk", "flat", "ruin", "paid", "interest", "idle", "one bar", "no bar traded", "every bar", "alike", "lost"],
)
def test_every_statistic_is_that_of_the_metrics(kind, compounding):
    random = np.random.default_rng(7)
    days = {"one bar": 1}.get(kind, 900)
    mark = np.ones((days, 2))
    if kind != "every bar":
        mark[5::17] = np.nan  # days on which nothing traded
    if kind == "no bar traded":
        mark[:] = np.nan
    market = small_runs.market(mark)
    steps = random.normal(0.0002, 0.01, days) * {"flat": 0.0, "ruin": 30.0}.get(kind, 1.0)
    transfer, interest = np.zeros(days), np.zeros(days)
    if kind == "paid":
        transfer[[3, 100, 500]] = 5e4, -2e5, 3e5
    if kind == "interest":
        interest = random.uniform(0.0, 90.0, days)
    equity = 1e6 + np.cumsum(1e6 * steps + transfer + interest)
    if kind == "idle":
        equity[:] = 1e6
    if kind == "alike":  # returns that differ by their rounding alone have a spread of 0
        equity = 1e6 * 1.001 ** np.arange(1, days + 1)
    if kind == "lost":
        equity[700:] = np.nan
    one = term(market, transfer, 1e6, compounding)
    returns = np.empty(len(one.flows))
    found = statistics(Curve(equity, interest, 5e6, 12.5, 7.0, 4, 3), one, returns)
    wanted = told(equity, interest, market, transfer, 1e6, compounding)
    found = dict(zip(STATISTICS, found, strict=True))
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=0, abs=0, nan_ok=True)
    assert (found["costs"], found["margin_peak"], found["fills"]) == (12.5, 7.0, 4)
    held = np.concatenate([[1e6], equity])[np.concatenate([[True], one.traded])]
    assert np.array_equal(returns, period_returns(held, compounding, one.flows), equal_nan=True)


def test_a_curve_is_solved_by_hand():
    # 100, 110, 99: a tenth up, a tenth down; the mean return is 0 and its deviation sqrt(2) tenths
    market = small_runs.market([1.0, 1.0])
    returns = np.empty(2)
    curve = Curve(np.array([110.0, 99.0]), np.zeros(2), 412.0, 0.0, 0.0, 2, 1)
    found = dict(zip(STATISTICS, statistics(curve, term(market, np.zeros(2), 100.0, True), returns), strict=True))
    assert returns == pytest.approx([0.1, -0.1])
    assert found["total_return"] == pytest.approx(-0.01) and found["max_drawdown"] == pytest.approx(-0.1)
    assert found["volatility"] == pytest.approx(np.sqrt(0.02 * 252))
    assert found["sharpe"] == pytest.approx(0.0, abs=1e-12)
    years = ratios.years(np.array([market.days[0] - 1, market.days[-1]]))
    assert found["turnover"] == pytest.approx(412.0 / 103.0 / years)
