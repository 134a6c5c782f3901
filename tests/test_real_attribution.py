"""One run over real markets: every pivot to the cent, every trade made of contract prices again."""

from datetime import date
from itertools import combinations

import numpy as np
import pytest

from config import FOLDER
from engine import Portfolio
from engine.analysis.attribution import attribution
from engine.analysis.explain import explain
from engine.analysis.source import curve_of_run, given_of_run
from engine.analysis.worksheet import worksheet
from engine.backtest import run


@pytest.fixture(scope="module")
def made(real):
    return run(real, Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml"))[0]


@pytest.fixture(scope="module")
def told(real, made):
    labels = np.where(np.arange(len(made.equity()) - 1) % 3, "calm", "wild")
    return attribution(made, curve_of_run(real, made), labels)


def test_every_pivot_of_a_real_run_sums_to_the_change_of_equity_to_the_cent(made, told):
    equity = made.equity()["equity"]
    for by in combinations(told.dimensions, 2):
        assert told.matrix(*by).sum() == pytest.approx(equity[-1] - equity[0], abs=0.005), by
    assert told.by_trade().sum(axis=1) == pytest.approx(told.parts.trades["net"].to_numpy(), abs=0.005)


def test_the_next_contract_is_known_on_nearly_every_day(told):
    assert told.parts.unknown.sum() < 0.02 * told.parts.carried.sum()
    assert (told.parts.unknown <= told.parts.carried).all()


def test_trades_of_a_real_run_are_made_of_contract_prices(real, made):
    given, trades = given_of_run(real, made), made.trades()
    for number, net in trades.select("trade", "net").sample(25, seed=1).rows():
        found = explain(made, given, number)
        assert found["amount"].sum() == pytest.approx(net, abs=0.005)
        assert "rest" not in found["what"].to_list()


def test_a_month_of_a_real_run_is_made_of_contract_prices(real, made):
    sheet = worksheet(made, given_of_run(real, made), date(2008, 10, 1), date(2008, 10, 31))
    equity = dict(made.equity().select("day", "equity").rows())
    assert "rest" not in sheet["what"].to_list()
    assert sheet["amount"].sum() == pytest.approx(equity[date(2008, 10, 31)] - equity[date(2008, 9, 30)], abs=0.005)
