r"""Where a run stands against its risk limits: every day of its history, and now, with who caused each breach.

What is held against the levels of `risk_limits`, at the close of each day:

* `max_drawdown`: loss since the peak, money paid in or out left out;
* `value_at_risk`: the quantile of what the positions of the day would have earned on each of the days up to it, over
  the capital (historical simulation);
* `margin_to_equity`: initial margin of the account over its equity;
* `concentration`: sum of the squared shares of the markets in the margin (Herfindahl);
* `correlation`: mean correlation of the positions, weighted by their risks,
  :math:`(\sigma^2 - \sum_m \sigma_m^2) / ((\sum_m \sigma_m)^2 - \sum_m \sigma_m^2)`, of weekly moves;
* `loss_day`, `loss_week`, `loss_month`: profit of the day, since Monday, since the 1st, over the capital that was there
  when the span began, with its sign turned;
* `stale_data`: calendar days since the last price of what is held, of the market with the oldest.

What each market has of a value sums to it, but for `stale_data`, which is no sum.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from engine import tails
from engine.analysis.daily import ACCOUNT, Daily, by_market, codes, rows_of
from engine.analysis.exposure import WEEK, Held
from engine.analysis.risk_limits import STATES
from engine.analysis.value_at_risk import historical_components, moves
from engine.risk import drawdown

OF_MARKET = ("value_at_risk", "correlation", "stale_data")  # limits that read the prices of the run's markets
CHUNK = 256  # days whose quantiles are taken at a time
NOW = {
    "limit": pl.String,
    "state": pl.String,  # green, amber, red, on the last day; unknown where the market of the run is gone
    "value": pl.Float64,  # on the last day; null: nothing to measure [unit of the limit]
    "amber": pl.Float64,
    "red": pl.Float64,
    "days_amber": pl.Int32,  # of all days
    "days_red": pl.Int32,
    "breaches": pl.Int32,  # spans of days that were not green
    "worst": pl.Float64,  # highest value
    "worst_day": pl.Date,
}
BREACHES = {
    "limit": pl.String,
    "breach": pl.Int32,  # number, by time
    "state": pl.String,  # the worse one that was reached
    "day": pl.Date,  # the first
    "value": pl.Float64,  # on that day
    "last": pl.Date,  # last day that was not green
    "days": pl.Int32,  # on which there were prices
    "worst": pl.Float64,  # highest value
    "worst_day": pl.Date,
}
CAUSES = {
    "limit": pl.String,
    "breach": pl.Int32,
    "day": pl.Date,  # the worst day of the breach
    "market": pl.String,  # "account": what belongs to none, as interest, or margin that is waived
    "part": pl.Float64,  # of the value of that day; sums to it, but for `stale_data` [unit of the limit]
}


@dataclass(frozen=True)
class Standing:
    """A run and its limits; arrays begin with the day after the starting capital."""

    daily: Daily
    held: Held
    limits: dict  # name -> Limit, of `risk_limits.read`
    contracts: np.ndarray  # (time, market) held at the close, net, signed, in the order of `daily.names`
    market: object  # Market of the run with all history, or None where it is not known

    @classmethod
    def of(cls, run, limits, market=None):
        """The standing of a run; without its market, `OF_MARKET` is not known."""
        daily, positions = Daily.of(run), by_market(run.positions())
        time, count = len(daily.days) - 1, len(daily.names)
        place = (rows_of(daily.days, positions["day"]) - 1) * count + codes(positions["market"], daily.names)
        held = np.bincount(place, positions["contracts"].to_numpy(), minlength=time * count).reshape(time, count)
        return cls(daily, Held.of(run), limits, held, market)

    @cached_property
    def measured(self):
        """{limit: what its measure gives}."""
        return {name: MEASURES[name](self) for name in self.known}

    @property
    def values(self):
        """{limit: value of each day, array (time,)}; nan where there is nothing to measure."""
        return {name: values for name, (values, _) in self.measured.items()}

    @property
    def known(self):
        """Limits that can be told."""
        return [name for name in self.limits if self.market is not None or name not in OF_MARKET]

    def parts(self, name, t):
        """What each market, and the account last, has of the value of a limit on row t; array (market + 1,)."""
        return self.measured[name][1](t)

    @cached_property
    def margin(self):
        """Initial margin of each market's contracts, in the order of `daily.names`, (time, market)."""
        out = np.zeros((len(self.held.days), len(self.daily.names)))
        out[:, [self.daily.names.index(name) for name in self.held.names]] = self.held.margin
        return out

    @cached_property
    def capital(self):
        """Capital at the close, of which the next day's loss will be a share, (time,); nan if none is left."""
        equity = self.daily.equity[1:] if self.daily.compounding else np.full(len(self.contracts), self.daily.equity[0])
        return np.where(equity > 0.0, equity, np.nan)

    @cached_property
    def moved(self):
        """Change of one contract's value on each row of the market, [points], and its worth of a point, for `names`."""
        column = [self.market.names.index(name) for name in self.daily.names]
        worth = (self.market.multiplier * self.market.fx)[:, column]
        return moves(self.market.adjusted[:, column]), worth

    @cached_property
    def rows(self):
        """Row of the market of each day, (time,)."""
        return np.searchsorted(self.market.days.astype("datetime64[D]"), self.daily.days[1:])

    def past(self, t, days):
        """What a contract of each market would have earned on the days up to row t, (days, market), in money."""
        moved, worth = self.moved
        row = self.rows[t]
        return moved[max(row - days, 0) : row] * np.nan_to_num(worth[row])

    @cached_property
    def states(self):
        """{limit: 0 green, 1 amber, 2 red on each day, array (time,)}."""
        return {name: _states(self.limits[name], values) for name, values in self.values.items()}


