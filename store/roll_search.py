"""Search for the next roll of a chain: the first crossing, the planned day, the wait, the end (rules: `rolls`)."""

from datetime import timedelta

import numpy as np

from store import days, expiry
from store.roll_rules import KNOWN_AFTER, NAMES

FALLBACK = 2  # business days between the roll planned for unknown activity and the last allowed day
NOT_CROSSED = "fallback: no crossing"
CLOSED = "closed: no matched price"


class Follower:
    """Steps along a chain, one contract held at a time; days are numbers of `chain.days`.

    `given` is a plan that came from elsewhere: {contract: (day, contract rolled into)}.
    """

    def __init__(self, chain, spec, rule, given=None):
        self.chain, self.rule, self.end = chain, rule, len(chain.days) - 1
        self.given = given or {}
        self.dates = Dates(chain, spec, rule, self.given)

    def start(self):
        """The nearest contract with a price on the first day that has one, not past its last allowed day; that day."""
        chain = self.chain
        order = np.lexsort((chain.day,))  # stable: within a day the contracts stay ascending
        owner = np.repeat(np.arange(len(chain.contracts)), np.diff(chain.starts))
        priced = ~np.isnan(chain.mark(slice(None)))
        for row in order[priced[order]]:
            k, t = int(owner[row]), int(chain.day[row])
            if self._allowed(k, t) and self._planned(k, t):
                return k, t
        raise ValueError(f"{chain.frame['root'][0]}: no contract has a price before its last allowed day")

    def next(self, k, since):
        """The roll out of `k`, held since the close of day `since`: (row, contract, day); None while it is held."""
        last = self.dates.last(k)
        limit = self.end if last is None else self.chain_day(last + timedelta(days=1)) - 1
        planned, reason = self.dates.planned(k)
        due = self.end + 1 if planned is None else max(self.chain_day(planned), since + 1)
        crossing = None
        if self.rule.kind == "activity":
            fallback = self._fallback(due)
            if fallback == NOT_CROSSED and last is not None:  # it may cross up to the last allowed day
                due = max(self.chain_day(last), since + 1)
            crossing = self._crossing(k, since, min(due, limit))
            reason = self.rule.name if crossing else fallback + reason
        trigger, target = crossing or (due, None)
        for t in range(trigger, limit + 1):
            c = self._candidate(k, t) if target is None else target
            pair = None if c is None else self.chain.matched(k, c, t)
            if pair:
                waited = f", waited {t - trigger}" if t > trigger else ""
                return self._row(t, pair[2], k, c, pair[:2], self._date(trigger - 1), reason + waited), c, t
        return None if last is None or last >= self._date(self.end) else self._close(k, last)

    def chain_day(self, date):
        """Number of the first day on or after `date`."""
        return int(np.searchsorted(self.chain.days, np.datetime64(date, "D")))

    def _crossing(self, k, since, until):
        """The first day in since+1..until for which the rule's crossing was known, with the contract that crossed."""
        if until <= since:
            return None
        for c, low, high in self.chain.candidates(k, since, until - 1):
            known = [self._known(k, c, name, since, until) for name in self.rule.reads]
            seen = np.logical_or.reduce(known) if self.rule.either else np.logical_and.reduce(known)
            seen = _in_a_row(seen, self.rule.count)
            crossed = np.flatnonzero(seen) + since + 1
            crossed = crossed[(crossed > low) & (crossed <= high + 1)]
            if len(crossed):
                return int(crossed[0]), c
        return None

    def _known(self, k, c, name, since, until):
        """(day since+1..until): whether `c` was seen to be the busiest up to it when that day's roll was decided."""
        lag, busiest = KNOWN_AFTER[name], self._busiest_left(k, name, since, until - 1)
        held, other = (self.chain.activity_of(x, name, since, until - 1) for x in (k, c))
        busier = (other > held) & (other > busiest) & (np.arange(since, until) >= self.chain.known[name])
        return np.append(np.zeros(lag - 1, bool), busier)[: until - since]

    def _busiest_left(self, k, name, low, high):
        """(day low..high): activity of the busiest contract before `k` that may still be held; -inf where none may."""
        out = np.full(high + 1 - low, -np.inf)
        for j in np.flatnonzero(self.chain.last[:k] >= low).tolist():
            last = self.dates.last(j)
            end = high if last is None else min(high, self.chain_day(last + timedelta(days=1)) - 1)
            if end >= low:
                out[: end + 1 - low] = np.fmax(out[: end + 1 - low], self.chain.activity_of(j, name, low, end))
        return out

    def _fallback(self, due):
        unknown = [name for name in self.rule.reads if self.chain.known[name] > due - KNOWN_AFTER[name]]
        if not unknown or (self.rule.either and len(unknown) < len(self.rule.reads)):
            return NOT_CROSSED
        return "fallback: unknown " + " and ".join(NAMES[name] for name in unknown)

    def _planned(self, k, t):
        """Whether a given plan holds contract `k` on day `t`: it is the first that it has not left by then."""
        held = [contract for contract, (day, _) in self.given.items() if day >= self._date(t)]
        return not held or int(self.chain.contracts[k]) == min(held)

    def _candidate(self, k, t):
        if int(self.chain.contracts[k]) in self.given:
            wanted = self.given[int(self.chain.contracts[k])][1]
            found = np.flatnonzero((self.chain.contracts == wanted) & (self.chain.first <= t))
            return int(found[0]) if len(found) else None
        listed = np.flatnonzero(self.chain.first[k + 1 :] <= t)
        return k + 1 + int(listed[0]) if len(listed) else None

    def _close(self, k, last):
        """The end of a position that found no matched price up to its last allowed day."""
        chain, after = self.chain, self.chain_day(last + timedelta(days=1))
        own = np.arange(chain.starts[k], chain.starts[k + 1])
        own = own[(chain.day[own] < after) & ~np.isnan(chain.mark(own))]
        later = np.arange(chain.starts[k + 1], len(chain.day))
        later = later[(chain.day[later] >= after) & ~np.isnan(chain.mark(later))]
        for row in later[np.argsort(chain.day[later], kind="stable")]:
            c, t = int(np.searchsorted(chain.starts, row, side="right")) - 1, int(chain.day[row])
            if self._allowed(c, t):
                prices = float(chain.mark(own[-1:])[0]), float(chain.mark(np.array([row]))[0])
                return self._row(t, int(chain.time[row]), k, c, prices, last, CLOSED), c, t
        return None

    def _allowed(self, k, t):
        last = self.dates.last(k)
        return last is None or last > self._date(t)

    def _date(self, t):
        return self.chain.days[t].item()

    def _row(self, t, time, k, c, prices, decided, reason):
        pair = int(self.chain.contracts[k]), int(self.chain.contracts[c])
        return (self._date(t), time, *pair, *prices, decided, reason)


