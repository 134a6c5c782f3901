"""Verbs on stored data: what goes in, what is told of it, the exit codes."""

from pathlib import Path

import polars as pl
import pytest

from store import open_archive
from tests import market_files

COUNTS = {"rows_read", "accepted", "warned", "quarantined"}


def test_import_counts_every_row_file_by_file(document, files, tmp_path):
    made = document("import", files / "prices", "--store", tmp_path / "new")
    assert set(made) == {"snapshot", "files", "totals"}
    assert made["snapshot"] == 1
    assert set(made["totals"]) == COUNTS
    for file in made["files"]:
        assert set(file) == {"file", "vendor", "roots", "reasons", "skipped", "first", "notes", "error"} | COUNTS
        assert file["rows_read"] == file["accepted"] + file["warned"] + file["quarantined"] > 0
        assert file["vendor"] == "barchart"
    assert made["totals"] == {count: sum(f[count] for f in made["files"]) for count in COUNTS}
    zips = {Path(f["file"]).stem: f["roots"] for f in made["files"] if f["file"].endswith(".zip")}
    assert zips == {"SP500_micro": ["MES"], "CORN": ["ZC"], "BUND": ["FGBL"]}


def test_import_again_changes_nothing_and_says_so(call, document, files, store):
    before = open_archive(store).head()
    made = document("import", files / "prices", files / "fx", "--store", store)
    assert all(file["skipped"] and file["rows_read"] == 0 for file in made["files"])
    assert made["snapshot"] == before.number
    assert open_archive(store).head().hash == before.hash
    assert "Nothing new" in call("import", files / "fx", "--store", store).out


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.csv", None, "no such file"),
        ("Day_CORN_20240300.csv", "", "empty"),
        ("Day_CORN_20240300.csv", "Time,Open,High,Low,Volume\n", "column Close is not in the header"),
        ("letter.csv", "Dear Sir,\n", "no vendor recognises"),
        ("Day_CORN_20240300.csv", market_files.HEADER + "\n2024-01-02T06:00:00+0000,x,y,z,w,1\n", "no usable row"),
    ],
)
def test_a_file_that_cannot_be_read_exits_1_with_one_line_and_no_traceback(call, store, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_text(content)
    before = open_archive(store).head().hash
    found = call("import", tmp_path / name, "--store", store, code=1)
    assert found.err.startswith("frontmonth: ") and found.err.count("\n") == 1
    assert told in found.err and name in found.err
    assert open_archive(store).head().hash == before


def test_the_good_files_beside_a_bad_one_are_imported_and_the_exit_code_is_1(document, files, tmp_path):
    made = document("import", files / "fx", tmp_path / "absent.csv", "--store", tmp_path / "new", code=1)
    good, bad = made["files"]
    assert (good["error"], good["accepted"] > 0) == (None, True)
    assert "absent.csv" in bad["error"] and bad["vendor"] is None


def test_an_unknown_vendor_is_refused_with_the_names_that_are_known(call, files, store):
    found = call("import", files / "fx", "--vendor", "barchat", "--store", store, code=1)
    assert "barchat" in found.err and "did you mean 'barchart'" in found.err


def test_the_help_of_import_names_every_vendor(call):
    from store.vendors import VENDORS

    text = " ".join(call("import", "--help").out.split())
    assert [name for name in VENDORS if name not in text] == []


def test_root_says_whose_prices_they_are(document, files, tmp_path):
    file = next((files / "prices").glob("Day_PLUTONIUM_*.csv"))
    made = document("import", file, "--root", "GC", "--store", tmp_path / "new")
    assert made["files"][0]["roots"] == ["GC"]


# what is stored


def test_markets_tells_what_is_known_of_each(document, built):
    rows = {row["root"]: row for row in document("markets", "--store", built)}
    assert sorted(rows) == ["FGBL", "MES", "PLUTONIUM", "ZC"]
    assert set(rows["MES"]) == {
        "root", "name", "sector", "currency", "exchange", "multiplier", "tick", "first_day", "last_day", "contracts",
        "rows", "quality", "simulated", "sources", "aliases", "specs",
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


def test_check_stores_and_tells_findings(document, store):
    archive = open_archive(store)
    bars = archive.read("contract_bars", root="ZC", source="barchart")
    wrong = (pl.col("contract") == 202212) & (pl.col("day") == pl.date(2022, 9, 20))
    broken = bars.with_columns(pl.when(wrong).then(pl.col("settle") * 100).otherwise("settle").alias("settle"))
    archive.commit(
        [archive.write("contract_bars", broken, source="barchart", root="ZC")],
        archive.files("contract_bars", root="ZC"),
    )
    rows = document("check", "ZC", "--store", store)
    assert all(
        set(row) == {"id", "severity", "rule", "root", "contract", "day", "field", "value", "reason", "done"}
        for row in rows
    )
    slip = next(row for row in rows if row["rule"] == "unit_slip")
    assert (slip["root"], slip["contract"], slip["day"], slip["severity"]) == ("ZC", "202212", "2022-09-20", "refuse")
    quality = {row["root"]: row["quality"] for row in document("markets", "--store", store)}
    assert 0.9 < quality["ZC"] < 1.0 and quality["MES"] is None


def test_verify_passes_a_whole_store_and_names_a_damaged_file(document, store):
    assert document("verify", "--store", store)["problems"] == []
    file = next((store / "data" / "fx").glob("*.parquet"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    (problem,) = document("verify", "--store", store, code=1)["problems"]
    assert file.name in problem
