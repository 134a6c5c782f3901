"""Whether what is made of bars is blind to the future: it is made again of bars whose future is another, and compared.

After a day t, in these ways:

- `cut`: all later days are removed;
- `noise`: every later number is a random one, some are null, and some rows are gone;
- `listed`: contracts that had no row by then begin later, of any delivery month;
- `gone`: some contracts have no later row;
- `delayed`: as one of the above, and of the days up to t the numbers that a decision for t may not read are random or
  null: with a delay of D days those after t - D.

Delays may be told where a decision is looked at; a stitched row shows the volume of its own day.

A correction that is imported later for an earlier day is no look-ahead but a revision: the store keeps what was known
when, so that a run can be made as of a day (tests/test_engine_data.py).
"""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import polars as pl

PRICES = ("open", "high", "low", "close", "settle")
ACTIVITY = ("volume", "open_interest")
KEYS = ("day", "contract", "from_contract", "to_contract", "reason")
PRICED = pl.any_horizontal(pl.col("close", "settle").is_not_null())


@dataclass(frozen=True)
class Peek:
    """A row that another future changed: `was` of the whole history, `now` of the one changed after `day`.

    They hold what differs, and `KEYS`; None is no such row.
    """

    how: str
    day: object
    was: dict | None
    now: dict | None


def peeks(make, bars, cuts, seed=0, delays=None, how=("cut", "noise", "listed", "gone")):
    """Rows up to a day that depend on what came after it; an empty list if none does.

    Parameters
    ----------
    make : function
        Bars -> frame with a column `day`; None where nothing can be made of them yet. A column `known`, if there is
        one, is the day on which the columns of `LATER` are known; where it is after the cut, they are not compared.
    bars : polars.DataFrame
        Rows of `contract_bars`.
    cuts : list of date
        The days t.
    delays : dict, optional
        Days after which a number is known, `{"volume": 1, "open_interest": 2}`; None: never. Then `delayed` is tried.
    how : tuple
        Ways to change the future that are tried beside.
    """
    whole, found = make(bars), []
    for t in cuts:
        rng = np.random.default_rng([seed, t.toordinal()])
        for way in (*how, *(("delayed",) if delays is not None else ())):
            inner = how[int(rng.integers(len(how)))] if way == "delayed" else way
            changed = FUTURES[inner](bars, t, rng)
            if way == "delayed":
                changed = unpublished(changed, t, delays, rng)
            peek = _first_difference(whole, make(changed), t)
            if peek:
                found.append(Peek(way, t, *peek))
    return found


def cuts_of(bars, rolls, seed, count):
    """Days to cut at: the days of rolls, those before and after, and any others."""
    days = np.unique(bars["day"].to_numpy())
    at = np.searchsorted(days, rolls["day"].to_numpy())
    near = np.unique(np.clip(np.concatenate([at - 1, at, at + 1]), 0, len(days) - 1))
    rng = np.random.default_rng(seed)
    chosen = set(rng.choice(near, min(len(near), count - count // 3), replace=False)) if len(near) else set()
    chosen |= set(rng.choice(len(days), count - len(chosen)))
    return days[sorted(chosen)].tolist()


def cut(bars, t, rng):
    """Without the days after t."""
    return bars.filter(pl.col("day") <= t)


def noise(bars, t, rng):
    """Every number after t another one."""
    later = _noisy(bars.filter(pl.col("day") > t), rng)
    return pl.concat([cut(bars, t, rng), later.filter(pl.Series(rng.random(len(later)) > 0.1))])


def listed(bars, t, rng):
    """Contracts that had no row by t begin after it: busy ones, of delivery months between and after the others."""
    past, later = cut(bars, t, rng), bars.filter(pl.col("day") > t)
    if not len(later):
        return bars
    seen = set(past["contract"])
    first, last = bars["contract"].min(), bars["contract"].max()
    months = [y * 100 + m for y in range(first // 100, last // 100 + 2) for m in range(1, 13)]
    free = [contract for contract in months if contract not in seen and contract >= first]
    days = later.unique("day", keep="first", maintain_order=True)
    new = [
        _noisy(days.with_columns(contract=pl.lit(int(contract), pl.Int32)), rng, most=90)
        for contract in rng.choice(free, min(3, len(free)), replace=False)
    ]
    kept = later.filter(~pl.col("contract").is_in([frame["contract"][0] for frame in new]))
    return pl.concat([past, kept, *new])


def gone(bars, t, rng):
    """Some contracts, the busiest among them, have no row after t."""
    contracts = bars.filter(pl.col("day") > t)["contract"].unique().sort().to_list()
    lost = [contract for contract in contracts if rng.random() < 0.4]
    return bars.filter((pl.col("day") <= t) | ~pl.col("contract").is_in(lost))


def unpublished(bars, t, delays, rng):
    """What is not published when the decision for t is made: another number, or none.

    A row without a price is given another number only: that it is there, a contract listed, is known without it.
    """
    days = bars.filter(pl.col("day") <= t)["day"].unique().sort()
    none = rng.random() < 0.5
    for name in ACTIVITY:
        if name not in delays:
            continue
        unknown = days if delays[name] is None else days.tail(delays[name])
        other = pl.Series(rng.integers(0, 30, len(bars)).astype(float))
        new = pl.when(PRICED).then(None if none else other).otherwise(other)
        told = pl.when(pl.col("day").is_in(unknown.implode()) & (PRICED | pl.col(name).is_not_null())).then(new)
        bars = bars.with_columns(told.otherwise(name).alias(name))
    return bars


FUTURES = {"cut": cut, "noise": noise, "listed": listed, "gone": gone}
LATER = ("roll", "from_price", "to_price")  # of a `closed` roll: known on its day only


def _noisy(frame, rng, most=12):
    """Other numbers; one in eight null."""
    n = len(frame)
    price = 100.0 + rng.normal(0, 20, (len(PRICES), n)).round(2)
    activity = rng.integers(0, most, (len(ACTIVITY), n)).astype(float)
    columns = dict(zip((*PRICES, *ACTIVITY), np.vstack([price, activity]), strict=True))
    for values in columns.values():
        values[rng.random(n) < 0.125] = np.nan
    return frame.with_columns(pl.Series(name, x).fill_nan(None) for name, x in columns.items())


def _first_difference(whole, part, t):
    """(row of the whole, row of the part) that are not the same up to t, or None."""
    part = whole.clear() if part is None else part
    whole, part = whole.filter(pl.col("day") <= t), part.filter(pl.col("day") <= t)
    if "known" in whole.columns:
        late = pl.concat([x.filter(pl.col("known") > t).select("day", "contract") for x in (whole, part)]).unique()
        whole, part = _without(whole, late), _without(part, late)
    if whole.equals(part):
        return None
    frames = [frame.with_columns(pl.col(pl.Float64).fill_nan(None)) for frame in (whole, part)]
    for was, now in zip_longest(*(frame.iter_rows(named=True) for frame in frames)):
        if was != now:
            apart = [name for name in whole.columns if name in KEYS or not (was and now) or was[name] != now[name]]
            return tuple(row and {name: row[name] for name in apart} for row in (was, now))
    return None


def _without(frame, late):
    hidden = [name for name in LATER if name in frame.columns]
    same = frame.join(late.with_columns(late=True), on=["day", "contract"], how="left", maintain_order="left")
    hide = pl.col("late").is_null()
    return same.with_columns(pl.when(hide).then(name).alias(name) for name in hidden).drop("late", "known")
