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

from engine.blotter import EVENTS_, FILLS, LEGS, TRADES, finish
from engine.book import (
    CAUSES,
    EVENT_FIELDS,
    EXIT_OPEN,
    FEE,
    FILL_FIELDS,
    INTEREST,
    LEFT,
    LEG,
    MEMORY,
    PARAMS,
    PROGRAMS,
    TRADE_FIELDS,
    TRANSFER,
    WHOLE,
    Finer,
    Ledger,
    Programs,
    Risk,
)  # fmt: skip
from engine.decision import decide, work
from engine.execution import inside_first, market_orders, revalue, trade_lines
from engine.kernel import bare, kernel
from engine.rolling import roll_lines
from engine.spreads import break_spreads
from engine.state import Books, Curves, asked_of, bars_of, begin
from engine.strategy import program


@program
def idle(t, columns, adjusted, mark, position, equity, params, memory, forecast):
    """The function of a place that no strategy takes."""


ROOM = 64  # rows of fills and the like that there are for each line at least


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
    time, members = wishes.weight.shape
    count = len(lines.instrument)
    room = ROOM * (count + 8) + time * count // 4  # memory that is not written to is not taken
    tables = (np.empty((room, len(fields))) for fields in (FILL_FIELDS, TRADE_FIELDS, TRADE_FIELDS, EVENT_FIELDS))
    books = Books(np.zeros((time, count + 1, len(CAUSES))), np.zeros(time), *tables)
    held, money = (lambda: np.zeros((time, count))), (lambda: np.zeros(time))
    curves = Curves(held(), held(), money(), np.zeros((time, len(sleeves.capital))), money())
    state = begin(lines, wishes.ordered, sleeves)
    given = (
        bars_of(prices, facts), facts, lines, wishes, asked_of(orders, members), account, limits, clock, sleeves,
        finer or _no_finer(), available, _programs(programs, members), risk or _no_risk(members),
        work(lines, members, available.shape[1]), _shared(lines, account),
    )  # fmt: skip
    bar = 0
    while bar < time:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)  # functions passed as such
            bar = _simulate(bar, given, state, curves, books)
        if bar < time:
            books = _grown(books, state.count)
    _close_books(time - 1, state, books)
    used = state.count.tolist()
    fills, trades, legs, events = (rows[:n].copy() for rows, n in zip(books[2:], used, strict=True))
    return Ledger(
        amount=books.amount, notional=books.notional, fills=fills, trades=trades, legs=legs, events=events,
        residual=state.line["residual"].copy(), ambiguous=state.line["ambiguous"].copy(), **curves._asdict(),
    )  # fmt: skip


@kernel
def _simulate(bar, given, state, curves, books):
    """Bars from `bar` on until all are done, or the room for fills is; returns the bar to go on with."""
    (
        bars, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs, risk, made,
        shared,
    ) = given  # fmt: skip
    time = wishes.weight.shape[0]
    for t in range(bar, time):
        if not _has_room(state, books):
            return t
        _before(t, account, clock, state, books)
        if not account.sweep:
            revalue(t, bars, state, books)
        if not account.at_open:
            inside_first(t, bars, orders, account, finer, state, books)
        market_orders(t, bars, account, shared, state, books)
        if trade_lines(t, bars, orders, account, finer, state, books):
            roll_lines(t, bars, account, shared, state, books)
        break_spreads(t, bars, account, clock, state, books)
        _settle(t, account, clock, sleeves, state, curves, books)
        decide(
            t, bars, facts, lines, wishes, orders, account, limits, clock, sleeves, available, programs, risk, made,
            state, curves, books,
        )  # fmt: skip
    return time


@bare
def _has_room(state, books):
    """Whether the next bar cannot overflow any table."""
    need = 32 * (state.line.shape[0] + 2)
    return (
        state.count[FILLS] + need <= books.fills.shape[0]
        and state.count[TRADES] + need <= books.trades.shape[0]
        and state.count[LEGS] + need <= books.legs.shape[0]
        and state.count[EVENTS_] + need <= books.events.shape[0]
    )


