"""Verbs on rolled series: calendars with prices and reasons, continuous tables as JSON, CSV and Parquet."""

import polars as pl
import pytest

from store import open_archive

CONTINUOUS = (
    "time,day,source_time,contract,open,high,low,close,settle,volume,open_interest,offset,factor,adjusted,"
    "next_contract,next_price,roll"
)


def test_roll_tells_every_roll_with_its_prices_and_reasons(document, store):
    made = document("roll", "MES", "--rule", "volume:1", "--store", store)
    assert set(made) == {"root", "rule", "version", "first", "rolls", "reasons"}
    assert set(made["rolls"][0]) == {"day", "time", "from", "to", "from_price", "to_price", "reason"}
    assert [roll["from"] for roll in made["rolls"]][:3] == ["202103", "202106", "202109"]
    assert made["rolls"][0]["to_price"] - made["rolls"][0]["from_price"] == 4.0
    assert sum(made["reasons"].values()) == pytest.approx(1.0)
    saved = open_archive(store).read("roll_calendars", root="MES")
    assert saved["version"].unique().to_list() == [made["version"]]


def test_roll_of_several_markets_is_a_list_and_shows_each(call, document, store):
    assert [made["root"] for made in document("roll", "MES", "CORN", "--store", store)] == ["MES", "ZC"]
    assert "202103" in call("roll", "MES", "--show", "--store", store).out


def test_roll_diff_compares_two_rules_and_stores_nothing(call, document, store):
    before = open_archive(store).head().hash
    made = document("roll", "ZC", "--diff", "first-notice-20", "--store", store)
    assert set(made) == {"root", "rule", "other", "rolls", "differences"}
    assert (made["rule"], made["other"]) == ("volume:1", "first-notice-20")
    assert all(row["other_day"] < row["day"] for row in made["differences"] if row["day"] and row["other_day"])
    assert "rolls differ" in call("roll", "ZC", "--diff", "first-notice-20", "--store", store).out
    assert open_archive(store).head().hash == before


def test_an_unknown_rule_is_refused_with_the_nearest(call, store):
    assert "did you mean 'volume:2'" in call("roll", "MES", "--rule", "volum:2", "--store", store, code=1).err


@pytest.mark.parametrize("adjust", ["difference", "ratio", "none"])
def test_continuous_writes_the_same_table_as_csv_and_as_parquet(document, built, tmp_path, adjust):
    for suffix in ("csv", "parquet"):
        made = document("continuous", "MES", "--adjust", adjust, "--out", tmp_path / f"x.{suffix}", "--store", built)
        assert made == {"root": "MES", "rows": 520, "file": str(tmp_path / f"x.{suffix}")}
    assert (tmp_path / "x.csv").read_text().splitlines()[0] == CONTINUOUS
    assert "nan" not in (tmp_path / "x.csv").read_text().lower()
    text, binary = pl.read_csv(tmp_path / "x.csv", try_parse_dates=True), pl.read_parquet(tmp_path / "x.parquet")
    assert text["adjusted"].to_list() == pytest.approx(binary["adjusted"].to_list(), rel=1e-12)
    assert binary["adjusted"][-1] == binary["settle"][-1]
    steps = (binary["adjusted"] - binary["settle"]).unique().len()
    assert steps == 1 if adjust == "none" else steps > 5
    assert binary["close"].null_count() == binary.height  # Barchart's last price is the settlement


def test_continuous_shows_its_last_rows_or_all_of_them_as_json(call, document, built):
    rows = document("continuous", "ZC", "--store", built)
    assert ",".join(rows[0]) == CONTINUOUS
    assert rows[-1]["contract"].isdigit() and rows[-1]["close"] is None
    assert "--out FILE has all" in call("continuous", "ZC", "--store", built).out


def test_an_unknown_market_is_stitched_as_well(document, built):
    assert document("continuous", "PLUTONIUM", "--store", built)[-1]["settle"] > 0


@pytest.mark.parametrize(
    "words", [("--adjust", "panama"), ("--out", "x.xlsx"), ("--rank",)], ids=["adjust", "out", "option"]
)
def test_wrong_options_of_continuous_are_wrong_usage(call, built, words):
    found = call("continuous", "MES", *words, "--store", built, code=2)
    assert found.out == "" and found.err.count("\n") == 1


def test_a_rank_that_is_not_stitched_is_refused_rather_than_taken_for_the_first(call, built):
    assert "rank 0" in call("continuous", "MES.c.1", "--store", built, code=2).err
