"""When a contract ends: last trade, first notice, and the last day on which we may hold it.

The rules are in store/rules.py; a market's facts `last_trade` and `first_notice` name them. A rule that changed is
several dated facts: `valid_from` is then the first delivery month under the new rule. The delivery month is not the
month of the last trade (DOMAIN T31), and exchanges move days by notice: where we know that they did, the fact is a date
instead of a rule. A vendor's date of a contract (`spec.dates`) goes before both (T12); `differences` tells where the
two do not agree.
"""

from dataclasses import replace

import numpy as np

from store import days
from store.rules import RULES


class UnknownRule(LookupError):
    """A last-trade or first-notice rule that store/rules.py does not have."""


def last_trade(spec, contract):
    """Day of the last trade of a contract.

    `spec` is a `ContractSpec`: a vendor's `dates`, else the dated `last_trade_rules` on its `calendar`.
    """
    return last_trades(spec, contract).item()


def first_notice(spec, contract):
    """First day on which a holder may be given notice of delivery; None where there is no notice (cash settled, or
    delivered only to those who hold at the end)."""
    return first_notices(spec, contract).item()


def last_allowed(spec, contract, buffer=1):
    """Last day we may hold a contract at the close: `buffer` trading days before first notice or last trade (T11)."""
    return all_last_allowed(spec, contract, buffer).item()


def last_trades(spec, contracts):
    """Days of the last trade of many contracts (array YYYYMM), as `last_trade` gives that of one: datetime64[D]."""
    return _told(spec, contracts, 1, _days_by_rule(spec, spec.last_trade_rules, contracts))


def first_notices(spec, contracts):
    """First notice days of many contracts; NaT where there is no notice."""
    return _told(spec, contracts, 2, _days_by_rule(spec, spec.first_notice_rules, contracts, needed=False))


def all_last_allowed(spec, contracts, buffer=1):
    """Last allowed days of many contracts, as `last_allowed` gives that of one."""
    limit = np.fmin(first_notices(spec, contracts), last_trades(spec, contracts))  # fmin: where there is no notice
    return np.asarray(days.shift(spec.calendar, limit, -buffer, spec.extra) if buffer else limit, "datetime64[D]")


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


def _told(spec, contracts, column, found):
    """The days `found`, but where a vendor told another of the contract: `column` of its row in `spec.dates`."""
    told = {row[0]: row[column] for row in reversed(spec.dates) if row[column] is not None}
    if told:
        for place in np.ndindex(found.shape):
            found[place] = told.get(int(np.asarray(contracts)[place]), found[place])
    return found


def _days_by_rule(spec, rules, contracts, needed=True):
    """Days by the rule in force for each delivery month (before the first rule's, the first); NaT without a rule."""
    contracts = np.asarray(contracts)
    names = [name for _, name in rules] or [""]
    if len(names) == 1 and (names[0] or needed):
        return np.asarray(_days(names[0], spec, contracts))
    found = np.full(contracts.shape, np.datetime64("NaT", "D"), "datetime64[D]")
    turn = np.searchsorted([first for first, _ in rules][1:], contracts, side="right")  # number of the rule in force
    for i, name in enumerate(names):
        ours = turn == i
        if (name or needed) and ours.any():
            found[ours] = _days(name, spec, contracts[ours])
    return found


def _days(name, spec, contracts):
    if name[:1].isdigit():  # the exchange moved it: of this contract only, as the next fact names the rule again
        return np.full(contracts.shape, np.datetime64(name, "D"))
    if name not in RULES:
        raise UnknownRule(f"{spec.root}: no rule {name!r} in store/rules.py; there are {', '.join(sorted(RULES))}")
    months = (contracts // 100 - 1970) * 12 + contracts % 100 - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    return RULES[name](days.Month(first, days.calendar(spec.calendar, spec.extra)))
