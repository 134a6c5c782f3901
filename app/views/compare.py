"""Compare: stored runs beside each other: which, how they went, what they came to, how alike, what went in."""

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, Range1d

from app import charts, theme
from app.charts import esc
from app.compared import ALIGNED, MOST, Compared, made
from app.view import brush
from app.views.worked import WAIT, Failed, Worked, cell, heat, note, table
from engine.analysis import compare
from engine.risk import drawdown

SURE = 0.05
LISTED = 60  # runs that the list holds, the newest and those picked
ALONE = (
    '<p class="note" role="status">There is no other run in the store. This makes one:</p>'
    "<p><code>frontmonth run config/portfolios/blend.toml</code></p>"
    "<p><code>frontmonth run {portfolio} --set KEY=VALUE</code></p>"
)
NO_STORE = "Runs lie in a store; this one is shown without."


class OfRuns(Worked):
    """A view of the runs that are picked."""

    saves = ("csv",)
    key = ""  # name of its block of words

    @property
    def compared(self):
        """Which runs are picked."""
        return Compared.of(self.board)

    def draw(self, columns):
        """One block."""
        block = charts.words()
        return block, {self.key: block}

    def needs(self):
        """The runs, read."""
        return self.compared.needs()

    def lacking(self):
        """HTML in place of the view; "" where it can be shown."""
        if not self.compared.others:
            return note("One run is picked: tick another one above.")
        return self.missing()

    def runs(self, picked):
        """The runs on the days picked; None where fewer than three days are common to them."""
        found = self.got(("beside", self.compared.ids)).found
        if picked.chosen["days"] is None:
            return found
        found = found.within(*picked.columns.days[[picked.first, picked.last]]) if picked.count else None
        return found if found is not None and len(found.days) > 2 else None

    def patch(self, picked):
        """The words, or why there are none."""
        lacking = self.lacking()
        if lacking:
            return {self.key: {"text": lacking}}
        found = self.runs(picked)
        return {
            self.key: {"text": note("Fewer than two days are picked.") if found is None else self.told(found, picked)}
        }

    def told(self, found, picked):
        """The words on some runs."""
        raise NotImplementedError

    def named(self, run):
        """A run beside its colour."""
        shade = theme.RUNS[self.compared.ids.index(run)]
        return f'<i class="dot" style="background:{shade}"></i>{esc(self.compared.name(run))}'

    def span(self, found, picked):
        """The days of the numbers, in words."""
        days = "the days picked" if picked.chosen["days"] is not None else "all days"
        return f"{found.days[0]} to {found.days[-1]}, {days} that all runs have ({len(found.days) - 1:,})."


class Runs(OfRuns):
    """The stored runs, newest first, of which some are picked."""

    title = "Runs"
    guide = (
        f"Tick up to {MOST} runs to lay them beside each other; that of this page is the first. A name opens its page."
    )
    key = "runs"

    def needs(self):
        """Nothing: the list is there."""
        return []

    def patch(self, picked):
        """The list."""
        compared = self.compared
        if self.board.archive is None:
            return {"runs": {"text": note(NO_STORE)}}
        text = self._rows(compared)
        if len(compared.rows) < 2:
            name = str(self.board.columns.run.name)
            text += ALONE.format(portfolio=esc(name))
        beside = self.got(("beside", compared.ids))
        if hasattr(beside, "left"):
            text += "".join(
                note(f"Left out is {compared.name(run)}, which cannot be compared: {why}")
                for run, why in beside.left.items()
            )
        text += "".join(note(f"Damaged: {reason}") for reason in compared.damaged)
        return {"runs": {"text": text}}

    def _rows(self, compared):
        """The list as a table with a button of two states in each row."""
        ids = compared.ids
        shown = [row for k, row in enumerate(compared.rows) if k < LISTED or row["run"] in ids]
        shown.sort(key=lambda row: row["run"] != compared.first)
        head = [("", "text", "Beside each other"), ("Run", "text", ""), ("Id", "text", ""),
                ("Days", "text", ""),
                ("A year", "", "Annual return"), ("Sharpe", "", ""), ("Drawdown", "", "Deepest"),
                ("Made", "text", "")]  # fmt: skip
        rows = []
        for row in shown:
            run, metrics = row["run"], row.get("metrics", {})
            there, first = run in ids, run == compared.first
            off = " disabled" if first or (not there and len(ids) >= MOST) else ""
            shade = f"--tick:{theme.RUNS[ids.index(run)]}" if there else ""
            box = (
                f'<button type="button" class="tick" role="checkbox" aria-checked="{str(there).lower()}" '
                f'data-do="compare" data-run="{esc(run)}" style="{shade}" '
                f'aria-label="Compare {esc(row["portfolio"])} {esc(run)}"{off}></button>'
            )
            name = esc(row["portfolio"]) + (f" <small>{esc(row['note'])}</small>" if row.get("note") else "")
            link = name if first else f'<a href="?run={esc(run)}#/overview" title="Open {esc(run)}">{name}</a>'
            rows.append(
                [
                    f'<td class="text">{box}</td>', f'<td class="text">{link}{" · this page" if first else ""}</td>',
                    cell(run[:8], "text num"), cell(f"{row['start']} to {row['end']}", "text nowrap"),
                    cell(charts.percent(metrics.get("annual_return"))), cell(charts.number(metrics.get("sharpe"), 2)),
                    cell(charts.percent(metrics.get("max_drawdown"))), cell(made(row), "text nowrap"),
                ]
            )  # fmt: skip
        more = len(compared.rows) - len(shown)
        last = note(f"{more:,} older runs are not listed; `frontmonth compare` takes any.") if more > 0 else ""
        return f'<div class="some">{table(head, rows)}</div>{last}'


