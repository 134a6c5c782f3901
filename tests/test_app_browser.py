"""Page and report in Chromium: they draw, they answer to a brush, they ask nothing of any other host, both alike."""

import json
import re
import shutil
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from app import shell
from app.columns import Columns
from app.crossfilter import FIELDS, crossfilter
from app.report import about, packed, report
from app.selection import CHOICES, Selection
from app.view import Board
from app.views import VIEWS
from store.archive import open_archive
from tests import analysed
from tests.conftest import REPO
from tests.naive_crossfilter import OddRun, drawn
from tests.synthetic_run import EmptyRun, SyntheticRun, stored

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-default-apps",
)  # fmt: skip
RUN = SyntheticRun(years=5, paid={300: 1.5e6, 800: -4e5})
BAD = SyntheticRun(years=1, seed=4, sectors={"<img src=x onerror=alert(1)>": "ZC ZW"}, name="<script>alert(2)</script>")
STRIP = "#strip dl.strip"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright().start()
    made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
    yield made
    made.close()
    playwright.stop()


@pytest.fixture
def tab(browser):
    """Opens an address in a tab of its own; at the end nothing may have failed, complained or asked elsewhere."""
    wrong, contexts = [], []

    def watch(page):
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}") or dialog.dismiss())
        page.on("requestfailed", lambda request: wrong.append(f"failed {request.url}"))
        page.on(
            "response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status > 399 else None
        )
        inside = re.compile(r"(http://127\.0\.0\.1[:/]|data:|blob:|file:)")
        page.on("request", lambda asked: None if inside.match(asked.url) else wrong.append(f"outside {asked.url}"))

    def opened(url, width=1400, theme="light", offline=False, wait=STRIP):
        context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=theme, offline=offline)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(url)
        page.wait_for_selector(wait)
        page.wait_for_function("() => Bokeh.documents.length && Bokeh.documents.every((d) => d.is_idle)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a dashboard over a store with three runs, in a process of its own."""
    archive = open_archive(tmp_path_factory.mktemp("served") / "store", create=True)
    for run in (EmptyRun(years=1, seed=3, name="empty"), BAD, RUN):
        stored(archive, run)
    code = f"from app.serve import serve; serve({str(archive.path)!r}, port=0, run={RUN.id!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    told = next(line for line in process.stderr if "Dashboard at" in line)
    yield re.search(r"http://\S+/", told)[0]
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Address of a report."""
    return report(RUN, tmp_path_factory.mktemp("report") / "run.html").as_uri()


def drag(page):
    """Pick the days from two fifths to seven tenths of the equity's width; returns what the strip said before."""
    before = page.locator(STRIP).inner_text()
    plot = page.locator("#equity .bk-Canvas").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 100, steps=3)
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=3)
    page.mouse.up()
    changed(page, before)
    return before


def changed(page, before):
    """Wait until the strip says something else."""
    from playwright.sync_api import expect

    expect(page.locator(STRIP)).not_to_have_text(before, use_inner_text=True)


def rows(page):
    """How many trades the table says it shows."""
    return int(re.search(r"([\d,]+) of", page.locator("#trades p.note").inner_text())[1].replace(",", ""))


def words(page):
    """All that sections say outside of their canvases."""
    names = ("strip", "equity", "months", "sectors", "markets", "positions", "trades")
    return {name: page.locator(f"#{name} :is(p.note, dl, table, .slick-row)").all_inner_texts() for name in names}


@pytest.mark.parametrize("where", ["page", "report"])
def test_a_brush_changes_everything_and_a_reset_brings_it_back(tab, server, file, where):
    page = tab(server) if where == "page" else tab(file, offline=True)
    whole = rows(page)
    months = page.locator("#months table").inner_text()
    first = drag(page)
    assert 0 < rows(page) < whole
    assert page.locator("#months table").inner_text() != months
    assert re.search(r"pick=\d{4}-\d\d-\d\d~", page.url)
    short = page.locator(STRIP).inner_text()
    page.get_by_text("Pick all again").click()
    changed(page, short)
    assert page.locator(STRIP).inner_text() == first
    assert rows(page) == whole


