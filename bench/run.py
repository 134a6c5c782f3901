"""Timings of frontmonth on this machine, with the machine's name and the ratio to a bare loop over the same arrays.

    python -m bench.run                       # the sample store; simulation stretched to 24 markets x 20 years
    python -m bench.run --store DIR --json    # your own store, which is not changed
    python -m bench.run --readme              # writes the table of README.md, of the sample store

Whole processes are timed from outside, with Python's byte code kept as on anybody's machine; those of 40 markets x 10
years in turns with one that only imports numpy and numba. The simulation is timed in this process, in turns with
`bench.floor`, on warm code: what else the machine does then slows both. Medians and best of `--rounds`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from bench.floor import floor
from config import FOLDER
from engine import Portfolio, backtest, load
from store import ingest, open_archive, sample, system

REPO = Path(__file__).resolve().parent.parent
PORTFOLIO = FOLDER / "portfolios" / "trend.toml"
PACKAGES = ("numpy", "numba", "polars")
IMPORTED = 6  # markets of the folder that is imported
DAYS = 252  # bars of a year
MANY, LONG = 40, 10  # markets and years of the run that is held against the imports
MAIN = "from app.cli import main; main()"


def main(arguments=None):
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    if options.readme and (options.store or options.quick):
        raise SystemExit("--readme goes with the sample store and all timings: leave out --store and --quick")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        found = {"machine": machine()}
        found["store"] = prepare(options.store, folder / "store")
        if not options.quick:
            found["import"] = imported(folder)
        found["process"] = processes(folder, options.rounds, options.quick)
        if not options.quick:
            found["process"] |= whole(folder / "many", options.rounds)
        found["simulation"] = simulation(folder / "store", options.markets, options.years, options.rounds)
        if not options.quick:
            from bench import work  # which imports this file

            found["work"] = work.measured(load(open_archive(folder / "store")), folder, options.rounds)
    print(json.dumps(found, indent=2) if options.json else table(found))
    if options.readme:
        page = REPO / "README.md"
        page.write_text(readme(page.read_text(encoding="utf-8"), table(found)), encoding="utf-8")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.run", description="Timings of frontmonth on this machine.")
    made.add_argument("--store", type=Path, help="a store with prices; else the sample, which is built")
    made.add_argument("--markets", type=int, default=24, help="markets of the simulation (24)")
    made.add_argument("--years", type=float, default=20.0, help="years of the simulation (20)")
    made.add_argument("--rounds", type=int, default=7, help="how often each warm thing is timed (7)")
    made.add_argument("--quick", action="store_true", help="leave out the import and the run that compiles everything")
    made.add_argument("--readme", action="store_true", help="write the table into README.md")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def machine():
    """What it was measured on."""
    return {
        "name": system.host(),
        "cpu": system.processor(),
        "cores": os.cpu_count(),
        "load": system.load(),
        "system": system.description(),
        "python": ".".join(map(str, sys.version_info[:3])),
        **{name: version(name) for name in PACKAGES},
    }


def prepare(store, target):
    """A store to be measured in `target`: a copy without runs and cache, or the sample. What it holds, and how long."""
    began = time.perf_counter()
    if store is None:
        counts = sample.build(open_archive(target, create=True))
        return {"kind": "sample", "markets": counts["markets"], "rows": counts["rows"], "seconds": since(began)}
    shutil.copytree(store, target, ignore=lambda path, names: {"runs", "cache"} & set(names))
    bars = open_archive(target).files("contract_bars")
    return {"kind": "copy", "markets": len({s.labels["root"] for s in bars}), "rows": sum(s.rows for s in bars)}


def imported(folder):
    """Rows a second of an import of zipped text files, as Barchart's are, into an empty store."""
    source = folder / "files"
    source.mkdir()
    rows = 0
    for _, (root, frame) in zip(range(IMPORTED), sample.chains(), strict=False):
        rows += frame.height
        price = pl.coalesce("settle", "close")
        stamp = pl.col("day").dt.strftime("%Y-%m-%dT06:00:00+0000")
        lines = frame.select(
            "contract", stamp.alias("Time"), Open="open", High="high", Low="low", Close=price, Volume="volume"
        )
        with zipfile.ZipFile(source / f"{root}.zip", "w") as packed:
            for (contract,), part in lines.partition_by("contract", as_dict=True, include_key=False).items():
                packed.writestr(f"Day_{root}_{contract}00.csv", part.write_csv())
    archive = open_archive(folder / "imported", create=True)
    began = time.perf_counter()
    reports = ingest.import_paths(archive, [source], "barchart")
    seconds = since(began)
    read = sum(report.rows_read for report in reports)
    return {"rows": read, "seconds": seconds, "rows_per_second": round(read / seconds)}


