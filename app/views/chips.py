"""Chips: what is picked, a word each; a click takes one out again."""

from app import charts
from app.charts import esc
from app.selection import LISTS, told
from app.view import View


def chips(chosen):
    """The words of a selection as buttons, and how to pick where there is none."""
    made = "".join(
        f'<button class="chip" type="button" data-do="clear" data-field="{esc(field)}" '
        f'data-value="{esc(value if field in LISTS.values() else "")}" '
        f'aria-label="Take {esc(label)} out">{esc(label)}<span aria-hidden="true">×</span></button>'
        for field, value, label in told(chosen)
    )
    hint = '<span class="note">Everything is picked. Drag over days or click a bar in any view to pick a part.</span>'
    return f'<div class="chips" role="group" aria-label="Picked">{made or hint}</div>'


class Chips(View):
    """What is picked."""

    title = "Picked"
    saves = ()

    def draw(self, columns):
        """One block of words."""
        block = charts.words()
        return block, {"chips": block}

    def patch(self, picked):
        """The words of the selection that a slice is of."""
        return {"chips": {"text": chips(picked.chosen)}}
