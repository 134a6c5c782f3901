"""T2: crude oil of May 2020, which settled at -37.63 on 20 April 2020, through orders, sizes, margin and measures.

Settlements from 14 to 24 April are the exchange's, as published; the days before, and all other prices, are made up.
"""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest
from engine.backtest import market_of
from engine.book import LIMIT, MARKET, STOP
from engine.portfolio import Sleeve
from engine.signals import Signals, in_percent
from engine.sizing import SIZERS, FixedContracts
from engine.strategies import STRATEGIES
from engine.strategy import Strategy
from store import open_archive

SETTLED = {  # day of April 2020 -> May, June, July
    14: (20.11, 27.40, 31.87), 15: (19.87, 26.04, 29.96), 16: (19.87, 25.53, 29.55), 17: (18.27, 25.03, 29.42),
    20: (-37.63, 20.43, 26.28), 21: (10.01, 11.57, 18.69), 22: (None, 13.78, 20.69), 23: (None, 16.50, 21.44),
    24: (None, 16.94, 21.22),
}  # fmt: skip
DAY, LOW = date(2020, 4, 20), -40.32
MONTHS = (202005, 202006, 202007)
MEASURED = (
    "total_return", "annual_return", "volatility", "max_drawdown", "var_99", "cvar_99", "turnover", "time_in_market",
    "final_equity",
)  # fmt: skip
COSTLESS = "[costs]\ncommission_per_side = 0.0\nslippage_ticks = 0.0\n"


def settlements():
    """day -> settlements of three months: a slow fall with a wave on it until the published ones."""
    days = [date(2018, 1, 2) + timedelta(days=k) for k in range(833)]
    days = [day for day in days if day.weekday() < 5 and day < date(2020, 4, 14)]
    made = {}
    for k, day in enumerate(days):
        spot = round(60.0 - 38.0 * k / len(days) + 2.0 * np.sin(k / 5.0), 2)
        made[day] = tuple(round(spot + step, 2) for step in (0.0, 0.5, 1.0))
    return made | {date(2020, 4, day): prices for day, prices in SETTLED.items()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    rows, before = [], None
    for day, prices in settlements().items():
        for contract, settle, last in zip(MONTHS, prices, before or prices, strict=True):
            if settle is not None:
                low = LOW if (day, contract) == (DAY, 202005) else min(settle, last) - 0.25
                volume = 5000.0 if contract == 202005 else 1000.0
                rows.append((contract, day, last, max(settle, last) + 0.25, low, None, settle, volume, 9000.0))
        before = prices
    names = ("contract", "day", "open", "high", "low", "close", "settle", "volume", "open_interest")
    kinds = dict(zip(names, (pl.Int32, pl.Date, *[pl.Float64] * 7), strict=True))
    end = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=20)
    frame = pl.DataFrame(rows, schema=kinds, orient="row").with_columns(
        time=end, source_time=pl.col("day").cast(pl.String)
    )
    made = open_archive(tmp_path_factory.mktemp("negative") / "store", create=True)
    made.commit([made.write("contract_bars", frame, source="barchart", root="CL")])
    return made


def run(archive, strategy, sizing=None, capital=1e6, rest="", name="CL.c.0", start=date(2018, 1, 2)):
    """A run over the months, each held until the last day on which it may be."""
    head = f'[portfolio]\nname = "oil"\ncapital = {capital!r}\nmarkets = ["{name}"]\nstart = {start}\n'
    told = Portfolio.from_toml(f'{head}[[strategies]]\nname = "carry"\n{rest}')
    told.strategies = [Sleeve(strategy=strategy)]
    told.sizing = sizing or FixedContracts()
    market = market_of(archive, told, [name], archive.head())
    made = backtest(market, told)
    _finite(made)
    return made


def _finite(made):
    """Nothing is nan, and the ledger is the change of equity to the cent."""
    for frame in (made.equity(), made.ledger(), made.positions(), made.sleeves()):
        for column in frame.select(pl.col(pl.Float64)).iter_columns():
            assert column.is_finite().all(), column.name
    fills = made.fills().select("contracts", "price", "slippage", "impact", "commission")
    assert all(column.is_finite().all() for column in fills.iter_columns())
    equity = made.equity()["equity"]
    assert made.ledger()["amount"].sum() == pytest.approx(equity[-1] - equity[0], abs=0.005)
    ruined = (equity <= 0).any()  # of less than nothing there are no per cents
    names = ("total_return", "max_drawdown", "final_equity") if ruined else MEASURED
    assert [name for name in names if not np.isfinite(made.metrics()[name])] == []
    assert made.identity_holds


def on(made, day, cause):
    """What one cause came to on one day."""
    rows = made.ledger().filter((pl.col("day") == day) & (pl.col("cause").cast(str) == cause))
    return rows["amount"].sum()


class Held(Strategy):
    """So many contracts, always."""

    def __init__(self, contracts, **params):
        super().__init__(**params)
        self.contracts = contracts

    def targets(self, market):
        """[contracts]"""
        return np.full(market.mark.shape, float(self.contracts))


class Orders(Strategy):
    """Signals that are told as a function of the market."""

    def __init__(self, told, **params):
        super().__init__(**params)
        self.told = told

    def signals(self, market):
        """As told."""
        return Signals.build(market, **self.told(market))


