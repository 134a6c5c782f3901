"""What `python -m bench.report` measures is a report that it wrote, and its table tells it."""

import shutil

import pytest

from bench import report as bench
from bench.run import REPO, stretched
from engine import load
from store import open_archive
from tests.small_store import build


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return stretched(load(build(tmp_path_factory.mktemp("bench") / "store")), 2, 900)


@pytest.mark.parametrize(("trades", "shape"), [(180, (10, 1)), (9000, (2, 10)), (10**6, (2, 1111))])
def test_a_run_has_about_so_many_trades(market, trades, shape):
    assert bench.shape(market, trades) == shape


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium on this machine")
def test_a_report_is_written_opened_and_brushed(market, tmp_path):
    found = bench.written(market, 200, tmp_path / "200.html", open_archive(tmp_path / "store", create=True))
    assert found["file"] == [(tmp_path / "200.html").stat().st_size / 1e6]
    found |= bench.answered(tmp_path / "200.html", bench.parser().parse_args(["--loads", "1", "--brushes", "2"]))
    assert all(first <= last for first, last in zip(found["first curve"], found["all drawn"], strict=True))
    assert all(0.0 < value < 60e3 for name, _, _ in bench.ROWS for value in found[name])
    lines = bench.table({"a": found, "b": found}).splitlines()
    assert len(lines) == 4 + len(bench.ROWS)
    assert all(line.count("|") == 4 for line in lines[2:])


def test_the_page_has_the_place_that_is_written():
    page = (REPO / "docs" / "speed.md").read_text(encoding="utf-8")
    assert page.count(bench.BEGIN) == page.count(bench.END) == 1
