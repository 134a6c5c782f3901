"""Equity over regimes, beside its benchmark, and drawdown beneath it on the same days; a box over days picks them."""

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, CustomJSTickFormatter, FixedTicker, Range1d

from app import charts, theme
from app.charts import esc
from app.columns import NOT_NOW
from app.selection import told
from app.view import View, brush
from app.ways import Way
from engine.risk import drawdown

SCALES = {"money": "Money", "percent": "Percent"}
AXES = {"linear": "Linear", "log": "Log"}
KINDS = {"volatility": "Volatility", "trend": "Trend", "term": "Curve", "risk": "Risk", "states": "States"}
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # of ticks, in their power of ten
TICKS = """
const mode = range.tags
const value = mode[1] === "log" ? 10 ** tick : tick
if (mode[0] === "percent") return String(Number((100 * (mode[1] === "log" ? value - 1 : value)).toPrecision(4))) + " %"
const size = Math.abs(value)
const [unit, letter] = size >= 1e9 ? [1e9, "B"] : size >= 1e6 ? [1e6, "M"] : size >= 1e3 ? [1e3, "k"] : [1, ""]
return (value < 0 ? "-" : "") + sign + String(Number((size / unit).toPrecision(5))) + letter
"""


def equity_plot(source, whole, regimes, x_range, y_range, currency):
    """Equity of the account, or the capital paid in plus the profit of what is picked; regimes are behind it."""
    plot = charts.dated(300, x_range, y_range, "Equity by day; its words stand below")
    sign = charts.SIGNS.get(currency, f"{currency} ")
    plot.yaxis.formatter = CustomJSTickFormatter(args={"sign": sign, "range": y_range}, code=TICKS)
    plot.extra_y_ranges = {"behind": Range1d(0, 1)}
    plot.quad("left", "right", 1, 0, source=regimes, color="color", fill_alpha=0.16, line_color=None,
              y_range_name="behind", level="underlay")  # fmt: skip
    plot.line("day", "whole", source=whole, color=theme.WHOLE, line_width=1.2)
    plot.line("day", "benchmark", source=whole, color=theme.LOSS, line_width=1.3, line_dash=[5, 3])
    line = plot.line("day", "equity", source=source, color=theme.GAIN, line_width=1.8)
    rows = [("", "@day{%F}"), ("equity", f"{sign}@amount{{0,0}}"), ("drawdown", "@drawdown{0.0 %}")]
    charts.hover(plot, line, rows)
    return plot


def drawdown_plot(source, x_range, y_range):
    """Loss since the highest equity so far."""
    plot = charts.dated(130, x_range, y_range, "Drawdown by day; its words stand below the equity")
    charts.percent_axis(plot.yaxis)
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.varea("day", "drawdown", 0, source=source, fill_color=theme.LOSS, fill_alpha=0.3)
    line = plot.line("day", "drawdown", source=source, color=theme.LOSS, line_width=1)
    charts.hover(plot, line, [("", "@day{%F}"), ("drawdown", "@drawdown{0.0 %}")])
    return plot


def scaled(curve, capital, scale, axis):
    """A curve as it stands on the axis: money or its growth, linear or its decimal logarithm."""
    values = curve if scale == "money" else curve / capital - (axis == "linear")
    return np.log10(np.where(values > 0.0, values, np.nan)) if axis == "log" else values


