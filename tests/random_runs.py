"""Runs of random books, as `RunResult`: all that a run's tables are made of, from a seed; and a curve that fits."""

from types import SimpleNamespace

import numpy as np

from engine import tables
from engine.analysis.source import Curve
from engine.result import RunResult
from engine.simulate import simulate
from tests import random_books

SECTORS = ("bonds", "energy", "metals")
CURRENCIES = ("USD", "EUR", "JPY")
DAY = np.datetime64("2019-11-04")


def run_of(seed, time=90):
    """(run, curve, ledger) of a random book; of bars within the day told by days."""
    given = random_books.book_of(seed, time)
    prices, facts, lines = given[:3]
    clock, sleeves = given[7:9]
    ledger = simulate(*given)
    day_end = np.asarray(clock.day_end)
    count = prices.mark.shape[1]
    days = DAY + np.cumsum(np.where(clock.days > 0, clock.days, 0)).astype(np.int64)
    root_of = dict(zip(lines.instrument.tolist(), lines.root.tolist(), strict=True))
    roots = [root_of.get(m, m % 3) for m in range(count)]
    market = SimpleNamespace(
        names=tuple(f"R{root}.c.{m}" for m, root in enumerate(roots)),
        roots=tuple(f"R{root}" for root in roots),
        sectors=tuple(SECTORS[root] for root in roots),
        currencies=tuple(CURRENCIES[root] for root in roots),
        days=days[day_end],
        initial_margin=facts.initial[day_end],
        **{name: getattr(prices, name)[day_end] for name in prices._fields if name not in ("fill", "locked", "tick")},
        **{name: getattr(facts, name)[day_end] for name in ("multiplier", "fx")},
    )
    layout = SimpleNamespace(
        lines=lines,
        labels=tuple((f"strategy {s}", market.names[m]) for s, m in zip(lines.sleeve, lines.instrument, strict=True)),
    )
    if not day_end.all():
        ledger, _ = tables.by_days(ledger, clock)
    made = tables.tables(ledger, market, layout, float(sleeves.capital.sum()), ["account"] * len(sleeves.capital))
    return RunResult({"run": f"{seed:012x}"}, None, [], made), curve_of(seed, market), ledger


def curve_of(seed, market):
    """Slopes that walk, now and then unknown; days since the last price."""
    rng = np.random.default_rng([seed, 7])
    slope = np.cumsum(rng.normal(size=market.mark.shape), axis=0) * 0.01
    slope[rng.random(slope.shape) < 0.1] = np.nan
    when = market.days.astype(float)[:, None]
    gap = np.full(slope.shape, np.nan)
    for m in range(slope.shape[1]):
        rows = np.flatnonzero(~np.isnan(market.mark[:, m]))
        gap[rows[1:], m] = np.diff(when[rows, 0])
    return Curve(market, slope, gap)
