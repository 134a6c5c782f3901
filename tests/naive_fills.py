"""Slow twin of what happens inside a bar: the price walks tick by tick, and at every tick each order is asked.

A bar is the open, one extreme, the other, the close, joined by straight lines; which extreme comes first is not known,
so both are walked. All is counted in ticks; a seller is a buyer whose prices have changed sign.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

HAIR = 1e-6  # within which two prices are one [ticks]
LIMIT, STOP, STOP_LIMIT = 1, 2, 3
WORST, NEARER, FINER = 0, 1, 2
NONE = math.nan


def down(x):
    """The tick at or below x, counted in ticks."""
    return x if math.isnan(x) else float(math.floor(x + HAIR))


def up(x):
    """The tick at or above x, counted in ticks."""
    return x if math.isnan(x) else float(math.ceil(x - HAIR))


def rounded(price, tick, upward):
    """A price on a tick."""
    return price if math.isnan(price) or not tick > 0 else (up if upward else down)(price / tick) * tick


@dataclass
class State:
    """A buyer's orders and position while the price walks; prices in ticks."""

    kind: int = -1  # of the pending entry; -1 none
    price: float = NONE
    limit: float = NONE
    triggered: bool = False
    held: bool = False
    stop: float = NONE
    target: float = NONE
    stop_distance: float = NONE
    target_distance: float = NONE
    entry: float = NONE  # fill of this bar
    exit: float = NONE
    why: str = ""  # stop or target, once it is left
    new: bool = True  # the order at work has been given at this very price


def at_tick(state, x, slack):
    """Ask every order at one price; one that fills may be followed by the next at the same price."""
    if state.why:
        return
    if not state.held and state.kind in (STOP, STOP_LIMIT) and not state.triggered and x >= state.price - HAIR:
        state.triggered = state.new = True
        if state.kind == STOP:
            entered(state, x)
    resting = state.kind == LIMIT or (state.kind == STOP_LIMIT and state.triggered)
    if not state.held and resting:
        if state.new and better(state.limit - x, slack):
            entered(state, x)
        elif x <= state.limit - slack + HAIR:
            entered(state, state.limit)
    if state.held:
        left(state, x, slack)
    state.new = False


def better(by, slack):
    """Whether a price that is better than a limit by so many ticks meets a limit order that is new."""
    return by > HAIR if slack else by >= -HAIR


def entered(state, x):
    """The entry is filled: levels at a distance begin to count, the tighter holds."""
    state.held, state.entry, state.new = True, x, True
    stops = [level for level in (state.stop, down(x - state.stop_distance)) if not math.isnan(level)]
    targets = [level for level in (state.target, up(x + state.target_distance)) if not math.isnan(level)]
    state.stop, state.target = max(stops, default=NONE), min(targets, default=NONE)


def left(state, x, slack):
    """Whether stop or target end the position at this price; a stop is met at what is traded, a target at its price."""
    if x <= state.stop + HAIR:
        state.why, state.exit = "stop", x if state.new else state.stop
    elif state.new and better(x - state.target, slack):
        state.why, state.exit = "target", x
    elif x >= state.target + slack - HAIR:
        state.why, state.exit = "target", state.target


def ticks_between(x, to):
    """All prices from one to another, on ticks between them, both ends included; the first may be given again."""
    if x <= to:
        return [x, *map(float, range(math.ceil(x + HAIR), math.floor(to - HAIR) + 1)), to]
    return [-price for price in ticks_between(-x, -to)]


def told(state, points, slack):
    """Walk from point to point; a copy of the state as it is at the end."""
    state = replace(state)
    for x, to in pairwise(points):
        for price in ticks_between(x, to):
            at_tick(state, price, slack)
    return state


def what(state):
    """What filled, at which price, and what is left waiting."""
    return (*(None if math.isnan(x) else x for x in (state.entry, state.exit)), state.why, state.triggered)


def value(before, state, close):
    """What a way to tell the bar leaves a buyer, marked at the close. [ticks]"""
    paid = state.entry if state.held and not before.held else close
    return (state.exit if state.why else close) - paid


def bar(state, prices, slack, policy):
    """Both ways to tell a bar: the state after the one that the policy takes, and whether they differ."""
    start, high, low, close = prices
    top, bottom = max(high, low, start), min(high, low, start)
    end = min(max(close, bottom), top)  # a settlement may lie outside the range; nothing trades there
    state = replace(state, new=True)
    first_down = told(state, [start, bottom, top, end], slack)
    first_up = told(state, [start, top, bottom, end], slack)
    if what(first_down) == what(first_up):
        return first_down, False
    worse = first_up if value(state, first_up, close) < value(state, first_down, close) - HAIR else first_down
    nearer = (top - start) - (start - bottom)
    if policy == NEARER and abs(nearer) > HAIR:
        return (first_down if nearer > 0 else first_up), True
    return worse, True


def walk(bars, tick, side, order, stop, target, through, policy):
    """What happens on a bar: ([(what, price)], ambiguous, triggered).

    `bars` is one (open, high, low, close), or the finer bars; `order` (kind, side, price, limit, triggered, stop
    distance, target distance) or None; levels in contract points, nan none.
    """
    order = order or (-1, 0, NONE, NONE, False, NONE, NONE)
    kind, order_side, price, limit, triggered, stop_distance, target_distance = order
    sign, grid = side or order_side, tick if tick > 0 else 1.0
    turn = [sign * x / grid for x in (price, limit, stop, target)]
    state = State(
        kind, up(turn[0]), down(turn[0] if kind == LIMIT else turn[1]), triggered, side != 0, down(turn[2]),
        up(turn[3]), stop_distance / grid, target_distance / grid,
    )  # fmt: skip
    before, ambiguous = replace(state), False
    for prices in bars:
        if all(map(math.isfinite, prices)) and not state.why:
            state, differs = bar(state, [sign * x / grid for x in prices], 1.0 if through else 0.0, policy)
            ambiguous |= differs
    fills = [("entry", sign * state.entry * grid)] if state.held and not before.held else []
    if state.why:
        fills.append((state.why, sign * state.exit * grid))
    return fills, ambiguous, state.triggered and kind == STOP_LIMIT


def gapped(start, tick, side, stop, target):
    """Whether the open has reached stop or target of a position."""
    hair = HAIR * tick
    return side * start <= side * stop + hair or side * start >= side * target - hair
