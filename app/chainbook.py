"""What the page of contracts and rolls shows of one market: its chain, its rolls by a rule, its continuous series.

A `Book` is read once a market and rule, beside the page. `Chosen` is which market, rule and roll a board's views show;
all of them follow it. Prices are those of the newest snapshot of the store, whatever the run was made of.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from app.ways import Way
from store import expiry, history, laboratory
from store.durable import StoreError

COMMON = (
    "volume:1", "volume:3", "oi:1", "oi:3", "volume+oi:1", "first-notice-5", "last-trade-1", "last-trade-5",
    "delivery-1", "month-end-3", "month-begin-5",
)  # fmt: skip
NO_STORE = "The store that the run lies in is not at hand: open the run from its store."
BEFORE, AFTER = 40, 20  # days of the chain that are shown around a roll [sessions]
OVERLAP = 45  # days for which a contract is shown before it is held, and after [calendar days]
CURVES = {"contango": "each later contract costs more", "backwardation": "each later contract costs less"}


class Book:
    """A market's chain under one roll rule.

    Attributes
    ----------
    root, rule, source : str
    spec : ContractSpec or None
    chain : polars.DataFrame
        One row a day and contract: day, contract, mark (settle, else close), volume, open_interest.
    rolls : polars.DataFrame
        `laboratory.TOLD`, one row a roll.
    series : polars.DataFrame
        The continuous table, back-adjusted (`history.OUT`), one row a day.
    """

    def __init__(self, root, rule, source, spec, bars, calendar, series):
        self.root, self.rule, self.source, self.spec = root, rule, source, spec
        rows = bars.select("day", "contract", "time", "volume", "open_interest", mark=pl.coalesce("settle", "close"))
        volume = pl.when(pl.col("volume").count() > 0).then(pl.col("volume").cast(pl.Float64).sum()).alias("volume")
        last = pl.col("mark", "open_interest").cast(pl.Float64).drop_nulls().last()
        self.chain = rows.sort("day", "contract", "time").group_by("day", "contract", maintain_order=True).agg(
            last, volume
        )  # fmt: skip
        self.rolls = laboratory.told(bars, calendar, spec)
        self.series = series.unique("day", keep="last", maintain_order=True)
        self.calendar = calendar

    @cached_property
    def days(self):
        """Days on which any contract has a bar, datetime64[D], ascending."""
        return self.chain["day"].unique().sort().to_numpy()

    @cached_property
    def _starts(self):
        return np.searchsorted(self.chain["day"].to_numpy(), np.append(self.days, self.days[-1:] + 1))

    def on(self, day):
        """The chain on the last day not after `day` (the first, where none is): its rows, and that day."""
        k = max(int(np.searchsorted(self.days, np.datetime64(day, "D"), side="right")) - 1, 0)
        return self.chain[self._starts[k] : self._starts[k + 1]], self.days[k].item()

    def ends(self, contracts):
        """Last trading days of contracts, datetime64[D]; the middle of the delivery month where no rule is known."""
        contracts = np.asarray(contracts)
        try:
            if self.spec is not None:
                return expiry.last_trades(self.spec, contracts)
        except LookupError:
            pass
        months = (contracts // 100 - 1970) * 12 + contracts % 100 - 1
        return months.astype("datetime64[M]").astype("datetime64[D]") + 14

    def held(self, day):
        """The row of the series on a day, as a dict; None where it holds nothing then."""
        rows = self.series.filter(pl.col("day") == day)
        return rows.row(0, named=True) if len(rows) else None


class Curve(NamedTuple):
    """The term structure of a day."""

    day: object
    contract: np.ndarray  # (contract,) YYYYMM, by last trading day
    end: np.ndarray  # (contract,) last trading day
    mark: np.ndarray  # (contract,) settle, else close [points]
    volume: np.ndarray  # (contract,) nan where not known [contracts]
    open_interest: np.ndarray
    held: int | None  # the contract held
    following: int | None  # and the one that would follow
    roll_yield: float  # what the roll pays by the year if the curve stays as it is; nan [1/year]


def curve(book, day):
    """The `Curve` of the last day of a book not after `day`; contracts without a price are left out."""
    rows, day = book.on(day)
    rows = rows.filter(pl.col("mark").is_not_null())
    end = book.ends(rows["contract"].to_numpy())
    order = np.argsort(end, kind="stable")
    held = book.held(day) or {}
    numbers = {name: rows[name].to_numpy().astype(float)[order] for name in ("mark", "volume", "open_interest")}
    pays = held.get("roll_yield")
    return Curve(day, rows["contract"].to_numpy()[order], end[order], numbers["mark"], numbers["volume"],
                 numbers["open_interest"], held.get("contract"), held.get("next_contract"),
                 np.nan if pays is None else float(pays))  # fmt: skip


def shape(marks):
    """Contango, backwardation, mixed or flat: of prices in the order of the last trading days.

    >>> [shape(np.array(x)) for x in ([1.0, 2.0, 2.5], [3.0, 2.0], [1.0, 2.0, 1.5], [1.0, 1.0], [1.0])]
    ['contango', 'backwardation', 'mixed', 'flat', 'alone']
    """
    if len(marks) < 2:
        return "alone"
    steps = np.diff(marks)
    up, down = bool((steps > 0).any()), bool((steps < 0).any())
    return "mixed" if up and down else "contango" if up else "backwardation" if down else "flat"


def around(book, roll, value):
    """Volume or open interest of every contract around a roll: {contract: (days, values)}, ascending."""
    row = book.rolls.row(roll, named=True)
    place = int(np.searchsorted(book.days, np.datetime64(row["day"], "D")))
    first, last = book.days[max(place - BEFORE, 0)], book.days[min(place + AFTER, len(book.days) - 1)]
    rows = book.chain.filter(pl.col("day").is_between(first.item(), last.item()))
    return {
        part["contract"][0]: (part["day"].to_numpy(), part[value].cast(pl.Float64).fill_null(np.nan).to_numpy())
        for part in rows.sort("contract", "day").partition_by("contract", maintain_order=True)
    }


def overlaps(book, first, last):
    """Marks of every contract ever held, from some time before it is held until after: day, mark, a nan between two.

    Between two days, which are included.
    """
    spans = book.series.group_by("contract").agg(first=pl.col("day").min(), last=pl.col("day").max())
    wide = pl.duration(days=OVERLAP)
    rows = book.chain.join(spans, on="contract").filter(
        pl.col("mark").is_not_null() & pl.col("day").is_between(pl.col("first") - wide, pl.col("last") + wide)
    )
    rows = rows.filter(pl.col("day").is_between(first, last)).sort("contract", "day")
    cuts = np.flatnonzero(np.diff(rows["contract"].to_numpy())) + 1
    days = rows["day"].to_numpy().astype("datetime64[D]")
    return np.insert(days, cuts, days[cuts]), np.insert(rows["mark"].to_numpy().astype(float), cuts, np.nan)


def read(archive, root, rule):
    """The `Book` of a stored market under a rule; LookupError, ValueError or StoreError where there is none."""
    plan = history.bars(archive, root)
    bars = None if plan is None else plan.read()
    if bars is None or bars.is_empty():
        lacks = "only a vendor's chain of two contracts is stored" if plan is None else "no stored row has a price"
        raise history.NotStored(f"{root}: {lacks}: there are no contracts to look at")
    calendar, source = history.calendar(archive, root, rule)
    return Book(root, rule, source, history.spec(archive, root), bars, calendar, history.table(archive, root, rule))


def stored(archive):
    """The markets of a store."""
    tables = ("contract_bars", "vendor_chains")
    return sorted({segment.labels["root"] for table in tables for segment in archive.files(table)})


class Chosen:
    """Which market, rule, roll and day the views of a board show; they are told of every change."""

    root = Way("market", lambda self: self.roots, lambda self: self._first())
    rule = Way("rule", usual=history.DEFAULT)

    def __init__(self, board):
        self.board, self.views = board, []
        self.roots = stored(board.archive) if board.archive is not None else []
        self.book, self.fault, self.asked, self.roll = None, "", None, None
        asked = "market" in board.ways  # by a link, which tells the markets picked too
        self.follows = [root for root in board.selection.markets if root in self.roots] if asked else None
        self.follow()

    def _first(self):
        """The first market of the run that is stored, else of the store."""
        return next((root for root in self.board.columns.roots if root in self.roots), next(iter(self.roots), ""))

    def follow(self):
        """Take the first market of the selection, where another selection was made."""
        markets = [root for root in self.board.selection.markets if root in self.roots]
        if markets != self.follows:
            self.follows = markets
            if markets and self.root not in markets:
                self.root = markets[0]

    def want(self, view):
        """Begin to read the book that is asked for, unless that was begun."""
        self.follow()
        if self.board.archive is None or not self.root:
            self.fault = NO_STORE if self.board.archive is None else "The store holds no market."
            return self.show()
        if self.asked == (self.root, self.rule):
            return None
        self.asked, self.book, self.fault = (self.root, self.rule), None, ""
        self.show()
        asked = self.asked
        return view.later(lambda: self._found(asked), lambda found: self._take(asked, found))

    def _found(self, asked):
        try:
            return read(self.board.archive, *asked)
        except (LookupError, ValueError, StoreError) as error:
            return str(error)

    def _take(self, asked, found):
        if asked != self.asked:
            return  # another one was asked for meanwhile
        self.book, self.fault = (None, found) if isinstance(found, str) else (found, "")
        self.roll = len(found.rolls) - 1 if self.book is not None and len(found.rolls) else None
        self.show()

    def show(self):
        """Put it into the views that are in sight; the others get it when they are."""
        for view in self.views:
            if view.shown:
                view.apply(self.board.slice)
            else:
                view.stale = True


def chosen(board):
    """The `Chosen` of a board."""
    if not hasattr(board, "chain"):
        board.chain = Chosen(board)
    return board.chain
