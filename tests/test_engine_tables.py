"""engine/tables.py: the tables of a run add up, and tell what the arrays of the simulation hold."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from engine import backtest, book, tables
from engine.book import EVENT_FIELDS, FILL_FIELDS, TRADE_FIELDS
from engine.cash import clock as clock_of
from tests.small_runs import Wants, days, market, portfolio

UP = 100.0 + np.arange(12.0)


def ledger(time=4, lines=1, amount=None, **changes):
    """A ledger of zeros, or with `amount` by cause."""
    amount = np.zeros((time, lines + 1, len(book.CAUSES))) if amount is None else amount
    others = amount.copy()
    others[:, :-1, book.PRICE], others[:, -1, book.INTEREST] = 0.0, 0.0
    usual = {
        "price": amount[:, :-1, book.PRICE].copy(), "interest": amount[:, -1, book.INTEREST].copy(),
        "entries": np.column_stack([*np.nonzero(others), others[np.nonzero(others)]]),
        "position": np.zeros((time, lines)), "left": np.zeros((time, lines)),
        "equity": np.full(time, 100.0), "sleeve": np.full((time, 1), 100.0),
        "margin": np.zeros(time), "notional": np.zeros(time), "residual": np.zeros(lines), "ambiguous": np.zeros(lines),
        "fills": np.zeros((0, len(FILL_FIELDS))), "trades": np.zeros((0, len(TRADE_FIELDS))),
        "legs": np.zeros((0, len(TRADE_FIELDS))), "events": np.zeros((0, len(EVENT_FIELDS))),
    }  # fmt: skip
    return book.Ledger(**(usual | changes))


def by_market(frame, day=None):
    rows = frame if day is None else frame.filter(pl.col("day") == day)
    return rows.with_columns(pl.col(pl.Enum).cast(pl.String)) if len(rows) else rows


# Hashes, identity, events


def test_the_hash_of_a_result_knows_each_number_and_no_sign_of_zero():
    one = ledger()
    assert tables.result_hash(one) == tables.result_hash(ledger(position=np.full((4, 1), -0.0)))
    told = {tables.result_hash(one)}
    for name in ("equity", "price", "interest", "position", "left", "sleeve"):
        changed = getattr(one, name).copy()
        changed.flat[-1] += 1e-9
        told.add(tables.result_hash(replace(one, **{name: changed})))
    for name in ("fills", "trades", "legs", "events", "entries"):
        told.add(tables.result_hash(replace(one, **{name: np.ones((1, getattr(one, name).shape[1]))})))
    assert len(told) == 12


def test_the_identity_holds_to_a_millionth_or_a_trillionth_of_what_moved():
    moved = np.zeros((4, 2, len(book.CAUSES)))
    moved[:2, 0, book.PRICE] = 1e9, -1e9  # two billions moved: 0.002 is a trillionth of them
    assert tables.identity_holds(ledger(residual=np.array([0.9e-6])))
    assert not tables.identity_holds(ledger(residual=np.array([1.1e-6])))
    assert tables.identity_holds(ledger(amount=moved, residual=np.array([0.0019])))
    assert not tables.identity_holds(ledger(amount=moved, residual=np.array([0.0021])))


def traded(gross, costs, line=0):
    """A trade of a line."""
    row = np.zeros((1, len(TRADE_FIELDS)))
    row[0, book.LINE], row[0, book.GROSS], row[0, book.COSTS] = line, gross, costs
    return row


def test_trades_told_either_way_have_to_sum_to_the_ledger_of_their_line_but_for_fx():
    """First line: 90 by price, -10 by commission; 7 of `fx` are of no trade. Second: 5 by price."""
    amount = np.zeros((4, 3, len(book.CAUSES)))
    amount[1, 0, [book.PRICE, book.COMMISSION, book.FX]] = 90.0, -10.0, 7.0
    amount[2, 1, book.PRICE], amount[3, 2, book.INTEREST] = 5.0, 3.0
    both = np.vstack([traded(90.0, -10.0), traded(5.0, 0.0, 1)])
    split = np.vstack([traded(60.0, -4.0), traded(30.0, -6.0), traded(5.0, 0.0, 1)])
    sound = ledger(lines=2, amount=amount, trades=both, legs=split)
    assert tables.trades_apart(sound).tolist() == [0.0, 0.0] and tables.identity_holds(sound)
    for name, rows in (("trades", both), ("legs", split)):
        short = replace(sound, **{name: rows[:-1]})
        assert tables.trades_apart(short).tolist() == [0.0, 5.0] and not tables.identity_holds(short)
    swapped = replace(sound, trades=np.vstack([traded(5.0, 0.0), traded(90.0, -10.0, 1)]))
    assert tables.trades_apart(swapped).tolist() == [75.0, 75.0]  # the sum of all is right, those of the lines are not


def happened(count):
    """So many partial fills and one margin call."""
    rows = np.zeros((count + 1, len(EVENT_FIELDS)))
    rows[:, 2], rows[:, 3], rows[:, 4] = book.PARTIAL, 7.0, 3.0
    rows[-1] = 1, -1, book.MARGIN_CALL, 900.0, np.nan
    return ledger(events=rows)


def test_the_first_events_of_a_kind_are_listed_and_all_are_counted():
    one, placed = happened(tables.TOLD + 5), SimpleNamespace(labels=(("trend", "CL.c.3"),))
    listed = tables.events(one, SimpleNamespace(days=days(4)), placed)
    assert tables.counted(one) == {"margin call": 1, "partial fill": tables.TOLD + 5}
    assert len(listed) == tables.TOLD + 1
    assert listed[0] == {"day": "2024-01-01", "root": "CL.c.3", "kind": "partial fill", "wanted": 7.0, "allowed": 3.0}
    assert listed[-1] == {"day": "2024-01-02", "root": "", "kind": "margin call", "wanted": 900.0, "allowed": None}


# Tables of runs


def test_every_fill_shows_a_price_inside_the_range_of_its_bar_and_pays_all_its_slippage():
    prices = {"high": UP + 1.0, "low": UP - 1.0, "open": UP, "multiplier": 50.0}
    wild = market(UP, **prices)
    told = portfolio((Wants.of([0, 2, 2, 2, -1, -1, -1, 0, 0, 0, 0, 0]), {}), settings=["costs.slippage_ticks=10"])
    made = backtest(wild, told)
    fills = by_market(made.fills())
    # 10 ticks of 0.25 are 2.50 points, and a bar reaches 1.00 from its open
    assert fills["contracts"].to_list() == [2.0, -3.0, 1.0] and set(fills["kind"]) == {"market"}
    assert fills["price"].to_list() == [102.0, 105.0, 108.0]
    assert fills["shown"].to_list() == [103.0, 104.0, 109.0]
    assert fills["slippage"].to_list() == [-2 * 2.5 * 50, -3 * 2.5 * 50, -2.5 * 50]
    assert fills["slippage"].sum() == pytest.approx(made.summary["ledger"]["slippage"])


def rolling(**changes):
    """A market that rolls on its fifth bar from June, at 104, into September, 3 points higher."""
    roll = np.arange(12) == 4
    after = np.arange(12) > 4
    june, september = UP, UP + 3.0
    usual = {
        "mark": np.where(after, september, june), "offset": np.where(after, 0.0, 3.0), "roll": roll,
        "contract": np.where(after, 202409, 202406), "roll_contract": np.where(roll, 202409, 0),
        "roll_from": np.where(roll, june, np.nan), "roll_to": np.where(roll, september, np.nan),
        "roll_from_fill": np.where(roll, june, np.nan), "roll_to_fill": np.where(roll, september, np.nan),
        "left_contract": np.where(after, 202406, 0), "left_open": june, "left_mark": june,
        "left_end": np.arange(12) == 8,
    } | changes  # fmt: skip
    return market(usual.pop("mark"), **usual)


def test_a_roll_is_two_fills_and_the_leg_of_another_contract_has_no_range_to_stay_in():
    made = backtest(rolling(), portfolio((Wants(), {}), settings=["costs.slippage_ticks=4"]))
    fills = by_market(made.fills())
    out, into = fills.filter(fills["kind"] == "roll out"), fills.filter(fills["kind"] == "roll in")
    assert (out["contract"][0], into["contract"][0]) == (202406, 202409)
    assert (out["price"][0], into["price"][0]) == (104.0, 107.0)
    assert out["shown"][0] == 104.0  # the bar is one price, 104
    assert into["shown"][0] == 108.0  # four ticks above its own price: no bar of that contract is known here


def test_a_roll_over_several_days_shows_both_contracts_and_their_sum_is_the_position():
    made = backtest(rolling(), portfolio((Wants(), {}), settings=["sizing.contracts=3", "rolls.days=3"]))
    held = by_market(made.positions())
    told = {
        str(day): sorted(rows.select("contract", "contracts", "mark").rows())
        for (day,), rows in held.group_by("day", maintain_order=True)
    }
    days_ = [str(day) for day in days(12)]
    assert told[days_[4]] == [(202406, 2.0, 104.0), (202409, 1.0, 107.0)]  # a third on the roll day
    assert told[days_[5]] == [(202406, 1.0, 105.0), (202409, 2.0, 108.0)]
    assert told[days_[6]] == [(202409, 3.0, 109.0)]
    assert held.group_by("day").agg(pl.col("contracts").sum())["contracts"].unique().to_list() == [3.0]
    assert made.summary["events"] == {"roll over several days": 1} and made.identity_holds


def test_lines_of_one_root_are_told_apart_by_their_market():
    two = market(np.column_stack([UP, UP + 5.0]), ("CL.c.0", "CL.c.3"), roots=("CL", "CL"))
    made = backtest(two, portfolio((Wants(), {})))
    for frame in (made.trades(), made.positions(), made.ledger(), made.fills(), made.contract_trades()):
        rows = by_market(frame)
        assert set(rows["root"]) == {"CL"} and set(rows["market"]) == {"CL.c.0", "CL.c.3"}


def test_what_is_of_the_account_alone_has_no_strategy_root_or_market():
    rate = np.full(12, 0.05)
    made = backtest(market(UP, rate=rate), portfolio((Wants(), {})))
    own = by_market(made.ledger()).filter(pl.col("cause") == "interest")
    assert set(own["strategy"]) == set(own["root"]) == set(own["market"]) == {""} and own["amount"].sum() > 0.0


# Sleeves


def sleeved(settings=(), **changes):
    """Two strategies with capital of their own: one long two of A, the other short one of A and long one of B."""
    both = market(np.column_stack([UP, 50.0 - np.arange(12.0) / 3.0]), rate=np.full(12, 0.05), **changes)
    told = portfolio(
        (Wants.of(2.0), {"capital": 0.3, "markets": ["A"]}),
        (Wants.of(np.array([[-1.0, 1.0]])), {"capital": 0.7}),
        settings=["costs.slippage_ticks=1", *settings], capital=1000.0,
    )  # fmt: skip
    return backtest(both, told)


def test_sleeves_sum_to_the_account_to_the_cent_and_each_is_changed_by_its_own_lines():
    made = sleeved()
    rows = by_market(made.sleeves()).pivot("sleeve", index="day", values="equity")
    equity = made.equity()["equity"].to_numpy()
    total = rows.select(pl.sum_horizontal(pl.exclude("day"))).to_series().to_numpy()
    np.testing.assert_allclose(total, equity[1:], atol=1e-9)
    own = by_market(made.ledger())
    shares = {"wants": 0.3, "wants 2": 0.7}
    for t in (1, 11):  # interest is split by the equity of the bar before
        for name in shares:
            before = rows[name][t - 1]
            paid = own.filter((pl.col("day") == rows["day"][t]) & (pl.col("strategy") == name))["amount"].sum()
            account = own.filter((pl.col("day") == rows["day"][t]) & (pl.col("strategy") == ""))["amount"].sum()
            assert rows[name][t] == pytest.approx(before + paid + account * before / equity[t], abs=1e-9)


def test_lines_that_hold_one_contract_trade_net_and_share_what_that_costs():
    made = sleeved()
    fills = by_market(made.fills()).filter(pl.col("market") == "A")
    # 2 bought and 1 sold: 1 is traded, a third of the 3 wanted; a tick is 0.25
    assert dict(fills.select("contracts", "slippage").rows()) == pytest.approx({-1.0: -0.25 / 3, 2.0: -0.5 / 3})


def test_rebalancing_brings_sleeves_back_to_their_shares_and_moves_no_cent_of_the_account():
    quarter = days(70)
    mark = np.column_stack([100.0 + np.arange(70.0), np.full(70, 50.0)])
    both = market(mark, days=quarter)
    told = [(Wants(), {"capital": 0.3, "markets": ["A"]}), (Wants(), {"capital": 0.7, "markets": ["B"]})]
    plain, back = (backtest(both, portfolio(*told, capital=1000.0, rebalance=every)) for every in ("never", "month"))
    assert plain.equity().equals(back.equity())
    rows = by_market(back.sleeves()).pivot("sleeve", index="day", values="equity")
    first = int(np.flatnonzero(quarter >= np.datetime64("2024-02-01"))[0])
    account = back.equity()["equity"][1:]
    assert rows["wants"][first] == pytest.approx(0.3 * account[first])
    assert rows["wants"][first - 1] == pytest.approx(300.0 + account[first - 1] - 1000.0)  # all profit was its own


def test_without_capital_of_their_own_strategies_are_one_sleeve():
    made = backtest(market(UP), portfolio((Wants(), {}), (Wants(), {})))
    rows = by_market(made.sleeves())
    assert set(rows["sleeve"]) == {"account"}
    assert rows["equity"].to_list() == made.equity()["equity"][1:].to_list()


# Bars within the day


def test_bars_within_the_day_are_told_by_days():
    times = np.repeat(days(2), 2)  # two bars on each of two days
    clock = clock_of(SimpleNamespace(days=times, rate=np.zeros(4)), portfolio((Wants(), {})).cash)
    clock = clock._replace(transfer=np.array([5.0, 0.0, 0.0, 7.0]))
    rows = np.zeros((2, len(FILL_FIELDS)))
    rows[:, 0] = 1, 2
    trade = np.zeros((1, len(TRADE_FIELDS)))
    trade[0, [book.ENTRY, book.EXIT, book.BARS]] = 1, 3, 2
    amount = np.arange(4.0)[:, None, None] * np.ones((4, 2, len(book.CAUSES)))
    fine = ledger(
        amount=amount, equity=np.array([1.0, 2.0, 3.0, 4.0]), position=np.array([[1.0], [0.0], [2.0], [3.0]]),
        notional=np.ones(4), fills=rows, trades=trade,
    )  # fmt: skip
    told, days_clock = tables.by_days(fine, clock)
    assert told.equity.tolist() == [2.0, 4.0] and told.position.ravel().tolist() == [0.0, 3.0]
    assert told.amount[:, 0, 0].tolist() == [1.0, 5.0] and told.notional.tolist() == [2.0, 2.0]
    assert told.fills[:, 0].tolist() == [0.0, 1.0] and days_clock.transfer.tolist() == [5.0, 7.0]
    assert told.trades[0, [book.ENTRY, book.EXIT, book.BARS]].tolist() == [0.0, 1.0, 1.0]
    assert fine.fills[:, 0].tolist() == [1.0, 2.0] and fine.trades[0, book.ENTRY] == 1.0  # what was given stays


def test_a_run_without_a_trade_has_all_tables_of_the_same_columns():
    idle = backtest(market(UP), portfolio((Wants.of(0.0), {})))
    busy = backtest(market(UP), portfolio((Wants(), {})))
    for name in ("trades", "contract_trades", "positions", "ledger", "fills", "sleeves", "events", "equity"):
        assert getattr(idle, name)().columns == getattr(busy, name)().columns, name
    assert idle.fills().is_empty() and idle.events().is_empty()
