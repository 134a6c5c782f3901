"""Words of the command line are what typer makes of them, and a plain run loads no library of types for them."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from app.words import Command, Group
from tests.conftest import REPO

CALLS = [
    [], ["--number", "3"], ["--number", "0"], ["--number", "x"], ["--real", "2.5"], ["--real", "-1"], ["--flag"],
    ["--several", "a", "--several", "b"], ["--path", "x/y"], ["--path", "."], ["--word", "w", "one", "two"], ["--word"],
    ["--help"],
]  # fmt: skip


def built(seen, **classes):
    """A command with a param of every kind that the verbs have."""
    app = typer.Typer(cls=classes.get("group"), rich_markup_mode=None)

    @app.callback()
    def settings(real: Annotated[float, typer.Option(min=0)] = 600.0):
        seen.append(real)

    @app.command("do", cls=classes.get("command"))
    def do(
        words: Annotated[list[str] | None, typer.Argument()] = None,
        number: Annotated[int, typer.Option(min=1, max=5)] = 2,
        several: Annotated[list[str] | None, typer.Option()] = None,
        path: Annotated[Path | None, typer.Option()] = None,
        word: Annotated[str | None, typer.Option()] = None,
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ):
        seen.append((words, number, several, path, word, flag))

    return app


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_words_are_what_typer_alone_makes_of_them(words, capsys):
    words = [*words[:2], "do", *words[2:]] if words[:1] == ["--real"] else ["do", *words]
    told = []
    for classes in ({}, {"group": Group, "command": Command}):
        seen = []
        with pytest.raises(SystemExit) as end:
            built(seen, **classes)(words, prog_name="x")
        told.append((seen, end.value.code, *capsys.readouterr()))
    assert told[0] == told[1]


@pytest.mark.service
def test_a_verb_loads_no_library_that_it_has_no_use_for(ran):
    store, _ = ran
    heavy = ("pydantic", "rich.console", "scipy.linalg", "pandas", "duckdb", "bokeh", "sklearn", "store.vendors")
    code = f"""
import sys
from app.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    sys.stderr.write(str([name for name in {heavy} if name in sys.modules]))
"""
    words = ["run", "cross", "--force", "--store", str(store)]
    for _ in range(2):  # the first may have to make calendars
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=REPO, capture_output=True, text=True)
    assert done.stderr == "[]"