def now(standing):
    """Where each limit stands on the last day, and what it was over history; DataFrame with columns NOW."""
    rows = []
    for name, limit in standing.limits.items():
        if name not in standing.values:
            rows.append((name, "unknown", None, limit.amber, limit.red, None, None, None, None, None))
            continue
        values, states = standing.values[name], standing.states[name]
        begins = np.sum((states > 0) & ~np.append(False, states[:-1] > 0))
        worst = None if np.isnan(values).all() else int(np.nanargmax(values))
        told = (
            STATES[states[-1]],
            values[-1],
            limit.amber,
            limit.red,
            np.sum(states == 1),
            np.sum(states == 2),
            begins,
        )
        most = (None, None) if worst is None else (values[worst], standing.held.days[worst].item())
        rows.append((name, *told, *most))
    return pl.DataFrame(rows, schema=NOW, orient="row", strict=False).fill_nan(None)


def breaches(standing):
    """Every span of days on which a limit was not green, limit by limit, the newest first; columns BREACHES."""
    days = standing.held.days
    rows = []
    for name, number, first, last, worst in _spans(standing):
        values, state = standing.values[name], standing.states[name][first : last + 1].max()
        ends = (days[first].item(), values[first], days[last].item(), last - first + 1)
        rows.append((name, number, STATES[state], *ends, values[worst], days[worst].item()))
    frame = pl.DataFrame(rows, schema=BREACHES, orient="row", strict=False)
    order = pl.col("limit").replace_strict({name: k for k, name in enumerate(standing.limits)}, return_dtype=pl.Int32)
    return frame.sort(order, "breach", descending=[False, True])


def causes(standing):
    """Who caused each breach: what each market has of its worst value, the most first; columns CAUSES."""
    names, frames = [*standing.daily.names, ACCOUNT], []
    for name, number, _, _, worst in _spans(standing):
        parts = standing.parts(name, worst)
        there = np.flatnonzero(parts)
        told = {"limit": name, "breach": number, "day": standing.held.days[worst].item()}
        frame = pl.DataFrame({"market": [names[k] for k in there], "part": parts[there]})
        frames.append(frame.with_columns(**{key: pl.lit(value) for key, value in told.items()}).select(*CAUSES))
    found = pl.concat([frame.cast(CAUSES) for frame in frames]) if frames else pl.DataFrame(schema=CAUSES)
    return found.sort("limit", "breach", "part", "market", descending=[False, False, True, False])


def simulated(profit, level):
    """Value at risk of each column of what was earned, (days, any); nan of fewer than 20 days."""
    if len(profit) < 20:
        return np.full(profit.shape[1], np.nan)
    return -np.quantile(profit, tails.beyond(level), axis=0)


def weekly(past):
    """Moves of whole weeks up to the last row, (week, market)."""
    whole = len(past) // WEEK * WEEK
    return past[len(past) - whole :].reshape(-1, WEEK, past.shape[1]).sum(axis=1)


def mean_correlation(covariance, contracts):
    """Mean correlation of positions by their risks, of (..., market) contracts; nan of fewer than two that move."""
    own = np.square(contracts) * np.diag(covariance)
    whole = np.einsum("...i,ij,...j->...", contracts, covariance, contracts)
    pairs = np.sqrt(own).sum(axis=-1) ** 2 - own.sum(axis=-1)
    several = (own > 0.0).sum(axis=-1) > 1
    return np.divide(whole - own.sum(axis=-1), pairs, out=np.full(np.shape(whole), np.nan), where=several)


# Measures: Standing -> (values of each day, function of a row that gives what each market has of it)


