"""A heat map of a statistic over two settings, as an SVG that needs no browser, no font and no script.

Colours are those of viridis (S. van der Walt, N. Smith, 2015): they are told apart by every kind of colour vision, and
stay in order when printed in grey. Cells without a value are hatched.
"""

from html import escape

import numpy as np

COLOURS = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")
FONT, SMALL, LETTER = 12, 11, 6.6  # of texts, of small ones; a letter is at most so wide [px]
WIDE, HIGH = 720, 460  # of the cells together, about [px]
SMALLEST, LARGEST = 6, 64  # a cell [px]
INK, GREY, PAPER = "#20242a", "#5b636d", "#ffffff"
PERCENT = ("total_return", "annual_return", "max_drawdown")


def picture(values, across, up, title, note="", by="sharpe", best=None, label=""):
    """The SVG of a heat map.

    Parameters
    ----------
    values : array (value of `up`, value of `across`)
        nan: no value.
    across, up : (label, list of text)
        Names of both settings with their units, and their values.
    title, note : str
    by : str
        The statistic, for the format of its numbers.
    best : (int, int), optional
        Row and column of the best trial's cell.
    label : str
        What the colours say, above their scale.

    Returns
    -------
    str
    """
    values = np.asarray(values, dtype=np.float64)
    rows, columns = values.shape
    wide, high = (min(LARGEST, max(SMALLEST, size / n)) for size, n in ((WIDE, columns), (HIGH, rows)))
    high = min(high, 40.0)
    known = values[np.isfinite(values)]
    low, top = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    left = 34 + _width(max(up[1], key=len, default="")) + 10
    first, bottom = 78.0, 78.0 + rows * high
    right = left + columns * wide
    bar = right + 28
    marks = ["○ the best trial"] * (best is not None) + ["□ the best plateau: mean of a cell and its neighbours"]
    marks += ["hatched: no value"] * (len(known) < values.size)
    key = " · ".join(marks)
    wider = max(22 + max(_width(_text(x, by)) for x in (low, top)), _width(label))
    width = max(bar + wider + 16, *(_width(text, FONT) + 30 for text in (title, note, key)))
    height = max(bottom, first + 120, first + _width(up[0], FONT)) + 68
    parts = [
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="{PAPER}"/>',
        _at(16, 24, title, FONT + 2, weight="bold"), _at(16, 44, note, SMALL, GREY),
        *_cells(values, left, first, wide, high, low, top, by),
        *_axis(across, left, bottom, wide, high, True), *_axis(up, left, first, wide, high, False, rows),
        *_bar(bar, first, max(bottom - first, 120), low, top, by), _at(bar, first - 10, label, SMALL, INK),
    ]  # fmt: skip
    plateau = _plateau(values)
    if plateau is not None:
        parts += _outlined(plateau, left, bottom, wide, high)
    if best is not None:
        parts += _circled(best, left, bottom, wide, high)
    parts.append(_at(16, height - 12, key, SMALL, GREY))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" role="img">'
        f'<title>{escape(title)}</title><defs><pattern id="none" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="#eef0f2"/><path d="M0 6L6 0" stroke="#b4bac1"/></pattern></defs>'
        f"{''.join(parts)}</svg>\n"
    )


