"""The simulation against its slow twin of plain Python, on markets made at random, on the sample and on real prices."""

from collections import Counter
from datetime import date
from importlib import import_module

import numpy as np
import pytest

from config import FOLDER
from engine import Portfolio, backtest, load, simulate
from store import open_archive, sample
from tests.naive_account import account as slow

MODULE = import_module("engine.backtest")  # `engine.backtest` is the function
SEEDS = range(40)
KIND = ("order", "roll out", "roll in", "closed", "order")  # a margin call is an order to the twin
WHY = ("order", "roll", "closed", "order", "open")
TRADE = (
    "line", "direction", "contracts", "entry", "exit", "entry_contract", "exit_contract", "entry_price", "exit_price",
    "rolls", "bars", "gross",
)  # fmt: skip


def series(rng, time, markets):
    """Prices of a few markets: holidays, days without an open, rolls at other prices than the series', ends."""
    shape = (time, markets)
    mark = 100.0 + np.cumsum(rng.normal(size=shape), axis=0)
    roll = rng.random(shape) < 0.05
    closed = (rng.random(shape) < 0.02) & ~roll
    mark[(rng.random(shape) < 0.1) & ~roll] = np.nan
    mark[: time // 6, -1] = np.nan  # the last market begins later than the others
    roll &= ~np.isnan(mark)
    gap = np.where(roll, rng.normal(size=shape) * 3.0, 0.0)
    mark += np.cumsum(gap, axis=0) - gap
    fill = np.where(rng.random(shape) < 0.05, np.nan, mark + rng.normal(size=shape) * 0.5)
    contract = 202401 + np.cumsum(roll | closed, axis=0) - (roll | closed)
    legs = (mark, mark + gap, mark + rng.normal(size=shape) * 0.3, mark + gap + rng.normal(size=shape) * 0.3)
    return simulate.Prices(
        fill, mark, np.cumsum(-gap, axis=0) + gap, contract.astype(np.int32), roll, closed,
        (contract + 1).astype(np.int32), *legs,
    )  # fmt: skip


def facts_of(rng, prices, tight):
    """Multipliers that change, foreign currencies, margins that rise; nothing is known of a market before it begins."""
    time, markets = prices.mark.shape
    multiplier = np.repeat(rng.choice([5.0, 10.0, 50.0], size=(1, markets)), time, axis=0)
    multiplier[time // 2 :, 0] *= 2.0
    fx = np.exp(np.cumsum(rng.normal(size=(time, markets)) * 0.01, axis=0)) * rng.uniform(0.01, 1.5, markets)
    fx[:, 0] = 1.0
    initial = np.repeat(rng.uniform(800.0, 3000.0, size=(1, markets)), time, axis=0) * (4.0 if tight else 1.0) / fx[0]
    initial[time // 3 :] *= 1.3
    maintenance = initial * (1.0 if tight else 0.9)
    for known in (multiplier, fx, initial, maintenance):
        known[: time // 6, -1] = 0.0
    slippage, commission = rng.uniform(0.01, 0.1, prices.mark.shape), rng.uniform(0.5, 3.0, prices.mark.shape)
    return simulate.Facts(multiplier, fx, initial, maintenance, slippage, commission)


def market(seed, time=120):
    """Arguments of a simulation made at random: one seed in three has too little money."""
    rng = np.random.default_rng(seed)
    per_capital, tight = bool(seed % 2), seed % 3 == 0
    capital = 50_000.0 if tight else 400_000.0
    markets = int(rng.integers(2, 5))
    instrument = np.concatenate([np.arange(markets), rng.integers(0, markets, size=int(rng.integers(0, 3)))])
    prices = series(rng, time, markets)
    facts = facts_of(rng, prices, tight)
    account = simulate.Account(
        capital=capital,
        per_capital=per_capital,
        compounding=seed % 4 < 2,
        sweep=seed % 5 > 0,
        roll_commission=1.0 if per_capital else 0.5,
        most=7.0 if seed % 7 == 0 else np.inf,
    )
    weight = np.repeat(rng.normal(size=(time // 5 + 1, len(instrument))) * 6.0, 5, axis=0)[:time]
    weight *= rng.random(weight.shape) < 0.9
    available = (rng.random(prices.mark.shape) < 0.97) & (facts.fx > 0.0)
    rate = np.where(np.arange(time) % 10 < 8, 0.05, 0.0)
    days = np.where(np.arange(time) % 5 == 0, 3.0, 1.0)
    return prices, facts, account, weight / capital if per_capital else weight, instrument, available, rate, days


def told(rows):
    """Trades of the engine as dicts, in the order in which they began."""
    trades = [dict(zip(simulate.TRADE_FIELDS, row, strict=True)) for row in rows.tolist()]
    for trade in trades:
        trade["why"], trade["net"] = WHY[int(trade["exit_reason"])], trade["gross"] + trade["costs"]
    return sorted(trades, key=order)


def order(trade):
    return trade["line"], trade["entry"], trade["exit"], trade["entry_contract"]


def same_trades(ours, theirs):
    """Assert that both tell the same trades, their sums to a millionth."""
    theirs = sorted(theirs, key=order)
    assert [trade["why"] for trade in ours] == [trade["why"] for trade in theirs]
    fields = (*TRADE, "net")
    table, twin = ([[trade[name] for name in fields] for trade in trades] for trades in (ours, theirs))
    assert np.allclose(table, twin, rtol=0.0, atol=1e-6)


def compare(arguments):
    """Assert that engine and twin agree on all that an account leaves; returns the twin's."""
    ledger, twin = simulate.simulate(*arguments), slow(*arguments)
    amount = np.zeros_like(ledger.amount)
    for (t, i, cause), value in twin["ledger"].items():
        amount[t, i, simulate.CAUSES.index(cause)] = value
    assert np.array_equal(ledger.position, twin["positions"])
    assert np.allclose(ledger.amount, amount, rtol=0.0, atol=1e-6)
    assert np.allclose(ledger.equity, twin["equity"], rtol=0.0, atol=1e-6)
    assert np.allclose(ledger.margin, twin["margin"], rtol=0.0, atol=1e-6)
    assert ledger.events[ledger.events[:, 2] == simulate.MARGIN_CALL, 0].tolist() == twin["calls"]
    fills = [(t, i, contract, KIND[int(kind)], size, price) for t, i, contract, kind, size, price, *_ in ledger.fills]
    assert sorted(fills) == sorted(twin["fills"])
    same_trades(told(ledger.trades), twin["trades"])
    same_trades(told(ledger.legs), twin["legs"])
    return twin


@pytest.mark.parametrize("seed", SEEDS)
def test_a_market_made_at_random_is_traded_as_the_twin_does(seed):
    compare(market(seed))


def test_the_markets_made_at_random_hold_what_they_should():
    made = [(market(seed), slow(*market(seed))) for seed in SEEDS]
    calls = sum(len(twin["calls"]) for _, twin in made)
    reasons = Counter(trade["why"] for _, twin in made for trade in twin["legs"])
    shared = sum(len(set(arguments[4].tolist())) < len(arguments[4]) for arguments, _ in made)
    assert calls > 50
    assert min(reasons[why] for why in ("order", "roll", "closed", "open")) > 50
    assert shared > 15


def by_hand(position, target, equity, lines):
    """Position on the bar after a margin call on lines of one market: margin 10,000 a contract, flat prices."""
    bars = 3
    flat = np.full((bars, 1), 100.0)
    never, one = np.zeros((bars, 1), bool), np.ones((bars, 1))
    contract = np.full((bars, 1), 202403, np.int32)
    prices = simulate.Prices(flat, flat, 0.0 * flat, contract, never, never, contract, flat, flat, flat, flat)
    margin = np.array([[0.0], [10_000.0], [10_000.0]])  # nothing is asked of the entry
    facts = simulate.Facts(one, one, margin, margin, 0.0 * one, 0.0 * one)
    account = simulate.Account(equity, False, False, True, 1.0, np.inf)
    weight = np.array([position, target, target], dtype=float)
    arguments = (prices, facts, account, weight, np.zeros(lines, np.int64), one > 0, np.zeros(bars), np.ones(bars))
    assert compare(arguments)["calls"][0] == 1
    return simulate.simulate(*arguments).position[2].tolist()


@pytest.mark.parametrize(("target", "after"), [(9, 3), (2, 2), (-2, -2), (-13, -3)])
def test_t29_a_margin_call_caps_a_target_and_leaves_its_side(target, after):
    """Five contracts where equity covers three: at most three of what is wanted, on its side."""
    assert by_hand([5], [target], 30_000.0, 1) == [after]


def test_t29_a_margin_call_cuts_lines_that_net_until_the_margin_is_covered():
    """One contract net, of 3 and -2: nine tenths of each, in whole ones, are 2 and -1, again one net."""
    assert by_hand([3, -2], [3, -2], 9_000.0, 2) == [0.0, 0.0]


@pytest.fixture
def arguments(monkeypatch):
    """Runs a portfolio and gives the arguments that its simulation was called with, beside the run."""

    def run(loaded, portfolio):
        seen = []
        monkeypatch.setattr(MODULE, "simulate", lambda *given: seen.append(given) or simulate.simulate(*given))
        return backtest(loaded, portfolio), seen[0]

    return run


@pytest.fixture(scope="module", params=["USD", "EUR"])
def sampled(request, tmp_path_factory):
    """Six markets of the sample in four currencies, and the account's."""
    archive = open_archive(tmp_path_factory.mktemp("sample") / "store", create=True)
    sample.build(archive)
    roots = ["CL", "FGBL", "JGB", "MES", "Z", "ZC"]
    return load(archive, roots, end=date(2018, 12, 31), currency=request.param)


@pytest.mark.parametrize(
    "settings",
    [[], ["portfolio.compounding=false", "execution.fx=hold"], ["portfolio.capital=150000", "limits.max_contracts=2"]],
)
def test_two_years_of_the_sample_are_traded_as_the_twin_does(sampled, arguments, settings):
    trend = Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")
    settings = [f"portfolio.currency={sampled.currency}", "strategies.0.fast=10", "strategies.0.slow=40", *settings]
    _, given = arguments(sampled, trend.with_settings(["portfolio.start=2017-01-01", *settings]))
    assert len(given[3]) > 500
    twin = compare(given)
    assert len(twin["legs"]) > 50
    assert any(cause == "interest" and amount != 0.0 for (_, _, cause), amount in twin["ledger"].items())


@pytest.mark.parametrize(
    ("name", "fill", "fx"), [("trend", "settle", "sweep"), ("fixed", "settle", "sweep"), ("trend", "open", "hold")]
)
def test_two_years_of_24_real_markets_are_traded_as_the_twin_does(real, arguments, name, fill, fx):
    settings = ["portfolio.start=2019-06-01", f"rolls.fill={fill}", f"execution.fx={fx}"]
    portfolio = Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml").with_settings(settings)
    made, given = arguments(load(real, end=date(2021, 6, 30), roll_fill=fill), portfolio)
    twin = compare(given)
    assert len(given[4]) == 24
    assert made.summary["metrics"]["final_equity"] == pytest.approx(twin["equity"][-1], abs=1e-6)
    nets = sorted(made.trades()["net"].to_list())
    assert np.allclose(nets, sorted(trade["net"] for trade in twin["trades"]), rtol=0.0, atol=1e-6)
