"""The loop over bars alone, beside a bare one over the same prices: how long does a market's bar take?

    python -m bench.loop                              # 5, 40 and 200 markets x 10 years
    python -m bench.loop --markets 5 40 --years 20 --rounds 15 --docs

The prices are the sample's; where more markets are asked for than it has, the same ones again under other names. All of
the engine is on: rolls, margin, currencies, costs, and limits that are looked at on every bar but bite on none. What is
timed begins with prices in memory, as the engine reads them, and ends with positions, profit of each market, equity,
margin, fills, trades and events.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bench.floor import floor
from bench.run import PORTFOLIO, arguments_of, bare_arguments, clock, on_the_page, stretched
from engine import Portfolio, load
from engine.book import Facts, Lines, Prices
from engine.ready import ready_of
from engine.simulate import simulated
from store import open_archive, sample, system

DAYS = 252  # bars of a year
BEGIN, END = "<!-- loop: made by `python -m bench.loop --docs` -->\n", "<!-- end of loop -->\n"
KINDS = {"held": "one contract, long or short by its trend", "sized": "a volatility target, sized anew every day"}


def main(arguments=None):
    """Measure and print a table."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Path(folder) / "store", create=True)
        sample.build(archive)
        rows = measured(load(archive), options.markets, round(options.years * DAYS), options.rounds)
    told = table(rows)
    print(told)
    if options.docs:
        on_the_page(BEGIN, told, END)


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.loop", description="Timings of the loop over bars.")
    made.add_argument("--markets", type=int, nargs="+", default=[5, 40, 200], help="numbers of markets (5 40 200)")
    made.add_argument("--years", type=float, default=10.0, help="years of daily bars (10)")
    made.add_argument("--rounds", type=int, default=9, help="how often each is timed, in turns (9)")
    made.add_argument("--docs", action="store_true", help="write the table into docs/speed.md")
    return made


def measured(market, markets, days, rounds):
    """A row for each number of markets and kind of portfolio: seconds of ours and of the floor, in turns."""
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["start=none"])
    rows = []
    for count in markets:
        told = stretched(market, count, days)
        arguments, bare = widened(arguments_of(told, portfolio), count), bare_arguments(told, portfolio)
        for kind in KINDS:
            ready = prepared(arguments, kind)
            ledger = simulated(ready)
            floor(*bare)
            ours, least = [], []
            for _ in range(rounds):
                ours.append(clock(lambda ready=ready: simulated(ready)))
                least.append(clock(lambda bare=bare: floor(*bare)))
            bars = days * count
            part = bars / bare[1].size  # the floor has the sample's markets, each once
            rows.append(
                {"markets": count, "days": days, "kind": kind, "fills": len(ledger.fills), "events": len(ledger.events),
                 "seconds": statistics.median(ours), "best": min(ours), "ns": statistics.median(ours) / bars * 1e9,
                 "floor": statistics.median(least) * part,
                 "ratio": statistics.median(a / (b * part) for a, b in zip(ours, least, strict=True))}
            )  # fmt: skip
    return rows


def widened(arguments, count):
    """Arguments of `simulate` for so many markets: those there are, again and again, each a root of its own."""
    prices, facts, lines, wishes, orders, account, limits, clock_, sleeves, _, available = arguments[:11]
    columns = np.arange(count) % len(lines.member)
    row = np.arange(count)
    wide = {name: np.ascontiguousarray(getattr(wishes, name)[:, columns]) for name in ("weight", "usual")}
    flags = {name: getattr(wishes, name)[columns] for name in ("resize", "ordered", "program", "contracts")}
    return (
        Prices(*(np.ascontiguousarray(values[:, columns]) for values in prices)),
        Facts(*(np.ascontiguousarray(values[:, columns]) for values in facts)),
        Lines(row, row, np.ones(count), 0 * row, row, lines.sector[columns], 0 * row - 1),
        wishes._replace(**wide, **flags), orders, account,
        limits._replace(
            any=True, contracts=np.full(count, 1e6), sector=1e7, side=1e7, gross=1e4, net=1e4, margin=1e3, volume=1e6
        ),
        clock_, sleeves, np.ascontiguousarray(available[:, columns]),
    )  # fmt: skip


def prepared(arguments, kind):
    """What `simulated` is given."""
    prices, facts, lines, wishes, orders, account, limits, clock_, sleeves, available = arguments
    capital = np.array([1e9])  # nothing is refused
    if kind == "held":
        wishes = wishes._replace(weight=np.sign(wishes.weight), contracts=np.ones(len(lines.member), bool))
    else:
        account = account._replace(compounding=False)
        wishes = wishes._replace(weight=wishes.weight * sleeves.capital / 1e9)
    sleeves = sleeves._replace(capital=capital)
    return ready_of(prices, facts, lines, wishes, orders, account, limits, clock_, sleeves, None, available)


def table(rows):
    """The rows as Markdown."""
    lines = [
        f"{system.processor()}, load {system.load()}.",
        "",
        "| markets | portfolio | fills | seconds | best | a bar | a bare loop | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['markets']} x {r['days']} days | {KINDS[r['kind']]} | {r['fills']:,} | {r['seconds'] * 1e3:.2f} ms "
        f"| {r['best'] * 1e3:.2f} ms | {r['ns']:.0f} ns | {r['floor'] * 1e3:.2f} ms | {r['ratio']:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
