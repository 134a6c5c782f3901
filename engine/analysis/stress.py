"""Stress: what a run earned in the worst times that there were, and what it would lose in a shock of one's own.

Windows: the account as it was held, or played again from flat, begun LEAD bars before the window so that the rules hold
what they want when it comes. Days that the data do not have are told (`covered`), never made up.

Shocks (`shocked`): the prices of some markets jump before the open of a day and stay there; the engine plays the run
again, so that signals, sizes, stops and margin calls of the days after follow. What jumps:

| shock | what moves |
| --- | --- |
| ES=-20% | the price of one market, or of all columns of a root |
| energy=-10% | all markets of a sector |
| all=-5% | all markets |
| against=3sd | correlation to one: each market against what was held into the day, all at once |
| beta:ES=-20% | ES, and each other market by its beta to it over the 52 weeks before |

A size is a share of the price of the contract (`%`), or daily volatilities as known the evening before (`sd`);
`@2020-03-16` names the day, else it is the run's last one. Several shocks of one day add up.
"""

import re
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.analysis.daily import ACCOUNT, Daily
from engine.analysis.scene import base_of, moved, price_before, row_of, volatility_before, with_params
from engine.analysis.whatif import Changed, at_day, calls, compared, held_into
from engine.analysis.windows import WINDOWS as SPANS
from engine.rows import carried
from engine.settings import ConfigError, nearest

LEAD = 20  # bars before a window at which it is begun from flat
EDGE = timedelta(days=4)  # by which the first and last day may fall short of a whole window: weekends and holidays
WEEK, WEEKS = 5, 52  # days of a step of a beta, and how many of them
WINDOWS = {one.name: (one.first, one.last) for one in SPANS}  # name -> first and last day
STRESS = {
    "window": pl.String,
    "first": pl.Date,
    "last": pl.Date,
    "covered": pl.String,  # whole, part or none, of the window; what follows is null where none is
    "days": pl.Int64,  # in it [days]
    "profit": pl.Float64,  # after costs, with interest; the markets of the window sum to it [account currency]
    "earned": pl.Float64,  # return of the window [fraction]
    "worst_day": pl.Date,
    "worst_return": pl.Float64,  # of that day [fraction]
    "deepest": pl.Float64,  # drawdown within the window, from the evening before it on [fraction]
    "calls": pl.Int64,  # days with a margin call [days]
}
OF_MARKETS = {
    "window": pl.String,
    "market": pl.String,  # or ACCOUNT
    "profit": pl.Float64,  # after costs [account currency]
    "worst_day": pl.Date,  # of this market
    "worst_money": pl.Float64,  # its profit then [account currency]
}
SHOCK = {
    "market": pl.String,  # or ACCOUNT
    "held": pl.Float64,  # into the day, net [contracts]
    "price": pl.Float64,  # of the contract, the evening before [points]
    "jump": pl.Float64,  # of all its prices from the day on [points]
    "on_day": pl.Float64,  # change of the profit of the day [account currency]
    "later": pl.Float64,  # of all days after it: what the rules made of it [account currency]
    "change": pl.Float64,  # both; sums to the difference of the final equities
}


class Shocked(NamedTuple):
    """A run through a shock."""

    day: object  # date
    moves: pl.DataFrame  # SHOCK
    changed: Changed  # the numbers and markets of both runs


def window_of(text):
    """(name, first, last) of a window: a name of WINDOWS, or `2008-09-15:2008-10-10`.

    >>> window_of("2008-09-15:2008-10-10")
    ('2008-09-15:2008-10-10', datetime.date(2008, 9, 15), datetime.date(2008, 10, 10))
    """
    if text in WINDOWS:
        return text, *WINDOWS[text]
    first, _, last = text.partition(":")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        near = nearest(text, list(WINDOWS))
        raise ConfigError(
            f"window {text}: allowed: {', '.join(WINDOWS)}, or two days as 2008-09-15:2008-10-10{near}"
        ) from None
    if days[1] < days[0]:
        raise ConfigError(f"window {text}: its last day is before its first; allowed: the earlier day first")
    return text, *days


def stress(run, windows=tuple(WINDOWS)):
    """What a run as it was held earned in some windows.

    Parameters
    ----------
    run : RunResult
    windows : list of str
        See `window_of`.

    Returns
    -------
    (DataFrame, DataFrame)
        Columns STRESS, a row a window; columns OF_MARKETS, the largest loss of a window first.
    """
    daily = Daily.of(run)
    told = [_told(run, daily, *window_of(text)) for text in windows]
    rows, markets = [row for row, _ in told], [row for _, part in told for row in part]
    return pl.DataFrame(rows, schema=STRESS, orient="row"), pl.DataFrame(markets, schema=OF_MARKETS, orient="row")


