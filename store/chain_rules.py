"""Rules on the contracts of a chain against each other: exchanged, doubled, missing, cut short."""

from datetime import timedelta

import polars as pl

from store.codes import months_of
from store.expiry import last_trade
from store.price_rules import UNITS
from store.series import none, told

NEAR = 3.0  # usual differences from the chain's move that make a bar worth comparing
WORTH = 0.25  # usual moves that lie between two contracts before it matters which is which
CLOSE = 0.3  # share of two contracts' difference by which it may change when it turns
WHILE = 45  # days within which contracts that changed places change back
SAME = 5  # sessions in a row on which two contracts with a range are equal
SHORT = 10  # sessions before its last trade at which a contract may stop
EARLY = 24  # months that a contract may start before the others' usual start


def crossed_chain(bars, spec):
    """Two contracts whose prices change places and change back within `WHILE` days; or, on the market's last days, have
    not changed back yet.

    Their difference turns its sign and keeps its size, and no other contract of the day leaves the chain as far: when a
    curve turns, those between them do. What is usual is how far a contract's moves differ from the chain's.
    """
    pairs, pair = _strangers(bars), ("near", "far")
    was = pl.col("before") - pl.col("before_other")
    apart = was.abs() > pl.max_horizontal(UNITS * pl.max_horizontal("usual", "usual_other"), WORTH * pl.col("scale"))
    left = (pl.col("price") - pl.col("price_other") + was).abs() / was.abs()
    alone = pl.min_horizontal("rest", "rest_other") > pl.col("third").fill_null(0.0)
    turns = pairs.with_columns((alone & (left <= CLOSE)).alias("clear")).filter(
        apart & (left <= 2 * CLOSE) & (pl.col("both") | (left <= CLOSE / 2))
    )
    turns = turns.sort(*pair, "day")
    before = pl.col("day") - pl.col("day").shift().over(pair) <= pl.duration(days=WHILE)
    after = pl.col("day").shift(-1).over(pair) - pl.col("day") <= pl.duration(days=WHILE)
    recent = pl.col("day") > bars["day"].max() - timedelta(days=WHILE)
    way_back = (before & pl.col("clear").shift()).fill_null(False)
    rows = turns.filter(pl.col("clear") & after.fill_null(recent) & ~way_back)
    due = (pl.col("before") + pl.col("drift")).round(6)
    return told(rows, "settle", "price", pl.format("changed places with {}; about {} was due", "contract_other", due))


def _strangers(bars):
    """Pairs of bars of a day of which one leaves the chain, the contracts as `near` and `far`; and how far the third
    contract leaves it: another fault of the day may hide the second."""
    bars = bars.with_columns(pl.col("move").median().over("day").alias("drift"))
    bars = bars.with_columns((pl.col("move") - pl.col("drift")).abs().alias("rest"))
    usual = 1.4826 * pl.col("rest").median().over("contract")
    bars = bars.with_columns(pl.max_horizontal(usual, 2 * pl.col("tick").fill_null(0.0)).alias("usual"))
    odd = bars.filter(pl.col("rest") > NEAR * pl.col("usual"))
    third = odd.group_by("day").agg(pl.col("rest").sort(descending=True).get(2, null_on_oob=True).alias("third"))
    columns = ("contract", "day", "price", "before", "drift", "rest", "usual", "scale")
    pairs = odd.select(columns).join(bars.select(columns), on="day", suffix="_other").join(third, on="day")
    lone = pl.col("rest_other") <= NEAR * pl.col("usual_other")
    both = ("contract", "contract_other")
    pairs = pairs.filter(
        (pl.col("contract") < pl.col("contract_other")) | (lone & (pl.col(both[0]) != pl.col(both[1])))
    )
    ends = pl.min_horizontal(both).alias("near"), pl.max_horizontal(both).alias("far")
    return pairs.with_columns(*ends, (~lone).alias("both"))


