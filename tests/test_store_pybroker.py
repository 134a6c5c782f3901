"""The data source of PyBroker: prices by hand, what it refuses, and what it says when the library is missing."""

import re
import sys
from datetime import UTC, date, datetime
from importlib.util import find_spec

import polars as pl
import pytest

from store import open_archive, pybroker_source
from store.contracts import UnknownRoot
from store.names import BadName
from store.pybroker import NoPyBroker, NotForPyBroker
from tests import small_store
from tests.conftest import REPO

LIBRARY = pytest.mark.skipif(find_spec("pybroker") is None, reason="no PyBroker: pip install 'frontmonth[pybroker]'")
LOCKS = ("requirements.lock", "requirements-pybroker.lock")
DAYS = ("2020-03-09", "2020-03-12")
NAMES = ("contract", "day", "time", "open", "high", "low", "close", "settle", "volume")


def bar(contract, day, open_, settle, volume, hour=22, close=None):
    """A row of contract bars in March 2020; the high a point above both prices, the low one below."""
    known = [price for price in (open_, settle) if price is not None]
    moment = datetime(2020, 3, day, hour, tzinfo=UTC)
    span = (max(known) + 1.0, min(known) - 1.0) if open_ is not None else (None, None)
    return contract, date(2020, 3, day), moment, open_, *span, close, settle, volume


OLD = {9: (100.0, 101.0, 9.0), 10: (101.0, 103.0, 4.0), 11: (103.0, 104.0, 1.0)}
NEW = {9: (98.0, 99.0, 1.0), 10: (99.0, 101.0, 5.0), 11: (101.0, 102.0, 8.0), 12: (102.5, 105.0, 8.0)}
ROLL = [  # volume moves on the 10th, both trade on the 11th: from 104 to 102
    bar(contract, day, *row) for contract, rows in ((202003, OLD), (202006, NEW)) for day, row in rows.items()
]


@pytest.fixture
def quiet():
    import pybroker

    pybroker.disable_logging()
    yield pybroker
    pybroker.enable_logging()


def archive_of(folder, rows, root="MES"):
    archive = open_archive(folder / "store", create=True)
    frame = pl.DataFrame(rows, dict.fromkeys(NAMES), orient="row", infer_schema_length=None)
    archive.commit([archive.write("contract_bars", frame, source="barchart", root=root)])
    return archive


def column(frame, name):
    return frame[name].tolist()


@LIBRARY
def test_contracts_are_joined_as_asked(tmp_path, quiet):
    archive = archive_of(tmp_path, ROLL)
    found = {method: pybroker_source(archive, adjusted=method).query("MES.v.0", *DAYS)
             for method in ("difference", "forward", "none", "ratio")}  # fmt: skip
    assert column(found["none"], "close") == [101.0, 103.0, 104.0, 105.0]
    assert column(found["difference"], "open") == [98.0, 99.0, 101.0, 102.5]
    assert column(found["difference"], "close") == [99.0, 101.0, 102.0, 105.0]
    assert column(found["difference"], "high") == [100.0, 102.0, 103.0, 106.0]
    assert column(found["difference"], "low") == [97.0, 98.0, 100.0, 101.5]
    assert column(found["forward"], "close") == [101.0, 103.0, 104.0, 107.0]
    assert column(found["ratio"], "close") == pytest.approx([101 * 102 / 104, 103 * 102 / 104, 102.0, 105.0])
    assert column(found["ratio"], "open")[0] == pytest.approx(100 * 102 / 104)


@LIBRARY
def test_beside_the_prices_stands_what_the_contract_was(tmp_path, quiet):
    frame = pybroker_source(archive_of(tmp_path, ROLL)).query("MES.v.0", *DAYS)
    assert column(frame, "contract") == [202003, 202003, 202003, 202006]
    assert column(frame, "roll") == [0.0, 0.0, 1.0, 0.0]
    assert column(frame, "settle") == [101.0, 103.0, 104.0, 105.0]
    assert column(frame, "volume") == [9.0, 4.0, 1.0, 8.0]
    assert [str(day)[:10] for day in frame["date"]] == ["2020-03-09", "2020-03-10", "2020-03-11", "2020-03-12"]
    assert set(frame["symbol"]) == {"MES.v.0"}


@LIBRARY
def test_in_money_a_share_is_a_contract(tmp_path, quiet):
    source = pybroker_source(archive_of(tmp_path, ROLL), prices="money")
    assert column(source.query("MES", *DAYS), "close") == [495.0, 505.0, 510.0, 525.0]  # 5 dollars a point
    told = source.told["MES"]
    assert (told["root"], told["source"], told["currency"], told["simulated"]) == ("MES", "barchart", "USD", False)


