"""engine/inputs.py: what a simulation is given: prices at which orders fill, margins, costs, wishes, sleeves."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine import book, inputs
from engine.backtest import backtest
from engine.margin import MarginUnknown
from engine.members import Spread
from engine.settings import ConfigError
from engine.strategies import STRATEGIES
from engine.strategy import Strategy, program
from tests.small_runs import FREE, Buys, Wants, days, market, portfolio

NONE = np.nan
BARS = {  # a market that rolls after its third bar, to one that stands 5 points lower; no bar on the fourth
    "mark": [100.0, 102.0, 104.0, NONE, 101.0], "open": [99.0, 101.0, 103.0, NONE, 98.0],
    "close": [100.5, 102.5, 104.5, NONE, 101.5], "settle": [100.0, 102.0, NONE, NONE, 101.0],
    "offset": [0.0, 0.0, 0.0, 5.0, 5.0],
}  # fmt: skip


def made(told=None, first=0, within=None, **changes):
    """The inputs of a run."""
    given = {**BARS, **changes}
    return inputs.made(market(given.pop("mark"), **given), told or portfolio((Wants(), {})), first, None, within)


# Prices


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("open", [99.0, 101.0, 103.0, NONE, 98.0]),
        ("close", [100.5, 102.5, 104.5, NONE, 101.5]),
        ("settle", [100.0, 102.0, 104.0, NONE, 101.0]),  # where none was published the mark stands for it
        ("same_close", [NONE, 100.5, 102.5, NONE, 99.5]),  # the last close: 104.5, five points lower after the roll
    ],
)
def test_market_orders_fill_at_the_price_that_is_asked_for(fill, expected):
    found = made(portfolio((Wants(), {}), settings=[f"execution.fill={fill}"]))
    np.testing.assert_array_equal(found.prices.fill.ravel(), expected)
    assert found.account.at_open == (fill in ("open", "same_close"))


def test_t24_a_close_is_refused_where_a_vendor_gives_settlements_alone():
    both = {**{name: np.column_stack([values, values]) for name, values in BARS.items()}, "names": ("A", "SETTLES")}
    both["close"] = np.column_stack([BARS["close"], [NONE] * 5])
    for fill in ("close", "same_close"):
        told = portfolio((Wants(), {}), settings=[f"execution.fill={fill}"])
        with pytest.raises(ConfigError, match=r"SETTLES have settlements and no close, .*; allowed: 'open', or 'set"):
            made(told, **both)
    assert made(portfolio((Wants(), {}), settings=["execution.fill=settle"]), **both).prices.fill.shape == (5, 2)
    assert made(**both).prices.close[0].tolist() == [100.5, 100.0]  # inside the bar its settlement is the last price


def test_t22_a_locked_market_is_told_by_the_rule_that_is_asked_for():
    prices = {name: [100.0, 107.0, 108.0] for name in ("open", "high", "low", "close", "mark", "settle")} | {
        "offset": 0.0
    }
    for rule, expected in (("known", [0, 1, 0]), ("flat", [0, 1, 1]), ("off", [0, 0, 0])):
        told = portfolio((Wants(), {}), settings=[f"execution.locked={rule}"])
        found = made(told, **prices, limit_points=7.0, limit_share=NONE)
        assert found.prices.locked.ravel().tolist() == expected
    assert made(**prices).prices.locked.ravel().tolist() == [0, 0, 0]  # of a market whose limits nobody knows


# Facts


def test_facts_are_never_nan_and_open_interest_is_that_of_the_morning():
    holed = {"multiplier": [[NONE]] * 2 + [[50.0]] * 3, "fx": [[NONE]] + [[1.1]] * 4}
    found = made(**holed, open_interest=[10.0, 20.0, NONE, NONE, 50.0])
    for name in ("multiplier", "fx", "initial", "maintenance", "slippage", "commission", "impact"):
        assert np.isfinite(getattr(found.facts, name)).all(), name
    assert found.facts.multiplier.ravel().tolist() == [0.0, 0.0, 50.0, 50.0, 50.0]
    np.testing.assert_array_equal(found.facts.open_interest.ravel(), [NONE, 10.0, 20.0, 20.0, 20.0])


def test_a_broker_asks_its_factor_on_the_exchange_s_margin_and_on_an_estimate_but_not_on_the_user_s_own():
    marks = np.cumsum(np.tile([2.0, -2.0], 30)) + 100.0  # every bar moves two points: a volatility of two points
    known = np.column_stack([np.full(60, 10.0)] * 2 + [np.full(60, NONE)])
    own = np.column_stack([np.zeros(60), np.ones(60), np.zeros(60)]).astype(bool)
    three = market(np.column_stack([marks] * 3), initial_margin=known, maintenance_margin=known, own_margin=own,
                   multiplier=5.0)  # fmt: skip
    told = portfolio((Wants(), {}), settings=["margin.house=1.5", "margin.k=4"])
    initial, maintenance, estimated = inputs.margins(three, told.margin)
    assert initial[-1].tolist() == pytest.approx([15.0, 10.0, 4.0 * 2.0 * 5.0 * 1.5])
    assert maintenance[-1].tolist() == initial[-1].tolist() and estimated[-1].tolist() == [False, False, True]


def test_t30_a_market_is_not_traded_while_its_margin_is_not_known():
    unknown = market(np.full(40, 100.0), initial_margin=NONE, maintenance_margin=NONE)  # nothing moves: no estimate
    changed, estimated = inputs.with_margins(unknown, portfolio((Wants(), {})), 0)
    assert not changed.available.any() and estimated.all()
    told = portfolio((Wants(), {}), settings=["margin.missing=error"])
    with pytest.raises(MarginUnknown, match="no margin for A on 2024-01-01; add dated rows"):
        inputs.with_margins(unknown, told, 0)


def test_what_one_contract_costs_to_trade_is_counted_in_choosing_whole_ones_by_risk():
    steps = np.random.default_rng(3).normal(size=(300, 2)).round(2)
    both = market(100.0 + np.cumsum(steps, axis=0), multiplier=[[50.0, 20.0]] * 300, fx=[[1.0, 1.25]] * 300, tick=0.5)
    told = portfolio(
        (Wants(), {}), (Wants(), {"markets": ["pair"]}), spreads={"pair": Spread(legs={"A": 2, "B": -1})},
        settings=["rounding=nearest_risk", "costs.slippage_ticks=1", "costs.commission_per_side=3"],
    )  # fmt: skip
    found = inputs.made(both, told, 0)
    # half a point of 50 dollars and 3; half a point of 20 x 1.25 and 3 x 1.25; twice the one and once the other
    np.testing.assert_allclose(found.risk.cost[-1], [28.0, 16.25, 2 * 28.0 + 16.25])
    assert found.risk.covariance.shape[1:] == (3, 3) and found.risk.period[0] == -1 and found.risk.period[-1] > 26
    assert found.account.rounding == book.NEAREST_RISK and made().risk is None


# Wishes


def test_a_strategy_wants_nothing_before_its_start_and_from_its_stop():
    told = portfolio((Wants(), {"start": days(5)[1].item(), "stop": days(5)[3].item()}), (Wants(), {}))
    found = made(told)
    assert found.wishes.weight.T.tolist() == [[0.0, 1.0, 1.0, 0.0, 0.0], [1.0] * 5]
    assert found.wishes.usual.T.tolist() == found.wishes.weight.T.tolist()


def test_target_contracts_are_contracts_whatever_the_rule_of_sizes():
    told = portfolio((Buys.of(7.0), {}), (Wants(), {}), settings=["sizing.contracts=3"])
    found = made(told)
    assert found.wishes.contracts.tolist() == [True, False]
    assert found.wishes.weight[0].tolist() == [7.0, 3.0] and found.wishes.usual[0].tolist() == [1.0, 3.0]


def test_capital_of_one_s_own_is_what_sizes_are_made_of():
    marks = {"mark": 100.0 + np.cumsum(np.tile([1.0, -1.0], 40)), "offset": 0.0}
    marks |= {name: marks["mark"] for name in ("open", "close", "settle")}
    rule = ["sizing.rule=volatility", "sizing.target=0.16"]
    alone = made(portfolio((Wants(), {}), settings=rule, capital=1e6), **marks)
    split = made(
        portfolio((Wants(), {"capital": 0.25}), (Wants(), {"capital": 0.75}), settings=rule, capital=1e6), **marks
    )
    assert alone.sleeves.capital.tolist() == [1e6] and split.sleeves.capital.tolist() == [2.5e5, 7.5e5]
    assert split.sleeves.share.tolist() == [0.25, 0.75] and split.layout.lines.sleeve.tolist() == [0, 1]
    both = split.wishes.weight[-1] * split.sleeves.capital  # contracts per unit of the strategy's own capital
    np.testing.assert_allclose(both, alone.wishes.weight[-1] * 1e6 * np.array([0.25, 0.75]))
    assert split.account.per_capital and alone.layout.lines.sleeve.tolist() == [0]


def test_rows_before_the_start_are_history_only():
    whole, later = made(), made(first=2)
    assert later.prices.fill.shape == (3, 1) and len(later.clock.days) == 3 and len(later.market.days) == 3
    for name in book.Facts._fields:
        np.testing.assert_array_equal(getattr(later.facts, name), getattr(whole.facts, name)[2:])
    assert later.facts.sigma[0, 0] > 0.0  # of two changes before


def test_every_array_that_is_handed_on_lies_in_one_piece():
    whole = made(portfolio((Wants(), {}), settings=["rolls.days=3"]), first=1)
    for part in whole.arguments():
        for array in part if isinstance(part, tuple) else [part]:
            assert not isinstance(array, np.ndarray) or array.flags.c_contiguous


def test_each_number_of_the_account_is_that_of_its_section():
    told = portfolio(
        (Wants(), {}),
        settings=[
            "compounding=false", "execution.fx=hold", "execution.limit=touch", "ties=nearer", "participation=0.05",
            "rolls.days=3", "margin.intraday=0.5", "spread_credit=0.75", "call=largest_requirement", "floor=100",
            "credit_spread=0.01", "debit_spread=0.02", "fee=0.03", "fixed_fee=4", "rounding=fractional", "buffer=0.1",
            "impact=volatility", "stale_leg_days=7",
        ],
    )  # fmt: skip
    assert made(told).account == book.Account(
        per_capital=False, compounding=False, sweep=False, rounding=book.FRACTIONAL, buffer=0.1, at_open=True,
        through=False, policy=book.NEARER, participation=0.05, power=0.5, stale_leg_days=7, roll_days=3,
        intraday_margin=0.5, spread_credit=0.75, call=book.LARGEST_REQUIREMENT, floor=100.0, credit_spread=0.01,
        debit_spread=0.02, fee=0.03, fixed_fee=4.0, daily=False,
    )  # fmt: skip


# What does not go together


def test_stops_and_limits_of_a_spread_are_refused():
    two = market(np.column_stack([100.0 + np.arange(30.0), np.full(30, 50.0)]))
    told = portfolio(
        (STRATEGIES["breakout"](), {"markets": ["pair"]}), spreads={"pair": Spread(legs={"A": 1, "B": -1})}
    )
    with pytest.raises(
        ConfigError, match=r"breakout: its stops and limits cannot trade the spread pair, which has no hi"
    ):
        inputs.made(two, told, 0)


class Called(Strategy):
    """Long, bar by bar."""

    @program
    def decide(t, columns, adjusted, mark, position, equity, params, memory, forecast):
        forecast[:] = 1.0


def test_more_functions_called_bar_by_bar_than_there_is_room_for_are_refused():
    assert len(made(portfolio(*[(Called(), {})] * 4)).programs.functions) == 4
    with pytest.raises(ConfigError, match="5 of them are called bar by bar; allowed: at most 4 a portfolio"):
        made(portfolio(*[(Called(), {})] * 5))


def test_functions_called_bar_by_bar_know_their_members():
    found = made(portfolio((Wants(), {}), (Called(), {}), (Called(), {})))
    assert found.wishes.program.tolist() == [-1, 0, 1]
    assert found.programs.first.tolist()[:2] == [1, 2] and found.programs.last.tolist()[:2] == [2, 3]
    assert found.wishes.weight.T.tolist()[1] == [1.0] * 5  # sized as if always long


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["ties=finer"], r"\[execution\] ties = 'finer'"),
        (["rolls.days=2"], r"\[rolls\] days = 2"),
        (["execution.fill=settle"], r"\[execution\] fill = 'settle'"),
        (["execution.fill=same_close"], r"\[execution\] fill = 'same_close'"),
        (["rounding=nearest_risk"], r"\[sizing\] rounding = 'nearest_risk'"),
        (["participation=0.1"], r"\[execution\] participation = 0.1"),
        (["rolls.fill=open"], r"\[rolls\] fill = 'open'"),
        ([], "a strategy that is called bar by bar"),
    ],
)
def test_what_does_not_go_with_bars_within_the_day_is_refused(settings, told):
    strategy = Wants() if settings else Called()
    with pytest.raises(
        ConfigError, match=rf"^{told} does not go with \[execution\] bars = 'within'; allowed: bars = 'day'"
    ):
        made(portfolio((strategy, {}), settings=settings), within=SimpleNamespace())


def test_a_group_of_a_root_that_is_not_traded_is_refused():
    told = portfolio((Wants(), {}), settings=['limits.groups={g = ["A", "AA"]}', "group_risk=0.1"])
    with pytest.raises(ConfigError, match=r"\[limits\] groups: AA is none of the roots that are traded; allowed: A$"):
        made(told)


def test_a_strategy_that_stops_before_it_starts_is_refused():
    told = portfolio((Wants(), {"start": days(5)[3].item(), "stop": days(5)[3].item()}))
    with pytest.raises(
        ConfigError, match=r"wants: stop = 2024-01-04 is not after start = 2024-01-04; allowed: a later"
    ):
        made(told)


# Money paid in and out


def test_money_paid_in_and_out_is_in_equity_and_in_no_return():
    marks = 100.0 + np.arange(12.0)
    paid = (
        "cash.payments=[{day = 2024-01-04, amount = 500}, {day = 2024-01-13, amount = -200}]"  # a Thursday, a Saturday
    )
    told = portfolio((Wants(), {}), settings=[paid, *FREE], capital=1000.0)
    run = backtest(market(marks), told)
    equity, flows = run.equity()["equity"].to_numpy(), np.zeros(12)
    flows[[3, 10]] = 500.0, -200.0  # Monday the 15th books the Saturday's
    assert run.summary["ledger"]["transfer"] == 300.0
    np.testing.assert_allclose(np.diff(equity), np.where(np.arange(12) > 1, 1.0, 0.0) + flows)
    grown = np.prod(1.0 + (np.diff(equity) - flows) / (equity[:-1] + flows))
    assert run.metrics()["total_return"] == pytest.approx(grown - 1.0)
    assert run.metrics()["final_equity"] == 1000.0 + 300.0 + 10.0
    assert run.metrics()["max_drawdown"] == 0.0  # what is taken out is no loss
    idle = backtest(market(marks), portfolio((Wants.of(0.0), {}), settings=[paid], capital=1000.0))
    assert (idle.metrics()["total_return"], idle.metrics()["final_equity"]) == (0.0, 1300.0)


def test_fixed_capital_adds_returns_up_without_what_was_paid():
    paid = "cash.payments=[{day = 2024-01-04, amount = 500}]"
    told = portfolio((Wants(), {}), settings=[paid, "compounding=false"], capital=1000.0)
    assert backtest(market(100.0 + np.arange(12.0)), told).metrics()["total_return"] == pytest.approx(10.0 / 1000.0)


def test_open_interest_of_another_contract_limits_nothing():
    shown = market(
        [100.0] * 4, open_interest=[200.0, 50.0, 9000.0, 9100.0], contract=[202403, 202403, 202406, 202406],
        roll=[False, True, False, False], roll_contract=[0, 202406, 0, 0],
    )  # fmt: skip
    # after bar 1 it is in June, of which nothing is known; June's of bar 2 is published on the morning of bar 3
    known = inputs._open_interest(shown)[:, 0]
    assert np.isnan(known[:3]).all() and known[3] == 9000.0


def test_a_spread_that_no_strategy_trades_is_left_alone():
    text = portfolio((Wants.of(1.0), {"markets": ["A"]}))
    text.spreads = {"pair": Spread(legs={"B": 1, "C": -1})}
    assert inputs.made(market([[100.0] * 3] * 3), text, 0).layout.names == ("A",)
