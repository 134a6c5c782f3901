"""Faults of nine kinds, planted at random places of a market's bars, each where it is told from what is usual.

A kind is a function (market, random, taken) -> Plant or None; a place is taken once. What a row alone shows is judged
by the rules of rows, the rest by the rules of series; the market is otherwise as it was.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from store import checks, row_rules, series
from store.activity_rules import BUSY
from store.days import shift
from store.expiry import last_trade
from store.price_rules import SLIPS
from store.tables import TABLES

BARS = TABLES["contract_bars"]
PRICES = ("open", "high", "low", "close", "settle")
QUIET = 2.0  # usual moves of the chain on the day of a fault: a spike on the day of a crash is none
APART = timedelta(days=60)
AROUND = 12  # bars before and after a place in its contract


@dataclass
class Plant:
    """A fault: `change(bars)` puts it in; found if a rule of `rules` tells the contract on a day first..last."""

    rules: tuple
    contract: int
    first: object
    last: object
    change: object


@dataclass
class Market:
    """Bars without faults of their own at the places used, and what is found in them before any is planted."""

    bars: pl.DataFrame
    spec: object
    facts: dict = field(default_factory=dict)

    def __post_init__(self):
        self.ready = series.prepare(self.bars, self.spec, self.facts)
        self.before = checks.market(self.bars, self.spec, self.facts)
        told = self.before.select("contract").drop_nulls().unique()
        busy = (pl.col("usual_volume") > BUSY) & (pl.col("volume") > 0)
        near = (pl.int_range(pl.len()) >= AROUND + 10) & (pl.int_range(pl.len(), 0, -1) > AROUND)
        calm = (pl.col("move").abs() < QUIET * pl.col("scale")) & (pl.col("company").abs() < QUIET * pl.col("scale"))
        traded = (pl.col("volume") > 0).cast(pl.Int32).reverse().rolling_min(10).reverse().over("contract") == 1
        rows = self.ready.with_columns(near.over("contract").alias("near"), traded.alias("traded"))
        self.places = rows.filter(busy & calm & pl.col("near") & (pl.col("scale") > 0)).join(told, "contract", "anti")
        self.without_grid = not self.before.filter(
            (pl.col("rule") == "off_tick") & pl.col("contract").is_null()
        ).is_empty()

    def place(self, random, taken, where=True):
        """A row at random whose contract was not taken yet and for which `where` holds, or None."""
        rows = self.places.filter(pl.lit(where) if where is True else where)
        rows = rows.filter(~pl.col("contract").is_in(list(taken)))
        if rows.is_empty():
            return None
        row = rows.row(int(random.integers(rows.height)), named=True)
        taken.add(row["contract"])
        return row

    def days_after(self, row, count):
        """The row's day and the contract's next days, `count` in all."""
        own = self.ready.filter((pl.col("contract") == row["contract"]) & (pl.col("day") >= row["day"]))
        return own["day"].head(count).to_list()


def _among(rows):
    """True on the contracts and days of `rows`."""
    return pl.struct("contract", "day").is_in(rows.select(pl.struct("contract", "day")).to_series().implode())


def here(row, days=None):
    """True on the row's contract and day, or on these days of it."""
    return (pl.col("contract") == row["contract"]) & pl.col("day").is_in(days or [row["day"]])


def put(bars, where, **values):
    return bars.with_columns(pl.when(where).then(value).otherwise(name).alias(name) for name, value in values.items())


def spike(market, random, taken):
    """One price 10 to 40 usual moves away."""
    row = market.place(random, taken, pl.col("scale") * 40 < 0.4 * pl.col("price"))
    if row is None:
        return None
    size = max(random.uniform(10, 40) * row["scale"], 6 * (row["tick"] or 0)) * random.choice([-1, 1])
    price = row["price"] + size
    values = {"settle": price, "high": pl.max_horizontal("high", pl.lit(price)),
              "low": pl.min_horizontal("low", pl.lit(price))}  # fmt: skip
    return _one(("spike",), row, lambda bars: put(bars, here(row), **values))


def unit_slip(market, random, taken):
    """All prices of a day in another unit."""
    row = market.place(random, taken, pl.col("price") > 10 * pl.col("scale"))
    if row is None:
        return None
    slip = float(random.choice(SLIPS))
    return _one(("unit_slip",), row, lambda bars: put(bars, here(row), **{c: pl.col(c) * slip for c in PRICES}))


def stale(market, random, taken):
    """The prices of a day on four to nine days more, volumes as they were."""
    row = market.place(random, taken, pl.col("traded"))
    if row is None:
        return None
    days = market.days_after(row, int(random.integers(5, 11)))
    values = {name: row[name] for name in PRICES}
    plant = _one(("stale",), row, lambda bars: put(bars, here(row, days), **values))
    plant.last = days[-1]
    return plant


