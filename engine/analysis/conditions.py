"""What a run earned, held and traded in each regime, and how sure that is.

Rules:

1. A day counts to the regime that was known at the close before it: what the run earned from that close to its own. So
   a strategy could have acted on it. A trade counts to that of its own market before its entry.
2. `p_value`: how often chance makes a difference at least as large, of either sign, where the days of the regime earn
   as much as the others: days are drawn anew in blocks, each with its regime (`chances.drawn`). `p_moved`: how often
   one as large comes about when regimes are moved against the days by any number of days, around the end
   (`chances.rotated`), which asks of the swings as well. Of twenty such numbers one is below 0.05 by chance.
3. `episodes`: stretches of a regime that are `APART` days or more away from each other: nearer ones are one event. With
   fewer than `FEW` the p-values are of little worth, and the row is warned of.
4. Days whose regime was not known have a row of their own, so that profits add up to that of the run.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from engine import ratios, risk, trade_metrics
from engine.analysis import daily as days_of
from engine.analysis.chances import RESAMPLES, drawn, episodes, rotated
from engine.analysis.regimes import UNKNOWN

FEW = 10  # [episodes]
SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # of the days that are worse, as DISTRIBUTION tells them
NOT_KNOWN = "not known"  # regime of the days on which none was
PERFORMANCE = {
    "regime": pl.String,
    "days": pl.Int64,
    "share": pl.Float64,  # of all days [fraction]
    "episodes": pl.Int64,  # that are independent of each other, rule 3
    "profit": pl.Float64,  # after costs, of the account [account currency]
    "annual": pl.Float64,  # mean return of a day x 252 [fraction a year]
    "volatility": pl.Float64,  # of daily returns [fraction a year]
    "sharpe": pl.Float64,  # in excess of the interest credited [ratio]
    "difference": pl.Float64,  # `annual` less that of all other days whose regime was known [fraction a year]
    "p_value": pl.Float64,  # of the difference, rule 2 [fraction]
    "p_moved": pl.Float64,  # likewise
    "warning": pl.String,  # why the p-values are of little worth; "" if nothing speaks against it
}
BY_MARKET = {
    "regime": pl.String,  # of each market by itself
    "market_days": pl.Int64,  # days x markets
    "share": pl.Float64,  # of all [fraction]
    "episodes": pl.Int64,  # of a market, in the mean
    "profit": pl.Float64,  # after costs [account currency]
    "annual": pl.Float64,  # what a market earned on the capital, mean of a day x 252 [fraction a year]
    "difference": pl.Float64,  # less that of all other days and markets [fraction a year]
    "p_value": pl.Float64,  # markets are drawn together, rule 2 [fraction]
    "p_moved": pl.Float64,  # and moved together [fraction]
    "warning": pl.String,
}
TRADES = {
    "regime": pl.String,  # of its own market before its entry
    "trades": pl.Int64,
    "episodes": pl.Int64,  # of a market, in the mean
    "net": pl.Float64,  # sum after costs [account currency]
    "win_rate": pl.Float64,  # [fraction]
    "payoff": pl.Float64,  # mean winner over mean loser [ratio]
    "profit_factor": pl.Float64,  # sum won over sum lost [ratio]
    "expectancy": pl.Float64,  # mean [account currency a trade]
    "bars": pl.Float64,  # mean time held [bars]
    "difference_money": pl.Float64,  # `expectancy` less that of all other trades [account currency a trade]
    "p_value": pl.Float64,  # [fraction]
    "p_moved": pl.Float64,  # [fraction]
    "warning": pl.String,
}
EXPOSURE = {
    "regime": pl.String,
    "days": pl.Int64,
    "leverage": pl.Float64,  # mean of what is held, long and short, over equity at the close [ratio]
    "net_leverage": pl.Float64,  # mean of long less short [ratio]
    "margin_to_equity": pl.Float64,  # mean, of the account's margin [fraction]
    "markets": pl.Float64,  # mean number of markets with a position
    "in_market": pl.Float64,  # share of the days with any position [fraction]
}
DISTRIBUTION = {
    "regime": pl.String,
    "days": pl.Int64,  # with a return
    "worst": pl.Float64,  # all of daily returns [fraction]
    "q05": pl.Float64,  # of a hundred days five are worse
    "q25": pl.Float64,
    "median": pl.Float64,
    "q75": pl.Float64,
    "q95": pl.Float64,
    "best": pl.Float64,
    "mean": pl.Float64,
}
TRANSITIONS = {
    "regime": pl.String,  # of a day
    "next": pl.String,  # of the day after
    "times": pl.Int64,
    "probability": pl.Float64,  # of all days in the first that have a day after [fraction]
    "spells": pl.Int64,  # unbroken stretches of the first
    "lasts": pl.Float64,  # mean length of one, the last one as long as it was seen [days]
}
DRAWDOWNS = {
    "regime": pl.String,
    "deepest": pl.Float64,  # of the days of the regime alone, one after the other [fraction]
    "deepest_spell": pl.Float64,  # within one unbroken stretch [fraction]
    "mean_drawdown": pl.Float64,  # of the account's drawdown on its days [fraction]
    "fall_share": pl.Float64,  # of the account's deepest fall, peak to trough, what was lost on its days [fraction]
}


class Known(NamedTuple):
    """Regimes of a run's days as they were known at the close before."""

    names: tuple  # of the codes
    together: np.ndarray  # (time,) int8: code, -1 not known
    market: np.ndarray  # (time, market) int8, in the order of `Daily.names`; -1 too for what is no market, as a spread


