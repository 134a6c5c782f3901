"""Profit by market, sector, side, strategy, reason and regime; a tap on a bar picks it."""

import numpy as np
from bokeh.models import ColumnDataSource, FactorRange, Range1d

from app import charts, theme
from app.view import View, taps

BAR = 19  # height of a bar and its label [pixels]


def bars(source, x_range, y_range, currency, description):
    """A bar a name, from zero to its profit; what is not picked is pale."""
    plot = charts.chart(BAR + 44, x_range, y_range, description)
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
    guide = "Under all filters but its own; a tap picks."

    def draw(self, columns):
        """One plot, best of the whole run on top."""
        source = ColumnDataSource({"name": [], "profit": [], "color": [], "alpha": []})
        x_range, y_range, text = Range1d(-1, 1), FactorRange(factors=[]), charts.words()
        self.plot = bars(source, x_range, y_range, columns.currency, f"Profit by {self.label}; its words stand below")
        models = {f"by_{self.kind}": source, f"by_{self.kind}_x": x_range, f"by_{self.kind}_y": y_range,
                  f"by_{self.kind}_plot": self.plot, f"by_{self.kind}_text": text}  # fmt: skip
        self.gestures = {f"{self.kind}_plot": self.plot}
        return charts.column(self.plot, text), models

    def patch(self, picked):
        """Bars, axis and words of a slice."""
        names = picked.names(self.kind)
        amounts, chosen = getattr(picked, f"by_{self.kind}"), getattr(picked, f"{self.kind}_picked")
        rows = order(names, getattr(self.board.whole, f"by_{self.kind}"), amounts)
        names, amounts, chosen = [names[k] for k in rows], amounts[rows], chosen[rows]
        low, high = charts.span(amounts, 0.0)
        return {
            f"by_{self.kind}_y": {"factors": names},
            f"by_{self.kind}_plot": {"height": BAR * max(len(names), 3) + 44},
            f"by_{self.kind}": {"data": columns_of(names, amounts, chosen)},
            f"by_{self.kind}_x": {"start": low, "end": high},
            f"by_{self.kind}_text": {"text": self.describe(picked, names, amounts, chosen)},
        }

    def describe(self, picked, names, amounts, chosen):
        """The picture in a sentence."""
        return describe(names, amounts, chosen, picked.columns.currency)

    def wire(self):
        """A tap picks a bar."""
        taps(self.plot, self.board, self.field)


class Sectors(Bars):
    """Profit by sector."""

    title = "Profit by sector"
    kind, field, label = "sector", "sectors", "sector"


class Markets(Bars):
    """Profit by market."""

    title = "Profit by market"
    kind, field, label = "root", "markets", "market"


class Sides(Bars):
    """Profit by side."""

    title = "Profit by side"
    kind, field, label = "side", "directions", "side"


class Strategies(Bars):
    """Profit by strategy."""

    title = "Profit by strategy"
    kind, field, label = "strategy", "strategies", "strategy"


class Exits(Bars):
    """Profit by what ended the trade."""

    title = "Profit by exit reason"
    kind, field, label = "exit", "exit_reasons", "exit reason"


class Entries(Bars):
    """Profit by what began the trade."""

    title = "Profit by entry reason"
    kind, field, label = "entry", "entry_reasons", "entry reason"


class ByRegime(Bars):
    """Profit by the regime of the day."""

    title = "Profit by regime"
    kind, field, label = "regime", "regimes", "regime"

    def describe(self, picked, names, amounts, chosen):
        """The picture in a sentence, or why there are no regimes."""
        if not names:
            return f'<p class="note">{charts.esc(picked.regimes.missing)}</p>'
        return super().describe(picked, names, amounts, chosen)


def order(names, whole, amounts):
    """Rows from the bottom of the axis to its top: worst of the whole run first; what holds nothing is left out.

    The last name is that of what belongs to none of the others.
    """
    last = len(names) - 1
    rows = [k for k in range(len(names)) if k < last or abs(whole[k]) > 0.0 or abs(amounts[k]) > 0.0]
    return sorted(rows, key=lambda k: (whole[k], names[k]))
