"""engine/changing.py: a changed param gives the numbers of a run of its own."""

import numpy as np
import pytest

from engine import Portfolio, backtest
from engine.headline import STATISTICS
from engine.settings import ConfigError
from engine.strategy import StrategyError
from engine.trials import changing
from tests import small_runs

CROSS = '[[strategies]]\nname = "moving_average_cross"\n'
FIXED = '[sizing]\nrule = "fixed"\n'


def walk(columns=2, days=400):
    return small_runs.market(100.0 + np.random.default_rng(3).normal(0.0, 1.0, (days, columns)).cumsum(axis=0))


@pytest.mark.parametrize("sizing", [FIXED, '[sizing]\nrule = "volatility"\n', f"{FIXED}rounding = 'fractional'\n"])
def test_each_change_gives_the_numbers_of_a_run_with_it(sizing):
    market, portfolio = walk(), Portfolio.from_toml(CROSS + sizing)
    told = changing(market, portfolio, ["fast", "slow"])
    for fast, slow in ((5, 20), (10, 20), (5, 60), (5, 20)):
        run = backtest(market, portfolio.with_settings([f"fast={fast}", f"slow={slow}"]))
        found, returns = told({"fast": fast, "slow": slow})
        metrics = run.metrics()
        assert {name: found[name] for name in STATISTICS if name in metrics} == pytest.approx(
            {name: metrics[name] for name in STATISTICS if name in metrics}, rel=1e-12
        )
        assert found["fills"] == run.fills().height > 0
        equity = run.equity()["equity"].to_numpy()
        assert np.allclose(returns, equity[1:] / equity[:-1] - 1.0, rtol=1e-6, atol=1e-9)


def test_a_setting_that_all_depends_on_is_changed_too():
    market, portfolio = walk(), Portfolio.from_toml(CROSS + FIXED)
    told = changing(market, portfolio, ["sizing.contracts"])
    for contracts in (1, 3):
        run = backtest(market, portfolio.with_settings([f"sizing.contracts={contracts}"]))
        assert told({"sizing.contracts": contracts})[0]["final_equity"] == run.metrics()["final_equity"]


def test_what_is_wrong_is_told():
    market, portfolio = walk(), Portfolio.from_toml(CROSS + FIXED)
    with pytest.raises(ConfigError, match="fasst"):
        changing(market, portfolio, ["fasst"])
    told = changing(market, portfolio, ["fast", "slow"])
    with pytest.raises(ConfigError, match="no value of slow; allowed: one of each of fast, slow"):
        told({"fast": 5})
    with pytest.raises(ConfigError, match="slo: unknown key"):
        told({"fast": 5, "slo": 5})
    with pytest.raises(StrategyError, match="fast = 0 is not allowed"):
        told({"fast": 0, "slow": 5})
