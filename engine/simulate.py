"""The loop over bars: fills, rolls, marks, interest, margin and the next targets, into a ledger by cause.

Rules of one bar, in this order:

1. What a margin call or the end of a contract decided on the bar before caps the targets.
2. Orders (target - position) fill at the bar's fill price, the held contract's open unless the portfolio says else.
3. On a roll day both legs of what is held after the fills trade at the same moment.
4. Positions are marked; the variation margin goes to cash at the day's rate, or to a foreign balance (`hold`).
5. Interest on yesterday's free cash at yesterday's rate, calendar days / 360.
6. Margin: a call when equity < maintenance margin (equal is none); decided now, traded on the next bar.
7. Targets of this row: weight x capital, whole contracts toward zero, then the initial margin of increases.

All in contract prices. Beside it each line's profit is told a second time in adjusted prices; the two must agree but
for costs (`residual`).
"""

from typing import NamedTuple

import numpy as np

from engine import margin
from engine.kernel import bare, inlined, kernel

CAUSES = (
    "price", "slippage", "impact", "commission", "roll_gap", "roll_slippage", "roll_commission", "interest", "fx",
)  # fmt: skip
PRICE, SLIPPAGE, IMPACT, COMMISSION, ROLL_GAP, ROLL_SLIPPAGE, ROLL_COMMISSION, INTEREST, FX = range(len(CAUSES))
KINDS = ("order", "roll out", "roll in", "closed", "margin call")  # of a fill
ORDER, ROLL_OUT, ROLL_IN, CLOSED, CALL = range(len(KINDS))
EXITS = ("signal", "roll", "closed", "margin call", "open")  # of a trade
EXIT_SIGNAL, EXIT_ROLL, EXIT_CLOSED, EXIT_CALL, EXIT_OPEN = range(len(EXITS))
EVENTS = ("margin call", "margin refused", "closed: no matched price")
MARGIN_CALL, MARGIN_REFUSED, NO_PRICE = range(len(EVENTS))
FILL_FIELDS = ("t", "line", "contract", "kind", "contracts", "price", "slippage", "commission")
TRADE_FIELDS = (
    "line", "direction", "contracts", "entry", "exit", "entry_contract", "exit_contract",
    "entry_price", "exit_price", "rolls", "bars", "gross", "costs", "exit_reason",
)  # fmt: skip
(
    LINE,
    SIDE,
    SIZE,
    ENTRY,
    EXIT,
    ENTRY_CONTRACT,
    EXIT_CONTRACT,
    ENTRY_PRICE,
    EXIT_PRICE,
    ROLLS,
    BARS,
    GROSS,
    COSTS,
    WHY,
) = range(14)
WHOLE, LEG = 0, 1  # trades are told twice: flat to flat across rolls, and contract by contract


class Prices(NamedTuple):
    """Arrays (time, market) in contract prices, nan where there is no bar, but for those that say otherwise."""

    fill: np.ndarray  # price at which orders fill [points]
    mark: np.ndarray  # settlement, else close; on a roll day the leg's price [points]
    offset: np.ndarray  # adjusted - contract price, anchored at the first contract [points]
    contract: np.ndarray  # int32 YYYYMM held on the bar
    roll: np.ndarray  # bool: the bar's position rolls at its end
    closed: np.ndarray  # bool: the held contract ended without a price to roll at
    roll_contract: np.ndarray  # int32 YYYYMM rolled into
    roll_from: np.ndarray  # legs as the series has them [points]
    roll_to: np.ndarray
    roll_from_fill: np.ndarray  # legs as they traded [points]
    roll_to_fill: np.ndarray


class Facts(NamedTuple):
    """Arrays (time, market) of what a contract is worth and costs; never nan where the market is available."""

    multiplier: np.ndarray  # [local currency / point]
    fx: np.ndarray  # [account currency / local currency]
    initial: np.ndarray  # [local currency / contract]
    maintenance: np.ndarray  # [local currency / contract]
    slippage: np.ndarray  # a side [points]
    commission: np.ndarray  # a side [local currency / contract]


