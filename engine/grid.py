"""Grid: every combination of some settings of a portfolio, numbered; none is made before it is asked for.

Rules:

1. A key is a param of the one strategy that has it, or a setting as `Portfolio.with_settings` knows it.
2. Combinations count as an odometer does, from 0, the last key fastest. Settings of the portfolio come first, params of
   strategies last, each in the order given: combinations that differ in params alone follow each other.
3. All keys are looked at before anything is computed. A value that a key does not take makes refused combinations.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
import param

from engine import settings
from engine.portfolio import path_of, places
from engine.settings import ConfigError, nearest

MOST = 100_000_000  # combinations of one grid
READ = {  # settings on which it depends which prices are read, or which days are told
    "portfolio": ("name", "currency", "markets", "start", "end"),
    "rolls": None,
    "spreads": None,
    "execution": ("bars", "ties", "participation"),
    "costs": ("impact",),
}


class Axis(NamedTuple):
    """One key of a grid."""

    name: str  # as it was given
    path: tuple  # in the portfolio's document
    values: tuple
    sleeve: int | None  # number of the strategy whose param it is
    parameter: object

    @property
    def key(self):
        """The setting in full, as `--set` takes it."""
        return ".".join(self.path)


class Grid:
    """The combinations of `axes`, of which the last `inner` are params of strategies.

    >>> from engine.portfolio import Portfolio
    >>> p = Portfolio.from_toml('[[strategies]]\\nname = "moving_average_cross"')
    >>> grid = Grid.of(p, {"fast": range(5, 20, 5), "slow": [50, 100], "sizing.target": [0.1, 0.2]})
    >>> len(grid), grid.names, grid.values(7)
    (12, ('sizing.target', 'fast', 'slow'), (0.2, 5, 100))
    >>> grid.changes(7)
    ['sizing.target=0.2', 'strategies.0.params.fast=5', 'strategies.0.params.slow=100']
    """

    def __init__(self, axes):
        self.axes = tuple(axes)
        self.params = tuple(axis for axis in self.axes if axis.sleeve is not None)
        self.shape = tuple(len(axis.values) for axis in self.axes)
        self.inner = prod(len(axis.values) for axis in self.params)

    @classmethod
    def of(cls, portfolio, wanted):
        """The grid of {key: values}, checked against a portfolio.

        Raises
        ------
        ConfigError
            A key that is unknown, means several settings or cannot be swept; no values; too many combinations.
        """
        if not wanted:
            raise ConfigError("--grid: no key; allowed: at least one, such as fast=5:50:5")
        known = places(portfolio)
        axes = [_axis(name, values, known) for name, values in wanted.items()]
        for k, axis in enumerate(axes):
            if axis.path in [other.path for other in axes[:k]]:
                raise ConfigError(f"--grid {axis.name}: {axis.key} stands there twice; allowed: once")
        made = cls(sorted(axes, key=lambda axis: axis.sleeve is not None))
        if len(made) > MOST:
            raise ConfigError(f"--grid: {len(made):,} combinations; allowed: at most {MOST:,}")
        return made

    def __len__(self):
        return prod(self.shape)

    @property
    def names(self):
        """Keys as they were given, in the order in which combinations count."""
        return tuple(axis.name for axis in self.axes)

    @cached_property
    def _inner_axes(self):
        return len(self.axes) - len(self.params)

    def places(self, numbers):
        """Which value of each axis combinations have, int array (combination, axis)."""
        numbers = np.asarray(numbers, dtype=np.int64)
        return np.stack(np.unravel_index(numbers, self.shape), axis=-1)

    def values(self, number):
        """The values of a combination."""
        return tuple(axis.values[k] for axis, k in zip(self.axes, self.places(number).tolist(), strict=True))

    def changes(self, number, inner=True):
        """A combination as `Portfolio.with_settings` takes it; without `inner`, without the params of strategies."""
        told = list(zip(self.axes, self.values(number), strict=True))
        return [f"{axis.key}={text_of(value)}" for axis, value in (told if inner else told[: self._inner_axes])]

    @property
    def units(self):
        """{name: unit of its values, as the doc of the setting has it}; "" where it has none."""
        found = {
            axis.name: re.search(r"\[([^\]]+)\]\s*$", getattr(axis.parameter, "doc", "") or "") for axis in self.axes
        }
        return {name: unit[1] if unit and unit[1] != "1" else "" for name, unit in found.items()}

    def document(self):
        """{name: values as text}, as the sweep's record has it."""
        return {axis.name: [text_of(value) for value in axis.values] for axis in self.axes}


