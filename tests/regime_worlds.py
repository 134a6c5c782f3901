"""Regimes of made-up worlds: they last, and have nothing to do with what is earned."""

import numpy as np


def chain(bars, series, seed, stays=0.95):
    """Two that are as common: (time, series) of 0 and 1."""
    random = np.random.default_rng(seed)
    change = random.random((bars, series)) > stays
    return (np.cumsum(change, axis=0) % 2).astype(np.int8)


def rare(bars, seed, enters=0.005, leaves=0.05):
    """One that is there a tenth of the time, 20 days at once in the mean: (time, 1) of 0 and 1."""
    code, now = np.zeros((bars, 1), np.int8), 0
    for t, chance in enumerate(np.random.default_rng(seed).random(bars).tolist()):
        now = int(chance >= leaves) if now else int(chance < enters)
        code[t] = now
    return code
