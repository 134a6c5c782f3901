"""What was picked: days, markets, sectors, strategies, direction, reasons, regimes, holding time, results.

A Selection holds no data. Brushes, bars and the sidebar write it, a `Board` (app/view.py) watches it, and it travels as
one short text, in a link of the dashboard as well as in that of a report. It remembers what was picked before.
"""

from datetime import date
from urllib.parse import quote, unquote

import param

SIDES = ("long", "short")
KINDS = ("volatility", "trend", "term", "risk", "states")  # of regimes, as in `engine.analysis.regimes`
LISTS = {  # letter in a link -> param
    "m": "markets", "s": "sectors", "n": "strategies", "d": "directions", "i": "entry_reasons", "o": "exit_reasons",
    "r": "regimes",
}  # fmt: skip
RANGES = {"h": "holding", "p": "results"}
CHOICES = ("days", *LISTS.values(), *RANGES.values())  # the filters
PICKED = (*CHOICES, "regime")  # what undo brings back
KEPT = 200  # steps that can be undone


class Selection(param.Parameterized):
    """An empty field picks everything.

    A change of several fields by `pick`, or by `param.update`, is one step for those who watch, and one of `undo`.
    """

    days = param.Tuple(default=None, length=2, allow_None=True, doc="First and last day, both included; None: all.")
    markets = param.List(default=[], item_type=str, doc="Roots, as in the contract master.")
    sectors = param.List(default=[], item_type=str, doc="Sectors of the contract master.")
    strategies = param.List(default=[], item_type=str, doc="Names of strategies of the portfolio.")
    directions = param.List(default=[], item_type=str, doc="`long`, `short`; interest is of neither.")
    entry_reasons = param.List(default=[], item_type=str, doc="What began a trade: `entry_reason` of the trades.")
    exit_reasons = param.List(default=[], item_type=str, doc="What ended a trade: `exit_reason` of the trades.")
    regimes = param.List(default=[], item_type=str, doc="Names of the day's regime, known at the close before.")
    holding = param.Tuple(
        default=None, length=2, allow_None=True,
        doc="Least and most bars that a trade was held, both included; None at an end: no bound there. [bars]",
    )  # fmt: skip
    results = param.Tuple(
        default=None, length=2, allow_None=True,
        doc="Least and most net result of a trade, both included; None at an end: no bound. [account currency]",
    )  # fmt: skip
    regime = param.Selector(default=KINDS[0], objects=list(KINDS), doc="What regimes are told by; no filter.")
    trade = param.Integer(default=None, allow_None=True, doc="Number of the trade that is open; no filter.")
    can_undo = param.Boolean(default=False, doc="Whether there is a step to undo.")
    can_redo = param.Boolean(default=False, doc="Whether there is an undone step to take again.")

    def __init__(self, **params):
        super().__init__(**params)
        self._past, self._future, self._moving = [], [], False
        self.param.watch(self._remember, list(PICKED))

    def key(self):
        """All that was picked, as something that can be looked up: two selections with one key show the same.

        >>> Selection(markets=["ZC", "MES"]).key() == Selection(markets=["MES", "ZC"]).key()
        True
        """
        lists = (tuple(sorted(getattr(self, name))) for name in LISTS.values())
        return (self.days, *lists, self.holding, self.results, self.regime)

    def pick(self, **fields):
        """Change fields in one step."""
        before = self._state()
        if before != before | fields:
            self._move([*self._past, before][-KEPT:], [], fields)

    def reset(self):
        """Pick everything again, in one step."""
        self.pick(**{name: _EVERYTHING[name] for name in CHOICES})

    def clear(self, name):
        """Pick everything of one field again."""
        self.pick(**{name: _EVERYTHING[name]})

    def toggle(self, name, value):
        """Add a value to a list, or take it out again: what a tap on a bar does."""
        chosen = getattr(self, name)
        self.pick(**{name: [entry for entry in chosen if entry != value] if value in chosen else [*chosen, value]})

    def undo(self):
        """Bring back what was picked before the last step; without one, nothing happens."""
        if self._past:
            self._move(self._past[:-1], [*self._future, self._state()], self._past[-1])

    def redo(self):
        """Take the step again that was undone last."""
        if self._future:
            self._move([*self._past, self._state()], self._future[:-1], self._future[-1])

    def chips(self):
        """What is picked, a (field, value, label) each: a value of a list, or the ends of a range.

        >>> Selection(markets=["ZC"], holding=(5, None), exit_reasons=["stop"]).chips()
        [('markets', 'ZC', 'ZC'), ('exit_reasons', 'stop', 'ended by stop'), ('holding', (5, None), 'at least 5 bars')]
        """
        told = [("days", self.days, f"{self.days[0]} to {self.days[1]}")] if self.days else []
        words = {"entry_reasons": "begun by ", "exit_reasons": "ended by ", "regimes": f"{self.regime}: "}
        for name in LISTS.values():
            told += [(name, value, words.get(name, "") + value) for value in sorted(getattr(self, name))]
        if self.holding:
            told.append(("holding", self.holding, _between(self.holding, "{:,.15g}") + " bars"))
        if self.results:
            told.append(("results", self.results, "net " + _between(self.results, "{:,.15g}")))
        return told

    def to_query(self):
        """The selection as one short text; empty when everything is picked.

        >>> Selection(days=(date(2015, 1, 2), date(2018, 12, 31)), markets=["ZC", "MES"]).to_query()
        '2015-01-02~2018-12-31;m:MES,ZC'
        >>> Selection(exit_reasons=["stop"], holding=(5, None), results=(-500.0, 20.5), regime="trend").to_query()
        'o:stop;h:5~;p:-500~20.5;k:trend'
        """
        parts = [f"{self.days[0]}~{self.days[1]}"] if self.days else []
        for letter, name in LISTS.items():
            if chosen := sorted(getattr(self, name)):
                parts.append(f"{letter}:" + ",".join(quote(value, safe="") for value in chosen))
        for letter, name in RANGES.items():
            if ends := getattr(self, name):
                parts.append(f"{letter}:" + "~".join(_plain(end) for end in ends))
        parts += [f"k:{self.regime}"] if self.regime != KINDS[0] else []
        parts += [f"t:{self.trade}"] if self.trade is not None else []
        return ";".join(parts)

    @classmethod
    def from_query(cls, text):
        """The selection that `to_query` told; ValueError with the part that cannot be read.

        >>> Selection.from_query("2015-01-02~2018-12-31;s:Grains").days[1]
        datetime.date(2018, 12, 31)
        """
        return cls(**_fields(text))

    def _state(self):
        return {name: getattr(self, name) for name in PICKED}

    def _move(self, past, future, fields):
        """Go to another selection, without a step of its own."""
        self._past, self._future, self._moving = past, future, True
        try:
            self.param.update(**fields, can_undo=bool(past), can_redo=bool(future))
        finally:
            self._moving = False

    def _remember(self, *events):
        """A field was set by itself: what was there before is a step."""
        if not self._moving:
            before = self._state() | {event.name: event.old for event in events}
            self._move([*self._past, before][-KEPT:], [], {})


