"""The simulation against its slow twin of plain Python: on random books, by hand, on the sample and real prices."""

from collections import Counter
from datetime import date
from importlib import import_module

import numpy as np
import pytest

from config import FOLDER
from engine import Portfolio, backtest, book, load
from engine.simulate import simulate
from store import open_archive, sample
from tests import random_books, small_books
from tests.naive_account import account as slow

FINE = 1e-9  # relatively to the larger, or absolutely below one
AT_MARKET = ("market", "margin call", "capital floor", "time exit")  # one kind of order to the twin
KINDS = [("market" if kind in AT_MARKET else kind) for kind in book.KINDS]
FILLED = (*AT_MARKET, "spread broken")  # why the trade ended, to the twin; to us a fill is one of the market
WHY = {
    "signal": "market", "margin call": "market", "time": "market", "capital floor": "market", "stop": "protective stop",
}  # fmt: skip
TRADE = (
    "line", "direction", "contracts", "entry", "exit", "entry_contract", "exit_contract", "entry_price", "exit_price",
    "rolls", "bars", "gross", "costs",
)  # fmt: skip
TOLD_ONCE = ("order expired", "spread waits")


def market_of(kind, names=AT_MARKET):
    return "market" if kind in names else kind


def near(ours, theirs, what):
    """Assert that numbers agree; says where they part first."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape, what
    apart = ~np.isclose(ours, theirs, rtol=FINE, atol=FINE, equal_nan=True)
    if apart.any():
        place = tuple(int(k) for k in np.argwhere(apart)[0])
        raise AssertionError(f"{what}{list(place)}: {ours[place]} and not {theirs[place]}; {int(apart.sum())} places")


def ledger_of(twin, shape):
    """The twin's ledger as an array."""
    amount = np.zeros(shape)
    for (t, i, cause), value in twin["ledger"].items():
        amount[t, i, book.CAUSES.index(cause)] = value
    return amount


def rows(table, names):
    """Rows as tuples, and what of them are numbers to compare."""
    table = sorted(table, key=lambda row: row[:names])
    return [row[:names] for row in table], [row[names:] for row in table]


def same_rows(ours, theirs, names, what):
    """Assert that two tables have the same rows, their numbers as good as equal."""
    first, second = rows(ours, names), rows(theirs, names)
    only, missing = Counter(first[0]) - Counter(second[0]), Counter(second[0]) - Counter(first[0])
    assert not only and not missing, f"{what}: only ours {sorted(only)[:3]}, only the twin's {sorted(missing)[:3]}"
    if first[1]:
        near(first[1], second[1], what)


def fills(table):
    return [
        (int(t), int(i), int(contract), KINDS[int(kind)], *map(float, told)) for t, i, contract, kind, *told in table
    ]


def events(table):
    """Events; of those that are told once, only that they were."""
    told = [(int(t), int(i), book.EVENTS[int(k)] if not isinstance(k, str) else k, a, b) for t, i, k, a, b in table]
    return [(t, i, kind, *((0.0, 0.0) if kind in TOLD_ONCE else (a, b))) for t, i, kind, a, b in told]


def trades(table):
    """Trades of the engine as the twin tells them."""
    told = [dict(zip(book.TRADE_FIELDS, row, strict=True)) for row in table.tolist()]
    for trade in told:
        why = book.EXITS[int(trade["exit_reason"])]
        trade["why"] = WHY.get(why, why)
    return told


def same_trades(ours, theirs, what):
    """Assert that both tell the same trades."""
    tables = []
    for told in (trades(ours), theirs):
        rows_ = [
            (*(int(t[n]) for n in ("line", "entry", "exit")), market_of(t["why"]), *(t[n] for n in TRADE)) for t in told
        ]
        tables.append(rows_)
    same_rows(*tables, 4, what)


def compare(arguments):
    """Assert that the simulation and its twin leave the same; returns the twin's."""
    twin = slow(*arguments)
    ledger = simulate(*arguments)
    near(ledger.position, twin["positions"], "position")
    near(ledger.left, twin["left"], "left")
    filled = [(*fill[:3], market_of(fill[3], FILLED), *fill[4:]) for fill in twin["fills"]]
    same_rows(fills(ledger.fills), filled, 4, "fills")
    near(ledger.amount, ledger_of(twin, ledger.amount.shape), "amount")
    near(ledger.equity, twin["equity"], "equity")
    near(ledger.sleeve, twin["sleeve"], "sleeve")
    near(ledger.margin, twin["margin"], "margin")
    same_rows(events(ledger.events), events(twin["events"]), 3, "events")
    unsure = np.zeros(ledger.position.shape[1])
    for _, i in twin["ambiguous"]:
        unsure[i] += 1
    near(ledger.ambiguous, unsure, "ambiguous")
    same_trades(ledger.trades, twin["trades"], "trades")
    same_trades(ledger.legs, twin["legs"], "legs")
    return twin


def test_books_made_at_random_are_traded_as_the_twin_does(books):
    parted = {}
    for seed in range(books):
        try:
            compare(random_books.book_of(seed))
        except AssertionError as fault:
            parted[seed] = str(fault).splitlines()[0]
    told = "\n".join(f"{seed}: {fault}" for seed, fault in parted.items())
    assert not parted, f"{len(parted)} of {books} books:\n{told}"


