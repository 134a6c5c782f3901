"""Every cent of a run by cause, line, trade and day: the parts that an attribution adds up.

How the money of the ledger belongs to trades (flat to flat, resizes and rolls inside):

1. The fills of a line in their order make its trades: the first from flat begins one, one that ends flat ends it, one
   that goes through zero ends one and begins the next. Fills of rolls belong to the trade that is open.
2. The costs of a fill are those of its trade; of a fill through zero by contracts, as the trades themselves are told.
   The slippage of contracts that a fill adds to a position is the entry's, of those that it takes off the exit's.
3. `price` of a day on which one trade was open is that trade's. Where one ended and another began, the first has what
   its gross profit lacks after the days before, the last what the ended ones leave.
4. `roll_gap` of such a day is that of the trade that began last if that rolled on the day, else of the first.
5. `roll_yield` is that of the position carried into the day: of the trade that was open at the end of the day before.
6. `interest`, `fx`, `fee` and `transfer` are of no trade (`engine.book.OF_TRADES`).

`price` = `spot` + `roll_yield`, and slippage = entry_slippage + exit_slippage; without a curve `price` stays whole.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.analysis.daily import by_line, rows_of
from engine.book import CAUSES as BOOKED
from engine.book import OF_TRADES

CAUSES = (
    "spot", "roll_yield", "price", "entry_slippage", "exit_slippage", "impact", "commission", "roll_gap",
    "roll_slippage", "roll_impact", "roll_commission", "interest", "fx", "fee", "transfer",
)  # fmt: skip
SPOT, ROLL_YIELD, PRICE, ENTRY, EXIT = range(5)
COSTS = (
    "entry_slippage", "exit_slippage", "impact", "commission", "roll_slippage", "roll_impact", "roll_commission",
)  # fmt: skip
COSTLY = ("slippage", "impact", "commission")  # of each fill
TRADING = ("price", "roll_gap")  # causes of the ledger that are of trades, and not of fills
NO_TRADE = "the ledger has profit of a line on a day on which it had no trade; run it again with --force"
ROLLS, FORCED = ("roll out", "roll in"), ("margin call", "capital floor")  # kinds of fills
CENT, RELATIVE = 0.005, 1e-12  # of the sum [account currency], of all that was moved [1]
CRUMB = 1e-10  # of the largest fill of a line, below which a position summed up of its fills is none [1]


class Torn(ValueError):
    """Tables of a run that do not fit each other."""


class Cells(NamedTuple):
    """Arrays (cell,): a cell is a trade on a day, or an amount of no trade."""

    trade: np.ndarray  # row of `Parts.trades`; -1 of no trade, which are the last ones
    line: np.ndarray  # number in `Parts.lines`; the number after the last is the account
    day: np.ndarray  # row of `Parts.days`


@dataclass(frozen=True)
class Parts:
    """Every amount by blocks of one cause, and what their numbers stand for; arrays (part,) of all of them are made
    when first asked for, and so are `trades`."""

    blocks: tuple  # (number in `causes`, amounts [account currency], their numbers in `cells`) each
    cells: Cells
    owner: np.ndarray  # (trade,) number in `lines`
    causes: tuple  # `CAUSES`, and after them what an imported run names beside
    lines: tuple  # (strategy, market) each
    days: np.ndarray  # datetime64[D], of the run
    unsorted: pl.DataFrame  # `RunResult.trades()`
    order: np.ndarray  # (trade,) its rows by line and number
    unknown: np.ndarray  # (line,) days on which a position was carried and no next contract known; of no curve 0
    carried: np.ndarray  # (line,) days on which a position was carried
    cut: np.ndarray  # bool (trade,): a margin call or the capital floor sold some of it

    @cached_property
    def amount(self):
        """[account currency]"""
        return np.concatenate([amount for _, amount, _ in self.blocks])

    @cached_property
    def cause(self):
        """Number in `causes`."""
        return np.repeat([cause for cause, _, _ in self.blocks], [len(cell) for _, _, cell in self.blocks])

    @cached_property
    def cell(self):
        """Number in `cells`."""
        return np.concatenate([cell for _, _, cell in self.blocks])

    @cached_property
    def total(self):
        """Sum of all. [account currency]"""
        return float(sum(amount.sum() for _, amount, _ in self.blocks))

    @cached_property
    def trades(self):
        """`RunResult.trades()` by line and number."""
        return self.unsorted[self.order]

    def of_trades(self, name):
        """One column of `trades`."""
        return self.unsorted[name].gather(self.order)


def parts(run, curve=None):
    """The `Parts` of a run.

    Parameters
    ----------
    run : RunResult
    curve : Curve, optional
        Of `engine.analysis.source.curve_of_run`; without one `price` is not split.

    Returns
    -------
    Parts

    Raises
    ------
    Torn
        The fills of a line make other trades than its table of trades has.
    """
    days = run.equity()["day"].to_numpy().astype("datetime64[D]")[1:]
    made = _Tables(run, days)
    price, gap = made.profit()
    rows = [gap, *made.costs()]
    unknown = carried = np.zeros(len(made.lines), np.int64)
    if curve is None:
        rows.append(made.of_pieces(price, PRICE))
    else:
        yields, unknown, carried = made.roll_yield(curve)
        rows += [made.of_pieces(price - yields, SPOT), made.of_pieces(yields, ROLL_YIELD)]
    found = Parts(
        (*rows, *made.others()), made.cells, made.owner, made.causes, made.lines, days, made.trades, made.order,
        unknown, carried, made.forced()
    )  # fmt: skip
    _add_up(run, found.total)
    return found


def _add_up(run, total):
    """Refuse parts that are not the change of equity to the cent."""
    equity = run.equity()["equity"]
    change = equity[-1] - equity[0]
    apart = abs(total - change)
    if not (apart < CENT or apart < RELATIVE * np.abs(run.ledger()["amount"].to_numpy()).sum()):
        raise Torn(
            f"run {run.id}: its parts sum to {total:.2f}, its equity changed by {change:.2f}; its tables do not fit "
            "each other: run it again with --force, then tell us"
        )


class _Tables:
    """A run's tables as arrays; a piece is a trade on a day, in the order of `trades` and of days."""

    def __init__(self, run, days):
        frames = [run.trades(), run.ledger(), run.fills(), run.positions()]
        if any("line" not in frame.columns for frame in frames):
            frames = _numbered(frames)
        self.trades, ledger, fills, positions = frames
        self.days = days
        self.lines = _lines(frames)
        self.account = len(self.lines)
        line, number = self.trades["line"].to_numpy(), np.argsort(self.trades["trade"].to_numpy())
        self.order = number[by_line(line[number])]
        self.owner = line[self.order].astype(np.int64)
        ends = self.trades["exit_day"]  # another program may leave that of an open trade out
        ends = ends.fill_null(days[-1].astype(object)) if ends.null_count() else ends
        self.begin, self.end = (self._row(column)[self.order] for column in (self.trades["entry_day"], ends))
        self.gross = self.trades["gross"].to_numpy()[self.order]
        self.start = np.concatenate([[0], np.cumsum(self.end - self.begin + 1)])  # first piece of each trade
        self.first = np.searchsorted(self.owner, np.arange(self.account + 1))  # first trade of each line
        begun = np.bincount(self.owner * len(days) + self.begin, minlength=(self.account + 1) * len(days))
        self.latest = np.cumsum(begun) - 1  # the last trade that has begun by each day, (line x day,)
        self._read(ledger)
        self._traded(fills, positions)

    def _read(self, ledger):
        """What the ledger tells and fills do not, as arrays, and all cells: the pieces, and after them those of no
        trade."""
        code, named = _numbers(ledger["cause"])
        self.causes = CAUSES + tuple(name for name in named if name not in CAUSES and name not in BOOKED)
        rows = np.flatnonzero(np.array([*(name in TRADING or name not in OF_TRADES for name in named), False])[code])
        code = code[rows]
        self.booked = {name: np.flatnonzero(code == k) for k, name in enumerate(named)}
        self.amount, self.day = ledger["amount"].to_numpy()[rows], self._row(ledger["day"])[rows]
        line = ledger["line"].to_numpy()[rows].astype(np.int64)
        self.line = np.where(line < 0, self.account, line)
        self.alone = {cause: self._rows(cause) for cause in self.causes if cause not in OF_TRADES}
        every = np.concatenate([*self.alone.values(), np.zeros(0, np.int64)]).astype(np.int64)
        lasts = np.append(self.end - self.begin + 1, len(every))
        trade = np.repeat(np.append(np.arange(len(self.owner)), -1), lasts)
        owner = np.repeat(np.append(self.owner, 0), lasts)
        day = np.arange(len(trade)) - np.repeat(np.append(self.start[:-1] - self.begin, 0), lasts)
        owner[self.start[-1] :], day[self.start[-1] :] = self.line[every], self.day[every]
        self.cells = Cells(trade, owner, day)
        self.pieces = int(self.start[-1])

    def _traded(self, fills, positions):
        """The fills and the positions as arrays."""
        names = [name for name in ("line", "day", "kind", "contracts", *COSTLY) if name in fills.columns]
        self.fills = fills.select(names)[by_line(fills["line"].to_numpy())]
        self.fill_line, self.fill_day = self.fills["line"].to_numpy().astype(np.int64), self._row(self.fills["day"])
        kind, named = _numbers(self.fills["kind"])
        self.rolls, self.cuts = (
            np.isin(kind, [k for k, name in enumerate(named) if name in kinds]) for kinds in (ROLLS, FORCED)
        )
        self.fill_trade, self.opened, self.closed = self._episodes()
        lines, at = self.account, self._row(positions["day"])
        at = at * lines + positions["line"].to_numpy()
        held = np.bincount(at, positions["contracts"].to_numpy(), len(self.days) * lines)
        self.held = held.reshape(len(self.days), lines)

    def _row(self, days):
        return rows_of(self.days, days)

    def _rows(self, cause):
        return self.booked.get(cause, np.zeros(0, np.int64))

    # ---- trades

    def _episodes(self):
        """(trade that a fill ends in, or that is open after it; contracts that it adds to that; contracts that it takes
        off the trade that was open before)."""
        line, size = self.fill_line, np.where(self.rolls, 0.0, self.fills["contracts"].to_numpy())
        heads = np.searchsorted(line, np.arange(self.account + 1))
        whole = np.cumsum(np.concatenate([[0.0], size]))
        after = whole[1:] - whole[heads[line]]
        most = np.zeros(self.account)
        np.maximum.at(most, line, np.abs(size))
        after = np.where(np.abs(after) <= CRUMB * most[line], 0.0, after)
        before = np.concatenate([[0.0], after[:-1]])[: len(after)]
        before[heads[:-1][heads[:-1] < len(line)]] = 0.0
        through = before * after < 0.0
        begins = ((before == 0.0) & (after != 0.0)) | through
        number = np.cumsum(np.concatenate([[0], begins]))
        trade = self.first[line] + number[1:] - number[heads[line]] - 1
        counts = np.bincount(line[begins], minlength=self.account)
        if not np.array_equal(counts, np.diff(self.first)):
            wrong = int(np.flatnonzero(counts != np.diff(self.first))[0])
            raise Torn(
                f"fills of line {wrong} ({', '.join(self.lines[wrong])}) make {counts[wrong]} trades, the table of "
                f"trades has {np.diff(self.first)[wrong]} of it; run it again with --force"
            )
        against = before * size < 0.0
        closed = np.where(through, np.abs(before), np.where(against, np.abs(size), 0.0))
        return trade, np.abs(size) - closed, closed

    def profit(self):
        """(`price` of each piece, the part of `roll_gap`)."""
        total = np.zeros(self.pieces)
        for cause in TRADING:
            rows = self._rows(cause)
            line, day = self.line[rows], self.day[rows]
            np.add.at(total, self._piece(self._latest(line, day), day), self.amount[rows])
        self._share(total)
        gap = self._rows("roll_gap")
        gapped = self._gapped(self.line[gap], self.day[gap])
        np.subtract.at(total, gapped, self.amount[gap])
        return total, (self.causes.index("roll_gap"), self.amount[gap], gapped)

    def _latest(self, line, day):
        """The last trade of a line that has begun by the end of a day."""
        return self.latest[line * len(self.days) + day]

    def _piece(self, trade, day):
        """Number of the piece of a trade on a day."""
        piece, right = self._place(trade, day)
        if not right.all():
            raise Torn(NO_TRADE)
        return piece

    def _place(self, trade, day):
        """(number of the piece of a trade on a day, whether the trade was there on that day)."""
        if not len(self.owner):
            return np.zeros(len(trade), np.int64), np.zeros(len(trade), bool)
        right = (trade >= 0) & (day >= self.begin.take(trade, mode="clip")) & (day <= self.end.take(trade, mode="clip"))
        return (self.start[:-1] - self.begin).take(trade, mode="clip") + day, right

    def _share(self, total):
        """Share out the profit of days on which a trade ended and another began (rule 3).

        It stands in the pieces of the trade that began last; what a line has earned up to a day, less what its ended
        trades have earned in all, is the share of the one that is open.
        """
        gross = self.gross
        same = (self.owner[1:] == self.owner[:-1]) & (self.begin[1:] == self.end[:-1])
        enters, leaves = np.append(False, same)[: len(gross)], np.append(same, False)[: len(gross)]
        by_piece, by_trade = (np.concatenate([[0.0], np.cumsum(x)]) for x in (total, gross))
        head, last = self.first[self.owner], self.start[1:] - 1
        behind = by_piece[self.start[head]] - by_trade[head]  # of the lines before
        entry = by_piece[self.start[:-1] + 1] - by_trade[:-1] - behind
        leave = by_trade[1:] + behind - by_piece[last]
        short = self.begin == self.end
        total[last[leaves & ~short]] = leave[leaves & ~short]
        total[self.start[:-1][enters & ~short]] = entry[enters & ~short]
        total[last[(enters | leaves) & short]] = gross[(enters | leaves) & short]

    def _gapped(self, line, day):
        """The piece of each amount of `roll_gap` (rule 4)."""
        trade = self._latest(line, day)
        key = self.fill_trade[self.rolls] * len(self.days) + self.fill_day[self.rolls]
        rolled = np.isin(trade * len(self.days) + day, key)
        first = np.searchsorted(self.owner * len(self.days) + self.end, line * len(self.days) + day)  # ends by then
        return self._piece(np.where(rolled, trade, np.minimum(first, trade)), day)

    def roll_yield(self, curve):
        """(roll yield of each piece, days without a next contract of each line, days carried of each line)."""
        market = curve.market
        if not np.array_equal(market.days.astype("datetime64[D]"), self.days):
            raise Torn(f"the curve is of {len(market.days)} days, the run of {len(self.days)}: they are not of one run")
        place = {name: m for m, name in enumerate(market.names)}
        if strangers := sorted({name for _, name in self.lines if name} - set(place)):
            raise Torn(f"the curve knows no {', '.join(strangers)}: it is not of this run")
        column = np.array([place.get(name, 0) for _, name in self.lines], np.int64)  # of a line without a row any
        lost = (curve.slope[:-1] * market.multiplier[1:] * market.fx[1:] * curve.gap[1:]).reshape(-1)  # of one contract
        t, line = np.nonzero((self.held[:-1] != 0.0) & ~np.isnan(curve.gap[1:, column]))
        place = t * len(market.names) + column[line]
        unknown = np.isnan(curve.slope[:-1]).reshape(-1)[place]
        amount = np.where(unknown, 0.0, -self.held[t, line] * lost[place])
        piece = self._piece(self._latest(line, t), t + 1)
        counts = (np.bincount(line[x], minlength=self.account) for x in (unknown, slice(None)))
        return np.bincount(piece, amount, self.pieces), *counts

    def _before(self):
        """The trade of each fill, of one through zero the one that it ends."""
        return self.fill_trade - (self.closed > 0.0) * (self.opened > 0.0)

    def forced(self):
        """Trades of which a margin call or the capital floor sold some."""
        out = np.zeros(len(self.owner), bool)
        out[self._before()[self.cuts]] = True
        return out

    # ---- parts

    def costs(self):
        """Parts of the fills (rules 1 and 2): of a fill through zero two."""
        size, usual = np.abs(self.fills["contracts"].to_numpy()), ~self.rolls
        after = self._place(self.fill_trade, self.fill_day)
        sides = (("exit", self.closed, self._place(self._before(), self.fill_day)), ("entry", self.opened, after))
        shares = [(side, part / size, usual & (part > 0.0), place) for side, part, place in sides]
        for cause in COSTLY:
            if cause not in self.fills.columns:
                continue
            amount = np.nan_to_num(self.fills[cause].to_numpy())
            some = amount != 0.0
            yield self._cost(f"roll_{cause}", amount, np.flatnonzero(self.rolls & some), *after)
            for side, share, of_side, place in shares:
                name = f"{side}_slippage" if cause == "slippage" else cause
                yield self._cost(name, amount * share, np.flatnonzero(of_side & some), *place)

    def _cost(self, cause, amount, rows, piece, right):
        if not right[rows].all():
            raise Torn(NO_TRADE)
        return self.causes.index(cause), amount[rows], piece[rows]

    def others(self):
        """Parts of no trade (rule 6), each with a cell of its own."""
        first = self.pieces
        for cause, rows in self.alone.items():
            yield self.causes.index(cause), self.amount[rows], np.arange(first, first + len(rows))
            first += len(rows)

    def of_pieces(self, amount, cause):
        """Parts of all pieces that have some of a cause."""
        some = np.flatnonzero(amount)
        return cause, amount[some], some


