"""Search for the next roll of a chain: the first crossing, the planned day, the wait, the end (rules: `rolls`).

Whether the contract after the held one is busier than every nearer one does not depend on which contract is held, nor
since when. It is therefore asked once, for all days of the chain (`crossings`), as are the days that the calendar of
the exchange gives each contract (`Dates`). What is left to do a roll is to look at the days that its contract is held.
"""

from itertools import pairwise

import numpy as np

from store import days, expiry
from store.roll_rules import NAMES

FALLBACK = 2  # business days between the roll planned for unknown activity and the last allowed day
NO_CROSSING = "no crossing"
CLOSED = "closed: no matched price"


class Follower:
    """Steps along a chain, one contract held at a time; contracts and days are numbers of `chain`.

    `given` is a plan that came from elsewhere: {contract: (day, contract rolled into)}.
    """

    def __init__(self, chain, spec, rule, given=None):
        self.chain, self.rule, self.end = chain, rule, len(chain.days) - 1
        self.given = given or {}
        self.dates = Dates(chain, spec, rule, self.given)
        self._crossings = crossings(chain, rule.reads, self.dates.limit)
        self._plain = rule.known[0][1] if len(rule.known) == rule.count == 1 else 0  # days until its number is known
        told = (self.dates.limit, self.dates.barred, self.dates.due, self.dates.leave, self.dates.endless, chain.cuts)
        self._limit, self._barred, self._due, self._leave, self._endless, self._cuts = (x.tolist() for x in told)

    def start(self):
        """The nearest contract with a price on the first day that has one, not past its last allowed day; that day.

        None where there is no such contract.
        """
        chain = self.chain
        owner = chain.row_owner
        rows = np.flatnonzero(~np.isnan(chain.mark) & (chain.day < self.dates.leave[owner]))
        if self.given:
            planned = self._planned()[chain.day[rows]]
            rows = rows[(planned == 0) | (planned == chain.contracts[owner[rows]])]
        if not len(rows):
            return None
        row = rows[np.argmin(chain.day[rows])]  # the first of that day: within it the contracts ascend
        return int(owner[row]), int(chain.day[row])

    def next(self, k, since):
        """The roll out of `k`, held since the close of day `since`: (row, contract, day); None while it is held."""
        limit = self._limit[k]
        trigger, target, reason = self._trigger(k, since, limit)
        for t in range(trigger, limit + 1):
            c = target if target is not None and t < self._barred[target] else self._candidate(k, t)
            pair = None if c is None else self.chain.matched(k, c, t)
            if pair:
                waited = f", waited {t - trigger}" if t > trigger else ""
                return self._row(t, pair[2], k, c, pair[:2], self._date(trigger - 1), reason + waited), c, t
        return self._close(k, since, limit) if limit < self.end else None

    def _trigger(self, k, since, limit):
        """(first day on which the roll out of `k` may be made, contract or None, reason)."""
        due, reason = max(self._due[k], since + 1), self.dates.reason(k)
        if self.rule.kind != "activity":
            return due, None, reason
        unknown = self._unknown(due)
        if not unknown and not self._endless[k]:  # it may cross up to the last allowed day
            due = max(self._leave[k], since + 1)
        why = f"fallback: {unknown or NO_CROSSING}"
        if self.rule.until and (bound := max(int(self.dates.until[k]), since + 1)) <= due:
            due, why = bound, f"{self.rule.until}: {self._unknown(bound) or NO_CROSSING}"
        crossing = self._crossing(k, since, min(due, limit))
        return (*crossing, self.rule.name + reason) if crossing else (due, None, why + reason)

    def _crossing(self, k, since, until):
        """The first day in since+1..until for which the rule's crossing was known, with the contract that crossed."""
        for c, low, high in self.chain.candidates(k, since, until - 1) if until > since else ():
            low, high = max(low, int(self.dates.since[k]) - 1), min(high, self._barred[c] - 2)
            if high < low:
                continue
            if self._plain:
                found = self._first_crossing(k, c, max(low + 1, since + self._plain), min(high + 1, until))
                if found is not None:
                    return found, c
                continue
            seen = self.crossed(k, c, since, until)
            seen = seen if self.rule.count == 1 else _in_a_row(seen, self.rule.count)
            seen = seen[low - since : max(high + 1 - since, 0)]
            if seen.any():
                return low + 1 + int(seen.argmax()), c
        return None

    def _first_crossing(self, k, c, first, last):
        """The first of the days first..last on which the one number that the rule reads was known to have crossed."""
        ((name, lag),) = self.rule.known
        low, high = self._cuts[k], self._cuts[k + 1]
        dates = self.chain.dates[low:high]
        a, b = dates.searchsorted((first - lag, last - lag + 1)).tolist()
        crossed = self._crossings[name][low + a : low + b] == c
        place = int(crossed.argmax()) if b > a else 0
        return int(dates[a + place]) + lag if b > a and crossed[place] else None

    def crossed(self, k, c, since, until):
        """(day since+1..until) whether `c` had crossed `k`, by the numbers known when a roll on that day is decided.

        The rule's N is not counted here. `until` may be the day after the chain's last, of which nothing is read.
        """
        seen = [self._known(k, c, name, lag, since, until) for name, lag in self.rule.known]
        return seen[0] if len(seen) == 1 else (np.logical_or if self.rule.either else np.logical_and)(*seen)

    def _known(self, k, c, name, lag, since, until):
        """(day since+1..until) whether `c` had crossed `k` on the day whose number was known then, since `since`."""
        out = np.zeros(until - since, bool)
        low, high = self.chain.cuts[k], self.chain.cuts[k + 1]
        dates = self.chain.dates[low:high]
        a, b = dates.searchsorted(since), dates.searchsorted(until - lag + 1)
        out[dates[a:b] + (lag - since - 1)] = self._crossings[name][low + a : low + b] == c
        return out

    def _unknown(self, due):
        """Which activity was unknown when day `due` was decided; '' where what was known is enough for the rule."""
        unknown = [name for name, lag in self.rule.known if self.chain.known[name] > due - lag]
        if not unknown or (self.rule.either and len(unknown) < len(self.rule.reads)):
            return ""
        return "unknown " + " and ".join(NAMES[name] for name in unknown)

    def _planned(self):
        """(day,) contract that a given plan holds, the first that it has not left by then; 0 after its last roll."""
        plan = sorted((day, contract) for contract, (day, _) in self.given.items())
        nearest = np.minimum.accumulate([contract for _, contract in plan][::-1])[::-1]
        turn = np.searchsorted(np.array([day for day, _ in plan], "datetime64[D]"), self.chain.days)
        return np.append(nearest, 0)[turn]

    def _candidate(self, k, t):
        first = self.chain.first
        if int(self.chain.contracts[k]) in self.given:
            wanted = self.given[int(self.chain.contracts[k])][1]
            found = np.flatnonzero((self.chain.contracts == wanted) & (first <= t) & (t < self.dates.barred))
            return int(found[0]) if len(found) else None
        listed = self.chain.listed
        return next((c for c in range(k + 1, len(listed)) if listed[c] <= t < self._barred[c]), None)

    def _close(self, k, since, limit):
        """The end of a position that found no matched price from its planned roll to `limit`, its last day."""
        chain = self.chain
        own = np.arange(chain.starts[k], chain.starts[k + 1])
        own = own[(chain.day[own] <= limit) & ~np.isnan(chain.mark[own])]
        later = np.arange(chain.starts[k + 1], len(chain.day))
        day, leave = chain.day[later], self.dates.leave[chain.row_owner[later]]
        later = later[(day > limit) & (day < leave) & ~np.isnan(chain.mark[later])]
        if not len(later):
            return None
        row = later[np.argmin(chain.day[later])]
        c, t = int(chain.row_owner[row]), int(chain.day[row])
        matched = self.rule.exit is None and chain.matched_before(k, c, since, limit)
        prices = matched[:2] if matched else (float(chain.mark[own[-1]]), float(chain.mark[row]))
        reason = CLOSED + self.dates.suffix
        return self._row(t, int(chain.time[row]), k, c, prices, self.dates.last[k].item(), reason), c, t

    def _date(self, t):
        return self.chain.days[t].item()

    def _row(self, t, time, k, c, prices, decided, reason):
        pair = int(self.chain.contracts[k]), int(self.chain.contracts[c])
        return (self._date(t), time, *pair, *prices, decided, reason)


