"""The real palladium contracts as our bars: they have open interest, and faults that nobody planted."""

import polars as pl

from store.tables import TABLES


def bars(shared):
    """All contracts; `shared` is the folder of the real data."""
    path = shared / "percontract_oi" / "PA_master.csv.gz"
    whole = lambda name: pl.col(name).cast(pl.Float64).cast(pl.Int32)  # noqa: E731
    number = {"open": "open", "high": "high", "low": "low", "settle": "close", "volume": "volume",
              "open_interest": "openInterest"}  # fmt: skip
    frame = pl.read_csv(path, infer_schema=False).filter(pl.col("symbol").is_not_null()).select(
        contract=whole("expire_Year") * 100 + whole("expire_Month"),
        day=pl.date(whole("tradingYear"), whole("tradingMonth"), whole("tradingDay_Day")),
        **{ours: pl.col(theirs).cast(pl.Float64) for ours, theirs in number.items()},
    )  # fmt: skip
    time = pl.col("day").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=23)
    frame = frame.with_columns(source=pl.lit("percontract"), root=pl.lit("PA"), time=time)
    return TABLES["contract_bars"].conform(frame)
