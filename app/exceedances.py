"""Days that lost more than was told of them, as an SVG that needs no browser, no font and no script.

A panel for each method: the returns of all days, the value at risk of two levels as it was told the evening before, and
a dot for each day that lost more. Days that share a pixel are one line from the best to the worst; no dot is left out.
"""

from html import escape

import numpy as np

WIDE, LEFT, RIGHT, TOP = 860, 70, 24, 66  # of the picture, of its margins [px]
HIGH, HEAD = 110, 30  # of a panel, of the words above it [px]
KEY = (
    "grey: the return of each day; lines: the value at risk told the evening before; dots: days that lost more; "
    "p: both tests together"
)
WORDS = (180, 510)  # where those of each level begin [px]
INK, GREY, LINE, BARS, PAPER = "#20242a", "#5b636d", "#e4e7eb", "#c3c9d1", "#ffffff"
COLOURS = ("#3d8bc9", "#d9772b")  # of the levels, the lower first: told apart by every kind of colour vision
DOTS = (1.7, 2.6)  # radius [px]


def picture(told, tests, title, note=""):
    """The SVG.

    Parameters
    ----------
    told : DataFrame
        Columns `engine.analysis.forecasts.FORECASTS`, of at most two levels; days of which nothing was told are left
        out.
    tests : DataFrame
        Columns `engine.analysis.forecasts.TESTS`, of the same methods and levels.
    title, note : str

    Returns
    -------
    str
        Empty where nothing was told of any day.
    """
    told = told.drop_nulls("exceeded")
    if not len(told):
        return ""
    days = told["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    first, last = int(days.min()), int(days.max())
    low = min(told["return"].min(), -told["var"].max(), 0.0)
    high = max(told["return"].max(), 0.0)
    parts = [_text(LEFT, 24, title, INK, weight="bold"), _text(LEFT, 42, note, GREY)]
    panels = told.partition_by("method", maintain_order=True)
    for k, panel in enumerate(panels):
        top = TOP + HEAD * (k + 1) + HIGH * k
        parts += _panel(panel, tests, (first, last), (low, high), top)
    bottom = TOP + (HEAD + HIGH) * len(panels)
    parts += [_text(x, bottom + 18, str(year), GREY, "middle") for year, x in _years(first, last)]
    parts.append(_text(LEFT, bottom + 40, KEY, GREY))
    height = bottom + 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{height}" viewBox="0 0 {WIDE} {height}" '
        f'font-family="sans-serif" font-size="11" role="img"><title>{escape(title)}</title>'
        f'<rect width="{WIDE}" height="{height}" fill="{PAPER}"/>{"".join(parts)}</svg>\n'
    )


def _panel(panel, tests, span, ends, top):
    """One method: its words, its axis, returns, values at risk and the days beyond them."""
    method, levels = panel["method"][0], sorted(panel["level"].unique())
    up = lambda value: top + HIGH * (ends[1] - value) / (ends[1] - ends[0] or 1.0)  # noqa: E731
    yield _text(LEFT, top - 8, method, INK, weight="bold")
    for x, level, colour in zip(WORDS, levels, COLOURS, strict=False):
        yield _text(x, top - 8, _words(tests.filter(method=method, level=level).row(0, named=True)), colour)
    for _, place in _years(*span):
        yield f'<path d="M{place:.1f} {top}v{HIGH}" stroke="{LINE}"/>'
    for value in _marks(*ends):
        yield f'<path d="M{LEFT} {up(value):.1f}H{WIDE - RIGHT}" stroke="{LINE}"/>'
        yield _text(LEFT - 8, up(value) + 4, f"{100 * value:g} %", GREY, "end")
    one = panel.filter(level=levels[0])
    place = np.rint(_across(one["day"].to_numpy(), span)).astype(int)
    yield _bars(place, one["return"].to_numpy(), up)
    for level, colour, size in zip(levels, COLOURS, DOTS, strict=False):
        part = panel.filter(level=level)
        risk = dict(zip(place.tolist(), part["var"].to_list(), strict=True))  # of days that share a pixel the last
        points = " ".join(f"{at},{up(-value):.1f}" for at, value in risk.items())
        yield f'<polyline points="{points}" fill="none" stroke="{colour}"/>'
        beyond = part.filter("exceeded")
        for at, value in zip(_across(beyond["day"].to_numpy(), span), beyond["return"].to_list(), strict=True):
            yield f'<circle cx="{at:.1f}" cy="{up(value):.1f}" r="{size}" fill="{colour}"/>'


def _words(row):
    """How often it was exceeded, and what the test of both says of it."""
    p = "" if row["coverage_p"] is None else f", p {row['coverage_p']:.4f}"
    told = f"beyond {100 * row['level']:g} %: {row['exceedances']:,} of {row['days']:,} days"
    return f"{told}, expected {row['expected']:,.1f}{p}"


def _bars(place, returns, up):
    """A line for each pixel, from its best day to its worst, by way of nothing."""
    best, worst = np.zeros(WIDE + 1), np.zeros(WIDE + 1)
    np.maximum.at(best, place, returns)
    np.minimum.at(worst, place, returns)
    lines = "".join(f"M{at} {up(best[at]):.1f}V{up(worst[at]):.1f}" for at in np.unique(place))
    return f'<path d="{lines}" stroke="{BARS}"/>'


def _across(days, span):
    days = days.astype("datetime64[D]").astype(np.int64)
    return LEFT + (WIDE - LEFT - RIGHT) * (days - span[0]) / max(span[1] - span[0], 1)


def _years(first, last):
    """Years that begin inside, and where."""
    begin, end = (np.datetime64(day, "D").astype("datetime64[Y]") + 1 for day in (first, last))
    years = np.arange(begin, end)
    places = _across(years.astype("datetime64[D]"), (first, last))
    return [(str(year), float(place)) for year, place in zip(years, places, strict=True)]


def _marks(low, high):
    """Round values between two ends, at most five.

    >>> [round(float(value), 4) for value in _marks(-0.034, 0.021)]
    [-0.02, 0.0, 0.02]
    """
    step = 10.0 ** np.floor(np.log10(max(high - low, 1e-9)))
    step *= next(k for k in (0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / (k * step) <= 4.0)
    return np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step


def _text(x, y, told, colour, anchor="start", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(told)}</text>"
    )
