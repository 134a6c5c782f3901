"""Slow independent twin of the whole simulation, written from its specification and never from the engine.

One bar, one line, one number at a time, on plain dicts of dated contracts; every cent is an entry of a list, and
equity, ledger and both tellings of the trades are sums over it. The parts: `naive_trading` (orders), `naive_fills`
(inside a bar), `naive_rolls`, `naive_spreads`, `naive_decide` (targets), `naive_margin`, `naive_limits`, `naive_whole`
and `naive_trades` (the books).
"""

import math
from dataclasses import dataclass

from tests import naive_decide, naive_rolls, naive_spreads, naive_trading
from tests.naive_margin import Question
from tests.naive_trades import CAUSES, Books

FRACTIONAL = 1


def account(
    prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs=None, risk=None
):
    """Everything that an account leaves, as lists and dicts.

    Returns a dict: equity, margin (bar,); sleeve (bar, sleeve); positions, left (bar, line); ledger {(bar, line,
    cause): amount}, line = the number of lines for the account's own; fills, trades, legs, events; ambiguous {(bar,
    line)}; positions by contract of the last bar.
    """
    told = (prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs, risk)
    return Book(*told).run()


@dataclass
class Line:
    """What one line is, holds and wants; its contracts are in the books."""

    i: int
    m: int
    member: int
    ratio: float
    sleeve: int
    root: int
    wanted: float = 0.0
    reason: str = "market"
    last: float = math.nan  # price of the contract held, when it was last marked
    old: int | None = None  # the contract being left
    old_price: float = math.nan
    rolled: int = -1  # bar of the last roll
    balance: float = 0.0  # foreign cash that is kept


@dataclass
class Levels:
    """Protective orders of a position, in adjusted points; nan none."""

    since: int
    best: float
    stop: float
    stop_at: float
    target: float
    target_at: float
    trail: float
    hold: int
    episode: int
    days: int = 0  # ends of days since the entry
    seen: bool = False  # held on a bar of its market since the last of them


@dataclass
class Member:
    """What a strategy decides about."""

    j: int
    legs: list
    ordered: bool
    levels: Levels | None = None
    pending: object = None
    blocked: int | None = None  # episode in which it was left
    closing: bool = False  # a protective order was met and not all of it could be sold
    broken: bool = False  # a leg could no longer trade: the others are closed, each by itself

    def protect(self, t, entry, side, order):
        """A position begins at an adjusted price: its protective orders."""
        self.levels = Levels(
            t, entry, entry - side * order.stop, order.stop_at, entry + side * order.target, order.target_at,
            order.trail, order.hold, order.episode,
        )  # fmt: skip
        self.closing = False


