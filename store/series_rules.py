"""What a series of bars must be like; each rule finds the rows at fault and changes nothing.

A rule is a function (bars, spec) of one market of one source. `prepare` sorts the bars by contract and day, one a day,
and adds

    price         settlement, else close
    move          change from the contract's bar before
    scale         its usual size: 1.4826 x the median of the 60 sizes before, at least the day's median over the chain
    company       the larger move of the two neighbours in the order of delivery, in the direction of this one
    usual_volume  median of the 20 bars before
    last          whether it is the contract's last bar

Only bars up to the row's own go in, so that a longer history keeps these; a rule may look ahead, as `spike` does to see
a price come back. The thresholds were set on Barchart's 24 markets (743,035 rows, 1978 to 2026: "the real set"), so
that the findings can be read one by one, 444 in all; the counts stand at the rules.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from store import days
from store.codes import MONTHS
from store.contracts import last_trade

UNITS = 8.0  # usual moves that make a spike: pysystemtrade refuses an update at 8
TICKS = 4  # a smaller move is none, however quiet the contract was
TOGETHER = (
    0.3  # share of a move that a neighbour has to make to explain it: gas of 2018-11-14, volatility of 2024-08-05
)
BACK = 3  # bars within which a spike comes back
STALE = 5  # equal bars in a row, with volume
SLIPS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)  # cents for dollars, yen per 100, thousandths
SLACK = 0.2  # a slip is within this share of one of them
BUSY = 100.0  # contracts a day; below it days without a trade are common


@dataclass(frozen=True)
class Check:
    """A named rule; `find(bars, spec)` gives `contract`, `day` (each may be null), `field`, `value`, `reason`."""

    name: str
    severity: str
    find: object


def prepare(bars):
    """Bars of one market and source, with what the rules look at (see above)."""
    bars = _one_a_day(bars).with_columns(pl.coalesce("settle", "close").alias("price")).sort("contract", "day")
    own = pl.col("contract") == pl.col("contract").shift()
    bars = bars.with_columns(
        pl.when(own).then(pl.col("price").diff()).alias("move"),
        pl.when(own).then(pl.col("price").shift()).alias("before"),
        (pl.col("contract") != pl.col("contract").shift(-1)).fill_null(True).alias("last"),
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
    whole = (pl.col("open").drop_nulls().first(), pl.col("high").max(), pl.col("low").min(), pl.col("volume").sum())
    return bars.sort("contract", "time").group_by("contract", "day", maintain_order=True).agg(*whole, last)


def _told(rows, field, value, reason):
    return rows.select(
        "contract", "day", pl.lit(field).alias("field"), pl.format("{}", value).alias("value"), reason.alias("reason")
    )


def _none(bars):
    return _told(bars.clear(), "", pl.lit(""), pl.lit(""))


def spike(bars, spec):
    """A move of more than `UNITS` usual ones that no neighbour shares and that is more than half undone within `BACK`
    bars, or is the last one known. 15 in the real set."""
    size = pl.col("move").abs()
    ahead = [pl.col("price").shift(-n).over("contract") - pl.col("price") for n in range(1, BACK + 1)]
    undone = pl.max_horizontal(-step * pl.col("move").sign() for step in ahead)
    floor = TICKS * spec.tick if spec else 0.0
    odd = (size > UNITS * pl.col("scale")) & (size > floor) & (pl.col("scale") > 0)
    alone = (pl.col("company") < TOGETHER * size).fill_null(True)
    back = (undone > 0.5 * size) | (pl.col("last") & pl.col("company").is_not_null())
    rows = bars.with_columns(undone.alias("undone")).filter(odd & alone & back & ~_slipped())
    came = pl.when("last").then(pl.lit("nothing after it")).otherwise(pl.lit("and back"))
    reason = pl.format(
        "moved {} {}, {} usual moves; the nearest contracts did not",
        pl.col("move").round(6), came, (size / pl.col("scale")).round(1),
    )  # fmt: skip
    return _told(rows, "settle", "price", reason)


def _slipped():
    """A price in another unit than the one before: a ratio near a slip's, and a spike besides, as near zero any is."""
    known = (pl.col("price") > 0) & (pl.col("before") > 0)
    large = (pl.col("move").abs() > UNITS * pl.col("scale")).fill_null(True)
    return _about_a_slip(pl.col("price") / pl.col("before")) & known.fill_null(False) & large


