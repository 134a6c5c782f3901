"""Members: what the strategies of a portfolio decide about, and the lines that they trade.

A member is a market, or a spread: several markets by ratio, with one signal and one size, both legs or none. To
strategies and sizing rules a spread is one more column of the market: its price is what one unit has earned, in account
currency, its `mark` the gross notional of a unit.
"""

from dataclasses import dataclass, field

import numpy as np
import param

from engine.book import Lines
from engine.indicators import change
from engine.market import Market


class Legs(param.Parameter):
    """Markets of a spread and how many contracts of each a unit has: {market: ratio}, sorted, so that equal spreads are
    equal texts and trade their legs in one order."""

    def __set__(self, obj, val):
        self._validate(val)
        super().__set__(obj, {name: int(val[name]) for name in sorted(val)})

    def _validate(self, value):
        fine = isinstance(value, dict) and all(
            isinstance(name, str) and isinstance(ratio, int | float) and not isinstance(ratio, bool)
            and ratio == int(ratio) and 0 < abs(ratio) <= 1000
            for name, ratio in value.items()
        )  # fmt: skip
        if not (value == {} or (fine and len(value) >= 2)):
            raise ValueError(f"legs {value!r} are not a table of at least two markets, each with a whole ratio")


class Spread(param.Parameterized):
    """Several markets held by ratio."""

    legs = Legs(
        default={},
        doc="Whole contracts of two or more markets in one unit, short ones negative: {RB = 1, CL = -1}. [1]",
    )


@dataclass(frozen=True)
class Seen(Market):
    """The market as strategies see it: with a column for each spread, after the real ones."""

    legs: dict = field(default_factory=dict)  # name of a spread -> {market: contracts of a unit}
    earned: np.ndarray = None  # (time, spread) what one unit has earned, nan unless all legs have a price [currency]

    @property
    def adjusted(self):
        """Back-adjusted by differences; of a spread what one unit has earned. [points], [account currency]"""
        real = self.mark.shape[1] - self.earned.shape[1]
        return np.column_stack([self.mark[:, :real] + self.offset[:, :real], self.earned])


def seen(market, spreads):
    """The market with a column for each of `spreads`, {name: {market: contracts of a unit}}.

    Of a spread `mark` is the gross notional of a unit, and it is available where all its legs are; it has no open, high
    or low, and volume in units.
    """
    if not spreads:
        return market
    parts = [_column(market, [market.names.index(leg) for leg in legs], legs.values()) for legs in spreads.values()]
    arrays = {}
    for name, values in vars(market).items():
        if isinstance(values, np.ndarray) and values.ndim == 2:
            added = [_filled(part.get(name), values) for part in parts]
            arrays[name] = np.ascontiguousarray(np.column_stack([values, *added]))
    count, roots = len(spreads), tuple(spreads)
    told = {
        "names": market.names + roots, "roots": market.roots + roots, "ranks": market.ranks + (0,) * count,
        "currencies": market.currencies + (market.currency,) * count,
        "sectors": market.sectors + ("spreads",) * count,
    }  # fmt: skip
    earned = np.column_stack([part["earned"] for part in parts])
    return Seen(**(vars(market) | arrays | told), legs=dict(spreads), earned=earned)


def _column(market, columns, ratios):
    """The arrays (time,) of one spread."""
    ratio = np.array([float(ratio) for ratio in ratios])
    worth = (market.multiplier * market.fx)[:, columns] * ratio
    mark, volume = market.mark[:, columns], market.volume[:, columns] / np.abs(ratio)
    moved = np.nan_to_num(change(np.ascontiguousarray(market.adjusted[:, columns])) * worth)
    earned = np.where(np.isnan(mark).any(axis=1), np.nan, np.cumsum(moved.sum(axis=1)))
    gross = (np.abs(mark) * np.abs(worth)).sum(axis=1)
    one = np.ones(len(mark))
    return {
        "earned": earned, "mark": np.where(np.isnan(earned), np.nan, gross), "offset": 0.0 * one,
        "volume": volume.min(axis=1), "liquidity": (market.liquidity[:, columns] / np.abs(ratio)).min(axis=1),
        "open_interest": (market.open_interest[:, columns] / np.abs(ratio)).min(axis=1),
        "contract": market.contract[:, columns].min(axis=1), "multiplier": one, "fx": one, "tick": 0.0 * one,
        "available": market.available[:, columns].all(axis=1), "fx_age": market.fx_age[:, columns].max(axis=1),
    }  # fmt: skip


def _filled(values, like):
    nothing = np.nan if like.dtype.kind == "f" else 0
    return np.full(len(like), nothing, like.dtype) if values is None else values.astype(like.dtype)


@dataclass(frozen=True)
class Layout:
    """Who trades what: members, strategy by strategy, and their lines, member by member."""

    strategy: np.ndarray  # int (member,)
    column: np.ndarray  # int (member,): of the market as strategies see it
    names: tuple  # (member,) what each is called
    lines: Lines
    labels: tuple  # (line,) of (strategy, market)


def layout(market, members, labels, spreads, sleeves, groups):
    """The `Layout` of a portfolio's members, (strategy, name of a market or a spread) each.

    Parameters
    ----------
    market : Market
    members : list of (int, str)
        Strategy by strategy.
    labels : list of str
        Name of each strategy.
    spreads : dict
        {name: {market: contracts of a unit}}
    sleeves : list of int
        Sleeve of each strategy.
    groups : list of int
        Of each market, for the limits on groups; -1 none.
    """
    names = {name: m for m, name in enumerate([*market.names, *spreads])}
    rows = []
    for j, (s, name) in enumerate(members):
        for leg, ratio in spreads.get(name, {name: 1.0}).items():
            rows.append((market.names.index(leg), j, float(ratio), sleeves[s], s))
    instrument, member, ratio, sleeve, strategy = map(np.array, zip(*rows, strict=True))
    roots, sectors = sorted(set(market.roots)), sorted(set(market.sectors))
    whole = lambda values: np.ascontiguousarray(values, dtype=np.int64)  # noqa: E731
    lines = Lines(
        instrument=whole(instrument), member=whole(member), ratio=ratio.astype(np.float64), sleeve=whole(sleeve),
        root=whole([roots.index(market.roots[m]) for m in instrument]),
        sector=whole([sectors.index(market.sectors[m]) for m in instrument]),
        group=whole([groups[m] for m in instrument]),
    )  # fmt: skip
    return Layout(
        strategy=whole([s for s, _ in members]),
        column=whole([names[name] for _, name in members]),
        names=tuple(name for _, name in members),
        lines=lines,
        labels=tuple((labels[s], market.names[m]) for s, m in zip(strategy, instrument, strict=True)),
    )
