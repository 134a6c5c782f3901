"""Regimes: in which condition each market and all of them together were on a day, as it was known at that day's close.

Five kinds, each a code a day, -1 where it is not known yet or the market is not traded:

| kind | of what | codes 0, 1, 2 |
| --- | --- | --- |
| volatility | place of the volatility, as a share of the price, among its own last five years | low, normal, high |
| trend | move of a year, in volatilities of a year | down, flat, up |
| term | carry: what the roll earns a year, in volatilities of a year | contango, flat, backwardation |
| risk | place of the mean absolute correlation among its own last five years | risk-on, normal, risk-off |
| states | state of a Markov switching model that is most likely, see `engine.analysis.states` | calm, wild |

Rules:

1. Row t reads rows 0..t of prices, and nothing else: labels of a part of the history are those of the whole, bit for
   bit.
2. A state is entered at its bound and left a band behind it, so that a value near the bound does not flicker.
3. All markets together are one more market, the `basket`: each of them long at equal risk. Its volatility, trend and
   states are measured as those of any market. Their term structure is by how many more are in backwardation than in
   contango, a third of all being the bound; their risk is by the mean of all pairs.
4. A price at or below zero is no special case: moves are in points, over volatilities in points; a volatility is told
   over the mean size of the price (`price_level`), never over an adjusted one (DOMAIN T1, T2, T14).
"""

from typing import NamedTuple

import numpy as np

from engine.analysis import states
from engine.indicators import before, change, seen, volatility
from engine.kernel import kernel
from engine.measures import past_change, smoothed
from engine.strategies.carry import carry
from engine.strategies.regime import place, settling

NAMES = {
    "volatility": ("low", "normal", "high"),
    "trend": ("down", "flat", "up"),
    "term": ("contango", "flat", "backwardation"),
    "risk": ("risk-on", "normal", "risk-off"),
    "states": ("calm", "wild"),
}
UNKNOWN = -1
SPAN = 36.0  # memory of a volatility, as that of the strategies [bars]
PAST, LEAST = 1260, 252  # bars among which a place is told, five years; and of which there must be, one
QUARTERS = (0.25, 0.75, 0.05)  # bounds of a place, and the band [1]
ALIKE = 2  # digits of the logarithm of a volatility: one that is a hundredth higher is not higher; its error is a tenth
TREND = (-0.5, 0.5, 0.1)  # of a year's move in its volatilities: without a drift it is flat 38 % of the time [1]
CARRY = (-0.1, 0.1, 0.05)  # of a year's carry in its volatilities [1]
BALANCE = (-1 / 3, 1 / 3, 0.1)  # of markets in backwardation less those in contango, of all [1]
LENGTH = 252  # of the trend [bars]
SLOW = 252.0  # memory of the volatility by which a market is weighed in the basket [bars]
SMOOTH = 90.0  # memory of the carry, as that of the strategy [bars]
WINDOW = 63  # of a correlation: three months [bars]
PRESENT = 0.75  # share of them that a market must have [1]
USUAL = 1260  # length of the usual volatility over which the moves of a model are taken, see `settling` [bars]


class Labels(NamedTuple):
    """Regimes of one kind, each as it was known at the close of its day."""

    kind: str
    names: tuple  # of the codes
    days: np.ndarray  # (time,) datetime64[D]
    market: np.ndarray  # (time, market) int8: code, -1 not known
    together: np.ndarray  # (time,) int8: that of all markets together


def labels(market, kind, models=None, adjusted=None):
    """Regimes of a kind.

    Parameters
    ----------
    market : Market
        Or anything with its arrays `days`, `mark`, `adjusted`, `available`, and for term structure `next_mark` and
        `next_days`.
    kind : str
        One of `NAMES`.
    models : list of Fits, optional
        For `states`: those that `models` made of the same market, which takes long; made here, if not given.
    adjusted : array (time, market + 1), optional
        What `with_basket` makes of the market, for several kinds of it; made here, if not given.

    Returns
    -------
    Labels

    Raises
    ------
    KeyError
        Not one of the kinds.
    """
    if kind not in NAMES:
        raise KeyError(f"regime {kind!r}; allowed: {', '.join(NAMES)}")
    if adjusted is None and kind in ("volatility", "trend", "states"):
        adjusted = with_basket(market)
    made = {"volatility": _volatility, "trend": _trend, "term": _term, "risk": _risk}
    code = _states(market, adjusted, models) if kind == "states" else made[kind](market, adjusted)
    code[:, :-1][~np.asarray(market.available)] = UNKNOWN
    return Labels(kind, NAMES[kind], market.days, np.ascontiguousarray(code[:, :-1]), code[:, -1].copy())


