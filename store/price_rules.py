"""Rules on the prices of a single contract, seen against its past, its neighbours, its tick and its limit.

The thresholds were set on Barchart's 24 markets (docs/quality.md has the counts); prices near zero or below are
prices like others, so no rule looks at a relative change unless both prices are above zero.
"""

import polars as pl

from store.series import PRICES, none, once_a_day, told

UNITS = 8.0  # usual moves that make a spike: pysystemtrade refuses an update at 8
TICKS = 4  # a smaller move is none, however quiet the contract was
TOGETHER = (
    0.3  # share of a move that a neighbour has to make to explain it: gas of 2018-11-14, volatility of 2024-08-05
)
BACK = 3  # bars within which a spike comes back
STALE = 5  # equal bars in a row, with volume
OFTEN = 0.02  # share of days on which settlements lie outside high-low by habit; Barchart's worst market has 0.002
FLAT = 10  # the same where there is no high and low: short rates settle unchanged for a week
SLIPS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)  # cents for dollars, yen per 100, thousandths
SLACK = 0.2  # a slip is within this share of one of them
BESIDE = 3.0  # times, or parts, of what the chain costs: no curve of the real set starts a contract so
CROWD = 4  # contracts that a day needs, one of them the one in question
WIDER = 1.5  # CBOT and CME livestock: expanded limits are 150 % of the first ones
SPOT = 5  # days before the delivery month from which grains and livestock trade without a limit
FINER = (1, 2, 4, 5, 8, 10, 16, 20, 40, 100)  # parts of a tick that settlements and averages are rounded to
OFF = 0.01  # share of a year's prices that may be off a grid; if more are, it is not the grid


def suspicious(bars):
    """Whether a price is so far from the one before, or from the others of its day, that its unit may have slipped."""
    price = pl.coalesce("settle", "close")
    bars = bars.sort("contract", "day").select("contract", "day", price.alias("price")).drop_nulls("price")
    step = pl.when(pl.col("contract") == pl.col("contract").shift()).then(pl.col("price") / pl.col("price").shift())
    crowd = pl.col("price") / pl.col("price").median().over("day")
    return bars.select(pl.any_horizontal(~ratio.is_between(0.2, 5.0) for ratio in (step, crowd)).any()).item()


def spike(bars, spec):
    """A move of more than `UNITS` usual ones that no neighbour shares and that is more than half undone within `BACK`
    bars, or is the last one known."""
    rows = _lone(bars)
    back = (pl.col("undone") > 0.5 * pl.col("size")) | (pl.col("last") & pl.col("company").is_not_null())
    came = pl.when("last").then(pl.lit("nothing after it")).otherwise(pl.lit("and back"))
    reason = pl.format(
        "moved {} {}, {} usual moves; the nearest contracts did not",
        pl.col("move").round(6), came, (pl.col("size") / pl.col("scale")).round(1),
    )  # fmt: skip
    return told(rows.filter(back), "settle", "price", reason)


def lone_move(bars, spec):
    """The same move where it stays: the contract goes its own way from then on, or its past is another's."""
    stays = (pl.col("undone") <= 0.5 * pl.col("size")) & ~pl.col("last") & pl.col("company").is_not_null()
    stays = stays & ~(pl.col("return") > 0.5 * pl.col("size")).fill_null(False)
    reason = pl.format(
        "moved {} and stayed, {} usual moves; the nearest contracts did not",
        pl.col("move").round(6), (pl.col("size") / pl.col("scale")).round(1),
    )  # fmt: skip
    rows = _lone(bars).filter(stays)
    if rows.height:
        right = _astray(bars).filter("back_to_chain").select("contract", "day")
        rows = rows.join(right, ["contract", "day"], "anti", maintain_order="left")
    return told(rows, "settle", "price", reason)


def _lone(bars):
    """Moves of more than `UNITS` usual ones that no neighbour shares; `undone` is how far they come back, `return` how
    far they themselves undo the moves before."""
    earlier = [pl.col("before") - pl.col("price").shift(n).over("contract") for n in range(2, BACK + 2)]
    ahead = [pl.col("price").shift(-n).over("contract") - pl.col("price") for n in range(1, BACK + 1)]
    size = pl.col("move").abs()
    odd = (size > UNITS * pl.col("scale")) & (size > TICKS * pl.col("tick").fill_null(0.0)) & (pl.col("scale") > 0)
    alone = (pl.col("company") < TOGETHER * size).fill_null(True)
    if not bars.select((odd & alone).any()).item():
        return bars.clear().with_columns(size.alias(name) for name in ("size", "undone", "return"))
    undone, returned = (
        pl.max_horizontal(-step * pl.col("move").sign() for step in steps) for steps in (ahead, earlier)
    )
    rows = bars.with_columns(size.alias("size"), undone.fill_null(0.0).alias("undone"), returned.alias("return"))
    return rows.filter(odd & alone & ~_slipped())


