"""The contract master: what each market is, as dated facts with their sources.

`config/contracts.csv` (root, field, value, valid_from, source) holds the facts, `config/symbols.csv` what vendors call
the markets. A fact that changes gets a new row and the old one stays (DOMAIN T37); a row without a date has always
held. Margins are never carried back before their first dated row (T30): they are nan, unknown.
A user's own `contracts.csv`, `symbols.csv` and `holidays.csv` beside a store come after ours and win.

Prices are as traders quote them (corn in cents, silver in dollars); price x multiplier is money in `currency`.
"""

import csv
import hashlib
import math
from dataclasses import MISSING, dataclass, fields, replace
from datetime import date
from difflib import get_close_matches
from functools import cache, cached_property
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from store.codes import MONTHS, BadCode, BadQuote, code, parse_code, quote
from store.days import sources
from store.expiry import first_notice, last_allowed, last_trade
from store.names import CONTINUOUS

__all__ = [
    "CONTINUOUS",
    "MONTHS",
    "Alias",
    "BadCode",
    "BadQuote",
    "ContractSpec",
    "Fact",
    "Master",
    "UnknownRoot",
    "code",
    "first_notice",
    "last_allowed",
    "last_trade",
    "parse_code",
    "quote",
    "with_dates",
]

FILES = ("contracts.csv", "symbols.csv", "holidays.csv")


class UnknownRoot(LookupError):
    """A market that the master does not know, or knows too little of."""


class Fact(NamedTuple):
    """One row of the master; `valid_from` is None where it has always held."""

    value: str
    valid_from: date | None
    source: str


@dataclass(frozen=True)
class Alias:
    """What a vendor calls a market: his price x `factor` is ours; `history_from` is the root whose history the rows
    before the market's own listing really are ('' none). A `root` of '' says that the name ended."""

    root: str
    factor: float
    history_from: str


@dataclass(frozen=True)
class ContractSpec:
    """The facts of one market as of a day."""

    root: str
    name: str
    sector: str
    exchange: str
    currency: str
    multiplier: float  # currency per 1.0 of price, one contract
    tick: float  # least change of price
    price_unit: str  # as quoted; names `32nds` or `eighths` where quotes have fractions
    listed_months: str  # letters FGHJKMNQUVXZ
    held_months: str  # those liquid enough to hold (T10)
    settlement: str  # cash | physical
    last_trade: str  # name of a rule in store/expiry.py
    first_notice: str  # the same; '' where there is none
    calendar: str  # name in holidays.csv
    timezone: str
    session_start: str  # HH:MM at the exchange; from noon on, the next day's session
    initial_margin: float = math.nan  # currency per contract, overnight; nan unknown
    maintenance_margin: float = math.nan
    negative_prices: str = "no"  # yes: may trade at or below zero
    price_limit: str = ""  # widest move from the last settlement in a day: `7%`, or points; '' none, or unknown
    history_from: str = ""  # root whose prices stand in for those before this market was listed (Master.history)
    last_trade_rules: tuple = ()  # ((first contract, rule), ...), oldest first: rules change by delivery month
    first_notice_rules: tuple = ()
    dates: tuple = ()  # ((contract, last trade, first notice or None), ...) of a vendor: they go before the rules (T12)
    extra: Path | None = None  # the folder of a user's own holidays


FIELDS = {
    field.name: field
    for field in fields(ContractSpec)
    if field.name not in ("root", "extra", "dates", "last_trade_rules", "first_notice_rules")
}
NUMBERS = ("multiplier", "tick", "initial_margin", "maintenance_margin")
TEXTS = FIELDS.keys() - {*NUMBERS, "negative_prices", "price_limit"}  # fields that hold whatever is written
NEVER_BEFORE = ("initial_margin", "maintenance_margin", "price_limit")  # unknown before the first dated row
FACT_COLUMNS = ("root", "field", "value", "valid_from", "source")
ALIAS_COLUMNS = ("vendor", "name", "root", "price_factor", "history_from", "valid_from")
MAY_LACK = {
    field: "" if FIELDS[field].default is MISSING else FIELDS[field].default
    for field in ("first_notice", *(name for name in FIELDS if FIELDS[name].default is not MISSING))
}


