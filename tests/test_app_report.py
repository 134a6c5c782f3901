"""The report: one file, nothing outside of it, and no name that could act."""

import subprocess
import sys

import pytest

from app import report
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


def test_a_section_that_there_is_not_is_named(tmp_path):
    with pytest.raises(report.SectionUnknown, match=r"'nothing'.*overview"):
        report.report(SyntheticRun(years=1), tmp_path / "run.html", sections=("overview", "nothing"))
    assert not list(tmp_path.iterdir())


def test_a_report_without_a_section_is_refused(tmp_path):
    with pytest.raises(report.SectionUnknown, match=r"at least one section.*overview"):
        report.report(SyntheticRun(years=1), tmp_path / "run.html", sections=())
    assert not list(tmp_path.iterdir())


def test_a_report_has_the_sections_asked_for(tmp_path):
    text = report.page(SyntheticRun(years=1), sections=("trades",))
    assert 'id="page-trades"' in text and 'id="page-overview"' not in text
