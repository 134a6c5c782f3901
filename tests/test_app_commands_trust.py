"""The verb check: findings, decisions, coverage, two sources, filled rows."""

import re
from datetime import date

import polars as pl
import pytest

from app.commands.trust import _show_findings
from store import open_archive


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
        set(row) == {"id", "severity", "rule", "source", "root", "contract", "day", "field", "value", "reason", "done"}
        for row in rows
    )
    slip = next(row for row in rows if row["rule"] == "unit_slip")
    assert (slip["root"], slip["contract"], slip["day"], slip["severity"]) == ("ZC", "202212", "2022-09-20", "refuse")
    quality = {row["root"]: row["quality"] for row in document("markets", "--store", store)}
    assert quality["ZC"] == 0.0 and quality["MES"] is None  # refused until decided; never checked


@pytest.fixture
def slipped(store):
    """A store in which a contract of corn is quoted in dollars for a day."""
    archive = open_archive(store)
    rows = archive.read("contract_bars", root="ZC")
    day = date(2022, 3, 15)
    wrong = (pl.col("day") == day) & (pl.col("contract") == 202207)
    prices = [
        pl.when(wrong).then(pl.col(c) / 100).otherwise(pl.col(c)).alias(c) for c in ("open", "high", "low", "settle")
    ]
    old = archive.files("contract_bars", root="ZC")
    source = rows["source"][0]
    archive.commit([archive.write("contract_bars", rows.with_columns(prices), source=source, root="ZC")], old)
    return store


def refused(document, store):
    return [row for row in document("check", "ZC", "--store", store) if row["severity"] == "refuse"]


def test_a_slip_of_the_unit_keeps_the_market_from_being_run_until_it_is_released(call, document, slipped):
    (finding,) = refused(document, slipped)
    assert (finding["rule"], finding["contract"], finding["day"]) == ("unit_slip", "202207", "2022-03-15")
    words = ("run", "trend", "--set", "markets=ZC", "--set", "fast=5", "--set", "slow=20", "--start", "2021-01-04")
    told = call(*words, "--store", slipped, code=1).err
    assert "ZC: unit_slip 2022-03-15" in told and f"--release {finding['id']}" in told
    (made,) = document("check", "--release", finding["id"], "--reason", "looked it up", "--store", slipped)
    assert (made["action"], made["finding"], made["reason"]) == ("release", finding["id"], "looked it up")
    call(*words, "--store", slipped)
    assert all(row["done"].startswith("released") for row in refused(document, slipped))
    (logged,) = document("check", "--log", "--store", slipped)
    document("check", "--revoke", logged["id"], "--reason", "no, I had not", "--store", slipped)
    assert "unit_slip" in call(*words, "--set", "slow=21", "--store", slipped, code=1).err


def test_a_rule_is_accepted_for_a_market(document, slipped):
    refused(document, slipped)
    document("check", "--accept", "unit_slip", "--market", "CORN", "--reason", "known", "--store", slipped)
    assert all(row["done"].startswith("accepted") for row in refused(document, slipped))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--release", "f00d"], "a decision needs its reason"),
        (["--accept", "spike", "--reason", "x"], "which markets? --market ROOT"),
        (["--log", "--coverage"], "--log and --coverage do not go together"),
        (["MES", "ZC", "--against", "sample"], "one ROOT is wanted"),
        (["--market", "ZC"], "it goes with --accept"),
        (["--reason", "why not"], "it goes with --release or --accept or --revoke"),
        (["MES", "--source", "barchart"], "it goes with --against or --fill"),
    ],
)
def test_half_a_decision_is_refused(call, built, words, told):
    assert told in call("check", *words, "--store", built, code=2).err


def test_an_unknown_finding_is_named(call, built):
    assert "f00d" in call("check", "--release", "f00d", "--reason", "x", "--store", built, code=1).err


def test_coverage_tells_the_sessions_of_each_year(call, document, built):
    rows = document("check", "MES", "--coverage", "--store", built)
    assert [row["year"] for row in rows] == [2021, 2022]
    assert all(0.9 < row["share"] <= 1 and row["sessions_held"] <= row["sessions_expected"] for row in rows)
    assert "2021" in call("check", "MES", "--coverage", "--store", built).out


@pytest.fixture
def doubled(store):
    """A store with a second source of MES, which has a row more and another settlement."""
    archive = open_archive(store)
    rows = archive.read("contract_bars", root="MES")
    gone = rows.filter((pl.col("contract") == 202206) & (pl.col("day") == date(2022, 3, 15)))
    other = rows.with_columns(
        pl.when(pl.col("day") == date(2022, 5, 3)).then(pl.col("settle") + 1).otherwise("settle").alias("settle")
    )
    old = archive.files("contract_bars", root="MES")
    kept = rows.join(gone.select("contract", "day"), on=["contract", "day"], how="anti")
    archive.commit(
        [
            archive.write("contract_bars", kept, source="barchart", root="MES"),
            archive.write("contract_bars", other.drop("source"), source="norgate", root="MES"),
        ],
        old,
    )
    return store


def test_two_sources_are_compared(call, document, doubled):
    made = document("check", "MES", "--against", "norgate", "--store", doubled)
    assert {row["day"] for row in made["disagreements"]} == {"2022-05-03"}
    assert all(row["difference"] == -1.0 for row in made["disagreements"])
    assert "2022-05-03" in call("check", "MES", "--against", "norgate", "--store", doubled).out


def test_findings_of_two_sources_say_whose_they_are_and_only_then(capsys):
    of_one = {"id": "1", "severity": "refuse", "rule": "unit_slip", "source": "barchart", "root": "ES", "done": ""}
    of_one |= {"contract": "202206", "day": "2022-05-03", "field": "settle", "value": "1", "reason": "x"}
    _show_findings([of_one])
    assert "source" not in capsys.readouterr().out
    _show_findings([of_one, of_one | {"source": "lean-hour"}])
    shown = capsys.readouterr().out
    assert "source" in shown and re.search(r"ES +lean-hour +202206", shown)
    assert "Not run until somebody decides: ES of barchart, ES of lean-hour." in shown


def test_a_missing_row_is_filled_marked_and_taken_out_again(document, doubled):
    before = open_archive(doubled).read("contract_bars", root="MES", source="barchart")
    words = ("check", "MES", "--source", "barchart", "--store", doubled, "--reason", "vendor lost it")
    assert document(*words, "--fill", "norgate", "--dry-run")["filled"] == 1
    assert document(*words, "--fill", "norgate")["filled"] == 1
    after = open_archive(doubled).read("contract_bars", root="MES", source="barchart")
    (row,) = after.filter(pl.col("filled_from") == "norgate").to_dicts()
    assert (row["contract"], row["day"]) == (202206, date(2022, 3, 15)) and after.height == before.height + 1
    document(*words, "--unfill")
    assert open_archive(doubled).read("contract_bars", root="MES", source="barchart").height == before.height
