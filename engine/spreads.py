"""Spreads that break: a leg can no longer trade, and the legs that can are closed.

Both legs trade, or none; but a contract ends, and a market falls silent, without asking for the other leg.

1. A spread breaks when a leg was closed with its contract (`closed: no matched price`) while another is still held, or
   when a leg of it has had no price on `stale_leg_days` days in a row. Days on which no leg has one do not count.
2. From the next bar on each leg is closed by itself, at its next fill price, as far as locks and volume let it. One
   without a price stays until it has one again, or ends with its contract.
3. Nothing is wanted of the spread until all its legs are flat.
"""

from engine.blotter import event
from engine.book import EXIT_BROKEN, SPREAD_BROKEN
from engine.kernel import bare


@bare
def break_spreads(t, bars, account, clock, state, books):
    """Which spreads break on the bar, and which are flat again; all lines have been marked and have rolled."""
    for k in range(state.spread.shape[0]):
        mine = state.member[state.spread[k]]
        silent, held = silence(t, mine, bars, clock.day_end[t], state), 0
        for i in range(mine.first, mine.after):
            held += state.line[i].position != 0.0
        if held == 0:
            mine.broken = 0
        elif not mine.broken and (held < mine.after - mine.first or silent >= account.stale_leg_days):
            mine.broken = 1
            for i in range(mine.first, mine.after):
                event(t, i, SPREAD_BROKEN, state.line[i].position, 0.0, state, books)


@bare
def silence(t, mine, bars, day_end, state):
    """Most days in a row, up to this one, on which a leg had no price while another had."""
    most, any_priced = 0, False
    for i in range(mine.first, mine.after):
        line = state.line[i]
        line.priced |= bars[t, line.instrument].mark == bars[t, line.instrument].mark
        any_priced |= line.priced != 0
    for i in range(mine.first, mine.after):
        line = state.line[i]
        if day_end:
            line.missing = 0 if line.priced else line.missing + any_priced
            line.priced = 0
        most = max(most, line.missing)
    return most


@bare
def unwanted(made, state):
    """Nothing is wanted of a spread that is broken."""
    for k in range(state.spread.shape[0]):
        j = state.spread[k]
        if state.member[j].broken:
            made.ideal[j], made.whole[j], made.lowest[j], made.highest[j] = 0.0, 0.0, 0.0, 0.0


@bare
def why_closed(state):
    """Orders of a spread that is broken say so."""
    for k in range(state.spread.shape[0]):
        mine = state.member[state.spread[k]]
        if mine.broken:
            for i in range(mine.first, mine.after):
                state.line[i].why = EXIT_BROKEN