def processes(folder, rounds, quick):
    """Seconds of the command as a whole process: help, the first run ever, of a store, of a warm one."""
    run = ["run", str(PORTFOLIO), "--force", "--json", "--store", str(folder / "store")]
    found = {"help": summary([timed(["--help"])[0] for _ in range(rounds)])}
    if not quick:
        empty = {"NUMBA_CACHE_DIR": str(folder / "compiled")}
        found["first run, nothing compiled"] = {"seconds": timed(run, empty)[0]}
        shutil.rmtree(folder / "store" / "cache", ignore_errors=True)
    timed(run)  # compiles what is not compiled yet
    shutil.rmtree(folder / "store" / "cache", ignore_errors=True)
    found["first run of a store"] = {"seconds": timed(run)[0]}
    warm = [timed(run) for _ in range(rounds)]
    found["run"] = summary([seconds for seconds, _ in warm])
    for part in ("load", "simulate", "analyse", "total"):
        found["run"][part] = statistics.median(document["seconds"][part] for _, document in warm)
    return found


def whole(path, rounds, markets=MANY, years=LONG):
    """A run of many markets as a whole process, in turns with one that imports numpy and numba and ends."""
    from bench.load import make  # which imports this file

    make(open_archive(path, create=True), markets, years)
    run = ["run", str(PORTFOLIO), "--force", "--json", "--store", str(path)]
    timed(run), timed([], code="import numpy, numba")
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(timed([], code="import numpy, numba")[0])
        ours.append(timed(run)[0])
    above = [b - a for a, b in zip(bare, ours, strict=True)]
    return {
        "python -c 'import numpy, numba'": summary(bare),
        f"frontmonth run, {markets} markets x {years} years": summary(ours),
        "the same above the imports": summary(above),
    }


def timed(words, environment=None, code=MAIN):
    """Seconds of one process, and the document that it prints, if any."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=REPO, env=usual | (environment or {}), capture_output=True, text=True,
    )  # fmt: skip
    seconds = since(began)
    if done.returncode:
        raise SystemExit(f"frontmonth {' '.join(words)} failed: {done.stderr}")
    return seconds, json.loads(done.stdout) if "--json" in words else None


def simulation(path, markets, years, rounds):
    """The loop over bars alone, warm, in turns with the floor over the same prices; and loading from the cache."""
    archive, portfolio = open_archive(path), Portfolio.from_toml(PORTFOLIO).with_settings(["start=none"])
    loads = [clock(lambda: load(archive)) for _ in range(rounds)]
    market = stretched(load(archive), markets, round(years * DAYS))
    inputs = arguments_of(market, portfolio)
    bare = bare_arguments(market, portfolio)
    module = sys.modules["engine.backtest"]
    ours, theirs = [], []
    module.simulate(*inputs), floor(*bare)
    for _ in range(3 * rounds):
        ours.append(clock(lambda: module.simulate(*inputs)))
        theirs.append(clock(lambda: floor(*bare)))
    bars = market.mark.size
    return {
        "markets": len(market.roots), "days": len(market.days), "load": summary(loads),
        "simulate": summary(ours) | {"ns_per_bar": round(min(ours) / bars * 1e9, 1)},
        "floor": summary(theirs) | {"ns_per_bar": round(min(theirs) / bars * 1e9, 1)},
        "ratio": round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 1),
    }  # fmt: skip


def arguments_of(market, portfolio):
    """What `backtest` hands to the simulation for this market."""
    module = sys.modules["engine.backtest"]
    simulate, seen = module.simulate, []

    def record(*arguments):
        seen.append(arguments)
        return simulate(*arguments)

    module.simulate = record
    try:
        backtest(market, portfolio)
    finally:
        module.simulate = simulate
    return seen[0]


def bare_arguments(market, portfolio):
    """The same prices for the floor, one contract of each market."""
    markets = len(market.roots)
    worth = np.nan_to_num((market.multiplier * market.fx)[-1])
    costs, tick = portfolio.costs.arrays(market), np.nan_to_num(market.tick[-1])
    ticks = np.divide(costs["slippage"][-1], tick, out=np.zeros(markets), where=tick > 0.0)
    return (
        market.open, market.mark, 50, 200, worth, tick, portfolio.capital, np.ones(markets),
        float(costs["commission"][-1].mean()), float(ticks.mean()),
    )  # fmt: skip


def stretched(market, markets, days):
    """The first markets over so many days; where there are fewer, the same days follow again after a roll."""
    arrays = {k: v for k, v in vars(market).items() if isinstance(v, np.ndarray)}
    columns = np.arange(min(markets, len(market.roots)))
    narrow = {k: np.ascontiguousarray(v[:, columns]) if v.ndim == 2 else v for k, v in arrays.items()}
    times = -(-days // len(market.days))
    parts = [seamed(narrow, k, times) for k in range(times)]
    joined = {k: np.concatenate([part[k] for part in parts])[:days] for k in narrow}
    texts = {k: getattr(market, k)[: len(columns)] for k in ("names", "roots", "ranks", "currencies", "sectors")}
    return type(market)(**(vars(market) | joined | texts))


def seamed(arrays, number, times):
    """Copy `number` of the arrays: later days, and a roll on its last bar into the first of the next copy."""
    made = dict(arrays)
    span = arrays["days"][-1] - arrays["days"][0] + np.timedelta64(1, "D")
    made["days"] = arrays["days"] + number * span
    if number == times - 1:
        return made
    mark, contract = arrays["mark"], arrays["contract"]
    seen = ~np.isnan(mark)
    last, first = len(mark) - 1 - seen[::-1].argmax(axis=0), seen.argmax(axis=0)
    column = np.arange(mark.shape[1])
    ends = {"roll": True, "roll_contract": contract[first, column]}
    ends |= dict.fromkeys(("roll_from", "roll_from_fill"), mark[last, column])
    ends |= dict.fromkeys(("roll_to", "roll_to_fill"), mark[first, column])
    for name, value in ends.items():
        made[name] = arrays[name].copy()
        made[name][last, column] = value
    return made


def clock(function):
    """Seconds of a call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def since(began):
    """Seconds since a moment, rounded to a tenth of a millisecond."""
    return round(time.perf_counter() - began, 4)


