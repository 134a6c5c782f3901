"""Signals: what a strategy enters and leaves, and the orders that enter and protect it.

Rules of an entry and an exit, row by row (`latched`):

- An entry opens its side and holds it until an exit, or until an entry of the other side, which turns it.
- An exit closes what was held before its row; an entry of the same side on that row counts for nothing, one of the
  other side, or one from flat, does.
- A run of rows that all ask for the same side is one wish, an *episode*. What a stop, target or time exit ends inside
  an episode is not entered again before the next one. With `renew` every row that asks is a wish of its own: so an
  order whose price moves from bar to bar is given anew.
- A market's holiday (an entry of nan) is no row: it neither asks nor ends a run.

Prices of orders are in the adjusted frame and hold from the next bar on; distances are in points and positive.
"""

from typing import NamedTuple

import numpy as np

from engine.book import LIMIT, MARKET, STOP, STOP_LIMIT, Orders
from engine.indicators import latest
from engine.kernel import kernel

PRICES = ("price", "limit", "stop_at", "target_at")  # [adjusted points]
DISTANCES = ("stop", "target", "trail")  # [points]
ALLOWED = {"kind": "0 market, 1 limit, 2 stop, 3 stop limit", "hold": "0 or more whole bars"}


class Signals(NamedTuple):
    """Arrays (time, market), row t known at the end of bar t. nan: none. Made by `Signals.build`.

    The row of the entry tells its order, its distances and `hold`; `stop_at` and `target_at` of later rows move the
    levels of what is held.
    """

    entry: np.ndarray  # signed strength, 1 the usual long; 0 none, nan a holiday [1]
    exit: np.ndarray  # bool: what was held is left at the market
    kind: np.ndarray  # int8, of book.ORDERS: how it is entered
    price: np.ndarray  # of the limit order, or that triggers the stop [adjusted points]
    limit: np.ndarray  # of a stop-limit order [adjusted points]
    day: np.ndarray  # bool: the entry lapses after one bar; else it waits until filled or no longer wanted
    stop: np.ndarray  # protective stop, distance from the fill [points]
    stop_at: np.ndarray  # protective stop, price [adjusted points]
    target: np.ndarray  # distance from the fill [points]
    target_at: np.ndarray  # price [adjusted points]
    trail: np.ndarray  # trailing stop, distance from the best price since the entry [points]
    hold: np.ndarray  # int32: bars after which it is left; 0 none
    renew: np.ndarray  # bool: every row that asks is an episode of its own

    @classmethod
    def build(
        cls, market, entry, exit=False, kind=MARKET, price=np.nan, limit=np.nan, day=False, stop=np.nan,
        stop_at=np.nan, target=np.nan, target_at=np.nan, trail=np.nan, hold=0, renew=False,
    ):  # fmt: skip
        """Signals of a market from arrays (time, market), (market,) or numbers; what is left out is none.

        An entry counts for nothing where what its order needs is not known: a limit or stop without a price, a
        stop-limit without a limit, a distance of 0 (of a market that has not moved). A negative distance or `hold`, one
        of parts of a bar, an infinite number and an unknown kind are errors of the strategy.

        >>> from types import SimpleNamespace
        >>> market = SimpleNamespace(mark=np.array([[10.0], [np.nan], [12.0]]))
        >>> Signals.build(market, np.array([[1], [0], [0]]), stop=2.0).stop.ravel()
        array([2., 2., 2.])
        """
        shape = np.shape(market.mark)
        given = {"entry": entry, "price": price, "limit": limit, "stop": stop, "stop_at": stop_at}
        given |= {"target": target, "target_at": target_at, "trail": trail}
        arrays = {name: _filled(value, shape, np.float64, name) for name, value in given.items()}
        arrays |= {"kind": _filled(kind, shape, np.int8, "kind"), "hold": _filled(hold, shape, np.int32, "hold")}
        arrays |= {k: _filled(v, shape, bool, k) for k, v in (("exit", exit), ("day", day), ("renew", renew))}
        _check(arrays, market)
        void = (arrays["kind"] != MARKET) & np.isnan(arrays["price"])
        void |= (arrays["kind"] == STOP_LIMIT) & np.isnan(arrays["limit"])
        for name in DISTANCES:
            void |= arrays[name] == 0.0
            arrays[name][arrays[name] == 0.0] = np.nan
        arrays["entry"][void & ~np.isnan(arrays["entry"])] = 0.0
        arrays["entry"][np.isnan(market.mark) & (arrays["entry"] == 0.0)] = np.nan
        return cls(**arrays)

    def latched(self):
        """(strength held, episode), arrays (time, market): see `latched`."""
        return latched(self.entry, self.exit, self.renew)

    def ordered(self):
        """Whether anything is asked but entries and exits at the market, array (market,) of bool."""
        asked = (self.kind != MARKET) | (self.hold > 0)
        for name in ("stop", "stop_at", "target", "target_at", "trail"):
            asked |= ~np.isnan(getattr(self, name))
        return asked.any(axis=0)

    def risk_points(self, adjusted):
        """Distance from the entry to the protective stop in force at first, the tightest of all; nan where none.

        Measured from the order's price, else from the newest adjusted price. [points]
        """
        side = np.sign(self.latched()[0])
        start = np.where(self.kind == MARKET, latest(np.ascontiguousarray(adjusted)), self.price)
        level = side * (start - self.stop_at)
        return np.fmin(np.fmin(self.stop, self.trail), np.where(level > 0, level, np.nan))


