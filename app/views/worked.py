"""Worked: views of what takes long to compute. It is computed once, beside the page, for all views that need it."""

import logging
from functools import partial
from typing import NamedTuple

from app import charts
from app.charts import esc
from app.view import View

log = logging.getLogger(__name__)
WAIT = "Being worked out …"


class Failed(NamedTuple):
    """In place of what could not be computed."""

    reason: str


class Worked(View):
    """A view that shows words until what it `needs` is there, and why where it cannot be had."""

    def needs(self):
        """What has to be computed first: pairs of a key, which means the same to all views of a board, and how."""
        return []

    def got(self, key):
        """What was computed under a key: None if not yet, `Failed` if it cannot be had."""
        return vars(self.board).setdefault("worked", {}).get(key)

    def missing(self):
        """HTML that stands in place of the view while something is lacking; "" if nothing is."""
        for key, _ in self.needs():
            found = self.got(key)
            if found is None:
                return note(WAIT)
            if isinstance(found, Failed):
                return f'<div class="failure" role="alert"><b>This cannot be told.</b> {esc(found.reason)}</div>'
        return ""

    def settle(self, picked):
        """Have the first of what is lacking computed, unless somebody does already."""
        kept = vars(self.board).setdefault("worked", {})
        for key, compute in self.needs():
            if key not in kept:
                kept[key] = None
                self.later(partial(tried, compute), partial(self._put, key))
                return
            if kept[key] is None:
                return

    def _put(self, key, found):
        self.board.worked[key] = found
        self.board.show(self.board.slice)
        self.board.settle()


def tried(compute):
    """What `compute()` gives, or `Failed` with its reason."""
    try:
        return compute()
    except Exception as error:
        log.exception("%s", compute)
        return Failed(str(error) or type(error).__name__)


def note(text):
    """A sentence in place of a picture or beneath it; escaped."""
    return f'<p class="note" role="status">{esc(text)}</p>'


def table(head, rows, kind="plain", foot=""):
    """A table of (text, class, title) heads and rows of cells that are HTML already."""
    heads = "".join(f'<th scope="col" class="{one}" title="{esc(why)}">{esc(text)}</th>' for text, one, why in head)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody>{foot}</table>'
        "</div>"
    )


def cell(text, kind=""):
    """A cell of a table; the text is escaped."""
    return f'<td class="{kind}">{esc(text)}</td>'


def plain_cells(plot):
    """Let the cells that HoloViews drew have no other look when they are picked; what it would be read from is gone."""
    plot.renderers[0].update(selection_glyph=None, nonselection_glyph=None, hover_glyph=None, muted_glyph=None)


def heat(value, text, most=1.0):
    """A cell over a ground that is the stronger, the further its value is from zero: blue above, orange below."""
    if value is None or value != value:
        return f"<td>{charts.UNKNOWN}</td>"
    tone = "gain" if value >= 0.0 else "loss"
    return f'<td class="{tone}-ground" style="--deep:{min(abs(value) / most, 1.0) * 100.0:.0f}%">{esc(text)}</td>'
