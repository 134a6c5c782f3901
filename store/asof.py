"""The chain of a market as it stood at the close of a day: which contracts traded, their dates, and which one was held.

Only rows up to that day are read, with the facts of that day; a vendor's dates of single contracts go before the rules
(DOMAIN T12). A contract is in the chain from its first row to its last trade. Volume and open interest are those of its
last row, as the vendor stamps them: `last_day` tells how old they are.
"""

import numpy as np
import polars as pl

from store import days, history, rolls
from store.contracts import Master, code, first_notice, last_allowed, last_trade, with_dates

SCHEMA = {
    "code": pl.String,
    "contract": pl.Int32,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "last_trade": pl.Date,
    "first_notice": pl.Date,
    "days_to_last_allowed": pl.Int32,
    "settle": pl.Float64,
    "volume": pl.Float64,
    "open_interest": pl.Float64,
    "held": pl.Boolean,
}


def chain(archive, root, day, source=None, snapshot=None, rule=history.DEFAULT):
    """Contracts of a market at the close of `day`.

    Parameters
    ----------
    archive : Archive
    root : str
    day : date
    source : str, optional
        The one that is read first, if not given.
    snapshot : Snapshot, optional
        Version of the data; the newest, if not given.
    rule : str
        The roll rule that tells which contract was held.

    Returns
    -------
    DataFrame
        Columns `SCHEMA`, by contract; `days_to_last_allowed` counts sessions, negative once the day has passed, null
        for a market that the master does not know. A day of the roll still holds the old contract.

    Raises
    ------
    NotStored
        No dated contracts of this market are stored.
    """
    found = history.bars(archive, root, source=source, snapshot=snapshot)
    if found is None:
        raise history.NotStored(f"{root}: no dated contracts are stored")
    bars = found.read().filter(pl.col("day") <= day)
    if bars.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    spec = _spec(archive, root, day, found.snapshot)
    held = _held(bars, spec, rule, day)
    rows = [_row(row, spec, root, day, held) for row in _last_rows(bars).to_dicts()]
    return pl.DataFrame([row for row in rows if row["last_trade"] is None or row["last_trade"] >= day], SCHEMA)


def _spec(archive, root, day, snapshot):
    """Facts of that day, with vendors' dates; None for a market the master does not know."""
    master = Master.load(archive.path)
    if root not in master.roots:
        return None
    return with_dates(master.spec(root, day), archive.read("contracts", snapshot, root=root))


def _last_rows(bars):
    """The last row of each contract, with its first day; volume is the whole day's."""
    whole = pl.col("volume").sum() if bars["volume"].null_count() < bars.height else pl.col("volume").first()
    daily = (
        bars.sort("contract", "time")
        .group_by("contract", "day", maintain_order=True)
        .agg(pl.coalesce("settle", "close").last().alias("settle"), whole, pl.col("open_interest").drop_nulls().last())
    )
    first = pl.col("day").first().alias("first_day")
    return daily.group_by("contract", maintain_order=True).agg(
        first, pl.col("day").last().alias("last_day"), pl.col("settle", "volume", "open_interest").last()
    )


def _held(bars, spec, rule, day):
    """The contract held at the close of the day."""
    made = rolls.calendar(bars, spec, rule)
    past = made.frame.filter(pl.col("day") < day)
    return past["to_contract"][-1] if past.height else made.first


def _row(row, spec, root, day, held):
    contract = row["contract"]
    dates = {"last_trade": None, "first_notice": None, "days_to_last_allowed": None}
    if spec is not None:
        allowed = last_allowed(spec, contract)
        calendar = days.calendar(spec.calendar, spec.extra)
        left = int(np.busday_count(day, allowed, busdaycal=calendar))
        dates = {
            "last_trade": last_trade(spec, contract),
            "first_notice": first_notice(spec, contract),
            "days_to_last_allowed": left,
        }
    return {"code": code(root, contract), "held": contract == held} | dates | row
