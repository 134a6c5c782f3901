"""The verb `scenario`: tables that say the same on the screen, as JSON and as CSV; what is asked wrongly is told."""

import csv
import re

import polars as pl
import pytest

from app.commands.sections import columns
from app.commands.tables import COLUMNS
from engine import result
from engine.analysis import capacity, stress
from engine.backtest import run as run_and_save
from store import open_archive
from tests.command import copied


@pytest.fixture
def asked(call, ran):
    """The tables of a scenario of the run, by title."""
    store, run = ran

    def ask(*words):
        document = call.document("scenario", run, *words, "--store", store)
        assert (document["run"], document["section"]) == (run, "scenario")
        for table in document["tables"]:
            assert table["title"] and table["note"].endswith("."), table["title"]
        return {table["title"]: table["rows"] for table in document["tables"]} | {"document": document}

    return ask


def test_without_options_all_windows_are_told_and_what_the_run_has_not(asked, call, ran):
    store, name = ran
    rows = asked()["Stress windows"]
    assert [row["window"] for row in rows] == list(stress.WINDOWS)
    shown = call("scenario", name, "--store", store).out
    none = [row["window"] for row in rows if row["covered"] == "none"]
    assert none and f"The run has no day of {', '.join(none)}." in shown


def test_a_window_of_one_s_own_sums_over_its_markets_as_held_and_from_flat(asked, ran):
    store, name = ran
    equity = result.load(open_archive(store), name).equity()
    first, last = equity["day"][200], equity["day"][260]
    found = asked("--window", f"{first}:{last}")
    (row,) = found["Stress windows"]
    assert row["profit"] == pytest.approx(equity["equity"][260] - equity["equity"][199])
    assert sum(one["profit"] for one in found["Stress windows by market"]) == pytest.approx(row["profit"])
    flat = asked("--window", f"{first}:{last}", "--flat")
    (again,) = flat["Stress windows"]
    assert (again["days"], again["covered"]) == (61, "whole") == (row["days"], row["covered"])
    assert sum(one["profit"] for one in flat["Stress windows by market"]) == pytest.approx(again["profit"])


def test_changes_stand_side_by_side_or_together_and_sum_to_the_final_equity(asked):
    found = asked("--what", "slippage=+1", "--what", "margin=2")
    frame = pl.DataFrame(found["What if"])
    assert frame["what"].unique(maintain_order=True).to_list() == ["slippage=+1", "margin=2"]
    ends = frame.filter(pl.col("metric") == "final_equity").select("what", "before", "after", "change").rows()
    sums = pl.DataFrame(found["What if by market"]).group_by("what", maintain_order=True).agg(
        pl.col("before", "after", "change").sum()
    )  # fmt: skip
    for end, told in zip(ends, sums.rows(), strict=True):
        assert end[0] == told[0] and end[1:] == pytest.approx(told[1:], abs=0.005)
    mixed = pl.DataFrame(asked("--what", "slippage=+1", "--what", "capital=2", "--together")["What if"])
    assert mixed["what"].unique().to_list() == ["slippage=+1, capital=2"]


def test_a_shock_is_told_of_its_day_and_its_later_days(asked, call, ran):
    store, name = ran
    run = result.load(open_archive(store), name)
    day = run.equity()["day"][300]
    found = asked("--shock", f"against=3sd@{day}")
    moves = found[f"Shock of {day}"]
    held = run.positions().filter(pl.col("day") == run.equity()["day"][299])
    assert {row["market"] for row in moves if row["on_day"] < 0} >= set(held["market"].cast(pl.String))
    (end,) = [row for row in found["What if"] if row["metric"] == "final_equity"]
    assert sum(row["change"] for row in moves) == pytest.approx(end["change"], abs=0.005)
    assert "correlation to one" in " ".join(call("scenario", "--help").out.split())


