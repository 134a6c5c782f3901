"""What a simulation is given: the arrays of a market and a portfolio, from forecasts to costs.

Forecasts and sizes are made on all rows of the market, so that indicators are warm; `Inputs.rows` cuts the run out.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine import book, margin
from engine.cash import begins, clock
from engine.indicators import change, volatility
from engine.locked import locked
from engine.members import layout, seen
from engine.rows import carried
from engine.session import decision_times, in_time, known_at
from engine.settings import ConfigError
from engine.signals import orders
from engine.sizing.covariance import covariances

SPAN = 32.0  # of the volatility under estimated margins, group risk and impact [bars]
ROUNDINGS = {
    "toward_zero": book.TOWARD_ZERO, "fractional": book.FRACTIONAL, "nearest_risk": book.NEAREST_RISK,
}  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Arguments of `simulate`, and who they are about."""

    market: object  # Market of the rows that are traded
    prices: book.Prices
    facts: book.Facts
    layout: object
    wishes: book.Wishes
    orders: book.Orders
    account: book.Account
    limits: book.Limits
    clock: book.Clock
    sleeves: book.Sleeves
    finer: book.Finer | None
    available: np.ndarray
    programs: book.Programs | None
    risk: book.Risk | None

    def arguments(self):
        """In the order of `simulate`."""
        return (
            self.prices, self.facts, self.layout.lines, self.wishes, self.orders, self.account, self.limits, self.clock,
            self.sleeves, self.finer, self.available, self.programs, self.risk,
        )  # fmt: skip


def made(market, portfolio, first, finer=None, within=None):
    """The `Inputs` of a portfolio, from row `first` of the market on.

    Parameters
    ----------
    market : Market
        With margins and availability as `margins` gives them.
    portfolio : Portfolio
    first : int
    finer : book.Finer, optional
        Bars within the day of all rows of the market, for `execution.ties = "finer"`.
    within : finer.Within, optional
        The same market on bars within the day, on which orders fill; what to do is decided by days all the same.
    """
    labels = portfolio.labels()
    spreads = {name: spread.legs for name, spread in sorted(portfolio.spreads.items())}
    members = portfolio.members(market.names)
    own = [sleeve.capital for sleeve in portfolio.strategies]
    apart = own[0] is not None
    sleeves = list(range(len(own))) if apart else [0] * len(own)
    groups, names = portfolio.limits.grouped(market.roots, market.sectors)
    placed = layout(market, members, labels, spreads, sleeves, groups)
    view = seen(market, spreads)
    wishes, asked, programs = _wishes(market, view, portfolio, placed)
    _protectable(placed, wishes)
    sigma = volatility(change(np.ascontiguousarray(market.adjusted)), SPAN)
    costs = portfolio.costs.arrays(market, sigma)
    power = float(costs.pop("power"))
    weight, usual, traded, later = wishes.weight, wishes.usual, market, slice(first, None)
    if within is not None:
        traded, costs, sigma, later = _within(market, portfolio, costs, sigma, within, first)
        weight, usual = within.known(weight), within.known(usual)
        nothing = {"kind": 0, "day": False, "hold": 0, "episode": 0}
        if len(asked.kind):
            asked = book.Orders(*(within.known(v, nothing.get(n, np.nan)) for n, v in asked._asdict().items()))
    part = traded.rows(later.start)
    shares = np.array(own if apart else [1.0], dtype=np.float64)
    due = None if portfolio.rebalance == "never" or not apart else begins(part.days, portfolio.rebalance)
    risk = _risk(view, placed, market, costs) if portfolio.sizing.rounding == "nearest_risk" else None
    return Inputs(
        market=part,
        prices=_prices(traded, portfolio, later),
        facts=_facts(traded, costs, sigma, later),
        layout=placed,
        wishes=wishes._replace(weight=_cut(weight, later), usual=_cut(usual, later)),
        orders=book.Orders(*(_cut(array, later) for array in asked)) if len(asked.kind) else None,
        account=_account(portfolio, power)._replace(daily=within is not None),
        limits=portfolio.limits.tuple(len(placed.lines.member), len(names)),
        clock=clock(part, portfolio.cash, portfolio.start, due),
        sleeves=book.Sleeves(portfolio.capital * shares, shares),
        finer=finer and later_bars(finer, first),
        available=np.ascontiguousarray(part.available),
        programs=programs and programs._replace(
            adjusted=_cut(programs.adjusted, later), mark=_cut(programs.mark, later)
        ),
        risk=risk and risk._replace(period=_cut(risk.period, later), cost=_cut(risk.cost, later)),
    )  # fmt: skip


