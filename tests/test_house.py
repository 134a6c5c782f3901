"""How the house is built: arrows point down, front doors only list, files stay short, nothing heavy loads early."""

import ast
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import REPO

PACKAGES = ("store", "engine", "app")  # each may import itself and those before it
FILES = sorted(path for package in PACKAGES for path in (REPO / package).rglob("*.py"))
MAY_READ_THE_STORE = {"columns.py", "keeping.py", "market.py", "result.py", "trials.py", "backtest.py"}
NAMES_NOT_TAKEN = ("utils", "helpers", "base", "common", "manager")


def imported(path):
    """Top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def relative(path):
    return str(path.relative_to(REPO))


def test_the_version_is_that_of_the_newest_changes():
    newest = next(line for line in (REPO / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"] == newest.removeprefix("## ")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_arrows_point_down(path):
    package = path.relative_to(REPO).parts[0]
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    assert not set(imported(path)) & set(above)


@pytest.mark.parametrize("path", [p for p in FILES if "engine" in p.parts], ids=relative)
def test_in_the_engine_only_the_doors_know_the_store(path):
    assert path.name in MAY_READ_THE_STORE or "store" not in set(imported(path))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_is_longer_than_450_lines(path):
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=relative)
def test_front_doors_only_list(path):
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
    assert all(isinstance(node, allowed) for node in ast.parse(path.read_text()).body)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert path.stem not in NAMES_NOT_TAKEN


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_is_pickled(path):
    assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & set(imported(path))


@pytest.mark.service
@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("app.cli", ("panel", "bokeh", "holoviews", "numba", "polars", "pandas", "duckdb")),
        ("engine.backtest", ("panel", "bokeh", "pandas", "duckdb", "pyarrow")),
        ("store", ("panel", "bokeh", "pandas", "numba", "duckdb", "pyarrow")),
    ],
)
def test_a_verb_loads_only_what_it_needs(module, never):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {set(never)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.strip() == ""
