"""Saved runs: whole or not there, found by id or name, exported so that they add up."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from engine import Portfolio
from engine.backtest import run
from engine.result import BEFORE, TABLES, RunDamaged, RunDiffers, RunResult, RunUnknown, listed, load
from engine.strategies import STRATEGIES
from engine.strategy import load_user
from store import durable, recorded, system
from store.archive import open_archive
from store.durable import NotWritten
from tests.small_store import build
from tests.test_engine_backtest import PORTFOLIO

PROVES = (7,)  # guarantees
LINE = ["strategy", "root", "market"]
COLUMNS = {
    "equity": ["day", "equity", "cash", "margin", "drawdown"],
    "trades": [
        "trade", *LINE, "sector", "direction", "contracts", "entry_day", "exit_day", "entry_contract", "exit_contract",
        "entry_price", "exit_price", "rolls", "bars", "gross", "costs", "net", "entry_reason", "exit_reason", "risk",
        "ambiguous", "open", "line",
    ],
    "contract_trades": [
        "trade", *LINE, "sector", "direction", "contracts", "entry_day", "exit_day", "contract", "entry_price",
        "exit_price", "bars", "gross", "costs", "net", "entry_reason", "exit_reason", "ambiguous", "line",
    ],
    "positions": ["day", *LINE, "contract", "contracts", "mark", "notional", "margin", "line"],
    "ledger": ["day", *LINE, "cause", "amount", "line"],
    "fills": [
        "day", *LINE, "contract", "kind", "contracts", "price", "shown", "slippage", "impact", "commission",
        "line",
    ],
    "sleeves": ["day", "sleeve", "equity"],
    "events": ["day", *LINE, "kind", "wanted", "allowed", "line"],
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build(tmp_path_factory.mktemp("small") / "store")


@pytest.fixture(scope="module")
def made(archive):
    return run(archive, Portfolio.from_toml(PORTFOLIO))[0]


def test_a_run_loads_as_it_was_saved(archive, made):
    found = load(archive, made.id)
    assert found.summary["hashes"] == made.summary["hashes"]
    assert found.portfolio == made.portfolio
    for table in TABLES:
        assert getattr(found, table)().equals(getattr(made, table)()), table


def test_events_are_told_by_kind_and_market_the_rarest_kind_first(archive):
    """Against a count of the stored table, row by row: margin calls among a thousand refusals."""
    poor, days = run(archive, Portfolio.from_toml(PORTFOLIO).with_settings(["capital=15000"]))[0], {}
    stored = load(archive, poor.id)
    for day, _, _, market, kind, *_ in stored.events().rows():
        days.setdefault((kind, market), []).append(str(day))
    told = {(row["kind"], row["market"]): (row["count"], row["first"], row["last"]) for row in stored.event_groups()}
    assert told == {key: (len(found), min(found), max(found)) for key, found in days.items()}
    calls, refused = "margin call", "margin refused"
    assert list(told) == [(calls, ""), (calls, "FGBL"), (calls, "MES"), (refused, "FGBL"), (refused, "MES")]
    assert max(told[calls, "MES"][0], told[calls, "FGBL"][0]) <= told[calls, ""][0] < 10 < told[refused, "MES"][0]
    poor.delete(archive)


def test_a_run_of_before_0_5_groups_the_first_events_of_each_kind():
    first = [{"day": "2020-03-09", "root": "CL", "kind": "margin call"}, {"day": "2020-03-10", "root": "", "kind": "x"}]
    old = RunResult({}, None, [*first, first[0] | {"day": "2020-03-11"}], {})
    assert [list(row.values()) for row in old.event_groups()] == [
        ["x", "", 1, "2020-03-10", "2020-03-10"],
        ["margin call", "CL", 2, "2020-03-09", "2020-03-11"],
    ]
    assert RunResult({}, None, [], {}).event_groups() == []


@pytest.mark.parametrize("name", ["id", "beginning", "small", "last"])
def test_a_run_is_found_by(archive, made, name):
    assert load(archive, {"id": made.id, "beginning": made.id[:6]}.get(name, name)).id == made.id


def test_a_store_without_a_run_says_how_to_make_one(tmp_path):
    with pytest.raises(RunUnknown, match=r"no run yet in .*; `frontmonth run trend` makes one"):
        load(open_archive(tmp_path / "store", create=True), "last")


def test_an_unknown_run_is_said(archive, made):
    with pytest.raises(RunUnknown, match="no run 'zzz'"):
        load(archive, "zzz")


@pytest.mark.parametrize("name", ["../store", "..", "a/b", ""])
def test_a_name_is_never_a_path(archive, made, name):
    with pytest.raises(RunUnknown):
        load(archive, name)


def test_runs_are_listed_newest_first(archive, made):
    other = run(archive, Portfolio.from_toml(PORTFOLIO).with_settings(["fast=7"]))[0]
    rows = listed(archive)
    assert {row["run"] for row in rows} == {made.id, other.id}
    assert rows[0]["created"] >= rows[1]["created"]
    other.delete(archive)
    assert [row["run"] for row in listed(archive)] == [made.id]


def test_a_damaged_run_is_named_and_hides_no_other(archive, made):
    broken = archive.path / "runs" / "0123456789ab"
    broken.mkdir()
    (broken / "run.json").write_text('{"summary": ')
    damaged = []
    assert [row["run"] for row in listed(archive, damaged)] == [made.id]
    assert damaged[0].startswith("runs/0123456789ab/run.json cannot be used")
    with pytest.raises(RunDamaged, match="0123456789ab"):
        load(archive, "0123456789ab")
    shutil.rmtree(broken)


@pytest.mark.parametrize("name", ["run.json", "equity.parquet", "ledger.parquet"])
def test_a_run_of_which_a_file_was_changed_is_named_and_not_shown(archive, made, name):
    path = archive.path / "runs" / made.id / name
    content = path.read_bytes()
    altered = bytearray(content)
    altered[content.index(b"0.") if name == "run.json" else len(content) // 2] ^= 1
    path.write_bytes(altered)
    with pytest.raises(RunDamaged, match=f"runs/{made.id}/{name}"):
        run_ = load(archive, made.id)
        run_.equity(), run_.ledger()
    path.write_bytes(content)
    assert load(archive, made.id).equity().equals(made.equity())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_damaged_run_is_replaced_by_force_and_stays_if_that_fails(archive, made, monkeypatch, exchange):
    folder = archive.path / "runs" / made.id
    if not exchange:
        monkeypatch.setattr(system, "exchange", lambda one, other: False)
    durable.remove(folder / "equity.parquet")
    (folder / "equity.parquet").write_bytes(b"damaged")
    again = load(archive, made.id)
    again._tables["equity"] = made.equity()
    with monkeypatch.context() as patch:
        rename = os.rename

        def fails(source, target):
            if Path(target) == folder and not str(source).endswith("-old"):
                raise OSError(5, "Input/output error")
            rename(source, target)

        patch.setattr(os, "rename", fails)
        if exchange:
            patch.setattr(system, "exchange", fails)
        with pytest.raises(NotWritten):
            again.save(archive, replace=True)
    assert (folder / "equity.parquet").read_bytes() == b"damaged" and archive.run_ids() == [made.id]
    again.save(archive, replace=True)
    assert load(archive, made.id).equity().equals(made.equity())
    assert [path.name for path in (archive.path / "runs").iterdir()] == [made.id]


def test_a_run_that_lost_its_record_is_saved_again(archive, made):
    durable.remove(archive.path / "runs" / made.id / "run.json")
    assert archive.run_ids() == []
    made.save(archive)
    assert load(archive, made.id).equity().equals(made.equity())


def test_a_run_of_an_older_program_has_no_checksums_and_is_read(archive, made):
    path = archive.path / "runs" / made.id / "run.json"
    content = path.read_bytes()
    record = json.loads(content)
    del record["files"], record["checksum"]
    path.write_text(json.dumps(record))
    assert load(archive, made.id).trades().equals(made.trades())
    path.write_bytes(content)


def test_a_run_of_0_4_has_no_fills_sleeves_and_events_and_is_read(archive, made, tmp_path):
    folder = archive.path / "runs" / made.id
    shutil.copytree(folder, tmp_path / "kept")
    record = json.loads((folder / "run.json").read_text())
    record["files"] = {name: told for name, told in record["files"].items() if Path(name).stem not in BEFORE}
    for key in ("stamps", "margin_days", "ambiguous", "break_even_ticks"):
        del record["summary"][key]
    del record["checksum"]
    record["checksum"] = recorded.checksum(record)
    (folder / "run.json").write_text(json.dumps(record))
    for name in BEFORE:
        durable.remove(folder / f"{name}.parquet")
    old = load(archive, made.id)
    assert old.trades().equals(made.trades()) and old.summary == record["summary"]
    for name in BEFORE:
        with pytest.raises(RunUnknown, match=f"of an older version, which kept no {name}; run it again with --force"):
            getattr(old, name)()
    assert sorted(old.export(tmp_path / "out")) == sorted(
        [f"{name}.csv" for name in TABLES if name not in BEFORE] + ["portfolio.toml"]
    )
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    assert load(archive, made.id).fills().equals(made.fills())


def test_a_run_of_a_user_s_own_strategy_is_found_again(archive, made):
    folder = archive.path / "strategies"
    folder.mkdir()
    (folder / "mine.py").write_text(
        "import numpy as np\nfrom engine.strategy import Strategy\n\n\n"
        "class AlwaysLong(Strategy):\n    def forecast(self, market):\n        return np.ones(market.mark.shape)\n"
    )
    load_user(folder)
    own = run(
        archive, Portfolio.from_toml(PORTFOLIO.replace("moving_average_cross", "always_long").replace("params =", "# "))
    )[0]
    del STRATEGIES["always_long"]
    assert load(archive, own.id).portfolio == own.portfolio
    own.delete(archive)
    shutil.rmtree(folder)
    load_user(folder)


def test_an_export_adds_up(archive, made, tmp_path):
    made.export(tmp_path / "out")
    read = {path.stem: pl.read_csv(path, try_parse_dates=True) for path in (tmp_path / "out").glob("*.csv")}
    assert {name: table.columns for name, table in read.items()} == COLUMNS
    equity = read["equity"]["equity"]
    assert read["ledger"]["amount"].sum() == pytest.approx(equity[-1] - equity[0], abs=0.005)
    assert read["trades"]["net"].sum() == pytest.approx(read["contract_trades"]["net"].sum(), abs=0.005)
    by_cause = dict(read["ledger"].group_by("cause").agg(pl.col("amount").sum()).iter_rows())
    told = {cause: amount for cause, amount in made.summary["ledger"].items() if amount}
    assert by_cause == pytest.approx(told)
    paid = {name: read["fills"][name].sum() for name in ("slippage", "commission")}
    assert paid == pytest.approx({name: told[name] + told[f"roll_{name}"] for name in paid})
    assert read["sleeves"]["equity"].to_list() == pytest.approx(equity[1:].to_list())  # one sleeve: the account
    assert Portfolio.from_toml(tmp_path / "out" / "portfolio.toml") == made.portfolio


def test_an_export_holds_no_zero_with_a_sign(made, tmp_path):
    made._tables = made._tables | {"ledger": made.ledger().with_columns(amount=pl.lit(-0.0))}
    made.export(tmp_path)
    text = (tmp_path / "ledger.csv").read_text()
    assert ",0.0," in text and "-0.0" not in text


def test_an_export_holds_no_formula(archive, made, tmp_path):
    trades, risky = made.trades(), ["=cmd|' /C calc'!A0", "@SUM(A1)"]
    names = pl.Series(risky, dtype=pl.Enum(risky)).gather([0] * trades.height)
    made._tables["trades"] = trades.with_columns(pl.lit(risky[1]).alias("exit_reason"), names.alias("root"))
    made.export(tmp_path)
    rows = pl.read_csv(tmp_path / "trades.csv")
    assert set(rows["root"]) == {"'" + risky[0]} and set(rows["exit_reason"]) == {"'" + risky[1]}
    assert rows["net"].to_list() == pytest.approx(trades["net"].to_list())  # numbers keep their signs


def test_positions_are_told_in_the_contract_held_overnight(made):
    positions = made.positions().with_columns(pl.col("root").cast(pl.String))
    assert positions["contract"].is_between(202103, 202303).all()
    assert (positions["notional"] / positions["contracts"] > 0).all()


def test_a_run_computed_again_with_another_result_is_told_and_changes_nothing(archive, made):
    again = load(archive, made.id)
    again.summary["hashes"] = again.summary["hashes"] | {"result": "0" * 64}
    with pytest.raises(RunDiffers, match=r"another result: stored \w+, now 0{12};"):
        again.save(archive, replace=True)
    assert load(archive, made.id).summary["hashes"]["result"] != "0" * 64
