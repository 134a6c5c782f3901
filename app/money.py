"""Money: where every cent of what is picked came from; `Money.of(board)` is made once for a run, beside the page.

What a selection leaves is told of trades, of lines and of days (app/crossfilter.py), and so are the parts of an
attribution (engine/analysis/parts.py): the total of those left is the profit of the slice. Money paid in or out is no
profit and is left out.
"""

from threading import Lock
from typing import NamedTuple

import numpy as np

from app.passes import ENTRY, EXIT, ROOT, SECTOR, SIDE, STRATEGY

FILTERS = {  # dimension -> field of the selection, and the bit of those that fail it
    "market": ("markets", ROOT),
    "sector": ("sectors", SECTOR),
    "strategy": ("strategies", STRATEGY),
    "side": ("directions", SIDE),
    "entry_reason": ("entry_reasons", ENTRY),
    "exit_reason": ("exit_reasons", EXIT),
    "regime": ("regimes", 0),
}
PAID = "transfer"
GROSS = ("spot", "roll_yield", "price", "roll_gap")  # before costs
COSTS = (
    "entry_slippage", "exit_slippage", "impact", "commission", "roll_slippage", "roll_impact", "roll_commission",
)  # fmt: skip
_LOCK = Lock()


class Missing(NamedTuple):
    """Why a run's money cannot be told by causes."""

    why: str


class Money:
    """The money of a run by its dimensions, under any selection."""

    def __init__(self, columns, told, lacking):
        self.columns, self.told, self.lacking = columns, told, lacking
        self._by_kind = {}
        trade = told.parts.of_trades("trade").to_numpy()
        row = np.zeros(int(trade.max(initial=0)) + 1, np.int64)
        row[columns.table["trade"].to_numpy()] = np.arange(len(trade))
        self._owner = row[trade]  # of each trade of the parts
        names = zip(columns.line_strategy[:-1], columns.line_root[:-1], strict=True)
        lines = {(columns.strategies[s], columns.roots[m]): k for k, (s, m) in enumerate(names)}
        account = len(columns.line_root) - 1
        self._line = len(trade) + np.array([*(lines.get(line, account) for line in told.parts.lines), account])

    @classmethod
    def now(cls, columns):
        """What is there already: the Money, why there is none (Missing), or None as long as it was not made."""
        return columns.made.get("money")

    @classmethod
    def of(cls, board):
        """That of a board's run, made when first asked, which takes a moment; or Missing."""
        made = board.columns.made
        with _LOCK:  # two views ask at once
            if "money" not in made:
                made["money"] = cls._of(board.columns, board.archive)
            return made["money"]

    @classmethod
    def _of(cls, columns, archive):
        from engine.analysis.attribution import attribution
        from engine.analysis.parts import Torn

        curve, lacking = curve_or_why(archive, columns.run)
        try:
            return cls(columns, attribution(columns.run, curve), lacking)
        except Torn as error:
            return Missing(f"The tables of this run do not tell its causes: {error}.")

    @property
    def causes(self):
        """Those that have money, in the order of the parts, without payments."""
        every = self.told.matrix("cause")
        return [name for k, name in enumerate(self.told.parts.causes) if name != PAID and every[k] != 0.0]

    def dimensions(self, kind=None):
        """Those that a table can have; with a kind of regimes that is known, `regime` too."""
        return self._with(kind).dimensions

    def left(self, picked, kind=None, spare=(), causes=None):
        """The `Attribution` of what a slice leaves.

        Parameters
        ----------
        picked : Slice
        kind : str, optional
            Of regimes that are known: gives the dimension `regime`.
        spare : sequence of str
            Dimensions whose own filter does not count, so that what is not picked can be shown beside what is.
        causes : sequence of str, optional
            These alone.
        """
        bits = sum(FILTERS[name][1] for name in spare if name in FILTERS)
        owner = (picked.mask & np.uint8(255 - bits)) == 0
        day = np.zeros(len(self.columns.days), bool)
        day[picked.rows] = True
        if "regime" not in spare:
            day &= picked.day_picked
        causes = [name for name in causes or self.told.parts.causes if name != PAID]
        return self._with(kind).only(owner[self._owner], owner[self._line], day[1:], causes)

    def _with(self, kind):
        """The attribution of the whole run, with a label of each day if regimes are asked for and known."""
        if kind is None or not self.columns.regimes_now(kind).names:
            return self.told
        if kind not in self._by_kind:
            found = self.columns.regimes_now(kind)
            self._by_kind[kind] = self.told.told_by(np.array(found.names, object)[found.code[1:]])
        return self._by_kind[kind]


def curve_or_why(archive, run):
    """(the curve that a run held, or None; a sentence on why there is none, or "")."""
    from engine.analysis.source import SourceChanged, curve_of_run
    from engine.result import NotRunHere
    from store.manifest import NotKept

    if archive is None:
        return None, "Price is whole: spot and roll yield need the store of the run."
    try:
        return curve_of_run(archive, run), ""
    except (NotRunHere, NotKept, SourceChanged) as error:
        return None, f"Price is whole: {error}."
