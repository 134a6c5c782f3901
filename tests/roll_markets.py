"""Random markets to roll, and random rules to roll them by: what the tests of calendars and series draw from."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from store.contracts import Master
from store.roll_rules import LETTERS
from store.tables import TABLES

START = date(2024, 1, 1)
DATES = ("first-notice", "last-trade", "delivery", "month-end", "month-begin")
NUMBERS = ("open", "high", "low", "close", "settle", "volume", "open_interest")


def market(seed):
    """(bars, spec) of 4 to 7 months from 202402 on, over 80 to 125 days.

    There are days without a row, rows without a price or with volume alone, outages of weeks, files cut before the last
    trade or going on after it, years with volume 0 before any was known, markets without open interest, and contracts
    of which a vendor tells the last trade and, in every second market, a first notice.
    """
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(80, 126)), int(rng.integers(4, 8))
    days = np.busday_offset(START, np.sort(rng.choice(n + 4, n, replace=False)))
    months = np.arange(np.datetime64("2024-02"), np.datetime64("2024-02") + count)
    ends = np.busday_offset(months.astype("M8[D]") + rng.integers(-8, 26, count), 0, roll="forward")
    notices = (
        np.busday_offset(ends, -rng.integers(1, 9, count)) if seed % 2 else np.full(count, np.datetime64("NaT", "D"))
    )
    frames = [_contract(rng, days, 202402 + k, end, seed) for k, end in enumerate(ends)]
    frame = _unknown(rng, pl.concat(frames), days).sample(fraction=1.0, shuffle=True, seed=seed)
    told = zip(ends.tolist(), notices.tolist(), strict=True)
    dates = tuple((202402 + k, end, notice) for k, (end, notice) in enumerate(told))
    held = LETTERS if rng.random() < 0.6 else "".join(rng.choice(list(LETTERS[1:8]), 5, replace=False))
    spec = replace(Master.load().spec("ES"), held_months=held, dates=dates, first_notice_rules=())
    return conform(frame), spec


def conform(frame):
    """Rows of `contract_bars`: a bar ends at 23:00 UTC of its day."""
    end = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23)
    same = {"source": pl.lit("test"), "root": pl.lit("ES"), "source_time": pl.col("day").cast(pl.String)}
    return TABLES["contract_bars"].conform(frame.with_columns(**same, time=end))


def rule(seed):
    """A random rule of the whole grammar, as text."""
    rng = np.random.default_rng(seed)
    pick = lambda options: options[int(rng.integers(len(options)))]  # noqa: E731
    text = _day(rng) if rng.random() < 0.3 else _activity(rng, pick)
    if rng.random() < 0.35:
        left_out = "".join(sorted(rng.choice(list("GHJKM"), 2, replace=False), key=LETTERS.index))
        text += f",months={pick(['-' + left_out, 'GJM', 'GHKMNQ', 'FHJKNUVZ'])}"
    if rng.random() < 0.3:
        text += f",exit={pick(['2', '4', 'expiry'])}"
    return text


def _activity(rng, pick):
    lag = lambda: f"@{int(rng.integers(1, 5))}" if rng.random() < 0.5 else ""  # noqa: E731
    volume, interest = f"volume{lag()}", f"oi{lag()}"
    text = pick([volume, volume, interest, interest, f"{volume}+{interest}", f"{volume}/{interest}"])
    text += f":{int(rng.integers(1, 4))}" if rng.random() < 0.6 else ""
    since, until = (_day(rng) if rng.random() < 0.3 else "" for _ in range(2))
    if since and until:  # of a date after the other activity would never count, which is refused
        since = f"last-trade-{int(rng.integers(15, 25))}"
    return text + (since and f"+{since}") + (until and f"/{until}")


def _day(rng):
    name = DATES[int(rng.integers(len(DATES)))]
    if name == "month-begin" and rng.random() < 0.5:
        return f"{name}+{int(rng.integers(1, 9))}"
    return f"{name}-{int(rng.integers(0, 12))}"


def _contract(rng, days, contract, end, seed):
    """Rows of one contract: most active about 25 days before its end, in every third market at any time."""
    n, last = len(days), int(np.searchsorted(days, end))
    begin, cut = int(rng.integers(0, n // 2)), last + int(rng.integers(-9, 4))
    if contract == 202402:
        begin = 0
    t = np.arange(n)
    alive = (t >= begin) & (t <= cut) & (rng.random(n) > 0.04)
    price = np.where(rng.random(n) > 0.06, np.round(100 + contract % 100 + rng.normal(0, 3, n), 2), np.nan)
    out = int(rng.integers(0, n))  # an outage of the vendor
    price[out : out + int(rng.integers(0, 14))] = np.nan
    settled = rng.random(n) > 0.1
    if seed % 3:
        volume = np.round(8 * np.exp(-(((t - last + 28) / 16) ** 2))) + rng.integers(0, 4, n)
        interest = np.round(9 * np.exp(-(((t - last + 24) / 14) ** 2))) + rng.integers(0, 3, n)
    else:
        volume, interest = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, n).astype(float)
    volume[rng.random(n) < 0.06] = np.nan
    interest[rng.random(n) < 0.1] = np.nan
    columns = {
        "open": price - 0.25, "high": price + 1, "low": price - 1, "close": np.where(settled, price + 0.1, price),
        "settle": np.where(settled, price, np.nan), "volume": volume, "open_interest": interest,
    }  # fmt: skip
    frame = pl.DataFrame({"day": days, "contract": np.full(n, contract)} | columns).with_columns(
        pl.col(NUMBERS).fill_nan(None)
    )
    return frame.filter(alive)


def _unknown(rng, frame, days):
    """Volume 0 before a day, open interest null before another; in some markets one of them never."""
    quiet, unknown = (days[min(int(rng.exponential(12)), len(days) - 1)] for _ in range(2))
    if rng.random() < 0.15:
        quiet = days[-1]
    if rng.random() < 0.15:
        unknown = days[-1]
    return frame.with_columns(
        pl.when(pl.col("day") > quiet).then("volume").otherwise(pl.col("volume") * 0.0).alias("volume"),
        pl.when(pl.col("day") > unknown).then("open_interest").alias("open_interest"),
    )
