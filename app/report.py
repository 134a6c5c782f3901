"""One run as one HTML file that answers to gestures with the network off.

The views are those of the dashboard; behind them `crossfilter.js` and `report.js` do what Python does there. Scripts,
models and numbers are in the file, compressed, and `unpack.js` brings them back with what every browser has; the file's
own policy forbids it to ask anything of anyone.
"""

import base64
import gzip
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.resources import Resources

from app import charts, shell, theme
from app.columns import Columns
from app.crossfilter import FEW_DAYS, FEW_TRADES
from app.packing import HEAD, packed, regimes
from app.pages import ALWAYS, PAGES, Slot
from app.selection import KINDS
from app.view import Board
from app.views import VIEWS
from app.views.distributions import edges_of
from app.views.equity import KINDS as SHORT_KINDS
from app.views.months import FULL, NAMES
from app.views.positions import head
from app.views.strip import FIRST, MORE, SIGNED, bands_of
from app.views.trade_list import columns_of

SECTIONS = ("overview", "trades", "risk", "about")  # pages of a report that is asked for none
OWN = {  # pages that a file has otherwise than the dashboard
    "trades": PAGES["trades"]._replace(slots=(Slot("holding"), Slot("trade_list"))),
    "risk": PAGES["risk"]._replace(slots=(Slot("positions"),)),
}
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
QUICK = KINDS[:-1]  # regimes that a report can always be told by; statistical ones only if they are there already
SCRIPTS = ("crossfilter.js", "columns.js", "report.js")
COMPONENTS = ["bokeh", "bokeh-widgets", "bokeh-tables"]  # of BokehJS; the others draw formulae and on graphics cards


class SectionUnknown(ValueError):
    """A report was asked for a section that there is not."""


class ReportNotAlone(RuntimeError):
    """The file would ask for something outside of itself."""


def report(run, path, sections=SECTIONS, archive=None):
    """Write the run as one HTML file; returns the path.

    Parameters
    ----------
    run : RunResult
    path : path
        Its folder is made where it is lacking.
    sections : sequence of str
        Pages of it, some of SECTIONS; others need the server.
    archive : Archive, optional
        Where regimes are read from.
    """
    path = Path(path)
    text = page(run, sections, archive)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def page(run, sections=SECTIONS, archive=None):
    """The text of a run's file."""
    if not sections:
        raise SectionUnknown(f"a report has at least one section; it can have {', '.join(SECTIONS)}")
    for name in sections:
        if name not in SECTIONS:
            raise SectionUnknown(f"a report has no section {name!r}; it can have {', '.join(SECTIONS)}")
    board = Board(Columns.of(run, archive))
    for kind in QUICK:
        board.columns.regimes(kind)
    pages = {name: OWN.get(name, PAGES[name]) for name in sections}
    names = [*ALWAYS, *(slot.view for one in pages.values() for slot in one.slots)]
    views = {name: VIEWS[name](board=board) for name in names}
    hidden = {name: getattr(board, name) for name in ("alert", "wish", "gift")}
    roots = {name: view.root for name, view in views.items()} | hidden
    models = {name: model for view in views.values() for name, model in (view.models | view.gestures).items()} | hidden
    for model in models.values():
        if isinstance(model, ColumnDataSource):
            model.data = {name: [] for name in model.data}  # the twin fills it
    document = Document()
    for root in roots.values():
        document.add_root(root)
    told = meta_of(board, pages) | {
        "models": {name: model.id for name, model in models.items()},
        "places": {name: model.id for name, model in roots.items()},
        "document": document.to_json(deferred=False),
        "always": ALWAYS,
        "hidden": list(hidden),
    }
    scripts = [*Resources(mode="inline", components=COMPONENTS).js_raw]
    scripts += [shell.asset(name) for name in SCRIPTS]
    return alone(document_of(views, run, pages, packed(board.columns), told, scripts))


