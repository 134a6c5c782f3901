"""How large a report is and how quickly it answers, in headless Chromium with the network off and software rendering.

    python -m bench.report                            # runs of about 20,000 and of a million trades
    python -m bench.report --trades 5000 --brushes 10 --json
    python -m bench.report --docs                     # writes docs/speed.md

    file          of the report [MB]
    written       by Python, with the columns of the run
    first curve   from opening the file to the first frame in which the equity has its days
    all drawn     to the last view of the overview
    script        of a brush over days: the twin's pass, and what every view of the overview makes of it
    brush         the same to the frame after the last view has drawn itself
    filter        script of a pick of other markets, which no remembered pass helps
    memory        of the script, its arrays included, after all of them [MB]

The runs are those of `bench.analysis`: 40 markets x 20 years, each strategy long and short in turns in each of them.
Medians, 95th percentile in brackets.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path

from app.report import report
from bench.analysis import STORED, head, of_market, run_of
from bench.load import make
from bench.run import DAYS, clock, on_the_page, stretched
from bench.ui import FLAGS
from engine import load
from store import open_archive

TRADES = (20_000, 1_000_000)
BEGIN, END = "<!-- report: made by `make bench-report ARGS=--docs` -->\n", "<!-- end of report -->\n"
CHARTS = ("equity", "rolling", "markets", "sectors", "sides", "exits", "returns", "results")  # of the overview
WATCH = """(charts) => {
  const views = (id) => FrontmonthPage.views(document.getElementById(id))
  const days = (renderer) => (renderer.data_source?.data.day ?? []).length
  const there = (view) => view.has_finished() && view.model.renderers.some((one) => days(one) > 1)
  const frame = () => {
    const idle = window.Bokeh?.documents?.length && window.FrontmonthPage && document.getElementById("equity")
    if (idle && !window.curve && views("equity").some(there)) window.curve = performance.now()
    if (idle && window.curve && Bokeh.documents.every((doc) => doc.is_idle) && charts.every((id) => views(id).length)) {
      window.drawn = performance.now()
    } else requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
}"""
BRUSH = """async (k) => {
  const {state, crossfilter, patches} = Frontmonth
  const [first, last] = [state.data.day[0], state.data.day.at(-1)]
  const at = (share) => first + (last - first) * share
  const ends = [at(0.1 + 0.01 * (k % 20)), at(0.5 + 0.013 * (k % 17))]
  const iso = (ms) => new Date(ms).toISOString().slice(0, 10)
  const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  const script = (fields) => {
    const began = performance.now()
    patches(state, crossfilter(state.data, {...state.chosen, ...fields}), state.data.meta.pages.overview)
    return performance.now() - began
  }
  const days = ends.map((ms) => iso(ms + 86400000))
  const took = {script: script({days}), filter: script({markets: state.data.meta.roots.filter((_, m) => (m + k) % 3)})}
  await frames()
  const began = performance.now()
  FrontmonthPage.ask({do: "range", field: "days", ends, live: false})
  do await frames()
  while (!Bokeh.documents.every((doc) => doc.is_idle))
  return {...took, brush: performance.now() - began}
}"""
ROWS = (
    ("file", "MB", 1), ("written", "s", 1), ("first curve", "s", 2), ("all drawn", "s", 2), ("script", "ms", 1),
    ("brush", "ms", 0), ("filter", "ms", 0), ("memory", "MB", 0),
)  # fmt: skip


def main(arguments=None):
    """Measure and print a table, or JSON."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        archive = open_archive(folder / "store", create=True)
        make(archive, options.markets, STORED)
        market = stretched(load(archive), options.markets, round(options.years * DAYS))
        found = {}
        for trades in options.trades:
            told = written(market, trades, folder / f"{trades}.html", archive)
            found[f"{told['trades']:,} trades"] = told | answered(folder / f"{trades}.html", options)
    print(json.dumps(found, indent=2) if options.json else table(found))
    if options.docs:
        on_the_page(BEGIN, table(found), END)


def parser():
    """The options of the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.report", description="Size and timings of reports.")
    made.add_argument("--trades", type=int, nargs="+", default=TRADES, help="of each run, about (20000 1000000)")
    made.add_argument("--markets", type=int, default=40, help="number of markets (40)")
    made.add_argument("--years", type=float, default=20.0, help="years of daily bars (20)")
    made.add_argument("--loads", type=int, default=5, help="how often each file is opened (5)")
    made.add_argument("--brushes", type=int, default=30, help="how many (30)")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--docs", action="store_true", help="write the table into docs/speed.md")
    return made


def shape(market, trades):
    """Bars that a trade lasts, two at least, and strategies, so that a run has about so many trades."""
    bars = market.mark.size
    strategies = max(1, round(2 * trades / bars))
    return max(2, round(strategies * bars / trades)), strategies


def written(market, trades, path, archive):
    """Write the report of a run; what it took and how large it is."""
    run = run_of(market, *shape(market, trades))
    with of_market(market):
        seconds = clock(lambda: report(run, path, archive=archive))
    sizes = {name: len(getattr(run, name)()) for name in ("trades", "positions", "ledger")}
    return sizes | {"file": [path.stat().st_size / 1e6], "written": [seconds]}


def answered(path, options):
    """Open the file and brush in it."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        loads = [opened(browser, path)[1] for _ in range(options.loads + 1)][1:]  # the first one warms
        page, _ = opened(browser, path)
        brushes = [page.evaluate(BRUSH, k) for k in range(options.brushes)]
        used = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")
        browser.close()
    held = used["usedSize"] + used.get("backingStorageSize", 0)
    return {
        "first curve": [one[0] for one in loads], "all drawn": [one[1] for one in loads],
        **{name: [one[name] for one in brushes] for name in ("script", "brush", "filter")}, "memory": [held / 1e6],
    }  # fmt: skip


def opened(browser, path):
    """The page of a file, offline, and its seconds to the first curve and to the last view."""
    for context in browser.contexts:
        context.close()
    page = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True).new_page()
    page.add_init_script(f"({WATCH})({json.dumps(CHARTS)})")
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_function("() => window.drawn")
    return page, page.evaluate("() => [window.curve / 1e3, window.drawn / 1e3]")


def table(found):
    """The figures as Markdown, a column a run."""
    first = next(iter(found.values()))
    counts = f"Median of {len(first['first curve'])} openings and of {len(first['brush'])} brushes"
    lines = head(found, "", f"{counts}, 95th percentile")
    for name, unit, digits in ROWS:
        lines.append(f"| {name} | {' | '.join(shown(one[name], unit, digits) for one in found.values())} |")
    return "\n".join(lines)


def shown(values, unit, digits):
    """Median and 95th percentile as text.

    >>> shown([1.0, 3.0, 2.0], "ms", 0), shown([1.25], "MB", 1)
    ('2 (3) ms', '1.2 MB')
    """
    middle = f"{statistics.median(values):.{digits}f}"
    high = sorted(values)[min(int(0.95 * len(values)), len(values) - 1)]
    return f"{middle} ({high:.{digits}f}) {unit}" if len(values) > 1 else f"{middle} {unit}"


if __name__ == "__main__":
    main()
