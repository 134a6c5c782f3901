"""How fast continuous series are made, continued after a nightly import, and read, of a made store of many markets.

    python -m bench.rolls                          # 200 markets x 40 years, about 25 million rows: takes minutes
    python -m bench.rolls --markets 20 --years 10 --json
    python -m bench.rolls --folder DIR             # keeps the store there, and takes it up again the next time

    rebuild   all calendars and series by the default rule, in a process that has just begun
    update    the same after one more day of every contract was imported as a small file of its own; a new process
    read      40 of the markets, 10 years of them, in one frame; a process that has read them before

The markets are named X000 to X199 and have the facts of real ones, monthly and quarterly, which stand in the store's
own contracts.csv. Prices are made. Each figure is of a process of its own; files are read once before.
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bench.run import PACKAGES, machine, row
from config import FOLDER
from store import days, derived, expiry, history, open_archive
from store.codes import MONTHS
from store.contracts import Master
from store.held import desk

REPO = Path(__file__).resolve().parent.parent
FACTS = {  # root whose facts are taken: days for which its contracts are listed
    "CL": 550, "ES": 730, "NG": 550, "ZN": 550, "GC": 550, "6E": 365, "ZC": 900, "FGBL": 550,
}  # fmt: skip
END = date(2025, 6, 30)  # of the rebuilt store; the day after is imported then
LEFT_OUT = ("initial_margin", "maintenance_margin")  # long, and not read here
KNOWN = datetime(2025, 7, 1, tzinfo=UTC)  # when the rows came in
READ = (40, 10)  # markets and years of the last figure


def main(arguments=None):
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    if options.do:
        sys.stdout.write(json.dumps(WORK[options.do](options.folder / "store", options.years, options.rounds)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        found = {"machine": machine(), "store": made(folder / "store", options.markets, options.years)}
        for name in WORK:
            found[name] = timed(name, folder, options)
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.rolls", description="Timings of continuous series.")
    made.add_argument("--markets", type=int, default=200, help="markets (200)")
    made.add_argument("--years", type=int, default=40, help="years of each (40)")
    made.add_argument("--rounds", type=int, default=5, help="how often the reading is timed (5)")
    made.add_argument("--folder", type=Path, help="where the store is made, and kept; else the system's temporary one")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("--do", help=argparse.SUPPRESS)
    return made


# ---- the store


def made(path, markets, years):
    """The store, made if it is not there: what it holds, and how long that took [s]."""
    began = time.perf_counter()
    if not path.is_dir():
        archive = open_archive(path, create=True)
        facts(path, markets)
        parts = [archive.write("contract_bars", bars(k, path, years), **labels(k)) for k in range(markets)]
        archive.commit(parts, note="made for bench.rolls")
    archive = open_archive(path)
    rows = sum(segment.rows for segment in archive.files("contract_bars"))
    return {"markets": markets, "years": years, "rows": rows, "seconds": round(time.perf_counter() - began, 1)}


def root(number):
    """The name of a market."""
    return f"X{number:03d}"


def labels(number):
    """Of its files."""
    return {"source": "barchart", "root": root(number)}


def facts(path, markets):
    """Write the store's own contracts.csv: each market has the facts of a real one."""
    with open(FOLDER / "contracts.csv", newline="", encoding="utf-8") as lines:
        header, *known = csv.reader(lines)
    own = {name: [line for line in known if line[0] == name and line[1] not in LEFT_OUT] for name in FACTS}
    with open(path / "contracts.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(header)
        for number in range(markets):
            out.writerows([root(number), *line[1:]] for line in own[like(number)])


def like(number):
    """The root whose facts a market has."""
    return list(FACTS)[number % len(FACTS)]


def bars(number, path, years, first=None, last=END):
    """Rows of one market's contracts as an import writes them, by contract and time; those from a day `first` on.

    The busiest contract is the one of the held months that ends in more than about three weeks, or is delivered then.
    """
    spec = Master.load(path).spec(root(number))
    contracts, ends = listed(spec, END.year - years, END.year + 5)
    every = np.arange(np.datetime64(END) - round(years * 365.25), np.datetime64(last) + 1)
    every = every[np.is_busday(every, busdaycal=days.calendar(spec.calendar))]
    price = 1000.0 + np.cumsum(np.random.default_rng(number).normal(size=len(every)))
    low = np.searchsorted(every, np.datetime64(first or date.min))
    begin = np.maximum(np.searchsorted(every, ends - FACTS[like(number)]), low)
    stop = np.searchsorted(every, ends, side="right")
    count = np.maximum(stop - begin, 0)
    owner = np.repeat(np.arange(len(contracts)), count)
    day = np.arange(count.sum()) + np.repeat(begin - np.cumsum(count) + count, count)
    left = (ends[owner] - every[day]).astype(int) - (25 if spec.first_notice else 0)
    held = np.isin(contracts % 100, [MONTHS.index(letter) + 1 for letter in spec.held_months])[owner]
    noise = 1.0 + 0.1 * np.sin(day * 12.9898 + owner * 78.233)  # the same for a day, whatever comes after it
    busy = np.where(held, 1e5, 1e2) * np.exp(-np.abs(left - 25) / 40.0) * np.where(left < 20, 0.1, 1.0) * noise
    settle = np.round(price[day] + 0.02 * left + noise, 2)
    frame = pl.DataFrame({
        "contract": contracts[owner].astype(np.int32), "day": every[day],
        "open": settle - 0.25, "high": settle + 1.0, "low": settle - 1.0, "settle": settle,
        "volume": np.round(busy) + 1.0, "open_interest": np.round(5.0 * busy) + 1.0,
    })  # fmt: skip
    moment = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=21)
    stamp = pl.col("day").cast(pl.String) + "T06:00:00+0000"
    return frame.with_columns(time=moment, source_time=stamp, known=pl.lit(KNOWN))


