"""Holdings: how much was held for the equity there was, in how few markets, and how alike these moved."""

from dataclasses import replace

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, FactorRange, Range1d

from app import charts, theme
from app.charts import esc
from app.commands.output import counted
from app.selection import told
from app.view import brush, cells
from app.views.risk import OfRisk, markets_of
from app.views.worked import note, plain_cells
from engine.analysis import exposure

MOST = 40  # markets whose names fit along the bottom
SIDE = 17  # height of a row of the matrix [pixels]


def held_of(held, picked):
    """What was held of the markets picked, on the days picked."""
    rows, chosen = picked.at - 1, markets_of(picked)
    mine = np.array([chosen is None or name in chosen for name in held.names], bool)
    arrays = {name: getattr(held, name)[rows][:, mine] for name in ("gross", "net", "margin")}
    names = {name: tuple(np.array(getattr(held, name), object)[mine]) for name in ("names", "sectors")}
    return replace(
        held, days=held.days[rows], equity=held.equity[rows], required=held.required[rows], **names, **arrays
    )


def of_what(picked):
    """Whose holdings they are, in words."""
    if not told(picked.chosen):
        return "of the whole run"
    return "of the markets picked, on the days picked" if markets_of(picked) is not None else "on the days picked"


class Lines(OfRisk):
    """Two lines over the days picked; a subclass says of what."""

    unit = ""  # of the axis
    key = ""  # begins the names of its models
    lines = ()  # (column of `exposure.EXPOSURE`, words, colour, format)
    more = ()  # columns that are only told, with their words

    def draw(self, columns):
        """One plot between a legend and words."""
        source = ColumnDataSource(
            {name: [] for name in ("day", *(line[0] for line in self.lines), *(name for name, _ in self.more))}
        )
        x_range, y_range, head, text = Range1d(0, 1), Range1d(-1, 1), charts.words(), charts.words()
        self.plot = charts.dated(210, x_range, y_range, f"{self.title} by day; its words stand below")
        self.plot.yaxis.axis_label = self.unit
        self.plot.yaxis.ticker.desired_num_ticks = 5
        for name, _, colour, _ in self.lines:
            line = self.plot.line("day", name, source=source, color=colour, line_width=1.6)
        charts.zero_line(self.plot)
        rows = [("", "@day{%F}"), *((words, f"@{name}{{{form}}}") for name, words, _, form in self.lines)]
        charts.hover(self.plot, line, [*rows, *((words, f"@{name}") for name, words in self.more)])
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        self.plot.add_tools(box)
        self.plot.toolbar.active_drag = box
        head.text = charts.legend((words, colour) for _, words, colour, _ in self.lines)
        models = {self.key: source, f"{self.key}_x": x_range, f"{self.key}_y": y_range, f"{self.key}_plot": self.plot,
                  f"{self.key}_text": text}  # fmt: skip
        return charts.column(head, self.plot, text), models

    def wire(self):
        """A box picks days, a click all again."""
        brush(self.plot, self.board)

    def patch(self, picked):
        """Lines, axes and words of the days picked."""
        lacking = self.lacking(picked)
        if lacking:
            return {f"{self.key}_plot": {"visible": False}, f"{self.key}_text": {"text": lacking}}
        found = exposure.exposure(held_of(self.got("risk").held, picked))
        days = charts.milliseconds(found["day"].to_numpy())
        data = {name: found[name].fill_null(np.nan).to_numpy().astype(float) for name, *_ in self.lines}
        low, high = charts.span(np.concatenate(list(data.values())), 0.0)
        data |= {name: found[name].fill_null("–").to_numpy().astype(object) for name, _ in self.more}
        return {
            self.key: {"data": {"day": days} | data},
            f"{self.key}_x": {"start": float(days[0]), "end": float(max(days[-1], days[0] + charts.DAY_MS))},
            f"{self.key}_y": {"start": low, "end": high},
            f"{self.key}_plot": {"visible": True},
            f"{self.key}_text": {"text": note(self.describe(found, of_what(picked)))},
        }

    def describe(self, found, of):
        """The picture in a sentence."""
        raise NotImplementedError


