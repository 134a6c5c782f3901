"""When a contract ends: last trade, first notice, and the last day on which we may hold it.

The rules are in store/rules.py; a market's facts `last_trade` and `first_notice` name them. A rule that changed is
several dated facts: `valid_from` is then the first delivery month under the new rule. The delivery month is not the
month of the last trade (DOMAIN T31), and exchanges move days by notice, so where a vendor has a date of his own it
goes before ours (T12).
"""

import numpy as np

from store import days
from store.rules import RULES


class UnknownRule(LookupError):
    """A last-trade or first-notice rule that store/rules.py does not have."""


def last_trade(spec, contract):
    """Day of the last trade of a contract.

    `spec` is a `ContractSpec` (its `last_trade`, or the dated `last_trade_rules`, and its `calendar`).
    """
    return _day(_rule(spec.last_trade_rules, contract, spec.root), spec, contract)


def first_notice(spec, contract):
    """First day on which a holder may be given notice of delivery; None where there is no notice (cash settled, or
    delivered only to those who hold at the end)."""
    name = _rule(spec.first_notice_rules, contract, spec.root)
    return _day(name, spec, contract) if name else None


def last_allowed(spec, contract, buffer=1):
    """Last day we may hold a contract at the close: `buffer` trading days before first notice or last trade (T11)."""
    notice, end = first_notice(spec, contract), last_trade(spec, contract)
    limit = end if notice is None else min(notice, end)
    return days.shift(spec.calendar, limit, -buffer, spec.extra) if buffer else limit


def _rule(rules, contract, root):
    """The rule in force for a delivery month; before the first row, the first."""
    if not rules:
        return ""
    known = [name for first, name in rules if first <= contract]
    return known[-1] if known else rules[0][1]


def _day(name, spec, contract):
    if name not in RULES:
        raise UnknownRule(f"{spec.root}: no rule {name!r} in store/rules.py; there are {', '.join(sorted(RULES))}")
    year, month = divmod(int(contract), 100)
    first = np.datetime64(f"{year:04d}-{month:02d}", "M").astype("datetime64[D]")
    return RULES[name](days.Month(first, days.calendar(spec.calendar, spec.extra))).item()
