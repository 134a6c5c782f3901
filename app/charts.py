"""Axes, colours and number formats: all that pictures share, so that every view looks as if of one hand.

Number formats have a twin in `crossfilter.js`, text for text. Colours of text, axes and grids are CSS variables
(`page.css`), so that one switch turns page and canvases dark; colours of data hold on both grounds and for colour-blind
eyes.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from pathlib import Path

import numpy as np
from bokeh.layouts import Column
from bokeh.models import (
    BasicTickFormatter,
    BoxAnnotation,
    CustomJSTickFormatter,
    DatetimeTickFormatter,
    Div,
    HoverTool,
    InlineStyleSheet,
    NoOverlap,
    NumeralTickFormatter,
    Span,
)
from bokeh.plotting import figure

from app.theme import FONT, GRID, INK, NEUTRAL

SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
UNKNOWN = "–"
DAY_MS = 86_400_000.0


def esc(text):
    """Text as it may stand in HTML, in an attribute or in a template: every name from outside goes through here.

    >>> esc("<b>ZC & 'co' {{ x }}")
    '&lt;b&gt;ZC &amp; &#x27;co&#x27; &#123;&#123; x }}'
    """
    return escape(str(text), quote=True).replace("{", "&#123;")  # a brace would begin an expression of Jinja


def number(value, digits=0):
    """A number with thousands separators; a dash where it is unknown.

    >>> number(-1234567.891, 1), number(float("nan")), number(-0.001)
    ('-1,234,567.9', '–', '0')
    """
    if value is None or not np.isfinite(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    return f"-{text}" if value < 0 and text.strip("0,.") else text


def money(value, currency, digits=0):
    """An amount with the sign of its currency.

    >>> money(-1234.5, "USD", 2), money(12.0, "CHF")
    ('-$1,234.50', 'CHF 12')
    """
    text = number(value, digits)
    sign = SIGNS.get(currency, f"{currency} ")
    return text if text == UNKNOWN else f"-{sign}{text[1:]}" if text[0] == "-" else sign + text


def short_money(value, currency):
    """An amount in three digits and a letter.

    >>> short_money(-1234567.0, "USD"), short_money(950.0, "EUR"), short_money(39.07e9, "USD")
    ('-$1.23M', '€950', '$39.1B')
    """
    if value is None or not np.isfinite(value):
        return UNKNOWN
    size = abs(float(f"{value:.3g}"))
    unit, letter = next(((u, x) for u, x in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if size >= u), (1.0, ""))
    return f"{'-' if value < 0 and size else ''}{SIGNS.get(currency, f'{currency} ')}{size / unit:.3g}{letter}"


def price(value):
    """A price in points, at most ten digits of it.

    >>> price(12110.515625), price(0.00712345678), price(-0.0)
    ('12,110.51562', '0.00712345678', '0')
    """
    if not np.isfinite(value):
        return UNKNOWN
    whole, dot, rest = np.format_float_positional(float(f"{value:.10g}") + 0.0, trim="-").partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole not in ("0", "-0") else f"{whole}{dot}{rest}"


def percent(value, digits=1):
    """A fraction in percent.

    >>> percent(0.1234), percent(-0.5, 0)
    ('12.3 %', '-50 %')
    """
    text = number(value * 100.0 if value is not None else None, digits)
    return text if text == UNKNOWN else f"{text} %"


def formatted(value, kind, currency):
    """A number in one of the formats of `engine.metrics`: percent, ratio, money, days, count."""
    if kind == "percent":
        return percent(value)
    if kind == "money":
        return money(value, currency)
    return number(value, 2 if kind == "ratio" else 0)


def milliseconds(days):
    """Dates as the milliseconds since 1970 that the browser counts in."""
    return np.asarray(days, "datetime64[D]").astype(np.int64) * DAY_MS


def span(values, floor=None):
    """Ends of an axis that holds the values with a little air; `floor`: a value that must be on it, without air.

    >>> span(np.array([0.0, 10.0]))
    (-0.5, 10.5)
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if floor is not None:
        low, high = min(low, floor), max(high, floor)
    if low == high:
        return low - 1.0, high + 1.0
    air = (high - low) * 0.05
    return (low if low == floor else low - air), (high if high == floor else high + air)


# ---------------------------------------------------------------------------------------------------------- figures

DATES = {"days": "%Y-%m-%d", "months": "%Y-%m", "years": "%Y", "hours": "%Y-%m-%d", "hourmin": "%Y-%m-%d"}


def chart(height, x_range, y_range, description, **params):
    """An empty figure in the house's look: no toolbar, no gesture but what is asked for, a description for readers."""
    plot = figure(x_range=x_range, y_range=y_range, tools="", **params)
    return dressed(plot, height, description)


def holoviews():
    """HoloViews, ready to draw with Bokeh; the first call loads it, which takes half a second."""
    import holoviews as hv
    from holoviews.plotting import bokeh  # noqa: F401  (what hv.render draws with, and options are checked by)

    hv.Store.set_current_backend("bokeh")
    return hv


def drawn(element, height, description, **ranges):
    """A figure drawn by HoloViews, in the house's look, and the sources of its glyphs.

    Parameters
    ----------
    element : HoloViews element, overlay or layout of one figure
        Drawn once; what changes later is put into the sources, whose columns are named as its dimensions.
    height : int
        [pixels]
    description : str
        What readers of screens are told.
    ranges : Range1d or FactorRange
        `x_range`, `y_range` that shall hold instead of those that HoloViews finds.

    Returns
    -------
    figure, list of ColumnDataSource
        One source for each glyph, in the order of the overlay.
    """
    plot = holoviews().render(element, backend="bokeh")
    plot.update(**ranges)
    plot.tools = [tool for tool in plot.tools if isinstance(tool, HoverTool)]
    return dressed(plot, height, description), [renderer.data_source for renderer in plot.renderers]


