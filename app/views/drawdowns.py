"""Drawdowns: the deepest of them as a table, under water day by day, who caused one, and how they came back."""

from datetime import date

import numpy as np
import polars as pl
from bokeh.core.properties import value
from bokeh.events import Tap
from bokeh.models import BoxSelectTool, ColumnDataSource, CustomJS, FactorRange, LabelSet, Range1d

from app import charts, theme
from app.charts import esc
from app.columns import ACCOUNT
from app.falls import LISTED, falls, spoken
from app.view import View, brush
from app.views.bars import BAR, bars, columns_of
from app.views.equity import drawdown_plot

PATHS = 5  # the deepest, laid over one another, and the one in focus
WORST, BEST, LEAST = 10, 4, 8  # markets that are told by name; rows that there are at least
REST = "all others"
NONE = '<p class="note">Equity never fell below its highest: there is no drawdown in what is picked.</p>'
TAPPED = """
const value = range.factors[Math.floor(cb_obj.y)]
if (names.includes(value)) wish.value = JSON.stringify({do: "toggle", field: "markets", value, n: performance.now()})
"""
HEADS = (  # title, class
    ("No.", ""), ("Depth", ""), ("Fall, {currency}", ""), ("Peak", "text"), ("Trough", "text"), ("Recovery", "text"),
    ("Days down", ""), ("Days up", ""), ("Days", ""), ("Most of the fall", "text"),
)  # fmt: skip


def named(fallen, row):
    """The two markets that lost most, and their shares of the fall."""
    worst = fallen.caused.filter((pl.col("drawdown") == row + 1) & (pl.col("profit") < 0.0)).head(2)
    told = (f"{esc(market)} {charts.percent(share, 0)}" for market, share in worst.select("market", "share").rows())
    return ", ".join(told) or "–"


def table(fallen, days, currency):
    """The deepest drawdowns; a row is a button that picks its days."""
    if not len(fallen.table):
        return NONE
    focus, picked = fallen.focus(days)
    touched, deepest = fallen.touched(days), fallen.table["depth"][0]
    head = "".join(
        f'<th scope="col"{f" class={kind}" if kind else ""}>{title.format(currency=esc(currency))}</th>'
        for title, kind in HEADS
    )
    rows = []
    for k, row in enumerate(fallen.table.head(LISTED).iter_rows(named=True)):
        here = picked and k == focus
        ask = f'data-do="drawdown" data-peak="{row["peak"]}"'
        label = f"Drawdown {k + 1}, {spoken(fallen.table, k)}"
        pressed = str(here).lower()
        button = f'<button type="button" {ask} aria-pressed="{pressed}" aria-label="{label}">{k + 1}</button>'
        share = row["depth"] / deepest * 100.0
        cells = [
            f"<td>{button}</td>",
            f'<td class="share" style="--share:{share:.1f}%">{charts.percent(row["depth"])}</td>',
            f"<td>{charts.number(row['fall'])}</td>",
            *(f'<td class="text">{row[name] or "not yet"}</td>' for name in ("peak", "trough", "recovery")),
            *(f"<td>{charts.number(row[name])}</td>" for name in ("days_down", "days_up", "days")),
            f'<td class="text">{named(fallen, k)}</td>',
        ]
        kind = "picked" if here else "" if touched[k] else "pale"
        rows.append(f'<tr {ask} class="{kind}">{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="rows"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f"</div>{_counted(fallen)}"
    )


def _counted(fallen):
    count, open_ = len(fallen.table), int(fallen.table["recovery"].null_count())
    shown = f"The {LISTED} deepest of {charts.number(count)} drawdowns" if count > LISTED else "All drawdowns"
    last = " The last one is not made good yet." if open_ else ""
    return (
        f'<p class="note">{shown}, of all days under the filters; days are calendar days. A row picks the days from '
        f"its peak to its recovery, once more picks all again.{last}</p>"
    )


