"""The page of tables and SQL: what it offers, what it shows of an answer, and Chromium using it."""

import csv
import re
import subprocess
import sys
import urllib.request

import polars as pl
import pytest

from app import console, page
from app.console import EXAMPLES, Console
from store.archive import open_archive
from store.tables import TABLES
from store.tags import tag
from tests import small_store, test_app_browser
from tests.conftest import REPO

MARKUP = ("<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "'\"><svg onload=alert(3)>", "{{ 7 * 7 }}")
browser, tab = test_app_browser.browser, test_app_browser.tab  # fixtures: a tab in which nothing may go wrong
FOCUSED = """() => {
  let node = document.activeElement
  while (node.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
  return node.tagName + " " + node.textContent.trim().slice(0, 10)
}"""
LONG = "select count(*) from range(100000000) a, range(1000000) b"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two markets and the euro, tagged; then two rows of quarantine whose names are markup and formulas."""
    archive = small_store.build(tmp_path_factory.mktemp("console") / "store")
    tag(archive, "paper")
    names = {"file": MARKUP[:2], "rule": MARKUP[2:], "raw": ("=1+1", "-1")}
    archive.commit([archive.write("quarantine", pl.DataFrame(names))])
    return archive


class Said:
    """Stands for the process: says what it is told to."""

    def __init__(self, *found):
        self.found, self.asked, self.seconds, self.ready = list(found), [], 1.25, True

    def ask(self, text, snapshot):
        self.asked.append((text, snapshot))

    def poll(self):
        return self.found.pop(0)

    def cancel(self):
        self.asked.append("cancel")


ANSWER = {
    "columns": [
        {"name": "root", "kind": "text"}, {"name": "settle", "kind": "real"}, {"name": "contract", "kind": "whole"},
        {"name": MARKUP[0], "kind": "text"}, {"name": "day", "kind": "day"},
    ],
    "rows": [["ZC", "0.30000000000000004", "202403", MARKUP[1], "2024-03-01"], [None, "-1e-09", None, "=1+1", None]],
    "cut": False, "snapshot": 2, "seconds": 0.034,
}  # fmt: skip


def made(archive, *found):
    """A console, and the functions that its page would call again and again."""
    repeated = []

    class Repeated:
        def stop(self):
            repeated.clear()

    def periodic(function, period):
        repeated.append(function)
        return Repeated()

    return Console(archive, periodic, Said(*found)), repeated


def test_every_example_is_a_question_that_can_be_answered(archive):
    for text in EXAMPLES.values():
        assert archive.sql(text).width > 1
    assert archive.sql(console.first(archive)).height == 2


def test_the_first_question_is_over_a_table_that_has_rows(tmp_path):
    bare = open_archive(tmp_path / "store", create=True)
    bare.commit([bare.write("rates", pl.DataFrame({"currency": ["USD"]}))])
    assert bare.sql(console.first(bare)).height == 1


def test_snapshots_are_offered_by_tag_and_number(archive):
    (head, *rest) = console.choices(archive)
    assert head == ("head", "The newest")
    assert rest[0] == ("paper", "paper: snapshot 1")
    assert [value for value, _ in rest[1:]] == ["2", "1"]
    assert re.fullmatch(r"Snapshot 2, \d{4}-\d\d-\d\d \d\d:\d\d", rest[1][1])


def test_a_damaged_tag_leaves_the_newest_snapshot(tmp_path):
    archive = small_store.build(tmp_path / "store")
    tag(archive, "paper")
    for file in (archive.path / "tags").iterdir():
        file.chmod(0o644)
        file.write_text("cut")
    shown, _ = made(archive)
    assert shown.snapshot.options == [("head", "The newest")]
    assert "Only the newest snapshot can be picked" in shown.said.text and "paper" in shown.said.text


def test_every_table_tells_its_rows_columns_units_and_key(archive):
    shown, _ = made(archive)
    text = shown.tables.text
    for table in TABLES.values():
        assert f"{table.name} <b>" in text
    bars = sum(small_store.bars(root, level, seed).height for root, level, seed in (("MES", 4e3, 1), ("FGBL", 170, 2)))
    assert f"contract_bars <b>{bars:,}</b>" in text
    assert "<dt>settle <i>number</i></dt><dd>the exchange&#x27;s settlement;" in text
    assert "<dt>root <i>text, key</i></dt>" in text
    assert "quarantine <b>2</b>" in text
    shown.snapshot.value = "paper"
    assert "quarantine <b>0</b>" in shown.tables.text
    shown.snapshot.value = "77"
    assert "77" in shown.tables.text and "failure" in shown.tables.text


def test_a_question_runs_until_there_is_an_answer(archive):
    shown, repeated = made(archive, None, None, {"answer": ANSWER})
    shown.editor.value_input = "select 1"
    shown.snapshot.value = "paper"
    shown.start()
    assert shown.question.asked == [("select 1", "paper")]
    assert (shown.run.disabled, shown.cancel.disabled, shown.save.disabled) == (True, False, True)
    assert "Running, 1.2 s" in shown.elapsed.text or "Running, 1.3 s" in shown.elapsed.text
    repeated[0]()
    assert shown.run.disabled
    repeated[0]()
    assert (shown.run.disabled, shown.cancel.disabled, shown.save.disabled) == (False, True, False)
    assert repeated == []
    assert "2 rows in 0.03 s, of snapshot 2." in shown.said.text
    assert len(shown.place.children) == 1


def test_a_refusal_is_shown_and_escaped_and_an_old_answer_goes(archive):
    shown, _ = made(archive, {"answer": ANSWER}, {"refused": f"the query cannot be run: {MARKUP[0]}"}, {"refused": "x"})
    shown.start()
    shown.start()
    assert shown.place.children == [] and shown.save.disabled
    assert "<b>The query cannot be run:</b> &lt;img src=x" in shown.said.text
    shown.start()
    assert "<b>No answer:</b> x" in shown.said.text


def test_a_question_can_be_cancelled_and_none_is_no_question(archive):
    shown, repeated = made(archive, None)
    shown.start()
    shown.stop()
    assert shown.question.asked[-1] == "cancel" and repeated == [] and not shown.run.disabled
    shown.editor.value_input = "  "
    shown.start()
    assert "There is no question." in shown.said.text


@pytest.mark.parametrize(
    ("count", "cut", "words"),
    [
        (0, False, "No row in"),
        (1, False, ">1 row in"),
        (1234, False, "1,234 rows"),
        (5, True, "The first 5 of more rows"),
    ],
)
def test_the_summary_counts_rows(count, cut, words):
    text = console.summary(ANSWER | {"rows": ANSWER["rows"][:1] * count, "cut": cut})
    assert words in text
    assert ("warning" in text) == cut


def test_cells_are_shown_short_with_units_and_numbers_to_the_right():
    table = console.grid(ANSWER)
    assert [column.title for column in table.columns] == [
        "root", "settle [price]", "contract", "&lt;img src=x onerror=alert(1)&gt;", "day",
    ]  # fmt: skip
    assert [column.formatter.text_align for column in table.columns] == ["left", "right", "right", "left", "left"]
    assert table.source.data["c1"] == ["0.3", "-1e-09"]
    assert table.source.data["c0"] == ["ZC", "–"]


def test_the_file_has_all_digits_and_no_formula():
    rows = list(csv.reader(console.file(ANSWER).splitlines()))
    assert rows == [
        ["root", "settle", "contract", MARKUP[0], "day"],
        ["ZC", "0.30000000000000004", "202403", MARKUP[1], "2024-03-01"],
        ["", "-1e-09", "", "'=1+1", ""],
    ]


def test_a_place_without_store_or_rows_says_what_to_type(tmp_path):
    assert "There is no store here" in console.create(tmp_path / "nowhere").body
    shown = console.create(open_archive(tmp_path / "store", create=True).path).body
    assert "The store is empty" in shown and "frontmonth import FOLDER" in shown


def test_a_store_that_cannot_be_read_says_why(tmp_path):
    archive = small_store.build(tmp_path / "store")
    for file in (archive.path / "snapshots").iterdir():
        file.chmod(0o644)
        file.write_text("cut")
    assert "0000000001.json" in console.create(archive.path).body


def test_pages_link_to_each_other(archive, monkeypatch):
    monkeypatch.setattr(page, "_argument", lambda name: None)
    assert '<a href="data"' in page.create(archive.path).body
    assert '<a href="./"' in console.create(archive.path).body


# ------------------------------------------------------------------------------------------------------- in Chromium


@pytest.fixture(scope="module")
def address(archive):
    """Address of the page, served by a process of its own."""
    code = f"from app.serve import serve; serve({str(archive.path)!r}, port=0)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO, stderr=subprocess.PIPE, text=True)
    told = next(line for line in process.stderr if "Dashboard at" in line)
    yield re.search(r"http://\S+/", told)[0] + "data"
    process.kill()
    process.wait()
    process.stderr.close()


def ask(shown, text, words):
    """Write a question, run it by keys, and wait for what the page says of it."""
    shown.locator("textarea").fill(text)
    shown.locator("textarea").press("Control+Enter")
    shown.locator("#answer").get_by_text(words).wait_for()


def chromium(test):
    """Marks of a test that drives a browser."""
    absent = test_app_browser.CHROMIUM is None
    return pytest.mark.browser(pytest.mark.skipif(absent, reason="no Chromium on this machine")(test))


@chromium
def test_keys_run_a_question_and_its_markup_stays_text(tab, address):
    shown = tab(address, wait="textarea")
    ask(shown, f'select file, rule, raw, 7 as "{MARKUP[0]}" from quarantine order by raw', "2 rows in")
    shown.locator(".slick-row").nth(1).wait_for()
    cells = shown.locator(".slick-cell").all_inner_texts()
    assert cells == [MARKUP[1], MARKUP[3], "-1", "7", MARKUP[0], MARKUP[2], "=1+1", "7"]
    assert shown.locator(".slick-column-name").all_inner_texts() == ["file", "rule", "raw", MARKUP[0]]
    ask(shown, f'select * from "{MARKUP[0].replace(" ", "")}"', "there is no table <img")
    assert shown.locator("img").count() == 0


@chromium
def test_a_long_question_can_be_cancelled_while_the_dashboard_answers(tab, address):
    shown = tab(address, wait="textarea")
    ask(shown, LONG, "The question is running.")
    shown.locator("#question").get_by_text(re.compile(r"Running, [1-9]")).wait_for()
    with urllib.request.urlopen(address.removesuffix("data"), timeout=5) as answer:
        assert answer.status == 200
    assert shown.get_by_role("button", name="Run").is_disabled()
    shown.get_by_role("button", name="Cancel").press("Enter")
    shown.get_by_text("The question was cancelled.").wait_for()
    ask(shown, "select 7 as n", "1 row in")


@chromium
def test_what_is_shown_can_be_saved_twice(tab, address):
    shown = tab(address, wait="textarea")
    ask(shown, "select range as n, '=' || range as f from range(12000)", "The first 10,000 of more rows")
    for _ in range(2):
        with shown.expect_download() as file:
            shown.get_by_role("button", name="Save as CSV").click()
        assert file.value.suggested_filename == "answer.csv"
        with open(file.value.path(), encoding="utf-8") as text:
            lines = text.read().splitlines()
        assert lines[:2] == ["n,f", "0,'=0"] and len(lines) == 10_001


@chromium
def test_an_older_snapshot_and_an_example_can_be_picked(tab, address):
    shown = tab(address, wait="textarea")
    shown.get_by_label("Snapshot").select_option(label="paper: snapshot 1")
    shown.get_by_text("Rows of snapshot 1;").wait_for()
    shown.get_by_label("Example").select_option("Rows that were refused")
    shown.get_by_role("button", name="Run").click()
    shown.get_by_text(re.compile("No row in .* of snapshot 1")).wait_for()


@chromium
def test_nothing_is_wider_than_the_page_in_any_theme(tab, address):
    shown = tab(address, wait="textarea")
    ask(shown, "select * from contract_bars", "3,103 rows in")
    for width in (1400, 800, 390):
        for theme in ("light", "dark"):
            shown.set_viewport_size({"width": width, "height": 900})
            shown.emulate_media(color_scheme=theme)
            shown.locator(f":root[data-theme={theme}]").wait_for()
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            assert shown.get_by_role("button", name="Run").is_visible()


@chromium
def test_every_control_is_reached_by_the_tabulator_key(tab, address):
    shown = tab(address, wait="textarea")
    shown.get_by_label("Example").focus()
    reached = []
    for _ in range(4):
        shown.keyboard.press("Tab")
        reached.append(shown.evaluate(FOCUSED))
    assert [name.split()[0] for name in reached[:2]] == ["SELECT", "TEXTAREA"]
    assert "BUTTON Run" in reached
