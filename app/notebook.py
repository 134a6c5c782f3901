"""What a view needs in a cell of a notebook that the dashboard's page has already: its colours, and an ear for clicks.

Figures write their wishes themselves. Buttons and rows within words are plain HTML; on the page `page.js` hears a click
on them, in a notebook the frame around the view does, and it follows the notebook's theme.
"""

from pathlib import Path

import panel as pn
import param
from panel.reactive import ReactiveHTML

from app import theme

UNREADY = (
    "Views need Panel in this notebook: run `import panel as pn; pn.extension(inline=True)` in a cell above, "
    "then this one."
)
LOOK = theme.tokens(":host", ':host([data-theme="dark"])') + (
    ":host { background: var(--card); color: var(--ink); font: var(--text-size)/1.45 var(--font); padding: 8px 10px; "
    "border-radius: 8px; box-sizing: border-box; }"
)


class Ear(ReactiveHTML):
    """Hears clicks within the layout that holds it, and tells it which theme the notebook has."""

    wish = param.String(doc="What the last click asks for: JSON, as of `Board.fulfil`.")

    _template = '<span id="ear" hidden></span>'
    _scripts = {"render": (Path(__file__).parent / "notebook.js").read_text(encoding="utf-8")}  # noqa: RUF012 (Panel's)


def framed(board, *parts):
    """Parts below one another under the board's failures, as a cell shows them."""
    ear = Ear(width=0, height=0, margin=0)
    ear.param.watch(lambda event: board.fulfil(event.new), "wish")
    alert = pn.pane.Bokeh(board.alert, sizing_mode="stretch_width")
    return pn.Column(alert, *parts, ear, sizing_mode="stretch_width", stylesheets=[LOOK])


def unready():
    """What stands in place of a view where Panel was not loaded, for every kind of reader."""
    return {"text/plain": UNREADY, "text/html": f"<p role='alert'><b>Nothing is shown yet.</b> {UNREADY}</p>"}, {}
