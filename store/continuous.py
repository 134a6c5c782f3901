"""Continuous series: which contract was held on a row, at what prices, and the offset that joins it to the ones before.

adjusted = contract price + offset. The offset is anchored at the first contract: row t is made of rolls before t only,
so a longer history leaves earlier rows as they were (DESIGN 4). It steps by `from_price - to_price` after the roll,
both at one moment (DOMAIN T54): what the holder earned overnight stays in. `factor` is the same by ratio.
The column `adjusted` is the back-adjusted series that people expect, the newest contract at its market price; it moves
with every roll to come and is for pages and files. `forward` is the one whose rows never change.

Beside each row stands its carry: the next contract's price, and what the roll pays by the year (`roll_yield`).
"""

import numpy as np
import polars as pl

from store import chain as chains
from store import expiry
from store.rolls import closed, splices

PRICES = ("open", "high", "low", "close", "settle")
TAKEN = ("time", "day", "source_time", "contract", *PRICES, "volume", "open_interest")  # of the bars
METHODS = ("difference", "ratio", "forward", "none")
YEAR = 365.0  # days of a year's carry (act/365)
SCHEMA = {
    "time": pl.Datetime("us", "UTC"),
    "day": pl.Date,
    "source_time": pl.String,
    "contract": pl.Int32,
    **dict.fromkeys((*PRICES, "volume", "open_interest", "offset", "factor", "adjusted"), pl.Float64),
    "next_contract": pl.Int32,
    "next_price": pl.Float64,
    "next_days": pl.Float64,
    "roll_yield": pl.Float64,
    "roll": pl.Boolean,
    "from_price": pl.Float64,
    "to_price": pl.Float64,
}


def stitch(bars, rolls, spec=None):
    """One row for each bar of the contract held.

    Parameters
    ----------
    bars : polars.DataFrame or Chain
        Rows of `contract_bars`, one root, one source: those the calendar was made from, or more of them. Or the chain
        of these rows, of the calendar's months, where it is at hand.
    rolls : RollCalendar
    spec : ContractSpec, optional
        Facts of the market, for the days between last trades; without it they go by delivery months.

    Returns
    -------
    polars.DataFrame
        Columns of `SCHEMA`, in the order of time. A bar of another contract gives no row: where the held one has no
        bar, nothing is filled in. `roll` is true on the last row of a contract, which has `from_price` and `to_price`
        (on a `closed` roll this is known only on the calendar's day). `next_contract` is the contract that would
        follow, as listed on that day, `next_price` its price at the same moment by the same field; on a roll, those
        of the contract it rolls to. `next_days` and `roll_yield`: see `carry`.
    """
    return _with_adjusted(held_rows(chains.load(bars, rolls.months), rolls, spec))


def held_rows(chain, rolls, spec=None):
    """What `stitch` gives of a chain, but for `adjusted`."""
    keys = _Keys(chain)
    rows, part = _held(chain, rolls, keys)
    offset, factor = anchored(rolls.frame["from_price"].to_numpy(), rolls.frame["to_price"].to_numpy())
    following, price = _following(chain, rows, keys)
    roll = _last_rows(chain, rolls, part)
    paid = {name: rolls.frame[name].to_numpy()[part[roll]] for name in ("to_contract", "from_price", "to_price")}
    from_price, to_price = np.full((2, len(rows)), np.nan)
    from_price[roll], to_price[roll] = paid["from_price"], paid["to_price"]
    known = ~closed(rolls.frame["reason"])[part[roll]]  # what follows a break is not known before it ends
    matched = np.flatnonzero(roll)[known]
    following[matched] = paid["to_contract"][known]
    price[matched] = to_price[matched]
    mark = chain.mark[rows]
    mark[matched] = from_price[matched]  # the field in which both legs traded
    next_days, roll_yield = carry(chain.contracts[chain.row_owner[rows]], following, mark, price, spec)
    return _finished(
        chain.gather(rows, TAKEN),
        {
            "offset": offset[part],
            "factor": factor[part],
            "next_contract": following,
            "next_price": price,
            "next_days": next_days,
            "roll_yield": roll_yield,
            "roll": roll,
            "from_price": from_price,
            "to_price": to_price,
        },
    )


