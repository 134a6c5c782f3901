"""The dashboard's page: which run, its filters, its views; or a sentence that says why there is nothing to see."""

import logging
from collections import OrderedDict
from typing import NamedTuple

import panel as pn
from bokeh.layouts import Column
from bokeh.models import CustomJS
from bokeh.server.views.static_handler import StaticHandler

from app import charts, first, shell
from app.charts import esc
from app.columns import Columns
from app.crossfilter import FIELDS
from app.pages import ALWAYS, FIRST, PAGES
from app.selection import LISTS, Selection
from app.view import Board, failure
from app.views import VIEWS
from app.ways import from_query
from engine.result import RunUnknown, listed, load
from store.archive import ArchiveMissing, open_archive

log = logging.getLogger(__name__)
KEPT = 4  # runs whose columns stay in memory
DATA = (("data", "Data"),)
SCRIPTS = "".join(  # with the hash of each, so that a browser keeps it until it changes
    f'<script src="static/{StaticHandler.append_version(f"js/{name}.min.js")}"></script>'
    for name in ("bokeh", "bokeh-widgets", "bokeh-tables")
)
_COLUMNS = OrderedDict()


def create(store_path, run=None):
    """The page of one visit: the run that the address names (`?run=`), else `run`, else the newest of the store."""
    wanted = _argument("run") or run
    rows = []
    try:
        archive = open_archive(store_path)
        damaged = []
        rows = listed(archive, damaged)
        for reason in damaged:
            log.error("%s", reason)
        if not rows and not damaged:
            if not any(archive.files(table) for table in ("contract_bars", "vendor_chains")):
                return first_visit("The store is empty.", store_path)
            return nothing("There is no run yet.", NO_RUN.format(store=esc(store_path)), DATA)
        if damaged and not rows:
            return nothing("No stored run can be read.", failure("Damaged runs", "; ".join(damaged)))
        name = wanted or rows[0]["run"]
        columns = columns_of(archive, name)
        return dashboard(archive, columns, chooser(rows, columns.run.id))
    except ArchiveMissing as error:
        return first_visit("There is no store here.", store_path, f"<p>{esc(error)}</p>")
    except RunUnknown as error:
        reason = failure(f"The run {wanted} cannot be shown.", f"{error}.")
        return nothing("There is no such run.", reason + chooser(rows), DATA)
    except Exception as error:
        log.exception("page of run %s in %s", wanted, store_path)
        reason = failure(f"The run {wanted or 'last'} cannot be shown.", f"{type(error).__name__}: {error}")
        return nothing("This page could not be made.", reason + chooser(rows))


NO_STORE = (
    "<p>Make one, with simulated prices or with files of your own:</p>"
    "<p><code>frontmonth demo</code></p><p><code>frontmonth import FOLDER</code></p>"
)
VENDORS = (
    "<h3>What can be imported</h3><p>Each file is recognised by its name and header; <code>--vendor READER</code> "
    "names the reader, <code>--dry-run</code> shows what would happen. Any other CSV: its layout is guessed and shown "
    "to you first.</p>{table}"
)
NO_RUN = (
    "<p>The store {store} holds prices, but no portfolio was run on them:</p>"
    "<p><code>frontmonth run config/portfolios/trend.toml</code></p><p>Then load this page again.</p>"
)


def columns_of(archive, name):
    """The columns of a stored run; those of the last runs are kept, until the run is computed again."""
    run = load(archive, name)
    key = (str(archive.place), run.id, archive.place.facts(f"runs/{run.id}/run.json"))
    if key not in _COLUMNS:
        _COLUMNS[key] = Columns.of(run, archive)
        if len(_COLUMNS) > KEPT:
            _COLUMNS.popitem(last=False)
    return _COLUMNS[key]


def dashboard(archive, columns, chosen=""):
    """All pages of a run under one selection, which stands in the address.

    What the first page shows first is built now; the rest of it once the browser has that, every other page at its
    first visit.
    """
    selection, notice = picked(columns)
    try:
        ways = from_query(_argument("view") or "")
    except ValueError as error:
        ways, notice = {}, notice + failure("How the link shows it was left out.", str(error))
    board = Board(columns, selection, archive, ways)
    stage = Stage(board)
    body = shell.template(VIEWS, columns.run, chosen, notice=notice, others=DATA)
    stage.fill((*ALWAYS, *FIRST))
    pn.state.onload(lambda: stage.open("overview"))
    roots = stage.slots | {name: Column(getattr(board, name)) for name in ("alert", "wish", "gift")}
    return Page(body, f"{columns.run.name} {columns.run.id}", roots)


