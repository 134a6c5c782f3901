"""Risk: value at risk of what is picked, whether the losses kept to it, and whose part of it is how large."""

from typing import NamedTuple

import numpy as np
import polars as pl
from bokeh.models import BoxSelectTool, ColumnDataSource, FactorRange, Range1d

from app import charts, theme
from app.charts import esc
from app.selection import told
from app.view import brush, taps
from app.views.bars import BAR
from app.views.worked import Worked, cell, note, table
from app.ways import Way
from engine.analysis import forecasts, value_at_risk
from engine.analysis.daily import ACCOUNT, Daily, once
from engine.analysis.exposure import Held

METHODS = {"history": "As it was", "gaussian": "Normal", "cornish-fisher": "Cornish-Fisher", "filtered": "Filtered"}
MEANING = {
    "history": "the days as they were",
    "gaussian": "a normal distribution",
    "cornish-fisher": "a normal distribution bent by skew and tails",
    "filtered": "past surprises at the volatility of now",
}
LEVELS = {"0.95": "95 %", "0.99": "99 %"}
SURE = 0.05  # p-values above are as by chance
FEW = 20  # days; of fewer nothing is told
NOTHING = "Nothing was traded in this run: there is no risk to tell of."
NO_DAY = "No day is picked: widen the dates."


class Facts(NamedTuple):
    """What the views of the page read of a run."""

    daily: Daily
    held: Held
    told: pl.DataFrame  # of `forecasts.forecasts`


def facts(run):
    """The `Facts` of a run; made once."""
    return once(run, "risk_page", lambda: Facts(Daily.of(run), Held.of(run), forecasts.forecasts(run)))


def scope(picked):
    """What a number of the account is of, in words."""
    if not told(picked.chosen):
        return "of the whole run"
    days = picked.chosen["days"] is not None or picked.chosen["regimes"]
    return "of the whole account, on the days picked" if days else "of the whole account, all its days"


class OfRisk(Worked):
    """A view of the `Facts`."""

    def needs(self):
        """The facts."""
        return [("risk", lambda: facts(self.board.columns.run))]

    def lacking(self, picked):
        """Words in place of the view; "" where it can be drawn."""
        if not self.board.columns.roots:
            return note(NOTHING)
        return self.missing() or ("" if picked.count else note(NO_DAY))


# ------------------------------------------------------------------------------------------------------------- values


class ValueAtRisk(OfRisk):
    """Value at risk of what is picked by every method and level."""

    title = "Value at risk"
    guide = "Loss of one day that so many of 100 days keep within, and the mean loss of the days beyond it."
    saves = ("csv",)

    def draw(self, columns):
        """One block."""
        block = charts.words()
        return block, {"var": block}

    def needs(self):
        """Nothing: returns are there."""
        return []

    def patch(self, picked):
        """The table of a slice."""
        lacking = self.lacking(picked)
        if not lacking and picked.count < FEW:
            lacking = note(f"{picked.count} days are picked; of fewer than {FEW} no quantile is told.")
        return {"var": {"text": lacking or self._told(picked)}}

    def _told(self, picked):
        columns = picked.columns
        capital = float(columns.equity[picked.at[-1]] if columns.compounding else columns.capital)
        found = value_at_risk.values(picked.returns, capital)
        rows = group("95 of 100 days", found.filter(level=0.95), columns.currency)
        rows += group("99 of 100 days", found.filter(level=0.99), columns.currency)
        stands = self.got("limits")
        held = getattr(stands, "held", None)
        if held is not None:
            head = "Of what is held on the last day, 95 of 100"
            rows += group(head, held.filter(level=0.95), columns.currency)
        head = [("Method", "text", ""), ("Value at risk", "", "Loss of a day"),
                (f"of {charts.short_money(capital, columns.currency)}", "", "At the capital of the last day picked"),
                ("Mean beyond", "", "Mean loss of the days that lost more"), ("in money", "", "")]  # fmt: skip
        one = found.filter(method="history", level=0.95).row(0, named=True)
        days = f"{picked.count:,} days" if told(picked.chosen) else f"all {picked.count:,} days"
        words = (
            f"On one day in twenty more than {charts.percent(one['var'], 2)} is lost, in the mean "
            f"{charts.percent(one['cvar'], 2)}: of {days}, as they were, under all filters. "
        )
        caution = next(filter(None, found["caution"]), "")
        words += f"Cornish-Fisher: {caution}. " if caution else ""
        words += "Filtered is of the next day, the others of a usual one."
        return table(head, rows) + note(words)


