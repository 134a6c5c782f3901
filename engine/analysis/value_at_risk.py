"""Value at risk of a run: of the account, of each market, and which part of the account's is whose.

Losses are positive fractions of the capital of their day. `history` takes the days as they were; `gaussian` a normal
distribution; `cornish-fisher` bends it by skew and tails, and gives way to history outside its domain, which `caution`
says; `filtered` takes past surprises at the volatility of now (`engine.tails`). Only the last one follows the market:
the others tell of a usual day of the whole run. Whether they were right is in `engine.analysis.forecasts`.
"""

import numpy as np
import polars as pl

from engine import tails
from engine.analysis.daily import ACCOUNT, Daily
from engine.analysis.exposure import Held, last_held
from engine.risk import deviation

LEVELS = (0.95, 0.99)
METHODS = {
    "history": (tails.var, tails.cvar),
    "gaussian": (tails.gaussian_var, tails.gaussian_cvar),
    "cornish-fisher": (tails.modified_var, tails.modified_cvar),
    "filtered": (tails.filtered_var, tails.filtered_cvar),
}
VALUES = {
    "method": pl.String,  # of METHODS
    "level": pl.Float64,  # share of the days that stay within it [fraction]
    "var": pl.Float64,  # value at risk of a day [fraction of capital]
    "cvar": pl.Float64,  # mean loss of the days beyond it [fraction of capital]
    "var_money": pl.Float64,  # at the capital after the last day [account currency]
    "cvar_money": pl.Float64,  # the same [account currency]
    "caution": pl.String,  # why the number is another one than its method says; "" if it is not
}
PARTS = {
    "market": pl.String,  # "account": interest and fees
    "sector": pl.String,
    "level": pl.Float64,  # [fraction]
    "var": pl.Float64,  # of the market alone, by history [fraction of capital]
    "without": pl.Float64,  # of the account without it, by history, less that of the account [fraction of capital]
    "marginal": pl.Float64,  # gaussian change of the account's for each unit of the market's gross notional [1]
    "component_gaussian": pl.Float64,  # its part of the account's gaussian one, to which they sum [fraction of capital]
    "component_history": pl.Float64,  # its part of the account's historical one, likewise [fraction of capital]
    "component_cvar": pl.Float64,  # its part of the historical mean loss beyond, likewise [fraction of capital]
    "share": pl.Float64,  # component_gaussian of the account's [fraction]
}


def values(returns, capital=np.nan, levels=LEVELS):
    """Value at risk and mean loss beyond it, by every method and level.

    Parameters
    ----------
    returns : array (time,)
        [fraction]
    capital : float
        Of the day that they are told of. [account currency]
    levels : sequence of float

    Returns
    -------
    DataFrame
        Columns VALUES.

    >>> found = values(np.array([-0.04, -0.02, 0.02, 0.04, 0.06]), 1000.0, [0.75])
    >>> found.filter(method="history").select("var", "cvar_money").row(0)
    (0.02, 30.0)
    """
    caution = tails.cornish_fisher_caution(returns)
    rows = []
    for level in levels:
        for method, (var, cvar) in METHODS.items():
            at, beyond = var(returns, level), cvar(returns, level)
            told = caution if method == "cornish-fisher" else ""
            rows.append((method, level, at, beyond, at * capital, beyond * capital, told))
    return pl.DataFrame(rows, schema=VALUES, orient="row")


def of_run(run, levels=LEVELS):
    """`values` of a run's daily returns, money at its last equity; with fixed capital, at that."""
    daily = run if isinstance(run, Daily) else Daily.of(run)
    return values(daily.returns, daily.capital, levels)


def of_held(run, market, daily=None, levels=LEVELS):
    """`values` of what a run held on its last day, see `held`."""
    daily = daily or Daily.of(run)
    return values(held(run, market, daily)[0].sum(axis=1), daily.capital, levels)


def gaussian_components(shares, level=0.95):
    r"""Part of each column in the gaussian value at risk of their sum (Euler's theorem: the parts add up).

    .. math:: C_m = -\left( \mu_m + z \frac{\mathrm{cov}(c_m, r)}{\sigma(r)} \right), \quad r = \sum_m c_m

    Parameters
    ----------
    shares : array (time, market)
        What each market earned of the capital. [fraction]
    level : float

    Returns
    -------
    array (market,)
        [fraction]; sums to `tails.gaussian_var` of the sum; nan where nothing moved.

    Source: P. Jorion, Value at Risk, 3rd ed., 2007, ch. 7; ddof 0 as `tails.gaussian_var`.

    >>> shares = np.array([[0.01, 0.0], [-0.01, 0.0], [0.0, 0.02], [0.0, -0.02]])
    >>> parts = gaussian_components(shares)
    >>> round(parts[1] / parts[0], 9), round(parts.sum() / tails.gaussian_var(shares.sum(axis=1)), 9)
    (np.float64(4.0), np.float64(1.0))
    """
    if len(shares) == 0:
        return np.full(shares.shape[1], np.nan)
    total = shares.sum(axis=1)
    spread = deviation(total, 0)
    together = (shares - shares.mean(axis=0)).T @ (total - total.mean()) / len(total)
    slope = together / spread if spread > 0.0 else np.full(shares.shape[1], np.nan)
    return -(shares.mean(axis=0) + tails.NORMAL.inv_cdf(tails.beyond(level)) * slope)


