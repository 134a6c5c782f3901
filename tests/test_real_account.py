"""Accounts over the real markets: every roll, a thousand times the capital, one index future held for good."""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from engine import Portfolio, backtest, load
from engine.book import CLOSED, ROLL_IN, ROLL_OUT, ROLL_WAITS
from engine.costs import Costs
from engine.portfolio import Sleeve
from engine.sections import Rolls
from engine.sizing import FixedContracts
from engine.strategy import Strategy
from store import history
from store.contracts import Master, first_notice, last_allowed, last_trade
from tests.real_runs import loaded, portfolio, traded

LIMITS = """[limits]
max_contracts = 200
sector_contracts = 500
side_contracts = 1500
volume_share = 0.05
open_interest_share = 0.1
group_risk = 0.1
gross_notional = 5
net_notional = 3
margin_to_equity = 0.3
"""
SLOWLY = "[rolls]\ndays = 3\n"
BY_VOLUME = "[execution]\nparticipation = 0.02\n"


@pytest.fixture(scope="module")
def market(real):
    return load(real)


# Rolls


@pytest.fixture(scope="module")
def allowed():
    """Function of root and contract: first notice, last trade, last allowed day."""
    master, known = Master.load(), {}

    def days(root, contract):
        if (root, contract) not in known:
            spec = master.spec(root)
            known[root, contract] = [
                np.datetime64(day or "2100-01-01", "D")
                for day in (first_notice(spec, contract), last_trade(spec, contract), last_allowed(spec, contract))
            ]
        return known[root, contract]

    return days


def by_bar(run):
    """Fills of each bar: {t: [(line, contract, kind, contracts)]}."""
    bars = defaultdict(list)
    for t, line, contract, kind, size in run.ledger.fills[:, :5].tolist():
        bars[int(t)].append((int(line), int(contract), int(kind), size))
    return bars


@pytest.mark.parametrize(
    ("strategy", "sizing", "rest"),
    [
        ("moving_average_cross", 'rule = "volatility"', ""),
        ("moving_average_cross", 'rule = "volatility"', SLOWLY),
        ("moving_average_cross", 'rule = "volatility"', SLOWLY + BY_VOLUME),
        ("breakout", 'rule = "risk"\nrisk = 0.002', SLOWLY + BY_VOLUME),
    ],
    ids=["at once", "in three days", "with a share of the volume", "stops, with a share of the volume"],
)
def test_t11_every_roll_keeps_the_position_and_no_contract_is_held_or_traded_too_long(
    real, market, allowed, strategy, sizing, rest
):
    """Contracts are counted from the fills alone: what is held of each, by line, is the position at every bar."""
    told = portfolio(sizing, strategy, capital=1e8, rest=rest)
    run = traded(loaded(real, told, market.names), told)
    held, rolled, bars = defaultdict(float), 0, by_bar(run)
    waits, market = run.happened([ROLL_WAITS]), run.market
    for t, day in enumerate(market.days):
        before = run.ledger.position[t - 1] if t else np.zeros(len(run.columns))
        moved, out = np.zeros(len(run.columns)), np.zeros(len(run.columns))
        for line, contract, kind, size in bars[t]:
            held[line, contract] += size
            notice, end, last = allowed(market.roots[run.columns[line]], contract)
            assert kind == CLOSED or (day < notice and day <= end and day <= last)
            (out if kind in (ROLL_OUT, ROLL_IN) else moved)[line] += size
        np.testing.assert_array_equal(out, 0.0)  # as many contracts into the next as out of the last
        np.testing.assert_allclose(before + moved, run.ledger.position[t], rtol=0, atol=1e-9)
        of_line = np.zeros(len(run.columns))
        for line, contract in [key for key, size in held.items() if size == 0.0]:
            del held[line, contract]
        for (line, contract), size in held.items():
            of_line[line] += size
            notice, end, _ = allowed(market.roots[run.columns[line]], contract)
            assert day < notice and day <= end
            m = run.columns[line]
            now = market.roll_contract[t, m] if market.roll[t, m] else market.contract[t, m]
            assert contract == now or size == run.ledger.left[t, line]
        np.testing.assert_array_equal(of_line, run.ledger.position[t])
        rolls_now = market.roll[t, run.columns] & (run.ledger.position[t] != 0.0)
        rolled += int(rolls_now.sum())
        for line in np.flatnonzero(rolls_now & (run.ledger.left[t] != 0.0)):
            assert (t, line) in waits
    assert rolled > (500 if strategy == "breakout" else 2000)
    assert not rest or len(waits) > 100


