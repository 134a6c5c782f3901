"""Attribution: where every cent of a run came from, by any one or two of its dimensions; each table sums to the change
of equity.

What a cause is, and to which trade each amount belongs, `engine.analysis.parts` tells. Amounts that belong to the
account (interest, fees, money paid in or out) are in rows of their own, `account`; those of a line that are of no trade
(`fx` of foreign money that is kept) are `no trade` where something is asked of trades.
"""

from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import polars as pl

from engine.analysis.daily import labelled
from engine.analysis.parts import parts

ACCOUNT, NO_TRADE, UNKNOWN = "account", "no trade", "unknown"
DIMENSIONS = {
    "cause": "spot, roll_yield, entry_slippage, ...: see docs/attribution.md",
    "market": "name of the market, CL or CL.c.3",
    "sector": "of the market",
    "currency": "of the market",
    "strategy": "label of the strategy",
    "side": "long or short, of the trade",
    "holding": "bars that the trade was held",
    "entry_reason": "kind of the fill that began the trade",
    "exit_reason": "why the trade ended",
    "weekday": "of the day",
    "month": "of the day",
    "year": "of the day",
    "regime": "label of the day, or of the day and market",
}
PIVOT = {"amount": pl.Float64}  # beside a text column of each dimension asked for [account currency]
HELD = ((0, "0"), (5, "1-5"), (20, "6-20"), (60, "21-60"), (120, "61-120"), (250, "121-250"), (np.inf, "over 250"))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
OF_LINE = ("market", "sector", "currency", "strategy")
OF_TRADE = ("side", "holding", "entry_reason", "exit_reason")
OF_DAY = ("weekday", "month", "year")


class DimensionUnknown(ValueError):
    """A dimension that there is not, or not without what the message names."""


def attribution(run, curve=None, regimes=None):
    """The `Attribution` of a run.

    Parameters
    ----------
    run : RunResult
    curve : Curve, optional
        Of `engine.analysis.source.curve_of_run`: splits `price` into `spot` and `roll_yield`, and tells currencies.
    regimes : array (day,) of str, or {market: such an array}, optional
        A label of each day of the run, for the dimension `regime`; by market, the account is `account`.

    Returns
    -------
    Attribution

    Raises
    ------
    engine.analysis.parts.Torn
        The run's tables do not fit each other, or the parts are not the change of equity to the cent.
    """
    return Attribution(run, parts(run, curve), curve, regimes)


