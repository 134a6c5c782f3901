"""Regimes: numbers of the page against the analysis of the run, what is picked, and words where nothing is known."""

import json
import re
from datetime import date
from functools import cache
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import synthetic_run

from app.columns import NOT_NOW, Columns, Regimes
from app.selection import KINDS
from app.view import Board
from app.views import VIEWS
from app.views.regimes import Earned, Facts, best_of, coded, facts, sure
from app.views.ribbons import WAIT, WORDS
from engine.analysis import conditions
from engine.analysis.conditions import NOT_KNOWN
from engine.analysis.daily import Daily
from engine.analysis.regimes import labels
from tests import analysed

PAGE = ("ribbons", "earnings", "spread", "transitions", "held_and_lost")
TABLES = ("earnings", "transitions", "held_and_lost")
SPAN = (date(2024, 9, 2), date(2026, 6, 30))


@cache
def made():
    """A run of three markets and its market."""
    return analysed.made(4, 900, sleeves=2)


def page(kind="trend", columns=None):
    """(board, {name: view}), worked out, told by a kind of regimes."""
    run, held = made()
    board = Board(columns or Columns.of(run, market=held))
    board.selection.regime = kind
    views = {name: VIEWS[name](board=board) for name in PAGE}
    board.settle()
    assert not board.alert.visible, board.alert.text
    return board, views


def text(view, model=None):
    """What a view says, without its tags."""
    words = next(one.text for name, one in view.models.items() if name == (model or view.key))
    return " ".join(re.sub(r"<[^>]+>", " ", words).split())


