"""Data quality: what the checks found, on a calendar and as a list."""

import datetime

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    FactorRange,
    HoverTool,
    Range1d,
    Select,
)

from app import charts, theme
from app.chainbook import NO_STORE
from app.charts import esc
from app.findings import ALL, KINDS, findings_of
from app.view import View
from app.views.pieces import cells, controls, note, style, table

WAIT = "Reading what the checks found …"
ROW, SHOWN = 19, 200  # height of a market [pixels]; rows of a list
OPEN, REFUSED, DECIDED = theme.LIMITS["amber"], theme.LIMITS["red"], theme.NEUTRAL
CELL = ("day", "left", "right", "market", "count", "undecided", "rules", "color", "alpha")
TAPPED = """
const market = range.factors[Math.floor(cb_obj.y)]
if (market !== undefined) wish.value = JSON.stringify({do: "finding_cell", market, day: cb_obj.x, n: performance.now()})
"""


class OfFindings(View):
    """A view of what the checks found in the store; it says so in words where there is none."""

    def wire(self):
        """Follow what is looked at and decided."""
        findings_of(self.board).views.append(self)

    def settle(self, picked):
        """Begin to read it."""
        findings_of(self.board).want(self)

    def patch(self, picked):
        """What is there; words alone until it is."""
        now = findings_of(self.board)
        if now.archive is None or not now.ready:
            return self.blank(note(NO_STORE if now.archive is None else WAIT))
        now.narrow(picked)
        return self.filled(now, picked)

    def blank(self, words):
        """What stands there without findings."""
        raise NotImplementedError

    def filled(self, now, picked):
        """What the findings put into the models."""
        raise NotImplementedError


