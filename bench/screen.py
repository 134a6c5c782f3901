"""Screening of very many combinations: how many a second, by their number and by threads.

    python -m bench.screen                                    # 5 markets x 10 years of noise
    python -m bench.screen --combinations 1000 10000 --threads 1 2 --rounds 15

Windows of the moving-average cross are drawn as a grid of 100 quick and 100 slow ones is; forecasts are made anew in
each round. Best of the rounds, and median: what else the machine does only slows.
"""

import argparse
import os
import statistics

import numpy as np

from bench.run import clock
from engine.market import Market
from engine.portfolio import Portfolio
from engine.screen import screened
from store import system

DAYS = 252  # bars of a year
TEXT = """
[portfolio]
capital = 100_000_000
[[strategies]]
name = "moving_average_cross"
[sizing]
rule = "fixed"
[costs]
commission_per_side = 2.5
slippage_ticks = 1.0
"""


def main(arguments=None):
    """Measure and print a table."""
    options = parser().parse_args(arguments)
    days = round(options.years * DAYS)
    rows = measured(options.markets, days, options.combinations, options.threads, options.rounds)
    print(table(rows, options.markets, days))


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.screen", description="Timings of screening.")
    made.add_argument("--markets", type=int, default=5, help="number of markets (5)")
    made.add_argument("--years", type=float, default=10.0, help="years of daily bars (10)")
    made.add_argument(
        "--combinations", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000], help="numbers of combinations"
    )
    made.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}), help="threads (1, all)"
    )
    made.add_argument("--rounds", type=int, default=5, help="how often each is timed, in turns (5)")
    return made


def measured(markets, days, combinations, threads, rounds):
    """A row for each number of combinations and of threads: seconds, combinations a second, ns a bar of a market."""
    market, portfolio = noise(days, markets), Portfolio.from_toml(TEXT)
    screened(market, portfolio, windows(1))
    rows = []
    for count in combinations:
        values = windows(count)
        seconds = {each: [] for each in threads}
        for _ in range(rounds):
            for each, taken in seconds.items():
                taken.append(clock(lambda values=values, each=each: screened(market, portfolio, values, each)))
        for each, taken in seconds.items():
            best = min(taken)
            rows.append(
                {"combinations": count, "threads": each, "best": best, "seconds": statistics.median(taken),
                 "rate": count / best, "ns": best * each / (count * days * markets) * 1e9}
            )  # fmt: skip
    return rows


def windows(count):
    """Quick and slow lengths: of 100 each, every pair once, again from the start where there are more."""
    number = np.arange(count) * 7919 % 10_000  # in no order: no two neighbours share their lengths
    return {"fast": 2 + number % 100, "slow": 110 + number // 100 * 2}


def noise(days, markets, seed=7):
    """A market of random walks around 1000 points, filled at the next open."""
    walk = np.cumsum(np.random.default_rng(seed).normal(0.0, 5.0, (2 * days, markets)), axis=0)
    path = 1000.0 + np.round(walk * 4.0) / 4.0
    opens, closes = (np.ascontiguousarray(path[k::2]) for k in (0, 1))
    names = tuple(f"M{m}" for m in range(markets))
    usual = {
        "offset": 0.0, "contract": 202406, "multiplier": 50.0, "tick": 0.25, "fx": 1.0, "initial_margin": 10_000.0,
        "maintenance_margin": 9_000.0, "volume": 1e5, "open_interest": 1e5, "liquidity": 1e5, "fx_age": 0.0,
    }  # fmt: skip
    prices = {"open": opens, "high": np.maximum(opens, closes), "low": np.minimum(opens, closes)}
    prices |= dict.fromkeys(("close", "settle", "mark"), closes)
    flags, whole = ("roll", "closed", "left_end", "own_margin", "proxy"), ("contract", "roll_contract", "left_contract")
    told = {
        "names": names, "roots": names, "ranks": (0,) * markets, "currencies": ("USD",) * markets, "currency": "USD",
        "sectors": ("noise",) * markets, "simulated": True, "rate": np.zeros(days),
        "days": np.busday_offset("2010-01-04", np.arange(days), roll="forward"),
        "available": np.ones(closes.shape, bool), **prices,
    }  # fmt: skip
    for name, kind in Market.__annotations__.items():
        if kind is np.ndarray and name not in told:
            sort = bool if name in flags else np.int32 if name in whole else float
            told[name] = np.full(closes.shape, usual.get(name, 0 if name in (*flags, *whole) else np.nan), sort)
    return Market(**told)


def table(rows, markets, days):
    """The rows as Markdown."""
    lines = [
        f"{system.processor()}, load {system.load()}; {markets} markets x {days} days.",
        "",
        "| combinations | threads | best | median | combinations a second | a bar of a market, of a thread |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['combinations']:,} | {r['threads']} | {r['best'] * 1e3:.1f} ms | {r['seconds'] * 1e3:.1f} ms "
        f"| {r['rate']:,.0f} | {r['ns']:.2f} ns |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
