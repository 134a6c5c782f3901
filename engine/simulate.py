"""The loop over bars: fills, rolls, marks, interest, margin and the next targets, into a ledger by cause.

Rules of one bar, in this order (docs/positions.md has each with a worked number):

1. Money paid in or out, fees.
2. Market orders (target - position) fill at the bar's fill price; lines of one contract net.
3. Entries, protective stops and targets inside the bar.
4. Positions are marked; the variation margin goes to cash at the day's rate, or to a foreign balance (`hold`).
5. Rolls: what is held after the fills goes into the next contract, at once or over several bars. Spreads break.
6. Interest on yesterday's free cash, or on what is missing, at yesterday's rate, calendar days / 360.
7. Equity, shared out to the sleeves.
8. Margin: a call when equity < maintenance margin (equal is none); decided now, traded on the next bar.
9. Targets of this row: sizes, whole contracts, limits, margin of increases; orders for the next bar.

All in contract prices. Beside it each line's profit is told a second time in adjusted prices; the two must agree but
for costs and roll gaps (`residual`).
"""

import contextlib
import warnings

import numba
import numpy as np

from engine.blotter import finish_leaving, finish_leg, finish_whole, post, revalue, told
from engine.book import EXIT_OPEN, FEE, NEAREST_RISK, TRANSFER, Ledger
from engine.bracket import day_ends
from engine.cutting import cut, fits, postpone, requirements
from engine.decision import aim, ask, by_risk, plan, wish
from engine.execution import busy_lines, quiet_lines
from engine.kernel import bare, fused, inner
from engine.ready import ready_of, work
from engine.spreads import break_spreads, unwanted, why_closed
from engine.state import ENTRY, EVENT, FILL, TRADE, Books, Curves, Held, State, by_name, copied, plain
from engine.strategy import program

ROOM = 64  # rows of fills and the like that there are for each line at least


@program
def idle(t, columns, adjusted, mark, position, equity, params, memory, forecast):
    """The function of a place that no strategy takes."""


def simulate(
    prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs=None, risk=None
):
    """Trade what the members wish.

    Parameters
    ----------
    prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, programs, risk
        Named tuples of `engine.book`; `finer`, `orders`, `programs`, `risk` may be None: there are none.
    available : bool array (time, market)
        Where it is false no position is wanted.

    Returns
    -------
    Ledger
    """
    return simulated(
        ready_of(
            prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs, risk
        )
    )  # fmt: skip


def simulated(ready):
    """`simulate` of what `ready.ready_of` has put together, which may be used again and again."""
    time, count = len(ready.given.row), len(ready.lines.member)
    curves = curves_of(ready)
    shape = (len(curves.equity), count)
    held = Held(np.zeros(shape), np.zeros(shape), np.zeros(shape if ready.late else (0, count)))
    room = ROOM * (count + 8) + time * count // 4  # memory that is not written to is not taken
    tables = [by_name(np.empty(room, kind)) for kind in (FILL, TRADE, TRADE, EVENT, ENTRY)]
    state = started(ready)
    books = through(ready, state, curves, held, Books(state.own, *tables))
    used, lines = books.own[0], state.lines
    told = {name: _filled(getattr(books, name), used[name]) for name in Books._fields[1:]}
    left = held.left if ready.late else np.broadcast_to(0.0, shape)
    return Ledger(
        **told, **(curves._asdict() | held._asdict() | {"left": left}), residual=lines["residual"].copy(),
        ambiguous=lines["ambiguous"].copy(),
    )  # fmt: skip


def measured(ready):
    """(Curves, State) that `simulated` would end with, without its tables, which take longer than the rest."""
    state, curves = started(ready), curves_of(ready)
    through(ready, state, curves, None, None)
    return curves, state


def started(ready):
    """A state of its own to begin with."""
    return State(*(copied(array) for array in ready.start))


def curves_of(ready):
    """Curves of a simulation, to be filled."""
    given = ready.given
    rows = int(given.clock["day_end"][given.row].sum()) if given.rules["by_days"][0] else len(given.row)
    return Curves(*(np.zeros(rows) for _ in range(4)), np.zeros((rows, len(ready.start.sleeves))))


def through(ready, state, curves, held, books):
    """Go through all bars; returns the books, which may have grown."""
    given, extras, programs = ready.given, ready.extras, ready.programs
    made = None if extras is None else work(ready.lines, len(state.members), given.facts.shape[1])
    own = ("memory", "params", "column")  # what is given is not changed, whatever a program writes
    called = programs and programs._replace(**{name: getattr(programs, name).copy() for name in own})
    bar, last = 0, len(given.row)
    while bar <= last:
        with quiet() if called else contextlib.nullcontext():
            bar = go_through(bar, given, extras, called, made, state, curves, held, books)
        if bar <= last and state.own[0]["due"]:
            made = work(ready.lines, len(state.members), given.facts.shape[1])
        elif bar <= last:
            books = _grown(books)
    return books


