"""What is decided at the end of a bar: margin calls, and the targets and orders of the next one.

Member by member: capital, size, what is blocked or held for good, buffer, whole contracts; then all lines together:
limits, the margin call, the margin of increases; then spreads, whose legs are whole units or nothing.
"""

from typing import NamedTuple

import numpy as np

from engine.blotter import CRUMB, event
from engine.book import (
    BY_MARKET,
    BY_TIME,
    CALL,
    CAPITAL_FLOOR,
    COSTS,
    EXIT_CALL,
    EXIT_FLOOR,
    EXIT_SIGNAL,
    EXIT_TIME,
    FLOOR,
    FRACTIONAL,
    GROSS,
    MARGIN_CALL,
    MARGIN_REFUSED,
    MARKET,
    NEAREST_RISK,
    RUINED,
    WHOLE,
)  # fmt: skip
from engine.bracket import day_ends
from engine.kernel import bare
from engine.limits import KINDS, apply
from engine.margin import affordable, call, required
from engine.netting import Holdings, Room, netting, whole_part
from engine.sizing.whole import nearest
from engine.spreads import unwanted, why_closed


class Work(NamedTuple):
    """What the decisions compute in, made once a run; arrays (line,) and (member,) unless said."""

    room: Room  # who nets with whom
    held: Holdings  # what is held of which contract
    target: np.ndarray  # (line,) [contracts, signed]
    wanted: np.ndarray  # (line,) targets before something cuts them
    cut: np.ndarray  # (line,) positions that a margin call leaves
    profit: np.ndarray  # (line,) of the trades now open [account currency]
    price: np.ndarray  # (market,) last known of the contract held [points]
    cuts: np.ndarray  # (row, 4) what limits cut: line, event, wanted, allowed
    units: np.ndarray  # (member,) held [contracts or units of a spread]
    ideal: np.ndarray  # (member,) wanted, not yet whole
    whole: np.ndarray  # (member,) wanted, whole
    lowest: np.ndarray  # (member,) between which and `highest` whole units are chosen
    highest: np.ndarray
    forecast: np.ndarray  # (member,) of a function called bar by bar


def work(lines, members, markets):
    """The `Work` of a run's lines, and numbers of members and markets."""
    count = len(lines.member)
    contract = np.zeros((2, count), np.int64)
    held = Holdings(np.zeros(count), np.zeros(count), contract[0].copy(), contract[1].copy())
    row, unit = (lambda: np.zeros(count)), (lambda: np.zeros(members))
    cuts = np.zeros((KINDS * max(count, 1), 4))
    return Work(
        netting(lines), held, row(), row(), row(), row(), np.full(markets, np.nan), cuts,
        unit(), unit(), unit(), unit(), unit(), unit(),
    )  # fmt: skip


