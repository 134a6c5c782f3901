"""Rolls: a position leaves one contract for the next, at once or over several bars, or ends with its contract.

From the roll day on the whole position is marked in the next contract, as the series is; what the part still in the
contract rolled out of (`left`) earns differently is `roll_gap`, and so is what the legs traded at beyond the series.
"""

import numpy as np

from engine.blotter import clear, close, copy, event, gap, impact_by, roll_part, told
from engine.book import CLOSED, EXIT_CLOSED, FRACTIONAL, NO_PRICE, ROLL_WAITS
from engine.fills import cap
from engine.kernel import fused, inner
from engine.netting import whole_part

QUIET, ROLLING, BUSY = np.int64(0), np.int64(1), np.int64(2)  # of `line.busy`: what a line has to do on a bar


@fused
def read(t, line, given):
    """Put what the market says on the bar into `line.bar`, `line.fact` and `line.terms`."""
    m, bar, quotes = line.instrument, line.bar, given.quotes
    read_terms(t, line, given.row, given.facts, given.terms)
    bar.market, bar.mark, bar.volume, bar.locked = (
        quotes.fill[t, m],
        quotes.mark[t, m],
        quotes.volume[t, m],
        quotes.locked[t, m],
    )
    if line.ordered:
        bar.open, bar.high, bar.low, bar.close = (
            quotes.open[t, m],
            quotes.high[t, m],
            quotes.low[t, m],
            quotes.close[t, m],
        )
    read_left(t, line, quotes)


@fused
def read_terms(t, line, row, facts, terms):
    """What belongs to the market on the bar, but its prices."""
    m, k = line.instrument, row[t]
    line.fact, line.terms = facts[k, m], terms[k, m]
    line.bar.usual = np.nan
    if line.terms.impact != 0.0 and t > 0:
        line.bar.usual = terms[row[t - 1], m].liquidity


@fused
def read_left(t, line, quotes):
    """What the market says of the contract rolled out of, if a part of the position is in it still."""
    if line.left != 0.0:
        m, bar = line.instrument, line.bar
        bar.left_open, bar.left_mark, bar.left_volume = (
            quotes.left_open[t, m],
            quotes.left_mark[t, m],
            quotes.left_volume[t, m],
        )


@fused
def roll_lines(t, count, given, extras, state, books):
    """Every line that rolls, is still rolling, or whose contract ends; all have been marked.

    Lines of one market go together, so that each step is taken by all of them before the next.
    """
    lines, rules, found = state.lines, given.rules[0], state.found
    for n in range(count):
        line = lines[found[n]]
        line.delta = 0.0
        if line.busy == ROLLING and line.position != 0.0:
            read_terms(t, line, given.row, given.facts, given.terms)
            read_left(t, line, given.quotes)
            if extras is not None:
                line.delta = going_on(line, rules)
            if extras is None or not rules.shared:
                if extras is not None:
                    go_on(t, line, lines, rules, extras, books)
                line.delta = beginning(line, rules)
                roll_or_end(t, line, lines, rules, extras, books)
                line.delta = 0.0
    if extras is None or not rules.shared:
        return
    for n in range(count):
        go_on(t, lines[found[n]], lines, rules, extras, books)
    for n in range(count):
        line = lines[found[n]]
        line.delta = beginning(line, rules) if line.busy == ROLLING else 0.0
    for n in range(count):
        roll_or_end(t, lines[found[n]], lines, rules, extras, books)
    for n in range(count):
        lines[found[n]].delta = 0.0


@fused
def roll_or_end(t, line, lines, rules, extras, books):
    """The roll day of a line, or the end of its contract."""
    if line.busy == ROLLING and line.position != 0.0:
        cash = 0.0
        if line.fact.roll:
            cash = roll(t, line, lines, rules, extras, books)
        elif line.fact.closed:
            event(t, line.number, NO_PRICE, line.position, 0.0, books)
            cash = close(t, line, EXIT_CLOSED, CLOSED, 1.0, extras, books)
            line.target = 0.0
        line.balance += 0.0 if rules.sweep else cash


