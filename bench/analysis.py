"""How long it takes to understand a run: each section of `frontmonth show RUN --section NAME`, and all of them.

    python -m bench.analysis                       # 40 markets x 20 years with 20,000 trades, and with a million
    python -m bench.analysis --rounds 9 --json
    python -m bench.analysis --docs                # writes docs/speed.md

The runs are backtests of strategies that turn from long to short every few bars, over prices of the sample store. A
round begins with the tables of the run and the prices of its market in memory, and with nothing that an analysis has
made: what sections share is counted to the first of them. Beside the sections: all pairs of dimensions of the
attribution; and what is drawn or fitted, which is kept with a stored run. The best and the median of `--rounds`.
"""

import argparse
import json
import os
import statistics
import tempfile
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np

from app.commands import risks
from app.commands.sections import SECTIONS
from bench.load import make
from bench.run import DAYS, PORTFOLIO, clock, on_the_page, stretched
from engine import Portfolio, backtest, load
from engine.analysis import activity, regime_tables, source
from engine.analysis.attribution import attribution
from engine.analysis.bands import bands
from engine.analysis.daily import Daily, account
from engine.analysis.regimes import NAMES, models
from engine.portfolio import Sleeve
from engine.strategy import Strategy
from store import open_archive, system

RUNS = {"20,000 trades": (10, 1), "1,000,000 trades": (2, 10)}  # bars that a trade lasts, strategies
STORED = 12  # years of the sample's prices, which follow again [years]
WHOLE = ("risk", "trades", "payments", "regimes", "attribution")  # sections that are made anew each time
QUICK = tuple(name for name in NAMES if name != "states")  # of regimes: no model is fitted for them
TABLES = ("equity", "trades", "ledger", "fills", "positions")
BEGIN, END = "<!-- analysis: made by `make bench-analysis ARGS=--docs` -->\n", "<!-- end of analysis -->\n"


class Turns(Strategy):
    """One contract, long and short in turns."""

    bars, first = 10, 0

    @classmethod
    def of(cls, bars, first):
        """One that turns every `bars` bars, counted from `first`, in each market on other days."""
        made = cls()
        made.bars, made.first = bars, first
        return made

    def targets(self, market):
        """1 or -1."""
        days, markets = market.mark.shape
        turn = (np.arange(days)[:, None] + np.arange(markets) + self.first) // self.bars
        return np.where(turn % 2 == 0, 1.0, -1.0)


def main(arguments=None):
    """Measure and print a table, or JSON."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Path(folder) / "store", create=True)
        make(archive, options.markets, STORED)
        market = stretched(load(archive), options.markets, round(options.years * DAYS))
        found = {name: measured(market, *shape, options.rounds) for name, shape in RUNS.items()}
    print(json.dumps(found, indent=2) if options.json else table(found))
    if options.docs:
        on_the_page(BEGIN, table(found), END)


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.analysis", description="Timings of the analysis of a run.")
    made.add_argument("--markets", type=int, default=40, help="number of markets (40)")
    made.add_argument("--years", type=float, default=20.0, help="years of daily bars (20)")
    made.add_argument("--rounds", type=int, default=5, help="how often each is timed (5)")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--docs", action="store_true", help="write the table into docs/speed.md")
    return made


def measured(market, bars, strategies, rounds):
    """Seconds of each section, of all, and of what stands beside them, best and median; and how large the run is."""
    run = run_of(market, bars, strategies)
    told = {}
    with of_market(market):
        for number in range(rounds + 1):
            forget(run)
            seconds = {name: clock(job) for name, job in jobs(run, market).items()}
            seconds["together"] = sum(seconds[name] for name in WHOLE)
            for name, value in seconds.items() if number else ():  # the first is to warm
                told.setdefault(name, []).append(value)
    return {
        "markets": len(market.names), "days": len(market.days), "rounds": rounds,
        **{name: len(getattr(run, name)()) for name in ("trades", "positions", "ledger")},
        "seconds": {name: {"best": min(one), "median": statistics.median(one)} for name, one in told.items()},
    }  # fmt: skip


def run_of(market, bars, strategies):
    """A run with a trade every `bars` bars in each market of each strategy; its tables are in memory."""
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["start=none", "portfolio.capital=1e9"])
    portfolio.strategies = [Sleeve(strategy=Turns.of(bars, 7 * k)) for k in range(strategies)]
    run = backtest(market, portfolio)
    for name in TABLES:
        getattr(run, name)()
    return run


def jobs(run, market):
    """What is timed: name -> function."""
    made = {name: lambda name=name: SECTIONS[name](run, None) for name in WHOLE if name != "regimes"}
    made = {name: regimes(run) if name == "regimes" else made[name] for name in WHOLE}
    return made | {
        "all pivots": lambda: pivots(run, market),
        "bootstrap": lambda: drawn(run, market),
        "statistical regimes": lambda: models(market),
    }


def regimes(run):
    """The section without what is drawn, and without the regimes that a model is fitted for."""
    return lambda: regime_tables.overview(*regime_tables.regimes_of_run(None, run, QUICK), Daily.of(run), resamples=0)


def drawn(run, market):
    """The bands of all numbers, and the p-values of the regimes."""
    bands(account(run), activity=activity.by_day(run, market))
    regime_tables.overview(*regime_tables.regimes_of_run(None, run, QUICK), Daily.of(run))


def pivots(run, market):
    """All pairs of dimensions."""
    told = attribution(run, source.curve(market), np.resize(["calm", "wild", "crisis"], len(run.equity()) - 1))
    for pair in combinations(told.dimensions, 2):
        told.matrix(*pair)


def forget(run):
    """Take from the run what analyses have kept with it."""
    vars(run).pop("_analysed", None)
    risks._market.cache_clear()


@contextmanager
def of_market(market):
    """The market of every run is this one: none is loaded."""
    places = [(source, "market_of_run", market), (source, "curve_of_run", source.curve(market))]
    places.append((regime_tables, "market_of_run", market))
    before = [getattr(place, name) for place, name, _ in places]
    for place, name, given in places:
        setattr(place, name, lambda archive, run, given=given: given)
    try:
        yield
    finally:
        for (place, name, _), function in zip(places, before, strict=True):
            setattr(place, name, function)


def head(found, where, what):
    """Machine, sizes of the runs, what the cells tell and in brackets; then the head of a table, a column a run."""
    sizes = "; ".join(
        f"{one['trades']:,} trades, {one['positions']:,} rows of positions, {one['ledger']:,} of the ledger"
        for one in found.values()
    )
    return [
        f"{system.processor()}, {os.cpu_count()} cores, load {system.load()}{where}: {sizes}. {what} in brackets.",
        "",
        f"| | {' | '.join(found)} |",
        f"| --- | {' | '.join('---' for _ in found)} |",
    ]


def table(found):
    """The figures as Markdown, a column a run."""
    first = next(iter(found.values()))
    lines = head(found, f"; {first['markets']} markets x {first['days']:,} days", f"Best of {first['rounds']}, median")
    for name in first["seconds"]:
        cells = [
            f"{shown(one['seconds'][name]['best'])} ({shown(one['seconds'][name]['median'])})" for one in found.values()
        ]
        label = f"`{name}`" if name in WHOLE else name
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(seconds):
    """Seconds as text.

    >>> shown(0.0123), shown(2.5)
    ('12 ms', '2.50 s')
    """
    return f"{seconds * 1e3:.0f} ms" if seconds < 1.0 else f"{seconds:.2f} s"


if __name__ == "__main__":
    main()
