"""Rules on volume and open interest.

Volume 0 is unknown until a contract of the market shows some: Barchart has 0 for all of the years before 2001. So these
rules look at what a contract usually has, and nothing is usual before that.
"""

import polars as pl

from store.series import none, once_a_day, told

BUSY = 100.0  # contracts a day; below it days without a trade are common
JUMP = 20.0  # usual changes that make a jump of open interest
MOST = 0.3  # share of the open interest before that a jump is at least
LATER = 3  # bars within which an open interest comes back
DAYS = 5  # bars with volume before open interest is missed


def no_volume(bars, spec):
    """No volume on a day with a range, where there usually is. A day on which no contract has any is told once; a
    contract's last bar is left out: Barchart has 0 there in 37 % of the contracts since 2002."""
    silent = (pl.col("volume") == 0) & (pl.col("high") > pl.col("low")) & (pl.col("usual_volume") > BUSY)
    rows = bars.filter(silent & ~pl.col("last"))
    busy = bars.group_by("day").agg((pl.col("volume") > 0).any().alias("busy"))
    rows = rows.join(busy, on="day").sort("contract", "day")
    reason = pl.format("no volume on a day with a range; usually {}", "usual_volume")
    single = told(rows.filter("busy"), "volume", "volume", reason)
    reason = pl.format("no volume in any contract; usually in {} or more", "bars")
    return pl.concat([single, told(once_a_day(rows.filter(~pl.col("busy"))), "volume", pl.lit(0.0), reason)])


def oi_jump(bars, spec):
    """Open interest that changes by more than `JUMP` usual changes and `MOST` of itself, and comes back within `LATER`
    bars or is the last known."""
    if not (bars["open_interest"] > 0).any():
        return none(bars)
    interest = pl.col("open_interest")
    change = interest.diff().over("contract")
    usual = 1.4826 * change.abs().rolling_median(60, min_samples=10).shift().over("contract")
    ahead = [interest.shift(-n).over("contract") - interest for n in range(1, LATER + 1)]
    undone = pl.max_horizontal(-step * change.sign() for step in ahead)
    rows = bars.with_columns(change.alias("change"), usual.alias("usual"), undone.alias("undone"))
    size, was = pl.col("change").abs(), interest - pl.col("change")
    odd = (size > JUMP * pl.col("usual")) & (size > MOST * was) & (pl.max_horizontal(was, interest) > BUSY)
    back = (pl.col("undone") > 0.5 * size) | pl.col("last")
    reason = pl.format("changed by {}; usual are {}", "change", pl.col("usual").round(1))
    return told(rows.filter(odd & back & (pl.col("usual") > 0)), "open_interest", "open_interest", reason)


def volume_without_oi(bars, spec):
    """A contract with volume on `DAYS` bars or more whose open interest is 0 on all, when others have some."""
    known = bars.filter(pl.col("open_interest") > 0)["day"].min()
    if known is None:
        return none(bars)
    since = bars.filter((pl.col("day") >= known) & (pl.col("volume") > 0) & pl.col("open_interest").is_not_null())
    rows = since.group_by("contract").agg(
        pl.len().alias("bars"), pl.col("open_interest").max(), pl.col("volume").sum(), pl.col("day").min()
    ).sort("contract")  # fmt: skip
    rows = rows.filter((pl.col("bars") >= DAYS) & (pl.col("open_interest") == 0))
    reason = pl.format("volume on {} days, {} contracts in all, and never any open interest", "bars", "volume")
    return told(rows, "open_interest", "open_interest", reason)
