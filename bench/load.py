"""How long `engine.load` takes for many markets, by what is kept of them: nothing, their series, their arrays.

    python -m bench.load                          # 40 markets x 10 years of the sample's prices, through the import
    python -m bench.load --markets 10 --years 5 --rounds 9 --json
    python -m bench.load --store DIR              # your own store, of which a copy is measured

    cold      the whole cache is gone: Parquet files are hashed and read, calendars and series are made and kept
    series    series are kept, the arrays are not: hashed, read, aligned, kept
    arrays    a new process maps the arrays, and checks them; with the hash of all code, once a process
    again     the same process asks once more: manifest, facts and question are looked at again

Each figure of the first three is of a process of its own, without its imports: median and best of `--rounds`, with the
seconds of its processors, as other work on the machine slows the clock. Markets beyond those of the sample are its
markets under other seeds and names, with their facts in the store's own contracts.csv.
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
from datetime import date
from itertools import islice
from pathlib import Path

import polars as pl

from bench.run import machine
from config import FOLDER
from engine import load
from store import decisions, ingest, open_archive, sample
from store.reading import Reading
from store.sample_prices import END, MARKETS

MANY = 100  # loads of a process that asks again; the last of them count
REPO = Path(__file__).resolve().parent.parent
KINDS = {"cold": "nothing kept", "series": "series kept", "arrays": "arrays kept, new process", "again": "once more"}


def main(arguments=None):
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    if options.do:
        sys.stdout.write(json.dumps(work(options.folder, options.do)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        found = {"machine": machine(), "store": prepare(folder, options)}
        found["load"] = {kind: rounds(kind, folder, options.rounds) for kind in KINDS}
        found["markets"], found["days"], found["bytes"] = shape(folder)
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.load", description="Timings of loading markets.")
    made.add_argument("--markets", type=int, default=40, help="markets of the made store (40)")
    made.add_argument("--years", type=int, default=10, help="years of each (10)")
    made.add_argument("--rounds", type=int, default=7, help="how often each is timed (7)")
    made.add_argument("--store", type=Path, help="a store with prices; else one is made")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("--do", choices=tuple(KINDS), help=argparse.SUPPRESS)
    made.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return made


# ---- the store


def prepare(folder, options):
    """The store to be measured in `folder`: a copy, or made. What it holds."""
    if options.store:
        shutil.copytree(options.store, folder, ignore=lambda path, names: {"runs", "cache"} & set(names))
    else:
        make(open_archive(folder, create=True), options.markets, options.years)
    bars = open_archive(folder).files("contract_bars")
    kind = "copy" if options.store else "made"
    return {"kind": kind, "markets": len({s.labels["root"] for s in bars}), "rows": sum(s.rows for s in bars)}


def make(archive, markets, years):
    """Import the last years of the sample's markets, and of others like them."""
    first = date(END.item().year - years + 1, 1, 1)
    names = {}
    readings = []
    for number in range(-(-markets // len(MARKETS))):
        for root, frame in islice(sample.chains(sample.SEED + number), markets - len(readings)):
            name = root if number == 0 else f"{root}X{number}"
            names[name] = root
            frame = frame.filter(pl.col("day") >= first)
            readings.append(Reading("contract_bars", sample.SOURCE, name, frame.with_columns(root=pl.lit(name))))
    facts(archive.path, {name: root for name, root in names.items() if name != root})
    rates = [("fx", sample.fx()), ("rates", sample.rates())]
    readings += [
        Reading(of, sample.SOURCE, currency, part)
        for of, frame in rates
        for (currency,), part in frame.group_by("currency", maintain_order=True)
    ]
    ingest.accept(archive, iter(readings), f"{markets} markets, {years} years", "0" * 64)
    decisions.accept(archive, "unit_slip", None, "planted in the sample", author="bench", source=sample.SOURCE)


def facts(folder, names):
    """Write the store's own contracts.csv: {name of a market: that whose facts it has}."""
    with open(FOLDER / "contracts.csv", newline="", encoding="utf-8") as lines:
        header, *known = csv.reader(lines)
    with open(folder / "contracts.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(header)
        for name, root in names.items():
            out.writerows([name, *line[1:]] for line in known if line[0] == root)


# ---- the timings


def rounds(kind, folder, count):
    """Median and best of several processes, or of one that asks again and again."""
    if kind == "again":
        took = process(kind, folder, count)
    else:
        process("arrays", folder)  # what is kept is there; files are in the memory of the system
        took = [process(kind, folder) for _ in range(count)]
    clock, spent = zip(*took, strict=True)
    return {"median": statistics.median(clock), "best": min(clock), "processor": min(spent), "rounds": count}


def process(kind, folder, count=1):
    """(seconds, seconds of processors) of a load in a process of its own; a list of them, of one that asks again."""
    cache = Path(folder) / "cache"
    if kind in ("cold", "series"):
        shutil.rmtree(cache if kind == "cold" else cache / "markets", ignore_errors=True)
    command = [sys.executable, "-m", "bench.load", "--do", kind, "--folder", str(folder)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"loading {folder} failed: {done.stderr}")
    told = json.loads(done.stdout)
    return told[-count:] if kind == "again" else told[0]


def work(folder, kind):
    """Load, and if asked for, again and again: [(seconds, seconds of processors)]."""
    return [timed(folder) for _ in range(MANY if kind == "again" else 1)]


def timed(folder):
    """(seconds, seconds of processors) from opening the store to a market."""
    began, spent = time.perf_counter(), time.process_time()
    load(open_archive(folder))
    return round(time.perf_counter() - began, 5), round(time.process_time() - spent, 5)


def shape(folder):
    """Markets, days and bytes of what was loaded."""
    archive = open_archive(folder)
    market = load(archive)
    sizes = [path.stat().st_size for path in (archive.cache / "markets").glob("*.arrays")]
    return len(market.names), len(market.days), max(sizes, default=0)


def table(found):
    """The figures as lines of text."""
    store, here = found["store"], found["machine"]
    lines = [f"{here['name']}: {here['cpu']}, {here['cores']} cores, load {here['load']}, {here['system']}", ""]
    lines += [f"{found['markets']} markets x {found['days']:,} days of {store['rows']:,} rows; arrays of "
              f"{found['bytes'] / 1e6:.0f} MB"]  # fmt: skip
    for kind, one in found["load"].items():
        times = (f"{one[name] * 1e3:8.1f} ms {name}" for name in ("median", "best", "processor"))
        lines.append(f"{KINDS[kind]:<28}{'  '.join(times)}  of {one['rounds']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
