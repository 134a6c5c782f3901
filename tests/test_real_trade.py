"""Real trades and one whole real run, recomputed from stored rows and the cost file by plain arithmetic."""

import csv
import math
import tomllib
from datetime import date

import numpy as np
import polars as pl
import pytest

from config import FOLDER
from engine import Portfolio, backtest, load
from store import rolls
from store.contracts import Master

START, END = date(2019, 7, 1), date(2024, 3, 28)
ROOTS = ("FGBL", "MES")


def fact(root, field):
    """Number of a fact that never changed, from the rows of the master file."""
    with open(FOLDER / "contracts.csv", encoding="utf-8") as file:
        (value,) = [row["value"] for row in csv.DictReader(file) if (row["root"], row["field"]) == (root, field)]
    return float(value)


class Rows:
    """Rows of one root as dicts: bars by contract and day, rolls by day, dollars per unit of its currency by day."""

    def __init__(self, archive, root):
        bars = archive.read("contract_bars", root=root).filter(pl.col("day") <= END)
        calendar = rolls.calendar(bars, Master.load().spec(root), "volume:1")
        columns = bars.select("contract", "day", "open", pl.coalesce("settle", "close"))
        self.bars = {(contract, day): prices for contract, day, *prices in columns.iter_rows()}
        self.first = calendar.first
        self.rolls = {
            day: pair for day, *pair in calendar.frame.select("day", "from_contract", "to_contract").iter_rows()
        }
        self.multiplier, self.tick = fact(root, "multiplier"), fact(root, "tick")
        known = tomllib.loads((FOLDER / "costs.toml").read_text(encoding="utf-8"))
        euro = known["currency"]["EUR"] if root == "FGBL" else {}
        cost = known["default"] | euro | known["roots"].get(root, {})
        self.side = cost["commission_per_side"] + cost["slippage_ticks"] * self.tick * self.multiplier
        published = archive.read("fx", currency="EUR").sort("day")
        self.rates = None if root == "MES" else list(zip(published["day"], published["rate"], strict=True))

    def rate(self, day):
        """Dollars, by the last rate that was published up to the day."""
        return 1.0 if self.rates is None else next(rate for at, rate in reversed(self.rates) if at <= day)

    def chain(self):
        """(day, contract, open, settle) of the contract held, day by day."""
        held, days = self.first, sorted({day for _, day in self.bars})
        for day in days:
            if (held, day) in self.bars:
                yield (day, held, *self.bars[held, day])
            if day in self.rolls:
                out, held = self.rolls[day]
                assert (out, day) in self.bars and (held, day) in self.bars


def by_hand(rows, trade, size):
    """Gross and costs in dollars of one trade; `size` is what was held at the end of each day."""
    gross = sides = 0.0
    held, last = 0.0, math.nan
    for day, contract, opened, settled in rows.chain():
        if not trade["entry_day"] <= day <= trade["exit_day"]:
            continue
        wanted = 0.0 if day == trade["exit_day"] else size[day]
        if held:
            gross += held * ((opened if wanted != held else settled) - last) * rows.multiplier * rows.rate(day)
        if wanted != held:
            gross += wanted * (settled - opened) * rows.multiplier * rows.rate(day)
            sides += abs(wanted - held) * rows.rate(day)
        held, last = wanted, settled
        if held and day in rows.rolls:
            into = rows.rolls[day][1]
            assert rows.rolls[day][0] == contract
            sides += 2 * abs(held) * rows.rate(day)
            last = rows.bars[into, day][1]
    return gross, -sides * rows.side


@pytest.fixture(scope="module")
def rows(real):
    return {root: Rows(real, root) for root in ROOTS}


@pytest.fixture(scope="module")
def market(real):
    return load(real, list(ROOTS), end=END)


def made(market, name, *settings):
    portfolio = Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml")
    return backtest(market, portfolio.with_settings([f"portfolio.start={START}", *settings]))


def test_t05_a_short_of_the_micro_s_and_p_over_three_rolls_as_it_stands_in_the_files(market):
    """Prices typed from Barchart's files: opens of 2022-03-16 and 2023-02-10, settlements of the roll days."""
    points = (4254.0 - 3750.5) + (3753.5 - 3931.25) + (3950.25 - 4022.25) + (4055.25 - 4097.75)
    sides = 2 + 3 * 2
    net = points * 5.0 - sides * (0.62 + 0.25 * 5.0)
    assert round(net, 2) == 1041.29
    costs = ("costs.commission_per_side=0.62", "costs.slippage_ticks=1")
    trade = made(market, "fixed", *costs).trades().filter(root="MES", entry_day=date(2022, 3, 16)).row(0, named=True)
    assert (trade["direction"], trade["contracts"], trade["rolls"]) == ("short", 1.0, 3)
    assert (trade["entry_contract"], trade["exit_contract"]) == (202206, 202303)
    assert trade["exit_day"] == date(2023, 2, 10)
    assert trade["gross"] == pytest.approx(points * 5.0, abs=0.005)
    assert trade["net"] == pytest.approx(net, abs=0.005)


