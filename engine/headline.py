"""Headline: the statistics of a run that its equity tells, in one pass of machine code.

They are those of `engine.metrics`, bit for bit: sums go in the order in which numpy adds (pairwise, eight at a time).
"""

from typing import NamedTuple

import numpy as np

from engine import ratios
from engine.kernel import inner, kernel
from engine.risk import ROUNDING

STATISTICS = (  # as `engine.metrics` defines them, but for the last four
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "turnover",
    "final_equity",
    "costs",  # of all fills, positive [account currency]
    "margin_peak",  # most initial margin required at the end of a day [account currency]
    "fills", "trades",
)  # fmt: skip
COUNTS = ("fills", "trades")
RAW = (  # of which they are made
    "total_return", "volatility", "sharpe", "sortino", "max_drawdown",
    "mean_equity",  # [account currency]
    "final_equity",
    "notional",  # sides traded [account currency]
    "costs", "margin_peak", "fills", "trades",
)  # fmt: skip
RANKED = (
    "sharpe",
    "sortino",
    "calmar",
    "total_return",
    "annual_return",
    "max_drawdown",
    "final_equity",
)  # more: better
YEAR = float(ratios.YEAR)
NEARLY = 1.0 - 1e-12  # what rounding can hide
LEAF, DEEP = 128, 64  # numbers that numpy adds without halving them, and how often it halves at most


class Term(NamedTuple):
    """What the days of a run are, the same for every combination."""

    traded: np.ndarray  # bool (time,): days on which any market traded
    flows: np.ndarray  # (traded day,) money paid in before it [account currency]
    years: float  # by the calendar
    capital: float  # [account currency]
    compounding: bool


class Curve(NamedTuple):
    """What one combination leaves."""

    equity: np.ndarray  # (time,) [account currency]
    interest: np.ndarray  # (time,) [account currency]
    notional: float  # sides traded [account currency]
    costs: float  # of all fills, positive [account currency]
    margin_peak: float  # [account currency]
    fills: int
    trades: int


def term(market, transfer, capital, compounding):
    """The `Term` of the rows of a market that are traded, and of the money paid in before each. [account currency]"""
    traded = ~np.isnan(market.mark).all(axis=1)
    held = np.concatenate([[True], traded])
    days = np.concatenate([market.days[:1] - np.timedelta64(1, "D"), market.days])[held]
    flows = np.diff(np.cumsum(np.concatenate([[0.0], transfer]))[held])
    return Term(traded, flows, ratios.years(days), float(capital), bool(compounding))


def statistics(curve, term, returns):
    """`STATISTICS` of a curve as a list of floats; fills `returns`, array (traded day,), with its daily returns."""
    total, spread, sharpe, sortino, deepest, mean = headline(
        curve.equity, curve.interest, term.traded, term.flows, term.capital, term.compounding, returns
    )
    final = curve.equity[-1] if len(curve.equity) else term.capital
    told = (total, spread, sharpe, sortino, deepest, mean, final)
    return listed((*told, curve.notional, curve.costs, curve.margin_peak, curve.fills, curve.trades), term)


def listed(raw, term):
    """`STATISTICS` of the numbers `RAW`, as a list of floats."""
    total, spread, sharpe, sortino, deepest, mean, final, notional, costs, peak, fills, trades = raw
    annual = ratios.annual_return(total, term.years, term.compounding)
    often = notional / mean / term.years if mean > 0.0 and term.years > 0.0 else np.nan
    calmar = ratios.calmar(annual, deepest)
    return [
        total + 0.0, float(annual) + 0.0, spread + 0.0, sharpe + 0.0, sortino + 0.0, float(calmar) + 0.0, deepest + 0.0,
        often + 0.0, float(final) + 0.0, costs + 0.0, peak + 0.0, float(fills), float(trades),
    ]  # fmt: skip


@kernel
def headline(equity, interest, traded, flows, capital, compounding, returns):
    """Statistics of an account from its equity.

    Parameters
    ----------
    equity, interest : array (time,)
        [account currency]
    traded : array (time,) of bool
    flows : array (traded day,)
        [account currency]
    capital : float
        [account currency]
    compounding : bool
    returns : array (traded day,)
        Is filled. [fraction]

    Returns
    -------
    (float, float, float, float, float, float)
        Total return, volatility, Sharpe ratio, Sortino ratio, maximum drawdown; mean equity [account currency].

    Source: `engine.ratios` and `engine.risk`, which say what each is.

    >>> day = np.array([True, True])
    >>> told = headline(np.array([110.0, 99.0]), np.zeros(2), day, np.zeros(2), 100.0, True, np.zeros(2))
    >>> [round(x, 12) for x in told]
    [-0.01, 2.244994432064, 0.0, 0.0, -0.1, 103.0]
    """
    count = len(flows)
    held, excess = np.empty(count + 1), np.empty(count)
    held[0] = capital
    if count == len(equity):  # each day is one, and none is asked
        for k in range(count):
            held[k + 1], excess[k] = equity[k], interest[k]
    else:
        k = 0
        for t in range(len(equity)):
            if traded[t]:
                held[k + 1], excess[k] = equity[t], interest[t]
                k += 1
    paid = False
    for k in range(count):
        paid |= flows[k] != 0.0
        base = held[k] + flows[k] if compounding else capital
        divisor = base if base > 0.0 else np.nan
        returns[k] = (held[k + 1] - held[k] - flows[k]) / divisor
        excess[k] = returns[k] - excess[k] / divisor
    if paid:
        _unpaid(held, flows, returns, compounding)
    volatility = _moments(returns)[1] * np.sqrt(YEAR)
    mean, spread = _moments(excess)
    sharpe = mean / spread * np.sqrt(YEAR) if spread > 0.0 else np.nan
    sortino = _quotient(mean, _below(excess)) * np.sqrt(YEAR)
    total = (held[-1] - held[0]) / held[0] if held[0] > 0.0 else np.nan
    return total, volatility, sharpe, sortino, _deepest(held), added(held, 0, count + 1) / (count + 1)


