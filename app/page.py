"""The dashboard's page: which run, its filters, its views; or a sentence that says why there is nothing to see."""

import logging
from collections import OrderedDict
from urllib.parse import urlencode

import panel as pn

from app import shell
from app.charts import esc
from app.columns import Columns
from app.selection import LISTS, Selection
from app.view import Board, failure
from app.views import VIEWS
from engine.result import listed, load
from store.archive import ArchiveMissing, open_archive

log = logging.getLogger(__name__)
KEPT = 4  # runs whose columns stay in memory
DATA = (("data", "Data"),)
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
                return nothing("The store is empty.", NO_STORE + VENDORS.format(table=shell.vendors()))
            return nothing("There is no run yet.", NO_RUN.format(store=esc(store_path)), DATA)
        if damaged and not rows:
            return nothing("No stored run can be read.", failure("Damaged runs", "; ".join(damaged)))
        name = wanted or rows[0]["run"]
        return dashboard(columns_of(archive, name), chooser(rows, name))
    except ArchiveMissing as error:
        return nothing(
            "There is no store here.", f"<p>{esc(error)}</p>{NO_STORE}{VENDORS.format(table=shell.vendors())}"
        )
    except Exception as error:
        log.exception("page of run %s in %s", wanted, store_path)
        reason = failure(f"The run {wanted or 'last'} cannot be shown.", f"{type(error).__name__}: {error}")
        return nothing("This page could not be made.", reason + chooser(rows, wanted))


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
        _COLUMNS[key] = Columns.of(run)
        if len(_COLUMNS) > KEPT:
            _COLUMNS.popitem(last=False)
    return _COLUMNS[key]


def dashboard(columns, chosen=""):
    """All views of a run under one selection, which stands in the address."""
    selection, notice = picked(columns)
    board = Board(columns, selection)
    views = {name: kind(board=board) for name, kind in VIEWS.items()}
    body = shell.template(views, columns.run, chosen, notice=notice, after="{{ embed(roots.location) }}", pages=DATA)
    page = template(body, f"{columns.run.name} {columns.run.id}", location=True)
    for name, view in views.items():
        page.add_panel(name, view.__panel__())
    page.add_panel("alert", pn.pane.Bokeh(board.alert, sizing_mode="stretch_width"))
    follow(selection, columns.run.id, pn.state.location)
    return page


def follow(selection, run, location):
    """Keep run and selection in the address of the page."""

    def write(*_):
        fields = {"run": run, "pick": selection.to_query()}
        location.search = "?" + urlencode({name: value for name, value in fields.items() if value})

    if location is not None:
        selection.param.watch(write, list(selection.param))


def picked(columns):
    """The selection that the address asks for, and a word on what of it is not in this run."""
    text = _argument("pick")
    try:
        selection = Selection.from_query(text or "")
    except ValueError as error:
        return Selection(), failure("The selection of the link was left out.", str(error))
    known = {"markets": columns.roots, "sectors": columns.sectors, "strategies": columns.strategies}
    unknown = []
    for name in LISTS.values():
        allowed = known.get(name, ("long", "short"))
        unknown += [value for value in getattr(selection, name) if value not in allowed]
        setattr(selection, name, [value for value in getattr(selection, name) if value in allowed])
    if not unknown:
        return selection, ""
    return selection, failure("Not in this run, and left out:", ", ".join(unknown))


def chooser(rows, name):
    """A list of the stored runs, newest first; picking one loads its page."""
    if not rows:
        return ""
    options = "".join(
        f'<option value="{esc(row["run"])}"{" selected" if name and row["run"].startswith(name) else ""}>'
        f"{esc(row['portfolio'])}{', simulated' if row.get('simulated') else ''}"
        f"{', stamped' if row.get('stamps') else ''}, "
        f"{esc(str(row.get('created', ''))[:16].replace('T', ' '))}"
        f"{esc(', ' + row['note'] if row.get('note') else '')}</option>"
        for row in rows
    )
    change = "location.search = '?run=' + encodeURIComponent(this.value)"
    return f'<label class="run">Run<select class="run" onchange="{esc(change)}">{options}</select></label>'


def nothing(title, words, pages=()):
    """A page that says what is missing and what to type."""
    body = shell.top("frontmonth", "", (), pages) + f'<main id="main" class="empty"><h2>{esc(title)}</h2>{words}</main>'
    return template(shell.blocks(body), "frontmonth")


def template(text, title, location=False):
    """A page of Panel around the house's own HTML; `location`: the text embeds the root of that name."""
    page = pn.Template("{% extends base %}\n" + text, location=location)
    page.title = title
    return page


def _argument(name):
    values = pn.state.session_args.get(name, [])
    return values[0].decode("utf-8", "replace") if values else None
