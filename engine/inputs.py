"""What a simulation is given: the arrays of a market and a portfolio, from forecasts to costs.

Forecasts and sizes are made on all rows of the market, so that indicators are warm; what is given begins with the
first row of the run.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine import book, margin
from engine.cash import begins, clock
from engine.indicators import change, volatility
from engine.indicators import seen as counted
from engine.locked import locked
from engine.members import layout, seen
from engine.rows import carried
from engine.session import OWN
from engine.settings import ConfigError
from engine.sizing.covariance import covariances
from engine.wishes import Moment, wishes

SEEN = 20  # changes of the price before a margin can be estimated of it [bars]
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
    members = portfolio.members(market.names)
    traded = {name for _, name in members}
    spreads = {name: spread.legs for name, spread in sorted(portfolio.spreads.items()) if name in traded}
    own = [sleeve.capital for sleeve in portfolio.strategies]
    apart = own[0] is not None
    sleeves = list(range(len(own))) if apart else [0] * len(own)
    _check(market, portfolio)
    groups, names = portfolio.limits.grouped(market.roots, market.sectors)
    placed = layout(market, members, labels, spreads, sleeves, groups)
    view = seen(market, spreads)
    wished, asked, programs = wishes(market, view, portfolio, placed)
    _protectable(placed, wished)
    sigma = volatility(change(np.ascontiguousarray(market.adjusted)), SPAN)
    costs = portfolio.costs.arrays(market, sigma)
    power = float(costs.pop("power"))
    weight, usual, traded, later = wished.weight, wished.usual, market, slice(first, None)
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
        wishes=wished._replace(weight=_cut(weight, later), usual=_cut(usual, later)),
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


def _check(market, portfolio):
    """Refuse settings that cannot mean anything for this market."""
    for label, sleeve in zip(portfolio.labels(), portfolio.strategies, strict=True):
        sleeve.check(f"[[strategies]] {label}:")
    named = {root for roots in (portfolio.limits.groups or {}).values() for root in roots}
    if strangers := sorted(named - set(market.roots)):
        raise ConfigError(
            f"[limits] groups: {', '.join(strangers)} is none of the roots that are traded; allowed: "
            + ", ".join(sorted(set(market.roots)))
        )


def _within(market, portfolio, costs, sigma, within, first):
    """The market that is traded within the day, its costs and volatilities, and its rows from `first` on."""
    lacking = {
        "[execution] ties = 'finer'": portfolio.execution.ties == "finer",
        f"[rolls] days = {portfolio.rolls.days}": portfolio.rolls.days > 1,
        f"[execution] fill = {portfolio.execution.fill!r}": portfolio.execution.fill in ("settle", "same_close"),
        f"[execution] participation = {portfolio.execution.participation}": (
            portfolio.execution.participation is not None
        ),
        "[rolls] fill = 'open'": portfolio.rolls.fill == "open",
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
    """Covariances of the members' contracts or units, as known at the first close of the day, and what trading one
    costs. [account currency]"""
    known = view if market.hours is None else Moment(market, view, OWN).seen
    matrices, row = covariances(known, placed.column)
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
    moves = change(market.adjusted)
    known = np.where(counted(moves) >= SEEN, volatility(moves, SPAN), np.nan)
    guess = margin.estimated(known, market.multiplier, rule.k)
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
            f"settlement that is not known yet; allowed: 'open', or 'settle', which marks the result"
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
    before = np.vstack([np.full((1, held.shape[1]), np.nan), held[:-1]])
    next_held = np.where(market.roll, market.roll_contract, market.contract)
    same = np.vstack([np.zeros((1, held.shape[1]), bool), market.contract[:-1] == next_held[1:]])
    return np.where(same, before, np.nan)  # of another contract it says nothing: no limit until its own is known


def with_margins(market, portfolio, first):
    """The market with the margins that the portfolio's rules make, available where both are known; and estimates."""
    initial, maintenance, estimated = margins(market, portfolio.margin, first)
    usable = market.available & (initial > 0) & (maintenance > 0)  # nan and 0 alike are unknown
    changed = replace(market, initial_margin=initial, maintenance_margin=maintenance, available=usable)
    return changed, estimated
