"""Pictures of docs/understanding.md, of a run on the sample store; `python -m tests.doc_drawings` writes them.

They are SVGs on white paper, with a font of every system, so that they are read on a dark page as on a light one.
"""

import sys
import tempfile
from html import escape
from pathlib import Path

import numpy as np

from app.commands.attribution import attribution
from app.exceedances import picture
from app.theme import GAIN, LOSS
from engine import Portfolio
from engine.analysis import drawdowns, forecasts
from engine.analysis.daily import Daily
from engine.backtest import run
from engine.risk import drawdown
from store import open_archive, sample
from tests.conftest import REPO

FOLDER = REPO / "docs" / "pictures"
PORTFOLIO = REPO / "config" / "portfolios" / "trend.toml"
WIDE, LEFT, RIGHT = 860, 70, 24  # of a picture, of its margins [px]
INK, GREY, LINE, SHADE, PAPER = "#20242a", "#5b636d", "#e4e7eb", "#f6d9d2", "#ffffff"
LETTER = 6.6  # of a text of 11 px, at most [px]
WEEK = 5  # days that are one point of a curve
FALLS = 3  # that are marked
LEVEL, METHODS = 0.99, ("gaussian", "filtered")  # of the values at risk that are drawn


def falls(archive, made):
    """Equity, and how far below its peak it was, with the deepest falls marked."""
    daily = Daily.of(made)
    depth, when = drawdown(daily.alone), daily.days.astype(np.int64)
    place = lambda day: LEFT + (WIDE - LEFT - RIGHT) * (day - when[0]) / (when[-1] - when[0])  # noqa: E731
    ends = [*range(0, len(when) - 1, WEEK), len(when) - 1]
    equity = daily.equity / 1e6
    low = [depth[a:b].min() for a, b in zip(ends, [*ends[1:], len(when)], strict=True)]
    top, under = _scale(equity.min(), equity.max(), 40, 220), _scale(-0.25, 0.0, 270, 410)
    out = [
        *_axis(top, lambda v: f"{v:g}"),
        *_axis(under, lambda v: f"{100 * v:.0f} %"),
        *_years(daily.days, place, 410),
    ]
    for fall in drawdowns.drawdowns(daily, FALLS).to_dicts():
        peak, trough, end = (
            place(np.datetime64(fall[name] or daily.days[-1], "D").astype(int))
            for name in ("peak", "trough", "recovery")
        )
        out.append(_box(peak, 40, end - peak, 370, SHADE))
        told = f"{fall['drawdown']}: {100 * fall['depth']:.1f} %, {fall['days']:,} days"
        half = LETTER * len(told) / 2
        middle = min(max(trough, LEFT + half), WIDE - RIGHT - half)
        out.append(_text(middle, under[0](fall["depth"]) + 16, told, INK, "middle"))
    out.append(_curve([place(when[t]) for t in ends], [top[0](equity[t]) for t in ends], GAIN))
    out.append(_curve([place(when[t]) for t in ends], [under[0](depth) for depth in low], LOSS))
    heads = [(24, f"Equity [million {made.portfolio.currency}]"), (256, "Below its peak")]
    return _picture(440, [*(_text(LEFT, y, told, INK, weight="bold") for y, told in heads), *out])


def exceedances(archive, made):
    """The days that lost more than was told of them."""
    told = forecasts.forecasts(Daily.of(made))
    tests = forecasts.backtested(told)
    return picture(told, tests, "Losses beyond the value at risk", f"{made.name}, simulated prices")


def causes(archive, made):
    """From nothing to the change of equity, cause by cause."""
    told = attribution(made, archive, "cause")[0][1]
    names, amounts = told["cause"].to_list(), told["amount"].to_numpy()
    begin = np.append(np.cumsum(np.append(0.0, amounts[:-2])), 0.0)
    end = begin + amounts
    left, right = 150, WIDE - 130
    low, high = min(begin.min(), end.min()), max(begin.max(), end.max())
    place = lambda v: left + (right - left) * (v - low) / (high - low)  # noqa: E731
    out = [_text(16, 24, f"What the change of equity is made of [{made.portfolio.currency}]", INK, weight="bold")]
    out.append(f'<path d="M{place(0.0):.1f} 40v{26 * len(names)}" stroke="{GREY}"/>')
    for k, (name, amount) in enumerate(zip(names, amounts, strict=True)):
        y = 44 + 26 * k
        last = name == "total"
        a, b = sorted((place(begin[k]), place(end[k])))
        out.append(_text(left - 12, y + 13, name.replace("_", " "), INK, "end", "bold" if last else "normal"))
        out.append(_box(a, y, max(b - a, 1.0), 18, GREY if last else GAIN if amount > 0.0 else LOSS))
        out.append(_text(WIDE - RIGHT, y + 13, f"{amount:,.0f}", INK, "end", "bold" if last else "normal"))
    return _picture(60 + 26 * len(names), out)


DRAWINGS = {"falls": falls, "exceedances": exceedances, "causes": causes}


def main():
    """Draw all of them from a new sample store."""
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Path(folder) / "store", create=True)
        sample.build(archive)
        made, _ = run(archive, Portfolio.from_toml(PORTFOLIO))
        for name, draw in DRAWINGS.items():
            file = FOLDER / f"{name}.svg"
            file.write_text(draw(archive, made), encoding="utf-8")
            sys.stdout.write(f"{file}\n")


def _scale(low, high, top, bottom):
    """(value -> height in the picture, values that are named), of values low to high between two heights."""
    step = 10.0 ** np.floor(np.log10((high - low) / 2.0))
    step *= next(k for k in (5.0, 2.0, 1.0) if (high - low) / (k * step) >= 2.0)
    marks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    first, last = min(low, marks[0]), max(high, marks[-1])
    return lambda v: bottom - (bottom - top) * (v - first) / (last - first), marks


def _axis(scale, told):
    """Lines across, each with its value."""
    for value in scale[1]:
        y = scale[0](value)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDE - RIGHT}" stroke="{LINE}"/>'
        yield _text(LEFT - 8, y + 4, told(value), GREY, "end")


def _years(days, place, bottom, top=40):
    for year in np.unique(days.astype("datetime64[Y]"))[1:]:
        x = place(year.astype("datetime64[D]").astype(int))
        yield f'<path d="M{x:.1f} {top}V{bottom}" stroke="{LINE}"/>'
        yield _text(x, bottom + 18, str(year), GREY, "middle")


def _curve(across, up, colour):
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _box(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x, y, told, colour, anchor="start", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(told)}</text>"
    )


def _picture(height, parts):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{height}" viewBox="0 0 {WIDE} {height}" '
        f'font-family="sans-serif" font-size="11"><rect width="{WIDE}" height="{height}" fill="{PAPER}"/>'
        f"{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    main()