def document_of(views, run, pages, arrays, meta, scripts):
    """The HTML around scripts, models and numbers; what the first curve needs stands before the rest."""
    body = shell.body(views, run, pages=pages)
    for name, root in meta["places"].items():
        body = body.replace(shell.embed(name), f'<div id="root-{name}" data-root-id="{root}"></div>')
    head = {name: arrays[name] for name in HEAD if name in arrays}
    rest = {name: array for name, array in arrays.items() if name not in head}
    first = {"scripts": "\n".join(scripts).encode(), "meta": json.dumps(meta).encode(), "head": blob(head)}
    title = charts.esc(f"{run.name} {run.id}")
    return (
        f'<!DOCTYPE html><html lang="en" class="report"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{shell.head()}</head><body>{body}'
        f"{''.join(pack(name, data) for name, data in first.items())}<script>{shell.asset('unpack.js')}</script>"
        f"{pack('data', blob(rest))}</body></html>"
    )


def pack(name, data):
    """Bytes as an element that no browser reads as a script."""
    return f'<script type="application/octet-stream" id="{name}">{zipped(data)}</script>'


# ---------------------------------------------------------------------------------------------------------- packing


def zipped(data):
    """Bytes, compressed, as text of five letters for four bytes; the same bytes give the same text.

    The letters are those of RFC 1924, with `,` and `.` for two that may not stand in a script.
    """
    packed = gzip.compress(data, 9, mtime=0)
    return base64.b85encode(packed).decode("ascii").translate(str.maketrans("<&", ",."))


def blob(arrays):
    """Arrays as one run of bytes: a line of JSON that tells them, then the bytes of each, those of one place together.

    Numbers that are like each other have like bytes in the same places, so that they compress better this way.
    """
    told, parts = [], []
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        told.append({"name": name, "type": array.dtype.name, "length": len(array)})
        parts.append(array.view(np.uint8).reshape(len(array), array.dtype.itemsize).T.tobytes())
    return b"".join([json.dumps(told).encode(), b"\n", *parts])


def meta_of(board, pages):
    """All that is no array: names, codes of the lines, words of the figures."""
    columns = board.columns
    currency = columns.currency
    whole = board.whole.account
    named = {name: list(getattr(columns, name)) for name in NAMED}
    return named | {
        "sign": charts.SIGNS.get(currency, f"{currency} "), "compounding": columns.compounding,
        "turnover": columns.turnover, "kinds": SHORT_KINDS,
        "line_root": columns.line_root.tolist(), "line_sector": columns.line_sector.tolist(),
        "line_strategy": columns.line_strategy.tolist(), "result_bins": columns.result_bins.tolist(),
        "holding_bins": columns.holding_bins.tolist(), "return_bins": edges_of(whole.returns).tolist(),
        "regime": board.selection.regime, "regime_colours": list(theme.REGIMES),
        "regimes": {kind: {"names": told.names, "missing": told.missing} for kind, told in regimes(columns).items()},
        "benchmark": columns.run.summary.get("benchmark", {}).get("name", ""), "bands": bands_of(whole),
        "few_days": FEW_DAYS, "few_trades": FEW_TRADES, "book_head": list(head(currency)),
        "first": [[*tile, tile[0] in SIGNED] for tile in FIRST], "more": [[*tile, tile[0] in SIGNED] for tile in MORE],
        "month_names": list(NAMES), "full": list(FULL), "table": list(columns_of(columns.table.head(0))),
        "gain": theme.GAIN, "loss": theme.LOSS, "whole_colour": theme.WHOLE,
        "pages": {name: [slot.view for slot in one.slots] for name, one in pages.items()},
        "views": [*ALWAYS, *(slot.view for one in pages.values() for slot in one.slots)],
    }  # fmt: skip


NAMED = ("roots", "sectors", "strategies", "entry_reasons", "exit_reasons")


# --------------------------------------------------------------------------------------------------- nothing outside


class Tags(HTMLParser):
    """Finds the tags of a page that refer to something outside of it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note a tag with an address that is neither a place in the page nor data."""
        for name, value in attrs:
            inside = not value or value.startswith(("#", "data:"))
            if name in ("src", "href", "srcset", "data", "action", "poster") and not inside:
                self.found.append((tag, name, value, self.get_starttag_text()))


def alone(text):
    """The page; refused if a tag of it points outside."""
    left = Tags(text).found
    if left:
        raise ReportNotAlone(f"the report would ask for {left[0][2]} by its <{left[0][0]}>")
    return text
