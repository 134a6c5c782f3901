"""Corrupt files: refused in one sentence, or quarantined with file, line, column and reason; nothing lost, no trace."""

import os

import polars as pl
import pytest

from store import checks, ingest, open_archive, raw
from tests.corrupt_files import FILES, GOOD, NAME, text

PROVES = (8,)  # guarantees


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


def test_there_are_fifty_at_least():
    assert len(FILES) >= 50


@pytest.mark.parametrize("name", FILES)
def test_a_corrupt_file_is_refused_or_accounted_for(archive, tmp_path, monkeypatch, name):
    case = FILES[name]
    (tmp_path / "in").mkdir()
    path = case.make(tmp_path / "in")
    if "Permission" in case.error and os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    if case.limit:
        monkeypatch.setattr(raw, "LIMIT", case.limit)
    before = archive.head()
    [report] = ingest.import_paths(archive, [path], vendor=case.vendor, root=case.root)
    assert sum(getattr(report, count) for count in ingest.COUNTS[1:]) == report.rows_read
    if case.error:
        _refused(archive, before, path, report, case)
    else:
        _taken(archive, before, report, case)
    assert archive.verify() == []


def _refused(archive, before, path, report, case):
    assert case.error in report.error
    assert report.error.startswith(raw.plain(path))
    assert report.error.isprintable() and "Traceback" not in report.error
    assert archive.head() == before and archive.read("quarantine").is_empty()


def _taken(archive, before, report, case):
    assert report.error == ""
    assert archive.head().number == before.number + 1
    kept = archive.read("quarantine")
    told = [(row["line"], row["column"], row["rule"]) for row in kept.sort("line").to_dicts()]
    assert told == list(case.bad)
    assert all(name and reason and case.reason in reason for name, reason in kept.select("file", "reason").iter_rows())
    assert all(kept["raw"])
    assert (report.rows_read, report.warned, report.quarantined) == (case.rows, case.warned, len(case.bad))
    bars = archive.read("contract_bars")
    assert bars.height == case.rows - len(case.bad) - report.reasons.get("repeated", 0)
    if case.found:
        roots = bars["root"].unique().to_list()
        assert case.found in checks.run(archive, roots)["rule"].to_list()


def test_a_file_that_was_still_being_written_is_completed_by_the_next_import(archive, tmp_path):
    text([*GOOD[:30], GOOD[30][:14]], end="\n")(tmp_path)
    [first] = ingest.import_paths(archive, [tmp_path / NAME])
    assert (first.accepted, first.quarantined) == (29, 1)
    text(GOOD)(tmp_path)
    [second] = ingest.import_paths(archive, [tmp_path / NAME])
    assert (second.accepted, second.quarantined) == (40, 0)
    assert archive.read("contract_bars").height == 40
    assert archive.read("revisions").is_empty()


def test_a_slip_of_units_is_refused_by_the_import_itself(archive, tmp_path):
    path = FILES["a hundredfold rest"].make(tmp_path)
    [report] = ingest.import_paths(archive, [path])
    [finding] = archive.read("findings").to_dicts()
    assert (finding["rule"], finding["severity"], finding["root"]) == ("unit_slip", "refuse", "ES")
    assert any("unit_slip" in note or "refus" in note for note in report.notes)


def test_the_good_file_is_good(archive, tmp_path):
    [report] = ingest.import_paths(archive, [text(GOOD)(tmp_path)])
    assert (report.accepted, report.warned, report.quarantined) == (40, 0, 0)
    assert checks.run(archive, ["ES"]).filter(pl.col("severity") != "refuse").is_empty()
