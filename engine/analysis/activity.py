"""What a run traded and what that cost, year by year, and how long it was in its markets."""

from typing import NamedTuple

import numpy as np
import polars as pl

from engine.analysis.daily import COSTS, PAID, Daily, among, by_market, codes, line_of, once, rows_of
from engine.analysis.parts import ROLLS
from engine.book import CAUSES

ROLL_COSTS = ("roll_slippage", "roll_impact", "roll_commission")
YEARS = {
    "year": pl.Int32,
    "equity": pl.Float64,  # mean of its days [account currency]
    "traded": pl.Float64,  # notional of all sides, netted over strategies; null without a market [account currency]
    "turnover": pl.Float64,  # the same over the mean equity; of a part of a year not made a whole [1]
    "fills": pl.Int32,  # [number]
    "roll_fills": pl.Int32,  # those of rolls, two a roll [number]
    "profit": pl.Float64,  # after costs, with interest; money paid in is none [account currency]
    "commission": pl.Float64,  # of entries, exits and resizes, negative [account currency]
    "slippage": pl.Float64,  # with impact, likewise [account currency]
    "rolls": pl.Float64,  # all costs of rolls, negative [account currency]
    "roll_gap": pl.Float64,  # spread at which rolls filled less that of the series; no cost [account currency]
    "costs": pl.Float64,  # commission, slippage and rolls, negative [account currency]
    "drag": pl.Float64,  # costs over the mean equity, positive [fraction]
    "roll_drag": pl.Float64,  # those of rolls over it, positive [fraction]
}
HELD = {
    "group": pl.String,
    "days": pl.Int32,  # at whose close anything of it was held
    "share": pl.Float64,  # of all days of the run [fraction]
    "long": pl.Float64,  # share of all days on which it was long, net [fraction]
    "short": pl.Float64,  # short [fraction]
}


class Activity(NamedTuple):
    """What a run traded and paid by day; row t is the day `Daily.days[t + 1]`."""

    traded: np.ndarray | None  # (time,) notional of all sides; None where it is not known [account currency]
    costs: np.ndarray  # (time,) positive [account currency]
    gross: np.ndarray  # (time, line) profit before costs [account currency]
    begun: np.ndarray  # (time,) trades [number]
    paid: np.ndarray  # (time,) paid in before the day's first bar, out negative [account currency]


def by_day(run, market=None):
    """The `Activity` of a run; its notional is not known without the `Market` of the run."""
    daily, ledger = Daily.of(run), run.ledger()
    count, days = len(daily.paid), daily.days[1:]
    row, amount, cost = rows_of(days, ledger["day"]), ledger["amount"].to_numpy(), among(ledger["cause"], COSTS)
    line, lines = line_of(ledger)
    own = ~cost & (line < lines)
    gross = np.bincount((row * lines + line)[own], amount[own], count * lines).reshape(count, lines)
    traded = None
    if market is not None:
        fills = notional(run, market)
        traded = np.bincount(rows_of(days, fills["day"]), fills["notional"].to_numpy(), count)
    begun = np.bincount(rows_of(days, run.trades()["entry_day"]), minlength=count)
    costs = -np.bincount(row[cost], amount[cost], count)
    return Activity(traded, costs, np.ascontiguousarray(gross[:, gross.any(axis=0)]), begun, daily.paid)


