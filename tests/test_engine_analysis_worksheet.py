"""A worksheet is checked as a person would: its file is read, and its formulas computed again in plain Python."""

import csv
import math
from datetime import date

import pytest

from engine import Portfolio
from engine.analysis.source import given_of_run
from engine.analysis.worksheet import HEADLINES, NoDays, worksheet
from engine.backtest import run as run_and_save
from tests.small_store import build
from tests.test_engine_analysis_explain import KINDS, PORTFOLIO

CASH = """
[cash]
fee = 0.012
fixed_fee = 25
payments = [{ day = 2021-06-15, amount = 50_000 }, { day = 2022-02-15, amount = -20_000 }]
"""
SOME = (date(2021, 9, 1), date(2022, 3, 31))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


def read(run, told, folder, *days):
    """The worksheet as a spreadsheet reads it: texts, and numbers where there are any."""
    file = folder / "sheet.csv"
    worksheet(run, told, *days).write_csv(file)
    with file.open(encoding="utf-8") as lines:
        return [{key: number(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def again(row):
    """The amount of a row by the formula that stands beside it, which no spreadsheet takes for one of its own."""
    part = row["part"]
    assert not row["formula"].startswith(("'", "-", "=", "+")), row
    if part in ("price", "roll_gap"):
        return row["contracts"] * (row["to_price"] - row["from_price"]) * row["multiplier"] * row["fx"]
    if part == "interest":
        return row["base"] * row["rate"] * row["days"] / 360.0
    if part == "fx":
        return row["base"] * (row["to_price"] - row["from_price"])
    if part == "fee" and row["what"] == "of equity":
        return -row["base"] * row["rate"]
    if part in ("fee", "transfer"):
        return row["amount"]
    return -row["contracts"] * row["rate"]


def recomputed(rows, fixed):
    """Headline numbers from the amounts alone: equity, returns, and what they make."""
    equity, amounts, returns, excess = None, 0.0, [], []
    for row in rows:
        if row["part"] == "equity":
            equity = row["base"] if equity is None else equity
            equity += amounts
            assert row["value"] == pytest.approx(equity, abs=0.005)
            amounts = 0.0
        elif row["part"] == "return":
            returns.append(row["value"])
            excess.append(row["value"] - row["rate"])
        elif row["part"] != "headline":
            assert row["amount"] == pytest.approx(again(row), abs=0.005), row
            amounts += again(row)
    grown, peak, deepest = 1.0, 1.0, 0.0
    for one in returns:
        grown = grown + one if fixed else grown * (1.0 + one)
        peak = max(peak, grown)
        deepest = min(deepest, grown / peak - 1.0)
    mean, middle = (sum(values) / len(values) for values in (excess, returns))
    spread = math.sqrt(sum((one - mean) ** 2 for one in excess) / (len(excess) - 1))
    swing = math.sqrt(sum((one - middle) ** 2 for one in returns) / (len(returns) - 1)) * math.sqrt(252)
    return {
        "final_equity": equity, "total_return": grown - 1.0, "volatility": swing,
        "sharpe": mean / spread * math.sqrt(252), "max_drawdown": deepest,
    }  # fmt: skip


def returns_hold(rows):
    """Each return by its own formula, from the equity rows and what was paid in between."""
    before = next(row["base"] for row in rows if row["part"] == "equity")
    paid, now = 0.0, before
    for row in rows:
        paid += row["amount"] if row["part"] == "transfer" else 0.0
        now = row["value"] if row["part"] == "equity" else now
        if row["part"] == "return":
            assert row["value"] == pytest.approx((now - before - paid) / row["base"], abs=1e-12)
            before, paid = now, 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_formulas_computed_again_from_the_file_are_the_numbers_of_the_run(archive, tmp_path, kind):
    text = Portfolio.from_toml(PORTFOLIO + CASH).with_settings(KINDS[kind])
    run, _ = run_and_save(archive, text)
    rows = read(run, given_of_run(archive, run), tmp_path)
    assert not [row for row in rows if row["what"] == "rest"]
    assert {"price", "slippage", "commission", "fee", "transfer"} <= {row["part"] for row in rows}
    found, metrics = recomputed(rows, not text.compounding), run.summary["metrics"]
    returns_hold(rows)
    assert found["final_equity"] == pytest.approx(metrics["final_equity"], abs=0.005)
    for name in ("volatility", "sharpe", "max_drawdown"):
        assert found[name] == pytest.approx(metrics[name], rel=1e-6), name
    told = {row["what"]: row["value"] for row in rows if row["part"] == "headline"}
    assert list(told) == list(HEADLINES)
    for name, value in found.items():
        assert told[name] == pytest.approx(value, rel=1e-6), name


def test_without_payments_the_total_return_is_the_run_s_too(archive, tmp_path):
    run, _ = run_and_save(archive, Portfolio.from_toml(PORTFOLIO))
    found = recomputed(read(run, given_of_run(archive, run), tmp_path), fixed=False)
    for name, value in found.items():
        assert value == pytest.approx(run.summary["metrics"][name], rel=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_some_days_have_rows_that_hold_by_themselves(archive, tmp_path, kind):
    text = Portfolio.from_toml(PORTFOLIO + CASH).with_settings(KINDS[kind])
    run, _ = run_and_save(archive, text)
    rows = read(run, given_of_run(archive, run), tmp_path, *SOME)
    days = [row["day"] for row in rows]
    assert (min(days), max(days)) == ("2021-09-01", "2022-03-31")
    found = recomputed(rows, not text.compounding)
    equity = dict(run.equity().select("day", "equity").rows())
    assert found["final_equity"] == pytest.approx(equity[SOME[1]], abs=0.005)
    told = {row["what"]: row["value"] for row in rows if row["part"] == "headline"}
    if text.compounding:
        for name, value in found.items():
            assert told[name] == pytest.approx(value, rel=1e-6), name


def test_days_that_the_run_does_not_have_are_refused(archive):
    run, _ = run_and_save(archive, Portfolio.from_toml(PORTFOLIO))
    with pytest.raises(NoDays, match="has no day from 1999-01-01 to 1999-12-31; it has 2021-02-01 to 2022-12-30"):
        worksheet(run, given_of_run(archive, run), date(1999, 1, 1), date(1999, 12, 31))