class Dates:
    """The last allowed and the planned day of each contract."""

    def __init__(self, chain, spec, rule, given=None):
        self.chain, self.spec, self.rule, self.given = chain, spec, rule, given or {}
        self._last = {}

    def last(self, k):
        """Last day on which contract `k` may be held; None where that is not known."""
        if k not in self._last:
            self._last[k] = self._allowed(k)
        return self._last[k]

    def planned(self, k):
        """The day planned for the roll out of `k`, and the reason's ending (of an activity rule) or the reason."""
        last, suffix = self.last(k), "" if self.spec is not None else ", retrospective"
        if last is None:
            return None, suffix
        if self.rule.kind == "activity":
            return self._shift(last, -FALLBACK), suffix
        if self.rule.kind == "vendor":
            date = self.given.get(int(self.chain.contracts[k]), (None,))[0]
            if date is None:
                return self._shift(last, -FALLBACK), f"fallback: not in {self.rule}{suffix}"
            return (last, f"forced: {self.rule}{suffix}") if date > last else (date, f"{self.rule}{suffix}")
        date = self._dated(k, last)
        return (last, f"forced: {self.rule}{suffix}") if date > last else (date, f"{self.rule}{suffix}")

    def _allowed(self, k):
        if self.spec is not None:
            return expiry.last_allowed(self.spec, int(self.chain.contracts[k]), buffer=1)
        last = self.chain.last
        expired = np.any(last[k + 1 :] > last[k])
        return self.chain.days[last[k]].item() if expired else None

    def _dated(self, k, last):
        name, contract = self.rule.name, int(self.chain.contracts[k])
        if name == "month-end":  # the last month end on which the contract may still be held
            tomorrow = self._shift(last, 1)
            end = last if tomorrow.month != last.month else last.replace(day=1) - timedelta(days=1)
            return self._shift(self._shift(end + timedelta(days=1), -1), -self.rule.count)
        if self.spec is None:
            return self._shift(last, -self.rule.count)
        date = expiry.first_notice(self.spec, contract) if name == "first-notice" else None
        return self._shift(date or expiry.last_trade(self.spec, contract), -self.rule.count)

    def _shift(self, date, n):
        if self.spec is not None:
            return days.shift(self.spec.calendar, date, n, self.spec.extra)
        return np.busday_offset(date, n, roll="forward").item()


def _in_a_row(seen, n):
    """True where `seen` is true for the n-th time in a row, or a later one.

    >>> _in_a_row(np.array([True, True, False, True, True, True]), 2).astype(int)
    array([0, 1, 0, 0, 1, 1])
    """
    total = np.append(0, np.cumsum(seen))
    out = np.zeros(len(seen), bool)
    out[n - 1 :] = total[n:] - total[:-n] == n
    return out
