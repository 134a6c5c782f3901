"""Faults planted in the sample store, each kind in three markets, each where only a check or a reader would notice.

A fault lies in a contract that is not yet held on its day (it is the second of the held cycle, some weeks before volume
moves to it), so that it spoils no result. What a row alone shows (CAUGHT_ON_IMPORT) is quarantined; the rest is stored
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

TIMES = 3  # of each kind
LASTS = {"missing_days": 5, "spike": 1, "unit_slip": 1, "stale": 5}  # sessions after the first that it concerns
CAUGHT_ON_IMPORT = ("high_below_low", "negative_volume", "duplicate", "text")
NOT_A_NUMBER = "not a number: "  # as store/raw.py writes it


@dataclass(frozen=True)
class Fault:
    """A planted fault; a check may report it on any day from `day` to `until` (the session after a spike or a gap)."""

    kind: str
    root: str
    contract: int
    day: date
    until: date


@cache
def planted(seed):
    """All faults of a sample, by market, kind and day."""
    master, found = Master.load(), []
    for number, market in enumerate(MARKETS):
        random = stream(seed, market, "fault")
        chain = Chain(market, master.spec(market.root), stream(seed, market, "chain"))
        kinds = [kind for place, kind in enumerate(list(KINDS) * TIMES) if place % len(MARKETS) == number]
        found += [_place(kind, market, chain, random) for kind in kinds]
    return tuple(sorted(found, key=lambda fault: (fault.root, fault.kind, fault.day)))


def spoil(frame, faults, tick):
    """The bars of one market (`sample_bars.bars`) with its faults in them.

    Adds the columns `column` and `fault`: what would not parse in a vendor's file, and why.
    """
    frame = frame.with_columns(column=pl.lit(None, pl.String), fault=pl.lit(None, pl.String))
    for fault in faults:
        frame = KINDS[fault.kind](frame, fault, tick)
    return frame.sort("contract", "day", maintain_order=True)


def _place(kind, market, chain, random):
    """A fault of this kind in a contract of the held cycle that is whole, some weeks before volume moves to it."""
    held = np.flatnonzero(chain.held)
    whole = held[(chain.first[held] > 0) & (chain.stop[held] < len(chain.sessions))]
    k = random.choice(whole[2:])
    before = held[np.searchsorted(held, k) - 1]
    s = chain.stop[k] if kind == "after_last_trade" else int(chain.moves[before]) - random.integers(14, 17)
    day, until = chain.sessions[[s, s + LASTS.get(kind, 0)]].tolist()
    return Fault(kind, market.root, int(chain.contracts[k]), day, until)


def _own(fault):
    return pl.col("contract") == fault.contract


def _here(fault):
    return _own(fault) & (pl.col("day") == fault.day)


def _row(frame, fault):
    return frame.row(by_predicate=_here(fault), named=True)


def _put(frame, where, **values):
    return frame.with_columns(pl.when(where).then(value).otherwise(name).alias(name) for name, value in values.items())


def _spike(frame, fault, tick):
    """Settlement a quarter off, back the next day."""
    price = float(grid(1.25 * _row(frame, fault)["settle"], tick))
    return _put(frame, _here(fault), settle=price, close=price, high=price)


def _unit_slip(frame, fault, tick):
    """All prices a hundred times too high, as when cents are taken for dollars."""
    return _put(frame, _here(fault), **{name: pl.col(name) * 100.0 for name in PRICES})


def _stale(frame, fault, tick):
    """The prices of the day before on six days, with volume."""
    before = frame.filter(_own(fault) & (pl.col("day") < fault.day)).row(-1, named=True)
    during = _own(fault) & pl.col("day").is_between(fault.day, fault.until)
    return _put(frame, during, **{name: before[name] for name in PRICES})


def _missing_days(frame, fault, tick):
    """Five sessions left out."""
    return frame.filter(~(_own(fault) & (pl.col("day") >= fault.day) & (pl.col("day") < fault.until)))


def _high_below_low(frame, fault, tick):
    """High and low exchanged."""
    return _put(frame, _here(fault), high=pl.col("low"), low=pl.col("high"))


def _negative_volume(frame, fault, tick):
    """Volume with a minus."""
    return _put(frame, _here(fault), volume=-pl.col("volume"))


def _duplicate(frame, fault, tick):
    """A second row of the day with another settlement."""
    again = frame.filter(_here(fault))
    return pl.concat([frame, again.with_columns(settle=float(grid(again["settle"][0] + 3 * tick, tick)))])


def _text(frame, fault, tick):
    """A letter in a number."""
    text = str(_row(frame, fault)["high"])
    reason = pl.lit(f"{NOT_A_NUMBER}{text[0]}O{text[2:]}")
    return _put(frame, _here(fault), high=None, column=pl.lit("high"), fault=reason)


def _settle_outside(frame, fault, tick):
    """Settlement above the high."""
    return _put(frame, _here(fault), settle=float(grid(_row(frame, fault)["high"] + 2 * tick, tick)))


def _no_volume(frame, fault, tick):
    """A day with a range and no volume."""
    return _put(frame, _here(fault), volume=0.0)


def _after_last_trade(frame, fault, tick):
    """A bar on the session after the last trade."""
    last = frame.filter(_own(fault)).tail(1)
    return pl.concat([frame, last.with_columns(day=pl.lit(fault.day))])


KINDS = {
    "spike": _spike,
    "unit_slip": _unit_slip,
    "stale": _stale,
    "missing_days": _missing_days,
    "high_below_low": _high_below_low,
    "negative_volume": _negative_volume,
    "duplicate": _duplicate,
    "text": _text,
    "settle_outside": _settle_outside,
    "no_volume": _no_volume,
    "after_last_trade": _after_last_trade,
}
