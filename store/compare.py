"""Two sources of one market against each other: on which days each has prices, where they differ, how they roll.

1. Two sources of dated contracts are compared contract by contract. A chain that says which contract its price is of is
   compared with that contract; one that does not (nearby series) with the n-th nearest contract of the listed months
   that has not had its last trade before that day; two chains that both say, or both do not, rank by rank.
2. Compared is the time that both cover, settlement with settlement, else last trade with last trade; where one has only
   the one and the other only the other, these, and `field` says so (`price`: a chain's, which is either). The last row
   of a day counts.
3. Two prices agree if they are within half a tick of the market (of one that the master does not know: a millionth).
4. Rolls are by volume, or those that came with a chain; a nearby series does not tell its own.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from store import history, rolls, segments
from store.codes import months_of
from store.contracts import Master
from store.expiry import last_trade

RULE = "volume:1"
TINY = 1e-6  # share of a price, where no tick is known
SLACK = 1e-9  # of a tick, for prices that are no exact binary numbers
SIDES = ("ours", "theirs")
ROLLS = ("from_contract", "to_contract", "ours", "theirs", "days")


@dataclass(frozen=True)
class Side:
    """One of the two: its rows as stored, and (rank, contract, day, settle, close), one a day."""

    root: str
    source: str
    table: str
    rows: pl.DataFrame
    prices: pl.DataFrame

    @property
    def name(self):
        """`ROOT:SOURCE`, as `against` takes it."""
        return f"{self.root}:{self.source}"

    @property
    def nearby(self):
        """Whether it is a chain that never says which contract its price is of."""
        return self.table == "vendor_chains" and self.prices["contract"].null_count() == len(self.prices)


@dataclass(frozen=True)
class Comparison:
    """What two sources of a market say of the same days.

    `prices`: rank, contract, day, `ours`, `theirs`, `field`, `difference` (ours - theirs) [price], `ticks`, `equal`;
    null where one has nothing. `rolls`: pairs of contracts with the day of each side and the `days` by which theirs is
    later; None where one of the two does not tell its rolls.
    """

    ours: str
    theirs: str
    first: date | None
    last: date | None
    prices: pl.DataFrame
    rolls: pl.DataFrame | None

    @property
    def compared(self):
        """The rows that both have, of the same contract."""
        return self.prices.filter(pl.col("equal").is_not_null())

    @property
    def disagreements(self):
        """The compared rows further apart than half a tick, by day."""
        return self.compared.filter(~pl.col("equal")).drop("equal")

    def days(self):
        """(both, only ours, only theirs): days on which each has a price, while both cover the time."""
        ours, theirs = (
            set(self.prices.filter(pl.col(side).is_not_null())["day"].to_list()) for side in ("ours", "theirs")
        )
        return sorted(ours & theirs), sorted(ours - theirs), sorted(theirs - ours)

    def summary(self):
        """The comparison in a few numbers: a dict."""
        both, ours, theirs = self.days()
        compared, equal = len(self.compared), int(self.compared["equal"].sum())
        alone = {
            side: int(self.prices[side].is_not_null().sum()) - int(self.prices["difference"].count()) for side in SIDES
        }
        found = {
            "ours": self.ours,
            "theirs": self.theirs,
            "first_day": _text(self.first),
            "last_day": _text(self.last),
            "days_both": len(both),
            "days_only_ours": len(ours),
            "days_only_theirs": len(theirs),
            "prices_of_other_contracts": int(self.prices["difference"].count()) - compared,
            "prices_compared": compared,
            "prices_equal": equal,
            "share_equal": equal / compared if compared else None,
            "prices_only_ours": alone["ours"],
            "prices_only_theirs": alone["theirs"],
        }
        if self.rolls is None:
            return found | {"rolls": "not told by both"}
        lacking = {side: int(self.rolls[side].null_count()) for side in ("ours", "theirs")}
        return found | {
            "rolls_same_day": int((self.rolls["days"] == 0).sum()),
            "rolls_other_day": int((self.rolls["days"] != 0).sum()),
            "rolls_only_ours": lacking["theirs"],
            "rolls_only_theirs": lacking["ours"],
        }

    def document(self):
        """The whole of it for JSON: days and contracts are text."""
        _, ours, theirs = self.days()
        apart = [] if self.rolls is None else self.rolls.filter(pl.col("days").ne_missing(0)).to_dicts()
        return {
            "summary": self.summary(),
            "disagreements": [_plain(row) for row in self.disagreements.to_dicts()],
            "only_ours": [day.isoformat() for day in ours],
            "only_theirs": [day.isoformat() for day in theirs],
            "rolls": [_plain(row) for row in apart],
        }


def against(archive, root, source, other, snapshot=None, first=None, last=None):
    """Compare a source of a market with another one.

    Parameters
    ----------
    archive : Archive
    root : str
    source : str or None
        None: the one that a run reads first.
    other : str
        Another source of the market, or `ROOT:SOURCE` of another market with the same prices.
    snapshot : Snapshot, optional
    first, last : date, optional
        Only rows of these days.

    Returns
    -------
    Comparison

    Raises
    ------
    NotStored
        Nothing is stored of one of the markets.
    Refused
        No such source, or one is to be compared with itself.
    """
    master, snapshot = Master.load(archive.path), snapshot or archive.head()
    other_root, _, other_source = other.rpartition(":")
    days = first or date.min, last or date.max
    ours = _side(archive, snapshot, root, source, days)
    if other_root and not history.sources(archive, other_root, snapshot):
        other_root = master.resolve(other_root)
    theirs = _side(archive, snapshot, other_root or root, other_source, days)
    if (ours.name, ours.table) == (theirs.name, theirs.table):
        raise segments.Refused(f"{ours.name} would be compared with itself; name another source")
    spec = history.spec(archive, root, master, snapshot)
    pairs = _paired(ours, theirs, spec)
    begin, end = _common(ours.prices["day"], theirs.prices["day"])
    inside = pairs.filter(pl.col("day").is_between(begin, end)) if begin else pairs.clear()
    prices = _judged(inside, _tick(master, root)).sort("day", "rank", "contract")
    if "vendor_chains" in (ours.table, theirs.table):  # a chain does not say which of the two its price is
        prices = prices.with_columns(pl.when(pl.col("field").is_not_null()).then(pl.lit("price")).alias("field"))
    return Comparison(ours.name, theirs.name, begin, end, prices, _rolls(ours, theirs, spec, begin, end))


def _side(archive, snapshot, root, source, days):
    """The rows of a source (None or '': the first) of a market between two days."""
    found = history.sources(archive, root, snapshot)
    if not found:
        raise history.NotStored(f"{root}: nothing is stored; `frontmonth markets` lists what is")
    name = source or found[0][1]
    segments.choose(name, [n for _, n in found], f"source of {root} (it has {', '.join(n for _, n in found)}):")
    table = next(table for table, n in found if n == name)
    rows = archive.read(table, snapshot, root=root, source=name, days=days)
    return Side(root, name, table, rows, _daily(rows, table))


def _daily(rows, table):
    """(rank, contract, day, settle, close) of the rows that have a price, the last of each day."""
    if table == "contract_bars":
        prices = rows.select(pl.lit(None, pl.Int32).alias("rank"), "contract", "day", "time", "settle", "close")
    else:
        prices = rows.select(
            pl.col("rank").fill_null(1), pl.col("price_contract").alias("contract"), "day", "time",
            pl.col("price").alias("settle"), pl.lit(None, pl.Float64).alias("close"),
        )  # fmt: skip
    key = ["contract", "day"] if table == "contract_bars" else ["rank", "day"]
    priced = prices.filter(pl.coalesce("settle", "close").is_not_null()).sort(*key, "time", maintain_order=True)
    return priced.group_by(key, maintain_order=True).last().select("rank", "contract", "day", "settle", "close")


def _paired(ours, theirs, spec):
    """Rows of both beside each other where they are of the same contract (or rank) and day, null where one has none.

    Of a chain and contracts the rows of the chain, and the days that it lacks.
    """
    a, b = (_named(side, name) for side, name in zip((ours, theirs), SIDES, strict=True))
    chains = [side.table == "vendor_chains" for side in (ours, theirs)]
    if not any(chains):
        return a.join(b.drop("rank"), on=["contract", "day"], how="full", coalesce=True)
    if all(chains) and (ours.nearby == theirs.nearby or spec is None):
        pairs = a.join(b, on=["rank", "day"], how="full", coalesce=True, suffix="_theirs")
        other = (pl.col("contract") != pl.col("contract_theirs")).fill_null(False)
        return pairs.with_columns(contract=pl.coalesce("contract", "contract_theirs"), other=other)
    if all(chains):  # the one that says its contract is the chain, the other has a contract for each rank
        chain, bars = (b, _nearest(a, b, spec)) if ours.nearby else (a, _nearest(b, a, spec))
    else:
        chain, bars = (a, b) if chains[0] else (b, a)
        chain = _nearest(chain, bars, spec) if ours.nearby or theirs.nearby else chain
    lacking = bars.join(chain, on="day", how="anti").sort("contract").group_by("day").first()
    chain = chain.filter(pl.col("contract").is_not_null())
    pairs = chain.join(bars.drop("rank"), on=["contract", "day"], how="left")
    return pl.concat([pairs, lacking], how="diagonal")


def _named(side, name):
    return side.prices.rename({field: f"{name}_{field}" for field in ("settle", "close")})


def _nearest(chain, bars, spec):
    """A nearby series with its contracts: the n-th that has not had its last trade before the day, of those listed.

    Of a market without facts, of those stored, whose last bars stand in for the last trade.
    """
    days = chain["day"].to_numpy()
    if spec is None:
        last = bars.group_by("contract").agg(pl.col("day").max()).sort("day", "contract")
        contracts, ends = last["contract"].to_numpy(), last["day"].to_numpy()
    else:
        months = sorted(months_of(spec.listed_months))
        ahead = 2 + chain["rank"].max() // len(months)
        years = range(days.min().item().year - 1, days.max().item().year + ahead + 1)
        contracts = np.array([year * 100 + month for year in years for month in months])
        ends = np.array([last_trade(spec, contract) for contract in contracts.tolist()], "datetime64[D]")
    place = np.searchsorted(ends, days, side="left") + chain["rank"].to_numpy() - 1
    found = np.where(place < len(contracts), contracts[np.minimum(place, len(contracts) - 1)], 0)
    return chain.with_columns(contract=pl.Series(found, dtype=pl.Int32).replace(0, None))


def _judged(pairs, tick):
    """The pairs with both prices by one field, their difference, and whether they agree."""
    ours, theirs = (pl.coalesce(f"{side}_settle", f"{side}_close") for side in SIDES)
    field = pl.lit("settle and close")
    for name in ("close", "settle"):  # the last one wins
        a, b = (pl.col(f"{side}_{name}") for side in SIDES)
        both = a.is_not_null() & b.is_not_null()
        ours, theirs = pl.when(both).then(a).otherwise(ours), pl.when(both).then(b).otherwise(theirs)
        field = pl.when(both).then(pl.lit(name)).otherwise(field)
    if "other" not in pairs.columns:
        pairs = pairs.with_columns(other=pl.lit(False))
    told = pairs.with_columns(ours=ours, theirs=theirs, field=field, tick=tick)
    apart = pl.col("ours") - pl.col("theirs")
    near = pl.coalesce(pl.col("tick") * (0.5 + SLACK), TINY * pl.col("theirs").abs())
    told = told.with_columns(difference=apart.round(9), ticks=(apart / pl.col("tick")).round(6))
    told = told.with_columns(pl.when(~pl.col("other").fill_null(False)).then(apart.abs() <= near).alias("equal"))
    both = pl.col("difference").is_not_null()
    names = ("rank", "contract", "day", *SIDES, pl.when(both).then("field").alias("field"))
    return told.select(*names, "difference", "ticks", "equal")


def _tick(master, root):
    """The tick on a day, as an expression; null for a market that the master does not know."""
    facts = master.facts(root, "tick") if root in master.roots else []
    tick = pl.lit(float(facts[0].value) if facts else None, pl.Float64)
    for fact in facts:
        tick = pl.when(pl.col("day") >= (fact.valid_from or date.min)).then(float(fact.value)).otherwise(tick)
    return tick


def _rolls(ours, theirs, spec, first, last):
    """The rolls of both between two days, by their contracts; None where one of them does not tell its own."""
    if first is None or ours.nearby or theirs.nearby:
        return None
    a, b = (_roll_days(side, spec).rename({"day": name}) for side, name in zip((ours, theirs), SIDES, strict=True))
    both = a.join(b, on=["from_contract", "to_contract"], how="full", coalesce=True)
    inside = [pl.col(name).is_between(first, last).fill_null(False) for name in SIDES]
    days = (pl.col("theirs") - pl.col("ours")).dt.total_days().alias("days")
    return both.filter(pl.any_horizontal(inside)).with_columns(days).sort(pl.coalesce(SIDES)).select(list(ROLLS))


def _roll_days(side, spec):
    """Rolls of one side: pairs of contracts and days."""
    if side.table == "vendor_chains":
        found = rolls.chain_calendar(side.rows.filter(pl.col("rank").fill_null(1) == 1))
    else:
        found = rolls.calendar(side.rows.filter(pl.coalesce("settle", "close").is_not_null()), spec, RULE)
    return found.frame.select("from_contract", "to_contract", "day")


def _common(ours, theirs):
    """First and last day of the time that both cover; (None, None) where there is none."""
    if ours.is_empty() or theirs.is_empty():
        return None, None
    first, last = max(ours.min(), theirs.min()), min(ours.max(), theirs.max())
    return (first, last) if first <= last else (None, None)


def _text(value):
    """A day as text; anything else as it is."""
    return value.isoformat() if isinstance(value, date) else value


def _plain(row):
    """A row for JSON: days and contracts are text."""
    return {name: str(x) if "contract" in name and x is not None else _text(x) for name, x in row.items()}
