"""View: one picture of a run. Board: the run, the selection, and the views that show them.

A view is built once. What a selection changes is told by its `patch`: {name of a model: {property: value}}, numbers and
text only, so that the same patch can be made by Python (dashboard, notebook) and by JavaScript (report). The board is
the only watcher of a selection: it computes one slice and sends all patches as one message.

Gestures write *wishes*: one line of JSON in a hidden model, `{"do": "toggle", "field": "markets", "value": "CL"}`. So a
bar, a chip, a row of a table and a key of the keyboard all go one way, which a report answers without Python.

Whatever one wish changes is held and sent as one message: what is sent alone may overtake a message that has to wait,
and a browser that is told of a model before it was told what that is gives up.
"""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import panel as pn
from bokeh.events import SelectionGeometry, Tap
from bokeh.models import CustomJS, InlineStyleSheet, TextInput
from panel.viewable import Viewer

from app import charts
from app.columns import Columns
from app.crossfilter import FIELDS, crossfilter
from app.notebook import framed, unready
from app.selection import CHOICES, KINDS, PICKED, Selection
from app.ways import to_query

log = logging.getLogger(__name__)
_PATIENT = ThreadPoolExecutor(1, thread_name_prefix="frontmonth: ")  # many visits leave a processor to the pages
GESTURES = (Path(__file__).parent / "gestures.js").read_text(encoding="utf-8")


class Board:
    """One run under one selection, and what shows it.

    Attributes
    ----------
    columns : Columns
    selection : Selection
    archive : Archive or None
        The store that the run lies in; None in a notebook that has the run alone.
    ways : dict
        How views show it, {name: texts}; see app/ways.py.
    wish, gift : TextInput
        Hidden models: what the browser asks for, and what it is told beside the patches of the views.
    """

    def __init__(self, run, selection=None, archive=None, ways=()):
        self.columns = run if isinstance(run, Columns) else Columns.of(run)
        self.selection = Selection() if selection is None else selection
        self.archive, self.ways = archive, dict(ways)
        self.views = []
        self.verbs = {"toggle": self._toggle, "range": self._range, "clear": self._clear, "reset": self._reset,
                      "undo": self._undo, "redo": self._redo, "link": self._link, "regime": self._regime}  # fmt: skip
        self.sheet = InlineStyleSheet(css=charts.PARTS)
        with charts.shared(self.sheet):
            self.alert = charts.words(role="alert")
        self.alert.visible = False
        self.wish, self.gift = (TextInput(name=f"frontmonth-{name}", visible=False) for name in ("wish", "gift"))
        self.gift.js_on_change("value", CustomJS(code="window.FrontmonthPage?.told(cb_obj.value)"))
        self.wish.on_change("value", lambda _attr, _old, text: self.fulfil(text))
        self.selection.param.watch(self._redraw, list(PICKED))
        self.selection.param.watch(lambda *_: self.tell(), [*PICKED, "trade", "can_undo", "can_redo"])
        self.tell()

    @property
    def slice(self):
        """What the selection leaves of the run."""
        return crossfilter(self.columns, self.selection)

    @property
    def whole(self):
        """The slice of everything."""
        return crossfilter(self.columns, Selection())

    def names(self, field):
        """What a list of the selection may hold: the names of a filter, without that of what belongs to none."""
        if field == "regimes":
            return self.columns.regimes(self.selection.regime).names
        return self.columns.names(next(kind for kind, name in FIELDS.items() if name == field))[:-1]

    @contextmanager
    def guard(self, what):
        """A block whose failure shows on the page."""
        try:
            yield
        except Exception as error:
            log.exception("%s", what)
            self.alert.update(text=failure(what, f"{type(error).__name__}: {error}"), visible=True)

    def show(self, picked):
        """Put a slice into the views that are in sight; the others get it when they are."""
        with pn.io.hold():
            self.alert.visible = False
            for view in self.views:
                if view.shown:
                    view.apply(picked)
                else:
                    view.stale = True
        pn.io.push_notebook(*(view.pane for view in self.views if view.pane))  # other cells; nothing on a server

    def settle(self):
        """Let the views in sight begin what takes long."""
        for view in self.views:
            if view.shown:
                view.settle(self.slice)

    def sight(self, views):
        """Say which views are in sight; what they missed is put in."""
        with pn.io.hold():
            for view in self.views:
                view.shown = any(view is other for other in views)
                if view.shown and view.stale:
                    view.stale = False
                    view.apply(self.slice)
            self.settle()

    def fulfil(self, text):
        """Do what the browser asks for; what it may ask for is in `verbs`."""
        with self.guard("That could not be done."), pn.io.hold():
            asked = json.loads(text)
            self.verbs[asked["do"]](asked)

    def tell(self, **more):
        """Tell the browser what is picked, as the text of a link, and what can be undone."""
        chosen = self.selection
        told = {"pick": chosen.to_query(), "view": to_query(self.ways)}
        told |= {"undo": chosen.can_undo, "redo": chosen.can_redo, **more}
        if self.archive is not None:
            told["run"] = self.columns.run.id
        self.gift.value = json.dumps(told)

    def choose(self, name, texts):
        """Let a way of showing be another one, and the link tell it; None: the usual one."""
        before = self.ways.get(name)
        if texts is None:
            self.ways.pop(name, None)
        else:
            self.ways[name] = texts
        if texts != before:
            self.tell()

    def _redraw(self, *_):
        with self.guard("The page could not follow the selection."), pn.io.hold():
            self.show(self.slice)
            self.settle()
        self.tell()

    # -------------------------------------------------------------------------------------------------------- verbs

    def _toggle(self, asked):
        field, value = known(asked["field"]), str(asked["value"])
        if value in self.names(field):
            self.selection.toggle(field, value)

    def _range(self, asked):
        field, ends = known(asked["field"]), asked["ends"]
        if ends is not None:
            ends = dates(sorted(ends)) if field == "days" else tuple(sorted(float(end) for end in ends))
        if asked.get("live"):
            passing = Selection.from_query(self.selection.to_query())
            passing.pick(**{field: ends})
            self.show(crossfilter(self.columns, passing))
            self.tell(n=asked["n"])
        elif getattr(self.selection, field) != ends:
            self.selection.pick(**{field: ends})
        else:
            self.show(self.slice)  # a drag that came back to where it began

    def _clear(self, asked):
        field, value = known(asked["field"]), asked.get("value")
        if value in (getattr(self.selection, field) or ()):
            self.selection.toggle(field, value)
        else:
            self.selection.clear(field)

    def _reset(self, _):
        self.selection.reset()

    def _undo(self, _):
        self.selection.undo()

    def _redo(self, _):
        self.selection.redo()

    def _link(self, asked):
        asked = Selection.from_query(asked["pick"])
        self.selection.pick(**{name: getattr(asked, name) for name in PICKED})
        self.selection.trade = asked.trade

    def _regime(self, asked):
        """Tell regimes by another kind; those that were picked have other names then."""
        kind = asked["kind"]
        if kind not in KINDS:
            raise ValueError(f"regimes are told by {', '.join(KINDS)}, not by {kind!r}")
        self.selection.pick(regime=kind, regimes=[])


