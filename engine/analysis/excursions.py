"""How far each trade was against its holder at worst and for him at best, from the market's highs and lows.

Prices are of the adjusted frame, so that a roll is no excursion (DOMAIN 2.8). A bar counts whole where the trade held
through all of it: the bar of entry if that was a market order at its open, the bar of exit if that was at its end. Of
the bar of any other entry only its mark counts, for how it went before the order filled is not the trade's; of the bar
of any other exit only the price of the exit. The size is the largest of the trade, at the worth of a point on the day
of entry.
"""

import numpy as np
import polars as pl

from engine.analysis.daily import by_market, codes

RANGE = 20  # bars of the average true range that the edge ratio is told in
HORIZONS = (5, 10, 20, 50, 100)  # bars
EXCURSIONS = {
    "trade": pl.Int64,  # as in `RunResult.trades`
    "adverse": pl.Float64,  # MAE, 0 or negative [points]
    "favourable": pl.Float64,  # MFE, 0 or positive [points]
    "adverse_money": pl.Float64,  # [account currency]
    "favourable_money": pl.Float64,  # [account currency]
    "adverse_r": pl.Float64,  # over the money at risk at entry; null without a protective stop [R]
    "favourable_r": pl.Float64,  # [R]
    "adverse_ranges": pl.Float64,  # over the average true range known before entry; null where there is none [1]
    "favourable_ranges": pl.Float64,  # [1]
}
EDGE = {
    "bars": pl.Int32,  # after entry; null: as long as each trade was held
    "trades": pl.Int64,  # of which so many bars are known
    "favourable": pl.Float64,  # mean, in average true ranges [1]
    "adverse": pl.Float64,  # mean, positive [1]
    "edge_ratio": pl.Float64,  # favourable / adverse; above 1 entries point the right way [ratio]
}


