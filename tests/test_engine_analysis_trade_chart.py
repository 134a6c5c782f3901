"""The bars about a trade: which they are, its rolls and its stop, worked by hand."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from engine import backtest
from engine.analysis.trade_chart import BARS, ROLLS, trade_chart
from engine.book import STOP
from engine.signals import Signals
from engine.strategy import Strategy
from tests import analysed
from tests.small_runs import Buys, market, portfolio


def rolled():
    """DOMAIN T3: 1 ES from the second day, rolled on it at 4100 into 4125, sold on the last; and its market."""
    mark = [4000.0, 4100.0, 4150.0, 4150.0]
    legs = {"roll_from": 4100.0, "roll_to": 4125.0, "roll_from_fill": 4100.0, "roll_to_fill": 4125.0}
    held = market(
        mark, open=[4000.0, 4000.0, 4140.0, 4150.0], roll=[False, True, False, False], roll_contract=202406,
        contract=[202403, 202403, 202406, 202406], offset=[0.0, 0.0, -25.0, -25.0], multiplier=50.0, **legs,
    )  # fmt: skip
    run = backtest(held, portfolio((Buys.of([1.0, 1.0, 0.0, 0.0]), {}), settings=["portfolio.capital=100000"]))
    return run, held


def test_a_roll_has_two_legs_that_are_one_price_in_the_adjusted_frame():
    run, held = rolled()
    found = trade_chart(run, held, run.trades().row(0, named=True))
    assert found.bars.schema == pl.Schema(BARS) and found.rolls.schema == pl.Schema(ROLLS)
    assert found.bars["contract"].to_list() == [202403, 202403, 202406, 202406]
    assert found.bars["held"].to_list() == [False, True, True, True]
    (roll,) = found.rolls.to_dicts()
    told = ("contract", "price", "next_contract", "next_price", "offset", "held")
    assert tuple(roll[name] for name in told) == (202403, 4100.0, 202406, 4125.0, 0.0, True)
    after = found.bars.row(2, named=True)["offset"]
    assert roll["price"] + roll["offset"] == roll["next_price"] + after
    assert (found.entry_offset, found.exit_offset) == (0.0, -25.0) and np.isnan(found.stop)


@pytest.mark.parametrize("around", [0, 1, 20])
def test_so_many_bars_are_around_a_trade_as_there_are(around):
    run, held = analysed.made(2, time=120)
    days = held.days.astype("datetime64[D]").astype(object)
    for trade in run.trades().iter_rows(named=True):
        found = trade_chart(run, held, trade, around).bars
        inside = found.filter("held")["day"].to_list()
        every = [day for day in days if trade["entry_day"] <= day <= trade["exit_day"]]
        assert inside == every
        assert len(found) == len(
            days[max(list(days).index(every[0]) - around, 0) : list(days).index(every[-1]) + 1 + around]
        )


class BuysAbove(Strategy):
    """Buys 2 when 103 of the contract held is touched, with a stop of 4 points; the offset is -6 then."""

    def signals(self, market):
        return Signals.build(market, np.full((len(market.days), 1), 2.0), kind=STOP, price=97.0, stop=4.0)


def test_the_stop_is_where_the_money_at_risk_ends():
    bars = {
        "open": [100.0, 101.0, 102.0, 104.0], "high": [100.0, 102.0, 104.0, 104.0],
        "low": [100.0, 100.0, 101.0, 98.0], "close": [100.0, 101.0, 104.0, 98.5],
    }  # fmt: skip
    held = market(bars["close"], **bars, offset=-6.0, multiplier=10.0)
    run = backtest(held, portfolio((BuysAbove(), {}), settings=["portfolio.capital=100000"]))
    trade = run.trades().row(0, named=True)
    found = trade_chart(run, held, trade)
    assert trade["entry_price"] == 103.0 and trade["exit_price"] == 99.0
    assert found.stop == pytest.approx(99.0 - 6.0, abs=1e-9)  # adjusted
    assert found.bars["day"][0] == held.days[0].astype(date)
