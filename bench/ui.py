"""How quickly the dashboard answers, in headless Chromium with software rendering.

    python -m bench.ui                       # a run of the sample store that is made for it
    python -m bench.ui --store DIR --brushes 40 --loads 9 --json      # the newest run of yours
    python -m bench.ui --sizes sample "20,000 trades" "1,000,000 trades" --minutes 10

    first curve   from the address to the first painted equity, the server warm
    all drawn     to the last view of the overview
    brush         a pick of other days to the last change of any view (canvas or words)
    live          updates a second while the mouse drags
    server        processor of the server and bytes over the websocket, a brush; the bands are drawn after a pause
    sessions      visitors without a browser, all on one server: a brush from the gesture to the last answer, and what
                  each costs in memory; the server's processor with the bands of each pick

Median and 95th percentile. The browser shares the two cores with the server.
"""

import argparse
import asyncio
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from bench.analysis import RUNS, STORED, of_market, run_of
from bench.run import DAYS, machine, stretched
from bench.visitor import Visitor
from store import system

REPO = Path(__file__).resolve().parent.parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PAUSE, SETTLED = 2.0, 3.0  # between two brushes of a visitor; until nothing is under way any more [s]
UNITS = {"first_curve": ("s", 1), "all_drawn": ("s", 1), "brush": ("ms", 1e3), "live": ("a second", 1),
         "server": ("ms", 1e3), "bytes": ("kB", 1e-3)}  # fmt: skip
CURVE = """() => {
  return window.Bokeh?.documents?.length &&
    FrontmonthPage.views(document.getElementById("equity")).some((view) => view.has_finished?.() ?? true)
}"""
DRAWN = """() => Bokeh.documents.every((doc) => doc.is_idle) &&
  ["equity", "rolling", "markets", "sectors", "sides", "exits", "returns", "results"].every(
    (id) => FrontmonthPage.views(document.getElementById(id)).length)"""
WATCH = """() => {
  window.changes = []
  const ours = (event) => /frontmonth/.test(event.model?.name ?? "")
  for (const doc of Bokeh.documents) doc.on_change((event) => ours(event) || window.changes.push(performance.now()))
}"""

ASK = """(k) => {
  window.changes.length = 0
  const now = performance.now()
  const {start, end} = FrontmonthPage.views(document.getElementById("equity"))[0].model.x_range
  const ends = [start + (end - start) * (0.1 + 0.01 * (k % 20)), start + (end - start) * (0.5 + 0.013 * (k % 17))]
  FrontmonthPage.ask({do: "range", field: "days", ends, live: false})
  return now
}"""


def main(arguments=None):
    """Measure, print tables, or one JSON document."""
    options = parser().parse_args(arguments)
    if options.serve:
        serve(options.store, options.serve)
        return
    found = {"machine": machine()}
    with tempfile.TemporaryDirectory() as temporary:
        for size in options.sizes:
            with dashboard(options.store or made(Path(temporary) / size, size), size) as (address, pid):
                found[size] = measured(address, pid, options) if options.brushes else {}
                if size == options.sizes[0] and options.sessions:
                    found["sessions"] = asyncio.run(crowd(address, pid, options.sessions, options.minutes))
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.ui", description="Timings of the dashboard.")
    made.add_argument("--store", type=Path, help="a store with a run; else one is made")
    made.add_argument("--sizes", nargs="+", default=["sample"], choices=("sample", *RUNS), help="runs to show (sample)")
    made.add_argument("--brushes", type=int, default=30, help="how many (30); 0: no browser")
    made.add_argument("--loads", type=int, default=7, help="how often the page is loaded (7)")
    made.add_argument("--sessions", type=int, default=30, help="visitors at once, without a browser (30)")
    made.add_argument("--minutes", type=float, default=1.0, help="how long they stay (1)")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("--serve", choices=("sample", *RUNS), help=argparse.SUPPRESS)
    return made


# ---- what is shown


def made(folder, size):
    """A store, with a run of the portfolio `trend` if that is what is shown."""
    from bench import load
    from engine import Portfolio
    from engine.backtest import run
    from store import open_archive, sample

    archive = open_archive(folder, create=True)
    if size == "sample":
        sample.build(archive)
        run(archive, Portfolio.from_toml(REPO / "config" / "portfolios" / "trend.toml"))
    else:
        load.make(archive, 40, STORED)
    return folder


def serve(store, size):
    """Serve a store; or a run over 40 markets x 20 years that lies in memory, made over its prices."""
    from app import page, serve
    from app.columns import Columns
    from engine import load
    from store import open_archive

    if size == "sample":
        serve.serve(store, port=0)
        return
    archive = open_archive(store)
    market = stretched(load(archive), 40, 20 * DAYS)
    run = run_of(market, *RUNS[size])
    with of_market(market):
        columns = Columns.of(run, archive)
        page.listed = lambda *_: [{"run": run.id, "portfolio": run.name}]
        page.columns_of = lambda *_: columns
        serve.serve(store, port=0)


@contextmanager
def dashboard(store, size):
    """(address, number of the process) of a server of its own."""
    command = [sys.executable, "-m", "bench.ui", "--store", str(store), "--serve", size]
    server = subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+/", next(line for line in server.stderr if "Dashboard at" in line))[0], server.pid
    finally:
        server.kill()
        server.wait()


# ---- in a browser


