"""Thirty hostile names in every place that takes one: page, data page, report and notebook show them as text."""

import html
import re
import shutil
import subprocess
import sys

import polars as pl
import pytest

from app.pages import PAGES
from app.report import report
from app.views import Overview
from store.tables import TABLES
from tests import small_store
from tests.conftest import REPO
from tests.payloads import PAYLOADS
from tests.synthetic_run import SyntheticRun, stored

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
CANARY = "window.hacked = 0; window.hack = () => { window.hacked += 1; alert('hacked') }"
TEXT = """() => {
  const told = []
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) told.push(node.data)
    for (const child of [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes]) walk(child)
  }
  walk(document.body)
  for (const doc of window.Bokeh ? Bokeh.documents : [])
    for (const top of doc.roots()) for (const model of top.references())
      if (model.type === "FactorRange") told.push(...model.factors.map(String))
  return told.join("\\n")
}"""  # words of the page, and names on the axes, which are drawn


class Hostile(SyntheticRun):
    """A run whose markets, sectors, strategies, reasons, name and note are payloads."""

    strategy = pl.col("market").replace_strict(dict(zip(PAYLOADS, PAYLOADS[7:] + PAYLOADS[:7], strict=True)))

    def __init__(self):
        super().__init__(years=1, seed=30, name=PAYLOADS[0])
        self.note = PAYLOADS[1]
        self.market = [(text, PAYLOADS[-1 - k % 9]) for k, text in enumerate(PAYLOADS)]

    def trades(self):
        rows = super().trades()
        reasons = [PAYLOADS[k % len(PAYLOADS)] for k in range(len(rows))]
        return rows.with_columns(entry_reason=pl.Series(reasons), exit_reason=pl.Series(reasons[::-1]))


def hostile_store(path):
    """A store whose files, rules, reasons and raw lines are payloads, as findings and as rows that were refused."""
    archive = small_store.build(path)
    rows = [{"id": f"{k:012x}", "line": k + 1, "column": text, "rule": text, "file": text, "reason": text, "raw": text}
            for k, text in enumerate(PAYLOADS)]  # fmt: skip
    found = [{"id": f"{k:012x}", "source": text, "rule": text, "severity": "warn", "root": "MES", "reason": text}
             for k, text in enumerate(PAYLOADS, 100)]  # fmt: skip
    archive.commit(
        [
            archive.write("quarantine", TABLES["quarantine"].conform(pl.DataFrame(rows))),
            archive.write("findings", TABLES["findings"].conform(pl.DataFrame(found)), root="MES"),
        ]
    )
    return archive


@pytest.fixture(scope="module")
def page():
    """A tab in which a payload that runs is seen; what was asked of other hosts, or said in a dialog, is in `wrong`."""
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
    tab = browser.new_page(viewport={"width": 1400, "height": 1000})
    tab.add_init_script(CANARY)
    tab.wrong = []
    tab.on("dialog", lambda dialog: tab.wrong.append(f"dialog {dialog.message}") or dialog.dismiss())
    inside = re.compile(r"(http://127\.0\.0\.1[:/]|data:application|data:font|data:image|data:,|blob:|file:)")
    tab.on("request", lambda asked: None if inside.match(asked.url) else tab.wrong.append(asked.url))
    yield tab
    browser.close()
    playwright.stop()


@pytest.fixture(scope="module")
def run():
    return Hostile()


def harmless(tab):
    """All texts of the page; none of them ran, and none became an element."""
    tab.wait_for_function("() => Bokeh.documents.length && Bokeh.documents.every((d) => d.is_idle)")
    assert (tab.evaluate("window.hacked"), tab.wrong) == (0, [])
    return tab.evaluate(TEXT)


def unseen(text):
    """The payloads that a page does not show as they are."""
    squeezed = " ".join(text.split())
    return [payload for payload in PAYLOADS if " ".join(payload.split()) not in squeezed]


def test_payloads_are_thirty_and_do_run_where_they_are_not_escaped(page):
    assert len(set(PAYLOADS)) == 30
    page.set_content("<body></body>")
    page.evaluate(CANARY)
    page.evaluate("(all) => { for (const text of all) document.body.insertAdjacentHTML('beforeend', text) }", PAYLOADS)
    page.wait_for_function("() => window.hacked > 3")
    page.wrong.clear()


def test_every_page_shows_hostile_names_as_text(page, run, tmp_path_factory):
    archive = hostile_store(tmp_path_factory.mktemp("hostile") / "store")
    stored(archive, run)
    code = f"from app.serve import serve; serve({str(archive.path)!r}, port=0)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+/", next(line for line in process.stderr if "Dashboard at" in line))[0]
        page.goto(address)
        page.wait_for_selector("#strip dl.strip")
        seen = harmless(page)
        for name in PAGES:
            page.evaluate("(name) => { location.hash = `#/${name}` }", name)
            page.wait_for_selector(f"#page-{name} .drawn *:not(.waiting)", state="attached")
            page.wait_for_function("(name) => !document.querySelector(`#page-${name} .waiting`)", arg=name)
            seen += harmless(page)
        assert unseen(seen) == []
        page.evaluate("() => { location.hash = '#/quality' }")
        page.locator("#finding_calendar button[data-value=refused]").click()
        page.locator("#finding_list button.pick").nth(29).click()
        page.wait_for_selector("#bad_row b")
        assert unseen(harmless(page)) == []
        page.goto(f"{address}data")
        page.locator("#question textarea").fill("select file, reason, raw from quarantine")
        page.get_by_role("button", name="Run").click()
        page.wait_for_selector("#answer .slick-row, #answer tr, #answer .bk-data-table", state="attached")
        assert unseen(harmless(page)) == []
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_report_shows_hostile_names_as_text(page, run, tmp_path):
    page.goto(report(run, tmp_path / "run.html").as_uri())
    page.wait_for_selector("#strip dl.strip")
    assert unseen(harmless(page)) == []


def test_a_notebook_shows_hostile_names_as_text(page, run, tmp_path):
    from bokeh.resources import INLINE

    file = tmp_path / "cell.html"
    Overview(run).__panel__().save(file, resources=INLINE, title=html.escape(run.name))
    page.goto(file.as_uri())
    page.wait_for_selector("dl.strip")
    page.wrong[:] = [one for one in page.wrong if not one.startswith("https://cdn.")]  # Panel's own style sheets
    assert unseen(harmless(page)) == []