def _slipped():
    """A price in another unit than the one before: a ratio near a slip's, and a spike besides, as near zero any is."""
    known = (pl.col("price") > 0) & (pl.col("before") > 0)
    large = (pl.col("move").abs() > UNITS * pl.col("scale")).fill_null(True)
    return _about_a_slip(pl.col("price") / pl.col("before")) & known.fill_null(False) & large


def _about_a_slip(ratio):
    return pl.any_horizontal((ratio / slip - 1.0).abs() < SLACK for slip in SLIPS).fill_null(False)


def _astray(bars):
    """The bars with `astray`: a contract's first ones, `BACK` at most, that lie at more than `BESIDE` times, or less
    than such a part of, what the chain costs, where the contract then comes to it; `back_to_chain`: the one after them,
    which is right; `ratio` to the chain."""
    chain, size = pl.col("price").median().over("day"), (pl.col("price") - pl.col("chain")).abs()
    rows = bars.with_columns(chain.alias("chain"), (pl.len().over("day") >= CROWD).alias("crowd"))
    rows = rows.with_columns((pl.col("price") / pl.col("chain")).alias("ratio"))
    beside = pl.col("crowd") & (pl.col("chain") > 0) & ~pl.col("ratio").is_between(1.0 / BESIDE, BESIDE)
    beside = (beside & (size > UNITS * pl.col("scale")).fill_null(True)).fill_null(False)
    rows = rows.with_columns(beside.cast(pl.Int8).cum_min().over("contract").cast(pl.Boolean).alias("astray"))
    if rows["astray"].any():
        comes = pl.col("price").filter(~pl.col("astray")).first().over("contract")
        left = ~(comes / pl.col("price")).is_between(0.5, 2.0).fill_null(True)
        few = pl.col("astray").sum().over("contract") <= BACK
        rows = rows.with_columns(pl.col("astray") & few & left)
    after = pl.col("astray").shift(fill_value=False) & ~pl.col("astray") & pl.col("before").is_not_null()
    return rows.with_columns(after.alias("back_to_chain"))


def beside_chain(bars, spec):
    """A contract that starts with prices far from the others of its day and then comes to them, told once; those near
    a slip's factor are `unit_slip`."""
    rows = _astray(bars).filter(pl.col("astray") & pl.col("before").is_null() & ~_about_a_slip(pl.col("ratio")))
    reason = pl.format(
        "starts at {} times the other contracts of its day, then comes to them", pl.col("ratio").round(4)
    )
    return told(rows, "settle", "price", reason)


def unit_slip(bars, spec):
    """A price about 10, 100 or 1000 times the day before's, or a tenth and so on; the way back is not told again. Of a
    contract's first price, which has none before, such a factor of the others of its day."""
    slip = _slipped()
    again = slip & slip.shift(fill_value=False) & ((pl.col("price") / pl.col("before").shift() - 1.0).abs() < SLACK)
    first = pl.col("astray") & pl.col("before").is_null() & _about_a_slip(pl.col("ratio"))
    rows = _astray(bars).filter((slip & ~again & ~pl.col("back_to_chain")) | first)
    before = pl.format("{} times the day before", (pl.col("price") / pl.col("before")).round(4))
    chain = pl.format("{} times the other contracts of its day", pl.col("ratio").round(4))
    return told(rows, "settle", "price", pl.coalesce(before, chain))


def unit_level(bars, spec):
    """A whole contract at about 10, 100 or 1000 times the others of its days."""
    crowd = pl.col("price").median().over("day")
    shared = bars.with_columns((pl.col("price") / crowd).alias("ratio")).filter(pl.len().over("day") >= 3)
    level = shared.group_by("contract").agg(pl.col("ratio").median(), pl.col("day").min(), pl.len().alias("bars"))
    rows = level.filter(_about_a_slip(pl.col("ratio"))).sort("contract")
    reason = pl.format("{} times the other contracts of the same days", pl.col("ratio").round(4))
    return told(rows, "settle", pl.format("{} bars", "bars"), reason)


def stale(bars, spec):
    """The same high, low and price on `STALE` days or more, each with volume; `FLAT` days where there is no range."""
    before = [pl.col(c).eq_missing(pl.col(c).shift()) for c in ("contract", "high", "low", "price")]
    same = pl.all_horizontal(*before, pl.col("volume") > 0).fill_null(False)
    if not bars.select(same.any()).item():
        return none(bars)
    runs = bars.with_columns(same.alias("same"), same.rle_id().alias("run"))
    rows = runs.filter("same").group_by("contract", "run").agg(
        pl.len().alias("bars"), pl.col("day").min(), pl.col("price").first(), pl.col("high").first()
    ).sort("contract", "run")  # fmt: skip
    rows = rows.filter(pl.col("bars") >= pl.when(pl.col("high").is_null()).then(FLAT).otherwise(STALE) - 1)
    return told(rows, "settle", "price", pl.format("the same prices on {} days with volume", pl.col("bars") + 1))