def known_before(labels, columns, daily):
    """The `Known` of a run.

    Parameters
    ----------
    labels : Labels
    columns : sequence of str
        Names of its markets.
    daily : Daily
    """
    row = np.searchsorted(labels.days, daily.days[1:].astype("datetime64[D]")) - 1
    place = {name: m for m, name in enumerate(columns)}
    empty = np.full(len(labels.days), UNKNOWN, np.int8)
    market = np.column_stack([labels.market[:, place[n]] if n in place else empty for n in daily.names] or [empty])
    first = row >= 0
    together, own = np.where(first, labels.together[row], UNKNOWN), np.where(first[:, None], market[row], UNKNOWN)
    return Known(labels.names, together.astype(np.int8), own.astype(np.int8))


def performance(known, daily, resamples=RESAMPLES):
    """What the account earned in each regime: columns PERFORMANCE, a row a regime; without `resamples` no `p_value`."""
    returns, profit = daily.returns, daily.profit.sum(axis=1)
    code = known.together[:, None]
    sure, moved, difference = _chances(code, returns[:, None], ~np.isnan(returns[:, None]), len(known.names), resamples)
    rows = []
    for k, name in _regimes(known.names, code):
        inside = known.together == k
        own = returns[inside & ~np.isnan(returns)]
        rows.append({
            "regime": name, "days": int(inside.sum()), "share": float(inside.mean()), "episodes": episodes(code, k),
            "profit": float(profit[inside].sum()), "annual": _mean(own) * ratios.YEAR,
            "volatility": ratios.volatility(own), "difference": difference[k] * ratios.YEAR, "p_value": sure[k],
            "sharpe": ratios.sharpe(own, (daily.interest / daily.base)[inside & ~np.isnan(returns)]),
            "p_moved": moved[k],
        })  # fmt: skip
    return _told(rows, PERFORMANCE)


def by_market(known, daily):
    """What markets earned in the regime of each: columns BY_MARKET, a row a regime."""
    shares, code = daily.shares[:, : len(daily.names)], known.market
    sure, moved, difference = _chances(code, shares, ~np.isnan(shares), len(known.names))
    rows = []
    for k, name in _regimes(known.names, code):
        inside = code == k
        rows.append({
            "regime": name, "market_days": int(inside.sum()), "share": float(inside.mean()),
            "episodes": episodes(code, k), "profit": float(daily.profit[:, : len(daily.names)][inside].sum()),
            "annual": _mean(shares[inside & ~np.isnan(shares)]) * ratios.YEAR,
            "difference": difference[k] * ratios.YEAR, "p_value": sure[k], "p_moved": moved[k],
        })  # fmt: skip
    return _told(rows, BY_MARKET)


