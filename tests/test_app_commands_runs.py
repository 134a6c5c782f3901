"""Verbs on runs: what scripts rely on, once computed and found again, repeated, exported, deleted."""

import gc
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from app.commands import runs
from store import open_archive
from tests.command import PORTFOLIO, copied

METRICS = {
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_days",
    "var_95", "var_99", "cvar_95", "cvar_99", "win_rate", "profit_factor", "expectancy", "trades", "turnover",
    "cost_share", "time_in_market", "final_equity",
}  # fmt: skip
SUMMARY = {
    "run", "portfolio", "markets", "start", "end", "simulated", "metrics", "identity_residual", "ledger", "hashes",
    "seconds",
}  # fmt: skip
CAUSES = {
    "price", "slippage", "impact", "commission", "roll_gap", "roll_slippage", "roll_impact", "roll_commission",
    "interest", "fx", "fee", "transfer",
}  # fmt: skip


@pytest.fixture
def portfolio(tmp_path):
    path = tmp_path / "cross.toml"
    path.write_text(PORTFOLIO)
    return path


def test_run_prints_its_summary_with_the_keys_that_scripts_rely_on(document, ran):
    store, name = ran
    made = document("show", name, "--store", store)
    assert set(made) >= SUMMARY
    assert set(made) - SUMMARY == {
        "ambiguous", "break_even_ticks", "currency", "data", "event_groups", "events", "identity_holds", "margin_days",
        "notes", "smallest_account", "smallest_account_day", "snapshot", "stamps", "trades_residual",
    }  # fmt: skip
    assert (made["stamps"], set(made["margin_days"])) == ([], {"exchange", "broker", "estimate"})
    assert made["ambiguous"] == {"bars": 0, "trades": 0, "share": 0.0, "policies": {}}
    assert made["break_even_ticks"].keys() == {"moving_average_cross"}
    assert (set(made["metrics"]), set(made["ledger"])) == (METRICS, CAUSES)
    assert set(made["hashes"]) == {"data", "rolls", "contracts", "portfolio", "code", "result"}
    assert {"load", "simulate", "analyse", "total"} <= set(made["seconds"])
    assert (made["run"], made["portfolio"], made["simulated"]) == (name, "cross", False)
    assert (made["markets"], made["start"], made["end"]) == (["FGBL", "MES", "ZC"], "2021-01-04", "2022-12-30")
    assert made["metrics"]["final_equity"] == pytest.approx(1_000_000 + sum(made["ledger"].values()))


STAGES = ["imports", "load", "prepare", "simulate", "analyse", "save"]


def test_a_profile_tells_time_and_memory_of_each_stage_which_add_up(document, call, ran):
    store, _ = ran
    made = document("run", "cross", "--force", "--profile", "--store", store)
    found = made["profile"]
    assert list(found["seconds"]) == list(found["memory"]) == [*STAGES, "total"]
    assert found["seconds"]["total"] == pytest.approx(sum(found["seconds"][stage] for stage in STAGES))
    assert found["seconds"]["simulate"] == pytest.approx(made["seconds"]["simulate"], abs=0.05)
    assert found["memory"]["total"] == max(found["memory"][stage] for stage in STAGES) > 50e6
    assert set(found["kernels"]) == {"from_cache", "compiled", "seconds"}
    assert "profile" not in document("run", "cross", "--store", store)
    text = call("run", "cross", "--force", "--profile", "--store", store).out
    shown = [line.split()[0] for line in text.splitlines() if re.fullmatch(r" *\w+ +[\d.,]+ +[\d,.]+ [MG]B *", line)]
    assert shown == [*STAGES, "total"], text
    assert re.search(r"kernels: \d+ taken from the disk, \d+ compiled", text)


def test_a_profile_of_a_stored_run_tells_that_it_was_read(document, ran):
    found = document("run", "cross", "--profile", "--store", ran[0])["profile"]
    assert list(found["seconds"]) == ["imports", "load", "read", "total"]
    assert found["kernels"] == {"from_cache": 0, "compiled": 0, "seconds": 0.0}