def ticks(low, high, axis, scale, most=6):
    """Places of ticks between two ends of an axis, round in what they stand for.

    >>> ticks(0.0, 10.0, "linear", "money"), [round(10**t) for t in ticks(6.0, 7.6, "log", "money")]
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1000000, 2000000, 5000000, 10000000, 20000000])
    """
    if not high > low:
        return []
    if axis == "log" and high - low > 0.6:
        steps = (1.0, 2.0, 5.0) if high - low < 3.0 else (1.0,)
        every = [step * 10.0**power for power in range(int(np.floor(low)), int(np.ceil(high)) + 1) for step in steps]
        return [float(np.log10(value)) for value in every if low <= np.log10(value) <= high]
    ends = (10.0**low, 10.0**high) if axis == "log" else (low, high)
    if axis == "log" and scale == "percent":
        ends = (ends[0] - 1.0, ends[1] - 1.0)
    raw = (ends[1] - ends[0]) / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(step for step in STEPS if step * power >= raw * (1.0 - 1e-12)) * power
    places = [k * step for k in range(int(np.ceil(ends[0] / step - 1e-9)), int(np.floor(ends[1] / step + 1e-9)) + 1)]
    if axis == "log":
        return [float(np.log10(place + (scale == "percent"))) for place in places]
    return [float(place) for place in places]


