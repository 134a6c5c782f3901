"""Risk: numbers of the page by other ways, what days and markets picked leave of it, limits, and words for nothing."""

import json
import re
from datetime import date
from functools import cache
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
import synthetic_run

from app.columns import Columns
from app.pages import PAGES
from app.report import OWN
from app.view import Board
from app.views import VIEWS
from app.views.limits import back_words, value_text
from app.views.risk import NO_DAY, NOTHING
from app.views.worked import WAIT, Failed
from store import open_archive
from tests import analysed
from tests.command import copied

PAGE = tuple(slot.view for slot in PAGES["risk"].slots)
SPAN = (date(2025, 1, 2), date(2025, 12, 31))


@cache
def made():
    """A run of three markets and its market."""
    return analysed.made(4, 900, sleeves=2)


def shown(run, archive=None, **picked):
    """(board, {name: view}) with all that takes long worked out."""
    board = Board(Columns.of(run, archive), archive=archive)
    views = {name: VIEWS[name](board=board) for name in PAGE}
    board.settle()
    if picked:
        board.selection.pick(**picked)
    assert not board.alert.visible, board.alert.text
    return board, views


def page(**picked):
    """The same of the run of three markets."""
    return shown(made()[0], **picked)


def text(view):
    """What a view says, without its tags."""
    words = " ".join(m.text for m in view.models.values() if isinstance(getattr(m, "text", None), str))
    return " ".join(re.sub(r"<[^>]+>", " ", words).split())


def data(view, name):
    """The columns of a source."""
    return {key: np.asarray(values) for key, values in view.models[name].data.items()}


def equity():
    """(days, equity, returns) of the run, from its own table; it neither pays in nor out."""
    frame = made()[0].equity()
    worth = frame["equity"].to_numpy()
    return frame["day"].to_numpy(), worth, np.diff(worth) / worth[:-1]


# ---- numbers, by another way


def test_value_at_risk_is_the_quantile_of_the_days_in_percent_and_money():
    _, worth, returns = equity()
    var = -np.quantile(returns, 0.05)
    beyond = -returns[returns <= -var].mean()
    told = text(page()[1]["var"])
    assert (
        f"As it was {100 * var:.2f} % ${var * worth[-1]:,.0f} {100 * beyond:.2f} % ${beyond * worth[-1]:,.0f}" in told
    )
    assert f"all {len(returns):,} days" in told and "under all filters" in told


def test_value_at_risk_is_of_what_is_picked():
    board, views = page(markets=["A"], days=SPAN)
    var = -np.quantile(board.slice.returns, 0.05)
    assert f"As it was {100 * var:.2f} %" in text(views["var"])
    assert f"of {len(board.slice.returns):,} days" in text(views["var"])


def test_days_that_lost_more_are_those_below_the_quantile_of_the_days_before():
    _, views = page()
    days, _, returns = equity()
    begun = int(np.searchsorted(days[1:], made()[0].positions()["day"].min()))  # before it nothing could be lost
    past = [returns[max(k - 500, begun) : k] for k in range(len(returns))]
    told = [np.nan if len(known) < 250 else np.quantile(known, 0.05) for known in past]
    drawn, beyond = data(views["exceedances"], "losses"), data(views["exceedances"], "beyond")
    assert drawn["told"] == pytest.approx(told, nan_ok=True) and drawn["return"] == pytest.approx(returns)
    worse = returns < np.array(told)
    assert beyond["day"].tolist() == days[1:][worse].astype("datetime64[ms]").astype(float).tolist()
    count, number = int(worse.sum()), int(np.isfinite(told).sum())
    assert f"{count} of {number} days of the whole run lost more than told" in text(views["exceedances"])


def test_another_method_and_level_are_drawn_and_told():
    board, views = page()
    view = views["exceedances"]
    before = data(view, "losses")["told"]
    for value in ("filtered", "0.99", "nonsense"):
        board.fulfil(json.dumps({"do": "exceedances", "value": value}))
    after = data(view, "losses")["told"]
    assert (view.method, view.level) == ("filtered", "0.99") and not np.array_equal(before, after, equal_nan=True)
    assert 'data-value="filtered" aria-pressed="true"' in view.models["losses_text"].text


