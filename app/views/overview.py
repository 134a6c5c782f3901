"""The overview of a run under one selection, for notebooks: `Overview(run)`."""

import panel as pn

from app import charts
from app.notebook import framed
from app.pages import PAGES, SIDE
from app.view import View


class Overview(View):
    """The views of the page of that name below one another, filters beside them."""

    title = "Overview"

    def draw(self, columns):
        """No model of its own but the banner: the parts join the same board."""
        from app.views import VIEWS

        names = ("chips", SIDE, *(slot.view for slot in PAGES["overview"].slots))
        self.parts = {name: VIEWS[name](board=self.board) for name in names}
        banner = charts.words()
        banner.text = charts.banner(columns.run)
        return banner, {}

    def __panel__(self):
        if self.pane is None:
            self.pane = self._layout()
            self.board.settle()
        return self.pane

    def _layout(self):
        parts = dict(self.parts)
        side = pn.Column(parts.pop(SIDE), width=270)
        hidden = [pn.pane.Bokeh(model, visible=False) for model in (self.board.wish, self.board.gift)]
        top = pn.pane.Bokeh(self.root, sizing_mode="stretch_width")
        chips = parts.pop("chips")
        grid = pn.FlexBox(*(_card(parts[slot.view], slot.width) for slot in PAGES["overview"].slots), gap="12px")
        main = pn.Column(top, *hidden, chips, grid, sizing_mode="stretch_width")
        return framed(self.board, pn.Row(side, main, sizing_mode="stretch_width"))


def _card(view, width):
    """A view under its title, as wide as on the page."""
    share = f"calc({width / 12:.4%} - 12px)"
    title = f"<h3>{charts.esc(view.title)}</h3><p style='margin:0;opacity:.7'>{charts.esc(view.guide)}</p>"
    least = (
        500 if width > 6 else 320
    )  # so that a table of twelve months fits where two do not fit side by side [pixels]
    return pn.Column(pn.pane.HTML(title), view, styles={"flex": f"1 1 {share}", "min-width": f"min(100%, {least}px)"})
