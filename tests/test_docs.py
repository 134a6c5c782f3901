"""The pages say what is so: their commands and snippets run, their tables are what the code has."""

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import polars as pl
import pytest
from bokeh.models import GlyphRenderer

from app.cli import main
from config import FOLDER
from engine import Portfolio
from engine.book import CAUSES
from engine.strategies import STRATEGIES
from store import contracts, open_archive, sample
from store.row_rules import bar_rules
from tests import doc_pages, doc_pictures, doc_tables, market_files, soak
from tests.conftest import REPO

PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md")])
STAYS = ("frontmonth serve", "frontmonth demo")  # serve: until it is interrupted; the demo has its own test
READER = "reference.md"
ELSEWHERE = (READER, "pybroker.md")  # run by tests/test_engine_pybroker.py, where the library is installed


def blocks(page, kinds):
    """(kind, text) of the fenced blocks of a page."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [(kind, text) for kind, text in found if kind in kinds]


def command(line):
    """Run a line of a page in this process, which forgets the contract master as a new one would."""
    contracts._load.cache_clear()
    words = shlex.split(line.partition(" #")[0])[1:]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0, line


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "store"
    sample.build(open_archive(path, create=True))
    return path


@pytest.fixture
def workplace(simulated, tmp_path, monkeypatch):
    """A folder in which the pages' commands find what they name."""
    shutil.copytree(simulated, tmp_path / "frontmonth-store")
    shutil.copytree(FOLDER / "portfolios", tmp_path / "config" / "portfolios")
    market_files.write(tmp_path)
    for _, text in blocks(REPO / "docs" / "portfolio.md", ["toml"]):
        name = tomllib.loads(text)["portfolio"]["name"]
        (tmp_path / f"{name.replace(' ', '-')}.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRONTMONTH_STORE", raising=False)
    ours = dict(STRATEGIES)
    yield tmp_path
    STRATEGIES.clear()
    STRATEGIES.update(ours)


@pytest.mark.service
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name)
def test_every_command_and_snippet_of_a_page_runs(page, workplace, capsys):
    if page.name in ("numbers.md", "README.md"):
        command("frontmonth run trend --start 2020-01-01")
    for kind, text in blocks(page, ["sh", "python"]):
        if kind == "python":
            exec(compile(text, f"{page.name}", "exec"), {})
            continue
        lines = [line for line in text.splitlines() if line.startswith("frontmonth ") and not line.startswith(STAYS)]
        for line in lines:
            command(line)


def test_pictures_of_the_pages_are_drawn_from_the_sample_store(simulated):
    shown = {name for page in PAGES for name in re.findall(r"\(pictures/([\w-]+)\.png\)", page.read_text("utf-8"))}
    files = {path.stem for path in doc_pictures.FOLDER.glob("*.png")}
    assert shown == files == {*doc_pictures.PICTURES, *doc_pages.SHOTS}
    for draw in doc_pictures.PICTURES.values():
        assert draw(open_archive(simulated)).select({"type": GlyphRenderer})


@pytest.mark.parametrize("name", doc_tables.PLACES)
def test_tables_are_what_the_code_has(name):
    page = REPO / doc_tables.PLACES[name]
    assert doc_tables.written(name) == page.read_text(encoding="utf-8"), "python -m tests.doc_tables writes them"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert "://" not in target
        file, _, part = target.partition("#")
        other = (page.parent / file) if file else page
        assert other.exists(), target
        heads = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), flags=re.M) if part else []
        assert not part or part in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads], target


