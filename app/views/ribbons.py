"""Ribbons: every kind of regimes by day, under the equity; a tap picks one, buttons choose the kind of the page."""

import numpy as np
from bokeh.events import Tap
from bokeh.models import BoxSelectTool, ColumnDataSource, FactorRange, Range1d

from app import charts, theme
from app.charts import esc
from app.columns import NOT_NOW
from app.selection import KINDS
from app.view import View, brush, gesture
from app.views.equity import colour, spells

WORDS = {"volatility": "Volatility", "trend": "Trend", "term": "Curve", "risk": "Risk", "states": "States"}
MEANING = {  # what the days of a kind are told apart by
    "volatility": "how much prices move, among the last five years",
    "trend": "the move of the last year",
    "term": "whether rolling costs or pays",
    "risk": "how alike markets move, among the last five years",
    "states": "the likelier state of a model of calm and wild days",
}
WAIT = "Regimes are being worked out …"
ROW = 23  # height of a ribbon [pixels]


def note(text):
    """A sentence where there is no picture, or beneath one; escaped."""
    return f'<p class="note" role="status">{esc(text)}</p>'


class OfRegimes(View):
    """What shows regimes; the first one in sight has them worked out beside the page for all, the quick ones first."""

    def settle(self, picked):
        """Work out the kinds that are not there yet."""
        columns, board = self.board.columns, self.board
        lacking = [kind for kind in KINDS if columns.regimes_now(kind).missing == NOT_NOW]
        busy = vars(board).setdefault("busy", set())
        if not lacking or "regimes" in busy:
            return
        busy.add("regimes")
        now = [kind for kind in lacking if kind != "states"] or lacking
        self.later(lambda: [columns.regimes(kind) for kind in now], lambda _: self._found(busy))

    def _found(self, busy):
        busy.discard("regimes")
        self.board.show(self.board.slice)
        self.board.settle()


# ---------------------------------------------------------------------------------------------------------- ribbons


def curve_plot(source, x_range, y_range, currency):
    """Equity over all days."""
    plot = charts.dated(170, x_range, y_range, "Equity above the regimes of its days")
    charts.money_axis(plot.yaxis, currency)
    plot.yaxis.ticker.desired_num_ticks = 4
    line = plot.line("day", "equity", source=source, color=theme.GAIN, line_width=1.6)
    sign = charts.SIGNS.get(currency, f"{currency} ")
    charts.hover(plot, line, [("", "@day{%F}"), ("equity", f"{sign}@equity{{0,0}}")])
    plot.xaxis.visible = False
    return plot


def ribbon_plot(source, x_range):
    """A row for each kind of regimes, coloured by the regime of the day."""
    rows = FactorRange(factors=[WORDS[kind] for kind in reversed(KINDS)])
    plot = charts.dated(ROW * len(KINDS) + 34, x_range, rows, "Regimes by day; how long each lasted stands below")
    bars = plot.hbar("kind", left="left", right="right", height=0.72, source=source, fill_color="color",
                     fill_alpha="alpha", line_color=None)  # fmt: skip
    charts.hover(plot, bars, [("", "@kind: @regime"), ("from", "@left{%F}"), ("to", "@right{%F}")], mode="mouse")
    plot.hover[0].formatters = {"@left": "datetime", "@right": "datetime"}
    plot.ygrid.visible = False
    return plot


