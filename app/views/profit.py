"""Profit by sector and by market; a tap on a bar picks it."""

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, Range1d

from app import charts, theme
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
    plot.ygrid.visible = False
    sign = charts.SIGNS.get(currency, f"{currency} ")
    charts.hover(plot, plot.renderers[0], [("", "@name"), ("profit", f"{sign}@profit{{0,0}}")], mode="hline")
    return plot


def columns_of(names, amounts, picked):
    """Columns of the bars, in the order of the axis: last name at the bottom."""
    return {
        "name": np.array(names, object),
        "profit": amounts,
        "color": np.where(amounts < 0.0, theme.LOSS, theme.GAIN).astype(object),
        "alpha": np.where(picked, 0.95, 0.28),
    }


def describe(names, amounts, picked, currency):
    """The best and the worst of what is picked, in a sentence."""
    full = np.flatnonzero(picked & (amounts != 0.0))
    if not len(full):
        return '<p class="note">No profit and no loss in what is picked.</p>'
    best, worst = full[np.argmax(amounts[full])], full[np.argmin(amounts[full])]
    told = [f"{charts.esc(names[k])} {charts.esc(charts.money(amounts[k], currency))}" for k in (best, worst)]
    total = charts.esc(charts.money(amounts[full].sum(), currency))
    return f'<p class="note">Best {told[0]}, worst {told[1]}; sum {total}.</p>'


class Bars(View):
    """A bar for every name of one kind; a subclass says of which."""

    kind = field = label = ""  # in the slice, in the selection, in words

    def names(self, columns):
        """All names of the kind."""
        raise NotImplementedError

    def draw(self, columns):
        """One plot, best of the whole run on top."""
        self.order = order(self.names(columns), getattr(self.board.whole, f"by_{self.kind}"))
        source = ColumnDataSource({"name": [], "profit": [], "color": [], "alpha": []})
        x_range, text = Range1d(-1, 1), charts.words()
        shown = [name for name, _ in self.order]
        self.plot = bars(source, shown, x_range, columns.currency, f"Profit by {self.label}; its words stand below")
        models = {f"by_{self.kind}": source, f"by_{self.kind}_x": x_range, f"by_{self.kind}_text": text}
        self.gestures = {f"{self.kind}_plot": self.plot}
        return charts.column(self.plot, text), models

    def patch(self, picked):
        """Bars, axis and words of a slice."""
        rows = np.array([row for _, row in self.order], int)
        names = [name for name, _ in self.order]
        amounts = getattr(picked, f"by_{self.kind}")[rows]
        chosen = getattr(picked, f"{self.kind}_picked")[rows]
        low, high = charts.span(amounts, 0.0)
        return {
            f"by_{self.kind}": {"data": columns_of(names, amounts, chosen)},
            f"by_{self.kind}_x": {"start": low, "end": high},
            f"by_{self.kind}_text": {"text": describe(names, amounts, chosen, picked.columns.currency)},
        }

    def wire(self):
        """A tap picks a bar."""
        taps(self.plot, self.board, self.field, self.names(self.board.columns))


class Sectors(Bars):
    """Profit by sector."""

    title = "Profit by sector"
    kind, field, label = "sector", "sectors", "sector"

    def names(self, columns):
        """The sectors of the run."""
        return columns.sectors


class Markets(Bars):
    """Profit by market."""

    title = "Profit by market"
    kind, field, label = "root", "markets", "market"

    def names(self, columns):
        """The markets of the run."""
        return columns.roots


def order(names, amounts):
    """(name, row) from the bottom of the axis to its top; the account's interest only where there is some."""
    rows = [(name, k) for k, name in enumerate(names)]
    if abs(amounts[len(names)]) > 0.0:
        rows.append((ACCOUNT, len(names)))
    return sorted(rows, key=lambda row: (amounts[row[1]], row[0]))
