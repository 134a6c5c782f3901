"""The sample store: simulated markets as dated contracts, for a first look and for tests. Nothing in it is real.

1. Every row has the source `sample`, and everything is made from one seed: the same seed gives the same bytes.
2. Contracts have the months, the last trading days, the calendars and the ticks of the contract master; held months are
   listed `life` months, the others four. The last bar of a contract is its last trade, but for those still alive at the end.
3. Volume stays with the nearest contract until some sessions before its last allowed day, min(first notice, last trade)
   less one, and moves on within a few days; open interest follows. A row without volume has a settlement only.
4. Faults are planted (`planted`), all in contracts that nobody holds on that day by a sensible rule: the checks are to
   find them, the results not to depend on them.

The prices behind it: store/sample_prices.py.
"""

import hashlib
from decimal import Decimal

import numpy as np
import polars as pl

from store import days, ingest
from store.contracts import Master, last_allowed, last_trade
from store.reading import Reading, daily
from store.sample_faults import planted, spoil
from store.sample_prices import CURRENCIES, END, MARKETS, START, season, world
from store.tables import TABLES

__all__ = ["SEED", "SOURCE", "build", "chains", "fx", "planted", "rates"]

SEED = 20240101
SOURCE = "sample"
VERSION = 1  # a change of what is generated gets a new number: stores know theirs by it
SERIAL = 4  # months for which a contract outside the held cycle is listed
PACE = 1.2  # how fast volume moves from one contract to the next: quarter to three quarters in 2.2 times this [sessions]
BARS = ("open", "high", "low", "close", "settle", "volume", "open_interest")


def build(archive, seed=SEED, progress=None):
    """Write the sample into an archive through the normal import.

    Parameters
    ----------
    archive : Archive
    seed : int
    progress : callable(done, total, name), optional

    Returns
    -------
    dict
        markets, contracts, rows, accepted, warned, quarantined, planted, skipped (True: this sample is already there).
    """
    counts = {"markets": 0, "contracts": 0, "planted": 0}

    def readings():
        for done, (root, frame) in enumerate(chains(seed)):
            if progress:
                progress(done, len(MARKETS), root)
            counts["markets"] += 1
            counts["contracts"] += frame["contract"].n_unique()
            yield Reading("contract_bars", SOURCE, root, frame)
        for table, frame in (("fx", fx(seed)), ("rates", rates(seed))):
            for (currency,), part in frame.group_by("currency", maintain_order=True):
                yield Reading(table, SOURCE, currency, part)
        if progress:
            progress(len(MARKETS), len(MARKETS), "commit")

    name = f"sample-{VERSION}-{seed}"
    report = ingest.accept(archive, readings(), name, hashlib.sha256(name.encode()).hexdigest())
    counts["planted"] = 0 if report.skipped else len(planted(seed))
    return counts | {
        "rows": report.rows_read,
        "accepted": report.accepted,
        "warned": report.warned,
        "quarantined": report.quarantined,
        "skipped": report.skipped,
    }


def chains(seed=SEED):
    """(root, rows) a market, as a vendor's reader would hand them over: all contracts, faults included.

    Rows have the columns of `contract_bars` and `file`, `line`, `raw`, `column`, `fault` (see store/reading.py).
    """
    paths = world(seed)
    master = Master.load()
    faults = planted(seed)
    for number, market in enumerate(MARKETS):
        spec = master.spec(market.root)
        random = np.random.default_rng((seed, number))
        frame = _bars(market, spec, Chain(market, spec, seed), paths, random)
        frame = spoil(frame, [f for f in faults if f.root == market.root], spec)
        yield market.root, _as_read(frame, market.root)


def fx(seed=SEED):
    """Currencies in USD, each weekday but New Year's Day and Christmas Day."""
    paths = world(seed)
    frames = []
    for currency, name in CURRENCIES.items():
        rate = np.exp(paths.lasting[:, paths.column(name)])
        digits = 7 if rate[0] < 0.1 else 5
        frames.append(_series(paths.days, currency, np.round(rate, digits), "fx"))
    day = pl.col("day").dt
    closed = ((day.month() == 1) & (day.day() == 1)) | ((day.month() == 12) & (day.day() == 25))
    return pl.concat(frames).filter(~closed)


def rates(seed=SEED):
    """Overnight rates on cash, each weekday [1/year]."""
    paths = world(seed)
    return pl.concat([_series(paths.days, c, np.round(rate, 5), "rates") for c, rate in paths.rates.items()])


def _series(day, currency, rate, table):
    frame = pl.DataFrame({"day": day, "rate": rate}).with_columns(
        pl.lit(SOURCE).alias("source"), pl.lit(currency).alias("currency"), pl.col("day").cast(pl.String).alias("source_time")
    )
    raw = pl.concat_str(pl.col("source_time"), pl.col("rate").cast(pl.String), separator=",")
    return TABLES[table].conform(frame).with_columns(
        pl.lit(f"{SOURCE}/{currency}.csv").alias("file"),
        pl.Series("line", np.arange(2, len(day) + 2)),
        raw=raw if table == "fx" else pl.lit(""),
        column=pl.lit(None, pl.String),
        fault=pl.lit(None, pl.String),
    )