class Ribbons(OfRegimes):
    """Every kind of regimes under the equity."""

    title = "Regimes of the days"
    guide = "Known the evening before, of all markets together. Tap a stretch to pick all days like it; drag over days."

    def draw(self, columns):
        """Two plots over one axis of days, and words."""
        curve = ColumnDataSource({"day": [], "equity": []})
        ribbon = ColumnDataSource({name: [] for name in ("kind", "regime", "left", "right", "color", "alpha")})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        x_range, heights = Range1d(first, last), Range1d(0, 1)
        plots = curve_plot(curve, x_range, heights, columns.currency), ribbon_plot(ribbon, x_range)
        for plot in plots:
            plot.min_border_left = 76
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        plots[0].add_tools(box)
        plots[0].toolbar.active_drag = box
        head, text = charts.words(), charts.words()
        models = {"ribbon_curve": curve, "ribbon": ribbon, "ribbon_y": heights, "ribbon_head": head,
                  "ribbon_text": text, "ribbon_plot": plots[1]}  # fmt: skip
        models |= {f"ribbon_{edge}_{k // 2}": cover for k, (edge, cover) in enumerate(charts.veils(*plots))}
        self.plots = plots
        return charts.column(head, *plots, text), models

    def wire(self):
        """A box picks days; a tap on a ribbon picks its regime."""
        brush(self.plots[0], self.board)
        self.plots[1].js_on_event(Tap, gesture(self.board, "spot", "", self.plots[1], "ribbon"))
        self.board.verbs["ribbon"] = self._tapped

    def patch(self, picked):
        """Curve, ribbons, veils and words of a slice."""
        days, kind = charts.milliseconds(picked.columns.days), picked.chosen["regime"]
        found = {one: picked.columns.regimes_now(one) for one in KINDS}
        low, high = charts.span(picked.curve)
        everywhere = picked.chosen["days"] is None
        left, right = (days[picked.first - 1], days[picked.last]) if picked.count else (days[-1], days[-1])
        veils = {f"ribbon_left_{k}": {"right": float(left), "visible": not everywhere} for k in (0, 1)}
        veils |= {f"ribbon_right_{k}": {"left": float(right), "visible": not everywhere} for k in (0, 1)}
        return {
            "ribbon_curve": {"data": {"day": days, "equity": picked.curve}},
            "ribbon_y": {"start": low, "end": high},
            "ribbon": {"data": self._ribbons(picked, found, days, kind)},
            "ribbon_plot": {"visible": any(one.names for one in found.values())},
            "ribbon_head": {"text": self._head(found, kind)},
            "ribbon_text": {"text": words_of(found)},
        } | veils

    def _ribbons(self, picked, found, days, kind):
        """A row for each stretch of each kind."""
        columns = {name: [] for name in ("kind", "regime", "left", "right", "color", "alpha")}
        for one, told in found.items():
            count = max(len(told.names) - 1, 0)
            for a, b, k in spells(told.code, count) if count else ():
                pale = one == kind and picked.chosen["regimes"] and told.names[k] not in picked.chosen["regimes"]
                values = (
                    WORDS[one],
                    told.names[k],
                    days[max(a - 1, 0)],
                    days[b],
                    colour(k, count),
                    0.25 if pale else 1.0,
                )
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(value)
        kinds = {"left": float, "right": float, "alpha": float}
        return {name: np.array(values, kinds.get(name, object)) for name, values in columns.items()}

    def _head(self, found, kind):
        """Which kind the page is told by; why some are not there."""
        switch = charts.switch("regime", WORDS, kind, "Regimes by", "kind")
        why = {one.missing for one in found.values() if not one.names}
        waiting = "".join(note(WAIT if one == NOT_NOW else one) for one in sorted(why))
        told = f'<span class="note">{MEANING[kind]}</span>'
        return f'<div class="row"><span class="note">This page by</span>{switch}{told}</div>{waiting}'

    def _tapped(self, asked):
        """The regime at a place of a ribbon."""
        kind = next((one for one, words in WORDS.items() if words == asked["row"]), None)
        found = self.board.columns.regimes_now(kind) if kind else None
        if found is None or not found.names:
            return
        days = charts.milliseconds(self.board.columns.days)
        row = min(int(np.searchsorted(days, float(asked["at"]))), len(days) - 1)
        name, selection = found.names[found.code[row]], self.board.selection
        if kind == selection.regime:
            selection.toggle("regimes", name)
        else:
            selection.pick(regime=kind, regimes=[name])


def words_of(found):
    """The colours of each kind in words, and the share of days of each regime."""
    told = []
    for kind, one in found.items():
        count = len(one.names) - 1
        if count < 1:
            continue
        share = np.bincount(one.code[1:], minlength=count + 1) / max(len(one.code) - 1, 1)
        pairs = [(f"{name} {charts.percent(share[k], 0)}", colour(k, count)) for k, name in enumerate(one.names[:-1])]
        told.append(f'<div class="legends"><b>{WORDS[kind]}</b>{charts.legend(pairs)}</div>')
    note = '<p class="note">Percent of all days of the run; where no colour is, nothing was known yet.</p>'
    return f'<div class="keys">{"".join(told)}</div>{note}' if told else ""