def _within(market, portfolio, costs, sigma, within, first):
    """The market that is traded within the day, its costs and volatilities, and its rows from `first` on."""
    lacking = {
        "[execution] ties = 'finer'": portfolio.execution.ties == "finer",
        f"[rolls] days = {portfolio.rolls.days}": portfolio.rolls.days > 1,
        f"[execution] fill = {portfolio.execution.fill!r}": portfolio.execution.fill in ("settle", "same_close"),
        "a strategy that is called bar by bar": any(
            sleeve.strategy.kind() == "decide" for sleeve in portfolio.strategies
        ),
        "[sizing] rounding = 'nearest_risk'": portfolio.sizing.rounding == "nearest_risk",
    }
    for what in (what for what, wrong in lacking.items() if wrong):
        raise ConfigError(f"{what} does not go with [execution] bars = 'within'; allowed: bars = 'day'")
    daily = ("initial_margin", "maintenance_margin", "available")
    changed = {name: within.known(getattr(market, name), 0) for name in daily}
    if market.limit_points is not None:
        changed |= {name: getattr(market, name)[within.day_row] for name in ("limit_points", "limit_share")}
    costs = {name: values[within.day_row] for name, values in costs.items()}
    rows = slice(int(np.searchsorted(within.day_row, first)), None)
    return replace(within.market, **changed), costs, within.known(sigma, np.nan), rows


def _cut(values, rows):
    return np.ascontiguousarray(values[rows])


def later_bars(finer, first):
    """Bars within the day from row `first` of the market on."""
    return book.Finer(_cut(finer.first, slice(first, None)), _cut(finer.last, slice(first, None)), finer.bars)


def _account(portfolio, power):
    told = portfolio.execution.numbers() | portfolio.margin.numbers() | portfolio.rolls.numbers()
    told |= portfolio.cash.numbers()
    told["at_open"] = portfolio.execution.fill in ("open", "same_close")
    sizing = portfolio.sizing
    return book.Account(
        per_capital=bool(sizing.per_capital), compounding=bool(portfolio.compounding),
        rounding=ROUNDINGS[sizing.rounding], buffer=float(sizing.buffer), power=power, **told,
    )  # fmt: skip


# Wishes


def _wishes(market, view, portfolio, placed):
    """Wishes, orders, programs and forecasts of all members, from the market as strategies see it."""
    columns = [placed.column[placed.strategy == s] for s in range(len(portfolio.strategies))]
    decisions = [
        _decision(market, view, portfolio, sleeve, mine)
        for sleeve, mine in zip(portfolio.strategies, columns, strict=True)
    ]
    forecast = np.concatenate(
        [one.forecast[:, mine] for one, mine in zip(decisions, columns, strict=True)], axis=1
    )  # fmt: skip
    wanted = _wanted(view.days, portfolio, placed)
    forecast = np.where(wanted, forecast, 0.0)
    risk = np.concatenate([_risk_points(one, view)[:, mine] for one, mine in zip(decisions, columns, strict=True)], 1)
    weight, usual = _sizes(view, forecast, portfolio, placed, risk, decisions)
    flat = np.array([decisions[s].contracts for s in placed.strategy])
    weight = np.where(flat, forecast, weight)
    usual = np.where(wanted, np.where(flat, 1.0, usual), 0.0)
    asked, ordered = orders(decisions, columns)
    programs, number = _programs(view, decisions, columns, portfolio)
    wishes = book.Wishes(
        weight=np.ascontiguousarray(np.nan_to_num(weight)),
        usual=np.ascontiguousarray(np.nan_to_num(usual)),
        resize=np.array([decisions[s].resize for s in placed.strategy]),
        ordered=ordered,
        program=np.array([number[s] for s in placed.strategy], dtype=np.int64),
        contracts=flat,
    )
    return wishes, asked, programs


