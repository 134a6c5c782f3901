"""Costs of trading, by root and day: commission, spread, slippage, impact, and what a roll costs.

A figure is always that of one *side* of one contract; a round trip is two sides, and a roll is two sides again (out of
one contract, into the next). Money is in the currency of the contract: a yen future costs yen.

Who goes before whom, figure by figure, the first that is known on the day:

1. the portfolio's dated rows of the root, 2. its `[costs.roots.ROOT]`, 3. its dated rows of all roots, 4. its
`[costs]`, 5. the dated rows of `config/costs.toml`, 6. the undated ones: of the root, of its currency, of all.

A side is filled half the spread plus slippage away from the price seen. The undated `slippage_ticks` of the file are an
assumption of both together, so they stand in only where the half-spread is not known; where it is, slippage is what the
portfolio says on top of it, else 0.
"""

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import param

from engine.book import FILL_FIELDS
from engine.charges import DAY, TEXT, Rows, figures
from engine.rows import carried

TABLE = Path(__file__).resolve().parent.parent / "config" / "costs.toml"
FACTOR = {"volume": 0.1, "volatility": 1.0}  # of an impact where the portfolio names none; sources at `impact_scale`
POWER = {"none": 1.0, "volume": 2.0, "volatility": 0.5}  # of the share of the volume, by which an impact grows
FOREVER = np.datetime64("9999-12-31", "D")


class Cost(NamedTuple):
    """What one side of one contract costs, and who says so."""

    commission_per_side: float  # [contract's currency / contract]
    slippage_ticks: float  # half the spread and slippage [ticks]
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
        default=None,
        allow_None=True,
        bounds=(0, 1000),
        doc="How far from the price seen one side is filled; on top of half the spread where that is known. [ticks]",
    )
    half_spread_ticks = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1000),
        doc="Half the spread between bid and ask, which one side crosses. [ticks]",
    )
    roll_slippage_ticks = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 1000),
        doc="Spread and slippage of one side of a roll; none: as any side, of a spread order half of it. [ticks]",
    )
    impact_factor = param.Number(
        default=None,
        allow_None=True,
        bounds=(0, 100),
        doc="Impact of an order as large as the volume, in prices or in daily volatilities; none: 0.1 or 1. [1]",
    )


DATED = {"since": DAY, "root": TEXT} | {key: SideCost.param[key].bounds for key in SideCost.param if key != "name"}


