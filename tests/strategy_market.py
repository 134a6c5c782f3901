"""A market made of numbers with all that a strategy may read: bars, rolls, the next contract, days, sectors."""

from types import SimpleNamespace

import numpy as np

HOLIDAY = 0.04  # share of a market's days without a bar
ROLL = 63  # bars between rolls
LEVELS = ("adjusted", "offset")  # arrays that an added level moves


def market(bars=700, markets=4, seed=1, holidays=HOLIDAY, tick=0.25):
    """Random walks on the tick grid, so that every price and difference is exact; rolls, and a late second market."""
    random = np.random.default_rng(seed)
    drift = np.repeat(random.integers(-2, 3, (bars // 100 + 1, markets)), 100, axis=0)[:bars]  # trends of 100 bars
    walk = 4000.0 + tick * np.cumsum(random.integers(-9, 10, (bars, markets)) + drift, axis=0)
    gap = tick * random.integers(-40, 41, (bars // ROLL + 1, markets))
    offset = np.repeat(np.cumsum(gap, axis=0), ROLL, axis=0)[:bars]
    mark = walk - offset
    high = mark + tick * random.integers(0, 8, mark.shape)
    low = mark - tick * random.integers(0, 8, mark.shape)
    absent = random.random(mark.shape) < holidays
    absent[: bars // 4, 1:2] = True
    for values in (mark, high, low):
        values[absent] = np.nan
    available = np.ones(mark.shape, dtype=bool)
    available[: bars // 4, 1:2] = False
    curve = tick * np.round(np.cumsum(random.normal(0.0, 3.0, mark.shape), axis=0))
    return of(mark, offset, high, low, next_mark=mark + curve, available=available, tick=tick)


def of(mark, offset=None, high=None, low=None, next_mark=None, next_days=91.0, available=None, tick=0.25, **others):
    """A market of given marks (time, market); every bar is one price where none else is given."""
    mark = np.ascontiguousarray(mark, dtype=np.float64)
    bars, markets = mark.shape
    offset = np.zeros_like(mark) if offset is None else offset
    days = np.busday_offset("2010-01-04", np.arange(bars), roll="forward")
    names = tuple(f"M{m}" for m in range(markets))
    known = {
        "roots": names, "names": names, "sectors": tuple("AB"[m % 2] for m in range(markets)), "days": days,
        "mark": mark, "settle": mark, "close": mark, "open": mark, "offset": offset, "adjusted": mark + offset,
        "high": mark if high is None else high, "low": mark if low is None else low,
        "next_mark": mark if next_mark is None else next_mark,
        "next_days": np.full(mark.shape, float(next_days)),
        "available": np.ones(mark.shape, dtype=bool) if available is None else available,
        "tick": np.full(mark.shape, tick), "multiplier": np.ones(mark.shape), "fx": np.ones(mark.shape),
        "volume": np.full(mark.shape, 1000.0), "open_interest": np.full(mark.shape, 5000.0),
        "contract": np.full(mark.shape, 201003, dtype=np.int32),
    }  # fmt: skip
    later = known["next_mark"]
    known["roll_yield"] = (mark / np.where(later > 0.0, later, np.nan) - 1.0) * 365.0 / known["next_days"]
    return SimpleNamespace(**(known | others))


def prefix(whole, length):
    """The same market as it was known after `length` bars."""
    rows = {k: v[:length].copy() for k, v in vars(whole).items() if isinstance(v, np.ndarray)}
    return SimpleNamespace(**(vars(whole) | rows))


def other_future(whole, length, seed=7):
    """The same market with noise in place of all prices that came after `length` bars."""
    made = SimpleNamespace(**vars(whole))
    noise = np.random.default_rng(seed).normal(0.0, 500.0, whole.mark[length:].shape)
    for name in ("mark", "settle", "close", "open", "high", "low", "next_mark", "adjusted"):
        values = getattr(whole, name).copy()
        values[length:] = 100.0 + noise * (0.5 if name == "next_mark" else 1.0)
        setattr(made, name, values)
    return made


def lifted(whole, level=1024.0):
    """The same market whose adjusted history stands at another level."""
    return SimpleNamespace(**(vars(whole) | {name: getattr(whole, name) + level for name in LEVELS}))
