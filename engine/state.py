"""What the loop over bars reads and remembers, as records: the fields of one thing lie side by side in memory.

Records also keep compiling quick: a kernel that is handed fifty arrays takes minutes.
"""

from typing import NamedTuple

import numpy as np

from engine.book import TRADE_FIELDS


def record_of(floats, whole=(), small=(), flags=()):
    """The type of records with these fields, one beside the other in memory."""
    kinds = ((floats, np.float64), (whole, np.int64), (small, np.int32), (flags, np.bool_))
    return np.dtype([(name, kind) for names, kind in kinds for name in names], align=True)


# What a market says on a bar: the fields of `book.Prices`, and of `book.Facts` those that trading needs. What every bar
# reads comes first.
BAR = record_of(
    (
        "mark", "market", "offset", "multiplier", "fx", "slippage", "commission", "impact", "volume", "open", "high",
        "low", "close", "tick", "roll_from", "roll_to", "roll_from_fill", "roll_to_fill", "roll_volume", "left_open",
        "left_mark", "left_volume", "roll_slippage", "roll_commission", "liquidity",
    ),
    small=("contract", "roll_contract", "left_contract", "locked"),
    flags=("roll", "closed", "left_end"),
)  # fmt: skip
# A row of `book.Orders` of one member
ASKED = record_of(
    ("price", "limit", "stop", "stop_at", "target", "target_at", "trail"), small=("kind", "hold", "episode"),
    flags=("day",),
)  # fmt: skip
# A line: what it is, and what is known of it from bar to bar
#   instrument, member, root, sleeve   as in `book.Lines`, and so is ratio
#   position, target [contracts, signed]
#   left             part of the position still in the contract rolled out of
#   held             contract of the other part; left_contract that of the part left
#   last, adjusted   price at which it was last marked, of the contract held, and in the adjusted frame [points]
#   balance, fx      foreign cash kept when not swept [local currency], and the rate of the bar before
#   spread           price of the contract rolled out of less that of the one held, when last marked [points]
#   delta            contracts of the bar's market order, or roll
#   part             of the market order what is traded in the contract rolled out of
#   opened           position after the market orders at the open; where they come later, before the bar
#   share, net       part of it that is traded outside (lines of one contract net), and net size of its contract
#   residual         sum of contract less adjusted profit [account currency]
#   ambiguous        bars that could be told in two ways
#   left_bars        bars since the roll began
#   why, kind        of EXITS and KINDS: why the position is being closed, and by what order
#   out              bar on which a protective order was met last
#   cut              the volume of the bar left something of the market order
#   priced           of a leg: the market has had a bar on this day
#   missing          of a leg: days in a row without one, on which another leg had one
LINE = record_of(
    (
        "position", "target", "left", "last", "adjusted", "balance", "fx", "spread", "delta", "part", "opened", "share",
        "net", "ratio", "residual", "ambiguous",
    ),
    (
        "instrument", "member", "root", "sleeve", "held", "left_contract", "left_bars", "why", "kind", "out", "cut",
        "priced", "missing",
    ),
)  # fmt: skip
# A member, from bar to bar; levels in adjusted points:
#   stop, stop_at    protective stop by its distance from the entry, and by its price (of a waiting entry as well)
#   goal, goal_at    target, likewise
#   trail, best      distance of the trailing stop, and best price since the entry
#   hold, entered    days after which it is left (0 none), and bar of the last entry
#   days             ends of days since the entry
#   seen             it was held on a bar of its market since the last end of a day
#   episode, blocked wish that the position answers, and wish in which it is not entered again
#   closing          a protective order was met, and what is left of the position goes
#   pending, amount  kind of the entry that waits (-1 none), and its size [contracts, signed]
#   asked            row of the orders that asked for it
#   triggered        the stop of a stop-limit order has been reached
#   filled           a part of the waiting entry was filled
#   tried            the waiting entry has met a bar of its market
#   first, after     its first line, and the one after its last
#   broken           of a spread: a leg could no longer trade, and the others are closed
#   ordered          whether the orders say anything of it
MEMBER = record_of(
    ("stop", "stop_at", "goal", "goal_at", "trail", "best", "amount"),
    (
        "hold", "entered", "days", "seen", "episode", "blocked", "closing", "pending", "asked", "triggered", "filled",
        "tried", "first", "after", "broken",
    ),
    flags=("ordered",),
)  # fmt: skip


class State(NamedTuple):
    """What the loop remembers from bar to bar."""

    line: np.ndarray  # (line,) of LINE
    member: np.ndarray  # (member,) of MEMBER
    spread: np.ndarray  # int64: members of several legs
    sleeve: np.ndarray  # (sleeve,) equity [account currency]
    open: np.ndarray  # (3, line, trade field): the trades now open
    count: np.ndarray  # int64 (4,) rows used of fills, trades, legs, events
    money: np.ndarray  # (3,) equity; 1 where the capital floor was reached; 1 where the ruin was told
    path: np.ndarray  # (4, 2) what `fills.walk` found


class Books(NamedTuple):
    """Where what happens is written down; see `book.Ledger`."""

    amount: np.ndarray
    notional: np.ndarray
    fills: np.ndarray
    trades: np.ndarray
    legs: np.ndarray
    events: np.ndarray


class Curves(NamedTuple):
    """What there is at the end of every bar; see `book.Ledger`."""

    position: np.ndarray
    left: np.ndarray
    equity: np.ndarray
    sleeve: np.ndarray
    margin: np.ndarray


def begin(lines, ordered, sleeves):
    """What the loop starts with: nothing held, nothing asked."""
    count, members = len(lines.member), len(ordered)
    line, member = np.zeros(count, LINE).view(np.recarray), np.zeros(members, MEMBER).view(np.recarray)
    for name in ("instrument", "member", "root", "sleeve", "ratio"):
        line[name][:] = getattr(lines, name)
    for name in ("last", "adjusted"):
        line[name][:] = np.nan
    for name in ("stop", "stop_at", "goal", "goal_at", "trail", "best"):
        member[name][:] = np.nan
    line["out"][:], member["blocked"][:], member["pending"][:] = -1, -1, -1
    member["ordered"][:] = ordered
    member["first"][:] = np.searchsorted(lines.member, np.arange(members), side="left")
    member["after"][:] = np.searchsorted(lines.member, np.arange(members), side="right")
    return State(
        line=line,
        member=member,
        spread=np.flatnonzero(member["after"] - member["first"] > 1),
        sleeve=sleeves.capital.astype(np.float64).copy(),
        open=np.zeros((3, count, len(TRADE_FIELDS))),
        count=np.zeros(4, np.int64),
        money=np.array([float(np.sum(sleeves.capital)), 0.0, 0.0]),
        path=np.zeros((4, 2)),
    )


def bars_of(prices, facts):
    """Prices and facts side by side: one record a bar and market, so that what a bar needs lies together.

    `market` is `Prices.fill`: a record has no field of that name, for numpy's has a method.
    """
    told = {name: getattr(facts, name) for name in BAR.names if name in facts._fields}
    told |= {name: values for name, values in prices._asdict().items() if name in BAR.names}
    return _records(BAR, told | {"market": prices.fill}, prices.mark.shape)


def asked_of(orders, members):
    """Orders as records; of no rows where there are none."""
    told = {} if orders is None else orders._asdict()
    return _records(ASKED, told, orders.kind.shape if told else (0, members))


def _records(kind, columns, shape):
    out = np.zeros(shape, kind).view(np.recarray)
    for name, values in columns.items():
        out[name][...] = values
    return out
