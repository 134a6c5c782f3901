"""How long, and in how much memory, minute bars are imported, listed, verified, aggregated and loaded for a run.

    python -m bench.minutes                                  # a million rows of 4 markets
    python -m bench.minutes --rows 1e6 1e7 1e8 --folder DIR  # takes half an hour and 5 GB there
    python -m bench.minutes --rows 1e6 1e7 1e8 --picture minutes.svg --json

The bars are made (`bench.minute_files`). Each command is a process of its own: seconds, seconds of processor time, and
the most memory that it, or a process that it started, ever held. `--limit` says what memory no command may pass.

    import           all files into an empty store      again     the same files: all are known
    markets          what is stored                     verify    every file against its checksum
    load minutes     a run's market, of the minutes     load made the same, of series that are kept
    aggregate        daily bars of them                 nothing   the same, with nothing new
    load daily       a run's market, of the daily bars
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.minute_files import LAYOUTS, SECTION, Shape, write
from bench.run import machine

REPO = Path(__file__).resolve().parent.parent
LOAD = "import sys, engine, store; engine.load(store.open_archive(sys.argv[1]))"
WATCH = """
import json, runpy, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - began
peak, cpu = runpy.run_path("store/system.py")["children"]()  # not imported: this process must stay small
print(json.dumps({"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "peak_bytes": peak}))
sys.exit(code)
"""
COMMAND = ("-m", "app.cli")
COMMANDS = {  # name -> the words of the process; {files} and {store} are put in
    "import": (*COMMAND, "import", "{files}", "--store", "{store}"),
    "again": (*COMMAND, "import", "{files}", "--store", "{store}"),
    "markets": (*COMMAND, "markets", "--store", "{store}"),
    "verify": (*COMMAND, "verify", "--store", "{store}"),
    "load minutes": ("-c", LOAD, "{store}"),
    "load made": ("-c", LOAD, "{store}"),
    "aggregate": (*COMMAND, "aggregate", "--store", "{store}"),
    "nothing": (*COMMAND, "aggregate", "--store", "{store}"),
    "load daily": ("-c", LOAD, "{store}"),
}
DRAWN = ("import", "markets", "verify", "load minutes", "aggregate", "load daily")
LIMIT = 6.0  # [GB]
COLOURS = ("#1f77b4", "#8c564b", "#7f7f7f", "#d62728", "#2ca02c", "#9467bd")


def main(arguments=None):
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    found = {"machine": machine(), "layout": options.layout, "limit": options.limit, "sizes": []}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            shape = Shape.of(int(rows), options.seed)
            found["sizes"].append(measured(Path(folder), shape, options.layout, options.only or tuple(COMMANDS)))
    if options.picture:
        options.picture.write_text(picture(found["sizes"]), encoding="utf-8")
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")
    passed = [f"{name} of {one['rows']:,} rows" for one in found["sizes"] for name, cost in one["commands"].items()
              if cost["peak_bytes"] > options.limit * 1e9]  # fmt: skip
    if passed:
        raise SystemExit(f"more than {options.limit:g} GB: {', '.join(passed)}")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.minutes", description="Timings of minute bars.")
    made.add_argument("--rows", type=float, nargs="+", default=[1e6], help="how many rows, one store each (1e6)")
    made.add_argument("--layout", choices=LAYOUTS, default="parquet", help="which files (parquet)")
    made.add_argument("--seed", type=int, default=1, help="of the prices (1)")
    made.add_argument("--limit", type=float, default=LIMIT, help="memory that no command may pass [GB] (6)")
    made.add_argument("--folder", type=Path, help="where files and stores are made; else the system's temporary folder")
    made.add_argument("--picture", type=Path, help="draw time and memory over rows into this SVG file")
    made.add_argument("--only", nargs="+", choices=COMMANDS, help="measure these commands, in this order")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def measured(folder, shape, layout="parquet", commands=tuple(COMMANDS)):
    """The cost of commands on a store of this shape, made in `folder`."""
    (folder / "store").mkdir()
    (folder / "store" / "vendors.toml").write_text(SECTION, encoding="utf-8")
    began = time.perf_counter()
    files = write(folder / "files", shape, layout)
    made = {"rows": shape.rows, "markets": shape.markets, "files": len(files)}
    made |= {"file_bytes": sum(path.stat().st_size for path in files), "seconds_to_make": since(began), "commands": {}}
    places = {"files": folder / "files", "store": folder / "store"}
    for name in commands:
        made["commands"][name] = cost([word.format(**places) for word in COMMANDS[name]], shape.rows)
    return made | {f"{part}_bytes": size(folder / "store" / part) for part in ("data", "cache")}


def cost(words, rows):
    """Seconds, processor time and memory of a Python process with these words, and rows a second.

    It is started by a small process, since one that is forked counts the memory of the process that it came from.
    """
    done = subprocess.run([sys.executable, "-S", "-c", WATCH, *words], cwd=REPO, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return found | {"rows_per_second": round(rows / found["seconds"])}


def size(folder):
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def since(began):
    """Seconds since a moment of the performance counter."""
    return round(time.perf_counter() - began, 3)


def exponent(sizes, name):
    """Power of the rows by which a command's processor time grows, of the two largest sizes; None of one size."""
    if len(sizes) < 2:
        return None
    from math import log

    small, large = sorted(sizes, key=lambda one: one["rows"])[-2:]
    seconds = [one["commands"][name]["cpu_seconds"] for one in (small, large)]
    return log(seconds[1] / seconds[0]) / log(large["rows"] / small["rows"])


def table(found):
    """The figures as lines of text."""
    m = found["machine"]
    lines = [f"{m['name']}: {m['cpu']}, {m['cores']} cores, load {m['load']}, {m['system']}"]
    for one in found["sizes"]:
        lines += ["", f"{one['rows']:,} rows of {one['markets']} markets in {one['files']:,} files "
                  f"({one['file_bytes'] / 1e6:,.0f} MB); store {one['data_bytes'] / 1e6:,.0f} MB, "
                  f"cache {one['cache_bytes'] / 1e6:,.0f} MB"]  # fmt: skip
        for name, c in one["commands"].items():
            lines.append(
                f"{name:<14}{c['seconds']:>10.2f} s{c['cpu_seconds']:>10.2f} s of processor"
                f"{c['rows_per_second']:>14,} rows/s{c['peak_bytes'] / 1e6:>9,.0f} MB"
            )
    if len(found["sizes"]) > 1:
        names = [name for name in DRAWN if name in found["sizes"][0]["commands"]]
        told = [f"{name} {exponent(found['sizes'], name):.2f}" for name in names]
        lines += ["", f"processor time grows as rows to the power of: {', '.join(told)}"]
    return "\n".join(lines)


# ---- the picture


def picture(sizes):
    """Time and memory over rows, both axes by powers of ten, as SVG."""
    rows = [one["rows"] for one in sizes]
    drawn = [name for name in DRAWN if all(name in one["commands"] for one in sizes)]
    seconds = {name: [one["commands"][name]["seconds"] for one in sizes] for name in drawn}
    memory = {name: [one["commands"][name]["peak_bytes"] / 1e9 for one in sizes] for name in drawn}
    left = panel(60, rows, seconds, "seconds of each command, by rows", straight=True)
    right = panel(480, rows, memory, "memory of each command [GB], by rows", line=LIMIT)
    names = "".join(
        f'<rect x="{70 + 135 * k}" y="322" width="10" height="10" fill="{COLOURS[k]}"/>'
        f'<text x="{84 + 135 * k}" y="331">{name}</text>'
        for k, name in enumerate(drawn)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="880" height="350" font-family="sans-serif" font-size="11">'
        f'<rect width="880" height="350" fill="#fff"/>{left}{right}{names}</svg>\n'
    )


def panel(x, rows, curves, title, straight=False, line=None, colours=COLOURS):
    """One pair of axes with a curve a command; `straight` adds a dashed one of cost in step with the rows."""
    from math import ceil, floor, log10

    values = [v for curve in curves.values() for v in curve] + ([line] if line else [])
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    first, last = floor(log10(min(rows))), max(ceil(log10(max(rows))), floor(log10(min(rows))) + 1)
    at = lambda r, v: (x + 340 * (log10(r) - first) / (last - first), 280 - 240 * (log10(v) - low) / (high - low))  # noqa: E731
    out = [f'<text x="{x}" y="22" font-weight="bold">{title}</text>']
    for k in range(low, high + 1):
        y = at(10**first, 10**k)[1]
        out.append(f'<path d="M{x} {y:.1f}h340" stroke="#e4e7eb"/><text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end">'
                   f"{10.0**k:g}</text>")  # fmt: skip
    for k in range(first, last + 1):
        px = at(10**k, 10**low)[0]
        out.append(f'<path d="M{px:.1f} 40v240" stroke="#e4e7eb"/><text x="{px:.1f}" y="296" text-anchor="middle">'
                   f"1e{k}</text>")  # fmt: skip
    if line:
        y = at(10**first, line)[1]
        out.append(f'<path d="M{x} {y:.1f}h340" stroke="#7a828c" stroke-dasharray="5 4"/>')
    if straight:
        end = max(curve[-1] for curve in curves.values())
        ends = [at(rows[-1], end), at(rows[0], max(end * rows[0] / rows[-1], 10.0**low))]
        out.append(f'<path d="M{ends[0][0]:.1f} {ends[0][1]:.1f}L{ends[1][0]:.1f} {ends[1][1]:.1f}" stroke="#7a828c" '
                   'stroke-dasharray="5 4"/>')  # fmt: skip
    for colour, curve in zip(colours, curves.values(), strict=False):
        points = [at(r, v) for r, v in zip(rows, curve, strict=True)]
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" '
                   f'stroke="{colour}" stroke-width="2"/>')  # fmt: skip
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    return "".join(out)


if __name__ == "__main__":
    main()