class Page(NamedTuple):
    """The house's own HTML, and the models whose places it names.

    `pn.Template` would do the same, but looks at all its parts again for each one, and brings Panel's own models to the
    browser: with sixty slots that is 1.7 of 2 seconds of a load, and 800 kB of scripts.
    """

    body: str
    title: str
    roots: dict = {}  # noqa: RUF012 (nobody writes it)

    def put(self, document):
        """Become the document of a visit."""
        document.title = self.title
        document.config.reconnect_session = False  # a new server knows nothing of this visit
        document.js_on_event("connection_lost", CustomJS(code="window.FrontmonthPage.lost()"))
        document.template = (
            "{% block preamble %}{% endblock %}{% block resources %}" + SCRIPTS + "{% endblock %}" + self.body
        )
        with document.models.freeze():  # else all models are looked for at every root
            for name, model in self.roots.items():
                model.name = name
                document.add_root(model)


class Stage:
    """The slots of all pages, filled when they are first seen."""

    def __init__(self, board):
        self.board, self.views = board, {}
        names = [*ALWAYS, *(slot.view for page in PAGES.values() for slot in page.slots)]
        self.slots = {name: Column(sizing_mode="stretch_width", css_classes=["waiting"]) for name in names}
        board.verbs["page"] = lambda asked: self.open(asked["name"])

    def fill(self, names):
        """Build the views of these names that are not there yet, each in its slot; a failure takes its place."""
        for name in names:
            if name not in self.views:
                self.slots[name].update(children=[self._made(name)], css_classes=[])

    def open(self, page):
        """Fill a page, and let its views follow the selection; those of other pages rest."""
        names = (*ALWAYS, *(slot.view for slot in PAGES[page].slots))
        with pn.io.hold():
            self.fill(names)
            self.board.sight([self.views[name] for name in names])

    def _made(self, name):
        try:
            view = self.views[name] = VIEWS[name](board=self.board)
            return view.root
        except Exception as error:
            log.exception("view %s", name)
            self.views[name] = None
            words = charts.words()
            words.text = failure(f"{VIEWS[name].title} cannot be shown.", f"{type(error).__name__}: {error}")
            return words


def picked(columns):
    """The selection that the address asks for, and a word on what of it is not in this run."""
    text = _argument("pick")
    try:
        selection = Selection.from_query(text or "")
    except ValueError as error:
        return Selection(), failure("The selection of the link was left out.", str(error))
    kinds = {field: kind for kind, field in FIELDS.items()}
    unknown, known = [], {}
    for name in LISTS.values():
        chosen = getattr(selection, name)
        if not chosen:
            continue
        told = columns.regimes(selection.regime).names if name == "regimes" else columns.names(kinds[name])[:-1]
        unknown += [value for value in chosen if value not in told]
        known[name] = [value for value in chosen if value in told]
    trade = selection.trade
    if trade is not None and trade not in columns.table["trade"]:
        unknown.append(f"trade {trade}")
        trade = None
    if not unknown:
        return selection, ""
    selection = Selection(**selection.chosen() | {"trade": trade} | known)  # a step that nobody can undo
    return selection, failure("Not in this run, and left out:", ", ".join(unknown))


def chooser(rows, run=None):
    """A list of the stored runs, newest first, that shows the id `run`; picking one loads its page."""
    if not rows:
        return ""
    # a list that shows its first entry for want of a run would not let anybody pick that one
    options = "" if run else '<option value="" selected disabled>Pick one</option>'
    options += "".join(
        f'<option value="{esc(row["run"])}"{" selected" if row["run"] == run else ""}>{esc(_listed(row))}</option>'
        for row in rows
    )
    change = "location.search = '?run=' + encodeURIComponent(this.value)"
    return f'<label class="run">Run<select class="run" onchange="{esc(change)}">{options}</select></label>'


def _listed(row):
    """A run as the list tells it: what tells it from others first, for there is little room."""
    when, note = str(row.get("created", ""))[:16].replace("T", " "), row.get("note")
    marks = ["simulated" if row.get("simulated") else "", "stamped" if row.get("stamps") else ""]
    return ", ".join(filter(None, (row["portfolio"], when, note, *marks)))


def nothing(title, words, others=()):
    """A page that says what is missing and what to type."""
    return Page(shell.blocks(shell.empty(title, words, others)), "frontmonth")


def first_visit(title, store_path, why=""):
    """The page of a store without prices: a button that makes the sample, how to import, what can be imported."""
    words = why + first.words(store_path) + VENDORS.format(table=shell.vendors())
    return nothing(title, words)._replace(roots={"first": first.offer(store_path)})


def _argument(name):
    values = pn.state.session_args.get(name, [])
    return values[0].decode("utf-8", "replace") if values else None
