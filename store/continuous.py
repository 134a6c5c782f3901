"""Continuous series: which contract was held on a row, at what prices, and the offset that joins it to the ones before.

adjusted = contract price + offset. The offset is anchored at the first contract: row t is made of rolls before t only,
so a longer history leaves earlier rows as they were (DESIGN 4). It steps by `from_price - to_price` after the roll,
both at one moment (DOMAIN T54): what the holder earned overnight stays in. `factor` is the same by ratio.
The column `adjusted` is the back-adjusted series that people expect, the newest contract at its market price; it moves
with every roll to come and is for pages and files.
"""

import numpy as np
import polars as pl

from store import chain as chains
from store.rolls import CLOSED, splices

PRICES = ("open", "high", "low", "close", "settle")
SCHEMA = {
    "time": pl.Datetime("us", "UTC"),
    "day": pl.Date,
    "source_time": pl.String,
    "contract": pl.Int32,
    **dict.fromkeys((*PRICES, "volume", "open_interest", "offset", "factor", "adjusted"), pl.Float64),
    "next_contract": pl.Int32,
    "next_price": pl.Float64,
    "roll": pl.Boolean,
    "from_price": pl.Float64,
    "to_price": pl.Float64,
}


def stitch(bars, rolls):
    """One row for each bar of the contract held.

    Parameters
    ----------
    bars : polars.DataFrame
        Rows of `contract_bars`, one root, one source: those the calendar was made from, or more of them.
    rolls : RollCalendar

    Returns
    -------
    polars.DataFrame
        Columns of `SCHEMA`, in the order of time. A bar of another contract gives no row: where the held one has no
        bar, nothing is filled in. `roll` is true on the last row of a contract, which has `from_price` and `to_price`
        (on a `closed` roll this is known only on the calendar's day). `next_contract` is the contract that would
        follow, as listed on that day, `next_price` its price at the same moment by the same field; on a roll, those
        of the contract it rolls to.
    """
    chain = chains.load(bars, rolls.months)
    spans = _spans(chain, rolls)
    rows = _joined([np.arange(a, b) for _, a, b, _ in spans], int)
    part = _joined([np.full(b - a, i) for _, a, b, i in spans], int)
    offset, factor = anchored(rolls.frame["from_price"].to_numpy(), rolls.frame["to_price"].to_numpy())
    following = [_following(chain, k, a, b) for k, a, b, _ in spans]
    contract, price = (_joined([x[i] for x in following], float) for i in (0, 1))
    roll = _last_rows(chain, rolls, part)
    paid = rolls.frame.select(pl.all().gather(part[roll]))
    contract[roll] = paid["to_contract"].to_numpy()
    from_price, to_price = np.full((2, len(rows)), np.nan)
    from_price[roll], to_price[roll] = paid["from_price"].to_numpy(), paid["to_price"].to_numpy()
    matched = np.flatnonzero(roll)[(paid["reason"] != CLOSED).to_numpy()]
    price[matched] = to_price[matched]
    return _finished(
        chain.frame[rows],
        {
            "offset": offset[part],
            "factor": factor[part],
            "next_contract": contract,
            "next_price": price,
            "roll": roll,
            "from_price": from_price,
            "to_price": to_price,
        },
    )


def stitch_chain(chain):
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
    frame = chain.select(
        "time", "day", "source_time",
        contract="price_contract", close="price", next_contract="forward_contract", next_price="forward",
    )  # fmt: skip
    return _finished(frame, {"offset": offset[part], "factor": factor[part], "roll": roll, **paid})


def anchored(from_price, to_price):
    """Offset and factor of each contract held, the first one's being 0 and 1: arrays (rolls + 1).

    A roll without prices (nan) steps by nothing; the factor is nan from the first roll on that is not between positive
    prices.

    >>> anchored(np.array([4100.0]), np.array([4125.0]))
    (array([  0., -25.]), array([1.        , 0.99393939]))
    """
    from_price, to_price = np.asarray(from_price, float), np.asarray(to_price, float)
    unpriced = np.isnan(from_price - to_price)
    gap = np.where(unpriced, 0.0, from_price - to_price)
    positive = (from_price > 0) & (to_price > 0)
    ratio = np.where(positive, from_price / np.where(positive, to_price, 1.0), np.where(unpriced, 1.0, np.nan))
    return np.append(0.0, np.cumsum(gap)), np.append(1.0, np.cumprod(ratio))


