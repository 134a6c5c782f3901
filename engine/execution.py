"""What happens to positions on a bar: market orders and marks.

All in contract prices. docs/positions.md tells the rules; what happens inside the bar is in `engine.bracket`, rolls are
in `engine.rolling`.
"""

import numpy as np

from engine.blotter import (
    CRUMB,
    Quote,
    age,
    event,
    impact_by,
    move,
    respread,
    rest,
    trade,
    trade_left,
)  # fmt: skip
from engine.book import FRACTIONAL, FX, LOCKED, PARTIAL, SPREAD_WAITS
from engine.bracket import entered, inside, opens_beyond, trail
from engine.fills import cap
from engine.kernel import bare, inlined
from engine.netting import whole_part


@bare
def revalue(t, bars, state, books):
    """Foreign cash that was kept, at the new rate."""
    for i in range(state.line.shape[0]):
        fx = bars[t, state.line[i].instrument].fx
        if state.line[i].balance != 0.0:
            books.amount[t, i, FX] = state.line[i].balance * (fx - state.line[i].fx)
        state.line[i].fx = fx


@bare
def market_orders(t, bars, account, shared, state, books):
    """What each line trades at the market on this bar, its share that is traded outside, and the net size.

    `shared` says that lines may hold the same contract, that members have several legs, or that fills are capped.
    """
    orders = 0
    for i in range(state.line.shape[0]):
        m = state.line[i].instrument
        delta = wanted(i, state) if state.line[i].out != t else 0.0
        state.line[i].share, state.line[i].part, state.line[i].cut = 1.0, 0.0, 0
        if delta != 0.0:
            if np.isnan(bars[t, m].market) or np.isnan(bars[t, m].mark):
                delta = 0.0
            elif bars[t, m].locked * delta > 0.0:
                event(t, i, LOCKED, delta, 0.0, state, books)
                delta = 0.0
            elif state.member[state.line[i].member].ordered and account.at_open and opens_beyond(t, i, bars, state):
                delta = 0.0
            elif state.line[i].left * delta < 0.0:
                delta = possible(t, i, m, delta, bars, account, state)
            orders += 1
        state.line[i].delta = delta
        state.line[i].net = abs(of_the_bar(i, state))
    if orders > 0 and shared:
        both_or_none(t, state, books)
        capped(t, bars, account, state, books)
        netted(t, bars, state)


@bare
def wanted(i, state):
    """Target less position; fractions of contracts leave no crumbs of rounding."""
    target, held = state.line[i].target, state.line[i].position
    return target - held if abs(target - held) > CRUMB * max(abs(target), abs(held)) else 0.0


@bare
def left_price(t, m, bars, account):
    """At what a market order leaves the contract rolled out of."""
    return bars[t, m].left_open if account.at_open else bars[t, m].left_mark


@bare
def possible(t, i, m, delta, bars, account, state):
    """A reduction takes the contract rolled out of first, as much of it as its volume allows.

    What that does not allow, or all where it has no price, is taken from the other part; nothing is turned by it.
    """
    line = state.line[i]
    own, size = abs(line.position - line.left), abs(delta)
    if np.isnan(left_price(t, m, bars, account)):
        return np.copysign(min(size, own), delta) + 0.0
    due = min(size, abs(line.left))
    part = cap(due, bars[t, m].left_volume, account.participation, account.rounding != FRACTIONAL)
    line.part = np.copysign(part, delta) + 0.0
    if part == due:
        return delta
    line.cut = part + own < size
    return np.copysign(min(size, part + own), delta) + 0.0


@bare
def of_the_bar(i, state):
    """The part of a line's order that is in the contract of the bar."""
    return rest(state.line[i].delta - state.line[i].part, abs(state.line[i].delta))


@bare
def both_or_none(t, state, books):
    """A member of several legs trades all that it wants to trade, or nothing."""
    n = state.line.shape[0]
    i = 0
    while i < n:
        last = last_of(i, state)
        stuck = False
        for k in range(i, last + 1):
            stuck |= state.line[k].delta != wanted(k, state)
        if stuck and last > i:
            event(t, i, SPREAD_WAITS, state.line[i].target - state.line[i].position, 0.0, state, books)
            for k in range(i, last + 1):
                state.line[k].delta, state.line[k].net = 0.0, 0.0
                state.line[k].part, state.line[k].cut = 0.0, 0
        i = last + 1


@bare
def last_of(i, state):
    """The last of the lines that trade as one, of which `i` is the first: legs, but of a spread that is broken."""
    mine = state.member[state.line[i].member]
    return i if mine.broken else mine.after - 1


@bare
def same_contract(t, a, b, bars, state):
    """Whether two lines trade the same contract on the bar."""
    if state.line[a].root != state.line[b].root:
        return False
    return bars[t, state.line[a].instrument].contract == bars[t, state.line[b].instrument].contract


