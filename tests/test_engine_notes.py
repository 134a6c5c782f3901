"""engine/notes.py: stamps, margin days, and what a reader of a result must know."""

from dataclasses import replace

import numpy as np
import pytest

from engine import book, notes
from engine.backtest import backtest
from engine.members import layout
from tests.small_runs import Buys, Wants, market, portfolio
from tests.test_engine_tables import ledger

UP = 100.0 + np.arange(12.0)
NONE = np.nan


def told(made, settings=(), estimated=None, happened=(), traded=True, inside=None):
    """The notes on a market that was run."""
    estimated = np.zeros(made.mark.shape, bool) if estimated is None else estimated
    given = ledger(trades=np.ones((1 if traded else 0, 17)))
    asked = portfolio((Wants(), {}), settings=settings)
    return list(notes.notes(made, asked, estimated, given, list(happened), None, inside))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], []),
        (["execution.fill=close"], ["market orders fill at the close of the next bar"]),
        (["execution.fill=settle"], ["market orders fill at settlements, at which nobody can be sure to trade"]),
        (["execution.fill=same_close"], ["market orders fill at the very close that decided them: this looks ahead"]),
        (["rounding=fractional"], ["fractions of contracts are traded"]),
        (
            ["execution.fill=close", "rounding=fractional"],
            ["market orders fill at the close of the next bar", "fractions of contracts are traded"],
        ),
        (["rounding=nearest_risk", "ties=nearer", "rolls.fill=open"], []),
    ],
)
def test_t24_what_is_kinder_than_trading_is_stamped(settings, expected):
    run = backtest(market(UP), portfolio((Wants(), {}), settings=settings))
    assert run.summary["stamps"] == expected


def test_each_market_day_of_margin_has_one_source():
    contract = np.where(np.arange(12)[:, None] < [3, 0, 0], 0, 202406)  # the first begins on its fourth bar
    own = np.tile([False, True, True], (12, 1))
    three = market(np.column_stack([UP] * 3), contract=contract, own_margin=own)
    estimated = np.zeros((12, 3), bool)
    estimated[:5, 0], estimated[:2, 2] = True, True  # the first three of the first are of no contract
    found = notes.margin_days(three, estimated)
    assert found == {"exchange": 7, "broker": 12 + 10, "estimate": 2 + 2}
    assert sum(found.values()) == (contract > 0).sum()


def test_a_run_of_nothing_odd_has_no_note():
    assert told(market(UP, rate=np.full(12, 0.01))) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"simulated": True}, "prices are simulated"),
        ({"rate": np.zeros(12)}, "no interest rate series: cash earns nothing"),
        ({"priceless": ("NG",)}, "not traded, no stored row has a price: NG"),
        ({"fx_age": [0.0] * 9 + [8.0, 30.0, 31.0]}, "exchange rate older than 7 days, days: A 2"),
        (
            {"fx_age": [0.0] * 9 + [8.0, 30.0, 31.0]},
            "not traded for want of an exchange rate of at most 30 days, days: A 1",
        ),
        (
            {"mark": [*UP[:10], NONE, NONE], "closed": [False] * 11 + [True]},
            "prices end, and what was held was closed at the last one when its contract ended: A 2024-01-12",
        ),
    ],
)
def test_a_note_says_what_is_odd_about_the_prices(changes, expected):
    usual = {"rate": np.full(12, 0.01), "mark": UP} | changes
    assert expected in told(market(usual.pop("mark"), **usual))


def test_prices_that_stand_in_are_named_by_market_and_rank():
    sources = {"CL": {"source": "hand", "proxy": "MCL", "until": None, "filled": 3}}
    two = market(np.column_stack([UP, UP]), ("CL", "CL.c.3"), roots=("CL", "CL"), sources=sources,
                 proxy=np.tile([True, False], (12, 1)), rate=np.full(12, 0.01))  # fmt: skip
    assert told(two) == [
        "proxy days, prices of another contract stand in: CL 12 of MCL", "rows filled from a second source: CL 3",
    ]  # fmt: skip
    assert notes.data(two, 0) == {"source": "hand", "proxy": "MCL", "proxy_days": 12, "filled": 3, "quality": None}
    assert notes.data(two, 1)["proxy"] == "" and notes.data(two, 1)["proxy_days"] == 0


