"""Sections of a run: tables on the screen, as JSON and as CSV, each with how it is read; and what cannot be made."""

import json
from pathlib import Path

import polars as pl
import pytest

from app.commands import runs, sections
from app.commands.tables import COLUMNS, HIDDEN, OF_A_LIMIT, Made, columns
from engine import result
from engine.analysis.attribution import DIMENSIONS
from engine.analysis.regimes import NAMES as NAMES_OF_REGIMES
from store import open_archive

NAMES = [name for name in sections.SECTIONS if name != "benchmark"]  # which this run's portfolio does not name
LEAST = {
    "regimes": 2,
    "certainty": 2,
    "payments": 2,
    "attribution": 8,
    "limits": 4,
}  # tables; the others have nine or more


@pytest.mark.parametrize("name", NAMES)
def test_a_section_is_tables_with_a_title_and_how_they_are_read(name, call, document, ran):
    store, run = ran
    found = document("show", run, "--section", name, "--store", store)
    assert (found["run"], found["section"], found["currency"]) == (run, name, "USD")
    assert {"portfolio", "simulated", "stamps", "tables"} <= set(found)
    shown = call("show", run, "--section", name, "--store", store).out
    for table in found["tables"]:
        assert table["title"] and table["note"].endswith(".")
        assert f"{table['title']}. {table['note']}" in shown
    assert len({table["title"] for table in found["tables"]}) == len(found["tables"]) >= LEAST.get(name, 9)
    assert not [table for table in found["tables"] if table["title"] == "Left out"]


@pytest.mark.parametrize("name", ["risk", "trades", "regimes", "limits"])
def test_every_column_of_a_section_has_a_heading_and_those_of_a_table_are_unlike(name, ran):
    store, run = ran
    archive = open_archive(store)
    for title, frame, _ in sections.SECTIONS[name](result.load(archive, run), archive):
        known = {*COLUMNS, *HIDDEN, *OF_A_LIMIT, "key", "day", "value", "market", "other", "sector"}
        known |= {"peak", "trough", "recovery"}
        assert set(frame.columns) <= known, title
        wanted = [c for c in frame.columns if c not in HIDDEN and frame[c].null_count() < len(frame)]
        assert len(columns(frame, "USD")) == len(wanted), title


def test_a_table_of_sums_is_shown_as_money_whatever_its_labels_are(call, ran):
    sums = pl.DataFrame({"exit_reason": ["open", "total"], "long": [0.25, 0.25], "open": [-2.5, -2.5], "total": 0.0})
    shown = columns(sums, "USD")
    assert [show(sums.row(0, named=True)) for show in shown.values()] == ["open", "0.25", "-2.50", "0.00"]
    assert list(shown) == ["exit reason", "long", "open", "total"]
    head = call("show", ran[1], "--section", "attribution", "--by", "exit_reason,side", "--store", ran[0]).out
    assert "Exit reason by side. Sums to the change of equity." in head and "%" not in head


def test_attribution_is_by_what_is_asked_for_and_by_regimes_that_a_kind_is_named_of(call, document, ran):
    store, run = ran
    asked = ("show", run, "--section", "attribution", "--store", store)
    whole = document(*asked)["tables"]
    change = whole[0]["rows"][-1]["amount"]
    (by,) = document(*asked, "--by", "market,cause")["tables"]
    assert by == next(table for table in whole if table["title"] == "Market by cause")
    (by,) = document(*asked, "--by", "regime,side", "--regime", "volatility")["tables"]
    assert {row["regime"] for row in by["rows"]} <= {"low", "normal", "high", "not known", "account", "total"}
    assert len(by["rows"]) > 4 and by["rows"][-1]["total"] == pytest.approx(change, abs=0.005)
    with_regimes = document(*asked, "--regime", "trend")["tables"]
    assert [t["title"] for t in with_regimes if t not in whole] == ["Regime by cause"]
    assert "regime needs its kind: --regime volatility, trend" in call(*asked, "--by", "regime", code=2).err
    assert "'mraket' is no dimension; did you mean market" in call(*asked, "--by", "mraket", code=1).err
    wrong = call("show", run, "--section", "risk", "--by", "market", "--store", store, code=2).err
    assert "--section attribution" in wrong


def test_a_kind_of_regime_has_tables_of_its_own_and_a_wrong_one_names_the_others(call, document, ran):
    store, run = ran
    found = document("show", run, "--section", "regimes", "--regime", "trend", "--store", store)
    assert found["tables"][0]["title"] == "By trend of all markets together"
    assert len(found["tables"]) == 7 and all(table["rows"] for table in found["tables"])
    wrong = call("show", run, "--section", "regimes", "--regime", "moon", "--store", store, code=1).err
    assert "allowed: volatility, trend, term, risk, states" in wrong
    assert "--section regimes" in call("show", run, "--regime", "trend", "--store", store, code=2).err


