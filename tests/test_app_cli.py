"""The command as scripts use it: what goes in, the JSON that comes out, the exit code."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from app.cli import hoisted, main
from store import open_archive
from tests import market_files
from tests.conftest import REPO

PORTFOLIO = """
[portfolio]
capital = 1_000_000
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
"""
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
    "price", "slippage", "impact", "commission", "roll_gap", "roll_slippage", "roll_commission", "interest", "fx",
}  # fmt: skip
CONTINUOUS = (
    "time,day,source_time,contract,open,high,low,close,settle,volume,open_interest,offset,factor,adjusted,"
    "next_contract,next_price,roll"
)
COUNTS = {"rows_read", "accepted", "warned", "quarantined"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return market_files.write(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def built(files, tmp_path_factory):
    """A store with all files of the module; a test that changes it takes a copy, `store`."""
    path = tmp_path_factory.mktemp("built") / "store"
    with pytest.raises(SystemExit) as end:
        main(["import", str(files / "prices"), str(files / "fx"), "--store", str(path)])
    assert end.value.code == 0
    return path


@pytest.fixture
def store(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "store"))


@pytest.fixture
def portfolio(tmp_path):
    path = tmp_path / "cross.toml"
    path.write_text(PORTFOLIO)
    return path


@pytest.fixture
def call(capsys, monkeypatch):
    """Run the command in this process: (exit code, stdout, stderr)."""
    monkeypatch.delenv("FRONTMONTH_STORE", raising=False)

    def run(*words, code=0):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        found = capsys.readouterr()
        assert end.value.code == code, found.err
        return found

    return run


@pytest.fixture
def document(call):
    """Run the command with --json and read what it prints, which must be one document."""
    return lambda *words, code=0: json.loads(call(*words, "--json", code=code).out)


# import


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


# rolls and series


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


# runs


@pytest.fixture(scope="module")
def ran(built, tmp_path_factory):
    """A store with one run in it, and the run's id."""
    path = Path(shutil.copytree(built, tmp_path_factory.mktemp("ran") / "store"))
    (path / "portfolios").mkdir()
    (path / "portfolios" / "cross.toml").write_text(PORTFOLIO)
    with pytest.raises(SystemExit) as end:
        main(["run", "cross", "--store", str(path)])
    assert end.value.code == 0
    (found,) = [run.name for run in (path / "runs").iterdir()]
    return path, found


def test_run_prints_its_summary_with_the_keys_that_scripts_rely_on(document, ran):
    store, name = ran
    made = document("show", name, "--store", store)
    assert set(made) >= SUMMARY
    assert set(made) - SUMMARY == {"currency", "identity_holds", "notes", "snapshot"}
    assert (set(made["metrics"]), set(made["ledger"])) == (METRICS, CAUSES)
    assert set(made["hashes"]) == {"data", "rolls", "contracts", "portfolio", "code", "result"}
    assert {"load", "simulate", "analyse", "total"} <= set(made["seconds"])
    assert (made["run"], made["portfolio"], made["simulated"]) == (name, "cross", False)
    assert (made["markets"], made["start"], made["end"]) == (["FGBL", "MES", "ZC"], "2021-01-04", "2022-12-30")
    assert made["metrics"]["final_equity"] == pytest.approx(1_000_000 + sum(made["ledger"].values()))


def test_the_same_run_is_not_computed_twice_unless_forced(call, document, ran, portfolio):
    store, name = ran
    again = call("run", portfolio, "--store", store, "--json")
    assert json.loads(again.out)["stored"] is True
    assert json.loads(again.out)["run"] == name
    assert f"run {name} is stored already" in again.err
    forced = document("run", portfolio, "--force", "--store", store)
    assert (forced["run"], forced["stored"]) == (name, False)


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
    assert "change of equity" in out and "identity holds" in out


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
    path.write_text(json.dumps(record))
    made = document("replay", "last", "--store", store, code=1)
    assert (made["same"], made["different"]) == (False, ["result"])


def test_report_into_a_folder_writes_tables_that_add_up(document, ran, tmp_path):
    made = document("report", "last", "--out", f"{tmp_path}/tables/", "--store", ran[0])
    assert set(made) == {"run", "files"}
    names = ["equity.csv", "trades.csv", "contract_trades.csv", "positions.csv", "ledger.csv", "portfolio.toml"]
    assert [Path(file).name for file in made["files"]] == names
    equity, ledger = (pl.read_csv(tmp_path / "tables" / f"{name}.csv") for name in ("equity", "ledger"))
    assert equity.columns == ["day", "equity", "cash", "margin", "drawdown"]
    assert ledger["amount"].sum() == pytest.approx(equity["equity"][-1] - equity["equity"][0], abs=0.005)


