"""What if: a run played again by the engine with one thing changed, and what that did to each number and each market.

Nothing here is a formula: sizes, orders, margin calls and rolls are made anew. CHANGES has what can be changed, each
told as `name=value`; `@2020-03-16` after a value is the day from which on it holds.

| change | what is otherwise |
| --- | --- |
| slippage=+1 | every side, of rolls too, is filled so many ticks worse; the size rules do not know of it |
| delay=1 | what is decided on a bar is known so many bars of the market later; sizes follow the equity of that day |
| margin=2 | exchange, broker and estimate ask so many times the margin |
| missing=ES,CL | these markets were never there |
| fx=EUR:-10% | the currency is worth so much more or less, from the day on |
| locked=3@DAY | what was held into the day cannot be left for so many bars of its market; or locked=ES:3@DAY |
| capital=10 | so many times the capital; payments and fixed fees stay as they are |
| rolls=oi:2 | the roll rule of all markets |
| volatility=2 | price moves away from the day's last mark are so many times as large |
"""

import re
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from engine import inputs
from engine.analysis.daily import ACCOUNT, Daily, by_market
from engine.analysis.scene import base_of, moved, row_of, with_params, without
from engine.backtest import first_row
from engine.settings import ConfigError, nearest

CENT = 0.005  # within which parts have to sum to the whole [account currency]
CAPITAL, PAID = "starting capital", "paid in or out"  # rows beside the markets
HEADLINE = (
    "final_equity", "total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown", "calmar",
    "turnover",
)  # fmt: skip  # of engine.metrics, as far as a run has them
COUNTED = ("costs", "trades", "fills", "margin_calls", "margin_peak")  # beside them
NUMBERS = {  # column -> polars type
    "metric": pl.String,  # of HEADLINE or COUNTED
    "before": pl.Float64,  # of the run [unit of the number]
    "after": pl.Float64,  # of the changed one
    "change": pl.Float64,  # after less before; null where either is not defined
}
MARKETS = {
    "market": pl.String,  # or ACCOUNT (interest, fees), PAID, CAPITAL
    "before": pl.Float64,  # profit after costs; the column sums to the final equity [account currency]
    "after": pl.Float64,
    "change": pl.Float64,  # sums to the difference of the final equities
}


class Changed(NamedTuple):
    """A changed run beside the one it was made of."""

    change: str  # as it was asked for
    numbers: pl.DataFrame  # NUMBERS
    markets: pl.DataFrame  # MARKETS
    run: object  # RunResult of the changed one


def what_if(archive, run, *changes):
    """A stored run with one thing changed, or with several at once.

    Parameters
    ----------
    archive : Archive
    run : RunResult
    *changes : str
        `name=value`, see the top of this file.

    Returns
    -------
    Changed

    Raises
    ------
    ConfigError
        What is wrong with the change, and what is allowed.
    NotRunHere, SourceChanged
        The run cannot be played again, see `scene.base_of`.
    """
    scene, before = base_of(archive, run)
    return compared(", ".join(changes), before, changed(scene, changes, before).played())


def changed(scene, changes, before):
    """The scene with some changes; `before` is what it played as."""
    told = [_told(change) for change in changes]
    for name, value in sorted(told, key=lambda one: one[0] != "rolls"):  # first, for it reads the store again
        scene = CHANGES[name](scene, value, before)
    return scene


def _told(change):
    """(name, value) of the text of a change."""
    name, equals, value = change.partition("=")
    name, value = name.strip(), value.strip()
    if name not in CHANGES:
        raise ConfigError(
            f"--what {change}: unknown change {name!r}; allowed: {', '.join(CHANGES)}{nearest(name, list(CHANGES))}"
        )
    if not equals or not value:
        raise ConfigError(f"--what {change}: no value; write it as {EXAMPLES[name]}")
    return name, value


def compared(change, before, after):
    """The `Changed` of two runs; the parts sum to the difference of the final equities to the cent."""
    return Changed(change, numbers(before, after), markets(before, after), after)


def numbers(before, after):
    """Headline numbers of two runs: columns NUMBERS."""
    was, now = _numbers(before), _numbers(after)
    rows = [(name, was[name], now[name]) for name in was]
    frame = pl.DataFrame(rows, schema=dict(list(NUMBERS.items())[:3]), orient="row").fill_nan(None)
    return frame.with_columns(change=pl.col("after") - pl.col("before"))


def _numbers(run):
    told = {name: value for name, value in run.metrics().items() if name in HEADLINE}
    told = {name: told[name] for name in HEADLINE if name in told}
    daily, ledger = run.equity(), run.ledger()
    costs = ledger.filter(pl.col("cause").cast(pl.String).is_in(["slippage", "impact", "commission", *ROLL_COSTS]))
    counted = (-costs["amount"].sum(), len(run.trades()), len(run.fills()), calls(run), daily["margin"].max())
    return told | {name: float(value) + 0.0 for name, value in zip(COUNTED, counted, strict=True)}


ROLL_COSTS = ("roll_slippage", "roll_impact", "roll_commission")


