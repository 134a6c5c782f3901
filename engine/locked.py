"""Days on which a market stood at its limit all day, so that one side found nobody to trade with (DOMAIN T22).

Exchanges of grains, livestock and shares let a price move only so far from the last settlement. A bar of one price at
that limit is a market in which buyers (at the upper limit) or sellers (at the lower) waited in vain: an order on their
side cannot have been filled, one on the other side can.
"""

import numpy as np

from engine.kernel import kernel

RULES = ("known", "flat", "off")
FOREVER = "0001-01-01"  # day of a fact that has always held


def locked(market, limits=None, rule="known"):
    """Where a market was locked at a price limit.

    Parameters
    ----------
    market : Market
        Bars within the day are held against the last mark of the day before.
    limits : (array, array), optional
        Of `price_limits`; needed by rule "known".
    rule : str
        "known": a bar of one price that has moved by the limit, or more: after a day at the limit exchanges widen it
        by half, and round that up. "flat": any bar of one price that has moved at all, for markets whose limits
        nobody wrote down; of bars within the day only while the whole day has seen that one price. "off": never.

    Returns
    -------
    array (time, market) of int8
        1 locked at the upper limit: not to be bought; -1 at the lower: not to be sold; 0 not. Row t reads rows 0..t.

    The move is that of the contract held: from the last adjusted mark, brought back to the contract's prices.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} of locked markets is not known; allowed: {', '.join(RULES)}")
    if rule == "off":
        return np.zeros(market.mark.shape, np.int8)
    arrays = (market.open, market.high, market.low, market.close, market.mark, market.offset)
    before, price = _of_one_price(market.days.astype(np.int64), *map(np.ascontiguousarray, arrays), rule == "flat")
    return _sides(price - before, market.tick if rule == "flat" else _distance(market, limits, before), market.tick)


def price_limits(master, roots, days):
    """The widest move from the last settlement that exchanges allow, by day; nan where there is none, or none is known.

    Parameters
    ----------
    master : Master
        Its fact `price_limit` says `7%`, or points; an empty one from a day on that none is known. Never carried back.
    roots : list of str
    days : array (time,) of datetime64[D]

    Returns
    -------
    array, array (time, market)
        Limits in points, and as a share of the last settlement; at most one of both is not nan. [points], [1]

    >>> from store.contracts import Master
    >>> points, share = price_limits(Master.load(), ["ZC", "ES"], np.array(["2021-05-03"], "datetime64[D]"))
    >>> points, share
    (array([[40., nan]]), array([[nan, 0.2]]))
    """
    out = np.full((2, len(days), len(roots)), np.nan)
    for m, root in enumerate(roots):
        facts = master.facts(root, "price_limit")
        if not facts:
            continue
        since = np.array([fact.valid_from or FOREVER for fact in facts], "datetime64[D]")
        row = np.searchsorted(since, np.asarray(days, "datetime64[D]"), side="right") - 1
        values = np.array([_limit(fact.value) for fact in facts])
        out[:, :, m] = np.where(row >= 0, values[row.clip(0)].T, np.nan)
    return out[0], out[1]


def _limit(text):
    """(points, share) of a limit as the master writes it.

    >>> _limit("7%"), _limit("0.45"), _limit("")
    ((nan, 0.07), (0.45, nan), (nan, nan))
    """
    if not text:
        return np.nan, np.nan
    return (np.nan, float(text[:-1]) / 100.0) if text.endswith("%") else (float(text), np.nan)


def _distance(market, limits, before):
    """Points from the last mark to the limit; a share of a price is rounded down to the tick."""
    if limits is None:
        raise ValueError("locked by known limits needs them: price_limits(master, roots, days)")
    points, share = limits
    ticks = np.floor(share * np.abs(before) / market.tick + 1e-6)
    return np.where(np.isnan(points), ticks * market.tick, points)


def _sides(move, distance, tick):
    """1 where the move reaches the distance upward, -1 downward; half a tick short is there."""
    at = distance - 0.5 * tick
    return (move >= at).astype(np.int8) - (move <= -at).astype(np.int8)


@kernel
def _of_one_price(day, open, high, low, close, mark, offset, whole_day):
    """(last mark of an earlier day in the prices of the row's contract, the bar's price where it has but one).

    Arrays (time, market). A vendor that gives settlements alone has no `close`; open, high and low are enough. With
    `whole_day` all bars of the day so far must have had that price.
    """
    before, price = np.full(mark.shape, np.nan), np.full(mark.shape, np.nan)
    for m in range(mark.shape[1]):
        settled = settled_offset = last = last_offset = only = np.nan
        for t in range(mark.shape[0]):
            if t > 0 and day[t] > day[t - 1]:
                settled, settled_offset, only = last, last_offset, np.nan
            before[t, m] = settled + (settled_offset - offset[t, m])
            at = open[t, m]
            if not np.isnan(at):
                same = high[t, m] == at and low[t, m] == at and (np.isnan(close[t, m]) or close[t, m] == at)
                only = at if same and (np.isnan(only) or only == at) else np.inf  # of the day so far
                if same and (not whole_day or only == at):
                    price[t, m] = at
            if not np.isnan(mark[t, m]):
                last, last_offset = mark[t, m], offset[t, m]
    return before, price