def orders(decisions, columns):
    """The orders of members, strategy by strategy.

    Parameters
    ----------
    decisions : list
        One a strategy, with `signals` (Signals, or None of one that trades at the market) and `episode` (time, market).
    columns : list of array (member,) of int
        The columns of the market that are the members of each strategy.

    Returns
    -------
    Orders, array (member,) of bool
        Of no rows where no member has an order of its own; and which have.
    """
    ordered = [
        np.zeros(len(mine), dtype=bool) if one.signals is None else one.signals.ordered()[mine]
        for one, mine in zip(decisions, columns, strict=True)
    ]
    ordered = np.concatenate(ordered) if ordered else np.zeros(0, dtype=bool)
    if not ordered.any():
        return nothing(0, len(ordered)), ordered
    parts = [_members(one, np.asarray(mine)) for one, mine in zip(decisions, columns, strict=True)]
    joined = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    return Orders(*(np.ascontiguousarray(array) for array in joined)), ordered


def nothing(bars, members):
    """Orders that ask for nothing: entries at the market, no protection, one episode.

    >>> nothing(2, 1).kind.ravel(), nothing(0, 3).stop.shape
    (array([0, 0], dtype=int8), (0, 3))
    """
    kinds = {"kind": np.int8, "day": bool, "hold": np.int32, "episode": np.int32}
    shape = (bars, members)
    return Orders(
        *(np.zeros(shape, kinds[name]) if name in kinds else np.full(shape, np.nan) for name in Orders._fields)
    )


def in_percent(market, percent):
    r"""A share of the contract's own price as a distance, for stops and trails "of so many per cent".

    .. math:: d_t = |p_t| \cdot percent / 100

    Parameters
    ----------
    market : Market
    percent : float or array
        [%]

    Returns
    -------
    array (time, market)
        [points]; a holiday keeps the last; nan before the first price. The adjusted price has no per cent (T1).

    Source: DOMAIN T1.

    >>> from types import SimpleNamespace
    >>> in_percent(SimpleNamespace(mark=np.array([[4000.0], [np.nan], [-40.0]])), 2.5).ravel()
    array([100., 100.,   1.])
    """
    return np.abs(latest(np.ascontiguousarray(market.mark))) * (np.asarray(percent) / 100.0)


def _members(one, mine):
    """Orders of the members of one strategy, which are the columns `mine`."""
    if one.signals is None:
        return nothing(len(one.episode), len(mine))._replace(episode=one.episode[:, mine])
    known = one.signals._asdict() | {"episode": one.episode}
    return Orders(*(known[name][:, mine] for name in Orders._fields))


