"""The money of what is picked: tables and the waterfall against hand-worked runs and the ledger itself."""

import re
from datetime import date
from functools import cache
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import synthetic_run

from app.columns import Columns
from app.crossfilter import crossfilter
from app.money import FILTERS, PAID, Missing, Money
from app.selection import Selection
from app.view import Board
from app.views.attribution import BOUNDS, NOTHING, Pivot, Waterfall, bars_of, heat, steps
from engine import backtest
from engine.analysis.attribution import HELD
from engine.result import load
from store import open_archive
from tests import analysed, random_runs
from tests.small_runs import Buys, market, portfolio

SPAN = (date(2024, 9, 2), date(2025, 6, 30))


@cache
def walked(kind=None):
    """A board of a run of two strategies in three markets, with stops, rolls, costs, interest; its regimes known."""
    run, held = analysed.made(3, 600, sleeves=2)
    columns = Columns.of(run, market=held)
    columns.regimes("trend")
    return columns


def shown(run):
    """(board, table, waterfall), worked out."""
    board = Board(run)
    views = Pivot(board=board), Waterfall(board=board)
    board.settle()
    assert not board.alert.visible, board.alert.text
    return board, *views


def text(view):
    """What a view says, without its tags."""
    model = view.models["pivot" if isinstance(view, Pivot) else "steps_text"]
    return " ".join(re.sub(r"<[^>]+>", " ", model.text).split())


def table(view):
    """{row: {column: number}} of the table, read back from its HTML; with what is pale."""
    body = view.models["pivot"].text
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
    plain = [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in rows]
    return {row[0]: dict(zip(plain[0][1:], row[1:], strict=True)) for row in plain[1:]}