def duplicate_contract(bars, spec):
    """Two contracts with the same high, low and price on `SAME` sessions in a row or more, on which both traded in a
    range: vendors fill contracts without volume from their neighbour."""
    key = ["day", "high", "low", "price"]
    traded = (pl.col("volume") != 0).fill_null(True)
    ranged = bars.filter((pl.col("high") > pl.col("low")) & traded).select("contract", *key)
    twice = ranged.filter(pl.struct(key).is_duplicated())
    pairs = twice.join(twice, on=key, suffix="_other").filter(pl.col("contract") < pl.col("contract_other"))
    sessions = bars.select(pl.col("day").unique().sort()).with_row_index("session")
    pairs = pairs.join(sessions, on="day").sort("contract", "contract_other", "session")
    pair = ["contract", "contract_other"]
    run = (pl.col("session").cast(pl.Int64) - pl.int_range(pl.len()).over(pair)).alias("run")
    rows = pairs.group_by(*pair, run, maintain_order=True).agg(pl.len().alias("bars"), pl.col("day").min())
    rows = rows.filter(pl.col("bars") >= SAME).group_by(pair, maintain_order=True).agg(
        pl.col("bars").sum(), pl.col("day").first()
    )  # fmt: skip
    reason = pl.format("the same prices as {} on {} days", "contract_other", "bars")
    return told(rows, "settle", "contract_other", reason)


def missing_contract(bars, spec):
    """A contract of the held cycle that should have traded by now, between others, without a bar."""
    if spec is None:
        return none(bars)
    held = _held(spec)
    have, end = set(bars["contract"].to_list()), bars["day"].max()
    months = [y * 100 + m for y in range(min(have) // 100, end.year + 1) for m in held]
    lacking = [c for c in months if min(have) < c < min(max(have), end.year * 100 + end.month) and c not in have]
    rows = pl.DataFrame({"contract": lacking, "day": None}, {"contract": pl.Int32, "day": pl.Date})
    return told(rows, "contract", "contract", pl.lit("no bars of a contract of the held cycle"))


def cut_short(bars, spec):
    """A contract of the held cycle whose bars stop more than `SHORT` sessions of the market before its last trading
    day, or before the last day of the market where that comes first."""
    if spec is None:
        return none(bars)
    days = bars["day"].unique().sort()
    held = (pl.col("contract") % 100).is_in(_held(spec))
    last = bars.filter(held).group_by("contract").agg(pl.col("day").max()).sort("contract")
    ends = [last_trade(spec, contract) for contract in last["contract"]]
    last = last.with_columns(pl.min_horizontal(pl.Series("end", ends, pl.Date), pl.lit(days[-1])).alias("end"))
    lacking = _place(days, last["end"]) - _place(days, last["day"])
    rows = last.with_columns(lacking.alias("lacking")).filter(pl.col("lacking") > SHORT)
    return told(
        rows,
        "day",
        "day",
        pl.format("stops {} sessions before {}, its last trading day or the last day known", "lacking", "end"),
    )


def _held(spec):
    """Months of the held cycle, 1 to 12."""
    return sorted(months_of(spec.held_months))


def _place(days, wanted):
    """How many of the sorted `days` are not after each of the wanted ones."""
    return days.search_sorted(wanted, "right").cast(pl.Int64)


def early_contract(bars, spec):
    """A contract that starts more than `EARLY` months before the others' usual start: a decade misread, as NQZ9 is."""
    start = bars.group_by("contract").agg(pl.col("day").min())
    months = (pl.col("contract") // 100 - pl.col("day").dt.year()) * 12
    lead = (months + pl.col("contract") % 100 - pl.col("day").dt.month()).alias("lead")
    start = start.with_columns(lead)
    usual = start["lead"].quantile(0.9)
    rows = start.filter(pl.col("lead") > usual + EARLY).sort("contract")
    return told(
        rows, "contract", "day", pl.format("starts {} months before delivery; usual are {}", "lead", pl.lit(usual))
    )
