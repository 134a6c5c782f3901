"""Return of every month, and of the years beside them."""

import numpy as np

from app import charts
from app.view import View

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")
STEPS = (0.0, 0.02, 0.05)  # returns at which a cell's colour deepens


def cell(value, year):
    """One month, or the year at the end of its row."""
    if not np.isfinite(value):
        return "<td></td>"
    depth = sum(abs(value) > step for step in STEPS)
    tone = f"{'g' if value > 0 else 'l'}{depth}" if depth and not year else ""
    kind = " ".join(filter(None, ("year" if year else "", tone)))
    return f'<td class="{kind}">{charts.number(value * 100.0, 1)}</td>'


def table(months):
    """Years below one another, newest first; months with some picked days only."""
    if not months:
        return '<p class="note">No month is picked.</p>'
    head = "".join(f'<th scope="col">{name}</th>' for name in NAMES)
    rows = (
        f'<tr><th scope="row">{year}</th>{"".join(cell(v, k == 12) for k, v in enumerate(months[year]))}</tr>'
        for year in sorted(months, reverse=True)
    )
    return (
        '<div class="scroll"><table class="months"><caption>Return in percent: profit of the days picked over the '
        f"equity before them</caption><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        "</div>"
    )


class Months(View):
    """Monthly returns with the totals of the years."""

    title = "Monthly returns"
    saves = ("csv",)

    def draw(self, columns):
        """One block of words: a table that can be read aloud, copied and searched."""
        block = charts.words()
        return block, {"months": block}

    def patch(self, picked):
        """The table of a slice."""
        return {"months": {"text": table(picked.months)}}
