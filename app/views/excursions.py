"""How far each trade was against its holder and for him; and how winners and losers followed one another."""

import numpy as np
from bokeh.models import CustomJS, CustomJSTickFormatter, Range1d, TapTool

from app import charts, theme
from app.charts import esc
from app.source import NoSource, excursions_of
from app.view import View
from app.ways import Way

POINTS = 5_000  # drawn at most
LONGEST = 12  # streaks that are as long or longer share the last bar
UNITS = {"money": "Money", "r": "R", "ranges": "True ranges"}
LABELS = {"money": "{currency}", "r": "R, the money at risk at the entry", "ranges": "average true ranges"}
LOADING = '<p class="note" role="status">Computing: reading the highs and lows of every market …</p>'
PICKED = """
const [row] = points.selected.indices
if (row === undefined) return
points.selected.indices = []
wish.value = JSON.stringify({do: "trade", trade: points.data.trade[row], turn: 1, n: performance.now()})
"""


def chosen(net, most=POINTS):
    """Which trades are drawn: all, or those with the largest results either way, in their order. (point,)

    >>> chosen(np.array([1.0, -5.0, 3.0]), 2).tolist()
    [1, 2]
    """
    if len(net) <= most:
        return np.arange(len(net))
    return np.sort(np.argpartition(-np.abs(net), most)[:most])


class Excursions(View):
    """Furthest against and furthest for the holder, a point a trade."""

    title = "Against and for: MAE and MFE"
    guide = "Left: how far a trade was against its holder at worst; up: how far for him at best. A tap opens the trade."
    unit = Way("excursion", UNITS, "money")

    def draw(self, columns):
        """A scatter, read of the market's highs and lows when first seen."""
        hv = charts.holoviews()
        self.found, self.reason, self.begun = None, "", False
        made = hv.Scatter(([0.0], [0.0]), "adverse", "favourable").opts(size=6, alpha=0.55, line_color=None)
        told = "Trades by how far they were against and for their holder; its words stand above"
        x_range, y_range = Range1d(-1, 0), Range1d(0, 1)
        plot, (source,) = charts.drawn(made, 300, told, x_range=x_range, y_range=y_range)
        points = plot.renderers[0]
        source.data = {name: [] for name in ("adverse", "favourable", "net", "color", "trade", "market")}
        points.glyph.update(fill_color="color", line_color=None)
        points.nonselection_glyph = points.selection_glyph = None
        plot.add_tools(TapTool(renderers=[points]))
        numbers = [("trade", "@trade @market"), ("against", "@adverse{0,0.[00]}"), ("for", "@favourable{0,0.[00]}"),
                   ("net", "@net{0,0}")]  # fmt: skip
        charts.hover(plot, points, numbers, mode="mouse")
        for axis in (*plot.xaxis, *plot.yaxis):
            axis.formatter = CustomJSTickFormatter(code=SHORT)
            axis.ticker.desired_num_ticks = 5
        plot.update(min_border_left=64)
        self.points, self.plot, text = source, plot, charts.words()
        models = {
            "excursions": source, "excursions_x": x_range, "excursions_y": y_range, "excursions_text": text,
            "excursions_plot": plot, "excursions_across": plot.xaxis[0], "excursions_up": plot.yaxis[0],
        }  # fmt: skip
        return charts.column(text, plot), models

    def patch(self, picked):
        """Points of a slice, once they are known."""
        if self.found is None:
            words = f'<p class="warning" role="note">{esc(self.reason)}</p>' if self.reason else LOADING
            return {"excursions_text": {"text": words}, "excursions_plot": {"visible": False}}
        rows, columns = picked.trades, picked.columns
        against, gained = (self.found[f"{name}_{self.unit}"].to_numpy()[rows] for name in ("adverse", "favourable"))
        net = columns.trade["net"][rows]
        known = np.flatnonzero(np.isfinite(against + gained))
        drawn = known[chosen(net[known])]
        against, gained, net, rows = against[drawn], gained[drawn], net[drawn], rows[drawn]
        label = LABELS[self.unit].format(currency=columns.currency)
        data = {
            "adverse": against, "favourable": gained, "net": net,
            "color": np.where(net < 0.0, theme.LOSS, theme.GAIN).astype(object),
            "trade": columns.table["trade"].to_numpy()[rows],
            "market": np.array([*columns.roots, ""], object)[columns.line_root[columns.trade["line"][rows]]],
        }  # fmt: skip
        low, high = charts.span(against, 0.0)[0], charts.span(gained, 0.0)[1]
        return {
            "excursions": {"data": data},
            "excursions_x": {"start": low if low < 0.0 else -1.0, "end": 0.0},
            "excursions_y": {"start": 0.0, "end": high if high > 0.0 else 1.0},
            "excursions_text": {
                "text": self._buttons() + spoken(picked, self.found, self.unit, len(known), len(drawn))
            },
            "excursions_plot": {"visible": bool(len(drawn))},
            "excursions_across": {"axis_label": f"furthest against, {label}"},
            "excursions_up": {"axis_label": f"furthest for, {label}"},
        }

    def _buttons(self):
        there = {
            unit: words for unit, words in UNITS.items() if self.found[f"adverse_{unit}"].null_count() < len(self.found)
        }
        return (
            f'<div class="row"><span class="push"></span>{charts.switch("excursion", there, self.unit, "Unit")}</div>'
        )

    def settle(self, picked):
        """Read highs and lows beside the page, once."""
        if self.begun:
            return
        self.begun, columns = True, self.board.columns

        def compute():
            try:
                return excursions_of(columns), ""
            except NoSource as error:
                return None, f"There are no excursions: they need the market of the run; {error}."

        def show(found):
            self.found, self.reason = found
            self.apply(self.board.slice)

        self.later(compute, show)

    def wire(self):
        """A tap opens the trade, buttons choose the unit."""
        self.points.selected.js_on_change(
            "indices", CustomJS(args={"points": self.points, "wish": self.board.wish}, code=PICKED)
        )
        self.board.verbs["excursion"] = self._unit

    def _unit(self, asked):
        if asked["value"] in UNITS:
            self.unit = asked["value"]
            self.apply(self.board.slice)


