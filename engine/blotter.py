"""The blotter: what the loop over bars books: every booking of profit, cost, fill and trade.

Each cent is booked once: as profit (`move`), as what the contract being rolled out of earns differently (`respread`),
or as the costs of a fill (`trade`, `trade_left`, `roll_part`). It is told in the trades that are open: flat to flat
(`WHOLE`), by contract (`LEG`), and in the contract being rolled out of (`LEFT`).
"""

from typing import NamedTuple

import numpy as np

from engine.book import (
    AMBIGUOUS,
    BARS,
    COMMISSION,
    COSTS,
    ENTRY,
    ENTRY_CONTRACT,
    ENTRY_PRICE,
    EXIT,
    EXIT_CONTRACT,
    EXIT_PRICE,
    EXIT_ROLL,
    GROSS,
    HOW,
    IMPACT,
    LEFT,
    LEG,
    LINE,
    PRICE,
    RISK,
    ROLL_COMMISSION,
    ROLL_GAP,
    ROLL_IMPACT,
    ROLL_IN,
    ROLL_OUT,
    ROLL_SLIPPAGE,
    SIDE,
    SIZE,
    SLIPPAGE,
    TRADE_FIELDS,
    WHOLE,
    WHY,
)  # fmt: skip
from engine.kernel import bare, inlined

FIELDS = len(TRADE_FIELDS)
CRUMB = 1e-12  # of a size, below which what is left of it is nothing [1]
FILLS, TRADES, LEGS, EVENTS_ = range(4)  # of `State.count`


class Quote(NamedTuple):
    """What one market says on one bar; numbers only, so that passing it on costs nothing."""

    contract: int
    offset: float  # [points]
    worth: float  # of a point [local currency]
    fx: float  # [account currency / local currency]
    slippage: float  # a side [local currency / contract]
    commission: float  # a side [local currency / contract]
    impact: float  # a side that trades the whole volume [local currency / contract]
    volume: float  # of the contract on the bar; nan unknown [contracts]
    left_volume: float  # the smaller of those of the contract rolled out of and of this one; nan unknown [contracts]
    usual: float  # mean volume of the last bars; nan unknown [contracts]


@inlined
def move(t, i, price, quote, state, books):
    """Profit of the position since its last mark, up to `price`; returns it in local currency."""
    held = state.line[i].position
    cash = 0.0
    if held != 0.0:
        value = quote.worth * quote.fx
        change = price - state.line[i].last
        cash = held * change * quote.worth
        told = held * (price + quote.offset - state.line[i].adjusted) * value
        amount = held * change * value
        books.amount[t, i, PRICE] += amount
        state.line[i].residual += amount - told
        state.open[WHOLE, i, GROSS] += amount
        part = state.line[i].left * change * value
        state.open[LEG, i, GROSS] += amount - part
        state.open[LEFT, i, GROSS] += part
    state.line[i].last, state.line[i].adjusted = price, price + quote.offset
    return cash


@bare
def respread(t, i, part, spread, quote, state, books):
    """What `part` of the contract rolled out of earned beyond the contract held; returns it in local currency."""
    cash = part * (spread - state.line[i].spread) * quote.worth
    books.amount[t, i, ROLL_GAP] += cash * quote.fx
    state.open[WHOLE, i, GROSS] += cash * quote.fx
    state.open[LEFT, i, GROSS] += cash * quote.fx
    return cash


@bare
def impact_by(size, volume, quote, power):
    """Impact of a side of one contract when `size` of them trade in a volume, or in the usual one. [local currency]"""
    known = volume if volume > 0.0 else quote.usual
    if quote.impact == 0.0 or size == 0.0 or not known > 0.0:
        return 0.0
    return quote.impact * min(size / known, 1.0) ** power  # nobody trades more than there is: more is no dearer


@bare
def record(t, i, contract, kind, contracts, price, slippage, impact, commission, state, books):
    """One fill; costs negative, in account currency."""
    row = books.fills[state.count[FILLS]]
    row[0], row[1], row[2], row[3], row[4] = t, i, contract, kind, contracts
    row[5], row[6], row[7], row[8] = price, slippage, impact, commission
    state.count[FILLS] += 1


