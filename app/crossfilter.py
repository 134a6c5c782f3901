"""What a selection leaves of a run, in one pass: `crossfilter(columns, selection)` gives a Slice.

Rules, the same in `crossfilter.js` (the twin that works inside a report):

* A picture does not hide what it lets one pick: the equity shows all days, the bars show all markets; every other
  filter holds for them.
* Profit is what the ledger says of the days picked. A trade counts if it *ended* on one of them.
* A return is the profit picked over the account's equity of the day before (its starting capital without compounding),
  so that the parts of an account add up to it.
* Drawdown is that of the account's equity at the start of the days picked plus the profit picked since then.
* Money paid in or out is no profit: it is part of what a return is a share of, and growth is told without it
  (`engine.ratios.unpaid`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.columns import COST, GROSS, INTEREST, Columns
from app.selection import CHOICES, SIDES
from engine.kernel import kernel
from engine.metrics import METRICS, Account
from engine.ratios import unpaid

FEW_DAYS = 60  # fewer say little about a year
FEW_TRADES = 30
STATISTICS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_days",
    "var_95", "trades", "win_rate", "profit_factor", "expectancy", "cost_share", "time_in_market",
)  # fmt: skip
KEPT = 32  # slices remembered of a run: going back to a selection costs nothing


@dataclass(frozen=True)
class Slice:
    """One selection of one run. Axes: day T, sector S, root R; the last row of S and R is the account's own."""

    columns: Columns
    first: int  # first and last row of `columns.days` picked; first > last: none
    last: int
    profit: np.ndarray  # (T + 1,) all days
    interest: np.ndarray  # (T + 1,)
    by_root: np.ndarray  # (R + 1,)
    by_sector: np.ndarray  # (S + 1,)
    line_gross: np.ndarray  # (L + 1,) before costs
    costs: float  # positive
    margin: np.ndarray  # (T + 1, S)
    notional: np.ndarray  # (T + 1, 2) long, short
    trades: np.ndarray  # rows of `columns.trade`
    book: np.ndarray  # rows of `columns.held`: what was held at the close of the last day picked
    chosen: dict  # the fields of the selection
    line_picked: np.ndarray  # (L,) bool
    root_picked: np.ndarray  # (R + 1,) bool
    sector_picked: np.ndarray  # (S + 1,) bool

    @property
    def rows(self):
        """The rows of `columns.days` picked, as a python slice."""
        return slice(self.first, max(self.last + 1, self.first))

    @property
    def count(self):
        """Number of days picked."""
        return max(self.last - self.first + 1, 0)

    @cached_property
    def curve(self):
        """Capital paid in so far plus the profit picked so far, all days. (T + 1,) [account currency]"""
        return self.columns.capital + np.cumsum(self.profit + self.columns.paid)

    @cached_property
    def grown(self):
        """The same as it would have gone with the starting capital alone. (T + 1,) [account currency]"""
        return unpaid(self.curve, self.columns.paid[1:], self.columns.compounding)

    @cached_property
    def base(self):
        """What a day's return is a share of, all days but the first. (T,) [account currency]"""
        equity = self.columns.equity[:-1] + self.columns.paid[1:]
        return equity if self.columns.compounding else np.full_like(equity, self.columns.capital)

    @cached_property
    def account(self):
        """The selection as the engine's metrics read an account."""
        if not self.count:
            return Account(*(np.zeros(0) for _ in range(4)))
        base = self.base[self.first - 1 : self.last]
        profit, interest = self.profit[self.rows], self.interest[self.rows]
        start, paid = self.columns.equity[self.first - 1], self.columns.paid[self.rows]
        equity = np.concatenate([[start], start + np.cumsum(profit + paid)])
        return Account(
            returns=profit / np.where(base > 0.0, base, np.nan),
            days=self.columns.days[self.first - 1 : self.last + 1],
            equity=unpaid(equity, paid, self.columns.compounding),
            trade_net=self.columns.trade["net"][self.trades],
            costs=self.costs,
            line_gross=self.line_gross,
            contracts=self.notional[self.rows],
            interest=interest / np.where(base > 0.0, base, np.nan),
            compounding=self.columns.compounding,
        )

    @cached_property
    def statistics(self):
        """Name -> number, nan where undefined: those of `engine.metrics`, and profit, costs, equity, margin."""
        equity = self.columns.equity[self.rows]
        used = self.margin[self.rows].sum(axis=1) / np.where(equity > 0.0, equity, np.nan)
        there = len(used) > 0
        return {
            "profit": float(self.profit[self.rows].sum()),
            "final_equity": float(equity[-1]) if there else np.nan,
            "costs": self.costs,
            "margin_mean": float(used.mean()) if there else np.nan,
            "margin_peak": float(used.max()) if there else np.nan,
            "turnover": self.columns.turnover,
        } | {name: METRICS[name](self.account) for name in STATISTICS}

    @cached_property
    def months(self):
        """Return of each month and year picked: {year: [12 months, the year]}, nan where no day was picked."""
        found = {}
        days = self.columns.days[self.rows].astype("datetime64[M]").astype(int)
        for months, place in (
            (days, lambda k: (1970 + k // 12, k % 12)),
            (days // 12 * 12, lambda k: (1970 + k // 12, 12)),
        ):
            starts = np.flatnonzero(np.diff(months, prepend=months[:1] - 1))
            profit = np.add.reduceat(self.profit[self.rows], starts) if len(starts) else np.zeros(0)
            for start, amount in zip(starts, profit, strict=True):
                year, column = place(int(months[start]))
                found.setdefault(year, [np.nan] * 13)[column] = float(amount / self.base[self.first - 1 + start])
        return found

    @cached_property
    def warning(self):
        """Why the numbers of this selection say little, or ''."""
        if not self.count:
            return "No day is picked: widen the dates."
        if not len(self.columns.roots):
            return "Nothing was traded in this run."
        if not self.line_picked.any():
            return "No market is picked: nothing of this run has these filters."
        few = []
        if self.count < FEW_DAYS:
            few.append(f"{self.count} {'day' if self.count == 1 else 'days'}")
        if len(self.trades) < FEW_TRADES:
            few.append(f"{len(self.trades)} {'trade' if len(self.trades) == 1 else 'trades'}")
        return f"A short selection ({' and '.join(few)}): its ratios say little." if few else ""


def crossfilter(columns, selection):
    """The slice of a run that a selection picks; the last ones are remembered."""
    kept, key = columns.slices, selection.key()
    if key not in kept:
        kept[key] = _slice(columns, selection)
        if len(kept) > KEPT:
            kept.popitem(last=False)
    return kept[key]


def _slice(columns, selection):
    first, last = _days(columns, selection.days)
    root = _picked(columns.roots, selection.markets)
    sector = _picked(columns.sectors, selection.sectors)
    strategy = _picked(columns.strategies, selection.strategies)
    side = _picked(SIDES, selection.directions)
    time, lines = len(columns.days), len(columns.line_root)
    out = (np.zeros((time, 3)), np.zeros(len(root)), np.zeros(len(sector)), np.zeros((lines, 3)))
    ok = (strategy[columns.line_strategy], root[columns.line_root], sector[columns.line_sector], side)
    where = (columns.line_root, columns.line_sector, first, last)
    _pass(*(columns.cell[name] for name in ("day", "line", "side", "part", "amount")), *ok, *where, *out)
    daily, by_root, by_sector, by_line = out
    margin, notional = np.zeros((time, len(columns.sectors) + 1)), np.zeros((time, 3))
    _hold(*(columns.held[name] for name in ("day", "line", "side", "notional", "margin")), *ok,
          columns.line_sector, margin, notional)  # fmt: skip
    trade, held = columns.trade, columns.held
    lines_ok = ok[0] & ok[1] & ok[2]
    ended = (trade["exit"] >= first) & (trade["exit"] <= last) & lines_ok[trade["line"]] & side[trade["side"]]
    ends = np.searchsorted(held["day"], [last, last + 1]) if first <= last else (0, 0)
    book = np.arange(*ends)
    book = book[lines_ok[held["line"][book]] & side[held["side"][book]]]
    return Slice(
        columns, first, last, daily.sum(axis=1), daily[:, INTEREST].copy(), by_root, by_sector,
        by_line[:, GROSS].copy(), 0.0 - float(by_line[:, COST].sum()), margin[:, :-1], notional[:, :2],
        np.flatnonzero(ended), book, {name: getattr(selection, name) for name in CHOICES}, lines_ok[:-1], root, sector,
    )  # fmt: skip


def _days(columns, days):
    """First and last row of the days picked; row 0, before the first bar, is never one."""
    if days is None:
        return 1, len(columns.days) - 1
    first, last = (np.datetime64(day, "D") for day in days)
    return (
        max(int(np.searchsorted(columns.days, first)), 1),
        int(np.searchsorted(columns.days, last, side="right")) - 1,
    )


def _picked(names, chosen):
    """Whether each name is picked; the last entry is the account's, which only an empty list picks."""
    return np.array([not chosen or name in chosen for name in names] + [not chosen])


@kernel
def _pass(day, line, side, part, amount, ok_strategy, ok_root, ok_sector, ok_side, root, sector, first, last,
          daily, by_root, by_sector, by_line):  # fmt: skip
    """Add each cell to the totals of all filters that it passes, and to those of the one that it alone fails."""
    for k in range(len(day)):
        m = line[k]
        if not (ok_strategy[m] and ok_side[side[k]]):
            continue
        inside = first <= day[k] <= last
        failed = (not inside) + (not ok_root[m]) + (not ok_sector[m])
        if failed > 1:
            continue
        if failed == 0 or not inside:
            daily[day[k], part[k]] += amount[k]
        if failed == 0 or not ok_root[m]:
            by_root[root[m]] += amount[k]
        if failed == 0 or not ok_sector[m]:
            by_sector[sector[m]] += amount[k]
        if failed == 0:
            by_line[m, part[k]] += amount[k]


@kernel
def _hold(day, line, side, notional, margin, ok_strategy, ok_root, ok_sector, ok_side, sector, used, held):
    """Margin by sector and notional by side of each day, under all filters but the days."""
    for k in range(len(day)):
        m = line[k]
        if ok_strategy[m] and ok_root[m] and ok_sector[m] and ok_side[side[k]]:
            used[day[k], sector[m]] += margin[k]
            held[day[k], side[k]] += notional[k]
