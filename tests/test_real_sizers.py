"""What the sizing rules promise, held against what an account did: real markets, whole contracts, costs, margin, rolls.

`test_real_sizing.py` measures the rules alone; here they go through the engine. The bounds come from the promise: a
volatility estimated over 32 days is wrong by a tenth or more on any day, and one year of a book with fat tails tells
its volatility to about a tenth; over 24 years these errors cancel, and what is left is the lag of the estimate.
"""

from dataclasses import replace

import numpy as np
import pytest

from engine import load
from engine.book import COSTS_OF, EXIT_STOP, LOCKED
from engine.indicators import latest
from engine.session import OWN
from engine.sizing import SIZERS, smallest_account
from engine.sizing.covariance import correlations
from engine.sizing.sizer import point_risk
from engine.wishes import Moment
from tests.real_runs import ALL, CRISES, PEG, portfolio, traded

YEAR = 252.0
BROKEN = np.datetime64("2015-01-15")  # the day on which the franc was let go


@pytest.fixture(scope="module")
def market(real):
    return load(real)


@pytest.fixture(scope="module")
def calm(market):
    """Setting of a portfolio: every market but the one that was pegged."""
    return f"markets = {[name for name in market.names if name != PEG]}"


@pytest.mark.parametrize("rule", ["portfolio_volatility", "equal_risk"])
def test_a_book_swings_as_it_is_told_through_every_crisis(market, calm, rule):
    run = traded(market, portfolio(f'rule = "{rule}"\ntarget = 0.20', head=calm))
    assert run.swing(ALL) == pytest.approx(0.20, rel=0.10)
    for name, span in CRISES.items():
        assert run.swing(span) == pytest.approx(0.20, rel=0.25), name


def test_only_the_day_a_peg_breaks_is_beyond_a_book_that_follows_volatility(market):
    run = traded(market, portfolio('rule = "portfolio_volatility"\ntarget = 0.20'))
    worst = run.market.days[np.argmax(np.abs(run.earned))]
    assert worst == BROKEN and np.abs(run.earned).max() > 10 * 0.20 / np.sqrt(YEAR)
    assert run.swing(CRISES["2014"]) > 0.30
    assert run.swing(CRISES["2014"], without=[worst]) == pytest.approx(0.20, rel=0.25)
    assert run.swing(ALL, without=[worst]) == pytest.approx(0.20, rel=0.10)


def test_each_market_swings_as_it_is_told(market):
    """Of one market nothing cancels: a year of it, and the lag of its own estimate, are seen whole."""
    for name in market.names:
        told = portfolio('rule = "volatility"\ntarget = 0.20', capital=1e9, head=f'markets = ["{name}"]')
        run = traded(market, told)
        held = run.market.days[run.ledger.position[:, 0] != 0]
        span = held[0], held[-1]
        swing = run.swing(span, without=[BROKEN] if name == PEG else ())
        assert swing == pytest.approx(0.20, rel=0.20), name


def test_a_loss_at_the_stop_is_the_budget_but_for_gaps(market):
    """Of stops that fill inside the bar, trades in dollars without a roll: nothing else moves what was risked."""
    told = portfolio('rule = "risk"\nrisk = 0.002\nrounding = "fractional"', strategy="breakout")
    run = traded(market, told)
    f = run.trades()
    line, out = f["line"].astype(int), f["exit"].astype(int)
    column = run.columns[line]
    budget = 0.002 * run.base[f["entry"].astype(int)]
    stopped = (f["exit_reason"] == EXIT_STOP) & (f["entry_kind"] != 0)
    assert stopped.sum() > 2000
    assert np.median((f["risk"] / budget)[stopped]) == pytest.approx(1.0, abs=0.005)
    lost = -f["gross"]
    inside = stopped & (f["exit_price"] != run.market.open[out, column]) & (f["rolls"] == 0)
    inside &= np.array(run.market.currencies)[column] == "USD"
    tick = (run.market.tick * run.market.multiplier)[out, column] * f["contracts"]
    assert inside.sum() > 1000 and (lost <= f["risk"] + tick * (1 + 1e-6))[inside].all()
    over = (lost / budget)[stopped]
    assert np.quantile(over, 0.75) <= 1.0 and np.quantile(over, 0.95) < 1.05 and over.max() < 3.0


@pytest.mark.parametrize("strategy", ["moving_average_cross", "carry_trend"])
def test_kelly_is_never_beyond_its_cap_on_any_bar(market, strategy):
    run = traded(market, portfolio('rule = "kelly"\ncap = 0.25', strategy=strategy))
    share = 1.0 / run.market.available.sum(axis=1).clip(1)[:-1, None]
    risk = np.abs(at_risk(run))
    assert (np.where(run.tradable[1:], risk, 0.0) <= 0.25 * share * (1 + 1e-9)).all()
    assert (risk > 0.24 * share).any()


