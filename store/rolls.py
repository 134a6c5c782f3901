"""RollCalendar: on which day a market's position passes from one dated contract to the next, at what prices, and why.

1. **Roll day D**: both legs trade on D at the same moment by the same price field (settle, else close). Row D is the last
   of `from_contract`; the next row is the first of `to_contract`. A decision for D reads volume up to the day before and
   open interest up to two days before (DOMAIN T8), and never a later day: the calendar of a longer history begins with
   the calendar of a shorter one.
2. **Next**: the nearest later contract of the held months that is listed by then. Never back (T9, T10).
3. **Fallback**: where activity is unknown, or has not crossed, the roll is planned `FALLBACK` business days before the
   last allowed day, min(first notice, last trade) less one business day (T11). Zero volume is unknown, not small, until
   some contract of the chain has shown any: vendors write 0 for years in which they had none.
4. **Waiting**: a leg without a price on D lets the roll wait for the next day on which both have one, at the latest
   the last allowed day (T13). If none comes, the position ends in the old contract at its last price; the row says
   `closed: no matched price`, its `decided` is the last allowed day, its `day` the first on which a later contract has a
   price, `to_price`. The break in between earns nothing.
5. A market without specs has no last allowed day; its contracts' last bars stand in, once later contracts have bars
   after them. That is known afterwards only, and the reason says `retrospective`.

Source of the terms: DOMAIN part 3 (TradeStation, CSI, Norgate, zipline); day D: DESIGN 5.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import polars as pl

from store import chain as chains
from store import days, expiry
from store.codes import MONTHS
from store.roll_rules import KNOWN_AFTER, NAMES, parse_rule

FALLBACK = 2  # business days between a planned roll and the last allowed day
CLOSED = "closed: no matched price"
SCHEMA = {
    "day": pl.Date,
    "time": pl.Datetime("us", "UTC"),
    "from_contract": pl.Int32,
    "to_contract": pl.Int32,
    "from_price": pl.Float64,
    "to_price": pl.Float64,
    "decided": pl.Date,
    "reason": pl.String,
}


@dataclass(frozen=True)
class RollCalendar:
    """The rolls of one market by one rule; `first` is the contract held first, `months` the delivery months held."""

    root: str
    rule: str
    first: int
    frame: pl.DataFrame
    months: tuple = chains.MONTHS

    @cached_property
    def version(self):
        """12 hex digits of the SHA-256 over all that the calendar says."""
        content = [self.root, self.rule, self.first, list(self.months), self.frame.rows()]
        return hashlib.sha256(json.dumps(content, default=_text).encode()).hexdigest()[:12]

    def shares(self):
        """Share of the rolls by reason, most frequent first."""
        counts = self.frame.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
        return {reason: count / len(self.frame) for reason, count in counts.iter_rows()}

    def diff(self, other):
        """Rolls that `other` has on another day, at another price, or not at all: this one's columns, then `other_...`.

        A roll is known by the pair of its contracts; `days` is by how many days the other one is later.
        """
        pair, rest = ["from_contract", "to_contract"], ["day", "from_price", "to_price", "reason"]
        both = self.frame.select(pair + rest).join(
            other.frame.select(pair + rest).rename({name: f"other_{name}" for name in rest}),
            on=pair, how="full", coalesce=True,
        )  # fmt: skip
        same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"other_{name}")) for name in rest[:3])
        apart = (pl.col("other_day") - pl.col("day")).dt.total_days().alias("days")
        return both.filter(~same).with_columns(apart).sort(pl.coalesce("day", "other_day"), *pair)

    def document(self):
        """The calendar as `roll --json` prints it; contracts are text."""
        rolls = [
            {
                "day": row["day"].isoformat(),
                "time": row["time"].isoformat(),
                "from": str(row["from_contract"]),
                "to": str(row["to_contract"]),
                "from_price": row["from_price"],
                "to_price": row["to_price"],
                "reason": row["reason"],
            }
            for row in self.frame.iter_rows(named=True)
        ]
        content = {"root": self.root, "rule": self.rule, "version": self.version, "first": str(self.first)}
        return content | {"rolls": rolls, "reasons": self.shares()}


def calendar(bars, spec, rule="volume:1"):
    """The rolls of one market by a rule.

    Parameters
    ----------
    bars : polars.DataFrame
        Rows of `contract_bars`, one root, one source.
    spec : ContractSpec or None
        Facts of the market; None where the master does not know it (rule 5 above).
    rule : str
        See `roll_rules`.

    Returns
    -------
    RollCalendar
    """
    if not len(bars):
        raise ValueError("no bars to make a roll calendar from")
    rule, root = parse_rule(rule), bars["root"][0]
    months = chains.MONTHS if spec is None else tuple(MONTHS.index(letter) + 1 for letter in spec.held_months)
    chain = chains.load(bars, months)
    if not len(chain.contracts):
        raise ValueError(f"{root}: no bars in a held month ({spec.held_months})")
    follower = _Follower(chain, spec, rule)
    k, t = follower.start()
    first, rows = int(chain.contracts[k]), []
    while step := follower.next(k, t):
        row, k, t = step
        rows.append(row)
    return RollCalendar(root, str(rule), first, pl.DataFrame(rows, SCHEMA, orient="row"), months)


def chain_calendar(chain):
    """The rolls that came with a vendor's chain (`vendor_chains` rows of one root), named after the vendor.

    The contract changes between two rows; the roll is on the earlier one, where price and forward are of one moment.
    The vendor does not say when it decided: `decided` is null. Where the earlier row lacks a leg, see `splices`.
    """
    if not len(chain):
        raise ValueError("no rows to make a roll calendar from")
    chain, found = splices(chain)
    vendor = chain["source"][0]
    rows = [
        (
            chain["day"][row],
            chain["time"][row],
            chain["price_contract"][last],
            chain["price_contract"][last + 1],
            from_price,
            to_price,
            None,
            CLOSED if closed else vendor,
        )
        for last, row, from_price, to_price, closed in found
    ]
    return RollCalendar(
        chain["root"][0], vendor, chain["price_contract"][0], pl.DataFrame(rows, SCHEMA, orient="row")
    )


def splices(chain):
    """Where a vendor's chain changes its contract: (sorted chain, list of splices).

    A splice is (last row of the old contract, row of the prices, old price, new price, closed). The prices are those of
    the last old row, price and forward; where one is missing, or the forward is another contract, the splice is
    `closed`: the old one's last price, and the new one's first, at its row.
    """
    chain = chain.filter(pl.col("price_contract").is_not_null()).sort("time", maintain_order=True)
    held = chain["price_contract"].to_numpy()
    price, forward = (chain[name].cast(pl.Float64).to_numpy() for name in ("price", "forward"))
    ahead = chain["forward_contract"].fill_null(0).to_numpy()
    changes = np.flatnonzero(held[1:] != held[:-1])
    ends = np.append(changes[1:], len(held) - 1)
    begins, out = np.append(0, changes[:-1] + 1), []
    for last, begin, end in zip(changes.tolist(), begins.tolist(), ends.tolist(), strict=True):
        if ahead[last] == held[last + 1] and not np.isnan(price[last] + forward[last]):
            out.append((last, last, float(price[last]), float(forward[last]), False))
            continue
        old = np.flatnonzero(~np.isnan(price[begin : last + 1])) + begin
        new = np.flatnonzero(~np.isnan(price[last + 1 : end + 1])) + last + 1
        if len(old) and len(new):
            out.append((last, int(new[0]), float(price[old[-1]]), float(price[new[0]]), True))
        else:  # a contract that never had a price is stepped over without a gap
            out.append((last, last + 1, None, None, True))
    return chain, out


class _Follower:
    """Steps along a chain, one contract held at a time; days are numbers of `chain.days`."""

    def __init__(self, chain, spec, rule):
        self.chain, self.rule, self.end = chain, rule, len(chain.days) - 1
        self.dates = _Dates(chain, spec, rule)

    def start(self):
        """The nearest contract with a price on the first day that has one, not past its last allowed day; that day."""
        chain = self.chain
        order = np.lexsort((chain.day,))  # stable: within a day the contracts stay ascending
        owner = np.repeat(np.arange(len(chain.contracts)), np.diff(chain.starts))
        priced = ~np.isnan(chain.mark(slice(None)))
        for row in order[priced[order]]:
            k, t = int(owner[row]), int(chain.day[row])
            if self._allowed(k, t):
                return k, t
        raise ValueError(f"{chain.frame['root'][0]}: no contract has a price before its last allowed day")

    def next(self, k, since):
        """The roll out of `k`, held since the close of day `since`: (row, contract, day), or None if it is still held."""
        last = self.dates.last(k)
        limit = self.end if last is None else self.chain_day(last + timedelta(days=1)) - 1
        planned, reason = self.dates.planned(k)
        due = self.end + 1 if planned is None else max(self.chain_day(planned), since + 1)
        crossing = self._crossing(k, since, min(due, limit)) if self.rule.kind == "activity" else None
        trigger, target = crossing or (due, None)
        if crossing:
            reason = self.rule.name
        elif self.rule.kind == "activity":
            reason = self._fallback(due) + reason
        for t in range(trigger, limit + 1):
            c = self._candidate(k, t) if target is None else target
            pair = None if c is None else self.chain.matched(k, c, t)
            if pair:
                waited = f", waited {t - trigger}" if t > trigger else ""
                return self._row(t, pair[2], k, c, pair[:2], self._date(trigger - 1), reason + waited), c, t
        return None if last is None or last > self._date(self.end) else self._close(k, last)

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
            if self.rule.count > 1:
                total = np.append(0, np.cumsum(seen))
                seen = np.append(np.zeros(self.rule.count - 1, bool), total[self.rule.count :] - total[: -self.rule.count] == self.rule.count)  # fmt: skip
            days = np.flatnonzero(seen) + since + 1
            days = days[(days > low) & (days <= high + 1)]
            if len(days):
                return int(days[0]), c
        return None

    def _known(self, k, c, name, since, until):
        """(day since+1..until): whether `c` was seen to be busier than `k` when that day's roll was decided."""
        lag = KNOWN_AFTER[name]
        held, other = (self.chain.activity_of(x, name, since, until - 1) for x in (k, c))
        busier = (other > held) & (np.arange(since, until) >= self.chain.known[name])
        return np.append(np.zeros(lag - 1, bool), busier)[: until - since]

    def _fallback(self, due):
        unknown = [name for name in self.rule.reads if self.chain.known[name] > due - KNOWN_AFTER[name]]
        if not unknown or (self.rule.either and len(unknown) < len(self.rule.reads)):
            return "fallback: no crossing"
        return "fallback: unknown " + " and ".join(NAMES[name] for name in unknown)

    def _candidate(self, k, t):
        listed = np.flatnonzero(self.chain.first[k + 1 :] <= t)
        return k + 1 + int(listed[0]) if len(listed) else None

    def _close(self, k, last):
        """The end of a position that found no matched price up to its last allowed day."""
        chain = self.chain
        own = np.arange(chain.starts[k], chain.starts[k + 1])
        own = own[(chain.day[own] < self.chain_day(last + timedelta(days=1))) & ~np.isnan(chain.mark(own))]
        low = max(self.chain_day(last), int(chain.day[own[-1]]) + 1)
        later = np.arange(chain.starts[k + 1], len(chain.day))
        later = later[(chain.day[later] >= low) & ~np.isnan(chain.mark(later))]
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


class _Dates:
    """The last allowed and the planned day of each contract."""

    def __init__(self, chain, spec, rule):
        self.chain, self.spec, self.rule = chain, spec, rule
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


def _text(value):
    return value.isoformat()
