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

import warnings

import numba
import numpy as np

from engine.blotter import finish_leaving, finish_leg, finish_whole, post, revalue, told
from engine.book import EXIT_OPEN, FEE, NEAREST_RISK, TRANSFER, Ledger
from engine.bracket import day_ends
from engine.cutting import cut, fits, postpone, requirements
from engine.decision import aim, ask, by_risk, plan, wish
from engine.execution import QUIET, busy_lines, quiet_lines
from engine.kernel import bare, inlined, inner, kernel
from engine.spreads import break_spreads, unwanted, why_closed
from engine.state import ENTRY, EVENT, FILL, TRADE, Books, Curves, begin, given_of, plain, work
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
    given = given_of(prices, facts, lines, wishes, orders, account, limits, clock, finer, available, risk)
    return simulated(given, lines, wishes, sleeves, programs)


def simulated(given, lines, wishes, sleeves, programs=None):
    """`simulate` of what `state.given_of` has put together: of a market it can be kept from run to run."""
    time, count = len(given.row), len(lines.member)
    rules = given.rules[0]
    rows = int(given.clock.day_end[given.row].sum()) if rules.by_days else time
    late = rules.roll_days > 1 or rules.participation != np.inf  # else nothing is ever left in the old contract
    held, money = (lambda: np.zeros((rows, count))), (lambda: np.zeros(rows))
    left = held() if late else np.broadcast_to(0.0, (rows, count))
    curves = Curves(
        held(), held(), left if late else np.zeros((0, count)), money(), np.zeros((rows, len(sleeves.capital))),
        money(), money(), money(),
    )  # fmt: skip
    state = begin(lines, wishes, sleeves)
    room = ROOM * (count + 8) + time * count // 4  # memory that is not written to is not taken
    books = Books(state.own, *(np.empty(room, kind).view(np.recarray) for kind in (FILL, TRADE, TRADE, EVENT, ENTRY)))
    made = work(lines, len(wishes.ordered), given.facts.shape[1])
    own = ("memory", "params", "column")  # what is given is not changed, whatever a program writes
    called = programs and programs._replace(**{name: getattr(programs, name).copy() for name in own})
    bar = 0
    while bar < time:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)  # functions passed as such
            bar = _simulate(bar, given, called, made, state, curves, books)
        if bar < time:
            books = _grown(books)
    _close_books(time - 1, state, books)
    used = state.own[0]
    told = {name: plain(getattr(books, name)[: used[name]].copy()) for name in Books._fields[1:]}
    return Ledger(
        **told, **(curves._asdict() | {"left": left}), residual=state.lines["residual"].copy(),
        ambiguous=state.lines["ambiguous"].copy(),
    )  # fmt: skip


