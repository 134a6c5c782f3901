"""All of a run under one selection, for notebooks: `Overview(run)`."""

import panel as pn

from app import charts
from app.view import View
from app.views.about import About
from app.views.controls import Controls
from app.views.equity import Equity
from app.views.months import Months
from app.views.positions import Positions
from app.views.bars import Markets, Sectors
from app.views.strip import Strip
from app.views.trades import Trades

PARTS = (Controls, Strip, Equity, Months, Sectors, Markets, Positions, Trades, About)


class Overview(View):
    """Every view of a run below one another, the filters beside them."""

    title = "Overview"

    def draw(self, columns):
        """No model of its own but the banner: the parts join the same board."""
        self.parts = {part.__name__.lower(): part(board=self.board) for part in PARTS}
        banner = charts.words()
        banner.text = charts.banner(columns.run)
        return banner, {}

    def __panel__(self):
        if self.pane is None:
            self.pane = self._layout()
        return self.pane

    def _layout(self):
        parts = dict(self.parts)
        side = pn.Column(parts.pop("controls"), width=270)
        main = [item for view in parts.values() for item in (pn.pane.HTML(f"<h2>{view.title}</h2>"), view)]
        top = [pn.pane.Bokeh(model, sizing_mode="stretch_width") for model in (self.root, self.board.alert)]
        return pn.Row(side, pn.Column(*top, *main, sizing_mode="stretch_width"), sizing_mode="stretch_width")