class Master:
    """All markets: facts by root and field, aliases by vendor and name."""

    def __init__(self, facts, aliases, extra=None, hash=""):
        self._facts = facts  # {root: {field: [Fact, ...] oldest first}}
        self._aliases = aliases  # {(vendor, name): [(valid_from, Alias), ...] oldest first}
        self._extra = extra
        self.hash = hash
        self.roots = tuple(sorted(facts))

    @classmethod
    def load(cls, extra=None):
        """The shipped master, with the rows of a user's own files in the folder `extra` after ours."""
        extra = Path(extra).resolve() if extra is not None else None
        return _load(extra, tuple((path, path.stat().st_mtime_ns) for name in FILES for path in sources(name, extra)))

    def facts(self, root, field):
        """All dated values of a field, oldest first; none is an empty list."""
        if field not in FIELDS:
            raise LookupError(f"no field {field!r} in the contract master{_nearest(field, FIELDS)}")
        return list(self._market(root).get(field, ()))

    def spec(self, root, day=None):
        """Facts of a market as they held on `day` (None: the newest)."""
        market = self._market(root)
        values = {field: _value(field, market.get(field, ()), day) for field in FIELDS}
        lacking = [field for field, value in values.items() if value is None and field not in MAY_LACK]
        if lacking:
            raise UnknownRoot(
                f"the facts of {root} lack {', '.join(lacking)}: add them to contracts.csv beside the store"
            )
        rules = {f"{field}_rules": _rules(market.get(field, ())) for field in ("last_trade", "first_notice")}
        values |= {field: MAY_LACK[field] for field, value in values.items() if value is None}
        return ContractSpec(root=root, extra=self._extra, **values, **rules)

    def history(self, root):
        """(root, day) whose prices stand in for those of a market before its own first `day`; None where none do."""
        rows = self.facts(root, "history_from")
        return (rows[-1].value, rows[-1].valid_from) if rows and rows[-1].value else None

    def resolve(self, name):
        """Root of a name: a root, a vendor's name, `vendor:name`, or a continuous name (`ES.c.0`)."""
        text = str(name).strip()
        if text in self._facts:
            return text
        found = self._roots_named.get(text, {})
        if len(set(found.values())) == 1:
            return next(iter(found.values()))
        if found:
            vendors = ", ".join(f"{key} is {root}" for key, root in sorted(found.items()))
            raise UnknownRoot(f"{text!r} is more than one market, say which vendor's: {vendors}")
        continuous = CONTINUOUS.fullmatch(text)
        if continuous:
            return self.resolve(continuous["root"])
        if text.upper() in self._facts:
            return text.upper()
        raise UnknownRoot(f"no market {text!r} in the contract master{_nearest(text, self._names())}")

    def alias(self, vendor, name, day=None):
        """What `vendor` means by `name` on `day` (None: by now); None where nothing is known, or the name had ended."""
        found = None
        for valid_from, alias in self._aliases.get((vendor, name), ()):
            if day is None or valid_from is None or valid_from <= day:
                found = alias
        return found if found is None or found.root else None

    def aliases(self, root):
        """[(vendor, name)] under which a market is or was known."""
        return list(self._names_of.get(root, ()))

    @cached_property
    def _roots_named(self):
        """{name, with and without its vendor: {vendor:name: the root that it last stood for}}."""
        found = {}
        for (vendor, name), rows in self._aliases.items():
            root = next((alias.root for _, alias in reversed(rows) if alias.root), None)
            if root:
                for text in (name, f"{vendor}:{name}"):
                    found.setdefault(text, {})[f"{vendor}:{name}"] = root
        return found

    @cached_property
    def _names_of(self):
        found = {}
        for key, rows in sorted(self._aliases.items()):
            for root in dict.fromkeys(alias.root for _, alias in rows):
                found.setdefault(root, []).append(key)
        return found

    def _market(self, root):
        if root not in self._facts:
            raise UnknownRoot(f"no market {root!r} in the contract master{_nearest(root, self._names())}")
        return self._facts[root]

    def _names(self):
        return [*self.roots, *sorted({name for _, name in self._aliases})]


