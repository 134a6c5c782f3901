"""`frontmonth warm`: afterwards nothing that ships has to be compiled, and a second call finds that out quickly."""

import json
import os
import subprocess
import sys

import pytest

from app import warm
from config import FOLDER
from engine.portfolio import Portfolio
from engine.sizing import SIZERS
from engine.strategies import STRATEGIES
from tests.conftest import REPO

MAIN = "from app.cli import main; main()"


def test_every_strategy_and_rule_that_ships_is_among_them():
    portfolios = [Portfolio.from_toml(text) for text in warm._all().values()]
    assert {type(sleeve.strategy) for one in portfolios for sleeve in one.strategies} == set(STRATEGIES.values())
    assert {type(one.sizing) for one in portfolios} == set(SIZERS.values())


def command(folder, *words):
    around = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *words], cwd=REPO, env=around, capture_output=True, text=True, check=True
    )


@pytest.mark.service
def test_after_it_no_run_of_what_ships_compiles_anything(tmp_path, request):
    if not request.config.getoption("--cold", default=0):
        pytest.skip("compiles all code anew, which takes a minute: --cold 1")
    cache, store = tmp_path / "cache", tmp_path / "store"
    first = command(cache, "warm")
    assert first.stderr.startswith("compiling the engine for all that may be asked, once on this machine: about ")
    assert first.stdout.startswith("compiled in ")
    again = command(cache, "warm")
    assert again.stdout.startswith("warm already: ") and not again.stderr
    command(cache, "demo", "--no-serve", "--store", str(store))
    for path in sorted((FOLDER / "portfolios").glob("*.toml")):
        words = ("run", str(path), "--force", "--profile", "--json", "--store", str(store))
        done = command(cache, *words)
        assert (path.stem, json.loads(done.stdout)["profile"]["kernels"]["compiled"]) == (path.stem, 0)
        assert "compiling" not in done.stderr


@pytest.mark.service
def test_it_is_quick_where_nothing_is_lacking(document):
    document("warm")
    found = document("warm")
    assert set(found) == {"compiled", "from_cache", "seconds"}
    assert (found["compiled"], found["from_cache"]) == (0, 0)  # this process has all of them in memory
