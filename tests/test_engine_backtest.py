"""Runs over a small store: accounts, dates, margins, what is said about them."""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest, load
from engine.backtest import NoRows, identity
from engine.margin import MarginUnknown
from engine.signals import Signals
from engine.strategy import Strategy
from store import open_archive, retention
from tests import small_runs
from tests.small_runs import Wants
from tests.small_store import build
from tests.test_engine_tables import rolling

PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
[sizing]
rule = "fixed"
contracts = 2
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return load(build(tmp_path_factory.mktemp("small") / "store"))


@pytest.fixture
def portfolio():
    return Portfolio.from_toml(PORTFOLIO)


def test_nothing_is_traded_before_the_start(market, portfolio):
    run = backtest(market, portfolio)
    assert run.equity()["day"][1] == date(2021, 2, 1)
    assert run.trades()["entry_day"].min() == date(2021, 2, 2)  # targets of the first row fill on the bar after


def test_the_first_row_of_equity_is_the_starting_capital(market, portfolio):
    first = backtest(market, portfolio).equity().row(0, named=True)
    assert first == {"day": date(2021, 1, 31), "equity": 1e6, "cash": 1e6, "margin": 0.0, "drawdown": 0.0}


def test_fixed_sizing_trades_contracts_times_forecast(market, portfolio):
    positions = backtest(market, portfolio).positions()
    assert set(positions["contracts"].to_list()) == {2.0, -2.0}


@pytest.mark.parametrize("currency", ["USD", "EUR"])
@pytest.mark.parametrize("fx", ["sweep", "hold"])
def test_t32_accounts_in_two_currencies_add_up(tmp_path, portfolio, currency, fx):
    rates = 1.1 + 0.1 * np.sin(np.arange(520) / 30)
    market = load(build(tmp_path, euro=rates), currency=currency)
    run = backtest(market, portfolio.with_settings([f"portfolio.currency={currency}", f"execution.fx={fx}"]))
    equity = run.equity()["equity"]
    assert run.ledger()["amount"].sum() == pytest.approx(equity[-1] - equity[0], abs=1e-6)
    assert run.identity_holds
    assert (run.summary["ledger"]["fx"] != 0.0) == (fx == "hold")
    of_none = sum(run.summary["ledger"][cause] for cause in ("interest", "fx", "fee", "transfer"))
    for trades in (run.trades(), run.contract_trades()):
        assert trades["net"].sum() + of_none == pytest.approx(equity[-1] - equity[0], abs=1e-6)
    assert run.summary["trades_residual"] < 1e-6


def test_t36_fixed_capital_gives_arithmetic_returns(market, portfolio):
    run = backtest(market, portfolio.with_settings(["compounding=false"]))
    metrics = run.metrics()
    assert metrics["total_return"] == pytest.approx(run.equity()["equity"][-1] / 1e6 - 1)
    daily = run.equity()["equity"].diff()[1:].to_numpy() / 1e6
    assert metrics["volatility"] == pytest.approx(daily.std(ddof=1) * np.sqrt(252), rel=1e-9)


def test_t30_an_unknown_margin_is_an_error_or_an_estimate_and_never_zero(market, portfolio):
    with pytest.raises(MarginUnknown, match=r"FGBL|MES"):
        backtest(market, portfolio.with_settings(["margin.missing=error"]))
    run = backtest(market, portfolio.with_settings(["margin.missing=estimate"]))
    assert any("margin is estimated" in note for note in run.summary["notes"])
    assert (run.positions()["margin"] > 0).all()


def test_no_position_is_wanted_where_the_account_cannot_pay_the_margin(market, portfolio):
    run = backtest(market, portfolio.with_settings(["capital=500"]))
    assert run.trades().is_empty()
    assert {event["kind"] for event in run.first_events} == {"margin refused"}
    assert run.metrics()["trades"] == 0
    assert run.metrics()["total_return"] == 0.0


def test_a_start_after_the_end_of_the_data_is_said(market, portfolio):
    with pytest.raises(NoRows, match="no bar on or after start = 2030-01-01; the markets end on 2022-12-30"):
        backtest(market, portfolio.with_settings(["start=2030-01-01"]))