def trades(run, known, daily):
    """What trades earned by the regime of their market before the entry: columns TRADES, a row a regime."""
    frame = days_of.by_market(run.trades())
    row = days_of.rows_of(daily.days, frame["entry_day"]) - 1
    column = days_of.codes(frame["market"], daily.names)
    net, bars = frame["net"].to_numpy(), frame["bars"].to_numpy()
    code, shape = known.market[row, column], known.market.shape
    flat = row * shape[1] + column
    earned = np.bincount(flat, net, shape[0] * shape[1]).reshape(shape)
    begun = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    sure, moved, difference = _chances(known.market, earned, begun, len(known.names))
    rows = []
    for k, name in _regimes(known.names, code):
        own = net[code == k]
        rows.append({
            "regime": name, "trades": len(own), "episodes": episodes(known.market, k), "net": float(own.sum()),
            "win_rate": trade_metrics.win_rate(own), "payoff": trade_metrics.payoff(own),
            "profit_factor": trade_metrics.profit_factor(own), "expectancy": trade_metrics.expectancy(own),
            "bars": _mean(bars[code == k]), "difference_money": difference[k], "p_value": sure[k],
            "p_moved": moved[k],
        })  # fmt: skip
    return _told(rows, TRADES)


def distribution(known, daily):
    """How the account's daily returns lie in each regime: columns DISTRIBUTION, a row a regime.

    Source of the quantiles: R. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician
    50 (1996), definition 7.
    """
    rows = []
    for k, name in _regimes(known.names, known.together[:, None]):
        own = daily.returns[known.together == k]
        own = own[~np.isnan(own)]
        told = np.quantile(own, SHARES) if len(own) else np.full(len(SHARES), np.nan)
        rows.append((name, len(own), *told, _mean(own)))
    return pl.DataFrame(rows, schema=DISTRIBUTION, orient="row").fill_nan(None)


def exposure(run, known, daily, asked=None):
    """What was held at the close of the days of each regime: columns EXPOSURE, a row a regime.

    `asked`, array (time,) of bool, are the days to be told of; all, if not given.
    """
    told = days_of.once(run, "carried by day", lambda: _carried(run, daily))
    count = len(known.together)
    asked = np.ones(count, bool) if asked is None else asked
    rows = []
    for k, name in _regimes(known.names, known.together[asked, None]):
        inside = asked & (known.together == k)
        rows.append({"regime": name, "days": int(inside.sum())} | {n: _mean(v[inside]) for n, v in told.items()})
    return pl.DataFrame(rows, schema=EXPOSURE, orient="row").fill_nan(None)


def _carried(run, daily):
    """What the account held at the close of each day, by the columns of EXPOSURE; arrays (time,)."""
    held = days_of.by_market(run.positions())
    row, count = days_of.rows_of(daily.days, held["day"]) - 1, len(daily.days) - 1
    notional = held["notional"].to_numpy()
    gross, net = np.bincount(row, np.abs(notional), count), np.bincount(row, notional, count)
    markets = held.select("day", "market").unique()
    number = np.bincount(days_of.rows_of(daily.days, markets["day"]) - 1, minlength=count)
    equity = np.where(daily.equity[1:] > 0.0, daily.equity[1:], np.nan)
    margin = run.equity()["margin"].to_numpy()[1:] / equity
    return {
        "leverage": gross / equity, "net_leverage": net / equity, "margin_to_equity": margin, "markets": number,
        "in_market": number > 0,
    }  # fmt: skip


