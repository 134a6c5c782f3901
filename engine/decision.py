"""What is decided at the end of a bar: margin calls, and the targets and orders of the next one.

Member by member: capital, size, what is blocked or held for good, buffer, whole contracts. Then all lines together:
limits, the margin call, the margin of increases; then spreads, of whole units or nothing (`engine.cutting`).
"""

import numpy as np

from engine.book import (
    BY_MARKET,
    BY_TIME,
    EXIT_CALL,
    EXIT_FLOOR,
    EXIT_SIGNAL,
    EXIT_TIME,
    FRACTIONAL,
    MARKET,
)  # fmt: skip
from engine.kernel import bare, fused, inner
from engine.sizing.whole import nearest

HELD, IDEAL, LOWEST, HIGHEST, CHOSEN, FORECAST = range(6)  # rows of `Work.units`


@inner
def units_of(member, lines):
    """Units of a spread: of the leg that has least of them, none unless all lie on one side."""
    units = lines[member.first].position / lines[member.first].ratio
    for k in range(member.first + 1, member.after):
        other = lines[k].position / lines[k].ratio
        units = np.copysign(min(abs(units), abs(other)), units) if units * other > 0.0 else 0.0
    return units


@inner
def ask(t, programs, work, state):
    """Forecasts of the functions that are called bar by bar, each for its own members."""
    held, forecast = work.units[HELD], work.units[FORECAST]
    for j in range(held.shape[0]):
        held[j] = units_of(state.members[j], state.lines)
    for p in range(programs.first.shape[0]):
        first, last = programs.first[p], programs.last[p]
        if last > first:
            sleeve = state.sleeves[state.lines[state.members[first].first].sleeve]
            programs.functions[p](
                t, programs.column[first:last], programs.adjusted, programs.mark, held[first:last], sleeve.equity,
                programs.params[p], programs.memory[first:last], forecast[first:last],
            )  # fmt: skip
    for j in range(held.shape[0]):
        state.members[j].forecast = forecast[j]


@fused
def plan(new, lines, sleeves, facts, weight, usuals, rules, floored):
    """`wish` and `aim` at once, where every member is one line that follows what forecasts want of it."""
    first = least = asked = 0.0
    per_capital, buffer, fractional = rules.per_capital, rules.buffer, rules.rounding == FRACTIONAL
    for j in range(lines.shape[0]):
        line = lines[j]
        fact, held = facts[line.instrument], line.position
        base, width = 1.0, 0.0
        if per_capital and not line.contracts:
            base = capital_of(sleeves[line.sleeve], rules)
        wanted = weight[j] * base if fact.available and not floored else 0.0
        if buffer != 0.0 and not line.contracts:
            width = buffer * abs(usuals[j] * base)
        if width != 0.0 and wanted != 0.0:
            _, wanted = buffered(wanted, held, width, fractional)
        elif not fractional:
            wanted = np.trunc(wanted) + 0.0
        if not new and wanted != 0.0:
            wanted = line.wanted
        line.wanted = line.target = wanted
        line.why, line.kind = EXIT_SIGNAL, BY_MARKET
        if held != 0.0 or wanted != 0.0:
            each = fact.initial * fact.fx
            first += abs(held) * each
            asked += abs(wanted) * each
            least += abs(held) * (fact.maintenance * fact.fx)
    return first, least, asked


@inner
def wish(t, new, lines, members, sleeves, facts, weight, usuals, orders, rules, floored):
    """The units that each member would hold by itself: `ideal`, and `wanted` after its own rules.

    Where targets are not `new` what is wanted already stays, but it can become nothing.
    """
    fractional = rules.rounding == FRACTIONAL
    for j in range(members.shape[0]):
        member, before = members[j], members[j].wanted
        line = lines[member.first]
        base, held = 1.0, units_of(member, lines)
        if rules.per_capital and not member.contracts:
            base = capital_of(sleeves[line.sleeve], rules)
        usual, wanted = usuals[j] * base, weight[j] * base
        if member.program >= 0:
            wanted = member.forecast * usual
            wanted = wanted if np.isfinite(wanted) else 0.0
        for k in range(member.first, member.after):
            if floored or not facts[lines[k].instrument].available:  # below the capital floor nothing is bought
                wanted = 0.0
        if member.ordered:
            wanted = ordered(line, member, wanted, orders[t, j])
        kept, whole = wanted == 0.0, wanted
        if not kept and not member.follows:
            kept = held * wanted > 0.0
            whole = wanted = entering(held, line.target / line.ratio) if kept else wanted
        elif not kept:
            width = 0.0 if member.contracts else rules.buffer * abs(usual)
            kept = abs(wanted - held) <= width
            wanted, whole = buffered(wanted, held, width, fractional)
        whole = wanted if fractional else np.trunc(whole) + 0.0
        member.units, member.ideal, member.wanted = held, wanted, whole if new or whole == 0.0 else before
        fixed = kept or member.contracts
        member.lowest, member.highest = (whole, whole) if fixed else (-np.inf, np.inf)


@fused
def capital_of(sleeve, rules):
    """What a sleeve sizes its positions by."""
    return max(sleeve.equity, 0.0) if rules.compounding else sleeve.capital