@pytest.mark.parametrize("strategy", ["moving_average_cross", "carry_trend"])
def test_kelly_of_a_book_is_never_beyond_its_caps_on_any_bar(market, strategy):
    told = 'rule = "kelly_portfolio"\ncap = 0.25\nleverage = 6.0'
    market = replace(market, hours=None)  # all decide on the row: sizes and estimate know the same
    run = traded(market, portfolio(told, strategy=strategy))
    risk, worth = at_risk(run), point_worth(run)
    row, known = correlations(market, run.columns, run.portfolio.sizing.weeks)
    row = row[-len(run.market.days) :]
    swings, gross = [], []
    for t in np.flatnonzero(run.tradable[1:].all(axis=1)):
        u = risk[t]
        rho = np.where(np.isnan(known[row[t]]), np.sign(np.outer(u, u)), known[row[t]])
        np.fill_diagonal(rho, 1.0)
        swings.append(np.sqrt(max(u @ rho @ u, 0.0)))
        gross.append(np.abs(run.ledger.position[t + 1] * worth[t]).sum() / run.base[t + 1])
    assert len(swings) > 500 and 0.24 < max(swings) <= 0.25 and 5.9 < max(gross) <= 6.0
    assert run.swing(ALL) < 0.25 * 1.1


@pytest.mark.parametrize("strategy", ["moving_average_cross", "carry_trend"])
def test_kelly_of_a_book_is_within_its_cap_by_what_was_known_when_it_decided(market, strategy):
    """At the first close of the day the later markets are known by their day before; so is the estimate."""
    told = portfolio('rule = "kelly_portfolio"\ncap = 0.25\nleverage = 6.0', strategy=strategy)
    known = Moment(market, market, OWN).seen
    forecast, every = told.strategies[0].strategy.decision(known).forecast, np.arange(len(market.names))
    weight = told.sizing.weights(known, forecast, every, np.ones(len(every)))
    risk = weight * point_risk(known, every, told.sizing.span) * np.sqrt(252.0)
    row, matrices = correlations(known, every, told.sizing.weeks)
    swings = []
    for t in np.flatnonzero(np.isfinite(risk).all(axis=1))[::20]:
        rho = np.where(np.isnan(matrices[row[t]]), np.sign(np.outer(risk[t], risk[t])), matrices[row[t]])
        np.fill_diagonal(rho, 1.0)
        swings.append(np.sqrt(max(risk[t] @ rho @ risk[t], 0.0)))
    assert len(swings) > 50 and 0.24 < max(swings) <= 0.25 * (1 + 1e-9)


def test_fixed_contracts_and_fixed_money_are_what_they_say(market):
    one = traded(market, portfolio('rule = "fixed"\ncontracts = 3.0'))
    filled = one.tradable[1:] & ~one.market.closed[1:, one.columns]
    np.testing.assert_array_equal(one.ledger.position[1:][filled], one.given.wishes.weight[:-1][filled])
    assert set(np.unique(one.given.wishes.weight)) <= {-3.0, 0.0, 3.0}
    money = traded(market, portfolio('rule = "notional"\namount = 500_000.0'))
    side = np.sign(one.given.wishes.weight[:-1])
    worth = point_worth(money)
    filled &= worth > 0.0  # else the last price is of before the run's first row
    for t, line in money.happened([LOCKED]):  # at the daily limit nobody sells
        filled[t - 1, line] = False
    wanted = side[filled] * np.floor(500_000.0 / worth[filled])
    np.testing.assert_array_equal(money.ledger.position[1:][filled], wanted)


@pytest.mark.parametrize("capital", [100_000.0, 250_000.0])
def test_the_nearest_whole_contracts_follow_a_small_book_closer_than_those_cut_toward_zero(market, calm, capital):
    """The same book in fractions of contracts is what both are to follow; sizes stay at the capital of the start."""
    head = f"{calm}\ncompounding = false"
    runs = {
        rounding: traded(
            market, portfolio(f'rule = "portfolio_volatility"\nrounding = "{rounding}"', capital=capital, head=head)
        )
        for rounding in ("fractional", "toward_zero", "nearest_risk")
    }
    ideal = runs["fractional"]
    missed = {name: float((run.earned - ideal.earned).std()) for name, run in runs.items()}
    costs = {name: -float(run.ledger.amount[:, :, COSTS_OF].sum()) for name, run in runs.items()}
    assert missed["nearest_risk"] < missed["toward_zero"]
    assert costs["nearest_risk"] < costs["fractional"]
    assert runs["nearest_risk"].swing(ALL) == pytest.approx(0.20, rel=0.15)
    assert runs["toward_zero"].swing(ALL) < 0.20 * 0.85


def test_the_smallest_account_holds_one_contract_and_a_smaller_one_none(market):
    """Asked on the last row on which each market can be traded; held against the position of a run of that size."""
    sizer = SIZERS["volatility"](target=0.20)
    for m, name in enumerate(market.names):
        end = int(np.flatnonzero(market.available[:, m])[-1]) + 1
        part = market.rows(0, end)
        least = smallest_account(sizer, part, np.ones((end, 1)), np.array([m]), np.ones(1))[m]
        risk = point_risk(part, np.array([m]), 32.0)[-1, 0] * np.sqrt(YEAR)
        assert least == pytest.approx(risk / 0.20, rel=1e-9), name
        assert 100.0 < least < 1e6, name


def at_risk(run):
    """Volatility a year of each position of row t + 1, as estimated and by the capital known on row t."""
    risk = (run.given.facts.sigma * run.market.multiplier * run.market.fx)[:-1, run.columns]
    return np.nan_to_num(run.ledger.position[1:] * risk) * np.sqrt(YEAR) / run.base[1:, None]


def point_worth(run):
    """Notional of one contract of each line on row t. [account currency]"""
    market = run.market
    return np.nan_to_num(latest(market.mark) * market.multiplier * market.fx)[:-1, run.columns]