def group(title, found, currency):
    """Rows of `value_at_risk.VALUES` under a title of their own."""
    rows = [[f'<th scope="rowgroup" class="text group" colspan="5">{esc(title)}</th>']]
    for row in found.to_dicts():
        numbers = [charts.percent(row["var"], 2), charts.money(row["var_money"], currency)]
        numbers += [charts.percent(row["cvar"], 2), charts.money(row["cvar_money"], currency)]
        name = f'<td class="text nowrap" title="By {MEANING[row["method"]]}">{METHODS[row["method"]]}</td>'
        rows.append([name, *(cell(text) for text in numbers)])
    return rows


# -------------------------------------------------------------------------------------------------------- exceedances


def losses_plot(source, beyond, x_range, y_range):
    """Returns as dots, what was told to be lost at most as a line, losses beyond it as larger dots."""
    plot = charts.dated(250, x_range, y_range, "Daily returns, value at risk, and days that lost more; words below")
    charts.percent_axis(plot.yaxis)
    plot.yaxis.ticker.desired_num_ticks = 6
    dots = plot.scatter("day", "return", source=source, size=2.5, color=theme.WHOLE, alpha=0.55, line_color=None)
    over = plot.scatter("day", "return", source=beyond, size=5, fill_color=theme.LOSS, line_color=None, alpha=0.9)
    plot.line("day", "told", source=source, color=theme.GAIN, line_width=2)
    charts.zero_line(plot)
    charts.hover(plot, dots, [("", "@day{%F}"), ("return", "@return{0.00 %}"), ("told", "@told{0.00 %}")], mode="mouse")
    rows = [("", "@day{%F}"), ("lost", "@return{0.00 %}"), ("told", "@told{0.00 %}"), ("times", "@times{0.0}")]
    charts.hover(plot, over, rows, mode="mouse")
    return plot


class Exceedances(OfRisk):
    """Losses beyond the value at risk that was told the evening before."""

    title = "Losses beyond value at risk"
    guide = "Line: value at risk as told the evening before; orange: days that lost more. Drag over days to pick them."
    method, level = Way("var", METHODS, "history"), Way("var_level", LEVELS, "0.95")

    def draw(self, columns):
        """A plot between buttons and words."""
        source = ColumnDataSource({name: [] for name in ("day", "return", "told")})
        beyond = ColumnDataSource({name: [] for name in ("day", "return", "told", "times")})
        x_range, y_range, head, text = Range1d(0, 1), Range1d(-1, 1), charts.words(), charts.words()
        self.plot = losses_plot(source, beyond, x_range, y_range)
        box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
        self.plot.add_tools(box)
        self.plot.toolbar.active_drag = box
        models = {"losses": source, "beyond": beyond, "losses_x": x_range, "losses_y": y_range,
                  "losses_plot": self.plot, "losses_head": head, "losses_text": text}  # fmt: skip
        return charts.column(head, self.plot, text), models

    def wire(self):
        """A box picks days; buttons choose method and level."""
        brush(self.plot, self.board)
        self.board.verbs["exceedances"] = self._chosen

    def _chosen(self, asked):
        if asked.get("value") in METHODS:
            self.method = asked["value"]
        elif asked.get("value") in LEVELS:
            self.level = asked["value"]
        self.apply(self.board.slice)

    def patch(self, picked):
        """Dots, line and words of the days picked."""
        lacking = self.lacking(picked)
        if lacking:
            return {"losses_plot": {"visible": False}, "losses_head": {"text": ""}, "losses_text": {"text": lacking}}
        days = picked.columns.days[picked.at]
        frame = self.got("risk").told.filter(pl.col("day").is_in(pl.Series(days).cast(pl.Date).implode()))
        mine = frame.filter(method=self.method, level=float(self.level))
        at, lost = charts.milliseconds(mine["day"].to_numpy()), mine["return"].fill_null(np.nan).to_numpy()
        line = -mine["var"].fill_null(np.nan).to_numpy()
        over = mine["exceeded"].fill_null(False).to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            times = lost / line
        low, high = charts.span(np.concatenate([lost, line]), None)
        found = forecasts.backtested(frame.filter(level=float(self.level)))
        switches = charts.switch("exceedances", METHODS, self.method, "Method") + charts.switch(
            "exceedances", LEVELS, self.level, "Level"
        )
        return {
            "losses": {"data": {"day": at, "return": lost, "told": line}},
            "beyond": {"data": {"day": at[over], "return": lost[over], "told": line[over], "times": times[over]}},
            "losses_x": {"start": float(at[0]), "end": float(max(at[-1], at[0] + charts.DAY_MS))},
            "losses_y": {"start": low, "end": high},
            "losses_plot": {"visible": True},
            "losses_head": {"text": f'<div class="row"><span class="push"></span>{switches}</div>'},
            "losses_text": {"text": coverage(found, self.method) + note(judged(found, self.method, scope(picked)))},
        }


