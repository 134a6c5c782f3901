"""What a simulation reads and leaves: named tuples of arrays, and the names behind their numbers.

Axes: t bar, m market (a column of `Market`: a root and a rank), j member (what a strategy decides about: a market, or a
spread of several), i line (a leg of a member: one market held by one strategy), s sleeve (a strategy with its capital).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np


def numbers(names):
    """A number for each name. Of numpy: kernels are compiled anew for each whole number of Python that they are called
    with."""
    return tuple(np.arange(len(names)))


CAUSES = (
    "price", "slippage", "impact", "commission", "roll_gap", "roll_slippage", "roll_impact", "roll_commission",
    "interest", "fx", "fee", "transfer",
)  # fmt: skip
(
    PRICE, SLIPPAGE, IMPACT, COMMISSION, ROLL_GAP, ROLL_SLIPPAGE, ROLL_IMPACT, ROLL_COMMISSION, INTEREST, FX, FEE,
    TRANSFER,
) = numbers(CAUSES)  # fmt: skip
COSTS_OF = (SLIPPAGE, IMPACT, COMMISSION, ROLL_SLIPPAGE, ROLL_IMPACT, ROLL_COMMISSION)  # causes that are costs
OF_TRADES = CAUSES[: ROLL_COMMISSION + 1]  # all that trades are made of; the others are of no trade

ORDERS = ("market", "limit", "stop", "stop limit")  # of an entry
MARKET, LIMIT, STOP, STOP_LIMIT = numbers(ORDERS)

KINDS = (
    "market", "limit", "stop", "stop limit", "protective stop", "trailing stop", "target", "time exit", "roll out",
    "roll in", "closed", "margin call", "capital floor",
)  # fmt: skip
(
    BY_MARKET, BY_LIMIT, BY_STOP, BY_STOP_LIMIT, BY_PROTECTION, BY_TRAIL, BY_TARGET, BY_TIME, ROLL_OUT, ROLL_IN, CLOSED,
    CALL, FLOOR,
) = numbers(KINDS)  # fmt: skip
EXITS = (
    "signal", "roll", "closed", "margin call", "open", "stop", "trailing stop", "target", "time", "capital floor",
    "spread broken",
)  # fmt: skip
(
    EXIT_SIGNAL, EXIT_ROLL, EXIT_CLOSED, EXIT_CALL, EXIT_OPEN, EXIT_STOP, EXIT_TRAIL, EXIT_TARGET, EXIT_TIME,
    EXIT_FLOOR, EXIT_BROKEN,
) = numbers(EXITS)  # fmt: skip
EVENTS = (
    "margin call", "margin refused", "closed: no matched price", "capital floor", "limit locked", "partial fill",
    "order expired", "spread waits", "roll over several days", "limit contracts", "limit sector contracts",
    "limit side contracts", "limit volume", "limit open interest", "limit group risk", "limit gross notional",
    "limit net notional", "limit margin", "ruined", "spread broken",
)  # fmt: skip
(
    MARGIN_CALL, MARGIN_REFUSED, NO_PRICE, CAPITAL_FLOOR, LOCKED, PARTIAL, EXPIRED, SPREAD_WAITS, ROLL_WAITS,
    LIMIT_CONTRACTS, LIMIT_SECTOR, LIMIT_SIDE, LIMIT_VOLUME, LIMIT_OPEN_INTEREST, LIMIT_GROUP, LIMIT_GROSS, LIMIT_NET,
    LIMIT_MARGIN, RUINED, SPREAD_BROKEN,
) = numbers(EVENTS)  # fmt: skip

FILL_FIELDS = ("t", "line", "contract", "kind", "contracts", "price", "slippage", "impact", "commission")
ENTRY_FIELDS = ("t", "line", "cause", "amount")  # the line after the last is the account itself
EVENT_FIELDS = ("t", "line", "kind", "wanted", "allowed")  # line -1: the account; contracts, or nan
TRADE_FIELDS = (
    "line", "direction", "contracts", "entry", "exit", "entry_contract", "exit_contract",
    "entry_price", "exit_price", "rolls", "bars", "gross", "costs", "exit_reason", "entry_kind", "risk", "ambiguous",
)  # fmt: skip
(
    LINE, SIDE, SIZE, ENTRY, EXIT, ENTRY_CONTRACT, EXIT_CONTRACT, ENTRY_PRICE, EXIT_PRICE, ROLLS, BARS, GROSS, COSTS,
    WHY, HOW, RISK, AMBIGUOUS,
) = numbers(TRADE_FIELDS)  # fmt: skip
NO_LINE = np.int64(-1)  # of an event of the account
NONE = np.int64(-1)  # no kind of order

WORST, NEARER, FINER = 0, 1, 2  # policies of a bar whose inside is not known
TOWARD_ZERO, FRACTIONAL, NEAREST_RISK = 0, 1, 2  # how contracts become whole
PRO_RATA, LARGEST_REQUIREMENT, LARGEST_LOSER = 0, 1, 2  # whom a margin call cuts first


class Prices(NamedTuple):
    """Arrays (time, market) of the contract held, nan where there is no bar, but for those that say otherwise."""

    open: np.ndarray  # [points]
    high: np.ndarray  # [points]
    low: np.ndarray  # [points]
    close: np.ndarray  # [points]
    fill: np.ndarray  # price at which market orders fill: the open, or as the portfolio says [points]
    mark: np.ndarray  # settlement, else close; on a roll day the leg's price [points]
    offset: np.ndarray  # adjusted - contract price, anchored at the first contract [points]
    tick: np.ndarray  # [points]
    volume: np.ndarray  # of the contract on the bar; nan unknown [contracts]
    locked: np.ndarray  # int8: 1 locked at the upper limit, -1 at the lower, 0 not
    contract: np.ndarray  # int32 YYYYMM held on the bar
    roll: np.ndarray  # bool: the bar's position rolls at its end
    closed: np.ndarray  # bool: the held contract ended without a price to roll at
    roll_contract: np.ndarray  # int32 YYYYMM rolled into
    roll_from: np.ndarray  # legs as the series has them [points]
    roll_to: np.ndarray
    roll_from_fill: np.ndarray  # legs as they traded [points]
    roll_to_fill: np.ndarray
    roll_volume: np.ndarray  # the smaller volume of both legs on a roll day; nan unknown [contracts]
    left_contract: np.ndarray  # int32 YYYYMM rolled out of lately, while it may still be held; else 0
    left_open: np.ndarray  # of that contract [points]
    left_mark: np.ndarray  # of that contract [points]
    left_volume: np.ndarray  # the smaller of its volume and that of the contract held; nan unknown [contracts]
    left_end: np.ndarray  # bool: the last bar on which it may be held


class Facts(NamedTuple):
    """Arrays (time, market) of what a contract is worth and costs; never nan where the market is available."""

    multiplier: np.ndarray  # [local currency / point]
    fx: np.ndarray  # [account currency / local currency]
    initial: np.ndarray  # [local currency / contract]
    maintenance: np.ndarray  # [local currency / contract]
    slippage: np.ndarray  # half spread and slippage of a side [points]
    commission: np.ndarray  # of a side [local currency / contract]
    roll_slippage: np.ndarray  # of a side of a roll [points]
    roll_commission: np.ndarray  # of a side of a roll [local currency / contract]
    impact: np.ndarray  # of a side that trades the whole volume of the bar [points]
    liquidity: np.ndarray  # mean volume of the last bars, known at the end of the bar; nan unknown [contracts]
    open_interest: np.ndarray  # as known at the end of the bar; nan unknown [contracts]
    sigma: np.ndarray  # daily volatility of the price; nan unknown [points]


class Lines(NamedTuple):
    """Arrays (line,) of int but for `ratio`: what each line is."""

    instrument: np.ndarray  # column of the market it trades
    member: np.ndarray  # of which it is a leg; lines of a member follow each other
    ratio: np.ndarray  # float: contracts of the leg for one unit of the member
    sleeve: np.ndarray
    root: np.ndarray  # lines of one root have one number
    sector: np.ndarray
    group: np.ndarray  # of the group limits; -1 none


class Orders(NamedTuple):
    """Arrays (time, member): how a member is entered and protected; of no rows where all trade at the market.

    Prices are in the adjusted frame and known at the end of the bar; distances are positive. nan: none.
    """

    kind: np.ndarray  # int8, of ORDERS: how it is entered
    price: np.ndarray  # of the limit order, or that triggers the stop [adjusted points]
    limit: np.ndarray  # of a stop-limit order [adjusted points]
    day: np.ndarray  # bool: the entry lapses after one bar; else it waits until filled or no longer wanted
    stop: np.ndarray  # protective stop, distance from the entry's fill [points]
    stop_at: np.ndarray  # protective stop, price; a later row's moves it [adjusted points]
    target: np.ndarray  # distance from the entry's fill [points]
    target_at: np.ndarray  # price; a later row's moves it [adjusted points]
    trail: np.ndarray  # trailing stop, distance from the best price since the entry [points]
    hold: np.ndarray  # int32: bars after which it is left; 0 none
    episode: np.ndarray  # int32: a new number is a new wish to enter; what ended inside one waits for the next


class Wishes(NamedTuple):
    """What members want; arrays (time, member) but for those that say otherwise."""

    weight: np.ndarray  # contracts (or units of a spread), per unit of capital or as such; finite
    usual: np.ndarray  # the same at a forecast of 1
    resize: np.ndarray  # bool (member,): an open position follows the weight; else it stays as entered
    ordered: np.ndarray  # bool (member,): whether `Orders` says anything of it
    program: np.ndarray  # int (member,): which of the functions that are called bar by bar decides; -1 none
    contracts: np.ndarray  # bool (member,): weights are contracts whatever the account's sizing


class Account(NamedTuple):
    """Numbers of the account and its rules."""

    per_capital: bool  # weights are contracts per unit of capital, else contracts
    compounding: bool  # capital means the sleeve's equity of the bar, else its starting capital
    sweep: bool  # foreign profit is converted every day, else kept as a balance
    rounding: int  # TOWARD_ZERO, FRACTIONAL or NEAREST_RISK
    buffer: float  # of the usual position within which nothing is traded [1]
    at_open: bool  # market orders fill before what happens inside the bar, else after it
    through: bool  # a limit order fills when the price trades through it by a tick, else when touched
    policy: int  # WORST, NEARER or FINER
    participation: float  # most of a bar's volume that is traded; infinite for no limit [1]
    power: float  # impact = Facts.impact x (size / volume) ** power [1]
    stale_leg_days: int  # days in a row without a price of a leg, but of another, after which a spread is broken
    roll_days: int  # over which a position rolls
    intraday_margin: float  # of the requirement that holds on bars that do not end the day [1]
    spread_credit: float  # of the margin of two contracts of one root that is waived where one hedges the other [1]
    call: int  # PRO_RATA, LARGEST_REQUIREMENT or LARGEST_LOSER
    floor: float  # below which all is sold and nothing bought again; -inf for none [account currency]
    credit_spread: float  # taken off the rate on free cash [1/year]
    debit_spread: float  # added to the rate on a deficit [1/year]
    fee: float  # of equity, a year, taken at the first bar of each month [1/year]
    fixed_fee: float  # taken at the first bar of each month [account currency]
    daily: bool = False  # targets are decided at the ends of days only, orders fill on the bars within them


class Limits(NamedTuple):
    """Most that may be held; infinite for no limit."""

    any: bool
    contracts: np.ndarray  # (line,) of its root, net [contracts]
    sector: float  # of one sector, gross [contracts]
    side: float  # long, or short, of all markets [contracts]
    volume: float  # of the mean daily volume [1]
    open_interest: float  # of the open interest [1]
    group: np.ndarray  # (group,) net risk of a group, a year, as a fraction of equity [1/√year]
    gross: float  # gross notional / equity [1]
    net: float  # net notional / equity [1]
    margin: float  # initial margin / equity [1]


class Clock(NamedTuple):
    """Arrays (time,): what belongs to the bar itself."""

    days: np.ndarray  # calendar days since the bar before; 0 within a day
    day_end: np.ndarray  # bool: the last bar of its day
    month_begin: np.ndarray  # bool: the first bar of a month but for the run's first
    rebalance: np.ndarray  # bool: sleeves go back to their shares at the end of this bar
    rate: np.ndarray  # interest on cash, known at the end of the bar [1/year]
    transfer: np.ndarray  # paid in (or out, negative) before the bar trades [account currency]


class Sleeves(NamedTuple):
    """Arrays (sleeve,)."""

    capital: np.ndarray  # at the start; they sum to the account's [account currency]
    share: np.ndarray  # to which rebalancing goes back; sums to 1


class Finer(NamedTuple):
    """Finer bars of the contract held: those of bar t, market m are the rows first[t, m] to last[t, m] (excluded)."""

    first: np.ndarray  # int64 (time, market), or of no rows where there are none
    last: np.ndarray
    bars: np.ndarray  # (row, 4): open, high, low, close [points]


@dataclass(frozen=True)
class Ledger:
    """What a simulation leaves. Rows of the curves are bars, or days; `t` of the tables are bars."""

    price: np.ndarray  # (time, line) profit of the price [account currency]
    interest: np.ndarray  # (time,) [account currency]
    entries: np.ndarray  # (entry, ENTRY_FIELDS): money that is neither the price's, nor interest, nor a fill's cost
    position: np.ndarray  # (time, line) at the end of the bar, after rolls [contracts, signed]
    left: np.ndarray  # (time, line) the part of it still in the contract rolled out of [contracts, signed]
    equity: np.ndarray  # (time,) [account currency]
    sleeve: np.ndarray  # (time, sleeve) equity of each; they sum to the account's [account currency]
    margin: np.ndarray  # (time,) initial margin required [account currency]
    notional: np.ndarray  # (time,) sides traded [account currency]
    residual: np.ndarray  # (line,) sum of contract minus adjusted profit [account currency]
    ambiguous: np.ndarray  # (line,) bars whose inside could be told in two ways with different results
    fills: np.ndarray  # (fill, FILL_FIELDS); costs in account currency, negative
    trades: np.ndarray  # (trade, TRADE_FIELDS) flat to flat
    legs: np.ndarray  # (trade, TRADE_FIELDS) contract by contract
    events: np.ndarray  # (event, EVENT_FIELDS)

    @cached_property
    def amount(self):
        """Every cent by its cause: (time, line + 1, cause); the last line is the account itself. [account currency]"""
        time, lines = self.price.shape
        found = np.zeros((time, lines + 1, len(CAUSES)))
        found[:, :lines, PRICE], found[:, lines, INTEREST] = self.price, self.interest
        t, line, _, kind = self.fills[:, :4].astype(np.int64).T
        rolls = (kind == ROLL_OUT) | (kind == ROLL_IN)
        costs = {"slippage": (SLIPPAGE, ROLL_SLIPPAGE), "impact": (IMPACT, ROLL_IMPACT)}
        costs |= {"commission": (COMMISSION, ROLL_COMMISSION)}
        for name, (usual, rolled) in costs.items():
            np.add.at(found, (t, line, np.where(rolls, rolled, usual)), self.fills[:, FILL_FIELDS.index(name)])
        t, line, cause = self.entries[:, :3].astype(np.int64).T
        np.add.at(found, (t, line, cause), self.entries[:, 3])
        return found


class Risk(NamedTuple):
    """What choosing whole contracts by risk needs; of no rows where contracts become whole in another way."""

    covariance: np.ndarray  # (period, member, member) of a day's profit of one contract or unit [account currency²/day]
    period: np.ndarray  # int64 (time,): which of them is known at the end of the bar; -1 none yet
    cost: np.ndarray  # (time, member) of trading one contract or unit [account currency]


PROGRAMS = 4  # most functions called bar by bar in one portfolio
PARAMS, MEMORY = 16, 16  # numbers that such a function reads, and keeps for each member


class Programs(NamedTuple):
    """Functions that are called bar by bar, each with its members, which follow each other."""

    functions: tuple  # PROGRAMS of them, `idle` where there are fewer
    first: np.ndarray  # int64 (program,) of its members
    last: np.ndarray  # excluded
    column: np.ndarray  # int64 (member,): of the arrays below
    adjusted: np.ndarray  # (time, column) [points]
    mark: np.ndarray  # (time, column) [points]
    params: np.ndarray  # (program, PARAMS)
    memory: np.ndarray  # (member, MEMORY): what it keeps