class DrawdownTable(View):
    """The deepest drawdowns, a row each."""

    title = "Deepest drawdowns"
    guide = "From the last day at a peak to the first day back there; pick a row, and all views show its days."
    saves = ("csv",)

    def draw(self, columns):
        """One block of words: a table that can be read aloud, copied and picked from."""
        block = charts.words()
        return block, {"drawdown_table": block}

    def patch(self, picked):
        """The table of a slice."""
        told = table(falls(picked), picked.chosen["days"], picked.columns.currency)
        return {"drawdown_table": {"text": told}}

    def wire(self):
        """A row picks its days."""
        self.board.verbs["drawdown"] = self._pick

    def _pick(self, asked):
        fallen, peak = falls(self.board.slice), date.fromisoformat(asked["peak"])
        found = np.flatnonzero(fallen.table["peak"].to_numpy() == np.datetime64(peak))
        if not len(found):
            raise ValueError(f"no drawdown of what is picked begins after {peak}: pick one of the rows shown")
        span = tuple(fallen.spans[found[0]].astype(object).tolist())
        self.board.selection.days = None if self.board.selection.days == span else span


class Underwater(View):
    """How far below its peak the account was, day by day."""

    title = "Under water"
    guide = "Loss since the highest equity so far; drag over days to pick them. Numbers are those of the deepest below."

    def draw(self, columns):
        """One figure over all days, and the numbers at the troughs."""
        source = ColumnDataSource({"day": [], "drawdown": []})
        marks = ColumnDataSource({"day": [], "drawdown": [], "number": []})
        first, last = charts.milliseconds(columns.days[[0, -1]])
        depths = Range1d(-1, 0)
        plot = self.plot = drawdown_plot(source, Range1d(first, last, bounds=(first, last)), depths)
        plot.update(height=210, min_border_left=64)
        plot.yaxis.ticker.desired_num_ticks = 5
        plot.scatter("day", "drawdown", source=marks, size=5, color=theme.LOSS, line_color=None)
        plot.add_layout(
            LabelSet(
                x="day", y="drawdown", text="number", source=marks, y_offset=-4, text_baseline="top",
                text_align="center", text_font=value(theme.FONT), text_font_size="11px", text_font_style="bold",
                text_color=theme.NEUTRAL_INK,
            )
        )  # fmt: skip
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        plot.add_tools(box)
        plot.toolbar.active_drag = box
        text = charts.words()
        models = {
            "underwater_plot": plot,
            "underwater": source,
            "underwater_marks": marks,
            "underwater_y": depths,
            "underwater_text": text,
        }
        models |= {f"underwater_{edge}": cover for edge, cover in charts.veils(plot)}
        return charts.column(plot, text), models

    def patch(self, picked):
        """Depth, numbers and veils of a slice."""
        fallen, days = falls(picked), charts.milliseconds(picked.columns.days)
        top, whole = fallen.table.head(PATHS), picked.chosen["days"] is None
        left, right = (days[picked.first - 1], days[picked.last]) if picked.first <= picked.last else (days[-1],) * 2
        low = charts.span(fallen.depth, 0.0)[0]
        marks = {
            "day": charts.milliseconds(top["trough"].to_numpy()),
            "drawdown": top["depth"].to_numpy(),
            "number": np.array([str(k + 1) for k in range(len(top))], object),
        }
        return {
            "underwater_plot": {"visible": bool(len(top))},
            "underwater": {"data": {"day": days, "drawdown": fallen.depth}},
            "underwater_marks": {"data": marks},
            "underwater_y": {"start": low * 1.12 if len(top) else low, "end": 0.0},
            "underwater_text": {"text": describe(fallen)},
            "underwater_left": {"right": float(left), "visible": not whole},
            "underwater_right": {"left": float(right), "visible": not whole},
        }

    def wire(self):
        """A box picks days, a click picks all again."""
        brush(self.plot, self.board)