def stitch_chain(chain, spec=None):
    """A vendor's chain (`vendor_chains` rows of one root) as the same columns; its price stands in `close`.

    On a change of contract the series is shifted by forward - price of the row before: pysystemtrade's "Panama"
    stitching (`sysobjects/adjusted_prices.py`), here from the first contract on.
    """
    chain, found = splices(chain)
    step = np.zeros(len(chain), int)
    step[[last + 1 for last, *_ in found]] = 1
    part = np.cumsum(step)
    from_price, to_price = (np.array([splice[i] for splice in found], float) for i in (2, 3))
    offset, factor = anchored(from_price, to_price)
    last = [splice[0] for splice in found]
    paid = {name: np.full(len(chain), np.nan) for name in ("from_price", "to_price")}
    paid["from_price"][last], paid["to_price"][last] = from_price, to_price
    roll = np.zeros(len(chain), bool)
    roll[last] = True
    following = chain["forward_contract"].fill_null(0).to_numpy()
    price, forward = (chain[name].cast(pl.Float64).to_numpy() for name in ("price", "forward"))
    next_days, roll_yield = carry(chain["price_contract"].to_numpy(), following, price, forward, spec)
    frame = chain.select("time", "day", "source_time", contract="price_contract", close=pl.col("price").fill_nan(None))
    ahead = {"next_contract": following, "next_price": forward, "next_days": next_days, "roll_yield": roll_yield}
    joins = {"offset": offset[part], "factor": factor[part], "roll": roll}
    return _with_adjusted(_finished(frame, joins | ahead | paid))


def anchored(from_price, to_price):
    """Offset and factor of each contract held, the first one's being 0 and 1: arrays (rolls + 1).

    A roll without prices (nan) steps by nothing; the factor is nan from the first roll on that is not between positive
    prices.

    >>> anchored(np.array([4100.0]), np.array([4125.0]))
    (array([  0., -25.]), array([1.        , 0.99393939]))
    """
    from_price, to_price = np.asarray(from_price, float), np.asarray(to_price, float)
    unpriced = np.isnan(from_price - to_price)
    spread = np.where(unpriced, 0.0, from_price - to_price)
    positive = (from_price > 0) & (to_price > 0)
    ratio = np.where(positive, from_price / np.where(positive, to_price, 1.0), np.where(unpriced, 1.0, np.nan))
    return np.append(0.0, np.cumsum(spread)), np.append(1.0, np.cumprod(ratio))


def carry(contract, next_contract, price, next_price, spec=None):
    r"""Days to the next contract, and what a long earns a year from the roll if the curve stays as it is.

    .. math:: y = (P / P_{next} - 1) \cdot 365 / d

    Positive in backwardation, where the next contract is the cheaper one.

    Parameters
    ----------
    contract, next_contract : array (row,)
        Delivery months, YYYYMM; a next one of 0 is none.
    price, next_price : array (row,)
        At one moment, by one field; nan where missing. [points]
    spec : ContractSpec, optional
        Facts of the market.

    Returns
    -------
    array, array (row,)
        d, between the last trades of both, or without a spec between their delivery months, 365/12 each; nan without a
        next contract [calendar days]. y, nan where a price is missing or not positive, or the next one does not end
        later [1/year, a fraction, not compounded].

    Source: Koijen, Moskowitz, Pedersen, Vrugt, "Carry", J. of Financial Economics 127 (2018): the slope between the
    nearest two contracts of a curve; here between the held and the next one.

    Crude oil at 50.00, the next contract, which ends 30 days later, at 49.50:

    >>> days, pays = carry(np.array([202403]), np.array([202404]), np.array([50.0]), np.array([49.5]))
    >>> days.round(2), pays.round(4)
    (array([30.42]), array([0.1212]))
    """
    both = np.append(contract, next_contract).astype(np.int64)
    seen = np.zeros(both.max(initial=0) + 1, bool)
    seen[both] = True
    months, end_of = np.flatnonzero(seen), np.empty(len(seen))  # counted, not sorted: they are few
    end_of[months] = _ends(months, spec)
    end, after = np.split(end_of[both], 2)
    days = after - end
    valid = (price > 0) & (next_price > 0) & (days > 0)
    with np.errstate(over="ignore"):  # of prices that nobody has checked
        slope = price / np.where(valid, next_price, 1.0) - 1.0
        return days, np.where(valid, slope * YEAR / np.where(valid, days, 1.0), np.nan)