def calls(run, first=None, last=None):
    """Days with a margin call, or an end of the account, between two days."""
    days = run.events().filter(pl.col("kind").cast(pl.String).is_in(["margin call", "ruined"]))["day"]
    if first is not None:
        days = days.filter((days >= first) & (days <= last))
    return days.n_unique()


def markets(before, after):
    """Profit of each market in two runs: columns MARKETS."""
    frames = []
    for name, run in (("before", before), ("after", after)):
        daily = Daily.of(run)
        rows = dict(zip((*daily.names, ACCOUNT), daily.profit.sum(axis=0).tolist(), strict=True))
        rows |= {PAID: float(daily.paid.sum()), CAPITAL: float(daily.equity[0])}
        if abs(sum(rows.values()) - daily.equity[-1]) > CENT:
            raise AssertionError(f"{name}: markets sum to {sum(rows.values())}, the final equity is {daily.equity[-1]}")
        frames.append(rows)
    names = [*sorted((set(frames[0]) | set(frames[1])) - {ACCOUNT, PAID, CAPITAL}), ACCOUNT, PAID, CAPITAL]
    rows = [(name, was, now, now - was) for name in names for was, now in [[f.get(name, 0.0) for f in frames]]]
    kept = [row for row in rows if row[0] != PAID or row[1] or row[2]]
    return pl.DataFrame(kept, schema=MARKETS, orient="row")


def held_into(run, day):
    """{market: net contracts} at the end of the last day of a run before `day`."""
    days = run.equity()["day"]
    before = days.filter(days < day)
    if not len(before):
        return {}
    rows = by_market(run.positions()).filter(pl.col("day") == before[-1])
    net = rows.group_by(pl.col("market").cast(pl.String)).agg(pl.col("contracts").sum())
    return {market: size for market, size in net.rows() if size}


# The changes: function of (scene, value, run before) that gives another scene


def _slippage(scene, value, before):
    ticks = _number("slippage", value)

    def worse(given):
        facts, more = given.facts, ticks * np.nan_to_num(given.market.tick)
        told = {name: np.maximum(getattr(facts, name) + more, 0.0) for name in ("slippage", "roll_slippage")}
        return replace(given, facts=facts._replace(**told))

    return scene.also(worse)


def _delay(scene, value, before):
    bars = _number("delay", value)
    if bars < 1 or bars != int(bars):
        raise ConfigError(f"delay={value}: allowed: whole bars from 1 on")

    def later(given):
        if given.programs is not None:
            raise ConfigError("delay: a strategy that is called bar by bar decides on the bar itself; no delay of it")
        source = delayed(_bars_of(given), int(bars))
        wishes = given.wishes._replace(
            weight=_taken(given.wishes.weight, source, 0.0), usual=_taken(given.wishes.usual, source, 0.0)
        )
        orders = given.orders
        if orders is not None:
            nothing = {"kind": 0, "day": False, "hold": 0, "episode": 0}
            told = orders._asdict().items()
            orders = type(orders)(*(_taken(values, source, nothing.get(name, np.nan)) for name, values in told))
        return replace(given, wishes=wishes, orders=orders)

    return scene.also(later)


def delayed(bars, count):
    """Row of which each row knows what was wished, array (time, member): that of `count` bars earlier; -1 for none.

    >>> delayed(np.array([[True], [True], [False], [True]]), 1).ravel().tolist()
    [-1, 0, 0, 1]
    """
    out = np.full(bars.shape, -1)
    for j in range(bars.shape[1]):
        own = np.flatnonzero(bars[:, j])
        place = np.cumsum(bars[:, j]) - 1 - count
        out[:, j] = np.where(place >= 0, own[place.clip(0)] if len(own) else -1, -1)
    return out


def _bars_of(given):
    """Where each member has a bar of its own at whose end is decided, array (time, member)."""
    lines, priced = given.layout.lines, ~np.isnan(given.market.mark)
    out = np.ones((len(priced), len(given.layout.names)), bool)
    for instrument, member in zip(lines.instrument.tolist(), lines.member.tolist(), strict=True):
        out[:, member] &= priced[:, instrument]
    return out & given.clock.day_end[:, None] if given.account.daily else out


def _taken(values, source, nothing):
    found = np.take_along_axis(values, source.clip(0), axis=0)
    return np.ascontiguousarray(np.where(source >= 0, found, np.asarray(nothing, values.dtype)))


def _margin(scene, value, before):
    times, market = _times("margin", value), scene.market
    plain = with_params(scene.portfolio.margin, house=1.0, missing="estimate")  # the broker multiplies later
    initial, maintenance, _ = inputs.margins(market, plain)
    changed = {"initial_margin": initial * times, "maintenance_margin": maintenance * times}
    return scene._replace(market=replace(market, **changed))


def _missing(scene, value, before):
    return without(scene, [name.strip() for name in value.split(",")])