def row_of(market, day):
    return int(np.flatnonzero(market.days == np.datetime64(day))[0])


@pytest.mark.parametrize("contracts", [1, -3])
def test_t2_the_day_costs_55_900_dollars_a_contract_and_the_roll_out_of_it_is_at_the_settlement(archive, contracts):
    made = run(archive, Held(contracts), rest=COSTLESS)
    assert on(made, DAY, "price") == pytest.approx(-55_900.0 * contracts, abs=0.005)
    assert on(made, date(2020, 4, 21), "price") == pytest.approx((11.57 - 20.43) * 1000.0 * contracts, abs=0.005)
    rolled = made.fills().filter(pl.col("day") == DAY)
    assert rolled.select("contract", "price").rows() == [(202005, -37.63), (202006, 20.43)]
    assert (made.equity()["margin"][1:].tail(5) > 0).all()


def entered_the_day_before(**orders):
    """Long from 17 April on, with such orders."""

    def told(market):
        entry = np.zeros(market.mark.shape)
        entry[row_of(market, date(2020, 4, 16))] = 1.0
        return {"entry": entry} | orders

    return told


@pytest.mark.parametrize(("orders", "distance", "reason"), [
    ({"stop": 10.0}, 10.0, "stop"),
    ({"stop": 50.0}, 50.0, "stop"),
    ({"trail": 30.0}, 30.0, "trailing stop"),  # from the fill: the 17th closed lower, and the 20th counts from the 21st
])  # fmt: skip
def test_t2_stops_fill_at_their_level_below_zero_too(archive, orders, distance, reason):
    made = run(archive, Orders(entered_the_day_before(**orders)), rest=COSTLESS)
    trade = made.trades().row(0, named=True)
    assert (trade["entry_day"], trade["exit_day"], trade["exit_reason"]) == (date(2020, 4, 17), DAY, reason)
    assert trade["entry_price"] == 19.87
    assert trade["exit_price"] == pytest.approx(19.87 - distance)
    assert trade["net"] == pytest.approx(-distance * 1000.0)


@pytest.mark.parametrize(("kind", "side", "level"), [(LIMIT, 1.0, -30.0), (STOP, -1.0, -10.0)])
def test_t2_orders_below_zero_enter(archive, kind, side, level):
    def told(market):
        entry, price = np.zeros(market.mark.shape), np.full(market.mark.shape, np.nan)
        t = row_of(market, date(2020, 4, 17))
        entry[t], price[t] = side, level + market.offset[t]
        return {"entry": entry, "kind": kind, "price": price, "day": True}

    made = run(archive, Orders(told), rest=COSTLESS)
    entered = made.trades().row(0, named=True)
    assert (entered["entry_day"], entered["entry_price"]) == (DAY, level)
    assert on(made, DAY, "price") == pytest.approx(side * (-37.63 - level) * 1000.0)


def test_t2_a_stop_in_percent_of_the_price_is_a_distance_whatever_the_sign_of_the_price(archive):
    def told(market):
        away = in_percent(market, 20.0)
        assert away[row_of(market, DAY), 0] == pytest.approx(0.2 * 37.63)
        return {"entry": np.ones(market.mark.shape), "kind": MARKET, "trail": away, "renew": True}

    made = run(archive, Orders(told))
    assert made.trades().filter(pl.col("exit_day") == DAY)["exit_reason"].to_list() == ["trailing stop"]


@pytest.mark.parametrize("rule", SIZERS)
@pytest.mark.parametrize("rounding", ["toward_zero", "nearest_risk"])
def test_t2_every_sizing_rule_passes_the_day(archive, rule, rounding):
    limits = "[limits]\ngross_notional = 5\nnet_notional = 5\nmargin_to_equity = 0.8\ngroup_risk = 2\n"
    made = run(
        archive, STRATEGIES["moving_average_cross"](fast=5, slow=20), SIZERS[rule](rounding=rounding), rest=limits
    )
    held = made.positions().filter(pl.col("day") == DAY)
    if rule == "notional":  # nothing is worth less than nothing: it is sold the next morning
        assert made.positions().filter(pl.col("day") == date(2020, 4, 21)).is_empty()
    assert held.is_empty() or held["margin"].is_finite().all()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rest", ["", '[costs]\nimpact = "volume"\n', '[execution]\nfill = "settle"\n'])
def test_t2_every_strategy_passes_the_day(archive, name, rest):
    made = run(archive, STRATEGIES[name](), SIZERS["volatility"](target=0.02), rest=rest)
    assert (made.equity()["equity"] > 0).all()


def test_t2_an_account_that_the_day_ruins_is_liquidated_and_told(archive):
    made = run(archive, Held(10), capital=120_000.0, start=date(2020, 4, 16), rest=COSTLESS)
    equity = dict(made.equity().select("day", "equity").iter_rows())
    assert equity[DAY] == pytest.approx(120_000.0 - (19.87 + 37.63) * 10_000.0, abs=100.0)  # interest
    assert made.events()["kind"].cast(str).to_list()[0] == "margin call"
    assert made.fills().filter(pl.col("day") == date(2020, 4, 21))["contracts"].to_list() == [-10.0]
    assert made.positions().filter(pl.col("day") >= date(2020, 4, 21)).is_empty()
    assert equity[date(2020, 4, 24)] < 0