@kernel
def added(values, first, count):
    """Sum of `count` numbers from `first` on, in the order in which numpy adds them.

    >>> x = 1.0 / np.arange(1.0, 1001.0)
    >>> bool(added(x, 0, 1000) == np.sum(x))
    True
    """
    room, left = np.empty((3, DEEP), np.int64), np.empty(DEEP)  # halves under way; a kernel that calls itself
    begin, length, known = room[0], room[1], room[2]  # cannot be kept on the disk
    begin[0], length[0], known[0], top, total = first, count, 0, 0, 0.0
    while top >= 0:
        half = length[top] // 2
        half -= half % 8
        if length[top] <= LEAF:
            total = _leaf(values[begin[top] : begin[top] + length[top]])
            top -= 1
        elif known[top] == 2:
            total += left[top]
            top -= 1
        else:
            last = known[top] == 1
            if last:
                left[top] = total
            known[top] += 1
            begin[top + 1] = begin[top] + half if last else begin[top]
            length[top + 1] = length[top] - half if last else half
            top += 1
            known[top] = 0
    return total


@inner
def _leaf(values):
    count = len(values)
    if count < 8:
        total = 0.0
        for k in range(count):
            total += values[k]
        return total
    a, b, c, d = values[0], values[1], values[2], values[3]
    e, f, g, h = values[4], values[5], values[6], values[7]
    for j in range(1, count // 8):
        k = 8 * j
        a += values[k]
        b += values[k + 1]
        c += values[k + 2]
        d += values[k + 3]
        e += values[k + 4]
        f += values[k + 5]
        g += values[k + 6]
        h += values[k + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(count - count % 8, count):
        total += values[k]
    return total


@kernel
def _moments(values):
    """Mean, and `risk.deviation`, whose words hold."""
    count = len(values)
    if count <= 1:
        return added(values, 0, count) / count if count else np.nan, np.nan
    mean = added(values, 0, count) / count
    square = np.empty(count)
    for k in range(count):
        apart = values[k] - mean
        square[k] = apart * apart
    spread = np.sqrt(added(square, 0, count) / (count - 1))
    if spread > 2.0 * ROUNDING * max(1.0, abs(mean) + spread * np.sqrt(count)):  # no value is further from the mean
        return mean, spread
    largest = 0.0
    for k in range(count):
        largest = max(largest, abs(values[k]))
    return mean, 0.0 if spread <= ROUNDING * max(1.0, largest) else spread


@kernel
def _below(excess):
    """As `ratios.downside_deviation` of a target of 0 and one period."""
    count = len(excess)
    if count == 0:
        return np.nan
    square = np.empty(count)
    for k in range(count):
        lacking = 0.0 if excess[k] > 0.0 else excess[k]
        square[k] = lacking * lacking
    return np.sqrt(added(square, 0, count) / count)


@kernel
def _quotient(top, bottom):
    """As `risk.ratio`."""
    return top / bottom if bottom > ROUNDING * max(1.0, abs(top)) else np.nan


@kernel
def _unpaid(held, flows, returns, compounding):
    """As `ratios.unpaid`, in place."""
    grown, paid = 1.0, 0.0
    for k in range(len(flows)):
        grown *= 1.0 + returns[k]
        paid += flows[k]
        held[k + 1] = held[0] * grown if compounding else held[k + 1] - paid


@kernel
def _deepest(held):
    """As `risk.max_drawdown`."""
    if not held[0] > 0.0:
        return np.nan
    peak, deepest, low = held[0], 0.0, 0.0
    for k in range(len(held)):
        value = held[k]
        if value > peak:
            peak, low = value, NEARLY * deepest * value
        elif value - peak <= low:  # else it is no new low, and needs no division
            deepest = min(deepest, (value - peak) / peak)
            low = NEARLY * deepest * peak
        elif np.isnan(value):
            return np.nan
    return deepest