def _sizes(view, forecast, portfolio, placed, risk, decisions):
    """Weights of the forecasts, and at a forecast of 1, arrays (time, member).

    A rule that looks at the whole book sees each strategy at its share of the capital, and the weight is then told of
    the strategy's own. What a function called bar by bar will ask for is not known: it is sized as always long.
    """
    sleeves, rule = portfolio.strategies, portfolio.sizing
    own = np.array([sleeves[s].capital or 1.0 for s in placed.strategy])
    own = own if rule.per_capital else np.ones(len(own))
    share = own * np.array([sleeves[s].weight for s in placed.strategy])
    called = np.array([decisions[s].program is not None for s in placed.strategy])
    given = (placed.column, share, placed.strategy, risk)
    told = np.where(called & view.available[:, placed.column], 1.0, forecast)
    return rule.weights(view, told, *given) / own, rule.usual(view, told, *given) / own


def _decision(market, view, portfolio, sleeve, columns):
    """What one strategy wants, with what was known when it decided (T43).

    By default each market decides at its own close. A strategy that reads several markets at once, or trades spreads,
    decides for all when the first of them closes: nothing then reads a close that is later than another's next open.
    """
    decision, hours = portfolio.execution.decision, market.hours
    together = getattr(sleeve.strategy, "across", False) or bool((columns >= market.mark.shape[1]).any())
    if (decision == "own" and not together) or hours is None:
        return sleeve.strategy.decision(view)
    closes, opens = hours(market.days)
    if decision == "own":
        decision = int(np.argmin(np.median(_minutes(closes), axis=0)))
    moment = decision_times(decision, market.days, closes)
    spreads = getattr(view, "legs", {})
    wanted = sleeve.strategy.decision(seen(known_at(market, closes, decision), spreads))
    first = [opens[:, [market.names.index(leg) for leg in legs]].min(axis=1) for legs in spreads.values()]
    forecast = in_time(np.ascontiguousarray(wanted.forecast), np.column_stack([opens, *first]), moment)
    return wanted._replace(forecast=forecast)


def _minutes(times):
    """Minutes of the day, from that of the first close on."""
    return (times - times.astype("datetime64[D]").min(axis=1, keepdims=True)).astype(np.int64)


def _risk_points(decision, view):
    if decision.signals is None:
        return np.full(view.mark.shape, np.nan)
    return decision.signals.risk_points(view.adjusted)


def _wanted(days, portfolio, placed):
    """Whether each member's strategy has started and not stopped, bool array (time, member)."""
    out = np.ones((len(days), len(placed.strategy)), bool)
    for j, s in enumerate(placed.strategy):
        sleeve = portfolio.strategies[s]
        if sleeve.start is not None:
            out[:, j] &= days >= np.datetime64(sleeve.start, "D")
        if sleeve.stop is not None:
            out[:, j] &= days < np.datetime64(sleeve.stop, "D")
    return out


def _programs(view, decisions, columns, portfolio):
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


def _protectable(placed, wishes):
    """Refuse orders other than market orders for spreads: a spread has no high and low."""
    legs = np.bincount(placed.lines.member, minlength=len(placed.names))
    for j in np.flatnonzero((legs > 1) & wishes.ordered):
        strategy = placed.labels[int(np.flatnonzero(placed.lines.member == j)[0])][0]
        raise ConfigError(
            f"[[strategies]] {strategy}: its stops and limits cannot trade the spread {placed.names[j]}, which has no "
            f"high and low; allowed: strategies of forecasts"
        )


def _risk(view, placed, market, costs):
    """Covariances of the members' contracts or units, and what trading one costs. [account currency]"""
    matrices, row = covariances(view, placed.column)
    value = market.multiplier * market.fx
    side = np.nan_to_num(costs["slippage"] * value + costs["commission"] * market.fx)
    cost = np.zeros((len(market.days), len(placed.names)))
    lines = placed.lines
    for i in range(len(lines.member)):
        cost[:, lines.member[i]] += abs(lines.ratio[i]) * side[:, lines.instrument[i]]
    period = np.where(row > 0, row, -1).astype(np.int64)  # nothing is known of the first week
    return book.Risk(np.ascontiguousarray(matrices), period, cost)


