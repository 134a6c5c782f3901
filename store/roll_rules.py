"""When to roll, as written, and as parsed.

    TRIGGER[,months=LETTERS][,exit=K]

TRIGGER is activity, `volume[:N] | oi[:N] | volume+oi[:N] | volume/oi[:N]`, or a date, `first-notice-K | last-trade-K |
delivery-K | month-end-K | month-begin-K | month-begin+K`, or the name of a roll calendar: that of a vendor whose data
come with their own rolls, or of one that was stored under a tag.

N: on how many days in a row the next contract must be the busier one, strictly. `+` asks for both, `/` for either.
A date after activity bounds it: `volume/last-trade-8` rolls then at the latest, `volume+last-trade-15` not before: on
the first day from that date on before which it was the busier one on the last N days known, wherever they began.
K: business days before the date (`month-begin+K`: after it). `delivery` is the first session of the delivery month,
`month-begin` the first session of the month of the last allowed day, `month-end` the last month end on which the
contract may still be held; a contract without notice goes by its last trade. A date after the last allowed day is
`forced` to it.

`@D` after a column says how many days later its number is known: `volume@2`, `oi@1:3`. Volume is known after the close,
open interest a day later, so a roll on day t reads volume up to t - 1 and open interest up to t - 2, unless told.
`months=GJMQZ` holds these delivery months, `months=-FV` those of the market but these. `exit=K` leaves K business days
before first notice or last trade (1 unless told); `exit=expiry` holds through the last trade day, notice or not: a
research series as vendors of nearbys make it, which no run accepts.

Source of the vocabulary: TradeStation's custom futures symbols (N occurrences of {IN, VO, OR, AN}, or N days before {X,
D, N, E, B}, months included or left out) and CSI's {known, lagged2} and "prevent regress" (DOMAIN part 3). CSI's
{reported}, the number of the same day, is refused: it looks ahead.
"""

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache

KNOWN_AFTER = {"volume": 1, "oi": 2}  # days between a number's day and the first roll day that may use it
NAMES = {"volume": "volume", "oi": "open interest"}
LETTERS = "FGHJKMNQUVXZ"
EXPIRY = "expiry"
DATES = ("first-notice", "last-trade", "delivery", "month-end", "month-begin")
ALLOWED = (
    "volume[@D][:N] | oi[@D][:N] | volume+oi[:N] | volume/oi[:N], each [+DATE][/DATE] (N to 999, D to 99) | DATE = "
    "first-notice-K | last-trade-K | delivery-K | month-end-K | month-begin-K | month-begin+K | <vendor or tag>; then "
    "[,months=LETTERS][,exit=K]"
)
SMART = {"c": f"last-trade-0,exit={EXPIRY}", "v": "volume:1", "n": "oi:1"}  # rules of the names ES.c.0, ES.v.0, ES.n.0
_COLUMN = r"(?:volume|oi)(?:@[1-9]\d?)?"
_DATE = r"(?:(?:first-notice|last-trade|delivery|month-end|month-begin)-\d{1,3}|month-begin\+\d{1,2})"
_ACTIVITY = re.compile(
    rf"(?P<columns>{_COLUMN}(?:[+/]{_COLUMN})?)(?::(?P<count>[1-9]\d{{0,2}}))?"
    rf"(?:\+(?P<since>{_DATE}))?(?:/(?P<until>{_DATE}))?"
)
_DATED = re.compile(_DATE)
_MONTHS = re.compile(rf"months=(-?[{LETTERS}]+)")
_EXIT = re.compile(rf"exit=([1-9]\d?|{EXPIRY})")
_WORDS = ("volume", "oi", "volume+oi", "volume/oi", *(f"{name}-1" for name in DATES))


class UnknownRule(ValueError):
    """A rule that cannot be read: says what came, what is allowed and the nearest."""


@dataclass(frozen=True)
class Day:
    """A day told by a contract: `count` business days before the date `name`; after it, if negative."""

    name: str
    count: int

    def __str__(self):
        return f"{self.name}{'-' if self.count >= 0 else '+'}{abs(self.count)}"


@dataclass(frozen=True)
class Rule:
    """A rule as parsed.

    `kind` is `activity`, `date` or `given` (the rolls of a stored calendar); `name` what is written before N or K, or
    the calendar's name; `count` is N or K.
    """

    kind: str
    name: str
    count: int = 0
    known: tuple = ()  # ((column, days until it is known), ...) of the activity columns read, in the order written
    since: Day | None = None  # activity does not count before
    until: Day | None = None  # rolled then at the latest
    months: str = ""  # letters held; "-" first: those left out; "" as the market's facts say
    exit: int | None = 1  # business days before first notice or last trade; None: held through the last trade

    def __str__(self):
        parts = [self.trigger]
        parts += [f"months={self.months}"] if self.months else []
        parts += [f"exit={EXPIRY if self.exit is None else self.exit}"] if self.exit != 1 else []
        return ",".join(parts)

    @property
    def trigger(self):
        """What is written before the options."""
        if self.kind == "given":
            return self.name
        if self.kind == "date":
            return str(Day(self.name, self.count))
        since = f"+{self.since}" if self.since else ""
        until = f"/{self.until}" if self.until else ""
        return f"{self.activity}:{self.count}{since}{until}"

    @property
    def activity(self):
        """The columns as written, with `@D` where that is not the default."""
        told = [name if days == KNOWN_AFTER[name] else f"{name}@{days}" for name, days in self.known]
        return ("/" if self.either else "+").join(told)

    @property
    def reads(self):
        """The activity columns that the rule looks at, of `volume` and `oi`."""
        return tuple(name for name, _ in self.known)

    @property
    def either(self):
        """Whether one crossing of several is enough."""
        return "/" in self.name

    def held(self, letters):
        """The delivery months held, of a market that by its facts holds `letters`.

        >>> parse_rule("volume,months=-FV").held("FGHJV")
        'GHJ'
        """
        if self.months.startswith("-"):
            return "".join(letter for letter in letters if letter not in self.months)
        return self.months or letters


