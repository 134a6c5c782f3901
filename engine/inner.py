"""Strategies that hold others: overlays scale one, combinations add several up.

What is held stands in a table, `{name = "ewmac", params = {fast = 8}}`, so that a portfolio file can say it. The table
is completed with every param of the strategy it names, as the rest of a portfolio file is: equal settings, equal text.
"""

import numpy as np
import param

from engine import settings
from engine.settings import ConfigError
from engine.signals import episodes
from engine.strategy import Decision, Strategy, StrategyError, snake_name, unread_told

DEFAULT = "moving_average_cross"


class Inner(param.Dict):
    """A strategy by {name, params}; not one that is called bar by bar, for nobody but the simulation can do that."""

    def __set__(self, holder, value):
        super().__set__(holder, completed(value))


class Parts(param.List):
    """Strategies by {name, weight, params}, at least one, of which one at least has a weight."""

    def __set__(self, holder, value):
        if not isinstance(value, list) or not value:
            raise ConfigError("no strategy; allowed: tables of name, weight and params, at least one")
        full = [completed(part, also=("weight",), kinds=("forecast", "signals")) for part in value]
        if not sum(part["weight"] for part in full) > 0.0:
            raise ConfigError("weights sum to 0; allowed: at least one above 0")
        super().__set__(holder, full)


def built(table, also=(), kinds=("forecast", "signals", "targets")):
    """The strategy that a table names, with its params.

    Parameters
    ----------
    table : dict
        `name`, and `params` if they differ from the defaults.
    also : tuple of str
        Other keys that may stand there.
    kinds : tuple of str
        What it may be, see `engine.strategy.KINDS`.

    Returns
    -------
    Strategy
        A ConfigError says what is wrong with the table.

    >>> built({"name": "ewmac", "params": {"fast": 8}}).fast
    8
    """
    settings.check_keys(table, ("name", *also, "params"), "inner strategy:")
    from engine.strategies import STRATEGIES as known  # here, for that list is made of files that import this one

    name = table.get("name")
    if not isinstance(name, str) or name not in known:
        near = settings.nearest(name, known)
        raise ConfigError(
            f"inner strategy {settings.shown(name)} is unknown; allowed: {', '.join(known)}{near}{unread_told()}"
        )
    if known[name].kind() not in kinds:
        fine = [one for one, kind in known.items() if kind.kind() in kinds]
        raise ConfigError(f"inner strategy {name} returns no {' or '.join(kinds)}; allowed: {', '.join(fine)}")
    return settings.read(known[name], table.get("params", {}), f"inner strategy {name}:")


def completed(table, also=(), **allowed) -> dict:
    """The table with every param of its strategy, in their order; arguments as of `built`.

    >>> completed({"name": "moving_average_cross", "params": {"fast": 8}})
    {'name': 'moving_average_cross', 'params': {'fast': 8, 'slow': 200}}
    """
    strategy = built(table, also, **allowed)
    weight = {"weight": weight_of(table)} if "weight" in also else {}
    return {"name": table["name"], **weight, "params": settings.table_of(strategy)}


def weight_of(table) -> float:
    """Weight of a part, 1 where it has none. [1]"""
    weight = table.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 <= weight <= 100.0:
        raise ConfigError(f"weight = {settings.shown(weight)} is not allowed; allowed: a number from 0 to 100")
    return float(weight)


def kinds_of(strategy) -> list[type]:
    """Classes of a strategy and of all that it holds: whose source a run depends on.

    >>> overlay = Overlay(inner={"name": "ewmac"})
    >>> [kind.__name__ for kind in kinds_of(overlay)]
    ['Overlay', 'Ewmac']
    """
    held = strategy.held() if isinstance(strategy, Overlay | Combination) else []
    return [type(strategy), *(kind for one in held for kind in kinds_of(one))]


class _Holder(Strategy):
    """What overlays and combinations share: they hold others, and are as slow and as wide as those."""

    def held(self) -> list[Strategy]:
        """The strategies it holds."""
        raise NotImplementedError

    @property
    def across(self) -> bool:
        """Whether one of those held reads several markets at once: then all of them decide at one time."""
        return any(getattr(one, "across", False) for one in self.held())

    def warm_up(self) -> int:
        """The longest of those held, and its own. [bars]"""
        return max([self.own_warm_up(), *(one.warm_up() for one in self.held())])

    def own_warm_up(self) -> int:
        """Bars that it needs itself. [bars]"""
        return 0


class Overlay(_Holder):
    """Scales what another strategy wants: nothing of it, part of it, or more.

    Entries and exits stay what they are, with their orders: their size is scaled when they enter, and where the scale
    is 0 nothing enters and what is held is left. Contracts are scaled as contracts.
    """

    inner = Inner(default={"name": DEFAULT}, doc="What is scaled: {name = strategy, params = {...}}. [table]")

    def __init__(self, **params):
        super().__init__(**params)
        self.inner = self.inner  # a default is not completed yet: it is as old as the class

    def held(self) -> list[Strategy]:
        """The one it scales."""
        return [built(self.inner)]

    def scale(self, market, forecast) -> np.ndarray:
        """What the forecast is multiplied by, array (time, market), never nan; row t reads rows 0..t. [1]"""
        return np.ones(forecast.shape)

    def forecast(self, market) -> np.ndarray:
        """That of the strategy held times the scale."""
        return self.decision(market).forecast

    def decision(self, market) -> Decision:
        """That of the strategy held, scaled."""
        made = self.held()[0].decision(market)
        scale = self.scale(market, made.forecast)
        if made.signals is None:
            wanted = made.forecast * scale
            return made._replace(forecast=wanted, episode=episodes(wanted))
        asked = made.signals._replace(entry=made.signals.entry * scale, exit=made.signals.exit | (scale == 0.0))
        forecast, episode = asked.latched()
        return made._replace(forecast=forecast, signals=asked, episode=episode)


class Combination(_Holder):
    """Adds the forecasts of several strategies up, each with a weight."""

    parts = Parts(
        default=[{"name": DEFAULT}],
        doc="What is combined: a list of {name = strategy, weight = 1.0, params = {...}}. [tables]",
    )

    def __init__(self, **params):
        super().__init__(**params)
        self.parts = self.parts  # as of an overlay

    def held(self) -> list[Strategy]:
        """Its parts, in their order."""
        return [built(part, also=("weight",)) for part in self.parts]

    def weights(self) -> np.ndarray:
        """Weight of each part, array (part,), summing to 1."""
        weights = np.array([part["weight"] for part in self.parts])
        return weights / weights.sum()

    def opinions(self, market) -> np.ndarray:
        """Forecasts of the parts, array (part, time, market).

        A part with orders of its own is a StrategyError: added to others it would have none, and be another strategy.
        """
        made = [one.decision(market) for one in self.held()]
        for part, one in zip(self.parts, made, strict=True):
            if one.contracts or (one.signals is not None and one.signals.ordered().any()):
                raise StrategyError(
                    f"{snake_name(type(self))}: {part['name']} asks for contracts, or for stops and limits, which "
                    "a sum of forecasts cannot keep; allowed: strategies of forecasts; list it beside in the portfolio"
                )
        return np.ascontiguousarray([one.forecast for one in made])
