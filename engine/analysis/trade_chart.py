"""A trade on the bars of its market: the contracts that were held or would have been, its fills, its stop, its rolls.

Prices are those of the contracts; a price and the `offset` of its row are the price in the adjusted frame, in which a
roll is no jump. What is told of the days around the trade is of the same market by the same roll rule.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

AROUND = 20  # bars before the entry and after the exit
BARS = {
    "day": pl.Date,
    "contract": pl.Int32,  # YYYYMM
    "open": pl.Float64,  # [points]
    "high": pl.Float64,
    "low": pl.Float64,
    "mark": pl.Float64,  # settlement, else the last trade [points]
    "offset": pl.Float64,  # adjusted - contract price [points]
    "held": pl.Boolean,  # from the day of entry to that of exit
}
ROLLS = {
    "day": pl.Date,
    "contract": pl.Int32,  # rolled out of, YYYYMM
    "price": pl.Float64,  # of it [points]
    "next_contract": pl.Int32,  # rolled into
    "next_price": pl.Float64,  # [points]
    "offset": pl.Float64,  # of the contract rolled out of; of the next one it is less by what that costs more [points]
    "held": pl.Boolean,  # whether the trade rolled: after its entry and not after its exit
}


class TradeChart(NamedTuple):
    """What a picture of a trade shows."""

    bars: pl.DataFrame  # columns BARS
    rolls: pl.DataFrame  # columns ROLLS
    stop: float  # protective stop at the entry, nan where there was none or it is not known [adjusted points]
    entry_offset: float  # of the row of the entry, and of that of the exit [points]
    exit_offset: float


def trade_chart(run, market, trade, around=AROUND):
    """The bars of a trade's market from some before its entry to some after its exit.

    Parameters
    ----------
    run : RunResult
    market : Market
        That of the run, of its days alone or with its history.
    trade : dict
        A row of `run.trades()`.
    around : int
        Bars before the entry and after the exit, as far as there are any. [bars]

    Returns
    -------
    TradeChart
    """
    m = market.names.index(trade.get("market", trade["root"]))
    days = market.days.astype("datetime64[D]")
    ends = (trade["entry_day"], trade["exit_day"] or days[-1].item())
    entry, exit_ = (int(row) for row in np.searchsorted(days, np.array(ends, "datetime64[D]")))
    there = np.flatnonzero(~np.isnan(market.mark[:, m]))
    first, last = np.searchsorted(there, [entry, exit_ + 1])
    rows = there[max(first - around, 0) : last + around]
    rolls = rows[market.roll[rows, m]]
    bars = {name: getattr(market, name)[rows, m] for name in BARS if name not in ("day", "held")}
    legs = {"contract": market.contract, "price": market.roll_from, "next_contract": market.roll_contract}
    legs |= {"next_price": market.roll_to, "offset": market.offset}
    return TradeChart(
        pl.DataFrame({"day": days[rows]} | bars | {"held": (rows >= entry) & (rows <= exit_)}).cast(BARS),
        pl.DataFrame(
            {"day": days[rolls]}
            | {name: values[rolls, m] for name, values in legs.items()}
            | {"held": (rolls >= entry) & (rolls < exit_ + bool(trade.get("open")))}
        ).cast(ROLLS),
        _stop(run, market, trade, entry, m),
        float(market.offset[entry, m]),
        float(market.offset[exit_, m]),
    )


def _stop(run, market, trade, entry, m):
    """Where the protective stop was when the entry filled: the money at risk, over what a point of it was worth."""
    risk = trade.get("risk")
    if risk is None or "line" not in trade:
        return float("nan")
    fills = run.fills().filter(
        (pl.col("line") == trade["line"])
        & (pl.col("day") == trade["entry_day"])
        & (pl.col("kind").cast(pl.String) == trade["entry_reason"])
    )
    worth = abs(fills["contracts"].sum()) * market.multiplier[entry, m] * market.fx[entry, m]
    if not worth > 0.0:
        return float("nan")
    side = 1.0 if trade["direction"] == "long" else -1.0
    return float(trade["entry_price"] + market.offset[entry, m] - side * risk / worth)