@pytest.mark.parametrize("name", ["fixed", "trend"])
@pytest.mark.parametrize("root", ROOTS)
def test_t32_every_trade_to_the_cent_from_rows_rates_and_rolls(rows, market, name, root):
    run = made(market, name)
    size = dict(run.positions().filter(root=root).select("day", "contracts").iter_rows())
    trades = run.trades().filter(root=root, exit_reason="signal")
    assert trades.height >= 4
    assert trades["rolls"].max() >= 7
    for trade in trades.iter_rows(named=True):
        gross, costs = by_hand(rows[root], trade, size)
        assert gross == pytest.approx(trade["gross"], abs=0.005)
        assert costs == pytest.approx(trade["costs"], abs=0.005)
        assert gross + costs == pytest.approx(trade["net"], abs=0.005)


def signals(chain, rolled, bars, fast=50, slow=200, span=32.0):
    """(day, forecast, volatility) of one market: both averages added up anew, every bar's weight of the variance."""
    adjusted, offset, moves = [], 0.0, []
    variance = math.nan
    for day, _, _, settled in chain:
        adjusted.append(settled + offset)
        if len(adjusted) > 1:
            moves.append(adjusted[-1] - adjusted[-2])
            square = moves[-1] ** 2
            variance = square if math.isnan(variance) else variance + 2.0 / (span + 1.0) * (square - variance)
        gap = math.fsum(adjusted[-fast:]) / fast - math.fsum(adjusted[-slow:]) / slow
        side = 0.0 if len(adjusted) < slow or abs(gap) <= 1e-9 * abs(settled) else math.copysign(1.0, gap)
        yield day, side, math.sqrt(variance)
        if day in rolled:
            out, into = rolled[day]
            offset += bars[out, day][1] - bars[into, day][1]


def test_signal_and_size_of_the_bund_from_its_rows(rows, market):
    bund, m = rows["FGBL"], market.roots.index("FGBL")
    trend = Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")
    forecast = trend.strategies[0].strategy.forecast(market)[:, [m]]
    weight = trend.sizing.weights(market, forecast, np.array([m]), np.array([1.0]))
    ours = {
        day: (f, w)
        for day, f, w in zip(market.days.tolist(), forecast[:, 0].tolist(), weight[:, 0].tolist(), strict=True)
    }
    checked = 0
    for day, side, sigma in signals(bund.chain(), bund.rolls, bund.bars):
        if day < START:
            continue
        a_contract = sigma * bund.multiplier * bund.rate(day) * math.sqrt(252.0)  # dollars a year
        assert ours[day][0] == side
        assert ours[day][1] == pytest.approx(0.20 * side / a_contract, rel=1e-9)
        checked += 1
    assert checked > 1000


def test_a_run_of_one_market_from_its_rows_to_its_last_cent(rows, real):
    """Signal, size, whole contracts, fills at the open, rolls, costs, euro: every day's equity by plain arithmetic."""
    bund = rows["FGBL"]
    run = made(load(real, ["FGBL"], end=END), "trend")
    told = {day: (sigma, side) for day, side, sigma in signals(bund.chain(), bund.rolls, bund.bars)}
    equity, held, wanted, last, curve = 1e7, 0.0, 0.0, math.nan, {}
    for day, _, opened, settled in bund.chain():
        if day < START:
            continue
        value = bund.multiplier * bund.rate(day)
        if wanted != held:
            equity += ((held * (opened - last) if held else 0.0) + wanted * (settled - opened)) * value
            equity -= abs(wanted - held) * bund.side * bund.rate(day)
        elif held:
            equity += held * (settled - last) * value
        held, last = wanted, settled
        if day in bund.rolls:
            equity -= 2 * abs(held) * bund.side * bund.rate(day)
            last = bund.bars[bund.rolls[day][1], day][1]
        sigma, side = told[day]
        wanted = float(math.trunc(0.20 * side / (sigma * value * math.sqrt(252.0)) * equity))
        curve[day] = equity
    ours = dict(run.equity().select("day", "equity").iter_rows())
    assert max(abs(ours[day] - equity) for day, equity in curve.items()) < 0.005
    assert len(curve) > 1000
    assert run.summary["metrics"]["final_equity"] == pytest.approx(equity, abs=0.005)


def test_t01_each_of_24_markets_gets_its_share_of_those_that_have_begun(real):
    market = load(real, end=date(2021, 12, 31))
    trend = Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")
    forecast = np.ones((len(market.days), 1))
    bars = real.read("contract_bars", columns=["root", "day"]).group_by("root").agg(pl.col("day").min())
    m = market.roots.index("FGBL")
    size = trend.sizing.weights(
        market, np.ones(market.mark.shape), np.arange(24), np.ones(24), np.zeros(24, dtype=np.int64)
    )[:, m]
    alone = trend.sizing.weights(market, forecast, np.array([m]), np.ones(1))[:, 0]
    for day in (date(2005, 6, 30), date(2015, 6, 30), date(2019, 6, 28), date(2021, 6, 30)):
        row = int(np.searchsorted(market.days, np.datetime64(day)))
        begun = bars.filter(pl.col("day") <= day).height
        assert alone[row] / size[row] == pytest.approx(begun, rel=1e-12)