class Overlay(OfRuns):
    """Equity and drawdown of the runs on one axis."""

    title = "Equity and drawdown, overlaid"
    guide = (
        "Growth since the first day that all have; beneath, what was lost since the peak. Drag over days to pick them."
    )
    saves = ("png", "svg", "csv")

    def draw(self, columns):
        """Two plots, a line a run in each."""
        sources = [ColumnDataSource({name: [] for name in ("day", "grown", "drawdown")}) for _ in range(MOST)]
        x_range, heights, depths = Range1d(0, 1), Range1d(-1, 1), Range1d(-1, 0)
        plots = (charts.dated(290, x_range, heights, "Growth of the runs by day; numbers stand below"),
                 charts.dated(140, x_range, depths, "Drawdown of the runs by day; numbers stand below"))  # fmt: skip
        for plot, name in zip(plots, ("grown", "drawdown"), strict=True):
            charts.percent_axis(plot.yaxis)
            plot.min_border_left = 64
            for source, colour in reversed(list(zip(sources, theme.RUNS, strict=True))):
                line = plot.line("day", name, source=source, color=colour, line_width=1.6)
            words = "grown" if name == "grown" else "drawdown"
            charts.hover(plot, line, [("", "@day{%F}"), (words, f"@{name}{{0.0 %}}")])
            box = BoxSelectTool(dimensions="width", renderers=[], continuous=True)
            plot.add_tools(box)
            plot.toolbar.active_drag = box
        charts.zero_line(plots[0])
        plots[0].xaxis.visible = False
        plots[0].min_border_bottom = 6
        plots[1].yaxis.ticker.desired_num_ticks = 4
        head, text = charts.words(), charts.words()
        self.plots = plots
        models = {f"run_{k}": source for k, source in enumerate(sources)}
        models |= {"overlay_x": x_range, "overlay_y": heights, "overlay_depth": depths, "overlay_head": head,
                   "overlay_text": text, "overlay_plot": plots[0], "overlay_under": plots[1]}  # fmt: skip
        return charts.column(head, *plots, text), models

    def wire(self):
        """A box picks days, a click all again."""
        for plot in self.plots:
            brush(plot, self.board)

    def patch(self, picked):
        """Lines, axes and words."""
        lacking = self.lacking()
        found = None if lacking else self.runs(picked)
        if found is None:
            hidden = {name: {"visible": False} for name in ("overlay_plot", "overlay_under")}
            text = lacking or note("Fewer than two days are picked.")
            return hidden | {"overlay_head": {"text": ""}, "overlay_text": {"text": text}}
        level = found.scaled if self.compared.align == "volatility" else found.equity
        days, grown = charts.milliseconds(found.days), level - 1.0
        depth = np.column_stack([drawdown(one) for one in level.T])
        low, high = charts.span(grown, 0.0)
        names = {name: k for k, name in enumerate(self.compared.ids)}
        none = {name: np.zeros(0) for name in ("day", "grown", "drawdown")}
        data = [none] * MOST
        for k, name in enumerate(found.names):
            data[names[name]] = {"day": days, "grown": grown[:, k], "drawdown": depth[:, k]}
        legend = charts.legend((self.compared.name(name), theme.RUNS[names[name]]) for name in found.names)
        switch = charts.switch("align", ALIGNED, self.compared.align, "Aligned")
        return {f"run_{k}": {"data": one} for k, one in enumerate(data)} | {
            "overlay_x": {"start": float(days[0]), "end": float(days[-1])},
            "overlay_y": {"start": low, "end": high},
            "overlay_depth": {"start": charts.span(depth, 0.0)[0], "end": 0.0},
            "overlay_plot": {"visible": True},
            "overlay_under": {"visible": True},
            "overlay_head": {"text": f'<div class="row">{legend}<span class="push"></span>{switch}</div>'},
            "overlay_text": {"text": note(self._words(found, grown, depth, picked))},
        }

    def _words(self, found, grown, depth, picked):
        """Ends and depths in a sentence."""
        how = (
            " Excess returns of the others are multiplied to swing as those of the first do; interest stays."
            if self.compared.align == "volatility"
            else ""
        )
        told = [
            f"{self.compared.name(name)} {charts.percent(grown[-1, k])}, deepest {charts.percent(depth[:, k].min())}"
            for k, name in enumerate(found.names)
        ]
        return f"{'; '.join(told)}. {self.span(found, picked)}{how}"