def rows(view):
    """{regime: texts of its row} of a table."""
    found = re.findall(r"<tr class=\"\w*\">(.*?)</tr>", view.models[view.key].text)
    cells = [[re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in found]
    return {row[0]: row[1:] for row in cells}


# ---- numbers are those of the analysis


@pytest.mark.parametrize("kind", KINDS)
def test_everything_picked_is_what_the_analysis_says_of_the_run(kind):
    run, held = made()
    board, _ = page(kind)
    daily = Daily.of(run)
    known = conditions.known_before(labels(held, kind), held.names, daily)
    found = facts(board.slice)
    assert found.known.together.tolist() == known.together.tolist()
    for of in (conditions.performance, conditions.distribution, conditions.drawdowns):
        mine, whole = of(found.known, found.earned), of(known, daily)
        assert mine.select(pl.col(pl.String)).rows() == whole.select(pl.col(pl.String)).rows()
        for name in mine.select(pl.col(pl.Float64, pl.Int64)).columns:
            one, two = (frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for frame in (mine, whole))
            assert one == pytest.approx(two, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_the_table_has_the_numbers_of_each_regime():
    board, views = page()
    found = facts(board.slice)
    frame = conditions.performance(found.known, found.earned)
    told = rows(views["earnings"])
    assert list(told) == frame["regime"].to_list()
    for row in frame.to_dicts():
        assert told[row["regime"]][0] == f"{row['days']:,}"
        for cell, name in ((8, "p_value"), (9, "p_moved")):
            assert told[row["regime"]][cell] == ("–" if row[name] is None else f"{row[name]:.3f}")
        money = f"{abs(row['profit']):,.0f}"
        assert told[row["regime"]][3] == ("-$" if row["profit"] < 0 else "$") + money
    profits = [row["profit"] for row in frame.to_dicts()]
    assert sum(profits) == pytest.approx(board.slice.profit[1:].sum())


def test_profits_follow_what_is_picked_and_sum_to_it():
    board, views = page()
    whole = rows(views["earnings"])
    board.selection.pick(directions=["long"], days=SPAN)
    picked = board.slice
    found = facts(picked)
    assert found.known.together.tolist() == coded(board.columns.regimes("trend"))[picked.rows].tolist()
    frame = conditions.performance(found.known, found.earned)
    assert frame["profit"].sum() == pytest.approx(picked.profit[picked.rows].sum(), abs=0.005)
    assert rows(views["earnings"]) != whole
    held = conditions.exposure(made()[0], *_whole_days(board), _asked(picked))
    told = ["–" if x is None else f"{x:,.2f}" for x in held["leverage"]]
    assert [row[0] for row in rows(views["held_and_lost"]).values()] == told


def _whole_days(board):
    daily = Daily.of(made()[0])
    return conditions.known_before(labels(made()[1], "trend"), (), SimpleNamespace(days=daily.days, names=())), daily


def _asked(picked):
    asked = np.zeros(len(picked.columns.days) - 1, bool)
    asked[picked.first - 1 : picked.last] = True
    return asked


def test_a_picked_regime_hides_no_other_and_changes_no_row():
    board, views = page()
    before = {name: rows(views[name]) for name in TABLES}
    board.selection.regimes = ["down"]
    for name in TABLES:
        assert rows(views[name]) == before[name]
        html = views[name].models[name].text
        assert 'data-value="down" aria-pressed="true"' in html
        assert html.count('<tr class="pale">') == len(before[name]) - 1


def test_quantiles_are_those_of_the_days():
    board, views = page()
    source = views["spread"].models["spread"].data
    code, returns = coded(board.columns.regimes("trend"))[1:], Daily.of(made()[0]).returns
    place = {name: k for k, name in enumerate(("down", "flat", "up"))} | {NOT_KNOWN: -1}
    assert views["spread"].models["spread_y"].factors == source["regime"].tolist()
    for k, name in enumerate(source["regime"]):
        own = returns[code == place[name]]
        assert source["days"][k] == len(own)
        for column, share in (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95)):
            assert source[column][k] == pytest.approx(np.quantile(own, share))
    axis = views["spread"].models["spread_x"]
    assert axis.start < source["q05"].min() and axis.end > source["q95"].max()
    assert len({len(column) for column in source.values()}) == 1


def test_chances_of_the_day_after_are_counted():
    columns = Columns.of(synthetic_run.SyntheticRun(years=1))
    code = np.full(len(columns.days), 3, np.int32)
    code[1:9] = [0, 0, 1, 1, 1, 2, 0, 0]  # low low normal normal normal high low low: of 3 days in low 2 stay
    columns.made["regimes volatility"] = Regimes(("low", "normal", "high", NOT_KNOWN), code, "")
    columns = _with_market(columns)
    told = rows(page("volatility", columns)[1]["transitions"])
    assert told["low"] == ["66.7 %", "33.3 %", "0.0 %", "2", "2.0"]
    assert told["normal"] == ["0.0 %", "66.7 %", "33.3 %", "1", "3.0"]
    assert told["high"] == ["100.0 %", "0.0 %", "0.0 %", "1", "1.0"]


def _with_market(columns):
    """Columns whose other regimes are known to be none."""
    for kind in KINDS:
        columns.made.setdefault(f"regimes {kind}", Regimes((), np.zeros(len(columns.days), np.int32), "none here"))
    object.__setattr__(columns, "market", lambda: None)
    return columns


# ---- ribbons


def test_ribbons_cover_each_known_day_once_with_its_regime():
    board, views = page()
    source, days = views["ribbons"].models["ribbon"].data, board.columns.days
    for kind in KINDS:
        found = board.columns.regimes(kind)
        mine = source["kind"] == WORDS[kind]
        code = np.full(len(days), len(found.names) - 1)
        for left, right, name in zip(*(source[key][mine] for key in ("left", "right", "regime")), strict=True):
            ends = np.searchsorted(days, np.array([left, right]).astype("datetime64[ms]").astype("datetime64[D]"))
            first = ends[0] + (0 if left == _ms(days[0]) and found.code[0] == found.names.index(name) else 1)
            assert (code[first : ends[1] + 1] == len(found.names) - 1).all()
            code[first : ends[1] + 1] = found.names.index(name)
        assert code[1:].tolist() == found.code[1:].tolist(), kind
    assert len({len(column) for column in source.values()}) == 1


def _ms(day):
    return float(day.astype("datetime64[ms]").astype(np.int64))


def test_a_tap_on_a_ribbon_picks_the_regime_of_its_day():
    board, _views = page("volatility")
    found, days = board.columns.regimes("trend"), board.columns.days
    row = int(np.flatnonzero(found.code == found.names.index("down"))[0])
    at = (_ms(days[row - 1]) + _ms(days[row])) / 2.0  # between the closes: the day that ends with the later one
    asked = json.dumps({"do": "ribbon", "row": WORDS["trend"], "at": at})
    board.fulfil(asked)
    assert (board.selection.regime, board.selection.regimes) == ("trend", ["down"])
    board.fulfil(asked)
    assert board.selection.regimes == []
    board.fulfil(json.dumps({"do": "ribbon", "row": "Weather", "at": at}))
    assert board.selection.regimes == [] and not board.alert.visible


def test_the_choice_of_the_kind_is_that_of_the_page():
    board, views = page("volatility")
    assert set(rows(views["earnings"])) - {NOT_KNOWN} == {"low", "normal", "high"}
    board.fulfil('{"do": "regime", "kind": "term"}')
    assert set(rows(views["earnings"])) - {NOT_KNOWN} == {"contango", "flat", "backwardation"}
    assert 'data-kind="term" aria-pressed="true"' in views["ribbons"].models["ribbon_head"].text
    words = text(views["ribbons"], "ribbon_text")
    assert all(name in words for kind in KINDS for name in board.columns.regimes(kind).names[:-1])


def test_days_that_are_not_picked_lie_under_a_veil():
    board, views = page()
    veils = [views["ribbons"].models[f"ribbon_{edge}_{k}"] for edge in ("left", "right") for k in (0, 1)]
    assert not any(veil.visible for veil in veils)
    board.selection.days = SPAN
    assert all(veil.visible for veil in veils)
    assert veils[3].left == _ms(board.columns.days[board.slice.last])


# ---- words


def test_how_sure_is_said_in_words():
    row = {"regime": "low", "p_value": 0.02, "warning": ""}
    assert sure(row) == "1 in 50 by chance" and sure(row | {"p_value": 0.0500001}) == "as chance would"
    assert sure(row | {"warning": "2 episodes, fewer than 10"}) == "an anecdote: 2 episodes, fewer than 10"
    assert sure(row | {"p_value": None}) == ""
    frame = pl.DataFrame({"regime": ["low", "high", NOT_KNOWN], "annual": [0.1, -0.05, 0.9]})
    assert best_of(frame, "term").startswith("Most a year in low (10.0 %), least in high (-5.0 %). By curve of all")


# ---- what is not there


def test_before_regimes_are_worked_out_there_are_words():
    run, held = made()
    views = {name: VIEWS[name](board=Board(Columns.of(run, market=held))) for name in PAGE}
    for name in TABLES:
        assert text(views[name]) == WAIT
    assert text(views["spread"], "spread_text") == WAIT and not views["spread"].models["spread_plot"].visible
    assert WAIT in text(views["ribbons"], "ribbon_head") and NOT_NOW not in text(views["ribbons"], "ribbon_head")


def test_without_the_market_the_reason_is_said():
    board = Board(synthetic_run.SyntheticRun(years=1))
    views = {name: VIEWS[name](board=board) for name in PAGE}
    board.settle()
    for name in TABLES:
        assert text(views[name]) == "Regimes need the market of the run, which is read from its store: open one."
    assert "read from its store" in text(views["ribbons"], "ribbon_head")
    assert not views["ribbons"].models["ribbon_plot"].visible


@pytest.mark.parametrize("pick", [{"days": (date(2050, 1, 1), date(2050, 2, 1))}, {"markets": ["none"]}], ids=str)
def test_nothing_picked_is_no_failure(pick):
    board, views = page()
    board.selection.pick(**pick)
    assert not board.alert.visible, board.alert.text
    if "days" in pick:
        assert text(views["earnings"]) == "No day is picked: widen the dates."
    else:
        assert {row[3] for row in rows(views["earnings"]).values()} == {"$0"}


def test_a_run_that_never_traded_has_regimes_and_no_profit():
    run, held = analysed.empty(400)
    board, views = page(columns=Columns.of(run, market=held))
    assert isinstance(facts(board.slice), Facts)
    assert set(row[0] for row in rows(views["held_and_lost"]).values()) <= {"0.00", "–"}


def test_names_of_fields_are_those_that_the_analysis_reads():
    assert {"returns", "profit", "interest", "base", "alone", "compounding"} == set(Earned._fields)