def test_paths_are_the_same_each_time_and_others_with_another_seed(asked):
    found, again, other = (asked("--paths", 300, *seed) for seed in ((), (), ("--seed", 1)))
    assert found["document"] == again["document"]
    assert found["document"]["paths"]["days"] != other["document"]["paths"]["days"]
    assert found["document"]["paths"]["days"]["paths"] == 300
    numbers = {row["number"]: row["value"] for row in found["Paths of days"]}
    assert numbers["Capital needed in 99 % of the paths"] == found["document"]["paths"]["days"]["capital_needed"]
    assert found["Quantiles of paths of trades"][0]["quantile"] == 0.01
    half = asked("--paths", 300, "--ruin", 0.99)["document"]["paths"]["days"]
    assert half["ruin_probability"] > found["document"]["paths"]["days"]["ruin_probability"]


def test_the_curve_of_capital_is_what_runs_with_that_capital_give(asked, ran, tmp_path):
    rows = asked("--capital", "10,1")["Capital"]
    assert [row["of_capital"] for row in rows] == [1.0, 10.0]
    archive = open_archive(copied(ran[0], tmp_path))
    portfolio = result.load(archive, ran[1]).portfolio
    for row in rows:
        settings = ["costs.impact=volatility", f"portfolio.capital={row['capital']}"]
        made, _ = run_and_save(archive, portfolio.with_settings(settings))
        told, equity = made.metrics(), made.equity()
        assert (row["sharpe"], row["annual"], row["deepest"]) == tuple(
            told[name] for name in ("sharpe", "annual_return", "max_drawdown")
        )
        spent = -made.summary["ledger"]["impact"] - made.summary["ledger"]["roll_impact"]
        years = (equity["day"][-1] - equity["day"][0]).days / 365.25
        assert row["impact_drag"] == pytest.approx(spent / equity["equity"].mean() / years)
    assert rows[1]["impact_drag"] > rows[0]["impact_drag"] > 0.0
    assert rows[1]["traded"] > rows[0]["traded"]


def test_tables_are_written_as_files_and_headed_on_the_screen(asked, call, ran, tmp_path):
    store, name = ran
    files = call.document("scenario", name, "--what", "delay=1", "--csv", tmp_path, "--store", store)["files"]
    assert [file.rpartition("/")[2] for file in files] == ["scenario-what-if.csv", "scenario-what-if-by-market.csv"]
    with open(files[1], encoding="utf-8") as lines:
        assert next(csv.reader(lines)) == ["what", "market", "before", "after", "change"]
    shown = call("scenario", name, "--what", "delay=1", "--store", store).out
    assert "What if. The engine played the run again." in shown and "Days with a margin call" in shown


def test_every_column_has_a_heading_and_those_of_a_table_are_unlike():
    from engine.analysis import paths, whatif

    tables = (stress.STRESS, stress.OF_MARKETS, stress.SHOCK, whatif.MARKETS, paths.PATHS, capacity.CURVE)
    for table in tables:
        assert set(table) <= {*COLUMNS, "market", "first", "last"}
        frame = pl.DataFrame({name: [1.0 if kind.is_numeric() else "x"] for name, kind in table.items()})
        assert len(columns(frame, "USD")) == len(table)


def test_nothing_is_saved(call, ran):
    store, name = ran
    archive = open_archive(store)
    before = archive.run_ids()
    call("scenario", name, "--what", "capital=3", "--shock", "all=-1%", "--store", store)
    assert open_archive(store).run_ids() == before


@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        (["--what", "slipage=1"], "unknown change 'slipage'; allowed: slippage, .*nearest: slippage", 1),
        (["--window", "2008"], "window 2008: allowed: credit-2008", 1),
        (["--shock", "all=-5"], "allowed: a name and a move in % or sd", 1),
        (["--capital", "1,none"], "'none'.*allowed are numbers above 0, as in 0.1,1,10", 2),
        (["--together"], "is for changes of --what", 2),
        (["--flat", "--paths", "10"], "is for a --window", 2),
        (["--paths", "0"], "greater than or equal to 1", 2),
    ],
)
def test_what_is_asked_wrongly_is_told(words, reason, code, call, ran):
    store, name = ran
    told = call("scenario", name, *words, "--store", store, code=code).err
    assert re.search(reason, told), told