def transitions(code, names):
    """How regimes follow each other from day to day: columns TRANSITIONS, a row a pair that may occur.

    Parameters
    ----------
    code : array (time, series)
        -1 is not known, and no regime that follows another.
    names : tuple
        Of the codes.

    >>> transitions(np.array([[0], [0], [1], [0]]), ("calm", "wild")).select("probability", "lasts").rows()
    [(0.5, 1.5), (0.5, 1.5), (1.0, 1.0), (0.0, 1.0)]
    """
    before, after = code[:-1], code[1:]
    count = len(names)
    both = (before != UNKNOWN) & (after != UNKNOWN)
    pairs = np.bincount(before[both].astype(np.int64) * count + after[both], minlength=count * count)
    first = np.concatenate([code[:1] != UNKNOWN, (after != before) & (after != UNKNOWN)])
    rows = []
    for k, name in enumerate(names):
        total, spells = pairs[k * count : (k + 1) * count].sum(), int((first & (code == k)).sum())
        lasts = float((code == k).sum() / spells) if spells else np.nan
        for j, other in enumerate(names):
            times = int(pairs[k * count + j])
            rows.append((name, other, times, times / total if total else np.nan, spells, lasts))
    return pl.DataFrame(rows, schema=TRANSITIONS, orient="row").fill_nan(None)


def drawdowns(known, daily):
    """How deep the account fell in each regime: columns DRAWDOWNS, a row a regime."""
    returns, alone = np.nan_to_num(daily.returns), daily.alone
    depth = risk.drawdown(alone)
    trough = int(np.nanargmin(depth)) if np.isfinite(depth).any() else 0
    peak = int(np.nanargmax(alone[: trough + 1])) if trough else 0
    lost, falling = np.diff(alone), np.zeros(len(returns), bool)
    falling[peak:trough] = True
    total = lost[falling].sum()
    rows = []
    for k, name in _regimes(known.names, known.together[:, None]):
        inside = known.together == k
        begin = np.flatnonzero(inside & ~np.append(False, inside[:-1]))
        end = np.flatnonzero(inside & ~np.append(inside[1:], False)) + 1
        falls = [_deepest(returns[a:b], daily.compounding) for a, b in zip(begin, end, strict=True)]
        share = float(lost[falling & inside].sum() / total) if total < 0.0 else np.nan
        deepest, mean = _deepest(returns[inside], daily.compounding), _mean(depth[1:][inside])
        rows.append((name, deepest, min(falls, default=0.0), mean, share))
    return pl.DataFrame(rows, schema=DRAWDOWNS, orient="row").fill_nan(None)


def _chances(code, values, weights, count, resamples=RESAMPLES):
    """p by drawing days, p by moving regimes, and the difference, of each regime; `resamples` of 0: no p by drawing."""
    moved, difference = rotated(code, values, weights, count)
    sure = drawn(code, values, weights, count, resamples) if resamples else np.full(count, np.nan)
    return sure, moved, difference


def _regimes(names, code):
    """(code, name) of each regime, and of what is not known where there is any."""
    return [*enumerate(names), *([(UNKNOWN, NOT_KNOWN)] if (code == UNKNOWN).any() else [])]


def _mean(values):
    return float(np.mean(values)) if len(values) else np.nan


def _deepest(returns, compounding):
    """Deepest drawdown of returns one after the other. [fraction]"""
    grown = np.cumprod(1.0 + returns) if compounding else 1.0 + np.cumsum(returns)
    return risk.max_drawdown(np.append(1.0, grown))


def _told(rows, schema):
    """The frame, with warnings; what is not known has no episodes of its own."""
    for row in rows:
        few = row["episodes"] < FEW and row["regime"] != NOT_KNOWN
        row["warning"] = f"{row['episodes']} episode{'s' * (row['episodes'] != 1)}, fewer than {FEW}" if few else ""
        if row["regime"] == NOT_KNOWN:
            row |= dict.fromkeys({"difference", "difference_money", "p_value", "p_moved"} & row.keys())
    return pl.DataFrame(rows, schema=schema, orient="row").fill_nan(None)
