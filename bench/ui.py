"""How quickly the dashboard answers, in headless Chromium with software rendering.

    python -m bench.ui                       # the newest run of a sample store that is made for it
    python -m bench.ui --store DIR --brushes 40 --loads 9 --json

    first curve   from the address to the first painted equity, the server warm
    all drawn     to the last view of the overview
    brush         a pick of other days to the last change of any view (canvas or words)
    live          updates a second while the mouse drags
    server        processor of the server, with the bootstrap of the bands, and bytes over the websocket, a brush

Median and 95th percentile. The browser shares the two cores with the server.
"""

import argparse
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.run import machine
from store import system

REPO = Path(__file__).resolve().parent.parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
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
    """Measure, print a table, or one JSON document."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        store = options.store or made(Path(temporary) / "store")
        found = {"machine": machine(), **measured(store, options)}
    sys.stdout.write((json.dumps(found, indent=2) if options.json else table(found)) + "\n")


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.ui", description="Timings of the dashboard.")
    made.add_argument("--store", type=Path, help="a store with a run; else one is made")
    made.add_argument("--brushes", type=int, default=30, help="how many (30)")
    made.add_argument("--loads", type=int, default=7, help="how often the page is loaded (7)")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def made(folder):
    """A sample store with a run of the portfolio `trend`."""
    from engine import Portfolio
    from engine.backtest import run
    from store import open_archive, sample

    archive = open_archive(folder, create=True)
    sample.build(archive)
    run(archive, Portfolio.from_toml(REPO / "config" / "portfolios" / "trend.toml"))
    return folder


def measured(store, options):
    """{what: figures} of a server of its own."""
    from playwright.sync_api import sync_playwright

    code = f"from app.serve import serve; serve({str(store)!r}, port=0)"
    server = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+/", next(line for line in server.stderr if "Dashboard at" in line))[0]
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            context = browser.new_context(viewport={"width": 1400, "height": 1000})
            loads = [load(context, address) for _ in range(options.loads + 1)][1:]  # the first one warms
            figures = brushes(context, address, server.pid, options.brushes)
            browser.close()
    finally:
        server.kill()
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


def table(found):
    """The figures as lines of text."""
    here = found["machine"]
    lines = [f"{here['name']}: {here['cpu']}, {here['cores']} cores, load {here['load']}", ""]
    for name, unit, scale in (("first_curve", "s", 1), ("all_drawn", "s", 1), ("brush", "ms", 1e3),
                              ("live", "a second", 1), ("server", "ms", 1e3), ("bytes", "kB", 1e-3)):  # fmt: skip
        values = sorted(value * scale for value in found[name])
        high = values[min(int(0.95 * len(values)), len(values) - 1)] if values else float("nan")
        middle = statistics.median(values) if values else float("nan")
        lines.append(f"{name:<14}{middle:9.2f} {unit:<9} p95 {high:9.2f}  of {len(values)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
