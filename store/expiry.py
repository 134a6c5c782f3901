"""When a contract ends: last trade, first notice, and the last day on which we may hold it.

The rules are in store/rules.py; a market's facts `last_trade` and `first_notice` name them. A rule that changed is
several dated facts: `valid_from` is then the first delivery month under the new rule. The delivery month is not the
month of the last trade (DOMAIN T31), and exchanges move days by notice: where we know that they did, the fact is a date
instead of a rule. A vendor's date of a contract (`spec.dates`) goes before both (T12); `differences` tells where the
two do not agree.
"""

from dataclasses import replace
from datetime import date

import numpy as np

from store import days
from store.rules import RULES


class UnknownRule(LookupError):
    """A last-trade or first-notice rule that store/rules.py does not have."""


def last_trade(spec, contract):
    """Day of the last trade of a contract.

    `spec` is a `ContractSpec`: a vendor's `dates`, else the dated `last_trade_rules` on its `calendar`.
    """
    given = _given(spec, contract)
    return given[1] if given else _day(_rule(spec.last_trade_rules, contract, spec.root), spec, contract)


def first_notice(spec, contract):
    """First day on which a holder may be given notice of delivery; None where there is no notice (cash settled, or
    delivered only to those who hold at the end)."""
    given = _given(spec, contract)
    if given and given[2] is not None:
        return given[2]
    name = _rule(spec.first_notice_rules, contract, spec.root)
    return _day(name, spec, contract) if name else None


def last_allowed(spec, contract, buffer=1):
    """Last day we may hold a contract at the close: `buffer` trading days before first notice or last trade (T11)."""
    notice, end = first_notice(spec, contract), last_trade(spec, contract)
    limit = end if notice is None else min(notice, end)
    return days.shift(spec.calendar, limit, -buffer, spec.extra) if buffer else limit


def differences(spec):
    """[(contract, "last_trade" or "first_notice", vendor's day, the rule's day)] where the two are not the same."""
    ours, found = replace(spec, dates=()), []
    for contract, end, notice in spec.dates:
        days_of = (
            ("last_trade", end, last_trade(ours, contract)),
            ("first_notice", notice, first_notice(ours, contract)),
        )
        found += [(contract, field, his, rule) for field, his, rule in days_of if his is not None and his != rule]
    return found


def _given(spec, contract):
    """(contract, last trade, first notice or None) of a vendor, or None."""
    return next((row for row in spec.dates if row[0] == contract), None)


def _rule(rules, contract, root):
    """The rule in force for a delivery month; before the first row, the first."""
    if not rules:
        return ""
    known = [name for first, name in rules if first <= contract]
    return known[-1] if known else rules[0][1]


def _day(name, spec, contract):
    if name[:1].isdigit():  # the exchange moved it: of this contract only, as the next fact names the rule again
        return date.fromisoformat(name)
    if name not in RULES:
        raise UnknownRule(f"{spec.root}: no rule {name!r} in store/rules.py; there are {', '.join(sorted(RULES))}")
    year, month = divmod(int(contract), 100)
    first = np.datetime64(f"{year:04d}-{month:02d}", "M").astype("datetime64[D]")
    return RULES[name](days.Month(first, days.calendar(spec.calendar, spec.extra))).item()
