"""What the trades of a run were worth, for all of them and by strategy, market, side, or why they began and ended.

A strategy trade is flat to flat; what is still open counts at its last mark. Each number of all trades is that of
`engine.trade_metrics`; here they are told of every group at once. R is the result over the money at risk at entry,
which trades with a protective stop have.
"""

import polars as pl

from engine.analysis.daily import by_market

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


def statistics(trades, by=()):
    """Numbers of trades by what they have in common.

    Parameters
    ----------
    trades : DataFrame
        As `RunResult.trades` gives them.
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
    found = _grouped(trades, names)
    net = pl.col("net")
    won, lost = net.filter(net > 0.0), net.filter(net < 0.0)
    spread = net.std(ddof=1)
    numbers = found.group_by("group").agg(
        trades=pl.len(),
        open=pl.col("open").sum(),
        net=net.sum(),
        costs=pl.col("costs").sum(),
        win_rate=(net > 0.0).mean(),
        payoff=pl.when((won.len() > 0) & (lost.len() > 0)).then(won.mean() / -lost.mean()),
        profit_factor=pl.when(lost.len() > 0).then(won.sum() / -lost.sum()),
        expectancy=net.mean(),
        expectancy_r=pl.col("r").mean(),
        sqn=pl.when(spread > 1e-14 * net.abs().max()).then(net.mean() / spread * pl.len().sqrt()),
        best=net.max(),
        worst=net.min(),
        bars=pl.col("bars").mean(),
        bars_median=pl.col("bars").median(),
        days=(pl.col("exit_day") - pl.col("entry_day")).dt.total_days().mean(),
        rolls=pl.col("rolls").mean(),
    )
    found = numbers.join(_streaks(found), on="group", how="left").with_columns(pl.col("^.*_in_a_row$").fill_null(0))
    return found.select(*STATISTICS).cast(STATISTICS).sort("net", "group", descending=[True, False])


def distribution(trades, quantiles=(0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)):
    """Quantiles of what trades earned and of how long they were held; DataFrame with columns DISTRIBUTION.

    Trades as for `statistics`; interpolated linearly.
    """
    told = trades.select(net="net", r=_r(), bars=pl.col("bars").cast(pl.Float64))
    rows = [told.select(pl.all().quantile(q, "linear")).with_columns(quantile=pl.lit(q)) for q in quantiles]
    return pl.concat(rows).select(*DISTRIBUTION).cast(DISTRIBUTION)


def _grouped(trades, names):
    """What the numbers read, with the group of each trade, in order of the exits."""
    trades = by_market(trades).with_columns(
        year=pl.col("exit_day").dt.year(), r=_r(), exit_day=pl.col("exit_day").fill_null(pl.col("exit_day").max())
    )
    group = pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in names], separator=" / ")
    trades = trades.with_columns(group=group if names else pl.lit("all"))
    wanted = ("trade", "group", "entry_day", "exit_day", "net", "costs", "r", "bars", "rolls", "open")
    return trades.select(wanted).sort("exit_day", "trade")


def _r():
    """Result of a trade over the money at risk at entry. [R]"""
    risk = pl.col("risk").cast(pl.Float64)
    return pl.when(risk > 0.0).then(pl.col("net") / risk)


def _streaks(trades):
    """Most trades in a row that won, and that lost, by group; a trade that broke even ends both."""
    sign, group = pl.col("net").sign(), pl.col("group")
    runs = trades.sort("group", maintain_order=True).select(
        "group", sign=sign, run=((sign != sign.shift()) | (group != group.shift())).fill_null(True).cum_sum()
    )
    lengths = runs.group_by("group", "run", "sign").agg(length=pl.len())
    length = pl.col("length")
    return lengths.group_by("group").agg(
        won_in_a_row=length.filter(pl.col("sign") > 0.0).max(),
        lost_in_a_row=length.filter(pl.col("sign") < 0.0).max(),
    )
