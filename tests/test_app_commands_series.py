"""The verb continuous: tables by name, rank and rule, as text, JSON, CSV and Parquet."""

import polars as pl
import pytest

CONTINUOUS = (
    "time,day,source_time,contract,open,high,low,close,settle,volume,open_interest,offset,factor,adjusted,"
    "next_contract,next_price,roll,next_days,roll_yield"
)


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


@pytest.mark.parametrize(
    ("name", "rule", "rank"), [("MES.v.1", "volume:1", 1), ("MES.n.0", "oi:1", 0), ("SP500_micro.c.0", None, 0)]
)
def test_a_continuous_name_tells_rule_and_rank(document, built, name, rule, rank):
    rows = document("continuous", name, "--store", built)
    if rule:
        assert rows == document("continuous", "MES", "--rule", rule, "--rank", rank, "--store", built)
    held = [row["contract"] for row in rows]
    assert held == sorted(held) and len(set(held)) > 5


def test_a_later_rank_holds_a_later_contract(document, built):
    front, next_ = ({row["day"]: row["contract"] for row in document("continuous", f"MES.v.{k}", "--store", built)}
                    for k in (0, 1))  # fmt: skip
    assert all(front[day] < contract for day, contract in next_.items() if day in front)


def test_forward_begins_at_the_market_price_and_days_can_be_chosen(document, built):
    rows = document("continuous", "MES", "--adjust", "forward", "--store", built)
    assert rows[0]["adjusted"] == rows[0]["settle"] and rows[-1]["adjusted"] != rows[-1]["settle"]
    part = document("continuous", "MES", "--adjust", "forward", "--start", "2022-03-01", "--end", "2022-03-31",
                    "--store", built)  # fmt: skip
    assert part == [row for row in rows if row["day"].startswith("2022-03")]


def test_constant_maturity_is_marked_as_not_tradable(call, document, built):
    rows = document("continuous", "MES", "--maturity", "60", "--store", built)
    told = [row for row in rows if row["price"] is not None]
    assert len(told) > 300 and not any(row["tradable"] for row in rows)
    assert all(row["near_days"] <= 60 <= row["far_days"] for row in told)
    assert "cannot be traded" in call("continuous", "MES", "--maturity", "60", "--store", built).out


@pytest.mark.parametrize(
    "words",
    [("MES.v.0", "--rule", "oi"), ("MES.v.0", "--rank", "1"), ("MES", "--maturity", "30", "--rule", "oi"),
     ("MES", "--start", "spring")],
    ids=["rule", "rank", "maturity", "day"],
)  # fmt: skip
def test_what_contradicts_itself_is_wrong_usage(call, built, words):
    assert call("continuous", *words, "--store", built, code=2).out == ""
