"""Compared: which stored runs are beside each other on a page, and what was read of them; one for a board."""

from datetime import datetime
from typing import NamedTuple

from app.ways import Way
from engine.analysis import compare, differing, sharpe_difference
from engine.result import listed, load

ALIGNED = {"dates": "As they were", "volatility": "At one volatility"}
MOST = 6  # runs beside each other, as many as colours are told apart


class Beside(NamedTuple):
    """Runs as they were read."""

    found: compare.Aligned
    inputs: dict  # id of another run -> what of it differs from the first, `differing.INPUTS`
    left: dict  # id of a run that cannot be read or compared -> why


class Compared:
    """The runs that are picked: that of the page first, then others in the order in which they were picked."""

    others = Way("runs", many=True)
    align = Way("align", ALIGNED, "dates")

    def __init__(self, board):
        self.board = board
        self.first, self.damaged = board.columns.run.id, []
        self.rows = listed(board.archive, self.damaged) if board.archive is not None else []
        there = [row["run"] for row in self.rows if row["run"] != self.first]
        asked = there[:1] if self.others is None else [name for name in self.others if name in there]
        self.others = asked[: MOST - 1]  # told even if nobody chose: tomorrow the newest run is another one
        board.verbs["compare"] = self._toggled
        board.verbs["align"] = self._aligned

    @classmethod
    def of(cls, board):
        """That of a board; made once."""
        if "compared" not in vars(board):
            board.compared = cls(board)
        return board.compared

    @property
    def ids(self):
        """Ids of the runs picked, the page's first."""
        return (self.first, *self.others)

    def name(self, run):
        """What a run is called: its portfolio, and its note or the beginning of its id where several are called so."""
        row = self.row(run)
        same = [other for other in self.ids if self.row(other)["portfolio"] == row["portfolio"]]
        more = row.get("note") or run[:6]
        return f"{row['portfolio']} {more}" if len(same) > 1 else row["portfolio"]

    def row(self, run):
        """Summary of a run."""
        found = next((row for row in self.rows if row["run"] == run), None)
        return found or {"run": run, "portfolio": self.board.columns.run.name}

    def beside(self):
        """The runs picked, read and aligned: `Beside`. Those that cannot be are left out, and why is told."""
        first, left, runs = self.board.columns.run, {}, []
        for name in self.others:
            try:
                other = load(self.board.archive, name)
                compare.aligned([first, other])
                runs.append((other, differing.inputs(first, other)))
            except Exception as error:  # noqa: BLE001  a run of an older program, or a damaged one; the others are shown
                left[name] = str(error) or type(error).__name__
        while runs:
            try:
                found = compare.aligned([first, *(run for run, _ in runs)])
                return Beside(found, {run.id: inputs for run, inputs in runs}, left)
            except compare.NotComparable as error:  # each has days in common with the first, all together have none
                left[runs.pop()[0].id] = str(error)
        raise compare.NotComparable("; ".join(f"{name}: {why}" for name, why in left.items()))

    def needs(self):
        """What has to be computed: (key, how)."""
        return [(("beside", self.ids), self.beside)] if self.others else []

    def tests(self):
        """The tests of the difference of Sharpe ratios, one for each other run: (key, how)."""
        beside = vars(self.board).get("worked", {}).get(("beside", self.ids))
        if not isinstance(beside, Beside):
            return []
        found = beside.found

        def test(k):
            return sharpe_difference.difference(found.excess[:, 0], found.excess[:, k])

        days = (str(found.days[0]), str(found.days[-1]), len(found.days))
        return [(("sharpe", name, days), lambda k=k: test(k)) for k, name in enumerate(found.names) if k]

    def _toggled(self, asked):
        run = str(asked["run"])
        if run in self.others:
            self.others = [name for name in self.others if name != run]
        elif run != self.first and len(self.ids) < MOST and any(row["run"] == run for row in self.rows):
            self.others = (*self.others, run)
        self._show()

    def _aligned(self, asked):
        if asked.get("value") in ALIGNED:
            self.align = asked["value"]
            self._show()

    def _show(self):
        self.board.show(self.board.slice)
        self.board.settle()


def made(row):
    """When a run was computed, as text."""
    try:
        return datetime.fromisoformat(row.get("created", "")).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""
