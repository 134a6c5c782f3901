"""The chain of a market as of a day, on a store made by hand and on real bars."""

from datetime import date

import polars as pl
import pytest

from store import asof, history, open_archive
from tests import stored_bars
from tests.stored_bars import bars, days


@pytest.fixture
def archive(tmp_path):
    """MES: H24 and M24, the second busier from 11 March 2024 on."""
    made = open_archive(tmp_path / "store", create=True)
    early, late = days("2024-01-02", "2024-03-15"), days("2024-01-15", "2024-04-30")
    first = bars(202403, early, 5000.0, volume=[900.0 if day < date(2024, 3, 11) else 10.0 for day in early])
    second = bars(
        202406, late, 5050.0, volume=[50.0 if day < date(2024, 3, 11) else 900.0 for day in late], open_interest=7.0
    )
    stored_bars.store(made, first, second)
    return made


def test_a_day_shows_the_contracts_that_traded_by_then(archive):
    found = asof.chain(archive, "MES", date(2024, 1, 12))
    assert found["code"].to_list() == ["MESH24"]
    assert found["first_day"].to_list() == [date(2024, 1, 2)] and found["last_day"].to_list() == [date(2024, 1, 12)]
    assert found["held"].to_list() == [True] and found["volume"].to_list() == [900.0]


def test_dates_are_those_of_the_contract_and_the_sessions_left_are_counted(archive):
    found = asof.chain(archive, "MES", date(2024, 3, 8))
    assert found["last_trade"].to_list() == [date(2024, 3, 15), date(2024, 6, 21)]
    assert found["first_notice"].to_list() == [None, None]
    assert found["days_to_last_allowed"][0] == 4  # Monday to Thursday, the 14th
    assert found["open_interest"].to_list() == [None, 7.0]


def test_the_held_contract_changes_after_the_day_of_the_roll(archive):
    held = lambda day: asof.chain(archive, "MES", day).filter("held")["code"].to_list()  # noqa: E731
    assert held(date(2024, 3, 8)) == ["MESH24"]
    assert held(date(2024, 3, 12)) == [
        "MESH24"
    ]  # the crossing of the 11th is known at its close: the roll is on the 12th
    assert held(date(2024, 3, 13)) == ["MESM24"]


def test_a_contract_leaves_after_its_last_trade_and_what_comes_later_is_not_known(archive):
    assert asof.chain(archive, "MES", date(2024, 3, 15))["code"].to_list() == ["MESH24", "MESM24"]
    assert asof.chain(archive, "MES", date(2024, 3, 18))["code"].to_list() == ["MESM24"]
    assert asof.chain(archive, "MES", date(2023, 12, 29)).is_empty()


def test_a_vendors_date_goes_before_the_rule(archive):
    rows = pl.DataFrame({"contract": [202403], "last_trade": [date(2024, 3, 14)]})
    archive.commit([archive.write("contracts", rows, source="barchart", root="MES")])
    found = asof.chain(archive, "MES", date(2024, 3, 8))
    assert found["last_trade"][0] == date(2024, 3, 14) and found["days_to_last_allowed"][0] == 3


def test_a_market_that_the_master_does_not_know_has_no_dates(archive):
    stored_bars.store(archive, bars(202403, days("2024-01-02", "2024-01-31")), root="MYSTERY")
    found = asof.chain(archive, "MYSTERY", date(2024, 1, 31))
    assert found["last_trade"].to_list() == [None] and found["days_to_last_allowed"].to_list() == [None]


def test_a_market_without_dated_contracts_is_said(archive):
    with pytest.raises(history.NotStored, match="ZW: no dated contracts are stored"):
        asof.chain(archive, "ZW", date(2024, 1, 31))


def test_the_chain_of_real_bars_has_the_exchanges_settlement(real, shared):
    found = asof.chain(real, "MES", date(2020, 3, 2))
    front = found.row(0, named=True)
    assert front["code"] == "MESH20" and front["held"] and front["last_trade"] == date(2020, 3, 20)
    nearest = (shared / "quandl_chris" / "CME_ES1.csv").read_text().splitlines()
    assert f"2020-03-02,{front['settle']}" in nearest
    assert (found["last_day"] <= date(2020, 3, 2)).all()
