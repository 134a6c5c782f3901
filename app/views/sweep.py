"""Sweep: a statistic over two settings of a stored sweep, all its trials as lines, and one trial in full."""

import numpy as np
from bokeh.core.properties import value
from bokeh.layouts import Row
from bokeh.models import ColumnDataSource, FactorRange, FixedTicker, Range1d, Select, TapTool

from app import charts, theme
from app.charts import esc
from app.sweeping import LINES, Sweeping, text
from app.view import cells
from app.views.worked import Worked, cell, note, plain_cells, table
from engine.headline import RANKED, STATISTICS
from engine.metrics import METRICS

SHOWN = ("sharpe", "annual_return", "volatility", "max_drawdown", "trades", "costs")  # axes beside the settings
WORDS = {
    "final_equity": "Final equity",
    "costs": "Costs",
    "margin_peak": "Highest margin",
    "fills": "Fills",
    "trades": "Trades",
}
FORMATS = {"final_equity": "money", "costs": "money", "margin_peak": "money", "fills": "count", "trades": "count"}
CELL = 34  # height of a row of the surface [pixels]
WIDE = 14  # columns whose cells have room for their numbers
NONE = (
    '<p class="note" role="status">There is no sweep in the store. This makes one of every combination of two '
    "settings:</p><p><code>frontmonth sweep {portfolio} --grid fast=8:32:8 --grid slow=64:160:32</code></p>"
)


def words_of(name):
    """What a statistic is called."""
    return WORDS.get(name) or METRICS[name].label


def told(name, value, currency):
    """A statistic as text."""
    kind = FORMATS.get(name) or METRICS[name].format
    return charts.short_money(value, currency) if kind == "money" else charts.formatted(value, kind, currency)


class OfSweep(Worked):
    """A view of the sweep that is shown."""

    saves = ("csv",)

    @property
    def sweeping(self):
        """What is shown."""
        return Sweeping.of(self.board)

    def needs(self):
        """The sweep and its surface."""
        return self.sweeping.needs()

    def lacking(self):
        """HTML in place of the view; "" where it can be shown."""
        if self.sweeping.row is None:
            if not isinstance(self, SweepSurface):
                return note("There is no sweep in the store.")
            damaged = "".join(note(reason) for reason in self.sweeping.damaged)
            return NONE.format(portfolio=esc(self.board.columns.run.name)) + damaged
        return self.missing()


# ------------------------------------------------------------------------------------------------------------ surface


def surface_plot(x_range, y_range):
    """A cell for each pair of values, by HoloViews, its number in it, and marks of the best and the plateau."""
    import holoviews as hv

    element = hv.HeatMap([("", "", 0.0)], ["across", "up"], "value")
    plot, (source,) = charts.drawn(element, 240, "A statistic over two settings; the plateau is told below",
                                   x_range=x_range, y_range=y_range)  # fmt: skip
    plot.renderers[0].glyph.update(fill_color="color", fill_alpha="alpha", line_color="edge", line_alpha=1.0,
                                   line_width="width", width=0.96, height=0.92)  # fmt: skip
    plot.text("across", "up", text="text", text_color="ink", text_align="center", text_baseline="middle",
              text_font_size="12px", text_font=value(theme.FONT), source=source)  # fmt: skip
    plain_cells(plot)
    plot.rect("across", "up", 0.88, 0.8, source=source, fill_color=None, line_color=theme.GAIN, line_width="inner")
    plot.grid.visible = False
    plot.yaxis.axis_label_standoff = 8
    rows = [("", "@across_words, @up_words"), ("", "@told"), ("with neighbours", "@around"), ("", "@note")]
    charts.hover(plot, plot.renderers[0], rows, mode="mouse")
    return plot, source


