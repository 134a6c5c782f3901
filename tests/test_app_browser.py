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
from app.packing import packed
from app.pages import ALWAYS, PAGES
from app.report import OWN, SCRIPTS, SECTIONS, meta_of, report
from app.selection import CHOICES, Selection
from app.theme import GAIN
from app.view import Board
from app.views import VIEWS, Strip
from app.views.strip import bands_of, key
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
HOSTILE = SyntheticRun(
    years=2, seed=6, sectors={"__proto__": "a,b ~;: x%2C", "</script>": "constructor \u2028 0", "é\"'&": "toString"}
)
STRIP = "#strip dl.strip"
SAID = ":is(p.note, .warning, table, dl, .failure, .slick-viewport, .bk-Canvas)"


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


def serving(store, port=0):
    """A dashboard over a store, in a process of its own, and its address."""
    code = f"from app.serve import serve; serve({str(store)!r}, port={port}, run={RUN.id!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    told = next(line for line in process.stderr if "Dashboard at" in line)
    return process, re.search(r"http://\S+/", told)[0]


def ended_now(process):
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a dashboard over a store with three runs, in a process of its own."""
    archive = open_archive(tmp_path_factory.mktemp("served") / "store", create=True)
    for run in (EmptyRun(years=1, seed=3, name="empty"), BAD, RUN):
        stored(archive, run)
    process, address = serving(archive.path)
    yield address
    ended_now(process)


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
    changed(page, before)  # it follows while the mouse moves
    page.mouse.up()
    page.wait_for_url(re.compile("pick="))
    return before


def changed(page, before):
    """Wait until the strip says something else."""
    from playwright.sync_api import expect

    expect(page.locator(STRIP)).not_to_have_text(before, use_inner_text=True)


def numbers(page):
    """The figures of the strip, without the bands that a page computes and a report has of the whole run alone."""
    return page.locator(f"{STRIP} dd.num").all_inner_texts()


def ended(page):
    """How many trades the strip says have ended."""
    return int(re.search(r"([\d,]+) trades", page.locator("#strip p.note").inner_text())[1].replace(",", ""))


def words(page):
    """All that sections say outside of their canvases; the strip without bands."""
    names = ("equity", "months", "sectors", "markets", "sides", "exits", "returns", "results", "rolling")
    said = {name: page.locator(f"#{name} :is(p.note, dl, table)").all_inner_texts() for name in names}
    said["equity"] = said["equity"][-1:]  # why there are no regimes is another reason without a store
    return said | {"strip": numbers(page), "more": page.locator("#strip dl.more").inner_text()}


def opened_by(tab, server, file, where, query=""):
    """The page of a server or of a file, with all of its overview drawn."""
    if where == "page":
        page = tab(f"{server}?run={RUN.id}{query and '&' + query}")
    else:
        page = tab(file + (query and "?" + query), offline=True)
    page.locator("#results p.note").wait_for()
    return page


@pytest.mark.parametrize("where", ["page", "report"])
def test_a_brush_changes_everything_and_a_reset_brings_it_back(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    whole, first = ended(page), words(page)
    drag(page)
    assert 0 < ended(page) < whole
    assert re.search(r"pick=\d{4}-\d\d-\d\d", page.url)
    for view in ("sectors", "markets", "returns", "results"):
        assert page.locator(f"#{view} p.note").inner_text() != first[view][0], view
    assert page.locator("#months button.out").count() > 10  # stay in sight, pale
    page.get_by_role("button", name="Pick all again").click()
    page.locator("div.chips button").wait_for(state="detached")
    assert words(page) == first
    page.keyboard.press("Control+z")
    page.locator("div.chips button").wait_for()
    assert 0 < ended(page) < whole
    page.go_back()
    page.locator("div.chips button").wait_for(state="detached")
    assert ended(page) == whole


@pytest.mark.parametrize("where", ["page", "report"])
def test_a_link_opens_with_its_selection_and_keys_move_a_date(tab, server, file, where):
    page = opened_by(tab, server, file, where, "pick=2013-01-07~2015-06-30;s:Energy")
    assert page.locator("#strip p.note").inner_text().startswith("2013-01-07 to 2015-06-30")
    assert page.locator("div.chips button").all_inner_texts() == ["2013-01-07 to 2015-06-30\n×", "Energy\n×"]
    before = page.locator(STRIP).inner_text()
    page.locator(".noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.locator("#strip p.note", has_text="2013-01-14 to").wait_for()
    assert page.locator(STRIP).inner_text() != before
    page.get_by_label("Take Energy out").click()
    page.locator("div.chips button", has_text="Energy").wait_for(state="detached")


@pytest.mark.parametrize("where", ["page", "report"])
def test_how_it_is_shown_stands_in_the_link_and_is_no_step_back(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    steps = page.evaluate("history.length")
    page.get_by_role("button", name="Percent").first.click()
    page.get_by_role("button", name="Log").first.click()
    page.wait_for_url(re.compile("view=axis%3Alog%3Bscale%3Apercent"))
    assert page.evaluate("history.length") == steps
    query = page.url.partition("?")[2].partition("#")[0]
    again = opened_by(tab, server, file, where, query)
    for name in ("Percent", "Log"):
        assert again.get_by_role("button", name=name).first.get_attribute("aria-pressed") == "true", name
    drag(again)
    assert "view=axis" in again.url
    again.go_back()
    again.locator("div.chips button").wait_for(state="detached")
    assert "view=axis" in again.url and "pick=" not in again.url


def test_page_and_report_show_the_same(tab, server, file):
    shown = []
    for where in ("page", "report"):
        page = opened_by(tab, server, file, where)
        drag(page)
        page.locator("aside").get_by_label("Grains").check()
        page.locator("div.chips button", has_text="Grains").wait_for()
        shown.append(words(page))
    assert shown[0] == shown[1]
    assert all(shown[0].values())


@pytest.mark.parametrize("where", ["page", "report"])
def test_a_tap_on_a_bar_and_on_a_month_picks_it(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    bars = page.locator("#sectors .bk-Canvas").first
    bars.scroll_into_view_if_needed()
    bars.click(position={"x": 150, "y": 18})
    page.locator("div.chips button").wait_for()
    page.locator("#months td button").first.click()
    page.locator("div.chips button", has_text=" to ").wait_for()
    assert page.locator("div.chips button").count() == 2
    assert page.locator("#months button[aria-pressed=true]").count() == 1


def test_a_page_says_that_its_server_has_stopped_and_comes_back_as_it_was(browser, tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    stored(archive, RUN)
    process, address = serving(archive.path)
    page = browser.new_page()
    try:
        page.goto(f"{address}?pick=m:ZC#/trades")
        page.wait_for_selector(".chip:has-text('ZC')")
        page.wait_for_function("() => Bokeh.documents.every((d) => d.is_idle)")
        assert not page.locator(".lost").count()
        ended_now(process)
        page.wait_for_selector(".lost[role=alert]:has-text('The server does not answer')")
        process, again = serving(archive.path, port=int(address.rsplit(":", 1)[1].strip("/")))
        assert again == address
        page.click(".lost button")
        page.wait_for_selector(".chip:has-text('ZC')")
        assert page.url == f"{address}?pick=m%3AZC&run={RUN.id}#/trades"
        assert not page.locator(".lost").count()
    finally:
        page.close()
        ended_now(process)


@pytest.mark.parametrize("where", ["page", "report"])
def test_an_unknown_page_is_named_and_the_skip_link_stays_on_its_page(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    page.evaluate("location.hash = '#/nopage'")
    page.wait_for_selector("#no-page:has-text('nopage'):has-text('overview, ')")
    page.evaluate("location.hash = '#/trades'")
    page.wait_for_function("() => document.documentElement.dataset.page === 'trades'")
    assert not page.locator("#no-page").count()
    page.evaluate("location.hash = '#main'")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.dataset.page") == "trades"


@pytest.mark.parametrize("where", ["page", "report"])
def test_every_page_opens_and_says_something_in_every_card(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    for name in page.locator("nav a[data-page]").evaluate_all("(links) => links.map((link) => link.dataset.page)"):
        page.locator(f"nav a[data-page={name}]").click()
        page.locator(f"#page-{name}").wait_for()
        for card in page.locator(f"#page-{name} section").all():
            said = card.locator(SAID).locator("visible=true")
            said.first.wait_for(timeout=60_000)
            assert card.locator(".failure").count() == 0, card.inner_text()
        assert page.locator("main > .notices .failure").count() == 0


@pytest.mark.parametrize("where", ["page", "report"])
def test_what_is_drawn_can_be_saved(tab, server, file, where, tmp_path):
    page = opened_by(tab, server, file, where)
    for kind in ("png", "svg", "csv"):
        with page.expect_download() as got:
            page.locator(f"#equity [data-save={kind}]").click(force=True)
        got.value.save_as(tmp_path / f"equity.{kind}")
    assert (tmp_path / "equity.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "equity.svg").read_text().count("<svg") == 3
    lines = (tmp_path / "equity.csv").read_text().splitlines()
    days = Columns.of(RUN).days
    assert lines[0].startswith("day,") and lines[1].startswith(str(days[0])) and len(lines) > len(days)


@pytest.mark.parametrize("where", ["page", "report"])
def test_nothing_is_clipped_at_any_width_in_any_theme(tab, server, file, where):
    page = opened_by(tab, server, file, where)
    for width, theme in (
        (1440, "light"),
        (1400, "light"),
        (1400, "dark"),
        (1280, "light"),
        (800, "dark"),
        (390, "light"),
    ):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=theme)
        page.locator(f":root[data-theme={theme}]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".simulated").is_visible()
        inside = (
            "(nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.innerText)"
        )
        assert page.locator(f"{STRIP} dd").evaluate_all(inside) == []
        places = page.locator(f"{STRIP} > div").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().y)")
        rows = [places.count(place) for place in sorted(set(places))]
        assert set(rows) == {rows[0]}, "no number stands alone in a row"


def test_canvases_follow_the_switch_of_the_theme(tab, file):
    page = tab(file, offline=True)
    plot = page.locator("#equity .bk-Canvas").first
    light = plot.screenshot()
    page.get_by_role("button", name="Light or dark").click()
    page.locator(":root[data-theme=dark]").wait_for()
    page.wait_for_timeout(300)  # a frame of painting
    assert plot.screenshot() != light


@pytest.mark.parametrize("run", [EmptyRun(years=1, seed=3), BAD], ids=["empty", "hostile names"])
def test_an_odd_run_is_shown_without_a_fault(tab, server, tmp_path, run):
    tab(f"{server}?run={run.id}")
    tab(report(run, tmp_path / "odd.html").as_uri(), offline=True)


NAMES = [*ALWAYS, *(slot.view for name in SECTIONS for slot in OWN.get(name, PAGES[name]).slots)]  # views of a report
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
    views = [VIEWS[name](board=board) for name in NAMES]
    page = tab(report(run, tmp_path / "run.html").as_uri(), offline=True)
    for picked in PICKS:
        slice_ = crossfilter(board.columns, picked)
        for view in views:
            if isinstance(view, Strip):
                view.bands[key(Selection().chosen())] = bands_of(board.whole.account)
            view.drawn = None  # a rolling year is not drawn again for other days
        python = {name: properties for view in views for name, properties in view.patch(slice_).items()}
        script = page.evaluate(
            """(chosen) => {
              const {state} = Frontmonth
              state.memory = {}
              const slice = Frontmonth.crossfilter(state.data, chosen)
              const flat = (key, value) => ArrayBuffer.isView(value) ? Array.from(value) : value
              return JSON.stringify({patches: Frontmonth.patches(state, slice), statistics: slice.statistics,
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
SLICES = """([lists, meta, picks]) => {
  const typed = (list) => Float64Array.from(list, (x) => x ?? NaN)
  const arrays = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, typed(list)]))
  const data = Frontmonth.unpack(arrays, meta)
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


@pytest.mark.parametrize("which", ["odd", "odd, fixed capital", "of the engine", "hostile names"])
def test_fifty_golden_selections_are_the_same_in_python_and_in_the_script(browser, which):
    if which == "of the engine":
        run, market = analysed.made(4, 700, sleeves=2)
    elif which == "hostile names":
        run, market = HOSTILE, None
    else:
        run = OddRun(len(which))
        market = run.market
    columns = Columns.of(run, market=market)
    picks = list(golden(columns, 50, 1))
    board = Board(columns)
    page = browser.new_page()
    for name in SCRIPTS:
        page.add_script_tag(content=shell.asset(name))
    told = page.evaluate(
        SLICES, [plain(packed(columns)), plain(meta_of(board, PAGES)), [fields(picked) for picked in picks]]
    )
    page.close()
    full = 0
    for picked, text in zip(picks, told, strict=True):
        slice_, script = crossfilter(columns, picked), json.loads(text)
        python = {there: getattr(slice_, here) for here, there in SHOWN.items()}
        assert_alike(plain(python), {there: script[there] for there in SHOWN.values()}, picked.to_query())
        assert script["query"] == script["back"] == picked.to_query()
        full += bool(slice_.profit[slice_.at].any())
    assert full > 15  # not all of them pick nothing


def test_a_report_prints_all_of_its_pages_and_comes_back(tab, file):
    page = tab(file, offline=True, theme="dark")
    page.wait_for_function("() => typeof Frontmonth === 'object' && Frontmonth.state")
    before = page.locator(STRIP).inner_text()
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "light"
    for name in SECTIONS:
        assert page.locator(f"#page-{name}").is_visible()
    for name in ("equity", "returns", "holding", "positions"):
        blue = page.locator(f"#{name} svg path:is([fill='rgb(61,139,201)'], [stroke='{GAIN}'])")
        assert blue.count() > 0, name  # what the figure shows, not its axes alone
        assert page.locator(f"#{name} .bk-Canvas").locator("visible=true").count() == 0
    assert page.locator("#trade_list table tr").count() == 41
    assert page.locator("ul.badges li").all_inner_texts()
    assert not page.locator("aside.rail").is_visible()
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.locator("#trade_list table").count() == page.locator("section.card > .drawn svg").count() == 0
    assert page.locator("aside.rail").is_visible() and not page.locator("#page-risk").is_visible()
    assert page.locator("#equity .bk-Canvas").first.is_visible()
    assert page.locator(STRIP).inner_text() == before