_EVERYTHING = {name: Selection.param[name].default for name in PICKED}


def _between(ends, form):
    """A range in words."""
    least, most = (None if end is None else form.format(end) for end in ends)
    if least is None:
        return "any" if most is None else f"at most {most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def _plain(end):
    """A number of a range in the fewest digits that tell it; nothing for an open end."""
    if end is None:
        return ""
    return str(int(end)) if end == int(end) and abs(end) < 1e15 else repr(float(end))


def _fields(text):
    fields = {}
    for part in filter(None, text.split(";")):
        letter, _, values = part.partition(":")
        try:
            if letter in LISTS and ":" in part:
                fields[LISTS[letter]] = [unquote(value) for value in values.split(",") if value]
            elif letter in RANGES:
                fields[RANGES[letter]] = _ends(values)
            elif letter == "t":
                fields["trade"] = int(values)
            elif letter == "k" and values in KINDS:
                fields["regime"] = values
            else:
                fields["days"] = tuple(sorted(date.fromisoformat(day) for day in part.split("~")))
                _, _ = fields["days"]
        except ValueError:
            raise ValueError(
                f"The link asks for {part!r}; allowed are FIRST~LAST as 2015-01-02~2018-12-31, lists as m:MES,ZC "
                f"({', '.join(f'{letter}: {name}' for letter, name in LISTS.items())}), ranges as h:5~20 (h: bars "
                f"held, p: net result; an end may be empty), t:TRADE and k:KIND ({', '.join(KINDS)})."
            ) from None
    return fields


def _ends(text):
    """Least and most of a range."""
    least, most = (float(end) if end else None for end in text.split("~"))
    if any(end is not None and not abs(end) < float("inf") for end in (least, most)):
        raise ValueError(text)
    return (most, least) if None not in (least, most) and least > most else (least, most)