# Size


@pytest.mark.parametrize("capital", [1e7, 1e10])
@pytest.mark.parametrize("rest", ["", LIMITS + SLOWLY + "[execution]\nparticipation = 0.05\n"], ids=["free", "limited"])
def test_a_thousand_times_the_capital_overflows_nothing_and_every_cut_is_told(real, market, rest, capital):
    told = portfolio('rule = "volatility"', capital=capital, rest=rest)
    run = traded(loaded(real, told, market.names), told)
    ledger = run.ledger
    for name in ("amount", "position", "left", "equity", "margin", "notional", "residual", "fills", "events"):
        assert np.isfinite(getattr(ledger, name)).all(), name
    change = np.diff(np.concatenate([[capital], ledger.equity])) - ledger.amount.sum(axis=(1, 2))
    assert np.abs(change).max() < 0.005 * max(1.0, capital / 1e7)
    assert abs(ledger.amount.sum() - (ledger.equity[-1] - capital)) < 0.005 * max(1.0, capital / 1e7)
    wanted = np.trunc(run.given.wishes.weight[:-1] * run.base[1:, None])
    wanted[~run.given.available[:-1][:, run.columns]] = 0.0
    cut = (ledger.position[1:] != wanted) & run.tradable[1:] & ~run.market.closed[1:, run.columns]
    told_of = run.happened()
    for t, line in np.argwhere(cut):
        assert (t, line) in told_of or (t + 1, line) in told_of or (t, -1) in told_of, run.market.days[t]
    assert cut.sum() > (100 if rest else 0)
    assert ledger.position.any(axis=0).sum() > 15


# One index future, held for good


class Long(Strategy):
    """One contract of each market, always."""

    def targets(self, market):
        """[contracts]"""
        return np.ones(market.mark.shape)


@pytest.mark.parametrize("fill", ["settle", "open"])
def test_the_s_and_p_held_for_good_is_the_sum_of_its_contracts_to_the_cent(real, fill):
    """The profit of each contract is worked out from its stored settlements and the calendar, without the engine."""
    told = Portfolio(
        name="long", capital=1e6, markets=["MES"], strategies=[Sleeve(strategy=Long())], sizing=FixedContracts(),
        costs=Costs(commission_per_side=0.0, slippage_ticks=0.0), rolls=Rolls(fill=fill),
    )  # fmt: skip
    made = backtest(loaded(real, told, ["MES"]), told)
    price = {(c, day): (o, s) for c, day, o, s in stored_prices(real)}
    days = sorted({day for _, day in price if day >= made.equity()["day"][1]})
    plan, _ = history.calendar(real, "MES", told.rolls.rule)
    legs, entered, first = [], None, days[3]  # the bar after the first margin of the exchange, 2019-05-03
    for day, old, new in plan.frame.select("day", "from_contract", "to_contract").iter_rows():
        out = (day, 1 if fill == "settle" else 0)
        legs.append((old, entered or price[old, first][0], price[old, out[0]][out[1]]))
        entered, held = price[new, out[0]][out[1]], new
    legs.append((held, entered, price[held, days[-1]][1]))
    profit = [5.0 * (left - entry) for _, entry, left in legs]
    assert len(legs) > 20
    assert made.contract_trades()["contract"].to_list() == [contract for contract, *_ in legs]
    np.testing.assert_allclose(made.contract_trades()["net"].to_numpy(), profit, atol=0.005)
    totals = made.summary["ledger"]
    assert totals["price"] + totals["roll_gap"] == pytest.approx(sum(profit), abs=0.005)
    others = sum(amount for cause, amount in totals.items() if cause not in ("price", "roll_gap", "interest"))
    assert others == 0.0
    gained = made.equity()["equity"][-1] - 1e6 - totals["interest"]
    assert gained == pytest.approx(sum(profit), abs=0.005)


def stored_prices(archive):
    """contract, day, open, settlement or close, as stored."""
    bars = archive.read("contract_bars", root="MES")
    return bars.select("contract", "day", "open", pl.coalesce("settle", "close")).iter_rows()
