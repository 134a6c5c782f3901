"""Sidebar: a widget for whatever a gesture can pick, so that a keyboard can pick it too."""

import numpy as np
from bokeh.models import Button, CheckboxGroup, DateRangeSlider, Div, InlineStyleSheet

from app import charts
from app.selection import SIDES
from app.view import View, dates


def date_slider(days):
    """First and last day picked; arrow keys move a handle by a day."""
    first, last = charts.milliseconds(days[[1, -1]] if len(days) > 2 else days[0] + ONE * np.array([0, 1]))
    return DateRangeSlider(
        title="Days", start=first, end=last, value=(first, last), step=1, format="%Y-%m-%d",
        sizing_mode="stretch_width", margin=(2, 14, 10, 14), stylesheets=[charts.parts()],
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


ONE, LONG = np.timedelta64(1, "D"), 12


class Controls(View):
    """Days, markets, sectors, strategies and direction; nothing chosen means all."""

    title = "Filters"
    saves = ()

    def draw(self, columns):
        """Widgets, each beside its name."""
        self.names = {
            "sectors": columns.sectors, "markets": columns.roots, "directions": SIDES, "strategies": columns.strategies,
        }  # fmt: skip
        models = {
            "days": date_slider(columns.days),
            "markets": boxes(columns.roots),
            "sectors": boxes(columns.sectors),
            "directions": boxes(SIDES),
            "strategies": boxes(columns.strategies),
            "reset": Button(label="Pick all again", sizing_mode="stretch_width", stylesheets=[charts.parts()]),
        }
        parts = [models["days"], heading("Direction"), models["directions"], heading("Sectors"), models["sectors"]]
        parts += [heading("Markets"), models["markets"]]
        if len(columns.strategies) > 1:
            parts += [heading("Strategies"), models["strategies"]]
        hint = Div(text='<p class="note">Nothing chosen means all.</p>', stylesheets=[charts.parts()])
        return charts.column(*parts, models["reset"], hint), models

    def patch(self, picked):
        """Widgets as the selection stands."""
        chosen, slider = picked.chosen, self.models["days"]
        ends = charts.milliseconds(chosen["days"]) if chosen["days"] else (slider.start, slider.end)
        bounded = tuple(float(min(max(end, slider.start), slider.end)) for end in ends)
        ticked = {
            name: {"active": [k for k, value in enumerate(names) if value in chosen[name]]}
            for name, names in self.names.items()
        }
        return {"days": {"value": bounded}, **ticked}

    def wire(self):
        """Widgets write the selection; the whole length of the slider is no choice of days."""
        slider = self.models["days"]

        def pick(**fields):
            with self.board.guard("The filter could not be set."):
                self.board.selection.param.update(**fields)

        def moved(_attr, _old, new):
            pick(days=None if new[0] <= slider.start and new[1] >= slider.end else dates(new))

        def ticked(name):
            names = self.names[name]
            return lambda _attr, _old, new: pick(**{name: [names[k] for k in sorted(new)]})

        slider.on_change("value_throttled", moved)
        for name in self.names:
            self.models[name].on_change("active", ticked(name))
        self.models["reset"].on_click(self.board.selection.reset)
