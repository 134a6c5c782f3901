"""Rolls: a position leaves one contract for the next, at once or over several bars, or ends with its contract.

From the roll day on the whole position is marked in the next contract, as the series is; what the part still in the
contract rolled out of (`left`) earns differently is `roll_gap`, and so is what the legs traded at beyond the series.
"""

import numpy as np

from engine.blotter import close, event, impact_by, roll_part
from engine.book import (
    CLOSED,
    EXIT_CLOSED,
    FRACTIONAL,
    GROSS,
    LEFT,
    LEG,
    NO_PRICE,
    ROLL_GAP,
    ROLL_WAITS,
    ROLLS,
    WHOLE,
)  # fmt: skip
from engine.execution import quoted
from engine.fills import cap
from engine.kernel import bare
from engine.netting import whole_part


@bare
def roll_lines(t, bars, account, shared, state, books):
    """Every line that rolls, is still rolling, or whose contract ends; all have been marked."""
    n = state.line.shape[0]
    for i in range(n):
        state.line[i].delta = going_on(t, i, state.line[i].instrument, bars, account, state)
    for i in range(n):
        if state.line[i].left != 0.0:
            state.line[i].left_bars += 1
            if state.line[i].delta != 0.0:
                cash = go_on(t, i, bars, account, shared, state, books)
                state.line[i].balance += 0.0 if account.sweep else cash
    for i in range(n):
        state.line[i].delta = beginning(t, i, state.line[i].instrument, bars, account, state)
    for i in range(n):
        cash, m = 0.0, state.line[i].instrument
        if state.line[i].position != 0.0 and bars[t, m].roll:
            cash = roll(t, i, bars, account, shared, state, books)
        elif state.line[i].position != 0.0 and bars[t, m].closed:
            quote, held = quoted(t, m, bars), state.line[i].position
            cash = close(t, i, EXIT_CLOSED, CLOSED, 1.0, quote, state, books)
            state.line[i].target = 0.0
            event(t, i, NO_PRICE, held, 0.0, state, books)
        state.line[i].balance += 0.0 if account.sweep else cash


@bare
def beginning(t, i, m, bars, account, state):
    """What of a position rolls on the roll day."""
    q = state.line[i].position
    if q == 0.0 or not bars[t, m].roll:
        return 0.0
    if bars[t, m].left_end:  # nothing of it may stay
        return q
    return np.copysign(due(abs(q), account.roll_days, bars[t, m].roll_volume, account), q)


@bare
def going_on(t, i, m, bars, account, state):
    """What of the part still in the contract rolled out of rolls on this bar."""
    left = state.line[i].left
    if left == 0.0:
        return 0.0
    if bars[t, m].roll or bars[t, m].left_end or bars[t, m].left_contract == 0:
        return left
    if np.isnan(bars[t, m].left_mark) or np.isnan(bars[t, m].mark):
        return 0.0
    days = account.roll_days - (state.line[i].left_bars + 1)
    return np.copysign(due(abs(left), days, bars[t, m].left_volume, account), left)


@bare
def due(size, days, volume, account):
    """What of `size` rolls now, with `days` to go and the volume of the thinner leg."""
    n = size
    if days > 1:
        n = size / days if account.rounding == FRACTIONAL else whole_part(size / days)
    return cap(n, volume, account.participation, account.rounding != FRACTIONAL)


@bare
def roll(t, i, bars, account, shared, state, books):
    """The roll day: what may roll now does, the rest is left in the old contract; returns local cash.

    Legs that trade at the open are those of what was held after the market orders there; the others go at the
    settlements.
    """
    m, q, n = state.line[i].instrument, state.line[i].position, state.line[i].delta
    quote = quoted(t, m, bars)
    from_price, to_price = bars[t, m].roll_from, bars[t, m].roll_to
    from_fill, to_fill = bars[t, m].roll_from_fill, bars[t, m].roll_to_fill
    state.line[i].left, state.line[i].left_contract, state.line[i].left_bars = q, quote.contract, 0
    state.line[i].spread = from_price - to_price
    for field in range(state.open.shape[2]):
        state.open[LEFT, i, field] = state.open[LEG, i, field]
        state.open[LEG, i, field] = 0.0
    state.open[WHOLE, i, ROLLS] += 1.0
    state.line[i].last = to_price
    state.line[i].held = bars[t, m].roll_contract
    if n != q:
        event(t, i, ROLL_WAITS, abs(q), abs(n), state, books)
    if n == 0.0:
        return 0.0
    early = n  # of it what rolls at the prices as traded
    if from_fill != from_price or to_fill != to_price:
        held = state.line[i].opened if state.line[i].opened * n > 0.0 else 0.0
        early = np.copysign(min(abs(n), abs(held)), n)
    volume, cash = bars[t, m].roll_volume, 0.0
    if early != 0.0:
        value = quote.worth * quote.fx
        gap = early * ((from_fill - to_fill) - (from_price - to_price)) * quote.worth
        books.amount[t, i, ROLL_GAP] += gap * quote.fx
        state.open[WHOLE, i, GROSS] += gap * quote.fx
        state.open[LEFT, i, GROSS] += early * (from_fill - from_price) * value
        cash += gap + moved_on(t, i, m, early, from_fill, to_fill, volume, quote, bars, account, shared,
                               state, books)  # fmt: skip
        state.open[LEG, i, GROSS] += early * (to_price - to_fill) * value
    if n != early:  # entered too late for the open: at the settlements
        cash += moved_on(t, i, m, n - early, from_price, to_price, volume, quote, bars, account, shared,
                         state, books)  # fmt: skip
    return cash


@bare
def go_on(t, i, bars, account, shared, state, books):
    """A later bar of a roll: its next part at the settlements of both contracts; returns local cash."""
    m, price = state.line[i].instrument, state.line[i].last
    quote = quoted(t, m, bars)
    n, out = state.line[i].delta, price + state.line[i].spread
    return moved_on(t, i, m, n, out, price, bars[t, m].left_volume, quote, bars, account, shared, state, books)


@bare
def moved_on(t, i, m, n, out, into, volume, quote, bars, account, shared, state, books):
    """Costs and fills of a part that rolls; all that rolls of one market on a bar goes together and nets."""
    net, gross = state.line[i].delta, abs(state.line[i].delta)
    if shared:
        net, gross = 0.0, 0.0
        for k in range(state.line.shape[0]):
            if state.line[k].instrument == m:
                net += state.line[k].delta
                gross += abs(state.line[k].delta)
    sides = (bars[t, m].roll_slippage * quote.worth, bars[t, m].roll_commission)
    impact = impact_by(abs(net), volume, quote, account.power)
    contracts = (state.line[i].left_contract, state.line[i].held)
    return roll_part(t, i, n, out, into, contracts, abs(net) / gross, impact, sides, quote, state, books)