def by_year(run, market=None):
    """Turnover and costs of each calendar year.

    Parameters
    ----------
    run : RunResult
    market : Market, optional
        That of the run, which knows what a point of each fill was worth; without it `traded` and `turnover` are null.

    Returns
    -------
    DataFrame
        Columns YEARS, the newest first.
    """
    year = pl.col("day").dt.year().alias("year")
    causes = {
        "commission": ["commission"],
        "slippage": ["slippage", "impact"],
        "rolls": ROLL_COSTS,
        "roll_gap": ["roll_gap"],
        "costs": COSTS,
    }
    days, ledger = run.equity()["day"].to_numpy().astype("datetime64[D]"), run.ledger()
    key = rows_of(days, ledger["day"]) * len(CAUSES) + codes(ledger["cause"], CAUSES)
    booked = np.bincount(key, ledger["amount"].to_numpy(), len(days) * len(CAUSES)).reshape(len(days), -1)
    sums = {name: booked[:, [CAUSES.index(cause) for cause in of]].sum(axis=1) for name, of in causes.items()}
    sums["profit"] = booked.sum(axis=1) - booked[:, CAUSES.index(PAID)]
    money = pl.DataFrame({"day": days} | sums).group_by(year).agg(pl.exclude("day").sum())
    roll = among(run.fills()["kind"], ROLLS)
    fills = run.fills().select("day", roll=pl.Series(roll)).group_by(year)
    fills = fills.agg(fills=pl.len(), roll_fills=pl.col("roll").sum())
    found = run.equity()[1:].group_by(year).agg(equity=pl.col("equity").mean())
    traded = None if market is None else notional(run, market).group_by(year).agg(traded=pl.col("notional").sum())
    for part in (money, fills, traded):
        found = found if part is None else found.join(part, on="year", how="left")
    found = found.with_columns(pl.exclude("equity").fill_null(0))
    found = found if market is not None else found.with_columns(traded=pl.lit(None, pl.Float64))
    above = pl.when(pl.col("equity") > 0.0).then("equity")
    found = found.with_columns(
        turnover=pl.col("traded") / above, drag=-pl.col("costs") / above, roll_drag=-pl.col("rolls") / above
    )
    return found.select(*YEARS).cast(YEARS).sort("year", descending=True)


def held(run, by="market"):
    """On how many days each market or strategy held anything; DataFrame with columns HELD, the longest first.

    A strategy is long where the notional of all it holds is. By is `market`, `root` or `strategy`.
    """
    days, positions = run.equity()["day"][1:].to_numpy().astype("datetime64[D]"), by_market(run.positions())
    names = sorted(positions[by].unique().cast(pl.String))
    shape, cell = (len(days), len(names)), rows_of(days, positions["day"]) * len(names) + codes(positions[by], names)
    notional = np.nan_to_num(positions["notional"].fill_null(0.0).to_numpy())
    there = positions["contracts"].to_numpy() != 0.0
    any_ = np.bincount(cell, there, minlength=len(days) * len(names)).reshape(shape) > 0.0
    net = np.bincount(cell, notional, minlength=len(days) * len(names)).reshape(shape)
    whole = max(len(days), 1)
    frame = {
        "group": pl.Series(names, dtype=pl.String),
        "days": any_.sum(axis=0),
        "share": any_.sum(axis=0) / whole,
        "long": (net > 0.0).sum(axis=0) / whole,
        "short": (net < 0.0).sum(axis=0) / whole,
    }
    return pl.DataFrame(frame).cast(HELD).sort("days", "group", descending=[True, False])


def netted(run):
    """Fills as they reached the market: those of several strategies in one contract at one price net by day.

    DataFrame with day, market, contract, price, contracts (signed, not 0).
    """
    return once(run, "netted", lambda: _netted(run))


def _netted(run):
    names = ("day", "market", "contract", "price", "contracts")
    fills = by_market(run.fills())
    if fills["strategy"].n_unique() > 1:
        fills = fills.group_by(names[:-1], maintain_order=True).agg(pl.col("contracts").sum())
    return fills.select(names).filter(pl.col("contracts") != 0.0)


def notional(run, market):
    """`netted` fills with their row in the market's days, its column, and their notional. [account currency]

    Source: what the simulation adds up as it trades; here from prices, multipliers and rates of exchange.
    """
    fills = netted(run)
    row = rows_of(market.days, fills["day"])
    column = codes(fills["market"], market.names)
    worth = (market.multiplier * market.fx)[row, column]
    amount = (fills["contracts"] * fills["price"]).abs().to_numpy() * worth
    return fills.with_columns(row=pl.Series(row), column=pl.Series(column), notional=pl.Series(amount))