def dressed(plot, height, description):
    """A figure in the house's look."""
    plot.update(
        height=height, width=None, sizing_mode="stretch_width", min_width=220, toolbar_location=None, title=None,
        background_fill_color=None, border_fill_color=None, outline_line_color=None, min_border_right=14,
        min_border_top=8, output_backend="canvas",
    )  # fmt: skip
    plot.html_attributes = {"role": "img", "aria-label": description}
    for axis in plot.axis:
        if type(axis.formatter) is BasicTickFormatter:  # its minus is another sign, and it has no separators
            axis.formatter = NumeralTickFormatter(format="0,0.[000000]")
        axis.update(
            axis_line_color=None, major_tick_line_color=None, minor_tick_line_color=None, major_label_text_font=FONT,
            major_label_text_font_size="12px", major_label_text_color=INK, axis_label_text_font=FONT,
            axis_label_text_font_size="12px", axis_label_text_font_style="normal", axis_label_text_color=INK,
        )  # fmt: skip
    for grid in plot.grid:
        grid.grid_line_color = GRID
    return plot


def dated(height, x_range, y_range, description, **params):
    """A figure over days."""
    plot = chart(height, x_range, y_range, description, x_axis_type="datetime", **params)
    plot.xaxis.formatter = DatetimeTickFormatter(**DATES)
    plot.xgrid.visible = False
    plot.xaxis.ticker.desired_num_ticks = 7
    plot.xaxis.major_label_policy = NoOverlap(min_distance=8)
    return plot


def money_axis(axis, currency):
    """Ticks as $12.5M."""
    axis.formatter = CustomJSTickFormatter(
        args={"sign": SIGNS.get(currency, f"{currency} ")},
        code="""
        const size = Math.abs(tick)
        const [unit, letter] = size >= 1e9 ? [1e9, "B"] : size >= 1e6 ? [1e6, "M"] : size >= 1e3 ? [1e3, "k"] : [1, ""]
        return (tick < 0 ? "-" : "") + sign + String(Number((size / unit).toPrecision(6))) + letter
        """,
    )


def percent_axis(axis):
    """Ticks as -12 %."""
    axis.formatter = CustomJSTickFormatter(code='return String(Number((tick * 100).toPrecision(6))) + " %"')


def switch(verb, options, current, label, key="value"):
    """A row of buttons of which one is pressed, as HTML: options are {value: words}."""
    made = "".join(
        f'<button type="button" data-do="{esc(verb)}" data-{key}="{esc(value)}" aria-pressed="'
        f'{str(value == current).lower()}">{esc(words)}</button>'
        for value, words in options.items()
    )
    return f'<span class="switch" role="group" aria-label="{esc(label)}">{made}</span>'


def legend(pairs):
    """Names beside their colours."""
    parts = (f'<span><i style="background:{colour}"></i>{esc(name)}</span>' for name, colour in pairs)
    return f'<div class="legend">{"".join(parts)}</div>'


def zero_line(plot):
    """A line where nothing was won or lost."""
    plot.add_layout(Span(location=0.0, dimension="width", line_color=NEUTRAL, line_width=1))


def hover(plot, renderer, rows, mode="vline"):
    """Numbers under the pointer: rows of (label, bokeh format)."""
    plot.add_tools(
        HoverTool(
            renderers=[renderer], tooltips=rows, mode=mode, formatters={"@day": "datetime"}, point_policy="follow_mouse"
        )
    )


def veils(*plots):
    """Two greys for each figure that cover what is not picked; they are moved, not redrawn."""
    sides = []
    for plot in plots:
        for edge in ("left", "right"):
            cover = BoxAnnotation(fill_color=NEUTRAL, fill_alpha=0.28, line_color=None, visible=False, level="overlay")
            plot.add_layout(cover)
            sides.append((edge, cover))
    return sides


# ------------------------------------------------------------------------------------------------------------ words


def words(role=None):
    """A block of HTML that can be patched; whoever writes the text has escaped the names in it."""
    return Div(
        sizing_mode="stretch_width",
        disable_math=True,
        stylesheets=[parts()],
        html_attributes={"role": role} if role else {},
    )


def parts():
    """The look of tables, words and widgets, for the shadow roots in which they live: one for all of a board."""
    return _SHEET.get() or InlineStyleSheet(css=PARTS)


@contextmanager
def shared(sheet):
    """A block whose models all have one style sheet; a document holds it once, and no two documents one."""
    token = _SHEET.set(sheet)
    try:
        yield
    finally:
        _SHEET.reset(token)


def banner(run):
    """What must stand above every picture of simulated prices, and of a run with stamps; empty for others."""
    told = "<b>Simulated prices.</b> No market ever traded at these prices."
    words = [told] if run.simulated else []
    words += [f"<b>Stamped:</b> {esc(stamp)}." for stamp in run.summary.get("stamps", [])]
    return "".join(f'<p class="warning" role="note">{text}</p>' for text in words)


def column(*children):
    """Parts of a view below one another, on the ground that page or notebook gives."""
    return Column(*children, sizing_mode="stretch_width", styles={"background": "var(--card, #ffffff)"})


_SHEET = ContextVar("sheet", default=None)
PARTS = (Path(__file__).parent / "parts.css").read_text(encoding="utf-8")
