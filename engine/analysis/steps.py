"""Steps: what a line earned and paid, told again from contract prices: fill by fill, mark by mark, leg by leg.

A step is one amount with the numbers that it is made of; the steps of a line on a day are its row of the ledger, by
cause. They are not read from the ledger but follow the rules of docs/positions.md from fills and market:

1. A fill first moves the position from its last price to the price of the fill; then it pays its costs.
2. A fill of the contract that is being rolled out of is at that contract's own price: what it is beyond the spread of
   the last mark is `roll_gap`.
3. The position is marked; what is left in the contract rolled out of earns the change of the spread as `roll_gap`.
4. On a roll the position goes to the next contract at the series' two prices; what the legs traded at beyond their
   spread is `roll_gap`, and each leg pays its costs.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.rows import carried

INSIDE = ("protective stop", "trailing stop", "target", "closed")  # fills whose price tells that of the contract held
PRICE, GAP, FILL = "price", "roll_gap", "fill"  # a fill itself is a step without an amount
FORMULAS = {
    FILL: "contracts at to_price",
    PRICE: "contracts x (to_price - from_price) x multiplier x fx",
    GAP: "contracts x (to_price - from_price) x multiplier x fx, of spreads: old contract less new one",
    "slippage": "0 - contracts x rate; rate: half spread and slippage [points] x multiplier x fx",
    "commission": "0 - contracts x rate; rate: commission of a side [local] x fx",
    "impact": "0 - contracts x rate; rate: impact of a side, by size and volume [account currency]",
}


class Step(NamedTuple):
    """One amount of a line."""

    day: int  # row of the run
    trade: int  # number of the trade among those of its line, from 0
    cause: str  # of the ledger, or `fill`
    what: str  # in words
    contract: int  # YYYYMM
    contracts: float  # signed; of costs those that paid
    from_price: float  # of the contract, of `roll_gap` a spread; nan of costs [points]
    to_price: float
    offset: float  # adjusted - contract price [points]
    multiplier: float  # [local currency / point]
    fx: float  # [account currency / local currency]
    rate: float  # of costs, of one contract [account currency]; else nan
    amount: float  # [account currency]


class Steps:
    """The steps of a run's lines.

    Parameters
    ----------
    run : RunResult
    given : engine.inputs.Inputs
        What the run was given: its market (of the run's days) with prices and costs.
    """

    def __init__(self, run, given):
        self.market, self.prices, self.facts = given.market, given.prices, given.facts
        self.days = self.market.days.astype("datetime64[D]")
        self.column = given.layout.lines.instrument
        self._run = run

    @cached_property
    def _frames(self):
        """Table -> line -> its rows, in their order, with `t`, the row of their day."""
        fills, positions = self._run.fills(), self._run.positions()
        trades = self._run.trades().sort("line", "trade").select("line", day="entry_day")
        told = {"fills": fills, "begins": trades, "positions": positions}
        return {name: _by_line(frame, self.days) for name, frame in told.items()}

    def _rows(self, table, line):
        frame = self._frames[table].get(line)
        return [] if frame is None else frame.to_dicts()

    @cached_property
    def _last(self):
        """(time, market) price at which a position stands at the end of a row, and the spread of what it leaves."""
        market = self.market
        price = carried(np.where(market.roll, market.roll_to, market.mark))
        spread = np.where(market.roll, market.roll_from - market.roll_to, market.left_mark - market.mark)
        return price, carried(spread)

    def of(self, line, first=0, last=None):
        """The steps of a line from row `first` to row `last` (included)."""
        last = len(self.days) - 1 if last is None else last
        walk = _Walk(self, line)
        walk.stand(first - 1)
        fills = {}
        for fill in self._rows("fills", line):
            if first <= fill["t"] <= last:
                fills.setdefault(fill["t"], []).append(fill)
        for t in range(first, last + 1):
            if walk.held != 0.0 or t in fills:
                walk.day(t, fills.get(t, ()))
            else:
                walk.last = self._last[0][t, walk.m]
        return walk.steps


class _Walk:
    """A line on its way through the days."""

    def __init__(self, told, line):
        self.told, self.line, self.m = told, line, int(told.column[line])
        self.steps, self.held, self.left, self.spread, self.last, self.trade = [], 0.0, 0.0, 0.0, np.nan, -1

    def stand(self, t):
        """The state at the end of row `t`; before the first row nothing is held."""
        told, m = self.told, self.m
        self.trade = sum(row["t"] <= t for row in told._rows("begins", self.line)) - 1
        if t < 0:
            return
        market = told.market
        now = int(market.roll_contract[t, m] if market.roll[t, m] else market.contract[t, m])
        parts = {row["contract"]: row["contracts"] for row in told._rows("positions", self.line) if row["t"] == t}
        self.held, self.left = sum(parts.values()), sum(size for one, size in parts.items() if one != now)
        self.last, self.spread = (values[t, m] for values in told._last)

    def day(self, t, fills):
        """Fills, the mark, the roll."""
        market, m = self.told.market, self.m
        self.t, self.contract = t, int(market.contract[t, m])
        self.worth = market.multiplier[t, m], market.fx[t, m]
        late = [fill for fill in fills if fill["kind"] == "closed"]
        rolls = [fill for fill in fills if fill["kind"] in ("roll out", "roll in")]
        for fill in fills:
            if fill not in late and fill not in rolls:
                self.fill(fill)
        mark = market.mark[t, m]
        if not np.isnan(mark):
            self.move(mark, "mark")
            beside = market.left_mark[t, m]
            if self.left != 0.0 and not np.isnan(beside):
                self.gap(self.left, self.spread, beside - mark, "spread of the contract rolled out of")
                self.spread = beside - mark
        for fill in late:
            self.fill(fill)
        self.roll(rolls)

    def move(self, price, what):
        """The position from its last price to another."""
        if self.held != 0.0 and price != self.last:
            amount = self.held * (price - self.last) * self.worth[0] * self.worth[1]
            self.tell(PRICE, what, self.contract, self.held, self.last, price, amount)
        self.last = price

    def gap(self, size, before, now, what):
        """What `size` contracts earned beside the series."""
        amount = size * (now - before) * self.worth[0] * self.worth[1]
        if amount != 0.0:
            self.tell(GAP, what, self.contract, size, before, now, amount)

    def tell(self, cause, what, contract, size, before, now, amount, rate=np.nan):
        offset = self.offset(contract) if cause in (PRICE, FILL) else np.nan
        step = Step(
            self.t, self.trade, cause, what, contract, size, before, now, offset, *self.worth, rate, float(amount)
        )  # fmt: skip
        self.steps.append(step)

    def offset(self, contract):
        """Adjusted less contract price, of the contract of the bar and of the one that it rolls into."""
        market, t, m = self.told.market, self.t, self.m
        if contract == market.contract[t, m]:
            return market.offset[t, m]
        into = market.roll[t, m] and contract == market.roll_contract[t, m]
        return market.offset[t, m] + market.roll_from[t, m] - market.roll_to[t, m] if into else np.nan

    def fill(self, fill):
        """A fill that is no roll."""
        size, price, kind = fill["contracts"], fill["price"], fill["kind"]
        old = self.left != 0.0 and fill["contract"] != self.contract and self.left * size < 0.0
        if old:
            inside = kind in INSIDE
            at = price - self.spread if inside else self.told.prices.fill[self.t, self.m]
            self.move(at, f"to the fill, {kind}")
            self.gap(-size, self.spread, price - at, "fill of the contract rolled out of")
            self.left += size
        else:
            self.move(price, f"to the fill, {kind}")
        before, self.held = self.held, self.held + size
        if abs(self.held) < 1e-10 * abs(size):
            self.held = 0.0
        if abs(self.left) < 1e-10 * abs(size):
            self.left = 0.0
        closing = abs(before) if before * self.held < 0.0 else abs(size) if before * size < 0.0 else 0.0
        if closing:
            self.costs(fill, closing, f"exit, {kind}")
        if abs(size) > closing:
            if before * self.held <= 0.0:
                self.trade += 1
            self.costs(fill, abs(size) - closing, f"entry, {kind}")

    def costs(self, fill, part, what, roll=""):
        """Slippage, impact and commission of `part` contracts of a fill."""
        whole = abs(fill["contracts"])
        self.tell(FILL, what, fill["contract"], np.copysign(part, fill["contracts"]), np.nan, fill["price"], 0.0)
        facts, t, m = self.told.facts, self.t, self.m
        multiplier, fx = self.worth
        rates = {
            "slippage": getattr(facts, f"{roll}slippage")[t, m] * multiplier * fx,
            "commission": getattr(facts, f"{roll}commission")[t, m] * fx,
        }
        for name in ("slippage", "impact", "commission"):
            amount = fill[name] * (part / whole)
            if amount != 0.0:
                rate = rates.get(name, 0.0) or -amount / part
                self.tell(f"{roll}{name}", what, fill["contract"], -amount / rate, np.nan, np.nan, amount, rate)

    def roll(self, fills):
        """The legs of a roll, of one that goes on first."""
        market, t, m = self.told.market, self.t, self.m
        begun = False
        for out, into in zip(fills[::2], fills[1::2], strict=True):
            if market.roll[t, m] and not begun and out["contract"] == self.contract:
                begun = self.begin_roll()
            self.gap(into["contracts"], self.spread, out["price"] - into["price"], "legs of the roll")
            for leg in (out, into):
                self.costs(leg, abs(leg["contracts"]), leg["kind"], "roll_")
            self.left -= into["contracts"]
            if abs(self.left) < 1e-10 * abs(into["contracts"]):
                self.left = 0.0
        if market.roll[t, m] and not begun:
            self.begin_roll()

    def begin_roll(self):
        """The position stands in the next contract from here on, all of it still to be traded."""
        market, t, m = self.told.market, self.t, self.m
        self.left, self.spread = self.held, market.roll_from[t, m] - market.roll_to[t, m]
        self.last = market.roll_to[t, m]
        return True


def _by_line(frame, days):
    """Line -> its rows, in their order, with `t`, the row of `day`."""
    names = [name for name in frame.columns if name not in ("strategy", "root", "market")]
    frame = frame.select(names).with_columns(pl.Series("t", np.searchsorted(days, frame["day"].to_numpy())))
    texts = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Enum)]
    found = frame.with_columns(pl.col(texts).cast(pl.String)).partition_by("line", as_dict=True, maintain_order=True)
    return {line: rows for (line,), rows in found.items()}
