"""How verbs print: JSON for programs, tables for people, progress on stderr."""

import json
import math
import os
import sys
from contextlib import contextmanager
from decimal import Decimal

WIDE = 200  # letters of a line where there is no terminal
FOLDED = 24  # letters from which on a text is folded where a table is too wide


def clean(value):
    """A value as JSON has it: nan and infinities are null, dates are ISO texts, numpy numbers are numbers.

    >>> import numpy as np
    >>> clean({"sharpe": float("nan"), "days": (np.int64(3), np.datetime64("2024-03-01"))})
    {'sharpe': None, 'days': [3, '2024-03-01']}
    >>> clean([Decimal("12"), Decimal("0.5")])
    [12, 0.5]
    """
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None  # -0.0 is 0.0
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def emit(context, document, show):
    """Print `document` as JSON if `--json` was given, else call `show(document)`."""
    if context.obj.json:
        sys.stdout.write(json.dumps(clean(document), indent=2, allow_nan=False) + "\n")
    else:
        show(document)


def say(text=""):
    """A line of text on stdout."""
    sys.stdout.write(f"{text}\n")


def table(rows, columns, title=None):
    """A table on stdout; `columns` maps a heading to a function of a row that gives its text.

    Numbers (texts that begin with a digit or a sign) are set to the right; without any heading there is no head. One
    that is wider than the terminal is told in several, numbers whole: see `parts`.
    """
    cells = [[text(show(row)) for show in columns.values()] for row in rows]
    right = [bool(cells) and all(row[k][:1] in "-+0123456789" for row in cells) for k in range(len(columns))]
    lines = None if title or sys.stdout.isatty() or "FORCE_COLOR" in os.environ else plain(cells, [*columns], right)
    if lines is None:
        _rich(cells, [*columns], right, title)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def plain(cells, headings, right):
    """The lines of a table as `rich` would set them, 30 ms sooner; None where it has to be asked: for text that is not
    plain, too wide, or absent.

    >>> plain([["ES", "12"], ["FGBL", "5"]], ["market", "trades"], [False, True])[1:4]
    [' market   trades ', ' ─────────────── ', ' ES           12 ']
    """
    grid = [headings, *cells]
    odd = any("[" in heading for heading in headings)  # which `rich` may read as a colour
    if (
        odd
        or not any(map(any, cells))
        or not all(cell.isascii() and cell.isprintable() for row in grid for cell in row)
    ):
        return None
    head = any(heading.strip() for heading in headings)
    shown = grid if head else cells
    if any(cell.endswith(" ") for row in shown for cell in row):
        return None
    widths = [max(len(row[k]) for row in shown) for k in range(len(headings))]
    edge, between = (" ", "   ") if head else ("", "  ")
    width = sum(widths) + len(between) * (len(widths) - 1) + 2 * len(edge)
    if width > WIDE:
        return None
    lines = [
        edge + between.join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)) + edge
        for row in shown
    ]
    if not head:
        return lines
    return [" " * width, lines[0], f" {'─' * (width - 2)} ", *lines[1:], " " * width]


def _rich(cells, headings, right, title):
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    head = any(heading.strip() for heading in headings)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False)
    natural = [max([cell_len(heading), *(cell_len(row[k]) for row in cells)]) for k, heading in enumerate(headings)]
    least = [  # numbers stay whole, texts and headings may be folded
        max([min(size, size if right[k] else FOLDED) for size in (cell_len(row[k]) for row in cells)] + [
            cell_len(word) for word in headings[k].split()], default=0)
        for k in range(len(headings))
    ]  # fmt: skip
    whole = not head or _wide(natural) <= console.width
    for columns in [range(len(headings))] if whole else parts(cells, headings, least, console.width):
        grid = Table(
            title=title, box=box.SIMPLE_HEAD if head else None, title_justify="left", pad_edge=False, show_header=head
        )
        fits = not whole and _wide([least[k] for k in columns]) <= console.width
        widths = _spread([(least[k], natural[k]) for k in columns], console.width) if fits else [None] * len(columns)
        for k, width in zip(columns, widths, strict=True):
            side = "right" if right[k] else "left"
            grid.add_column(escape(headings[k]), justify=side, overflow="fold", width=width)
        for row in cells:
            grid.add_row(*(escape(row[k]) for k in columns))
        console.print(grid)


