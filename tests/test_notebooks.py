"""The notebooks of examples/ run from top to bottom on a store of their own, and every view in them is drawn."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient

from store import open_archive, sample
from tests.conftest import REPO

FOLDER = REPO / "examples" / "notebooks"
VIEWS = {"first-run": 1, "linked-views": 5, "settings-and-causes": 2}
LIVE = "application/vnd.holoviews_exec.v0+json"  # a drawing that the kernel goes on talking to
WAITING = ("being worked out", "Working out")  # what a view says until it has what it shows
pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "store"
    sample.build(open_archive(path, create=True))
    return path


def test_every_notebook_is_here():
    assert {path.stem for path in FOLDER.iterdir()} == set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_notebook_runs_and_draws(name, simulated, tmp_path, monkeypatch):
    store = tmp_path / "store"
    if name != "first-run":  # which makes its own
        shutil.copytree(simulated, store)
    monkeypatch.setenv("FRONTMONTH_STORE", str(store))
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells), "stored with outputs"
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    drawn = [cell for cell in cells if any(LIVE in out.get("data", {}) for out in cell.outputs) and shows(cell)]
    assert len(drawn) == VIEWS[name]
    waiting = [word for cell in drawn for word in WAITING if any(word in str(out) for out in cell.outputs)]
    assert waiting == []
    told = [out for cell in cells for out in cell.outputs if out.output_type == "stream" and out.name == "stderr"]
    assert told == []


def shows(cell):
    """Whether a cell ends with a view; loading Panel leaves outputs, too."""
    return "pn.extension" not in cell.source and "heatmap" not in cell.source
