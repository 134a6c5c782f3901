"""T50: the same inputs give the same hash, on any number of threads and in any surroundings."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import Portfolio, backtest, load
from tests.conftest import REPO
from tests.small_store import build
from tests.test_engine_backtest import PORTFOLIO

PROVES = (5,)  # guarantees


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_t50_any_number_of_threads_gives_the_same_hash(archive, workers):
    market = load(archive)
    portfolios = [Portfolio.from_toml(PORTFOLIO).with_settings([f"fast={fast}"]) for fast in (3, 4, 5, 6)]
    alone = [backtest(market, portfolio).summary["hashes"]["result"] for portfolio in portfolios]
    with ThreadPoolExecutor(workers) as pool:
        together = list(pool.map(lambda p: backtest(market, p).summary["hashes"]["result"], portfolios))
    assert together == alone
    assert len(set(alone)) == 4


@pytest.mark.service
def test_t50_time_zone_and_hash_seed_change_nothing(archive, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(PORTFOLIO)
    found = []
    for zone, seed, threads in (("UTC", "0", "1"), ("Asia/Tokyo", "4", "2")):
        around = os.environ | {"TZ": zone, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads}
        command = [
            sys.executable,
            "-c",
            "from app.cli import main; main()",
            "run",
            str(path),
            "--force",
            "--json",
            "--store",
            str(archive.path),
        ]
        done = subprocess.run(command, env=around, cwd=REPO, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    assert found[0]["hashes"] == found[1]["hashes"]
    assert found[0]["run"] == found[1]["run"]
