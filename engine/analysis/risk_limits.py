"""Risk limits as a TOML file: what a run is held against, each with an amber and a red level.

A table for each limit that is looked at, with `amber` and `red`, or one of the two, and what the limit reads besides.
A value at a level is within it: up to `amber` is green, up to `red` amber, above it red. `LIMITS` has all there are.
"""

import tomllib
from pathlib import Path

import param

from engine import settings
from engine.settings import ConfigError

FILE = "risk_limits.toml"  # beside a store
SHIPPED = Path(__file__).resolve().parents[2] / "config" / FILE
STATES = ("green", "amber", "red")


def _level(unit, low, high, inclusive=(False, True)):
    """The param of a level that may be left out."""
    doc = f"Above it the limit is broken. [{unit}]"
    return param.Number(default=None, allow_None=True, bounds=(low, high), inclusive_bounds=inclusive, doc=doc)


class Limit(param.Parameterized):
    """Two levels of a share of equity."""

    amber = _level("fraction", 0, 1)
    red = _level("fraction", 0, 1)

    def check(self, place):
        """Refuse a limit without a level, and one that is red before it is amber."""
        if self.amber is None and self.red is None:
            raise ConfigError(f"{place} names neither amber nor red; allowed: both, or one of them")
        if self.amber is not None and self.red is not None and self.red <= self.amber:
            raise ConfigError(f"{place} red = {self.red:g} is not above amber = {self.amber:g}; allowed: a higher one")

    @property
    def within(self):
        """The highest value that is green."""
        return self.red if self.amber is None else self.amber

    def state(self, value):
        """green, amber or red; green where there is no value (nan).

        >>> two = Limit(amber=0.1, red=0.2)
        >>> [two.state(value) for value in (0.1, 0.11, 0.21, float("nan"))]
        ['green', 'amber', 'red', 'green']
        """
        red = self.red is not None and value > self.red
        return STATES[2] if red else STATES[int(self.amber is not None and value > self.amber)]


class ValueAtRisk(Limit):
    """Of what is held, by the moves of its markets on the days before."""

    level = param.Number(
        default=0.95, bounds=(0.5, 1), inclusive_bounds=(True, False), doc="Share of days that stay within it. [1]"
    )
    days = param.Integer(default=500, bounds=(20, 10_000), doc="Of which the moves are taken. [days]")


class Margin(Limit):
    """Margin may be more than equity: then it is called."""

    amber = _level("fraction", 0, 10)
    red = _level("fraction", 0, 10)


class Correlation(Limit):
    """Mean correlation of the positions."""

    amber = _level("1", -1, 1, (True, True))
    red = _level("1", -1, 1, (True, True))
    days = param.Integer(default=500, bounds=(50, 10_000), doc="Of which the weekly moves are taken. [days]")


class Stale(Limit):
    """Age of a price."""

    amber = _level("calendar days", 0, 10_000)
    red = _level("calendar days", 0, 10_000)


LIMITS = {
    "max_drawdown": Limit, "value_at_risk": ValueAtRisk, "margin_to_equity": Margin, "concentration": Limit,
    "correlation": Correlation, "loss_day": Limit, "loss_week": Limit, "loss_month": Limit, "stale_data": Stale,
}  # fmt: skip


def read(source):
    """{name: limit} of a file, or of the text of one, in the order of `LIMITS`.

    Parameters
    ----------
    source : Path or str

    Returns
    -------
    dict of str -> Limit

    Raises
    ------
    ConfigError
        In one line: what came, where, what is allowed.

    >>> read("[loss_day]\\namber = 0.02\\n")["loss_day"].state(0.03)
    'amber'
    """
    if isinstance(source, str) and "\n" in source:
        return _limits(source, "limits")
    path = Path(source)
    try:
        return _limits(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {why}") from fault


def file_of(folder, named=None):
    """The file that counts: the one that is named, the one in the folder of the store, or the one that ships."""
    beside = Path(folder) / FILE
    return Path(named) if named is not None else beside if beside.is_file() else SHIPPED


def _limits(text, place):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{place}: not TOML: {' '.join(str(fault).split())}") from fault
    for name in document:
        if name not in LIMITS:
            near = settings.nearest(name, list(LIMITS))
            raise ConfigError(f"{place}: unknown limit [{name}]; allowed: {', '.join(LIMITS)}{near}")
    if not document:
        raise ConfigError(f"{place}: no limit; allowed: at least one of {', '.join(LIMITS)}")
    found = {}
    for name in (name for name in LIMITS if name in document):
        found[name] = settings.read(LIMITS[name], document[name], f"{place}: [{name}]")
        found[name].check(f"{place}: [{name}]")
    return found