def first_bars(given, end):
    """The arguments of a simulation of the first bars alone."""
    time = len(given[0].mark)

    def cut(part):
        if not isinstance(part, tuple):
            return part[:end] if isinstance(part, np.ndarray) and len(part) == time else part
        told = {name: cut(value) for name, value in part._asdict().items() if isinstance(value, np.ndarray)}
        return part._replace(**told)

    return tuple(cut(part) for part in given)


@pytest.mark.parametrize("seed", [1, 4, 6, 9, 15])  # of which spreads break, by day and within it
def test_bars_that_come_later_change_nothing_of_a_spread_that_breaks(seed):
    given = random_books.book_of(seed)
    whole = simulate(*given)
    broken = whole.events[whole.events[:, 2] == book.SPREAD_BROKEN][:, 0].astype(int)
    assert len(broken)
    for end in {int(t) + more for t in broken for more in (1, 2, 3) if t + more < len(whole.equity)}:
        part = simulate(*first_bars(given, end))
        near(part.position, whole.position[:end], "position")
        near(part.equity, whole.equity[:end], "equity")
        assert part.events.tolist() == whole.events[whole.events[:, 0] < end].tolist()


@pytest.mark.parametrize(
    "make", [small_books.long_es, small_books.rolled, small_books.spread_of_two, small_books.slow_roll]
)
def test_books_worked_by_hand_are_traded_as_the_twin_does(make):
    compare(make(facts={"multiplier": 50.0, "slippage": 0.25, "commission": 2.0, "initial": 1000.0}))


def by_hand(position, target, equity, lines):
    """Position on the bar after a margin call on lines of one market: margin 10,000 a contract, flat prices."""
    margin = [0.0, 10_000.0, 10_000.0]  # nothing is asked of the entry
    given = small_books.inputs(
        {"close": [100.0] * 3}, [position, target, target], legs=(([0], [1.0]),) * lines,
        facts={"initial": margin, "maintenance": margin}, capital=(equity,),
    )  # fmt: skip
    assert (1, -1, "margin call") in [event[:3] for event in compare(given)["events"]]
    return simulate(*given).position[2].tolist()


@pytest.mark.parametrize(("target", "after"), [(9, 3), (2, 2), (-2, -2), (-13, -3)])
def test_t29_a_margin_call_caps_a_target_and_leaves_its_side(target, after):
    """Five contracts where equity covers three: at most three of what is wanted, on its side."""
    assert by_hand([5], [target], 30_000.0, 1) == [after]


def test_t29_a_margin_call_cuts_lines_that_net_until_the_margin_is_covered():
    """One contract net, of 3 and -2: nine tenths of each, in whole ones, are 2 and -1, again one net."""
    assert by_hand([3, -2], [3, -2], 9_000.0, 2) == [0.0, 0.0]


@pytest.fixture
def arguments(monkeypatch):
    """Runs a portfolio and gives the arguments that its simulation was called with, beside the run."""
    module = import_module("engine.backtest")  # `engine.backtest` is the function

    def run(loaded, portfolio):
        seen = []
        monkeypatch.setattr(module, "simulate", lambda *given: seen.append(given) or simulate(*given))
        return backtest(loaded, portfolio), seen[0]

    return run


@pytest.fixture(scope="module", params=["USD", "EUR"])
def sampled(request, tmp_path_factory):
    """Six markets of the sample in four currencies, and the account's."""
    archive = open_archive(tmp_path_factory.mktemp("sample") / "store", create=True)
    sample.build(archive)
    roots = ["CL", "FGBL", "JGB", "MES", "Z", "ZC"]
    return load(archive, roots, end=date(2018, 12, 31), currency=request.param)


@pytest.mark.parametrize(
    "settings",
    [[], ["portfolio.compounding=false", "execution.fx=hold"], ["portfolio.capital=150000", "limits.max_contracts=2"]],
)
def test_two_years_of_the_sample_are_traded_as_the_twin_does(sampled, arguments, settings):
    trend = Portfolio.from_toml(FOLDER / "portfolios" / "trend.toml")
    settings = [f"portfolio.currency={sampled.currency}", "strategies.0.fast=10", "strategies.0.slow=40", *settings]
    _, given = arguments(sampled, trend.with_settings(["portfolio.start=2017-01-01", *settings]))
    assert len(given[0].mark) > 500
    twin = compare(given)
    assert len(twin["legs"]) > 50
    assert any(cause == "interest" and amount != 0.0 for (_, _, cause), amount in twin["ledger"].items())


@pytest.mark.parametrize(
    ("name", "fill", "fx"), [("trend", "settle", "sweep"), ("fixed", "settle", "sweep"), ("trend", "open", "hold")]
)
def test_two_years_of_24_real_markets_are_traded_as_the_twin_does(real, arguments, name, fill, fx):
    settings = ["portfolio.start=2019-06-01", f"rolls.fill={fill}", f"execution.fx={fx}"]
    portfolio = Portfolio.from_toml(FOLDER / "portfolios" / f"{name}.toml").with_settings(settings)
    made, given = arguments(load(real, end=date(2021, 6, 30), roll_fill=fill), portfolio)
    twin = compare(given)
    assert len(given[2].instrument) == 24
    assert made.summary["metrics"]["final_equity"] == pytest.approx(twin["equity"][-1], abs=1e-6)
    nets = sorted(made.trades()["net"].to_list())
    assert np.allclose(nets, sorted(t["gross"] + t["costs"] for t in twin["trades"]), rtol=0.0, atol=1e-6)
