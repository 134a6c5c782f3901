"""Verbs on what is stored: what is told of it, the exit codes."""

import pytest

from store import open_archive

COUNTS = {"rows_read", "accepted", "warned", "quarantined"}


def test_markets_tells_what_is_known_of_each(document, built):
    rows = {row["root"]: row for row in document("markets", "--store", built)}
    assert sorted(rows) == ["FGBL", "MES", "PLUTONIUM", "ZC"]
    assert set(rows["MES"]) == {
        "root", "name", "sector", "currency", "exchange", "multiplier", "tick", "first_day", "last_day", "contracts",
        "rows", "quality", "quality_of", "simulated", "sources", "aliases", "specs",
    }  # fmt: skip
    assert {"vendor": "barchart", "name": "BUND"} in rows["FGBL"]["aliases"]
    assert (rows["ZC"]["multiplier"], rows["ZC"]["specs"], rows["ZC"]["simulated"]) == (50.0, "known", False)
    assert (rows["FGBL"]["currency"], rows["FGBL"]["first_day"]) == ("EUR", "2021-01-04")
    unknown = rows["PLUTONIUM"]
    assert (unknown["specs"], unknown["multiplier"], unknown["quality"]) == ("missing", None, None)


def test_markets_of_an_empty_store_says_what_to_do(call, document, tmp_path):
    open_archive(tmp_path / "empty", create=True)
    assert "frontmonth import" in call("markets", "--store", tmp_path / "empty").out
    assert document("markets", "--store", tmp_path / "empty") == []


@pytest.mark.parametrize("name", ["ZC", "CORN", "barchart:CORN", "ZC.c.0", "zc"])
def test_a_market_goes_by_its_root_an_alias_or_a_continuous_name(document, built, name):
    rows = document("contracts", name, "--store", built)
    assert rows[0]["code"] == "ZCH21"


def test_contracts_tells_the_days_that_matter(document, built):
    rows = {row["contract"]: row for row in document("contracts", "ZC", "--store", built)}
    assert set(rows["202205"]) == {
        "contract", "code", "rows", "first_day", "last_day", "highest_volume", "last_trade", "first_notice",
    }  # fmt: skip
    assert (rows["202205"]["first_notice"], rows["202205"]["last_trade"]) == ("2022-04-29", "2022-05-13")


def test_contracts_of_an_unknown_market_have_no_last_trade(document, built):
    assert {row["last_trade"] for row in document("contracts", "PLUTONIUM", "--store", built)} == {None}


def test_a_market_that_is_not_stored_is_named_with_those_that_are(call, built):
    found = call("contracts", "CL", "--store", built, code=1)
    assert "CL is not stored; stored are FGBL, MES, PLUTONIUM, ZC" in found.err
    assert "near it" in call("contracts", "ZCC", "--store", built, code=1).err
