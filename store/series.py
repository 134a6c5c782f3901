"""A series of bars made ready for the rules that look at it, and what a rule gives back.

`prepare` sorts the bars of one market of one source by contract and day, one a day, leaves out those without a price
(open interest that came alone), and adds

    price         settlement, else close
    move          change from the contract's bar before
    before        the price of that bar
    scale         the usual size of a move: 1.4826 x the median of the 60 sizes before (the standard deviation, were
                  moves normal), at least the day's median over the chain
    company       the larger move of the two neighbours in the order of delivery, in the direction of this one
    usual_volume  median of the 20 bars before
    last          whether it is the contract's last bar
    tick          least change of price on that day; null where it is unknown
    limit         widest move allowed on that day, as the master has it (`7%`, or points); null where unknown
    listed        the market's own first day, before which prices are another root's; null where unknown

Only bars up to the row's own go in, so that a longer history keeps these; a rule may look ahead, as `spike` does to see
a price come back.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

TOLD = ("contract", "day", "field", "value", "reason")
PRICES = ("open", "high", "low", "close", "settle")


@dataclass(frozen=True)
class Check:
    """A named rule; `find(bars, spec)` gives `contract`, `day` (each may be null), `field`, `value`, `reason`.

    `bars` are prepared, or, where `within_days`, the stored ones of a source of bars within the day.
    """

    name: str
    severity: str
    find: object
    within_days: bool = False


def prepare(bars, spec=None, facts=None):
    """Bars of one market and source, with what the rules look at (see above).

    `facts` are the master's dated values: {field: ((valid from or None, value), ...) oldest first}; without them those
    of `spec` hold for all days.
    """
    bars = _one_a_day(bars).with_columns(pl.coalesce("settle", "close").alias("price"))
    bars = bars.filter(pl.col("price").is_not_null()).sort("contract", "day")
    own = pl.col("contract") == pl.col("contract").shift()
    bars = bars.with_columns(
        pl.when(own).then(pl.col("price").diff()).alias("move"),
        pl.when(own).then(pl.col("price").shift()).alias("before"),
        (pl.col("contract") != pl.col("contract").shift(-1)).fill_null(True).alias("last"),
        *_facts(spec, facts or {}),
    )
    size, volume = pl.col("move").abs(), pl.col("volume")
    bars = bars.with_columns(
        (1.4826 * size.rolling_median(60, min_samples=10).shift().over("contract")).alias("own_scale"),
        volume.rolling_median(20, min_samples=5).shift().over("contract").alias("usual_volume"),
    )
    bars = bars.sort("day", "contract")
    bars = bars.with_columns(pl.max_horizontal("own_scale", pl.col("own_scale").median().over("day")).alias("scale"))
    neighbours = [
        pl.when(pl.col("day") == pl.col("day").shift(n)).then(pl.col("move").shift(n) * pl.col("move").sign())
        for n in (1, -1)
    ]
    return bars.with_columns(pl.max_horizontal(*neighbours).alias("company")).sort("contract", "day")


def _one_a_day(bars):
    """Intraday rows, or a Sunday row and its Monday, as one bar a day."""
    if not bars.select(pl.struct("contract", "day").is_duplicated().any()).item():
        return bars
    last = pl.col("close", "settle", "open_interest").drop_nulls().last()
    volume = pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume")
    whole = (pl.col("open").drop_nulls().first(), pl.col("high").max(), pl.col("low").min(), volume)
    return bars.sort("contract", "time").group_by("contract", "day", maintain_order=True).agg(*whole, last)


def _facts(spec, facts):
    """The columns tick, limit and listed."""
    ticks = facts.get("tick") or (((None, spec.tick),) if spec else ())
    limits = facts.get("price_limit") or (((None, spec.price_limit),) if spec and spec.price_limit else ())
    listed = [day for day, root in facts.get("history_from", ()) if day and root]
    return (
        _dated(ticks, pl.Float64, carried_back=True).alias("tick"),
        _dated(limits, pl.String, carried_back=False).alias("limit"),
        pl.lit(listed[0] if listed else None, pl.Date).alias("listed"),
    )


def _dated(rows, dtype, carried_back):
    """The value that held on each day; before its first row the first, where that is `carried_back`."""
    value = pl.lit(None, dtype)
    for number, (day, fact) in enumerate(rows):
        always = day is None or (carried_back and number == 0)
        first = pl.lit(date.min) if always else pl.lit(day)
        value = pl.when(pl.col("day") >= first).then(pl.lit(fact, dtype)).otherwise(value)
    return value


def told(rows, field, value, reason):
    """What a rule gives back: a row for each finding."""
    return rows.select(
        "contract", "day", pl.lit(field).alias("field"), pl.format("{}", value).alias("value"), reason.alias("reason")
    )


def none(bars):
    """No finding."""
    return told(bars.clear(), "", pl.lit(""), pl.lit(""))


def once_a_day(rows, *values):
    """One row a day, without a contract: the values, and how many `bars` the day has."""
    rows = rows.group_by("day").agg(pl.len().alias("bars"), *values).sort("day")
    return rows.with_columns(pl.lit(None, pl.Int32).alias("contract"))