class Leverage(Lines):
    """Gross and net notional over equity."""

    title, unit = "Leverage", "times equity"
    guide = "Notional held, long and short added (gross) and short taken off (net), times equity. Drag to pick days."
    key = "leverage"
    lines = (("leverage", "gross", theme.GAIN, "0.00"), ("net_leverage", "net", theme.LOSS, "0.00"))

    def describe(self, found, of):
        """Mean and most."""
        gross, net = (found[name].fill_null(0.0).to_numpy() for name in ("leverage", "net_leverage"))
        most, far = int(np.argmax(gross)), int(np.argmax(np.abs(net)))
        return (
            f"Gross {charts.number(gross.mean(), 2)} times equity in the mean, at most {charts.number(gross[most], 2)} "
            f"on {found['day'][most]}; net {charts.number(net.mean(), 2)} in the mean, furthest from zero "
            f"{charts.number(net[far], 2)} on {found['day'][far]}; {of}. Positions of one contract net over strategies."
        )


class Concentration(Lines):
    """In how few markets the margin lies."""

    title, unit = "Concentration", "markets"
    guide = "Markets held, and as how many equal margins they count: few of many markets is concentrated."
    key = "concentration"
    lines = (("markets", "markets held", theme.WHOLE, "0"), ("bets", "equal margins", theme.GAIN, "0.0"))
    more = (("largest", "largest"),)

    def describe(self, found, of):
        """The last day, and the day on which it was worst."""
        known = found.drop_nulls("bets")
        if known.is_empty():
            return "No margin was held on these days."
        last, worst = known.row(-1, named=True), known.sort("bets", "day").row(0, named=True)
        return (
            f"{counted(last['markets'], 'market')} on {last['day']}, as concentrated as "
            f"{charts.number(last['bets'], 1)} equal margins; largest {last['largest']}, "
            f"{charts.percent(last['largest_share'], 0)} of the margin. Most "
            f"concentrated on {worst['day']}: as {charts.number(worst['bets'], 1)}, {worst['largest']} "
            f"{charts.percent(worst['largest_share'], 0)}; {of}."
        )


# -------------------------------------------------------------------------------------------------------- correlation


def matrix_plot(x_range, y_range):
    """A cell for each pair of markets, by HoloViews; the ground shines through where there is no correlation."""
    import holoviews as hv

    element = hv.HeatMap([("", "", 0.0)], ["market", "other"], "correlation")
    plot, (source,) = charts.drawn(element, 300, "Correlation of markets; the closest pairs stand below",
                                   x_range=x_range, y_range=y_range)  # fmt: skip
    plot.renderers[0].glyph.update(fill_color="color", fill_alpha="alpha", line_alpha=0.0, width=0.94, height=0.9)
    plain_cells(plot)
    plot.grid.visible = False
    plot.xaxis.update(axis_label=None, major_label_orientation="vertical", major_label_text_font_size="10px")
    plot.yaxis.update(axis_label=None, major_label_text_font_size="10px")
    rows = [("", "@market with @other"), ("correlation", "@correlation{0.00}"), ("weeks", "@weeks")]
    charts.hover(plot, plot.renderers[0], rows, mode="mouse")
    return plot, source