def test_a_run_holds_its_snapshot_while_it_is_computed(tmp_path, portfolio, monkeypatch):
    archive, module = build(tmp_path / "store"), sys.modules["engine.backtest"]  # the package has a function there
    number, real = _committed(archive), module.backtest

    def slow(market, portfolio, *others):  # meanwhile: an import, and a gc that keeps nothing
        other = open_archive(archive.path)
        _committed(other)
        later = datetime.now(UTC) + timedelta(seconds=2)
        assert retention.gc(other, keep_days=0, dry_run=False, now=later)["snapshots"] == []
        return real(market, portfolio, *others)

    monkeypatch.setattr(module, "backtest", slow)
    made, _ = module.run(archive, portfolio)
    monkeypatch.undo()
    assert made.summary["snapshot"]["number"] == number
    again = open_archive(archive.path)
    told = {row["number"]: row["kept"] for row in retention.snapshots(again, keep_days=0)}
    assert told[number] == f"run {made.id}" and archive.place.names("tags") == []
    stored, repeated = module.replay(again, made.id)
    assert stored.summary["hashes"] == repeated.summary["hashes"]


def _committed(archive):
    rate = pl.DataFrame({"currency": ["EUR"], "rate": [1.0]})
    return archive.commit([archive.write("rates", rate, source="x", currency="EUR")]).number


def test_the_id_is_made_of_all_that_goes_in(market, portfolio):
    ids = {identity(market, portfolio.with_settings(changes)) for changes in ([], ["fast=6"], ["capital=1000001"])}
    assert len(ids) == 3
    assert identity(market, portfolio) in ids


def test_a_limit_of_contracts_caps_every_line(market, portfolio):
    run = backtest(market, portfolio.with_settings(["limits.max_contracts=1"]))
    assert run.positions()["contracts"].abs().max() == 1.0


def test_two_strategies_share_the_markets_as_lines(market, portfolio):
    both = Portfolio.from_toml(
        PORTFOLIO + '\n[[strategies]]\nname = "moving_average_cross"\nparams = { fast = 10, slow = 40 }\n'
    )
    run = backtest(market, both)
    assert run.trades()["strategy"].cast(str).unique().sort().to_list() == [
        "moving_average_cross",
        "moving_average_cross 2",
    ]
    assert run.identity_holds


def test_t30_only_days_that_are_traded_need_a_margin(market, portfolio):
    known = np.where(np.arange(len(market.days))[:, None] < 100, np.nan, 5000.0) * np.ones(2)
    market = replace(market, initial_margin=known, maintenance_margin=known)
    portfolio = portfolio.with_settings(["margin.missing=error"])
    with pytest.raises(MarginUnknown, match="no margin for FGBL on 2021-02-01, MES on 2021-02-01; add dated rows"):
        backtest(market, portfolio)
    assert backtest(market, portfolio.with_settings([f"start={market.days[100]}"])).identity_holds


def test_an_old_exchange_rate_is_told_before_it_is_too_old(tmp_path, portfolio):
    market = load(build(tmp_path, euro=[1.10], euro_days=[date(2021, 2, 1)]))
    notes = backtest(market, portfolio).summary["notes"]
    aged = sum(7 < (day - date(2021, 2, 1)).days <= 30 for day in market.days.tolist())
    assert f"exchange rate older than 7 days, days: FGBL {aged}" in notes
    assert any(
        note.startswith("not traded for want of an exchange rate of at most 30 days, days: FGBL") for note in notes
    )


# What a result is worth


class Bracket(Strategy):
    """Long and short in turn, a bar each; out at two points, won or lost."""

    def signals(self, market):
        side = np.where(np.arange(len(market.days)) % 2 == 0, 1.0, -1.0)[:, None]
        return Signals.build(market, side, stop=2.0, target=2.0)


def bracketed(bars, doubtful, settings=()):
    """A market that opens and closes at 100; on doubtful bars it reaches 102.50 and 97."""
    high, low = np.full(bars, 100.5), np.full(bars, 99.5)
    high[doubtful], low[doubtful] = 102.5, 97.0
    flat = small_runs.market(np.full(bars, 100.0), high=high, low=low, multiplier=10.0)
    return backtest(flat, small_runs.portfolio((Bracket(), {}), settings=settings, capital=1e4))


def test_t19_doubtful_bars_are_counted_and_more_than_one_in_a_hundred_trades_tell_the_range():
    made = bracketed(8, [1, 4])
    found = made.summary["ambiguous"]
    trades = made.trades()
    assert (found["bars"], found["trades"], found["share"]) == (2, 2, 2 / trades.height)
    assert trades["ambiguous"].sum() == 2 and trades.height == 7
    # long on the second bar: its stop first, -2 points of 10 dollars, or the nearer extreme, 102.50, first: +2;
    # short on the fifth: the stop is 102.00 and the target 98.00, and the nearer extreme first is the stop
    ends = {policy: told["final_equity"] for policy, told in found["policies"].items() if told}
    assert ends == {"worst": 1e4 - 40.0, "nearer": 1e4}
    assert found["policies"]["finer"] is None  # no bars within the day are known
    assert found["policies"]["worst"]["total_return"] == pytest.approx(-0.004)
    assert made.metrics()["final_equity"] == ends["worst"]
    assert bracketed(8, [1, 4], ["ties=nearer"]).metrics()["final_equity"] == ends["nearer"]


