"""Spreads that break: a leg can no longer trade, and the legs that can are closed.

Both legs trade, or none; but a contract ends, and a market falls silent, without asking for the other leg.

1. A spread breaks when a leg was closed with its contract (`closed: no matched price`) while another is still held, or
   when a leg of it has had no price on `stale_leg_days` days in a row. Days on which no leg has one do not count.
2. From the next bar on each leg is closed by itself, at its next fill price, as far as locks and volume let it. One
   without a price stays until it has one again, or ends with its contract.
3. Nothing is wanted of the spread until all its legs are flat.
"""

import numpy as np

from engine.blotter import event
from engine.book import EXIT_BROKEN, SPREAD_BROKEN
from engine.kernel import inner


@inner
def break_spreads(t, day_end, marks, rules, state, books):
    """Which spreads break on the bar, and which are flat again; all lines have been marked and have rolled."""
    for j in range(state.members.shape[0]):
        member = state.members[j]
        if member.after - member.first == 1:
            continue
        silent, held = silence(member, marks, day_end, state.lines), 0
        for i in range(member.first, member.after):
            held += state.lines[i].position != 0.0
        if held == 0:
            member.broken = 0
        elif not member.broken and (held < member.after - member.first or silent >= rules.stale_leg_days):
            member.broken = 1
            for i in range(member.first, member.after):
                event(t, i, SPREAD_BROKEN, state.lines[i].position, 0.0, books)


@inner
def silence(member, marks, day_end, lines):
    """Most days in a row, up to this one, on which a leg had no price while another had."""
    most, any_priced = 0, False
    for i in range(member.first, member.after):
        line = lines[i]
        if not np.isnan(marks[line.instrument]):
            line.priced = 1
        any_priced |= line.priced != 0
    for i in range(member.first, member.after):
        line = lines[i]
        if day_end:
            line.missing = 0 if line.priced else line.missing + any_priced
            line.priced = 0
        most = max(most, line.missing)
    return most


@inner
def unwanted(members):
    """Nothing is wanted of a spread that is broken."""
    for j in range(members.shape[0]):
        member = members[j]
        if member.broken:
            member.ideal = member.wanted = member.lowest = member.highest = 0.0


@inner
def why_closed(state):
    """Orders of a spread that is broken say so."""
    for j in range(state.members.shape[0]):
        member = state.members[j]
        if member.broken:
            for i in range(member.first, member.after):
                state.lines[i].why = EXIT_BROKEN
