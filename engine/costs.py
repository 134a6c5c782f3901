"""Costs of trading: commission and slippage, by root; where a portfolio names none, those of `config/costs.toml`.

A figure is always that of one *side* of one contract; a round trip is two sides, and a roll is two sides again (out of
one contract, into the next). Money is in the currency of the contract: a yen future costs yen.
"""

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import param

TABLE = Path(__file__).resolve().parent.parent / "config" / "costs.toml"


class Cost(NamedTuple):
    """What one side of one contract costs, and who says so."""

    commission_per_side: float  # [contract's currency / contract]
    slippage_ticks: float  # [ticks]
    source: str


class SideCost(param.Parameterized):
    """Figures of a portfolio; what is left out is looked up in `config/costs.toml`."""

    commission_per_side = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1e6),
        doc="Fees and commission of one side. [contract's currency / contract]",
    )
    slippage_ticks = param.Number(
        default=None, allow_None=True, bounds=(0, 1000), doc="How far from the price seen one side is filled. [ticks]"
    )


class Costs(SideCost):
    """Costs of a portfolio: figures for all its markets, and for single roots, before those of `config/costs.toml`."""

    roll_commission = param.Number(
        default=1.0,
        bounds=(0, 10),
        doc="Commission of a roll as a multiple of two sides'; below 1 for a spread order. [1]",
    )
    roots = param.Dict(default={}, doc="Figures of single roots, {root: SideCost}.")

    def of(self, root: str, currency: str = "USD") -> Cost:
        """Cost of one side in a root whose contract is in `currency`.

        >>> Costs(commission_per_side=2.10, slippage_ticks=1.0).of("ES")
        Cost(commission_per_side=2.1, slippage_ticks=1.0, source='portfolio')
        """
        known = table()
        row = known["default"] | known["currency"].get(currency, {}) | known["roots"].get(root, {})
        own = self.roots.get(root, self)
        figures = {
            key: _first(getattr(own, key), getattr(self, key)) for key in ("commission_per_side", "slippage_ticks")
        }
        source = "portfolio" if None not in figures.values() else row["source"]
        return Cost(**{key: float(_first(value, row[key])) for key, value in figures.items()}, source=source)

    def arrays(self, roots, currencies=None) -> tuple[np.ndarray, np.ndarray]:
        """Commission a side [contract's currency / contract] and slippage a side [ticks], arrays (market,)."""
        currencies = ["USD"] * len(roots) if currencies is None else currencies
        costs = [self.of(root, currency) for root, currency in zip(roots, currencies, strict=True)]
        return np.array([c.commission_per_side for c in costs]), np.array([c.slippage_ticks for c in costs])


@cache
def table(path: Path = TABLE) -> dict:
    """Rows of the cost file: `default`, `currency` and `roots`; each row has figures, a date and a source."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def table_hash(path: Path = TABLE) -> str:
    """sha256 of the cost file, an input of every run."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def side_cost(commission_per_side, slippage_ticks, tick, multiplier):
    r"""Money that one side of one contract costs.

    .. math:: s k M + c

    Parameters
    ----------
    commission_per_side : float or array
        [contract's currency / contract]
    slippage_ticks, tick, multiplier : float or array
        [ticks], [points / tick], [contract's currency / point]

    Returns
    -------
    float or array
        [contract's currency / contract]

    Source: definition; DOMAIN T5.

    A roll of an S&P future is two sides, here of 2.10 and one tick of 0.25 points at 50 dollars:

    >>> round(2 * side_cost(2.10, 1.0, 0.25, 50.0), 2)
    29.2
    """
    return slippage_ticks * tick * multiplier + commission_per_side


def sr_cost(cost_per_side, volatility, multiplier):
    r"""Cost of one side in units of Sharpe ratio: cost over a year's swing of the same contract.

    .. math:: c = \text{cost} / (\sigma \sqrt{252} M)

    Parameters
    ----------
    cost_per_side : float or array
        Of `side_cost`. [contract's currency / contract]
    volatility : float or array
        Of a day's change of the adjusted price. [points]
    multiplier : float or array
        [contract's currency / point]; both sides of the fraction are in the contract's currency, so no rate is needed.

    Returns
    -------
    float or array
        [SR / side]

    Source: R. Carver, Systematic Trading, 2015, ch. 12 (there for a round trip: half of it a side).

    >>> round(float(sr_cost(14.6, 45.0, 50.0)), 6)
    0.000409
    """
    return cost_per_side / (volatility * np.sqrt(252.0) * multiplier)


def annual_sr_cost(sr_cost_per_side, sides, rolls):
    r"""Sharpe ratio that a year's trading costs.

    .. math:: n c + 2 r c

    Parameters
    ----------
    sr_cost_per_side : float
        One way, not a round trip. [SR / side]
    sides : float
        Sides traded a year but for rolls: a position entered and left is two. [sides/year]
    rolls : float
        Rolls a year, each of two sides. [rolls/year]

    Returns
    -------
    float
        [SR/year]

    Source: pysystemtrade `account_costs.py` (holding turnover = 2 × rolls a year, cost one way); DOMAIN 2.12 and T55.

    >>> round(annual_sr_cost(0.001, 10, 4), 6)
    0.018
    """
    return sr_cost_per_side * sides + 2 * sr_cost_per_side * rolls


def _first(value, other):
    return other if value is None else value
