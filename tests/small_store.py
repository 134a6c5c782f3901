"""A store of two markets, made by hand: MES in dollars and FGBL in euro, quarterly contracts, one price path each."""

import shutil
from datetime import date, timedelta

import numpy as np
import polars as pl

from store import open_archive
from store.contracts import Master, last_trade

START, END = date(2021, 1, 4), date(2022, 12, 30)
QUARTERS = [year * 100 + month for year in (2021, 2022, 2023) for month in (3, 6, 9, 12)]


def sessions(start=START, end=END):
    """Weekdays."""
    every = (start + timedelta(days=k) for k in range((end - start).days + 1))
    return [day for day in every if day.weekday() < 5]


def bars(root, level, seed, gap=2.0, until=END):
    """Contract bars of `root`: each contract costs `gap` more than the last; volume moves ten days before the end."""
    spec = Master.load().spec(root)
    days = sessions(end=until)
    rng = np.random.default_rng(seed)
    spot = level + np.cumsum(rng.normal(size=len(days)) * level * 0.01)
    rows = []
    for k, contract in enumerate(QUARTERS):
        end = last_trade(spec, contract)
        for t, day in enumerate(days):
            if end - timedelta(days=270) <= day <= end:
                left = (end - day).days
                price = round(spot[t] + gap * k, 2)
                volume = 1000.0 if 10 < left <= 100 else 100.0
                rows.append((contract, day, price + 0.25, price + 1.0, price - 1.0, None, price, volume, 5000.0))
    names = ("contract", "day", "open", "high", "low", "close", "settle", "volume", "open_interest")
    frame = pl.DataFrame(
        rows, schema=dict(zip(names, (pl.Int32, pl.Date, *[pl.Float64] * 7), strict=True)), orient="row"
    )
    end_of_bar = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=23)
    return frame.with_columns(time=end_of_bar, source_time=pl.col("day").cast(pl.String))


def fx(rates, days=None):
    """Rates of the euro: one a session, or on the days given."""
    days = days or sessions()
    rates = np.broadcast_to(rates, len(days))
    return pl.DataFrame({"day": days, "rate": rates, "source_time": [str(day) for day in days]})


def build(path, euro=1.10, euro_days=None, **changes):
    """A store with both markets and the euro; returns it open."""
    archive = open_archive(path, create=True)
    parts = [
        archive.write("contract_bars", bars("MES", 4000.0, 1, **changes), source="barchart", root="MES"),
        archive.write("contract_bars", bars("FGBL", 170.0, 2, gap=0.5), source="barchart", root="FGBL"),
        archive.write("fx", fx(euro, euro_days), source="pysystemtrade", currency="EUR"),
    ]
    archive.commit(parts)
    return archive


def forget(archive):
    """Nothing is kept of the markets that were loaded; what they were made of is."""
    shutil.rmtree(archive.cache / "markets", ignore_errors=True)
