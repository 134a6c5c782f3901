"""The command in this process, and a small store of files as vendors send them, for the tests of its verbs."""

import json
import shutil
from pathlib import Path

import pytest

from app.cli import main
from tests import market_files

PORTFOLIO = """
[portfolio]
capital = 1_000_000
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
"""


class Command:
    """Runs the command; `code` is the exit code that is expected."""

    def __init__(self, capsys, monkeypatch):
        self.capsys = capsys
        monkeypatch.delenv("FRONTMONTH_STORE", raising=False)

    def __call__(self, *words, code=0):
        """What it wrote: `.out` and `.err`."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        found = self.capsys.readouterr()
        assert end.value.code == code, found.err
        return found

    def document(self, *words, code=0):
        """What it prints with --json, which must be one document."""
        return json.loads(self(*words, "--json", code=code).out)


def built(folder):
    """(files, store) in a folder: the vendors' files, and a store that they were imported into."""
    files = market_files.write(folder / "files")
    with pytest.raises(SystemExit) as end:
        main(["import", str(files / "prices"), str(files / "fx"), "--store", str(folder / "store")])
    assert end.value.code == 0
    return files, folder / "store"


def ran(folder):
    """(store, run) of a store with one run in it, by a portfolio that lies beside it."""
    store = built(folder)[1]
    (store / "portfolios").mkdir()
    (store / "portfolios" / "cross.toml").write_text(PORTFOLIO)
    with pytest.raises(SystemExit) as end:
        main(["run", "cross", "--store", str(store)])
    assert end.value.code == 0
    (run,) = [path.name for path in (store / "runs").iterdir()]
    return store, run


def copied(store, folder):
    """A copy of a store, for a test that changes it."""
    return Path(shutil.copytree(store, folder / "store"))
