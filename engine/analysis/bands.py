"""How far each number of a run could have come out otherwise: bands by the stationary bootstrap.

The days of the run, or its trades in the order in which they ended, are drawn anew in blocks (`resampling`), and each
number is made of each drawn series. What a band says, and what it does not:

* `low` and `high` are quantiles of what the drawn series came to; of 100 runs in a world that goes on like this past,
  about 95 have their number between them. A world that changes is in no band.
* Blocks keep what follows each other together. Their mean length is that of `resampling.block_length` for the returns
  or for their sizes, whichever is longer: of a mean the returns say how long, of a value at risk quiet and wild times
  do. Sizes, none larger than that of 99 in 100: one wild day would hide what all the others do. Days before anything
  was held are drawn, but not asked: that nothing swings before the first position is no memory of the market.
* Days and trades are drawn apart: trades as if they were independent of those of other markets at the same time.
* A drawn series has the days of the run, as many returns, and the interest that belongs to them.
* What a run traded, paid and held is drawn by days as well: of a ratio of sums, as that of costs to profits, a drawn
  day brings its part of both. The blocks of such a number are as long as what it is a sum of asks for: positions last
  longer than returns remember. Payments into the account are not drawn: they come on their own days.
"""

from dataclasses import replace

import numpy as np

from engine import tails
from engine.analysis import resampling
from engine.metrics import METRICS
from engine.ratios import YEAR
from engine.risk import ROUNDING

RESAMPLES, SEED, LEVEL = 10_000, 20_020_701, 0.95
DRAWS = 200_000_000  # of trades, beyond which there are fewer resamples, but no fewer than FEWEST
FEWEST = 200
SUMS = 1_000_000_000  # of blocks by lines, likewise, for the share of the costs
SIZES = 0.99  # quantile of the sizes of days beyond which a block does not ask how large they were [1]
BANDS = {  # column -> polars type
    "metric": "String",  # key of engine.metrics.METRICS
    "value": "Float64",  # as it came out [unit of the metric]
    "low": "Float64",
    "high": "Float64",  # quantiles (1 - level) / 2 and (1 + level) / 2 of the resamples
    "median": "Float64",
    "error": "Float64",  # standard deviation of the resamples
    "defined": "Float64",  # share of the resamples in which the number exists; the others are left out [1]
    "of": "String",  # what was drawn: days or trades
    "block": "Float64",  # mean length of a block [days or trades]
    "resamples": "Int64",
    "level": "Float64",  # [1]
    "seed": "Int64",
}


