"""Ways: what a link tells of how views show a run, there and back, on a real store."""

import json

import pytest

from app.chainbook import chosen
from app.columns import Columns
from app.compared import Compared
from app.page import Stage
from app.view import Board, same
from app.views.roll_lab import laboratory_of
from app.ways import from_query, to_query
from engine.result import listed, load
from store import open_archive
from tests import command

WISHES = (  # page, what is asked there, what the link says then
    ("overview", {"do": "equity", "value": "percent"}, "scale:percent"),
    ("overview", {"do": "equity", "value": "log"}, "axis:log"),
    ("trades", {"do": "trade_sort", "column": "net"}, "sort:net.down"),
    ("trades", {"do": "trade_frame", "value": "adjusted"}, "frame:adjusted"),
    ("trades", {"do": "trade_detail", "value": "days"}, "detail:days"),
    ("trades", {"do": "excursion", "value": "ranges"}, "excursion:ranges"),
    ("risk", {"do": "exceedances", "value": "gaussian"}, "var:gaussian"),
    ("risk", {"do": "exceedances", "value": "0.99"}, "var_level:0.99"),
    ("risk", {"do": "components", "value": "component_cvar"}, "parts:component_cvar"),
    ("compare", {"do": "align", "value": "volatility"}, "align:volatility"),
    ("contracts", {"do": "joined_span", "value": "all"}, "span:all"),
    ("contracts", {"do": "ruled_scope", "value": "all"}, "scope:all"),
    ("quality", {"do": "finding_kind", "value": "all"}, "findings:all"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two runs."""
    place, _ = command.ran(tmp_path_factory.mktemp("ways"))
    with pytest.raises(SystemExit) as end:
        command.main(["run", "cross", "--set", "slow=30", "--store", str(place)])
    assert end.value.code == 0
    return place


def opened(store, page, view=""):
    """(board, views) of the newest run, as a link shows a page of it."""
    archive = open_archive(store)
    board = Board(Columns.of(load(archive, "last"), archive), archive=archive, ways=from_query(view))
    if page == "trades":
        board.selection.trade = int(board.columns.table["trade"][0])
    stage = Stage(board)
    stage.open(page)
    assert not board.alert.visible, board.alert.text
    return board, stage.views


def linked(board):
    """What the link says of how it is shown."""
    return json.loads(board.gift.value)["view"]


def alike(one, other):
    """Whether two pages show the same."""
    return all(view is not None and same(view._shown, other[name]._shown) for name, view in one.items())


@pytest.mark.parametrize(("page", "asked", "told"), WISHES, ids=[told for *_, told in WISHES])
def test_what_a_button_chose_stands_in_the_link_and_a_link_shows_the_same(store, page, asked, told):
    board, views = opened(store, page)
    usual = linked(board)
    assert told not in usual
    board.fulfil(json.dumps(asked))
    assert set(linked(board).split(";")) - set(usual.split(";")) == {told}
    again, others = opened(store, page, linked(board))
    assert linked(again) == linked(board) and alike(views, others)
    assert not alike(opened(store, page)[1], others), "the button changed nothing that is seen"


def test_lists_and_fields_stand_in_the_link_too(store):
    board, views = opened(store, "attribution")
    views["pivot"].choices[0].value = "sector"
    assert linked(board) == "rows:sector"
    _, others = opened(store, "attribution", linked(board))
    assert others["pivot"].choices[0].value == "sector" and alike(views, others)

    board, views = opened(store, "contracts")
    views["chain_market"].rule.value = "last-trade-3"
    views["roll_lab"].fields[1].value = "month-end-3"
    assert linked(board) == "rule:last-trade-3;second:month-end-3"
    again, others = opened(store, "contracts", linked(board))
    assert chosen(again).book.rule == "last-trade-3" and laboratory_of(again).rules[1] == "month-end-3"
    assert alike(views, others)

    board, views = opened(store, "trades")
    views["trades"].search.value_input = "6E"
    assert linked(board) == "find:6e"
    assert alike(views, opened(store, "trades", "find:6e")[1])


def test_a_link_keeps_the_runs_beside_each_other_and_leaves_out_those_that_are_gone(store):
    board, _ = opened(store, "compare")
    newest = board.columns.run.id
    (older,) = {row["run"] for row in listed(open_archive(store))} - {newest}
    assert linked(board) == f"runs:{older}"
    board.fulfil(json.dumps({"do": "compare", "run": older}))
    assert linked(board) == "runs:"
    assert Compared.of(opened(store, "compare", "runs:")[0]).ids == (newest,)
    again, _ = opened(store, "compare", f"runs:gone,{newest},{older}")
    assert Compared.of(again).ids == (newest, older) and linked(again) == f"runs:{older}"


@pytest.mark.parametrize("view", ["scale:inches", "axis:", "sort:nothing.down", "rows:weather", "market:XX", "span:99"])
def test_a_value_that_there_is_not_is_the_usual_one(store, view):
    page = {"scale": "overview", "axis": "overview", "sort": "trades", "rows": "attribution"}
    page = page.get(view.partition(":")[0], "contracts")
    assert alike(opened(store, page)[1], opened(store, page, view)[1])


def test_a_link_that_cannot_be_read_says_what_it_may_ask_for():
    with pytest.raises(ValueError, match=r"the view 'sclae:percent'; allowed are NAME:VALUE.*names are .*axis.*scale"):
        from_query("axis:log;sclae:percent")
    with pytest.raises(ValueError, match="the view 'axis'"):
        from_query("axis")


def test_texts_pass_through_a_link_whole():
    ways = {"runs": ("a;b", "c,d:e", "ü &?#")}
    assert from_query(to_query(ways)) == ways
    assert not set("&?# ") & set(to_query(ways))


@pytest.mark.parametrize("name", ["rule", "first", "market", "rows", "find", "sort", "span", "finding", "runs"])
def test_a_hostile_link_stays_text(store, name):
    view = to_query({name: ("<img src=x onerror=alert(1)>",)})
    page = {"rows": "attribution", "find": "trades", "sort": "trades", "finding": "quality", "runs": "compare"}
    _, views = opened(store, page.get(name, "contracts"), view)
    texts = [value for one in views.values() for (_, key), value in one._shown.items() if key == "text"]
    assert texts and not [text for text in texts if "<img" in text]
