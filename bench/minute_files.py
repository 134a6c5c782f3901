"""Made minute bars shaped like real ones, as files that a vendor would send: by market and year, or by contract.

Markets are ones that the master knows. On each trade date the nearest `ALIVE` contracts of the held cycle trade, in the
hours of the exchange with their breaks. A minute without a trade has no row: the nearest contract has one in most
minutes of the day's hours and in some of the night's, the contracts behind it in few, until the volume moves on before
the last trade. All contracts of a market move together, apart by a carry. The same seed gives the same files.

    parquet     ES_2024.parquet    root, contract, time (end, UTC), open, high, low, close, volume; in order of time
    firstrate   ESH24.txt          FirstRate's text: New York's clock, start of the bar, one file a contract
    one         all.parquet        the first of these as one file, market by market
    text        all.csv            the same as one text with a column of codes, by `SECTION` of vendors.toml
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from store import days
from store.codes import MONTHS, months_of
from store.contracts import Master
from store.expiry import last_trades

ROOTS = ("ES", "ZN", "CL", "GC", "ZC", "6E", "NQ", "NG", "ZS", "SI", "ZB", "6J", "HG", "ZW", "ZF", "6B", "LE", "RB",
         "ZT", "HE")  # fmt: skip
LAYOUTS = ("parquet", "firstrate", "one", "text")
SECTION = """
[made]
file = '(?P<root>[a-z]+)[.]csv'
date = "%Y-%m-%d %H:%M"
timezone = "America/Chicago"
session_start = "17:00"
symbol = "symbol"
last_is = "close"
columns = { time = "end", open = "open", high = "high", low = "low", last = "close", volume = "volume" }
"""
FIRST = date(2009, 1, 2)
ALIVE = 3  # contracts that trade on a day
BUSY = np.array([0.97, 0.5, 0.15])  # share of the day's minutes with a trade: the busiest contract, the next, the third
NIGHT = 0.55  # of that, outside the day's hours
HOURS = (7.5, 15.5)  # the day's, by the exchange's clock
LEAVES = 8.0  # trading days before the last trade on which half of the volume has moved on
LEVELS = {"ES": 4000, "NQ": 14000, "ZN": 112, "ZB": 125, "ZF": 108, "ZT": 104, "CL": 70, "NG": 3, "GC": 1800, "SI": 22,
          "HG": 3.8, "ZC": 480, "ZS": 1250, "ZW": 580, "6E": 1.1, "6J": 0.0075, "6B": 1.28, "LE": 165, "HE": 85,
          "RB": 2.2}  # fmt: skip
HOLES = 0.02  # share of the days with a hole of five minutes to two hours
MINUTE = np.timedelta64(60_000_000, "us")
CHUNK = 250  # trade dates made at once


@dataclass(frozen=True)
class Shape:
    """How many rows of how many markets; the rows are exact, the time they cover follows."""

    rows: int
    markets: int
    seed: int = 1

    @classmethod
    def of(cls, rows, seed=1):
        """As many markets as a store of so many rows would have: 4 of a million, 20 of a hundred million."""
        return cls(rows, int(np.clip(round(4 * (rows / 1e6) ** 0.35), 1, len(ROOTS))), seed)

    def shares(self):
        """Rows of each market, as many as its sessions are long, so that all cover the same years."""
        roots = ROOTS[: self.markets]
        cuts = np.cumsum([0, *(_length(Master.load().spec(root)) for root in roots)])
        cuts = (self.rows * cuts / cuts[-1]).astype(int)
        return dict(zip(roots, np.diff(cuts).tolist(), strict=True))


def _length(spec):
    """Seconds of a session of a market, without its breaks."""
    return sum((closes - opens).total_seconds() for opens, closes in days.parts(spec, FIRST))


def write(folder, shape, layout="parquet"):
    """The files of a shape; their paths, sorted."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    for number, (root, rows) in enumerate(shape.shares().items()):
        _write(folder, root, market(root, rows, np.random.default_rng([shape.seed, number])), layout)
    files = sorted(folder.iterdir())
    if layout in ("one", "text"):
        _joined(files, folder / ("all.parquet" if layout == "one" else "all.csv"))
    return sorted(folder.iterdir())


