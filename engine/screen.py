"""Screening: statistics of very many combinations of a strategy's params, fast, the same as `backtest` gives.

It serves portfolios whose positions do not depend on the account: one strategy of forecasts, sized in contracts or by
the capital of the start, that trades at the market. Of a combination with which the account would have had a say (a
margin call, an order refused, ruin, the capital floor) it tells that alone: run that one in full. Whatever else it
cannot serve is a `CannotScreen`, which names the setting and what to do.
"""

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np

from engine import inputs, lanes, ratios
from engine.backtest import first_row
from engine.book import FRACTIONAL
from engine.risk import ROUNDING
from engine.settings import ConfigError, assign, check_keys, keys
from engine.sizing import SIZERS
from engine.strategy import blamed, snake_name, told_by

STATISTICS = (
    "total_return", "annual_return", "volatility", "sharpe", "max_drawdown", "final_equity", "costs", "fills",
)  # fmt: skip
MOST = 16  # blocks that a thread trades at a time: their state stays in its cache
FULL = "or run these combinations in full"


class CannotScreen(ConfigError):
    """A portfolio that screening cannot serve: which setting, and what to do."""


def screened(market, portfolio, values, threads=None, progress=None, plan=None):
    """Statistics of many combinations of the params of a portfolio's strategy.

    Parameters
    ----------
    market : Market
        With all history up to the portfolio's end; see `engine.market.load`.
    portfolio : Portfolio
        Of one strategy; params that `values` do not name stay as they are there.
    values : dict
        {param: array (combination,)}
    threads : int, optional
        As many as there are processors, if not given. Results do not depend on it.
    progress : callable, optional
        Called as `progress(done, total)`, in combinations.
    plan : Plan, optional
        Of this market and portfolio, see `planned`, where they are screened several times.

    Returns
    -------
    dict
        Arrays (combination,): the metrics of `STATISTICS` as `engine.metrics` defines them, `costs` all costs, positive
        [account currency], `fills` their number; and `intervened`: whether the account would have had a say, and then
        all others are nan.

    Raises
    ------
    CannotScreen
        The message names the setting, and what to do.
    ConfigError
        A param that the strategy does not have, or a value that it cannot have.
    """
    values = checked(portfolio, values)
    plan = planned(market, portfolio) if plan is None else plan
    with blamed():
        plan, shared = _shared(plan, values)
        made = _traded(plan, shared, values, threads or os.cpu_count() or 1, progress)
    return _statistics(made, plan, len(next(iter(values.values()))))


def planned(market, portfolio):
    """The `Plan` of a market and a portfolio: what is the same for all combinations, made once.

    Raises
    ------
    CannotScreen
        As `screened`.
    """
    refuse(market, portfolio)
    first = first_row(market, portfolio)
    market, _ = inputs.with_margins(market, portfolio, first)
    with blamed():
        given = inputs.made(market, portfolio, first)
    if not given.wishes.resize.all() or given.wishes.ordered.any() or given.wishes.contracts.any():
        name = snake_name(type(portfolio.strategies[0].strategy))
        raise CannotScreen(
            f"cannot screen: [[strategies]] {name} holds one that enters and leaves by orders, or asks for contracts; "
            f"let it hold one of forecasts, {FULL}"
        )
    account = given.account
    times, days = _times(given)
    rules = lanes.Rules(
        side=False, whole=account.rounding != FRACTIONAL, at_open=account.at_open,
        compounding=bool(portfolio.compounding), paid=bool(np.any(given.clock.transfer)),
        earning=bool(np.any(times[:, [lanes.CREDIT, lanes.DEBIT]])), cap=np.inf, start=float(portfolio.capital),
        floor=account.floor, fee=account.fee / 12.0, fixed_fee=account.fixed_fee,
    )  # fmt: skip
    bars, kinds = _bars(given)
    _sized(bars, portfolio, market, given, first)
    strategy = portfolio.strategies[0].strategy
    return Plan(strategy, market, first, given.layout.column, bars, kinds, times, rules, days)


