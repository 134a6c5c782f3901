"""docs/scenarios.md names what the code has, and tests that there are."""

import re

from engine.analysis.paths import Paths, Pool, paths
from engine.analysis.stress import WINDOWS
from engine.analysis.whatif import CHANGES
from tests.conftest import REPO

PAGE = (REPO / "docs" / "scenarios.md").read_text(encoding="utf-8")


def test_the_windows_of_the_page_are_those_of_the_code():
    told = re.findall(r"^\| `([a-z]+-\d{4})` \| (\S+)(?: to (\S+))? \|$", PAGE, flags=re.M)
    assert told == [(name, str(first), "" if first == last else str(last)) for name, (first, last) in WINDOWS.items()]


def test_every_change_is_told():
    part = PAGE.partition("## What if")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z]+)=", part, flags=re.M) == list(CHANGES)


def test_every_test_that_the_page_names_is_there():
    named = re.findall(r"^- `(test_\w+)`", PAGE, flags=re.M)
    there = "".join(path.read_text(encoding="utf-8") for path in (REPO / "tests").glob("test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in there] == []


def test_the_reference_lists_what_is_told_of_paths():
    import numpy as np

    page = (REPO / "docs" / "reference.md").read_text(encoding="utf-8")
    part = page.partition("`frontmonth scenario RUN --json`")[2].partition("\n## ")[0]
    drawn = paths(Pool(np.array([0.1, 0.0]), np.zeros(2), 1.0, True, "days"), count=2)
    assert isinstance(drawn, Paths)
    assert [name for name in drawn.summary() if f"`{name}`" not in part] == []