def adjusted(frame, method="difference"):
    """The back-adjusted price of a stitched frame: `difference`, `ratio` or `none` (the contract's own price).

    Raises
    ------
    ValueError
        `ratio` where a price or a roll is not positive: a ratio of such prices has no meaning (DOMAIN T2).
    """
    mark = pl.coalesce("settle", "close")
    if method == "none":
        return frame.select(mark.alias("adjusted"))["adjusted"]
    if method == "difference":
        shifted = mark + (pl.col("offset") - pl.col("offset").last())
        return frame.select(shifted.alias("adjusted"))["adjusted"]
    if method != "ratio":
        raise ValueError(f"adjustment {method!r} is not known; allowed: difference, ratio, none")
    lowest = frame.select(mark.min())[0, 0]
    if (lowest is not None and lowest <= 0) or frame["factor"].null_count():
        raise ValueError(f"prices down to {lowest} cannot be adjusted by ratio; use difference")
    return frame.select((mark * (pl.col("factor") / pl.col("factor").last())).alias("adjusted"))["adjusted"]


def _spans(chain, rolls):
    """The rows of each contract while it was held: (contract of the chain, first row, one past the last, number)."""
    days, times = rolls.frame["day"].to_numpy(), rolls.frame["time"].dt.epoch("us").to_numpy()
    closed = (rolls.frame["reason"] == CLOSED).to_numpy()
    decided = rolls.frame["decided"].to_numpy()
    held = [rolls.first, *rolls.frame["to_contract"]]
    spans = []
    for i, k in enumerate(np.searchsorted(chain.contracts, held).tolist()):
        if k == len(chain.contracts) or chain.contracts[k] != held[i]:
            continue  # none of its bars is left
        start, end = int(chain.starts[k]), int(chain.starts[k + 1])
        time, low, high = chain.time[start:end], start, end
        if i:  # the roll into it: rows after its moment; after a break, from that row on
            low = start + int(np.searchsorted(time, times[i - 1], side="left" if closed[i - 1] else "right"))
        if i < len(days) and closed[i]:
            final = np.searchsorted(chain.days, decided[i], side="right")
            high = start + int(np.searchsorted(chain.day[start:end], final))
        elif i < len(days):
            high = start + int(np.searchsorted(time, times[i], side="right"))
        if high > low:
            spans.append((k, low, high, i))
    return spans


def _following(chain, k, a, b):
    """Contract that would follow `k` on the rows a..b (0 if none), and its price by the field of the row's mark."""
    contract, price = np.zeros(b - a, np.int64), np.full(b - a, np.nan)
    day = chain.day[a:b]
    for c, low, high in chain.candidates(k, int(day[0]), int(day[-1])):
        i, j = np.searchsorted(day, (low, high + 1))
        contract[i:j] = chain.contracts[c]
        start, end = int(chain.starts[c]), int(chain.starts[c + 1])
        found = np.minimum(np.searchsorted(chain.time[start:end], chain.time[a + i : a + j]), end - start - 1) + start
        same = chain.time[found] == chain.time[a + i : a + j]
        settled = ~np.isnan(chain.prices["settle"][a + i : a + j])
        other = np.where(settled, chain.prices["settle"][found], chain.prices["close"][found])
        price[i:j] = np.where(same, other, np.nan)
    return contract, price


def _last_rows(chain, rolls, part):
    """True on the last row of each part that its roll has ended by the last day of the chain."""
    ended = np.searchsorted(rolls.frame["day"].to_numpy(), chain.days[-1:], side="right").sum()
    return np.append(part[1:] != part[:-1], True)[: len(part)] & (part < ended)


def _joined(arrays, kind):
    return np.concatenate(arrays) if arrays else np.array([], kind)


def _finished(frame, columns):
    """The frame with these columns, those it lacks null, nan null, and `adjusted`."""
    frame = frame.with_columns(**{name: pl.Series(x) for name, x in columns.items()})
    lacking = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns]
    frame = frame.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None), pl.col("next_contract").replace(0, None))
    return frame.with_columns(adjusted(frame))
