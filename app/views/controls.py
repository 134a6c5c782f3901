"""Sidebar: a widget for whatever a gesture can pick, so that a keyboard can pick it too."""

import numpy as np
from bokeh.models import CheckboxGroup, DateRangeSlider, InlineStyleSheet, RangeSlider

from app import charts
from app.selection import SIDES
from app.view import View, dates

ONE, LONG = np.timedelta64(1, "D"), 12
LISTS = {  # field -> heading
    "directions": "Side", "sectors": "Sectors", "markets": "Markets", "strategies": "Strategies",
    "regimes": "Regimes", "entry_reasons": "Entry reasons", "exit_reasons": "Exit reasons",
}  # fmt: skip


def date_slider(days):
    """First and last day picked; arrow keys move a handle by a day."""
    first, last = charts.milliseconds(days[[1, -1]] if len(days) > 2 else days[0] + ONE * np.array([0, 1]))
    return DateRangeSlider(
        title="Days", start=first, end=last, value=(first, last), step=1, format="%Y-%m-%d",
        sizing_mode="stretch_width", margin=(2, 12, 8, 8), stylesheets=[charts.parts()],
    )  # fmt: skip


def range_slider(title, edges, step, form):
    """Least and most of a number of the trades; at an end there is no bound."""
    first, last = (float(edges[0]), float(edges[-1])) if len(edges) > 1 else (0.0, 1.0)
    return RangeSlider(
        title=title, start=first, end=last, value=(first, last), step=step, format=form, sizing_mode="stretch_width",
        margin=(2, 12, 8, 12), stylesheets=[charts.parts()],
    )  # fmt: skip


def boxes(names):
    """Names to tick; none ticked means all. Long names have a line each."""
    sheets = [charts.parts()]
    if max(map(len, names), default=0) > LONG:
        sheets.append(InlineStyleSheet(css=".bk-input-group:has(> label) { grid-template-columns: 1fr !important; }"))
    return CheckboxGroup(labels=list(names), active=[], sizing_mode="stretch_width", stylesheets=sheets)


def heading(text):
    """What the boxes below are."""
    block = charts.words()
    block.text = f"<h3>{charts.esc(text)}</h3>"
    return block


class Controls(View):
    """Days, sides, sectors, markets, strategies, regimes, reasons, holding times, results; nothing chosen means all."""

    title = "Filters"
    saves = ()

    def draw(self, columns):
        """Widgets, each below its name; a list of one name is no choice."""
        self.names = {
            "directions": SIDES, "sectors": columns.sectors, "markets": columns.roots, "strategies": columns.strategies,
            "regimes": (), "entry_reasons": columns.entry_reasons, "exit_reasons": columns.exit_reasons,
        }  # fmt: skip
        results, holding = columns.result_bins, columns.holding_bins
        models = {
            "days": date_slider(columns.days),
            "holding_slider": range_slider("Bars held", holding, 1, "0,0"),
            "results_slider": range_slider(f"Net [{columns.currency}]", results, _step(results), "0.[00]a"),
        }
        parts = [models["days"]]
        for name, words in LISTS.items():
            models[name], models[f"{name}_heading"] = boxes(self.names[name]), heading(words)
            parts += [models[f"{name}_heading"], models[name]]
        hint = charts.words()
        hint.text = '<p class="note">Nothing chosen means all.</p>'
        return charts.column(*parts, models["holding_slider"], models["results_slider"], hint), models

    def patch(self, picked):
        """Widgets as the selection stands."""
        chosen = picked.chosen
        self.names["regimes"] = picked.regimes.names
        found = {
            "days": {"value": self._ends("days", charts.milliseconds(chosen["days"]) if chosen["days"] else None)},
            "holding_slider": {"value": self._ends("holding_slider", chosen["holding"])},
            "results_slider": {"value": self._ends("results_slider", chosen["results"])},
        }
        for name, names in self.names.items():
            active = [k for k, value in enumerate(names) if value in chosen[name]]
            found[name] = {"labels": list(names), "active": active, "visible": len(names) > 1}
            found[f"{name}_heading"] = {"visible": len(names) > 1}
        return found

    def _ends(self, name, ends):
        """Where the handles of a slider are."""
        slider = self.models[name]
        low, high = (slider.start, slider.end) if ends is None else ends
        low, high = slider.start if low is None else low, slider.end if high is None else high
        return tuple(float(min(max(end, slider.start), slider.end)) for end in (low, high))

    def wire(self):
        """Widgets write the selection; the whole length of a slider is no choice."""

        def pick(**fields):
            with self.board.guard("The filter could not be set."):
                self.board.selection.pick(**fields)

        def moved(field, slider):
            def told(_attr, _old, new):
                if field == "days":
                    pick(days=None if new[0] <= slider.start and new[1] >= slider.end else dates(new))
                    return
                ends = tuple(None if at else float(end) for end, at in
                             zip(new, (new[0] <= slider.start, new[1] >= slider.end), strict=True))  # fmt: skip
                pick(**{field: None if ends == (None, None) else ends})

            return told

        def ticked(name):
            return lambda _attr, _old, new: pick(**{name: [self.names[name][k] for k in sorted(new)]})

        for field, name in (("days", "days"), ("holding", "holding_slider"), ("results", "results_slider")):
            self.models[name].on_change("value_throttled", moved(field, self.models[name]))
        for name in self.names:
            self.models[name].on_change("active", ticked(name))


def _step(edges):
    """A hundredth of a slider, round."""
    span = float(edges[-1] - edges[0]) if len(edges) > 1 else 1.0
    return 10.0 ** np.floor(np.log10(span / 100.0)) if span > 0.0 else 1.0
