"""What a simulation begins with: the named tuples of `engine.book`, put together as the loop reads them."""

import itertools
from typing import NamedTuple

import numpy as np

from engine import book
from engine.netting import Holdings, netting
from engine.state import (
    ASKED,
    CLOCK,
    EACH,
    FACT,
    INDEX,
    LINE,
    MEMBER,
    OWN,
    RULES,
    SLEEVE,
    TERMS,
    Extras,
    Given,
    Quotes,
    State,
    Times,
    Work,
    blank,
)  # fmt: skip

BLOCK = 2**18  # of records that are filled at once [bytes]
KINDS = book.LIMIT_MARGIN - book.LIMIT_CONTRACTS + 1  # of limits; `cuts` needs as many rows for each line


class Ready(NamedTuple):
    """All that a simulation begins with. Nothing of it is changed: it can serve many of them."""

    given: Given
    extras: Extras | None  # None of a portfolio that is `lean`
    start: State
    lines: book.Lines
    programs: book.Programs | None
    late: bool  # whether a part of a position may stay in the contract rolled out of


def ready_of(
    prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs=None, risk=None,
    by_days=False,
):  # fmt: skip
    """Named tuples of `engine.book` as the loop reads them; arrays that change with every bar are not copied."""
    times = times_of(clock, account)
    row, first = rows_of(prices, facts, times, available)
    rules = rules_of(account, limits, lines, wishes, by_days)
    terms = facts_of(TERMS, prices, facts, available, first)
    given = Given(
        quotes=Quotes(*(getattr(prices, name) for name in Quotes._fields)),
        row=row,
        clock=filled(CLOCK, times._asdict(), (len(first),), first),
        facts=facts_of(FACT, prices, facts, available, first),
        terms=terms,
        weight=wishes.weight,
        usual=wishes.usual,
        most=most_of(limits, terms, lines),
        rules=rules,
        limits=limits,
    )
    late = account.roll_days > 1 or account.participation != np.inf  # else nothing is ever left in the old contract
    extras = None
    if programs is not None or not lean(rules[0]):
        members = len(wishes.ordered)
        extras = Extras(
            asked_of(orders, members), finer or no_finer(), no_risk(members) if risk is None else risk, np.zeros((4, 2))
        )
    return Ready(given, extras, begin(lines, wishes, sleeves), lines, programs, late)


def lean(rules):
    """Whether nothing nets, waits, is capped or rolls over days: then the loop is compiled without all that."""
    return bool(rules["plain"] and rules["alone"] and not rules["shared"] and rules["roll_days"] <= 1)


def most_of(limits, terms, lines):
    """Contracts that limits allow of each line's root, by row; one row where they are always the same, none where all
    are allowed."""
    dated = limits.volume < np.inf or limits.open_interest < np.inf
    if not limits.any or not (dated or np.any(limits.contracts < np.inf)):
        return np.empty((0, len(lines.member)))
    most = np.array(limits.contracts, float)[None, :]
    if dated:
        for share, name in ((limits.volume, "liquidity"), (limits.open_interest, "open_interest")):
            if share < np.inf:
                most = np.fmin(most, share * terms[name][:, lines.instrument])
    return np.ascontiguousarray(most)


def begin(lines, wishes, sleeves):
    """What the loop starts with: nothing held, nothing asked."""
    count, members = len(lines.member), len(wishes.ordered)
    line, member, sleeve, own = (
        blank(n, kind) for n, kind in ((count, LINE), (members, MEMBER), (len(sleeves.capital), SLEEVE), (1, OWN))
    )
    for name in ("instrument", "member", "root", "sleeve", "ratio"):
        line[name][:] = getattr(lines, name)
    line["number"][:], line["ordered"][:] = np.arange(count), wishes.ordered[lines.member]
    line["contracts"][:] = wishes.contracts[lines.member]
    for name in ("last", "offset"):
        line[name][:] = np.nan
    for name in ("stop", "stop_at", "goal", "goal_at", "trail", "best"):
        member[name][:] = np.nan
    line["out"][:], member["blocked"][:], member["pending"][:] = -1, -1, -1
    for name in ("ordered", "contracts", "program"):
        member[name][:] = getattr(wishes, name)
    member["follows"][:] = wishes.resize
    member["first"][:] = np.searchsorted(lines.member, np.arange(members), side="left")
    member["after"][:] = np.searchsorted(lines.member, np.arange(members), side="right")
    sleeve["capital"][:], sleeve["share"][:], sleeve["equity"][:] = sleeves.capital, sleeves.share, sleeves.capital
    own["equity"] = float(np.sum(sleeves.capital))
    return State(line, member, sleeve, own, np.zeros(count, INDEX))