def test_an_exported_portfolio_is_the_same_run_again(document, ran, tmp_path):
    document("report", "last", "--out", f"{tmp_path}/tables/", "--store", ran[0])
    assert document("run", tmp_path / "tables" / "portfolio.toml", "--store", ran[0])["stored"] is True


def test_report_of_another_kind_is_wrong_usage(call, ran):
    assert ".html" in call("report", "last", "--out", "run.docx", "--store", ran[0], code=2).err


def test_a_run_that_is_not_there_is_said(call, ran):
    assert "no run 'zzz'" in call("show", "zzz", "--store", ran[0], code=1).err


def test_the_demo_refuses_a_store_of_real_prices(call, store):
    before = open_archive(store).head().hash
    assert "a store of its own" in call("demo", "--no-serve", "--store", store, code=1).err
    assert open_archive(store).head().hash == before


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


# the command itself


def test_options_of_every_verb_may_stand_before_or_after_it(call, built):
    words = ("--store", built, "--json")
    assert (
        call(*words, "markets").out == call("markets", *words).out == call("markets", "--json", f"--store={built}").out
    )


def test_the_store_is_found_by_the_environment_or_in_the_working_folder(call, built, monkeypatch):
    monkeypatch.chdir(built.parent)
    found = call("markets", "--store", built.name).out
    os.rename(built, built.with_name("frontmonth-store"))
    try:
        assert call("markets").out == found
    finally:
        os.rename(built.with_name("frontmonth-store"), built)
    monkeypatch.setenv("FRONTMONTH_STORE", str(built))
    with pytest.raises(SystemExit):
        main(["markets"])


def test_a_missing_store_is_said_in_one_line(call, tmp_path):
    found = call("markets", "--store", tmp_path / "none", code=1)
    assert "there is no store in" in found.err and found.err.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(Exception, match="there is no store"):
        main(["markets", "--debug", "--store", str(tmp_path / "none")])


@pytest.mark.parametrize(
    "words",
    [
        ["trade"], ["markets", "--jsn"], ["run"], ["contracts"], ["markets", "--store"], ["report", "last"],
        ["run", "x.toml", "--set", "a"], ["run", "x.toml", "--start", "tomorrow"], ["continuous", "MES", "GC"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_2_with_one_line(call, words):
    found = call(*words, code=2)
    assert found.out == ""
    assert found.err.startswith("frontmonth: ") and found.err.count("\n") == 1


def test_without_a_verb_the_help_is_shown_and_the_exit_code_is_2(call):
    assert "Commands:" in call(code=2).err


def test_the_version_is_told(call):
    assert call("--version").out.startswith("frontmonth 0.")


def test_every_verb_has_a_help_with_an_example(call):
    from app.commands import data, runs, series

    for verb in [*data.VERBS, *series.VERBS, *runs.VERBS]:
        text = call(verb, "--help").out
        assert f"Example: frontmonth {verb}" in text, verb


def test_words_after_two_dashes_stay_where_they_are():
    assert hoisted(["import", "--", "--json", "--store"]) == ["import", "--", "--json", "--store"]


# real processes


def frontmonth(*words, **options):
    """The command as a process of its own."""
    code = "import sys; from app.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], cwd=REPO, stdout=subprocess.PIPE, text=True, **options
    )


@pytest.mark.service
def test_help_is_quick():
    import time

    taken = []
    for _ in range(5):
        began = time.perf_counter()
        assert frontmonth("--help").communicate()[0].startswith("Usage: frontmonth")
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.3


@pytest.mark.service
@pytest.mark.parametrize("verb", [["markets"], ["run", "cross"], ["continuous", "MES"]], ids=" ".join)
def test_no_verb_but_serve_and_report_loads_panel(ran, verb):
    code = (
        "import sys; from app.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as end: assert end.code == 0\n"
        "print('\\nloaded:', sorted({'panel', 'bokeh', 'pandas', 'holoviews'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, *verb, "--store", str(ran[0])]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.service
def test_a_reader_that_goes_away_is_no_failure(built):
    process = frontmonth("continuous", "MES", "--json", "--store", built, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (0, "")


@pytest.mark.service
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals on this platform")
def test_on_a_terminal_progress_is_shown_and_ctrl_c_leaves_the_store_as_it_was(store, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    text = dict(market_files.contracts("CORN"))[202112]
    for k in range(400):
        (many / f"Day_CORN{k}_20211200.csv").write_text(text.replace(".25", f".{k:03d}"))
    before = open_archive(store).head()
    ours, theirs = os.openpty()
    process = frontmonth("import", many, "--store", store, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"Day_CORN" not in shown:  # the bar names the file it is at: the work is under way
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    with contextlib.suppress(OSError):  # the end of a terminal, on Linux
        while piece := os.read(ours, 4096):
            shown += piece
    assert b"frontmonth: interrupted" in shown
    assert process.stdout.read() == ""
    assert open_archive(store).head() == before
    assert open_archive(store).verify() == []