@pytest.mark.parametrize("where", ["page", "report"])
def test_a_link_opens_with_its_selection_and_keys_move_a_date(tab, server, file, where):
    pick = "2013-01-07~2015-06-30;s:Energy"
    page = tab(f"{server}?run={RUN.id}&pick={pick}") if where == "page" else tab(f"{file}#pick={pick}", offline=True)
    said = page.locator("#strip p.note").inner_text()
    assert said.startswith("2013-01-07 to 2015-06-30")
    assert "Energy" in said
    before = page.locator(STRIP).inner_text()
    page.locator(".noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.locator("#strip p.note", has_text="2013-01-14 to").wait_for()
    assert page.locator(STRIP).inner_text() != before


def test_page_and_report_show_the_same(tab, server, file):
    shown = []
    for page in (tab(server), tab(file, offline=True)):
        drag(page)
        page.locator("aside").get_by_label("Grains").check()
        page.locator("#strip p.note", has_text="Grains").wait_for()
        shown.append(words(page))
    assert shown[0] == shown[1]
    assert all(shown[0].values())


@pytest.mark.parametrize("where", ["page", "report"])
def test_nothing_is_clipped_at_any_width_in_any_theme(tab, server, file, where):
    page = tab(server if where == "page" else file, offline=where == "report")
    for width, theme in ((1400, "light"), (1400, "dark"), (800, "dark"), (800, "light")):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=theme)
        page.locator(f":root[data-theme={theme}]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".simulated").is_visible()
        inside = (
            "(nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.innerText)"
        )
        assert page.locator(f"{STRIP} dd").evaluate_all(inside) == []
        assert page.locator(".bk-Canvas").count() == 6


def test_canvases_follow_the_switch_of_the_theme(tab, file):
    page = tab(file, offline=True)
    plot = page.locator("#equity .bk-Canvas").first
    light = plot.screenshot()
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="Light").wait_for()
    page.wait_for_timeout(300)  # a frame of painting
    assert plot.screenshot() != light


@pytest.mark.parametrize("run", [EmptyRun(years=1, seed=3), BAD], ids=["empty", "hostile names"])
def test_an_odd_run_is_shown_without_a_fault(tab, server, tmp_path, run):
    tab(f"{server}?run={run.id}")
    tab(report(run, tmp_path / "odd.html").as_uri(), offline=True)


PICKS = [
    Selection(),
    Selection(days=(date(2013, 3, 1), date(2014, 6, 30))),
    Selection(days=(date(2012, 3, 3), date(2012, 3, 25)), directions=["long"]),
    Selection(markets=["ZC", "MES"], sectors=["Grains"]),
    Selection(markets=["ZC"], sectors=["Energy"]),
    Selection(sectors=["Energy", "Metals"], directions=["short"]),
    Selection(days=(date(2050, 1, 1), date(2050, 2, 1))),
    Selection(exit_reasons=["stop", "margin"], holding=(5, None)),
    Selection(entry_reasons=["market"], results=(-25000.5, 40000), days=(date(2013, 3, 1), date(2016, 6, 30))),
    Selection(regimes=["low"], regime="trend", trade=17),
]