def models(market):
    """The models of `states` of each market and of the basket, a list of `engine.analysis.states.Fits`."""
    return states.fits(usual_moves(with_basket(market)), market.days)


def usual_moves(adjusted):
    """Changes of a price over their usual volatility, known the day before; (time, market) [1]."""
    moves = change(adjusted)
    return moves / before(settling(_known_volatility(moves, SPAN), USUAL))


def basket(market):
    r"""Daily profit of all markets long at equal risk: the mean of their moves, each in its volatility before.

    .. math:: b_t = \frac{1}{n_t} \sum_m (a_{t,m} - a_{t-1,m}) / \sigma_{t-1,m}

    A market on holiday does not move; one that is not traded, or has no volatility yet, takes no part.

    Returns
    -------
    array (time,)
        [daily volatilities of a market]; nan where no market has a bar, and before there is a volatility.

    Source: definition; equal risk as in T. Moskowitz, Y. Ooi, L. Pedersen, "Time Series Momentum", Journal of Financial
    Economics 104 (2012), eq. 5.
    """
    moves = change(np.ascontiguousarray(market.adjusted))
    sigma = before(_known_volatility(moves, SLOW))
    part = ~np.isnan(sigma) & np.asarray(market.available)
    scaled = np.where(part & ~np.isnan(moves), moves / sigma, 0.0)
    taking = part.sum(axis=1)
    open_ = (part & ~np.isnan(moves)).any(axis=1)
    return np.where(open_, scaled.sum(axis=1) / np.maximum(taking, 1), np.nan)


def with_basket(market):
    """Adjusted prices (time, market + 1), the last column the basket's, whose level means as little as theirs."""
    profit = basket(market)
    price = np.where(np.isnan(profit), np.nan, np.cumsum(np.nan_to_num(profit)))
    return np.column_stack([market.adjusted, price])


def _known_volatility(moves, span):
    """Daily volatility, nan until it has seen `span` changes and where nothing moves. [unit of the moves]"""
    sigma = volatility(moves, span)
    return np.where((seen(moves) >= span) & (sigma > 0.0), sigma, np.nan)


def price_level(market):
    """Mean size of the price of the contract held, by the memory of the volatility; (time, market) [points].

    What a volatility in points is a share of: without it a price that grew tenfold has been wild for years. Sizes, and
    a mean, so that a price at or below zero divides by none.
    """
    level = smoothed(np.abs(np.ascontiguousarray(market.mark)), SPAN)
    return np.where(level > 0.0, level, np.nan)


def _volatility(market, adjusted):
    sigma = _known_volatility(change(adjusted), SPAN)
    sigma[:, :-1] /= price_level(market)  # the basket's moves are in volatilities already
    sigma[np.isnan(adjusted)] = np.nan  # a holiday is no bar of the past
    return banded(place(np.round(np.log(sigma), ALIKE), LEAST, PAST), *QUARTERS)


def _trend(market, adjusted):
    sigma = _known_volatility(change(adjusted), float(LENGTH))
    return banded(past_change(adjusted, LENGTH) / (sigma * np.sqrt(LENGTH)), *TREND)


def _term(market, adjusted):
    code = banded(carry(market, SPAN, SMOOTH), *CARRY)
    traded = np.where(np.asarray(market.available), code, UNKNOWN)
    known, share = (traded >= 0).sum(axis=1), ((traded == 2).sum(axis=1) - (traded == 0).sum(axis=1))
    balance = np.where(known > 0, share / np.maximum(known, 1), np.nan)
    return np.column_stack([code, banded(balance[:, None], *BALANCE)])


def _risk(market, adjusted):
    moves = change(np.where(np.asarray(market.available), market.adjusted, np.nan))
    together = correlation(moves, WINDOW, PRESENT)
    together[np.isnan(moves).all(axis=1)] = np.nan
    return banded(place(together, LEAST, PAST), *QUARTERS)


def _states(market, adjusted, models_):
    moves = usual_moves(adjusted)
    known = states.fits(moves, market.days) if models_ is None else models_
    chance = states.told(moves, market.days, known)
    best = np.where(np.isnan(chance[..., 0]), UNKNOWN, np.argmax(np.nan_to_num(chance), axis=-1))
    return best.astype(np.int8)