def describe(fallen):
    """How long and how deep it was under water, in a sentence."""
    if not len(fallen.table):
        return NONE
    below = fallen.depth < 0.0
    now = f"; {charts.percent(fallen.depth[-1])} on the last day" if below[-1] else "; at its highest on the last day"
    longest = int(fallen.table["days"].to_numpy().max())
    return (
        f'<p class="note">Below its highest on {charts.percent(float(below[1:].mean()), 0)} of all days, at most '
        f"{charts.percent(float(np.nanmin(fallen.depth)))}; the longest drawdown lasted {charts.number(longest)} "
        f"calendar days{now}.</p>"
    )


class DrawdownCauses(View):
    """What each market earned while the account fell."""

    title = "Who caused it"
    guide = "Profit of each market from the peak to the trough of the drawdown picked, or of the deepest one."

    def draw(self, columns):
        """A bar a market, the worst on top; as many rows whatever is picked."""
        source = ColumnDataSource({"name": [], "profit": [], "color": [], "alpha": []})
        self.rows = min(max(len(columns.roots) + 1, LEAST), WORST + BEST + 1)
        x_range, y_range, text = Range1d(-1, 1), FactorRange(factors=blank(self.rows)), charts.words()
        plot = self.plot = bars(source, x_range, y_range, columns.currency, "Profit by market; its words stand above")
        plot.height = BAR * self.rows + 44
        models = {"fall_plot": plot, "fall": source, "fall_names": y_range, "fall_x": x_range, "fall_text": text}
        return charts.column(text, plot), models

    def patch(self, picked):
        """Bars and words of the drawdown in focus."""
        fallen = falls(picked)
        row, _ = fallen.focus(picked.chosen["days"])
        names, amounts, chosen = caused(fallen, row, picked)
        low, high = charts.span(amounts, 0.0)
        data = columns_of(names, amounts, chosen)
        data["color"][[name == REST for name in names]] = theme.NEUTRAL
        return {
            "fall_plot": {"visible": bool(names)},
            "fall_names": {"factors": [*blank(self.rows - len(names)), *names]},
            "fall": {"data": data},
            "fall_x": {"start": low, "end": high},
            "fall_text": {"text": blame(fallen, row, picked)},
        }

    def wire(self):
        """A tap picks a market; rows that are none do nothing."""
        arguments = {"wish": self.board.wish, "names": self.board.columns.roots, "range": self.plot.y_range}
        self.plot.js_on_event(Tap, CustomJS(args=arguments, code=TAPPED))


def blank(count):
    """Names of rows without a bar, each another, none to be seen."""
    return [" " * (k + 1) for k in range(count)]


def caused(fallen, row, picked):
    """(names, profits, whether picked) of the bars of a drawdown from below: the rest, then who earned most."""
    if row is None:
        return [], np.zeros(0), np.zeros(0, bool)
    amounts, names = fallen.earned(row), np.array([*picked.columns.roots, ACCOUNT], object)
    order = np.argsort(-amounts, kind="stable")
    order = order[amounts[order] != 0.0]
    if len(order) <= WORST + BEST + 1:
        return names[order].tolist(), amounts[order], picked.root_picked[order]
    best, rest, worst = np.split(order, [BEST, len(order) - WORST])
    rows = np.concatenate([best, worst])
    told = np.concatenate([[amounts[rest].sum()], amounts[rows]])
    chosen = np.concatenate([[picked.root_picked[rest].any()], picked.root_picked[rows]])
    return [REST, *names[rows]], told, chosen


def blame(fallen, row, picked):
    """Who lost and who earned, in a sentence."""
    if row is None:
        return '<p class="note">No drawdown has a day among those picked.</p>' if len(fallen.table) else NONE
    currency = picked.columns.currency
    fall, peak, trough, depth = fallen.table.select("fall", "peak", "trough", "depth").row(row)
    amounts = fallen.earned(row)[picked.root_picked]
    lost, won = amounts[amounts < 0.0], amounts[amounts > 0.0]
    sums = (charts.money(abs(float(part.sum())), currency) for part in (lost, won))
    parts = [
        f"{len(part)} {'lost' if part is lost else 'earned'} {esc(amount)}"
        for part, amount in zip((lost, won), sums, strict=True)
        if len(part)
    ]
    return (
        f'<p class="note"><b>No. {row + 1}</b>, {peak} to {trough}: {esc(charts.money(fall, currency))} '
        f"({charts.percent(depth)}). Of the markets, interest and fees as one, {' and '.join(parts)}.</p>"
    )