def known(field):
    """The name of a filter, as the browser said it."""
    if field not in CHOICES:
        raise ValueError(f"{field!r} is no filter; filters are {', '.join(CHOICES)}")
    return field


def failure(what, reason):
    """A failure as the page tells it."""
    return f'<div class="failure" role="alert"><b>{charts.esc(what)}</b> {charts.esc(reason)}</div>'


class View(Viewer):
    """Base of all views: `View(run)`, or `View(run, selection)` with a selection that other views share.

    A subclass makes its models in `draw` (root first, then every model that a patch names) and says in `patch` what a
    slice puts into them; `wire` connects gestures to the selection.
    """

    title = ""
    guide = ""  # how to read it, in one line
    saves = ("png", "svg", "csv")  # downloads of it; words and tables have no picture

    def __init__(self, run=None, selection=None, *, board=None, **params):
        super().__init__(**params)
        self.alone = board is None  # in a cell of its own: no model of it may be in another one's document
        self.board = _board(run, selection) if self.alone else board
        self._shown, self.pane = {}, None
        self._asked, self._waiting = 0, None  # how often something was wanted; the last of it, while it has to wait
        self.shown, self.stale = True, False  # whether it is in sight; whether it missed a slice
        self.gestures = {}  # name -> model that only a gesture needs; for the twin in a report
        with charts.shared(self.board.sheet):
            self.root, self.models = self.draw(self.board.columns)
        self.wire()
        self.apply(self.board.slice)
        self.board.views.append(self)

    @property
    def slice(self):
        """What the selection leaves of the run, as numbers."""
        return self.board.slice

    def draw(self, columns):
        """The root model and {name: model}, without data."""
        raise NotImplementedError

    def patch(self, picked):
        """What a slice puts into the models: {name: {property: value}}."""
        return {}

    def settle(self, picked):
        """Begin what takes long, now that a selection stands and no mouse moves."""

    def wire(self):
        """Let gestures on the models write wishes, and widgets of its own do what they are for."""

    def apply(self, picked):
        """Put a slice into the models; what is there already is not sent again."""
        for name, properties in self.patch(picked).items():
            changed = {key: value for key, value in properties.items() if not same(self._shown.get((name, key)), value)}
            self._shown.update({(name, key): value for key, value in changed.items()})
            if changed:
                self.models[name].update(**changed)

    def later(self, compute, show, pause=0):
        """Run `compute()` beside the page, then `show(result)` on it; a failure shows in its place.

        On a server the event loop goes on meanwhile; in a notebook and in tests it is done at once.

        pause: how long to wait before [ms]; what the view waited for till then is forgotten. All that waits so, of all
        visits, is computed one after the other.
        """
        document = visit()
        if document is None:
            with self.board.guard(f"{self.title} could not be computed."):
                show(compute())
            return

        def work():
            try:
                found = compute()
            except Exception as error:
                log.exception("%s", self.title)
                reason = failure(f"{self.title} could not be computed.", f"{type(error).__name__}: {error}")
                document.add_next_tick_callback(lambda: self.board.alert.update(text=reason, visible=True))
                return
            document.add_next_tick_callback(lambda: guarded(found))

        def guarded(found):
            with self.board.guard(f"{self.title} could not be shown."), pn.io.hold():
                show(found)

        self._asked += 1
        asked = self._asked

        def begin():
            self._waiting = None
            _PATIENT.submit(lambda: work() if asked == self._asked else None)

        if self._waiting is not None:
            document.remove_timeout_callback(self._waiting)
            self._waiting = None
        if pause:
            self._waiting = document.add_timeout_callback(begin, pause)
        else:
            threading.Thread(target=work, name=f"frontmonth {type(self).__name__}", daemon=True).start()

    def __panel__(self):
        if self.pane is None:
            pane = pn.pane.Bokeh(self.root, sizing_mode="stretch_width")
            self.pane = framed(self.board, pane) if self.alone else pane
            if self.alone:  # nobody else says that it is in sight
                self.board.settle()
        return self.pane

    def _repr_mimebundle_(self, include=None, exclude=None):
        return super()._repr_mimebundle_(include, exclude) or unready()


