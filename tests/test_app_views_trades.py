"""The page of trades: rows a page at a time, one trade's prices and numbers, excursions and streaks."""

import re

import numpy as np
import pytest

from app import source
from app.columns import Columns
from app.listing import SIZE
from app.view import Board
from app.views import open_trade
from app.views.excursions import LONGEST, POINTS, Excursions, Streaks, chosen
from app.views.open_trade import OpenTrade, folded, marks_of, prices_of
from app.views.trades import TradeResults, Trades, listing
from engine.analysis.excursions import excursions
from engine.analysis.explain import explain
from engine.analysis.source import given
from tests import analysed
from tests.synthetic_run import EmptyRun, SyntheticRun
from tests.test_engine_analysis_trade_chart import rolled

SYNTHETIC = SyntheticRun(years=2)
VIEWS = (Trades, OpenTrade, Excursions, Streaks, TradeResults)


def shown(columns):
    """A board with all views of the page, which have begun what takes long."""
    made = Board(columns)
    made.by_name = {kind.__name__: kind(board=made) for kind in VIEWS}
    made.settle()
    return made


@pytest.fixture(scope="module")
def made():
    return analysed.made(6)


@pytest.fixture
def board(made):
    run, market = made
    return shown(Columns.of(run, market=market))


def text(board, view, model):
    return board.by_name[view].models[model].text


def numbers(board):
    """Numbers of the trades in the rows in sight."""
    return [int(n) for n in re.findall(r'<tr data-do="trade" data-trade="(\d+)"', text(board, "Trades", "trade_rows"))]