class Recoveries(View):
    """The deepest drawdowns from their peaks on."""

    title = "Recovery paths"
    guide = "The deepest five laid over one another, from their peaks on; the one picked stands out."

    def draw(self, columns):
        """A line each, and one more for a drawdown in focus that is not among the deepest."""
        hv = charts.holoviews()
        lines = [
            hv.Curve([(0.0, 0.0)], "days", "depth").opts(color=colour, line_width=1.8)
            for colour in theme.RUNS[: PATHS + 1]
        ]
        x_range, y_range = Range1d(0, 1), Range1d(-1, 0)
        told = "Loss by days since the peak, the deepest drawdowns; their words stand below"
        plot, sources = charts.drawn(hv.Overlay(lines), 300, told, x_range=x_range, y_range=y_range)
        charts.percent_axis(plot.yaxis[0])
        plot.update(min_border_left=64)
        plot.xaxis.axis_label, plot.yaxis.axis_label = "calendar days since the peak", None
        plot.xgrid.visible = False
        key, self.plot = charts.words(), plot
        models = {f"path_{k}": source for k, source in enumerate(sources)}
        models |= {f"path_{k}_line": renderer.glyph for k, renderer in enumerate(plot.renderers)}
        return charts.column(key, plot), models | {
            "paths_x": x_range,
            "paths_y": y_range,
            "paths_key": key,
            "paths_plot": plot,
        }

    def patch(self, picked):
        """Lines of the deepest, and how each stands out."""
        fallen = falls(picked)
        focus, chosen = fallen.focus(picked.chosen["days"])
        rows = list(range(min(PATHS, len(fallen.table))))
        if chosen and focus not in rows:
            rows.append(focus)
        found, far, deep = {}, 1.0, 0.0
        for k in range(PATHS + 1):
            days, depth = path(fallen, rows[k]) if k < len(rows) else (np.zeros(0), np.zeros(0))
            far, deep = max(far, days[-1] if len(days) else 0.0), min(deep, depth.min(initial=0.0))
            here = chosen and k < len(rows) and rows[k] == focus
            found[f"path_{k}"] = {"data": {"days": days, "depth": depth}}
            found[f"path_{k}_line"] = {
                "line_width": 3.2 if here else 1.8, "line_alpha": 0.4 if chosen and not here else 1.0,
            }  # fmt: skip
        found["paths_plot"] = {"visible": bool(rows)}
        found["paths_x"] = {"start": 0.0, "end": float(far)}
        found["paths_y"] = {"start": float(deep) * 1.05 or -1.0, "end": 0.0}
        found["paths_key"] = {"text": key(fallen, rows, focus if chosen else None)}
        return found


def path(fallen, row):
    """Days since the peak, and depth, from the peak to the recovery or to the last day. [calendar days, fraction]"""
    first = int(np.searchsorted(fallen.daily.days, fallen.spans[row, 0])) - 1
    last = int(np.searchsorted(fallen.daily.days, fallen.spans[row, 1]))
    days = fallen.daily.days[first : last + 1]
    return (days - days[0]).astype(float), fallen.depth[first : last + 1]


def key(fallen, rows, focus):
    """The lines by name; each is a button that picks its days."""
    if not rows:
        return NONE
    made = []
    for colour, row in zip(theme.RUNS, rows, strict=False):
        told = f"{row + 1}: {spoken(fallen.table, row)}, {charts.percent(fallen.table['depth'][row])}"
        made.append(
            f'<button type="button" data-do="drawdown" data-peak="{fallen.table["peak"][row]}" '
            f'aria-pressed="{str(row == focus).lower()}"><i style="background:{colour}"></i>{told}</button>'
        )
    return f'<div class="legend">{"".join(made)}</div>'