class Account(NamedTuple):
    """Numbers of the account."""

    capital: float  # [account currency]
    per_capital: bool  # weights are contracts per unit of capital, else contracts
    compounding: bool  # capital means equity of the bar, else the starting capital
    sweep: bool  # foreign profit is converted every day, else kept as a balance
    roll_commission: float  # multiple of two sides' commission that a roll costs
    most: float  # contracts of a line, long or short; infinite for no limit


class Ledger(NamedTuple):
    """What a simulation leaves."""

    amount: np.ndarray  # (time, line + 1, cause); the last line is the account itself [account currency]
    position: np.ndarray  # (time, line) at the end of the bar, after rolls [contracts, signed]
    equity: np.ndarray  # (time,) [account currency]
    margin: np.ndarray  # (time,) initial margin required [account currency]
    notional: np.ndarray  # (time,) sides traded [account currency]
    residual: np.ndarray  # (line,) sum of contract minus adjusted profit [account currency]
    fills: np.ndarray  # (fill, FILL_FIELDS)
    trades: np.ndarray  # (trade, TRADE_FIELDS) flat to flat
    legs: np.ndarray  # (trade, TRADE_FIELDS) contract by contract
    events: np.ndarray  # (event, 3): bar, line (-1 the account), index into EVENTS


class _State(NamedTuple):
    """What the loop remembers from bar to bar; arrays (line,) unless said."""

    position: np.ndarray
    target: np.ndarray
    last: np.ndarray  # price at which the position was last marked, of the contract now held
    adjusted: np.ndarray  # the same in the adjusted frame
    balance: np.ndarray  # foreign cash kept when not swept [local currency]
    called: np.ndarray  # bool: the target was cut by a margin call
    open: np.ndarray  # (2, line, trade field): the trade now open, whole and leg
    count: np.ndarray  # (4,) rows used of fills, trades, legs, events


def simulate(prices, facts, account, weight, instrument, available, rate, days):
    """Trade the weights.

    Parameters
    ----------
    prices : Prices
    facts : Facts
    account : Account
    weight : array (time, line)
        Contracts wanted per unit of capital (or contracts), known at the end of the bar; finite.
    instrument : int array (line,)
        Column of `prices` that each line trades.
    available : bool array (time, market)
        Where it is false no position is wanted.
    rate : array (time,)
        Interest on cash, known at the end of the bar. [1/year]
    days : array (time,)
        Calendar days since the bar before.

    Returns
    -------
    Ledger
    """
    time, lines = weight.shape
    ledger = Ledger(
        amount=np.zeros((time, lines + 1, len(CAUSES))),
        position=np.zeros((time, lines)),
        equity=np.zeros(time),
        margin=np.zeros(time),
        notional=np.zeros(time),
        residual=np.zeros(lines),
        fills=np.empty((4 * time * lines + lines, len(FILL_FIELDS))),
        trades=np.empty((time * lines + lines, len(TRADE_FIELDS))),
        legs=np.empty((2 * time * lines + lines, len(TRADE_FIELDS))),
        events=np.empty((2 * time * (lines + 1), 3), np.int64),
    )
    count = _simulate(prices, facts, account, weight, instrument, available, rate, days, ledger)
    fills, trades, legs, events = count
    return ledger._replace(
        fills=ledger.fills[:fills].copy(),
        trades=ledger.trades[:trades].copy(),
        legs=ledger.legs[:legs].copy(),
        events=ledger.events[:events].copy(),
    )


class _Quote(NamedTuple):
    """What one market says on one bar; numbers only, so that passing it on costs nothing."""

    contract: int
    price: float  # at which orders fill [points]
    mark: float  # [points]
    offset: float  # [points]
    worth: float  # of a point [local currency]
    fx: float  # [account currency / local currency]
    slippage: float  # a side [local currency / contract]
    commission: float  # a side [local currency / contract]