@bare
def decide(
    t, bars, facts, lines, wishes, orders, account, limits, clock, sleeves, available, programs, risk, made, state,
    curves, books,
):  # fmt: skip
    """Margin of the bar, and targets and pending orders for the next one."""
    equity, held = state.money[0], made.held
    if clock.day_end[t]:
        day_ends(t, orders, state, books)
    _look(t, bars, made, state)
    initial, maintenance, fx = facts.initial[t], facts.maintenance[t], facts.fx[t]
    part = 1.0 if clock.day_end[t] else account.intraday_margin
    covered = equity / part if part > 0.0 else np.inf  # what is asked is a share of the requirement
    credit, whole = account.spread_credit, account.rounding != FRACTIONAL
    curves.margin[t] = part * required(held.position, held.left, held, lines, made.room, initial, fx, credit)
    least = required(held.position, held.left, held, lines, made.room, maintenance, fx, credit)
    _ask(t, programs, made, state)
    new = clock.day_end[t] or not account.daily
    for j in range(made.units.shape[0]):
        before = made.whole[j]
        _wish(t, j, wishes, orders, account, sleeves, available, made, state)
        if not new and made.whole[j] != 0.0:
            made.whole[j] = before
    unwanted(made, state)
    if new and account.rounding == NEAREST_RISK and risk.period[t] >= 0:
        covariance, cost = risk.covariance[risk.period[t]], risk.cost[t]
        nearest(made.ideal, made.units, made.lowest, made.highest, covariance, cost, made.whole)
    _targets(t, wishes, orders, made, state)
    why_closed(state)
    if limits.any:
        count = apply(
            t, made.target, held, made.price, lines, made.room, facts, limits, credit, part, equity, whole, made.cuts
        )
        for k in range(count):
            row = made.cuts[k]
            event(t, int(row[0]), int(row[1]), row[2], row[3], state, books)
    if equity < part * least:
        call(held, made.profit, lines, made.room, initial, fx, credit, covered, account.call, whole, made.cut)
        _called(t, part * least, equity, made, state, books)
        _cap(made, state)
    if equity <= 0.0 and state.money[2] == 0.0:
        _ruined(t, equity, state, books)
    _floor(t, equity, account, made, state, books)
    for i in range(made.target.shape[0]):
        made.wanted[i] = made.target[i]
    if affordable(made.wanted, held, lines, made.room, initial, fx, credit, covered, whole, made.target) > 0:
        for i in range(made.target.shape[0]):
            if abs(made.target[i] - made.wanted[i]) > CRUMB * abs(made.wanted[i]):
                event(t, i, MARGIN_REFUSED, made.wanted[i], made.target[i], state, books)
    _whole_units(whole, made, state)
    _postpone(made, state)
    for i in range(made.target.shape[0]):
        state.line[i].target = made.target[i]


@bare
def _look(t, bars, made, state):
    """What each line holds after the bar: contracts, their price, the profit of the open trade; units of members."""
    held = made.held
    for i in range(state.line.shape[0]):
        line = state.line[i]
        m = line.instrument
        rolls = bars[t, m].roll
        line.held = bars[t, m].roll_contract if rolls else bars[t, m].contract
        if rolls or not np.isnan(bars[t, m].mark):
            made.price[m] = bars[t, m].roll_to if rolls else bars[t, m].mark
        held.position[i], held.left[i] = line.position, line.left
        held.held[i], held.left_contract[i] = line.held, line.left_contract
        made.profit[i] = state.open[WHOLE, i, GROSS] + state.open[WHOLE, i, COSTS] if line.position != 0.0 else 0.0
    for j in range(made.units.shape[0]):  # of the leg that has least of them, none unless all lie on one side
        i = state.member[j].first
        units = state.line[i].position / state.line[i].ratio
        for k in range(i + 1, state.member[j].after):
            other = state.line[k].position / state.line[k].ratio
            units = np.copysign(min(abs(units), abs(other)), units) if units * other > 0.0 else 0.0
        made.units[j] = units


@bare
def _called(t, asked, equity, made, state, books):
    """Tell a margin call that cuts something: the account's, then of each line that is cut what it holds and keeps."""
    told = False
    for i in range(made.cut.shape[0]):
        held = state.line[i].position
        if abs(made.cut[i] - held) > CRUMB * abs(held):
            if not told:
                event(t, -1, MARGIN_CALL, asked, equity, state, books)
            told = True
            event(t, i, MARGIN_CALL, held, made.cut[i], state, books)


@bare
def _ruined(t, equity, state, books):
    """Tell once that all is lost: nothing is left, and nothing is held that could win it back."""
    for i in range(state.line.shape[0]):
        if state.line[i].position != 0.0:
            return
    state.money[2] = 1.0
    event(t, -1, RUINED, 0.0, equity, state, books)


@bare
def _cap(made, state):
    """What a margin call leaves of a position caps its target: who wants to turn, turns."""
    for i in range(made.cut.shape[0]):
        if abs(made.target[i]) > abs(made.cut[i]):
            if made.cut[i] != state.line[i].position:
                state.line[i].why, state.line[i].kind = EXIT_CALL, CALL
            made.target[i] = np.copysign(made.cut[i], made.target[i]) + 0.0


