"""Theme: the one palette, the one type scale and the one grid of page, report and notebook.

Colours of text, lines and grounds are tokens, CSS variables that the page's switch turns over (`tokens`); colours of
data are the same on both grounds. They were chosen to be told apart by every kind of colour vision: gains are blue,
losses orange, never green and red.
"""

FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SIZES = {"small": 11.5, "text": 13, "lead": 14, "title": 15, "number": 18, "page": 20}  # the type scale [pixels]
GAP = 14  # between cards, and twice their inner distance [pixels]

# ------------------------------------------------------------------------------------------------------------- data

GAIN, LOSS = "#3d8bc9", "#d9772b"
NEUTRAL = "#8a939c"  # zero lines, veils, what is not picked
WHOLE = "#9aa5b1"  # the whole run behind a selection
LIMITS = {"green": "#2e8b6f", "amber": "#d9a21b", "red": "#c0432f"}  # always beside the word itself
SECTOR_COLOURS = (  # P. Tol, Colour Schemes, 2021, "light" in an order in which neighbours differ, and two greys
    "#77aadd", "#ee8866", "#eedd88", "#44bb99", "#ffaabb", "#bbcc33", "#99ddff", "#aaaa00", "#dddddd", "#9aa0a8",
)  # fmt: skip
RUNS = ("#3d8bc9", "#d9772b", "#307860", "#8a4a8a", "#c8102e", "#90c090")  # runs beside each other
REGIMES = ("#77aadd", "#b8bec5", "#ee8866")  # codes 0, 1, 2 of a regime: the first and the last are the ends
UNKNOWN_REGIME = "#dde2e7"
SEQUENTIAL = (  # "YlGnBu" of C. Brewer: more is darker
    "#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58",
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------------- tokens

LIGHT = {
    "ground": "#f4f6f8", "card": "#ffffff", "raised": "#f8fafb", "ink": "#17212b", "muted": "#586674",
    "line": "#e1e6eb", "edge": "#7d8a97",
    "accent": "#1c659c", "accent-ground": "#e6f0f8", "gain": "#1c659c", "loss": "#a34a14",
    "warn": "#85590a", "warn-ground": "#fff6de", "bad": "#b3261e", "fail-ground": "#fdeee5", "rail": "#ffffff",
}  # fmt: skip
DARK = {
    "ground": "#0f1419", "card": "#171e25", "raised": "#1d252d", "ink": "#e6ebf0", "muted": "#9aa8b5",
    "line": "#2a343e", "edge": "#66747f",
    "accent": "#74b4e8", "accent-ground": "#1b3044", "gain": "#74b4e8", "loss": "#f0a06a",
    "warn": "#e0a92e", "warn-ground": "#332b14", "bad": "#ff8a80", "fail-ground": "#3a2418", "rail": "#131a20",
}  # fmt: skip
INK, GRID = LIGHT["ink"], LIGHT["line"]  # what canvases have where no page gives them tokens
NEUTRAL_INK = "#6b7885"  # of numbers on cells: legible on both grounds


def tokens(light=":root", dark=':root[data-theme="dark"]'):
    """The tokens as CSS: light, dark, and what Bokeh's canvases read of them; each for what a CSS selector names.

    >>> "--accent: #1c659c" in tokens() and "--accent: #74b4e8" in tokens()
    True
    """
    scale = "".join(f" --{name}-size: {size}px;" for name, size in SIZES.items())
    canvas = (
        f"--bk-major-label-text-color: {DARK['muted']}; --bk-axis-label-text-color: {DARK['muted']}; "
        f"--bk-grid-line-color: {DARK['line']};"
    )
    return (
        f"{light} {{ --font: {FONT}; --bokeh-base-font: var(--font);{scale} --gap: {GAP}px; {_said(LIGHT)} "
        f"color-scheme: light; }}\n"
        f"{dark} {{ {_said(DARK)} {canvas} color-scheme: dark; }}\n"
    )


def _said(colours):
    return " ".join(f"--{name}: {value};" for name, value in colours.items())
