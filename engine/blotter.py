"""The blotter: what the loop over bars books: every booking of profit, cost, fill and trade.

Each cent is booked once: as profit (`move`), as what the contract being rolled out of earns differently (`respread`),
or as the costs of a fill (`trade`, `trade_left`, `roll_part`). It is told in the trades that are open: flat to flat
(`whole`), by contract (`leg`), and in the contract being rolled out of (`leaving`). A line that trades has `line.fact`
and `line.bar` of its market.
"""

import numpy as np

from engine.book import EXIT_ROLL, FX, ROLL_GAP, ROLL_IN, ROLL_OUT
from engine.kernel import fused, inlined, inner

CRUMB = 1e-12  # of a size, below which what is left of it is nothing [1]


@inlined
def move(line, price, fact):
    """Profit of the position since its last mark, up to `price`; returns it in local currency.

    It is told in the trades that are open by `told`: at once only where they differ.
    """
    held, cash = line.position, 0.0
    if held != 0.0:
        value = fact.multiplier * fact.fx
        change = price - line.last
        cash = held * change * fact.multiplier
        amount = held * change * value
        line.price += amount
        line.earned += amount
        line.gross += amount
        line.residual -= held * (fact.offset - line.offset) * value
        if line.left != 0.0:
            part = line.left * change * value
            line.leg.gross -= part
            line.leaving.gross += part
    line.last, line.offset = price, fact.offset
    return cash


@fused
def told(line, books):
    """Tell the open trades what they earned, and how long they were held, since they were told last."""
    if books is None:
        return
    line.whole.gross += line.gross
    line.leg.gross += line.gross
    line.whole.bars += line.bars
    if line.position != line.left:
        line.leg.bars += line.bars
    if line.left != 0.0:
        line.leaving.bars += line.bars
    line.gross = line.bars = 0.0


@fused
def gap(t, line, cash, books):
    """Local cash that the legs of a roll earned beside the series."""
    amount = cash * line.fact.fx
    entry(t, line, ROLL_GAP, amount, books)
    line.whole.gross += amount
    return amount


@inner
def respread(t, line, part, spread, books):
    """What `part` of the contract rolled out of earned beyond the contract held; returns it in local currency."""
    cash = part * (spread - line.spread) * line.fact.multiplier
    line.leaving.gross += gap(t, line, cash, books)
    return cash


@inner
def revalue(t, line, fx, books):
    """Foreign cash that was kept, at the new rate; returns what it has gained."""
    gained = line.balance * (fx - line.rate)
    post(t, line.number, FX, gained, books)
    line.rate = fx
    return gained


@fused
def impact_by(size, volume, line, power):
    """Impact of a side of one contract when `size` of them trade in a volume, or in the usual one. [local currency]"""
    whole = line.terms.impact * line.fact.multiplier
    known = volume if volume > 0.0 else line.bar.usual
    if whole == 0.0 or size == 0.0 or not known > 0.0:
        return 0.0
    return whole * min(size / known, 1.0) ** power  # nobody trades more than there is: more is no dearer


@fused
def entry(t, line, cause, amount, books):
    """Money of a line that is neither its price's nor a fill's."""
    post(t, line.number, cause, amount, books)
    line.earned += amount


@inner
def post(t, i, cause, amount, books):
    """A row of the entries; nothing is told of nothing."""
    if books is not None and amount != 0.0:
        own = books.own[0]
        row = books.entries[own.entries]
        row.t, row.line, row.cause, row.amount = t, i, cause, amount
        own.entries += 1


@fused
def record(t, line, contract, kind, contracts, price, slippage, impact, commission, books):
    """One fill; costs negative, in account currency."""
    line.fills += 1
    line.costs += slippage + impact + commission
    if books is None:
        return
    own = books.own[0]
    row = books.fills[own.fills]
    row.t, row.line, row.contract, row.kind, row.contracts = t, line.number, contract, kind, contracts
    row.price, row.slippage, row.impact, row.commission = price, slippage, impact, commission
    own.fills += 1