def spells(code, count):
    """First row, last row and code of each stretch of one regime; unknown days are none.

    >>> spells(np.array([3, 0, 0, 1, 3, 1]), 3)
    [(1, 2, 0), (3, 3, 1), (5, 5, 1)]
    """
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    ends = np.append(starts[1:], len(code)) - 1
    return [(int(a), int(b), int(code[a])) for a, b in zip(starts, ends, strict=True) if code[a] < count]


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
    guide = "What the account was worth, as far as what is picked made it; beneath, what it had lost since its peak."
    scale, axis = Way("scale", SCALES, "money"), Way("axis", AXES, "linear")

    def draw(self, columns):
        """Two plots over one axis of days."""
        curve = ColumnDataSource({name: [] for name in ("day", "equity", "amount", "drawdown")})
        behind = ColumnDataSource({name: [] for name in ("day", "whole", "benchmark")})
        regimes = ColumnDataSource({name: [] for name in ("left", "right", "color", "regime")})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        x_range = Range1d(first, last, bounds=(first, last))
        heights, depths = Range1d(0, 1), Range1d(-1, 0)
        plots = (
            equity_plot(curve, behind, regimes, x_range, heights, columns.currency),
            drawdown_plot(curve, x_range, depths),
        )
        places = FixedTicker(ticks=[])
        plots[0].yaxis.ticker = places
        plots[0].ygrid.ticker = places
        for plot in plots:
            plot.min_border_left = 64
            box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
            plot.add_tools(box)
            plot.toolbar.active_drag = box
        plots[0].xaxis.visible = False
        plots[0].min_border_bottom = 6
        head, text = charts.words(), charts.words()
        head.margin = text.margin = 0
        models = {"curve": curve, "behind": behind, "equity_regimes": regimes, "equity_y": heights,
                  "equity_ticks": places, "drawdown_y": depths, "equity_head": head, "equity_text": text}  # fmt: skip
        models |= {f"veil_{edge}_{k // 2}": cover for k, (edge, cover) in enumerate(charts.veils(*plots))}
        self.plots = plots
        self.benchmark = benchmark_of(columns)
        self.gestures = {"equity_plot": plots[0], "drawdown_plot": plots[1]}
        return charts.column(head, *plots, text), models

    def settle(self, picked):
        """Work out the regimes, which need the market of the run, beside the page."""
        kind = self.board.selection.regime
        if picked.columns.regimes_now(kind).missing == NOT_NOW:
            self.later(lambda: picked.columns.regimes(kind), lambda _: self.board.show(self.board.slice))

    def wire(self):
        """A box picks days, a click picks all again; buttons choose the axis and the regimes."""
        for plot in self.plots:
            brush(plot, self.board)
        self.board.verbs["equity"] = self._chosen

    def _chosen(self, asked):
        """Another axis."""
        if asked.get("value") in SCALES:
            self.scale = asked["value"]
        elif asked.get("value") in AXES:
            self.axis = asked["value"]
        self.apply(self.board.slice)

    def patch(self, picked):
        """Curve, axes, regimes and veils of a slice."""
        columns = picked.columns
        days, curve = charts.milliseconds(columns.days), picked.curve
        depth = drawdown(picked.grown)
        capital, axis = columns.capital, self.axis if curve.min() > 0.0 else "linear"
        shown = scaled(curve if self.scale == "money" else picked.grown, capital, self.scale, axis)
        partial = bool(told(picked.chosen))
        other = self.board.whole.curve if partial else np.full(len(days), np.nan)
        lines = [scaled(line, capital, self.scale, axis) for line in (other, self.benchmark)]
        low, high = charts.span(np.concatenate([shown, *lines]))
        bottom = charts.span(depth, 0.0)[0]
        everywhere = picked.chosen["days"] is None
        left, right = (
            (days[picked.first - 1], days[picked.last]) if picked.first <= picked.last else (days[-1], days[-1])
        )
        return {
            "curve": {"data": {"day": days, "equity": shown, "amount": curve, "drawdown": depth}},
            "behind": {"data": {"day": days, "whole": lines[0], "benchmark": lines[1]}},
            "equity_regimes": {"data": self._regimes(picked, days)},
            "equity_y": {"start": low, "end": high, "tags": [self.scale, axis]},
            "equity_ticks": {"ticks": ticks(low, high, axis, self.scale)},
            "drawdown_y": {"start": bottom, "end": 0.0},
            "equity_head": {"text": self._head(picked, partial)},
            "equity_text": {"text": describe(picked, curve, depth)},
            **{f"veil_left_{k}": {"right": float(left), "visible": not everywhere} for k in (0, 1)},
            **{f"veil_right_{k}": {"left": float(right), "visible": not everywhere} for k in (0, 1)},
        }

    def _regimes(self, picked, days):
        """Stretches of days of one regime, and their colours."""
        found = picked.regimes
        parts = spells(found.code, len(found.names) - 1)
        return {
            "left": np.array([days[max(a - 1, 0)] for a, _, _ in parts]),
            "right": np.array([days[b] for _, b, _ in parts]),
            "color": np.array([colour(k, len(found.names) - 1) for _, _, k in parts], object),
            "regime": np.array([found.names[k] for _, _, k in parts], object),
        }

    def _head(self, picked, partial):
        """Buttons, and what the lines and colours are."""
        kind, found = picked.chosen["regime"], picked.regimes
        lines = [("what is picked" if partial else "equity", theme.GAIN)]
        lines += [("the whole run", theme.WHOLE)] if partial else []
        lines += [(f"benchmark: {self.board.columns.run.summary['benchmark']['name']}", theme.LOSS)] if np.isfinite(
            self.benchmark).any() else []  # fmt: skip
        count = len(found.names) - 1
        lines += [(name, colour(k, count) + "55") for k, name in enumerate(found.names[:-1])]
        missing = "" if found.names else f'<p class="note">{esc(found.missing)}</p>'
        return (
            f'<div class="row">{charts.legend(lines)}<span class="push"></span>'
            f"{charts.switch('regime', KINDS, kind, 'Regimes behind the curve by', 'kind')}"
            f"{charts.switch('equity', SCALES, self.scale, 'Unit')}{charts.switch('equity', AXES, self.axis, 'Axis')}"
            f"</div>{missing}"
        )


def colour(code, count):
    """Colour of a regime: the first and the last are the ends, what is between them is grey."""
    return theme.REGIMES[code] if count > 2 else theme.REGIMES[2 * code]


def benchmark_of(columns):
    """The worth of the benchmark on the days of a run, nan where there is none. (T + 1,) [account currency]"""
    worth = np.full(len(columns.days), np.nan)
    if "benchmark" in columns.run.summary:
        table = columns.run.benchmark()
        rows = np.searchsorted(columns.days, table["day"].to_numpy().astype("datetime64[D]"))
        worth[rows] = table["benchmark"].fill_null(np.nan).to_numpy()
    return worth