def test_the_same_run_is_not_computed_twice_unless_forced(call, document, ran, portfolio):
    store, name = ran
    again = call("run", portfolio, "--store", store, "--json")
    assert json.loads(again.out)["stored"] is True
    assert json.loads(again.out)["run"] == name
    assert f"run {name} is stored already" in again.err
    forced = document("run", portfolio, "--force", "--store", store)
    assert (forced["run"], forced["stored"]) == (name, False)


@pytest.mark.parametrize("json_", [False, True], ids=["text", "json"])
def test_a_run_found_in_the_store_prints_what_it_printed_when_it_was_made(call, store, portfolio, json_):
    words = ("run", portfolio, "--store", store, "--set", "slow=35", *(["--json"] if json_ else []))
    fresh, found = call(*words), call(*words)
    assert (fresh.err, found.err.count("\n")) == ("", 1) and "is stored already" in found.err
    same = fresh.out.replace('"stored": false', '"stored": true')
    assert found.out == same and len(same) > 1000


def test_the_smallest_account_is_told_with_its_market_and_day_and_only_where_it_means_something(call, store, portfolio):
    out = call("run", portfolio, "--store", store).out
    made = open_archive(store)
    from engine import result

    told = result.load(made, "last").summary
    capital, day = told["smallest_account"], told["smallest_account_day"]
    most = max(capital, key=capital.get)
    line = f"smallest account: {capital[most]:,.0f} USD hold one contract or unit of {most} at a forecast of 1"
    assert f"{line}, as sized on {day[most]}; no other market needs more\n" in out and day[most] == told["end"]
    assert "smallest account" not in call("run", portfolio, "--store", store, "--set", "rounding=nearest_risk").out


BROKEN = "import numpy as np\n\nx = (1,\n"
FAILS = """import numpy as np
from engine.strategy import Strategy, program


class Fails(Strategy):
    def forecast(self, market):
        return self.missing * market.mark


class FailsCalled(Strategy):
    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        for j in range(len(columns) + (t > 30)):
            forecast[j] = 1.0


class FailsCompiled(Strategy):
    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        forecast[0] = "a" + t
"""


def test_a_portfolio_of_another_name_is_told_with_those_that_there_are(call, store):
    (store / "portfolios").mkdir(exist_ok=True)
    (store / "portfolios" / "mine.toml").write_text(PORTFOLIO)
    told = call("run", "trnd", "--store", store, code=1).err
    assert "trnd: no such file, and no portfolio of that name; there are blend, breakout, " in told
    assert "mine, " in told and told.endswith("; nearest: trend\n")


def test_numbers_of_a_year_are_told_with_a_note_where_there_was_none(call, document, ran, tmp_path):
    store = copied(ran[0], tmp_path)
    whole = document("show", ran[1], "--store", store)
    first, last = (date.fromisoformat(whole[key]) for key in ("start", "end"))
    assert (last - first).days >= 365 and "less than a year" not in call("show", ran[1], "--store", store).out
    told = call("run", "cross", "--start", last - timedelta(days=40), "--store", store).out
    assert "less than a year, " in told and "numbers of a year are those of the days, carried on" in told


@pytest.fixture
def own(store):
    """A folder for one's own strategies; the list is as it was afterwards."""
    from engine.strategies import STRATEGIES

    ours, folder = dict(STRATEGIES), store / "strategies"
    folder.mkdir()
    yield folder
    STRATEGIES.clear()
    STRATEGIES.update(ours)


