"""Nine kinds of faults, planted at random in simulated and in real chains: every one is found.

`pytest tests/test_store_planted.py --plants 200` is the long form: 200 of each kind, 1,800 in all, in both.
"""

import random
import sys
from itertools import product

import numpy as np
import polars as pl
import pytest

from store import checks, sample
from store.contracts import Master
from store.tables import TABLES
from tests import palladium, planted

MANY = 50  # faults of a kind from which on all markets are taken, and chance is not the same every time
MOST = 12  # of a kind at once in one market, so that it stays a market with faults in it


@pytest.fixture(scope="module")
def simulated(request):
    """Markets of a sample of its own seed, without the faults that the sample has."""
    count = request.config.getoption("--plants")
    few, seed = count < MANY, _seed(count)
    master, faults = Master.load(), {(fault.root, fault.contract) for fault in sample.planted(seed)}
    markets = []
    for root, frame in sample.chains(seed):
        spoiled = [contract for name, contract in faults if name == root]
        clean = frame.filter(pl.col("fault").is_null() & ~pl.col("contract").is_in(spoiled))
        bars = TABLES["contract_bars"].conform(clean)
        markets.append(planted.Market(bars, master.spec(root), checks.dated(master, root)))
        if few and len(markets) == 2:
            break
    return markets


@pytest.fixture(scope="module")
def traded(request, real, shared):
    """Barchart's markets; and palladium, which has the open interest that Barchart lacks."""
    master = Master.load()
    roots = sorted({segment.labels["root"] for segment in real.files("contract_bars")})
    if request.config.getoption("--plants") < MANY:
        roots = ["LE", "ZN"]
    frames = {root: real.read("contract_bars", root=root) for root in roots} | {"PA": palladium.bars(shared)}
    return [planted.Market(bars, master.spec(root), checks.dated(master, root)) for root, bars in frames.items()]


def _seed(count):
    return random.randrange(10**6) if count >= MANY else 7


@pytest.mark.parametrize("kind", planted.KINDS)
def test_every_planted_fault_is_found_in_simulated_prices(simulated, kind, plants):
    _all_found(simulated, kind, plants)


@pytest.mark.parametrize("kind", planted.KINDS)
def test_every_planted_fault_is_found_in_real_prices(traded, kind, plants):
    _all_found(traded, kind, plants)


def _all_found(markets, kind, count):
    seed, left, lost = _seed(count), count, []
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    for turn, number in product(range(60), range(len(markets))):
        if left:
            market = markets[number]
            stream = np.random.default_rng([seed, turn, number])
            faults = planted.planted(kind, market, min(MOST, left), stream)
            lost += [(market.bars["root"][0], fault) for fault in planted.missed(market, faults)] if faults else []
            left -= len(faults)
    assert lost == []
    assert left == 0, "too few places for as many"