def parse_rule(text, names=()):
    """The rule that `text` writes; `names` are those of roll calendars, which are rules as well.

    Raises
    ------
    UnknownRule

    Examples
    --------
    >>> str(parse_rule("volume")), str(parse_rule("Volume/OI@3:3")), str(parse_rule("first-notice-2"))
    ('volume:1', 'volume/oi@3:3', 'first-notice-2')
    >>> rule = parse_rule("oi:2+last-trade-15/last-trade-5,months=ZGJMQ,exit=3")
    >>> rule.count, str(rule.since), str(rule.until), rule.months, rule.exit, str(rule)[:11]
    (2, 'last-trade-15', 'last-trade-5', 'GJMQZ', 3, 'oi:2+last-t')
    >>> parse_rule("volum:2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    store.roll_rules.UnknownRule: roll rule 'volum:2' is not known; did you mean 'volume:2'? Allowed: ...
    """
    return _parsed(str(text).strip(), tuple(names))


@lru_cache(maxsize=256)
def _parsed(written, names):
    """The rule of a text; it is asked for market by market, and a rule never changes."""
    trigger, *options = written.split(",")
    found = _trigger(trigger.strip(), names) or _refuse(written, trigger.strip().lower(), names)
    since, until = found.get("since"), found.get("until")
    if since and until and since.name == until.name and since.count <= until.count:
        raise UnknownRule(f"roll rule {written!r}: activity would count from {since} on, but the roll is on {until}")
    told = _options(written, options)
    if found["kind"] == "given" and "months" in told:
        raise UnknownRule(f"roll rule {written!r}: the roll calendar {found['name']} says itself which months are held")
    return Rule(**(found | told))


def given_rule(text):
    """The rule of a roll calendar that is at hand: its name and, after a comma, `exit=K`.

    >>> given_rule("lean:oi,exit=2")
    Rule(kind='given', name='lean:oi', count=0, known=(), since=None, until=None, months='', exit=2)
    """
    trigger, *options = str(text).split(",")
    return Rule("given", trigger, **_options(text, options))


def _options(written, options):
    told = {}
    for option in (option.strip() for option in options):
        if match := _MONTHS.fullmatch(option.upper().replace("MONTHS", "months").replace(" ", "")):
            key, value = "months", _sorted(match[1])
        elif match := _EXIT.fullmatch(option.lower().replace(" ", "")):
            key, value = "exit", None if match[1] == EXPIRY else int(match[1])
        else:
            raise UnknownRule(
                f"roll rule {written!r}: option {option!r} is not known; allowed are months=LETTERS ({LETTERS}, "
                f"with - before them to leave them out) and exit=K (business days, at least 1, or {EXPIRY})"
            )
        if key in told:
            raise UnknownRule(f"roll rule {written!r}: {key} is told twice")
        told[key] = value
    return told


def _trigger(trigger, names):
    lower = re.sub(r"\s+", "", trigger.lower())
    if match := _ACTIVITY.fullmatch(lower):
        columns = re.split(r"([+/])", match["columns"])
        known = tuple(_known(column) for column in columns[::2])
        if len({name for name, _ in known}) == len(known):
            name = "".join(part.partition("@")[0] for part in columns)
            known = known if name[:2] == "vo" else known[::-1]
            name = {"oi+volume": "volume+oi", "oi/volume": "volume/oi"}.get(name, name)
            bounds = {key: _day(match[key]) for key in ("since", "until")}
            return {"kind": "activity", "name": name, "count": int(match["count"] or 1), "known": known} | bounds
    if _DATED.fullmatch(lower):
        day = _day(lower)
        return {"kind": "date", "name": day.name, "count": day.count}
    return {"kind": "given", "name": trigger} if trigger in names else None


def _known(column):
    name, _, days = column.partition("@")
    return name, int(days or KNOWN_AFTER[name])


def _day(text):
    if not text:
        return None
    name, sign, count = re.fullmatch(r"(.*)([+-])(\d+)", text).groups()
    return Day(name, int(count) if sign == "-" else -int(count))


def _sorted(months):
    return months[: months.startswith("-")] + "".join(letter for letter in LETTERS if letter in months)


def _refuse(written, lower, names):
    if "@0" in lower:
        raise UnknownRule(f"roll rule {written!r}: @0 would read a number of the roll day itself; @1 is the least")
    raise UnknownRule(f"roll rule {written!r} is not known; {_nearest(lower, names)}: {_allowed(names)}")


def _allowed(names):
    return " | ".join([ALLOWED, *names])


def _nearest(lower, names):
    head, colon, count = lower.partition(":")
    near = difflib.get_close_matches(head, [*_WORDS, *names], n=1, cutoff=0.5)
    if not near:
        return "allowed"
    counted = near[0] in _WORDS[:4] and colon and re.fullmatch(r"[1-9]\d{0,2}", count)
    return f"did you mean {near[0] + (':' + count if counted else '')!r}? Allowed"
