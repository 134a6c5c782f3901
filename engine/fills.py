"""At what price an order is filled: ticks, what happens inside a bar, how much of it trades.

A bar tells where it opened and closed and how far it went, not in which order. It is told twice: open-low-high-close
and open-high-low-close, each stretch a straight line on which orders are met in the order of their distance. Where both
tell the same there is nothing to ask; where they differ the bar is ambiguous and a policy chooses (T19):

- WORST: the one that leaves the trader worse off, marked at the close; of two that leave him equal the one that goes
  against him first.
- NEARER: the one whose first extreme is nearer to the open; equally near: the worse one.
- FINER: the finer bars of the bar, one after the other, in each the worse one; without finer bars: the worse one.

An order that the open has passed fills at the open: a stop at a worse price than its own (T18), a limit at a better
one (T20). A stop is met when touched. A limit fills when the price goes through it by a tick, or when touched. What is
entered inside a bar can be left inside it, at a level that the rest of the line meets; nothing is entered after an
exit. No order fills beyond high and low, though a settlement may lie there (T24).

The kernel sees buyers only: for a seller all prices change sign. Prices that differ by less than a millionth of a tick
are equal, for 1827 × 0.01 and what a file has as 18.27 need not have the same bits.
"""

from typing import NamedTuple

import numpy as np

from engine.book import FINER, LIMIT, NEARER, STOP, STOP_LIMIT
from engine.kernel import bare, inner

ENTERED, STOPPED, TAKEN = 1, 2, 3  # what filled: the entry, the protective stop, the target
HAIR = 1e-6  # within which two prices are one [ticks]
_WAITS, _RESTS, _HELD, _DONE = range(4)  # a stop not yet triggered; a limit in the book; a position; left again


@bare
def tick_down(x, tick):
    """Greatest price on a tick that is not above `x` (a millionth of a tick does not count). [points]

    A tick that is not above 0 leaves `x` as it is.

    >>> tick_down(99.80, 0.25), tick_down(99.75, 0.25), tick_down(-37.631, 0.01)
    (99.75, 99.75, -37.64)
    """
    if not tick > 0.0:
        return x
    return float(np.floor(x / tick + HAIR)) * tick + 0.0  # never a negative zero


@bare
def tick_up(x, tick):
    """Least price on a tick that is not below `x` (a millionth of a tick does not count). [points]

    >>> tick_up(99.80, 0.25), tick_up(99.75, 0.25)
    (100.0, 99.75)
    """
    if not tick > 0.0:
        return x
    return float(np.ceil(x / tick - HAIR)) * tick + 0.0


@bare
def stop_level(level, offset, order_side, tick):
    """Where a stop order given in adjusted prices lies in the contract held: rounded away from the market (T17).

    T17: a sell stop at 4090 with an offset of 25 is 4065; after the roll, offset 0, it is 4090.

    >>> stop_level(4090.0, 25.0, -1, 0.25), stop_level(4090.0, 0.0, -1, 0.25), stop_level(4090.1, 0.0, 1, 0.25)
    (4065.0, 4090.0, 4090.25)
    """
    return tick_up(level - offset, tick) if order_side > 0 else tick_down(level - offset, tick)


@bare
def limit_level(level, offset, order_side, tick):
    """Where a limit order given in adjusted prices lies in the contract held: rounded to where it is harder to fill.

    >>> limit_level(4090.1, 25.0, 1, 0.25), limit_level(4090.1, 25.0, -1, 0.25)
    (4065.0, 4065.25)
    """
    return tick_down(level - offset, tick) if order_side > 0 else tick_up(level - offset, tick)


@bare
def gapped(open, tick, side, stop, target):
    """Whether the open has reached the protective stop or the target of a position; levels in contract points.

    >>> gapped(97.0, 0.25, 1, 98.0, 103.0), gapped(100.0, 0.25, 1, 98.0, 103.0), gapped(97.0, 0.25, -1, np.nan, 97.0)
    (True, False, True)
    """
    hair = HAIR * tick if tick > 0.0 else 0.0
    return side * open <= side * stop + hair or side * open >= side * target - hair


@bare
def cap(size, volume, share, whole):
    """What may trade of an order of `size` contracts where it takes at most a share of the bar's volume (T23).

    Parameters
    ----------
    size : float
        [contracts, signed or not]
    volume : float
        Of the contract on the bar; nan where it is not known, and then nothing is held back. [contracts]
    share : float
        Most of it that is taken; infinite for no limit. [1]
    whole : bool
        Only whole contracts trade: what may trade is rounded down to them.

    Returns
    -------
    float
        [contracts], of the sign of `size` and not more than it.

    >>> cap(10.0, 40.0, 0.1, True), cap(-10.0, 40.0, 0.1, True), cap(10.0, np.nan, 0.1, True)
    (4.0, -4.0, 10.0)
    """
    if np.isnan(volume) or np.isinf(share):
        return size
    most = max(0.0, share * volume)
    if whole:
        most = float(np.floor(most + 1e-9))  # 0.29 × 100 is 29
    got = float(np.sign(size)) * min(abs(size), most)
    return float(np.trunc(got) if whole else got) + 0.0