@kernel
def _simulate(prices, facts, account, weight, instrument, available, rate, days, ledger):
    time, lines = weight.shape
    nan = np.full(lines, np.nan)
    state = _State(
        np.zeros(lines), np.zeros(lines), nan, nan.copy(), np.zeros(lines), np.zeros(lines, np.bool_),
        np.zeros((2, lines, 14)), np.zeros(4, np.int64),
    )  # fmt: skip
    equity = account.capital
    for t in range(time):
        before = equity
        _lines(t, instrument, prices, facts, account, state, ledger)
        if t > 0:
            free = before - ledger.margin[t - 1]
            ledger.amount[t, lines, INTEREST] = free * rate[t - 1] * days[t] / 360.0
        equity += np.sum(ledger.amount[t])
        ledger.equity[t] = equity
        ledger.position[t] = state.position
        _decide(t, equity, facts, account, weight, instrument, available, state, ledger)
    _close_books(time - 1, instrument, prices, state, ledger)
    return state.count


@bare
def _lines(t, instrument, prices, facts, account, state, ledger):
    """Every line's bar: fill, mark, roll.

    Fields leave their tuples once a bar, and numbers go to what is called: passing arrays on counts references.
    """
    fill, marks, offset, closed, roll = prices.fill, prices.mark, prices.offset, prices.closed, prices.roll
    position, target, last, adjusted, balance = state.position, state.target, state.last, state.adjusted, state.balance
    worth, rate, amount, residual, trades = facts.multiplier, facts.fx, ledger.amount, ledger.residual, state.open
    for i in range(position.shape[0]):
        m = instrument[i]
        fx, mark, held, cash = rate[t, m], marks[t, m], position[i], 0.0
        if balance[i] != 0.0:
            amount[t, i, FX] = balance[i] * (fx - rate[t - 1, m])
        traded = not np.isnan(mark)
        ordered = traded and target[i] != held and not np.isnan(fill[t, m])
        rolls, ends = roll[t, m], closed[t, m]
        if ordered or rolls or ends:
            slippage = facts.slippage[t, m] * worth[t, m]
            quote = _Quote(
                prices.contract[t, m], fill[t, m], mark, offset[t, m], worth[t, m], fx, slippage, facts.commission[t, m]
            )
        if ordered:
            cash = _order(t, i, quote, state, ledger)
        elif traded and held != 0.0:
            profit = held * (mark - last[i])
            told = held * (mark + offset[t, m] - adjusted[i])
            cash = profit * worth[t, m]
            amount[t, i, PRICE] += cash * fx
            residual[i] += (profit - told) * worth[t, m] * fx
            trades[WHOLE, i, GROSS] += cash * fx
            trades[LEG, i, GROSS] += cash * fx
        if traded:
            if position[i] != 0.0:
                trades[WHOLE, i, BARS] += 1.0
                trades[LEG, i, BARS] += 1.0
            last[i], adjusted[i] = mark, mark + offset[t, m]
        if rolls and position[i] != 0.0:
            legs = (
                prices.roll_from[t, m],
                prices.roll_to[t, m],
                prices.roll_from_fill[t, m],
                prices.roll_to_fill[t, m],
            )
            cash += _roll(t, i, quote, prices.roll_contract[t, m], legs, account.roll_commission, state, ledger)
            last[i] = prices.roll_to[t, m]
        elif ends and position[i] != 0.0:
            cash += _end(t, i, quote, state, ledger)
        if not account.sweep:
            balance[i] += cash


@bare
def _order(t, i, quote, state, ledger):
    """The bar of a line that trades to its target: profit before and after the fill, costs; returns local cash."""
    held, wanted = state.position[i], state.target[i]
    value = quote.worth * quote.fx
    before, told = 0.0, 0.0
    if held != 0.0:
        before = held * (quote.price - state.last[i])
        told = held * (quote.price + quote.offset - state.adjusted[i])
        _book(state, i, GROSS, before * value)
    costs = _fill(t, i, wanted, quote, state, ledger)
    after = wanted * (quote.mark - quote.price)
    told += wanted * ((quote.mark + quote.offset) - (quote.price + quote.offset))
    _book(state, i, GROSS, after * value)
    ledger.amount[t, i, PRICE] += (before + after) * value
    ledger.residual[i] += (before + after - told) * value
    return (before + after) * quote.worth + costs


@inlined
def _book(state, i, field, amount):
    state.open[WHOLE, i, field] += amount
    state.open[LEG, i, field] += amount