def spoken(picked, found, unit, known, drawn):
    """The middle of both, and what is not drawn, in a sentence."""
    if not len(picked.trades):
        return '<p class="note">No trade is picked: widen the filters.</p>'
    if not known:
        return '<p class="note">Of no trade picked both excursions are known in this unit.</p>'
    against, gained = (found[f"{name}_{unit}"].to_numpy()[picked.trades] for name in ("adverse", "favourable"))
    won = picked.columns.trade["net"][picked.trades] > 0.0
    parts = []
    for word, mine in (("winners", won), ("losers", ~won)):
        told = np.isfinite(against + gained) & mine
        if told.any():
            pair = [
                _amount(float(np.median(values[told])), unit, picked.columns.currency) for values in (against, gained)
            ]
            parts.append(f"{word} were {pair[0]} against and {pair[1]} for their holder in the median")
    count = charts.number(len(picked.trades))
    some = f"the {charts.number(drawn)} largest results" if drawn < known else f"{charts.number(drawn)}"
    return f'<p class="note">{some} of {count} trades drawn; {"; ".join(parts)}.</p>'


def _amount(value, unit, currency):
    return (
        esc(charts.money(value, currency))
        if unit == "money"
        else f"{charts.number(value, 2)} {'R' if unit == 'r' else 'ranges'}"
    )


SHORT = """
const size = Math.abs(tick)
const [unit, letter] = size >= 1e6 ? [1e6, "M"] : size >= 1e3 ? [1e3, "k"] : [1, ""]
return String(Number((tick / unit).toPrecision(6))) + letter
"""


