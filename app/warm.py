"""Compile beforehand what `frontmonth run` compiles the first time: every shipped strategy, sizing rule and rounding,
what a sweep takes beside them, and what sections and scenarios of a run take.

They are run over two years of a few simulated markets, in a store that is thrown away, so that each kernel meets the
arrays that it will meet; what is on the disk already takes no time. The simulation is one large kernel, which one core
compiles; a second process compiles forecasts, sizes and regimes meanwhile.
"""

import os
import subprocess
import sys
import time
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numba
import numpy as np
import polars as pl

from app.columns import Columns
from app.crossfilter import crossfilter
from app.selection import Selection
from engine import compiled, inputs
from engine.analysis import regimes, states
from engine.analysis.activity import by_day
from engine.analysis.bands import bands
from engine.analysis.daily import account
from engine.analysis.excursions import edge, excursions, places
from engine.analysis.paths import days_of, paths
from engine.analysis.trade_stats import statistics
from engine.backtest import backtest
from engine.market import load
from engine.portfolio import Portfolio
from engine.sizing import SIZERS
from engine.strategies import STRATEGIES
from engine.sweep import sweep
from store import ingest, open_archive, sample
from store.reading import Reading

MARKETS, FIRST = 4, date(2023, 1, 1)
START = '[portfolio]\nname = "warm"\ncapital = 10_000_000\n'
USUAL = '[[strategies]]\nname = "moving_average_cross"\n'
MORE = {  # whatever else takes kernels of its own
    "nearest risk": f'{START}{USUAL}[sizing]\nrounding = "nearest_risk"\n',
    "impact": f'{START}{USUAL}[costs]\nimpact = "volatility"\n',
    "blend": f'{START}[[strategies]]\nname = "blend"\nparams = {{ causal = true }}\n',
    "spread": f'{START}[spreads.pair]\nlegs = {{ MES = 1, MNQ = -1 }}\n{USUAL}markets = ["pair"]\n',
}


def warm(progress=None):
    """Compile what is lacking.

    Parameters
    ----------
    progress : function of (done, total, name), optional

    Returns
    -------
    dict
        `compiled` and `from_cache`: kernels of this process; `seconds`.
    """
    began, found, made = time.perf_counter(), len(compiled.found), len(compiled.made)
    with TemporaryDirectory() as folder:
        _store(Path(folder))
        other = _other(folder) if _lacks() else None
        try:
            for done, (name, text) in enumerate(_all().items()):
                if done == 1 and other:
                    other.wait()  # what it has failed at is compiled here
                if progress:
                    progress(done, len(_all()), name)
                run = _run(folder, text)
            _sweep(folder)
            _analyse(folder, run)
        finally:
            if other:
                other.kill()
                other.wait()
    if progress:
        progress(len(_all()), len(_all()), "")
    return {
        "compiled": len(compiled.made) - made,
        "from_cache": len(compiled.found) - found,
        "seconds": round(time.perf_counter() - began, 2),
    }


def forecasts(folder):
    """What the second process does: forecasts and sizes of all portfolios, and regimes; nothing simulated."""
    for text in _all().values():
        market, portfolio = load(open_archive(folder)), Portfolio.from_toml(text)
        inputs.made(inputs.with_margins(market, portfolio, 0)[0], portfolio, 0)
    _regimes(load(open_archive(folder)))


def _all():
    """Name -> text of a portfolio; the first needs the simulation, and little else."""
    rules = {rule: f'{START}{USUAL}[sizing]\nrule = "{rule}"\n' for rule in SIZERS}
    return {name: f'{START}[[strategies]]\nname = "{name}"\n' for name in STRATEGIES} | rules | MORE


def _run(folder, text):
    made = backtest(load(open_archive(folder)), Portfolio.from_toml(text))
    made.fills()  # whose table takes a kernel, too
    return made


def _sweep(folder):
    market, text = load(open_archive(folder)), f'{START}compounding = false\n{USUAL}[sizing]\nrule = "fixed"\n'
    for portfolio, screened in ((START + USUAL, False), (text, True)):
        sweep(market, Portfolio.from_toml(portfolio), {"fast": [5, 10]}, threads=1, screen=screened, best=1)


def _analyse(folder, run):
    """Whatever of the analysis of a run, and of its pages, takes kernels."""
    market = load(open_archive(folder))
    statistics(run.trades())
    edge(run, market, at=(at := places(run, market)))
    excursions(run, market, at)
    crossfilter(Columns.of(run), Selection())
    bands(account(run), resamples=2, activity=by_day(run))
    paths(days_of(run), count=2)
    _regimes(market)


def _regimes(market):
    """All kinds; and of the states a model, for two years are too short for one."""
    for kind in regimes.NAMES:
        regimes.labels(market, kind)
    moves = regimes.usual_moves(market.adjusted)[:, 0]
    moves = moves[~np.isnan(moves)]
    mean, variance, transition, likelihood = states.fitted(moves, *states.begun(moves, 2))
    states.counts(moves, variance, transition, likelihood)
    states.hamilton(states.log_normal(moves, mean, variance), transition, np.full(2, 0.5))


def _lacks():
    """Whether the simulation has never been compiled, so that there is something to do for two."""
    return not any(Path(numba.config.CACHE_DIR).glob("*/simulate.*.nbi"))


def _other(folder):
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    code = "import sys; from app.warm import forecasts; forecasts(sys.argv[1])"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code, folder], env=os.environ | {"PYTHONPATH": paths}, **quiet)


def _store(folder):
    """Fill a folder with a small store of simulated prices."""
    archive = open_archive(folder, create=True)
    readings = []
    for root, frame in islice(sample.chains(), MARKETS):
        readings.append(Reading("contract_bars", sample.SOURCE, root, frame.filter(pl.col("day") >= FIRST)))
    rates = [("fx", sample.fx()), ("rates", sample.rates())]
    readings += [
        Reading(of, sample.SOURCE, currency, part)
        for of, frame in rates
        for (currency,), part in frame.group_by("currency", maintain_order=True)
    ]
    ingest.accept(archive, iter(readings), "four markets", "0" * 64)
