"""How far each trade was against its holder at worst and for him at best, from the market's highs and lows.

Prices are of the adjusted frame, so that a roll is no excursion (DOMAIN 2.8). A bar counts whole where the trade held
through all of it: the bar of entry if that was a market order at its open, the bar of exit if that was at its end. Of
the bar of any other entry only its mark counts, for how it went before the order filled is not the trade's; of the bar
of any other exit only the price of the exit. The size is the largest of the trade, at the worth of a point on the day
of entry.
"""

import numpy as np
import polars as pl

from engine.analysis.daily import among, by_market, codes, rows_of
from engine.kernel import kernel
from engine.measures import extremes, true_range, wilder

RANGE = 20  # bars of the average true range that the edge ratio is told in
HORIZONS = (5, 10, 20, 50, 100)  # bars
LEVELS = 6  # of `_doubled`: up to 32 rows are looked up at once, more in steps of as many
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
    adverse, favourable = _held(at)
    money = at["worth"] * trades["contracts"].to_numpy()
    risk = trades["risk"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    risk, range_ = (np.where(values > 0.0, values, np.nan) for values in (risk, at["range"]))
    frame = {"trade": trades["trade"], "adverse": adverse, "favourable": favourable}
    for name, unit in (("money", 1.0 / money), ("r", risk / money), ("ranges", range_)):
        frame |= {f"adverse_{name}": adverse / unit, f"favourable_{name}": favourable / unit}
    return pl.DataFrame(frame, schema_overrides=EXCURSIONS, nan_to_null=True)


def edge(run, market, horizons=HORIZONS, at=None):
    """Edge ratio of the entries: as long as each trade was held, and some bars after entry whatever became of it.

    Run, market and `at` as for `excursions`; horizons are bars of the trade's market. DataFrame with columns EDGE. A
    trade counts for a horizon whose bars the market still has.

    Source: C. Faith, Way of the Turtle, 2007, ch. 5 (E-ratio; there on entries alone).
    """
    at = at or places(run, market)
    unit = np.where(at["range"] > 0.0, at["range"], np.nan)
    adverse, favourable = (reached / unit for reached in _held(at))
    known = ~np.isnan(adverse + favourable)
    sums = [(known.sum(), favourable[known].sum(), adverse[known].sum())]
    names = ("entry", "first", "column", "side", "price", "mark")
    sums += [*_later(*at["tables"], *at["bars"], *(at[name] for name in names), unit, np.array(horizons, np.int64))]
    rows = []
    for bars, (count, gained, against) in zip((None, *horizons), sums, strict=True):
        gained, against = (gained / count, -against / count) if count else (np.nan, np.nan)
        rows.append(
            (bars, int(count), float(gained), float(against), float(gained / against) if against > 0.0 else np.nan)
        )
    return pl.DataFrame(rows, schema=EDGE, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def places(run, market):
    """Where each trade stands in a market's arrays: column, side, entry, its whole bars first to last, single points;
    and the market's highs and lows, ready to be asked.

    `points`, (trade, 2), are adjusted prices beside the whole bars: the mark of the bar of entry, and the exit; nan
    where those bars count whole.
    """
    trades = by_market(run.trades())
    column = codes(trades["market"], market.names)
    days = market.days.astype("datetime64[D]")
    entry, exit_ = (rows_of(days, trades[name]) for name in ("entry_day", "exit_day"))
    side = np.where((trades["direction"] == "long").to_numpy(), 1.0, -1.0)
    execution = run.portfolio.execution
    opening = execution.fill == "open" and execution.bars == "day"
    closing = execution.fill != "open" and execution.bars == "day"
    whole_entry = opening & among(trades["entry_reason"], ("market",))
    whole_exit = among(trades["exit_reason"], ("open", "signal") if closing else ("open",))
    filled = trades["entry_price"].to_numpy() + market.offset[entry, column]
    left = trades["exit_price"].to_numpy() + market.offset[exit_, column]
    mark = np.where(whole_entry | (entry == exit_), np.nan, market.adjusted[entry, column])
    high, low = extremes(market)
    return {
        "tables": (_doubled(high), _doubled(-low)),
        "bars": _bars(market),
        "range": _ranges(market, high, low, entry, column),
        "column": column,
        "side": side,
        "entry": entry,
        "price": filled,
        "first": np.where(whole_entry, entry, entry + 1),
        "last": np.where(whole_exit, exit_, exit_ - 1),
        "mark": mark,
        "points": np.column_stack([mark, left]),
        "worth": (market.multiplier * market.fx)[entry, column],
    }


def _held(at):
    """Adverse and favourable excursion of each trade as long as it was held. [points]"""
    if "held" not in at:
        names = ("column", "side", "price", "first", "last", "points")
        at["held"] = _reached(*at["tables"], *(at[name] for name in names))
    return at["held"]


@kernel
def _reached(high, low, column, side, price, first, last, points):
    """Adverse and favourable excursion over the whole bars first to last and the single points, (trade,). [points]"""
    adverse, favourable = np.empty(len(column)), np.empty(len(column))
    for k in range(len(column)):
        top, bottom = _highest(high, first[k], last[k], column[k]), _highest(low, first[k], last[k], column[k])
        for point in points[k]:
            top, bottom = _higher(top, point), _higher(bottom, -point)
        adverse[k], favourable[k] = _excursion(side[k], price[k], top, bottom)
    return adverse, favourable


@kernel
def _later(high, low, count, nth, entry, first, column, side, price, mark, unit, horizons):
    """How many trades have so many bars after entry, and sums of their excursions in a unit of each; (horizon, 3).

    `nth` is the row of a market's first, second... bar, `count` how many it has had; -1 is none.
    """
    out = np.zeros((len(horizons), 3))
    for k in range(len(column)):
        m = column[k]
        for h in range(len(horizons)):
            last = nth[min(count[entry[k], m] + horizons[h] - 1, len(nth) - 1), m]
            if last < 0:
                continue
            top = _higher(_highest(high, first[k], last, m), mark[k])
            bottom = _higher(_highest(low, first[k], last, m), -mark[k])
            adverse, favourable = _excursion(side[k], price[k], top, bottom)
            if not np.isnan((adverse + favourable) / unit[k]):
                out[h, 0] += 1.0
                out[h, 1] += favourable / unit[k]
                out[h, 2] += adverse / unit[k]
    return out


@kernel
def _excursion(side, price, top, bottom):
    """Adverse and favourable one of a price, of the highest point and the lowest, which comes with its sign changed."""
    above, below = top - price, -bottom - price
    if side > 0.0:
        return min(below, 0.0) if below == below else np.nan, max(above, 0.0) if above == above else np.nan
    return min(-above, 0.0) if above == above else np.nan, max(-below, 0.0) if below == below else np.nan


@kernel
def _highest(table, first, last, column):
    """Highest known value of rows first to last of a column, both included; nan of no row. Two looks answer it, but of
    many rows."""
    if last < first:
        return np.nan
    level = 0
    while (2 << level) <= last - first + 1 and level + 1 < len(table):
        level += 1
    rows = 1 << level
    top = table[level, last - rows + 1, column]
    for row in range(first, last - rows + 1, rows):
        top = _higher(top, table[level, row, column])
    return top


@kernel
def _higher(one, other):
    """The higher of two numbers, the known one if the other is nan."""
    return other if other > one or np.isnan(one) else one


def _doubled(values):
    """Highest known values of the 1, 2, 4... rows from each row on, array (length, row, market); nan past the end."""
    out = np.empty((min(max(len(values), 1).bit_length(), LEVELS), *values.shape))
    out[0] = values
    for k in range(1, len(out)):
        step, rows = 2 ** (k - 1), len(values) - 2**k + 1
        np.fmax(out[k - 1][:rows], out[k - 1][step : step + rows], out=out[k][:rows])
        out[k][rows:] = np.nan
    return out


def _ranges(market, high, low, entry, column):
    """Average true range of each trade's market, as known before the bar of entry. [points]"""
    known = wilder(true_range(high, low, np.ascontiguousarray(market.adjusted)), RANGE)
    return np.where(entry > 0, known[entry - 1, column], np.nan)


def _bars(market):
    """How many bars each market has had by a row, array (row, market); and the row of its first, second... from 1 on,
    -1 of those that it has not."""
    there = ~np.isnan(market.mark)
    count, (row, column) = np.cumsum(there, axis=0, dtype=np.int32), np.nonzero(there)
    nth = np.full((len(there) + 2, there.shape[1]), -1, np.int32)
    nth[count[row, column], column] = row
    return count, nth
