"""Wishes: what each strategy wants, and how large, from what was known at the moment of the decision (DOMAIN T43).

By default each market decides at its own close. A strategy that reads several markets at once, or trades spreads, and a
sizing rule that makes the size of one market of the others, decide for all at one moment: the first close of the day.
With `execution.decision` all strategies decide at that time. A market that opens before the moment trades the decision
of the day before, with all that belongs to it: orders, episode and size.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from engine import book
from engine.members import seen
from engine.session import OWN, decision_times, in_time, known_at, known_rows, of_rows
from engine.settings import ConfigError
from engine.signals import orders
from engine.sizing import Kelly, KellyPortfolio


class Moment:
    """One moment a day at which all markets are decided about; arrays (time, column), spreads after the real ones."""

    def __init__(self, market, view, decision):
        self.market, self.view, self.decision = market, view, decision

    @cached_property
    def _hours(self):
        """Closes, next opens, and the moments."""
        closes, opens = self.market.hours(self.market.days)
        if self.decision == OWN:
            return closes, opens, closes.min(axis=1)
        return closes, opens, decision_times(self.decision, self.market.days, closes)

    @cached_property
    def traded(self):
        """Row of the newest decision that the market can still trade when it opens again; -1 none."""
        _, opens, moment = self._hours
        return in_time(self._with_spreads(opens, np.min), moment)

    @cached_property
    def known(self):
        """Newest row that had closed at the moment; -1 none."""
        closes, _, moment = self._hours
        return known_rows(self._with_spreads(closes, np.max), moment)

    @cached_property
    def seen(self):
        """The market, with a column for each spread, as it was known at the moment."""
        if (self.known == np.arange(len(self.known))[:, None]).all():
            return self.view
        closes, _, moment = self._hours
        return seen(known_at(self.market, closes, moment), getattr(self.view, "legs", {}))

    def _with_spreads(self, times, of):
        legs = getattr(self.view, "legs", {}).values()
        parts = [of(times[:, [self.market.names.index(leg) for leg in one]], axis=1) for one in legs]
        return np.column_stack([times, *parts])


class Wanted(NamedTuple):
    """What one strategy wants; arrays (time, column)."""

    decision: object  # Decision: as each market can still trade it
    risk: np.ndarray  # distance from an entry to its protective stop, nan none [points]
    made: np.ndarray  # forecast of the decisions made on the row, in time or not


def wishes(market, view, portfolio, placed):
    """Wishes, orders and programs of all members.

    Parameters
    ----------
    market : Market
    view : Market
        The same, with a column for each spread (`members.seen`).
    portfolio : Portfolio
    placed : Layout

    Returns
    -------
    book.Wishes, book.Orders, book.Programs or None
    """
    wanted, columns, moment = decided(market, view, portfolio, placed)
    decisions = [one.decision for one in wanted]
    weight, usual, flat = _sizes(view, moment, wanted, columns, portfolio, placed)
    asked, ordered = orders(decisions, columns)
    programs, number = _programs(view, decisions, columns)
    made = book.Wishes(
        weight=np.ascontiguousarray(np.nan_to_num(weight)),
        usual=np.ascontiguousarray(np.nan_to_num(usual)),
        resize=np.array([decisions[s].resize for s in placed.strategy]),
        ordered=ordered,
        program=np.array([number[s] for s in placed.strategy], dtype=np.int64),
        contracts=flat,
    )
    return made, asked, programs


def decided(market, view, portfolio, placed):
    """([Wanted] of the strategies, the columns of the members of each, the `Moment` or None); arguments of `wishes`."""
    columns = [placed.column[placed.strategy == s] for s in range(len(portfolio.strategies))]
    _refuse(market, portfolio, columns)
    moment = None if market.hours is None else Moment(market, view, portfolio.execution.decision)
    pairs = zip(portfolio.strategies, columns, strict=True)
    return [_wanted(view, moment, portfolio, sleeve, mine) for sleeve, mine in pairs], columns, moment


def _refuse(market, portfolio, columns):
    """Refuse what a function called bar by bar cannot keep: it sees each market at its own close, and no size is known
    beforehand."""
    decision, rule = portfolio.execution.decision, portfolio.sizing
    for label, sleeve, mine in zip(portfolio.labels(), portfolio.strategies, columns, strict=True):
        if sleeve.strategy.kind() != "decide":
            continue
        lacking = {
            "`across`: it sees each market at its own close, when others are still open": sleeve.strategy.across,
            "spreads: it sees each leg at its own close": bool((mine >= market.mark.shape[1]).any()),
            f"[execution] decision = {decision!r}; allowed: {OWN!r}": decision != OWN,
            "[sizing] rule = 'kelly' or 'kelly_portfolio', which learn from forecasts that are known beforehand": (
                isinstance(rule, Kelly | KellyPortfolio)
            ),
        }
        for what in (what for what, wrong in lacking.items() if wrong):
            raise ConfigError(f"[[strategies]] {label}: a strategy that is called bar by bar does not go with {what}")


def _wanted(view, moment, portfolio, sleeve, columns):
    """What one strategy wants, with what was known when it decided."""
    spread = bool((columns >= view.mark.shape[1] - len(getattr(view, "legs", {}))).any())
    sizing = portfolio.sizing
    book = sizing.across or sizing.rounding == "nearest_risk"  # whose sizes are made of all forecasts at once
    across = getattr(sleeve.strategy, "across", False) or spread or (book and sleeve.strategy.kind() != "decide")
    together = portfolio.execution.decision != OWN or across
    if moment is None or not together:
        decision = sleeve.strategy.decision(view)
        return Wanted(decision, _risk_points(decision, view), decision.forecast)
    decision, rows = sleeve.strategy.decision(moment.seen), moment.traded
    risk, made = of_rows(_risk_points(decision, moment.seen), rows), np.ascontiguousarray(decision.forecast)
    told = {"forecast": of_rows(made, rows, 0.0), "episode": of_rows(decision.episode, rows)}
    if decision.signals is not None:
        told["signals"] = _signals_of(decision, rows, told["episode"])
    return Wanted(decision._replace(**told), risk, made)


def _signals_of(decision, rows, episode):
    """Signals of other rows. A new episode comes with the row that began it: its order stands there."""
    began = np.diff(decision.episode, axis=0, prepend=0) != 0
    entry = np.maximum.accumulate(np.where(began, np.arange(len(began))[:, None], 0), axis=0)
    entry = np.take_along_axis(entry, np.maximum(rows, 0), axis=0)
    new = (np.diff(episode, axis=0, prepend=0) != 0) & (rows >= 0)
    rows = np.where(new, entry, rows)
    return type(decision.signals)(
        *(
            of_rows(values, rows, 0.0 if name == "entry" else np.nan)
            for name, values in decision.signals._asdict().items()
        )
    )


def _risk_points(decision, view):
    if decision.signals is None:
        return np.full(view.mark.shape, np.nan)
    return decision.signals.risk_points(view.adjusted)


def _sizes(view, moment, wanted, columns, portfolio, placed):
    """Weights of the forecasts, and at a forecast of 1, arrays (time, member); and whose are contracts.

    A rule that looks at the whole book sees each strategy at its share of the capital, and the weight is then told of
    the strategy's own. What a function called bar by bar will ask for is not known: it is sized as always long. Target
    contracts are no forecasts: they have no place in the book of others.
    """
    sleeves, rule = portfolio.strategies, portfolio.sizing
    mine = lambda arrays: np.concatenate([a[:, m] for a, m in zip(arrays, columns, strict=True)], axis=1)  # noqa: E731
    held = days_of(view.days, portfolio, placed)
    forecast = np.where(held, mine([one.decision.forecast for one in wanted]), 0.0)
    flat = np.array([wanted[s].decision.contracts for s in placed.strategy])
    called = np.array([wanted[s].decision.program is not None for s in placed.strategy])
    own = np.array([sleeves[s].capital or 1.0 for s in placed.strategy])
    own = own if rule.per_capital else np.ones(len(own))
    share = own * np.array([sleeves[s].weight for s in placed.strategy])

    def told(values, market):
        out = np.where(called & market.available[:, placed.column], 1.0, values)
        return np.where(flat, 0.0, out)

    given = (placed.column, share, placed.strategy, mine([one.risk for one in wanted]))
    if moment is None or not rule.across:
        book_of = told(forecast, view)
        weight, usual = rule.weights(view, book_of, *given), rule.usual(view, book_of, *given)
    else:
        known, rows = moment.seen, moment.traded[:, placed.column]
        book_of = told(np.where(held, mine([one.made for one in wanted]), 0.0), known)
        weight = np.where(held, of_rows(rule.weights(known, book_of, *given), rows, 0.0), 0.0)
        usual = of_rows(rule.usual(known, book_of, *given), rows, 0.0)
    weight = np.where(flat, forecast, weight / own)
    return weight, np.where(held, np.where(flat, 1.0, usual / own), 0.0), flat


def days_of(days, portfolio, placed):
    """Whether each member's strategy has started and not stopped, bool array (time, member)."""
    out = np.ones((len(days), len(placed.strategy)), bool)
    for j, s in enumerate(placed.strategy):
        sleeve = portfolio.strategies[s]
        if sleeve.start is not None:
            out[:, j] &= days >= np.datetime64(sleeve.start, "D")
        if sleeve.stop is not None:
            out[:, j] &= days < np.datetime64(sleeve.stop, "D")
    return out


