"""The sections `risk` and `trades` of a run: what it risked, what its trades were worth and what they cost.

A function takes a run and its archive, and gives (title, DataFrame, note) of each table.
"""

from functools import cache

from app.commands.output import money, number, percent
from app.commands.tables import Made, ratio

DEEPEST, PAIRS, LOSERS = 10, 10, 3  # drawdowns, pairs of markets at each end, and markets named of a drawdown


def risk(run, archive):
    """What a run risked and how it fell, what it held, how large it was for its markets."""
    from engine.analysis import drawdowns, exposure, forecasts, rolling, value_at_risk
    from engine.analysis.capacity import PART, SURE, capacity
    from engine.analysis.daily import Daily

    daily, market = Daily.of(run), _market(run, archive)
    held = cache(lambda: exposure.Held.of(run))
    exposed = cache(lambda: exposure.exposure(held()))
    made = Made()
    made.add("Numbers", "Whole run; see `docs/numbers.md` for each.", lambda: _numbers(run, daily))
    made.add(
        "Monthly returns",
        "The first and last month and year may be cut short; the months of a year make its return.",
        lambda: rolling.months(daily),
    )
    made.add(
        "Drawdowns",
        f"The {DEEPEST} deepest; no recovery: still open. Of each fall the markets that lost most on the way down.",
        lambda: _fallen(drawdowns, daily),
    )
    made.add(
        "Last 252 days",
        "Volatility, ratios and deepest drawdown of the 252 days up to each year's last.",
        lambda: _year_ends(rolling.year_ends(daily)),
    )
    made.add(
        "Value at risk",
        "Loss of a day that 95 or 99 of 100 keep within, and the mean of those beyond; `filtered` is of the next day.",
        lambda: _cautioned(value_at_risk.of_run(daily)),
    )
    made.add(
        "Value at risk, tested",
        "Each day's told from the 500 before it. p below 0.05: not as often as it should be, or one after another.",
        lambda: forecasts.backtested(forecasts.forecasts(daily)).rename({"worst": "worst_ratio"}),
    )
    made.add(
        "Value at risk by market",
        "The parts add up to the account's; `change without it` is what the account's would be less or more.",
        lambda: value_at_risk.parts(run, daily=daily, held=held()),
    )
    made.add(
        "Value at risk of what is held",
        "The positions of the last day over the last 500 days of their markets.",
        lambda: _cautioned(value_at_risk.of_held(run, market(), daily)),
    )
    made.add(
        "Exposure by year",
        "Means and highest of the days; equal bets: as many equal margins would be as concentrated.",
        lambda: exposure.yearly(exposed()),
    )
    made.add(
        "Exposure by sector",
        "Gross notional over equity, and part of the margin of all that was held.",
        lambda: exposure.sector_means(exposure.by_sector(held()), exposed()),
    )
    made.add(
        "Correlation",
        f"Of the weekly profits of two markets: the {PAIRS} highest and the {PAIRS} lowest pairs.",
        lambda: _pairs(exposure, daily),
    )
    made.add(
        "Capacity",
        f"Mean and most; to leave at {percent(PART, 0)} of the volume a day; the capital with which "
        f"{percent(SURE, 0)} of the days' trades are no more than that.",
        lambda: capacity(run, market(), daily=daily),
    )
    return made.all()


def trades(run, archive):
    """What the trades of a run were worth, what they went through, and what trading cost."""
    from engine.analysis import activity, excursions, trade_stats

    market, made = _market(run, archive), Made()
    at = cache(lambda: excursions.places(run, market()))
    ended = cache(lambda: trade_stats.Ended.of(run.trades()))
    told = (
        "Flat to flat, rolls and resizes inside. Factor: won / lost; payoff: mean of each; row: most one after another."
    )
    made.add("All trades", told, lambda: trade_stats.statistics(ended()))
    for title, by in {
        "By strategy": "strategy", "By side": "direction", "By entry": "entry_reason", "By exit": "exit_reason",
        "By sector": "sector", "By market": "market",
    }.items():  # fmt: skip
        made.add(title, "The largest net first.", lambda by=by: trade_stats.statistics(ended(), by))
    made.add(
        "By year of exit",
        "The newest first.",
        lambda: trade_stats.statistics(ended(), "year").sort("group", descending=True),
    )
    made.add("Distribution", "So much or less in that share of the trades.", lambda: trade_stats.distribution(ended()))
    made.add(
        "Excursions",
        "Furthest against and for the holder, mean of the trades, in money, R and average true ranges.",
        lambda: _excursions(excursions.excursions(run, market(), at()), run.trades()),
    )
    made.add(
        "Edge of the entries",
        "Mean excursion in average true ranges; an edge ratio above 1 says that entries point the right way.",
        lambda: excursions.edge(run, market(), at=at()),
    )
    made.add(
        "Time in market",
        "Days at whose close a market was held, as a share of all, and of which side it was.",
        lambda: activity.held(run),
    )
    made.add(
        "Costs by year",
        "Costs over mean equity are the drag; the roll gap is no cost. A part of a year is not made a whole one.",
        lambda: activity.by_year(run, market()).rename({"rolls": "roll_costs", "traded": "traded_money"}),
    )
    return made.all()