def shown(price, slippage, order_side, high, low):
    """The price of fills with their slippage, not beyond the bar's range; the cost is booked whole all the same (T21).

    A fill that is itself outside the range (a settlement) is shown where it was. [points]

    >>> shown(np.array([101.0, 100.0]), 0.25, np.array([1, -1]), 101.0, 98.0)
    array([101.  ,  99.75])
    """
    slipped = price + order_side * slippage
    above, below = (order_side > 0) & (slipped > high), (order_side < 0) & (slipped < low)
    return np.where(above, np.maximum(high, price), np.where(below, np.minimum(low, price), slipped))


class _Ticket(NamedTuple):
    """Orders of a bar as a buyer sees them; numbers only, so that passing it on costs nothing."""

    is_limit: bool  # what waits to be triggered becomes a limit order
    price: float  # that triggers a stop; all prices in points, on ticks
    limit: float
    stop_distance: float
    target_distance: float
    tick: float
    slack: float  # how far the price must go beyond a limit
    at_once: float  # how far beyond a limit the price must be for the order to be filled as it is given
    hair: float


@bare
def walk(
    open, high, low, close, tick, side, kind, order_side, price, limit, triggered, stop, stop_distance, target,
    target_distance, through, policy, finer, first, last, out,
):  # fmt: skip
    """What happens inside a bar to one position, or to one pending entry.

    Parameters
    ----------
    open, high, low, close : float
        Of the contract held; one that is not finite: nothing happens. [points]
    tick : float
        [points]
    side : int
        Of the position: 1 long, -1 short, 0 flat. Of one that is held no entry is looked at.
    kind : int
        Of the pending entry: book.LIMIT, STOP or STOP_LIMIT; -1 none.
    order_side : int
        1 buys, -1 sells; of the entry only.
    price, limit : float
        Of the entry: its limit (LIMIT) or what triggers it (STOP, STOP_LIMIT), and the limit of a STOP_LIMIT.
        [contract points]
    triggered : bool
        A STOP_LIMIT was triggered on an earlier bar and is now a limit order.
    stop, target : float
        Protective stop and target of the position, or of the one entered on this bar; nan none. [contract points]
    stop_distance, target_distance : float
        From the fill of an entry on this bar; of stop and distance the tighter holds; nan none; not looked at where a
        position is held. [points]
    through : bool
        A limit fills when the price goes through it by a tick, else when touched.
    policy : int
        book.WORST, NEARER or FINER.
    finer : array (row, 4)
        Open, high, low, close of finer bars; those of this bar are the rows `first` to `last` (excluded). [points]
    out : array (2, 2)
        What filled: row k has (ENTERED, STOPPED or TAKEN; price in contract points).

    Returns
    -------
    fills : int
        Rows written to `out`: at most an entry and an exit, in this order.
    ambiguous : int
        1 where the two ways to tell the bar (FINER: a finer bar) differ in what filled, or at what price.
    triggered : int
        1 for a STOP_LIMIT that has been triggered, on this bar or before.

    All levels are rounded here, stops away from the market, limits to where they are harder to fill; a level that is
    on a tick stays.

    Source: DOMAIN T18 to T20. A long with a stop at 98 and a target at 103, on a bar that reaches both, loses:

    >>> out = np.empty((2, 2))
    >>> none, rest = np.nan, (False, 0, np.empty((0, 4)), 0, 0, out)
    >>> walk(100.0, 104.0, 97.0, 101.0, 0.25, 1, -1, 0, none, none, False, 98.0, none, 103.0, none, *rest)
    (1, 1, 0)
    >>> out[0]
    array([ 2., 98.])
    """
    sign = float(side if side != 0 else order_side)
    rests = kind == LIMIT or (kind == STOP_LIMIT and triggered)
    stage = _HELD if side != 0 else _RESTS if rests else _WAITS
    if side == 0 and kind not in (LIMIT, STOP, STOP_LIMIT):
        return 0, 0, 0
    hair = HAIR * tick if tick > 0.0 else 0.0
    slack = tick if through and tick > 0.0 else 0.0
    ticket = _Ticket(
        kind == STOP_LIMIT, tick_up(sign * price, tick), tick_down(sign * (price if kind == LIMIT else limit), tick),
        stop_distance, target_distance, tick, slack, hair if through else -hair, hair,
    )  # fmt: skip
    stop, target = tick_down(sign * stop, tick), tick_up(sign * target, tick)
    count, ambiguous = 0, 0
    within = policy == FINER and last > first
    for row in range(first if within else 0, last if within else 1):
        bar = (open, high, low, close)
        if within:
            bar = (finer[row, 0], finer[row, 1], finer[row, 2], finer[row, 3])
        if not np.isfinite(bar[0] + bar[1] + bar[2] + bar[3]):
            continue
        before = stage
        stage, entry, what, left, stop, target, differs = _bar(ticket, stage, stop, target, sign, bar, policy)
        ambiguous |= differs
        if before < _HELD <= stage:
            out[count, 0], out[count, 1] = ENTERED, sign * entry + 0.0
            count += 1
        if stage == _DONE:
            out[count, 0], out[count, 1] = what, sign * left + 0.0
            count += 1
            break
    return count, ambiguous, int(side == 0 and kind == STOP_LIMIT and stage >= _RESTS)