def _about_a_slip(ratio):
    return pl.any_horizontal((ratio / slip - 1.0).abs() < SLACK for slip in SLIPS).fill_null(False)


def unit_slip(bars, spec):
    """A price about 10, 100 or 1000 times the day before's, or a tenth and so on; the way back is not told again.
    None in the real set."""
    slip = _slipped()
    again = slip & slip.shift(fill_value=False) & ((pl.col("price") / pl.col("before").shift() - 1.0).abs() < SLACK)
    ratio = (pl.col("price") / pl.col("before")).round(4)
    return _told(bars.filter(slip & ~again), "settle", "price", pl.format("{} times the day before", ratio))


def unit_level(bars, spec):
    """A whole contract at about 10, 100 or 1000 times the others of its days. None in the real set."""
    crowd = pl.col("price").median().over("day")
    shared = bars.with_columns((pl.col("price") / crowd).alias("ratio")).filter(pl.len().over("day") >= 3)
    level = shared.group_by("contract").agg(pl.col("ratio").median(), pl.col("day").min(), pl.len().alias("bars"))
    rows = level.filter(_about_a_slip(pl.col("ratio")))
    reason = pl.format("{} times the other contracts of the same days", pl.col("ratio").round(4))
    return _told(rows, "settle", pl.format("{} bars", "bars"), reason)


def stale(bars, spec):
    """The same high, low and price on `STALE` days or more, each with volume. None in the real set."""
    before = [pl.col(c) == pl.col(c).shift() for c in ("contract", "high", "low", "price")]
    same = pl.all_horizontal(*before, pl.col("volume") > 0).fill_null(False)
    runs = bars.with_columns(same.alias("same"), same.rle_id().alias("run"))
    rows = runs.filter("same").group_by("contract", "run").agg(
        pl.len().alias("bars"), pl.col("day").min(), pl.col("price").first()
    )  # fmt: skip
    rows = rows.filter(pl.col("bars") >= STALE - 1)
    return _told(rows, "settle", "price", pl.format("the same prices on {} days with volume", pl.col("bars") + 1))


def settle_outside(bars, spec):
    """Settlement outside high-low: may be right (DOMAIN T24), may be another contract's. 85 in the real set."""
    rows = bars.filter((pl.col("settle") > pl.col("high")) | (pl.col("settle") < pl.col("low")))
    return _told(rows, "settle", "settle", pl.format("outside {} to {}", "low", "high"))


def no_volume(bars, spec):
    """No volume on a day with a range, where there usually is. A day on which no contract has any is told once; a
    contract's last bar is left out: Barchart has 0 there in 37 % of the contracts since 2002. 188 in the real set, 76
    of 2001."""
    silent = (pl.col("volume") == 0) & (pl.col("high") > pl.col("low")) & (pl.col("usual_volume") > BUSY)
    busy = bars.group_by("day").agg((pl.col("volume") > 0).any().alias("busy"))
    rows = bars.filter(silent & ~pl.col("last")).join(busy, on="day").sort("contract", "day")
    reason = pl.format("no volume on a day with a range; usually {}", "usual_volume")
    single = _told(rows.filter("busy"), "volume", "volume", reason)
    whole = rows.filter(~pl.col("busy")).group_by("day").agg(pl.len().alias("bars")).sort("day")
    whole = whole.with_columns(pl.lit(None, pl.Int32).alias("contract"))
    reason = pl.format("no volume in any contract; usually in {} or more", "bars")
    return pl.concat([single, _told(whole, "volume", pl.lit(0.0), reason)])