@inner
def event(t, i, what, wanted, allowed, books):
    """One thing worth telling."""
    if books is None:
        return
    own = books.own[0]
    row = books.events[own.events]
    row.t, row.line, row.kind, row.wanted, row.allowed = t, i, what, wanted, allowed
    own.events += 1


@inner
def begin(t, line, trade, contract, price, position, kind, books):
    """A trade begins."""
    if books is None:
        return
    clear(trade)
    trade.line, trade.direction, trade.entry, trade.entry_kind = line.number, np.sign(position), t, kind
    trade.contracts, trade.entry_contract, trade.entry_price = abs(position), contract, price
    trade.risk = np.nan


@inner
def clear(trade):
    """No trade."""
    trade.line = trade.direction = trade.contracts = trade.entry = trade.exit = 0.0
    trade.entry_contract = trade.exit_contract = trade.entry_price = trade.exit_price = 0.0
    trade.rolls = trade.bars = trade.gross = trade.costs = 0.0
    trade.exit_reason = trade.entry_kind = trade.risk = trade.ambiguous = 0.0


@inner
def finish(t, trade, contract, price, why, row):
    """A trade ends: it goes into a row of its table."""
    copy(trade, row)
    row.exit, row.exit_contract, row.exit_price, row.exit_reason = t, contract, price, why


@inner
def copy(trade, row):
    """All that a trade tells, into another record."""
    row.line, row.direction, row.contracts, row.entry, row.exit = (
        trade.line, trade.direction, trade.contracts, trade.entry, trade.exit,
    )  # fmt: skip
    row.entry_contract, row.exit_contract = trade.entry_contract, trade.exit_contract
    row.entry_price, row.exit_price, row.rolls, row.bars = trade.entry_price, trade.exit_price, trade.rolls, trade.bars
    row.gross, row.costs, row.exit_reason = trade.gross, trade.costs, trade.exit_reason
    row.entry_kind, row.risk, row.ambiguous = trade.entry_kind, trade.risk, trade.ambiguous


@inner
def finish_whole(t, line, contract, price, why, books):
    """The trade flat to flat ends."""
    line.trades += 1
    if books is None:
        return
    own = books.own[0]
    finish(t, line.whole, contract, price, why, books.trades[own.trades])
    own.trades += 1


@inner
def finish_leg(t, line, contract, price, why, books):
    """The trade in the contract held ends."""
    if books is None:
        return
    own = books.own[0]
    finish(t, line.leg, contract, price, why, books.legs[own.legs])
    own.legs += 1


@inner
def finish_leaving(t, line, price, why, books):
    """The trade in the contract rolled out of ends."""
    if books is None:
        return
    own = books.own[0]
    finish(t, line.leaving, line.left_contract, price, why, books.legs[own.legs])
    own.legs += 1


@inner
def trade(t, line, delta, price, kind, why, share, impact, slips, books):
    """Trade `delta` of the contract of the bar at a price to which the position has been moved; returns local cash.

    `share` of it is traded outside; `impact` is that of one contract [local]; `slips` is 0 for orders that get their
    price or a better one.
    """
    told(line, books)
    fact = line.fact
    held, part = line.position, line.position - line.left
    size, fx, contract = abs(delta), fact.fx, np.int64(fact.contract)
    after = rest(part + delta, size)  # of the contract of the bar
    wanted = after + line.left
    slippage, commission = (
        -size * share * (line.terms.slippage * fact.multiplier) * slips,
        -size * share * line.terms.commission,
    )
    moved = -size * share * impact * slips
    record(t, line, contract, kind, delta, price, slippage * fx, moved * fx, commission * fx, books)
    line.earned += slippage * fx + commission * fx + moved * fx
    line.sides += size * share * abs(price) * fact.multiplier * fx
    cost = (slippage + commission + moved) * fx / size
    closing = min(size, abs(held)) if held * delta < 0.0 else 0.0
    closing_part = min(size, abs(part)) if part * delta < 0.0 else 0.0
    if books is not None:
        line.whole.costs += cost * closing
        line.leg.costs += cost * closing_part
    if held != 0.0 and held * wanted <= 0.0:
        finish_whole(t, line, contract, price, why, books)
    if part != 0.0 and part * after <= 0.0:
        finish_leg(t, line, contract, price, why, books)
    if held * wanted <= 0.0 and wanted != 0.0:
        begin(t, line, line.whole, contract, price, wanted, kind, books)
    if part * after <= 0.0 and after != 0.0:
        begin(t, line, line.leg, contract, price, after, kind, books)
    if books is not None:
        line.whole.contracts = max(line.whole.contracts, abs(wanted))
        line.leg.contracts = max(line.leg.contracts, abs(after))
        line.whole.costs += cost * (size - closing)
        line.leg.costs += cost * (size - closing_part)
    line.position = wanted
    line.held = contract
    return slippage + commission + moved