def measured(address, server, options):
    """{what: figures} of loads and brushes."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        loads = [load(context, address) for _ in range(options.loads + 1)][1:]  # the first one warms
        figures = brushes(context, address, server, options.brushes)
        browser.close()
    return {"first_curve": [one[0] for one in loads], "all_drawn": [one[1] for one in loads], **figures}


def load(context, address):
    """Seconds to the first curve, and to the last view of the overview."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function("() => window.Bokeh && window.FrontmonthPage && (" + CURVE + ")()", polling=5)
    first = time.perf_counter() - began
    page.wait_for_function(DRAWN, polling=5)
    whole = time.perf_counter() - began
    page.close()
    return first, whole


def brushes(context, address, server, count):
    """Seconds of brushes, updates a second while one is dragged, the server's seconds and the bytes of a brush."""
    page = context.new_page()
    size = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: size.append(len(frame))))
    page.goto(address)
    page.wait_for_function(DRAWN)
    page.wait_for_timeout(3000)
    page.evaluate(WATCH)
    box = page.locator("#equity .bk-Canvas").first.bounding_box()
    took, spent, sent, live = [], [], [], []
    for k in range(count):
        left, right = box["x"] + 100 + 9 * (k % 20), box["x"] + 420 + 13 * (k % 17)
        page.mouse.move(left, box["y"] + 90)
        page.mouse.down()
        began = page.evaluate("() => { window.changes.length = 0; return performance.now() }")
        for step in range(1, 13):
            page.mouse.move(left + (right - left) * step / 12, box["y"] + 95)
            page.wait_for_timeout(20)
        moved = page.evaluate("() => window.changes.slice()")
        bursts = 1 + sum(b - a > 15 for a, b in itertools.pairwise(moved)) if moved else 0
        live.append(bursts / max((page.evaluate("() => performance.now()") - began) / 1e3, 1e-9))
        page.mouse.up()
        page.wait_for_timeout(500)
        before, size[:] = system.spent(server), []
        began = page.evaluate(ASK, k)
        page.wait_for_timeout(400)
        last = page.evaluate("() => window.changes.at(-1) ?? NaN")
        spent.append(system.spent(server) - before)
        sent.append(sum(size))
        if last == last:
            took.append((last - began) / 1e3)
    page.close()
    return {"brush": took, "live": live, "server": spent, "bytes": sent}


# ---- many visitors


async def crowd(address, server, count, minutes):
    """Visitors who all brush every two seconds: seconds of each brush, the server's part, memory before and after."""
    visitors = [Visitor(address.rpartition(":")[2].strip("/")) for _ in range(count + 1)]
    first, *others = visitors
    await arrive(first)
    await asyncio.sleep(SETTLED)
    before = system.memory(server)
    for visitor in others:
        await arrive(visitor)
    await asyncio.sleep(SETTLED)
    there, spent, took = system.memory(server), system.spent(server), []
    until, half = time.perf_counter() + 60 * minutes, []
    asyncio.get_running_loop().call_later(30 * minutes, lambda: half.append(system.memory(server)))
    await asyncio.gather(*(stay(visitor, k, until, took) for k, visitor in enumerate(others)))
    after = system.memory(server)
    return {"count": count, "minutes": minutes, "brush": took, "server": (system.spent(server) - spent) / len(took),
            "session_bytes": (there - before) / count, "grown_bytes": after - there,
            "late_bytes": after - half[0], "received": sum(v.received for v in others) / len(took)}  # fmt: skip


async def arrive(visitor):
    """Load the page and let all of the overview be drawn."""
    await visitor.load()
    await visitor.open()
    visitor.read()


async def stay(visitor, number, until, took):
    """Brush every two seconds until it is over, each visitor a little after the one before."""
    await asyncio.sleep(PAUSE * (number % 30) / 30)
    turn = number
    while time.perf_counter() < until:
        began = time.perf_counter()
        await visitor.brush(turn)
        took.append(time.perf_counter() - began)
        turn += 1
        await asyncio.sleep(max(PAUSE - took[-1], 0.0))


# ---- what is told


def table(found):
    """The figures as lines of text."""
    here = found["machine"]
    lines = [f"{here['name']}: {here['cpu']}, {here['cores']} cores, load {here['load']}"]
    for size in (name for name in found if name not in ("machine", "sessions")):
        lines += ["", size]
        lines += [line(name, found[size][name], *unit) for name, unit in UNITS.items() if name in found[size]]
    if many := found.get("sessions"):
        lines += ["", f"{many['count']} visitors for {many['minutes']:g} minutes, each brushes every {PAUSE:g} s"]
        lines += [line("brush", many["brush"], *UNITS["brush"])]
        lines += [f"{'server':<14}{many['server'] * 1e3:9.2f} ms a brush, the bands after it among them"]
        grown, late = many["grown_bytes"] / 1e6, many["late_bytes"] / 1e6
        lines += [f"{'a session':<14}{many['session_bytes'] / 1e6:9.2f} MB"]
        lines += [f"{'all together':<14}grew by {grown:.1f} MB, by {late:.1f} MB of it in the second half"]
    return "\n".join(lines)


def line(name, values, unit, scale):
    """Median and 95th percentile."""
    values = sorted(value * scale for value in values)
    high = values[min(int(0.95 * len(values)), len(values) - 1)] if values else float("nan")
    middle = statistics.median(values) if values else float("nan")
    return f"{name:<14}{middle:9.2f} {unit:<9} p95 {high:9.2f}  of {len(values)}"


if __name__ == "__main__":
    main()