class Book:
    """The arrays as lists, the lines, and all that was written down."""

    def __init__(
        self, prices, facts, lines, wishes, orders, account, limits, clock, sleeves, finer, available, programs, risk
    ):
        self.prices, self.facts, self.clock = listed(prices), listed(facts), listed(clock)
        self.wishes, self.orders = listed(wishes), listed(orders) if orders is not None else None
        self.account, self.limits, self.finer, self.programs, self.risk = account, limits, finer, programs, risk
        self.capital, self.share = sleeves.capital.tolist(), sleeves.share.tolist()
        self.available = available.tolist()
        self.whole = account.rounding != FRACTIONAL
        told = listed(lines)
        names = ("instrument", "member", "ratio", "sleeve", "root")
        self.lines = [Line(i, *row) for i, row in enumerate(zip(*(told[name] for name in names), strict=True))]
        self.sector, self.group = told["sector"], told["group"]
        self.members = [
            Member(j, [line.i for line in self.lines if line.member == j], bool(ordered) and bool(self.orders["kind"]))
            for j, ordered in enumerate(self.wishes["ordered"])
        ]
        self.books, self.ambiguous, self.halted = Books(), set(), False
        self.known = {}  # column: price of the contract held that was last seen
        self.equity, self.margin, self.sleeve, self.positions, self.left_over = [], [], [], [], []

    def run(self):
        """Walk the bars and add up."""
        sleeves = list(self.capital)
        for t in range(len(self.clock["days"])):
            first = len(self.books.entries)
            before = self.equity[-1] if t else math.fsum(self.capital)
            self.paid(t, before)
            self.revalued_balances(t)
            self.traded(t)
            self.marked(t)
            naive_rolls.roll(self, t)
            naive_spreads.check(self, t, naive_rolls.end(self, t))
            self.interest(t)
            entries = self.books.entries[first:]
            self.equity.append(before + math.fsum(entry[3] for entry in entries))
            sleeves = self.split(t, sleeves, entries)
            self.sleeve.append(sleeves)
            self.kept(t)
            naive_decide.decide(self, t)
        return self.told()

    # One bar

    def paid(self, t, before):
        """Money paid in or out, and the fee of the month."""
        transfer = self.clock["transfer"][t]
        self.books.note(t, len(self.lines), "transfer", transfer)
        if self.clock["month_begin"][t]:
            fee = self.account.fee / 12.0 * max(before + transfer, 0.0) + self.account.fixed_fee
            self.books.note(t, len(self.lines), "fee", -fee)

    def revalued_balances(self, t):
        """Foreign cash that was kept, at the new rate."""
        for line in self.lines:
            if not self.account.sweep and t > 0 and line.balance:
                change = self.fact("fx", t, line.i) - self.fact("fx", t - 1, line.i)
                self.books.note(t, line.i, "fx", line.balance * change)

    def traded(self, t):
        """Orders at the market and inside the bar, in the order that the portfolio asks for."""
        if self.account.at_open:
            sizes = [self.held(line.i) for line in self.lines]
            naive_trading.market_orders(self, t, set())
            self.entered(t, sizes)
            self.opened = [self.held(line.i) for line in self.lines]
            naive_trading.inside(self, t)
        else:
            self.opened = [self.held(line.i) for line in self.lines]
            exited = naive_trading.inside(self, t)
            sizes = [self.held(line.i) for line in self.lines]
            naive_trading.market_orders(self, t, exited)
            self.entered(t, sizes)

    def entered(self, t, sizes):
        """Positions that market orders began or ended: their protective orders."""
        for member in self.members:
            i = member.legs[0]
            if not member.ordered or self.held(i) == sizes[i]:
                continue
            if not self.held(i):
                member.levels, member.closing = None, False
            elif self.held(i) * sizes[i] <= 0:
                order = naive_decide.order_of(self, t - 1, member.j, self.held(i))
                side = math.copysign(1.0, self.held(i))
                member.protect(t, self.price("fill", t, i) + self.price("offset", t, i), side, order)

    def marked(self, t):
        """Variation margin to the mark of the bar."""
        for line in self.lines:
            mark = self.price("mark", t, line.i)
            if not math.isnan(mark):
                self.move(t, line.i, mark)
                if self.left(line.i) and not math.isnan(self.price("left_mark", t, line.i)):
                    self.revalue(t, line.i, self.price("left_mark", t, line.i))
                for contract in self.books.contracts(line.i):
                    self.books.leg[line.i, contract]["bars"] += 1
                if self.held(line.i):
                    self.books.trade[line.i]["bars"] += 1
                self.known[line.m] = mark
            if self.price("roll", t, line.i):
                self.known[line.m] = self.price("roll_to", t, line.i)
            self.best(t, self.members[line.member])

    def best(self, t, member):
        """The best price since the entry, for the trailing stop of the next bar."""
        i, levels = member.legs[0], member.levels
        if levels is None or not self.held(i):
            return
        if not math.isnan(self.price("mark", t, i)):
            levels.seen = True
        long = self.held(i) > 0
        name = "close" if levels.since == t else "high" if long else "low"
        price = self.price(name, t, i) + self.price("offset", t, i)
        if not math.isnan(price):
            levels.best = max(levels.best, price) if long else min(levels.best, price)

    def interest(self, t):
        """On what was free at the end of the bar before."""
        if t == 0:
            return
        free, rate = self.equity[t - 1] - self.margin[t - 1], self.clock["rate"][t - 1]
        if free < 0:
            rate += self.account.debit_spread
        elif rate >= 0:
            rate = max(rate - self.account.credit_spread, 0.0)
        else:
            rate -= self.account.credit_spread
        self.books.note(t, len(self.lines), "interest", free * rate * self.clock["days"][t] / 360.0)

    def split(self, t, sleeves, entries):
        """Equity of each sleeve: its lines' money, and of the account's own what its equity is of the whole."""
        own = math.fsum(entry[3] for entry in entries if entry[1] == len(self.lines))
        whole, after = math.fsum(max(sleeve, 0.0) for sleeve in sleeves), []
        for s, before in enumerate(sleeves):
            mine = math.fsum(e[3] for e in entries if e[1] < len(self.lines) and self.lines[e[1]].sleeve == s)
            after.append(before + mine + own * (max(before, 0.0) / whole if whole > 0 else 1.0 / len(sleeves)))
        if self.clock["rebalance"][t]:
            after = [self.equity[t] * share for share in self.share]
        return after

    def kept(self, t):
        """What is held after the bar, and its margin."""
        held = [self.held(line.i) for line in self.lines]
        self.positions.append(held)
        self.left_over.append([self.left(line.i) for line in self.lines])
        self.margin.append(self.question(t, "initial").required(held) * self.asked_share(t))

    # Money

    def move(self, t, i, price):
        """The series goes to a price, and the contract being left with it."""
        line = self.lines[i]
        for contract in self.books.contracts(i):
            amount = self.books.positions[i, contract] * (price - line.last) * self.fact("multiplier", t, i)
            self.cash(t, i, "price", amount, contract)
        if line.old is not None:
            line.old_price += price - line.last
        line.last = price

    def revalue(self, t, i, price):
        """The contract being left is worth something else than the series says."""
        line = self.lines[i]
        amount = self.left(i) * (price - line.old_price) * self.fact("multiplier", t, i)
        self.cash(t, i, "roll_gap", amount, line.old)
        line.old_price = price

    def cash(self, t, i, cause, local, contract):
        """Local money of a line: converted at the day's rate, or kept and only valued at it; as it was booked."""
        if not self.account.sweep:
            self.lines[i].balance += local
        amount = local * self.fact("fx", t, i)
        self.books.note(t, i, cause, amount, contract)
        return amount

    # Reading

    def price(self, name, t, i):
        return self.prices[name][t][self.lines[i].m]

    def fact(self, name, t, i):
        return self.facts[name][t][self.lines[i].m]

    def held(self, i):
        return self.books.size(i)

    def left(self, i):
        old = self.lines[i].old
        return 0.0 if old is None else self.books.at(i, old)

    def asked_share(self, t):
        """Part of the margin that is asked on this bar."""
        return 1.0 if self.clock["day_end"][t] else self.account.intraday_margin

    def question(self, t, kind):
        """What the margin's rules ask about, after the bar."""
        ids = range(len(self.lines))
        return Question(
            root=[line.root for line in self.lines],
            ratio=[line.ratio for line in self.lines],
            members=[member.legs for member in self.members],
            held=[self.held(i) for i in ids],
            left=[self.left(i) for i in ids],
            contract=[self.price("roll_contract" if self.price("roll", t, i) else "contract", t, i) for i in ids],
            left_contract=[self.lines[i].old or 0 for i in ids],
            each=[self.fact(kind, t, i) * self.fact("fx", t, i) for i in ids],
            credit=self.account.spread_credit,
            whole=self.whole,
        )

    def told(self):
        """All that was written down."""
        lines = self.lines
        bars = len(self.equity)
        self.books.still_open(bars, lambda i, c: lines[i].old_price if c == lines[i].old else lines[i].last)
        return self.books.told() | {
            "equity": self.equity, "margin": self.margin, "sleeve": self.sleeve, "positions": self.positions,
            "left": self.left_over, "ambiguous": self.ambiguous,
            "contracts": dict(self.books.positions),
        }  # fmt: skip


def listed(told):
    """A named tuple of arrays as a dict of lists."""
    return {name: array.tolist() for name, array in told._asdict().items()}


__all__ = ["CAUSES", "account"]