def summary(seconds):
    """Median, best and number of several timings."""
    return {"median": round(statistics.median(seconds), 5), "best": round(min(seconds), 5), "rounds": len(seconds)}


def table(found):
    """The figures as lines of text."""
    m, s, process, simulated = (found[key] for key in ("machine", "store", "process", "simulation"))
    versions = ", ".join(f"{name} {m[name]}" for name in ("python", *PACKAGES))
    lines = [f"{m['name']}: {m['cpu']}, {m['cores']} cores, load {m['load']}, {m['system']}", versions, ""]
    lines += [row(f"store ({s['kind']}): {s['markets']} markets, {s['rows']:,} rows", s.get("seconds"), "built")]
    if "import" in found:
        done = found["import"]
        lines.append(
            row(
                f"import of {done['rows']:,} rows in zipped text",
                done["seconds"],
                f"{done['rows_per_second']:,} rows/s",
            )
        )
    for name, one in process.items():
        label = "frontmonth --help" if name == "help" else f"frontmonth {name}" if name == "run" else name
        lines.append(row(label, one.get("median", one.get("seconds")), best(one)))
    size = f"{simulated['markets']} markets x {simulated['days']:,} days"
    lines.append(row("load of all arrays, cached", simulated["load"]["median"], best(simulated["load"])))
    for name, label in (("simulate", "simulation"), ("floor", "bare loop")):
        one = simulated[name]
        lines.append(row(f"{label}, {size}", one["median"], f"{best(one)}, {one['ns_per_bar']} ns a bar"))
    lines.append(f"{'simulation / bare loop':<52}{simulated['ratio']:>9.1f} times")
    if "work" in found:
        from bench import work

        lines += ["", *work.lines(found["work"])]
    return "\n".join(lines)


def readme(text, lines):
    """The page with these lines between its marks."""
    begin, end = "<!-- timings: made by `make bench ARGS=--readme` -->", "<!-- end -->"
    head, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"README.md has lost its mark {begin} or {end}")
    return f"{head}{begin}\n\n```text\n{lines}\n```\n\n{end}{rest.partition(end)[2]}"


def on_the_page(begin, lines, end, page=REPO / "docs" / "speed.md"):
    """Put these lines between two marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{lines}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def row(label, seconds, note):
    """A line of the table."""
    shown = "" if seconds is None else f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
    return f"{label:<52}{shown:>12}   {note if seconds is not None else ''}".rstrip()


def best(one):
    """The best of several rounds, as a note."""
    if "best" not in one:
        return ""
    return f"best {one['best'] * 1e3:.1f} ms of {one['rounds']}"


if __name__ == "__main__":
    main()
