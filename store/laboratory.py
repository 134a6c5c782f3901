"""The roll laboratory: the rolls of one market under several rules, side by side, and what each rule costs its holder.

1. **One period for all rules**: from the first to the last day on which every rule holds a contract. The holder is long
   one contract from the close of the first to the close of the last; rolls on the first day count, those on the last do
   not, as no price came after them.
2. **His profit**, the sum of the changes of the adjusted price, is taken apart:

       total = price + roll,   price = last mark - first mark,   roll = -(sum of the spreads at the rolls)

   of the marks of the contracts held and spread = to_price - from_price. That is an attribution, never an addition
   (DOMAIN T6): a roll pays nobody anything, the adjusted price holds it already. Where later contracts cost more
   (contango) the roll part is negative: a holder whose front price ends where it began has lost that much.
3. **A closed roll** (`rolls`, rule 4) has no spread of one moment: what the market did in the break stands in the price
   part and is taken out again by the roll part, so the total still is the holder's. Sizes of spreads leave it out.
   Only through expiry it has one, of an earlier day, if there was any.
4. **Shares of volume** are of all contracts of the chain that have a bar on that day, held months or not. Unknown
   volume, and a day on which the whole chain shows none, is null: never 0.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from store import continuous, days, expiry, rolls
from store.roll_rules import parse_rule
from store.roll_search import NO_CROSSING

_CLOSED = rolls.closed(pl.col("reason"))
ILLIQUID = 0.10  # share of the chain's volume of a day, below which the contract held counts as illiquid
YEAR = 365.25  # days
TOLD = {
    "root": pl.String,
    "day": pl.Date,  # roll day
    "from_contract": pl.Int32,
    "to_contract": pl.Int32,
    "from_price": pl.Float64,  # of both legs at one moment [points]
    "to_price": pl.Float64,
    "spread": pl.Float64,  # to_price - from_price [points]
    "from_volume": pl.Float64,  # of the roll day [contracts]
    "to_volume": pl.Float64,
    "from_share": pl.Float64,  # of the chain's volume of the roll day [0..1]
    "to_share": pl.Float64,
    "sessions_left": pl.Int32,  # trading days from the roll day to the last allowed day of the contract left
    "decided": pl.Date,
    "reason": pl.String,
}
SUMMARY = {
    "rule": pl.String,
    "rolls": pl.Int64,
    "rolls_per_year": pl.Float64,
    "sessions_left_mean": pl.Float64,
    "sessions_left_median": pl.Float64,
    "from_share_mean": pl.Float64,  # of the day's volume, left in the old contract on the roll day [0..1]
    "from_share_median": pl.Float64,
    "spread_size_mean": pl.Float64,  # mean of |spread| [points]
    "spread_size_sum": pl.Float64,
    "days_held": pl.Int64,  # days with a price of the contract held
    "days_missing": pl.Int64,  # days on which only other contracts of the chain had a price
    "days_known": pl.Int64,  # of the days held those on which its share of the volume is known
    "illiquid_days": pl.Int64,  # of the days known those on which its share was below `illiquid_below`
    "illiquid_share": pl.Float64,  # of the days known [0..1]
    "waited": pl.Int64,  # rolls that waited for matched prices
    "forced_share": pl.Float64,  # of the rolls: a date of the rule lay after the last allowed day [0..1]
    "fallback_share": pl.Float64,  # of the rolls: by a date, as activity was unknown or did not cross [0..1]
    "unknown_share": pl.Float64,  # of the rolls: activity was unknown [0..1]
    "closed": pl.Int64,  # positions that ended for want of matched prices
    "sides": pl.Int64,  # contracts traded by rolling one: 2 a roll
    "cost_per_year": pl.Float64,  # sides a year x `side_cost` [currency / contract / year]
    "total_points": pl.Float64,  # profit of the long holder [points]
    "price_points": pl.Float64,
    "roll_points": pl.Float64,
    "total_money": pl.Float64,  # the same by the multiplier of `spec` [currency / contract]
    "price_money": pl.Float64,
    "roll_money": pl.Float64,
    "error": pl.String,  # why there is no calendar; all else is null then
}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; all frames are of the period `first` to `last` and know the rules as they were written.

    `rolls` has one row a pair of contracts that any rule rolls in the period: `from_contract`, `to_contract`, then
    `day RULE` of every rule and `spread RULE` [points] of every rule, null where a rule rolls to another contract or
    not within the period. `summary` has one row a rule (`SUMMARY`). `held` has the contract held at the end of each
    day: `day`, `rule`, `contract`; days without a price of it give no row.
    """

    root: str
    rules: tuple
    first: object  # date, or None where no calendar could be made
    last: object
    rolls: pl.DataFrame
    summary: pl.DataFrame
    held: pl.DataFrame
    calendars: dict = field(default_factory=dict)  # rule -> RollCalendar, whole


