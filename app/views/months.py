"""Return of every month and year; a tap picks the days of one."""

import calendar
from datetime import date

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FactorRange
from bokeh.models.transforms import CustomJSTransform
from bokeh.transform import transform

from app import charts, theme
from app.view import View, cells

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")
FULL = 0.06  # a return whose cell has the whole colour
ROW = 21  # height of a year [pixels]


def plot_of(source, y_range, description):
    """Years below one another, newest on top; a colour by the return, the return in percent."""
    plot = charts.chart(80, FactorRange(factors=list(NAMES)), y_range, description, x_axis_location="above")
    text = CustomJSTransform(v_func="return Array.from(xs, (x) => (Number.isFinite(x) ? (100 * x).toFixed(1) : ''))")
    plot.rect("month", "year", 0.96, 0.9, source=source, fill_color="color", fill_alpha="alpha", line_color="edge",
              line_width=1.5)  # fmt: skip
    plot.text("month", "year", text=transform("value", text), source=source, text_align="center",
                      text_baseline="middle", text_font_size="11.5px", text_font=value(theme.FONT), text_color="ink")  # fmt: skip
    plot.grid.visible = False
    return plot


def tones(values, whole_year):
    """Colour and strength of cells: gains are blue, losses orange, years paler than their months."""
    strength = np.clip(np.abs(np.nan_to_num(values)) / np.where(whole_year, 4.0 * FULL, FULL), 0.0, 1.0)
    return np.where(values < 0.0, theme.LOSS, theme.GAIN).astype(object), np.round(0.06 + 0.8 * strength, 3)


def describe(months):
    """The best and the worst month in a sentence."""
    known = [
        (v, f"{NAMES[k]} {year}") for year, row in months.items() for k, v in enumerate(row[:12]) if np.isfinite(v)
    ]
    if not known:
        return '<p class="note">No month has a day that is picked: widen the filters.</p>'
    best, worst = max(known), min(known)
    won = sum(value > 0.0 for value, _ in known)
    return (
        f'<p class="note">{won} of {len(known)} months gained; best {best[1]} {charts.percent(best[0])}, worst {worst[1]} '
        f"{charts.percent(worst[0])}. Percent: profit over the equity before. A tap picks a month or a year.</p>"
    )


def days_of(month, year):
    """First and last day of a month, or of the year.

    >>> days_of("Feb", "2016")[1], days_of("Year", "2015")[0]
    (datetime.date(2016, 2, 29), datetime.date(2015, 1, 1))
    """
    year, k = int(year), NAMES.index(month) + 1
    if k == len(NAMES):
        return date(year, 1, 1), date(year, 12, 31)
    return date(year, k, 1), date(year, k, calendar.monthrange(year, k)[1])


class Months(View):
    """Monthly returns with the totals of the years."""

    title = "Monthly returns"
    guide = "Blue gained, orange lost. All months stay in sight; those picked have a frame."

    def draw(self, columns):
        """One plot over a source of cells."""
        source = ColumnDataSource({name: [] for name in ("month", "year", "value", "color", "alpha", "edge", "ink")})
        y_range, text = FactorRange(factors=[]), charts.words()
        self.plot = plot_of(source, y_range, "Returns by month; the best and the worst stand below")
        models = {"months": source, "months_y": y_range, "months_plot": self.plot, "months_text": text}
        self.gestures = {"months_gesture": self.plot}
        return charts.column(self.plot, text), models

    def patch(self, picked):
        """The cells of a slice."""
        years = sorted(picked.months)
        values = np.array([value for year in years for value in picked.months[year]])
        color, alpha = tones(values, np.tile(np.arange(13) == 12, len(years)))
        shown = {
            "month": np.array(list(NAMES) * len(years), object),
            "year": np.repeat(np.array([str(year) for year in years], object), 13),
            "value": values, "color": color, "alpha": np.where(np.isfinite(values), alpha, 0.0),
            "edge": np.array([theme.INK if self._framed(year, k) else None for year in years for k in range(13)], object),
            "ink": np.where(alpha > 0.55, "#ffffff", theme.NEUTRAL_INK).astype(object),
        }  # fmt: skip
        return {
            "months_y": {"factors": [str(year) for year in years]},
            "months_plot": {"height": ROW * max(len(years), 2) + 40},
            "months": {"data": shown},
            "months_text": {"text": describe(picked.months)},
        }

    def _framed(self, year, k):
        """Whether just the days of this cell are picked."""
        return self.board.selection.days == days_of(NAMES[k], str(year))

    def wire(self):
        """A tap picks the days of a cell; the same tap again picks all."""
        cells(self.plot, self.board, "month")
        self.board.verbs["month"] = self._tapped

    def _tapped(self, asked):
        days = days_of(asked["column"], asked["row"])
        self.board.selection.pick(days=None if self.board.selection.days == days else days)
