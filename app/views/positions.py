"""What was held: margin used by sector, notional long and short, and the positions of the last day picked."""

import numpy as np
from bokeh.models import ColumnDataSource, Range1d

from app import charts, theme
from app.charts import esc
from app.view import View


def margin_plot(source, x_range, y_range, sectors):
    """Initial margin over equity, sectors on top of one another."""
    plot = charts.dated(230, x_range, y_range, "Margin used by sector, percent of equity; its words stand below")
    charts.percent_axis(plot.yaxis)
    keys = [f"s{k}" for k in range(len(sectors))]
    colours = [theme.SECTOR_COLOURS[k % len(theme.SECTOR_COLOURS)] for k in range(len(sectors))]
    if keys:
        plot.varea_stack(keys, x="day", source=source, color=colours, fill_alpha=0.9)
    total = plot.line("day", "total", source=source, line_alpha=0.0)
    rows = [(name, f"@{key}{{0.0 %}}") for key, name in zip(keys, sectors, strict=True)]
    charts.hover(plot, total, [("", "@day{%F}"), ("all", "@total{0.0 %}"), *rows])
    return plot


def notional_plot(source, x_range, y_range):
    """Notional long above zero and short below it, times equity."""
    plot = charts.dated(170, x_range, y_range, "Notional held long and short, times equity; its words stand below")
    plot.yaxis.ticker.desired_num_ticks = 5
    plot.varea("day", "long", 0, source=source, fill_color=theme.GAIN, fill_alpha=0.75)
    plot.varea("day", "short", 0, source=source, fill_color=theme.LOSS, fill_alpha=0.75)
    charts.zero_line(plot)
    line = plot.line("day", "long", source=source, line_alpha=0.0)
    charts.hover(plot, line, [("", "@day{%F}"), ("long", "@long{0.00} × equity"), ("short", "@short{0.00} × equity")])
    return plot


def describe(picked, used):
    """The pictures in a sentence."""
    if not picked.count:
        return '<p class="note">No day is picked.</p>'
    peak = int(np.argmax(used))
    return (
        f'<p class="note">Margin used: {charts.percent(float(used.mean()))} of equity in the mean, at most '
        f"{charts.percent(float(used[peak]))} on {picked.columns.days[picked.first + peak]}.</p>"
    )


def head(currency):
    """Names of the columns of the book."""
    return ("Market", "Strategy", "Contract", "Contracts", "Mark", f"Notional, {currency}", f"Margin, {currency}")


def size(contracts):
    """Contracts, and hundredths of them where fractions are traded."""
    return charts.number(contracts, 0 if contracts == int(contracts) else 2)


def book(picked):
    """Positions at the close of the last day picked."""
    if not picked.count:
        return ""
    columns = picked.columns
    rows = picked.book
    day = columns.days[picked.last]
    if not len(rows):
        return f'<h3>Positions on {day}</h3><p class="note">None.</p>'
    held, currency = columns.held, columns.currency
    lines = []
    for k in rows:
        m = held["line"][k]
        texts = (
            columns.roots[columns.line_root[m]],
            columns.strategies[columns.line_strategy[m]],
            str(held["contract"][k] or ""),
        )
        numbers = (
            size(float(held["contracts"][k])),
            charts.price(float(held["mark"][k])),
            charts.number(float(held["notional"][k])),
            charts.number(float(held["margin"][k])),
        )
        cells = "".join(f'<td class="text">{esc(text)}</td>' for text in texts)
        lines.append(f"<tr>{cells}{''.join(f'<td>{text}</td>' for text in numbers)}</tr>")
    names = "".join(
        f'<th scope="col"{" class=text" if k < 3 else ""}>{esc(name)}</th>' for k, name in enumerate(head(currency))
    )
    return (
        f'<h3>Positions on {day}</h3><div class="scroll"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


class Positions(View):
    """Margin and notional of the days picked, and the book at their end."""

    title = "Positions and margin"

    def draw(self, columns):
        """Two plots over the days picked, and words."""
        keys = [f"s{k}" for k in range(len(columns.sectors))]
        source = ColumnDataSource({name: [] for name in ("day", "total", "long", "short", *keys)})
        x_range, used, times = Range1d(0, 1), Range1d(0, 1), Range1d(-1, 1)
        plots = margin_plot(source, x_range, used, columns.sectors), notional_plot(source, x_range, times)
        for plot in plots:
            plot.min_border_left = 64
        text, table, key, sides = (charts.words() for _ in range(4))
        key.text = '<p class="note">Margin used, percent of equity</p>' + charts.legend(
            zip(columns.sectors, theme.SECTOR_COLOURS, strict=False)
        )
        sides.text = '<p class="note">Notional held, times equity</p>' + charts.legend(
            (("long", theme.GAIN), ("short", theme.LOSS))
        )
        models = {
            "held": source, "held_x": x_range, "margin_y": used, "notional_y": times, "positions_text": text,
            "book": table,
        }  # fmt: skip
        return charts.column(key, plots[0], sides, plots[1], text, table), models

    def patch(self, picked):
        """Areas, axes and words of a slice."""
        rows = picked.rows
        days = charts.milliseconds(picked.columns.days[rows])
        equity = picked.columns.equity[rows]
        scale = 1.0 / np.where(equity > 0.0, equity, np.nan)
        sectors = picked.margin[rows] * scale[:, None]
        total = sectors.sum(axis=1)
        long, short = (picked.notional[rows] * scale[:, None] * (1.0, -1.0)).T
        low, high = charts.span(np.concatenate([long, short]), 0.0)
        top = charts.span(total, 0.0)[1]
        ends = (float(days[0]), float(days[-1])) if len(days) > 1 else (0.0, charts.DAY_MS)
        return {
            "held": {
                "data": {"day": days, "total": total, "long": long, "short": short}
                | {f"s{k}": np.ascontiguousarray(sectors[:, k]) for k in range(sectors.shape[1])}
            },
            "held_x": {"start": ends[0], "end": ends[1]},
            "margin_y": {"start": 0.0, "end": top},
            "notional_y": {"start": low, "end": high},
            "positions_text": {"text": describe(picked, total)},
            "book": {"text": book(picked)},
        }
