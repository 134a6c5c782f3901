"""A market made of numbers alone: what strategies and sizes read of a `Market`, without a store behind it."""

from types import SimpleNamespace

import numpy as np

HOLIDAY = 0.04  # share of a market's days without a bar


def market(bars=400, markets=3, seed=1, holidays=HOLIDAY, tick=0.25):
    """Random walks on the tick grid, so that every price and difference is exact; the second market begins late."""
    random = np.random.default_rng(seed)
    mark = 4000.0 + tick * np.cumsum(random.integers(-9, 10, (bars, markets)), axis=0)
    mark[random.random(mark.shape) < holidays] = np.nan
    available = np.ones(mark.shape, dtype=bool)
    if markets > 1:
        mark[: bars // 4, 1] = np.nan
        available[: bars // 4, 1] = False
    return of(mark, available=available)


def of(mark, offset=None, available=None, multiplier=1.0, fx=1.0):
    """A market of given marks (time, market); offset 0, multiplier and exchange rate 1, all of it available."""
    mark = np.ascontiguousarray(mark, dtype=np.float64)
    offset = np.zeros_like(mark) if offset is None else offset
    return SimpleNamespace(
        roots=tuple(f"M{m}" for m in range(mark.shape[1])),
        mark=mark,
        offset=offset,
        adjusted=mark + offset,
        available=np.ones(mark.shape, dtype=bool) if available is None else available,
        multiplier=np.full(mark.shape, multiplier),
        fx=np.full(mark.shape, fx),
    )


def prefix(whole, length):
    """The same market as it was known after `length` bars."""
    rows = {k: v[:length].copy() for k, v in vars(whole).items() if isinstance(v, np.ndarray)}
    return SimpleNamespace(roots=whole.roots, **rows)


def other_future(whole, length, seed=7):
    """The same market with noise in place of all that came after `length` bars."""
    noise = np.random.default_rng(seed).normal(0.0, 500.0, whole.mark[length:].shape)
    mark = whole.mark.copy()
    mark[length:] = 100.0 + noise
    return of(mark, whole.offset, whole.available)