class Streaks(View):
    """Winners and losers in a row."""

    title = "Streaks"
    guide = "How many streaks were how long, by day of exit; dots: if trades won by chance, each for itself."

    def draw(self, columns):
        """Bars of winners upward, of losers downward."""
        hv = charts.holoviews()
        ends = ([1.0], [0.0])
        bars = [hv.Rectangles([(0.6, 0.0, 1.4, 1.0)], ["left", "bottom", "right", "top"]).opts(alpha=0.9)]
        dots = [hv.Scatter(ends, "length", "expected").opts(color=theme.NEUTRAL_INK, line_color=None, size=6)]
        told = "Number of streaks by their length, winners above, losers below; its words stand below"
        x_range, y_range = Range1d(0.4, LONGEST + 0.6), Range1d(-1, 1)
        plot, sources = charts.drawn(hv.Overlay(bars + dots), 360, told, x_range=x_range, y_range=y_range)
        sources[0].data = {name: [] for name in ("left", "bottom", "right", "top", "color")}
        plot.renderers[0].glyph.update(fill_color="color", line_color=None)
        plot.xaxis.axis_label, plot.yaxis.axis_label = "trades in a row", "streaks: won above, lost below"
        plot.xaxis.ticker = list(range(1, LONGEST + 1))
        plot.xaxis.formatter = CustomJSTickFormatter(code=f'return tick < {LONGEST} ? String(tick) : "{LONGEST}+"')
        plot.yaxis.formatter = CustomJSTickFormatter(code="return String(Math.abs(tick))")
        plot.xgrid.visible = False
        plot.update(min_border_left=64)
        charts.zero_line(plot)
        self.plot, text = plot, charts.words()
        models = {
            "streaks_plot": plot,
            "streaks": sources[0],
            "streaks_chance": sources[1],
            "streaks_y": y_range,
            "streaks_text": text,
        }
        return charts.column(plot, text), models

    def patch(self, picked):
        """Bars, dots and words of a slice."""
        from engine.analysis.trade_stats import streaks

        net = picked.columns.trade["net"][picked.trades[::-1]]  # the oldest exit first
        found = streaks(net)
        counts, chance = gathered(found)
        length = np.arange(1, LONGEST + 1)
        sign = np.repeat([1.0, -1.0], LONGEST)
        x, high = np.tile(length, 2).astype(float), counts.ravel() * sign
        data = {
            "left": x - 0.38, "bottom": np.minimum(high, 0.0), "right": x + 0.38, "top": np.maximum(high, 0.0),
            "color": np.repeat(np.array([theme.GAIN, theme.LOSS], object), LONGEST),
        }  # fmt: skip
        shown = chance.ravel() > 0.0
        dots = {"length": x[shown], "expected": (chance.ravel() * sign)[shown]}
        low, top = charts.span(np.concatenate([high, dots["expected"]]), 0.0)
        return {
            "streaks_plot": {"visible": bool(len(net))}, "streaks": {"data": data}, "streaks_chance": {"data": dots},
            "streaks_y": {"start": low, "end": top}, "streaks_text": {"text": rows_told(found, len(net))},
        }  # fmt: skip


def gathered(found):
    """Counts and expected counts of lengths up to LONGEST, the longer ones in the last; each (won or lost, length)."""
    counts, chance = np.zeros((2, LONGEST)), np.zeros((2, LONGEST))
    for won, length, count, expected in found.rows():
        place = 0 if won else 1, min(length, LONGEST) - 1
        counts[place] += count
        chance[place] += expected
    return counts, chance


def rows_told(found, count):
    """The longest ones in a sentence."""
    if not count:
        return '<p class="note">No trade is picked: widen the filters.</p>'
    parts = []
    for won, word in ((True, "won"), (False, "lost")):
        mine = found.filter(found["won"] == won)
        if len(mine):
            longest, expected = int(mine["length"].max()), float(mine["expected"][-1])
            chance = "less than 0.01" if expected < 0.01 else charts.number(expected, 2)
            parts.append(f"{longest} {word} ({chance} so long by chance)")
    return f'<p class="note">Most in a row: {", ".join(parts) or "none"}; of {charts.number(count)} trades.</p>'