def test_a_page_of_rows_is_sent_and_no_more(board):
    table = board.columns.table
    assert numbers(board) == table["trade"].head(SIZE).to_list()
    board.fulfil('{"do": "trade_page", "page": "1"}')
    assert numbers(board) == table["trade"][SIZE : 2 * SIZE].to_list()
    assert f"{SIZE + 1} to {2 * SIZE} of {len(table)}" in text(board, "Trades", "trade_rows")
    board.fulfil('{"do": "trade_page", "page": "999999"}')
    assert numbers(board) == table["trade"][(len(table) - 1) // SIZE * SIZE :].to_list()


def test_a_heading_sorts_and_a_text_finds(board):
    board.fulfil('{"do": "trade_sort", "column": "net"}')
    best = board.columns.table.sort("net", descending=True)["trade"].head(3).to_list()
    assert numbers(board)[:3] == best
    assert "aria-sort=descending" in text(board, "Trades", "trade_rows")
    market = board.columns.table["market"][0]
    board.by_name["Trades"].search.value_input = market
    mine = board.columns.table.filter(board.columns.table["market"] == market)
    assert set(numbers(board)) <= set(mine["trade"])
    assert f"{len(mine)} of them with “{market.lower()}”" in text(board, "Trades", "trade_words")


def test_rows_follow_the_selection(board):
    board.selection.directions = ["short"]
    net = board.columns.table.filter(board.columns.table["direction"] == "short")["net"]
    assert text(board, "Trades", "trade_words").startswith(f'<p class="note">{len(net)} of {len(board.columns.table)} ')
    assert len(board.by_name["Excursions"].models["excursions"].data["net"]) == len(net)
    streaks = board.by_name["Streaks"].models["streaks"].data
    long_ = np.arange(1, LONGEST + 1)
    won = (streaks["top"][:LONGEST] * long_).sum()
    assert won <= (net > 0.0).sum() and streaks["bottom"][LONGEST:].sum() < 0.0


def test_a_row_opens_its_trade_and_once_more_closes_it(board):
    board.fulfil('{"do": "trade", "trade": "7"}')
    assert board.selection.trade == 7 and "t:7" in board.gift.value
    assert '<tr data-do="trade" data-trade="7" class=picked>' in text(
        board, "Trades", "trade_rows"
    ) or 7 not in numbers(board)
    assert text(board, "OpenTrade", "one_head").startswith('<div class="row"><b class="one">Trade 7: ')
    assert board.by_name["OpenTrade"].models["one_plot"].visible
    board.fulfil('{"do": "trade", "trade": "7"}')
    assert board.selection.trade is None and "No trade is open" in text(board, "OpenTrade", "one_head")
    assert not board.by_name["OpenTrade"].models["one_plot"].visible


@pytest.mark.parametrize("asked", ['{"do": "trade", "trade": "99999"}', '{"do": "trade", "trade": "<b>"}',
                                   '{"do": "trade_sort", "column": "x"}'])  # fmt: skip
def test_what_is_not_there_is_said_so(board, asked):
    board.fulfil(asked)
    assert board.alert.visible and "That could not be done" in board.alert.text
    assert board.selection.trade is None and "<b>x" not in board.alert.text


def test_the_trades_beside_it_are_those_of_the_table(board):
    board.fulfil('{"do": "trade_sort", "column": "net"}')
    rows = listing(board).rows(board.slice)
    order = board.columns.table["trade"].to_numpy()[rows]
    board.fulfil(f'{{"do": "trade", "trade": "{order[30]}", "turn": "1"}}')
    beside = re.findall(r'data-turn="1" data-trade="(\d*)"', text(board, "OpenTrade", "one_head"))
    assert [int(number) for number in beside] == [order[29], order[31]]
    assert order[30] in numbers(board)  # the table turned to its page
    board.fulfil(f'{{"do": "trade", "trade": "{order[0]}"}}')
    assert re.findall(r'data-trade="(\d*)" (disabled)?', text(board, "OpenTrade", "one_head"))[0] == ("", "disabled")


def test_the_table_beneath_the_chart_is_that_of_explain(board, made):
    run, market = made
    told = given(market, run)
    board.fulfil('{"do": "trade", "trade": "3"}')
    net = run.trades().filter(run.trades()["trade"] == 3)["net"][0]
    assert f"Its amounts sum to {net:,.2f} USD" in text(board, "OpenTrade", "one_table")
    frame = explain(run, told, 3)
    rows = folded(frame)
    assert len(rows) < len(frame)
    assert sum(row["amount"] or 0.0 for row in rows) == pytest.approx(frame["amount"].sum(), abs=1e-9)
    board.fulfil('{"do": "trade_detail", "value": "days"}')
    assert text(board, "OpenTrade", "one_table").count("<tr>") == len(frame) + 1


def test_prices_jump_at_a_roll_in_contract_prices_and_do_not_when_adjusted():
    run, market = rolled()
    found = open_trade.find(Columns.of(run, market=market), 1)
    bars, line = prices_of(found.chart, False)
    assert bars["mark"].tolist() == [4000.0, 4100.0, 4150.0, 4150.0]
    assert line["mark"].tolist() == pytest.approx([4000.0, 4100.0, np.nan, 4125.0, 4150.0, 4150.0], nan_ok=True)
    assert line["day"][1] == line["day"][3]
    bars, line = prices_of(found.chart, True)
    assert bars["mark"].tolist() == line["mark"].tolist() == [4000.0, 4100.0, 4125.0, 4125.0]
    ends, legs, stop = marks_of(found, False)
    assert (legs["from"].tolist(), legs["to"].tolist(), legs["spread"].tolist()) == ([4100.0], [4125.0], [25.0])
    assert ends["what"].tolist()[0] == "entry" and len(stop["day"]) == 0
    trade = run.trades().row(0, named=True)
    assert ends["price"].tolist() == [trade["entry_price"], trade["exit_price"]]
    adjusted, legs, _ = marks_of(found, True)
    assert legs["from"].tolist() == legs["to"].tolist() == [4100.0]
    assert adjusted["price"].tolist() == [trade["entry_price"], trade["exit_price"] - 25.0]


def test_points_are_the_excursions_of_the_engine(board, made):
    run, market = made
    expected = {row["trade"]: row for row in excursions(run, market).to_dicts()}
    view = board.by_name["Excursions"]
    for unit in ("money", "ranges"):
        board.fulfil(f'{{"do": "excursion", "value": "{unit}"}}')
        data = view.models["excursions"].data
        for trade, against, gained in zip(data["trade"], data["adverse"], data["favourable"], strict=True):
            row = expected[int(trade)]
            assert (against, gained) == (row[f"adverse_{unit}"], row[f"favourable_{unit}"])
    assert 'data-value="r"' not in text(board, "Excursions", "excursions_text")  # no trade has a stop


def test_of_many_points_the_largest_results_are_drawn():
    net = np.random.default_rng(1).normal(size=3 * POINTS)
    rows = chosen(net)
    assert len(rows) == POINTS and (np.diff(rows) > 0).all()
    rest = np.setdiff1d(np.arange(len(net)), rows)
    assert np.abs(net[rows]).min() >= np.abs(net[rest]).max()


def test_without_a_store_it_says_why_there_is_no_chart():
    board = shown(Columns.of(SYNTHETIC))
    board.fulfil('{"do": "trade", "trade": "5"}')
    assert "There is no chart: it is read from the store" in text(board, "OpenTrade", "one_head")
    assert "There are no excursions" in text(board, "Excursions", "excursions_text")
    assert not board.by_name["OpenTrade"].models["one_plot"].visible
    with pytest.raises(source.NoSource):
        source.market_of(board.columns)


def test_a_run_without_a_trade_says_so():
    board = shown(Columns.of(EmptyRun(years=1)))
    assert "Nothing was traded" in text(board, "Trades", "trade_words")
    assert "No trade is picked" in text(board, "Streaks", "streaks_text")
    assert numbers(board) == []


def test_a_short_run_and_an_empty_selection_are_shown(made):
    run, market = analysed.empty()
    assert not shown(Columns.of(run, market=market)).alert.visible
    run, market = made
    board = shown(Columns.of(run, market=market))
    board.selection.pick(markets=["no such market"])
    assert not board.alert.visible, board.alert.text
    assert "No trade is picked" in text(board, "Trades", "trade_words")
    assert not board.by_name["Excursions"].models["excursions_plot"].visible


def test_columns_are_of_one_length(board):
    for picked in ({}, {"directions": ["long"]}, {"holding": (3.0, None)}):
        board.selection.reset()
        board.selection.pick(**picked)
        board.selection.trade = 4
        for view in board.by_name.values():
            for properties in view.patch(board.slice).values():
                assert len({len(np.asarray(column)) for column in properties.get("data", {"": []}).values()}) == 1


def test_names_cannot_become_html():
    bad = "<img src=x onerror=alert(1)>"
    board = shown(Columns.of(SyntheticRun(years=1, sectors={bad: bad.replace(" ", "_")}, name=bad)))
    board.by_name["Trades"].search.value_input = "<img"
    board.fulfil('{"do": "trade", "trade": "2"}')
    for view in board.by_name.values():
        for model in view.root.references():
            assert "<img" not in str(getattr(model, "text", "")), view
