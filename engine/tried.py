"""Tried: statistics of many portfolios that differ in their weights alone, without tables, in one call.

The loop is that of every run (`simulate.go_through`), and so are its numbers; what is left out is what it tells of
lines, trades and fills. A call holds no interpreter lock: blocks of portfolios go side by side as threads.
"""

from typing import NamedTuple

import numpy as np

from engine.headline import RAW, added, headline
from engine.kernel import kernel
from engine.simulate import curves_of, go_through, measured, started
from engine.state import Given


class Days(NamedTuple):
    """What the days of the portfolios are: see `headline.Term`."""

    traded: np.ndarray
    flows: np.ndarray
    capital: float
    compounding: bool


def tried(ready, weights, usual, term, returns=None):
    """Simulate portfolios.

    Parameters
    ----------
    ready : Ready
        What they share; by days (`ready_of(by_days=True)`) where bars are not days.
    weights : array (portfolio, time, member)
        See `book.Wishes`.
    usual : array (portfolio, time, member), or (1, time, member) of what they share
    term : headline.Term
    returns : array (portfolio, traded day), optional
        Is filled with the daily returns. [fraction]

    Returns
    -------
    array (portfolio, headline.RAW)
    """
    days = Days(term.traded, term.flows, term.capital, term.compounding)
    out = np.empty((len(weights), len(RAW)))
    returns = np.empty((1, len(term.flows))) if returns is None else returns
    todo = np.arange(len(weights))
    if ready.extras is None:
        over = np.zeros(len(weights), bool)
        _block(ready.given, ready.start, weights, usual, started(ready), curves_of(ready), days, returns, out, over)
        todo = np.flatnonzero(over)
    for c in todo.tolist():
        given = ready.given._replace(weight=weights[c], usual=usual[c if len(usual) > 1 else 0])
        curves, state = measured(ready._replace(given=given))
        _tell(curves, state, days, returns[c if len(returns) > 1 else 0], out[c])
    return out


@kernel
def _block(given, start, weights, usual, state, curves, days, returns, out, over):
    """`tried` of portfolios that are lean; those of which a bar asks for more are `over`."""
    for c in range(weights.shape[0]):
        _again(start, state, curves)
        mine = Given(
            given.quotes, given.row, given.clock, given.facts, given.terms, weights[c],
            usual[c if usual.shape[0] > 1 else 0], given.most, given.rules, given.limits,
        )  # fmt: skip
        go_through(0, mine, None, None, None, state, curves, None, None)
        if state.own[0].due != 0:
            over[c] = True
        else:
            _tell(curves, state, days, returns[c if returns.shape[0] > 1 else 0], out[c])


@kernel
def _again(start, state, curves):
    """Put everything back to where it begins."""
    for i in range(start.lines.shape[0]):
        state.lines[i] = start.lines[i]
    for i in range(start.members.shape[0]):
        state.members[i] = start.members[i]
    for i in range(start.sleeves.shape[0]):
        state.sleeves[i] = start.sleeves[i]
    state.own[0] = start.own[0]
    for t in range(curves.notional.shape[0]):
        curves.notional[t] = curves.interest[t] = 0.0


@kernel
def _tell(curves, state, days, returns, out):
    """Fill a row of `RAW`, and the daily returns."""
    equity = curves.equity
    total, volatility, sharpe, sortino, deepest, mean = headline(
        equity, curves.interest, days.traded, days.flows, days.capital, days.compounding, returns
    )
    costs, fills, trades, peak = 0.0, 0, 0, 0.0
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        costs -= line.costs
        fills += line.fills
        trades += line.trades + (line.position != 0.0)  # one that is open is a trade, too
    for t in range(curves.margin.shape[0]):
        if curves.margin[t] > peak:  # rarely, and then nothing waits for it
            peak = curves.margin[t]
    final = equity[-1] if equity.shape[0] > 0 else days.capital
    notional = added(curves.notional, 0, curves.notional.shape[0])
    row = (total, volatility, sharpe, sortino, deepest, mean, final, notional, costs, peak, float(fills), float(trades))
    for k in range(len(row)):
        out[k] = row[k]
