"""View: one picture of a run. Board: the run, the selection, and the views that show them.

A view is built once. What a selection changes is told by its `patch`: {name of a model: {property: value}}, numbers and
text only, so that the same patch can be made by Python (dashboard, notebook) and by `crossfilter.js` (report). The
board is the only watcher of a selection: it computes one slice and sends all patches as one message.
"""

import logging
from contextlib import contextmanager

import numpy as np
import panel as pn
from bokeh.events import SelectionGeometry, Tap
from panel.viewable import Viewer

from app import charts
from app.columns import Columns
from app.crossfilter import crossfilter
from app.selection import Selection

log = logging.getLogger(__name__)


class Board:
    """One run under one selection, and what shows it."""

    def __init__(self, run, selection=None):
        self.columns = run if isinstance(run, Columns) else Columns.of(run)
        self.selection = Selection() if selection is None else selection
        self.views = []
        self.alert = charts.words(role="alert")
        self.alert.visible = False
        self.selection.param.watch(self._redraw, list(self.selection.param))

    @property
    def slice(self):
        """What the selection leaves of the run."""
        return crossfilter(self.columns, self.selection)

    @property
    def whole(self):
        """The slice of everything."""
        return crossfilter(self.columns, Selection())

    @contextmanager
    def guard(self, what):
        """A block whose failure shows on the page."""
        try:
            yield
        except Exception as error:
            log.exception("%s", what)
            self.alert.update(text=failure(what, f"{type(error).__name__}: {error}"), visible=True)

    def _redraw(self, *_):
        with self.guard("The page could not follow the selection."):
            picked = self.slice
            with pn.io.hold():
                self.alert.visible = False
                for view in self.views:
                    view.apply(picked)
            pn.io.push_notebook(*(view.pane for view in self.views if view.pane))  # other cells; nothing on a server


def failure(what, reason):
    """A failure as the page tells it."""
    return f'<div class="failure" role="alert"><b>{charts.esc(what)}</b> {charts.esc(reason)}</div>'


class View(Viewer):
    """Base of all views: `View(run)`, or `View(run, selection)` with a selection that other views share.

    A subclass makes its models in `draw` (root first, then every model that a patch names) and says in `patch` what a
    slice puts into them; `wire` connects gestures to the selection.
    """

    title = ""

    def __init__(self, run=None, selection=None, *, board=None, **params):
        super().__init__(**params)
        self.board = board if board is not None else _board(run, selection)
        self._shown, self.pane = {}, None
        self.gestures = {}  # name -> model that only a gesture needs; for the twin in a report
        self.root, self.models = self.draw(self.board.columns)
        self.apply(self.board.slice)
        self.board.views.append(self)

    def draw(self, columns):
        """The root model and {name: model}, without data."""
        raise NotImplementedError

    def patch(self, picked):
        """What a slice puts into the models: {name: {property: value}}."""
        return {}

    def wire(self):
        """Let gestures on the models write the selection."""

    def apply(self, picked):
        """Put a slice into the models; what is there already is not sent again."""
        for name, properties in self.patch(picked).items():
            changed = {
                key: value for key, value in properties.items() if not _same(self._shown.get((name, key)), value)
            }
            self._shown.update({(name, key): value for key, value in changed.items()})
            if changed:
                self.models[name].update(**changed)

    def __panel__(self):
        if self.pane is None:
            self.wire()
            self.pane = pn.pane.Bokeh(self.root, sizing_mode="stretch_width")
        return self.pane


def _board(run, selection):
    """The board of a run; views with one selection share it."""
    if selection is None:
        return Board(run)
    boards = selection.__dict__.setdefault("_boards", {})
    key = run.run.id if isinstance(run, Columns) else run.id
    if key not in boards:
        boards[key] = Board(run, selection)
    return boards[key]


def _same(old, new):
    if type(old) is not type(new):
        return False
    if isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in new)
    if isinstance(new, np.ndarray):
        return np.array_equal(old, new, equal_nan=new.dtype.kind == "f")
    return bool(old == new)


def brush(plot, board):
    """A box over days picks them; a tap picks all days again."""

    def picked(event):
        with board.guard("The days could not be picked."):
            if event.final and event.geometry["type"] == "rect":
                board.selection.days = dates(sorted((event.geometry["x0"], event.geometry["x1"])))

    def cleared(_):
        with board.guard("The days could not be picked."):
            board.selection.days = None

    plot.on_event(SelectionGeometry, picked)
    plot.on_event(Tap, cleared)


def taps(plot, board, field, names):
    """A tap on a bar picks it, another one takes it out again."""

    def tapped(event):
        with board.guard("The bar could not be picked."):
            place = int(np.floor(event.y))
            if 0 <= place < len(plot.y_range.factors) and plot.y_range.factors[place] in names:
                board.selection.toggle(field, plot.y_range.factors[place])

    plot.on_event(Tap, tapped)


def dates(ends):
    """First and last day from the milliseconds of a gesture: parts of a day count as that day."""
    return tuple(np.floor(np.array(ends) / charts.DAY_MS).astype("datetime64[D]").astype(object).tolist())
