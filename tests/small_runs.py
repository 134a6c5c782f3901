"""Runs of a few bars: a `Market` told by hand, and a strategy that wants what a test says."""

from dataclasses import MISSING, fields

import numpy as np

from engine.market import Market
from engine.portfolio import Portfolio, Sleeve
from engine.strategy import Strategy

FIRST = np.datetime64("2024-01-01")  # a Monday
PRICES = ("open", "high", "low", "close", "settle")
FREE = ["costs.commission_per_side=0", "costs.slippage_ticks=0"]
FLAGS = ("roll", "closed", "left_end", "own_margin", "proxy", "available")
WHOLE = ("contract", "roll_contract", "left_contract")
USUAL = {
    "offset": 0.0, "contract": 202406, "multiplier": 1.0, "tick": 0.25, "fx": 1.0, "initial_margin": 10.0,
    "maintenance_margin": 8.0, "volume": 1000.0, "open_interest": 5000.0, "liquidity": 1000.0, "available": True,
    "fx_age": 0.0,
}  # fmt: skip


def market(mark, names=None, **changes):
    """A market of given marks (time, market), nan on holidays; a bar is one price where none else is given.

    A change is a number, a list by bar, or an array (time, market); lists that are one a market are tuples.
    """
    mark = np.array(mark, float)
    mark = mark.reshape(len(mark), -1)
    time, count = mark.shape
    names = tuple(names or "ABCDEF"[:count])
    told = {
        "names": names, "roots": names, "ranks": (0,) * count, "currencies": ("USD",) * count, "currency": "USD",
        "sectors": ("metals",) * count, "simulated": False, "rate": np.zeros(time), "days": days(time), "mark": mark,
        "sources": {name: {"source": "hand", "proxy": "", "until": None, "filled": 0} for name in names},
    }  # fmt: skip
    told |= {name: changes.pop(name) for name in list(changes) if isinstance(changes[name], tuple | dict | str)}
    told |= {name: changes.pop(name) for name in ("days", "rate", "simulated") if name in changes}
    for one in fields(Market):
        if one.name in told or (one.name not in changes and one.default is not MISSING):
            continue
        if one.name in ("quality", "hashes"):
            continue
        usual = mark if one.name in PRICES else USUAL.get(one.name, 0 if one.name in (*FLAGS, *WHOLE) else np.nan)
        kind = bool if one.name in FLAGS else np.int32 if one.name in WHOLE else float
        values = np.asarray(changes.get(one.name, usual), kind)
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        told[one.name] = np.array(np.broadcast_to(values, mark.shape))
    return Market(**told)


def days(time):
    """Weekdays from a Monday on."""
    return np.busday_offset(FIRST, np.arange(time), roll="forward")


class Wants(Strategy):
    """Forecasts as a test tells them: by bar, the same for all markets, or an array (time, market)."""

    wanted = 1.0

    @classmethod
    def of(cls, wanted):
        """One that wants this."""
        made = cls()
        made.wanted = np.asarray(wanted, float)
        return made

    def forecast(self, market):
        """As told; the last columns are spreads."""
        wanted = np.atleast_1d(self.wanted)
        wanted = wanted.reshape(-1, 1) if wanted.ndim == 1 else wanted
        return np.array(np.broadcast_to(wanted, market.mark.shape))


class Buys(Wants):
    """The same, as target contracts."""

    def targets(self, market):
        """As told."""
        return Wants.forecast(self, market)


def portfolio(*sleeves, settings=(), rule="fixed", **params):
    """A portfolio of some (strategy, settings of its sleeve), without costs, one contract at a forecast of 1."""
    made = [Sleeve(strategy=strategy, **told) for strategy, told in sleeves]
    text = Portfolio.from_toml('[[strategies]]\nname = "carry"\n').with_settings(
        [f"sizing.rule={rule}", *FREE, *settings]
    )
    text.strategies = made
    for name, value in params.items():
        setattr(text, name, value)
    return text
