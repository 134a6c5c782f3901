"""What a store holds of each market: the holidays of its facts are those of the files as they are."""

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from store import derived, held, open_archive, rules
from tests import small_store
from tests.conftest import REPO
from tests.test_store_derived import put, wanted


@pytest.fixture
def archive(tmp_path):
    return small_store.build(tmp_path / "store")


@pytest.mark.service
def test_holidays_that_are_edited_count_at_once_and_in_a_new_process(tmp_path):
    archive = open_archive(tmp_path / "store", create=True)
    rows = small_store.bars("MES", 4000.0, 1).filter(pl.col("contract") < 202109)
    put(archive, rows.filter(pl.col("day") < date(2021, 6, 1)), "MES")
    roll = lambda: derived.series([wanted(archive, rule="last-trade-5")])[0].calendar.frame["day"][0]  # noqa: E731
    assert roll() == date(2021, 3, 12)  # the fifth session before the 19th
    holidays = archive.path / "holidays.csv"
    for closed, day in (("2021-03-16", date(2021, 3, 11)), ("2021-03-15,x\nCME_EQUITY,2021-03-16", date(2021, 3, 10))):
        holidays.write_text(f"calendar,day,name\nCME_EQUITY,{closed},x\n")
        assert roll() == day
    put(archive, rows.filter(pl.col("day") >= date(2021, 6, 1)), "MES")
    assert roll() == date(2021, 3, 10)  # and when it is continued
    code = f"""
from store import history, open_archive
print(history.calendar(open_archive({str(archive.path)!r}), "MES", "last-trade-5")[0].frame["day"][0])"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=REPO).stdout == b"2021-03-10\n"
    holidays.unlink()
    assert roll() == date(2021, 3, 12)


def test_what_was_made_while_the_holidays_changed_is_not_kept(archive, monkeypatch):
    def parts(self, columns, real=held.Bars.parts):
        (self.archive.path / "holidays.csv").write_text("calendar,day,name\nCME_EQUITY,2021-03-16,x\n")
        return real(self, columns)

    monkeypatch.setattr(held.Bars, "parts", parts)
    derived.series([wanted(archive, rule="last-trade-5")])
    assert not (archive.cache / "series").exists()
    assert derived.series([wanted(archive, rule="last-trade-5")])[0].calendar.frame["day"][0] == date(2021, 3, 11)
    (archive.path / "holidays.csv").unlink()  # as before: nothing of that name is a series of other holidays
    monkeypatch.undo()
    assert derived.series([wanted(archive, rule="last-trade-5")])[0].calendar.frame["day"][0] == date(2021, 3, 12)


def test_the_calendars_that_rules_ask_are_those_that_are_hashed():
    asked = set(re.findall(r'\.on\("(\w+)"\)', Path(rules.__file__).read_text()))
    assert asked == set(rules.BESIDE)
