"""Sweeps: how many trials a second, and whether a bar costs the same in a small sweep and in a large one.

    python -m bench.sweep                              # 5 markets x 10 years, 1e4 to 1e8 bars of combinations
    python -m bench.sweep --bars 1e4 1e6 --threads 1 2 --rounds 7
    python -m bench.sweep --docs                       # writes docs/speed.md and its picture

A whole sweep is timed: a moving-average cross over prices in memory, from inputs to the files of its results. In full
is all that a run of `config/portfolios/trend.toml` has, with one contract or sizes that follow the equity; screened
is one contract, and its best ten run in full. Combinations are fast x slow. Medians; what else the machine does slows.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import tempfile
from pathlib import Path

from bench.minutes import panel
from bench.run import PORTFOLIO, REPO, clock, on_the_page, stretched
from engine import Portfolio, load
from engine.sweep import sweep
from store import open_archive, sample, system

DAYS = 252  # bars of a year
BEGIN, END = "<!-- sweep: made by `make bench-sweep ARGS=--docs` -->\n", "<!-- end of sweep -->\n"
PICTURE = REPO / "docs" / "pictures" / "sweep.svg"
ONE = ["start=none", "sizing.rule=fixed", "capital=100_000_000"]  # one contract, long or short
KINDS = {"in full": ONE, "in full, sized every day": ["start=none"], "screened": [*ONE, "compounding=false"]}
COLOURS = ("#1f77b4", "#2a9d5c", "#d9772b")
BEST = 10  # of a screened sweep, run in full


def main(arguments=None):
    """Measure and print a table, or JSON."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Path(folder) / "store", create=True)
        sample.build(archive)
        market = stretched(load(archive), options.markets, round(options.years * DAYS))
        rows = measured(market, options.bars, options.threads, options.rounds)
    print(json.dumps(rows, indent=2) if options.json else table(rows))
    if options.docs:
        PICTURE.write_text(picture(rows), encoding="utf-8")
        told = f"{table(rows)}\n\n![Seconds of a sweep, and nanoseconds a bar](pictures/sweep.svg)"
        on_the_page(BEGIN, told, END)


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.sweep", description="Timings of sweeps.")
    made.add_argument("--markets", type=int, default=5, help="number of markets (5)")
    made.add_argument("--years", type=float, default=10.0, help="years of daily bars (10)")
    usual = [1e4, 1e5, 1e6, 1e7, 1e8]
    made.add_argument("--bars", type=float, nargs="+", default=usual, help="bars x markets x combinations (1e4 to 1e8)")
    threads = [min(8, os.cpu_count() or 1)]
    made.add_argument("--threads", type=int, nargs="+", default=threads, help="threads (processors, at most 8)")
    made.add_argument("--rounds", type=int, default=3, help="how often each is timed, in turns (3)")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--docs", action="store_true", help="write the table and the picture into docs/")
    return made


def measured(market, bars, threads, rounds):
    """A row for each way, number of threads and of bars: trials, seconds, trials a second, nanoseconds a bar."""
    portfolio, one = Portfolio.from_toml(PORTFOLIO), market.mark.size
    kinds = {name: changes for name, changes in KINDS.items() if name != "screened" or _screens()}
    rows = []
    for count in threads:
        for wanted in bars:
            grid = grid_of(max(1, round(wanted / one)))
            trials = len(grid["fast"]) * len(grid["slow"])
            told = {name: [] for name in kinds}
            jobs = {
                name: _job(market, portfolio.with_settings(changes), grid, name, count)
                for name, changes in kinds.items()
            }
            for number in range(rounds + 1):
                for name, job in jobs.items():
                    seconds = clock(job)
                    if number:  # the first is to warm
                        told[name].append(seconds)
            rows += [_row(name, count, trials, one, seconds) for name, seconds in told.items()]
    return rows


def grid_of(count):
    """About so many combinations of a moving-average cross.

    >>> [len(grid_of(n)["fast"]) * len(grid_of(n)["slow"]) for n in (1, 8, 79, 7937)]
    [1, 8, 72, 7921]
    """
    side = math.isqrt(count)
    return {"fast": range(2, 2 + count // side), "slow": range(150, 150 + side)}


def _job(market, portfolio, grid, name, threads):
    screened = name == "screened"
    return lambda: sweep(market, portfolio, grid, threads=threads, screen=screened, best=BEST)


def _screens():
    return importlib.util.find_spec("engine.screen") is not None


def _row(name, threads, trials, one, seconds):
    median = statistics.median(seconds)
    return {
        "kind": name, "threads": threads, "trials": trials, "bars": trials * one, "seconds": median,
        "best": min(seconds), "trials_per_second": trials / median, "ns": median / (trials * one) * 1e9,
    }  # fmt: skip


def table(rows):
    """The rows as Markdown."""
    lines = [
        f"{system.processor()}, {os.cpu_count()} cores, load {system.load()}.",
        "",
        "| way | threads | trials | bars | seconds | trials a second | a bar |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['kind']} | {r['threads']} | {r['trials']:,} | {r['bars']:.1e} | {r['seconds']:.3f} "
        f"| {r['trials_per_second']:,.0f} | {r['ns']:.1f} ns |"
        for r in rows
    ]
    return "\n".join(lines)


def picture(rows):
    """Seconds and nanoseconds a bar over bars of all combinations, by powers of ten, as SVG; of most threads."""
    rows = [row for row in rows if row["threads"] == max(row["threads"] for row in rows)]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    bars = [row["bars"] for row in rows if row["kind"] == kinds[0]]
    of = lambda key: {kind: [row[key] for row in rows if row["kind"] == kind] for kind in kinds}  # noqa: E731
    told = "by bars x markets x combinations"
    left = panel(60, bars, of("seconds"), f"seconds of a sweep, {told}", straight=True, colours=COLOURS)
    right = panel(480, bars, of("ns"), f"nanoseconds a bar, {told}", colours=COLOURS)
    names = "".join(
        f'<rect x="{70 + 190 * k}" y="322" width="10" height="10" fill="{COLOURS[k]}"/>'
        f'<text x="{84 + 190 * k}" y="331">{kind}</text>'
        for k, kind in enumerate(kinds)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="880" height="350" font-family="sans-serif" font-size="11">'
        f'<rect width="880" height="350" fill="#fff"/>{left}{right}{names}</svg>\n'
    )


if __name__ == "__main__":
    main()