def off_tick(market, random, taken):
    """A price a third of a tick off."""
    row = None if market.without_grid else market.place(random, taken, pl.col("high") > pl.col("low"))
    if row is None:
        return None
    name, sign = [("high", 1), ("low", -1)][random.integers(2)]
    value = pl.col(name) + sign * row["tick"] / 3
    return _one(("off_tick",), row, lambda bars: put(bars, here(row), **{name: value}))


def oi_jump(market, random, taken):
    """Open interest lost for a day, or with a digit too many or too few."""
    usual = pl.col("open_interest").diff().abs().rolling_median(60, min_samples=10).shift().over("contract")
    after = pl.col("open_interest").shift(-1).over("contract") - pl.col("open_interest").shift().over("contract")
    steady = after.abs() < 0.2 * pl.col("open_interest")
    rows = market.ready.with_columns(usual.alias("usual")).filter(
        steady,
        (pl.col("open_interest") > 40 * pl.col("usual"))
        & (pl.col("usual") > 0)
        & (pl.col("open_interest") > 10 * BUSY),
    )
    row = market.place(random, taken, _among(rows))
    if row is None:
        return None
    factor = float(random.choice([0.0, 0.1, 10.0]))
    return _one(("oi_jump",), row, lambda bars: put(bars, here(row), open_interest=pl.col("open_interest") * factor))


def missing_sessions(market, random, taken):
    """One to six sessions left out."""
    row = market.place(random, taken, pl.col("traded") & (pl.len().over("day") > 1))
    if row is None:
        return None
    days = market.days_after(row, int(random.integers(2, 8)))
    plant = _one(("gap", "missing_session"), row, lambda bars: bars.filter(~here(row, days[:-1])))
    plant.last = days[-1]
    return plant


def after_last_trade(market, random, taken):
    """One to five bars after the last trading day."""
    row = market.place(random, taken)
    if row is None:
        return None
    end = last_trade(market.spec, row["contract"])
    days = [shift(market.spec.calendar, end, n + 1, market.spec.extra) for n in range(int(random.integers(1, 6)))]

    def change(bars):
        last = bars.filter(pl.col("contract") == row["contract"]).tail(1)
        return pl.concat([bars, *(last.with_columns(day=pl.lit(day), time=_end(day)) for day in days)])

    plant = _one(("after_last_trade", "future"), row, change)
    plant.first, plant.last = days[0], days[-1]
    return plant


def settle_far(market, random, taken):
    """Settlement far outside high-low, or two ticks outside, or columns exchanged."""
    row = market.place(random, taken, (pl.col("high") - pl.col("low") > 3 * pl.col("tick")) & (pl.col("volume") > 0))
    if row is None:
        return None
    outside = {"settle": pl.col("high") + 2 * row["tick"]}
    far = {"settle": pl.col("high") * float(random.choice([0.3, 3.0]))}
    exchanged = {"high": pl.col("low"), "low": pl.col("high")}
    volumes = {"settle": pl.col("volume") + 10 * pl.col("high"), "volume": pl.col("settle")}
    rules, values = [(("settle_outside",), outside), (("settle_far",), far), (("range",), exchanged),
                     (("settle_far",), volumes)][random.integers(4)]  # fmt: skip
    return _one(rules, row, lambda bars: put(bars, here(row), **values))


def crossed(market, random, taken):
    """Two contracts exchanged for some days, a contract with another's prices, or a second row of a day."""
    return (_exchanged, _copied, _twice)[random.integers(3)](market, random, taken)


def _exchanged(market, random, taken):
    row, other = _pair(market, random, taken)
    if other is None:
        return None
    days = market.days_after(row, int(random.integers(1, 6)))
    swap = {row["contract"]: other, other: row["contract"]}

    def change(bars):
        return bars.with_columns(
            pl.when(pl.col("day").is_in(days))
            .then(pl.col("contract").replace(swap))
            .otherwise("contract")
            .alias("contract")
        ).sort("contract", "day")

    return Plant(("crossed_chain",), min(row["contract"], other), days[0], days[0], change)


def _copied(market, random, taken):
    row = market.place(random, taken, pl.col("traded") & (pl.len().over("day") > 1))
    if row is None:
        return None
    days = market.days_after(row, 10)
    own = market.bars.filter(here(row, days) & (pl.col("high") > pl.col("low")) & (pl.col("volume") > 0))
    others = market.bars.filter(pl.col("day").is_in(days) & (pl.col("contract") != row["contract"]))
    counts = others.group_by("contract").len().filter(pl.col("len") == len(days)).sort("contract")
    if own.height < len(days) or counts.is_empty():
        return None
    other = int(counts["contract"][0])
    taken.add(other)
    copy = own.with_columns(pl.lit(other, pl.Int32).alias("contract"))
    rest = (pl.col("contract") == other) & pl.col("day").is_in(days)
    change = lambda bars: pl.concat([bars.filter(~rest), copy]).sort("contract", "day")  # noqa: E731
    before = days[0] - timedelta(days=7)  # by chance the two may be equal on the day before, which begins the run
    return Plant(("duplicate_contract",), min(row["contract"], other), before, days[-1], change)


