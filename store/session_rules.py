"""Rules on when bars are: sessions of the market, the life of a contract, the clock of bars within the day."""

import numpy as np
import polars as pl

from store import days
from store.activity_rules import BUSY
from store.expiry import last_trade
from store.series import none, once_a_day, told

HABIT = 5  # days without a session on which a market may trade before its calendar is doubted
RUNS = 20  # of missing sessions before the calendar is doubted
WEEKS = 4  # of bars within the day before their clock is judged
HOURS = 24
WRONG = 1.0  # hours of the day that a week has too many or too few before its clock is doubted
CURED = 0.35  # share of them that may be left after the clock is put right
SAME_HOURS = 0.25  # share of its hours that a shifted week may have more or less than the others
SILENT = 0.3  # share of a week's days on which an hour that the shift leaves behind may have bars
ENOUGH = (3, 12)  # days, and hours with a bar on them, that a week needs to be judged


def after_last_trade(bars, spec):
    """Bars after the contract's last trading day, told once a contract. Exchanges move days by notice (T12)."""
    if spec is None:
        return none(bars)
    late = _late(bars, spec)
    rows = late.group_by("contract", "end").agg(pl.len().alias("bars"), pl.col("day").min()).sort("contract")
    return told(rows, "day", "day", pl.format("bars after the last trading day {}: {}", "end", "bars"))


def oi_after_expiry(bars, spec):
    """Open interest more than one session after the last trading day, told once a contract: many vendors stamp it a
    day late."""
    if spec is None:
        return none(bars)
    late = _late(bars, spec).filter(pl.col("open_interest") > 0)
    if late.is_empty():
        return none(bars)
    calendar = days.calendar(spec.calendar, spec.extra)
    after = np.busday_count(late["end"].to_numpy(), late["day"].to_numpy(), busdaycal=calendar)
    rows = late.with_columns(pl.Series("after", after)).filter(pl.col("after") > 1)
    rows = rows.group_by("contract", maintain_order=True).agg(pl.all().first(), pl.len().alias("bars"))
    reason = pl.format("open interest on {} days after the last trading day {}", "bars", "end")
    return told(rows, "open_interest", "open_interest", reason)


def _late(bars, spec):
    ends = {contract: last_trade(spec, contract) for contract in bars["contract"].unique()}
    end = pl.col("contract").replace_strict(ends, return_dtype=pl.Date)
    return bars.with_columns(end.alias("end")).filter(pl.col("day") > pl.col("end"))


def before_listing(bars, spec):
    """Bars before the market's own first day, told once: they are the full-size contract's."""
    rows = bars.filter(pl.col("day") < pl.col("listed")).select(
        pl.lit(None, pl.Int32).alias("contract"), pl.col("day").min(), pl.len().alias("bars"), "listed"
    ).head(1)  # fmt: skip
    return told(rows, "day", "bars", pl.format("bars before the market's first day {}", "listed"))


def no_session(bars, spec):
    """Trade on a day without a session, told once a day; once in all, if the market does so habitually: then the
    calendar is not that of these prices."""
    if spec is None:
        return none(bars)
    calendar = days.calendar(spec.calendar, spec.extra)
    closed = ~np.is_busday(bars["day"].to_numpy(), busdaycal=calendar)
    rows = once_a_day(bars.filter(pl.Series(closed) & (pl.col("volume") > 0)), pl.col("volume").sum())
    known = bars.filter(pl.col("volume") > 0)["day"]
    closures = _closures(known.min(), known.max(), calendar) if len(rows) else 0
    if rows.height > max(HABIT, closures / 2):
        reason = f"traded on {rows.height} of {closures} days on which {spec.calendar} has no session: not its calendar"
        return told(rows.tail(1), "day", pl.lit(rows.height), pl.lit(reason))
    return told(rows, "day", "volume", pl.format("a day without a session, but {} of its contracts traded", "bars"))


def _closures(first, last, calendar):
    """Weekdays without a session from `first` to `last`."""
    first, last = np.datetime64(first, "D"), np.datetime64(last, "D") + days.DAY
    return int(np.busday_count(first, last) - np.busday_count(first, last, busdaycal=calendar))


def gap(bars, spec):
    """Sessions of the market on which a contract that is usually busy has no bar. A session is a day on which any
    contract traded, or has a bar on a session of the calendar."""
    held = bars.group_by("day").agg((pl.col("volume") > 0).any().fill_null(False).alias("traded")).sort("day")
    if spec is not None:
        calendar = days.calendar(spec.calendar, spec.extra)
        open_ = pl.Series(np.is_busday(held["day"].to_numpy(), busdaycal=calendar))
        held = held.with_columns(pl.col("traded") | open_)
    sessions = held.filter("traded")["day"]
    number = pl.DataFrame({"day": sessions, "session": np.arange(len(sessions))})
    rows = bars.join(number, on="day").sort("contract", "day")
    missing = (pl.col("session").diff().over("contract") - 1).alias("missing")
    rows = rows.with_columns(missing).filter((pl.col("missing") > 0) & (pl.col("usual_volume") > BUSY))
    return told(rows, "day", "day", pl.format("sessions of the market missing before it: {}", "missing"))