@bare
def _before(t, account, clock, state, books):
    """Money paid in or out, and the fees of a new month."""
    owner = state.line.shape[0]
    paid = clock.transfer[t]
    books.amount[t, owner, TRANSFER] = paid
    if clock.month_begin[t]:
        books.amount[t, owner, FEE] = -(account.fee / 12.0 * max(state.money[0] + paid, 0.0) + account.fixed_fee)


@bare
def _settle(t, account, clock, sleeves, state, curves, books):
    """Interest, then equity, shared out to the sleeves."""
    n = state.line.shape[0]
    amount = books.amount
    if t > 0:
        free, rate = curves.equity[t - 1] - curves.margin[t - 1], clock.rate[t - 1]
        if free >= 0.0:
            rate = max(rate - account.credit_spread, 0.0) if rate >= 0.0 else rate - account.credit_spread
        else:
            rate += account.debit_spread
        amount[t, n, INTEREST] = free * rate * clock.days[t] / 360.0
    own = 0.0
    for cause in range(amount.shape[2]):
        own += amount[t, n, cause]
    before = 0.0
    for s in range(state.sleeve.shape[0]):
        before += max(state.sleeve[s], 0.0)  # one that has lost all and more has no part in what comes in
    for s in range(state.sleeve.shape[0]):
        part = max(state.sleeve[s], 0.0) / before if before > 0.0 else 1.0 / state.sleeve.shape[0]
        state.sleeve[s] += own * part
    total = own
    for i in range(n):
        earned = 0.0
        for cause in range(amount.shape[2]):
            earned += amount[t, i, cause]
        state.sleeve[state.line[i].sleeve] += earned
        total += earned
    state.money[0] += total
    if clock.rebalance[t]:
        for s in range(state.sleeve.shape[0]):
            state.sleeve[s] = state.money[0] * sleeves.share[s]
    curves.equity[t] = state.money[0]
    for s in range(state.sleeve.shape[0]):
        curves.sleeve[t, s] = state.sleeve[s]
    for i in range(n):
        curves.position[t, i], curves.left[t, i] = state.line[i].position, state.line[i].left


@kernel
def _close_books(t, state, books):
    """Record what is still open at the last mark."""
    for i in range(state.line.shape[0]):
        line = state.line[i]
        if line.position != 0.0:
            finish(t, i, WHOLE, line.held, line.last, EXIT_OPEN, state, books)
        if line.left != 0.0:
            finish(t, i, LEFT, line.left_contract, line.last + line.spread, EXIT_OPEN, state, books)
        if line.position != line.left:
            finish(t, i, LEG, line.held, line.last, EXIT_OPEN, state, books)


# What the loop starts from


def _shared(lines, account):
    """Whether lines may trade the same contract, members have several legs, or fills are capped."""
    crowded = len(set(lines.root.tolist())) < len(lines.root)
    return bool(crowded or len(set(lines.member.tolist())) < len(lines.member) or account.participation != np.inf)


def _grown(books, used):
    """Four times the room in every table of which a quarter is used."""
    tables = {"fills": FILLS, "trades": TRADES, "legs": LEGS, "events": EVENTS_}
    made = {}
    for name, k in tables.items():
        rows = getattr(books, name)
        if used[k] > len(rows) // 4:
            more = np.empty((4 * len(rows), rows.shape[1]))
            more[: used[k]] = rows[: used[k]]
            made[name] = more
    return books._replace(**made)


def _no_finer():
    return Finer(np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64), np.zeros((0, 4)))


def _no_risk(members):
    return Risk(np.zeros((0, members, members)), np.zeros(0, np.int64), np.zeros((0, members)))


def _programs(given, members):
    """The functions called bar by bar, with memory of their own: what is given is not changed."""
    if given is not None:
        return given._replace(memory=given.memory.copy())
    none = np.zeros(PROGRAMS, np.int64)
    return Programs(
        (idle.compiled,) * PROGRAMS, none, none.copy(), np.zeros(members, np.int64), np.zeros((1, 1)), np.zeros((1, 1)),
        np.zeros((PROGRAMS, PARAMS)), np.zeros((members, MEMORY)),
    )  # fmt: skip
