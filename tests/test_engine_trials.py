"""engine/trials.py: one portfolio under several roll rules, T5 and T3 by hand."""

import polars as pl
import pytest

from engine import Portfolio
from engine.backtest import run
from engine.book import CAUSES
from engine.costs import Costs
from engine.portfolio import Sleeve
from engine.sections import Rolls
from engine.settings import ConfigError
from engine.sizing import FixedContracts
from engine.strategy import Strategy
from engine.trials import METRICS, UNDER_RULES, roll_cost, under_rules
from store import open_archive
from store.contracts import Master, UnknownRoot
from tests.small_store import build
from tests.test_engine_backtest import PORTFOLIO
from tests.test_store_laboratory import EARLY, LATE, s_and_p

LEDGER = ("price", "slippage", "commission", "roll_gap", "roll_slippage", "roll_commission", "profit")


class Long(Strategy):
    """Always long."""

    def forecast(self, market):
        """1 for every bar."""
        return market.mark * 0.0 + 1.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A store in which ES and MES have the S&P prices of T3, opening where they settle."""
    made = open_archive(tmp_path_factory.mktemp("trials") / "store", create=True)
    parts = []
    for root in ("ES", "MES"):
        frame = s_and_p(root=root).with_columns(open="settle").drop("source", "root")
        parts.append(made.write("contract_bars", frame, source="barchart", root=root))
    made.commit(parts)
    return made


def holding(markets=("ES",), **settings):
    """Long one contract of each market, at T5's costs."""
    return Portfolio(
        name="long",
        capital=1e6,
        compounding=False,
        markets=list(markets),
        strategies=[Sleeve(strategy=Long())],
        sizing=FixedContracts(contracts=1),
        costs=Costs(commission_per_side=2.10, slippage_ticks=1.0),
        **settings,
    )


def test_t5_a_roll_costs_two_sides_of_commission_and_slippage():
    costs = Costs(commission_per_side=2.10, slippage_ticks=1.0)
    assert roll_cost(Master.load(), "ES", costs) == (pytest.approx(29.20, abs=1e-12), "USD")
    spread_order = Costs(commission_per_side=2.10, slippage_ticks=1.0, roll_commission=0.5)
    assert roll_cost(Master.load(), "ES", spread_order)[0] == pytest.approx(25.0 + 2.10, abs=1e-12)


def test_without_figures_a_roll_costs_what_the_file_says(archive):
    # FGBL by config/costs.toml: a tick of 0.01 points at 1,000 euro a point, and 2.00 a side
    assert roll_cost(archive, "FGBL") == (pytest.approx(2 * (10.0 + 2.0)), "EUR")
    with pytest.raises(UnknownRoot, match="PLUTONIUM"):
        roll_cost(archive, "PLUTONIUM")


def test_what_a_portfolio_earns_under_each_rule_is_solved_by_hand(archive):
    found = under_rules(archive, holding(), [EARLY, LATE])
    assert found.schema == UNDER_RULES
    # bought at the second day's open, 4020; 80 points in H and 25 in M, or 90 and 20; 14.60 to buy, 29.20 to roll
    early, late = (dict(zip(LEDGER, row, strict=True)) for row in found.select(LEDGER).iter_rows())
    costs = {"slippage": -12.5, "commission": -2.1, "roll_gap": 0.0, "roll_slippage": -25.0, "roll_commission": -4.2}
    assert early == pytest.approx(costs | {"price": 5250.0, "profit": 5206.2}, abs=1e-9)
    assert late == pytest.approx(costs | {"price": 5500.0, "profit": 5456.2}, abs=1e-9)
    assert found["rolls"].to_list() == [1, 1] and found["error"].to_list() == [None, None]
    assert found["final_equity"].to_list() == pytest.approx([1_005_206.2, 1_005_456.2], abs=1e-9)
    assert found["final_equity_difference"].to_list() == pytest.approx([0.0, 250.0], abs=1e-9)


def test_a_rule_may_be_that_of_some_markets_only(archive):
    both = holding(["ES", "MES"], rolls=Rolls(rule=EARLY))
    every, one = under_rules(archive, both, [EARLY, LATE]), under_rules(archive, both, [EARLY, LATE], roots=["ES"])
    # five points more of 50 and of 5 dollars; MES keeps the portfolio's own rule
    assert every["final_equity_difference"][1] == pytest.approx(275.0, abs=1e-9)
    assert one["final_equity_difference"][1] == pytest.approx(250.0, abs=1e-9)


def test_each_row_is_the_run_with_that_rule_in_the_portfolio(archive):
    portfolio, steps = holding(), []
    before = portfolio.to_toml()
    found = under_rules(archive, portfolio, [LATE, EARLY, LATE], progress=lambda *step: steps.append(step))
    for row in found.iter_rows(named=True):
        made, _ = run(archive, holding(rolls=Rolls(rule=row["rule"])))
        assert {name: row[name] for name in METRICS} == {name: made.metrics()[name] for name in METRICS}
        assert {cause: row[cause] for cause in CAUSES} == made.summary["ledger"]
        assert row["profit"] == pytest.approx(row["final_equity"] - portfolio.capital, abs=1e-6)
    assert found["rule"].to_list() == [LATE, EARLY]  # a rule that came twice is one
    assert portfolio.to_toml() == before
    assert steps == [(0, 2, LATE), (1, 2, EARLY), (2, 2, "")]


def test_a_version_of_the_data_gives_the_same_numbers_after_later_imports(tmp_path):
    archive = build(tmp_path / "store")
    head, portfolio = archive.head(), Portfolio.from_toml(PORTFOLIO)
    before = under_rules(archive, portfolio, ["volume:1", "last-trade-8"], snapshot=head)
    cheaper = archive.read("contract_bars", root="MES").with_columns(pl.col("settle") * 0.5).drop("source", "root")
    old = archive.files("contract_bars", root="MES")
    archive.commit([archive.write("contract_bars", cheaper, source="barchart", root="MES")], old)
    assert under_rules(archive, portfolio, ["volume:1", "last-trade-8"], snapshot=head).equals(before)
    assert not under_rules(archive, portfolio, ["volume:1", "last-trade-8"]).equals(before)


def test_a_calendar_that_is_not_stored_is_told_and_the_others_go_on(archive):
    found = under_rules(archive, holding(), ["lean:oi", EARLY, "mine"])
    assert "lean:oi" in found["error"][0] and found["error"][1] is None and "mine" in found["error"][2]
    assert found["profit"].to_list() == [None, pytest.approx(5206.2, abs=1e-9), None]
    assert found["final_equity_difference"].to_list() == [None, 0.0, None]


def test_a_mistake_is_refused(archive):
    with pytest.raises(ConfigError, match="does not trade 'MES'; allowed: ES"):
        under_rules(archive, holding(), [EARLY], roots=["MES"])
    with pytest.raises(ConfigError, match=r"\[rolls\] rule: roll rule 'volume:' is not known; did you mean 'volume'"):
        under_rules(archive, holding(), [EARLY, "volume:"])
    with pytest.raises(ConfigError, match=r"\[rolls\] rule = \"volume;1\" is not allowed"):
        under_rules(archive, holding(), [EARLY, "volume;1"])
    with pytest.raises(ConfigError, match="'volume,exit=expiry' holds contracts through expiry"):
        under_rules(archive, holding(), [EARLY, "volume,exit=expiry"])