@bare
def event(t, i, what, wanted, allowed, state, books):
    """One thing worth telling."""
    row = books.events[state.count[EVENTS_]]
    row[0], row[1], row[2], row[3], row[4] = t, i, what, wanted, allowed
    state.count[EVENTS_] += 1


@bare
def begin(t, i, slot, contract, price, position, kind, state):
    """A trade begins."""
    trade = state.open[slot, i]
    trade[:] = 0.0
    trade[LINE], trade[SIDE], trade[ENTRY], trade[HOW] = i, np.sign(position), t, kind
    trade[SIZE], trade[ENTRY_CONTRACT], trade[ENTRY_PRICE], trade[RISK] = abs(position), contract, price, np.nan


@bare
def finish(t, i, slot, contract, price, why, state, books):
    """A trade ends."""
    trade = state.open[slot, i]
    trade[EXIT], trade[EXIT_CONTRACT], trade[EXIT_PRICE], trade[WHY] = t, contract, price, why
    if slot == WHOLE:
        for field in range(FIELDS):
            books.trades[state.count[TRADES], field] = trade[field]
        state.count[TRADES] += 1
    else:
        for field in range(FIELDS):
            books.legs[state.count[LEGS], field] = trade[field]
        state.count[LEGS] += 1
    trade[:] = 0.0


@bare
def trade(t, i, delta, price, kind, why, share, impact, slips, quote, state, books):
    """Trade `delta` of the contract of the bar at a price to which the position has been moved; returns local cash.

    `share` of it is traded outside; `impact` is that of one contract [local]; `slips` is 0 for orders that get their
    price or a better one.
    """
    held, part = state.line[i].position, state.line[i].position - state.line[i].left
    size, fx = abs(delta), quote.fx
    after = rest(part + delta, size)  # of the contract of the bar
    wanted = after + state.line[i].left
    slippage, commission = -size * share * quote.slippage * slips, -size * share * quote.commission
    moved = -size * share * impact * slips
    books.amount[t, i, SLIPPAGE] += slippage * fx
    books.amount[t, i, COMMISSION] += commission * fx
    books.amount[t, i, IMPACT] += moved * fx
    record(t, i, quote.contract, kind, delta, price, slippage * fx, moved * fx, commission * fx, state, books)
    books.notional[t] += size * share * abs(price) * quote.worth * fx
    cost = (slippage + commission + moved) * fx / size
    closing = min(size, abs(held)) if held * delta < 0.0 else 0.0
    closing_part = min(size, abs(part)) if part * delta < 0.0 else 0.0
    state.open[WHOLE, i, COSTS] += cost * closing
    state.open[LEG, i, COSTS] += cost * closing_part
    if held != 0.0 and held * wanted <= 0.0:
        finish(t, i, WHOLE, quote.contract, price, why, state, books)
    if part != 0.0 and part * after <= 0.0:
        finish(t, i, LEG, quote.contract, price, why, state, books)
    if held * wanted <= 0.0 and wanted != 0.0:
        begin(t, i, WHOLE, quote.contract, price, wanted, kind, state)
    if part * after <= 0.0 and after != 0.0:
        begin(t, i, LEG, quote.contract, price, after, kind, state)
    state.open[WHOLE, i, SIZE] = max(state.open[WHOLE, i, SIZE], abs(wanted))
    state.open[LEG, i, SIZE] = max(state.open[LEG, i, SIZE], abs(after))
    state.open[WHOLE, i, COSTS] += cost * (size - closing)
    state.open[LEG, i, COSTS] += cost * (size - closing_part)
    state.line[i].position = wanted
    state.line[i].held = quote.contract
    return slippage + commission + moved


@inlined
def rest(left, traded):
    """What is left of a size of which a part was traded; fractions of contracts leave no crumbs of rounding."""
    return left if abs(left) > CRUMB * traded else 0.0