def visit():
    """The document of a visit to the server; None in a notebook and in tests."""
    document = pn.state.curdoc  # `pn.state.served` is true in a script's own code alone
    return document if document is not None and document.session_context is not None else None


def _board(run, selection):
    """A board of a view's own; those of one selection share the columns of a run."""
    if run is None or isinstance(run, str):
        raise TypeError(f"a view was given {run!r} for its run; allowed is a run: `backtest(market, portfolio)`, or "
                        "`load(archive, \"last\")` of engine.result")  # fmt: skip
    if not isinstance(selection, Selection | None):
        raise TypeError(f"a view was given {selection!r} for its selection; allowed is a Selection of app.selection, "
                        "such as Selection(markets=[\"ZC\"])")  # fmt: skip
    if isinstance(run, Columns):
        return Board(run, selection, run.run.archive)
    kept = {} if selection is None else vars(selection).setdefault("_columns", {})
    if run.id not in kept:
        kept[run.id] = Columns.of(run, run.archive)
    return Board(kept[run.id], selection, run.archive)


def same(old, new):
    """Whether two values of a patch are the same, nan and all."""
    if type(old) is not type(new):
        return False
    if isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in new)
    if isinstance(new, np.ndarray):
        return np.array_equal(old, new, equal_nan=new.dtype.kind == "f")
    return bool(old == new)


def brush(plot, board, field="days"):
    """A box over an axis picks its span, while it is dragged too; a tap picks all again."""
    done = gesture(board, "range", field, plot)
    plot.js_on_event(SelectionGeometry, done)
    plot.js_on_event(Tap, done)


def taps(plot, board, field):
    """A tap on a bar picks it, another one takes it out again."""
    plot.js_on_event(Tap, gesture(board, "bar", field, plot))


def cells(plot, board, verb):
    """A tap on a cell asks for `verb`, with the names of its column and its row."""
    plot.js_on_event(Tap, gesture(board, "cell", "", plot, verb))


def gesture(board, kind, field, plot, verb=""):
    """What the browser does with a gesture."""
    arguments = {"wish": board.wish, "kind": kind, "field": field, "plot": plot, "verb": verb}
    return CustomJS(args=arguments, code=GESTURES)


def dates(ends):
    """First and last day from the milliseconds of a gesture: parts of a day count as that day."""
    return tuple(np.floor(np.array(ends) / charts.DAY_MS).astype("datetime64[D]").astype(object).tolist())
