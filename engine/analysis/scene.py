"""What the engine is given for one run, ready to be changed and played again.

A `Scene` is made of the snapshot that a run was made of, and played as it is has to give the run again, bit for bit:
what a changed one gives otherwise is then due to the change alone. Results of changed scenes are never saved.
"""

from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from engine import indicators
from engine.analysis.source import SourceChanged, market_of_run
from engine.backtest import backtest, market_of, within_the_day
from engine.rows import carried
from engine.settings import ConfigError, assign

OF_MARKETS = ("names", "roots", "ranks", "currencies", "sectors")  # fields of a Market that have one entry a market
SPAN = 32.0  # of the daily volatility in which moves are told [bars]


class Scene(NamedTuple):
    """What is played: see `engine.backtest.backtest`."""

    market: object  # Market with all history
    portfolio: object
    bars: object = None  # bars within the day, or a function that gives them
    within: object = None  # engine.finer.Within, of portfolios that trade on them
    changes: tuple = ()  # functions of engine.inputs.Inputs that give others, one after the other
    load: object = None  # function of a portfolio that gives the Scene of its own markets; None: there is no store

    def played(self):
        """The `RunResult`; it has the id of the run that the scene began as."""
        finer = self.bars if self.portfolio.execution.ties == "finer" else None
        return backtest(self.market, self.portfolio, finer, self.within, changed=self._changed)

    def _changed(self, given):
        for change in self.changes:
            given = change(given)
        return given

    def also(self, change):
        """The same with one more change of its inputs."""
        return self._replace(changes=(*self.changes, change))

    def days_only(self, what):
        """The scene itself; ConfigError where its orders read bars within the day, whose prices are not changed."""
        if self.within is not None or self.portfolio.execution.ties == "finer":
            raise ConfigError(
                f"{what} changes the prices of days, and this run reads bars within the day; run its portfolio with "
                "--set execution.bars=day --set execution.ties=worst and ask of that run"
            )
        return self


def scene_of(archive, run):
    """The `Scene` of a stored run.

    Raises
    ------
    NotRunHere, SourceChanged
        As `source.market_of_run`.
    """
    market_of_run(archive, run)  # says what is wrong with it
    snapshot, names = archive.snapshot(run.summary["snapshot"]["number"]), run.summary["markets"]

    def loaded(portfolio):
        market = market_of(archive, portfolio, names, snapshot)
        return Scene(*_given(within_the_day(archive, market, portfolio, snapshot), portfolio), load=loaded)

    return loaded(run.portfolio)


def _given(known, portfolio):
    market, bars, within = known
    return market, portfolio, bars, within


def base_of(archive, run):
    """(Scene of a run, the run played again); SourceChanged where that gives another result than is stored."""
    scene = scene_of(archive, run)
    played = scene.played()
    if played.summary["hashes"]["result"] != run.summary["hashes"]["result"]:
        raise SourceChanged(
            f"run {run.id} computed again gives another result: the code or a strategy has changed since; run its "
            "portfolio again (frontmonth run) and ask of that run"
        )
    return scene, played


def with_params(made, place="what if:", **values):
    """A copy of a portfolio, or of a section of one, with other params; ConfigError says what is wrong with them."""
    copy = type(made)(**made.param.values())
    for key, value in values.items():
        assign(copy, key, value, place)
    return copy


def without(scene, names):
    """The scene as if some markets had never been there; spreads that need one go with it.

    Raises
    ------
    ConfigError
        A name is no market of the scene, or nothing is left to trade.
    """
    market, portfolio = scene.market, scene.portfolio
    gone = set()
    for name in names:
        mine = {n for n, root in zip(market.names, market.roots, strict=True) if name in (n, root)}
        if not mine:
            raise ConfigError(f"missing={name}: no market of this run; allowed: {', '.join(market.names)}")
        gone |= mine
    keep = np.array([name not in gone for name in market.names])
    spreads = {name: one for name, one in portfolio.spreads.items() if not gone & set(one.legs)}
    gone |= set(portfolio.spreads) - set(spreads)
    sleeves = [_less(sleeve, gone) for sleeve in portfolio.strategies]
    sleeves = [sleeve for sleeve in sleeves if sleeve.markets == "all" or sleeve.markets]
    if not keep.any() or not sleeves:
        raise ConfigError(f"missing={','.join(names)}: nothing is left to trade; allowed: to leave one market at least")
    changed = {"strategies": sleeves, "spreads": spreads}
    if portfolio.markets != "all":
        changed["markets"] = [name for name in portfolio.markets if name not in gone]
    if portfolio.limits.groups:
        left = {name: [root for root in roots if root not in gone] for name, roots in portfolio.limits.groups.items()}
        changed["limits"] = with_params(portfolio.limits, groups={name: roots for name, roots in left.items() if roots})
    within, bars = scene.within, scene.bars
    if within is not None:
        within = within._replace(market=columns_of(within.market, keep), served=within.served[:, keep])
    if bars is not None:
        bars = _fewer_bars(bars, keep)
    changed = with_params(portfolio, **changed)
    return scene._replace(market=columns_of(market, keep), portfolio=changed, within=within, bars=bars)


