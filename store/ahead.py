"""Bars and series of many markets read ahead of their use, by a thread, while others are worked on.

Bars are read several markets in one go: one question to polars for many files costs a fraction of one for each, and it
reads them side by side. Markets are taken in groups of some `ROWS`, so that the first are at hand soon and no store is
held in memory as a whole; at most one group waits while another one is used. What is read is what `Bars.parts` reads,
market by market. Of kept series (`frames`) a few wait at most.
"""

from collections import Counter, deque
from dataclasses import replace
from functools import partial

import numpy as np

from store.held import PRICED

ROWS = 150_000  # of a group, from which on it takes no further market
FIRST = 5  # the first group is of so small a part of that, as somebody waits for it
SERIES = 3  # of which the rows wait at most


class Ahead:
    """The bars of some plans (`held.Bars`), to be taken in their order; use it as a context.

    >>> import tempfile
    >>> from store import open_archive
    >>> with tempfile.TemporaryDirectory() as folder, Ahead([], ("day",)) as ahead:
    ...     ahead.take("a plan of which nobody told")
    """

    def __init__(self, plans, columns):
        self.columns, self.wanted, self.at_hand = columns, Counter(plans), {}
        self.groups = list(_groups(list(self.wanted)))
        self.pool = self.reading = None

    def __enter__(self):
        if len(self.wanted) > 1:  # one market is read when it is used
            from concurrent.futures import ThreadPoolExecutor  # here, for a run that reads kept arrays needs none

            self.pool = ThreadPoolExecutor(1)
            self.reading = self._begin()
        return self

    def __exit__(self, *failed):
        if self.pool:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def take(self, plan):
        """What `plan.parts` gives; None where it is none of the plans. Each may be taken as often as it was told."""
        if self.pool is None or not self.wanted[plan]:
            return None
        while plan not in self.at_hand:
            self.at_hand |= self.reading.result()
            self.reading = self._begin()
        self.wanted[plan] -= 1
        return self.at_hand[plan] if self.wanted[plan] else self.at_hand.pop(plan)

    def _begin(self):
        """Begin to read the next group; None where there is none left."""
        return self.pool.submit(_read, self.groups.pop(0), self.columns) if self.groups else None


def frames(series):
    """The rows of each `derived.Series`, in their order; kept ones are read while those before them are used.

    >>> from types import SimpleNamespace
    >>> [frame for frame in frames([SimpleNamespace(rows=lambda n=n: n) for n in range(9)])]
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """
    if sum(callable(one.rows) for one in series) < 2:
        yield from (one.rows() if callable(one.rows) else one.rows for one in series)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        left, begun = deque(series), deque()
        while left or begun:
            while left and len(begun) < SERIES:
                rows = left.popleft().rows
                begun.append(pool.submit(rows).result if callable(rows) else partial(_same, rows))
            yield begun.popleft()()


def _same(rows):
    return rows


def _groups(plans):
    """Plans of one store and snapshot, in their order, in lists of some `ROWS`."""
    group, rows, most = [], 0, ROWS // FIRST
    for plan in plans:
        if group and (rows >= most or plan.desk is not group[0].desk):
            yield group
            group, rows, most = [], 0, ROWS
        group.append(plan)
        rows += sum(segment.rows for segment in plan.files())
    if group:
        yield group


def _read(plans, columns):
    """{plan: what its `parts` gives}, their files read in one go."""
    desk, markets = plans[0].desk, {}
    for plan in plans:
        markets[plan.root, plan.source] = plan.own()
        if plan.proxy_source:
            markets[plan.proxy, plan.proxy_source] = plan.lent()
    files = [segment for segments in markets.values() for segment in segments]
    if not files:
        return {plan: plan.parts(columns) for plan in plans}
    scan = desk.archive.scan("contract_bars", replace(desk.snapshot, files=tuple(files)))
    frame = scan.select(name for name in columns if name not in ("root", "source")).collect(engine="in-memory")
    ends = np.cumsum([sum(segment.rows for segment in segments) for segments in markets.values()])
    if ends[-1] != len(frame):  # a file that holds other rows than its manifest tells is read by itself
        return {plan: plan.parts(columns) for plan in plans}
    if frame["settle"].null_count() and frame["close"].null_count():
        priced = frame.select(PRICED).to_series()
        frame, ends = frame.filter(priced), np.append(0, np.cumsum(priced.to_numpy()))[ends]
    begins = np.append(0, ends[:-1])
    found = {market: frame[a:b] for market, a, b in zip(markets, begins.tolist(), ends.tolist(), strict=True)}
    return {plan: plan.joined(found, columns) for plan in plans}
