"""How large a run was for its markets: against what they trade, what is open in them, and with how much capital.

Volume is the mean of the last 20 bars of the contract held, as known at the close; open interest that contract's.
Where neither is known a day is left out, never taken as 0. Volume of the contract rolled into is often less than that
of the one held: rolls near expiry are slower than this says.
"""

import numpy as np
import polars as pl

from engine.analysis.activity import notional
from engine.analysis.daily import Daily, by_line, by_market, codes, rows_of
from engine.analysis.exposure import CONTRACTS

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


def capacity(run, market, part=PART, sure=SURE, daily=None):
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
    daily : Daily, optional
        Of the run; made where it is not given.

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
    row, column, held = _held(run, market)
    of_volume, of_open = _over(held, market.liquidity, row, column), _over(held, market.open_interest, row, column)
    day, traded_in, traded = _traded(run, market)
    share = _over(traded, market.liquidity, day, traded_in)
    capital = capital_of(daily or Daily.of(run), market)[day] * part / share
    held_in, traded_in = _groups(column, market), _groups(traded_in, market)
    found = {
        "contracts": _each(np.max, held, held_in),
        "volume": _each(np.median, market.liquidity[row, column], held_in),
        "open_interest": _each(np.median, market.open_interest[row, column], held_in),
        "capital": _each(lambda known: np.quantile(known, 1.0 - sure), capital, traded_in),
    }
    for name, values, groups in (
        ("of_volume", of_volume, held_in), ("of_open_interest", of_open, held_in),
        ("days_to_leave", of_volume / part, held_in), ("traded", share, traded_in),
    ):  # fmt: skip
        found[name], found[f"{name}_most"] = _each(np.mean, values, groups), _each(np.max, values, groups)
    frame = pl.DataFrame({"market": pl.Series(market.names, dtype=pl.String)} | found)
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None)).filter(pl.col("contracts").is_not_null())
    return frame.select(*CAPACITY).cast(CAPACITY).sort("capital", "market", nulls_last=True)


def capital_of(daily, market):
    """Capital of a run on each day of a market, nan outside of the run, array (time,). [account currency]"""
    out = np.full(len(market.days), np.nan)
    out[np.searchsorted(market.days, daily.days[1:])] = daily.base
    return out


def _held(run, market):
    """Row, column and size, without sign, of the contracts of each market that were held. [contracts]"""
    positions = by_market(run.positions())
    cell = rows_of(market.days, positions["day"]) * len(market.names) + codes(positions["market"], market.names)
    return _sums(cell, positions["contracts"].to_numpy(), len(market.names))


def _traded(run, market):
    """Row, column and size of what was traded of one contract on one day, both directions added. [contracts]"""
    fills = notional(run, market)
    cell = fills["row"].to_numpy() * len(market.names) + fills["column"].to_numpy()
    key, own = np.unique(cell * CONTRACTS + fills["contract"].fill_null(0).to_numpy(), return_inverse=True)
    size = np.bincount(own, np.abs(fills["contracts"].to_numpy()), minlength=len(key))
    return *np.divmod(key // CONTRACTS, len(market.names)), size


def _sums(cell, contracts, columns):
    """Row, column and net size, without sign, of each cell that has any."""
    size = np.abs(np.bincount(cell, contracts))
    key = np.flatnonzero(size)
    return *np.divmod(key, max(columns, 1)), size[key]


def _over(size, known, row, column):
    """Size over what the market has there; nan where that is not known."""
    whole = known[row, column]
    return size / np.where(whole > 0.0, whole, np.nan)


def _groups(column, market):
    """Rows of each market, one array a market."""
    order = by_line(column)
    return np.split(order, np.searchsorted(column[order], np.arange(1, len(market.names))))


def _each(number, values, groups):
    """A number of the known values of each market, nan where there is none; array (market,)."""
    out = np.full(len(groups), np.nan)
    for m, rows in enumerate(groups):
        mine = values[rows]
        if len(mine := mine[~np.isnan(mine)]):
            out[m] = number(mine)
    return out
