"""RollCalendar: on which day a market's position passes from one dated contract to the next, at what prices, and why.

1. **Roll day D**: both legs trade on D at the same moment by the same price field (settle, else close). Row D is the
   last of `from_contract`; the next row is the first of `to_contract`. A decision for D reads volume up to the day
   before and open interest up to two days before (DOMAIN T8), and never a later day: the calendar of a longer history
   begins with the calendar of a shorter one.
2. **Next**: the nearest later contract of the held months that is listed by then and may be held on. Never back (T9,
   T10). A crossing counts if the next one is busier than every nearer contract that may still be held, those already
   left included.
   Without that, two idle back months race ahead on a few trades: by held against next alone, Barchart's silver sat ten
   months out from 2001 to 2010, coffee from 2003 to 2005, the Bund six months out from 2001 to 2008.
3. **Fallback**: where activity is unknown the roll is planned `FALLBACK` business days before the last allowed day,
   min(first notice, last trade) less one business day (T11); where it is known but has not crossed, on that day: until
   then the old contract is the busier one. Zero volume is unknown, not small, until some contract of the chain has
   shown any: vendors write 0 for years in which they had none.
4. **Waiting**: a leg without a price on D lets the roll wait for the next day on which both have one, at the latest
   the last allowed day (T13). If none comes, the position ends in the old contract at its last price; the row says
   `closed: no matched price`, its `decided` is the last allowed day, on which the position ends, its `day` the first
   after it with a price of a later contract, `to_price`, which is the first row of that contract. The break in between
   earns nothing. The end of all data is no event; where none follows, the series ends with the last allowed day.
   Through expiry (`exit=expiry`, for research only) a vendor's last bar is often before the last trade. A `closed` row
   has there the prices of the last day, since the contract was held, on which both had a matched one, if there is such
   a day: the adjusted series keeps what the market did in the break.
5. A market without specs has no last allowed day; its contracts' last bars stand in, whatever the rule's `exit`, once
   later contracts have bars after them. That is known afterwards only, and the reason says `retrospective`.
6. What the rolls after a roll depend on, of all days before it, is a `Position`: which contracts had been listed, and
   since when activity was known. From there the search goes on as if it had read everything.

Source of the terms: DOMAIN part 3 (TradeStation, CSI, Norgate, zipline); day D: DESIGN 5.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl

from store import chain as chains
from store.codes import letters_of, months_of
from store.roll_rules import LETTERS, given_rule, parse_rule
from store.roll_search import CLOSED, Follower

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
    """The rolls of one market by one rule; `first` is the contract held first, `months` the delivery months held.

    `rank` tells that it holds not the contract of the rule, but the n-th listed one after it.
    """

    root: str
    rule: str
    first: int
    frame: pl.DataFrame
    months: tuple = chains.MONTHS
    rank: int = 0
    end: date | None = None  # the last day on which its last contract could be held, while none has followed

    @cached_property
    def version(self):
        """12 hex digits of the SHA-256 over all that the calendar says."""
        content = [self.root, self.rule, self.first, self.frame.rows()] + [self.rank] * (self.rank != 0)
        content += [] if self.end is None else [self.end]
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


@dataclass(frozen=True)
class Position:
    """A contract held since the close of day `since`, and what of the days before still matters to the rolls after.

    `listed` is ((contract, day of its first bar), ...) of the contracts that have had one; `known` is (("volume", day),
    ("oi", day)), the first day on which any contract showed some, or None.
    """

    contract: int
    since: date
    listed: tuple
    known: tuple


def calendar(bars, spec, rule="volume:1", given=None, position=None):
    """The rolls of one market by a rule, or by a plan that came from elsewhere.

    Parameters
    ----------
    bars : polars.DataFrame or chain.Chain
        Rows of `contract_bars`, one root, one source; or the chain that `load` made of them and of `held_months`.
    spec : ContractSpec or None
        Facts of the market; None where the master does not know it (rule 5 above).
    rule : str
        See `roll_rules`; of a plan its name.
    given : polars.DataFrame, optional
        The plan: `day`, `from_contract`, `to_contract`, of which the latest row of a contract counts. Its rolls wait
        for prices and are forced out as any others are.
    position : Position, optional
        Where to go on: `bars` then begin on the day `since`, and the rolls after it are given, equal to those that all
        bars give.

    Returns
    -------
    RollCalendar

    Raises
    ------
    ValueError
        No bars, none in a held month, none with a price before the last allowed day; or no way to go on from a
        position: bars that begin on another day, or a market without facts, whose rolls are known afterwards only.
    UnknownRule
    """
    months = held_months(spec, rule, given)
    told = {} if position is None else {"listed": position.listed, "known": position.known}
    chain = chains.load(bars, months, **told)
    root = chain.root
    if not root:
        raise ValueError("no bars to make a roll calendar from")
    if not len(chain.days):
        raise ValueError(f"{root}: {_no_bars(months, rule, spec)}")
    rule = parse_rule(rule) if given is None else given_rule(rule)
    follower = Follower(chain, spec, rule, {} if given is None else _plan(given))
    start = follower.start() if position is None else _place(chain, position, spec, root)
    if start is None:
        raise ValueError(f"{root}: no contract has a price before its last allowed day")
    (k, t), rows = start, []
    first = int(chain.contracts[k])
    while step := follower.next(k, t):
        row, k, t = step
        rows.append(row)
    last = follower.dates.last[k]  # NaT where it is not known
    end = last.item() if last < chain.days[-1] else None  # no successor: it is left all the same
    return RollCalendar(root, str(rule), first, pl.DataFrame(rows, SCHEMA, orient="row"), months, end=end)


def held_months(spec, rule="volume:1", given=None):
    """Delivery months (1 to 12) that a calendar by this rule, or plan, holds: those of which it makes its chain.

    >>> held_months(None, "volume,months=HMUZ")
    (3, 6, 9, 12)
    """
    if given is not None and "months" in given.columns:  # letters, of a calendar of ours
        return months_of(given["months"][0])
    if given is not None:
        return tuple(sorted({contract % 100 for name in ("from_contract", "to_contract") for contract in given[name]}))
    return months_of(parse_rule(rule).held(LETTERS if spec is None else spec.held_months))


def closed(reasons):
    """Whether positions ended without matched prices (rule 4): an expression of one, else (roll,) an array.

    >>> closed(["volume", "closed: no matched price, retrospective"])
    array([False,  True])
    """
    if isinstance(reasons, pl.Expr):
        return reasons.str.starts_with(CLOSED)
    told = reasons.to_list() if isinstance(reasons, pl.Series) else reasons
    return np.array([reason.startswith(CLOSED) for reason in told], bool)  # of some hundred texts quicker than that


def last_position(bars, calendar, position=None):
    """The position after the last roll of a calendar, to go on from when later bars have come.

    Parameters
    ----------
    bars : polars.DataFrame or chain.Chain
        Those that the calendar was made of; of one that went on from a `position`, those that it went on with.
    calendar : RollCalendar
    position : Position, optional

    Returns
    -------
    Position or None
        None where all bars are needed to go on: the calendar has no roll yet; it is retrospective (of a market without
        facts); or its rule reads activity so late (`@D`) that what was first known before the roll is news after it.
    """
    frame = calendar.frame
    if not len(frame) or any("retrospective" in reason for reason in frame["reason"].to_list()):
        return None
    contract, since = frame["to_contract"][-1], frame["day"][-1]
    told = (dict(position.listed), dict(position.known)) if position else ({}, {})
    chain = chains.load(bars, calendar.months, told[0].items(), told[1].items())
    begin = int(chain.days.searchsorted(np.datetime64(since)))
    late = dict(parse_rule(calendar.rule, names=(calendar.rule.partition(",")[0],)).known)
    if any(begin - late.get(name, 0) + 1 < t < begin for name, t in chain.known.items() if t != chains.BEFORE):
        return None
    day = lambda t: chain.days[t].item() if 0 <= t < len(chain.days) else None  # noqa: E731
    there = np.flatnonzero((chain.first >= 0) & (chain.first < len(chain.days)))
    begun = dict(zip(there.tolist(), chain.days[chain.first[there]].tolist(), strict=True))
    listed = {name: begun.get(k) for k, name in enumerate(chain.contracts.tolist()) if name not in told[0]}
    known = tuple((name, told[1].get(name) or day(t)) for name, t in chain.known.items())
    return Position(contract, since, tuple(sorted((told[0] | listed).items())), known)


def _no_bars(months, rule, spec):
    """What is said where no bar is of a held month."""
    if not months:
        held = LETTERS if spec is None else spec.held_months
        return f"roll rule {str(rule)!r} leaves none of its delivery months {held}"
    return f"no bars in a held month ({letters_of(months)})"


def _place(chain, position, spec, root):
    """(contract, day) of a position, as numbers of the chain."""
    if spec is None:
        raise ValueError(f"{root}: its facts are not known; its rolls are known afterwards only and are made anew")
    if chain.days[0] != np.datetime64(position.since) or position.contract not in chain.contracts:
        raise ValueError(
            f"{root}: the position in {position.contract} goes on from {position.since}, bars begin on {chain.days[0]}"
        )
    return int(chain.contracts.searchsorted(position.contract)), 0


def _plan(given):
    """{contract: (day, contract rolled into)}; the latest row of a contract counts."""
    rows = given.sort("day").select("from_contract", "day", "to_contract").rows()
    return {contract: (day, into) for contract, day, into in rows}


def chain_calendar(chain):
    """The rolls that came with a vendor's chain (`vendor_chains` rows of one root), named after the vendor.

    The contract changes between two rows; the roll is on the earlier one, where price and forward are of one moment.
    The vendor does not say when it decided: `decided` is null. Where the earlier row lacks a leg, and of what can be no
    calendar, see `splices`.
    """
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
    return RollCalendar(chain["root"][0], vendor, chain["price_contract"][0], pl.DataFrame(rows, SCHEMA, orient="row"))


def splices(chain):
    """Where a vendor's chain changes its contract: (sorted chain, list of splices).

    A splice is (last row of the old contract, row of the prices, old price, new price, closed). The prices are those of
    the last old row, price and forward; where one is missing, or the forward is another contract, those of the first
    new row, carry and price, if its carry is the old contract. Else the splice is `closed`: the old one's last price,
    and the new one's first, at its row. ValueError where no row names a contract.
    """
    if not len(chain):
        raise ValueError("no rows of a vendor's chain to read rolls from")
    told = f"{chain['root'][0]}: none of the {len(chain)} rows of the chain of {chain['source'][0]} says"
    chain = chain.filter(pl.col("price_contract").is_not_null()).sort("time", maintain_order=True)
    if not len(chain):
        raise ValueError(
            f"{told} of which contract its price is (price_contract), so that nobody knows when it rolled; "
            f"import dated contracts, or a chain with contracts"
        )
    held = chain["price_contract"].to_numpy()
    price, forward = (chain[name].cast(pl.Float64).to_numpy() for name in ("price", "forward"))
    ahead, behind = (chain[f"{name}_contract"].fill_null(0).to_numpy() for name in ("forward", "carry"))
    carry = chain["carry"].cast(pl.Float64).to_numpy()
    changes = np.flatnonzero(held[1:] != held[:-1])
    starts, out = np.append(0, changes + 1), []
    begins, ends = starts[:-1], np.append(changes, len(held) - 1)[1:]
    for last, begin, end in zip(changes.tolist(), begins.tolist(), ends.tolist(), strict=True):
        if ahead[last] == held[last + 1] and not np.isnan(price[last] + forward[last]):
            out.append((last, last, float(price[last]), float(forward[last]), False))
            continue
        if behind[last + 1] == held[last] and not np.isnan(price[last + 1] + carry[last + 1]):
            out.append((last, last, float(carry[last + 1]), float(price[last + 1]), False))
            continue
        old = np.flatnonzero(~np.isnan(price[begin : last + 1])) + begin
        new = np.flatnonzero(~np.isnan(price[last + 1 : end + 1])) + last + 1
        if len(old) and len(new):
            out.append((last, int(new[0]), float(price[old[-1]]), float(price[new[0]]), True))
        else:  # a contract that never had a price is stepped over without a gap
            out.append((last, last + 1, None, None, True))
    return chain, out


def _text(value):
    return value.isoformat()
