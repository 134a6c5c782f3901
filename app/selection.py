"""What was picked: dates, markets, sectors, strategies, direction.

A Selection holds no data. The brush, the bars and the sidebar write it, a `Board` (app/view.py) watches it, and it
travels as one short text, in a link of the dashboard as well as in that of a report.
"""

from datetime import date
from urllib.parse import quote, unquote

import param

SIDES = ("long", "short")
CHOICES = ("days", "markets", "sectors", "strategies", "directions")
LISTS = {"m": "markets", "s": "sectors", "n": "strategies", "d": "directions"}  # letter in a link -> param

FIELDS = CHOICES


class Selection(param.Parameterized):
    """An empty field picks everything."""

    days = param.Tuple(default=None, length=2, allow_None=True, doc="First and last day, both included; None: all.")
    markets = param.List(default=[], item_type=str, doc="Roots, as in the contract master.")
    sectors = param.List(default=[], item_type=str, doc="Sectors of the contract master.")
    strategies = param.List(default=[], item_type=str, doc="Names of strategies of the portfolio.")
    directions = param.List(default=[], item_type=str, doc="`long`, `short`; interest is of neither.")

    def key(self):
        """All that was picked, as something that can be looked up: two selections with one key show the same.

        >>> Selection(markets=["ZC", "MES"]).key() == Selection(markets=["MES", "ZC"]).key()
        True
        """
        return (self.days, *(tuple(sorted(getattr(self, name))) for name in LISTS.values()))

    can_undo = can_redo = False

    def chips(self):
        return ([("days", "", f"{self.days[0]} to {self.days[1]}")] if self.days else []) + [
            (n, v, v) for n in LISTS.values() for v in getattr(self, n)
        ]

    def clear(self, name, value=None):
        setattr(self, name, None if name == "days" else [v for v in getattr(self, name) if v != value])

    def undo(self):
        pass

    def redo(self):
        pass

    def reset(self):
        """Pick everything again, in one step."""
        self.param.update(days=None, **{name: [] for name in LISTS.values()})

    def toggle(self, name, value):
        """Add a value to a list, or take it out again: what a tap on a bar does."""
        chosen = getattr(self, name)
        setattr(self, name, [entry for entry in chosen if entry != value] if value in chosen else [*chosen, value])

    def to_query(self):
        """The selection as one short text; empty when everything is picked.

        >>> Selection(days=(date(2015, 1, 2), date(2018, 12, 31)), markets=["ZC", "MES"]).to_query()
        '2015-01-02~2018-12-31;m:MES,ZC'
        """
        parts = [f"{self.days[0]}~{self.days[1]}"] if self.days else []
        for letter, name in LISTS.items():
            if chosen := sorted(getattr(self, name)):
                parts.append(f"{letter}:" + ",".join(quote(value, safe="") for value in chosen))
        return ";".join(parts)

    @classmethod
    def from_query(cls, text):
        """The selection that `to_query` told; ValueError with the part that cannot be read.

        >>> Selection.from_query("2015-01-02~2018-12-31;s:Grains").days[1]
        datetime.date(2018, 12, 31)
        """
        picked = cls()
        picked.param.update(**_fields(text))
        return picked


def _fields(text):
    fields = {}
    for part in filter(None, text.split(";")):
        letter, colon, values = part.partition(":")
        if colon and letter in LISTS:
            fields[LISTS[letter]] = [unquote(value) for value in values.split(",") if value]
            continue
        try:
            first, last = (date.fromisoformat(day) for day in part.split("~"))
        except ValueError:
            raise ValueError(
                f"The link asks for {part!r}; allowed are FIRST~LAST as 2015-01-02~2018-12-31 and lists as m:MES,ZC "
                f"({', '.join(f'{letter}: {name}' for letter, name in LISTS.items())})."
            ) from None
        fields["days"] = (min(first, last), max(first, last))
    return fields