@LIBRARY
def test_the_days_asked_for_are_adjusted_as_part_of_the_whole(tmp_path, quiet):
    source = pybroker_source(archive_of(tmp_path, ROLL))
    assert column(source.query("MES", "2020-03-09", "2020-03-10"), "close") == [99.0, 101.0]
    assert column(source.query("MES", "2020-03-09", "2020-03-10", adjust="none"), "close") == [101.0, 103.0]


@LIBRARY
def test_rows_of_one_day_are_one_bar(tmp_path, quiet):
    rows = [bar(202003, 9, 100.0, 104.0, 3.0, hour=2), bar(202003, 9, 105.0, 101.0, 4.0)]
    frame = pybroker_source(archive_of(tmp_path, rows)).query("MES", *DAYS)
    bars = frame[["open", "high", "low", "close", "volume"]].to_numpy().tolist()
    assert bars == [[100.0, 106.0, 99.0, 101.0, 7.0]]


@LIBRARY
def test_close_is_the_mark_of_a_run_or_the_last_trade(tmp_path, quiet):
    archive = archive_of(tmp_path, [bar(202003, 9, 100.0, 101.0, 3.0, close=101.5)])
    assert column(pybroker_source(archive).query("MES", *DAYS), "close") == [101.0]
    assert column(pybroker_source(archive, close="close").query("MES", *DAYS), "close") == [101.5]


@LIBRARY
def test_a_day_without_an_open_is_left_out_and_counted(tmp_path, quiet):
    source = pybroker_source(
        archive_of(tmp_path, [bar(202003, 9, None, 101.0, 3.0), bar(202003, 10, 101.0, 102.0, 3.0)])
    )
    assert column(source.query("MES", *DAYS), "close") == [102.0]
    assert source.told["MES"]["left_out"] == 1


@LIBRARY
def test_prices_that_are_not_positive_are_refused_and_named(tmp_path, quiet):
    archive = archive_of(tmp_path, [bar(202003, 9, 2.0, 1.0, 3.0), bar(202003, 10, 1.0, 2.0, 3.0)])
    with pytest.raises(NotForPyBroker, match="MES: adjusted by difference, a price is 0 on 2020-03-09"):
        pybroker_source(archive).query("MES", *DAYS)


@LIBRARY
def test_what_is_not_stored_or_not_known_is_told_with_what_there_is(tmp_path, quiet):
    archive = small_store.build(tmp_path / "store")
    source = pybroker_source(archive)
    with pytest.raises(LookupError, match="stored are FGBL, MES"):
        source.query("CL.v.0", *DAYS)
    with pytest.raises(UnknownRoot, match="stored are FGBL, MES"):
        source.query("NOSUCH", *DAYS)
    with pytest.raises(BadName, match=r"v \(volume:1\)"):
        source.query("MES.x.0", *DAYS)
    with pytest.raises(NotForPyBroker, match="timeframe '1hour'"):
        source.query("MES", *DAYS, timeframe="1h")
    with pytest.raises(ValueError, match="allowed are points, money"):
        pybroker_source(archive, prices="dollars")


@LIBRARY
def test_a_source_reads_its_version_of_the_store_whatever_pybroker_keeps(tmp_path, quiet):
    archive = archive_of(tmp_path, [bar(202003, 9, 100.0, 101.0, 3.0)])
    quiet.enable_data_source_cache("prices", cache_dir=tmp_path / "kept")
    try:
        first = pybroker_source(archive)
        assert len(first.query("MES", *DAYS)) == 1
        frame = pl.DataFrame([bar(202003, 10, 101.0, 102.0, 3.0)], dict.fromkeys(NAMES), orient="row")
        archive.commit([archive.write("contract_bars", frame, source="barchart", root="MES")])
        assert len(first.query("MES", *DAYS)) == 1
        assert len(pybroker_source(archive).query("MES", *DAYS)) == 2
    finally:
        quiet.disable_data_source_cache()


def test_the_lock_of_the_extra_adds_packages_and_changes_none():
    names = [set(re.findall(r"^[\w.-]+", (REPO / lock).read_text(), flags=re.M)) for lock in LOCKS]
    assert not names[0] & names[1]
    assert "lib-pybroker" in names[1]


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pybroker"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pybroker", None)
    with pytest.raises(NoPyBroker, match=r"pip install 'frontmonth\[pybroker\]'"):
        pybroker_source(small_store.build(tmp_path / "store"))
