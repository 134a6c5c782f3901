"""How a run could have gone otherwise: thousands of paths of its days, or of its trades, drawn anew in blocks.

A path is the run's days (each with its return and the margin that was required at its end, which stay together) or its
trades in the order in which they ended, drawn by the stationary bootstrap (`resampling`). Of each path: where it ends,
how deep it falls, whether it is ruined, and the capital with which it had had no margin call.

Rules:

* Money is that of the starting capital: a day's profit is its return times that capital, its margin its share of the
  capital then. Where the run compounds, a path's equity does; the capital for the margin is always that of fixed sizes,
  for an account whose sizes grow with it needs the same shares whatever it begins with.
* A call is equity below maintenance margin at the end of a day (equal is none), as in a run. Trades have no margin:
  theirs is the capital with which no path falls to 0.
* A path that falls to the share `ruin` of its capital, or below, is ruined; one that falls to 0 stays there.
* Path k is the same whatever the others are, in how many threads, and however many.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from engine.analysis.bands import blocks
from engine.analysis.daily import Daily, by_market, codes
from engine.analysis.resampling import begin, chance, length_of, spread
from engine.analysis.source import market_of_run
from engine.backtest import first_row
from engine.inputs import with_margins
from engine.kernel import kernel

COUNT, SEED, RUIN, SURE = 10_000, 20_020_701, 0.5, 0.99
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
OF_A_PATH = (
    "final",  # equity at its end over the capital [1]
    "drawdown",  # the deepest, negative or 0 [fraction of the peak]
    "lowest",  # equity over the capital, at least 0 [1]
    "needed",  # capital that has no margin call, over that of the run [1]
    "ruined",  # rows after which it was ruined; 0 never [rows]
)
PATHS = {
    "quantile": pl.Float64,  # of the paths, the lowest first [1]
    "final_equity": pl.Float64,  # [account currency]
    "total_return": pl.Float64,  # [fraction]
    "max_drawdown": pl.Float64,  # the deepest first [fraction]
    "needed": pl.Float64,  # capital with which this share of the paths has no margin call [account currency]
}


class Pool(NamedTuple):
    """What paths are drawn of; arrays (row,)."""

    returns: np.ndarray  # [fraction of the capital before]
    margin: np.ndarray  # maintenance at the end of the row [fraction of the capital before]
    capital: float  # [account currency]
    compounding: bool
    of: str  # days or trades


class Paths(NamedTuple):
    """Paths, and what they say."""

    drawn: np.ndarray  # (path, OF_A_PATH)
    pool: Pool
    block: float  # mean length [rows]
    seed: int
    ruin: float

    def table(self):
        """Quantiles over the paths, each the value of a path: columns PATHS."""
        told = dict(zip(OF_A_PATH, np.quantile(self.drawn, LEVELS, axis=0, method="inverted_cdf").T, strict=True))
        capital = self.pool.capital
        found = {
            "quantile": list(LEVELS),
            "final_equity": told["final"] * capital,
            "total_return": told["final"] - 1.0,
            "max_drawdown": told["drawdown"],
            "needed": told["needed"] * capital,
        }
        return pl.DataFrame(found, schema=PATHS)

    def summary(self, sure=SURE):
        """Chances and the capital needed.

        Returns
        -------
        dict
            `paths`, `block`, `seed`; `ruin_probability` of falling to `ruin` of the capital; `loss_probability` of an
            end below the capital; `capital_needed` so that a share `sure` of the paths, at least, has no margin call
            (of trades: does not fall to 0) at the sizes of the starting capital [account currency]; `call_probability`
            with the capital as it is.
        """
        final, _, _, needed, ruined = self.drawn.T
        place = int(np.ceil(sure * len(needed))) - 1
        return {
            "of": self.pool.of,
            "paths": len(final),
            "rows": len(self.pool.returns),
            "block": self.block,
            "seed": self.seed,
            "capital": self.pool.capital,
            "ruin": self.ruin,
            "ruin_probability": float(np.mean(ruined > 0)),
            "loss_probability": float(np.mean(final < 1.0)),
            "sure": sure,
            "capital_needed": float(np.sort(needed)[place] * self.pool.capital),
            "call_probability": float(np.mean(needed > 1.0)),
        }


def days_of(run, maintenance=None):
    """The days of a run as `Pool`.

    Parameters
    ----------
    run : RunResult
    maintenance : array (time,), optional
        Maintenance over initial margin of what was held at the end of each day (`maintenance_share`); 1, if not given:
        calls then come at the initial margin, earlier than a broker makes them. [1]
    """
    daily = Daily.of(run)
    margin = run.equity()["margin"].to_numpy()[1:] * (1.0 if maintenance is None else maintenance)
    share = np.divide(margin, daily.base, out=np.zeros(len(margin)), where=daily.base > 0.0)
    known = ~np.isnan(daily.returns)
    if not known.all():  # after a ruin
        end = int(np.argmin(known))
        return Pool(daily.returns[:end], share[:end], float(daily.equity[0]), daily.compounding, "days")
    return Pool(daily.returns, share, float(daily.equity[0]), daily.compounding, "days")


def trades_of(run):
    """The trades of a run as `Pool`: each net over the equity before its entry, in the order in which they ended."""
    daily, trades = Daily.of(run), run.trades().sort("exit_day", "trade")
    if not daily.compounding:
        base = np.full(len(trades), daily.equity[0])
    else:
        entry = trades["entry_day"].to_numpy().astype("datetime64[D]")
        base = daily.equity[np.searchsorted(daily.days, entry) - 1]
    fine = base > 0.0
    returns = trades["net"].to_numpy()[fine] / base[fine]
    return Pool(returns, np.zeros(len(returns)), float(daily.equity[0]), daily.compounding, "trades")


def maintenance_share(run, market):
    """Maintenance over initial margin of what a run held at the end of each day, array (time,); 1 where nothing was.

    `market` is that of the run with its margins, see `engine.inputs.with_margins`. Netting and spread credit lower both
    alike.
    """
    days = run.equity()["day"].to_numpy().astype("datetime64[D]")[1:]
    held = by_market(run.positions())
    column = codes(held["market"], market.names)
    day = held["day"].to_numpy().astype("datetime64[D]")
    row, size = np.searchsorted(market.days, day), np.abs(held["contracts"].to_numpy())
    place, sums = np.searchsorted(days, day), []
    for margin in (market.maintenance_margin, market.initial_margin):
        worth = np.nan_to_num(margin[row, column] * market.fx[row, column]) * size
        sums.append(np.bincount(place, worth, len(days)))
    return np.divide(*sums, out=np.ones(len(days)), where=sums[1] > 0.0)


def paths(pool, count=COUNT, seed=SEED, block=None, ruin=RUIN, threads=None):
    """Draw paths.

    Parameters
    ----------
    pool : Pool
        Of `days_of` or `trades_of`.
    count, seed : int
    block : float, optional
        Mean length of a block; that of `bands.blocks`, if not given. [rows]
    ruin : float
        Share of the capital. [1]
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    Paths

    Raises
    ------
    ValueError
        Fewer than two rows, or an argument that is out of bounds.

    Source: stationary bootstrap: D. Politis, J. Romano, Journal of the American Statistical Association 89 (1994).

    Ten days that earn 1 % of a fixed capital of 100 always end at 110 and never fall; held on a margin of half the
    capital, they need 49: on the first evening 49 + 1 is the margin of 50.

    >>> steady = Pool(np.full(10, 0.01), np.full(10, 0.5), 100.0, False, "days")
    >>> told = paths(steady, count=100)
    >>> told.drawn.min(axis=0).round(9).tolist()
    [1.1, 0.0, 1.0, 0.49, 0.0]
    >>> told.summary()["capital_needed"]
    49.0
    """
    if len(pool.returns) < 2:
        raise ValueError(f"paths of {len(pool.returns)} {pool.of}: there is nothing to draw; allowed: two or more")
    for name, value, fine in (("count", count, count >= 1), ("ruin", ruin, 0.0 <= ruin < 1.0)):
        if not fine:
            raise ValueError(
                f"{name} = {value!r}: allowed is {'1 or more' if name == 'count' else 'from 0 to below 1'}"
            )
    block = blocks(pool.returns, pool.margin > 0.0) if block is None else float(block)
    out = np.empty((count, len(OF_A_PATH)))
    ready = np.ascontiguousarray(pool.returns, float), np.ascontiguousarray(pool.margin, float)

    def work(first, last):
        _paths(*ready, bool(pool.compounding), float(ruin), block, np.uint64(seed), first, out[first:last])

    spread(work, count, threads)
    return Paths(out, pool, block, seed, ruin)


def of_run(archive, run, count=COUNT, seed=SEED, ruin=RUIN):
    """{"days": Paths, "trades": Paths} of a stored run; those of which there are fewer than two are left out.

    Maintenance margins are those of the run's market; of a run whose market is not as it was, `source.SourceChanged`.
    """
    market = market_of_run(archive, run)
    market, _ = with_margins(market, run.portfolio, first_row(market, run.portfolio))
    pools = (days_of(run, maintenance_share(run, market)), trades_of(run))
    return {pool.of: paths(pool, count, seed, ruin=ruin) for pool in pools if len(pool.returns) >= 2}


@kernel
def _paths(returns, margin, compounding, ruin, block, seed, first, out):
    """Rows of OF_A_PATH for the paths from `first` on."""
    count, state = len(returns), np.empty(1, np.uint64)
    for number in range(out.shape[0]):
        begin(state, seed, first + number)
        equity = peak = lowest = 1.0
        earned = deepest = needed = 0.0
        ruined, t = 0, 0
        while t < count:
            i, end = int(chance(state) * count), t + length_of(state, block, count - t)
            while t < end:
                value = returns[i]
                earned += value
                needed = max(needed, margin[i] - earned)
                equity = max(equity * (1.0 + value) if compounding else 1.0 + earned, 0.0) if equity > 0.0 else 0.0
                peak = max(peak, equity)
                deepest = min(deepest, equity / peak - 1.0)
                lowest = min(lowest, equity)
                t += 1
                if ruined == 0 and equity <= ruin:
                    ruined = t
                i = i + 1 if i + 1 < count else 0
        row = out[number]
        row[0], row[1], row[2], row[3], row[4] = equity, deepest, lowest, needed, ruined