def missing_session(bars, spec):
    """Sessions of the calendar on which no contract of the market has a bar, told once a run of them; once in all where
    there are more than `RUNS`: then the calendar is not that of these prices, or the vendor's days are not all."""
    if spec is None:
        return none(bars)
    held = bars["day"].unique().sort().to_numpy().astype("datetime64[D]")
    calendar = days.calendar(spec.calendar, spec.extra)
    lacking = np.busday_count(held[:-1] + days.DAY, held[1:], busdaycal=calendar)
    at = np.flatnonzero(lacking > 0)
    schema = {"contract": pl.Int32, "day": pl.Date, "lacking": pl.Int64}
    rows = pl.DataFrame({"contract": None, "day": held[at + 1], "lacking": lacking[at]}, schema)
    if rows.height > RUNS:
        reason = f"{lacking.sum()} sessions of {spec.calendar} without any bar: not its calendar, or not all its days"
        return told(rows.tail(1), "day", pl.lit(int(lacking.sum())), pl.lit(reason))
    return told(rows, "day", "lacking", pl.format("sessions without any bar before it: {}", "lacking"))


def time_shift(bars, spec):
    """Weeks in which bars within the day stand whole hours beside where they usually are, or all of them do.

    Compared are the hours of the exchange's clock that have bars: in a wrong time zone the break before a session is
    filled and another hour is silent. A week is told apart by the other weeks, told once a run of weeks; the whole by
    the session's start.
    """
    if spec is None or bars.is_empty():
        return none(bars)
    weeks, share = _clock(bars, spec.timezone)  # of each week that can be judged its first stored day
    if len(weeks) < WEEKS:
        return none(bars)
    usual = np.median(share, axis=0)
    shifts = np.array([_shift(week, usual) for week in share])
    starts = np.flatnonzero((shifts != 0) & (np.diff(shifts, prepend=0) != 0))
    runs = [(weeks[k], int(shifts[k]), int(np.argmin(np.append(shifts[k:] == shifts[k], False)))) for k in starts]
    found = [(day, f"{by:+d} h", f"{_weeks(n)} {by:+d} hours beside the others") for day, by, n in runs]
    found += _whole(usual, spec, bars["day"].min())
    rows = pl.DataFrame(found, {"day": pl.Date, "by": pl.String, "why": pl.String}, orient="row")
    return told(rows.with_columns(pl.lit(None, pl.Int32).alias("contract")), "time", "by", pl.col("why"))


def _weeks(count):
    return "1 week stands" if count == 1 else f"{count} weeks stand"


def _clock(bars, timezone):
    """(first stored day of each week, share of its days that have a bar in each hour of the exchange's clock); a week
    with few of them is left out."""
    local = (pl.col("time") - pl.duration(seconds=1)).dt.convert_time_zone(timezone)
    hours = bars.select("day", local.dt.hour().alias("hour")).unique()
    hours = hours.with_columns(pl.col("day").dt.truncate("1w").alias("week"))
    days_, hours_ = ENOUGH
    enough = (pl.col("day").n_unique().over("week") >= days_) & (pl.len().over("week") >= hours_)
    hours = hours.filter(enough).with_columns(pl.col("day").min().over("week").alias("first"))
    counts = hours.group_by("first", "hour").len()
    table = counts.pivot("hour", index="first", values="len").sort("first").fill_null(0)
    share = np.zeros((table.height, HOURS))
    for hour in counts["hour"].unique():
        share[:, hour] = table[str(hour)].to_numpy()
    return table["first"].to_list(), share / np.maximum(share.max(axis=1, keepdims=True), 1)


def _shift(week, usual):
    """Hours by which a week stands late (early, if negative); 0 where putting them back would not cure it."""
    wrong = np.abs(week - usual).sum()
    more = abs(week.sum() - usual.sum())  # a clock that is wrong does not change how many hours have bars
    if wrong < WRONG or more > max(WRONG, SAME_HOURS * usual.sum()):
        return 0
    left = [np.abs(np.roll(week, -by) - usual).sum() for by in range(-11, 13)]
    best = int(np.argmin(left))
    by = best - 11
    behind = (usual > 0.5) & (np.roll(usual, by) < 0.1)  # usually busy, and silent if the week is late by as much
    kept = week[behind].mean() if behind.any() else 0.0
    return by if left[best] < CURED * wrong and kept < SILENT else 0


def _whole(usual, spec, first):
    """All bars stand beside the session if the hour before its start is busy and the longest silence ends elsewhere."""
    start = int(spec.session_start[:2])
    silent = usual < 0.1
    if usual[(start - 1) % HOURS] < 0.5 or not silent.any():
        return []
    lengths = [next((n for n in range(HOURS) if not silent[(hour - 1 - n) % HOURS]), 0) for hour in range(HOURS)]
    by = (int(np.argmax(lengths)) - start + 12) % HOURS - 12
    return (
        [(first, f"{by:+d} h", f"the session seems to start {by:+d} hours beside {spec.session_start}")] if by else []
    )
