"""What was earned in each regime: sums by hand, and what is planted is found."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import synthetic_run

from engine.analysis import conditions, regime_tables
from engine.analysis.conditions import (
    FEW,
    NOT_KNOWN,
    Known,
    drawdowns,
    exposure,
    known_before,
    performance,
    transitions,
)
from engine.analysis.daily import Daily
from engine.analysis.regime_tables import RegimeUnknown, section
from engine.analysis.regimes import NAMES, UNKNOWN, Labels
from tests.regime_worlds import chain

CALM = ("calm", "wild")


def days(count):
    """Weekdays."""
    return np.busday_offset("2024-01-01", np.arange(count), roll="forward")


def account(profit, capital=100.0, compounding=True):
    """The `Daily` of profits (time, market), without interest."""
    profit = np.asarray(profit, float).reshape(len(profit), -1)
    equity = capital + np.concatenate([[0.0], np.cumsum(profit.sum(axis=1))])
    zero, count = np.zeros(len(profit)), profit.shape[1]
    own = np.column_stack([profit, zero])
    names, when = tuple("ABCDEF"[:count]), days(len(profit) + 1)
    return Daily(when, equity, zero, own, zero, names, ("metals",) * count, compounding)


def known(*codes, names=CALM):
    """Regimes of one market, which is all markets."""
    code = np.array(codes, np.int8)
    return Known(names, code, code[:, None])


# When a day counts


def test_a_day_counts_to_the_regime_known_at_the_close_before():
    """Regimes of Monday to Friday; the run trades from Wednesday on, and has the label of Tuesday then."""
    labels = Labels("states", CALM, days(5), np.array([[0], [1], [0], [0], [1]], np.int8), np.arange(5) % 2)
    daily = SimpleNamespace(days=days(5)[1:], names=("spread A-B", "A"))
    found = known_before(labels, ("A",), daily)
    assert found.market[:, 1].tolist() == [1, 0, 0] and found.together.tolist() == [1, 0, 1]
    assert set(found.market[:, 0].tolist()) == {UNKNOWN}
    whole = known_before(labels, ("A",), SimpleNamespace(days=np.append(days(1) - 1, days(5)), names=("A",)))
    assert whole.together.tolist() == [UNKNOWN, 0, 1, 0, 1]  # before the first day nothing was known


# By hand


def test_what_the_account_earned_in_each_regime():
    """Of fixed capital 100: calm 1, 2, -1; wild -3, 5; the first day is not known."""
    found = performance(known(UNKNOWN, 0, 0, 1, 1, 0), account([7, 1, 2, -3, 5, -1], compounding=False))
    assert found.schema == conditions.PERFORMANCE
    rows = {row["regime"]: row for row in found.to_dicts()}
    assert [rows[name]["days"] for name in (*CALM, NOT_KNOWN)] == [3, 2, 1]
    assert [rows[name]["profit"] for name in (*CALM, NOT_KNOWN)] == [2.0, 2.0, 7.0]
    assert rows["calm"]["annual"] == pytest.approx(252 * 0.02 / 3) and rows["wild"]["annual"] == pytest.approx(2.52)
    assert rows["calm"]["difference"] == pytest.approx(252 * (0.02 / 3 - 0.01))
    assert rows["calm"]["volatility"] == pytest.approx(np.std([0.01, 0.02, -0.01], ddof=1) * np.sqrt(252))
    assert rows["calm"]["warning"] == f"1 episode, fewer than {FEW}"
    assert rows[NOT_KNOWN]["p_value"] is None and rows[NOT_KNOWN]["warning"] == ""


def test_what_markets_earned_in_regimes_of_their_own():
    code = np.array([[0, 1], [1, 1], [0, 0]], np.int8)
    found = conditions.by_market(Known(CALM, code[:, 0], code), account([[1, 2], [3, 4], [5, 6]], compounding=False))
    assert found["profit"].to_list() == [1.0 + 5.0 + 6.0, 2.0 + 3.0 + 4.0]
    assert found["market_days"].to_list() == [3, 3]
    assert found["annual"].to_list() == pytest.approx([252 * 0.04, 252 * 0.03])


def test_a_trade_counts_to_the_regime_of_its_market_before_the_entry():
    when = days(6)
    rows = {"market": ["A", "A", "B"], "entry_day": when[[1, 4, 2]], "net": [10.0, -4.0, 3.0], "bars": [2, 1, 3]}
    run = SimpleNamespace(trades=lambda: pl.DataFrame(rows))
    code = np.array([[0, 1], [0, 1], [0, 1], [1, 1], [1, 1]], np.int8)  # rows of the days 1 to 5
    found = conditions.trades(run, Known(CALM, code[:, 0], code), account(np.zeros((5, 2))))
    assert found.select("trades", "net", "win_rate", "bars").rows() == [(1, 10.0, 1.0, 2.0), (2, -1.0, 0.5, 2.0)]
    assert found["difference_money"].to_list() == [10.5, -10.5]


def test_what_was_held_in_each_regime():
    when = days(5)
    rows = {"day": when[[1, 1, 2]], "market": ["A", "B", "A"], "notional": [50.0, -150.0, 100.0]}
    equity = pl.DataFrame({"margin": [0.0, 50.0, 25.0, 0.0, 0.0]})
    run = SimpleNamespace(positions=lambda: pl.DataFrame(rows), equity=lambda: equity)
    found = exposure(run, known(0, 0, 1, 1), account(np.zeros(4)))
    assert found.drop("regime", "days").rows() == [(1.5, 0.0, 0.375, 1.5, 1.0), (0.0, 0.0, 0.0, 0.0, 0.0)]


def test_what_was_held_on_some_of_the_days():
    when = days(5)
    rows = {"day": when[[1, 1, 2]], "market": ["A", "B", "A"], "notional": [50.0, -150.0, 100.0]}
    equity = pl.DataFrame({"margin": [0.0, 50.0, 25.0, 0.0, 0.0]})
    run = SimpleNamespace(positions=lambda: pl.DataFrame(rows), equity=lambda: equity)
    asked = np.array([True, False, True, False])
    found = exposure(run, known(0, 0, 1, 1), account(np.zeros(4)), asked)
    assert found.rows() == [("calm", 1, 2.0, -1.0, 0.5, 2.0, 1.0), ("wild", 1, 0.0, 0.0, 0.0, 0.0, 0.0)]


def test_how_returns_lie_in_each_regime():
    """Of fixed capital 100: calm 1, 2, 3, 4, 5; wild -2 alone, so that all quantiles are it; one day is not known."""
    daily = account([1, 2, 3, 4, 5, -2, 9], compounding=False)
    found = conditions.distribution(known(0, 0, 0, 0, 0, 1, UNKNOWN), daily)
    assert found.schema == conditions.DISTRIBUTION
    calm, wild, other = found.rows()
    assert calm == ("calm", 5, *(pytest.approx(x / 100) for x in (1, 1.2, 2, 3, 4, 4.8, 5, 3)))
    assert wild == ("wild", 1, *[pytest.approx(-0.02)] * 8)
    assert other[:2] == (NOT_KNOWN, 1)
    none = conditions.distribution(known(0, 0), account([1, 2]))
    assert none.row(1) == ("wild", 0, *[None] * 8)


def test_transitions_leave_out_what_is_not_known():
    code = np.array([[0, 1], [0, UNKNOWN], [UNKNOWN, 1], [1, 1], [1, 0]])
    found = transitions(code, CALM)
    assert found["times"].to_list() == [1, 0, 1, 2]
    assert found["spells"].to_list() == [2, 2, 3, 3] and found["lasts"].to_list() == [1.5, 1.5, 5 / 3, 5 / 3]
    assert found["probability"].to_list() == [1.0, 0.0, 1 / 3, 2 / 3]


def test_drawdowns_of_the_days_of_a_regime_alone():
    """Fixed capital 100: calm +10, -4 and -6; wild -20 and +5 between them. The account falls from 110 to 86, then to
    85: 20 of its 25 in the wild days, which gave 5 back."""
    found = drawdowns(known(0, 0, 1, 1, 0), account([10, -4, -20, 5, -6], compounding=False))
    rows = {row["regime"]: row for row in found.to_dicts()}
    assert rows["calm"]["deepest"] == pytest.approx(-10 / 110) and rows["calm"]["deepest_spell"] == pytest.approx(-0.06)
    assert rows["wild"]["deepest"] == pytest.approx(-0.20) == rows["wild"]["deepest_spell"]
    assert rows["calm"]["fall_share"] == pytest.approx(10 / 25) and rows["wild"]["fall_share"] == pytest.approx(15 / 25)
    assert rows["wild"]["mean_drawdown"] == pytest.approx(-(24 + 19) / 110 / 2)


# How sure


def test_what_is_planted_is_found():
    """A tenth of the daily deviation earned in one regime and lost in the other, ten years: a difference of five
    standard errors, of which noise takes or adds less than three."""
    code = chain(2520, 1, 3)
    random = np.random.default_rng(12)
    returns = random.normal(0.0, 0.01, 2520) + np.where(code[:, 0] == 1, 0.001, -0.001)
    found = performance(known(*code[:, 0]), account(100.0 * returns, compounding=False, capital=100.0))
    assert (found["p_value"] < 0.01).all() and (found["p_moved"] < 0.01).all() and (found["warning"] == "").all()
    assert found["difference"].to_list()[1] == pytest.approx(252 * 0.002, abs=3 * 252 * 0.01 * np.sqrt(4 / 2520))


# Of whole runs


def test_the_parts_are_the_whole_of_a_run():
    run = synthetic_run.SyntheticRun(years=6)
    daily = Daily.of(run)
    code = chain(len(daily.days) - 1, len(daily.names), 5) - chain(len(daily.days) - 1, 1, 6, 0.999)
    told = Known(CALM, code[:, 0].copy(), code)
    tables = [frame for _, frame, _ in regime_tables.tables(run, daily, told, "states")]
    whole, markets, trades, held, _, _, falls = tables
    profit = daily.equity[-1] - daily.equity[0] - daily.paid.sum()
    assert whole["profit"].sum() == pytest.approx(profit) and whole["days"].sum() == len(daily.days) - 1
    assert markets["profit"].sum() == pytest.approx(daily.profit[:, :-1].sum())
    assert trades["net"].sum() == pytest.approx(run.trades()["net"].sum())
    assert trades["trades"].sum() == len(run.trades()) and held["days"].sum() == whole["days"].sum()
    assert falls["fall_share"].sum() == pytest.approx(1.0)
    assert whole["share"].sum() == pytest.approx(1.0) == markets["share"].sum()


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """The sample store with a run of the shipped trend portfolio."""
    from config import FOLDER
    from engine import Portfolio
    from engine.backtest import run
    from store import open_archive, sample

    archive = open_archive(tmp_path_factory.mktemp("sampled") / "store", create=True)
    sample.build(archive)
    return archive, run(archive, Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml"))[0]


def test_every_kind_has_its_section(sampled):
    archive, run = sampled
    for kind in NAMES:
        tables = section(run, archive, kind)
        assert [len(frame) > 0 for _, frame, _ in tables] == [True] * 7
        schemas = [frame.schema for _, frame, _ in tables]
        names = ("PERFORMANCE", "BY_MARKET", "TRADES", "EXPOSURE", "TRANSITIONS", "TRANSITIONS", "DRAWDOWNS")
        assert schemas == [getattr(conditions, name) for name in names]
        profit = run.equity()["equity"][-1] - run.equity()["equity"][0]
        assert tables[0][1]["profit"].sum() == pytest.approx(profit, abs=0.01)
    with pytest.raises(RegimeUnknown, match="--regime moon: there is no such kind; allowed: volatility"):
        section(run, archive, "moon")


def test_models_are_fitted_once_and_kept_with_the_run(sampled, monkeypatch):
    archive, run = sampled
    first = section(run, archive)
    monkeypatch.setattr(regime_tables, "models", lambda market: pytest.fail("fitted again"))
    again = section(run, archive)
    assert [title for title, _, _ in first] == [title for title, _, _ in again]
    assert all(one.equals(other) for (_, one, _), (_, other, _) in zip(first, again, strict=True))
    overview, latest = (frame for _, frame, _ in first)
    assert overview.schema == regime_tables.OVERVIEW and overview["kind"].unique().sort().to_list() == sorted(NAMES)
    assert latest.schema == regime_tables.LATEST and latest["market"].to_list()[-1] == regime_tables.ALL