def _numbers(texts):
    """(number of each text, texts by number)."""
    texts = texts if isinstance(texts.dtype, pl.Enum) else texts.cast(pl.Enum(texts.unique().drop_nulls().to_list()))
    return texts.to_physical().to_numpy(), texts.dtype.categories.to_list()


def _lines(frames):
    """(strategy, market) of each line."""
    found, count = {}, max(frame["line"].max() or 0 for frame in frames) + 1
    for frame in frames:
        if len(found) == count:
            break
        line = frame["line"].to_numpy()
        rows = np.full(int(line.max(initial=-1)) + 2, -1)
        rows[line] = np.arange(len(line))  # of the account, -1, in the last place
        rows = rows[:-1][rows[:-1] >= 0]
        texts = frame[rows].select("line", "strategy", "market")
        found |= {k: (str(strategy), str(market)) for k, strategy, market in texts.rows()}
    return tuple(found.get(k, ("", "")) for k in range(max(found, default=-1) + 1))


def _numbered(frames):
    """Tables of runs of before lines had numbers: a line is a strategy and a market."""
    labels = [frame.select(pl.col("strategy", "market").cast(pl.String)).unique() for frame in frames]
    labels = pl.concat(labels).filter(pl.col("market") != "").unique().sort("strategy", "market")
    labels = labels.with_row_index("line").with_columns(pl.col("line").cast(pl.Int32))
    out = []
    for frame in frames:
        texts = frame.with_columns(pl.col("strategy", "market").cast(pl.String))
        joined = texts.join(labels, on=["strategy", "market"], how="left", maintain_order="left")
        out.append(joined.with_columns(pl.col("line").fill_null(-1)))
    return out
