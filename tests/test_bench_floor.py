"""The floor that `make bench` measures against does what it says, so that the ratio means something."""

import naive
import numpy as np
import pytest

from bench.floor import floor, walk


def run(opens, closes, fast=3, slow=7, commission=2.5, slippage=1.0):
    markets = closes.shape[1]
    multiplier, tick = np.linspace(5.0, 50.0, markets), np.full(markets, 0.25)
    contracts = np.arange(1.0, markets + 1.0)
    arguments = (fast, slow, multiplier, tick, 1e6, contracts, commission, slippage)
    return floor(opens, closes, *arguments), naive.floor(opens.tolist(), closes.tolist(), *arguments)


def test_equity_equals_the_slow_twin_to_the_cent():
    quick, slow = run(*walk(120, 4))
    np.testing.assert_allclose(quick, slow, atol=1e-6, rtol=0)
    assert np.ptp(quick) > 1000.0


def test_holidays_and_a_market_that_begins_late_agree_with_the_slow_twin():
    opens, closes = walk(120, 4, seed=3)
    missing = np.random.default_rng(5).random(closes.shape) < 0.2
    missing[:40, 2] = True
    opens[missing], closes[missing] = np.nan, np.nan
    quick, slow = run(opens, closes)
    np.testing.assert_allclose(quick, slow, atol=1e-6, rtol=0)


def test_a_rise_is_bought_at_the_next_open_one_tick_worse_and_pays_its_commission():
    closes = np.array([[100.0], [101.0], [102.0], [104.0]])
    opens = np.array([[100.0], [100.5], [101.5], [103.0]])
    one = np.ones(1)
    equity = floor(opens, closes, 1, 2, 50.0 * one, 0.25 * one, 1000.0, one, 2.5, 1.0)
    # signal at the close of bar 1; bought at 101.50 + 0.25 on bar 2, closed at 102 and 104
    assert equity.tolist() == [1000.0, 1000.0, 1000.0 + 0.25 * 50 - 2.5, 1000.0 + 2.25 * 50 - 2.5]


@pytest.mark.parametrize("times", [0, 1, 5])
def test_before_the_slow_average_is_full_nothing_is_traded(times):
    quick, _ = run(*walk(times, 2))
    assert quick.tolist() == [1e6] * times