@inlined
def _charge(t, i, contracts, quote, sides, slippage_cause, commission_cause, ledger):
    """Charge slippage for `contracts` (unsigned), commission for `sides` of them; returns both, negative, local."""
    slippage, commission = -contracts * quote.slippage, -contracts * quote.commission * sides
    ledger.amount[t, i, slippage_cause] += slippage * quote.fx
    ledger.amount[t, i, commission_cause] += commission * quote.fx
    return slippage, commission


@inlined
def _record_fill(t, i, contract, kind, contracts, price, slippage, commission, state, ledger):
    row = ledger.fills[state.count[0]]
    row[0], row[1], row[2], row[3] = t, i, contract, kind
    row[4], row[5], row[6], row[7] = contracts, price, slippage, commission
    state.count[0] += 1


@inlined
def _fill(t, i, wanted, quote, state, ledger):
    """Trade from the position to `wanted`; returns the costs as local cash."""
    held = state.position[i]
    delta = wanted - held
    size = abs(delta)
    slippage, commission = _charge(t, i, size, quote, 1.0, SLIPPAGE, COMMISSION, ledger)
    kind = CALL if state.called[i] and abs(wanted) < abs(held) else ORDER
    fx, price, contract = quote.fx, quote.price, quote.contract
    _record_fill(t, i, contract, kind, delta, price, slippage * fx, commission * fx, state, ledger)
    ledger.notional[t] += size * abs(price) * quote.worth * fx
    cost = (slippage + commission) * fx / size
    closing = min(size, abs(held)) if held * delta < 0.0 else 0.0
    _book(state, i, COSTS, cost * closing)
    turned = held * wanted <= 0.0
    for kind_of in range(2):
        if turned and held != 0.0:
            _close(t, i, kind_of, contract, price, EXIT_CALL if kind == CALL else EXIT_SIGNAL, state, ledger)
        if turned and wanted != 0.0:
            _open(t, i, kind_of, contract, price, wanted, state)
        state.open[kind_of, i, SIZE] = max(state.open[kind_of, i, SIZE], abs(wanted))
    _book(state, i, COSTS, cost * (size - closing))
    state.position[i] = wanted
    return slippage + commission


@inlined
def _open(t, i, kind, contract, price, position, state):
    trade = state.open[kind, i]
    trade[:] = 0.0
    trade[LINE], trade[SIDE], trade[ENTRY] = i, np.sign(position), t
    trade[SIZE], trade[ENTRY_CONTRACT], trade[ENTRY_PRICE] = abs(position), contract, price


@inlined
def _close(t, i, kind, contract, price, why, state, ledger):
    trade = state.open[kind, i]
    trade[EXIT], trade[EXIT_CONTRACT], trade[EXIT_PRICE], trade[WHY] = t, contract, price, why
    if kind == WHOLE:
        for field in range(len(TRADE_FIELDS)):
            ledger.trades[state.count[1], field] = trade[field]
    else:
        for field in range(len(TRADE_FIELDS)):
            ledger.legs[state.count[2], field] = trade[field]
    state.count[1 + kind] += 1
    trade[:] = 0.0


@bare
def _roll(t, i, quote, into, legs, sides, state, ledger):
    """Two legs of the position: out of the quote's contract and `into` the next; returns costs and gap as local cash.

    `legs` are the prices of both in the series, then as they traded.
    """
    from_price, to_price, from_fill, to_fill = legs
    q, worth, fx = state.position[i], quote.worth, quote.fx
    gap = q * ((from_fill - to_fill) - (from_price - to_price)) * worth
    ledger.amount[t, i, ROLL_GAP] += gap * fx
    slippage, commission = _charge(t, i, 2.0 * abs(q), quote, sides, ROLL_SLIPPAGE, ROLL_COMMISSION, ledger)
    half_slippage, half_commission = slippage * fx / 2, commission * fx / 2
    _record_fill(t, i, quote.contract, ROLL_OUT, -q, from_fill, half_slippage, half_commission, state, ledger)
    _record_fill(t, i, into, ROLL_IN, q, to_fill, half_slippage, half_commission, state, ledger)
    ledger.notional[t] += abs(q) * (abs(from_fill) + abs(to_fill)) * worth * fx
    cost = half_slippage + half_commission
    state.open[WHOLE, i, ROLLS] += 1.0
    state.open[WHOLE, i, COSTS] += 2 * cost
    state.open[WHOLE, i, GROSS] += gap * fx
    state.open[LEG, i, COSTS] += cost
    state.open[LEG, i, GROSS] += q * (from_fill - from_price) * worth * fx
    _close(t, i, LEG, quote.contract, from_fill, EXIT_ROLL, state, ledger)
    _open(t, i, LEG, into, to_fill, q, state)
    state.open[LEG, i, COSTS] += cost
    state.open[LEG, i, GROSS] += q * (to_price - to_fill) * worth * fx
    return gap + slippage + commission