def test_estimates_idle_rules_late_payments_and_an_idle_run_are_told():
    estimated = np.zeros((12, 1), bool)
    estimated[:3] = True
    settings = ["rolls.roots.GC=oi", "cash.payments=[{day = 2030-01-01, amount = 5}, {day = 2020-01-01, amount = 5}]"]
    assert told(market(UP, rate=np.full(12, 0.01)), settings, estimated, traded=False) == [
        "roll rules of markets that are not traded: GC",
        "nothing was traded: see events and available markets; the capital may be too small for one contract",
        "margin is estimated from volatility on 25.0% of the markets' days",
        "payments that no bar books: 2020-01-01, 2030-01-01",
    ]


def test_a_position_that_found_no_price_to_roll_at_is_told_but_not_twice_where_its_prices_end():
    gone = [{"day": "2024-01-05", "root": "A", "kind": "closed: no matched price"}]
    assert told(market(UP, rate=np.full(12, 0.01)), happened=gone) == [
        "closed because no price to roll at came in time: A 2024-01-05"
    ]
    often = [gone[0] | {"day": f"2024-01-{day:02}"} for day in (5, 8, 9)]
    assert told(market(UP, rate=np.full(12, 0.01)), happened=often) == [
        "closed because no price to roll at came in time: A 3 times from 2024-01-05 to 2024-01-09"
    ]
    ended = market([*UP[:3], *[NONE] * 9], closed=np.arange(12) == 4, rate=np.full(12, 0.01))
    assert told(ended, happened=gone) == [
        "prices end, and what was held was closed at the last one when its contract ended: A 2024-01-03"
    ]


def test_spreads_that_broke_are_counted_and_named_and_so_are_the_legs_that_are_left():
    """The pair broke on the 2nd and the 9th of January, the crack on the 4th; A is still held."""
    three = market(np.column_stack([UP] * 3), rate=np.full(12, 0.01))
    rows = [(1, 1), (1, 2), (3, 3), (3, 4), (6, 1), (6, 2)]
    broken = [(t, line, book.SPREAD_BROKEN, 0.0, 0.0) for t, line in rows]
    position = np.zeros((12, 5))
    position[-1] = 2.0, 3.0, 0.0, 0.0, 0.0  # the first line is alone, and whole
    given = ledger(12, 5, trades=np.ones((1, 17)), position=position,
                   events=np.array([(0, 0, book.LOCKED, 1.0, 0.0), *broken]))  # fmt: skip
    legs = {"pair": {"A": 1, "B": -1}, "crack": {"B": 1, "C": -1}}
    placed = layout(three, [(0, "C"), (0, "pair"), (0, "crack")], ["one"], legs, [0], [-1] * 3)
    told = notes.notes(three, portfolio((Wants(), {})), np.zeros((12, 3), bool), given, [], placed=placed)
    assert list(told) == [
        "spreads broken, a leg could no longer trade and the others were closed: 3: pair 2 (first 2024-01-02), "
        "crack 1 (first 2024-01-04)",
        "legs of broken spreads that are still held at the end: pair A 3",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["costs.roots.ZZ.commission_per_side=1"], "costs of markets that are not traded: ZZ"),
        (
            ["costs.dated=[{since=2020-01-01, root='ZZ', commission_per_side=1}]"],
            "costs of markets that are not traded: ZZ",
        ),
        (
            ["sizing.rule=volatility", "sizing.instrument_weights={ZZ = 3, A = 2}"],
            "instrument weights of markets that are not traded: ZZ",
        ),
        (["rebalance=month"], "without effect: portfolio.rebalance, for no strategy has capital of its own"),
        (["limits.groups={g=['A']}"], "without effect: limits.groups, for there is no limits.group_risk"),
        (["costs.impact_factor=5"], "without effect: costs.impact_factor, for costs.impact is 'none'"),
        (["costs.roots.A.impact_factor=5"], "without effect: costs.impact_factor, for costs.impact is 'none'"),
        (["ties=finer"], "without effect: execution.ties = 'finer', for there are no bars within the day"),
        (["stale_leg_days=3"], "without effect: execution.stale_leg_days, for no spread is traded"),
        (["margin.intraday=0.5"], "without effect: margin.intraday, for execution.bars is 'day'"),
    ],
)
def test_a_setting_that_changes_nothing_is_told(settings, expected):
    assert told(market(UP, rate=np.full(12, 0.01)), settings) == [expected]


