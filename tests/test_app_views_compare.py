"""Compare: runs beside each other and the sweep surface, on a real store."""

import json
import re
import shlex
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import synthetic_run

from app.columns import Columns
from app.compared import MOST, Compared
from app.pages import PAGES
from app.sweeping import Sweeping, surface
from app.view import Board
from app.views import VIEWS
from app.views.compare import signed
from app.views.worked import WAIT, Failed
from engine.analysis import compare
from engine.result import listed, load
from engine.settings import ConfigError
from engine.swept import load as swept_of
from store import open_archive
from store import sweeps as places
from tests import command

PAGE = tuple(slot.view for slot in PAGES["compare"].slots)
GRID = ("--grid", "fast=3:9:3", "--grid", "slow=20,30")


def typed(*words):
    """Run the command, which must succeed."""
    with pytest.raises(SystemExit) as end:
        command.main([str(word) for word in words])
    assert end.value.code == 0


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """(store, ids) with three runs of one portfolio, the first with the usual settings, and a sweep of it."""
    store, first = command.ran(tmp_path_factory.mktemp("compared"))
    for change in ("slow=30", "costs.slippage_ticks=3"):
        typed("run", "cross", "--set", change, "--store", store)
    typed("sweep", "cross", *GRID, "--store", store)
    rest = [row["run"] for row in listed(open_archive(store)) if row["run"] != first]
    return store, (first, *reversed(rest))


def shown(store, run, *others):
    """(board, {name: view}) of a run beside others, all worked out."""
    archive = open_archive(store)
    board = Board(Columns.of(load(archive, run), archive), archive=archive)
    views = {name: VIEWS[name](board=board) for name in PAGE}
    compared = Compared.of(board)
    compared.others = list(others) if others else compared.others
    board.show(board.slice)
    board.settle()
    assert not board.alert.visible, board.alert.text
    return board, views


@pytest.fixture
def three(stored):
    """(board, views, runs) of the three runs."""
    store, ids = stored
    board, views = shown(store, *ids)
    return board, views, [load(open_archive(store), name) for name in ids]


def text(view):
    """What a view says, without its tags."""
    words = " ".join(m.text for m in view.models.values() if isinstance(getattr(m, "text", None), str))
    return " ".join(re.sub(r"<[^>]+>", " ", words).split())


def data(view, name):
    """The columns of a source."""
    return {key: np.asarray(values) for key, values in view.models[name].data.items()}


# ---- runs


def test_the_newest_other_run_is_beside_the_first_at_once(stored):
    store, ids = stored
    board, views = shown(store, ids[0])
    newest = next(row["run"] for row in listed(open_archive(store)) if row["run"] != ids[0])
    assert Compared.of(board).ids == (ids[0], newest)
    raw = views["runs"].models["runs"].text
    assert raw.count('role="checkbox"') == 3 and raw.count('aria-checked="true"') == 2
    assert f'href="?run={newest}#/overview"' in raw and "this page" in raw


def test_a_tick_lays_a_run_beside_the_others_and_another_takes_it_away(stored):
    store, ids = stored
    board, views = shown(store, ids[0], ids[1])
    ask = json.dumps({"do": "compare", "run": ids[2]})
    board.fulfil(ask)
    assert Compared.of(board).ids == ids and len(data(views["overlay"], "run_2")["day"]) > 2
    board.fulfil(ask)
    assert Compared.of(board).ids == ids[:2] and not len(data(views["overlay"], "run_2")["day"])
    for run in (ids[0], "000000000000", "<b>"):
        board.fulfil(json.dumps({"do": "compare", "run": run}))
    assert Compared.of(board).ids == ids[:2]


def test_no_more_runs_are_picked_than_there_are_colours(stored):
    store, ids = stored
    board, _ = shown(store, ids[0], ids[1])
    compared = Compared.of(board)
    compared.others = [f"{k:012x}" for k in range(MOST - 1)]
    compared._toggled({"run": ids[2]})
    assert ids[2] not in compared.ids and len(compared.ids) == MOST