def coverage(found, method):
    """What the tests of coverage say of every method, as a table."""
    head = [("Method", "text", ""), ("Days", "", "On which a value at risk was told"),
            ("Lost more", "", "Days that lost more"), ("Expected", "", "Days that should"),
            ("p: as many", "", "Kupiec: chance of a number as far off, were the method right"),
            ("p: apart", "", "Christoffersen: chance of exceedances as close together, did they not follow each other"),
            ("Worst", "", "Largest loss over the value at risk of its day"), ("", "text", "")]  # fmt: skip
    rows = []
    for row in found.to_dicts():
        name = (
            f'<td class="text nowrap"><button type="button" class="pick" data-do="exceedances" '
            f'data-value="{row["method"]}" '
            f'aria-pressed="{str(row["method"] == method).lower()}">{METHODS[row["method"]]}</button></td>'
        )
        texts = (charts.number(row["days"]), charts.number(row["exceedances"]), charts.number(row["expected"]),
                 charts.number(row["kupiec_p"], 3), charts.number(row["independence_p"], 3),
                 f"{charts.number(row['worst'], 1)} ×" if row["worst"] is not None else charts.UNKNOWN)  # fmt: skip
        rows.append([name, *(cell(text) for text in texts), cell(verdict(row), "text nowrap")])
    return table(head, rows)


def verdict(row):
    """What both tests say of a row of `forecasts.TESTS`, in few words.

    >>> verdict({"kupiec_p": 0.5, "independence_p": 0.5, "exceedances": 5, "expected": 5.0})
    'holds'
    >>> verdict({"kupiec_p": 0.01, "independence_p": 0.02, "exceedances": 9, "expected": 5.0})
    'too many, in clusters'
    """
    if row["kupiec_p"] is None:
        return "not told"
    parts = []
    if row["kupiec_p"] <= SURE:
        parts.append("too many" if row["exceedances"] > row["expected"] else "too few")
    if row["independence_p"] is not None and row["independence_p"] <= SURE:
        parts.append("in clusters")
    return ", ".join(parts) or "holds"


def judged(found, method, of):
    """The tests of one method in sentences."""
    row = found.filter(method=method).to_dicts()
    if not row or not row[0]["days"]:
        return f"No value at risk was told on these days: {forecasts.LEAST} days have to be known first."
    row = row[0]
    count, days = row["exceedances"], row["days"]
    many = (
        f"{count:,} of {days:,} days {of} lost more than told, {charts.number(row['expected'])} were to be expected: "
    )
    p = charts.number(row["kupiec_p"], 3)
    if row["kupiec_p"] > SURE:
        many += f"as many as chance allows (Kupiec, p = {p}). "
    else:
        many += f"too {'many' if count > row['expected'] else 'few'} for chance (Kupiec, p = {p}). "
    if row["independence_p"] is None:
        return many
    close = "one after another no more often than by chance" if row["independence_p"] > SURE else (
        "one follows another more often than by chance, so that losses come in clusters")  # fmt: skip
    return f"{many}Of those days {close} (Christoffersen, p = {charts.number(row['independence_p'], 3)})."


# --------------------------------------------------------------------------------------------------------- components

KINDS = {"component_gaussian": "Normal", "component_history": "As it was", "component_cvar": "Mean beyond"}
WHOLE = {"component_gaussian": "gaussian value at risk", "component_history": "value at risk of the days as they were",
         "component_cvar": "mean loss beyond value at risk"}  # fmt: skip