@bare
def _simulate(bar, given, programs, work, state, curves, books):
    """Bars from `bar` on until all are done, or the room for fills is; returns the bar to go on with.

    Functions that are called on every bar get the few arrays that they need: to hand them all is dearer than what most
    of them do.
    """
    rules, own, time = given.rules[0], state.own[0], given.row.shape[0]
    lines, members, sleeves = state.lines, state.members, state.sleeves
    one_sleeve = sleeves.shape[0] == 1
    for t in range(bar, time):
        if not _has_room(own, lines, books):
            return t
        k, row = given.row[t], own.row
        now, facts, terms = given.clock[k], given.facts[k], given.terms[k]
        if now.transfer != 0.0 or now.month_begin:
            _before(t, now, rules, state, books)
        kept = 0.0 if rules.sweep else revalued(t, lines, facts, one_sleeve, books)
        marks, price, position = given.quotes.mark[t], curves.price[row], curves.position[row]
        found, total = quiet_lines(lines, facts, marks, rules.sweep, one_sleeve, price, position)
        if found:
            busy_lines(t, given, state, books)
        if rules.spreads:
            break_spreads(t, now.day_end, given.quotes.mark[t], rules, state, books)
        total += kept
        if found or not one_sleeve:
            total += told_apart(lines, one_sleeve, price, position)
        curves.interest[row] += settle(t, now, rules, own, lines, sleeves, total, one_sleeve)
        curves.equity[row] = own.equity
        curves.notional[row] += own.notional
        own.notional = 0.0
        for s in range(sleeves.shape[0]):
            curves.sleeve[row, s] = sleeves[s].equity
        if curves.left.shape[0] > 0:
            for i in range(lines.shape[0]):
                curves.left[row, i] = lines[i].left
        new = now.day_end or not rules.daily
        if now.day_end and rules.ordered:
            day_ends(t, given.orders, state, books)
        if programs is not None:
            ask(t, programs, work, state)
        weight, usual, orders = given.weight[t], given.usual[t], given.orders
        if rules.plain:
            held, least, asked = plan(new, lines, members, sleeves, facts, weight, usual, rules, own.floored)
        else:
            wish(t, new, lines, members, sleeves, facts, weight, usual, orders, rules, own.floored)
            if rules.spreads:
                unwanted(members)
            if new and rules.rounding == NEAREST_RISK and given.risk.period[t] >= 0:
                by_risk(t, given.risk, work, state)
            held, least, asked = aim(t, lines, members, facts, orders)
            if rules.spreads:
                why_closed(state)
        if not rules.alone:
            held, least, asked = requirements(facts, terms, rules, work, state)
        part = 1.0 if now.day_end else rules.intraday_margin
        curves.margin[row] = own.margin = part * held
        covered = own.equity / part if part > 0.0 else np.inf  # what is asked is a share of the requirement
        within = asked <= covered and own.equity >= part * least and own.equity > 0.0
        within &= own.floored == 0 and own.equity >= rules.floor
        if within and rules.limited:
            room = work.room
            within = fits(
                asked * part, own.equity, lines, facts, terms, given.limits, rules.alone, room.first, room.root
            )
        if not within:
            cut(t, part, covered, least, given, work, state, books)
        if rules.ordered:
            postpone(state)
        if now.day_end or not rules.by_days:
            own.row += 1
    return time


@inner
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


@inner
def told_apart(lines, one_sleeve, price, position):
    """Profit and positions of the lines that had something to do; returns what they earned beside `quiet_lines`."""
    total = 0.0
    for i in range(lines.shape[0]):
        line = lines[i]
        if line.busy != QUIET:
            price[i] += line.price
            position[i] = line.position
            total += line.earned if one_sleeve else 0.0
            line.price, line.earned = 0.0, 0.0 if one_sleeve else line.earned
    return total


@inlined
def settle(t, now, rules, own, lines, sleeves, total, one_sleeve):
    """Interest, then equity, shared out to the sleeves; returns the interest."""
    account, interest = own.paid, 0.0
    if t > 0 and now.days != 0.0:
        free, rate = own.equity - own.margin, own.rate
        if free >= 0.0:
            rate = max(rate - rules.credit_spread, 0.0) if rate >= 0.0 else rate - rules.credit_spread
        else:
            rate += rules.debit_spread
        interest = free * rate * now.days / 360.0
        account += interest
    if one_sleeve:
        own.equity += account + total
        sleeves[0].equity = own.equity
    else:
        _share_out(account, now.rebalance, own, lines, sleeves)
    own.rate, own.paid = now.rate, 0.0
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


@kernel
def _close_books(t, state, books):
    """Record what is still open at the last mark."""
    for i in range(state.lines.shape[0]):
        line = state.lines[i]
        told(line)
        if line.position != 0.0:
            finish_whole(t, line, line.held, line.last, EXIT_OPEN, books)
        if line.left != 0.0:
            finish_leaving(t, line, line.last + line.spread, EXIT_OPEN, books)
        if line.position != line.left:
            finish_leg(t, line, line.held, line.last, EXIT_OPEN, books)


def _grown(books):
    """Four times the room in every table of which a quarter is used."""
    made, own = {}, books.own[0]
    for name in Books._fields[1:]:
        rows, used = getattr(books, name), own[name]
        if used > len(rows) // 4:
            more = np.empty(4 * len(rows), rows.dtype).view(np.recarray)
            more[:used] = rows[:used]
            made[name] = more
    return books._replace(**made)