class SweepSurface(OfSweep):
    """A heat map of a statistic over two settings."""

    title = "Sweep surface"
    guide = (
        "Median over all other settings; darker is higher. A broad dark plateau is worth more than a peak. Tap a cell."
    )
    saves = ("png", "svg", "csv")
    columns = ("across", "up", "value", "color", "alpha", "edge", "width", "inner", "text", "ink",
               "across_words", "up_words", "told", "around", "note")  # fmt: skip

    def draw(self, columns):
        """Four lists of choices above a plot and words."""
        x_range, y_range, text_ = FactorRange(factors=[]), FactorRange(factors=[]), charts.words()
        head = charts.words()
        self.plot, source = surface_plot(x_range, y_range)
        source.data = {name: [] for name in self.columns}
        sheet = charts.parts()
        self.choices = {
            name: Select(title=title, options=[], stylesheets=[sheet], sizing_mode="stretch_width",
                         min_width=220 if name == "sweep" else 115,
                         max_width=310)
            for name, title in (("sweep", "Sweep"), ("across", "Across"), ("up", "Up"), ("by", "Statistic"))
        }  # fmt: skip
        row = Row(*self.choices.values(), sizing_mode="stretch_width", styles={"flex-wrap": "wrap", "gap": "4px 10px"})
        models = {"surface": source, "surface_x": x_range, "surface_y": y_range, "surface_plot": self.plot,
                  "surface_across": self.plot.xaxis[0], "surface_up": self.plot.yaxis[0], "surface_head": head,
                  "surface_text": text_, "surface_row": row}  # fmt: skip
        models |= {f"surface_pick_{name}": choice for name, choice in self.choices.items()}
        self.setting = False
        return charts.column(row, head, self.plot, text_), models

    def wire(self):
        """A tap asks for the best trial of a cell; lists choose what is shown."""
        cells(self.plot, self.board, "surface")
        for name, choice in self.choices.items():
            choice.on_change("value", lambda _attr, _old, value, name=name: self._chosen(name, value))

    def _chosen(self, name, value):
        if not self.setting:
            with self.board.guard("The sweep could not be shown otherwise."):
                self.sweeping.pick(**{name: value})

    def apply(self, picked):
        """Put it in; lists that are set here do not choose."""
        self.setting = True
        try:
            super().apply(picked)
        finally:
            self.setting = False

    def patch(self, picked):
        """Choices, cells and words."""
        lacking, one = self.lacking(), self.sweeping
        out = {"surface_row": {"visible": one.row is not None}} | self._choices(one)
        if lacking:
            return out | {
                "surface_plot": {"visible": False},
                "surface_head": {"text": ""},
                "surface_text": {"text": lacking},
            }
        grid, found = one.row["grid"], one.surface()
        across, up = grid[one.across], grid[one.up] if one.up != one.across else [""]
        known = found.values[np.isfinite(found.values)]
        low, top = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        return out | {
            "surface_x": {"factors": list(across)},
            "surface_y": {"factors": list(up)},
            "surface_across": {"axis_label": labelled(one.row, one.across),
                               "major_label_orientation": "horizontal" if len(across) <= WIDE else "vertical"},
            "surface_up": {"axis_label": labelled(one.row, one.up) if one.up != one.across else ""},
            "surface": {"data": self._cells(one, found, across, up, low, top)},
            "surface_plot": {"visible": True, "height": max(CELL, 320 // len(up)) * min(len(up), 24) + 64},
            "surface_head": {"text": scale(one.by, low, top, one.row["currency"])},
            "surface_text": {"text": self._words(one, found, across, up)},
        }  # fmt: skip

    def _choices(self, one):
        """Options and values of the lists."""
        if one.row is None:
            return {}
        keys = one.settings()
        listed = [
            (row["sweep"], f"{row['portfolio']}, {row['trials']:,} trials, {row['sweep'][:6]}") for row in one.rows
        ]
        options = {"sweep": listed, "across": keys, "up": keys, "by": [(name, words_of(name)) for name in RANKED]}
        return {f"surface_pick_{name}": {"options": options[name], "value": getattr(one, name)} for name in options}

    def _cells(self, one, found, across, up, low, top):
        """A row a cell."""
        values, means, currency = found.values, found.means, one.row["currency"]
        i, j = (axis.ravel() for axis in np.indices(values.shape))
        flat = values[i, j]
        there = np.isfinite(flat)
        share = np.where(there, (flat - low) / (top - low) if top > low else 0.5, 0.0)
        place = np.clip(np.round(share * (len(theme.SEQUENTIAL) - 1)), 0, len(theme.SEQUENTIAL) - 1).astype(int)
        shades = np.array(theme.SEQUENTIAL, object)[place]
        plateau = np.zeros(len(flat), bool)
        if found.plateau is not None:
            plateau = (i == found.plateau[0]) & (j == found.plateau[1])
        here = np.zeros(len(flat), bool)
        row = one.shown()
        if row is not None:
            here = np.array([across[b] == text(row[one.across]) and (up == [""] or up[a] == text(row[one.up]))
                             for a, b in zip(i, j, strict=True)])  # fmt: skip
        fits = len(across) <= WIDE
        words = [
            told(one.by, value, currency) if known else charts.UNKNOWN for value, known in zip(flat, there, strict=True)
        ]
        marks = np.where(plateau, "best plateau ", "") + np.where(here, "trial shown", "").astype(object)
        return {
            "across": np.array(across, object)[j], "up": np.array(up, object)[i], "value": flat,
            "color": np.where(there, shades, theme.NEUTRAL).astype(object), "alpha": np.where(there, 1.0, 0.12),
            "edge": np.where(here, theme.LOSS, shades).astype(object),
            "width": np.where(here, 4.0, 0.0),
            "inner": np.where(plateau, 3.0, 0.0),
            "text": np.where(there & fits, np.array(words, object), ""),
            "ink": np.where(share > 0.5, "#ffffff", theme.INK).astype(object),
            "across_words": np.array([f"{one.across} {across[b]}" for b in j], object),
            "up_words": np.array([f"{one.up} {up[a]}" if up != [""] else "" for a in i], object),
            "told": np.array(words, object),
            "around": np.array([told(one.by, value, currency) for value in means[i, j]], object),
            "note": marks.astype(object),
        }  # fmt: skip

    def _words(self, one, found, across, up):
        """The plateau beside the best trial."""
        currency, row = one.row["currency"], one.found("sweep", one.sweep).made.best(1, one.by)
        if found.plateau is None or not len(row):
            return note("No trial of this sweep traded.")
        a, b = found.plateau
        where = f"{one.across} {across[b]}" + (f", {one.up} {up[a]}" if up != [""] else "")
        best = row.row(0, named=True)
        at = ", ".join(f"{name} {text(best[name])}" for name in one.row["grid"])
        mean, top = float(found.means[a, b]), best[one.by]
        made = one.found("sweep", one.sweep).made
        alone = made.around([best["trial"]], one.by)[0]
        words = (
            f"Best plateau: {told(one.by, mean, currency)} in the mean of {where} and its neighbours (blue edge). Best "
            f"trial: {told(one.by, top, currency)} at {at}, with its neighbours {told(one.by, alone, currency)}: "
        )
        words += (
            "nearly as good around it. "
            if top > 0 and alone >= 0.8 * top
            else "a peak, of which little is left around it. "
        )
        refused = f"{one.row['refused']:,} combinations were refused. " if one.row["refused"] else ""
        several = [
            name for name, values in one.row["grid"].items() if len(values) > 1 and name not in (one.across, one.up)
        ]
        over = f"Median over {', '.join(several)}. " if several else ""
        years = f"{one.row['start']} to {one.row['end']}; best of {one.row['trials']:,} trials, so that it flatters."
        return note(f"{words}{over}{refused}{years}")


def labelled(row, name):
    """A setting with its unit."""
    unit = row["units"].get(name, "")
    return f"{name} [{unit}]" if unit else name


def scale(by, low, top, currency):
    """What the colours say."""
    ramp = ", ".join(theme.SEQUENTIAL)
    return (
        f'<div class="legend"><span>{esc(words_of(by))}</span><span>{esc(told(by, low, currency))} <i class="ramp" '
        f'style="background:linear-gradient(90deg, {ramp})"></i> {esc(told(by, top, currency))}</span>'
        f'<span><i style="background:{theme.LOSS}"></i>trial shown</span>'
        f'<span><i style="background:{theme.GAIN}"></i>best plateau</span></div>'
    )


# ----------------------------------------------------------------------------------------------------------- parallel


class SweepLines(OfSweep):
    """All trials as lines over settings and statistics."""

    title = "All trials"
    guide = "A line a trial, through its settings and what came of them; bolder is higher. Tap a line to see its trial."
    saves = ("png", "svg", "csv")

    def draw(self, columns):
        """A plot of lines, and words."""
        source = ColumnDataSource({"xs": [], "ys": [], "alpha": [], "trial": [], "told": []})
        shown = ColumnDataSource({"x": [], "y": []})
        ends = ColumnDataSource({"x": [], "y": [], "text": []})
        x_range, y_range, words = Range1d(-0.4, 1.4), Range1d(-0.2, 1.2), charts.words()
        plot = charts.chart(300, x_range, y_range, "Trials as lines over settings and statistics; words below")
        lines = plot.multi_line("xs", "ys", source=source, color=theme.GAIN, line_alpha="alpha", line_width=1.3)
        lines.nonselection_glyph = lines.selection_glyph = None
        plot.line("x", "y", source=shown, color=theme.LOSS, line_width=3)
        plot.scatter("x", "y", source=shown, color=theme.LOSS, size=7)
        plot.text("x", "y", text="text", source=ends, text_align=value("center"), text_baseline="middle",
                  text_font=value(theme.FONT), text_font_size="11px", text_color=theme.NEUTRAL_INK)  # fmt: skip
        plot.yaxis.visible = False
        plot.ygrid.visible = False
        plot.xaxis.ticker = plot.xgrid.ticker = FixedTicker(ticks=[])
        charts.hover(plot, lines, [("trial", "@trial"), ("", "@told")], mode="mouse")
        plot.add_tools(TapTool(renderers=[lines]))
        self.plot, self.source = plot, source
        models = {"lines": source, "lines_shown": shown, "lines_ends": ends, "lines_x": x_range, "lines_plot": plot,
                  "lines_axis": plot.xaxis[0], "lines_grid": plot.xgrid[0], "lines_text": words}  # fmt: skip
        return charts.column(plot, words), models

    def wire(self):
        """A tap on a line shows its trial."""
        self.source.selected.on_change("indices", lambda _attr, _old, rows: self._tapped(rows))

    def _tapped(self, rows):
        trials = self.source.data["trial"]
        if rows and rows[0] < len(trials):
            with self.board.guard("The trial could not be shown."):
                self.source.selected.indices = []
                self.sweeping.pick(trial=int(trials[rows[0]]))

    def patch(self, picked):
        """Lines, axes and words."""
        lacking, one = self.lacking(), self.sweeping
        if lacking:
            return {"lines_plot": {"visible": False}, "lines_text": {"text": lacking}}
        row, sample = one.row, one.found("sweep", one.sweep).sample
        settings = [name for name in one.settings() if len(row["grid"][name]) > 1] or one.settings()
        stats = [name for name in dict.fromkeys((*SHOWN, one.by)) if sample[name].drop_nulls().len()]
        axes = [*settings, *stats]
        heights, ends = zip(*(self._axis(one, sample, name, name in settings) for name in axes), strict=True)
        ys = np.column_stack(heights)
        rank = (sample[one.by].rank("average").fill_null(0.0).to_numpy() - 0.5) / max(len(sample), 1)
        order = np.argsort(rank, kind="stable")
        xs = [list(range(len(axes)))] * len(order)
        thin = min(1.0, (60.0 / max(len(order), 1)) ** 0.5)
        shown = one.shown()
        mine = self._heights(one, sample, axes, settings, shown)
        numbers = np.arange(len(axes), dtype=float)
        labels = {k: labelled(row, name) if name in settings else words_of(name) for k, name in enumerate(axes)}
        return {
            "lines": {
                "data": {
                    "xs": xs, "ys": [ys[k].tolist() for k in order],
                    "alpha": (0.15 + 0.8 * rank[order] ** 2) * (0.35 + 0.65 * thin),
                    "trial": sample["trial"].to_numpy()[order],
                    "told": np.array([f"{words_of(one.by)} {told(one.by, x, row['currency'])}"
                                      for x in sample[one.by].to_numpy()[order]], object),
                }
            },
            "lines_shown": {"data": {"x": numbers if mine is not None else numbers[:0],
                                     "y": mine if mine is not None else numbers[:0]}},
            "lines_ends": {
                "data": {
                    "x": np.repeat(numbers, 2), "y": np.tile([-0.1, 1.1], len(axes)),
                    "text": np.array([end for pair in ends for end in pair], object),
                }
            },
            "lines_x": {"start": -0.45, "end": len(axes) - 0.55},
            "lines_axis": {"ticker": FixedTicker(ticks=list(range(len(axes)))), "major_label_overrides": labels,
                           "major_label_orientation": 0.5},
            "lines_grid": {"ticker": FixedTicker(ticks=list(range(len(axes))))},
            "lines_plot": {"visible": True},
            "lines_text": {"text": note(self._words(one, sample))},
        }  # fmt: skip

    def _axis(self, one, sample, name, setting):
        """(heights from 0 to 1, texts of both ends) of an axis: settings by the place of their value."""
        if setting:
            values = one.row["grid"][name]
            place = {value: k / max(len(values) - 1, 1) for k, value in enumerate(values)}
            heights = np.array([place.get(text(value), np.nan) for value in sample[name].to_list()])
            return heights, (values[0], values[-1])
        values = sample[name].cast(float).fill_null(np.nan).to_numpy()
        low, top = float(np.nanmin(values)), float(np.nanmax(values))
        heights = (values - low) / (top - low) if top > low else np.full(len(values), 0.5)
        return heights, tuple(told(name, end, one.row["currency"]) for end in (low, top))

    def _heights(self, one, sample, axes, settings, shown):
        """Heights of the trial that is shown; None where it is not among the lines."""
        if shown is None:
            return None
        rows = np.flatnonzero(sample["trial"].to_numpy() == shown["trial"])
        if not len(rows):
            return None
        return np.array([self._axis(one, sample, name, name in settings)[0][rows[0]] for name in axes])

    def _words(self, one, sample):
        """How many lines of how many trials."""
        total, shown = one.row["trials"], len(sample)
        some = f"{shown:,} of {total:,} trials: the best {LINES // 2:,} and as many evenly among the others" if (
            shown >= LINES and total > shown) else f"{shown:,} of {total:,} trials, those that traded"  # fmt: skip
        return f"{some}. Each axis from its lowest to its highest value; the orange line is the trial shown."


# -------------------------------------------------------------------------------------------------------------- trial


class SweepTrial(OfSweep):
    """One trial: its settings, its statistics, and how to run it in full."""

    title = "One trial"
    guide = "That of the cell or line tapped; the best of the sweep at first."

    def draw(self, columns):
        """One block."""
        block = charts.words()
        return block, {"trial": block}

    def patch(self, picked):
        """Words on the trial."""
        return {"trial": {"text": self.lacking() or self._told(self.sweeping)}}

    def _told(self, one):
        row, currency = one.shown(), one.row["currency"]
        if row is None:
            return note("No trial of this sweep traded." if one.trial is None else "There is no trial in this cell.")
        names = list(one.row["grid"])
        which = "Best trial of the sweep" if one.trial is None else f"Trial {row['trial']}"
        which += f", the best of {one.cell} in its cell" if one.cell and one.cell > 1 else ""
        settings = [[cell(labelled(one.row, name), "text"), cell(text(row[name]))] for name in names]
        if row.get("refused"):
            return note(f"{which} was refused: {row['refused']}") + table(
                [("Setting", "text", ""), ("", "", "")], settings
            )
        made = one.found("sweep", one.sweep).made
        around = made.around([row["trial"]], one.by)[0]
        stats = [[cell(words_of(name), "text"), cell(told(name, row[name], currency))] for name in STATISTICS]
        stats.append([cell(f"{words_of(one.by)} with neighbours", "text"), cell(told(one.by, around, currency))])
        run = one.run(row)
        link = (
            f'<p class="note">It is stored as a run: <a href="?run={esc(run)}#/overview">open {esc(run)}</a>.</p>'
            if run
            else note("This runs it in full, so that all pages can be had of it:")
            + f"<pre>{esc(one.command(row))}</pre>"
        )
        screened = (
            note("Screened: statistics of the quick pass.") if one.row["screened"] and one.trial is not None else ""
        )
        return (
            f'<p class="axis">{esc(which)}</p>{table([("Setting", "text", ""), ("", "", "")], settings)}'
            f"{table([('Statistic', 'text', ''), ('', '', '')], stats)}{screened}{link}"
        )