# Prices and facts


def margins(market, rule, first=0):
    """Initial and maintenance margin (time, market), and where they are estimates.

    The exchange's figure from its first dated day on; before it, and where there is none, `rule.k` daily volatilities
    of the contract, maintenance and initial alike. Never zero, never carried back (T30). A broker asks `rule.house`
    times that; what the user's own table says is taken as it is.
    """
    missing = np.isnan(market.initial_margin) | np.isnan(market.maintenance_margin)
    begun = market.contract > 0
    lacking = {name: m for m, name in enumerate(market.names) if (missing & begun)[first:, m].any()}
    if rule.missing == "error" and lacking:
        days = {name: market.days[first:][(missing & begun)[first:, m]][0] for name, m in lacking.items()}
        told = ", ".join(f"{name} on {day}" for name, day in days.items())
        raise margin.MarginUnknown(
            f"no margin for {told}; add dated rows initial_margin and maintenance_margin to contracts.csv beside the "
            f"store, or set [margin] missing = 'estimate'"
        )
    guess = margin.estimated(volatility(change(market.adjusted), SPAN), market.multiplier, rule.k)
    house = np.where(market.own_margin, 1.0, rule.house)
    return (
        np.where(missing, guess, market.initial_margin) * house,
        np.where(missing, guess, market.maintenance_margin) * house,
        missing & begun,
    )


def _prices(market, portfolio, later):
    close = np.where(np.isnan(market.close), market.mark, market.close)  # of vendors that give the settlement alone
    given = {
        "close": close,
        "fill": _fill(market, portfolio.execution.fill),
        "locked": _locked(market, portfolio.execution.locked),
    }
    arrays = (given.get(name, getattr(market, name, None)) for name in book.Prices._fields)
    return book.Prices(*(_cut(array, later) for array in arrays))


def _locked(market, rule):
    """Where the market stood at its limit (T22); nowhere, where no limit is known."""
    if rule == "known" and market.limit_points is None:
        rule = "off"
    return locked(market, (market.limit_points, market.limit_share) if rule == "known" else None, rule)


def _fill(market, price):
    """At what market orders fill: of each bar its open, close or settlement, or the last bar's close."""
    if price == "open":
        return market.open
    if price == "settle":
        return np.where(np.isnan(market.settle), market.mark, market.settle)
    lacking = [name for m, name in enumerate(market.names) if np.isnan(market.close[:, m]).all()]
    if lacking:
        raise ConfigError(
            f"[execution] fill = {price!r}: {', '.join(lacking)} have settlements and no close, and nobody trades at a "
            f"settlement that is not known yet (T24); allowed: 'open', or 'settle', which marks the result"
        )
    if price == "close":
        return market.close
    closes = market.close + market.offset
    before = np.vstack([np.full((1, closes.shape[1]), np.nan), carried(closes)[:-1]])
    return np.where(np.isnan(market.mark), np.nan, before - market.offset)


def _facts(market, costs, sigma, later):
    """Facts of the contracts; where a market is not available they are zero rather than nan."""
    known = {
        "multiplier": market.multiplier, "fx": market.fx, "initial": market.initial_margin,
        "maintenance": market.maintenance_margin,
    }  # fmt: skip
    told = {name: np.nan_to_num(np.where(np.isfinite(values), values, 0.0)) for name, values in (known | costs).items()}
    told |= {"liquidity": market.liquidity, "open_interest": _open_interest(market), "sigma": sigma}
    return book.Facts(**{name: _cut(values, later) for name, values in told.items()})


def _open_interest(market):
    """Known at the end of a bar: that of the bar before, for exchanges publish it the next morning."""
    held = carried(market.open_interest)
    return np.vstack([np.full((1, held.shape[1]), np.nan), held[:-1]])


def with_margins(market, portfolio, first):
    """The market with the margins that the portfolio's rules make, available where both are known; and estimates."""
    initial, maintenance, estimated = margins(market, portfolio.margin, first)
    usable = market.available & (initial > 0) & (maintenance > 0)  # nan and 0 alike are unknown
    changed = replace(market, initial_margin=initial, maintenance_margin=maintenance, available=usable)
    return changed, estimated