@bare
def capped(t, bars, account, state, books):
    """At most the portfolio's share of the bar's volume, net of each contract; spreads in whole units."""
    if account.participation == np.inf:
        return
    n, whole = state.line.shape[0], account.rounding != FRACTIONAL
    for i in range(n):  # `net` is the factor for now
        net = 0.0
        for k in range(n):
            if state.line[k].delta != 0.0 and same_contract(t, i, k, bars, state):
                net += of_the_bar(k, state)
        most = cap(abs(net), bars[t, state.line[i].instrument].volume, account.participation, whole)
        state.line[i].net = most / abs(net) if abs(net) > most else 1.0
    i = 0
    while i < n:
        last, factor = last_of(i, state), 1.0
        for k in range(i, last + 1):
            if state.line[k].delta != 0.0:
                factor = min(factor, state.line[k].net)
        for k in range(i, last + 1):
            if factor < 1.0 and state.line[k].delta != 0.0:
                size = state.line[k].delta if last > i else of_the_bar(k, state)
                each = abs(state.line[k].ratio) if last > i else 1.0
                units = abs(size) / each * factor
                units = whole_part(units) if whole else units
                got = state.line[k].delta - size + np.copysign(units * each, size)
                state.line[k].cut |= got != state.line[k].delta
                state.line[k].delta = got + 0.0
                state.line[k].part = np.copysign(min(abs(state.line[k].part), abs(got)), state.line[k].part)
        i = last + 1
    for i in range(n):
        state.line[i].net = abs(of_the_bar(i, state))
        if state.line[i].cut:
            wished = state.line[i].target - state.line[i].position
            event(t, i, PARTIAL, wished, state.line[i].delta, state, books)


@bare
def netted(t, bars, state):
    """Lines of one contract trade their net: the share of each line's size, and the net size."""
    n = state.line.shape[0]
    for i in range(n):
        if state.line[i].delta == 0.0:
            continue
        net, gross = 0.0, 0.0
        for k in range(n):
            if state.line[k].delta != 0.0 and same_contract(t, i, k, bars, state):
                part = of_the_bar(k, state)
                net += part
                gross += abs(part)
        state.line[i].share, state.line[i].net = abs(net) / gross if gross > 0.0 else 1.0, abs(net)


@inlined
def quoted(t, m, bars):
    """The market's numbers of the bar."""
    worth = bars[t, m].multiplier
    usual = bars[t - 1, m].liquidity if t > 0 else np.nan
    return Quote(
        bars[t, m].contract, bars[t, m].offset, worth, bars[t, m].fx, bars[t, m].slippage * worth,
        bars[t, m].commission, bars[t, m].impact * worth, bars[t, m].volume, bars[t, m].left_volume, usual,
    )  # fmt: skip


@bare
def inside_first(t, bars, orders, account, finer, state, books):
    """Where market orders fill late in the bar, what happens inside it comes before them."""
    for i in range(state.line.shape[0]):
        m = state.line[i].instrument
        state.line[i].opened = state.line[i].position
        if state.member[state.line[i].member].ordered and not np.isnan(bars[t, m].mark):
            quote = quoted(t, m, bars)
            cash = inside(t, i, quote, bars, orders, account, finer, state, books)
            if not account.sweep:
                state.line[i].balance += cash


@bare
def trade_lines(t, bars, orders, account, finer, state, books):
    """Every line's bar up to its mark: orders, profit, costs; returns whether anything rolls or is still rolling."""
    after = False
    for i in range(state.line.shape[0]):
        m = state.line[i].instrument
        cash = 0.0
        if not np.isnan(bars[t, m].mark):
            ordered, delta = state.member[state.line[i].member].ordered, state.line[i].delta
            if delta != 0.0 or state.line[i].position != 0.0 or ordered:
                quote = quoted(t, m, bars)
                if delta != 0.0:
                    cash += at_market(t, i, delta, quote, bars, orders, account, ordered, state, books)
                if account.at_open:
                    state.line[i].opened = state.line[i].position
                    if ordered:
                        cash += inside(t, i, quote, bars, orders, account, finer, state, books)
                cash += marked(t, i, m, ordered, quote, bars, state, books)
            else:
                state.line[i].last, state.line[i].adjusted = bars[t, m].mark, bars[t, m].mark + bars[t, m].offset
        if state.line[i].position != 0.0:
            after |= bars[t, m].roll or bars[t, m].closed or state.line[i].left != 0.0
        if not account.sweep:
            state.line[i].balance += cash
    return after


@bare
def marked(t, i, m, ordered, quote, bars, state, books):
    """The line's mark: variation margin, and what the contract rolled out of earned differently; local cash."""
    cash = move(t, i, bars[t, m].mark, quote, state, books)
    if state.line[i].left != 0.0 and not np.isnan(bars[t, m].left_mark):
        spread = bars[t, m].left_mark - bars[t, m].mark
        cash += respread(t, i, state.line[i].left, spread, quote, state, books)
        state.line[i].spread = spread
    if state.line[i].position != 0.0:
        age(i, state)
        if ordered:
            trail(t, i, m, state.line[i].member, bars, state)
            state.member[state.line[i].member].seen = 1
    return cash


@bare
def at_market(t, i, delta, quote, bars, orders, account, ordered, state, books):
    """A market order at the bar's fill price: what is left of the last contract goes first; returns local cash."""
    m, held = state.line[i].instrument, state.line[i].position
    price = bars[t, m].market
    cash = move(t, i, price, quote, state, books)
    kind, why = state.line[i].kind, state.line[i].why
    own, part = of_the_bar(i, state), state.line[i].part
    if part != 0.0:
        old = left_price(t, m, bars, account)
        impact = impact_by(abs(part), quote.left_volume, quote, account.power)
        cash += trade_left(t, i, part, old, price, kind, why, impact, quote, state, books)
    if own != 0.0:
        impact = impact_by(state.line[i].net, quote.volume, quote, account.power)
        cash += trade(t, i, own, price, kind, why, state.line[i].share, impact, 1.0, quote, state, books)
    if ordered and state.line[i].position * held <= 0.0 and state.line[i].position != 0.0:
        j = state.line[i].member
        state.member[j].stop_at, state.member[j].goal_at = orders[t - 1, j].stop_at, orders[t - 1, j].target_at
        entered(t, i, price, t - 1, quote, orders, state)
    return cash