def test_lines_are_the_equity_of_each_run_since_the_first_common_day(three):
    _, views, runs = three
    for k, run in enumerate(runs):
        worth = run.equity()["equity"].to_numpy()
        drawn = data(views["overlay"], f"run_{k}")
        assert drawn["grown"] == pytest.approx(worth / worth[0] - 1.0)
        assert drawn["drawdown"] == pytest.approx(worth / np.maximum.accumulate(worth) - 1.0)


def test_at_one_volatility_all_swing_as_the_first(three):
    board, views, runs = three
    board.fulfil('{"do": "align", "value": "volatility"}')
    found = compare.aligned(runs)
    for k in range(3):
        grown = 1.0 + data(views["overlay"], f"run_{k}")["grown"]
        excess = grown[1:] / grown[:-1] - 1.0 - found.interest[:, k]
        assert excess.std() == pytest.approx(found.excess[:, 0].std())
    assert "multiplied to swing" in text(views["overlay"])


def test_numbers_are_those_of_the_runs_and_the_differences_from_the_first(three):
    _, views, runs = three
    (row,) = re.findall(r"Sharpe ratio</th>(.*?)</tr>", views["numbers"].models["numbers"].text)
    cells = [re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<td.*?</td>", row)]
    ratios = [run.metrics()["sharpe"] for run in runs]
    wanted = [f"{ratios[0]:.2f}"]
    for ratio in ratios[1:]:
        wanted += [f"{ratio:.2f}", signed(ratio - ratios[0], "ratio")]
    assert cells == wanted


def test_numbers_and_lines_are_of_the_days_picked(three):
    board, views, runs = three
    days = runs[0].equity()["day"].to_list()
    board.selection.pick(days=(days[20], days[60]))
    for k, run in enumerate(runs):
        worth = run.equity()["equity"].to_numpy()
        drawn = data(views["overlay"], f"run_{k}")
        assert len(drawn["day"]) == 42 and drawn["grown"][0] == 0.0
        assert drawn["grown"][-1] == pytest.approx(worth[60] / worth[19] - 1.0)
    assert "the days picked that all runs have (41)" in text(views["numbers"])
    assert "whatever days are picked" in text(views["sureness"])
    board.selection.pick(days=(date(1990, 1, 1), date(1990, 1, 5)))
    for name in ("overlay", "numbers", "alike", "inputs"):
        assert "Fewer than two days are picked." in text(views[name]), name


def test_the_difference_of_sharpe_ratios_is_told_as_the_command_tells_it(three):
    _, views, runs = three
    found = compare.aligned(runs)
    for row in compare.pairs(found).filter(pl.col("first") == runs[0].id).to_dicts():
        numbers = f"{row['difference']:.2f} {row['low']:.2f} to {row['high']:.2f} {row['p_value']:.3f}"
        assert numbers in text(views["sureness"])


def test_correlation_is_of_days_above_and_of_weeks_below_the_diagonal(three):
    _, views, runs = three
    first, second = (np.diff(e) / e[:-1] for e in (run.equity()["equity"].to_numpy() for run in runs[:2]))
    weeks = [one[: len(one) // 5 * 5].reshape(-1, 5).sum(axis=1) for one in (first, second)]
    rows = re.findall(r"<tr>(.*?)</tr>", views["alike"].models["alike"].text)[1:]
    cells = [[re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<td.*?</td>", row)] for row in rows]
    assert cells[0][1] == f"{np.corrcoef(first, second)[0, 1]:.2f}"
    assert cells[1][0] == f"{np.corrcoef(*weeks)[0, 1]:.2f}" and cells[0][0] == "1"


def test_inputs_that_differ_stand_beside_each_other(three):
    _, views, _ = three
    told = text(views["inputs"])
    assert "params strategies.0.params.slow 20 30" in told and "slippage_ticks" in told


def test_a_run_without_common_days_is_left_out_and_the_others_stay(stored, tmp_path):
    store, ids = stored
    place = command.copied(store, tmp_path)
    other = synthetic_run.stored(open_archive(place), synthetic_run.SyntheticRun(years=0.3, name="<i>old</i>"))
    _, views = shown(place, ids[0], other, ids[1])
    assert "Left out is &lt;i&gt;old&lt;/i&gt;, which cannot be compared" in text(views["runs"])
    assert "days in common" in text(views["runs"]) and len(data(views["overlay"], "run_2")["day"]) > 2
    _, views = shown(place, ids[0], other)
    assert "This cannot be told." in text(views["overlay"]) and not views["overlay"].models["overlay_plot"].visible


def test_one_run_alone_says_how_to_make_another(ran):
    _, views = shown(*ran)
    assert "frontmonth run cross --set KEY=VALUE" in text(views["runs"])
    for name in ("overlay", "numbers", "sureness", "alike", "inputs"):
        assert "tick another one above" in text(views[name])
    assert "frontmonth sweep cross --grid fast=8:32:8" in text(views["sweep_surface"])


def test_without_a_store_the_page_says_so():
    board = Board(synthetic_run.EmptyRun(years=1))
    views = {name: VIEWS[name](board=board) for name in PAGE}
    board.settle()
    assert "shown without" in text(views["runs"]) and not board.alert.visible


def test_until_runs_are_read_the_views_say_so(stored):
    store, ids = stored
    archive = open_archive(store)
    board = Board(Columns.of(load(archive, ids[0]), archive), archive=archive)
    views = {name: VIEWS[name](board=board) for name in PAGE}
    for name in ("overlay", "numbers", "sureness", "sweep_surface", "sweep_lines", "sweep_trial"):
        assert WAIT in text(views[name]), name


# ---- sweeps


def sweep(store):
    """The stored sweep."""
    archive = open_archive(store)
    (name,) = places.ids(archive)
    return swept_of(places.folder(archive, name))


def test_cells_of_the_surface_are_the_trials(stored):
    store, ids = stored
    _, views = shown(store, ids[0])
    drawn, trials = data(views["sweep_surface"], "surface"), sweep(store).trials()
    wanted = {(str(row["fast"]), str(row["slow"])): row["sharpe"] for row in trials.to_dicts()}
    found = {(a, b): v for a, b, v in zip(drawn["across"], drawn["up"], drawn["value"], strict=True)}
    assert found == pytest.approx(wanted)
    best = max(wanted, key=wanted.get)
    assert "trial shown" in drawn["note"][[*found].index(best)]


def test_the_plateau_is_the_highest_mean_of_a_cell_and_its_neighbours(stored):
    made = sweep(stored[0])
    values = made.heat("fast", "slow", "sharpe")
    means = {(i, j): values[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean() for i, j in np.ndindex(values.shape)}
    found = surface(made, "fast", "slow", "sharpe")
    assert tuple(int(k) for k in found.plateau) == max(means, key=means.get)
    assert found.means[found.plateau] == pytest.approx(max(means.values()))
    assert surface(made, "fast", "fast", "sharpe").values == pytest.approx(np.median(values, axis=0)[None, :])


def test_a_tap_shows_the_trial_its_command_runs_it_and_then_it_is_linked(stored, tmp_path):
    store, ids = stored
    place = command.copied(store, tmp_path)
    board, views = shown(place, ids[0])
    board.fulfil('{"do": "surface", "column": "9", "row": "30"}')
    row = Sweeping.of(board).shown()
    assert (row["fast"], row["slow"]) == (9, 30) and f"Trial {row['trial']}" in text(views["sweep_trial"])
    asked = shlex.split(Sweeping.of(board).command(row))
    assert asked[0] == "frontmonth" and "It is stored as a run" not in text(views["sweep_trial"])
    before = set(open_archive(place).run_ids())
    typed(*asked[1:])
    (fresh,) = set(open_archive(place).run_ids()) - before
    board.show(board.slice)
    assert f"open {fresh}" in text(views["sweep_trial"])
    assert load(open_archive(place), fresh).metrics()["sharpe"] == pytest.approx(row["sharpe"])
    board.fulfil('{"do": "surface", "column": "8", "row": "30"}')
    assert board.alert.visible and "values of fast: 3, 6, 9" in board.alert.text


def test_lines_are_the_trials_and_a_tap_on_one_shows_it(stored):
    store, ids = stored
    board, views = shown(store, ids[0])
    view, trials = views["sweep_lines"], sweep(store).trials()
    drawn = data(view, "lines")
    assert sorted(drawn["trial"]) == trials["trial"].to_list()
    heights = dict(zip(drawn["trial"].tolist(), drawn["ys"], strict=True))
    low, top = trials["sharpe"].min(), trials["sharpe"].max()
    for row in trials.to_dicts():
        assert heights[row["trial"]][0] == [3, 6, 9].index(row["fast"]) / 2
        assert heights[row["trial"]][2] == pytest.approx((row["sharpe"] - low) / (top - low))
    view.source.selected.indices = [0]
    assert Sweeping.of(board).trial == drawn["trial"][0] == trials.sort("sharpe")["trial"][0]
    assert data(view, "lines_shown")["y"] == pytest.approx(drawn["ys"][0])


def test_lists_choose_settings_and_statistic(stored):
    store, ids = stored
    board, views = shown(store, ids[0])
    view = views["sweep_surface"]
    view.choices["across"].value = "slow"
    view.choices["up"].value = "fast"
    view.choices["by"].value = "max_drawdown"
    assert (Sweeping.of(board).across, Sweeping.of(board).up, Sweeping.of(board).by) == ("slow", "fast", "max_drawdown")
    made = sweep(store)
    drawn = data(view, "surface")
    assert drawn["value"] == pytest.approx(made.heat("slow", "fast", "max_drawdown").ravel())
    view.choices["up"].value = "slow"
    assert view.models["surface_y"].factors == [""] and not board.alert.visible


def test_a_damaged_sweep_is_said_in_place(stored, tmp_path):
    store, ids = stored
    place = command.copied(store, tmp_path)
    (next((place / "sweeps").glob("*/trials-0000.parquet"))).write_bytes(b"nothing")
    board, views = shown(place, ids[0])
    assert "missing or damaged; sweep again with --force" in text(views["sweep_surface"])
    assert isinstance(board.worked["sweep", Sweeping.of(board).sweep], Failed)
    assert "Growth" in views["overlay"].guide and len(data(views["overlay"], "run_0")["day"]) > 2


def test_trials_of_a_cell_and_a_sample_of_them(stored):
    made = sweep(stored[0])
    trials = made.trials()
    found = made.of_cell({"fast": "6"})
    assert found["trial"].to_list() == trials.filter(fast=6).sort("sharpe", descending=True)["trial"].to_list()
    with pytest.raises(ConfigError, match="fast = 7 is not in this sweep; values of fast: 3, 6, 9"):
        made.of_cell({"fast": "7"})
    best = trials.sort(["sharpe", "trial"], descending=[True, False])["trial"].to_list()
    assert made.sample()["trial"].to_list() == best
    assert made.sample(4)["trial"].to_list() == [best[0], best[1], best[2], best[5]]


def test_days_within_a_comparison_begin_at_one(stored):
    store, ids = stored
    found = compare.aligned([load(open_archive(store), name) for name in ids[:2]])
    part = found.within(found.days[30], found.days[50] + np.timedelta64(0, "D"))
    assert part.days.tolist() == found.days[29:51].tolist() and part.equity[0].tolist() == [1.0, 1.0]
    assert part.equity[-1] == pytest.approx(found.equity[50] / found.equity[29])
    assert part.returns == pytest.approx(found.returns[29:50])
    before = found.days[0].item() - timedelta(9)
    assert found.within(before, found.days[-1]).equity == pytest.approx(found.equity)


def test_a_link_shows_the_same_trial_of_the_same_sweep(stored):
    store, (run, *_) = stored
    board, views = shown(store, run)
    views["sweep_surface"].choices["by"].value = "max_drawdown"
    views["sweep_surface"].choices["up"].value = Sweeping.of(board).settings()[0]
    Sweeping.of(board).pick(trial=3)
    archive = open_archive(store)
    again = Board(Columns.of(load(archive, run), archive), archive=archive, ways=board.ways)
    others = {name: VIEWS[name](board=again) for name in PAGE}
    again.settle()
    again.show(again.slice)
    told = [view["sweep_trial"].models["trial"].text for view in (views, others)]
    assert "Trial 3" in told[0] and told[0] == told[1]
    texts = [{name: select.value for name, select in view["sweep_surface"].choices.items()} for view in (views, others)]
    assert texts[0] == texts[1] and texts[0]["by"] == "max_drawdown" and texts[0]["up"] == texts[0]["across"]
