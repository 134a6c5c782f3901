"""Sweep: every combination of a grid, each recorded with its statistics; nothing grows with their number but files.

Blocks of combinations go side by side as threads over kernels that release the interpreter lock, and are written in
the order of the combinations: results are the same for any number of threads and any size of the blocks.
"""

import hashlib
import json
import os
import tempfile
import threading
import time
import warnings
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np

from engine import blocks, swept
from engine.backtest import first_row, hashes
from engine.blocks import Group, Made, Source
from engine.draft import Draft, SweepDiffers, tidy
from engine.grid import Grid, evenly
from engine.headline import RANKED, STATISTICS
from engine.settings import ConfigError, nearest

KEEP = 2000  # trials whose daily returns are kept
THREADS = 8  # most that are taken unasked
ALONE = 16  # combinations of a block where each is made by itself
SCREENED = 65_536  # combinations that are screened at once: it has threads of its own


def sweep(
    market, portfolio, grid, *, keep=KEEP, screen=False, best=20, by="sharpe", threads=None, progress=None, into=None,
    resume=False, bars=None, within=None, block=None,
):  # fmt: skip
    """Trade a portfolio with every combination of some settings.

    Parameters
    ----------
    market : Market
        As `backtest` takes it.
    portfolio : Portfolio
    grid : Grid, or dict of {key: values}
        Keys are params of the one strategy that has them (`fast`), or settings (`sizing.target`); see `engine.grid`.
    keep : int
        Trials whose daily returns are kept. Where there are more, nine in ten of these are spread evenly over the
        combinations, the others are the best by Sharpe ratio that are left. Of a screened sweep: the best alone.
    screen : bool
        Screen all (`engine.screen`), which is quicker and tells less, and run the `best` in full.
    best : int
        How many of a screened sweep are run in full.
    by : str
        Statistic by which these are chosen, of `headline.RANKED`.
    threads : int, optional
        As many as there are processors, at most 8, if not given. The results do not depend on it.
    progress : callable(done, total, name), optional
    into : path, optional
        Folder for the files, empty or that of the same sweep; one that goes with the result, if not given.
    resume : bool
        Go on with what `into` holds.
    bars, within
        As `backtest` takes them.
    block : int, optional
        Combinations that are made at once. The results do not depend on it.

    Returns
    -------
    swept.Sweep

    Raises
    ------
    ConfigError
        A key that is unknown or cannot be swept. A combination that is refused is recorded with the reason.
    SweepDiffers
        `into` holds another sweep, or this one half done without `resume`.
    CannotScreen
        The screening path does not know this portfolio; the message says why.
    KeyboardInterrupt
        All trials that were done are in `into`, and `resume` goes on.

    Examples
    --------
    See docs/sweep.md.
    """
    _check(keep, best, threads, block, by)
    grid = grid if isinstance(grid, Grid) else Grid.of(portfolio, grid)
    work = _Work(Source(market, portfolio, grid, bars, within), keep, best if screen else 0, by, threads, block)
    own = tempfile.TemporaryDirectory(prefix="sweep-") if into is None else None
    folder = Path(own.name if own else into)
    if swept.is_whole(folder):
        found = swept.load(folder)
        if found.id != work.plan["sweep"]:
            raise SweepDiffers(
                f"{folder} holds sweep {found.id}, this one is {work.plan['sweep']}; take an empty folder"
            )
        tidy(folder)
        return found
    began = time.perf_counter()
    with Draft(folder, work.plan, len(work.days), resume) as draft:
        before = draft.done
        work.trials(draft, progress)
        full = work.finished(draft, progress)
        seconds = time.perf_counter() - began
        document = work.document(draft, seconds, draft.done - before)
        swept.write(draft, grid, document, portfolio.to_toml(), work.days, full)
    tidy(folder)
    return swept.load(folder, own, checked=False)  # it has just been written


def identity(market, portfolio, grid, keep=KEEP, screen=False, best=20, by="sharpe"):
    """Id of a sweep: hash of all that makes its results, 12 hex digits."""
    told = hashes(market, portfolio) | {"grid": grid.document(), "keep": keep}
    told |= {"screen": [best, by]} if screen else {}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