@inner
def _bar(ticket, stage, stop, target, sign, bar, policy):
    """A bar told in both ways, and the one that the policy takes: as `_path`, and whether they differ."""
    start, close = sign * bar[0], sign * bar[3]
    top = max(sign * bar[1], sign * bar[2], start)  # an open outside the range was traded all the same
    bottom = min(sign * bar[1], sign * bar[2], start)
    if not _reached(ticket, stage, stop, target, start, top, bottom):
        return stage, 0.0, 0, 0.0, stop, target, 0
    end = min(max(close, bottom), top)  # a settlement outside the range was not
    down = _path(ticket, stage, stop, target, start, bottom, top, end)
    up = _path(ticket, stage, stop, target, start, top, bottom, end)
    if down[0] == up[0] and down[1] == up[1] and down[2] == up[2] and down[3] == up[3]:
        return down[0], down[1], down[2], down[3], down[4], down[5], 0
    take = up if _value(stage, up, close) < _value(stage, down, close) - ticket.hair else down
    if policy == NEARER:
        nearer = (top - start) - (start - bottom)
        take = down if nearer > ticket.hair else up if nearer < -ticket.hair else take
    return take[0], take[1], take[2], take[3], take[4], take[5], 1


@inner
def _reached(ticket, stage, stop, target, start, top, bottom):
    """Whether anything can fill or be triggered on a bar; most bars reach no level, and this is all they cost."""
    hair = ticket.hair
    if stage == _HELD:
        return bottom <= stop + hair or top >= target + ticket.slack - hair or start >= target + ticket.at_once
    if stage == _RESTS:
        return bottom <= ticket.limit - ticket.slack + hair or start <= ticket.limit - ticket.at_once
    return top >= ticket.price - hair


@inner
def _value(before, path, close):
    """What a way to tell the bar leaves a buyer, marked at the close. [points]"""
    paid = path[1] if before < _HELD <= path[0] else close
    return (path[3] if path[0] == _DONE else close) - paid


@inner
def _path(ticket, stage, stop, target, start, second, third, end):
    """Walk from the open over two extremes to the close.

    Returns (stage, price of the entry, what the exit was, its price, stop, target), 0 for what did not happen.
    """
    entry, what, left, hair = 0.0, 0, 0.0, ticket.hair
    x, fresh = start, True  # fresh: the order was given at this moment and x may lie beyond it
    for k in range(3):
        to = second if k == 0 else third if k == 1 else end
        if stage == _WAITS and (to >= ticket.price - hair or (fresh and x >= ticket.price - hair)):
            x, fresh = (x if x >= ticket.price - hair else ticket.price), True
            stage = _RESTS if ticket.is_limit else _HELD
            entry = 0.0 if ticket.is_limit else x
            stop, target = _protect(ticket, stage, entry, stop, target)
        if stage == _RESTS:
            at_once = fresh and x <= ticket.limit - ticket.at_once
            if at_once or to <= ticket.limit - ticket.slack + hair:
                stage, entry = _HELD, (x if at_once else ticket.limit)
                x, fresh = (x if at_once else ticket.limit - ticket.slack), True
                stop, target = _protect(ticket, stage, entry, stop, target)
        if stage == _HELD:
            what, left = _exit(ticket, x, to, fresh, stop, target)
            if what != 0:
                stage = _DONE
        x, fresh = to, False
    return stage, entry, what, left, stop, target


@inner
def _protect(ticket, stage, entry, stop, target):
    """Levels that hold once the entry is filled: the tighter of those given and those at a distance from the fill."""
    if stage != _HELD:
        return stop, target
    near, far = (
        tick_down(entry - ticket.stop_distance, ticket.tick),
        tick_up(entry + ticket.target_distance, ticket.tick),
    )
    stop = near if np.isnan(stop) or near > stop else stop
    target = far if np.isnan(target) or far < target else target
    return stop, target


@inner
def _exit(ticket, x, to, fresh, stop, target):
    """What ends a long position on the straight line from `x` to `to`, and at what price; 0 nothing."""
    if fresh and x <= stop + ticket.hair:
        return STOPPED, x
    if fresh and x >= target + ticket.at_once:
        return TAKEN, x
    if to <= stop + ticket.hair:
        return STOPPED, stop
    if to >= target + ticket.slack - ticket.hair:
        return TAKEN, target
    return 0, 0.0