NUMBERS = (  # column of `compare.NUMBERS`, words, format
    ("total_return", "Total return", "percent"), ("annual_return", "Return a year", "percent"),
    ("volatility", "Volatility a year", "percent"), ("sharpe", "Sharpe ratio", "ratio"),
    ("max_drawdown", "Max drawdown", "percent"), ("scale", "× for one volatility", "ratio"),
    ("annual_scaled", "A year, at one volatility", "percent"),
    ("drawdown_scaled", "Drawdown, at one volatility", "percent"),
)  # fmt: skip


class Numbers(OfRuns):
    """Headline numbers of the runs, and how far each is from the first."""

    title = "Numbers beside each other"
    guide = "On the days that all runs have; beside each number how much it is above or below the first run's."
    key = "numbers"

    def told(self, found, picked):
        """A row a number, two columns a run."""
        frame = compare.numbers(found)
        head = "".join(
            f'<th scope="col" class="{"" if k == 0 else "pair"}" colspan="{1 if k == 0 else 2}">{self.named(name)}</th>'
            for k, name in enumerate(found.names)
        )
        rows = []
        for name, words, kind in NUMBERS:
            values = frame[name].to_list()
            cells = [f'<th scope="row" class="text">{words}</th>', cell(charts.formatted(values[0], kind, ""))]
            for value in values[1:]:
                off = None if value is None or values[0] is None else value - values[0]
                tone = "" if not off or name in ("volatility", "scale") else "gain" if off > 0.0 else "loss"
                cells += [cell(charts.formatted(value, kind, "")), cell(signed(off, kind), f"{tone} off")]
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return (
            f'<div class="scroll"><table class="plain tight"><thead><tr><th></th>{head}</tr></thead><tbody>'
            f"{''.join(rows)}</tbody></table></div>{note(self.span(found, picked))}"
        )


def signed(value, kind):
    """A difference with its sign; percent is points.

    >>> signed(0.0123, "percent"), signed(-0.5, "ratio"), signed(None, "ratio")
    ('+1.2', '-0.50', '')
    """
    if value is None or not np.isfinite(value):
        return ""
    text = charts.number(100.0 * value if kind == "percent" else value, 1 if kind == "percent" else 2)
    return text if text.startswith("-") else f"+{text}"


