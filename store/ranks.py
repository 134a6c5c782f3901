"""Roll calendars of the contracts behind the one held: rank 1 is the next, rank 2 the one after, and so on.

1. **Which**: when rank 0 rolls on day D, rank r passes to the r-th later contract of the held months that has had a bar
   by then. Contracts listed afterwards are seen at the next roll. Rank r begins on the first day on which so many are
   listed.
2. **When**: on D itself. A leg without a price lets the roll wait, at the latest to the last allowed day (`rolls`, rule
   4, DOMAIN T13), or to the day on which the rank below passes it by; then it is `closed` as any other. While it waits,
   it may hold the contract that the rank below has come to.
   Of a series through expiry the prices of such a row are matched ones of an earlier day, as there.
3. **Never back** (T9): where a nearer contract is listed late, a rank stays where it is, and so do those behind it.
4. **None listed**: a rank whose contract the rank below comes to, while no later one is listed, ends that day, and
   begins anew in the next one listed: `closed`, as a position that finds no matched price. Two ranks never hold the
   same contract because a chain is short. The calendar's `end` tells that none has followed yet.

Our rank counts delivery months from the contract held, whatever the rule of rank 0. It is not what vendors mean by the
second by volume or open interest (their `ES.v.1`): the second busiest contract may be an earlier one, and changes
places with the first. Ours of the calendar rule (`ES.c.1`) is theirs, and the second nearby of data vendors.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from store import chain as chains
from store.roll_rules import given_rule
from store.roll_search import CLOSED, Dates
from store.rolls import SCHEMA


def ranked(bars, calendar, rank, spec=None):
    """The calendar of the `rank`-th contract behind the one held.

    Parameters
    ----------
    bars : polars.DataFrame or Chain
        Those that the calendar was made from.
    calendar : RollCalendar
        Of rank 0.
    rank : int
        0 gives the calendar back.
    spec : ContractSpec or None
        Facts of the market; None where the master does not know it.

    Returns
    -------
    RollCalendar
        With the rule and the months of rank 0 and its own `rank`; the reason of a roll is `rank 0`, which has rolled.

    Raises
    ------
    ValueError
        A rank below 0, or so many contracts were never listed at once.

    Examples
    --------
    Volume moves from January to February on the second day, so that both roll on the third:

    >>> from datetime import UTC, datetime
    >>> from store.rolls import calendar
    >>> from store.tables import TABLES
    >>> volume = {202401: [9, 1, 1, 1], 202402: [5, 5, 5, 5], 202403: [1, 1, 1, 1]}
    >>> rows = [{"root": "X", "contract": contract, "time": datetime(2024, 1, 2 + t, tzinfo=UTC), "volume": float(x),
    ...          "settle": 10.0 * (contract % 100) + t} for contract in volume for t, x in enumerate(volume[contract])]
    >>> bars = TABLES["contract_bars"].conform(pl.DataFrame(rows).with_columns(day=pl.col("time").dt.date()))
    >>> first = calendar(bars, None)
    >>> [made.frame.row(0)[2:6] for made in (first, ranked(bars, first, 1))]
    [(202401, 202402, 12.0, 22.0), (202402, 202403, 22.0, 32.0)]
    """
    if calendar.rank or rank < 0:
        raise ValueError(
            f"{calendar.root}: rank {rank}, counted from a calendar of rank {calendar.rank}; "
            f"allowed are 0, 1, 2... from one of rank 0"
        )
    if rank == 0:
        return calendar
    chain = chains.load(bars, calendar.months)
    held = _held(chain, calendar)
    for behind in range(1, rank + 1):
        below, held = held, _behind(chain, held)
        if not held:
            raise ValueError(
                f"{calendar.root}: no rank {rank}: at most {behind} contracts of its months are listed at once, "
                f"which are ranks 0 to {behind - 1}"
            )
    dates = Dates(chain, spec, given_rule(calendar.rule))  # of which only the last allowed days are asked
    rows, end = _rolls(chain, dates, held, below)
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    return replace(calendar, first=int(held[0][1]), frame=frame, rank=rank, end=end)


def _held(chain, calendar):
    """What rank 0 holds: [(number of the day from whose close on, contract)], from its first price on."""
    k = int(np.searchsorted(chain.contracts, calendar.first))
    rows = np.arange(*chain.starts[[k, k + 1]]) if calendar.first in chain.contracts else np.array([], int)
    priced = rows[~np.isnan(chain.mark[rows])]
    begin = int(chain.day[priced[0]]) if len(priced) else 0
    days = np.searchsorted(chain.days, calendar.frame["day"].to_numpy()).tolist()
    return [(begin, calendar.first), *zip(days, calendar.frame["to_contract"].to_list(), strict=True)]


def _behind(chain, held):
    """What the next rank wants to hold, given what this one does; a contract of 0 is none."""
    out, farthest = [], 0
    ends = [day for day, _ in held[1:]] + [len(chain.days)]
    for (day, contract), end in zip(held, ends, strict=True):
        if not contract:
            continue
        later = int(np.searchsorted(chain.contracts, contract, side="right"))
        first = chain.first[later:]
        listed = max(day, int(first.min(initial=len(chain.days))))
        if listed > day and out and 0 < out[-1][1] <= contract:
            out.append((day, 0))  # the rank below has come to it, and no later one is listed
        if listed < end:
            wanted = int(chain.contracts[later + np.flatnonzero(first <= listed)[0]])
            if wanted > farthest:
                out.append((listed, wanted))
                farthest = wanted
    return out


def _rolls(chain, dates, held, below):
    """Rows of the calendar that follows what a rank wants to hold, and the day on which it ended for good, or None."""
    end_of_data = len(chain.days)
    passing, passed = np.array([(day, contract) for day, contract in below if contract]).T
    rows, now, since, left = [], held[0][1], 0, end_of_data

    def over(k):
        """The day on which the rank below passes the contract held, or on which it was left; else one past the last."""
        after = np.append(passing, end_of_data)[np.searchsorted(passed, chain.contracts[k], side="right")]
        return min(int(after), left)

    def last(k):
        """The last day of the contract held: it may not be held longer, or it is over."""
        return min(int(dates.limit[k]), over(k))

    ends = [day for day, _ in held[2:]] + [end_of_data]
    for (day, contract), end in zip(held[1:], ends, strict=False):  # the last end is of none where it never rolls
        if not contract:
            left = min(left, day)
            continue
        a, b = np.searchsorted(chain.contracts, (now, contract)).tolist()
        row = _matched(chain, a, b, day, min(end, last(a) + 1))
        row = row or _closed(chain, dates, a, b, last(a), max(day, last(a) + 1), end, since)
        if row:  # else it waits still when the next one is wanted
            rows.append((*row[:-1], row[-1] + dates.suffix))
            now, since, left = contract, int(chain.days.searchsorted(np.datetime64(row[0]))), end_of_data
    k = int(np.searchsorted(chain.contracts, now))
    final = last(k)
    return rows, chain.days[final].item() if min(final + 1, over(k)) < end_of_data else None


def _matched(chain, a, b, begin, end):
    """The roll from `a` to `b` on the first of the days begin..end - 1 on which both have a price; else None."""
    for t in range(begin, end):
        pair = chain.matched(a, b, t)
        if pair:
            waited = f", waited {t - begin}" if t > begin else ""
            return _row(chain, t, pair[2], a, b, pair[:2], max(begin - 1, 0), f"rank 0{waited}")
    return None


def _closed(chain, dates, a, b, last, begin, end, since):
    """The end of `a`, held since the close of day `since`, at its last price up to day `last`, and `b` from its first
    price in begin..end - 1; else None."""
    days = chain.day[chain.starts[b] : chain.starts[b + 1]]
    new = chain.starts[b] + np.arange(*np.searchsorted(days, (begin, max(begin, min(end, int(dates.leave[b]))))))
    new = new[~np.isnan(chain.mark[new])]
    if not len(new):
        return None
    old = np.arange(chain.starts[a], chain.starts[a + 1])
    old = old[(chain.day[old] <= last) & ~np.isnan(chain.mark[old])]
    matched = dates.rule.exit is None and chain.matched_before(a, b, since, last)
    prices = float(chain.mark[old[-1]]) if len(old) else None, float(chain.mark[new[0]])
    return _row(chain, chain.day[new[0]], int(chain.time[new[0]]), a, b, matched or prices, last, CLOSED)


def _row(chain, t, time, a, b, prices, decided, reason):
    pair = int(chain.contracts[a]), int(chain.contracts[b])
    return (chain.days[t].item(), time, *pair, *prices[:2], chain.days[decided].item(), reason)