@fused
def rest(left, traded):
    """What is left of a size of which a part was traded; fractions of contracts leave no crumbs of rounding."""
    return left if abs(left) > CRUMB * traded else 0.0


@inner
def trade_left(t, line, delta, price, new_price, kind, why, impact, books):
    """Trade `delta` of the contract rolled out of, which only shrinks; the position has been moved to `new_price`."""
    told(line, books)
    cash = respread(t, line, -delta, price - new_price, books)
    fact, size = line.fact, abs(delta)
    fx, contract = fact.fx, line.left_contract
    slippage, commission = -size * (line.terms.slippage * fact.multiplier), -size * line.terms.commission
    moved = -size * impact
    record(t, line, contract, kind, delta, price, slippage * fx, moved * fx, commission * fx, books)
    line.earned += slippage * fx + commission * fx + moved * fx
    line.sides += size * abs(price) * fact.multiplier * fx
    costs = slippage + commission + moved
    line.whole.costs += costs * fx
    line.leaving.costs += costs * fx
    part = line.position - line.left
    line.left = rest(line.left + delta, size)
    line.position = part + line.left
    if line.left == 0.0:
        finish_leaving(t, line, price, why, books)
    if line.position == 0.0:
        finish_whole(t, line, contract, price, why, books)
    return cash + costs


@inner
def roll_part(t, line, n, out, into, share, impact, books):
    """Costs, fills and trades of `n` contracts (signed) that leave one contract for the next; returns local cash.

    `out` and `into` are the prices at which the legs trade. The trade in the contract that is left is `leaving`.
    """
    told(line, books)
    fact, size = line.fact, abs(n)
    fx = fact.fx
    slippage = -size * share * (line.terms.roll_slippage * fact.multiplier)
    commission, moved = -size * share * line.terms.roll_commission, -size * share * impact
    old, new = line.left_contract, line.held
    record(t, line, old, ROLL_OUT, -n, out, slippage * fx, moved * fx, commission * fx, books)
    record(t, line, new, ROLL_IN, n, into, slippage * fx, moved * fx, commission * fx, books)
    line.earned += 2.0 * slippage * fx + 2.0 * commission * fx + 2.0 * moved * fx
    line.sides += size * share * (abs(out) + abs(into)) * fact.multiplier * fx
    cost = (slippage + commission + moved) * fx
    line.whole.costs += 2.0 * cost
    line.leaving.costs += cost
    if line.position == line.left:
        begin(t, line, line.leg, new, into, n, ROLL_IN, books)
    line.left = rest(line.left - n, size)
    line.leg.costs += cost
    line.leg.contracts = max(line.leg.contracts, abs(line.position - line.left))
    if line.left == 0.0:
        finish_leaving(t, line, out, EXIT_ROLL, books)
    return 2.0 * (slippage + commission + moved)


@inner
def close(t, line, why, kind, slips, extras, books):
    """Close the whole position at the price to which it was last moved, each part in its own contract; local cash."""
    cash = 0.0
    if extras is not None and line.left != 0.0:
        price = line.last + line.spread
        cash += trade_left(t, line, -line.left, price, line.last, kind, why, 0.0, books)
    if line.position != 0.0:
        cash += trade(t, line, -line.position, line.last, kind, why, 1.0, 0.0, slips, books)
    return cash


@inner
def mark_ambiguous(line):
    """The bar of a line could be told in two ways."""
    line.ambiguous += 1.0
    line.whole.ambiguous += 1.0
    line.leg.ambiguous += 1.0