@fused
def beginning(line, rules):
    """What of a position rolls on the roll day."""
    q = line.position
    if q == 0.0 or not line.fact.roll:
        return 0.0
    if line.terms.left_end:  # nothing of it may stay
        return q
    return np.copysign(due(abs(q), rules.roll_days, line.terms.roll_volume, rules), q)


@inner
def going_on(line, rules):
    """What of the part still in the contract rolled out of rolls on this bar."""
    left, fact = line.left, line.fact
    if left == 0.0:
        return 0.0
    if fact.roll or line.terms.left_end or line.terms.left_contract == 0:
        return left
    if np.isnan(line.bar.left_mark) or np.isnan(line.bar.mark):
        return 0.0
    days = rules.roll_days - (line.left_bars + 1)
    return np.copysign(due(abs(left), days, line.bar.left_volume, rules), left)


@inner
def due(size, days, volume, rules):
    """What of `size` rolls now, with `days` to go and the volume of the thinner leg."""
    n = size
    if days > 1:
        n = size / days if rules.rounding == FRACTIONAL else whole_part(size / days)
    return cap(n, volume, rules.participation, rules.rounding != FRACTIONAL)


@fused
def roll(t, line, lines, rules, extras, books):
    """The roll day: what may roll now does, the rest is left in the old contract; returns local cash.

    Legs that trade at the open are those of what was held after the market orders there; the others go at the
    settlements.
    """
    told(line, books)
    fact, terms, q, n = line.fact, line.terms, line.position, line.delta
    line.left, line.left_contract, line.left_bars = q, fact.contract, 0
    line.spread = terms.roll_from - terms.roll_to
    if books is not None:
        copy(line.leg, line.leaving)
        clear(line.leg)
        line.whole.rolls += 1.0
    line.offset += line.last - terms.roll_to  # the adjusted price stays
    line.last = terms.roll_to
    line.held = terms.roll_contract
    if n != q:
        event(t, line.number, ROLL_WAITS, abs(q), abs(n), books)
    if n == 0.0:
        return 0.0
    early = n  # of it what rolls at the prices as traded
    if terms.roll_from_fill != terms.roll_from or terms.roll_to_fill != terms.roll_to:
        held = line.opened if line.opened * n > 0.0 else 0.0
        early = np.copysign(min(abs(n), abs(held)), n)
    cash, volume = 0.0, terms.roll_volume
    if early != 0.0:
        value = fact.multiplier * fact.fx
        beyond = (terms.roll_from_fill - terms.roll_to_fill) - (terms.roll_from - terms.roll_to)
        cash = early * beyond * fact.multiplier
        gap(t, line, cash, books)
        line.leaving.gross += early * (terms.roll_from_fill - terms.roll_from) * value
        cash += moved_on(t, line, early, terms.roll_from_fill, terms.roll_to_fill, volume, lines, rules, extras, books)
        line.leg.gross += early * (terms.roll_to - terms.roll_to_fill) * value
    if n != early:  # entered too late for the open: at the settlements
        cash += moved_on(t, line, n - early, terms.roll_from, terms.roll_to, volume, lines, rules, extras, books)
    return cash


@inner
def go_on(t, line, lines, rules, extras, books):
    """A later bar of a roll: its next part at the settlements of both contracts."""
    if line.left != 0.0:
        line.left_bars += 1
        if line.delta != 0.0:
            out, volume = line.last + line.spread, line.bar.left_volume
            cash = moved_on(t, line, line.delta, out, line.last, volume, lines, rules, extras, books)
            line.balance += 0.0 if rules.sweep else cash


@fused
def moved_on(t, line, n, out, into, volume, lines, rules, extras, books):
    """Costs and fills of a part that rolls; all that rolls of one market on a bar goes together and nets."""
    net, gross = line.delta, abs(line.delta)
    if extras is not None and rules.shared:
        net, gross = 0.0, 0.0
        for k in range(lines.shape[0]):
            if lines[k].instrument == line.instrument:
                net += lines[k].delta
                gross += abs(lines[k].delta)
    impact = impact_by(abs(net), volume, line, rules.power)
    return roll_part(t, line, n, out, into, abs(net) / gross, impact, books)
