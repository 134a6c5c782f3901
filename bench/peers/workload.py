"""The portfolio that every engine is given: prices, facts, and what is to be done with them. Needs numpy alone.

Averages of the last FAST and SLOW closes of each market. At the close of every bar but the last: one contract long
where the fast one is above the slow one, one short where it is below, none where they are equal within TIE of the price
or SLOW closes were not seen yet. What that changes is traded once, one tick worse, for COMMISSION a contract and side:

    next_open    at the open of the next bar
    next_close   at the close of the next bar
    same_close   at the very close that decided, which nobody can do

Equity is marked at every close; a trade's costs are of the bar at whose price it trades. Nothing is closed at the end.
"""

import csv
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

FAST, SLOW = 20, 100  # [bars]
TIE = 1e-9  # share of the price within which averages are equal: two ways of adding must not trade differently
COMMISSION = 2.5  # [dollars a contract and side]
CAPITAL = 10_000_000.0  # [dollars]
FILLS = ("next_open", "next_close", "same_close")
YEAR = 252  # bars
SEED = 1706
KINDS = (  # tick [points], multiplier [dollars/point], first price [points], deviation of a day's return
    (0.25, 50.0, 3000.0, 0.011),
    (0.01, 1000.0, 60.0, 0.021),
    (0.1, 100.0, 1500.0, 0.010),
    (0.5, 5.0, 10000.0, 0.012),
    (0.005, 5000.0, 3.0, 0.016),
)
SPELL = 60  # bars over which a market drifts one way: averages are to cross for a reason at times


@dataclass(frozen=True)
class Workload:
    """Daily bars of some markets; prices (time, market) in points."""

    days: np.ndarray  # (time,) datetime64[D], Mondays to Fridays
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray  # [contracts]
    tick: np.ndarray  # (market,) [points]
    multiplier: np.ndarray  # (market,) [dollars / point]

    @property
    def names(self):
        """M000, M001 and so on."""
        return [f"M{m:03d}" for m in range(self.close.shape[1])]

    @property
    def side_cost(self):
        """What a side of one contract costs: a tick and commission, (market,). [dollars]"""
        return self.tick * self.multiplier + COMMISSION


def made(markets, bars):
    """Random markets; the first ones are the same however many there are."""
    days = np.busday_offset("2010-01-04", np.arange(bars))
    columns = [_market(m, bars) for m in range(markets)]
    prices = [np.ascontiguousarray(np.column_stack(part)) for part in zip(*columns, strict=True)]
    kinds = np.array([KINDS[m % len(KINDS)] for m in range(markets)])
    return Workload(days, *prices, kinds[:, 0].copy(), kinds[:, 1].copy())


def _market(number, bars):
    """Open, high, low, close on ticks, and volume."""
    tick, _, first, deviation = KINDS[number % len(KINDS)]
    random = np.random.default_rng([SEED, number])
    drift = np.repeat(random.normal(0.0, 0.15, -(-bars // SPELL)), SPELL)[:bars]
    path = np.cumsum(deviation * (random.normal(0.0, 1.0, bars) + drift))
    path /= max(1.0, np.abs(path).max() / 1.2)  # prices stay within a third and three times the first
    close = np.rint(first * np.exp(path) / tick)
    opened = close + np.rint(random.normal(0.0, 0.3 * deviation * first / tick, bars))
    opened = np.maximum(opened, 10.0)
    reach = np.abs(random.normal(0.0, 0.5 * deviation * first / tick, (2, bars)))
    high = np.maximum(opened, close) + 2.0 + np.rint(reach[0])  # two ticks: a tick of slippage lies inside the bar
    low = np.maximum(np.minimum(opened, close) - 2.0 - np.rint(reach[1]), 1.0)
    volume = random.integers(1_000, 100_000, bars).astype(float)
    return (*(np.round(ticks * tick, 3) for ticks in (opened, high, low, close)), volume)


def write(workload, folder):
    """An array a file, and markets.csv."""
    folder = Path(folder)
    for one in fields(Workload)[:6]:
        values = getattr(workload, one.name)
        np.save(folder / f"{one.name}.npy", values.astype(np.int64) if one.name == "days" else values)
    with open(folder / "markets.csv", "w", newline="", encoding="utf-8") as file:
        rows = zip(workload.names, workload.tick.tolist(), workload.multiplier.tolist(), strict=True)
        csv.writer(file).writerows([("name", "tick", "multiplier"), *rows])


def read(folder):
    """What `write` wrote."""
    folder = Path(folder)
    arrays = {one.name: np.load(folder / f"{one.name}.npy") for one in fields(Workload)[:6]}
    with open(folder / "markets.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    facts = {name: np.array([float(row[name]) for row in rows]) for name in ("tick", "multiplier")}
    return Workload(**arrays | facts | {"days": arrays["days"].astype("datetime64[D]")})


def side(close):
    """Contracts wanted at each close, (time, market): -1, 0 or 1; for engines that are given a signal."""
    gap = np.nan_to_num(average(close, FAST) - average(close, SLOW))
    wanted = np.where(np.abs(gap) > TIE * np.abs(close), np.sign(gap), 0.0)
    if len(wanted) > 1:
        wanted[-1] = wanted[-2]  # the last close decides nothing
    return wanted


def average(values, length):
    """Of the last `length` rows; nan before there are so many."""
    total = np.cumsum(values, axis=0)
    out = np.full(values.shape, np.nan)
    out[length - 1 :] = total[length - 1 :]
    out[length:] -= total[:-length]
    return out / length


def netted(fills):
    """(bar, market, contracts) of trades as one row a bar and market, sorted, without those that cancel out."""
    found = {}
    for bar, market, contracts in fills:
        place = (int(bar), int(market))
        found[place] = found.get(place, 0) + round(contracts)
    rows = [(*place, contracts) for place, contracts in sorted(found.items()) if contracts]
    return np.array(rows, np.int64).reshape(-1, 3)


def costs_of_the_bar_before(equity, fills, workload):
    """Equity with the costs of each fill a bar earlier: for engines that book at the next bar what they fill at the
    price of the last close; fills are of the bar that decided."""
    moved = np.array(equity, float)
    for bar, market, contracts in fills:
        moved[bar] -= abs(contracts) * workload.side_cost[market]
    return moved