class FindingCalendar(OfFindings):
    """How many findings each market has in each month."""

    title = "Findings by market and month"
    guide = "Amber: to be decided; red: its market is not run until then; grey: decided. Tap a cell for its findings."

    def draw(self, columns):
        """A rule to choose, and a calendar."""
        self.pick = Select(title="Rule", value=ALL, options=[ALL], width=210, **style())
        source = ColumnDataSource({name: [] for name in CELL})
        plot = self.plot = charts.dated(
            200, Range1d(0, 1), FactorRange(factors=[]), "Findings by market and month; their words stand below"
        )
        plot.update(min_border_left=64)
        plot.ygrid.visible = True
        plot.yaxis.major_label_text_font_size = "11px"
        boxes = plot.hbar(y="market", left="left", right="right", height=0.82, source=source, fill_color="color",
                          fill_alpha="alpha", line_color=None)  # fmt: skip
        told = [("", "@market @day{%Y-%m}"), ("findings", "@count"), ("undecided", "@undecided"), ("rules", "@rules")]
        plot.add_tools(
            HoverTool(renderers=[boxes], tooltips=told, formatters={"@day": "datetime"}, point_policy="follow_mouse")
        )
        mark = plot.hbar(y="market", left="left", right="right", height=0.95, fill_color=None, line_color=theme.GAIN,
                         line_width=2, source=ColumnDataSource({"market": [], "left": [], "right": []}))  # fmt: skip
        head, text = charts.words(), charts.words()
        models = {"calendar": source, "calendar_mark": mark.data_source, "calendar_x": plot.x_range,
                  "calendar_y": plot.y_range, "calendar_plot": plot, "calendar_rule": self.pick, "calendar_head": head,
                  "calendar_text": text}  # fmt: skip
        return charts.column(controls(self.pick), head, plot, text), models

    def wire(self):
        """A tap picks a cell; a field a rule, a switch which findings."""
        super().wire()
        arguments = {"wish": self.board.wish, "range": self.plot.y_range}
        self.plot.js_on_event(Tap, CustomJS(args=arguments, code=TAPPED))
        self.pick.on_change("value", lambda _attr, _old, new: self._ruled(new))
        self.board.verbs |= {"finding_cell": self._tapped, "finding_kind": self._kind, "finding_all": self._everything}

    def _ruled(self, rule):
        now = findings_of(self.board)
        if now.ready and rule != now.rule and rule in (ALL, *now.found["rule"]):
            with self.board.guard("The rule could not be shown."):
                now.rule = rule
                now.show()

    def _tapped(self, asked):
        now = findings_of(self.board)
        if not now.ready:
            return
        day = datetime.datetime.fromtimestamp(float(asked["day"]) / 1000.0, datetime.UTC).date().replace(day=1)
        cell = (str(asked["market"]), day)
        rows = [row[:2] for row in now.counted().rows()]
        now.cell = cell if cell in rows and cell != now.cell else None
        if now.kind == "refused":
            now.kind = "open"
        if now.cell is not None and len(found := now.listed()):
            now.picked = found["id"][0]
        now.show()

    def _kind(self, asked):
        now = findings_of(self.board)
        if asked["value"] in KINDS:
            now.kind, now.cell, now.picked = asked["value"], None, None
            now.show()

    def _everything(self, _):
        findings_of(self.board).cell = None
        findings_of(self.board).show()

    def blank(self, words):
        """No calendar."""
        return {"calendar_plot": {"visible": False}, "calendar_head": {"text": ""}, "calendar_text": {"text": words}}

    def filled(self, now, picked):
        """A cell for each market and month with a finding."""
        switch = charts.switch("finding_kind", KINDS, now.kind, "Which findings")
        key = charts.legend([("undecided", OPEN), ("not run", REFUSED), ("decided", DECIDED)])
        rows = now.counted()
        months = rows["month"].to_numpy().astype("datetime64[M]")
        days = charts.milliseconds(months.astype("datetime64[D]"))
        after = charts.milliseconds((months + 1).astype("datetime64[D]"))
        first, last = span_of(now, picked)
        wide = max((last - first) * 0.006, 0.0)  # no cell narrower than can be hit
        share = np.sqrt(rows["count"].to_numpy() / max(rows["count"].max() or 1, 1))
        colours = [REFUSED if refuse else OPEN if undecided else DECIDED
                   for undecided, refuse in rows.select("undecided", "refuse").rows()]  # fmt: skip
        data = {
            "day": days, "left": days, "right": np.maximum(after, days + wide),
            "market": rows["root"].to_numpy().astype(object), "count": rows["count"].to_numpy(),
            "undecided": rows["undecided"].to_numpy(), "rules": rows["rules"].to_numpy().astype(object),
            "color": np.array(colours, object), "alpha": 0.45 + 0.55 * share,
        }  # fmt: skip
        on = [k for k, row in enumerate(rows.rows()) if row[:2] == now.cell]
        mark = {"market": data["market"][on], "left": data["left"][on], "right": data["right"][on]}
        roots = now.markets or now.roots
        rules = [ALL, *now.found["rule"].unique().sort()]
        return {
            "calendar": {"data": data},
            "calendar_mark": {"data": mark},
            "calendar_x": {"start": first, "end": last},
            "calendar_y": {"factors": roots[::-1]},
            "calendar_plot": {"visible": bool(roots), "height": ROW * max(len(roots), 3) + 40},
            "calendar_rule": {"options": rules, "value": now.rule if now.rule in rules else ALL},
            "calendar_head": {"text": f'<div class="row">{key}<span class="push"></span>{switch}</div>'},
            "calendar_text": {"text": note(calendar_words(now))},
        }


def span_of(now, picked):
    """First and last moment of the calendar: the days picked, else the run's and those of all findings. [ms]"""
    if now.days:
        first, last = (np.datetime64(day, "D") for day in now.days)
        return tuple(float(x) for x in charts.milliseconds(np.array([first, last + 1])))
    days = [np.datetime64(day, "D") for day in picked.columns.days[[0, -1]]]
    known = now.found["day"].drop_nulls()
    if len(known):
        days += [np.datetime64(known.min(), "D"), np.datetime64(known.max(), "D")]
    first, last = (day.astype("datetime64[M]") for day in (min(days), max(days)))
    return tuple(float(x) for x in charts.milliseconds(np.array([first, last + 1]).astype("datetime64[D]")))