def work(lines, members, markets):
    """The `Work` of a run's lines, and numbers of members and markets."""
    count = len(lines.member)
    contract = np.zeros((2, count), np.int64)
    held = Holdings(np.zeros(count), np.zeros(count), contract[0].copy(), contract[1].copy())
    target, wanted, cut, profit = (np.zeros(count) for _ in range(4))
    cuts = np.zeros((KINDS * max(count, 1), 4))
    price, each, units = np.full(markets, np.nan), np.zeros((len(EACH), markets)), np.zeros((6, members))
    return Work(lines, netting(lines), held, target, wanted, cut, profit, price, each, cuts, units)


def rows_of(prices, facts, clock, available):
    """(row of each bar, first bar of each row): bars that follow each other and differ in prices alone share a row."""
    time = len(clock.day_end)
    if clock.day_end.all():
        row = np.arange(time, dtype=INDEX)
        return row, row
    new = np.zeros(time, bool)
    new[:1] = True
    told = (_named(kind, prices, facts, available).values() for kind in (FACT, TERMS))
    for values in (*itertools.chain(*told), *clock):
        values = values.reshape(time, -1)
        same = values[1:] == values[:-1]
        if np.issubdtype(values.dtype, np.floating):
            same |= np.isnan(values[1:]) & np.isnan(values[:-1])
        new[1:] |= ~same.all(axis=1)
    return (np.cumsum(new) - 1).astype(INDEX), np.flatnonzero(new)


def facts_of(kind, prices, facts, available, first):
    """Records, of FACT or TERMS, of the rows that begin at the bars `first`."""
    return filled(kind, _named(kind, prices, facts, available), (len(first), available.shape[1]), first)


def _named(kind, prices, facts, available):
    """The arrays of prices and facts that such records hold."""
    told = prices._asdict() | facts._asdict() | {"available": available}
    return {name: told[name] for name in kind.names}


def times_of(clock, account):
    """The `Times` of bars: interest is that of the rate of the bar before, calendar days / 360."""
    rate = np.concatenate([[0.0], clock.rate])[: len(clock.rate)]
    credit = np.where(rate >= 0.0, np.maximum(rate - account.credit_spread, 0.0), rate - account.credit_spread)
    debit, years = rate + account.debit_spread, clock.days / 360.0
    years[:1] = 0.0
    return Times(credit * years, debit * years, clock.transfer, clock.day_end, clock.month_begin, clock.rebalance)


def asked_of(orders, members):
    """Orders as records; of no rows where there are none."""
    told = {} if orders is None else orders._asdict()
    return filled(ASKED, told, orders.kind.shape if told else (0, members))


def rules_of(account, limits, lines, wishes, by_days):
    """One record of RULES."""
    crowded = len(set(lines.root.tolist())) < len(lines.root)
    spreads = len(set(lines.member.tolist())) < len(lines.member)
    plain = not spreads and np.all(lines.ratio == 1.0) and not np.any(wishes.ordered) and np.all(wishes.resize)
    plain &= np.all(wishes.program < 0) and account.rounding != book.NEAREST_RISK
    told = account._asdict() | {
        "plain": plain, "limited": limits.any, "risky": bool(np.any(limits.group < np.inf)),
        "ordered": bool(np.any(wishes.ordered)), "alone": not crowded, "spreads": spreads, "by_days": by_days,
        "shared": crowded or spreads or account.participation != np.inf,
    }  # fmt: skip
    return filled(RULES, {name: told[name] for name in RULES.names}, (1,))


def filled(kind, columns, shape, rows=None):
    """Records with the values of columns, of all rows or of some; block by block, each of which stays in the cache."""
    out = blank(shape, kind)
    if rows is not None and len(rows) < len(next(iter(columns.values()))):
        columns = {name: values[rows] for name, values in columns.items()}
    count = len(out)
    step = max(1, BLOCK // max(1, out.nbytes // max(1, count)))
    columns = {name: np.broadcast_to(values, out.shape) for name, values in columns.items()}
    for first in range(0, count, step):
        block = out[first : first + step]
        for name, values in columns.items():
            block[name][...] = values[first : first + step]
    return out


def no_finer():
    """No bars within the bars."""
    return book.Finer(np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64), np.zeros((0, 4)))


def no_risk(members):
    """Contracts do not become whole by risk."""
    return book.Risk(np.zeros((0, members, members)), np.zeros(0, np.int64), np.zeros((0, members)))
