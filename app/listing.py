"""Listing: which trades a page of the table shows, of a million as fast as of ten.

The order of every column is worked out once for a run; what a selection and a text leave of it is looked up in a mask.
"""

import threading
from collections import OrderedDict

import numpy as np
import polars as pl

SIZE = 25  # rows of a page
NEWEST = "exit_day"  # the order at first, and among equals
SORTED = (  # columns of `RunResult.trades` that it can be sorted by
    "trade", "market", "strategy", "direction", "contracts", "entry_day", "exit_day", "net", "gross", "costs", "r",
    "bars", "rolls", "entry_reason", "exit_reason", "entry_price", "exit_price",
)  # fmt: skip
KEPT = 12  # orders that are remembered of a run
_LOCK = threading.Lock()


class Listing:
    """Order, text and page of one visitor; `rows` are those of `Columns.trade`.

    Parameters
    ----------
    columns : Columns
    """

    def __init__(self, columns):
        self.columns = columns
        self.by, self.down, self.text, self.page = NEWEST, True, "", 0
        self._last = None, None

    def rows(self, picked):
        """Rows of all trades of a slice that the text fits, in order. (trade,) int"""
        key = (picked.trades, self.by, self.down, self.text)
        last, found = self._last
        if last is None or last[0] is not key[0] or last[1:] != key[1:]:
            found = self._rows(picked)
            self._last = key, found
        return found

    def shown(self, picked):
        """Rows of the page in sight; a page that is not there any more becomes the last one."""
        rows = self.rows(picked)
        self.page = min(max(self.page, 0), max(pages(rows) - 1, 0))
        return rows[self.page * SIZE : (self.page + 1) * SIZE]

    def sort(self, name):
        """By a column; once more turns the order round. Numbers begin with the largest, texts with the first."""
        if name not in SORTED:
            raise ValueError(f"trades are not sorted by {name!r}; allowed are {', '.join(SORTED)}")
        texts = ("market", "strategy", "direction", "entry_reason", "exit_reason")
        self.down = not self.down if name == self.by else name not in texts
        self.by, self.page = name, 0

    def find(self, text):
        """Only trades whose market or one of whose contracts has the text in it."""
        self.text, self.page = text.strip().lower(), 0

    def turn(self, picked, trade):
        """To the page on which a trade stands, if there is one."""
        place = self.place(picked, trade)
        if place is not None:
            self.page = place // SIZE

    def place(self, picked, trade):
        """Place of a trade in the order, None where it is not among them."""
        at = np.flatnonzero(self.columns.table["trade"].to_numpy()[self.rows(picked)] == trade)
        return int(at[0]) if len(at) else None

    def _rows(self, picked):
        fit = picked.trades
        if self.text:
            fit = fit[fits(self.columns, self.text)[fit]]
        if self.by == NEWEST and self.down:
            return fit
        mask = np.zeros(len(self.columns.table), bool)
        mask[fit] = True
        order = order_of(self.columns, self.by, self.down)
        return order[mask[order]]


def pages(rows):
    """How many pages there are."""
    return -(-len(rows) // SIZE)


def order_of(columns, name, down):
    """Rows of all trades by a column, the newest first among equals, what is not known last. (trade,) int32"""
    with _LOCK:
        kept = columns.made.setdefault("orders", OrderedDict())
        if (name, down) not in kept:
            kept[name, down] = ordered(_values(columns, name), down)
            if len(kept) > KEPT:
                kept.popitem(last=False)
        return kept[name, down]


def ordered(values, down):
    """Rows by their values, the first one first among equals, nan last. (row,) int32

    >>> ordered(np.array([2.0, np.nan, 3.5, 2.0]), True).tolist()
    [2, 0, 3, 1]
    """
    if len(values) and not np.isnan(low := values.min()):
        high = values.max()
        if high - low < 2**15 and (values.dtype.kind in "iu" or np.array_equal(values, np.floor(values))):
            small = ((high - values) if down else (values - low)).astype(np.int16)  # which is sorted in one look
            return np.argsort(small, kind="stable").astype(np.int32)
    values = -values.astype(float) if down else values.astype(float)
    order = np.argsort(values)  # four times as fast as a stable one; what is equal is put right
    there = values[order]
    same = (there[1:] == there[:-1]) | (np.isnan(there[1:]) & np.isnan(there[:-1]))
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, values[rows]))]
    return order.astype(np.int32)


def _values(columns, name):
    """Numbers that rise with the values of a column of the trades. (trade,)"""
    trade, table = columns.trade, columns.table
    if name in ("market", "strategy"):
        return {"market": columns.line_root, "strategy": columns.line_strategy}[name][trade["line"]]
    of_trade = {"direction": "side", "entry_day": "entry", "exit_day": "exit", "bars": "holding"}
    if name in of_trade or name in trade:
        return trade[of_trade.get(name, name)]
    return r_of(columns) if name == "r" else table[name].to_numpy()


def r_of(columns):
    """Net over the money at risk at the entry, nan where there was none or it is not known. (trade,) [R]"""
    table = columns.table
    if "risk" not in table.columns:
        return np.full(len(table), np.nan)
    risk = table["risk"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return columns.trade["net"] / np.where(risk > 0.0, risk, np.nan)


def fits(columns, text):
    """Which trades are of a market, or begin or end in a contract, whose name has a text in it, lower case. (trade,)"""
    markets = np.array([*(text in name.lower() for name in columns.roots), False])
    found = markets[columns.line_root[columns.trade["line"]]]
    for name in ("entry_contract", "exit_contract"):
        number = columns.table[name].fill_null(0).to_numpy()
        named = np.flatnonzero(np.bincount(number))
        has = np.zeros(number.max(initial=0) + 1, bool)
        has[named] = [text in str(each) for each in named.tolist()]
        found |= has[number]
    return found
