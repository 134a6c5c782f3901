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
    from app.commands.output import compiling
    from app.commands.sections import tell
    from app.commands.tables import Made
    from engine import result

    archive = opened(context)
    run, made = result.load(archive, name), Made()
    numbers = {}
    with compiling():
        if window or not (what or shock or paths or factors):
            _windows(made, archive, run, window, flat)
        if what or shock:
            _changes(made, archive, run, what or [], together, shock)
        if paths:
            numbers["paths"] = _paths(made, archive, run, paths, ruin, seed)
        if factors:
            _curve(made, archive, run, factors)
    tell(context, run, made.tables, "scenario", csv, **numbers)


def _factor(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        raise typer.BadParameter(f"{text!r}: allowed are numbers above 0, as in 0.1,1,10", param_hint="--capital")
    return value


def _windows(made, archive, run, window, flat):
    from engine.analysis.stress import LEAD, WINDOWS, replayed, stress

    names = window or list(WINDOWS)
    told = replayed(archive, run, names) if flat else stress(run, names)
    how = f"From flat {LEAD} bars before each, with all capital." if flat else "The account as it was held."
    none = [row["window"] for row in told[0].to_dicts() if row["covered"] == "none"]
    more = f"The data have no day of {', '.join(none)}." if none else ""
    made.add("Stress windows", how, lambda: (told[0], more))
    made.add("Stress windows by market", "Sums to the profit of the window.", lambda: told[1])


def _changes(made, archive, run, what, together, shock):
    import polars as pl

    from engine.analysis.scene import base_of
    from engine.analysis.stress import shocked
    from engine.analysis.whatif import changed, compared

    scene, before = base_of(archive, run)
    found = []
    if together:
        mixed = scene
        for change in what:
            mixed = changed(mixed, change, before)
        found.append(compared(", ".join(what), before, mixed.played()))
    else:
        found += [compared(change, before, changed(scene, change, before).played()) for change in what]
    if shock:
        through = shocked(scene, before, shock)
        made.add(
            f"Shock of {through.day}",
            "Jump of all prices from the day on; what it cost that day, and what the rules made of it later.",
            lambda: through.moves,
        )
        found.append(through.changed)
    parts = [
        [one.with_columns(what=pl.lit(told.change)) for told in found for one in [getattr(told, kind)]]
        for kind in ("numbers", "markets")
    ]
    first = [one.select("what", pl.exclude("what")) for one in map(pl.concat, parts)]
    made.add("What if", "The engine played the run again.", lambda: _labelled(first[0]))
    made.add("What if by market", "Each column sums to the final equity.", lambda: first[1])


def _labelled(frame):
    import polars as pl

    from engine.metrics import METRICS

    names = frame["metric"].to_list()
    labels = [COUNTED[name][0] if name in COUNTED else _metric(METRICS, name)[0] for name in names]
    formats = [COUNTED[name][1] if name in COUNTED else _metric(METRICS, name)[1] for name in names]
    told = frame.with_columns(pl.Series("number", labels, pl.String), pl.Series("format", formats, pl.String))
    return told.select("what", "metric", "number", "before", "after", "change", "format")


def _metric(known, name):
    return (known[name].label, known[name].format) if name in known else (name.replace("_", " ").capitalize(), "money")


def _paths(made, archive, run, count, ruin, seed):
    import polars as pl

    from engine.analysis.paths import of_run

    told = {}
    for of, drawn in of_run(archive, run, count, seed, ruin).items():
        told[of] = drawn.summary()
        say_ = told[of]
        rows = [
            (f"Probability of falling to {100 * ruin:g} % of the capital", say_["ruin_probability"], "percent"),
            ("Probability of ending with a loss", say_["loss_probability"], "percent"),
            (f"Capital needed in {100 * say_['sure']:g} % of the paths", say_["capital_needed"], "money"),
        ]
        if of == "days":
            rows.append(("Probability of a margin call with the capital as it is", say_["call_probability"], "percent"))
        note = (
            f"{say_['paths']:,} paths of {say_['rows']:,} {of}, drawn in blocks of {say_['block']:.1f} on the mean, "
            f"seed {seed}."
        )
        more = "No margin call at the sizes of the starting capital." if of == "days" else "Not to fall to nothing."
        frame = pl.DataFrame(rows, ("number", "value", "format"), orient="row")
        made.add(f"Paths of {of}", f"{note} Capital needed: {more[0].lower()}{more[1:]}", lambda frame=frame: frame)
        made.add(
            f"Paths of {of}, quantiles",
            "Each column by itself, the lowest first.",
            lambda drawn=drawn: drawn.table(),
        )
    return told


def _curve(made, archive, run, factors):
    from engine.analysis.capacity import curve

    note = "After all costs, the impact of each order by its share of the volume too."
    made.add("Capital", note, lambda: curve(archive, run, factors))


VERBS = {
    "scenario": (
        scenario,
        "A run in bad times, with one thing changed, or drawn anew.",
        "frontmonth scenario last --what slippage=+1 --what margin=2",
    ),
}
