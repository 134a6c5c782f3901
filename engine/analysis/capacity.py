"""How large a run was for its markets: against what they trade, what is open in them, and with how much capital.

Volume is the mean of the last 20 bars of the contract held, as known at the close; open interest that contract's.
Where neither is known a day is left out, never taken as 0. Volume of the contract rolled into is often less than that
of the one held: rolls near expiry are slower than this says.
"""

import numpy as np
import polars as pl

from engine.analysis.activity import notional
from engine.analysis.daily import Daily, by_market, codes, rows_of

PART = 0.1  # share of a day's volume that one may be
SURE = 0.95  # share of the fills that the capital keeps to it
CAPACITY = {
    "market": pl.String,
    "contracts": pl.Float64,  # held at most, net [contracts]
    "volume": pl.Float64,  # median of a day while held [contracts]
    "open_interest": pl.Float64,  # the same [contracts]
    "of_volume": pl.Float64,  # mean of contracts held over volume [fraction]
    "of_volume_most": pl.Float64,  # the most of it [fraction]
    "of_open_interest": pl.Float64,  # mean of contracts held over open interest [fraction]
    "of_open_interest_most": pl.Float64,  # the most of it [fraction]
    "days_to_leave": pl.Float64,  # to sell all, at `part` of the volume a day: mean [days]
    "days_to_leave_most": pl.Float64,  # the most [days]
    "traded": pl.Float64,  # mean of what a day traded of one contract over volume [fraction]
    "traded_most": pl.Float64,  # the most of it [fraction]
    "capital": pl.Float64,  # with which a share SURE of its days' trades stay within `part` [account currency]
}


def capacity(run, market, part=PART, sure=SURE):
    """Size of positions and trades of each market against its volume and open interest.

    Parameters
    ----------
    run : RunResult
    market : Market
        That of the run.
    part : float
        Share of a day's volume that one may be. [fraction]
    sure : float
        Share of the days with a trade that `capital` keeps to it. [fraction]

    Returns
    -------
    DataFrame
        Columns CAPACITY, the smallest capital first; null where volume or open interest is not known.

    The capital is that of the day times `part` over the share of the volume that was traded, of which the lower
    quantile 1 - sure is told: sizes in proportion to capital reach it there. Where they do not follow the capital
    (whole contracts of a small account, fixed sizes) it is a guess.
    """
    for name, value in (("part", part), ("sure", sure)):
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name} = {value!r}: allowed is a share above 0 and up to 1")
    daily = Daily.of(run)
    held = _held(run, market).with_columns(
        of_volume=pl.col("contracts") / pl.col("volume"), of_open=pl.col("contracts") / pl.col("open_interest")
    )
    of_volume, of_open = pl.col("of_volume"), pl.col("of_open")
    found = held.group_by("market").agg(
        pl.col("contracts").max(),
        pl.col("volume", "open_interest").median(),
        of_volume=of_volume.mean(),
        of_volume_most=of_volume.max(),
        of_open_interest=of_open.mean(),
        of_open_interest_most=of_open.max(),
        days_to_leave=of_volume.mean() / part,
        days_to_leave_most=of_volume.max() / part,
    )
    share = pl.col("contracts") / pl.col("volume")
    traded = (
        _traded(run, market, daily)
        .group_by("market")
        .agg(
            traded=share.mean(),
            traded_most=share.max(),
            capital=(pl.col("capital") * part / share).quantile(1.0 - sure, "linear"),
        )
    )
    found = found.join(traded, on="market", how="full", coalesce=True)
    return found.select(*CAPACITY).cast(CAPACITY).sort("capital", "market", nulls_last=True)


def _held(run, market):
    """Contracts held, without sign, by market and day, with volume and open interest of the contract of the day."""
    positions = by_market(run.positions())
    held = positions.group_by("day", "market").agg(pl.col("contracts").sum().abs()).filter(pl.col("contracts") > 0.0)
    return _with_volumes(held, market)


def _traded(run, market, daily):
    """Contracts traded, without sign, by day and contract, with volumes, and the capital of the day."""
    fills = notional(run, market)
    traded = fills.group_by("day", "market", "contract").agg(pl.col("contracts").abs().sum())
    capital = daily.base[rows_of(daily.days, traded["day"]) - 1]
    traded = traded.with_columns(capital=pl.Series(capital).fill_nan(None))
    return _with_volumes(traded, market)


def _with_volumes(frame, market):
    column = codes(frame["market"], market.names)
    frame = frame.with_columns(pl.col("market").cast(pl.String))
    row = np.searchsorted(market.days, frame["day"].to_numpy().astype("datetime64[D]"))
    told = {"volume": market.liquidity, "open_interest": market.open_interest}
    known = {name: np.where(values[row, column] > 0.0, values[row, column], np.nan) for name, values in told.items()}
    return frame.with_columns(**{name: pl.Series(values).fill_nan(None) for name, values in known.items()})