def test_a_broken_file_of_one_s_own_stops_only_portfolios_that_may_need_it(call, store, portfolio, own):
    (own / "broken.py").write_text(BROKEN)
    where = f"{own / 'broken.py'}, line 3: SyntaxError: "
    for words in (("run", portfolio), ("new", "strategy", "mine")):
        found = call(*words, "--store", store)
        assert found.err.startswith(f"frontmonth: warning: {where}") and found.err.count("\n") == 1
    call("replay", "last", "--store", store)
    call("run", portfolio, "--set", "strategies.0.name=mine", "--store", store)  # of a file that is whole
    lost = call("run", portfolio, "--set", "strategies.0.name=lost", "--store", store, code=1)
    assert '"lost" is unknown' in lost.err and f"; not read: {where}" in lost.err and lost.err.count("\n") == 1
    inner = "strategies.0.params.parts=[{name = 'lost'}]"
    lost = call("run", "blend", "--set", "strategies.0.name=blend", "--set", inner, "--store", store, code=1)
    assert f"; not read: {where}" in lost.err


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("fails", "line 7, in forecast", "AttributeError: 'Fails' object has no attribute 'missing'; mend it there"),
        ("fails_called", "line 14, in decide", "IndexError: index is out of bounds; mend it there"),
        ("fails_compiled", "line 20: decide", "No implementation of function add found for signature: add("),
    ],
)
def test_what_fails_inside_one_s_own_strategy_is_told_with_its_file_and_line(
    call, store, portfolio, own, name, place, reason
):
    (own / "mine.py").write_text(FAILS)
    found = call("run", portfolio, "--set", f"strategies.0.name={name}", "--store", store, code=1)
    lines = [line for line in found.err.splitlines() if not line.startswith("compiling the engine")]
    assert lines[0].startswith(f"frontmonth: {own / 'mine.py'}, {place}: {reason}")
    assert len(lines) == 1 and "an error of frontmonth" not in found.err and len(lines[0]) < 500


def test_settings_and_days_change_the_run(document, ran, portfolio):
    store, name = ran
    words = ("--set", "sizing.target=0.1", "--set", "slow=30", "--set", "markets=MES,ZC", "--start", "2021-06-01")
    made = document("run", portfolio, *words, "--end", "2022-06-30", "--store", store)
    assert made["run"] != name
    assert (made["markets"], made["start"], made["end"]) == (["MES", "ZC"], "2021-06-01", "2022-06-30")
    assert document("delete", made["run"], "--store", store) == {"deleted": [made["run"]]}


def test_a_run_of_an_unknown_market_names_the_facts_to_add(call, ran, portfolio):
    found = call("run", portfolio, "--set", "markets=PLUTONIUM", "--store", ran[0], code=1)
    assert "PLUTONIUM" in found.err and found.err.count("\n") == 1


def test_text_of_a_run_shows_metrics_in_their_order_and_a_ledger_that_adds_up(call, ran):
    out = call("show", "last", "--store", ran[0]).out
    assert out.index("Total return") < out.index("Volatility") < out.index("Maximum drawdown")
    assert "change of equity" in out and "identity holds" in out and "USD, trades and ledger by" in out


def test_text_of_a_run_says_what_the_trades_earned_and_what_is_of_none(call, ran, tmp_path):
    """The sum of the causes that trades are made of is that of the table of trades, euros kept or not."""
    out = call("show", "last", "--store", ran[0]).out
    call("report", "last", "--out", f"{tmp_path}/tables/", "--store", ran[0])
    net = pl.read_csv(tmp_path / "tables" / "trades.csv")["net"].sum()
    told = re.search(r"all trades +(-?[\d,.]+)", out)[1]
    assert float(told.replace(",", "")) == pytest.approx(net, abs=0.6)


def test_events_of_a_run_are_told_by_kind_and_market_and_of_many_markets_counted():
    def group(kind, market, count, first="2020-01-02", last="2020-02-03"):
        return {"kind": kind, "market": market, "count": count, "first": first, "last": last}

    many = [group("margin refused", f"M{k}", 1000 + k, first=f"200{9 - k}-01-02") for k in range(5)]
    told = list(runs._happened([group("ruined", "", 1), group("limit locked", "CL", 2), *many]))
    assert [tuple(row.values()) for row in told] == [
        ("ruined", "account", "1", "2020-01-02", "2020-02-03"),
        ("limit locked", "CL", "2", "2020-01-02", "2020-02-03"),
        ("margin refused", "5 markets", "5,010", "2005-01-02", "2020-02-03"),
    ]


def test_runs_lists_them_newest_first(document, ran):
    rows = document("runs", "--store", ran[0])
    assert rows[0]["run"] == ran[1]
    assert set(rows[0]) >= SUMMARY | {"created", "note"}


def test_runs_of_a_store_without_one_is_empty(call, document, built):
    assert document("runs", "--store", built) == []
    assert "No run yet" in call("runs", "--store", built).out


def test_replay_proves_that_the_run_repeats(document, ran):
    made = document("replay", ran[1], "--store", ran[0])
    assert set(made) == {"run", "same", "different", "hashes"}
    assert (made["run"], made["same"], made["different"]) == (ran[1], True, [])