class Costs(SideCost):
    """Costs of a portfolio: figures for all its markets, and for single roots, before those of `config/costs.toml`."""

    spread = param.Selector(
        default="assumed",
        objects=["assumed", "table"],
        doc="Half-spreads that the portfolio does not name: within slippage_ticks, or the dated ones of the table.",
    )
    roll_order = param.Selector(
        default="legs", objects=["legs", "spread"], doc="A roll is two orders, or one order of the calendar spread."
    )
    roll_commission = param.Number(
        default=1.0,
        bounds=(0, 10),
        doc="Commission of a roll as a multiple of two sides'; below 1 for a spread order. [1]",
    )
    impact = param.Selector(
        default="none",
        objects=["none", "volume", "volatility"],
        doc="How size moves the price: factor × price × share², or factor × daily volatility × √share, of the volume.",
    )
    roots = param.Dict(default={}, doc="Figures of single roots, {root: SideCost}.")
    dated = Rows(
        columns=DATED,
        doc="Tables with `since` (a date), `root` (all, if left out) and figures as above that hold from then on.",
    )

    def of(self, root: str, currency: str = "USD", day=None, roll: bool = False) -> Cost:
        """Cost of one side in a root whose contract is in `currency`, on a day; the newest, if none is given.

        `roll` asks for a side of a roll.

        >>> costs = Costs(commission_per_side=2.10, slippage_ticks=1.0, roll_order="spread")
        >>> costs.of("ES")
        Cost(commission_per_side=2.1, slippage_ticks=1.0, source='portfolio')
        >>> costs.of("ES", roll=True).slippage_ticks
        0.5
        """
        days = np.array([FOREVER if day is None else day], "datetime64[D]")
        ticks, roll_ticks, commission, _ = (float(np.max(value)) for value in self._sides(root, currency, days))
        source = self._source(root, currency, days)
        return Cost(commission * self.roll_commission, roll_ticks, source) if roll else Cost(commission, ticks, source)

    def arrays(self, market, sigma=None) -> dict:
        """Costs of every bar and market, as `book.Facts` has them, and the power by which an impact grows.

        Parameters
        ----------
        market : Market
            Its roots, currencies, days, tick and mark are read.
        sigma : array (time, market), optional
            Daily volatility of the price, for an impact by volatility; row t reads rows 0..t. [points]

        Returns
        -------
        dict
            `slippage`, `roll_slippage`, `impact` [points], `commission`, `roll_commission` [contract's currency]: of a
            side, (time, market), never nan; `power` [1]. An impact is made of price and volatility of the bar before;
            where these are not known yet there is none.

        Raises
        ------
        ValueError
            An impact by volatility without `sigma`.
        """
        if self.impact == "volatility" and sigma is None:
            raise ValueError("costs.impact = 'volatility' without sigma; allowed: an array (time, market)")
        days = np.asarray(market.days).astype("datetime64[D]")
        pairs = list(zip(market.roots, market.currencies, strict=True))
        made = {pair: self._sides(*pair, days) for pair in dict.fromkeys(pairs)}
        ticks, roll_ticks, commission, factor = (_side_by_side([made[pair][k] for pair in pairs]) for k in range(4))
        tick = np.nan_to_num(market.tick)
        commission = np.ascontiguousarray(np.broadcast_to(commission, tick.shape))
        return {
            "slippage": tick * ticks,
            "commission": commission,
            "roll_slippage": tick * roll_ticks,
            "roll_commission": commission * self.roll_commission,
            "impact": self._impact(factor, market, sigma),
            "power": POWER[self.impact],
        }

    def _impact(self, factor, market, sigma):
        if self.impact == "none":
            return np.zeros(market.tick.shape)
        read = _before(market.mark if self.impact == "volume" else sigma)
        return impact_scale(self.impact, factor, read, read)

    def _sides(self, root, currency, days):
        """Ticks of a side and of a side of a roll, commission, factor of the impact: numbers, or arrays (time,)."""
        ticks = self._ticks(root, currency, days)
        usual = ticks if self.roll_order == "legs" else ticks / 2.0  # one half-spread for both legs
        roll_ticks = _first(self._own("roll_slippage_ticks", root, days), usual)
        factor = _first(self._own("impact_factor", root, days), FACTOR.get(self.impact, 0.0))
        return ticks, roll_ticks, self._commission(root, currency, days), factor

    def _commission(self, root, currency, days):
        known = table()
        stored = _dated(known["dated"], root, "commission_per_side", days)
        usual = _row(known, root, currency)["commission_per_side"]
        return _first(self._own("commission_per_side", root, days), stored, usual)

    def _ticks(self, root, currency, days):
        """Half the spread and slippage of a side."""
        known = table()
        assumed = _row(known, root, currency)["slippage_ticks"]
        half, slippage = (self._own(key, root, days) for key in ("half_spread_ticks", "slippage_ticks"))
        if self.spread == "table":
            half = _first(half, _dated(known["dated"], root, "half_spread_ticks", days), assumed)
        return _first(half, 0.0) + _first(slippage, np.where(np.isnan(half), assumed, 0.0))

    def _source(self, root, currency, days):
        """Who says what a side costs on the first of the days: the portfolio, where nothing comes from the file."""
        own = {key for key in SideCost.param if key in DATED and not np.isnan(self._own(key, root, days)).any()}
        asked = {"commission_per_side"} - own
        if "half_spread_ticks" not in own and (self.spread == "table" or "slippage_ticks" not in own):
            asked.add("half_spread_ticks")
        if not asked:
            return "portfolio"
        read = asked if self.spread == "table" else asked - {"half_spread_ticks"}
        told = [row for row in table()["dated"] if row["root"] == root and read & row.keys()]
        told = [row["source"] for row in told if np.datetime64(row["since"], "D") <= days[0]]
        return told[-1] if told else _row(table(), root, currency)["source"]

    def _own(self, key, root, days):
        """A figure as the portfolio has it, a number, or an array (time,) where it is dated; nan where it has none."""
        return _first(
            _dated(self.dated, root, key, days),
            _number(self.roots.get(root), key),
            _dated(self.dated, None, key, days),
            _number(self, key),
        )