@fused
def buffered(wanted, held, width, fractional):
    """What is held within the buffer around a wish, else its edge; and the same in whole contracts."""
    if abs(wanted - held) <= width:
        return held, held if fractional else np.trunc(held) + 0.0
    ideal = wanted - np.sign(wanted - held) * width
    if fractional:
        return ideal, ideal
    return ideal, np.trunc(ideal if width == 0.0 else edge(wanted, held, width)) + 0.0


@bare
def edge(wanted, held, width):
    """What is held within the buffer around a wish, else its nearer edge to the nearest whole contract.

    Of two that are as near the one nearer to what is held; never beyond the wish cut toward zero. Source: R. Carver,
    Advanced Futures Trading Strategies, 2023: the limits of the buffer are rounded.

    >>> [edge(1.0, 0.0, 0.1), edge(12.5, 9.0, 1.0), edge(10.9, 9.0, 1.0), edge(2.7, 9.0, 0.25)]
    [1.0, 11.0, 9.0, 3.0]
    """
    whole = np.trunc(wanted)
    if abs(whole - held) <= width:
        return held
    if whole > held:
        return min(whole, max(held, np.ceil(wanted - width - 0.5)))
    return max(whole, min(held, np.floor(wanted + width + 0.5)))


@inner
def entering(held, target):
    """What is held, or all that was wanted where the volume has let only a part of it in (T23)."""
    return target if target * held > 0.0 and abs(target) > abs(held) else held


@inner
def ordered(line, member, wanted, asked):
    """What orders make of a wish: levels move, what was left waits for a new episode, time runs out."""
    held = line.position
    if held == 0.0:
        member.closing = 0
        if member.pending < 0:
            member.stop_at = member.goal_at = np.nan
    side = held if held != 0.0 else member.amount * (member.pending >= 0)
    if wanted * side > 0.0:  # rows of the side that is held, or waits, move its levels
        member.stop_at = asked.stop_at if not np.isnan(asked.stop_at) else member.stop_at
        member.goal_at = asked.target_at if not np.isnan(asked.target_at) else member.goal_at
        member.episode = asked.episode if held != 0.0 and member.closing == 0 else member.episode
    if member.closing != 0 or member.blocked == asked.episode:
        return 0.0
    if wanted * held > 0.0 and 0 < member.hold <= member.days:
        member.blocked = asked.episode
        line.why, line.kind = EXIT_TIME, BY_TIME
        return 0.0
    return wanted


@inner
def by_risk(t, risk, work, state):
    """The whole contracts that are nearest in risk to what members would hold."""
    units = work.units
    for j in range(units.shape[1]):
        member = state.members[j]
        units[HELD, j], units[IDEAL, j], units[CHOSEN, j] = member.units, member.ideal, member.wanted
        units[LOWEST, j], units[HIGHEST, j] = member.lowest, member.highest
    nearest(
        units[IDEAL], units[HELD], units[LOWEST], units[HIGHEST], risk.covariance[risk.period[t]], risk.cost[t],
        units[CHOSEN],
    )  # fmt: skip
    for j in range(units.shape[1]):
        state.members[j].wanted = units[CHOSEN, j]


@inner
def aim(t, lines, members, facts, orders):
    """What the lines want, which is their target unless something cuts it; entries that wait are counted as if they
    filled, and put off again by `postpone`.

    Returns initial and maintenance margin of what is held, and initial margin of what is wanted, where no line nets
    with another. [account currency]
    """
    first = least = asked = 0.0
    for i in range(lines.shape[0]):
        line = lines[i]
        member, fact = members[line.member], facts[line.instrument]
        wanted, goes_on = member.wanted, False
        if line.ordered:
            goes_on = member.closing != 0 or member.blocked == orders[t, line.member].episode
            wanted = waiting(t, line, member, wanted, orders)
        if not goes_on or line.why == EXIT_CALL or line.why == EXIT_FLOOR:
            line.why, line.kind = EXIT_SIGNAL, BY_MARKET
        line.wanted = line.target = wanted * line.ratio + 0.0
        if line.position != 0.0 or line.wanted != 0.0:
            first += abs(line.position) * fact.initial * fact.fx
            least += abs(line.position) * fact.maintenance * fact.fx
            asked += abs(line.wanted) * fact.initial * fact.fx
    return first, least, asked


@inner
def waiting(t, line, member, wanted, orders):
    """What an ordered member wants at the market; what waits, or begins to wait, is added as if it filled."""
    asked, held = orders[t, line.member], line.position
    market = asked.kind == MARKET
    if member.pending >= 0:
        over = wanted * (held if held != 0.0 else member.amount) <= 0.0 or (held != 0.0 and member.follows)
        if over or (held == 0.0 and orders[member.asked, line.member].episode != asked.episode):
            member.pending, member.triggered = -1, 0
    if held != 0.0:
        if not market and wanted * held <= 0.0:
            return 0.0
        return wanted + (member.amount if member.pending >= 0 else 0.0)
    if member.pending >= 0:
        return member.amount
    if not market and wanted != 0.0:
        member.pending, member.amount, member.asked = asked.kind, wanted, t
        member.triggered = member.filled = member.tried = 0
        member.stop_at, member.goal_at = asked.stop_at, asked.target_at
    return wanted
