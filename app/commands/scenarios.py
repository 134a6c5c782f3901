"""The verb `scenario`: a run through old crises and shocks, with one thing changed, drawn anew, with more capital."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import opened
from app.commands.runs import Run

COUNTED = {  # numbers of `engine.analysis.whatif` beside those of `engine.metrics`: label and how it is shown
    "costs": ("Costs", "money"), "trades": ("Trades", "count"), "fills": ("Fills", "count"),
    "margin_calls": ("Days with a margin call", "count"), "margin_peak": ("Most margin", "money"),
}  # fmt: skip
HIGHEST = 1_000_000  # paths


def scenario(
    context: typer.Context,
    name: Run,
    window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FIRST:LAST",
            help="A time of stress: credit-2008, flash-2010, debt-2011, taper-2013, yuan-2015, volatility-2018, "
            "pandemic-2020, rates-2022, or two days as 2008-09-15:2008-10-10. Repeatable; all, if nothing is asked.",
            show_default=False,
        ),
    ] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="Play each window again, from flat 20 bars before it, with all capital.")
    ] = False,
    what: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Play the run again with a change: slippage=+1 (ticks), delay=1 (bars), margin=2, missing=ES, "
            "fx=EUR:-10%, locked=3@2020-03-16 (bars), capital=10, rolls=oi:2, volatility=2; fx and volatility "
            "from a day on with @DAY. Repeatable, each by itself.",
            show_default=False,
        ),
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="All changes of --what at once.")] = False,
    shock: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHO=MOVE",
            help="Prices jump before the open of the last day, or of @2020-03-16: a market, a sector, all, beta:ES, or "
            "against (each market against what is held: correlation to one), by -20% or -3sd (daily volatilities). "
            "Repeatable, all at once.",
            show_default=False,
        ),
    ] = None,
    paths: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=HIGHEST,
            help="So many paths of its days, and of its trades, drawn in blocks.",
            show_default=False,
        ),
    ] = None,
    ruin: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=0.99,
            help="Of --paths: ruin is to have no more than this share of the capital.",
        ),
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Of --paths.")] = 20_020_701,
    capital: Annotated[
        str | None,
        typer.Option(
            metavar="K,K,...",
            help="Play the run again with so many times its capital and the impact of its orders, as 0.1,1,10.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR/", help="Write the tables as CSV.", show_default=False)
    ] = None,
):
    """What a run earned in bad times, what would break it, and how else it could have gone: each by the engine itself,
    not by a formula. Nothing of it is saved."""
    if flat and (what or shock or paths or capital) and not window:
        raise typer.BadParameter("is for a --window", param_hint="--flat")
    if together and not what:
        raise typer.BadParameter("is for changes of --what", param_hint="--together")
    factors = None if capital is None else [_factor(text) for text in capital.split(",")]
    from app.commands.output import working
    from app.commands.sections import tell
    from engine import result

    archive = opened(context)
    run, tables, more = result.load(archive, name), [], {}
    with working(f"scenario of run {run.id}"):
        if window or not (what or shock or paths or factors):
            tables += _windows(archive, run, window, flat)
        if what or shock:
            tables += _changes(archive, run, what or [], together, shock)
        if paths:
            made, more["paths"] = _paths(archive, run, paths, ruin, seed)
            tables += made
        if factors:
            tables.append(_curve(archive, run, factors))
    tell(context, run, tables, "scenario", csv, **more)


def _factor(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        raise typer.BadParameter(f"{text!r}: allowed are numbers above 0, as in 0.1,1,10", param_hint="--capital")
    return value


def _windows(archive, run, window, flat):
    from engine.analysis.stress import LEAD, WINDOWS, replayed, stress

    names = window or list(WINDOWS)
    told, markets = replayed(archive, run, names) if flat else stress(run, names)
    how = f"From flat {LEAD} bars before each, with all capital." if flat else "The account as it was held."
    none = [row["window"] for row in told.to_dicts() if row["covered"] == "none"]
    how += f" {'The data have' if flat else 'The run has'} no day of {', '.join(none)}." if none else ""
    return [
        ("Stress windows", told, how),
        ("Stress windows by market", markets, "Sums to the profit of the window."),
    ]


def _changes(archive, run, what, together, shock):
    import polars as pl

    from engine.analysis.scene import base_of
    from engine.analysis.stress import shocked
    from engine.analysis.whatif import changed, compared

    scene, before = base_of(archive, run)
    asked, tables = ([what] if what else []) if together else [[change] for change in what], []
    found = [compared(", ".join(one), before, changed(scene, one, before).played()) for one in asked]
    if shock:
        through = shocked(scene, before, shock)
        note = "Jump of all prices from the day on; what it made that day, and what the rules made of it later."
        tables.append((f"Shock of {through.day}", through.moves, note))
        found.append(through.changed)
    numbers, markets = (
        pl.concat([getattr(one, kind).select(pl.lit(one.change).alias("what"), pl.all()) for one in found])
        for kind in ("numbers", "markets")
    )
    return [
        *tables,
        ("What if", _labelled(numbers), "The engine played the run again. Changes of percentages are in points."),
        ("What if by market", markets, "Profit after costs; each column sums to the final equity."),
    ]


def _labelled(frame):
    import polars as pl

    from engine.metrics import METRICS

    known = {name: (one.label, one.format) for name, one in METRICS.items()} | COUNTED
    told = [known[name] for name in frame["metric"].to_list()]
    named = frame.with_columns(
        pl.Series("number", [label for label, _ in told], pl.String),
        pl.Series("format", [format for _, format in told], pl.String),
    )
    return named.select("what", "metric", "number", "before", "after", "change", "format")


def _paths(archive, run, count, ruin, seed):
    import polars as pl

    from engine.analysis.paths import of_run

    tables, told = [], {}
    for of, drawn in of_run(archive, run, count, seed, ruin).items():
        one = told[of] = drawn.summary()
        rows = [
            (f"Probability of falling to {100 * ruin:g} % of the capital", one["ruin_probability"], "percent"),
            ("Probability of ending with a loss", one["loss_probability"], "percent"),
            (f"Capital needed in {100 * one['sure']:g} % of the paths", one["capital_needed"], "money"),
        ]
        if of == "days":
            rows.append(("Probability of a margin call with the capital as it is", one["call_probability"], "percent"))
        needed = "to have no margin call at the sizes of the starting capital" if of == "days" else "not to lose it all"
        note = f"{one['paths']:,} paths of {one['rows']:,} {of} in blocks of {one['block']:.1f}, seed {seed}."
        frame = pl.DataFrame(rows, ("number", "value", "format"), orient="row")
        tables.append((f"Paths of {of}", frame, f"{note} Capital needed: {needed}."))
        tables.append((f"Quantiles of paths of {of}", drawn.table(), "Each column by itself, the lowest first."))
    return tables, told


def _curve(archive, run, factors):
    from engine.analysis.capacity import curve

    note = "Played again; after all costs, with the impact of each order by its share of the volume."
    return "Capital", curve(archive, run, factors), note


VERBS = {
    "scenario": (
        scenario,
        "A run in bad times, with one thing changed, or drawn anew.",
        "frontmonth scenario last --what slippage=+1 --what margin=2",
    ),
}
