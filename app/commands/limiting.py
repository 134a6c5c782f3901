"""The section `limits` of a run: where it stands against its risk limits, and what the portfolio's own limits did."""

from app.commands.tables import Made, of_limit

SHOWN, NAMED = 10, 3  # breaches of each limit that are shown, and markets that are named of one


def limits(run, archive, file=None):
    """The tables of the section.

    Parameters
    ----------
    run : RunResult
    archive : Archive
    file : Path, optional
        The levels; `risk_limits.toml` beside the store, or the one that ships, if not given.
    """
    from engine.analysis import cuts, limit_effect, risk_limits, standing

    place = risk_limits.file_of(archive.path, file)
    levels = risk_limits.read(place)
    market, lacking = _market(run, archive)
    stands = standing.Standing.of(run, levels, market)
    source = "shipped levels, a place to begin" if place == risk_limits.SHIPPED else f"levels of {place.name}"

    def sides():
        return None if market is None else cuts.Sides.of(run, market, stands.daily.names)

    made = Made()
    made.add(
        "Limits",
        f"On the last day, and over history; {source}; up to a level is within it. {lacking}".strip(),
        lambda: _told(standing.now(stands)),
    )
    made.add(
        "Back within the limits",
        "The fewest whole contracts to cut of what is held, and what that costs; or why no trade does it.",
        lambda: _told(cuts.cuts(stands, sides())),
    )
    made.add(
        "Breaches",
        f"The last {SHOWN} of each limit, and who had most of the worst day's value.",
        lambda: _told(_named(standing.breaches(stands), standing.causes(stands))),
    )
    own = limit_effect.has_limits(run)
    told = "Sums of daily returns; with limits less without is loss avoided less profit forgone."
    made.add(
        "Portfolio limits on against off",
        told if own else "The portfolio has no limits of its own, in a section [limits].",
        lambda: limit_effect.effect(run, limit_effect.without_limits(archive, run)) if own else limit_effect.nothing(),
    )
    return made.all()


def _market(run, archive):
    """(the market of the run, or None; why there is none)."""
    from engine.analysis.source import SourceChanged, market_of_run
    from engine.market import MarketUnknown
    from engine.result import NotRunHere
    from store.manifest import NotKept

    try:
        return market_of_run(archive, run), ""
    except (MarketUnknown, NotKept, NotRunHere, SourceChanged) as error:
        return None, f"Unknown is what reads prices: {error}."


def _named(breaches, causes):
    """Breaches with the markets that had most of their worst value."""
    import polars as pl

    most = causes.filter(pl.col("part") > 0.0).group_by("limit", "breach", maintain_order=True).head(NAMED)
    texts = [f"{row['market']} {of_limit(row['limit'], row['part'])}" for row in most.to_dicts()]
    most = most.select("limit", "breach", causes=pl.Series(texts, dtype=pl.String))
    told = most.group_by("limit", "breach").agg(pl.col("causes").str.join(", "))
    last = breaches.group_by("limit", maintain_order=True).head(SHOWN)
    return last.join(told, on=["limit", "breach"], how="left", maintain_order="left").rename({"causes": "who"})


def _told(found):
    """The levels and values of a table under names that are shown in the unit of the row's limit."""
    names = {name: f"limit_{name}" for name in ("value", "amber", "red", "worst", "after")}
    names |= {"contracts": "trade", "cost": "trade_cost"}
    return found.rename({name: told for name, told in names.items() if name in found.columns})
