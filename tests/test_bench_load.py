"""What `python -m bench.load` measures: a store as the import writes it, each stage with what it says is kept."""

import json

import pytest

from bench import load as bench
from engine import load
from store import open_archive
from store.sample_prices import MARKETS


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = open_archive(tmp_path_factory.mktemp("bench") / "store", create=True)
    bench.make(made, len(MARKETS) + 2, 1)
    return made


def test_markets_beyond_the_sample_have_its_facts_and_other_prices(archive):
    market = load(archive)
    assert len(market.roots) == len(MARKETS) + 2 and market.simulated
    twins = [root for root in market.roots if root.endswith("X1")]
    assert len(twins) == 2
    for twin in twins:
        m, own = market.roots.index(twin), market.roots.index(twin.removesuffix("X1"))
        assert market.multiplier[0, m] == market.multiplier[0, own] and market.currencies[m] == market.currencies[own]
        assert market.mark[-1, m] != market.mark[-1, own]
    assert {day.astype("datetime64[Y]").item().year for day in market.days} == {2024}


@pytest.mark.service
def test_every_figure_is_there(capsys):
    bench.main(["--markets", "2", "--years", "1", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"machine", "store", "load", "markets", "days", "bytes"}
    assert set(found["load"]) == set(bench.KINDS) and found["markets"] == 2 and 240 < found["days"] < 270
    best = {kind: one["best"] for kind, one in found["load"].items()}
    assert best["cold"] > best["again"] > 0.0
    text = bench.table(found)
    assert all(name in text for name in bench.KINDS.values()) and "2 markets" in text


@pytest.mark.service
def test_a_store_of_one_s_own_is_copied(archive, capsys):
    before = sorted(path.name for path in archive.path.iterdir())
    bench.main(["--store", str(archive.path), "--rounds", "1"])
    assert f"{len(MARKETS) + 2} markets" in capsys.readouterr().out
    assert sorted(path.name for path in archive.path.iterdir()) == before