def test_a_market_held_by_two_strategies_is_named_once():
    closed = [("2024-01-04", "A"), ("2024-01-04", "A"), ("2024-01-04", "B"), ("2024-01-09", "A")]
    gone = [{"day": day, "root": root, "kind": "closed: no matched price"} for day, root in closed]
    two = market(np.column_stack([UP, UP]), rate=np.full(12, 0.01))
    assert told(two, happened=gone) == [
        "closed because no price to roll at came in time: A 2 times from 2024-01-04 to 2024-01-09, B 2024-01-04"
    ]
    twice = "cash.payments=[{day = 2030-01-01, amount = 5}, {day = 2030-01-01, amount = 7}]"
    assert told(two, [twice]) == ["payments that no bar books: 2030-01-01"]


def test_the_days_that_bars_within_the_day_tell_are_counted():
    mark = np.column_stack([UP, [NONE, *UP[1:]], UP])  # 35 market-days
    inside = np.zeros((12, 3), bool)
    inside[2:9, 0], inside[0:3, 1] = True, True  # on the first day the second market has no price
    three = market(mark, rate=np.full(12, 0.01))
    for settings in (["bars=within"], ["ties=finer"]):
        assert "bars within the day were read on 9 of 35 market-days (26%); none of C" in told(
            three, settings, inside=inside
        )
    assert told(three, ["bars=within"], inside=np.zeros((12, 3), bool)) == [
        "without effect: execution.bars = 'within', for there are no bars within the day"
    ]


def test_a_decision_time_of_markets_whose_hours_are_not_known_is_told_with_their_names():
    two, late = market(np.column_stack([UP, UP]), rate=np.full(12, 0.01)), ["decision=16:00 Europe/London"]
    assert told(two, late) == ["without effect: execution.decision, for the hours are not known of A, B"]
    assert told(two) == [] and told(replace(two, hours=lambda days: None), late) == []


@pytest.mark.parametrize(
    "settings",
    [
        ["costs.roots.A.commission_per_side=1"], ["sizing.rule=volatility", "sizing.instrument_weights={A = 2}"],
        ["limits.groups={g=['A']}", "group_risk=0.1"], ["costs.impact_factor=5", "impact=volume"],
        ["margin.intraday=0.5", "bars=within"],
    ],
)  # fmt: skip
def test_a_setting_that_changes_something_is_not_told(settings):
    assert told(market(UP, rate=np.full(12, 0.01)), settings) == []


def test_a_weight_that_nobody_reads_is_told():
    def said(strategy, rule, *settings):
        made = portfolio((strategy, {"weight": 0.5}), rule=rule, settings=settings)
        return list(notes._idle(market(UP), made, None))

    idle = "weight changes nothing where contracts or amounts are told: "
    assert said(Wants(), "fixed") == said(Wants(), "notional") == [f"{idle}wants"]
    assert said(Buys(), "volatility") == [f"{idle}buys"]
    assert said(Wants(), "volatility") == said(Wants(), "notional", "sizing.share=0.5") == []


def test_a_limit_by_open_interest_that_is_not_stored_is_told_with_the_markets():
    two = market(np.column_stack([UP, UP]), rate=np.full(12, 0.01), open_interest=np.column_stack([UP, np.nan * UP]))
    limited = "limits.open_interest_share limits nothing of markets without stored open interest: B"
    assert told(two, settings=["limits.open_interest_share=0.1"]) == [limited]