def test_the_parts_of_the_markets_add_up_to_the_value_at_risk():
    board, views = page()
    _, _, returns = equity()
    normal = -(returns.mean() + NormalDist().inv_cdf(0.05) * returns.std())
    assert data(views["components"], "parts")["part"].sum() == pytest.approx(normal)
    assert f"add up to {100 * normal:.2f} %" in text(views["components"])
    board.fulfil('{"do": "components", "value": "component_cvar"}')
    var = -np.quantile(returns, 0.05)
    assert data(views["components"], "parts")["part"].sum() == pytest.approx(-returns[returns <= -var].mean())


def test_the_parts_follow_the_days_and_markets_not_picked_are_pale():
    board, views = page(days=SPAN, markets=["B"])
    bars = data(views["components"], "parts")
    returns = equity()[2][board.slice.first - 1 : board.slice.last]
    assert bars["part"].sum() == pytest.approx(-(returns.mean() + NormalDist().inv_cdf(0.05) * returns.std()))
    assert {name: alpha for name, alpha in zip(bars["name"], bars["alpha"], strict=True) if alpha > 0.5} == {"B": 0.95}


def test_leverage_is_notional_net_over_strategies_over_equity():
    run = made()[0]
    held = run.positions().group_by("day", "market", "contract").agg(pl.col("notional").sum())
    days = held.group_by("day").agg(gross=pl.col("notional").abs().sum(), net=pl.col("notional").sum())
    joined = run.equity()[1:].join(days, on="day", how="left", maintain_order="left").fill_null(0.0)
    drawn = data(page()[1]["leverage"], "leverage")
    assert drawn["leverage"] == pytest.approx((joined["gross"] / joined["equity"]).to_numpy())
    assert drawn["net_leverage"] == pytest.approx((joined["net"] / joined["equity"]).to_numpy())


def test_leverage_and_concentration_are_those_of_the_markets_and_days_picked():
    run = made()[0]
    board, views = page(days=SPAN, markets=["C"])
    held = run.positions().filter(pl.col("market") == "C").group_by("day", "contract").agg(pl.col("notional").sum())
    gross = dict(held.group_by("day").agg(pl.col("notional").abs().sum()).rows())
    rows = run.equity().filter(pl.col("day").is_between(*SPAN))
    wanted = [gross.get(day, 0.0) / worth for day, worth in rows.select("day", "equity").rows()]
    assert data(views["leverage"], "leverage")["leverage"] == pytest.approx(wanted)
    bets = data(views["concentration"], "concentration")["bets"]
    assert set(np.round(bets[np.isfinite(bets)], 12)) == {1.0}
    assert "of the markets picked, on the days picked" in text(views["leverage"])
    assert len(bets) == board.slice.count


