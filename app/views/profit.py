"""Profit by sector and by market; a tap on a bar picks it."""

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, Range1d

from app import charts
from app.columns import ACCOUNT
from app.view import View, taps

BAR = 19  # height of a bar and its label [pixels]


def bars(source, names, x_range, currency, description):
    """A bar a name, from zero to its profit; what is not picked is pale."""
    plot = charts.chart(BAR * len(names) + 44, x_range, FactorRange(factors=names), description)
    plot.hbar(
        "name", right="profit", height=0.72, source=source, fill_color="color", fill_alpha="alpha", line_color=None
    )
    charts.zero_line(plot)
    charts.money_axis(plot.xaxis, currency)
    plot.xaxis.ticker.desired_num_ticks = 4
    plot.ygrid.grid_line_color = None
    sign = charts.SIGNS.get(currency, f"{currency} ")
    charts.hover(plot, plot.renderers[0], [("", "@name"), ("profit", f"{sign}@profit{{0,0}}")], mode="hline")
    return plot


def columns_of(names, amounts, picked):
    """Columns of the bars, in the order of the axis: last name at the bottom."""
    return {
        "name": np.array(names, object),
        "profit": amounts,
        "color": np.where(amounts < 0.0, charts.LOSS, charts.GAIN).astype(object),
        "alpha": np.where(picked, 0.95, 0.28),
    }


def describe(names, amounts, currency):
    """The best and the worst in a sentence."""
    if not len(names) or not np.any(amounts):
        return '<p class="note">No profit and no loss in what is picked.</p>'
    best, worst = int(np.argmax(amounts)), int(np.argmin(amounts))
    told = [f"{charts.esc(names[k])} {charts.esc(charts.money(amounts[k], currency))}" for k in (best, worst)]
    return (
        f'<p class="note">Best {told[0]}, worst {told[1]}; sum {charts.esc(charts.money(amounts.sum(), currency))}.</p>'
    )


class Profit(View):
    """Profit of the days picked, by sector and by market."""

    title = "Profit by sector and market"

    def draw(self, columns):
        """Two plots of bars, best of the whole run on top."""
        whole = self.board.whole
        self.order = {
            "sector": _order(columns.sectors, whole.by_sector),
            "root": _order(columns.roots, whole.by_root),
        }
        models, parts, self.plots = {}, [], {}
        for kind, label in (("sector", "sector"), ("root", "market")):
            names = [name for name, _ in self.order[kind]]
            source = ColumnDataSource({"name": [], "profit": [], "color": [], "alpha": []})
            x_range, text = Range1d(-1, 1), charts.words()
            self.plots[kind] = bars(
                source, names, x_range, columns.currency, f"Profit by {label}; its words stand below"
            )
            models |= {f"by_{kind}": source, f"by_{kind}_x": x_range, f"by_{kind}_text": text}
            parts += [self.plots[kind], text]
        return charts.column(*parts), models

    def patch(self, picked):
        """Bars and axes of a slice."""
        found = {}
        for kind, amounts, chosen in (
            ("sector", picked.by_sector, picked.sector_picked),
            ("root", picked.by_root, picked.root_picked),
        ):
            rows = np.array([row for _, row in self.order[kind]], int)
            names = [name for name, _ in self.order[kind]]
            low, high = charts.span(amounts[rows], 0.0)
            found |= {
                f"by_{kind}": {"data": columns_of(names, amounts[rows], chosen[rows])},
                f"by_{kind}_x": {"start": low, "end": high},
                f"by_{kind}_text": {"text": describe(names, amounts[rows], picked.columns.currency)},
            }
        return found

    def wire(self):
        """A tap picks a bar."""
        columns = self.board.columns
        taps(self.plots["sector"], self.board, "sectors", columns.sectors)
        taps(self.plots["root"], self.board, "markets", columns.roots)


def _order(names, amounts):
    """(name, row) from the bottom of the axis to its top; the account's interest only where there is some."""
    rows = [(name, k) for k, name in enumerate(names)]
    if abs(amounts[len(names)]) > 0.0:
        rows.append((ACCOUNT, len(names)))
    return sorted(rows, key=lambda row: (amounts[row[1]], row[0]))
