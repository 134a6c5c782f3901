"""Contracts of a simulated market: which ones, when they are listed, where the volume is, and their daily bars.

Arrays are flat, one row a contract and session, sorted by contract: `k` is the place of the contract in the chain, `s`
that of the session. The rank of a contract counts the held contracts before it that have not handed over their volume
yet, each by the share it still has; volume and open interest fall with the rank.
"""

from decimal import Decimal

import numpy as np
import polars as pl

from store import days
from store.contracts import MONTHS, last_allowed, last_trade
from store.sample_prices import END, MARKETS, START, season

SERIAL = 2  # months for which a contract outside the held cycle is listed
PACE = 1.2  # the share still to move falls from 3/4 to 1/4 in 2.2 times this [sessions]
PRICES = ("open", "high", "low", "close", "settle")


class Chain:
    """The contracts of one market that have a session between START and END.

    sessions: trade dates. contracts: delivery months YYYYMM, rising. ends: last trading days. first, stop: each
    contract's sessions, first to stop - 1. held: those of the held cycle. moves: the session (a real number) on which
    half of a held contract's volume has moved on, nan for the others.
    """

    def __init__(self, market, spec, random):
        calendar = days.calendar(spec.calendar, spec.extra)
        every = np.arange(START, END + days.DAY)
        self.sessions = every[np.is_busday(every, busdaycal=calendar)]
        rows = [row for contract in _months(spec) for row in [_listing(market, spec, contract)] if row]
        self.contracts, starts, self.ends, self.held, limits = (np.array(column) for column in zip(*rows, strict=True))
        self.first = np.searchsorted(self.sessions, starts)
        self.stop = np.searchsorted(self.sessions, self.ends, side="right")
        moves = np.busday_count(START, limits, busdaycal=calendar) - market.lead + random.uniform(-1, 1, len(limits))
        self.moves = np.where(self.held, moves, np.nan)

    def flat(self):
        """(k, s): contract and session of every row."""
        counts = self.stop - self.first
        k = np.repeat(np.arange(len(counts)), counts)
        return k, np.arange(len(k)) - np.repeat(np.cumsum(counts) - counts - self.first, counts)

    def activity(self, k, s, pace, late=0.0):
        """(rank, share left) of every row; a contract outside the cycle keeps its share to the end."""
        held = np.flatnonzero(self.held)
        left = _left(np.arange(len(self.sessions)), self.moves[held, None] + late, pace)  # (held contract, session)
        before = np.vstack([np.zeros(len(self.sessions)), np.cumsum(left, axis=0)])
        place = np.searchsorted(held, k)  # held contracts before k
        own = np.where(self.held[k], left[np.minimum(place, len(held) - 1), s], 1.0)
        return before[place, s], own


def stream(seed, market, purpose):
    """A random stream of its own for each market and purpose: one market's draws do not move another's.

    >>> bool(stream(1, MARKETS[0], "bars").random() == stream(1, MARKETS[0], "bars").random())
    True
    """
    return np.random.default_rng((seed, MARKETS.index(market), ("bars", "chain", "fault").index(purpose)))


def bars(market, spec, chain, paths, random):
    """Daily bars of all contracts: contract, day, prices, volume and open interest, sorted by contract and day."""
    k, s = chain.flat()
    columns = _prices(market, spec, chain, paths, random, k, s)
    columns |= _activity(market, chain, paths, random, k, s)
    frame = pl.DataFrame({"contract": chain.contracts[k].astype(np.int32), "day": chain.sessions[s], **columns})
    traded = [pl.when(pl.col("volume") > 0).then(pl.col(name)).alias(name) for name in PRICES[:4]]
    return frame.with_columns(traded)


def grid(price, tick):
    """The nearest price on the tick grid, without the dust of binary fractions.

    >>> grid(np.array([110.1234, 4.5]), 0.1)
    array([110.1,   4.5])
    """
    return np.round(np.rint(price / tick) * tick, max(0, -Decimal(str(tick)).as_tuple().exponent))


def _months(spec):
    years = range(START.astype(object).year, END.astype(object).year + 3)
    return [100 * year + month for year in years for month in range(1, 13) if MONTHS[month - 1] in spec.listed_months]


def _listing(market, spec, contract):
    """(contract, first day, last day, held, last allowed day), or None where that is not in the sample's years."""
    held = MONTHS[contract % 100 - 1] in spec.held_months
    end = np.datetime64(last_trade(spec, contract))
    start = end - np.timedelta64(int(30.4 * (market.life if held else min(market.life, SERIAL))), "D")
    if end < START or start > END - 10 * days.DAY:
        return None
    return contract, start, end, held, np.datetime64(last_allowed(spec, contract))


def _left(session, moves, pace):
    return 1.0 / (1.0 + np.exp(np.clip((session - moves) / pace, -40, 40)))


def _prices(market, spec, chain, paths, random, k, s):
    name = paths.column(market.root)
    grid_day = np.searchsorted(paths.days, chain.sessions)
    lasting, fleeting, carry, scale = (
        array[grid_day, name][s] for array in (paths.lasting, paths.fleeting, paths.carry, paths.scale)
    )
    years = (chain.ends[k] - chain.sessions[s]).astype(float) / 365.0
    level = lasting + np.exp(-market.fade * years) * fleeting + carry * years
    level += season(market, chain.contracts[k] % 100) + 0.03 * scale * random.standard_normal(len(k))
    first = np.diff(k, prepend=-1) > 0
    change = np.where(first, scale, np.diff(level, prepend=level[0]))
    start, up, down = (random.standard_normal(len(chain.sessions))[s] for _ in range(3))
    opening = level - 0.75 * change + 0.3 * scale * start  # a quarter of the change comes overnight
    closing = level + 0.03 * scale * random.standard_normal(len(k))
    ends = np.sort(np.stack([opening, closing, level]), axis=0)
    shape = {
        "open": opening,
        "high": ends[2] + 0.4 * scale * np.abs(up),
        "low": ends[0] - 0.4 * scale * np.abs(down),
        "close": closing,
        "settle": level,
    }
    return {column: grid(np.exp(price), spec.tick) for column, price in shape.items()}


def _activity(market, chain, paths, random, k, s):
    name = paths.column(market.root)
    usual = paths.activity[np.searchsorted(paths.days, chain.sessions), name]
    growth = 0.03 * np.arange(len(chain.sessions)) / 252.0
    day = market.volume * np.exp(usual + growth + 0.18 * random.standard_normal(len(chain.sessions)))
    cycle = np.where(chain.held[k], 1.0, 0.02)
    rank, left = chain.activity(k, s, PACE)
    share = cycle * np.exp(-market.falls * rank) * (0.01 + 0.99 * left)
    volume = day[s] * share * np.exp(0.15 * random.standard_normal(len(k)))
    rank, left = chain.activity(k, s, 2.5 * PACE, late=1.5)
    share = cycle * np.exp(-0.7 * market.falls * rank) * (0.03 + 0.97 * left)
    mood = np.cumsum(0.02 * random.standard_normal(len(chain.sessions)))
    interest = 2.2 * market.volume * np.exp(growth + mood - mood.mean())[s] * share
    return {"volume": np.floor(volume), "open_interest": np.floor(interest)}
