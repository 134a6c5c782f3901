"""Columns: every cent of the ledger has one place, and a trade's cells are its result."""

import numpy as np
import polars as pl
import pytest

from app.columns import COST, COSTS, GROSS, INTEREST, LONG, NEITHER, SHORT, Columns, _deal
from app.views.trades import Trades
from engine.book import CAUSES
from tests.synthetic_run import EmptyRun, SyntheticRun

RUN = SyntheticRun(years=3)
COLUMNS = Columns.of(RUN)


def total(**picked):
    cell = COLUMNS.cell
    there = np.ones(len(cell["day"]), bool)
    for name, value in picked.items():
        there &= cell[name] == value
    return cell["amount"][there].sum()


def test_cells_add_up_to_the_ledger():
    ledger = RUN.ledger()
    assert total() == pytest.approx(ledger["amount"].sum(), abs=1e-6)
    assert set(COSTS) == set(CAUSES[1:4]) | set(CAUSES[5:8])
    assert total(part=COST) == pytest.approx(
        ledger.filter(ledger["cause"].is_in(["slippage", "commission"]))["amount"].sum()
    )
    assert total(part=INTEREST) == pytest.approx(ledger.filter(ledger["cause"] == "interest")["amount"].sum())


@pytest.mark.parametrize(("side", "direction"), [(LONG, "long"), (SHORT, "short")])
def test_the_cells_of_a_direction_are_the_trades_of_that_direction(side, direction):
    trades = RUN.trades()
    mine = trades.filter(trades["direction"] == direction)
    assert total(side=side) == pytest.approx(mine["net"].sum(), abs=1e-6)
    assert total(side=side, part=GROSS) == pytest.approx(mine["gross"].sum(), abs=1e-6)


def test_only_the_accounts_cents_are_of_no_side():
    assert total(side=NEITHER) == pytest.approx(total(part=INTEREST))
    assert set(COLUMNS.cell["line"][COLUMNS.cell["side"] == NEITHER]) == {len(COLUMNS.roots)}


def test_a_day_shared_by_two_trades_is_split_by_their_results():
    left = np.array([0.0, 10.0, 5.0, -2.0, 4.0])[:, None]
    trade = {"line": [0, 0], "side": [LONG, SHORT], "entry": [1, 3], "exit": [3, 4]}
    out = np.zeros((3, 5, 1))
    _deal(left, {name: np.array(values) for name, values in trade.items()}, np.array([16.0, 1.0]), out)
    assert out[LONG, :, 0].tolist() == [0.0, 10.0, 5.0, 1.0, 0.0]  # 16 in all, so 1 of the day that both share
    assert out[SHORT, :, 0].tolist() == [0.0, 0.0, 0.0, -3.0, 4.0]
    assert not left.any()


def test_a_trade_that_begins_and_ends_within_a_shared_day_keeps_its_result():
    left = np.array([6.0, 9.0, 1.0])[:, None]
    trade = {"line": [0, 0, 0], "side": [LONG, SHORT, LONG], "entry": [0, 1, 1], "exit": [1, 1, 2]}
    out = np.zeros((3, 3, 1))
    _deal(left, {name: np.array(values) for name, values in trade.items()}, np.array([8.0, 3.0, 5.0]), out)
    assert out[LONG].sum() == 13.0
    assert out[SHORT, :, 0].tolist() == [0.0, 3.0, 0.0]


def test_the_newest_trade_comes_first():
    assert (np.diff(COLUMNS.trade["exit"]) <= 0).all()


def test_two_markets_of_one_root_are_two_lines():
    run = SyntheticRun(years=1, sectors={"Energy": "CL NG"})
    near = {"CL": "CL.c.0", "NG": "CL.c.3"}  # the same two markets as ranks of one root
    tables = {name: _renamed(getattr(run, name)(), near) for name in ("trades", "positions", "ledger")}
    for name, frame in tables.items():
        setattr(run, name, lambda frame=frame: frame)
    columns = Columns.of(run)
    assert columns.roots == ("CL.c.0", "CL.c.3") and columns.sectors == ("Energy",)
    for k, market in enumerate(columns.roots):
        mine = tables["trades"].filter(tables["trades"]["market"] == market)["net"]
        assert columns.cell["amount"][columns.cell["line"] == k].sum() == pytest.approx(mine.sum(), abs=1e-6)


def _renamed(frame, names):
    """All of root CL, the markets by their ranks."""
    root = pl.when(pl.col("root") == "").then(pl.lit("")).otherwise(pl.lit("CL"))
    return frame.with_columns(pl.col("market").replace(names), root.alias("root"))


def test_a_run_of_before_0_5_goes_by_its_roots():
    run = SyntheticRun(years=1, sectors={"Energy": "CL NG"})
    for name in ("trades", "positions", "ledger"):
        frame = getattr(run, name)().drop("market")
        setattr(run, name, lambda frame=frame: frame)
    assert Columns.of(run).roots == ("CL", "NG")
    assert Trades(run).models["trades"].indices  # and the table of trades is drawn, without what began them


def test_a_run_without_a_trade_has_columns_too():
    columns = Columns.of(EmptyRun(years=1))
    assert columns.roots == ()
    assert len(columns.cell["day"]) > 0  # interest
    assert len(columns.trade["net"]) == 0