def excursions(run, market, at=None):
    """Excursions of every trade of a run, in the order of its table.

    Parameters
    ----------
    run : RunResult
    market : Market
        That of the run.
    at : dict, optional
        What `places` gives of both; made where it is not given.

    Returns
    -------
    DataFrame
        Columns EXCURSIONS.

    Source: J. Sweeney, Maximum Adverse Excursion, 1997.
    """
    trades, at = run.trades(), at or places(run, market)
    adverse, favourable = _reached(at, at["first"], at["last"], at["points"])
    money = at["worth"] * trades["contracts"].to_numpy()
    risk = trades["risk"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    risk, range_ = (np.where(values > 0.0, values, np.nan) for values in (risk, at["range"]))
    frame = {"trade": trades["trade"], "adverse": adverse, "favourable": favourable}
    for name, unit in (("money", 1.0 / money), ("r", risk / money), ("ranges", range_)):
        frame |= {f"adverse_{name}": adverse / unit, f"favourable_{name}": favourable / unit}
    return pl.DataFrame(frame).with_columns(pl.col(pl.Float64).fill_nan(None)).cast(EXCURSIONS)


def edge(run, market, horizons=HORIZONS, at=None):
    """Edge ratio of the entries: as long as each trade was held, and some bars after entry whatever became of it.

    Run, market and `at` as for `excursions`; horizons are bars of the trade's market. DataFrame with columns EDGE. A
    trade counts for a horizon whose bars the market still has.

    Source: C. Faith, Way of the Turtle, 2007, ch. 5 (E-ratio; there on entries alone).
    """
    at, rows = at or places(run, market), []
    range_ = np.where(at["range"] > 0.0, at["range"], np.nan)
    adverse, favourable = _reached(at, at["first"], at["last"], at["points"])
    rows.append((None, *_edge(adverse / range_, favourable / range_)))
    for bars in horizons:
        last = _bars_later(at, market, bars)
        there = last >= 0
        adverse, favourable = _reached(at, at["first"], np.where(there, last, -1), at["points"][:, :1])
        rows.append((bars, *_edge((adverse / range_)[there], (favourable / range_)[there])))
    return pl.DataFrame(rows, schema=EDGE, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _edge(adverse, favourable):
    known = ~(np.isnan(adverse) | np.isnan(favourable))
    count = int(known.sum())
    if not count:
        return 0, np.nan, np.nan, np.nan
    against, gained = -float(adverse[known].mean()), float(favourable[known].mean())
    return count, gained, against, gained / against if against > 0.0 else np.nan


def places(run, market):
    """Where each trade stands in a market's arrays: column, side, entry, its whole bars first to last, single points;
    and the market's highs and lows, ready to be asked.

    `points`, (trade, 2), are adjusted prices beside the whole bars: the mark of the bar of entry, and the exit; nan
    where those bars count whole.
    """
    trades = by_market(run.trades())
    column = codes(trades["market"], market.names)
    entry, exit_ = (
        np.searchsorted(market.days, trades[name].to_numpy().astype("datetime64[D]"))
        for name in ("entry_day", "exit_day")
    )
    side = np.where((trades["direction"] == "long").to_numpy(), 1.0, -1.0)
    execution = run.portfolio.execution
    opening = execution.fill == "open" and execution.bars == "day"
    closing = execution.fill != "open" and execution.bars == "day"
    whole_entry = opening & (trades["entry_reason"].cast(pl.String) == "market").to_numpy()
    reason = trades["exit_reason"].cast(pl.String)
    whole_exit = (reason == "open").to_numpy() | (closing & (reason == "signal").to_numpy())
    filled = trades["entry_price"].to_numpy() + market.offset[entry, column]
    left = trades["exit_price"].to_numpy() + market.offset[exit_, column]
    mark = np.where(whole_entry | (entry == exit_), np.nan, market.adjusted[entry, column])
    return {
        "tables": _tables(market),
        "range": _ranges(market, entry, column),
        "column": column,
        "side": side,
        "entry": entry,
        "price": filled,
        "first": np.where(whole_entry, entry, entry + 1),
        "last": np.where(whole_exit, exit_, exit_ - 1),
        "points": np.column_stack([mark, left]),
        "worth": (market.multiplier * market.fx)[entry, column],
    }


def _tables(market):
    """Highest high and lowest low, as `_doubled` tells them, of the market's adjusted bars."""
    from engine.measures import extremes

    high, low = extremes(market)
    return _doubled(high), _doubled(-low)


def _reached(at, first, last, points):
    """Adverse and favourable excursion over the whole bars first to last and the single points. [points]"""
    side, price, column = at["side"], at["price"], at["column"]
    top, bottom = (_highest(table, column, first, last) for table in at["tables"])
    up = np.fmax(top, np.fmax.reduce(points, axis=1))
    down = np.fmin(-bottom, np.fmin.reduce(points, axis=1))
    above, below = up - price, down - price
    favourable = np.where(side > 0.0, above, -below)
    adverse = np.where(side > 0.0, below, -above)
    return np.minimum(adverse, 0.0), np.maximum(favourable, 0.0)


def _doubled(values):
    """Highest known values of the 1, 2, 4... rows from each row on; arrays (row, market), the longer the fewer rows."""
    out, step = [values], 1
    while 2 * step <= len(values):
        out.append(np.fmax(out[-1][:-step], out[-1][step:]))
        step *= 2
    return out


def _highest(table, column, first, last):
    """Highest known value of rows first to last of a column, both included; nan of no row. Two looks answer it."""
    out = np.full(len(column), np.nan)
    length = last - first + 1
    level = np.frexp(np.maximum(length, 1))[1] - 1
    for k in range(int(level.max(initial=-1)) + 1):
        some = np.flatnonzero((level == k) & (length > 0))
        end = last[some] - 2**k + 1
        out[some] = np.fmax(table[k][first[some], column[some]], table[k][end, column[some]])
    return out


def _ranges(market, entry, column):
    """Average true range of each trade's market, as known before the bar of entry. [points]"""
    from engine.measures import average_range

    known = average_range(market, RANGE)
    return np.where(entry > 0, known[entry - 1, column], np.nan)


def _bars_later(at, market, bars):
    """Row of the bar that is the `bars`-th held of each trade's market, the bar of entry being the first; -1: none."""
    there = ~np.isnan(market.mark)
    count = np.cumsum(there, axis=0)
    out = np.full(len(at["column"]), -1)
    for m in np.unique(at["column"]):
        own, rows = np.flatnonzero(at["column"] == m), np.flatnonzero(there[:, m])
        wanted = count[at["entry"][own], m] - 1 + bars - 1
        known = wanted < len(rows)
        out[own[known]] = rows[wanted[known]]
    return out
