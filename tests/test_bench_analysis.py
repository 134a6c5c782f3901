"""What `python -m bench.analysis` times are the sections of a run, and its table tells them."""

import pytest

from bench import analysis as bench
from bench.run import REPO, stretched
from engine import load
from engine.analysis import source
from tests.small_store import build


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return stretched(load(build(tmp_path_factory.mktemp("bench") / "store")), 2, 900)


def test_a_run_has_a_trade_every_so_many_bars_of_each_market_and_strategy(market):
    run = bench.run_of(market, 10, 3)
    bars = (~(market.mark != market.mark)).sum()
    assert len(run.trades()) == pytest.approx(3 * bars / 10, rel=0.03)
    assert run.trades()["strategy"].n_unique() == 3


def test_every_section_is_timed_and_together_is_their_sum(market):
    before = source.market_of_run
    found = bench.measured(market, 5, 1, 1)
    assert source.market_of_run is before
    names = [*bench.WHOLE, "all pivots", "bootstrap", "statistical regimes", "together"]
    assert list(found["seconds"]) == names
    assert all(0.0 < one["best"] <= one["median"] for one in found["seconds"].values())
    assert found["seconds"]["together"]["best"] == pytest.approx(
        sum(found["seconds"][name]["best"] for name in bench.WHOLE)
    )
    lines = bench.table({"a": found, "b": found}).splitlines()
    assert len(lines) == 4 + len(names)
    assert all(line.count("|") == 4 for line in lines[2:])


def test_the_page_has_the_place_that_is_written():
    page = (REPO / "docs" / "speed.md").read_text(encoding="utf-8")
    assert page.count(bench.BEGIN) == page.count(bench.END) == 1