def two_markets(fx="sweep"):
    """A long, B short over the turn of a year; by hand A won 10 and 10, B 5, -10 and 7.5; interest 9.9995."""
    days = np.array(["2024-12-30", "2024-12-31", "2025-01-02", "2025-01-03", "2025-01-06"], "datetime64[D]")
    mark = np.array([[100.0, 50.0], [101.0, 49.0], [102.0, 51.0], [102.0, 49.5], [102.0, 49.5]])
    held = market(
        mark, ("A", "B"), open=np.vstack([mark[:1], mark[:-1]]), multiplier=[[10.0, 5.0]] * 5, days=days,
        sectors=("metals", "bonds"), currencies=("USD", "EUR"), rate=np.array([0.0, 0.0, 0.036, 0.0, 0.0]),
    )  # fmt: skip
    wants = np.array([[1.0, -1.0], [1.0, -1.0], [0.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    return backtest(held, portfolio((Buys.of(wants), {}), settings=["portfolio.capital=100000"]))


# ---- by hand


def test_a_table_has_the_money_of_each_pair_and_its_totals():
    _, pivot, _ = shown(two_markets())
    assert table(pivot) == {
        "A": {"price": "20", "interest": "", "total": "20"},
        "B": {"price": "2", "interest": "", "total": "2"},  # 2.50, rounded to even
        "account": {"price": "", "interest": "10", "total": "10"},
        "total": {"price": "22", "interest": "10", "total": "32"},
    }
    assert "adds up The table sums to $32.50 = net profit of what is picked $32.50 , to the cent." in text(pivot)
    pivot.choices[0].value, pivot.choices[1].value = "side", "year"
    assert table(pivot)["short"] == {"2024": "5", "2025": "-2", "total": "2"}
    pivot.choices[2].value = "interest"
    assert table(pivot) == {"account": {"2025": "10", "total": "10"}, "total": {"2025": "10", "total": "10"}}
    assert "Interest: $10.00" in text(pivot) and "All causes sum to $32.50 = net profit" in text(pivot)


def test_the_waterfall_goes_from_gross_to_net():
    way = steps(["spot", "roll_yield", "entry_slippage", "commission", "interest"], [50.0, -20.0, -3.0, -2.0, 4.0])
    assert way[2:] == [
        ("gross", 30.0, True), ("slippage, entry", -3.0, False), ("commission", -2.0, False),
        ("after costs", 25.0, True), ("interest", 4.0, False), ("net", 29.0, True),
    ]  # fmt: skip
    bars, joins = bars_of(way)
    assert bars["low"].tolist() == [0.0, 30.0, 0.0, 27.0, 25.0, 0.0, 25.0, 0.0]
    assert bars["high"].tolist() == [50.0, 50.0, 30.0, 30.0, 27.0, 25.0, 29.0, 29.0]
    assert joins["x0"].tolist() == [50.0, 30.0, 30.0, 27.0, 25.0, 25.0, 29.0]
    _, _, waterfall = shown(two_markets())
    source = waterfall.models["steps"].data
    assert source["cause"].tolist() == ["price", "gross", "interest", "net"]
    assert source["amount"].tolist() == pytest.approx([22.5, 22.5, 9.9995, 32.4995])
    assert waterfall.models["steps_y"].factors == ["net", "interest", "gross", "price"]
    amounts = [factor.strip("\u200b") for factor in waterfall.models["steps_amounts"].factors]
    assert amounts == ["$32", "$10", "$22", "$22"]
    assert "Causes sum to $32.50 = net profit of what is picked $32.50" in text(waterfall)
    assert "Price is whole: spot and roll yield need the store of the run." in text(waterfall)


def test_a_heat_table_counts_what_is_picked_alone():
    kept = [np.array([True, False]), np.ones(2, bool)]
    made = heat([["a", "b"], ["x", "y"]], np.array([[1.0, -4.0], [10.0, 0.0]]), kept, "")
    assert re.findall(r'class="whole (\w*)" title="([-\d.]+)"', made) == [
        ("", "-3.00"), ("pale", "10.00"), ("", "1.00"), ("", "-4.00"), ("", "-3.00"),
    ]  # fmt: skip
    deep = re.findall(r'class="([a-z -]+)" style="--deep:(\d+)%"', made)
    assert deep == [("gain-ground", "50"), ("loss-ground", "100"), ("gain-ground pale", "100")]


# ---- the total is that of the slice, whatever is picked

PICKS = (
    {}, {"markets": ["A"]}, {"sectors": ["metals"]}, {"directions": ["long"]}, {"strategies": ["Wants"]},
    {"exit_reasons": ["signal"]}, {"entry_reasons": ["market"]}, {"holding": (3.0, 12.0)}, {"results": (None, 0.0)},
    {"days": SPAN}, {"regimes": ["down"]}, {"markets": ["A", "C"], "directions": ["short"], "days": SPAN},
    {"regimes": ["down", "not known"], "holding": (None, 10.0), "days": SPAN},
    {"days": (date(2050, 1, 1), date(2050, 2, 1))},
)  # fmt: skip


@pytest.mark.parametrize("pick", PICKS, ids=str)
def test_every_table_sums_to_the_profit_of_the_slice_to_the_cent(pick):
    columns = walked()
    money = Money.of(Board(columns))
    picked = crossfilter(columns, Selection(regime="trend", **pick))
    net = picked.profit[picked.rows].sum()
    left = money.left(picked, "trend")
    assert left.total == pytest.approx(net, abs=0.005)
    for by in money.dimensions("trend"):
        assert left.matrix(by).sum() == pytest.approx(net, abs=0.005), by
        wide = money.left(picked, "trend", (by,))
        kept = picked.chosen[FILTERS[by][0]] if by in FILTERS else []
        rows = [not kept or name in kept for name in wide.labels(by)]
        assert wide.matrix(by)[rows].sum() == pytest.approx(net, abs=0.005), by  # what is pale counts nothing


@pytest.mark.parametrize("seed", range(12))
def test_random_books_are_split_as_the_slice_splits_them(seed):
    run, _, _ = random_runs.run_of(seed)
    run.portfolio = SimpleNamespace(currency="USD", compounding=True)
    board = Board(run)
    money = Money.of(board)
    ledger = run.ledger()
    paid = ledger.filter(pl.col("cause").cast(pl.String) == PAID)["amount"].sum()
    assert money.left(board.whole).total == pytest.approx(ledger["amount"].sum() - paid, abs=0.005)
    rng, days = np.random.default_rng(seed), board.columns.days.astype(object)
    for _ in range(6):
        ends = tuple(sorted(rng.choice(days, 2)))
        one = {"directions": [str(rng.choice(["long", "short"]))], "holding": (None, float(rng.integers(1, 20)))}
        two = {"markets": [str(rng.choice(board.columns.roots))], "days": ends}
        for pick in (one, two, one | two):
            picked = crossfilter(board.columns, Selection(**pick))
            assert money.left(picked).total == pytest.approx(picked.profit[picked.rows].sum(), abs=0.005), pick


def test_foreign_money_that_is_kept_is_of_no_side_in_slice_and_table():
    mark = [18000.0, 18000.0, 18100.0, 18100.0, 18100.0]  # +2,500 euro at 1.10; later at 1.20 they are worth 250 more
    held = market(mark, multiplier=25.0, fx=[1.1, 1.1, 1.1, 1.1, 1.2], currencies=("EUR",))
    settings = ["portfolio.capital=100000", "execution.fx=hold"]
    run = backtest(held, portfolio((Buys.of([1.0, 1.0, 0.0, 0.0, 0.0]), {}), settings=settings))
    board, pivot, _ = shown(run)
    pivot.choices[1].value = "side"
    assert table(pivot)["A"] == {"long": "2,750", "no trade": "250", "total": "3,000"}
    board.selection.directions = ["long"]
    assert "sums to $2,750.00 = net profit of what is picked $2,750.00" in text(pivot)
    assert table(pivot)["total"] == {"long": "2,750", "no trade": "250", "total": "2,750"}


# ---- picking


def test_the_name_of_a_row_picks_it_and_again_takes_it_out():
    board, pivot, _ = shown(walked())
    for by, name, field, value in (
        ("market", "A", "markets", ["A"]), ("sector", "metals", "sectors", ["metals"]),
        ("side", "long", "directions", ["long"]),
        ("year", "2024", "days", (date(2024, 1, 1), date(2024, 12, 31))), ("holding", "6-20", "holding", (6.0, 20.0)),
    ):  # fmt: skip
        pivot.choices[0].value = by
        head = f'data-do="pivot" data-by="{by}" data-name="{name}" aria-pressed="{{}}"'
        assert head.format("false") in pivot.models["pivot"].text
        board.fulfil(f'{{"do": "pivot", "by": "{by}", "name": "{name}"}}')
        assert getattr(board.selection, field) == value
        assert head.format("true") in pivot.models["pivot"].text
        assert "adds up" in text(pivot)
        board.fulfil(f'{{"do": "pivot", "by": "{by}", "name": "{name}"}}')
        assert getattr(board.selection, field) in (None, [])
    assert not board.alert.visible, board.alert.text


@pytest.mark.parametrize("asked", [("market", "XX"), ("cause", "price"), ("market", "account"), ("year", "x")])
def test_what_is_no_name_of_a_row_is_refused(asked):
    board, *_ = shown(walked())
    board.fulfil(f'{{"do": "pivot", "by": "{asked[0]}", "name": "{asked[1]}"}}')
    assert board.alert.visible and "cannot be picked" in board.alert.text and board.selection.chips() == []


def test_unpicked_rows_stay_in_sight_and_do_not_count():
    board, pivot, _ = shown(walked())
    whole = table(pivot)
    board.selection.markets = ["B"]
    found = table(pivot)
    assert found["A"] == whole["A"] and found["total"] == found["B"] | {
        name: "0" for name in found["total"] if not found["B"][name]
    }
    assert pivot.models["pivot"].text.count('class="text pale"') == len(whole) - 2


def test_regimes_are_worked_out_when_asked_for():
    run, held = analysed.made(3, 600)
    board, pivot, _ = shown(Columns.of(run, market=held))
    board.selection.regime = "trend"
    assert "regime trend" not in board.columns.made
    pivot.choices[0].value = "regime"
    assert {"down", "total"} < set(table(pivot)) and "Regime: trend of all markets together" in text(pivot)
    board.fulfil('{"do": "pivot", "by": "regime", "name": "down"}')
    assert board.selection.regimes == ["down"] and "adds up" in text(pivot)


def test_the_bounds_of_holding_times_are_those_of_their_names():
    assert [*BOUNDS] == [text for _, text in HELD]
    assert BOUNDS["0"] == (0.0, 0.0) and BOUNDS["6-20"] == (6.0, 20.0) and BOUNDS["over 250"] == (251.0, None)


# ---- what is not there


def test_two_equal_dimensions_are_no_table():
    _, pivot, _ = shown(two_markets())
    pivot.choices[1].value = "market"
    assert "Rows and columns are the same" in text(pivot)


def test_without_money_there_are_words():
    board, pivot, waterfall = shown(synthetic_run.EmptyRun(years=1))
    board.selection.directions = ["long"]
    assert NOTHING in pivot.models["pivot"].text and NOTHING in waterfall.models["steps_text"].text
    assert not waterfall.models["steps_plot"].visible
    board.selection.reset()
    assert "adds up" in text(pivot) and waterfall.models["steps_plot"].visible


def test_before_it_is_worked_out_there_are_words():
    pivot = Pivot(two_markets())
    assert "Working out where every cent came from" in text(pivot) and pivot.choices[0].disabled


def test_tables_that_do_not_fit_each_other_say_so():
    run = synthetic_run.SyntheticRun(years=1)
    run.fills = lambda: synthetic_run.frame([], synthetic_run.FILL)
    board, pivot, waterfall = shown(run)
    assert isinstance(Money.now(board.columns), Missing)
    for view in (pivot, waterfall):
        assert "The tables of this run do not tell its causes" in text(view)


def test_names_cannot_become_html():
    _, pivot, _ = shown(synthetic_run.SyntheticRun(years=1, sectors={"<b>x": "CL <script>alert(1)</script>"}))
    assert "<script>" not in pivot.models["pivot"].text and "&lt;script&gt;" in pivot.models["pivot"].text


# ---- with the store of the run


def test_with_its_store_price_is_split_and_sums_are_those_of_the_command(ran):
    store, run = ran
    archive = open_archive(store)
    loaded = load(archive, run)
    board = Board(Columns.of(loaded, archive), archive=archive)
    pivot, waterfall = Pivot(board=board), Waterfall(board=board)
    board.settle()
    assert {"spot price", "roll yield"} <= set(table(pivot)["total"])
    equity = loaded.equity()["equity"]
    paid = loaded.ledger().filter(pl.col("cause").cast(pl.String) == PAID)["amount"].sum()
    assert waterfall.models["steps"].data["amount"][-1] == pytest.approx(equity[-1] - equity[0] - paid, abs=0.005)
    assert not re.search("Price is whole", text(waterfall))