def calendar_words(now):
    """How much there is to decide, in a sentence."""
    found = now.found
    left = found.filter(~found["decided"])
    if found.is_empty():
        return "The checks found nothing, or were not made yet: <code>frontmonth check</code> makes them."
    refuse = left.filter(left["severity"] == "refuse")["root"].unique().sort().to_list()
    rules = left["rule"].value_counts(sort=True).head(3).rows()
    told = f"In the whole store {charts.number(len(found))} findings, {charts.number(len(left))} of them undecided"
    told += f": most by {', '.join(f'{esc(rule)} ({count})' for rule, count in rules)}" if rules else ""
    told += f". Not run until somebody decides: {esc(', '.join(refuse))}" if refuse else ". All markets may be run"
    return f"{told}."


class FindingList(OfFindings):
    """The findings of a cell, or all; one is picked to be looked at."""

    title = "Findings"
    guide = "Pick one to see the row in its neighbourhood, and to decide about it."
    saves = ("csv",)

    def draw(self, columns):
        """A table."""
        text = charts.words()
        return text, {"findings": text}

    def wire(self):
        """A button picks one."""
        super().wire()
        self.board.verbs["finding"] = self._pick

    def _pick(self, asked):
        now = findings_of(self.board)
        known = {*now.found["id"], *now.refused["id"]} if now.ready else ()
        if asked["value"] in known:
            now.picked, now.said, now.fault = asked["value"], "", ""
            now.show()

    def blank(self, words):
        """Words alone."""
        return {"findings": {"text": words}}

    def filled(self, now, picked):
        """The rows of the list."""
        text = refused_list(now) if now.kind == "refused" else found_list(now)
        return {"findings": {"text": text}}


def found_list(now):
    """The findings that are looked at."""
    rows, where = now.listed(), f"in {', '.join(map(esc, now.markets)) or 'all markets'}"
    if now.cell is not None:
        where = f"in {esc(now.cell[0])}, {now.cell[1]:%Y-%m}"
        where += ' · <span class="switch"><button type="button" data-do="finding_all">show all</button></span>'
    kind = "undecided finding" if now.kind == "open" else "finding"
    told = f"{charts.number(len(rows))} {kind}{'' if len(rows) == 1 else 's'} {where}{_cut(rows)}"
    if rows.is_empty():
        return note(f"No {kind} {where}.")
    kinds, lines = ("text", "text wrap", "text wrap"), []
    for row in rows.head(SHOWN).to_dicts():
        name = " ".join(str(part) for part in (row["root"], row["contract"]) if part)
        what = f"{row['reason']} · {row['done']}" if row["decided"] else row["reason"]
        told_of = (row["day"] or charts.UNKNOWN, f"{row['rule']}, {row['severity']}", what)
        lines.append(_line(row["id"], name, now.picked, cells(told_of, kinds)))
    return note(f"{told}.") + table(("Contract", "Day", "Rule, severity", "What"), lines, long=True)


def refused_list(now):
    """The rows that were refused at an import."""
    rows, lines = now.refused, []
    if rows.is_empty():
        return note("No row was refused.")
    for row in rows.head(SHOWN).to_dicts():
        told_of = (row["rule"], row["reason"], "released" if row["id"] in now.released else "")
        name = f"{row['file']}, line {row['line']}"
        lines.append(_line(row["id"], name, now.picked, cells(told_of, ("text", "text wrap", "text"))))
    told = f"{charts.number(len(rows))} rows were refused at their import{_cut(rows)}"
    told += "; one that is released comes in with the next import of its file."
    return note(told) + table(("File and line", "Rule", "Why", "Decided"), lines, long=True)


def _cut(rows):
    return f"; the first {SHOWN} are shown" if len(rows) > SHOWN else ""


def _line(value, words, picked, rest):
    """A row of a list: its first cell is a button that picks it."""
    here = value == picked
    return (
        f'<tr class="{"picked" if here else ""}"><th scope="row" class="text"><button type="button" class="pick" '
        f'data-do="finding" data-value="{esc(value)}" aria-pressed="{str(here).lower()}">{esc(words)}</button></th>'
        f"{rest}</tr>"
    )