@bare
def _floor(t, equity, account, made, state, books):
    """Below the capital floor all is sold, and nothing is bought again."""
    if state.money[1] == 0.0 and equity < account.floor:
        state.money[1] = 1.0
        event(t, -1, CAPITAL_FLOOR, account.floor, equity, state, books)
    if state.money[1] != 0.0:
        for i in range(made.target.shape[0]):
            made.target[i], state.line[i].why, state.line[i].kind = 0.0, EXIT_FLOOR, FLOOR


@bare
def _ask(t, programs, made, state):
    """Forecasts of the functions that are called bar by bar, each for its own members."""
    for p in range(programs.first.shape[0]):
        first, last = programs.first[p], programs.last[p]
        if last > first:
            equity = state.sleeve[state.line[state.member[first].first].sleeve]
            programs.functions[p](
                t, programs.column[first:last], programs.adjusted, programs.mark, made.units[first:last], equity,
                programs.params[p], programs.memory[first:last], made.forecast[first:last],
            )  # fmt: skip


@bare
def _wish(t, j, wishes, orders, account, sleeves, available, made, state):
    """The units that a member would hold by itself: `ideal`, and `whole` after its own rules."""
    mine = state.member[j]
    i = mine.first
    base = 1.0
    if account.per_capital and not wishes.contracts[j]:
        s = state.line[i].sleeve
        base = max(state.sleeve[s], 0.0) if account.compounding else sleeves.capital[s]
    usual = wishes.usual[t, j] * base
    wanted = wishes.weight[t, j] * base
    if wishes.program[j] >= 0:
        wanted = made.forecast[j] * usual
        if not np.isfinite(wanted):
            wanted = 0.0
    open_ = state.money[1] == 0.0  # below the capital floor nothing is
    for k in range(i, mine.after):
        open_ &= available[t, state.line[k].instrument]
    if not open_:
        wanted = 0.0
    if state.member[j].ordered:
        wanted = _ordered(t, i, j, wanted, orders, state)
    held, kept = made.units[j], wanted == 0.0
    if not kept and not wishes.resize[j]:
        kept = held * wanted > 0.0
        wanted = _entering(held, state.line[i].target / state.line[i].ratio) if kept else wanted
        made.ideal[j], made.whole[j] = wanted, wanted
    elif not kept:
        width = 0.0 if wishes.contracts[j] else account.buffer * abs(usual)
        kept = abs(wanted - held) <= width
        made.ideal[j] = held if kept else wanted - np.sign(wanted - held) * width
        made.whole[j] = made.ideal[j] if kept or width == 0.0 else _edge(wanted, held, width)
    else:
        made.ideal[j], made.whole[j] = 0.0, 0.0
    made.whole[j] = made.ideal[j] if account.rounding == FRACTIONAL else np.trunc(made.whole[j]) + 0.0
    fixed = kept or wishes.contracts[j]
    made.lowest[j], made.highest[j] = (made.whole[j], made.whole[j]) if fixed else (-np.inf, np.inf)


@bare
def _edge(wanted, held, width):
    """What is held within the buffer around a wish, else its nearer edge to the nearest whole contract.

    Of two that are as near the one nearer to what is held; never beyond the wish cut toward zero. Source: R. Carver,
    Advanced Futures Trading Strategies, 2023: the limits of the buffer are rounded.

    >>> [_edge(1.0, 0.0, 0.1), _edge(12.5, 9.0, 1.0), _edge(10.9, 9.0, 1.0), _edge(2.7, 9.0, 0.25)]
    [1.0, 11.0, 9.0, 3.0]
    """
    whole = np.trunc(wanted)
    if abs(whole - held) <= width:
        return held
    if whole > held:
        return min(whole, max(held, np.ceil(wanted - width - 0.5)))
    return max(whole, min(held, np.floor(wanted + width + 0.5)))


@bare
def _entering(held, target):
    """What is held, or all that was wanted where the volume has let only a part of it in (T23)."""
    return target if target * held > 0.0 and abs(target) > abs(held) else held


