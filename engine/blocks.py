"""Blocks of combinations of a portfolio: what they share is made once, what differs is made for all at once.

Combinations that differ in params of strategies of forecasts alone share all inputs but the weights: records of prices
and facts, costs, margins, clock, lines. Others (stops and orders, functions called bar by bar, sizes that look at the
whole book, decisions at one moment) are made one by one, as `backtest` makes them. Both give the numbers of `backtest`.
"""

import contextlib
import copy
from typing import NamedTuple

import numpy as np

from engine import inputs
from engine.backtest import first_row
from engine.headline import STATISTICS, listed, term
from engine.kernel import kernel
from engine.margin import MarginUnknown
from engine.memo import remembering, scratch, spare
from engine.portfolio import Portfolio, Sleeve
from engine.ready import ready_of
from engine.session import OWN
from engine.settings import ConfigError, assign
from engine.strategy import StrategyError, blamed, running, told_by, twin
from engine.tried import tried
from engine.wishes import days_of

AT_ONCE = ("forecast", "targets")  # kinds of strategies whose combinations are made at once
BYTES = 8_000_000  # of the forecasts of a block
MOST = 256  # combinations of a block
REFUSALS = (ConfigError, StrategyError, MarginUnknown)  # all else is a fault, and ends the sweep


class Made(NamedTuple):
    """What a block leaves; row k is combination `numbers[k]`."""

    numbers: np.ndarray  # int (combination,)
    statistics: np.ndarray  # (combination, STATISTICS); nan where it was refused
    returns: np.ndarray  # float32 (kept, day), of `kept`
    kept: np.ndarray  # int (kept,): numbers of the combinations whose returns these are
    refused: dict  # {number: why}


class Source(NamedTuple):
    """What all combinations of a sweep are made of."""

    market: object
    portfolio: object
    grid: object
    bars: object = None  # as `backtest` takes them
    within: object = None


