"""What `python -m bench.sweep` times are whole sweeps, and its table and picture tell them."""

import xml.etree.ElementTree as ET

import pytest

from bench import sweep as bench
from bench.run import REPO, stretched
from engine import load
from tests.small_store import build


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    market = stretched(load(build(tmp_path_factory.mktemp("bench") / "store")), 2, 400)
    return bench.measured(market, [800, 4000, 9000], [1, 2], 1)


def test_each_way_is_timed_for_each_number_of_bars_and_of_threads(rows):
    full = [row for row in rows if row["kind"] == "in full"]
    assert [(row["threads"], row["trials"]) for row in full] == [(1, 1), (1, 4), (1, 9), (2, 1), (2, 4), (2, 9)]
    for row in rows:
        assert row["bars"] == row["trials"] * 800 and 0.0 < row["best"] <= row["seconds"]
        assert row["trials_per_second"] * row["seconds"] == pytest.approx(row["trials"])
        assert row["ns"] * 1e-9 * row["bars"] == pytest.approx(row["seconds"])


def test_the_table_and_the_picture_tell_all_of_them(rows):
    assert len(bench.table(rows).splitlines()) == 4 + len(rows)
    drawn = ET.fromstring(bench.picture(rows))
    name = "{http://www.w3.org/2000/svg}"
    kinds = {row["kind"] for row in rows}
    assert len(drawn.findall(f"{name}circle")) == 2 * 3 * len(kinds)
    assert kinds <= {one.text for one in drawn.iter(f"{name}text")}


def test_the_page_has_the_place_that_is_written():
    page = (REPO / "docs" / "speed.md").read_text(encoding="utf-8")
    assert page.count(bench.BEGIN) == page.count(bench.END) == 1
