"""Sharpe ratio and volatility of the last year, day by day."""

import numpy as np
from bokeh.models import ColumnDataSource, Range1d

from app import charts, theme
from app.view import View, brush, same
from engine.analysis import rolling
from engine.ratios import YEAR

WINDOW = int(YEAR)


def line_plot(source, name, x_range, y_range, description, tick):
    """One number over days, and zero."""
    plot = charts.dated(132, x_range, y_range, description)
    line = plot.line("day", name, source=source, color=theme.GAIN, line_width=1.5)
    plot.yaxis.ticker.desired_num_ticks = 4
    charts.zero_line(plot)
    charts.hover(plot, line, [("", "@day{%F}"), (tick[0], f"@{name}{{{tick[1]}}}")])
    return plot


def describe(sharpe, volatility, days):
    """The last and the worst in a sentence."""
    known = np.flatnonzero(np.isfinite(sharpe))
    if not len(known):
        return f'<p class="note">Fewer than {WINDOW} days: there is no whole window.</p>'
    last, worst = known[-1], known[np.argmin(sharpe[known])]
    return (
        f'<p class="note">Sharpe ratio {charts.number(sharpe[last], 2)} and volatility '
        f"{charts.percent(volatility[last])} in the year to {days[last]}; lowest Sharpe ratio "
        f"{charts.number(sharpe[worst], 2)}, {days[worst]}.</p>"
    )


class Rolling(View):
    """Sharpe ratio and volatility of a moving year."""

    title = "Rolling year"
    guide = f"Sharpe ratio and annual volatility of the last {WINDOW} days, under all filters but the days."

    def draw(self, columns):
        """Two plots over one axis of days."""
        source = ColumnDataSource({"day": [], "sharpe": [], "volatility": []})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        x_range = Range1d(first, last)
        ratios, sizes = Range1d(-1, 1), Range1d(0, 1)
        self.plots = (
            line_plot(source, "sharpe", x_range, ratios, "Sharpe ratio of the last year by day", ("Sharpe", "0.00")),
            line_plot(source, "volatility", x_range, sizes, "Volatility of the last year", ("volatility", "0.0 %")),
        )
        charts.percent_axis(self.plots[1].yaxis)
        labels = [charts.words() for _ in range(2)]
        labels[0].text, labels[1].text = ('<p class="axis">Sharpe ratio</p>', '<p class="axis">Volatility a year</p>')
        for plot in self.plots:
            plot.min_border_left = 52
        self.plots[0].xaxis.visible = False
        text = charts.words()
        models = {"rolling": source, "rolling_sharpe": ratios, "rolling_volatility": sizes, "rolling_text": text}
        self.drawn = None  # profit by day of what is drawn: other days picked change nothing
        self.gestures = {"rolling_plot_0": self.plots[0], "rolling_plot_1": self.plots[1]}
        return charts.column(labels[0], self.plots[0], labels[1], self.plots[1], text), models

    def patch(self, picked):
        """Lines and axes of a slice, on all days."""
        if same(self.drawn, picked.profit):
            return {}
        self.drawn = picked.profit
        days = picked.columns.days[1:]
        returns, interest = (values[1:] / np.where(picked.base > 0.0, picked.base, np.nan)
                             for values in (picked.profit, picked.interest))  # fmt: skip
        sharpe, volatility = rolling.sharpe(returns - interest, WINDOW), rolling.volatility(returns, WINDOW)
        ends = charts.span(sharpe, 0.0), charts.span(volatility, 0.0)
        return {
            "rolling": {"data": {"day": charts.milliseconds(days), "sharpe": sharpe, "volatility": volatility}},
            "rolling_sharpe": {"start": ends[0][0], "end": ends[0][1]},
            "rolling_volatility": {"start": 0.0, "end": ends[1][1]},
            "rolling_text": {"text": describe(sharpe, volatility, days)},
        }

    def wire(self):
        """A box picks days."""
        for plot in self.plots:
            brush(plot, self.board)