@bare
def _ordered(t, i, j, wanted, orders, state):
    """What orders make of a wish: levels move, what was left waits for a new episode, time runs out."""
    mine = state.member[j]
    held = state.line[i].position
    if held == 0.0:
        mine.closing = 0
        if mine.pending < 0:
            mine.stop_at, mine.goal_at = np.nan, np.nan
    side = held if held != 0.0 else mine.amount * (mine.pending >= 0)
    if wanted * side > 0.0:  # rows of the side that is held, or waits, move its levels
        mine.stop_at = orders[t, j].stop_at if not np.isnan(orders[t, j].stop_at) else mine.stop_at
        mine.goal_at = orders[t, j].target_at if not np.isnan(orders[t, j].target_at) else mine.goal_at
        mine.episode = orders[t, j].episode if held != 0.0 and mine.closing == 0 else mine.episode
    if mine.closing != 0 or mine.blocked == orders[t, j].episode:
        return 0.0
    if wanted * held > 0.0 and 0 < mine.hold <= mine.days:
        mine.blocked = orders[t, j].episode
        state.line[i].why, state.line[i].kind = EXIT_TIME, BY_TIME
        return 0.0
    return wanted


@bare
def _targets(t, wishes, orders, made, state):
    """Targets of the lines; entries that wait are counted as if they filled, and put off again by `_postpone`."""
    for i in range(state.line.shape[0]):
        j = state.line[i].member
        mine = state.member[j]
        wanted = made.whole[j]
        goes_on = state.member[j].ordered and (mine.closing != 0 or mine.blocked == orders[t, j].episode)
        if not goes_on or state.line[i].why in (EXIT_CALL, EXIT_FLOOR):
            state.line[i].why, state.line[i].kind = EXIT_SIGNAL, BY_MARKET
        if state.member[j].ordered:
            wanted = _entry(t, i, j, wanted, wishes, orders, state)
        made.target[i] = wanted * state.line[i].ratio + 0.0


@bare
def _entry(t, i, j, wanted, wishes, orders, state):
    """What an ordered member wants at the market; what waits, or begins to wait, is added as if it filled."""
    mine = state.member[j]
    held, market = state.line[i].position, orders[t, j].kind == MARKET
    if mine.pending >= 0:
        over = wanted * (held if held != 0.0 else mine.amount) <= 0.0 or (held != 0.0 and wishes.resize[j])
        if over or (held == 0.0 and orders[mine.asked, j].episode != orders[t, j].episode):
            mine.pending, mine.triggered = -1, 0
    if held != 0.0:
        if not market and wanted * held <= 0.0:
            return 0.0
        return wanted + (mine.amount if mine.pending >= 0 else 0.0)
    if mine.pending >= 0:
        return mine.amount
    if not market and wanted != 0.0:
        mine.pending, mine.amount, mine.asked = orders[t, j].kind, wanted, t
        mine.triggered, mine.filled, mine.tried = 0, 0, 0
        mine.stop_at, mine.goal_at = orders[t, j].stop_at, orders[t, j].target_at
    return wanted


@bare
def _postpone(made, state):
    """Entries that wait: their size is what limits and margin leave of it beyond the target at the market."""
    for i in range(state.line.shape[0]):
        j = state.line[i].member
        mine = state.member[j]
        if mine.pending >= 0:
            held = state.line[i].position
            stays = np.copysign(min(abs(made.target[i]), abs(held)), held) if made.target[i] * held > 0.0 else 0.0
            mine.amount = made.target[i] - stays
            made.target[i] = stays + 0.0
            if mine.amount == 0.0:
                mine.pending, mine.triggered = -1, 0


@bare
def _whole_units(whole, made, state):
    """A member of several legs holds whole units: as many as the leg that was cut most allows."""
    n, i = state.line.shape[0], 0
    while i < n:
        last = i
        while last + 1 < n and state.line[last + 1].member == state.line[i].member:
            last += 1
        if last > i:
            units = np.inf
            for k in range(i, last + 1):
                units = min(units, abs(made.target[k] / state.line[k].ratio))
            if whole:
                units = whole_part(units)
            side = np.sign(made.target[i] / state.line[i].ratio)
            for k in range(i, last + 1):
                made.target[k] = side * units * state.line[k].ratio + 0.0
        i = last + 1
