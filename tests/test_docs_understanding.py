"""docs/understanding.md: its commands print the lines and the numbers of the page, its pictures are of the same run."""

import re
import shlex

import pytest

from app.cli import main
from engine import result
from store import contracts, open_archive, sample
from tests import doc_drawings
from tests.conftest import REPO

PAGE = (REPO / "docs" / "understanding.md").read_text(encoding="utf-8")
PIECES = re.split(r"^```(\w*)\n(.*?)^```\n", PAGE, flags=re.S | re.M)  # prose, kind, block, prose, ...


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "frontmonth-store"
    sample.build(open_archive(path, create=True))
    return path


def plain(text):
    """Lines with one blank between words."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.service
def test_each_line_and_each_number_of_the_page_is_printed(store, monkeypatch, capsys):
    monkeypatch.chdir(store.parent)
    monkeypatch.delenv("FRONTMONTH_STORE", raising=False)
    contracts._load.cache_clear()
    printed = []
    for kind, block in zip(PIECES[1::3], PIECES[2::3], strict=True):
        if kind == "text":
            found = "\n".join(printed)
            assert [line for line in plain(block) if line not in found] == []
            continue
        assert kind == "sh"
        for line in block.splitlines():
            with pytest.raises(SystemExit) as end:
                main(shlex.split(line)[1:])
            assert end.value.code == 0, line
            printed += plain(capsys.readouterr().out)
    prose, found = " ".join(PIECES[::3]), "\n".join(printed)
    numbers = re.findall(r"\d+(?:,\d{3})+|\d+\.\d+", prose)
    assert len(numbers) > 15
    assert [number for number in numbers if number not in found] == []
    archive = open_archive(store)
    made = result.load(archive, "last")
    shown = re.findall(r"\(pictures/(\w+)\.svg\)", PAGE)
    assert shown == list(doc_drawings.DRAWINGS)
    for name, draw in doc_drawings.DRAWINGS.items():
        file = doc_drawings.FOLDER / f"{name}.svg"
        assert draw(archive, made) == file.read_text(encoding="utf-8"), "python -m tests.doc_drawings writes them"


def test_the_scale_of_a_picture_names_round_values_and_holds_all():
    height, marks = doc_drawings._scale(9.8, 16.02, 40, 220)
    assert marks.tolist() == [10.0, 12.0, 14.0, 16.0]
    assert (height(16.02), height(9.8)) == (pytest.approx(40.0), pytest.approx(220.0))
    height, marks = doc_drawings._scale(-0.25, 0.0, 270, 410)
    assert marks.round(9).tolist() == [-0.2, -0.1, 0.0]
    assert (height(0.0), height(-0.25)) == (270.0, 410.0)
