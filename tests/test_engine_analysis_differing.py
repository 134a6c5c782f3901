"""Which inputs and which trades two runs do not share, by hand."""

from datetime import date

import polars as pl
import pytest

from engine.analysis import differing
from engine.portfolio import Portfolio
from engine.result import Elsewhere, RunResult
from tests import analysed

HASHES = {"data": "d" * 64, "rolls": "r" * 64, "contracts": "f" * 64, "portfolio": "p" * 64, "code": "c" * 64}
TREND = '[portfolio]\nname = "trend"\n[[strategies]]\nname = "moving_average_cross"\n'
DAYS = [date(2024, 1, day) for day in range(1, 10)]


def of(settings=(), **summary):
    """A run of the inputs that are told."""
    hashes = HASHES | summary.pop("hashes", {})
    told = {"hashes": hashes, "start": "2020-01-01", "end": "2024-12-31", "markets": ["ES", "ZN"], "currency": "USD",
            "snapshot": {"number": 3}, "run": "one"} | summary  # fmt: skip
    return RunResult(told, Portfolio.from_toml(TREND).with_settings([*settings]), [], {})


def rows(first, second):
    return [tuple(row) for row in differing.inputs(first, second).rows()]


def test_runs_of_the_same_inputs_differ_in_nothing():
    found = differing.inputs(of(), of(hashes={"result": "x" * 64}))  # what came out is no input
    assert found.schema == differing.INPUTS and len(found) == 0


def test_a_setting_is_told_by_its_key_under_what_it_is_a_part_of():
    changed = ["fast=10", "costs.slippage_ticks=2", "rolls.rule=oi:2", "sizing.target=0.1", "capital=5e6"]
    found = rows(of(), of([*changed, "limits.max_contracts=5"], hashes={"portfolio": "q" * 64}))
    usual = Portfolio.from_toml(TREND)
    assert found == [
        ("account", "portfolio.capital", "10000000.0", "5000000.0"),
        ("params", "strategies.0.params.fast", str(usual.strategies[0].strategy.fast), "10"),
        ("params", "sizing.target", str(usual.sizing.target), "0.1"),
        ("rolls", "rolls.rule", '"volume:1"', '"oi:2"'),
        ("costs", "costs.slippage_ticks", None, "2.0"),
        ("limits", "limits.max_contracts", None, "5"),
    ]


def test_another_name_of_the_portfolio_is_no_other_input():
    assert rows(of(), of(["portfolio.name=other"], hashes={"portfolio": "q" * 64})) == []


def test_other_data_are_told_with_snapshot_days_and_markets():
    other = {"hashes": {"data": "e" * 64}, "snapshot": {"number": 4}, "markets": ["ZN", "GC"], "end": "2025-06-30"}
    assert rows(of(), of(**other)) == [
        ("data", "hash", "d" * 12, "e" * 12),
        ("data", "snapshot", "3", "4"),
        ("data", "last day", "2024-12-31", "2025-06-30"),
        ("data", "markets that only it has", "ES", "GC"),
    ]


def test_other_bars_of_the_same_snapshot_are_due_to_other_rolls():
    other = {"data": "e" * 64, "rolls": "s" * 64}
    rule = ("rolls", "rolls.rule", '"volume:1"', '"oi:2"')
    rolled = ("rolls", "hash", "r" * 12, "s" * 12)
    assert rows(of(), of(["rolls.rule=oi:2"], hashes=other)) == [rolled, rule]
    assert rows(of(), of(["rolls.rule=oi:2"], hashes=other, snapshot={"number": 4})) == [
        ("data", "hash", "d" * 12, "e" * 12), rolled, ("data", "snapshot", "3", "4"), rule,
    ]  # fmt: skip
    assert rows(of(), of(hashes={"data": "e" * 64})) == [("data", "hash", "d" * 12, "e" * 12)]


@pytest.mark.parametrize("name", ["rolls", "contracts", "code"])
def test_another_hash_is_told_by_its_beginning(name):
    assert rows(of(), of(hashes={name: "0" * 64})) == [(name, "hash", HASHES[name][:12], "0" * 12)]


def test_where_only_the_hash_of_the_portfolio_is_another_the_files_that_it_leans_on_are_named():
    (row,) = rows(of(), of(hashes={"portfolio": "q" * 64}))
    assert row[0] == "costs or code" and "costs.toml" in row[1]


