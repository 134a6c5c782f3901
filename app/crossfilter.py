"""What a selection leaves of a run, in one pass: `crossfilter(columns, selection)` gives a Slice.

Rules, the same in `crossfilter.js` (the twin that works inside a report):

* A picture does not hide what it lets one pick: the equity shows all days, the bars of markets all markets, the
  histogram of results all results; every other filter holds for them.
* Profit is what the ledger says of the days picked. A trade counts if it *ended* on one of them.
* A day is picked if it lies within the dates and its regime, known at the close before, is one of those picked. Days
  that are not picked are none of the statistics': a year is as long as a year of days picked.
* What belongs to no trade (interest, fees) is of no side, no reason, no holding time and no result: it passes such a
  filter only where everything is picked.
* A return is the profit picked over the account's equity of the day before (its starting capital without compounding),
  so that the parts of an account add up to it.
* Drawdown is that of the account's equity at the start of the days picked plus the profit picked since then.
* Money paid in or out is no profit: it is part of what a return is a share of, and growth is told without it
  (`engine.ratios.unpaid`).

How each is counted stands in app/passes.py.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.columns import Columns, Regimes
from app.passes import counted, left
from engine import ratios
from engine.metrics import METRICS, Account
from engine.ratios import unpaid

FEW_DAYS = 60  # fewer say little about a year
FEW_TRADES = 30
STATISTICS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_days",
    "var_95", "trades", "win_rate", "profit_factor", "expectancy", "cost_share", "time_in_market",
)  # fmt: skip
KEPT = 32  # slices remembered of a run: going back to a selection costs nothing
BODIES = 8  # what filters of trades leave, remembered for brushes over days
FIELDS = {  # kind of a picture by names -> what it lets one pick
    "root": "markets", "sector": "sectors", "strategy": "strategies", "side": "directions", "entry": "entry_reasons",
    "exit": "exit_reasons", "regime": "regimes",
}  # fmt: skip

OF_TRADES = tuple(name for name in FIELDS.values() if name != "regimes")


@dataclass(frozen=True)
class PickedAccount(Account):
    """An account on some of its days."""

    share: float = 1.0  # of all days from the first to the last of them

    @cached_property
    def years(self):
        """Length of the days picked, by the calendar. [years]"""
        return ratios.years(self.days) * self.share


@dataclass(frozen=True)
class Slice:
    """One selection of one run. Axes: day T, line L, and names of each kind, see `names`."""

    columns: Columns
    first: int  # first and last row of `columns.days` within the dates; first > last: none
    last: int
    day_picked: np.ndarray  # (T + 1,) bool: its regime is picked, whatever the dates
    profit: np.ndarray  # (T + 1,) all days of the regimes picked
    interest: np.ndarray  # (T + 1,)
    by_root: np.ndarray  # (R + 1,)
    by_sector: np.ndarray  # (S + 1,)
    by_strategy: np.ndarray  # (P + 1,)
    by_side: np.ndarray  # (3,)
    by_entry: np.ndarray  # (E + 1,)
    by_exit: np.ndarray  # (X + 1,)
    by_regime: np.ndarray  # (G,); none where no regimes are known, or not yet: see `regimes`
    trades_by_result: np.ndarray  # (bin,) number of trades that ended on the days picked, in `columns.result_bins`
    trades_by_holding: np.ndarray  # (bin,) in `columns.holding_bins`
    line_gross: np.ndarray  # (L + 1,) before costs
    costs: float  # positive
    margin: np.ndarray  # (T + 1, S) of the days of the regimes picked
    notional: np.ndarray  # (T + 1, 2) long, short
    trades: np.ndarray  # rows of `columns.trade`
    book: np.ndarray  # rows of `columns.held`: what was held at the close of the last day within the dates
    chosen: dict  # the fields of the selection, and what its regimes are told by
    regimes: Regimes  # what days were told apart by
    mask: np.ndarray  # (owner,) uint8: bits of the filters of trades that an owner fails, see app/passes.py
    any_owner: bool  # whether anything of the run passes the filters of trades
    line_picked: np.ndarray  # (L,) bool
    root_picked: np.ndarray  # (R + 1,) bool
    sector_picked: np.ndarray  # (S + 1,) bool
    strategy_picked: np.ndarray  # (P + 1,) bool
    side_picked: np.ndarray  # (3,) bool
    entry_picked: np.ndarray  # (E + 1,) bool
    exit_picked: np.ndarray  # (X + 1,) bool
    regime_picked: np.ndarray  # (G,) bool

    def names(self, kind):
        """Names of the rows of `by_` and of `_picked` of a kind of FIELDS."""
        return self.regimes.names if kind == "regime" else self.columns.names(kind)

    @property
    def rows(self):
        """The rows of `columns.days` within the dates, as a python slice."""
        return slice(self.first, max(self.last + 1, self.first))

    @cached_property
    def at(self):
        """The rows of `columns.days` picked."""
        return np.flatnonzero(self.day_picked[self.rows]) + self.first

    @property
    def count(self):
        """Number of days picked."""
        return len(self.at)

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

    @property
    def returns(self):
        """Return of each day picked, in the order of `at`. [fraction]"""
        return self.account.returns

    @cached_property
    def account(self):
        """The selection as the engine's metrics read an account."""
        if not self.count:
            return Account(*(np.zeros(0) for _ in range(4)))
        rows, before = self.at, self.first - 1
        base = np.where(self.base[rows - 1] > 0.0, self.base[rows - 1], np.nan)
        profit, paid = self.profit[rows], self.columns.paid[rows]
        start = self.columns.equity[before]
        equity = np.concatenate([[start], start + np.cumsum(profit + paid)])
        return PickedAccount(
            returns=profit / base,
            days=self.columns.days[np.concatenate([[before], rows])],
            equity=unpaid(equity, paid, self.columns.compounding),
            trade_net=self.columns.trade["net"][self.trades],
            costs=self.costs,
            line_gross=self.line_gross,
            contracts=self.notional[rows],
            interest=self.interest[rows] / base,
            compounding=self.columns.compounding,
            share=len(rows) / (rows[-1] - before),
        )

    @cached_property
    def statistics(self):
        """Name -> number, nan where undefined: those of `engine.metrics`, and profit, costs, equity, margin."""
        equity = self.columns.equity[self.at]
        used = self.margin[self.at].sum(axis=1) / np.where(equity > 0.0, equity, np.nan)
        there = len(used) > 0
        return {
            "profit": float(self.profit[self.at].sum()),
            "final_equity": float(equity[-1]) if there else np.nan,
            "costs": self.costs,
            "margin_mean": float(used.mean()) if there else np.nan,
            "margin_peak": float(used.max()) if there else np.nan,
            "turnover": self.columns.turnover,
        } | {name: METRICS[name](self.account) for name in STATISTICS}

    @cached_property
    def months(self):
        """Return of each month and year picked: {year: [12 months, the year]}, nan where no day was picked."""
        return self._months(self.rows)

    @cached_property
    def every_month(self):
        """The same under all filters but the days: what a picture shows that lets one pick months."""
        return self._months(slice(1, len(self.columns.days)))

    @cached_property
    def month_picked(self):
        """Whether a month or year of `every_month` has a day within the dates: {year: [13 times bool]}."""
        picked = {year: ~np.isnan(values) for year, values in self.months.items()}
        return {year: picked.get(year, np.zeros(13, bool)).tolist() for year in self.every_month}

    def _months(self, rows):
        found, first = {}, rows.start
        days = self.columns.days[rows].astype("datetime64[M]").astype(int)
        for months, place in (
            (days, lambda k: (1970 + k // 12, k % 12)),
            (days // 12 * 12, lambda k: (1970 + k // 12, 12)),
        ):
            starts = np.flatnonzero(np.diff(months, prepend=months[:1] - 1))
            profit = np.add.reduceat(self.profit[rows], starts) if len(starts) else np.zeros(0)
            shares = (profit / self.base[first - 1 + starts]).tolist()
            for month, share in zip(months[starts].tolist(), shares, strict=True):
                year, column = place(month)
                found.setdefault(year, [np.nan] * 13)[column] = share
        return found

    @cached_property
    def warning(self):
        """Why the numbers of this selection say little, or ''."""
        if not self.count:
            return "No day is picked: widen the dates." if self.first > self.last else NO_REGIME
        if not len(self.columns.roots):
            return "Nothing was traded in this run."
        if not self.line_picked.any():
            return "No market is picked: nothing of this run has these filters."
        if not self.any_owner:
            return "No trade is picked: nothing of this run has these filters."
        few = []
        if self.count < FEW_DAYS:
            few.append(f"{self.count} {'day' if self.count == 1 else 'days'}")
        if len(self.trades) < FEW_TRADES:
            few.append(f"{len(self.trades)} {'trade' if len(self.trades) == 1 else 'trades'}")
        return f"A short selection ({' and '.join(few)}): its ratios say little." if few else ""


NO_REGIME = "No day is picked: none within the dates has these regimes."


def crossfilter(columns, selection):
    """The slice of a run that a selection picks; the last ones are remembered.

    Regimes that are picked are worked out here, which may take seconds; others only shown if they are there already.
    """
    regimes = (columns.regimes if selection.regimes else columns.regimes_now)(selection.regime)
    key = (selection.key(), len(regimes.names), regimes.missing)
    return _remembered(columns.slices, key, KEPT, lambda: _slice(columns, selection, regimes))


def _remembered(kept, key, count, make):
    found = kept.get(key)
    if found is None:
        found = kept[key] = make()
        if len(kept) > count:
            kept.popitem(last=False)
    return found


def _slice(columns, selection, regimes):
    chosen = selection.chosen()
    picked = {
        kind: _picked(columns.names(kind)[:-1], chosen[name]) for kind, name in FIELDS.items() if kind != "regime"
    }
    trades = (*(tuple(sorted(chosen[name])) for name in OF_TRADES), chosen["holding"], chosen["results"])
    body = _remembered(columns.bodies, trades, BODIES, lambda: left(columns, picked, chosen))
    first, last = _days(columns, selection.days)
    regime = np.array([not chosen["regimes"] or name in chosen["regimes"] for name in regimes.names], bool)
    day = regime[regimes.code] if len(regime) else np.full(len(columns.days), not chosen["regimes"])
    sums = counted(columns, body.mask, first, last, day)
    within, size = slice(first, max(last + 1, first)), len(regimes.names)
    held = columns.held["day"]
    # of the type of what is searched, of which otherwise a copy is made
    ends = np.searchsorted(held, np.array([last, last + 1], held.dtype)) if first <= last else (0, 0)
    book = np.arange(*ends)
    every = bool(day.all())
    return Slice(
        columns=columns, first=first, last=last, day_picked=day,
        profit=body.profit if every else body.profit * day, interest=body.interest if every else body.interest * day,
        **{f"by_{kind}": values for kind, values in sums.by.items()},
        by_regime=np.bincount(regimes.code[within], body.profit[within], size)[:size].astype(float),
        trades_by_result=sums.by_result, trades_by_holding=sums.by_holding,
        line_gross=sums.line_gross, costs=0.0 - sums.cost,
        margin=body.margin if every else body.margin * day[:, None],
        notional=body.notional if every else body.notional * day[:, None],
        trades=sums.trades, book=book[body.mask[columns.held["owner"][book]] == 0], chosen=chosen, regimes=regimes,
        mask=body.mask, any_owner=bool((body.mask == 0).any()), line_picked=body.line_picked,
        **{f"{kind}_picked": values for kind, values in picked.items()}, regime_picked=regime,
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