@contextlib.contextmanager
def quiet():
    """Without numba's word that functions are passed as such; filters of warnings are those of all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
        yield


@bare
def go_through(bar, given, extras, programs, work, state, curves, held, books):
    """Bars from `bar` on; returns the bar to go on with, and one more than there are when all is done.

    It comes back before where the room for fills is used up; and, of a portfolio that has needed no `work` yet, where
    targets have to be cut. Functions that are called on every bar get the few arrays that they need: to hand them all
    is dearer than what most of them do.
    """
    rules, own, time = given.rules[0], state.own[0], given.row.shape[0]
    lines, sleeves = state.lines, state.sleeves
    one_sleeve = sleeves.shape[0] == 1
    written, stands = True, False  # whether the bar before wrote into a table; whether its plan was left as it was
    first = least = asked = 0.0
    for t in range(max(bar, 0), time):
        k, row = given.row[t], own.row
        now, facts, terms = given.clock[k], given.facts[k], given.terms[k]
        if own.due == 0:
            if books is not None and written and not _has_room(own, lines, books):
                return t
            written = extras is not None or not rules.sweep
            if now.transfer != 0.0 or now.month_begin:
                _before(t, now, rules, state, books)
                written = True
            kept = 0.0 if rules.sweep else revalued(t, lines, facts, one_sleeve, books)
            marks = given.quotes.mark[t]
            found, total = quiet_lines(
                lines, facts, marks, rules.sweep, one_sleeve, row, state.found, extras, held, books
            )
            total += kept
            if found > 0:
                written = True
                busy_lines(t, found, given, extras, state, books)
                earned, sides = told_apart(found, state.found, lines, one_sleeve, row, held)
                total += earned
                curves.notional[row] += sides
            if extras is not None and rules.spreads:
                break_spreads(t, now.day_end, marks, rules, state, books)
            interest = settle(now, own, lines, sleeves, total, one_sleeve)
            if interest != 0.0:
                curves.interest[row] += interest
            ends = now.day_end or not rules.by_days  # the last bar of a row of the curves
            if ends:
                curves.equity[row] = own.equity
                for s in range(sleeves.shape[0]):
                    curves.sleeve[row, s] = sleeves[s].equity
            if ends and held is not None:
                for i in range(lines.shape[0] if held.left.shape[0] > 0 else 0):
                    held.left[row, i] = lines[i].left
            new = now.day_end or not rules.daily
            weight, usual = given.weight[t], given.usual[t]
            if extras is not None:
                first, least, asked = _targets(t, new, given, extras, programs, work, state, books)
            elif new or found > 0 or not stands or k != given.row[t - 1] or changed(t, given.weight, own):
                first, least, asked = plan(new, lines, sleeves, facts, weight, usual, rules, own.floored)
            stands = True
            part = 1.0 if now.day_end else rules.intraday_margin
            own.margin = part * first
            if ends:
                curves.margin[row] = own.margin
            covered = own.equity  # what is asked is a share of the requirement
            if part != 1.0:
                covered = covered / part if part > 0.0 else np.inf
            within = asked <= covered and own.equity >= part * least and own.equity > 0.0
            within &= own.floored == 0 and own.equity >= rules.floor
            if within and rules.limited:
                within = fits(k, asked * part, own.equity, lines, facts, terms, given.most, given.limits, rules, work)
            if not within:
                own.due, own.part, own.least = 1, part, part * least
        if own.due != 0:
            if work is None:
                return t
            own.due, written, stands = 0, True, False
            cut(t, given, work, state, books)
        if extras is not None and rules.ordered:
            postpone(state)
        if now.day_end or not rules.by_days:
            own.row += 1
    if books is not None:
        if not _has_room(own, lines, books):
            return time
        _close_books(time - 1, state, books)
    return time + 1


@fused
def changed(t, weight, own):
    """Whether within the day something may become nothing: what is wanted, or the account."""
    found = own.equity <= 0.0
    for j in range(weight.shape[1]):
        found |= weight[t, j] != weight[t - 1, j]
    return found


@inner
def _targets(t, new, given, extras, programs, work, state, books):
    """What the lines of a portfolio that is not lean want; returns what `decision.aim` does."""
    rules, own, k = given.rules[0], state.own[0], given.row[t]
    lines, members, facts, now = state.lines, state.members, given.facts[k], given.clock[k]
    if now.day_end and rules.ordered:
        day_ends(t, extras.orders, state, books)
    if programs is not None:
        ask(t, programs, work, state)
    wish(
        t, new, lines, members, state.sleeves, facts, given.weight[t], given.usual[t], extras.orders, rules, own.floored
    )
    if rules.spreads:
        unwanted(members)
    if new and rules.rounding == NEAREST_RISK and extras.risk.period[t] >= 0:
        by_risk(t, extras.risk, work, state)
    first, least, asked = aim(t, lines, members, facts, extras.orders)
    if rules.spreads:
        why_closed(state)
    if not rules.alone:
        return requirements(facts, given.terms[k], rules, work, state)
    return first, least, asked


@fused
def _has_room(own, lines, books):
    """Whether the next bar cannot overflow any table."""
    need = 32 * (lines.shape[0] + 2)
    return (
        own.fills + need <= books.fills.shape[0]
        and own.trades + need <= books.trades.shape[0]
        and own.legs + need <= books.legs.shape[0]
        and own.events + need <= books.events.shape[0]
        and own.entries + need <= books.entries.shape[0]
    )


@inner
def _before(t, now, rules, state, books):
    """Money paid in or out, and the fees of a new month."""
    own, owner, fee = state.own[0], state.lines.shape[0], 0.0
    if now.month_begin:
        fee = -(rules.fee / 12.0 * max(own.equity + now.transfer, 0.0) + rules.fixed_fee)
    post(t, owner, TRANSFER, now.transfer, books)
    post(t, owner, FEE, fee, books)
    own.paid = fee + now.transfer


@inner
def revalued(t, lines, facts, one_sleeve, books):
    """Foreign cash that lines keep, at the bar's rates; returns what it has gained, if each line does not keep that."""
    total = 0.0
    for i in range(lines.shape[0]):
        gained = revalue(t, lines[i], facts[lines[i].instrument].fx, books)
        total += gained if one_sleeve else 0.0
        lines[i].earned += 0.0 if one_sleeve else gained
    return total


