"""Columns: every cent of the ledger has one place, and a trade's cells are its result."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from app.cells import dealt
from app.columns import COST, COSTS, GROSS, INTEREST, LONG, NEITHER, SHORT, Columns
from app.crossfilter import crossfilter
from app.selection import Selection
from app.views.trade_list import TradeList
from engine import Portfolio
from engine.analysis import conditions, regimes
from engine.analysis.daily import Daily
from engine.backtest import run as run_and_save
from engine.book import CAUSES
from tests import analysed, random_runs
from tests.naive_crossfilter import MARKETS, OddRun, cells
from tests.small_store import build
from tests.synthetic_run import EmptyRun, SyntheticRun

RUN = SyntheticRun(years=3)
PORTFOLIO = """
[portfolio]
name = "small"
capital = 1_000_000
start = 2021-02-01
[[strategies]]
name = "moving_average_cross"
params = { fast = 5, slow = 20 }
[sizing]
rule = "fixed"
contracts = 2
"""
COLUMNS = Columns.of(RUN)


def of_cells(name, columns=COLUMNS):
    """What the owner of each cell is."""
    return np.repeat(columns.owner[name], np.diff(columns.owner["start"]))


def total(**picked):
    cell = COLUMNS.cell | {name: of_cells(name) for name in ("line", "side")}
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


def test_what_is_of_no_trade_is_of_no_side():
    ledger = RUN.ledger()
    beside = ledger.filter(ledger["cause"].is_in(["interest", "fx"]))
    assert total(side=NEITHER) == pytest.approx(beside["amount"].sum())
    assert total(side=NEITHER, part=COST) == 0.0
    account = total(side=NEITHER, line=len(COLUMNS.roots))
    assert account == pytest.approx(beside.filter(beside["market"] == "")["amount"].sum())
    for line, market in enumerate(COLUMNS.roots):
        own = beside.filter(beside["market"] == market)["amount"].sum()
        assert total(side=NEITHER, line=line) == pytest.approx(own), market


def by_day(cells, owner, time):
    """Amounts of an owner by day."""
    rows = slice(cells.start[owner], cells.start[owner + 1])
    return np.bincount(cells.day[rows], cells.amount[rows], minlength=time).tolist()


def one_line(left, entry, end, gross):
    """Cells of one line without costs, the newest exit first."""
    trade = {"line": [0] * len(entry), "entry": entry, "exit": end}
    trade = {name: np.array(values) for name, values in trade.items()}
    trade |= {"gross": np.array(gross), "costs": np.zeros(len(gross))}
    time = len(left)
    return dealt(np.arange(time), np.zeros(time, int), np.zeros(time, int), np.array(left), trade, (time, 1))


def test_a_day_shared_by_two_trades_is_split_by_their_results():
    made = one_line([0.0, 10.0, 5.0, -2.0, 4.0], [3, 1], [4, 3], [1.0, 16.0])
    assert by_day(made, 1, 5) == [0.0, 10.0, 5.0, 1.0, 0.0]  # 16 in all, so 1 of the day that both share
    assert by_day(made, 0, 5) == [0.0, 0.0, 0.0, -3.0, 4.0]
    assert made.start[2] == made.start[3]  # nothing is left for the line


def test_a_trade_that_begins_and_ends_within_a_shared_day_keeps_its_result():
    made = one_line([6.0, 9.0, 1.0], [1, 1, 0], [2, 1, 1], [5.0, 3.0, 8.0])
    first, within, last = (by_day(made, k, 3) for k in (2, 1, 0))
    assert sum(first) + sum(last) == 13.0
    assert within == [0.0, 3.0, 0.0]


@pytest.mark.parametrize("seed", range(6))
def test_cells_are_those_of_the_slow_twin(seed):
    run = OddRun(seed, time=200, trades=60)
    columns = Columns.of(run)
    numbers = columns.table["trade"].to_list()
    pairs = zip(columns.line_strategy, columns.line_root, strict=True)
    names = (*columns.strategies, ""), (*columns.roots, "")
    owners = numbers + [(names[0][s], names[1][r]) for s, r in pairs]
    found, cell = {}, columns.cell
    parts = {GROSS: "gross", COST: "cost", INTEREST: "interest"}
    for k, owner in enumerate(owners):
        rows = range(columns.owner["start"][k], columns.owner["start"][k + 1])
        days = [int(cell["day"][c]) for c in rows]
        assert days == sorted(days)
        for c in rows:
            key = owner, columns.days[cell["day"][c]].item(), parts[int(cell["part"][c])]
            assert key not in found
            found[key] = float(cell["amount"][c])
    expected = cells(run)
    assert {key for key, amount in found.items() if abs(amount) > 1e-7} == expected.keys()
    for key, amount in expected.items():
        assert found[key] == pytest.approx(amount, abs=1e-6)


def test_what_a_line_pays_without_a_trade_is_of_no_side():
    columns = Columns.of(OddRun(1))
    lines = set(columns.owner["line"][columns.owner["side"] == NEITHER])
    assert lines == set(range(2 * len(MARKETS) + 1))
    assert columns.names("side")[NEITHER] == "neither"
    assert columns.names("exit") == ("open", "signal", "stop", "target", "unknown", "none")


@pytest.mark.parametrize("seed", range(4))
def test_what_is_held_is_held_by_a_trade_of_its_line_and_side(seed):
    columns = Columns.of(OddRun(seed))
    owner, held, trade = columns.held["owner"], columns.held, columns.trade
    assert (owner < len(trade["net"])).all()
    for name in ("line", "side"):
        assert (trade[name][owner] == held[name]).all()
    assert ((trade["entry"][owner] <= held["day"]) & (held["day"] <= trade["exit"][owner])).all()


def test_codes_tell_what_the_table_tells():
    run = OddRun(3)
    columns = Columns.of(run)
    for kind, field in (("entry", "entry_reason"), ("exit", "exit_reason")):
        names = np.array(columns.names(kind), object)[columns.trade[field]]
        assert names.tolist() == columns.table[field].fill_null("unknown").to_list()
    assert columns.trade["holding"].tolist() == columns.table["bars"].to_list()


# Bins


def test_bins_have_round_edges_and_the_ends_hold_the_rest():
    net = COLUMNS.trade["net"]
    edges, code = COLUMNS.result_bins, COLUMNS.trade["result_bin"]
    assert 12 <= len(edges) - 1 <= 27
    assert np.ptp(np.diff(edges)) < 1e-6 * edges[-1]
    assert 0.0 in edges
    assert (net < edges[0]).mean() <= 0.02 and (net > edges[-1]).mean() <= 0.02
    inside = (net >= edges[0]) & (net < edges[-1])
    assert (edges[code][inside] <= net[inside]).all() and (net[inside] < edges[code + 1][inside]).all()
    assert (code[net < edges[0]] == 0).all() and (code[net >= edges[-1]] == len(edges) - 2).all()


def test_bins_of_holding_times_are_whole_bars():
    edges = COLUMNS.holding_bins
    assert edges[0] == 0.0 and (edges == np.floor(edges)).all()
    assert len(edges) - 1 <= 27


# Regimes


def test_a_day_has_the_regime_that_was_known_at_the_close_before():
    run, market = analysed.made(2, 700)
    columns = Columns.of(run, market=market)
    for kind in ("volatility", "trend", "term", "risk"):
        told = columns.regimes(kind)
        labels = regimes.labels(market, kind)
        known = conditions.known_before(labels, market.names, Daily.of(run)).together
        assert told.names == (*regimes.NAMES[kind], "not known") and told.missing == ""
        assert told.code[0] == len(told.names) - 1
        assert np.where(known < 0, len(told.names) - 1, known).tolist() == told.code[1:].tolist()
        for t in range(1, len(columns.days)):  # the same, day by day
            before = np.flatnonzero(market.days < columns.days[t])
            expected = labels.together[before[-1]] if len(before) else -1
            assert told.code[t] == (expected if expected >= 0 else len(told.names) - 1)


def test_the_future_does_not_reach_back_into_regimes():
    run, market = analysed.made(2, 700)
    changed = np.where(np.arange(700)[:, None] < 500, market.mark, 2.0 * market.mark + 30.0)
    for kind in ("volatility", "trend"):
        whole = Columns.of(run, market=market).regimes(kind).code
        other = Columns.of(run, market=replace(market, mark=changed)).regimes(kind).code
        assert (other[:501] == whole[:501]).all()  # row 501 is the day whose close before is the first one changed
        assert (other[501:] != whole[501:]).any()


def test_a_run_without_its_market_has_no_regimes_and_says_why():
    told = COLUMNS.regimes("volatility")
    assert told.names == () and not told.code.any()
    assert "open one" in told.missing


def test_regimes_of_a_stored_run_are_made_of_its_store_or_the_reason_is_told(tmp_path):
    archive = build(tmp_path / "store")
    run = run_and_save(archive, Portfolio.from_toml(PORTFOLIO))[0]
    told = Columns.of(run, archive).regimes("volatility")
    assert told.names == ("low", "normal", "high", "not known") and told.missing == ""
    text = "root,field,value,valid_from,source\nMES,multiplier,50,2000-01-01,hand\n"
    (archive.path / "contracts.csv").write_text(text)
    told = Columns.of(run, archive).regimes("volatility")
    assert told.names == () and "made of other data than snapshot 1" in told.missing


def test_regimes_are_not_waited_for():
    run, market = analysed.made(2, 400)
    columns = Columns.of(run, market=market)
    assert columns.regimes_now("trend").names == ()
    assert "being worked out" in columns.regimes_now("trend").missing
    columns.regimes("trend")
    assert columns.regimes_now("trend") is columns.regimes("trend")


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
        mine, kept = (tables[name].filter(pl.col("market") == market) for name in ("trades", "ledger"))
        whole = mine["net"].sum() + kept.filter(pl.col("cause") == "fx")["amount"].sum()
        assert columns.cell["amount"][of_cells("line", columns) == k].sum() == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 3, 8])  # books with two lines of one strategy in one market
def test_two_lines_of_one_strategy_in_one_market_stay_apart(seed):
    run, _, _ = random_runs.run_of(seed)
    run.portfolio = SimpleNamespace(currency="USD", compounding=True)
    columns, trades = Columns.of(run), run.trades()
    labels = [(columns.line_strategy[k], columns.line_root[k]) for k in range(len(columns.line_root) - 1)]
    assert len(set(labels)) < len(labels) == trades["line"].n_unique()
    owner, count = columns.owner, len(trades)
    made = (owner["gross"] + owner["cost"])[:count]
    assert made == pytest.approx(columns.table["net"].to_numpy(), abs=0.005)


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
    assert len(TradeList(run).models["trades"].data["net"])  # and the table of trades is drawn, without what began them


def test_a_day_after_the_last_one_is_refused():
    run = SyntheticRun(years=1, sectors={"Energy": "CL"})
    ledger = run.ledger()
    late = ledger.tail(1).with_columns(pl.lit(date(2040, 1, 2)).alias("day"))
    run.ledger = lambda: pl.concat([ledger, late])
    with pytest.raises(ValueError, match="day 2040-01-02 lies after 20"):
        Columns.of(run)


def test_a_run_without_a_row_has_columns_too():
    run = EmptyRun(years=1)
    rows = run.ledger().clear()
    run.ledger = lambda: rows
    columns = Columns.of(run)
    assert len(columns.cell["day"]) == 0
    assert columns.paid.dtype == float and not columns.paid.any()
    whole = crossfilter(columns, Selection())
    assert not whole.profit.any() and "Nothing was traded" in whole.warning


def test_a_run_without_a_trade_has_columns_too():
    columns = Columns.of(EmptyRun(years=1))
    assert columns.roots == ()
    assert len(columns.cell["day"]) > 0  # interest
    assert len(columns.trade["net"]) == 0