def parsed(text):
    """(key, values) of `key=5:50:5` or `key=0.1,0.2`; ranges have their ends in them, and may stand in lists.

    >>> parsed("fast=5:20:5"), parsed("sizing.target=0.1:0.3:0.1,0.5")
    (('fast', [5, 10, 15, 20]), ('sizing.target', [0.1, 0.2, 0.3, 0.5]))
    >>> parsed("compounding=true,false")
    ('compounding', [True, False])
    """
    key, equals, told = text.partition("=")
    if not equals or not key.strip() or not told.strip():
        raise ConfigError(f"--grid {text}: write KEY=START:STOP:STEP or KEY=VALUE,VALUE, as fast=5:50:5")
    found = []
    for part in told.split(","):
        found += _range(part, text) if ":" in part else [_value(part.strip(), text)]
    return key.strip(), found


def text_of(value):
    """A value as `--set` takes it.

    >>> text_of(5), text_of(0.1), text_of(True), text_of("kelly"), text_of(None)
    ('5', '0.1', 'true', 'kelly', 'none')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def evenly(count, most):
    """Numbers from 0 to `count` - 1, at most so many of them, spread evenly; a sorted array.

    >>> evenly(10, 4), evenly(3, 4)
    (array([1, 3, 6, 8]), array([0, 1, 2]))
    """
    if count <= most:
        return np.arange(count)
    return (2 * np.arange(most, dtype=np.int64) + 1) * count // (2 * most)


def _range(part, text):
    try:
        ends = [Decimal(word.strip()) for word in part.split(":")]
        first, last = ends[:2]
        step = ends[2] if len(ends) > 2 else Decimal(1)
        fine = len(ends) < 4 and all(end.is_finite() for end in ends) and step > 0 and first <= last
    except InvalidOperation:
        fine = False
    if not fine:
        raise ConfigError(f"--grid {text}: {part.strip()} is no range; allowed: START:STOP:STEP, a step above 0 upward")
    if (last - first) / step > MOST:
        raise ConfigError(f"--grid {text}: {part.strip()} has more than {MOST:,} values")
    whole = all(end == end.to_integral_value() for end in (first, step))
    numbers = [first + k * step for k in range(int((last - first) / step) + 1)]
    return [int(number) if whole else float(number) for number in numbers]


def _value(word, text):
    if not word:
        raise ConfigError(f"--grid {text}: a value is empty; allowed: KEY=VALUE,VALUE")
    if word.lower() == "none":
        return None
    return settings.parsed(word, param.Parameter())


def _axis(name, values, known):
    path = _path(name, known)
    place = f"--grid {name}:"
    section, key = path[0], path[-1]
    if (section in READ and (READ[section] is None or key in READ[section])) or (
        section == "strategies" and key in ("markets", "name")
    ):
        raise ConfigError(
            f"{place} {'.'.join(path)} changes what is read or told of the market; allowed: sizes, costs, cash, "
            f"margin, limits and params of strategies; several sweeps, each with --set {'.'.join(path)}=..."
        )
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        values = [values]
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    different = [value for k, value in enumerate(plain) if not any(_same(value, other) for other in plain[:k])]
    if not different:
        raise ConfigError(f"{place} no values; allowed: at least one")
    sleeve = int(path[1]) if section == "strategies" and path[2:3] == ("params",) else None
    return Axis(name, path, tuple(different), sleeve, known.get(path))


def _same(value, other):
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _path(name, known):
    """The path of a key: of the one strategy whose param it is, else as `--set` finds it."""
    mine = [path for path in known if path[0] == "strategies" and path[2:] == ("params", name)]
    if len(mine) == 1:
        return mine[0]
    if mine:
        choice = ", ".join(".".join(path) for path in mine)
        raise ConfigError(f"--grid {name}: several strategies have it; allowed: {choice}")
    try:
        return path_of(name, known, f"--grid {name}:")
    except ConfigError as fault:
        if "." in name or "several" in str(fault):
            raise
        params = sorted({path[-1] for path in known if path[0] == "strategies" and path[2:3] == ("params",)})
        raise ConfigError(
            f"--grid {name}: neither a param of a strategy ({', '.join(params) or 'none'}) nor a setting, such as "
            f"sizing.target{nearest(name, [*params, *(path[-1] for path in known)])}"
        ) from fault