def listed(spec, first, last):
    """Delivery months of all contracts of these years, and their last trades."""
    months = np.array([MONTHS.index(letter) + 1 for letter in spec.listed_months])
    contracts = (np.arange(first, last)[:, None] * 100 + months).ravel()
    return contracts, expiry.last_trades(spec, contracts).astype("datetime64[D]")


# ---- what is measured, each in a process of its own


def timed(name, folder, options):
    """Seconds of one piece of work in a new process."""
    words = ["--do", name, "--folder", folder, "--years", options.years, "--rounds", options.rounds]
    done = subprocess.run([sys.executable, "-m", "bench.rolls", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bench.rolls --do {name} failed: {done.stderr}")
    return json.loads(done.stdout)


def rebuild(path, years, rounds):
    """All series, made whole."""
    archive = open_archive(path)
    shutil.rmtree(archive.cache, ignore_errors=True)
    archive.verify()  # reads every file once
    return series(archive)


def update(path, years, rounds):
    """All series, after a day more of every contract."""
    archive = open_archive(path)
    known = archive.files("contract_bars")
    begin = max(segment.last_day for segment in known) + timedelta(days=1)
    new = []
    for number in range(len({segment.labels["root"] for segment in known})):
        frame = bars(number, path, years, begin, begin + timedelta(days=6))
        new.append(archive.write("contract_bars", frame.filter(pl.col("day") == pl.col("day").min()), **labels(number)))
    archive.commit(new, note="a day more")
    return series(archive) | {"new": sum(segment.rows for segment in new)}


def series(archive):
    """Seconds until the series of all markets are there, and how many rows they have."""
    began = time.perf_counter()
    known = desk(archive)
    found = derived.series([history.request(known.bars(name)) for name in known.roots()])
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 4), "markets": len(found), "rows": sum(len(one.frame) for one in found)}


def read(path, years, rounds):
    """Some markets and years in one frame; the first time, and then."""
    archive = open_archive(path)
    roots = sorted({segment.labels["root"] for segment in archive.files("contract_bars")})[: READ[0]]
    begin = END - timedelta(days=round(365.25 * READ[1]))
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        frame = archive.continuous(roots, start=begin)
        seconds.append(round(time.perf_counter() - began, 4))
    told = {"first": seconds[0], "median": round(statistics.median(seconds[1:]), 4), "best": min(seconds[1:])}
    return told | {"markets": frame["root"].n_unique(), "rows": len(frame)}


WORK = {"rebuild": rebuild, "update": update, "read": read}


def table(found):
    """The figures as lines of text."""
    m, s = found["machine"], found["store"]
    versions = ", ".join(f"{name} {m[name]}" for name in ("python", *PACKAGES))
    lines = [f"{m['name']}: {m['cpu']}, {m['cores']} cores, load {m['load']}, {m['system']}", versions, ""]
    lines.append(f"{s['markets']} markets x {s['years']} years, {s['rows']:,} rows of contracts")
    whole, new, some = (found[name] for name in WORK)
    rate = s["rows"] / whole["seconds"]
    lines.append(row("all series made, new process", whole["seconds"], f"{rate:,.0f} rows of contracts a second"))
    lines.append(row("all series after one more day, new process", new["seconds"], f"{new['new']:,} new rows"))
    title = f"{some['markets']} markets, {some['rows']:,} rows, read again"
    lines.append(row(title, some["median"], f"best {some['best'] * 1e3:.1f} ms, first {some['first'] * 1e3:.1f} ms"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