def adjusted(frame, method="difference"):
    """The price of a stitched frame as one series.

    Parameters
    ----------
    frame : polars.DataFrame
        As `stitch` gives it.
    method : str
        `difference` and `ratio` leave the newest contract at its market price, and move with every roll to come.
        `forward` adds the same differences from the first contract on: settle, else close, plus `offset`; a longer
        history leaves its rows as they are. `none` is the contract's own price.

    Returns
    -------
    polars.Series
        [points]

    Raises
    ------
    ValueError
        `ratio` where a price or a roll is not positive: a ratio of such prices has no meaning (DOMAIN T2). The message
        names the first.

    Examples
    --------
    A roll from 4100 to 4125, a day later 4135:

    >>> frame = pl.DataFrame({"settle": [4100.0, 4135.0], "close": [None, None], "offset": [0.0, -25.0]})
    >>> adjusted(frame, "forward").to_list(), adjusted(frame, "difference").to_list()
    ([4100.0, 4110.0], [4125.0, 4135.0])
    """
    if method not in METHODS:
        raise ValueError(f"adjustment {method!r} is not known; allowed: {', '.join(METHODS)}")
    if method == "ratio":
        _refuse(frame)
    mark = pl.coalesce("settle", "close")
    series = {
        "none": mark,
        "forward": mark + pl.col("offset"),
        "difference": mark + (pl.col("offset") - pl.col("offset").last()),
        "ratio": mark * (pl.col("factor") / pl.col("factor").last()),
    }
    return frame.select(series[method].alias("adjusted"))["adjusted"]


def _refuse(frame):
    """Raise if a price or a roll of the frame has no ratio; of both on one day, the price is named."""
    marks = frame.select("day", "contract", "from_price", "to_price", mark=pl.coalesce("settle", "close"))
    price = marks.filter(pl.col("mark") <= 0).head(1)
    roll = marks.filter(pl.min_horizontal("from_price", "to_price") <= 0).head(1)
    if not (len(price) or len(roll) or frame["factor"].null_count()):
        return
    what = "a roll before the first row was not between positive prices"
    if len(price) and not (len(roll) and roll["day"][0] < price["day"][0]):
        what = f"contract {price['contract'][0]} is at {price['mark'][0]:g} on {price['day'][0]}"
    elif len(roll):
        what = (
            f"the roll out of {roll['contract'][0]} on {roll['day'][0]} "
            f"is from {roll['from_price'][0]:g} to {roll['to_price'][0]:g}"
        )
    raise ValueError(f"{what}: prices that are not positive cannot be adjusted by ratio; use difference")


class _Keys:
    """One number a row, ascending along the chain: one search finds the moments of many contracts."""

    def __init__(self, chain):
        time = chain.time if len(chain.time) else np.zeros(1, np.int64)
        self.origin = time.min() - 1
        self.width = time.max() + 2 - self.origin
        self.rows = self.of(chain.row_owner, chain.time)

    def of(self, k, time):
        """The number of a moment of contract `k`; a moment before or after all bars is one before or after them."""
        return k * self.width + np.clip(time - self.origin, 0, self.width - 1)

    def first(self, k, time):
        """The first row of contract `k` that ends at `time` or later; else one past its last."""
        return np.searchsorted(self.rows, self.of(k, time))


