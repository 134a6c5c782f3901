"""The sample store: simulated markets as dated contracts, for a first look and for tests. Nothing in it is real.

1. Every row has the source `sample`, and everything is made from one seed: the same seed gives the same bytes.
2. Contracts have the months, the last trading days, the calendars and the ticks of the contract master. Those of the
   held cycle are listed for about a year, the others for two months. A contract ends on its last trading day; those
   still alive at the end of 2024 end there.
3. Volume stays with the nearest contract until some sessions before its last allowed day, min(first notice, last trade)
   less one, and moves on within a few days; open interest follows. A row without volume has a settlement only.
4. Faults are planted, in contracts that are not held on their day: the checks are to find them, the results not to
   depend on them. A market with a planted slip of units would not be run; a decision in the log accepts it.

The world's paths are in sample_prices, contracts and bars in sample_bars, faults in sample_faults.
"""

import hashlib

import numpy as np
import polars as pl

from store import decisions, ingest, sample_faults
from store.contracts import Master
from store.days import DAY
from store.reading import Reading, daily
from store.sample_bars import Chain, bars, stream
from store.sample_prices import CURRENCIES, MARKETS, world

SEED = 20240101
SOURCE = "sample"
VERSION = 1  # a change of what is generated gets a new number; a store knows by it which sample it holds
FIELDS = ("contract", "day", "open", "high", "low", "close", "settle", "volume", "open_interest")


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
        markets, contracts, rows, accepted, warned, quarantined, planted; skipped is True, and the others 0, where this
        sample is already in the archive.
    """
    counts = dict.fromkeys(("markets", "contracts"), 0)
    name = f"sample {VERSION}, seed {seed}"
    readings = _readings(seed, counts, progress)
    report = ingest.accept(archive, readings, name, hashlib.sha256(name.encode()).hexdigest())
    _accept_slips(archive, seed)
    return counts | {
        "rows": report.rows_read,
        "accepted": report.accepted,
        "warned": report.warned,
        "quarantined": report.quarantined,
        "planted": 0 if report.skipped else len(planted(seed)),
        "skipped": report.skipped,
    }


def chains(seed=SEED):
    """(root, rows) a market, as a vendor's reader would hand them over: all contracts, faults included.

    Rows have the columns of `contract_bars`, and `file`, `line`, `raw`, `column`, `fault` (store/reading.py).
    """
    paths, master = world(seed), Master.load()
    for market in MARKETS:
        spec = master.spec(market.root)
        chain = Chain(market, spec, stream(seed, market, "chain"))
        frame = bars(market, spec, chain, paths, stream(seed, market, "bars"))
        frame = sample_faults.spoil(frame, [f for f in planted(seed) if f.root == market.root], spec.tick)
        yield market.root, _as_read(daily(frame.with_columns(root=pl.lit(market.root))), market.root, FIELDS)


def fx(seed=SEED):
    """Currencies in USD, each weekday but New Year's Day and Christmas Day."""
    paths = world(seed)
    year = paths.days.astype("datetime64[Y]")
    closed = (paths.days == year) | (paths.days == (year + np.timedelta64(1, "Y")).astype("datetime64[D]") - 7 * DAY)
    frames = []
    for currency, name in CURRENCIES.items():
        rate = np.exp(paths.lasting[:, paths.column(name)])
        rate = np.round(rate, 7 if rate[0] < 0.1 else 5)
        frames.append(_series(paths.days[~closed], currency, rate[~closed]))
    return pl.concat(frames)


def rates(seed=SEED):
    """Overnight rates on cash, each weekday [1/year]."""
    paths = world(seed)
    return pl.concat([_series(paths.days, currency, np.round(rate, 5)) for currency, rate in paths.rates.items()])


def planted(seed=SEED):
    """The faults in the sample, a tuple of `sample_faults.Fault`."""
    return sample_faults.planted(seed)


def _accept_slips(archive, seed):
    """Decide that the planted slips of units do not keep their markets from being run, unless that was decided once."""
    rule, made = "unit_slip", decisions.log(archive)
    if made.filter((pl.col("rule") == rule) & (pl.col("source") == SOURCE)).is_empty():
        roots = sorted({fault.root for fault in planted(seed) if fault.kind == rule})
        decisions.accept(archive, rule, roots, "planted in the sample", author="frontmonth", source=SOURCE)


def _readings(seed, counts, progress):
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


def _series(day, currency, rate):
    frame = pl.DataFrame({"currency": currency, "day": day, "rate": rate})
    frame = frame.with_columns(column=pl.lit(None, pl.String), fault=pl.lit(None, pl.String))
    return _as_read(frame, currency, ("day", "rate"))


def _as_read(frame, name, fields):
    """Rows with the text of the line they would be in a file."""
    texts = [pl.col(field).cast(pl.String).fill_null("") for field in fields]
    broken = pl.col("fault").str.strip_prefix(sample_faults.NOT_A_NUMBER)
    texts = [pl.when(pl.col("column") == f).then(broken).otherwise(t) for f, t in zip(fields, texts, strict=True)]
    return frame.with_columns(
        pl.lit(SOURCE).alias("source"),
        pl.col("day").cast(pl.String).alias("source_time"),
        pl.lit(f"{SOURCE}/{name}.csv").alias("file"),
        pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias("line"),
        pl.concat_str(texts, separator=",").alias("raw"),
    )
