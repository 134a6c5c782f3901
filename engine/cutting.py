"""What limits, margin calls, the capital floor and the margin of increases leave of the targets.

On most bars nothing has to be cut, and one look at the sums shows it (`fits`).
"""

import numpy as np

from engine.blotter import CRUMB, event
from engine.book import (
    CALL,
    CAPITAL_FLOOR,
    EXIT_CALL,
    EXIT_FLOOR,
    FLOOR,
    FRACTIONAL,
    MARGIN_CALL,
    MARGIN_REFUSED,
    NO_LINE,
    RUINED,
)  # fmt: skip
from engine.kernel import fused, inner
from engine.limits import YEAR, apply
from engine.margin import affordable, call, required
from engine.netting import required_after, whole_part
from engine.state import INITIAL, LIQUIDITY, MAINTENANCE, MULTIPLIER, OPEN_INTEREST, RATE, SIGMA


@inner
def requirements(facts, terms, rules, work, state):
    """Initial and maintenance margin of what is held, and initial margin of what is wanted, where lines net."""
    gather(facts, terms, work, state)
    held, lines, room, credit = work.held, work.lines, work.room, rules.spread_credit
    initial, maintenance, fx = work.each[INITIAL], work.each[MAINTENANCE], work.each[RATE]
    first = required(held.position, held.left, held, lines, room, initial, fx, credit)
    least = required(held.position, held.left, held, lines, room, maintenance, fx, credit)
    return first, least, required_after(work.target, held, lines, room, initial, fx, credit)


@inner
def gather(facts, terms, work, state):
    """Put what is held and wanted into the arrays that limits and margin work on."""
    held, each = work.held, work.each
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        fact, term = facts[line.instrument], terms[line.instrument]
        line.held = term.roll_contract if fact.roll else fact.contract
        held.position[i], held.left[i] = line.position, line.left
        held.held[i], held.left_contract[i] = line.held, line.left_contract
        work.target[i], work.price[line.instrument] = line.wanted, line.last
        work.profit[i] = line.whole.gross + line.gross + line.whole.costs if line.position != 0.0 else 0.0
    for m in range(each.shape[1]):
        fact, term = facts[m], terms[m]
        each[INITIAL, m], each[MAINTENANCE, m], each[RATE, m] = fact.initial, fact.maintenance, fact.fx
        each[MULTIPLIER, m], each[SIGMA, m] = fact.multiplier, term.sigma
        each[LIQUIDITY, m], each[OPEN_INTEREST, m] = term.liquidity, term.open_interest


@fused
def fits(k, asked, equity, lines, facts, terms, most, limits, rules, work):
    """Whether what is wanted is surely within all limits; where lines net, or it is close, `limits.apply` has to look.

    Sums are taken gross and over all lines, so they are never less than what a limit bounds.
    """
    capital, contracts, notional = max(equity, 0.0), 0.0, 0.0
    within = not asked > limits.margin * capital
    for i in range(lines.shape[0]):
        line = lines[i]
        size = abs(line.wanted)
        if size != 0.0:
            fact = facts[line.instrument]
            contracts += size
            notional += size * fact.multiplier * fact.fx * abs(line.last) if line.last == line.last else 0.0
    if most.shape[0] > 0:
        within &= few(most[k if most.shape[0] > 1 else 0], lines, rules.alone, work)
    if rules.risky:
        risk = np.sqrt(YEAR) * risk_of(lines, facts, terms)
        for g in range(limits.group.shape[0]):
            within &= limits.group[g] == np.inf or risk <= limits.group[g] * capital
    worth = min(limits.gross, limits.net)
    within &= worth == np.inf or notional <= worth * capital
    return within and contracts <= min(limits.sector, limits.side)


@fused
def few(most, lines, alone, work):
    """Whether the contracts wanted of each root, gross, are allowed by the limits of its lines."""
    within = True
    if work is None or alone:
        for i in range(lines.shape[0]):
            within &= not abs(lines[i].wanted) > most[i]
        return within
    first, of_root = work.room.first, work.room.root[0]
    for i in range(of_root.shape[0]):
        of_root[i] = 0.0
    for i in range(lines.shape[0]):
        of_root[first[i]] += abs(lines[i].wanted)
    for i in range(lines.shape[0]):
        within &= not (lines[i].wanted != 0.0 and of_root[first[i]] > most[i])
    return within


@inner
def risk_of(lines, facts, terms):
    """Daily risk of what is wanted, as if all markets moved as one; of what is not known none. [account currency]"""
    risk = 0.0
    for i in range(lines.shape[0]):
        line = lines[i]
        fact, sigma = facts[line.instrument], terms[line.instrument].sigma
        risk += abs(line.wanted) * fact.multiplier * fact.fx * sigma if sigma == sigma else 0.0
    return risk


