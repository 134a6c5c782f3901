"""A trade from signal to net: by hand, and its amounts are its net on runs of every kind."""

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest
from engine.analysis.explain import EXPLAINED, TradeUnknown, explain
from engine.analysis.source import given, given_of_run
from engine.analysis.worksheet import worksheet
from engine.backtest import run as run_and_save
from engine.book import STOP
from engine.result import load
from engine.signals import Signals
from engine.strategy import Strategy
from tests.small_runs import Buys, market, portfolio
from tests.small_store import build, sessions
from tests.test_engine_finer import hours, put

PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
[sizing]
rule = "volatility"
[costs]
slippage_ticks = 1
"""
KINDS = {
    "plain": [],
    "over three days": ["rolls.days=3"],
    "at the open": ["rolls.fill=open", "execution.fill=open"],
    "thin": ["execution.participation=0.01", "costs.impact=volume"],
    "kept": ["execution.fx=hold", "compounding=false"],
    "poor": ["capital=60000"],
    "buffered": ["sizing.buffer=0.2", "sizing.rounding=fractional"],
    "settled": ["execution.fill=settle"],
}


def rolled():
    """DOMAIN T3 and T5: long 1 ES, H from 4000, sold on the roll at 4100, M bought at 4125, which ends at 4150."""
    mark = [4000.0, 4100.0, 4150.0, 4150.0]
    legs = {"roll_from": 4100.0, "roll_to": 4125.0, "roll_from_fill": 4100.0, "roll_to_fill": 4125.0}
    held = market(
        mark, open=[4000.0, 4000.0, 4140.0, 4150.0], roll=[False, True, False, False], roll_contract=202406,
        contract=[202403, 202403, 202406, 202406], offset=[0.0, 0.0, -25.0, -25.0], multiplier=50.0, **legs,
    )  # fmt: skip
    settings = ["costs.slippage_ticks=1", "costs.commission_per_side=2.1", "portfolio.capital=100000"]
    run = backtest(held, portfolio((Buys.of([1.0, 1.0, 0.0, 0.0]), {}), settings=settings))
    return explain(run, given(held, run), 1)


def test_a_trade_across_a_roll_worked_by_hand():
    found = rolled()
    money = found.filter(pl.col("amount").is_not_null())
    told = [(str(day)[-2:], cause, contract, round(amount, 9)) for day, cause, contract, amount in money.select(
        "day", "cause", "contract", "amount").rows()]  # fmt: skip
    assert told == [
        ("02", "slippage", 202403, -12.5), ("02", "commission", 202403, -2.1),  # a tick of 0.25 at 50 a point
        ("02", "price", 202403, 5000.0),  # (4100 - 4000) x 50
        ("02", "roll_slippage", 202403, -12.5), ("02", "roll_commission", 202403, -2.1),
        ("02", "roll_slippage", 202406, -12.5), ("02", "roll_commission", 202406, -2.1),  # 29.20 in all (T5)
        ("03", "price", 202406, 1250.0),  # (4150 - 4125) x 50
        ("04", "slippage", 202406, -12.5), ("04", "commission", 202406, -2.1),
    ]  # fmt: skip
    assert found["amount"].sum() == pytest.approx(6250.0 - 4 * 12.5 - 4 * 2.1)
    assert found.row(-1, named=True)["value"] == pytest.approx(6191.6)


def test_fills_are_told_in_both_frames():
    fills = rolled().filter(pl.col("what").str.starts_with("fill"))
    assert fills.select("what", "contract", "contracts", "to_price", "adjusted").rows() == [
        ("fill: entry, market", 202403, 1.0, 4000.0, 4000.0),
        ("fill: roll out", 202403, -1.0, 4100.0, 4100.0),
        ("fill: roll in", 202406, 1.0, 4125.0, 4100.0),  # the gap between the contracts is none of the adjusted series
        ("fill: exit, market", 202406, -1.0, 4150.0, 4125.0),
    ]


def test_what_was_known_on_the_evening_before_stands_first():
    found = rolled()
    assert found["what"].to_list()[:4] == ["signal", "capital", "size at a forecast of 1", "size wanted"]
    assert found["value"].to_list()[:4] == [1.0, 1.0, 1.0, 1.0]
    assert found["day"].to_list()[0].isoformat() == "2024-01-01"
    assert found["what"].to_list()[-2:] == ["end: signal", "net"]


def test_the_numbers_of_a_size_make_it(archive):
    """N = C t s f / (M X sigma sqrt(252)), DOMAIN 2.9: two markets that share a fifth of volatility by halves."""
    run, _ = run_and_save(archive, Portfolio.from_toml(PORTFOLIO))
    told, trades = given_of_run(archive, run), run.trades()
    for number in trades["trade"].to_list()[:20]:
        rows = {row["what"]: row for row in explain(run, told, number).to_dicts()[::-1]}  # the first of a name
        usual = rows["capital"]["value"] * 0.2 * 0.5 / (rows["risk of a contract a day"]["value"] * np.sqrt(252.0))
        assert rows["size at a forecast of 1"]["value"] == pytest.approx(usual)
        assert rows["volatility a year of that size"]["value"] == pytest.approx(0.2 / 2)  # the target, of two markets
        assert rows["size wanted"]["value"] == pytest.approx(usual * rows["signal"]["value"])
        entry = next(row for row in explain(run, told, number).to_dicts() if row["what"].startswith("fill: entry"))
        assert entry["contracts"] == np.trunc(usual) * rows["signal"]["value"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


@pytest.mark.parametrize("kind", KINDS)
def test_the_amounts_of_every_trade_are_its_net_to_the_cent(archive, kind):
    run, _ = run_and_save(archive, Portfolio.from_toml(PORTFOLIO).with_settings(KINDS[kind]))
    told, trades = given_of_run(archive, run), run.trades()
    assert len(trades) > 10
    for number, net in trades.select("trade", "net").rows():
        found = explain(run, told, number)
        assert found.schema == pl.Schema(EXPLAINED)
        assert found["amount"].sum() == pytest.approx(net, abs=0.005)
        assert "rest" not in found["what"].to_list()  # all of it is made of contract prices


def test_caps_that_bit_are_told(archive):
    text = Portfolio.from_toml(PORTFOLIO).with_settings(["limits.max_contracts=2"])
    run, _ = run_and_save(archive, text)
    told, events = given_of_run(archive, run), run.events()
    assert len(events)
    trade = run.trades().filter(pl.col("market").cast(pl.String) == "MES")["trade"][0]
    found = explain(run, told, trade).filter(pl.col("what") == "event: limit contracts")
    assert len(found)
    assert set(found["value"].abs()) == {2.0}
    assert found["formula"][0].startswith("wanted ")


class BuysAbove(Strategy):
    """Buys when 103 of the contract held on the second day is touched, with a stop of 4 points."""

    def signals(self, market):
        """As told; 97 in the adjusted frame, whose offset is -6 then."""
        return Signals.build(market, np.ones((len(market.days), 1)), kind=STOP, price=97.0, stop=4.0)


def test_an_order_that_waited_is_told_in_both_frames():
    bars = {
        "open": [100.0, 101.0, 102.0, 104.0], "high": [100.0, 102.0, 104.0, 104.0],
        "low": [100.0, 100.0, 101.0, 98.0], "close": [100.0, 101.0, 104.0, 98.5],
    }  # fmt: skip
    held = market(bars["close"], **bars, offset=-6.0, multiplier=10.0)
    run = backtest(held, portfolio((BuysAbove(), {}), settings=["portfolio.capital=100000"]))
    found = explain(run, given(held, run), 1)
    order, fill = (
        found.filter(pl.col("what") == what).row(0, named=True) for what in ("order: stop", "fill: entry, stop")
    )
    assert (order["value"], order["adjusted"], order["to_price"]) == (97.0, 97.0, 103.0)
    assert (fill["adjusted"], fill["to_price"]) == (97.0, 103.0)
    assert found.filter(pl.col("what") == "risk at the entry")["value"].to_list() == [40.0]  # 4 points, 10 a point
    assert found.filter(pl.col("what") == "end: stop")["to_price"].to_list() == [99.0]
    assert found["amount"].drop_nulls().to_list() == [10.0, -50.0]  # 103 to 104 on the third day, 104 to 99 on the last


def test_a_trade_that_is_not_there_is_refused(archive):
    run, _ = run_and_save(archive, Portfolio.from_toml(PORTFOLIO))
    with pytest.raises(TradeUnknown, match=rf"has no trade 9999; allowed: 1 to {len(run.trades())}"):
        explain(run, given_of_run(archive, run), 9999)


@pytest.mark.parametrize("step", [0.0, 0.01])
def test_on_bars_within_the_day_only_exchange_is_left_to_a_rest(tmp_path, step):
    """The Bund and an equity future by three hours a day, the euro at one rate and up by a cent a session."""
    archive = build(tmp_path / "store", euro=1.10 + step * np.arange(len(sessions())))
    for root in ("MES", "FGBL"):
        put(archive, hours(archive.read("contract_bars", root=root)), root=root)
    run_and_save(archive, Portfolio.from_toml(WITHIN))
    kept = load(archive, "last")
    made, rests = given_of_run(archive, kept), {"MES": 0, "FGBL": 0}
    for trade, name, net in kept.trades().select("trade", "market", "net").rows():
        told = explain(kept, made, trade)
        assert told["amount"].sum() == pytest.approx(net, abs=0.005)
        rests[name] += int("rest" in told["what"].to_list())
    assert rests["MES"] == 0 and (rests["FGBL"] > 10) == (step > 0.0)
    parts = worksheet(kept, made).filter(what="rest")["part"].unique().to_list()
    assert parts == (["price"] if step else [])


WITHIN = """
[portfolio]
capital = 1000000
currency = "USD"
start = 2021-01-20
end = 2021-05-31
markets = ["FGBL", "MES"]
[[strategies]]
name = "moving_average_cross"
params = {fast = 1, slow = 2}
[execution]
bars = "within"
"""