class Attribution:
    """A run's money by its dimensions; `pivot` and `wide` are its tables."""

    def __init__(self, run, told, curve, regimes):
        self.parts, self._curve, self._regimes = told, curve, regimes
        self._trades, self._lines = len(told.order), len(told.lines)
        self._known, self._reduced = {}, {}
        self._group, none = told.cells.trade.copy(), np.flatnonzero(told.cells.trade < 0)
        self._group[none] = self._trades + told.cells.line[none]
        self._line = np.concatenate([told.owner, np.arange(self._lines + 1)])  # of each group
        self.id = run.id

    @property
    def total(self):
        """The change of equity. [account currency]"""
        return self.parts.total

    @property
    def curved(self):
        """Whether `price` is split into `spot` and `roll_yield`."""
        return self._curve is not None

    @property
    def dimensions(self):
        """Those that this one has."""
        lacking = {"currency": self._curve is None, "regime": self._regimes is None}
        return tuple(name for name in DIMENSIONS if not lacking.get(name))

    def pivot(self, *by):
        """The money by one or two dimensions, as rows.

        Parameters
        ----------
        by : str
            One or two of `DIMENSIONS`.

        Returns
        -------
        polars.DataFrame
            A text column of each dimension and `PIVOT`: the pairs that have an amount, in the order of their labels.

        Raises
        ------
        DimensionUnknown
        """
        rows = self.matrix(*by)
        names = [self._labels(name) for name in by]
        at = np.nonzero(rows)
        columns = {
            name: pl.Series(labels, dtype=pl.String).gather(k) for name, labels, k in zip(by, names, at, strict=True)
        }
        return pl.DataFrame(columns | {"amount": rows[at]})

    def wide(self, row, column=None):
        """The same with a column for each label of the second dimension, and a row and a column of totals."""
        rows = self.matrix(row)[:, None] if column is None else self.matrix(row, column)
        heads = ["amount"] if column is None else self._labels(column)
        there = [np.flatnonzero(np.abs(rows).sum(axis=axis)) for axis in (1, 0)]
        rows = rows[np.ix_(*there)]
        told = {row: [self._labels(row)[k] for k in there[0]] + ["total"]}
        sums = np.vstack([rows, rows.sum(axis=0)])
        told |= {heads[k]: sums[:, i] for i, k in enumerate(there[1])}
        return pl.DataFrame(told if column is None else told | {"total": sums.sum(axis=1)})

    def matrix(self, *by):
        """The same as an array, (label,) or (label, label), of all labels. [account currency]"""
        if not 1 <= len(by) <= 2 or len(set(by)) < len(by):
            raise DimensionUnknown(
                f"{len(by)} dimensions, {', '.join(by) or 'none'}: ask for one, or two different ones"
            )
        codes, labels = zip(*(self._dimension(name) for name in by), strict=True)
        levels = [self._level(name) for name in by]
        if "cause" in levels and "cell" not in levels:
            at = 1 - levels.index("cause")
            rows = self._with_causes(levels[at], codes[at], len(labels[at])) if len(by) == 2 else self._all_causes
            return rows.T if at == 0 and len(by) == 2 else rows
        places, amount = self._table(by)
        sizes = [len(names) for names in labels]
        key = 0
        for name, code, size in zip(by, codes, sizes, strict=True):
            key = key * size + code[places[self._level(name)]]
        return np.bincount(key, amount, int(np.prod(sizes))).reshape(sizes)

    def only(self, trades=None, lines=None, days=None, causes=None):
        """The money of some trades, lines, days and causes alone; what is not given is whole.

        Parameters
        ----------
        trades : array (trade,) of bool, optional
            In the order of `parts.trades`.
        lines : array (line + 1,) of bool, optional
            Of what belongs to no trade: that of each line in the order of `parts.lines`, then that of the account.
        days : array (day,) of bool, optional
            In the order of `parts.days`.
        causes : sequence of str, optional
            Some of `parts.causes`.

        Returns
        -------
        Attribution
            With the dimensions and labels of this one.
        """
        told = self.parts
        group = np.concatenate([_every(trades, self._trades), _every(lines, self._lines + 1)])
        cell = group[self._group] & _every(days, len(told.days))[told.cells.day]
        blocks = []
        for cause, amount, place in told.blocks:
            keep = cell[place] & (causes is None or told.causes[cause] in causes)
            blocks.append((cause, amount[keep], place[keep]))
        some = replace(told, blocks=tuple(blocks))
        made = Attribution(self, some, self._curve, self._regimes)
        made._known = self._known
        return made

    def told_by(self, regimes):
        """The same money with other labels of the days, or of days and markets, for the dimension `regime`."""
        return Attribution(self, self.parts, self._curve, regimes)

    def labels(self, name):
        """The labels of a dimension, in the order of `matrix`."""
        return list(self._labels(name))

    def by_trade(self):
        """Trade by trade the amount of each cause, array (trade, cause), in the order of `parts.trades`."""
        return self._causes_of("group")[:, : self._trades].T

    # ---- tables of sums

    def _table(self, by):
        """(places, amounts) of the smallest table that has all these dimensions; places by level."""
        levels = {self._level(name): name for name in by}
        if "cell" in levels:
            if "cause" in levels:
                return self._places(self.parts.cell) | {"cause": self.parts.cause}, self.parts.amount
            return self._by_cell
        if "day" in levels and len(levels) == 2:
            return self._by_group_and(levels["day"]) if "group" in levels else self._by_line_and(levels["day"])
        level = "group" if "group" in levels else next(iter(levels))
        if level not in self._reduced:
            sums = self._causes_of(level).sum(axis=0)
            place = np.arange(len(sums))
            self._reduced[level] = {level: place} | ({"line": self._line} if level == "group" else {}), sums
        return self._reduced[level]

    def _with_causes(self, level, code, size):
        """Sums by cause and the label of each place of a level, array (cause, label)."""
        every = self._causes_of(level)
        return np.array([np.bincount(code, row, size) if row.any() else np.zeros(size) for row in every])

    @cached_property
    def _all_causes(self):
        return self._causes_of("line").sum(axis=1)

    def _causes_of(self, level):
        """Sums of a group (trade, line or account), a line or a day by cause, array (cause, place)."""
        if (level, "cause") not in self._reduced:
            if level == "line":
                sums = self._with_causes("group", self._line, self._lines + 1)
            else:
                place = self._group if level == "group" else self.parts.cells.day
                size = self._trades + self._lines + 1 if level == "group" else len(self.parts.days)
                sums = np.zeros((len(self.parts.causes), size))
                for cause, amount, cell in self.parts.blocks:
                    np.add.at(sums[cause], place[cell], amount)
            self._reduced[level, "cause"] = sums
        return self._reduced[level, "cause"]

    def _places(self, cells):
        """The place of each cell in arrays of each level."""
        return {"cell": cells, "group": self._group[cells], "day": self.parts.cells.day[cells]} | {
            "line": self.parts.cells.line[cells]
        }

    @cached_property
    def _by_cell(self):
        """Sums of a trade (or line, or account) on a day."""
        places = {"cell": np.arange(len(self._group)), "group": self._group}
        places |= {"day": self.parts.cells.day, "line": self.parts.cells.line}
        sums = np.zeros(len(self._group))
        for _, amount, cell in self.parts.blocks:
            np.add.at(sums, cell, amount)
        return places, sums

    @cached_property
    def _by_line(self):
        """Sums of a line, or the account, on a day; array (line, day)."""
        places, amount = self._by_cell
        count, days = self._lines + 1, len(self.parts.days)
        return np.bincount(places["line"] * days + places["day"], amount, count * days).reshape(count, days)

    def _by_line_and(self, name):
        """Sums of a line, or the account, by the label of the days."""
        if (name, "line") not in self._reduced:
            code, labels = self._dimension(name)
            count, size = self._lines + 1, len(labels)
            key = np.arange(count)[:, None] * size + code
            sums = np.bincount(key.reshape(-1), self._by_line.reshape(-1), count * size)
            day = np.zeros(size, np.int64)
            day[code] = np.arange(len(code))  # any day with the label
            places = {"line": np.repeat(np.arange(count), size), "day": np.tile(day, count)}
            self._reduced[name, "line"] = places, sums
        return self._reduced[name, "line"]

    def _by_group_and(self, name):
        """Sums of a trade (or line, or account) by the label of the days."""
        if name not in self._reduced:
            places, amount = self._by_cell
            code, labels = self._dimension(name)
            code, group = code[places["day"]], places["group"]
            size, groups = len(labels), self._trades + self._lines + 1
            head = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (code[1:] != code[:-1]))[: len(group)])
            if 2 * len(head) < len(group) or groups * size > len(group):  # runs of one label, as of a year
                sums = np.add.reduceat(amount, head) if len(head) else amount
                self._reduced[name] = {"group": group[head], "day": places["day"][head]}, sums
            else:
                sums = np.bincount(group * size + code, amount, groups * size)
                some = np.flatnonzero(sums)
                day = np.zeros(size, np.int64)
                day[code] = places["day"]  # any day with the label
                self._reduced[name] = {"group": some // size, "day": day[some % size]}, sums[some]
        return self._reduced[name]

    # ---- dimensions

    def _level(self, name):
        """What a dimension is told of: a cause, a line, a group (trade, line or account), a day, or a cell (both)."""
        if name == "regime" and isinstance(self._regimes, dict):
            return "cell"
        if name in OF_LINE:
            return "line"
        return "cause" if name == "cause" else "day" if name in (*OF_DAY, "regime") else "group"

    def _labels(self, name):
        return self._dimension(name)[1]

    def _dimension(self, name):
        """(number of the label of each place of the level, labels)."""
        if name not in self._known:
            _refuse(name, self.dimensions)
            if name in OF_LINE:
                made = self._of_line(name)
            elif name in OF_TRADE:
                made = self._of_trade(name)
            else:
                made = {"cause": self._causes, "regime": self._regime}.get(name, lambda: self._of_day(name))()
            self._known[name] = made
        return self._known[name]

    def _causes(self):
        return np.arange(len(self.parts.causes)), list(self.parts.causes)

    def _of_line(self, name):
        """Of each line, and of the account."""
        lines = self.parts.lines
        if name in ("strategy", "market"):
            texts = [line[name == "market"] for line in lines]
        elif self._curve is not None:
            market = self._curve.market
            told = dict(zip(market.names, market.sectors if name == "sector" else market.currencies, strict=True))
            texts = [told.get(label, UNKNOWN) for _, label in lines]  # one that never traded has no name
        else:
            told = dict(self.parts.unsorted.select("market", "sector").unique().cast(pl.String).rows())
            texts = [told.get(label) or UNKNOWN for _, label in lines]
        labels, code = _coded(texts)
        return np.append(code, len(labels)), [*labels, ACCOUNT]

    def _of_trade(self, name):
        if name == "holding":
            bars, labels = self.parts.of_trades("bars").to_numpy(), [text for _, text in HELD]
            code = np.searchsorted([most for most, _ in HELD], bars)
        else:
            code, labels = labelled(self.parts.of_trades("direction" if name == "side" else name), UNKNOWN)
        none = np.full(self._lines + 1, len(labels))
        none[-1] = len(labels) + 1
        return np.concatenate([code, none]).astype(np.int64), [*labels, NO_TRADE, ACCOUNT]

    def _of_day(self, name):
        days = self.parts.days
        if name == "weekday":
            return (days.astype(np.int64) + 3) % 7, list(WEEKDAYS)  # 1970 began on a Thursday
        if name == "month":
            return days.astype("datetime64[M]").astype(np.int64) % 12, list(MONTHS)
        year = days.astype("datetime64[Y]").astype(np.int64) + 1970
        first = int(year.min(initial=9999))
        return year - first, [str(y) for y in range(first, int(year.max(initial=0)) + 1)]

    def _regime(self):
        given, count = self._regimes, len(self.parts.days)
        if not isinstance(given, dict):
            labels, code = _coded(_told(given, count, "the run"))
            return code, labels
        every = {name: _told(one, count, name) for name, one in given.items()}
        every[""] = [UNKNOWN] * count  # of lines that never traded
        lacking = sorted({market for _, market in self.parts.lines} - set(every))
        if lacking:
            raise DimensionUnknown(f"regimes of {', '.join(lacking)} are not told; told are {', '.join(sorted(given))}")
        labels, code = _coded([text for one in every.values() for text in one])
        rows = dict(zip(every, code.reshape(-1, count), strict=True))
        table = np.array([*(rows[market] for _, market in self.parts.lines), np.full(count, len(labels))])
        return table[self.parts.cells.line, self.parts.cells.day], [*labels, ACCOUNT]


def _every(some, count):
    """Whether each of `count` is asked for; all, where nothing is said."""
    return np.ones(count, bool) if some is None else np.asarray(some, bool)


def _refuse(name, known):
    """Raise of a dimension that is none, or is not known here."""
    if name in known:
        return
    if name in DIMENSIONS:
        needs = "a label of each day" if name == "regime" else "the market that the run was made of"
        raise DimensionUnknown(f"{name} is not known of this run without {needs}; allowed: {', '.join(known)}")
    near = get_close_matches(str(name), known, 1)
    told = f"; did you mean {near[0]}?" if near else ";"
    raise DimensionUnknown(f"{name!r} is no dimension{told} allowed: {', '.join(known)}")


def _told(labels, count, of):
    """Labels of days as texts."""
    if len(labels) != count:
        raise DimensionUnknown(f"regimes of {of} have {len(labels)} labels; needed is one of each of the {count} days")
    return [UNKNOWN if one is None or one != one or one == "" else str(one) for one in labels]


def _coded(texts):
    """(sorted labels, number of each text)."""
    labels = sorted(set(texts))
    place = {label: k for k, label in enumerate(labels)}
    return labels, np.array([place[text] for text in texts], np.int64)
