"""What the trades of a run were worth, for all of them and by strategy, market, side, or why they began and ended.

A strategy trade is flat to flat; what is still open counts at its last mark. Each number of all trades is that of
`engine.trade_metrics`; here they are told of every group at once. R is the result over the money at risk at entry,
which trades with a protective stop have.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from engine.analysis.daily import by_market, numbers
from engine.kernel import kernel

GROUPS = ("strategy", "market", "sector", "direction", "entry_reason", "exit_reason", "year")
STATISTICS = {
    "group": pl.String,  # what they have in common; several are joined by " / "
    "trades": pl.Int64,
    "open": pl.Int64,  # of them still open
    "net": pl.Float64,  # sum after costs [account currency]
    "costs": pl.Float64,  # sum, negative [account currency]
    "win_rate": pl.Float64,  # share that earned money [fraction]
    "payoff": pl.Float64,  # mean winner over mean loser; null without both [ratio]
    "profit_factor": pl.Float64,  # sum won over sum lost; null without a loser [ratio]
    "expectancy": pl.Float64,  # mean [account currency a trade]
    "expectancy_r": pl.Float64,  # mean of the trades whose risk is known; null without one [R a trade]
    "sqn": pl.Float64,  # root of their number x mean / deviation; null for fewer than two [number]
    "best": pl.Float64,  # [account currency]
    "worst": pl.Float64,  # [account currency]
    "won_in_a_row": pl.Int64,  # most, by day of exit
    "lost_in_a_row": pl.Int64,  # most
    "bars": pl.Float64,  # mean time held [bars]
    "bars_median": pl.Float64,  # [bars]
    "days": pl.Float64,  # mean time held [calendar days]
    "rolls": pl.Float64,  # mean [rolls a trade]
}
DISTRIBUTION = {
    "quantile": pl.Float64,  # share of the trades below [fraction]
    "net": pl.Float64,  # [account currency]
    "r": pl.Float64,  # of trades whose risk is known [R]
    "bars": pl.Float64,  # time held [bars]
}
STREAKS = {
    "won": pl.Boolean,  # winners in a row, or losers
    "length": pl.Int64,  # [trades]
    "streaks": pl.Int64,  # so long, neither shorter nor longer
    "expected": pl.Float64,  # if each trade won and lost as often by chance, whatever the one before did
}
SUMS = (  # of a group: what `_sums` adds up, in its order
    "trades", "open", "net", "costs", "won", "gain", "lost", "loss", "risked", "r", "best", "worst", "won_in_a_row",
    "lost_in_a_row", "bars", "bars_median", "days", "rolls", "squares",
)  # fmt: skip


class Ended(NamedTuple):
    """Trades in the order of their exits, as arrays (trade,) that every grouping reads; made once for all of them."""

    trades: pl.DataFrame  # as they came
    order: np.ndarray  # row of each in `trades`
    by_bars: np.ndarray  # numbers of these rows, the shortest held first
    net: np.ndarray  # [account currency]
    costs: np.ndarray  # [account currency]
    r: np.ndarray  # nan: not known [R]
    bars: np.ndarray  # time held [bars]
    days: np.ndarray  # [calendar days]
    rolls: np.ndarray
    open: np.ndarray  # bool

    @classmethod
    def of(cls, trades):
        """Those of a table as `RunResult.trades` gives it."""
        trades = by_market(trades)
        last = trades["exit_day"].max() or trades["entry_day"].max()  # None: no trade
        days = (trades[name] if last is None else trades[name].fill_null(last) for name in ("entry_day", "exit_day"))
        entry, end = (day.to_physical().to_numpy() for day in days)
        order = np.lexsort((trades["trade"].to_numpy(), end))
        net, risk, costs, bars, rolls = (
            trades[name].cast(pl.Float64).to_numpy() for name in ("net", "risk", "costs", "bars", "rolls")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.where(risk > 0.0, net / risk, np.nan)
        arrays = (x[order] for x in (net, costs, r, bars, (end - entry).astype(np.float64), rolls))
        found = cls(trades, order, order, *arrays, trades["open"].to_numpy()[order])
        return found._replace(by_bars=np.argsort(found.bars, kind="stable"))


def statistics(trades, by=()):
    """Numbers of trades by what they have in common.

    Parameters
    ----------
    trades : DataFrame or Ended
        As `RunResult.trades` gives them; `Ended` of them where there is more than one question.
    by : str or sequence of str
        Of GROUPS (`year` is that of the exit); none: all in one row.

    Returns
    -------
    DataFrame
        Columns STATISTICS, the largest net first; no row where there is no trade.

    >>> from datetime import date
    >>> net = [2.0, -1.0, -1.0, 1.0]
    >>> days = {name: [date(2024, 1, k) for k in (2, 3, 4, 5)] for name in ("entry_day", "exit_day")}
    >>> known = {"trade": [1, 2, 3, 4], "market": "ES", "strategy": "a", "risk": [None, None, 2.0, 2.0]}
    >>> held = {"bars": 3, "rolls": 0, "open": False, "costs": -0.1}
    >>> found = statistics(pl.DataFrame({"net": net} | days | known | held), "market")
    >>> found.select("win_rate", "profit_factor", "expectancy", "expectancy_r", "lost_in_a_row").row(0)
    (0.5, 1.5, 0.25, 0.0, 2)
    """
    names = [by] if isinstance(by, str) else [*by]
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"trades by {name!r}: allowed are {', '.join(GROUPS)}")
    if not len(trades.trades if isinstance(trades, Ended) else trades):
        return pl.DataFrame(schema=STATISTICS)
    ended = trades if isinstance(trades, Ended) else Ended.of(trades)
    code, labels = _grouped(ended, names)
    sums = dict(zip(SUMS, _sums(code, len(labels), *ended[2:]).T, strict=True))
    count, won, lost = sums["trades"], sums["won"], sums["lost"]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, spread = sums["net"] / count, np.sqrt(sums["squares"] / (count - 1.0))
        steady = ~(spread > 1e-14 * np.maximum(sums["best"], -sums["worst"]))
        told = sums | {
            "win_rate": won / count,
            "payoff": sums["gain"] / won / (sums["loss"] / lost),
            "profit_factor": sums["gain"] / np.where(lost > 0.0, sums["loss"], np.nan),
            "expectancy": mean,
            "expectancy_r": sums["r"] / sums["risked"],
            "sqn": np.where(steady, np.nan, mean / spread * np.sqrt(count)),
            "bars": sums["bars"] / count,
            "days": sums["days"] / count,
            "rolls": sums["rolls"] / count,
        }
    some = np.flatnonzero(count)
    whole = {name: np.int64 if kind == pl.Int64 else np.float64 for name, kind in STATISTICS.items()}
    frame = {name: told[name][some].astype(whole[name]) for name in STATISTICS if name != "group"}
    found = pl.DataFrame({"group": [labels[k] for k in some]} | frame, schema=STATISTICS, nan_to_null=True)
    return found.sort("net", "group", descending=[True, False])


def distribution(trades, quantiles=(0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)):
    """Quantiles of what trades earned and of how long they were held; DataFrame with columns DISTRIBUTION.

    Trades as for `statistics`; interpolated linearly.
    """
    told = {"quantile": [*quantiles], "net": None, "r": None, "bars": None}
    if len(trades.trades if isinstance(trades, Ended) else trades):
        ended = trades if isinstance(trades, Ended) else Ended.of(trades)
        for name, values in (("net", ended.net), ("r", ended.r[~np.isnan(ended.r)]), ("bars", ended.bars)):
            told[name] = np.quantile(values, quantiles) if len(values) else None
    return pl.DataFrame(told, schema=DISTRIBUTION)


def streaks(net):
    r"""How many winners and losers followed one another, and how many would by chance.

    .. math:: E_k = 2 q p^k + (n - k - 1) q^2 p^k, \quad E_n = p^n

    of n trades of which a share p won (or lost) and q = 1 - p did not.

    Parameters
    ----------
    net : array (trade,)
        In the order of their exits; a trade of exactly nothing ends a streak and is in none. [account currency]

    Returns
    -------
    DataFrame
        Columns STREAKS, winners first, lengths up to the longest streak.

    Source: A. Mood, The Distribution Theory of Runs, Annals of Mathematical Statistics 11, 1940.

    >>> streaks(np.array([1.0, 2.0, -1.0, 3.0])).rows()
    [(True, 1, 1, 0.46875), (True, 2, 1, 0.31640625), (False, 1, 1, 0.65625)]
    """
    net, rows = np.asarray(net, float), []
    sign = np.sign(net)
    begins = np.flatnonzero(np.diff(sign, prepend=np.nan) != 0.0)
    lengths, kinds, count = np.diff(np.append(begins, len(sign))), sign[begins], len(net)
    for won, kind in ((True, 1.0), (False, -1.0)):
        found = np.bincount(lengths[kinds == kind])[1:]
        k = np.arange(1, len(found) + 1)
        p = float((sign == kind).mean()) if count else 0.0
        by_chance = np.where(k < count, (2.0 + (count - k - 1) * (1.0 - p)) * (1.0 - p) * p**k, p**k)
        rows += zip([won] * len(k), k.tolist(), found.tolist(), by_chance.tolist(), strict=True)
    return pl.DataFrame(rows, schema=STREAKS, orient="row")


def _grouped(ended, names):
    """(number of the group of each trade, text of each group)."""
    code, texts = np.zeros(len(ended.order), np.int64), [()]
    for name in names:
        own, labels = _coded(ended.trades, name)
        code = code * len(labels) + own[ended.order]
        texts = [(*before, label) for before in texts for label in labels]
    return code, [" / ".join(text) if names else "all" for text in texts]


def _coded(trades, name):
    """(number of the label of each trade, labels) of one of GROUPS; without one the label is empty."""
    if name == "year":
        years = trades["exit_day"].dt.year().cast(pl.Float64).to_numpy()
        first = int(np.nanmin(years)) if not np.isnan(years).all() else 0
        last = int(np.nanmax(years)) if not np.isnan(years).all() else -1
        labels = [*(str(year) for year in range(first, last + 1)), ""]
        return np.where(np.isnan(years), len(labels) - 1, years - first).astype(np.int64), labels
    column = trades[name]
    if not isinstance(column.dtype, pl.Enum):
        texts = column.unique().drop_nulls().cast(pl.String).sort()
        column = column.cast(pl.String).cast(pl.Enum(texts))
    labels = [*column.dtype.categories, ""]
    return numbers(column), labels


@kernel
def _sums(code, count, by_bars, net, costs, r, bars, days, rolls, open_):
    """Columns SUMS of each group, array (group, sum), of trades in the order of their exits."""
    out = np.zeros((count, 19))
    out[:, 10], out[:, 11] = -np.inf, np.inf
    sign, row = np.zeros(count), np.zeros(count)
    for k in range(len(code)):
        mine, one = out[code[k]], net[k]
        mine[0] += 1.0
        mine[1] += open_[k]
        mine[2] += one
        mine[3] += costs[k]
        if one > 0.0:
            mine[4] += 1.0
            mine[5] += one
        elif one < 0.0:
            mine[6] += 1.0
            mine[7] -= one
        if not np.isnan(r[k]):
            mine[8] += 1.0
            mine[9] += r[k]
        mine[10] = max(mine[10], one)
        mine[11] = min(mine[11], one)
        now = np.sign(one)
        row[code[k]] = row[code[k]] + 1.0 if now == sign[code[k]] else 1.0
        sign[code[k]] = now
        if now != 0.0:
            place = 12 if now > 0.0 else 13
            mine[place] = max(mine[place], row[code[k]])
        mine[14] += bars[k]
        mine[16] += days[k]
        mine[17] += rolls[k]
    for k in range(len(code)):
        mine = out[code[k]]
        mine[18] += (net[k] - mine[2] / mine[0]) ** 2
    passed = np.zeros(count)
    for k in by_bars:
        mine = out[code[k]]
        half = (mine[0] - 1.0) / 2.0  # the middle trade, or the two about the middle
        if abs(passed[code[k]] - half) < 0.75:
            mine[15] += bars[k] if mine[0] % 2.0 == 1.0 else 0.5 * bars[k]
        passed[code[k]] += 1.0
    return out