class _Work:
    """What is to be done: blocks of combinations, in their order."""

    def __init__(self, source, keep, best, by, threads, block):
        market, portfolio, grid = source.market, source.portfolio, source.grid
        self.source, self.grid, self.keep, self.best, self.by = source, grid, keep, best, by
        self.threads = threads or min(THREADS, os.cpu_count() or 1)
        rows = market.rows(first_row(market, portfolio))
        self.days = rows.days[~np.isnan(rows.mark).all(axis=1)]
        self.market = rows
        told = hashes(market, portfolio)
        self.plan = {
            "sweep": identity(market, portfolio, grid, keep, bool(best), best, by), "grid": grid.document(),
            "keys": {axis.name: axis.key for axis in grid.axes}, "trials": len(grid), "keep": keep,
            "screened": bool(best), "hashes": told,
        }  # fmt: skip
        few = keep if len(grid) <= keep else keep - keep // 10
        self.keeps = frozenset(() if best else evenly(len(grid), few).tolist()) if keep else frozenset()
        self._groups, self._lock, self._block = OrderedDict(), threading.Lock(), block

    def trials(self, draft, progress):
        """Append all combinations that the draft lacks."""
        total, began, before = len(self.grid), time.perf_counter(), draft.done
        if draft.done < total:
            jobs = self._cut(draft.done)
            found = map(self._screened, jobs) if self.best else self._side_by_side(self._traded, jobs)
            for made in found:
                draft.add(made)
                if progress:
                    rate = (draft.done - before) / max(time.perf_counter() - began, 1e-9)
                    progress(draft.done, total, f"{rate:,.0f} trials/s")

    def finished(self, draft, progress):
        """The `Made` of the combinations that are chosen when all are known: the best, in full."""
        count = self.best or self.keep - len(self.keeps)
        if count <= 0 or (not self.best and len(self.grid) <= self.keep):
            return None
        numbers = swept.ranked(draft, self.by if self.best else "sharpe", count, without_kept=not self.best)
        if progress:
            progress(draft.done, len(self.grid), f"the best {len(numbers)} in full")
        jobs = self._of_groups(sorted(numbers))
        keeps = frozenset(numbers[: self.keep])
        parts = list(self._side_by_side(lambda job: self._group(job[0]).block(job, keeps), jobs))
        return _joined(parts, len(self.days))

    def document(self, draft, seconds, done):
        """What `sweep.json` tells beside its files."""
        portfolio, market = self.source.portfolio, self.market
        return self.plan | {
            "portfolio": portfolio.name, "currency": portfolio.currency, "markets": list(market.names),
            "start": str(market.days[0]), "end": str(market.days[-1]), "simulated": bool(market.simulated),
            "refused": draft.refused, "units": self.grid.units, "threads": self.threads,
            "seconds": round(seconds, 3), "combinations_per_second": round(done / seconds, 1) if seconds else None,
        }  # fmt: skip

    # ---- blocks

    def _cut(self, first):
        """Lists of numbers that follow each other, none of two groups."""
        inner = self.grid.inner
        if self.best:
            many = self._block or SCREENED
        else:
            at_once = self._group(first).at_once
            many = self._block or (blocks.size(self.source.market, inner) if at_once else ALONE)
        while first < len(self.grid):
            after = min(first + many, (first // inner + 1) * inner)
            yield list(range(first, after))
            first = after

    def _of_groups(self, numbers):
        """Lists of numbers of one group each, not longer than a block."""
        jobs = []
        for number in numbers:
            group = number // self.grid.inner
            if not jobs or len(jobs[-1]) >= ALONE or jobs[-1][0] // self.grid.inner != group:
                jobs.append([])
            jobs[-1].append(number)
        return jobs

    def _traded(self, numbers):
        return self._group(numbers[0]).block(numbers, self.keeps)

    def _screened(self, numbers):
        return self._group(numbers[0]).screened(numbers, self.threads)

    def _group(self, number):
        """The group of a combination; those asked for last are kept."""
        key = number // self.grid.inner
        with self._lock:
            found = self._groups.setdefault(key, _Once(lambda: Group(self.source, number)))
            self._groups.move_to_end(key)
            while len(self._groups) > self.threads + 1:  # as many as are at work, and the next
                self._groups.popitem(last=False)
        return found.get()

    def _side_by_side(self, work, jobs):
        """`work` of each job, in their order; at most two for each thread are begun and not yet taken."""
        jobs = iter(jobs)
        first = next(jobs, None)
        if first is None:
            return
        with warnings.catch_warnings():  # as `simulated` asks for: here, as filters are those of all threads
            warnings.simplefilter("ignore", numba.NumbaExperimentalFeatureWarning)
            yield work(first)  # by itself: what has to be compiled is compiled once
            if self.threads == 1:
                yield from map(work, jobs)
                return
            with ThreadPoolExecutor(self.threads) as pool:
                waiting = deque()
                try:
                    for job in jobs:
                        waiting.append(pool.submit(work, job))
                        if len(waiting) >= 2 * self.threads:
                            yield waiting.popleft().result()
                    while waiting:
                        yield waiting.popleft().result()
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)


class _Once:
    """What is made by whoever asks first, while the others wait."""

    def __init__(self, make):
        self._make, self._lock, self._made = make, threading.Lock(), None

    def get(self):
        """What was made."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def _joined(parts, days):
    """Several `Made` as one."""
    returns = [part.returns for part in parts if len(part.kept)]
    return Made(
        np.concatenate([part.numbers for part in parts]) if parts else np.zeros(0, np.int64),
        np.concatenate([part.statistics for part in parts]) if parts else np.zeros((0, len(STATISTICS))),
        np.concatenate(returns) if returns else np.zeros((0, days), np.float32),
        np.concatenate([part.kept for part in parts]) if parts else np.zeros(0, np.int64),
        {number: why for part in parts for number, why in part.refused.items()},
    )


def _check(keep, best, threads, block, by):
    if by not in RANKED:
        raise ConfigError(f"by = {by!r}: no statistic to rank by; allowed: {', '.join(RANKED)}{nearest(by, RANKED)}")
    least = {"keep": (keep, 0), "best": (best, 1), "threads": (threads, 1), "block": (block, 1)}
    for name, (value, low) in least.items():
        if value is not None and (not isinstance(value, int | np.integer) or value < low):
            raise ConfigError(f"{name} = {value!r}; allowed: a whole number from {low} on")