def test_the_numbers_of_the_summary_stand_in_its_sections(document, ran):
    store, run = ran
    summary = document("show", run, "--store", store)
    risk = {t["title"]: t["rows"] for t in document("show", run, "--section", "risk", "--store", store)["tables"]}
    numbers = {row["key"]: row["value"] for row in risk["Numbers"]}
    for name in ("sharpe", "max_drawdown", "annual_return", "volatility"):
        assert numbers[name] == pytest.approx(summary["metrics"][name])
    values = {(row["method"], row["level"]): row["var"] for row in risk["Value at risk"]}
    assert values["history", 0.95] == pytest.approx(summary["metrics"]["var_95"])
    assert risk["Drawdowns"][0]["depth"] == pytest.approx(summary["metrics"]["max_drawdown"])
    assert risk["Drawdowns"][0]["days"] == summary["metrics"]["max_drawdown_days"]
    trades = {t["title"]: t["rows"] for t in document("show", run, "--section", "trades", "--store", store)["tables"]}
    (every,) = trades["All trades"]
    assert every["trades"] == summary["metrics"]["trades"]
    assert every["expectancy"] == pytest.approx(summary["metrics"]["expectancy"])
    for title in ("By market", "By side", "By exit", "By strategy", "By sector", "By year of exit"):
        assert sum(row["net"] for row in trades[title]) == pytest.approx(every["net"], abs=0.005)
    costs = sum(amount for cause, amount in summary["ledger"].items() if cause.endswith(("slippage", "commission")))
    assert sum(row["costs"] for row in trades["Costs by year"]) == pytest.approx(costs, abs=0.005)


def test_what_the_years_traded_is_money(call, document, ran):
    store, run = ran
    tables = document("show", run, "--section", "trades", "--store", store)["tables"]
    year = next(table for table in tables if table["title"] == "Costs by year")["rows"][0]
    shown = call("show", run, "--section", "trades", "--store", store).out.partition("Costs by year")[2]
    assert "traded [USD]" in shown and "traded / volume" not in shown
    assert f"{year['traded_money']:,.0f}" in shown


def test_csv_files_hold_the_rows_of_the_tables(call, document, ran, tmp_path):
    store, run = ran
    made = call("show", run, "--section", "risk", "--csv", tmp_path / "tables", "--store", store).out.split()
    tables = document("show", run, "--section", "risk", "--store", store)["tables"]
    drawn = Path(made.pop()).read_text()  # after the tables, what is drawn
    assert drawn.startswith("<svg") and drawn.count("</svg>") == 1 and f"run {run}, cross" in drawn
    assert len(made) == len(tables)
    for file, table in zip(made, tables, strict=True):
        frame = pl.read_csv(file)
        assert len(frame) == len(table["rows"])
        assert not table["rows"] or frame.columns == list(table["rows"][0])
    assert {"risk-drawdowns.csv", "risk-value-at-risk-by-market.csv"} <= {
        p.name for p in (tmp_path / "tables").iterdir()
    }


def test_the_help_names_every_section_and_kind_of_regime():
    assert runs.SECTIONS.split(", ") == list(sections.SECTIONS)
    assert runs.KINDS.split(", ") == list(NAMES_OF_REGIMES)
    assert runs.DIMENSIONS.split(", ") == list(DIMENSIONS)


def test_a_wrong_section_names_those_there_are_and_csv_needs_one(call, ran, tmp_path):
    store, run = ran
    wrong = call("show", run, "--section", "riks", "--store", store, code=2).err
    assert "'riks' is no section; allowed are risk, trades" in wrong
    assert "--section" in call("show", run, "--csv", tmp_path, "--store", store, code=2).err


def test_what_needs_prices_that_are_gone_is_left_out_and_said(call, document, ran, monkeypatch):
    from engine.analysis import source

    def gone(archive, run):
        raise source.SourceChanged("its prices have changed")

    monkeypatch.setattr(source, "market_of_run", gone)
    store, run = ran
    whole = document("show", run, "--section", "trades", "--store", store)["tables"]
    assert whole[-1]["title"] == "Left out"
    assert whole[-1]["rows"] == [
        {"table": title, "reason": "its prices have changed"}
        for title in ("Excursions", "Edge of the entries", "Costs by year")
    ]
    assert {"All trades", "Time in market"} < {table["title"] for table in whole}
    assert "its prices have changed" in call("show", run, "--section", "trades", "--store", store).out


def test_a_mistake_of_ours_is_not_called_left_out():
    with pytest.raises(ZeroDivisionError):
        Made().add("A table", "How it is read.", lambda: 1 / 0)


def test_of_simulated_prices_every_section_says_so(call, tmp_path, monkeypatch):
    from tests import synthetic_run

    archive = open_archive(tmp_path / "store", create=True)
    run = synthetic_run.stored(archive, synthetic_run.SyntheticRun(years=3))
    shown = call("show", run, "--section", "trades", "--store", tmp_path / "store").out
    assert shown.startswith("Simulated prices: this run says nothing about real markets.")
    assert json.loads(call("show", run, "--section", "risk", "--json", "--store", tmp_path / "store").out)["simulated"]
    empty = synthetic_run.stored(archive, synthetic_run.EmptyRun(years=1, seed=8))
    for name in ("risk", "trades"):
        assert "nothing" in call("show", empty, "--section", name, "--store", tmp_path / "store").out