class Correlation(OfRisk):
    """How the profits of the markets moved together."""

    title = "Correlation of markets"
    guide = "Of weekly profits: blue together, orange against each other, by sector. Tap a cell to pick both markets."
    columns = ("market", "other", "correlation", "weeks", "color", "alpha")

    def draw(self, columns):
        """A matrix, and words."""
        x_range, y_range, head, text = FactorRange(factors=[]), FactorRange(factors=[]), charts.words(), charts.words()
        self.plot, source = matrix_plot(x_range, y_range)
        source.data = {name: [] for name in self.columns}
        head.text = charts.legend([("+1: together", theme.GAIN), ("-1: against each other", theme.LOSS)])
        models = {"pairs": source, "pairs_x": x_range, "pairs_y": y_range, "pairs_plot": self.plot,
                  "pairs_names": self.plot.xaxis[0], "pairs_text": text}  # fmt: skip
        return charts.column(head, self.plot, text), models

    def wire(self):
        """A tap picks both markets."""
        cells(self.plot, self.board, "pair")
        self.board.verbs["pair"] = self._tapped

    def _tapped(self, asked):
        """Pick the markets of a cell; those that are picked alone are let go."""
        both = [
            name
            for name in dict.fromkeys((str(asked["row"]), str(asked["column"])))
            if name in self.board.names("markets")
        ]
        if both:
            selection = self.board.selection
            selection.pick(markets=[] if sorted(selection.markets) == sorted(both) else both)

    def patch(self, picked):
        """Cells, axes and words of the days picked, of all markets that had a profit or a loss."""
        lacking = self.lacking(picked)
        if lacking:
            return {"pairs_plot": {"visible": False}, "pairs_text": {"text": lacking}}
        daily = self.got("risk").daily
        shares = daily.shares[picked.at - 1, :-1]
        found, weeks = exposure.correlation_matrix(shares, exposure.WEEK, exposure.LEAST)
        order = sorted(range(len(daily.names)), key=lambda k: (daily.sectors[k], daily.names[k]))
        order = [k for k in order if np.nan_to_num(shares[:, k]).any()]
        names = [daily.names[k] for k in order]
        i, j = (axis.ravel() for axis in np.meshgrid(order, order, indexing="ij"))
        value = np.where(i == j, np.nan, found[i, j])
        chosen = markets_of(picked)
        mine = np.array([chosen is None or name in chosen for name in daily.names], bool)
        strength = np.nan_to_num(np.abs(value)) ** 0.8
        tone = np.where(value < 0.0, theme.LOSS, theme.GAIN)
        every = np.array(daily.names, object)
        return {
            "pairs": {
                "data": {
                    "market": every[j], "other": every[i], "correlation": value, "weeks": weeks[i, j].astype(float),
                    "color": np.where(i == j, theme.NEUTRAL, tone).astype(object),
                    "alpha": np.where(i == j, 0.35, strength) * np.where(mine[i] & mine[j], 1.0, 0.3),
                }
            },
            "pairs_x": {"factors": names},
            "pairs_y": {"factors": names[::-1]},
            "pairs_names": {"visible": len(names) <= MOST},
            "pairs_plot": {"visible": len(names) > 1, "height": SIDE * max(len(names), 6) + 78},
            "pairs_text": {"text": self._words(names, found, order, shares, picked)},
        }  # fmt: skip

    def _words(self, names, found, order, shares, picked):
        """The closest pairs, and as how many bets all of it counts."""
        i, j = np.triu_indices(len(order), 1)
        values = found[np.ix_(order, order)][i, j] if len(order) else np.zeros(0)
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            why = f"{exposure.LEAST} weeks with a profit or a loss in both"
            return note(f"No pair of markets has {why} on the days picked, which a correlation needs.")
        high, low = known[np.argmax(values[known])], known[np.argmin(values[known])]
        bets = exposure.independent_bets(np.nan_to_num(shares))
        of = "of the whole run" if not told(picked.chosen) else "of all markets on the days picked"
        ends = [f"{names[i[k]]} with {names[j[k]]} {charts.number(values[k], 2)}" for k in (high, low)]
        return (
            f'<p class="note">Mean of {len(known):,} pairs {charts.number(values[known].mean(), 2)}; highest '
            f"{esc(ends[0])}, lowest {esc(ends[1])}. Together as diversified as {charts.number(bets, 1)} independent "
            f"bets; {of}. A long and a short position in markets that move as one have -1.</p>"
        )
