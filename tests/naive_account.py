"""Slow twin of the account: one bar, one line, one number at a time, written from the rules and not from the engine.

Every cent is one entry (bar, line, cause, amount, trade, leg) of a list; equity, ledger and both tellings of the trades
are sums over that list. A bar, in order: fills of what was decided, mark, roll or end of the contract, interest, margin
call, next targets; see the rules in `engine/simulate.py`.
"""

import math
from collections import defaultdict

PRICE, SLIPPAGE, COMMISSION = "price", "slippage", "commission"
ROLL_GAP, ROLL_SLIPPAGE, ROLL_COMMISSION = "roll_gap", "roll_slippage", "roll_commission"
INTEREST, FX = "interest", "fx"


class Line:
    """What one line holds and wants."""

    def __init__(self):
        self.held, self.wanted = 0.0, 0.0
        self.last = math.nan  # price of the last mark
        self.balance = 0.0  # foreign cash that is kept
        self.trade = self.leg = None


def account(prices, facts, account, weight, instrument, available, rate, days):
    """Equity, margin, ledger, positions, fills and both tellings of the trades, as plain lists and dicts."""
    return Book(prices, facts, account, weight, instrument, available, rate, days).run()


class Book:
    """The arrays as lists, the lines, and all that was written down."""

    def __init__(self, prices, facts, account, weight, instrument, available, rate, days):
        self.prices = {name: array.tolist() for name, array in prices._asdict().items()}
        self.facts = {name: array.tolist() for name, array in facts._asdict().items()}
        self.account, self.weight, self.available = account, weight.tolist(), available.tolist()
        self.market, self.rate, self.days = [int(m) for m in instrument], list(rate), list(days)
        self.lines = [Line() for _ in self.market]
        self.entries, self.fills, self.equity, self.margin, self.positions = [], [], [], [], []
        self.trades, self.legs, self.calls = [], [], []

    def run(self):
        """Walk the bars and add up."""
        money = self.account.capital
        for t in range(len(self.weight)):
            first = len(self.entries)
            for i in range(len(self.lines)):
                self.bar(t, i)
            if t > 0:
                free = self.equity[t - 1] - self.margin[t - 1]
                interest = self.rate[t - 1] * free * self.days[t] / 360.0
                self.entries.append((t, len(self.lines), INTEREST, interest, None, None))
            money += math.fsum(entry[3] for entry in self.entries[first:])
            self.equity.append(money)
            held = [line.held for line in self.lines]
            self.margin.append(self.required(t, held, "initial"))
            self.positions.append(held)
            self.decide(t, money)
        return self.told()

    # One bar of one line

    def bar(self, t, i):
        """Fill, roll, end and mark one line."""
        line, m, price = self.lines[i], self.market[i], self.at(t, i)
        now = self.facts["fx"][t][m]
        if not self.account.sweep and t > 0:
            self.note(t, i, FX, line.balance * (now - self.facts["fx"][t - 1][m]), None, None)
        order = line.wanted - line.held
        if order and not math.isnan(price["fill"]):
            self.fill(t, i, order, price["fill"], "order")
        if not math.isnan(price["mark"]):
            self.mark(t, i, price["mark"])
            for trade in (line.trade, line.leg) if line.held else ():
                trade["bars"] += 1
        if line.held and price["closed"]:
            self.fill(t, i, -line.held, line.last, "closed")
        elif line.held and price["roll"]:
            self.roll(t, i, price)

    def fill(self, t, i, order, price, why):
        """Trade at a price; a change of side ends one trade and begins another."""
        line = self.lines[i]
        self.mark(t, i, price)
        leaving = 0.0
        if line.held * order < 0:
            leaving = math.copysign(min(abs(order), abs(line.held)), order)
        contract = self.at(t, i)["contract"]
        for part in (leaving, order - leaving):
            if not part:
                continue
            if not line.held:
                self.begin(t, i, contract, price, part, whole=True)
            line.held += part
            for trade in (line.trade, line.leg):
                trade["contracts"] = max(trade["contracts"], abs(line.held))
            self.cost(t, i, SLIPPAGE, abs(part) * self.side_slippage(t, i))
            self.cost(t, i, COMMISSION, abs(part) * self.fact(t, i, "commission"))
            if not line.held:
                self.end(t, i, contract, price, why, whole=True)
        self.fills.append((t, i, contract, why, order, price))

    def roll(self, t, i, price):
        """Both legs at the same moment; what they traded at against what the series says is the roll's gap."""
        line, value = self.lines[i], self.fact(t, i, "multiplier")
        slippage = abs(line.held) * self.side_slippage(t, i)
        commission = abs(line.held) * self.fact(t, i, "commission") * self.account.roll_commission
        old, new = price["contract"], price["roll_contract"]
        self.cash(t, i, ROLL_GAP, line.held * (price["roll_from_fill"] - price["roll_from"]) * value)
        self.cost(t, i, ROLL_SLIPPAGE, slippage)
        self.cost(t, i, ROLL_COMMISSION, commission)
        self.end(t, i, old, price["roll_from_fill"], "roll", whole=False)
        self.fills.append((t, i, old, "roll out", -line.held, price["roll_from_fill"]))
        self.begin(t, i, new, price["roll_to_fill"], line.held, whole=False)
        line.leg["contracts"] = abs(line.held)
        self.fills.append((t, i, new, "roll in", line.held, price["roll_to_fill"]))
        self.cash(t, i, ROLL_GAP, line.held * (price["roll_to"] - price["roll_to_fill"]) * value)
        self.cost(t, i, ROLL_SLIPPAGE, slippage)
        self.cost(t, i, ROLL_COMMISSION, commission)
        line.trade["rolls"] += 1
        line.last = price["roll_to"]

    def mark(self, t, i, price):
        """Variation margin since the last mark."""
        line = self.lines[i]
        if line.held:
            self.cash(t, i, PRICE, line.held * (price - line.last) * self.fact(t, i, "multiplier"))
        line.last = price

    # Money

    def cost(self, t, i, cause, local):
        self.cash(t, i, cause, -local)

    def cash(self, t, i, cause, local):
        """Local money of a line: converted at the day's rate, or kept and only valued at it."""
        line = self.lines[i]
        if not self.account.sweep:
            line.balance += local
        self.note(t, i, cause, local * self.fact(t, i, "fx"), line.trade, line.leg)

    def note(self, t, i, cause, amount, trade, leg):
        self.entries.append((t, i, cause, amount, trade and trade["id"], leg and leg["id"]))

    # Trades

    def begin(self, t, i, contract, price, size, whole):
        """A leg begins, and with it the whole trade unless it is a roll."""
        line = self.lines[i]
        if whole:
            line.trade = self.new(self.trades, t, i, contract, price, size)
        line.leg = self.new(self.legs, t, i, contract, price, size)

    def new(self, told, t, i, contract, price, size):
        trade = {
            "id": len(told), "line": i, "direction": math.copysign(1.0, size), "entry": t, "entry_contract": contract,
            "entry_price": price, "contracts": 0.0, "rolls": 0, "bars": 0, "exit": len(self.weight) - 1,
            "exit_contract": None, "exit_price": None, "why": "open",
        }  # fmt: skip
        told.append(trade)
        return trade

    def end(self, t, i, contract, price, why, whole):
        line = self.lines[i]
        for trade in (line.trade, line.leg) if whole else (line.leg,):
            trade.update(exit=t, exit_contract=contract, exit_price=price, why=why)

    # Margin and targets

    def required(self, t, held, kind):
        """Margin of what is held; lines of one market hold one contract and net."""
        net = defaultdict(float)
        for i, m in enumerate(self.market):
            net[m] += held[i]
        return math.fsum(abs(size) * self.facts[kind][t][m] * self.facts["fx"][t][m] for m, size in net.items() if size)

    def decide(self, t, equity):
        """The margin call, then the targets of this row."""
        held = [line.held for line in self.lines]
        cap = [math.inf] * len(held)
        if equity < self.required(t, held, "maintenance"):
            cap = [abs(size) for size in self.cut(t, held, equity)]
            self.calls.append(t)
        wanted = []
        for i, size in enumerate(self.weight[t]):
            if self.account.per_capital:
                size *= max(equity, 0.0) if self.account.compounding else self.account.capital
            size = float(math.trunc(size)) if self.available[t][self.market[i]] else 0.0
            wanted.append(math.copysign(min(abs(size), self.account.most, cap[i]), size))
        for line, size in zip(self.lines, self.afforded(t, wanted, held, equity), strict=True):
            line.wanted = size

    def cut(self, t, held, equity):
        """Whole contracts, in proportion and toward zero, until the initial margin is covered."""
        sizes, covered = held, max(equity, 0.0)
        while (
            asked := self.required(t, sizes, "initial")
        ) > covered:  # again where lines net and one cut is too little
            sizes = [float(math.trunc(size * (covered / asked))) for size in sizes]
        return sizes

    def afforded(self, t, wanted, held, equity):
        """Decreases pass; of the increases the share that the initial margin allows."""
        kept = [
            math.copysign(min(abs(new), abs(old)), new) if new * old > 0 else 0.0
            for new, old in zip(wanted, held, strict=True)
        ]
        least, most = self.required(t, kept, "initial"), self.required(t, wanted, "initial")
        if most <= equity:
            return wanted
        share = max((equity - least) / (most - least), 0.0) if most > least else 0.0
        for _ in range(20):  # a tenth less each time, where lines net and whole contracts take more than their share
            sizes = [base + math.trunc((new - base) * share) for new, base in zip(wanted, kept, strict=True)]
            if self.required(t, sizes, "initial") <= equity:
                return sizes
            share *= 0.9
        return kept

    # Reading

    def at(self, t, i):
        return {name: rows[t][self.market[i]] for name, rows in self.prices.items()}

    def fact(self, t, i, name):
        return self.facts[name][t][self.market[i]]

    def side_slippage(self, t, i):
        return self.fact(t, i, "slippage") * self.fact(t, i, "multiplier")

    def told(self):
        """Sums over the entries."""
        for line in self.lines:
            for trade in (line.trade, line.leg) if line.held else ():
                trade.update(exit_contract=line.leg["entry_contract"], exit_price=line.last)
        ledger = defaultdict(float)
        sums = {"trade": defaultdict(lambda: defaultdict(float)), "leg": defaultdict(lambda: defaultdict(float))}
        for t, i, cause, amount, trade, leg in self.entries:
            ledger[t, i, cause] += amount
            sums["trade"][trade][cause] += amount
            sums["leg"][leg][cause] += amount
        for told, kind in ((self.trades, "trade"), (self.legs, "leg")):
            for trade in told:
                causes = sums[kind][trade["id"]]
                trade["gross"] = causes[PRICE] + causes[ROLL_GAP]
                trade["net"] = math.fsum(causes.values())
        return {
            "equity": self.equity, "margin": self.margin, "ledger": dict(ledger), "positions": self.positions,
            "fills": self.fills, "trades": self.trades, "legs": self.legs, "calls": self.calls,
        }  # fmt: skip
