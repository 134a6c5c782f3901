"""Sweeping: which stored sweep a page shows, along which settings, by which statistic, and which trial."""

import json
import shlex
from typing import NamedTuple

import numpy as np
import polars as pl

from app.heatmap import around
from app.ways import Way
from engine import swept
from engine.grid import text_of
from engine.headline import RANKED
from engine.portfolio import Portfolio
from engine.settings import ConfigError
from store import sweeps as places

LINES = 2000  # trials that are drawn as lines, at most


class Swept(NamedTuple):
    """A sweep as it was read."""

    made: swept.Sweep
    sample: pl.DataFrame  # trials that are drawn as lines
    portfolio: Portfolio | None  # None: a strategy of it is not there any more


class Surface(NamedTuple):
    """A statistic over two settings."""

    values: np.ndarray  # (value of `up`, value of `across`) median over the other keys, nan where there is none
    means: np.ndarray  # of each cell and its neighbours
    plateau: tuple | None  # row and column of the highest mean


class Sweeping:
    """What of which sweep is shown."""

    sweep = Way("sweep", lambda self: [row["sweep"] for row in self.rows])
    across = Way("across", lambda self: self.settings(), lambda self: next(iter(self.settings()), None))
    up = Way("up", lambda self: self.settings(), lambda self: (self.settings() * 2)[1] if self.settings() else None)
    by = Way("by", RANKED, "sharpe")
    tapped_trial = Way("trial")

    def __init__(self, board):
        self.board, self.rows, self.damaged = board, [], []
        for name in places.ids(board.archive) if board.archive is not None else ():
            try:
                self.rows.append(swept.load(places.folder(board.archive, name), checked=False).summary)
            except swept.SweepDamaged as error:
                self.damaged.append(str(error))
        self.rows.sort(key=lambda row: (row["created"], row["sweep"]), reverse=True)
        mine = [row for row in self.rows if row["portfolio"] == board.columns.run.name]
        self.cell = None
        if self.rows and self.sweep is None:
            self.sweep = (mine or self.rows)[0]["sweep"]  # told: tomorrow the newest sweep is another one
        board.verbs["surface"] = lambda asked: self.tapped(asked["column"], asked["row"])

    @classmethod
    def of(cls, board):
        """That of a board; made once."""
        if "sweeping" not in vars(board):
            board.sweeping = cls(board)
        return board.sweeping

    @property
    def row(self):
        """What is told of the sweep that is shown; None without one."""
        return next((row for row in self.rows if row["sweep"] == self.sweep), None)

    def take(self, sweep):
        """Show another sweep, along its first two settings that have several values."""
        self.sweep, self.cell, self.trial = sweep, None, None
        for name in ("across", "up"):
            self.board.choose(name, None)

    @property
    def trial(self):
        """Number of the trial that was picked; None: the best."""
        asked = self.tapped_trial
        return int(asked) if asked is not None and asked.isdecimal() else None

    @trial.setter
    def trial(self, number):
        self.tapped_trial = None if number is None else str(number)

    def settings(self):
        """Settings of the sweep, those with several values first, params of strategies first among them."""
        if self.row is None:
            return []
        grid, keys = self.row["grid"], self.row["keys"]
        return sorted(grid, key=lambda name: (len(grid[name]) < 2, not keys[name].startswith("strategies.")))

    def pick(self, **values):
        """Show it otherwise: sweep, across, up, by, trial."""
        if values.get("sweep", self.sweep) != self.sweep:
            self.take(values["sweep"])
        for name in ("across", "up"):
            if values.get(name) in self.settings():
                setattr(self, name, values[name])
                self.cell = None
        if values.get("by") in RANKED:
            self.by = values["by"]
        if "trial" in values:
            self.trial, self.cell = values["trial"], None
        self._show()

    def tapped(self, column, row):
        """Show the best trial of a cell."""
        found = self.found("sweep", self.sweep)
        if not isinstance(found, Swept):
            return
        asked = {self.across: str(column)} | ({self.up: str(row)} if self.up != self.across else {})
        trials = found.made.of_cell(asked, self.by)
        self.trial, self.cell = (int(trials["trial"][0]), len(trials)) if len(trials) else (None, 0)
        self._show()

    def found(self, *key):
        """What was computed under a key; None if not yet."""
        return vars(self.board).get("worked", {}).get(key)

    def needs(self):
        """The sweep, then its surface: (key, how)."""
        if self.row is None:
            return []
        archive, sweep, across, up, by = self.board.archive, self.sweep, self.across, self.up, self.by
        read = (("sweep", sweep), lambda: read_of(archive, sweep))
        found = self.found("sweep", sweep)
        if not isinstance(found, Swept):
            return [read]
        return [read, (("surface", sweep, across, up, by), lambda: surface(found.made, across, up, by))]

    def surface(self):
        """The `Surface` that is shown."""
        return self.found("surface", self.sweep, self.across, self.up, self.by)

    def shown(self):
        """The row of the trial that is shown: the one that was picked, else the best; None without one."""
        found = self.found("sweep", self.sweep)
        if not isinstance(found, Swept):
            return None
        if self.trial is None:
            best = found.made.best(1, self.by)
            return best.row(0, named=True) if len(best) else None
        rows = found.made.scan().filter(pl.col("trial") == self.trial).collect(engine="in-memory")
        return rows.row(0, named=True) if len(rows) else None

    def command(self, row):
        """The words that run a trial in full."""
        made = self.found("sweep", self.sweep).made
        words = ["frontmonth", "--store", str(self.board.archive.path), "run", str(made.folder / "portfolio.toml")]
        return shlex.join([*words, *(word for change in made.changes(row) for word in ("--set", change))])

    def run(self, row):
        """Id of the stored run of a trial; None if it was not run with these data and this code."""
        found = self.found("sweep", self.sweep)
        if found.portfolio is None:
            return None
        try:
            name = found.made.run_id(row, found.portfolio)
        except ConfigError:  # it was refused in the sweep, too
            return None
        return name if name in self.board.archive.run_ids() else None

    def _show(self):
        self.board.show(self.board.slice)
        self.board.settle()


def read_of(archive, sweep):
    """The `Swept` of a stored sweep."""
    made = swept.load(places.folder(archive, sweep))
    try:
        portfolio = Portfolio.from_toml(made.folder / "portfolio.toml")
    except ConfigError:
        portfolio = None
    return Swept(made, made.sample(LINES), portfolio)


def surface(made, across, up, by):
    """The `Surface` of two settings; of one setting alone a single row."""
    values = made.heat(across, up, by)
    if across == up:
        values = values.diagonal()[None, :].copy()
    means = around(values)
    known = np.isfinite(means).any()
    return Surface(values, means, np.unravel_index(np.nanargmax(means), means.shape) if known else None)


def text(value):
    """A value of a setting as the grid tells it."""
    return value if isinstance(value, str) else text_of(value) if value is not None else json.dumps(value)