@fused
def told_apart(count, found, lines, one_sleeve, row, held):
    """Profit and positions of the lines that had something to do.

    Returns what they earned beside `quiet_lines`, and the notional that they traded. [account currency]
    """
    total = sides = 0.0
    for n in range(count):
        line = lines[found[n]]
        if held is not None:
            held.price[row, found[n]] += line.price
            held.position[row, found[n]] = line.position
        sides += line.sides
        total += line.earned if one_sleeve else 0.0
        line.price, line.earned, line.sides = 0.0, 0.0 if one_sleeve else line.earned, 0.0
    return total, sides


@fused
def settle(now, own, lines, sleeves, total, one_sleeve):
    """Interest, then equity, shared out to the sleeves; returns the interest."""
    free = own.equity - own.margin
    interest = free * (now.credit if free >= 0.0 else now.debit)
    account = own.paid + interest
    if one_sleeve:
        own.equity += account + total
        sleeves[0].equity = own.equity
    else:
        _share_out(account, now.rebalance, own, lines, sleeves)
    own.paid = 0.0
    return interest


@inner
def _share_out(account, rebalance, own, lines, sleeves):
    """What the account itself gets or pays, to the sleeves by what they have; then what the lines have earned."""
    before = 0.0
    for s in range(sleeves.shape[0]):
        before += max(sleeves[s].equity, 0.0)  # one that has lost all and more has no part in what comes in
    for s in range(sleeves.shape[0]):
        part = max(sleeves[s].equity, 0.0) / before if before > 0.0 else 1.0 / sleeves.shape[0]
        sleeves[s].equity += account * part
    total = account
    for i in range(lines.shape[0]):
        sleeves[lines[i].sleeve].equity += lines[i].earned
        total += lines[i].earned
        lines[i].earned = 0.0
    own.equity += total
    if rebalance:
        for s in range(sleeves.shape[0]):
            sleeves[s].equity = own.equity * sleeves[s].share


@inner
def _close_books(t, state, books):
    """Record what is still open at the last mark."""
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        told(line, books)
        if line.position != 0.0:
            finish_whole(t, line, line.held, line.last, EXIT_OPEN, books)
        if line.left != 0.0:
            finish_leaving(t, line, line.last + line.spread, EXIT_OPEN, books)
        if line.position != line.left:
            finish_leg(t, line, line.held, line.last, EXIT_OPEN, books)


def _filled(table, rows):
    """The first rows of a table as an array (row, field), where they lie; the memory of the others is given back."""
    if not table.flags.owndata:
        return plain(table[:rows]).copy()
    table.resize(rows, refcheck=False)  # nothing else looks into it
    return plain(table)


def _grown(books):
    """Four times the room in every table of which a quarter is used."""
    made, own = {}, books.own[0]
    for name in Books._fields[1:]:
        rows, used = getattr(books, name), own[name]
        if used > len(rows) // 4:
            more = by_name(np.empty(4 * len(rows), rows.dtype))
            more[:used] = rows[:used]
            made[name] = more
    return books._replace(**made)
