"""Prices at a constant maturity: what a contract that always ends in 30 days would cost. For research, not for trading.

1. On a day, `near` is the last priced contract of the held months that ends within `days` calendar days, `far` the
   first that ends later. One without a price at that moment is stepped over; there is no extrapolation: quarterly
   contracts have a price at 30 days on a third of the days, VX none on three days of a cycle of five weeks. Settle
   counts, and close where settle does not bracket: never one of each. On its last trade day a contract is out.
2. price = w near + (1 - w) far, with w = (far_days - days) / (far_days - near_days): linear in calendar days to the
   last trade. Where the near contract ends on the very day, w is 1 and no far one is needed.
3. **The difference of two prices is no profit.** As time passes w falls, and the price slides along the curve though no
   contract has moved: that is the roll-down, which nobody earns or pays. `change` is what a holder earns: yesterday's
   contracts by yesterday's weights, at today's prices less yesterday's. Its sum is the profit of one unit, before the
   cost of a trade in two contracts every day, which is why `tradable` says no.

S&P's indices of VIX futures weigh two contracts by business days of the roll period; ours go by calendar days.
"""

import numpy as np
import polars as pl

from store import chain as chains
from store import expiry
from store.codes import months_of

SCHEMA = {
    "day": pl.Date,
    "days": pl.Int32,
    "price": pl.Float64,
    "change": pl.Float64,
    "near_contract": pl.Int32,
    "near_price": pl.Float64,
    "near_days": pl.Int32,
    "far_contract": pl.Int32,
    "far_price": pl.Float64,
    "far_days": pl.Int32,
    "weight": pl.Float64,
    "reason": pl.String,
    "tradable": pl.Boolean,
}
NO_NEAR, NO_FAR = "no near contract has a price", "no far contract has a price"
NEITHER, APART = "no contract has a price", "near and far have no price of one field"
FIELDS = ("settle", "close")


