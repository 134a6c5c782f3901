"""From rows to one commit: what is made again when another writer was quicker, and what a commit replaces."""

from datetime import UTC, datetime

import polars as pl
import pytest

from store import commit as module
from store import open_archive
from store.commit import under
from store.ingest import import_paths
from store.intake import FileReport
from tests.sample_files import LINES, MARCH, changed, put


@pytest.fixture
def archive(tmp_path):
    return open_archive(tmp_path / "store", create=True)


@pytest.fixture
def markets(tmp_path):
    """Files of two markets."""
    return [put(tmp_path / "in", f"Day_{name}_20240300.csv", LINES) for name in ("SP500_micro", "SILVER")]


def overtaken(archive, monkeypatch, write):
    """The first commit is preceded by another writer's; the markets that are merged are told."""
    commit, merged, calls, told = archive.commit, module.merged, [], []

    def late(*arguments, **words):
        if not calls:
            calls.append(1)
            write(open_archive(archive.path))
            told.append("again")
        return commit(*arguments, **words)

    def merge(stored, new, *others):
        told.append(new["root"][0])
        return merged(stored, new, *others)

    monkeypatch.setattr(archive, "commit", late)
    monkeypatch.setattr(module, "merged", merge)
    return told


def test_only_the_market_that_another_writer_changed_is_merged_again(archive, markets, tmp_path, monkeypatch):
    other = put(tmp_path / "other", "Day_SILVER_20240600.csv", LINES)
    told = overtaken(archive, monkeypatch, lambda theirs: import_paths(theirs, [other]))
    import_paths(archive, markets)
    assert told == ["MES", "SI", "SI", "again", "SI"]  # ours, the other's, ours again
    assert archive.read("contract_bars").group_by("root").len().sort("root").rows() == [("MES", 10), ("SI", 20)]
    assert not archive.verify()


def test_a_writer_of_another_table_is_not_in_the_way(archive, markets, monkeypatch):
    rates = pl.DataFrame({"currency": ["EUR"], "rate": [1.0]})
    told = overtaken(archive, monkeypatch, lambda theirs: theirs.commit([theirs.write("fx", rates, source="x")]))
    import_paths(archive, markets)
    assert told == ["MES", "SI", "again"]
    assert archive.head().number == 2


def test_a_revision_is_told_once_however_often_it_was_merged(archive, tmp_path, monkeypatch):
    import_paths(archive, [MARCH])
    other = put(tmp_path / "other", "Day_SP500_micro_20240600.csv", LINES)
    overtaken(archive, monkeypatch, lambda theirs: import_paths(theirs, [other]))
    import_paths(archive, [put(tmp_path / "in", MARCH.name, changed(3, Close="5029"))])
    assert archive.read("revisions").select("old", "new").rows() == [(5028.5, 5029.0)]


def test_a_market_is_replaced_by_one_segment(archive, markets, tmp_path):
    import_paths(archive, markets)
    import_paths(archive, [put(tmp_path / "in", "Day_SILVER_20240900.csv", LINES)])
    assert [segment.rows for segment in archive.files("contract_bars", root="SI")] == [20]
    assert archive.read("contract_bars", 1, root="SI").height == 10  # the version of before


def test_a_content_goes_by_the_name_of_its_file_its_vendor_and_its_roots():
    assert under(FileReport("/a/b.zip", "v", ["ES", "CL"])) == ("b.zip", "v", "ES,CL")


def test_the_moment_of_an_import_is_in_its_log_and_its_rows(archive, markets):
    began = datetime.now(UTC)
    import_paths(archive, markets)
    moments = {*archive.read("imports")["time"], *archive.read("contract_bars")["known"]}
    assert len(moments) == 1 and began <= moments.pop() <= datetime.now(UTC)
