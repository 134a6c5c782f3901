"""One honest run over 24 real markets: what it must hold whatever the numbers are."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from config import FOLDER
from engine import Portfolio, backtest, load
from engine.backtest import replay, run
from store import open_archive
from store.contracts import Master, first_notice, last_trade


@pytest.fixture(scope="module")
def market(real):
    return load(real)


@pytest.fixture(scope="module")
def trend():
    return Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")


@pytest.fixture(scope="module")
def made(market, trend):
    return backtest(market, trend)


@pytest.fixture(scope="module", params=["trend", "fixed"])
def either(request, market):
    return backtest(market, Portfolio.from_toml(FOLDER / "portfolios" / f"{request.param}.toml"))


def test_every_row_read_is_accounted_for(real):
    daily = [r for r in real.reports if r.vendor == "barchart"]
    assert len(daily) == 24
    assert sum(r.rows_read for r in daily) == 743_035
    assert all(r.rows_read == r.accepted + r.warned + r.quarantined for r in real.reports)
    assert sum(r.quarantined for r in daily) < 0.01 * 743_035
    stored = real.read("contract_bars", columns=["root", "contract"])
    assert stored.height == sum(r.accepted + r.warned for r in daily)
    assert stored.unique().height == 3_205


def test_t04_the_identity_holds_on_every_line(either):
    assert either.identity_holds
    assert either.summary["identity_residual"] < 1e-6


def test_the_ledger_is_the_change_of_equity(either):
    equity, ledger = either.equity(), either.ledger()
    change = equity["equity"][-1] - equity["equity"][0]
    assert ledger["amount"].sum() == pytest.approx(change, abs=0.005)
    assert sum(either.summary["ledger"].values()) == pytest.approx(change, abs=0.005)
    by_day = ledger.group_by("day").agg(pl.col("amount").sum()).join(equity, on="day", how="right").sort("day")
    assert np.allclose(by_day["amount"].fill_null(0.0)[1:], equity["equity"].diff()[1:], atol=1e-6)


def test_t51_both_tellings_of_the_trades_agree(either):
    whole, legs = either.trades(), either.contract_trades()
    assert whole["net"].sum() == pytest.approx(legs["net"].sum(), abs=0.01)
    assert whole["net"].sum() == pytest.approx(either.ledger()["amount"].sum(), abs=0.01)
    assert legs.height > whole.height


def test_t11_no_trade_on_or_after_first_notice_or_after_the_last_day(either, real):
    master = Master.load()
    legs = either.contract_trades().filter(pl.col("exit_reason") != "open")
    late = []
    for root, contract, entered, left in legs.select("root", "contract", "entry_day", "exit_day").iter_rows():
        spec = master.spec(root)
        notice = first_notice(spec, contract)
        if left > last_trade(spec, contract) or (notice and left >= notice):
            late.append((root, contract, entered, left))
    assert late == []


def test_no_position_is_held_in_a_contract_after_its_last_bar(either, real):
    last = real.read("contract_bars", columns=["root", "contract", "day"])
    last = last.group_by("root", "contract").agg(pl.col("day").max().alias("last"))
    held = either.positions().with_columns(pl.col("root").cast(pl.String))
    fills = either.contract_trades().with_columns(pl.col("root").cast(pl.String))
    traded = fills.join(last, on=["root", "contract"], how="left").filter(
        pl.col("exit_reason").is_in(["signal", "roll"])
    )
    assert traded.filter((pl.col("exit_day") > pl.col("last")) | (pl.col("entry_day") > pl.col("last"))).is_empty()
    assert held.join(last, on=["root", "contract"], how="left")["last"].null_count() == 0


@pytest.mark.parametrize(("year", "published"), [(2020, 0.21), (2021, 0.26), (2022, -0.19), (2023, 0.19)])
def test_t01_excess_returns_of_the_s_and_p(market, year, published):
    m = market.roots.index("MES")
    rows = ~np.isnan(market.mark[:, m])
    adjusted, settle, days = market.adjusted[rows, m], market.mark[rows, m], market.days[rows]
    change = np.diff(adjusted) / settle[:-1]
    inside = days[1:].astype("datetime64[Y]").astype(int) + 1970 == year
    assert change[inside].sum() == pytest.approx(published, abs=0.015)


def test_fills_are_inside_the_bar_of_the_contract(made, real):
    fills = (
        made.trades()
        .filter(pl.col("exit_reason") == "signal")
        .select("root", "entry_day", "entry_contract", "entry_price")
    )
    bars = real.read("contract_bars", columns=["root", "contract", "day", "open"]).rename(
        {"contract": "entry_contract", "day": "entry_day"}
    )
    found = fills.with_columns(pl.col("root").cast(pl.String)).join(
        bars, on=["root", "entry_contract", "entry_day"], how="left"
    )
    assert found["open"].null_count() == 0
    assert (found["open"] == found["entry_price"]).all()


@pytest.mark.parametrize("cut", [date(2005, 6, 30), date(2012, 10, 29), date(2019, 3, 1)])
def test_t45_a_store_that_ends_earlier_gives_the_same_run_up_to_there(real, trend, made, cut, tmp_path):
    earlier = open_archive(tmp_path, create=True)
    cut_rows = [
        earlier.write(s.table, real.read(s.table, **s.labels).filter(pl.col("day") <= cut), **s.labels)
        for s in real.head().files
        if s.table in ("contract_bars", "fx") and s.first_day <= cut
    ]
    earlier.commit(cut_rows)
    short = backtest(load(earlier), trend)
    for table in ("equity", "positions", "ledger"):
        ours, whole = getattr(short, table)(), getattr(made, table)().filter(pl.col("day") <= cut)
        texts = [c for c, kind in whole.schema.items() if isinstance(kind, pl.Enum)]
        if "line" in ours.columns:  # which counts the lines of a run: a market that begins later has none in the short
            same = [table.select("strategy", "market", "line").n_unique() for table in (ours, whole)]
            assert same == [table.select("strategy", "market").n_unique() for table in (ours, whole)]
            ours, whole = ours.drop("line"), whole.drop("line")
        assert ours.with_columns(pl.col(texts).cast(pl.String)).equals(
            whole.with_columns(pl.col(texts).cast(pl.String))
        )


def test_t50_a_run_is_saved_once_and_replays_to_the_same_hashes(real, trend):
    first, stored = run(real, trend)
    again, found = run(real, trend)
    assert (stored, found, first.id) == (False, True, again.id)
    before, after = replay(real, first.id)
    assert before.summary["hashes"] == after.summary["hashes"]
    assert before.trades().equals(after.trades())
    first.delete(real)


def test_t09_a_contract_that_was_left_is_never_held_again(either):
    held = either.positions().with_columns(pl.col("root").cast(pl.String), pl.col("strategy").cast(pl.String))
    back = held.sort("day").filter(pl.col("contract").diff().over("strategy", "root") < 0)
    assert back.is_empty()


@pytest.mark.parametrize("name", sorted(path.stem for path in (FOLDER / "portfolios").glob("*.toml")))
def test_every_shipped_portfolio_runs_on_real_prices(real, name):
    portfolio = Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml").with_settings(["start=2018-01-01"])
    made = run(real, portfolio)[0]
    assert made.identity_holds and made.trades().height > 20