def settle_outside(bars, spec):
    """Settlement outside high-low: may be right (DOMAIN T24), may be another contract's. Told once for the market where
    it is so on `OFTEN` of the days or more: then it is how the exchange settles."""
    rows = bars.filter((pl.col("settle") > pl.col("high")) | (pl.col("settle") < pl.col("low")))
    ranged = bars.select((pl.col("settle") + pl.col("high")).count()).item()
    if rows.height > max(100, OFTEN * ranged):
        once = rows.tail(1).with_columns(pl.lit(None, pl.Int32).alias("contract"), pl.lit(None, pl.Date).alias("day"))
        reason = f"settlements outside high-low on {rows.height} of {ranged} days: how this market settles"
        return told(once, "settle", pl.lit(rows.height), pl.lit(reason))
    return told(rows, "settle", "settle", pl.format("outside {} to {}", "low", "high"))


def off_tick(bars, spec):
    """Prices off the grid of the market's tick, told once a contract.

    Settlements are finer than trades, and vendors round: the grid of a field and year is the coarsest part of a tick on
    which all but `OFF` of its prices lie. Where there is none, that is told once for the market. A contract's last bar
    may be its final settlement, an average, and is left out.
    """
    found, without = [], []
    for field in PRICES:
        steps = (pl.col(field) / pl.col("tick")).alias("steps")
        off = bars.filter(_off(steps, 1).fill_null(False) & ~pl.col("last")).select(
            "contract", "day", "tick", pl.col(field), steps
        )
        if off.height:
            grids = _grids(off, bars, field)
            without += grids.filter(pl.col("parts").is_null())["year"].to_list()
            rows = off.with_columns(pl.col("day").dt.year().alias("year")).join(grids, on="year")
            rows = rows.filter(_off(pl.col("steps"), pl.col("parts")).fill_null(False))
            found.append(rows.select("contract", "day", pl.lit(field).alias("field"), pl.col(field).alias("value"),
                                     (pl.col("tick") / pl.col("parts")).alias("grid")))  # fmt: skip
    if not found:
        return none(bars)
    rows = pl.concat(found).sort("contract", "day", maintain_order=True)
    rows = rows.group_by("contract", maintain_order=True).agg(pl.len().alias("prices"), pl.all().first())
    reason = pl.format("{} prices off the grid of {}; the first is {} {}", "prices", "grid", "field", "value")
    single = told(rows, "tick", "value", reason)
    return single if not without else pl.concat([single, _gridless(bars, sorted(set(without)))])


def _off(steps, parts):
    """Whether a price, in ticks, lies off a grid of so many parts of a tick; 0.01 of a step is rounding."""
    finer = steps * parts
    return (finer - finer.round()).abs() > 0.01


def _grids(off, bars, field):
    """(year, parts of a tick) of the years in which prices of `field` are off the tick; null parts: no grid fits."""
    year = pl.col("day").dt.year().alias("year")
    all_of = bars.group_by(year).agg(pl.col(field).count().alias("prices"))
    counts = off.group_by(year).agg(_off(pl.col("steps"), parts).sum().alias(str(parts)) for parts in FINER)
    fits = [pl.when(pl.col(str(parts)) <= OFF * pl.col("prices").clip(100)).then(parts) for parts in FINER]
    return counts.join(all_of, on="year").select("year", pl.coalesce(fits).alias("parts"))


def _gridless(bars, years):
    rows = bars.tail(1).select(pl.lit(None, pl.Int32).alias("contract"), pl.lit(None, pl.Date).alias("day"))
    spans = f"{years[0]} to {years[-1]}" if len(years) > 1 else str(years[0])
    return told(
        rows, "tick", pl.lit(spans), pl.lit(f"prices of {len(years)} years lie on no grid: averages, or quotes")
    )


def price_limit(bars, spec):
    """A price farther from the last settlement than the exchange lets it move; told once a day.

    A limit in points is taken `WIDER`: after a day at the limit exchanges widen it by half. Contracts near delivery
    have none.
    """
    if bars["limit"].null_count() == bars.height:
        return none(bars)
    share = pl.col("limit").str.ends_with("%")
    number = pl.col("limit").str.strip_chars_end("%").cast(pl.Float64, strict=False)
    allowed = pl.when(share).then(number / 100.0 * pl.col("before").abs()).otherwise(WIDER * number) + pl.col("tick")
    far = pl.max_horizontal((pl.col(c) - pl.col("before")).abs() for c in ("price", "high", "low"))
    month = pl.date(pl.col("contract") // 100, pl.col("contract") % 100, 1)
    free = pl.col("day") >= month - pl.duration(days=SPOT)
    rows = bars.with_columns(far.alias("far"), allowed.alias("allowed"))
    rows = rows.filter((pl.col("far") > pl.col("allowed")) & ~free & ~_slipped())
    rows = once_a_day(rows, pl.col("far").max(), pl.col("allowed").min().round(6))
    reason = pl.format("moved more than {}, in {} contracts", "allowed", "bars")
    return told(rows, "settle", pl.col("far").round(6), reason)