def after_last_trade(bars, spec):
    """Bars after the contract's last trading day, told once a contract. Exchanges move days by notice (T12). 108 in the
    real set."""
    if spec is None:
        return _none(bars)
    ends = {contract: last_trade(spec, contract) for contract in bars["contract"].unique()}
    end = pl.col("contract").replace_strict(ends, return_dtype=pl.Date)
    late = bars.with_columns(end.alias("end")).filter(pl.col("day") > pl.col("end"))
    rows = late.group_by("contract", "end").agg(pl.len().alias("bars"), pl.col("day").min()).sort("contract")
    return _told(rows, "day", "day", pl.format("bars after the last trading day {}: {}", "end", "bars"))


def no_session(bars, spec):
    """Trade on a day without a session, told once a day; once in all, if the market does so habitually: then the
    calendar is not that of these prices. 3 in the real set, one of them Barchart's Nikkei, which is CME's."""
    if spec is None:
        return _none(bars)
    calendar = days.calendar(spec.calendar, spec.extra)
    closed = ~np.is_busday(bars["day"].to_numpy(), busdaycal=calendar)
    traded = bars.filter(pl.Series(closed) & (pl.col("volume") > 0))
    rows = traded.group_by("day").agg(pl.col("volume").sum(), pl.len().alias("bars")).sort("day")
    rows = rows.with_columns(pl.lit(None, pl.Int32).alias("contract"))
    known = bars.filter(pl.col("volume") > 0)["day"]
    closures = _closures(known.min(), known.max(), calendar) if len(rows) else 0
    if rows.height > max(5, closures / 2):
        reason = f"traded on {rows.height} of {closures} days on which {spec.calendar} has no session: not its calendar"
        return _told(rows.tail(1), "day", pl.lit(rows.height), pl.lit(reason))
    return _told(rows, "day", "volume", pl.format("a day without a session, but {} of its contracts traded", "bars"))


def _closures(first, last, calendar):
    """Weekdays without a session from `first` to `last`."""
    first, last = np.datetime64(first, "D"), np.datetime64(last, "D") + days.DAY
    return int(np.busday_count(first, last) - np.busday_count(first, last, busdaycal=calendar))


def gap(bars, spec):
    """Sessions of the market on which a contract that is usually busy has no bar. 40 in the real set, 25 of them cattle
    of 2002 to 2004. A session is a day on which any contract traded; where volume is unknown there are none."""
    sessions = bars.filter(pl.col("volume") > 0)["day"].unique().sort()
    number = pl.DataFrame({"day": sessions, "session": np.arange(len(sessions))})
    rows = bars.join(number, on="day").sort("contract", "day")
    missing = (pl.col("session").diff().over("contract") - 1).alias("missing")
    rows = rows.with_columns(missing).filter((pl.col("missing") > 0) & (pl.col("usual_volume") > BUSY))
    return _told(rows, "day", "day", pl.format("sessions of the market missing before it: {}", "missing"))


def missing_contract(bars, spec):
    """A contract of the held cycle that should have traded by now, between others, without a bar. 5 in the real set."""
    if spec is None:
        return _none(bars)
    held = sorted(MONTHS.index(letter) + 1 for letter in spec.held_months)
    have, end = set(bars["contract"].to_list()), bars["day"].max()
    months = [y * 100 + m for y in range(min(have) // 100, end.year + 1) for m in held]
    lacking = [c for c in months if min(have) < c < min(max(have), end.year * 100 + end.month) and c not in have]
    rows = pl.DataFrame({"contract": lacking, "day": None}, {"contract": pl.Int32, "day": pl.Date})
    return _told(rows, "contract", "contract", pl.lit("no bars of a contract of the held cycle"))


CHECKS = (
    Check("unit_slip", "refuse", unit_slip),
    Check("unit_level", "refuse", unit_level),
    Check("spike", "warn", spike),
    Check("stale", "warn", stale),
    Check("settle_outside", "warn", settle_outside),
    Check("no_volume", "warn", no_volume),
    Check("after_last_trade", "warn", after_last_trade),
    Check("no_session", "warn", no_session),
    Check("gap", "warn", gap),
    Check("missing_contract", "warn", missing_contract),
)
