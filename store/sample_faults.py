"""Faults planted in the sample store, one of each kind in three markets, each where only a check or a reader would notice.

A fault lies in a contract that is not held on its day (the next held contract still has the larger part of its life
before it), so that it spoils no result. What a row alone shows (`CAUGHT_ON_IMPORT`) is quarantined; the rest is stored
and must become a finding.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import polars as pl

from store.contracts import Master
from store.sample_bars import PRICES, Chain, grid, stream
from store.sample_prices import MARKETS

KINDS = {
    "spike": "settlement a quarter off, back the next day",
    "unit_slip": "all prices a hundred times too high",
    "stale": "the same prices on seven days, with volume",
    "missing_days": "five sessions left out",
    "high_below_low": "high and low exchanged",
    "negative_volume": "volume with a minus",
    "duplicate": "a second row of the day with another settlement",
    "text": "a letter in a number",
    "settle_outside": "settlement above the high",
    "no_volume": "a day with a range and no volume",
    "after_last_trade": "a bar on the session after the last trade",
}
CAUGHT_ON_IMPORT = ("high_below_low", "negative_volume", "duplicate", "text")
TIMES = 3  # of each kind
STALE, MISSING = 6, 5  # rows that repeat the one before; sessions left out


@dataclass(frozen=True)
class Fault:
    """A planted fault; a check may report it on any day from `day` to `until` (after a spike or a gap, the next one)."""

    kind: str
    root: str
    contract: int
    day: date
    until: date


@cache
def planted(seed):
    """All faults of a sample, by market and kind."""
    master, found = Master.load(), []
    for number, market in enumerate(MARKETS):
        spec, random = master.spec(market.root), stream(seed, market, "fault")
        chain = Chain(market, spec, stream(seed, market, "chain"))
        kinds = [kind for place, kind in enumerate(list(KINDS) * TIMES) if place % len(MARKETS) == number]
        found += [_place(kind, market, chain, random) for kind in kinds]
    return tuple(sorted(found, key=lambda fault: (fault.root, fault.kind, fault.day)))


def _place(kind, market, chain, random):
    """A fault of this kind where the contract is the second of the held ones, and stays it for some weeks."""
    held = np.flatnonzero(chain.held)
    whole = held[(chain.first[held] > 0) & (chain.stop[held] < len(chain.sessions))]
    k = random.choice(whole[3:-3])
    before = held[np.searchsorted(held, k) - 1]
    s = int(chain.moves[before]) - random.integers(14, 17)
    if kind == "after_last_trade":
        s = chain.stop[k]
    last = {"missing_days": MISSING, "spike": 1, "unit_slip": 1, "stale": STALE - 1}.get(kind, 0)
    day, until = chain.sessions[[s, s + last]].tolist()
    return Fault(kind, market.root, int(chain.contracts[k]), day, until)


def spoil(frame, faults, tick):
    """The bars of one market (`sample_bars.bars`) with its faults in them.

    Adds the columns `column` and `fault`: what would not parse in a vendor's file, and why.
    """
    frame = frame.with_columns(column=pl.lit(None, pl.String), fault=pl.lit(None, pl.String))
    for fault in faults:
        own = pl.col("contract") == fault.contract
        here = own & (pl.col("day") == fault.day)
        rows = frame.filter(own & (pl.col("day") <= fault.day))
        frame = SPOILERS[fault.kind](frame, here, own & pl.col("day").is_between(fault.day, fault.until), rows, tick)
    return frame.sort("contract", "day", maintain_order=True)


def _put(frame, where, **values):
    return frame.with_columns(pl.when(where).then(value).otherwise(name).alias(name) for name, value in values.items())


def _spike(frame, here, during, rows, tick):
    row = rows.row(-1, named=True)
    price = float(grid(1.25 * row["settle"], tick))
    return _put(frame, here, settle=price, close=price, high=price)


def _unit_slip(frame, here, during, rows, tick):
    return _put(frame, here, **{name: pl.col(name) * 100.0 for name in PRICES})


def _stale(frame, here, during, rows, tick):
    before = rows.row(-2, named=True)
    return _put(frame, during, **{name: before[name] for name in PRICES})


def _missing_days(frame, here, during, rows, tick):
    last = frame.filter(during)["day"].max()
    return frame.filter(~during | (pl.col("day") == last))


def _high_below_low(frame, here, during, rows, tick):
    return _put(frame, here, high=pl.col("low") - tick, low=pl.col("high"))


def _negative_volume(frame, here, during, rows, tick):
    return _put(frame, here, volume=-pl.col("volume"))


def _duplicate(frame, here, during, rows, tick):
    row = rows.tail(1)
    return pl.concat([frame, row.with_columns(settle=grid(row["settle"].to_numpy() + 3 * tick, tick))])


def _text(frame, here, during, rows, tick):
    text = str(rows.row(-1, named=True)["high"])
    return _put(frame, here, high=None, column=pl.lit("high"), fault=pl.lit(f"{NOT_A_NUMBER}{text[0]}O{text[2:]}"))


def _settle_outside(frame, here, during, rows, tick):
    row = rows.row(-1, named=True)
    return _put(frame, here, settle=float(grid(row["high"] + 2 * tick, tick)))


def _no_volume(frame, here, during, rows, tick):
    return _put(frame, here, volume=0.0)


def _after_last_trade(frame, here, during, rows, tick):
    last = frame.filter(pl.col("contract") == rows["contract"][0]).tail(1)
    return pl.concat([frame, last.with_columns(day=pl.lit(frame.filter(during | here)["day"].max()))])


SPOILERS = {kind: globals()[f"_{kind}"] for kind in KINDS}