def _drawdown(one):
    alone, profit = one.daily.alone, one.daily.profit
    depth = -drawdown(alone)
    peak = np.maximum.accumulate(np.where(depth == 0.0, np.arange(len(depth)), 0))

    def parts(t):
        fall = profit[peak[t + 1] : t + 1].sum(axis=0)
        return depth[t + 1] * fall / fall.sum() if fall.sum() != 0.0 else 0.0 * fall

    return depth[1:], parts


def _loss(span):
    def measure(one):
        begin = _begins(one.daily.days[1:], span)
        sums = np.vstack([np.zeros((1, one.daily.profit.shape[1])), np.cumsum(one.daily.profit, axis=0)])
        lost = -(sums[1:] - sums[begin]).sum(axis=1) / one.daily.base[begin]
        return lost, lambda t: -(sums[t + 1] - sums[begin[t]]) / one.daily.base[begin[t]]

    return measure


def _margin(one):
    equity = np.where(one.held.equity > 0.0, one.held.equity, np.nan)

    def parts(t):
        return np.append(one.margin[t], one.held.required[t] - one.margin[t].sum()) / equity[t]

    return one.held.required / equity, parts


def _concentration(one):
    whole = one.margin.sum(axis=1, keepdims=True)
    share = np.divide(one.margin, whole, out=np.full(one.margin.shape, np.nan), where=whole > 0.0)
    return (share**2).sum(axis=1), lambda t: np.append(share[t] ** 2, 0.0)


def _value_at_risk(one):
    limit = one.limits["value_at_risk"]

    weight, values = one.contracts / one.capital[:, None], np.full(len(one.contracts), np.nan)
    whole = one.rows >= limit.days
    many = [np.flatnonzero(whole)[k : k + CHUNK] for k in range(0, whole.sum(), CHUNK)]
    for rows in [*np.flatnonzero(~whole)[:, None], *many]:
        earned = [one.past(t, limit.days) @ weight[t] for t in rows]
        values[rows] = simulated(np.column_stack(earned), limit.level)

    def parts(t):
        return np.append(historical_components(one.past(t, limit.days) * weight[t], limit.level), 0.0)

    return values, parts


def _correlation(one):
    limit = one.limits["correlation"]

    def covariance(t):
        return np.atleast_2d(np.cov(weekly(one.past(t, limit.days)), rowvar=False, ddof=0))

    def value(t):
        held = one.contracts[t]
        few = np.count_nonzero(held) < 2 or one.rows[t] < 50
        return np.nan if few else float(mean_correlation(covariance(t), held))

    def parts(t):
        held, moved = one.contracts[t], covariance(t)
        own = held**2 * np.diag(moved)
        return np.append((held * (moved @ held) - own) / (np.sqrt(own).sum() ** 2 - own.sum()), 0.0)

    return np.array([value(t) for t in range(len(one.contracts))]), parts


def _stale(one):
    column = [one.market.names.index(name) for name in one.daily.names]
    known = np.where(np.isnan(one.market.mark[:, column]), -1, np.arange(len(one.market.days))[:, None])
    last = np.maximum.accumulate(known, axis=0)[one.rows]
    days = one.market.days.astype("datetime64[D]")
    age = (one.daily.days[1:, None] - days[np.maximum(last, 0)]).astype("timedelta64[D]").astype(float)
    age = np.where((one.contracts != 0.0) & (last >= 0), age, 0.0)
    return age.max(axis=1, initial=0.0), lambda t: np.append(age[t], 0.0)


MEASURES = {
    "max_drawdown": _drawdown, "value_at_risk": _value_at_risk, "margin_to_equity": _margin,
    "concentration": _concentration, "correlation": _correlation, "loss_day": _loss("D"), "loss_week": _loss("W"),
    "loss_month": _loss("M"), "stale_data": _stale,
}  # fmt: skip


def _begins(days, span):
    """First row of the day, the week from Monday, or the month of each row."""
    if span == "W":
        number = (days.astype("datetime64[D]").astype(int) + 3) // 7  # 1970-01-01 was a Thursday
    else:
        number = days.astype(f"datetime64[{span}]").astype(int)
    return np.searchsorted(number, number, "left")


def _states(limit, values):
    red = np.zeros(len(values), bool) if limit.red is None else values > limit.red
    amber = np.zeros(len(values), bool) if limit.amber is None else values > limit.amber
    return np.where(red, 2, np.where(amber, 1, 0))


def _spans(standing):
    """(limit, number from 1 on, first row, last row, row of the highest value) of each breach."""
    for name, states in standing.states.items():
        broken = np.concatenate([[False], states > 0, [False]])
        edges = np.flatnonzero(broken[1:] != broken[:-1])
        for number, (first, after) in enumerate(edges.reshape(-1, 2).tolist(), 1):
            yield name, number, first, after - 1, first + int(np.nanargmax(standing.values[name][first:after]))