def test_correlation_is_that_of_weeks_in_which_both_earned_or_lost():
    run = made()[0]
    board, views = page()
    days, worth, _ = equity()
    row = {day: k for k, day in enumerate(days.tolist())}
    profit = np.zeros((len(days) - 1, 2))
    for day, market, amount in run.ledger().select("day", "market", "amount").rows():
        if market in ("A", "B"):
            profit[row[day] - 1, "AB".index(market)] += amount
    shares = profit / worth[:-1, None]
    weeks = shares[: len(shares) // 5 * 5].reshape(-1, 5, 2).sum(axis=1)
    both = weeks[(weeks != 0.0).all(axis=1)]
    cells = data(views["correlation"], "pairs")
    (at,) = np.flatnonzero((cells["market"] == "A") & (cells["other"] == "B"))
    assert cells["correlation"][at] == pytest.approx(np.corrcoef(both.T)[0, 1]) and cells["weeks"][at] == len(both)
    board.fulfil('{"do": "pair", "column": "A", "row": "B"}')
    assert sorted(board.selection.markets) == ["A", "B"]
    board.fulfil('{"do": "pair", "column": "A", "row": "B"}')
    assert board.selection.markets == []
    board.fulfil('{"do": "pair", "column": "<b>", "row": "Q"}')
    assert board.selection.markets == []


def test_days_picked_narrow_every_picture():
    board, views = page(days=SPAN)
    first, last = (np.datetime64(day, "ms").astype(float) for day in SPAN)
    for view, source in (("exceedances", "losses"), ("leverage", "leverage"), ("concentration", "concentration")):
        at = data(views[view], source)["day"]
        assert len(at) == board.slice.count and first <= at.min() and at.max() <= last
    board.selection.pick(days=(date(1990, 1, 1), date(1990, 1, 5)))
    for name in ("exceedances", "var", "components", "leverage", "concentration", "correlation"):
        assert NO_DAY in text(views[name]), name


# ---- limits


@pytest.fixture
def limited(ran, tmp_path):
    """(run, archive) beside which limits lie that are broken on the last day."""
    from engine.result import load

    store = copied(ran[0], tmp_path)
    levels = "[margin_to_equity]\namber = 0.000001\nred = 0.9\n[max_drawdown]\namber = 0.9\n"
    (store / "risk_limits.toml").write_text(levels)
    archive = open_archive(store)
    return load(archive, ran[1]), archive


def test_limits_stand_as_the_file_beside_the_store_says_with_what_brings_them_back(limited):
    run, archive = limited
    board, views = shown(run, archive)
    told = text(views["limits"])
    last = run.positions().filter(pl.col("day") == run.equity()["day"][-1])
    assert len(last), "the run must hold something on its last day"
    used = float(run.equity()["margin"][-1] / run.equity()["equity"][-1])
    assert f"Margin to equity amber {100 * used:.2f} %" in told and "Drawdown green" in told
    held = last.group_by("market").agg(pl.col("contracts").sum())
    for market, contracts in held.rows():
        verb = "sell" if contracts > 0 else "buy"
        assert f"{verb} {abs(contracts):,.0f} of {abs(contracts):,.0f} {market}" in told
    assert "1 green, 1 amber: Margin to equity; the levels of risk_limits.toml" in told
    bars = data(views["limits"], "limits")
    assert set(bars["limit"]) == {"Margin to equity"} and set(bars["state"]) == {"amber"}
    assert "Of what is held on the last day" in text(views["var"])
    board.selection.pick(days=(run.equity()["day"][5], run.equity()["day"][9]))
    assert views["limits"].models["limits_left"].visible


def test_without_a_store_what_reads_prices_is_unknown():
    told = text(page()[1]["limits"])
    assert "Value at risk, 1 day unknown" in told and "there is no store" in told and "Drawdown" in told


def test_a_limits_file_that_cannot_be_read_is_said_in_place(limited):
    run, archive = limited
    (archive.path / "risk_limits.toml").write_text("[margin]\namber = 1\n")
    board, views = shown(run, archive)
    assert "This cannot be told." in text(views["limits"]) and "unknown limit [margin]" in text(views["limits"])
    assert isinstance(board.worked["limits"], Failed)
    assert "Gross" in text(views["leverage"])


def test_a_trade_that_does_not_help_is_said_so():
    row = {"back_to": "green", "market": None, "method": "none: a trade does not undo a loss"}
    assert back_words([row]) == "to green: none: a trade does not undo a loss"
    assert value_text("stale_data", 1.0) == "1 day"


# ---- nothing to show


def test_until_it_is_worked_out_a_view_says_so():
    board = Board(Columns.of(made()[0]))
    view = VIEWS["leverage"](board=board)
    assert WAIT in text(view) and not view.models["leverage_plot"].visible
    board.settle()
    assert WAIT not in text(view) and view.models["leverage_plot"].visible


def test_in_a_notebook_a_view_is_worked_out_when_it_is_shown():
    view = VIEWS["leverage"](made()[0])
    view.__panel__()
    assert WAIT not in text(view) and len(data(view, "leverage")["day"]) > 100


@pytest.mark.parametrize("name", [name for name in PAGE if name != "positions"])
def test_a_run_without_trades_says_so(name):
    assert NOTHING in text(shown(synthetic_run.EmptyRun(years=1))[1][name])


def test_a_short_run_and_one_of_one_market_say_what_is_lacking():
    _, views = shown(synthetic_run.SyntheticRun(years=0.6))
    assert "250 days have to be known first" in text(views["exceedances"])
    _, views = shown(synthetic_run.SyntheticRun(years=2, sectors={"Energy": "CL"}))
    assert "No pair of markets" in text(views["correlation"]) and not views["correlation"].models["pairs_plot"].visible
    assert "1 markets" not in text(views["concentration"])


def test_names_are_escaped():
    _, views = shown(synthetic_run.SyntheticRun(years=1, sectors={"Energy": "<img/src=x> CL"}))
    raw = " ".join(
        m.text for view in views.values() for m in view.models.values() if isinstance(getattr(m, "text", None), str)
    )
    assert "<img" not in raw and "&lt;img/src=x&gt;" in raw


def test_the_report_has_of_this_page_what_it_had():
    assert [slot.view for slot in OWN["risk"].slots] == ["positions"]