@bare
def trade_left(t, i, delta, price, new_price, kind, why, impact, quote, state, books):
    """Trade `delta` of the contract rolled out of, which only shrinks; the position has been moved to `new_price`."""
    cash = respread(t, i, -delta, price - new_price, quote, state, books)
    size, fx, contract = abs(delta), quote.fx, state.line[i].left_contract
    slippage, commission, moved = -size * quote.slippage, -size * quote.commission, -size * impact
    books.amount[t, i, SLIPPAGE] += slippage * fx
    books.amount[t, i, COMMISSION] += commission * fx
    books.amount[t, i, IMPACT] += moved * fx
    record(t, i, contract, kind, delta, price, slippage * fx, moved * fx, commission * fx, state, books)
    books.notional[t] += size * abs(price) * quote.worth * fx
    costs = slippage + commission + moved
    state.open[WHOLE, i, COSTS] += costs * fx
    state.open[LEFT, i, COSTS] += costs * fx
    part = state.line[i].position - state.line[i].left
    state.line[i].left = rest(state.line[i].left + delta, size)
    state.line[i].position = part + state.line[i].left
    if state.line[i].left == 0.0:
        finish(t, i, LEFT, contract, price, why, state, books)
    if state.line[i].position == 0.0:
        finish(t, i, WHOLE, contract, price, why, state, books)
    return cash + costs


@bare
def roll_part(t, i, n, out, into, contracts, share, impact, sides, quote, state, books):
    """Costs, fills and trades of `n` contracts (signed) that go `out` of one contract and `into` the next.

    `out` and `into` are the prices at which the legs trade, `contracts` their months, `sides` (slippage, commission) of
    a side of one contract [local]. The trade in the contract that is left is that in `LEFT`; returns local cash.
    """
    size, fx = abs(n), quote.fx
    slippage, commission, moved = -size * share * sides[0], -size * share * sides[1], -size * share * impact
    books.amount[t, i, ROLL_SLIPPAGE] += 2.0 * slippage * fx
    books.amount[t, i, ROLL_COMMISSION] += 2.0 * commission * fx
    books.amount[t, i, ROLL_IMPACT] += 2.0 * moved * fx
    record(t, i, contracts[0], ROLL_OUT, -n, out, slippage * fx, moved * fx, commission * fx, state, books)
    record(t, i, contracts[1], ROLL_IN, n, into, slippage * fx, moved * fx, commission * fx, state, books)
    books.notional[t] += size * share * (abs(out) + abs(into)) * quote.worth * fx
    cost = (slippage + commission + moved) * fx
    state.open[WHOLE, i, COSTS] += 2.0 * cost
    state.open[LEFT, i, COSTS] += cost
    if state.line[i].position == state.line[i].left:
        begin(t, i, LEG, contracts[1], into, n, ROLL_IN, state)
    state.line[i].left = rest(state.line[i].left - n, size)
    state.open[LEG, i, COSTS] += cost
    state.open[LEG, i, SIZE] = max(state.open[LEG, i, SIZE], abs(state.line[i].position - state.line[i].left))
    if state.line[i].left == 0.0:
        finish(t, i, LEFT, contracts[0], out, EXIT_ROLL, state, books)
    return 2.0 * (slippage + commission + moved)


@bare
def close(t, i, why, kind, slips, quote, state, books):
    """Close the whole position at the price to which it was last moved, each part in its own contract; local cash."""
    cash = 0.0
    left = state.line[i].left
    if left != 0.0:
        price = state.line[i].last + state.line[i].spread
        cash += trade_left(t, i, -left, price, state.line[i].last, kind, why, 0.0, quote, state, books)
    rest = state.line[i].position
    if rest != 0.0:
        cash += trade(t, i, -rest, state.line[i].last, kind, why, 1.0, 0.0, slips, quote, state, books)
    return cash


@inlined
def age(i, state):
    """One more bar of what is held."""
    state.open[WHOLE, i, BARS] += 1.0
    if state.line[i].position != state.line[i].left:
        state.open[LEG, i, BARS] += 1.0
    if state.line[i].left != 0.0:
        state.open[LEFT, i, BARS] += 1.0


@bare
def mark_ambiguous(i, state, books):
    """The bar of a line could be told in two ways."""
    state.line[i].ambiguous += 1.0
    state.open[WHOLE, i, AMBIGUOUS] += 1.0
    state.open[LEG, i, AMBIGUOUS] += 1.0
