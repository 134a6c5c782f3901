"""Slow twin of the books: every cent an entry, positions of dated contracts, trades told flat to flat and by contract.

An entry is (bar, line, cause, amount, trade, leg); ledger, equity and both tellings of the trades are sums over them.
"""

import math
from collections import defaultdict

CAUSES = (
    "price", "slippage", "impact", "commission", "roll_gap", "roll_slippage", "roll_impact", "roll_commission",
    "interest", "fx", "fee", "transfer",
)  # fmt: skip
GROSS = ("price", "roll_gap")


class Books:
    """Positions {(line, contract): size}, and all that was written down."""

    def __init__(self):
        self.positions = {}  # what is zero is not there
        self.entries, self.fills, self.events = [], [], []
        self.trades, self.legs = [], []
        self.trade = {}  # line: its trade now open, flat to flat
        self.leg = {}  # (line, contract): the same of one contract
        self.profit = defaultdict(float)  # trade: what it has earned, costs taken off

    def size(self, i):
        """What a line holds, of all contracts."""
        return sum(size for (line, _), size in self.positions.items() if line == i)

    def at(self, i, contract):
        """What a line holds of one contract."""
        return self.positions.get((i, contract), 0.0)

    def contracts(self, i):
        """Contracts of which a line holds something."""
        return [contract for line, contract in self.positions if line == i]

    def profit_of(self, i):
        """What the trade now open of a line has earned."""
        return self.profit[self.trade[i]["id"]] if i in self.trade else 0.0

    def note(self, t, i, cause, amount, contract=None):
        """Write an entry; with a contract it belongs to the trades of the line."""
        trade = leg = None
        if contract is not None:
            trade, leg = self.trade[i]["id"], self.leg[i, contract]["id"]
            self.profit[trade] += amount
        self.entries.append((t, i, cause, amount, trade, leg))

    def event(self, t, i, kind, wanted=math.nan, allowed=math.nan):
        self.events.append((t, i, kind, wanted, allowed))

    # Trades

    def change(self, t, i, contract, price, size, how):
        """A position grows by `size` (negative: shrinks), never through zero; trades begin, trades grow."""
        if i not in self.trade:
            self.trade[i] = self.begun(self.trades, t, i, contract, price, size, how)
        if (i, contract) not in self.leg:
            self.leg[i, contract] = self.begun(self.legs, t, i, contract, price, size, how)
        self.positions[i, contract] = self.at(i, contract) + size
        if abs(self.positions[i, contract]) < 1e-12:  # fractions of contracts do not sum to zero exactly
            del self.positions[i, contract]
        leg, trade = self.leg[i, contract], self.trade[i]
        leg["contracts"] = max(leg["contracts"], abs(self.at(i, contract)))
        trade["contracts"] = max(trade["contracts"], abs(self.size(i)))

    def begun(self, told, t, i, contract, price, size, how):
        trade = {
            "id": len(told), "line": i, "direction": math.copysign(1.0, size), "contracts": 0.0, "entry": t,
            "exit": None, "entry_contract": contract, "exit_contract": None, "entry_price": price, "exit_price": None,
            "rolls": 0, "bars": 0, "how": how, "why": "open",
        }  # fmt: skip
        told.append(trade)
        return trade

    def over(self, t, i, contract, price, why):
        """End what has become flat: the leg of a contract, and the whole trade."""
        end = {"exit": t, "exit_contract": contract, "exit_price": price, "why": why}
        if not self.at(i, contract) and (i, contract) in self.leg:
            self.leg.pop((i, contract)).update(end)
        if not self.contracts(i) and i in self.trade:
            self.trade.pop(i).update(end)

    def still_open(self, bars, price_of):
        """Tell the trades that nothing ended, with the price that each contract was last valued at."""
        for (i, contract), leg in self.leg.items():
            leg.update(exit=bars - 1, exit_contract=contract, exit_price=price_of(i, contract))
        for i, trade in self.trade.items():
            contract = self.contracts(i)[-1]
            trade.update(exit=bars - 1, exit_contract=contract, exit_price=price_of(i, contract))

    def told(self):
        """Ledger and trades as sums over the entries."""
        ledger = defaultdict(float)
        by_trade, by_leg = defaultdict(float), defaultdict(float)
        for t, i, cause, amount, trade, leg in self.entries:
            ledger[t, i, cause] += amount
            by_trade[trade, cause in GROSS] += amount
            by_leg[leg, cause in GROSS] += amount
        for told, sums in ((self.trades, by_trade), (self.legs, by_leg)):
            for trade in told:
                trade["gross"], trade["costs"] = sums[trade["id"], True], sums[trade["id"], False]
        return {
            "ledger": dict(ledger), "fills": self.fills, "events": self.events, "trades": self.trades,
            "legs": self.legs,
        }  # fmt: skip
