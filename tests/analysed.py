"""Runs to be analysed: a few markets that walk, with rolls, costs and interest; and one with nothing in it."""

import numpy as np

from engine import backtest
from tests import small_runs
from tests.small_runs import Wants

SECTORS = ("metals", "energy", "metals")
COSTS = ["costs.commission_per_side=2.5", "costs.slippage_ticks=1", "portfolio.capital=100000"]


def walk(seed=1, time=600, markets=3, rate=0.03):
    """A market of markets that walk by quarters of a point, each with a roll every 60 bars."""
    rng = np.random.default_rng(seed)
    change = rng.integers(-8, 9, (time, markets)) * 0.25
    mark = 400.0 + np.cumsum(change, axis=0)
    reach = rng.integers(1, 9, (2, time, markets)) * 0.25
    roll = np.zeros((time, markets), bool)
    roll[60::60] = True
    gap = np.where(roll, 1.25, 0.0)
    number = np.cumsum(np.vstack([np.zeros((1, markets)), roll[:-1]]), axis=0).astype(int)
    contract = 202001 + 100 * (number // 12) + number % 12
    later = np.vstack([contract[1:], contract[-1:]])
    return small_runs.market(
        mark + np.cumsum(np.vstack([np.zeros((1, markets)), gap[:-1]]), axis=0),
        offset=-np.cumsum(np.vstack([np.zeros((1, markets)), gap[:-1]]), axis=0),
        **prices(mark, gap, change, reach),
        multiplier=np.array([[10.0, 20.0, 5.0]])[:, :markets] * np.ones((time, 1)),
        initial_margin=1500.0,
        maintenance_margin=1200.0,
        roll=roll,
        contract=contract,
        roll_contract=np.where(roll, later, 0),
        volume=5000.0,
        liquidity=5000.0,
        open_interest=20000.0,
        rate=np.full(time, rate),
        sectors=SECTORS[:markets],
    )


def prices(mark, gap, change, reach):
    """Bars about the marks, and both legs of the rolls, as fields of a Market."""
    up = np.cumsum(np.vstack([np.zeros((1, mark.shape[1])), gap[:-1]]), axis=0)
    opened = mark - change / 2.0
    tops, bottoms = np.maximum(opened, mark) + reach[0], np.minimum(opened, mark) - reach[1]
    legs = {"roll_from": mark + up, "roll_to": mark + up + gap}
    bars = {"open": opened + up, "high": tops + up, "low": bottoms + up, "close": mark + up, "settle": mark + up}
    return bars | legs | {f"{name}_fill": price for name, price in legs.items()}


def wanted(seed, time, markets):
    """Contracts wanted, long and short, a few bars at a time."""
    rng = np.random.default_rng([seed, 2])
    return np.repeat(rng.integers(-3, 4, (time // 10 + 1, markets)), 10, axis=0)[:time].astype(float)


def made(seed=1, time=600, markets=3, settings=(), sleeves=1, **params):
    """(run, market) of strategies that want what the seed says."""
    market = walk(seed, time, markets)
    told = [(Wants.of(wanted(seed + k, time, markets)), {}) for k in range(sleeves)]
    return backtest(market, small_runs.portfolio(*told, settings=[*COSTS, *settings], **params)), market


def empty(time=30):
    """(run, market) in which nothing was ever wanted."""
    market = walk(1, time)
    return backtest(market, small_runs.portfolio((Wants.of(0.0), {}), settings=COSTS)), market