def told(bars, calendar, spec=None):
    """What each roll of a calendar left behind and moved into.

    Parameters
    ----------
    bars : polars.DataFrame or None
        Rows of `contract_bars` of one root and source; None where only a vendor's chain is stored.
    calendar : RollCalendar
    spec : ContractSpec, optional
        Facts of the market: `sessions_left` is null without.

    Returns
    -------
    polars.DataFrame
        Columns `TOLD`, one row a roll in the calendar's order. `sessions_left` goes by the usual last allowed day, one
        business day before first notice or last trade, whatever the rule's own `exit`: negative where it was held
        longer. Of a closed position it is told from the day on which it ended.

    Examples
    --------
    >>> from datetime import date
    >>> volume = [("202503", 300.0), ("202506", 600.0), ("202509", 100.0)]
    >>> bars = pl.DataFrame([{"day": date(2025, 3, 13), "contract": int(c), "volume": v} for c, v in volume])
    >>> row = (date(2025, 3, 13), None, 202503, 202506, 4100.0, 4125.0, date(2025, 3, 12), "volume")
    >>> made = rolls.RollCalendar("ES", "volume:1", 202503, pl.DataFrame([row], rolls.SCHEMA, orient="row"))
    >>> told(bars, made).select("spread", "from_share", "to_share").row(0)
    (25.0, 0.3, 0.6)
    """
    return _told(_shares(bars, calendar.frame["day"]), calendar, spec)


def compare(bars, spec, rules, given=None, progress=None, *, side_cost=None, illiquid_below=ILLIQUID):
    """Several roll rules on one market.

    Parameters
    ----------
    bars : polars.DataFrame
        Rows of `contract_bars`, one root, one source.
    spec : ContractSpec or None
        Facts of the market; None where the master does not know it: nothing is told in money or sessions then.
    rules : sequence of str
        See `roll_rules`; told under the texts given here.
    given : dict, optional
        {rule: plan or RollCalendar} for rules that are the names of stored calendars; a plan as `rolls.calendar` takes.
    progress : callable(done, total, rule), optional
    side_cost : float, optional
        Of one side of one contract, commission and slippage. [spec's currency / contract]
    illiquid_below : float
        Share of the chain's volume of a day below which the contract held is illiquid. [0..1]

    Returns
    -------
    Comparison

    Raises
    ------
    UnknownRule
        A rule that cannot be read, or names no calendar of `given`. A rule that can, but of which no calendar can be
        made of these bars, is told in `error` of its summary row, and the others go on.
    ValueError
        No bars, or no day on which every rule holds a contract.
    """
    if not len(bars):
        raise ValueError("no bars to compare roll rules on: no row of the market has a price")
    given, wanted = given or {}, list(dict.fromkeys(str(rule).strip() for rule in rules))
    for rule in wanted:
        if rule not in given:
            parse_rule(rule, tuple(given))
    made, series, errors = {}, {}, {}
    for done, rule in enumerate(wanted):
        if progress:
            progress(done, len(wanted), rule)
        try:
            made[rule] = _calendar(bars, spec, rule, given.get(rule))
            series[rule] = _held(bars, made[rule])
        except (ValueError, LookupError) as error:
            errors[rule] = str(error)
    first, last = _period(series, bars)
    shares, found, rows = _shares(bars), {}, []
    chain = _priced(bars).filter(pl.col("day").is_between(first, last))["day"].n_unique() if series else 0
    for rule in wanted:
        if rule in errors:
            rows.append({"rule": rule, "error": errors[rule]})
            continue
        series[rule] = part = series[rule].filter(pl.col("day").is_between(first, last))
        found[rule] = _within(_told(shares, made[rule], spec), made[rule], part)
        row = {"rule": rule} | _counted(found[rule]) | _liquid(part, shares, chain, illiquid_below)
        rows.append(row | _profit(part, found[rule], spec) | _yearly(found[rule], first, last, side_cost))
    if progress:
        progress(len(wanted), len(wanted), "")
    held = [frame.select("day", pl.lit(rule).alias("rule"), "contract") for rule, frame in series.items()]
    empty = pl.DataFrame(schema={"day": pl.Date, "rule": pl.String, "contract": pl.Int32})
    return Comparison(
        root=bars["root"][0],
        rules=tuple(wanted),
        first=first,
        last=last,
        rolls=_side_by_side(found),
        summary=pl.DataFrame(rows, SUMMARY),
        held=pl.concat([empty, *held]),
        calendars=made,
    )