def _fx(scene, value, before):
    value, day = at_day(value, f"fx={value}")
    currency, _, move = value.partition(":")
    known = sorted(set(scene.market.currencies) - {scene.market.currency})
    if currency not in known:
        allowed = ", ".join(known) or f"none, all markets are in {scene.market.currency}"
        raise ConfigError(f"fx={value}: no market of this run is in {currency or 'a currency'}; allowed: {allowed}")
    factor = 1.0 + share("fx", move)
    mine = np.array([one == currency for one in scene.market.currencies])
    first = day or scene.market.days[first_row(scene.market, scene.portfolio)]
    row_of(scene.market, first, f"fx={value}")

    def dearer(market):
        later = market.days >= np.datetime64(first, "D")
        return replace(market, fx=np.where(later[:, None] & mine, market.fx * factor, market.fx))

    return _market(scene, dearer)


def _locked(scene, value, before):
    text = f"locked={value}"
    value, day = at_day(value, text)
    if day is None:
        raise ConfigError(f"{text}: no day; write it as locked=3@2020-03-16")
    root, colon, bars = value.rpartition(":")
    count = _number("locked", bars)
    held = held_into(before, day)
    if colon and root not in scene.market.names:
        raise ConfigError(f"{text}: {root} is no market of this run; allowed: {', '.join(scene.market.names)}")
    held = {name: size for name, size in held.items() if name in ([root] if colon else scene.market.names)}
    if not held:
        raise ConfigError(f"{text}: nothing{f' of {root}' if colon else ''} was held into {day}; allowed: another day")
    row_of(scene.market, day, text)

    def stuck(given):
        sides, later = given.prices.locked.copy(), given.market.days >= np.datetime64(day, "D")
        for name, size in held.items():
            m = given.market.names.index(name)
            days = np.unique(given.market.days[later & ~np.isnan(given.market.mark[:, m])])[: int(count)]
            sides[np.isin(given.market.days, days), m] = -1 if size > 0 else 1
        return replace(given, prices=given.prices._replace(locked=sides))

    return scene.also(stuck)


def _capital(scene, value, before):
    times = _times("capital", value)
    portfolio = with_params(scene.portfolio, capital=scene.portfolio.capital * times)
    portfolio.cash.check(portfolio.capital, "capital:")
    return scene._replace(portfolio=portfolio)


def _rolls(scene, value, before):
    if scene.load is None:
        raise ConfigError("rolls: this run was made of no store, in which other rolls could be looked up")
    rolls = with_params(scene.portfolio.rolls, rule=value, roots={})
    return scene.load(with_params(scene.portfolio, rolls=rolls))


def _volatility(scene, value, before):
    text = f"volatility={value}"
    scene.days_only(text)
    value, day = at_day(value, text)
    times = _number("volatility", value)
    if times < 0.0:
        raise ConfigError(f"{text}: allowed: 0 or more")
    row = row_of(scene.market, day, text) if day else first_row(scene.market, scene.portfolio)
    return scene._replace(market=moved(scene.market, row, stretch=times))


CHANGES = {
    "slippage": _slippage, "delay": _delay, "margin": _margin, "missing": _missing, "fx": _fx, "locked": _locked,
    "capital": _capital, "rolls": _rolls, "volatility": _volatility,
}  # fmt: skip
EXAMPLES = {
    "slippage": "slippage=+1", "delay": "delay=1", "margin": "margin=2", "missing": "missing=ES",
    "fx": "fx=EUR:-10%", "locked": "locked=3@2020-03-16", "capital": "capital=10", "rolls": "rolls=oi:2",
    "volatility": "volatility=2@2020-03-16",
}  # fmt: skip


def _market(scene, change):
    """The scene with its markets changed, that of days and that within the day."""
    within = scene.within
    if within is not None:
        within = within._replace(market=change(within.market))
    return scene._replace(market=change(scene.market), within=within)


def at_day(value, text):
    """(what stands before `@`, the day after it or None).

    >>> at_day("-10%@2020-03-16", "fx=EUR"), at_day("2", "margin")
    (('-10%', datetime.date(2020, 3, 16)), ('2', None))
    """
    value, at, day = value.partition("@")
    if not at:
        return value, None
    try:
        return value, date.fromisoformat(day.strip())
    except ValueError:
        raise ConfigError(f"{text}: {day!r} is no day; write it as @2020-03-16") from None


def share(place, text):
    """A move as a fraction, of a text such as -10%.

    >>> share("fx", "-10%")
    -0.1
    """
    found = re.fullmatch(r"\s*([+-]?\d+(?:\.\d+)?)\s*%\s*", text)
    if not found or float(found[1]) <= -100.0:
        raise ConfigError(f"{place}: {text.strip() or 'nothing'} is no move; allowed: a percentage above -100, as -10%")
    return float(found[1]) / 100.0


def _number(place, text):
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ConfigError(f"{place}={text}: allowed: a number, as in {EXAMPLES[place]}")
    return value


def _times(place, text):
    value = _number(place, text)
    if value <= 0.0:
        raise ConfigError(f"{place}={text}: allowed: a number above 0")
    return value
