"""The verb `compare`: runs beside each other, whether one is better, and what differs in their inputs and trades."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.data import opened
from app.commands.output import emit, say, table, working
from app.commands.tables import Made, columns

MOST = 10  # trades that are shown of those that differ; the CSV files have all
FALLS = 3  # drawdowns of each run
MONEY = {"difference": "difference_money"}  # of a table that has amounts under a name that others have for shares
REASONS = ("exit_reason_1", "exit_reason_2")


def compare(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Ids, their beginnings, names, or `last`.", show_default=False),
    ],
    csv: Annotated[
        str | None,
        typer.Option(metavar="DIR/", help="Write the tables as CSV files into this folder.", show_default=False),
    ] = None,
):
    """Runs beside each other: numbers on the days that all have, the difference of their Sharpe ratios with a test,
    correlation, drawdowns; and what differs from the first run: inputs, trades, parts of the profit."""
    if len(names) < 2:
        raise typer.BadParameter(
            f"{names[0]}: name at least two runs, as in `frontmonth compare last 3f9a0c`", param_hint="RUN RUN..."
        )
    from engine import result

    archive = opened(context)
    runs = [result.load(archive, name) for name in names]
    document = {"runs": [run.id for run in runs], "portfolios": [run.name for run in runs],
                "simulated": any(run.simulated for run in runs)}  # fmt: skip
    if csv is not None:
        with working("compare"):
            files = _written(runs, Path(csv))
        emit(context, document | {"files": files}, lambda told: say("\n".join(told["files"])))
        return
    with working("compare"):
        made = tables(runs)
    told = [{"title": title, "note": note, "rows": frame.to_dicts()} for title, frame, note in made]
    emit(context, document | {"tables": told}, lambda told: _show(told, made, runs[0].summary["currency"]))


def tables(runs, all_trades=False):
    """The tables of the comparison as (title, frame, note); of the trades that differ only the first, unless all."""
    from engine.analysis import compare

    found, made = compare.aligned(runs), Made()
    span = f"{found.days[0]} to {found.days[-1]}"
    made.add(
        "Numbers",
        f"{span}, on the {len(found.days) - 1:,} days that all have; x: what the first run's volatility takes.",
        lambda: compare.numbers(found).drop("start", "end").rename({"run": "run_id"}),
    )
    made.add(
        "Sharpe ratios",
        "A year's, first less second, with the interval of 95 in 100; p: chance of that between equals.",
        lambda: compare.pairs(found).rename({"difference": "difference_sharpe"}),
    )
    made.add(
        "Drawdowns",
        f"The {FALLS} deepest of each run, and what the others earned from peak to trough.",
        lambda: compare.falls(found, FALLS).rename({"run": "run_id", "other": "other_run"}),
    )
    for other in runs[1:]:
        _pair(made, runs[0], other, all_trades)
    return made.all()


def _pair(made, first, second, all_trades):
    """The tables of what differs between two runs."""
    from engine.analysis import differing
    from engine.analysis.difference import difference

    pair = f"{first.id} and {second.id}"
    made.add(
        f"Inputs of {pair}",
        "What is not the same in both; other data make other trades whatever else is the same.",
        lambda: differing.inputs(first, second).fill_null("not set"),
    )
    if first.summary["currency"] != second.summary["currency"]:
        made.left.append((f"Trades of {pair}", "the accounts are in different currencies"))
        return
    found = differing.trades(first, second)
    made.add(
        f"Trades of {pair}",
        "Matched by market, strategy and entry day; the difference sums to that of all trades.",
        lambda: differing.summary(found).rename(MONEY),
    )
    other = found.filter(found["differs"] != differing.KINDS[-1])
    made.add(
        f"Trades that differ of {pair}",
        "Those that made the largest difference first." if all_trades else f"The {MOST} that made the most of it.",
        lambda: (other if all_trades else other.head(MOST).drop(REASONS)).rename(MONEY),
    )
    made.add(
        f"Profit of {pair}",
        "What the second earned more, market by market: docs/attribution.md says what the parts are.",
        lambda: _profit(difference(first, second)),
    )


def _profit(found):
    """The parts of a difference in profit, without the markets in which there is none."""
    import polars as pl

    from engine.analysis.difference import PARTS

    shown = found.filter(pl.any_horizontal(pl.col(PARTS) != 0.0)).rename({"other": "other_money"})
    return shown.drop("contracts_1", "contracts_2", "earned_1", "earned_2")


def _written(runs, folder):
    """All tables as files, and both accounts day by day."""
    from app.commands.sections import written
    from engine.analysis import compare

    daily = ("Overlaid", compare.overlaid(compare.aligned(runs)), "")
    return written([*tables(runs, all_trades=True), daily], "compare", folder)


def _show(document, made, currency):
    if document["simulated"]:
        say("Simulated prices: this run says nothing about real markets.")
    for title, frame, note in made:
        say(f"\n{title}. {note}")
        if len(frame):
            table(frame.to_dicts(), columns(frame, currency))
        else:
            say(" nothing")


VERBS = {
    "compare": (compare, "Runs beside each other, and what differs.", "frontmonth compare last 3f9a0c"),
}
