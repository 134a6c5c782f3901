"""How returns of days and results of trades are spread; a box over results or holding times picks the trades in it."""

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, Range1d

from app import charts, theme
from app.charts import esc
from app.view import View, brush

BINS = 41  # of returns of days
HEIGHT = 230


def histogram(source, x_range, y_range, description):
    """Bars between edges, and those of the whole run as steps behind them, as high as if it were as many."""
    plot = charts.chart(HEIGHT, x_range, y_range, description)
    plot.quad("left", "right", "count", 0, source=source, fill_color="color", fill_alpha="alpha", line_color=None)
    plot.segment("left", "whole", "right", "whole", source=source, line_color=theme.WHOLE, line_width=1.5)
    plot.xgrid.visible = False
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.xaxis.ticker.desired_num_ticks = 5
    plot.min_border_left = 46
    return plot


def shares(whole, count):
    """Counts of the whole run brought to the number of what is picked, so that only the shape differs."""
    total = whole.sum()
    return whole * (count.sum() / total) if total else whole * 0.0


def bars_of(edges, count, whole, picked):
    """Columns of the bars: bins below zero are losses."""
    middle = (edges[:-1] + edges[1:]) / 2.0
    return {
        "left": edges[:-1], "right": edges[1:], "count": count.astype(float), "whole": shares(whole, count),
        "color": np.where(middle < 0.0, theme.LOSS, theme.GAIN).astype(object), "alpha": np.where(picked, 0.9, 0.3),
    }  # fmt: skip


def edges_of(returns):
    """Edges of bins of returns around zero; the ends gather what lies beyond the 0.2 and 99.8 % quantiles."""
    known = np.abs(returns[np.isfinite(returns)])
    end = float(np.quantile(known, 0.996)) if len(known) else 0.0
    return np.linspace(-1.0, 1.0, BINS + 1) * (end or 0.01)


def counts(values, edges):
    """Values between the edges; those beyond are in the bins at the ends."""
    return np.histogram(np.clip(values[np.isfinite(values)], edges[0], edges[-1]), edges)[0]


class Returns(View):
    """Returns of the days picked."""

    title = "Daily returns"
    guide = "How many days returned how much; grey: the shape of the whole run. The ends gather what lies beyond."

    def draw(self, columns):
        """One plot; its bins are those of the whole run."""
        whole = self.board.whole.account.returns
        self.edges = edges_of(whole)
        self.whole = counts(whole, self.edges)
        source, top = ColumnDataSource({name: [] for name in COLUMNS}), Range1d(0, 1)
        x_range = Range1d(float(self.edges[0]), float(self.edges[-1]))
        self.plot = histogram(source, x_range, top, "Days by their return; its words stand below")
        charts.percent_axis(self.plot.xaxis)
        self.plot.xaxis.axis_label, self.plot.yaxis.axis_label = "return of a day", "days"
        text = charts.words()
        return charts.column(self.plot, text), {"returns": source, "returns_y": top, "returns_text": text}

    def patch(self, picked):
        """Bars of a slice."""
        returns = picked.account.returns
        count = counts(returns, self.edges)
        bars = bars_of(self.edges, count, self.whole, np.ones(len(count), bool))
        return {
            "returns": {"data": bars},
            "returns_y": {"start": 0.0, "end": top(bars)},
            "returns_text": {"text": of_returns(returns)},
        }


def of_returns(returns):
    """Mean, best and worst day in a sentence."""
    known = returns[np.isfinite(returns)]
    if not len(known):
        return '<p class="note">No day is picked: widen the filters.</p>'
    low, high = (charts.percent(float(end), 2) for end in (known.min(), known.max()))
    up = charts.percent(float((known > 0.0).mean()), 0)
    return f'<p class="note">{up} of {charts.number(len(known))} days gained; worst {low}, best {high}.</p>'


class TradeBins(View):
    """Trades by a number of theirs; a subclass says by which."""

    of = field = words = axis = ""  # of the bins in columns and slice; in the selection; in words; with its unit

    def draw(self, columns):
        """One plot with a box to pick trades."""
        edges = getattr(columns, f"{self.of}_bins")
        source, high = ColumnDataSource({name: [] for name in COLUMNS}), Range1d(0, 1)
        ends = (float(edges[0]), float(edges[-1])) if len(edges) > 1 else (0.0, 1.0)
        self.plot = histogram(source, Range1d(*ends), high, f"Trades by {self.words}; its words stand below")
        if self.field == "results":
            charts.money_axis(self.plot.xaxis, columns.currency)
        self.plot.xaxis.axis_label, self.plot.yaxis.axis_label = self.axis, "trades"
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        self.plot.add_tools(box)
        self.plot.toolbar.active_drag = box
        text = charts.words()
        self.gestures = {f"{self.field}_plot": self.plot}
        models = {f"{self.field}": source, f"{self.field}_y": high, f"{self.field}_text": text}
        return charts.column(self.plot, text), models

    def patch(self, picked):
        """Bars of a slice, under all filters but their own."""
        edges = getattr(picked.columns, f"{self.of}_bins")
        count, whole = (getattr(one, f"trades_by_{self.of}") for one in (picked, self.board.whole))
        bars = bars_of(edges, count, whole, inside(edges, picked.chosen[self.field]))
        return {
            self.field: {"data": bars},
            f"{self.field}_y": {"start": 0.0, "end": top(bars)},
            f"{self.field}_text": {"text": self.describe(picked)},
        }

    def wire(self):
        """A box picks the trades in it, a click all again."""
        brush(self.plot, self.board, self.field)


class Results(TradeBins):
    """Trades by their net result."""

    title = "Trade results"
    guide = "How many trades ended with how much, after costs; drag over a span to pick its trades."
    of, field, words, axis = "result", "results", "net result", "net of a trade"

    def describe(self, picked):
        """Mean gain and mean loss in a sentence."""
        net, currency = picked.columns.trade["net"][picked.trades], picked.columns.currency
        if not len(net):
            return '<p class="note">No trade is picked: widen the filters.</p>'
        told = []
        for word, part in (("gain", np.maximum(net, 0.0)), ("loss", np.minimum(net, 0.0))):  # faster than picking them
            if count := np.count_nonzero(part):
                told.append(f"mean {word} {esc(charts.money(float(part.sum()) / count, currency))}")
        return f'<p class="note">{charts.number(len(net))} trades; {", ".join(told)}.</p>'


class Holding(TradeBins):
    """Trades by how long they were held."""

    title = "Holding time"
    guide = "How many trades were held for how many bars; drag over a span to pick its trades."
    of, field, words, axis = "holding", "holding", "bars held", "held [bars]"

    def describe(self, picked):
        """The median in a sentence."""
        held = picked.columns.trade["holding"][picked.trades]
        if not len(held):
            return '<p class="note">No trade is picked: widen the filters.</p>'
        half, most = float(np.median(held)), int(held.max())
        return f'<p class="note">Half of the trades were held for {half:g} bars or less, the longest {most}.</p>'


def inside(edges, chosen):
    """Which bins a range picks, any part of them."""
    if chosen is None:
        return np.ones(len(edges) - 1, bool)
    low, high = (end if end is not None else far for end, far in zip(chosen, (-np.inf, np.inf), strict=True))
    ends = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    return (ends[1:] > low) & (ends[:-1] < high)


def top(bars):
    """Upper end of the axis of counts."""
    return float(max(bars["count"].max(initial=0.0), bars["whole"].max(initial=0.0), 1.0)) * 1.05


COLUMNS = ("left", "right", "count", "whole", "color", "alpha")
