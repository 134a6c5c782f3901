"""A roll calendar that came as a file against the chain of stored bars: what is wrong with each row (see `roll_files`).

A row has `line`, what could be `read` of its cells, `closed`, and `fault(column, reason, remedy)`.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from store.chain import MONTHS
from store.roll_names import FILE
from store.roll_rules import UnknownRule, given_rule, parse_rule
from store.roll_search import Dates
from store.rolls import SCHEMA, RollCalendar, held_months

TINY = 1e-6  # share of a price, where no tick is known
SLACK = 1e-9  # of a tick, for prices that are no exact binary numbers


def judged(root, rows, chain, spec, rule):
    """The calendar by `rule` (None: the file is its own), or None, and what is at fault."""
    parsed, months = _rule(rule, rows, spec)
    dates, faults, made = Dates(chain, spec, parsed), [], []
    last = dates.last
    for before, row in zip([None, *rows], rows, strict=False):
        faults += _in_order(before, row)
        k, c, t, lost = _placed(row, chain)
        faults += lost + _in_time(row, chain, last, k, c)
        since = chain.days.searchsorted(np.datetime64(before.read["day"])) if before and "day" in before.read else 0
        prices, wrong = _prices(row, dates, since, k, c, t) if None not in (k, c, t) else (None, [])
        faults += wrong
        if prices is not None:
            decided = row.read.get("decided") if rule else _end(row, last[k]) if row.closed else None
            made.append(_roll(row, prices, decided, bool(rule)))
    if faults or len(made) < len(rows):
        return None, faults
    frame = pl.DataFrame(made, SCHEMA, orient="row")
    return _calendar(root, rule or FILE, rows, frame, months), []


def _rule(text, rows, spec):
    """The rule that a text writes, and the delivery months held; of a plan those of its contracts."""
    try:
        return parse_rule(text or ""), held_months(spec, text)
    except UnknownRule:
        pairs = (row.read.get(column) for row in rows for column in ("from", "to"))
        months = _months([contract for contract in pairs if contract], spec)
    try:
        return given_rule(text or FILE), months
    except UnknownRule:
        return given_rule(FILE), months


def _months(contracts, spec):
    """Delivery months of these contracts; of less than a year, those that the market holds as well: the cycle is not
    seen whole."""
    months = {contract % 100 for contract in contracts}
    span = [contract // 100 * 12 + contract % 100 for contract in contracts]
    if spec is not None and max(span, default=0) - min(span, default=0) < 12:
        months |= set(held_months(spec))
    return tuple(sorted(months))


def as_written(root, rows, rule):
    """Version of the calendar that the file itself says, whatever the store has; None where something is not told."""
    names = ("day", "time", "from", "to", "from_price", "to_price", "decided", "reason")
    table = [tuple(row.read.get(name) for name in names) for row in rows]
    if any(None in line[:4] for line in table):
        return None
    frame = pl.DataFrame(table, SCHEMA, orient="row")
    return _calendar(root, rule, rows, frame).version


def _calendar(root, rule, rows, frame, months=MONTHS):
    rank, end = (next((row.read[name] for row in rows if name in row.read), None) for name in ("rank", "end"))
    return RollCalendar(root, rule, rows[0].read["from"], frame, months, rank or 0, end)


def _in_order(before, row):
    """Faults of a row beside the one before it, and of its contracts beside each other."""
    faults, said = [], row.read
    if {"from", "to"} <= said.keys() and said["to"] <= said["from"]:
        faults.append(row.fault("to", f"is not later than {said['from']}", "roll into a later contract"))
    if before is None:
        return faults
    was = before.read
    if "day" in said and "day" in was and said["day"] <= was["day"]:
        faults.append(row.fault("day", f"is not after {was['day']} of the row before", "put the rows in order"))
    if "from" in said and "to" in was and said["from"] != was["to"]:
        faults.append(row.fault("from", f"is not {was['to']}, into which the row before rolls", f"write {was['to']}"))
    return faults


def _placed(row, chain):
    """Numbers of the old contract, of the new one and of the day in the chain, each None if not there; and faults."""
    found, faults = [], []
    for column in ("from", "to"):
        contract = row.read.get(column)
        k = int(np.searchsorted(chain.contracts, contract or 0))
        there = contract is not None and k < len(chain.contracts) and chain.contracts[k] == contract
        found.append(k if there else None)
        if contract is not None and not there:
            near = " or ".join(str(x) for x in chain.contracts[max(k - 1, 0) : k + 1])
            faults.append(row.fault(column, "has no bar in the store", f"the nearest that have are {near}"))
    day = row.read.get("day")
    if day is None:
        return *found, None, faults
    t = int(chain.days.searchsorted(np.datetime64(day)))
    if t == len(chain.days) or chain.days[t] != np.datetime64(day):
        return *found, None, [*faults, _no_day(row, chain, t)]
    return *found, t, faults


def _no_day(row, chain, t):
    """The fault of a day on which nothing traded."""
    first, last = chain.days[0], chain.days[-1]
    if t == 0:
        return row.fault("day", f"is before {first}, with which the store begins", "leave the row out")
    if t == len(chain.days):
        return row.fault("day", f"is after {last}, with which the store ends", "leave the row out")
    near = f"{chain.days[t - 1]} or {chain.days[t]}"
    return row.fault("day", "is no day on which anything traded", f"take {near}")


def _in_time(row, chain, last, k, c):
    """Faults of a roll that comes too late for one of its contracts."""
    faults, day = [], row.read.get("day")
    if day is None:
        return faults
    if k is not None and not row.closed and np.datetime64(day) > last[k]:
        told = f"is after {last[k]}, the last allowed day of {chain.contracts[k]}"
        faults.append(row.fault("day", told, "roll by then"))
    if c is not None and np.datetime64(day) >= last[c]:
        told = f"may be held until {last[c]} only, which is not after the roll"
        faults.append(row.fault("to", told, "roll into a later contract, or earlier"))
    return faults


def _prices(row, dates, since, k, c, t):
    """(old price, new price, moment) of a roll in the store, or None; and faults of the file's."""
    chain, spec = dates.chain, dates.spec
    moment = row.read.get("time")
    micros = None if moment is None else int(moment.timestamp()) * 1_000_000 + moment.microsecond
    if row.closed:
        found = _ended(row, dates, since, k, c, t)
    elif micros is None:
        found = chain.matched(k, c, t)
    else:
        found = _matched_at(chain, k, c, t, micros) or chain.matched(k, c, t)
    if found is None:
        return None, [_unmatched(row, chain, k, c, t)]
    faults = []
    moved = moment is not None and "from_price" not in row.read and "to_price" not in row.read  # to another day
    if micros is not None and micros != found[2] and not (moved and moment.date() != row.read["day"]):
        told = f"write {_stamp(found[2])}, or leave it empty"
        faults.append(row.fault("time", "is no moment at which both have a price on that day", told))
    for column, stored in zip(("from_price", "to_price"), found, strict=False):
        given = row.read.get(column)
        slack = (0.5 + SLACK) * spec.tick if spec else TINY * abs(stored)
        if given is not None and abs(given - stored) > slack:
            faults.append(row.fault(column, f"is not {stored!r}, as it is stored", "write that, or leave it empty"))
    return found, faults


