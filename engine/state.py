"""What the loop over bars reads and remembers, as records: the fields of one thing lie side by side in memory.

A kernel is handed records, each one pointer, and few arrays: handed a hundred arrays it takes a minute to compile. What
most portfolios do not need is handed over apart (`Extras`, `Work`, `Books`), or None in its place: then it is not even
compiled.
"""

from typing import NamedTuple

import numba
import numpy as np

from engine import book
from engine.netting import Holdings, Room


def record_of(*fields):
    """The type of records of these fields, in their order; a name alone is a float.

    >>> record_of("price", ("day", bool)).names
    ('price', 'day')
    """
    told = [(field, np.float64) if isinstance(field, str) else field for field in fields]
    if taken := [name for name, _ in told if hasattr(np.record, name)]:
        raise ValueError(f"names of fields that records of numpy use for themselves: {', '.join(taken)}")
    return np.dtype([(name, kind) for name, kind in told], align=True)


def on_lines_of_cache(kind):
    """The same records, each on lines of the processor's cache of its own: an odd number of them, for lines that lie
    apart by a power of two have the same few places there.

    >>> on_lines_of_cache(record_of("price", ("day", bool))).itemsize
    64
    """
    told = [(name, *kind.fields[name][:2]) for name in kind.names]
    names, formats, offsets = zip(*told, strict=True)
    size = 64 * (-(-kind.itemsize // 64) | 1)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size}, align=True)


INDEX = (
    np.uint32
)  # of what stands at a place of an array: of a number with a sign numba asks first whether it is negative

# What of a market changes from bar to bar: the columns of `book.Prices` of that name, `market` being `fill`; and the
# usual volume, known at the end of the bar before.
BAR = record_of(
    "open", "high", "low", "close", "market", "mark", "volume", "left_open", "left_mark", "left_volume", "usual",
    ("locked", np.int64),
)  # fmt: skip
# What does not change with every bar, of `book.Facts` and the rest of `book.Prices`: what every bar reads, and what is
# read where something trades.
FACT = record_of(
    "offset", "multiplier", "fx", "initial", "maintenance", ("contract", np.int32), ("roll", np.bool_),
    ("closed", np.bool_), ("available", np.bool_),
)  # fmt: skip
TERMS = record_of(
    "liquidity", "open_interest", "sigma", "tick", "slippage", "commission", "impact", "roll_slippage",
    "roll_commission", "roll_from", "roll_to", "roll_from_fill", "roll_to_fill", "roll_volume",
    ("roll_contract", np.int32), ("left_contract", np.int32), ("left_end", np.bool_),
)  # fmt: skip
# A row of `book.Clock`, with what free cash, and what is missing, brings on the bar [1]
CLOCK = record_of(
    "credit", "debit", "transfer", ("day_end", np.bool_), ("month_begin", np.bool_), ("rebalance", np.bool_),
)  # fmt: skip
# A row of `book.Orders` of one member
ASKED = record_of(
    "price", "limit", "stop", "stop_at", "target", "target_at", "trail", ("kind", np.int32), ("hold", np.int32),
    ("episode", np.int32), ("day", np.bool_),
)  # fmt: skip
# The rules: `book.Account`, and what follows from the lines and limits:
#   limited   there are limits
#   risky     some of them bound the risk of a group
#   ordered   some member has orders
#   alone     each root has one line: nothing nets
#   shared    lines may trade the same contract, members have several legs, or fills are capped
#   spreads   some member has several legs
#   plain     every member is one line, sized by its forecast and nothing else
#   by_days   curves have one row a day
RULES = record_of(
    "buffer", "participation", "power", "intraday_margin", "spread_credit", "floor",
    "fee", "fixed_fee", ("rounding", np.int64), ("policy", np.int64), ("roll_days", np.int64), ("call", np.int64),
    ("stale_leg_days", np.int64),
    *((name, np.bool_) for name in (
        "per_capital", "compounding", "sweep", "at_open", "through", "daily", "limited", "risky", "ordered",
        "alone", "shared", "spreads", "plain", "by_days",
    )),
)  # fmt: skip
FILL, TRADE, EVENT, ENTRY = (
    record_of(*names) for names in (book.FILL_FIELDS, book.TRADE_FIELDS, book.EVENT_FIELDS, book.ENTRY_FIELDS)
)
# A line: what it is, and what is known of it from bar to bar
#   number           of the line; instrument, member, root, sleeve, ratio as in `book.Lines`
#   position, target [contracts, signed]
#   left             part of the position still in the contract rolled out of
#   held             contract of the other part; left_contract that of the part left
#   last             price at which it was last marked, of the contract held [points]
#   offset           of that price to the adjusted frame [points]
#   balance, rate    foreign cash kept when not swept [local currency], and its exchange rate of the bar before
#   spread           price of the contract rolled out of less that of the one held, when last marked [points]
#   delta            contracts of the bar's market order, or roll
#   part             of the market order what is traded in the contract rolled out of
#   opened           position after the market orders at the open; where they come later, before the bar
#   share, net       part of it that is traded outside (lines of one contract net), and net size of its contract
#   earned, price    of the bar: all that it earned; that of its price alone [account currency]
#   sides            of the bar: notional traded [account currency]
#   fills, costs, trades   so far: their number; paid for them [account currency]; trades flat to flat
#   residual         sum of contract less adjusted profit [account currency]
#   ambiguous        bars that could be told in two ways
#   wanted           target before limits and margin cut it
#   left_bars        bars since the roll began
#   why, kind        of EXITS and KINDS: why the position is being closed, and by what order
#   out              bar on which a protective order was met last
#   cut              the volume of the bar left something of the market order
#   priced           of a leg: the market has had a bar on this day
#   missing          of a leg: days in a row without one, on which another leg had one
#   ordered, busy    its member may have orders; what it has to do on the bar (`engine.rolling`)
#   gross, bars      of the open trades since they were told last (`blotter.told`)
#   fact, terms, bar of its market, where it has something to do
#   whole, leg, leaving   trades now open: flat to flat; in the contract held; in the one rolled out of
LINE = on_lines_of_cache(record_of(
    "position", "target", "wanted", "last", "offset", "gross", "bars", ("instrument", INDEX),  # of every bar: one line
    ("why", np.int8), ("kind", np.int8), ("ordered", np.bool_), ("contracts", np.bool_),  # of the cache
    "left", "earned", "price", "residual", "ratio", ("sleeve", INDEX),
    *((name, np.int64) for name in ("member", "held", "busy")),
    "delta", "balance", "rate", "spread", "part", "opened", "share", "net", "ambiguous", "sides", "costs",
    *((name, np.int64) for name in (
        "number", "root", "left_contract", "left_bars", "out", "cut", "priced", "missing", "fills", "trades",
    )),
    ("fact", FACT), ("terms", TERMS), ("bar", BAR), ("whole", TRADE), ("leg", TRADE), ("leaving", TRADE),
))  # fmt: skip
# A member, from bar to bar; levels in adjusted points:
#   units            held [contracts, or units of a spread]
#   ideal, wanted    what it would hold by itself, not yet whole; and whole
#   lowest, highest  between which whole units are chosen by risk
#   forecast         of a function called bar by bar; program: its number, -1 none
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
#   ordered, contracts   as in `book.Wishes`, and follows as `resize` there
MEMBER = record_of(
    "units", "ideal", "wanted", "lowest", "highest", "forecast", ("first", np.int64), ("after", np.int64),
    ("program", np.int64), ("ordered", np.bool_), ("follows", np.bool_), ("contracts", np.bool_),
    "stop", "stop_at",
    "goal", "goal_at", "trail", "best", "amount",
    *((name, np.int64) for name in (
        "hold", "entered", "days", "seen", "episode", "blocked", "closing", "pending", "asked", "triggered", "filled",
        "tried", "broken",
    )),
)  # fmt: skip
SLEEVE = record_of("capital", "share", "equity")
# The account [account currency]: equity; of the bar before the requirement; money paid in or out with fees on the bar.
# Whether the capital floor was reached, and the ruin told; the row of the curves; whether the bar's targets have yet to
# be cut, and for that the part of the requirement that is asked, and the maintenance margin; rows used of `Books`.
OWN = record_of(
    "equity", "margin", "paid", "part", "least",
    ("row", INDEX), ("floored", np.int64), ("ruined", np.int64), ("due", np.int64),
    *((name, np.int64) for name in ("fills", "trades", "legs", "events", "entries")),
)  # fmt: skip


class Times(NamedTuple):
    """Arrays (time,): what a CLOCK record holds of a bar."""

    credit: np.ndarray
    debit: np.ndarray
    transfer: np.ndarray
    day_end: np.ndarray
    month_begin: np.ndarray
    rebalance: np.ndarray


class Quotes(NamedTuple):
    """Arrays (time, market) of `book.Prices`: those that change from bar to bar."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    fill: np.ndarray
    mark: np.ndarray
    volume: np.ndarray
    left_open: np.ndarray
    left_mark: np.ndarray
    left_volume: np.ndarray
    locked: np.ndarray


class Given(NamedTuple):
    """What the loop reads and does not change."""

    quotes: Quotes
    row: np.ndarray  # INDEX (time,): of `clock`, `facts` and `terms`
    clock: np.ndarray  # (row,) of CLOCK
    facts: np.ndarray  # (row, market) of FACT
    terms: np.ndarray  # (row, market) of TERMS
    weight: np.ndarray  # (time, member), see `book.Wishes`
    usual: np.ndarray
    most: np.ndarray  # (row, line) contracts that limits allow of its root; of no rows where all are allowed
    rules: np.ndarray  # (1,) of RULES
    limits: book.Limits


class Extras(NamedTuple):
    """What the loop reads beside, of portfolios that are not `lean`."""

    orders: np.ndarray  # (time, member) of ASKED, or of no rows
    finer: book.Finer
    risk: book.Risk
    path: np.ndarray  # (4, 2) what `fills.walk` found


class State(NamedTuple):
    """What the loop remembers from bar to bar."""

    lines: np.ndarray  # (line,) of LINE
    members: np.ndarray  # (member,) of MEMBER
    sleeves: np.ndarray  # (sleeve,) of SLEEVE
    own: np.ndarray  # (1,) of OWN
    found: np.ndarray  # (line,) INDEX: numbers of the lines that have something to do on the bar


class Books(NamedTuple):
    """Tables that the loop fills from the top; `own` knows how many rows are used."""

    own: np.ndarray
    fills: np.ndarray  # of FILL
    trades: np.ndarray  # of TRADE
    legs: np.ndarray  # of TRADE
    events: np.ndarray  # of EVENT
    entries: np.ndarray  # of ENTRY


class Curves(NamedTuple):
    """What the account has at the end of every bar, or of every day; see `book.Ledger`."""

    equity: np.ndarray
    margin: np.ndarray
    notional: np.ndarray
    interest: np.ndarray
    sleeve: np.ndarray


class Held(NamedTuple):
    """What the lines have at the end of every bar, or of every day; see `book.Ledger`."""

    price: np.ndarray
    position: np.ndarray
    left: np.ndarray  # of no rows where nothing is ever left


class Work(NamedTuple):
    """Arrays (line,) and (member,) in which limits, margin and whole contracts are worked out, made once a run."""

    lines: book.Lines
    room: Room  # who nets with whom
    held: Holdings  # what is held of which contract
    target: np.ndarray  # (line,) [contracts, signed]
    wanted: np.ndarray  # (line,) targets before margin refuses some
    cut: np.ndarray  # (line,) positions that a margin call leaves
    profit: np.ndarray  # (line,) of the trades now open [account currency]
    price: np.ndarray  # (market,) last known of the contract held [points]
    each: np.ndarray  # (EACH, market) what limits and margin ask of the bar, of FACT and TERMS
    cuts: np.ndarray  # (row, 4) what limits cut: line, event, wanted, allowed
    units: np.ndarray  # (6, member): held, ideal, lowest, highest, whole; forecasts of functions


LINE_OF_CACHE = 128  # processors fetch two of 64 at once [bytes]
EACH = ("initial", "maintenance", "fx", "multiplier", "sigma", "liquidity", "open_interest")  # of `Work.each`
INITIAL, MAINTENANCE, RATE, MULTIPLIER, SIGMA, LIQUIDITY, OPEN_INTEREST = range(len(EACH))


def blank(shape, kind):
    """Records of zeros."""
    return by_name(np.zeros(shape, kind))


def by_name(records):
    """Records whose fields are attributes where kernels run as plain Python; for compiled ones they always are."""
    return records.view(np.recarray) if numba.config.DISABLE_JIT else records


def copied(array):
    """A copy of records, or numbers, byte by byte: field by field, as numpy copies records, is a hundred times as slow.

    It has its lines of the cache for itself: two threads that write side by side into one line wait for each other.
    """
    room = np.empty(array.nbytes + 2 * LINE_OF_CACHE, np.uint8)
    begin = -room.ctypes.data % LINE_OF_CACHE
    made = room[begin : begin + array.nbytes]
    made[:] = np.frombuffer(array, np.uint8) if array.nbytes else 0
    return by_name(made.view(array.dtype))


def plain(records):
    """Records of floats as an array (row, field)."""
    return np.asarray(records).view(np.float64).reshape(len(records), len(records.dtype))