def checked(portfolio, values):
    """`values` as arrays of one length, each of them one that the strategy may have; a ConfigError says what is wrong.

    >>> from engine.portfolio import Portfolio
    >>> cross = Portfolio.from_toml('[[strategies]]\\nname = "moving_average_cross"')
    >>> checked(cross, {"fast": [5, 0]})
    Traceback (most recent call last):
    ...
    engine.settings.ConfigError: moving_average_cross: fast = 0 is not allowed; allowed: a whole number from 1 to 5000
    """
    strategy = portfolio.strategies[0].strategy
    place = f"{snake_name(type(strategy))}:"
    check_keys(values, keys(type(strategy)), place)
    arrays = {name: np.asarray(each) for name, each in values.items()}
    shapes = {name: each.shape for name, each in arrays.items()}
    lengths = {shape[0] if len(shape) == 1 else 0 for shape in shapes.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ConfigError(f"{place} values have the shapes {shapes}; allowed: arrays (combination,) of one length")
    tried = type(strategy)()
    for name, each in arrays.items():
        for value in np.unique(each).tolist():
            assign(tried, name, value, place)
    return arrays


# What cannot be screened


def refuse(market, portfolio):
    """Raise a CannotScreen if the portfolio cannot be screened on this market."""
    for found in (_of_strategies(market, portfolio), _of_sizes(portfolio), _of_fills(portfolio)):
        for wrong, instead in found:
            if wrong:
                raise CannotScreen(f"cannot screen: {wrong}; {instead}, {FULL}")


def _of_strategies(market, portfolio):
    """(what is wrong, what to do instead) of the strategies and of what they trade; nothing wrong is empty."""
    count, sleeve = len(portfolio.strategies), portfolio.strategies[0]
    yield f"[[strategies]] {count} of them" if count > 1 else "", "screen one strategy alone"
    kind, name = sleeve.strategy.kind(), snake_name(type(sleeve.strategy))
    told = {"signals": "enters and leaves by orders", "targets": "asks for contracts", "decide": "is called bar by bar"}
    yield f"[[strategies]] {name} {told[kind]}" if kind != "forecast" else "", "screen a strategy of forecasts"
    across = f"[[strategies]] {name} reads several markets at once" if sleeve.strategy.across else ""
    yield across, "screen a strategy that reads each market alone"
    traded = [one for _, one in portfolio.members(market.names)]
    spreads = [one for one in traded if one in portfolio.spreads]
    yield f"[[strategies]] markets: {', '.join(spreads)} is a spread" if spreads else "", "name markets without spreads"
    of = dict(zip(market.names, market.roots, strict=True))
    roots = [of[one] for one in traded if one in of]
    twice = sorted({root for root in roots if roots.count(root) > 1})
    yield f"[portfolio] markets: {', '.join(twice)} stands there more than once" if twice else "", "name each root once"


def _of_sizes(portfolio):
    """The same, of sizes and limits."""
    rule, kind = portfolio.sizing, next(name for name, kind in SIZERS.items() if type(portfolio.sizing) is kind)
    free = ", ".join(name for name, one in SIZERS.items() if one.of_each)
    alone = rule.of_each and not rule.across
    yield (
        "" if alone else f"[sizing] rule = {kind!r} sizes one market by the others, or by all forecasts",
        (f"take a rule of {free}, with a diversification that is a number"),
    )
    follows = rule.per_capital and portfolio.compounding
    yield "[portfolio] compounding = true, so that sizes follow equity" if follows else "", "set compounding = false"
    yield f"[sizing] buffer = {rule.buffer}" if rule.buffer else "", "set buffer = 0"
    nearest = rule.rounding == "nearest_risk"
    yield "[sizing] rounding = 'nearest_risk'" if nearest else "", "set rounding = 'toward_zero' or 'fractional'"
    limits = [
        key for key in keys(type(portfolio.limits)) if key != "groups" and getattr(portfolio.limits, key) is not None
    ]
    yield f"[limits] {', '.join(limits)}" if limits else "", "take the limits off"


def _of_fills(portfolio):
    """The same, of rolls, costs and execution."""
    days, execution = portfolio.rolls.days, portfolio.execution
    yield f"[rolls] days = {days}" if days > 1 else "", "set days = 1"
    impact = portfolio.costs.impact
    yield f"[costs] impact = {impact!r}" if impact != "none" else "", "set impact = 'none'"
    usual = {"participation": None, "fx": "sweep", "bars": "day", "decision": "own"}
    for key, value in usual.items():
        own = getattr(execution, key)
        instead = f"set {key} = {value!r}" if value else f"leave {key} out"
        yield f"[execution] {key} = {own!r}" if own != value else "", instead


# What is the same for all combinations


class Plan(NamedTuple):
    """All that trading the combinations needs."""

    strategy: object
    market: object  # as strategies see it, all rows
    first: int  # row of it at which trading begins
    columns: np.ndarray  # of it that are traded
    bars: np.ndarray  # (time, market, lanes.BAR)
    kinds: np.ndarray  # (time, market)
    times: np.ndarray  # (time, lanes.TIME)
    rules: lanes.Rules
    days: np.ndarray  # (time + 1,) of returns, the first that of the starting capital


def _shared(plan, values):
    """The plan with what tables of forecasts say of bars and rules, and these `Lanes`, of the rows and columns that are
    traded; None where the strategy has none."""
    shared = told_by(plan.strategy, "lanes", plan.market, values)
    if shared is None:
        return plan, None
    bars = plan.bars.copy()
    for column, told in ((lanes.TIE, shared.tie), (lanes.SEEN, shared.seen)):
        bars[:, :, column] = 0.0 if told is None else told[plan.first :, plan.columns]
    rules = plan.rules._replace(side=bool(shared.side), cap=float(shared.cap))
    return plan._replace(bars=bars, rules=rules), shared._replace(table=_cut(plan, shared.table))


def _cut(plan, table):
    """The rows and columns of (time, market, ...) that are traded; not copied where that is all of them."""
    part = table[plan.first :]
    if not np.array_equal(plan.columns, np.arange(part.shape[1])):
        part = part[:, plan.columns]
    return np.ascontiguousarray(part)


def _bars(given):
    """What bars of markets are to a contract that is held, bought or sold; (time, market, lanes.BAR), and kinds."""
    at = given.layout.lines.instrument
    prices = type(given.prices)(*(values[:, at] for values in given.prices))
    facts = type(given.facts)(*(values[:, at] for values in given.facts))
    traded = ~np.isnan(prices.mark)
    fills = traded & ~np.isnan(prices.fill)
    worth = facts.multiplier * facts.fx
    after = np.where(prices.roll, prices.roll_to, prices.mark)
    known = np.maximum.accumulate(np.where(np.isnan(after), -1, np.arange(len(after))[:, None]), axis=0)
    before = np.vstack([np.full((1, after.shape[1]), -1), known[:-1]])
    last = np.where(before < 0, np.nan, np.take_along_axis(after, np.maximum(before, 0), axis=0))
    beyond = (prices.roll_from_fill - prices.roll_to_fill) - (prices.roll_from - prices.roll_to)
    legs = prices.roll & ((prices.roll_from_fill != prices.roll_from) | (prices.roll_to_fill != prices.roll_to))
    side = (facts.slippage * facts.multiplier + facts.commission) * facts.fx
    rolled = 2.0 * (facts.roll_slippage * facts.multiplier + facts.roll_commission) * facts.fx
    buys, sells = fills & (prices.locked <= 0), fills & (prices.locked >= 0)
    bars = np.zeros((*traded.shape, len(lanes.BAR)))
    told = {
        lanes.HOLD: np.where(traded & ~np.isnan(last), (prices.mark - last) * worth, 0.0),
        lanes.FRESH: np.where(fills, (prices.mark - prices.fill) * worth, 0.0),
        lanes.SIDE: side, lanes.ROLLED: np.where(prices.roll, rolled, 0.0),
        lanes.GAP: np.where(legs, beyond * worth, 0.0), lanes.INITIAL: facts.initial * facts.fx,
        lanes.MAINTENANCE: facts.maintenance * facts.fx, lanes.BUYS: buys, lanes.SELLS: sells,
    }  # fmt: skip
    for column, values in told.items():
        bars[:, :, column] = values
    odd = ~(buys & sells) | prices.roll | prices.closed
    kinds = odd * lanes.ODD + prices.roll * lanes.ROLL + legs * lanes.LEGS + prices.closed * lanes.CLOSED
    return bars, np.ascontiguousarray(kinds, np.int8)


def _sized(bars, portfolio, market, given, first):
    """Put sizes into `bars`: contracts at a forecast of 1, and what they are made of."""
    sleeve, rule, at = portfolio.strategies[0], portfolio.sizing, given.layout.column
    weight = np.full(len(at), float(sleeve.weight))
    top, bottom = (np.broadcast_to(one, market.mark[:, at].shape) for one in rule.quotient(market, at, weight))
    wanted = given.available[:, at] & _days_of(sleeve, given.market.days)[:, None]
    top, bottom = np.where(wanted, top[first:], 0.0), np.where(wanted, bottom[first:], 1.0)
    capital = portfolio.capital if rule.per_capital else 1.0
    usual = top / bottom * capital
    told = {
        lanes.USUAL: usual if given.account.rounding == FRACTIONAL else np.trunc(usual), lanes.NUMERATOR: top,
        lanes.DENOMINATOR: bottom, lanes.CAPITAL: capital,
    }  # fmt: skip
    for column, values in told.items():
        bars[:, :, column] = values


def _days_of(sleeve, days):
    """Whether the strategy has started and not stopped, bool array (time,)."""
    out = np.ones(len(days), bool)
    if sleeve.start is not None:
        out &= days >= np.datetime64(sleeve.start, "D")
    if sleeve.stop is not None:
        out &= days < np.datetime64(sleeve.stop, "D")
    return out


def _times(given):
    """What bars are to the account, (time, lanes.TIME); and the days of its returns, the starting capital's first."""
    clock, account = given.clock, given.account
    rate = np.concatenate([[0.0], clock.rate[:-1]])
    credit = np.where(rate >= 0.0, np.maximum(rate - account.credit_spread, 0.0), rate - account.credit_spread)
    traded = ~np.isnan(given.market.mark).all(axis=1)
    number = np.cumsum(traded)
    paid = np.cumsum(clock.transfer)
    at = np.flatnonzero(traded)
    flow = np.zeros(len(paid))
    flow[at] = np.diff(paid[at], prepend=0.0)
    earns = np.arange(len(rate)) > 0
    told = {
        lanes.DAYS: clock.days, lanes.CREDIT: credit * earns, lanes.DEBIT: (rate + account.debit_spread) * earns,
        lanes.TRANSFER: clock.transfer, lanes.FEE: clock.month_begin,
        lanes.OBSERVED: traded / np.maximum(number, 1), lanes.FLOW: flow, lanes.PAID: paid,
    }  # fmt: skip
    times = np.zeros((len(rate), len(lanes.TIME)))
    for column, values in told.items():
        times[:, column] = values
    days = given.market.days
    return times, np.concatenate([days[:1] - np.timedelta64(1, "D"), days[traded]])


# Trading


def _traded(plan, shared, values, threads, progress):
    """What the account came to, array (row, combination) of `lanes.ROWS`."""
    total = len(next(iter(values.values())))
    size = lanes.WIDTH * (1 if shared is None else max(1, min(MOST, -(-total // (lanes.WIDTH * threads)))))
    parts = [slice(begin, min(begin + size, total)) for begin in range(0, total, size)]
    made, done = np.empty((len(lanes.ROWS), total)), 0

    def trade(part):
        made[:, part] = _block(plan, values, part) if shared is None else _blocks(plan, shared, part)
        return part

    pool = ThreadPoolExecutor(max(1, min(threads, len(parts))))
    try:
        for one in as_completed([pool.submit(trade, part) for part in parts]):
            part = one.result()
            done += part.stop - part.start
            if progress:
                progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)
    return made


def _block(plan, values, part):
    """One block of forecasts that have no table: theirs is made for it alone."""
    mine = {name: each[part] for name, each in values.items()}
    found = told_by(plan.strategy, "forecasts", plan.market, mine)
    forecasts = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
    count = len(forecasts)
    table = _cut(plan, forecasts.transpose(1, 2, 0))
    return _blocks(plan, lanes.Lanes(False, table, np.arange(count, dtype=np.uint32)[None]), slice(0, count))


def _blocks(plan, shared, part):
    """Blocks of combinations whose forecasts are made of tables."""
    count = part.stop - part.start
    blocks = -(-count // lanes.WIDTH)
    rows = _in_blocks(np.ascontiguousarray(shared.rows[:, part], np.uint32), blocks)
    usual = {"scale": 1.0, "divisor": 1.0, "least": 0.0}
    numbers = [
        np.full(count, value) if getattr(shared, name) is None else getattr(shared, name)[part].astype(np.float64)
        for name, value in usual.items()
    ]
    accounts, markets = lanes.begin(blocks, len(plan.columns), plan.rules.start)
    tile = max(1, lanes.TILE // max(1, shared.table[:1].nbytes))
    told = (
        plan.times,
        plan.bars,
        plan.kinds,
        shared.table,
        rows,
        _in_blocks(np.array(numbers), blocks),
        plan.rules,
        tile,
    )
    lanes.run(accounts, markets, *told)
    made = accounts.reshape(blocks, len(lanes.ROWS), lanes.WIDTH).transpose(1, 0, 2)
    return made.reshape(len(lanes.ROWS), -1)[:, :count]


def _in_blocks(values, blocks):
    """(what, combination) as (block, what, lane); lanes that are left over do as the last combination."""
    filled = np.pad(values, ((0, 0), (0, blocks * lanes.WIDTH - values.shape[1])), mode="edge")
    return np.ascontiguousarray(filled.reshape(len(values), blocks, lanes.WIDTH).transpose(1, 0, 2))


# Numbers


def _statistics(made, plan, count):
    """The numbers of `STATISTICS`, as `engine.ratios` and `engine.risk` define them, of all combinations at once."""
    years, number, rules = ratios.years(plan.days), len(plan.days) - 1, plan.rules
    row = dict(zip(lanes.ROWS, made, strict=True))
    kind = "excess_" if rules.earning else ""
    total = (row["unpaid"] - rules.start) / rules.start
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        annual = np.expm1(np.log1p(total) / years) if rules.compounding else total / years
        spread = _deviation(row[f"{kind}square"], number)
        sharpe = np.where(spread > 0.0, row[f"{kind}mean"] / spread * np.sqrt(ratios.YEAR), np.nan)
    found = {
        "total_return": total,
        "annual_return": annual if years > 0.0 else np.full(count, np.nan),
        "volatility": _deviation(row["square"], number) * np.sqrt(ratios.YEAR),
        "sharpe": sharpe,
        "max_drawdown": row["depth"] / row["from_peak"],
        "final_equity": row["equity"],
        "costs": row["costs"],
        "fills": row["fills"],
    }
    intervened = row["flagged"] > 0.0
    return {name: np.where(intervened, np.nan, each) + 0.0 for name, each in found.items()} | {"intervened": intervened}


def _deviation(square, number):
    """Standard deviation from squares about the mean; 0 where only rounding moves the values, see `risk.deviation`."""
    if number < 2:
        return np.full(len(square), np.nan)
    spread = np.sqrt(square / (number - 1))
    return np.where(spread <= ROUNDING, 0.0, spread)
