"""T50: the same inputs give the same hash, on any number of threads and in any surroundings."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine import Portfolio, backtest, load
from engine.backtest import market_of, run
from store import open_archive
from tests.conftest import REPO
from tests.small_store import build
from tests.test_engine_backtest import PORTFOLIO

PROVES = (5,)  # guarantees

MANY_SIDED = """
[portfolio]
name = "many sides"
capital = 2_000_000
start = 2021-02-01
rebalance = "month"
[[strategies]]
name = "breakout"
capital = 0.5
params = { entry = 5, exit = 3, fast = 5, slow = 20, range = 5 }
[[strategies]]
name = "turtle_units"
capital = 0.3
params = { fast = 5, slow = 20 }
[[strategies]]
name = "spread_reversion"
capital = 0.2
markets = ["both"]
params = { length = 10, enter = 1.0 }
[spreads.both]
legs = { MES = 1, FGBL = -1 }
[sizing]
rule = "portfolio_volatility"
rounding = "nearest_risk"
buffer = 0.1
[costs]
impact = "volatility"
[limits]
gross_notional = 20
[rolls]
days = 3
[execution]
participation = 0.2
fx = "hold"
"""
WORDS = [sys.executable, "-c", "from app.cli import main; main()", "run"]
EQUITY = """
import sys
from engine.backtest import market_of
from engine import Portfolio, backtest
from store import open_archive
archive, portfolio = open_archive(sys.argv[1]), Portfolio.from_toml(open(sys.argv[2]).read())
made = backtest(market_of(archive, portfolio, ["FGBL", "MES"], archive.head()), portfolio)
print(*made.equity()["equity"].to_list(), made.trades().height)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


@pytest.fixture(scope="module")
def market(archive):
    """The market with what several days of a roll, and a share of the volume, have to know."""
    return market_of(archive, Portfolio.from_toml(MANY_SIDED), ["FGBL", "MES"], archive.head())


def result(market, portfolio):
    return backtest(market, portfolio).summary["hashes"]["result"]


def around(**changes):
    """This process's surroundings, changed."""
    return os.environ | {name: str(value) for name, value in changes.items()}


def test_t50_a_run_made_twice_has_the_same_hashes_and_tables(market):
    first, again = (backtest(market, Portfolio.from_toml(MANY_SIDED)) for _ in range(2))
    assert first.summary["hashes"] == again.summary["hashes"]
    assert first.events().equals(again.events()) and first.events().height > 10
    assert first.ledger().equals(again.ledger())
    assert first.trades().equals(again.trades())
    assert set(first.trades()["strategy"].cast(str)) == {"breakout", "turtle_units", "spread_reversion"}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_t50_any_number_of_threads_gives_the_same_hash(archive, workers):
    market = load(archive)
    portfolios = [Portfolio.from_toml(PORTFOLIO).with_settings([f"fast={fast}"]) for fast in (3, 4, 5, 6)]
    alone = [result(market, portfolio) for portfolio in portfolios]
    with ThreadPoolExecutor(workers) as pool:
        together = list(pool.map(lambda p: result(market, p), portfolios))
    assert together == alone
    assert len(set(alone)) == 4


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_t50_runs_of_all_kinds_beside_one_another_do_not_disturb_each_other(market, workers):
    base = Portfolio.from_toml(MANY_SIDED)
    portfolios = [base.with_settings([f"sizing.target={k / 10}"]) for k in range(1, 7)] * 2
    alone = [result(market, portfolio) for portfolio in portfolios[:6]]
    with ThreadPoolExecutor(workers) as pool:
        together = list(pool.map(lambda p: result(market, p), portfolios))
    assert together == alone * 2
    assert len(set(alone)) == 6


@pytest.mark.service
def test_t50_time_zone_and_hash_seed_change_nothing(archive, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(MANY_SIDED)
    found = []
    for zone, seed, threads in (("UTC", 0, 1), ("Asia/Tokyo", 4, 2), ("America/New_York", 7, 4)):
        surroundings = around(TZ=zone, PYTHONHASHSEED=seed, POLARS_MAX_THREADS=threads, NUMBA_NUM_THREADS=threads)
        command = [*WORDS, str(path), "--force", "--json", "--store", str(archive.path)]
        done = subprocess.run(command, env=surroundings, cwd=REPO, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    for other in found[1:]:
        assert other["hashes"] == found[0]["hashes"]
        assert other["run"] == found[0]["run"]


@pytest.mark.service
def test_t50_without_compiled_code_the_account_is_the_same(archive, market, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(MANY_SIDED)
    compiled = backtest(market, Portfolio.from_toml(MANY_SIDED))
    command = [sys.executable, "-c", EQUITY, str(archive.path), str(path)]
    plain = subprocess.run(
        command, env=around(NUMBA_DISABLE_JIT=1), cwd=REPO, capture_output=True, text=True, check=True
    )
    *equity, trades = map(float, plain.stdout.split())
    np.testing.assert_allclose(equity, compiled.equity()["equity"].to_numpy(), rtol=1e-9)
    assert trades == compiled.trades().height > 20


@pytest.mark.service
def test_t50_code_compiled_anew_gives_the_hash_of_code_from_the_cache(archive, tmp_path, request):
    if not request.config.getoption("--cold", default=0):
        pytest.skip("compiles all code anew, which takes a minute: --cold 1")
    path = tmp_path / "small.toml"
    path.write_text(MANY_SIDED)
    found = []
    for folder in ("cold", "cold", None):  # empty, filled by the first, and the usual one
        surroundings = around(NUMBA_CACHE_DIR=tmp_path / folder) if folder else around()
        command = [*WORDS, str(path), "--force", "--json", "--store", str(archive.path)]
        done = subprocess.run(command, env=surroundings, cwd=REPO, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout)["hashes"]["result"])
    assert len(set(found)) == 1


def test_a_run_that_is_stored_is_answered_and_with_force_made_anew(archive):
    store = open_archive(archive.path)
    portfolio = Portfolio.from_toml(MANY_SIDED)
    first, _ = run(store, portfolio, force=True)
    found, stored = run(store, portfolio)
    forced, answered = run(store, portfolio, force=True)
    assert stored and not answered
    assert first.summary["hashes"] == found.summary["hashes"] == forced.summary["hashes"]
