"""What frontmonth does most, each timed alone and held against what was asked of it; `bench.run` prints it."""

import statistics
from itertools import product
from pathlib import Path

import numpy as np

from bench import load as loads
from bench import loop, within
from bench.run import DAYS, PORTFOLIO, clock, stretched
from engine import Portfolio
from engine.screen import screened
from engine.sweep import sweep
from engine.trials import changing
from store import open_archive

CROSS = '[portfolio]\nname = "cross"\ncapital = 100_000_000\n[[strategies]]\nname = "moving_average_cross"\n'
FIXED = f'{CROSS}[sizing]\nrule = "fixed"\n'  # one contract, long or short, as the other engines trade it
GRID = {"fast": range(5, 105), "slow": range(110, 310)}  # 20,000 combinations
WIDE = {"fast": range(5, 205), "slow": range(210, 710)}  # 100,000 combinations
SIZES = {"1e6x1": ("1,000,000 bars of one market", 0.020), "1e7x1": ("10,000,000 bars of one market", 0.250),
         "250000x40": ("250,000 bars of 40 markets", 0.250)}  # fmt: skip
LOOP = {5: 0.0005, 40: 0.002, 200: 0.010}  # markets: seconds


def measured(market, folder, rounds, sizes=SIZES, markets=LOOP, many=(40, 20)):
    """A row for each kind of work.

    Parameters
    ----------
    market : Market
        Whose prices are repeated as far as they are needed.
    folder : path
        Where a store may be made.
    rounds : int
        How often each is timed.

    Returns
    -------
    list of dict
        `work`; `seconds` (median) and `best`, or `rate` a second; `asked`, the same, or None; `floor`, times the bare
        loop.
    """
    rows = [
        {"work": f"simulation, {one['markets']} markets x 10 years", "seconds": one["seconds"], "best": one["best"],
         "asked": markets[one["markets"]], "floor": one["ratio"]}
        for one in loop.measured(market, list(markets), 10 * DAYS, rounds) if one["kind"] == "held"
    ]  # fmt: skip
    rows += [
        {"work": sizes[size][0], "seconds": one["seconds"], "best": one["best"], "asked": sizes[size][1]}
        for size, one in zip(sizes, within.measured(market, list(sizes), rounds), strict=True)
    ]  # fmt: skip
    rows.append(_changed(stretched(market, many[0], many[1] * DAYS), rounds, many))
    rows += _swept(stretched(market, 5, 10 * DAYS), rounds)
    return rows + _loaded(Path(folder) / "load", rounds)


def _changed(market, rounds, many):
    """One param of a loaded portfolio: forecast, simulation and statistics again."""
    told = changing(market, Portfolio.from_toml(PORTFOLIO).with_settings(["start=none"]), ["fast", "slow"])
    told({"fast": 50, "slow": 200})
    seconds = [clock(lambda k=k: told({"fast": 10 + k, "slow": 150 + k})) for k in range(4 * rounds)]
    work = f"one param changed, {many[0]} markets x {many[1]} years"
    return {"work": work, "seconds": statistics.median(seconds), "best": min(seconds), "asked": 0.015}


def _swept(market, rounds, grid=GRID, wide=WIDE):
    """Trials a second, in full and screened: whole sweeps, from inputs to files."""
    portfolio, rows = Portfolio.from_toml(FIXED), []
    kinds = (
        ("in full", grid, {"keep": 0}, 10_000),
        ("in full, 2,000 with daily returns", grid, {}, 10_000),
        ("screened, the best in full, all of it", wide, {"screen": True}, None),
    )
    for name, axes, words, asked in kinds:
        sweep(market, portfolio, {key: values[:2] for key, values in axes.items()}, **words)
        seconds = [clock(lambda a=axes, w=words: sweep(market, portfolio, a, **w)) for _ in range(rounds)]
        trials = len(axes["fast"]) * len(axes["slow"])
        rows.append(_rate(f"sweep of 5 markets x 10 years {name}", trials, seconds, asked))
    values = dict(zip(axes, np.array(list(product(*axes.values()))).T, strict=True))
    seconds = [clock(lambda: screened(market, portfolio, values)) for _ in range(rounds)]
    return [*rows, _rate("the same, its screening alone", trials, seconds, 60_000)]


def _rate(work, trials, seconds, asked):
    return {"work": work, "rate": trials / statistics.median(seconds), "best": trials / min(seconds), "asked": asked}


def _loaded(folder, rounds):
    """`market.load` of 40 markets x 10 years, in processes of their own."""
    loads.make(open_archive(folder, create=True), 40, 10)
    asked = {"cold": None, "series": 0.150, "arrays": 0.005, "again": 0.005}
    rows = []
    for kind, most in asked.items():
        one = loads.rounds(kind, folder, rounds)
        work = f"load, 40 markets x 10 years, {loads.KINDS[kind]}"
        rows.append({"work": work, "seconds": one["median"], "best": one["best"], "asked": most})
    return rows


def lines(rows):
    """The rows as lines of text."""
    told = [f"{'':<58}{'median':>12}{'best':>12}{'aim':>12}   times the bare loop"]
    for row in rows:
        figures = [row.get("rate") or row["seconds"], row["best"], row["asked"]]
        shown = ["" if x is None else f"{x:,.0f}/s" if "rate" in row else f"{x * 1e3:,.2f} ms" for x in figures]
        floor = f"{row['floor']:.1f}" if "floor" in row else ""
        told.append(f"{row['work']:<58}{shown[0]:>12}{shown[1]:>12}{shown[2]:>12}   {floor}".rstrip())
    return told
