"""Falls: the drawdowns of what is picked, and which of them the views of drawdowns are about.

They are those of the capital plus the profit that the filters leave, over all days: a brush over days picks among them
and changes none. The one in focus is the one whose days are picked; else the deepest that the days picked touch.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.analysis.daily import Daily
from engine.analysis.drawdowns import causes, drawdowns
from engine.risk import drawdown

LISTED = 10  # the deepest, which are shown by name
ONE = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Falls:
    """Drawdowns of one selection."""

    daily: Daily  # the account with the profit of what is picked alone, not told apart by market
    picked: object  # the Slice

    @cached_property
    def depth(self):
        """Loss since the highest equity so far, all days. (T + 1,) [fraction]"""
        return drawdown(self.daily.alone)

    @cached_property
    def table(self):
        """Every drawdown, the deepest first: columns `DRAWDOWNS` of engine.analysis.drawdowns."""
        return drawdowns(self.daily)

    @cached_property
    def caused(self):
        """What each market earned in each of the deepest: columns `CAUSES` of engine.analysis.drawdowns."""
        mine = self.by_market * self.picked.root_picked
        return causes(replace(self.daily, profit=mine), LISTED)

    @cached_property
    def by_market(self):
        """`by_market` of the slice."""
        return by_market(self.picked)

    def earned(self, row):
        """What each market earned from the peak to the trough of a drawdown, also those not picked. (R + 1,)"""
        days, ends = self.daily.days, self.table.select("peak", "trough").row(row)
        first, last = np.searchsorted(days, np.array(ends, "datetime64[D]"))
        return self.by_market[first:last].sum(axis=0)

    @cached_property
    def spans(self):
        """First and last day that picking a drawdown picks, of each of them: those after its peak. (drawdown, 2)"""
        peak = np.searchsorted(self.daily.days, self.table["peak"].to_numpy().astype("datetime64[D]"))
        last = self.table["recovery"].fill_null(self.daily.days[-1].item())
        return np.column_stack([self.daily.days[peak + 1], last.to_numpy().astype("datetime64[D]")])

    def focus(self, days):
        """(row of the drawdown in focus or None, whether it is picked: its days are the `days` of the selection)."""
        if not len(self.table):
            return None, False
        if days is None:
            return 0, False
        ends = np.array(days, "datetime64[D]")
        same = np.flatnonzero((self.spans == ends).all(axis=1))
        if len(same):
            return int(same[0]), True
        touched = np.flatnonzero(self.touched(days))
        return (int(touched[0]) if len(touched) else None), False

    def touched(self, days):
        """Which drawdowns have a day among the days of a selection. (drawdown,) bool"""
        if days is None:
            return np.ones(len(self.table), bool)
        first, last = np.array(days, "datetime64[D]")
        return (self.spans[:, 0] <= last) & (self.spans[:, 1] >= first)


def falls(picked):
    """The `Falls` of a slice; those of the last one are kept as long as only other days are picked."""
    kept = picked.columns.made
    last = kept.get("falls")
    if last is None or not np.array_equal(last.picked.profit, picked.profit):
        columns = picked.columns
        profit = picked.profit[1:, None]
        sector = dict(zip(columns.line_root.tolist(), columns.line_sector.tolist(), strict=True))
        sectors = tuple(columns.sectors[sector[k]] for k in range(len(columns.roots)))
        paid, interest = columns.paid[1:], picked.interest[1:]
        last = kept["falls"] = Falls(
            Daily(columns.days, picked.curve, paid, profit, interest, columns.roots, sectors, columns.compounding),
            picked,
        )
    return last


def by_market(picked):
    """Profit of each market by day under all filters but those of days and markets; the account's in the last column.

    (T, R + 1), rows of all days but the first; those of the markets picked sum to `Slice.profit`. [account currency]
    """
    columns, owner, cell = picked.columns, picked.columns.owner, picked.columns.cell
    line = owner["line"]
    there = picked.sector_picked[columns.line_sector[line]] & picked.strategy_picked[columns.line_strategy[line]]
    there &= picked.side_picked[owner["side"]]
    there &= picked.entry_picked[owner["entry_reason"]] & picked.exit_picked[owner["exit_reason"]]
    for name, field in (("holding", "holding"), ("results", "net")):
        if ends := picked.chosen[name]:
            least, most = (-np.inf if ends[0] is None else ends[0]), (np.inf if ends[1] is None else ends[1])
            values = columns.trade[field]
            there[: len(values)] &= (values >= least) & (values <= most)
            there[len(values) :] = False
    wide = len(columns.roots) + 1
    of = np.repeat(np.where(there, columns.line_root[line], -1), np.diff(owner["start"]))
    mine = (of >= 0) & picked.day_picked[cell["day"]]
    flat = cell["day"][mine].astype(np.int64) * wide + of[mine]
    sums = np.bincount(flat, cell["amount"][mine], minlength=len(columns.days) * wide)
    return sums.reshape(len(columns.days), wide)[1:]


def spoken(table, row):
    """The dates of a drawdown in words.

    >>> from datetime import date
    >>> import polars as pl
    >>> spoken(pl.DataFrame({"peak": [date(2020, 2, 19)], "recovery": [None]}), 0)
    '2020-02-19, not made good yet'
    """
    peak, recovery = table["peak"][row], table["recovery"][row]
    return f"{peak} to {recovery}" if recovery else f"{peak}, not made good yet"