def exceeded(run):
    """The picture of the days that lost more than was told of them, where anything was told."""
    from app.exceedances import picture
    from engine.analysis import forecasts
    from engine.analysis.daily import Daily

    told = forecasts.forecasts(Daily.of(run))
    note = f"run {run.id}, {run.name}{', simulated prices' if run.simulated else ''}"
    drawn = picture(told, forecasts.backtested(told), "Losses beyond the value at risk", note)
    return {"exceedances": drawn} if drawn else {}


@cache
def _market(run, archive):
    """Function without arguments that gives the market of a run, loaded when first asked for."""
    from engine.analysis.source import market_of_run

    return cache(lambda: market_of_run(archive, run))


def _numbers(run, daily):
    """Every number of `engine.metrics` that returns and equity have."""
    import polars as pl

    from engine.analysis.daily import account
    from engine.metrics import METRICS

    of_trades = ("trade_net", "notional", "costs", "line_gross")
    read = account(run, daily)
    rows = [
        (name, one.label, one(read), one.format)
        for name, one in METRICS.items()
        if not set(one.reads) & set(of_trades) and "var_" not in name and "shortfall" not in name
    ]
    frame = pl.DataFrame(
        rows,
        schema={"key": pl.String, "number": pl.String, "value": pl.Float64, "format": pl.String},
        orient="row",
    )
    return frame.with_columns(pl.col("value").fill_nan(None))


def _fallen(drawdowns, daily):
    import polars as pl

    found, causes = drawdowns.drawdowns(daily, DEEPEST), drawdowns.causes(daily, DEEPEST)
    losers = causes.filter(pl.col("profit") < 0.0).group_by("drawdown", maintain_order=True).head(LOSERS)
    named = losers.select("drawdown", causes=pl.col("market") + losers["profit"].map_elements(_spaced, pl.String))
    told = named.group_by("drawdown").agg(pl.col("causes").str.join(", "))
    return found.join(told, on="drawdown", how="left")


def _spaced(amount):
    return f" {money(amount)}"


def _year_ends(found):
    import polars as pl

    years = found.select(pl.col("day").dt.year().alias("year"), pl.exclude("beta"))
    return years.rename({"drawdown": "deepest"}).sort("year", descending=True)


def _cautioned(found):
    caution = next(filter(None, found["caution"]), "")
    return found, f"Cornish-Fisher: {caution}." if caution else ""


def _pairs(exposure, daily):
    import polars as pl

    found = exposure.correlations(daily)
    known = found.drop_nulls("correlation")
    ends = known if len(known) <= 2 * PAIRS else pl.concat([known.head(PAIRS), known.tail(PAIRS)])
    mean, bets = exposure.mean_correlation(found), exposure.independent_bets(daily.shares[:, :-1])
    return ends, f"Mean of all {len(known)} pairs: {ratio(mean)}; independent bets: {number(bets, '.1f')}."


def _excursions(found, trades):
    import polars as pl

    kind = pl.when(pl.col("net") > 0.0).then(pl.lit("won")).otherwise(pl.lit("lost or even"))
    found = found.with_columns(trades["net"]).with_columns(group=kind)  # both in the order of the trades
    means = pl.col("^(adverse|favourable)_.*$").mean()
    rows = [found.select(pl.lit("all").alias("group"), pl.len().alias("trades"), means)]
    rows.append(found.group_by("group").agg(pl.len().alias("trades"), means).sort("group", descending=True))
    return pl.concat(rows)
