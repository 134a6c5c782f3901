"""The sections `certainty`, `benchmark` and `payments`: as tables, JSON and CSV, and kept with the run."""

import shutil
from dataclasses import replace

import polars as pl
import pytest

from engine.analysis.activity import by_day
from engine.analysis.bands import NUMBERS, bands
from engine.analysis.daily import account
from engine.analysis.source import SourceChanged, market_of_run
from engine.result import load
from store import open_archive

BESIDE = '[benchmark]\nkind = "one_contract"\nmarkets = ["MES"]\n'


@pytest.fixture
def store(ran, tmp_path):
    """A copy of the store with a run, and another portfolio beside it, which names a benchmark."""
    copied = tmp_path / "store"
    shutil.copytree(ran[0], copied)
    text = (copied / "portfolios" / "cross.toml").read_text()
    (copied / "portfolios" / "beside.toml").write_text(text + BESIDE)
    return copied


EACH = [name for names in NUMBERS.values() for name in names]  # in the order of the table


def tables(document):
    return {table["title"]: table["rows"] for table in document["tables"]}


def test_certainty_tells_the_errors_of_the_sharpe_ratio_and_a_band_for_each_number(document, store):
    told = tables(document("show", "cross", "--section", "certainty", "--store", store))
    run = load(open_archive(store), "cross")
    assert [row["returns"] for row in told["Sharpe ratio"]] == [
        "independent, normal", "independent, as they are", "serially correlated",
    ]  # fmt: skip
    found = {row["metric"]: row for row in told["Bands"]}
    assert list(found) == EACH
    for name in ("sharpe", "max_drawdown", "var_95", "win_rate", *NUMBERS["activity"]):
        assert found[name]["value"] == pytest.approx(run.metrics()[name], rel=1e-9)
        assert found[name]["low"] <= found[name]["median"] <= found[name]["high"]
    assert found["sharpe"]["resamples"] == 10_000


def test_bands_are_kept_with_the_run_and_made_again_where_the_file_is_spoiled(document, store):
    shutil.rmtree(store / "cache" / "analysis", ignore_errors=True)  # what other tests have asked of the run
    first = document("show", "cross", "--section", "certainty", "--store", store)
    run = load(open_archive(store), "cross")
    (kept,) = (store / "cache" / "analysis").iterdir()
    assert kept.name.startswith(f"{run.id}-")
    assert document("show", "cross", "--section", "certainty", "--store", store) == first
    kept.write_text("spoiled")
    assert document("show", "cross", "--section", "certainty", "--store", store) == first
    activity = by_day(run, market_of_run(open_archive(store), run))
    expected = bands(replace(account(run), notional=activity.traded.sum()), activity=activity)
    rows = pl.DataFrame(tables(first)["Bands"]).select("metric", "low", "high")
    assert rows.equals(expected.select("metric", "low", "high"))
    assert not list((store / "runs" / run.id).glob("*band*"))


def test_without_the_market_of_the_run_there_is_no_turnover_and_it_says_so(document, store, monkeypatch):
    def changed(archive, run):
        raise SourceChanged("other data")

    monkeypatch.setattr("engine.analysis.source.market_of_run", changed)
    (told,) = (t for t in document("show", "cross", "--section", "certainty", "--store", store)["tables"][1:2])
    known = {row["metric"]: row["low"] is not None for row in told["rows"]}
    assert not known.pop("turnover") and all(known.values())
    assert "Turnover has none" in told["note"]


def test_a_run_is_shown_beside_its_benchmark(call, document, store):
    printed = call("run", "beside", "--store", store).out
    assert "beside one contract of MES" in printed and "Information ratio" in printed
    summary = document("show", "beside", "--store", store)
    told = tables(document("show", "beside", "--section", "benchmark", "--store", store))
    values = {row["number"]: row["value"] for row in told["Benchmark"]}
    assert values["Beta"] == summary["benchmark"]["beta"] and values["Alpha"] == summary["benchmark"]["alpha"]
    frame = load(open_archive(store), "beside").benchmark()
    for column, kind in (("run", "equity"), ("benchmark", "benchmark")):
        growth = 1.0
        for row in told["Years"]:
            growth *= 1.0 + row[column]
        assert growth == pytest.approx(frame[kind][-1] / frame[kind][0], rel=1e-9)


def test_a_run_without_a_benchmark_says_why_there_is_none(document, store):
    told = tables(document("show", "cross", "--section", "benchmark", "--store", store))
    assert "has no benchmark; name one in the section [benchmark]" in told["Left out"][0]["reason"]


def test_payments_are_told_by_time_and_by_money(document, store):
    change = "cash.payments=[{day = 2021-06-05, amount = 500_000}]"
    made = document("run", "cross", "--store", store, "--set", change)
    told = tables(document("show", made["run"], "--section", "payments", "--store", store))
    values = {row["number"]: row["value"] for row in told["Returns"]}
    assert values["Annual return, by time"] == pytest.approx(made["metrics"]["annual_return"], rel=1e-9)
    assert values["Paid in"] == 500_000.0 and values["Paid out"] == 0.0
    assert [(row["booked"], row["paid"]) for row in told["Payments"]] == [("2021-06-07", 500_000.0)]


def test_a_section_is_written_as_csv(call, store, tmp_path):
    call("show", "cross", "--section", "certainty", "--store", store, "--csv", tmp_path / "out")
    rows = pl.read_csv(tmp_path / "out" / "certainty-bands.csv")
    assert rows["metric"].to_list() == EACH