def _matched_at(chain, k, c, t, micros):
    """Prices of one field that both contracts have at that moment of day `t`; None if there are none."""
    rows = [[row for row in range(*chain.rows_on(x, t)) if chain.time[row] == micros] for x in (k, c)]
    for values in (chain.prices["settle"], chain.prices["close"]):
        pair = [values[found[-1]] for found in rows if found]
        if len(pair) == 2 and not np.isnan(pair).any():
            return float(pair[0]), float(pair[1]), micros
    return None


def _end(row, last):
    """The day on which the position of a `closed` row ends: as the file says, at the latest the last allowed one."""
    told = row.read.get("decided")
    return last.item() if told is None or np.datetime64(told) > last else told


def _ended(row, dates, since, k, c, t):
    """The old contract's last price up to the end of its position, held since day `since`, and the new one's first on
    day `t`; through expiry the last matched ones, if there are any (`rolls`, rule 4)."""
    chain, last = dates.chain, dates.last[k]
    end = chain.days.searchsorted(np.datetime64(_end(row, last)), side="right") - 1
    own = np.arange(chain.starts[k], chain.starts[k + 1])
    own = own[(chain.day[own] <= end) & ~np.isnan(chain.mark[own])]
    new = [row for row in range(*chain.rows_on(c, t)) if not np.isnan(chain.mark[row])]
    if not len(own) or not new:
        return None
    matched = dates.rule.exit is None and chain.matched_before(k, c, since, end)
    prices = matched[:2] if matched else (float(chain.mark[own[-1]]), float(chain.mark[new[0]]))
    return *prices, int(chain.time[new[0]])


def _unmatched(row, chain, k, c, t):
    """The fault of a roll for which the store has no prices: of which leg, and the nearest days that have."""
    lacks = [x for x in (k, c) if not any(not np.isnan(chain.mark[i]) for i in range(*chain.rows_on(x, t)))]
    told = " and ".join(str(chain.contracts[x]) for x in lacks)
    reason = f"no price of {told} on it" if lacks else "no price of both at one moment and of one field on it"
    shared = np.intersect1d(*(chain.day[chain.starts[x] : chain.starts[x + 1]] for x in (k, c)))
    near = [
        next((str(chain.days[other]) for other in days if chain.matched(k, c, other)), None)
        for days in (shared[shared < t][::-1], shared[shared > t])
    ]
    near = " or ".join(day for day in near if day)
    return row.fault("day", reason, f"take {near}, on which both have one" if near else "take other contracts")


def _roll(row, prices, decided, unedited):
    """A row of a calendar."""
    said = row.read
    told = said.get("reason", FILE)
    if not (unedited or row.closed) and _by_rule(told, row.text.get("rule") or ""):
        told = FILE
    return said["day"], _moment_of(prices[2]), said["from"], said["to"], *prices[:2], decided, told


def _by_rule(reason, rule):
    """Whether a reason is one that `rule` gave; in a file that was edited nobody knows of which rows it still holds."""
    head = reason.replace(",", ":").partition(":")[0]
    return head in ("fallback", "forced", "rank 0") or (head != "" and head in rule)


def _moment_of(micros):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _stamp(micros):
    return _moment_of(micros).isoformat().replace("+00:00", "Z")