@kernel
def banded(values, low, high, band):
    """0 below `low`, 2 above `high`, 1 between; 0 and 2 are left only when the value is `band` past their bound.

    Parameters
    ----------
    values : array (time, market)
        nan keeps the last code; -1 before the first value.
    low, high, band : float
        In the unit of the values.

    Returns
    -------
    array (time, market) of int8

    >>> banded(np.array([[np.nan], [0.8], [0.72], [0.6], [0.72], [0.2]]), 0.25, 0.75, 0.05).ravel()
    array([-1,  2,  2,  1,  1,  0], dtype=int8)
    """
    out = np.full(values.shape, UNKNOWN, dtype=np.int8)
    for m in range(values.shape[1]):
        code = UNKNOWN
        for t in range(values.shape[0]):
            value = values[t, m]
            if not np.isnan(value):
                if value > high or (code == 2 and value > high - band):
                    code = 2
                elif value < low or (code == 0 and value < low + band):
                    code = 0
                else:
                    code = 1
            out[t, m] = code
    return out


def correlation(moves, window, present):
    r"""Mean absolute correlation of each market with the others over the last rows, and that of all pairs.

    .. math:: \rho_{ij} = \frac{\sum x_i x_j}{\sqrt{\sum x_i^2 \sum x_j^2}}

    Parameters
    ----------
    moves : array (time, market)
        nan where there is no bar, which is no move.
    window : int
        Rows. [bars]
    present : float
        Share of the rows on which a market must have a bar to take part. [1]

    Returns
    -------
    array (time, market + 1)
        0 to 1 [1], the last column all pairs; nan until there are `window` rows, and for fewer than two markets.

    Source: J.P. Morgan, RiskMetrics Technical Document, 4th ed., 1996, ch. 5 (mean taken as zero). The sign is left
    out, for that of a currency or a bond depends on how it is quoted. Markets that close at other hours seem less alike
    than they are; that is the same every day.

    >>> correlation(np.array([[1.0, -2.0], [1.0, -2.0]]), 2, 1.0)
    array([[nan, nan, nan],
           [ 1.,  1.,  1.]])
    """
    there = ~np.isnan(moves)
    bars = np.cumsum(there, axis=0)
    bars[window:] -= bars[:-window].copy()
    clean = np.ascontiguousarray(np.where(there, moves, 0.0).T)
    sums, taking = _correlated(clean, np.ascontiguousarray((bars >= present * window).T), window)
    count = taking.sum(axis=0)
    others = np.where(taking & (count > 1), count - 1.0, np.nan)
    every = np.where(count > 1, count * (count - 1.0), np.nan)
    out = np.column_stack([(sums / others).T, sums.sum(axis=0) / every])
    out[: window - 1] = np.nan
    return out


@kernel
def _correlated(moves, present, window):
    """Sum of the absolute correlations of each market with the others, and where it takes part; (market, time) each.

    Pair by pair along time, so that a step is the same for a whole row of numbers; who does not take part has an
    infinite deviation.
    """
    count, rows = moves.shape
    out, root, taking = np.zeros((count, rows)), np.empty((count, rows)), np.zeros((count, rows), dtype=np.bool_)
    product, part, double, total = np.empty(rows), np.empty(rows), np.empty(rows), np.empty(rows)
    for i in range(count):
        for t in range(rows):
            product[t] = moves[i, t] * moves[i, t]
        _window_sums(product, window, part, double, total)
        for t in range(rows):
            taking[i, t] = present[i, t] and total[t] > 0.0
            root[i, t] = np.sqrt(total[t]) if taking[i, t] else np.inf
    for i in range(count):
        for j in range(i + 1, count):
            for t in range(rows):
                product[t] = moves[i, t] * moves[j, t]
            _window_sums(product, window, part, double, total)
            for t in range(rows):
                value = abs(total[t]) / (root[i, t] * root[j, t])
                out[i, t] += value
                out[j, t] += value
    return out, taking


@kernel
def _window_sums(values, length, part, double, total):
    """Sum over each window of `length` rows, into `total`; rows before `length - 1` mean nothing.

    Windows of 1, 2, 4... rows are each made of two halves, see `engine.indicators._window_gaps`: what is added, and in
    which order, depends on the window alone. Both terms of a sum have the same place in a slice: with `t - width` for
    one of them the compiler asks each time whether that is below zero, and no loop goes eight at a time (a third).
    """
    total[:] = 0.0
    part[:] = values
    width, done, rows = 1, 0, len(values)
    while width <= length and width <= rows:
        if length & width:
            whole, earlier = total[min(done, rows) :], part[: max(rows - done, 0)]
            for t in range(len(whole)):
                whole[t] += earlier[t]
            done += width
        if 2 * width > length:
            break
        double[:width] = part[:width]
        both, late, earlier = double[width:], part[width:], part[: rows - width]
        for t in range(len(both)):
            both[t] = late[t] + earlier[t]
        part, double = double, part
        width *= 2