def parts(cells, headings, least, room):
    """Columns of the tables that one too wide for a line of `room` letters is told in, one below the other.

    Each has the first columns, as many as tell the rows apart if there is room. A column whose heading stands there
    more than once says something of the one before it, and stays with that.

    >>> rows = [["ES", "95 %", "1", "2", "3", "4"], ["ES", "99 %", "5", "6", "7", "8"]]
    >>> parts(rows, ["market", "level", "VaR", "p", "CVaR", "p "], [6, 5, 3, 1, 4, 1], 27)
    [[0, 1, 2, 3], [0, 1, 4, 5]]
    """
    names = [heading.strip() for heading in headings]
    apart = [k for k in range(1, len(names)) if len({tuple(row[:k]) for row in cells}) == len(cells)]
    first = max(k for k in range(1, (apart or [1])[0] + 1) if k == 1 or _wide(least[:k]) <= 0.6 * room)
    key = list(range(first))

    def fits(columns):
        return _wide([least[k] for k in columns]) <= room

    units = []
    for k in range(first, len(names)):
        if units and names.count(names[k]) > 1 and fits([*key, *units[-1], k]):
            units[-1].append(k)
        else:
            units.append([k])
    made = []
    for unit in units:
        if made and fits([*made[-1], *unit]):
            made[-1] += unit
        else:
            made.append([*key, *unit])
    return made or [key]


def _wide(widths):
    """Letters that a table with a head takes."""
    return sum(widths) + 3 * (len(widths) - 1) + 2


def _spread(sizes, room):
    """Widths of columns, each from its least on; what room there is goes to those that lack least.

    >>> _spread([(5, 20), (3, 4)], 20)
    [11, 4]
    """
    widths = [least for least, _ in sizes]
    spare = room - _wide(widths)
    for k in sorted(range(len(sizes)), key=lambda k: sizes[k][1] - sizes[k][0]):
        more = min(spare, sizes[k][1] - sizes[k][0])
        widths[k] += more
        spare -= more
    return widths


def text(value):
    """A cell: nothing for None, else the value as text.

    >>> text(None), text(202403)
    ('', '202403')
    """
    return "" if value is None else str(value)


@contextmanager
def progress(what):
    """A progress bar on a terminal's stderr, as a function (done, total, name); None elsewhere.

    Its `stop` and `start` go around a question on the same terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def step(done, total, name):
            bar.update(task, completed=done, total=total, description=f"{what} {name}")

        step.stop, step.start = bar.stop, bar.start
        yield step


@contextmanager
def working(what):
    """A word on a terminal's stderr while something is made of which nobody knows how far it is; else nothing."""
    if not sys.stderr.isatty():
        with compiling():
            yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status, compiling(status):
        yield


@contextmanager
def compiling(bar=None, everything=False):
    """Tell on stderr, before the wait, what has to be compiled, where it takes long; of `everything` once."""
    from engine import compiled

    def tell(seconds):
        if bar:
            bar.stop()
        what = f"for what is asked, once on this machine: about {seconds} s; `frontmonth warm` does it beforehand"
        if everything:
            compiled.listeners.remove(tell)
            what = f"for all that may be asked, once on this machine: about {compiled.ALL} s"
        sys.stderr.write(f"compiling the engine {what}\n")
        sys.stderr.flush()
        if bar:
            bar.start()

    compiled.listeners.append(tell)
    try:
        yield
    finally:
        if tell in compiled.listeners:
            compiled.listeners.remove(tell)


def counted(count, what):
    """A number of things.

    >>> counted(1, "file"), counted(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def megabytes(size):
    """A size.

    >>> megabytes(0), megabytes(31_000), megabytes(12_345_678), megabytes(7_200_000_000)
    ('0 kB', '31 kB', '12.3 MB', '7.20 GB')
    """
    if size < 1e6:
        return f"{size / 1e3:,.0f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"


def number(value, digits="g"):
    """A number, nothing where there is none.

    >>> number(4090.25), number(None), number(-0.5, "+g"), number(-0.001, ".2f")
    ('4090.25', '', '-0.5', '0.00')
    """
    return "" if _absent(value) else _plain(format(value, digits if digits != "g" else ".10g"))


def money(value):
    """An amount with thousands separators, no cents above a thousand.

    >>> money(-1234567.8), money(12.345), money(None), money(-0.001)
    ('-1,234,568', '12.35', '', '0.00')
    """
    if _absent(value):
        return ""
    return _plain(f"{value:,.2f}") if abs(value) < 1000 else f"{value:,.0f}"


def percent(value, digits=1):
    """A fraction as a percentage.

    >>> percent(0.1234), percent(float("nan")), percent(-0.0)
    ('12.3 %', '', '0.0 %')
    """
    return "" if _absent(value) else f"{_plain(f'{100 * value:.{digits}f}')} %"


def _plain(text):
    """The text of a number without the sign of a zero."""
    return text[1:] if text[:1] == "-" and not text.strip("-0.,") else text


def _absent(value):
    return value is None or value != value