def test_a_run_of_another_program_says_so():
    told = {"hashes": {}, "start": "", "end": "", "markets": [], "program": "PyBroker"}
    other = RunResult(told, lambda: Elsewhere("x", 1.0, "USD", "PyBroker"), [], {})
    assert rows(of(), other)[-1] == ("program", "program", "frontmonth", "PyBroker")
    assert not [key for _, key, *_ in rows(of(), other) if key.startswith("strategies")]


# Trades


def trades(*told):
    """A run of trades: market, side and contracts, entry, exit, reason, net."""
    made = [
        (n, "trend", market, "long" if size > 0 else "short", abs(size), DAYS[entry], DAYS[left], reason, net)
        for n, (market, size, entry, left, reason, net) in enumerate(told, 1)
    ]
    names = ["trade", "strategy", "market", "direction", "contracts", "entry_day", "exit_day", "exit_reason", "net"]
    kinds = [pl.Int64, *[pl.String] * 3, pl.Float64, pl.Date, pl.Date, pl.String, pl.Float64]
    schema = dict(zip(names, kinds, strict=True))
    return RunResult({"run": "x"}, None, [], {"trades": pl.DataFrame(made, schema=schema, orient="row")})


FIRST = trades(
    ("ES", 2, 0, 3, "signal", 100.0),
    ("ES", 1, 4, 6, "signal", 50.0),
    ("ZN", -3, 0, 5, "signal", -20.0),
    ("GC", 1, 1, 2, "stop", -10.0),
    ("CL", 1, 1, 2, "signal", 5.0),
    ("CL", 1, 3, 4, "signal", 5.0),
    ("SI", 1, 0, 1, "signal", 7.0),
)
SECOND = trades(
    ("ES", 2, 0, 3, "signal", 100.0),  # nothing
    ("ZN", 3, 0, 5, "signal", 20.0),  # the other side
    ("GC", 1, 1, 4, "signal", 30.0),  # later out
    ("CL", 2, 1, 2, "signal", 10.0),  # larger
    ("CL", 1, 3, 4, "signal", 4.0),  # dearer
    ("SI", 2, 0, 2, "signal", 9.0),  # larger and later out
    ("ES", 1, 5, 6, "signal", 25.0),  # a day later in
)


def test_trades_are_matched_by_market_strategy_and_entry_day():
    found = differing.trades(FIRST, SECOND)
    assert found.schema == differing.TRADES
    told = {(row["market"], row["entry_day"].day): (row["differs"], row["difference"]) for row in found.to_dicts()}
    assert told == {
        ("ES", 1): ("nothing", 0.0),
        ("ES", 5): ("only in the first", -50.0),
        ("ES", 6): ("only in the second", 25.0),
        ("ZN", 1): ("side", 40.0),
        ("GC", 2): ("exit", 40.0),
        ("CL", 2): ("size", 5.0),
        ("CL", 4): ("money", -1.0),
        ("SI", 1): ("size and exit", 2.0),
    }
    assert [abs(x) for x in found["difference"]] == sorted((abs(d) for _, d in told.values()), reverse=True)
    zn = found.filter(market="ZN").row(0, named=True)
    assert (zn["contracts_1"], zn["contracts_2"]) == (-3.0, 3.0)


def test_their_money_sums_to_the_difference_of_all_trades():
    found = differing.summary(differing.trades(FIRST, SECOND))
    assert found["difference"].sum() == pytest.approx(198.0 - 137.0)
    assert found["net_1"].sum() == 137.0 and found["net_2"].sum() == 198.0
    assert found["differs"].to_list() == list(differing.KINDS)


def test_two_trades_of_one_day_match_in_their_order():
    first = trades(("ES", 1, 0, 0, "stop", -1.0), ("ES", 1, 0, 2, "signal", 5.0))
    second = trades(("ES", 1, 0, 0, "stop", -1.0), ("ES", 1, 0, 3, "signal", 8.0), ("ES", 1, 0, 4, "signal", 2.0))
    found = differing.trades(first, second)
    assert sorted(found["differs"]) == ["exit", "nothing", "only in the second"]


def test_of_random_runs_no_trade_is_lost_and_none_counts_twice():
    first, second = analysed.made(1)[0], analysed.made(2, settings=["costs.slippage_ticks=3"])[0]
    found = differing.trades(first, second)
    assert found["net_1"].is_not_null().sum() == len(first.trades())
    assert found["net_2"].is_not_null().sum() == len(second.trades())
    change = second.trades()["net"].sum() - first.trades()["net"].sum()
    assert found["difference"].sum() == pytest.approx(change, abs=0.005)
    same = differing.trades(first, first)
    assert set(same["differs"]) == {"nothing"}