@bare
def _end(t, i, quote, state, ledger):
    """Close the position at its last price because no roll was possible; returns the costs as local cash."""
    q, price, contract, fx = state.position[i], state.last[i], quote.contract, quote.fx
    slippage, commission = _charge(t, i, abs(q), quote, 1.0, SLIPPAGE, COMMISSION, ledger)
    _record_fill(t, i, contract, CLOSED, -q, price, slippage * fx, commission * fx, state, ledger)
    ledger.notional[t] += abs(q * price) * quote.worth * fx
    _book(state, i, COSTS, (slippage + commission) * fx)
    for kind_of in range(2):
        _close(t, i, kind_of, contract, price, EXIT_CLOSED, state, ledger)
    state.position[i], state.target[i] = 0.0, 0.0
    _event(t, i, NO_PRICE, state, ledger)
    return slippage + commission


@kernel
def _event(t, i, what, state, ledger):
    ledger.events[state.count[3], 0] = t
    ledger.events[state.count[3], 1] = i
    ledger.events[state.count[3], 2] = what
    state.count[3] += 1


@kernel
def _decide(t, equity, facts, account, weight, instrument, available, state, ledger):
    """Margin of the bar and targets for the next one."""
    fx = facts.fx[t]
    initial = margin.required(state.position, instrument, facts.initial[t], fx)
    ledger.margin[t] = initial
    call = equity < margin.required(state.position, instrument, facts.maintenance[t], fx)
    base = 1.0
    if account.per_capital:
        base = max(0.0, equity) if account.compounding else account.capital
    for i in range(state.target.shape[0]):
        wanted = weight[t, i] * base if available[t, instrument[i]] else 0.0
        state.target[i] = np.trunc(min(max(wanted, -account.most), account.most)) + 0.0  # never a negative zero
        state.called[i] = False
    if call:
        _event(t, -1, MARGIN_CALL, state, ledger)
        cap = margin.cut(state.position, equity, initial)
        left = margin.required(cap, instrument, facts.initial[t], fx)
        while left > max(equity, 0.0):  # lines net: fewer of each can leave the net as it was
            cap = margin.cut(cap, equity, left)
            left = margin.required(cap, instrument, facts.initial[t], fx)
        for i in range(state.target.shape[0]):
            if abs(state.target[i]) > abs(cap[i]):
                state.called[i] = cap[i] != state.position[i]
                state.target[i] = np.copysign(cap[i], state.target[i]) + 0.0  # a cap: who wants to turn, turns
    allowed = margin.affordable(state.target, state.position, instrument, facts.initial[t], fx, equity)
    for i in range(state.target.shape[0]):
        if allowed[i] != state.target[i]:
            _event(t, i, MARGIN_REFUSED, state, ledger)
            state.target[i] = allowed[i] + 0.0


@kernel
def _close_books(t, instrument, prices, state, ledger):
    """Record what is still open at the last mark."""
    for i in range(state.position.shape[0]):
        if state.position[i] != 0.0:
            contract = state.open[LEG, i, ENTRY_CONTRACT]
            _close(t, i, WHOLE, contract, state.last[i], EXIT_OPEN, state, ledger)
            _close(t, i, LEG, contract, state.last[i], EXIT_OPEN, state, ledger)