def with_dates(spec, frame):
    """The spec with the dates that a vendor gives single contracts: rows of the table `contracts` of this market, of
    which a later `known` goes before an earlier. A row without a last trade leaves the rules in force."""
    rows = frame.drop_nulls("last_trade").sort("known", "contract", nulls_last=False)
    found = {row["contract"]: (row["contract"], row["last_trade"], row["first_notice"]) for row in rows.to_dicts()}
    return replace(spec, dates=tuple(found[contract] for contract in sorted(found)))


@cache
def _load(extra, files):
    """The master made of `files`, each with the time of its last change, so that an edited file is read again."""
    facts, aliases, since, digest, last, market = {}, {}, {"": None}, hashlib.sha256(), None, {}
    for path, _ in files:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))  # the same on a checkout that has Windows line ends
    for path in sources("contracts.csv", extra):
        for line, (root, field, value, valid_from, source) in _rows(path, FACT_COLUMNS):
            if field not in TEXTS and not _sound(field, value):
                _check(field, value, (path.name, line))
            if valid_from not in since:
                since[valid_from] = _date(valid_from, (path.name, line))
            if root != last:  # rows of a market stand together
                last, market = root, facts.setdefault(root, {})
            if field not in market:
                market[field] = []
            market[field].append(Fact(value, since[valid_from], source))
    for market in facts.values():
        for rows in market.values():
            if len(rows) > 1:  # stable: a user's row of the same day comes last
                rows.sort(key=lambda fact: fact.valid_from or date.min)
    for path in sources("symbols.csv", extra):
        for line, (vendor, name, root, factor, history_from, valid_from) in _rows(path, ALIAS_COLUMNS):
            place = path.name, line
            alias = Alias(root, _number(factor, place), history_from)
            aliases.setdefault((vendor, name), []).append((_date(valid_from, place), alias))
    for rows in aliases.values():
        rows.sort(key=lambda pair: pair[0] or date.min)
    return Master(facts, aliases, extra, digest.hexdigest())


def _rows(path, columns):
    """(line, values) of a CSV file in the order of `columns`; a file that lacks one, and a cut row, are refused."""
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise ValueError(f"{path.name} lacks the column {', '.join(missing)}; it has {', '.join(header) or 'none'}")
        pick = itemgetter(*(header.index(column) for column in columns))
        width = len(header)
        for row in reader:
            if row:
                if len(row) < width:
                    place = _at((path.name, reader.line_num))
                    raise ValueError(f"{place}: {len(row)} cells, the header has {width}")
                yield reader.line_num, pick(row)


def _sound(field, value):
    """Whether a value is surely what its field may hold: a number above 0, as nearly all are; else `_check` tells."""
    try:
        return field in NUMBERS and float(value) > 0
    except ValueError:
        return False


def _check(field, value, place):
    if field not in FIELDS:
        raise ValueError(f"{_at(place)}: no field {field!r} in the contract master{_nearest(field, FIELDS)}")
    if field in NUMBERS and not _number(value, place) > 0:
        raise ValueError(f"{_at(place)}: {field} is {value!r}, it must be above 0")
    if field == "negative_prices" and value not in ("yes", "no"):
        raise ValueError(f"{_at(place)}: {field} is {value!r}, it must be yes or no")
    if field == "price_limit" and value and not _number(value.removesuffix("%"), place) > 0:
        raise ValueError(f"{_at(place)}: {field} is {value!r}, write 7% or 0.45")


def _number(text, place):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{_at(place)}: {text!r} is no number") from None


def _date(text, place):
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{_at(place)}: {text!r} is no day, write 2024-03-15") from None


def _at(place):
    return f"{place[0]} line {place[1]}"


def _value(field, rows, day):
    """Value on a day, None if unknown. Before its first row a margin is; any other fact is what it first was."""
    known = [fact for fact in rows if day is None or fact.valid_from is None or fact.valid_from <= day]
    earliest = rows[0].value if rows and field not in NEVER_BEFORE else None
    value = known[-1].value if known else earliest
    return float(value) if field in NUMBERS and value is not None else value


def _rules(rows):
    return tuple(
        (fact.valid_from.year * 100 + fact.valid_from.month if fact.valid_from else 0, fact.value) for fact in rows
    )


def _nearest(text, names):
    near = get_close_matches(str(text), list(dict.fromkeys(names)), n=3, cutoff=0.5)
    return f"; near it: {', '.join(near)}" if near else ""