@pytest.mark.parametrize("page", [*PAGES, REPO / "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_page_names_what_others_do_not_have(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\.\./shared|/(?:tmp|home|root)/|pypi\.|https?://(?!127\.0\.0\.1)", text)


def test_every_guarantee_names_tests_that_there_are():
    page = (REPO / "docs" / "guarantees.md").read_text(encoding="utf-8")
    promises = re.split(r"^\*\*(\d+)\. ", page, flags=re.M)[1:]
    assert [int(number) for number in promises[::2]] == list(range(1, 11))
    told = set()
    for number, promise in zip(promises[::2], promises[1::2], strict=True):
        named = re.findall(r"^- `(test_\w+\.py)`: `(test_\w+)`", promise, flags=re.M)
        assert named
        told |= {(file, int(number)) for file, _ in named}
        for file, name in named:
            assert f"\ndef {name}(" in (REPO / "tests" / file).read_text(encoding="utf-8"), (file, name)
    assert told == {(path.name, number) for path in soak.battery() for number in soak.proves(path)}


def test_every_rule_and_cause_is_told():
    data, numbers = ((REPO / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("quality", "numbers"))
    from store.series_rules import CHECKS

    names = [rule.name for rule in (*bar_rules(negative_allowed=False), *CHECKS)]
    assert [name for name in names if f"`{name}`" not in data] == []
    assert [cause for cause in CAUSES if f"`{cause}`" not in numbers] == []


# reference.md against what is printed

SAMPLES = {
    "import": ["import", "prices", "fx", "--store", "new"],
    "check [ROOT...]": ["check", "MES"],
    "markets": ["markets"],
    "contracts ROOT --json": ["contracts", "ZC"],
    "contracts ROOT --asof": ["contracts", "ZC", "--asof", "2020-03-02"],
    "contracts --against": ["contracts", "--against", "broker-margins.csv"],
    "check ROOT --coverage": ["check", "MES", "--coverage"],
    "roll ROOT --json": ["roll", "MES"],
    "roll ROOT --diff": ["roll", "ZC", "--diff", "volume:1", "first-notice-10"],
    "roll ROOT --compare": ["roll", "ZC", "--compare", "volume:1", "first-notice-10"],
    "roll --upcoming": ["roll", "--upcoming", "30"],
    "roll --list": ["roll", "--list"],
    "continuous SERIES --json": ["continuous", "MES"],
    "continuous SERIES --maturity": ["continuous", "CL", "--maturity", "60"],
    "run PORTFOLIO": ["run", "trend", "--start", "2020-01-01"],
    "run PORT": ["run", "trend", "--start", "2021-01-01", "--set", "portfolio.name=later"],
    "sweep PORTFOLIO": ["sweep", "trend", "--start", "2022-01-01", "--grid", "fast=0,10", "--grid", "slow=60"],
    "show RUN --section": ["show", "last", "--section", "risk"],
    "compare RUN": ["compare", "trend", "later"],
    "warm": ["warm"],
    "explain RUN": ["explain", "last", "1"],
    "scenario RUN": ["scenario", "last", "--what", "slippage=1", "--paths", "200"],
    "replay": ["replay", "last"],
    "report": ["report", "last", "--out", "tables/"],
    "verify": ["verify"],
    "snapshots": ["snapshots"],
    "tag NAME": ["tag", "first", "1"],
    "import SOURCE": ["import", "prices", "fx"],
    "compact": ["compact"],
    "gc": ["gc", "--keep-days", "0"],
    "backup DIR": ["backup", "copy"],
    "restore DIR": ["restore", "copy", "--store", "again"],
    "export --to DIR": ["export", "--to", "written", "--format", "csv"],
    "drop ROOT": ["drop", "ZC"],
    "undo SNAPSHOT": ["undo", "head~1"],
    "new strategy NAME": ["new", "strategy", "my_trend"],
    "delete": ["delete", "last"],
}


def keys(value, place=""):
    """Paths of all keys of a document, lists as `[]`."""
    if isinstance(value, dict) and value:
        return {path for key, item in value.items() for path in keys(item, f"{place}.{key}" if place else key)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {path for item in value for path in keys(item, f"{place}[]")}
    return {place}


def sections():
    """Section of reference.md by heading: the keys of its first table, `*` as written."""
    page = (REPO / "docs" / READER).read_text(encoding="utf-8")
    for part in re.split(r"^## ", page, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        rows = re.search(r"^\| key \|.*?\n\n", text + "\n\n", flags=re.S | re.M)
        cells = [line.split("|")[1] for line in rows[0].strip().splitlines()[2:]] if rows else []
        yield heading, {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.service
@pytest.mark.parametrize("name", sorted(path.stem for path in (FOLDER / "portfolios").glob("*.toml")))
def test_a_shipped_portfolio_runs_on_the_sample_store_and_repeats(name, workplace, capsys):
    command(f"frontmonth run {name} --start 2019-01-01 --json")
    made = json.loads(capsys.readouterr().out)
    assert made["metrics"]["trades"] > 20 and made["identity_holds"] and made["stamps"] == []
    change = made["metrics"]["final_equity"] - Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml").capital
    assert sum(made["ledger"].values()) == pytest.approx(change, abs=0.005)
    command("frontmonth replay last")  # ends with 1 where a hash differs


@pytest.mark.service
def test_the_reference_lists_every_key_that_is_printed(workplace, capsys):
    told = dict(sections())
    for name, words in SAMPLES.items():
        heading = next(heading for heading in told if f"frontmonth {name}" in heading)
        capsys.readouterr()
        command(shlex.join(["frontmonth", *words, "--json"]))
        printed = keys(json.loads(capsys.readouterr().out))
        patterns = [re.escape(key).replace(r"\.\*", r"(\..+)?") + r"(\[\])?" for key in told[heading]]
        assert [key for key in printed if not any(re.fullmatch(p, key) for p in patterns)] == [], heading
        absent = [
            key for key, p in zip(told[heading], patterns, strict=True) if not any(re.fullmatch(p, k) for k in printed)
        ]
        assert [key for key in absent if "*" not in key] == [], heading
        if name == "report":
            assert_columns(Path("tables"))


def assert_columns(folder):
    """The CSV files have the columns that reference.md lists."""
    page = (REPO / "docs" / READER).read_text(encoding="utf-8")
    for file, listed in re.findall(r"^\| `(\w+\.csv)` \| ([^|;]+)", page, flags=re.M):
        assert pl.read_csv(folder / file, n_rows=0).columns == re.findall(r"`(\w+)`", listed), file


def test_the_names_for_python_are_there():
    import engine
    import engine.analysis.bands
    import engine.analysis.flows
    import engine.significance
    import engine.trials
    import store
    import store.constant
    import store.history
    import store.laboratory
    import store.upcoming

    page = (REPO / "docs" / READER).read_text(encoding="utf-8")
    names = re.findall(r"^\| `((?:store|engine)\.[\w.]+)", page, flags=re.M)
    assert len(names) == 15
    for name in names:
        found = {"store": store, "engine": engine}[name.partition(".")[0]]
        for part in name.split(".")[1:]:
            found = getattr(found, part)
    methods = re.findall(r"`\.(\w+)\(", next(line for line in page.splitlines() if "`engine.backtest(" in line))
    assert {"equity", "trades", "fills", "sleeves", "events", "save"} <= set(methods)
    assert all(hasattr(engine.RunResult, method) for method in methods)
    doors = ("bars", "chain", "continuous", "sql", "read", "files", "head")
    assert all(hasattr(store.archive.Archive, door) for door in doors)