def _filled(value, shape, dtype, name):
    """An array of its own (time, market), C order; parts of what is whole, or of true and false, are refused."""
    given = np.asarray(value)
    if dtype is not np.float64 and given.dtype.kind == "f":
        odd = given[np.isnan(given) if dtype is bool else given != np.floor(given)]
        if odd.size:
            raise ValueError(f"signals: {name} = {odd.flat[0]}; allowed: {ALLOWED.get(name, 'true or false')}")
    try:
        return np.array(np.broadcast_to(np.asarray(value, dtype=dtype), shape), dtype=dtype, order="C")
    except (ValueError, TypeError) as fault:
        raise ValueError(
            f"signals: {name} has shape {np.shape(value)} of {np.asarray(value).dtype}; "
            f"allowed: numbers, or an array that fits (time, market) = {shape}"
        ) from fault


def _check(arrays, market):
    """Refuse what no market can cause: these are errors of the strategy."""
    wrong = {name: np.isinf(arrays[name]) for name in ("entry", *PRICES, *DISTANCES)}
    for name in DISTANCES:
        wrong[name] |= arrays[name] < 0.0
    wrong["hold"] = arrays["hold"] < 0
    wrong["kind"] = ~np.isin(arrays["kind"], (MARKET, LIMIT, STOP, STOP_LIMIT))
    for name, bad in wrong.items():
        if bad.any():
            t, m = np.argwhere(bad)[0]
            raise ValueError(
                f"signals: {name} = {arrays[name][t, m]} {_place(market, t, m)}; allowed: "
                + ALLOWED.get(name, "a distance above 0, or nan" if name in DISTANCES else "a finite number, or nan")
            )


def _place(market, t, m):
    """Where that is, as its reader knows it: the market's name and the day, where there are names and days."""
    if not hasattr(market, "names") or not hasattr(market, "days"):
        return f"at bar {t} of column {m}"
    return f"of {market.names[m]} on {market.days[t]} (column {m}, bar {t})"


@kernel
def latched(entry, exit, renew):
    """Strength held and number of the episode, from entries and exits; the rules stand at the top of this file.

    Parameters
    ----------
    entry : array (time, market)
        Signed strength; 0 none, nan a holiday. [1]
    exit : array (time, market) of bool
    renew : array (time, market) of bool
        Every row that asks is an episode of its own.

    Returns
    -------
    array (time, market), array (time, market) of int32
        Strength of the episode's first row while it is held, else 0 [1]; the episode's number, from 1 on, 0 before.

    Source: definition.

    Long on row 0; the second ask of the same run is no new wish, that after a pause is; row 5 turns it, row 6 leaves:

    >>> entry = np.array([[1.0], [1.0], [0.0], [0.5], [np.nan], [-1.0], [0.0]])
    >>> no = np.zeros(entry.shape, dtype=np.bool_)
    >>> leave = no.copy(); leave[6] = True
    >>> side, episode = latched(entry, leave, no)
    >>> side.ravel(), episode.ravel()
    (array([ 1. ,  1. ,  1. ,  0.5,  0.5, -1. ,  0. ]), array([1, 1, 1, 2, 2, 3, 3], dtype=int32))
    """
    out = np.zeros(entry.shape)
    episode = np.zeros(entry.shape, dtype=np.int32)
    count = np.zeros(entry.shape[1], dtype=np.int32)
    held = np.zeros(entry.shape[1])
    before = np.zeros(entry.shape[1])  # side asked for on the last row that was no holiday
    for t in range(entry.shape[0]):
        for m in range(entry.shape[1]):
            asked = np.sign(entry[t, m])
            left = 0.0
            if exit[t, m]:
                left = np.sign(held[m])
                held[m] = 0.0
            if not np.isnan(asked):
                if asked != 0.0 and asked != left and (asked != before[m] or renew[t, m]):
                    count[m] += 1
                    held[m] = entry[t, m]
                before[m] = asked
            out[t, m] = held[m]
            episode[t, m] = count[m]
    return out, episode


def episodes(forecast):
    """Number of the episode of forecasts: a new one whenever the side changes; nan is held as 0.

    >>> episodes(np.array([[0.0], [1.0], [0.5], [0.0], [1.0], [-1.0]])).ravel()
    array([0, 1, 1, 2, 3, 4], dtype=int32)
    """
    side = np.sign(np.nan_to_num(forecast))
    return np.cumsum(np.diff(side, axis=0, prepend=np.zeros((1, side.shape[1]))) != 0.0, axis=0, dtype=np.int32)
