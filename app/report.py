"""One run as one HTML file that answers to gestures with the network off.

The views are those of the dashboard; behind them `crossfilter.js` and `report.js` do what Python does there. All
scripts, styles and numbers are inside the file, and its own policy forbids it to ask anything of anyone.
"""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource, CustomJS
from bokeh.resources import INLINE

from app import charts, shell
from app.crossfilter import FEW_DAYS, FEW_TRADES
from app.selection import KINDS
from app.view import Board
from app.views import VIEWS
from app.views.months import NAMES, STEPS
from app.views.positions import head
from app.views.strip import SIGNED, TILES

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)


class ReportNotAlone(RuntimeError):
    """The file would ask for something outside of itself."""


def report(run, path):
    """Write a run, or its Columns with the regimes that were worked out, as one HTML file; returns the path."""
    path = Path(path)
    text = page(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def page(run):
    """The text of the file of a run, or of its Columns."""
    board = Board(run)
    run = board.columns.run
    views = {name: kind(board=board) for name, kind in VIEWS.items()}
    document = Document()
    for name, root in [(name, view.root) for name, view in views.items()] + [("alert", board.alert)]:
        root.name = name
        document.add_root(root)
    document.js_on_event(DocumentReady, starter(board, views))
    title = f"{run.name} {run.id}"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    scripts = f"{policy}<script>{shell.asset('crossfilter.js')}</script><script>{shell.asset('report.js')}</script>"
    made = file_html(
        document, INLINE, title, template=shell.template(views, run, scripts=scripts),
        suppress_callback_warning=True,
    )  # fmt: skip
    return alone(made)


def starter(board, views):
    """The call that hands data and models to the twin when the file is opened."""
    models = {name: model for view in views.values() for name, model in (view.models | view.gestures).items()}
    return CustomJS(
        args={
            "models": models | {"alert": board.alert},
            "sources": packed(board.columns),
            "meta": meta(board.columns, views),
        },
        code="Frontmonth.start(Frontmonth.unpack(sources, meta), models)",
    )


def packed(columns):
    """Arrays of the run as sources, in the smallest integers that hold them."""
    cell, owner, held, trade = columns.cell, columns.owner, columns.held, columns.trade
    of_owner = {name: owner[name] for name in ("line", "side", "entry_reason", "exit_reason")}
    of_trade = ("entry", "exit", "net", "holding", "result_bin", "holding_bin")
    return {
        "days": ColumnDataSource(
            {"day": charts.milliseconds(columns.days), "equity": columns.equity, "paid": columns.paid}
        ),
        "cells": ColumnDataSource({name: small(values) for name, values in cell.items()}),
        "owners": ColumnDataSource(
            {name: small(values) for name, values in (of_owner | {"cells": np.diff(owner["start"])}).items()}
        ),
        "holdings": ColumnDataSource({name: small(values) for name, values in held.items()}),
        "trades": ColumnDataSource({name: small(trade[name]) for name in of_trade}),
        "regimes": ColumnDataSource({kind: small(told.code) for kind, told in regimes(columns).items()}),
    }


def regimes(columns):
    """The regimes that were worked out, by their kind."""
    told = {kind: columns.regimes_now(kind) for kind in KINDS}
    return {kind: made for kind, made in told.items() if made.names}


def small(values):
    """Whole numbers in few bytes; amounts as they are, so that the twin computes the same."""
    if values.dtype.kind == "f":
        whole = len(values) and np.all(np.abs(values) < 2**31) and np.all(values == np.floor(values))
        return values.astype(np.int32) if whole else values
    top = int(values.max(initial=0))
    return values.astype(np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.int32)


def meta(columns, views):
    """All that is no array: what the pass reads, and words of the figures."""
    currency = columns.currency
    return about(columns) | {
        "sign": charts.SIGNS.get(currency, f"{currency} "),
        "tiles": [[*tile, tile[0] in SIGNED] for tile in TILES],
        "month_names": list(NAMES),
        "steps": list(STEPS),
        "order": {view.kind: [list(row) for row in view.order] for view in (views["sectors"], views["markets"])},
        "book_head": list(head(currency)),
        "gain": charts.GAIN,
        "loss": charts.LOSS,
    }


def about(columns):
    """What `crossfilter.js` reads beside arrays: names, codes of the lines, edges of bins."""
    return {
        "compounding": columns.compounding,
        "turnover": columns.turnover,
        "roots": list(columns.roots),
        "sectors": list(columns.sectors),
        "strategies": list(columns.strategies),
        "entry_reasons": list(columns.entry_reasons),
        "exit_reasons": list(columns.exit_reasons),
        "regime": KINDS[0],
        "regimes": {kind: list(told.names) for kind, told in regimes(columns).items()},
        "result_bins": columns.result_bins.tolist(),
        "holding_bins": columns.holding_bins.tolist(),
        "line_root": columns.line_root.tolist(),
        "line_sector": columns.line_sector.tolist(),
        "line_strategy": columns.line_strategy.tolist(),
        "few_days": FEW_DAYS,
        "few_trades": FEW_TRADES,
    }


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
    """The page without the empty script tags that Panel adds to Bokeh's; nothing else may point outside."""
    for tag, _, _, whole in Tags(text).found:
        if tag == "script":
            text = text.replace(f"{whole}</script>", "")
    left = Tags(text).found
    if left:
        raise ReportNotAlone(f"the report would ask for {left[0][2]} by its <{left[0][0]}>")
    return text