def _twice(market, random, taken):
    row = market.place(random, taken)
    if row is None:
        return None
    again = lambda bars: pl.concat([bars, put(bars.filter(here(row)), True, volume=pl.col("volume") + 1)])  # noqa: E731
    return _one(("duplicate",), row, again)


def _pair(market, random, taken):
    """A row and the contract after it, far enough apart that one is not taken for the other on usual days."""
    bars = market.ready
    bars = bars.with_columns((pl.col("move") - pl.col("move").median().over("day")).abs().alias("rest"))
    usual = pl.max_horizontal(1.4826 * pl.col("rest").median().over("contract"), 2 * pl.col("tick"))
    bars = bars.with_columns(usual.alias("usual")).sort("day", "contract").with_columns(
        [pl.col(c).shift(-1).over("day").alias(f"next_{c}") for c in ("contract", "price", "before", "usual")]
    )  # fmt: skip
    far = (pl.col("before") - pl.col("next_before")).abs() > pl.max_horizontal(
        15 * pl.max_horizontal("usual", "next_usual"), 0.5 * pl.col("scale")
    )
    still = (pl.col("price") - pl.col("next_price") - pl.col("before") + pl.col("next_before")).abs() < pl.col("usual")
    calm = (pl.col("rest") <= 5 * pl.col("usual")).all().over("day")  # real faults move the chain's median
    rows = bars.filter(far & still & calm & (pl.len().over("day") > 2))
    row = market.place(random, taken, _among(rows) & pl.col("traded"))
    if row is None:
        return None, None
    other = rows.filter(here(row))["next_contract"][0]
    both = set(market.days_after(row, 8))
    shared = market.ready.filter((pl.col("contract") == other) & pl.col("day").is_in(list(both)))
    own = market.ready.filter((pl.col("contract") == row["contract"]) & pl.col("day").is_in(list(both)))
    apart = own.join(shared, on="day", suffix="_other").select(pl.col("price") - pl.col("price_other")).to_series()
    if other in taken or shared.height < len(both) or apart.max() - apart.min() > 0.2 * apart.abs().min():
        return None, None
    taken.add(other)
    return row, int(other)


def _one(rules, row, change):
    return Plant(rules, row["contract"], row["day"], row["day"], change)


def _end(day):
    return pl.lit(day).cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23)


KINDS = {
    "spike": spike,
    "unit slip": unit_slip,
    "stale": stale,
    "off tick": off_tick,
    "open interest": oi_jump,
    "missing sessions": missing_sessions,
    "after last trade": after_last_trade,
    "settlement far or columns exchanged": settle_far,
    "contracts crossed, copied or doubled": crossed,
}


def planted(kind, market, count, random):
    """Up to `count` faults of a kind, each in contracts of its own and `APART` from the others."""
    taken, found = set(), []
    for _ in range(4 * count):
        plant = KINDS[kind](market, random, taken)
        far = plant and all(plant.first > one.last + APART or plant.last < one.first - APART for one in found)
        found += [plant] if far else []
        if len(found) == count:
            break
    return found


def missed(market, plants):
    """Put all of them in at once and look: those that no rule of theirs tells."""
    bars = market.bars
    for plant in plants:
        bars = plant.change(bars)
    negative = market.spec is None or market.spec.negative_prices == "yes"
    read = bars.with_columns(
        fault=pl.lit(None, pl.String), column=pl.lit(None, pl.String), raw=pl.lit(""), line=pl.int_range(pl.len())
    )
    good, bad = row_rules.split(read, BARS, row_rules.bar_rules(negative))
    found = checks.market(BARS.conform(good), market.spec, market.facts).select("rule", "contract", "day")
    found = found.filter(~pl.struct("rule", "contract", "day").is_in(
        market.before.select(pl.struct("rule", "contract", "day")).to_series().implode()))  # fmt: skip
    told = pl.concat([found, bad.select("rule", "contract", "day")])
    return [plant for plant in plants if not _told(told, plant)]


def _told(told, plant):
    own = (pl.col("contract") == plant.contract) | pl.col("contract").is_null()
    days = pl.col("day").is_between(plant.first, plant.last)
    return told.filter(pl.col("rule").is_in(plant.rules) & own & days).height > 0
