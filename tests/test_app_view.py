"""Views: built once, patched afterwards; a failure shows."""

import json
from datetime import date

import numpy as np
import panel as pn
import pytest
from bokeh.document import Document

from app import charts
from app.notebook import Ear
from app.pages import PAGES
from app.selection import Selection
from app.view import Board
from app.views import VIEWS, Equity, Months, Overview
from tests.synthetic_run import EmptyRun, SyntheticRun

RUN = SyntheticRun(years=3)
SPAN = (date(2013, 2, 1), date(2013, 11, 29))


@pytest.fixture
def board():
    made = Board(RUN)
    made.by_name = {name: kind(board=made) for name, kind in VIEWS.items()}
    return made


@pytest.mark.parametrize(
    ("given", "said"),
    [((None,), r"None for its run; allowed is a run: .*load\("), (("last",), "'last' for its run"),
     ((RUN, "ZC"), r"'ZC' for its selection; allowed is a Selection")],
)  # fmt: skip
def test_a_view_says_what_it_can_be_given(given, said):
    with pytest.raises(TypeError, match=said):
        Equity(*given)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("run", [RUN, EmptyRun(years=1)], ids=["run", "empty"])
def test_a_view_builds_and_is_a_valid_document(run, name):
    view = VIEWS[name](run)
    document = Document()
    document.add_root(view.root)
    document.validate()
    view.board.selection.days = (date(2050, 1, 1), date(2050, 2, 1))
    assert not view.board.alert.visible, view.board.alert.text


def told(view):
    """All that the models of a view say."""
    return {name: repr(model.properties_with_values()) for name, model in view.models.items()}


UNMOVED = {
    *("by_regime", "earnings", "spread", "transitions", "held_and_lost"),  # need a market, which a run of numbers lacks
    *("finding_calendar", "finding_list", "bad_row", "scores", "decisions"),  # of the store, not of the run
    *("runs", "overlay", "numbers", "sureness", "alike", "inputs"),  # of other runs
    *("sweep_surface", "sweep_trial", "sweep_lines"),
    *("about", "open_trade"),
}


def test_every_view_follows_a_selection(board):
    before = {name: told(view) for name, view in board.by_name.items()}
    board.selection.param.update(days=SPAN, markets=["ZC", "MES"])
    assert not board.alert.visible, board.alert.text
    assert {name for name, view in board.by_name.items() if told(view) == before[name]} == UNMOVED


def test_columns_of_a_source_stay_of_one_length(board):
    for picked in ({}, {"days": SPAN}, {"sectors": ["Energy"]}, {"days": (date(2050, 1, 1), date(2050, 1, 2))}):
        board.selection.reset()
        board.selection.param.update(**picked)
        for view in board.by_name.values():
            for properties in view.patch(board.slice).values():
                assert len({len(column) for column in properties.get("data", {"": []}).values()}) == 1


def test_the_browser_is_told_of_every_pick(board):
    for fields in ({"markets": ["ZC"]}, {"days": SPAN}, {"markets": []}):
        board.selection.pick(**fields)
        assert json.loads(board.gift.value)["pick"] == board.selection.to_query() != ""


def test_what_did_not_change_is_not_sent(board):
    curve = board.by_name["equity"].models["curve"]
    sent = []
    curve.on_change("data", lambda attr, old, new: sent.append(1))
    board.selection.days = SPAN
    assert sent == []
    board.selection.markets = ["ZC"]
    assert sent == [1]


def wish(board, **asked):
    """What the browser writes after a gesture."""
    board.wish.value = json.dumps(asked)


def test_a_box_over_days_picks_them_and_a_tap_picks_all_again(board):
    ms = [np.datetime64(day).astype("datetime64[ms]").astype(float) + 0.4 * 86_400_000 for day in SPAN]
    wish(board, do="range", field="days", ends=ms[::-1], live=False)
    assert board.selection.days == SPAN
    wish(board, do="range", field="days", ends=None)
    assert board.selection.days is None


def test_a_box_that_still_moves_shows_its_days_and_picks_none(board):
    ms = [np.datetime64(day).astype("datetime64[ms]").astype(float) for day in SPAN]
    wish(board, do="range", field="days", ends=ms, live=True, n=7)
    assert board.selection.days is None and not board.selection.can_undo
    assert "2013-02-01 to 2013-11-29" in board.by_name["strip"].models["strip"].text
    assert json.loads(board.gift.value)["n"] == 7
    wish(board, do="range", field="days", ends=None, n=8)
    assert "2012-01-03" in board.by_name["strip"].models["strip"].text


def test_a_tap_on_a_bar_picks_it_and_another_one_takes_it_out(board):
    wish(board, do="toggle", field="markets", value="ZC", n=1)
    assert board.selection.markets == ["ZC"]
    wish(board, do="toggle", field="markets", value="account", n=2)
    assert board.selection.markets == ["ZC"]
    wish(board, do="toggle", field="markets", value="ZC", n=3)
    assert board.selection.markets == []


@pytest.mark.parametrize(
    "asked",
    [{"do": "toggle", "field": "_past", "value": "x"}, {"do": "__init__"}, {"do": "regime", "kind": "<b>"}, {}, []],
)
def test_what_is_no_wish_is_told_and_changes_nothing(board, asked):
    before = board.selection.to_query()
    board.wish.value = json.dumps(asked)
    assert board.alert.visible and "That could not be done" in board.alert.text and "<b>&" not in board.alert.text
    assert board.selection.to_query() == before