def test_replay_of_a_run_whose_numbers_differ_exits_1(document, ran, tmp_path):
    store = Path(shutil.copytree(ran[0], tmp_path / "store"))
    path = store / "runs" / ran[1] / "run.json"
    record = json.loads(path.read_text())
    record["summary"]["hashes"]["result"] = "0" * 64
    del record["files"], record["checksum"]  # as an older program wrote it
    path.write_text(json.dumps(record))
    made = document("replay", "last", "--store", store, code=1)
    assert (made["same"], made["different"]) == (False, ["result"])


def test_report_into_a_folder_writes_tables_that_add_up(document, ran, tmp_path):
    made = document("report", "last", "--out", f"{tmp_path}/tables/", "--store", ran[0])
    assert set(made) == {"run", "files"}
    names = ["equity", "trades", "contract_trades", "positions", "ledger", "fills", "sleeves", "events"]
    assert [Path(file).name for file in made["files"]] == [f"{name}.csv" for name in names] + ["portfolio.toml"]
    equity, ledger = (pl.read_csv(tmp_path / "tables" / f"{name}.csv") for name in ("equity", "ledger"))
    assert equity.columns == ["day", "equity", "cash", "margin", "drawdown"]
    assert ledger["amount"].sum() == pytest.approx(equity["equity"][-1] - equity["equity"][0], abs=0.005)


def test_an_exported_portfolio_is_the_same_run_again(document, ran, tmp_path):
    document("report", "last", "--out", f"{tmp_path}/tables/", "--store", ran[0])
    assert document("run", tmp_path / "tables" / "portfolio.toml", "--store", ran[0])["stored"] is True


def test_report_of_another_kind_is_wrong_usage(call, ran):
    assert ".html" in call("report", "last", "--out", "run.docx", "--store", ran[0], code=2).err


@pytest.mark.parametrize("port", ["65536", "-1"])
def test_a_port_that_cannot_be_is_wrong_usage(call, ran, port):
    assert "--port" in call("serve", f"--port={port}", "--store", ran[0], code=2).err


def test_a_run_that_is_not_there_is_said(call, ran):
    assert "no run 'zzz'" in call("show", "zzz", "--store", ran[0], code=1).err


def test_the_demo_refuses_a_store_of_real_prices(call, built):
    before = open_archive(built).head().hash
    assert "a store of its own" in call("demo", "--no-serve", "--store", built, code=1).err
    assert open_archive(built).head().hash == before


@pytest.mark.service
def test_the_demo_makes_a_store_a_run_and_a_report_and_twice_makes_no_second(call, document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = document("demo", "--no-serve")
    assert set(made) == {"store", "sample", "run", "report"}
    assert (tmp_path / made["report"]).stat().st_size > 100_000
    assert [run["simulated"] for run in document("runs")] == [True]
    again = call("demo", "--no-serve").out
    assert "is there already" in again and "Simulated prices" in again
    assert [run["run"] for run in document("runs")] == [made["run"]]


def test_a_run_may_use_the_store_of_an_earlier_day(call, document, store, portfolio):
    today = datetime.now(UTC).date()
    made = document("run", portfolio, "--store", store, "--as-known", today)
    assert made["snapshot"]["number"] == open_archive(store).head().number
    assert (
        "the store knew nothing on 2001-01-01"
        in call("run", portfolio, "--store", store, "--as-known", "2001-01-01", code=1).err
    )
    assert "write a day as" in call("run", portfolio, "--store", store, "--as-known", "monday", code=2).err


def test_last_is_the_run_that_was_asked_for_last(document, store, portfolio):
    first = document("run", portfolio, "--store", store)["run"]
    second = document("run", portfolio, "--store", store, "--set", "slow=30")["run"]
    assert document("show", "last", "--store", store)["run"] == second
    assert document("run", portfolio, "--store", store)["stored"]
    assert document("show", "last", "--store", store)["run"] == first
    document("delete", first, "--store", store)
    assert document("show", "last", "--store", store)["run"] == second


def test_garbage_is_not_looked_for_while_a_process_of_its_own_imports():
    code = """
import gc
from app.commands.runs import untidied
with untidied(True):
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 1000
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    before = gc.get_freeze_count()
    with runs.untidied(False):
        assert gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() == before
