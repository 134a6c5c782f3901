"""Equity, and drawdown beneath it on the same days; a box over days picks them."""

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, Range1d

from app import charts, theme
from app.charts import esc
from app.view import View, brush
from engine.risk import drawdown


def equity_plot(source, x_range, y_range, currency):
    """Equity of the account, or the capital paid in plus the profit of what is picked."""
    plot = charts.dated(290, x_range, y_range, "Equity by day; its words stand below")
    charts.money_axis(plot.yaxis, currency)
    line = plot.line("day", "equity", source=source, color=theme.GAIN, line_width=1.8)
    sign = charts.SIGNS.get(currency, f"{currency} ")
    rows = [("", "@day{%F}"), ("equity", f"{sign}@equity{{0,0}}"), ("drawdown", "@drawdown{0.0 %}")]
    charts.hover(plot, line, rows)
    return plot


def drawdown_plot(source, x_range, y_range):
    """Loss since the highest equity so far."""
    plot = charts.dated(140, x_range, y_range, "Drawdown by day; its words stand below the equity")
    charts.percent_axis(plot.yaxis)
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.varea("day", "drawdown", 0, source=source, fill_color=theme.LOSS, fill_alpha=0.35)
    line = plot.line("day", "drawdown", source=source, color=theme.LOSS, line_width=1)
    charts.hover(plot, line, [("", "@day{%F}"), ("drawdown", "@drawdown{0.0 %}")])
    return plot


def describe(picked, curve, depth):
    """The picture in a sentence."""
    days, currency = picked.columns.days, picked.columns.currency
    worst = int(np.argmin(depth)) if np.isfinite(depth).all() else 0
    return (
        f'<p class="note">From {esc(charts.money(curve[0], currency))} to {esc(charts.money(curve[-1], currency))}, '
        f"{days[0]} to {days[-1]}; deepest drawdown {charts.percent(depth[worst])} on {days[worst]}. "
        "Drag over days to pick them; a click picks all again.</p>"
    )


class Equity(View):
    """Equity with drawdown, over all days; what is not picked lies under a veil."""

    title = "Equity and drawdown"

    def draw(self, columns):
        """Two plots over one axis of days."""
        curve = ColumnDataSource({"day": [], "equity": [], "drawdown": []})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        x_range = Range1d(first, last, bounds=(first, last))
        heights, depths = Range1d(0, 1), Range1d(-1, 0)
        plots = equity_plot(curve, x_range, heights, columns.currency), drawdown_plot(curve, x_range, depths)
        for plot in plots:
            plot.min_border_left = 64
            box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
            plot.add_tools(box)
            plot.toolbar.active_drag = box
        plots[0].xaxis.visible = False
        plots[0].min_border_bottom = 6
        text = charts.words()
        models = {"curve": curve, "equity_y": heights, "drawdown_y": depths, "equity_text": text}
        models |= {f"veil_{edge}_{k // 2}": cover for k, (edge, cover) in enumerate(charts.veils(*plots))}
        self.plots = plots
        self.gestures = {"equity_plot": plots[0], "drawdown_plot": plots[1]}
        return charts.column(*plots, text), models

    def patch(self, picked):
        """Curve, axes and veils of a slice."""
        days, curve = charts.milliseconds(picked.columns.days), picked.curve
        depth = drawdown(picked.grown)
        low, high = charts.span(curve)
        bottom = charts.span(depth, 0.0)[0]
        whole = picked.chosen["days"] is None
        left, right = (days[picked.first - 1], days[picked.last]) if picked.count else (days[-1], days[-1])
        return {
            "curve": {"data": {"day": days, "equity": curve, "drawdown": depth}},
            "equity_y": {"start": low, "end": high},
            "drawdown_y": {"start": bottom, "end": 0.0},
            "equity_text": {"text": describe(picked, curve, depth)},
            **{f"veil_left_{k}": {"right": float(left), "visible": not whole} for k in (0, 1)},
            **{f"veil_right_{k}": {"left": float(right), "visible": not whole} for k in (0, 1)},
        }

    def wire(self):
        """A box picks days, a click picks all again."""
        for plot in self.plots:
            brush(plot, self.board)