def _programs(view, decisions, columns):
    """The functions called bar by bar, and the number of each strategy's (-1 none)."""
    mine = [s for s, one in enumerate(decisions) if one.program is not None]
    number = [mine.index(s) if s in mine else -1 for s in range(len(decisions))]
    if not mine:
        return None, number
    if len(mine) > book.PROGRAMS:
        raise ConfigError(
            f"[[strategies]]: {len(mine)} of them are called bar by bar; allowed: at most {book.PROGRAMS} a portfolio"
        )
    from engine.simulate import idle

    ends = np.cumsum([0, *(len(one) for one in columns)])
    first, last = np.zeros((2, book.PROGRAMS), np.int64)
    params = np.zeros((book.PROGRAMS, book.PARAMS))
    for p, s in enumerate(mine):
        first[p], last[p] = ends[s], ends[s + 1]
        params[p, : len(decisions[s].params)] = decisions[s].params
    functions = [decisions[s].program for s in mine] + [idle.compiled] * (book.PROGRAMS - len(mine))
    programs = book.Programs(
        tuple(functions), first, last, np.concatenate(columns).astype(np.int64),
        np.ascontiguousarray(view.adjusted), np.ascontiguousarray(view.mark), params,
        np.zeros((int(ends[-1]), book.MEMORY)),
    )  # fmt: skip
    return programs, number