@pytest.mark.parametrize(("doubtful", "told"), [([1, 50], False), ([1, 50, 90], True)])
def test_one_in_a_hundred_trades_needs_no_range(doubtful, told):
    made = bracketed(201, doubtful)  # 200 trades
    assert made.trades().height == 200 and made.summary["ambiguous"]["trades"] == len(doubtful)
    assert set(made.summary["ambiguous"]["policies"]) == ({"worst", "nearer", "finer"} if told else set())


def test_t55_at_the_break_even_each_strategy_s_profit_is_gone():
    settings = ["compounding=false", "costs.slippage_ticks=0.5"]
    sleeves = [(Wants.of([0, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0]), {}), (Wants.of(0.0), {})]
    made = backtest(rolling(), small_runs.portfolio(*sleeves, settings=settings))
    ticks = made.summary["break_even_ticks"]
    # bought at 102, sold at 113, of which the roll is 3: 8 points earned on four sides, each of which pays half a tick
    assert ticks["wants"] == pytest.approx(8.0 / (4 * 0.25) - 0.5) and ticks["wants 2"] is None
    settings[1] = f"costs.slippage_ticks={0.5 + ticks['wants']}"
    again = backtest(rolling(), small_runs.portfolio(*sleeves, settings=settings))
    assert again.metrics()["final_equity"] == pytest.approx(1e7, abs=1e-6)


def test_the_smallest_account_is_the_capital_of_one_contract():
    # a twentieth of the capital is the notional: one contract needs twenty times its own
    made = backtest(
        rolling(), small_runs.portfolio((Wants.of(1.0), {}), rule="notional", settings=["sizing.share=0.05"])
    )
    market = rolling()
    value = market.mark[-1, 0] * market.multiplier[-1, 0]
    assert list(made.summary["smallest_account"].values()) == [pytest.approx(value / 0.05)]
    assert list(made.summary["smallest_account_day"].values()) == [str(market.days[-1])]
    fixed = backtest(rolling(), small_runs.portfolio((Wants.of(1.0), {})))
    assert list(fixed.summary["smallest_account"].values()) == [None]
    assert list(fixed.summary["smallest_account_day"].values()) == [None]


def test_the_smallest_account_is_of_the_last_day_with_sizes_and_of_the_strategy_that_needs_less():
    # both at a share of 0.05 of a strategy's capital; the second has half the account and stops on the fifth bar, the
    # first has the other half: at 100 and more a point dearer each day it needs 20 times the value, of half the account
    market = small_runs.market(100.0 + np.arange(8.0))
    sleeves = [(Wants.of(1.0), {"capital": 0.5, "stop": market.days[4].item()}), (Wants.of(1.0), {"capital": 0.5})]
    made = backtest(market, small_runs.portfolio(*sleeves, rule="notional", settings=["sizing.share=0.05"]))
    assert made.summary["smallest_account"] == {"A": pytest.approx(103.0 / 0.05)}
    assert made.summary["smallest_account_day"] == {"A": str(market.days[3])}


def test_the_margin_of_a_position_is_that_of_its_line_alone_and_the_account_s_is_net():
    # three long and one short of one contract, at a margin of 10: 30 and 10 of the lines, 20 of the account
    made = backtest(
        small_runs.market(np.full(6, 100.0)), small_runs.portfolio((Wants.of(3.0), {}), (Wants.of(-1.0), {}))
    )
    last = made.positions().filter(pl.col("day") == pl.col("day").max())
    assert sorted(last["margin"].to_list()) == [10.0, 30.0] and made.equity()["margin"][-1] == 20.0


@pytest.mark.parametrize("rounding", ["fractional", "nearest_risk"])
def test_there_is_no_smallest_account_where_contracts_are_not_rounded_toward_zero(rounding):
    settings = ["sizing.share=0.05", f"rounding={rounding}"]
    made = backtest(rolling(), small_runs.portfolio((Wants.of(1.0), {}), rule="notional", settings=settings))
    for key in ("smallest_account", "smallest_account_day"):
        assert list(made.summary[key].values()) == [None]


def test_no_number_of_a_summary_is_a_zero_with_a_sign():
    made = backtest(small_runs.market(np.full(30, 100.0)), small_runs.portfolio((Wants.of(0.0), {})))
    assert made.metrics()["var_95"] == 0.0
    assert "-0.0" not in [str(value) for value in (*made.metrics().values(), *made.summary["ledger"].values())]