def replayed(archive, run, windows=tuple(WINDOWS)):
    """The same, each window played again from flat with the capital that the portfolio begins with.

    Windows before the first day of the run are played, too, where the data have them.
    """
    scene, _ = base_of(archive, run)
    return played(scene, windows)


def played(scene, windows):
    """`replayed` of a scene, of which all days up to the run's end are there."""
    found = []
    for text in windows:
        name, first, last = window_of(text)
        days = scene.market.days.astype("datetime64[D]")
        within = np.flatnonzero((days >= np.datetime64(first)) & (days <= np.datetime64(last)))
        if not len(within):
            found.append(_nothing(name, first, last))
            continue
        start = days[max(int(within[0]) - LEAD, 0)].astype(date)
        cut = int(within[-1]) + 1
        portfolio = with_params(scene.portfolio, start=start, end=None)
        part = scene._replace(market=scene.market.rows(0, cut), portfolio=portfolio)
        if scene.within is not None:
            part = part._replace(within=_until(scene.within, cut))
        if scene.bars is not None:
            part = part._replace(bars=_bars_until(scene.bars, cut))
        run = part.played()
        found.append(_told(run, Daily.of(run), name, first, last))
    rows, markets = [row for row, _ in found], [row for _, part in found for row in part]
    return pl.DataFrame(rows, schema=STRESS, orient="row"), pl.DataFrame(markets, schema=OF_MARKETS, orient="row")


def _until(within, cut):
    """The bars within the days before a row of days."""
    rows = int(np.searchsorted(within.day_row, cut))
    return within._replace(
        market=within.market.rows(0, rows), time=within.time[:rows], day_row=within.day_row[:rows],
        day_end=within.day_end[:rows], served=within.served[:cut],
    )  # fmt: skip


def _bars_until(bars, cut):
    def read():
        every = bars() if callable(bars) else bars
        return every._replace(first=every.first[:cut], last=every.last[:cut])

    return read


def _nothing(name, first, last):
    return (name, first, last, "none", 0, *[None] * 6), []


def _told(run, daily, name, first, last):
    """The row of STRESS and the rows of OF_MARKETS of one window."""
    days = daily.days[1:]
    inside = np.flatnonzero((days >= np.datetime64(first)) & (days <= np.datetime64(last)))
    if not len(inside):
        return _nothing(name, first, last)
    begin, end = int(inside[0]), int(inside[-1]) + 1
    whole = days[begin] - EDGE <= np.datetime64(first) and days[end - 1] + EDGE >= np.datetime64(last)
    whole &= begin > 0 or days[0] <= np.datetime64(first)  # the days before a run are not known to be holidays
    profit, returns, alone = daily.profit[begin:end], daily.returns[begin:end], daily.alone[begin : end + 1]
    peak = np.maximum.accumulate(alone)
    worst = int(np.nanargmin(returns)) if not np.isnan(returns).all() else 0
    row = (
        name, first, last, "whole" if whole else "part", end - begin, float(profit.sum()),
        float(alone[-1] / alone[0] - 1.0) if daily.compounding else float(returns.sum()),
        days[begin + worst].astype(date), float(returns[worst]), float(np.min(alone / peak - 1.0)),
        calls(run, days[begin].astype(date), days[end - 1].astype(date)),
    )  # fmt: skip
    names, sums, lowest = (*daily.names, ACCOUNT), profit.sum(axis=0), profit.argmin(axis=0)
    parts = [
        (name, market, float(sums[m]), days[begin + lowest[m]].astype(date), float(profit[lowest[m], m]))
        for m, market in enumerate(names)
        if np.any(profit[:, m])
    ]
    return row, sorted(parts, key=lambda part: (part[2], part[1]))


def shock(archive, run, shocks):
    """A stored run through a shock.

    Parameters
    ----------
    archive : Archive
    run : RunResult
    shocks : list of str
        See the top of this file; all of one day.

    Returns
    -------
    Shocked

    Raises
    ------
    ConfigError
        What is wrong with a shock, and what is allowed.
    NotRunHere, SourceChanged
        The run cannot be played again, see `scene.base_of`.
    """
    return shocked(*base_of(archive, run), shocks)


