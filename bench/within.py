"""The loop over bars within the day: a million of one market, ten million, forty markets of 250,000.

    python -m bench.within
    python -m bench.within --sizes 1e6x1 250000x40 --rounds 9

The markets are those of `bench.loop`, with all of the engine on; each day is made of 390 bars that go from settlement
to settlement with noise. What is timed begins with prices in memory and ends with curves by days, fills and trades.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bench.loop import prepared, widened
from bench.run import PORTFOLIO, arguments_of, clock, on_the_page, stretched
from engine import Portfolio, load
from engine.ready import INDEX
from engine.simulate import simulated
from store import open_archive, sample, system

MINUTES = 390  # of a day
BEGIN, END = "<!-- within: made by `python -m bench.within --docs` -->\n", "<!-- end of within -->\n"
SIZES = ("1e6x1", "1e7x1", "250000x40")  # bars x markets


def main(arguments=None):
    """Measure and print a table."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Path(folder) / "store", create=True)
        sample.build(archive)
        told = table(measured(load(archive), options.sizes, options.rounds))
    print(told)
    if options.docs:
        on_the_page(BEGIN, told, END)


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.within", description="Timings of bars within the day.")
    made.add_argument("--sizes", nargs="+", default=list(SIZES), help="BARSxMARKETS (1e6x1 1e7x1 250000x40)")
    made.add_argument("--rounds", type=int, default=5, help="how often each is timed (5)")
    made.add_argument("--docs", action="store_true", help="write the table into docs/speed.md")
    return made


def measured(market, sizes, rounds):
    """A row for each size: bars, markets, fills, seconds, nanoseconds a bar; most memory of the process since."""
    portfolio = Portfolio.from_toml(PORTFOLIO).with_settings(["start=none"])
    rows = []
    for size in sizes:
        bars, _, count = size.partition("x")
        days, count = -(-round(float(bars)) // MINUTES), int(count)
        ready = minutes(prepared(widened(arguments_of(stretched(market, count, days), portfolio), count), "held"))
        system.forget_peak()
        ledger = simulated(ready)
        seconds = [clock(lambda ready=ready: simulated(ready)) for _ in range(rounds)]
        total, memory = len(ready.given.row) * count, system.peak_memory()
        rows.append(
            {"bars": len(ready.given.row), "markets": count, "fills": len(ledger.fills), "days": len(ledger.equity),
             "seconds": statistics.median(seconds), "best": min(seconds),
             "ns": statistics.median(seconds) / total * 1e9,
             "memory": memory}
        )  # fmt: skip
    return rows


def minutes(ready, count=MINUTES, seed=7):
    """A simulation of days as one of bars within them, told by days; what belongs to a day's end stays there."""
    given = ready.given
    days, markets = given.quotes.mark.shape
    mark = given.quotes.mark
    step = np.nan_to_num(
        np.diff(mark, axis=0, prepend=mark[:1]) * ~np.diff(given.facts["contract"], axis=0, prepend=0).astype(bool)
    )
    part = np.linspace(1.0 / count, 1.0, count)[None, :, None]
    noise = np.random.default_rng(seed).normal(0.0, 0.02, (days, count, markets)) * np.nanstd(step, axis=0)
    noise[:, -1] = 0.0
    path = ((mark - step)[:, None] + part * step[:, None] + noise).reshape(-1, markets)
    later = np.roll(path, 1, axis=0)  # a market order fills where the bar before ended
    later[0] = path[0]
    told = {
        name: np.repeat(values, count, axis=0)
        for name, values in given.quotes._asdict().items()
        if name in ("volume", "locked")
    }
    none = np.broadcast_to(np.nan, path.shape)
    quotes = given.quotes._replace(
        open=later, high=path, low=path, close=path, fill=later, mark=path, left_open=none, left_mark=none,
        left_volume=none, **told,
    )  # fmt: skip
    within = {
        name: values.copy() for name, values in (("facts", given.facts), ("terms", given.terms), ("clock", given.clock))
    }
    for name in ("roll", "closed"):
        within["facts"][name] = False
    within["clock"]["day_end"] = False
    both = {
        name: np.stack([values, getattr(given, name)], axis=1).reshape(-1, *values.shape[1:])
        for name, values in within.items()
    }
    for name in ("credit", "debit", "transfer"):  # once a day, at its end
        both["clock"][name][0::2] = 0.0
    both["clock"]["month_begin"][0::2] = False
    row = 2 * np.repeat(np.arange(days), count) + (np.arange(days * count) % count == count - 1)
    rules = given.rules.copy()
    rules["by_days"] = rules["daily"] = True
    most = np.repeat(given.most, 2, axis=0) if len(given.most) > 1 else given.most
    weight, usual = (np.repeat(values, count, axis=0) for values in (given.weight, given.usual))
    made = given._replace(
        quotes=quotes, row=row.astype(INDEX), weight=weight, usual=usual, most=most, rules=rules, **both
    )
    return ready._replace(given=made)


def table(rows):
    """The rows as Markdown."""
    lines = [
        f"{system.processor()}, load {system.load()}.",
        "",
        "| bars x markets | fills | seconds | best | a bar | most memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['bars']:,} x {r['markets']} | {r['fills']:,} | {r['seconds'] * 1e3:.1f} ms | {r['best'] * 1e3:.1f} ms "
        f"| {r['ns']:.1f} ns | {r['memory'] / 1e6:,.0f} MB |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
