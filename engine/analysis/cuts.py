"""The smallest whole-contract trade that brings a risk limit back on the last day, and what it costs.

Rules:

* Only cuts are looked at: contracts of what is held, towards none of it. A limit is not met by opening new risk, and a
  position of less than a contract is closed whole.
* Each market alone, every number of contracts from one on: the fewest win, of as many the cheapest. This is exact.
* Several markets: one contract after the other (of large positions more at a time, but for the last steps) in the
  market in which each brings the value down most (of equals the cheapest), then back again market by market as far as
  the limit holds. Of margin these are the fewest that there are; of other limits it is greedy, and fewer may do.
* The one with fewer contracts counts, of as many the cheaper, of as cheap the one in one market.
* A trade costs half the spread, slippage, impact and commission, by the costs of the run on its last day and the mean
  volume then known. What it costs is taken off equity before margin and value at risk are measured anew.
* A loss, a drawdown and an old price are not undone by a trade, and what says so is the `method`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.analysis.risk_limits import STATES
from engine.analysis.standing import mean_correlation, simulated, weekly
from engine.indicators import change, volatility
from engine.inputs import SPAN

STEPS = 100  # of the greedy search in one market, at most
CHUNK = 512  # candidates that are measured at a time
ONE, SEVERAL = "one market, all searched", "several markets, greedy"
NO_TRADE = {
    "max_drawdown": "none: a trade does not undo a loss", "loss_day": "none: a trade does not undo a loss",
    "loss_week": "none: a trade does not undo a loss", "loss_month": "none: a trade does not undo a loss",
    "stale_data": "none: a market without a price cannot be traded",
}  # fmt: skip
NO_CUT = "none: no cut of what is held does"
UNKNOWN = "not known: the market of the run is gone"
CUTS = {
    "limit": pl.String,
    "state": pl.String,  # on the last day: amber or red
    "back_to": pl.String,  # green, or of a red one amber too
    "value": pl.Float64,  # before [unit of the limit]
    "after": pl.Float64,  # the trade; null: there is none
    "market": pl.String,
    "contracts": pl.Float64,  # to trade, negative: to sell
    "held": pl.Float64,  # before
    "cost": pl.Float64,  # of this market's trade [account currency]
    "commission": pl.Float64,  # of it [account currency]
    "slippage": pl.Float64,  # of it, half the spread and impact too [account currency]
    "method": pl.String,  # how it was found, or why there is none
}


@dataclass(frozen=True)
class Sides:
    """What a trade after the last day costs, market by market, arrays (market,). [account currency / contract]"""

    commission: np.ndarray
    slippage: np.ndarray
    impact: np.ndarray  # of a trade as large as the volume
    volume: np.ndarray  # mean of the last days; nan unknown [contracts]
    power: float  # by which the impact grows with the share of the volume

    @classmethod
    def of(cls, run, market, names):
        """Those of a run on its last day, by the costs of its portfolio."""
        row = int(np.searchsorted(market.days, run.equity()["day"].to_numpy()[-1].astype("datetime64[D]")))
        column = [market.names.index(name) for name in names]
        sigma = volatility(change(np.ascontiguousarray(market.adjusted)), SPAN)
        told = run.portfolio.costs.arrays(market, sigma)
        rate = market.fx[row, column]
        point = market.multiplier[row, column] * rate
        commission, slippage = told["commission"][row, column] * rate, told["slippage"][row, column] * point
        impact = told["impact"][row, column] * point
        return cls(commission, slippage, impact, market.liquidity[row, column], told["power"])

    def parts(self, contracts):
        """(commission, slippage and impact) of so many contracts of each market, (..., market). [account currency]"""
        size = np.abs(contracts)
        share = np.nan_to_num(size / np.where(self.volume > 0.0, self.volume, np.nan))
        return size * self.commission, size * (self.slippage + self.impact * share**self.power)

    def cost(self, contracts):
        """What such a trade costs in all, (...,). [account currency]"""
        return sum(part.sum(axis=-1) for part in self.parts(contracts))


def cuts(standing, sides):
    """The trade that brings back each limit that is not green on the last day.

    Parameters
    ----------
    standing : Standing
    sides : Sides, or None where the market of the run is not known

    Returns
    -------
    DataFrame
        Columns CUTS, a row a market of a trade; of a red limit first that to amber, then that to green.
    """
    rows = []
    for name, values in standing.values.items():
        limit, state, value = standing.limits[name], STATES[standing.states[name][-1]], values[-1]
        goals = [("amber", limit.red)] if state == "red" and limit.amber is not None else []
        goals += [("green", limit.within)] if state != "green" else []
        for goal, most in goals:
            told = (name, state, goal, value)
            if name in NO_TRADE or sides is None:
                rows.append((*told, *[None] * 7, NO_TRADE.get(name, UNKNOWN)))
            else:
                rows += [(*told, *row) for row in _found(standing, sides, name, most)]
    return pl.DataFrame(rows, schema=CUTS, orient="row", strict=False).fill_nan(None)


def _found(standing, sides, name, most):
    """Rows of a trade: after, market, contracts, held, cost, commission, slippage, method."""
    held = standing.contracts[-1]
    measure = MEASURES[name](standing, sides)
    trade, method = smallest(held, measure, most, sides.cost)
    if trade is None:
        return [(*[None] * 7, NO_CUT)]
    commission, slippage = sides.parts(trade)
    cost, after, names = commission + slippage, float(measure(trade[None])[0]), standing.daily.names
    return [
        (after, names[m], trade[m], held[m], cost[m], commission[m], slippage[m], method) for m in np.flatnonzero(trade)
    ]


def smallest(held, measure, most, cost):
    """The smallest cut of what is held after which a measure is at most so much.

    Parameters
    ----------
    held : array (market,)
        Signed. [contracts]
    measure : function of trades, array (any, market), to values, array (any,)
        What is left after each; nan where there is nothing to measure, which does not count.
    most : float
    cost : function of trades to money, array (any,)

    Returns
    -------
    (array (market,) or None, str)
        The trade, signed, and how it was found.

    Three contracts of 10 and five of 4 are 50; 40 takes one of the first, and 1 takes all but nothing:

    >>> risk = np.array([10.0, 4.0])
    >>> held = np.array([3.0, -5.0])
    >>> left = lambda trades: np.abs(held + trades) @ risk
    >>> smallest(held, left, 40.0, lambda trades: np.abs(trades).sum(axis=-1))[0].tolist()
    [-1.0, 0.0]
    >>> smallest(held, left, 9.0, lambda trades: np.abs(trades).sum(axis=-1))
    (array([-3.,  3.]), 'several markets, greedy')

    Of two contracts of 10 and fifty of 1 both and five are fewer than twenty-five:

    >>> few = lambda trades: np.abs(np.array([2.0, 50.0]) + trades) @ np.array([10.0, 1.0])
    >>> smallest(np.array([2.0, 50.0]), few, 45.0, lambda trades: np.abs(trades).sum(axis=-1))[0].tolist()
    [-2.0, -5.0]
    """
    found = [(_alone(held, measure, most, cost), ONE)]
    few = np.inf if found[0][0] is None else np.abs(found[0][0]).sum()
    found.append((_several(held, measure, most, cost, few), SEVERAL))
    there = [(trade, method) for trade, method in found if trade is not None]
    return min(there, key=lambda one: (np.abs(one[0]).sum(), float(cost(one[0]))), default=(None, NO_CUT))


def _alone(held, measure, most, cost):
    """The cut in one market: the fewest contracts, of as many the cheapest; None where none does."""
    found, few = [], np.inf
    for m in np.flatnonzero(held):
        sizes = _sizes(held[m])
        trade = _fewest(np.zeros(len(held)), m, sizes[sizes <= few], held, measure, most)
        if trade is not None:
            found.append(trade)
            few = abs(trade[m])
    return min(found, key=lambda trade: (np.abs(trade).sum(), float(cost(trade)))) if found else None


def _fewest(trade, m, sizes, held, measure, most):
    """The trade with the first of some sizes in market m that is within the limit; None where none is."""
    for k in range(0, len(sizes), CHUNK):
        part = sizes[k : k + CHUNK]
        trades = np.repeat(trade[None], len(part), axis=0)
        trades[:, m] = -np.sign(held[m]) * part
        within = np.flatnonzero(measure(trades) <= most)
        if len(within):
            return trades[within[0]]
    return None


def _several(held, measure, most, cost, few=np.inf):
    """Cuts in several markets, one step at a time; None where not even the best of them does with `few` contracts."""
    trade, step = np.zeros(len(held)), np.maximum(np.ceil(np.abs(held) / STEPS), 1.0)
    value = float(measure(trade[None])[0])
    while np.abs(trade).sum() < few:
        left = np.abs(held + trade)
        markets = np.flatnonzero(left > 0.0)
        if not len(markets):
            return None
        size = np.minimum(step, left)[markets]
        trades = np.repeat(trade[None], len(markets), axis=0)
        trades[np.arange(len(markets)), markets] -= np.sign(held[markets]) * size
        values = measure(trades)
        if np.isnan(values).all():
            return None
        each = (values - value) / size
        best = min(np.flatnonzero(each == np.nanmin(each)), key=lambda k: float(cost(trades[k])))
        if values[best] <= most and size[best] > 1.0:
            step = np.ones(len(held))  # the last steps are of one contract
            continue
        trade, value = trades[best], values[best]
        if value <= most:
            return _given_back(held, trade, measure, most)
    return None


def _given_back(held, trade, measure, most):
    """The trade with as little of each market as holds the limit, market by market."""
    for m in np.flatnonzero(trade):
        sizes = np.append(0.0, _sizes(held[m]))
        less = _fewest(trade, m, sizes[sizes < abs(trade[m])], held, measure, most)
        trade = trade if less is None else less
    return trade


def _sizes(held):
    """Contracts that can be cut of a position: 1, 2 ... and all of it."""
    sizes = np.arange(1.0, np.floor(abs(held)) + 1.0)
    return sizes if abs(held) == np.floor(abs(held)) else np.append(sizes, abs(held))


# Measures: (standing, sides) -> function of trades after the last day, (any, market), to what is left, (any,)


def _margin(standing, sides):
    held, equity = standing.contracts[-1], standing.held.equity[-1]
    each = np.divide(standing.margin[-1], np.abs(held), out=np.zeros(len(held)), where=held != 0.0)
    ours = standing.margin[-1].sum()
    asked = standing.held.required[-1] / ours if ours > 0.0 else 1.0  # less than 1 where spreads have credit

    def measure(trades):
        rest = equity - sides.cost(trades)
        return np.where(rest > 0.0, asked * (np.abs(held + trades) @ each) / rest, np.nan)

    return measure


def _concentration(standing, sides):
    held = standing.contracts[-1]
    each = np.divide(standing.margin[-1], np.abs(held), out=np.zeros(len(held)), where=held != 0.0)

    def measure(trades):
        margin = np.abs(held + trades) * each
        whole = margin.sum(axis=-1)
        return np.divide((margin**2).sum(axis=-1), whole**2, out=np.full(len(trades), np.nan), where=whole > 0.0)

    return measure


def _value_at_risk(standing, sides):
    limit, held, capital = standing.limits["value_at_risk"], standing.contracts[-1], standing.capital[-1]
    past = standing.past(len(standing.contracts) - 1, limit.days)

    def measure(trades):
        rest = capital - sides.cost(trades)
        return simulated(past @ (held + trades).T, limit.level) / np.where(rest > 0.0, rest, np.nan)

    return measure


def _correlation(standing, sides):
    held = standing.contracts[-1]
    past = standing.past(len(standing.contracts) - 1, standing.limits["correlation"].days)
    covariance = np.atleast_2d(np.cov(weekly(past), rowvar=False, ddof=0))
    return lambda trades: mean_correlation(covariance, held + trades)


MEASURES = {
    "margin_to_equity": _margin, "concentration": _concentration, "value_at_risk": _value_at_risk,
    "correlation": _correlation,
}  # fmt: skip
