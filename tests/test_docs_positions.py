"""docs/positions.md: every test that it names is there, and every account worked by hand is on it."""

import re

import pytest

from engine.book import CAUSES
from tests.conftest import REPO

PAGE = (REPO / "docs" / "positions.md").read_text(encoding="utf-8")
HAND = ("execution", "bracket", "rolling", "decision", "spreads")
ELSEWHERE = {"test_the_risk_of_a_trade_is_told_in_money_from_its_entry_to_its_first_stop"}  # of trades, not of a bar


def names_in(pattern):
    """Names of the tests in files of a pattern."""
    files = (path.read_text(encoding="utf-8") for path in sorted((REPO / "tests").glob(pattern)))
    return [name for text in files for name in re.findall(r"^def (test_\w+)\(", text, flags=re.M)]


def test_every_test_that_the_page_names_is_there_and_is_named_once():
    named = re.findall(r"^- `(\w+)`$", PAGE, flags=re.M)
    assert len(named) > 100
    assert len(named) == len(set(named))
    assert set(named) <= set(names_in("test_engine_*.py"))


@pytest.mark.parametrize("file", HAND)
def test_every_account_worked_by_hand_is_on_the_page(file):
    told = set(re.findall(r"`(test_\w+)`", PAGE)) | ELSEWHERE
    assert [name for name in names_in(f"test_engine_{file}.py") if name not in told] == []


def test_the_causes_are_those_of_the_ledger():
    assert f"one cause: {', '.join(CAUSES)}." in " ".join(PAGE.split())
