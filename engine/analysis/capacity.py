"""How large a run was for its markets: against what they trade, what is open in them, and with how much capital.

Volume is the mean of the last 20 bars of the contract held, as known at the close; open interest that contract's.
Where neither is known a day is left out, never taken as 0. Volume of the contract rolled into is often less than that
of the one held: rolls near expiry are slower than this says.

`curve` asks the engine: the run is played again with more and more capital, and each order pays the impact of its size.
"""

from itertools import pairwise

import numpy as np
import polars as pl

from engine.analysis.activity import notional
from engine.analysis.daily import COSTS, Daily, by_market, codes, rows_of
from engine.analysis.exposure import CONTRACTS
from engine.analysis.scene import base_of, with_params
from engine.ratios import years

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
TIMES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # the capital of a run
CURVE = {
    "of_capital": pl.Float64,  # the capital of the run is 1 [1]
    "capital": pl.Float64,  # at the start [account currency]
    "annual": pl.Float64,  # return a year, after all costs [1/year]
    "volatility": pl.Float64,  # [1/√year]
    "sharpe": pl.Float64,  # after all costs
    "deepest": pl.Float64,  # drawdown [fraction]
    "drag": pl.Float64,  # all costs over the mean equity, a year [1/year]
    "impact_drag": pl.Float64,  # that of the impact, which grows with size [1/year]
    "traded": pl.Float64,  # what was traded, over the volume of the days with a trade, both summed [fraction]
    "traded_most": pl.Float64,  # of one contract on one day: a share SURE of these had no more [fraction]
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
    column, row, held = _held(run, market)
    volume, open_ = market.liquidity[row, column], market.open_interest[row, column]
    traded_in, day, traded = _traded(run, market)
    share = _over(traded, market.liquidity[day, traded_in])
    capital = capital_of(daily or Daily.of(run), market)[day] * part / share
    found = {}
    for names, numbers, values, of in (
        (("contracts",), (np.max,), held, column),
        (("volume",), (np.median,), volume, column),
        (("open_interest",), (np.median,), open_, column),
        (("of_volume", "of_volume_most"), (np.mean, np.max), _over(held, volume), column),
        (("of_open_interest", "of_open_interest_most"), (np.mean, np.max), _over(held, open_), column),
        (("traded", "traded_most"), (np.mean, np.max), share, traded_in),
        (("capital",), (lambda known: np.quantile(known, 1.0 - sure),), capital, traded_in),
    ):
        found |= zip(names, _each(numbers, values, of, len(market.names)), strict=True)
    found |= {f"days_to_leave{of}": found[f"of_volume{of}"] / part for of in ("", "_most")}
    frame = pl.DataFrame({"market": pl.Series(market.names, dtype=pl.String)} | found)
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None)).filter(pl.col("contracts").is_not_null())
    return frame.select(*CAPACITY).cast(CAPACITY).sort("capital", "market", nulls_last=True)


def curve(archive, run, times=TIMES, impact="volatility"):
    """A run with more and less capital, against what its size costs it.

    Parameters
    ----------
    archive : Archive
    run : RunResult
    times : list of float
        The capital of the run; above 0.
    impact : {"volatility", "volume"}
        Of orders (`engine.costs.impact_scale`), where the portfolio has none; its own goes before.

    Returns
    -------
    DataFrame
        Columns CURVE, the smallest capital first.

    Raises
    ------
    NotRunHere, SourceChanged
        The run cannot be played again, see `scene.base_of`.
    """
    scene, _ = base_of(archive, run)
    if scene.portfolio.costs.impact == "none":
        costs = with_params(scene.portfolio.costs, impact=impact)
        scene = scene.load(with_params(scene.portfolio, costs=costs))
    return curve_of(scene, times)


def curve_of(scene, times=TIMES):
    """`curve` of a scene whose portfolio has an impact."""
    rows = []
    for factor in sorted(times):
        if not 0.0 < factor < np.inf:
            raise ValueError(f"{factor!r} times the capital: allowed is a number above 0")
        capital = scene.portfolio.capital * factor
        run = scene._replace(portfolio=with_params(scene.portfolio, capital=capital)).played()
        column, day, traded = _traded(run, scene.market)
        volume = scene.market.liquidity[day, column]
        share = _over(traded, volume)
        known = ~np.isnan(share)
        whole, share = volume[known].sum(), share[known]
        told, sums = run.metrics(), run.summary["ledger"]
        days = run.equity()["day"].to_numpy().astype("datetime64[D]")
        spent = [-sum(sums[cause] for cause in causes) for causes in (COSTS, ("impact", "roll_impact"))]
        mean = float(run.equity()["equity"].mean()) * years(days)
        parts = [part / mean if mean > 0.0 else None for part in spent]
        most = [float(traded[known].sum() / whole), float(np.quantile(share, SURE))] if len(share) else [None, None]
        numbers = [told[name] for name in ("annual_return", "volatility", "sharpe", "max_drawdown")]
        rows.append((factor, capital, *numbers, *parts, *most))
    return pl.DataFrame(rows, schema=CURVE, orient="row")


def capital_of(daily, market):
    """Capital of a run on each day of a market, nan outside of the run, array (time,). [account currency]"""
    out = np.full(len(market.days), np.nan)
    out[np.searchsorted(market.days, daily.days[1:])] = daily.base
    return out


def _held(run, market):
    """Column, row and size, without sign, of the contracts of each market that were held, market by market."""
    positions, rows = by_market(run.positions()), len(market.days)
    cell = codes(positions["market"], market.names) * rows + rows_of(market.days, positions["day"])
    size = np.abs(np.bincount(cell, positions["contracts"].to_numpy()))
    key = np.flatnonzero(size)
    return *np.divmod(key, max(rows, 1)), size[key]


def _traded(run, market):
    """Column, row and size of what was traded of one contract on one day, both directions added, market by market."""
    fills, rows = notional(run, market), len(market.days)
    cell = fills["column"].to_numpy() * rows + fills["row"].to_numpy()
    key, own = np.unique(cell * CONTRACTS + fills["contract"].fill_null(0).to_numpy(), return_inverse=True)
    size = np.bincount(own, np.abs(fills["contracts"].to_numpy()), minlength=len(key))
    return *np.divmod(key // CONTRACTS, max(rows, 1)), size


def _over(size, whole):
    """Size over what the market has; nan where that is not known."""
    return size / np.where(whole > 0.0, whole, np.nan)


def _each(numbers, values, column, count):
    """Numbers of the known values of each market, whose values follow each other; nan where there is none, array
    (number, market)."""
    out, edges = np.full((len(numbers), count), np.nan), np.searchsorted(column, np.arange(count + 1))
    for m, (first, end) in enumerate(pairwise(edges)):
        mine = values[first:end]
        if len(mine := mine[~np.isnan(mine)]):
            out[:, m] = [number(mine) for number in numbers]
    return out