def size(market, inner):
    """Combinations of a block: as many as fill a cache, and no more than follow each other."""
    return max(1, min(MOST, BYTES // max(1, market.mark.size * 8), inner))


class Group:
    """Combinations that differ in params of strategies alone; `number` is any of them."""

    def __init__(self, source, number):
        self.source, self.grid = source, source.grid
        self.why, self.portfolio, self._shared, self._plan = "", None, None, None
        try:
            self.portfolio = source.portfolio.with_settings(self.grid.changes(number, inner=False))
        except REFUSALS as fault:
            self.why = told(fault)
            return
        self.wrong = [self._wrong(axis) for axis in self.grid.params]
        with contextlib.suppress(*REFUSALS):  # whoever is at fault is told one by one
            self._shared = Shared(source, self.portfolio, self.grid.params)

    def with_values(self, grid):
        """The same of another grid of the same keys."""
        other = copy.copy(self)
        other.source, other.grid = self.source._replace(grid=grid), grid
        other.wrong = [other._wrong(axis) for axis in grid.params]
        return other

    @property
    def at_once(self):
        """Whether its combinations are made at once."""
        return self._shared is not None and self._shared.sizes is not None

    def block(self, numbers, keeps=()):
        """The `Made` of combinations of the group, with the returns of those in `keeps`."""
        numbers = np.asarray(numbers, dtype=np.int64)
        if self.why:
            return nothing(numbers, dict.fromkeys(numbers.tolist(), self.why))
        refused = self._refused(numbers)
        wanted = np.array([n for n in numbers.tolist() if n not in refused], dtype=np.int64)
        made, rows, returns, kept = [], [], [], []
        for number, row, daily in self._rows(wanted, refused):
            made.append(number)
            rows.append(row)
            if number in keeps:
                returns.append(daily.astype(np.float32))
                kept.append(number)
        out = np.full((len(numbers), len(STATISTICS)), np.nan)
        if made:
            out[np.isin(numbers, made)] = rows
        stacked = np.stack(returns) if returns else np.zeros((0, 0), np.float32)
        return Made(numbers, out, stacked, np.array(kept, dtype=np.int64), refused)

    def screened(self, numbers, threads=1):
        """The `Made` of combinations as `engine.screen` tells them; what it cannot tell is run in full."""
        from engine.screen import CannotScreen, planned, screened

        numbers = np.asarray(numbers, dtype=np.int64)
        if self.why:
            return nothing(numbers, dict.fromkeys(numbers.tolist(), self.why))
        refused = self._refused(numbers)
        wanted = np.array([k for k, number in enumerate(numbers.tolist()) if number not in refused], dtype=np.int64)
        if not len(wanted):
            return nothing(numbers, refused)
        values = {key: column for one in self._values(numbers[wanted]).values() for key, column in one.items()}
        try:
            if self._plan is None:
                self._plan = planned(self.source.market, self.portfolio)
            found = screened(self.source.market, self.portfolio, values, threads=threads, plan=self._plan)
        except CannotScreen:
            raise
        except REFUSALS:  # one of them is refused by its strategy: which one is found there
            return self.block(numbers)
        made = nothing(numbers, refused)
        for k, name in enumerate(STATISTICS):
            if name in found:
                made.statistics[wanted, k] = found[name]
        others = wanted[found["intervened"]]
        if len(others):  # the account has a say
            full = self.block(numbers[others])
            made.statistics[others] = full.statistics
            refused |= full.refused
        return made

    def _refused(self, numbers):
        """{number: why} of combinations with a value that its key does not take."""
        if not any(self.wrong):
            return {}
        places, found = self.grid.places(numbers)[:, len(self.grid.axes) - len(self.wrong) :], {}
        for number, row in zip(numbers.tolist(), places.tolist(), strict=True):
            why = next((wrong[k] for wrong, k in zip(self.wrong, row, strict=True) if k in wrong), "")
            if why:
                found[number] = why
        return found

    def _rows(self, numbers, refused):
        """(number, statistics, daily returns) of each; what cannot be made goes to `refused`."""
        if not self.grid.params and self._shared is not None:
            yield from ((number, *self._shared.alone()) for number in numbers.tolist())
            return
        if self.at_once and len(numbers):
            try:
                yield from zip(numbers.tolist(), *self._shared.many(self._values(numbers)), strict=True)
                return
            except REFUSALS:
                pass  # one of them is refused by its strategy: which one is found below
        for number in numbers.tolist():
            try:
                shared = Shared(self.source, self._combined(number), ())
                yield number, *shared.alone()
            except REFUSALS as fault:
                refused[number] = told(fault)

    def _values(self, numbers):
        """{number of a strategy: {param: values, array (combination,)}}."""
        places, found = self.grid.places(numbers)[:, len(self.grid.axes) - len(self.wrong) :], {}
        for axis, column in zip(self.grid.params, places.T, strict=True):
            taken = array_of([axis.values[k] for k in column.tolist()])
            found.setdefault(axis.sleeve, {})[axis.path[-1]] = taken
        return found

    def _combined(self, number):
        """The portfolio of one combination."""
        made = list(self.portfolio.strategies)
        values = self.grid.values(number)[len(self.grid.axes) - len(self.grid.params) :]
        for axis, value in zip(self.grid.params, values, strict=True):
            sleeve = made[axis.sleeve]
            if sleeve is self.portfolio.strategies[axis.sleeve]:
                sleeve = made[axis.sleeve] = _copied(sleeve)
            with blamed():
                assign(sleeve.strategy, axis.path[-1], value, f"--grid {axis.name}:")
        return Portfolio(**(self.portfolio.param.values() | {"strategies": made}))

    def _wrong(self, axis):
        """{place of a value: why it is refused} of one param."""
        found, tried = {}, twin(self.portfolio.strategies[axis.sleeve].strategy)
        for k, value in enumerate(axis.values):
            try:
                assign(tried, axis.path[-1], value, f"--grid {axis.name}:")
            except REFUSALS as fault:
                found[k] = told(fault)
        return found


class Shared:
    """Inputs of a portfolio, as the simulation reads them; `params` are the axes whose combinations are to be made."""

    def __init__(self, source, portfolio, params):
        first = first_row(source.market, portfolio)
        market, _ = inputs.with_margins(source.market, portfolio, first)
        bars = source.bars
        known = bars() if callable(bars) and portfolio.execution.ties == "finer" else bars
        with blamed():
            made = inputs.made(market, portfolio, first, None if callable(known) else known, source.within)
        self.portfolio, self.market, self.first, self.inputs = portfolio, remembering(market), first, made
        self.wishes, orders, account, clock = made.wishes, made.orders, made.account, made.clock
        self.ready = ready_of(*made.arguments(), by_days=account.daily)
        transfer = clock.transfer
        if account.daily:
            begin = np.flatnonzero(np.append(True, clock.day_end[:-1]))
            transfer, told_of = np.add.reduceat(transfer, begin), source.market.rows(first)
        else:
            told_of = made.market
        self.term = term(told_of, transfer, portfolio.capital, portfolio.compounding)
        self.sizes = None
        if params and source.within is None and orders is None:
            self.sizes = _sizes(self.market, portfolio, made.layout, sorted({axis.sleeve for axis in params}))

    def alone(self):
        """(statistics, daily returns) of the portfolio as it is; the returns are there until the thread asks again."""
        statistics, returns = self._told(self.wishes.weight[None], self.wishes.usual[None])
        return statistics[0], returns[0]

    def many(self, values):
        """Statistics and daily returns of each combination of {number of a strategy: {param: values}}.

        The returns are there until the thread asks again."""
        with blamed():
            forecasts = {s: _forecasts(self._strategy(s), self.market, told) for s, told in values.items()}
        weights, usual, mine = self.sizes(forecasts)
        weights = np.ascontiguousarray(weights[:, self.first :])
        usual = np.ascontiguousarray((usual if usual.ndim == 3 else usual[None])[:, self.first :])
        if len(mine) < self.wishes.weight.shape[1]:
            weights, usual = _among(self.wishes.weight, mine, weights), _among(self.wishes.usual, mine, usual)
        return self._told(weights, usual)

    def _strategy(self, s):
        return self.portfolio.strategies[s].strategy

    def _told(self, weights, usual):
        returns = scratch(self.market, "returns", (len(weights), len(self.term.flows)))
        with running([sleeve.strategy for sleeve in self.portfolio.strategies], self.market):
            found = tried(self.ready, weights, usual, self.term, returns)
        return [listed(row, self.term) for row in found.tolist()], returns


def nothing(numbers, refused):
    """The `Made` of combinations that were all refused."""
    none = np.zeros((0, 0), np.float32)
    return Made(numbers, np.full((len(numbers), len(STATISTICS)), np.nan), none, np.zeros(0, np.int64), refused)


def told(fault):
    """A reason in one line."""
    return " ".join(str(fault).split()) or type(fault).__name__


def array_of(values):
    """Values of a param: whole numbers, floats, or whatever they are."""
    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return np.array(values, dtype=np.int64)
    if kinds <= {int, float}:
        return np.array(values, dtype=np.float64)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _copied(sleeve):
    """The sleeve with a strategy of its own."""
    changed = {"strategy": twin(sleeve.strategy)}
    return Sleeve(**({key: value for key, value in sleeve.param.values().items() if key != "name"} | changed))


def _among(whole, mine, part):
    """Weights (combination, time, member) of all members, of which some are `part`."""
    out = np.repeat(whole[None], len(part), axis=0)
    out[:, :, mine] = part
    return out


def _sizes(market, portfolio, placed, varied):
    """A function of {number of a strategy: forecasts (combination, time, column)} that gives weights (combination,
    time, member), what they would be at a forecast of 1, and which members they are; None where combinations share
    more than that."""
    rule, sleeves = portfolio.sizing, portfolio.strategies
    if rule.across or rule.rounding == "nearest_risk" or portfolio.spreads:
        return None
    strategies = [sleeves[s].strategy for s in varied]
    if any(strategy.kind() not in AT_ONCE for strategy in strategies):
        return None
    mine = np.flatnonzero(np.isin(placed.strategy, varied))
    column, strategy = placed.column[mine], placed.strategy[mine]
    spread = bool((column >= market.mark.shape[1]).any())
    across = any(getattr(one, "across", False) or not isinstance(type(one).across, bool) for one in strategies)
    if spread or (market.hours is not None and (across or portfolio.execution.decision != OWN)):
        return None
    own = np.array([sleeves[s].capital or 1.0 for s in strategy]) if rule.per_capital else np.ones(len(mine))
    share = own * np.array([sleeves[s].weight for s in strategy])
    flat = np.array([sleeves[s].strategy.kind() == "targets" for s in strategy])
    held = days_of(market.days, portfolio, placed)[:, mine]
    prepared = _prepared(rule, market, column, share, strategy)
    whole = len(varied) == 1 and np.array_equal(column, np.arange(market.mark.shape[1]))

    def sized(forecasts):
        wanted = forecasts[varied[0]] if whole else _columns(forecasts, column, strategy)
        wanted = wanted if held.all() else np.where(held, wanted, 0.0)
        weights, usual = prepared(wanted if not flat.any() else np.where(flat, 0.0, wanted))
        if not (own == 1.0).all():
            weights, usual = weights / own, usual / own
        if flat.any():
            weights, usual = np.where(flat, wanted, weights), np.where(flat, 1.0, usual)
        return weights, usual if held.all() else np.where(held, usual, 0.0), mine

    return sized


def _forecasts(strategy, market, values):
    """Forecasts of all combinations, checked."""
    found = told_by(strategy, "forecasts", market, values)
    shape = (len(next(iter(values.values()))), *market.mark.shape)
    if not isinstance(found, np.ndarray) or found.dtype != np.float64 or found.shape != shape:
        came = f"{type(found).__name__} {getattr(found, 'dtype', '')} {np.shape(found)}"
        raise StrategyError(
            f"{type(strategy).__name__}: forecasts(market, values) returned {came}; allowed: an array (combination, "
            f"time, market) = {shape} of float64"
        )
    return found


def _prepared(rule, market, column, share, strategy):
    """A function of forecasts (combination, time, member) that gives weights, and what they would be at 1: those of
    `rule.weights` and `rule.usual`, bit for bit. What does not depend on the forecasts is made once."""
    time = len(market.mark)
    if not rule.of_each:

        def one_by_one(forecasts):
            given = (column, share, strategy, np.full(forecasts.shape[1:], np.nan))
            made = [(rule.weights(market, one, *given), rule.usual(market, one, *given)) for one in forecasts]
            return tuple(np.stack(values) for values in zip(*made, strict=True))

        return one_by_one
    above, below = np.empty((time, len(column))), np.empty((time, len(column)))
    for s in np.unique(strategy):
        mine = strategy == s
        above[:, mine], below[:, mine] = rule.quotient(market, column[mine], share[mine])
    below[~market.available[:, column]] = np.inf
    usual = np.ones((1, time, len(column)))
    quotients(usual, above, below)

    def divided(forecasts):
        if not spare(market, forecasts):  # else nobody reads it again, and a cache holds one array rather than two
            out = scratch(market, "weights", forecasts.shape)
            out[:] = forecasts
            forecasts = out
        quotients(forecasts, above, below)
        return forecasts, usual[0]

    return divided


@kernel
def quotients(sizes, above, below):
    """Put numerator times forecast over denominator in the place of forecasts, array (combination, time, member); 0
    where that is no finite number.

    >>> sizes = np.array([[[1, np.nan]], [[-0.5, 1]]])
    >>> quotients(sizes, np.array([[3.0, 1.0]]), np.array([[2.0, np.inf]]))
    >>> sizes.ravel()
    array([ 1.5 ,  0.  , -0.75,  0.  ])
    """
    count = above.size
    made, top, bottom = sizes.reshape(-1, count), above.reshape(-1), below.reshape(-1)
    for c in range(made.shape[0]):
        for k in range(count):
            size = top[k] * made[c, k] / bottom[k]
            made[c, k] = size + 0.0 if abs(size) < np.inf else 0.0


def _columns(forecasts, column, strategy):
    """Forecasts of members, each in its column of what its strategy says."""
    return np.stack([forecasts[s][:, :, m] for m, s in zip(column.tolist(), strategy.tolist(), strict=True)], axis=-1)
