"""RollCalendar: on which day a market's position passes from one dated contract to the next, at what prices, and why.

1. **Roll day D**: both legs trade on D at the same moment by the same price field (settle, else close). Row D is the
   last of `from_contract`; the next row is the first of `to_contract`. A decision for D reads volume up to the day
   before and open interest up to two days before (DOMAIN T8), and never a later day: the calendar of a longer history
   begins with the calendar of a shorter one.
2. **Next**: the nearest later contract of the held months that is listed by then. Never back (T9, T10). A crossing
   counts if the next one is busier than every nearer contract that may still be held, those already left included.
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
   earns nothing. The end of all data is no event.
5. A market without specs has no last allowed day; its contracts' last bars stand in, once later contracts have bars
   after them. That is known afterwards only, and the reason says `retrospective`.

Source of the terms: DOMAIN part 3 (TradeStation, CSI, Norgate, zipline); day D: DESIGN 5.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from store import chain as chains
from store.codes import MONTHS
from store.roll_rules import Rule, parse_rule
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
    """The rolls of one market by one rule; `first` is the contract held first, `months` the delivery months held."""

    root: str
    rule: str
    first: int
    frame: pl.DataFrame
    months: tuple = chains.MONTHS

    @cached_property
    def version(self):
        """12 hex digits of the SHA-256 over all that the calendar says."""
        content = [self.root, self.rule, self.first, self.frame.rows()]
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


def calendar(bars, spec, rule="volume:1", given=None):
    """The rolls of one market by a rule, or by a plan that came from elsewhere.

    Parameters
    ----------
    bars : polars.DataFrame
        Rows of `contract_bars`, one root, one source.
    spec : ContractSpec or None
        Facts of the market; None where the master does not know it (rule 5 above).
    rule : str
        See `roll_rules`; of a plan its name.
    given : polars.DataFrame, optional
        The plan: `day`, `from_contract`, `to_contract`, of which the latest row of a contract counts. Its rolls wait
        for prices and are forced out as any others are.

    Returns
    -------
    RollCalendar
    """
    if not len(bars):
        raise ValueError("no bars to make a roll calendar from")
    root = bars["root"][0]
    rule = parse_rule(rule) if given is None else Rule("vendor", rule)
    months = chains.MONTHS if spec is None else tuple(MONTHS.index(letter) + 1 for letter in spec.held_months)
    plan = {}
    if given is not None:
        rows = given.sort("day").select("from_contract", "day", "to_contract").rows()
        plan = {contract: (day, into) for contract, day, into in rows}
        months = tuple(sorted({contract % 100 for pair in rows for contract in (pair[0], pair[2])}))
    chain = chains.load(bars, months)
    if not len(chain.contracts):
        raise ValueError(f"{root}: no bars in a held month ({''.join(MONTHS[month - 1] for month in months)})")
    follower = Follower(chain, spec, rule, plan)
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
    return RollCalendar(chain["root"][0], vendor, chain["price_contract"][0], pl.DataFrame(rows, SCHEMA, orient="row"))


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


def _text(value):
    return value.isoformat()