class Components(OfRisk):
    """Each market's part of the account's value at risk."""

    title = "Value at risk by market"
    guide = "What each market adds to the account's, orange, or takes off it, blue; the parts add up. A tap picks."
    kind, level = Way("parts", KINDS, "component_gaussian"), Way("parts_level", LEVELS, "0.95")

    def draw(self, columns):
        """A plot between buttons and words."""
        source = ColumnDataSource({name: [] for name in ("name", "part", "share", "alone", "color", "alpha")})
        x_range, y_range, head, text = Range1d(-1, 1), FactorRange(factors=[]), charts.words(), charts.words()
        plot = charts.chart(BAR + 44, x_range, y_range, "Parts of the value at risk by market; its words stand below")
        bars = plot.hbar("name", right="part", height=0.72, source=source, fill_color="color", fill_alpha="alpha",
                         line_color=None)  # fmt: skip
        charts.zero_line(plot)
        charts.percent_axis(plot.xaxis)
        plot.xaxis.ticker.desired_num_ticks = 4
        plot.ygrid.visible = False
        rows = [("", "@name"), ("part", "@part{0.000 %}"), ("of the account's", "@share{0.0 %}"),
                ("the market alone", "@alone{0.000 %}")]  # fmt: skip
        charts.hover(plot, bars, rows, mode="hline")
        self.plot = plot
        models = {"parts": source, "parts_x": x_range, "parts_y": y_range, "parts_plot": plot, "parts_head": head,
                  "parts_text": text}  # fmt: skip
        return charts.column(head, plot, text), models

    def wire(self):
        """A tap picks a market; buttons choose measure and level."""
        taps(self.plot, self.board, "markets")
        self.board.verbs["components"] = self._chosen

    def _chosen(self, asked):
        if asked.get("value") in KINDS:
            self.kind = asked["value"]
        elif asked.get("value") in LEVELS:
            self.level = asked["value"]
        self.apply(self.board.slice)

    def patch(self, picked):
        """Bars and words of the days picked."""
        lacking = self.lacking(picked)
        if not lacking and picked.count < FEW:
            lacking = note(f"{picked.count} days are picked; of fewer than {FEW} no part is told.")
        if lacking:
            return {"parts_plot": {"visible": False}, "parts_head": {"text": ""}, "parts_text": {"text": lacking}}
        daily = self.got("risk").daily
        shares = daily.shares[picked.at - 1]
        found = value_at_risk.parts_of(shares, daily.names, daily.sectors, (float(self.level),))
        found = found.filter((pl.col("market") != ACCOUNT) | (pl.col(self.kind).abs() > 1e-12)).sort(
            self.kind, "market"
        )
        names, part = found["market"].to_list(), found[self.kind].fill_null(np.nan).to_numpy()
        total = float(np.nansum(part))
        chosen = markets_of(picked)
        low, high = charts.span(part, 0.0)
        switches = charts.switch("components", KINDS, self.kind, "Measure") + charts.switch(
            "components", LEVELS, self.level, "Level"
        )
        return {
            "parts_y": {"factors": names},
            "parts": {
                "data": {
                    "name": np.array(names, object),
                    "part": part,
                    "share": part / total if total else np.full(len(part), np.nan),
                    "alone": found["var"].fill_null(np.nan).to_numpy(),
                    "color": np.where(part < 0.0, theme.GAIN, theme.LOSS).astype(object),
                    "alpha": np.where([chosen is None or name in chosen for name in names], 0.95, 0.28),
                }
            },
            "parts_x": {"start": low, "end": high},
            "parts_plot": {"visible": True, "height": BAR * max(len(names), 3) + 44},
            "parts_head": {"text": f'<div class="row"><span class="push"></span>{switches}</div>'},
            "parts_text": {"text": shared(names, part, total, WHOLE[self.kind], LEVELS[self.level], scope(picked))},
        }


def markets_of(picked):
    """Names of the markets that the filters of markets, sectors and strategies leave; None: all."""
    columns = picked.columns
    if picked.line_picked.all():
        return None
    return {columns.roots[k] for k in np.unique(columns.line_root[:-1][picked.line_picked])}


def shared(names, part, total, what, level, of):
    """The largest parts in a sentence."""
    if not len(part) or not np.isfinite(part).any() or not total:
        return note("Nothing moved on these days: there is no risk to share.")
    top = np.argsort(np.nan_to_num(part))[::-1][:3]
    largest = ", ".join(f"{names[k]} {charts.percent(part[k] / total, 0)}" for k in top)
    return (
        f'<p class="note">The parts add up to {charts.percent(total, 2)}, the {what} of {level} {esc(of)}. '
        f"Largest: {esc(largest)}.</p>"
    )