@inner
def cut(t, given, work, state, books):
    """What limits, a margin call, the capital floor and the margin of increases leave of what is wanted."""
    rules, own = given.rules[0], state.own[0]
    part, least = own.part, own.least
    covered = own.equity / part if part > 0.0 else np.inf
    gather(given.facts[given.row[t]], given.terms[given.row[t]], work, state)
    whole, credit = rules.rounding != FRACTIONAL, rules.spread_credit
    held, lines, room = work.held, work.lines, work.room
    initial, fx, target = work.each[INITIAL], work.each[RATE], work.target
    if rules.limited:
        count = apply(
            target, held, work.price, lines, room, work.each, given.limits, credit, part, own.equity, whole, work.cuts
        )  # fmt: skip
        for k in range(count):
            row = work.cuts[k]
            event(t, int(row[0]), int(row[1]), row[2], row[3], books)
    if own.equity < least:
        call(held, work.profit, lines, room, initial, fx, credit, covered, rules.call, whole, work.cut)
        called(t, least, own.equity, work, state, books)
        cut_by_call(work, state)
    if own.equity <= 0.0 and own.ruined == 0:
        ruin(t, own, state, books)
    floor(t, rules, work, state, books)
    for i in range(target.shape[0]):
        work.wanted[i] = target[i]
    if affordable(work.wanted, held, lines, room, initial, fx, credit, covered, whole, target) > 0:
        for i in range(target.shape[0]):
            if abs(target[i] - work.wanted[i]) > CRUMB * abs(work.wanted[i]):
                event(t, i, MARGIN_REFUSED, work.wanted[i], target[i], books)
    for i in range(target.shape[0]):
        state.lines[i].target = target[i]
    if rules.spreads:
        whole_units(whole, state)


@inner
def called(t, asked, equity, work, state, books):
    """Tell a margin call that cuts something: the account's, then of each line that is cut what it holds and keeps."""
    told = False
    for i in range(work.cut.shape[0]):
        held = state.lines[i].position
        if abs(work.cut[i] - held) > CRUMB * abs(held):
            if not told:
                event(t, NO_LINE, MARGIN_CALL, asked, equity, books)
            told = True
            event(t, i, MARGIN_CALL, held, work.cut[i], books)


@inner
def ruin(t, own, state, books):
    """Tell once that all is lost: nothing is left, and nothing is held that could win it back."""
    held = False
    for i in range(state.lines.shape[0]):
        held |= state.lines[i].position != 0.0
    if not held:
        own.ruined = 1
        event(t, NO_LINE, RUINED, 0.0, own.equity, books)


@inner
def cut_by_call(work, state):
    """What a margin call leaves of a position caps its target: who wants to turn, turns."""
    for i in range(work.cut.shape[0]):
        if abs(work.target[i]) > abs(work.cut[i]):
            if work.cut[i] != state.lines[i].position:
                state.lines[i].why, state.lines[i].kind = EXIT_CALL, CALL
            work.target[i] = np.copysign(work.cut[i], work.target[i]) + 0.0


@inner
def floor(t, rules, work, state, books):
    """Below the capital floor all is sold, and nothing is bought again."""
    own = state.own[0]
    if own.floored == 0 and own.equity < rules.floor:
        own.floored = 1
        event(t, NO_LINE, CAPITAL_FLOOR, rules.floor, own.equity, books)
    if own.floored != 0:
        for i in range(work.target.shape[0]):
            work.target[i], state.lines[i].why, state.lines[i].kind = 0.0, EXIT_FLOOR, FLOOR


@inner
def whole_units(whole, state):
    """A member of several legs holds whole units: as many as the leg that was cut most allows."""
    for j in range(state.members.shape[0]):
        member = state.members[j]
        if member.after - member.first > 1:
            units = np.inf
            for k in range(member.first, member.after):
                units = min(units, abs(state.lines[k].target / state.lines[k].ratio))
            if whole:
                units = whole_part(units)
            side = np.sign(state.lines[member.first].target / state.lines[member.first].ratio)
            for k in range(member.first, member.after):
                state.lines[k].target = side * units * state.lines[k].ratio + 0.0


@inner
def postpone(state):
    """Entries that wait: their size is what limits and margin leave of it beyond the target at the market."""
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        member = state.members[line.member]
        if member.pending >= 0:
            held = line.position
            stays = np.copysign(min(abs(line.target), abs(held)), held) if line.target * held > 0.0 else 0.0
            member.amount = line.target - stays
            line.target = stays + 0.0
            if member.amount == 0.0:
                member.pending, member.triggered = -1, 0