def _held(chain, rolls, keys):
    """Rows of the chain while they were held, in the order of time, and the number of the contract held on each."""
    held = np.append(rolls.first, rolls.frame["to_contract"].to_numpy())
    k = np.searchsorted(chain.contracts, held)
    there = np.append(chain.contracts, 0)[k] == held  # else none of its bars is left
    low, high = np.append(chain.starts, 0)[k], np.append(chain.starts[1:], [0, 0])[k]
    time = rolls.frame["time"].cast(pl.Int64).to_numpy()
    broken = closed(rolls.frame["reason"])
    low[1:] = keys.first(k[1:], time + ~broken)  # rows after the roll's moment; after a break, from that row on
    high[:-1] = keys.first(k[:-1], time + 1)
    for i in np.flatnonzero(broken & there[:-1]):  # up to the day on which the position ends
        high[i] = _end_of(chain, k[i], rolls.frame["decided"][int(i)])
    if rolls.end is not None and there[-1]:
        high[-1] = min(high[-1], _end_of(chain, k[-1], rolls.end))
    count = np.where(there, np.maximum(high - low, 0), 0)
    begin = np.cumsum(count) - count
    return np.arange(count.sum()) + np.repeat(low - begin, count), np.repeat(np.arange(len(held)), count)


def _end_of(chain, k, date):
    """One past the last row of contract `k` up to a date."""
    final = np.searchsorted(chain.days, np.datetime64(date), side="right")
    return chain.starts[k] + np.searchsorted(chain.day[chain.starts[k] : chain.starts[k + 1]], final)


def _following(chain, rows, keys):
    """The contract that would follow on each row (0 if none), and its price by the field of the row's mark."""
    n, day, c = len(chain.contracts), chain.day[rows], chain.row_owner[rows] + 1
    listed = np.append(chain.first, len(chain.days))
    soonest = np.minimum.accumulate(listed[::-1])[::-1]  # of this contract and all later ones
    c[soonest[c] > day] = n
    listed[n] = -1  # ends the search
    late = np.flatnonzero(listed[c] > day)
    while len(late):
        c[late] += 1
        late = late[listed[c[late]] > day[late]]
    wanted = keys.of(c, chain.time[rows])
    found = np.minimum(np.searchsorted(keys.rows, wanted), len(keys.rows) - 1)
    settle, close = chain.prices["settle"], chain.prices["close"]
    price = np.where(np.isnan(settle[rows]), close[found], settle[found])
    return np.append(chain.contracts, 0)[c], np.where(keys.rows[found] == wanted, price, np.nan)


def _ends(months, spec):
    """Last trade of each contract as a number of days; nan for 0."""
    known, out = months > 0, np.full(len(months), np.nan)
    if spec is None:
        out[known] = (months // 100 * 12 + months % 100)[known] * (YEAR / 12)
    else:
        out[known] = expiry.last_trades(spec, months[known]).astype("datetime64[D]").astype(int)
    return out


def _last_rows(chain, rolls, part):
    """True on the last row of each part that its roll has ended by the last day of the chain."""
    ended = np.searchsorted(rolls.frame["day"].to_numpy(), chain.days[-1:], side="right").sum()
    return np.append(part[1:] != part[:-1], True)[: len(part)] & (part < ended)


def _finished(frame, columns):
    """The frame with these columns, nan in them null, but for `adjusted`; those that it lacks are null.

    Column by column: often a day is all that is stitched, and there one expression costs more than all of this.
    """
    told = {column.name: column for column in frame.get_columns()}
    ahead = np.asarray(columns["next_contract"], float)
    told |= {name: pl.Series(name, x, nan_to_null=True) for name, x in columns.items()}
    told["next_contract"] = pl.Series("next_contract", np.where(ahead == 0, np.nan, ahead), nan_to_null=True)
    kinds = {name: kind for name, kind in SCHEMA.items() if name != "adjusted"}
    return pl.DataFrame([_typed(told.get(name), name, kind, len(frame)) for name, kind in kinds.items()])


def _with_adjusted(frame):
    """The frame with the back-adjusted series, the newest contract at its market price."""
    settle, close, offset = (frame[name].to_numpy() for name in ("settle", "close", "offset"))
    mark = np.where(np.isnan(settle), close, settle)
    series = pl.Series("adjusted", mark + (offset - offset[-1:]), nan_to_null=True)
    return frame.insert_column(list(SCHEMA).index("adjusted"), series)


def _typed(column, name, kind, rows):
    """The column as one of this type; all null if there is none."""
    if column is None:
        return pl.repeat(None, rows, dtype=kind, eager=True).alias(name)
    return column if column.dtype == kind else column.cast(kind)
