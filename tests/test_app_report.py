"""The report: one file, nothing outside of it, and no name that could act."""

import subprocess
import sys

import pytest

from app import report
from app.columns import Columns
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


def test_amounts_keep_every_bit_and_codes_take_few():
    columns = Columns.of(SyntheticRun(years=1))
    packed = report.packed(columns)["cells"].data
    assert report.packed(columns)["owners"].data["line"].dtype == "uint8"
    assert packed["part"].dtype == "uint8"
    assert packed["day"].dtype == "uint16"
    assert (packed["amount"] == columns.cell["amount"]).all()
    assert report.packed(columns)["holdings"].data["contracts"].min() < 0
