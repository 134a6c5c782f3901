"""The report: one file, nothing outside of it, and no name that could act."""

import json
import subprocess
import sys

import numpy as np
import pytest

from app import report
from app.view import Board
from tests.conftest import REPO
from tests.synthetic_run import EmptyRun, SyntheticRun


@pytest.mark.parametrize("run", [SyntheticRun(years=1), EmptyRun(years=1)], ids=["run", "empty"])
def test_no_tag_points_outside_of_the_file(run, tmp_path):
    path = report.report(run, tmp_path / "sub" / "run.html")
    tags = report.Tags(path.read_text(encoding="utf-8"))
    assert tags.found == []


def test_a_tag_that_points_outside_is_refused():
    with pytest.raises(report.ReportNotAlone, match=r"example\.org"):
        report.alone('<html><head><link rel="stylesheet" href="https://example.org/x.css"></head></html>')


@pytest.mark.service
def test_a_report_is_made_in_a_clean_process(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests')\nfrom tests.synthetic_run import SyntheticRun\n"
        f"from app.report import report\nreport(SyntheticRun(years=1), {str(tmp_path / 'run.html')!r})"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert report.Tags((tmp_path / "run.html").read_text(encoding="utf-8")).found == []


def test_a_report_of_simulated_prices_says_so():
    assert "Simulated prices" in report.page(SyntheticRun(years=1))
    assert 'class="simulated"' not in report.page(SyntheticRun(years=1, simulated=False))


def test_names_are_text_in_a_report():
    bad = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
    run = SyntheticRun(years=1, sectors={bad: "A{{B}} <b>C</b>"}, name=bad)
    run.note = bad
    text = report.page(run)
    assert report.Tags(text).found == []  # an <img> that got through would be one
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#123;&#123; 7 * 7 }}" in text


def told(data):
    """The arrays of a blob, brought back as `unpack.js` does it."""
    line, _, rest = data.partition(b"\n")
    found, at = {}, 0
    for one in json.loads(line):
        kind = np.dtype(one["type"])
        size = one["length"] * kind.itemsize
        mixed = np.frombuffer(rest[at : at + size], np.uint8).reshape(kind.itemsize, one["length"])
        found[one["name"]] = np.ascontiguousarray(mixed.T).view(kind).ravel()
        at += size
    assert at == len(rest)
    return found


def test_amounts_keep_every_bit_and_codes_take_few():
    board = Board(SyntheticRun(years=1))
    packed = report.packed(board)
    assert packed["trade_line"].dtype == packed["cell_part"].dtype == "uint8"
    assert (packed["cell_amount"] == board.columns.cell["amount"]).all()
    assert packed["held_contracts"].min() < 0
    back = told(report.blob(packed))
    assert all(np.array_equal(back[name], packed[name], equal_nan=packed[name].dtype.kind == "f") for name in packed)
    assert report.blob(packed) == report.blob(report.packed(board))


def test_what_was_held_comes_back_to_twelve_digits():
    held = Board(SyntheticRun(years=2)).columns.held
    packed = report._held(held)
    order = np.argsort(held["line"], kind="stable")
    starts = np.flatnonzero(np.diff(packed["line"], prepend=-1))
    steps = packed["step"] * np.repeat(packed["tick"], np.diff(np.append(starts, len(order))))
    lines = np.repeat(packed["begin"], np.diff(np.append(starts, len(order))))
    sums = np.cumsum(steps)
    marks = (lines + sums - np.repeat(sums[starts], np.diff(np.append(starts, len(order))))) / report.STEP
    np.testing.assert_allclose(marks, held["mark"][order], rtol=0.0, atol=0.51 / report.STEP)
    size = np.abs(packed["contracts"])
    np.testing.assert_allclose(size * np.abs(marks) * packed["worth"], held["notional"][order], rtol=1e-12)
    np.testing.assert_allclose(size * packed["margin"], held["margin"][order], rtol=1e-12)


def test_a_section_that_there_is_not_is_named(tmp_path):
    with pytest.raises(report.SectionUnknown, match=r"'nothing'.*overview"):
        report.report(SyntheticRun(years=1), tmp_path / "run.html", sections=("overview", "nothing"))
    assert not list(tmp_path.iterdir())


def test_a_report_has_the_sections_asked_for(tmp_path):
    text = report.page(SyntheticRun(years=1), sections=("trades",))
    assert 'id="page-trades"' in text and 'id="page-overview"' not in text