def _joined(files, target):
    """All of the Parquet files as one file."""
    rows = pl.scan_parquet(files, glob=False)
    if target.suffix == ".parquet":
        rows.sink_parquet(target)
    else:
        letters = dict(enumerate(MONTHS, 1))
        letter = (pl.col("contract") % 100).cast(pl.Int32).replace_strict(letters, return_dtype=pl.String)
        year = (pl.col("contract") // 100 % 100).cast(pl.String).str.zfill(2)
        stamp = pl.col("time").dt.convert_time_zone("America/Chicago").dt.strftime("%Y-%m-%d %H:%M").alias("end")
        code = pl.concat_str("root", letter, year).alias("symbol")
        rows.select(code, stamp, "open", "high", "low", "close", "volume").sink_csv(target)
    for file in files:
        file.unlink()


def market(root, rows, rng, first=FIRST):
    """Yields frames of bars in the order of time, together so many rows: contract, time, day and prices."""
    spec, left, first = Master.load().spec(root), rows, np.datetime64(first, "D")
    contracts = _contracts(spec, FIRST.year, FIRST.year + 40)
    price = LEVELS[root] / spec.tick
    while left > 0:
        dates = np.busday_offset(first, np.arange(CHUNK), roll="forward", busdaycal=days.calendar(spec.calendar))
        frame, price = _chunk(spec, contracts, dates, price, rng)
        frame = frame.head(left)
        left, first = left - len(frame), dates[-1] + np.timedelta64(1, "D")
        yield frame


def _contracts(spec, first, last):
    """(YYYYMM, last trade) of the held cycle, in order."""
    months = np.array([y * 100 + m for y in range(first, last) for m in sorted(months_of(spec.held_months))], np.int32)
    return months, last_trades(spec, months).astype("datetime64[D]")


def _chunk(spec, contracts, dates, price, rng):
    """Bars of some trade dates, and the price [ticks] after them."""
    parts = [_day(spec, contracts, day, rng) for day in dates]
    minutes, day = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    step = rng.standard_t(4, len(minutes)) * price * 0.00018
    path = np.maximum(price + np.cumsum(step), 50.0)
    before = np.append(price, path[:-1])
    frames = []
    for rank in range(ALIVE):
        contract, busy = (np.concatenate([part[k][:, rank] for part in parts]) for k in (2, 3))
        rows = np.flatnonzero(rng.random(len(minutes)) < busy)
        carry = np.round(0.002 * path[0]) * rank
        opens, closes = (np.round(x[rows] + carry) for x in (before, path))
        wick = rng.geometric(0.5, (2, len(rows))) - 1
        frames.append(
            pl.DataFrame(
                {
                    "contract": contract[rows],
                    "time": minutes[rows],
                    "day": day[rows],
                    "open": opens,
                    "high": np.maximum(opens, closes) + wick[0],
                    "low": np.maximum(np.minimum(opens, closes) - wick[1], 1),
                    "close": closes,
                    "volume": np.ceil(rng.pareto(2.0, len(rows)) * 400 * busy[rows] ** 2) + 1,
                }
            )
        )
    ticks = pl.col("open", "high", "low", "close")
    made = pl.concat(frames).sort("time", "contract").with_columns((ticks * spec.tick).round(8))
    return made.with_columns(pl.col("time").dt.replace_time_zone("UTC")), float(path[-1])


def _day(spec, contracts, day, rng):
    """(ends of the minutes, their day, contracts of each, share of minutes with a trade) of one trade date."""
    months, ends = contracts
    hours = days.parts(spec, day.item())
    minutes = np.concatenate([np.arange(_utc(opens) + MINUTE, _utc(closes) + 1, MINUTE) for opens, closes in hours])
    alive = np.searchsorted(ends, day) + np.arange(ALIVE)
    left = max(np.busday_count(day, ends[alive[0]]), 0)
    moved = 1.0 / (1.0 + np.exp((left - LEAVES) / 1.5))  # share of the volume that has gone to the next contract
    usual = np.array([BUSY[0] * (1 - moved) + BUSY[1] * moved, BUSY[1] * (1 - moved) + BUSY[0] * moved, BUSY[2]])
    clock = (minutes - day).astype("timedelta64[us]").astype(np.int64) / 3.6e9 + _offset(spec, day)
    awake = np.where((clock % 24 >= HOURS[0]) & (clock % 24 <= HOURS[1]), 1.0, NIGHT * rng.uniform(0.6, 1.2))
    if rng.random() < HOLES:  # the feed was silent
        begin = rng.integers(len(minutes))
        awake[begin : begin + rng.integers(5, 120)] = 0.0
    shape = len(minutes), ALIVE
    return (
        minutes,
        np.full(len(minutes), day),
        np.broadcast_to(months[alive], shape),
        np.minimum(awake[:, None] * usual, 1.0),
    )


def _utc(moment):
    return np.datetime64(moment.replace(tzinfo=None), "us")


def _offset(spec, day):
    """Hours by which the exchange's clock is before UTC at noon, below zero west of it."""
    noon = datetime.combine(day.item(), time(12), ZoneInfo(spec.timezone))
    return noon.utcoffset().total_seconds() / 3600


def _write(folder, root, frames, layout):
    """The files of one market, of frames in the order of time; a year or contract is written when it is over."""
    held = None
    for frame in frames:
        held = frame if held is None else pl.concat([held, frame])
        held = _finished(folder, root, held, layout, last=False)
    _finished(folder, root, held, layout, last=True)


def _finished(folder, root, held, layout, last):
    """Write what is over; the rest."""
    by = pl.col("contract") if layout == "firstrate" else pl.col("time").dt.year()
    held = held.with_columns(by.alias("part"))
    alive = set() if last else set(held.filter(pl.col("day") == held["day"].max())["part"])
    for (part,), rows in held.partition_by("part", as_dict=True, maintain_order=True, include_key=False).items():
        if part not in alive:
            (_firstrate if layout == "firstrate" else _parquet)(folder, root, part, rows)
    return held.filter(pl.col("part").is_in(list(alive))).drop("part")


def _parquet(folder, root, year, rows):
    rows.select(pl.lit(root).alias("root"), pl.exclude("day")).write_parquet(folder / f"{root}_{year}.parquet")


def _firstrate(folder, root, contract, rows):
    start = (pl.col("time") - pl.duration(minutes=1)).dt.convert_time_zone("America/New_York")
    rows = rows.select(
        start.dt.strftime("%Y-%m-%d %H:%M:%S"), "open", "high", "low", "close", pl.col("volume").cast(int)
    )
    name = f"{root}{MONTHS[contract % 100 - 1]}{contract // 100 % 100:02}.txt"
    rows.write_csv(folder / name, include_header=False)