def bands(account, resamples=RESAMPLES, seed=SEED, level=LEVEL, threads=None, activity=None):
    """A band for every number that is made of daily returns or of trades.

    Parameters
    ----------
    account : engine.metrics.Account
        Of a run: `engine.analysis.daily.account`.
    resamples, seed : int
    level : float
        Share of the resamples inside a band. [1]
    threads : int, optional
        The result does not depend on it.
    activity : engine.analysis.activity.Activity, optional
        Of the same run, for the numbers of what was traded, paid and held; without it there are none of them.

    Returns
    -------
    polars.DataFrame
        Columns BANDS, a row a number; null where it is not defined. Numbers of days have none after a ruin, nor with
        fewer than two days; nor those of trades with fewer than two.

    Source: D. Politis, J. Romano, The Stationary Bootstrap, Journal of the American Statistical Association 89 (1994);
    percentile interval: B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.
    """
    import polars as pl

    told = {"level": level, "seed": seed}
    rows = []
    for what, values, draw in (("days", account.returns, of_days), ("trades", account.trade_net, of_trades)):
        if len(values) < 2 or np.isnan(values).any():
            rows += [{"metric": name, "value": METRICS[name](account), "of": what} | told for name in NUMBERS[what]]
            continue
        block = blocks(values, _held(account) if what == "days" else None)
        count = resamples if what == "days" else int(min(resamples, max(FEWEST, DRAWS // len(values))))
        drawn = draw(account, block, seed, count, threads)
        common = {"of": what, "block": block, "resamples": count} | told
        rows += [{"metric": n, "value": METRICS[n](account)} | _band(drawn[n], level) | common for n in drawn]
    if activity is not None:
        rows += [row | told for row in _active(account, activity, seed, resamples, level, threads)]
    types = {name: getattr(pl, kind) for name, kind in BANDS.items()}
    return pl.DataFrame(rows, schema=types).fill_nan(None)


def of_run(archive, run, market=None, resamples=RESAMPLES, seed=SEED, level=LEVEL):
    """The `bands` of a run, from the store's cache if they are there; of turnover only with the `Market` of the run."""
    import polars as pl

    from engine import keeping
    from engine.analysis.activity import by_day
    from engine.analysis.daily import account

    def make():
        activity, told = by_day(run, market), account(run)
        if market is not None:
            told = replace(told, notional=float(activity.traded.sum()))
        return bands(told, resamples, seed, level, activity=activity).to_dict(as_series=False)

    found = keeping.of_run(archive, run.id, ["bands", resamples, seed, level, market is not None], make)
    return pl.DataFrame(found, schema={name: getattr(pl, kind) for name, kind in BANDS.items()})


def blocks(values, held=None):
    """Mean length of a block that keeps both what the values and what their sizes follow. [rows]

    Parameters
    ----------
    values : array (row,)
        [any one unit]
    held : array (row,) of bool, optional
        Whether anything was held; rows before the first on which it was say nothing of the length.

    Returns
    -------
    float
        The longer of `resampling.block_length` of the values and of their sizes: distances from the mean, those beyond
        the quantile 0.99 taken as that.

    >>> blocks(np.array([1.0, -1.0]))
    1.0
    """
    first = int(np.argmax(held)) if held is not None and len(held) else 0
    asked = values[first:]
    sizes = np.abs(asked - np.mean(asked))
    sizes = np.minimum(sizes, np.quantile(sizes, SIZES))
    return max(resampling.block_length(asked), resampling.block_length(sizes))


def of_days(account, block, seed, resamples, threads=None):
    """Name -> what each resample of the days came to, array (resample,)."""
    excess = account.returns - account.interest
    ready = account.returns, excess, account.days, account.compounding
    drawn = resampling.daily(*ready, block, seed, resamples, threads)
    s, count = dict(zip(resampling.DAILY, drawn.T, strict=True)), len(account.returns)
    off = s["mean"] / count
    mean, over = np.mean(account.returns) + off, np.mean(excess) + s["excess"] / count
    variance = np.maximum(s["square"] / count - off**2, 0.0)
    cube = s["cube"] / count - 3.0 * off * s["square"] / count + 2.0 * off**3
    fourth = s["fourth"] / count - 4.0 * off * s["cube"] / count + 6.0 * off**2 * s["square"] / count - 3.0 * off**4
    spread = _moved(variance, s["least"], s["most"])
    other = np.maximum(s["excess_square"] / count - (s["excess"] / count) ** 2, 0.0)
    sample = _moved(other * count / (count - 1), s["excess_least"], s["excess_most"])
    annual = _annual(s["total"], account.years, account.compounding)
    with np.errstate(divide="ignore", invalid="ignore"):
        lean, tail = np.where(spread > 0, cube / spread**3, np.nan), np.where(spread > 0, fourth / spread**4, np.nan)
        found = {
            "total_return": s["total"],
            "annual_return": annual,
            "volatility": spread * np.sqrt(count / (count - 1) * YEAR),
            "sharpe": np.where(sample > 0, over / sample * np.sqrt(YEAR), np.nan),
            "sortino": _ratio(over, np.sqrt(s["excess_below"] / count)) * np.sqrt(YEAR),
            "calmar": _ratio(annual, -s["deepest"]),
            "mar": _ratio(annual, -s["deepest"]),
            "best_day": s["most"],
            "worst_day": s["least"],
            "positive_days": s["rises"] / count,
            "tail_ratio": _ratio(np.abs(s["upper"]), np.abs(s["var_95"])),
            "underwater": s["under"] / count,
            "max_drawdown": s["deepest"],
            "max_drawdown_days": s["deepest_days"],
            "downside_deviation": np.sqrt(s["below"] / count * YEAR),
            "omega": _ratio(s["gains"], s["losses"]),
            "ulcer": np.sqrt(s["depth_square"] / count),
            "pain": s["depth"] / count,
            "longest_drawdown_days": s["longest_days"],
            "skew": lean,
            "kurtosis": tail,
            "kelly_growth": np.where(sample > 0, over / sample**2, np.nan),
        }
    for percent in (95, 99):
        found |= _tails(s, percent, mean, spread, lean, tail)
    return {name: found[name] for name in NUMBERS["days"]}


def of_trades(account, block, seed, resamples, threads=None):
    """Name -> what each resample of the trades came to, array (resample,)."""
    net, count = account.trade_net, len(account.trade_net)
    s = dict(zip(resampling.TRADES, resampling.trades(net, block, seed, resamples, threads).T, strict=True))
    off = s["sum"] / count
    mean = np.mean(net) + off
    variance = np.maximum(s["square"] / count - off**2, 0.0) * count / (count - 1)
    spread = _moved(variance, s["least"], s["most"])
    with np.errstate(divide="ignore", invalid="ignore"):
        both = (s["won"] > 0) & (s["lost"] > 0)
        payoff = np.where(both, _ratio(s["wins"] / s["won"], s["losses"] / s["lost"]), np.nan)
        decided = s["won"] / (s["won"] + s["lost"])
        return {
            "win_rate": s["won"] / count,
            "profit_factor": _ratio(s["wins"], s["losses"]),
            "expectancy": mean,
            "payoff": payoff,
            "sqn": np.where(spread > 0, np.sqrt(count) * mean / spread, np.nan),
            "kelly_trades": np.where(payoff > 0, decided - (1.0 - decided) / payoff, np.nan),
        }


def of_activity(account, activity, block, seed, resamples, threads=None):
    """Name -> what each resample came to of what was traded, paid and held, array (resample,).

    Parameters
    ----------
    account : engine.metrics.Account
    activity : engine.analysis.activity.Activity
    block : dict
        Mean length of the blocks of each number that is asked for, see `lengths`. [days]
    seed, resamples, threads
        As for `bands`; of the share of the costs there may be fewer.
    """
    days, found = len(account.returns), {}
    capital, held = float(account.equity[0]), _held(account)

    def drawn(name, *columns, most=resamples):
        return resampling.sums(np.column_stack(columns), block[name], seed, most, threads).T

    for name in block:
        if name == "turnover":
            sides, equity = drawn(name, activity.traded, account.equity[1:])
            mean = (capital + equity) / (days + 1)
            found[name] = _ratio(sides, np.where(mean > 0.0, mean, 0.0) * account.years)
        elif name == "cost_share":
            most = int(SUMS / (days / block[name] * (activity.gross.shape[1] + 1)))
            costs, *gross = drawn(name, activity.costs, activity.gross, most=min(resamples, max(FEWEST, most)))
            found[name] = _ratio(costs, sum((np.maximum(line, 0.0) for line in gross), np.zeros(len(costs))))
        elif name == "time_in_market":
            found[name] = drawn(name, held)[0] / days
        elif name == "trades":
            found[name] = drawn(name, activity.begun)[0]
        else:
            asked = account.returns, activity.paid, capital, account.compounding
            found[name] = resampling.grown(*asked, block[name], seed, resamples, threads)
    return found


def lengths(account, activity):
    """Mean length of the blocks of each number of `of_activity` that is known of the run. [days]

    That of what the number is, but for its scale, a mean of: of a ratio of sums a / b what a day adds to a - (a / b) b.
    Final equity has the blocks of the returns.
    """
    held = _held(account)
    first = int(np.argmax(held))
    equity, won = account.equity[1:], activity.gross[:, activity.gross.sum(axis=0) > 0.0].sum(axis=1)
    adds = {"cost_share": (activity.costs, won), "time_in_market": (held, None), "trades": (activity.begun, None)}
    if activity.traded is not None:
        adds = {"turnover": (activity.traded, equity)} | adds
    found = {"final_equity": blocks(account.returns, held)}
    for name, (top, below) in adds.items():
        values = top[first:].astype(float)
        if below is not None and below.sum() > 0.0:
            values = values - top.sum() / below.sum() * below[first:]
        found[name] = resampling.block_length(values)
    return {name: found[name] for name in NUMBERS["activity"] if name in found}


_OF_DAYS = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_days",
    "var_95", "var_99", "cvar_95", "cvar_99", "best_day", "worst_day", "positive_days", "mar", "tail_ratio",
    "underwater", "downside_deviation", "omega", "ulcer", "pain", "longest_drawdown_days", "skew", "kurtosis",
    "gaussian_var_95", "gaussian_var_99", "gaussian_cvar_95", "gaussian_cvar_99", "modified_var_95", "modified_var_99",
    "modified_cvar_95", "modified_cvar_99", "expected_shortfall_95", "expected_shortfall_99", "kelly_growth",
)  # fmt: skip
NUMBERS = {
    "days": _OF_DAYS,
    "trades": ("win_rate", "profit_factor", "expectancy", "payoff", "sqn", "kelly_trades"),
    "activity": ("trades", "turnover", "cost_share", "time_in_market", "final_equity"),
}  # names of METRICS that have a band, by what is drawn; what was traded, paid and held is of days


def _active(account, activity, seed, resamples, level, threads):
    """Rows of BANDS of what was traded, paid and held; `final_equity` with what was paid in."""
    values = {name: METRICS[name](account) for name in NUMBERS["activity"]}
    if len(account.returns) < 2 or np.isnan(account.returns).any() or _held(account) is None:
        return [{"metric": name, "value": value, "of": "days"} for name, value in values.items()]
    values["final_equity"] = _worth(account, activity.paid)
    block = lengths(account, activity)
    drawn = of_activity(account, activity, block, seed, resamples, threads)
    rows = []
    for name, value in values.items():
        band = _band(drawn[name], level) | {"resamples": len(drawn[name])} if name in drawn else {}
        rows.append({"metric": name, "value": value, "of": "days", "block": block.get(name)} | band)
    return rows


def _worth(account, paid):
    """Where the account ended with what was paid into it. [account currency]"""
    worth = capital = float(account.equity[0])
    for earned, more in zip(account.returns.tolist(), paid.tolist(), strict=True):
        worth += more
        worth += earned * (worth if account.compounding else capital)
    return worth


def _held(account):
    """Whether anything was held on each day; None where it is not known."""
    if len(account.contracts) != len(account.returns):
        return None
    held = account.contracts != 0.0
    return held.any(axis=1) if held.ndim == 2 else held


def _tails(s, percent, mean, spread, lean, tail):
    """The numbers of the tail at one level; the formulae are those of `engine.tails`."""
    share = tails.beyond(percent / 100)
    z, excess = tails.NORMAL.inv_cdf(share), tail - 3.0
    density = tails.NORMAL.pdf(z) / share
    bent = z + (z**2 - 1) * lean / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * lean**2 / 36
    mass = 1.0 + z * lean / 6 + (z**2 - 1) * excess / 24 - (2 * z**2 - 1) * lean**2 / 36
    square, constant = excess / 8 - lean**2 / 6, 1 - excess / 8 + 5 * lean**2 / 36
    inside = (square >= 0.0) & (lean**2 / 9 <= 4 * square * constant)  # Maillard's domain; nan is outside
    value, beyond = s[f"var_{percent}"], s[f"cvar_{percent}"]
    told = {
        "var": value,
        "cvar": beyond,
        "expected_shortfall": s[f"shortfall_{percent}"],
        "gaussian_var": -(mean + z * spread),
        "gaussian_cvar": -(mean - spread * density),
        "modified_var": np.where(inside, -(mean + bent * spread), value),
        "modified_cvar": np.where(inside, -mean + spread * density * mass, beyond),
    }
    return {f"{name}_{percent}": values for name, values in told.items()}


def _band(drawn, level):
    """Where the drawn numbers lie, those that exist."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return {"defined": 0.0}
    low, median, high = np.quantile(known, [(1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0])
    error = float(np.std(known, ddof=1)) if len(known) > 1 else np.nan
    return {"low": low, "high": high, "median": median, "error": error, "defined": len(known) / len(drawn)}


def _moved(variance, least, most):
    """The root of a variance; 0 where only rounding moved the values, as in `risk.deviation`."""
    still = most - least <= ROUNDING * np.maximum(1.0, np.maximum(np.abs(least), np.abs(most)))
    return np.where(still, 0.0, np.sqrt(variance))


def _ratio(top, bottom):
    """`risk.ratio` of arrays."""
    fine = bottom > ROUNDING * np.maximum(1.0, np.abs(top))
    return np.divide(top, bottom, out=np.full(np.shape(fine), np.nan), where=fine)


def _annual(total, years, compounding):
    """`ratios.annual_return` of an array of total returns."""
    if not years > 0.0:
        return np.full(len(total), np.nan)
    if not compounding:
        return total / years
    growth = np.log1p(np.where(total > -1.0, total, np.nan)) / years
    return np.expm1(np.where(growth < 700.0, growth, np.nan))