def constant_maturity(bars, spec, days=30):
    """A market's price at a constant maturity, one row for each trade date.

    Parameters
    ----------
    bars : polars.DataFrame or Chain
        Rows of `contract_bars`, one root, one source. Of bars within the day, the last moment that can be bracketed.
    spec : ContractSpec
        Facts of the market: held months, last trades.
    days : int
        The maturity, 1 or more. [calendar days]

    Returns
    -------
    polars.DataFrame
        Columns `SCHEMA`. `price`, `near_price`, `far_price`, `change` are in points; `near_days`, `far_days` calendar
        days to the last trade; `weight` that of `near`, 0 to 1. A row that cannot be bracketed has no price and a
        `reason`. `change` is null on the first row, and where a contract of the day before has no price; it is then
        held on, and told of at its next price, unless it ends before. `tradable` is false.

    Raises
    ------
    ValueError
        Without facts, or a maturity below a day.

    Examples
    --------
    VX of March 2012 ends in 20 days, of April in 48: 9/14 of the one and 5/14 of the other.

    >>> from datetime import UTC, date, datetime
    >>> from store.contracts import Master
    >>> from store.tables import TABLES
    >>> row = {"root": "VX", "day": date(2012, 3, 1), "time": datetime(2012, 3, 1, 21, tzinfo=UTC)}
    >>> rows = [row | {"contract": 201203, "settle": 20.0}, row | {"contract": 201204, "settle": 22.8}]
    >>> bars = TABLES["contract_bars"].conform(pl.DataFrame(rows))
    >>> found = constant_maturity(bars, Master.load().spec("VX"))
    >>> found.select("near_days", "far_days", pl.col("weight", "price").round(4)).row(0)
    (20, 48, 0.6429, 21.0)
    """
    if spec is None:
        raise ValueError("a constant maturity needs the days of last trades: add the market's facts to contracts.csv")
    if days < 1:
        raise ValueError(f"{spec.root}: a maturity of {days} days; allowed are 1 or more calendar days")
    chain = chains.load(bars, months_of(spec.held_months))
    ends = expiry.last_trades(spec, chain.contracts).astype("datetime64[D]")
    owner = chain.row_owner
    left = (ends[owner] - chain.days[chain.day]).astype(int)  # (row,) calendar days to the last trade
    moment, field, pair, reason = _bracketed(chain, left, days)
    near, far = pair.T
    weight = np.where(left[near] == days, 1.0, (left[far] - days) / np.where(near == far, 1, left[far] - left[near]))
    weight[field < 0] = np.nan
    prices = np.array([chain.prices[name] for name in FIELDS])[field[:, None], pair]
    price = np.where(weight == 1.0, prices[:, 0], weight * prices[:, 0] + (1.0 - weight) * prices[:, 1])
    columns = {"days": days, "price": price, "change": _changes(chain, ends, moment, field, owner[pair], weight)}
    columns |= {"weight": weight, "reason": reason, "tradable": False}
    for i, name in enumerate(("near", "far")):
        there = (field >= 0) & ((near != far) | (i == 0))
        for what, values in (("contract", chain.contracts[owner]), ("days", left)):
            columns[f"{name}_{what}"] = pl.Series(np.where(there, values[pair[:, i]], 0)).replace(0, None)
        columns[f"{name}_price"] = np.where(there, prices[:, i], np.nan)
    frame = pl.DataFrame({"day": chain.days}).with_columns(**columns)
    frame = frame.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def _bracketed(chain, left, days):
    """What brackets each day: (moment, number of the field or -1, rows of near and far, reason or None).

    Near and far are one row where none ends later than near, and need not.
    """
    moments, at = np.unique(chain.time, return_inverse=True)
    pairs, seen = np.zeros((2, len(moments), 2), int), np.zeros((2, len(moments), 2), bool)
    for i, name in enumerate(FIELDS):
        rows = np.flatnonzero(~np.isnan(chain.prices[name]) & (left > 0))
        rows = rows[np.lexsort((left[rows], at[rows]))]
        here, far_off = at[rows], left[rows].max(initial=days) + 1
        after = np.searchsorted(here * far_off + left[rows], np.arange(len(moments)) * far_off + days, side="right")
        for k, place in enumerate((after - 1, after)):
            place = np.clip(place, 0, max(len(rows) - 1, 0))
            seen[i, :, k] = len(rows) and here[place] == np.arange(len(moments))
            pairs[i, :, k] = rows[place] if len(rows) else 0
        seen[i, :, 0] &= after > np.searchsorted(here, np.arange(len(moments)))
        seen[i, :, 1] &= after < len(rows)
    exact = seen[:, :, 0] & (left[pairs[:, :, 0]] == days)
    pairs[:, :, 1] = np.where(exact & ~seen[:, :, 1], pairs[:, :, 0], pairs[:, :, 1])
    held = seen[:, :, 0] & (seen[:, :, 1] | exact)
    field = np.where(held[0], 0, np.where(held[1], 1, -1))
    day = np.empty(len(moments), int)
    day[at] = chain.day
    last = np.zeros(len(chain.days), int)  # the last moment of each day, of those that are bracketed if any is
    np.maximum.at(last, day, (field >= 0) * len(moments) + np.arange(len(moments)))
    last %= len(moments)
    why = np.array([NEITHER, NO_FAR, NO_NEAR, APART])[seen[:, last].any(axis=0) @ [1, 2]]
    reason = pl.Series(np.where(field[last] < 0, why, "")).replace("", None)
    return moments[last], field[last], pairs[field[last], last], reason


def _changes(chain, ends, moment, field, contracts, weight):
    """(day,) what the contracts of the day before earned by its weights; nan where that is not known."""
    out, held = np.full(len(moment), np.nan), None
    for t in range(len(moment)):
        free = True
        if held:
            ks, weights, name, before = held
            now = _prices(chain, ks, moment[t], name)
            out[t] = weights @ (now - before)
            free = field[t] >= 0 and not np.isnan(out[t])
            if not np.isnan(out[t]):
                held = ks, weights, name, now
            elif (chain.days[t] >= ends[ks]).any():  # it will have no price any more
                held, free = None, True
        if free and field[t] >= 0:
            ks, weights = contracts[t], np.array([weight[t], 1.0 - weight[t]])
            ks, weights = ks[weights > 0], weights[weights > 0]
            held = ks, weights, FIELDS[field[t]], _prices(chain, ks, moment[t], FIELDS[field[t]])
    return out


def _prices(chain, contracts, moment, field):
    """Prices of these contracts at a moment, nan where one has none."""
    found = []
    for k in contracts.tolist():
        start, end = chain.starts[k], chain.starts[k + 1]
        row = start + chain.time[start:end].searchsorted(moment)
        found.append(chain.prices[field][row] if row < end and chain.time[row] == moment else np.nan)
    return np.array(found)
