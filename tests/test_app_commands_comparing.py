"""The verb `compare`: what it says of two runs and of three, as tables, as JSON and as files."""

import json

import polars as pl
import pytest

from engine import result
from store import open_archive
from tests.command import copied


@pytest.fixture
def runs(ran, call, tmp_path):
    """(store, ids) of three runs: the usual one, one of another strategy's span, one of other costs."""
    store = copied(ran[0], tmp_path)
    changes = ("slow=30", "costs.slippage_ticks=3")
    others = [call.document("run", "cross", "--set", change, "--store", store)["run"] for change in changes]
    return store, [ran[1], *others]


def tables(found):
    """Rows of a document by title."""
    return {table["title"]: table["rows"] for table in found["tables"]}


def test_two_runs_are_told_beside_each_other(runs, call, document):
    store, (first, second, _) = runs
    found = document("compare", first, second, "--store", store)
    assert found["runs"] == [first, second] and found["simulated"] is False
    told, archive = tables(found), open_archive(store)
    for row, name in zip(told["Numbers"], (first, second), strict=True):
        assert row["run_id"] == name
        assert row["sharpe"] == pytest.approx(result.load(archive, name).metrics()["sharpe"])
    (pair,) = told["Sharpe ratios"]
    assert pair["difference_sharpe"] == pytest.approx(
        told["Numbers"][0]["sharpe"] - told["Numbers"][1]["sharpe"], abs=0.01
    )
    assert pair["low"] < pair["difference_sharpe"] < pair["high"] and 0.0 < pair["p_value"] <= 1.0
    assert told[f"Inputs of {first} and {second}"] == [
        {"input": "params", "key": "strategies.0.params.slow", "first": "20", "second": "30"}
    ]
    shown = call("compare", first, second, "--store", store).out
    for table in found["tables"]:
        assert f"{table['title']}. {table['note']}" in shown


def test_of_a_name_that_several_runs_have_their_ids_are_told_the_newest_first(runs, call):
    store, (first, *others) = runs
    told = call("compare", first, "cross", "--store", store, code=1).err
    assert f"3 runs are called 'cross' in {store}; name one by its id, the newest first: " in told
    assert all(name in told for name in (first, *others))


def test_the_money_of_the_tables_is_that_of_the_runs(runs, document):
    store, (first, second, _) = runs
    told, archive = tables(document("compare", first, second, "--store", store)), open_archive(store)
    one, two = (result.load(archive, name) for name in (first, second))
    pair = f"{first} and {second}"
    trades = sum(row["difference_money"] for row in told[f"Trades of {pair}"])
    assert trades == pytest.approx(two.trades()["net"].sum() - one.trades()["net"].sum(), abs=0.005)
    profit = sum(row["total"] for row in told[f"Profit of {pair}"])
    assert profit == pytest.approx(two.equity()["equity"][-1] - one.equity()["equity"][-1], abs=0.005)


def test_of_three_runs_each_is_told_beside_the_first(runs, document):
    store, (first, second, third) = runs
    told = tables(document("compare", first, second, third, "--store", store))
    assert len(told["Numbers"]) == len(told["Sharpe ratios"]) == 3
    (row,) = told[f"Inputs of {first} and {third}"]
    assert (row["input"], row["key"], row["second"]) == ("costs", "costs.slippage_ticks", "3.0")
    differs = {row["differs"] for row in told[f"Trades of {first} and {third}"]}
    assert differs <= {"money", "size", "size and exit", "exit", "only in the first", "only in the second", "side"}


def test_all_trades_and_both_accounts_are_written_as_files(runs, document, tmp_path):
    store, (first, second, _) = runs
    found = document("compare", first, second, "--csv", tmp_path / "written", "--store", store)
    files = {name.rsplit("/", 1)[-1]: name for name in found["files"]}
    assert {"compare-numbers.csv", "compare-sharpe-ratios.csv", "compare-overlaid.csv"} <= set(files)
    other = pl.read_csv(files[f"compare-trades-that-differ-of-{first}-and-{second}.csv"])
    archive = open_archive(store)
    count = len(result.load(archive, first).trades())
    assert other["net_1"].is_not_null().sum() <= count and len(other) > 10 and "exit_reason_1" in other.columns
    overlaid = pl.read_csv(files["compare-overlaid.csv"])
    assert set(overlaid["run"]) == {first, second}


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["{0}"], 2, "name at least two runs"),
        (["{0}", "{0}"], 1, "is named twice"),
        (["{0}", "nothing"], 1, "no run 'nothing'"),
    ],
)
def test_what_is_asked_wrongly_is_told(ran, call, words, code, reason):
    words = [word.format(ran[1]) for word in words]
    assert reason in call("compare", *words, "--store", ran[0], code=code).err


def test_runs_of_other_currencies_have_no_money_to_compare(ran, call, tmp_path):
    store = copied(ran[0], tmp_path)
    other = call.document("run", "cross", "--set", "portfolio.currency=EUR", "--store", store)["run"]
    found = json.loads(call("compare", ran[1], other, "--json", "--store", store).out)
    told = tables(found)
    assert "different currencies" in told["Left out"][0]["reason"]
    assert not [title for title in told if title.startswith("Profit")]
    assert len(told["Numbers"]) == 2