def test_undo_redo_and_reset_by_wish(board):
    board.selection.days = SPAN
    board.selection.markets = ["ZC"]
    wish(board, do="undo", n=1)
    assert (board.selection.days, board.selection.markets) == (SPAN, [])
    wish(board, do="redo", n=2)
    assert board.selection.markets == ["ZC"]
    told = json.loads(board.gift.value)
    assert told["undo"] and not told["redo"] and told["pick"] == board.selection.to_query()
    wish(board, do="clear", field="days", value="")
    assert (board.selection.days, board.selection.markets) == (None, ["ZC"])
    wish(board, do="reset", n=3)
    assert board.selection.to_query() == ""
    wish(board, do="link", pick="2013-02-01~2013-11-29;m:ZC")
    assert (board.selection.days, board.selection.markets) == (SPAN, ["ZC"])


def test_a_tap_on_a_month_picks_its_days(board):
    wish(board, do="month", column="Feb", row="2013", n=1)
    assert board.selection.days == (date(2013, 2, 1), date(2013, 2, 28))
    wish(board, do="month", column="Feb", row="2013", n=2)
    assert board.selection.days is None


def test_a_view_out_of_sight_waits_until_it_is_seen(board):
    months, strip = board.by_name["months"], board.by_name["strip"]
    board.sight([strip])
    before = months.models["months"].text
    board.selection.markets = ["ZC"]
    assert months.models["months"].text == before
    board.sight([months])
    assert months.models["months"].text != before


def test_widgets_and_selection_follow_each_other(board):
    view = board.by_name["controls"]
    view.__panel__()
    view.models["sectors"].active = [0]
    assert board.selection.sectors == [board.columns.sectors[0]]
    board.selection.param.update(days=SPAN, markets=["ZC"])
    assert view.models["markets"].active == [board.columns.roots.index("ZC")]
    assert view.models["days"].value == tuple(np.array(SPAN, "datetime64[ms]").astype(float))
    slider = view.models["days"]
    slider.trigger("value_throttled", None, (slider.start, slider.end))
    assert board.selection.days is None
    board.selection.reset()
    assert view.models["sectors"].active == []


def test_a_failure_shows_where_the_user_looks(board, monkeypatch):
    monkeypatch.setattr(board.by_name["months"], "patch", lambda _: 1 / 0)
    board.selection.days = SPAN
    assert board.alert.visible
    assert "ZeroDivisionError" in board.alert.text
    monkeypatch.undo()
    board.selection.days = None
    assert not board.alert.visible


def test_views_with_one_selection_follow_each_other_and_share_no_model():
    """A model can be in one document only, and each cell of a notebook is one."""
    selection = Selection()
    first, second, other = Equity(RUN, selection), Months(RUN, selection), Months(RUN)
    assert not first.__panel__().get_root().references() & second.__panel__().get_root().references()
    assert first.board.columns is second.board.columns
    wish = {"do": "range", "field": "days", "ends": [float(end) for end in charts.milliseconds(SPAN)]}
    first.board.wish.value = json.dumps(wish)
    assert selection.days == SPAN
    assert 'class="gain out"' in second.models["months"].text
    assert 'class="gain out"' not in other.models["months"].text


def test_a_click_in_a_cell_is_a_wish():
    view = Months(RUN, Selection())
    (ear,) = view.__panel__().select(Ear)
    ear.wish = json.dumps({"do": "toggle", "field": "directions", "value": "long", "n": 1})
    assert view.board.selection.directions == ["long"]
    assert view.slice.chosen["directions"] == ["long"]
    assert not Months(board=Board(RUN)).__panel__().select(Ear)  # the page hears by itself


def test_a_view_in_a_notebook_without_panel_says_what_to_do(monkeypatch):
    monkeypatch.setattr(pn.extension, "_loaded", False)
    monkeypatch.setattr("holoviews.extension._loaded", False)
    shown, _ = Months(RUN)._repr_mimebundle_()
    assert "pn.extension(inline=True)" in shown["text/html"] and "pn.extension(inline=True)" in shown["text/plain"]


def test_an_overview_holds_every_view_and_says_that_prices_are_simulated():
    view = Overview(RUN)
    assert "Simulated prices" in view.root.text
    assert view.__panel__() is view.__panel__()
    assert [*view.parts] == ["chips", "controls", *(slot.view for slot in PAGES["overview"].slots)]


def test_names_cannot_become_html():
    bad = "<img src=x onerror=alert(1)>"
    run = SyntheticRun(years=1, sectors={bad: bad.replace(" ", "_")}, name=bad)
    for kind in VIEWS.values():
        view = kind(run)
        for model in view.root.references():
            assert "<img" not in str(getattr(model, "text", "")), kind


def test_a_brush_costs_little(board):
    import time

    board.selection.days = (date(2012, 3, 1), date(2014, 1, 3))
    began = time.process_time()
    for day in range(1, 11):
        board.selection.days = (date(2012, 3, day), date(2014, 1, 3))
    assert (time.process_time() - began) / 10 < 0.1  # about 5 ms; the bound only catches another order of magnitude
