"""docs/quality.md has every rule of the code, each once in its table, and no other."""

import re

from store import row_rules
from store.series_rules import CHECKS, DUPLICATE_MARKET, RESTATED
from tests.conftest import REPO

PAGE = (REPO / "docs" / "quality.md").read_text(encoding="utf-8")
OF_A_FILE = {"unparsed", "duplicate", "repeated", "superseded", "no_value", "unsorted", "released"}  # by the import


def rules(section):
    """{rule: severity} of the table of a section; a rule in it twice is told twice."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, flags=re.M)
    assert len(found) == len(dict(found))
    return dict(found)


def test_every_rule_of_rows_is_in_the_page_with_its_severity():
    tables = [row_rules.bar_rules(negative_allowed=False), *(made() for made in row_rules.RULES_OF.values())]
    known = {rule.name: rule.severity for table in tables for rule in table}
    told = rules("Rows")
    assert set(told) == set(known) | OF_A_FILE
    assert {name: told[name] for name in known} == known


def test_every_rule_of_series_is_in_the_page_with_its_severity():
    known = {check.name: check.severity for check in (*CHECKS, RESTATED, DUPLICATE_MARKET)}
    told = rules("Series")
    assert set(told) == set(known)
    assert {name: told[name].partition(" ")[0] for name in known} == known


def test_a_rule_s_name_is_one_rule():
    names = [check.name for check in (*CHECKS, RESTATED, DUPLICATE_MARKET)]
    assert len(set(names)) == len(names)


def test_every_word_in_code_type_that_looks_like_a_rule_is_one():
    known = set(rules("Rows")) | set(rules("Series"))
    words = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE)) - {"negative_prices"}
    assert words <= known