@cache
def table(path: Path = TABLE) -> dict:
    """Rows of the cost file: `default`, `currency`, `roots`, `dated`; each has figures, a day and a source."""
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


def impact_scale(kind, factor, price, sigma):
    r"""How far an order as large as the bar's volume moves the price; one of a share s, by a power of s of it.

    .. math:: \text{volume: } f |p| s^2 \qquad \text{volatility: } f \sigma s^{1/2}

    Parameters
    ----------
    kind : {"none", "volume", "volatility"}
    factor : float or array
        [1]
    price : array
        Contract price, not adjusted. [points]
    sigma : array
        Standard deviation of a day's change. [points]

    Returns
    -------
    array
        [points]; 0 where price or volatility is not known.

    Source: volume: zipline `VolumeShareSlippage`, price_impact 0.1. Volatility: B. Tóth et al., Anomalous price impact
    and the critical nature of liquidity in financial markets, Physical Review X 1, 2011 (factor of order one, power
    1/2); R. Almgren et al., Direct estimation of equity market impact, Risk 18(7), 2005, find 3/5.

    A fortieth of the volume, at a price of 100, and a hundredth, where a day moves it by two points:

    >>> round(float(impact_scale("volume", 0.1, 100.0, 2.0) * 0.025**2), 6)
    0.00625
    >>> round(float(impact_scale("volatility", 1.0, 100.0, 2.0) * 0.01**0.5), 6)
    0.2
    """
    scale = {"none": 0.0 * price, "volume": np.abs(price), "volatility": sigma}[kind]
    return np.nan_to_num(factor * scale)


def break_even(profit, fills, tick_money, group):
    r"""Ticks a side that each group of lines could pay more before its profit is zero.

    .. math:: b_g = \frac{\sum_{i \in g} \text{profit}_i}{\sum_{i \in g} \sum_f |q_f| w_{t_f, i}}

    Parameters
    ----------
    profit : array (line,)
        Of a run, after all costs. [account currency]
    fills : array (fill, FILL_FIELDS)
        Of `book.Ledger`; each side counts, and a roll is two.
    tick_money : array (time, line)
        Tick × multiplier × exchange rate. [account currency / (tick contract)]
    group : int array (line,)
        Strategy of each line, from 0 on.

    Returns
    -------
    array (group,)
        [ticks / side]; negative where there is a loss already, nan where nothing was traded.

    Source: definition; DOMAIN T55.

    1,000 dollars earned on two contracts in and out, of 12.50 dollars a tick:

    >>> trade = np.zeros((2, len(FILL_FIELDS)))
    >>> trade[:, FILL_FIELDS.index("contracts")] = 2.0, -2.0
    >>> break_even(np.array([1000.0]), trade, np.array([[12.5]]), np.array([0]))
    array([20.])
    """
    t, line, contracts = (fills[:, FILL_FIELDS.index(name)] for name in ("t", "line", "contracts"))
    line = line.astype(np.int64)
    groups = int(np.max(group, initial=-1)) + 1
    sides = np.bincount(group[line], np.abs(contracts) * tick_money[t.astype(np.int64), line], groups)
    earned = np.bincount(group, profit, groups)
    return np.divide(earned, sides, out=np.full(groups, np.nan), where=sides > 0.0)


def _row(known, root, currency):
    """The undated row of the cost file for a root."""
    return known["default"] | known["currency"].get(currency, {}) | known["roots"].get(root, {})


def _dated(rows, root, key, days):
    """A figure of dated rows of a root (none: of those of all), array (time,); nan alone where there is no such row."""
    mine = [row for row in rows if row.get("root") == root and key in row]
    return figures(mine, key, days) if mine else np.nan


def _number(made, key):
    value = getattr(made, key, None)
    return np.nan if value is None else value


def _side_by_side(values):
    """Array (market,) of numbers; (time, market) where some are arrays (time,)."""
    return np.stack(np.broadcast_arrays(*values), axis=-1)


def _first(*values):
    """The first that is known of several, element by element."""
    out = values[-1]
    for value in values[-2::-1]:
        out = np.where(np.isnan(value), out, value)
    return out


def _before(values):
    """The last known value of the rows before, array (time, market); nan where there is none."""
    return np.vstack([np.full((1, values.shape[1]), np.nan), carried(values)[:-1]])
