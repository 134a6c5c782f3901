"""The pages of the strategies: each has one, with the params that the code has, its source and its failures."""

import re
import tomllib

import numpy as np
import pytest

from engine import settings
from engine.signals import Signals, latched
from engine.sizing import SIZERS
from engine.strategies import STRATEGIES
from tests import strategy_tables
from tests.conftest import REPO

INDEX = REPO / "docs" / "strategies.md"


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_page_with_its_params_source_and_failures(name):
    page = strategy_tables.pages().get(name)
    assert page, f"no page in docs/strategies has the line {strategy_tables.MARK.format(name)}"
    text = page.read_text(encoding="utf-8")
    assert text == strategy_tables.written(text, name, STRATEGIES[name])
    assert re.search(r"^#+ Source", text, re.M) and re.search(r"^#+ When it fails", text, re.M)
    assert f"](strategies/{page.name}" in INDEX.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(strategy_tables.PAGES.glob("*.md")), ids=lambda page: page.name)
def test_examples_of_the_pages_name_a_strategy_and_its_params(page):
    for text in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M):
        for table in tomllib.loads(text).get("strategies", []):
            kind = STRATEGIES[table["name"]]
            settings.read(kind, table.get("params", {}), page.name)


def test_the_index_names_every_field_of_signals_and_the_kind_of_every_strategy():
    text = INDEX.read_text(encoding="utf-8")
    section = text[text.index("## Entries") : text.index("## Called")]
    assert all(f"`{field}`" in section for field in Signals._fields)
    for name, kind in STRATEGIES.items():
        assert re.search(rf"\[{name}\]\(.*\| {kind.kind()} \|$", text, re.M), name


def test_the_table_of_episodes_is_what_the_code_makes():
    cells = {
        row[0].strip(): [cell.strip() for cell in row[1:]]
        for row in (line.strip("|").split("|") for line in INDEX.read_text(encoding="utf-8").splitlines())
        if row[0].strip() in ("entry", "exit", "side", "episode") and len(row) == 8
    }
    number = lambda texts: [int(text.replace("−", "-")) for text in texts]  # noqa: E731
    entry = np.array([number(cells["entry"])], dtype=float).T
    leaves = np.array([[text == "yes" for text in cells["exit"]]]).T
    side, episode = latched(entry, leaves, np.zeros(entry.shape, bool))
    assert side.ravel().tolist() == number(cells["side"]) and episode.ravel().tolist() == number(cells["episode"])


def test_other_pages_count_the_strategies_families_and_rules_of_sizes_right():
    rows = [
        line.split("|")[1].strip() for line in INDEX.read_text(encoding="utf-8").splitlines() if "](strategies/" in line
    ]
    families = [name for name in rows if name]
    assert (len(STRATEGIES), len(families), len(SIZERS)) == (25, 7, 8)  # and the words below
    readme, changes = ((REPO / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md"))
    assert "Twenty-five strategies" in readme
    assert "Twenty-five strategies in seven families" in changes and "Eight rules of sizes" in changes