def shocked(scene, before, shocks):
    """`shock` of a scene and the run that it played as."""
    parts = [_parted(text) for text in shocks]
    days = {day for *_, day in parts}
    if len(days) > 1:
        raise ConfigError(f"--shock of several days: {', '.join(str(day) for day in days)}; allowed: one day for all")
    text = ", ".join(shocks)
    scene.days_only(f"shock {text}")
    market, last = scene.market, before.equity()["day"][-1]
    day = next(iter(days)) or last
    row = row_of(market, day, f"shock {text}")
    day = market.days[row].astype("datetime64[D]").astype(date)
    if not before.equity()["day"][0] < day <= last:
        raise ConfigError(f"shock {text}: {day} is no day of the run; allowed: up to {last}")
    price, held = price_before(market, row), held_into(before, day)
    size = np.array([held.get(name, 0.0) for name in market.names])
    jump = np.zeros(len(price))
    for name, amount, unit, _ in parts:
        jump += _jump(market, row, name, amount, unit, price, size)
    after = scene._replace(market=moved(market, row, add=jump)).played()
    told = compared(text, before, after)
    return Shocked(day, _moves(market, before, after, day, price, jump, size), told)


def _parted(text):
    """(what moves, how far, unit, day or None) of the text of a shock."""
    told, day = at_day(text, f"shock {text}")
    found = re.fullmatch(r"\s*(\S.*?)\s*=\s*([+-]?\d+(?:\.\d+)?)\s*(%|sd)\s*", told)
    if not found:
        raise ConfigError(f"shock {text}: allowed: a name and a move in % or sd, as ES=-20% or against=3sd@2020-03-16")
    amount = float(found[2])
    return found[1], amount / 100.0 if found[3] == "%" else amount, found[3], day


def _jump(market, row, name, amount, unit, price, size):
    """Points by which each market jumps, array (market,)."""
    scale = np.abs(price) if unit == "%" else volatility_before(market, row)
    factor = name.removeprefix("beta:")
    if factor != name:
        if factor not in market.names:
            raise ConfigError(f"shock {name}: {factor} is no market of this run; allowed: {', '.join(market.names)}")
        jump = amount * scale[market.names.index(factor)] * betas(market, row, factor)
    else:
        chosen = _chosen(market, name)
        side = -np.sign(size) * np.sign(amount or 1.0) if name == "against" else 1.0
        jump = np.where(chosen, amount * scale * side, 0.0)
        if name == "against":
            jump = np.where(size != 0.0, jump, 0.0)
        elif np.isnan(jump[chosen]).all():
            raise ConfigError(f"shock {name}: it has no price before {market.days[row]}; allowed: a later day")
    return np.nan_to_num(jump)


def _chosen(market, name):
    """Which markets a name means, array (market,) of bool."""
    if name in ("all", "against"):
        return np.ones(len(market.names), bool)
    for told in (market.names, market.roots, market.sectors):
        if name in told:
            return np.array([one == name for one in told])
    allowed = [*market.names, *sorted(set(market.sectors)), "all", "against", "beta:ROOT"]
    raise ConfigError(f"shock {name}: not known; allowed: {', '.join(allowed)}{nearest(name, allowed)}")


def betas(market, row, factor):
    """Points that each market moves with one point of a factor: the slope of its steps of a week on those of the
    factor, over the 52 weeks before a row; array (market,), 0 where fewer than half of them are known.

    .. math:: b_m = \\sum (d_m - \\bar d_m)(d_f - \\bar d_f) / \\sum (d_f - \\bar d_f)^2
    """
    known = carried(market.adjusted[:row])
    steps = np.diff(known[::-1][: WEEK * WEEKS + 1 : WEEK][::-1], axis=0)  # of rows that end with the last one
    own = steps[:, market.names.index(factor)]
    out = np.zeros(steps.shape[1])
    for m in range(steps.shape[1]):
        both = ~np.isnan(steps[:, m]) & ~np.isnan(own)
        if both.sum() >= WEEKS // 2:
            apart = own[both] - own[both].mean()
            if (square := apart @ apart) > 0.0:
                out[m] = apart @ (steps[both, m] - steps[both, m].mean()) / square
    out[market.names.index(factor)] = 1.0
    return out


def _moves(market, before, after, day, price, jump, size):
    """Columns SHOCK."""
    one, other = Daily.of(before), Daily.of(after)
    at, rows = np.datetime64(day, "D"), []
    for name in (*market.names, ACCOUNT):
        parts = []
        for daily in (one, other):
            m = (*daily.names, ACCOUNT).index(name) if name in (*daily.names, ACCOUNT) else None
            mine = np.zeros(len(daily.profit)) if m is None else daily.profit[:, m]
            days = daily.days[1:]
            parts.append((mine[days == at].sum(), mine[days > at].sum()))
        on, later = parts[1][0] - parts[0][0], parts[1][1] - parts[0][1]
        of = market.names.index(name) if name != ACCOUNT else None
        told = (None, None, None) if of is None else (size[of], price[of], jump[of])
        rows.append((name, *told, on, later, on + later))
    frame = pl.DataFrame(rows, schema=SHOCK, orient="row").fill_nan(None)
    kept = (pl.col("market") == ACCOUNT) | (pl.col("jump") != 0.0) | (pl.col("change") != 0.0)
    return frame.filter(kept)