def around(values):
    """Mean of each cell and its neighbours, those without a value left out; nan where a cell has none itself.

    >>> around(np.array([[1.0, 2.0, np.nan], [3.0, 2.0, 8.0]]))
    array([[2. , 3.2, nan],
           [2. , 3.2, 4. ]])
    """
    padded = np.pad(np.asarray(values, dtype=np.float64), 1, constant_values=np.nan)
    rows, columns = np.shape(values)
    near = np.stack([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
    there = ~np.isnan(near)
    mean = np.where(there, near, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(np.isnan(values), np.nan, mean)


def colour(share):
    """The colour of a share from 0 to 1.

    >>> colour(0.0), colour(1.0)
    ('#440154', '#fde725')
    """
    place = min(max(share, 0.0), 1.0) * (len(COLOURS) - 1)
    k = min(int(place), len(COLOURS) - 2)
    ends = [[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in COLOURS[k : k + 2]]
    mixed = [round(a + (b - a) * (place - k)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _cells(values, left, top_, wide, high, low, top, by):
    texts = {(i, j): _text(x, by, False) for (i, j), x in np.ndenumerate(values) if np.isfinite(x)}
    told = high >= 15 and wide >= _width(max(texts.values(), key=len, default="")) + 6
    for (i, j), x in np.ndenumerate(values):
        x0, y0 = left + j * wide, top_ + (len(values) - 1 - i) * high  # the lowest value of the setting is below
        share = (x - low) / (top - low) if top > low else 0.5
        fill = colour(share) if np.isfinite(x) else "url(#none)"
        yield f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{wide + 0.3:.1f}" height="{high + 0.3:.1f}" fill="{fill}"/>'
        if told and (i, j) in texts:
            ink = INK if share > 0.55 else PAPER
            yield _at(x0 + wide / 2, y0 + high / 2 + 4, texts[i, j], SMALL, ink, "middle")


def _axis(axis, left, edge, wide, high, flat, rows=0):
    """Values and name of a setting: along the bottom if `flat`, else up the left side."""
    label, texts = axis
    if flat:
        step = max(1, int(np.ceil((_width(max(texts, key=len)) + 8) / wide)))
        for k in range(0, len(texts), step):
            yield _at(left + (k + 0.5) * wide, edge + 16, texts[k], SMALL, GREY, "middle")
        yield _at(left + len(texts) * wide / 2, edge + 36, label, FONT, INK, "middle")
        return
    step = max(1, int(np.ceil(14 / high)))
    for k in range(0, len(texts), step):
        yield _at(left - 6, edge + (rows - k - 0.5) * high + 4, texts[k], SMALL, GREY, "end")
    middle = edge + rows * high / 2
    middle = max(middle, edge + _width(label, FONT) / 2)
    yield (
        f'<text x="22" y="{middle:.1f}" font-size="{FONT}" fill="{INK}" text-anchor="middle" '
        f'transform="rotate(-90 22 {middle:.1f})">{escape(label)}</text>'
    )


def _bar(x, y, height, low, top, by):
    """The scale of the colours, the most above."""
    steps = 40
    for k in range(steps):
        fill = colour(1.0 - (k + 0.5) / steps)
        part = height / steps
        yield f'<rect x="{x:.1f}" y="{y + k * part:.1f}" width="16" height="{part + 0.4:.1f}" fill="{fill}"/>'
    for k in range(5):
        share = k / 4
        yield _at(x + 22, y + (1 - share) * height + 4, _text(low + share * (top - low), by), SMALL, GREY)


def _plateau(values):
    """Row and column of the highest mean of a cell and its neighbours, of equal ones the cell with the highest value;
    None without a value.

    >>> tuple(map(int, _plateau(np.array([[0.38, 0.56, 0.49], [0.59, 0.60, 0.56]]))))
    (1, 2)
    """
    means = around(values)
    if not np.isfinite(means).any():
        return None
    ties = np.isclose(means, np.nanmax(means), rtol=1e-12, atol=0.0)
    return np.unravel_index(np.nanargmax(np.where(ties, values, -np.inf)), means.shape)


def _outlined(place, left, bottom, wide, high):
    i, j = place
    return _both(
        f'<rect x="{left + j * wide + 2:.1f}" y="{bottom - (i + 1) * high + 2:.1f}" width="{max(wide - 4, 2):.1f}" '
        f'height="{max(high - 4, 2):.1f}" fill="none"'
    )


def _circled(place, left, bottom, wide, high):
    i, j = place
    x = left + j * wide + (9 if wide >= 40 else wide / 2)  # beside the number, where there is one
    return _both(f'<circle cx="{x:.1f}" cy="{bottom - (i + 0.5) * high:.1f}" r="3.5" fill="none"')


def _both(mark):
    """A mark in white with a dark edge: seen on every colour."""
    return [f'{mark} stroke="{INK}" stroke-width="4"/>', f'{mark} stroke="{PAPER}" stroke-width="2"/>']


def _text(value, by, unit=True):
    if by in PERCENT:
        return f"{100 * value:.1f}{' %' if unit else ''}"
    if by == "final_equity":
        return f"{value:,.0f}"
    return f"{value:.2f}"


def _width(text, size=SMALL):
    return len(text) * LETTER * size / SMALL


def _at(x, y, text, size, fill=INK, anchor="start", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )
