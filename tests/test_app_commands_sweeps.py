"""The verbs sweep and sweeps: what they print, keep and refuse; Ctrl-C on a real process; the picture."""

import io
import json
import re
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from app import heatmap
from app.commands import sweeps
from store import locks, open_archive
from store import sweeps as places
from tests import command
from tests.conftest import REPO

GRID = ("--grid", "fast=3:9:3", "--grid", "slow=20,30")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A store with a portfolio beside it and one sweep in it."""
    store, _ = command.ran(tmp_path_factory.mktemp("swept"))
    with pytest.raises(SystemExit) as end:
        command.main(["sweep", "cross", *GRID, "--store", str(store)])
    assert end.value.code == 0
    return store


@pytest.fixture
def place(swept, tmp_path):
    return command.copied(swept, tmp_path)


def test_the_best_trials_are_shown_and_each_is_a_run(swept, call, document):
    found = call("sweep", "cross", *GRID, "--store", swept)
    assert "is stored already; --force computes it again" in found.err
    told = document("sweep", "cross", *GRID, "--store", swept)
    assert told["trials"] == 6 and told["refused"] == 0 and told["kept"] == 6 and told["stored"]
    best = told["best"]
    assert [row["sharpe"] for row in best] == sorted((row["sharpe"] for row in best), reverse=True)
    assert re.search(r"trial\s+fast\s+slow\s+Sharpe\s+annual return", found.out) and told["run"] in found.out
    assert told["run"].endswith(f"run cross --set fast={best[0]['fast']} --set slow={best[0]['slow']}")
    run = document(*shlex.split(told["run"])[1:])
    names = ("sharpe", "annual_return", "volatility", "max_drawdown", "trades", "final_equity", "turnover")
    assert {name: run["metrics"][name] for name in names} == {name: best[0][name] for name in names}


def test_a_stored_sweep_is_listed_shown_and_deleted(place, call, document):
    (listed,) = document("sweeps", "--store", place)
    assert (listed["trials"], listed["portfolio"], list(listed["grid"])) == (6, "cross", ["fast", "slow"])
    assert listed["sweep"] in call("sweeps", "--store", place).out
    told = document("sweeps", listed["sweep"][:5], "--store", place)
    assert told["sweep"] == listed["sweep"] and len(told["best"]) == 6
    run = document(*shlex.split(told["run"])[1:])  # of the portfolio that lies beside the results
    assert run["metrics"]["sharpe"] == told["best"][0]["sharpe"]
    assert "no sweep 'zz'" in call("sweeps", "zz", "--store", place, code=1).err
    assert "--delete: says nothing without a SWEEP" in call("sweeps", "--delete", "--store", place, code=2).err
    assert document("sweeps", listed["sweep"], "--delete", "--store", place) == {"deleted": [listed["sweep"]]}
    assert call("sweeps", "--store", place).out.startswith("No sweep yet")


def test_all_trials_as_csv_on_the_terminal_and_in_a_file(swept, call, document, tmp_path):
    printed = pl.read_csv(io.StringIO(call("sweeps", "", "--csv", "--store", swept).out))
    document("sweeps", "", "--out", tmp_path / "out", "--store", swept)
    written = pl.read_csv(tmp_path / "out" / "trials.csv")
    assert printed.equals(written) and written.height == 6
    assert written["fast"].to_list() == [3, 3, 6, 6, 9, 9] and written["trial"].to_list() == list(range(6))


@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        (["--grid", "fats=1"], "neither a param of a strategy (fast, slow) nor a setting", 1),
        (["--grid", "fast=5:1"], "is no range", 1),
        (["--grid", "fast=1,2", "--grid", "fast=3"], "fast stands there twice", 2),
        ([], "none is given; write KEY=VALUES", 2),
        ([*GRID, "--sort", "trades"], "no statistic to rank by; allowed: sharpe", 1),
        ([*GRID, "--heat", "fast", "slo"], "no key of --grid; allowed: fast, slow; nearest: slow", 1),
        ([*GRID, "--resume", "--force"], "do not go together", 2),
        ([*GRID, "--csv", "--json"], "do not go together", 2),
        ([*GRID, "--set", "x"], "write KEY=VALUE", 2),
        ([*GRID, "--keep", "-1"], "--keep", 2),
        (["--grid", "portfolio.end=2020-01-01"], "changes what is read or told of the market", 1),
    ],
)
def test_what_cannot_be_is_told_in_a_line_before_anything_is_computed(words, reason, code, swept, call):
    found = call("sweep", "cross", "--store", swept, *words, code=code)
    assert reason in found.err and found.out == ""


def test_refused_trials_are_counted_with_their_reasons(place, call, document):
    words = ("sweep", "cross", "--grid", "fast=0,3", "--grid", "slow=20", "--store", place)
    told = document(*words)
    assert told["refused"] == 1 and told["why"][0]["count"] == 1 and "whole number from 1" in told["why"][0]["reason"]
    assert "refused: 1 trial\n" in call(*words).out


def test_the_results_do_not_lie_in_the_store_by_themselves(swept, call):
    assert "lies inside the store" in call("sweep", "cross", *GRID, "--out", swept / "x", "--store", swept, code=2).err


# interrupted


def process(store, *words):
    code = "import sys; from app.cli import main; main(sys.argv[1:])"
    every = [sys.executable, "-c", code, "sweep", "cross", *words, "--store", str(store)]
    return subprocess.Popen(every, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


LARGE = ("--grid", "fast=2:40", "--grid", "slow=41:80", "--grid", "capital=900000,1000000")


@pytest.mark.service
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(place, call, document):
    archive = open_archive(place)
    begun = process(place, *LARGE)
    half = None
    while begun.poll() is None:
        time.sleep(0.05)
        (half,) = places.drafts(archive) or [None]
        if half and sweeps_done(archive, half) > 0:
            break
    begun.send_signal(signal.SIGINT)
    out, err = begun.communicate()
    assert begun.returncode == 130 and out == ""
    told = re.search(r"interrupted; ([\d,]+) of 3,120 trials are kept; this goes on: (frontmonth .* --resume)\n", err)
    done = int(told[1].replace(",", ""))
    assert done == sweeps_done(archive, half) > 0
    listed = [row for row in document("sweeps", "--store", place) if row["sweep"] == half]
    assert listed[0]["done"] == done and "half done: --resume" in call("sweeps", "--store", place).out
    refused = call("sweep", "cross", *LARGE, "--store", place, code=1).err
    assert f"is half done, {done:,} of 3,120 trials: --resume goes on with it, --force begins anew" in refused
    assert "half done" in call("sweeps", half, "--store", place, code=1).err
    assert locks.holders(archive) == []
    words = shlex.split(told[2])
    assert words == ["frontmonth", "--store", str(place), "sweep", "cross", *LARGE, "--resume"]


def sweeps_done(archive, sweep_id):
    from engine.draft import half_done

    return half_done(places.draft(archive, sweep_id))


@pytest.mark.service
def test_resumed_after_a_kill_it_has_the_same_bytes(place, document):
    archive, words = open_archive(place), ("--grid", "fast=2:41", "--grid", "slow=42:91")
    begun = process(place, *words)
    while begun.poll() is None and not any(sweeps_done(archive, one) for one in places.drafts(archive)):
        time.sleep(0.02)
    begun.kill()
    begun.communicate()
    (half,) = places.drafts(archive)
    assert 0 < sweeps_done(archive, half) < 2_000
    told = document("sweep", "cross", *words, "--resume", "--store", place)
    first = json.loads((places.folder(archive, half) / "sweep.json").read_text())["files"]
    assert told["sweep"] == half and not told["stored"] and places.drafts(archive) == []
    again = document("sweep", "cross", *words, "--force", "--threads", "1", "--store", place)
    assert again["sweep"] == half
    assert json.loads((places.folder(archive, half) / "sweep.json").read_text())["files"] == first


def test_the_command_that_goes_on_has_every_word_of_the_first(monkeypatch):
    from types import SimpleNamespace

    context = SimpleNamespace(obj=SimpleNamespace(store="a b"))
    words = sweeps._words(context, "x.toml", ["fast=1,2"], ["capital=5"], 100, True, 7)
    assert shlex.join(words) == (
        "frontmonth --store 'a b' sweep x.toml --grid fast=1,2 --set capital=5 --keep 100 --screen --best 7"
    )


# the picture


def texts(svg):
    """(text, left, right, top, bottom) of every text of a picture, as wide as letters may be; and its size."""
    root = ET.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    found = []
    for one in root.iter(f"{name}text"):
        x, y, size = (float(one.get(key)) for key in ("x", "y", "font-size"))
        width = heatmap._width(one.text or "", size)
        begin = {"start": x, "middle": x - width / 2, "end": x - width}[one.get("text-anchor")]
        box = (begin, begin + width, y - size, y + 0.3 * size)
        if one.get("transform"):
            box = (x - size, x + 0.3 * size, y - width / 2, y + width / 2)
        found.append((one.text or "", *box))
    return found, float(root.get("width")), float(root.get("height"))


SHAPES = [(1, 1), (1, 12), (12, 1), (3, 4), (16, 10), (60, 90), (2, 200), (200, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("by", ["sharpe", "annual_return", "final_equity"])
def test_no_label_is_cut_and_none_lies_on_another(shape, by):
    values = np.random.default_rng(1).normal(1e7 if by == "final_equity" else 0.5, 0.4, shape)
    values[values < 0.0] = np.nan
    across = ("fast [bars]", [str(5 * k) for k in range(shape[1])])
    up = ("a setting of a long name [account currency]", [f"{k / 8}" for k in range(shape[0])])
    title = "Sharpe ratio of a portfolio with a name by fast and slow"
    note = "median over a, b; 1,000 trials"
    drawn = heatmap.picture(values, across, up, title, note, by, (0, 0), "Sharpe ratio")
    found, width, height = texts(drawn)
    for text, left, right, top, bottom in found:
        assert left >= 0 and right <= width and top >= 0 and bottom <= height, text
    boxes = [box for box in found if box[0]]
    for k, (text, left, right, top, bottom) in enumerate(boxes):
        for other, a, b, c, d in boxes[:k]:
            assert right <= a + 0.5 or b <= left + 0.5 or bottom <= c + 0.5 or d <= top + 0.5, (text, other)


def test_the_most_is_the_brightest_and_what_is_lacking_is_hatched():
    drawn = heatmap.picture(np.array([[0.0, 1.0], [np.nan, 0.5]]), ("x", ["1", "2"]), ("y", ["3", "4"]), "t")
    cells = re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="[\d.]+" height="40.3" fill="([^"]+)"', drawn)
    assert cells == [heatmap.COLOURS[0], heatmap.COLOURS[-1], "url(#none)", heatmap.colour(0.5)]
    grey = [0.2126 * int(c[1:3], 16) + 0.7152 * int(c[3:5], 16) + 0.0722 * int(c[5:], 16) for c in heatmap.COLOURS]
    assert all(np.diff(grey) > 8)  # in order for an eye that sees no colour at all
    assert "hatched: no value" in drawn and "best trial" not in drawn


def test_the_plateau_is_where_the_neighbours_are_good_too():
    # a lonely peak of 9 among zeros, and a field of fours: the mean around the peak is 1, that of the field's middle 4
    values = np.zeros((6, 6))
    values[0, 5], values[3:, :3] = 9.0, 4.0
    assert heatmap._plateau(values) == (4, 1) or heatmap.around(values)[heatmap._plateau(values)] == 4.0
    assert heatmap.around(values)[0, 5] == 9.0 / 4.0
    assert heatmap._plateau(np.full((2, 2), np.nan)) is None
    assert heatmap._plateau(np.array([[0.38, 0.56, 0.49], [0.59, 0.60, 0.56]])) == (1, 2)  # of two alike the better


def test_a_picture_is_made_of_two_keys_or_of_one(swept, document, tmp_path):
    told = document("sweep", "cross", *GRID, "--out", tmp_path, "--store", swept)
    assert told["files"] == [str(tmp_path / "trials.csv"), str(tmp_path / "heatmap.svg")]
    words = [text for text, *_ in texts((tmp_path / "heatmap.svg").read_text())[0]]
    assert {"fast [bars]", "slow [bars]", "3", "6", "9", "20", "30"} <= set(words)
    document("sweep", "cross", "--grid", "fast=3,6", "--out", tmp_path, "--store", swept)
    words = [text for text, *_ in texts((tmp_path / "heatmap.svg").read_text())[0]]
    assert "Sharpe ratio of cross by fast" in words and "slow [bars]" not in words
