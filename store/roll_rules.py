"""When to roll, as written: `volume[:N]`, `oi[:N]`, `volume+oi[:N]`, `volume/oi[:N]`, `first-notice-K`, `last-trade-K`,
`month-end-K`, or the name of a vendor whose data come with their own rolls.

N: on how many days in a row the next contract must be the busier one, strictly. K: business days before the date (of
`month-end`: before the last month end on which the contract may still be held; of a contract without notice: before
its last trade). A date after the last allowed day is `forced` to it.
`+` asks for both, `/` for either. Volume is known after the close, open interest a day later: a roll on day t reads
volume up to t - 1 and open interest up to t - 2.

Source of the vocabulary: TradeStation's custom futures symbols ({IN, VO, OR, AN}, N days before {X, D, N, E, B}) and
CSI's "when the number is known" (DOMAIN part 3).
"""

import difflib
import re
from dataclasses import dataclass

KNOWN_AFTER = {"volume": 1, "oi": 2}  # days between a number's day and the first roll day that may use it
NAMES = {"volume": "volume", "oi": "open interest"}
ALLOWED = "volume[:N] | oi[:N] | volume+oi[:N] | volume/oi[:N] | first-notice-K | last-trade-K | month-end-K | <vendor>"
_ACTIVITY = re.compile(r"(volume\+oi|volume/oi|volume|oi)(?::([1-9]\d{0,2}))?")
_DATE = re.compile(r"(first-notice|last-trade|month-end)-(\d{1,3})")
_WORDS = ("volume", "oi", "volume+oi", "volume/oi", "first-notice-1", "last-trade-1", "month-end-1")


class UnknownRule(ValueError):
    """A rule that cannot be read: says what came, what is allowed and the nearest."""


@dataclass(frozen=True)
class Rule:
    """A rule as parsed.

    `kind` is `activity`, `date` or `vendor`; `name` what is written before N or K (or the vendor); `count` is N or K.
    """

    kind: str
    name: str
    count: int = 0

    def __str__(self):
        joint = {"activity": ":", "date": "-"}
        return f"{self.name}{joint[self.kind]}{self.count}" if self.kind in joint else self.name

    @property
    def reads(self):
        """The activity columns that the rule looks at, of `volume` and `oi`."""
        return tuple(re.split(r"[+/]", self.name)) if self.kind == "activity" else ()

    @property
    def either(self):
        """Whether one crossing of several is enough."""
        return "/" in self.name


def parse_rule(text, vendors=()):
    """The rule that `text` writes; `vendors` are the names that are rules as well.

    Raises
    ------
    UnknownRule

    Examples
    --------
    >>> parse_rule("volume")
    Rule(kind='activity', name='volume', count=1)
    >>> str(parse_rule("Volume/OI:3")), str(parse_rule("first-notice-2"))
    ('volume/oi:3', 'first-notice-2')
    >>> parse_rule("volum:2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    store.roll_rules.UnknownRule: roll rule 'volum:2' is not known; did you mean 'volume:2'? Allowed: volume[:N] | ...
    """
    written = str(text).strip()
    lower = written.lower()
    if match := _ACTIVITY.fullmatch(lower):
        return Rule("activity", match[1], int(match[2] or 1))
    if match := _DATE.fullmatch(lower):
        return Rule("date", match[1], int(match[2]))
    if written in vendors:
        return Rule("vendor", written)
    raise UnknownRule(f"roll rule {written!r} is not known; {_nearest(lower, vendors)}Allowed: {_allowed(vendors)}")


def _allowed(vendors):
    return " | ".join([ALLOWED, *vendors])


def _nearest(lower, vendors):
    head, colon, count = lower.partition(":")
    near = difflib.get_close_matches(head, [*_WORDS, *vendors], n=1, cutoff=0.5)
    if not near:
        return ""
    counted = near[0] in _WORDS[:4] and colon and re.fullmatch(r"[1-9]\d{0,2}", count)
    return f"did you mean {near[0] + (':' + count if counted else '')!r}? "
