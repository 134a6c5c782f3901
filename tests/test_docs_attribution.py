"""docs/attribution.md names what the code has, and tests that there are."""

import re

from engine.analysis.attribution import DIMENSIONS
from engine.analysis.categories import RULES
from engine.analysis.difference import PARTS
from engine.analysis.parts import CAUSES
from engine.analysis.worksheet import WORKSHEET
from tests.conftest import REPO

PAGE = (REPO / "docs" / "attribution.md").read_text(encoding="utf-8")


def test_every_cause_part_and_rule_is_told_as_it_is():
    assert [name for name in CAUSES if f"`{name}`" not in PAGE] == []
    assert [name for name in PARTS if f"| `{name}` |" not in PAGE] == []
    rules = re.findall(r"^\| ([a-z][\w -]+) \| (.+) \|$", PAGE.partition("## What became")[2], flags=re.M)
    assert rules[: len(RULES) + 1] == [("category", "rule"), *RULES.items()]
    told = {"holding": "holding time", "entry_reason": "reasons", "exit_reason": "reasons"}
    assert [name for name in DIMENSIONS if told.get(name, name) not in PAGE.partition("```")[0]] == []


def test_every_test_that_the_page_names_is_there():
    named = re.findall(r"^- `(test_\w+)`", PAGE, flags=re.M)
    there = "".join(path.read_text(encoding="utf-8") for path in (REPO / "tests").glob("test_*analysis*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in there] == []


def test_the_reference_lists_the_columns_of_a_worksheet():
    page = (REPO / "docs" / "reference.md").read_text(encoding="utf-8")
    part = page.partition("The worksheet of")[2].partition("\n## ")[0]
    assert [name for name in WORKSHEET if f"`{name}`" not in part] == []
