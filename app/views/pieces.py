"""What the pages of contracts and of data quality are put together from: sentences, tables, fields."""

import numpy as np
from bokeh.layouts import Row

from app import charts
from app.charts import esc


def note(text):
    """A sentence; whoever writes it has escaped the names in it."""
    return f'<p class="note">{text}</p>'


def points(value, plus=False, digits=6):
    """A price or a difference of prices in so many digits, with a sign where wished.

    >>> points(-0.007150000001), points(12.5, plus=True), points(None)
    ('-0.00715', '+12.5', '–')
    """
    if value is None or not np.isfinite(value):
        return charts.UNKNOWN
    return f"{'+' if plus and value > 0 else ''}{charts.price(float(f'{value:.{digits}g}'))}"


def style():
    """What all widgets have in common."""
    return {"stylesheets": [charts.parts()], "margin": (2, 0, 6, 0)}


def controls(*widgets):
    """Widgets beside each other, below one another where there is no room."""
    return Row(*widgets, sizing_mode="stretch_width", styles={"flex-wrap": "wrap", "gap": "0 14px"})


def cells(texts, kinds=()):
    """Cells of a row, escaped; kinds: their classes."""
    kinds = [*kinds, *[""] * (len(texts) - len(kinds))]
    return "".join(f'<td class="{kind}">{esc(text)}</td>' for text, kind in zip(texts, kinds, strict=True))


def unbroken(text):
    """A heading, escaped, that is broken between words alone: a browser would part "last-trade-5" at its hyphens.

    >>> unbroken("day by last-trade-5")
    'day by <span class="nowrap">last-trade-5</span>'
    """
    return " ".join(
        f'<span class="nowrap">{esc(word)}</span>' if "-" in word else esc(word) for word in text.split(" ")
    )


def table(heads, lines, numbers=(), long=False):
    """A table of rows that are HTML already; `numbers`: places of columns that are aligned to the right.

    long: it is scrolled within its card.
    """
    made = "".join(
        f'<th scope="col" class="{"" if k in numbers else "text"}">{unbroken(text)}</th>'
        for k, text in enumerate(heads)
    )
    return (
        f'<div class="scroll{" lines" if long else ""}"><table class="plain"><thead><tr>{made}</tr></thead><tbody>'
        f"{''.join(lines)}</tbody></table></div>"
    )


def texts(heads, rows, long=False):
    """A table of texts, the first of each row its name."""
    lines = (f'<tr><th scope="row" class="text">{esc(name)}</th>{cells(rest)}</tr>' for name, *rest in rows)
    return table(heads, lines, range(1, len(heads)), long)