def _calendar(bars, spec, rule, given):
    return given if isinstance(given, rolls.RollCalendar) else rolls.calendar(bars, spec, rule, given)


def _priced(bars):
    return bars.filter(pl.coalesce("settle", "close").is_not_null())


def _held(bars, calendar):
    """The contract held at the end of each day on which it has a price: time, day, contract, mark, offset."""
    frame = continuous.stitch(bars, calendar).select(
        "time", "day", "contract", pl.coalesce("settle", "close").alias("mark"), "offset"
    )
    frame = frame.drop_nulls("mark").unique("day", keep="last", maintain_order=True)
    if frame.is_empty():
        raise ValueError(f"{calendar.root}: rule {calendar.rule} holds no contract that has a price")
    return frame


def _period(series, bars):
    """First and last day on which every rule holds a contract; None without rules."""
    if not series:
        return None, None
    spans = {rule: (frame["day"][0], frame["day"][-1]) for rule, frame in series.items()}
    first, last = max(begin for begin, _ in spans.values()), min(end for _, end in spans.values())
    if first > last:
        each = "; ".join(f"{rule} {begin} to {end}" for rule, (begin, end) in spans.items())
        raise ValueError(f"{bars['root'][0]}: on no day does every rule hold a contract: {each}")
    return first, last


def _shares(bars, only=None):
    """(day, contract): volume of the day, and its share of the whole chain's; of the days `only`, if given."""
    if bars is None:
        return pl.DataFrame(schema={"day": pl.Date, "contract": pl.Int32, "volume": pl.Float64, "share": pl.Float64})
    rows = bars.lazy().select("day", "contract", pl.col("volume").cast(pl.Float64))
    if only is not None:
        rows = rows.filter(pl.col("day").is_in(only.unique().implode()))
    volume = pl.when(pl.col("volume").count() > 0).then(pl.col("volume").sum()).alias("volume")
    total = pl.col("volume").sum().over("day")
    return rows.group_by("day", "contract").agg(volume).with_columns(
        pl.when(total > 0).then(pl.col("volume") / total).alias("share")
    ).collect(engine="in-memory")  # fmt: skip


def _told(shares, calendar, spec):
    frame = calendar.frame
    for leg in ("from", "to"):
        names = {"contract": f"{leg}_contract", "volume": f"{leg}_volume", "share": f"{leg}_share"}
        mine = shares.rename(names).cast({f"{leg}_contract": pl.Int32})
        frame = frame.join(mine, on=["day", f"{leg}_contract"], how="left", maintain_order="left")
    frame = frame.with_columns(
        pl.lit(calendar.root).alias("root"),
        (pl.col("to_price") - pl.col("from_price")).alias("spread"),
        _sessions_left(calendar.frame, spec),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in TOLD.items())