class Dates:
    """What the exchange's calendar says of each contract of a chain, as days (datetime64) and as numbers of days.

    `last` (NaT where not known) is the last allowed day, `limit` the last day of the chain up to it, `leave` the first
    from it on; `barred` is the first day on which it may not be rolled into any more (a nearer contract may be held
    longer, where a vendor's dates err); `due` is the day planned for the roll, `since` and `until` bound activity.
    """

    def __init__(self, chain, spec, rule, given=None):
        self.chain, self.spec, self.rule, self.given = chain, spec, rule, given or {}
        self.last = self._last()
        self.endless = np.isnat(self.last)
        self.limit = np.where(self.endless, len(chain.days), chain.days.searchsorted(self.last, side="right")) - 1
        self.leave = self._numbers(self.last)
        self.barred = self.leave if spec is not None else np.full(len(self.leave), len(chain.days) + 1)
        self.wanted, self.absent = self._wanted()
        self.forced = self.wanted > self.last
        self.due = self._numbers(np.where(self.forced | self.endless, self.last, self.wanted))
        none = np.zeros(len(chain.contracts), int)
        self.since = self._numbers(self._day(rule.since)) if rule.since else none
        self.until = self._numbers(self._day(rule.until)) if rule.until else none

    @property
    def suffix(self):
        """The end of each reason that leans on last bars: they are known afterwards only."""
        return "" if self.spec is not None else ", retrospective"

    def reason(self, k):
        """Why contract `k` is left on the planned day; of an activity rule only the end of the reason."""
        suffix = self.suffix
        if self.rule.kind == "activity" or self.endless[k]:
            return suffix
        if self.absent[k]:
            return f"fallback: not in {self.rule.trigger}{suffix}"
        return f"{'forced: ' if self.forced[k] else ''}{self.rule.trigger}{suffix}"

    def _last(self):
        """The last allowed day; without specs the last bar, once later contracts have bars after it."""
        chain, exit = self.chain, self.rule.exit
        if self.spec is not None and exit is None:
            return expiry.last_trades(self.spec, chain.contracts)
        if self.spec is not None:
            return expiry.all_last_allowed(self.spec, chain.contracts, exit)
        last = chain.last
        later = np.append(np.maximum.accumulate(last[::-1])[::-1], -1)[1:]
        return np.where(later > last, chain.days[last], np.datetime64("NaT", "D"))

    def _wanted(self):
        """(contract,) the planned day, and whether a given plan lacks the contract."""
        early = self._shift(self.last, -FALLBACK)
        absent = np.zeros(len(early), bool)
        if self.rule.kind == "activity":
            return early, absent
        if self.rule.kind == "date":
            return self._day(self.rule), absent
        told = [self.given.get(contract, (None,))[0] for contract in self.chain.contracts.tolist()]
        told = np.array(told, "datetime64[D]")
        return np.where(np.isnat(told), early, told), np.isnat(told)

    def _day(self, day):
        """(contract,) the date `day.name` less `day.count` business days."""
        return self._shift(self._date(day.name), -day.count)

    def _date(self, name):
        """(contract,) the date that the rule counts from, always a trading day."""
        contracts, last = self.chain.contracts.astype(int), self.last
        if name == "delivery":
            months = (contracts // 100 - 1970) * 12 + contracts % 100 - 1
            return self._shift(months.astype("datetime64[M]").astype("datetime64[D]"), 0)
        if name == "month-begin":
            return self._shift(last.astype("datetime64[M]").astype("datetime64[D]"), 0)
        if name == "month-end":  # the last month end on which the contract may still be held
            tomorrow = self._shift(last, 1).astype("datetime64[M]")
            return self._shift(tomorrow.astype("datetime64[D]"), -1)
        if self.spec is None:
            return last
        trade = expiry.last_trades(self.spec, self.chain.contracts)
        notice = expiry.first_notices(self.spec, self.chain.contracts) if name == "first-notice" else trade
        return np.where(np.isnat(notice), trade, notice)

    def _shift(self, dates, n):
        if self.spec is not None:
            return days.shift(self.spec.calendar, dates, n, self.spec.extra)
        return np.busday_offset(dates, n, roll="forward")

    def _numbers(self, dates):
        """Numbers of the first days of the chain on or after these; one past the last where a date is not known."""
        return np.where(np.isnat(dates), len(self.chain.days), self.chain.days.searchsorted(dates))


def crossings(chain, names, limit):
    """Who crossed, day by day: {column: (entry,) number of a contract, or -1}.

    It is the next contract that has a number on that day, if its number is larger than those of all nearer ones that
    may still be held (`limit`: (contract,) last day), that of the entry's own contract included.
    """
    if not names:
        return {}
    days_first = chain.dates.astype(np.uint16) if len(chain.days) < 1 << 16 else chain.dates  # sorted in one pass
    order = np.argsort(days_first, kind="stable")
    day, contract = chain.dates[order], chain.entry_owner[order]
    count = np.bincount(day, minlength=len(chain.days))  # of contracts on each day
    place = np.arange(len(day)) - np.repeat(np.cumsum(count) - count, count)  # of a contract among those of its day
    table = np.full((int(count.max()), len(count)), np.nan)
    cell, cells = place * len(count) + day, table.reshape(-1)
    out, free, next_one = {}, day <= limit[contract], day[1:] == day[:-1]
    for name in names:
        number = chain.activity[name][order]
        cells[cell] = np.where(free, number, np.nan)
        for nearer, row in pairwise(table):
            np.fmax(nearer, row, out=row)
        ahead = next_one & (number[1:] > cells[cell][:-1]) & ~np.isnan(number[:-1])
        out[name] = np.full(len(day), -1)
        out[name][order[:-1][ahead]] = contract[1:][ahead]
    return out


def _in_a_row(seen, n):
    """True where `seen` is true for the n-th time in a row, or a later one.

    >>> _in_a_row(np.array([True, True, False, True, True, True]), 2).astype(int)
    array([0, 1, 0, 0, 1, 1])
    """
    total = np.append(0, np.cumsum(seen))
    out = np.zeros(len(seen), bool)
    out[n - 1 :] = total[n:] - total[:-n] == n
    return out