class Sureness(OfRuns):
    """Whether the first run's Sharpe ratio is another one than each other's."""

    title = "Is one better?"
    guide = "Sharpe ratio of the first run less that of another; p: how often equals are as far apart."
    key = "sureness"

    def needs(self):
        """The runs, then the tests one by one."""
        return [*self.compared.needs(), *self.compared.tests()]

    def missing(self):
        """The runs alone are waited for: tests are shown as they come."""
        found = self.got(("beside", self.compared.ids))
        return super().missing() if found is None or isinstance(found, Failed) else ""

    def told(self, found, picked):
        """A row another run."""
        whole = self.got(("beside", self.compared.ids)).found
        head = [("Compared with", "text", ""), ("Difference", "", "Sharpe ratio of the first less that of this one"),
                ("95 of 100", "", "Studentised interval of the difference"), ("p", "", "Chance between equals"),
                ("", "text", "")]  # fmt: skip
        rows = []
        for (key, _), name in zip(self.compared.tests(), whole.names[1:], strict=True):
            test = self.got(key)
            if test is None or isinstance(test, Failed):
                rest = [f'<td class="text" colspan="4">{esc(WAIT if test is None else test.reason)}</td>']
            else:
                span = f"{charts.number(test.low, 2)} to {charts.number(test.high, 2)}"
                rest = [cell(charts.number(test.difference, 2)), cell(span, "nowrap"),
                        cell(charts.number(test.p_value, 3)), cell(sure(test), "text")]  # fmt: skip
            rows.append([f'<th scope="row" class="text">{self.named(name)}</th>', *rest])
        words = (
            f"Block bootstrap of Ledoit and Wolf on all {len(whole.days) - 1:,} days that the runs have in common, "
            "whatever days are picked. Of twenty such tests of equals one says p below 0.05."
        )
        return table(head, rows) + note(words)


def sure(test):
    """What a test says, in words."""
    if not np.isfinite(test.p_value):
        return "cannot be told"
    if test.p_value > SURE:
        return "as chance would have it"
    return "the first is better" if test.difference > 0.0 else "this one is better"


class Alike(OfRuns):
    """Correlation of every two runs."""

    title = "How alike the runs are"
    guide = "Correlation of daily returns; beneath the diagonal of returns of five days."
    key = "alike"

    def told(self, found, picked):
        """A matrix: daily above the diagonal, weekly below."""
        frame, count = compare.alike(found), len(found.names)
        value = {(row["first"], row["second"]): row for row in frame.to_dicts()}
        head = [("", "text", ""), *((self.compared.name(name), "", name) for name in found.names)]
        rows = []
        for i in range(count):
            cells = [f'<th scope="row" class="text">{self.named(found.names[i])}</th>']
            for j in range(count):
                if i == j:
                    cells.append('<td class="pale">1</td>')
                    continue
                one = value[found.names[min(i, j)], found.names[max(i, j)]]["correlation" if i < j else "weekly"]
                cells.append(heat(one, charts.number(one, 2)))
            rows.append(cells)
        return table(head, rows, "heat") + note(self.span(found, picked))


class Inputs(OfRuns):
    """What of the inputs is not the same."""

    title = "What went in and differs"
    guide = "Every input and setting in which a run differs from the first; empty: the same as the first."
    key = "inputs"

    def told(self, found, picked):
        """A row an input, a column a run."""
        inputs = self.got(("beside", self.compared.ids)).inputs
        rows, first = {}, {}
        for name in found.names[1:]:
            for row in inputs[name].to_dicts():
                key = (row["input"], row["key"])
                first[key] = row["first"]
                rows.setdefault(key, {})[name] = row["second"]
        if not rows:
            return note("The runs were made of the same inputs.")
        head = [
            ("Input", "text", ""),
            ("Key", "text", ""),
            *((self.compared.name(name), "text", name) for name in found.names),
        ]
        made_of = [
            [cell(key[0], "text"), cell(key[1], "text"), cell(said(first[key]), "text num")]
            + [cell(said(others[name]) if name in others else "", "text num") for name in found.names[1:]]
            for key, others in rows.items()
        ]
        same = [self.compared.name(name) for name in found.names[1:] if not len(inputs[name])]
        words = f"Made of the same: {', '.join(same)}. " if same else ""
        return table(head, made_of) + note(f"{words}Of whole runs; hashes are told by their first digits.")


def said(value):
    """A setting as text; one that is not set says so."""
    return "not set" if value is None else str(value)
