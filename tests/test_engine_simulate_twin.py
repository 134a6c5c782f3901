"""The simulation against its slow twin of plain Python, on markets made at random, on the sample and on real prices."""

from collections import defaultdict

import numpy as np
import pytest

from engine import backtest as whole_run
from engine import simulate as engine
from tests.naive_account import account as slow


def walk(rng, time, markets):
    """Prices of a few markets with holidays, rolls, contracts that end and legs that trade beside the series."""
    shape = (time, markets)
    mark = np.round(100.0 + np.cumsum(rng.normal(size=shape), axis=0), 2)
    fill = np.round(mark + rng.normal(size=shape) * 0.5, 2)
    roll, closed = rng.random(shape) < 0.05, rng.random(shape) < 0.02
    closed &= ~roll
    holiday = rng.random(shape) < 0.1
    mark[holiday & ~roll] = np.nan
    fill[np.isnan(mark) | (rng.random(shape) < 0.05)] = np.nan
    roll_from, gap = mark.copy(), np.round(rng.normal(size=shape) * 3, 2)
    roll_to = roll_from + gap
    roll_from_fill = roll_from + np.round(rng.normal(size=shape) * 0.3, 2)
    roll_to_fill = roll_to + np.round(rng.normal(size=shape) * 0.3, 2)
    contract, offset = np.zeros(shape, np.int32), np.zeros(shape)
    for m in range(markets):
        held, level = 202401, 0.0
        for t in range(time):
            contract[t, m], offset[t, m] = held, level
            if roll[t, m]:
                held, level = held + 1, level - gap[t, m]
                mark[t + 1 :, m] += gap[t, m]
                fill[t + 1 :, m] += gap[t, m]
                for leg in (roll_from, roll_to, roll_from_fill, roll_to_fill):
                    leg[t + 1 :, m] += gap[t, m]
            if closed[t, m]:
                held += 1
    return engine.Prices(
        fill, mark, offset, contract, roll, closed, contract + 1, roll_from, roll_to, roll_from_fill, roll_to_fill
    )


def made(seed):
    """Arguments of a simulation of a market made at random; which stress it is under depends on the seed."""
    rng = np.random.default_rng(seed)
    time, markets = 120, int(rng.integers(2, 5))
    shape = (time, markets)
    instrument = np.concatenate([np.arange(markets), rng.integers(0, markets, size=int(rng.integers(0, 3)))])
    per_capital, tight = bool(seed % 2), seed % 3 == 0
    multiplier = np.repeat(rng.choice([5.0, 10.0, 50.0], size=(1, markets)), time, axis=0)
    multiplier[time // 2 :, 0] *= 2.0
    fx = np.round(np.exp(np.cumsum(rng.normal(size=shape) * 0.01, axis=0)) * rng.uniform(0.5, 1.5, markets), 4)
    fx[:, 0] = 1.0
    initial = np.repeat(rng.uniform(800.0, 3000.0, size=(1, markets)), time, axis=0) * (4.0 if tight else 1.0)
    initial[time // 3 :] *= 1.3
    facts = engine.Facts(
        multiplier, fx, initial, initial * (1.0 if tight else 0.9), np.full(shape, 0.05), np.full(shape, 2.1)
    )
    capital = 50_000.0 if tight else 400_000.0
    sizes = np.repeat(rng.normal(size=(time // 5 + 1, len(instrument))) * 6.0, 5, axis=0)[:time]
    sizes *= rng.random(sizes.shape) < 0.9
    numbers = engine.Account(
        capital, per_capital, bool(seed % 4 < 2), bool(seed % 5), 1.0 if seed % 2 else 0.5, 7.0 if seed % 7 == 0 else np.inf
    )
    available = rng.random(shape) < 0.97
    rate = np.where(np.arange(time) % 10 < 8, 0.05, 0.0)
    days = np.where(np.arange(time) % 5 == 0, 3.0, 1.0)
    return walk(rng, time, markets), facts, numbers, sizes / capital if per_capital else sizes, instrument, available, rate, days