def plain(value):
    """Patches as JSON tells them: lists, no nan."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def fields(picked):
    """A selection as the script has it."""
    told = {name: getattr(picked, name) for name in (*CHOICES, "regime", "trade")}
    return told | {"days": [str(day) for day in picked.days] if picked.days else None}


def assert_alike(python, script, path=""):
    """Texts and names equal, numbers to 1e-9."""
    if isinstance(python, dict):
        assert python.keys() == script.keys(), path
        for key in python:
            assert_alike(python[key], script[key], f"{path}.{key}")
    elif isinstance(python, list) and any(isinstance(x, float) for x in python):
        assert len(python) == len(script), path
        told = [np.array([np.nan if x is None else x for x in side], float) for side in (python, script)]
        size = np.nanmax(np.abs(told[0]), initial=0.0)
        np.testing.assert_allclose(*told, rtol=1e-9, atol=min(1e-6, 1e-9 * size), err_msg=path)
    elif isinstance(python, float):
        assert script == pytest.approx(python, rel=1e-9, abs=1e-9), path
    else:
        assert python == script, path


@pytest.mark.parametrize("fixed", [False, True], ids=["compounding", "fixed capital"])
def test_the_twin_in_the_report_computes_what_python_computes(tab, tmp_path, fixed):
    run = SyntheticRun(years=5)
    run.portfolio.compounding = not fixed
    board = Board(Columns.of(run))
    views = [kind(board=board) for kind in VIEWS.values()]
    page = tab(report(run, tmp_path / "run.html").as_uri(), offline=True)
    for picked in PICKS:
        slice_ = crossfilter(board.columns, picked)
        python = {name: properties for view in views for name, properties in view.patch(slice_).items()}
        script = page.evaluate(
            """(chosen) => {
              const {data} = Frontmonth.state
              const slice = Frontmonth.crossfilter(data, chosen)
              const flat = (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value
              return JSON.stringify({patches: Frontmonth.patches(data, slice), statistics: slice.statistics,
                                     query: Frontmonth.toQuery(chosen)}, flat)
            }""",
            fields(picked),
        )
        script = json.loads(script)
        assert_alike(plain(slice_.statistics), script["statistics"], picked.to_query())
        assert_alike(plain(python), script["patches"], picked.to_query())
        assert script["query"] == picked.to_query()


SHOWN = {  # field of a Slice -> in the script
    "profit": "profit", "interest": "interest", "curve": "curve", "grown": "grown", "returns": "returns",
    "trades_by_result": "tradesByResult", "trades_by_holding": "tradesByHolding", "trades": "trades", "book": "book",
    "line_gross": "lineGross", "costs": "costs", "statistics": "statistics", "warning": "warning", "at": "at",
    "first": "first", "last": "last", "count": "count", "months": "months", "every_month": "everyMonth",
    "month_picked": "monthPicked",
} | {f"by_{kind}": f"by{kind.capitalize()}" for kind in FIELDS}  # fmt: skip
SLICES = """([sources, meta, picks]) => {
  const data = Frontmonth.unpack(sources, meta)
  const flat = (key, value) =>
    value instanceof Map ? Object.fromEntries(value) : ArrayBuffer.isView(value) ? Array.from(value) : value
  return picks.map((chosen) => {
    const slice = Frontmonth.crossfilter(data, chosen)
    const query = Frontmonth.toQuery(chosen)
    const back = Frontmonth.toQuery(Frontmonth.fromQuery(query, data))
    return JSON.stringify({...slice, query, back}, flat)
  })
}"""


def golden(columns, count, seed):
    """Random selections of what is in a run."""
    rng = np.random.default_rng(seed)
    for kind in ("volatility", "trend", "term", "risk"):
        columns.regimes(kind)
    for _ in range(count):
        kind = str(rng.choice(["trend", "term", "risk"]))
        yield drawn(rng, columns.run, columns.regimes(kind).names, regime=kind)


@pytest.mark.parametrize("which", ["odd", "odd, fixed capital", "of the engine"])
def test_fifty_golden_selections_are_the_same_in_python_and_in_the_script(browser, which):
    run, market = analysed.made(4, 700, sleeves=2) if which == "of the engine" else (OddRun(len(which)), None)
    columns = Columns.of(run, market=market or run.market)
    picks = list(golden(columns, 50, 1))
    sources = {name: {"data": plain(dict(source.data))} for name, source in packed(columns).items()}
    page = browser.new_page()
    for name in ("crossfilter.js", "report.js"):
        page.add_script_tag(content=shell.asset(name))
    told = page.evaluate(SLICES, [sources, plain(about(columns)), [fields(picked) for picked in picks]])
    page.close()
    full = 0
    for picked, text in zip(picks, told, strict=True):
        slice_, script = crossfilter(columns, picked), json.loads(text)
        python = {there: getattr(slice_, here) for here, there in SHOWN.items()}
        assert_alike(plain(python), {there: script[there] for there in SHOWN.values()}, picked.to_query())
        assert script["query"] == script["back"] == picked.to_query()
        full += bool(slice_.profit[slice_.at].any())
    assert full > 15  # not all of them pick nothing
