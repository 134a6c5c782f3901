"""The soak finds what proves something, tells what came of it, and fails when a test does."""

import textwrap

import pytest

from tests import soak

pytestmark = pytest.mark.service
GUARANTEES = range(1, 11)


def test_every_file_that_the_battery_is_made_of_says_what_it_proves():
    names = {path.stem for path in soak.battery()}
    assert {f"test_battery_{name}" for name in ("kill", "faults", "order", "damage")} | {"test_store_kill"} <= names
    assert {number for path in soak.battery() for number in soak.proves(path)} <= set(GUARANTEES)
    assert {path.stem for path in soak.battery("damage")} == {"test_battery_damage"}


@pytest.fixture
def file(tmp_path):
    """A test file with one test of each end."""
    path = tmp_path / "test_sample.py"
    path.write_text(
        textwrap.dedent("""
        import pytest
        PROVES = (3,)
        def test_that_passes(record_property):
            record_property("seed", 7)
        def test_that_fails():
            assert 1 == 2
        def test_that_cannot():
            pytest.skip("no tool | here")
        """)
    )
    return path


def test_what_came_of_a_file_is_in_the_table(file):
    told = []
    rows = soak.run_file(file, {}, told.append)
    assert [row.result for row in rows] == ["passed", "FAILED", "skipped: no tool | here"]
    assert [row.failed for row in rows] == [False, True, False]
    assert rows[0].numbers == {"seed": "7"} and rows[0].proves == (3,)
    assert any("assert 1 == 2" in text for text in told)
    lines = soak.table(rows).splitlines()
    assert len(lines) == 5 and all(line.count(" | ") == 4 for line in lines)


def test_a_file_that_cannot_begin_has_failed(tmp_path):
    path = tmp_path / "test_broken.py"
    path.write_text("PROVES = (1,)\nraise ValueError\n")
    assert [row.failed for row in soak.run_file(path, {}, lambda text: None)] == [True]


def test_the_exit_code_tells_of_a_failure(file, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(soak, "battery", lambda only: [file])
    monkeypatch.setattr(soak, "NUMBERS", {})
    assert soak.main(["--out", str(tmp_path / "table.md")]) == 1
    found = capsys.readouterr()
    assert (tmp_path / "table.md").read_text() == found.out
    assert "3 tests in" in found.out and "1 failed" in found.out
    assert "[1/1, 0.0 minutes, time left unknown] test_sample: begins" in found.err