def historical_components(shares, level=0.95):
    r"""Part of each column in the historical value at risk of their sum: what it lost on the day at the quantile.

    .. math:: C_m = -\left( (1 - f) c_{m,(k)} + f c_{m,(k + 1)} \right), \quad k + f = 1 + (n - 1)(1 - level)

    with (k) the day of the k-th lowest sum. Arguments and result as for `gaussian_components`; sums to `tails.var`. One
    or two days say it, so that `tail_components` tells better who is to blame.

    Source: D. Tasche, Risk Contributions and Performance Measurement, 1999 (the part is the expected loss given the
    portfolio's).

    >>> historical_components(np.array([[-0.03, 0.01], [0.0, -0.01], [0.01, 0.01]]), 0.5)
    array([-0.  ,  0.01])
    """
    if len(shares) == 0:
        return np.full(shares.shape[1], np.nan)
    place = (len(shares) - 1) * tails.beyond(level)
    low, part = int(place), place - int(place)
    order = np.argsort(shares.sum(axis=1), kind="stable")
    return -((1.0 - part) * shares[order[low]] + part * shares[order[min(low + 1, len(order) - 1)]])


def tail_components(shares, level=0.95):
    r"""Part of each column in the mean loss of the days at or beyond the historical value at risk of their sum.

    .. math:: C_m = -\overline{c_m \mid r \le -VaR}

    Arguments and result as for `gaussian_components`; sums to `tails.cvar`. Source: as `historical_components`.

    >>> tail_components(np.array([[-0.03, 0.01], [0.0, -0.02], [0.01, 0.01]]), 0.5)
    array([0.015, 0.005])
    """
    total = shares.sum(axis=1)
    if len(shares) == 0 or np.isnan(total).any():
        return np.full(shares.shape[1], np.nan)
    return -shares[total <= -tails.var(total, level) + tails.ROUNDING].mean(axis=0)


def parts(run, levels=LEVELS, daily=None, held=None):
    """Value at risk of each market, and its part of the account's.

    A market that was held on some days only is told over all days of the run, as the account is. Its exposure, to which
    `marginal` belongs, is the mean of its gross notional over the capital. The `Daily` and `Held` of the run are made
    where they are not given.

    Returns
    -------
    DataFrame
        Columns PARTS, the largest gaussian part first.
    """
    daily, held = daily or Daily.of(run), held or Held.of(run)
    of_base = np.nan_to_num(held.gross / daily.base[:, None]).mean(axis=0)
    exposure = np.array([of_base[held.names.index(name)] if name in held.names else np.nan for name in daily.names])
    return parts_of(daily.shares, daily.names, daily.sectors, levels, exposure)


def parts_of(shares, names, sectors, levels=LEVELS, exposure=None):
    """`parts` of any shares, array (time, market + 1), whose last column is the account's own.

    Exposure, array (market,), is the gross notional of each market over the capital; nan if not given.
    """
    total = shares.sum(axis=1)
    exposure = np.append(np.full(len(names), np.nan) if exposure is None else exposure, np.nan)
    alone, others = _each(shares, levels), _each(total[:, None] - shares, levels)
    frames = []
    for level, var, without in zip(levels, alone, others, strict=True):
        gaussian, whole = gaussian_components(shares, level), tails.var(total, level)
        frames.append(
            {
                "market": [*names, ACCOUNT],
                "sector": [*sectors, ACCOUNT],
                "level": np.full(shares.shape[1], level),
                "var": var,
                "without": without - whole,
                "marginal": np.divide(gaussian, exposure, out=np.full(len(gaussian), np.nan), where=exposure > 0.0),
                "component_gaussian": gaussian,
                "component_history": historical_components(shares, level),
                "component_cvar": tail_components(shares, level),
                "share": gaussian / gaussian.sum(),
            }
        )
    found = pl.concat([pl.DataFrame(frame, schema=PARTS) for frame in frames])
    found = found.with_columns(pl.col(pl.Float64).fill_nan(None))
    return found.sort("level", "component_gaussian", descending=[False, True])


def held(run, market, daily=None, days=500):
    """What the positions of a run's last day would have earned on each of the last days, as shares of the capital.

    Parameters
    ----------
    run : RunResult
    market : Market
        That of the run.
    daily : Daily, optional
        Of the run; made where it is not given.
    days : int
        How many of the last days, all of which the market must have: a shorter history tells what there is.

    Returns
    -------
    (array (time, market + 1), tuple, tuple)
        Shares for `parts_of` and, summed, for `values`; names and sectors of the markets held. The last column is 0.
    """
    positions = last_held(run)
    names = tuple(positions["market"].to_list())
    column = [market.names.index(name) for name in names]
    daily = daily or Daily.of(run)
    adjusted = market.adjusted[:, column]
    last = int(np.searchsorted(market.days, daily.days[-1], "right"))
    moved = moves(adjusted[:last])[-days:]
    worth = (market.multiplier * market.fx)[last - 1, column]
    profit = moved * worth * positions["contracts"].to_numpy() / daily.capital
    return np.column_stack([profit, np.zeros(len(profit))]), names, tuple(market.sectors[k] for k in column)


def moves(adjusted):
    """Change of each row since the last known price; 0 on a holiday and before the first."""
    known = np.where(np.isnan(adjusted), 0, np.arange(len(adjusted))[:, None])
    carried = np.take_along_axis(adjusted, np.maximum.accumulate(known, axis=0), axis=0)
    return np.nan_to_num(np.diff(carried, axis=0))


def _each(columns, levels):
    """Historical value at risk of each column, array (level, column)."""
    if len(columns) == 0:
        return np.full((len(levels), columns.shape[1]), np.nan)
    return -np.quantile(np.ascontiguousarray(columns.T), [tails.beyond(level) for level in levels], axis=1)