def _sessions_left(frame, spec):
    if spec is None or frame.is_empty():
        return pl.lit(None, pl.Int32).alias("sessions_left")
    ended = frame.select(pl.when(_CLOSED).then(pl.coalesce("decided", "day")).otherwise("day"))
    last = [expiry.last_allowed(spec, contract) for contract in frame["from_contract"]]
    calendar = days.calendar(spec.calendar, spec.extra)
    left = np.busday_count(ended.to_series().to_numpy(), np.array(last, "datetime64[D]"), busdaycal=calendar)
    return pl.Series("sessions_left", left, pl.Int32)


def _within(table, calendar, part):
    """The rows of a told calendar whose rolls lie between the first and the last row of `part`.

    A roll's own row is still the contract left; after a break the row is the first of the next one.
    """
    begin, end, time = part["time"][0], part["time"][-1], pl.col("time")
    inside = pl.when(_CLOSED).then((time > begin) & (time <= end)).otherwise((time >= begin) & (time < end))
    return table.filter(calendar.frame.select(inside).to_series())


def _counted(found):
    """Numbers of the rolls themselves."""
    n, reason = found.height, found["reason"]
    matched = found.filter(~_CLOSED)["spread"].abs()
    part = lambda pattern: int(reason.str.contains(pattern).sum()) / n if n else None  # noqa: E731
    return {
        "rolls": n,
        "sessions_left_mean": found["sessions_left"].mean(),
        "sessions_left_median": found["sessions_left"].median(),
        "from_share_mean": found["from_share"].mean(),
        "from_share_median": found["from_share"].median(),
        "spread_size_mean": matched.mean(),
        "spread_size_sum": matched.sum(),
        "waited": int(reason.str.contains(", waited").sum()),
        "forced_share": part("^forced"),
        "fallback_share": part(rf"^fallback|{NO_CROSSING}|: unknown "),
        "unknown_share": part("unknown "),
        "closed": int(rolls.closed(reason).sum()),
        "sides": 2 * n,
    }


def _liquid(part, shares, chain, illiquid_below):
    """Days held, and how many of them in an illiquid contract; `chain` is how many days the chain has."""
    mine = part.select("day", "contract").join(shares, on=["day", "contract"], how="left")["share"].drop_nulls()
    idle = int((mine < illiquid_below).sum()) if len(mine) else None
    return {
        "days_held": part.height,
        "days_missing": chain - part.height,
        "days_known": len(mine),
        "illiquid_days": idle,
        "illiquid_share": idle / len(mine) if len(mine) else None,
    }


def _profit(part, found, spec):
    """The long holder's profit: the adjusted price's change, that of the unadjusted price, and the spreads."""
    marks, offsets = (part[name] for name in ("mark", "offset"))
    points = {
        "total": (marks[-1] + offsets[-1]) - (marks[0] + offsets[0]),
        "price": marks[-1] - marks[0],
        "roll": 0.0 - found["spread"].sum(),
    }
    money = {f"{name}_money": value * spec.multiplier for name, value in points.items()} if spec else {}
    return {f"{name}_points": value for name, value in points.items()} | money


def _yearly(found, first, last, side_cost):
    years = (last - first).days / YEAR
    if not years:
        return {}
    cost = {} if side_cost is None else {"cost_per_year": 2 * found.height * side_cost / years}
    return {"rolls_per_year": found.height / years} | cost


def _side_by_side(found):
    """One row a pair of contracts, with each rule's day and spread."""
    pair = ["from_contract", "to_contract"]
    empty = pl.DataFrame(schema={name: TOLD[name] for name in (*pair, "day")})
    every = pl.concat([empty, *(table.select(*pair, "day") for table in found.values())])
    out = every.group_by(pair).agg(pl.col("day").min()).sort("day", *pair).drop("day")
    for rule, table in found.items():
        mine = table.select(*pair, pl.col("day").alias(f"day {rule}"), pl.col("spread").alias(f"spread {rule}"))
        out = out.join(mine.unique(pair, keep="first"), on=pair, how="left", maintain_order="left")
    named = [f"{name} {rule}" for name in ("day", "spread") for rule in found]
    return out.select(*pair, *named)