def _less(sleeve, gone):
    return (
        sleeve if sleeve.markets == "all" else with_params(sleeve, markets=[m for m in sleeve.markets if m not in gone])
    )


def _fewer_bars(bars, keep):
    """The bars within the day of some markets, read when somebody asks."""

    def read():
        every = bars() if callable(bars) else bars
        return every._replace(
            first=np.ascontiguousarray(every.first[:, keep]), last=np.ascontiguousarray(every.last[:, keep])
        )

    return read


def columns_of(market, keep):
    """The market of some of its columns, array (market,) of bool."""
    chosen = {name: tuple(v for v, k in zip(getattr(market, name), keep, strict=True) if k) for name in OF_MARKETS}
    for one in fields(market):
        values = getattr(market, one.name)
        if isinstance(values, np.ndarray) and values.ndim == 2:
            chosen[one.name] = np.ascontiguousarray(values[:, keep])
    if (hours := market.hours) is not None:
        chosen["hours"] = lambda days: tuple(values[:, keep] for values in hours(days))
    return replace(market, **chosen)


def row_of(market, day, place):
    """Row of the first day of a market on or after `day`; ConfigError where there is none."""
    row = int(np.searchsorted(market.days, np.datetime64(day, "D")))
    if row >= len(market.days):
        raise ConfigError(f"{place}: nothing is known on or after {day}; allowed: a day up to {market.days[-1]}")
    return row


def moved(market, row, add=0.0, stretch=1.0):
    """The market with other prices from a row on.

    Parameters
    ----------
    market : Market
        Of days.
    row : int
        First row that is changed.
    add : float or array (market,)
        By which all prices are higher: a gap before the row's open that stays. [points]
    stretch : float
        By which each move away from the last adjusted mark before the row is multiplied; at least 0. [1]

    Returns
    -------
    Market
        What lies between two contracts of a market stays as it was, in points: rolls and the slope of the curve.

    Prices move in the adjusted frame, in which rolls are no moves. A market without a price before the row is stretched
    about its first one.
    """
    offset, mark, rows = market.offset, market.mark, np.arange(len(market.days))[:, None] >= row
    before = carried(market.adjusted)
    first = np.where(rows & ~np.isnan(market.adjusted), market.adjusted, np.nan)
    first = carried(first[::-1])[::-1][row]
    anchor = before[row - 1] if row > 0 else np.full(mark.shape[1], np.nan)
    anchor = np.where(np.isnan(anchor), first, anchor)

    def step(adjusted):
        return np.where(rows, add + (stretch - 1.0) * (adjusted - anchor), 0.0)

    of_mark = carried(step(market.adjusted))
    gap = market.roll_from - market.roll_to  # by which the frame of what is rolled into lies above that of the bar
    changed = {name: getattr(market, name) for name in ("open", "high", "low", "close", "settle", "mark")}
    changed = {name: values + step(values + offset) for name, values in changed.items()}
    for name in ("roll_from", "roll_from_fill"):
        changed[name] = getattr(market, name) + step(getattr(market, name) + offset)
    for name in ("roll_to", "roll_to_fill"):
        changed[name] = getattr(market, name) + step(getattr(market, name) + offset + gap)
    of_open = step(market.open + offset)
    changed["left_open"] = market.left_open + np.where(np.isnan(of_open), of_mark, of_open)
    changed["left_mark"] = market.left_mark + of_mark
    changed["next_mark"] = market.next_mark + of_mark
    with np.errstate(divide="ignore", invalid="ignore"):
        told = (changed["mark"] / changed["next_mark"] - 1.0) * 365.0 / market.next_days
    fine = (changed["mark"] > 0.0) & (changed["next_mark"] > 0.0)
    changed["roll_yield"] = np.where(rows, np.where(fine, told, np.nan), market.roll_yield)
    return replace(market, **changed)


def price_before(market, row):
    """Price of the contract held into a row, array (market,); nan where there is none yet. [points]"""
    if row == 0:
        return np.full(market.mark.shape[1], np.nan)
    return carried(np.where(market.roll, market.roll_to, market.mark))[row - 1]


def volatility_before(market, row):
    """Daily volatility of each market as known at the close before a row, array (market,). [points]"""
    if row == 0:
        return np.full(market.mark.shape[1], np.nan)
    known = market.rows(0, row)
    return indicators.volatility(indicators.change(np.ascontiguousarray(known.adjusted)), SPAN)[-1]
