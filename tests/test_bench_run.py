"""What `make bench` measures is what it says: honest inputs, every figure there, no real store changed."""

import json

import numpy as np
import pytest

from bench import run
from engine import Portfolio, backtest, load
from store import open_archive
from tests.small_store import build
from tests.test_engine_backtest import PORTFOLIO


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("bench") / "store")


def test_a_stretched_market_is_as_long_as_asked_and_trades_across_its_seams(archive):
    market = load(archive)
    days = 2 * len(market.days) + 100
    longer = run.stretched(market, 2, days)
    assert len(longer.days) == days
    assert (np.diff(longer.days) > np.timedelta64(0, "D")).all()
    made = backtest(longer, Portfolio.from_toml(PORTFOLIO))
    trades = made.trades()
    assert trades.height > 2 * backtest(market, Portfolio.from_toml(PORTFOLIO)).trades().height * 0.9


def test_a_market_that_is_long_enough_is_only_cut(archive):
    market = load(archive)
    cut = run.stretched(market, 1, 50)
    assert (cut.names, cut.roots, cut.ranks, len(cut.days)) == (("FGBL",), ("FGBL",), (0,), 50)
    np.testing.assert_array_equal(cut.mark, market.mark[:50, :1])


@pytest.mark.service
def test_a_run_of_many_markets_is_timed_in_turns_with_the_imports_alone(tmp_path):
    found = run.whole(tmp_path / "store", rounds=2, markets=2, years=1)
    bare, ours, above = found.values()
    assert list(found)[1] == "frontmonth run, 2 markets x 1 years"
    assert bare["rounds"] == ours["rounds"] == above["rounds"] == 2
    assert ours["best"] > bare["best"] > 0.0
    assert above["median"] == pytest.approx(ours["median"] - bare["median"], abs=1e-4)


@pytest.mark.service
def test_every_figure_is_there_and_the_store_is_as_it_was(archive, capsys):
    before = open_archive(archive.path).head()
    run.main(["--store", str(archive.path), "--quick", "--rounds", "1", "--years", "2", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"machine", "store", "process", "simulation"}
    assert {"name", "cpu", "cores", "load", "python", "numba"} <= set(found["machine"])
    assert found["process"]["run"]["median"] > found["process"]["help"]["median"] > 0.0
    assert found["simulation"]["ratio"] > 1.0
    text = run.table(found)
    assert "bare loop" in text and found["machine"]["name"] in text
    assert open_archive(archive.path).head() == before
    assert list((archive.path / "runs").iterdir()) == []
