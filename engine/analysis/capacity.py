"""How large a run was for its markets: against what they trade, what is open in them, and with how much capital.

Volume is the mean of the last 20 bars of the contract held, as known at the close; open interest that contract's.
Where neither is known a day is left out, never taken as 0. Volume of the contract rolled into is often less than that
of the one held: rolls near expiry are slower than this says.

`curve` asks the engine: the run is played again with more and more capital, and each order pays the impact of its size.
"""

import numpy as np
import polars as pl

from engine.analysis.activity import notional
from engine.analysis.daily import COSTS, Daily, by_line, by_market, codes, rows_of
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
        day, column, traded = _traded(run, scene.market)
        share = _over(traded, scene.market.liquidity, day, column)
        known = ~np.isnan(share)
        whole, share = scene.market.liquidity[day, column][known].sum(), share[known]
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
