"""Views of drawdowns: their numbers are those of the engine, under any filter; a row picks its days."""

import re
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from app.columns import Columns
from app.crossfilter import crossfilter
from app.falls import LISTED, by_market, falls
from app.selection import Selection
from app.view import Board
from app.views.drawdowns import PATHS, REST, DrawdownCauses, DrawdownTable, Recoveries, Underwater
from engine.analysis import drawdowns
from tests import analysed
from tests.synthetic_run import EmptyRun, SyntheticRun

RUN = SyntheticRun(years=3)
COLUMNS = Columns.of(RUN)
VIEWS = (Underwater, DrawdownTable, DrawdownCauses, Recoveries)
FILTERS = (
    {}, {"markets": ["CL", "GC"]}, {"sectors": ["Energy"], "directions": ["short"]}, {"exit_reasons": ["stop"]},
    {"holding": (5.0, 20.0)}, {"results": (None, 0.0)}, {"days": (date(2013, 2, 1), date(2013, 11, 29))},
)  # fmt: skip


@pytest.fixture
def board():
    made = Board(COLUMNS)
    made.by_name = {kind.__name__: kind(board=made) for kind in VIEWS}
    return made


def text(board, view, model):
    return board.by_name[view].models[model].text


def rows(board):
    """The cells of the table, row by row."""
    told = re.findall(r"<tr data-do.*?</tr>", text(board, "DrawdownTable", "drawdown_table"))
    return [[re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in told]


def test_without_a_filter_they_are_those_of_the_run():
    run, _ = analysed.made(4)
    fallen = falls(crossfilter(Columns.of(run), Selection()))
    for found, expected in ((fallen.table, drawdowns.drawdowns(run)), (fallen.caused, drawdowns.causes(run, LISTED))):
        for name, kind in expected.schema.items():
            if kind == pl.Float64:
                assert found[name].to_list() == pytest.approx(expected[name].to_list(), rel=1e-9, abs=1e-6)
            else:
                assert found[name].to_list() == expected[name].to_list()
    assert fallen.depth == pytest.approx(drawdowns.underwater(run)["depth"].to_numpy(), abs=1e-12)


@pytest.mark.parametrize("picked", FILTERS, ids=lambda picked: " ".join(picked) or "all")
def test_profit_by_market_sums_to_what_is_picked(picked):
    found = crossfilter(COLUMNS, Selection(**picked))
    sums = by_market(found)
    assert (sums * found.root_picked).sum(axis=1) == pytest.approx(found.profit[1:], abs=1e-6)


def test_of_a_drawdown_the_markets_sum_to_its_fall(board):
    board.selection.directions = ["long"]
    fallen = falls(board.slice)
    for k, fall in enumerate(fallen.table["fall"].head(LISTED)):
        assert fallen.earned(k).sum() == pytest.approx(fall, abs=0.005)
        assert fallen.caused.filter(pl.col("drawdown") == k + 1)["profit"].sum() == pytest.approx(fall, abs=0.005)


def test_a_row_picks_the_days_after_its_peak_and_once_more_picks_all_again(board):
    third = falls(board.slice).table.row(2, named=True)
    asked = f'{{"do": "drawdown", "peak": "{third["peak"]}"}}'
    board.fulfil(asked)
    first, last = board.selection.days
    days = COLUMNS.days.astype(object).tolist()
    assert days[days.index(first) - 1] == third["peak"]
    assert last == (third["recovery"] or days[-1])
    assert 'aria-pressed="true" aria-label="Drawdown 3,' in text(board, "DrawdownTable", "drawdown_table")
    assert text(board, "DrawdownCauses", "fall_text").startswith('<p class="note"><b>No. 3</b>')
    lines = [board.by_name["Recoveries"].models[f"path_{k}_line"].line_width for k in range(PATHS)]
    assert [k for k, width in enumerate(lines) if width == max(lines)] == [2]
    board.fulfil(asked)
    assert board.selection.days is None and not board.alert.visible


def test_the_link_follows_every_pick(board):
    fallen = falls(board.slice)
    for k in (0, 3, 1):
        board.fulfil(f'{{"do": "drawdown", "peak": "{fallen.table["peak"][k]}"}}')
        first, last = fallen.spans[k]
        assert f'"pick": "{first}~{last}"' in board.gift.value


def test_the_table_tells_the_deepest_whatever_days_are_picked(board):
    before = rows(board)
    assert len(before) == LISTED and before[0][0] == "1"
    board.selection.days = (date(2013, 2, 1), date(2013, 11, 29))
    assert rows(board) == before
    pale = text(board, "DrawdownTable", "drawdown_table").count('class="pale"')
    assert pale == int((~falls(board.slice).touched(board.selection.days))[:LISTED].sum()) > 0


def test_in_focus_is_the_deepest_that_the_days_touch(board):
    fallen = falls(board.slice)
    for k in (1, 4):
        day = fallen.table["trough"][k]
        board.selection.days = (day, day + timedelta(1))
        row, picked = falls(board.slice).focus(board.selection.days)
        assert row == k and not picked
    board.selection.days = (date(2050, 1, 1), date(2050, 1, 2))
    assert falls(board.slice).focus(board.selection.days) == (None, False)
    assert "No drawdown has a day" in text(board, "DrawdownCauses", "fall_text")


def test_only_other_filters_change_the_drawdowns(board):
    before = falls(board.slice)
    board.selection.days = (date(2013, 2, 1), date(2013, 11, 29))
    assert falls(board.slice) is before
    board.selection.markets = ["CL"]
    assert falls(board.slice) is not before


def test_the_bars_of_the_causes_sum_to_the_fall(board):
    fallen = falls(board.slice)
    data = board.by_name["DrawdownCauses"].models["fall"].data
    assert sum(data["profit"]) == pytest.approx(fallen.table["fall"][0], abs=0.005)
    assert list(data["name"]).count(REST) == 1
    named = [name for name in data["name"] if name != REST]
    worst = fallen.caused.filter(pl.col("drawdown") == 1)["market"].to_list()
    assert named[-1] == worst[0] and named[0] in worst[-4:]


def test_paths_begin_at_zero_and_end_made_good(board):
    fallen = falls(board.slice)
    for k in range(PATHS):
        data, row = board.by_name["Recoveries"].models[f"path_{k}"].data, fallen.table.row(k, named=True)
        assert data["days"][0] == data["depth"][0] == 0.0
        assert data["days"][-1] == row["days"] and min(data["depth"]) == row["depth"]
        assert (data["depth"][-1] == 0.0) == (row["recovery"] is not None)


def test_a_picked_drawdown_beyond_the_deepest_has_a_path_too(board):
    peak = falls(board.slice).table["peak"][PATHS + 2]
    board.fulfil(f'{{"do": "drawdown", "peak": "{peak}"}}')
    assert len(board.by_name["Recoveries"].models[f"path_{PATHS}"].data["days"]) > 1
    assert f"{PATHS + 3}: {peak}" in text(board, "Recoveries", "paths_key")


def test_a_drawdown_that_is_not_there_is_said_so(board):
    board.fulfil('{"do": "drawdown", "peak": "2001-01-01"}')
    assert board.alert.visible and "pick one of the rows shown" in board.alert.text
    assert board.selection.days is None


@pytest.mark.parametrize("kind", VIEWS)
def test_a_run_that_never_fell_says_so(kind):
    run = EmptyRun(years=1)
    view = kind(run)
    told = " ".join(model.text for model in view.models.values() if isinstance(getattr(model, "text", None), str))
    assert "never fell below its highest" in told


def test_columns_are_of_one_length(board):
    for picked in FILTERS:
        board.selection.reset()
        board.selection.pick(**picked)
        for view in board.by_name.values():
            for properties in view.patch(board.slice).values():
                assert len({len(np.asarray(column)) for column in properties.get("data", {"": []}).values()}) == 1
