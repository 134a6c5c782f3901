"""The page: what there is to see, and a sentence where there is nothing."""

import html
import json
import re

import pytest

from app import page
from app.columns import Columns
from app.view import Board
from store.archive import open_archive
from store.vendors import VENDORS
from tests import small_store
from tests.synthetic_run import SyntheticRun, stored


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def link(monkeypatch):
    """Sets the arguments of the page's address."""
    arguments = {}
    monkeypatch.setattr(page, "_argument", arguments.get)
    return arguments


def text(made):
    """The page's own HTML, before the views are put in."""
    return made.body


def test_without_a_store_the_page_says_what_to_type(tmp_path, link):
    shown = text(page.create(tmp_path / "nowhere"))
    assert "There is no store here" in shown
    assert "frontmonth demo" in shown


def test_an_empty_store_s_page_tells_what_each_vendor_delivers(archive, link):
    shown = text(page.create(archive.path))
    assert "The store is empty" in shown and "frontmonth import FOLDER" in shown
    for name, vendor in VENDORS.items():
        assert all(
            html.escape(part) in shown for part in (name, vendor.ABOUT.gives, vendor.ABOUT.export, vendor.ABOUT.lacks)
        )


def test_without_a_run_the_page_says_what_to_type(archive, link):
    archive.commit([archive.write("contract_bars", small_store.bars("MES", 4000.0, 1), source="barchart", root="MES")])
    shown = text(page.create(archive.path))
    assert "There is no run yet" in shown
    assert "frontmonth run config/portfolios/trend.toml" in shown


def test_the_newest_run_is_shown_and_all_can_be_chosen(archive, link):
    stored(archive, SyntheticRun(years=1, seed=1, name="older"))
    stored(archive, SyntheticRun(years=1, seed=2, name="newer", simulated=False))
    shown = text(page.create(archive.path, run="older"))
    assert "<h1>older" in shown
    assert re.search(r">older, \d{4}-\d\d-\d\d[^<,]*, made for tests, simulated</option>", shown)
    assert re.search(r">newer(?![^<]*simulated)[^<]*</option>", shown)
    assert f'<option value="{1:016x}" selected>' in shown and shown.count(" selected") == 1
    assert "Simulated prices" in shown
    link["run"] = f"{2:016x}"
    shown = text(page.create(archive.path, run="older"))
    assert "<h1>newer" in shown
    assert "Simulated prices" not in shown


def test_an_unknown_run_is_named_and_others_can_be_chosen(archive, link):
    stored(archive, SyntheticRun(years=1))
    link["run"] = "<b>nothing</b>"
    shown = text(page.create(archive.path))
    assert "&lt;b&gt;nothing" in shown
    assert "There is no such run" in shown
    assert "<select" in shown
    assert '<option value="" selected disabled>' in shown and shown.count(" selected") == 1  # each run can be picked


@pytest.mark.parametrize("file", ["run.json", "trades.parquet"])
def test_a_damaged_run_shows_its_reason(archive, link, file):
    run = stored(archive, SyntheticRun(years=1))
    (archive.path / "runs" / run / file).write_bytes(b"{ cut")
    shown = text(page.create(archive.path))
    assert 'class="failure"' in shown
    assert f"runs/{run}/{file}" in shown


def test_a_run_computed_again_is_read_again(archive, link):
    run = stored(archive, SyntheticRun(years=1))
    first = page.columns_of(archive, run)
    assert page.columns_of(archive, run) is first
    file = archive.path / "runs" / run / "run.json"
    file.write_text(file.read_text() + "\n")
    assert page.columns_of(archive, run) is not first


def test_a_link_picks_and_what_is_not_in_the_run_is_named(link):
    columns = Columns.of(SyntheticRun(years=1))
    link["pick"] = "2012-03-01~2012-06-01;m:ZC,NOPE"
    selection, notice = page.picked(columns)
    assert selection.markets == ["ZC"]
    assert "NOPE" in notice
    link["pick"] = "m:ZC;t:99999"
    selection, notice = page.picked(columns)
    assert (selection.markets, selection.trade) == (["ZC"], None)
    assert "trade 99999" in notice
    link["pick"] = "<script>"
    selection, notice = page.picked(columns)
    assert selection.to_query() == ""
    assert "&lt;script&gt;" in notice


def test_the_browser_is_told_what_its_address_has_to_say(archive):
    run = SyntheticRun(years=1)
    board = Board(run, archive=archive)
    board.selection.markets = ["ZC"]
    told = json.loads(board.gift.value)
    assert (told["run"], told["pick"], told["undo"]) == (run.id, "m:ZC", True)
    assert "run" not in json.loads(Board(run).gift.value)  # a report and a notebook have one


def test_names_cannot_reach_the_template(archive, link):
    run = SyntheticRun(years=1, name="{{ 7 * 7 }}<script>")
    run.note = "{% raw %}"
    stored(archive, run)
    shown = text(page.create(archive.path))
    assert "&#123;&#123; 7 * 7" in shown
    assert "{% raw %}," not in shown
    assert "<h1><script>" not in shown
