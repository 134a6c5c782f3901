"""How fast and in how much memory made prices are imported: many small files, large CSV files, large Parquet files.

    python -m bench.imports                           # 20 markets x 100 contracts x 230 rows, each layout
    python -m bench.imports --markets 200 --contracts 500 --rows 250 --layouts market parquet    # 25 million rows

    contracts   a CSV a contract, named as Barchart's are
    market      a CSV a market, a column of contract codes, by a section of vendors.toml
    parquet     a Parquet file a market, columns named as ours

Each import runs in a process of its own, into an empty store: seconds of the call, rows a second, seconds of processor
time, and the most memory that the process ever held. Files are read once before, so that the disk is not measured.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from bench.run import machine
from store import ingest, open_archive, system

REPO = Path(__file__).resolve().parent.parent
LAYOUTS = ("contracts", "market", "parquet")
MONTHS = "FGHJKMNQUVXZ"
SECTION = """
[bench]
file = '(?P<root>[A-Z]+)[.]csv'
symbol = "symbol"
columns = {time = "date", open = "open", high = "high", low = "low", last = "settle", volume = "volume"}
"""


def main(arguments=None):
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    if options.into:
        sys.stdout.write(json.dumps(imported(options.into[0], Path(options.into[1]))))
        return
    found = {"machine": machine(), "imports": {}}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for layout in options.layouts:
            files = Path(folder) / layout
            written(files, layout, options.markets, options.contracts, options.rows)
            found["imports"][layout] = measured(files, Path(folder) / "store", options.rounds)
            shutil.rmtree(files)
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.imports", description="Timings of imports on this machine.")
    made.add_argument("--markets", type=int, default=20, help="markets (20)")
    made.add_argument("--contracts", type=int, default=100, help="contracts of a market (100)")
    made.add_argument("--rows", type=int, default=230, help="rows of a contract (230)")
    made.add_argument("--rounds", type=int, default=3, help="how often each layout is imported (3)")
    made.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS, help="which files (all)")
    made.add_argument("--folder", type=Path, help="where the files are made; else the system's temporary folder")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("--into", nargs=2, metavar=("FILES", "STORE"), help=argparse.SUPPRESS)
    return made


def written(folder, layout, markets, contracts, rows):
    """Files of one layout."""
    folder.mkdir(parents=True)
    for number in range(markets):
        root = name(number)
        frame = chain(np.random.default_rng(number), contracts, rows)
        if layout == "parquet":
            frame.write_parquet(folder / f"{root}.parquet")
        elif layout == "market":
            code = pl.format("{}{}{}", pl.lit(root), letter(), pl.col("contract").cast(pl.String).str.slice(2, 2))
            frame.select(code.alias("symbol"), pl.col("day").alias("date"), pl.exclude("contract", "day")).write_csv(
                folder / f"{root}.csv"
            )
        else:
            small(folder, root, frame)


def name(number):
    """A market's name of three letters, none that the master knows."""
    return "Q" + chr(65 + number // 26 % 26) + chr(65 + number % 26)


def letter():
    """The letter of a delivery month, as an expression."""
    return (pl.col("contract") % 100).replace_strict(dict(enumerate(MONTHS, 1)), return_dtype=pl.String)


def small(folder, root, frame):
    """A file a contract, as bc-utils writes them."""
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("America/Chicago")
    stamp = midnight.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S+0000").alias("Time")
    lines = frame.select(
        "contract", stamp, Open="open", High="high", Low="low", Close="settle", Volume="volume"
    ).partition_by("contract", as_dict=True, include_key=False)
    for (contract,), part in lines.items():
        part.write_csv(folder / f"Day_{root}_{contract}00.csv")


def chain(rng, contracts, rows):
    """Bars of the monthly contracts of one market, each with so many sessions before its delivery month."""
    step = np.round(rng.normal(0, 1, (contracts, rows)), 2)
    settle = 1000 + np.cumsum(step, axis=1).round(2)
    opening = np.concatenate([settle[:, :1], settle[:, :-1]], axis=1)
    months = [date(1985 + k // 12, k % 12 + 1, 1) for k in range(contracts)]
    days = np.array([np.busday_offset(np.datetime64(m, "D"), np.arange(-rows, 0), roll="forward") for m in months])
    columns = {
        "contract": np.repeat([m.year * 100 + m.month for m in months], rows).astype(np.int32),
        "day": days.ravel(),
        "open": opening.ravel(),
        "high": (np.maximum(opening, settle) + 0.5).round(2).ravel(),
        "low": (np.minimum(opening, settle) - 0.5).round(2).ravel(),
        "settle": settle.ravel(),
        "volume": rng.integers(1, 100_000, contracts * rows),
    }
    return pl.DataFrame(columns)


def measured(files, store, rounds):
    """The best of several imports into empty stores, each by a process of its own."""
    for path in files.iterdir():
        path.read_bytes()
    best = None
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-m", "bench.imports", "--into", str(files), str(store)],
            cwd=REPO, capture_output=True, text=True,
        )  # fmt: skip
        shutil.rmtree(store, ignore_errors=True)
        if done.returncode:
            raise SystemExit(f"the import failed: {done.stderr}")
        one = json.loads(done.stdout)
        best = one if best is None or one["seconds"] < best["seconds"] else best
    return best | {"files": len(list(files.iterdir())), "rounds": rounds}


def imported(files, store):
    """Rows, seconds and memory of one import."""
    archive = open_archive(store, create=True)
    (archive.path / "vendors.toml").write_text(SECTION)
    began, used = time.perf_counter(), time.process_time()
    reports = ingest.import_paths(archive, [files])
    seconds, used = time.perf_counter() - began, time.process_time() - used
    wrong = [report.error for report in reports if report.error]
    if wrong:
        raise SystemExit(wrong[0])
    rows = sum(report.accepted for report in reports)
    if rows != sum(segment.rows for segment in archive.files("contract_bars")):
        raise SystemExit(f"{rows} rows were accepted, others are stored")
    return {
        "rows": rows, "seconds": round(seconds, 3), "rows_per_second": round(rows / seconds),
        "peak_bytes": system.peak_memory(), "cpu_seconds": round(used, 3),
    }  # fmt: skip


def table(found):
    """The figures as lines of text."""
    m = found["machine"]
    lines = [f"{m['name']}: {m['cpu']}, {m['cores']} cores, load {m['load']}, {m['system']}", ""]
    for layout, one in found["imports"].items():
        lines.append(
            f"{layout:<12}{one['files']:>7,} files{one['rows']:>13,} rows{one['seconds']:>9.2f} s"
            f"{one['rows_per_second']:>12,} rows/s{one['cpu_seconds']:>9.2f} s of processor"
            f"{one['peak_bytes'] / 1e6:>7,.0f} MB"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
